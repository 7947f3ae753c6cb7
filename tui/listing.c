/* Owns the client's side of one open table: window, selection, and what to ask for next. */
#include "config.h"
#include "listing.h"

#include "path.h"
#include "wire.h"

#include <stdlib.h>

/* Kinds of requests, in bits 16-23 of a tag; bits 0-15 are the epoch. */
enum { ASK_OPEN, ASK_WINDOW, ASK_FOLD, ASK_CLOSE };

/* Windows asked for in a row without a key or a change between: a server whose answers never fit
 * must not keep us busy. */
enum { RETRIES_MAX = 3 };

void listing_init(struct listing *l, listing_ask_fn *ask, void *ctx, uint32_t tag)
{
	*l = (struct listing){.ask = ask, .ctx = ctx, .tag = tag, .follow = true};
	l->query = (struct listing_query){.sort = SORT_NAME, .tree = true};
}

void listing_release(struct listing *l)
{
	buf_release(&l->filter);
	buf_release(&l->sel);
	buf_release(&l->memory);
	pathset_release(&l->folds);
	free(l->rows);
	l->rows = NULL;
	l->n = l->cap = 0;
}

static bool ask(struct listing *l, unsigned kind, const char *method, struct buf *params)
{
	bool sent = l->ask(l->ctx, method, params, l->tag | kind << 16 | (l->epoch & 0xffff));
	buf_release(params);
	return sent;
}

/* ---- rows -------------------------------------------------------------------------------- */

const struct listing_row *listing_row(const struct listing *l, uint64_t position)
{
	if (position < l->first || position - l->first >= l->n)
		return NULL;
	return &l->rows[position - l->first];
}

const struct listing_row *listing_selected(const struct listing *l)
{
	return l->where == LISTING_HERE ? listing_row(l, l->at) : NULL;
}

struct bytes listing_path(const struct listing *l)
{
	return (struct bytes){l->sel.data, l->sel.len};
}

bool listing_settled(const struct listing *l)
{
	return l->where == LISTING_HERE && !l->opening;
}

static void set_sel(struct listing *l, struct bytes path)
{
	struct buf copy = {0};
	buf_add(&copy, path.p, path.len);
	buf_release(&l->sel);
	l->sel = copy;
}

/* Index in `rows` of the path, or n. */
static size_t find_row(const struct listing_row *rows, size_t n, struct bytes path)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(rows[i].path, path))
			return i;
	return n;
}

/* Copies the rows of a message; those in the listing are replaced. */
static void take_rows(struct listing *l, const msgpack_object *list)
{
	size_t n = wire_count(list), size = 0;
	if (n > LISTING_WINDOW_MAX)
		n = LISTING_WINDOW_MAX;
	for (size_t i = 0; i < n; i++) {
		struct bytes path, cells, note;
		const msgpack_object *o = wire_at(list, i);
		wire_as_bytes(wire_at(o, 0), &path);
		wire_as_str(wire_at(o, 6), &cells);
		wire_as_str(wire_at(o, 7), &note);
		size += path.len + cells.len + note.len;
	}
	buf_clear(&l->memory);
	buf_reserve(&l->memory, size + 1);
	GROW(l->rows, l->cap, n);
	l->n = n;
	for (size_t i = 0; i < n; i++) {
		const msgpack_object *o = wire_at(list, i);
		struct listing_row *r = &l->rows[i];
		struct bytes text, *to[3] = {&r->path, &r->cells, &r->note};
		uint64_t depth, kind, flags;
		*r = (struct listing_row){0};
		for (size_t k = 0; k < 3; k++) {
			static const size_t at[3] = {0, 6, 7};
			wire_as_bytes(wire_at(o, at[k]), &text);
			*to[k] = (struct bytes){l->memory.data + l->memory.len, text.len};
			buf_add(&l->memory, text.p, text.len);
		}
		wire_as_uint(wire_at(o, 1), UINT32_MAX, &depth);
		wire_as_uint(wire_at(o, 2), UINT8_MAX, &kind);
		wire_as_uint(wire_at(o, 3), UINT64_MAX, &r->size);
		wire_as_int(wire_at(o, 4), &r->mtime);
		wire_as_str(wire_at(o, 5), &text);
		wire_as_uint(wire_at(o, 8), UINT8_MAX, &flags);
		wire_as_uint(wire_at(o, 9), UINT64_MAX, &r->files);
		int state = row_state_parse(text);
		r->depth = (unsigned)depth;
		r->kind = (uint8_t)kind;
		r->state = (uint8_t)(state < 0 ? ROW_BLOCKED : state);
		r->flags = (uint8_t)flags;
	}
}

