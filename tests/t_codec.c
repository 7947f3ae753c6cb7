/* Tests of codec: states and entries come back as they were, and no foreign bytes make a state that
 * breaks what entry.h promises. */
#include "config.h"
#include "codec.h"

#include "path.h"
#include "suite.h"

#include <errno.h>
#include <stdlib.h>

static struct buf out;
static struct codec_ids ids;
static struct replica_id known[REPLICAS_MAX];
static msgpack_zone zone;

static void setup(void)
{
	out = (struct buf){0};
	for (size_t i = 0; i < REPLICAS_MAX; i++)
		known[i] = (struct replica_id){{(uint8_t)i, 1, 2, 3}};
	codec_ids_init(&ids, known);
	ck_assert(msgpack_zone_init(&zone, 8192));
}

static void teardown(void)
{
	msgpack_zone_destroy(&zone);
	codec_ids_release(&ids);
	buf_release(&out);
}

static uint64_t large(void)
{
	return ((uint64_t)pick(1u << 31) << 31 | pick(1u << 31)) >> pick(62);
}

static struct head random_head(struct dot dot)
{
	struct head h = {.dot = dot, .kind = (uint8_t)(1 + pick(3)), .found = pick(2)};
	h.rank = (int64_t)large();
	h.mtime = (int64_t)large() * (pick(2) ? 1 : -1);
	if (h.kind != KIND_DIR) {
		h.size = large();
		for (size_t i = 0; i < HASH_SIZE; i++)
			h.hash[i] = (uint8_t)pick(256);
	}
	if (h.kind == KIND_SYMLINK) {
		h.size = 1 + pick(pick(2) ? 30 : SYMLINK_MAX);
		h.target = xmalloc((size_t)h.size);
		memset(h.target, (int)(1 + pick(255)), (size_t)h.size);
	}
	return h;
}

static struct state random_state(unsigned max_heads)
{
	struct state s = {0};
	unsigned n = pick(max_heads + 1);
	for (unsigned i = 0; i < n; i++) {
		struct dot d = {.rep = (rep_t)pick(40), .counter = 1 + large() % COUNTER_MAX};
		struct head h = random_head(d);
		if (!state_find(&s, d))
			state_add_head(&s, &h);
		head_release(&h);
	}
	for (unsigned i = pick(5) + 1; i; i--)
		version_add(&s.context, (struct dot){.rep = (rep_t)pick(REPLICAS_MAX),
						     .counter = 1 + large() % COUNTER_MAX});
	if (pick(2))
		s.mode = (struct mode_reg){(int64_t)large(),
					   {1 + large() % COUNTER_MAX, (rep_t)pick(9)},
					   (uint16_t)(pick(MODE_BITS + 1))};
	if (!s.n_heads && pick(2))
		memset(s.gone, 7, HASH_SIZE);
	return s;
}

/* Decodes what is in `out`. */
static const msgpack_object *decoded(void)
{
	static msgpack_object o;
	const char *why = wire_unpack((struct bytes){out.data, out.len}, &zone, &o);
	ck_assert_msg(!why, "%s", why);
	return &o;
}

static void expect_sound(const struct state *s)
{
	ck_assert_uint_le(s->n_heads, HEADS_MAX);
	ck_assert_uint_le(s->context.n, REPLICAS_MAX);
	for (size_t i = 0; i < s->context.n; i++) {
		ck_assert_uint_gt(s->context.dots[i].counter, 0);
		ck_assert_uint_le(s->context.dots[i].counter, COUNTER_MAX);
		if (i)
			ck_assert_uint_lt(s->context.dots[i - 1].rep, s->context.dots[i].rep);
	}
	for (size_t i = 0; i < s->n_heads; i++) {
		const struct head *h = &s->heads[i];
		ck_assert(h->kind >= KIND_FILE && h->kind <= KIND_SYMLINK);
		ck_assert_uint_le(h->size, INT64_MAX);
		ck_assert_int_ge(h->rank, 0);
		ck_assert(version_has(&s->context, h->dot));
		ck_assert_int_eq(h->target != NULL, h->kind == KIND_SYMLINK);
		if (h->target)
			ck_assert(h->size && h->size <= SYMLINK_MAX &&
				  !memchr(h->target, 0, (size_t)h->size));
		if (h->kind == KIND_DIR)
			ck_assert_uint_eq(h->size, 0);
		if (i)
			ck_assert_int_lt(dot_compare(s->heads[i - 1].dot, h->dot), 0);
	}
	ck_assert_uint_le(s->mode.bits, MODE_BITS);
	ck_assert_int_ge(s->mode.rank, 0);
}

