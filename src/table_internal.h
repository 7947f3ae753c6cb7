/*
 * What the files of the table share: the inside of struct table.
 *
 *   table.c         opening, questions, folding
 *   table_order.c   which rows belong, and in which order
 *   table_build.c   whole lists at once
 *   table_follow.c  the change of one row
 *   table_find.c    rows by a part of their name
 */
#ifndef TUTTI_TABLE_INTERNAL_H
#define TUTTI_TABLE_INTERNAL_H

#include "filter.h"
#include "ranked.h"
#include "rows.h"

/* What a table knows of a folder in tree form. The list of an unfolded folder is always built;
 * that of a folded one only if it was needed once, and then it is kept up to date as well. */
struct fold {
	uint32_t root;    /* of the list of what is in the folder */
	uint32_t matches; /* rows below that pass the filter; not kept without a filter */
	bool built;
	bool unfolded;
};

struct table {
	struct table *next;
	struct rows *rows;
	struct ranked lists;  /* a row weighs 1, and if unfolded what it shows besides */
	uint32_t flat;        /* the one list of the flat form */
	struct fold *folds;   /* tree form: by folder index of struct rows; [0] is nobody's */
	size_t n_folds, cap_folds;
	struct filter filter;
	struct buf path;      /* of the last row matched; path_dir_len bytes of it the folder's */
	size_t path_dir_len;
	node_t path_dir;
	node_t under;
	enum table_sort sort;
	bool reverse, tree;
	bool filtered;        /* there is a filter that some row may not pass */
	bool new_unfolded;    /* what a folder is that nobody folded or unfolded */
	uint64_t generation;
};

struct key {
	uint64_t major;
	bool file; /* in tree form folders stand first, reversed or not */
};

/* Where in a list a row that is not in it belongs: between these two (0: none), of which one has
 * a free place for it. */
struct gap {
	uint32_t prev, next;
	uint32_t before; /* the weights of all before it */
};

/* table.c */
void table_make_folds(struct table *t); /* for folders that are new in struct rows */
/* Lets the folders that show a list know that its weight has changed. */
void table_carry(struct table *t, node_t dir, uint32_t delta);

/* table_order.c */
bool table_path_matches(struct table *t, node_t n);
bool table_row_matches(struct table *t, node_t n); /* the filter */
bool table_is_member(struct table *t, node_t n);   /* it belongs in its list */
/* Whether it is worth looking for rows in folder n. */
bool table_may_hold_match(const struct table *t, node_t n);
/* As it is with this row, and for a folder with these totals. */
struct key table_key_from(const struct table *t, node_t n, const struct row *row, uint64_t bytes,
                          uint8_t worst);
struct key table_key_of(const struct table *t, node_t n);
struct gap table_find_gap(const struct table *t, uint32_t root, node_t n);

/* table_build.c */
void table_count_all_matches(struct table *t);      /* tree form with a filter; from zero */
void table_build(struct table *t);                  /* all that must be built, from nothing */
void table_build_list(struct table *t, node_t dir); /* if it is not yet */

static inline uint32_t table_fold_index(const struct table *t, node_t n)
{
	uint32_t i = rows_folder(t->rows, n);
	return i < t->n_folds ? i : 0;
}

static inline struct fold *table_fold_of(const struct table *t, node_t n)
{
	return &t->folds[table_fold_index(t, n)];
}

/* The root of the list in which n stands or would. */
static inline uint32_t *table_list_of(struct table *t, node_t n)
{
	return t->tree ? &table_fold_of(t, tree_parent(t->rows->tree, n))->root : &t->flat;
}

/* It is below the folder of the query. */
static inline bool table_is_below(const struct table *t, node_t n)
{
	return n != t->under &&
	       (t->under == NODE_ROOT || tree_is_under(t->rows->tree, n, t->under));
}

/* Of what an unfolded folder shows below its row. */
static inline uint32_t table_list_weight(const struct table *t, node_t dir)
{
	return t->lists.links[table_fold_of(t, dir)->root].sum;
}

/* What row n must weigh in its list. */
static inline uint32_t table_weight_of(const struct table *t, node_t n)
{
	return t->tree && table_fold_of(t, n)->unfolded ? 1 + table_list_weight(t, n) : 1;
}

static inline bool table_key_eq(struct key a, struct key b)
{
	return a.major == b.major && a.file == b.file;
}

static inline bool table_folder_is_empty(const struct table *t, node_t n)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return f->files == 0 && f->dirs == 0;
}

#endif
