/*
 * Owns what the disk still lacks: compares each path's target with what the disk shows, and finds the
 * next step: conflict copies first, then folders, contents, and last what goes away.
 *
 * A path is planned again whenever something that it waits for has happened, so each step needs to
 * look at the present only. Deletions come last and wait while a peer is in the middle of a batch:
 * what is deleted there may be the other half of a move, whose file then goes to its new name.
 */
#include "config.h"
#include "engine_internal.h"

#include "path.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>

struct batch {
	struct op ops[APPLY_BATCH_MAX];
	struct job_op jobs[APPLY_BATCH_MAX];
	size_t path_at[APPLY_BATCH_MAX], from_at[APPLY_BATCH_MAX], data_at[APPLY_BATCH_MAX];
	size_t record_at[APPLY_BATCH_MAX];
	size_t n, bytes;
};

void plan_release(struct engine *e)
{
	free(e->batch);
	e->batch = NULL;
}

/* The fetch that runs for n, or NULL. */
static struct job *fetch_of(const struct engine *e, node_t n)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		if (e->jobs[i].type == JOB_FETCH && e->jobs[i].nodes[0] == n)
			return &e->jobs[i];
	return NULL;
}

bool op_runs(const struct engine *e, node_t n)
{
	return slot_of(e, n)->flags & F_JOB && !fetch_of(e, n);
}

void plan(struct engine *e, node_t n)
{
	if (n == NODE_ROOT || n == NODE_NONE)
		return;
	struct slot *s = slot_of(e, n);
	if (s->flags & F_JOB) {
		s->flags |= F_PLAN_AGAIN;
		struct job *j = fetch_of(e, n);
		bool dir;
		const struct head *w = target_head(e, n, &dir);
		if (j && !j->cancelled && (!w || memcmp(w->hash, j->hash, HASH_SIZE) != 0)) {
			j->cancelled = true;
			GROW(e->cancels, e->cancels_cap, e->n_cancels + 1);
			e->cancels[e->n_cancels++] = j->id;
		}
		return;
	}
	if (s->flags & F_PLAN_QUEUED)
		return;
	s->flags |= F_PLAN_QUEUED;
	queue_push(&e->plans, n, 0);
}

/* Of those that want something. */
static void plan_children(struct engine *e, node_t n)
{
	for (node_t c = tree_first_child(e->tree, n); c != NODE_NONE;
	     c = tree_next_sibling(e->tree, c))
		if (slot_of(e, c)->want)
			plan(e, c);
}

static void drop_consumed(struct engine *e, node_t n);

/* The copies of n that want something: one may wait for another. */
static void plan_copies(struct engine *e, node_t n)
{
	for (node_t q = tree_first_child(e->tree, tree_parent(e->tree, n)); q != NODE_NONE;
	     q = tree_next_sibling(e->tree, q)) {
		const uint64_t *origin = slot_of(e, q)->want ? nodemap_get(&e->origin, q) : NULL;
		if (origin && *origin == n)
			plan(e, q);
	}
}

void plan_around(struct engine *e, node_t n)
{
	const uint64_t *origin = nodemap_get(&e->origin, n);
	if (origin) {
		node_t of = (node_t)*origin;
		drop_consumed(e, of);
		plan(e, of);
		plan_copies(e, of);
	}
	plan_children(e, n);
	plan(e, tree_parent(e->tree, n));
}

static void plan_all(struct engine *e, struct queue *q)
{
	struct queue_item it;
	for (size_t n = q->n; n && queue_pop(q, &it); n--)
		plan(e, it.node);
}

void release_stored(struct engine *e)
{
	plan_all(e, &e->unstored);
}

void retry_holders(struct engine *e)
{
	plan_all(e, &e->no_holder);
}

/* Something has gone from the disk: perhaps what had the name of another. */
void release_taken(struct engine *e)
{
	struct queue_item it;
	for (size_t n = e->taken.n; n && queue_pop(&e->taken, &it); n--) {
		struct want *w = slot_of(e, it.node)->want;
		if (!w || w->taken == NODE_NONE)
			continue;
		if (slot_of(e, w->taken)->kind != KIND_ABSENT) {
			queue_push(&e->taken, it.node, 0);
			continue;
		}
		w->taken = NODE_NONE;
		w->retry_ms = e->mono_ms;
		plan(e, it.node);
	}
}

void release_deferred(struct engine *e)
{
	e->burst_until_ms = 0;
	plan_all(e, &e->deferred);
}

static void data_drop(struct engine *e, struct want *w)
{
	e->data_held -= w->data_len;
	free(w->data);
	w->data = NULL;
	w->data_len = 0;
	w->has_data = false;
}

static void tmp_drop(struct engine *e, struct want *w)
{
	if (!w->tmp)
		return;
	GROW(e->drop_tmps, e->drop_tmps_cap, e->n_drop_tmps + 1);
	e->drop_tmps[e->n_drop_tmps++] = w->tmp;
	w->tmp = 0;
	plan_all(e, &e->same_content);
}

static void claim_release(struct engine *e, struct want *w)
{
	if (w->source == NODE_NONE)
		return;
	node_t n = w->source;
	w->source = NODE_NONE;
	slot_of(e, n)->flags &= (uint16_t)~F_CLAIMED;
	plan(e, n);
}

void want_discard(struct engine *e, struct want *w)
{
	data_drop(e, w);
	tmp_drop(e, w);
	claim_release(e, w);
}

/* ---- conflict copies ---- */

node_t copy_node(struct engine *e, node_t n, struct dot d, bool add)
{
	char rep[9];
	struct buf name = {0};
	node_t q = NODE_NONE;
	/* A copy has none of the same dot, unless a folder has its name: then it is beside that. */
	unsigned zeros = MUTANT(COPY_NAME_FREE) ? 0 : names_of(e, n, d);
	replica_text(e, d.rep, rep);
	tree_path(e->tree, n, &e->text);
	if (zeros <= CONFLICT_ZEROS_MAX)
		path_conflict_name(&name, (struct bytes){e->text.data, e->text.len}, rep, d.counter, zeros);
	struct bytes path = {name.data, name.len};
	if (path_check(path) == PATH_OK) {
		q = add ? add_node(e, path) : tree_find(e->tree, path);
		if (q == n)
			q = NODE_NONE;
	}
	buf_release(&name);
	return q;
}

