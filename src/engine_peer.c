/*
 * Owns what passes between replicas: their indexes (full from a direct peer, as facts of who holds
 * what through others), reports about themselves, and who can be reached through whom.
 */
#include "config.h"
#include "engine_internal.h"

#include "codec.h"
#include "path.h"

#include <errno.h>
#include <stdlib.h>

static struct peer *peer_of(struct engine *e, unsigned peer)
{
	assert(peer < PEERS_MAX && e->peers[peer].up);
	return &e->peers[peer];
}

void peer_reps_grow(struct engine *e, struct peer *p)
{
	if (p->n_reps >= e->n_reps)
		return;
	p->relayed_to = xrealloc(p->relayed_to, e->n_reps, sizeof(*p->relayed_to));
	p->reports_sent = xrealloc(p->reports_sent, e->n_reps, sizeof(*p->reports_sent));
	for (size_t i = p->n_reps; i < e->n_reps; i++)
		p->relayed_to[i] = p->reports_sent[i] = 0;
	p->n_reps = e->n_reps;
}

static void set_text(char **at, struct bytes text)
{
	char *s = xmalloc(text.len + 1);
	if (text.len)
		memcpy(s, text.p, text.len);
	s[text.len] = 0;
	free(*at);
	*at = s;
}

bool has_link(const struct replica *r, rep_t to)
{
	for (size_t i = 0; i < r->n_links; i++)
		if (r->links[i] == to)
			return true;
	return false;
}

void reach_update(struct engine *e)
{
	rep_t queue[REPLICAS_MAX];
	size_t head = 0, n = 0;
	bool was[REPLICAS_MAX];
	for (size_t i = 1; i < e->n_reps; i++) {
		struct replica *r = &e->reps[i];
		was[i] = r->reachable;
		r->reachable = r->peer >= 0;
		r->via = 0;
		if (r->reachable)
			queue[n++] = (rep_t)i;
	}
	while (head < n) {
		rep_t from = queue[head++];
		const struct replica *f = &e->reps[from];
		for (size_t i = 0; i < f->n_links; i++) {
			rep_t to = f->links[i];
			if (!to || e->reps[to].reachable)
				continue;
			e->reps[to].reachable = true;
			e->reps[to].via = f->via ? f->via : from;
			queue[n++] = to;
		}
	}
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].reachable != was[i])
			e->reach_changed_ms = e->mono_ms;
	forget_news(e);
}

static void retire(struct engine *e, rep_t rep)
{
	struct replica *r = &e->reps[rep];
	problems_clear(e, rep);
	r->n_problems = r->n_asked = 0;
	r->n_links = 0;
	r->retired = true;
	retry_holders(e); /* what only it had will not come */
	forget_news(e);
	member_set(e, rep, false);
	set_text(&r->name, (struct bytes){0});
}

/* A replica that lost its index comes back under the same name with a new id: the old one is gone.
 * Who is connected is alive, and so is this one; else who reported last. */
static void retire_same_name(struct engine *e, rep_t rep)
{
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct replica *a = &e->reps[i], *b = &e->reps[rep];
		if (i == rep || !a->member || !b->member || !*a->name || strcmp(a->name, b->name) != 0)
			continue;
		bool a_stays = i == 0 || a->peer >= 0, b_stays = b->peer >= 0;
		if (a_stays && b_stays)
			continue;
		bool a_goes = b_stays || (!a_stays && a->report_n < b->report_n);
		if (a_goes ? a->guarded : b->guarded)
			continue;
		struct replica *stays = &e->reps[a_goes ? rep : i];
		const struct replica *goes = a_goes ? a : b;
		if (stays->report_n < goes->report_n) {
			/* It is told, and goes on from there, though its clock may have gone back. */
			stays->report_n = goes->report_n;
			if (stays == &e->reps[0])
				e->report_print = 0;
			report_changed(e);
		}
		retire(e, a_goes ? (rep_t)i : rep);
	}
}

