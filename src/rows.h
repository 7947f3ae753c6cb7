/* What rows.c and table.c share: the inside of struct rows, and the change that tables follow. */
#ifndef TUTTI_ROWS_H
#define TUTTI_ROWS_H

#include "entry.h"
#include "table.h"

/* Of every node: its row as `get` last said, so that totals and order cannot come apart from what
 * was counted and sorted; and asking the engine costs more than these bytes. */
struct node_info {
	uint64_t size;
	int64_t mtime;
	uint32_t folder; /* in rows.folders; 0: never was one */
	uint8_t kind;    /* KIND_ABSENT: no row */
	uint8_t state;
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

uint32_t rows_make_folder(struct rows *r, node_t n); /* its index */
uint8_t rows_worst(const struct rows *r, const struct folder *f);

static inline struct row rows_row(const struct rows *r, node_t n)
{
	if (n >= r->n_info)
		return (struct row){.kind = KIND_ABSENT};
	const struct node_info *i = &r->info[n];
	return (struct row){.size = i->size, .mtime = i->mtime, .kind = i->kind, .state = i->state};
}

static inline bool rows_has(const struct rows *r, node_t n)
{
	return n < r->n_info && r->info[n].kind != KIND_ABSENT;
}

static inline uint32_t rows_folder(const struct rows *r, node_t n)
{
	return n < r->n_info ? r->info[n].folder : 0;
}

/* table_follow.c: the row and the totals are already the new ones. */
void tables_follow(struct rows *r, const struct change *c);
void tables_touch(struct rows *r, node_t n); /* the row is the same, but what is shown may not be */

#endif