void origins_load(struct engine *e)
{
	for (node_t n = 0; n < e->n_slots; n++) {
		const struct state *t = target_of(e, n);
		if (t->n_heads < 2 && !(t->n_heads && slot_of(e, n)->live))
			continue;
		for (uint16_t i = 0; i < t->n_heads; i++) {
			node_t q = copy_node(e, n, t->heads[i].dot, false);
			if (q != NODE_NONE && state_find(target_of(e, q), t->heads[i].dot))
				nodemap_put(&e->origin, q, n);
		}
	}
}

/* Is n the name of the copy of d, a head of its sibling p, or of its own? */
static bool copy_is_at(struct engine *e, node_t p, struct dot d, node_t n)
{
	return p == n ? named_after(e, n, d) : copy_node(e, p, d, false) == n;
}

static int by_dot_everywhere(const struct engine *e, struct dot a, struct dot b)
{
	int r = replica_id_compare(&e->ids[a.rep], &e->ids[b.rep]);
	return r ? r : a.counter < b.counter ? -1 : a.counter > b.counter;
}

static void give_new_dot(struct engine *e, node_t n, struct dot d)
{
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, n))};
	struct head h = head_copy(state_find(&u.want, d));
	h.dot.counter = ++e->counter;
	state_remove_head(&u.want, d);
	state_add_head(&u.want, &h);
	head_release(&h);
	slot_update(e, n, &u);
	plan(e, n);
}

/* The head of this replica that the target has at p, whose copy n is to be, and that n does not have. */
static const struct head *evades(struct engine *e, node_t p, node_t n)
{
	const struct state *t = target_of(e, p);
	for (uint16_t i = 0; i < t->n_heads && t->heads[i].dot.rep == 0; i++)
		if (t->heads[i].kind != KIND_DIR && !version_has(&have_of(e, n)->context, t->heads[i].dot) &&
		    copy_is_at(e, p, t->heads[i].dot, n))
			return &t->heads[i];
	return NULL;
}

/* Is the content on this disk, as far as is known? */
static bool is_here(const struct engine *e, node_t p, const struct head *h)
{
	const struct head *shown = shown_head(e, p);
	return (shown && head_same_content(shown, h)) || h->kind != KIND_FILE ||
	       engine_find_content(e, h->hash) != NODE_NONE;
}

void copy_evade(struct engine *e, node_t n)
{
	const struct head *h;
	bool elsewhere = false;
	if (!path_is_conflict_name(tree_name(e->tree, n)))
		return;
	for (node_t p = tree_first_child(e->tree, tree_parent(e->tree, n)); p != NODE_NONE;
	     p = tree_next_sibling(e->tree, p)) {
		if (p == n || !(h = evades(e, p, n)))
			continue;
		elsewhere = true;
		if (is_here(e, p, h))
			give_new_dot(e, p, h->dot);
		else /* an old index: the copy was made since then, and that is what somebody changed or deleted */
			consume_at(e, p, h->dot);
	}
	/* Others have made it, and where it comes from it is no more. */
	if (!elsewhere && (h = evades(e, n, n)))
		give_new_dot(e, n, h->dot);
}

/* Is the head one that does not get the name? */
static bool is_loser(const struct engine *e, node_t n, const struct head *h)
{
	bool dir;
	const struct head *w = target_head(e, n, &dir);
	if (is_missing_head(e, n, h))
		return false; /* it is to be deleted, perhaps */
	return h->kind != KIND_DIR && (dir || !head_same_content(h, w));
}

void copy_unneeded(struct engine *e, node_t n, struct dot d)
{
	node_t q = copy_node(e, n, d, false);
	if (q != NODE_NONE && slot_of(e, q)->want && dot_eq(slot_of(e, q)->want->derived, d))
		plan(e, q); /* finds out */
}

/*
 * A copy that so far only this replica asked for, of a head that has gone, or won: as if it had never been
 * asked for. The head goes, and what of the context was there for it.
 */
static void copy_withdraw(struct engine *e, node_t q)
{
	const struct want *w = slot_of(e, q)->want;
	if (!w || !w->derived.counter)
		return;
	struct dot d = w->derived;
	if (state_find(have_of(e, q), d)) /* it is there: that is a fact, and goes by an event only */
		return;
	const uint64_t *origin = nodemap_get(&e->origin, q);
	const struct head *h = origin ? state_find(target_of(e, (node_t)*origin), d) : NULL;
	if (h && is_loser(e, (node_t)*origin, h))
		return;
	const struct state *have = have_of(e, q);
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, q))};
	state_remove_head(&u.want, d);
	struct version context = {0};
	for (uint16_t i = 0; i < u.want.context.n; i++)
		if (u.want.context.dots[i].rep != d.rep)
			version_add(&context, u.want.context.dots[i]);
	for (uint16_t i = 0; i < u.want.n_heads; i++)
		version_add(&context, u.want.heads[i].dot);
	version_unite(&context, &have->context);
	version_release(&u.want.context);
	u.want.context = context;
	if (!u.want.mode.rank && dot_eq(u.want.mode.dot, d))
		u.want.mode = have->mode;
	if (!context.n) {
		state_release(&u.want);
		u.what = UPDATE_NO_WANT;
	}
	slot_update(e, q, &u);
	if (slot_of(e, q)->want)
		slot_of(e, q)->want->derived = (struct dot){0}; /* once is enough */
	if (origin) { /* who waited for it does so no more */
		plan(e, (node_t)*origin);
		plan_copies(e, (node_t)*origin);
	}
}

static bool content_in(const struct head *const *seen, size_t n, const struct head *h)
{
	for (size_t i = 0; i < n; i++)
		if (head_same_content(seen[i], h))
			return true;
	return false;
}

static void derive_copy(struct engine *e, node_t n, node_t q, const struct head *h)
{
	struct state one = {.mode = {0, h->dot, target_of(e, n)->mode.bits}};
	if (!target_of(e, n)->mode.dot.counter)
		one.mode = (struct mode_reg){0};
	state_add_head(&one, h);
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, q))};
	state_merge(&u.want, &one);
	state_release(&one);
	slot_update(e, q, &u);
	slot_of(e, q)->want->derived = h->dot;
	nodemap_put(&e->origin, q, n);
	plan(e, q);
}

/*
 * A head whose copy was made, and then changed or deleted by somebody who did not know that it is
 * listed here too, is consumed: its content may be nowhere any more. Unless this disk shows it.
 */
