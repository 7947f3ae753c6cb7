/*
 * Owns deletions that are too many at once: collects what is to go into waves, judges each wave, and
 * holds what only a person may decide.
 *
 * What a look does not find any more is `missing`: the slot still has and shows what it did, and no
 * event is made before the wave that it came with has been judged. What a peer says is deleted is
 * wanted without heads, and is carried out when the wave of that peer has been judged. A wave that
 * takes all entries that show here (and more than one), or at least 20 and more than half of them, is
 * held: it changes nothing until engine_held_decide() names exactly that set.
 *
 * What a person has confirmed where it was made is held once more on each other replica that it would
 * empty. A word like "this was confirmed" could only come from the very peer that sends the deletions,
 * and a peer that is broken or taken over says it too; so each machine asks the person in front of it.
 * For the same reason the connection that told us counts, and not the replica whose change it is said
 * to be: a peer could spread its deletions over as many authors as it likes.
 */
#include "config.h"
#include "engine_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HELD_LEAST 20
#define QUIET_WAVE_MS 40     /* a wave is over when so long nothing more was found missing */
#define CEILING_FEW_MS 2000  /* and judged after that in any case, while they are few */
#define CEILING_MANY_MS 1000 /* many are judged when so long no more came, whatever else is looked at */
#define CEILING_WALK_MS 10000 /* likewise while a walk runs */
#define RECENT_MS 10000      /* what began to show so shortly before may be what has another name now */
#define REST_HERE_MS 2000    /* what comes so soon after a judged wave counts with it */
#define REST_PEER_MS 60000   /* likewise from a peer, which could send one by one */

static struct wave *wave_of(const struct engine *e, rep_t rep)
{
	return &e->reps[rep].wave;
}

/* What the disk shows, and nobody is to take away. */
static uint64_t showing(const struct engine *e)
{
	return e->n_shown - e->n_leftover - e->n_going[GOING_HELD] - e->n_going[GOING_ALLOWED];
}

/* ---- who is in which list ---- */

static struct nodes *list_of(struct engine *e, rep_t rep, enum going going)
{
	assert(going == GOING_WAVE || going == GOING_HELD);
	return going == GOING_WAVE ? &wave_of(e, rep)->fresh : &wave_of(e, rep)->held;
}

static uint64_t place(rep_t rep, size_t i)
{
	return (uint64_t)rep << 32 | i;
}

static rep_t going_rep(const struct engine *e, node_t n)
{
	return (rep_t)(*nodemap_get(&e->going, n) >> 32);
}

static void leave(struct engine *e, node_t n)
{
	enum going going = slot_of(e, n)->going;
	if (going == GOING_STAYS)
		return;
	e->n_going[going]--;
	if (going != GOING_ALLOWED) {
		uint64_t at = *nodemap_get(&e->going, n);
		struct nodes *l = list_of(e, (rep_t)(at >> 32), going);
		node_t last = l->items[--l->n];
		size_t i = (size_t)(at & UINT32_MAX);
		if (last != n) {
			l->items[i] = last;
			nodemap_put(&e->going, last, at);
		}
		nodemap_remove(&e->going, n);
	}
	slot_going(e, n, GOING_STAYS);
}

static void enter(struct engine *e, node_t n, rep_t rep, enum going going)
{
	leave(e, n);
	if (going != GOING_ALLOWED) {
		struct nodes *l = list_of(e, rep, going);
		GROW(l->items, l->cap, l->n + 1);
		l->items[l->n] = n;
		nodemap_put(&e->going, n, place(rep, l->n++));
	}
	e->n_going[going]++;
	slot_going(e, n, going);
}

void held_release(struct engine *e)
{
	for (size_t i = 0; i < e->n_reps; i++) {
		free(e->reps[i].wave.fresh.items);
		free(e->reps[i].wave.held.items);
	}
	nodemap_release(&e->going);
}

/* ---- waves ---- */

static bool is_fresh(const struct engine *e, rep_t rep)
{
	const struct wave *w = wave_of(e, rep);
	uint64_t rest = rep ? REST_PEER_MS : REST_HERE_MS;
	return !w->fresh.n && (!w->counted || e->mono_ms > w->last_ms + rest);
}

