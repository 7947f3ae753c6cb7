/* Owns the nodes and names of all paths, and the hash table that finds a child by its name. */
#include "config.h"
#include "tree.h"

#include <stdlib.h>

#define NAME_MAX_BYTES 255
#define NAME_UNIT 2u /* names start at multiples of this, so that 8 GiB of them can be addressed */
#define BUCKETS_MIN 64u
#define CHAIN_MEAN 2u /* nodes per bucket at which the buckets double */

struct node {
	node_t parent;
	node_t first_child; /* NODE_ROOT, which is nobody's child, ends each of these three */
	node_t next_sibling;
	node_t hash_next;
	uint32_t name;      /* in units, in the arena */
	uint16_t depth;
	uint8_t name_len;
};

struct tree {
	struct node *nodes;
	size_t n_nodes, cap_nodes;
	uint8_t *names;
	size_t names_len, names_cap; /* bytes; the length is a multiple of NAME_UNIT */
	node_t *buckets;
	size_t n_buckets;            /* a power of two */
	uint64_t seed;
};

struct tree *tree_new(uint64_t hash_seed)
{
	struct tree *t = xcalloc(1, sizeof(*t));
	t->seed = hash_seed;
	t->n_buckets = BUCKETS_MIN;
	t->buckets = xcalloc(t->n_buckets, sizeof(*t->buckets));
	GROW(t->nodes, t->cap_nodes, 1);
	t->nodes[NODE_ROOT] = (struct node){.parent = NODE_NONE};
	t->n_nodes = 1;
	return t;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t->names);
	free(t->buckets);
	free(t);
}

size_t tree_count(const struct tree *t)
{
	return t->n_nodes;
}

uint64_t tree_seed(const struct tree *t)
{
	return t->seed;
}

static const struct node *node_at(const struct tree *t, node_t n)
{
	assert(n < t->n_nodes);
	return &t->nodes[n];
}

struct bytes tree_name(const struct tree *t, node_t n)
{
	const struct node *node = node_at(t, n);
	if (!node->name_len)
		return (struct bytes){(const uint8_t *)"", 0};
	return (struct bytes){t->names + (size_t)node->name * NAME_UNIT, node->name_len};
}

node_t tree_parent(const struct tree *t, node_t n)
{
	return node_at(t, n)->parent;
}

unsigned tree_depth(const struct tree *t, node_t n)
{
	return node_at(t, n)->depth;
}

static node_t end_as_none(node_t n)
{
	return n == NODE_ROOT ? NODE_NONE : n;
}

node_t tree_first_child(const struct tree *t, node_t n)
{
	return end_as_none(node_at(t, n)->first_child);
}

node_t tree_next_sibling(const struct tree *t, node_t n)
{
	return end_as_none(node_at(t, n)->next_sibling);
}

node_t tree_walk(const struct tree *t, node_t n, node_t dir, bool enter)
{
	node_t next = enter ? tree_first_child(t, n) : NODE_NONE;
	while (next == NODE_NONE && n != dir) {
		next = tree_next_sibling(t, n);
		n = tree_parent(t, n);
	}
	return next;
}

static size_t bucket_of(const struct tree *t, node_t dir, struct bytes name)
{
	uint64_t seed = t->seed + (uint64_t)dir * 0x9e3779b97f4a7c15u;
	return (size_t)hash64(name.p, name.len, seed) & (t->n_buckets - 1);
}

node_t tree_child(const struct tree *t, node_t dir, struct bytes name)
{
	assert(dir < t->n_nodes);
	node_t n = t->buckets[bucket_of(t, dir, name)];
	while (n != NODE_ROOT) {
		const struct node *node = &t->nodes[n];
		if (node->parent == dir && node->name_len == name.len &&
		    bytes_eq(tree_name(t, n), name))
			return n;
		n = node->hash_next;
	}
	return NODE_NONE;
}

static void link_into_bucket(struct tree *t, node_t n)
{
	node_t *bucket = &t->buckets[bucket_of(t, t->nodes[n].parent, tree_name(t, n))];
	t->nodes[n].hash_next = *bucket;
	*bucket = n;
}

static void double_buckets(struct tree *t)
{
	free(t->buckets);
	t->n_buckets *= 2;
	t->buckets = xcalloc(t->n_buckets, sizeof(*t->buckets));
	for (size_t n = 1; n < t->n_nodes; n++)
		link_into_bucket(t, (node_t)n);
}