void listing_take(struct listing *l, const msgpack_object *map)
{
	take_rows(l, wire_get(map, "rows"));
	wire_get_uint(map, "first", UINT64_MAX / 2, &l->first);
}

/* ---- the window -------------------------------------------------------------------------- */

static uint64_t page(const struct listing *l)
{
	return l->height > 0 ? l->height : 1;
}

/* Scrolls as little as possible for the selection to be on the screen. */
static void keep_on_screen(struct listing *l)
{
	uint64_t h = page(l), last = l->total > h ? l->total - h : 0;
	if (l->at < l->top)
		l->top = l->at;
	if (l->at >= l->top + h)
		l->top = l->at - h + 1;
	if (l->top > last)
		l->top = last;
}

/* Is there a reason to ask for another window than the one that is here? */
static bool is_wanting(const struct listing *l)
{
	uint64_t h = page(l), end = l->first + l->n, bottom = l->top + h;
	if (!l->known || l->where != LISTING_HERE)
		return true;
	if (l->first > 0 && l->top < l->first + h / 2)
		return true;
	return end < l->total && end < bottom + h / 2;
}

static void ask_window(struct listing *l)
{
	l->withholds = false;
	uint64_t h = page(l), rows = 3 * h > LISTING_WINDOW_MAX ? LISTING_WINDOW_MAX : 3 * h;
	uint64_t above = (rows - (h > rows ? rows : h)) / 2;
	uint64_t start = l->top > above ? l->top - above : 0;
	bool by_path = !l->follow && l->where != LISTING_AWAY && l->sel.len > 0;
	struct buf p = {0};

	wire_map(&p, by_path ? 4 : 3);
	wire_put_uint(&p, "table", l->table);
	wire_put_uint(&p, "rows", rows);
	if (by_path) {
		uint64_t line = l->at > start ? l->at - start : 0;
		if (l->where == LISTING_SOUGHT)
			line = (l->at > l->top ? l->at - l->top : 0) + above;
		wire_put_bin(&p, "at", listing_path(l));
		wire_put_uint(&p, "line", line < rows ? line : rows - 1);
	} else {
		wire_put_uint(&p, "first", l->follow ? 0 : start);
	}
	if (ask(l, ASK_WINDOW, "table.window", &p))
		l->asked = true;
}

/* Asks for the next window if it is time to, one at a time. */
static void refresh(struct listing *l)
{
	if (!l->open || l->asked || (!l->dirty && !is_wanting(l)))
		return;
	if (l->retries >= RETRIES_MAX) {
		l->dirty = false;
		return;
	}
	l->retries++;
	l->dirty = false;
	ask_window(l);
}

/* The selection is lost for good: the row nearest to its place. */
static void settle_nearest(struct listing *l)
{
	if (l->where == LISTING_HERE)
		return;
	l->where = LISTING_HERE;
	if (l->n == 0) {
		l->at = l->top = 0;
		buf_clear(&l->sel);
		return;
	}
	if (l->at < l->first)
		l->at = l->first;
	if (l->at >= l->first + l->n)
		l->at = l->first + l->n - 1;
	set_sel(l, listing_row(l, l->at)->path);
	keep_on_screen(l);
}

static void select_index(struct listing *l, size_t i, uint64_t line)
{
	l->at = l->first + i;
	l->top = l->at > line ? l->at - line : 0;
	l->where = LISTING_HERE;
	set_sel(l, l->rows[i].path);
	keep_on_screen(l);
}

