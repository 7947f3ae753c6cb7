/* Tests of apply: every operation, every way in which it can meet something unexpected, races with
 * people who edit meanwhile, transfers, and the trash. */
#include "config.h"
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scan.h"
#include "scratch.h"
#include "suite.h"
#include "trash.h"

#define MTIME (INT64_C(1700000000) * 1000000000 + 123456789)

static char *dir;
static struct root *root;
static bool without_exchange; /* the tests of replacing run in both ways */

static void setup(void)
{
	dir = scratch_new();
	root = marked_root(dir);
	without_exchange = false;
}

static void setup_in_steps(void)
{
	setup();
	without_exchange = true;
}

static void teardown(void)
{
	/* whatever happened, nothing is left in tmp/ */
	if (there(dir, ".tutti/tmp"))
		ck_assert_uint_eq(count_in(dir, ".tutti/tmp"), 0);
	root_close(root);
	scratch_remove(dir);
}

/* --- syncs that fail: these stand in for those of the C library --- */

static atomic_bool sync_fails;
static atomic_uint syncs;

int fsync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&sync_fails)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&sync_fails)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}

/* --- making operations --- */

static void expect(struct op *op)
{
	char path[PATH_BYTES_MAX + 1];
	memcpy(path, op->path.p, op->path.len);
	path[op->path.len] = '\0';
	op->expect_kind = KIND_ABSENT;
	if (there(dir, path)) {
		struct found f = found_of(dir, path);
		op->expect_kind = f.kind;
		op->expect_stamp = f.stamp;
	}
}

/* A file with this content, in place of what is there now. */
static struct op op_data(const char *path, const char *content)
{
	struct op op = {.path = bytes_of(path), .type = OP_WRITE, .source = SOURCE_DATA,
		.size = strlen(content), .mtime_ns = MTIME, .mode = 0640, .data = bytes_of(content)};
	digest_once(content, strlen(content), op.hash);
	expect(&op);
	return op;
}

static struct op op_of(const char *path, enum op_type type)
{
	struct op op = {.path = bytes_of(path), .type = type, .mtime_ns = MTIME, .mode = 0750};
	expect(&op);
	return op;
}

static struct op op_link(const char *path, const char *target)
{
	struct op op = op_of(path, OP_SYMLINK);
	op.data = bytes_of(target);
	op.size = op.data.len;
	digest_once(target, strlen(target), op.hash);
	return op;
}

static struct op op_from(const char *path, enum op_source source, const char *from)
{
	char *content = get(dir, from);
	ck_assert_ptr_nonnull(content);
	struct op op = op_data(path, content);
	op.source = source;
	op.data = (struct bytes){NULL, 0};
	op.from = bytes_of(from);
	op.from_stamp = found_of(dir, from).stamp;
	free(content);
	return op;
}

static void apply(struct op *ops, size_t n)
{
	struct apply_env env = {.without_exchange = without_exchange};
	apply_ops(root, ops, n, &env);
}

static int apply_one(struct op *op)
{
	apply(op, 1);
	return op->error;
}

static void holds(const char *path, const char *content)
{
	char *got = get(dir, path);
	ck_assert_msg(got && strcmp(got, content) == 0, "%s holds '%s', not '%s'", path,
		got ? got : "(nothing)", content);
	free(got);
}

static void in_trash(const struct op *op, const char *content)
{
	ck_assert(op->trash[0]);
	char *name = xasprintf(".tutti/trash/%s", op->trash);
	holds(name, content);
	free(name);
}

static size_t trash_count(void)
{
	return count_in(dir, ".tutti/trash");
}

/* --- creating and replacing --- */

START_TEST(file_is_created)
{
	struct op op = op_data("f", "hello");
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "hello");
	struct found f = found_of(dir, "f");
	ck_assert_int_eq(f.mtime_ns, MTIME);
	ck_assert_uint_eq(f.mode, 0640);
	ck_assert_uint_eq(f.stamp, op.found.stamp);
	ck_assert_int_eq(f.ctime_ns, op.found.ctime_ns); /* of after all was done */
	ck_assert_uint_eq(op.found.size, 5);
	ck_assert_str_eq(op.trash, "");
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(empty_file_is_created)
{
	struct op op = op_data("empty", "");
	ck_assert_int_eq(apply_one(&op), 0);
	holds("empty", "");
}
END_TEST

START_TEST(file_is_replaced_and_the_old_one_is_in_the_trash)
{
	put(dir, "f", "old");
	struct op op = op_data("f", "new");
	ino_t before = stat_of(dir, "f").st_ino;
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "new");
	ck_assert_uint_ne(stat_of(dir, "f").st_ino, before);
	in_trash(&op, "old");
	ck_assert_uint_eq(trash_count(), 1);
	ck_assert_ptr_nonnull(strstr(op.trash, "-f"));
}
END_TEST

START_TEST(hard_link_elsewhere_is_not_written_through)
{
	put(dir, "f", "old");
	char *f = scratch_path(dir, "f"), *g = scratch_path(dir, "g");
	ck_assert_int_eq(link(f, g), 0);
	struct op op = op_data("f", "new");
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "new");
	holds("g", "old");
	free(f);
	free(g);
}
END_TEST

