/*
 * Owns one connection: a non-blocking socket on the loop, framed both ways. Bytes come in and
 * leave as decoded frames; bytes to be sent are queued and written once per turn of the loop.
 * Keeps the deadlines that a silent, slow or hostile other side runs into. Knows no method but
 * `ping` and `bye`, which it can say by itself.
 *
 * Life: conn_new -> (frames, sends) -> conn_close, conn_bye, the other side, or a deadline
 *   -> on_close, once -> the connection is gone.
 * No function here calls back before it returns, and the connection is never freed inside one of
 * its callbacks: that happens when the loop has nothing else to do in this turn, after on_close.
 * Callbacks must not run the loop.
 *
 * All times are monotonic: a clock that is set ends no connection.
 */
#ifndef TUTTI_CONN_H
#define TUTTI_CONN_H

#include "wire.h"

#include <ev.h>
#include <sys/types.h>

struct iovec;

struct conn;

struct conn_callbacks {
	/* A frame, scanned and decoded; it is valid until the callback returns. */
	void (*on_frame)(struct conn *c, const struct wire_frame *f, void *ctx);
	/* The end, and why, in words fit for a log. The last thing that is heard of c: afterwards
	 * the pointer must not be used. `reason` is valid until the callback returns. */
	void (*on_close)(struct conn *c, const char *reason, void *ctx);
	/* The queue had reached the high water mark and has fallen to the low one. May be NULL. */
	void (*on_drained)(struct conn *c, void *ctx);
};

/* How bytes get out of and into the socket: a number of bytes, 0 at the end (read only),
 * or a negative errno; -EAGAIN when the socket, or the other side, must be waited for. All but read
 * and write may be NULL: for one that keeps no bytes to itself. */
struct conn_transport {
	ssize_t (*read)(void *ctx, int fd, void *to, size_t len);
	/* With no bytes given (n is 0) it sends what it keeps: 0 if nothing is left. */
	ssize_t (*write)(void *ctx, int fd, const struct iovec *from, int n);
	bool (*has_more)(void *ctx);   /* reading may bring something though the socket does not;
					* it then takes nothing from the socket */
	bool (*unsent)(void *ctx);     /* it keeps bytes until the socket takes them */
	bool (*open)(void *ctx);       /* bytes can be sent, now or soon */
	void (*finish)(void *ctx, int fd); /* tells the other side, as far as can be, that no more
					    * will be sent; may be called again */
	const char *(*problem)(void *ctx); /* in words, after -EPROTO */
	void (*release)(void *ctx);
	void *ctx;
};

/* Seconds. Times that the protocol fixes are the defaults; tests take shorter ones. */
struct conn_times {
	double hello; /* from conn_new to conn_greeted: 10 */
	double ping;  /* of not sending anything, then `ping` is sent: 20 */
	double dead;  /* of not receiving a byte (while reading is not paused): 60 */
	double stall; /* with a queue of which the other side takes nothing: 60 */
	double linger; /* to deliver what is queued after conn_bye: 5 */
	double frame; /* to complete a frame: 30, and its length divided by ... */
	double frame_bytes_per_second; /* 1024 */
};
extern const struct conn_times conn_times_default;

enum {
	CONN_READ_QUOTA = 256 * 1024,       /* bytes a turn, so that others get theirs */
	CONN_LOW_WATER = 256 * 1024,
	CONN_HIGH_WATER = 1024 * 1024,
	CONN_QUEUE_MAX = 32 * 1024 * 1024,  /* more is an end: the other side does not read */
};

/* Takes over a connected socket (TCP or local) and closes it at its end. Sets what it needs:
 * non-blocking, no delay, keep-alive, a limit on unacknowledged data. The callbacks are copied. */
struct conn *conn_new(struct ev_loop *loop, int fd, const struct conn_callbacks *callbacks,
		      void *ctx);
/* Before the loop runs again after conn_new. The transport is copied; its ctx is released with
 * the connection. */
void conn_set_transport(struct conn *c, const struct conn_transport *transport);
void conn_set_times(struct conn *c, const struct conn_times *times);
void conn_set_ctx(struct conn *c, void *ctx);
void conn_set_water(struct conn *c, size_t low, size_t high); /* low < high */

/* The other side's hello was accepted: frames may be as large as WIRE_FRAME_MAX, the deadline for
 * it is over, and keep-alives begin. */
void conn_greeted(struct conn *c);

/* Queues whole frames; `frames` is empty afterwards (its memory may have been taken). After the
 * end has begun, they are dropped. */
void conn_send(struct conn *c, struct buf *frames);
size_t conn_queued(const struct conn *c); /* bytes not yet given to the socket */
bool conn_full(const struct conn *c);     /* at the high water mark, and not yet down to the low */

/* Stop and go on taking bytes and frames. Counts: each pause needs its resume. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Ends it at once; what is queued is lost. on_close follows in this turn of the loop, with this
 * reason, unless the end had already begun: then it has that of the beginning. */
void conn_close(struct conn *c, const char *reason);
/* Takes no more frames, sends what is queued and a `bye` with this code and text, waits a little
 * until the other side has it, and closes with `text` as the reason. */
void conn_bye(struct conn *c, const char *code, const char *text);
/* For an owner that is going away itself: no callback is made any more, and the pointer must not
 * be used again. Closes at once; but what conn_bye began takes its course while the loop runs. */
void conn_forget(struct conn *c);
bool conn_ending(const struct conn *c); /* one of the three was called, or an end was found */

bool conn_bad(const struct conn *c); /* it ended since the other side sent what is no frame */

int conn_fd(const struct conn *c); /* -1 after the end */
uint64_t conn_bytes_in(const struct conn *c);  /* since conn_new */
uint64_t conn_bytes_out(const struct conn *c);
double conn_silence(const struct conn *c);     /* seconds since the last byte came */

#endif