static void drop_consumed(struct engine *e, node_t n)
{
	if (MUTANT(STALE_COPY))
		return;
	struct state t = state_copy(target_of(e, n));
	for (uint16_t i = 0; i < t.n_heads; i++) {
		const struct head *h = &t.heads[i], *shown = shown_head(e, n);
		node_t q = h->kind == KIND_DIR ? NODE_NONE : copy_node(e, n, h->dot, false);
		if (q == NODE_NONE || !version_has(&target_of(e, q)->context, h->dot) ||
		    state_find(target_of(e, q), h->dot) || (shown && head_same_content(shown, h)))
			continue;
		consume_at(e, n, h->dot);
	}
	state_release(&t);
}

/*
 * Every head that does not get the name gets a copy beside it, unless its content shows already. The
 * copy has the loser's own dot, so all replicas make the same one. True once all are on the disk;
 * `plan_them`: those that are not yet are planned again.
 */
static bool copies_asked(struct engine *e, node_t n, bool plan_them)
{
	bool dir, ready = true;
	if (MUTANT(LOSER_DROPPED))
		return true;
	const struct head *w = target_head(e, n, &dir);
	struct state t = state_copy(target_of(e, n));
	const struct head *losers[HEADS_MAX + 1], *seen[2 * HEADS_MAX + 2];
	size_t n_losers = 0, n_seen = 0;
	if (w)
		seen[n_seen++] = w = state_find(&t, w->dot);
	for (uint16_t i = 0; i < t.n_heads && n_losers < HEADS_MAX; i++) {
		const struct head *h = &t.heads[i];
		if (h->kind == KIND_DIR || (w && !dir && head_same_content(h, w)))
			continue;
		size_t at = n_losers++;
		while (at && by_dot_everywhere(e, losers[at - 1]->dot, h->dot) > 0) {
			losers[at] = losers[at - 1];
			at--;
		}
		losers[at] = h;
	}
	for (size_t i = 0; i < n_losers; i++) {
		node_t q = copy_node(e, n, losers[i]->dot, false);
		if (MUTANT(STALE_COPY) && q != NODE_NONE && version_has(&target_of(e, q)->context, losers[i]->dot))
			seen[n_seen++] = losers[i];
		if (q == NODE_NONE || !state_find(target_of(e, q), losers[i]->dot))
			continue;
		nodemap_put(&e->origin, q, n);
		if (slot_of(e, q)->missing && !MUTANT(MISSING_COPY))
			continue; /* it is to be deleted, perhaps: no other head can rely on it */
		seen[n_seen++] = losers[i];
		if (slot_of(e, q)->flags & (F_LOOKING | F_LOOK_QUEUED) && !MUTANT(MISSING_COPY))
			ready = false; /* is it there still? The look plans n again */
		if (!state_find(have_of(e, q), losers[i]->dot)) {
			const uint64_t *origin = nodemap_get(&e->origin, n);
			if (plan_them && !(origin && *origin == q)) /* names can be such that each is a copy of the other */
				plan(e, q);
			ready = false;
		}
	}
	for (size_t i = 0; i < n_losers; i++) {
		if (content_in(seen, n_seen, losers[i]))
			continue;
		node_t q = copy_node(e, n, losers[i]->dot, true);
		if (q == NODE_NONE || version_has(&target_of(e, q)->context, losers[i]->dot))
			continue;
		seen[n_seen++] = losers[i];
		derive_copy(e, n, q, losers[i]);
		ready = false;
	}
	state_release(&t);
	return ready;
}

bool copies_ready(struct engine *e, node_t n)
{
	return copies_asked(e, n, true);
}

/*
 * One copy stands for all losers of its content. If q is such a copy, and is to show something else, those that
 * are not meant get copies of their own first. True once all are on the disk.
 */
static bool others_have_copies(struct engine *e, node_t q)
{
	bool dir, ready = true, asked = false;
	const uint64_t *origin = nodemap_get(&e->origin, q);
	const struct head *shown = shown_head(e, q), *w = target_head(e, q, &dir);
	if (!origin || !shown || (w && head_same_content(w, shown)))
		return true;
	node_t p = (node_t)*origin;
	struct state t = state_copy(target_of(e, p));
	for (uint16_t i = 0; i < t.n_heads; i++) {
		const struct head *h = &t.heads[i];
		node_t own = copy_node(e, p, h->dot, false);
		if (!head_same_content(h, shown) || !is_loser(e, p, h) || own == q ||
		    (own != NODE_NONE && version_has(&have_of(e, own)->context, h->dot)))
			continue;
		if (!asked)
			copies_asked(e, p, false);
		asked = true;
		own = copy_node(e, p, h->dot, false);
		if (own == NODE_NONE || !state_find(target_of(e, own), h->dot))
			continue; /* yet another copy shows it */
		ready = false;
	}
	state_release(&t);
	return ready;
}

/* ---- steps ---- */

static void retry_later(struct engine *e, node_t n)
{
	struct want *w = slot_of(e, n)->want;
	uint64_t delay = RETRY_MIN_MS;
	for (uint16_t i = 0; i < w->tries && delay < RETRY_MAX_MS; i++)
		delay *= 2;
	if (delay > RETRY_MAX_MS)
		delay = RETRY_MAX_MS;
	if (w->tries < UINT16_MAX)
		w->tries++;
	w->retry_ms = e->mono_ms + delay;
	slot_phase(e, n, PHASE_RETRY);
	timer_add(e, w->retry_ms, n, TIMER_RETRY);
}

static void blocked(struct engine *e, node_t n, const char *reason)
{
	problem_set(e, 0, n, reason);
	retry_later(e, n);
}

/* The file system of this disk takes two names for one, and the other one is there. What is to come below
 * a folder of that name must not keep what it is to be made of: that may be below the other. */
static void blocked_by(struct engine *e, node_t n, const char *name)
{
	struct want *w = slot_of(e, n)->want;
	struct buf reason = {0};
	node_t dir = tree_parent(e->tree, n), other = tree_child(e->tree, dir, bytes_of(name));
	buf_addf(&reason, "the name is taken by ");
	text_show(&reason, bytes_of(name));
	buf_addf(&reason, " here");
	buf_add_char(&reason, '\0');
	if (other == NODE_NONE || slot_of(e, other)->kind == KIND_ABSENT) {
		queue_list(e, dir, 0); /* it is to be known, so that its end is */
	} else {
		if (w->taken == NODE_NONE)
			queue_push(&e->taken, n, 0);
		w->taken = other;
	}
	blocked(e, n, (const char *)reason.data);
	buf_release(&reason);
	for (node_t c = n; (c = tree_walk(e->tree, c, n, true)) != NODE_NONE; )
		if (slot_of(e, c)->want)
			plan(e, c);
}

