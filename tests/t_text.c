/* Tests of text: decoding, what is shown and what is escaped, widths, clipping. */
#include "config.h"
#include "text.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s) {(const uint8_t *)(s), sizeof(s) - 1}

static struct bytes bytes_in(const struct buf *b)
{
	return (struct bytes){b->data, b->len};
}

/* --- UTF-8 --- */

START_TEST(every_scalar_value_survives_encoding)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		if (cp == 0xd800)
			cp = 0xe000;
		uint8_t utf8[4];
		uint32_t back = UINT32_MAX;
		size_t n = text_encode(utf8, cp);
		size_t want = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		if (n != want || text_decode(utf8, n, &back) != n || back != cp)
			ck_abort_msg("U+%04X: %zu bytes, back U+%04X", cp, n, back);
		for (size_t cut = 0; cut < n; cut++)
			if (text_decode(utf8, cut, &back) != 0)
				ck_abort_msg("U+%04X cut to %zu bytes is taken", cp, cut);
	}
}
END_TEST

/* All sequences of up to three bytes, and four with some last bytes: accepted are exactly those
 * that encoding makes. */
START_TEST(nothing_else_is_decoded)
{
	uint32_t accepted = 0;
	for (uint32_t word = 0; word < 0x1000000; word++) {
		uint8_t p[4] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word,
				0xbf};
		uint8_t again[4];
		uint32_t cp;
		size_t n = text_decode(p, sizeof(p), &cp);
		if (n == 0)
			continue;
		if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff) ||
		    text_encode(again, cp) != n || memcmp(again, p, n) != 0)
			ck_abort_msg("%02x %02x %02x bf is taken for U+%04X", p[0], p[1], p[2],
				     cp);
		accepted++;
	}
	/* 128 singles with any two bytes, 1920 pairs with any one, the rest of the first plane, and
	 * a sixty-fourth of the other planes. */
	ck_assert_uint_eq(accepted, 128 * 65536 + 1920 * 256 + (65536 - 2048 - 2048) +
					    0x100000 / 64);
}
END_TEST

static const struct bytes malformed[] = {
	LITERAL("\x80"),             LITERAL("\xbf"),
	LITERAL("\xc0\x80"),         LITERAL("\xc1\xbf"),         /* overlong */
	LITERAL("\xe0\x80\x80"),     LITERAL("\xe0\x9f\xbf"),     LITERAL("\xf0\x80\x80\x80"),
	LITERAL("\xf0\x8f\xbf\xbf"), LITERAL("\xf8\x88\x80\x80\x80"),
	LITERAL("\xed\xa0\x80"),     LITERAL("\xed\xbf\xbf"),     /* surrogates */
	LITERAL("\xf4\x90\x80\x80"), LITERAL("\xf5\x80\x80\x80"), /* above U+10FFFF */
	LITERAL("\xfe"),             LITERAL("\xff"),
	LITERAL("\xc3"),             LITERAL("\xe2\x82"),         LITERAL("\xf0\x9f\x98"),
	LITERAL("\xc3("),            LITERAL("\xe2\x82("),        LITERAL("\xe2(\xac"),
	LITERAL("a\xff"),
};

START_TEST(malformed_utf8_is_not_utf8)
{
	ck_assert(!text_is_utf8(malformed[_i]));
	struct buf out = {0};
	text_show(&out, malformed[_i]);
	/* each byte above 0x7f is escaped, the rest stays */
	size_t want = 0;
	for (size_t i = 0; i < malformed[_i].len; i++)
		want += malformed[_i].p[i] >= 0x80 ? 4 : 1;
	ck_assert_uint_eq(out.len, want);
	buf_release(&out);
}
END_TEST

