/* Owns one connection: a non-blocking socket on the loop, framed both ways, with deadlines. */
#include "config.h"
#include "conn.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_SIZE = 64 * 1024,
	IN_KEEP = 64 * 1024,      /* a larger empty buffer is given back */
	WRITE_QUOTA = 1024 * 1024, /* bytes a turn, */
	WRITE_COST = 4096,        /* and so many for each call */
	IOVECS = 32,
	SMALL = 8 * 1024,         /* frames below are copied behind one another, */
	CHUNK = 64 * 1024,        /* until they fill this */
};

const struct conn_times conn_times_default = {
	.hello = 10, .ping = 20, .dead = 60, .stall = 60, .linger = 5,
	.frame = 30, .frame_bytes_per_second = 1024,
};

struct chunk {
	struct chunk *next;
	struct buf b;
	size_t at; /* bytes of it that are sent */
};

/*
 * OPEN     frames come and go
 * LEAVING  a bye is on its way out; what comes in is thrown away until the other side closes
 * ENDED    the socket is closed; on_close and free() follow at the end of the turn
 */
enum state { OPEN, LEAVING, ENDED };

struct conn {
	struct ev_loop *loop;
	int fd; /* -1 once ENDED */
	enum state state;
	struct conn_callbacks cb;
	void *ctx;
	struct conn_transport transport;
	struct conn_times times;
	char *reason; /* of the end */

	ev_io reader, writer;
	ev_timer clock;
	ev_prepare turn; /* never started; fed when something is to be done at the turn's end */

	struct wire_frame frame;
	struct buf in; /* starts with a header */
	unsigned paused;
	bool greeted;
	bool bad; /* what came was no frame */
	bool eof;
	bool look_again; /* frames may wait in `in` since a pause ended */

	struct chunk *first, *last;
	size_t queued, low, high;
	bool full;
	bool deaf; /* the other side takes no more bytes */
	bool shut; /* our end of a LEAVING connection is closed */
	unsigned iteration; /* of the loop, in which ... */
	size_t written;     /* so much of the quota was used */

	unsigned busy; /* callbacks that are running */
	bool forgotten;
	uint64_t bytes_in, bytes_out;