bool is_taken(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->want && s->want->taken != NODE_NONE && s->kind == KIND_ABSENT &&
	       slot_of(e, s->want->taken)->kind != KIND_ABSENT;
}

static bool is_below_taken(const struct engine *e, node_t n)
{
	for (node_t p = tree_parent(e->tree, n); p != NODE_ROOT; p = tree_parent(e->tree, p))
		if (is_taken(e, p))
			return true;
	return false;
}

/* The disk shows the target: from now on it is what this replica has, and announces. */
static void adopt(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	struct update u = {.what = UPDATE_NO_WANT};
	bool was_conflict = have_of(e, n)->n_heads > 1;
	if (!state_eq(&s->want->target, have_of(e, n))) {
		u.what |= UPDATE_HAVE;
		u.have = state_copy(&s->want->target);
	}
	slot_update(e, n, &u);
	if (!was_conflict && have_of(e, n)->n_heads > 1)
		emit(e, EVENT_CONFLICT, n, 0, NULL);
	plan_around(e, n);
}

/*
 * The same content, by a change that this disk does not know yet. Before it is taken for what is there, it is
 * looked at once more: who changed or deleted it here before that change was made has not seen it, even if that is
 * noticed only later. False: not yet.
 */
static bool is_sure(struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	const struct state *target = &s->want->target;
	bool any = false;
	for (uint16_t i = 0; i < target->n_heads; i++)
		any |= !state_find(have_of(e, n), target->heads[i].dot);
	if (!any || s->want->sure == SURE || MUTANT(SHOWN_ONCE))
		return true;
	slot_phase(e, n, PHASE_WAITING);
	if (s->flags & F_BUSY)
		return false; /* the look at its end plans again */
	if (s->want->sure == ASKED) { /* and it could not be looked at */
		s->want->sure = UNSURE;
		retry_later(e, n);
	} else {
		s->want->sure = ASKED;
		(s->doubt ? read_again : queue_glance)(e, n);
	}
	return false;
}

static bool in_batch(const struct engine *e, node_t n)
{
	for (size_t i = e->batch->n; i-- > 0; )
		if (e->batch->jobs[i].node == n)
			return e->batch->jobs[i].type == OP_MKDIR;
	return false;
}

static void plan_now(struct engine *e, node_t n, bool removals);

static bool batch_full(const struct engine *e)
{
	return e->batch->n == APPLY_BATCH_MAX || e->batch->bytes >= APPLY_BATCH_BYTES;
}

/* Is the folder of n there, or made by this very batch? */
static bool parent_ready(struct engine *e, node_t n)
{
	node_t p = tree_parent(e->tree, n);
	if (p == NODE_ROOT)
		return true;
	held_return(e, p);
	struct slot *s = slot_of(e, p);
	if (s->kind == KIND_DIR && !(s->flags & F_JOB))
		return true;
	if (!(s->flags & F_JOB) && !batch_full(e))
		plan_now(e, p, false);
	if (in_batch(e, p) || (slot_of(e, p)->kind == KIND_DIR && !(slot_of(e, p)->flags & F_JOB)))
		return true;
	plan(e, p);
	return false;
}

static struct op *batch_add(struct engine *e, node_t n, enum op_type type)
{
	struct batch *b = e->batch;
	struct slot *s = slot_of(e, n);
	assert(b->n < APPLY_BATCH_MAX);
	size_t i = b->n++;
	b->jobs[i] = (struct job_op){.node = n, .from = NODE_NONE, .copied = NODE_NONE, .type = type,
	                             .target = state_copy(target_of(e, n))};
	b->path_at[i] = scratch_add_path(e, n);
	b->from_at[i] = e->scratch.len;
	b->ops[i] = (struct op){.path.len = e->scratch.len - b->path_at[i], .type = type,
	                        .expect_kind = s->kind, .expect_stamp = s->stamp,
	                        .mode = target_of(e, n)->mode.bits};
	s->flags |= F_JOB;
	slot_phase(e, n, PHASE_APPLYING);
	return &b->ops[i];
}

static void batch_from(struct engine *e, node_t from)
{
	struct batch *b = e->batch;
	size_t i = b->n - 1;
	b->from_at[i] = scratch_add_path(e, from);
	b->ops[i].from.len = e->scratch.len - b->from_at[i];
	b->ops[i].from_stamp = slot_of(e, from)->stamp;
}

/* The bytes of the last op, copied: what they came from may go while the batch is put together. */
static void batch_data(struct engine *e, const uint8_t *data, size_t len)
{
	struct batch *b = e->batch;
	b->data_at[b->n - 1] = e->scratch.len;
	b->ops[b->n - 1].data.len = len;
	buf_add(&e->scratch, data, len);
}

/* Is anything below n still on the disk that is to go? */
static bool has_children(struct engine *e, node_t n)
{
	bool any = false;
	for (node_t c = tree_first_child(e->tree, n); c != NODE_NONE;
	     c = tree_next_sibling(e->tree, c)) {
		const struct slot *s = slot_of(e, c);
		if ((s->kind == KIND_ABSENT || s->kind == KIND_OTHER) && !(s->flags & F_JOB))
			continue; /* what a job makes there now counts: the plan after it comes back here */
		any = true;
		plan(e, c);
	}
	return any;
}

/* Where the content of hash is on this disk; one whose file may move is preferred. Not what is in a folder
 * that has to go before n can take its name. */
static node_t local_source(struct engine *e, node_t n, const uint8_t *hash, bool *movable)
{
	*movable = false;
	if (!e->content_cap)
		return NODE_NONE;
	uint64_t k;
	memcpy(&k, hash, sizeof(k));
	node_t found = NODE_NONE;
	unsigned looked_at = 0;
	for (node_t m = e->content_buckets[k & (e->content_cap - 1)]; m != UINT32_MAX && looked_at < 64;
	     m = slot_of(e, m)->content_next, looked_at++) {
		const struct slot *s = slot_of(e, m);
		const struct head *h = shown_head(e, m);
		if (!h || memcmp(h->hash, hash, HASH_SIZE) != 0 || s->missing ||
		    s->flags & (F_JOB | F_LOOKING) || tree_is_under(e->tree, m, n))
			continue;
		found = m;
		if (s->want && !node_live(e, m) && !(s->flags & F_CLAIMED) && !s->doubt) {
			*movable = true;
			return m;
		}
	}
	return found;
}