START_TEST(nothing_is_created_over_something)
{
	struct op op = op_data("f", "ours");
	put(dir, "f", "theirs");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	holds("f", "theirs");
	struct op folder = op_of("d", OP_MKDIR);
	put(dir, "d", "file");
	ck_assert_int_eq(apply_one(&folder), -ESTALE);
	holds("d", "file");
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(nothing_but_the_expected_is_replaced)
{
	static const char *const now[] = {"edited", "old", NULL};
	for (size_t i = 0; i < ARRAY_LEN(now); i++) {
		put(dir, "f", "old");
		struct op op = op_data("f", "new");
		char *f = scratch_path(dir, "f");
		if (i != 0)
			ck_assert_int_eq(unlink(f), 0);
		if (i == 1)
			put(dir, "held", "x"); /* so that the inode number is another */
		if (now[i])
			put(dir, "f", now[i]);
		ck_assert_int_eq(apply_one(&op), -ESTALE);
		if (now[i])
			holds("f", now[i]);
		else
			ck_assert(!there(dir, "f"));
		ck_assert_str_eq(op.trash, "");
		free(f);
	}
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(kinds_replace_each_other)
{
	put(dir, "f", "file");
	struct op op = op_link("f", "some/where");
	ck_assert_int_eq(apply_one(&op), 0);
	in_trash(&op, "file");
	char *f = scratch_path(dir, "f"), target[64];
	ssize_t n = readlink(f, target, sizeof(target));
	ck_assert_int_eq(n, 10);
	ck_assert_mem_eq(target, "some/where", 10);
	ck_assert_int_eq(found_of(dir, "f").mtime_ns, MTIME);
	ck_assert_uint_eq(found_of(dir, "f").stamp, op.found.stamp);

	op = op_of("f", OP_MKDIR);
	ck_assert_int_eq(apply_one(&op), 0);
	ck_assert_int_eq(op.found.kind, KIND_DIR);
	ck_assert_uint_eq(stat_of(dir, "f").st_mode & 07777, 0750);
	ck_assert_uint_eq(op.found.mode, 0750);
	char *kept = xasprintf("%s/.tutti/trash/%s", dir, op.trash);
	ck_assert_int_eq(readlink(kept, target, sizeof(target)), 10);
	free(kept);

	op = op_data("f", "file again");
	ck_assert_int_eq(op.expect_kind, KIND_DIR);
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "file again");
	ck_assert_str_eq(op.trash, ""); /* an empty folder is nothing to keep */
	ck_assert_uint_eq(trash_count(), 2);
	free(f);
}
END_TEST

START_TEST(folder_with_something_in_it_is_not_replaced)
{
	make_dir(dir, "d", 0755);
	struct op op = op_data("d", "file");
	put(dir, "d/precious", "x");
	ck_assert_int_eq(apply_one(&op), -ENOTEMPTY);
	holds("d/precious", "x");
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(same_path_twice_in_one_batch)
{
	struct op ops[3] = {op_data("f", "one"), op_of("g", OP_MKDIR), op_data("f", "two")};
	apply(ops, 3);
	ck_assert_int_eq(ops[0].error, 0);
	ck_assert_int_eq(ops[2].error, -ESTALE); /* it expected nothing there */
	holds("f", "one");
}
END_TEST

/* --- contents --- */

START_TEST(wrong_contents_are_refused)
{
	struct op op = op_data("f", "hello");
	op.data = bytes_of("hellO");
	ck_assert_int_eq(apply_one(&op), -EBADMSG);
	op.data = bytes_of("hello!");
	ck_assert_int_eq(apply_one(&op), -EBADMSG);
	op = op_link("l", "target");
	op.data = bytes_of("tarGet");
	ck_assert_int_eq(apply_one(&op), -EBADMSG);
	put(dir, "src", "hello");
	op = op_from("g", SOURCE_COPY, "src");
	op.hash[0] ^= 1;
	ck_assert_int_eq(apply_one(&op), -EBADMSG);
	ck_assert(!there(dir, "f") && !there(dir, "g") && !there(dir, "l"));
}
END_TEST

START_TEST(symlink_targets_that_cannot_be_are_refused)
{
	struct op op = op_link("l", "x");
	static const uint8_t nul[] = {'a', 0, 'b'};
	op.data = (struct bytes){nul, 3};
	digest_once(nul, 3, op.hash);
	ck_assert_int_eq(apply_one(&op), -EINVAL);
	op.data.len = 0;
	ck_assert_int_eq(apply_one(&op), -EINVAL);
	char *long_target = xmalloc(SYMLINK_MAX + 2);
	memset(long_target, 'x', SYMLINK_MAX + 1);
	long_target[SYMLINK_MAX + 1] = '\0';
	op = op_link("l", long_target);
	ck_assert_int_eq(apply_one(&op), -EINVAL);
	long_target[SYMLINK_MAX] = '\0';
	op = op_link("l", long_target);
	ck_assert_int_eq(apply_one(&op), 0);
	ck_assert_uint_eq(op.found.size, SYMLINK_MAX);
	free(long_target);
}
END_TEST

START_TEST(content_is_copied_from_a_file_that_is_here)
{
	struct buf big = {0};
	for (unsigned i = 0; i < 200000; i++)
		buf_addf(&big, "%u,", i);
	buf_add_char(&big, '\0');
	put(dir, "src", (char *)big.data);
	struct op op = op_from("copy", SOURCE_COPY, "src");
	ck_assert_int_eq(apply_one(&op), 0);
	holds("copy", (char *)big.data);
	holds("src", (char *)big.data);
	buf_release(&big);
}
END_TEST

START_TEST(changed_sources_are_refused)
{
	put(dir, "src", "hello");
	struct op copy = op_from("copy", SOURCE_COPY, "src");
	struct op move = op_from("move", SOURCE_MOVE, "src");
	put(dir, "src", "other");
	ck_assert_int_eq(apply_one(&copy), -EBADMSG);
	ck_assert_int_eq(apply_one(&move), -EBADMSG);
	copy.from = move.from = bytes_of("none/at/all");
	ck_assert_int_eq(apply_one(&copy), -EBADMSG);
	ck_assert_int_eq(apply_one(&move), -EBADMSG);
	holds("src", "other");
	ck_assert(!there(dir, "copy") && !there(dir, "move"));
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(file_is_moved)
{
	make_dir(dir, "from", 0755);
	put(dir, "from/a", "hello");
	ino_t inode = stat_of(dir, "from/a").st_ino;
	struct op ops[2] = {op_of("to", OP_MKDIR), op_from("to/b", SOURCE_MOVE, "from/a")};
	apply(ops, 2);
	ck_assert_int_eq(ops[0].error, 0);
	ck_assert_int_eq(ops[1].error, 0);
	holds("to/b", "hello");
	ck_assert(!there(dir, "from/a"));
	ck_assert_uint_eq(stat_of(dir, "to/b").st_ino, inode);
	/* with the time and the bits of the operation, and known as such */
	struct found f = found_of(dir, "to/b");
	ck_assert_int_eq(f.mtime_ns, MTIME);
	ck_assert_uint_eq(f.mode, 0640);
	ck_assert_uint_eq(f.stamp, ops[1].found.stamp);
	ck_assert_int_eq(f.ctime_ns, ops[1].found.ctime_ns);
}
END_TEST

START_TEST(file_is_moved_over_another)
{
	put(dir, "a", "moved");
	put(dir, "b", "replaced");
	struct op op = op_from("b", SOURCE_MOVE, "a");
	ck_assert_int_eq(apply_one(&op), 0);
	holds("b", "moved");
	ck_assert(!there(dir, "a"));
	in_trash(&op, "replaced");
	ck_assert_uint_eq(trash_count(), 1);
}
END_TEST

START_TEST(move_that_meets_something_else_undoes_itself)
{
	put(dir, "a", "moved");
	put(dir, "b", "known");
	struct op op = op_from("b", SOURCE_MOVE, "a");
	put(dir, "b", "edited");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	holds("a", "moved");
	holds("b", "edited");
	op = op_from("c", SOURCE_MOVE, "a");
	put(dir, "c", "new here");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	holds("a", "moved");
	holds("c", "new here");
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

/* --- deleting --- */

START_TEST(deleted_things_are_in_the_trash)
{
	put(dir, "f", "content");
	char *l = scratch_path(dir, "l");
	ck_assert_int_eq(symlink("nowhere", l), 0);
	struct op ops[2] = {op_of("f", OP_DELETE), op_of("l", OP_DELETE)};
	apply(ops, 2);
	ck_assert_int_eq(ops[0].error, 0);
	ck_assert_int_eq(ops[1].error, 0);
	ck_assert_int_eq(ops[0].found.kind, KIND_ABSENT);
	ck_assert(!there(dir, "f") && !there(dir, "l"));
	in_trash(&ops[0], "content");
	ck_assert_uint_eq(trash_count(), 2);
	free(l);
}
END_TEST

START_TEST(only_the_expected_is_deleted)
{
	put(dir, "f", "known");
	struct op op = op_of("f", OP_DELETE);
	put(dir, "f", "edited");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	holds("f", "edited");
	struct op gone = op_of("f", OP_DELETE);
	char *f = scratch_path(dir, "f");
	ck_assert_int_eq(unlink(f), 0);
	ck_assert_int_eq(apply_one(&gone), -ESTALE);
	make_dir(dir, "f", 0755);
	ck_assert_int_eq(apply_one(&gone), -ESTALE);
	struct op folder = op_of("f", OP_DELETE);
	ck_assert_int_eq(apply_one(&folder), -ESTALE); /* folders do not go this way */
	ck_assert_int_eq(found_of(dir, "f").kind, KIND_DIR);
	ck_assert_uint_eq(trash_count(), 0);
	free(f);
}
END_TEST

START_TEST(folders_go_only_when_empty)
{
	make_dir(dir, "d", 0755);
	put(dir, "d/x", "x");
	struct op op = op_of("d", OP_RMDIR);
	ck_assert_int_eq(apply_one(&op), -ENOTEMPTY);
	struct op ops[2] = {op_of("d/x", OP_DELETE), op};
	apply(ops, 2);
	ck_assert_int_eq(ops[0].error, 0);
	ck_assert_int_eq(ops[1].error, 0);
	ck_assert(!there(dir, "d"));
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	put(dir, "d", "a file now");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	holds("d", "a file now");
}
END_TEST

/* --- metadata --- */

START_TEST(meta_sets_time_and_mode)
{
	put(dir, "f", "x");
	make_dir(dir, "d", 0700);
	char *l = scratch_path(dir, "l");
	ck_assert_int_eq(symlink("f", l), 0);
	struct op ops[3] = {op_of("f", OP_META), op_of("d", OP_META), op_of("l", OP_META)};
	ops[0].mode = 0444;
	apply(ops, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(ops[i].error, 0);
	ck_assert_int_eq(found_of(dir, "f").mtime_ns, MTIME);
	ck_assert_uint_eq(stat_of(dir, "f").st_mode & 07777, 0444);
	ck_assert_uint_eq(ops[0].found.stamp, found_of(dir, "f").stamp);
	ck_assert_int_eq(ops[0].found.ctime_ns, found_of(dir, "f").ctime_ns);
	ck_assert_uint_eq(stat_of(dir, "d").st_mode & 07777, 0750);
	ck_assert_int_eq(found_of(dir, "l").mtime_ns, MTIME);
	ck_assert_int_eq(found_of(dir, "f").kind, KIND_FILE);
	struct op stale = op_of("f", OP_META);
	stale.mode = 0777;
	char *f = scratch_path(dir, "f");
	ck_assert_int_eq(chmod(f, 0644), 0);
	put(dir, "f", "edited");
	struct found edited = found_of(dir, "f");
	ck_assert_int_eq(apply_one(&stale), -ESTALE);
	ck_assert_uint_eq(found_of(dir, "f").stamp, edited.stamp);
	ck_assert_uint_eq(found_of(dir, "f").mode, 0644);
	free(f);
	free(l);
}
END_TEST

START_TEST(special_bits_are_never_set)
{
	struct op op = op_data("f", "x");
	op.mode = 07777;
	ck_assert_int_eq(apply_one(&op), 0);
	ck_assert_uint_eq(stat_of(dir, "f").st_mode & 07777, 0777);
	struct op folder = op_of("d", OP_MKDIR);
	folder.mode = 07777;
	ck_assert_int_eq(apply_one(&folder), 0);
	ck_assert_uint_eq(stat_of(dir, "d").st_mode & 07777, 0777);
	struct op meta = op_of("f", OP_META);
	meta.mode = 06711;
	ck_assert_int_eq(apply_one(&meta), 0);
	ck_assert_uint_eq(stat_of(dir, "f").st_mode & 07777, 0711);
}
END_TEST

START_TEST(any_time_is_set_as_it_is)
{
	static const int64_t times[] = {0, -1, -1500000000, INT64_C(4102444800) * 1000000000 + 1};
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%zu", i);
		struct op op = op_data(name, "x");
		op.mtime_ns = times[i];
		ck_assert_int_eq(apply_one(&op), 0);
		ck_assert_int_eq(found_of(dir, name).mtime_ns, times[i]);
	}
}
END_TEST

/* --- somebody has it open --- */

START_TEST(file_that_is_being_written_is_left_alone)
{
	if (!root_abilities(root).lease) {
		puts("SKIPPED: file_that_is_being_written_is_left_alone: no leases on this file system");
		return;
	}
	put(dir, "f", "old");
	char *f = scratch_path(dir, "f");
	int fd = open(f, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	struct op ops[3] = {op_data("f", "new"), op_of("f", OP_DELETE), op_of("f", OP_META)};
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(apply_one(&ops[i]), -ETXTBSY);
	holds("f", "old");
	ck_assert_int_ne(found_of(dir, "f").mtime_ns, MTIME);
	close(fd);
	ck_assert_int_eq(apply_one(&ops[0]), 0);
	holds("f", "new");
	free(f);
}
END_TEST

START_TEST(file_that_is_mapped_for_writing_is_left_alone)
{
	if (!root_abilities(root).lease) {
		puts("SKIPPED: file_that_is_mapped_for_writing_is_left_alone: no leases here");
		return;
	}
	put(dir, "f", "old");
	char *f = scratch_path(dir, "f");
	int fd = open(f, O_RDWR | O_CLOEXEC);
	char *map = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	struct op op = op_data("f", "new");
	ck_assert_int_eq(apply_one(&op), -ETXTBSY);
	munmap(map, 3);
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "new");
	free(f);
}
END_TEST

/* --- many at once --- */

START_TEST(batch_makes_a_whole_tree)
{
	enum { DIRS = 10, FILES = 30, N = DIRS * (FILES + 1) };
	struct op *ops = xcalloc(N, sizeof(*ops));
	char (*names)[32] = xcalloc(N, sizeof(*names));
	size_t n = 0;
	for (unsigned d = 0; d < DIRS; d++) {
		snprintf(names[n], sizeof(names[n]), "d%u", d);
		ops[n] = op_of(names[n], OP_MKDIR);
		ops[n].mode = 0555; /* closed at the end only */
		n++;
		for (unsigned f = 0; f < FILES; f++, n++) {
			snprintf(names[n], sizeof(names[n]), "d%u/f%u", d, f);
			ops[n] = op_data(names[n], names[n]);
		}
	}
	apply(ops, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(ops[i].error, 0);
		struct found f = found_of(dir, names[i]);
		ck_assert_uint_eq(f.stamp, ops[i].found.stamp);
		ck_assert_int_eq(f.ctime_ns, ops[i].found.ctime_ns);
		ck_assert_uint_eq(f.mode, ops[i].type == OP_MKDIR ? 0555 : 0640);
		if (ops[i].type == OP_WRITE)
			holds(names[i], names[i]);
	}
	/* and all of it anew, with half of the operations out of date */
	for (size_t i = 0; i < n; i++) {
		if (ops[i].type != OP_WRITE)
			continue;
		ops[i] = op_data(names[i], "second");
		if (i % 2)
			ops[i].expect_stamp ^= 1;
	}
	apply(ops, n);
	size_t replaced = 0;
	for (size_t i = 0; i < n; i++) {
		if (!strchr(names[i], '/'))
			continue;
		ck_assert_int_eq(ops[i].error, i % 2 ? -ESTALE : 0);
		holds(names[i], i % 2 ? names[i] : "second");
		replaced += i % 2 == 0;
	}
	ck_assert_uint_eq(trash_count(), replaced);
	free(ops);
	free(names);
}
END_TEST

START_TEST(errors_stay_with_their_operation)
{
	struct op ops[4] = {
		op_data("a", "a"), op_data("no/parent", "x"), op_data("b", "b"), op_data("c", "c"),
	};
	ops[2].hash[5] ^= 1;
	apply(ops, 4);
	ck_assert_int_eq(ops[0].error, 0);
	ck_assert_int_eq(ops[1].error, -ENOENT);
	ck_assert_int_eq(ops[2].error, -EBADMSG);
	ck_assert_int_eq(ops[3].error, 0);
	holds("a", "a");
	holds("c", "c");
	ck_assert(!there(dir, "b"));
}
END_TEST

START_TEST(hostile_paths_touch_nothing)
{
	static const char *const bad[] = {"..", "../x", "/tmp/x", "a//b", "", ".tutti/x", ".Tutti/tmp"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct op op = {.path = bytes_of(bad[i]), .type = OP_MKDIR, .mode = 0700};
		ck_assert_msg(apply_one(&op) == -EINVAL, "%s", bad[i]);
		op = op_data("f", "x");
		op.source = SOURCE_COPY;
		op.from = bytes_of(bad[i]);
		ck_assert_msg(apply_one(&op) == -EINVAL, "from %s", bad[i]);
	}
}
END_TEST

START_TEST(cancel_stops_between_operations)
{
	atomic_bool cancel = true;
	struct apply_env env = {.cancel = &cancel};
	struct op op = op_data("f", "x");
	apply_ops(root, &op, 1, &env);
	ck_assert_int_eq(op.error, -ECANCELED);
	ck_assert(!there(dir, "f"));
}
END_TEST

START_TEST(odd_names_and_long_ones)
{
	char name[256], longer[256];
	memset(name, 'n', 255);
	name[255] = '\0';
	memset(longer, 0xff, 255);
	longer[255] = '\0';
	const char *const names[] = {"new\nline", "\x1b[31m", "\xc3", "-rf", " ", name, longer};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct op op = op_data(names[i], "one");
		ck_assert_int_eq(apply_one(&op), 0);
		op = op_data(names[i], "two");
		ck_assert_int_eq(apply_one(&op), 0);
		in_trash(&op, "one");
		holds(names[i], "two");
		op = op_of(names[i], OP_DELETE);
		ck_assert_int_eq(apply_one(&op), 0);
		in_trash(&op, "two");
	}
}
END_TEST

START_TEST(failed_sync_fails_the_operation)
{
	enum { MANY = 20 };
	struct op ops[MANY];
	char names[MANY][16];
	put(dir, "f", "old");
	struct op one[2] = {op_data("f", "new"), op_of("d", OP_MKDIR)};
	atomic_store(&sync_fails, true);
	apply(one, 2);
	atomic_store(&sync_fails, false);
	ck_assert_int_eq(one[0].error, -EIO);
	ck_assert_int_eq(one[1].error, -EIO);
	holds("f", "old"); /* a content that is not durable never gets the name */
	ck_assert_uint_eq(trash_count(), 0);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		ops[i] = op_data(names[i], "x");
	}
	atomic_store(&sync_fails, true);
	apply(ops, MANY);
	atomic_store(&sync_fails, false);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(ops[i].error, -EIO);
		ck_assert(!there(dir, names[i]));
	}
	apply(ops, MANY);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(ops[i].error, 0);
}
END_TEST

START_TEST(many_files_cost_few_syncs)
{
	enum { MANY = 200 };
	struct op ops[MANY];
	char names[MANY][16];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		ops[i] = op_data(names[i], "x");
	}
	atomic_store(&syncs, 0);
	apply(ops, MANY);
	ck_assert_uint_le(atomic_load(&syncs), 2);
	ck_assert_uint_ge(atomic_load(&syncs), 2); /* the contents, then the names */
	struct op one = op_data("one", "x");
	atomic_store(&syncs, 0);
	ck_assert_int_eq(apply_one(&one), 0);
	ck_assert_uint_eq(atomic_load(&syncs), 2);
}
END_TEST

