/* Owns the order of the rows in every open table, and which of them show. */
#include "config.h"
#include "table.h"
#include "entry.h"
#include "filter.h"
#include "ranked.h"
#include "rows.h"

#include <stdlib.h>

static const char *const sort_texts[SORTS_N] = {
	[SORT_NAME] = "name",
	[SORT_SIZE] = "size",
	[SORT_DATE] = "date",
	[SORT_STATE] = "state",
};

/* What a table knows of a folder in tree form. The list of an unfolded folder is always built;
 * that of a folded one only if it was needed once, and then it is kept up to date as well. */
struct fold {
	uint32_t root;    /* of the list of what is in the folder */
	uint32_t matches; /* rows below that pass the filter; not kept without a filter */
	bool built;
	bool unfolded;
};

struct table {
	struct table *next;
	struct rows *rows;
	struct ranked lists;  /* the weight of a row is 1, and of an unfolded one what it shows too */
	uint32_t flat;        /* the one list of the flat form */
	struct fold *folds;   /* tree form: by folder index of struct rows; [0] is nobody's */
	size_t n_folds, cap_folds;
	struct filter filter;
	struct buf path;      /* of the last row matched; its first path_dir_len bytes are the folder */
	size_t path_dir_len;
	node_t path_dir;
	node_t under;
	enum table_sort sort;
	bool reverse, tree;
	bool filtered;        /* there is a filter that some row may not pass */
	bool new_unfolded;    /* what a folder is that nobody folded or unfolded */
	uint64_t generation;
};

const char *table_sort_text(enum table_sort s)
{
	assert(s < SORTS_N);
	return sort_texts[s];
}

int table_sort_parse(struct bytes text)
{
	for (size_t i = 0; i < ARRAY_LEN(sort_texts); i++)
		if (bytes_eq(text, bytes_of(sort_texts[i])))
			return (int)i;
	return -1;
}

/* Folders and lists */

static uint32_t fold_index(const struct table *t, node_t n)
{
	uint32_t i = rows_folder(t->rows, n);
	return i < t->n_folds ? i : 0;
}

static struct fold *fold_of(const struct table *t, node_t n)
{
	return &t->folds[fold_index(t, n)];
}

static void make_folds(struct table *t)
{
	GROW(t->folds, t->cap_folds, t->rows->n_folders);
	while (t->n_folds < t->rows->n_folders) {
		/* Nothing in it has a row yet, so that its list is as good as built. */
		bool open = t->new_unfolded && t->n_folds != 0;
		bool built = open || t->n_folds == 0;
		t->folds[t->n_folds++] = (struct fold){.built = built, .unfolded = open};
	}
}

static uint32_t *list_of(struct table *t, node_t n)
{
	return t->tree ? &fold_of(t, tree_parent(t->rows->tree, n))->root : &t->flat;
}

static bool list_is_built(const struct table *t, node_t n)
{
	return !t->tree || fold_of(t, tree_parent(t->rows->tree, n))->built;
}

static bool is_below(const struct table *t, node_t n)
{
	return n != t->under && (t->under == NODE_ROOT || tree_is_under(t->rows->tree, n, t->under));
}

/* Lets the folders that show a list know that its weight has changed. */
static void carry(struct table *t, node_t dir, uint32_t delta)
{
	if (!t->tree)
		return;
	while (dir != t->under && fold_of(t, dir)->unfolded && ranked_has(&t->lists, dir)) {
		ranked_add(&t->lists, dir, delta);
		dir = tree_parent(t->rows->tree, dir);
	}
}

static uint32_t list_weight(const struct table *t, node_t dir)
{
	return t->lists.links[fold_of(t, dir)->root].sum;
}

static uint32_t weight_of(const struct table *t, node_t n)
{
	return t->tree && fold_of(t, n)->unfolded ? 1 + list_weight(t, n) : 1;
}

/* Which rows belong */

static bool path_matches(struct table *t, node_t n)
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

static bool row_matches(struct table *t, node_t n)
{
	if (!t->filtered)
		return rows_has(t->rows, n);
	struct row row = rows_row(t->rows, n);
	return row.kind != KIND_ABSENT && filter_match_row(&t->filter, &row) && path_matches(t, n);
}

