/* Owns how programs end and start: kills, power losses, indexes that are lost or brought back. */
#include "config.h"
#include "sim.h"

#include <stdlib.h>

void stored_release(struct stored *st)
{
	for (size_t i = 0; i < st->n; i++)
		buf_release(&st->records[i].bytes);
	free(st->records);
	buf_release(&st->lives);
	*st = (struct stored){0};
}

static struct stored stored_copy(const struct stored *st)
{
	struct stored copy = *st;
	copy.records = xcalloc(st->n + 1, sizeof(*copy.records));
	copy.cap = st->n;
	for (size_t i = 0; i < st->n; i++) {
		copy.records[i] = st->records[i];
		copy.records[i].bytes = (struct buf){0};
		buf_add(&copy.records[i].bytes, st->records[i].bytes.data, st->records[i].bytes.len);
	}
	copy.lives = (struct buf){0};
	buf_add(&copy.lives, st->lives.data, st->lives.len);
	return copy;
}

void life_snapshot(struct replica *r)
{
	stored_release(&r->snapshot);
	r->snapshot = stored_copy(&r->stored);
}

void life_begin(struct sim *s, struct replica *r, bool fresh)
{
	struct stored *st = &r->stored;
	char name[2] = {(char)('A' + (int)r->at), 0};
	if (!fresh)
		r->id = st->id;
	if (fresh) {
		r->id = (struct replica_id){0};
		r->id.b[0] = (uint8_t)(r->at + 1);
		r->id.b[1] = (uint8_t)r->lives;
		stored_release(st); /* the new index has its id from the beginning */
		*st = (struct stored){.id = r->id, .reps = {{.id = r->id}}, .n_reps = 1, .there = true,
		                      .index = r->lives ? INDEX_LOST : INDEX_NEW}; /* .tutti has a mark */
	}
	r->lives++;
	struct engine_config config = {.id = r->id, .name = name, .counter = fresh ? 0 : st->counter,
	                               .hash_seed = r->lives, .life = (uint64_t)(r->at + 1) << 32 | r->lives};
	r->e = engine_new(&config);
	tell_time(s, r);
	for (size_t i = 0; !fresh && i < st->n_reps; i++)
		if (engine_load_replica(r->e, (rep_t)i, &st->reps[i], st->names[i]))
			fault(s, "%s does not load replica %zu", name, i);
	if (st->lives.len && engine_load_lives(r->e, (struct bytes){st->lives.data, st->lives.len}))
		fault(s, "%s does not load its lives", name);
	for (size_t i = 0; !fresh && i < st->n; i++)
		if (engine_load(r->e, bytes_of(st->records[i].path),
		                (struct bytes){st->records[i].bytes.data, st->records[i].bytes.len}))
			fault(s, "%s does not load its record of %s", name, st->records[i].path);
	if (fresh)
		intents_release(r);
	else
		intents_tell(s, r);
	oracle_told(s, r, NULL);
	if (!fresh)
		oracle_begins(s, r);
	engine_forget(r->e, s->forget_ms);
	engine_start(r->e, st->index);
	if (r->halted)
		engine_halt(r->e, "unmounted");
	wake(r);
}

void life_end(struct sim *s, struct replica *r)
{
	for (unsigned i = 0; i < s->n; i++)
		net_cut(s, r->at, i);
	jobs_drop(r);
	r->n_hints = r->n_tmps = 0;
	engine_free(r->e);
	r->e = NULL;
	r->rolled_back = false;
}

void life_restart(struct sim *s, struct replica *r, enum end_of_life how)
{
	static const char *const words[] = {"is killed", "loses its power", "loses its index", "is rolled back"};
	note(s, r->at, "%s", words[how]);
	mix(s, (uint64_t)how + 77 + r->at);
	jobs_cover(r, how == END_POWER);
	for (unsigned i = 0; i < s->n; i++)
		if (s->link[r->at][i].n)
			cover(MET_K_ANNOUNCE);
	if (engine_status(r->e).scanning)
		cover(MET_K_RECOVERY);
	life_end(s, r);
	if (how == END_POWER && !r->halted) {
		oracle_before_power(s, r);
		if (r->n_journal)
			cover(MET_K_POWER);
		disk_power_loss(s, r);
		oracle_after_power(s, r);
	}
	if (how == END_LOSE) {
		oracle_index_lost(s, r);
		stored_release(&r->stored);
		stored_release(&r->snapshot);
		cover(MET_LOST);
	}
	if (how == END_ROLLBACK && r->snapshot.there) {
		oracle_index_lost(s, r);
		oracle_rolled_back(s);
		r->went_back = true;
		stored_release(&r->stored);
		r->stored = stored_copy(&r->snapshot);
	}
	s->wall_ns += 1000000; /* a start takes its time: reports are numbered by that */
	s->mono_ms++;
	life_begin(s, r, how == END_LOSE);
}