static bool being_fetched(const struct engine *e, const uint8_t *hash)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		if (e->jobs[i].type == JOB_FETCH && memcmp(e->jobs[i].hash, hash, HASH_SIZE) == 0)
			return true;
	return false;
}

/*
 * May what shows at n be taken away? What was read at once after it had been written could have been written once
 * more within the same step of the clock, and would look the same: it is read again first.
 */
static bool is_settled(struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	if (!s->doubt || nodemap_get(&e->unreadable, n) || MUTANT(STAMPS_SUFFICE))
		return true;
	slot_phase(e, n, PHASE_WAITING);
	if (!(s->flags & F_BUSY)) /* else the look at its end plans again */
		read_again(e, n);
	return false;
}

static void plan_removal(struct engine *e, node_t n, bool removals)
{
	struct slot *s = slot_of(e, n);
	if (s->kind == KIND_ABSENT || s->kind == KIND_OTHER) {
		adopt(e, n);
		return;
	}
	if (s->flags & F_CLAIMED || s->going == GOING_WAVE || s->going == GOING_HELD) {
		slot_phase(e, n, PHASE_WAITING);
		return;
	}
	if (!removals) {
		s->flags |= F_PLAN_QUEUED;
		queue_push(&e->removals, n, 0);
		return;
	}
	if (s->kind != KIND_DIR) {
		if (is_settled(e, n))
			batch_add(e, n, OP_DELETE);
	} else if (has_children(e, n)) {
		slot_phase(e, n, PHASE_WAITING);
	} else {
		batch_add(e, n, OP_RMDIR);
	}
}

/* Can n be put at its name by this batch, which its folders may have filled? If not, it comes back. */
static bool place_ready(struct engine *e, node_t n)
{
	if (!is_settled(e, n))
		return false;
	bool ready = parent_ready(e, n) && (slot_of(e, n)->kind != KIND_DIR || !has_children(e, n));
	if (!ready)
		slot_phase(e, n, PHASE_WAITING);
	if (!batch_full(e))
		return ready;
	plan(e, n);
	return false;
}

static void plan_dir(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	const struct mode_reg *mode = &target_of(e, n)->mode;
	if (s->kind == KIND_DIR) {
		if (mode->dot.counter && s->mode != mode->bits)
			batch_add(e, n, OP_META);
		else if (is_sure(e, n))
			adopt(e, n);
		return;
	}
	if (!place_ready(e, n))
		return;
	struct op *op = batch_add(e, n, OP_MKDIR);
	if (!mode->dot.counter)
		op->mode = 0755;
	e->batch->bytes += 256;
}

static void plan_symlink(struct engine *e, node_t n, const struct head *w)
{
	const struct head *shown = shown_head(e, n);
	if (shown && head_same_content(shown, w)) {
		if (is_sure(e, n))
			adopt(e, n);
		return;
	}
	if (!place_ready(e, n))
		return;
	w = winner_content_of(e, n, target_of(e, n));
	struct op *op = batch_add(e, n, OP_SYMLINK);
	op->source = SOURCE_DATA;
	batch_data(e, w->target, w->size);
	op->size = w->size;
	op->mtime_ns = w->mtime;
	memcpy(op->hash, w->hash, HASH_SIZE);
}

static struct op *write_op(struct engine *e, node_t n, enum op_source source)
{
	const struct head *w = winner_content_of(e, n, target_of(e, n));
	struct op *op = batch_add(e, n, OP_WRITE);
	op->source = source;
	op->size = w->size;
	op->mtime_ns = w->mtime;
	memcpy(op->hash, w->hash, HASH_SIZE);
	if (!target_of(e, n)->mode.dot.counter)
		op->mode = 0644;
	e->batch->jobs[e->batch->n - 1].source = source;
	e->batch->bytes += source == SOURCE_MOVE ? 256 : (size_t)(w->size < APPLY_BATCH_BYTES ? w->size : APPLY_BATCH_BYTES) + 256;
	return op;
}

static void plan_file(struct engine *e, node_t n, const struct head *w)
{
	struct slot *s = slot_of(e, n);
	struct want *want = s->want;
	const struct head *shown = shown_head(e, n);
	if (shown && head_same_content(shown, w)) {
		const struct mode_reg *mode = &want->target.mode;
		if (!want->meta && shown->mtime == w->mtime && (!mode->dot.counter || s->mode == mode->bits)) {
			if (is_sure(e, n))
				adopt(e, n);
			return;
		}
		struct op *op = batch_add(e, n, OP_META);
		op->mtime_ns = w->mtime;
		if (!mode->dot.counter)
			op->mode = s->mode;
		return;
	}
	bool data = want->has_data && memcmp(want->data_hash, w->hash, HASH_SIZE) == 0;
	bool tmp = want->tmp && memcmp(want->tmp_hash, w->hash, HASH_SIZE) == 0;
	bool movable = false, fetch_only = is_below_taken(e, n);
	node_t source = NODE_NONE;
	if (fetch_only)
		claim_release(e, want);
	if (want->source != NODE_NONE) {
		const struct head *h = shown_head(e, want->source);
		if (h && head_same_content(h, w) && !node_live(e, want->source) &&
		    !slot_of(e, want->source)->missing) {
			source = want->source;
			movable = true;
		} else {
			claim_release(e, want);
		}
	}
	if (source == NODE_NONE && !want->no_local && !tmp && !fetch_only)
		source = local_source(e, n, w->hash, &movable);
	if (movable && want->source == NODE_NONE) {
		want->source = source;
		slot_of(e, source)->flags |= F_CLAIMED;
	}
	if (source != NODE_NONE && !movable && !data && w->size && e->burst_until_ms) {
		queue_push(&e->deferred, n, 0);
		slot_phase(e, n, PHASE_DEFERRED);
		return;
	}
	if (!movable && !data && !tmp && w->size && source == NODE_NONE) {
		if (want->tmp)
			tmp_drop(e, want);
		if (being_fetched(e, w->hash)) {
			queue_push(&e->same_content, n, 0);
			slot_phase(e, n, PHASE_WAITING);
		} else {
			queue_push(&e->fetches, n, 0);
			slot_phase(e, n, PHASE_QUEUED);
		}
		return;
	}
	if (!place_ready(e, n))
		return;
	if (movable) {
		write_op(e, n, SOURCE_MOVE);
		batch_from(e, source);
		e->batch->jobs[e->batch->n - 1].from = source;
		slot_of(e, source)->flags |= F_JOB;
	} else if (data || !w->size) {
		write_op(e, n, SOURCE_DATA);
		if (data)
			batch_data(e, want->data, want->data_len);
	} else if (tmp) {
		write_op(e, n, SOURCE_TMP)->tmp = want->tmp;
		want->tmp = 0; /* the op's now */
	} else {
		write_op(e, n, SOURCE_COPY);
		batch_from(e, source);
		e->batch->jobs[e->batch->n - 1].copied = source;
	}
}

