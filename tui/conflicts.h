/* The conflicts of a server, a page at a time, as commands want them: with copies of all bytes. */
#ifndef TUTTI_CONFLICTS_H
#define TUTTI_CONFLICTS_H

#include "console.h"

struct conflict_version {
	struct bytes replica; /* who made it */
	struct bytes copy;    /* the name beside the path; empty: it has the name itself */
	struct bytes hash;    /* empty of a folder */
	uint64_t kind, size;
	int64_t mtime;
	bool here;
};

struct conflict {
	struct bytes path;
	uint64_t stamp;
	struct conflict_version *versions; /* the first has the name */
	size_t n;
};

struct conflicts {
	struct conflict *items;
	size_t n, cap;
	bool more; /* there are others behind the last */
};

/* Asks for a page: `under` a path, those `after` a path (both may be empty). Replaces what is in
 * `c`. An exit status, as console_ask(). */
int conflicts_page(struct console *s, struct bytes under, struct bytes after, struct conflicts *c);
void conflicts_release(struct conflicts *c);

#endif
