/* Tests of wire: packing and reading frames, and everything that must not pass as one. */
#include "config.h"
#include "wire.h"
#include "suite.h"

#include <stdlib.h>

static struct buf out;
static struct wire_frame frame;

static void setup(void)
{
	out = (struct buf){0};
	wire_frame_init(&frame);
}

static void teardown(void)
{
	wire_frame_release(&frame);
	buf_release(&out);
}

static struct bytes bytes(const void *p, size_t len)
{
	return (struct bytes){p, len};
}

/* The object of the one frame in `out`. */
static struct bytes object(void)
{
	ck_assert_uint_ge(out.len, WIRE_HEADER_SIZE);
	ck_assert_uint_eq(wire_header_length(out.data), out.len - WIRE_HEADER_SIZE);
	return bytes(out.data + WIRE_HEADER_SIZE, out.len - WIRE_HEADER_SIZE);
}

/* A request with one value of every kind. */
static void pack_all_kinds(void)
{
	size_t mark = wire_begin_request(&out, 7, "table.open");
	wire_map(&out, 9);
	wire_put_bool(&out, "yes", true);
	wire_put_uint(&out, "big", UINT64_MAX);
	wire_put_int(&out, "low", INT64_MIN);
	wire_put_text(&out, "text", "gr\xc3\xbc\xc3\x9f");
	wire_put_bin(&out, "bin", bytes("\0\xff", 2));
	wire_put_fixed(&out, "id", "0123456789abcdef", 16);
	wire_key(&out, "nil");
	wire_nil(&out);
	wire_key(&out, "list");
	wire_array(&out, 3);
	wire_uint(&out, 1);
	wire_map(&out, 1);
	wire_key(&out, "deep");
	wire_array(&out, 0);
	wire_int(&out, -5);
	wire_put_str(&out, "empty", bytes(NULL, 0));
	ck_assert(wire_finish(&out, mark));
}

START_TEST(a_request_comes_back_as_it_was)
{
	pack_all_kinds();
	const char *why = wire_decode(&frame, object());
	ck_assert_ptr_null(why);
	ck_assert_int_eq(frame.kind, WIRE_REQUEST);
	ck_assert_uint_eq(frame.id, 7);
	ck_assert(bytes_eq(frame.method, bytes_of("table.open")));
	ck_assert_ptr_null(frame.error);
	ck_assert_ptr_null(frame.result);
	bool yes;
	uint64_t u;
	int64_t i;
	struct bytes b;
	uint8_t id[16];
	ck_assert(wire_get_bool(frame.params, "yes", &yes) && yes);
	ck_assert(wire_get_uint(frame.params, "big", UINT64_MAX, &u) && u == UINT64_MAX);
	ck_assert(wire_get_int(frame.params, "low", &i) && i == INT64_MIN);
	ck_assert(wire_get_str(frame.params, "text", &b) &&
		  bytes_eq(b, bytes_of("gr\xc3\xbc\xc3\x9f")));
	ck_assert(wire_get_bin(frame.params, "bin", &b) && bytes_eq(b, bytes("\0\xff", 2)));
	ck_assert(wire_get_fixed(frame.params, "id", id, 16) &&
		  memcmp(id, "0123456789abcdef", 16) == 0);
	ck_assert(wire_is_nil(wire_get(frame.params, "nil")));
	ck_assert_ptr_nonnull(wire_get(frame.params, "nil"));
	ck_assert(wire_get_str(frame.params, "empty", &b) && b.len == 0);
	const msgpack_object *list = wire_get(frame.params, "list");
	ck_assert_uint_eq(wire_count(list), 3);
	ck_assert(wire_as_uint(wire_at(list, 0), 1, &u) && u == 1);
	ck_assert_uint_eq(wire_count(wire_get(wire_at(list, 1), "deep")), 0);
	ck_assert(wire_as_int(wire_at(list, 2), &i) && i == -5);
	ck_assert_ptr_null(wire_at(list, 3));
}
END_TEST

