/* Owns the open tables: which folders are unfolded, and what stands where. */
#include "config.h"
#include "table_internal.h"

#include <stdlib.h>

static const char *const sort_texts[SORTS_N] = {
	[SORT_NAME] = "name",
	[SORT_SIZE] = "size",
	[SORT_DATE] = "date",
	[SORT_STATE] = "state",
};

const char *table_sort_text(enum table_sort s)
{
	assert(s < SORTS_N);
	return sort_texts[s];
}

int table_sort_parse(struct bytes text)
{
	for (size_t i = 0; i < ARRAY_LEN(sort_texts); i++)
		if (bytes_eq(text, bytes_of(sort_texts[i])))
			return (int)i;
	return -1;
}

void table_make_folds(struct table *t)
{
	GROW(t->folds, t->cap_folds, t->rows->n_folders);
	while (t->n_folds < t->rows->n_folders) {
		/* Nothing in it has a row yet, so that its list is as good as built. */
		bool open = t->new_unfolded && t->n_folds != 0;
		bool built = open || t->n_folds == 0;
		t->folds[t->n_folds++] = (struct fold){.built = built, .unfolded = open};
	}
}

void table_carry(struct table *t, node_t dir, uint32_t delta)
{
	if (!t->tree)
		return;
	while (dir != t->under && table_fold_of(t, dir)->unfolded && ranked_has(&t->lists, dir)) {
		ranked_add(&t->lists, dir, delta);
		dir = tree_parent(t->rows->tree, dir);
	}
}

struct table *table_open(struct rows *r, const struct table_query *q)
{
	assert(q->sort < SORTS_N && r->change.node == NODE_NONE);
	struct table *t = xcalloc(1, sizeof(*t));
	rows_make_folder(r, q->under);
	t->rows = r;
	t->sort = q->sort;
	t->reverse = q->reverse;
	t->tree = q->tree;
	t->under = q->under;
	t->path_dir = NODE_NONE;
	t->generation = 1;
	filter_init(&t->filter, q->filter, q->only_unsynced);
	t->filtered = !filter_passes_all(&t->filter);
	ranked_init(&t->lists, tree_seed(r->tree), tree_count(r->tree));
	table_make_folds(t);
	if (t->tree && t->filtered)
		table_count_all_matches(t);
	t->new_unfolded = t->tree && t->filtered;
	for (size_t i = 1; i < t->n_folds; i++)
		t->folds[i].unfolded = t->new_unfolded;
	table_build(t);
	t->next = r->tables;
	r->tables = t;
	return t;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	struct table **link = &t->rows->tables;
	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	ranked_release(&t->lists);
	filter_release(&t->filter);
	buf_release(&t->path);
	free(t->folds);
	free(t);
}

/* Questions */

static uint32_t first_list(const struct table *t)
{
	return t->tree ? table_fold_of(t, t->under)->root : t->flat;
}

size_t table_count(const struct table *t)
{
	return t->lists.links[first_list(t)].sum;
}

node_t table_at(const struct table *t, size_t position)
{
	const struct ranked_link *links = t->lists.links;
	uint32_t n = first_list(t);
	while (n && position < links[n].sum) {
		uint32_t left = links[links[n].left].sum;
		if (position < left) {
			n = links[n].left;
			continue;
		}
		position -= left;
		if (position == 0)
			return n;
		uint32_t weight = ranked_weight(&t->lists, n);
		if (position < weight) {
			position -= 1;
			n = table_fold_of(t, n)->root;
		} else {
			position -= weight;
			n = links[n].right;
		}
	}
	return NODE_NONE;
}

/* Of what is in dir, the position of the first; dir and all above it show and are unfolded. */
static size_t first_position(const struct table *t, node_t dir)
{
	size_t position = 0;
	for (; t->tree && dir != t->under; dir = tree_parent(t->rows->tree, dir))
		position += ranked_before(&t->lists, dir) + 1u;
	return position;
}

size_t table_position(const struct table *t, node_t n, bool *exact)
{
	*exact = false;
	if (!table_is_below(t, n))
		return 0;
	node_t shown = n; /* or what hides it */
	for (node_t a = n; t->tree && a != t->under; a = tree_parent(t->rows->tree, a))
		if (!ranked_has(&t->lists, a) || (a != n && !table_fold_of(t, a)->unfolded))
			shown = a;
	node_t dir = tree_parent(t->rows->tree, shown);
	if (ranked_has(&t->lists, shown)) {
		*exact = shown == n;
		return first_position(t, dir) + ranked_before(&t->lists, shown);
	}
	uint32_t root = t->tree ? table_fold_of(t, dir)->root : t->flat;
	return first_position(t, dir) + table_find_gap(t, root, shown).before;
}

unsigned table_depth(const struct table *t, node_t n)
{
	if (!t->tree || !table_is_below(t, n))
		return 0;
	return tree_depth(t->rows->tree, n) - tree_depth(t->rows->tree, t->under) - 1;
}

uint64_t table_generation(const struct table *t)
{
	return t->generation;
}

size_t table_memory(const struct table *t)
{
	return sizeof(*t) + t->lists.n * sizeof(*t->lists.links) + t->n_folds * sizeof(*t->folds);
}

/* Folding */

bool table_unfolded(const struct table *t, node_t dir)
{
	return t->tree && (dir == t->under || table_fold_of(t, dir)->unfolded);
}

void table_fold(struct table *t, node_t dir, bool unfolded)
{
	if (!t->tree || dir == t->under || !table_is_below(t, dir))
		return;
	table_make_folds(t);
	struct fold *f = table_fold_of(t, dir);
	if (!table_fold_index(t, dir) || f->unfolded == unfolded)
		return;
	table_build_list(t, dir);
	f->unfolded = unfolded;
	t->generation++;
	if (!ranked_has(&t->lists, dir))
		return;
	uint32_t delta = unfolded ? table_list_weight(t, dir) : 0 - table_list_weight(t, dir);
	ranked_add(&t->lists, dir, delta);
	table_carry(t, tree_parent(t->rows->tree, dir), delta);
}

void table_fold_all(struct table *t, bool unfolded)
{
	if (!t->tree)
		return;
	table_make_folds(t);
	t->new_unfolded = unfolded;
	t->generation++;
	ranked_clear(&t->lists);
	for (size_t i = 1; i < t->n_folds; i++) {
		t->folds[i].root = 0;
		t->folds[i].built = false;
		t->folds[i].unfolded = unfolded;
	}
	table_build(t);
}

void table_reveal(struct table *t, node_t n)
{
	if (!table_is_below(t, n))
		return;
	for (node_t a = n; (a = tree_parent(t->rows->tree, a)) != t->under; )
		table_fold(t, a, true);
}
