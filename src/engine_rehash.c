/*
 * Owns the slow reading of everything again, for changes that nothing tells: a program that stores
 * through a mapping which it keeps, a disk that decays. One file at a time, only when nothing else is to be
 * done, so that all are read once in the time that is set. It begins anywhere: however short the
 * server's lives are, each file gets its turn.
 */
#include "config.h"
#include "engine_internal.h"

#include <stdlib.h>

void engine_rehash(struct engine *e, uint64_t ms)
{
	e->rehash_ms = ms;
}

static bool is_file(const struct engine *e, node_t n)
{
	const struct slot *s = slot_of(e, n);
	return s->kind == KIND_FILE && !s->want &&
	       !(s->flags & (F_LOOKING | F_LOOK_QUEUED | F_JOB | F_BUSY)) && shown_head(e, n);
}

static node_t next_file(struct engine *e)
{
	for (size_t i = 0; i < e->n_slots; i++) {
		if (e->rehash_at >= e->n_slots) /* at first it is any number */
			e->rehash_at %= (node_t)e->n_slots;
		node_t n = e->rehash_at++;
		if (is_file(e, n))
			return n;
	}
	return NODE_NONE;
}

static bool is_idle(const struct engine *e)
{
	return e->started && !e->halted && !e->n_jobs && !e->n_walks && !e->lists.n &&
	       !e->looks.n && !e->fresh_looks.n && !e->plans.n && !e->dirty.n;
}

static uint64_t interval(const struct engine *e)
{
	uint64_t files = rows_totals(e->rows, NODE_ROOT).files;
	uint64_t ms = e->rehash_ms / (files ? files : 1);
	return ms ? ms : 1;
}

uint64_t rehash_due(const struct engine *e)
{
	return e->rehash_ms && is_idle(e) ? e->rehash_due_ms : UINT64_MAX;
}

bool next_rehash(struct engine *e)
{
	if (rehash_due(e) > e->mono_ms)
		return false;
	uint64_t step = interval(e);
	if (!e->rehash_due_ms) { /* the first time that all is quiet */
		e->rehash_due_ms = e->mono_ms + step;
		return false;
	}
	/* Not all that was missed in a long sleep is made up for. */
	if (e->mono_ms - e->rehash_due_ms > REHASH_BEHIND_MS)
		e->rehash_due_ms = e->mono_ms - REHASH_BEHIND_MS;
	e->rehash_due_ms += step;
	node_t n = next_file(e);
	if (n == NODE_NONE)
		return false;
	struct job *j = job_new(e, JOB_LOOK, 1);
	j->walks = xcalloc(1, sizeof(*j->walks));
	j->nodes[0] = n;
	e->rehash_job = j->id;
	struct slot *s = slot_of(e, n);
	s->flags = (uint16_t)((s->flags & ~F_LOOK_AGAIN) | F_LOOKING);
	s->read = false;
	size_t at = scratch_add_path(e, n);
	GROW(e->act_looks, e->act_looks_cap, 1);
	e->act_looks[0] = (struct look){.path = {e->scratch.data + at, e->scratch.len - at}};
	e->action = (struct action){.type = ACT_LOOK, .job = j->id, .looks = e->act_looks, .n = 1,
	                            .idle = true};
	return true;
}