START_TEST(states_come_back_by_their_own_numbers)
{
	for (uint64_t run = 0; run < 500; run++) {
		pick_from(run);
		struct state s = random_state(run % 50 ? 4 : HEADS_MAX);
		struct state back;
		buf_clear(&out);
		wire_array(&out, 4);
		codec_pack_state(&out, &s, NULL);
		ck_assert_int_eq(
			codec_unpack_state(decoded()->via.array.ptr, NULL, REPLICAS_MAX, &back), 0);
		ck_assert(state_eq(&s, &back));
		ck_assert_mem_eq(s.gone, back.gone, HASH_SIZE);
		expect_sound(&back);
		/* and make the same bytes again */
		size_t len = out.len;
		wire_array(&out, 4);
		codec_pack_state(&out, &back, NULL);
		ck_assert_uint_eq(out.len, 2 * len);
		ck_assert_mem_eq(out.data, out.data + len, len);
		state_release(&s);
		state_release(&back);
		msgpack_zone_clear(&zone);
	}
}
END_TEST

START_TEST(entries_come_back_with_other_numbers)
{
	for (uint64_t run = 0; run < 300; run++) {
		pick_from(run);
		/* several entries share the ids; the other side numbers backwards */
		struct codec_entry e[3];
		char path[3][40];
		size_t n = 1 + pick(3);
		buf_clear(&out);
		codec_ids_clear(&ids);
		wire_array(&out, n + 1);
		for (size_t i = 0; i < n; i++) {
			struct state s = random_state(3);
			memset(path[i], 'a', sizeof(path[i]));
			e[i] = (struct codec_entry){
				.path = {(const uint8_t *)path[i], 1 + pick(40)},
				.seq = 1 + large(),
				.state = s};
			if (s.n_heads && s.heads[0].kind == KIND_FILE && pick(2)) {
				e[i].state.heads[0].size = pick(41);
				e[i].data = (struct bytes){(const uint8_t *)path[i],
							   (size_t)e[i].state.heads[0].size};
				e[i].has_data = true;
			}
			size_t before = out.len;
			codec_pack_entry(&out, &e[i], &ids);
			ck_assert_uint_le(out.len - before, codec_entry_size(&e[i]));
		}
		codec_pack_ids(&out, &ids);
		const msgpack_object *o = decoded();
		struct replica_id got[REPLICAS_MAX];
		rep_t reps[REPLICAS_MAX];
		int n_ids = codec_unpack_ids(wire_at(o, n), got);
		ck_assert_int_eq(n_ids, (int)ids.n);
		for (int i = 0; i < n_ids; i++)
			reps[i] = (rep_t)(REPLICAS_MAX - 1 - got[i].b[0]);
		for (size_t i = 0; i < n; i++) {
			struct codec_entry back;
			ck_assert_int_eq(
				codec_unpack_entry(wire_at(o, i), reps, (size_t)n_ids, &back), 0);
			ck_assert(bytes_eq(back.path, e[i].path));
			ck_assert_uint_eq(back.seq, e[i].seq);
			ck_assert_int_eq(back.has_data, e[i].has_data);
			ck_assert(bytes_eq(back.data, e[i].data));
			expect_sound(&back.state);
			ck_assert_uint_eq(back.state.n_heads, e[i].state.n_heads);
			ck_assert_uint_eq(back.state.context.n, e[i].state.context.n);
			for (size_t k = 0; k < e[i].state.n_heads; k++) {
				struct head h = e[i].state.heads[k];
				h.dot.rep = (rep_t)(REPLICAS_MAX - 1 - h.dot.rep);
				const struct head *b = state_find(&back.state, h.dot);
				ck_assert_ptr_nonnull(b);
				ck_assert(head_same_content(&h, b));
				ck_assert_int_eq(h.mtime, b->mtime);
				ck_assert_int_eq(h.rank, b->rank);
				ck_assert_int_eq(h.found, b->found);
			}
			for (size_t k = 0; k < e[i].state.context.n; k++) {
				struct dot d = e[i].state.context.dots[k];
				d.rep = (rep_t)(REPLICAS_MAX - 1 - d.rep);
				ck_assert(version_has(&back.state.context, d));
				d.counter++;
				ck_assert(!version_has(&back.state.context, d));
			}
			state_release(&back.state);
			state_release(&e[i].state);
		}
		msgpack_zone_clear(&zone);
	}
}
END_TEST

