/* Tests of the confinement: in a child process, since it is for good. What the server needs still works;
 * what a hostile byte could want does not. */
#include "config.h"
#include "confine.h"
#include "scratch.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *inside, *outside;

static void setup(void)
{
	inside = scratch_new();
	outside = scratch_new();
	make_dir(inside, "a", 0755);
	make_dir(inside, "b", 0755);
	put(inside, "a/one", "one");
	put(inside, "b/two", "two");
	put(outside, "secret", "secret");
}

static void teardown(void)
{
	scratch_remove(inside);
	scratch_remove(outside);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* asks for the version */) >= 2;
}

/* In a child that is confined to `inside`: the number of the first check that fails, or 0. */
static int confined(int (*checks)(void))
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const char *writable[] = {inside};
		struct confinement c = {writable, 1, confine_system, CONFINE_SYSTEM};
		struct buf said = {0};
		int r = confine(&c, &said);
		if (r < 0)
			fprintf(stderr, "%.*s\n", (int)said.len, (const char *)said.data);
		buf_release(&said);
		_exit(r < 0 ? 99 : checks());
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int opens(const char *dir, const char *name, int flags)
{
	char *path = scratch_path(dir, name);
	int fd = open(path, flags | O_CLOEXEC, 0600), r = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(path);
	return r;
}

static int moves(const char *from, const char *to, unsigned flags)
{
	char *a = scratch_path(inside, from), *b = scratch_path(inside, to);
	int r = renameat2(AT_FDCWD, a, AT_FDCWD, b, flags) < 0 ? -errno : 0;
	free(a);
	free(b);
	return r;
}

static int work_goes_on(void)
{
	if (opens(inside, "a/one", O_RDWR | O_TRUNC))
		return 1;
	if (opens(inside, "new", O_CREAT | O_EXCL | O_WRONLY))
		return 2;
	if (moves("new", "a/new", RENAME_NOREPLACE))
		return 3;
	if (moves("a/new", "b/two", RENAME_EXCHANGE))
		return 4;
	char *path = scratch_path(inside, "folder"), *link = scratch_path(inside, "link");
	if (mkdir(path, 0755) || rmdir(path) || symlink("/etc/passwd", link) || unlink(link))
		return 5;
	free(path);
	free(link);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1))
		return 6;
	close(s);
	struct addrinfo *list = NULL;
	if (getaddrinfo("localhost", "7075", NULL, &list))
		return 7;
	freeaddrinfo(list);
	return opens("/etc", "hosts", O_RDONLY) ? 8 : 0;
}

START_TEST(the_server_still_works)
{
	ck_assert_int_eq(confined(work_goes_on), 0);
}
END_TEST

static int files_are_withheld(void)
{
	if (opens(outside, "secret", O_RDONLY) != -EACCES)
		return 1;
	if (opens(outside, "made", O_CREAT | O_WRONLY) != -EACCES)
		return 2;
	if (opens("/etc", "hosts", O_WRONLY) != -EACCES)
		return 3;
	if (opens(outside, ".", O_RDONLY | O_DIRECTORY) != -EACCES)
		return 4;
	char *from = scratch_path(inside, "a/one"), *to = scratch_path(outside, "one");
	int r = rename(from, to) == 0 ? 5 : 0;
	if (!r && link(from, to) == 0)
		r = 6;
	if (!r && (unlink(to) == 0 || errno == EPERM))
		r = 7;
	free(from);
	free(to);
	/* Not through a symlink either: what counts is the file. */
	to = scratch_path(outside, "secret");
	from = scratch_path(inside, "trap");
	if (!r && (symlink(to, from) || opens(inside, "trap", O_RDONLY) != -EACCES))
		r = 8;
	free(from);
	free(to);
	return r;
}

START_TEST(files_outside_are_withheld)
{
	if (!has_landlock()) {
		puts("skipped: this kernel has no Landlock: files outside are not withheld");
		return;
	}
	ck_assert_int_eq(confined(files_are_withheld), 0);
	ck_assert_uint_eq(count_in(outside, "."), 1);
}
END_TEST

static int calls_are_forbidden(void)
{
	char *const argv[] = {(char *)"true", NULL};
	execv("/bin/true", argv);
	if (errno != EPERM && errno != EACCES)
		return 1;
	if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT)
		return 2;
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT)
		return 3;
	if (socket(AF_UNSPEC, SOCK_STREAM, 0) >= 0 || errno != EAFNOSUPPORT)
		return 4;
	if (syscall(SYS_unshare, 0) == 0 || errno != EPERM)
		return 5;
	if (syscall(SYS_setuid, getuid()) == 0 || errno != EPERM)
		return 6;
	if (syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != EPERM)
		return 7;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 8;
#if !defined(__SANITIZE_ADDRESS__)
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 || errno != EPERM)
		return 9;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 10;
#endif
	/* Its own descriptors can still be reached by their names. */
	int fd = open(inside, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return chmod(name, 0750) ? 11 : 0;
}

START_TEST(calls_without_use_are_forbidden)
{
	ck_assert_int_eq(confined(calls_are_forbidden), 0);
}
END_TEST

static int twice(void)
{
	const char *writable[] = {inside};
	struct confinement c = {writable, 1, NULL, 0};
	struct buf said = {0};
	int r = confine(&c, &said);
	buf_release(&said);
	return r ? 1 : work_goes_on() == 7 ? 0 : 2; /* names cannot be looked up any more */
}

START_TEST(it_can_only_become_narrower)
{
	if (!has_landlock()) {
		puts("skipped: this kernel has no Landlock: there is nothing to narrow");
		return;
	}
	ck_assert_int_eq(confined(twice), 0);
}
END_TEST

START_TEST(a_folder_that_is_missing_is_an_error)
{
	char *missing = scratch_path(outside, "missing");
	pid_t pid = fork();
	if (pid == 0) {
		const char *writable[] = {missing};
		struct confinement c = {writable, 1, NULL, 0};
		struct buf said = {0};
		int r = confine(&c, &said);
		bool named = said.len && memmem(said.data, said.len, "missing", 7);
		_exit(!has_landlock() || (r == -ENOENT && named) ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	free(missing);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("confine");
	TCase *t = suite_case(s, "confine", setup, teardown);
	tcase_add_test(t, the_server_still_works);
	tcase_add_test(t, files_outside_are_withheld);
	tcase_add_test(t, calls_without_use_are_forbidden);
	tcase_add_test(t, it_can_only_become_narrower);
	tcase_add_test(t, a_folder_that_is_missing_is_an_error);
	return suite_run(s);
}
