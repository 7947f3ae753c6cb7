/* The one table of the columns of rows: head, place, widths, and the text of a row in it. */
#ifndef TUTTI_COLUMNS_H
#define TUTTI_COLUMNS_H

#include "format.h"
#include "listing.h"
#include "grid.h"
#include "setup.h"

enum column { COLUMN_NAME, COLUMN_SIZE, COLUMN_DATE, COLUMN_CELLS, COLUMN_STATE, COLUMNS_N };

/* In what form the cells, one for each server, stand in their column. */
enum cells_form {
	CELLS_SPACED,  /* "= < ?" */
	CELLS_TIGHT,   /* "=<?" */
	CELLS_COUNT,   /* "8/9 <": how many have it, and the worst */
	CELLS_WORST,   /* "<" */
};

struct column_style {
	bool tree, ascii;
	bool wide;               /* sizes and dates in their long form */
	enum size_units units;
	enum cells_form cells;
	size_t servers;
	size_t scroll;           /* columns that flat names are moved to the left */
};

struct column_def {
	const char *head;
	int sort;                /* enum table_sort that a click chooses; -1: none */
	enum grid_align align;
	int width_long, width_short; /* 0: depends */
	/* Appends the text, safe to show. */
	void (*text)(struct buf *out, const struct listing_row *r, const struct column_style *s);
	unsigned (*look)(const struct listing_row *r);
};

extern const struct column_def column_defs[COLUMNS_N];

/* Columns that the cells take in a form. */
int cells_width(enum cells_form form, size_t servers);
/* A for the first server, B ...; ' ' beyond Z. */
char server_letter(size_t i);
/* The cell that says most about what is wrong; '=' if all is well. */
char cells_worst(struct bytes cells);
/* What a cell means: "has it", "receiving" ... */
const char *cell_words(char cell);
unsigned cell_look(char cell);

/* Appends a path or message of others for the screen. */
void show(struct buf *out, struct bytes raw, bool ascii);
/* A time in the local zone; "" if it is 0. */
void show_time(char out[20], int64_t ns, enum format_style style);

#endif
