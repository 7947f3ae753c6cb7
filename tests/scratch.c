/* Owns scratch directories of tests. */
#include "config.h"
#include "scratch.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

char *scratch_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = xasprintf("%s/tutti-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	char *real = realpath(dir, NULL);
	ck_assert_ptr_nonnull(real);
	free(dir);
	return real;
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	remove(path);
	return 0;
}

void scratch_remove(char *dir)
{
	if (geteuid() != 0)
		nftw(dir, open_up, 32, FTW_PHYS);
	nftw(dir, remove_one, 32, FTW_PHYS | FTW_DEPTH);
	ck_assert_msg(access(dir, F_OK) < 0, "%s was not removed", dir);
	free(dir);
}

char *scratch_path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

void put(const char *dir, const char *name, const char *content)
{
	char *path = scratch_path(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	size_t len = strlen(content);
	ck_assert_int_eq(write(fd, content, len), (ssize_t)len);
	ck_assert_int_eq(close(fd), 0);
	free(path);
}

char *get(const char *dir, const char *name)
{
	char *path = scratch_path(dir, name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return NULL;
	struct buf b = {0};
	ssize_t n;
	while ((n = read(fd, buf_reserve(&b, 4096), 4096)) > 0)
		b.len += (size_t)n;
	close(fd);
	buf_add_char(&b, '\0');
	return (char *)b.data;
}

void make_dir(const char *dir, const char *name, mode_t mode)
{
	char *path = scratch_path(dir, name);
	ck_assert_msg(mkdir(path, 0700) == 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(chmod(path, mode), 0);
	free(path);
}

bool there(const char *dir, const char *name)
{
	struct stat st;
	char *path = scratch_path(dir, name);
	bool is = lstat(path, &st) == 0;
	free(path);
	return is;
}

struct stat stat_of(const char *dir, const char *name)
{
	struct stat st;
	char *path = scratch_path(dir, name);
	ck_assert_msg(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	free(path);
	return st;
}

struct found found_of(const char *dir, const char *name)
{
	struct stat st = stat_of(dir, name);
	return found_from_stat(&st);
}

size_t count_in(const char *dir, const char *name)
{
	char *path = scratch_path(dir, name);
	DIR *d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d)); )
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	free(path);
	return n;
}

bool content_in(const char *dir, const char *name, const char *content)
{
	char *path = scratch_path(dir, name);
	DIR *d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	bool found = false;
	for (struct dirent *e; (e = readdir(d)) && !found; ) {
		char *text = get(path, e->d_name);
		found = text && strcmp(text, content) == 0;
		free(text);
	}
	closedir(d);
	free(path);
	return found;
}

struct root *marked_root(const char *dir)
{
	struct root *root = NULL;
	char *error = NULL;
	ck_assert_msg(root_open(&root, dir, &error) == 0, "%s", error);
	if (!root_id(root)[0])
		ck_assert_msg(root_mark(root, &error) == 0, "%s", error);
	return root;
}

static int status_of(pid_t pid)
{
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int as_nobody(int (*fn)(const char *dir))
{
	enum { NOBODY = 65534 };
	char *dir = scratch_new();
	if (geteuid() == 0)
		ck_assert_int_eq(chown(dir, NOBODY, NOBODY), 0);
	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
			_exit(99);
		_exit(fn(dir));
	}
	int status = status_of(pid);
	scratch_remove(dir);
	return status;
}

void on_small_disk(const char *what, const char *at, const char *size, int (*fn)(const char *at))
{
	enum { NOT_PERMITTED = 77 };
	char *option = xasprintf("size=%s", size);
	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tutti-test", at, "tmpfs", 0, option) < 0)
			_exit(NOT_PERMITTED);
		_exit(fn(at));
	}
	int status = status_of(pid);
	free(option);
	if (status == NOT_PERMITTED)
		printf("SKIPPED: %s: mounting is not permitted here\n", what);
	else
		ck_assert_int_eq(status, 0);
}
