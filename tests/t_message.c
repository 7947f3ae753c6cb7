/*
 * Tests of message: the check of every field of every method against a second reading of the same
 * table, from its text, on good, damaged and random messages; and the manual that prints it.
 */
#include "config.h"
#include "message.h"

#include "path.h"
#include "suite.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the table, read from its text ------------------------------------------------------ */

struct tfield {
	char name[32];
	char type[64]; /* or choices, or a shape's name */
	bool optional, or_nil;
	uint64_t many; /* 0: one */
	uint64_t max;  /* 0: no limit was given */
};

struct tfields {
	char name[32];
	bool tuple;
	size_t n;
	struct tfield f[32];
};

static struct tmethod {
	bool request;
	unsigned from, phase;
	struct tfields params, result;
} methods[MESSAGES_N];

static struct tfields shapes[64];
static size_t n_shapes;

static uint64_t number(const char *s)
{
	uint64_t n = strtoull(s, NULL, 10);
	if (strncmp(s, "2^", 2) == 0) {
		unsigned power = (unsigned)atoi(s + 2);
		n = power == 64 ? 0 : (uint64_t)1 << power;
		if (strstr(s, "-1"))
			n--;
	}
	return n;
}

/* "    name (optional): [type] or nil, at most 5, each at most 7 bytes" */
static void parse_field(const char *line, struct tfields *to)
{
	char rest[200];
	struct tfield *f = &to->f[to->n++];
	ck_assert_uint_le(to->n, ARRAY_LEN(to->f));
	ck_assert_int_eq(sscanf(line, "    %31[a-z_]", f->name), 1);
	f->optional = strstr(line, " (optional): ") != NULL;
	const char *type = strstr(line, ": ");
	ck_assert_ptr_nonnull(type);
	snprintf(rest, sizeof(rest), "%s", type + 2);
	f->or_nil = strstr(rest, " or nil") != NULL;
	char *each = strstr(rest, ", each at most ");
	char *most = strstr(rest, ", at most ");
	if (rest[0] == '[') {
		ck_assert_ptr_nonnull(most);
		f->many = number(most + strlen(", at most "));
		f->max = each ? number(each + strlen(", each at most ")) : 0;
		ck_assert_int_eq(sscanf(rest, "[%63[^]]]", f->type), 1);
	} else {
		f->max = most ? number(most + strlen(", at most ")) : 0;
		ck_assert_int_eq(sscanf(rest, "%63[^ ,]", f->type), 1);
	}
}

static void parse_fields(char **save, struct tfields *to)
{
	char *line;
	while (*save && strncmp(*save, "    ", 4) == 0) {
		line = strsep(save, "\n");
		if (strcmp(line, "    nothing") != 0)
			parse_field(line, to);
	}
}

static void parse_table(void)
{
	for (int m = 0; m < MESSAGES_N; m++) {
		struct buf b = {0};
		struct tmethod *t = &methods[m];
		message_write(&b, (enum message)m);
		buf_add_char(&b, '\0');
		char *at = (char *)b.data;
		char *head = strsep(&at, "\n");
		char kind[16];
		ck_assert_int_eq(sscanf(head, "%15s %31s", kind, t->params.name), 2);
		ck_assert_str_eq(t->params.name, message_name((enum message)m));
		t->request = strcmp(kind, "request") == 0;
		ck_assert(t->request || strcmp(kind, "notification") == 0);
		const char *from = strstr(head, " from ");
		ck_assert_ptr_nonnull(from);
		t->from = (strstr(from, " peer") ? PARTY_PEER : 0u) |
			  (strstr(from, " client") ? PARTY_CLIENT : 0u) |
			  (strstr(from, " viewer") ? PARTY_VIEWER : 0u) |
			  (strstr(from, " guest") ? PARTY_GUEST : 0u) |
			  (strstr(from, " server") ? PARTY_SERVER : 0u);
		t->phase = PHASE_GREETED;
		if (strstr(head, ", first"))
			t->phase = PHASE_STRANGER;
		else if (strstr(head, ", at any time"))
			t->phase |= PHASE_STRANGER;
		parse_fields(&at, &t->params);
		if (t->request) {
			ck_assert_str_eq(strsep(&at, "\n"), "  result");
			parse_fields(&at, &t->result);
		}
		ck_assert_str_eq(at, "");
		buf_release(&b);
	}
	struct buf b = {0};
	for (n_shapes = 0; message_write_shape(&b, n_shapes); n_shapes++) {
		struct tfields *s = &shapes[n_shapes];
		buf_add_char(&b, '\0');
		char *at = (char *)b.data;
		char kind[16];
		ck_assert_int_eq(sscanf(strsep(&at, "\n"), "%15s %31s", kind, s->name), 2);
		s->tuple = strcmp(kind, "array") == 0;
		parse_fields(&at, s);
		ck_assert_str_eq(at, "");
		buf_clear(&b);
	}
	buf_release(&b);
}

static const struct tfields *shape_of(const struct tfield *f)
{
	for (size_t i = 0; i < n_shapes; i++)
		if (strcmp(shapes[i].name, f->type) == 0)
			return &shapes[i];
	return NULL;
}

/* ---- the second check ------------------------------------------------------------------- */

static bool sound_fields(const msgpack_object *o, const struct tfields *fields);

