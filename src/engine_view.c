/* Owns what people are shown of the engine: rows, cells, notes, members, problems, status. */
#include "config.h"
#include "engine_internal.h"

#include <stdlib.h>

/* Where does it fail, or (`held`) where does its deletion wait for a word? */
static bool blocked_somewhere(const struct engine *e, node_t n, bool held, rep_t *where)
{
	*where = 0;
	if (held && slot_of(e, n)->going == GOING_HELD)
		return true;
	for (size_t i = 0; i < e->n_reps; i++) {
		if (e->reps[i].problems.n && problem_get(e, (rep_t)i, n) &&
		    problem_is_held(e, (rep_t)i, n) == held) {
			*where = (rep_t)i;
			return true;
		}
	}
	return false;
}

static bool all_agree(const struct engine *e, node_t n)
{
	for (size_t i = 1; i < e->n_reps; i++)
		if (e->reps[i].member && !holds_same(e, n, (rep_t)i))
			return false;
	return true;
}

static enum row_state state_of(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	rep_t where;
	if (blocked_somewhere(e, n, false, &where))
		return ROW_BLOCKED;
	if (blocked_somewhere(e, n, true, &where))
		return ROW_HELD;
	if (s->kind == KIND_OTHER || s->leftover)
		return ROW_NOT_CARRIED;
	if (in_conflict(e, n) || nodemap_get(&e->reopened, n))
		return ROW_CONFLICT;
	if (!node_live(e, n))
		return ROW_DELETED;
	if (s->want)
		return s->want->phase == PHASE_FETCHING || s->want->phase == PHASE_APPLYING
		               ? ROW_RECEIVING : ROW_QUEUED;
	if (s->flags & F_BUSY)
		return ROW_BUSY;
	return all_agree(e, n) ? ROW_SYNCED : ROW_WAITING;
}

/* What is gone here, and will go elsewhere, but cannot, or waits there for a word: what that is there, and a folder
 * above such things. KIND_ABSENT: there is none. */
static uint8_t stuck_elsewhere(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	for (size_t i = 1; i < e->n_reps && i <= s->n_held; i++)
		if (e->reps[i].problems.n && problem_get(e, (rep_t)i, n) && s->held[i - 1].kind != KIND_ABSENT)
			return s->held[i - 1].kind;
	struct totals below = rows_totals(e->rows, n);
	return below.files || below.dirs ? KIND_DIR : KIND_ABSENT;
}

void row_of(void *ctx, node_t n, struct row *out)
{
	const struct engine *e = ctx;
	const struct slot *s = slot_of(e, n);
	bool dir;
	const struct head *w = target_head(e, n, &dir);
	*out = (struct row){.kind = KIND_ABSENT};
	if (dir) {
		out->kind = KIND_DIR;
	} else if (w) {
		out->kind = w->kind;
	} else if (s->kind == KIND_OTHER) {
		out->kind = KIND_FILE;
	} else if ((s->want || s->leftover) && s->kind != KIND_ABSENT) {
		out->kind = s->kind; /* on its way out */
		w = shown_head(e, n);
	} else {
		out->kind = stuck_elsewhere(e, n);
	}
	if (out->kind == KIND_ABSENT)
		return;
	if (w) {
		out->size = w->size;
		out->mtime = w->mtime;
	}
	out->state = (uint8_t)state_of(e, n);
}

static int by_name(const struct engine *e, rep_t a, rep_t b)
{
	int r = strcmp(e->reps[a].name, e->reps[b].name);
	return r ? r : replica_id_compare(&e->ids[a], &e->ids[b]);
}

size_t engine_members(const struct engine *e, rep_t *out, size_t cap)
{
	size_t n = 0;
	if (cap)
		out[n++] = 0;
	for (size_t i = 1; i < e->n_reps && n < cap; i++) {
		if (!e->reps[i].member)
			continue;
		size_t at = n++;
		while (at > 1 && by_name(e, out[at - 1], (rep_t)i) > 0) {
			out[at] = out[at - 1];
			at--;
		}
		out[at] = (rep_t)i;
	}
	return n;
}

static char own_cell(const struct engine *e, node_t n, bool conflict)
{
	const struct slot *s = slot_of(e, n);
	if (problem_get(e, 0, n) || s->going == GOING_HELD)
		return 'E';
	if (s->kind == KIND_OTHER || s->leftover)
		return 'i';
	if (!node_live(e, n))
		return s->kind == KIND_ABSENT ? 'x' : '=';
	if (s->want)
		return s->want->phase == PHASE_FETCHING || s->want->phase == PHASE_APPLYING ? '<' : '~';
	return conflict ? '!' : '=';
}

