/*
 * Fuzzes entries and states as bytes: what is read is what the headers promise, is written and read again
 * as the same, and the merge of any two is commutative, associative and idempotent.
 * Input: an array of entries (as in `index`), one msgpack object.
 */
#include "config.h"
#include "codec.h"
#include "fuzz.h"
#include "path.h"

enum { KNOWN = 8, STATES = 3 };

static struct replica_id ids[KNOWN];
static rep_t reps[KNOWN];

static void must_be_whole(const struct state *s)
{
	MUST(s->n_heads <= HEADS_MAX && s->context.n <= REPLICAS_MAX && !state_empty(s));
	for (uint16_t i = 0; i < s->n_heads; i++) {
		MUST(version_has(&s->context, s->heads[i].dot));
		MUST(s->heads[i].kind >= KIND_FILE && s->heads[i].kind <= KIND_SYMLINK);
		MUST(!i || dot_compare(s->heads[i - 1].dot, s->heads[i].dot) < 0);
		MUST(state_find(s, s->heads[i].dot) == &s->heads[i]);
	}
	for (uint16_t i = 1; i < s->context.n; i++)
		MUST(s->context.dots[i - 1].rep < s->context.dots[i].rep);
	MUST(!s->n_heads == !state_winner(s, ids));
}

static void must_come_back(const struct codec_entry *e)
{
	struct codec_ids list;
	struct buf packed = {0};
	struct replica_id got[REPLICAS_MAX];
	rep_t back[REPLICAS_MAX];
	msgpack_zone zone;
	msgpack_object o;
	struct codec_entry again;
	codec_ids_init(&list, ids);
	codec_pack_entry(&packed, e, &list);
	MUST(packed.len <= codec_entry_size(e));
	MUST(msgpack_zone_init(&zone, 1024));
	size_t entry_len = packed.len;
	codec_pack_ids(&packed, &list);
	MUST(!wire_unpack((struct bytes){packed.data + entry_len, packed.len - entry_len}, &zone, &o));
	int n = codec_unpack_ids(&o, got);
	MUST(n >= 0 && (size_t)n == list.n);
	for (int i = 0; i < n; i++)
		back[i] = list.reps[i];
	MUST(!wire_unpack((struct bytes){packed.data, entry_len}, &zone, &o));
	MUST(codec_unpack_entry(&o, back, (size_t)n, &again) == 0);
	MUST(state_eq(&again.state, &e->state) && again.seq == e->seq &&
	     again.has_data == e->has_data && again.data.len == e->data.len);
	MUST(state_stamp(&again.state, ids) == state_stamp(&e->state, ids));
	state_release(&again.state);
	msgpack_zone_destroy(&zone);
	codec_ids_release(&list);
	buf_release(&packed);
}

static struct state merged(const struct state *a, const struct state *b)
{
	struct state s = state_copy(a);
	state_merge(&s, b);
	return s;
}

/* Two states that nobody could have made from the same changes (one dot for two contents) prove
 * nothing about the merge. */
static bool can_both_be(const struct state *a, const struct state *b)
{
	for (uint16_t i = 0; i < a->n_heads; i++) {
		const struct head *h = state_find(b, a->heads[i].dot);
		if (h && (!head_same_content(h, &a->heads[i]) || h->rank != a->heads[i].rank ||
			  h->mtime != a->heads[i].mtime))
			return false;
	}
	if (dot_eq(a->mode.dot, b->mode.dot) &&
	    (a->mode.bits != b->mode.bits || a->mode.rank != b->mode.rank))
		return false;
	return version_eq(&a->context, &b->context) ? state_eq(a, b) : true;
}

static void must_obey_the_laws(const struct state s[STATES])
{
	struct state self = merged(&s[0], &s[0]);
	MUST(state_eq(&self, &s[0]));
	state_release(&self);
	for (int i = 0; i < STATES; i++)
		for (int k = 0; k < i; k++)
			if (!can_both_be(&s[i], &s[k]))
				return;
	struct state ab = merged(&s[0], &s[1]), ba = merged(&s[1], &s[0]);
	struct state bc = merged(&s[1], &s[2]);
	struct state ab_c = merged(&ab, &s[2]), a_bc = merged(&s[0], &bc);
	MUST(ab.n_heads == ba.n_heads && version_eq(&ab.context, &ba.context));
	for (uint16_t i = 0; i < ab.n_heads; i++)
		MUST(dot_eq(ab.heads[i].dot, ba.heads[i].dot));
	MUST(ab_c.n_heads == a_bc.n_heads && version_eq(&ab_c.context, &a_bc.context));
	for (uint16_t i = 0; i < ab_c.n_heads; i++)
		MUST(dot_eq(ab_c.heads[i].dot, a_bc.heads[i].dot));
	MUST(version_covers(&ab.context, &s[0].context) && version_covers(&ab.context, &s[1].context));
	state_release(&ab);
	state_release(&ba);
	state_release(&bc);
	state_release(&ab_c);
	state_release(&a_bc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	msgpack_zone zone;
	msgpack_object list;
	struct state states[STATES] = {0};
	size_t n = 0;
	for (uint8_t i = 0; i < KNOWN; i++) {
		ids[i].b[0] = (uint8_t)(i + 1);
		reps[i] = i;
	}
	MUST(msgpack_zone_init(&zone, 1024));
	if (!wire_unpack((struct bytes){data, size}, &zone, &list)) {
		struct replica_id some[REPLICAS_MAX];
		codec_unpack_ids(&list, some);
		for (size_t i = 0; i < wire_count(&list); i++) {
			struct codec_entry e;
			if (codec_unpack_entry(wire_at(&list, i), reps, KNOWN, &e) < 0) {
				MUST(state_empty(&e.state) && !e.state.n_heads);
				continue;
			}
			MUST(path_check(e.path) == PATH_OK && e.data.len <= INDEX_DATA_MAX);
			must_be_whole(&e.state);
			must_come_back(&e);
			if (n < STATES)
				states[n++] = e.state;
			else
				state_release(&e.state);
		}
	}
	if (n == STATES)
		must_obey_the_laws(states);
	while (n)
		state_release(&states[--n]);
	msgpack_zone_destroy(&zone);
	return 0;
}