int engine_peer_up(struct engine *e, unsigned peer, const struct replica_id *id, const char *name,
                   const char *address, uint64_t seq)
{
	assert(peer < PEERS_MAX && !e->peers[peer].up);
	int rep = replica_number(e, id, REPLICAS_MAX);
	if (rep < 0)
		return rep;
	if (rep == 0)
		return -EPERM;
	struct replica *r = &e->reps[rep];
	if (r->peer >= 0)
		return -EEXIST;
	struct peer *p = &e->peers[peer];
	free(p->relayed_to);
	free(p->reports_sent);
	free(p->drop_reason);
	*p = (struct peer){.up = true, .rep = (rep_t)rep, .send_sync = true};
	peer_reps_grow(e, p);
	r->peer = (int)peer;
	set_text(&r->name, bytes_of(name));
	set_text(&r->address, bytes_of(address));
	r->retired = false;
	r->seq = seq; /* lower than before, if it ended before it stored the last of them */
	p->index_complete = r->merged.now >= seq;
	member_set(e, (rep_t)rep, true);
	retire_same_name(e, (rep_t)rep);
	for (node_t n = 0; n < e->n_slots; n++)
		if (e->slots[n].want)
			e->slots[n].want->tried &= ~((uint64_t)1 << peer);
	retry_holders(e);
	reach_update(e);
	report_changed(e);
	return 0;
}

void engine_peer_reader(struct engine *e, unsigned peer)
{
	peer_of(e, peer)->reader = true;
}

void engine_guard(struct engine *e, rep_t rep, bool guarded)
{
	assert(rep < e->n_reps);
	e->reps[rep].guarded = guarded;
}

void engine_peer_deaf(struct engine *e, unsigned peer)
{
	peer_of(e, peer)->deaf = true;
}

static void burst_check(struct engine *e)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (e->peers[i].up && e->peers[i].burst)
			return;
	release_deferred(e);
}

void engine_peer_down(struct engine *e, unsigned peer)
{
	struct peer *p = peer_of(e, peer);
	e->reps[p->rep].peer = -1;
	e->reps[p->rep].n_links = 0;
	p->up = false;
	burst_check(e);
	reach_update(e);
	report_changed(e);
}

static void drop(struct peer *p, const char *why)
{
	if (p->drop_reason)
		return;
	p->drop_reason = xstrdup(why);
}

/*
 * A peer has seen `counter` of this replica, given out in that life (0: it does not know in which). What was
 * announced was stored before. So a number that is not known here, or that was given out here in another life,
 * means that the index is an old copy: numbers would be used twice, or have been already.
 */
static void own_seen(struct engine *e, struct peer *p, uint64_t counter, uint64_t life)
{
	uint64_t here = engine_life(e, 0, counter);
	bool other = life && here && life != here && !MUTANT(LIFE_IGNORED);
	if ((counter <= e->counter && !other) || e->rolled_back || MUTANT(COUNTER_REUSED))
		return;
	if (e->mono_ms < e->id_new_until_ms) {
		drop(p, "it speaks of changes of this replica that were never made");
		return;
	}
	e->rolled_back = ROLLED_BACK;
	e->rolled_back_by = p->rep;
}

/* ---- what a peer makes us remember ---- */

enum { ENTRY_WEIGHT = 1024 };

static node_t add_node_of(struct engine *e, struct peer *p, struct bytes path)
{
	size_t before = tree_count(e->tree);
	node_t n = add_node(e, path);
	e->reps[p->rep].made += tree_count(e->tree) - before;
	return n;
}

static uint64_t weight(const struct state *s)
{
	uint64_t bytes = s->n_heads * sizeof(*s->heads) + s->context.n * sizeof(*s->context.dots);
	for (size_t i = 0; i < s->n_heads; i++)
		if (s->heads[i].kind == KIND_SYMLINK)
			bytes += s->heads[i].size;
	return bytes;
}

static void weigh(struct engine *e, struct peer *p, uint64_t before, uint64_t after)
{
	uint64_t *w = &e->reps[p->rep].weight;
	if (after >= before)
		*w += after - before;
	else
		*w -= before - after < *w ? before - after : *w;
}

