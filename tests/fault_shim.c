/*
 * Owns faults of the disk for end-to-end tests: preloaded into tuttid, it makes system calls fail
 * as a full disk or a poorer file system would. What fails now is told by files in $FAULTS:
 *	full    no more bytes into temporary files: ENOSPC
 *	colons  no name with a colon can be made: EINVAL
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_on(const char *fault)
{
	char path[4096];
	const char *folder = getenv("FAULTS");
	if (!folder)
		return false;
	snprintf(path, sizeof(path), "%s/%s", folder, fault);
	return access(path, F_OK) == 0;
}

static void *real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	if (!f)
		abort();
	return f;
}

static bool in_tmp(int fd)
{
	char link[64], path[4096];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strstr(path, "/.tutti/tmp/");
}

static bool cannot_be_named(const char *name)
{
	return strchr(name, ':') && is_on("colons");
}

ssize_t write(int fd, const void *p, size_t len);
ssize_t write(int fd, const void *p, size_t len)
{
	ssize_t (*f)(int, const void *, size_t) = real("write");
	if (in_tmp(fd) && is_on("full")) {
		errno = ENOSPC;
		return -1;
	}
	return f(fd, p, len);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int (*f)(int, const char *, int, const char *, unsigned) = real("renameat2");
	if (cannot_be_named(to)) {
		errno = EINVAL;
		return -1;
	}
	return f(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	int (*f)(int, const char *, int, const char *, int) = real("linkat");
	if (cannot_be_named(to)) {
		errno = EINVAL;
		return -1;
	}
	return f(from_dir, from, to_dir, to, flags);
}

int mkdirat(int dir, const char *name, mode_t mode);
int mkdirat(int dir, const char *name, mode_t mode)
{
	int (*f)(int, const char *, mode_t) = real("mkdirat");
	if (cannot_be_named(name)) {
		errno = EINVAL;
		return -1;
	}
	return f(dir, name, mode);
}
