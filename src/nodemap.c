/* Owns the map from node numbers to values: open addressing, linear probing, back-shift deletion. */
#include "config.h"
#include "nodemap.h"

#include <stdlib.h>

static size_t home(const struct nodemap *m, node_t n)
{
	return (size_t)((n * 0x9e3779b97f4a7c15u) >> 20) & (m->cap - 1);
}

void nodemap_release(struct nodemap *m)
{
	free(m->items);
	*m = (struct nodemap){0};
}

static struct nodemap_item *find(const struct nodemap *m, node_t n)
{
	size_t i = home(m, n);
	while (m->items[i].node != NODE_NONE && m->items[i].node != n)
		i = (i + 1) & (m->cap - 1);
	return &m->items[i];
}

uint64_t *nodemap_get(const struct nodemap *m, node_t n)
{
	if (!m->n)
		return NULL;
	struct nodemap_item *it = find(m, n);
	return it->node == n ? &it->value : NULL;
}

static void resize(struct nodemap *m, size_t cap)
{
	struct nodemap old = *m;
	m->cap = cap;
	m->items = xcalloc(cap, sizeof(*m->items));
	for (size_t i = 0; i < cap; i++)
		m->items[i].node = NODE_NONE;
	for (size_t i = 0; i < old.cap; i++)
		if (old.items[i].node != NODE_NONE)
			*find(m, old.items[i].node) = old.items[i];
	free(old.items);
}

void nodemap_put(struct nodemap *m, node_t n, uint64_t value)
{
	assert(n != NODE_NONE);
	if ((m->n + 1) * 4 > m->cap * 3)
		resize(m, m->cap ? m->cap * 2 : 16);
	struct nodemap_item *it = find(m, n);
	if (it->node == NODE_NONE)
		m->n++;
	*it = (struct nodemap_item){n, value};
}

bool nodemap_remove(struct nodemap *m, node_t n)
{
	if (!m->n)
		return false;
	struct nodemap_item *hole = find(m, n);
	if (hole->node != n)
		return false;
	size_t i = (size_t)(hole - m->items);
	for (size_t j = (i + 1) & (m->cap - 1); m->items[j].node != NODE_NONE;
	     j = (j + 1) & (m->cap - 1)) {
		size_t want = home(m, m->items[j].node);
		/* May the item at j move to the hole at i? Only if its home is not between them. */
		if (((j - want) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
			m->items[i] = m->items[j];
			i = j;
		}
	}
	m->items[i].node = NODE_NONE;
	m->n--;
	return true;
}