START_TEST(responses_and_notifications_come_back)
{
	size_t mark = wire_begin_response(&out, UINT32_MAX);
	wire_map(&out, 1);
	wire_put_uint(&out, "rows", 3);
	ck_assert(wire_finish(&out, mark));
	ck_assert_ptr_null(wire_decode(&frame, object()));
	ck_assert_int_eq(frame.kind, WIRE_RESPONSE);
	ck_assert_uint_eq(frame.id, UINT32_MAX);
	ck_assert_ptr_nonnull(frame.result);
	ck_assert_ptr_null(frame.error);
	ck_assert_ptr_null(frame.params);

	buf_clear(&out);
	wire_error(&out, 3, "not-found", "no file %s", "a\xff\n");
	ck_assert_ptr_null(wire_decode(&frame, object()));
	struct bytes code;
	struct bytes text;
	ck_assert_uint_eq(frame.id, 3);
	ck_assert_ptr_null(frame.result);
	ck_assert(wire_get_str(frame.error, "code", &code) &&
		  bytes_eq(code, bytes_of("not-found")));
	ck_assert(wire_get_str(frame.error, "text", &text));
	ck_assert(bytes_eq(text, bytes_of("no file a\\xff\\x0a")));

	buf_clear(&out);
	mark = wire_begin_notification(&out, "ping");
	wire_map(&out, 0);
	ck_assert(wire_finish(&out, mark));
	ck_assert_ptr_null(wire_decode(&frame, object()));
	ck_assert_int_eq(frame.kind, WIRE_NOTIFICATION);
	ck_assert(bytes_eq(frame.method, bytes_of("ping")));
}
END_TEST

START_TEST(frames_follow_one_another_in_one_buffer)
{
	for (uint32_t i = 0; i < 3; i++) {
		size_t mark = wire_begin_response(&out, i);
		wire_map(&out, 0);
		ck_assert(wire_finish(&out, mark));
	}
	size_t at = 0;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t len = wire_header_length(out.data + at);
		ck_assert_ptr_null(wire_decode(&frame, bytes(out.data + at + 4, len)));
		ck_assert_uint_eq(frame.id, i);
		at += 4 + len;
	}
	ck_assert_uint_eq(at, out.len);
}
END_TEST

START_TEST(an_array_of_unknown_length)
{
	size_t frame_mark = wire_begin_notification(&out, "x");
	wire_map(&out, 1);
	wire_key(&out, "list");
	size_t mark = wire_array_begin(&out);
	for (uint64_t i = 0; i < 300; i++)
		wire_uint(&out, i);
	wire_array_end(&out, mark, 300);
	ck_assert(wire_finish(&out, frame_mark));
	ck_assert_ptr_null(wire_decode(&frame, object()));
	ck_assert_uint_eq(wire_count(wire_get(frame.params, "list")), 300);
}
END_TEST

START_TEST(a_frame_too_long_is_taken_out_again)
{
	uint8_t *big = xcalloc(1, WIRE_FRAME_MAX);
	size_t first = wire_begin_notification(&out, "ping");
	wire_map(&out, 0);
	ck_assert(wire_finish(&out, first));
	size_t before = out.len;
	for (int over = 0; over < 2; over++) {
		size_t mark = wire_begin_notification(&out, "x");
		wire_map(&out, 1);
		wire_key(&out, "data");
		size_t room = wire_room(&out, mark);
		ck_assert_uint_gt(room, WIRE_FRAME_MAX - 32);
		/* a bin of that length has a header of 5 bytes */
		wire_bin(&out, bytes(big, room - 5 + (size_t)over));
		ck_assert_uint_eq(wire_room(&out, mark), 0);
		ck_assert_int_eq(wire_finish(&out, mark), !over);
		if (!over)
			ck_assert_uint_eq(wire_header_length(out.data + mark), WIRE_FRAME_MAX);
		else
			ck_assert_uint_eq(out.len, before + 4 + WIRE_FRAME_MAX);
	}
	free(big);
}
END_TEST

