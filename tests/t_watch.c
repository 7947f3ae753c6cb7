/* Tests of watch: what is told of each kind of change, moves put together from halves, watches that
 * come and go while events are under way, overflow, and limits. */
#include "config.h"
#include "watch.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scan.h"
#include "scratch.h"
#include "suite.h"

static char *dir;
static struct ev_loop *loop;
static struct watch *watch;
static struct buf told; /* one line for each event */
static size_t n_told;

static void on_event(void *ctx, const struct watch_event *e)
{
	static const char *const what[] = {
		[WATCH_CHANGED] = "changed", [WATCH_TOUCHED] = "touched",
		[WATCH_WRITING] = "writing", [WATCH_CREATED] = "created",
		[WATCH_GONE] = "gone", [WATCH_MOVED] = "moved", [WATCH_AGAIN] = "again",
		[WATCH_LOST] = "lost", [WATCH_OVERFLOW] = "overflow", [WATCH_ROOT_GONE] = "root gone",
	};
	(void)ctx;
	n_told++;
	buf_addf(&told, "%s%s %u/%.*s", what[e->what], e->is_dir && e->name.len ? " dir" : "",
		e->dir, (int)e->name.len, (const char *)e->name.p);
	if (e->what == WATCH_MOVED)
		buf_addf(&told, " %u/%.*s", e->to_dir, (int)e->to_name.len, (const char *)e->to_name.p);
	buf_add_char(&told, '\n');
}

static int add(const char *name)
{
	char *path = scratch_path(dir, name);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	int wd = watch_add(watch, fd);
	close(fd);
	free(path);
	return wd;
}

static void watched(const char *name, uint32_t number)
{
	int wd = add(name);
	ck_assert_int_ge(wd, 0);
	watch_register(watch, wd, number);
}

static void setup(void)
{
	dir = scratch_new();
	loop = ev_loop_new(EVFLAG_AUTO);
	watch = watch_new(loop, on_event, NULL);
	ck_assert_int_eq(watch_problem(watch), 0);
	told = (struct buf){0};
	n_told = 0;
	make_dir(dir, "d", 0700);
	make_dir(dir, "e", 0700);
	watched("", WATCH_ROOT);
	watched("d", 1);
	watched("e", 2);
}

static void teardown(void)
{
	watch_free(watch);
	ev_loop_destroy(loop);
	buf_release(&told);
	scratch_remove(dir);
}

static void expect(const char *lines)
{
	buf_add_char(&told, '\0');
	ck_assert_str_eq((char *)told.data, lines);
	buf_clear(&told);
	n_told = 0;
}

static void drained(const char *lines)
{
	watch_drain(watch);
	expect(lines);
}

static void move(const char *from, const char *to)
{
	char *a = scratch_path(dir, from), *b = scratch_path(dir, to);
	ck_assert_msg(rename(a, b) == 0, "%s", strerror(errno));
	free(a);
	free(b);
}

static void erase(const char *name)
{
	char *path = scratch_path(dir, name);
	ck_assert_int_eq(remove(path), 0);
	free(path);
}

START_TEST(every_kind_of_change_is_told)
{
	char *f = scratch_path(dir, "d/f"), *l = scratch_path(dir, "d/l");
	put(dir, "d/f", "x");
	drained("created 1/f\nwriting 1/f\nchanged 1/f\n");
	put(dir, "d/f", "yy");
	drained("writing 1/f\nchanged 1/f\n"); /* truncated and written are one to inotify */
	int fd = open(f, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "z", 1), 1);
	drained("writing 1/f\n");
	close(fd);
	drained("changed 1/f\n");
	ck_assert_int_eq(chmod(f, 0600), 0);
	drained("touched 1/f\n");
	ck_assert_int_eq(symlink("x", l), 0);
	drained("created 1/l\n");
	make_dir(dir, "d/sub", 0700);
	watch_drain(watch);
	ck_assert_int_eq(strncmp((char *)told.data, "created dir 1/sub\n", 18), 0);
	buf_clear(&told);
	erase("d/f");
	erase("d/l");
	erase("d/sub");
	drained("gone 1/f\ngone 1/l\ngone dir 1/sub\n");
	free(f);
	free(l);
}
END_TEST

