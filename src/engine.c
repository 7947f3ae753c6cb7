/* Owns the life of the engine, its records, the change of a single path, and the order of actions. */
#include "config.h"
#include "engine_internal.h"

#include "codec.h"
#include "path.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *engine_event_text(enum engine_event ev)
{
	static const char *const text[] = {
#define X(id, t) t,
		ENGINE_EVENTS(X)
#undef X
	};
	assert(ev < ARRAY_LEN(text));
	return text[ev];
}

/* ---- queues ---- */

void queue_push(struct queue *q, node_t node, uint32_t walk)
{
	if (q->head + q->n == q->cap) {
		if (q->head > q->cap / 2) {
			memmove(q->items, q->items + q->head, q->n * sizeof(*q->items));
			q->head = 0;
		} else {
			GROW(q->items, q->cap, q->head + q->n + 1);
		}
	}
	q->items[q->head + q->n++] = (struct queue_item){node, walk};
}

bool queue_pop(struct queue *q, struct queue_item *out)
{
	if (!q->n)
		return false;
	*out = q->items[q->head++];
	if (--q->n == 0)
		q->head = 0;
	return true;
}

struct queue_item queue_take(struct queue *q, size_t i)
{
	struct queue_item *at = q->items + q->head + i, it = *at;
	memmove(at, at + 1, (--q->n - i) * sizeof(*at));
	return it;
}

void queue_release(struct queue *q)
{
	free(q->items);
	*q = (struct queue){0};
}

/* ---- nodes and slots ---- */

static void slots_grow(struct engine *e)
{
	size_t n = tree_count(e->tree);
	GROW(e->slots, e->slots_cap, n);
	memset(e->slots + e->n_slots, 0, (n - e->n_slots) * sizeof(*e->slots));
	e->n_slots = n;
}

node_t add_node(struct engine *e, struct bytes path)
{
	node_t n = tree_add(e->tree, path);
	if (tree_count(e->tree) > e->n_slots)
		slots_grow(e);
	return n;
}

node_t add_child(struct engine *e, node_t dir, struct bytes name)
{
	node_t n = tree_add_child(e->tree, dir, name);
	if (tree_count(e->tree) > e->n_slots)
		slots_grow(e);
	return n;
}

static const struct state empty_state;

const struct state *have_of(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->have ? s->have : &empty_state;
}

const struct state *target_of(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->want ? &s->want->target : have_of(e, n);
}

bool node_live(const struct engine *e, node_t n)
{
	return target_of(e, n)->n_heads || slot_of(e, n)->live;
}

unsigned names_of(const struct engine *e, node_t n, struct dot d)
{
	char rep[9];
	struct buf name = {0};
	struct bytes is = tree_name(e->tree, n);
	unsigned zeros = 0;
	bool same = false;
	if (!path_is_conflict_name(is))
		return 0;
	replica_text(e, d.rep, rep);
	for (; zeros <= CONFLICT_ZEROS_MAX && !same; zeros++) {
		buf_clear(&name);
		path_conflict_name(&name, is, rep, d.counter, zeros);
		same = bytes_eq(is, (struct bytes){name.data, name.len});
	}
	buf_release(&name);
	return same ? zeros : 0;
}

bool named_after(const struct engine *e, node_t n, struct dot d)
{
	return names_of(e, n, d) != 0;
}

const struct head *winner_content_of(const struct engine *e, node_t n, const struct state *s)
{
	if (s->n_heads > 1 && path_is_conflict_name(tree_name(e->tree, n)))
		for (uint16_t i = 0; i < s->n_heads; i++)
			if (s->heads[i].kind != KIND_DIR && named_after(e, n, s->heads[i].dot))
				return &s->heads[i];
	return state_winner_content(s, e->ids);
}

const struct head *winner_of(const struct engine *e, node_t n, const struct state *s)
{
	const struct head *w = state_winner(s, e->ids);
	return w && w->kind != KIND_DIR ? winner_content_of(e, n, s) : w;
}

const struct head *shown_head(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	if (!s->have || (s->kind != KIND_FILE && s->kind != KIND_SYMLINK))
		return NULL;
	const struct head *h = winner_content_of(e, n, s->have);
	return h && h->kind == s->kind ? h : NULL;
}

bool is_missing_head(const struct engine *e, node_t n, const struct head *h)
{
	const struct head *shown = slot_of(e, n)->missing ? shown_head(e, n) : NULL;
	return slot_of(e, n)->missing && (state_find(have_of(e, n), h->dot) ||
	                                  (shown && (h->dot.rep == 0 || shown->found) &&
	                                   head_same_content(h, shown)));
}

const struct head *target_head(const struct engine *e, node_t n, bool *dir)
{
	const struct head *h = winner_of(e, n, target_of(e, n));
	*dir = slot_of(e, n)->live || (h && h->kind == KIND_DIR);
	return h && *dir && h->kind != KIND_DIR ? NULL : h;
}

/* ---- contents by hash ---- */

static size_t content_bucket(const struct engine *e, const uint8_t *hash)
{
	uint64_t k;
	memcpy(&k, hash, sizeof(k));
	return (size_t)k & (e->content_cap - 1);
}

static void content_resize(struct engine *e)
{
	free(e->content_buckets);
	e->content_cap = e->content_cap ? e->content_cap * 2 : 1024;
	e->content_buckets = xmalloc(e->content_cap * sizeof(uint32_t));
	memset(e->content_buckets, 0xff, e->content_cap * sizeof(uint32_t));
	for (node_t n = 0; n < e->n_slots; n++) {
		if (!(e->slots[n].flags & F_IN_CONTENT))
			continue;
		size_t b = content_bucket(e, shown_head(e, n)->hash);
		e->slots[n].content_next = e->content_buckets[b];
		e->content_buckets[b] = n;
	}
}

static void content_add(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	const struct head *h = shown_head(e, n);
	if (!h || h->kind != KIND_FILE)
		return;
	if (e->content_n >= e->content_cap)
		content_resize(e);
	size_t b = content_bucket(e, h->hash);
	s->content_next = e->content_buckets[b];
	e->content_buckets[b] = n;
	s->flags |= F_IN_CONTENT;
	e->content_n++;
}

static void content_remove(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	if (!(s->flags & F_IN_CONTENT))
		return;
	uint32_t *at = &e->content_buckets[content_bucket(e, shown_head(e, n)->hash)];
	while (*at != n)
		at = &slot_of(e, *at)->content_next;
	*at = s->content_next;
	s->flags &= (uint16_t)~F_IN_CONTENT;
	e->content_n--;
}

/* Agreement of all replicas about one path, counted while nothing changes in between. */
static void agreement(struct engine *e, node_t n, int sign)
{
	const struct slot *s = slot_of(e, n);
	uint64_t stamp = s->have ? state_stamp(s->have, e->ids) : 0;
	uint64_t by = (uint64_t)(int64_t)sign;
	bool tomb = is_tombstone(e, n);
	if (stamp)
		e->n_have += by;
	if (tomb)
		e->n_tombs += by;
	for (uint16_t i = 0; i < s->n_held; i++) {
		struct replica *r = &e->reps[i + 1];
		if (!s->held[i].stamp)
			continue;
		if (stamp)
			r->n_both += by;
		if (tomb)
			r->n_tombs += by;
		if (s->held[i].stamp == stamp || (!stamp && s->held[i].kind == KIND_ABSENT))
			r->n_equal += by;
	}
}

