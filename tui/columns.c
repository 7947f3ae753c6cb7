/* Owns the table of columns, and what cells mean. */
#include "config.h"
#include "columns.h"

#include "path.h"

#include <time.h>

/* What a server holds of a row; the worst first. '=' and 'i' are no trouble. */
static const struct {
	char cell;
	uint8_t look;
	const char *words;
} cell_kinds[] = {
	{'E', LOOK_BAD, "failed"},
	{'!', LOOK_BAD, "conflict"},
	{'x', LOOK_BUSY, "deleted"},
	{'<', LOOK_BUSY, "receiving"},
	{'~', LOOK_BUSY, "waiting"},
	{'-', LOOK_BUSY, "does not have it"},
	{'?', LOOK_OLD, "unknown"},
	{'i', LOOK_OLD, "ignored there"},
	{'=', LOOK_PLAIN, "has it"},
};

const char *cell_words(char cell)
{
	for (size_t i = 0; i < ARRAY_LEN(cell_kinds); i++)
		if (cell_kinds[i].cell == cell)
			return cell_kinds[i].words;
	return "unknown";
}

unsigned cell_look(char cell)
{
	for (size_t i = 0; i < ARRAY_LEN(cell_kinds); i++)
		if (cell_kinds[i].cell == cell)
			return cell_kinds[i].look;
	return LOOK_OLD;
}

char cells_worst(struct bytes cells)
{
	for (size_t k = 0; k < ARRAY_LEN(cell_kinds); k++)
		for (size_t i = 0; i < cells.len; i++)
			if (cells.p[i] == (uint8_t)cell_kinds[k].cell)
				return cell_kinds[k].cell == 'i' ? '=' : cell_kinds[k].cell;
	return cells.len > 0 ? '?' : ' ';
}

char server_letter(size_t i)
{
	return i < 26 ? (char)('A' + i) : ' ';
}

int cells_width(enum cells_form form, size_t servers)
{
	int n = (int)servers;
	switch (form) {
	case CELLS_SPACED:
		return n > 0 ? 2 * n - 1 : 0;
	case CELLS_TIGHT:
		return n;
	case CELLS_COUNT:
		return n > 99 ? 9 : n > 9 ? 7 : 5;
	case CELLS_WORST:
		return 1;
	}
	return 0;
}

void show(struct buf *out, struct bytes raw, bool ascii)
{
	if (ascii)
		text_show_ascii(out, raw);
	else
		text_show(out, raw);
}

void show_time(char out[20], int64_t ns, enum format_style style)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	out[0] = '\0';
	if (ns != 0 && localtime_r(&t, &tm))
		format_date(out, &tm, style);
}

/* ---- the columns ------------------------------------------------------------------------- */

static void name_text(struct buf *out, const struct listing_row *r, const struct column_style *s)
{
	struct buf shown = {0};
	if (!s->tree) {
		show(&shown, r->path, s->ascii);
		size_t skip = 0, columns = 0;
		while (skip < shown.len && columns < s->scroll) {
			uint32_t cp;
			size_t len = text_decode(shown.data + skip, shown.len - skip, &cp);
			if (len == 0)
				break;
			columns += text_width(cp);
			skip += len;
		}
		buf_add(out, shown.data + skip, shown.len - skip);
		buf_release(&shown);
	} else {
		show(out, path_base(r->path), s->ascii);
	}
	if (r->kind == ROW_FOLDER)
		buf_add_char(out, '/');
	else if (r->kind == ROW_LINK)
		buf_add_char(out, '@');
	else if (r->flags & ROW_EXECUTABLE)
		buf_add_char(out, '*');
}

static void size_text(struct buf *out, const struct listing_row *r, const struct column_style *s)
{
	char text[40];
	/* The column has no room for the B of bytes. */
	bool wide = s->wide && s->units != UNITS_BYTES;
	setup_size(s->units, text, r->size, wide ? FORMAT_LONG : FORMAT_SHORT);
	buf_addf(out, "%s", text);
}

static void date_text(struct buf *out, const struct listing_row *r, const struct column_style *s)
{
	char text[20];
	show_time(text, r->mtime, s->wide ? FORMAT_LONG : FORMAT_SHORT);
	buf_addf(out, "%s", text);
}

static void cells_text(struct buf *out, const struct listing_row *r, const struct column_style *s)
{
	size_t has = 0;
	switch (s->cells) {
	case CELLS_SPACED:
	case CELLS_TIGHT:
		for (size_t i = 0; i < s->servers; i++) {
			char c = i < r->cells.len ? (char)r->cells.p[i] : '?';
			if (i > 0 && s->cells == CELLS_SPACED)
				buf_add_char(out, ' ');
			buf_add_char(out, c >= ' ' && c <= '~' ? c : '?');
		}
		break;
	case CELLS_COUNT:
		for (size_t i = 0; i < r->cells.len; i++)
			has += r->cells.p[i] == '=';
		buf_addf(out, "%zu/%zu %c", has, s->servers, cells_worst(r->cells));
		break;
	case CELLS_WORST:
		buf_add_char(out, cells_worst(r->cells));
		break;
	}
}

static void state_text(struct buf *out, const struct listing_row *r, const struct column_style *s)
{
	if (r->note.len > 0)
		show(out, r->note, s->ascii);
	else if (r->state != ROW_SYNCED)
		buf_addf(out, "%s", row_state_text(r->state));
}

static unsigned plain_look(const struct listing_row *r)
{
	(void)r;
	return LOOK_PLAIN;
}

static unsigned state_look(const struct listing_row *r)
{
	switch (r->state) {
	case ROW_SYNCED:
		return LOOK_PLAIN;
	case ROW_CONFLICT:
	case ROW_BLOCKED:
	case ROW_HELD:
		return LOOK_BAD;
	default:
		return LOOK_BUSY;
	}
}

static unsigned cells_look(const struct listing_row *r)
{
	return cell_look(cells_worst(r->cells));
}

static unsigned name_look(const struct listing_row *r)
{
	return r->kind == ROW_FOLDER ? LOOK_STRONG : LOOK_PLAIN;
}

const struct column_def column_defs[COLUMNS_N] = {
	[COLUMN_NAME] = {"Name", SORT_NAME, GRID_MIDDLE, 0, 0, name_text, name_look},
	[COLUMN_SIZE] = {"Size", SORT_SIZE, GRID_RIGHT, 10, 7, size_text, plain_look},
	[COLUMN_DATE] = {"Modified", SORT_DATE, GRID_LEFT, 16, 11, date_text, plain_look},
	[COLUMN_CELLS] = {"", -1, GRID_LEFT, 0, 0, cells_text, cells_look},
	[COLUMN_STATE] = {"State", SORT_STATE, GRID_LEFT, 18, 14, state_text, state_look},
};