/* Does the target know changes of this replica that a crash could still take back, and their numbers
 * with them? No name of a copy and no record of an op may show those. */
static bool own_unstored(const struct engine *e, node_t n)
{
	const struct version *c = &target_of(e, n)->context;
	return c->n && c->dots[0].rep == 0 && c->dots[0].counter > e->counter_stored;
}

static void plan_now(struct engine *e, node_t n, bool removals)
{
	struct slot *s = slot_of(e, n);
	if (s->flags & F_JOB) {
		s->flags |= F_PLAN_AGAIN;
		return;
	}
	bool dir;
	const struct head *w = target_head(e, n, &dir);
	if (s->flags & (F_LOOKING | F_LOOK_QUEUED))
		return; /* what comes of it plans again */
	if (e->index != INDEX_WALKED && first_walk(e))
		return; /* it may be here already: the walk's end plans again */
	if (s->missing) {
		if (s->want)
			slot_phase(e, n, PHASE_WAITING);
		return;
	}
	if (!s->want) {
		/* Only a folder that became needed, or is needed no more, has something to do. */
		if (dir == (s->kind == KIND_DIR) || (!dir && s->leftover))
			return;
		want_force(e, n);
	}
	drop_consumed(e, n);
	copy_withdraw(e, n);
	found_rests(e, n);
	s = slot_of(e, n);
	if (!s->want)
		return;
	if (own_unstored(e, n)) {
		queue_push(&e->unstored, n, 0);
		slot_phase(e, n, PHASE_WAITING);
		return;
	}
	if (s->want->phase == PHASE_RETRY && s->want->retry_ms > e->mono_ms)
		return;
	if ((!copies_ready(e, n) || !others_have_copies(e, n)) && !MUTANT(WINNER_FIRST)) {
		slot_phase(e, n, PHASE_WAITING);
		return;
	}
	s = slot_of(e, n); /* copies may have made nodes */
	w = target_head(e, n, &dir);
	if (!dir && !w) {
		plan_removal(e, n, removals);
		return;
	}
	if (is_taken(e, n)) {
		retry_later(e, n);
		return;
	}
	s->want->taken = NODE_NONE;
	if (s->kind == KIND_OTHER) {
		blocked(e, n, "a device, socket or pipe has this name here");
		return;
	}
	if (dir)
		plan_dir(e, n);
	else if (w->kind == KIND_SYMLINK)
		plan_symlink(e, n, w);
	else
		plan_file(e, n, w);
}

/* ---- fetching ---- */

static unsigned running_fetches(const struct engine *e, unsigned peer)
{
	unsigned n = 0;
	for (size_t i = 0; i < e->n_jobs; i++)
		n += e->jobs[i].type == JOB_FETCH && e->jobs[i].peer == peer;
	return n;
}

/* Who has it: a peer that holds it as its winner here is surest; one that has anything at this path,
 * or at the one that this is a copy of, may have it as another head. */
static int holder(const struct engine *e, node_t n, const struct head *w)
{
	uint32_t content = content_mark(w);
	const uint64_t *origin = nodemap_get(&e->origin, n);
	int best = -1;
	unsigned best_score = 0;
	for (unsigned p = 0; p < PEERS_MAX; p++) {
		const struct peer *peer = &e->peers[p];
		if (!peer->up || peer->dropped || slot_of(e, n)->want->tried >> p & 1)
			continue;
		const struct slot *s = slot_of(e, n);
		unsigned score = 0;
		if (s->n_held >= peer->rep && s->held[peer->rep - 1].seq)
			score = s->held[peer->rep - 1].content == content ? 2000 : 1000;
		if (!score && origin) {
			s = slot_of(e, (node_t)*origin);
			if (s->n_held >= peer->rep && s->held[peer->rep - 1].seq)
				score = 1000;
		}
		if (!score)
			continue;
		score -= running_fetches(e, p);
		if (score > best_score) {
			best_score = score;
			best = (int)p;
		}
	}
	return best;
}

/*
 * A replica lost its index after it had announced this head, and somebody there replaced the content
 * before the others had it; or this one has an old index, in which somebody's last changes here are missing. Surely
 * so once all have been there for a while, and none of them has it.
 */
static bool is_lost(const struct engine *e, const struct head *w)
{
	rep_t maker = w->dot.rep;
	if ((maker ? e->reps[maker].member : first_walk(e) != NULL) || e->mono_ms < e->reach_changed_ms + FORGET_MS)
		return false;
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].member && !e->reps[i].reachable)
			return false;
	return true;
}

/* Does anybody who belongs here say that it shows that content at n? Who cannot send it now has it none the less. */
static bool said_at(const struct engine *e, node_t n, const struct head *w)
{
	const struct slot *s = slot_of(e, n);
	for (size_t i = 1; i <= s->n_held && i < e->n_reps; i++)
		if (e->reps[i].member && s->held[i - 1].seq && s->held[i - 1].kind == w->kind &&
		    s->held[i - 1].content == content_mark(w))
			return true;
	return false;
}

static bool said_to_have(const struct engine *e, node_t n, const struct head *w)
{
	const uint64_t *origin = nodemap_get(&e->origin, n);
	return said_at(e, n, w) || (origin && said_at(e, (node_t)*origin, w));
}

/* Nobody has it: as if it had been deleted, here and where it is a copy of, or has one. */
static void give_up(struct engine *e, node_t n, struct dot d)
{
	const uint64_t *origin = nodemap_get(&e->origin, n);
	node_t of = origin ? (node_t)*origin : NODE_NONE;
	consume_at(e, n, d);
	consume_at(e, copy_node(e, n, d, false), d);
	consume_at(e, of, d);
}

