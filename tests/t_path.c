/* Tests of path: which paths are taken, their order, their parts, conflict names. */
#include "config.h"
#include "path.h"

#include "suite.h"
#include "text.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s) {(const uint8_t *)(s), sizeof(s) - 1}

static const struct {
	struct bytes path;
	enum path_error error;
} checks[] = {
	{LITERAL("a"), PATH_OK},
	{LITERAL("a/b/c"), PATH_OK},
	{LITERAL("..."), PATH_OK},
	{LITERAL(".a/..b/c."), PATH_OK},
	{LITERAL(" / "), PATH_OK},
	{LITERAL("\xff\xfe/\n\x1b"), PATH_OK},
	{LITERAL("a\\..\\b"), PATH_OK},
	{LITERAL(""), PATH_EMPTY},
	{LITERAL("/"), PATH_ABSOLUTE},
	{LITERAL("/a"), PATH_ABSOLUTE},
	{LITERAL("//a"), PATH_ABSOLUTE},
	{LITERAL("a/"), PATH_EMPTY_COMPONENT},
	{LITERAL("a//b"), PATH_EMPTY_COMPONENT},
	{LITERAL("."), PATH_DOT_COMPONENT},
	{LITERAL(".."), PATH_DOT_COMPONENT},
	{LITERAL("./a"), PATH_DOT_COMPONENT},
	{LITERAL("../a"), PATH_DOT_COMPONENT},
	{LITERAL("a/."), PATH_DOT_COMPONENT},
	{LITERAL("a/.."), PATH_DOT_COMPONENT},
	{LITERAL("a/../b"), PATH_DOT_COMPONENT},
	{LITERAL("a\0b"), PATH_HAS_NUL},
	{LITERAL("\0"), PATH_HAS_NUL},
	{LITERAL("a\0"), PATH_HAS_NUL},
	{LITERAL(".tutti"), PATH_RESERVED},
	{LITERAL(".tutti/tmp"), PATH_RESERVED},
	{LITERAL(".TuTtI/x"), PATH_RESERVED},
	{LITERAL(".tut\xe2\x80\x8bti"), PATH_RESERVED},                 /* U+200B */
	{LITERAL("\xe2\x80\x8f.tutti"), PATH_RESERVED},                 /* U+200F */
	{LITERAL(".tutti\xe2\x80\xa8"), PATH_RESERVED},                 /* U+2028 */
	{LITERAL(".\xe2\x80\xaetutti/a"), PATH_RESERVED},               /* U+202E */
	{LITERAL(".t\xe2\x81\xa0utt\xe2\x81\xafi"), PATH_RESERVED},     /* U+2060, U+206F */
	{LITERAL("\xef\xbb\xbf.TUTTI\xef\xbb\xbf/a"), PATH_RESERVED},   /* U+FEFF */
	{LITERAL(".tuttix"), PATH_OK},
	{LITERAL(".tutt"), PATH_OK},
	{LITERAL("tutti"), PATH_OK},
	{LITERAL(".tutti.conflict-00c0ffee-1"), PATH_OK},
	{LITERAL("a/.tutti"), PATH_OK},
	{LITERAL(".tutt\xc4\xb1"), PATH_OK},            /* dotless i is another name */
	{LITERAL(".tutti\xe2\x80\xa7"), PATH_OK},       /* U+2027 is seen */
	{LITERAL(".tutti\xe2\x80\xaf"), PATH_OK},       /* U+202F: a space */
	{LITERAL(".tutti\xe2\x80\x8a"), PATH_OK},       /* U+200A: a space */
	{LITERAL(".tutti\xe2\x81\xb0"), PATH_OK},       /* U+2070 */
	{LITERAL(".tutti\xe2\x80"), PATH_OK},           /* cut short: bytes, not a character */
	{LITERAL(".tutti\xff"), PATH_OK},
	{LITERAL("\xe2\x80\x8b"), PATH_OK},
};

START_TEST(each_path_is_judged)
{
	enum path_error got = path_check(checks[_i].path);
	ck_assert_msg(got == checks[_i].error, "\"%.*s\": %s, not %s", (int)checks[_i].path.len,
		      (const char *)checks[_i].path.p, path_error_text(got),
		      path_error_text(checks[_i].error));
}
END_TEST

