/* Tests of root: the mark and its lock, what is refused, what happens to a root, and the walk. */
#include "config.h"
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scratch.h"
#include "suite.h"

static char *dir;

static void setup(void)
{
	dir = scratch_new();
}

static void teardown(void)
{
	scratch_remove(dir);
}

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

/* Opening must fail with one sentence that has these words. */
static void refused(const char *path, int err, const char *words)
{
	struct root *root = NULL;
	char *error = NULL;
	int got = root_open(&root, path, &error);
	ck_assert_int_eq(got, -err);
	ck_assert_ptr_null(root);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, words) != NULL, "'%s' is not in: %s", words, error);
	ck_assert_ptr_null(strchr(error, '\n'));
	free(error);
}

START_TEST(what_cannot_be_served_is_refused_with_a_reason)
{
	put(dir, "file", "x");
	char *file = scratch_path(dir, "file");
	char *missing = scratch_path(dir, "missing");
	refused(missing, ENOENT, "make it first");
	refused(file, ENOTDIR, "is not a directory");
	free(file);
	free(missing);
}
END_TEST

static int open_closed_dir(const char *path)
{
	struct root *root = NULL;
	char *error = NULL;
	char *closed = scratch_path(path, "closed");
	if (mkdir(closed, 0) < 0)
		return 1;
	int got = root_open(&root, closed, &error);
	bool ok = got == -EACCES && error && strstr(error, "permissions");
	free(error);
	free(closed);
	return ok ? 0 : 2;
}

START_TEST(unreadable_directory_is_refused)
{
	ck_assert_int_eq(as_nobody(open_closed_dir), 0);
}
END_TEST

START_TEST(mark_is_made_once_and_found_again)
{
	struct root *root = NULL;
	char *error = NULL;
	ck_assert_int_eq(root_open(&root, dir, &error), 0);
	ck_assert_str_eq(root_id(root), "");
	ck_assert(!there(dir, ".tutti")); /* opening alone changes nothing */
	ck_assert_int_eq(root_mark(root, &error), 0);
	char id[ROOT_ID_TEXT + 1];
	snprintf(id, sizeof(id), "%s", root_id(root));
	ck_assert_uint_eq(strlen(id), ROOT_ID_TEXT);
	ck_assert(there(dir, ".tutti/tmp") && there(dir, ".tutti/trash"));
	ck_assert_uint_eq(stat_of(dir, ".tutti").st_mode & 07777, 0700);
	char *mark = get(dir, ".tutti/root-id");
	ck_assert_uint_eq(strlen(mark), ROOT_ID_TEXT + 1);
	ck_assert_int_eq(mark[ROOT_ID_TEXT], '\n');
	free(mark);
	ck_assert_int_eq(root_check(root), ROOT_OK);
	root_close(root);
	root = marked_root(dir);
	ck_assert_str_eq(root_id(root), id);
	root_close(root);
}
END_TEST

START_TEST(two_marks_differ)
{
	make_dir(dir, "a", 0700);
	make_dir(dir, "b", 0700);
	char *pa = scratch_path(dir, "a"), *pb = scratch_path(dir, "b");
	struct root *x = marked_root(pa), *y = marked_root(pb);
	ck_assert_str_ne(root_id(x), root_id(y));
	root_close(x);
	root_close(y);
	free(pa);
	free(pb);
}
END_TEST

START_TEST(second_server_is_refused)
{
	struct root *root = marked_root(dir);
	refused(dir, EBUSY, "already served");
	root_close(root);
	root = marked_root(dir); /* the lock goes with the first */
	root_close(root);
}
END_TEST

START_TEST(nested_roots_are_refused)
{
	struct root *root = marked_root(dir);
	make_dir(dir, "sub", 0700);
	make_dir(dir, "sub/deep", 0700);
	char *deep = scratch_path(dir, "sub/deep"), *tmp = scratch_path(dir, ".tutti/tmp");
	char *alike = scratch_path(dir, ".tuttix");
	refused(deep, EINVAL, "2 up");
	refused(tmp, EINVAL, "not data");
	root_close(root);
	refused(deep, EINVAL, "served");
	free(deep);
	free(tmp);
	free(alike);
}
END_TEST