START_TEST(moves_are_put_together)
{
	put(dir, "d/f", "x");
	make_dir(dir, "d/sub", 0700);
	watch_drain(watch);
	buf_clear(&told);
	move("d/f", "e/g");
	drained("moved 1/f 2/g\n");
	move("e/g", "e/h");
	move("e/h", "d/f");
	drained("moved 2/g 2/h\nmoved 2/h 1/f\n");
	move("d/sub", "e/sub");
	drained("moved dir 1/sub 2/sub\n");
	put(dir, "e/x", "x");
	watch_drain(watch);
	buf_clear(&told);
	move("d/f", "e/x"); /* over another */
	drained("moved 1/f 2/x\n");
}
END_TEST

START_TEST(moves_out_and_in_are_gone_and_touched)
{
	make_dir(dir, "unwatched", 0700);
	put(dir, "d/f", "x");
	watch_drain(watch);
	buf_clear(&told);
	move("d/f", "unwatched/f");
	drained("gone 1/f\n");
	move("unwatched/f", "e/f");
	drained("touched 2/f\n");
	make_dir(dir, "unwatched/sub", 0700);
	move("unwatched/sub", "e/sub");
	drained("created dir 2/sub\n");
	move("e/sub", "unwatched/sub");
	drained("gone dir 2/sub\n");
}
END_TEST

START_TEST(name_that_leaves_and_comes_again_keeps_its_order)
{
	make_dir(dir, "unwatched", 0700);
	put(dir, "d/f", "x");
	watch_drain(watch);
	buf_clear(&told);
	move("d/f", "unwatched/f");
	put(dir, "d/f", "again");
	drained("gone 1/f\ncreated 1/f\nwriting 1/f\nchanged 1/f\n");
}
END_TEST

/* Runs the loop until something was told, at most for some seconds. */
static void on_late(struct ev_loop *l, ev_timer *t, int events)
{
	(void)t;
	(void)events;
	ev_break(l, EVBREAK_ALL);
}

static void run_until(size_t n)
{
	ev_timer late;
	ev_timer_init(&late, on_late, 10., 0.);
	ev_timer_start(loop, &late);
	while (n_told < n && ev_is_active(&late))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &late);
	ck_assert_uint_ge(n_told, n);
}

START_TEST(loop_tells_by_itself)
{
	make_dir(dir, "unwatched", 0700);
	watch_drain(watch);
	buf_clear(&told);
	n_told = 0;
	put(dir, "d/f", "x");
	run_until(3);
	expect("created 1/f\nwriting 1/f\nchanged 1/f\n");
	/* the half of a move is told although nothing follows */
	move("d/f", "unwatched/f");
	run_until(1);
	expect("gone 1/f\n");
}
END_TEST

START_TEST(odd_names_arrive_whole)
{
	char name[300] = "d/";
	memset(name + 2, 'n', 255);
	put(dir, name, "");
	watch_drain(watch);
	buf_add_char(&told, '\0');
	ck_assert_ptr_nonnull(strstr((char *)told.data, name + 2));
	buf_clear(&told);
	put(dir, "d/\xff\n", "");
	drained("created 1/\xff\n\nchanged 1/\xff\n\n");
}
END_TEST

START_TEST(events_before_registration_are_not_lost)
{
	make_dir(dir, "new", 0700);
	watch_drain(watch);
	buf_clear(&told);
	int wd = add("new");
	put(dir, "new/f", "x");
	drained(""); /* of a folder that nobody knows yet */
	watch_register(watch, wd, 3);
	expect("again 3/\n");
	put(dir, "new/g", "x");
	drained("created 3/g\nwriting 3/g\nchanged 3/g\n");
	/* without events in between there is nothing to tell */
	watch_register(watch, add("new"), 3);
	expect("");
	ck_assert_uint_eq(watch_count(watch), 4);
}
END_TEST

START_TEST(folder_that_is_gone_before_registration)
{
	make_dir(dir, "new", 0700);
	int wd = add("new");
	erase("new");
	watch_drain(watch);
	buf_clear(&told);
	watch_register(watch, wd, 3);
	expect("again 3/\n");
	ck_assert_uint_eq(watch_count(watch), 3);
}
END_TEST

