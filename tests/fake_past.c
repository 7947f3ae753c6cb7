/* Owns a made-up server's answers to settling, held deletions, trash and history. */
#include "config.h"
#include "fake_past.h"

#include "entry.h"
#include "fake_server.h"
#include "path.h"

#include <stdio.h>

static bool is(struct bytes method, const char *name)
{
	return bytes_eq(method, bytes_of(name));
}

static struct bytes get(const msgpack_object *params, const char *key)
{
	struct bytes b;
	wire_get_bytes(params, key, &b);
	return b;
}

static uint64_t get_max(const msgpack_object *params)
{
	uint64_t max;
	wire_get_uint(params, "max", 500, &max);
	return max;
}

/* ---- conflicts --------------------------------------------------------------------------- */

/* The table of all conflicts; it stays open, and so follows the rows. */
static struct table *conflicts_of(struct fake *f)
{
	if (!f->past.conflicts)
		f->past.conflicts = table_open(f->rows, &(struct table_query){
			.under = NODE_ROOT, .filter = bytes_of("state:conflict")});
	return f->past.conflicts;
}

static uint64_t stamp_of(const struct fake *f, node_t n)
{
	return UINT64_MAX - n - f->past.changes * 1000000;
}

static void pack_conflict(struct fake *f, node_t n, struct buf *out)
{
	static const uint8_t hash[HASH_SIZE] = {0xe3, 0xb0};
	size_t versions = f->past.versions ? f->past.versions : 2;
	struct buf path = {0}, copy = {0};
	const struct row *row = &f->of[n].row;
	tree_path(f->tree, n, &path);
	wire_map(out, 3);
	wire_put_bin(out, "path", (struct bytes){path.data, path.len});
	wire_put_uint(out, "stamp", stamp_of(f, n));
	wire_key(out, "versions");
	wire_array(out, versions);
	for (size_t i = 0; i < versions; i++) {
		const char *maker = f->past.maker ? f->past.maker
						  : f->servers[i % f->n_servers].name;
		wire_map(out, 9);
		wire_put_uint(out, "kind", row->kind);
		wire_put_uint(out, "size", row->size + i * 215);
		wire_put_int(out, "mtime", row->mtime - (int64_t)i * 26000000000);
		wire_put_fixed(out, "hash", hash, sizeof(hash));
		wire_key(out, "target");
		wire_nil(out);
		wire_put_text(out, "replica", maker);
		wire_put_uint(out, "counter", 42 + i);
		wire_key(out, "copy");
		buf_clear(&copy);
		path_conflict_name(&copy, (struct bytes){path.data, path.len}, "5f3a9c01", 41 + i, 0);
		if (i == 0)
			wire_nil(out);
		else
			wire_bin(out, (struct bytes){copy.data, copy.len});
		wire_put_bool(out, "here", i < 2);
	}
	buf_release(&path);
	buf_release(&copy);
}

static const char *answer_conflicts(struct fake *f, const msgpack_object *params, struct buf *b)
{
	struct table *t = conflicts_of(f);
	struct bytes under = get(params, "under"), after = get(params, "after");
	node_t dir = under.len > 0 ? tree_find(f->tree, under) : NODE_ROOT;
	uint64_t max = get_max(params), n = 0;
	size_t at = 0, total = table_count(t);
	bool exact, more = false;
	if (after.len > 0)
		at = table_position(t, tree_add(f->tree, after), &exact) + exact;
	wire_map(b, 2);
	wire_key(b, "conflicts");
	size_t mark = wire_array_begin(b);
	for (; at < total; at++) {
		node_t node = table_at(t, at);
		if (dir == NODE_NONE || !tree_is_under(f->tree, node, dir))
			continue;
		more = n == max;
		if (more)
			break;
		pack_conflict(f, node, b);
		n++;
	}
	wire_array_end(b, mark, n);
	wire_put_bool(b, "more", more);
	return NULL;
}

static void set_state(struct fake *f, node_t n, enum row_state state)
{
	rows_begin(f->rows, n);
	f->of[n].row.state = (uint8_t)state;
	memset(f->of[n].cells, state == ROW_CONFLICT ? '!' : '=', f->n_servers);
	rows_end(f->rows, n);
	f->conflicts += state == ROW_CONFLICT ? 1u : UINT64_MAX;
}

