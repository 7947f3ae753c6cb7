/* Owns how a table follows the change of one row. */
#include "config.h"
#include "table_internal.h"

static bool list_is_built(const struct table *t, node_t n)
{
	return !t->tree || table_fold_of(t, tree_parent(t->rows->tree, n))->built;
}

static void list_insert(struct table *t, node_t n)
{
	uint32_t *root = table_list_of(t, n), weight = table_weight_of(t, n);
	struct gap gap = table_find_gap(t, *root, n);
	bool right = gap.prev && !t->lists.links[gap.prev].right;
	ranked_insert(&t->lists, root, right ? gap.prev : gap.next, right, n, weight);
	table_carry(t, tree_parent(t->rows->tree, n), weight);
}

static void list_remove(struct table *t, node_t n)
{
	uint32_t weight = ranked_weight(&t->lists, n);
	ranked_remove(&t->lists, table_list_of(t, n), n);
	table_carry(t, tree_parent(t->rows->tree, n), 0 - weight);
}

static void count_matches(struct table *t, const struct change *c)
{
	bool path = table_path_matches(t, c->node);
	bool was = path && c->old.kind != KIND_ABSENT && filter_match_row(&t->filter, &c->old);
	bool is = path && c->new.kind != KIND_ABSENT && filter_match_row(&t->filter, &c->new);
	for (size_t i = 0; was != is && i < c->n_ancestors; i++) {
		table_fold_of(t, c->ancestors[i].node)->matches += is ? 1u : UINT32_MAX;
		if (c->ancestors[i].node == t->under)
			break;
	}
}

static bool moves(const struct table *t, const struct change *c)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, c->node)];
	uint8_t worst = rows_worst(t->rows, f);
	return !table_key_eq(table_key_from(t, c->node, &c->old, f->bytes, worst),
	                     table_key_from(t, c->node, &c->new, f->bytes, worst));
}

static bool ancestor_moves(const struct table *t, const struct ancestor *a)
{
	if (!t->tree || t->sort == SORT_NAME || t->sort == SORT_DATE)
		return false;
	struct row row = rows_row(t->rows, a->node);
	struct key old = table_key_from(t, a->node, &row, a->old_bytes, a->old_worst);
	return !table_key_eq(old, table_key_of(t, a->node));
}

/* All that must leave or move goes first, so that every comparison after it is among rows that
 * stand where they belong. */
static void table_follow(struct table *t, const struct change *c)
{
	ranked_make_room(&t->lists, tree_count(t->rows->tree));
	table_make_folds(t);
	if (!table_is_below(t, c->node))
		return;
	if (t->tree && t->filtered)
		count_matches(t, c);
	size_t n_above = 0;
	while (c->ancestors[n_above].node != t->under)
		n_above++;

	bool touched = ranked_has(&t->lists, c->node);
	if (touched && (moves(t, c) || !table_is_member(t, c->node)))
		list_remove(t, c->node);
	for (size_t i = 0; i < n_above; i++) {
		node_t a = c->ancestors[i].node;
		if (!ranked_has(&t->lists, a))
			continue;
		touched = true;
		if (ancestor_moves(t, &c->ancestors[i]) || !table_is_member(t, a))
			list_remove(t, a);
	}
	for (size_t i = 0; i <= n_above; i++) {
		node_t n = i == 0 ? c->node : c->ancestors[i - 1].node;
		if (ranked_has(&t->lists, n) || !list_is_built(t, n) || !table_is_member(t, n))
			continue;
		list_insert(t, n);
		touched = true;
	}
	t->generation += touched;
}

void tables_touch(struct rows *r, node_t n)
{
	for (struct table *t = r->tables; t; t = t->next)
		t->generation += ranked_has(&t->lists, n);
}

void tables_follow(struct rows *r, const struct change *c)
{
	for (struct table *t = r->tables; t; t = t->next)
		table_follow(t, c);
}
