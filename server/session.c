/* Owns the clients: what each has open, what it waits for, and what it was told last. */
#include "config.h"
#include "session.h"

#include "conn.h"
#include "keyring.h"
#include "net.h"
#include "past.h"
#include "path.h"
#include "resync.h"
#include "rows.h"
#include "held.h"
#include "settle.h"
#include "status.h"
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	STATUS_PER_S = 2,
	PROGRESS_PER_S = 4,
	CLOGGED_RETRY_MS = 50,
	ROW_EVENTS = 20,        /* events shown with one row */
	EVENTS_BATCH_BYTES = 256 * 1024,
};

/* The part of a table that a client sees. */
struct window {
	bool open;
	uint64_t rows;
	bool anchored;
	node_t anchor;   /* stands on line `line`, as far as possible */
	uint64_t line;
	uint64_t first;  /* of one that is not anchored; else where the anchor stood last */
};

struct view {
	uint32_t id;
	struct table *table;
	node_t under;
	bool by_name;
	struct window window;
	struct buf sent;     /* what the client has: all but the generation */
	uint64_t gen;
	double next;         /* not before */
	bool due;
};

struct wait {
	uint32_t id;
	double until;   /* 0: for ever */
	uint64_t round; /* not before this round of listing is done */
};

struct asker {
	struct session *session; /* NULL once it has gone */
	struct asker *next;      /* of the same session */
	uint32_t id;
};

struct session {
	struct sessions *all;
	struct session *prev, *next;
	struct conn *conn;
	enum message_party party;
	struct view views[SESSION_TABLES_MAX];
	size_t n_views;
	uint32_t next_table;
	struct wait waits[SESSION_WAITS_MAX];
	size_t n_waits, resyncs, n_askers;
	struct asker *askers;
	bool told;            /* it asked for events: status and progress too */
	uint64_t next_event;
	bool status_due;
	double status_next;
	struct buf status;    /* as it was sent last */
	bool moving;          /* it was told of progress, and not yet of its end */
	unsigned turn;        /* of the loop, in which ... */
	size_t queued;        /* so much was put in its queue */
};

struct sessions {
	struct daemon *d;
	struct session *first;
	ev_timer later;       /* what was held back */
	ev_timer progress;    /* runs while something moves */
	struct rates rates;
	uint64_t rounds, rounds_done; /* of listing what no watch tells of, for those who wait */
};

static void push(struct sessions *all);
static void on_later(struct ev_loop *loop, ev_timer *w, int events);
static void on_progress(struct ev_loop *loop, ev_timer *w, int events);

struct sessions *sessions_new(struct daemon *d)
{
	struct sessions *all = xcalloc(1, sizeof(*all));
	all->d = d;
	ev_init(&all->later, on_later);
	ev_init(&all->progress, on_progress);
	all->later.data = all->progress.data = all;
	all->progress.repeat = 1. / PROGRESS_PER_S;
	return all;
}

void sessions_free(struct sessions *all)
{
	assert(!all->first);
	ev_timer_stop(all->d->loop, &all->later);
	ev_timer_stop(all->d->loop, &all->progress);
	free(all);
}

struct session *session_new(struct sessions *all, struct conn *c, enum message_party party)
{
	struct session *s = xcalloc(1, sizeof(*s));
	s->all = all;
	s->conn = c;
	s->party = party;
	s->next_table = 1;
	s->next = all->first;
	if (s->next)
		s->next->prev = s;
	all->first = s;
	return s;
}

static void view_close(struct session *s, struct view *v)
{
	table_close(v->table);
	buf_release(&v->sent);
	*v = s->views[--s->n_views];
}

void session_free(struct session *s)
{
	struct sessions *all = s->all;
	resync_forget_client(all->d->resyncs, s);
	while (s->n_views)
		view_close(s, &s->views[0]);
	for (struct asker *a = s->askers; a; a = a->next)
		a->session = NULL;
	if (s->prev)
		s->prev->next = s->next;
	else
		all->first = s->next;
	if (s->next)
		s->next->prev = s->prev;
	buf_release(&s->status);
	free(s);
}

/* ---- sending ---------------------------------------------------------------------------- */

static void session_send(struct session *s, struct buf *frame)
{
	unsigned now = ev_iteration(s->all->d->loop);
	if (s->turn != now) {
		s->turn = now;
		s->queued = 0;
	}
	s->queued += frame->len;
	conn_send(s->conn, frame);
	buf_release(frame);
}