/* No such name can be here: what is to be at n, and below it, is given up if its maker has it no more, and nobody else. */
static void give_up_blocked(struct engine *e, node_t n)
{
	for (node_t c = tree_first_child(e->tree, n); c != NODE_NONE; c = tree_next_sibling(e->tree, c))
		give_up_blocked(e, c);
	if (!slot_of(e, n)->want || shown_elsewhere(e, n))
		return;
	struct state t = state_copy(target_of(e, n));
	for (uint16_t i = 0; i < t.n_heads; i++)
		if (!state_find(have_of(e, n), t.heads[i].dot) && is_lost(e, &t.heads[i]))
			give_up(e, n, t.heads[i].dot);
	state_release(&t);
}

static bool next_fetch(struct engine *e)
{
	struct queue_item it;
	while (e->n_type[JOB_FETCH] < FETCH_JOBS_MAX && queue_pop(&e->fetches, &it)) {
		node_t n = it.node;
		struct slot *s = slot_of(e, n);
		bool dir;
		const struct head *w = target_head(e, n, &dir);
		if (!s->want || s->want->phase != PHASE_QUEUED || s->flags & F_JOB || !w ||
		    w->kind != KIND_FILE)
			continue;
		if (being_fetched(e, w->hash)) {
			queue_push(&e->same_content, n, 0);
			slot_phase(e, n, PHASE_WAITING);
			continue;
		}
		int peer = holder(e, n, w);
		if (peer < 0 && s->want->no_local) {
			/* Nobody else has it; what went wrong with the copy of ours may be over. */
			s->want->no_local = false;
			s->want->tried = 0;
			retry_later(e, n);
			continue;
		}
		if (peer < 0 && is_lost(e, w) && !said_to_have(e, n, w)) {
			give_up(e, n, w->dot);
			continue;
		}
		if (peer < 0 && s->want->tried && held_failed(e, n))
			continue;
		if (peer < 0 && (s->want->tried || (w->dot.rep && !e->reps[w->dot.rep].member))) {
			s->want->tried = 0;
			retry_later(e, n);
			continue;
		}
		if (peer < 0) {
			queue_push(&e->no_holder, n, 0);
			slot_phase(e, n, PHASE_NO_HOLDER);
			continue;
		}
		struct job *j = job_new(e, JOB_FETCH, 1);
		j->nodes[0] = n;
		j->peer = (unsigned)peer;
		j->size = w->size;
		memcpy(j->hash, w->hash, HASH_SIZE);
		s->flags |= F_JOB;
		slot_phase(e, n, PHASE_FETCHING);
		tree_path(e->tree, n, &e->scratch);
		e->action = (struct action){.type = ACT_FETCH, .job = j->id, .peer = (unsigned)peer,
		                            .path = {e->scratch.data, e->scratch.len},
		                            .hash = j->hash, .size = w->size};
		return true;
	}
	return false;
}

/* After a job: what was put off because of it. */
static void job_over(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	s->flags &= (uint16_t)~(F_JOB | F_PLAN_AGAIN);
	consume_rest(e, n);
	if (s->flags & F_LOOKING) {
		s->flags |= F_LOOK_AGAIN; /* it may have seen what was there before */
	} else if (s->flags & F_LOOK_AGAIN) {
		s->flags &= (uint16_t)~F_LOOK_AGAIN;
		queue_glance(e, n);
	}
	plan(e, n);
}

void engine_fetched(struct engine *e, uint64_t job, int error, uint64_t tmp)
{
	struct job *j = job_find(e, job, JOB_FETCH);
	assert(j);
	node_t n = j->nodes[0];
	unsigned peer = j->peer;
	bool cancelled = j->cancelled;
	uint8_t hash[HASH_SIZE];
	memcpy(hash, j->hash, HASH_SIZE);
	job_end(e, j);
	struct want *w = slot_of(e, n)->want;
	if (!error && w) {
		tmp_drop(e, w);
		w->tmp = tmp;
		memcpy(w->tmp_hash, hash, HASH_SIZE);
	} else if (!error) {
		GROW(e->drop_tmps, e->drop_tmps_cap, e->n_drop_tmps + 1);
		e->drop_tmps[e->n_drop_tmps++] = tmp;
		plan_all(e, &e->same_content);
	} else if (w && !cancelled) {
		if (error == -ENODATA || error == -ENOTCONN || error == -EBADMSG || error == -ECONNRESET)
			w->tried |= (uint64_t)1 << peer;
		else
			blocked(e, n, error_text(error));
	}
	if (w && w->phase == PHASE_FETCHING)
		slot_phase(e, n, PHASE_QUEUED);
	job_over(e, n);
	if (error)
		plan_all(e, &e->same_content);
}

/* ---- applying ---- */

bool next_plan(struct engine *e)
{
	if (e->halted)
		return false;
	if (!e->batch)
		e->batch = xmalloc(sizeof(*e->batch));
	struct batch *b = e->batch;
	b->n = b->bytes = 0;
	struct queue_item it;
	while (e->n_type[JOB_APPLY] < APPLY_JOBS_MAX && !batch_full(e)) {
		bool removals = false;
		if (!queue_pop(&e->plans, &it)) {
			/* Whatever may need the file of a removal comes first. */
			if (e->burst_until_ms || e->deferred.n)
				break;
			if (held_judge_peers(e))
				continue;
			if (!queue_pop(&e->removals, &it))
				break;
			removals = true;
		}
		slot_of(e, it.node)->flags &= (uint16_t)~F_PLAN_QUEUED;
		plan_now(e, it.node, removals);
	}
	if (!b->n)
		return next_fetch(e);
	e->asked_at = e->counter;
	struct job *j = job_new(e, JOB_APPLY, b->n);
	j->ops = xmemdup(b->jobs, b->n * sizeof(*j->ops));
	for (size_t i = 0; i < b->n; i++) {
		b->record_at[i] = e->scratch.len;
		applied_record(e, &b->jobs[i].target, b->ops[i].from_stamp, &e->scratch);
		b->ops[i].record.len = e->scratch.len - b->record_at[i];
	}
	for (size_t i = 0; i < b->n; i++) {
		j->nodes[i] = b->jobs[i].node;
		b->ops[i].record.p = e->scratch.data + b->record_at[i];
		b->ops[i].path.p = e->scratch.data + b->path_at[i];
		if (b->ops[i].from.len)
			b->ops[i].from.p = e->scratch.data + b->from_at[i];
		if (b->ops[i].data.len)
			b->ops[i].data.p = e->scratch.data + b->data_at[i];
	}
	e->action = (struct action){.type = ACT_APPLY, .job = j->id, .ops = b->ops, .n = b->n};
	return true;
}

