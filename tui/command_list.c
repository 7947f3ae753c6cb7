/*
 * Owns `tutti list`: the whole table, however long, in pages.
 *
 * The table may change between two pages. Every page after the first begins at an anchor, a row
 * that was printed before, found by its path and not by its position; so rows that come and go
 * elsewhere shift nothing. Sorted by name a row never moves: the last path printed is the anchor,
 * and what does not come after it in the order of names is not printed again. In other orders a
 * row moves when its size, date or state changes: then an anchor is good only if it has not
 * changed itself; else the row printed before it is tried, up to one page back.
 */
#include "config.h"
#include "commands.h"

#include "entry.h"
#include "format.h"
#include "json.h"
#include "path.h"
#include "table.h"
#include "text.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_ROWS = 500 };

struct row_seen {
	struct bytes path, state, cells, note;
	uint64_t kind, size;
	int64_t mtime;
};

/* A row that was printed: what places it in the order. Its bytes lie in the page's `memory`. */
struct anchor {
	size_t path, path_len;
	size_t state, state_len;
	uint64_t size;
	int64_t mtime;
};

struct page {
	struct anchor rows[PAGE_ROWS];
	size_t n;
	struct buf memory;
};

struct list {
	struct console *console;
	uint64_t table;
	struct buf names;     /* of the replicas, each with a NUL at its end */
	size_t *name_at;      /* where each begins */
	size_t n_names, cap_names;
	struct page last;     /* what was printed of the last page */
	uint64_t printed;     /* rows, of all pages */
	/* of the answer that was asked for last: */
	size_t anchor;        /* it begins at this row of `last`; `last.n`: at none */
	bool anchored;        /* and the anchor was found where it should be */
	bool ended;           /* it reached the end of the table */
	size_t fresh;         /* rows that it brought */
	bool stale;           /* there are other replicas than in `names`: nothing was taken */
	bool renewed;         /* `names` are as new as can be: take it as it is */
};

/* --- rows */

static bool read_row(const msgpack_object *o, struct row_seen *row)
{
	return wire_as_bytes(wire_at(o, 0), &row->path) &&
	       wire_as_uint(wire_at(o, 2), KIND_SYMLINK, &row->kind) &&
	       wire_as_uint(wire_at(o, 3), UINT64_MAX, &row->size) &&
	       wire_as_int(wire_at(o, 4), &row->mtime) && wire_as_str(wire_at(o, 5), &row->state) &&
	       wire_as_str(wire_at(o, 6), &row->cells) && wire_as_str(wire_at(o, 7), &row->note);
}

static bool is_synced(const struct row_seen *row)
{
	return bytes_eq(row->state, bytes_of(row_state_text(ROW_SYNCED)));
}

static struct bytes reason_of(const struct row_seen *row)
{
	return row->note.len || is_synced(row) ? row->note : row->state;
}