uint32_t content_mark(const struct head *h)
{
	if (!h || h->kind == KIND_DIR)
		return 0;
	return (uint32_t)h->hash[0] << 24 | (uint32_t)h->hash[1] << 16 | (uint32_t)h->hash[2] << 8 |
	       h->hash[3];
}

bool in_conflict(const struct engine *e, node_t n)
{
	const struct state *t = target_of(e, n);
	bool dir;
	const struct head *w = target_head(e, n, &dir);
	for (uint16_t i = 0; i < t->n_heads; i++) {
		const struct head *h = &t->heads[i];
		if (dir ? h->kind != KIND_DIR : !head_same_content(h, w))
			return true;
	}
	return false;
}

static void count(struct engine *e, node_t n, int sign)
{
	const struct slot *s = slot_of(e, n);
	uint64_t by = (uint64_t)(int64_t)sign;
	if (in_conflict(e, n))
		e->n_conflicts += by;
	if (s->want) {
		bool dir;
		const struct head *h = target_head(e, n, &dir);
		e->n_wants += by;
		if (h)
			e->want_bytes += by * h->size;
	}
}

static bool is_ours(uint8_t kind)
{
	return kind == KIND_FILE || kind == KIND_DIR || kind == KIND_SYMLINK;
}

static void leftover_set(struct engine *e, struct slot *s, bool leftover)
{
	e->n_leftover += (uint64_t)leftover - (uint64_t)s->leftover;
	s->leftover = leftover;
}

static void begin(struct engine *e, node_t n)
{
	if (n != NODE_ROOT)
		rows_begin(e->rows, n);
	count(e, n, -1);
}

static void end(struct engine *e, node_t n)
{
	count(e, n, 1);
	if (n != NODE_ROOT)
		rows_end(e->rows, n);
}

/* A child of `dir` becomes live: so does the folder, before the child shows. */
static void live_add(struct engine *e, node_t dir)
{
	if (dir == NODE_NONE)
		return;
	if (!node_live(e, dir))
		live_add(e, tree_parent(e->tree, dir));
	if (slot_of(e, dir)->live) {
		slot_of(e, dir)->live++;
		return;
	}
	begin(e, dir);
	slot_of(e, dir)->live++;
	end(e, dir);
	if (slot_of(e, dir)->leftover) {
		/* It stayed with the permissions that it had, and is one of ours again. */
		leftover_set(e, slot_of(e, dir), false);
		if (!slot_of(e, dir)->want)
			want_force(e, dir);
	}
	plan(e, dir);
}

static size_t target_dots(const struct engine *e, node_t n, struct dot out[HEADS_MAX])
{
	const struct state *t = target_of(e, n);
	size_t k = 0;
	for (; k < t->n_heads && k < HEADS_MAX; k++)
		out[k] = t->heads[k].dot;
	return k;
}

static void live_sub(struct engine *e, node_t dir)
{
	struct dot heads[HEADS_MAX];
	if (dir == NODE_NONE)
		return;
	struct slot *s = slot_of(e, dir);
	assert(s->live);
	if (s->live > 1) {
		s->live--;
		return;
	}
	begin(e, dir);
	s->live--;
	end(e, dir);
	if (!node_live(e, dir))
		live_sub(e, tree_parent(e->tree, dir));
	size_t n_heads = target_dots(e, dir, heads);
	for (size_t i = 0; i < n_heads; i++)
		copy_unneeded(e, dir, heads[i]);
	plan(e, dir);
}

static void log_push(struct index_log *l, uint64_t seq, node_t n)
{
	assert(!l->n || l->items[l->n - 1].seq < seq); /* else who knows the other one is not told */
	GROW(l->items, l->cap, l->n + 1);
	l->items[l->n++] = (struct log_item){seq, n};
}

static bool log_valid(const struct engine *e, rep_t rep, const struct log_item *it)
{
	const struct slot *s = slot_of(e, it->node);
	if (rep == 0)
		return s->seq == it->seq;
	return s->n_held >= rep && s->held[rep - 1].seq == it->seq;
}

/* Drops the items of nodes that have moved on, once they are more than half. */
static void log_compact(struct engine *e, rep_t rep)
{
	struct index_log *l = &e->reps[rep].log;
	uint64_t valid = rep ? e->reps[rep].n_held : e->n_have;
	if (l->n < 2 * valid + 4096)
		return;
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (log_valid(e, rep, &l->items[i]))
			l->items[n++] = l->items[i];
	l->n = n;
}

/* A folder has gone: what could not be looked at in it is no problem any more. */
static void problems_gone(struct engine *e, node_t dir)
{
	const struct problems *p = &e->reps[0].problems;
	for (size_t i = p->n; i-- > 0; ) {
		node_t n = p->items[i].node;
		const struct slot *s = slot_of(e, n);
		if (tree_parent(e->tree, n) == dir && s->kind == KIND_ABSENT && !s->want)
			problem_set(e, 0, n, NULL);
	}
}