static bool sound_one(const msgpack_object *o, const struct tfield *f)
{
	const struct tfields *shape = shape_of(f);
	uint64_t max = f->max ? f->max : INT64_MAX;
	bool str = o->type == MSGPACK_OBJECT_STR;
	bool bin = o->type == MSGPACK_OBJECT_BIN;
	struct bytes b = {0};
	if (str || bin)
		b = (struct bytes){(const uint8_t *)o->via.bin.ptr, o->via.bin.size};
	if (shape)
		return sound_fields(o, shape);
	if (strcmp(f->type, "bool") == 0)
		return o->type == MSGPACK_OBJECT_BOOLEAN;
	if (strcmp(f->type, "uint") == 0)
		return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= max;
	if (strcmp(f->type, "int") == 0)
		return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
		       (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX);
	if (strcmp(f->type, "str") == 0)
		return str && b.len <= max && text_is_utf8(b);
	if (strcmp(f->type, "bytes") == 0)
		return (str || bin) && b.len <= max;
	if (strcmp(f->type, "bin") == 0)
		return bin && b.len <= max;
	if (strcmp(f->type, "path") == 0)
		return (str || bin) && path_check(b) == PATH_OK;
	if (strcmp(f->type, "folder") == 0)
		return (str || bin) && (!b.len || path_check(b) == PATH_OK);
	if (strcmp(f->type, "id") == 0)
		return bin && b.len == 16;
	if (strcmp(f->type, "hash") == 0)
		return bin && b.len == 32;
	ck_assert_msg(strchr(f->type, '|') != NULL, "the test knows no type %s", f->type);
	char want[80];
	char got[80];
	snprintf(want, sizeof(want), "|%s|", f->type);
	if (!str || b.len > 32 || memchr(b.p, '|', b.len) || memchr(b.p, 0, b.len))
		return false;
	snprintf(got, sizeof(got), "|%.*s|", (int)b.len, (const char *)b.p);
	return strstr(want, got) != NULL;
}

static bool sound_value(const msgpack_object *o, const struct tfield *f)
{
	if (f->or_nil && o->type == MSGPACK_OBJECT_NIL)
		return true;
	if (!f->many)
		return sound_one(o, f);
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > f->many)
		return false;
	for (size_t i = 0; i < o->via.array.size; i++)
		if (!sound_one(&o->via.array.ptr[i], f))
			return false;
	return true;
}

static bool sound_fields(const msgpack_object *o, const struct tfields *fields)
{
	if (fields->tuple) {
		if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != fields->n)
			return false;
		for (size_t i = 0; i < fields->n; i++)
			if (!sound_value(&o->via.array.ptr[i], &fields->f[i]))
				return false;
		return true;
	}
	if (o->type != MSGPACK_OBJECT_MAP)
		return false;
	for (size_t i = 0; i < o->via.map.size; i++)
		if (o->via.map.ptr[i].key.type != MSGPACK_OBJECT_STR)
			return false;
	for (size_t i = 0; i < fields->n; i++) {
		size_t n = 0;
		for (size_t k = 0; k < o->via.map.size; k++) {
			const msgpack_object_kv *kv = &o->via.map.ptr[k];
			struct bytes key = {(const uint8_t *)kv->key.via.str.ptr,
					    kv->key.via.str.size};
			if (!bytes_eq(key, bytes_of(fields->f[i].name)))
				continue;
			n++;
			if (!sound_value(&kv->val, &fields->f[i]))
				return false;
		}
		if (n > 1 || (!n && !fields->f[i].optional))
			return false;
	}
	return true;
}

/* ---- messages made from the table ------------------------------------------------------- */

static struct buf out;
static struct wire_frame frame;

/* How the message that is packed differs from a good one. */
static struct {
	bool no_optional;
	const struct tfield *leave_out, *twice, *replace;
	const char *leave_out_name; /* a key of the params, whatever the field */
	struct bytes with;          /* packed, in place of `replace` */
	bool with_rest;             /* `with` is one element of an array */
	bool unknown_key, number_key;
	const struct tfields *top;  /* the params or result themselves */
} how;

static void pack_fields(const struct tfields *fields);

static void pack_one(const struct tfield *f)
{
	const struct tfields *shape = shape_of(f);
	static const uint8_t zeros[32];
	if (shape) {
		pack_fields(shape);
	} else if (strcmp(f->type, "bool") == 0) {
		wire_bool(&out, true);
	} else if (strcmp(f->type, "uint") == 0) {
		wire_uint(&out, 1);
	} else if (strcmp(f->type, "int") == 0) {
		wire_int(&out, -5);
	} else if (strcmp(f->type, "str") == 0) {
		wire_text(&out, "t\xc3\xa4xt");
	} else if (strcmp(f->type, "bytes") == 0 || strcmp(f->type, "bin") == 0) {
		wire_fixed(&out, "\xff\x00", 2);
	} else if (strcmp(f->type, "path") == 0 || strcmp(f->type, "folder") == 0) {
		wire_fixed(&out, "a/\xff", 3);
	} else if (strcmp(f->type, "id") == 0) {
		wire_fixed(&out, zeros, 16);
	} else if (strcmp(f->type, "hash") == 0) {
		wire_fixed(&out, zeros, 32);
	} else {
		wire_str(&out, (struct bytes){(const uint8_t *)f->type, strcspn(f->type, "|")});
	}
}

static void pack_value(const struct tfield *f)
{
	if (f == how.replace && !how.with_rest) {
		buf_add(&out, how.with.p, how.with.len);
		return;
	}
	if (f->many)
		wire_array(&out, 2);
	for (int i = 0; i < (f->many ? 2 : 1); i++) {
		if (f == how.replace && i == 1)
			buf_add(&out, how.with.p, how.with.len);
		else
			pack_one(f);
	}
}

static bool is_left_out(const struct tfield *f)
{
	return (f->optional && how.no_optional && f != how.replace) || f == how.leave_out ||
	       (how.leave_out_name && strcmp(how.leave_out_name, f->name) == 0);
}

