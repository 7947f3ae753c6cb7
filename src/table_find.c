/*
 * Owns how a table finds rows by a part of their name. If few match, the nearest of them; else a
 * walk in the order of the table, which soon meets one. In tree form both know what is in folded
 * folders, in the order that the table had if all were unfolded.
 */
#include "config.h"
#include "table_internal.h"

enum { FEW = 64 };

struct search {
	struct table *table;
	struct bytes text;
	bool back;
	bool many; /* more than fit in `few` */
	size_t n_few;
	node_t few[FEW];
};

static bool name_matches(const struct search *s, node_t n)
{
	return filter_contains(tree_name(s->table->rows->tree, n), s->text);
}

/* Of n and the folders that it is in, the topmost that is no row of the table, which hides the
 * rest; NODE_NONE if there is none. */
static node_t topmost_missing(struct table *t, node_t n)
{
	node_t missing = table_is_member(t, n) ? NODE_NONE : n;
	for (node_t a = n; t->tree && (a = tree_parent(t->rows->tree, a)) != t->under; )
		if (!table_is_member(t, a))
			missing = a;
	return missing;
}

/* In the order of the nodes, which is that of memory and so by far the fastest. */
static void look_for_few(struct search *s)
{
	size_t count = tree_count(s->table->rows->tree);
	for (node_t n = NODE_ROOT + 1; n < count && !s->many; n++) {
		if (!name_matches(s, n) || !table_is_below(s->table, n) ||
		    topmost_missing(s->table, n) != NODE_NONE)
			continue;
		s->many = s->n_few == FEW;
		if (!s->many)
			s->few[s->n_few++] = n;
	}
}

/* The lists of all folders above n, down to the one that n stands in or would. */
static void build_lists_above(struct table *t, node_t n)
{
	while (t->tree && n != t->under) {
		n = tree_parent(t->rows->tree, n);
		table_build_list(t, n);
	}
}

/* Of a row that is not in the list, the same as of the row behind its place. */
static uint32_t place_in_list(struct table *t, node_t n)
{
	if (ranked_has(&t->lists, n))
		return ranked_before(&t->lists, n);
	return table_find_gap(t, *table_list_of(t, n), n).before;
}

static bool place_is_before(struct table *t, node_t a, node_t b)
{
	const struct tree *tree = t->rows->tree;
	node_t x = a, y = b;
	while (t->tree && tree_depth(tree, x) > tree_depth(tree, y))
		x = tree_parent(tree, x);
	while (t->tree && tree_depth(tree, y) > tree_depth(tree, x))
		y = tree_parent(tree, y);
	if (x == y)
		return tree_depth(tree, a) < tree_depth(tree, b);
	while (t->tree && tree_parent(tree, x) != tree_parent(tree, y)) {
		x = tree_parent(tree, x);
		y = tree_parent(tree, y);
	}
	return place_in_list(t, x) < place_in_list(t, y);
}

/* The nearest behind `from`, else the first of all; `from` itself comes last. */
static node_t nearest_of_few(struct search *s, node_t from)
{
	node_t nearest = NODE_NONE, first = NODE_NONE;
	for (size_t i = 0; i < s->n_few; i++) {
		node_t n = s->few[i];
		build_lists_above(s->table, n);
		if (first == NODE_NONE || place_is_before(s->table, n, first) != s->back)
			first = n;
		if (from == NODE_NONE || n == from ||
		    place_is_before(s->table, n, from) != s->back)
			continue;
		if (nearest == NODE_NONE || place_is_before(s->table, n, nearest) != s->back)
			nearest = n;
	}
	return nearest != NODE_NONE ? nearest : first;
}

static bool folder_has_match(const struct search *s, node_t dir)
{
	const struct table *t = s->table;
	node_t n = dir;
	while ((n = tree_walk(t->rows->tree, n, dir, !table_folder_is_empty(t, n))) != NODE_NONE)
		if (name_matches(s, n) && table_is_member(s->table, n))
			return true;
	return false;
}

/* The first row in dir, or its last and in that the last; NODE_NONE if nothing in it matches. */
static node_t enter_folder(const struct search *s, node_t dir)
{
	struct table *t = s->table;
	node_t found = NODE_NONE;
	while (folder_has_match(s, dir)) {
		table_build_list(t, dir);
		uint32_t root = table_fold_of(t, dir)->root;
		uint32_t n = s->back ? ranked_last(&t->lists, root) : ranked_first(&t->lists, root);
		if (!n)
			break;
		found = n;
		if (!s->back)
			break;
		dir = n;
	}
	return found;
}

static node_t end_row(const struct search *s)
{
	const struct table *t = s->table;
	if (t->tree)
		return enter_folder(s, t->under);
	return s->back ? ranked_last(&t->lists, t->flat) : ranked_first(&t->lists, t->flat);
}

/* The row in the direction of the search from a place in the list of dir, where the neighbour is
 * n, or there is none (0). NODE_NONE at the end of the table. */
static node_t arrive(const struct search *s, uint32_t n, node_t dir)
{
	const struct table *t = s->table;
	if (!t->tree)
		return n ? n : NODE_NONE;
	while (!n && !s->back && dir != t->under) {
		n = ranked_next(&t->lists, dir);
		dir = tree_parent(t->rows->tree, dir);
	}
	if (!n)
		return dir == t->under ? NODE_NONE : dir;
	node_t inner = s->back ? enter_folder(s, n) : NODE_NONE;
	return inner != NODE_NONE ? inner : n;
}

static node_t step(const struct search *s, node_t n)
{
	const struct table *t = s->table;
	node_t inner = t->tree && !s->back ? enter_folder(s, n) : NODE_NONE;
	if (inner != NODE_NONE)
		return inner;
	uint32_t beside = s->back ? ranked_prev(&t->lists, n) : ranked_next(&t->lists, n);
	return arrive(s, beside, tree_parent(t->rows->tree, n));
}

static node_t first_step(const struct search *s, node_t from)
{
	struct table *t = s->table;
	if (from == NODE_NONE)
		return end_row(s);
	if (ranked_has(&t->lists, from))
		return step(s, from);
	struct gap gap = table_find_gap(t, *table_list_of(t, from), from);
	return arrive(s, s->back ? gap.prev : gap.next, tree_parent(t->rows->tree, from));
}

/* Some row matches, so that this ends. */
static node_t next_of_many(const struct search *s, node_t from)
{
	node_t n = first_step(s, from);
	while (n == NODE_NONE || !name_matches(s, n))
		n = n == NODE_NONE ? end_row(s) : step(s, n);
	return n;
}

node_t table_find(struct table *t, struct bytes text, node_t from, bool back)
{
	struct search s = {.table = t, .text = text, .back = back};
	table_make_folds(t);
	look_for_few(&s);
	if (from != NODE_NONE && !table_is_below(t, from))
		from = NODE_NONE;
	if (from != NODE_NONE) {
		node_t missing = topmost_missing(t, from);
		from = missing != NODE_NONE ? missing : from;
		build_lists_above(t, from);
	}
	return s.many ? next_of_many(&s, from) : nearest_of_few(&s, from);
}