START_TEST(names_that_only_begin_alike_are_served)
{
	make_dir(dir, ".tuttix", 0700);
	make_dir(dir, ".tuttix/a", 0700);
	char *alike = scratch_path(dir, ".tuttix/a");
	struct root *root = marked_root(alike);
	root_close(root);
	free(alike);
}
END_TEST

START_TEST(damaged_mark_is_refused)
{
	static const char *const bad[] = {
		"", "short\n", "0123456789abcdef0123456789abcdeX\n", "0123456789ABCDEF0123456789ABCDEF\n",
		"0123456789abcdef0123456789abcdef0", "0123456789abcdef0123456789abcdef\nmore",
	};
	make_dir(dir, ".tutti", 0700);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put(dir, ".tutti/root-id", bad[i]);
		refused(dir, EBADMSG, "is damaged");
	}
}
END_TEST

START_TEST(mark_that_is_no_file_is_refused_and_never_blocks)
{
	make_dir(dir, ".tutti", 0700);
	char *mark = scratch_path(dir, ".tutti/root-id");
	ck_assert_int_eq(mkfifo(mark, 0600), 0);
	refused(dir, EBADMSG, "is damaged");
	ck_assert_int_eq(unlink(mark), 0);
	ck_assert_int_eq(symlink("/etc/hostname", mark), 0);
	refused(dir, EBADMSG, "is damaged");
	free(mark);
}
END_TEST

START_TEST(own_folder_that_is_a_symlink_is_refused)
{
	make_dir(dir, "elsewhere", 0700);
	make_dir(dir, "root", 0700);
	char *link = scratch_path(dir, "root/.tutti"), *root = scratch_path(dir, "root");
	ck_assert_int_eq(symlink("../elsewhere", link), 0);
	refused(root, ENOTDIR, "must be a folder");
	ck_assert_uint_eq(count_in(dir, "elsewhere"), 0);
	free(link);
	free(root);
}
END_TEST

START_TEST(leftovers_in_tmp_go_and_the_trash_stays)
{
	root_close(marked_root(dir));
	put(dir, ".tutti/tmp/w7", "half");
	make_dir(dir, ".tutti/tmp/d", 0700);
	put(dir, ".tutti/trash/1.000000001-old", "old");
	struct root *root = marked_root(dir);
	ck_assert_uint_eq(count_in(dir, ".tutti/tmp"), 2); /* until recovery has seen them */
	root_clean_tmp(root);
	root_close(root);
	ck_assert_uint_eq(count_in(dir, ".tutti/tmp"), 0);
	ck_assert(there(dir, ".tutti/trash/1.000000001-old"));
}
END_TEST

START_TEST(check_tells_what_became_of_the_root)
{
	make_dir(dir, "root", 0700);
	char *path = scratch_path(dir, "root"), *away = scratch_path(dir, "away");
	char *mark = scratch_path(dir, "root/.tutti/root-id");
	struct root *root = marked_root(path);
	ck_assert_int_eq(root_check(root), ROOT_OK);
	/* moved away; another in its place; back again */
	ck_assert_int_eq(rename(path, away), 0);
	ck_assert_int_eq(root_check(root), ROOT_GONE);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(root_check(root), ROOT_REPLACED);
	ck_assert_int_eq(rmdir(path), 0);
	put(dir, "root", "a file");
	ck_assert_int_eq(root_check(root), ROOT_GONE);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(away, path), 0);
	ck_assert_int_eq(root_check(root), ROOT_OK);
	/* the mark: another one, a damaged one, none */
	put(dir, "root/.tutti/root-id", "0123456789abcdef0123456789abcdef\n");
	ck_assert_int_eq(root_check(root), ROOT_REPLACED);
	put(dir, "root/.tutti/root-id", "?");
	ck_assert_int_eq(root_check(root), ROOT_NO_MARK);
	ck_assert_int_eq(unlink(mark), 0);
	ck_assert_int_eq(root_check(root), ROOT_NO_MARK);
	root_close(root);
	free(path);
	free(away);
	free(mark);
}
END_TEST