static void pack_fields(const struct tfields *fields)
{
	if (fields->tuple) {
		wire_array(&out, fields->n);
		for (size_t i = 0; i < fields->n; i++)
			pack_value(&fields->f[i]);
		return;
	}
	bool top = fields == how.top;
	size_t n = 0;
	for (size_t i = 0; i < fields->n; i++)
		n += is_left_out(&fields->f[i]) ? 0 : &fields->f[i] == how.twice ? 2 : 1;
	wire_map(&out, n + (top && how.unknown_key) + (top && how.number_key));
	if (top && how.unknown_key) {
		wire_key(&out, "of a later version");
		wire_array(&out, 1);
		wire_nil(&out);
	}
	for (size_t i = 0; i < fields->n; i++) {
		if (is_left_out(&fields->f[i]))
			continue;
		for (int k = 0; k < (&fields->f[i] == how.twice ? 2 : 1); k++) {
			wire_key(&out, fields->f[i].name);
			pack_value(&fields->f[i]);
		}
	}
	if (top && how.number_key) {
		wire_uint(&out, 5);
		wire_nil(&out);
	}
}

/* Packs a message of method m, or its result; decodes it into `frame`. */
static void make(int m, bool result)
{
	const struct tmethod *t = &methods[m];
	size_t mark;
	buf_clear(&out);
	if (result)
		mark = wire_begin_response(&out, 5);
	else if (t->request)
		mark = wire_begin_request(&out, 5, t->params.name);
	else
		mark = wire_begin_notification(&out, t->params.name);
	/* Either `first`, or `at` and `line`; either `id`, or `path`: the table does not show that. */
	if (m == MESSAGE_TABLE_WINDOW && !result && !how.leave_out_name)
		how.leave_out_name = "first";
	if (m == MESSAGE_RESTORE && !result && !how.leave_out_name)
		how.leave_out_name = "id";
	how.top = result ? &t->result : &t->params;
	pack_fields(how.top);
	how.leave_out_name = NULL;
	ck_assert(wire_finish(&out, mark));
	const char *why = wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4});
	ck_assert_msg(!why, "%s", why);
}

static char why[MESSAGE_TEXT_MAX];

static void expect_words(void)
{
	size_t len = strlen(why);
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_lt(len, MESSAGE_TEXT_MAX);
	for (size_t i = 0; i < len; i++)
		ck_assert_msg(why[i] >= ' ' && why[i] <= '~', "in '%s'", why);
}

/* One who may say m, and when. */
static bool passes(int m, bool result)
{
	const struct tmethod *t = &methods[m];
	bool fine;
	if (result) {
		fine = message_check_response(&frame, (enum message)m, why);
	} else {
		unsigned from = t->from & PARTY_PEER ? PARTY_PEER : t->from;
		enum message_phase phase =
			t->phase & PHASE_GREETED ? PHASE_GREETED : PHASE_STRANGER;
		int r = message_check(&frame, from, phase, why);
		ck_assert(r == m || r == -1);
		fine = r == m;
	}
	if (!fine)
		expect_words();
	else
		ck_assert_str_eq(why, "");
	return fine;
}

static void setup(void)
{
	out = (struct buf){0};
	memset(&how, 0, sizeof(how));
	memset(methods, 0, sizeof(methods));
	memset(shapes, 0, sizeof(shapes));
	wire_frame_init(&frame);
	parse_table();
}

static void teardown(void)
{
	wire_frame_release(&frame);
	buf_release(&out);
}

/* Params and results of all methods. */
#define EACH(m, result)                                                                            \
	for (int m = 0; m < MESSAGES_N; m++)                                                       \
		for (int result = 0; result <= methods[m].request; result++)

static const struct tfields *fields_of(int m, bool result)
{
	return result ? &methods[m].result : &methods[m].params;
}

/* These have rules beyond the table's text. */
static bool has_rule(int m, bool result)
{
	return !result && (m == MESSAGE_HELLO || m == MESSAGE_HAVE || m == MESSAGE_RESYNC ||
			   m == MESSAGE_TABLE_WINDOW || m == MESSAGE_RESOLVE ||
			   m == MESSAGE_RESTORE);
}

/* ---- good ones and bad ones ------------------------------------------------------------- */

START_TEST(good_messages_pass)
{
	EACH(m, result) {
		memset(&how, 0, sizeof(how));
		make(m, result);
		ck_assert_msg(passes(m, result), "%s", why);
		how.unknown_key = true;
		make(m, result);
		ck_assert_msg(passes(m, result), "%s", why);
		if (has_rule(m, result))
			continue;
		how.no_optional = true;
		make(m, result);
		ck_assert_msg(passes(m, result), "%s", why);
	}
}
END_TEST

START_TEST(missing_double_and_numbered_keys)
{
	EACH(m, result) {
		const struct tfields *fields = fields_of(m, result);
		memset(&how, 0, sizeof(how));
		how.number_key = true;
		make(m, result);
		ck_assert(!passes(m, result));
		how.number_key = false;
		for (size_t i = 0; i < fields->n; i++) {
			const struct tfield *f = &fields->f[i];
			if (!result && ((m == MESSAGE_TABLE_WINDOW && !strcmp(f->name, "first")) ||
					(m == MESSAGE_RESTORE && !strcmp(f->name, "id"))))
				continue; /* it is not in the message that is packed */
			how.leave_out = f;
			make(m, result);
			if (!has_rule(m, result) || !f->optional)
				ck_assert_int_eq(passes(m, result), f->optional);
			if (!f->optional) {
				char want[100];
				snprintf(want, sizeof(want), "%s: %s is missing",
					 methods[m].params.name, f->name);
				ck_assert_str_eq(why, want);
			}
			how.leave_out = NULL;
			how.twice = f;
			make(m, result);
			ck_assert(!passes(m, result));
			ck_assert_ptr_nonnull(strstr(why, " comes twice"));
			how.twice = NULL;
		}
	}
}
END_TEST

static struct buf probes[64];
static size_t n_probes;

static struct buf *probe(void)
{
	ck_assert_uint_lt(n_probes, ARRAY_LEN(probes));
	return &probes[n_probes++];
}

static void probe_bytes(size_t len, bool as_str)
{
	uint8_t *p = xmalloc(len);
	memset(p, 'x', len);
	if (as_str)
		wire_str(probe(), (struct bytes){p, len});
	else
		wire_bin(probe(), (struct bytes){p, len});
	free(p);
}