START_TEST(the_size_of_an_entry_is_known_before)
{
	for (uint64_t run = 0; run < 300; run++) {
		pick_from(run);
		struct codec_entry e = {.path = bytes_of("some/where"), .seq = COUNTER_MAX,
					.state = random_state(5)};
		buf_clear(&out);
		codec_ids_clear(&ids);
		codec_pack_entry(&out, &e, &ids);
		codec_pack_ids(&out, &ids); /* new ids are part of the price */
		ck_assert_uint_le(out.len, codec_entry_size(&e) + 3);
		state_release(&e.state);
	}
}
END_TEST

START_TEST(ids_are_found_again)
{
	ck_assert_uint_eq(codec_ids_put(&ids, 200), 0);
	ck_assert_uint_eq(codec_ids_put(&ids, 3), 1);
	ck_assert_uint_eq(codec_ids_put(&ids, 200), 0);
	ck_assert_uint_eq(codec_ids_put(&ids, 0), 2);
	ck_assert_uint_eq(ids.n, 3);
	codec_ids_clear(&ids);
	ck_assert_uint_eq(codec_ids_put(&ids, 3), 0);
}
END_TEST

START_TEST(lists_of_ids_are_checked)
{
	struct replica_id got[REPLICAS_MAX];
	for (size_t n = REPLICAS_MAX - 1; n <= REPLICAS_MAX + 1; n++) {
		buf_clear(&out);
		wire_array(&out, n);
		for (size_t i = 0; i < n; i++) {
			uint8_t id[16] = {(uint8_t)i, (uint8_t)(i >> 8)};
			wire_fixed(&out, id, 16);
		}
		int want = n > REPLICAS_MAX ? -EPROTO : (int)n;
		ck_assert_int_eq(codec_unpack_ids(decoded(), got), want);
	}
	buf_clear(&out);
	wire_array(&out, 2);
	wire_fixed(&out, known[1].b, 16);
	wire_fixed(&out, known[1].b, 16);
	ck_assert_int_eq(codec_unpack_ids(decoded(), got), -EPROTO); /* the same twice */
	for (size_t size = 15; size <= 17; size++) {
		static const uint8_t id[17];
		buf_clear(&out);
		wire_array(&out, 1);
		wire_fixed(&out, id, size);
		ck_assert_int_eq(codec_unpack_ids(decoded(), got), size == 16 ? 1 : -EPROTO);
	}
	ck_assert_int_eq(codec_unpack_ids(NULL, got), -EPROTO);
}
END_TEST

/* ---- what must be refused --------------------------------------------------------------- */

/* A small language for entries, so that each case is one line:
 *   numbers, n nil, hN N bytes of bin, tN a target of N bytes, z a target with a NUL,
 *   ( ) arrays, p a path; "_" between. */
