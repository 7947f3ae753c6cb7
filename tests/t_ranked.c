/* Tests of the counted search trees: random insertions, removals and weights against an array. */
#include "config.h"
#include "ranked.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBERS = 300, TREES = 2 };

/* One tree, and its members in order. */
struct model {
	uint32_t root;
	uint32_t members[NUMBERS], weights[NUMBERS];
	size_t n;
};

static void check(const struct ranked *r, const struct model *m, unsigned edit)
{
	uint32_t before = 0, n = ranked_first(r, m->root);
	for (size_t i = 0; i < m->n; i++) {
		bool right = n == m->members[i] && ranked_has(r, n) &&
		             ranked_before(r, n) == before &&
		             ranked_weight(r, n) == m->weights[i] &&
		             ranked_prev(r, n) == (i ? m->members[i - 1] : 0);
		ck_assert_msg(right, "TUTTI_SEED=%llu, edit %u: member %zu",
		              (unsigned long long)suite_seed(), edit, i);
		before += m->weights[i];
		n = ranked_next(r, n);
	}
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(r->links[m->root].sum, before);
	ck_assert_uint_eq(ranked_last(r, m->root), m->n ? m->members[m->n - 1] : 0);
}

static void insert(struct ranked *r, struct model *m, uint32_t n)
{
	size_t at = pick((uint32_t)m->n + 1);
	uint32_t weight = 1 + pick(5);
	uint32_t prev = at ? m->members[at - 1] : 0, next = at < m->n ? m->members[at] : 0;
	bool right = prev && !r->links[prev].right;
	ranked_insert(r, &m->root, right ? prev : next, right, n, weight);
	memmove(m->members + at + 1, m->members + at, (m->n - at) * sizeof(*m->members));
	memmove(m->weights + at + 1, m->weights + at, (m->n - at) * sizeof(*m->weights));
	m->members[at] = n;
	m->weights[at] = weight;
	m->n++;
}

static void take_out(struct ranked *r, struct model *m, size_t at)
{
	ranked_remove(r, &m->root, m->members[at]);
	ck_assert(!ranked_has(r, m->members[at]));
	m->n--;
	memmove(m->members + at, m->members + at + 1, (m->n - at) * sizeof(*m->members));
	memmove(m->weights + at, m->weights + at + 1, (m->n - at) * sizeof(*m->weights));
}

START_TEST(trees_follow_an_array)
{
	struct ranked r;
	struct model models[TREES] = {0};
	pick_from(suite_seed());
	ranked_init(&r, suite_seed(), 1);
	for (unsigned edit = 0; edit < 4000; edit++) {
		struct model *m = &models[pick(TREES)];
		uint32_t n = 1 + pick(NUMBERS - 1);
		ranked_make_room(&r, n + 1u);
		if (!ranked_has(&r, n)) {
			insert(&r, m, n);
		} else if (m->n) {
			size_t at = pick((uint32_t)m->n);
			if (pick(2)) {
				take_out(&r, m, at);
			} else {
				uint32_t weight = 1 + pick(9);
				ranked_add(&r, m->members[at], weight - m->weights[at]);
				m->weights[at] = weight;
			}
		}
		for (size_t i = 0; i < TREES; i++)
			check(&r, &models[i], edit);
	}
	ranked_release(&r);
}
END_TEST

static unsigned height(const struct ranked *r, uint32_t n)
{
	if (!n)
		return 0;
	unsigned left = height(r, r->links[n].left), right = height(r, r->links[n].right);
	return 1 + (left > right ? left : right);
}

/* The shape depends on the members alone, and is not deep. */
START_TEST(built_and_grown_trees_are_the_same)
{
	enum { COUNT = 20000 };
	struct ranked built, grown;
	uint32_t *members = xcalloc(COUNT, sizeof(*members));
	uint32_t *weights = xcalloc(COUNT, sizeof(*weights));
	uint32_t root_built = 0, root_grown = 0;
	ranked_init(&built, suite_seed(), COUNT + 1);
	ranked_init(&grown, suite_seed(), COUNT + 1);
	for (uint32_t i = 0; i < COUNT; i++) {
		members[i] = i + 1;
		weights[i] = 1 + i % 3;
		ranked_insert(&grown, &root_grown, i, i != 0, i + 1, weights[i]);
	}
	ranked_build(&built, &root_built, members, weights, COUNT);
	ck_assert_uint_eq(root_built, root_grown);
	ck_assert_mem_eq(built.links, grown.links, (COUNT + 1) * sizeof(*built.links));
	ck_assert_uint_le(height(&built, root_built), 64);
	root_built = 0;
	ranked_clear(&built);
	ck_assert(!ranked_has(&built, 1));
	ranked_build(&built, &root_built, members, weights, 0);
	ck_assert_uint_eq(root_built, 0);
	ranked_release(&built);
	ranked_release(&grown);
	free(members);
	free(weights);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("ranked");
	TCase *t = suite_case(s, "ranked", NULL, NULL);
	tcase_add_test(t, trees_follow_an_array);
	tcase_add_test(t, built_and_grown_trees_are_the_same);
	return suite_run(s);
}
