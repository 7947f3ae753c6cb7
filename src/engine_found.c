/*
 * Owns what a replica finds that has lost its index: its root was served before, so nobody can tell whether
 * what the first walk of the new index finds is old or new. Such heads are marked, and the mark travels:
 *
 * - What equals what a peer has is that: no event if the peer was heard first; else the owner gives its own
 *   head up, so that the other one's fate is shared. Of several that were found so the lowest replica id stays,
 *   so that of those who adopt each other's heads one is left.
 * - What equals what was deleted is deleted, by whoever has the tombstone and hears of such a head that the
 *   tombstone does not know.
 * - All else is an ordinary change.
 *
 * The first walk lasts until all has been read once, however often the program ends meanwhile. Of a root that was
 * never served before nothing is marked: what somebody brings along is theirs.
 */
#include "config.h"
#include "engine_internal.h"

/* Not all that the root shows was looked at since the index was made. */
static bool unwalked(const struct engine *e)
{
	return e->index != INDEX_WALKED && (first_walk(e) || e->n_unread);
}

enum index_state engine_index_state(const struct engine *e)
{
	return unwalked(e) || e->changes_taken < e->walked_changes ? e->index : INDEX_WALKED;
}

void found_unread(struct engine *e, node_t n, bool unread)
{
	struct slot *s = slot_of(e, n);
	e->n_unread += (size_t)unread - (size_t)s->unread;
	s->unread = unread;
}

bool is_found(const struct engine *e, node_t n)
{
	return e->index == INDEX_LOST && unwalked(e) && !slot_of(e, n)->have;
}

bool is_known_elsewhere(const struct engine *e, node_t n, const struct found *f)
{
	bool dir;
	const struct head *w = target_head(e, n, &dir);
	if (!unwalked(e) || slot_of(e, n)->have || !slot_of(e, n)->want || in_conflict(e, n))
		return false;
	/* A folder that is to be there for its children alone has no head: who makes it here means more. */
	return w && w->kind == f->kind && (dir || memcmp(w->hash, f->hash, HASH_SIZE) == 0);
}

bool is_deleted_elsewhere(const struct engine *e, node_t n, const struct found *f)
{
	const struct slot *s = slot_of(e, n);
	bool again = !s->have && s->kind == f->kind; /* it was found to be so, and has not gone yet */
	return (again || is_found(e, n)) && s->want && !s->want->target.n_heads && !s->live && f->kind != KIND_DIR &&
	       memcmp(s->want->target.gone, f->hash, HASH_SIZE) == 0;
}

/* Adds those heads of s that were found, and that the tombstone t means, though it does not know them. */
static size_t deleted_by(const struct state *t, const struct state *s, struct dot *out, size_t n)
{
	if (t->n_heads || !t->context.n)
		return n;
	for (uint16_t i = 0; i < s->n_heads && n < HEADS_MAX; i++) {
		const struct head *h = &s->heads[i];
		if (h->found && !version_has(&t->context, h->dot) && memcmp(h->hash, t->gone, HASH_SIZE) == 0)
			out[n++] = h->dot;
	}
	return n;
}

size_t found_deleted(const struct engine *e, node_t n, const struct state *theirs, struct dot out[HEADS_MAX])
{
	const struct state *target = target_of(e, n);
	size_t k = deleted_by(theirs, target, out, 0);
	k = deleted_by(target, theirs, out, k);
	return deleted_by(have_of(e, n), theirs, out, k);
}

/* The head goes, by an event of this replica. */
static void give_up(struct engine *e, node_t n, struct dot d)
{
	struct dot own = next_dot(e, n); /* which may change the target */
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, n))};
	const struct head *h = state_find(&u.want, d);
	uint8_t gone[HASH_SIZE] = {0};
	if (h)
		memcpy(gone, h->hash, HASH_SIZE);
	state_remove_head(&u.want, d);
	version_add(&u.want.context, own);
	if (!u.want.n_heads)
		memcpy(u.want.gone, gone, HASH_SIZE);
	slot_update(e, n, &u);
	if (slot_of(e, n)->want)
		slot_of(e, n)->want->derived = (struct dot){0}; /* what is known of it is a fact now */
	plan(e, n);
}

static bool has_copy(struct engine *e, node_t n, struct dot d)
{
	node_t q = copy_node(e, n, d, false);
	return q != NODE_NONE && state_find(target_of(e, q), d);
}

size_t found_same(struct engine *e, node_t n, struct dot out[HEADS_MAX], int64_t *rank)
{
	const struct state *t = target_of(e, n);
	const struct head *shown = shown_head(e, n);
	size_t k = 0;
	for (uint16_t i = 0; shown && shown->found && i < t->n_heads && k < HEADS_MAX; i++) {
		const struct head *h = &t->heads[i];
		if (!h->dot.rep || state_find(have_of(e, n), h->dot) || !head_same_content(h, shown) ||
		    has_copy(e, n, h->dot))
			continue;
		out[k++] = h->dot;
		if (*rank <= h->rank)
			*rank = rank_above(h->rank);
	}
	return k;
}

void found_gone(struct engine *e, node_t n, const struct dot *same, size_t n_same)
{
	for (size_t i = 0; i < n_same; i++)
		if (state_find(target_of(e, n), same[i]))
			give_up(e, n, same[i]);
}

/* Does h, of the same content, stand for what was found here? */
static bool stands_for(const struct engine *e, const struct head *h, const struct head *found)
{
	return h->dot.rep && head_same_content(h, found) &&
	       (!h->found || MUTANT(FOUND_NOWHERE) ||
	        replica_id_compare(&e->ids[h->dot.rep], &e->ids[0]) < 0);
}

/* The head of this replica that is to be given up for another one; {0, 0}: none. Not one that shows under the name
 * of a conflict copy: the other one would get a copy as well. */
static struct dot stood_for(struct engine *e, node_t n)
{
	const struct state *t = target_of(e, n);
	for (uint16_t i = 0; i < t->n_heads && t->heads[i].dot.rep == 0; i++) {
		const struct head *own = &t->heads[i];
		bool stands = false;
		for (uint16_t k = i; own->found && k < t->n_heads; k++)
			stands |= stands_for(e, &t->heads[k], own);
		if (!stands)
			continue;
		struct dot d = own->dot;
		if (!has_copy(e, n, d))
			return d;
	}
	return (struct dot){0};
}

void found_meets(struct engine *e, node_t n, const struct dot *deleted, size_t n_deleted)
{
	struct dot d;
	if (MUTANT(FOUND_STAYS))
		return;
	for (size_t i = 0; i < n_deleted; i++) {
		node_t q = copy_node(e, n, deleted[i], false);
		if (state_find(target_of(e, n), deleted[i]))
			give_up(e, n, deleted[i]);
		if (q != NODE_NONE && state_find(target_of(e, q), deleted[i]))
			give_up(e, q, deleted[i]);
	}
	while ((d = stood_for(e, n)).counter)
		give_up(e, n, d);
}

void found_rests(struct engine *e, node_t n)
{
	struct dot deleted[HEADS_MAX];
	found_meets(e, n, deleted, deleted_by(have_of(e, n), target_of(e, n), deleted, 0));
}