static void pack_words(const char **p, size_t *n)
{
	while (**p && **p != ')') {
		char *end;
		char what = **p;
		if (what == '_' || what == ' ') {
			++*p;
			continue;
		}
		++*n;
		if (what == '(') {
			struct buf outer = out;
			size_t inner = 0;
			out = (struct buf){0};
			++*p;
			pack_words(p, &inner);
			ck_assert_int_eq(**p, ')');
			++*p;
			struct buf body = out;
			out = outer;
			wire_array(&out, inner);
			buf_add(&out, body.data, body.len);
			buf_release(&body);
		} else if (what == 'n') {
			wire_nil(&out);
			++*p;
		} else if (what == 'z') {
			wire_fixed(&out, "a\0b", 3);
			++*p;
		} else if (what == 'p') {
			wire_fixed(&out, "a/b", 3);
			++*p;
		} else if (what == 'q') {
			wire_fixed(&out, "a/../b", 6);
			++*p;
		} else if (what == 's') {
			wire_text(&out, "text");
			++*p;
		} else if (what == 'h' || what == 't') {
			size_t size = strtoul(*p + 1, &end, 10);
			uint8_t *b = xmalloc(size);
			memset(b, 'x', size);
			wire_fixed(&out, b, size);
			free(b);
			*p = end;
		} else if (what == '-') {
			wire_int(&out, strtoll(*p, &end, 10));
			*p = end;
		} else {
			ck_assert_msg(what >= '0' && what <= '9', "what is '%c'?", what);
			wire_uint(&out, strtoull(*p, &end, 10));
			*p = end;
		}
	}
}

static int unpack_text(const char *text, size_t n_ids, struct codec_entry *e)
{
	size_t n = 0;
	buf_clear(&out);
	msgpack_zone_clear(&zone);
	pack_words(&text, &n);
	ck_assert_uint_eq(n, 1);
	return codec_unpack_entry(decoded(), NULL, n_ids, e);
}

START_TEST(good_entries_pass)
{
	static const char *const good[] = {
		"(p 1 ((1 5 -7 h32 n 0 1 9)) ((0 1)) n n n)",
		"(p 1 ((1 5 -7 h32 n 0 1 9)) ((0 1)) n n h5)",
		"(p 1 ((1 0 0 h32 n 0 1 0)) ((0 1)) n n h0)",
		"(s 1 ((2 0 0 n n 2 4611686018427387904 9)) ((2 4611686018427387904)) n n n)",
		"(p 1 ((3 4095 0 h32 t4095 0 1 0)) ((0 1)) n n n)",
		"(p 1 () ((0 1)) n h32 n)",
		"(p 1 () ((2 1)(0 1)(1 7)) n n n)",
		"(p 1 ((1 9223372036854775807 0 h32 n 1 4 9)(2 0 0 n n 0 3 9)) ((0 3)(1 5)) n n n)",
		"(p 1 ((2 0 0 n n 0 1 0)) ((0 1)) (511 0 2 1) n n)",
		"(p 1 ((1 16384 0 h32 n 0 1 0)) ((0 1)) n n h16384)",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct codec_entry e;
		int r = unpack_text(good[i], 3, &e);
		ck_assert_msg(r == 0, "refused: %s", good[i]);
		expect_sound(&e.state);
		state_release(&e.state);
	}
}
END_TEST