/* New rows, asked for or not. */
static void on_rows(struct listing *l, const msgpack_object *m, bool asked)
{
	const msgpack_object *list = wire_get(m, "rows");
	uint64_t line = l->at > l->top ? l->at - l->top : 0, anchor, total;
	struct bytes path = listing_path(l);
	size_t found = SIZE_MAX;

	wire_get_uint(m, "files", UINT64_MAX, &l->files);
	wire_get_uint(m, "bytes", UINT64_MAX, &l->bytes);
	wire_get_uint(m, "unsynced", UINT64_MAX, &l->unsynced);
	wire_get_uint(m, "anchor", UINT64_MAX, &anchor);
	wire_get_uint(m, "total", UINT64_MAX / 2, &total);

	for (size_t i = 0; i < wire_count(list) && found == SIZE_MAX; i++) {
		struct bytes p;
		wire_as_bytes(wire_at(wire_at(list, i), 0), &p);
		if (bytes_eq(p, path))
			found = i;
	}
	/* The selected row went elsewhere: stay with what is shown until it was found again. */
	if (!asked && l->known && l->where == LISTING_HERE && !l->follow && l->sel.len > 0 &&
	    found == SIZE_MAX && total > 0) {
		l->where = LISTING_SOUGHT;
		return;
	}

	listing_take(l, m);
	if (total < l->first + l->n)
		total = l->first + l->n;
	l->total = total;
	l->generation++;
	l->known = true;
	if (l->n == 0) {
		if (l->total > 0 && l->where == LISTING_AWAY && l->at > 0) {
			l->at = l->at < l->total ? l->at : l->total - 1;
			keep_on_screen(l);
			return;
		}
		l->where = LISTING_AWAY;
		settle_nearest(l);
	} else if (l->follow) {
		l->top = 0;
		select_index(l, 0, 0);
	} else if (l->where == LISTING_AWAY) {
		if (l->at >= l->total)
			l->at = l->total - 1;
		keep_on_screen(l);
		if (listing_row(l, l->at))
			select_index(l, (size_t)(l->at - l->first), l->at - l->top);
		else if (l->retries >= RETRIES_MAX)
			settle_nearest(l);
	} else if (found != SIZE_MAX && found < l->n) {
		select_index(l, found, line);
	} else {
		select_index(l, anchor < l->n ? (size_t)anchor : l->n - 1, line);
	}
}

/* ---- what comes in ----------------------------------------------------------------------- */

static void ask_fold(struct listing *l, const struct bytes *path, bool unfolded)
{
	struct buf p = {0};
	wire_map(&p, 4);
	wire_put_uint(&p, "table", l->table);
	wire_put_bin(&p, "path", path ? *path : (struct bytes){0});
	wire_put_bool(&p, "open", unfolded);
	wire_put_bool(&p, "all", path == NULL);
	ask(l, ASK_FOLD, "table.fold", &p);
}

static void on_open(struct listing *l, const msgpack_object *result)
{
	uint64_t table;
	l->opening = false;
	if (!result)
		return;
	wire_get_uint(result, "table", UINT32_MAX, &table);
	l->table = (uint32_t)table;
	l->open = true;
	l->asked = false;
	l->known = false;
	l->retries = 0;
	if (l->query.tree && l->all_unfolded) {
		ask_fold(l, NULL, true);
		for (size_t i = 0; i < l->folds.n; i++)
			ask_fold(l, &l->folds.items[i].path, false);
	}
	if (l->sel.len > 0 && l->where == LISTING_HERE)
		l->where = LISTING_SOUGHT;
	refresh(l);
}

static void close_table(struct listing *l, uint32_t table)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_uint(&p, "table", table);
	ask(l, ASK_CLOSE, "table.close", &p);
}

void listing_answer(struct listing *l, uint32_t tag, const msgpack_object *result)
{
	unsigned kind = tag >> 16 & 0xff;
	if ((tag & 0xffff) != (l->epoch & 0xffff)) {
		uint64_t table;
		if (kind == ASK_OPEN && wire_get_uint(result, "table", UINT32_MAX, &table))
			close_table(l, (uint32_t)table);
		return;
	}
	if (kind == ASK_OPEN) {
		on_open(l, result);
	} else if (kind == ASK_FOLD) {
		l->dirty = true;
		l->retries = 0;
		refresh(l);
	} else if (kind == ASK_WINDOW) {
		l->asked = false;
		if (result)
			on_rows(l, result, true);
		else
			settle_nearest(l);
		refresh(l);
		/* Nothing more is asked for, and still not here: do not wait for ever. */
		if (!l->asked && l->where != LISTING_HERE)
			settle_nearest(l);
	}
}