static const char *answer_resolve(struct fake *f, const msgpack_object *params, struct buf *b)
{
	node_t n = tree_find(f->tree, get(params, "path"));
	uint64_t stamp;
	if (n == NODE_NONE || f->of[n].row.state != ROW_CONFLICT)
		return "there is no conflict any more";
	wire_get_uint(params, "stamp", UINT64_MAX, &stamp);
	if (stamp != stamp_of(f, n) || f->past.refuse)
		return "it has changed since it was shown";
	f->past.keep[0] = '\0';
	if (is(get(params, "keep"), "this")) {
		uint64_t version;
		wire_get_uint(params, "version", 64, &version);
		snprintf(f->past.keep, sizeof(f->past.keep), "%u", (unsigned)version);
	} else {
		snprintf(f->past.keep, sizeof(f->past.keep), "both");
	}
	set_state(f, n, ROW_SYNCED);
	GROW(f->past.undo, f->past.cap_undo, f->past.n_undo + 1);
	f->past.undo[f->past.n_undo++] = n;
	f->past.resolved++;
	wire_map(b, 1);
	wire_put_uint(b, "undo", f->past.n_undo);
	return NULL;
}

static const char *answer_undo(struct fake *f, const msgpack_object *params, struct buf *b)
{
	uint64_t number;
	struct buf path = {0};
	wire_get_uint(params, "undo", UINT64_MAX, &number);
	if (number == 0)
		number = f->past.n_undo;
	if (number == 0 || number != f->past.n_undo)
		return "there is nothing to undo";
	node_t n = f->past.undo[--f->past.n_undo];
	set_state(f, n, ROW_CONFLICT);
	tree_path(f->tree, n, &path);
	wire_map(b, 2);
	wire_put_uint(b, "undo", number);
	wire_put_bin(b, "path", (struct bytes){path.data, path.len});
	buf_release(&path);
	return NULL;
}

/* ---- held -------------------------------------------------------------------------------- */

static void answer_held(struct fake *f, const msgpack_object *params, struct buf *b)
{
	uint64_t max = get_max(params);
	wire_map(b, 1);
	wire_key(b, "sets");
	wire_array(b, f->past.n_held);
	for (size_t i = 0; i < f->past.n_held; i++) {
		const struct fake_held *h = &f->past.held[i];
		uint64_t shown = h->n < max ? h->n : max;
		wire_map(b, 7);
		wire_put_uint(b, "id", h->id);
		wire_put_text(b, "from", h->from);
		wire_put_int(b, "since", INT64_C(1795355000000000000));
		wire_put_uint(b, "n", h->n);
		wire_put_uint(b, "bytes", h->n * 1500000);
		wire_key(b, "paths");
		wire_array(b, shown);
		for (uint64_t k = 0; k < shown; k++) {
			char path[64];
			snprintf(path, sizeof(path), "%s/img_%04u.raw", h->folder, (unsigned)k);
			wire_bin(b, bytes_of(path));
		}
		wire_put_bool(b, "more", shown < h->n);
	}
}

static const char *answer_decide(struct fake *f, const msgpack_object *params, struct buf *b)
{
	uint64_t id;
	bool delete;
	wire_get_uint(params, "id", UINT64_MAX, &id);
	wire_get_bool(params, "delete", &delete);
	for (size_t i = 0; i < f->past.n_held; i++) {
		if (f->past.held[i].id != id)
			continue;
		snprintf(f->past.decided, sizeof(f->past.decided), "%s %u",
			 delete ? "delete" : "keep", (unsigned)f->past.held[i].n);
		f->past.held[i] = f->past.held[--f->past.n_held];
		wire_map(b, 0);
		return NULL;
	}
	return "the set has changed since it was shown";
}

/* ---- the past ---------------------------------------------------------------------------- */

/* Things in the trash are numbered, newest first; their id is the number as text. */
static uint64_t number_in(struct bytes id)
{
	uint64_t n = 0;
	for (size_t i = 0; i < id.len; i++)
		n = n * 10 + (uint64_t)(id.p[i] - '0');
	return n;
}

static void trash_path(uint64_t i, char path[64])
{
	snprintf(path, 64, i % 3 == 0 ? "design/notes.txt" : "old/plan-%u.txt", (unsigned)i);
}

static bool is_meant(struct bytes path, struct bytes under)
{
	return under.len == 0 || bytes_eq(path, under) || path_is_under(path, under);
}