static int serve_read_only(const char *path)
{
	struct root *root = NULL;
	char *error = NULL;
	char *own = scratch_path(path, "root/.tutti"), *at = scratch_path(path, "root");
	if (mkdir(at, 0700) < 0 || mkdir(own, 0700) < 0)
		return 1;
	put(path, "root/.tutti/root-id", "0123456789abcdef0123456789abcdef\n");
	if (chmod(own, 0500) < 0 || chmod(at, 0500) < 0)
		return 2;
	if (root_open(&root, at, &error) < 0)
		return 3;
	int result = root_tmp_fd(root) < 0 && root_check(root) == ROOT_OK ? 0 : 4;
	root_close(root);
	chmod(own, 0700);
	chmod(at, 0700);
	free(own);
	free(at);
	return result;
}

START_TEST(read_only_root_is_served)
{
	ck_assert_int_eq(as_nobody(serve_read_only), 0);
}
END_TEST

static int mark_read_only(const char *path)
{
	struct root *root = NULL;
	char *error = NULL;
	char *at = scratch_path(path, "root");
	if (mkdir(at, 0500) < 0 || root_open(&root, at, &error) < 0)
		return 1;
	int result = root_mark(root, &error) == -EACCES && strstr(error, "write there") ? 0 : 2;
	root_close(root);
	free(error);
	free(at);
	return result;
}

START_TEST(read_only_root_cannot_be_marked)
{
	ck_assert_int_eq(as_nobody(mark_read_only), 0);
}
END_TEST

/* --- the walk --- */

START_TEST(walk_refuses_what_is_no_path_of_an_entry)
{
	static const char *const bad[] = {
		"..", ".", "a/..", "a/../../x", "/etc", "a//b", "a/", ".tutti", ".tutti/tmp", ".TUTTI/x",
	};
	struct root *root = marked_root(dir);
	struct walk w;
	char name[PATH_COMPONENT_MAX + 1];
	make_dir(dir, "a", 0700);
	walk_init(&w, root);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(walk_dir(&w, b(bad[i])) == -EINVAL, "%s", bad[i]);
		ck_assert_msg(walk_parent(&w, b(bad[i]), name) == -EINVAL, "%s", bad[i]);
	}
	ck_assert_int_eq(walk_parent(&w, b(""), name), -EINVAL);
	ck_assert_int_eq(walk_dir(&w, b("")), root_fd(root));
	walk_release(&w);
	root_close(root);
}
END_TEST

START_TEST(walk_goes_through_no_symlink)
{
	struct root *root = marked_root(dir);
	struct walk w;
	make_dir(dir, "real", 0700);
	make_dir(dir, "real/sub", 0700);
	char *link = scratch_path(dir, "link"), *inner = scratch_path(dir, "real/out");
	ck_assert_int_eq(symlink("real", link), 0);
	ck_assert_int_eq(symlink("/", inner), 0);
	put(dir, "file", "x");
	walk_init(&w, root);
	ck_assert_int_ge(walk_dir(&w, b("real/sub")), 0);
	ck_assert_int_eq(walk_dir(&w, b("link")), -ENOTDIR);
	ck_assert_int_eq(walk_dir(&w, b("link/sub")), -ENOTDIR);
	ck_assert_int_eq(walk_dir(&w, b("real/out/etc")), -ENOTDIR);
	ck_assert_int_eq(walk_dir(&w, b("file/x")), -ENOTDIR);
	ck_assert_int_eq(walk_dir(&w, b("missing/x")), -ENOENT);
	walk_release(&w);
	root_close(root);
	free(link);
	free(inner);
}
END_TEST

START_TEST(walk_keeps_what_it_shares_with_the_last_path)
{
	struct root *root = marked_root(dir);
	struct walk w;
	struct stat st;
	char name[PATH_COMPONENT_MAX + 1];
	make_dir(dir, "a", 0700);
	make_dir(dir, "a/b", 0700);
	make_dir(dir, "ab", 0700);
	walk_init(&w, root);
	int first = walk_parent(&w, b("a/b/x"), name);
	ck_assert_str_eq(name, "x");
	ck_assert_uint_eq(w.n, 2);
	ck_assert_int_eq(walk_parent(&w, b("a/b/y"), name), first);
	ck_assert_str_eq(name, "y");
	static const char *const paths[] = {"a/b", "ab", "a", "", "a/b", "a"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int fd = walk_dir(&w, b(paths[i]));
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_uint_eq(st.st_ino, stat_of(dir, paths[i]).st_ino);
		ck_assert_int_eq(walk_verify(&w), 0);
	}
	walk_release(&w);
	root_close(root);
}
END_TEST