START_TEST(deleted_folder_loses_its_watch)
{
	erase("d");
	drained("lost 1/\ngone dir 0/d\n");
	ck_assert_uint_eq(watch_count(watch), 2);
	watch_forget(watch, 1); /* harmless */
}
END_TEST

START_TEST(moved_folder_keeps_its_watch_under_a_new_number)
{
	move("d", "e/d");
	drained("moved dir 0/d 2/d\n");
	watch_register(watch, add("e/d"), 7);
	put(dir, "e/d/f", "x");
	drained("created 7/f\nwriting 7/f\nchanged 7/f\n");
	ck_assert_uint_eq(watch_count(watch), 3);
	/* the old number is forgotten, and that must not take the new one along */
	watch_forget(watch, 1);
	put(dir, "e/d/g", "");
	drained("created 7/g\nchanged 7/g\n");
}
END_TEST

START_TEST(number_that_gets_another_folder)
{
	/* 1 was `d`; now it is listed as another directory of that name */
	move("d", "old");
	make_dir(dir, "d", 0700);
	watch_register(watch, add("d"), 1);
	watch_drain(watch);
	buf_clear(&told);
	put(dir, "old/f", "");
	drained("");
	put(dir, "d/f", "");
	drained("created 1/f\nchanged 1/f\n");
}
END_TEST

START_TEST(forgotten_folders_are_silent)
{
	put(dir, "d/before", "");
	watch_forget(watch, 1);
	put(dir, "d/after", "");
	drained("");
	ck_assert_uint_eq(watch_count(watch), 2);
	watch_forget(watch, 99);
}
END_TEST

/* Forgotten under one number while a listing under another has the same watch on its way. */
START_TEST(watch_removed_while_it_is_on_its_way)
{
	move("d", "e/d");
	watch_drain(watch);
	buf_clear(&told);
	int wd = add("e/d"); /* the one that number 1 has */
	watch_forget(watch, 1);
	watch_drain(watch);
	watch_register(watch, wd, 5);
	expect("again 5/\n");
	watch_register(watch, add("e/d"), 5);
	put(dir, "e/d/f", "");
	drained("created 5/f\nchanged 5/f\n");
}
END_TEST

START_TEST(dropped_watches_are_silent_but_never_those_in_use)
{
	make_dir(dir, "new", 0700);
	watch_drain(watch);
	buf_clear(&told);
	int wd = add("new");
	watch_drop(watch, wd);
	put(dir, "new/f", "");
	drained("");
	watch_drop(watch, add("d"));
	put(dir, "d/f", "");
	drained("created 1/f\nchanged 1/f\n");
	watch_drop(watch, -ENOSPC);
	/* dropped here, registered by another listing */
	int first = add("new"), second = add("new");
	watch_drop(watch, first);
	watch_register(watch, second, 4);
	expect("again 4/\n");
}
END_TEST

START_TEST(root_that_goes_is_told)
{
	char *away = xasprintf("%s-away", dir);
	ck_assert_int_eq(rename(dir, away), 0);
	drained("root gone 0/\n");
	ck_assert_int_eq(rename(away, dir), 0);
	drained("root gone 0/\n");
	free(away);
}
END_TEST

START_TEST(many_folders_come_and_go)
{
	enum { N = 500 };
	char name[32];
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "e/%u", i);
		make_dir(dir, name, 0700);
		watched(name, 1000 + i);
	}
	ck_assert_uint_eq(watch_count(watch), 3 + N);
	for (unsigned i = 0; i < N; i += 2)
		watch_forget(watch, 1000 + i);
	ck_assert_uint_eq(watch_count(watch), 3 + N / 2);
	watch_drain(watch);
	buf_clear(&told);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "e/%u/f", i);
		put(dir, name, "");
		char expected[64] = "";
		if (i % 2)
			snprintf(expected, sizeof(expected), "created %u/f\nchanged %u/f\n", 1000 + i,
				1000 + i);
		drained(expected);
	}
}
END_TEST