static uint32_t keep_name(struct tree *t, struct bytes name)
{
	size_t start = t->names_len;
	size_t end = start + (name.len + NAME_UNIT - 1) / NAME_UNIT * NAME_UNIT;
	assert(start / NAME_UNIT <= UINT32_MAX);
	GROW(t->names, t->names_cap, end);
	memcpy(t->names + start, name.p, name.len);
	t->names_len = end;
	return (uint32_t)(start / NAME_UNIT);
}

node_t tree_add_child(struct tree *t, node_t dir, struct bytes name)
{
	node_t n = tree_child(t, dir, name);
	if (n != NODE_NONE)
		return n;
	assert(name.len >= 1 && name.len <= NAME_MAX_BYTES);
	assert(t->n_nodes < TREE_NODES_MAX && t->nodes[dir].depth < UINT16_MAX);
	GROW(t->nodes, t->cap_nodes, t->n_nodes + 1);
	n = (node_t)t->n_nodes++;
	t->nodes[n] = (struct node){
		.parent = dir,
		.next_sibling = t->nodes[dir].first_child,
		.name = keep_name(t, name),
		.name_len = (uint8_t)name.len,
		.depth = (uint16_t)(t->nodes[dir].depth + 1),
	};
	t->nodes[dir].first_child = n;
	if (t->n_nodes > t->n_buckets * CHAIN_MEAN)
		double_buckets(t);
	else
		link_into_bucket(t, n);
	return n;
}

/* Takes the first component off *path. */
static struct bytes next_component(struct bytes *path)
{
	const uint8_t *slash = memchr(path->p, '/', path->len);
	struct bytes name = {path->p, slash ? (size_t)(slash - path->p) : path->len};
	size_t used = name.len + (slash ? 1 : 0);
	path->p += used;
	path->len -= used;
	return name;
}

node_t tree_find(const struct tree *t, struct bytes path)
{
	node_t n = NODE_ROOT;
	while (path.len && n != NODE_NONE)
		n = tree_child(t, n, next_component(&path));
	return n;
}

node_t tree_add(struct tree *t, struct bytes path)
{
	node_t n = NODE_ROOT;
	while (path.len)
		n = tree_add_child(t, n, next_component(&path));
	return n;
}

void tree_path(const struct tree *t, node_t n, struct buf *out)
{
	size_t len = 0;
	for (node_t i = n; i != NODE_ROOT; i = t->nodes[i].parent)
		len += node_at(t, i)->name_len + 1u;
	buf_clear(out);
	if (!len)
		return;
	uint8_t *end = buf_reserve(out, len) + len - 1;
	out->len = len - 1;
	for (node_t i = n; i != NODE_ROOT; i = t->nodes[i].parent) {
		struct bytes name = tree_name(t, i);
		end -= name.len;
		memcpy(end, name.p, name.len);
		if (end > out->data)
			*--end = '/';
	}
}

static node_t climb_to(const struct tree *t, node_t n, unsigned depth)
{
	while (t->nodes[n].depth > depth)
		n = t->nodes[n].parent;
	return n;
}

bool tree_is_under(const struct tree *t, node_t n, node_t dir)
{
	assert(n < t->n_nodes && dir < t->n_nodes);
	return climb_to(t, n, t->nodes[dir].depth) == dir;
}

int tree_compare_names(const struct tree *t, node_t a, node_t b)
{
	struct bytes x = tree_name(t, a), y = tree_name(t, b);
	size_t common = x.len < y.len ? x.len : y.len;
	int order = common ? memcmp(x.p, y.p, common) : 0;
	if (order)
		return order < 0 ? -1 : 1;
	return (x.len > y.len) - (x.len < y.len);
}

int tree_compare(const struct tree *t, node_t a, node_t b)
{
	unsigned depth_a = tree_depth(t, a), depth_b = tree_depth(t, b);
	node_t x = climb_to(t, a, depth_b), y = climb_to(t, b, depth_a);
	if (x == y)
		return (depth_a > depth_b) - (depth_a < depth_b);
	while (t->nodes[x].parent != t->nodes[y].parent) {
		x = t->nodes[x].parent;
		y = t->nodes[y].parent;
	}
	return tree_compare_names(t, x, y);
}

size_t tree_memory(const struct tree *t)
{
	return sizeof(*t) + t->n_nodes * sizeof(*t->nodes) + t->names_len +
	       t->n_buckets * sizeof(*t->buckets);
}
