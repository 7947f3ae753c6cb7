/* Owns the loop of the full-screen program. */
#include "config.h"
#include "screen.h"

#include "client.h"
#include "export.h"
#include "remember.h"
#include "terminal.h"
#include "view.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Frames because of what the server says, not of keys: at most 30 a second. */
static const double frame_seconds = 1.0 / 30;
/* A single frame is printed at the latest then. */
static const double single_frame_seconds = 5.0;

struct call {
	struct program *program;
	struct call *next, **self;
	uint32_t tag;
};

struct program {
	struct ev_loop *loop;
	struct client *client;
	struct model model;
	struct grid grid;
	struct export *export;
	struct call *calls;      /* without an answer yet */
	const struct screen_options *options;
	char *remember;          /* file, or NULL */
	int status;              /* to exit with */
	bool mouse;

	bool dirty, urgent;      /* draw; draw at once */
	ev_tstamp drawn;         /* when the last frame was */
	ev_prepare before_wait;
	ev_timer frame;          /* the next frame that had to wait */
	ev_timer tick;           /* something shown changes by itself */
	ev_io input;
	ev_signal signals[7];

	int64_t fixed_now;       /* ns; 0: the real time */
	int sync_fd;             /* -1: none */

	int child_fd;            /* a pager runs: its process, else -1 */
	pid_t child;
	ev_io child_end;
};

/* ---- time -------------------------------------------------------------------------------- */

static void read_clock(struct program *p)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	p->model.ticks_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &ts);
	p->model.now = p->fixed_now ? p->fixed_now
				    : (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void draw_soon(struct program *p, bool urgent)
{
	p->dirty = true;
	p->urgent |= urgent;
}

/* ---- the server -------------------------------------------------------------------------- */

static void on_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct call *c = ctx;
	struct program *p = c->program;
	uint32_t tag = c->tag;
	*c->self = c->next;
	if (c->next)
		c->next->self = c->self;
	free(c);
	/* What a lost connection leaves without answer is put in order by on_down(). */
	if (error && strcmp(error->code, "lost") == 0)
		return;
	read_clock(p);
	if (tag >> 24 == TAG_EXPORT) {
		if (p->export && !export_answer(p->export, tag, result, error ? error->text : NULL))
			p->export = NULL;
	} else {
		model_answer(&p->model, tag, result, error ? error->text : NULL);
	}
	draw_soon(p, true);
}

static bool ask(void *ctx, const char *method, struct buf *params, uint32_t tag)
{
	struct program *p = ctx;
	struct call *c = xmalloc(sizeof(*c));
	if (!p->client || !client_call(p->client, method, params, on_answer, c)) {
		free(c);
		return false;
	}
	*c = (struct call){.program = p, .next = p->calls, .self = &p->calls, .tag = tag};
	if (c->next)
		c->next->self = &c->next;
	p->calls = c;
	return true;
}

static void on_up(void *ctx)
{
	struct program *p = ctx;
	read_clock(p);
	p->model.viewer = client_only_looks(p->client);
	model_up(&p->model);
	draw_soon(p, true);
}

static void on_down(void *ctx, const char *reason)
{
	struct program *p = ctx;
	read_clock(p);
	if (p->export) {
		export_cancel(p->export, "the connection to the server was lost");
		p->export = NULL;
	}
	model_down(&p->model, reason, client_retry_ms(p->client));
	draw_soon(p, false);
}

static void on_notify(void *ctx, const char *method, const msgpack_object *params)
{
	struct program *p = ctx;
	read_clock(p);
	model_notify(&p->model, method, params);
	draw_soon(p, false);
}

/* ---- what the model leaves to do --------------------------------------------------------- */

static void resize(struct program *p)
{
	int width, height;
	terminal_size(&width, &height);
	if (width != p->grid.width || height != p->grid.height)
		grid_resize(&p->grid, width, height);
	model_resize(&p->model, p->grid.width, p->grid.height);
	draw_soon(p, true);
}

static void suspend(struct program *p)
{
	terminal_leave();
	terminal_stop();
	terminal_return();
	resize(p);
}

static void child_ended(struct ev_loop *loop, ev_io *w, int events)
{
	struct program *p = w->data;
	(void)events;
	ev_io_stop(loop, w);
	waitpid(p->child, NULL, 0);
	close(p->child_fd);
	p->child_fd = -1;
	terminal_return();
	ev_io_start(p->loop, &p->input);
	resize(p);
}

/* What the shell runs for them: paths are its arguments, never part of the command, and begin with
 * a slash, so that no name is taken for an option. */