/* What others have brought as well costs nothing: else who passes on what a bad peer said would pay. */
static const char *too_much(const struct engine *e, const struct peer *p)
{
	const struct replica *r = &e->reps[p->rep];
	uint64_t max = e->entries_max;
	if (!max || (r->made <= max && r->weight / ENTRY_WEIGHT <= max))
		return NULL;
	return "it has more entries than are taken from one peer (option peer-entries)";
}

void engine_peer_sync(struct engine *e, unsigned peer, const struct seen *seen, size_t n)
{
	struct peer *p = peer_of(e, peer);
	for (size_t i = 0; i < n; i++) {
		if (seen[i].merged > COUNTER_MAX || seen[i].known > COUNTER_MAX) {
			drop(p, "sequence number out of range");
			return;
		}
		size_t rep = 0;
		while (rep < e->n_reps && !replica_id_eq(&e->ids[rep], &seen[i].id))
			rep++;
		if (rep == e->n_reps)
			continue;
		peer_reps_grow(e, p);
		if (rep == 0) {
			own_seen(e, p, seen[i].merged, seen[i].merged_life);
			own_seen(e, p, seen[i].known, seen[i].known_life);
			p->sent_to = seen[i].merged;
			e->reps[p->rep].acked = seen[i].merged;
		} else if (seen[i].known > p->relayed_to[rep]) {
			p->relayed_to[rep] = seen[i].known;
		}
	}
	p->synced = true;
	forget_news(e);
}

void engine_peer_ack(struct engine *e, unsigned peer, uint64_t to)
{
	struct peer *p = peer_of(e, peer);
	struct replica *r = &e->reps[p->rep];
	if (to > r->acked && to <= p->sent_to)
		r->acked = to;
	forget_news(e);
}

static void attach_data(struct engine *e, node_t n, const struct head *w, struct bytes data)
{
	struct want *want = slot_of(e, n)->want;
	bool dir;
	const struct head *mine = target_head(e, n, &dir);
	if (!want || !data.len || !w || w->kind != KIND_FILE || w->size != data.len || dir || !mine ||
	    !head_same_content(mine, w) || data.len > INLINE_MAX)
		return;
	e->data_held -= want->data_len;
	free(want->data);
	want->data = xmemdup(data.p, data.len);
	want->data_len = data.len;
	want->has_data = true;
	memcpy(want->data_hash, w->hash, HASH_SIZE);
	e->data_held += data.len;
}

static void merge_entry(struct engine *e, struct peer *p, struct index_entry *in)
{
	node_t n = add_node_of(e, p, in->path);
	struct slot *s = slot_of(e, n);
	const struct head *w = winner_of(e, n, &in->state);
	struct held h = {in->seq, state_stamp(&in->state, e->ids), content_mark(w),
	                 w ? w->kind : KIND_ABSENT};
	bool newer = s->n_held < p->rep || s->held[p->rep - 1].seq < in->seq;
	bool had_ours = newer && s->n_held >= p->rep && s->held[p->rep - 1].stamp && holds_same(e, n, p->rep);
	if (newer)
		held_update(e, p->rep, n, &h);
	if (p->reader) {
		if (slot_of(e, n)->want)
			plan(e, n); /* it may have what is wanted */
		return;
	}
	struct dot deleted[HEADS_MAX];
	size_t n_deleted = found_deleted(e, n, &in->state, deleted);
	struct update u = {.what = UPDATE_WANT, .want = state_copy(target_of(e, n))};
	state_merge(&u.want, &in->state);
	weigh(e, p, weight(target_of(e, n)), weight(&u.want));
	if (state_eq(&u.want, target_of(e, n))) {
		state_release(&u.want);
		if (had_ours && !holds_same(e, n, p->rep))
			forget_tell_again(e, n);
	} else {
		slot_update(e, n, &u);
	}
	found_meets(e, n, deleted, n_deleted);
	held_told(e, n, p->rep);
	s = slot_of(e, n);
	attach_data(e, n, w, in->data);
	struct want *want = slot_of(e, n)->want;
	if (!want)
		return;
	if (version_has(&in->state.context, want->derived))
		want->derived = (struct dot){0}; /* somebody has made it */
	plan(e, n);
}

