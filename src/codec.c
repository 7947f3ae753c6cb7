/* Owns the form of states and entries as bytes. */
#include "config.h"
#include "codec.h"

#include "path.h"

#include <errno.h>
#include <stdlib.h>

/* ---- replica ids ------------------------------------------------------------------------ */

void codec_ids_init(struct codec_ids *ids, const struct replica_id *known)
{
	*ids = (struct codec_ids){.known = known};
}

void codec_ids_clear(struct codec_ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		ids->positions[ids->reps[i]] = 0;
	ids->n = 0;
}

void codec_ids_release(struct codec_ids *ids)
{
	free(ids->reps);
	free(ids->positions);
	*ids = (struct codec_ids){0};
}

size_t codec_ids_put(struct codec_ids *ids, rep_t rep)
{
	if (rep >= ids->n_positions) {
		size_t before = ids->n_positions;
		size_t need = (size_t)rep + 1;
		ids->positions = xrealloc(ids->positions, need, sizeof(*ids->positions));
		memset(ids->positions + before, 0, (need - before) * sizeof(*ids->positions));
		ids->n_positions = need;
	}
	if (!ids->positions[rep]) {
		assert(ids->n < UINT16_MAX);
		GROW(ids->reps, ids->cap, ids->n + 1);
		ids->reps[ids->n++] = rep;
		ids->positions[rep] = (uint16_t)ids->n;
	}
	return (size_t)ids->positions[rep] - 1;
}

void codec_pack_ids(struct buf *out, const struct codec_ids *ids)
{
	wire_array(out, ids->n);
	for (size_t i = 0; i < ids->n; i++)
		wire_fixed(out, ids->known[ids->reps[i]].b, REPLICA_ID_SIZE);
}

int codec_unpack_ids(const msgpack_object *array, struct replica_id out[REPLICAS_MAX])
{
	size_t n = wire_count(array);
	if (!array || array->type != MSGPACK_OBJECT_ARRAY || n > REPLICAS_MAX)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		if (!wire_as_fixed(wire_at(array, i), out[i].b, REPLICA_ID_SIZE))
			return -EPROTO;
		for (size_t j = 0; j < i; j++)
			if (memcmp(out[i].b, out[j].b, REPLICA_ID_SIZE) == 0)
				return -EPROTO;
	}
	return (int)n;
}

/* ---- packing ---------------------------------------------------------------------------- */

static bool hash_is_zero(const uint8_t hash[HASH_SIZE])
{
	static const uint8_t zero[HASH_SIZE];
	return memcmp(hash, zero, HASH_SIZE) == 0;
}

static void pack_dot(struct buf *out, struct dot d, struct codec_ids *ids)
{
	wire_uint(out, ids ? codec_ids_put(ids, d.rep) : d.rep);
	wire_uint(out, d.counter);
}

static void pack_head(struct buf *out, const struct head *h, struct codec_ids *ids)
{
	wire_array(out, h->found ? 9 : 8);
	wire_uint(out, h->kind);
	wire_uint(out, h->size);
	wire_int(out, h->mtime);
	if (h->kind == KIND_DIR)
		wire_nil(out);
	else
		wire_fixed(out, h->hash, HASH_SIZE);
	if (h->kind == KIND_SYMLINK)
		wire_fixed(out, h->target, (size_t)h->size);
	else
		wire_nil(out);
	pack_dot(out, h->dot, ids);
	wire_int(out, h->rank);
	if (h->found)
		wire_bool(out, true);
}

void codec_pack_state(struct buf *out, const struct state *s, struct codec_ids *ids)
{
	wire_array(out, s->n_heads);
	for (size_t i = 0; i < s->n_heads; i++)
		pack_head(out, &s->heads[i], ids);
	wire_array(out, s->context.n);
	for (size_t i = 0; i < s->context.n; i++) {
		wire_array(out, 2);
		pack_dot(out, s->context.dots[i], ids);
	}
	if (s->mode.dot.counter) {
		wire_array(out, 4);
		wire_uint(out, s->mode.bits);
		wire_int(out, s->mode.rank);
		pack_dot(out, s->mode.dot, ids);
	} else {
		wire_nil(out);
	}
	if (s->n_heads || hash_is_zero(s->gone))
		wire_nil(out);
	else
		wire_fixed(out, s->gone, HASH_SIZE);
}

