/* Owns which rows belong to a table, and in which order they stand. */
#include "config.h"
#include "table_internal.h"

bool table_path_matches(struct table *t, node_t n)
{
	if (!t->filter.n_parts)
		return true;
	node_t dir = tree_parent(t->rows->tree, n);
	if (dir != t->path_dir) {
		tree_path(t->rows->tree, dir, &t->path);
		if (t->path.len)
			buf_add_char(&t->path, '/');
		t->path_dir = dir;
		t->path_dir_len = t->path.len;
	}
	struct bytes name = tree_name(t->rows->tree, n);
	t->path.len = t->path_dir_len;
	buf_add(&t->path, name.p, name.len);
	return filter_match_path(&t->filter, (struct bytes){t->path.data, t->path.len});
}

bool table_row_matches(struct table *t, node_t n)
{
	if (!t->filtered)
		return rows_has(t->rows, n);
	struct row row = rows_row(t->rows, n);
	return row.kind != KIND_ABSENT && filter_match_row(&t->filter, &row) &&
	       table_path_matches(t, n);
}

bool table_may_hold_match(const struct table *t, node_t n)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return f->unsynced || (!table_folder_is_empty(t, n) && filter_passes_synced(&t->filter));
}

bool table_is_member(struct table *t, node_t n)
{
	if (!rows_has(t->rows, n))
		return false;
	if (!t->tree)
		return table_folder_is_empty(t, n) && table_row_matches(t, n);
	return (t->filtered && table_fold_of(t, n)->matches) || table_row_matches(t, n);
}

struct key table_key_from(const struct table *t, node_t n, const struct row *row, uint64_t bytes,
                          uint8_t worst)
{
	/* A folder whose row is gone is looked for where it stood. */
	bool dir = row->kind == KIND_DIR || (row->kind == KIND_ABSENT && rows_folder(t->rows, n));
	struct key key = {.file = t->tree && !dir};
	switch (t->sort) {
	case SORT_SIZE:
		key.major = !dir ? row->size : t->tree ? bytes : 0;
		break;
	case SORT_DATE:
		key.major = (uint64_t)row->mtime ^ UINT64_C(1) << 63;
		break;
	case SORT_STATE:
		key.major = dir && t->tree && worst > row->state ? worst : row->state;
		break;
	case SORT_NAME:
	case SORTS_N:
		break;
	}
	return key;
}

struct key table_key_of(const struct table *t, node_t n)
{
	if (!t->tree && t->sort == SORT_NAME)
		return (struct key){0};
	struct row row = rows_row(t->rows, n);
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return table_key_from(t, n, &row, f->bytes, rows_worst(t->rows, f));
}

/* Of a and m in one list, neither the other. */
static bool is_before(const struct table *t, node_t a, struct key key_a, node_t m)
{
	struct key key_m = table_key_of(t, m);
	if (key_a.file != key_m.file)
		return key_m.file;
	if (key_a.major != key_m.major)
		return (key_a.major < key_m.major) != t->reverse;
	int order = t->tree ? tree_compare_names(t->rows->tree, a, m)
	                    : tree_compare(t->rows->tree, a, m);
	return (order < 0) != t->reverse;
}

struct gap table_find_gap(const struct table *t, uint32_t root, node_t n)
{
	const struct ranked_link *links = t->lists.links;
	struct key key = table_key_of(t, n);
	struct gap gap = {0, 0, 0};
	for (uint32_t m = root; m; ) {
		if (is_before(t, n, key, m)) {
			gap.next = m;
			m = links[m].left;
		} else {
			gap.prev = m;
			gap.before += links[m].sum - links[links[m].right].sum;
			m = links[m].right;
		}
	}
	return gap;
}