START_TEST(limits_are_exact)
{
	static uint8_t long_path[PATH_BYTES_MAX + 1];
	for (size_t i = 0; i < sizeof(long_path); i++)
		long_path[i] = i % 100 == 99 ? '/' : 'x';
	struct bytes path = {long_path, PATH_BYTES_MAX};
	ck_assert_int_eq(path_check(path), PATH_OK);
	path.len++;
	ck_assert_int_eq(path_check(path), PATH_TOO_LONG);

	static uint8_t name[2 * PATH_COMPONENT_MAX + 2];
	memset(name, 'n', sizeof(name));
	path = (struct bytes){name, PATH_COMPONENT_MAX};
	ck_assert_int_eq(path_check(path), PATH_OK);
	path.len++;
	ck_assert_int_eq(path_check(path), PATH_COMPONENT_TOO_LONG);
	name[PATH_COMPONENT_MAX] = '/';
	path.len = sizeof(name) - 1;
	ck_assert_int_eq(path_check(path), PATH_OK);
	path.len++;
	ck_assert_int_eq(path_check(path), PATH_COMPONENT_TOO_LONG);

	static uint8_t deep[2 * PATH_DEPTH_MAX + 2];
	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = i % 2 ? '/' : 'd';
	path = (struct bytes){deep, 2 * PATH_DEPTH_MAX - 1};
	ck_assert_uint_eq(path_depth(path), PATH_DEPTH_MAX);
	ck_assert_int_eq(path_check(path), PATH_OK);
	path.len += 2;
	ck_assert_int_eq(path_check(path), PATH_TOO_DEEP);
}
END_TEST

START_TEST(every_byte_but_two_may_be_in_a_name)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t name[] = {'a', (uint8_t)byte, 'b'};
		enum path_error got = path_check((struct bytes){name, 3});
		ck_assert_int_eq(got, byte == 0 ? PATH_HAS_NUL : PATH_OK);
		got = path_check((struct bytes){name + 1, 1});
		enum path_error alone = byte == 0     ? PATH_HAS_NUL
					: byte == '/' ? PATH_ABSOLUTE
					: byte == '.' ? PATH_DOT_COMPONENT
						      : PATH_OK;
		ck_assert_int_eq(got, alone);
	}
}
END_TEST

START_TEST(every_error_has_its_words)
{
	for (unsigned a = 0; a <= PATH_RESERVED; a++) {
		const char *text = path_error_text((enum path_error)a);
		ck_assert_ptr_nonnull(text);
		for (unsigned b = 0; b < a; b++)
			ck_assert_str_ne(text, path_error_text((enum path_error)b));
	}
	ck_assert_ptr_nonnull(path_error_text((enum path_error)1000));
}
END_TEST

/* In the order of the table; each is compared with each. */
static const char *const in_order[] = {
	"",         "\x01",      " ",    "A",    "B/z",       "a",      "a/",
	"a/\x01",   "a/\x01/b",  "a/a",  "a/a/a", "a/a.b",    "a/aa",   "a/b",
	"a/\xff",   "a\x01",     "a\x01/a", "a b", "a-",      "a-b",    "a-b/c",
	"a.b",      "a0",        "aa",   "aa/a", "ab",        "abcdefgh/abcdefgh",
	"abcdefgh/abcdefgh/1",   "abcdefgh/abcdefgh-",        "abcdefgh/abcdefgi",
	"abcdefgh-abcdefgh",     "b",    "\xc3\xa9",          "\xff",   "\xff/a",
};

START_TEST(paths_are_ordered_by_component)
{
	for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
		for (size_t j = 0; j < ARRAY_LEN(in_order); j++) {
			int got = path_compare(bytes_of(in_order[i]), bytes_of(in_order[j]));
			int sign = (got > 0) - (got < 0);
			int want = (i > j) - (i < j);
			ck_assert_msg(sign == want, "\"%s\" and \"%s\": %d, not %d", in_order[i],
				      in_order[j], sign, want);
		}
	}
}
END_TEST

