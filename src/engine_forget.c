/*
 * Owns the end of tombstones: when what is known of a deletion may be forgotten.
 *
 * A tombstone keeps old heads of its path from coming back. It may go when no old head is left anywhere:
 *
 * - Each member has announced exactly this state, from its own durable index. What a replica has at a path
 *   only grows, so from then on each of them has this, or more, or has forgotten it in the same way. Nobody
 *   is told of anything before it is durable that they are a member.
 * - Nothing older is under way to us: the index of each connected peer was read beyond the entry that says
 *   so, and a new connection begins with what the peer has then. Of what third parties say a peer
 *   holds, what was said before does not count again (engine_peer_have()).
 * - The path that a conflict copy belongs to is at rest everywhere as well, and does not list the head of
 *   the copy: else that would be made again.
 * - Nobody has anything below it, as far as is known: a folder that is there for its children alone has the
 *   permissions that are known of it.
 * - No op of ours that is recorded in the journal of the disk can bring back what it once made: all that was
 *   done is stored when something is forgotten, and our counter is kept with it (forgotten_at()).
 *
 * Then a change that somebody makes at the path has a number above all that were forgotten, and no state
 * that is still anywhere covers it.
 *
 * Others need to hear from us that we have the tombstone before they can forget it, and after we have
 * forgotten it nobody hears it. So it also stays until each peer that is connected to us has taken what
 * we know of the path. A peer that misses it even so (it came back after its connection was lost in the
 * middle of that) tells its tombstone again: whoever has forgotten takes it, announces it, and forgets it later.
 * So does a peer that hears from us again what it knows we had deleted, because a new replica brought it along.
 */
#include "config.h"
#include "engine_internal.h"

#include "path.h"

#ifdef TUTTI_MUTANTS            /* the simulator's few tombstones are to need several looks as well */
#define FORGET_SLICE 8
#define FORGET_SOON_MS 20
#else
#define FORGET_SLICE 65536      /* nodes at once */
#define FORGET_SOON_MS 1000     /* between looks while something changes, if they may go so soon */
#endif
#define FORGET_EVERY_MS 3600000 /* between looks, if they may not */

void engine_forget(struct engine *e, uint64_t ms)
{
	if (ms == e->forget_ms)
		return;
	e->forget_ms = ms;
	forget_news(e);
}

static uint64_t pause_ms(const struct engine *e)
{
	return e->forget_ms > FORGET_EVERY_MS ? FORGET_EVERY_MS
	     : e->forget_ms > FORGET_SOON_MS ? e->forget_ms : FORGET_SOON_MS;
}

void forget_news(struct engine *e)
{
	e->forget_news = true;
}

uint64_t forgotten_at(const struct engine *e)
{
	return e->reps[0].known.safe;
}

uint64_t forget_deadline(const struct engine *e)
{
	if (e->forget_ms == UINT64_MAX || !e->n_tombs || !e->started || e->halted)
		return UINT64_MAX;
	if (e->n_type[JOB_APPLY] || e->n_type[JOB_STORE] || e->dirty.n || e->store_retry_ms)
		return UINT64_MAX; /* all that was done must be stored */
	if (e->forget_due_ms) /* in the middle of a look */
		return e->forget_due_ms;
	return e->forget_news ? e->forgot_ms + pause_ms(e) : UINT64_MAX;
}

bool holds_same(const struct engine *e, node_t n, rep_t rep)
{
	const struct slot *s = slot_of(e, n);
	const struct held *h = s->n_held >= rep && s->held[rep - 1].stamp ? &s->held[rep - 1] : NULL;
	if (!h)
		return !s->have || is_tombstone(e, n);
	return s->have ? h->stamp == state_stamp(s->have, e->ids) : h->kind == KIND_ABSENT;
}

bool shown_elsewhere(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	for (size_t i = 1; i <= s->n_held && i < e->n_reps; i++)
		if (e->reps[i].member && s->held[i - 1].seq && s->held[i - 1].kind != KIND_ABSENT)
			return true;
	return false;
}

/* Has somebody something below n, which may come here yet? Then the folder comes with it, and its permissions are
 * what all remember of it. */
static bool needed_elsewhere(const struct engine *e, node_t n)
{
	for (node_t c = tree_first_child(e->tree, n); c != NODE_NONE; c = tree_next_sibling(e->tree, c))
		if (shown_elsewhere(e, c) || needed_elsewhere(e, c))
			return true;
	return false;
}

/* What the entry of `rep` at n, as we know it, is: has what is connected sent all before it? */
static bool is_last_word(const struct engine *e, node_t n, rep_t rep)
{
	const struct replica *r = &e->reps[rep];
	const struct slot *s = slot_of(e, n);
	return r->peer < 0 || e->peers[r->peer].reader || s->n_held < rep ||
	       r->merged.now >= s->held[rep - 1].seq;
}

/* All members have announced the tombstone; of nobody who has announced nothing it is believed. */
static bool others_hold(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	uint64_t stamp = state_stamp(s->have, e->ids);
	if (MUTANT(FORGETS_EARLY))
		return true;
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].member && (s->n_held < i || s->held[i - 1].stamp != stamp ||
		                          !is_last_word(e, n, (rep_t)i)))
			return false;
	return true;
}

/* All that is known here of n is known to whom we tell it. */
static bool others_told(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	if (MUTANT(FORGETS_EARLY))
		return true;
	for (size_t i = 1; i < e->n_reps; i++) {
		const struct replica *r = &e->reps[i];
		const struct peer *p = r->peer >= 0 ? &e->peers[r->peer] : NULL;
		if (!r->member || (!p && (r->reachable || !r->merged.now)))
			continue; /* others tell it, and always have */
		if (r->acked < s->seq)
			return false;
		for (size_t k = 1; p && k < e->n_reps; k++)
			if (k != i && e->reps[k].member && !has_link(r, (rep_t)k) &&
			    (p->inflight || p->n_reps <= k || p->relayed_to[k] < s->held[k - 1].seq))
				return false;
	}
	return true;
}