void held_begin(struct engine *e, rep_t rep)
{
	struct wave *w = wave_of(e, rep);
	if (!is_fresh(e, rep))
		return;
	w->base = showing(e);
	w->base_ms = e->mono_ms;
	w->counted = 0;
	if (!w->mark_ms || e->mono_ms >= w->mark_ms + RECENT_MS) {
		w->seq = w->mark ? w->mark : e->counter;
		w->mark = e->counter;
		w->mark_ms = e->mono_ms;
	}
}

static bool disk_rests(const struct engine *e)
{
	return !e->lists.n && !e->looks.n && !e->fresh_looks.n && !e->n_type[JOB_LIST] &&
	       !e->n_type[JOB_LOOK] && !e->n_moves;
}

void held_look(struct engine *e)
{
	if (disk_rests(e))
		held_begin(e, 0);
}

static bool walking(const struct engine *e)
{
	for (size_t i = 0; i < e->n_walks; i++)
		if (e->walks[i].outstanding)
			return true;
	return false;
}

static void enter_wave(struct engine *e, node_t n, rep_t rep)
{
	struct wave *w = wave_of(e, rep);
	if (!w->fresh.n) {
		/* A disk that never rests, or a peer whose word was loaded. */
		if (!w->base || (rep == 0 && !walking(e) && !e->n_moves &&
		                 e->mono_ms > w->base_ms + CEILING_WALK_MS))
			held_begin(e, rep);
		w->begun_ms = e->mono_ms;
	}
	enter(e, n, rep, GOING_WAVE);
	w->last_ms = e->mono_ms;
}

/* ---- what leads into a wave, and out of it ---- */

/* The disk does not show it any more, and that is no change of anybody here; what it shows instead may be. */
static void gone_quietly(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	struct update u = {.what = UPDATE_FACTS, .facts = {.kind = KIND_ABSENT}};
	bool replaced = s->replaced;
	s->missing = s->replaced = false;
	leave(e, n);
	slot_update(e, n, &u);
	if (replaced)
		queue_look(e, n, 0, true);
	plan(e, n);
	plan_around(e, n);
}

bool held_missing(struct engine *e, node_t n, bool replaced)
{
	struct slot *s = slot_of(e, n);
	if (s->missing) {
		s->replaced |= replaced;
		return false;
	}
	bool any = false;
	if (s->kind == KIND_DIR) {
		for (node_t c = tree_first_child(e->tree, n); c != NODE_NONE;
		     c = tree_next_sibling(e->tree, c)) {
			if (slot_of(e, c)->flags & F_JOB) {
				slot_of(e, c)->flags |= F_LOOK_AGAIN;
				slot_of(e, c)->below = true;
			} else if (slot_of(e, c)->kind != KIND_ABSENT)
				any |= held_missing(e, c, false);
		}
	}
	slot_busy(e, n, false);
	if (!s->want)
		problem_set(e, 0, n, NULL);
	if (s->kind == KIND_OTHER || s->leftover) {
		local_delete(e, n);
		any = true;
	} else if (!node_live(e, n)) {
		gone_quietly(e, n); /* as others want it */
		any = true;
	} else {
		bool moved = s->flags & F_MOVED;
		s->missing = true;
		s->replaced = replaced;
		enter_wave(e, n, 0);
		if (moved) /* the watch told both ends: nothing more is to be waited for */
			wave_of(e, 0)->last_ms -= e->mono_ms < QUIET_WAVE_MS ? e->mono_ms : QUIET_WAVE_MS;
		return true;
	}
	if (replaced)
		queue_look(e, n, 0, true);
	return any;
}

void held_found(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	if (!s->missing)
		return;
	s->missing = s->replaced = false;
	leave(e, n);
}

void held_return(struct engine *e, node_t n)
{
	if (slot_of(e, n)->missing && slot_of(e, n)->kind == KIND_DIR)
		gone_quietly(e, n);
}

void held_told(struct engine *e, node_t n, rep_t rep)
{
	const struct slot *s = slot_of(e, n);
	if (s->want && !s->want->target.n_heads && !s->missing && s->going == GOING_STAYS &&
	    (s->kind == KIND_FILE || s->kind == KIND_DIR || s->kind == KIND_SYMLINK))
		enter_wave(e, n, rep);
}

/* Whose word is it that this goes, as far as the state itself tells? 0: our own. */
static rep_t said_by(const struct engine *e, node_t n)
{
	const struct state *t = target_of(e, n), *have = have_of(e, n);
	for (uint16_t i = 0; i < t->context.n; i++)
		if (t->context.dots[i].rep && !version_has(&have->context, t->context.dots[i]))
			return t->context.dots[i].rep;
	return 0;
}