START_TEST(getters_clear_and_refuse)
{
	pack_all_kinds();
	ck_assert_ptr_null(wire_decode(&frame, object()));
	const msgpack_object *p = frame.params;
	bool v = true;
	uint64_t u = 9;
	int64_t i = 9;
	struct bytes b = bytes("x", 1);
	uint8_t id[16] = "zzzzzzzzzzzzzzz";
	uint8_t zero[16] = {0};
	ck_assert(!wire_get_bool(p, "big", &v) && !v);
	ck_assert(!wire_get_uint(p, "low", UINT64_MAX, &u) && u == 0);
	u = 9;
	ck_assert(!wire_get_uint(p, "big", UINT64_MAX - 1, &u) && u == 0);
	ck_assert(!wire_get_int(p, "big", &i) && i == 0);
	i = 9;
	ck_assert(!wire_get_int(p, "text", &i) && i == 0);
	ck_assert(!wire_get_str(p, "bin", &b) && b.len == 0 && !b.p);
	b = bytes("x", 1);
	ck_assert(!wire_get_bin(p, "text", &b) && b.len == 0);
	ck_assert(wire_get_bytes(p, "text", &b) && b.len == 6);
	ck_assert(wire_get_bytes(p, "bin", &b) && b.len == 2);
	ck_assert(!wire_get_bytes(p, "list", &b) && b.len == 0);
	ck_assert(!wire_get_fixed(p, "bin", id, 16) && memcmp(id, zero, 16) == 0);
	ck_assert(!wire_get_fixed(p, "id", zero, 15));
	ck_assert(!wire_get_str(p, "absent", &b) && !wire_get_str(NULL, "x", &b));
	ck_assert(!wire_get_str(wire_get(p, "list"), "x", &b));
	ck_assert_ptr_null(wire_at(p, 0));
	ck_assert_uint_eq(wire_count(NULL), 0);
	ck_assert(wire_is_nil(NULL) && !wire_is_nil(p));
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	pack_all_kinds();
	struct bytes all = object();
	for (size_t len = 0; len < all.len; len++) {
		/* a copy of just that length, so that a sanitizer sees one byte too many read */
		uint8_t *cut = xmemdup(all.p, len);
		ck_assert_ptr_nonnull(wire_decode(&frame, bytes(cut, len)));
		ck_assert_ptr_null(frame.params);
		free(cut);
	}
	struct buf longer = {0};
	buf_add(&longer, all.p, all.len);
	buf_add_char(&longer, '\xc0');
	ck_assert_ptr_nonnull(wire_decode(&frame, bytes(longer.data, longer.len)));
	buf_release(&longer);
}
END_TEST

START_TEST(only_these_types_pass)
{
	for (unsigned b = 0; b < 256; b++) {
		/* the type, zeros enough for any of them, cut to each length */
		uint8_t p[32] = {(uint8_t)b};
		size_t pass = 0;
		for (size_t len = 1; len <= sizeof(p); len++)
			if (!wire_scan(bytes(p, len)))
				pass = pass ? 99 : len;
		bool refused = b == 0xc1 || (b >= 0xc7 && b <= 0xcb) || (b >= 0xd4 && b <= 0xd8);
		if (refused) {
			ck_assert_uint_eq(pass, 0);
			continue;
		}
		size_t want = 1;
		if (b >= 0x80 && b <= 0x8f)
			want = 1 + 2 * (b & 15u);
		else if (b >= 0x90 && b <= 0x9f)
			want = 1 + (b & 15u);
		else if (b >= 0xa0 && b <= 0xbf)
			want = 1 + (b & 31u);
		else if (b >= 0xc4 && b <= 0xc6)
			want = 1 + (1u << (b - 0xc4));
		else if (b >= 0xcc && b <= 0xcf)
			want = 1 + (1u << (b - 0xcc));
		else if (b >= 0xd0 && b <= 0xd3)
			want = 1 + (1u << (b - 0xd0));
		else if (b >= 0xd9 && b <= 0xdb)
			want = 1 + (1u << (b - 0xd9));
		else if (b >= 0xdc && b <= 0xdf)
			want = 1 + (b & 1 ? 4 : 2);
		ck_assert_msg(pass == want, "type %02x passes with %zu bytes, not %zu", b, pass,
			      want);
	}
}
END_TEST

START_TEST(claims_beyond_the_end_are_refused)
{
	static const uint8_t types[] = {0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf};
	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t p[64];
		memset(p, 0xff, sizeof(p)); /* the size: as large as it can be */
		p[0] = types[i];
		ck_assert_ptr_nonnull(wire_scan(bytes(p, sizeof(p))));
		ck_assert_ptr_nonnull(wire_decode(&frame, bytes(p, sizeof(p))));
	}
	/* one object more than there are bytes */
	uint8_t few[] = {0x92, 0xc0};
	ck_assert_ptr_nonnull(wire_scan(bytes(few, sizeof(few))));
	uint8_t half[] = {0x81, 0xc0};
	ck_assert_ptr_nonnull(wire_scan(bytes(half, sizeof(half))));
}
END_TEST

