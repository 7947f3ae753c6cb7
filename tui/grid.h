/* The picture of one screen: a grid of cells that views draw on and back ends show. Knows
 * nothing of terminals: the grid is compared in tests, printed by --frame, and carried to the
 * terminal by terminal.c. Drawing outside the grid is allowed and does nothing. */
#ifndef TUTTI_GRID_H
#define TUTTI_GRID_H

#include "base.h"
#include "text.h"

/* What a piece of text means; terminal.c has the colours. One list yields the enum and the letter
 * that stands for it in tests. Every meaning is in the words as well: no colour stands alone. */
#define LOOKS(X)                                                                                   \
	X(PLAIN, '.')                                                                              \
	X(STRONG, 's')  /* titles, keys */                                                         \
	X(HEAD, 'h')    /* column heads */                                                         \
	X(GOOD, 'g')    /* in sync, done */                                                        \
	X(BUSY, 'b')    /* on its way */                                                           \
	X(BAD, 'e')     /* failed, conflict */                                                     \
	X(OLD, 'o')     /* of a server that went away, or as of an earlier time */                 \
	X(SHOUT, 't')   /* trouble in the first line */

enum look {
#define X(id, letter) LOOK_##id,
	LOOKS(X)
#undef X
	LOOKS_N,
	LOOK_SELECTED = 0x80 /* added to any: the selected row */
};

enum { GRID_WIDTH_MAX = 1000, GRID_HEIGHT_MAX = 1000 };

struct cell {
	uint32_t cp[1 + TEXT_MARKS_MAX]; /* character and marks; unused ones are 0 */
	uint8_t width;                   /* columns, 1 or 2; 0: right half of the one before */
	uint8_t look;
};

struct grid {
	int width, height;
	int cursor_y, cursor_x; /* where the hardware cursor rests; always inside unless 0 x 0 */
	bool ascii;             /* only ASCII is drawn */
	struct cell *cells;
};

void grid_init(struct grid *s, int width, int height, bool ascii); /* clamps to 0..MAX */
void grid_release(struct grid *s);
void grid_resize(struct grid *s, int width, int height);
void grid_clear(struct grid *s);

static inline struct cell *grid_cell(const struct grid *s, int y, int x)
{
	return &s->cells[(size_t)y * (size_t)s->width + (size_t)x];
}

enum grid_align {
	GRID_LEFT,
	GRID_RIGHT,
	GRID_MIDDLE /* left, and what is too long loses its middle */
};

/* Draws text that passed text_show() into the columns x..x+width-1 of line y. Blanks fill the
 * rest, what is too long is cut with a mark. Returns the columns that the text took. */
int grid_field(struct grid *s, int y, int x, int width, struct bytes shown, enum grid_align align,
	      unsigned look);

/* The same, without filling. */
int grid_text(struct grid *s, int y, int x, int width, struct bytes shown, unsigned look);

/* Text of ours: ASCII. grid_printf() returns the columns that the text took. */
int grid_put(struct grid *s, int y, int x, const char *ascii, unsigned look);
int grid_printf(struct grid *s, int y, int x, unsigned look, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Blanks in columns x..x+width-1. */
void grid_fill(struct grid *s, int y, int x, int width, unsigned look);

/* Gives the text of the line the look of a selected row. */
void grid_select(struct grid *s, int y);

void grid_cursor(struct grid *s, int y, int x); /* clamped to the grid */

/* Appends the grid as UTF-8 lines without blanks at their ends, or (looks) as letters. */
void grid_print(const struct grid *s, struct buf *out, bool looks);

#endif
