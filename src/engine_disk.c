/*
 * Owns what is learnt from the disk: walks, looks, hints of the watch; and turns what somebody here
 * did into events of this replica. A listing alone proves nothing, since it may be older than what
 * was applied meanwhile: whatever differs is looked at, and a look that ran beside an op is repeated.
 */
#include "config.h"
#include "engine_internal.h"

#include "path.h"

#include <errno.h>
#include <stdlib.h>

static struct walk *walk_find(struct engine *e, uint32_t id)
{
	for (size_t i = 0; id && i < e->n_walks; i++)
		if (e->walks[i].id == id)
			return &e->walks[i];
	return NULL;
}

static void walk_add(struct engine *e, uint32_t id)
{
	struct walk *w = walk_find(e, id);
	if (w)
		w->outstanding++;
}

static void walk_sub(struct engine *e, uint32_t id)
{
	struct walk *w = walk_find(e, id);
	if (w)
		w->outstanding--;
}

static void walk_changed(struct engine *e, uint32_t id)
{
	struct walk *w = walk_find(e, id);
	if (w)
		w->changed++;
}

static bool is_first(struct engine *e, uint32_t walk)
{
	const struct walk *w = walk_find(e, walk);
	return w && w->first;
}

/* The look that is to come is of this walk as well: it goes on below, and waits for it. If another walk waits
 * there already, it is left to that. */
static void look_for_walk(struct engine *e, node_t n, uint32_t walk)
{
	if (!walk || MUTANT(ANY_FOLDER))
		return;
	if (nodemap_get(&e->walk_later, n)) {
		if (is_first(e, walk))
			found_unread(e, n, true);
		return;
	}
	walk_add(e, walk);
	nodemap_put(&e->walk_later, n, walk);
}

static void look_soon(struct engine *e, node_t n, uint32_t walk, bool fresh)
{
	struct slot *s = slot_of(e, n);
	if (s->flags & (F_LOOKING | F_JOB)) { /* what it saw might be older than what the job does */
		s->flags |= F_LOOK_AGAIN;
		look_for_walk(e, n, walk);
		return;
	}
	if (s->flags & F_LOOK_QUEUED) {
		look_for_walk(e, n, walk);
		return;
	}
	held_look(e);
	s->flags |= F_LOOK_QUEUED;
	walk_add(e, walk);
	queue_push(fresh ? &e->fresh_looks : &e->looks, n, walk);
}

void queue_look(struct engine *e, node_t n, uint32_t walk, bool fresh)
{
	slot_of(e, n)->read = true;
	look_soon(e, n, walk, fresh);
}

void queue_glance(struct engine *e, node_t n)
{
	look_soon(e, n, 0, true);
}

void queue_list(struct engine *e, node_t n, uint32_t walk)
{
	held_look(e);
	walk_add(e, walk);
	queue_push(&e->lists, n, walk);
}

static uint32_t walk_new(struct engine *e, node_t n)
{
	bool first = slot_of(e, n)->unread;
	GROW(e->walks, e->walks_cap, e->n_walks + 1);
	if (++e->next_walk == 0)
		e->next_walk = 1;
	e->walks[e->n_walks++] = (struct walk){.id = e->next_walk, .node = n, .first = first};
	return e->next_walk;
}

static uint32_t walk_node(struct engine *e, node_t n)
{
	uint32_t walk = walk_new(e, n);
	if (n == NODE_ROOT)
		queue_list(e, n, walk);
	else
		queue_look(e, n, walk, false);
	return walk;
}

/* A walk goes on in a folder that was just seen. */
static void walk_below(struct engine *e, node_t n, uint32_t walk)
{
	slot_of(e, n)->below = false;
	queue_list(e, n, walk);
}

uint64_t engine_walk(struct engine *e, struct bytes path)
{
	return walk_node(e, path.len ? add_node(e, path) : NODE_ROOT);
}

bool engine_walking(const struct engine *e, uint64_t walk, uint64_t *looked, uint64_t *changed)
{
	for (size_t i = 0; i < e->n_walks; i++) {
		if (e->walks[i].id != walk)
			continue;
		*looked = e->walks[i].looked;
		*changed = e->walks[i].changed;
		return true;
	}
	return false;
}

bool next_walked(struct engine *e)
{
	for (size_t i = 0; i < e->n_walks; i++) {
		/* What cannot be read now is read when the root is back; nobody waits for that. */
		if (e->halted && !e->walks[i].first) {
			if (!e->walks[i].error)
				e->walks[i].error = xstrdup(e->halted);
			e->walks[i].outstanding = 0;
		}
		struct walk w = e->walks[i];
		if (w.outstanding)
			continue;
		if (held_pending(e))
			continue;
		/* What it found is to be durable, and told to peers, before anybody hears the result. */
		if (!w.found)
			e->walks[i].found = w.found = e->changes;
		if (e->changes_stored < w.found && !e->store_retry_ms && !e->halted)
			continue;
		e->walks[i] = e->walks[--e->n_walks];
		if (w.first && e->index != INDEX_WALKED) {
			e->walked_changes = w.found;
			for (node_t n = 1; n < e->n_slots; n++)
				if (e->slots[n].want)
					plan(e, n); /* it waited for this: plan_now() */
		}
		buf_clear(&e->text);
		if (w.error)
			buf_add(&e->text, w.error, strlen(w.error) + 1);
		if (w.node == NODE_ROOT)
			emit(e, EVENT_SCANNED, NODE_ROOT, 0, "%llu looked at, %llu changed",
			     (unsigned long long)w.looked, (unsigned long long)w.changed);
		e->action = (struct action){.type = ACT_WALKED, .job = w.id, .looked = w.looked,
		                            .changed = w.changed,
		                            .text = w.error ? (const char *)e->text.data : NULL};
		free(w.error);
		report_changed(e);
		return true;
	}
	return false;
}

