/* A small hash map from node numbers to 64-bit values, for facts that few nodes have. */
#ifndef TUTTI_NODEMAP_H
#define TUTTI_NODEMAP_H

#include "tree.h"

/* Zero-initialised is empty. Positions change with every put and remove. */
struct nodemap {
	struct nodemap_item {
		node_t node; /* NODE_NONE: free */
		uint64_t value;
	} *items;
	size_t cap; /* a power of two, or 0 */
	size_t n;
};

void nodemap_release(struct nodemap *m);
/* NULL if the node has none. Valid until the next put or remove. */
uint64_t *nodemap_get(const struct nodemap *m, node_t n);
void nodemap_put(struct nodemap *m, node_t n, uint64_t value);
bool nodemap_remove(struct nodemap *m, node_t n); /* whether it was there */

#endif
