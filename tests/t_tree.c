/* Tests of the tree: what is added is found, and the order is that of the paths. */
#include "config.h"
#include "tree.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct bytes path_of(const struct tree *t, node_t n, struct buf *out)
{
	tree_path(t, n, out);
	return (struct bytes){out->data, out->len};
}

START_TEST(new_tree_is_the_root_alone)
{
	struct tree *t = tree_new(42);
	struct buf path = {0};
	ck_assert_uint_eq(tree_count(t), 1);
	ck_assert_uint_eq(tree_find(t, bytes_of("")), NODE_ROOT);
	ck_assert_uint_eq(tree_find(t, bytes_of("a")), NODE_NONE);
	ck_assert_uint_eq(tree_parent(t, NODE_ROOT), NODE_NONE);
	ck_assert_uint_eq(tree_first_child(t, NODE_ROOT), NODE_NONE);
	ck_assert_uint_eq(tree_next_sibling(t, NODE_ROOT), NODE_NONE);
	ck_assert_uint_eq(tree_depth(t, NODE_ROOT), 0);
	ck_assert_uint_eq(tree_name(t, NODE_ROOT).len, 0);
	ck_assert_uint_eq(path_of(t, NODE_ROOT, &path).len, 0);
	ck_assert_uint_eq(tree_seed(t), 42);
	buf_release(&path);
	tree_free(t);
	tree_free(NULL);
}
END_TEST

START_TEST(parents_are_made_and_shared)
{
	struct tree *t = tree_new(1);
	struct buf path = {0};
	node_t abc = tree_add(t, bytes_of("a/b/c"));
	node_t abd = tree_add(t, bytes_of("a/b/d"));
	ck_assert_uint_eq(tree_count(t), 5);
	ck_assert_uint_eq(tree_add(t, bytes_of("a/b/c")), abc);
	ck_assert_uint_eq(tree_count(t), 5);
	node_t ab = tree_find(t, bytes_of("a/b"));
	ck_assert_uint_eq(tree_parent(t, abc), ab);
	ck_assert_uint_eq(tree_parent(t, abd), ab);
	ck_assert_uint_eq(tree_child(t, ab, bytes_of("d")), abd);
	ck_assert_uint_eq(tree_child(t, abc, bytes_of("d")), NODE_NONE);
	ck_assert_uint_eq(tree_find(t, bytes_of("a/c")), NODE_NONE);
	ck_assert_uint_eq(tree_find(t, bytes_of("x/b/c")), NODE_NONE);
	ck_assert_uint_eq(tree_depth(t, abd), 3);
	ck_assert(bytes_eq(tree_name(t, abd), bytes_of("d")));
	ck_assert(bytes_eq(path_of(t, abd, &path), bytes_of("a/b/d")));
	node_t first = tree_first_child(t, ab), second = tree_next_sibling(t, first);
	ck_assert((first == abc && second == abd) || (first == abd && second == abc));
	ck_assert_uint_eq(tree_next_sibling(t, second), NODE_NONE);
	buf_release(&path);
	tree_free(t);
}
END_TEST

START_TEST(under_counts_itself)
{
	struct tree *t = tree_new(1);
	node_t abc = tree_add(t, bytes_of("a/b/c")), ab = tree_find(t, bytes_of("a/b"));
	node_t ax = tree_add(t, bytes_of("a/x"));
	ck_assert(tree_is_under(t, abc, ab));
	ck_assert(tree_is_under(t, ab, ab));
	ck_assert(tree_is_under(t, abc, NODE_ROOT));
	ck_assert(tree_is_under(t, NODE_ROOT, NODE_ROOT));
	ck_assert(!tree_is_under(t, ab, abc));
	ck_assert(!tree_is_under(t, ax, ab));
	ck_assert(!tree_is_under(t, NODE_ROOT, ab));
	tree_free(t);
}
END_TEST

/* In order. */
static const char *const ordered[] = {
	"", "A", "a", "a/b", "a/b/z", "a/c", "a-b", "a-b/x", "ab", "b", "b\xff", "\xc3\xa9",
};

START_TEST(order_is_by_component)
{
	struct tree *t = tree_new(1);
	node_t nodes[ARRAY_LEN(ordered)];
	for (size_t i = ARRAY_LEN(ordered); i-- > 0; )
		nodes[i] = tree_add(t, bytes_of(ordered[i]));
	for (size_t i = 0; i < ARRAY_LEN(ordered); i++)
		for (size_t k = 0; k < ARRAY_LEN(ordered); k++)
			ck_assert_msg(tree_compare(t, nodes[i], nodes[k]) == (i > k) - (i < k),
			              "'%s' and '%s'", ordered[i], ordered[k]);
	node_t x = tree_add(t, bytes_of("q/aa")), y = tree_add(t, bytes_of("p/ab"));
	ck_assert_int_eq(tree_compare_names(t, x, y), -1);
	ck_assert_int_eq(tree_compare_names(t, y, x), 1);
	ck_assert_int_eq(tree_compare_names(t, x, x), 0);
	tree_free(t);
}
END_TEST