int engine_peer_index(struct engine *e, unsigned peer, uint64_t to, uint64_t life, bool more,
                      struct index_entry *entries, size_t n, const char **why)
{
	struct peer *p = peer_of(e, peer);
	struct replica *r = &e->reps[p->rep];
	uint64_t last = 0;
	*why = NULL;
	for (size_t i = 0; i < n && !*why; i++) {
		if (entries[i].seq <= last || entries[i].seq > to)
			*why = "entries are not in order";
		last = entries[i].seq;
		const struct version *c = &entries[i].state.context;
		if (c->n && c->dots[0].rep == 0)
			own_seen(e, p, c->dots[0].counter, 0);
	}
	if (to > COUNTER_MAX)
		*why = "sequence number out of range";
	if (tree_count(e->tree) + n > TREE_NODES_MAX)
		*why = "too many entries";
	if (!p->burst)
		held_begin(e, p->rep);
	for (size_t i = 0; i < n; i++) {
		if (!*why)
			*why = too_much(e, p);
		if (!*why)
			merge_entry(e, p, &entries[i]);
		state_release(&entries[i].state);
	}
	if (*why)
		return -EPROTO;
	if (!p->reader) /* else it is asked for all again, once its word counts */
		watermark_set(e, &r->merged, to, life);
	watermark_set(e, &r->known, to, life);
	forget_news(e);
	if (to > r->seq)
		r->seq = to;
	p->burst = more;
	if (!more)
		p->index_complete = true;
	if (more)
		e->burst_until_ms = e->mono_ms + BURST_MS;
	else
		burst_check(e);
	report_changed(e);
	return 0;
}

int engine_peer_have(struct engine *e, unsigned peer, rep_t rep, uint64_t to, uint64_t life,
                     const struct held_entry *entries, size_t n, const char **why)
{
	struct peer *p = peer_of(e, peer);
	*why = NULL;
	if (to > COUNTER_MAX || rep >= e->n_reps) {
		*why = "sequence number out of range";
		return -EPROTO;
	}
	peer_reps_grow(e, p);
	if (to > p->relayed_to[rep])
		p->relayed_to[rep] = to; /* it need not be told what it told us */
	if (rep == 0)
		return 0;
	uint64_t last = 0;
	for (size_t i = 0; i < n; i++) {
		/* In order, so that each finds its place in the log at once. */
		if (entries[i].seq <= last || entries[i].seq > to || entries[i].kind > KIND_SYMLINK ||
		    tree_count(e->tree) >= TREE_NODES_MAX - PATH_DEPTH_MAX) {
			*why = "entry out of range";
			return -EPROTO;
		}
		*why = too_much(e, p);
		if (*why)
			return -EPROTO;
		last = entries[i].seq;
		node_t node = add_node_of(e, p, entries[i].path);
		const struct slot *s = slot_of(e, node);
		bool any = s->n_held >= rep && s->held[rep - 1].seq;
		if (any ? s->held[rep - 1].seq >= entries[i].seq : entries[i].seq <= e->reps[rep].known.now)
			continue; /* known, or forgotten since */
		held_update(e, rep, node, &(struct held){entries[i].seq, entries[i].stamp,
		                                         entries[i].content, entries[i].kind});
	}
	watermark_set(e, &e->reps[rep].known, to, life);
	forget_news(e);
	return 0;
}

/* Numbers of reports are times, so that they grow over starts. A clock that is far ahead, and a peer that says
 * one in the name of another, must leave room to go on. */
#define REPORT_CLOCK_MAX ((uint64_t)3 << 60) /* the year 2079 */
#define REPORT_TOLD_MAX (REPORT_CLOCK_MAX + ((uint64_t)1 << 59))