void held_loaded(struct engine *e, node_t n)
{
	rep_t rep = said_by(e, n);
	if (rep)
		held_told(e, n, rep);
}

void held_follow(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	if (!s->missing) {
		if (s->going != GOING_STAYS &&
		    (!s->want || s->want->target.n_heads || s->kind == KIND_ABSENT || s->kind == KIND_OTHER))
			leave(e, n);
		return;
	}
	if (s->kind == KIND_ABSENT || s->kind == KIND_OTHER) {
		held_found(e, n);
		return;
	}
	/* Others delete it too; or they have replaced it, and the newer one comes. */
	const struct state *t = target_of(e, n);
	bool all_new = t->n_heads != 0;
	for (uint16_t i = 0; i < t->n_heads; i++)
		all_new &= !is_missing_head(e, n, &t->heads[i]);
	if (!node_live(e, n) || all_new)
		gone_quietly(e, n);
}

void held_halt(struct engine *e)
{
	struct nodes *l = &wave_of(e, 0)->fresh;
	while (l->n)
		held_found(e, l->items[l->n - 1]); /* as far as that can be believed */
}

/* ---- judging ---- */

struct content {
	const uint8_t *hash;
	size_t at; /* in the list of the wave */
};

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct content *)a)->hash, ((const struct content *)b)->hash, HASH_SIZE);
}

/* What is wanted at names that other spellings have, and below: it comes when those have gone. */
static void add_taken(const struct engine *e, struct content **out, size_t *n, size_t *cap)
{
	const struct queue *q = &e->taken;
	for (size_t i = 0; i < q->n; i++) {
		node_t top = q->items[q->head + i].node;
		for (node_t c = top; is_taken(e, top) && c != NODE_NONE; c = tree_walk(e->tree, c, top, true)) {
			bool dir;
			const struct head *h = slot_of(e, c)->want ? target_head(e, c, &dir) : NULL;
			if (!h || h->kind == KIND_DIR)
				continue;
			GROW(*out, *cap, *n + 1);
			(*out)[(*n)++] = (struct content){h->hash, 0};
		}
	}
}

/* What began to show shortly before the wave, or since, by content; and what waits for this very wave. The
 * caller frees it. */
static struct content *new_contents(const struct engine *e, uint64_t seq, size_t *n)
{
	const struct index_log *l = &e->reps[0].log;
	struct content *out = NULL;
	size_t cap = 0;
	*n = 0;
	for (size_t i = l->n; i-- > 0 && l->items[i].seq > seq; ) {
		const struct slot *s = slot_of(e, l->items[i].node);
		const struct head *h = shown_head(e, l->items[i].node);
		if (s->seq != l->items[i].seq || !h || s->missing || s->going != GOING_STAYS)
			continue;
		GROW(out, cap, *n + 1);
		out[(*n)++] = (struct content){h->hash, 0};
	}
	add_taken(e, &out, n, &cap);
	if (*n)
		qsort(out, *n, sizeof(*out), by_hash);
	return out;
}

/* An op is to take its file to another name. */
static bool is_claimed(const struct slot *s)
{
	return s->flags & F_CLAIMED && !s->missing;
}

/* A rename is no deletion: marks what has its content under a new name, each new one standing for one;
 * and folders whose content has gone that way as a whole. */