/* It has not yet taken what was sent in earlier turns. */
static bool is_clogged(const struct session *s)
{
	size_t fresh = s->turn == ev_iteration(s->all->d->loop) ? s->queued : 0;
	return conn_queued(s->conn) > fresh;
}

static void refuse(struct session *s, uint32_t id, const char *code, const char *text)
{
	struct buf b = {0};
	wire_error(&b, id, code, "%s", text);
	session_send(s, &b);
}

/* A response with a map that was packed before. */
static void respond(struct session *s, uint32_t id, const struct buf *map)
{
	struct buf b = {0};
	size_t mark = wire_begin_response(&b, id);
	buf_add(&b, map->data, map->len);
	if (!wire_finish(&b, mark))
		wire_error(&b, id, ERROR_FAILED, "the answer is too long");
	session_send(s, &b);
}

static void respond_and_release(struct session *s, uint32_t id, struct buf *map)
{
	respond(s, id, map);
	buf_release(map);
}

void session_respond(struct session *s, uint32_t id, const struct buf *map, const char *code,
		     const char *text)
{
	assert(s->resyncs);
	s->resyncs--;
	if (map)
		respond(s, id, map);
	else
		refuse(s, id, code, text);
}

static bool has_enough(struct session *s, uint32_t id)
{
	if (s->n_waits + s->resyncs + s->n_askers < SESSION_WAITS_MAX)
		return false;
	refuse(s, id, ERROR_BUSY, "too many requests wait for their answer");
	return true;
}

struct asker *session_ask(struct session *s, uint32_t id)
{
	if (has_enough(s, id))
		return NULL;
	struct asker *a = xcalloc(1, sizeof(*a));
	*a = (struct asker){.session = s, .next = s->askers, .id = id};
	s->askers = a;
	s->n_askers++;
	return a;
}

void asker_answer(struct asker *a, const struct buf *map, const char *code, const char *text)
{
	struct session *s = a->session;
	if (s) {
		struct asker **at = &s->askers;
		while (*at != a)
			at = &(*at)->next;
		*at = a->next;
		s->n_askers--;
		if (map)
			respond(s, a->id, map);
		else
			refuse(s, a->id, code, text);
	}
	free(a);
}

/* ---- rows ------------------------------------------------------------------------------- */

enum { FLAG_UNFOLDED = 1, FLAG_CONFLICT_COPY = 2, FLAG_EXECUTABLE = 4 };


static const char *state_word(const struct row *row, const struct totals *below)
{
	if (row->kind == KIND_ABSENT)
		return "";
	uint8_t state = row->state;
	if (row->kind == KIND_DIR && below->worst > state)
		state = below->worst;
	return row_state_text(state);
}

static void pack_cells(struct daemon *d, const struct columns *c, node_t n, struct buf *out)
{
	struct buf cells = {0};
	engine_cells(d->engine, n, &cells);
	for (size_t i = c->n_members; i < c->n; i++)
		buf_add_char(&cells, '?'); /* a server that was never heard of */
	status_put_str(out, (struct bytes){cells.data, cells.len}, REPLICAS_MAX);
	buf_release(&cells);
}

static void pack_note(struct daemon *d, node_t n, const struct row *row, struct bytes path,
		      struct buf *out)
{
	struct buf note = {0};
	int percent = row->state == ROW_RECEIVING && row->kind != KIND_DIR
		? transfers_percent(d->transfers, path) : -1;
	if (percent >= 0)
		buf_addf(&note, "%d%%", percent);
	else
		engine_note(d->engine, n, &note);
	status_put_str(out, (struct bytes){note.data, note.len}, 1024);
	buf_release(&note);
}

static void pack_row(struct daemon *d, const struct columns *c, const struct view *v, node_t n,
		     struct buf *path, struct buf *out)
{
	struct row row = rows_row(engine_rows(d->engine), n);
	struct totals below = {0};
	struct entry_view entry;
	tree_path(engine_tree(d->engine), n, path);
	struct bytes p = {path->data, path->len};
	if (row.kind == KIND_DIR)
		below = rows_totals(engine_rows(d->engine), n);
	unsigned flags = 0;
	if (row.kind == KIND_DIR && table_unfolded(v->table, n))
		flags |= FLAG_UNFOLDED;
	if (path_is_conflict_name(p))
		flags |= FLAG_CONFLICT_COPY;
	if (row.kind == KIND_FILE && engine_entry(d->engine, n, &entry) &&
	    (entry.state->mode.bits & 0111))
		flags |= FLAG_EXECUTABLE;
	wire_array(out, 10);
	wire_bin(out, p);
	wire_uint(out, table_depth(v->table, n));
	wire_uint(out, row.kind);
	wire_uint(out, row.kind == KIND_DIR ? below.bytes : row.size);
	wire_int(out, row.mtime);
	wire_text(out, state_word(&row, &below));
	pack_cells(d, c, n, out);
	pack_note(d, n, &row, p, out);
	wire_uint(out, flags);
	wire_uint(out, below.files);
}