/* --- killed at any moment --- */

enum { KILL_FILES = 20, KILL_SIZE = 20000 };

static void fill_text(char *text, unsigned file, unsigned version)
{
	int n = snprintf(text, KILL_SIZE, "%u %u ", file, version);
	memset(text + n, (int)('a' + (file + version) % 26), (size_t)(KILL_SIZE - n));
	text[KILL_SIZE - 1] = '\0';
}

/* Replaces, deletes and makes anew without end. */
static void apply_for_ever(unsigned version)
{
	struct op ops[KILL_FILES];
	char names[KILL_FILES][16];
	char *text = xmalloc((size_t)KILL_FILES * KILL_SIZE);
	for (;; version++) {
		for (unsigned i = 0; i < KILL_FILES; i++) {
			snprintf(names[i], sizeof(names[i]), "f%u", i);
			char *t = text + (size_t)i * KILL_SIZE;
			fill_text(t, i, version);
			if (version % 4 == 3 && i % 2 && there(dir, names[i]))
				ops[i] = op_of(names[i], OP_DELETE);
			else
				ops[i] = op_data(names[i], t);
		}
		struct apply_env env = {.without_sync = version % 2 == 0};
		apply_ops(root, ops, KILL_FILES, &env);
	}
}

START_TEST(killed_at_any_moment_leaves_whole_files)
{
	char *text = xmalloc(KILL_SIZE);
	for (unsigned round = 0; round < 20; round++) {
		fflush(NULL);
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			apply_for_ever(round * 1000 + 1);
		/* some way into the work, each time another */
		struct timespec some = {.tv_nsec = (long)(1 + round * 7 % 23) * 1000000};
		while (count_in(dir, ".") < 3)
			sched_yield();
		nanosleep(&some, NULL);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		for (unsigned i = 0; i < KILL_FILES; i++) {
			char name[16];
			unsigned file, version;
			snprintf(name, sizeof(name), "f%u", i);
			char *now = get(dir, name);
			if (!now)
				continue;
			ck_assert_int_eq(sscanf(now, "%u %u ", &file, &version), 2);
			fill_text(text, file, version);
			ck_assert_uint_eq(file, i);
			ck_assert_str_eq(now, text);
			free(now);
		}
		root_close(root);
		root = marked_root(dir);
		root_clean_tmp(root);
	}
	free(text);
}
END_TEST