static void answer_trash(struct fake *f, const msgpack_object *params, struct buf *b)
{
	struct bytes after = get(params, "after"), under = get(params, "under");
	struct bytes on = get(params, "replica");
	uint64_t max = get_max(params), n = 0, i = after.len > 0 ? number_in(after) + 1 : 0;
	int64_t since, until;
	bool more = false;
	wire_get_int(params, "since", &since);
	if (!wire_get_int(params, "until", &until))
		until = INT64_MAX;
	wire_map(b, 3);
	wire_key(b, "items");
	size_t mark = wire_array_begin(b);
	for (; i < f->past.trash; i++) {
		char path[64], id[24];
		const char *replica = f->servers[i % f->n_servers].name;
		int64_t time = (INT64_C(1795356000) - (int64_t)i * 3601) * 1000000000;
		trash_path(i, path);
		if (!is_meant(bytes_of(path), under) || time < since || time > until ||
		    (!is(on, "*") && !bytes_eq(on, bytes_of(replica))))
			continue;
		more = n == max;
		if (more)
			break;
		n++;
		snprintf(id, sizeof(id), "%u", (unsigned)i);
		wire_map(b, 10);
		wire_put_bin(b, "id", bytes_of(id));
		wire_put_text(b, "replica", replica);
		wire_put_bin(b, "path", bytes_of(path));
		wire_put_int(b, "time", time);
		wire_put_uint(b, "kind", KIND_FILE);
		wire_put_uint(b, "size", 4302 + i * 7);
		wire_put_int(b, "mtime", (INT64_C(1795300000) - (int64_t)i * 3601) * 1000000000);
		wire_key(b, "hash");
		wire_nil(b);
		wire_key(b, "target");
		wire_nil(b);
		wire_put_text(b, "by", f->servers[(i + 1) % f->n_servers].name);
	}
	wire_array_end(b, mark, n);
	wire_put_bool(b, "more", more);
	wire_key(b, "missing");
	wire_array(b, f->past.missing != NULL);
	if (f->past.missing)
		wire_text(b, f->past.missing);
}

static const char *answer_restore(struct fake *f, const msgpack_object *params, struct buf *b)
{
	uint64_t i = number_in(get(params, "id"));
	struct bytes to = get(params, "to");
	char path[64];
	if (i >= f->past.trash)
		return "that is not in the trash any more";
	trash_path(i, path);
	snprintf(f->past.restored, sizeof(f->past.restored), "%.*s",
		 to.len > 0 ? (int)to.len : (int)strlen(path),
		 to.len > 0 ? (const char *)to.p : path);
	wire_map(b, 4);
	wire_put_bin(b, "path", bytes_of(f->past.restored));
	wire_put_str(b, "from", get(params, "replica"));
	wire_put_int(b, "time", 0);
	wire_put_uint(b, "size", 4302);
	return NULL;
}

static void answer_history(struct fake *f, const msgpack_object *params, struct buf *b)
{
	static const char *const events[] = {"changed", "created", "deleted", "received"};
	static const uint8_t hash[HASH_SIZE] = {1};
	struct bytes under = get(params, "path");
	uint64_t max = get_max(params), before, n = 0;
	bool more = false;
	if (!wire_get_uint(params, "before", UINT64_MAX, &before) || before == 0)
		before = f->past.history + 1;
	wire_map(b, 2);
	wire_key(b, "lines");
	size_t mark = wire_array_begin(b);
	for (uint64_t i = before - 1; i > 0; i--) {
		char path[64];
		const char *event = events[i % 4];
		trash_path(i, path);
		if (!is_meant(bytes_of(path), under))
			continue;
		more = n == max;
		if (more)
			break;
		n++;
		wire_map(b, 9);
		wire_put_uint(b, "n", i);
		wire_put_int(b, "time", (INT64_C(1795350000) + (int64_t)i * 61) * 1000000000);
		wire_put_text(b, "event", event);
		wire_put_bin(b, "path", bytes_of(path));
		wire_put_text(b, "replica", f->servers[i % f->n_servers].name);
		wire_put_uint(b, "old_size", 4302);
		wire_put_uint(b, "new_size", 4302 + i);
		wire_key(b, "old_hash");
		if (strcmp(event, "created") == 0)
			wire_nil(b);
		else
			wire_fixed(b, hash, sizeof(hash));
		wire_key(b, "new_hash");
		if (strcmp(event, "deleted") == 0)
			wire_nil(b);
		else
			wire_fixed(b, hash, sizeof(hash));
	}
	wire_array_end(b, mark, n);
	wire_put_bool(b, "more", more);
}

bool fake_past_call(struct fake *f, struct bytes method, const msgpack_object *params,
		    struct buf *result, const char **error)
{
	*error = NULL;
	if (is(method, "conflicts"))
		*error = answer_conflicts(f, params, result);
	else if (is(method, "resolve"))
		*error = answer_resolve(f, params, result);
	else if (is(method, "undo"))
		*error = answer_undo(f, params, result);
	else if (is(method, "held"))
		answer_held(f, params, result);
	else if (is(method, "held.decide"))
		*error = answer_decide(f, params, result);
	else if (is(method, "trash"))
		answer_trash(f, params, result);
	else if (is(method, "restore"))
		*error = answer_restore(f, params, result);
	else if (is(method, "history"))
		answer_history(f, params, result);
	else
		return false;
	return true;
}