START_TEST(walk_notices_folders_that_were_swapped)
{
	struct root *root = marked_root(dir);
	struct walk w;
	make_dir(dir, "a", 0700);
	make_dir(dir, "a/b", 0700);
	char *a = scratch_path(dir, "a"), *c = scratch_path(dir, "c"), *ab = scratch_path(dir, "a/b");
	walk_init(&w, root);
	ck_assert_int_ge(walk_dir(&w, b("a/b")), 0);
	ck_assert_int_eq(rename(a, c), 0);
	ck_assert_int_eq(walk_verify(&w), -ESTALE);
	ck_assert_int_eq(walk_dir(&w, b("a/b")), -ENOENT);
	ck_assert_int_eq(symlink("c", a), 0);
	ck_assert_int_eq(walk_dir(&w, b("a/b")), -ENOTDIR);
	ck_assert_int_eq(unlink(a), 0);
	ck_assert_int_eq(rename(c, a), 0);
	ck_assert_int_ge(walk_dir(&w, b("a/b")), 0);
	ck_assert_int_eq(walk_verify(&w), 0);
	ck_assert_int_eq(rmdir(ab), 0);
	ck_assert_int_eq(walk_verify(&w), -ESTALE);
	walk_release(&w);
	root_close(root);
	free(a);
	free(c);
	free(ab);
}
END_TEST

START_TEST(walk_reaches_the_deepest_and_the_oddest_names)
{
	struct root *root = marked_root(dir);
	struct walk w;
	struct buf path = {0};
	char name[PATH_COMPONENT_MAX + 1];
	char *odd[4] = {xstrdup("new\nline"), xstrdup("\xff\xfe bytes"), xstrdup("-rf *"), NULL};
	odd[3] = xmalloc(256);
	memset(odd[3], 'x', 255);
	odd[3][255] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		make_dir(dir, odd[i], 0700);
		walk_init(&w, root);
		ck_assert_int_ge(walk_dir(&w, b(odd[i])), 0);
		walk_release(&w);
		free(odd[i]);
	}
	for (unsigned i = 0; i < PATH_DEPTH_MAX; i++) {
		buf_addf(&path, "%sd", i ? "/" : "");
		buf_add_char(&path, '\0');
		make_dir(dir, (char *)path.data, 0700);
		path.len--;
	}
	walk_init(&w, root);
	int fd = walk_dir(&w, (struct bytes){path.data, path.len});
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(w.n, PATH_DEPTH_MAX);
	ck_assert_int_ge(walk_parent(&w, (struct bytes){path.data, path.len}, name), 0);
	ck_assert_uint_eq(w.n, PATH_DEPTH_MAX - 1);
	walk_release(&w);
	root_close(root);
	buf_release(&path);
}
END_TEST

/* 0, or the number of what went wrong. */
static int walk_meets_a_mount(const char *at)
{
	struct walk w;
	put(at, "x", "x");
	struct root *root = marked_root(dir);
	walk_init(&w, root);
	int result = walk_dir(&w, b("a")) < 0 ? 1 :
		walk_dir(&w, b("a/mounted")) != -EXDEV ? 2 : walk_dir(&w, b("a")) < 0 ? 3 : 0;
	walk_release(&w);
	root_close(root);
	return result;
}

START_TEST(walk_stays_on_its_file_system)
{
	make_dir(dir, "a", 0700);
	make_dir(dir, "a/mounted", 0700);
	char *at = scratch_path(dir, "a/mounted");
	on_small_disk("walk_stays_on_its_file_system", at, "1m", walk_meets_a_mount);
	free(at);
}
END_TEST

