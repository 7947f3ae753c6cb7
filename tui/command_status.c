/* Owns `tutti status`: whether everything is in sync, and if not, why. */
#include "config.h"
#include "commands.h"

#include "format.h"
#include "json.h"
#include "text.h"
#include "wire.h"

#include <time.h>

static uint64_t number(const msgpack_object *map, const char *key)
{
	uint64_t n;
	wire_get_uint(map, key, UINT64_MAX, &n);
	return n;
}

static bool state_is(const msgpack_object *replica, const char *state)
{
	struct bytes own;
	return wire_get_str(replica, "state", &own) && bytes_eq(own, bytes_of(state));
}

static bool is_gone(const msgpack_object *replica)
{
	return state_is(replica, "offline") || state_is(replica, "connecting");
}

/* Is that problem none, but a deletion that waits for a word? */
static bool is_held(const msgpack_object *problem)
{
	bool held;
	return wire_get_bool(problem, "held", &held) && held;
}

/* --- in words */

/* Reasons come one after the other: a colon before the first, commas between. */
static void begin_reason(struct buf *out, size_t *reasons)
{
	buf_addf(out, "%s", (*reasons)++ ? ", " : ": ");
}

static void print_reasons(struct buf *out, const msgpack_object *status)
{
	static const struct {
		const char *key, *one, *many;
	} counts[] = {
		{"conflicts", "conflict", "conflicts"},
		{"held", "deletion held", "deletions held"},
	};
	const msgpack_object *replicas = wire_get(status, "replicas");
	size_t reasons = 0, problems = 0;
	for (size_t i = 0; i < wire_count(wire_get(status, "problems")); i++)
		problems += !is_held(wire_at(wire_get(status, "problems"), i));
	bool scanning;
	if (wire_get_bool(status, "scanning", &scanning) && scanning) {
		begin_reason(out, &reasons);
		buf_addf(out, "the directory is being read");
	}
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		if (!number(status, counts[i].key))
			continue;
		begin_reason(out, &reasons);
		print_count(out, number(status, counts[i].key), counts[i].one, counts[i].many);
	}
	for (size_t i = 1; i < wire_count(replicas); i++) {
		const msgpack_object *r = wire_at(replicas, i);
		if (!number(r, "held"))
			continue;
		begin_reason(out, &reasons);
		print_count(out, number(r, "held"), "deletion held on ", "deletions held on ");
		print_key(out, r, "name");
	}
	for (size_t i = 0; i < wire_count(replicas); i++) {
		const msgpack_object *r = wire_at(replicas, i);
		uint64_t bytes = number(r, "pending_bytes");
		if (!number(r, "pending_files"))
			continue;
		begin_reason(out, &reasons);
		print_count(out, number(r, "pending_files"), "file", "files");
		if (bytes) {
			buf_addf(out, " (");
			print_size(out, bytes);
			buf_addf(out, ")");
		}
		buf_addf(out, is_gone(r) ? " to go to " : " on the way to ");
		print_key(out, r, "name");
	}
	for (size_t i = 0; i < wire_count(replicas); i++) {
		if (!state_is(wire_at(replicas, i), "differs"))
			continue;
		begin_reason(out, &reasons);
		print_key(out, wire_at(replicas, i), "name");
		buf_addf(out, " differs for good");
	}
	if (problems) {
		begin_reason(out, &reasons);
		print_count(out, problems, "problem", "problems");
	}
	for (size_t i = 0; i < wire_count(replicas); i++) {
		if (!is_gone(wire_at(replicas, i)))
			continue;
		begin_reason(out, &reasons);
		print_key(out, wire_at(replicas, i), "name");
		buf_addf(out, " is not connected");
	}
	buf_addf(out, "%s.\n", reasons ? "" : ": the servers are still comparing");
}