static bool folder_is_empty(const struct table *t, node_t n)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return f->files == 0 && f->dirs == 0;
}

/* Whether it is worth looking for rows in folder n. */
static bool may_hold_match(const struct table *t, node_t n)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return f->unsynced || (!folder_is_empty(t, n) && filter_passes_synced(&t->filter));
}

static bool is_member(struct table *t, node_t n)
{
	if (!rows_has(t->rows, n))
		return false;
	if (!t->tree)
		return folder_is_empty(t, n) && row_matches(t, n);
	return (t->filtered && fold_of(t, n)->matches) || row_matches(t, n);
}

/* Order */

struct key {
	uint64_t major;
	bool file; /* in tree form folders stand first, reversed or not */
};

static struct key key_from(const struct table *t, node_t n, const struct row *row, uint64_t bytes,
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

static struct key key_of(const struct table *t, node_t n)
{
	if (!t->tree && t->sort == SORT_NAME)
		return (struct key){0};
	struct row row = rows_row(t->rows, n);
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, n)];
	return key_from(t, n, &row, f->bytes, rows_worst(t->rows, f));
}

static bool key_eq(struct key a, struct key b)
{
	return a.major == b.major && a.file == b.file;
}

/* Of a and m in one list, neither the other. */
static bool is_before(const struct table *t, node_t a, struct key key_a, node_t m)
{
	struct key key_m = key_of(t, m);
	if (key_a.file != key_m.file)
		return key_m.file;
	if (key_a.major != key_m.major)
		return (key_a.major < key_m.major) != t->reverse;
	int order = t->tree ? tree_compare_names(t->rows->tree, a, m)
	                    : tree_compare(t->rows->tree, a, m);
	return (order < 0) != t->reverse;
}

/* Where in a list a row that is not in it belongs: between these two (0: none), of which one has
 * a free place for it. */
struct gap {
	uint32_t prev, next;
	uint32_t before; /* the weights of all before it */
};