static bool being_listed(const struct engine *e, node_t n)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		if (e->jobs[i].type == JOB_LIST && e->jobs[i].nodes[0] == n)
			return true;
	return false;
}

/* The last that was queued, but no folder twice at once: what was seen last is to be told last. */
static bool list_to_do(struct engine *e, struct queue_item *out)
{
	struct queue *q = &e->lists;
	for (size_t i = q->n; i-- > 0; ) {
		if (being_listed(e, q->items[q->head + i].node))
			continue;
		*out = queue_take(q, i);
		return true;
	}
	return false;
}

bool next_list(struct engine *e)
{
	struct queue_item it;
	if (e->halted || e->n_type[JOB_LIST] >= LIST_JOBS_MAX || !list_to_do(e, &it))
		return false;
	struct job *j = job_new(e, JOB_LIST, 1);
	j->nodes[0] = it.node;
	j->walks = xcalloc(1, sizeof(*j->walks));
	j->walks[0] = it.walk;
	tree_path(e->tree, it.node, &e->scratch);
	e->action = (struct action){.type = ACT_LIST, .job = j->id,
	                            .path = {e->scratch.data, e->scratch.len}};
	return true;
}

static bool look_batch(struct engine *e, struct queue *q, bool fresh)
{
	if (!q->n)
		return false;
	size_t n = q->n < LOOK_BATCH_MAX ? q->n : LOOK_BATCH_MAX;
	struct job *j = job_new(e, JOB_LOOK, n);
	j->walks = xcalloc(n, sizeof(*j->walks));
	j->fresh = fresh;
	e->n_fresh += fresh;
	GROW(e->act_looks, e->act_looks_cap, n);
	size_t *at = xcalloc(n + 1, sizeof(*at));
	for (size_t i = 0; i < n; i++) {
		struct queue_item it = {0};
		queue_pop(q, &it);
		struct slot *s = slot_of(e, it.node);
		s->flags = (uint16_t)((s->flags & ~(F_LOOK_QUEUED | F_LOOK_AGAIN)) | F_LOOKING);
		j->nodes[i] = it.node;
		j->walks[i] = it.walk;
		at[i] = scratch_add_path(e, it.node);
	}
	at[n] = e->scratch.len;
	for (size_t i = 0; i < n; i++) {
		struct slot *s = slot_of(e, j->nodes[i]);
		e->act_looks[i] = (struct look){
			.path = {e->scratch.data + at[i], at[i + 1] - at[i]},
			.glance = !s->read && s->kind == KIND_FILE && shown_head(e, j->nodes[i]),
			.known_stamp = s->stamp, .known_ctime_ns = s->ctime_ns,
		};
		s->read = false;
	}
	free(at);
	j->asked_ns = e->wall_ns;
	e->action = (struct action){.type = ACT_LOOK, .job = j->id, .looks = e->act_looks, .n = n};
	return true;
}

bool next_look(struct engine *e)
{
	if (e->halted)
		return false;
	if (e->n_fresh < LOOK_FRESH_JOBS_MAX && look_batch(e, &e->fresh_looks, true))
		return true;
	return e->n_type[JOB_LOOK] - e->n_fresh < LOOK_JOBS_MAX && look_batch(e, &e->looks, false);
}

/* ---- what somebody here did ---- */

/* A new durable state of this replica; what was wanted beside it still is. */
static void local_update(struct engine *e, node_t n, struct state *have, uint64_t seq,
                         const struct disk_facts *facts)
{
	struct slot *s = slot_of(e, n);
	struct update u = {.what = UPDATE_HAVE, .have = *have, .seq = seq};
	if (facts) {
		u.what |= UPDATE_FACTS;
		u.facts = *facts;
	}
	if (s->want) {
		u.what |= UPDATE_WANT;
		u.want = state_copy(&s->want->target);
		state_merge(&u.want, have);
	}
	slot_update(e, n, &u);
	plan(e, n);
	plan_around(e, n);
}

const struct walk *first_walk(const struct engine *e)
{
	for (size_t i = 0; i < e->n_walks; i++)
		if (e->walks[i].first)
			return &e->walks[i];
	return NULL;
}

static void consume_later(struct engine *e, node_t n, struct dot d, bool if_gone)
{
	GROW(e->consumed, e->consumed_cap, e->n_consumed + 1);
	e->consumed[e->n_consumed++] = (struct consumed){n, d, if_gone};
}

void consume_rest(struct engine *e, node_t n)
{
	for (size_t i = 0; i < e->n_consumed; ) {
		struct consumed c = e->consumed[i];
		if (c.node != n) {
			i++;
			continue;
		}
		e->consumed[i] = e->consumed[--e->n_consumed];
		const struct head *h = state_find(target_of(e, n), c.dot), *shown = shown_head(e, n);
		if (h && !(c.if_gone && shown && head_same_content(shown, h)))
			consume_at(e, n, c.dot);
	}
}

void consume_at(struct engine *e, node_t n, struct dot d)
{
	const struct head *gone = n == NODE_NONE ? NULL : state_find(target_of(e, n), d);
	if (!gone)
		return;
	if (op_runs(e, n)) {
		consume_later(e, n, d, false);
		return;
	}
	struct dot own = named_after(e, n, d) ? (struct dot){.rep = 0, .counter = ++e->counter} : next_dot(e, n);
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, n))};
	const struct head *shown = shown_head(e, n);
	gone = state_find(&u.want, d);
	bool dir = gone->kind == KIND_DIR;
	if (shown && head_same_content(shown, gone) && !slot_of(e, n)->missing) {
		/* It has this name as well, and nobody took it away here: now by our word. */
		struct head h = head_copy(gone);
		h.dot = own;
		h.rank = rank_above(h.rank);
		h.found = false;
		state_remove_head(&u.want, d);
		state_add_head(&u.want, &h);
		head_release(&h);
	}
	state_remove_head(&u.want, d);
	version_add(&u.want.context, own);
	if (!u.want.n_heads && !dir)
		u.want.gone[HASH_SIZE - 1] = 1; /* no folder */
	slot_update(e, n, &u);
	if (slot_of(e, n)->want)
		slot_of(e, n)->want->derived = (struct dot){0}; /* what is known of it is a fact now */
	plan(e, n);
}