/* Where the window begins, and on which of its lines the anchor stands. */
static uint64_t window_first(struct view *v, uint64_t *line)
{
	struct window *w = &v->window;
	uint64_t total = table_count(v->table);
	uint64_t last = total > w->rows ? total - w->rows : 0;
	*line = 0;
	if (!w->anchored)
		return w->first < last ? w->first : last;
	bool exact;
	uint64_t at = table_position(v->table, w->anchor, &exact);
	if (!exact && !v->by_name)
		at = w->first; /* it had a place by its size or date, and has none now */
	if (total && at >= total)
		at = total - 1;
	if (!exact && total)
		w->anchor = table_at(v->table, (size_t)at); /* what took its place */
	if (!total)
		at = 0;
	w->first = at;
	uint64_t first = at > w->line ? at - w->line : 0;
	if (first > last)
		first = last;
	*line = at - first;
	return first;
}

/* Everything of table.rows but `table` and `gen`. */
enum { WINDOW_KEYS = 7 };

static void pack_window(struct daemon *d, struct view *v, struct buf *out)
{
	struct columns c = status_columns(d);
	struct totals totals = rows_totals(engine_rows(d->engine), v->under);
	struct buf path = {0};
	uint64_t line, first = window_first(v, &line);
	wire_put_uint(out, "total", table_count(v->table));
	wire_put_uint(out, "first", first);
	wire_put_uint(out, "anchor", line);
	wire_put_uint(out, "files", totals.files);
	wire_put_uint(out, "bytes", totals.bytes);
	wire_put_uint(out, "unsynced", totals.unsynced);
	wire_key(out, "rows");
	size_t mark = wire_array_begin(out), n = 0;
	size_t room = WIRE_FRAME_MAX - 32 * 1024, start = out->len;
	while (n < v->window.rows && out->len - start < room) {
		node_t at = table_at(v->table, (size_t)first + n);
		if (at == NODE_NONE)
			break;
		pack_row(d, &c, v, at, &path, out);
		n++;
	}
	wire_array_end(out, mark, n);
	buf_release(&path);
}

static void pack_head_of_window(struct view *v, struct buf *out)
{
	wire_map(out, WINDOW_KEYS + 2);
	wire_put_uint(out, "table", v->id);
	wire_put_uint(out, "gen", ++v->gen);
}

static double per_second(double now, int n)
{
	return now + 1. / n;
}

static void push_view(struct session *s, struct view *v)
{
	struct daemon *d = s->all->d;
	struct buf now = {0};
	v->due = false;
	if (!v->window.open)
		return;
	pack_window(d, v, &now);
	if (now.len == v->sent.len && memcmp(now.data, v->sent.data, now.len) == 0) {
		buf_release(&now);
		return;
	}
	v->next = per_second(ev_now(d->loop), SESSION_ROWS_PER_S);
	struct buf frame = {0};
	size_t mark = wire_begin_notification(&frame, message_name(MESSAGE_TABLE_ROWS));
	pack_head_of_window(v, &frame);
	buf_add(&frame, now.data, now.len);
	bool fits = wire_finish(&frame, mark);
	assert(fits);
	session_send(s, &frame);
	buf_release(&v->sent);
	v->sent = now;
}

/* ---- requests about tables -------------------------------------------------------------- */

static struct view *view_of(struct session *s, uint32_t id, const msgpack_object *params)
{
	uint64_t table;
	wire_get_uint(params, "table", UINT32_MAX, &table);
	for (size_t i = 0; i < s->n_views; i++)
		if (s->views[i].id == table)
			return &s->views[i];
	refuse(s, id, ERROR_NOT_FOUND, "no such table is open");
	return NULL;
}

static node_t known(struct session *s, struct bytes path)
{
	return tree_find(engine_tree(s->all->d->engine), path);
}

/* The path itself, or the nearest folder above it that is known. */
static node_t nearest(struct session *s, struct bytes path)
{
	node_t n = known(s, path);
	while (n == NODE_NONE) {
		path = path_parent(path);
		n = known(s, path);
	}
	return n;
}

