/* One run of a command: its connection to the server, and what it prints. */
#ifndef TUTTI_CONSOLE_H
#define TUTTI_CONSOLE_H

#include "arguments.h"
#include "client.h"

enum { EXIT_DONE = 0, EXIT_NOT_DONE = 1, EXIT_USAGE = 2 }; /* and EXIT_NO_SERVER of client.h */

struct console {
	const struct arguments *arguments;
	struct ev_loop *loop;
	struct client *client;
	struct buf out; /* what is to be printed next; console_print() */
	bool broken;    /* nobody reads what is printed: end quietly */
};

/* Finds the server that is meant (NULL: see client_find()). EXIT_DONE with its address appended,
 * with a NUL; or another exit status after saying why on stderr. */
int console_find(const char *wanted, struct buf *address);

/* Finds the server and connects. An exit status: EXIT_DONE, or another after saying why on
 * stderr. Close it in every case. The callbacks may be NULL; their ctx is `ctx`. */
int console_open(struct console *s, const struct arguments *a, bool reconnect,
		 const struct client_callbacks *callbacks, void *ctx);
void console_close(struct console *s);

/* Asks and passes the result to `take`. EXIT_DONE, or EXIT_NOT_DONE after saying why on stderr. */
typedef void console_take_fn(void *ctx, const msgpack_object *result);
int console_ask(struct console *s, const char *method, struct buf *params, console_take_fn *take,
		void *ctx);

/* The same, but says nothing if the server says no: then its code is in `code`, and its words, safe to
 * show, are appended to `why` with a NUL (if it is not NULL). */
enum { CONSOLE_CODE_MAX = 32 };
int console_try(struct console *s, const char *method, struct buf *params, console_take_fn *take,
		void *ctx, char code[CONSOLE_CODE_MAX], struct buf *why);

/* Prints what is in `out`. The connection stays alive while a slow reader makes it wait.
 * False if nobody reads any more (broken). */
bool console_print(struct console *s);
/* EXIT_DONE, or EXIT_NOT_DONE if something could not be printed (which was said). */
int console_end(struct console *s);

/* "tutti: TEXT" on stderr. The text must be safe to show. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