/*
 * What somebody changes or deletes under a name is the content that this disk showed there: of the heads
 * that this disk had, all of that content go that have no other place of their own here, at the name, at its
 * copies, and at the path that it is a copy of. A head that only a peer has told of stays.
 */
static void consume(struct engine *e, node_t n)
{
	const struct head *shown = shown_head(e, n);
	if (!shown)
		return;
	const uint64_t *origin = nodemap_get(&e->origin, n);
	node_t of = origin ? (node_t)*origin : NODE_NONE;
	struct head content = head_copy(shown);
	struct state have = state_copy(have_of(e, n));
	for (uint16_t i = 0; i < have.n_heads; i++)
		if (head_same_content(&have.heads[i], &content))
			consume_at(e, copy_node(e, n, have.heads[i].dot, false), have.heads[i].dot);
	struct state there = of == NODE_NONE ? (struct state){0} : state_copy(have_of(e, of));
	const struct head *kept = of == NODE_NONE ? NULL : shown_head(e, of);
	bool kept_same = kept && head_same_content(kept, &content);
	for (uint16_t i = 0; i < there.n_heads; i++) {
		struct dot d = there.heads[i].dot;
		node_t q = copy_node(e, of, d, false);
		bool copied = q != NODE_NONE && q != n && state_find(have_of(e, q), d);
		if (!head_same_content(&there.heads[i], &content))
			continue;
		if (state_find(&have, d) || !(kept_same || copied))
			consume_at(e, of, d);
		else if (!copied && op_runs(e, of)) /* which was to take it away, since there was this copy */
			consume_later(e, of, d, true);
	}
	state_release(&there);
	head_release(&content);
	state_release(&have);
}

/*
 * A change of this replica covers all its earlier ones at that path, since a context counts. Those that only
 * the target knows (a copy was consumed elsewhere, a head got another dot) are to be part of what it is made on.
 */
static bool own_pending_at(const struct engine *e, node_t n)
{
	const struct version *have = &have_of(e, n)->context, *target = &target_of(e, n)->context;
	uint64_t known = have->n && have->dots[0].rep == 0 ? have->dots[0].counter : 0;
	return target->n && target->dots[0].rep == 0 && target->dots[0].counter > known;
}

/*
 * What a change of n that is made now has seen there: all that the disk shows, and what earlier changes of this
 * replica have seen, up to the first event whose outcome is not here yet. Its heads are those of this replica
 * that only the target knows; what the disk showed is replaced.
 */
static struct state seen_at(const struct engine *e, node_t n)
{
	const struct state *old = have_of(e, n), *t = target_of(e, n);
	const struct head *shown = shown_head(e, n);
	struct state out = {.context = version_copy(&old->context), .mode = old->mode};
	if (!own_pending_at(e, n))
		return out;
	for (uint16_t i = 0; i < t->context.n; i++) {
		struct dot d = t->context.dots[i];
		for (uint16_t k = 0; k < t->n_heads; k++) {
			struct dot h = t->heads[k].dot;
			if (h.rep == d.rep && h.counter <= d.counter && !version_has(&old->context, h))
				d.counter = dot_eq(h, slot_of(e, n)->want->derived) ? 0 : h.counter - 1;
		}
		if (d.rep && d.counter)
			version_add(&out.context, d);
	}
	if (version_has(&out.context, t->mode.dot))
		out.mode = t->mode;
	for (uint16_t i = 0; i < t->n_heads && t->heads[i].dot.rep == 0; i++)
		if (!version_has(&old->context, t->heads[i].dot) &&
		    !named_after(e, n, t->heads[i].dot) && /* copy_evade() */
		    !(shown && head_same_content(shown, &t->heads[i])))
			state_add_head(&out, &t->heads[i]);
	return out;
}

static int64_t highest_rank(const struct state *s)
{
	int64_t rank = 0;
	for (uint16_t i = 0; i < s->n_heads; i++)
		if (s->heads[i].rank >= rank)
			rank = rank_above(s->heads[i].rank);
	return rank;
}

static struct disk_facts facts_of(const struct found *f)
{
	return (struct disk_facts){f->stamp, f->ctime_ns, f->mode, f->kind};
}

void local_delete(struct engine *e, node_t n)
{
	struct disk_facts gone = {.kind = KIND_ABSENT};
	slot_busy(e, n, false);
	problem_set(e, 0, n, NULL);
	if (!have_of(e, n)->n_heads) {
		struct update u = {.what = UPDATE_FACTS, .facts = gone};
		slot_update(e, n, &u);
		plan(e, n);
		plan_around(e, n);
		return;
	}
	struct shown before = shown_now(e, n);
	consume(e, n);
	struct dot d = next_dot(e, n), same[HEADS_MAX];
	int64_t rank = 0;
	size_t n_same = found_same(e, n, same, &rank);
	struct state have = seen_at(e, n);
	const struct head *shown = shown_head(e, n);
	if (shown && !have.n_heads)
		memcpy(have.gone, shown->hash, HASH_SIZE);
	version_add(&have.context, d);
	local_update(e, n, &have, d.counter, &gone);
	found_gone(e, n, same, n_same);
	struct slot *s = slot_of(e, n);
	if (!(s->flags & F_MOVED))
		emit_change(e, first_walk(e) ? EVENT_FOUND_GONE : EVENT_DELETED, n, 0, before,
		            (struct shown){0});
	s->flags &= (uint16_t)~F_MOVED;
}

