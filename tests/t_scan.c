/* Tests of scan: listings and when they must fail, looks at all kinds of things, files that change
 * while they are read, and serving contents. */
#include "config.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "digest.h"
#include "scratch.h"
#include "suite.h"

static char *dir;
static struct root *root;

static void setup(void)
{
	dir = scratch_new();
	root = marked_root(dir);
}

static void teardown(void)
{
	root_close(root);
	scratch_remove(dir);
}

static const struct listed *item(const struct listing *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (bytes_eq(l->items[i].name, bytes_of(name)))
			return &l->items[i];
	}
	return NULL;
}

static void a_socket(const char *name)
{
	char before[4096];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	ck_assert_int_eq(chdir(dir), 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	ck_assert_int_eq(chdir(before), 0);
}

/* --- listing --- */

START_TEST(listing_has_all_kinds_and_not_our_own_folder)
{
	struct listing l;
	char *link = scratch_path(dir, "link"), *fifo = scratch_path(dir, "fifo");
	put(dir, "file", "12345");
	make_dir(dir, "folder", 0750);
	make_dir(dir, "folder/.tutti", 0700); /* only the one in the root is ours */
	ck_assert_int_eq(symlink("target", link), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	a_socket("socket");
	ck_assert_int_eq(scan_list(root, bytes_of(""), NULL, NULL, &l), 0);
	ck_assert_uint_eq(l.n, 5);
	ck_assert_ptr_null(item(&l, ".tutti"));
	ck_assert_int_eq(item(&l, "file")->found.kind, KIND_FILE);
	ck_assert_uint_eq(item(&l, "file")->found.size, 5);
	ck_assert_uint_eq(item(&l, "file")->found.stamp, found_of(dir, "file").stamp);
	ck_assert_int_eq(item(&l, "folder")->found.kind, KIND_DIR);
	ck_assert_uint_eq(item(&l, "folder")->found.mode, 0750);
	ck_assert_int_eq(item(&l, "link")->found.kind, KIND_SYMLINK);
	ck_assert_int_eq(item(&l, "fifo")->found.kind, KIND_OTHER);
	ck_assert_int_eq(item(&l, "socket")->found.kind, KIND_OTHER);
	ck_assert_int_eq(l.self.kind, KIND_DIR);
	ck_assert_int_lt(l.wd, 0);
	listing_release(&l);
	ck_assert_int_eq(scan_list(root, bytes_of("folder"), NULL, NULL, &l), 0);
	ck_assert_ptr_nonnull(item(&l, ".tutti"));
	listing_release(&l);
	free(link);
	free(fifo);
}
END_TEST

START_TEST(listing_of_what_is_no_folder_fails)
{
	struct listing l;
	char *link = scratch_path(dir, "link");
	put(dir, "file", "x");
	ck_assert_int_eq(symlink(".", link), 0);
	static const struct {
		const char *path;
		int err;
	} bad[] = {
		{"file", ENOTDIR}, {"link", ENOTDIR}, {"missing", ENOENT}, {"..", EINVAL}, {".tutti", EINVAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(scan_list(root, bytes_of(bad[i].path), NULL, NULL, &l), -bad[i].err);
		ck_assert_uint_eq(l.n, 0);
		listing_release(&l);
	}
	free(link);
}
END_TEST

START_TEST(large_folder_is_listed_whole)
{
	enum { N = 5000 };
	struct listing l;
	bool *seen = xcalloc(N, sizeof(*seen));
	make_dir(dir, "d", 0700);
	for (unsigned i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof(name), "d/%u", i);
		put(dir, name, "");
	}
	ck_assert_int_eq(scan_list(root, bytes_of("d"), NULL, NULL, &l), 0);
	ck_assert_uint_eq(l.n, N);
	for (size_t i = 0; i < l.n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%.*s", (int)l.items[i].name.len,
			(const char *)l.items[i].name.p);
		unsigned long number = strtoul(name, NULL, 10);
		ck_assert_uint_lt(number, N);
		ck_assert(!seen[number]);
		seen[number] = true;
	}
	listing_release(&l);
	free(seen);
}
END_TEST

START_TEST(odd_names_are_listed_as_they_are)
{
	static const char *const names[] = {"new\nline", "\xff\xfe", "\x1b[2J", " ", "-rf", "e\xcc\x81"};
	struct listing l;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put(dir, names[i], "x");
	ck_assert_int_eq(scan_list(root, bytes_of(""), NULL, NULL, &l), 0);
	ck_assert_uint_eq(l.n, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_ptr_nonnull(item(&l, names[i]));
	listing_release(&l);
}
END_TEST

/* A watch that makes a file in the folder: what appears after the watch is in the listing or told. */
static int watch_that_adds(void *ctx, int fd)
{
	int file = openat(fd, "added", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(file, 0);
	close(file);
	*(bool *)ctx = true;
	return 42;
}

START_TEST(watch_comes_before_reading)
{
	bool watched = false;
	struct listing l;
	make_dir(dir, "d", 0700);
	ck_assert_int_eq(scan_list(root, bytes_of("d"), watch_that_adds, &watched, &l), 0);
	ck_assert(watched);
	ck_assert_int_eq(l.wd, 42);
	ck_assert_ptr_nonnull(item(&l, "added"));
	listing_release(&l);
}
END_TEST

/* A folder that is moved away while it is listed must not be taken for what has its name then. */
static int watch_that_moves(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	char *d = scratch_path(dir, "d"), *e = scratch_path(dir, "e");
	ck_assert_int_eq(rename(d, e), 0);
	free(d);
	free(e);
	return 43;
}

START_TEST(listing_of_a_folder_that_moved_fails)
{
	struct listing l;
	make_dir(dir, "d", 0700);
	put(dir, "d/x", "x");
	ck_assert_int_eq(scan_list(root, bytes_of("d"), watch_that_moves, NULL, &l), -ESTALE);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_int_eq(l.wd, 43); /* to be given back */
	listing_release(&l);
}
END_TEST

static int list_closed_folders(const char *at)
{
	struct listing l;
	char *path = scratch_path(at, "root");
	if (mkdir(path, 0700) < 0)
		return 1;
	struct root *r = marked_root(path);
	make_dir(path, "d", 0700);
	put(path, "d/x", "x");
	char *d = scratch_path(path, "d");
	chmod(d, 0); /* cannot be read */
	int result = scan_list(r, bytes_of("d"), NULL, NULL, &l) != -EACCES ? 2 : 0;
	listing_release(&l);
	chmod(d, 0400); /* its names can be read, but what they are cannot be told */
	if (!result && (scan_list(r, bytes_of("d"), NULL, NULL, &l) != -EACCES || l.n))
		result = 3;
	listing_release(&l);
	/* unreadable is not absent */
	struct look looks[2] = {{.path = bytes_of("d/x")}, {.path = bytes_of("d/none")}};
	scan_look(r, looks, 2, NULL);
	if (!result && (looks[0].error != -EACCES || looks[1].error != -EACCES))
		result = 4;
	chmod(d, 0700);
	put(path, "d/closed", "x");
	char *closed = scratch_path(path, "d/closed");
	chmod(closed, 0);
	looks[0].path = bytes_of("d/closed");
	scan_look(r, looks, 1, NULL);
	if (!result && looks[0].error != -EACCES)
		result = 5;
	root_close(r);
	free(path);
	free(d);
	free(closed);
	return result;
}

START_TEST(unreadable_is_an_error_and_never_absent)
{
	ck_assert_int_eq(as_nobody(list_closed_folders), 0);
}
END_TEST

static int meet_a_mount(const char *at)
{
	struct listing l;
	root = marked_root(dir);
	put(at, "x", "x");
	int result = scan_list(root, bytes_of(""), NULL, NULL, &l) ? 1 :
		item(&l, "mounted")->found.kind != KIND_MOUNT ? 2 : 0;
	listing_release(&l);
	if (!result && scan_list(root, bytes_of("mounted"), NULL, NULL, &l) != -EXDEV)
		result = 3;
	listing_release(&l);
	struct look looks[2] = {{.path = bytes_of("mounted/x")}, {.path = bytes_of("mounted")}};
	scan_look(root, looks, 2, NULL);
	if (!result && looks[0].error != -EXDEV)
		result = 4;
	if (!result && (looks[1].error || looks[1].found.kind != KIND_MOUNT))
		result = 5;
	return result;
}

START_TEST(other_file_systems_are_not_entered)
{
	make_dir(dir, "mounted", 0700);
	root_close(root); /* what it holds would be in this namespace */
	char *at = scratch_path(dir, "mounted");
	on_small_disk("other_file_systems_are_not_entered", at, "1m", meet_a_mount);
	free(at);
	root = marked_root(dir);
}
END_TEST

/* --- looking --- */

static struct look look_at(const char *path)
{
	struct look look = {.path = bytes_of(path)};
	scan_look(root, &look, 1, NULL);
	return look;
}

static bool hash_is(const struct look *look, const char *content)
{
	uint8_t hash[HASH_SIZE];
	digest_once(content, strlen(content), hash);
	return memcmp(hash, look->found.hash, HASH_SIZE) == 0;
}

START_TEST(look_tells_kind_content_and_target)
{
	char *link = scratch_path(dir, "link"), *loop = scratch_path(dir, "loop");
	put(dir, "file", "content");
	put(dir, "empty", "");
	make_dir(dir, "d", 0711);
	ck_assert_int_eq(symlink("some/target", link), 0);
	ck_assert_int_eq(symlink("loop", loop), 0);
	struct look l = look_at("file");
	ck_assert_int_eq(l.error, 0);
	ck_assert_int_eq(l.found.kind, KIND_FILE);
	ck_assert(hash_is(&l, "content"));
	ck_assert_uint_eq(l.found.stamp, found_of(dir, "file").stamp);
	l = look_at("empty");
	ck_assert(!l.error && hash_is(&l, ""));
	l = look_at("d");
	ck_assert(!l.error && l.found.kind == KIND_DIR && l.found.mode == 0711);
	l = look_at("link");
	ck_assert(!l.error && l.found.kind == KIND_SYMLINK && l.found.size == 11);
	ck_assert_mem_eq(l.found.target, "some/target", 11);
	ck_assert(hash_is(&l, "some/target"));
	look_release(&l);
	l = look_at("loop");
	ck_assert(!l.error && l.found.kind == KIND_SYMLINK);
	look_release(&l);
	static const char *const absent[] = {"none", "none/x", "file/x", "link/x", "loop/x"};
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		l = look_at(absent[i]);
		ck_assert_msg(l.error == 0 && l.found.kind == KIND_ABSENT, "%s", absent[i]);
	}
	l = look_at("../x");
	ck_assert_int_eq(l.error, -EINVAL);
	free(link);
	free(loop);
}
END_TEST

START_TEST(look_never_blocks_on_devices)
{
	char *fifo = scratch_path(dir, "fifo");
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	a_socket("socket");
	struct look l = look_at("fifo");
	ck_assert(!l.error && l.found.kind == KIND_OTHER);
	l = look_at("socket");
	ck_assert(!l.error && l.found.kind == KIND_OTHER);
	ck_assert_int_eq(content_read(root, bytes_of("fifo"), l.found.stamp, 0, 1, (uint8_t[1]){0}),
		-ESTALE);
	free(fifo);
}
END_TEST

START_TEST(many_looks_at_once)
{
	enum { N = 100 };
	struct look looks[N];
	char names[N][32];
	make_dir(dir, "a", 0700);
	make_dir(dir, "b", 0700);
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "%s/%u", i % 3 ? "a" : "b", i);
		if (i % 10)
			put(dir, names[i], names[i]);
		looks[i] = (struct look){.path = bytes_of(names[i])};
	}
	scan_look(root, looks, N, NULL);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_int_eq(looks[i].error, 0);
		ck_assert_int_eq(looks[i].found.kind, i % 10 ? KIND_FILE : KIND_ABSENT);
		if (i % 10)
			ck_assert(hash_is(&looks[i], names[i]));
	}
}
END_TEST