static char other_cell(const struct engine *e, node_t n, rep_t rep, bool conflict)
{
	const struct slot *s = slot_of(e, n);
	const struct replica *r = &e->reps[rep];
	struct held h = {0};
	if (s->n_held >= rep)
		h = s->held[rep - 1];
	if (problem_get(e, rep, n))
		return 'E';
	if (s->kind == KIND_OTHER || s->leftover)
		return '-';
	bool live = node_live(e, n), dir;
	const struct head *w = target_head(e, n, &dir);
	if (h.stamp && h.stamp == state_stamp(target_of(e, n), e->ids))
		return !live ? 'x' : conflict ? '!' : '=';
	if (!r->reachable)
		return '?';
	if (!h.stamp)
		return dir && !w ? '=' : '-'; /* a folder that is there by what it holds */
	if (h.kind == KIND_ABSENT)
		return 'x';
	if (live && !conflict && w && w->kind == h.kind && content_mark(w) == h.content)
		return '=';
	return conflict ? '!' : '~';
}

void engine_cells(const struct engine *e, node_t n, struct buf *out)
{
	rep_t members[REPLICAS_MAX];
	size_t n_members = engine_members(e, members, ARRAY_LEN(members));
	bool conflict = in_conflict(e, n);
	for (size_t i = 0; i < n_members; i++)
		buf_add_char(out, members[i] ? other_cell(e, n, members[i], conflict)
		                             : own_cell(e, n, conflict));
}

/* Is all there that a connected replica takes from us, or we from it, if that is not everything? */
static bool is_through(const struct engine *e, const struct replica *r, bool to_it)
{
	if (r->peer < 0 || !r->report_n || r->pending)
		return false;
	const struct peer *p = &e->peers[r->peer];
	return to_it ? p->reader && p->index_complete && r->acked >= e->counter
		     : p->deaf && p->index_complete && !e->n_wants && r->known.now >= r->seq;
}

static void note_waiting(const struct engine *e, node_t n, struct buf *out)
{
	size_t named = 0;
	for (size_t i = 1; i < e->n_reps; i++) {
		if (!e->reps[i].member || holds_same(e, n, (rep_t)i))
			continue;
		if (is_through(e, &e->reps[i], true) || is_through(e, &e->reps[i], false)) {
			bool theirs_is_it = is_through(e, &e->reps[i], true);
			buf_clear(out);
			buf_addf(out, theirs_is_it ? "changed on %s, whose changes are not taken"
						   : "%s takes no changes from here",
				 e->reps[i].name);
			return;
		}
		if (named++ == 2) {
			buf_addf(out, " ...");
			return;
		}
		buf_addf(out, "%s%s", named == 1 ? "waits for " : ", ", e->reps[i].name);
	}
}

void engine_note(const struct engine *e, node_t n, struct buf *out)
{
	const struct slot *s = slot_of(e, n);
	rep_t where;
	bool dir;
	(void)target_head(e, n, &dir);
	struct totals below = rows_totals(e->rows, n);
	enum row_state state = state_of(e, n);
	switch (state) {
	case ROW_BLOCKED:
	case ROW_HELD:
		if (!blocked_somewhere(e, n, state == ROW_HELD, &where))
			break;
		if (state == ROW_HELD && held_reason(e, n, out))
			return;
		buf_addf(out, "%s", problem_get(e, where, n));
		if (where)
			buf_addf(out, " on %s", e->reps[where].name);
		return;
	case ROW_NOT_CARRIED:
		buf_addf(out, s->leftover ? "holds what is not carried" : "not carried");
		return;
	case ROW_CONFLICT:
		buf_addf(out, in_conflict(e, n) ? "conflict" : "conflict, taken back");
		return;
	case ROW_DELETED: {
		const struct state *t = target_of(e, n);
		rep_t by = 0;
		for (uint16_t i = 0; i < t->context.n; i++)
			if (!version_has(&have_of(e, n)->context, t->context.dots[i]))
				by = t->context.dots[i].rep;
		buf_addf(out, "deleted on %s", e->reps[by].name);
		return;
	}
	case ROW_RECEIVING:
		buf_addf(out, "receiving");
		return;
	case ROW_QUEUED:
		buf_addf(out, s->want->phase == PHASE_NO_HOLDER ? "no holder connected" : "queued");
		return;
	case ROW_BUSY:
		buf_addf(out, "being written");
		return;
	case ROW_WAITING:
		if (dir && below.unsynced)
			break;
		note_waiting(e, n, out);
		return;
	case ROW_SYNCED:
	case ROW_STATES_N:
		break;
	}
	if (dir && below.unsynced)
		buf_addf(out, "%u left%s%s", below.unsynced, below.worst >= ROW_HELD ? ", " : "",
			 below.worst >= ROW_HELD ? row_state_text((enum row_state)below.worst) : "");
}