static void local_put(struct engine *e, node_t n, const struct found *f)
{
	struct slot *s = slot_of(e, n);
	bool created = !have_of(e, n)->n_heads;
	struct shown before = shown_now(e, n);
	consume(e, n);
	struct dot d = next_dot(e, n), same[HEADS_MAX];
	struct state have = MUTANT(INDEX_COVERS) ? state_copy(target_of(e, n)) : seen_at(e, n);
	int64_t rank = highest_rank(have_of(e, n)), kept = highest_rank(&have);
	int64_t time = f->mtime_ns < e->wall_ns ? f->mtime_ns : e->wall_ns;
	rank = kept > rank ? kept : rank; /* what the disk shows has the name here */
	size_t n_same = found_same(e, n, same, &rank);
	struct head h = {.dot = d, .rank = time > rank ? time : rank, .mtime = f->mtime_ns,
	                 .kind = f->kind, .found = is_found(e, n)};
	if (f->kind != KIND_DIR) {
		h.size = f->size;
		memcpy(h.hash, f->hash, HASH_SIZE);
		h.target = f->target;
	}
	if (MUTANT(MTIME_WINS))
		h.rank = f->mtime_ns > 0 ? f->mtime_ns : 0;
	if (MUTANT(INDEX_COVERS))
		while (have.n_heads)
			state_remove_head(&have, have.heads[0].dot);
	const struct mode_reg *known = &have_of(e, n)->mode;
	if (f->kind != KIND_SYMLINK && (!known->dot.counter || known->bits != f->mode)) {
		int64_t least = rank_above(have.mode.rank);
		have.mode = (struct mode_reg){h.rank > least ? h.rank : least, d, f->mode};
	}
	state_add_head(&have, &h);
	struct disk_facts facts = facts_of(f);
	local_update(e, n, &have, d.counter, &facts);
	found_gone(e, n, same, n_same);
	s = slot_of(e, n);
	if (f->kind != KIND_SYMLINK && have_of(e, n)->mode.bits != f->mode && !s->want) {
		want_force(e, n); /* others have set them, and that was to be done here yet */
		plan(e, n);
	}
	if (h.found) {
		found_rests(e, n);
		held_loaded(e, n);
		s = slot_of(e, n);
	}
	if (s->flags & F_MOVED) {
		s->flags &= (uint16_t)~F_MOVED;
		return; /* told already */
	}
	/* What a new index finds is nobody's doing. */
	if (!first_walk(e))
		emit_change(e, created ? EVENT_CREATED : EVENT_CHANGED, n, 0, before, shown_now(e, n));
	else if (e->index == INDEX_WALKED)
		emit_change(e, created ? EVENT_FOUND_NEW : EVENT_FOUND_CHANGED, n, 0, before, shown_now(e, n));
}

static void local_chmod(struct engine *e, node_t n, const struct found *f)
{
	const struct state *old = have_of(e, n);
	int64_t time = f->ctime_ns < e->wall_ns ? f->ctime_ns : e->wall_ns;
	if (time <= target_of(e, n)->mode.rank)
		time = rank_above(target_of(e, n)->mode.rank);
	struct dot d = next_dot(e, n);
	struct disk_facts facts = facts_of(f);
	bool later = own_pending_at(e, n);
	struct state s = state_copy(later ? target_of(e, n) : old);
	version_add(&s.context, d);
	s.mode = (struct mode_reg){time, d, f->mode};
	if (later) {
		struct update u = {.what = UPDATE_WANT | UPDATE_FACTS, .want = s, .facts = facts};
		slot_update(e, n, &u);
		plan(e, n);
	} else {
		local_update(e, n, &s, d.counter, &facts);
	}
	emit(e, first_walk(e) ? EVENT_FOUND_CHANGED : EVENT_CHANGED, n, 0, "permissions %03o", f->mode);
}

/* Returns whether it was a change. */
static bool local_found(struct engine *e, node_t n, const struct found *f)
{
	struct slot *s = slot_of(e, n);
	slot_busy(e, n, false);
	if (!s->want && (f->kind != KIND_DIR || s->kind != KIND_DIR)) /* a folder must be listed as well */
		problem_set(e, 0, n, NULL);
	if (f->kind == KIND_ABSENT) {
		node_t parent = tree_parent(e->tree, n);
		if (slot_of(e, parent)->leftover)
			queue_list(e, parent, 0); /* it may have stayed for this */
		if (s->kind == KIND_ABSENT) {
			plan(e, n);
			return false;
		}
		return held_missing(e, n, false);
	}
	if ((s->kind == KIND_DIR && f->kind != KIND_DIR) ||
	    (f->kind == KIND_OTHER && s->kind != KIND_OTHER && s->kind != KIND_ABSENT))
		return held_missing(e, n, true);
	held_found(e, n);
	struct update u = {.what = UPDATE_FACTS, .facts = facts_of(f)};
	if (f->kind == KIND_OTHER) {
		if (s->kind == KIND_OTHER)
			return false;
		slot_update(e, n, &u);
		plan(e, n);
		return true;
	}
	const struct head *shown = shown_head(e, n);
	bool same = f->kind == KIND_DIR
	          ? s->kind == KIND_DIR /* one that stayed because it is not empty is none of ours */
	          : shown && shown->kind == f->kind && memcmp(shown->hash, f->hash, HASH_SIZE) == 0;
	if (same) {
		bool chmod = f->kind != KIND_SYMLINK && s->mode != f->mode &&
		             have_of(e, n)->mode.bits != f->mode;
		if (chmod)
			local_chmod(e, n, f);
		else
			slot_update(e, n, &u);
		plan(e, n);
		return chmod;
	}
	if (is_deleted_elsewhere(e, n, f)) {
		slot_update(e, n, &u);
		held_loaded(e, n);
		plan(e, n);
		return true;
	}
	if (s->kind != KIND_DIR && is_known_elsewhere(e, n, f)) {
		u.what |= UPDATE_HAVE | UPDATE_NO_WANT;
		u.have = state_copy(&s->want->target);
		slot_update(e, n, &u);
		const struct head *w = winner_of(e, n, have_of(e, n));
		const struct mode_reg *mode = &have_of(e, n)->mode;
		if ((f->kind == KIND_FILE && w && w->mtime != f->mtime_ns) ||
		    (f->kind != KIND_SYMLINK && mode->dot.counter && mode->bits != f->mode)) {
			want_force(e, n);
			slot_of(e, n)->want->meta = true;
			plan(e, n);
		}
		plan_around(e, n);
		return true;
	}
	local_put(e, n, f);
	return true;
}