/* --- permissions --- */

static bool applies(struct root *r, struct op op, int error)
{
	struct apply_env env = {0};
	apply_ops(r, &op, 1, &env);
	if (op.error != error)
		fprintf(stderr, "%.*s: %d, not %d\n", (int)op.path.len, (const char *)op.path.p,
			op.error, error);
	return op.error == error;
}

static int change_closed_folders(const char *at)
{
	char *path = scratch_path(at, "root");
	if (mkdir(path, 0700) < 0)
		return 1;
	char *before = dir;
	dir = path;
	struct root *r = marked_root(path);
	make_dir(path, "d", 0700);
	make_dir(path, "d/e", 0700);
	put(path, "d/e/old", "old");
	char *d = scratch_path(path, "d"), *e = scratch_path(path, "d/e");
	struct op replace = op_data("d/e/old", "newer"), create = op_data("d/e/new", "new");
	struct op folder = op_of("d/e/f", OP_MKDIR);
	int result = 0;
	if (chmod(e, 0555) < 0 || chmod(d, 0) < 0)
		result = 2;
	else if (!applies(r, create, 0) || !applies(r, replace, 0) || !applies(r, folder, 0))
		result = 3;
	struct stat st;
	if (!result && (lstat(d, &st) < 0 || (st.st_mode & 07777) != 0))
		result = 4; /* the modes are as before */
	chmod(d, 0700);
	if (!result && (lstat(e, &st) < 0 || (st.st_mode & 07777) != 0555))
		result = 5;
	if (!result) {
		holds("d/e/old", "newer");
		holds("d/e/new", "new");
	}
	/* OP_META of a folder that was made writable for others in the same batch wins */
	struct op both[2] = {op_data("d/e/last", "x"), op_of("d/e", OP_META)};
	both[1].mode = 0500;
	struct apply_env env = {0};
	apply_ops(r, both, 2, &env);
	if (!result && (both[0].error || both[1].error || lstat(e, &st) < 0 ||
	    (st.st_mode & 07777) != 0500))
		result = 6;
	chmod(e, 0700);
	/* a file without any permission can get other ones */
	char *f = scratch_path(path, "d/e/new");
	chmod(f, 0);
	struct op meta = op_of("d/e/new", OP_META);
	if (!result && (!applies(r, meta, 0) || lstat(f, &st) < 0 || (st.st_mode & 07777) != 0750))
		result = 7;
	root_close(r);
	free(path);
	free(d);
	free(e);
	free(f);
	dir = before;
	return result;
}