static void on_table_open(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct bytes sort, under, filter;
	struct table_query q = {0};
	if (s->n_views == SESSION_TABLES_MAX) {
		refuse(s, id, ERROR_BUSY, "too many tables are open; close one");
		return;
	}
	wire_get_str(params, "sort", &sort);
	wire_get_bytes(params, "under", &under);
	wire_get_str(params, "filter", &filter);
	wire_get_bool(params, "reverse", &q.reverse);
	wire_get_bool(params, "tree", &q.tree);
	wire_get_bool(params, "only", &q.only_unsynced);
	int by = table_sort_parse(sort);
	q.under = known(s, under);
	if (by < 0 || q.under == NODE_NONE) {
		refuse(s, id, ERROR_NOT_FOUND,
		       by < 0 ? "no such order" : "no such folder is known here");
		return;
	}
	q.sort = (enum table_sort)by;
	q.filter = filter;
	struct view *v = &s->views[s->n_views++];
	*v = (struct view){
		.id = s->next_table++, .table = table_open(engine_rows(s->all->d->engine), &q),
		.under = q.under, .by_name = q.sort == SORT_NAME,
	};
	const msgpack_object *unfold = wire_get(params, "unfold");
	for (size_t i = 0; q.tree && i < wire_count(unfold); i++) {
		struct bytes path;
		wire_as_bytes(wire_at(unfold, i), &path);
		node_t n = known(s, path);
		if (n != NODE_NONE)
			table_fold(v->table, n, true);
	}
	struct buf map = {0};
	wire_map(&map, 2);
	wire_put_uint(&map, "table", v->id);
	wire_put_uint(&map, "rows", table_count(v->table));
	respond_and_release(s, id, &map);
}

static void on_table_window(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct view *v = view_of(s, id, params);
	struct bytes at;
	if (!v)
		return;
	struct window w = {.open = true};
	wire_get_uint(params, "rows", SESSION_ROWS_MAX, &w.rows);
	wire_get_uint(params, "first", INT64_MAX, &w.first);
	if (wire_get_bytes(params, "at", &at)) {
		w.anchored = true;
		w.anchor = nearest(s, at);
		wire_get_uint(params, "line", SESSION_ROWS_MAX, &w.line);
		bool exact;
		w.first = table_position(v->table, w.anchor, &exact);
	}
	v->window = w;
	buf_clear(&v->sent);
	pack_window(s->all->d, v, &v->sent);
	struct buf map = {0};
	pack_head_of_window(v, &map);
	buf_add(&map, v->sent.data, v->sent.len);
	respond_and_release(s, id, &map);
	v->next = per_second(ev_now(s->all->d->loop), SESSION_ROWS_PER_S);
	v->due = false;
}

static void on_table_find(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct view *v = view_of(s, id, params);
	struct bytes text, from;
	bool back;
	if (!v)
		return;
	wire_get_str(params, "text", &text);
	wire_get_bytes(params, "from", &from);
	wire_get_bool(params, "back", &back);
	node_t found = text.len ? table_find(v->table, text, nearest(s, from), back) : NODE_NONE;
	struct buf map = {0}, path = {0};
	bool exact;
	size_t position = 0;
	if (found != NODE_NONE) {
		table_reveal(v->table, found);
		position = table_position(v->table, found, &exact);
		tree_path(engine_tree(s->all->d->engine), found, &path);
	}
	wire_map(&map, 3);
	wire_put_bool(&map, "found", found != NODE_NONE);
	wire_put_bin(&map, "path", (struct bytes){path.data, path.len});
	wire_put_uint(&map, "position", position);
	buf_release(&path);
	respond_and_release(s, id, &map);
	v->due = true;
}

static void on_table_locate(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct view *v = view_of(s, id, params);
	struct bytes path;
	if (!v)
		return;
	wire_get_bytes(params, "path", &path);
	bool exact, there = known(s, path) != NODE_NONE;
	size_t position = table_position(v->table, nearest(s, path), &exact);
	struct buf map = {0};
	wire_map(&map, 2);
	wire_put_uint(&map, "position", position);
	wire_put_bool(&map, "exact", exact && there);
	respond_and_release(s, id, &map);
}

static void on_table_fold(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct view *v = view_of(s, id, params);
	struct bytes path;
	bool open, everything;
	if (!v)
		return;
	wire_get_bytes(params, "path", &path);
	wire_get_bool(params, "open", &open);
	wire_get_bool(params, "all", &everything);
	node_t n = known(s, path);
	if (everything)
		table_fold_all(v->table, open);
	else if (n != NODE_NONE)
		table_fold(v->table, n, open);
	else {
		refuse(s, id, ERROR_NOT_FOUND, "no such folder is known here");
		return;
	}
	struct buf map = {0};
	wire_map(&map, 1);
	wire_put_uint(&map, "rows", table_count(v->table));
	respond_and_release(s, id, &map);
	v->due = true;
}