START_TEST(names_are_told_apart)
{
	struct root *root = marked_root(dir);
	struct stat st;
	char other[PATH_COMPONENT_MAX + 1];
	put(dir, "Name", "x");
	bool folds = root_abilities(root).folds;
	ck_assert_int_eq(name_stat(root, root_fd(root), "Name", &st, other), 0);
	ck_assert_str_eq(other, "");
	ck_assert_int_eq(name_stat(root, root_fd(root), "missing", &st, other), -ENOENT);
	ck_assert_str_eq(other, "");
	/* e2e_fold.sh runs this on a system that folds */
	ck_assert_int_eq(name_stat(root, root_fd(root), "nAME", &st, other), folds ? -ENOTUNIQ : -ENOENT);
	ck_assert_str_eq(other, folds ? "Name" : "");
	make_dir(dir, "Folder", 0700);
	struct walk w;
	walk_init(&w, root);
	ck_assert_int_ge(walk_dir(&w, b("Folder")), 0);
	ck_assert_int_eq(walk_dir(&w, b("fOLDER")), -ENOENT);
	walk_release(&w);
	ck_assert(folds || !getenv("FAULTS"));
	root_close(root);
}
END_TEST

START_TEST(stamps_tell_content_from_metadata)
{
	put(dir, "f", "one");
	make_dir(dir, "d", 0755);
	char *f = scratch_path(dir, "f"), *g = scratch_path(dir, "g");
	struct found before = found_of(dir, "f"), folder = found_of(dir, "d");
	ck_assert_int_eq(before.kind, KIND_FILE);
	ck_assert_uint_eq(before.size, 3);
	ck_assert_uint_eq(before.mode, 0644);
	/* chmod and rename keep the stamp and change the change time */
	ck_assert_int_eq(chmod(f, 06755), 0);
	ck_assert_int_eq(rename(f, g), 0);
	struct found after = found_of(dir, "g");
	ck_assert_uint_eq(after.stamp, before.stamp);
	ck_assert_uint_eq(after.mode, 0755); /* no special bits */
	/* content, time and another inode do not keep it */
	put(dir, "g", "longer");
	ck_assert_uint_ne(found_of(dir, "g").stamp, before.stamp);
	after = found_of(dir, "g");
	struct timespec t[2] = {{0, UTIME_OMIT}, {-1, 500000000}};
	ck_assert_int_eq(utimensat(AT_FDCWD, g, t, 0), 0);
	ck_assert_uint_ne(found_of(dir, "g").stamp, after.stamp);
	ck_assert_int_eq(found_of(dir, "g").mtime_ns, -500000000);
	/* a folder is its inode, whatever happens in it */
	put(dir, "d/x", "x");
	ck_assert_uint_eq(found_of(dir, "d").stamp, folder.stamp);
	ck_assert_uint_eq(found_of(dir, "d").size, 0);
	free(f);
	free(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("root");
	TCase *t = suite_case(s, "root", setup, teardown);
	tcase_add_test(t, what_cannot_be_served_is_refused_with_a_reason);
	tcase_add_test(t, unreadable_directory_is_refused);
	tcase_add_test(t, mark_is_made_once_and_found_again);
	tcase_add_test(t, two_marks_differ);
	tcase_add_test(t, second_server_is_refused);
	tcase_add_test(t, nested_roots_are_refused);
	tcase_add_test(t, names_that_only_begin_alike_are_served);
	tcase_add_test(t, damaged_mark_is_refused);
	tcase_add_test(t, mark_that_is_no_file_is_refused_and_never_blocks);
	tcase_add_test(t, own_folder_that_is_a_symlink_is_refused);
	tcase_add_test(t, leftovers_in_tmp_go_and_the_trash_stays);
	tcase_add_test(t, check_tells_what_became_of_the_root);
	tcase_add_test(t, read_only_root_is_served);
	tcase_add_test(t, read_only_root_cannot_be_marked);
	tcase_add_test(t, walk_refuses_what_is_no_path_of_an_entry);
	tcase_add_test(t, walk_goes_through_no_symlink);
	tcase_add_test(t, walk_keeps_what_it_shares_with_the_last_path);
	tcase_add_test(t, walk_notices_folders_that_were_swapped);
	tcase_add_test(t, walk_reaches_the_deepest_and_the_oddest_names);
	tcase_add_test(t, walk_stays_on_its_file_system);
	tcase_add_test(t, names_are_told_apart);
	tcase_add_test(t, stamps_tell_content_from_metadata);
	return suite_run(s);
}