START_TEST(closed_folders_are_opened_for_the_moment)
{
	ck_assert_int_eq(as_nobody(change_closed_folders), 0);
}
END_TEST

static int serve_read_only(const char *at)
{
	char *path = scratch_path(at, "root");
	if (mkdir(path, 0700) < 0)
		return 1;
	char *before = dir;
	dir = path;
	struct root *r = marked_root(path);
	put(path, "f", "x");
	struct op create = op_data("new", "new"), delete = op_of("f", OP_DELETE);
	int result = chmod(path, 0500) < 0 ? 2 :
		!applies(r, create, -EACCES) || !applies(r, delete, -EACCES) ? 3 : 0;
	holds("f", "x");
	chmod(path, 0700);
	root_close(r);
	free(path);
	dir = before;
	return result;
}

START_TEST(root_that_may_not_be_written_reports_it)
{
	ck_assert_int_eq(as_nobody(serve_read_only), 0);
}
END_TEST

/* --- full disks, in a mount namespace of its own --- */

static int fill_a_disk(const char *path)
{
	dir = xstrdup(path);
	root = marked_root(path);
	put(path, "f", "old");
	struct buf big = {0};
	memset(buf_reserve(&big, 1024 * 1024), 'x', 1024 * 1024);
	big.len = 1024 * 1024;
	buf_add_char(&big, '\0');
	struct op ops[3] = {op_data("f", (char *)big.data), op_data("small", "fits"),
		op_data("g", (char *)big.data)};
	apply(ops, 3);
	int result = ops[0].error != -ENOSPC || ops[2].error != -ENOSPC ? 1 : ops[1].error ? 2 : 0;
	holds("f", "old");
	holds("small", "fits");
	if (count_in(path, ".tutti/tmp") || count_in(path, ".tutti/trash"))
		result = 3;
	/* a transfer that does not fit fails, and leaves nothing */
	struct tmp *tmp;
	if (tmp_open(root, &tmp) < 0)
		return 4;
	if (tmp_write(tmp, big.data, big.len - 1) != -ENOSPC ||
	    tmp_finish(tmp, ops[0].hash, big.len - 1) != -ENOSPC || count_in(path, ".tutti/tmp"))
		result = 5;
	/* deleting works on a full disk, and things can be restored */
	struct op delete = op_of("f", OP_DELETE);
	if (apply_one(&delete))
		result = 6;
	/* with room again all goes on */
	struct op again = op_data("f", "new");
	if (apply_one(&again))
		result = 7;
	root_close(root);
	buf_release(&big);
	return result;
}

START_TEST(full_disk_changes_nothing)
{
	char *path = scratch_new();
	on_small_disk("full_disk_changes_nothing", path, "256k", fill_a_disk);
	scratch_remove(path);
}
END_TEST

/* --- races --- */

enum { RACE_OPS = 300 };

struct editor {
	pthread_t thread;
	atomic_bool stop;
	atomic_uint edits;
	atomic_uint attempts; /* of the other side */
	char *path;
	char *temporary;
	bool in_place;
};