/* ---- moves ---- */

static uint64_t move_value(size_t move, node_t from)
{
	return (uint64_t)move << 32 | from;
}

/* All folders of a moved tree are listed: now what was at the old name is seen to be gone. */
static void move_done_one(struct engine *e, size_t move)
{
	struct move *m = &e->moves[move];
	if (--m->outstanding)
		return;
	queue_look(e, m->from, 0, true);
	m->from = NODE_NONE;
	while (e->n_moves && e->moves[e->n_moves - 1].from == NODE_NONE)
		e->n_moves--;
}

/* If n is a folder of a moved tree: it is listed, or will not be. */
static void move_left(struct engine *e, node_t n)
{
	const uint64_t *move = nodemap_get(&e->moved_dir, n);
	if (!move)
		return;
	size_t index = (size_t)(*move >> 32);
	nodemap_remove(&e->moved_dir, n);
	move_done_one(e, index);
}

/* The object at a new name is the one that was at the old: its hash is known. Only of a name that never
 * was: another may have been changed by an op since it was listed. */
static bool known_by_move(struct engine *e, const uint64_t *move, node_t n, const struct listed *it,
                          struct found *out)
{
	if (!move || slot_of(e, n)->have || slot_of(e, n)->want)
		return false;
	node_t was = tree_child(e->tree, (node_t)(*move & UINT32_MAX), it->name);
	if (was == NODE_NONE || was == n)
		return false;
	const struct slot *s = slot_of(e, was);
	const struct head *h = shown_head(e, was);
	if (!h || s->kind != it->found.kind || s->stamp != it->found.stamp ||
	    s->ctime_ns != it->found.ctime_ns || s->flags & (F_RACY | F_LOOKING | F_LOOK_QUEUED | F_JOB))
		return false;
	*out = it->found;
	memcpy(out->hash, h->hash, HASH_SIZE);
	out->target = h->target; /* borrowed */
	out->size = h->size;
	return true;
}

void engine_moved(struct engine *e, node_t from_dir, struct bytes from, node_t to_dir, struct bytes to)
{
	node_t a = tree_child(e->tree, from_dir, from);
	tree_path(e->tree, to_dir, &e->text);
	buf_add(&e->text, "/", 1);
	buf_add(&e->text, to.p, to.len);
	size_t skip = to_dir == NODE_ROOT;
	if (path_check((struct bytes){e->text.data + skip, e->text.len - skip})) {
		engine_hint(e, from_dir, from, HINT_GONE);
		engine_hint(e, to_dir, to, HINT_CHANGED);
		return;
	}
	node_t b = add_child(e, to_dir, to);
	if (a == NODE_NONE || slot_of(e, a)->kind == KIND_ABSENT || slot_of(e, a)->flags & F_JOB) {
		engine_hint(e, to_dir, to, HINT_CHANGED);
		engine_hint(e, from_dir, from, HINT_GONE);
		return;
	}
	nodemap_remove(&e->busy_due, b);
	slot_of(e, a)->flags |= F_MOVED;
	slot_of(e, b)->flags |= F_MOVED;
	emit_moved(e, a, b);
	if (slot_of(e, a)->kind != KIND_DIR) {
		/* The new name first, so that peers find the content while it is still at the old one. */
		queue_look(e, b, 0, true);
		queue_look(e, a, 0, true);
		return;
	}
	slot_of(e, a)->below = true; /* if it is there again, nobody has watched it */
	GROW(e->moves, e->moves_cap, e->n_moves + 1);
	e->moves[e->n_moves] = (struct move){a, b, 1};
	const uint64_t *earlier = nodemap_get(&e->moved_dir, b);
	uint64_t over = earlier ? *earlier : 0;
	bool is_over = earlier != NULL; /* something else went there, and was not listed yet */
	nodemap_put(&e->moved_dir, b, move_value(e->n_moves, a));
	e->n_moves++;
	if (is_over)
		move_done_one(e, (size_t)(over >> 32));
	queue_look(e, b, 0, true);
}

/* ---- answers ---- */

static int by_node(const void *a, const void *b)
{
	node_t x = *(const node_t *)a, y = *(const node_t *)b;
	return x < y ? -1 : x > y;
}

const char *error_text(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM: return "no access";
	case ENOSPC: return "disk full";
	case EDQUOT: return "quota exceeded";
	case EROFS: return "read-only file system";
	case ENAMETOOLONG: return "name too long for this file system";
	case EXDEV: return "another file system is mounted here";
	case ENOTUNIQ: return "another spelling of the name is taken here";
	case EILSEQ:
	case EINVAL: return "name not possible on this file system";
	case ENOTEMPTY: return "folder holds files that are not synced";
	case EFBIG: return "file too large for this file system";
	case ETXTBSY: return "being written";
	case EMFILE:
	case ENFILE: return "too many open files";
	default: return strerrordesc_np(-error);
	}
}

/* Full path of a child as the tree would have it; false if it cannot be an entry. */
static bool child_possible(struct engine *e, node_t dir, struct bytes name)
{
	tree_path(e->tree, dir, &e->text);
	if (e->text.len)
		buf_add(&e->text, "/", 1);
	buf_add(&e->text, name.p, name.len);
	return path_check((struct bytes){e->text.data, e->text.len}) == PATH_OK;
}

/* It is as it was known: what went wrong when it was looked at before is over. */
static void known_still(struct engine *e, node_t n)
{
	held_found(e, n);
	slot_busy(e, n, false);
	nodemap_remove(&e->unreadable, n);
	if (!slot_of(e, n)->want)
		problem_set(e, 0, n, NULL);
}

