/* What rows.c and table.c share: the inside of struct rows, and the change that tables follow. */
#ifndef TUTTI_ROWS_H
#define TUTTI_ROWS_H

#include "table.h"

/* Of every node. `folder` indexes rows.folders; 0: never was a folder. */
struct node_info {
	uint32_t has_row : 1;
	uint32_t folder : 31;
};

struct folder {
	uint64_t bytes;
	uint32_t files, dirs, unsynced;
	uint32_t counts; /* in rows.counts, only while unsynced > 0; else 0 */
	node_t node;
};

/* How many rows below have each state; in a free one, n[0] is the next free one. */
struct state_counts {
	uint32_t n[ROW_STATES_N];
};

/* A folder above the row that changes, from its parent up to the root, as it was before. */
struct ancestor {
	uint64_t old_bytes;
	node_t node;
	uint8_t old_worst;
};

/* kind KIND_ABSENT: there was, or is, no row. */
struct change {
	struct row old, new;
	node_t node;
	struct ancestor *ancestors;
	size_t n_ancestors, cap_ancestors;
};

struct rows {
	const struct tree *tree;
	rows_get_fn *get;
	void *ctx;
	struct node_info *info;
	size_t n_info, cap_info;
	struct folder *folders; /* [0] is nobody's */
	size_t n_folders, cap_folders;
	struct state_counts *counts; /* [0] is nobody's */
	size_t n_counts, cap_counts;
	uint32_t free_counts;
	struct change change; /* under way if the node is not NODE_NONE */
	struct table *tables; /* the open ones, linked by table.c */
};

struct row rows_row(const struct rows *r, node_t n); /* KIND_ABSENT if n has no row */
uint32_t rows_make_folder(struct rows *r, node_t n); /* its index */
uint8_t rows_worst(const struct rows *r, const struct folder *f);

static inline bool rows_has(const struct rows *r, node_t n)
{
	return n < r->n_info && r->info[n].has_row;
}

static inline uint32_t rows_folder(const struct rows *r, node_t n)
{
	return n < r->n_info ? r->info[n].folder : 0;
}

/* table.c: what `get` says and the totals are already the new ones. */
void tables_follow(struct rows *r, const struct change *c);

#endif
