/* Tests rewrites.h: how many files are very many, and what belongs together. */
#include "config.h"
#include "rewrites.h"
#include "suite.h"

#include <inttypes.h>
#include <stdlib.h>

#define S INT64_C(1000000000)
#define START (INT64_C(1800000000) * S) /* in January 2027 */

/* So many files from `from` on, one after `step_ns`; how many of them were told. */
static size_t add(struct rewrites *r, const char *who, size_t from, size_t n, int64_t at_ns, int64_t step_ns,
		  uint64_t files)
{
	size_t told = 0;
	for (size_t i = from; i < from + n; i++, at_ns += step_ns)
		told += rewrites_add(r, bytes_of(who), hash64(&i, sizeof(i), 0), at_ns, files) != NULL;
	return told;
}

START_TEST(very_many)
{
	static const struct {
		size_t n;
		uint64_t files;
		bool told;
	} table[] = {
		{19, 19, false}, {20, 20, true}, {20, 39, true}, {20, 40, false}, {21, 40, true},
		{999, 2000, false}, {999, 9000, false}, {1000, 9999, true}, {1000, 10000, false},
		{1001, 10000, true}, {9990, 1000000, false}, {10010, 1000000, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rewrites *r = rewrites_new();
		ck_assert_msg(add(r, "B", 0, table[i].n, START, 1, table[i].files) == table[i].told,
			      "%zu of %" PRIu64, table[i].n, table[i].files);
		ck_assert((rewrites_at(r, 0, START) != NULL) == table[i].told);
		rewrites_free(r);
	}
}
END_TEST

START_TEST(the_same_file_counts_once)
{
	struct rewrites *r = rewrites_new();
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(add(r, "B", 0, 15, START + i * S, 0, 20), 0);
	ck_assert_uint_eq(add(r, "C", 15, 15, START + 100 * S, 0, 20), 0); /* nor that of others */
	ck_assert_ptr_null(rewrites_at(r, 0, START));
	ck_assert_uint_eq(add(r, "B", 15, 15, START + 100 * S, 0, 20), 1);
	ck_assert_uint_eq(rewrites_at(r, 0, START)->n, 30);
	rewrites_free(r);
}
END_TEST

START_TEST(what_belongs_together)
{
	struct rewrites *r = rewrites_new();
	/* 19 in each hour */
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(add(r, "B", 19 * i, 19, START + i * INT64_C(3601) * S, 0, 19), 0);
	ck_assert_ptr_null(rewrites_at(r, 0, START));
	int64_t at = START + 100000 * S;
	/* one in an hour, which then goes on for longer */
	ck_assert_uint_eq(add(r, "B", 0, 30, at, 100 * S, 30), 1);
	ck_assert_uint_eq(add(r, "B", 30, 10, at + 3000 * S, 3000 * S, 30), 0);
	const struct rewrites_wave *w = rewrites_at(r, 0, at);
	ck_assert_int_eq(w->first_ns, at);
	ck_assert_int_eq(w->last_ns, at + 30000 * S);
	ck_assert_uint_eq(w->n, 40);
	ck_assert_str_eq(w->replica, "B");
	ck_assert_ptr_null(rewrites_at(r, 1, at));
	/* another one, after a pause; and that of somebody else */
	ck_assert_uint_eq(add(r, "B", 0, 30, at + 40000 * S, 0, 30), 1);
	ck_assert_uint_eq(add(r, "C", 0, 30, at + 40000 * S, 0, 30), 1);
	ck_assert_ptr_nonnull(rewrites_at(r, 2, at));
	/* in a week they are over */
	int64_t later = at + (30000 + INT64_C(7) * 86400) * S;
	ck_assert_ptr_nonnull(rewrites_at(r, 2, later));
	ck_assert_ptr_null(rewrites_at(r, 2, later + S));
	ck_assert_ptr_null(rewrites_at(r, 0, later + 10001 * S));
	rewrites_free(r);
}
END_TEST

START_TEST(bounded)
{
	struct rewrites *r = rewrites_new();
	add(r, "B", 0, 70000, START, 0, 1);
	ck_assert_uint_le(rewrites_at(r, 0, START)->n, REWRITES_COUNTED_MAX);
	for (unsigned i = 0; i < 3 * REWRITES_WAVES_MAX; i++) {
		char *name = xasprintf("%u", i);
		ck_assert_uint_eq(add(r, name, 0, 20, START + i, 0, 20), 1);
		free(name);
	}
	ck_assert_ptr_null(rewrites_at(r, REWRITES_WAVES_MAX, START));
	ck_assert_str_eq(rewrites_at(r, REWRITES_WAVES_MAX - 1, START)->replica, "191");
	rewrites_free(r);
}
END_TEST

START_TEST(words)
{
	struct rewrites *r = rewrites_new();
	struct buf b = {0};
	add(r, "B\x1b[m", 0, 1234, START, 0, 2000);
	rewrites_say(rewrites_at(r, 0, START), &b);
	buf_add_char(&b, '\0');
	const char *text = (const char *)b.data;
	ck_assert_ptr_null(strchr(text, 0x1b));
	ck_assert_ptr_nonnull(strstr(text, " new contents since 2027-01-1"));
	ck_assert_ptr_nonnull(strstr(text, ": 1,234; "));
	ck_assert_ptr_nonnull(strstr(text, "tutti trash --since \"2027-01-1"));
	buf_release(&b);
	rewrites_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("rewrites");
	TCase *t = suite_case(s, "rewrites", NULL, NULL);
	tcase_add_test(t, very_many);
	tcase_add_test(t, the_same_file_counts_once);
	tcase_add_test(t, what_belongs_together);
	tcase_add_test(t, bounded);
	tcase_add_test(t, words);
	return suite_run(s);
}