/* Would these rows move one that is on the screen? */
static bool moves(const struct listing *l, const msgpack_object *m)
{
	const msgpack_object *list = wire_get(m, "rows");
	uint64_t first;
	wire_get_uint(m, "first", UINT64_MAX / 2, &first);
	for (uint64_t p = l->top; p < l->top + page(l); p++) {
		const struct listing_row *r = listing_row(l, p);
		struct bytes path;
		if (!r)
			break;
		if (p < first || !wire_as_bytes(wire_at(wire_at(list, (size_t)(p - first)), 0), &path) ||
		    !bytes_eq(path, r->path))
			return true;
	}
	return false;
}

/* Takes over what is new of the rows that are here, each in its place. */
static void take_in_place(struct listing *l, const msgpack_object *m)
{
	struct listing fresh = {0}, old = *l;
	size_t size = 0;
	listing_take(&fresh, m);
	l->rows = NULL;
	l->n = l->cap = 0;
	l->memory = (struct buf){0};
	GROW(l->rows, l->cap, old.n);
	for (size_t i = 0; i < old.n; i++) {
		size_t at = find_row(fresh.rows, fresh.n, old.rows[i].path);
		const struct listing_row *r = at < fresh.n ? &fresh.rows[at] : &old.rows[i];
		l->rows[l->n++] = *r;
		size += r->path.len + r->cells.len + r->note.len;
	}
	buf_reserve(&l->memory, size + 1);
	for (size_t i = 0; i < l->n; i++) {
		struct bytes *parts[3] = {&l->rows[i].path, &l->rows[i].cells, &l->rows[i].note};
		for (size_t k = 0; k < 3; k++) {
			const uint8_t *from = parts[k]->p;
			parts[k]->p = l->memory.data + l->memory.len;
			buf_add(&l->memory, from, parts[k]->len);
		}
	}
	free(old.rows);
	buf_release(&old.memory);
	listing_release(&fresh);
	l->generation++;
}

bool listing_rows(struct listing *l, const msgpack_object *params)
{
	uint64_t table;
	if (!wire_get_uint(params, "table", UINT32_MAX, &table) || !l->open || table != l->table)
		return false;
	/* While an answer is on its way, it is newer than this. */
	if (l->asked)
		return true;
	if (l->frozen) {
		l->withheld++;
		return true;
	}
	if (l->held && l->known && !l->follow && l->where == LISTING_HERE && moves(l, params)) {
		take_in_place(l, params);
		l->withholds = true;
		return true;
	}
	l->retries = 0;
	on_rows(l, params, false);
	refresh(l);
	return true;
}

/* ---- opening and closing ----------------------------------------------------------------- */

void listing_open(struct listing *l)
{
	struct buf p = {0};
	bool unfold = l->query.tree && !l->all_unfolded;

	if (l->open)
		close_table(l, l->table);
	l->open = l->asked = l->dirty = false;
	l->epoch++;
	wire_map(&p, 7);
	wire_put_text(&p, "sort", table_sort_text(l->query.sort));
	wire_put_bool(&p, "reverse", l->query.reverse);
	wire_put_bool(&p, "tree", l->query.tree);
	wire_put_bin(&p, "under", (struct bytes){0});
	wire_put_str(&p, "filter", (struct bytes){l->filter.data, l->filter.len});
	wire_put_bool(&p, "only", l->query.only);
	wire_key(&p, "unfold");
	wire_array(&p, unfold ? l->folds.n : 0);
	for (size_t i = 0; unfold && i < l->folds.n; i++)
		wire_bin(&p, l->folds.items[i].path);
	l->opening = ask(l, ASK_OPEN, "table.open", &p);
}

void listing_lost(struct listing *l)
{
	l->open = l->opening = l->asked = l->dirty = false;
	l->epoch++;
	settle_nearest(l);
}

void listing_close(struct listing *l)
{
	if (l->open)
		close_table(l, l->table);
	listing_lost(l);
	l->n = 0;
	l->first = l->total = l->top = l->at = 0;
	l->known = false;
	l->follow = true;
	buf_clear(&l->sel);
}

