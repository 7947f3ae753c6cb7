/*
 * The live, sorted table of all paths, as open queries over the tree: position <-> row in
 * O(log n), kept up to date row by row. Owns the totals of folders and the order of rows; what a
 * row says comes from the engine through one callback. Pure.
 *
 * An open table is a hierarchy of counted search trees: one for the query's folder, and in tree
 * form one more for each unfolded folder, whose weight counts in its parent's. In flat form there
 * is one for everything.
 */
#ifndef TUTTI_TABLE_H
#define TUTTI_TABLE_H

#include "tree.h"

/* One list of states yields the enum, the names in JSON and on screen, and the order of badness. */
#define ROW_STATES(X)                                                                              \
	X(SYNCED, "synced")         /* every known replica holds it */                             \
	X(WAITING, "waiting")       /* here, others do not have it yet */                          \
	X(QUEUED, "queued")         /* known, not here yet */                                      \
	X(RECEIVING, "receiving")   /* content is on its way to here */                            \
	X(BUSY, "busy")             /* being written, or changing while it is read */              \
	X(DELETED, "deleted")       /* deleted, others will follow */                              \
	X(HELD, "held")             /* deletion waits for a person */                              \
	X(CONFLICT, "conflict")     /* more than one head */                                       \
	X(NOT_CARRIED, "not carried") /* device, socket, fifo: listed, never sent */               \
	X(BLOCKED, "blocked")       /* failed here or elsewhere; the reason says why */

enum row_state {
#define X(id, text) ROW_##id,
	ROW_STATES(X)
#undef X
	ROW_STATES_N
};

const char *row_state_text(enum row_state s);
int row_state_parse(struct bytes text); /* -1 if there is none of that name */

/* What a table needs to know of a path. kind is enum kind of entry.h; KIND_ABSENT: no row. */
struct row {
	uint64_t size;  /* bytes; of a folder ignored, its totals count */
	int64_t mtime;  /* ns */
	uint8_t kind;
	uint8_t state;  /* enum row_state */
};

/* Of a folder: all that lies below it, itself not counted. */
struct totals {
	uint64_t bytes;
	uint32_t files;    /* files and symlinks */
	uint32_t dirs;
	uint32_t unsynced; /* rows below whose state is not SYNCED */
	uint8_t worst;     /* enum row_state: worst state among the rows below */
};

struct rows;
typedef void rows_get_fn(void *ctx, node_t n, struct row *out);

/* The rows of a tree. Keeps pointers to `tree` and `ctx`. Starts with no row; add each by
 * begin/end. `get` is asked once for each change, by rows_end, and its answer is kept. */
struct rows *rows_new(const struct tree *tree, rows_get_fn *get, void *ctx);
void rows_free(struct rows *r); /* all tables must be closed */

/* Brackets every change of what `get` says of node n. Not nested. What changes many rows at once
 * (a new member, say) may happen first and then be bracketed row by row: the totals and tables
 * are right for the rows done so far, and the others stay as they were. */
void rows_begin(struct rows *r, node_t n);
void rows_end(struct rows *r, node_t n);

struct totals rows_totals(const struct rows *r, node_t dir); /* of NODE_ROOT: of everything */
/* How many rows below have that state, which is not SYNCED. */
uint32_t rows_in_state(const struct rows *r, node_t dir, enum row_state state);
size_t rows_memory(const struct rows *r);

enum table_sort { SORT_NAME, SORT_SIZE, SORT_DATE, SORT_STATE, SORTS_N };
const char *table_sort_text(enum table_sort s);
int table_sort_parse(struct bytes text);

struct table_query {
	enum table_sort sort;
	bool reverse;
	bool tree;             /* else flat: files, symlinks and empty folders, by full path */
	bool only_unsynced;
	node_t under;          /* NODE_ROOT: all */
	struct bytes filter;   /* borrowed during table_open; words, see filter.h */
};

struct table;

/* Never fails: an unknown state or kind in the filter matches nothing. The caller closes it. */
struct table *table_open(struct rows *r, const struct table_query *q);
void table_close(struct table *t);

size_t table_count(const struct table *t);
node_t table_at(const struct table *t, size_t position); /* NODE_NONE past the end */
/* Where n stands; if it is not in the table, where it would (SIZE_MAX never comes back);
 * *exact says which. In tree form a path in a folded folder gives that folder, not exact. */
size_t table_position(const struct table *t, node_t n, bool *exact);
/* The next row after `from` (before, if back; wraps round) whose path's last component contains
 * `text`, case as in filters; `from` itself comes last. In tree form also inside folded folders,
 * which the caller then unfolds (table_reveal). NODE_NONE if there is none. */
node_t table_find(struct table *t, struct bytes text, node_t from, bool back);

/* Tree form: unfold or fold one folder, or all; and unfold what hides n. */
void table_fold(struct table *t, node_t dir, bool unfolded);
void table_fold_all(struct table *t, bool unfolded);
void table_reveal(struct table *t, node_t n);
bool table_unfolded(const struct table *t, node_t dir);
/* How far to indent a row: 0 for what is directly in the query's folder; in flat form 0. */
unsigned table_depth(const struct table *t, node_t n);

/* Grows whenever the order or any row of the table may have changed. */
uint64_t table_generation(const struct table *t);

/* Bytes in use. Without an unfolded folder most of it is zero pages never touched. */
size_t table_memory(const struct table *t);

#endif
