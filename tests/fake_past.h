/* The part of a fake server that settles conflicts, holds deletions back, and remembers the past:
 * what a test sets, and what it finds there afterwards. */
#ifndef TUTTI_FAKE_PAST_H
#define TUTTI_FAKE_PAST_H

#include "table.h"
#include "wire.h"

struct fake;

enum { FAKE_HELD_MAX = 4 };

struct fake_held {
	uint64_t id, n;
	const char *from, *folder;
};

/* Zero: two versions of each conflict, nothing held, nothing in the past. */
struct fake_past {
	struct table *conflicts; /* the rows in conflict; the fake's own */
	size_t versions;         /* of each conflict; 0: two */
	const char *maker;       /* of all versions; NULL: the servers in turn */
	uint64_t changes;        /* of all conflicts: their stamps differ */
	bool refuse;             /* every resolution: it has changed */
	uint64_t resolved;
	char keep[8];            /* of the last one: version, or "both" */
	node_t *undo;
	size_t n_undo, cap_undo;

	struct fake_held held[FAKE_HELD_MAX];
	size_t n_held;
	char decided[32];        /* "delete 214" */

	uint64_t trash, history; /* things in there */
	const char *missing;     /* a server that does not answer */
	char restored[64];       /* where to */
};

/* Answers one of these requests; false if it is another. *error: NULL, or what is wrong. */
bool fake_past_call(struct fake *f, struct bytes method, const msgpack_object *params,
		    struct buf *result, const char **error);

#endif
