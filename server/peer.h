/*
 * One connected peer: turns its messages into engine events, carries out the engine's actions
 * towards it, asks it for contents and walks, and serves it contents. What is announced keeps
 * its order; answers come in the order of the requests.
 */
#ifndef TUTTI_PEER_H
#define TUTTI_PEER_H

#include "daemon.h"
#include "message.h"

struct conn;
struct peer;

enum {
	PEER_CHUNK = 256 * 1024,  /* bytes of content a request asks for */
	PEER_ASKED_MAX = 64,      /* fetches without answer, ours there and its here */
	PEER_FRAME_ENTRIES = 2000,
};

/* After engine_peer_up() with this number. `name` and `address` are copied. `reader`: its changes are
 * not taken (engine_peer_reader()), nor what it says of others. */
struct peer *peer_new(struct daemon *d, struct conn *c, unsigned number,
		      const struct replica_id *id, const char *name, const char *address,
		      bool reader);
/* The connection is lost or being left: tells the engine and everybody who waits for an answer.
 * Does nothing to the connection itself. */
void peer_free(struct peer *p);

/* A frame after hello, whatever it is but `bye`. */
void peer_frame(struct peer *p, const struct wire_frame *f);
/* Sends what there is room for. */
void peer_turn(struct peer *p);

/* ACT_INDEX, ACT_HAVE, ACT_SYNC, ACT_ACK, ACT_REPORT. */
void peer_carry_out(struct peer *p, const struct action *a);

const struct replica_id *peer_id(const struct peer *p);
const char *peer_name(const struct peer *p);
unsigned peer_number(const struct peer *p);
const char *peer_problem(const struct peer *p); /* why we left it, or NULL */

/* Ends the connection for what the other side did. */
void peer_offence(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Tells; `params` is one packed map. */
void peer_note(struct peer *p, enum message m, const struct buf *params);
/* Asks; the answer comes once: `f` is a checked response, or NULL if the connection is lost.
 * `params` is one packed map. False if too many fetches have no answer yet. */
typedef void peer_answer_fn(void *ctx, const struct wire_frame *f);
bool peer_can_fetch(const struct peer *p);
void peer_ask(struct peer *p, enum message m, const struct buf *params, peer_answer_fn *answer,
	      void *ctx);
/* The answer to a `resync` that the peer asked for (resync.c). `map` is the packed result. */
void peer_respond(struct peer *p, uint32_t id, const struct buf *map);

/* What is being sent to it: calls for each content under way. */
struct peer_serving {
	struct bytes path;
	uint64_t done, size;
};
size_t peer_serving(const struct peer *p, struct peer_serving *out, size_t cap);

#endif
