/*
 * TLS beneath a connection: a transport for conn.h that moves tls.h's bytes through the socket. No
 * frame is sent or delivered before the owner was told whose key the other side has.
 */
#ifndef TUTTI_SECURE_H
#define TUTTI_SECURE_H

#include "tls.h"

struct conn;

/* The handshake is done, and the other side has proven that it has this key. The owner may send,
 * or end the connection in any way. Called once, from the loop. */
typedef void secure_ready_fn(struct conn *c, const struct key_id *peer, void *ctx);

/* Right after conn_new(), whose end of the connection takes the TLS with it. `dialed`, `expect` as in
 * tls_new(). The result is valid as long as the connection; for tls_peer() and tls_export(). */
const struct tls *secure_start(struct conn *c, struct tls_context *context, bool dialed,
			       const struct key_id *expect, secure_ready_fn *ready, void *ctx);

#endif