static void mark_moved(const struct engine *e, const struct wave *w, bool *moved)
{
	const struct nodes *l = &w->fresh;
	size_t n_new = 0, n_old = 0, k = 0;
	struct content *new = NULL, *old = xcalloc(l->n, sizeof(*old));
	for (size_t i = 0; i < l->n; i++) {
		const struct head *h = shown_head(e, l->items[i]);
		moved[i] = is_claimed(slot_of(e, l->items[i]));
		if (h && !moved[i])
			old[n_old++] = (struct content){h->hash, i};
	}
	if (n_old) {
		qsort(old, n_old, sizeof(*old), by_hash);
		new = new_contents(e, w->seq, &n_new);
	}
	for (size_t i = 0; i < n_old && k < n_new; ) {
		int order = by_hash(&old[i], &new[k]);
		if (order == 0)
			moved[old[i].at] = true;
		i += order <= 0;
		k += order >= 0;
	}
	free(old);
	free(new);
	/* A folder has moved if it had something in it, and nothing that has not. */
	for (size_t i = 0; i < l->n; i++) {
		node_t up = tree_parent(e->tree, l->items[i]);
		const uint64_t *at = moved[i] ? nodemap_get(&e->going, up) : NULL;
		if (at && slot_of(e, up)->going == GOING_WAVE && wave_of(e, (rep_t)(*at >> 32)) == w)
			moved[*at & UINT32_MAX] = true;
	}
	for (size_t i = 0; i < l->n; i++) {
		node_t up = moved[i] ? NODE_NONE : tree_parent(e->tree, l->items[i]);
		for (; up != NODE_NONE; up = tree_parent(e->tree, up)) {
			const uint64_t *at = nodemap_get(&e->going, up);
			if (!at || slot_of(e, up)->going != GOING_WAVE || wave_of(e, (rep_t)(*at >> 32)) != w)
				break;
			moved[*at & UINT32_MAX] = false;
		}
	}
}

/* It goes: an event of ours if it is missing here, else an op. */
static void let_go(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	if (!s->missing) {
		enter(e, n, 0, GOING_ALLOWED);
		plan(e, n);
		return;
	}
	bool replaced = s->replaced;
	s->missing = s->replaced = false;
	leave(e, n);
	local_delete(e, n);
	if (replaced)
		queue_look(e, n, 0, true);
}

/* Something that is to appear here is still on its way: it may be the new name of what goes. */
static bool more_to_come(const struct engine *e)
{
	const struct wave *here = wave_of(e, 0);
	uint64_t going = e->n_going[GOING_WAVE] + e->n_going[GOING_HELD] + e->n_going[GOING_ALLOWED];
	return e->n_wants > going - here->fresh.n - here->held.n;
}

/* Returns whether anything came of it. */
static bool judge(struct engine *e, rep_t rep)
{
	struct wave *w = wave_of(e, rep);
	size_t n = w->fresh.n, counted = 0;
	bool late = e->mono_ms >= w->last_ms + RECENT_MS;
	if (!n || (rep && w->updates == e->updates && !(w->due_ms && late)))
		return false; /* or nothing is new since it was judged last */
	w->updates = e->updates;
	w->due_ms = 0;
	node_t *nodes = xmemdup(w->fresh.items, n * sizeof(*nodes));
	bool *moved = xcalloc(n, sizeof(*moved));
	/* Nothing goes on any more: what is to take the files elsewhere cannot do it now. */
	if (late && !e->n_type[JOB_APPLY] && !e->n_type[JOB_FETCH])
		for (size_t i = 0; i < n; i++)
			slot_of(e, nodes[i])->flags &= (uint16_t)~F_CLAIMED;
	mark_moved(e, w, moved);
	for (size_t i = 0; i < n; i++)
		counted += !moved[i];
	uint64_t total = w->counted + counted;
	bool hold = (counted > 1 && counted == showing(e)) ||
	            (counted && total >= HELD_LEAST && total * 2 > w->base);
	bool any = false;
	if (hold && rep && !late && more_to_come(e)) {
		w->due_ms = w->last_ms + RECENT_MS;
		free(nodes);
		free(moved);
		return false;
	}
	w->counted = total;
	if (hold && !w->held.n)
		w->since_ns = e->wall_ns;
	for (size_t i = 0; i < n; i++) {
		const struct slot *s = slot_of(e, nodes[i]);
		if (s->going == GOING_WAVE && is_claimed(s) && !late)
			w->due_ms = w->last_ms + RECENT_MS;
		if (s->going != GOING_WAVE || is_claimed(s))
			continue; /* what was let go before took it along; or the op does */
		any = true;
		if (hold && !moved[i])
			enter(e, nodes[i], rep, GOING_HELD);
		else
			let_go(e, nodes[i]);
	}
	free(nodes);
	free(moved);
	if (hold) {
		w->asked = w->held.n;
		emit(e, EVENT_HELD, NODE_ROOT, rep, "%zu deletions at once wait for a word", w->held.n);
	}
	return any;
}

bool held_judge_peers(struct engine *e)
{
	bool any = false;
	if (!e->n_going[GOING_WAVE])
		return false;
	for (size_t i = 1; i < e->n_reps; i++)
		any |= judge(e, (rep_t)i);
	return any;
}

