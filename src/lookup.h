/*
 * What addresses a name has: asked in threads of our own, since the system's answer may take half a
 * minute, and told on the loop's thread.
 */
#ifndef TUTTI_LOOKUP_H
#define TUTTI_LOOKUP_H

#include "address.h"

struct ev_loop;
struct lookup;

enum { LOOKUP_ADDRESSES_MAX = 8 };

struct addresses {
	struct address at[LOOKUP_ADDRESSES_MAX]; /* no names; in the order in which they are to be tried */
	size_t n;
};

/* `found` has at least one address, or is NULL and `problem` says in words why ("no such host").
 * Both are valid during the call. */
typedef void lookup_done_cb(void *ctx, const struct addresses *found, const char *problem);

/* Asks for the addresses of `name`; one that is no name is its own address. done() is called once, later,
 * from the loop, and the look-up is gone then. At most 8 are asked at once, the others wait. */
struct lookup *lookup_start(struct ev_loop *loop, const struct address *name, lookup_done_cb *done,
			    void *ctx);
/* done() does not come any more. NULL is fine. */
void lookup_cancel(struct lookup *l);

/* The same, for programs that have nothing else to do: waits. NULL if there are some, or why not. */
const char *lookup_now(const struct address *name, struct addresses *found);

#endif