	/* monotonic seconds */
	double born, heard, said, taken, frame_begun, left, armed;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs on_turn after everything else that is pending in this turn. */
static void call_turn(struct conn *c)
{
	if (!ev_is_pending(&c->turn))
		ev_feed_event(c->loop, &c->turn, EV_CUSTOM);
}

static void drop_queue(struct conn *c)
{
	while (c->first) {
		struct chunk *next = c->first->next;
		buf_release(&c->first->b);
		free(c->first);
		c->first = next;
	}
	c->last = NULL;
	c->queued = 0;
}

static bool has_more(const struct conn *c)
{
	return c->transport.has_more && c->transport.has_more(c->transport.ctx);
}

static bool unsent(const struct conn *c)
{
	return c->transport.unsent && c->transport.unsent(c->transport.ctx);
}

static const char *problem_of(const struct conn *c, ssize_t error)
{
	if (error == -EPROTO && c->transport.problem)
		return c->transport.problem(c->transport.ctx);
	return strerror((int)-error);
}

static void end(struct conn *c, const char *reason)
{
	if (c->state == ENDED)
		return;
	c->state = ENDED;
	if (!c->reason)
		c->reason = xstrdup(reason);
	ev_io_stop(c->loop, &c->reader);
	ev_io_stop(c->loop, &c->writer);
	ev_timer_stop(c->loop, &c->clock);
	if (c->transport.finish)
		c->transport.finish(c->transport.ctx, c->fd);
	close(c->fd);
	c->fd = -1;
	drop_queue(c);
	call_turn(c);
}

static void reap(struct conn *c)
{
	assert(c->state == ENDED && !c->busy);
	ev_clear_pending(c->loop, &c->turn);
	if (!c->forgotten) {
		c->busy++;
		c->cb.on_close(c, c->reason, c->ctx);
		c->busy--;
	}
	if (c->transport.release)
		c->transport.release(c->transport.ctx);
	wire_frame_release(&c->frame);
	buf_release(&c->in);
	free(c->reason);
	free(c);
}

/* ---- deadlines -------------------------------------------------------------------------- */

static double earlier(double a, double b)
{
	return a < b ? a : b;
}

static bool in_frame(const struct conn *c)
{
	return c->state == OPEN && !c->paused && c->in.len;
}

static double frame_deadline(const struct conn *c)
{
	double length = c->in.len < WIRE_HEADER_SIZE ? 0 : wire_header_length(c->in.data);
	return c->frame_begun + c->times.frame + length / c->times.frame_bytes_per_second;
}

/* One timer for all of them: it is set to the earliest, and late ones are found when it fires. */
static double next_deadline(const struct conn *c)
{
	if (c->state == LEAVING)
		return c->left + c->times.linger;
	double t = c->greeted ? c->said + c->times.ping : c->born + c->times.hello;
	if (c->greeted && !c->paused)
		t = earlier(t, c->heard + c->times.dead);
	if (c->queued || unsent(c))
		t = earlier(t, c->taken + c->times.stall);
	if (in_frame(c))
		t = earlier(t, frame_deadline(c));
	return t;
}

static void arm(struct conn *c)
{
	if (c->state == ENDED)
		return;
	double t = next_deadline(c);
	if (ev_is_pending(&c->clock) || (ev_is_active(&c->clock) && c->armed <= t))
		return;
	ev_timer_stop(c->loop, &c->clock);
	double wait = t - now();
	ev_timer_set(&c->clock, (wait > 0 ? wait : 0) + 0.001, 0);
	ev_timer_start(c->loop, &c->clock);
	c->armed = t;
}

static void say_ping(struct conn *c)
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, message_name(MESSAGE_PING));
	wire_map(&b, 0);
	wire_finish(&b, mark);
	conn_send(c, &b);
	buf_release(&b);
}

