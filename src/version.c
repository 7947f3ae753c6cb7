/* Owns dots and version vectors. */
#include "config.h"
#include "version.h"

#include <stdlib.h>

bool replica_id_eq(const struct replica_id *a, const struct replica_id *b)
{
	return replica_id_compare(a, b) == 0;
}

int replica_id_compare(const struct replica_id *a, const struct replica_id *b)
{
	return memcmp(a->b, b->b, REPLICA_ID_SIZE);
}

int dot_compare(struct dot a, struct dot b)
{
	if (a.rep != b.rep)
		return a.rep < b.rep ? -1 : 1;
	return a.counter < b.counter ? -1 : a.counter > b.counter;
}

void version_release(struct version *v)
{
	free(v->dots);
	*v = (struct version){0};
}

struct version version_copy(const struct version *v)
{
	struct version copy = {.n = v->n};
	if (v->n)
		copy.dots = xmemdup(v->dots, v->n * sizeof(*v->dots));
	return copy;
}

/* Position of rep, or where it belongs. */
static uint16_t position(const struct version *v, rep_t rep)
{
	uint16_t i = 0;
	while (i < v->n && v->dots[i].rep < rep)
		i++;
	return i;
}

bool version_has(const struct version *v, struct dot d)
{
	uint16_t i = position(v, d.rep);
	return i < v->n && v->dots[i].rep == d.rep && v->dots[i].counter >= d.counter;
}

void version_add(struct version *v, struct dot d)
{
	assert(d.counter);
	uint16_t i = position(v, d.rep);
	if (i < v->n && v->dots[i].rep == d.rep) {
		if (v->dots[i].counter < d.counter)
			v->dots[i].counter = d.counter;
		return;
	}
	v->dots = xrealloc(v->dots, (size_t)v->n + 1, sizeof(*v->dots));
	memmove(v->dots + i + 1, v->dots + i, (size_t)(v->n - i) * sizeof(*v->dots));
	v->dots[i] = d;
	v->n++;
}

void version_unite(struct version *v, const struct version *other)
{
	for (uint16_t i = 0; i < other->n; i++)
		version_add(v, other->dots[i]);
}

bool version_covers(const struct version *v, const struct version *other)
{
	for (uint16_t i = 0; i < other->n; i++)
		if (!version_has(v, other->dots[i]))
			return false;
	return true;
}

bool version_eq(const struct version *a, const struct version *b)
{
	if (a->n != b->n)
		return false;
	for (uint16_t i = 0; i < a->n; i++)
		if (!dot_eq(a->dots[i], b->dots[i]))
			return false;
	return true;
}
