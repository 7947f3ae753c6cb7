/*
 * The client's side of one open table: the query, the window of rows that was fetched, and the
 * selection, which is a path and never a line. Pure: requests go out through one function, answers
 * and notifications come in, and what is drawn is read from the struct.
 *
 * Positions count rows of the whole table. The window holds the rows first..first+n-1; the screen
 * shows `height` rows from `top`. Moving inside the window asks nobody. Near its edge the next
 * window is asked for in good time; beyond it the selection is `away` until the answer comes:
 *
 *	here    the selected row is in the window; sel is its path, at its position
 *	away    only the position is known: at (a jump); the row comes with the answer
 *	sought  only the path is known: sel (found, or moved out of the window); likewise
 *
 * While a row is away or sought the old window stays on the screen, and keys that act on the
 * selected row wait (listing_settled).
 */
#ifndef TUTTI_LISTING_H
#define TUTTI_LISTING_H

#include "pathset.h"
#include "table.h"

#include <msgpack.h>

enum { ROW_UNFOLDED = 1, ROW_CONFLICT_COPY = 2, ROW_EXECUTABLE = 4 }; /* flags */
enum { ROW_FILE = 1, ROW_FOLDER = 2, ROW_LINK = 3 };                  /* kinds */
enum { LISTING_WINDOW_MAX = 500, LISTING_UNFOLD_MAX = 4096 };

struct listing_row {
	struct bytes path;  /* these three lie in the listing's own memory */
	struct bytes cells; /* one character for each replica */
	struct bytes note;
	uint64_t size;
	int64_t mtime; /* ns */
	uint64_t files;
	unsigned depth;
	uint8_t kind, state, flags;
};

struct listing_query {
	enum table_sort sort;
	bool reverse, tree, only;
};

/* Packs nothing but sends: false if there is no connection. `tag` comes back to listing_answer. */
typedef bool listing_ask_fn(void *ctx, const char *method, struct buf *params, uint32_t tag);

enum listing_where { LISTING_HERE, LISTING_AWAY, LISTING_SOUGHT };

struct listing {
	struct listing_query query;
	struct buf filter;       /* raw bytes */
	bool all_unfolded;       /* then `folds` are the folders that are folded, else unfolded */
	struct pathset folds;

	bool known;              /* rows have come since the query was changed last */
	uint64_t total;          /* rows in the table */
	uint64_t files, bytes, unsynced; /* of the whole table's folder */
	struct listing_row *rows;
	size_t n, cap;
	uint64_t first;

	unsigned height;         /* rows on the screen */
	uint64_t top, at;        /* positions: first row on the screen, selected row */
	struct buf sel;          /* path of the selected row */
	enum listing_where where;
	bool follow;             /* stay on the first row */
	bool frozen;             /* do not take rows that were not asked for */
	uint64_t withheld;       /* changes that came while frozen */
	bool held;               /* rows that come unasked do not move those on the screen */
	bool withholds;          /* and there are some that would have */
	uint64_t generation;     /* grows with every change of the rows */

	/* How it talks. */
	listing_ask_fn *ask;
	void *ctx;
	uint32_t tag;            /* high bits of its tags; the low 24 are its own */
	uint32_t epoch;          /* of the table that is open or being opened */
	uint32_t table;
	bool open, opening, asked;
	bool dirty;              /* asks again when the answer has come */
	unsigned retries;        /* windows asked for since the last key or change */
	struct buf memory;       /* what rows point to */
};

void listing_init(struct listing *l, listing_ask_fn *ask, void *ctx, uint32_t tag);
void listing_release(struct listing *l);

/* Opens the table of the present query (again), keeping the selection. */
void listing_open(struct listing *l);
/* The connection is gone: what is shown stays. */
void listing_lost(struct listing *l);
/* Closes the table on the server and forgets the rows. */
void listing_close(struct listing *l);

void listing_set_height(struct listing *l, unsigned height);
void listing_set_filter(struct listing *l, struct bytes filter);
void listing_set_query(struct listing *l, struct listing_query query);

/* What comes in. An answer's tag is without the high bits; `result` is NULL after an error. */
void listing_answer(struct listing *l, uint32_t tag, const msgpack_object *result);
/* A table.rows; false if it is of another table. */
bool listing_rows(struct listing *l, const msgpack_object *params);

/* Only takes the rows of a table.rows map and where they begin; for others who read tables. */
void listing_take(struct listing *l, const msgpack_object *map);

/* Moves the selection; the screen scrolls as little as it must. */
void listing_move(struct listing *l, int64_t by);
void listing_page(struct listing *l, int64_t by);     /* the screen moves as well */
void listing_go(struct listing *l, uint64_t position);
void listing_line(struct listing *l, unsigned line);  /* of the screen */
void listing_scroll(struct listing *l, int64_t by);   /* the selection moves only if it must */
void listing_select(struct listing *l, struct bytes path);
void listing_follow(struct listing *l, bool follow);
void listing_freeze(struct listing *l, bool frozen);
/* While it is held, what changes is shown in its old place; afterwards all go to where they belong. */
void listing_hold(struct listing *l, bool held);

/* Unfolds or folds one folder, or (path NULL) all. */
void listing_fold(struct listing *l, const struct bytes *path, bool unfolded);
/* Folds or unfolds for a path to become visible, without asking: the server has done it. */
void listing_revealed(struct listing *l, struct bytes path);

/* Does the selected row stand still? Keys that act on it wait until then. */
bool listing_settled(const struct listing *l);
/* The row at a position; NULL outside the window. */
const struct listing_row *listing_row(const struct listing *l, uint64_t position);
const struct listing_row *listing_selected(const struct listing *l); /* NULL: none, or not here */
struct bytes listing_path(const struct listing *l); /* of the selection, while it is not away */

#endif