static struct gap find_gap(const struct table *t, uint32_t root, node_t n)
{
	const struct ranked_link *links = t->lists.links;
	struct key key = key_of(t, n);
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

/* Changes of one row */

static void list_insert(struct table *t, node_t n)
{
	uint32_t *root = list_of(t, n), weight = weight_of(t, n);
	struct gap gap = find_gap(t, *root, n);
	bool right = gap.prev && !t->lists.links[gap.prev].right;
	ranked_insert(&t->lists, root, right ? gap.prev : gap.next, right, n, weight);
	carry(t, tree_parent(t->rows->tree, n), weight);
}

static void list_remove(struct table *t, node_t n)
{
	uint32_t weight = ranked_weight(&t->lists, n);
	ranked_remove(&t->lists, list_of(t, n), n);
	carry(t, tree_parent(t->rows->tree, n), 0 - weight);
}

static void count_matches(struct table *t, const struct change *c)
{
	bool path = path_matches(t, c->node);
	bool was = path && c->old.kind != KIND_ABSENT && filter_match_row(&t->filter, &c->old);
	bool is = path && c->new.kind != KIND_ABSENT && filter_match_row(&t->filter, &c->new);
	for (size_t i = 0; was != is && i < c->n_ancestors; i++) {
		fold_of(t, c->ancestors[i].node)->matches += is ? 1u : UINT32_MAX;
		if (c->ancestors[i].node == t->under)
			break;
	}
}

static bool moves(const struct table *t, const struct change *c)
{
	const struct folder *f = &t->rows->folders[rows_folder(t->rows, c->node)];
	uint8_t worst = rows_worst(t->rows, f);
	return !key_eq(key_from(t, c->node, &c->old, f->bytes, worst),
	               key_from(t, c->node, &c->new, f->bytes, worst));
}

static bool ancestor_moves(const struct table *t, const struct ancestor *a)
{
	if (!t->tree || t->sort == SORT_NAME || t->sort == SORT_DATE)
		return false;
	struct row row = rows_row(t->rows, a->node);
	return !key_eq(key_from(t, a->node, &row, a->old_bytes, a->old_worst), key_of(t, a->node));
}

/* All that must leave or move goes first, so that every comparison after it is among rows that
 * stand where they belong. */
static void table_follow(struct table *t, const struct change *c)
{
	ranked_make_room(&t->lists, tree_count(t->rows->tree));
	make_folds(t);
	if (!is_below(t, c->node))
		return;
	if (t->tree && t->filtered)
		count_matches(t, c);
	size_t n_above = 0;
	while (c->ancestors[n_above].node != t->under)
		n_above++;

	bool touched = ranked_has(&t->lists, c->node);
	if (touched && (moves(t, c) || !is_member(t, c->node)))
		list_remove(t, c->node);
	for (size_t i = 0; i < n_above; i++) {
		node_t a = c->ancestors[i].node;
		if (!ranked_has(&t->lists, a))
			continue;
		touched = true;
		if (ancestor_moves(t, &c->ancestors[i]) || !is_member(t, a))
			list_remove(t, a);
	}
	for (size_t i = 0; i <= n_above; i++) {
		node_t n = i == 0 ? c->node : c->ancestors[i - 1].node;
		if (ranked_has(&t->lists, n) || !list_is_built(t, n) || !is_member(t, n))
			continue;
		list_insert(t, n);
		touched = true;
	}
	t->generation += touched;
}

void tables_follow(struct rows *r, const struct change *c)
{
	for (struct table *t = r->tables; t; t = t->next)
		table_follow(t, c);
}

/* Building whole lists: sort, then link in O(n) */

struct item {
	uint64_t major;
	uint64_t prefix; /* the first bytes by which the names of siblings differ */
	node_t node;
	bool file;
};

struct items {
	struct item *at;
	size_t n, cap;
};

static void items_add(struct items *items, const struct table *t, node_t n, bool with_key)
{
	struct key key = with_key ? key_of(t, n) : (struct key){0};
	GROW(items->at, items->cap, items->n + 1);
	items->at[items->n++] = (struct item){.major = key.major, .file = key.file, .node = n};
}

/* Most names in a folder differ within eight bytes after what all of them share. */
static void set_prefixes(const struct tree *tree, struct item *at, size_t n)
{
	struct bytes first = tree_name(tree, at[0].node);
	size_t shared = first.len;
	for (size_t i = 1; i < n; i++) {
		struct bytes name = tree_name(tree, at[i].node);
		size_t k = 0;
		while (k < shared && k < name.len && name.p[k] == first.p[k])
			k++;
		shared = k;
	}
	for (size_t i = 0; i < n; i++) {
		struct bytes name = tree_name(tree, at[i].node);
		at[i].prefix = 0;
		for (size_t k = shared; k < shared + 8; k++)
			at[i].prefix = at[i].prefix << 8 | (k < name.len ? name.p[k] : 0);
	}
}

static int compare_siblings(const void *va, const void *vb, void *vt)
{
	const struct item *a = va, *b = vb;
	const struct table *t = vt;
	if (a->file != b->file)
		return a->file ? 1 : -1;
	int order;
	if (a->major != b->major)
		order = a->major < b->major ? -1 : 1;
	else if (a->prefix != b->prefix)
		order = a->prefix < b->prefix ? -1 : 1;
	else
		order = tree_compare_names(t->rows->tree, a->node, b->node);
	return t->reverse ? -order : order;
}

static void sort_siblings(struct table *t, struct item *at, size_t n)
{
	if (n < 2)
		return;
	set_prefixes(t->rows->tree, at, n);
	qsort_r(at, n, sizeof(*at), compare_siblings, t);
}

static void link_items(struct table *t, uint32_t *root, const struct items *items)
{
	uint32_t *members = xmalloc(items->n * 2 * sizeof(*members));
	uint32_t *weights = members + items->n;
	for (size_t i = 0; i < items->n; i++) {
		members[i] = items->at[i].node;
		weights[i] = weight_of(t, members[i]);
	}
	ranked_build(&t->lists, root, members, weights, items->n);
	free(members);
}

static void build_list(struct table *t, node_t dir)
{
	const struct tree *tree = t->rows->tree;
	struct items items = {0};
	struct fold *f = fold_of(t, dir);
	if (f->built)
		return;
	f->built = true;
	if (folder_is_empty(t, dir) || (t->filtered && !f->matches))
		return;
	for (node_t n = tree_first_child(tree, dir); n != NODE_NONE; n = tree_next_sibling(tree, n))
		if (is_member(t, n))
			items_add(&items, t, n, true);
	sort_siblings(t, items.at, items.n);
	link_items(t, &f->root, &items);
	free(items.at);
}

/* By major, and otherwise as they stand: byte by byte from the lowest, but for bytes all share. */
static void sort_by_major(struct items *items)
{
	struct item *from = items->at, *to = xmalloc(items->n * sizeof(*to));
	uint64_t differ = 0;
	for (size_t i = 1; i < items->n; i++)
		differ |= from[i].major ^ from[0].major;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t start[257] = {0};
		if (!(differ >> shift & 0xff))
			continue;
		for (size_t i = 0; i < items->n; i++)
			start[(from[i].major >> shift & 0xff) + 1]++;
		for (size_t i = 1; i < ARRAY_LEN(start); i++)
			start[i] += start[i - 1];
		for (size_t i = 0; i < items->n; i++)
			to[start[from[i].major >> shift & 0xff]++] = from[i];
		struct item *sorted = to;
		to = from;
		from = sorted;
	}
	free(to);
	items->at = from;
	items->cap = items->n;
}

