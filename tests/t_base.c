/* Tests of base: growing buffers and arrays, byte strings, the hash for tables. */
#include "config.h"
#include "base.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

START_TEST(allocation_of_nothing_is_a_pointer)
{
	void *a = xmalloc(0);
	void *b = xcalloc(0, 8);
	void *c = xmemdup(NULL, 0);
	a = xrealloc(a, 0, 0);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_nonnull(c);
	free(a);
	free(b);
	free(c);
}
END_TEST

START_TEST(calloc_is_zeroed)
{
	uint8_t *p = xcalloc(100, 3);
	for (size_t i = 0; i < 300; i++)
		ck_assert_uint_eq(p[i], 0);
	free(p);
}
END_TEST

/* The two that follow must not return: the suite expects SIGABRT from them. */
START_TEST(array_too_large_for_size_t_ends_the_program)
{
	free(xrealloc(NULL, SIZE_MAX / 2, 4));
}
END_TEST

START_TEST(buffer_too_large_for_size_t_ends_the_program)
{
	struct buf b = {0};
	buf_add_char(&b, 'x');
	buf_reserve(&b, SIZE_MAX);
}
END_TEST

START_TEST(copies_are_copies)
{
	char from[] = "one";
	char *s = xstrdup(from);
	uint8_t *m = xmemdup(from, 2);
	from[0] = 'X';
	ck_assert_str_eq(s, "one");
	ck_assert_int_eq(m[0], 'o');
	ck_assert_int_eq(m[1], 'n');
	free(s);
	free(m);
}
END_TEST

START_TEST(asprintf_formats)
{
	char *s = xasprintf("%s-%d%%", "a", 7);
	ck_assert_str_eq(s, "a-7%");
	free(s);
}
END_TEST

START_TEST(grow_makes_room_and_keeps_the_content)
{
	int *a = NULL;
	size_t cap = 0;
	size_t moves = 0;
	for (int i = 0; i < 10000; i++) {
		size_t before = cap;
		GROW(a, cap, (size_t)i + 1);
		moves += cap != before;
		ck_assert_uint_ge(cap, (size_t)i + 1);
		a[i] = i;
	}
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(a[i], i);
	ck_assert_uint_lt(moves, 30); /* by half each time, not by one */
	GROW(a, cap, 1000000);
	ck_assert_uint_ge(cap, 1000000);
	free(a);
}
END_TEST

START_TEST(buffer_collects_and_drops)
{
	struct buf b = {0};
	buf_add(&b, "hello ", 6);
	buf_add(&b, NULL, 0);
	buf_addf(&b, "%s %d", "world", 42);
	buf_add_char(&b, '!');
	ck_assert_uint_eq(b.len, 15);
	ck_assert_mem_eq(b.data, "hello world 42!", 15);
	buf_drop_front(&b, 0);
	buf_drop_front(&b, 6);
	ck_assert_uint_eq(b.len, 9);
	ck_assert_mem_eq(b.data, "world 42!", 9);
	buf_drop_front(&b, 9);
	ck_assert_uint_eq(b.len, 0);
	buf_release(&b);
}
END_TEST

START_TEST(buffer_reserve_does_not_change_the_length)
{
	struct buf b = {0};
	buf_add(&b, "ab", 2);
	uint8_t *at = buf_reserve(&b, 1000);
	ck_assert_ptr_eq(at, b.data + 2);
	ck_assert_uint_eq(b.len, 2);
	memset(at, 'z', 1000); /* a sanitizer sees it if the room is not there */
	ck_assert_mem_eq(b.data, "ab", 2);
	buf_release(&b);
}
END_TEST

START_TEST(formatting_is_not_cut_at_any_length)
{
	for (int width = 0; width < 300; width++) {
		struct buf b = {0};
		buf_addf(&b, "%*s|", width, "");
		ck_assert_uint_eq(b.len, (size_t)width + 1);
		ck_assert_int_eq(b.data[width], '|');
		buf_release(&b);
	}
}
END_TEST

START_TEST(clear_keeps_memory_and_release_gives_it_back)
{
	struct buf b = {0};
	buf_add(&b, "abc", 3);
	size_t cap = b.cap;
	buf_clear(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_uint_eq(b.cap, cap);
	buf_release(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.cap, 0);
	buf_add_char(&b, 'x'); /* usable again */
	ck_assert_uint_eq(b.len, 1);
	buf_release(&b);
}
END_TEST

START_TEST(byte_strings_compare_by_length_and_content)
{
	struct bytes empty = {NULL, 0};
	ck_assert(bytes_eq(empty, bytes_of("")));
	ck_assert(bytes_eq(bytes_of("abc"), bytes_of("abc")));
	ck_assert(!bytes_eq(bytes_of("abc"), bytes_of("abd")));
	ck_assert(!bytes_eq(bytes_of("abc"), bytes_of("ab")));
	struct bytes with_zero = {(const uint8_t *)"a\0b", 3};
	struct bytes other = {(const uint8_t *)"a\0c", 3};
	ck_assert(!bytes_eq(with_zero, other));
}
END_TEST

START_TEST(hash_depends_on_every_byte_the_length_and_the_seed)
{
	uint8_t data[40] = {0};
	for (size_t len = 0; len <= sizeof(data); len++) {
		uint64_t h = hash64(data, len, 1);
		ck_assert_uint_eq(h, hash64(data, len, 1));
		ck_assert_uint_ne(h, hash64(data, len, 2));
		if (len)
			ck_assert_uint_ne(h, hash64(data, len - 1, 1));
		for (size_t i = 0; i < len; i++) {
			data[i] ^= 1;
			ck_assert_uint_ne(h, hash64(data, len, 1));
			data[i] ^= 1;
		}
	}
}
END_TEST

START_TEST(hash_spreads_small_numbers)
{
	enum { SLOTS = 1024, KEYS = 4096 };
	unsigned count[SLOTS] = {0};
	for (uint64_t i = 0; i < KEYS; i++)
		count[hash64(&i, sizeof(i), 0) % SLOTS]++;
	for (size_t i = 0; i < SLOTS; i++)
		ck_assert_uint_lt(count[i], 20); /* 4 are expected */
}
END_TEST

int main(void)
{
	Suite *s = suite_new("base");
	TCase *t = suite_case(s, "base", NULL, NULL);
	tcase_add_test(t, allocation_of_nothing_is_a_pointer);
	tcase_add_test(t, calloc_is_zeroed);
	tcase_add_test_raise_signal(t, array_too_large_for_size_t_ends_the_program, SIGABRT);
	tcase_add_test_raise_signal(t, buffer_too_large_for_size_t_ends_the_program, SIGABRT);
	tcase_add_test(t, copies_are_copies);
	tcase_add_test(t, asprintf_formats);
	tcase_add_test(t, grow_makes_room_and_keeps_the_content);
	tcase_add_test(t, buffer_collects_and_drops);
	tcase_add_test(t, buffer_reserve_does_not_change_the_length);
	tcase_add_test(t, formatting_is_not_cut_at_any_length);
	tcase_add_test(t, clear_keeps_memory_and_release_gives_it_back);
	tcase_add_test(t, byte_strings_compare_by_length_and_content);
	tcase_add_test(t, hash_depends_on_every_byte_the_length_and_the_seed);
	tcase_add_test(t, hash_spreads_small_numbers);
	return suite_run(s);
}