void engine_reopened(struct engine *e, const node_t *nodes, size_t n)
{
	e->reopenings++;
	for (size_t i = 0; i < n; i++) {
		bool news = !nodemap_get(&e->reopened, nodes[i]);
		if (news)
			rows_begin(e->rows, nodes[i]);
		nodemap_put(&e->reopened, nodes[i], e->reopenings);
		if (news)
			rows_end(e->rows, nodes[i]);
	}
	for (size_t i = 0; e->reopened.n > n && i < e->reopened.cap;) {
		struct nodemap_item it = e->reopened.items[i++];
		if (it.node == NODE_NONE || it.value == e->reopenings)
			continue;
		rows_begin(e->rows, it.node);
		nodemap_remove(&e->reopened, it.node);
		rows_end(e->rows, it.node);
		i = 0; /* what is left has other places now */
	}
}

const struct state *engine_target(const struct engine *e, node_t n)
{
	const struct state *t = target_of(e, n);
	return state_empty(t) ? NULL : t;
}

void engine_problems(const struct engine *e, bool (*cb)(void *ctx, rep_t rep, const struct problem *p), void *ctx)
{
	struct buf path = {0}, why = {0};
	const char *whole;
	for (size_t i = 0; (whole = root_problem(e, i)); i++)
		if (!cb(ctx, 0, &(struct problem){.reason = bytes_of(whole)}))
			return;
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct problems *p = &e->reps[i].problems;
		for (size_t k = 0; k < p->n; k++) {
			tree_path(e->tree, p->items[k].node, &path);
			struct problem out = {{path.data, path.len}, bytes_of(p->items[k].reason),
			                      p->items[k].held};
			if (!cb(ctx, (rep_t)i, &out))
				goto out;
		}
	}
	for (size_t i = 0; i < e->n_reps; i++) {
		const struct nodes *held = &e->reps[i].wave.held;
		for (size_t k = 0; k < held->n; k++) {
			tree_path(e->tree, held->items[k], &path);
			buf_clear(&why);
			held_reason(e, held->items[k], &why);
			struct problem out = {{path.data, path.len}, {why.data, why.len}, true};
			if (!cb(ctx, 0, &out))
				goto out;
		}
	}
out:
	buf_release(&path);
	buf_release(&why);
}

bool engine_entry(const struct engine *e, node_t n, struct entry_view *out)
{
	const struct slot *s = slot_of(e, n);
	*out = (struct entry_view){.state = s->have, .seq = s->seq, .disk_kind = KIND_ABSENT};
	if (!s->missing) {
		out->shown = shown_head(e, n);
		out->stamp = s->stamp;
		out->disk_kind = s->kind;
	}
	return s->have != NULL;
}

bool engine_held(const struct engine *e, rep_t rep, node_t n, struct held_entry *out)
{
	const struct slot *s = slot_of(e, n);
	*out = (struct held_entry){0};
	if (!rep || s->n_held < rep || !s->held[rep - 1].seq)
		return false;
	const struct held *h = &s->held[rep - 1];
	*out = (struct held_entry){.seq = h->seq, .stamp = h->stamp, .content = h->content,
	                           .kind = h->kind};
	return true;
}

node_t engine_find_content(const struct engine *e, const uint8_t hash[HASH_SIZE])
{
	if (!e->content_cap)
		return NODE_NONE;
	uint64_t k;
	memcpy(&k, hash, sizeof(k));
	for (node_t n = e->content_buckets[k & (e->content_cap - 1)]; n != UINT32_MAX;
	     n = slot_of(e, n)->content_next) {
		const struct head *h = shown_head(e, n);
		/* Only what was announced, or will be at once. */
		if (h && memcmp(h->hash, hash, HASH_SIZE) == 0 && !(slot_of(e, n)->flags & F_JOB) &&
		    !slot_of(e, n)->missing)
			return n;
	}
	return NODE_NONE;
}

const struct tree *engine_tree(const struct engine *e)
{
	return e->tree;
}