static void on_clock(struct ev_loop *loop, ev_timer *w, int events)
{
	struct conn *c = w->data;
	double t = now();
	(void)loop;
	(void)events;
	const char *late = NULL;
	if (c->state == LEAVING) {
		if (t >= c->left + c->times.linger)
			late = "the other side did not close in time";
	} else if (!c->greeted && t >= c->born + c->times.hello) {
		late = "no hello came in time";
	} else if (in_frame(c) && t >= frame_deadline(c)) {
		late = "a message took too long to arrive";
	} else if ((c->queued || unsent(c)) && t >= c->taken + c->times.stall) {
		late = "the other side does not take what is sent";
	} else if (c->greeted && !c->paused && t >= c->heard + c->times.dead) {
		late = "nothing was heard for too long";
	} else if (c->greeted && t >= c->said + c->times.ping) {
		if (!c->queued)
			say_ping(c);
		c->said = t;
	}
	if (late)
		end(c, late);
	arm(c);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void leave(struct conn *c, const char *code, const char *text, const char *reason)
{
	struct buf b = {0};
	if (c->transport.open && !c->transport.open(c->transport.ctx)) {
		end(c, reason);
		return;
	}
	size_t mark = wire_begin_notification(&b, message_name(MESSAGE_BYE));
	wire_map(&b, 2);
	wire_put_text(&b, "code", code);
	wire_put_text(&b, "text", text);
	wire_finish(&b, mark);
	conn_send(c, &b);
	buf_release(&b);
	if (c->state != OPEN) /* the queue was too long */
		return;
	c->state = LEAVING;
	c->reason = xstrdup(reason);
	c->left = now();
	buf_release(&c->in);
	ev_io_start(c->loop, &c->reader);
	arm(c);
	call_turn(c);
}

static void bad_frame(struct conn *c, const char *why)
{
	char reason[256];
	snprintf(reason, sizeof(reason), "bad message: %s", why);
	c->bad = true;
	leave(c, BYE_PROTOCOL, why, reason);
}

/* A handshake or an alert of TLS, where the length of a frame should stand. */
static bool is_tls(const uint8_t *header)
{
	return (header[0] == 0x16 || header[0] == 0x15) && header[1] == 3;
}

/* Hands out the whole frames in `in`, and keeps the rest. */
static void deliver(struct conn *c)
{
	size_t at = 0;
	while (c->state == OPEN && !c->paused && c->in.len - at >= WIRE_HEADER_SIZE) {
		size_t len = wire_header_length(c->in.data + at);
		if (len > (c->greeted ? WIRE_FRAME_MAX : WIRE_FRAME_MAX_STRANGER)) {
			bad_frame(c, is_tls(c->in.data + at) ? "it is encrypted, and here is no TLS"
							     : "it is too long");
			return;
		}
		if (c->in.len - at - WIRE_HEADER_SIZE < len)
			break;
		struct bytes object = {c->in.data + at + WIRE_HEADER_SIZE, len};
		const char *why = wire_decode(&c->frame, object);
		if (why) {
			bad_frame(c, why);
			return;
		}
		at += WIRE_HEADER_SIZE + len;
		c->frame_begun = c->heard;
		c->busy++;
		c->cb.on_frame(c, &c->frame, c->ctx);
		c->busy--;
	}
	if (c->state != OPEN)
		return;
	buf_drop_front(&c->in, at);
	if (!c->in.len && c->in.cap > IN_KEEP)
		buf_release(&c->in);
	if (c->eof && !c->paused)
		end(c, c->in.len ? "the connection was cut in the middle of a message"
				 : "the other side closed the connection");
}

/* False when there is nothing more to read now. */
static bool read_some(struct conn *c, size_t size)
{
	bool begins = !c->in.len;
	ssize_t r = c->transport.read(c->transport.ctx, c->fd, buf_reserve(&c->in, size), size);
	if (r == -EINTR)
		return true;
	if (r == -EAGAIN)
		return false;
	if (r < 0) {
		end(c, problem_of(c, r));
		return false;
	}
	if (r == 0) {
		c->eof = true;
		ev_io_stop(c->loop, &c->reader);
		if (c->state == LEAVING)
			end(c, "closed");
		return false;
	}
	assert((size_t)r <= size);
	c->bytes_in += (uint64_t)r;
	c->heard = now();
	if (c->state == LEAVING)
		return true;
	c->in.len += (size_t)r;
	if (begins)
		c->frame_begun = c->heard;
	return true;
}

static void read_turn(struct conn *c)
{
	size_t quota = CONN_READ_QUOTA;
	/* The socket will tell of what it has; of what the transport has, nobody will. */
	while ((quota >= READ_SIZE || has_more(c)) && c->state != ENDED && !c->eof &&
	       !(c->state == OPEN && c->paused)) {
		bool more = read_some(c, READ_SIZE);
		if (c->state == OPEN)
			deliver(c);
		if (!more)
			break;
		quota -= quota < READ_SIZE ? quota : READ_SIZE;
	}
	if (c->state != ENDED && unsent(c))
		ev_io_start(c->loop, &c->writer);
	else if (c->state != ENDED && c->first)
		call_turn(c); /* it may have waited for what was read */
	arm(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	read_turn(w->data);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void drop_sent(struct conn *c, size_t n)
{
	c->queued -= n;
	while (n) {
		struct chunk *chunk = c->first;
		size_t rest = chunk->b.len - chunk->at;
		if (n < rest) {
			chunk->at += n;
			return;
		}
		n -= rest;
		c->first = chunk->next;
		if (!c->first)
			c->last = NULL;
		buf_release(&chunk->b);
		free(chunk);
	}
}

/* It may have said why before it stopped listening: that is read first. */
static void write_failed(struct conn *c, ssize_t error)
{
	c->deaf = true;
	drop_queue(c);
	ev_io_stop(c->loop, &c->writer);
	if (c->state == OPEN && !c->paused)
		read_turn(c);
	end(c, problem_of(c, error));
}

static void flush(struct conn *c)
{
	if (c->iteration != ev_iteration(c->loop)) {
		c->iteration = ev_iteration(c->loop);
		c->written = 0;
	}
	while (c->first || unsent(c)) {
		if (c->written >= WRITE_QUOTA) {
			ev_io_start(c->loop, &c->writer);
			return;
		}
		struct iovec v[IOVECS];
		int n = 0;
		for (struct chunk *k = c->first; k && n < IOVECS; k = k->next)
			v[n++] = (struct iovec){k->b.data + k->at, k->b.len - k->at};
		ssize_t r = c->transport.write(c->transport.ctx, c->fd, v, n);
		if (r == -EINTR)
			continue;
		if (r == -EAGAIN) {
			if (!c->transport.unsent || unsent(c))
				ev_io_start(c->loop, &c->writer);
			else /* something must be read first */
				ev_io_stop(c->loop, &c->writer);
			return;
		}
		if (r < 0) {
			write_failed(c, r);
			return;
		}
		drop_sent(c, (size_t)r);
		c->bytes_out += (uint64_t)r;
		c->written += (size_t)r + WRITE_COST;
		c->said = c->taken = now();
	}
	ev_io_stop(c->loop, &c->writer);
	if (c->state == LEAVING && !c->shut && c->transport.finish)
		c->transport.finish(c->transport.ctx, c->fd);
	if (c->state == LEAVING && unsent(c)) {
		ev_io_start(c->loop, &c->writer);
	} else if (c->state == LEAVING && !c->shut) {
		c->shut = true;
		shutdown(c->fd, SHUT_WR);
	}
}

static void write_turn(struct conn *c)
{
	flush(c);
	if (c->state == OPEN && c->full && c->queued <= c->low) {
		c->full = false;
		if (c->cb.on_drained) {
			c->busy++;
			c->cb.on_drained(c, c->ctx);
			c->busy--;
		}
	}
	arm(c);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	write_turn(w->data);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct conn *c = w->data;
	(void)loop;
	(void)events;
	assert(!c->busy);
	if (c->state != ENDED && !ev_is_active(&c->writer))
		write_turn(c);
	if (c->state == OPEN && c->look_again && !c->paused) {
		c->look_again = false;
		deliver(c);
		if (c->state == OPEN && !c->paused && has_more(c))
			read_turn(c);
		arm(c);
	}
	if (c->state == ENDED)
		reap(c);
}

/* ---- the plain transport ---------------------------------------------------------------- */

static ssize_t plain_read(void *ctx, int fd, void *to, size_t len)
{
	(void)ctx;
	ssize_t r = recv(fd, to, len, 0);
	if (r < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return r;
}

static ssize_t plain_write(void *ctx, int fd, const struct iovec *from, int n)
{
	(void)ctx;
	struct msghdr m = {.msg_iov = (struct iovec *)from, .msg_iovlen = (size_t)n};
	ssize_t r = sendmsg(fd, &m, MSG_NOSIGNAL);
	if (r < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return r;
}

/* What an option cannot do on some system, the deadlines do later. */
static void prepare_socket(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);
	int flags = fcntl(fd, F_GETFL);
	int r = fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	assert(flags >= 0 && r == 0);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain != AF_INET && domain != AF_INET6)
		return;
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 60 * 1000}, /* ms */
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 30}, /* s */
		{IPPROTO_TCP, TCP_KEEPINTVL, 10},
		{IPPROTO_TCP, TCP_KEEPCNT, 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* ---- for the owner ---------------------------------------------------------------------- */

struct conn *conn_new(struct ev_loop *loop, int fd, const struct conn_callbacks *callbacks,
		      void *ctx)
{
	assert(callbacks->on_frame && callbacks->on_close);
	prepare_socket(fd);
	struct conn *c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->fd = fd;
	c->cb = *callbacks;
	c->ctx = ctx;
	c->transport = (struct conn_transport){.read = plain_read, .write = plain_write};
	c->times = conn_times_default;
	c->low = CONN_LOW_WATER;
	c->high = CONN_HIGH_WATER;
	c->born = c->heard = c->said = now();
	wire_frame_init(&c->frame);
	ev_io_init(&c->reader, on_readable, fd, EV_READ);
	ev_io_init(&c->writer, on_writable, fd, EV_WRITE);
	ev_init(&c->clock, on_clock);
	ev_init(&c->turn, on_turn);
	c->reader.data = c->writer.data = c->clock.data = c->turn.data = c;
	/* What has come is read before it is found to be late; the turn ends after all that. */
	ev_set_priority(&c->clock, EV_MINPRI + 1);
	ev_set_priority(&c->turn, EV_MINPRI);
	ev_io_start(loop, &c->reader);
	arm(c);
	return c;
}

void conn_set_transport(struct conn *c, const struct conn_transport *transport)
{
	c->transport = *transport;
	c->taken = now();
	if (unsent(c))
		call_turn(c);
}

void conn_set_times(struct conn *c, const struct conn_times *times)
{
	c->times = *times;
	ev_timer_stop(c->loop, &c->clock);
	arm(c);
}

void conn_set_ctx(struct conn *c, void *ctx)
{
	c->ctx = ctx;
}

void conn_set_water(struct conn *c, size_t low, size_t high)
{
	assert(low < high);
	c->low = low;
	c->high = high;
}

void conn_greeted(struct conn *c)
{
	c->greeted = true;
	ev_timer_stop(c->loop, &c->clock);
	arm(c);
}

void conn_send(struct conn *c, struct buf *frames)
{
	if (!frames->len)
		return;
	if (c->state != OPEN || c->deaf) {
		buf_clear(frames);
		return;
	}
	size_t len = frames->len;
	if (len > CONN_QUEUE_MAX - c->queued) {
		buf_clear(frames);
		end(c, "the other side does not take what is sent");
		return;
	}
	if (!c->queued)
		c->taken = now();
	bool copy = len < SMALL || len < frames->cap / 2;
	if (!c->last || !copy || c->last->b.len + len > CHUNK) {
		struct chunk *chunk = xcalloc(1, sizeof(*chunk));
		if (c->last)
			c->last->next = chunk;
		else
			c->first = chunk;
		c->last = chunk;
	}
	if (copy) {
		buf_add(&c->last->b, frames->data, len);
		buf_clear(frames);
	} else {
		c->last->b = *frames;
		*frames = (struct buf){0};
	}
	c->queued += len;
	if (c->queued >= c->high)
		c->full = true;
	arm(c);
	call_turn(c);
}

size_t conn_queued(const struct conn *c)
{
	return c->queued;
}

bool conn_full(const struct conn *c)
{
	return c->full;
}

void conn_pause(struct conn *c)
{
	c->paused++;
	if (c->state == OPEN)
		ev_io_stop(c->loop, &c->reader);
}

void conn_resume(struct conn *c)
{
	assert(c->paused);
	c->paused--;
	if (c->paused || c->state != OPEN)
		return;
	c->heard = c->frame_begun = now();
	c->look_again = true;
	if (!c->eof)
		ev_io_start(c->loop, &c->reader);
	arm(c);
	call_turn(c);
}

void conn_close(struct conn *c, const char *reason)
{
	if (c->state == OPEN)
		end(c, reason);
}

void conn_bye(struct conn *c, const char *code, const char *text)
{
	if (c->state == OPEN)
		leave(c, code, text, text);
}

void conn_forget(struct conn *c)
{
	c->forgotten = true;
	if (c->state != LEAVING)
		end(c, "forgotten");
	if (c->state == ENDED && !c->busy)
		reap(c);
}

bool conn_ending(const struct conn *c)
{
	return c->state != OPEN;
}

bool conn_bad(const struct conn *c)
{
	return c->bad;
}

int conn_fd(const struct conn *c)
{
	return c->fd;
}

uint64_t conn_bytes_in(const struct conn *c)
{
	return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
	return c->bytes_out;
}

double conn_silence(const struct conn *c)
{
	return now() - c->heard;
}
