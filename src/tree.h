/*
 * The tree of all paths that a replica knows: nodes with a parent, a name and children, found by
 * path in O(depth). Node numbers are stable for the life of the tree and dense, so that others keep
 * what they know of a path in arrays. Names live in one arena. Nothing is ever removed: of
 * a path that is forgotten the name stays, until the next start.
 */
#ifndef TUTTI_TREE_H
#define TUTTI_TREE_H

#include "base.h"

typedef uint32_t node_t;
#define NODE_ROOT 0u
#define NODE_NONE UINT32_MAX
#define TREE_NODES_MAX (UINT32_MAX - 1)

struct tree;

struct tree *tree_new(uint64_t hash_seed); /* a random seed keeps peers from choosing collisions */
void tree_free(struct tree *t);
uint64_t tree_seed(const struct tree *t);

size_t tree_count(const struct tree *t); /* nodes, the root included; ids are 0 .. count-1 */

/* NODE_NONE if unknown. The empty path is the root. `path` must have passed path_check; a name
 * has 1 to 255 bytes and no slash. */
node_t tree_find(const struct tree *t, struct bytes path);
node_t tree_child(const struct tree *t, node_t dir, struct bytes name);
/* Finds or makes the node and all its parents. */
node_t tree_add(struct tree *t, struct bytes path);
node_t tree_add_child(struct tree *t, node_t dir, struct bytes name);

node_t tree_parent(const struct tree *t, node_t n);     /* of the root: NODE_NONE */
struct bytes tree_name(const struct tree *t, node_t n); /* valid until a node is added */
unsigned tree_depth(const struct tree *t, node_t n);    /* root 0 */
void tree_path(const struct tree *t, node_t n, struct buf *out); /* replaces *out */
node_t tree_first_child(const struct tree *t, node_t n); /* in no order */
node_t tree_next_sibling(const struct tree *t, node_t n);
/* The node after n below dir, parents before children, else in no order; NODE_NONE at the end.
 * What is below n is passed by unless `enter`. Starts at dir itself. */
node_t tree_walk(const struct tree *t, node_t n, node_t dir, bool enter);
bool tree_is_under(const struct tree *t, node_t n, node_t dir); /* n == dir counts */

/* By component, bytewise: "a/b" before "a-b", a folder before what is in it. */
int tree_compare(const struct tree *t, node_t a, node_t b);
int tree_compare_names(const struct tree *t, node_t a, node_t b); /* the last components alone */

size_t tree_memory(const struct tree *t); /* bytes in use; room to grow not counted */

#endif
