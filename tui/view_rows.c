/* Owns the drawing of the table. */
#include "config.h"
#include "view.h"

#include "path.h"

#include <stdio.h>

static void heads(const struct model *m, struct grid *s)
{
	const struct layout *l = &m->layout;
	const struct listing *t = model_listing(m);
	int y = l->heads.y;
	if (l->heads.h == 0)
		return;
	grid_fill(s, y, 0, l->width, LOOK_HEAD);
	for (size_t c = 0; c < COLUMNS_N; c++) {
		const struct column_def *d = &column_defs[c];
		char text[32];
		int x = l->columns[c].x, w = l->columns[c].width;
		if (w <= 0)
			continue;
		if (c == COLUMN_CELLS) {
			int step = l->style.cells == CELLS_SPACED ? 2 : 1;
			if (l->style.cells == CELLS_SPACED || l->style.cells == CELLS_TIGHT)
				for (size_t i = 0; i < l->style.servers; i++)
					grid_printf(s, y, x + (int)i * step, LOOK_HEAD, "%c",
						   server_letter(i));
			else if (l->style.cells == CELLS_COUNT)
				grid_field(s, y, x, w, bytes_of("have"), GRID_LEFT, LOOK_HEAD);
			continue;
		}
		snprintf(text, sizeof(text), "%s%s", d->head,
			 d->sort == (int)t->query.sort ? t->query.reverse ? " v" : " ^" : "");
		if (c == COLUMN_NAME)
			grid_field(s, y, 1, w - 1, bytes_of(text), GRID_LEFT, LOOK_HEAD);
		else
			grid_field(s, y, x, w, bytes_of(text), d->align, LOOK_HEAD);
	}
}

/* Columns that the marks and the tree take before the name of a row. */
static int name_indent(const struct layout *l, const struct listing_row *r)
{
	int indent = l->style.tree ? 4 + 2 * (int)(r->depth < 100 ? r->depth : 100) : 2;
	/* A deep name keeps at least half of the column; where there is hardly any, all. */
	int most = l->columns[COLUMN_NAME].width < 12 ? 0 : l->columns[COLUMN_NAME].width / 2;
	return indent < most ? indent : most;
}

/* Of a cell: what a server that is away had is old, whatever it was. */
static unsigned column_look(const struct model *m, size_t server, char cell)
{
	const struct status *st = &m->news.status;
	if (server < st->n_servers && server_is_away(&st->servers[server]))
		return LOOK_OLD;
	return cell_look(cell);
}

static void row(const struct model *m, struct grid *s, int y, uint64_t position,
		const struct listing_row *r)
{
	const struct layout *l = &m->layout;
	const struct listing *t = model_listing(m);
	bool selected = t->where == LISTING_HERE && position == t->at;
	struct buf text = {0};

	for (size_t c = 0; c < COLUMNS_N; c++) {
		const struct column_def *d = &column_defs[c];
		int x = l->columns[c].x, w = l->columns[c].width;
		unsigned look = m->connected ? d->look(r) : LOOK_OLD;
		if (w <= 0)
			continue;
		buf_clear(&text);
		d->text(&text, r, &l->style);
		if (c == COLUMN_NAME) {
			int indent = name_indent(l, r);
			if (indent >= 2) {
				grid_put(s, y, 0, selected ? ">" : " ", look);
				grid_put(s, y, 1, model_is_marked(m, position, r) ? "*" : " ",
					 LOOK_STRONG);
			}
			if (l->style.tree && r->kind == ROW_FOLDER && indent >= 4)
				grid_put(s, y, indent - 2, r->flags & ROW_UNFOLDED ? "-" : "+",
					 look);
			x += indent;
			w -= indent;
		}
		grid_field(s, y, x, w, buf_bytes(&text), d->align, look);
		if (c == COLUMN_CELLS && m->connected &&
		    (l->style.cells == CELLS_SPACED || l->style.cells == CELLS_TIGHT)) {
			/* Each cell has its own look. */
			int step = l->style.cells == CELLS_SPACED ? 2 : 1;
			for (int i = 0; i < w; i++)
				if (x + i < s->width)
					grid_cell(s, y, x + i)->look = LOOK_PLAIN;
			for (size_t i = 0; i < r->cells.len && i < l->style.servers; i++)
				if (x + (int)i * step < s->width)
					grid_cell(s, y, x + (int)i * step)->look =
						(uint8_t)column_look(m, i, (char)r->cells.p[i]);
		}
	}
	if (selected) {
		grid_select(s, y);
		grid_cursor(s, y, 0);
	}
	buf_release(&text);
}