/* Of what is passed on as it came, and nobody leaves out. */
static uint64_t report_sum(const struct report *r)
{
	uint64_t n[] = {r->pending, r->pending_bytes, r->files, r->bytes, r->n_problems};
	return hash64(n, sizeof(n), 0);
}

static uint64_t report_print(const struct report *r)
{
	uint64_t n[] = {r->pending, r->pending_bytes, r->files, r->bytes, r->n_problems, r->n_held, r->n_links};
	uint64_t h = hash64(n, sizeof(n), 0);
	for (size_t i = 0; i < r->n_listed; i++) {
		h = hash64(r->problems[i].path.p, r->problems[i].path.len, h);
		h = hash64(r->problems[i].reason.p, r->problems[i].reason.len, h + r->problems[i].held);
	}
	return hash64(r->links, r->n_links * sizeof(*r->links), h);
}

int engine_peer_report(struct engine *e, unsigned peer, const struct report *in, const char **why)
{
	struct peer *p = peer_of(e, peer);
	*why = NULL;
	if (in->n > COUNTER_MAX) {
		*why = "report number out of range";
		return -EPROTO;
	}
	if (in->n > REPORT_TOLD_MAX && !replica_id_eq(&in->id, &e->ids[p->rep]))
		return 0;
	int num = engine_intern(e, &in->id);
	if (num < 0) {
		*why = "too many replicas";
		return -EPROTO;
	}
	rep_t rep = (rep_t)num;
	struct replica *r = &e->reps[rep];
	peer_reps_grow(e, p);
	if (in->n > p->reports_sent[rep])
		p->reports_sent[rep] = in->n;
	if (rep == 0 && (in->n > r->report_n ||
	                 (in->n == r->report_n && report_print(in) != e->report_print))) {
		/* Said before a new start, and the clock has gone back since. */
		r->report_n = in->n;
		e->report_print = 0;
		report_changed(e);
	}
	if (rep == 0)
		return 0;
	/* A replica whose clock went back may give a number a second time, after a new start. All agree on the
	 * larger sum; if that is of the older report, it comes to its author, who goes on from there. */
	uint64_t sum = report_sum(in);
	if (in->n == r->report_n && sum < r->report_sum)
		p->reports_sent[rep] = 0;
	if (in->n < r->report_n || (in->n == r->report_n && sum <= r->report_sum))
		return 0;
	for (size_t i = 0; in->n == r->report_n && i < PEERS_MAX; i++)
		if (e->peers[i].up && &e->peers[i] != p && e->peers[i].n_reps > rep)
			e->peers[i].reports_sent[rep] = 0;
	r->report_n = in->n;
	r->report_sum = sum;
	if (r->peer < 0 || rep == p->rep)
		set_text(&r->name, in->name);
	if (in->address.len && r->peer < 0)
		set_text(&r->address, in->address);
	r->pending = in->pending;
	r->pending_bytes = in->pending_bytes;
	r->files = in->files;
	r->bytes = in->bytes;
	r->n_problems = in->n_problems;
	r->n_asked = in->n_held < in->n_problems ? in->n_held : in->n_problems;
	r->retired = false;
	forget_news(e);
	member_set(e, rep, true);
	retire_same_name(e, rep);
	if (r->retired)
		return 0;
	problems_clear(e, rep);
	for (size_t i = 0; i < in->n_listed && i < PROBLEMS_SENT_MAX; i++) {
		struct bytes path = in->problems[i].path; /* "": of the whole replica */
		if ((path.len && path_check(path)) || tree_count(e->tree) >= TREE_NODES_MAX ||
		    too_much(e, p))
			continue;
		char *reason = NULL;
		set_text(&reason, in->problems[i].reason);
		node_t n = path.len ? add_node_of(e, p, path) : NODE_ROOT;
		problem_set(e, rep, n, reason);
		if (in->problems[i].held)
			problem_set_held(e, rep, n);
		free(reason);
	}
	rep_t links[REPLICAS_MAX];
	size_t n_links = 0;
	for (size_t i = 0; i < in->n_links && i < REPLICAS_MAX; i++) {
		int link = engine_intern(e, &in->links[i]);
		if (link >= 0)
			links[n_links++] = (rep_t)link;
	}
	free(r->links);
	r->links = n_links ? xmemdup(links, n_links * sizeof(*links)) : NULL;
	r->n_links = n_links;
	reach_update(e);
	return 0;
}

