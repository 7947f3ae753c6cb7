/* Tests of the filter: each word of its language, alone and together. */
#include "config.h"
#include "filter.h"
#include "entry.h"
#include "suite.h"


static const struct {
	const char *filter, *path;
	uint8_t kind, state;
	bool matches;
} cases[] = {
	{"", "a", KIND_FILE, ROW_SYNCED, true},
	{" \t\n ", "a", KIND_FILE, ROW_SYNCED, true},
	{"a", "a", KIND_FILE, ROW_SYNCED, true},
	{"a", "xAx", KIND_FILE, ROW_SYNCED, true},
	{"A", "xAx", KIND_FILE, ROW_SYNCED, true},
	{"A", "xax", KIND_FILE, ROW_SYNCED, false},
	{"aB", "xabx", KIND_FILE, ROW_SYNCED, false},
	{"ab", "a", KIND_FILE, ROW_SYNCED, false},
	{"ab", "aab", KIND_FILE, ROW_SYNCED, true},
	{"sign/no", "design/notes.txt", KIND_FILE, ROW_SYNCED, true},
	{"notes design", "design/notes.txt", KIND_FILE, ROW_SYNCED, true},
	{"  notes   nothing ", "design/notes.txt", KIND_FILE, ROW_SYNCED, false},
	{"\xc3\xa9", "caf\xc3\xa9", KIND_FILE, ROW_SYNCED, true},
	{"\xc3\xa9", "caf\xc3\x89", KIND_FILE, ROW_SYNCED, false},
	{"state:synced", "a", KIND_FILE, ROW_SYNCED, true},
	{"state:synced", "a", KIND_FILE, ROW_BUSY, false},
	{"state:blocked", "a", KIND_FILE, ROW_BLOCKED, true},
	{"state:not-carried", "a", KIND_FILE, ROW_NOT_CARRIED, true},
	{"state:not-carried", "a", KIND_FILE, ROW_BLOCKED, false},
	{"state:", "a", KIND_FILE, ROW_SYNCED, false},
	{"state:nonsense", "state:nonsense", KIND_FILE, ROW_SYNCED, false},
	{"state:a-name-that-is-longer-than-any-state", "a", KIND_FILE, ROW_SYNCED, false},
	{"state:busy state:synced", "a", KIND_FILE, ROW_BUSY, false},
	{"kind:file", "a", KIND_FILE, ROW_SYNCED, true},
	{"kind:file", "a", KIND_DIR, ROW_SYNCED, false},
	{"kind:dir", "a", KIND_DIR, ROW_SYNCED, true},
	{"kind:directory", "a", KIND_DIR, ROW_SYNCED, true},
	{"kind:link", "a", KIND_SYMLINK, ROW_SYNCED, true},
	{"kind:symlink", "a", KIND_SYMLINK, ROW_SYNCED, true},
	{"kind:symlink", "a", KIND_FILE, ROW_SYNCED, false},
	{"kind:absent", "a", KIND_FILE, ROW_SYNCED, false},
	{"kind:", "kind:", KIND_FILE, ROW_SYNCED, false},
	{"kind:file state:held x/", "x/y", KIND_FILE, ROW_HELD, true},
	{"kind:file state:held x/", "y/x", KIND_FILE, ROW_HELD, false},
	{"xstate:held", "a/xstate:held", KIND_FILE, ROW_SYNCED, true},
};

START_TEST(each_filter_matches_or_not)
{
	struct filter f;
	struct row row = {.kind = cases[_i].kind, .state = cases[_i].state};
	filter_init(&f, bytes_of(cases[_i].filter), false);
	bool matches = filter_match_row(&f, &row) &&
	               filter_match_path(&f, bytes_of(cases[_i].path));
	ck_assert_msg(matches == cases[_i].matches, "'%s' on '%s'", cases[_i].filter,
	              cases[_i].path);
	filter_release(&f);
}
END_TEST

START_TEST(only_unsynced_is_one_more_word)
{
	struct filter f;
	filter_init(&f, bytes_of("a"), true);
	for (uint8_t s = 0; s < ROW_STATES_N; s++) {
		struct row row = {.kind = KIND_FILE, .state = s};
		ck_assert(filter_match_row(&f, &row) == (s != ROW_SYNCED));
	}
	ck_assert(!filter_match_path(&f, bytes_of("b")));
	filter_release(&f);
}
END_TEST

START_TEST(passing_all_is_known)
{
	static const struct {
		const char *text;
		bool only_unsynced, all;
	} texts[] = {
		{"", false, true}, {"  ", false, true}, {"", true, false},
		{"a", false, false}, {"kind:file", false, false}, {"state:x", false, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct filter f;
		filter_init(&f, bytes_of(texts[i].text), texts[i].only_unsynced);
		ck_assert(filter_passes_all(&f) == texts[i].all);
		filter_release(&f);
	}
	struct filter f;
	filter_init(&f, (struct bytes){NULL, 0}, false);
	ck_assert(filter_passes_all(&f));
	filter_release(&f);
}
END_TEST

START_TEST(every_state_can_be_named)
{
	for (unsigned s = 0; s < ROW_STATES_N; s++)
		ck_assert_int_eq(row_state_parse(bytes_of(row_state_text(s))), (int)s);
	ck_assert_int_eq(row_state_parse(bytes_of("")), -1);
	ck_assert_int_eq(row_state_parse(bytes_of("sync")), -1);
	for (unsigned s = 0; s < SORTS_N; s++)
		ck_assert_int_eq(table_sort_parse(bytes_of(table_sort_text(s))), (int)s);
	ck_assert_int_eq(table_sort_parse(bytes_of("none")), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("filter");
	TCase *t = suite_case(s, "filter", NULL, NULL);
	tcase_add_loop_test(t, each_filter_matches_or_not, 0, (int)ARRAY_LEN(cases));
	tcase_add_test(t, only_unsynced_is_one_more_word);
	tcase_add_test(t, passing_all_is_known);
	tcase_add_test(t, every_state_can_be_named);
	return suite_run(s);
}