static const char view_command[] = " -- \"$1\"";
static const char diff_command[] =
	"{ if cmp -s \"$1\" \"$2\"; then echo 'The two versions are the same.'; "
	"else ls -ln \"$1\" \"$2\"; cmp \"$1\" \"$2\"; diff -u \"$1\" \"$2\"; fi; } 2>&1 | ";

static const char shell_command[] =
	"sh -c \"$1\"; r=$?; echo; [ $r = 0 ] || echo \"It ended with status $r.\"; "
	"printf 'Enter goes back to tutti. '; read -r line";

/* Gives the terminal to a command of the shell, until it ends; `one` and `two` (may be NULL) are $1 and
 * $2 in it. */
static void run_shell(struct program *p, const char *command, const char *one, const char *two)
{
	terminal_leave();
	fflush(stdout);
	p->child = fork();
	if (p->child == 0) {
		sigset_t none;
		static const int defaults[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGHUP, SIGPIPE};
		for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
			signal(defaults[i], SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl("/bin/sh", "sh", "-c", command, "tutti", one, two, (char *)NULL);
		_exit(127);
	}
	/* By number, as not every C library has a function for it. */
	p->child_fd = p->child > 0 ? (int)syscall(SYS_pidfd_open, p->child, 0) : -1;
	if (p->child_fd < 0) {
		if (p->child > 0)
			waitpid(p->child, NULL, 0);
		terminal_return();
		resize(p);
		return;
	}
	ev_io_stop(p->loop, &p->input);
	ev_io_set(&p->child_end, p->child_fd, EV_READ);
	ev_io_start(p->loop, &p->child_end);
}

/* Runs $PAGER on a file, or on the difference of two (`other` not NULL). */
static void run_pager(struct program *p, const char *path, const char *other)
{
	const char *pager = getenv("PAGER");
	pager = pager && *pager ? pager : "less";
	char *command = other ? xasprintf("%s%s", diff_command, pager)
			      : xasprintf("%s%s", pager, view_command);
	run_shell(p, command, path, other);
	free(command);
}

/* The name of a file here, for the caller to free; NULL, and it was said why not. Only if the
 * server is a local one, for else the same path may be another file. */
static char *local_file(struct program *p, struct bytes path)
{
	const struct status *st = &p->model.news.status;
	struct stat sb;
	if (!strchr(p->options->address, '/') || !st->known || st->root.len == 0 ||
	    st->root.p[0] != '/') {
		model_say(&p->model, LOOK_PLAIN,
			  "Only files of a server on this machine can be shown");
		return NULL;
	}
	char *file = xasprintf("%.*s/%.*s", (int)st->root.len, (const char *)st->root.p,
			       (int)path.len, (const char *)path.p);
	if (lstat(file, &sb) == 0 && S_ISREG(sb.st_mode))
		return file;
	model_say(&p->model, LOOK_PLAIN, "There is no such file here to show");
	free(file);
	return NULL;
}

/* `text`: one path, or two with a NUL between: the difference. */
static void show_files(struct program *p, struct bytes text)
{
	const uint8_t *end = text.len > 0 ? memchr(text.p, '\0', text.len) : NULL;
	struct bytes one = {text.p, end ? (size_t)(end - text.p) : text.len};
	char *file = local_file(p, one), *other = NULL;
	if (file && end)
		other = local_file(p, (struct bytes){end + 1, text.len - one.len - 1});
	if (file && (other || !end))
		run_pager(p, file, other);
	free(file);
	free(other);
}

static void run_todo(struct program *p)
{
	struct model *m = &p->model;
	unsigned todo = m->todo;
	struct bytes text = {m->todo_text.data, m->todo_text.len};
	m->todo = 0;
	if (todo & TODO_REMEMBER && p->remember) {
		int r = remember_write(p->remember, &m->files.query, &m->kept_setup);
		if (r < 0)
			model_say(m, LOOK_BAD, "The order could not be remembered: %s",
				  strerror(-r));
	}
	if (todo & TODO_COPY) {
		terminal_copy(text);
		model_say(m, LOOK_PLAIN, "It was given to the terminal's clipboard");
	}
	if (todo & (TODO_SHOW | TODO_DIFF))
		show_files(p, text);
	if (todo & TODO_SHELL) {
		char *command = xasprintf("%.*s", (int)text.len, (const char *)text.p);
		run_shell(p, shell_command, command, NULL);
		free(command);
	}
	if (todo & TODO_WRITE) {
		if (p->export)
			model_say(m, LOOK_PLAIN, "A table is being written already");
		else
			p->export = export_begin(m, text);
	}
	if (todo & TODO_MOUSE) {
		p->mouse = !p->mouse;
		terminal_mouse(p->mouse);
		model_say(m, LOOK_PLAIN,
			  p->mouse ? "The mouse works here; with Shift it selects text"
				   : "The mouse is the terminal's");
	}
	if (todo & TODO_RETRY)
		client_retry_now(p->client);
	if (todo & TODO_REDRAW)
		terminal_redraw();
	if (todo & TODO_SUSPEND)
		suspend(p);
	if (todo & TODO_QUIT)
		ev_break(p->loop, EVBREAK_ALL);
}

/* ---- keys and signals -------------------------------------------------------------------- */

static void on_input(struct ev_loop *loop, ev_io *w, int events)
{
	struct program *p = w->data;
	struct terminal_event e;
	(void)events;
	read_clock(p);
	/* Also for bytes that are no key yet: whoever waits for a frame gets one. */
	draw_soon(p, true);
	for (bool readable = true;; readable = false) {
		e = terminal_read(readable);
		switch (e.kind) {
		case TERMINAL_NOTHING:
			return;
		case TERMINAL_GONE:
			p->status = 128 + SIGHUP;
			ev_break(loop, EVBREAK_ALL);
			return;
		case TERMINAL_KEY:
			model_key(&p->model, e.key);
			break;
		case TERMINAL_PASTE:
			model_paste(&p->model, e.text);
			break;
		case TERMINAL_CLICK:
			model_mouse(&p->model, MOUSE_CLICK, e.y, e.x);
			break;
		case TERMINAL_MENU:
			model_mouse(&p->model, MOUSE_MENU, e.y, e.x);
			break;
		case TERMINAL_WHEEL_UP:
			model_mouse(&p->model, MOUSE_WHEEL_UP, e.y, e.x);
			break;
		case TERMINAL_WHEEL_DOWN:
			model_mouse(&p->model, MOUSE_WHEEL_DOWN, e.y, e.x);
			break;
		}
		if (p->model.todo)
			run_todo(p);
		if (p->child_fd >= 0)
			return;
	}
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	struct program *p = w->data;
	(void)events;
	read_clock(p);
	switch (w->signum) {
	case SIGWINCH:
	case SIGCONT:
		if (p->child_fd < 0)
			resize(p);
		return;
	case SIGTSTP:
		if (p->child_fd < 0)
			suspend(p);
		return;
	case SIGINT:
	case SIGQUIT:
		/* Of a key in the pager: meant for that. */
		if (p->child_fd >= 0)
			return;
		break;
	default:
		break;
	}
	p->status = 128 + w->signum;
	ev_break(loop, EVBREAK_ALL);
}

/* ---- drawing ----------------------------------------------------------------------------- */

static void tell_idle(struct program *p)
{
	bool connecting = !p->model.connected && p->model.reason.len == 0;
	if (p->sync_fd < 0 || p->dirty || p->calls || connecting)
		return;
	char byte = '.';
	if (write(p->sync_fd, &byte, 1) < 0 && errno != EAGAIN)
		p->sync_fd = -1;
}

static void draw(struct program *p)
{
	p->dirty = p->urgent = false;
	read_clock(p);
	model_prepare(&p->model);
	view_draw(&p->model, &p->grid);
	terminal_draw(&p->grid);
	p->drawn = ev_now(p->loop);
	ev_timer_stop(p->loop, &p->frame);
	int64_t ms = model_tick_ms(&p->model);
	ev_timer_stop(p->loop, &p->tick);
	if (ms > 0) {
		ev_timer_set(&p->tick, (double)ms / 1000, 0);
		ev_timer_start(p->loop, &p->tick);
	}
	tell_idle(p);
}

/* Once per turn of the loop, before it waits. */
static void before_wait(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct program *p = w->data;
	(void)events;
	if (!p->dirty || p->child_fd >= 0)
		return;
	double wait = p->drawn + frame_seconds - ev_now(loop);
	if (p->urgent || wait <= 0) {
		draw(p);
	} else if (!ev_is_active(&p->frame)) {
		ev_timer_set(&p->frame, wait, 0);
		ev_timer_start(loop, &p->frame);
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct program *p = w->data;
	(void)loop;
	(void)events;
	draw_soon(p, true);
}

/* ---- one frame as text ------------------------------------------------------------------- */

static bool is_complete(const struct program *p)
{
	const struct model *m = &p->model;
	return m->connected && m->files.known && m->news.status.known && !p->calls;
}

static void frame_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct program *p = w->data;
	(void)events;
	if (!p->dirty)
		return;
	p->dirty = p->urgent = false;
	read_clock(p);
	model_prepare(&p->model);
	if (is_complete(p) || (!p->model.connected && p->model.reason.len > 0))
		ev_break(loop, EVBREAK_ALL);
}

static void frame_timeout(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int print_frame(struct program *p)
{
	struct buf out = {0};
	ev_prepare_init(&p->before_wait, frame_turn);
	ev_prepare_start(p->loop, &p->before_wait);
	ev_timer_init(&p->tick, frame_timeout, single_frame_seconds, 0);
	ev_timer_start(p->loop, &p->tick);
	ev_run(p->loop, 0);
	model_prepare(&p->model);
	view_draw(&p->model, &p->grid);
	grid_print(&p->grid, &out, false);
	fwrite(out.data, 1, out.len, stdout);
	buf_release(&out);
	if (fflush(stdout) != 0)
		return 1;
	return p->model.ever_connected ? 0 : EXIT_NO_SERVER;
}

/* ---- the whole --------------------------------------------------------------------------- */

static void start_signals(struct program *p)
{
	static const int numbers[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGTERM, SIGHUP, SIGINT, SIGQUIT};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		ev_signal_init(&p->signals[i], on_signal, numbers[i]);
		p->signals[i].data = p;
		ev_signal_start(p->loop, &p->signals[i]);
	}
}

static void stop_signals(struct program *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->signals); i++)
		ev_signal_stop(p->loop, &p->signals[i]);
}

