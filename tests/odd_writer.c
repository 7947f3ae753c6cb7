/*
 * Owns what a shell cannot do to a file, for the end-to-end tests:
 *	odd_writer map FILE N         writes N pages through a mapping, one by one, and closes it
 *	odd_writer hold FILE TEXT     stores TEXT through a mapping, says so, and keeps the mapping
 *	odd_writer edit FILE OLD TEXT writes TEXT and a newline in place of what is in the file, which is
 *	                              appended to OLD
 *	odd_writer socket PATH        makes a socket
 *	odd_writer swap A B N         lets two names change places, N times
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void map(const char *path, long pages)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	check(fd >= 0 && ftruncate(fd, pages * PAGE) == 0, path);
	char *p = mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "mmap");
	close(fd);
	for (long i = 0; i < pages; i++)
		memset(p + i * PAGE, 'a' + (int)(i % 26), PAGE);
	munmap(p, (size_t)(pages * PAGE));
}

static void hold(const char *path, const char *text)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	check(fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size >= strlen(text), path);
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "mmap");
	memcpy(p, text, strlen(text));
	puts("stored");
	fflush(stdout);
	for (;;)
		pause();
}

static void edit(const char *path, const char *old, const char *text)
{
	char block[65536];
	ssize_t n;
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int to = open(old, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	check(fd >= 0 && to >= 0, path);
	while ((n = read(fd, block, sizeof(block))) > 0)
		check(write(to, block, (size_t)n) == n, old);
	check(n == 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0, path);
	check(dprintf(fd, "%s\n", text) > 0, path);
	close(fd);
	close(to);
}

static void make_socket(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(strlen(path) < sizeof(at.sun_path), "too long");
	strcpy(at.sun_path, path);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, path);
	close(fd);
}

static void swap(const char *a, const char *b, long n)
{
	for (; n > 0; n--)
		check(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0, "renameat2");
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "map") == 0)
		map(argv[2], atol(argv[3]));
	else if (argc == 4 && strcmp(argv[1], "hold") == 0)
		hold(argv[2], argv[3]);
	else if (argc == 5 && strcmp(argv[1], "edit") == 0)
		edit(argv[2], argv[3], argv[4]);
	else if (argc == 3 && strcmp(argv[1], "socket") == 0)
		make_socket(argv[2]);
	else if (argc == 5 && strcmp(argv[1], "swap") == 0)
		swap(argv[2], argv[3], atol(argv[4]));
	else
		return 2;
	return 0;
}