/* Values of all types, and around the limits of f. */
static void make_probes(const struct tfield *f)
{
	static const uint64_t numbers[] = {
		0, 1, 3, 4, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX,
	};
	static const char *const texts[] = {
		"", "name", "peer", "nam", "name|", "a/b", "/a", "a/..", ".tutti/x",
		"\xff", "a\xc3", "\xed\xa0\x80",
	};
	while (n_probes)
		buf_release(&probes[--n_probes]);
	wire_nil(probe());
	wire_bool(probe(), false);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		wire_uint(probe(), numbers[i]);
	wire_int(probe(), -1);
	wire_int(probe(), INT64_MIN);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		wire_text(probe(), texts[i]);
		wire_bin(probe(), bytes_of(texts[i]));
	}
	for (size_t len = 15; len <= 33; len += len == 17 ? 14 : 1) {
		probe_bytes(len, true);
		probe_bytes(len, false);
	}
	wire_array(probe(), 0);
	wire_map(probe(), 0);
	if (f->max && f->max < 500000) {
		for (size_t i = 0; i < 2; i++) {
			probe_bytes((size_t)f->max + i, true);
			probe_bytes((size_t)f->max + i, false);
		}
	}
	if (f->max) {
		wire_uint(probe(), f->max);
		if (f->max < UINT64_MAX)
			wire_uint(probe(), f->max + 1);
	}
}

/* Replaces f wherever it stands in the message by each probe. */
static void try_probes(int m, bool result, const struct tfield *f, size_t counts[2])
{
	make_probes(f);
	for (size_t i = 0; i < n_probes; i++) {
		for (int rest = 0; rest <= (f->many ? 1 : 0); rest++) {
			memset(&how, 0, sizeof(how));
			how.replace = f;
			how.with = (struct bytes){probes[i].data, probes[i].len};
			how.with_rest = rest;
			make(m, result);
			bool sound = sound_fields(result ? frame.result : frame.params,
						  fields_of(m, result));
			bool fine = passes(m, result);
			ck_assert_msg(sound || !fine, "%s.%s: probe %zu passed",
				      methods[m].params.name, f->name, i);
			if (!has_rule(m, result))
				ck_assert_msg(fine || !sound, "%s.%s: probe %zu: %s",
					      methods[m].params.name, f->name, i, why);
			counts[fine]++;
		}
	}
	while (n_probes)
		buf_release(&probes[--n_probes]);
	memset(&how, 0, sizeof(how));
}

static void try_fields(int m, bool result, const struct tfields *fields, size_t counts[2])
{
	for (size_t i = 0; i < fields->n; i++) {
		try_probes(m, result, &fields->f[i], counts);
		const struct tfields *shape = shape_of(&fields->f[i]);
		if (shape)
			try_fields(m, result, shape, counts);
	}
}

START_TEST(every_field_keeps_its_type_and_limits)
{
	size_t counts[2] = {0};
	EACH(m, result)
		try_fields(m, result, fields_of(m, result), counts);
	ck_assert_uint_gt(counts[false], 5000);
	ck_assert_uint_gt(counts[true], 2000);
}
END_TEST

START_TEST(lists_have_a_longest_length)
{
	EACH(m, result) {
		const struct tfields *fields = fields_of(m, result);
		for (size_t i = 0; i < fields->n; i++) {
			const struct tfield *f = &fields->f[i];
			if (!f->many)
				continue;
			/* none of the elements is right, but the length is found first */
			for (uint64_t more = 0; more < 2; more++) {
				struct buf list = {0};
				char want[100];
				wire_array(&list, (size_t)(f->many + more));
				for (uint64_t k = 0; k < f->many + more; k++)
					wire_nil(&list);
				memset(&how, 0, sizeof(how));
				how.replace = f;
				how.with = (struct bytes){list.data, list.len};
				make(m, result);
				ck_assert(!passes(m, result));
				snprintf(want, sizeof(want), "%s: %s%s is not ",
					 methods[m].params.name, f->name, more ? "" : "[0]");
				ck_assert_msg(strncmp(why, want, strlen(want)) == 0,
					      "'%s', not '%s'", why, want);
				buf_release(&list);
			}
		}
	}
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	EACH(m, result) {
		memset(&how, 0, sizeof(how));
		make(m, result);
		for (size_t len = 0; len < out.len - 4; len++) {
			uint8_t *cut = xmemdup(out.data + 4, len);
			ck_assert_ptr_nonnull(wire_decode(&frame, (struct bytes){cut, len}));
			free(cut);
		}
	}
}
END_TEST

START_TEST(damaged_messages_pass_only_if_sound)
{
	size_t counts[2] = {0};
	EACH(m, result) {
		for (uint64_t run = 0; run < 2000; run++) {
			pick_from(run);
			memset(&how, 0, sizeof(how));
			how.no_optional = run % 2 && !has_rule(m, result);
			make(m, result);
			for (uint32_t n = 1 + pick(3); n; n--) {
				uint8_t *p = &out.data[4 + pick((uint32_t)out.len - 4)];
				*p = (uint8_t)(pick(2) ? *p ^ 1u << pick(8) : pick(256));
			}
			if (wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}))
				continue;
			if (frame.kind == WIRE_RESPONSE) {
				if (!result || !frame.result)
					continue;
				bool fine = passes(m, true);
				ck_assert_int_eq(fine,
						 sound_fields(frame.result, &methods[m].result));
				counts[fine]++;
			} else if (!result &&
				   bytes_eq(frame.method, bytes_of(methods[m].params.name)) &&
				   (frame.kind == WIRE_REQUEST) == methods[m].request) {
				bool fine = passes(m, false);
				bool sound = sound_fields(frame.params, &methods[m].params);
				ck_assert(sound || !fine);
				ck_assert(fine || !sound || has_rule(m, false));
				counts[fine]++;
			}
		}
	}
	ck_assert_uint_gt(counts[false], 1000);
	ck_assert_uint_gt(counts[true], 1000);
}
END_TEST

