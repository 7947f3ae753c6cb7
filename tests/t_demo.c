/* Tests of `tutti demo` with the finished programs: what it shows, and that it leaves nothing
 * behind, no folder and no process, however it ends. */
#include "config.h"
#include "base.h"
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 40000 };

static char *tmp;      /* $TMPDIR of the demo */
static char *program;
static pid_t pid;
static int from;       /* what it prints: a pseudo-terminal, or a pipe */
static struct buf printed;

static void setup(void)
{
	tmp = xstrdup("/tmp/tutti-demo-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp));
	setenv("TMPDIR", tmp, 1);
	setenv("TERM", "xterm", 1);
	setenv("TZ", "UTC", 1);
	program = build_path("tutti");
	ck_assert_msg(!access(program, X_OK), "%s is not there", program);
	pid = 0;
	from = -1;
}

static void teardown(void)
{
	if (from >= 0)
		close(from);
	free(tmp);
	free(program);
	buf_release(&printed);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- what is there of the demo */

static bool folder_left(void)
{
	DIR *d = opendir(tmp);
	bool left = false;
	ck_assert_ptr_nonnull(d);
	for (const struct dirent *e; (e = readdir(d));)
		left |= e->d_name[0] != '.';
	closedir(d);
	return left;
}

/* A server of our demo: a process that has our folder and `word` on its command line; 0: none. */
static pid_t find_server(const char *word)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;
	ck_assert_ptr_nonnull(d);
	for (const struct dirent *e; !found && (e = readdir(d));) {
		char path[300], line[4096];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		int fd = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
		ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
		if (fd >= 0)
			close(fd);
		for (ssize_t i = 0; i < n; i++)
			line[i] = line[i] ? line[i] : ' ';
		line[n > 0 ? n : 0] = '\0';
		if (strstr(line, tmp) && strstr(line, word))
			found = (pid_t)strtol(e->d_name, NULL, 10);
	}
	closedir(d);
	return found;
}

static bool nothing_left(void)
{
	return !folder_left() && !find_server("tuttid");
}

/* --- running it */

static _Noreturn void become(const char *const *argv, int stdin_fd, int stdout_fd)
{
	dup2(stdin_fd, STDIN_FILENO);
	dup2(stdout_fd, STDOUT_FILENO);
	dup2(stdout_fd, STDERR_FILENO);
	execv(program, (char *const *)argv);
	_exit(127);
}

static void start_in_terminal(void)
{
	const char *argv[] = {program, "demo", NULL};
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	from = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(from, 0);
	ck_assert_int_eq(grantpt(from), 0);
	ck_assert_int_eq(unlockpt(from), 0);
	ck_assert_int_eq(ioctl(from, TIOCSWINSZ, &size), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		int fd = open(ptsname(from), O_RDWR); /* becomes the controlling terminal */
		become(argv, fd, fd);
	}
	ck_assert_int_gt(pid, 0);
}

static void start_in_pipe(const char *const *argv)
{
	int ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		become(argv, open("/dev/null", O_RDONLY), ends[1]);
	ck_assert_int_gt(pid, 0);
	close(ends[1]);
	from = ends[0];
}

/* Takes what it prints, so that it never waits for us, for a moment or until there is some. */
static void drain(void)
{
	char bytes[4096];
	struct pollfd p = {.fd = from, .events = POLLIN};
	if (poll(&p, 1, 20) == 1) {
		ssize_t n = read(from, bytes, sizeof(bytes));
		if (n > 0)
			buf_add(&printed, bytes, (size_t)n);
	}
}

static const char *text(void)
{
	buf_add_char(&printed, '\0');
	printed.len--;
	return (const char *)printed.data;
}

static void await(bool (*condition)(void), const char *what)
{
	int64_t until_ms = now_ms() + LIMIT_MS;
	while (!condition()) {
		ck_assert_msg(now_ms() < until_ms, "waited too long: %s; printed: %s", what, text());
		drain();
	}
}

static int status;

static bool has_ended(void)
{
	return waitpid(pid, &status, WNOHANG) == pid;
}

static bool screen_is_up(void)
{
	return strstr(text(), "c.pdf") != NULL;
}

static void check_nothing_is_left(void)
{
	await(nothing_left, "nothing is left");
	ck_assert_int_eq(rmdir(tmp), 0);
}

/* --- the tests */

START_TEST(without_a_terminal_it_prints_the_table)
{
	const char *argv[] = {program, "demo", NULL};
	start_in_pipe(argv);
	await(has_ended, "the end");
	drain();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	check_nothing_is_left();
	ck_assert_str_eq(text(), "      Size  Modified          AB  Name\n"
				 "  45.5 KiB  2026-08-08 16:20  ==  a.jpg\n"
				 "     661 B  2026-03-14 09:26  ==  b.txt\n"
				 "   8.2 MiB  2024-12-01 12:00  ==  c.pdf\n"
				 " 128.9 KiB  2025-11-30 18:04  ==  d.gif\n"
				 "   5,120 B  2025-04-22 20:31  ==  music/scales.mid\n"
				 " 379.3 KiB  2025-04-23 10:12  ==  music/score.pdf\n"
				 "   2,381 B  2026-06-02 21:15  ==  notes/ideas.md\n"
				 "     914 B  2026-01-19 07:40  ==  notes/reading.txt\n");
}
END_TEST

START_TEST(a_frame_shows_it_in_sync)
{
	const char *argv[] = {program, "demo", "--frame", "80x24", NULL};
	start_in_pipe(argv);
	await(has_ended, "the end");
	drain();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_msg(strstr(text(), "both in sync") != NULL, "%s", text());
	check_nothing_is_left();
}
END_TEST

static bool conflict_is_told(void)
{
	return strstr(text(), "1 conflict") != NULL;
}

static bool conflict_is_open(void)
{
	return strstr(text(), "decide later") != NULL;
}

static bool conflict_is_settled(void)
{
	return strstr(text(), "s version of notes/plan.md") != NULL;
}

static bool settled_or_again(void)
{
	ck_assert_int_eq(write(from, "b", 1), 1); /* decides nothing before it is shown */
	drain();
	return conflict_is_settled();
}

START_TEST(it_has_a_conflict_to_settle)
{
	start_in_terminal();
	await(screen_is_up, "the screen");
	await(conflict_is_told, "a conflict");
	ck_assert_int_eq(write(from, "c", 1), 1);
	await(conflict_is_open, "its dialog");
	await(settled_or_again, "its end");
	ck_assert_int_eq(write(from, "\x03", 1), 1);
	await(has_ended, "the end");
	check_nothing_is_left();
}
END_TEST

static const struct {
	const char *keys;
	int signal; /* 0: keys */
	bool hang_up;
} ends[] = {
	{"q", 0, false},  {"\x03", 0, false},    {NULL, SIGTERM, false}, {NULL, SIGHUP, false},
	{NULL, SIGINT, false}, {NULL, SIGKILL, false}, {NULL, 0, true},  {NULL, SIGSEGV, false},
};

START_TEST(nothing_is_left_however_it_ends)
{
	start_in_terminal();
	await(screen_is_up, "the screen");
	ck_assert(folder_left());
	ck_assert_int_ne(find_server("tuttid"), 0);
	if (ends[_i].keys)
		ck_assert_int_eq(write(from, ends[_i].keys, 1), 1);
	if (ends[_i].signal)
		kill(pid, ends[_i].signal);
	if (ends[_i].hang_up) {
		close(from);
		from = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	await(has_ended, "the end");
	check_nothing_is_left();
	if (ends[_i].keys && ends[_i].keys[0] == 'q')
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	else if (ends[_i].signal == SIGKILL)
		ck_assert(WIFSIGNALED(status));
}
END_TEST

/* Ended while it is still starting. */
START_TEST(nothing_is_left_of_a_start)
{
	const char *argv[] = {program, "demo", NULL};
	start_in_pipe(argv);
	await(folder_left, "the folder");
	kill(pid, SIGKILL);
	await(has_ended, "the end");
	check_nothing_is_left();
}
END_TEST

START_TEST(a_server_that_dies_is_told_of)
{
	start_in_terminal();
	await(screen_is_up, "the screen");
	pid_t server = find_server("/state-A ");
	ck_assert_int_gt(server, 0);
	kill(server, SIGABRT);
	ck_assert_int_eq(write(from, "q", 1), 1);
	await(has_ended, "the end");
	drain();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_msg(strstr(text(), "server A ended by itself") != NULL, "%s", text());
	check_nothing_is_left();
}
END_TEST

START_TEST(without_servers_it_says_so)
{
	const char *argv[] = {program, "demo", NULL};
	char *copy = xasprintf("%s/tutti", tmp);
	int in = open(program, O_RDONLY | O_CLOEXEC);
	int out = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	char bytes[65536];
	for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;)
		ck_assert_int_eq(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
	free(program);
	program = copy;
	argv[0] = copy;
	setenv("PATH", "/nonexistent", 1);
	start_in_pipe(argv); /* no tuttid beside the copy, and none in $PATH */
	await(has_ended, "the end");
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	drain();
	ck_assert_msg(strstr(text(), "tuttid: No such file") != NULL, "%s", text());
	ck_assert_int_eq(unlink(copy), 0);
	check_nothing_is_left();
}
END_TEST

int main(void)
{
	Suite *s = suite_new("demo");
	TCase *t = suite_case(s, "demo", setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, without_a_terminal_it_prints_the_table);
	tcase_add_test(t, a_frame_shows_it_in_sync);
	tcase_add_test(t, it_has_a_conflict_to_settle);
	tcase_add_loop_test(t, nothing_is_left_however_it_ends, 0, ARRAY_LEN(ends));
	tcase_add_test(t, nothing_is_left_of_a_start);
	tcase_add_test(t, a_server_that_dies_is_told_of);
	tcase_add_test(t, without_servers_it_says_so);
	return suite_run(s);
}
