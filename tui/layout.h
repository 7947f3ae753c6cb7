/* Where everything stands on a screen of any size, down to 1 x 1. Pure: sizes and facts in,
 * lines and columns out. What does not fit is left out in a fixed order and comes back with the
 * room for it. */
#ifndef TUTTI_LAYOUT_H
#define TUTTI_LAYOUT_H

#include "columns.h"

struct layout_facts {
	size_t servers;
	size_t transfers;  /* lines wanted for transfers: 0 if none runs */
	unsigned hidden;   /* columns that are not wanted: bits by enum column */
	enum size_units units;
};

enum servers_form { SERVERS_LINES, SERVERS_CHIPS, SERVERS_LETTERS /* in the title */ };

/* y: first line, h: number of lines; 0 lines: not there. */
struct band {
	int y, h;
};

struct layout {
	int width, height;
	struct band title, servers, heads, body, detail, status, transfers, event, keys;
	enum servers_form servers_form;
	bool transfers_in_status; /* there is no line for them */
	struct {
		int x, width; /* width 0: not there */
	} columns[COLUMNS_N];
	struct column_style style; /* tree, ascii and scroll are the caller's */
};

void layout_compute(struct layout *l, int width, int height, const struct layout_facts *facts);

#endif