static void turn_round(struct item *at, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct item swap = at[i];
		at[i] = at[n - 1 - i];
		at[n - 1 - i] = swap;
	}
}

/* Sorting whole paths would compare too many; so folder by folder, which gives the order by name,
 * and that breaks the ties of any other. Of what is still to do the first stands last. */
static void build_flat(struct table *t)
{
	const struct tree *tree = t->rows->tree;
	struct items out = {0}, todo = {0};
	bool reverse = t->reverse;
	t->reverse = false;
	if (may_hold_match(t, t->under))
		items_add(&todo, t, t->under, false);
	while (todo.n) {
		node_t n = todo.at[--todo.n].node;
		if (folder_is_empty(t, n)) {
			items_add(&out, t, n, true);
			continue;
		}
		size_t start = todo.n;
		for (node_t c = tree_first_child(tree, n); c != NODE_NONE;
		     c = tree_next_sibling(tree, c))
			if (may_hold_match(t, c) || is_member(t, c))
				items_add(&todo, t, c, false);
		sort_siblings(t, todo.at + start, todo.n - start);
		turn_round(todo.at + start, todo.n - start);
	}
	t->reverse = reverse;
	if (t->sort != SORT_NAME)
		sort_by_major(&out);
	if (reverse)
		turn_round(out.at, out.n);
	link_items(t, &t->flat, &out);
	free(out.at);
	free(todo.at);
}

/* The node after n in the subtree of `under`, parents first, in no order; NODE_NONE at the end. */
static node_t walk(const struct tree *tree, node_t n, node_t under, bool enter)
{
	node_t next = enter ? tree_first_child(tree, n) : NODE_NONE;
	while (next == NODE_NONE && n != under) {
		next = tree_next_sibling(tree, n);
		n = tree_parent(tree, n);
	}
	return next;
}

static void count_all_matches(struct table *t)
{
	const struct tree *tree = t->rows->tree;
	node_t n = t->under;
	while ((n = walk(tree, n, t->under, may_hold_match(t, n))) != NODE_NONE) {
		if (!row_matches(t, n))
			continue;
		for (node_t a = n; a != t->under; ) {
			a = tree_parent(tree, a);
			fold_of(t, a)->matches++;
		}
	}
}

static int compare_deepest_first(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;
	return (*a < *b) - (*a > *b);
}

/* From the deepest up, since the weight of a folder's row includes what the folder shows. */
static void build_all_lists(struct table *t)
{
	const struct rows *r = t->rows;
	uint64_t *order = xmalloc(t->n_folds * sizeof(*order)); /* depth, then index */
	size_t n = 0;
	for (size_t i = 1; i < t->n_folds; i++)
		if (is_below(t, r->folders[i].node))
			order[n++] = (uint64_t)tree_depth(r->tree, r->folders[i].node) << 32 | i;
	qsort(order, n, sizeof(*order), compare_deepest_first);
	for (size_t i = 0; i < n; i++)
		build_list(t, r->folders[(uint32_t)order[i]].node);
	free(order);
}