void codec_pack_entry(struct buf *out, const struct codec_entry *e, struct codec_ids *ids)
{
	wire_array(out, 7);
	wire_bin(out, e->path);
	wire_uint(out, e->seq);
	codec_pack_state(out, &e->state, ids);
	if (e->has_data)
		wire_bin(out, e->data);
	else
		wire_nil(out);
}

size_t codec_entry_size(const struct codec_entry *e)
{
	/* The most that each part can take; a new replica adds its id to the frame as well. */
	enum {
		FRAME = 64, DOT = 3 + 9 + 2 + REPLICA_ID_SIZE, HEAD = 64 + HASH_SIZE + DOT,
		CONTEXT = 1 + DOT, MODE = 16 + DOT,
	};
	size_t size = FRAME + e->path.len + MODE + HASH_SIZE + (e->has_data ? e->data.len : 0);
	size += (size_t)e->state.n_heads * HEAD + (size_t)e->state.context.n * CONTEXT;
	for (size_t i = 0; i < e->state.n_heads; i++)
		if (e->state.heads[i].kind == KIND_SYMLINK)
			size += (size_t)e->state.heads[i].size;
	return size;
}

/* ---- unpacking -------------------------------------------------------------------------- */

/* Who the positions in a frame are. */
struct positions {
	const rep_t *reps; /* NULL: themselves */
	size_t n;
};

/* A dot stands in two neighbouring elements of an array. */
static bool unpack_dot(const msgpack_object *array, size_t at, struct positions who,
		       struct dot *out)
{
	uint64_t position;
	uint64_t counter;
	*out = (struct dot){0};
	if (!wire_as_uint(wire_at(array, at), UINT16_MAX, &position) || position >= who.n)
		return false;
	if (!wire_as_uint(wire_at(array, at + 1), COUNTER_MAX, &counter) || !counter)
		return false;
	out->rep = who.reps ? who.reps[position] : (rep_t)position;
	out->counter = counter;
	return true;
}

static bool unpack_rank(const msgpack_object *o, int64_t *out)
{
	return wire_as_int(o, out) && *out >= 0;
}

static bool unpack_head(const msgpack_object *o, struct positions who, struct head *out)
{
	uint64_t kind;
	struct bytes target = {0};
	struct head h = {0};
	size_t n = wire_count(o);
	if (n != 8 && (n != 9 || !wire_as_bool(wire_at(o, 8), &h.found)))
		return false;
	if (!wire_as_uint(wire_at(o, 0), KIND_SYMLINK, &kind) || kind == KIND_ABSENT)
		return false;
	if (!wire_as_uint(wire_at(o, 1), INT64_MAX, &h.size))
		return false;
	if (!wire_as_int(wire_at(o, 2), &h.mtime))
		return false;
	if (kind == KIND_DIR) {
		if (h.size || !wire_is_nil(wire_at(o, 3)))
			return false;
	} else if (!wire_as_fixed(wire_at(o, 3), h.hash, HASH_SIZE)) {
		return false;
	}
	if (kind == KIND_SYMLINK) {
		if (!wire_as_bin(wire_at(o, 4), &target) || target.len != h.size ||
		    !target.len || target.len > SYMLINK_MAX || memchr(target.p, 0, target.len))
			return false;
	} else if (!wire_is_nil(wire_at(o, 4))) {
		return false;
	}
	if (!unpack_dot(o, 5, who, &h.dot) || !unpack_rank(wire_at(o, 7), &h.rank))
		return false;
	h.kind = (uint8_t)kind;
	if (target.len)
		h.target = xmemdup(target.p, target.len);
	*out = h;
	return true;
}

static int by_dot(const void *a, const void *b)
{
	return dot_compare(*(const struct dot *)a, *(const struct dot *)b);
}

static int by_head_dot(const void *a, const void *b)
{
	return dot_compare(((const struct head *)a)->dot, ((const struct head *)b)->dot);
}