START_TEST(well_formed_utf8_is_utf8)
{
	static const struct bytes fine[] = {
		LITERAL(""),
		LITERAL("abc\n\x7f"),
		LITERAL("\0"),
		LITERAL("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
		LITERAL("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	};
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		ck_assert(text_is_utf8(fine[i]));
	ck_assert(text_is_utf8((struct bytes){NULL, 0}));
}
END_TEST

/* --- showing --- */

static const struct {
	struct bytes raw;
	const char *shown, *ascii; /* NULL: as shown */
} shows[] = {
	{LITERAL(""), "", NULL},
	{LITERAL("plain name.txt"), "plain name.txt", NULL},
	{LITERAL("a\\b"), "a\\b", NULL},
	{LITERAL("\\x1b"), "\\x1b", NULL},
	{LITERAL("esc\x1b[31mred.txt"), "esc\\x1b[31mred.txt", NULL},
	{LITERAL("\x1b]0;title\a"), "\\x1b]0;title\\x07", NULL},
	{LITERAL("a\nb\rc\td"), "a\\x0ab\\x0dc\\x09d", NULL},
	{LITERAL("\0\x7f"), "\\x00\\x7f", NULL},
	{LITERAL("caf\xc3\xa9"), "caf\xc3\xa9", "caf\\u{e9}"},
	{LITERAL("caf\xe9"), "caf\\xe9", NULL},
	{LITERAL("\xe6\x97\xa5\xe6\x9c\xac"), "\xe6\x97\xa5\xe6\x9c\xac", "\\u{65e5}\\u{672c}"},
	{LITERAL("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80", "\\u{1f600}"},
	/* the second half of the control characters, as bytes and as characters: CSI, OSC, DCS */
	{LITERAL("\x9b" "31m"), "\\x9b31m", NULL},
	{LITERAL("\xc2\x9b" "31m"), "\\u{9b}31m", NULL},
	{LITERAL("\xc2\x9d\xc2\x90"), "\\u{9d}\\u{90}", NULL},
	/* spoofing: bidirectional, zero-width, byte order mark, tags, selectors, fillers, blanks */
	{LITERAL("gpj.\xe2\x80\xae" "exe"), "gpj.\\u{202e}exe", NULL},
	{LITERAL("a\xe2\x80\x8b" "b"), "a\\u{200b}b", NULL},
	{LITERAL("\xef\xbb\xbf" "a"), "\\u{feff}a", NULL},
	{LITERAL("\xe2\x80\xa8\xe2\x80\xa9"), "\\u{2028}\\u{2029}", NULL},
	{LITERAL("\xe2\x81\xa6\xe2\x81\xa9"), "\\u{2066}\\u{2069}", NULL},
	{LITERAL("a\xc2\xad" "b"), "a\\u{ad}b", NULL},
	{LITERAL("a\xef\xb8\x8f"), "a\\u{fe0f}", NULL},
	{LITERAL("\xf3\xa0\x80\x81"), "\\u{e0001}", NULL},
	{LITERAL("\xe3\x85\xa4"), "\\u{3164}", NULL},
	{LITERAL("a\xc2\xa0" "b"), "a\\u{a0}b", NULL},
	{LITERAL("a\xe3\x80\x80" "b"), "a\xe3\x80\x80" "b", "a\\u{3000}b"},
	{LITERAL("\xef\xbf\xb9"), "\\u{fff9}", NULL},
	{LITERAL("\xee\x80\x80"), "\\u{e000}", NULL},               /* private use */
	{LITERAL("\xf4\x8f\xbf\xbf"), "\\u{10ffff}", NULL},         /* no character, ever */
	{LITERAL("\xcd\xb8"), "\\u{378}", NULL},                    /* none yet */
	{LITERAL("\xef\xbf\xbd"), "\xef\xbf\xbd", "\\u{fffd}"},
	/* combining marks */
	{LITERAL("e\xcc\x81"), "e\xcc\x81", "e\\u{301}"},
	{LITERAL("\xcc\x81" "e"), "\xe2\x97\x8c\xcc\x81" "e", "\\u{301}e"},
	{LITERAL("a/\xcc\xb8" "b"), "a/\xe2\x97\x8c\xcc\xb8" "b", "a/\\u{338}b"},
	{LITERAL("\n\xcc\x81"), "\\x0a\xe2\x97\x8c\xcc\x81", "\\x0a\\u{301}"},
	{LITERAL("\xff\xcc\x81"), "\\xff\xe2\x97\x8c\xcc\x81", "\\xff\\u{301}"},
	{LITERAL("\xe2\x80\x8d\xcc\x81"), "\\u{200d}\xe2\x97\x8c\xcc\x81", "\\u{200d}\\u{301}"},
	{LITERAL("e\xcc\x81\xcc\x82\xcc\x83"), "e\xcc\x81\xcc\x82\xcc\x83",
	 "e\\u{301}\\u{302}\\u{303}"},
	{LITERAL("e\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85x\xcc\x81"),
	 "e\xcc\x81\xcc\x82\xcc\x83\\u{304}\\u{305}x\xcc\x81",
	 "e\\u{301}\\u{302}\\u{303}\\u{304}\\u{305}x\\u{301}"},
	{LITERAL("\xcc\x81\xcc\x81\xcc\x81\xcc\x81"),
	 "\xe2\x97\x8c\xcc\x81\xcc\x81\xcc\x81\\u{301}",
	 "\\u{301}\\u{301}\\u{301}\\u{301}"},
	/* Hangul in parts, as some file systems store it */
	{LITERAL("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"), "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
	 "\\u{1112}\\u{1161}\\u{11ab}"},
};

START_TEST(each_text_is_shown)
{
	const char *shown = shows[_i].shown, *ascii = shows[_i].ascii;
	const char *want[] = {shown, ascii ? ascii : shown};
	void (*const show[])(struct buf *, struct bytes) = {text_show, text_show_ascii};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct buf out = {0};
		buf_add(&out, "<", 1);
		show[i](&out, shows[_i].raw);
		buf_add_char(&out, '\0');
		ck_assert_str_eq((char *)out.data + 1, want[i]);
		ck_assert_int_eq(out.data[0], '<');
		buf_release(&out);
	}
}
END_TEST

START_TEST(each_single_byte_is_safe)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t raw = (uint8_t)byte;
		char want[8];
		snprintf(want, sizeof(want), byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
		for (int ascii = 0; ascii < 2; ascii++) {
			struct buf out = {0};
			(ascii ? text_show_ascii : text_show)(&out, (struct bytes){&raw, 1});
			buf_add_char(&out, '\0');
			ck_assert_str_eq((char *)out.data, want);
			buf_release(&out);
		}
	}
}
END_TEST

/* What may never reach a terminal, written down apart from the tables. */
static const struct {
	uint32_t first, last;
} never[] = {
	{0x00, 0x1f},     {0x7f, 0xa0},     {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},
	{0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x1680, 0x1680}, {0x2000, 0x200f},
	{0x2028, 0x202f}, {0x205f, 0x206f}, {0x2800, 0x2800}, {0x3164, 0x3164}, {0xd800, 0xf8ff},
	{0xfdd0, 0xfdef}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
	{0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff}, {0xe0000, 0x10ffff},
};

START_TEST(hidden_characters_are_hidden)
{
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		for (uint32_t cp = never[i].first; cp <= never[i].last; cp++) {
			if (text_is_visible(cp) || text_width(cp) != 0)
				ck_abort_msg("U+%04X is visible", cp);
		}
	}
	ck_assert(!text_is_visible(0x110000));
	ck_assert(!text_is_visible(UINT32_MAX));
	ck_assert_uint_eq(text_width(UINT32_MAX), 0);
}
END_TEST

START_TEST(characters_have_their_width)
{
	static const struct {
		uint32_t first, last;
		unsigned width;
	} cases[] = {
		{0x20, 0x7e, 1},       {0xa1, 0xac, 1},       {0xae, 0xff, 1},
		{0x300, 0x34e, 0},     {0x391, 0x3a1, 1},     {0x410, 0x44f, 1},
		{0x591, 0x5bd, 0},     {0x5d0, 0x5ea, 1},     {0x627, 0x64a, 1},
		{0x64b, 0x65f, 0},     {0x903, 0x903, 1},     {0x93c, 0x93c, 0},
		{0xe01, 0xe30, 1},     {0xe31, 0xe31, 0},     {0x1100, 0x1112, 2},
		{0x1161, 0x11ff, 0},   {0x20d0, 0x20f0, 0},   {0x2026, 0x2026, 1},
		{0x231a, 0x231b, 2},   {0x2500, 0x257f, 1},   {0x25cc, 0x25cc, 1},
		{0x2e80, 0x2e99, 2},   {0x3000, 0x3029, 2},   {0x302a, 0x302d, 0},
		{0x3041, 0x3096, 2},   {0x3099, 0x309a, 0},   {0x30a1, 0x30fa, 2},
		{0x3400, 0x4dbf, 2},   {0x4e00, 0x9fff, 2},   {0xac00, 0xd7a3, 2},
		{0xf900, 0xfa6d, 2},   {0xfe20, 0xfe2f, 0},   {0xff01, 0xff60, 2},
		{0xff61, 0xff9f, 1},   {0xffe0, 0xffe6, 2},   {0xfffd, 0xfffd, 1},
		{0x1f1e6, 0x1f1ff, 1}, {0x1f300, 0x1f320, 2}, {0x1f600, 0x1f64f, 2},
		{0x20000, 0x2a6df, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (uint32_t cp = cases[i].first; cp <= cases[i].last; cp++) {
			if (!text_is_visible(cp) || text_width(cp) != cases[i].width)
				ck_abort_msg("U+%04X: width %u, not %u", cp, text_width(cp),
					     cases[i].width);
		}
	}
}
END_TEST

/* No character is wider than its bytes: text_clip() counts on it. */
START_TEST(no_character_is_wider_than_long)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		uint8_t utf8[4];
		if (!(cp >= 0xd800 && cp <= 0xdfff) && text_width(cp) > text_encode(utf8, cp))
			ck_abort_msg("U+%04X", cp);
	}
}
END_TEST

