/* Owns which paths have rows and the totals of folders, kept up to date change by change. */
#include "config.h"
#include "rows.h"

#include <stdlib.h>

static const char *const state_texts[] = {
#define X(id, text) [ROW_##id] = text,
	ROW_STATES(X)
#undef X
};

const char *row_state_text(enum row_state s)
{
	assert(s < ROW_STATES_N);
	return state_texts[s];
}

int row_state_parse(struct bytes text)
{
	for (size_t i = 0; i < ARRAY_LEN(state_texts); i++)
		if (bytes_eq(text, bytes_of(state_texts[i])))
			return (int)i;
	return -1;
}

struct rows *rows_new(const struct tree *tree, rows_get_fn *get, void *ctx)
{
	struct rows *r = xcalloc(1, sizeof(*r));
	r->tree = tree;
	r->get = get;
	r->ctx = ctx;
	r->change.node = NODE_NONE;
	GROW(r->folders, r->cap_folders, 1);
	r->folders[r->n_folders++] = (struct folder){.node = NODE_NONE};
	GROW(r->counts, r->cap_counts, 1);
	r->counts[r->n_counts++] = (struct state_counts){{0}};
	rows_make_folder(r, NODE_ROOT);
	return r;
}

void rows_free(struct rows *r)
{
	if (!r)
		return;
	assert(!r->tables);
	free(r->info);
	free(r->folders);
	free(r->counts);
	free(r->change.ancestors);
	free(r);
}

static void make_room(struct rows *r, node_t n)
{
	size_t need = tree_count(r->tree);
	assert(n < need);
	if (n < r->n_info)
		return;
	GROW(r->info, r->cap_info, need);
	memset(r->info + r->n_info, 0, (need - r->n_info) * sizeof(*r->info));
	r->n_info = need;
}

uint32_t rows_make_folder(struct rows *r, node_t n)
{
	make_room(r, n);
	if (!r->info[n].folder) {
		assert(r->n_folders < UINT32_MAX);
		GROW(r->folders, r->cap_folders, r->n_folders + 1);
		r->folders[r->n_folders] = (struct folder){.node = n};
		r->info[n].folder = (uint32_t)r->n_folders++;
	}
	return r->info[n].folder;
}

static struct row ask(const struct rows *r, node_t n)
{
	struct row row = {.kind = KIND_ABSENT};
	r->get(r->ctx, n, &row);
	assert(row.kind <= KIND_SYMLINK && row.state < ROW_STATES_N);
	return row.kind == KIND_ABSENT ? (struct row){.kind = KIND_ABSENT} : row;
}

static bool row_eq(const struct row *a, const struct row *b)
{
	return a->size == b->size && a->mtime == b->mtime && a->kind == b->kind &&
	       a->state == b->state;
}

/* The counts of a folder below which a row that is not synced comes or goes. */
static void count_state(struct rows *r, struct folder *f, uint8_t state, bool add)
{
	if (state == ROW_SYNCED)
		return;
	if (!f->counts) {
		assert(add && !f->unsynced);
		if (r->free_counts) {
			f->counts = r->free_counts;
			r->free_counts = r->counts[f->counts].n[0];
		} else {
			GROW(r->counts, r->cap_counts, r->n_counts + 1);
			f->counts = (uint32_t)r->n_counts++;
		}
		r->counts[f->counts] = (struct state_counts){{0}};
	}
	uint32_t *n = &r->counts[f->counts].n[state];
	assert(add || (*n && f->unsynced));
	*n += add ? 1u : UINT32_MAX;
	f->unsynced += add ? 1u : UINT32_MAX;
	if (!f->unsynced) {
		r->counts[f->counts].n[0] = r->free_counts;
		r->free_counts = f->counts;
		f->counts = 0;
	}
}

static void count_row(struct rows *r, struct folder *f, const struct row *row, bool add)
{
	if (row->kind == KIND_ABSENT)
		return;
	uint32_t *n = row->kind == KIND_DIR ? &f->dirs : &f->files;
	assert(add || *n);
	*n += add ? 1u : UINT32_MAX;
	if (row->kind != KIND_DIR)
		f->bytes += add ? row->size : 0 - row->size;
	count_state(r, f, row->state, add);
}

uint8_t rows_worst(const struct rows *r, const struct folder *f)
{
	uint8_t worst = ROW_SYNCED;
	if (f->counts)
		for (uint8_t s = ROW_SYNCED + 1; s < ROW_STATES_N; s++)
			if (r->counts[f->counts].n[s])
				worst = s;
	return worst;
}

struct totals rows_totals(const struct rows *r, node_t dir)
{
	const struct folder *f = &r->folders[rows_folder(r, dir)];
	return (struct totals){
		.bytes = f->bytes,
		.files = f->files,
		.dirs = f->dirs,
		.unsynced = f->unsynced,
		.worst = rows_worst(r, f),
	};
}

uint32_t rows_in_state(const struct rows *r, node_t dir, enum row_state state)
{
	const struct folder *f = &r->folders[rows_folder(r, dir)];
	assert(state != ROW_SYNCED);
	return f->counts ? r->counts[f->counts].n[state] : 0;
}

void rows_begin(struct rows *r, node_t n)
{
	assert(r->change.node == NODE_NONE && n != NODE_NONE);
	r->change.node = n;
}

static void pass_to_ancestors(struct rows *r, struct change *c)
{
	c->n_ancestors = 0;
	for (node_t a = c->node; a != NODE_ROOT; ) {
		a = tree_parent(r->tree, a);
		uint32_t folder = rows_make_folder(r, a);
		struct folder *f = &r->folders[folder];
		GROW(c->ancestors, c->cap_ancestors, c->n_ancestors + 1);
		c->ancestors[c->n_ancestors++] = (struct ancestor){
			.node = a,
			.old_bytes = f->bytes,
			.old_worst = rows_worst(r, f),
		};
		count_row(r, f, &c->old, false);
		count_row(r, f, &c->new, true);
	}
}

static void set_row(struct rows *r, node_t n, const struct row *row)
{
	struct node_info *i = &r->info[n];
	i->size = row->size;
	i->mtime = row->mtime;
	i->kind = row->kind;
	i->state = row->state;
	if (row->kind == KIND_DIR)
		rows_make_folder(r, n);
}

void rows_end(struct rows *r, node_t n)
{
	struct change *c = &r->change;
	assert(c->node == n);
	if (n != NODE_ROOT) { /* the root is no row */
		make_room(r, n);
		c->old = rows_row(r, n);
		c->new = ask(r, n);
		if (row_eq(&c->old, &c->new)) {
			tables_touch(r, n);
		} else {
			set_row(r, n, &c->new);
			pass_to_ancestors(r, c);
			tables_follow(r, c);
		}
	}
	c->node = NODE_NONE;
}

size_t rows_memory(const struct rows *r)
{
	return sizeof(*r) + r->n_info * sizeof(*r->info) + r->n_folders * sizeof(*r->folders) +
	       r->n_counts * sizeof(*r->counts);
}