static void item_listed(struct engine *e, node_t dir, const struct listed *it, uint32_t walk,
                        bool trusts, const uint64_t *move, node_t *out)
{
	node_t n = add_child(e, dir, it->name);
	*out = n;
	struct walk *w = walk_find(e, walk);
	if (w)
		w->looked++;
	struct slot *s = slot_of(e, n);
	const struct found *f = &it->found;
	struct found moved;
	if (s->flags & F_JOB) { /* which may end without a look at it */
		if (walk && f->kind == KIND_DIR)
			queue_look(e, n, walk, false); /* the job may know this folder by then, but not what is below */
		else if (s->kind != f->kind || s->stamp != f->stamp)
			queue_glance(e, n);
		return;
	}
	if (f->kind == KIND_DIR) {
		if (move && tree_child(e->tree, (node_t)(*move & UINT32_MAX), it->name) != NODE_NONE) {
			node_t was = tree_child(e->tree, (node_t)(*move & UINT32_MAX), it->name);
			size_t index = (size_t)(*move >> 32);
			if (!nodemap_get(&e->moved_dir, n)) {
				e->moves[index].outstanding++;
				nodemap_put(&e->moved_dir, n, move_value(index, was));
			}
		}
		if (s->kind != KIND_DIR || s->stamp != f->stamp || s->mode != f->mode || s->missing ||
		    (s->below && !walk))
			queue_look(e, n, walk, walk == 0);
		else if (walk)
			walk_below(e, n, walk);
		else if (nodemap_get(&e->moved_dir, n))
			queue_list(e, n, 0);
		return;
	}
	if (s->kind == f->kind && s->stamp == f->stamp && s->ctime_ns == f->ctime_ns && !s->missing &&
	    (s->mode == f->mode || f->kind != KIND_FILE) && (trusts || !(s->flags & F_RACY))) {
		if (!(s->flags & (F_LOOKING | F_LOOK_QUEUED | F_BUSY)))
			known_still(e, n);
		return;
	}
	if ((f->kind == KIND_OTHER || f->kind == KIND_MOUNT) && s->kind == KIND_OTHER)
		return;
	if (!(s->flags & (F_LOOKING | F_LOOK_QUEUED)) && known_by_move(e, move, n, it, &moved)) {
		slot_of(e, n)->flags |= F_MOVED;
		node_t was = tree_child(e->tree, (node_t)(*move & UINT32_MAX), it->name);
		slot_of(e, was)->flags |= F_MOVED;
		local_found(e, n, &moved);
		return;
	}
	queue_look(e, n, walk, walk == 0);
}

/* It could not be read: no conclusion is drawn, and it is tried again, less and less often, since
 * nobody may tell when it can be. */
static void unreadable(struct engine *e, node_t n, int error, uint32_t walk)
{
	if (is_first(e, walk))
		found_unread(e, n, true);
	const uint64_t *before = nodemap_get(&e->unreadable, n);
	uint64_t delay = before ? 2 * *before : REREAD_MIN_MS;
	if (delay > RETRY_MAX_MS)
		delay = RETRY_MAX_MS;
	nodemap_put(&e->unreadable, n, delay);
	slot_of(e, n)->below = slot_of(e, n)->kind == KIND_DIR;
	timer_add(e, e->mono_ms + delay, n, TIMER_REREAD);
	problem_set(e, 0, n, error_text(error));
}

void reread_timer(struct engine *e, node_t n)
{
	if (!nodemap_get(&e->unreadable, n))
		return; /* it could be read meanwhile */
	if (slot_of(e, n)->kind == KIND_DIR || n == NODE_ROOT || slot_of(e, n)->unread)
		walk_node(e, n);
	else
		queue_look(e, n, 0, false);
}

static void list_failed(struct engine *e, node_t dir, int error, uint32_t walk)
{
	struct walk *w = walk_find(e, walk);
	if (w && !w->error && dir == NODE_ROOT)
		w->error = xstrdup(error_text(error));
	if (dir != NODE_ROOT && (error == -ENOENT || error == -ENOTDIR || error == -ELOOP))
		queue_look(e, dir, walk, walk == 0);
	else if (error != -ECANCELED)
		unreadable(e, dir, error, walk);
}

/* Is there something to find out about a name that a listing lacks? */
static bool may_have_gone(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->kind != KIND_ABSENT ||
	       (e->reps[0].problems.n && !s->want && problem_get(e, 0, n)); /* of a look that failed */
}

void engine_listed(struct engine *e, uint64_t job, int error, const struct listed *items, size_t n,
                   bool unwatched)
{
	struct job *j = job_find(e, job, JOB_LIST);
	assert(j);
	node_t dir = j->nodes[0];
	uint32_t walk = j->walks[0];
	bool trusts = walk == WALK_TRUSTS;
	if (trusts)
		walk = 0;
	job_end(e, j);
	const uint64_t *at = nodemap_get(&e->moved_dir, dir);
	uint64_t move_copy = at ? *at : 0;
	const uint64_t *move = at ? &move_copy : NULL;
	if (e->halted) {
		struct walk *w = walk_find(e, walk);
		if (is_first(e, walk))
			queue_list(e, dir, walk); /* when the root is back */
		else if (w && !w->error)
			w->error = xstrdup(e->halted);
		goto out;
	}
	if (error) {
		list_failed(e, dir, error, walk);
		goto out;
	}
	struct slot *s = slot_of(e, dir);
	if (dir != NODE_ROOT && s->kind != KIND_DIR)
		goto out; /* gone again, or not yet looked at: the look lists it */
	if (s->unread && !is_first(e, walk)) {
		walk_node(e, dir); /* it can be read now */
		goto out;
	}
	found_unread(e, dir, false);
	if (!(s->flags & F_UNWATCHED) != !unwatched) {
		s->flags ^= F_UNWATCHED;
		e->unwatched += unwatched ? 1 : (uint64_t)-1;
		if (unwatched && e->unwatched == 1)
			e->unwatched_due_ms = e->mono_ms + UNWATCHED_MS;
	}
	nodemap_remove(&e->unreadable, dir);
	if (!s->want)
		problem_set(e, 0, dir, NULL);
	if (s->leftover && !n)
		slot_leftover(e, dir, false); /* nothing keeps it any more */
	node_t *there = xcalloc(n, sizeof(*there));
	size_t n_there = 0;
	uint64_t impossible = 0;
	for (size_t i = 0; i < n; i++) {
		if (!child_possible(e, dir, items[i].name)) {
			impossible++;
			continue;
		}
		item_listed(e, dir, &items[i], walk, trusts, move, &there[n_there++]);
	}
	if (impossible)
		problem_set(e, 0, dir, "holds names that cannot be synced: too long, too deep or reserved");
	qsort(there, n_there, sizeof(*there), by_node);
	for (node_t c = tree_first_child(e->tree, dir); c != NODE_NONE;
	     c = tree_next_sibling(e->tree, c))
		if (may_have_gone(e, c) && !bsearch(&c, there, n_there, sizeof(c), by_node))
			queue_look(e, c, walk, walk == 0);
	free(there);
out:
	move_left(e, dir);
	walk_sub(e, walk);
}

