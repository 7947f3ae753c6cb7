/* Owns a made-up server. */
#include "config.h"
#include "fake_server.h"

#include "entry.h"
#include "path.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[FAKE_SERVERS_MAX] = {
	"alpha", "beta", "gamma", "delta", "epsilon", "zeta",
	"eta", "theta", "iota", "kappa", "lambda", "mu",
};

static void get_row(void *ctx, node_t n, struct row *out)
{
	struct fake *f = ctx;
	*out = n < f->cap ? f->of[n].row : (struct row){0};
}

struct fake *fake_new(size_t n_servers)
{
	struct fake *f = xcalloc(1, sizeof(*f));
	f->tree = tree_new(1);
	f->rows = rows_new(f->tree, get_row, f);
	f->root = "/srv/projects";
	f->n_servers = n_servers;
	f->next_event = f->first_event = 1;
	for (size_t i = 0; i < n_servers; i++)
		f->servers[i] = (struct fake_server_state){
			.name = names[i],
			.address = i == 0 ? "127.0.0.1:7075" : "10.0.0.7:7075",
			.state = i == 0 ? "self" : "in sync",
			.error = "",
		};
	return f;
}

void fake_free(struct fake *f)
{
	for (size_t i = 0; i < FAKE_TABLES_MAX; i++)
		if (f->tables[i].id)
			table_close(f->tables[i].table);
	if (f->past.conflicts)
		table_close(f->past.conflicts);
	free(f->past.undo);
	rows_free(f->rows);
	tree_free(f->tree);
	for (size_t i = 0; i < FAKE_EVENTS_MAX; i++)
		buf_release(&f->events[i]);
	free(f->of);
	free(f);
}

/* ---- rows -------------------------------------------------------------------------------- */

static struct fake_row *of(struct fake *f, node_t n)
{
	if (n >= f->cap) {
		size_t old = f->cap;
		GROW(f->of, f->cap, (size_t)n + 1);
		memset(f->of + old, 0, (f->cap - old) * sizeof(*f->of));
	}
	return &f->of[n];
}

static void set_row(struct fake *f, struct bytes path, struct fake_row row)
{
	node_t n = tree_add(f->tree, path);
	of(f, n);
	rows_begin(f->rows, n);
	f->of[n] = row;
	rows_end(f->rows, n);
}

static void all_have(const struct fake *f, struct fake_row *r)
{
	memset(r->cells, '=', f->n_servers);
	r->cells[f->n_servers] = '\0';
}

static void put(struct fake *f, struct bytes path, struct fake_row row)
{
	for (struct bytes up = path_parent(path); up.len > 0; up = path_parent(up)) {
		node_t n = tree_find(f->tree, up);
		if (n != NODE_NONE && n < f->cap && f->of[n].row.kind == KIND_DIR)
			continue;
		struct fake_row dir = {.row = {.kind = KIND_DIR, .mtime = row.row.mtime}};
		all_have(f, &dir);
		set_row(f, up, dir);
	}
	set_row(f, path, row);
}

void fake_put(struct fake *f, const char *path, unsigned kind, uint64_t size, int64_t mtime_s,
	      enum row_state state, const char *cells, const char *note)
{
	struct fake_row r = {.row = {.kind = (uint8_t)kind, .size = size, .state = (uint8_t)state,
				     .mtime = mtime_s * 1000000000}};
	all_have(f, &r);
	if (cells)
		snprintf(r.cells, sizeof(r.cells), "%s", cells);
	snprintf(r.note, sizeof(r.note), "%s", note ? note : "");
	put(f, bytes_of(path), r);
}

void fake_put_bytes(struct fake *f, struct bytes path, unsigned kind, uint64_t size,
		    int64_t mtime_s)
{
	struct fake_row r = {.row = {.kind = (uint8_t)kind, .size = size,
				     .mtime = mtime_s * 1000000000}};
	all_have(f, &r);
	put(f, path, r);
}

void fake_remove(struct fake *f, const char *path)
{
	set_row(f, bytes_of(path), (struct fake_row){0});
}

void fake_many(struct fake *f, size_t n)
{
	char path[64];
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "d%04zu/f%07zu.dat", i / 1000, i);
		fake_put(f, path, KIND_FILE, i * 7919 % 1000000, 1700000000 + (int64_t)(i % 100000),
			 ROW_SYNCED, NULL, NULL);
	}
}