static void build(struct table *t)
{
	if (!t->tree) {
		build_flat(t);
		return;
	}
	if (t->new_unfolded)
		build_all_lists(t);
	build_list(t, t->under);
}

/* Life cycle */

struct table *table_open(struct rows *r, const struct table_query *q)
{
	assert(q->sort < SORTS_N && r->change.node == NODE_NONE);
	struct table *t = xcalloc(1, sizeof(*t));
	rows_make_folder(r, q->under);
	t->rows = r;
	t->sort = q->sort;
	t->reverse = q->reverse;
	t->tree = q->tree;
	t->under = q->under;
	t->path_dir = NODE_NONE;
	t->generation = 1;
	filter_init(&t->filter, q->filter, q->only_unsynced);
	t->filtered = !filter_passes_all(&t->filter);
	ranked_init(&t->lists, tree_seed(r->tree), tree_count(r->tree));
	make_folds(t);
	if (t->tree && t->filtered)
		count_all_matches(t);
	t->new_unfolded = t->tree && t->filtered;
	for (size_t i = 1; i < t->n_folds; i++)
		t->folds[i].unfolded = t->new_unfolded;
	build(t);
	t->next = r->tables;
	r->tables = t;
	return t;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	struct table **link = &t->rows->tables;
	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	ranked_release(&t->lists);
	filter_release(&t->filter);
	buf_release(&t->path);
	free(t->folds);
	free(t);
}

/* Questions */

static uint32_t first_list(const struct table *t)
{
	return t->tree ? fold_of(t, t->under)->root : t->flat;
}

size_t table_count(const struct table *t)
{
	return t->lists.links[first_list(t)].sum;
}

node_t table_at(const struct table *t, size_t position)
{
	const struct ranked_link *links = t->lists.links;
	uint32_t n = first_list(t);
	while (n && position < links[n].sum) {
		uint32_t left = links[links[n].left].sum;
		if (position < left) {
			n = links[n].left;
			continue;
		}
		position -= left;
		if (position == 0)
			return n;
		uint32_t weight = ranked_weight(&t->lists, n);
		if (position < weight) {
			position -= 1;
			n = fold_of(t, n)->root;
		} else {
			position -= weight;
			n = links[n].right;
		}
	}
	return NODE_NONE;
}

/* Of what is in dir, the position of the first; dir and all above it show and are unfolded. */
static size_t first_position(const struct table *t, node_t dir)
{
	size_t position = 0;
	for (; t->tree && dir != t->under; dir = tree_parent(t->rows->tree, dir))
		position += ranked_before(&t->lists, dir) + 1u;
	return position;
}

size_t table_position(const struct table *t, node_t n, bool *exact)
{
	*exact = false;
	if (!is_below(t, n))
		return 0;
	node_t shown = n; /* or what hides it */
	for (node_t a = n; t->tree && a != t->under; a = tree_parent(t->rows->tree, a))
		if (!ranked_has(&t->lists, a) || (a != n && !fold_of(t, a)->unfolded))
			shown = a;
	node_t dir = tree_parent(t->rows->tree, shown);
	if (ranked_has(&t->lists, shown)) {
		*exact = shown == n;
		return first_position(t, dir) + ranked_before(&t->lists, shown);
	}
	uint32_t root = t->tree ? fold_of(t, dir)->root : t->flat;
	return first_position(t, dir) + find_gap(t, root, shown).before;
}

unsigned table_depth(const struct table *t, node_t n)
{
	if (!t->tree || !is_below(t, n))
		return 0;
	return tree_depth(t->rows->tree, n) - tree_depth(t->rows->tree, t->under) - 1;
}

uint64_t table_generation(const struct table *t)
{
	return t->generation;
}

size_t table_memory(const struct table *t)
{
	return sizeof(*t) + t->lists.n * sizeof(*t->lists.links) + t->n_folds * sizeof(*t->folds);
}

/* Folding */

bool table_unfolded(const struct table *t, node_t dir)
{
	return t->tree && (dir == t->under || fold_of(t, dir)->unfolded);
}