void listing_set_height(struct listing *l, unsigned height)
{
	if (l->height == height)
		return;
	l->height = height;
	l->retries = 0;
	l->dirty = l->open;
	keep_on_screen(l);
	refresh(l);
}

void listing_set_filter(struct listing *l, struct bytes filter)
{
	buf_clear(&l->filter);
	buf_add(&l->filter, filter.p, filter.len);
	listing_open(l);
}

void listing_set_query(struct listing *l, struct listing_query query)
{
	l->query = query;
	listing_open(l);
}

/* ---- the selection ----------------------------------------------------------------------- */

static void set_position(struct listing *l, uint64_t position)
{
	const struct listing_row *r;
	if (l->total == 0)
		return;
	l->follow = false;
	l->retries = 0;
	l->at = position < l->total ? position : l->total - 1;
	keep_on_screen(l);
	r = listing_row(l, l->at);
	if (r) {
		l->where = LISTING_HERE;
		set_sel(l, r->path);
	} else {
		l->where = LISTING_AWAY;
		/* Nobody to ask: the rows that are here are all there are. */
		if (!l->open && !l->opening)
			settle_nearest(l);
	}
	refresh(l);
}

static uint64_t moved(uint64_t from, int64_t by)
{
	if (by < 0)
		return from > (uint64_t)-by ? from - (uint64_t)-by : 0;
	return from + (uint64_t)by;
}

void listing_move(struct listing *l, int64_t by)
{
	set_position(l, moved(l->at, by));
}

void listing_page(struct listing *l, int64_t by)
{
	uint64_t h = page(l), last = l->total > h ? l->total - h : 0, top = moved(l->top, by);
	l->top = top < last ? top : last;
	set_position(l, moved(l->at, by));
}

void listing_go(struct listing *l, uint64_t position)
{
	set_position(l, position);
}

void listing_line(struct listing *l, unsigned line)
{
	uint64_t h = page(l);
	set_position(l, l->top + (line < h ? line : h - 1));
}

void listing_scroll(struct listing *l, int64_t by)
{
	uint64_t h = page(l), last = l->total > h ? l->total - h : 0, top = moved(l->top, by);
	uint64_t at = l->at;
	l->top = top < last ? top : last;
	if (at < l->top)
		at = l->top;
	if (at >= l->top + h)
		at = l->top + h - 1;
	set_position(l, at);
}

void listing_select(struct listing *l, struct bytes path)
{
	size_t i = find_row(l->rows, l->n, path);
	l->follow = false;
	l->retries = 0;
	if (i < l->n) {
		set_position(l, l->first + i);
		return;
	}
	if (!l->open && !l->opening)
		return;
	set_sel(l, path);
	l->where = LISTING_SOUGHT;
	refresh(l);
}

void listing_follow(struct listing *l, bool follow)
{
	l->follow = follow;
	if (!follow || l->total == 0)
		return;
	set_position(l, 0);
	l->follow = true;
}

void listing_freeze(struct listing *l, bool frozen)
{
	l->frozen = frozen;
	if (!frozen && l->withheld > 0) {
		l->dirty = true;
		l->retries = 0;
	}
	l->withheld = 0;
	refresh(l);
}

void listing_hold(struct listing *l, bool held)
{
	l->held = held;
	if (held || !l->withholds)
		return;
	l->withholds = false;
	l->dirty = true;
	l->retries = 0;
	refresh(l);
}

/* ---- folding ----------------------------------------------------------------------------- */

static void note_fold(struct listing *l, struct bytes path, bool unfolded)
{
	if (unfolded == l->all_unfolded)
		pathset_remove(&l->folds, path);
	else if (l->folds.n < LISTING_UNFOLD_MAX)
		pathset_put(&l->folds, path, 0);
}

void listing_fold(struct listing *l, const struct bytes *path, bool unfolded)
{
	if (path) {
		note_fold(l, *path, unfolded);
	} else {
		pathset_release(&l->folds);
		l->all_unfolded = unfolded;
	}
	if (l->open && l->query.tree)
		ask_fold(l, path, unfolded);
}

void listing_revealed(struct listing *l, struct bytes path)
{
	if (!l->query.tree)
		return;
	for (path = path_parent(path); path.len > 0; path = path_parent(path))
		note_fold(l, path, true);
}