void slot_update(struct engine *e, node_t n, struct update *u)
{
	struct slot *s = slot_of(e, n);
	bool was_dir = s->kind == KIND_DIR;
	e->updates++;
	if ((u->what & UPDATE_WANT) &&
	    state_eq(&u->want, u->what & UPDATE_HAVE ? &u->have : have_of(e, n))) {
		state_release(&u->want);
		u->what ^= UPDATE_WANT | UPDATE_NO_WANT;
	}
	const struct state *after = u->what & UPDATE_WANT ? &u->want
	                          : s->want && !(u->what & UPDATE_NO_WANT) ? &s->want->target
	                          : u->what & UPDATE_HAVE ? &u->have : have_of(e, n);
	struct dot heads[HEADS_MAX];
	size_t n_heads = in_conflict(e, n) ? target_dots(e, n, heads) : 0;
	bool was = node_live(e, n);
	bool will = after->n_heads || s->live;
	if (will && !was)
		live_add(e, tree_parent(e->tree, n));
	begin(e, n);
	content_remove(e, n);
	struct want *dropped = NULL;
	if (u->what & UPDATE_HAVE) {
		agreement(e, n, -1);
		if (s->have)
			state_release(s->have);
		else
			s->have = xmalloc(sizeof(*s->have));
		*s->have = u->have;
		s->seq = u->seq ? u->seq : ++e->counter;
		agreement(e, n, 1);
	}
	if (u->what & UPDATE_WANT) {
		if (s->want) {
			state_release(&s->want->target);
		} else {
			s->want = xcalloc(1, sizeof(*s->want));
			s->want->source = s->want->taken = NODE_NONE;
		}
		s->want->target = u->want;
		s->want->tried = 0;
		s->want->tries = 0;
		s->want->no_local = false;
		s->want->sure = UNSURE;
		s->want->again = false;
		s->want->phase = PHASE_QUEUED;
	} else if (u->what & UPDATE_NO_WANT && s->want) {
		dropped = s->want;
		s->want = NULL;
	}
	if (u->what & UPDATE_FACTS) {
		e->n_shown += (uint64_t)is_ours(u->facts.kind) - (uint64_t)is_ours(s->kind);
		if (was_dir && u->facts.kind == KIND_DIR && u->facts.stamp != s->stamp && !MUTANT(ANY_FOLDER))
			s->below = true; /* another folder */
		s->kind = u->facts.kind;
		s->mode = u->facts.mode;
		s->stamp = u->facts.stamp;
		s->ctime_ns = u->facts.ctime_ns;
		s->flags &= (uint16_t)~F_RACY;
		if (s->kind == KIND_FILE && s->ctime_ns > e->wall_ns - RACY_NS)
			s->flags |= F_RACY;
		if (s->kind != KIND_FILE)
			s->doubt = false;
		if (s->kind != KIND_DIR) {
			leftover_set(e, s, false);
			e->unwatched -= (s->flags & F_UNWATCHED) != 0;
			s->flags &= (uint16_t)~F_UNWATCHED;
		}
	}
	if (will)
		leftover_set(e, s, false);
	content_add(e, n);
	end(e, n);
	if (was_dir && s->kind != KIND_DIR)
		problems_gone(e, n);
	if (was && !will)
		live_sub(e, tree_parent(e->tree, n));
	if (u->what & UPDATE_HAVE) {
		if (e->started) { /* else logs are built in order when everything is there */
			log_push(&e->reps[0].log, s->seq, n);
			log_compact(e, 0);
		}
		e->reps[0].seq = e->counter;
		report_changed(e);
	}
	if (u->what & (UPDATE_WANT | UPDATE_NO_WANT))
		report_changed(e);
	set_dirty(e, n);
	for (size_t i = 0; i < n_heads; i++)
		copy_unneeded(e, n, heads[i]);
	if (dropped) {
		state_release(&dropped->target);
		want_discard(e, dropped);
		free(dropped);
		if (!nodemap_get(&e->unreadable, n))
			problem_set(e, 0, n, NULL);
	}
	if (u->what & UPDATE_HAVE)
		s->told_again = false;
	if (s->kind == KIND_ABSENT && !e->loading) {
		if (!is_tombstone(e, n))
			s->ctime_ns = 0;
		else if (u->what & (UPDATE_HAVE | UPDATE_FACTS))
			s->ctime_ns = e->wall_ns;
	}
	if (u->what & UPDATE_FACTS && s->kind == KIND_ABSENT)
		release_taken(e);
	forget_news(e);
	held_follow(e, n);
}

void held_update(struct engine *e, rep_t rep, node_t n, const struct held *h)
{
	assert(rep && rep < e->n_reps);
	struct slot *s = slot_of(e, n);
	begin(e, n);
	agreement(e, n, -1);
	if (s->n_held < rep) {
		s->held = xrealloc(s->held, rep, sizeof(*s->held));
		memset(s->held + s->n_held, 0, (size_t)(rep - s->n_held) * sizeof(*s->held));
		s->n_held = (uint8_t)rep;
	}
	struct held *at = &s->held[rep - 1];
	e->reps[rep].n_held += (uint64_t)(h->stamp != 0) - (uint64_t)(at->stamp != 0);
	*at = *h;
	s->told_again = false;
	agreement(e, n, 1);
	end(e, n);
	struct index_log *l = &e->reps[rep].log;
	GROW(l->items, l->cap, l->n + 1);
	size_t i = l->n++;
	for (; i && l->items[i - 1].seq > h->seq; i--)
		l->items[i] = l->items[i - 1];
	l->items[i] = (struct log_item){h->seq, n};
	log_compact(e, rep);
	forget_news(e);
	set_dirty(e, n);
}

void slot_forget(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	begin(e, n);
	agreement(e, n, -1);
	for (uint16_t i = 0; i < s->n_held; i++)
		e->reps[i + 1].n_held -= s->held[i].stamp != 0;
	state_release(s->have);
	free(s->have);
	free(s->held);
	s->have = NULL;
	s->held = NULL;
	s->n_held = 0;
	s->seq = s->stamp = 0;
	s->ctime_ns = 0;
	s->mode = 0;
	s->flags &= (uint16_t)~(F_RACY | F_MOVED);
	end(e, n);
	nodemap_remove(&e->origin, n);
	e->updates++;
	set_dirty(e, n);
}

void slot_phase(struct engine *e, node_t n, enum phase phase)
{
	struct slot *s = slot_of(e, n);
	if (s->want->phase == phase)
		return;
	begin(e, n);
	s->want->phase = (uint8_t)phase;
	end(e, n);
}

void slot_busy(struct engine *e, node_t n, bool busy)
{
	struct slot *s = slot_of(e, n);
	if (!(s->flags & F_BUSY) == !busy)
		return;
	begin(e, n);
	s->flags ^= F_BUSY;
	end(e, n);
	report_changed(e);
}

void slot_leftover(struct engine *e, node_t n, bool leftover)
{
	begin(e, n);
	leftover_set(e, slot_of(e, n), leftover);
	end(e, n);
	plan(e, n);
}

void slot_going(struct engine *e, node_t n, enum going going)
{
	begin(e, n);
	slot_of(e, n)->going = (uint8_t)(going & (GOING_N - 1));
	end(e, n);
	report_changed(e);
}

void want_force(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	assert(!s->want);
	begin(e, n);
	s->want = xcalloc(1, sizeof(*s->want));
	s->want->source = s->want->taken = NODE_NONE;
	s->want->target = state_copy(have_of(e, n));
	end(e, n);
}

void member_set(struct engine *e, rep_t rep, bool member)
{
	if (e->reps[rep].member == member)
		return;
	e->reps[rep].member = member;
	e->reps[rep].noted = NOTED_NOT;
	for (node_t n = 1; n < e->n_slots; n++) {
		rows_begin(e->rows, n);
		rows_end(e->rows, n);
	}
}

struct dot next_dot(struct engine *e, node_t n)
{
	copy_evade(e, n);
	return (struct dot){.rep = 0, .counter = ++e->counter};
}

/* Unless it is as the index has it, since it comes from there. */
void set_dirty(struct engine *e, node_t n)
{
	struct slot *s = slot_of(e, n);
	if (s->flags & F_DIRTY || e->loading)
		return;
	s->flags |= F_DIRTY;
	queue_push(&e->dirty, n, 0);
	e->changes++;
}

uint64_t engine_changes(const struct engine *e)
{
	return e->changes;
}

uint64_t engine_changes_stored(const struct engine *e)
{
	return e->changes_stored;
}

void watermark_set(struct engine *e, struct watermark *w, uint64_t value, uint64_t life)
{
	if (value <= w->now)
		return;
	w->now = value;
	w->now_life = life;
	if (MUTANT(EARLY_WATERMARK)) {
		w->safe = value;
		w->safe_life = life;
	}
	if (w->pending_at)
		return;
	w->pending = value;
	w->pending_life = life;
	w->pending_at = e->changes; /* with nothing dirty it goes along with the next store */
}

static void watermark_stored(struct engine *e, struct watermark *w)
{
	if (!w->pending_at || e->changes_taken < w->pending_at)
		return;
	w->safe = w->pending;
	w->safe_life = w->pending_life;
	w->pending_at = 0;
	if (w->now > w->safe) {
		w->pending = w->now;
		w->pending_life = w->now_life;
		w->pending_at = e->changes;
	}
}

