/* Owns the choice of the command, the small commands (wait, resync, peers), and what they print
 * alike. */
#include "config.h"
#include "commands.h"

#include "format.h"
#include "json.h"
#include "path.h"
#include "text.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* --- printing */

void print_date(struct buf *out, int64_t ns, bool seconds)
{
	char text[20];
	struct tm tm;
	time_t t = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
	if (!localtime_r(&t, &tm))
		tm = (struct tm){.tm_year = -1};
	format_date(text, &tm, seconds ? FORMAT_SECONDS : FORMAT_LONG);
	buf_addf(out, "%*s", (int)strlen(text), ns ? text : "");
}

void print_padded(struct buf *out, struct bytes raw, size_t columns)
{
	size_t start = out->len;
	text_show(out, raw);
	size_t used = text_columns((struct bytes){out->data + start, out->len - start});
	for (; used < columns; used++)
		buf_add_char(out, ' ');
}

void print_count(struct buf *out, uint64_t n, const char *one, const char *many)
{
	char count[32];
	format_count(count, n);
	buf_addf(out, "%s %s", count, n == 1 ? one : many);
}

void print_size(struct buf *out, uint64_t bytes)
{
	char size[16];
	format_size(size, bytes, FORMAT_LONG);
	buf_addf(out, "%s", size);
}

void print_key(struct buf *out, const msgpack_object *map, const char *key)
{
	struct bytes text;
	if (wire_get_bytes(map, key, &text))
		text_show(out, text);
}

/* --- paths */

static void take_root(void *ctx, const msgpack_object *result)
{
	struct buf *root = ctx;
	struct bytes path;
	if (wire_get_bytes(result, "root", &path))
		buf_add(root, path.p, path.len);
}

bool take_path(struct console *s, const char *given, struct buf *path)
{
	struct buf root = {0};
	const char *p = given;
	bool ok = true;
	if (*p == '/') {
		ok = console_ask(s, "status", NULL, take_root, &root) == EXIT_DONE;
		while (root.len > 1 && root.data[root.len - 1] == '/')
			root.len--;
		if (ok && (!root.len || strncmp(p, (const char *)root.data, root.len) ||
			   (p[root.len] != '/' && p[root.len]))) {
			complain("this path is not in the directory of that server");
			ok = false;
		} else if (ok) {
			p += root.len;
		}
	}
	while (*p == '/' || (*p == '.' && (p[1] == '/' || !p[1])))
		p++;
	size_t len = strlen(p);
	while (len && p[len - 1] == '/')
		len--;
	enum path_error wrong = path_check((struct bytes){(const uint8_t *)p, len});
	if (ok && len && wrong != PATH_OK) {
		complain("cannot take this path: %s", path_error_text(wrong));
		ok = false;
	}
	buf_add(path, p, len);
	buf_release(&root);
	return ok;
}

/* --- wait */

struct waited {
	bool in_sync;
	struct buf reason;
};

static void take_waited(void *ctx, const msgpack_object *result)
{
	struct waited *w = ctx;
	wire_get_bool(result, "in_sync", &w->in_sync);
	print_key(&w->reason, result, "reason");
}

int command_wait(struct console *s)
{
	struct waited w = {0};
	struct buf params = {0};
	int64_t timeout_ms = s->arguments->timeout_ms;
	/* On the wire 0 is "no limit"; who gives 0 seconds wants to know how it is now. */
	if (timeout_ms == 0)
		timeout_ms = 1;
	if (timeout_ms > UINT32_MAX)
		timeout_ms = UINT32_MAX;
	wire_map(&params, 1);
	wire_put_uint(&params, "timeout", timeout_ms < 0 ? 0 : (uint64_t)timeout_ms);
	int status = console_ask(s, "wait", &params, take_waited, &w);
	if (status == EXIT_DONE && !w.in_sync) {
		complain("not in sync: %.*s", (int)w.reason.len,
			 w.reason.len ? (const char *)w.reason.data : "");
		status = EXIT_NOT_DONE;
	}
	buf_release(&w.reason);
	buf_release(&params);
	return status;
}

/* --- resync */

struct resync {
	struct console *console;
	bool all_ok;
};

