/*
 * Owns the table of all methods: who may say what and when, and what must be in it. What has
 * passed message_check() can be read with the getters of wire.h without looking at their results
 * (but for optional fields). tutti-protocol(7) prints the same table.
 */
#ifndef TUTTI_MESSAGE_H
#define TUTTI_MESSAGE_H

#include "wire.h"

#define PROTOCOL_VERSION 1u

/* id, name on the wire */
#define MESSAGES(X)                                                                                \
	X(JOIN, "join")                                                                            \
	X(HELLO, "hello")                                                                          \
	X(BYE, "bye")                                                                              \
	X(PING, "ping")                                                                            \
	X(SYNC, "sync")                                                                            \
	X(INDEX, "index")                                                                          \
	X(HAVE, "have")                                                                            \
	X(REPORT, "report")                                                                        \
	X(FETCH, "fetch")                                                                          \
	X(ACK, "ack")                                                                              \
	X(RESYNC, "resync")                                                                        \
	X(RESYNC_AT, "resync.at")                                                                  \
	X(TABLE_OPEN, "table.open")                                                                \
	X(TABLE_WINDOW, "table.window")                                                            \
	X(TABLE_FIND, "table.find")                                                                \
	X(TABLE_LOCATE, "table.locate")                                                            \
	X(TABLE_FOLD, "table.fold")                                                                \
	X(TABLE_CLOSE, "table.close")                                                              \
	X(STATUS, "status")                                                                        \
	X(WAIT, "wait")                                                                            \
	X(EVENTS, "events")                                                                        \
	X(ROW, "row")                                                                              \
	X(PEERS, "peers")                                                                          \
	X(TRUST, "trust")                                                                          \
	X(UNTRUST, "untrust")                                                                      \
	X(INVITE, "invite")                                                                        \
	X(CONFLICTS, "conflicts")                                                                  \
	X(RESOLVE, "resolve")                                                                      \
	X(UNDO, "undo")                                                                            \
	X(TRASH, "trash")                                                                          \
	X(RESTORE, "restore")                                                                      \
	X(HISTORY, "history")                                                                      \
	X(HELD, "held")                                                                            \
	X(HELD_DECIDE, "held.decide")                                                              \
	X(TABLE_ROWS, "table.rows")                                                                \
	X(EVENT, "event")                                                                          \
	X(PROGRESS, "progress")                                                                    \
	X(STATUS_NOW, "status")

enum message {
#define X(id, name) MESSAGE_##id,
	MESSAGES(X)
#undef X
	MESSAGES_N
};

/* Who speaks. Two servers are peers to each other; a server speaks to its clients as SERVER. A VIEWER
 * is a client that may see all and decide nothing; a GUEST has a key that nobody trusts yet. A
 * connection whose role is not known yet passes the roles that it may have. */
enum message_party {
	PARTY_PEER = 1, PARTY_CLIENT = 2, PARTY_VIEWER = 4, PARTY_SERVER = 8, PARTY_GUEST = 16
};

/* What a connection has agreed on. */
enum message_phase { PHASE_STRANGER = 1, PHASE_GREETED = 2 }; /* before and after its hello */

/* The error codes of responses and of `bye`. */
#define ERROR_BAD_REQUEST "bad-request"
#define ERROR_NOT_FOUND "not-found"
#define ERROR_CHANGED "changed"
#define ERROR_BUSY "busy"
#define ERROR_REFUSED "refused"
#define ERROR_FAILED "failed"

#define BYE_VERSION "version"
#define BYE_SELF "self"
#define BYE_DUPLICATE "duplicate"
#define BYE_STOPPING "stopping"
#define BYE_PROTOCOL "protocol"
#define BYE_REFUSED "refused"
#define BYE_STRANGER "stranger" /* until a person says yes to this key */

enum { MESSAGE_TEXT_MAX = 200 };

const char *message_name(enum message m);
/* The request or notification of that name, or -1. */
int message_find(struct bytes name, enum wire_kind kind);

/* Checks a request or notification that came from `from` (a set of parties) in `phase`: is the
 * method known, may they say it now, is every field there and as it must be. The message, or -1
 * and in `why` what is wrong: words that name the method and the field, always valid UTF-8 without
 * control characters. A request is then answered with ERROR_BAD_REQUEST; any other offence ends
 * the connection with BYE_PROTOCOL. */
int message_check(const struct wire_frame *f, unsigned from, enum message_phase phase,
		  char why[MESSAGE_TEXT_MAX]);

/* Checks the response to a request that we have made: the error's shape, or the result's. */
bool message_check_response(const struct wire_frame *f, enum message request,
			    char why[MESSAGE_TEXT_MAX]);

/* A few words on an error or a bye that has been checked: its code and text; they point into the
 * frame. */
void message_error_parts(const msgpack_object *error, struct bytes *code, struct bytes *text);
/* Is that word among the features of a checked hello? */
bool message_hello_has(const msgpack_object *hello, const char *word);

/* Appends one method as the manual shows it; or one of the shapes that several methods share
 * (false if there is no shape of that number). */
void message_write(struct buf *out, enum message m);
bool message_write_shape(struct buf *out, size_t number);
/* Appends the whole table: all methods, then all shapes. */
void message_table_write(struct buf *out);

#endif
