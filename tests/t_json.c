/* Tests of json: structure, strings of any bytes, exact numbers, base64, misuse. */
#include "config.h"
#include "json.h"

#include "suite.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s) {(const uint8_t *)(s), sizeof(s) - 1}

static struct buf out;
static struct json w;

static void start(void)
{
	buf_clear(&out);
	json_init(&w, &out);
}

static void finish(void)
{
	buf_release(&out);
}

static void expect(const char *text)
{
	buf_add_char(&out, '\0');
	ck_assert_str_eq((char *)out.data, text);
	out.len--;
}

START_TEST(objects_and_arrays_nest)
{
	json_object(&w, NULL);
	json_text(&w, "name", "alpha");
	json_array(&w, "empty");
	json_array_end(&w);
	json_object(&w, "nothing");
	json_object_end(&w);
	json_array(&w, "list");
	json_int(&w, NULL, 1);
	json_text(&w, NULL, "two");
	json_array(&w, NULL);
	json_object(&w, NULL);
	json_bool(&w, "yes", true);
	json_bool(&w, "no", false);
	json_object_end(&w);
	json_null(&w, NULL);
	json_array_end(&w);
	json_object(&w, NULL);
	json_object_end(&w);
	json_array_end(&w);
	json_null(&w, "none");
	json_object_end(&w);
	json_line_end(&w);
	json_object(&w, NULL);
	json_object_end(&w);
	json_line_end(&w);
	json_uint(&w, NULL, 3);
	json_line_end(&w);
	expect("{\"name\":\"alpha\",\"empty\":[],\"nothing\":{},\"list\":[1,\"two\","
	       "[{\"yes\":true,\"no\":false},null],{}],\"none\":null}\n{}\n3\n");
}
END_TEST

START_TEST(depth_reaches_its_limit)
{
	for (unsigned i = 0; i < JSON_DEPTH_MAX; i++) {
		if (i % 2)
			json_object(&w, NULL);
		else
			json_array(&w, i > 0 ? "a" : NULL);
	}
	for (unsigned i = JSON_DEPTH_MAX; i > 0; i--) {
		if (i % 2 == 0)
			json_object_end(&w);
		else
			json_array_end(&w);
	}
	json_line_end(&w);
	ck_assert_int_eq(out.data[0], '[');
	ck_assert_int_eq(out.data[out.len - 2], ']');
}
END_TEST

static const struct {
	struct bytes value;
	const char *text;
} strings[] = {
	{LITERAL(""), "\"\""},
	{LITERAL("plain / name"), "\"plain / name\""},
	{LITERAL("\"\\\""), "\"\\\"\\\\\\\"\""},
	{LITERAL("a\nb\rc\td"), "\"a\\nb\\rc\\td\""},
	{LITERAL("\0\x01\x1b[0m\x1f\x7f"), "\"\\u0000\\u0001\\u001b[0m\\u001f\\u007f\""},
	{LITERAL("\xc2\x80\xc2\x9b\xc2\x9f"), "\"\\u0080\\u009b\\u009f\""},
	{LITERAL("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"),
	 "\"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\""},
	{LITERAL("e\xcc\x81"), "\"e\xcc\x81\""},
	{LITERAL("\xe2\x80\x8b\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf"),
	 "\"\\u200b\\u2028\\u202e\\u2066\\ufeff\""},
	{LITERAL("\xf3\xa0\x80\x81\xf4\x8f\xbf\xbf\xf0\x9d\x85\xb3"),
	 "\"\\udb40\\udc01\\udbff\\udfff\\ud834\\udd73\""},
	{LITERAL("a\xff" "b\xc3" "c\xed\xa0\x80"),
	 "\"a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	{LITERAL("\xef\xbf\xbd"), "\"\xef\xbf\xbd\""},
};

START_TEST(each_string_is_written)
{
	json_string(&w, NULL, strings[_i].value);
	expect(strings[_i].text);
}
END_TEST

START_TEST(keys_are_escaped_too)
{
	json_object(&w, NULL);
	json_text(&w, "a\"\n", "b");
	json_object_end(&w);
	expect("{\"a\\\"\\n\":\"b\"}");
}
END_TEST

/* Like ck_assert(), but costs nothing while it holds. */
#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

