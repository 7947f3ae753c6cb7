/* Owns the writing of a table to a file. */
#include "config.h"
#include "export.h"

#include "json.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ASK_OPEN, ASK_UNFOLD, ASK_PAGE, ASK_CLOSE };

enum form { FORM_TEXT, FORM_CSV, FORM_JSON };

struct export {
	struct model *m;
	char *name;
	FILE *file;
	enum form form;
	struct listing page; /* only its query, filter, folds and rows are used */
	struct buf last;     /* path of the last row written */
	uint64_t rows;
};

static bool ask(struct export *e, unsigned what, const char *method, struct buf *params)
{
	bool sent = e->m->ask(e->m->ctx, method, params, (uint32_t)TAG_EXPORT << 24 | what << 16);
	buf_release(params);
	return sent;
}

static bool ends_with(struct bytes s, const char *end)
{
	size_t n = strlen(end);
	return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

static void say_name(struct export *e, unsigned look, const char *before, const char *after)
{
	struct buf shown = {0};
	show(&shown, bytes_of(e->name), e->m->ascii);
	model_say(e->m, look, "%s%.*s%s", before, (int)shown.len, (const char *)shown.data, after);
	buf_release(&shown);
}

static void release(struct export *e)
{
	if (e->page.table > 0) {
		struct buf p = {0};
		wire_map(&p, 1);
		wire_put_uint(&p, "table", e->page.table);
		ask(e, ASK_CLOSE, "table.close", &p);
	}
	if (e->file)
		fclose(e->file);
	listing_release(&e->page);
	buf_release(&e->last);
	free(e->name);
	free(e);
}

void export_cancel(struct export *e, const char *why)
{
	char text[300];
	if (e->file)
		unlink(e->name);
	snprintf(text, sizeof(text), " was not written: %s", why);
	say_name(e, LOOK_BAD, "", text);
	release(e);
}

struct export *export_begin(struct model *m, struct bytes file)
{
	const struct listing *l = model_listing(m);
	struct export *e = xcalloc(1, sizeof(*e));
	struct buf p = {0};
	e->m = m;
	e->name = xmalloc(file.len + 1);
	memcpy(e->name, file.p, file.len);
	e->name[file.len] = '\0';
	e->form = ends_with(file, ".csv")    ? FORM_CSV
		  : ends_with(file, ".json") ? FORM_JSON
					     : FORM_TEXT;
	if (!m->connected) {
		export_cancel(e, "there is no connection to the server");
		return NULL;
	}
	e->file = fopen(e->name, "wxe");
	if (!e->file) {
		export_cancel(e,
			      errno == EEXIST ? "there is a file of that name" : strerror(errno));
		return NULL;
	}
	e->page.query = l->query;
	bool unfold = l->query.tree && !l->all_unfolded;
	wire_map(&p, 6);
	wire_put_text(&p, "sort", table_sort_text(l->query.sort));
	wire_put_bool(&p, "reverse", l->query.reverse);
	wire_put_bool(&p, "tree", l->query.tree);
	wire_put_bool(&p, "only", l->query.only);
	wire_put_str(&p, "filter", (struct bytes){l->filter.data, l->filter.len});
	wire_key(&p, "unfold");
	wire_array(&p, unfold ? l->folds.n : 0);
	for (size_t i = 0; unfold && i < l->folds.n; i++)
		wire_bin(&p, l->folds.items[i].path);
	/* The folds of a table that is all unfolded are told one by one. */
	e->page.all_unfolded = l->all_unfolded;
	for (size_t i = 0; l->all_unfolded && i < l->folds.n; i++)
		pathset_put(&e->page.folds, l->folds.items[i].path, 0);
	if (!ask(e, ASK_OPEN, "table.open", &p)) {
		export_cancel(e, "the server cannot be asked");
		return NULL;
	}
	if (e->form == FORM_CSV)
		fprintf(e->file, "path,kind,size,modified,state,replicas,note\r\n");
	return e;
}

/* ---- rows -------------------------------------------------------------------------------- */

static const char *kind_word(const struct listing_row *r)
{
	return r->kind == ROW_FOLDER ? "directory" : r->kind == ROW_LINK ? "symlink" : "file";
}

/* The names of the servers that have it. */
static void holders(struct export *e, const struct listing_row *r, struct json *json,
		    struct buf *text)
{
	const struct status *st = &e->m->news.status;
	for (size_t i = 0; i < r->cells.len && i < st->n_servers; i++) {
		if (r->cells.p[i] != '=')
			continue;
		struct bytes name = own_bytes(&st->servers[i].name);
		if (json) {
			json_string(json, NULL, name);
			continue;
		}
		if (text->len > 0)
			buf_add_char(text, ' ');
		buf_add(text, name.p, name.len);
	}
}

/* A field of CSV: the bytes as they are, quoted. A text that a spreadsheet would take for a
 * formula is one of a hostile name: it gets an apostrophe. */
static void csv_field(FILE *f, struct bytes b, bool last)
{
	putc('"', f);
	if (b.len > 0 && strchr("=+-@\t\r", b.p[0]))
		putc('\'', f);
	for (size_t i = 0; i < b.len; i++) {
		if (b.p[i] == '"')
			putc('"', f);
		putc(b.p[i], f);
	}
	fputs(last ? "\"\r\n" : "\",", f);
}

static void write_csv(struct export *e, const struct listing_row *r)
{
	struct buf names = {0};
	char date[20];
	show_time(date, r->mtime, FORMAT_SECONDS);
	holders(e, r, NULL, &names);
	csv_field(e->file, r->path, false);
	fprintf(e->file, "%s,%llu,%s,%s,", kind_word(r), (unsigned long long)r->size, date,
		row_state_text(r->state));
	csv_field(e->file, (struct bytes){names.data, names.len}, false);
	csv_field(e->file, r->note, true);
	buf_release(&names);
}

static void write_json(struct export *e, const struct listing_row *r)
{
	struct buf line = {0};
	struct json w;
	json_init(&w, &line);
	json_object(&w, NULL);
	json_path(&w, "path", r->path);
	json_text(&w, "kind", kind_word(r));
	json_uint(&w, "size", r->size);
	json_seconds(&w, "mtime", r->mtime);
	json_text(&w, "state", row_state_text(r->state));
	json_array(&w, "replicas");
	holders(e, r, &w, NULL);
	json_array_end(&w);
	if (r->state != ROW_SYNCED)
		json_string(&w, "reason", r->note);
	json_object_end(&w);
	json_line_end(&w);
	fwrite(line.data, 1, line.len, e->file);
	buf_release(&line);
}

static void write_text(struct export *e, const struct listing_row *r)
{
	struct column_style style = {.tree = e->page.query.tree,
				     .wide = true,
				     .cells = CELLS_SPACED,
				     .servers = e->m->news.status.n_servers,
				     .ascii = e->m->ascii};
	static const enum column order[] = {COLUMN_SIZE, COLUMN_DATE, COLUMN_CELLS};
	struct buf text = {0};
	if (style.servers > 8)
		style.cells = CELLS_COUNT;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const struct column_def *d = &column_defs[order[i]];
		int width = d->width_long ? d->width_long : cells_width(style.cells, style.servers);
		buf_clear(&text);
		d->text(&text, r, &style);
		fprintf(e->file, d->align == GRID_RIGHT ? "%*.*s  " : "%-*.*s  ", width,
			(int)text.len, (const char *)text.data);
	}
	buf_clear(&text);
	column_defs[COLUMN_NAME].text(&text, r, &style);
	fprintf(e->file, "%*s", style.tree ? 2 * (int)(r->depth < 1000 ? r->depth : 1000) : 0, "");
	fwrite(text.data, 1, text.len, e->file);
	buf_clear(&text);
	column_defs[COLUMN_STATE].text(&text, r, &style);
	if (text.len > 0)
		fprintf(e->file, "  (%.*s)", (int)text.len, (const char *)text.data);
	putc('\n', e->file);
	buf_release(&text);
}