static bool unpack_context(const msgpack_object *o, struct positions who, struct version *out)
{
	size_t n = wire_count(o);
	if (o->type != MSGPACK_OBJECT_ARRAY || n > REPLICAS_MAX)
		return false;
	if (!n)
		return true;
	out->dots = xcalloc(n, sizeof(*out->dots));
	out->n = (uint16_t)n;
	for (size_t i = 0; i < n; i++) {
		const msgpack_object *pair = wire_at(o, i);
		if (wire_count(pair) != 2 || !unpack_dot(pair, 0, who, &out->dots[i]))
			return false;
	}
	qsort(out->dots, n, sizeof(*out->dots), by_dot);
	for (size_t i = 1; i < n; i++)
		if (out->dots[i].rep == out->dots[i - 1].rep)
			return false;
	return true;
}

static bool unpack_heads(const msgpack_object *o, struct positions who, struct state *s)
{
	size_t n = wire_count(o);
	if (o->type != MSGPACK_OBJECT_ARRAY || n > HEADS_MAX)
		return false;
	if (!n)
		return true;
	s->heads = xcalloc(n, sizeof(*s->heads));
	for (size_t i = 0; i < n; i++) {
		if (!unpack_head(wire_at(o, i), who, &s->heads[i]))
			return false;
		s->n_heads++;
		if (!version_has(&s->context, s->heads[i].dot))
			return false;
	}
	qsort(s->heads, n, sizeof(*s->heads), by_head_dot);
	for (size_t i = 1; i < n; i++)
		if (dot_eq(s->heads[i].dot, s->heads[i - 1].dot))
			return false;
	return true;
}

static bool unpack_mode(const msgpack_object *o, struct positions who, struct mode_reg *out)
{
	uint64_t bits;
	if (wire_is_nil(o))
		return true;
	if (wire_count(o) != 4 || !wire_as_uint(wire_at(o, 0), MODE_BITS, &bits))
		return false;
	out->bits = (uint16_t)bits;
	return unpack_rank(wire_at(o, 1), &out->rank) && unpack_dot(o, 2, who, &out->dot);
}

static bool unpack_gone(const msgpack_object *o, struct state *s)
{
	if (wire_is_nil(o))
		return true;
	return !s->n_heads && s->context.n && wire_as_fixed(o, s->gone, HASH_SIZE);
}

int codec_unpack_state(const msgpack_object *four, const rep_t *reps, size_t n_ids,
		       struct state *out)
{
	struct positions who = {reps, n_ids};
	*out = (struct state){0};
	/* The context first: the heads are looked up in it. */
	if (unpack_context(&four[1], who, &out->context) && unpack_heads(&four[0], who, out) &&
	    unpack_mode(&four[2], who, &out->mode) && unpack_gone(&four[3], out))
		return 0;
	state_release(out);
	*out = (struct state){0};
	return -EPROTO;
}

/* Content comes along only where it can be the winner's. */
static bool data_fits(struct bytes data, const struct state *s)
{
	if (data.len > INDEX_DATA_MAX)
		return false;
	for (size_t i = 0; i < s->n_heads; i++)
		if (s->heads[i].kind == KIND_FILE && s->heads[i].size == data.len)
			return true;
	return false;
}

int codec_unpack_entry(const msgpack_object *o, const rep_t *reps, size_t n_ids,
		       struct codec_entry *out)
{
	struct codec_entry e = {0};
	*out = e;
	if (wire_count(o) != 7)
		return -EPROTO;
	if (!wire_as_bytes(wire_at(o, 0), &e.path) || path_check(e.path) != PATH_OK)
		return -EPROTO;
	if (!wire_as_uint(wire_at(o, 1), COUNTER_MAX, &e.seq) || !e.seq)
		return -EPROTO;
	int r = codec_unpack_state(wire_at(o, 2), reps, n_ids, &e.state);
	if (r)
		return r;
	const msgpack_object *data = wire_at(o, 6);
	e.has_data = !wire_is_nil(data);
	if (!e.state.context.n ||
	    (e.has_data && (!wire_as_bin(data, &e.data) || !data_fits(e.data, &e.state)))) {
		state_release(&e.state);
		return -EPROTO;
	}
	*out = e;
	return 0;
}