static uint32_t hex4(const uint8_t *p)
{
	char digits[5] = {(char)p[0], (char)p[1], (char)p[2], (char)p[3], '\0'};
	char *end;
	unsigned long n = strtoul(digits, &end, 16);
	NEED(end == digits + 4);
	return (uint32_t)n;
}

/* Reads a JSON string as the standard has it; the result is UTF-8. Fails on anything else, and
 * on characters that a terminal must not get. */
static struct buf read_string(struct bytes json)
{
	static const char from[] = "\"\\nrt", to[] = "\"\\\n\r\t";
	struct buf text = {0};
	NEED(json.len >= 2 && json.p[0] == '"' && json.p[json.len - 1] == '"');
	size_t end = json.len - 1;
	for (size_t i = 1; i < end;) {
		uint32_t cp;
		size_t n = text_decode(json.p + i, end - i, &cp);
		NEED(n > 0 && cp != '"' && text_is_visible(cp));
		i += n;
		if (cp == '\\' && json.p[i] == 'u') {
			NEED(i + 5 <= end);
			cp = hex4(json.p + i + 1);
			i += 5;
			if (cp >= 0xd800 && cp <= 0xdfff) {
				NEED(cp < 0xdc00 && i + 6 <= end);
				NEED(json.p[i] == '\\' && json.p[i + 1] == 'u');
				uint32_t low = hex4(json.p + i + 2);
				NEED(low >= 0xdc00 && low <= 0xdfff);
				cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
				i += 6;
			}
		} else if (cp == '\\') {
			const char *at = json.p[i] ? strchr(from, json.p[i]) : NULL;
			NEED(i < end && at);
			cp = (uint8_t)to[at - from];
			i++;
		}
		uint8_t utf8[4];
		buf_add(&text, utf8, text_encode(utf8, cp));
	}
	return text;
}

START_TEST(every_character_can_be_read_back)
{
	struct buf all = {0};
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		uint8_t utf8[4];
		if (cp < 0xd800 || cp > 0xdfff)
			buf_add(&all, utf8, text_encode(utf8, cp));
	}
	json_string(&w, NULL, (struct bytes){all.data, all.len});
	struct buf back = read_string((struct bytes){out.data, out.len});
	ck_assert_uint_eq(back.len, all.len);
	ck_assert(memcmp(back.data, all.data, all.len) == 0);
	buf_release(&back);
	buf_release(&all);
}
END_TEST

START_TEST(every_byte_gives_valid_json)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t raw = (uint8_t)byte;
		start();
		json_string(&w, NULL, (struct bytes){&raw, 1});
		struct buf back = read_string((struct bytes){out.data, out.len});
		if (byte < 0x80) {
			ck_assert_uint_eq(back.len, 1);
			ck_assert_uint_eq(back.data[0], byte);
		} else {
			ck_assert_uint_eq(back.len, 3);
			ck_assert_mem_eq(back.data, "\xef\xbf\xbd", 3);
		}
		buf_release(&back);
	}
}
END_TEST

START_TEST(random_bytes_give_valid_json)
{
	uint64_t state = suite_seed();
	for (int round = 0; round < 20000; round++) {
		uint8_t raw[48];
		size_t len = next_random(&state) % sizeof(raw);
		for (size_t i = 0; i < len; i++)
			raw[i] = (uint8_t)(next_random(&state) >> next_random(&state) % 3);
		start();
		json_string(&w, NULL, (struct bytes){raw, len});
		struct buf back = read_string((struct bytes){out.data, out.len});
		if (text_is_utf8((struct bytes){raw, len}))
			ck_assert(bytes_eq((struct bytes){back.data, back.len},
					   (struct bytes){raw, len}));
		buf_release(&back);
	}
}
END_TEST

START_TEST(paths_keep_their_bytes)
{
	json_object(&w, NULL);
	json_path(&w, "path", bytes_of("caf\xc3\xa9/\x1b"));
	json_path(&w, "other", bytes_of("caf\xe9"));
	json_int(&w, "size", 1);
	json_object_end(&w);
	expect("{\"path\":\"caf\xc3\xa9/\\u001b\",\"other\":\"caf\xef\xbf\xbd\","
	       "\"other_bytes\":\"Y2Fm6Q==\",\"size\":1}");
}
END_TEST