START_TEST(bad_entries_are_refused)
{
	static const char *const bad[] = {
		"()", "n", "5",
		"(p 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n)",             /* too short */
		"(p 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n n n)",         /* too long */
		"(q 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",           /* a path out of the root */
		"(h0 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",          /* the root itself */
		"(5 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",
		"(p 0 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",           /* sequence number 0 */
		"(p -1 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",
		"(p 4611686018427387905 ((2 0 0 n n 0 1 0)) ((0 1)) n n n)",
		"(p 1 () () n n n)",                                 /* nothing was ever here */
		"(p 1 n ((0 1)) n n n)",
		"(p 1 () n n n n)",
		"(p 1 5 ((0 1)) n n n)",
		/* heads */
		"(p 1 (n) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 0 1)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 0 1 0 0)) ((0 1)) n n n)",         /* found, but no bool */
		"(p 1 ((2 0 0 n n 0 1 0 n)) ((0 1)) n n n)",
		"(p 1 ((0 0 0 n n 0 1 0)) ((0 1)) n n n)",           /* kind absent */
		"(p 1 ((4 0 0 n n 0 1 0)) ((0 1)) n n n)",           /* no such kind */
		"(p 1 ((2 1 0 n n 0 1 0)) ((0 1)) n n n)",           /* a folder with a size */
		"(p 1 ((2 0 0 h32 n 0 1 0)) ((0 1)) n n n)",         /* with a hash */
		"(p 1 ((2 0 0 n t3 0 1 0)) ((0 1)) n n n)",          /* with a target */
		"(p 1 ((1 5 0 n n 0 1 0)) ((0 1)) n n n)",           /* a file without a hash */
		"(p 1 ((1 5 0 h31 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 5 0 h33 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 5 0 s n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 5 0 h32 t5 0 1 0)) ((0 1)) n n n)",        /* with a target */
		"(p 1 ((1 -1 0 h32 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 9223372036854775808 0 h32 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 5 9223372036854775808 h32 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((1 5 s h32 n 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((3 5 0 h32 n 0 1 0)) ((0 1)) n n n)",         /* a symlink to nothing */
		"(p 1 ((3 0 0 h32 t0 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((3 4 0 h32 t5 0 1 0)) ((0 1)) n n n)",        /* of another length */
		"(p 1 ((3 4 0 h32 s 0 1 0)) ((0 1)) n n n)",         /* as text */
		"(p 1 ((3 3 0 h32 z 0 1 0)) ((0 1)) n n n)",         /* with a NUL */
		"(p 1 ((3 4096 0 h32 t4096 0 1 0)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 3 1 0)) ((0 1)) n n n)",           /* a replica not in the list */
		"(p 1 ((2 0 0 n n 65536 1 0)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n -1 1 0)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 0 0 0)) ((0 1)) n n n)",           /* counter 0 */
		"(p 1 ((2 0 0 n n 0 4611686018427387905 0)) ((0 4611686018427387905)) n n n)",
		"(p 1 ((2 0 0 n n 0 1 -1)) ((0 1)) n n n)",          /* rank below 0 */
		"(p 1 ((2 0 0 n n 0 1 9223372036854775808)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 0 2 0)) ((0 1)) n n n)",           /* a head not in the context */
		"(p 1 ((2 0 0 n n 1 1 0)) ((0 1)) n n n)",
		"(p 1 ((2 0 0 n n 0 1 0)(1 5 0 h32 n 0 1 0)) ((0 1)) n n n)", /* one dot twice */
		/* context */
		"(p 1 () (n) n n n)", "(p 1 () (()) n n n)", "(p 1 () ((0)) n n n)",
		"(p 1 () ((0 1 1)) n n n)", "(p 1 () ((0 0)) n n n)", "(p 1 () ((3 1)) n n n)",
		"(p 1 () ((0 1)(0 2)) n n n)", "(p 1 () ((0 1)(1 1)(0 1)) n n n)",
		/* mode */
		"(p 1 () ((0 1)) () n n)", "(p 1 () ((0 1)) 5 n n)",
		"(p 1 () ((0 1)) (512 0 0 1) n n)", "(p 1 () ((0 1)) (1 -1 0 1) n n)",
		"(p 1 () ((0 1)) (1 0 3 1) n n)", "(p 1 () ((0 1)) (1 0 0 0) n n)",
		"(p 1 () ((0 1)) (1 0 0 1 1) n n)",
		/* gone */
		"(p 1 () ((0 1)) n h31 n)", "(p 1 () ((0 1)) n 5 n)", "(p 1 () () n h32 n)",
		"(p 1 ((2 0 0 n n 0 1 0)) ((0 1)) n h32 n)",         /* of what is there */
		/* data */
		"(p 1 () ((0 1)) n n h5)",                           /* of a tombstone */
		"(p 1 ((2 0 0 n n 0 1 0)) ((0 1)) n n h0)",          /* of a folder */
		"(p 1 ((1 5 0 h32 n 0 1 0)) ((0 1)) n n h4)",        /* of another length */
		"(p 1 ((1 4 0 h32 n 0 1 0)) ((0 1)) n n s)",         /* as text */
		"(p 1 ((1 16385 0 h32 n 0 1 0)) ((0 1)) n n h16385)",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct codec_entry e;
		memset(&e, 0xaa, sizeof(e));
		int r = unpack_text(bad[i], 3, &e);
		ck_assert_msg(r == -EPROTO, "passed: %s", bad[i]);
		ck_assert_ptr_null(e.state.heads); /* nothing is left to release */
		ck_assert_ptr_null(e.state.context.dots);
		ck_assert_uint_eq(e.path.len, 0);
	}
}
END_TEST

