/* Owns sets of paths: sorted arrays. */
#include "config.h"
#include "pathset.h"

#include "path.h"

#include <stdlib.h>

/* The first item not before `path`. */
static size_t lower_bound(const struct pathset *s, struct bytes path)
{
	size_t from = 0, to = s->n;
	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (path_compare(s->items[mid].path, path) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static bool is_at(const struct pathset *s, size_t i, struct bytes path)
{
	return i < s->n && bytes_eq(s->items[i].path, path);
}

void pathset_put(struct pathset *s, struct bytes path, uint64_t value)
{
	size_t i = lower_bound(s, path);
	if (!is_at(s, i, path)) {
		GROW(s->items, s->cap, s->n + 1);
		memmove(s->items + i + 1, s->items + i, (s->n - i) * sizeof(*s->items));
		s->items[i].path = (struct bytes){xmemdup(path.p, path.len), path.len};
		s->n++;
	}
	s->items[i].value = value;
}

bool pathset_remove(struct pathset *s, struct bytes path)
{
	size_t i = lower_bound(s, path);
	if (!is_at(s, i, path))
		return false;
	void *own = (void *)(uintptr_t)s->items[i].path.p;
	s->n--;
	memmove(s->items + i, s->items + i + 1, (s->n - i) * sizeof(*s->items));
	free(own);
	return true;
}

bool pathset_has(const struct pathset *s, struct bytes path)
{
	return is_at(s, lower_bound(s, path), path);
}

uint64_t pathset_sum(const struct pathset *s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < s->n; i++)
		sum += s->items[i].value;
	return sum;
}

void pathset_release(struct pathset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((void *)(uintptr_t)s->items[i].path.p);
	free(s->items);
	*s = (struct pathset){0};
}
