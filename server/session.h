/*
 * The clients: each with its open tables and windows, and what it wants to be told. Answers their
 * requests; pushes the newest state, at most so often, and never to a client that has not taken
 * the last.
 */
#ifndef TUTTI_SESSION_H
#define TUTTI_SESSION_H

#include "daemon.h"
#include "message.h"

struct conn;
struct session;
struct sessions;

enum {
	SESSION_TABLES_MAX = 8,
	SESSION_ROWS_MAX = 500,
	SESSION_WAITS_MAX = 16,  /* requests without an answer yet */
	SESSION_ROWS_PER_S = 30, /* table.rows of one table a second, at most */
};

struct sessions *sessions_new(struct daemon *d);
void sessions_free(struct sessions *s); /* after all sessions */

/* `party`: PARTY_CLIENT, or PARTY_VIEWER for one that may only look. */
struct session *session_new(struct sessions *s, struct conn *c, enum message_party party);
void session_free(struct session *s); /* its connection is lost or being left */
/* A frame after hello, whatever it is but `bye`. */
void session_frame(struct session *s, const struct wire_frame *f);

/* The end of a turn: tells what has changed (`dirty`), answers `wait`s. */
void sessions_turn(struct sessions *s, bool dirty);

/* A request that is answered later, by whoever carries it out. */
struct asker;
/* NULL: too many of this client have no answer yet; it was told so. */
struct asker *session_ask(struct session *s, uint32_t id);
/* The answer: `map` is the packed result; without one (NULL) it failed, and `code` and `text` say why.
 * Frees the asker. It may come after the client has gone. */
void asker_answer(struct asker *a, const struct buf *map, const char *code, const char *text);

/* The answer to a `resync` of this client, and how far it is. `map` is the packed result; without
 * one (NULL) it failed: `code` and `text` say why. */
void session_respond(struct session *s, uint32_t id, const struct buf *map, const char *code,
		     const char *text);

#endif