void fake_sample(struct fake *f)
{
	static const struct {
		const char *path;
		unsigned kind;
		uint64_t size;
		int64_t mtime;
		enum row_state state;
		const char *cells, *note;
	} rows[] = {
		{"design/api.md", KIND_FILE, 12390, 1795356060, ROW_SYNCED, "===", ""},
		{"design/logo-final-final.svg", KIND_FILE, 1468006, 1795252380, ROW_SYNCED,
		 "===", ""},
		{"design/notes.txt", KIND_FILE, 4302, 1795355880, ROW_CONFLICT, "!!?", "conflict"},
		{"photos/2026/img_8812.raw", KIND_FILE, 44564480, 1795356180, ROW_WAITING, "=<?",
		 "73%"},
		{"photos/2026/img_8813.raw", KIND_FILE, 44564480, 1795356180, ROW_WAITING, "=~?",
		 "queued"},
		{"video/intro-4k.mov", KIND_FILE, 13743895347, 1795354800, ROW_WAITING, "=<?",
		 "47%"},
		{"video/intro-4k.srt", KIND_FILE, 31744, 1795354860, ROW_WAITING, "=~?", "queued"},
		{"video/outtakes.tar", KIND_FILE, 103293963469, 1795212420, ROW_SYNCED, "===", ""},
		{"video/v\xc3\xa9rit\xc3\xa9-\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.mov", KIND_FILE,
		 1181116006, 1794932160, ROW_SYNCED, "===", ""},
		{"build.log", KIND_FILE, 90829, 1795356180, ROW_RECEIVING, "<=?", "receiving"},
		{"caf\xc3\xa9-r\xc3\xa9sum\xc3\xa9.pdf", KIND_FILE, 225690, 1793616240, ROW_SYNCED,
		 "===", ""},
		{"esc\x1b[31mred.txt", KIND_FILE, 17, 1793347200, ROW_SYNCED, "===", ""},
		{"Makefile", KIND_FILE, 2411, 1795108800, ROW_SYNCED, "===", ""},
		{"latest", KIND_SYMLINK, 9, 1795108800, ROW_SYNCED, "===", ""},
		{"old-plan.txt", KIND_FILE, 9120, 1795005060, ROW_DELETED, "=x?",
		 "deleted on beta"},
		{"private.key", KIND_FILE, 1704, 1795108800, ROW_BLOCKED,
		 "=E=", "no access on beta"},
		{"README", KIND_FILE, 6007, 1795108800, ROW_SYNCED, "===", ""},
		{"test-results-2026-11-17-a-very-long-name-for-a-file-nightly.csv", KIND_FILE,
		 1181116, 1794932160, ROW_SYNCED, "===", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fake_put(f, rows[i].path, rows[i].kind, rows[i].size, rows[i].mtime, rows[i].state,
			 f->n_servers == 3 ? rows[i].cells : NULL, rows[i].note);
	of(f, tree_find(f->tree, bytes_of("Makefile")))->executable = true;
	f->conflicts = 1;
	if (f->n_servers != 3)
		return;
	f->servers[1].state = "receiving";
	f->servers[1].pending_files = 212;
	f->servers[1].pending_bytes = 7000000000;
	f->servers[2].state = "offline";
	f->servers[2].error = "connection refused";
	f->servers[2].since = INT64_C(1795354620000000000);
	f->servers[2].retry_ms = 8000;
	f->servers[2].tries = 4;
}

/* ---- tables ------------------------------------------------------------------------------ */

static struct fake_table *find_table(struct fake *f, const msgpack_object *params)
{
	uint64_t id;
	wire_get_uint(params, "table", UINT32_MAX, &id);
	for (size_t i = 0; id > 0 && i < FAKE_TABLES_MAX; i++)
		if (f->tables[i].id == id)
			return &f->tables[i];
	return NULL;
}

static const char *open_table(struct fake *f, const msgpack_object *params, struct buf *result)
{
	struct table_query q = {.under = NODE_ROOT};
	struct fake_table *t = f->tables;
	struct bytes sort;
	while (t < f->tables + FAKE_TABLES_MAX && t->id)
		t++;
	if (t == f->tables + FAKE_TABLES_MAX)
		return "too many tables";
	wire_get_str(params, "sort", &sort);
	if (table_sort_parse(sort) < 0)
		return "no such order";
	q.sort = (enum table_sort)table_sort_parse(sort);
	wire_get_bool(params, "reverse", &q.reverse);
	wire_get_bool(params, "tree", &q.tree);
	wire_get_bool(params, "only", &q.only_unsynced);
	wire_get_str(params, "filter", &q.filter);
	*t = (struct fake_table){.id = ++f->last_table, .tree = q.tree};
	t->table = table_open(f->rows, &q);
	const msgpack_object *unfold = wire_get(params, "unfold");
	for (size_t i = 0; q.tree && i < wire_count(unfold); i++) {
		struct bytes path;
		wire_as_bytes(wire_at(unfold, i), &path);
		node_t n = tree_find(f->tree, path);
		if (n != NODE_NONE)
			table_fold(t->table, n, true);
	}
	wire_map(result, 2);
	wire_put_uint(result, "table", t->id);
	wire_put_uint(result, "rows", table_count(t->table));
	return NULL;
}

static void pack_row(struct fake *f, struct fake_table *t, node_t n, struct buf *out)
{
	const struct fake_row *r = of(f, n);
	struct buf path = {0};
	bool dir = r->row.kind == KIND_DIR;
	struct totals totals = {0};
	tree_path(f->tree, n, &path);
	if (dir)
		totals = rows_totals(f->rows, n);
	enum row_state state = dir ? totals.worst : r->row.state;
	struct fake_row cells = *r;
	char note[48];
	snprintf(note, sizeof(note), "%s", r->note);
	if (dir && totals.unsynced > 0) {
		snprintf(note, sizeof(note), "%u left", totals.unsynced);
		if (f->n_servers > 1)
			cells.cells[1] = '<';
	}
	unsigned flags = (dir && t->tree && table_unfolded(t->table, n) ? 1 : 0) |
			 (r->conflict_copy ? 2 : 0) | (r->executable ? 4 : 0);
	wire_array(out, 10);
	wire_bin(out, (struct bytes){path.data, path.len});
	wire_uint(out, table_depth(t->table, n));
	wire_uint(out, r->row.kind == KIND_FILE ? 1 : dir ? 2 : 3);
	wire_uint(out, dir ? totals.bytes : r->row.size);
	wire_int(out, r->row.mtime);
	wire_text(out, row_state_text(state));
	wire_text(out, cells.cells);
	wire_text(out, note);
	wire_uint(out, flags);
	wire_uint(out, totals.files);
	buf_release(&path);
}

static void pack_rows(struct fake *f, struct fake_table *t, struct buf *out)
{
	struct totals totals = rows_totals(f->rows, NODE_ROOT);
	uint64_t total = table_count(t->table), first = t->first, anchor = 0;
	bool exact;
	if (t->anchored) {
		uint64_t position = table_position(t->table, t->at, &exact);
		if (position >= total && total > 0)
			position = total - 1;
		first = position > t->line ? position - t->line : 0;
		if (first + t->window > total)
			first = total > t->window ? total - t->window : 0;
		anchor = position - first;
	} else if (first >= total) {
		first = total > 0 ? total - 1 : 0;
	}
	uint64_t n = total - first < t->window ? total - first : t->window;
	t->seen = table_generation(t->table);
	wire_map(out, 9);
	wire_put_uint(out, "table", t->id);
	wire_put_uint(out, "gen", t->seen);
	wire_put_uint(out, "total", total);
	wire_put_uint(out, "first", first);
	wire_put_uint(out, "anchor", anchor);
	wire_put_uint(out, "files", totals.files);
	wire_put_uint(out, "bytes", totals.bytes);
	wire_put_uint(out, "unsynced", totals.unsynced);
	wire_key(out, "rows");
	wire_array(out, n);
	for (uint64_t i = 0; i < n; i++)
		pack_row(f, t, table_at(t->table, first + i), out);
}

static const char *set_window(struct fake *f, struct fake_table *t, const msgpack_object *params,
			      struct buf *result)
{
	uint64_t rows;
	struct bytes at;
	f->windows++;
	wire_get_uint(params, "rows", 500, &rows);
	t->window = (unsigned)rows;
	t->anchored = wire_get_bytes(params, "at", &at);
	wire_get_uint(params, "line", 500, &t->line);
	wire_get_uint(params, "first", UINT64_MAX, &t->first);
	if (t->anchored)
		t->at = tree_add(f->tree, at);
	if (t->anchored)
		of(f, t->at);
	pack_rows(f, t, result);
	return NULL;
}

static const char *find(struct fake *f, struct fake_table *t, const msgpack_object *params,
			struct buf *result)
{
	struct bytes text, from;
	bool back, exact;
	struct buf path = {0};
	wire_get_str(params, "text", &text);
	wire_get_bytes(params, "from", &from);
	wire_get_bool(params, "back", &back);
	node_t start = tree_find(f->tree, from);
	node_t n = table_find(t->table, text, start == NODE_NONE ? NODE_ROOT : start, back);
	if (n != NODE_NONE) {
		table_reveal(t->table, n);
		tree_path(f->tree, n, &path);
	}
	wire_map(result, 3);
	wire_put_bool(result, "found", n != NODE_NONE);
	wire_put_bin(result, "path", (struct bytes){path.data, path.len});
	wire_put_uint(result, "position", n == NODE_NONE ? 0 : table_position(t->table, n, &exact));
	buf_release(&path);
	return NULL;
}

static const char *fold(struct fake *f, struct fake_table *t, const msgpack_object *params,
			struct buf *result)
{
	struct bytes path;
	bool open, all;
	wire_get_bytes(params, "path", &path);
	wire_get_bool(params, "open", &open);
	wire_get_bool(params, "all", &all);
	node_t n = tree_find(f->tree, path);
	if (all)
		table_fold_all(t->table, open);
	else if (n != NODE_NONE)
		table_fold(t->table, n, open);
	wire_map(result, 1);
	wire_put_uint(result, "rows", table_count(t->table));
	return NULL;
}

bool fake_changed_rows(struct fake *f, struct buf *params)
{
	for (size_t i = 0; i < FAKE_TABLES_MAX; i++) {
		struct fake_table *t = &f->tables[i];
		if (t->id && t->window > 0 && t->seen != table_generation(t->table)) {
			pack_rows(f, t, params);
			return true;
		}
	}
	return false;
}

/* ---- the rest ---------------------------------------------------------------------------- */

static uint64_t fake_held_paths(const struct fake *f)
{
	uint64_t n = 0;
	for (size_t i = 0; i < f->past.n_held; i++)
		n += f->past.held[i].n;
	return n;
}

void fake_status(struct fake *f, struct buf *b)
{
	struct totals totals = rows_totals(f->rows, NODE_ROOT);
	wire_map(b, 14);
	wire_put_text(b, "name", f->servers[0].name);
	wire_put_text(b, "id", "0123456789abcdef0123456789abcdef");
	wire_put_text(b, "root", f->root);
	wire_key(b, "replicas");
	wire_array(b, f->n_servers);
	for (size_t i = 0; i < f->n_servers; i++) {
		const struct fake_server_state *s = &f->servers[i];
		wire_map(b, 15);
		wire_put_text(b, "name", s->name);
		wire_put_text(b, "id", s->name);
		wire_put_text(b, "address", s->address);
		wire_put_text(b, "state", s->state);
		wire_put_int(b, "since", s->since);
		wire_put_uint(b, "retry_ms", s->retry_ms);
		wire_put_uint(b, "tries", s->tries);
		wire_put_text(b, "error", s->error);
		wire_put_uint(b, "pending_files", s->pending_files);
		wire_put_uint(b, "pending_bytes", s->pending_bytes);
		wire_put_uint(b, "lag_ms", 0);
		wire_put_uint(b, "files", totals.files);
		wire_put_uint(b, "bytes", totals.bytes);
		wire_put_uint(b, "problems", s->problems);
		wire_put_uint(b, "held", i ? s->held : fake_held_paths(f));
	}
	wire_put_uint(b, "rows", totals.files + totals.dirs);
	wire_put_uint(b, "files", totals.files);
	wire_put_uint(b, "bytes", totals.bytes);
	wire_put_bool(b, "in_sync", totals.unsynced == 0);
	wire_put_uint(b, "conflicts", f->conflicts);
	wire_put_uint(b, "held", fake_held_paths(f));
	wire_put_uint(b, "asking", fake_keys_asking(&f->keys));
	wire_put_bool(b, "scanning", f->scanning);
	wire_key(b, "problems");
	wire_array(b, 0);
	wire_key(b, "notes");
	wire_array(b, 0);
}

void fake_event(struct fake *f, struct buf *b, int64_t time_s, const char *what, const char *path,
		const char *replica, const char *detail)
{
	struct buf *kept = &f->events[f->next_event % FAKE_EVENTS_MAX];
	buf_clear(kept);
	wire_map(kept, 6);
	wire_put_uint(kept, "n", f->next_event++);
	wire_put_int(kept, "time", time_s * 1000000000);
	wire_put_text(kept, "event", what);
	wire_put_bin(kept, "path", bytes_of(path));
	wire_put_text(kept, "replica", replica);
	wire_put_text(kept, "detail", detail);
	if (b)
		buf_add(b, kept->data, kept->len);
}

static void answer_events(struct fake *f, const msgpack_object *params, struct buf *b)
{
	uint64_t since;
	bool given = wire_get_uint(params, "since", UINT64_MAX, &since);
	uint64_t from = !given ? f->next_event : since < f->first_event ? f->first_event : since;
	if (from > f->next_event)
		from = f->next_event;
	wire_map(b, 4);
	wire_put_uint(b, "first", from);
	wire_put_uint(b, "next", f->next_event);
	wire_put_bool(b, "gap", given && since < f->first_event);
	wire_key(b, "events");
	wire_array(b, (size_t)(f->next_event - from));
	for (uint64_t n = from; n < f->next_event; n++)
		buf_add(b, f->events[n % FAKE_EVENTS_MAX].data, f->events[n % FAKE_EVENTS_MAX].len);
}

void fake_progress(struct fake *f, struct buf *b, bool running)
{
	static const struct {
		const char *path;
		uint64_t done, size, rate;
	} transfers[] = {
		{"video/intro-4k.mov", 6442450944, 13743895347, 4100000},
		{"photos/2026/img_8812.raw", 32505856, 44564480, 100000},
	};
	size_t n = running && f->n_servers > 1 ? ARRAY_LEN(transfers) : 0;
	wire_map(b, 7);
	wire_put_uint(b, "in", 0);
	wire_put_uint(b, "out", running ? 4200000 : 0);
	wire_key(b, "transfers");
	wire_array(b, n);
	for (size_t i = 0; i < n; i++) {
		wire_map(b, 6);
		wire_put_bin(b, "path", bytes_of(transfers[i].path));
		wire_put_text(b, "from", f->servers[0].name);
		wire_put_text(b, "to", f->servers[1].name);
		wire_put_uint(b, "done", transfers[i].done);
		wire_put_uint(b, "size", transfers[i].size);
		wire_put_uint(b, "rate", transfers[i].rate);
	}
	wire_put_uint(b, "active", n);
	wire_put_uint(b, "done", running ? 6474956800 : 0);
	wire_put_uint(b, "size", running ? 13788459827 : 0);
	wire_key(b, "resync");
	wire_nil(b);
}

static const char *answer_row(struct fake *f, const msgpack_object *params, struct buf *b)
{
	struct bytes path;
	static const uint8_t hash[HASH_SIZE] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc};
	wire_get_bytes(params, "path", &path);
	node_t n = tree_find(f->tree, path);
	if (n == NODE_NONE || of(f, n)->row.kind == KIND_ABSENT)
		return "no such row";
	const struct fake_row *r = of(f, n);
	size_t heads = r->row.state == ROW_CONFLICT ? 2 : 1;
	wire_map(b, 7);
	wire_put_bin(b, "path", path);
	wire_key(b, "heads");
	wire_array(b, heads);
	for (size_t i = 0; i < heads; i++) {
		wire_map(b, 8);
		wire_put_uint(b, "kind", r->row.kind);
		wire_put_uint(b, "size", r->row.size + i);
		wire_put_int(b, "mtime", r->row.mtime - (int64_t)i * 9000000000);
		wire_put_fixed(b, "hash", hash, sizeof(hash));
		wire_key(b, "target");
		wire_nil(b);
		wire_put_text(b, "replica", f->servers[i % f->n_servers].name);
		wire_put_uint(b, "counter", 42 + i);
		wire_put_int(b, "rank", r->row.mtime);
	}
	wire_put_uint(b, "mode", 0644);
	wire_key(b, "replicas");
	wire_array(b, f->n_servers);
	for (size_t i = 0; i < f->n_servers; i++) {
		char cell[2] = {r->cells[i], '\0'};
		wire_map(b, 3);
		wire_put_text(b, "name", f->servers[i].name);
		wire_put_text(b, "cell", cell);
		wire_put_text(b, "reason", r->cells[i] == '=' ? "" : r->note);
	}
	wire_put_text(b, "state", row_state_text(r->row.state));
	wire_put_text(b, "reason", r->note);
	wire_key(b, "events");
	wire_array(b, 0);
	return NULL;
}

static void answer_resync(struct fake *f, struct buf *b)
{
	f->resyncs++;
	wire_map(b, 1);
	wire_key(b, "replicas");
	wire_array(b, f->n_servers);
	for (size_t i = 0; i < f->n_servers; i++) {
		bool ok = strcmp(f->servers[i].state, "offline") != 0;
		wire_map(b, 5);
		wire_put_text(b, "name", f->servers[i].name);
		wire_put_bool(b, "ok", ok);
		wire_put_uint(b, "looked", ok ? 600 : 0);
		wire_put_uint(b, "changed", ok ? 1 : 0);
		wire_put_text(b, "reason", ok ? "" : "offline");
	}
}

static void answer_peers(struct fake *f, struct buf *b)
{
	wire_map(b, 2);
	wire_key(b, "keys");
	fake_keys_pack(&f->keys, b);
	wire_key(b, "peers");
	wire_array(b, f->n_servers - 1);
	for (size_t i = 1; i < f->n_servers; i++) {
		const struct fake_server_state *s = &f->servers[i];
		wire_map(b, 11);
		wire_put_text(b, "address", s->address);
		wire_put_text(b, "name", s->name);
		wire_put_text(b, "id", s->name);
		wire_put_text(b, "state",
			      strcmp(s->state, "offline") == 0 ? "waiting" : "connected");
		wire_put_text(b, "direction", "out");
		wire_put_int(b, "since", s->since);
		wire_put_uint(b, "retry_ms", s->retry_ms);
		wire_put_uint(b, "tries", s->tries);
		wire_put_text(b, "error", s->error);
		wire_put_uint(b, "in", 1200000 * i);
		wire_put_uint(b, "out", 88000 * i);
	}
}

const char *fake_call(struct fake *f, struct bytes method, const msgpack_object *params,
		      struct buf *result)
{
	struct fake_table *t = find_table(f, params);
	const char *error;
	if (fake_past_call(f, method, params, result, &error) ||
	    fake_keys_call(&f->keys, method, params, result, &error))
		return error;
	if (bytes_eq(method, bytes_of("table.open")))
		return open_table(f, params, result);
	if (bytes_eq(method, bytes_of("status"))) {
		fake_status(f, result);
	} else if (bytes_eq(method, bytes_of("events"))) {
		answer_events(f, params, result);
	} else if (bytes_eq(method, bytes_of("row"))) {
		return answer_row(f, params, result);
	} else if (bytes_eq(method, bytes_of("resync"))) {
		answer_resync(f, result);
	} else if (bytes_eq(method, bytes_of("peers"))) {
		answer_peers(f, result);
	} else if (!t) {
		return "no such table";
	} else if (bytes_eq(method, bytes_of("table.window"))) {
		return set_window(f, t, params, result);
	} else if (bytes_eq(method, bytes_of("table.find"))) {
		return find(f, t, params, result);
	} else if (bytes_eq(method, bytes_of("table.fold"))) {
		return fold(f, t, params, result);
	} else if (bytes_eq(method, bytes_of("table.close"))) {
		table_close(t->table);
		t->id = 0;
		wire_map(result, 0);
	} else {
		return "no such method";
	}
	return NULL;
}