static void print_verdict(struct buf *out, const msgpack_object *status)
{
	const msgpack_object *replicas = wire_get(status, "replicas");
	size_t n = wire_count(replicas), gone = 0;
	bool in_sync;
	wire_get_bool(status, "in_sync", &in_sync);
	for (size_t i = 0; i < n; i++)
		gone += is_gone(wire_at(replicas, i));
	if (in_sync && !gone && n == 1) {
		buf_addf(out, "There is one replica; no other server has been met.\n");
	} else if (in_sync && !gone) {
		uint64_t conflicts = number(status, "conflicts");
		if (n == 2)
			buf_addf(out, "Both");
		else
			buf_addf(out, "All %zu", n);
		buf_addf(out, " replicas are in sync");
		if (conflicts) {
			buf_addf(out, ", with ");
			print_count(out, conflicts, "conflict", "conflicts");
		}
		buf_addf(out, ".\n");
	} else {
		buf_addf(out, in_sync ? "What is connected is in sync" : "Not in sync");
		print_reasons(out, status);
	}
}

static void print_replica_state(struct buf *out, const msgpack_object *r)
{
	int64_t since, now = (int64_t)time(NULL);
	char text[24];
	struct bytes error;
	wire_get_int(r, "since", &since);
	print_key(out, r, "state");
	if (is_gone(r) && since > 0 && since / 1000000000 <= now) {
		format_duration_words(text, (uint64_t)(now - since / 1000000000));
		buf_addf(out, " for %s", text);
	}
	if (is_gone(r) && number(r, "tries")) {
		format_duration_words(text, number(r, "retry_ms") / 1000);
		buf_addf(out, ", retry in %s (try %ju)", text, (uintmax_t)number(r, "tries"));
	}
	if (number(r, "pending_files")) {
		buf_addf(out, ", ");
		print_count(out, number(r, "pending_files"), "file", "files");
		buf_addf(out, " left");
	}
	if (number(r, "held")) {
		buf_addf(out, ", ");
		print_count(out, number(r, "held"), "deletion held", "deletions held");
	}
	if (number(r, "problems")) {
		buf_addf(out, ", ");
		print_count(out, number(r, "problems"), "problem", "problems");
	}
	if (wire_get_str(r, "error", &error) && error.len) {
		buf_addf(out, ": ");
		text_show(out, error);
	}
}

static void print_replicas(struct buf *out, const msgpack_object *replicas)
{
	size_t n = wire_count(replicas), widest = 0;
	struct bytes text;
	for (size_t i = 0; i < n; i++) {
		struct buf shown = {0};
		print_key(&shown, wire_at(replicas, i), "name");
		size_t columns = text_columns((struct bytes){shown.data, shown.len});
		widest = columns > widest ? columns : widest;
		buf_release(&shown);
	}
	for (size_t i = 0; i < n; i++) {
		const msgpack_object *r = wire_at(replicas, i);
		buf_addf(out, "  %c  ", i < 26 ? (int)('A' + i) : '.');
		wire_get_str(r, "name", &text);
		print_padded(out, text, widest);
		buf_addf(out, "  ");
		wire_get_str(r, "address", &text);
		print_padded(out, text, 21);
		buf_addf(out, "  ");
		print_replica_state(out, r);
		buf_add_char(out, '\n');
	}
}

/* Held deletions are many, and have one reason: those who decide see them all (command_held.c). */
enum { HELD_SHOWN = 20 };

static void print_problems(struct buf *out, const msgpack_object *problems, const char *title, bool held)
{
	bool any = false;
	size_t n = 0;
	for (size_t i = 0; i < wire_count(problems); i++) {
		const msgpack_object *p = wire_at(problems, i);
		struct bytes path;
		if (is_held(p) != held)
			continue;
		if (held && ++n > HELD_SHOWN)
			continue;
		buf_addf(out, "%s  ", any ? "" : title);
		any = true;
		if (wire_get_bytes(p, "path", &path) && path.len)
			text_show(out, path);
		else
			buf_addf(out, "the directory itself");
		buf_addf(out, " on ");
		print_key(out, p, "replica");
		buf_addf(out, ": ");
		print_key(out, p, "reason");
		buf_add_char(out, '\n');
	}
	if (n > HELD_SHOWN)
		buf_addf(out, "  and %zu others\n", n - HELD_SHOWN);
}

