/*
 * Counted search trees over node numbers: each member weighs something, and the sum of the weights
 * before a member, or the member at a sum, is found in O(log n). Owns the shape of the trees and
 * the sums; the order of the members is the caller's.
 *
 * Treaps whose priorities are hashes of the numbers, so nothing is stored for balance and the
 * shape depends on the members alone. All trees of one pool share an array of links indexed by
 * number: a number is a member of one tree at most. Number 0 is never a member and means none.
 */
#ifndef TUTTI_RANKED_H
#define TUTTI_RANKED_H

#include "base.h"

struct ranked_link {
	uint32_t left, right, up;
	uint32_t sum; /* of the weights in this subtree; 0: no member of any tree */
};

struct ranked {
	struct ranked_link *links;
	size_t n, cap;
	uint64_t seed;
};

/* Numbers below n (at least 1) may be used. */
void ranked_init(struct ranked *r, uint64_t seed, size_t n);
void ranked_release(struct ranked *r);
void ranked_clear(struct ranked *r); /* no members; the caller zeroes its roots */
void ranked_make_room(struct ranked *r, size_t n);

static inline bool ranked_has(const struct ranked *r, uint32_t n)
{
	return n < r->n && r->links[n].sum != 0;
}

/* The weight of member n alone. */
static inline uint32_t ranked_weight(const struct ranked *r, uint32_t n)
{
	const struct ranked_link *l = &r->links[n];
	return l->sum - r->links[l->left].sum - r->links[l->right].sum;
}

/* Replaces the empty tree by `count` members in the order given, in O(count). */
void ranked_build(struct ranked *r, uint32_t *root, const uint32_t *members,
                  const uint32_t *weights, size_t count);
/* Makes n a child of `parent`, on a side that is free; of an empty tree the root (parent 0). */
void ranked_insert(struct ranked *r, uint32_t *root, uint32_t parent, bool right, uint32_t n,
                   uint32_t weight);
void ranked_remove(struct ranked *r, uint32_t *root, uint32_t n);
/* Adds to the weight of member n, modulo 2^32; it must not become 0. */
void ranked_add(struct ranked *r, uint32_t n, uint32_t delta);

uint32_t ranked_before(const struct ranked *r, uint32_t n); /* the weights of all before member n */
uint32_t ranked_next(const struct ranked *r, uint32_t n);   /* 0 at the end */
uint32_t ranked_prev(const struct ranked *r, uint32_t n);
uint32_t ranked_first(const struct ranked *r, uint32_t root);
uint32_t ranked_last(const struct ranked *r, uint32_t root);

#endif
