/* Owns the state of one path on one replica, its merge, and the choice of the winner. */
#include "config.h"
#include "entry.h"

#include "mutants.h"

#include <stdlib.h>

const char *kind_text(enum kind k)
{
	static const char *const text[] = {"absent", "file", "directory", "symlink"};
	assert(k < ARRAY_LEN(text));
	return text[k];
}

void head_release(struct head *h)
{
	free(h->target);
	*h = (struct head){0};
}

struct head head_copy(const struct head *h)
{
	struct head copy = *h;
	if (h->target)
		copy.target = xmemdup(h->target, h->size);
	return copy;
}

bool head_same_content(const struct head *a, const struct head *b)
{
	return a->kind == b->kind &&
	       (a->kind == KIND_DIR || memcmp(a->hash, b->hash, HASH_SIZE) == 0);
}

void state_release(struct state *s)
{
	for (uint16_t i = 0; i < s->n_heads; i++)
		head_release(&s->heads[i]);
	free(s->heads);
	version_release(&s->context);
	*s = (struct state){0};
}

struct state state_copy(const struct state *s)
{
	struct state copy = *s;
	copy.heads = NULL;
	if (s->n_heads)
		copy.heads = xcalloc(s->n_heads, sizeof(*copy.heads));
	for (uint16_t i = 0; i < s->n_heads; i++)
		copy.heads[i] = head_copy(&s->heads[i]);
	copy.context = version_copy(&s->context);
	return copy;
}

bool state_empty(const struct state *s)
{
	return s->context.n == 0;
}

bool state_eq(const struct state *a, const struct state *b)
{
	if (a->n_heads != b->n_heads || !version_eq(&a->context, &b->context))
		return false;
	for (uint16_t i = 0; i < a->n_heads; i++)
		if (!dot_eq(a->heads[i].dot, b->heads[i].dot))
			return false;
	return a->mode.rank == b->mode.rank && a->mode.bits == b->mode.bits;
}

const struct head *state_find(const struct state *s, struct dot d)
{
	for (uint16_t i = 0; i < s->n_heads; i++)
		if (dot_eq(s->heads[i].dot, d))
			return &s->heads[i];
	return NULL;
}

void state_remove_head(struct state *s, struct dot d)
{
	for (uint16_t i = 0; i < s->n_heads; i++) {
		if (!dot_eq(s->heads[i].dot, d))
			continue;
		head_release(&s->heads[i]);
		s->n_heads--;
		memmove(s->heads + i, s->heads + i + 1,
		        (size_t)(s->n_heads - i) * sizeof(*s->heads));
		return;
	}
}

void state_add_head(struct state *s, const struct head *h)
{
	version_add(&s->context, h->dot);
	if (state_find(s, h->dot))
		return;
	uint16_t i = 0;
	while (i < s->n_heads && dot_compare(s->heads[i].dot, h->dot) < 0)
		i++;
	s->heads = xrealloc(s->heads, (size_t)s->n_heads + 1, sizeof(*s->heads));
	memmove(s->heads + i + 1, s->heads + i, (size_t)(s->n_heads - i) * sizeof(*s->heads));
	s->heads[i] = head_copy(h);
	s->n_heads++;
}

static bool mode_beats(const struct mode_reg *a, const struct mode_reg *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	/* Of equal ranks the narrower bits, so that every replica agrees without ids; but any before none. */
	if (!a->dot.counter || !b->dot.counter)
		return a->dot.counter;
	return a->bits < b->bits;
}

void state_merge(struct state *a, const struct state *b)
{
	if (b->context.n == 0)
		return;
	for (uint16_t i = a->n_heads; i-- > 0; ) {
		struct dot d = a->heads[i].dot;
		if (version_has(&b->context, d) && !state_find(b, d))
			state_remove_head(a, d);
	}
	for (uint16_t i = 0; i < b->n_heads; i++)
		if (!version_has(&a->context, b->heads[i].dot))
			state_add_head(a, &b->heads[i]);
	if (MUTANT(DELETE_WINS) && a->context.n && b->n_heads == 0)
		while (a->n_heads)
			state_remove_head(a, a->heads[0].dot);
	/* The deleted content: of the tombstone that has seen more, so that the order does not matter. */
	if (version_covers(&b->context, &a->context))
		memcpy(a->gone, b->gone, HASH_SIZE);
	else if (!version_covers(&a->context, &b->context) && memcmp(b->gone, a->gone, HASH_SIZE) > 0)
		memcpy(a->gone, b->gone, HASH_SIZE);
	version_unite(&a->context, &b->context);
	if (a->n_heads)
		memset(a->gone, 0, HASH_SIZE);
	if (mode_beats(&b->mode, &a->mode))
		a->mode = b->mode;
}

/* Positive if a beats b. */
static int head_contest(const struct head *a, const struct head *b, const struct replica_id *ids)
{
	if (a->rank != b->rank)
		return a->rank > b->rank ? 1 : -1;
	int r = memcmp(a->hash, b->hash, HASH_SIZE);
	if (r)
		return r;
	if (a->kind != b->kind)
		return a->kind > b->kind ? 1 : -1;
	r = replica_id_compare(&ids[a->dot.rep], &ids[b->dot.rep]);
	if (r)
		return r;
	return a->dot.counter > b->dot.counter ? 1 : -1;
}

static const struct head *best(const struct state *s, const struct replica_id *ids, bool dirs)
{
	const struct head *w = NULL;
	for (uint16_t i = 0; i < s->n_heads; i++) {
		const struct head *h = &s->heads[i];
		if ((h->kind == KIND_DIR) == dirs && (!w || head_contest(h, w, ids) > 0))
			w = h;
	}
	return w;
}

const struct head *state_winner(const struct state *s, const struct replica_id *ids)
{
	const struct head *w = best(s, ids, true);
	return w ? w : best(s, ids, false);
}

const struct head *state_winner_content(const struct state *s, const struct replica_id *ids)
{
	return best(s, ids, false);
}

uint64_t state_stamp(const struct state *s, const struct replica_id *ids)
{
	if (state_empty(s))
		return 0;
	/* A sum does not depend on the order of the local numbers. */
	uint64_t sum = 0;
	for (uint16_t i = 0; i < s->context.n; i++) {
		const struct dot *d = &s->context.dots[i];
		sum += hash64(ids[d->rep].b, REPLICA_ID_SIZE, d->counter);
	}
	uint64_t mode[2] = {(uint64_t)s->mode.rank, s->mode.bits};
	sum = hash64(mode, sizeof(mode), sum);
	return sum ? sum : 1;
}