static void on_table_close(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct view *v = view_of(s, id, params);
	if (!v)
		return;
	view_close(s, v);
	struct buf map = {0};
	wire_map(&map, 0);
	respond_and_release(s, id, &map);
}

/* ---- other requests --------------------------------------------------------------------- */

static void pack_event(struct buf *out, const struct event *ev)
{
	wire_map(out, 6);
	wire_put_uint(out, "n", ev->n);
	wire_put_int(out, "time", ev->time_ns);
	wire_put_text(out, "event", ev->word);
	wire_put_bin(out, "path", ev->path);
	wire_key(out, "replica");
	status_put_str(out, ev->replica, 255);
	wire_put_bin(out, "detail", ev->detail);
}

static void on_events(struct session *s, uint32_t id, const msgpack_object *params)
{
	const struct events *events = &s->all->d->events;
	uint64_t since, from = events->next;
	bool gap = false;
	if (wire_get_uint(params, "since", INT64_MAX, &since)) {
		gap = since < events->first || since > events->next;
		from = gap ? events->first : since;
	}
	struct buf map = {0};
	wire_map(&map, 4);
	wire_put_uint(&map, "first", events->first);
	wire_put_uint(&map, "next", events->next);
	wire_put_bool(&map, "gap", gap);
	wire_key(&map, "events");
	wire_array(&map, events->next - from);
	for (uint64_t n = from; n < events->next; n++)
		pack_event(&map, events_get(events, n));
	respond_and_release(s, id, &map);
	s->told = true;
	s->next_event = events->next;
	s->status_due = true;
	s->status_next = 0;
	buf_clear(&s->status);
}

static void on_wait(struct session *s, uint32_t id, const msgpack_object *params)
{
	uint64_t timeout;
	if (has_enough(s, id))
		return;
	wire_get_uint(params, "timeout", UINT32_MAX, &timeout);
	s->waits[s->n_waits++] = (struct wait){
		.id = id, .until = timeout ? ev_now(s->all->d->loop) + (double)timeout / 1000. : 0,
		.round = engine_status(s->all->d->engine).unwatched ? s->all->rounds + 1 : 0,
	};
	watch_drain(s->all->d->watch);
	daemon_touch(s->all->d);
}

static void on_resync(struct session *s, uint32_t id, const msgpack_object *params)
{
	if (has_enough(s, id))
		return;
	s->resyncs++;
	resync_asked_by_client(s->all->d->resyncs, s, id, params);
	daemon_touch(s->all->d);
}

struct reasons {
	struct bytes path;
	struct buf text[REPLICAS_MAX];
	struct buf any;
};

static bool collect_reason(void *ctx, rep_t rep, const struct problem *p)
{
	struct reasons *r = ctx;
	if (bytes_eq(p->path, r->path) && !r->text[rep].len)
		buf_add(&r->text[rep], p->reason.p, p->reason.len);
	return true;
}

static void pack_heads(struct daemon *d, const struct state *state, struct buf *out)
{
	wire_array(out, state ? state->n_heads : 0);
	for (size_t i = 0; state && i < state->n_heads; i++) {
		const struct head *h = &state->heads[i];
		wire_map(out, 8);
		wire_put_uint(out, "kind", h->kind);
		wire_put_uint(out, "size", h->size);
		wire_put_int(out, "mtime", h->mtime);
		wire_key(out, "hash");
		if (h->kind == KIND_DIR)
			wire_nil(out);
		else
			wire_fixed(out, h->hash, HASH_SIZE);
		wire_key(out, "target");
		if (h->kind == KIND_SYMLINK)
			wire_bin(out, (struct bytes){h->target, (size_t)h->size});
		else
			wire_nil(out);
		wire_key(out, "replica");
		status_put_str(out, daemon_replica_name(d, h->dot.rep), 255);
		wire_put_uint(out, "counter", h->dot.counter);
		wire_put_int(out, "rank", h->rank);
	}
}