void table_fold(struct table *t, node_t dir, bool unfolded)
{
	if (!t->tree || dir == t->under || !is_below(t, dir))
		return;
	make_folds(t);
	struct fold *f = fold_of(t, dir);
	if (!fold_index(t, dir) || f->unfolded == unfolded)
		return;
	build_list(t, dir);
	f->unfolded = unfolded;
	t->generation++;
	if (!ranked_has(&t->lists, dir))
		return;
	uint32_t delta = unfolded ? list_weight(t, dir) : 0 - list_weight(t, dir);
	ranked_add(&t->lists, dir, delta);
	carry(t, tree_parent(t->rows->tree, dir), delta);
}

void table_fold_all(struct table *t, bool unfolded)
{
	if (!t->tree)
		return;
	make_folds(t);
	t->new_unfolded = unfolded;
	t->generation++;
	ranked_clear(&t->lists);
	for (size_t i = 1; i < t->n_folds; i++) {
		t->folds[i].root = 0;
		t->folds[i].built = false;
		t->folds[i].unfolded = unfolded;
	}
	build(t);
}

void table_reveal(struct table *t, node_t n)
{
	if (!is_below(t, n))
		return;
	for (node_t a = n; (a = tree_parent(t->rows->tree, a)) != t->under; )
		table_fold(t, a, true);
}

/* Finding. If few rows match, the nearest of them; else a walk in the order of the table, which
 * soon meets one. In tree form both know what is in folded folders; `place` below is a row's place
 * among all rows, as if all were unfolded. */

enum { FEW = 64 };

struct search {
	struct table *table;
	struct bytes text;
	bool back;
	bool many; /* more than fit in `few` */
	size_t n_few;
	node_t few[FEW];
};

static bool name_matches(const struct search *s, node_t n)
{
	return filter_contains(tree_name(s->table->rows->tree, n), s->text);
}

/* Of n and the folders that it is in, the topmost that is no row of the table, which hides the
 * rest; NODE_NONE if there is none. */
static node_t topmost_missing(struct table *t, node_t n)
{
	node_t missing = is_member(t, n) ? NODE_NONE : n;
	for (node_t a = n; t->tree && (a = tree_parent(t->rows->tree, a)) != t->under; )
		if (!is_member(t, a))
			missing = a;
	return missing;
}

/* In the order of the nodes, which is that of memory and so by far the fastest. */
static void look_for_few(struct search *s)
{
	size_t count = tree_count(s->table->rows->tree);
	for (node_t n = NODE_ROOT + 1; n < count && !s->many; n++) {
		if (!name_matches(s, n) || !is_below(s->table, n) ||
		    topmost_missing(s->table, n) != NODE_NONE)
			continue;
		s->many = s->n_few == FEW;
		if (!s->many)
			s->few[s->n_few++] = n;
	}
}

/* The lists of all folders above n, down to the one that n stands in or would. */
static void build_lists_above(struct table *t, node_t n)
{
	while (t->tree && n != t->under) {
		n = tree_parent(t->rows->tree, n);
		build_list(t, n);
	}
}

/* Of a row that is not in the list, the same as of the row behind its place. */
static uint32_t place_in_list(struct table *t, node_t n)
{
	if (ranked_has(&t->lists, n))
		return ranked_before(&t->lists, n);
	return find_gap(t, *list_of(t, n), n).before;
}

static bool place_is_before(struct table *t, node_t a, node_t b)
{
	const struct tree *tree = t->rows->tree;
	node_t x = a, y = b;
	while (t->tree && tree_depth(tree, x) > tree_depth(tree, y))
		x = tree_parent(tree, x);
	while (t->tree && tree_depth(tree, y) > tree_depth(tree, x))
		y = tree_parent(tree, y);
	if (x == y)
		return tree_depth(tree, a) < tree_depth(tree, b);
	while (t->tree && tree_parent(tree, x) != tree_parent(tree, y)) {
		x = tree_parent(tree, x);
		y = tree_parent(tree, y);
	}
	return place_in_list(t, x) < place_in_list(t, y);
}