/* Words that meet every rule: alphabets, marks, wide, flags, skin tones, escapes, rubbish. */
static const char *const words[] = {
	"a", "b/", " ", "\\", "\\x1b", "\\u{202e}", "\\x", "u{", "}", "0", "\xc3\xa9", "\xcc\x81",
	"\xcc\xb8", "\xe6\x97\xa5", "\xe6\x9c\xac", "\xe0\xa4\x95", "\xe0\xa4\xbf", "\xe0\xa5\x8d",
	"\xf0\x9f\x87\xa9", "\xf0\x9f\x87\xaa", "\xf0\x9f\x91\x8d", "\xf0\x9f\x8f\xbd",
	"\xf0\x9f\x98\x80", "\xe2\x80\x8d", "\xe2\x80\xae", "\xef\xb8\x8f", "\xe1\x84\x92",
	"\xe1\x85\xa1", "\x1b[2J", "\x9b", "\xc2\x9b", "\xff", "\xe2\x82", "\n", "\xe2\x97\x8c",
	"\xe2\x80\xa6", "~", "long-ordinary-word.txt",
};

static void add_random_text(struct buf *out, uint64_t *state)
{
	size_t pieces = next_random(state) % 24;
	for (size_t i = 0; i < pieces; i++) {
		if (next_random(state) % 16 == 0) {
			buf_add_char(out, (char)next_random(state));
		} else {
			const char *word = words[next_random(state) % ARRAY_LEN(words)];
			buf_add(out, word, strlen(word));
		}
	}
}