void engine_index_sent(struct engine *e, unsigned peer)
{
	struct peer *p = peer_of(e, peer);
	assert(p->inflight);
	p->inflight--;
	forget_news(e);
}

/* ---- reports of this replica ---- */

void report_changed(struct engine *e)
{
	if (e->report_dirty)
		return;
	e->report_dirty = true;
	uint64_t due = e->reported_ms + REPORT_MS;
	e->report_due_ms = due > e->mono_ms ? due : e->mono_ms;
}

static uint64_t own_pending(const struct engine *e)
{
	uint64_t walks = 0;
	for (size_t i = 0; i < e->n_walks; i++)
		walks += e->walks[i].outstanding != 0;
	return walks + e->n_wants + e->lists.n + e->looks.n + e->fresh_looks.n + e->n_type[JOB_LIST] +
	       e->n_type[JOB_LOOK] - (e->rehash_job != 0) + e->dirty.n + e->n_type[JOB_STORE] +
	       e->busy_due.n + (e->halted != NULL);
}

/* Puts one more into e->rep_problems, its words into e->rep_text. */
static void report_problem(struct engine *e, size_t i, node_t n, const char *reason, bool held)
{
	struct buf *b = &e->rep_text;
	size_t at = b->len;
	tree_path(e->tree, n, &e->text);
	buf_add(b, e->text.data, e->text.len);
	size_t path_len = b->len - at;
	if (reason)
		buf_addf(b, "%s", reason);
	else
		held_reason(e, n, b);
	e->rep_problems[i] = (struct problem){.path.len = path_len, .reason.len = b->len - at - path_len,
	                                      .held = held};
}

/* What fails on `rep`, then what is held here, as far as it is sent. Returns how many. */
static size_t report_problems(struct engine *e, rep_t rep)
{
	const struct problems *p = &e->reps[rep].problems;
	const char *whole;
	size_t n = 0;
	buf_clear(&e->rep_text);
	GROW(e->rep_problems, e->rep_problems_cap, PROBLEMS_SENT_MAX);
	while (rep == 0 && (whole = root_problem(e, n)))
		report_problem(e, n++, NODE_ROOT, whole, false);
	for (size_t i = 0; i < p->n && n < PROBLEMS_SENT_MAX; i++)
		report_problem(e, n++, p->items[i].node, p->items[i].reason, p->items[i].held);
	for (size_t r = 0; rep == 0 && r < e->n_reps; r++) {
		const struct nodes *l = &e->reps[r].wave.held;
		for (size_t i = 0; i < l->n && n < PROBLEMS_SENT_MAX; i++)
			report_problem(e, n++, l->items[i], NULL, true);
	}
	const uint8_t *at = e->rep_text.data;
	for (size_t i = 0; i < n; i++) {
		e->rep_problems[i].path.p = at;
		e->rep_problems[i].reason.p = at += e->rep_problems[i].path.len;
		at += e->rep_problems[i].reason.len;
	}
	return n;
}

uint64_t own_problems(const struct engine *e)
{
	size_t whole = 0;
	while (root_problem(e, whole))
		whole++;
	return e->reps[0].problems.n + whole;
}

