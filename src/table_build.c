/* Owns how whole lists are built: sorted, then linked in O(n). */
#include "config.h"
#include "table_internal.h"

#include <stdlib.h>

struct item {
	uint64_t major;
	uint64_t prefix; /* the first bytes by which the names of siblings differ */
	node_t node;
	bool file;
};

struct items {
	struct item *at;
	size_t n, cap;
};

static void items_add(struct items *items, const struct table *t, node_t n, bool with_key)
{
	struct key key = with_key ? table_key_of(t, n) : (struct key){0};
	GROW(items->at, items->cap, items->n + 1);
	items->at[items->n++] = (struct item){.major = key.major, .file = key.file, .node = n};
}

/* Most names in a folder differ within eight bytes after what all of them share. */
static void set_prefixes(const struct tree *tree, struct item *at, size_t n)
{
	struct bytes first = tree_name(tree, at[0].node);
	size_t shared = first.len;
	for (size_t i = 1; i < n; i++) {
		struct bytes name = tree_name(tree, at[i].node);
		size_t k = 0;
		while (k < shared && k < name.len && name.p[k] == first.p[k])
			k++;
		shared = k;
	}
	for (size_t i = 0; i < n; i++) {
		struct bytes name = tree_name(tree, at[i].node);
		at[i].prefix = 0;
		for (size_t k = shared; k < shared + 8; k++)
			at[i].prefix = at[i].prefix << 8 | (k < name.len ? name.p[k] : 0);
	}
}

static int compare_siblings(const void *va, const void *vb, void *vt)
{
	const struct item *a = va, *b = vb;
	const struct table *t = vt;
	if (a->file != b->file)
		return a->file ? 1 : -1;
	int order;
	if (a->major != b->major)
		order = a->major < b->major ? -1 : 1;
	else if (a->prefix != b->prefix)
		order = a->prefix < b->prefix ? -1 : 1;
	else
		order = tree_compare_names(t->rows->tree, a->node, b->node);
	return t->reverse ? -order : order;
}

static void sort_siblings(struct table *t, struct item *at, size_t n)
{
	if (n < 2)
		return;
	set_prefixes(t->rows->tree, at, n);
	qsort_r(at, n, sizeof(*at), compare_siblings, t);
}

static void link_items(struct table *t, uint32_t *root, const struct items *items)
{
	uint32_t *members = xmalloc(items->n * 2 * sizeof(*members));
	uint32_t *weights = members + items->n;
	for (size_t i = 0; i < items->n; i++) {
		members[i] = items->at[i].node;
		weights[i] = table_weight_of(t, members[i]);
	}
	ranked_build(&t->lists, root, members, weights, items->n);
	free(members);
}

void table_build_list(struct table *t, node_t dir)
{
	const struct tree *tree = t->rows->tree;
	struct items items = {0};
	struct fold *f = table_fold_of(t, dir);
	if (f->built)
		return;
	f->built = true;
	if (table_folder_is_empty(t, dir) || (t->filtered && !f->matches))
		return;
	for (node_t n = tree_first_child(tree, dir); n != NODE_NONE; n = tree_next_sibling(tree, n))
		if (table_is_member(t, n))
			items_add(&items, t, n, true);
	sort_siblings(t, items.at, items.n);
	link_items(t, &f->root, &items);
	free(items.at);
}

/* By major, and otherwise as they stand: byte by byte from the lowest, but for bytes all share. */
static void sort_by_major(struct items *items)
{
	struct item *from = items->at, *to = xmalloc(items->n * sizeof(*to));
	uint64_t differ = 0;
	for (size_t i = 1; i < items->n; i++)
		differ |= from[i].major ^ from[0].major;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t start[257] = {0};
		if (!(differ >> shift & 0xff))
			continue;
		for (size_t i = 0; i < items->n; i++)
			start[(from[i].major >> shift & 0xff) + 1]++;
		for (size_t i = 1; i < ARRAY_LEN(start); i++)
			start[i] += start[i - 1];
		for (size_t i = 0; i < items->n; i++)
			to[start[from[i].major >> shift & 0xff]++] = from[i];
		struct item *sorted = to;
		to = from;
		from = sorted;
	}
	free(to);
	items->at = from;
	items->cap = items->n;
}

static void turn_round(struct item *at, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct item swap = at[i];
		at[i] = at[n - 1 - i];
		at[n - 1 - i] = swap;
	}
}

/* Sorting whole paths would compare too many; so folder by folder, which gives the order by name,
 * and that breaks the ties of any other. Of what is still to do the first stands last. */
static void build_flat(struct table *t)
{
	const struct tree *tree = t->rows->tree;
	struct items out = {0}, todo = {0};
	bool reverse = t->reverse;
	t->reverse = false;
	if (table_may_hold_match(t, t->under))
		items_add(&todo, t, t->under, false);
	while (todo.n) {
		node_t n = todo.at[--todo.n].node;
		if (table_folder_is_empty(t, n)) {
			items_add(&out, t, n, true);
			continue;
		}
		size_t start = todo.n;
		for (node_t c = tree_first_child(tree, n); c != NODE_NONE;
		     c = tree_next_sibling(tree, c))
			if (table_may_hold_match(t, c) || table_is_member(t, c))
				items_add(&todo, t, c, false);
		sort_siblings(t, todo.at + start, todo.n - start);
		turn_round(todo.at + start, todo.n - start);
	}
	t->reverse = reverse;
	if (t->sort != SORT_NAME)
		sort_by_major(&out);
	if (reverse)
		turn_round(out.at, out.n);
	link_items(t, &t->flat, &out);
	free(out.at);
	free(todo.at);
}

void table_count_all_matches(struct table *t)
{
	const struct tree *tree = t->rows->tree;
	node_t n = t->under;
	while ((n = tree_walk(tree, n, t->under, table_may_hold_match(t, n))) != NODE_NONE) {
		if (!table_row_matches(t, n))
			continue;
		for (node_t a = n; a != t->under; ) {
			a = tree_parent(tree, a);
			table_fold_of(t, a)->matches++;
		}
	}
}

static int compare_deepest_first(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;
	return (*a < *b) - (*a > *b);
}

/* From the deepest up, since the weight of a folder's row includes what the folder shows. */
static void build_all_lists(struct table *t)
{
	const struct rows *r = t->rows;
	uint64_t *order = xmalloc(t->n_folds * sizeof(*order)); /* depth, then index */
	size_t n = 0;
	for (size_t i = 1; i < t->n_folds; i++)
		if (table_is_below(t, r->folders[i].node))
			order[n++] = (uint64_t)tree_depth(r->tree, r->folders[i].node) << 32 | i;
	qsort(order, n, sizeof(*order), compare_deepest_first);
	for (size_t i = 0; i < n; i++)
		table_build_list(t, r->folders[(uint32_t)order[i]].node);
	free(order);
}

void table_build(struct table *t)
{
	if (!t->tree) {
		build_flat(t);
		return;
	}
	if (t->new_unfolded)
		build_all_lists(t);
	table_build_list(t, t->under);
}
