/* Owns the links of counted search trees: rotations, sums and walks. No function recurses. */
#include "config.h"
#include "ranked.h"

#include <stdlib.h>

void ranked_init(struct ranked *r, uint64_t seed, size_t n)
{
	assert(n >= 1);
	/* Zeroed memory of this size costs nothing until it is touched. */
	*r = (struct ranked){.seed = seed, .n = n, .cap = n};
	r->links = xcalloc(n, sizeof(*r->links));
}

void ranked_release(struct ranked *r)
{
	free(r->links);
	*r = (struct ranked){0};
}

void ranked_clear(struct ranked *r)
{
	free(r->links);
	ranked_init(r, r->seed, r->n);
}

void ranked_make_room(struct ranked *r, size_t n)
{
	if (n <= r->n)
		return;
	GROW(r->links, r->cap, n);
	memset(r->links + r->n, 0, (n - r->n) * sizeof(*r->links));
	r->n = n;
}

static uint64_t priority(const struct ranked *r, uint32_t n)
{
	uint64_t x = r->seed + n * 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	return x ^ (x >> 29);
}

/* Different numbers never tie. */
static bool is_above(const struct ranked *r, uint32_t a, uint32_t b)
{
	uint64_t x = priority(r, a), y = priority(r, b);
	return x != y ? x > y : a > b;
}

static void replace_child(struct ranked *r, uint32_t *root, uint32_t parent, uint32_t old,
                          uint32_t new)
{
	if (!parent)
		*root = new;
	else if (r->links[parent].left == old)
		r->links[parent].left = new;
	else
		r->links[parent].right = new;
}

/* Turns the edge between n and its parent, so that n is the upper one. */
static void rotate_up(struct ranked *r, uint32_t *root, uint32_t n)
{
	struct ranked_link *links = r->links;
	uint32_t p = links[n].up;
	uint32_t sum_n = links[n].sum, middle;
	replace_child(r, root, links[p].up, p, n);
	links[n].up = links[p].up;
	links[p].up = n;
	if (links[p].left == n) {
		middle = links[n].right;
		links[p].left = middle;
		links[n].right = p;
	} else {
		middle = links[n].left;
		links[p].right = middle;
		links[n].left = p;
	}
	if (middle)
		links[middle].up = p;
	links[n].sum = links[p].sum;
	links[p].sum += links[middle].sum - sum_n;
}

void ranked_build(struct ranked *r, uint32_t *root, const uint32_t *members,
                  const uint32_t *weights, size_t count)
{
	struct ranked_link *links = r->links;
	uint32_t last = 0; /* the lower end of the right edge, whose sums are weights so far */
	assert(*root == 0);
	for (size_t i = 0; i <= count; i++) {
		uint32_t n = i < count ? members[i] : 0;
		uint32_t below = 0, p = last;
		assert(n < r->n && (i == count || (n && !links[n].sum && weights[i])));
		while (p && (!n || is_above(r, n, p))) {
			links[p].sum += links[links[p].left].sum + links[links[p].right].sum;
			below = p;
			p = links[p].up;
		}
		if (!n)
			break;
		links[n] = (struct ranked_link){.left = below, .up = p, .sum = weights[i]};
		if (below)
			links[below].up = n;
		if (p)
			links[p].right = n;
		else
			*root = n;
		last = n;
	}
}

void ranked_insert(struct ranked *r, uint32_t *root, uint32_t parent, bool right, uint32_t n,
                   uint32_t weight)
{
	assert(n && n < r->n && !r->links[n].sum && weight);
	r->links[n] = (struct ranked_link){.up = parent, .sum = weight};
	if (!parent) {
		assert(*root == 0);
		*root = n;
		return;
	}
	uint32_t *child = right ? &r->links[parent].right : &r->links[parent].left;
	assert(*child == 0);
	*child = n;
	ranked_add(r, parent, weight);
	while (r->links[n].up && is_above(r, n, r->links[n].up))
		rotate_up(r, root, n);
}

void ranked_remove(struct ranked *r, uint32_t *root, uint32_t n)
{
	struct ranked_link *l = &r->links[n];
	assert(ranked_has(r, n));
	while (l->left && l->right)
		rotate_up(r, root, is_above(r, l->left, l->right) ? l->left : l->right);
	uint32_t weight = ranked_weight(r, n);
	uint32_t child = l->left ? l->left : l->right;
	replace_child(r, root, l->up, n, child);
	if (child)
		r->links[child].up = l->up;
	if (l->up)
		ranked_add(r, l->up, 0 - weight);
	*l = (struct ranked_link){0};
}

void ranked_add(struct ranked *r, uint32_t n, uint32_t delta)
{
	for (; n; n = r->links[n].up)
		r->links[n].sum += delta;
}

uint32_t ranked_before(const struct ranked *r, uint32_t n)
{
	const struct ranked_link *links = r->links;
	uint32_t before = links[links[n].left].sum;
	for (uint32_t p = links[n].up; p; n = p, p = links[p].up)
		if (links[p].right == n)
			before += links[p].sum - links[n].sum;
	return before;
}

uint32_t ranked_first(const struct ranked *r, uint32_t root)
{
	while (root && r->links[root].left)
		root = r->links[root].left;
	return root;
}

uint32_t ranked_last(const struct ranked *r, uint32_t root)
{
	while (root && r->links[root].right)
		root = r->links[root].right;
	return root;
}

uint32_t ranked_next(const struct ranked *r, uint32_t n)
{
	if (r->links[n].right)
		return ranked_first(r, r->links[n].right);
	uint32_t p = r->links[n].up;
	for (; p && r->links[p].right == n; p = r->links[p].up)
		n = p;
	return p;
}

uint32_t ranked_prev(const struct ranked *r, uint32_t n)
{
	if (r->links[n].left)
		return ranked_last(r, r->links[n].left);
	uint32_t p = r->links[n].up;
	for (; p && r->links[p].left == n; p = r->links[p].up)
		n = p;
	return p;
}