static void event_push(struct engine *e, const struct queued_event *ev)
{
	if (e->n_events >= EVENTS_QUEUED_MAX) {
		e->events_lost++;
		free(ev->text);
		return;
	}
	if (e->events_head + e->n_events == e->events_cap) {
		if (e->n_events)
			memmove(e->events, e->events + e->events_head,
			        e->n_events * sizeof(*e->events));
		e->events_head = 0;
		GROW(e->events, e->events_cap, e->n_events + 1);
	}
	e->events[e->events_head + e->n_events++] = *ev;
}

void emit(struct engine *e, enum engine_event ev, node_t n, rep_t rep, const char *fmt, ...)
{
	struct shown now = shown_now(e, n);
	struct queued_event q = {.event = ev, .node = n, .from = NODE_NONE, .rep = rep, .before = now,
	                         .after = now};
	if (fmt) {
		va_list ap;
		char text[512];
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		q.text = xstrdup(text);
	}
	event_push(e, &q);
}

struct shown shown_of(const struct head *h)
{
	struct shown s = {0};
	if (!h || h->kind == KIND_DIR)
		return s;
	s.any = true;
	s.size = h->size;
	memcpy(s.hash, h->hash, HASH_SIZE);
	return s;
}

struct shown shown_now(const struct engine *e, node_t n)
{
	return shown_of(shown_head(e, n));
}

void emit_change(struct engine *e, enum engine_event ev, node_t n, rep_t rep, struct shown before,
                 struct shown after)
{
	event_push(e, &(struct queued_event){.event = ev, .node = n, .from = NODE_NONE, .rep = rep,
	                                     .before = before, .after = after});
}

void emit_moved(struct engine *e, node_t from, node_t to)
{
	struct shown what = shown_now(e, from);
	event_push(e, &(struct queued_event){.event = EVENT_MOVED, .node = to, .from = from,
	                                     .before = what, .after = what});
}

/* ---- timers: a binary heap; what a stale timer finds it ignores ---- */