/* Looks again later: it changes while it is read. */
static void look_busy(struct engine *e, node_t n)
{
	uint64_t first = e->mono_ms;
	const uint64_t *at = nodemap_get(&e->busy, n);
	if (at)
		first = *at;
	else
		nodemap_put(&e->busy, n, first);
	uint64_t waited = e->mono_ms - first;
	uint64_t delay = waited < 500 ? 250 : waited < 20000 ? waited / 2 : 10000;
	nodemap_put(&e->busy_due, n, e->mono_ms + delay);
	timer_add(e, e->mono_ms + delay, n, TIMER_LOOK);
	slot_busy(e, n, true);
}

static void look_failed(struct engine *e, node_t n, int error, uint32_t walk)
{
	node_t parent = tree_parent(e->tree, n);
	if (MUTANT(ERROR_IS_GONE))
		local_found(e, n, &(struct found){.kind = KIND_ABSENT});
	else if (error == -EAGAIN) {
		look_busy(e, n);
	} else if ((error == -ENOENT || error == -ENOTDIR || error == -ELOOP) && parent != NODE_ROOT &&
	           parent != NODE_NONE) {
		const struct slot *p = slot_of(e, parent);
		struct found gone = {.kind = KIND_ABSENT};
		if (p->kind == KIND_DIR || p->flags & (F_JOB | F_LOOKING | F_LOOK_QUEUED))
			queue_look(e, parent, walk, walk == 0);
		else if (local_found(e, n, &gone)) /* it went while a job kept it from going along */
			walk_changed(e, walk);
	} else if (error != -ECANCELED) {
		slot_busy(e, n, false); /* that is what it is now */
		unreadable(e, n, error, walk);
	}
}

/* Was it read within the step of the clock in which it was last changed? Then that may happen once more. */
static bool read_at_once(const struct engine *e, const struct look *l, int64_t asked_ns)
{
	return l->found.kind == KIND_FILE && l->found.ctime_ns <= e->wall_ns &&
	       l->found.ctime_ns > asked_ns - GRANULE_NS;
}

static void looked_one(struct engine *e, node_t n, struct look *l, uint32_t walk, int64_t asked_ns)
{
	struct slot *s = slot_of(e, n);
	s->flags &= (uint16_t)~F_LOOKING;
	if (e->halted) {
		if (is_first(e, walk) || nodemap_get(&e->walk_later, n))
			queue_look(e, n, walk, false); /* when the root is back */
		move_left(e, n);
		plan(e, n); /* then, too, since it may have waited for this look */
		return;
	}
	if (s->flags & (F_JOB | F_LOOK_AGAIN) && !l->glance)
		s->read = true; /* as this one should have done */
	if (s->flags & F_JOB) {
		s->flags |= F_LOOK_AGAIN; /* the job's end looks */
		look_for_walk(e, n, walk);
		return;
	}
	if (s->flags & F_LOOK_AGAIN) {
		s->flags &= (uint16_t)~F_LOOK_AGAIN;
		look_soon(e, n, walk, walk == 0);
		return;
	}
	const uint64_t *origin = nodemap_get(&e->origin, n);
	if (origin)
		plan(e, (node_t)*origin); /* it may wait to know whether its copy is there */
	const uint64_t *waits = nodemap_get(&e->walk_later, n);
	uint32_t later = waits ? (uint32_t)*waits : 0;
	nodemap_remove(&e->walk_later, n);
	bool move = nodemap_get(&e->moved_dir, n) != NULL, listed = false;
	if (!l->error && l->found.kind == KIND_MOUNT) {
		if (s->kind == KIND_DIR)
			l->error = -EXDEV; /* what was there is hidden, not gone */
		l->found.kind = KIND_OTHER;
	}
	if (l->error) {
		look_failed(e, n, l->error, walk ? walk : later);
		plan(e, n);
	} else {
		nodemap_remove(&e->busy, n);
		bool was_dir = s->kind == KIND_DIR && !s->missing;
		if (s->want && s->want->sure == ASKED)
			s->want->sure = SURE; /* unless it is a change */
		bool was_read = !l->unchanged, again = s->want && s->want->again;
		const struct head *known = shown_head(e, n);
		if (l->unchanged && known && l->found.mode != s->mode) {
			/* Changed right after it was looked at, within one step of the clock. */
			memcpy(l->found.hash, known->hash, HASH_SIZE);
			l->unchanged = false;
		}
		if (l->unchanged) {
			known_still(e, n);
			plan(e, n);
		} else if (local_found(e, n, &l->found)) {
			walk_changed(e, walk ? walk : later);
		}
		if (was_read)
			slot_of(e, n)->doubt = !again && read_at_once(e, l, asked_ns);
		if (l->found.kind != KIND_DIR) {
			nodemap_remove(&e->unreadable, n);
			found_unread(e, n, false);
		} else {
			if (!walk && !later && was_dir && slot_of(e, n)->below)
				walk = walk_new(e, n);
			listed = walk || later || !was_dir || move;
			if (listed && (walk || !later))
				walk_below(e, n, walk);
			if (later && later != walk)
				walk_below(e, n, later);
		}
		slot_of(e, n)->below = false;
	}
	if (!listed)
		move_left(e, n); /* the moved folder has gone on, or is none any more */
	walk_sub(e, later);
}

