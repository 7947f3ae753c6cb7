/* Owns `tutti history`: who did what, and when, from the server's journal; the newest first. */
#include "config.h"
#include "commands.h"

#include "json.h"
#include "text.h"
#include "things.h"
#include "wire.h"

enum { PAGE = 500 };

struct history {
	struct console *console;
	int64_t since, until;
	uint64_t before; /* the next page: lines with a smaller number */
	bool more, any;
};

static void print_line(struct buf *out, const msgpack_object *o, int64_t time)
{
	struct bytes event, path, replica;
	uint64_t old_size, new_size;
	wire_get_str(o, "event", &event);
	wire_get_bytes(o, "path", &path);
	wire_get_str(o, "replica", &replica);
	wire_get_uint(o, "old_size", UINT64_MAX, &old_size);
	wire_get_uint(o, "new_size", UINT64_MAX, &new_size);
	struct bytes old_hash, new_hash;
	bool was = wire_get_bin(o, "old_hash", &old_hash), is = wire_get_bin(o, "new_hash", &new_hash);
	bool same = was && is && old_size == new_size && bytes_eq(old_hash, new_hash);
	print_date(out, time, true);
	buf_addf(out, "  ");
	print_padded(out, replica, 12);
	buf_addf(out, "  ");
	print_padded(out, event, 13);
	buf_addf(out, "  ");
	text_show(out, path);
	if (was || is) {
		buf_addf(out, "  (");
		if (was && !same)
			print_size(out, old_size);
		buf_addf(out, "%s", same ? "" : was && is ? " to " : was ? " gone" : "");
		if (is)
			print_size(out, new_size);
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
}

static void print_line_json(struct buf *out, const msgpack_object *o, int64_t time)
{
	static const char *const hashes[] = {"old_hash", "new_hash"};
	static const char *const sizes[] = {"old_size", "new_size"};
	struct json w;
	struct bytes text;
	json_init(&w, out);
	json_object(&w, NULL);
	json_seconds(&w, "time", time);
	wire_get_str(o, "event", &text);
	json_string(&w, "event", text);
	wire_get_bytes(o, "path", &text);
	json_path(&w, "path", text);
	wire_get_str(o, "replica", &text);
	json_string(&w, "replica", text);
	for (size_t i = 0; i < 2; i++) {
		uint64_t size;
		wire_get_uint(o, sizes[i], UINT64_MAX, &size);
		if (wire_get_bin(o, hashes[i], &text)) {
			json_uint(&w, sizes[i], size);
			json_hex(&w, hashes[i], text);
		} else {
			json_null(&w, sizes[i]);
			json_null(&w, hashes[i]);
		}
	}
	json_object_end(&w);
	json_line_end(&w);
}

static void take_page(void *ctx, const msgpack_object *result)
{
	struct history *h = ctx;
	const msgpack_object *lines = wire_get(result, "lines");
	uint64_t before = h->before;
	wire_get_bool(result, "more", &h->more);
	for (size_t i = 0; i < wire_count(lines); i++) {
		const msgpack_object *o = wire_at(lines, i);
		uint64_t n;
		int64_t time;
		wire_get_uint(o, "n", UINT64_MAX, &n);
		wire_get_int(o, "time", &time);
		if (n < h->before)
			h->before = n;
		if (time < h->since || time > h->until)
			continue;
		h->any = true;
		(h->console->arguments->json ? print_line_json : print_line)(&h->console->out, o, time);
	}
	if (h->before >= before)
		h->more = false; /* a server that gets no further would be asked for ever */
}

int command_history(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct history h = {
		.console = s, .before = INT64_MAX, .more = true,
		.since = a->since ? things_time(a->since, false) : INT64_MIN,
		.until = a->until ? things_time(a->until, true) : INT64_MAX,
	};
	struct buf path = {0};
	int status = EXIT_NOT_DONE;
	if (!take_path(s, a->path ? a->path : "", &path))
		goto out;
	do {
		struct buf params = {0};
		wire_map(&params, 3);
		wire_put_bin(&params, "path", (struct bytes){path.data, path.len});
		wire_put_uint(&params, "before", h.before);
		wire_put_uint(&params, "max", PAGE);
		status = console_ask(s, "history", &params, take_page, &h);
		buf_release(&params);
		if (!console_print(s))
			status = EXIT_NOT_DONE;
	} while (!status && h.more);
	if (!status && !h.any && !a->json)
		buf_addf(&s->out, "Nothing is remembered of that.\n");
	if (!status)
		status = console_end(s);
out:
	buf_release(&path);
	return status;
}
