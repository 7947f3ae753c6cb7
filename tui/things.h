/* What lies in the trash, a page at a time, as commands want it: with copies of all bytes. */
#ifndef TUTTI_THINGS_H
#define TUTTI_THINGS_H

#include "console.h"

struct thing {
	struct bytes id, replica, path, by, hash; /* hash: empty if it is not known */
	int64_t time, mtime;
	uint64_t kind, size;
};

struct things {
	struct thing *items;
	size_t n, cap;
	bool more;           /* there are others behind the last */
	struct buf missing;  /* names of replicas that did not answer, with ", " between, safe to show */
};

struct things_wanted {
	struct bytes under;
	const char *since, *until; /* as people write them, checked; NULL: none */
	const char *on;            /* a replica; NULL: all that are connected */
};

/* Asks for the page after the one that is in `t` (the first, if it is zero), and replaces it. An exit
 * status, as console_ask(). */
int things_page(struct console *s, const struct things_wanted *w, struct things *t);
void things_release(struct things *t);

/* The time in words, as nanoseconds; `end`: the last of a day or minute. */
int64_t things_time(const char *text, bool end);

#endif