static void pack_holders(struct daemon *d, node_t n, struct reasons *r, struct buf *out)
{
	struct columns c = status_columns(d);
	struct buf cells = {0};
	engine_cells(d->engine, n, &cells);
	wire_array(out, c.n_members);
	for (size_t i = 0; i < c.n_members; i++) {
		struct bytes cell = {cells.data + i, i < cells.len};
		wire_map(out, 3);
		wire_key(out, "name");
		status_put_str(out, daemon_replica_name(d, c.members[i]), 255);
		wire_key(out, "cell");
		status_put_str(out, cell, 8);
		wire_key(out, "reason");
		const struct buf *text = &r->text[c.members[i]];
		status_put_str(out, (struct bytes){text->data, text->len}, 1024);
	}
	buf_release(&cells);
}

static void pack_events_of(struct daemon *d, struct bytes path, struct buf *out)
{
	uint64_t list[ROW_EVENTS];
	size_t n = 0;
	for (uint64_t i = d->events.next; i > d->events.first && n < ROW_EVENTS; i--)
		if (bytes_eq(events_get(&d->events, i - 1)->path, path))
			list[n++] = i - 1;
	wire_array(out, n);
	while (n)
		pack_event(out, events_get(&d->events, list[--n]));
}

static void on_row(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct daemon *d = s->all->d;
	struct bytes path;
	wire_get_bytes(params, "path", &path);
	node_t n = known(s, path);
	const struct state *target = n == NODE_NONE ? NULL : engine_target(d->engine, n);
	struct row row = n == NODE_NONE ? (struct row){.kind = KIND_ABSENT}
					: rows_row(engine_rows(d->engine), n);
	if (!target && row.kind == KIND_ABSENT) {
		refuse(s, id, ERROR_NOT_FOUND, "no such path is known here");
		return;
	}
	struct reasons *r = xcalloc(1, sizeof(*r));
	r->path = path;
	engine_problems(d->engine, collect_reason, r);
	struct totals below = rows_totals(engine_rows(d->engine), n);
	struct buf map = {0};
	wire_map(&map, 7);
	wire_put_bin(&map, "path", path);
	wire_key(&map, "heads");
	pack_heads(d, target, &map);
	wire_put_uint(&map, "mode", target ? target->mode.bits & MODE_BITS : 0);
	wire_key(&map, "replicas");
	pack_holders(d, n, r, &map);
	wire_put_text(&map, "state", state_word(&row, &below));
	wire_key(&map, "reason");
	pack_note(d, n, &row, path, &map);
	wire_key(&map, "events");
	pack_events_of(d, path, &map);
	for (size_t i = 0; i < REPLICAS_MAX; i++)
		buf_release(&r->text[i]);
	free(r);
	respond_and_release(s, id, &map);
}

static void on_held_decide(struct session *s, uint32_t id, const msgpack_object *params)
{
	struct buf map = {0};
	const char *text, *code = held_decide(s->all->d, params, &map, &text);
	if (code)
		refuse(s, id, code, text);
	else
		respond_and_release(s, id, &map);
}

/* Requests that others answer, now or later. */
static void on_later_answer(struct session *s, int m, const struct wire_frame *f)
{
	struct daemon *d = s->all->d;
	struct asker *a = session_ask(s, f->id);
	if (!a)
		return;
	switch (m) {
	case MESSAGE_RESOLVE:
		settles_resolve(d->settles, a, f->params);
		break;
	case MESSAGE_UNDO:
		settles_undo(d->settles, a, f->params);
		break;
	case MESSAGE_TRASH:
		pasts_trash(d->pasts, a, f->params);
		break;
	case MESSAGE_RESTORE:
		pasts_restore(d->pasts, a, f->params);
		break;
	case MESSAGE_TRUST:
		keyring_on_trust(d->keyring, a, f->params);
		break;
	case MESSAGE_UNTRUST:
		keyring_on_untrust(d->keyring, a, f->params);
		break;
	case MESSAGE_INVITE:
		keyring_on_invite(d->keyring, a, f->params);
		break;
	default:
		pasts_history(d->pasts, a, f->params);
	}
}

