/* A set of paths, each with a number: the marks, the unfolded folders. In the order of the paths.
 */
#ifndef TUTTI_PATHSET_H
#define TUTTI_PATHSET_H

#include "base.h"

struct pathset_item {
	struct bytes path; /* the set's own copy */
	uint64_t value;
};

/* Zero-initialised is empty. Items move with every change. */
struct pathset {
	struct pathset_item *items;
	size_t n, cap;
};

void pathset_put(struct pathset *s, struct bytes path, uint64_t value); /* replaces the number */
bool pathset_remove(struct pathset *s, struct bytes path); /* was it there? */
bool pathset_has(const struct pathset *s, struct bytes path);
uint64_t pathset_sum(const struct pathset *s);
void pathset_release(struct pathset *s); /* empty and usable */

#endif
