/*
 * Owns `tutti watch`: one line for each event, until interrupted. Events have numbers; after a
 * loss the connection comes back and asks for what came after the last one seen, and what the
 * server does not have any more is said to be missing.
 */
#include "config.h"
#include "commands.h"

#include "json.h"
#include "text.h"
#include "wire.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct watch {
	struct console console;
	uint64_t last;  /* number of the last event seen */
	bool known;     /* there is such a number */
	bool asked;     /* the answer that says where to begin is not there yet */
	bool met;       /* it was connected once */
	bool behind;    /* events were passed over, since too much waits to be printed */
	bool stop;
	ev_io reader;   /* is anybody left who reads our pipe? */
};

enum { WAITING_MAX = 1 << 20 }; /* bytes that wait to be printed */

/* What happened, in words: %e the event, %p its path, %r its replica. */
static const struct {
	const char *event, *words;
} phrases[] = {
	{"changed", "%p changed on %r"},
	{"created", "%p created on %r"},
	{"deleted", "%p deleted on %r"},
	{"moved", "%p moved on %r"},
	{"found new", "%p found new on %r"},
	{"found changed", "%p found changed on %r"},
	{"found gone", "%p found deleted on %r"},
	{"received", "%p received from %r"},
	{"removed", "%p removed, as %r deleted it"},
	{"held", "deletions are held on %r"},
	{"conflict", "%p: conflict, on %r"},
	{"resolved", "%p: conflict settled on %r"},
	{"undone", "%p: taken back on %r"},
	{"restored", "%p restored on %r"},
	{"failed", "%p failed on %r"},
	{"peer-up", "%r is connected"},
	{"peer-down", "%r is not connected any more"},
	{"resync", "resync of %p"},
	{"scan", "%r has read its directory"},
	{"note", "note from %r"},
	{"gap", "events are missing"},
};

struct happened {
	struct bytes event, path, replica, detail;
	int64_t time;
};

static void print_words(struct buf *out, const struct happened *h)
{
	const char *words = "%e %p on %r";
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (bytes_eq(h->event, bytes_of(phrases[i].event)))
			words = phrases[i].words;
	}
	for (; *words; words++) {
		if (*words != '%') {
			buf_add_char(out, *words);
			continue;
		}
		switch (*++words) {
		case 'e':
			text_show(out, h->event);
			break;
		case 'p':
			text_show(out, h->path.len ? h->path : bytes_of("everything"));
			break;
		case 'r':
			text_show(out, h->replica.len ? h->replica : bytes_of("?"));
			break;
		}
	}
}

static void print_happened(struct buf *out, const struct happened *h)
{
	print_date(out, h->time, true);
	buf_addf(out, "  ");
	print_words(out, h);
	if (h->detail.len) {
		buf_addf(out, ": ");
		text_show(out, h->detail);
	}
	buf_add_char(out, '\n');
}

static void print_happened_json(struct buf *out, const struct happened *h)
{
	struct json w;
	json_init(&w, out);
	json_object(&w, NULL);
	json_seconds(&w, "time", h->time);
	json_string(&w, "event", h->event);
	json_path(&w, "path", h->path);
	json_string(&w, "replica", h->replica);
	json_path(&w, "detail", h->detail);
	json_object_end(&w);
	json_line_end(&w);
}

static void print(struct watch *w, const struct happened *h)
{
	(w->console.arguments->json ? print_happened_json : print_happened)(&w->console.out, h);
}

static void take_event(struct watch *w, const msgpack_object *event)
{
	struct happened h;
	uint64_t n;
	wire_get_uint(event, "n", UINT64_MAX, &n);
	if (w->known && n <= w->last)
		return; /* seen before the loss */
	w->last = n;
	w->known = true;
	wire_get_int(event, "time", &h.time);
	wire_get_str(event, "event", &h.event);
	wire_get_bytes(event, "path", &h.path);
	wire_get_str(event, "replica", &h.replica);
	wire_get_bytes(event, "detail", &h.detail);
	print(w, &h);
}

static void take_gap(struct watch *w)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct happened h = {
		.event = bytes_of("gap"),
		.replica = bytes_of(client_server_name(w->console.client)),
		.detail = bytes_of("the server does not have them any more"),
		.time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
	};
	print(w, &h);
}

static void on_events(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct watch *w = ctx;
	w->asked = false;
	if (error) {
		if (strcmp(error->code, ERROR_LOST)) {
			complain("%s", error->text);
			w->stop = true;
		}
		return;
	}
	uint64_t next;
	bool gap, before = w->known;
	wire_get_uint(result, "next", UINT64_MAX, &next);
	wire_get_bool(result, "gap", &gap);
	if (before && (gap || next <= w->last)) {
		take_gap(w);
		w->known = false; /* a server that began anew begins its numbers anew */
	}
	const msgpack_object *events = wire_get(result, "events");
	for (size_t i = 0; before && i < wire_count(events); i++)
		take_event(w, wire_at(events, i));
	if (!w->known && next > 0) {
		w->last = next - 1;
		w->known = true;
	}
}

/* Asks for what came after the last event seen, and to be told what comes. */
static void ask_events(struct watch *w)
{
	struct buf params = {0};
	wire_map(&params, w->known ? 1 : 0);
	if (w->known)
		wire_put_uint(&params, "since", w->last);
	w->asked = client_call(w->console.client, "events", &params, on_events, w);
	buf_release(&params);
}

static void on_up(void *ctx)
{
	struct watch *w = ctx;
	w->met = true;
	w->behind = false;
	ask_events(w);
}

static void on_down(void *ctx, const char *reason)
{
	struct watch *w = ctx;
	if (w->met && client_tries(w->console.client) == 0)
		complain("lost the server: %s; trying to come back", reason);
}

static void on_notify(void *ctx, const char *method, const msgpack_object *params)
{
	struct watch *w = ctx;
	if (w->asked || w->behind || strcmp(method, "event"))
		return;
	if (w->console.out.len > WAITING_MAX)
		w->behind = true;
	else
		take_event(w, params);
}

/* The other end of our pipe is closed: nobody will read the next event, so do not wait for it. */
static void on_reader_gone(struct ev_loop *loop, ev_io *w, int revents)
{
	struct watch *watch = w->data;
	(void)loop, (void)revents;
	watch->stop = true;
}

static bool is_our_pipe(int fd)
{
	struct stat st;
	return !fstat(fd, &st) && S_ISFIFO(st.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
}

int command_watch(const struct arguments *a)
{
	static const struct client_callbacks callbacks = {
		.up = on_up, .down = on_down, .notify = on_notify,
	};
	struct watch w = {0};
	int status = console_open(&w.console, a, true, &callbacks, &w);
	if (status == EXIT_DONE) {
		ev_io_init(&w.reader, on_reader_gone, STDOUT_FILENO, EV_READ);
		w.reader.data = &w;
		if (is_our_pipe(STDOUT_FILENO))
			ev_io_start(w.console.loop, &w.reader);
		while (!w.stop && console_print(&w.console)) {
			if (w.behind) {
				w.behind = false;
				ask_events(&w);
			}
			ev_run(w.console.loop, EVRUN_ONCE);
		}
		ev_io_stop(w.console.loop, &w.reader);
		status = EXIT_NOT_DONE; /* who watches is interrupted, or cannot go on */
	}
	console_close(&w.console);
	return status;
}