START_TEST(numbers_of_heads_and_of_replicas_have_a_limit)
{
	for (size_t n = HEADS_MAX; n <= HEADS_MAX + 1; n++) {
		struct codec_entry e;
		struct buf text = {0};
		buf_addf(&text, "(p 1 (");
		for (size_t i = 0; i < n; i++)
			buf_addf(&text, "(2 0 0 n n 0 %zu 0)", n - i); /* not in order */
		buf_addf(&text, ") ((0 100)) n n n)");
		int r = unpack_text((const char *)text.data, 3, &e);
		ck_assert_int_eq(r, n <= HEADS_MAX ? 0 : -EPROTO);
		if (!r)
			expect_sound(&e.state);
		state_release(&e.state);
		buf_release(&text);
	}
	for (size_t n = REPLICAS_MAX; n <= REPLICAS_MAX + 1; n++) {
		struct codec_entry e;
		struct buf text = {0};
		buf_addf(&text, "(p 1 () (");
		for (size_t i = 0; i < n; i++)
			buf_addf(&text, "(%zu 1)", n - 1 - i);
		buf_addf(&text, ") n n n)");
		int r = unpack_text((const char *)text.data, n, &e);
		ck_assert_int_eq(r, n <= REPLICAS_MAX ? 0 : -EPROTO);
		if (!r)
			expect_sound(&e.state);
		state_release(&e.state);
		buf_release(&text);
	}
}
END_TEST

START_TEST(mutated_entries_stay_sound)
{
	unsigned passed = 0;
	unsigned refused = 0;
	for (uint64_t run = 0; run < 20000; run++) {
		pick_from(run);
		struct codec_entry e = {.path = bytes_of("some/where"), .seq = 1 + large(),
					.state = random_state(3)};
		buf_clear(&out);
		codec_ids_clear(&ids);
		codec_pack_entry(&out, &e, &ids);
		for (uint32_t n = 1 + pick(3); n; n--)
			out.data[pick((uint32_t)out.len)] =
				(uint8_t)(pick(2) ? pick(256) : pick(16));
		msgpack_object o;
		struct codec_entry back;
		msgpack_zone_clear(&zone);
		if (!wire_unpack((struct bytes){out.data, out.len}, &zone, &o) &&
		    !codec_unpack_entry(&o, NULL, ids.n, &back)) {
			passed++;
			expect_sound(&back.state);
			ck_assert_int_eq(path_check(back.path), PATH_OK);
			ck_assert_uint_gt(back.seq, 0);
			state_release(&back.state);
		} else {
			refused++;
		}
		state_release(&e.state);
	}
	ck_assert_uint_gt(passed, 1000);
	ck_assert_uint_gt(refused, 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("codec");
	TCase *t = suite_case(s, "codec", setup, teardown);
	tcase_add_test(t, states_come_back_by_their_own_numbers);
	tcase_add_test(t, entries_come_back_with_other_numbers);
	tcase_add_test(t, the_size_of_an_entry_is_known_before);
	tcase_add_test(t, ids_are_found_again);
	tcase_add_test(t, lists_of_ids_are_checked);
	tcase_add_test(t, good_entries_pass);
	tcase_add_test(t, bad_entries_are_refused);
	tcase_add_test(t, numbers_of_heads_and_of_replicas_have_a_limit);
	tcase_add_test(t, mutated_entries_stay_sound);
	return suite_run(s);
}
