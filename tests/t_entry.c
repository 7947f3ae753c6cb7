/* Dots, version vectors, and the merge of states: laws on random states, and the choice of winners. */
#include "config.h"
#include "entry.h"
#include "nodemap.h"
#include "suite.h"

#include <stdlib.h>

static struct replica_id ids[3] = {{{1}}, {{2}}, {{3}}};

/* A history of one path on three replicas that edit and merge: real states, not arbitrary ones. */
static void history(struct state s[3], unsigned steps)
{
	uint64_t counter[3] = {0};
	for (unsigned i = 0; i < steps; i++) {
		unsigned r = pick(3), o = pick(3);
		switch (pick(4)) {
		case 0: case 1: {
			struct head h = {.dot = {++counter[r], (rep_t)r}, .kind = KIND_FILE,
			                 .rank = (int64_t)pick(5), .mtime = 1};
			h.hash[0] = (uint8_t)pick(4);
			while (s[r].n_heads)
				state_remove_head(&s[r], s[r].heads[0].dot);
			memset(s[r].gone, 0, HASH_SIZE);
			state_add_head(&s[r], &h);
			s[r].mode = (struct mode_reg){s[r].mode.rank + (int64_t)pick(2), h.dot, (uint16_t)(0600 + pick(8))};
			break;
		}
		case 2:
			if (!s[r].n_heads)
				break;
			memcpy(s[r].gone, s[r].heads[0].hash, HASH_SIZE);
			while (s[r].n_heads)
				state_remove_head(&s[r], s[r].heads[0].dot);
			version_add(&s[r].context, (struct dot){++counter[r], (rep_t)r});
			break;
		default:
			if (o != r)
				state_merge(&s[r], &s[o]);
		}
	}
}

static struct state merged(const struct state *a, const struct state *b)
{
	struct state m = state_copy(a);
	state_merge(&m, b);
	return m;
}

START_TEST(merge_laws)
{
	for (uint64_t seed = 1; seed < 20000; seed++) {
		pick_from(seed);
		struct state s[3] = {{0}};
		history(s, 3 + pick(20));
		struct state ab = merged(&s[0], &s[1]), ba = merged(&s[1], &s[0]);
		struct state ab_c = merged(&ab, &s[2]), bc = merged(&s[1], &s[2]);
		struct state a_bc = merged(&s[0], &bc), aa = merged(&s[0], &s[0]);
		ck_assert_msg(state_eq(&ab, &ba), "not commutative, seed %lu", (unsigned long)seed);
		ck_assert_msg(state_eq(&ab_c, &a_bc), "not associative, seed %lu", (unsigned long)seed);
		ck_assert_msg(state_eq(&aa, &s[0]), "not idempotent, seed %lu", (unsigned long)seed);
		ck_assert(version_covers(&ab.context, &s[0].context));
		ck_assert_uint_eq(state_stamp(&ab, ids), state_stamp(&ba, ids));
		if (ab.n_heads) {
			const struct head *w = state_winner(&ab, ids), *v = state_winner(&ba, ids);
			ck_assert(dot_eq(w->dot, v->dot));
			for (uint16_t i = 0; i < ab.n_heads; i++)
				ck_assert(ab.heads[i].rank <= w->rank);
		}
		struct state *all[] = {&s[0], &s[1], &s[2], &ab, &ba, &ab_c, &bc, &a_bc, &aa};
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			state_release(all[i]);
	}
}
END_TEST

START_TEST(tombstone_against_head)
{
	struct state a = {0}, b = {0};
	struct head h = {.dot = {1, 0}, .kind = KIND_FILE, .rank = 5};
	state_add_head(&a, &h);
	version_add(&b.context, (struct dot){1, 0});
	version_add(&b.context, (struct dot){1, 1});
	struct state m = merged(&a, &b);
	ck_assert_uint_eq(m.n_heads, 0); /* seen and deleted */
	state_release(&m);
	h.dot.counter = 2;
	state_add_head(&a, &h);
	m = merged(&a, &b);
	ck_assert_uint_eq(m.n_heads, 1); /* the change that the deleter had not seen */
	ck_assert_uint_eq(m.heads[0].dot.counter, 2);
	state_release(&m);
	state_release(&a);
	state_release(&b);
}
END_TEST

START_TEST(directory_wins)
{
	struct state a = {0};
	struct head file = {.dot = {1, 0}, .kind = KIND_FILE, .rank = 99};
	struct head dir = {.dot = {1, 1}, .kind = KIND_DIR, .rank = 1};
	state_add_head(&a, &file);
	state_add_head(&a, &dir);
	ck_assert_int_eq(state_winner(&a, ids)->kind, KIND_DIR);
	ck_assert_int_eq(state_winner_content(&a, ids)->kind, KIND_FILE);
	state_release(&a);
}
END_TEST

START_TEST(vectors)
{
	struct version v = {0}, u = {0};
	version_add(&v, (struct dot){5, 2});
	version_add(&v, (struct dot){3, 0});
	version_add(&v, (struct dot){4, 2});
	ck_assert_uint_eq(v.n, 2);
	ck_assert_uint_eq(v.dots[0].rep, 0);
	ck_assert(version_has(&v, (struct dot){5, 2}));
	ck_assert(!version_has(&v, (struct dot){6, 2}));
	ck_assert(!version_has(&v, (struct dot){1, 1}));
	version_add(&u, (struct dot){7, 1});
	ck_assert(!version_covers(&u, &v));
	version_unite(&u, &v);
	ck_assert(version_covers(&u, &v));
	ck_assert(!version_eq(&u, &v));
	version_release(&u);
	version_release(&v);
}
END_TEST

START_TEST(nodemap_against_array)
{
	struct nodemap m = {0};
	uint64_t there[200] = {0};
	pick_from(7);
	for (unsigned i = 0; i < 100000; i++) {
		node_t n = pick(200);
		if (pick(2)) {
			there[n] = 1 + pick(1000);
			nodemap_put(&m, n, there[n]);
		} else {
			ck_assert(nodemap_remove(&m, n) == (there[n] != 0));
			there[n] = 0;
		}
		n = pick(200);
		uint64_t *at = nodemap_get(&m, n);
		ck_assert(at ? *at == there[n] : !there[n]);
	}
	nodemap_release(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("entry");
	TCase *t = suite_case(s, "entry", NULL, NULL);
	tcase_add_test(t, merge_laws);
	tcase_add_test(t, tombstone_against_head);
	tcase_add_test(t, directory_wins);
	tcase_add_test(t, vectors);
	tcase_add_test(t, nodemap_against_array);
	return suite_run(s);
}