bool held_pending(const struct engine *e)
{
	return wave_of(e, 0)->fresh.n != 0;
}

/* When what is missing here can be judged, if nothing else happens. */
static uint64_t judged_ms(const struct engine *e)
{
	const struct wave *w = wave_of(e, 0);
	uint64_t quiet = w->last_ms + QUIET_WAVE_MS;
	if (disk_rests(e))
		return quiet;
	uint64_t many = w->last_ms + (walking(e) ? CEILING_WALK_MS : CEILING_MANY_MS);
	return w->fresh.n < HELD_LEAST ? w->begun_ms + CEILING_FEW_MS : many;
}

uint64_t held_deadline(const struct engine *e)
{
	uint64_t due = UINT64_MAX;
	if (!e->n_going[GOING_WAVE] || e->halted)
		return due;
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct wave *w = wave_of(e, (rep_t)i);
		uint64_t at = i == 0 && w->fresh.n ? judged_ms(e) : UINT64_MAX;
		if (i && w->due_ms > e->mono_ms) /* when it has come, the next plan judges it */
			at = w->due_ms;
		due = at < due ? at : due;
	}
	return due;
}

void held_tick(struct engine *e)
{
	if (held_pending(e) && !e->halted && judged_ms(e) <= e->mono_ms)
		judge(e, 0);
}

/* ---- for people ---- */

/* Is the content of something missing here to be had from anybody, now or later? */
static bool can_return(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	const struct head *h = shown_head(e, n);
	if (!h || h->kind != KIND_FILE || !h->size || engine_find_content(e, h->hash) != NODE_NONE)
		return true;
	for (uint16_t i = 0; i < s->n_held; i++)
		if (e->reps[i + 1].member && s->held[i].kind == KIND_FILE &&
		    s->held[i].content == content_mark(h))
			return true;
	return false;
}

bool held_reason(const struct engine *e, node_t n, struct buf *out)
{
	const struct slot *s = slot_of(e, n);
	if (s->going != GOING_HELD)
		return false;
	rep_t rep = going_rep(e, n);
	if (rep)
		buf_addf(out, "deleted on %s", *e->reps[rep].name ? e->reps[rep].name : "a peer");
	else
		buf_addf(out, can_return(e, n) ? "deleted here" : "deleted here, and no other replica has it");
	buf_addf(out, ", held: %zu deletion%s at once wait for a word", wave_of(e, rep)->asked,
	         wave_of(e, rep)->asked == 1 ? "" : "s");
	return true;
}

static struct held_set set_of(const struct engine *e, rep_t rep, struct buf *path)
{
	const struct wave *w = wave_of(e, rep);
	struct held_set set = {.from = rep, .since_ns = w->since_ns, .n = w->held.n};
	uint64_t sum = 0;
	for (size_t i = 0; i < w->held.n; i++) {
		node_t n = w->held.items[i];
		const struct head *h = shown_head(e, n);
		set.bytes += h ? h->size : 0;
		uint64_t stamps[] = {state_stamp(have_of(e, n), e->ids), state_stamp(target_of(e, n), e->ids)};
		tree_path(e->tree, n, path);
		sum += hash64(path->data, path->len, hash64(stamps, sizeof(stamps), tree_seed(e->tree)));
	}
	uint64_t all[] = {sum, set.n, rep};
	set.id = hash64(all, sizeof(all), tree_seed(e->tree)) & INT64_MAX;
	return set;
}

size_t engine_held_sets(const struct engine *e, struct held_set *out, size_t cap)
{
	struct buf path = {0};
	size_t n = 0;
	for (size_t i = 0; i < e->n_reps && n < cap; i++)
		if (e->reps[i].wave.held.n)
			out[n++] = set_of(e, (rep_t)i, &path);
	buf_release(&path);
	return n;
}

static int by_path(const void *a, const void *b, void *tree)
{
	return tree_compare(tree, *(const node_t *)a, *(const node_t *)b);
}

size_t engine_held_nodes(const struct engine *e, rep_t rep, node_t **out)
{
	const struct nodes *l = &wave_of(e, rep)->held;
	*out = xmemdup(l->items, l->n * sizeof(**out));
	if (l->n)
		qsort_r(*out, l->n, sizeof(**out), by_path, e->tree);
	return l->n;
}

/* The file comes back from where it still is. */
static void bring_back(struct engine *e, node_t n)
{
	if (!can_return(e, n))
		return;
	gone_quietly(e, n);
	if (!slot_of(e, n)->want)
		want_force(e, n);
	plan(e, n);
}

