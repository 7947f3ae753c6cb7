/* A program's connection to a server: finding it, hello, calls with answers, notifications, and
 * coming back after a loss. All on one libev loop; nothing here blocks but client_run(). */
#ifndef TUTTI_CLIENT_H
#define TUTTI_CLIENT_H

#include "base.h"

#include <msgpack.h>

struct ev_loop;
struct client;

/* --- finding the server */

/* Exit status of programs when there is no server to talk to. */
enum { EXIT_NO_SERVER = 3 };

/* Says which server is meant: `wanted` if not NULL, else $TUTTI_SERVER, else the only local
 * server that answers. A server is given as a socket's path (with a '/'), as ID@HOST:PORT (without
 * an ID it is not encrypted, and must be on loopback, which of a name is known when it is looked up), or by the name of a local one. 0 with its
 * address (as given, or a path; no NUL at the end) appended to
 * `address`, or negative with one or more lines in words appended to `problem` (safe to show, no
 * newline at the end): -EINVAL: not an address to connect to; -ENOENT: no such server runs here;
 * -ENOTUNIQ: several do (they are listed). Asks the kernel only, never waits for a server. */
int client_find(const char *wanted, struct buf *address, struct buf *problem);

/* --- the connection */

/* Called from the loop, never from inside a function of the client (but client_run()). */
struct client_callbacks {
	/* Connected, and the server said hello. Calls may be made. */
	void (*up)(void *ctx);
	/* Not connected any more, or the attempt failed; all calls have been answered with
	 * ERROR_LOST. `reason` in words, safe to show, valid during the call. The next attempt
	 * is in client_retry_ms(), if the client reconnects. */
	void (*down)(void *ctx, const char *reason);
	/* A notification: checked against the table of messages; both valid during the call. */
	void (*notify)(void *ctx, const char *method, const msgpack_object *params);
};

#define ERROR_LOST "lost" /* the connection ended before the answer came */

struct client_error {
	const char *code; /* ERROR_LOST, or one of the server's: ERROR_* of message.h */
	const char *text; /* in words, safe to show */
};

/* One of the two is NULL. Valid during the call. `result` is a map, checked as above. */
typedef void client_answer_cb(void *ctx, const msgpack_object *result,
			      const struct client_error *error);

/* Starts to connect to `address` (see client_find()) at the loop's next turn. Without `reconnect`
 * the first failure or loss is the last; with it attempts go on, 0.1 s to 10 s apart, with jitter.
 * `program` is the name in our hello. The callbacks' struct is copied, members may be NULL.
 * For ID@HOST:PORT the client has a key, in place_client(), which is made when it is first needed. */
struct client *client_new(struct ev_loop *loop, const char *address, const char *program,
			  bool reconnect, const struct client_callbacks *callbacks, void *ctx);
void client_free(struct client *c); /* no callback comes any more; not from inside a callback */

bool client_is_up(const struct client *c);
const char *client_address(const struct client *c);
const char *client_server_name(const struct client *c); /* raw bytes; "" before the first hello */
bool client_only_looks(const struct client *c); /* trusted as viewer, as the last hello said */
const char *client_reason(const struct client *c); /* why it is down, safe to show; "" if up */
int64_t client_retry_ms(const struct client *c);   /* until the next attempt; -1: none planned */
unsigned client_tries(const struct client *c);     /* attempts since it was last up */
void client_retry_now(struct client *c);

/* Sends a request. `params` holds one packed msgpack map (empty: no parameters) and is emptied.
 * False if the client is not up, or the params are too large for a frame; then `answer` never
 * comes. `answer` may be NULL. Requests are answered in order. */
bool client_call(struct client *c, const char *method, struct buf *params,
		 client_answer_cb *answer, void *ctx);

/* --- for programs that just ask */

/* Runs the loop until the client is up: 0; or until an attempt has failed: -ENOTCONN, and
 * client_reason() says why. */
int client_run_until_up(struct client *c);

/* client_call(), and runs the loop until the answer came, which is passed to `answer` as above
 * (ERROR_LOST if the client is not up). 0 if there was a result, -ENOTCONN if the connection is
 * lost, -EREMOTEIO if the server said no. Not from inside a callback. */
int client_run(struct client *c, const char *method, struct buf *params, client_answer_cb *answer,
	       void *ctx);

#endif