/* Writes ever new contents, by replacing the file or in place. */
static void *edit(void *arg)
{
	struct editor *e = arg;
	while (!atomic_load(&e->stop)) {
		unsigned n = atomic_load(&e->edits) + 1;
		/* whoever writes all the time lets nothing be applied: every other attempt */
		if (2 * n > atomic_load(&e->attempts)) {
			sched_yield();
			continue;
		}
		char text[32];
		int len = snprintf(text, sizeof(text), "edit %06u", n);
		int fd = open(e->in_place ? e->path : e->temporary,
			e->in_place ? O_WRONLY | O_TRUNC | O_CLOEXEC :
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			continue;
		ssize_t written = write(fd, text, (size_t)len);
		close(fd);
		if (written == len && (e->in_place || rename(e->temporary, e->path) == 0))
			atomic_store(&e->edits, n);
	}
	return NULL;
}

/* The last content that the user wrote is at the name, or in the trash; ours never hides it. */
static void race(bool in_place)
{
	char *f = scratch_path(dir, "f"), *outside = xasprintf("%s.editor", dir);
	char *anew = scratch_path(dir, "anew");
	struct editor e = {.path = f, .temporary = outside, .in_place = in_place};
	unsigned applied = 0, refused = 0;
	put(dir, "f", "first");
	ck_assert_int_eq(pthread_create(&e.thread, NULL, edit, &e), 0);
	for (unsigned i = 0; i < RACE_OPS; i++) {
		char text[32];
		atomic_store(&e.attempts, i + 1);
		snprintf(text, sizeof(text), "applied %u", i);
		struct op op = i % 5 == 4 ? op_of("f", OP_DELETE) : op_data("f", text);
		if (op.expect_kind == KIND_ABSENT && op.type == OP_DELETE)
			op = op_data("f", text);
		struct apply_env env = {.without_sync = i % 4 != 0,
			.without_exchange = without_exchange};
		apply_ops(root, &op, 1, &env);
		ck_assert_msg(op.error == 0 || op.error == -ESTALE || op.error == -ETXTBSY,
			"%s", strerror(-op.error));
		applied += op.error == 0;
		refused += op.error != 0;
		if (!there(dir, "f") && in_place) {
			/* complete before it has the name, or it would overwrite an edit */
			put(dir, "anew", "anew");
			ck_assert_int_eq(rename(anew, f), 0);
		}
	}
	atomic_store(&e.stop, true);
	pthread_join(e.thread, NULL);
	unlink(outside);
	ck_assert_uint_gt(applied, 0);
	char last[32];
	snprintf(last, sizeof(last), "edit %06u", atomic_load(&e.edits));
	char *now = get(dir, "f");
	if (atomic_load(&e.edits) && (!now || strcmp(now, last) != 0))
		ck_assert_msg(content_in(dir, ".tutti/trash", last),
			"%s is lost (%u applied, %u refused)", last, applied, refused);
	free(now);
	free(f);
	free(outside);
	free(anew);
}

START_TEST(editor_that_replaces_loses_nothing)
{
	race(false);
}
END_TEST

START_TEST(editor_that_writes_in_place_loses_nothing)
{
	race(true);
}
END_TEST

struct flipper {
	pthread_t thread;
	atomic_bool stop;
	atomic_uint flips;
	char *d;
	char *link;
};

/* Swaps a folder and a symlink to the outside, as fast as it can. */
static void *flip(void *arg)
{
	struct flipper *f = arg;
	while (!atomic_load(&f->stop))
		if (renameat2(AT_FDCWD, f->d, AT_FDCWD, f->link, RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&f->flips, 1);
	return NULL;
}

/* What is not to be touched, and how it was. */
struct canary {
	const char *name;
	struct stat st;
};

/* The i-th of all kinds of operations below d/, on whatever a look finds there now. */
static struct op op_below(unsigned i, struct look *look)
{
	static const char *const names[] = {"d/f", "d/link", "d/sub", "d/run", "d/new"};
	struct op op = {.path = bytes_of(names[i % ARRAY_LEN(names)]), .mode = 0600,
		.mtime_ns = MTIME};
	*look = (struct look){.path = op.path};
	scan_look(root, look, 1, NULL);
	if (!look->error) {
		op.expect_kind = look->found.kind;
		op.expect_stamp = look->found.stamp;
		ck_assert_msg(look->found.kind != KIND_FILE || look->found.size < 6,
			"a file outside was read");
	}
	op.type = (i / ARRAY_LEN(names)) % 6;
	if (op.type == OP_WRITE) {
		op.source = i % 2 ? SOURCE_DATA : SOURCE_MOVE;
		op.size = 1;
		op.data = bytes_of("x");
		digest_once("x", 1, op.hash);
		if (op.source == SOURCE_MOVE) {
			op.data = (struct bytes){NULL, 0};
			op.from = bytes_of("d/f");
			struct look from = {.path = op.from};
			scan_look(root, &from, 1, NULL);
			if (!from.error)
				op.from_stamp = from.found.stamp;
			look_release(&from);
		}
	} else if (op.type == OP_SYMLINK) {
		op.data = bytes_of("/etc/passwd");
		op.size = op.data.len;
		digest_once(op.data.p, op.data.len, op.hash);
	}
	return op;
}

START_TEST(swapped_folder_leads_nowhere_outside)
{
	enum { FLIPS = 100000, OPS = 10000 };
	struct canary canaries[] = {{.name = "f"}, {.name = "link"}, {.name = "sub"}, {.name = "run"}};
	char *outside = scratch_new();
	put(outside, "f", "canary");
	put(outside, "link", "canary");
	put(outside, "run", "canary");
	make_dir(outside, "sub", 0755);
	make_dir(dir, "d", 0755);
	struct flipper f = {.d = scratch_path(dir, "d"), .link = scratch_path(dir, "aside")};
	ck_assert_int_eq(symlink(outside, f.link), 0);
	for (size_t i = 0; i < ARRAY_LEN(canaries); i++)
		canaries[i].st = stat_of(outside, canaries[i].name);
	struct stat before = stat_of(outside, "");
	ck_assert_int_eq(pthread_create(&f.thread, NULL, flip, &f), 0);
	unsigned applied = 0, refused = 0;
	for (unsigned i = 0; i < OPS || atomic_load(&f.flips) < FLIPS; i++) {
		struct look look;
		struct op op = op_below(i, &look);
		struct apply_env env = {.without_sync = true, .without_exchange = i % 3 == 2};
		apply_ops(root, &op, 1, &env);
		applied += op.error == 0;
		refused += op.error != 0;
		look_release(&look);
	}
	atomic_store(&f.stop, true);
	pthread_join(f.thread, NULL);
	ck_assert_uint_gt(applied, 100);
	ck_assert_uint_gt(refused, 100);
	for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
		const struct stat *was = &canaries[i].st;
		struct stat is = stat_of(outside, canaries[i].name);
		ck_assert_msg(is.st_ino == was->st_ino && is.st_mode == was->st_mode &&
			is.st_ctim.tv_sec == was->st_ctim.tv_sec &&
			is.st_ctim.tv_nsec == was->st_ctim.tv_nsec, "%s was touched", canaries[i].name);
	}
	struct stat after = stat_of(outside, "");
	ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	ck_assert_int_eq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	ck_assert_uint_eq(count_in(outside, ""), ARRAY_LEN(canaries));
	free(f.d);
	free(f.link);
	scratch_remove(outside);
}
END_TEST

/* --- transfers --- */

START_TEST(content_that_arrives_in_parts)
{
	struct tmp *a, *b;
	struct op op = op_data("f", "hello, world");
	ck_assert_int_eq(tmp_open(root, &a), 0);
	ck_assert_int_eq(tmp_open(root, &b), 0);
	ck_assert_uint_ne(tmp_number(a), tmp_number(b));
	ck_assert_int_eq(tmp_write(a, "hello", 5), 0);
	ck_assert_int_eq(tmp_write(b, "other", 5), 0);
	ck_assert_int_eq(tmp_write(a, ", world", 7), 0);
	ck_assert_uint_eq(tmp_size(a), 12);
	op.source = SOURCE_TMP;
	op.tmp = tmp_number(a);
	ck_assert_int_eq(tmp_finish(a, op.hash, op.size), 0);
	tmp_discard(b);
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "hello, world");
	ck_assert_uint_eq(found_of(dir, "f").mode, 0640);
	ck_assert_int_eq(found_of(dir, "f").mtime_ns, MTIME);
	/* it is used up */
	op = op_data("g", "hello, world");
	op.source = SOURCE_TMP;
	ck_assert_int_eq(apply_one(&op), -ENOENT);
}
END_TEST

START_TEST(wrong_transfers_are_refused_and_gone)
{
	struct op op = op_data("f", "hello");
	struct tmp *tmp;
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write(tmp, "hellO", 5), 0);
	ck_assert_int_eq(tmp_finish(tmp, op.hash, 5), -EBADMSG);
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write(tmp, "hello", 5), 0);
	ck_assert_int_eq(tmp_finish(tmp, op.hash, 6), -EBADMSG);
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	tmp_discard(tmp);
	tmp_discard(NULL);
	/* a finished one that nobody wants; an operation that fails takes it along */
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write(tmp, "hello", 5), 0);
	uint64_t number = tmp_number(tmp);
	ck_assert_int_eq(tmp_finish(tmp, op.hash, 5), 0);
	ck_assert_int_eq(tmp_remove(root, number), 0);
	ck_assert_int_eq(tmp_remove(root, number), -ENOENT);
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write(tmp, "hello", 5), 0);
	op.source = SOURCE_TMP;
	op.tmp = tmp_number(tmp);
	ck_assert_int_eq(tmp_finish(tmp, op.hash, 5), 0);
	put(dir, "f", "in the way");
	ck_assert_int_eq(apply_one(&op), -ESTALE);
	ck_assert_int_eq(tmp_remove(root, op.tmp), -ENOENT);
	holds("f", "in the way");
}
END_TEST

START_TEST(transfer_takes_parts_of_files_that_are_here)
{
	put(dir, "src", "0123456789");
	uint64_t stamp = found_of(dir, "src").stamp;
	struct op op = op_data("f", "ab456cd");
	struct tmp *tmp;
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write(tmp, "ab", 2), 0);
	ck_assert_int_eq(tmp_write_from(tmp, bytes_of("src"), stamp, 4, 3), 0);
	ck_assert_int_eq(tmp_write(tmp, "cd", 2), 0);
	op.source = SOURCE_TMP;
	op.tmp = tmp_number(tmp);
	ck_assert_int_eq(tmp_finish(tmp, op.hash, op.size), 0);
	ck_assert_int_eq(apply_one(&op), 0);
	holds("f", "ab456cd");
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write_from(tmp, bytes_of("src"), stamp, 8, 3), -EINVAL);
	ck_assert_int_eq(tmp_write(tmp, "x", 1), -EINVAL); /* an error stays */
	tmp_discard(tmp);
	put(dir, "src", "changed");
	ck_assert_int_eq(tmp_open(root, &tmp), 0);
	ck_assert_int_eq(tmp_write_from(tmp, bytes_of("src"), stamp, 0, 3), -ESTALE);
	tmp_discard(tmp);
}
END_TEST

/* --- the trash --- */

struct listed_trash {
	size_t n;
	size_t changed;
	uint64_t bytes;
};

static void count_item(void *ctx, const struct trash_item *item)
{
	struct listed_trash *l = ctx;
	l->n++;
	l->changed += item->changed;
	l->bytes += item->size;
}

static void note_removed(void *ctx, const char *name)
{
	(void)name;
	++*(size_t *)ctx;
}

static char *saved_as;

static void note_saved(void *ctx, const char *name, struct bytes path)
{
	(void)ctx, (void)name;
	ck_assert_ptr_null(saved_as);
	saved_as = xasprintf("%.*s", (int)path.len, (const char *)path.p);
}