struct rows *engine_rows(struct engine *e)
{
	return e->rows;
}

uint64_t engine_seq(const struct engine *e)
{
	return e->counter_stored;
}

uint64_t engine_counter(const struct engine *e)
{
	return e->counter;
}

const struct replica_id *engine_ids(const struct engine *e)
{
	return e->ids;
}

size_t engine_replicas(const struct engine *e)
{
	return e->n_reps;
}

static uint64_t differ(const struct engine *e, rep_t rep)
{
	const struct replica *r = &e->reps[rep];
	/* All paths that either has, but those where both have the same, and tombstones beside nothing. */
	return rep ? e->n_have - (e->n_tombs - r->n_tombs) + r->n_held - r->n_both - r->n_equal : 0;
}

struct seen engine_seen(const struct engine *e, rep_t rep)
{
	const struct replica *r = &e->reps[rep];
	struct replica_info info = engine_replica(e, rep);
	struct seen s = seen_of(&info);
	if (!r->retired) {
		s.known = r->known.now;
		s.known_life = r->known.now_life;
	}
	return s;
}

struct replica_info engine_replica(const struct engine *e, rep_t rep)
{
	assert(rep < e->n_reps);
	const struct replica *r = &e->reps[rep];
	struct replica_info out = {
		.id = &e->ids[rep], .name = r->name, .address = r->address, .merged = r->merged.safe,
		.merged_life = r->merged.safe_life, .known_life = r->known.safe_life,
		.known = r->known.safe, .seq = r->seq, .acked = r->acked, .differ = differ(e, rep),
		.pending = r->pending, .pending_bytes = r->pending_bytes, .files = r->files,
		.bytes = r->bytes, .n_problems = r->n_problems - r->n_asked, .n_held = r->n_asked, .peer = r->peer, .via = r->via,
		.member = r->member, .reachable = r->reachable,
	};
	out.not_taken = rep && out.differ && is_through(e, r, true);
	out.takes_nothing = rep && out.differ && is_through(e, r, false);
	if (r->retired)
		out.merged = out.known = 0; /* so that it is no member when this is loaded again */
	if (rep == 0) {
		struct totals all = rows_totals(e->rows, NODE_ROOT);
		out.pending = e->n_wants;
		out.pending_bytes = e->want_bytes;
		out.files = all.files;
		out.bytes = all.bytes;
		out.n_problems = own_problems(e);
		out.n_held = e->n_going[GOING_HELD];
		out.seq = e->counter;
	}
	return out;
}

bool engine_congested(const struct engine *e)
{
	return e->data_held > DATA_HELD_MAX;
}

struct engine_status engine_status(const struct engine *e)
{
	struct totals all = rows_totals(e->rows, NODE_ROOT);
	struct engine_status s = {
		.files = all.files, .bytes = all.bytes, .rows = (uint64_t)all.files + all.dirs,
		.conflicts = e->n_conflicts, .held = e->n_going[GOING_HELD], .pending = e->n_wants,
		.problems = own_problems(e) + e->n_going[GOING_HELD],
		.pending_bytes = e->want_bytes, .unwatched = e->unwatched, .scanning = e->n_walks != 0,
		.halted = e->halted,
	};
	s.looking = e->lists.n + e->looks.n + e->fresh_looks.n + e->n_type[JOB_LIST] +
	            e->n_type[JOB_LOOK] - (e->rehash_job != 0) + e->busy_due.n;
	s.writing = e->busy_due.n;
	s.unstored = e->dirty.n + e->n_type[JOB_STORE];
	s.settled = e->started && !e->halted && !s.scanning && !s.looking && !s.unstored &&
	            !e->plans.n && !e->removals.n && !e->n_going[GOING_WAVE] && !e->deferred.n && e->n_jobs == (e->rehash_job != 0) && !e->n_moves &&
	            peers_told(e);
	s.agree = s.settled && !e->n_wants && !s.problems;
	bool all_reachable = true;
	for (size_t i = 1; i < e->n_reps; i++) {
		const struct replica *r = &e->reps[i];
		if (!r->member)
			continue;
		s.problems += r->n_problems;
		if (!r->reachable) { /* what it had when it went is told, and waited for by nobody */
			all_reachable = false;
			continue;
		}
		if (r->n_problems)
			s.agree = false;
		if (differ(e, (rep_t)i) || r->pending || r->known.now < r->seq || !r->report_n)
			s.agree = false;
	}
	s.in_sync = s.agree && all_reachable;
	return s;
}