/* Who made the newest of what the old state had not seen. */
static rep_t newest_author(const struct state *old, const struct state *target, const struct head *w)
{
	if (w)
		return w->dot.rep;
	for (uint16_t i = 0; i < target->context.n; i++)
		if (!version_has(&old->context, target->context.dots[i]))
			return target->context.dots[i].rep;
	return 0;
}

static void op_done(struct engine *e, struct job_op *jo, const struct op *op)
{
	node_t n = jo->node;
	struct slot *s = slot_of(e, n);
	const struct state *old = have_of(e, n);
	struct shown before = shown_now(e, n);
	const struct head *w = winner_of(e, n, &jo->target);
	rep_t author = newest_author(old, &jo->target, w);
	bool was_conflict = old->n_heads > 1;
	if (jo->from != NODE_NONE)
		s->doubt = slot_of(e, jo->from)->doubt;
	else if (jo->type != OP_META) /* a date that another machine gave shows the next change */
		s->doubt = w && w->dot.rep == 0 && w->mtime > op->found.ctime_ns - GRANULE_NS;
	struct update u = {.what = UPDATE_FACTS,
	                   .facts = {op->found.stamp, op->found.ctime_ns, op->found.mode, op->found.kind}};
	if (!state_eq(&jo->target, old)) {
		u.what |= UPDATE_HAVE;
		u.have = state_copy(&jo->target);
	}
	if (jo->from != NODE_NONE && s->want)
		s->want->source = NODE_NONE; /* done, not given back */
	if (s->want) {
		u.what |= UPDATE_WANT;
		u.want = state_copy(&s->want->target);
		state_merge(&u.want, &jo->target);
	}
	slot_update(e, n, &u);
	if (jo->from != NODE_NONE) {
		struct update gone = {.what = UPDATE_FACTS, .facts = {.kind = KIND_ABSENT}};
		slot_update(e, jo->from, &gone);
		slot_of(e, jo->from)->flags &= (uint16_t)~F_CLAIMED;
		job_over(e, jo->from);
		node_t parent = tree_parent(e->tree, jo->from);
		plan(e, parent);
	}
	bool removal = jo->type == OP_DELETE || jo->type == OP_RMDIR;
	if (removal)
		emit_change(e, EVENT_REMOVED, n, author, before, (struct shown){0});
	else if (jo->type != OP_META)
		emit_change(e, EVENT_RECEIVED, n, author, before, shown_now(e, n));
	if (!was_conflict && have_of(e, n)->n_heads > 1)
		emit(e, EVENT_CONFLICT, n, author, NULL);
	if (slot_of(e, n)->below)
		slot_of(e, n)->flags |= F_LOOK_AGAIN; /* another folder came under the name meanwhile */
	if (jo->type == OP_MKDIR)
		queue_list(e, n, WALK_TRUSTS); /* sets the watch, and sees what somebody put there meanwhile */
	plan_around(e, n);
	if (jo->type == OP_WRITE)
		plan_all(e, &e->same_content);
}

static void op_failed(struct engine *e, struct job_op *jo, const struct op *op)
{
	node_t n = jo->node;
	struct slot *s = slot_of(e, n);
	struct want *w = s->want;
	int error = op->error;
	bool local = jo->source == SOURCE_COPY || jo->source == SOURCE_MOVE;
	if (jo->from != NODE_NONE) {
		if (w)
			w->source = NODE_NONE;
		slot_of(e, jo->from)->flags &= (uint16_t)~F_CLAIMED;
		slot_of(e, jo->from)->flags |= F_LOOK_AGAIN;
		job_over(e, jo->from);
	}
	if (jo->source == SOURCE_TMP)
		plan_all(e, &e->same_content);
	if (!w)
		return;
	if (error == -ENOTEMPTY && jo->type == OP_RMDIR) {
		/* What is not carried stays, and its folder with it; new files there will be found. */
		queue_list(e, n, 0);
		if (!state_eq(&w->target, &jo->target) || node_live(e, n))
			return;
		slot_leftover(e, n, true);
		adopt(e, n);
		return;
	}
	if (error == -EBADMSG) {
		data_drop(e, w);
		w->no_local = true;
		retry_later(e, n);
		return;
	}
	if (error == -ENOTUNIQ) {
		blocked_by(e, n, op->taken);
		return;
	}
	if (error == -ESTALE || error == -EEXIST || error == -ENOENT || error == -ENOTDIR ||
	    error == -ELOOP || error == -EISDIR) {
		/* Somebody was there first. Look, then plan anew; patience grows if that repeats. */
		if (jo->copied != NODE_NONE)
			queue_look(e, jo->copied, 0, true);
		if (local)
			w->no_local = true;
		s->flags |= F_LOOK_AGAIN;
		node_t parent = tree_parent(e->tree, n);
		if (error == -ENOENT || error == -ENOTDIR || error == -ELOOP)
			if (parent != NODE_ROOT)
				queue_look(e, parent, 0, true);
		if (++w->tries > 3)
			retry_later(e, n);
		else
			slot_phase(e, n, PHASE_QUEUED);
		return;
	}
	if (error == -ENOTEMPTY)
		queue_list(e, n, 0);
	blocked(e, n, error_text(error));
}

/* It is the name that this file system does not take. */
static bool is_impossible(int error)
{
	return error == -EILSEQ || error == -EINVAL || error == -ENAMETOOLONG;
}

void engine_applied(struct engine *e, uint64_t job, const struct op *ops, size_t n)
{
	struct job *j = job_find(e, job, JOB_APPLY);
	assert(j && j->n == n);
	struct job_op *jobs = j->ops;
	j->ops = NULL;
	job_end(e, j);
	for (size_t i = 0; i < n; i++) {
		if (ops[i].error)
			op_failed(e, &jobs[i], &ops[i]);
		else
			op_done(e, &jobs[i], &ops[i]);
		job_over(e, jobs[i].node);
		if (is_impossible(ops[i].error))
			give_up_blocked(e, jobs[i].node);
		state_release(&jobs[i].target);
	}
	free(jobs);
	report_changed(e);
}
