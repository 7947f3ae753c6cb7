/* What clients were told, numbered: a ring of the newest events, so that a client that comes back
 * gets what it missed, or learns that the gap is too old. */
#ifndef TUTTI_EVENTS_H
#define TUTTI_EVENTS_H

#include "base.h"

enum {
	EVENTS_MAX = 4096,              /* kept */
	EVENTS_BYTES_MAX = 512 * 1024,  /* of their texts and fixed costs: fits into one frame */
	EVENT_COST = 64,                /* bytes counted for each event beside its texts */
	EVENT_DETAIL_MAX = 1024,        /* bytes of a detail; longer ones are cut */
};

struct event {
	uint64_t n;
	int64_t time_ns;
	const char *word;   /* a constant: "changed", "peer-up"... */
	struct bytes path;  /* "" if it is about no path */
	struct bytes replica;
	struct bytes detail;
	void *texts;        /* where the three lie */
};

struct events {
	struct event *ring; /* EVENTS_MAX */
	uint64_t first;     /* oldest that is kept */
	uint64_t next;      /* number of the next one */
	size_t bytes;
};

/* `start` is the first number. One that grows from one run of the program to the next (a clock)
 * keeps a client from taking the events of this run for those of the last. */
void events_init(struct events *e, uint64_t start);
void events_release(struct events *e);

/* Copies all but `word`. Returns its number. */
uint64_t events_add(struct events *e, int64_t time_ns, const char *word, struct bytes path,
		    struct bytes replica, struct bytes detail);

/* NULL if that number is not kept any more, or not yet given. Valid until the next events_add. */
const struct event *events_get(const struct events *e, uint64_t n);

#endif