/* The nearest behind `from`, else the first of all; `from` itself comes last. */
static node_t nearest_of_few(struct search *s, node_t from)
{
	node_t nearest = NODE_NONE, first = NODE_NONE;
	for (size_t i = 0; i < s->n_few; i++) {
		node_t n = s->few[i];
		build_lists_above(s->table, n);
		if (first == NODE_NONE || place_is_before(s->table, n, first) != s->back)
			first = n;
		if (from == NODE_NONE || n == from ||
		    place_is_before(s->table, n, from) != s->back)
			continue;
		if (nearest == NODE_NONE || place_is_before(s->table, n, nearest) != s->back)
			nearest = n;
	}
	return nearest != NODE_NONE ? nearest : first;
}

static bool folder_has_match(const struct search *s, node_t dir)
{
	const struct table *t = s->table;
	node_t n = dir;
	while ((n = walk(t->rows->tree, n, dir, !folder_is_empty(t, n))) != NODE_NONE)
		if (name_matches(s, n) && is_member(s->table, n))
			return true;
	return false;
}

/* The first row in dir, or its last and in that the last; NODE_NONE if nothing in it matches. */
static node_t enter_folder(const struct search *s, node_t dir)
{
	struct table *t = s->table;
	node_t found = NODE_NONE;
	while (folder_has_match(s, dir)) {
		build_list(t, dir);
		uint32_t root = fold_of(t, dir)->root;
		uint32_t n = s->back ? ranked_last(&t->lists, root) : ranked_first(&t->lists, root);
		if (!n)
			break;
		found = n;
		if (!s->back)
			break;
		dir = n;
	}
	return found;
}

static node_t end_row(const struct search *s)
{
	const struct table *t = s->table;
	if (t->tree)
		return enter_folder(s, t->under);
	return s->back ? ranked_last(&t->lists, t->flat) : ranked_first(&t->lists, t->flat);
}

/* The row in the direction of the search from a place in the list of dir, where the neighbour is
 * n, or there is none (0). NODE_NONE at the end of the table. */
static node_t arrive(const struct search *s, uint32_t n, node_t dir)
{
	const struct table *t = s->table;
	if (!t->tree)
		return n ? n : NODE_NONE;
	while (!n && !s->back && dir != t->under) {
		n = ranked_next(&t->lists, dir);
		dir = tree_parent(t->rows->tree, dir);
	}
	if (!n)
		return dir == t->under ? NODE_NONE : dir;
	node_t inner = s->back ? enter_folder(s, n) : NODE_NONE;
	return inner != NODE_NONE ? inner : n;
}

static node_t step(const struct search *s, node_t n)
{
	const struct table *t = s->table;
	node_t inner = t->tree && !s->back ? enter_folder(s, n) : NODE_NONE;
	if (inner != NODE_NONE)
		return inner;
	uint32_t beside = s->back ? ranked_prev(&t->lists, n) : ranked_next(&t->lists, n);
	return arrive(s, beside, tree_parent(t->rows->tree, n));
}

static node_t first_step(const struct search *s, node_t from)
{
	struct table *t = s->table;
	if (from == NODE_NONE)
		return end_row(s);
	if (ranked_has(&t->lists, from))
		return step(s, from);
	struct gap gap = find_gap(t, *list_of(t, from), from);
	return arrive(s, s->back ? gap.prev : gap.next, tree_parent(t->rows->tree, from));
}

/* Some row matches, so that this ends. */
static node_t next_of_many(const struct search *s, node_t from)
{
	node_t n = first_step(s, from);
	while (n == NODE_NONE || !name_matches(s, n))
		n = n == NODE_NONE ? end_row(s) : step(s, n);
	return n;
}

node_t table_find(struct table *t, struct bytes text, node_t from, bool back)
{
	struct search s = {.table = t, .text = text, .back = back};
	make_folds(t);
	look_for_few(&s);
	if (from != NODE_NONE && !is_below(t, from))
		from = NODE_NONE;
	if (from != NODE_NONE) {
		node_t missing = topmost_missing(t, from);
		from = missing != NODE_NONE ? missing : from;
		build_lists_above(t, from);
	}
	return s.many ? next_of_many(&s, from) : nearest_of_few(&s, from);
}