/* What to say where no row is. */
static void empty_words(const struct model *m, struct buf *out)
{
	const struct listing *t = model_listing(m);
	const struct status *st = &m->news.status;
	if (!m->ever_connected) {
		if (m->reason.len == 0) {
			buf_addf(out, "Connecting to ");
			show(out, buf_bytes(&m->address), m->ascii);
			buf_addf(out, " ...");
			return;
		}
		buf_addf(out, "There is no connection. Tried ");
		show(out, buf_bytes(&m->address), m->ascii);
		buf_addf(out, " (");
		buf_add(out, m->reason.data, m->reason.len);
		buf_addf(out, "). tuttid(8) is the server; r tries again, q quits.");
	} else if (!t->known) {
		buf_addf(out, "Reading the table ...");
	} else if (m->view == VIEW_CONFLICTS) {
		buf_addf(out, "No row is in conflict.");
	} else if (t->filter.len > 0) {
		buf_addf(out, "Nothing matches \"");
		show(out, buf_bytes(&t->filter), m->ascii);
		buf_addf(out, "\"; Esc shows all again.");
	} else if (t->query.only) {
		buf_addf(out, "Everything is in sync; ! shows all files.");
	} else {
		buf_addf(out, "No files yet. Server ");
		show(out, own_bytes(&st->name), m->ascii);
		buf_addf(out, " shares ");
		show(out, own_bytes(&st->root), m->ascii);
		buf_addf(out, st->scanning ? " (being read)." : " (empty).");
	}
}

void view_rows(const struct model *m, struct grid *s)
{
	const struct listing *t = model_listing(m);
	struct band body = m->layout.body;
	heads(m, s);
	if (t->total == 0) {
		struct buf words = {0};
		empty_words(m, &words);
		struct lines wrapped = {0};
		int margin = s->width > 2 ? 1 : 0;
		lines_wrap(&wrapped, LOOK_PLAIN, buf_bytes(&words), (size_t)(s->width - 2 * margin));
		lines_end(&wrapped);
		for (int i = 0; i < body.h && (size_t)i < wrapped.n; i++)
			grid_text(s, body.y + i, margin, s->width, lines_text(&wrapped, (size_t)i),
				  LOOK_PLAIN);
		lines_release(&wrapped);
		buf_release(&words);
		grid_cursor(s, body.y, 0);
		return;
	}
	for (int i = 0; i < body.h; i++) {
		const struct listing_row *r = listing_row(t, t->top + (uint64_t)i);
		if (r)
			row(m, s, body.y + i, t->top + (uint64_t)i, r);
	}
	if (t->where != LISTING_HERE && t->at >= t->top)
		grid_cursor(s, body.y + (int)(t->at - t->top), 0);
}

/* The selected row in a sentence: its whole path, and what each server has. */
void view_detail(const struct model *m, struct grid *s)
{
	const struct listing_row *r = listing_selected(model_listing(m));
	struct band b = m->layout.detail;
	struct buf text = {0}, servers = {0};
	char size[40];
	if (b.h == 0 || !r || !model_shows_rows(m))
		return;
	for (size_t i = 0; i < r->cells.len && i < 26; i++)
		if (r->cells.p[i] != '=')
			buf_addf(&servers, "  %c %s", server_letter(i),
				 cell_words((char)r->cells.p[i]));
	/* The whole of what State may have cut; a conflict the cells have said. */
	if (r->note.len > 0 && !bytes_eq(r->note, bytes_of(row_state_text(ROW_CONFLICT)))) {
		buf_addf(&servers, "  ");
		show(&servers, r->note, m->ascii);
	} else if (servers.len == 0) {
		buf_addf(&servers, "  all have it");
	}
	show(&text, r->path, m->ascii);
	if (r->kind == ROW_FOLDER)
		buf_add_char(&text, '/');
	setup_size(m->setup.units, size, r->size, FORMAT_LONG);
	char right[64];
	if (r->kind == ROW_FOLDER) {
		char count[32];
		format_count(count, r->files);
		snprintf(right, sizeof(right), "  %s file%s", count, r->files == 1 ? "" : "s");
	} else {
		right[0] = '\0';
	}
	int room = s->width - 2 - (int)strlen(size) - 2 - (int)strlen(right) - (int)servers.len;
	if (room < 20)
		room = 20;
	struct buf cut = {0};
	text_clip(&cut, buf_bytes(&text), (size_t)room, TEXT_CLIP_MIDDLE, m->ascii);
	buf_addf(&cut, "  %s%s", size, right);
	buf_add(&cut, servers.data, servers.len);
	grid_field(s, b.y, 1, s->width - 1, buf_bytes(&cut), GRID_LEFT,
		  m->connected ? LOOK_PLAIN : LOOK_OLD);
	buf_release(&cut);
	buf_release(&text);
	buf_release(&servers);
}
