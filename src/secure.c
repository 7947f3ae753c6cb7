/* Owns the way of TLS's bytes between its buffers and the socket. */
#include "config.h"
#include "secure.h"

#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct secure {
	struct conn *conn;
	struct tls *tls;
	secure_ready_fn *ready;
	void *ctx;
	bool admitted; /* the owner was told */
	bool ended;    /* our close-notify was made */
};

/* Sends what TLS has for the other side. 0 when nothing is left, or a negative errno. */
static int push(struct secure *s, int fd)
{
	struct buf *out = tls_out(s->tls);
	size_t done = 0;
	int r = 0;
	while (done < out->len && r == 0) {
		ssize_t n = send(fd, out->data + done, out->len - done, MSG_NOSIGNAL);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	if (done == out->len && out->cap > TLS_OUT_MAX)
		buf_release(out);
	else
		buf_drop_front(out, done);
	return r;
}

static int pull(struct secure *s, int fd)
{
	size_t room;
	uint8_t *to = tls_room(s->tls, &room);
	ssize_t n = recv(fd, to, room, 0);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (n)
		tls_put(s->tls, (size_t)n);
	else
		tls_put_end(s->tls);
	return 0;
}

static ssize_t secure_read(void *ctx, int fd, void *to, size_t len)
{
	struct secure *s = ctx;
	/* One or the other, so that what a turn may read stays bounded. */
	int r = tls_has_more(s->tls) ? 0 : pull(s, fd);
	if (r < 0)
		return r;
	ssize_t got = tls_read(s->tls, to, s->admitted ? len : 0);
	(void)push(s, fd); /* what is left, or went wrong, is found by the next write */
	if (!s->admitted && tls_ready(s->tls)) {
		s->admitted = true;
		s->ready(s->conn, tls_peer(s->tls), s->ctx);
		return -EINTR;
	}
	return got;
}

static ssize_t secure_write(void *ctx, int fd, const struct iovec *from, int n)
{
	struct secure *s = ctx;
	size_t done = 0;
	int r = push(s, fd);
	if (r < 0 || !n)
		return r;
	if (!s->admitted)
		return -EAGAIN;
	for (int i = 0; i < n; i++) {
		ssize_t w = tls_write(s->tls, from[i].iov_base, from[i].iov_len);
		if (w < 0 && !done)
			return w;
		if (w < 0)
			break;
		done += (size_t)w;
		if ((size_t)w < from[i].iov_len)
			break;
	}
	r = push(s, fd);
	return r < 0 && r != -EAGAIN ? r : (ssize_t)done;
}

static bool secure_has_more(void *ctx)
{
	struct secure *s = ctx;
	return tls_has_more(s->tls);
}

static bool secure_unsent(void *ctx)
{
	struct secure *s = ctx;
	return tls_out(s->tls)->len;
}

static bool secure_open(void *ctx)
{
	struct secure *s = ctx;
	return s->admitted;
}

static void secure_finish(void *ctx, int fd)
{
	struct secure *s = ctx;
	if (!s->ended)
		tls_end(s->tls);
	s->ended = true;
	(void)push(s, fd);
}

static const char *secure_problem(void *ctx)
{
	struct secure *s = ctx;
	return tls_problem(s->tls);
}

static void secure_release(void *ctx)
{
	struct secure *s = ctx;
	tls_free(s->tls);
	free(s);
}

const struct tls *secure_start(struct conn *c, struct tls_context *context, bool dialed,
			       const struct key_id *expect, secure_ready_fn *ready, void *ctx)
{
	struct secure *s = xcalloc(1, sizeof(*s));
	*s = (struct secure){.conn = c, .tls = tls_new(context, dialed, expect), .ready = ready,
			     .ctx = ctx};
	if (dialed)
		(void)tls_read(s->tls, NULL, 0); /* its first words */
	conn_set_transport(c, &(struct conn_transport){
		.read = secure_read, .write = secure_write, .has_more = secure_has_more,
		.unsent = secure_unsent, .open = secure_open, .finish = secure_finish,
		.problem = secure_problem, .release = secure_release, .ctx = s,
	});
	return s->tls;
}