/* p lists no head whose copy is n, here or anywhere. */
static bool lists_no_copy(struct engine *e, node_t p, node_t n)
{
	const struct state *have = have_of(e, p);
	if (slot_of(e, p)->want)
		return false;
	for (uint16_t i = 0; i < have->n_heads; i++)
		if (copy_node(e, p, have->heads[i].dot, false) == n)
			return false;
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].member && (!holds_same(e, p, (rep_t)i) || !is_last_word(e, p, (rep_t)i)))
			return false;
	return true;
}

/* Of a conflict copy: what it may be a copy of does not ask for it any more. */
static bool origin_rests(struct engine *e, node_t n)
{
	struct buf copy = {0}, path = {0};
	bool all = true;
	if (!path_is_conflict_name(tree_name(e->tree, n)))
		return true;
	tree_path(e->tree, n, &copy);
	for (node_t p = tree_first_child(e->tree, tree_parent(e->tree, n)); p != NODE_NONE && all;
	     p = tree_next_sibling(e->tree, p)) {
		tree_path(e->tree, p, &path);
		if (p != n && path_is_copy_of((struct bytes){copy.data, copy.len},
		                              (struct bytes){path.data, path.len}))
			all = lists_no_copy(e, p, n);
	}
	buf_release(&copy);
	buf_release(&path);
	return all;
}

/* Nothing is under way at n. */
static bool rests(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return !s->want && s->kind == KIND_ABSENT && !s->live && !s->missing && !s->leftover &&
	       s->going == GOING_STAYS && !(s->flags & (uint16_t)~(F_RACY | F_MOVED)) &&
	       !problem_get(e, 0, n);
}

/* Since when is it known, ns; what is later than now, or never was noted, counts from now on. */
static bool is_old(struct engine *e, node_t n, uint64_t ms)
{
	struct slot *s = slot_of(e, n);
	if (!s->ctime_ns || s->ctime_ns > e->wall_ns) {
		s->ctime_ns = e->wall_ns;
		set_dirty(e, n);
	}
	return (uint64_t)(e->wall_ns - s->ctime_ns) / 1000000 >= ms;
}

void forget_tell_again(struct engine *e, node_t n)
{
	if (!is_tombstone(e, n) || slot_of(e, n)->want)
		return;
	struct update u = {.what = UPDATE_HAVE, .have = state_copy(have_of(e, n))};
	slot_update(e, n, &u);
	slot_of(e, n)->told_again = true;
}

/* Is somebody who is there still at work, or stuck at n, so that what others have does not come through? */
static bool is_under_way(const struct engine *e, node_t n)
{
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct replica *r = &e->reps[i];
		if (!r->member || !r->reachable)
			continue;
		if (i && r->report_n && r->pending)
			return true;
		for (node_t at = n; at != NODE_ROOT; at = tree_parent(e->tree, at))
			if (problem_get(e, (rep_t)i, at))
				return true;
	}
	return false;
}

/* Has somebody who is there, and has nothing left to do, taken it and forgotten it, without our hearing so?
 * If it did not help to tell it again, others may not have forgotten it then; later they will. */
static bool is_missed(struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	if ((s->told_again && !is_old(e, n, e->forget_ms)) || is_under_way(e, n))
		return false;
	for (size_t i = 1; i < e->n_reps; i++) {
		const struct replica *r = &e->reps[i];
		if (r->member && r->reachable && r->report_n && !r->n_problems &&
		    r->known.now >= r->seq && (r->peer < 0 || r->acked >= s->seq) &&
		    (s->n_held < i || s->held[i - 1].stamp != state_stamp(s->have, e->ids)))
			return true;
	}
	return false;
}

static void forget_one(struct engine *e, node_t n)
{
	if (!is_tombstone(e, n) || !rests(e, n))
		return;
	if (!is_old(e, n, e->forget_ms) || !is_old(e, n, pause_ms(e)))
		forget_news(e); /* it will be */
	if (is_old(e, n, e->forget_ms) && others_hold(e, n) && others_told(e, n) && origin_rests(e, n) &&
	    !needed_elsewhere(e, n))
		slot_forget(e, n);
	else if (is_old(e, n, pause_ms(e)) && is_missed(e, n))
		forget_tell_again(e, n);
}

void forget_tick(struct engine *e)
{
	if (forget_deadline(e) > e->mono_ms)
		return;
	if (e->forget_at == 0) {
		e->forgot_ms = e->mono_ms;
		e->forget_news = false;
	}
	uint64_t above = e->counter, before = e->n_tombs;
	size_t end = e->forget_at + FORGET_SLICE;
	for (; e->forget_at < e->n_slots && e->forget_at < end; e->forget_at++)
		forget_one(e, e->forget_at);
	if (e->n_tombs != before) {
		/* Some ops make nothing that takes a number: those before this have less all the same. */
		if (above <= e->asked_at)
			above = e->asked_at + 1;
		if (e->counter < above)
			e->reps[0].seq = e->counter = above;
		e->reps[0].known.now = e->reps[0].known.safe = above;
	}
	if (e->forget_at < e->n_slots) {
		e->forget_due_ms = e->mono_ms + 1;
	} else {
		e->forget_at = 0;
		e->forget_due_ms = 0;
	}
}
