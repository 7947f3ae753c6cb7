/*
 * Owns what an evil replica says: frames that any decoder lets through, with fields that lie. It may
 * change and delete what it likes; it must not crash others, nor make them show or announce what
 * they should not.
 */
#include "config.h"
#include "sim.h"

#include "codec.h"

#include <stdlib.h>

static unsigned any(struct replica *r, unsigned n)
{
	return (unsigned)(rnd(&r->evil_seed) % n);
}

static uint64_t any_counter(struct replica *r)
{
	return any(r, 8) ? 1 + any(r, 60) : COUNTER_MAX - any(r, 2);
}

static void forge_head(struct replica *r, struct head *h)
{
	switch (any(r, 6)) {
	case 0: h->rank = any(r, 2) ? INT64_MAX : (int64_t)(rnd(&r->evil_seed) >> 1); break;
	case 1: h->mtime = any(r, 2) ? INT64_MIN : (int64_t)rnd(&r->evil_seed); break;
	case 2: if (h->kind == KIND_FILE) content_hash(any(r, 60), h->hash); break;
	case 3: if (h->kind == KIND_FILE) h->size = any(r, 2) ? UINT64_MAX >> 1 : any(r, 30); break;
	case 4: h->dot.counter = any_counter(r); break;
	default: break;
	}
}

/* Heads stand in the order of their dots, each once, and the context has them. */
static void forge_state(struct replica *r, struct state *st)
{
	struct state out = {.mode = st->mode};
	bool none = any(r, 6) == 0;
	memcpy(out.gone, st->gone, HASH_SIZE);
	for (uint16_t i = 0; i < st->context.n; i++) {
		struct dot d = st->context.dots[i];
		if (any(r, 6) == 0)
			d.counter = any_counter(r);
		version_add(&out.context, d);
	}
	for (uint16_t i = 0; i < st->n_heads && !none; i++) {
		struct head h = head_copy(&st->heads[i]);
		forge_head(r, &h);
		state_add_head(&out, &h);
		head_release(&h);
	}
	if (any(r, 4) == 0)
		out.mode.rank = INT64_MAX;
	if (any(r, 4) == 0)
		out.mode.bits = (uint16_t)any(r, 01000);
	state_release(st);
	*st = out;
}

void message_forge(struct sim *s, struct replica *r, struct message *m)
{
	(void)s;
	if (any(r, 3) == 0)
		return; /* now and then it tells the truth */
	for (size_t i = 0; i < m->n; i++) {
		if (m->entries && any(r, 2))
			forge_state(r, &m->entries[i].state);
		if (m->entries && m->entries[i].data.len && any(r, 3) == 0)
			*(uint8_t *)(uintptr_t)m->entries[i].data.p ^= 1;
		if (m->held && any(r, 2)) {
			m->held[i].stamp = rnd(&r->evil_seed);
			m->held[i].content = (uint32_t)rnd(&r->evil_seed);
			m->held[i].kind = (uint8_t)any(r, 4);
		}
		if (m->seen && any(r, 3) == 0)
			m->seen[i].merged = any_counter(r);
		if (m->seen && any(r, 3) == 0)
			m->seen[i].known = any_counter(r);
		if (m->seen && any(r, 6) == 0)
			m->seen[i].merged_life = any(r, 3);
	}
	if ((m->type == ACT_INDEX || m->type == ACT_HAVE || m->type == ACT_ACK) && any(r, 4) == 0)
		m->to += any_counter(r);
	if (m->type == ACT_INDEX && any(r, 3) == 0)
		m->more = !m->more;
	if (m->type == ACT_REPORT) {
		m->report.n += any(r, 3);
		m->report.pending = rnd(&r->evil_seed);
		m->report.files = rnd(&r->evil_seed);
	}
}