/* The definition, written down: compare one component, then the next. */
static int compare_slowly(struct bytes a, struct bytes b)
{
	if (a.len == 0 || b.len == 0)
		return (a.len > 0) - (b.len > 0);
	const uint8_t *as = memchr(a.p, '/', a.len), *bs = memchr(b.p, '/', b.len);
	struct bytes x = {a.p, as ? (size_t)(as - a.p) : a.len};
	struct bytes y = {b.p, bs ? (size_t)(bs - b.p) : b.len};
	size_t common = x.len < y.len ? x.len : y.len;
	int c = memcmp(x.p, y.p, common);
	if (c || x.len != y.len)
		return c ? c : x.len < y.len ? -1 : 1;
	struct bytes a_rest = {as ? as + 1 : a.p, as ? a.len - x.len - 1 : 0};
	struct bytes b_rest = {bs ? bs + 1 : b.p, bs ? b.len - y.len - 1 : 0};
	return compare_slowly(a_rest, b_rest);
}

static struct bytes random_path(uint8_t *out, size_t max, uint64_t *state)
{
	static const uint8_t alphabet[] = {'a', 'a', 'a', 'b', '-', '.', 0x01, 0xff};
	size_t len = 0, want = 1 + next_random(state) % (max - 1);
	while (len < want) {
		bool slash = len > 0 && len + 1 < want && out[len - 1] != '/' &&
			     next_random(state) % 4 == 0;
		out[len++] = slash ? '/' : alphabet[next_random(state) % sizeof(alphabet)];
	}
	return (struct bytes){out, len};
}

START_TEST(order_is_that_of_the_definition)
{
	uint64_t state = suite_seed();
	uint8_t a[40], b[40];
	for (int round = 0; round < 50000; round++) {
		struct bytes x = random_path(a, sizeof(a), &state);
		struct bytes y = random_path(b, sizeof(b), &state);
		size_t same = next_random(&state) % (x.len + 1);
		if (same < y.len)
			memcpy(b, a, same);
		if (memchr(b, '/', y.len) == b || y.p[y.len - 1] == '/')
			continue;
		int want = compare_slowly(x, y), got = path_compare(x, y);
		ck_assert_msg((want > 0) == (got > 0) && (want < 0) == (got < 0),
			      "seed %llu: \"%.*s\" and \"%.*s\"", (unsigned long long)suite_seed(),
			      (int)x.len, (const char *)x.p, (int)y.len, (const char *)y.p);
	}
}
END_TEST