/* ---- who and when ----------------------------------------------------------------------- */

START_TEST(each_may_say_only_its_own_and_in_time)
{
	for (int m = 0; m < MESSAGES_N; m++) {
		make(m, false);
		for (unsigned from = 1; from < 32; from++) {
			for (unsigned phase = 1; phase <= 2; phase++) {
				bool may = (methods[m].from & from) && (methods[m].phase & phase);
				if (m == MESSAGE_HELLO && !(from & (PARTY_PEER | PARTY_SERVER)))
					may = false; /* the role in it is that of a peer */
				int r = message_check(&frame, from, (enum message_phase)phase, why);
				ck_assert_msg(r == (may ? m : -1), "%s from %u in %u: %d",
					      message_name((enum message)m), from, phase, r);
				if (!may)
					expect_words();
			}
		}
	}
	/* some of it in so many words, whatever the table says */
	static const struct {
		int m;
		unsigned from;
		enum message_phase phase;
	} never[] = {
		{MESSAGE_INDEX, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_FETCH, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_INDEX, PARTY_PEER, PHASE_STRANGER},
		{MESSAGE_FETCH, PARTY_PEER, PHASE_STRANGER},
		{MESSAGE_HAVE, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_REPORT, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_ACK, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_SYNC, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_TABLE_OPEN, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_STATUS, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_TABLE_OPEN, PARTY_CLIENT, PHASE_STRANGER},
		{MESSAGE_EVENT, PARTY_CLIENT, PHASE_GREETED},
		{MESSAGE_TABLE_ROWS, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_HELLO, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_PING, PARTY_PEER, PHASE_STRANGER},
		{MESSAGE_RESOLVE, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_RESTORE, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_UNDO, PARTY_PEER, PHASE_GREETED},
		{MESSAGE_TRASH, PARTY_PEER, PHASE_STRANGER},
	};
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		make(never[i].m, false);
		ck_assert_int_eq(message_check(&frame, never[i].from, never[i].phase, why), -1);
	}
}
END_TEST

/* What a viewer may say is written out here once more: whatever is new is refused until somebody adds it. */
START_TEST(viewers_only_look)
{
	static const int looks[] = {
		MESSAGE_HELLO, MESSAGE_BYE, MESSAGE_PING, MESSAGE_TABLE_OPEN, MESSAGE_TABLE_WINDOW,
		MESSAGE_TABLE_FIND, MESSAGE_TABLE_LOCATE, MESSAGE_TABLE_FOLD, MESSAGE_TABLE_CLOSE,
		MESSAGE_STATUS, MESSAGE_WAIT, MESSAGE_EVENTS, MESSAGE_ROW, MESSAGE_PEERS,
		MESSAGE_CONFLICTS, MESSAGE_TRASH, MESSAGE_HISTORY, MESSAGE_HELD,
	};
	for (int m = 0; m < MESSAGES_N; m++) {
		bool may = false;
		for (size_t i = 0; i < ARRAY_LEN(looks); i++)
			may = may || looks[i] == m;
		ck_assert_msg(!(methods[m].from & PARTY_VIEWER) == !may, "%s: %s",
			      message_name((enum message)m), may ? "refused" : "taken from a viewer");
		make(m, false);
		if (!may && !(methods[m].from & PARTY_GUEST))
			ck_assert_int_eq(message_check(&frame, PARTY_VIEWER, PHASE_GREETED, why), -1);
	}
}
END_TEST

START_TEST(unknown_methods_are_named_safely)
{
	static const char *const names[] = {
		"nonsense",
		"\x1b[2J\xff\n",
		"\xe2\x80\xae"
		"evil",
		"helloo",
		"hell",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_clear(&out);
		size_t mark = wire_begin_notification(&out, names[i]);
		wire_map(&out, 0);
		wire_finish(&out, mark);
		ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
		ck_assert_int_eq(message_check(&frame, 7, PHASE_GREETED, why), -1);
		expect_words();
	}
	/* a request of the name of a notification is another thing, and the other way round */
	buf_clear(&out);
	size_t mark = wire_begin_request(&out, 1, "ping");
	wire_map(&out, 0);
	wire_finish(&out, mark);
	ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
	ck_assert_int_eq(message_check(&frame, 7, PHASE_GREETED, why), -1);
	ck_assert_str_eq(why, "ping: no such request");
	ck_assert_int_eq(message_find(bytes_of("status"), WIRE_REQUEST), MESSAGE_STATUS);
	ck_assert_int_eq(message_find(bytes_of("status"), WIRE_NOTIFICATION), MESSAGE_STATUS_NOW);
	ck_assert_int_eq(message_find(bytes_of("sync"), WIRE_REQUEST), -1);
}
END_TEST

START_TEST(reasons_name_the_place)
{
	static const uint8_t nine = 9;
	for (size_t i = 0; i < n_shapes; i++)
		if (strcmp(shapes[i].name, "head") == 0)
			how.replace = &shapes[i].f[0];
	ck_assert_ptr_nonnull(how.replace);
	how.with = (struct bytes){&nine, 1};
	make(MESSAGE_INDEX, false);
	ck_assert(!passes(MESSAGE_INDEX, false));
	ck_assert_str_eq(why, "index: e[0].heads[0].kind is not uint, at most 3");
	how.replace = &methods[MESSAGE_FETCH].params.f[0];
	how.with = (struct bytes){(const uint8_t *)"\xa4/etc", 5};
	make(MESSAGE_FETCH, false);
	ck_assert(!passes(MESSAGE_FETCH, false));
	char want[100];
	snprintf(want, sizeof(want), "fetch: path: %s", path_error_text(PATH_ABSOLUTE));
	ck_assert_str_eq(why, want);
}
END_TEST

/* ---- rules ------------------------------------------------------------------------------ */