void session_frame(struct session *s, const struct wire_frame *f)
{
	struct daemon *d = s->all->d;
	char why[MESSAGE_TEXT_MAX];
	int m = -1;
	if (f->kind == WIRE_RESPONSE)
		snprintf(why, sizeof(why), "a response to nothing");
	else
		m = message_check(f, s->party, PHASE_GREETED, why);
	if (m < 0 && f->kind == WIRE_REQUEST && s->party == PARTY_VIEWER &&
	    message_check(f, PARTY_CLIENT, PHASE_GREETED, why) >= 0) {
		refuse(s, f->id, ERROR_REFUSED, "you are a viewer here, and may only look");
		return;
	}
	if (m < 0 && f->kind == WIRE_REQUEST) {
		refuse(s, f->id, ERROR_BAD_REQUEST, why);
		return;
	}
	struct buf map = {0};
	switch (m) {
	case MESSAGE_PING:
		break;
	case MESSAGE_TABLE_OPEN:
		on_table_open(s, f->id, f->params);
		break;
	case MESSAGE_TABLE_WINDOW:
		on_table_window(s, f->id, f->params);
		break;
	case MESSAGE_TABLE_FIND:
		on_table_find(s, f->id, f->params);
		break;
	case MESSAGE_TABLE_LOCATE:
		on_table_locate(s, f->id, f->params);
		break;
	case MESSAGE_TABLE_FOLD:
		on_table_fold(s, f->id, f->params);
		break;
	case MESSAGE_TABLE_CLOSE:
		on_table_close(s, f->id, f->params);
		break;
	case MESSAGE_STATUS:
		status_pack(d, &map);
		respond_and_release(s, f->id, &map);
		break;
	case MESSAGE_PEERS:
		status_pack_peers(d, &map);
		respond_and_release(s, f->id, &map);
		break;
	case MESSAGE_EVENTS:
		on_events(s, f->id, f->params);
		break;
	case MESSAGE_WAIT:
		on_wait(s, f->id, f->params);
		break;
	case MESSAGE_RESYNC:
		on_resync(s, f->id, f->params);
		break;
	case MESSAGE_ROW:
		on_row(s, f->id, f->params);
		break;
	case MESSAGE_CONFLICTS:
		settles_pack(d->settles, f->params, &map);
		respond_and_release(s, f->id, &map);
		break;
	case MESSAGE_RESOLVE:
	case MESSAGE_UNDO:
	case MESSAGE_TRASH:
	case MESSAGE_RESTORE:
	case MESSAGE_HISTORY:
	case MESSAGE_TRUST:
	case MESSAGE_UNTRUST:
	case MESSAGE_INVITE:
		on_later_answer(s, m, f);
		break;
	case MESSAGE_HELD:
		held_pack(d, f->params, &map);
		respond_and_release(s, f->id, &map);
		break;
	case MESSAGE_HELD_DECIDE:
		on_held_decide(s, f->id, f->params);
		break;
	default:
		conn_bye(s->conn, BYE_PROTOCOL, why);
		return;
	}
	daemon_touch(d); /* what was folded or found is pushed at the end of the turn */
}

/* ---- telling ---------------------------------------------------------------------------- */

static void push_events(struct session *s)
{
	const struct events *events = &s->all->d->events;
	struct buf b = {0};
	if (s->next_event < events->first)
		s->next_event = events->first; /* the numbers show the gap */
	while (s->next_event < events->next && b.len < EVENTS_BATCH_BYTES) {
		size_t mark = wire_begin_notification(&b, message_name(MESSAGE_EVENT));
		pack_event(&b, events_get(events, s->next_event++));
		wire_finish(&b, mark);
	}
	if (b.len)
		session_send(s, &b);
}

static void push_status(struct session *s)
{
	struct daemon *d = s->all->d;
	struct buf now = {0};
	s->status_due = false;
	status_pack(d, &now);
	if (now.len == s->status.len && memcmp(now.data, s->status.data, now.len) == 0) {
		buf_release(&now);
		return;
	}
	struct buf frame = {0};
	size_t mark = wire_begin_notification(&frame, message_name(MESSAGE_STATUS_NOW));
	buf_add(&frame, now.data, now.len);
	wire_finish(&frame, mark);
	session_send(s, &frame);
	buf_release(&s->status);
	s->status = now;
	s->status_next = per_second(ev_now(d->loop), STATUS_PER_S);
}

static void push_progress(struct session *s, bool moving)
{
	struct daemon *d = s->all->d;
	if (!s->told && !s->resyncs && !s->moving)
		return;
	bool mine = moving || s->resyncs;
	if (!mine && !s->moving)
		return;
	if (is_clogged(s))
		return;
	struct rates still = {0};
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, message_name(MESSAGE_PROGRESS));
	wire_map(&b, STATUS_PROGRESS_KEYS + 1);
	status_pack_progress(d, moving ? &s->all->rates : &still, &b);
	wire_key(&b, "resync");
	resync_pack_progress(d->resyncs, s, &b);
	wire_finish(&b, mark);
	session_send(s, &b);
	s->moving = mine;
}

static void on_progress(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sessions *all = w->data;
	bool moving = status_moving(all->d), any = moving;
	(void)events;
	status_rates(all->d, &all->rates);
	for (struct session *s = all->first; s; s = s->next) {
		push_progress(s, moving);
		any = any || s->moving || s->resyncs;
	}
	if (!any)
		ev_timer_stop(loop, w);
	if (moving)
		daemon_touch(all->d); /* rows say how far theirs is */
}

