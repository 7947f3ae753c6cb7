/*
 * Fuzzes the engine with a hostile peer: states, holdings, reports and acknowledgements that the codec
 * would let through, in any order, while a small disk answers. It may ask for the peer to be dropped; it
 * must not fail, ask for a path that is none, or go on for ever.
 * Input: steps of a byte that says what, and what that needs.
 */
#include "config.h"
#include "engine.h"
#include "fuzz.h"
#include "path.h"

#include <errno.h>
#include <stdlib.h>

enum { REPLICAS = 4, STEPS_MAX = 200, ACTIONS_MAX = 4000 };

static const char *const names[] = {"a", "b", "d", "d/x", "d/y", "a.conflict-02000000-1", "e.txt", "d/x/z"};

struct fuzz {
	struct engine *e;
	bool up;
	uint64_t mono, seq;
};

static struct replica_id id_of(unsigned i)
{
	return (struct replica_id){{(uint8_t)(i + 1)}};
}

static struct bytes a_path(struct input *in)
{
	return bytes_of(names[input_byte(in) % ARRAY_LEN(names)]);
}

static struct dot a_dot(struct fuzz *f, struct input *in)
{
	uint8_t b = input_byte(in);
	struct replica_id id = id_of(b % REPLICAS);
	int rep = engine_intern(f->e, &id);
	MUST(rep >= 0);
	return (struct dot){(uint64_t)(b / REPLICAS) + 1, (rep_t)rep};
}

static struct found a_found(struct input *in)
{
	uint8_t b = input_byte(in);
	struct found o = {.kind = b % 5, .stamp = b, .ctime_ns = b, .mtime_ns = b, .size = b & 3,
			  .mode = 0644};
	if (o.kind == KIND_ABSENT)
		return (struct found){0};
	if (o.kind == KIND_FILE || o.kind == KIND_SYMLINK)
		o.hash[0] = (uint8_t)(o.size + 1);
	return o;
}

static struct state a_state(struct fuzz *f, struct input *in)
{
	struct state s = {0};
	unsigned heads = input_byte(in) % 4, seen = input_byte(in) % 4;
	for (unsigned i = 0; i < heads; i++) {
		uint8_t b = input_byte(in);
		struct head h = {.dot = a_dot(f, in), .rank = (int64_t)input_number(in, 1),
				 .mtime = b, .kind = (uint8_t)(KIND_FILE + b % 3)};
		if (state_find(&s, h.dot))
			continue;
		if (h.kind != KIND_DIR) {
			h.size = b & 3;
			h.hash[0] = (uint8_t)(h.size + 1);
		}
		if (h.kind == KIND_SYMLINK) {
			h.size = h.size ? h.size : 1;
			h.target = xmemdup("abc", (size_t)h.size);
		}
		state_add_head(&s, &h);
		head_release(&h);
	}
	while (seen--)
		version_add(&s.context, a_dot(f, in));
	if (!s.context.n)
		version_add(&s.context, a_dot(f, in));
	if (input_byte(in) & 1)
		s.mode = (struct mode_reg){1, s.context.dots[0], 0600};
	if (!s.n_heads)
		s.gone[0] = input_byte(in) & 3;
	return s;
}

static void drop(struct fuzz *f)
{
	if (f->up)
		engine_peer_down(f->e, 1);
	f->up = false;
}

static void an_index(struct fuzz *f, struct input *in)
{
	struct index_entry list[3] = {0};
	size_t n = input_byte(in) % 4;
	const char *why = NULL;
	if (n > 3)
		n = 3;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct index_entry){.path = a_path(in), .seq = ++f->seq, .state = a_state(f, in)};
	if (engine_peer_index(f->e, 1, f->seq, f->seq / 4, input_byte(in) & 1, list, n, &why) < 0)
		drop(f);
}

static void a_have(struct fuzz *f, struct input *in)
{
	struct replica_id id = id_of(input_byte(in) % REPLICAS);
	int rep = engine_intern(f->e, &id);
	struct held_entry list[2] = {0};
	const char *why = NULL;
	MUST(rep >= 0);
	for (size_t i = 0; i < 2; i++)
		list[i] = (struct held_entry){a_path(in), input_byte(in) + 1u, input_byte(in),
					      input_byte(in), input_byte(in) % 4};
	uint64_t to = list[0].seq > list[1].seq ? list[0].seq : list[1].seq;
	if (engine_peer_have(f->e, 1, (rep_t)rep, to, to / 4, list, 2, &why) < 0)
		drop(f);
}

static void a_report(struct fuzz *f, struct input *in)
{
	struct problem p = {.path = a_path(in), .reason = bytes_of("broken")};
	struct replica_id links[2] = {id_of(input_byte(in) % REPLICAS), id_of(input_byte(in) % REPLICAS)};
	const char *why = NULL;
	struct report r = {.id = id_of(input_byte(in) % REPLICAS), .n = input_byte(in),
			   .name = bytes_of("x"), .pending = input_byte(in), .n_problems = 1,
			   .problems = &p, .n_listed = 1, .links = links, .n_links = 2};
	if (engine_peer_report(f->e, 1, &r, &why) < 0)
		drop(f);
}