static void print_resync(struct buf *out, const msgpack_object *replica, bool ok)
{
	uint64_t looked, changed;
	print_key(out, replica, "name");
	wire_get_uint(replica, "looked", UINT64_MAX, &looked);
	wire_get_uint(replica, "changed", UINT64_MAX, &changed);
	if (ok) {
		buf_addf(out, ": looked at ");
		print_count(out, looked, "entry", "entries");
		buf_addf(out, ", ");
		print_count(out, changed, "differed", "differed");
	} else {
		buf_addf(out, ": not done: ");
		print_key(out, replica, "reason");
	}
	buf_add_char(out, '\n');
}

static void print_resync_json(struct buf *out, const msgpack_object *replica, bool ok)
{
	struct json w;
	struct bytes name, reason;
	uint64_t looked, changed;
	wire_get_str(replica, "name", &name);
	wire_get_uint(replica, "looked", UINT64_MAX, &looked);
	wire_get_uint(replica, "changed", UINT64_MAX, &changed);
	json_init(&w, out);
	json_object(&w, NULL);
	json_path(&w, "name", name);
	json_bool(&w, "ok", ok);
	json_uint(&w, "looked", looked);
	json_uint(&w, "changed", changed);
	if (!ok && wire_get_str(replica, "reason", &reason))
		json_string(&w, "reason", reason);
	json_object_end(&w);
	json_line_end(&w);
}

static void take_resync(void *ctx, const msgpack_object *result)
{
	struct resync *r = ctx;
	const msgpack_object *replicas = wire_get(result, "replicas");
	for (size_t i = 0; i < wire_count(replicas); i++) {
		bool ok;
		const msgpack_object *replica = wire_at(replicas, i);
		wire_get_bool(replica, "ok", &ok);
		r->all_ok &= ok;
		(r->console->arguments->json ? print_resync_json : print_resync)(
			&r->console->out, replica, ok);
	}
}

/* One line on the terminal, written over again and again; empty at the end. */
static void show_progress(const msgpack_object *resync)
{
	struct buf line = {0};
	uint64_t looked, changed;
	buf_addf(&line, "\r\033[K");
	if (resync && wire_get_uint(resync, "looked", UINT64_MAX, &looked)) {
		const msgpack_object *waiting = wire_get(resync, "waiting");
		wire_get_uint(resync, "changed", UINT64_MAX, &changed);
		buf_addf(&line, "looked at ");
		print_count(&line, looked, "entry", "entries");
		buf_addf(&line, ", ");
		print_count(&line, changed, "differs", "differ");
		for (size_t i = 0; i < wire_count(waiting); i++) {
			struct bytes name;
			buf_addf(&line, "%s", i ? ", " : "; waiting for ");
			if (wire_as_bytes(wire_at(waiting, i), &name))
				text_show(&line, name);
		}
	}
	fwrite(line.data, 1, line.len, stderr);
	fflush(stderr);
	buf_release(&line);
}

static void on_resync_notify(void *ctx, const char *method, const msgpack_object *params)
{
	(void)ctx;
	const msgpack_object *resync = wire_get(params, "resync");
	if (!strcmp(method, "progress") && !wire_is_nil(resync))
		show_progress(resync);
}

int command_resync(struct console *s)
{
	struct resync r = {s, true};
	struct buf path = {0}, params = {0};
	int status = EXIT_NOT_DONE;
	bool progress = isatty(STDERR_FILENO);
	if (!take_path(s, s->arguments->path ? s->arguments->path : "", &path))
		goto out;
	if (progress && console_ask(s, "events", NULL, NULL, NULL) != EXIT_DONE)
		goto out;
	wire_map(&params, 1);
	wire_put_bin(&params, "path", (struct bytes){path.data, path.len});
	status = console_ask(s, "resync", &params, take_resync, &r);
	if (progress)
		show_progress(NULL);
	if (console_end(s) != EXIT_DONE || !r.all_ok)
		status = EXIT_NOT_DONE;
out:
	buf_release(&path);
	buf_release(&params);
	return status;
}

/* --- peers */

