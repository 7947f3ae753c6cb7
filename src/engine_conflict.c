/* Owns what people are told of a conflict: the contents at a path, and the name of each on the disk. */
#include "config.h"
#include "engine_internal.h"

#include "path.h"

/* Does the disk show this head at n, with nothing under way there? */
static bool shows(const struct engine *e, node_t n, const struct head *h)
{
	const struct slot *s = slot_of(e, n);
	const struct head *shown = shown_head(e, n);
	return shown && head_same_content(shown, h) && !s->missing && !(s->flags & (F_JOB | F_BUSY));
}

/* Where the copy of a loser is, or is to come; NODE_NONE: it has none of its own. */
static node_t copy_of(struct engine *e, node_t n, const struct head *h)
{
	node_t q = copy_node(e, n, h->dot, false);
	return q != NODE_NONE && state_find(target_of(e, q), h->dot) ? q : NODE_NONE;
}

size_t engine_versions(struct engine *e, node_t n, struct version_view out[ENGINE_VERSIONS_MAX])
{
	size_t count = 0;
	bool dir;
	if (n == NODE_NONE || n == NODE_ROOT || !in_conflict(e, n))
		return 0;
	const struct state *t = target_of(e, n);
	const struct head *w = target_head(e, n, &dir);
	out[count++] = (struct version_view){
		.head = w, .node = n, .kind = dir ? KIND_DIR : w->kind,
		.here = dir ? slot_of(e, n)->kind == KIND_DIR : shows(e, n, w),
	};
	for (uint16_t i = 0; i < t->n_heads; i++) {
		const struct head *h = &t->heads[i];
		if (h->kind == KIND_DIR || (w && !dir && head_same_content(h, w)))
			continue;
		node_t q = copy_of(e, n, h);
		if (q == NODE_NONE)
			continue;
		out[count++] = (struct version_view){
			.head = h, .node = q, .kind = h->kind, .here = shows(e, q, h),
		};
	}
	return count;
}

uint64_t engine_stamp(const struct engine *e, node_t n)
{
	if (n == NODE_NONE)
		return 0;
	return state_stamp(target_of(e, n), e->ids);
}

/* A page that is put together: the first paths in the order of names. */
struct page {
	node_t *nodes;
	size_t n, max;
};

static void page_put(const struct engine *e, struct page *p, node_t n)
{
	size_t low = 0, high = p->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (tree_compare(e->tree, p->nodes[mid], n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == p->max)
		return;
	if (p->n < p->max)
		p->n++;
	memmove(p->nodes + low + 1, p->nodes + low, (p->n - 1 - low) * sizeof(*p->nodes));
	p->nodes[low] = n;
}

size_t engine_conflicts(const struct engine *e, node_t under, struct bytes after, node_t *out,
			size_t max)
{
	struct page page = {.nodes = out, .max = max};
	struct buf path = {0};
	if (under == NODE_NONE || !max || !e->n_conflicts)
		return 0;
	for (node_t n = under; n != NODE_NONE;) {
		if (n != NODE_ROOT && in_conflict(e, n)) {
			tree_path(e->tree, n, &path);
			if (!after.len || path_compare((struct bytes){path.data, path.len}, after) > 0)
				page_put(e, &page, n);
		}
		/* only into folders in which something is amiss */
		n = tree_walk(e->tree, n, under, rows_totals(e->rows, n).worst >= ROW_CONFLICT);
	}
	buf_release(&path);
	return page.n;
}
