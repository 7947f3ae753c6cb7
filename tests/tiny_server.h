/* A server for tests of clients: a local socket (or a loopback port) on the test's own loop, which
 * says hello and leaves every request to a function of the test. */
#ifndef TUTTI_TINY_SERVER_H
#define TUTTI_TINY_SERVER_H

#include "conn.h"
#include "wire.h"

struct tiny_server;
typedef void tiny_request_fn(struct tiny_server *t, const struct wire_frame *f);

struct tiny_server {
	struct ev_loop *loop;
	tiny_request_fn *on_request; /* NULL: requests are left unanswered */
	void *ctx;
	const char *name;            /* in its hello */
	unsigned proto;              /* in its hello; 0: it says none */
	const char *feature;         /* in its hello; NULL: none */
	char *path;                  /* of the socket; NULL for a port */
	char address[64];            /* of the port */
	ev_io listener;
	struct conn *conn;           /* the client's, the latest; NULL if there is none */
	unsigned hellos, requests;   /* that came */
};

/* A folder of its own for sockets; the test ends if it cannot be made. */
char *tiny_folder(void);
void tiny_folder_remove(char *folder); /* and frees it */

/* Listens on folder/name.sock, or on a loopback port if folder is NULL. */
void tiny_start(struct tiny_server *t, struct ev_loop *loop, const char *folder, const char *name);
void tiny_stop(struct tiny_server *t); /* the connection is cut, the socket removed */

/* Answers of one connection. The result is a packed map. */
void tiny_answer(struct tiny_server *t, const struct wire_frame *f, const struct buf *result);
void tiny_refuse(struct tiny_server *t, const struct wire_frame *f, const char *code,
		 const char *text);
void tiny_notify(struct tiny_server *t, const char *method, const struct buf *params);
void tiny_send_raw(struct tiny_server *t, const void *p, size_t len);
void tiny_cut(struct tiny_server *t);

bool tiny_is(const struct wire_frame *f, const char *method);

#endif