START_TEST(look_can_be_cancelled)
{
	atomic_bool cancel = true;
	struct look look = {.path = bytes_of("f")};
	put(dir, "f", "x");
	scan_look(root, &look, 1, &cancel);
	ck_assert_int_eq(look.error, -ECANCELED);
}
END_TEST

struct writer {
	pthread_t thread;
	atomic_bool stop;
	char *path;
};

enum { BLOCKS = 64, BLOCK = 4096 };

/* Fills the file with one letter after the other, in place, block by block. */
static void *rewrite(void *arg)
{
	struct writer *w = arg;
	char block[BLOCK];
	for (unsigned n = 0; !atomic_load(&w->stop); n++) {
		int fd = open(w->path, O_WRONLY | O_CLOEXEC);
		memset(block, (char)('a' + n % 26), sizeof(block));
		for (unsigned i = 0; i < BLOCKS; i++) {
			if (pwrite(fd, block, sizeof(block), (off_t)i * BLOCK) < 0)
				break;
		}
		close(fd);
		/* time to be seen whole */
		for (unsigned i = 0; i < n % 64; i++)
			sched_yield();
	}
	return NULL;
}

START_TEST(no_mixture_of_two_contents_is_ever_seen)
{
	uint8_t whole[27][HASH_SIZE];
	char *text = xmalloc(BLOCKS * BLOCK);
	for (unsigned i = 0; i < 26; i++) {
		memset(text, (int)('a' + i), BLOCKS * BLOCK);
		digest_once(text, BLOCKS * BLOCK, whole[i]);
	}
	char *f = scratch_path(dir, "f");
	int fd = open(f, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, text, BLOCKS * BLOCK), BLOCKS * BLOCK);
	close(fd);
	struct writer w = {.path = f};
	unsigned seen = 0, changed = 0, mixed = 0, partial = 0;
	struct look again = look_at("f");
	ck_assert_int_eq(again.error, 0);
	ck_assert_int_eq(pthread_create(&w.thread, NULL, rewrite, &w), 0);
	for (unsigned i = 0; i < 300; i++) {
		struct look l = look_at("f");
		ck_assert(l.error == 0 || l.error == -EAGAIN);
		changed += l.error != 0;
		seen += l.error == 0;
		bool is_whole = l.error != 0;
		for (unsigned k = 0; k < 26 && !is_whole; k++)
			is_whole = memcmp(whole[k], l.found.hash, HASH_SIZE) == 0;
		/* the state between two writes of a slow writer is what the disk held: it is
		 * only wrong if the file still looks the same and has another content */
		if (!is_whole) {
			partial++;
			uint64_t stamp = l.found.stamp;
			struct look second = look_at("f");
			mixed += !second.error && second.found.stamp == stamp &&
				second.found.ctime_ns == l.found.ctime_ns &&
				memcmp(second.found.hash, l.found.hash, HASH_SIZE) != 0;
		}
	}
	atomic_store(&w.stop, true);
	pthread_join(w.thread, NULL);
	ck_assert_uint_eq(mixed, 0);
	ck_assert_uint_gt(changed, 0); /* the writer did disturb */
	struct look last = look_at("f");
	ck_assert_int_eq(last.error, 0);
	printf("%u seen, %u changed while read, %u between two writes\n", seen, changed, partial);
	free(f);
	free(text);
}
END_TEST