struct report engine_report(struct engine *e, rep_t rep)
{
	const struct replica *r = &e->reps[rep];
	struct totals all = rows_totals(e->rows, NODE_ROOT);
	struct report out = {.id = e->ids[rep], .n = r->report_n, .name = bytes_of(r->name),
	                     .address = bytes_of(r->address), .pending = r->pending,
	                     .pending_bytes = r->pending_bytes, .files = r->files,
	                     .bytes = r->bytes, .n_problems = r->n_problems, .n_held = r->n_asked};
	if (rep == 0) {
		out.name = bytes_of(e->name);
		out.pending = own_pending(e);
		out.pending_bytes = e->want_bytes;
		out.files = all.files;
		out.bytes = all.bytes;
		out.n_held = e->n_going[GOING_HELD];
		out.n_problems = own_problems(e) + out.n_held;
	}
	out.n_listed = report_problems(e, rep);
	out.problems = e->rep_problems;
	GROW(e->rep_links, e->rep_links_cap, REPLICAS_MAX);
	if (rep == 0) {
		for (size_t i = 1; i < e->n_reps; i++)
			if (e->reps[i].peer >= 0)
				e->rep_links[out.n_links++] = e->ids[i];
	} else {
		for (size_t i = 0; i < r->n_links; i++)
			e->rep_links[out.n_links++] = e->ids[r->links[i]];
	}
	out.links = e->rep_links;
	return out;
}

/* Numbers the report of this replica anew if it says something else: one number has one meaning. */
static void report_number(struct engine *e)
{
	struct report r = engine_report(e, 0);
	uint64_t print = report_print(&r);
	if (print == e->report_print && e->reps[0].report_n)
		return;
	e->report_print = print;
	uint64_t n = e->wall_ns > 0 ? (uint64_t)e->wall_ns : 0;
	if (n > REPORT_CLOCK_MAX)
		n = REPORT_CLOCK_MAX;
	e->reps[0].report_n = n > e->reps[0].report_n ? n : e->reps[0].report_n + 1;
}

/* It is due now and then, if there is news. That nothing is pending any more is said at once, since
 * others wait for it. */
static void report_renew(struct engine *e)
{
	uint64_t pending = own_pending(e);
	if (pending != e->reported_pending)
		report_changed(e);
	if (!e->report_dirty || (e->report_due_ms > e->mono_ms && pending))
		return;
	e->reported_pending = pending;
	e->report_dirty = false;
	e->reported_ms = e->mono_ms;
	report_number(e);
}

/* ---- what is to be sent ---- */

