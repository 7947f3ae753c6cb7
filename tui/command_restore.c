/*
 * Owns `tutti restore`: brings a file back, or, where nothing of that very path is in the trash, all that
 * was below it and is not there now: a folder that was deleted comes back as it was at last.
 */
#include "config.h"
#include "commands.h"

#include "json.h"
#include "message.h"
#include "path.h"
#include "pathset.h"
#include "text.h"
#include "things.h"
#include "wire.h"

struct back {
	struct console *console;
	uint64_t n; /* that came back */
};

static void take_back(void *ctx, const msgpack_object *result)
{
	struct back *b = ctx;
	struct buf *out = &b->console->out;
	struct bytes path, from;
	int64_t time;
	uint64_t size;
	b->n++;
	wire_get_bytes(result, "path", &path);
	wire_get_str(result, "from", &from);
	wire_get_int(result, "time", &time);
	wire_get_uint(result, "size", UINT64_MAX, &size);
	if (b->console->arguments->json) {
		struct json w;
		json_init(&w, out);
		json_object(&w, NULL);
		json_path(&w, "path", path);
		json_string(&w, "from", from);
		json_seconds(&w, "time", time);
		json_uint(&w, "size", size);
		json_object_end(&w);
		json_line_end(&w);
		return;
	}
	text_show(out, path);
	buf_addf(out, " is back, as it was until ");
	print_date(out, time, true);
	buf_addf(out, ", from ");
	text_show(out, from);
	buf_add_char(out, '\n');
}

/* Asks for the newest at the path. */
static int restore_path(struct back *b, struct bytes path, struct bytes to, char *code, struct buf *why)
{
	const struct arguments *a = b->console->arguments;
	struct buf params = {0};
	bool on = a->on && text_is_utf8(bytes_of(a->on));
	wire_map(&params, 1u + (a->at ? 1 : 0) + (to.len ? 1 : 0) + on);
	wire_put_bin(&params, "path", path);
	if (a->at)
		wire_put_int(&params, "time", things_time(a->at, true));
	if (to.len)
		wire_put_bin(&params, "to", to);
	if (on)
		wire_put_text(&params, "replica", a->on);
	int status = console_try(b->console, "restore", &params, take_back, b, code, why);
	buf_release(&params);
	return status;
}

static void take_nothing(void *ctx, const msgpack_object *result)
{
	bool *there = ctx;
	struct bytes state;
	/* a path that was deleted everywhere, or is about to be, has no content */
	*there = wire_count(wire_get(result, "heads")) > 0 &&
		 !(wire_get_str(result, "state", &state) && bytes_eq(state, bytes_of("deleted")));
}

static int is_there(struct console *s, struct bytes path, bool *there)
{
	struct buf params = {0}, why = {0};
	char code[CONSOLE_CODE_MAX];
	*there = false;
	wire_map(&params, 1);
	wire_put_bin(&params, "path", path);
	int status = console_try(s, "row", &params, take_nothing, there, code, &why);
	if (status && strcmp(code, ERROR_NOT_FOUND) == 0)
		status = EXIT_DONE;
	else if (status)
		complain("%s", why.len ? (const char *)why.data : "no answer");
	buf_release(&params);
	buf_release(&why);
	return status;
}

/* `to`, if it is not empty, takes the place of the folder. */
static int restore_thing(struct back *b, const struct thing *t, struct bytes folder, struct bytes to)
{
	struct buf params = {0}, target = {0};
	if (to.len) {
		buf_add(&target, to.p, to.len);
		buf_add(&target, t->path.p + folder.len, t->path.len - folder.len);
	}
	wire_map(&params, to.len ? 3 : 2);
	wire_put_bin(&params, "id", t->id);
	wire_key(&params, "replica");
	wire_str(&params, t->replica);
	if (to.len)
		wire_put_bin(&params, "to", (struct bytes){target.data, target.len});
	int status = console_ask(b->console, "restore", &params, take_back, b);
	buf_release(&params);
	buf_release(&target);
	return status;
}

/* The newest of each path below the folder, if nothing is there now. */
static int restore_below(struct back *b, struct bytes folder, struct bytes to)
{
	const struct arguments *a = b->console->arguments;
	struct things_wanted wanted = {.under = folder, .until = a->at, .on = a->on};
	struct things page = {0};
	struct pathset seen = {0};
	int status, result = EXIT_DONE;
	do {
		status = things_page(b->console, &wanted, &page);
		for (size_t i = 0; i < page.n && !status; i++) {
			const struct thing *t = &page.items[i];
			bool there = false;
			if (pathset_has(&seen, t->path) || !path_is_under(t->path, folder))
				continue;
			pathset_put(&seen, t->path, 0);
			status = to.len ? EXIT_DONE : is_there(b->console, t->path, &there);
			if (!status && !there && restore_thing(b, t, folder, to))
				result = EXIT_NOT_DONE;
			if (!client_is_up(b->console->client))
				status = EXIT_NOT_DONE;
		}
		if (page.missing.len && !status) {
			complain("no answer from %.*s", (int)page.missing.len,
				 (const char *)page.missing.data);
			result = EXIT_NOT_DONE;
		}
		if (!console_print(b->console))
			status = EXIT_NOT_DONE;
	} while (!status && page.more);
	pathset_release(&seen);
	things_release(&page);
	return status ? status : result;
}

int command_restore(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct back b = {.console = s};
	struct buf path = {0}, to = {0}, why = {0};
	char code[CONSOLE_CODE_MAX];
	int status = EXIT_NOT_DONE;
	if (!take_path(s, a->path, &path) || (a->to && !take_path(s, a->to, &to)))
		goto out;
	struct bytes p = {path.data, path.len}, t = {to.data, to.len};
	if (p.len)
		status = restore_path(&b, p, t, code, &why);
	else
		strcpy(code, ERROR_NOT_FOUND);
	if (status && strcmp(code, ERROR_NOT_FOUND) == 0)
		status = restore_below(&b, p, t);
	else if (status)
		complain("%s", (const char *)why.data);
	if (!status && !b.n) {
		complain("%s", why.len ? (const char *)why.data : "nothing was to be brought back");
		status = EXIT_NOT_DONE;
	}
	if (console_end(s) != EXIT_DONE)
		status = EXIT_NOT_DONE;
out:
	buf_release(&path);
	buf_release(&to);
	buf_release(&why);
	return status;
}