static void print_notes(struct buf *out, const msgpack_object *notes)
{
	if (wire_count(notes))
		buf_addf(out, "\nNotes:\n");
	for (size_t i = 0; i < wire_count(notes); i++) {
		struct bytes note;
		wire_as_str(wire_at(notes, i), &note);
		buf_addf(out, "  ");
		text_show(out, note);
		buf_add_char(out, '\n');
	}
}

static void take_status(void *ctx, const msgpack_object *status)
{
	struct console *s = ctx;
	struct buf *out = &s->out;
	print_verdict(out, status);
	print_key(out, status, "name");
	buf_addf(out, " serves ");
	print_key(out, status, "root");
	buf_addf(out, ": ");
	print_count(out, number(status, "files"), "file", "files");
	buf_addf(out, ", ");
	print_size(out, number(status, "bytes"));
	buf_addf(out, "\n\n");
	print_replicas(out, wire_get(status, "replicas"));
	print_problems(out, wire_get(status, "problems"), "\nProblems:\n", false);
	print_problems(out, wire_get(status, "problems"), "\nHeld deletions (tutti held decides, on the "
		       "server that holds them):\n", true);
	print_notes(out, wire_get(status, "notes"));
}

/* --- as JSON */

static void put_number(struct json *w, const msgpack_object *map, const char *key)
{
	json_uint(w, key, number(map, key));
}

static void put_text(struct json *w, const msgpack_object *map, const char *key)
{
	struct bytes text;
	wire_get_bytes(map, key, &text);
	json_string(w, key, text);
}

static void put_replica(struct json *w, const msgpack_object *r)
{
	json_object(w, NULL);
	put_text(w, r, "name");
	put_text(w, r, "id");
	put_text(w, r, "address");
	put_text(w, r, "state");
	put_number(w, r, "pending_files");
	put_number(w, r, "pending_bytes");
	put_number(w, r, "lag_ms");
	put_number(w, r, "problems");
	put_number(w, r, "held");
	json_object_end(w);
}

static void put_problem(struct json *w, const msgpack_object *p)
{
	struct bytes path;
	json_object(w, NULL);
	wire_get_bytes(p, "path", &path);
	json_path(w, "path", path);
	put_text(w, p, "replica");
	put_text(w, p, "reason");
	json_bool(w, "held", is_held(p));
	json_object_end(w);
}

static void put_note(struct json *w, const msgpack_object *note)
{
	struct bytes text = {0};
	wire_as_str(note, &text);
	json_string(w, NULL, text);
}

static void put_list(struct json *w, const msgpack_object *status, const char *key,
		     void (*put)(struct json *w, const msgpack_object *o))
{
	const msgpack_object *list = wire_get(status, key);
	json_array(w, key);
	for (size_t i = 0; i < wire_count(list); i++)
		put(w, wire_at(list, i));
	json_array_end(w);
}

static void take_status_json(void *ctx, const msgpack_object *status)
{
	struct console *s = ctx;
	struct json w;
	bool in_sync;
	wire_get_bool(status, "in_sync", &in_sync);
	json_init(&w, &s->out);
	json_object(&w, NULL);
	put_text(&w, status, "name");
	put_text(&w, status, "id");
	put_list(&w, status, "replicas", put_replica);
	put_number(&w, status, "rows");
	put_number(&w, status, "bytes");
	json_bool(&w, "in_sync", in_sync);
	put_number(&w, status, "conflicts");
	put_number(&w, status, "held");
	put_list(&w, status, "problems", put_problem);
	put_list(&w, status, "notes", put_note);
	json_object_end(&w);
	json_line_end(&w);
}

int command_status(struct console *s)
{
	int status = console_ask(s, "status", NULL,
				 s->arguments->json ? take_status_json : take_status, s);
	return status ? status : console_end(s);
}