static void a_sync(struct fuzz *f, struct input *in)
{
	struct seen seen[2];
	for (size_t i = 0; i < 2; i++)
		seen[i] = (struct seen){id_of(input_byte(in) % REPLICAS), input_byte(in), input_byte(in), i, i};
	engine_peer_sync(f->e, 1, seen, 2);
}

static void must_be_path(struct bytes p)
{
	MUST(path_check(p) == PATH_OK);
}

/* What the engine wants is done, in some way that the input says. */
static void carry_out(struct fuzz *f, struct input *in)
{
	struct action a;
	for (unsigned n = 0; engine_next(f->e, &a); n++) {
		MUST(n < ACTIONS_MAX);
		switch (a.type) {
		case ACT_LIST: {
			struct listed items[2] = {{bytes_of("a"), {0}}, {bytes_of("x"), {0}}};
			size_t k = input_byte(in) % 3, used = 0;
			if (a.path.len)
				must_be_path(a.path);
			for (size_t i = 0; i < k; i++) {
				items[used].found = a_found(in);
				used += items[used].found.kind != KIND_ABSENT;
			}
			engine_listed(f->e, a.job, 0, items, used, false);
			break;
		}
		case ACT_LOOK: {
			struct look *looks = xmemdup(a.looks, a.n * sizeof(*looks));
			for (size_t i = 0; i < a.n; i++) {
				must_be_path(looks[i].path);
				looks[i].found = a_found(in);
				if (looks[i].found.kind == KIND_SYMLINK) {
					looks[i].found.size = 1;
					looks[i].found.target = xmemdup("t", 1);
				}
			}
			engine_looked(f->e, a.job, looks, a.n);
			free(looks);
			break;
		}
		case ACT_APPLY: {
			struct op *ops = xmemdup(a.ops, a.n * sizeof(*ops));
			for (size_t i = 0; i < a.n; i++) {
				static const int errors[] = {0, 0, 0, -ESTALE, -ENOSPC, -EBADMSG, -ENOTEMPTY};
				must_be_path(ops[i].path);
				ops[i].error = errors[input_byte(in) % ARRAY_LEN(errors)];
				bool gone = ops[i].type == OP_DELETE || ops[i].type == OP_RMDIR;
				bool dir = ops[i].type == OP_MKDIR;
				if (!gone)
					ops[i].found = (struct found){
						.kind = dir ? KIND_DIR : ops[i].type == OP_SYMLINK
							? KIND_SYMLINK : KIND_FILE,
						.stamp = ++f->mono, .mode = ops[i].mode};
			}
			engine_applied(f->e, a.job, ops, a.n);
			free(ops);
			break;
		}
		case ACT_FETCH:
			must_be_path(a.path);
			MUST(a.peer == 1);
			engine_fetched(f->e, a.job, input_byte(in) & 1 ? -ENODATA : 0, ++f->mono);
			break;
		case ACT_STORE:
			engine_stored(f->e, a.job);
			break;
		case ACT_INDEX:
		case ACT_HAVE:
			if (f->up)
				engine_index_sent(f->e, 1);
			break;
		case ACT_DROP:
			drop(f);
			break;
		default:
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct fuzz f = {.mono = 1000};
	f.e = engine_new(&(struct engine_config){.id = id_of(0), .name = "x", .counter = 5, .hash_seed = 1, .life = 1});
	engine_time(f.e, 1000000000, f.mono);
	engine_start(f.e, INDEX_LOST);
	carry_out(&f, &in);
	for (unsigned step = 0; in.len && step < STEPS_MAX; step++) {
		uint8_t what = input_byte(&in);
		f.mono += what;
		engine_time(f.e, (int64_t)f.mono * 1000000, f.mono);
		if (!f.up) {
			struct replica_id id = id_of(1 + what % (REPLICAS - 1));
			f.up = engine_peer_up(f.e, 1, &id, "peer", "here", f.seq) == 0;
			if (f.up)
				engine_peer_sync(f.e, 1, NULL, 0);
			carry_out(&f, &in);
			continue;
		}
		switch (what % 9) {
		case 0: an_index(&f, &in); break;
		case 1: an_index(&f, &in); break;
		case 2: a_have(&f, &in); break;
		case 3: a_report(&f, &in); break;
		case 4: engine_peer_ack(f.e, 1, input_number(&in, 1)); break;
		case 5: a_sync(&f, &in); break;
		case 6:
			engine_hint(f.e, NODE_ROOT, a_path(&in).len == 1 ? bytes_of("a") : bytes_of("b"),
				    (enum hint)(input_byte(&in) % (HINT_LIST + 1)));
			break;
		case 7: engine_walk(f.e, (struct bytes){0}); break;
		default:
			drop(&f);
		}
		f.mono += input_byte(&in);
		engine_time(f.e, (int64_t)f.mono * 1000000, f.mono);
		engine_tick(f.e);
		carry_out(&f, &in);
	}
	struct engine_status st = engine_status(f.e);
	MUST(!st.in_sync || !f.up || st.settled);
	engine_free(f.e);
	return 0;
}