/* Is it what a terminal can take: visible characters only, marks only on something, few. */
static bool is_safe(struct bytes s)
{
	unsigned marks = TEXT_MARKS_MAX;
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		size_t n = text_decode(s.p + i, s.len - i, &cp);
		if (n == 0 || !text_is_visible(cp))
			return false;
		marks = text_width(cp) == 0 ? marks + 1 : 0;
		if (marks > TEXT_MARKS_MAX)
			return false;
		i += n;
	}
	return true;
}

static size_t columns_by_character(struct bytes s)
{
	size_t columns = 0;
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		size_t n = text_decode(s.p + i, s.len - i, &cp);
		ck_assert_uint_ne(n, 0);
		columns += text_width(cp);
		i += n;
	}
	return columns;
}

START_TEST(whatever_is_shown_is_safe)
{
	uint64_t state = suite_seed();
	for (int round = 0; round < 20000; round++) {
		struct buf raw = {0}, shown = {0}, ascii = {0};
		add_random_text(&raw, &state);
		text_show(&shown, bytes_in(&raw));
		text_show_ascii(&ascii, bytes_in(&raw));
		bool fine = is_safe(bytes_in(&shown)) &&
			    text_columns(bytes_in(&shown)) ==
				    columns_by_character(bytes_in(&shown));
		for (size_t i = 0; i < ascii.len; i++)
			fine = fine && ascii.data[i] >= 0x20 && ascii.data[i] < 0x7f;
		fine = fine && text_columns(bytes_in(&ascii)) == ascii.len;
		/* what is safe already is not changed */
		struct buf again = {0};
		text_show(&again, bytes_in(&shown));
		fine = fine && bytes_eq(bytes_in(&again), bytes_in(&shown));
		ck_assert_msg(fine, "seed %llu, round %d: %.*s", (unsigned long long)suite_seed(), round,
			      (int)ascii.len, (const char *)ascii.data);
		buf_release(&again);
		buf_release(&raw);
		buf_release(&shown);
		buf_release(&ascii);
	}
}
END_TEST