START_TEST(what_is_written_later_changes_the_stamp)
{
	put(dir, "f", "one");
	struct look before = look_at("f");
	for (unsigned i = 0; i < 100; i++) {
		put(dir, "f", i % 2 ? "two" : "six"); /* same size */
		struct look now = look_at("f");
		ck_assert_int_eq(now.error, 0);
		ck_assert(hash_is(&now, i % 2 ? "two" : "six"));
		ck_assert_uint_ne(now.found.stamp, before.found.stamp);
		before = now;
	}
}
END_TEST

/* --- serving --- */

START_TEST(content_is_served_while_it_is_the_same)
{
	uint8_t data[32];
	put(dir, "f", "0123456789");
	uint64_t stamp = found_of(dir, "f").stamp;
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp, 0, 10, data), 10);
	ck_assert_mem_eq(data, "0123456789", 10);
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp, 7, 20, data), 3);
	ck_assert_mem_eq(data, "789", 3);
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp, 10, 5, data), 0);
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp, UINT64_MAX, 5, data), -EINVAL);
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp + 1, 0, 5, data), -ESTALE);
	ck_assert_int_eq(content_read(root, bytes_of("g"), stamp, 0, 5, data), -ESTALE);
	ck_assert_int_eq(content_read(root, bytes_of("../f"), stamp, 0, 5, data), -EINVAL);
	put(dir, "f", "9876543210");
	ck_assert_int_eq(content_read(root, bytes_of("f"), stamp, 0, 10, data), -ESTALE);
	char *f = scratch_path(dir, "f");
	ck_assert_int_eq(unlink(f), 0);
	ck_assert_int_eq(symlink("/etc/hostname", f), 0);
	ck_assert_int_eq(content_read(root, bytes_of("f"), found_of(dir, "f").stamp, 0, 10, data),
		-ESTALE);
	free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("scan");
	TCase *t = suite_case(s, "scan", setup, teardown);
	tcase_add_test(t, listing_has_all_kinds_and_not_our_own_folder);
	tcase_add_test(t, listing_of_what_is_no_folder_fails);
	tcase_add_test(t, large_folder_is_listed_whole);
	tcase_add_test(t, odd_names_are_listed_as_they_are);
	tcase_add_test(t, watch_comes_before_reading);
	tcase_add_test(t, listing_of_a_folder_that_moved_fails);
	tcase_add_test(t, unreadable_is_an_error_and_never_absent);
	tcase_add_test(t, other_file_systems_are_not_entered);
	tcase_add_test(t, look_tells_kind_content_and_target);
	tcase_add_test(t, look_never_blocks_on_devices);
	tcase_add_test(t, many_looks_at_once);
	tcase_add_test(t, look_can_be_cancelled);
	tcase_add_test(t, no_mixture_of_two_contents_is_ever_seen);
	tcase_add_test(t, what_is_written_later_changes_the_stamp);
	tcase_add_test(t, content_is_served_while_it_is_the_same);
	return suite_run(s);
}