void timer_add(struct engine *e, uint64_t due_ms, node_t n, enum timer_what what)
{
	GROW(e->timers, e->timers_cap, e->n_timers + 1);
	size_t i = e->n_timers++;
	while (i && e->timers[(i - 1) / 2].due_ms > due_ms) {
		e->timers[i] = e->timers[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	e->timers[i] = (struct timer){due_ms, n, (uint8_t)what};
}

static struct timer timer_pop(struct engine *e)
{
	struct timer top = e->timers[0];
	struct timer last = e->timers[--e->n_timers];
	size_t i = 0;
	for (;;) {
		size_t c = 2 * i + 1;
		if (c >= e->n_timers)
			break;
		if (c + 1 < e->n_timers && e->timers[c + 1].due_ms < e->timers[c].due_ms)
			c++;
		if (e->timers[c].due_ms >= last.due_ms)
			break;
		e->timers[i] = e->timers[c];
		i = c;
	}
	if (e->n_timers)
		e->timers[i] = last;
	return top;
}

/* ---- problems ---- */

const char *problem_get(const struct engine *e, rep_t rep, node_t n)
{
	const struct problems *p = &e->reps[rep].problems;
	const uint64_t *at = nodemap_get(&p->at, n);
	return at ? p->items[*at].reason : NULL;
}

void problem_set(struct engine *e, rep_t rep, node_t n, const char *reason)
{
	struct problems *p = &e->reps[rep].problems;
	uint64_t *at = nodemap_get(&p->at, n);
	if (!at && !reason)
		return;
	if (at && reason && strcmp(p->items[*at].reason, reason) == 0)
		return;
	begin(e, n);
	if (at && reason) {
		free(p->items[*at].reason);
		p->items[*at].reason = xstrdup(reason);
	} else if (reason) {
		GROW(p->items, p->cap, p->n + 1);
		p->items[p->n] = (struct problem_item){.node = n, .reason = xstrdup(reason)};
		nodemap_put(&p->at, n, p->n++);
	} else {
		size_t i = *at;
		free(p->items[i].reason);
		nodemap_remove(&p->at, n);
		if (i != --p->n) {
			p->items[i] = p->items[p->n];
			nodemap_put(&p->at, p->items[i].node, i);
		}
	}
	end(e, n);
	/* What is gone here has a row because it is stuck elsewhere, and so have the folders above it. */
	for (node_t a = tree_parent(e->tree, n); n != NODE_ROOT && a != NODE_ROOT && !node_live(e, a);
	     a = tree_parent(e->tree, a)) {
		rows_begin(e->rows, a);
		rows_end(e->rows, a);
	}
	if (rep == 0) {
		if (reason)
			emit(e, EVENT_FAILED, n, 0, "%s", reason);
		report_changed(e);
	}
}

void problem_set_held(struct engine *e, rep_t rep, node_t n)
{
	struct problems *p = &e->reps[rep].problems;
	const uint64_t *at = nodemap_get(&p->at, n);
	assert(at);
	begin(e, n);
	p->items[*at].held = true;
	end(e, n);
}

bool problem_is_held(const struct engine *e, rep_t rep, node_t n)
{
	const struct problems *p = &e->reps[rep].problems;
	const uint64_t *at = nodemap_get(&p->at, n);
	return at && p->items[*at].held;
}

const char *root_problem(const struct engine *e, size_t i)
{
	const char *all[] = {e->halted, e->unstorable};
	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		if (all[k] && i-- == 0)
			return all[k];
	return NULL;
}

void problems_clear(struct engine *e, rep_t rep)
{
	struct problems *p = &e->reps[rep].problems;
	while (p->n)
		problem_set(e, rep, p->items[p->n - 1].node, NULL);
}

/* ---- jobs ---- */

struct job *job_new(struct engine *e, enum job_type type, size_t n)
{
	GROW(e->jobs, e->jobs_cap, e->n_jobs + 1);
	struct job *j = &e->jobs[e->n_jobs++];
	*j = (struct job){.id = ++e->next_job, .type = type, .n = n};
	j->nodes = xcalloc(n, sizeof(*j->nodes));
	e->n_type[type]++;
	return j;
}

struct job *job_find(struct engine *e, uint64_t id, enum job_type type)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		if (e->jobs[i].id == id && e->jobs[i].type == type)
			return &e->jobs[i];
	return NULL;
}

void job_end(struct engine *e, struct job *j)
{
	if (j->ops)
		for (size_t i = 0; i < j->n; i++)
			state_release(&j->ops[i].target);
	free(j->ops);
	free(j->walks);
	free(j->nodes);
	e->n_type[j->type]--;
	if (j->fresh)
		e->n_fresh--;
	*j = e->jobs[--e->n_jobs];
}

void replica_text(const struct engine *e, rep_t rep, char out[9])
{
	const uint8_t *b = e->ids[rep].b;
	snprintf(out, 9, "%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
}

size_t scratch_add_path(struct engine *e, node_t n)
{
	size_t at = e->scratch.len;
	tree_path(e->tree, n, &e->text);
	buf_add(&e->scratch, e->text.data, e->text.len);
	return at;
}

/* ---- life ---- */

int replica_number(struct engine *e, const struct replica_id *id, size_t places)
{
	for (size_t i = 0; i < e->n_reps; i++)
		if (replica_id_eq(&e->ids[i], id))
			return (int)i;
	if (e->n_reps >= places)
		return -24; /* EMFILE */
	e->ids[e->n_reps] = *id;
	e->reps[e->n_reps] = (struct replica){.name = xstrdup(""), .address = xstrdup(""), .peer = -1};
	return (int)e->n_reps++;
}

int engine_intern(struct engine *e, const struct replica_id *id)
{
	return replica_number(e, id, REPLICAS_MAX - PEERS_MAX);
}

struct engine *engine_new(const struct engine_config *config)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	e->tree = tree_new(config->hash_seed);
	e->rehash_at = (node_t)(config->hash_seed >> 32);
	e->rows = rows_new(e->tree, row_of, e);
	e->ids = xcalloc(REPLICAS_MAX, sizeof(*e->ids));
	e->reps = xcalloc(REPLICAS_MAX, sizeof(*e->reps));
	slots_grow(e);
	e->slots[NODE_ROOT].kind = KIND_DIR;
	e->counter = e->counter_stored = config->counter;
	e->life = (struct life){config->life, config->counter};
	e->name = xstrdup(config->name);
	replica_number(e, &config->id, REPLICAS_MAX);
	free(e->reps[0].name);
	e->reps[0].name = xstrdup(config->name);
	e->reps[0].member = e->reps[0].reachable = true;
	e->reps[0].seq = e->counter;
	e->changes = e->changes_taken = e->changes_stored = 1;
	e->forget_ms = UINT64_MAX;
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	rows_free(e->rows);
	for (size_t i = 0; i < e->n_slots; i++) {
		struct slot *s = &e->slots[i];
		if (s->have)
			state_release(s->have);
		free(s->have);
		if (s->want) {
			state_release(&s->want->target);
			free(s->want->data);
			free(s->want);
		}
		free(s->held);
	}
	held_release(e);
	for (size_t i = 0; i < e->n_reps; i++) {
		struct replica *r = &e->reps[i];
		for (size_t k = 0; k < r->problems.n; k++)
			free(r->problems.items[k].reason);
		free(r->problems.items);
		nodemap_release(&r->problems.at);
		free(r->log.items);
		free(r->name);
		free(r->address);
		free(r->links);
	}
	for (size_t i = 0; i < PEERS_MAX; i++) {
		free(e->peers[i].relayed_to);
		free(e->peers[i].reports_sent);
		free(e->peers[i].drop_reason);
	}
	while (e->n_jobs)
		job_end(e, &e->jobs[0]);
	for (size_t i = 0; i < e->n_walks; i++)
		free(e->walks[i].error);
	for (size_t i = 0; i < e->n_events; i++)
		free(e->events[e->events_head + i].text);
	plan_release(e);
	free(e->event.text);
	struct queue *queues[] = {&e->lists, &e->looks, &e->fresh_looks, &e->plans, &e->fetches,
	                          &e->removals, &e->deferred, &e->dirty, &e->same_content,
	                          &e->no_holder, &e->unstored, &e->taken};
	for (size_t i = 0; i < ARRAY_LEN(queues); i++)
		queue_release(queues[i]);
	struct nodemap *maps[] = {&e->busy, &e->busy_due, &e->unreadable, &e->walk_later, &e->origin,
	                          &e->reopened, &e->moved_dir};
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		nodemap_release(maps[i]);
	struct buf *bufs[] = {&e->scratch, &e->text, &e->rep_text};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_release(bufs[i]);
	void *arrays[] = {e->slots, e->content_buckets, e->ids, e->reps, e->timers, e->moves,
	                  e->jobs, e->walks, e->events, e->drop_tmps, e->cancels, e->act_looks,
	                  e->act_index, e->act_nodes, e->rep_problems, e->rep_links,
	                  e->halted, e->unstorable, e->name, e->lives, e->consumed};
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
		free(arrays[i]);
	tree_free(e->tree);
	free(e);
}

void engine_entries_max(struct engine *e, uint64_t n)
{
	e->entries_max = n;
}

void engine_id_is_new(struct engine *e, uint64_t until_ms)
{
	e->id_new_until_ms = until_ms;
}

void engine_time(struct engine *e, int64_t wall_ns, uint64_t mono_ms)
{
	e->wall_ns = wall_ns;
	e->mono_ms = mono_ms;
}

uint64_t engine_deadline(const struct engine *e)
{
	uint64_t due = UINT64_MAX;
	if (e->n_timers)
		due = e->timers[0].due_ms;
	if (e->burst_until_ms && (e->deferred.n || e->removals.n || e->n_going[GOING_WAVE]) &&
	    e->burst_until_ms < due)
		due = e->burst_until_ms;
	if (held_deadline(e) < due)
		due = held_deadline(e);
	if (e->report_dirty && e->report_due_ms < due)
		due = e->report_due_ms;
	if (e->unwatched && e->unwatched_due_ms < due)
		due = e->unwatched_due_ms;
	if (e->store_retry_ms && e->store_retry_ms < due)
		due = e->store_retry_ms;
	if (rehash_due(e) < due)
		due = rehash_due(e);
	if (forget_deadline(e) < due)
		due = forget_deadline(e);
	return due;
}

void engine_tick(struct engine *e)
{
	while (e->n_timers && e->timers[0].due_ms <= e->mono_ms) {
		struct timer t = timer_pop(e);
		if (t.what == TIMER_LOOK) {
			disk_timer(e, t.node);
		} else if (t.what == TIMER_REREAD) {
			reread_timer(e, t.node);
		} else {
			struct want *w = slot_of(e, t.node)->want;
			if (w && w->phase == PHASE_RETRY && w->retry_ms <= e->mono_ms)
				plan(e, t.node);
		}
	}
	if (e->burst_until_ms && e->burst_until_ms <= e->mono_ms)
		release_deferred(e);
	held_tick(e);
	if (e->unwatched && e->unwatched_due_ms <= e->mono_ms)
		engine_list_unwatched(e);
	if (e->store_retry_ms && e->store_retry_ms <= e->mono_ms)
		e->store_retry_ms = 0;
	forget_tick(e);
}

/* ---- records ---- */

#define RECORD_VERSION 1
#define RECORD_FLAGS F_RACY
#define RECORD_FLAGS_MAX (F_RACY | 1 << 1) /* the other one is of an earlier version */
#define RECORD_FIELDS 12
#define RECORD_FIELDS_WANT (RECORD_FIELDS + 4 + 2)

bool engine_recorded(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->have || s->want || s->n_held || s->kind != KIND_ABSENT;
}

void engine_record(const struct engine *e, node_t n, struct buf *out)
{
	const struct slot *s = slot_of(e, n);
	wire_array(out, s->want ? RECORD_FIELDS_WANT : RECORD_FIELDS);
	wire_uint(out, RECORD_VERSION);
	wire_uint(out, s->seq);
	wire_uint(out, s->kind);
	wire_uint(out, s->mode);
	wire_uint(out, s->stamp);
	wire_int(out, s->ctime_ns);
	wire_uint(out, s->flags & RECORD_FLAGS);
	uint16_t n_held = 0;
	for (uint16_t i = 0; i < s->n_held; i++)
		n_held = (uint16_t)(n_held + (s->held[i].seq != 0));
	wire_array(out, n_held);
	for (uint16_t i = 0; i < s->n_held; i++) {
		const struct held *h = &s->held[i];
		if (!h->seq)
			continue;
		wire_array(out, 5);
		wire_uint(out, i + 1u);
		wire_uint(out, h->seq);
		wire_uint(out, h->stamp);
		wire_uint(out, h->content);
		wire_uint(out, h->kind);
	}
	codec_pack_state(out, have_of(e, n), NULL);
	if (!s->want)
		return;
	codec_pack_state(out, &s->want->target, NULL);
	wire_uint(out, s->want->derived.rep);
	wire_uint(out, s->want->derived.counter);
}

static int load_held(struct engine *e, struct slot *s, const msgpack_object *held)
{
	for (size_t i = 0; i < wire_count(held); i++) {
		const msgpack_object *o = wire_at(held, i);
		uint64_t rep, seq, stamp, content, kind;
		if (!wire_as_uint(wire_at(o, 0), e->n_reps - 1, &rep) || !rep ||
		    !wire_as_uint(wire_at(o, 1), COUNTER_MAX, &seq) || !seq ||
		    !wire_as_uint(wire_at(o, 2), UINT64_MAX, &stamp) ||
		    !wire_as_uint(wire_at(o, 3), UINT32_MAX, &content) ||
		    !wire_as_uint(wire_at(o, 4), KIND_SYMLINK, &kind))
			return -71; /* EPROTO */
		if (s->n_held < rep) {
			s->held = xrealloc(s->held, rep, sizeof(*s->held));
			memset(s->held + s->n_held, 0, (rep - s->n_held) * sizeof(*s->held));
			s->n_held = (uint8_t)rep;
		}
		s->held[rep - 1] = (struct held){seq, stamp, (uint32_t)content, (uint8_t)kind};
		e->reps[rep].n_held += stamp != 0;
	}
	return 0;
}

/* Reads four values of a state, from element `at` of the record. */
static int load_state(const struct engine *e, const msgpack_object *o, size_t at, struct state *out)
{
	return codec_unpack_state(wire_at(o, at), NULL, e->n_reps, out);
}

int engine_load(struct engine *e, struct bytes path, struct bytes record)
{
	assert(!e->started);
	int r = -71;
	msgpack_zone zone;
	msgpack_object o;
	struct state have = {0}, want = {0};
	msgpack_zone_init(&zone, 1024);
	uint64_t version, seq, kind, mode, stamp, flags, derived_rep = 0, derived = 0;
	int64_t ctime;
	if (path_check(path) || wire_unpack(record, &zone, &o))
		goto out;
	size_t n_fields = wire_count(&o);
	if ((n_fields != RECORD_FIELDS && n_fields != RECORD_FIELDS_WANT) ||
	    !wire_as_uint(wire_at(&o, 0), RECORD_VERSION, &version) || version != RECORD_VERSION ||
	    !wire_as_uint(wire_at(&o, 1), e->counter, &seq) ||
	    !wire_as_uint(wire_at(&o, 2), KIND_OTHER, &kind) ||
	    !wire_as_uint(wire_at(&o, 3), MODE_BITS, &mode) ||
	    !wire_as_uint(wire_at(&o, 4), UINT64_MAX, &stamp) || !wire_as_int(wire_at(&o, 5), &ctime) ||
	    !wire_as_uint(wire_at(&o, 6), RECORD_FLAGS_MAX, &flags) || load_state(e, &o, 8, &have) ||
	    (n_fields == RECORD_FIELDS_WANT &&
	     (load_state(e, &o, RECORD_FIELDS, &want) ||
	      !wire_as_uint(wire_at(&o, RECORD_FIELDS + 4), e->n_reps - 1, &derived_rep) ||
	      !wire_as_uint(wire_at(&o, RECORD_FIELDS + 5), COUNTER_MAX, &derived))))
		goto out;
	node_t n = add_node(e, path);
	struct slot *s = slot_of(e, n);
	if (s->have || s->want || s->n_held)
		goto out; /* twice */
	if (load_held(e, s, wire_at(&o, 7)))
		goto out;
	agreement(e, n, 1);
	struct update u = {.what = UPDATE_FACTS,
	                   .facts = {stamp, ctime, (uint16_t)mode, (uint8_t)kind}};
	if (!state_empty(&have)) {
		u.what |= UPDATE_HAVE;
		u.have = have;
		u.seq = seq ? seq : 1;
		have = (struct state){0};
	}
	if (!state_empty(&want)) {
		u.what |= UPDATE_WANT;
		u.want = want;
		want = (struct state){0};
	}
	e->loading = true;
	slot_update(e, n, &u);
	e->loading = false;
	s = slot_of(e, n);
	s->flags = (uint16_t)((s->flags & (uint16_t)~RECORD_FLAGS) | (flags & RECORD_FLAGS));
	s->doubt = (s->flags & F_RACY) != 0;
	if (n_fields == RECORD_FIELDS_WANT && !s->want)
		want_force(e, n); /* only the disk differed */
	if (s->want)
		s->want->derived = (struct dot){derived, (rep_t)derived_rep};
	r = 0;
out:
	state_release(&have);
	state_release(&want);
	msgpack_zone_destroy(&zone);
	return r;
}

/*
 * The record of an op: [version, the four values of the state that the path has when the op is done, ids
 * of the replicas in it, stamp of the file that it moves away or 0, our counter when it was asked for]. The
 * last one is not in version 1.
 */
#define APPLIED_VERSION 2
#define APPLIED_FIELDS 8
#define APPLIED_FIELDS_1 7

void applied_record(const struct engine *e, const struct state *target, uint64_t from_stamp, struct buf *out)
{
	struct codec_ids ids;
	codec_ids_init(&ids, e->ids);
	wire_array(out, APPLIED_FIELDS);
	wire_uint(out, APPLIED_VERSION);
	codec_pack_state(out, target, &ids);
	codec_pack_ids(out, &ids);
	wire_uint(out, from_stamp);
	wire_uint(out, e->counter);
	codec_ids_release(&ids);
}

static int applied_unpack(struct engine *e, const msgpack_object *o, struct state *target, uint64_t *from_stamp,
                          uint64_t *asked)
{
	struct replica_id ids[REPLICAS_MAX];
	rep_t reps[REPLICAS_MAX];
	uint64_t version;
	*asked = 0;
	if (!wire_as_uint(wire_at(o, 0), APPLIED_VERSION, &version) || !version ||
	    wire_count(o) != (version == 1 ? APPLIED_FIELDS_1 : APPLIED_FIELDS) ||
	    !wire_as_uint(wire_at(o, 6), UINT64_MAX, from_stamp) ||
	    (version > 1 && !wire_as_uint(wire_at(o, 7), COUNTER_MAX, asked)))
		return -71;
	int n = codec_unpack_ids(wire_at(o, 5), ids);
	if (n < 0)
		return -71;
	for (int i = 0; i < n; i++) {
		int rep = engine_intern(e, &ids[i]);
		if (rep < 0)
			return -71;
		reps[i] = (rep_t)rep;
	}
	return codec_unpack_state(wire_at(o, 1), reps, (size_t)n, target);
}

int engine_load_applied(struct engine *e, struct bytes path, struct bytes from, struct bytes record,
                        const struct found *found)
{
	assert(!e->started);
	int r = -71;
	msgpack_zone zone;
	msgpack_object o;
	struct state target = {0};
	uint64_t from_stamp = 0, asked = 0;
	if (MUTANT(APPLIED_IGNORED))
		return 0;
	msgpack_zone_init(&zone, 1024);
	if (path_check(path) || (from.len && path_check(from)) || wire_unpack(record, &zone, &o) ||
	    applied_unpack(e, &o, &target, &from_stamp, &asked))
		goto out;
	r = 0;
	if (asked > e->asked_at)
		e->asked_at = asked;
	if (asked < forgotten_at(e))
		goto out; /* stored long ago; and the path may be forgotten, which nothing else would tell */
	node_t n = add_node(e, path), away = from.len ? tree_find(e->tree, from) : NODE_NONE;
	if (!version_covers(&have_of(e, n)->context, &target.context)) {
		struct update u = {.what = UPDATE_HAVE | UPDATE_WANT | UPDATE_FACTS,
		                   .have = state_copy(have_of(e, n)), .want = state_copy(target_of(e, n)),
		                   .facts = {found->stamp, found->ctime_ns, found->mode, found->kind}};
		state_merge(&u.have, &target);
		state_merge(&u.want, &target);
		if (u.have.context.n && u.have.context.dots[0].rep == 0 &&
		    u.have.context.dots[0].counter > e->counter)
			e->counter = u.have.context.dots[0].counter;
		slot_update(e, n, &u);
	} else if (state_eq(have_of(e, n), &target) && slot_of(e, n)->kind != found->kind) {
		/* A folder that is there for its children has no state of its own. */
		struct update u = {.what = UPDATE_FACTS,
		                   .facts = {found->stamp, found->ctime_ns, found->mode, found->kind}};
		slot_update(e, n, &u);
	}
	if (away != NODE_NONE && slot_of(e, away)->stamp == from_stamp) {
		struct update gone = {.what = UPDATE_FACTS, .facts = {.kind = KIND_ABSENT}};
		slot_update(e, away, &gone);
		/* It went because something said so that is not stored. If that is not heard again, it comes back. */
		if (!slot_of(e, away)->want && have_of(e, away)->n_heads)
			want_force(e, away);
	}
out:
	state_release(&target);
	msgpack_zone_destroy(&zone);
	return r;
}

static struct watermark watermark_loaded(uint64_t value, uint64_t life)
{
	return (struct watermark){.now = value, .safe = value, .now_life = life, .safe_life = life};
}

int engine_load_replica(struct engine *e, rep_t num, const struct seen *seen, const char *name)
{
	assert(!e->started);
	if (num == 0) {
		e->reps[0].known = watermark_loaded(seen->known, 0);
		return replica_id_eq(&seen->id, &e->ids[0]) && seen->known <= e->counter ? 0 : -71;
	}
	if (num != e->n_reps || replica_number(e, &seen->id, REPLICAS_MAX) != num)
		return -71;
	struct replica *r = &e->reps[num];
	free(r->name);
	r->name = xstrdup(name);
	r->merged = watermark_loaded(seen->merged, seen->merged_life);
	r->known = watermark_loaded(seen->known, seen->known_life);
	r->member = *name; /* it was connected, or reported */
	r->noted = r->member ? NOTED : NOTED_NOT;
	return 0;
}

/* ---- lives ---- */

int engine_load_lives(struct engine *e, struct bytes record)
{
	assert(!e->started && !e->n_lives);
	int r = -71;
	msgpack_zone zone;
	msgpack_object o;
	msgpack_zone_init(&zone, 1024);
	size_t n = wire_unpack(record, &zone, &o) ? LIVES_MAX + 1 : wire_count(&o);
	if (n > LIVES_MAX)
		goto out;
	GROW(e->lives, e->lives_cap, n);
	for (size_t i = 0; i < n; i++) {
		struct life *l = &e->lives[i];
		const msgpack_object *pair = wire_at(&o, i);
		if (!wire_as_uint(wire_at(pair, 0), UINT64_MAX, &l->id) || !l->id ||
		    !wire_as_uint(wire_at(pair, 1), COUNTER_MAX, &l->after) || l->after >= e->counter ||
		    (i && l->after <= l[-1].after))
			goto out;
	}
	e->n_lives = n;
	r = 0;
out:
	msgpack_zone_destroy(&zone);
	return r;
}

/* This life has given out a number, perhaps: then it is one of those that are known. */
static void life_used(struct engine *e)
{
	if (e->counter <= e->life.after || (e->n_lives && e->lives[e->n_lives - 1].id == e->life.id))
		return;
	if (e->n_lives == LIVES_MAX)
		memmove(e->lives, e->lives + 1, --e->n_lives * sizeof(*e->lives));
	GROW(e->lives, e->lives_cap, e->n_lives + 1);
	e->lives[e->n_lives++] = e->life;
}

void engine_lives(const struct engine *e, struct buf *out, uint64_t *newest)
{
	wire_array(out, e->n_lives);
	for (size_t i = 0; i < e->n_lives; i++) {
		wire_array(out, 2);
		wire_uint(out, e->lives[i].id);
		wire_uint(out, e->lives[i].after);
	}
	*newest = e->n_lives ? e->lives[e->n_lives - 1].id : 0;
}

uint64_t engine_life(const struct engine *e, rep_t rep, uint64_t number)
{
	if (rep) {
		const struct watermark *w = &e->reps[rep].known;
		return number == w->now ? w->now_life : 0;
	}
	if (number > e->life.after && number <= e->counter)
		return e->life.id; /* which is noted when the first of its numbers is stored */
	size_t i = e->n_lives;
	while (i && e->lives[i - 1].after >= number)
		i--;
	return i ? e->lives[i - 1].id : 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct log_item *x = a, *y = b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void logs_build(struct engine *e)
{
	for (node_t n = 0; n < e->n_slots; n++) {
		const struct slot *s = &e->slots[n];
		if (s->have && s->seq) {
			struct index_log *l = &e->reps[0].log;
			GROW(l->items, l->cap, l->n + 1);
			l->items[l->n++] = (struct log_item){s->seq, n};
		}
		for (uint16_t i = 0; i < s->n_held; i++) {
			struct index_log *l = &e->reps[i + 1].log;
			if (!s->held[i].seq)
				continue;
			GROW(l->items, l->cap, l->n + 1);
			l->items[l->n++] = (struct log_item){s->held[i].seq, n};
		}
	}
	for (size_t i = 0; i < e->n_reps; i++)
		if (e->reps[i].log.n)
			qsort(e->reps[i].log.items, e->reps[i].log.n, sizeof(struct log_item), by_seq);
}

void engine_start(struct engine *e, enum index_state index)
{
	assert(!e->started);
	logs_build(e);
	e->started = true;
	e->index = e->index_stored = index;
	e->reps[0].seq = e->counter;
	origins_load(e);
	for (node_t n = 1; n < e->n_slots; n++) {
		if (e->slots[n].want) {
			held_loaded(e, n);
			plan(e, n);
		} else if (e->slots[n].kind == KIND_DIR && !node_live(e, n)) {
			slot_leftover(e, n, true); /* or was about to go: then its listing says so */
		}
	}
	report_changed(e);
	engine_walk(e, (struct bytes){0});
	e->walks[e->n_walks - 1].first = true;
}

/* ---- actions ---- */

static bool next_event(struct engine *e)
{
	if (!e->n_events)
		return false;
	free(e->event.text);
	e->event = e->events[e->events_head++];
	if (--e->n_events == 0)
		e->events_head = 0;
	const struct queued_event *q = &e->event;
	size_t path = scratch_add_path(e, q->node), from = e->scratch.len;
	if (q->from != NODE_NONE)
		scratch_add_path(e, q->from);
	e->action = (struct action){
		.type = ACT_EVENT, .event = q->event, .rep = q->rep, .text = q->text,
		.path = {e->scratch.data + path, from - path},
		.from = {e->scratch.data + from, e->scratch.len - from},
		.old_size = q->before.size, .old_hash = q->before.any ? q->before.hash : NULL,
		.new_size = q->after.size, .new_hash = q->after.any ? q->after.hash : NULL,
	};
	return true;
}

static bool next_store(struct engine *e)
{
	if (e->n_type[JOB_STORE] || e->store_retry_ms || !e->started)
		return false;
	bool marks = false;
	for (size_t i = 1; i < e->n_reps && !e->dirty.n; i++) {
		const struct replica *r = &e->reps[i];
		marks |= r->merged.pending_at || r->known.pending_at || (r->member && r->noted == NOTED_NOT);
	}
	/* That a new root was walked may wait until there is something else. */
	bool walked = e->index_stored == INDEX_LOST && engine_index_state(e) == INDEX_WALKED;
	bool again = e->unstorable; /* what failed had watermarks only, perhaps */
	if (!e->dirty.n && !marks && !walked && !again && e->counter == e->counter_stored)
		return false;
	e->counter_storing = e->counter;
	life_used(e);
	size_t n = e->dirty.n < STORE_BATCH_MAX ? e->dirty.n : STORE_BATCH_MAX;
	struct job *j = job_new(e, JOB_STORE, n);
	for (size_t i = 0; i < n; i++) {
		struct queue_item it = {0};
		queue_pop(&e->dirty, &it);
		struct slot *s = slot_of(e, it.node);
		s->flags = (uint16_t)((s->flags & ~F_DIRTY) | F_STORING);
		j->nodes[i] = it.node;
	}
	/* Everything that was noted before the last of them goes along. */
	e->changes_taken += n;
	for (size_t i = 1; i < e->n_reps; i++) {
		watermark_stored(e, &e->reps[i].merged);
		watermark_stored(e, &e->reps[i].known);
		if (e->reps[i].noted == NOTED_NOT)
			e->reps[i].noted = NOTED_STORING;
	}
	e->index_storing = engine_index_state(e);
	e->action = (struct action){.type = ACT_STORE, .job = j->id, .nodes = j->nodes, .n = n};
	return true;
}

void engine_stored(struct engine *e, uint64_t job)
{
	struct job *j = job_find(e, job, JOB_STORE);
	assert(j);
	for (size_t i = 0; i < j->n; i++)
		slot_of(e, j->nodes[i])->flags &= (uint16_t)~F_STORING;
	job_end(e, j);
	e->changes_stored = e->changes_taken;
	e->counter_stored = e->counter_storing;
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].noted == NOTED_STORING)
			e->reps[i].noted = NOTED;
	e->index_stored = e->index_storing;
	release_stored(e);
	if (e->unstorable)
		report_changed(e);
	free(e->unstorable);
	e->unstorable = NULL;
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct peer *p = &e->peers[i];
		if (p->up)
			p->ack_due = e->reps[p->rep].merged.safe;
	}
}

