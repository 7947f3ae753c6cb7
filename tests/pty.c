/* Owns a program in a pseudo-terminal. */
#include "config.h"
#include "pty.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

enum { DEADLINE_S = 20 };

/* What the shell reports: one of these for each change. */
struct report {
	char what; /* 'P' started (value: pid), 'S' stopped, 'X' ended (value: status) */
	int value;
};

/* ---- the little shell -------------------------------------------------------------------- */

static void tell(int fd, char what, int value)
{
	struct report r = {.what = what, .value = value};
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		_exit(1);
}

static void run_program(const struct pty_options *o, int sync)
{
	char sync_variable[40];
	struct rlimit none = {0, 0};
	const char *asan = getenv("ASAN_OPTIONS"), *ubsan = getenv("UBSAN_OPTIONS");
	char *kept[2] = {asan ? xasprintf("%s:handle_abort=0:handle_segv=0", asan) : NULL,
			 ubsan ? xstrdup(ubsan) : NULL};
	setrlimit(RLIMIT_CORE, &none);
	clearenv();
	if (kept[0])
		setenv("ASAN_OPTIONS", kept[0], 1);
	if (kept[1])
		setenv("UBSAN_OPTIONS", kept[1], 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("TZ", "UTC", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
	if (o->term)
		setenv("TERM", o->term, 1);
	snprintf(sync_variable, sizeof(sync_variable), "%d", sync);
	setenv("TUTTI_TEST_SYNC_FD", sync_variable, 1);
	for (const char *const *e = o->env; e && *e; e++)
		putenv((char *)(uintptr_t)*e);
	execv(o->argv[0], (char *const *)(uintptr_t)o->argv);
	perror(o->argv[0]);
	_exit(126);
}

static void foreground(pid_t group)
{
	tcsetpgrp(STDIN_FILENO, group);
}

/* Starts the program in the foreground and watches over it, as a shell does. */
static void shell(const struct pty_options *o, int sync, int report, int order)
{
	static const int ignored[] = {SIGTTOU, SIGTTIN, SIGTSTP, SIGHUP, SIGINT, SIGQUIT, SIGPIPE};
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	pid_t program = fork();
	if (program == 0) {
		setpgid(0, 0);
		foreground(getpgrp());
		for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
			signal(ignored[i], SIG_DFL);
		close(report);
		close(order);
		run_program(o, sync);
	}
	setpgid(program, program);
	close(sync);
	tell(report, 'P', program);
	for (;;) {
		int status;
		if (waitpid(program, &status, WUNTRACED) != program)
			_exit(1);
		foreground(getpgrp());
		if (!WIFSTOPPED(status)) {
			tell(report, 'X', status);
			_exit(0);
		}
		tell(report, 'S', 0);
		char go;
		if (read(order, &go, 1) != 1)
			_exit(0);
		foreground(program);
		kill(-program, SIGCONT);
	}
}

/* ---- what comes from it ------------------------------------------------------------------ */

/* Takes what the terminal has to say; false at its end. */
static bool drain(struct pty *p)
{
	char chunk[4096];
	while (p->master >= 0) {
		ssize_t n = read(p->master, chunk, sizeof(chunk));
		if (n > 0) {
			buf_add(&p->raw, chunk, (size_t)n);
			vterm_input_write(p->vterm, chunk, (size_t)n);
			continue;
		}
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	return false;
}

static void on_terminal(struct ev_loop *loop, ev_io *w, int events)
{
	struct pty *p = w->data;
	(void)events;
	if (!drain(p))
		ev_io_stop(loop, w);
	ev_break(loop, EVBREAK_ONE);
}

static void on_sync(struct ev_loop *loop, ev_io *w, int events)
{
	struct pty *p = w->data;
	char bytes[256];
	ssize_t n = read(p->sync, bytes, sizeof(bytes));
	(void)events;
	if (n > 0)
		p->frames += (uint64_t)n;
	else if (n == 0)
		ev_io_stop(loop, w);
	/* What was drawn before the byte was written is in the terminal by now. */
	drain(p);
	ev_break(loop, EVBREAK_ONE);
}

static void on_report(struct ev_loop *loop, ev_io *w, int events)
{
	struct pty *p = w->data;
	struct report r;
	(void)events;
	if (read(p->report, &r, sizeof(r)) != sizeof(r)) {
		ev_io_stop(loop, w);
	} else if (r.what == 'P') {
		p->program = r.value;
		p->handle = (int)syscall(SYS_pidfd_open, p->program, 0);
	} else if (r.what == 'S') {
		p->stopped = true;
	} else {
		p->ended = true;
		p->status = r.value;
	}
	drain(p);
	ev_break(loop, EVBREAK_ONE);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct pty *p = w->data;
	(void)events;
	p->late = true;
	ev_break(loop, EVBREAK_ONE);
}

static void print_screen(struct pty *p)
{
	int height, width;
	vterm_get_size(p->vterm, &height, &width);
	for (int y = 0; y < height; y++)
		fprintf(stderr, "%3d |%s\n", y, pty_line(p, y));
}

void pty_until(struct pty *p, bool (*done)(struct pty *p, const void *arg), const void *arg,
	       const char *what)
{
	p->late = false;
	ev_timer_set(&p->deadline, DEADLINE_S, 0);
	ev_timer_start(p->loop, &p->deadline);
	while (!p->late && !done(p, arg))
		ev_run(p->loop, 0);
	ev_timer_stop(p->loop, &p->deadline);
	if (p->late) {
		print_screen(p);
		ck_abort_msg("in vain waited for %s", what);
	}
}

/* ---- life -------------------------------------------------------------------------------- */

static void not_inherited(int fd[2])
{
	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
}

static bool has_started(struct pty *p, const void *arg)
{
	(void)arg;
	return p->program > 0;
}

void pty_start(struct pty *p, struct ev_loop *loop, const struct pty_options *o)
{
	struct winsize size = {.ws_row = (unsigned short)o->height,
			       .ws_col = (unsigned short)o->width};
	int sync[2], report[2], order[2];
	*p = (struct pty){.loop = loop, .handle = -1};
	not_inherited(sync);
	not_inherited(report);
	not_inherited(order);
	/* How the terminal was is asked before anybody can have changed it. */
	int terminal;
	ck_assert_int_eq(openpty(&p->master, &terminal, NULL, NULL, &size), 0);
	ck_assert_int_eq(tcgetattr(terminal, &p->before), 0);
	p->shell = fork();
	ck_assert_int_ge(p->shell, 0);
	if (p->shell == 0) {
		close(p->master);
		if (login_tty(terminal) < 0)
			_exit(127);
		fcntl(sync[1], F_SETFD, 0);
		close(sync[0]);
		close(report[0]);
		close(order[1]);
		shell(o, sync[1], report[1], order[0]);
	}
	close(terminal);
	close(sync[1]);
	close(report[1]);
	close(order[0]);
	p->sync = sync[0];
	p->report = report[0];
	p->order = order[1];
	fcntl(p->master, F_SETFD, FD_CLOEXEC);
	fcntl(p->master, F_SETFL, O_NONBLOCK);
	fcntl(p->sync, F_SETFL, O_NONBLOCK);
	p->vterm = vterm_new(o->height, o->width);
	vterm_set_utf8(p->vterm, 1);
	p->screen = vterm_obtain_screen(p->vterm);
	vterm_screen_enable_altscreen(p->screen, 1);
	vterm_screen_reset(p->screen, 1);
	ev_io_init(&p->from_terminal, on_terminal, p->master, EV_READ);
	ev_io_init(&p->from_sync, on_sync, p->sync, EV_READ);
	ev_io_init(&p->from_report, on_report, p->report, EV_READ);
	ev_timer_init(&p->deadline, on_deadline, 0, 0);
	p->from_terminal.data = p->from_sync.data = p->from_report.data = p->deadline.data = p;
	ev_io_start(loop, &p->from_terminal);
	ev_io_start(loop, &p->from_sync);
	ev_io_start(loop, &p->from_report);
	pty_until(p, has_started, NULL, "the program to start");
}

static long send_signal(struct pty *p, int number)
{
	return syscall(SYS_pidfd_send_signal, p->handle, number, NULL, 0);
}

void pty_release(struct pty *p)
{
	if (!p->ended) {
		send_signal(p, SIGKILL);
		send_signal(p, SIGCONT);
	}
	close(p->order);
	while (waitpid(p->shell, NULL, 0) < 0 && errno == EINTR)
		;
	pty_hang_up(p);
	ev_io_stop(p->loop, &p->from_sync);
	ev_io_stop(p->loop, &p->from_report);
	close(p->sync);
	close(p->report);
	if (p->handle >= 0)
		close(p->handle);
	vterm_free(p->vterm);
	buf_release(&p->raw);
}

void pty_hang_up(struct pty *p)
{
	if (p->master < 0)
		return;
	ev_io_stop(p->loop, &p->from_terminal);
	close(p->master);
	p->master = -1;
}

/* ---- keys and sizes ---------------------------------------------------------------------- */

void pty_send(struct pty *p, const char *keys)
{
	size_t len = strlen(keys);
	while (len > 0) {
		ssize_t n = write(p->master, keys, len);
		ck_assert_int_gt(n, 0);
		keys += n;
		len -= (size_t)n;
	}
}

static bool has_drawn(struct pty *p, const void *arg)
{
	return p->ended || p->frames > *(const uint64_t *)arg;
}

void pty_settle(struct pty *p, uint64_t frames_before)
{
	pty_until(p, has_drawn, &frames_before, "a frame");
}

void pty_type(struct pty *p, const char *keys)
{
	uint64_t before = p->frames;
	pty_send(p, keys);
	pty_settle(p, before);
}

void pty_resize(struct pty *p, int width, int height)
{
	struct winsize size = {.ws_row = (unsigned short)height, .ws_col = (unsigned short)width};
	uint64_t before = p->frames;
	drain(p);
	vterm_set_size(p->vterm, height, width);
	ck_assert_int_eq(ioctl(p->master, TIOCSWINSZ, &size), 0);
	if (!p->stopped)
		pty_settle(p, before);
}

/* ---- the screen -------------------------------------------------------------------------- */

const char *pty_line(struct pty *p, int y)
{
	static struct buf line;
	int height, width;
	size_t end = 0;
	buf_clear(&line);
	vterm_get_size(p->vterm, &height, &width);
	for (int x = 0; x < width && y < height; x++) {
		VTermScreenCell c;
		vterm_screen_get_cell(p->screen, (VTermPos){.row = y, .col = x}, &c);
		if (c.chars[0] == (uint32_t)-1)
			continue;
		for (size_t i = 0; i < VTERM_MAX_CHARS_PER_CELL && c.chars[i]; i++) {
			uint8_t utf8[6];
			uint32_t cp = c.chars[i];
			size_t n = 0;
			if (cp < 0x80) {
				utf8[n++] = (uint8_t)cp;
			} else if (cp < 0x800) {
				utf8[n++] = (uint8_t)(0xc0 | cp >> 6);
				utf8[n++] = (uint8_t)(0x80 | (cp & 63));
			} else if (cp < 0x10000) {
				utf8[n++] = (uint8_t)(0xe0 | cp >> 12);
				utf8[n++] = (uint8_t)(0x80 | (cp >> 6 & 63));
				utf8[n++] = (uint8_t)(0x80 | (cp & 63));
			} else {
				utf8[n++] = (uint8_t)(0xf0 | cp >> 18);
				utf8[n++] = (uint8_t)(0x80 | (cp >> 12 & 63));
				utf8[n++] = (uint8_t)(0x80 | (cp >> 6 & 63));
				utf8[n++] = (uint8_t)(0x80 | (cp & 63));
			}
			buf_add(&line, utf8, n);
		}
		if (!c.chars[0])
			buf_add_char(&line, ' ');
		else if (c.chars[0] != ' ')
			end = line.len;
	}
	line.len = end;
	buf_add_char(&line, '\0');
	return (const char *)line.data;
}

bool pty_shows(struct pty *p, const char *text)
{
	int height, width;
	vterm_get_size(p->vterm, &height, &width);
	for (int y = 0; y < height; y++)
		if (strstr(pty_line(p, y), text))
			return true;
	return false;
}

static bool does_show(struct pty *p, const void *arg)
{
	return pty_shows(p, arg);
}

static bool shows_no_more(struct pty *p, const void *arg)
{
	return !pty_shows(p, arg);
}

void pty_wait_for(struct pty *p, const char *text)
{
	pty_until(p, does_show, text, text);
}

void pty_wait_gone(struct pty *p, const char *text)
{
	pty_until(p, shows_no_more, text, text);
}

void pty_cursor(struct pty *p, int *y, int *x)
{
	VTermPos at;
	vterm_state_get_cursorpos(vterm_obtain_state(p->vterm), &at);
	*y = at.row;
	*x = at.col;
}

/* ---- signals and the end ----------------------------------------------------------------- */

void pty_signal(struct pty *p, int signal)
{
	ck_assert_int_eq(send_signal(p, signal), 0);
}

static bool has_stopped(struct pty *p, const void *arg)
{
	(void)arg;
	return p->stopped || p->ended;
}

void pty_wait_stopped(struct pty *p)
{
	pty_until(p, has_stopped, NULL, "the program to stop");
	ck_assert(p->stopped);
}

void pty_continue(struct pty *p)
{
	p->stopped = false;
	ck_assert_int_eq(write(p->order, "f", 1), 1);
}

static bool has_ended(struct pty *p, const void *arg)
{
	(void)arg;
	return p->ended;
}

void pty_wait_end(struct pty *p)
{
	pty_until(p, has_ended, NULL, "the program to end");
}

/* Position of the last occurrence of `text` in what the program wrote, plus one; 0: none. */
static size_t last_of(const struct pty *p, const char *text)
{
	size_t len = strlen(text);
	for (size_t i = p->raw.len; i >= len; i--)
		if (memcmp(p->raw.data + i - len, text, len) == 0)
			return i;
	return 0;
}

void pty_check_given_back(struct pty *p)
{
	static const char *const modes[][2] = {
		{"\033[?1049h", "\033[?1049l"}, {"\033[?2004h", "\033[?2004l"},
		{"\033[?1000h", "\033[?1000l"}, {"\033[?1006;1000h", "\033[?1006l"},
		{"\033[?25l", "\033[?25h"},
	};
	struct termios now;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		ck_assert_msg(last_of(p, modes[i][0]) <= last_of(p, modes[i][1]),
			      "mode %zu was left on", i);
	ck_assert_int_eq(tcgetattr(p->master, &now), 0);
	ck_assert_uint_eq(now.c_lflag & (ICANON | ECHO | ISIG),
			  p->before.c_lflag & (ICANON | ECHO | ISIG));
	ck_assert_uint_eq(now.c_iflag, p->before.c_iflag);
	ck_assert_uint_eq(now.c_oflag, p->before.c_oflag);
}
