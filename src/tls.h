/*
 * One TLS 1.3 connection without a socket: bytes of the other side are put in, bytes for it are
 * taken out, and between them stand the contents. So it runs in memory, in any pieces, and never
 * blocks. Both sides prove that they have an Ed25519 key; who may come with which is the owner's
 * business, as soon as tls_ready() and before a content is read.
 *
 * There is no resumption, no early data and no renegotiation. An end without the other side's
 * close-notify is an error.
 *
 * That the handshake of the dialing side is done does not mean that the other side took its key:
 * what it says to that comes with the first read. So only a hello of the other side counts.
 */
#ifndef TUTTI_TLS_H
#define TUTTI_TLS_H

#include "identity.h"

#include <sys/types.h>

struct tls;
struct tls_context;

enum {
	TLS_STRANGER_MAX = 16 * 1024, /* bytes of a handshake; more ends it */
	TLS_IN_MAX = 128 * 1024,      /* bytes put in and not yet read, at most */
	TLS_OUT_MAX = 128 * 1024,     /* bytes to be taken out, above which no content is taken */
	TLS_EXPORT_SIZE = 32,
};

/* What all connections of one identity share. */
struct tls_context *tls_context_new(const struct identity *own);
void tls_context_free(struct tls_context *c); /* NULL is fine; its connections go on */

/* `dialed`: this side speaks first. With `expect` (copied; NULL: anybody) another key of the other
 * side ends the handshake. */
struct tls *tls_new(struct tls_context *c, bool dialed, const struct key_id *expect);
void tls_free(struct tls *t);

/* Room for bytes from the other side, at most *room of them (0: read first); they are taken over by
 * tls_put(). */
uint8_t *tls_room(struct tls *t, size_t *room);
void tls_put(struct tls *t, size_t len);
void tls_put_end(struct tls *t); /* there is no more */

/* The next contents: their length; 0 at the other side's orderly end; -EAGAIN if more must be put in
 * first; -EPROTO if it went wrong (tls_problem() says how, and there may be an alert to take out).
 * With `len` 0 it only goes on with the handshake: -EAGAIN or -EPROTO. */
ssize_t tls_read(struct tls *t, void *to, size_t len);
/* May bring something though nothing was put in since the last read. */
bool tls_has_more(const struct tls *t);

/* Takes contents: how many, or -EAGAIN while the handshake is not done or much waits to be taken
 * out, or -EPROTO. */
ssize_t tls_write(struct tls *t, const void *from, size_t len);
/* Says that no more will be written. */
void tls_end(struct tls *t);

/* What is for the other side; the caller drops from its front what was sent. */
struct buf *tls_out(struct tls *t);

bool tls_ready(const struct tls *t);                  /* the handshake is done, on this side */
/* The key that the other side has shown; before tls_ready() it has not proven that it has it. NULL
 * if it has shown none. */
const struct key_id *tls_peer(const struct tls *t);
const char *tls_problem(const struct tls *t);         /* "" if there is none */

/* A secret of this connection alone that both sides know (RFC 8446, 7.5), after tls_ready(). */
void tls_export(const struct tls *t, const char *label, uint8_t out[TLS_EXPORT_SIZE]);

#endif