START_TEST(nesting_ends_at_the_limit)
{
	uint8_t p[100];
	for (size_t depth = 1; depth < 60; depth++) {
		for (int map = 0; map < 2; map++) {
			size_t len = 0;
			if (depth * (map ? 2 : 1) >= sizeof(p))
				continue;
			for (size_t i = 0; i < depth; i++) {
				p[len++] = map ? 0x81 : 0x91;
				if (map)
					p[len++] = 0xa0;
			}
			p[len++] = 0xc0;
			ck_assert_int_eq(!wire_scan(bytes(p, len)), depth <= WIRE_DEPTH_MAX);
		}
	}
	/* empty containers count as well */
	memset(p, 0x91, WIRE_DEPTH_MAX);
	p[WIRE_DEPTH_MAX] = 0x90;
	ck_assert_ptr_nonnull(wire_scan(bytes(p, WIRE_DEPTH_MAX + 1)));
	p[WIRE_DEPTH_MAX - 1] = 0x90;
	ck_assert_ptr_null(wire_scan(bytes(p, WIRE_DEPTH_MAX)));
	/* and a chain that goes on for the whole frame costs no stack */
	uint8_t *chain = xmalloc(WIRE_FRAME_MAX);
	memset(chain, 0x91, WIRE_FRAME_MAX);
	ck_assert_ptr_nonnull(wire_scan(bytes(chain, WIRE_FRAME_MAX)));
	free(chain);
}
END_TEST

START_TEST(the_number_of_values_has_a_limit)
{
	for (size_t n = WIRE_ELEMENTS_MAX - 2; n < WIRE_ELEMENTS_MAX + 2; n++) {
		buf_clear(&out);
		wire_array(&out, n);
		memset(buf_reserve(&out, n), 0x90, n); /* empty arrays: the most memory a byte */
		out.len += n;
		ck_assert_int_eq(!wire_scan(bytes(out.data, out.len)), n + 1 <= WIRE_ELEMENTS_MAX);
	}
}
END_TEST

START_TEST(frames_of_another_shape_are_refused)
{
	static const struct {
		const char *p;
		size_t len;
	} bad[] = {
#define BAD(s) {s, sizeof(s) - 1}
		BAD("\xc0"), BAD("\x01"), BAD("\x80"), BAD("\x90"), BAD("\xa5hello"),
		BAD("\x93\x03\xa1x\x80"),             /* no such kind */
		BAD("\x93\xff\xa1x\x80"),             /* a negative one */
		BAD("\x93\xa1" "2\xa1x\x80"),         /* a kind that is text */
		BAD("\x92\x02\xa1x"),                 /* too short */
		BAD("\x94\x02\xa1x\x80\xc0"),         /* too long */
		BAD("\x93\x02\xa0\x80"),              /* no method */
		BAD("\x93\x02\xc4\x01x\x80"),         /* a method that is bin */
		BAD("\x93\x02\xa1x\x90"),             /* params that are no map */
		BAD("\x93\x02\xa1x\xc0"),
		BAD("\x93\x00\x01\xa1x"),             /* a request without params */
		BAD("\x94\x00\xff\xa1x\x80"),         /* a negative id */
		BAD("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1x\x80"), /* an id of 2^32 */
		BAD("\x94\x01\x01\xc0\xc0"),          /* neither error nor result */
		BAD("\x94\x01\x01\x80\x80"),          /* both */
		BAD("\x94\x01\x01\xa1x\xc0"),         /* an error that is no map */
		BAD("\x94\x01\x01\xc0\x90"),          /* a result that is no map */
		BAD("\x93\x01\x01\x80"),
#undef BAD
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct bytes b = bytes(bad[i].p, bad[i].len);
		ck_assert_msg(!wire_scan(b), "case %zu is no msgpack at all", i);
		ck_assert_msg(wire_decode(&frame, b) != NULL, "case %zu passed", i);
		ck_assert_ptr_null(frame.params);
		ck_assert_uint_eq(frame.method.len, 0);
	}
	char method[WIRE_METHOD_MAX + 2];
	memset(method, 'x', sizeof(method));
	for (size_t len = WIRE_METHOD_MAX; len <= WIRE_METHOD_MAX + 1; len++) {
		buf_clear(&out);
		wire_array(&out, 3);
		wire_uint(&out, WIRE_NOTIFICATION);
		wire_str(&out, bytes(method, len));
		wire_map(&out, 0);
		ck_assert_int_eq(!wire_decode(&frame, bytes(out.data, out.len)),
				 len <= WIRE_METHOD_MAX);
	}
}
END_TEST