/* ---- pages ------------------------------------------------------------------------------- */

static void ask_page(struct export *e)
{
	struct buf p = {0};
	wire_map(&p, e->rows > 0 ? 4 : 3);
	wire_put_uint(&p, "table", e->page.table);
	wire_put_uint(&p, "rows", LISTING_WINDOW_MAX);
	if (e->rows > 0) {
		/* The last row again, for the place to be found when others come and go. */
		wire_put_bin(&p, "at", (struct bytes){e->last.data, e->last.len});
		wire_put_uint(&p, "line", 0);
	} else {
		wire_put_uint(&p, "first", 0);
	}
	ask(e, ASK_PAGE, "table.window", &p);
}

static void on_open(struct export *e, const msgpack_object *result)
{
	uint64_t table;
	wire_get_uint(result, "table", UINT32_MAX, &table);
	e->page.table = (uint32_t)table;
	for (size_t i = 0; e->page.all_unfolded && i <= e->page.folds.n; i++) {
		struct buf p = {0};
		wire_map(&p, 4);
		wire_put_uint(&p, "table", table);
		wire_put_bin(&p, "path",
			     i == 0 ? (struct bytes){0} : e->page.folds.items[i - 1].path);
		wire_put_bool(&p, "open", i == 0);
		wire_put_bool(&p, "all", i == 0);
		ask(e, ASK_UNFOLD, "table.fold", &p);
	}
	ask_page(e);
}