START_TEST(parts_of_a_path)
{
	static const struct {
		const char *path, *parent, *base;
		unsigned depth;
	} cases[] = {
		{"", "", "", 0},
		{"a", "", "a", 1},
		{"a/b", "a", "b", 2},
		{"abc/def/.x", "abc/def", ".x", 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes path = bytes_of(cases[i].path);
		ck_assert(bytes_eq(path_parent(path), bytes_of(cases[i].parent)));
		ck_assert(bytes_eq(path_base(path), bytes_of(cases[i].base)));
		ck_assert_uint_eq(path_depth(path), cases[i].depth);
	}
	struct bytes none = {NULL, 0};
	ck_assert_uint_eq(path_parent(none).len, 0);
	ck_assert_uint_eq(path_base(none).len, 0);
	ck_assert_uint_eq(path_depth(none), 0);
	ck_assert_int_eq(path_check(none), PATH_EMPTY);
	ck_assert_int_eq(path_compare(none, none), 0);
}
END_TEST

START_TEST(under_means_below)
{
	static const struct {
		const char *path, *dir;
		bool under;
	} cases[] = {
		{"a/b", "a", true},   {"a/b/c", "a", true}, {"a/b/c", "a/b", true},
		{"a", "a", false},    {"ab", "a", false},   {"a-b", "a", false},
		{"a", "a/b", false},  {"b/a", "a", false},  {"a", "", true},
		{"a/b", "", true},    {"", "", false},      {"", "a", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool got = path_is_under(bytes_of(cases[i].path), bytes_of(cases[i].dir));
		ck_assert_msg(got == cases[i].under, "\"%s\" under \"%s\"", cases[i].path,
			      cases[i].dir);
	}
	/* what follows a path in memory is not part of it */
	struct bytes cut = {(const uint8_t *)"a/b", 1};
	ck_assert(!path_is_under(cut, bytes_of("a")));
}
END_TEST

/* --- conflict names --- */

#define PART ".conflict-0123abcd-42"

static const struct {
	const char *path, *copy;
} copies[] = {
	{"notes.txt", "notes" PART ".txt"},
	{"design/notes.txt", "design/notes" PART ".txt"},
	{"a.b/notes", "a.b/notes" PART},
	{"README", "README" PART},
	{".bashrc", ".bashrc" PART},
	{".config.yml", ".config" PART ".yml"},
	{"a.tar.gz", "a.tar" PART ".gz"},
	{"dot.", "dot." PART},
	{"..x", "." PART ".x"},
	{"...", "..." PART},
	{"x.sixteen_letters_", "x" PART ".sixteen_letters_"},
	{"x.seventeen_letters", "x.seventeen_letters" PART},
	/* copies of copies: the original's name, the new dot */
	{"notes.conflict-ffffffff-7.txt", "notes" PART ".txt"},
	{"README.conflict-ffffffff-7", "README" PART},
	{".bashrc.conflict-ffffffff-18446744073709551615", ".bashrc" PART},
	{"a.tar.conflict-ffffffff-7.gz", "a.tar" PART ".gz"},
	{"a.conflict-ffffffff-7.tar.gz", "a.tar" PART ".gz"},
	{"a.conflict-ffffffff-7.conflict-00000000-8.txt", "a" PART ".txt"},
	{"a.conflict-ffffffff-7.b.conflict-00000000-8.txt", "a.b" PART ".txt"},
	{".conflict-ffffffff-7.conflict-00000000-8", ".conflict-ffffffff-7" PART},
	/* the folder's name stays as it is */
	{"d.conflict-ffffffff-7/n.txt", "d.conflict-ffffffff-7/n" PART ".txt"},
	/* nearly conflict parts */
	{".conflict-ffffffff-7", ".conflict-ffffffff-7" PART},
	{"a.conflict-fffffff-7", "a.conflict-fffffff-7" PART},
	{"a.conflict-fffffffff-7", "a.conflict-fffffffff-7" PART},
	{"a.conflict-FFFFFFFF-7", "a.conflict-FFFFFFFF-7" PART},
	{"a.conflict-ffffffff-", "a.conflict-ffffffff-" PART},
	{"a.conflict-ffffffff-x", "a.conflict-ffffffff-x" PART},
	{"a.conflict-ffffffff-7x", "a.conflict-ffffffff-7x" PART},
	{"a.conflict-ffffffff-123456789012345678901",
	 "a.conflict-ffffffff-123456789012345678901" PART},
	{"aconflict-ffffffff-7", "aconflict-ffffffff-7" PART},
	{"a.conflict-beta-20261122-135744.txt", "a.conflict-beta-20261122-135744" PART ".txt"},
};

static bool copy_is(struct bytes path, const char *copy)
{
	struct buf out = {0};
	path_conflict_name(&out, path, "0123abcd", 42, 0);
	bool same = bytes_eq((struct bytes){out.data, out.len}, bytes_of(copy));
	if (!same)
		fprintf(stderr, "\"%.*s\" became \"%.*s\", not \"%s\"\n", (int)path.len,
			(const char *)path.p, (int)out.len, (const char *)out.data, copy);
	buf_release(&out);
	return same;
}

START_TEST(copy_has_its_name)
{
	ck_assert(copy_is(bytes_of(copies[_i].path), copies[_i].copy));
	/* the copy of the copy, for the same dot, is itself */
	ck_assert(copy_is(bytes_of(copies[_i].copy), copies[_i].copy));
	ck_assert(path_is_conflict_name(bytes_of(copies[_i].copy)));
	ck_assert(path_is_copy_of(bytes_of(copies[_i].copy), bytes_of(copies[_i].path)));
	ck_assert(!path_is_copy_of(bytes_of(copies[_i].path), bytes_of("x/y")));
}
END_TEST

START_TEST(copy_belongs_to_its_path_only)
{
	struct bytes copy = bytes_of("d/a.conflict-0123abcd-42.txt");
	ck_assert(path_is_copy_of(copy, bytes_of("d/a.txt")));
	ck_assert(path_is_copy_of(copy, bytes_of("d/a.conflict-00000000-1.txt")));
	ck_assert(!path_is_copy_of(copy, bytes_of("d/b.txt")));
	ck_assert(!path_is_copy_of(copy, bytes_of("a.txt")));
	ck_assert(!path_is_copy_of(copy, bytes_of("d/a")));
	ck_assert(!path_is_copy_of(bytes_of("d/a.txt"), bytes_of("d/a.txt")));
}
END_TEST

START_TEST(copy_is_appended)
{
	struct buf out = {0};
	buf_add(&out, "x", 1);
	path_conflict_name(&out, bytes_of("d/a.b"), "00000000", 0, 0);
	ck_assert_uint_eq(out.len, strlen("xd/a.conflict-00000000-0.b"));
	ck_assert_mem_eq(out.data, "xd/a.conflict-00000000-0.b", out.len);
	buf_release(&out);
}
END_TEST

/* Each name of a copy leads to the next one. */
START_TEST(a_copy_has_other_names)
{
	static const char *const names[] = {
		"d/a.b", "d/a.conflict-0123abcd-42.b", "d/a.conflict-0123abcd-042.b",
		"d/a.conflict-0123abcd-0042.b", "d/a.conflict-0123abcd-00042.b",
		"d/a.conflict-0123abcd-000042.b",
	};
	ck_assert_uint_eq(ARRAY_LEN(names), CONFLICT_ZEROS_MAX + 2);
	for (unsigned i = 0; i <= CONFLICT_ZEROS_MAX; i++) {
		struct buf out = {0};
		path_conflict_name(&out, bytes_of(names[i]), "0123abcd", 42, i);
		ck_assert_uint_eq(out.len, strlen(names[i + 1]));
		ck_assert_mem_eq(out.data, names[i + 1], out.len);
		ck_assert(path_is_copy_of(bytes_of(names[i + 1]), bytes_of(names[i])));
		buf_release(&out);
	}
}
END_TEST

START_TEST(conflict_names_are_recognised)
{
	static const struct {
		const char *path;
		bool is;
	} cases[] = {
		{"a.conflict-0123abcd-42", true},
		{"d/a.conflict-0123abcd-42.txt", true},
		{"a.conflict-0123abcd-18446744073709551615.txt", true},
		{"a.conflict-0123abcd-42.tar.gz", true},
		{"", false},
		{"a", false},
		{".conflict-0123abcd-42", false},
		{"d/.conflict-0123abcd-42", false},
		{"d.conflict-0123abcd-42/a", false},
		{"a.conflict-0123abcd-42x", false},
		{"a.conflict-0123abcd", false},
		{"a.conflict-0123abcg-42", false},
		{"a.conflict-0123abcd_42", false},
		{"a.conflict-0123ABCD-42", false},
		{"a.conflict-0123abcd-123456789012345678901", false},
		{"a.conflict-0123abcd-0", true},
		{"a.conflict-0123abcd-042.txt", true},
		{"a.conflict-0123abcd-000018446744073709551615", true},
		{"a.conflict-0123abcd-0000018446744073709551615", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_msg(path_is_conflict_name(bytes_of(cases[i].path)) == cases[i].is,
			      "\"%s\"", cases[i].path);
}
END_TEST

static struct buf copy_of(struct bytes path, uint64_t counter)
{
	struct buf out = {0};
	path_conflict_name(&out, path, "deadbeef", counter, 0);
	return out;
}

static struct bytes bytes_in(const struct buf *b)
{
	return (struct bytes){b->data, b->len};
}

START_TEST(long_stem_is_cut_to_the_limit)
{
	uint8_t name[PATH_COMPONENT_MAX];
	memset(name, 'n', sizeof(name));
	memcpy(name + sizeof(name) - 4, ".txt", 4);
	struct buf out = copy_of((struct bytes){name, sizeof(name)}, UINT64_MAX);
	ck_assert_uint_eq(out.len, PATH_COMPONENT_MAX);
	const char *end = "n.conflict-deadbeef-18446744073709551615.txt";
	ck_assert_mem_eq(out.data + out.len - strlen(end), end, strlen(end));
	buf_release(&out);
}
END_TEST

START_TEST(cut_falls_between_characters)
{
	/* Two-, three- and four-byte characters behind 0 to 4 bytes: the cut meets each byte. */
	static const char *const characters[] = {"\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x98\x80"};
	for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
		for (size_t shift = 0; shift < 5; shift++) {
			struct buf name = {0};
			for (size_t i = 0; i < shift; i++)
				buf_add_char(&name, 'x');
			size_t n = strlen(characters[c]);
			while (name.len + n <= PATH_COMPONENT_MAX)
				buf_add(&name, characters[c], n);
			struct buf out = copy_of(bytes_in(&name), 7);
			ck_assert(text_is_utf8(bytes_in(&out)));
			ck_assert_uint_le(out.len, PATH_COMPONENT_MAX);
			ck_assert_uint_gt(out.len + n, PATH_COMPONENT_MAX);
			ck_assert_int_eq(path_check(bytes_in(&out)), PATH_OK);
			buf_release(&out);
			buf_release(&name);
		}
	}
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_cut_anywhere)
{
	uint8_t name[PATH_COMPONENT_MAX];
	memset(name, 0x80, sizeof(name));
	struct buf out = copy_of((struct bytes){name, sizeof(name)}, 7);
	ck_assert_uint_eq(out.len, PATH_COMPONENT_MAX);
	buf_release(&out);
}
END_TEST

START_TEST(copies_in_deep_folders_keep_to_the_path_limit)
{
	/* 4096 bytes and the last name of 1 to 255: the copy fits while anything of it can. */
	uint8_t path[PATH_BYTES_MAX];
	size_t part = strlen(".conflict-deadbeef-7");
	for (size_t base = 1; base <= PATH_COMPONENT_MAX; base++) {
		memset(path, 0xc3, sizeof(path));
		for (size_t i = 1; i < sizeof(path); i += 2)
			path[i] = 0xa9;
		for (size_t i = PATH_BYTES_MAX - base - 1; i < PATH_BYTES_MAX; i -= 200)
			path[i] = '/';
		path[0] = 'x';
		struct bytes whole = {path, sizeof(path)};
		ck_assert_int_eq(path_check(whole), PATH_OK);
		struct buf out = copy_of(whole, 7);
		enum path_error got = path_check(bytes_in(&out));
		ck_assert_int_eq(got, base > part ? PATH_OK : PATH_TOO_LONG);
		ck_assert(path_is_conflict_name(bytes_in(&out)));
		buf_release(&out);
	}
}
END_TEST

START_TEST(a_cut_makes_no_second_part)
{
	/* Cut within its digits, this word would read as a conflict part. */
	const char *word = ".conflict-00000000-12345678901234567890x";
	const char *part = ".conflict-deadbeef-7";
	for (size_t before = 150; before < 220; before++) {
		uint8_t name[PATH_COMPONENT_MAX];
		memset(name, 'n', sizeof(name));
		memcpy(name + before, word,
		       before + strlen(word) < sizeof(name) ? strlen(word)
							    : sizeof(name) - before);
		name[sizeof(name) - 1] = 'x';
		struct bytes whole = {name, sizeof(name)};
		ck_assert(!path_is_conflict_name(whole));
		struct buf out = copy_of(whole, 7);
		ck_assert(path_is_conflict_name(bytes_in(&out)));
		ck_assert_uint_gt(out.len, strlen(part));
		out.len -= strlen(part);
		ck_assert_mem_eq(out.data + out.len, part, strlen(part));
		ck_assert(!path_is_conflict_name(bytes_in(&out)));
		buf_release(&out);
	}
}
END_TEST

START_TEST(conflict_names_hold_their_promises_for_any_name)
{
	static const char *const words[] = {
		".conflict-0123abcd-42", ".conflict-", "-42", "0123abcd", ".", ".txt", "a",
		"\xe6\x97\xa5", "\xff", "1234567890", "conflict", "-",
	};
	uint64_t state = suite_seed();
	for (int round = 0; round < 20000; round++) {
		struct buf name = {0};
		size_t pieces = 1 + next_random(&state) % 40;
		for (size_t i = 0; i < pieces; i++) {
			const char *word = words[next_random(&state) % ARRAY_LEN(words)];
			if (name.len + strlen(word) <= PATH_COMPONENT_MAX)
				buf_add(&name, word, strlen(word));
		}
		if (path_check(bytes_in(&name)) == PATH_OK) {
			uint64_t counter = next_random(&state) >> next_random(&state) % 64;
			struct buf out = copy_of(bytes_in(&name), counter);
			bool fine = path_check(bytes_in(&out)) == PATH_OK &&
				    path_is_conflict_name(bytes_in(&out)) &&
				    (text_is_utf8(bytes_in(&out)) ||
				     !text_is_utf8(bytes_in(&name)));
			/* one part only: without it, the name is none */
			char part[64];
			snprintf(part, sizeof(part), ".conflict-deadbeef-%llu",
				 (unsigned long long)counter);
			uint8_t *at = memmem(out.data, out.len, part, strlen(part));
			fine = fine && at;
			if (fine) {
				size_t tail = out.len - (size_t)(at - out.data) - strlen(part);
				memmove(at, at + strlen(part), tail);
				out.len -= strlen(part);
				fine = !path_is_conflict_name(bytes_in(&out));
			}
			ck_assert_msg(fine, "seed %llu, round %d: \"%.*s\"",
				      (unsigned long long)suite_seed(), round, (int)name.len,
				      (const char *)name.data);
			buf_release(&out);
		}
		buf_release(&name);
	}
}
END_TEST

START_TEST(numbered_names_are_plain_and_fit)
{
	static const struct {
		const char *path, *numbered;
	} cases[] = {
		{"a", "a.2"},
		{"d/notes.txt", "d/notes.2.txt"},
		{"d/notes.conflict-0123abcd-7.txt", "d/notes.2.txt"},
		{".profile", ".profile.2"},
		{"a.conflict-0123abcd-7.conflict-0123abcd-9", "a.2"},
		{"a.tar.gz", "a.tar.2.gz"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = {0};
		path_numbered_name(&out, bytes_of(cases[i].path), 2);
		ck_assert(bytes_eq(bytes_in(&out), bytes_of(cases[i].numbered)));
		ck_assert(!path_is_conflict_name(bytes_in(&out)));
		buf_release(&out);
	}
	char name[256];
	memset(name, 'x', 255);
	memcpy(name + 251, ".txt", 5);
	struct buf out = {0};
	path_numbered_name(&out, bytes_of(name), UINT_MAX);
	ck_assert_uint_eq(out.len, 255);
	ck_assert_mem_eq(out.data + 240, ".4294967295.txt", 15);
	ck_assert_int_eq(path_check(bytes_in(&out)), PATH_OK);
	buf_release(&out);
}
END_TEST

START_TEST(replica_text_of_another_length_is_a_bug)
{
	struct buf out = {0};
	path_conflict_name(&out, bytes_of("a"), "0123", 1, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("path");
	TCase *t = suite_case(s, "check", NULL, NULL);
	tcase_add_loop_test(t, each_path_is_judged, 0, (int)ARRAY_LEN(checks));
	tcase_add_test(t, limits_are_exact);
	tcase_add_test(t, every_byte_but_two_may_be_in_a_name);
	tcase_add_test(t, every_error_has_its_words);
	t = suite_case(s, "parts", NULL, NULL);
	tcase_add_test(t, paths_are_ordered_by_component);
	tcase_add_test(t, order_is_that_of_the_definition);
	tcase_add_test(t, parts_of_a_path);
	tcase_add_test(t, under_means_below);
	t = suite_case(s, "conflict", NULL, NULL);
	tcase_add_loop_test(t, copy_has_its_name, 0, (int)ARRAY_LEN(copies));
	tcase_add_test(t, copy_belongs_to_its_path_only);
	tcase_add_test(t, copy_is_appended);
	tcase_add_test(t, a_copy_has_other_names);
	tcase_add_test(t, conflict_names_are_recognised);
	tcase_add_test(t, long_stem_is_cut_to_the_limit);
	tcase_add_test(t, cut_falls_between_characters);
	tcase_add_test(t, bytes_that_are_not_utf8_are_cut_anywhere);
	tcase_add_test(t, copies_in_deep_folders_keep_to_the_path_limit);
	tcase_add_test(t, a_cut_makes_no_second_part);
	tcase_add_test(t, conflict_names_hold_their_promises_for_any_name);
	tcase_add_test(t, numbered_names_are_plain_and_fit);
	tcase_add_test_raise_signal(t, replica_text_of_another_length_is_a_bug, SIGABRT);
	return suite_run(s);
}