START_TEST(overflow_is_told)
{
	char *limit = NULL;
	int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
	char digits[32] = "";
	ck_assert_int_gt(read(fd, digits, sizeof(digits) - 1), 0);
	close(fd);
	unsigned long max = strtoul(digits, &limit, 10);
	if (max > 200000) {
		puts("SKIPPED: overflow_is_told: the queue of inotify is too long here");
		return;
	}
	put(dir, "d/a", "");
	put(dir, "d/b", "");
	char *a = scratch_path(dir, "d/a"), *b = scratch_path(dir, "d/b");
	for (unsigned long i = 0; i < max / 2 + 10; i++) {
		/* alternating, so that the kernel cannot merge them */
		ck_assert_int_eq(chmod(a, 0600), 0);
		ck_assert_int_eq(chmod(b, 0600), 0);
	}
	watch_drain(watch);
	buf_add_char(&told, '\0');
	ck_assert_ptr_nonnull(strstr((char *)told.data, "overflow 0/\n"));
	buf_clear(&told);
	put(dir, "d/c", "");
	drained("created 1/c\nchanged 1/c\n");
	free(a);
	free(b);
}
END_TEST

/* In a user namespace the limits can be set for this process alone. */
static int meet_the_limits(void)
{
	static const char *const files[] = {
		"/proc/sys/user/max_inotify_watches", "/proc/sys/user/max_inotify_instances",
	};
	if (unshare(CLONE_NEWUSER) < 0)
		return 77;
	int fd = open(files[0], O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "2", 1) != 1)
		return 77;
	close(fd);
	struct ev_loop *l = ev_loop_new(EVFLAG_AUTO);
	watch = watch_new(l, on_event, NULL);
	if (watch_problem(watch) || add("") < 0 || add("d") < 0 || add("e") != -ENOSPC)
		return 1;
	fd = open(files[1], O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return 77;
	close(fd);
	watch = watch_new(l, on_event, NULL);
	if (watch_problem(watch) != -EMFILE || add("d") != -EMFILE)
		return 2;
	watch_drain(watch);
	watch_forget(watch, 1);
	return watch_count(watch) == 0 ? 0 : 3;
}

START_TEST(limits_come_back_as_errors)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(meet_the_limits());
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		puts("SKIPPED: limits_come_back_as_errors: no user namespaces here");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(listing_and_watch_together)
{
	struct listing l;
	make_dir(dir, "root", 0700);
	make_dir(dir, "root/sub", 0700);
	char *path = scratch_path(dir, "root");
	struct root *root = marked_root(path);
	ck_assert_int_eq(scan_list(root, bytes_of("sub"), watch_add, watch, &l), 0);
	ck_assert_int_ge(l.wd, 0);
	watch_register(watch, l.wd, 9);
	listing_release(&l);
	watch_drain(watch);
	buf_clear(&told);
	put(dir, "root/sub/f", "");
	drained("created 9/f\nchanged 9/f\n");
	root_close(root);
	free(path);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("watch");
	TCase *t = suite_case(s, "watch", setup, teardown);
	tcase_add_test(t, every_kind_of_change_is_told);
	tcase_add_test(t, moves_are_put_together);
	tcase_add_test(t, moves_out_and_in_are_gone_and_touched);
	tcase_add_test(t, name_that_leaves_and_comes_again_keeps_its_order);
	tcase_add_test(t, loop_tells_by_itself);
	tcase_add_test(t, odd_names_arrive_whole);
	tcase_add_test(t, events_before_registration_are_not_lost);
	tcase_add_test(t, folder_that_is_gone_before_registration);
	tcase_add_test(t, deleted_folder_loses_its_watch);
	tcase_add_test(t, moved_folder_keeps_its_watch_under_a_new_number);
	tcase_add_test(t, number_that_gets_another_folder);
	tcase_add_test(t, forgotten_folders_are_silent);
	tcase_add_test(t, watch_removed_while_it_is_on_its_way);
	tcase_add_test(t, dropped_watches_are_silent_but_never_those_in_use);
	tcase_add_test(t, root_that_goes_is_told);
	tcase_add_test(t, many_folders_come_and_go);
	tcase_add_test(t, overflow_is_told);
	tcase_add_test(t, limits_come_back_as_errors);
	tcase_add_test(t, listing_and_watch_together);
	return suite_run(s);
}