/* The same again, before all that has changed since: watermarks count on that order. */
void engine_store_failed(struct engine *e, uint64_t job, const char *why)
{
	struct job *j = job_find(e, job, JOB_STORE);
	assert(j);
	struct queue again = {0};
	struct queue_item it;
	for (size_t i = 0; i < j->n; i++) {
		struct slot *s = slot_of(e, j->nodes[i]);
		s->flags = (uint16_t)((s->flags & ~F_STORING) | F_DIRTY);
		queue_push(&again, j->nodes[i], 0);
	}
	job_end(e, j);
	while (queue_pop(&e->dirty, &it))
		queue_push(&again, it.node, 0);
	queue_release(&e->dirty);
	e->dirty = again;
	e->changes_taken = e->changes_stored;
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].noted == NOTED_STORING)
			e->reps[i].noted = NOTED_NOT;
	e->store_retry_ms = e->mono_ms + 5000;
	free(e->unstorable);
	e->unstorable = xasprintf("the index cannot be written: %s", why);
	report_changed(e);
	emit(e, EVENT_NOTE, NODE_ROOT, 0, "the index could not be written: %s", why);
}

static bool next_tmp(struct engine *e)
{
	if (e->n_cancels) {
		e->action = (struct action){.type = ACT_CANCEL, .job = e->cancels[--e->n_cancels]};
		return true;
	}
	if (e->n_drop_tmps) {
		e->action = (struct action){.type = ACT_DROP_TMP, .tmp = e->drop_tmps[--e->n_drop_tmps]};
		return true;
	}
	return false;
}