/* --- measuring and clipping --- */

START_TEST(columns_are_counted)
{
	static const struct {
		struct bytes shown;
		size_t columns;
	} cases[] = {
		{LITERAL(""), 0},
		{LITERAL("abc"), 3},
		{LITERAL("e\xcc\x81"), 1},
		{LITERAL("v\xc3\xa9rit\xc3\xa9-\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.mov"), 17},
		{LITERAL("\\x1b"), 4},
		{LITERAL("\\u{202e}"), 8},
		{LITERAL("\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa"), 2},
		{LITERAL("\xff\xfe"), 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_uint_eq(text_columns(cases[i].shown), cases[i].columns);
}
END_TEST

#define DOTS "\xe2\x80\xa6"
#define GERMANY "\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa"
#define NIHONGO "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"

static const struct {
	const char *shown;
	size_t columns;
	const char *end, *middle;
} clips[] = {
	{"", 0, "", ""},
	{"", 5, "", ""},
	{"abc", 3, "abc", "abc"},
	{"abc", 10, "abc", "abc"},
	{"abc", 0, "", ""},
	{"abc", 1, DOTS, DOTS},
	{"abc", 2, "a" DOTS, "a" DOTS},
	{"abcd", 3, "ab" DOTS, "a" DOTS "d"},
	{"abcdefgh", 6, "abcde" DOTS, "abc" DOTS "gh"},
	{"test-results-2026-11-22-nightly.csv", 25, "test-results-2026-11-22-" DOTS,
	 "test-results" DOTS "-nightly.csv"},
	/* wide characters are not cut in half; what is left over goes to the other side */
	{NIHONGO, 6, NIHONGO, NIHONGO},
	{NIHONGO, 5, "\xe6\x97\xa5\xe6\x9c\xac" DOTS, "\xe6\x97\xa5" DOTS "\xe8\xaa\x9e"},
	{NIHONGO, 4, "\xe6\x97\xa5" DOTS, "\xe6\x97\xa5" DOTS},
	{NIHONGO, 3, "\xe6\x97\xa5" DOTS, DOTS "\xe8\xaa\x9e"},
	{NIHONGO, 2, DOTS, DOTS},
	{NIHONGO, 1, DOTS, DOTS},
	/* marks stay with their letters */
	{"e\xcc\x81" "e\xcc\x82" "e\xcc\x83", 2, "e\xcc\x81" DOTS, "e\xcc\x81" DOTS},
	{"abe\xcc\x83", 2, "a" DOTS, "a" DOTS},
	{"abce\xcc\x83", 3, "ab" DOTS, "a" DOTS "e\xcc\x83"},
	{"\xe0\xa4\x95\xe0\xa4\xbf" "ab", 3, "\xe0\xa4\x95\xe0\xa4\xbf" DOTS, DOTS "ab"},
	/* flags and thumbs stay whole */
	{GERMANY "abc", 2, DOTS, DOTS "c"},
	{GERMANY "abc", 3, GERMANY DOTS, DOTS "bc"},
	{GERMANY GERMANY "a", 4, GERMANY DOTS, GERMANY DOTS "a"},
	{"\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd" "abc", 4, DOTS, DOTS "abc"},
	/* escapes stay whole */
	{"\\x1b[31m", 4, DOTS, DOTS "31m"},
	{"\\x1b[31m", 5, "\\x1b" DOTS, DOTS "[31m"},
	{"ab\\u{202e}", 9, "ab" DOTS, "ab" DOTS},
	{"abc\\u{202e}", 10, "abc" DOTS, "abc" DOTS},
	{"\\u{202e}abcdefgh", 15, "\\u{202e}abcdef" DOTS, DOTS "abcdefgh"},
	{"abcdefgh\\u{202e}", 15, "abcdefgh" DOTS, "abcdefgh" DOTS},
	{"abcd\\u{202e}ef", 13, "abcd\\u{202e}" DOTS, "abcd" DOTS "ef"},
	/* not escapes */
	{"\\x1", 2, "\\" DOTS, "\\" DOTS},
	{"\\xfg!", 4, "\\xf" DOTS, "\\x" DOTS "!"},
	{"\\u{}abc", 4, "\\u{" DOTS, "\\u" DOTS "c"},
	{"\\u{1234567}", 4, "\\u{" DOTS, "\\u" DOTS "}"},
	{"\\u{12", 4, "\\u{" DOTS, "\\u" DOTS "2"},
};

START_TEST(each_text_is_clipped)
{
	const char *want[] = {clips[_i].end, clips[_i].middle};
	const enum text_clip_where where[] = {TEXT_CLIP_END, TEXT_CLIP_MIDDLE};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct buf out = {0};
		text_clip(&out, bytes_of(clips[_i].shown), clips[_i].columns, where[i], false);
		buf_add_char(&out, '\0');
		ck_assert_str_eq((char *)out.data, want[i]);
		buf_release(&out);
	}
}
END_TEST

START_TEST(ascii_is_clipped_with_ascii)
{
	struct buf out = {0};
	text_clip(&out, bytes_of("abcdefgh"), 4, TEXT_CLIP_END, true);
	text_clip(&out, bytes_of("abcdefgh"), 4, TEXT_CLIP_MIDDLE, true);
	ck_assert_uint_eq(out.len, 8);
	ck_assert_mem_eq(out.data, "abc~ab~h", 8);
	buf_release(&out);
}
END_TEST

/* Where does the mark stand that splits `clipped` into a start and an end of `shown`? */
static bool is_clipped_from(struct bytes clipped, struct bytes shown, const char *mark)
{
	size_t n = strlen(mark);
	for (size_t at = 0; at + n <= clipped.len; at++) {
		size_t tail = clipped.len - at - n;
		if (at + tail <= shown.len && memcmp(clipped.p + at, mark, n) == 0 &&
		    (at == 0 || memcmp(clipped.p, shown.p, at) == 0) &&
		    (tail == 0 ||
		     memcmp(clipped.p + at + n, shown.p + shown.len - tail, tail) == 0))
			return true;
	}
	return false;
}

START_TEST(clipped_text_never_exceeds_its_columns)
{
	uint64_t state = suite_seed();
	for (int round = 0; round < 20000; round++) {
		struct buf raw = {0}, shown = {0}, out = {0};
		add_random_text(&raw, &state);
		bool ascii = next_random(&state) % 4 == 0;
		(ascii ? text_show_ascii : text_show)(&shown, bytes_in(&raw));
		size_t columns = next_random(&state) % 40;
		enum text_clip_where where =
			next_random(&state) % 2 ? TEXT_CLIP_END : TEXT_CLIP_MIDDLE;
		text_clip(&out, bytes_in(&shown), columns, where, ascii);

		size_t all = text_columns(bytes_in(&shown));
		size_t got = columns_by_character(bytes_in(&out));
		bool fine = got <= columns && is_safe(bytes_in(&out));
		if (all <= columns)
			fine = fine && bytes_eq(bytes_in(&out), bytes_in(&shown));
		else if (columns > 0)
			fine = fine && is_clipped_from(bytes_in(&out), bytes_in(&shown),
						       ascii ? "~" : DOTS);
		else
			fine = fine && out.len == 0;
		ck_assert_msg(fine, "seed %llu, round %d: \"%.*s\" to %zu: \"%.*s\"",
			      (unsigned long long)suite_seed(), round, (int)shown.len,
			      (const char *)shown.data, columns, (int)out.len,
			      (const char *)out.data);
		buf_release(&raw);
		buf_release(&shown);
		buf_release(&out);
	}
}
END_TEST

/* Text that was not shown first may look odd when clipped, but is read within its bounds. */
START_TEST(raw_bytes_are_clipped_within_bounds)
{
	uint64_t state = suite_seed();
	for (int round = 0; round < 20000; round++) {
		size_t len = next_random(&state) % 64;
		uint8_t *raw = xmalloc(len);
		for (size_t i = 0; i < len; i++)
			raw[i] = (uint8_t)next_random(&state);
		struct bytes all = {raw, len};
		struct buf out = {0};
		size_t columns = next_random(&state) % 32;
		text_clip(&out, all, columns, round % 2 ? TEXT_CLIP_END : TEXT_CLIP_MIDDLE, false);
		ck_assert_msg(out.len <= len + strlen(DOTS), "seed %llu, round %d",
			      (unsigned long long)suite_seed(), round);
		buf_release(&out);
		free(raw);
	}
}
END_TEST

START_TEST(encoding_a_surrogate_is_a_bug)
{
	uint8_t utf8[4];
	text_encode(utf8, 0xd800);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("text");
	TCase *t = suite_case(s, "utf8", NULL, NULL);
	tcase_add_test(t, every_scalar_value_survives_encoding);
	tcase_add_test(t, nothing_else_is_decoded);
	tcase_add_loop_test(t, malformed_utf8_is_not_utf8, 0, (int)ARRAY_LEN(malformed));
	tcase_add_test(t, well_formed_utf8_is_utf8);
	tcase_add_test_raise_signal(t, encoding_a_surrogate_is_a_bug, SIGABRT);
	t = suite_case(s, "show", NULL, NULL);
	tcase_add_loop_test(t, each_text_is_shown, 0, (int)ARRAY_LEN(shows));
	tcase_add_test(t, each_single_byte_is_safe);
	tcase_add_test(t, hidden_characters_are_hidden);
	tcase_add_test(t, characters_have_their_width);
	tcase_add_test(t, no_character_is_wider_than_long);
	tcase_add_test(t, whatever_is_shown_is_safe);
	t = suite_case(s, "clip", NULL, NULL);
	tcase_add_test(t, columns_are_counted);
	tcase_add_loop_test(t, each_text_is_clipped, 0, (int)ARRAY_LEN(clips));
	tcase_add_test(t, ascii_is_clipped_with_ascii);
	tcase_add_test(t, clipped_text_never_exceeds_its_columns);
	tcase_add_test(t, raw_bytes_are_clipped_within_bounds);
	return suite_run(s);
}