void engine_looked(struct engine *e, uint64_t job, struct look *looks, size_t n)
{
	struct job *j = job_find(e, job, JOB_LOOK);
	assert(j && j->n == n);
	if (job == e->rehash_job)
		e->rehash_job = 0;
	node_t *nodes = j->nodes;
	uint32_t *walks = j->walks;
	int64_t asked_ns = j->asked_ns;
	j->nodes = NULL;
	j->walks = NULL;
	job_end(e, j);
	for (size_t i = 0; i < n; i++) {
		looked_one(e, nodes[i], &looks[i], walks[i], asked_ns);
		walk_sub(e, walks[i]);
		free(looks[i].found.target);
		looks[i].found.target = NULL;
	}
	free(nodes);
	free(walks);
	report_changed(e);
}

/* ---- hints ---- */

void disk_timer(struct engine *e, node_t n)
{
	const uint64_t *due = nodemap_get(&e->busy_due, n);
	if (!due)
		return;
	if (*due > e->mono_ms) {
		timer_add(e, *due, n, TIMER_LOOK);
		return;
	}
	nodemap_remove(&e->busy_due, n);
	queue_look(e, n, 0, true);
}

/* Looks at n when `due_ms` has come; a later call moves that. */
static void look_later(struct engine *e, node_t n, uint64_t due_ms)
{
	bool armed = nodemap_get(&e->busy_due, n) != NULL;
	nodemap_put(&e->busy_due, n, due_ms);
	if (!armed)
		timer_add(e, due_ms, n, TIMER_LOOK);
}

void read_again(struct engine *e, node_t n)
{
	int64_t age_ns = e->wall_ns - slot_of(e, n)->ctime_ns;
	slot_of(e, n)->want->again = age_ns < GRANULE_NS;
	if (age_ns < 0 || age_ns >= GRANULE_NS)
		queue_look(e, n, 0, true);
	else if (!nodemap_get(&e->busy_due, n)) /* else it is looked at when its writer rests */
		look_later(e, n, e->mono_ms + GRANULE_MS);
}

void engine_hint(struct engine *e, node_t dir, struct bytes name, enum hint what)
{
	if (what == HINT_LIST) {
		queue_list(e, dir, 0);
		return;
	}
	if (!child_possible(e, dir, name)) {
		bool ours = dir == NODE_ROOT && bytes_eq(name, bytes_of(PATH_RESERVED_NAME));
		if (!ours && (what == HINT_CREATED || what == HINT_TOUCHED || what == HINT_GONE))
			queue_list(e, dir, 0); /* which tells of names that cannot be carried */
		return;
	}
	node_t n = what == HINT_GONE ? tree_child(e->tree, dir, name) : add_child(e, dir, name);
	if (n == NODE_NONE)
		return;
	switch (what) {
	case HINT_WRITING: {
		const uint64_t *first = nodemap_get(&e->busy, n);
		uint64_t since = first ? *first : e->mono_ms;
		if (!first)
			nodemap_put(&e->busy, n, since);
		uint64_t due = e->mono_ms + QUIET_MS;
		look_later(e, n, due < since + CEILING_MS ? due : since + CEILING_MS);
		slot_busy(e, n, true);
		break;
	}
	case HINT_CREATED:
		if (!nodemap_get(&e->busy_due, n))
			look_later(e, n, e->mono_ms + CREATED_WAIT_MS);
		break;
	case HINT_CHANGED:
		nodemap_remove(&e->busy_due, n);
		nodemap_remove(&e->busy, n);
		queue_look(e, n, 0, true);
		break;
	case HINT_TOUCHED:
		if (!nodemap_get(&e->busy_due, n)) /* else it is looked at when its writer rests */
			queue_glance(e, n);
		break;
	case HINT_GONE:
		nodemap_remove(&e->busy_due, n);
		nodemap_remove(&e->busy, n);
		slot_of(e, n)->below = slot_of(e, n)->kind == KIND_DIR;
		queue_glance(e, n);
		break;
	case HINT_LIST:
		break;
	}
}

void engine_list_unwatched(struct engine *e)
{
	e->unwatched_due_ms = e->mono_ms + UNWATCHED_MS;
	for (node_t n = 0; e->unwatched && n < e->n_slots; n++)
		if (slot_of(e, n)->flags & F_UNWATCHED)
			queue_list(e, n, 0);
}

void engine_doubt(struct engine *e, struct bytes path)
{
	node_t n = tree_find(e->tree, path);
	if (n != NODE_NONE && n != NODE_ROOT)
		queue_look(e, n, 0, true);
}

void engine_halt(struct engine *e, const char *why)
{
	bool was = e->halted != NULL;
	free(e->halted);
	e->halted = why ? xstrdup(why) : NULL;
	report_changed(e);
	if (why)
		held_halt(e);
	if (why && !was)
		emit(e, EVENT_NOTE, NODE_ROOT, 0, "stopped: %s", why);
	if (!why && was) {
		emit(e, EVENT_NOTE, NODE_ROOT, 0, "the folder is back");
		for (node_t n = 1; n < e->n_slots; n++)
			if (e->slots[n].want)
				plan(e, n); /* it may have waited for a look that was not believed */
		engine_walk(e, (struct bytes){0});
	}
}