static size_t log_after(const struct index_log *l, uint64_t seq)
{
	size_t lo = 0, hi = l->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (l->items[mid].seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool send_data(const struct engine *e, const struct peer *p, node_t n)
{
	const struct slot *s = slot_of(e, n);
	const struct head *shown = shown_head(e, n);
	bool dir;
	const struct head *w = winner_of(e, n, have_of(e, n));
	(void)target_head(e, n, &dir);
	if (!p->index_complete || !shown || shown->kind != KIND_FILE || shown != w || dir ||
	    shown->size > INLINE_MAX || !shown->size)
		return false;
	return s->n_held < p->rep || s->held[p->rep - 1].content != content_mark(shown);
}

/* Own entries up to here are stored. */
static uint64_t tellable(const struct engine *e)
{
	return MUTANT(TOLD_EARLY) ? e->counter : e->counter_stored;
}

static bool next_index(struct engine *e, unsigned peer)
{
	struct peer *p = &e->peers[peer];
	const struct index_log *l = &e->reps[0].log;
	if (p->sent_to >= tellable(e) && !p->told_more)
		return false;
	size_t i = log_after(l, p->sent_to), n = 0, bytes = 0;
	uint64_t to = p->sent_to;
	bool end = true;
	for (; i < l->n; i++) {
		const struct slot *s = slot_of(e, l->items[i].node);
		if (l->items[i].seq > tellable(e)) {
			end = false;
			break;
		}
		if (s->seq == l->items[i].seq) {
			if ((s->flags & (F_DIRTY | F_STORING) && !MUTANT(TOLD_EARLY)) || n == INDEX_BATCH_MAX ||
			    bytes >= INDEX_BATCH_BYTES) {
				end = false;
				break;
			}
			GROW(e->act_index, e->act_index_cap, n + 1);
			bool data = send_data(e, p, l->items[i].node);
			e->act_index[n++] = (struct index_node){l->items[i].node, s->seq, data};
			bytes += 200 + (data ? shown_head(e, l->items[i].node)->size : 0);
		}
		to = l->items[i].seq;
	}
	if (end && tellable(e) > to)
		to = tellable(e);
	bool more = !end || e->n_moves || held_pending(e);
	if (!n && to == p->sent_to && !(p->told_more && !more))
		return false;
	p->sent_to = to;
	p->told_more = more;
	p->inflight++;
	e->action = (struct action){.type = ACT_INDEX, .peer = peer, .index = e->act_index, .n = n,
	                            .to = to, .more = more};
	return true;
}

static bool next_have(struct engine *e, unsigned peer, rep_t rep)
{
	struct peer *p = &e->peers[peer];
	const struct replica *r = &e->reps[rep];
	if (!r->member || rep == p->rep || p->relayed_to[rep] >= r->known.now ||
	    has_link(&e->reps[p->rep], rep))
		return false;
	const struct index_log *l = &r->log;
	uint64_t to = p->relayed_to[rep];
	size_t i = log_after(l, to), n = 0;
	for (; i < l->n && l->items[i].seq <= r->known.now && n < INDEX_BATCH_MAX; i++) {
		const struct slot *s = slot_of(e, l->items[i].node);
		if (l->items[i].seq == to)
			continue; /* forgotten and learnt again; or somebody gives a number twice */
		if (s->n_held < rep || s->held[rep - 1].seq != l->items[i].seq)
			continue;
		to = l->items[i].seq;
		GROW(e->act_nodes, e->act_nodes_cap, n + 1);
		e->act_nodes[n++] = l->items[i].node;
	}
	if (i == l->n || l->items[i].seq > r->known.now)
		to = r->known.now;
	p->relayed_to[rep] = to;
	p->inflight++;
	e->action = (struct action){.type = ACT_HAVE, .peer = peer, .rep = rep, .nodes = e->act_nodes,
	                            .n = n, .to = to};
	return true;
}

static bool next_of_peer(struct engine *e, unsigned peer)
{
	struct peer *p = &e->peers[peer];
	peer_reps_grow(e, p);
	if (p->drop_reason) {
		p->dropped = true;
		buf_clear(&e->text);
		buf_add(&e->text, p->drop_reason, strlen(p->drop_reason) + 1);
		free(p->drop_reason);
		p->drop_reason = NULL;
		e->action = (struct action){.type = ACT_DROP, .peer = peer,
		                            .text = (const char *)e->text.data};
		return true;
	}
	if (p->send_sync) {
		p->send_sync = false;
		e->action = (struct action){.type = ACT_SYNC, .peer = peer};
		return true;
	}
	if (p->ack_due > p->ack_sent) {
		p->ack_sent = p->ack_due;
		e->action = (struct action){.type = ACT_ACK, .peer = peer, .to = p->ack_due};
		return true;
	}
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct replica *r = &e->reps[i];
		if (r->report_n <= p->reports_sent[i] || !r->member)
			continue;
		if (i == 0)
			report_number(e); /* it may have changed since it got its number */
		p->reports_sent[i] = r->report_n;
		e->action = (struct action){.type = ACT_REPORT, .peer = peer, .rep = (rep_t)i};
		return true;
	}
	/* That it is a member is durable before it hears of anything: else, after a crash, nobody here would
	 * know that a tombstone has to wait for it. */
	if (!p->synced || p->inflight >= INDEX_INFLIGHT_MAX || e->reps[p->rep].noted != NOTED)
		return false;
	if (next_index(e, peer))
		return true;
	for (size_t i = 1; i < e->n_reps; i++)
		if (next_have(e, peer, (rep_t)i))
			return true;
	return false;
}

bool next_peer(struct engine *e)
{
	report_renew(e);
	for (unsigned i = 0; i < PEERS_MAX; i++)
		if (e->peers[i].up && !e->peers[i].dropped && next_of_peer(e, i))
			return true;
	return false;
}

bool peers_told(const struct engine *e)
{
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		const struct peer *p = &e->peers[i];
		if (p->up && !p->dropped && (!p->synced || p->inflight || p->sent_to < e->counter))
			return false;
	}
	return true;
}