/*
 * What this replica has, its disk shows; or something is under way, or wanted, that makes it so. Else a file could
 * be missing here for ever while all say that they agree. Too slow for more than the simulator's few entries.
 */
static void check_shown(const struct engine *e)
{
#ifdef TUTTI_MUTANTS
	const unsigned under_way = F_JOB | F_LOOKING | F_LOOK_QUEUED | F_PLAN_QUEUED;
	for (node_t n = 1; e->started && n < e->n_slots; n++) {
		const struct slot *s = &e->slots[n];
		assert(s->kind != KIND_ABSENT || !s->have || !s->have->n_heads || s->want || s->missing ||
		       s->flags & under_way);
		assert((s->kind != KIND_FILE && s->kind != KIND_SYMLINK) || (s->have && s->have->n_heads) || s->want ||
		       s->flags & under_way);
		const struct head *h = shown_head(e, n);
		assert(s->want || s->missing || s->flags & under_way || !h || h->kind == s->kind);
	}
#else
	(void)e;
#endif
}

/*
 * The order: clients hear first; what is known is made durable, then told to peers; then the disk is
 * looked at, and changed. So an announcement never waits behind work that it does not need.
 */
bool engine_next(struct engine *e, struct action *out)
{
	static bool (*const sources[])(struct engine *) = {
		next_event, next_tmp, next_store, next_peer, next_list, next_look, next_plan, next_walked,
		next_rehash,
	};
	check_shown(e);
	if (e->rolled_back) {
		if (e->rolled_back == ROLLED_BACK_TOLD)
			return false;
		e->rolled_back = ROLLED_BACK_TOLD;
		*out = (struct action){.type = ACT_ROLLED_BACK, .rep = e->rolled_back_by,
		                       .text = e->reps[e->rolled_back_by].name};
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		buf_clear(&e->scratch);
		if (sources[i](e)) {
			*out = e->action;
			return true;
		}
	}
	return false;
}