static void print_peer(struct buf *out, const msgpack_object *p)
{
	struct bytes name, address, state, direction;
	int64_t since, now = (int64_t)time(NULL);
	uint64_t in, bytes_out, retry_ms, tries;
	char text[24];
	wire_get_str(p, "name", &name);
	wire_get_str(p, "address", &address);
	wire_get_str(p, "state", &state);
	wire_get_str(p, "direction", &direction);
	wire_get_int(p, "since", &since);
	wire_get_uint(p, "in", UINT64_MAX, &in);
	wire_get_uint(p, "out", UINT64_MAX, &bytes_out);
	wire_get_uint(p, "retry_ms", UINT64_MAX, &retry_ms);
	wire_get_uint(p, "tries", UINT64_MAX, &tries);
	print_padded(out, name.len ? name : bytes_of("?"), 12);
	buf_addf(out, "  ");
	print_padded(out, address, 21);
	buf_addf(out, "  %-3.*s  ", (int)direction.len, (const char *)direction.p);
	text_show(out, state);
	if (since > 0 && since / 1000000000 <= now) {
		format_duration_words(text, (uint64_t)(now - since / 1000000000));
		buf_addf(out, " for %s", text);
	}
	if (bytes_eq(state, bytes_of("connected"))) {
		buf_addf(out, ", in ");
		print_size(out, in);
		buf_addf(out, ", out ");
		print_size(out, bytes_out);
	} else if (tries) {
		format_duration_words(text, retry_ms / 1000);
		buf_addf(out, ", retry in %s (try %ju)", text, (uintmax_t)tries);
	}
	if (wire_get_str(p, "error", &name) && name.len) {
		buf_addf(out, ": ");
		text_show(out, name);
	}
	buf_add_char(out, '\n');
}

static void json_key(struct json *w, const msgpack_object *map, const char *key)
{
	struct bytes text;
	wire_get_bytes(map, key, &text);
	json_string(w, key, text);
}

static void print_peer_json(struct buf *out, const msgpack_object *p)
{
	static const char *const texts[] = {"address", "id", "state", "direction", "error"};
	static const char *const numbers[] = {"retry_ms", "tries", "in", "out"};
	struct json w;
	struct bytes name;
	int64_t since;
	json_init(&w, out);
	json_object(&w, NULL);
	wire_get_str(p, "name", &name);
	json_path(&w, "name", name);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		json_key(&w, p, texts[i]);
	wire_get_int(p, "since", &since);
	json_seconds(&w, "since", since);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t n;
		wire_get_uint(p, numbers[i], UINT64_MAX, &n);
		json_uint(&w, numbers[i], n);
	}
	json_object_end(&w);
	json_line_end(&w);
}

static void take_peers(void *ctx, const msgpack_object *result)
{
	struct console *s = ctx;
	const msgpack_object *peers = wire_get(result, "peers");
	size_t n = wire_count(peers);
	if (!s->arguments->json)
		buf_addf(&s->out, "%s", n ? "Name          Address                Dir  State\n"
					  : "No peers: none are configured, and none has connected.\n");
	for (size_t i = 0; i < n; i++)
		(s->arguments->json ? print_peer_json : print_peer)(&s->out, wire_at(peers, i));
	print_keys(&s->out, wire_get(result, "keys"), s->arguments->json);
}

int command_peers(struct console *s)
{
	int status = console_ask(s, "peers", NULL, take_peers, s);
	return status ? status : console_end(s);
}

/* --- all */

int command_run(const struct arguments *a)
{
	static int (*const run[COMMANDS_N])(struct console *) = {
		[COMMAND_SCREEN] = command_list,
		[COMMAND_LIST] = command_list,
		[COMMAND_STATUS] = command_status,
		[COMMAND_RESYNC] = command_resync,
		[COMMAND_WAIT] = command_wait,
		[COMMAND_PEERS] = command_peers,
		[COMMAND_TRUST] = command_trust,
		[COMMAND_UNTRUST] = command_untrust,
		[COMMAND_INVITE] = command_invite,
		[COMMAND_CONFLICTS] = command_conflicts,
		[COMMAND_RESOLVE] = command_resolve,
		[COMMAND_TRASH] = command_trash,
		[COMMAND_RESTORE] = command_restore,
		[COMMAND_HISTORY] = command_history,
		[COMMAND_HELD] = command_held,
	};
	static const struct client_callbacks resync_callbacks = {.notify = on_resync_notify};
	struct console s;
	if (a->command == COMMAND_WATCH)
		return command_watch(a);
	assert(run[a->command]);
	int status = console_open(&s, a, false,
				  a->command == COMMAND_RESYNC ? &resync_callbacks : NULL, &s);
	if (status == EXIT_DONE)
		status = run[a->command](&s);
	console_close(&s);
	return status;
}
