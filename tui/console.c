/* Owns the connection of a command, and printing without losing it. */
#include "config.h"
#include "console.h"

#include "text.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("tutti: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int console_find(const char *wanted, struct buf *address)
{
	struct buf problem = {0};
	int r = client_find(wanted, address, &problem);
	if (r)
		complain("%.*s", (int)problem.len, (const char *)problem.data);
	buf_add_char(address, '\0');
	buf_release(&problem);
	return r == -EINVAL ? EXIT_USAGE : r ? EXIT_NO_SERVER : EXIT_DONE;
}

int console_open(struct console *s, const struct arguments *a, bool reconnect,
		 const struct client_callbacks *callbacks, void *ctx)
{
	static const struct client_callbacks none;
	struct buf address = {0};
	*s = (struct console){.arguments = a};
	int status = console_find(a->server, &address);
	if (status == EXIT_DONE) {
		s->loop = ev_loop_new(EVFLAG_AUTO);
		s->client = client_new(s->loop, (const char *)address.data, "tutti", reconnect,
				       callbacks ? callbacks : &none, ctx);
		if (client_run_until_up(s->client)) {
			struct buf shown = {0};
			text_show(&shown, bytes_of((const char *)address.data));
			complain("%.*s: %s", (int)shown.len, (const char *)shown.data,
				 client_reason(s->client));
			buf_release(&shown);
			status = EXIT_NO_SERVER;
		}
	}
	buf_release(&address);
	return status;
}

void console_close(struct console *s)
{
	client_free(s->client);
	if (s->loop)
		ev_loop_destroy(s->loop);
	buf_release(&s->out);
	s->client = NULL;
	s->loop = NULL;
}

struct asking {
	console_take_fn *take;
	void *ctx;
	char *code;      /* NULL: an error is said on stderr */
	struct buf *why;
};

static void on_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct asking *asking = ctx;
	if (error && asking->code) {
		snprintf(asking->code, CONSOLE_CODE_MAX, "%s", error->code);
		if (asking->why)
			buf_add(asking->why, error->text, strlen(error->text) + 1);
	} else if (error) {
		complain("%s", error->text);
	} else if (asking->take) {
		asking->take(asking->ctx, result);
	}
}

int console_ask(struct console *s, const char *method, struct buf *params, console_take_fn *take,
		void *ctx)
{
	struct buf none = {0};
	struct asking asking = {.take = take, .ctx = ctx};
	int r = client_run(s->client, method, params ? params : &none, on_answer, &asking);
	return r ? EXIT_NOT_DONE : EXIT_DONE;
}

int console_try(struct console *s, const char *method, struct buf *params, console_take_fn *take,
		void *ctx, char code[CONSOLE_CODE_MAX], struct buf *why)
{
	struct asking asking = {.take = take, .ctx = ctx, .code = code, .why = why};
	code[0] = '\0';
	return client_run(s->client, method, params, on_answer, &asking) ? EXIT_NOT_DONE : EXIT_DONE;
}

/* --- printing */

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)w, (void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* Lets the loop run, and with it the keep-alive, until somebody reads. */
static void wait_for_reader(struct console *s)
{
	ev_io w;
	ev_io_init(&w, on_writable, STDOUT_FILENO, EV_WRITE);
	ev_io_start(s->loop, &w);
	ev_run(s->loop, 0);
	ev_io_stop(s->loop, &w);
}

static bool can_write(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
	return poll(&p, 1, 0) != 0;
}

bool console_print(struct console *s)
{
	size_t done = 0;
	while (done < s->out.len && !s->broken) {
		/* What poll() promises: so much can be written at once without waiting. */
		size_t len = s->out.len - done < PIPE_BUF ? s->out.len - done : PIPE_BUF;
		if (!can_write())
			wait_for_reader(s);
		ssize_t n = write(STDOUT_FILENO, s->out.data + done, len);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			wait_for_reader(s);
		} else if (errno != EINTR) {
			if (errno != EPIPE)
				complain("cannot print: %s", strerror(errno));
			s->broken = true;
		}
	}
	buf_clear(&s->out);
	return !s->broken;
}

int console_end(struct console *s)
{
	return console_print(s) ? EXIT_DONE : EXIT_NOT_DONE;
}