static int check_hello(const char *role, bool with_id, unsigned from)
{
	buf_clear(&out);
	size_t mark = wire_begin_notification(&out, "hello");
	wire_map(&out, with_id ? 5 : 3);
	wire_put_uint(&out, "proto", 1);
	wire_put_text(&out, "role", role);
	wire_put_text(&out, "name", "n");
	if (with_id) {
		wire_put_fixed(&out, "id", "0123456789abcdef", 16);
		wire_put_uint(&out, "seq", 0);
	}
	wire_finish(&out, mark);
	ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
	return message_check(&frame, from, PHASE_STRANGER, why);
}

START_TEST(roles_in_hello)
{
	ck_assert_int_eq(check_hello("client", false, PARTY_CLIENT), MESSAGE_HELLO);
	ck_assert_int_eq(check_hello("client", false, PARTY_CLIENT | PARTY_PEER), MESSAGE_HELLO);
	ck_assert_int_eq(check_hello("client", false, PARTY_PEER), -1);
	ck_assert_int_eq(check_hello("client", false, PARTY_SERVER), -1);
	ck_assert_int_eq(check_hello("peer", true, PARTY_PEER), MESSAGE_HELLO);
	ck_assert_int_eq(check_hello("peer", true, PARTY_SERVER), MESSAGE_HELLO);
	ck_assert_int_eq(check_hello("peer", true, PARTY_CLIENT | PARTY_PEER), MESSAGE_HELLO);
	ck_assert_int_eq(check_hello("peer", true, PARTY_CLIENT), -1);
	ck_assert_int_eq(check_hello("peer", false, PARTY_PEER), -1);
	ck_assert_int_eq(check_hello("peer", false, PARTY_SERVER), -1);
}
END_TEST

START_TEST(windows_go_by_position_or_by_path)
{
	for (unsigned set = 0; set < 8; set++) {
		buf_clear(&out);
		size_t mark = wire_begin_request(&out, 1, "table.window");
		wire_map(&out, 2 + (set & 1) + (set >> 1 & 1) + (set >> 2 & 1));
		wire_put_uint(&out, "table", 1);
		wire_put_uint(&out, "rows", 10);
		if (set & 1)
			wire_put_uint(&out, "first", 0);
		if (set & 2)
			wire_put_text(&out, "at", "a");
		if (set & 4)
			wire_put_uint(&out, "line", 0);
		wire_finish(&out, mark);
		ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
		int r = message_check(&frame, PARTY_CLIENT, PHASE_GREETED, why);
		ck_assert_int_eq(r, set == 1 || set == 6 ? (int)MESSAGE_TABLE_WINDOW : -1);
	}
}
END_TEST

/* Checks a request of a client with so many of these keys. */
static int check_request(const char *method, const char *const *keys, size_t n)
{
	buf_clear(&out);
	size_t mark = wire_begin_request(&out, 5, method);
	wire_map(&out, n);
	for (size_t i = 0; i < n; i++) {
		wire_key(&out, keys[i]);
		if (strcmp(keys[i], "stamp") == 0 || strcmp(keys[i], "version") == 0 ||
		    strcmp(keys[i], "time") == 0)
			wire_uint(&out, 1);
		else if (strcmp(keys[i], "keep") == 0)
			wire_text(&out, keys[i + 1][0] == 'b' ? "both" : "this");
		else
			wire_text(&out, "a");
		if (strcmp(keys[i], "keep") == 0)
			keys++; /* its value stands behind it */
	}
	ck_assert(wire_finish(&out, mark));
	ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
	return message_check(&frame, PARTY_CLIENT, PHASE_GREETED, why);
}

START_TEST(settling_names_one_version_or_both)
{
	static const char *const this[] = {"path", "stamp", "keep", "this", "version"};
	static const char *const both[] = {"path", "stamp", "keep", "both", "version"};
	ck_assert_int_eq(check_request("resolve", this, 4), MESSAGE_RESOLVE);
	ck_assert_int_eq(check_request("resolve", this, 3), -1);
	ck_assert_int_eq(check_request("resolve", both, 4), -1);
	ck_assert_str_eq(why, "resolve: version goes with \"this\"");
	ck_assert_int_eq(check_request("resolve", both, 3), MESSAGE_RESOLVE);
}
END_TEST

START_TEST(what_is_restored_has_an_id_or_a_path)
{
	static const char *const id[] = {"id", "replica", "to"}, *const path[] = {"path", "time"};
	static const char *const both[] = {"id", "path"}, *const time[] = {"id", "time"};
	ck_assert_int_eq(check_request("restore", id, 3), MESSAGE_RESTORE);
	ck_assert_int_eq(check_request("restore", path, 2), MESSAGE_RESTORE);
	ck_assert_int_eq(check_request("restore", path, 0), -1);
	ck_assert_int_eq(check_request("restore", both, 2), -1);
	ck_assert_int_eq(check_request("restore", time, 2), -1);
}
END_TEST

START_TEST(a_peer_gives_its_walk_an_id_and_a_client_none)
{
	how.no_optional = true;
	make(MESSAGE_RESYNC, false);
	ck_assert_int_eq(message_check(&frame, PARTY_CLIENT, PHASE_GREETED, why), MESSAGE_RESYNC);
	ck_assert_int_eq(message_check(&frame, PARTY_PEER, PHASE_GREETED, why), -1);
}
END_TEST

START_TEST(what_others_have_is_of_a_replica_in_the_list)
{
	for (unsigned r = 0; r < 4; r++) { /* the list has two */
		uint8_t with = (uint8_t)r;
		how.replace = &methods[MESSAGE_HAVE].params.f[1];
		ck_assert_str_eq(how.replace->name, "r");
		how.with = (struct bytes){&with, 1};
		make(MESSAGE_HAVE, false);
		ck_assert_int_eq(passes(MESSAGE_HAVE, false), r < 2);
	}
}
END_TEST