START_TEST(numbers_in_longer_forms_are_the_same_numbers)
{
	static const uint8_t p[] = {0x93, 0xcf, 0, 0, 0, 0, 0, 0, 0, 2, 0xda, 0, 1, 'x',
				    0xdf, 0, 0, 0, 1, 0xd9, 1, 'n', 0xd3, 0, 0, 0, 0, 0, 0, 0, 5};
	uint64_t n;
	ck_assert_ptr_null(wire_decode(&frame, bytes(p, sizeof(p))));
	ck_assert_int_eq(frame.kind, WIRE_NOTIFICATION);
	ck_assert(wire_get_uint(frame.params, "n", 10, &n));
	ck_assert_uint_eq(n, 5);
}
END_TEST

/* What the scan lets pass the library must take whole, whatever the bytes are. */
static void scan_and_library_agree(const uint8_t *p, size_t len, size_t *passed)
{
	msgpack_object o;
	const char *why = wire_scan(bytes(p, len));
	const char *why2 = wire_unpack(bytes(p, len), &frame.zone, &o);
	ck_assert_ptr_eq(why, why2);
	msgpack_zone_clear(&frame.zone);
	*passed += !why;
	wire_decode(&frame, bytes(p, len));
}

START_TEST(flipped_bits_never_surprise)
{
	size_t passed = 0;
	pack_all_kinds();
	struct bytes all = object();
	uint8_t *p = xmemdup(all.p, all.len);
	for (size_t bit = 0; bit < all.len * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		scan_and_library_agree(p, all.len, &passed);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (uint64_t start = 1; start < 200000; start += 20) {
		pick_from(start);
		memcpy(p, all.p, all.len);
		for (uint32_t n = 1 + pick(4); n; n--)
			p[pick((uint32_t)all.len)] = (uint8_t)pick(256);
		scan_and_library_agree(p, all.len, &passed);
	}
	free(p);
	ck_assert_uint_gt(passed, 100);
}
END_TEST

START_TEST(random_bytes_never_surprise)
{
	static const uint8_t types[] = {0x80, 0x81, 0x82, 0x90, 0x91, 0x93, 0xa0, 0xa3, 0xc0, 0xc1,
					0xc2, 0xc4, 0xc5, 0xc7, 0xca, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4,
					0xd9, 0xda, 0xdc, 0xdd, 0xde, 0xdf, 0x00, 0xff, 0x01, 0x02};
	size_t passed = 0;
	for (uint64_t run = 0; run < 20000; run++) {
		pick_from(run);
		size_t len = 1 + pick(40);
		uint8_t *p = xmalloc(len);
		for (size_t i = 0; i < len; i++)
			p[i] = types[pick(sizeof(types))];
		scan_and_library_agree(p, len, &passed);
		free(p);
	}
	ck_assert_uint_gt(passed, 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("wire");
	TCase *t = suite_case(s, "wire", setup, teardown);
	tcase_add_test(t, a_request_comes_back_as_it_was);
	tcase_add_test(t, responses_and_notifications_come_back);
	tcase_add_test(t, frames_follow_one_another_in_one_buffer);
	tcase_add_test(t, an_array_of_unknown_length);
	tcase_add_test(t, a_frame_too_long_is_taken_out_again);
	tcase_add_test(t, getters_clear_and_refuse);
	tcase_add_test(t, every_truncation_is_refused);
	tcase_add_test(t, only_these_types_pass);
	tcase_add_test(t, claims_beyond_the_end_are_refused);
	tcase_add_test(t, nesting_ends_at_the_limit);
	tcase_add_test(t, the_number_of_values_has_a_limit);
	tcase_add_test(t, frames_of_another_shape_are_refused);
	tcase_add_test(t, numbers_in_longer_forms_are_the_same_numbers);
	tcase_add_test(t, flipped_bits_never_surprise);
	tcase_add_test(t, random_bytes_never_surprise);
	return suite_run(s);
}