static int run_on_terminal(struct program *p)
{
	const char *no_color = getenv("NO_COLOR");
	struct terminal_options options = {
		.color = !p->options->no_color && !(no_color && *no_color),
		.mouse = p->mouse,
	};
	start_signals(p);
	const char *problem = terminal_open(&options);
	if (problem) {
		stop_signals(p);
		fprintf(stderr, "tutti: %s\n", problem);
		return 2;
	}
	ev_prepare_init(&p->before_wait, before_wait);
	ev_prepare_start(p->loop, &p->before_wait);
	ev_io_init(&p->input, on_input, STDIN_FILENO, EV_READ);
	ev_io_start(p->loop, &p->input);
	resize(p);
	ev_run(p->loop, 0);
	terminal_close();
	stop_signals(p);
	if (p->status == 0 && !p->model.ever_connected)
		p->status = EXIT_NO_SERVER;
	return p->status;
}

/* Hooks for tests: a fixed time, and a byte for each frame after which nothing is pending. */
static void read_hooks(struct program *p)
{
	const char *now = getenv("TUTTI_NOW"), *sync = getenv("TUTTI_TEST_SYNC_FD");
	char *end;
	p->sync_fd = -1;
	if (now) {
		long long seconds = strtoll(now, &end, 10);
		if (*now && !*end && seconds > 0 && seconds < INT64_MAX / 1000000000)
			p->fixed_now = seconds * 1000000000;
	}
	if (sync) {
		long fd = strtol(sync, &end, 10);
		if (*sync && !*end && fd > 2 && fd < 1024 && fcntl((int)fd, F_GETFD) >= 0)
			p->sync_fd = (int)fd;
	}
}