START_TEST(errors_are_checked_too)
{
	struct bytes code;
	struct bytes text;
	buf_clear(&out);
	wire_error(&out, 1, ERROR_NOT_FOUND, "no %s", "such thing");
	ck_assert_ptr_null(wire_decode(&frame, (struct bytes){out.data + 4, out.len - 4}));
	ck_assert(message_check_response(&frame, MESSAGE_FETCH, why));
	message_error_parts(frame.error, &code, &text);
	ck_assert(bytes_eq(code, bytes_of("not-found")) &&
		  bytes_eq(text, bytes_of("no such thing")));

	static const uint8_t bad[] = {0x94, 1, 1, 0x81, 0xa4, 'c', 'o', 'd', 'e', 0xa1, 'x', 0xc0};
	ck_assert_ptr_null(wire_decode(&frame, (struct bytes){bad, sizeof(bad)}));
	ck_assert(!message_check_response(&frame, MESSAGE_FETCH, why));
	ck_assert_str_eq(why, "fetch: text is missing");
}
END_TEST

/* ---- the manual ------------------------------------------------------------------------- */

/* The manual's source, with what roff wants escaped turned back. */
static char *manual(void)
{
	char *text = source_text("man/tutti-protocol.7");
	struct buf b = {0};
	for (const char *p = text; *p; p++) {
		if (*p != '\\') {
			buf_add_char(&b, *p);
			continue;
		}
		p++;
		ck_assert(*p);
		if (*p == '(') { /* a special character by its name */
			ck_assert(p[1] && p[2]);
			buf_add_char(&b, p[1] == 'h' && p[2] == 'a' ? '^' : '?');
			p += 2;
		} else if (*p != '&') {
			buf_add_char(&b, *p == 'e' ? '\\' : *p);
		}
	}
	free(text);
	buf_add_char(&b, '\0');
	return (char *)b.data;
}

static size_t count_lines(const char *text, const char *start)
{
	size_t n = strncmp(text, start, strlen(start)) == 0;
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n += strncmp(p + 1, start, strlen(start)) == 0;
	return n;
}

START_TEST(the_manual_has_the_whole_table_and_no_more)
{
	char *man = manual();
	for (int m = 0; m < MESSAGES_N; m++) {
		buf_clear(&out);
		buf_addf(&out, "\n.EX\n");
		message_write(&out, (enum message)m);
		buf_addf(&out, ".EE\n");
		ck_assert_msg(strstr(man, (const char *)out.data) != NULL, "not in the manual:%s",
			      (const char *)out.data);
	}
	for (size_t i = 0; i < n_shapes; i++) {
		buf_clear(&out);
		buf_addf(&out, "\n.EX\n");
		message_write_shape(&out, i);
		buf_addf(&out, ".EE\n");
		ck_assert_msg(strstr(man, (const char *)out.data) != NULL, "not in the manual:%s",
			      (const char *)out.data);
	}
	ck_assert_uint_eq(count_lines(man, ".EX\nrequest ") +
				  count_lines(man, ".EX\nnotification "),
			  MESSAGES_N);
	ck_assert_uint_eq(count_lines(man, ".EX\narray ") + count_lines(man, ".EX\nmap "),
			  n_shapes);
	static const char *const codes[] = {
		ERROR_BAD_REQUEST, ERROR_NOT_FOUND, ERROR_CHANGED, ERROR_BUSY,
		ERROR_REFUSED,	   ERROR_FAILED,    BYE_VERSION,   BYE_SELF,
		BYE_DUPLICATE,	   BYE_STOPPING,    BYE_PROTOCOL,  BYE_REFUSED,
	};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		buf_clear(&out);
		buf_addf(&out, "\n.B %s\n", codes[i]);
		ck_assert_msg(strstr(man, (const char *)out.data) != NULL, "not in the manual: %s",
			      codes[i]);
	}
	free(man);
}
END_TEST

START_TEST(the_text_of_the_table_is_all_its_parts)
{
	struct buf parts = {0};
	message_table_write(&out);
	for (int m = 0; m < MESSAGES_N; m++)
		message_write(&parts, (enum message)m);
	for (size_t i = 0; message_write_shape(&parts, i); i++)
		;
	ck_assert_uint_eq(out.len, parts.len);
	ck_assert_mem_eq(out.data, parts.data, out.len);
	buf_release(&parts);
	/* and every shape that a field names is there */
	for (size_t i = 0; i < n_shapes; i++)
		for (size_t k = 0; k < shapes[i].n; k++)
			ck_assert(shape_of(&shapes[i].f[k]) != &shapes[i]);
}
END_TEST

static bool hex_pair(const char *s, unsigned *v)
{
	static const char digits[] = "0123456789abcdef";
	const char *high = s[0] ? strchr(digits, s[0]) : NULL;
	const char *low = high && s[1] ? strchr(digits, s[1]) : NULL;
	if (!low || (s[2] != ' ' && s[2] != '\n'))
		return false;
	*v = (unsigned)((high - digits) * 16 + (low - digits));
	return true;
}

/* The bytes at the start of each line of the worked example. */
static void read_example(const char *man, struct buf *to)
{
	const char *p = strstr(man, "\n.SH EXAMPLE\n");
	ck_assert_ptr_nonnull(p);
	const char *end = strstr(p + 1, "\n.SH ");
	ck_assert_ptr_nonnull(end);
	bool inside = false;
	while ((p = strchr(p, '\n')) && p < end) {
		p++;
		if (strncmp(p, ".EX", 3) == 0 || strncmp(p, ".EE", 3) == 0)
			inside = p[2] == 'X';
		unsigned v;
		for (const char *q = p + strspn(p, " "); inside && hex_pair(q, &v);
		     q += strspn(q, " ")) {
			buf_add_char(to, (char)v);
			q += 2;
		}
	}
}

