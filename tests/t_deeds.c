/* Tests of the record of what was settled: it comes back as it was written, whatever happened to the file
 * meanwhile, and keeps to its bounds. */
#include "config.h"
#include "deeds.h"

#include "scratch.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir, *path;
static struct deeds deeds;

static void setup(void)
{
	dir = scratch_new();
	path = xasprintf("%s/settled", dir);
	deeds_init(&deeds, dir);
}

static void teardown(void)
{
	deeds_release(&deeds);
	scratch_remove(dir);
	free(path);
}

static void again(void)
{
	deeds_release(&deeds);
	deeds_init(&deeds, dir);
}

static struct deed make(uint64_t n, enum deed_state state)
{
	struct deed d = {.n = n, .time_ns = 5, .state = state};
	struct deed_file f = {
		.path = bytes_of("a/\xff"), .now = bytes_of("b"), .target = bytes_of("t"),
		.by = bytes_of("alpha"), .trash = "12.000000003-x", .size = 77, .mtime_ns = -9,
		.mode = 0640, .kind = KIND_SYMLINK,
	};
	memset(f.hash, 7, sizeof(f.hash));
	deed_add(&d, &f);
	f = (struct deed_file){.path = bytes_of("c"), .kind = KIND_FILE};
	deed_add(&d, &f);
	return d;
}

/* Writes it and takes it over. */
static void write_one(uint64_t n, enum deed_state state)
{
	struct deed d = make(n, state);
	ck_assert_int_eq(deeds_write(&deeds, &d), 0);
	deeds_put(&deeds, &d);
}

START_TEST(comes_back_as_it_was)
{
	write_one(deeds.next, DEED_DONE);
	again();
	ck_assert_uint_eq(deeds.n, 1);
	ck_assert_uint_eq(deeds.next, 2);
	struct deed *d = deeds_find(&deeds, 1), want = make(1, DEED_DONE);
	ck_assert_uint_eq(d->n_files, 2);
	ck_assert_int_eq(d->time_ns, 5);
	ck_assert_int_eq(d->state, DEED_DONE);
	for (size_t i = 0; i < 2; i++) {
		const struct deed_file *f = &d->files[i], *w = &want.files[i];
		ck_assert(bytes_eq(f->path, w->path) && bytes_eq(f->now, w->now));
		ck_assert(bytes_eq(f->target, w->target) && bytes_eq(f->by, w->by));
		ck_assert_str_eq(f->trash, w->trash);
		ck_assert_uint_eq(f->size, w->size);
		ck_assert_int_eq(f->mtime_ns, w->mtime_ns);
		ck_assert_mem_eq(f->hash, w->hash, HASH_SIZE);
		ck_assert_uint_eq(f->mode, w->mode);
		ck_assert_uint_eq(f->kind, w->kind);
	}
	deed_release(&want);
}
END_TEST

START_TEST(later_frames_count)
{
	write_one(1, DEED_DONE);
	write_one(2, DEED_DONE);
	write_one(3, DEED_DONE);
	write_one(1, DEED_UNDONE);
	write_one(2, DEED_OVER);
	for (int i = 0; i < 2; i++, again()) {
		ck_assert_uint_eq(deeds.n, 2);
		ck_assert_int_eq(deeds_find(&deeds, 1)->state, DEED_UNDONE);
		ck_assert_ptr_null(deeds_find(&deeds, 2));
		ck_assert_int_eq(deeds_find(&deeds, 3)->state, DEED_DONE);
		ck_assert_uint_eq(deeds.next, 4);
	}
}
END_TEST

static size_t file_size(void)
{
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* Cut anywhere: the first frame counts as long as it is whole, and what is written next is found. */
START_TEST(a_torn_end_is_left_out)
{
	write_one(1, DEED_DONE);
	size_t first = file_size();
	write_one(2, DEED_DONE);
	size_t both = file_size();
	for (size_t len = first; len < both; len += len < first + 20 ? 1 : 37) {
		ck_assert_int_eq(truncate(path, (off_t)len), 0);
		again();
		ck_assert_uint_eq(deeds.n, 1);
		write_one(2, DEED_DONE);
		again();
		ck_assert_uint_eq(deeds.n, 2);
		ck_assert_uint_eq(file_size(), both);
	}
}
END_TEST

START_TEST(no_damage_is_believed)
{
	write_one(1, DEED_DONE);
	write_one(2, DEED_DONE);
	size_t size = file_size();
	for (size_t at = 0; at < size; at++) {
		FILE *f = fopen(path, "r+");
		fseek(f, (long)at, SEEK_SET);
		int c = getc(f);
		fseek(f, (long)at, SEEK_SET);
		putc(c ^ 0x41, f);
		fclose(f);
		again();
		ck_assert_uint_le(deeds.n, at < size / 2 ? 0 : 1);
		f = fopen(path, "r+");
		fseek(f, (long)at, SEEK_SET);
		putc(c, f);
		fclose(f);
	}
	again();
	ck_assert_uint_eq(deeds.n, 2);
}
END_TEST

/* What is sound as a frame, but makes no sense. */
START_TEST(nonsense_is_refused)
{
	static const struct deed_file bad[] = {
		{.path = {(const uint8_t *)"../x", 4}, .kind = KIND_FILE},
		{.path = {(const uint8_t *)"x", 1}, .now = {(const uint8_t *)"/x", 2}, .kind = KIND_FILE},
		{.path = {(const uint8_t *)"x", 1}, .trash = "../1", .kind = KIND_FILE},
		{.path = {(const uint8_t *)"x", 1}, .kind = KIND_ABSENT},
		{.path = {(const uint8_t *)"x", 1}, .kind = 9},
		{.path = {(const uint8_t *)"x", 1}, .kind = KIND_FILE, .mode = 01777},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct deed d = {.n = 1};
		deed_add(&d, &bad[i]);
		ck_assert_int_eq(deeds_write(&deeds, &d), 0);
		deed_release(&d);
		again();
		ck_assert_uint_eq(deeds.n, 0);
		unlink(path);
		again();
	}
}
END_TEST

START_TEST(the_file_and_the_list_have_bounds)
{
	for (uint64_t n = 1; n <= 5 * DEEDS_MAX; n++)
		write_one(n, DEED_DONE);
	ck_assert_uint_eq(deeds.n, DEEDS_MAX);
	ck_assert_uint_eq(deeds.items[0].n, 4 * DEEDS_MAX + 1);
	ck_assert_uint_lt(deeds.frames, 4 * DEEDS_MAX);
	again();
	ck_assert_uint_eq(deeds.n, DEEDS_MAX);
	ck_assert_uint_eq(deeds.items[DEEDS_MAX - 1].n, 5 * DEEDS_MAX);
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
	struct deed d = make(1, DEED_DONE);
	char *other = xasprintf("%s/nowhere/at/all", dir);
	again();
	deeds_release(&deeds);
	deeds_init(&deeds, other);
	ck_assert_int_lt(deeds_write(&deeds, &d), 0);
	deed_release(&d);
	free(other);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("deeds");
	TCase *t = suite_case(s, "deeds", setup, teardown);
	tcase_add_test(t, comes_back_as_it_was);
	tcase_add_test(t, later_frames_count);
	tcase_add_test(t, a_torn_end_is_left_out);
	tcase_add_test(t, no_damage_is_believed);
	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, the_file_and_the_list_have_bounds);
	tcase_add_test(t, what_cannot_be_written_is_said);
	return suite_run(s);
}