/* What was changed before somebody began to wait, in a folder that has no watch, is to be seen first: one
 * round of listing after the other, as long as there are such waits. */
static void list_for_waits(struct sessions *all)
{
	struct engine_status status = engine_status(all->d->engine);
	bool more = false;
	if (status.looking)
		return;
	all->rounds_done = all->rounds;
	for (struct session *s = all->first; s; s = s->next)
		for (size_t i = 0; i < s->n_waits; i++)
			more = more || s->waits[i].round > all->rounds_done;
	if (!more)
		return;
	all->rounds++;
	if (status.unwatched)
		engine_list_unwatched(daemon_feed(all->d));
	else
		all->rounds_done = all->rounds; /* they have watches now, and were listed as they got them */
}

static void answer_waits(struct session *s, bool all_agree, const struct buf *why)
{
	double now = ev_now(s->all->d->loop);
	for (size_t i = 0; i < s->n_waits;) {
		struct wait w = s->waits[i];
		bool agree = all_agree && w.round <= s->all->rounds_done;
		if (!agree && (!w.until || w.until > now)) {
			i++;
			continue;
		}
		s->waits[i] = s->waits[--s->n_waits];
		struct buf map = {0};
		wire_map(&map, 2);
		wire_put_bool(&map, "in_sync", agree);
		wire_key(&map, "reason");
		status_put_str(&map,
			       agree ? (struct bytes){0} : (struct bytes){why->data, why->len},
			       2048);
		respond_and_release(s, w.id, &map);
	}
}

/* The earlier of two times, 0 being none. */
static double sooner(double a, double b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Sends one client what it may have now. When something is left: the time when that may go. */
static double push_session(struct session *s)
{
	double now = ev_now(s->all->d->loop), next = 0;
	bool events = s->told && s->next_event < s->all->d->events.next;
	if (is_clogged(s)) {
		bool due = events || s->status_due;
		for (size_t i = 0; i < s->n_views; i++)
			due = due || s->views[i].due;
		return due ? now + CLOGGED_RETRY_MS / 1000. : 0;
	}
	if (events)
		push_events(s);
	for (size_t i = 0; i < s->n_views; i++) {
		struct view *v = &s->views[i];
		if (v->due && v->next <= now)
			push_view(s, v);
		else if (v->due)
			next = sooner(next, v->next);
	}
	if (s->told && s->status_due) {
		if (s->status_next <= now)
			push_status(s);
		else
			next = sooner(next, s->status_next);
	}
	if (s->told && s->next_event < s->all->d->events.next)
		next = sooner(next, now + CLOGGED_RETRY_MS / 1000.);
	return next;
}

static void push(struct sessions *all)
{
	struct ev_loop *loop = all->d->loop;
	double next = 0;
	bool waits = false;
	struct buf why = {0};
	for (struct session *s = all->first; s; s = s->next)
		waits = waits || s->n_waits;
	if (waits)
		list_for_waits(all);
	bool agree = waits && status_agree(all->d, &why);
	for (struct session *s = all->first; s; s = s->next) {
		if (s->n_waits)
			answer_waits(s, agree, &why);
		for (size_t i = 0; i < s->n_waits; i++)
			next = sooner(next, s->waits[i].until);
		next = sooner(next, push_session(s));
	}
	buf_release(&why);
	ev_timer_stop(loop, &all->later);
	if (next != 0) {
		double in = next - ev_now(loop);
		ev_timer_set(&all->later, in > .001 ? in : .001, 0.);
		ev_timer_start(loop, &all->later);
	}
}

static void on_later(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	push(w->data);
}

static bool wants_progress(const struct sessions *all)
{
	for (const struct session *s = all->first; s; s = s->next)
		if (s->resyncs || (s->told && status_moving(all->d)))
			return true;
	return false;
}

void sessions_turn(struct sessions *all, bool dirty)
{
	if (dirty) {
		status_follow(all->d);
		settles_follow(all->d->settles);
		for (struct session *s = all->first; s; s = s->next) {
			s->status_due = true;
			for (size_t i = 0; i < s->n_views; i++)
				s->views[i].due = true;
		}
	}
	if (!all->first)
		return;
	push(all);
	if (!ev_is_active(&all->progress) && wants_progress(all)) {
		status_rates(all->d, &all->rates);
		ev_timer_again(all->d->loop, &all->progress);
	}
}