static void put_row(const char *path, uint64_t kind, uint64_t size, int64_t mtime,
		    const char *state, const char *cells, const char *note, uint64_t files)
{
	wire_array(&out, 10);
	wire_bin(&out, bytes_of(path));
	wire_uint(&out, 0);
	wire_uint(&out, kind);
	wire_uint(&out, size);
	wire_int(&out, mtime);
	wire_text(&out, state);
	wire_text(&out, cells);
	wire_text(&out, note);
	wire_uint(&out, 0);
	wire_uint(&out, files);
}

/* The same conversation, packed by the program. */
static void pack_example(void)
{
	uint8_t id[16];
	for (uint8_t i = 0; i < 16; i++)
		id[i] = i;
	size_t mark = wire_begin_notification(&out, "hello");
	wire_map(&out, 3);
	wire_put_uint(&out, "proto", PROTOCOL_VERSION);
	wire_put_text(&out, "role", "client");
	wire_put_text(&out, "name", "demo");
	wire_finish(&out, mark);

	mark = wire_begin_notification(&out, "hello");
	wire_map(&out, 6);
	wire_put_uint(&out, "proto", PROTOCOL_VERSION);
	wire_put_text(&out, "role", "peer");
	wire_put_text(&out, "name", "alpha");
	wire_put_fixed(&out, "id", id, sizeof(id));
	wire_put_uint(&out, "seq", 42);
	wire_key(&out, "features");
	wire_array(&out, 0);
	wire_finish(&out, mark);

	mark = wire_begin_request(&out, 1, "table.open");
	wire_map(&out, 1);
	wire_put_text(&out, "sort", "name");
	wire_finish(&out, mark);

	mark = wire_begin_response(&out, 1);
	wire_map(&out, 2);
	wire_put_uint(&out, "table", 1);
	wire_put_uint(&out, "rows", 2);
	wire_finish(&out, mark);

	mark = wire_begin_request(&out, 2, "table.window");
	wire_map(&out, 3);
	wire_put_uint(&out, "table", 1);
	wire_put_uint(&out, "rows", 2);
	wire_put_uint(&out, "first", 0);
	wire_finish(&out, mark);

	mark = wire_begin_response(&out, 2);
	wire_map(&out, 9);
	wire_put_uint(&out, "table", 1);
	wire_put_uint(&out, "gen", 7);
	wire_put_uint(&out, "total", 2);
	wire_put_uint(&out, "first", 0);
	wire_put_uint(&out, "anchor", 0);
	wire_put_uint(&out, "files", 2);
	wire_put_uint(&out, "bytes", 4314);
	wire_put_uint(&out, "unsynced", 1);
	wire_key(&out, "rows");
	wire_array(&out, 2);
	put_row("music", 2, 12, 1763820000000000000, "synced", "==", "", 1);
	put_row("notes.txt", 1, 4302, 1763820127500000000, "waiting", "=~", "queued", 0);
	wire_finish(&out, mark);
}

START_TEST(the_example_in_the_manual_is_right)
{
	struct buf example = {0};
	char *man = manual();
	read_example(man, &example);
	pack_example();
	ck_assert_uint_eq(example.len, out.len);
	ck_assert_mem_eq(example.data, out.data, out.len);

	/* and it is a conversation that our own check lets pass */
	static const struct {
		unsigned from;
		enum message_phase phase;
		int message; /* of a response: the request that it answers */
	} steps[] = {
		{PARTY_CLIENT | PARTY_PEER, PHASE_STRANGER, MESSAGE_HELLO},
		{PARTY_SERVER, PHASE_STRANGER, MESSAGE_HELLO},
		{PARTY_CLIENT, PHASE_GREETED, MESSAGE_TABLE_OPEN},
		{PARTY_SERVER, PHASE_GREETED, MESSAGE_TABLE_OPEN},
		{PARTY_CLIENT, PHASE_GREETED, MESSAGE_TABLE_WINDOW},
		{PARTY_SERVER, PHASE_GREETED, MESSAGE_TABLE_WINDOW},
	};
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		ck_assert_uint_ge(example.len - at, 4);
		uint32_t len = wire_header_length(example.data + at);
		ck_assert_uint_le(len, example.len - at - 4);
		ck_assert_ptr_null(wire_decode(&frame, (struct bytes){example.data + at + 4, len}));
		if (frame.kind == WIRE_RESPONSE)
			ck_assert_msg(
				message_check_response(&frame, (enum message)steps[i].message, why),
				"%s", why);
		else
			ck_assert_int_eq(message_check(&frame, steps[i].from, steps[i].phase, why),
					 steps[i].message);
		at += 4 + len;
	}
	ck_assert_uint_eq(at, example.len);
	buf_release(&example);
	free(man);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("message");
	TCase *t = suite_case(s, "message", setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, good_messages_pass);
	tcase_add_test(t, missing_double_and_numbered_keys);
	tcase_add_test(t, every_field_keeps_its_type_and_limits);
	tcase_add_test(t, lists_have_a_longest_length);
	tcase_add_test(t, every_truncation_is_refused);
	tcase_add_test(t, damaged_messages_pass_only_if_sound);
	tcase_add_test(t, each_may_say_only_its_own_and_in_time);
	tcase_add_test(t, viewers_only_look);
	tcase_add_test(t, unknown_methods_are_named_safely);
	tcase_add_test(t, reasons_name_the_place);
	tcase_add_test(t, roles_in_hello);
	tcase_add_test(t, windows_go_by_position_or_by_path);
	tcase_add_test(t, a_peer_gives_its_walk_an_id_and_a_client_none);
	tcase_add_test(t, settling_names_one_version_or_both);
	tcase_add_test(t, what_is_restored_has_an_id_or_a_path);
	tcase_add_test(t, what_others_have_is_of_a_replica_in_the_list);
	tcase_add_test(t, errors_are_checked_too);
	tcase_add_test(t, the_manual_has_the_whole_table_and_no_more);
	tcase_add_test(t, the_text_of_the_table_is_all_its_parts);
	tcase_add_test(t, the_example_in_the_manual_is_right);
	return suite_run(s);
}