static size_t tidy(int64_t now_s, int64_t max_age_s, uint64_t max_bytes, const struct trash_known *known,
		   size_t n)
{
	size_t gone = 0;
	free(saved_as);
	saved_as = NULL;
	ck_assert_int_eq(trash_tidy(root, &(struct trash_tidying){
		.now_s = now_s, .max_age_s = max_age_s, .max_bytes = max_bytes, .known = known, .n_known = n,
		.gone = note_removed, .saved = note_saved, .ctx = &gone}), 0);
	return gone;
}

/* The seconds in its name. */
static int64_t trash_put(int64_t age_s, unsigned number, const char *content)
{
	char name[128];
	int64_t when = time(NULL) - age_s;
	snprintf(name, sizeof(name), ".tutti/trash/%lld.%09u-f", (long long)when, number);
	put(dir, name, content);
	/* as if it was last written before it came here */
	char *path = scratch_path(dir, name);
	struct timespec t[2] = {{0, UTIME_OMIT}, {when - 100, 0}};
	ck_assert_int_eq(utimensat(AT_FDCWD, path, t, 0), 0);
	free(path);
	return when;
}

START_TEST(trash_expires_by_age)
{
	trash_put(100, 1, "old");
	trash_put(50, 2, "younger");
	trash_put(1, 3, "young");
	put(dir, ".tutti/trash/not ours", "x");
	ck_assert_uint_eq(tidy(time(NULL), 40, UINT64_MAX, NULL, 0), 2);
	ck_assert(content_in(dir, ".tutti/trash", "young"));
	ck_assert(there(dir, ".tutti/trash/not ours"));
}
END_TEST

static size_t found_n;

static void note_found(void *ctx, const struct trash_item *item)
{
	(void)ctx;
	ck_assert_uint_eq(item->size, strlen("forgotten"));
	found_n++;
}

/* What the index does not know, although it has been here for a while, is told; nothing else is. */
START_TEST(what_the_index_forgot_is_found_in_the_trash)
{
	int64_t now = time(NULL);
	char known[128];
	trash_put(1000, 1, "expired");
	trash_put(90, 2, "forgotten");
	int64_t when = trash_put(80, 3, "known");
	trash_put(1, 4, "just now");
	put(dir, ".tutti/trash/not ours", "x");
	snprintf(known, sizeof(known), "%lld.%09u-f", (long long)when, 3u);
	size_t gone = 0;
	struct trash_tidying t = {
		.now_s = now, .max_age_s = 500, .max_bytes = UINT64_MAX, .n_known = 1,
		.known = &(struct trash_known){.name = known}, .gone = note_removed, .ctx = &gone,
		.found = note_found,
	};
	found_n = 0;
	ck_assert_int_eq(trash_tidy(root, &t), 0);
	ck_assert_uint_eq(found_n, 1);
	ck_assert_uint_eq(gone, 1);
	t.found = NULL;
	ck_assert_int_eq(trash_tidy(root, &t), 0);
}
END_TEST

static size_t early_n;

static void note_early(void *ctx, const struct trash_item *item)
{
	(void)ctx;
	ck_assert_uint_eq(item->size, 10);
	early_n++;
}

START_TEST(what_is_spared_goes_by_age_alone)
{
	int64_t now = time(NULL);
	trash_put(2000, 1, "older than");
	int64_t when = trash_put(100, 2, "bbbbbbbbbb");
	trash_put(100, 3, "cccccccccc");
	trash_put(90, 4, "dddddddddd");
	trash_put(50, 5, "eeeeeeeeee");
	trash_put(1, 6, "ffffffffff");
	struct trash_span spans[] = {
		{0, 10},
		{when * INT64_C(1000000000) + 3, (when + 10) * INT64_C(1000000000) + 4},
	};
	size_t gone = 0;
	struct trash_tidying t = {
		.now_s = now, .max_age_s = 1000, .max_bytes = 10, .gone = note_removed, .ctx = &gone,
		.spared = spans, .n_spared = 2, .early = note_early,
	};
	early_n = 0;
	ck_assert_int_eq(trash_tidy(root, &t), 0);
	ck_assert_uint_eq(gone, 3);
	ck_assert_uint_eq(early_n, 2); /* the first went when its time was over */
	ck_assert(content_in(dir, ".tutti/trash", "cccccccccc"));
	ck_assert(content_in(dir, ".tutti/trash", "dddddddddd"));
	ck_assert(content_in(dir, ".tutti/trash", "ffffffffff"));
	t.n_spared = 0;
	ck_assert_int_eq(trash_tidy(root, &t), 0);
	ck_assert_uint_eq(early_n, 4);
	ck_assert(content_in(dir, ".tutti/trash", "ffffffffff"));
	t.now_s += 2000;
	t.n_spared = 2;
	spans[1].to_ns = INT64_MAX;
	ck_assert_int_eq(trash_tidy(root, &t), 0);
	ck_assert_uint_eq(gone, 6);
	ck_assert_uint_eq(early_n, 4);
}
END_TEST

START_TEST(trash_expires_by_size_oldest_first)
{
	trash_put(100, 1, "aaaaaaaaaa");
	trash_put(50, 2, "bbbbbbbbbb");
	trash_put(1, 3, "cccccccccc");
	ck_assert_uint_eq(tidy(time(NULL), 1000, 20, NULL, 0), 1);
	ck_assert(!content_in(dir, ".tutti/trash", "aaaaaaaaaa"));
	struct listed_trash l = {0};
	ck_assert_int_eq(trash_list(root, count_item, &l), 0);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_uint_eq(l.bytes, 20);
	ck_assert_uint_eq(l.changed, 0);
}
END_TEST

START_TEST(what_changed_in_the_trash_is_put_beside_its_path)
{
	struct listed_trash l = {0};
	char name[128];
	int64_t now = time(NULL);
	trash_put(100, 1, "kept by nobody");
	snprintf(name, sizeof(name), "%lld.%09u-f.txt", (long long)now - 100, 2u);
	char *inside = xasprintf(".tutti/trash/%s", name);
	put(dir, inside, "written through an old descriptor");
	make_dir(dir, ".tutti/trash/5.000000001-d", 0700);
	put(dir, ".tutti/trash/5.000000001-d/x", "x");
	make_dir(dir, "sub", 0755);
	ck_assert_int_eq(trash_list(root, count_item, &l), 0);
	ck_assert_uint_eq(l.changed, 1);
	/* not before it is at rest */
	struct trash_known known = {.name = name, .path = bytes_of("sub/f.txt")};
	ck_assert_uint_eq(tidy(now, 10, 0, &known, 1), 1);
	ck_assert_ptr_null(saved_as);
	holds(inside, "written through an old descriptor");
	/* not while somebody has it open */
	char *whole = scratch_path(dir, inside);
	int fd = open(whole, O_WRONLY | O_CLOEXEC);
	free(whole);
	ck_assert_uint_eq(tidy(now + 100, 10, 0, &known, 1), 0);
	ck_assert_ptr_null(saved_as);
	close(fd);
	ck_assert_uint_eq(tidy(now + 100, 10, 0, &known, 1), 0);
	ck_assert_ptr_nonnull(saved_as);
	ck_assert(strncmp(saved_as, "sub/f.saved-", 12) == 0 && strstr(saved_as, ".txt"));
	holds(saved_as, "written through an old descriptor");
	holds(".tutti/trash/5.000000001-d/x", "x");
	free(saved_as);
	saved_as = NULL;
	free(inside);
}
END_TEST