/* Writes what is new in the page; false at the end of the table. */
static bool on_page(struct export *e, const msgpack_object *result)
{
	struct listing *l = &e->page;
	uint64_t from = 0, total;
	listing_take(l, result);
	wire_get_uint(result, "total", UINT64_MAX, &total);
	/* Near the end the window begins earlier: what was written already is passed over. */
	for (uint64_t i = 0; e->rows > 0 && i < l->n; i++)
		if (bytes_eq(l->rows[i].path, (struct bytes){e->last.data, e->last.len}))
			from = i + 1;
	for (uint64_t i = from; i < l->n; i++) {
		if (e->form == FORM_CSV)
			write_csv(e, &l->rows[i]);
		else if (e->form == FORM_JSON)
			write_json(e, &l->rows[i]);
		else
			write_text(e, &l->rows[i]);
		e->rows++;
	}
	if (from == l->n)
		return false;
	buf_clear(&e->last);
	buf_add(&e->last, l->rows[l->n - 1].path.p, l->rows[l->n - 1].path.len);
	return l->first + l->n < total;
}

bool export_answer(struct export *e, uint32_t tag, const msgpack_object *result, const char *error)
{
	unsigned what = tag >> 16 & 0xff;
	if (error && what != ASK_CLOSE) {
		export_cancel(e, error);
		return false;
	}
	if (what == ASK_OPEN) {
		on_open(e, result);
		return true;
	}
	if (what != ASK_PAGE)
		return true;
	if (on_page(e, result) && !ferror(e->file)) {
		ask_page(e);
		return true;
	}
	bool bad = ferror(e->file) != 0;
	if (fclose(e->file) != 0)
		bad = true;
	e->file = NULL;
	if (bad) {
		unlink(e->name);
		say_name(e, LOOK_BAD, "", " was not written: the disk is full, or broken");
	} else {
		char rows[32], before[64];
		format_count(rows, e->rows);
		snprintf(before, sizeof(before), "%s row%s written to ", rows,
			 e->rows == 1 ? "" : "s");
		say_name(e, LOOK_GOOD, before, "");
	}
	release(e);
	return false;
}