START_TEST(base64_is_that_of_the_rfc)
{
	static const char *const cases[][2] = {
		{"", "\"\""},
		{"f", "\"Zg==\""},
		{"fo", "\"Zm8=\""},
		{"foo", "\"Zm9v\""},
		{"foob", "\"Zm9vYg==\""},
		{"fooba", "\"Zm9vYmE=\""},
		{"foobar", "\"Zm9vYmFy\""},
		{"\xff\xff\xfe\xfb\xf0", "\"///++/A=\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start();
		json_base64(&w, NULL, bytes_of(cases[i][0]));
		expect(cases[i][1]);
	}
}
END_TEST

START_TEST(integers_are_whole)
{
	json_array(&w, NULL);
	json_int(&w, NULL, 0);
	json_int(&w, NULL, INT64_MIN);
	json_int(&w, NULL, INT64_MAX);
	json_uint(&w, NULL, UINT64_MAX);
	json_array_end(&w);
	expect("[0,-9223372036854775808,9223372036854775807,18446744073709551615]");
}
END_TEST

START_TEST(seconds_are_exact)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1, "0.000000001"},
		{-1, "-0.000000001"},
		{100000000, "0.1"},
		{999999999, "0.999999999"},
		{1000000000, "1"},
		{-1000000000, "-1"},
		{-1500000000, "-1.5"},
		{1000000010, "1.00000001"},
		{10000000000, "10"},
		{1763820127123456789, "1763820127.123456789"},
		{1763820127120000000, "1763820127.12"},
		{1763820120000000000, "1763820120"},
		{INT64_MAX, "9223372036.854775807"},
		{INT64_MIN, "-9223372036.854775808"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start();
		json_seconds(&w, NULL, cases[i].ns);
		expect(cases[i].text);
	}
}
END_TEST

/* Each of these is a bug of the caller, and ends the program. */
static void value_without_key(void)
{
	json_object(&w, NULL);
	json_int(&w, NULL, 1);
}

static void key_in_array(void)
{
	json_array(&w, NULL);
	json_int(&w, "a", 1);
}

static void key_at_the_top(void)
{
	json_int(&w, "a", 1);
}

static void two_values_in_a_line(void)
{
	json_int(&w, NULL, 1);
	json_int(&w, NULL, 2);
}

static void wrong_end(void)
{
	json_object(&w, NULL);
	json_array_end(&w);
}

static void end_of_nothing(void)
{
	json_object_end(&w);
}

static void line_in_an_object(void)
{
	json_object(&w, NULL);
	json_int(&w, "a", 1);
	json_line_end(&w);
}

static void empty_line(void)
{
	json_line_end(&w);
}

static void too_deep(void)
{
	for (unsigned i = 0; i <= JSON_DEPTH_MAX; i++)
		json_array(&w, NULL);
}

static void path_in_array(void)
{
	json_array(&w, NULL);
	json_path(&w, NULL, bytes_of("a"));
}

static void (*const bugs[])(void) = {
	value_without_key, key_in_array,      key_at_the_top, two_values_in_a_line, wrong_end,
	end_of_nothing,    line_in_an_object, empty_line,     too_deep,             path_in_array,
};

START_TEST(misuse_is_asserted)
{
	bugs[_i]();
}
END_TEST

int main(void)
{
	Suite *s = suite_new("json");
	TCase *t = suite_case(s, "json", start, finish);
	tcase_add_test(t, objects_and_arrays_nest);
	tcase_add_test(t, depth_reaches_its_limit);
	tcase_add_loop_test(t, each_string_is_written, 0, (int)ARRAY_LEN(strings));
	tcase_add_test(t, keys_are_escaped_too);
	tcase_add_test(t, every_character_can_be_read_back);
	tcase_add_test(t, every_byte_gives_valid_json);
	tcase_add_test(t, random_bytes_give_valid_json);
	tcase_add_test(t, paths_keep_their_bytes);
	tcase_add_test(t, base64_is_that_of_the_rfc);
	tcase_add_test(t, integers_are_whole);
	tcase_add_test(t, seconds_are_exact);
	tcase_add_loop_test_raise_signal(t, misuse_is_asserted, SIGABRT, 0, (int)ARRAY_LEN(bugs));
	return suite_run(s);
}