bool held_failed(struct engine *e, node_t n)
{
	bool dir;
	const struct head *lacking = target_head(e, n, &dir);
	const uint64_t *origin = nodemap_get(&e->origin, n);
	if (!lacking)
		return false;
	if (!state_find(have_of(e, n), lacking->dot) && origin)
		n = (node_t)*origin; /* it was to come back as the copy beside a newer one */
	const struct state *have = have_of(e, n);
	const struct head *h = winner_content_of(e, n, have);
	if (slot_of(e, n)->kind != KIND_ABSENT || slot_of(e, n)->flags & F_JOB || !h ||
	    !state_find(have, lacking->dot))
		return false;
	struct update u = {.what = UPDATE_FACTS, .facts = {.kind = h->kind, .mode = have->mode.bits}};
	if (state_eq(target_of(e, n), have))
		u.what |= UPDATE_NO_WANT;
	slot_of(e, n)->missing = true;
	slot_update(e, n, &u);
	enter(e, n, 0, GOING_HELD);
	wave_of(e, 0)->asked = wave_of(e, 0)->held.n;
	for (uint16_t i = 0; i < have->n_heads; i++)
		copy_unneeded(e, n, have->heads[i].dot);
	return true;
}

/* The deletion of a peer is undone by a change of ours: what shows here, anew, for all. */
static void put_again(struct engine *e, node_t n)
{
	const struct state *have = have_of(e, n);
	const struct slot *s = slot_of(e, n);
	bool dir = s->kind == KIND_DIR;
	struct update u = {.what = UPDATE_HAVE | UPDATE_NO_WANT, .have = state_copy(target_of(e, n))};
	memset(u.have.gone, 0, HASH_SIZE);
	for (uint16_t i = 0; i < have->n_heads; i++) {
		struct head h = head_copy(&have->heads[i]);
		h.dot = next_dot(e, n);
		h.rank = rank_above(h.rank);
		state_add_head(&u.have, &h);
		head_release(&h);
	}
	if (!have->n_heads && dir) { /* it was there for what it holds alone */
		struct dot d = next_dot(e, n);
		state_add_head(&u.have, &(struct head){.dot = d, .rank = e->wall_ns, .mtime = e->wall_ns,
		                                       .kind = KIND_DIR});
	}
	if (u.have.n_heads) {
		u.seq = e->counter;
	} else {
		/* A new index found what others know to be deleted: now it is a change of somebody here. */
		u.what |= UPDATE_FACTS;
		u.facts = (struct disk_facts){.kind = KIND_ABSENT};
		queue_look(e, n, 0, true);
	}
	slot_update(e, n, &u);
	s = slot_of(e, n);
	if (u.seq && have_of(e, n)->mode.dot.counter && s->mode != have_of(e, n)->mode.bits) {
		/* They were changed before it was deleted. */
		want_force(e, n);
		slot_of(e, n)->want->meta = true;
	}
	plan(e, n);
}

int engine_held_decide(struct engine *e, uint64_t id, bool carry_out, size_t *left)
{
	struct buf path = {0};
	size_t rep = 0;
	while (rep < e->n_reps &&
	       (!wave_of(e, (rep_t)rep)->held.n || set_of(e, (rep_t)rep, &path).id != id))
		rep++;
	buf_release(&path);
	if (rep == e->n_reps)
		return -ESTALE;
	struct wave *w = wave_of(e, (rep_t)rep);
	size_t n = w->held.n;
	node_t *nodes = xmemdup(w->held.items, n * sizeof(*nodes));
	w->counted = 0; /* a person has spoken: what comes next is counted anew */
	for (size_t i = 0; i < n; i++) {
		if (slot_of(e, nodes[i])->going != GOING_HELD)
			continue; /* went along with another */
		if (carry_out)
			let_go(e, nodes[i]);
		else if (rep)
			put_again(e, nodes[i]);
		else
			bring_back(e, nodes[i]);
	}
	free(nodes);
	*left = w->held.n;
	w->asked = w->held.n;
	emit(e, EVENT_NOTE, NODE_ROOT, (rep_t)rep, carry_out ? "held deletions were confirmed: %zu"
	                                                     : "held deletions were refused: %zu",
	     n - *left);
	report_changed(e);
	return 0;
}