static void print_row(struct list *l, const struct row_seen *row)
{
	struct buf *out = &l->console->out;
	char size[24];
	if (row->kind == KIND_DIR)
		strcpy(size, "-");
	else if (l->console->arguments->bytes)
		snprintf(size, sizeof(size), "%ju", (uintmax_t)row->size);
	else
		format_size(size, row->size, FORMAT_LONG);
	buf_addf(out, "%*s  ", l->console->arguments->bytes ? 15 : 10, size);
	print_date(out, row->mtime, false);
	buf_addf(out, "  ");
	print_padded(out, row->cells, l->n_names);
	buf_addf(out, "  ");
	text_show(out, row->path);
	if (row->kind == KIND_DIR)
		buf_add_char(out, '/');
	struct bytes reason = reason_of(row);
	if (reason.len) {
		buf_addf(out, "  (");
		text_show(out, reason);
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
}

static void print_row_json(struct list *l, const struct row_seen *row)
{
	struct json w;
	json_init(&w, &l->console->out);
	json_object(&w, NULL);
	json_path(&w, "path", row->path);
	json_text(&w, "kind", kind_text((enum kind)row->kind));
	json_uint(&w, "size", row->size);
	json_seconds(&w, "mtime", row->mtime);
	json_string(&w, "state", row->state);
	json_array(&w, "replicas");
	for (size_t i = 0; i < row->cells.len && i < l->n_names; i++) {
		if (row->cells.p[i] == '=')
			json_text(&w, NULL, (const char *)l->names.data + l->name_at[i]);
	}
	json_array_end(&w);
	if (!is_synced(row))
		json_string(&w, "reason", reason_of(row));
	json_object_end(&w);
	json_line_end(&w);
}

static void print_head(struct list *l)
{
	struct buf *out = &l->console->out;
	buf_addf(out, "%*s  %-16s  ", l->console->arguments->bytes ? 15 : 10, "Size", "Modified");
	for (size_t i = 0; i < l->n_names; i++)
		buf_add_char(out, i < 26 ? (char)('A' + i) : '.');
	buf_addf(out, "  Name\n");
}

/* --- the replicas, in the order of the cells */

static void take_names(void *ctx, const msgpack_object *result)
{
	struct list *l = ctx;
	const msgpack_object *replicas = wire_get(result, "replicas");
	buf_clear(&l->names);
	l->n_names = 0;
	for (size_t i = 0; i < wire_count(replicas); i++) {
		struct bytes name;
		wire_get_str(wire_at(replicas, i), "name", &name);
		GROW(l->name_at, l->cap_names, l->n_names + 1);
		l->name_at[l->n_names++] = l->names.len;
		buf_add(&l->names, name.p, name.len);
		buf_add_char(&l->names, '\0');
	}
}

/* --- pages */

static struct bytes anchor_path(const struct page *p, size_t i)
{
	return (struct bytes){p->memory.data + p->rows[i].path, p->rows[i].path_len};
}

static struct bytes anchor_state(const struct page *p, size_t i)
{
	return (struct bytes){p->memory.data + p->rows[i].state, p->rows[i].state_len};
}

static void remember(struct page *p, const struct row_seen *row)
{
	assert(p->n < PAGE_ROWS);
	struct anchor *a = &p->rows[p->n++];
	*a = (struct anchor){.size = row->size, .mtime = row->mtime};
	a->path = p->memory.len;
	a->path_len = row->path.len;
	buf_add(&p->memory, row->path.p, row->path.len);
	a->state = p->memory.len;
	a->state_len = row->state.len;
	buf_add(&p->memory, row->state.p, row->state.len);
}

/* Has what the table is sorted by stayed the same? */
static bool same_place(const struct list *l, size_t i, const struct row_seen *row)
{
	const struct anchor *a = &l->last.rows[i];
	switch (l->console->arguments->sort) {
	case SORT_SIZE:
		return row->size == a->size;
	case SORT_DATE:
		return row->mtime == a->mtime;
	case SORT_STATE:
		return bytes_eq(row->state, anchor_state(&l->last, i));
	default:
		return true;
	}
}

static bool by_name(const struct list *l)
{
	return l->console->arguments->sort == SORT_NAME;
}

/* Was this row printed after the anchor? Then it comes again and is not news. */
static bool was_printed(const struct list *l, const struct row_seen *row)
{
	if (by_name(l) && l->last.n) {
		int order = path_compare(row->path, anchor_path(&l->last, l->last.n - 1));
		return l->console->arguments->reverse ? order >= 0 : order <= 0;
	}
	for (size_t i = l->anchor < l->last.n ? l->anchor : 0; i < l->last.n; i++) {
		if (bytes_eq(row->path, anchor_path(&l->last, i)))
			return true;
	}
	return false;
}

static void emit(struct list *l, struct page *next, const struct row_seen *row)
{
	if (was_printed(l, row))
		return;
	(l->console->arguments->json ? print_row_json : print_row)(l, row);
	remember(next, row);
	l->fresh++;
	l->printed++;
}

static void take_page(void *ctx, const msgpack_object *result)
{
	struct list *l = ctx;
	const msgpack_object *rows = wire_get(result, "rows");
	size_t n = wire_count(rows), i = 0;
	struct row_seen row;
	uint64_t first, total;
	wire_get_uint(result, "first", UINT64_MAX, &first);
	wire_get_uint(result, "total", UINT64_MAX, &total);
	l->fresh = 0;
	l->anchored = true;
	l->stale = !l->renewed && read_row(wire_at(rows, 0), &row) && row.cells.len != l->n_names;
	l->renewed = false;
	if (l->stale)
		return;
	if (l->anchor < l->last.n && !by_name(l)) {
		struct bytes path = anchor_path(&l->last, l->anchor);
		while (i < n && !(read_row(wire_at(rows, i), &row) && bytes_eq(row.path, path)))
			i++;
		l->anchored = i < n && same_place(l, l->anchor, &row);
		i++;
	}
	if (!l->anchored)
		return;
	l->ended = n == 0 || first >= total || n >= total - first;
	struct page next = {0};
	for (; i < n; i++) {
		if (read_row(wire_at(rows, i), &row))
			emit(l, &next, &row);
	}
	/* A short page leaves rows of the last one as anchors: none to go back to is worse. */
	if (next.n) {
		buf_release(&l->last.memory);
		l->last = next;
	}
}

static int ask_page(struct list *l, const struct bytes *at, uint64_t line, uint64_t first)
{
	struct buf params = {0};
	wire_map(&params, at ? 4 : 3);
	wire_put_uint(&params, "table", l->table);
	wire_put_uint(&params, "rows", PAGE_ROWS);
	if (at) {
		wire_put_bin(&params, "at", *at);
		wire_put_uint(&params, "line", line);
	} else {
		wire_put_uint(&params, "first", first);
	}
	int status = console_ask(l->console, "table.window", &params, take_page, l);
	buf_release(&params);
	return status;
}

static int next_page(struct list *l)
{
	if (!l->last.n)
		return ask_page(l, NULL, 0, 0);
	for (size_t i = l->last.n; i > 0; i--) {
		struct bytes at = anchor_path(&l->last, i - 1);
		l->anchor = i - 1;
		/* One line down: should the row be gone, its place is in the window either way. */
		int status = ask_page(l, &at, by_name(l) ? 1 : 0, 0);
		if (status || l->anchored)
			return status;
	}
	l->anchor = l->last.n; /* a whole page has moved: the position is all that is left */
	return ask_page(l, NULL, 0, l->printed);
}

static void take_table(void *ctx, const msgpack_object *result)
{
	struct list *l = ctx;
	wire_get_uint(result, "table", UINT32_MAX, &l->table);
}

static int open_table(struct list *l)
{
	const struct arguments *a = l->console->arguments;
	struct buf params = {0}, under = {0};
	int status = EXIT_NOT_DONE;
	if (!take_path(l->console, a->under ? a->under : "", &under))
		goto out;
	wire_map(&params, 5);
	wire_put_text(&params, "sort", table_sort_text((enum table_sort)a->sort));
	wire_put_bool(&params, "reverse", a->reverse);
	wire_put_bool(&params, "tree", false);
	wire_put_bin(&params, "under", (struct bytes){under.data, under.len});
	wire_put_text(&params, "filter", a->filter ? a->filter : "");
	status = console_ask(l->console, "table.open", &params, take_table, l);
out:
	buf_release(&params);
	buf_release(&under);
	return status;
}

int command_list(struct console *s)
{
	struct list *l = xcalloc(1, sizeof(*l));
	l->console = s;
	int status = console_ask(s, "status", NULL, take_names, l);
	if (!status)
		status = open_table(l);
	if (!status && !s->arguments->json)
		print_head(l);
	while (!status && !l->ended) {
		status = next_page(l);
		if (!console_print(s))
			status = EXIT_NOT_DONE;
		if (!status && l->stale) {
			status = console_ask(s, "status", NULL, take_names, l);
			l->renewed = true;
		} else if (!status && !l->fresh && !l->ended) {
			complain("the table changes faster than it can be read");
			status = EXIT_NOT_DONE;
		}
	}
	buf_release(&l->names);
	buf_release(&l->last.memory);
	free(l->name_at);
	free(l);
	return status;
}