START_TEST(walk_visits_each_below_once_and_passes_by)
{
	struct tree *t = tree_new(1);
	node_t a = tree_add(t, bytes_of("a")), ab = tree_add(t, bytes_of("a/b"));
	node_t abc = tree_add(t, bytes_of("a/b/c")), ad = tree_add(t, bytes_of("a/d"));
	tree_add(t, bytes_of("e"));
	unsigned visits[8] = {0}, n_visits = 0;
	node_t n = a;
	while ((n = tree_walk(t, n, a, true)) != NODE_NONE) {
		ck_assert_uint_lt(n, ARRAY_LEN(visits));
		visits[n]++;
		n_visits++;
	}
	ck_assert_uint_eq(n_visits, 3);
	ck_assert(visits[ab] == 1 && visits[abc] == 1 && visits[ad] == 1);
	n_visits = 0;
	for (n = a; (n = tree_walk(t, n, a, n != ab)) != NODE_NONE; n_visits++)
		ck_assert(n == ab || n == ad);
	ck_assert_uint_eq(n_visits, 2);
	ck_assert_uint_eq(tree_walk(t, abc, abc, true), NODE_NONE);
	tree_free(t);
}
END_TEST

START_TEST(names_and_depth_to_the_limit)
{
	struct tree *t = tree_new(1);
	struct buf path = {0}, back = {0};
	uint8_t name[255];
	memset(name, 'n', sizeof(name));
	node_t n = tree_add(t, (struct bytes){name, sizeof(name)});
	ck_assert_uint_eq(tree_name(t, n).len, sizeof(name));
	for (unsigned i = 0; i < 128; i++)
		buf_addf(&path, "%s%u", i ? "/" : "", i);
	n = tree_add(t, (struct bytes){path.data, path.len});
	ck_assert_uint_eq(tree_depth(t, n), 128);
	ck_assert(bytes_eq(path_of(t, n, &back), (struct bytes){path.data, path.len}));
	buf_release(&path);
	buf_release(&back);
	tree_free(t);
}
END_TEST

/* Random paths over few names, so that many are shared; each node keeps its number and path. */
START_TEST(whatever_is_added_is_found)
{
	enum { PATHS = 20000, PATH_SIZE = 64 };
	uint64_t random = suite_seed();
	struct tree *t = tree_new(random);
	struct buf path = {0};
	char(*paths)[PATH_SIZE] = xcalloc(PATHS, PATH_SIZE);
	node_t *nodes = xcalloc(PATHS, sizeof(*nodes));
	for (size_t i = 0; i < PATHS; i++) {
		size_t depth = 1 + next_random(&random) % 5, len = 0;
		for (size_t k = 0; k < depth; k++)
			len += (size_t)snprintf(paths[i] + len, PATH_SIZE - len, "%sn%x",
			                        k ? "/" : "",
			                        (unsigned)(next_random(&random) % (8u << k)));
		nodes[i] = tree_add(t, bytes_of(paths[i]));
	}
	for (size_t i = 0; i < PATHS; i++) {
		ck_assert_msg(tree_find(t, bytes_of(paths[i])) == nodes[i], "seed %llu: %s",
		              (unsigned long long)suite_seed(), paths[i]);
		ck_assert_msg(bytes_eq(path_of(t, nodes[i], &path), bytes_of(paths[i])),
		              "seed %llu: %s", (unsigned long long)suite_seed(), paths[i]);
	}
	size_t children = 0;
	for (node_t n = 0; n < tree_count(t); n++)
		for (node_t c = tree_first_child(t, n); c != NODE_NONE;
		     c = tree_next_sibling(t, c)) {
			ck_assert_uint_eq(tree_parent(t, c), n);
			ck_assert_uint_eq(tree_child(t, n, tree_name(t, c)), c);
			children++;
		}
	ck_assert_uint_eq(children, tree_count(t) - 1);
	free(paths);
	free(nodes);
	buf_release(&path);
	tree_free(t);
}
END_TEST

START_TEST(memory_is_modest)
{
	struct tree *t = tree_new(1);
	char path[32];
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(path, sizeof(path), "%03u/file-%010u", i % 1000, i);
		tree_add(t, bytes_of(path));
	}
	size_t per_node = tree_memory(t) / tree_count(t);
	ck_assert_uint_le(per_node, 48);
	tree_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("tree");
	TCase *t = suite_case(s, "tree", NULL, NULL);
	tcase_add_test(t, new_tree_is_the_root_alone);
	tcase_add_test(t, parents_are_made_and_shared);
	tcase_add_test(t, under_counts_itself);
	tcase_add_test(t, order_is_by_component);
	tcase_add_test(t, walk_visits_each_below_once_and_passes_by);
	tcase_add_test(t, names_and_depth_to_the_limit);
	tcase_add_test(t, whatever_is_added_is_found);
	tcase_add_test(t, memory_is_modest);
	return suite_run(s);
}
