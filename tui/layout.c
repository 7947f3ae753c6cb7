/* Owns the arrangement of the screen. */
#include "config.h"
#include "layout.h"

enum {
	NAME_MIN = 16,      /* 12 for the name, 4 for marks, as long as another column can go */
	SERVER_LINES_MAX = 4,
	SERVER_CELLS_MAX = 8,
	STATE_MAX = 40,
	SIZE_BYTES = 15,    /* "110,293,963,469" */
};

/* ---- lines ------------------------------------------------------------------------------- */

static struct band take(int *y, int h)
{
	struct band b = {*y, h};
	*y += h;
	return b;
}

static void lines(struct layout *l, const struct layout_facts *f)
{
	int h = l->height, y = 0, below, n_transfers = 0, n_servers = 0;
	bool lines_fit = h >= 28 && f->servers <= SERVER_LINES_MAX && l->width >= 60;

	l->servers_form = lines_fit                        ? SERVERS_LINES
			  : l->width >= 60 && h >= 14 ? SERVERS_CHIPS
						      : SERVERS_LETTERS;
	if (l->servers_form == SERVERS_LINES)
		n_servers = (int)f->servers;
	else if (l->servers_form == SERVERS_CHIPS)
		n_servers = 1;
	if (f->transfers > 0 && h >= 28)
		n_transfers = f->transfers < 3 ? (int)f->transfers : 3;
	else if (f->transfers > 0 && h >= 16)
		n_transfers = 1;
	l->transfers_in_status = f->transfers > 0 && n_transfers == 0;

	l->title = take(&y, h >= 6);
	l->servers = take(&y, n_servers);
	l->heads = take(&y, h >= 5);
	below = (h >= 28) + (h >= 3) + n_transfers + (h >= 10) + (h >= 8);
	l->body = take(&y, h - y - below);
	l->detail = take(&y, h >= 28);
	l->status = take(&y, h >= 3);
	l->transfers = take(&y, n_transfers);
	l->event = take(&y, h >= 10);
	l->keys = take(&y, h >= 8);
}

/* ---- columns ----------------------------------------------------------------------------- */

/* Places the columns from the right; returns what is left for the name. */
static int place(struct layout *l, const int width[COLUMNS_N])
{
	static const enum column order[] = {COLUMN_STATE, COLUMN_CELLS, COLUMN_DATE, COLUMN_SIZE};
	int gap = l->width < 52 ? 1 : 2, right = l->width;

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		enum column c = order[i];
		l->columns[c].width = width[c];
		l->columns[c].x = right - width[c];
		if (width[c] > 0)
			right -= width[c] + (c == COLUMN_SIZE ? 1 : gap);
	}
	/* A tight table ends one column before the edge, unless State ends it. */
	l->columns[COLUMN_NAME].x = 0;
	l->columns[COLUMN_NAME].width = right > 0 ? right : 0;
	return right;
}

static void columns(struct layout *l, const struct layout_facts *f)
{
	int w = l->width, width[COLUMNS_N] = {0};
	enum cells_form cells = f->servers > SERVER_CELLS_MAX ? CELLS_COUNT
				: w < 52                    ? CELLS_TIGHT
							      : CELLS_SPACED;
	if (w < 24)
		cells = CELLS_WORST;
	l->style.wide = w >= 100;
	l->style.servers = f->servers;
	l->style.units = f->units;
	if (w >= 30)
		width[COLUMN_SIZE] = f->units == UNITS_BYTES ? SIZE_BYTES
				     : l->style.wide ? column_defs[COLUMN_SIZE].width_long
						     : column_defs[COLUMN_SIZE].width_short;
	if (w >= 60)
		width[COLUMN_DATE] = l->style.wide ? column_defs[COLUMN_DATE].width_long
						   : column_defs[COLUMN_DATE].width_short;
	if (w >= 52)
		width[COLUMN_STATE] = l->style.wide ? column_defs[COLUMN_STATE].width_long
						    : column_defs[COLUMN_STATE].width_short;
	if (w > 100) {
		width[COLUMN_STATE] += (w - 100) / 4;
		if (width[COLUMN_STATE] > STATE_MAX)
			width[COLUMN_STATE] = STATE_MAX;
	}
	width[COLUMN_CELLS] = cells_width(cells, f->servers);
	for (size_t c = 0; c < COLUMNS_N; c++)
		if (f->hidden & 1u << c && c != COLUMN_NAME && c != COLUMN_CELLS)
			width[c] = 0;

	/* What goes, one after the other, for the name to keep its columns. */
	for (int step = 0; place(l, width) < NAME_MIN && step < 6; step++) {
		switch (step) {
		case 0:
			width[COLUMN_DATE] = 0;
			break;
		case 1:
			width[COLUMN_STATE] = 0;
			break;
		case 2:
			if (cells == CELLS_SPACED)
				cells = CELLS_TIGHT;
			width[COLUMN_CELLS] = cells_width(cells, f->servers);
			break;
		case 3:
			width[COLUMN_SIZE] = 0;
			break;
		case 4:
			if (cells != CELLS_COUNT)
				cells = CELLS_WORST;
			width[COLUMN_CELLS] = cells_width(cells, f->servers);
			break;
		case 5:
			width[COLUMN_CELLS] = 0;
			break;
		}
	}
	l->style.cells = cells;
}

void layout_compute(struct layout *l, int width, int height, const struct layout_facts *facts)
{
	*l = (struct layout){.width = width > 0 ? width : 0, .height = height > 0 ? height : 0};
	lines(l, facts);
	columns(l, facts);
}