/* By its times it was not written to since: a clock was set back. The index knows better. */
START_TEST(a_clock_that_was_set_back_hides_no_change)
{
	char name[128];
	int64_t now = time(NULL);
	trash_put(100, 1, "longer than before");
	snprintf(name, sizeof(name), "%lld.%09u-f", (long long)now - 100, 1u);
	struct trash_known known = {.name = name, .path = bytes_of("f"), .measured = true, .size = 6,
		.mtime_ns = (now - 200) * INT64_C(1000000000)};
	tidy(now + 100, 10, 0, &known, 1);
	ck_assert_ptr_nonnull(saved_as);
	holds(saved_as, "longer than before");
	free(saved_as);
	saved_as = NULL;
}
END_TEST

START_TEST(what_was_only_touched_in_the_trash_is_removed)
{
	char name[128];
	int64_t now = time(NULL);
	trash_put(100, 1, "same");
	snprintf(name, sizeof(name), "%lld.%09u-f", (long long)now - 100, 1u);
	struct trash_known known = {.name = name, .path = bytes_of("f"), .measured = true, .size = 4,
		.mtime_ns = 1, .hashed = true};
	digest_once("same", 4, known.hash);
	ck_assert_uint_eq(tidy(now + 100, 10, 0, &known, 1), 1);
	ck_assert_ptr_null(saved_as);
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

START_TEST(saved_names_are_free_and_fit)
{
	struct buf got = {0};
	char base[PATH_COMPONENT_MAX + 1], name[128];
	memset(base, 'n', sizeof(base) - 1);
	base[sizeof(base) - 1] = '\0';
	memcpy(base + sizeof(base) - 5, ".txt", 4);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "1700000000.%09u-n", i);
		char *inside = xasprintf(".tutti/trash/%s", name);
		put(dir, inside, "x");
		free(inside);
		/* the folder is gone: it lands in the one above */
		char *path = xasprintf("gone/%s", i == 2 ? ".rc" : base);
		buf_clear(&got);
		ck_assert_int_eq(trash_restore_beside(root, name, bytes_of(path), &got), 0);
		buf_add_char(&got, '\0');
		holds((char *)got.data, "x");
		ck_assert_int_eq(path_check(bytes_of((char *)got.data)), PATH_OK);
		if (i == 1)
			ck_assert_ptr_nonnull(strstr((char *)got.data, ".saved-20231114-221320-2.txt"));
		if (i == 2)
			ck_assert_str_eq((char *)got.data, ".rc.saved-20231114-221320");
		free(path);
	}
	buf_release(&got);
}
END_TEST

START_TEST(things_come_back_from_the_trash)
{
	put(dir, "f", "content");
	struct op op = op_of("f", OP_DELETE);
	uint8_t hash[HASH_SIZE], expected[HASH_SIZE];
	ck_assert_int_eq(apply_one(&op), 0);
	digest_once("content", 7, expected);
	ck_assert_int_eq(trash_hash(root, op.trash, hash), 0);
	ck_assert_mem_eq(hash, expected, HASH_SIZE);
	put(dir, "f", "in the way");
	ck_assert_int_eq(trash_restore(root, op.trash, bytes_of("f")), -EEXIST);
	ck_assert_int_eq(trash_restore(root, op.trash, bytes_of("../g")), -EINVAL);
	ck_assert_int_eq(trash_restore(root, "../root-id", bytes_of("g")), -EINVAL);
	ck_assert_int_eq(trash_restore(root, "1.000000001-../../f", bytes_of("g")), -EINVAL);
	ck_assert_int_eq(trash_hash(root, "../root-id", hash), -EINVAL);
	ck_assert_int_eq(trash_restore(root, op.trash, bytes_of("g")), 0);
	holds("g", "content");
	holds("f", "in the way");
	ck_assert_int_eq(trash_restore(root, op.trash, bytes_of("h")), -ENOENT);
	ck_assert_uint_eq(trash_count(), 0);
}
END_TEST

static void add_replacing(TCase *t)
{
	tcase_add_test(t, file_is_created);
	tcase_add_test(t, empty_file_is_created);
	tcase_add_test(t, file_is_replaced_and_the_old_one_is_in_the_trash);
	tcase_add_test(t, hard_link_elsewhere_is_not_written_through);
	tcase_add_test(t, nothing_is_created_over_something);
	tcase_add_test(t, nothing_but_the_expected_is_replaced);
	tcase_add_test(t, kinds_replace_each_other);
	tcase_add_test(t, folder_with_something_in_it_is_not_replaced);
	tcase_add_test(t, same_path_twice_in_one_batch);
	tcase_add_test(t, file_is_moved);
	tcase_add_test(t, file_is_moved_over_another);
	tcase_add_test(t, move_that_meets_something_else_undoes_itself);
	tcase_add_test(t, batch_makes_a_whole_tree);
	tcase_add_test(t, odd_names_and_long_ones);
}

int main(void)
{
	Suite *s = suite_new("apply");
	TCase *t = suite_case(s, "exchange", setup, teardown);
	add_replacing(t);
	tcase_add_test(t, wrong_contents_are_refused);
	tcase_add_test(t, symlink_targets_that_cannot_be_are_refused);
	tcase_add_test(t, content_is_copied_from_a_file_that_is_here);
	tcase_add_test(t, changed_sources_are_refused);
	tcase_add_test(t, deleted_things_are_in_the_trash);
	tcase_add_test(t, only_the_expected_is_deleted);
	tcase_add_test(t, folders_go_only_when_empty);
	tcase_add_test(t, meta_sets_time_and_mode);
	tcase_add_test(t, special_bits_are_never_set);
	tcase_add_test(t, any_time_is_set_as_it_is);
	tcase_add_test(t, file_that_is_being_written_is_left_alone);
	tcase_add_test(t, file_that_is_mapped_for_writing_is_left_alone);
	tcase_add_test(t, errors_stay_with_their_operation);
	tcase_add_test(t, hostile_paths_touch_nothing);
	tcase_add_test(t, cancel_stops_between_operations);
	tcase_add_test(t, failed_sync_fails_the_operation);
	tcase_add_test(t, many_files_cost_few_syncs);
	tcase_add_test(t, closed_folders_are_opened_for_the_moment);
	tcase_add_test(t, root_that_may_not_be_written_reports_it);
	tcase_add_test(t, full_disk_changes_nothing);
	tcase_add_test(t, content_that_arrives_in_parts);
	tcase_add_test(t, wrong_transfers_are_refused_and_gone);
	tcase_add_test(t, transfer_takes_parts_of_files_that_are_here);
	tcase_add_test(t, trash_expires_by_age);
	tcase_add_test(t, what_the_index_forgot_is_found_in_the_trash);
	tcase_add_test(t, trash_expires_by_size_oldest_first);
	tcase_add_test(t, what_is_spared_goes_by_age_alone);
	tcase_add_test(t, what_changed_in_the_trash_is_put_beside_its_path);
	tcase_add_test(t, a_clock_that_was_set_back_hides_no_change);
	tcase_add_test(t, what_was_only_touched_in_the_trash_is_removed);
	tcase_add_test(t, saved_names_are_free_and_fit);
	tcase_add_test(t, things_come_back_from_the_trash);
	t = suite_case(s, "in steps", setup_in_steps, teardown);
	add_replacing(t);
	t = suite_case(s, "races", setup, teardown);
	tcase_add_test(t, editor_that_replaces_loses_nothing);
	tcase_add_test(t, editor_that_writes_in_place_loses_nothing);
	tcase_add_test(t, swapped_folder_leads_nowhere_outside);
	tcase_add_test(t, killed_at_any_moment_leaves_whole_files);
	return suite_run(s);
}