int screen_run(const struct screen_options *options)
{
	struct program p = {.options = options, .child_fd = -1, .mouse = !options->no_mouse};
	static const struct client_callbacks callbacks = {on_up, on_down, on_notify};

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	p.loop = ev_loop_new(EVFLAG_AUTO);
	if (!p.loop) {
		fprintf(stderr, "tutti: no event loop: %s\n", strerror(errno));
		return 1;
	}
	read_hooks(&p);
	model_init(&p.model, ask, &p);
	p.model.ascii = options->ascii || !terminal_is_utf8();
	p.model.readonly = options->readonly;
	buf_addf(&p.model.address, "%s", options->address);
	p.remember = remember_place();
	if (p.remember)
		remember_read(p.remember, &p.model.files.query, &p.model.kept_setup);
	p.model.setup = p.model.kept_setup;
	read_clock(&p);
	grid_init(&p.grid, options->frame_width, options->frame_height, p.model.ascii);
	model_resize(&p.model, p.grid.width, p.grid.height);

	ev_timer_init(&p.frame, on_timer, 0, 0);
	ev_timer_init(&p.tick, on_timer, 0, 0);
	ev_init(&p.child_end, child_ended);
	p.frame.data = p.tick.data = p.before_wait.data = p.input.data = p.child_end.data = &p;
	p.client = client_new(p.loop, options->address, "tutti", true, &callbacks, &p);

	int status = options->frame_width > 0 ? print_frame(&p) : run_on_terminal(&p);

	if (p.export)
		export_cancel(p.export, "tutti was left");
	client_free(p.client);
	p.client = NULL;
	while (p.calls) {
		struct call *next = p.calls->next;
		free(p.calls);
		p.calls = next;
	}
	model_release(&p.model);
	grid_release(&p.grid);
	free(p.remember);
	ev_loop_destroy(p.loop);
	return status;
}
