/* Tests of the rows and tables: small cases by hand, then random edits against a model that
 * sorts everything anew each time. */
#include "config.h"
#include "table.h"
#include "entry.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

/* The world: a tree, and what `get` says of it. */

enum { NODES_MAX = 4096 };

static struct tree *tree;
static struct rows *rows;
static struct row truth[NODES_MAX];
static bool was_folder[NODES_MAX]; /* had a row as a folder, or a row below, or a table */

static void get(void *ctx, node_t n, struct row *out)
{
	ck_assert_ptr_eq(ctx, truth);
	ck_assert_uint_lt(n, tree_count(tree));
	*out = truth[n];
}

static void set_up(void)
{
	memset(truth, 0, sizeof(truth));
	memset(was_folder, 0, sizeof(was_folder));
	tree = tree_new(7);
	rows = rows_new(tree, get, truth);
}

static void tear_down(void)
{
	rows_free(rows);
	tree_free(tree);
}

static void put_node(node_t n, struct row row)
{
	rows_begin(rows, n);
	truth[n] = row;
	rows_end(rows, n);
	if (row.kind == KIND_DIR)
		was_folder[n] = true;
	for (node_t a = n; row.kind != KIND_ABSENT && (a = tree_parent(tree, a)) != NODE_NONE; )
		was_folder[a] = true;
}

static node_t put(const char *path, enum kind kind, uint64_t size, enum row_state state)
{
	node_t n = tree_add(tree, bytes_of(path));
	ck_assert_uint_lt(n, NODES_MAX);
	put_node(n, (struct row){.size = size, .kind = (uint8_t)kind, .state = (uint8_t)state});
	return n;
}

/* The rows of a table as text: two spaces for each level, names, a slash after folders. */
static void expect(const struct table *t, const char *want)
{
	struct buf got = {0}, path = {0};
	for (size_t i = 0; i < table_count(t); i++) {
		node_t n = table_at(t, i);
		bool exact = false;
		ck_assert_uint_ne(n, NODE_NONE);
		ck_assert_uint_eq(table_position(t, n, &exact), i);
		ck_assert(exact);
		tree_path(tree, n, &path);
		buf_addf(&got, "%*s%.*s%s\n", (int)(2 * table_depth(t, n)), "", (int)path.len,
		         (const char *)path.data, truth[n].kind == KIND_DIR ? "/" : "");
	}
	ck_assert_uint_eq(table_at(t, table_count(t)), NODE_NONE);
	buf_add_char(&got, '\0');
	ck_assert_str_eq((const char *)got.data, want);
	buf_release(&got);
	buf_release(&path);
}

static void fill(void)
{
	put("src", KIND_DIR, 0, ROW_SYNCED);
	put("src/main.c", KIND_FILE, 300, ROW_SYNCED);
	put("src/base.c", KIND_FILE, 100, ROW_CONFLICT);
	put("src/deep", KIND_DIR, 0, ROW_SYNCED);
	put("src/deep/x.c", KIND_FILE, 5, ROW_WAITING);
	put("doc", KIND_DIR, 0, ROW_SYNCED);
	put("README", KIND_FILE, 200, ROW_SYNCED);
	put("latest", KIND_SYMLINK, 4, ROW_SYNCED);
}

static node_t at_path(const char *path)
{
	node_t n = tree_find(tree, bytes_of(path));
	ck_assert_uint_ne(n, NODE_NONE);
	return n;
}

START_TEST(flat_is_all_files_and_empty_folders)
{
	fill();
	struct table *t = table_open(rows, &(struct table_query){.sort = SORT_NAME});
	expect(t, "README\ndoc/\nlatest\nsrc/base.c\nsrc/deep/x.c\nsrc/main.c\n");
	put("doc/a", KIND_FILE, 1, ROW_SYNCED);
	expect(t, "README\ndoc/a\nlatest\nsrc/base.c\nsrc/deep/x.c\nsrc/main.c\n");
	put("doc/a", KIND_ABSENT, 0, ROW_SYNCED);
	put("src/deep/x.c", KIND_ABSENT, 0, ROW_SYNCED);
	expect(t, "README\ndoc/\nlatest\nsrc/base.c\nsrc/deep/\nsrc/main.c\n");
	table_close(t);
}
END_TEST

START_TEST(flat_in_every_order)
{
	fill();
	static const struct {
		enum table_sort sort;
		bool reverse;
		const char *want;
	} orders[] = {
		{SORT_NAME, true, "src/main.c\nsrc/deep/x.c\nsrc/base.c\nlatest\ndoc/\nREADME\n"},
		{SORT_SIZE, false, "doc/\nlatest\nsrc/deep/x.c\nsrc/base.c\nREADME\nsrc/main.c\n"},
		{SORT_SIZE, true, "src/main.c\nREADME\nsrc/base.c\nsrc/deep/x.c\nlatest\ndoc/\n"},
		{SORT_STATE, false, "README\ndoc/\nlatest\nsrc/main.c\nsrc/deep/x.c\nsrc/base.c\n"},
		{SORT_STATE, true, "src/base.c\nsrc/deep/x.c\nsrc/main.c\nlatest\ndoc/\nREADME\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct table_query q = {.sort = orders[i].sort, .reverse = orders[i].reverse};
		struct table *t = table_open(rows, &q);
		expect(t, orders[i].want);
		table_close(t);
	}
}
END_TEST

START_TEST(dates_before_1970_stand_first)
{
	static const int64_t dates[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
	for (size_t i = ARRAY_LEN(dates); i-- > 0; ) {
		char name[2] = {(char)('a' + i), '\0'};
		node_t n = tree_add(tree, bytes_of(name));
		put_node(n, (struct row){.mtime = dates[i], .kind = KIND_FILE});
	}
	struct table *t = table_open(rows, &(struct table_query){.sort = SORT_DATE});
	expect(t, "a\nb\nc\nd\ne\n");
	table_close(t);
}
END_TEST

/* Each bit of a size or date tells two rows apart, at any place among bits that are the same. */
START_TEST(every_bit_of_a_key_counts)
{
	node_t more = tree_add(tree, bytes_of("a")), less = tree_add(tree, bytes_of("b"));
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t with = UINT64_C(0xdeadbeeffeedf00d) | UINT64_C(1) << bit;
		uint64_t without = with & ~(UINT64_C(1) << bit);
		put_node(more, (struct row){.kind = KIND_FILE, .size = with});
		put_node(less, (struct row){.kind = KIND_FILE, .size = without});
		struct table *t = table_open(rows, &(struct table_query){.sort = SORT_SIZE});
		expect(t, "b\na\n");
		table_close(t);
	}
}
END_TEST

START_TEST(tree_folds_and_unfolds)
{
	fill();
	struct table *t = table_open(rows, &(struct table_query){.tree = true});
	expect(t, "doc/\nsrc/\nREADME\nlatest\n");
	table_fold(t, at_path("src"), true);
	expect(t, "doc/\nsrc/\n  src/deep/\n  src/base.c\n  src/main.c\nREADME\nlatest\n");
	bool exact = true;
	ck_assert_uint_eq(table_position(t, at_path("src/deep/x.c"), &exact), 2);
	ck_assert(!exact);
	table_reveal(t, at_path("src/deep/x.c"));
	ck_assert(table_unfolded(t, at_path("src/deep")));
	expect(t, "doc/\nsrc/\n  src/deep/\n    src/deep/x.c\n  src/base.c\n  src/main.c\n"
	          "README\nlatest\n");
	table_fold(t, at_path("src"), false);
	expect(t, "doc/\nsrc/\nREADME\nlatest\n");
	table_fold(t, at_path("src"), true); /* what was unfolded inside still is */
	ck_assert_uint_eq(table_count(t), 8);
	table_fold_all(t, false);
	expect(t, "doc/\nsrc/\nREADME\nlatest\n");
	table_fold_all(t, true);
	put("doc/new/er", KIND_FILE, 1, ROW_SYNCED);
	put("doc/new", KIND_DIR, 0, ROW_SYNCED);
	expect(t, "doc/\n  doc/new/\n    doc/new/er\nsrc/\n  src/deep/\n    src/deep/x.c\n"
	          "  src/base.c\n  src/main.c\nREADME\nlatest\n");
	table_close(t);
}
END_TEST

START_TEST(folders_move_with_their_totals)
{
	fill();
	struct table_query q = {.tree = true, .sort = SORT_SIZE, .reverse = true};
	struct table *t = table_open(rows, &q);
	expect(t, "src/\ndoc/\nREADME\nlatest\n");
	put("doc/big", KIND_FILE, 406, ROW_SYNCED);
	expect(t, "doc/\nsrc/\nREADME\nlatest\n");
	put("src/deep/x.c", KIND_FILE, 7, ROW_SYNCED);
	expect(t, "src/\ndoc/\nREADME\nlatest\n");
	table_close(t);

	q.sort = SORT_STATE;
	t = table_open(rows, &q);
	expect(t, "src/\ndoc/\nlatest\nREADME\n");
	put("doc/big", KIND_FILE, 406, ROW_BLOCKED);
	expect(t, "doc/\nsrc/\nlatest\nREADME\n");
	put("doc/big", KIND_FILE, 406, ROW_SYNCED);
	expect(t, "src/\ndoc/\nlatest\nREADME\n");
	table_close(t);
}
END_TEST

START_TEST(filtered_tree_shows_the_way_to_each_match)
{
	fill();
	struct table_query q = {.tree = true, .filter = bytes_of("x.c")};
	struct table *t = table_open(rows, &q);
	expect(t, "src/\n  src/deep/\n    src/deep/x.c\n");
	put("doc/X.C", KIND_FILE, 1, ROW_SYNCED);
	expect(t, "doc/\n  doc/X.C\nsrc/\n  src/deep/\n    src/deep/x.c\n");
	put("src/deep/x.c", KIND_ABSENT, 0, ROW_SYNCED);
	expect(t, "doc/\n  doc/X.C\n");
	table_close(t);

	t = table_open(rows, &(struct table_query){.tree = true, .only_unsynced = true});
	expect(t, "src/\n  src/base.c\n");
	put("src/base.c", KIND_FILE, 1, ROW_SYNCED);
	expect(t, "");
	put("README", KIND_FILE, 1, ROW_BUSY);
	expect(t, "README\n");
	table_close(t);
}
END_TEST

START_TEST(only_one_folder)
{
	fill();
	struct table_query q = {.under = at_path("src")};
	struct table *t = table_open(rows, &q);
	expect(t, "src/base.c\nsrc/deep/x.c\nsrc/main.c\n");
	table_close(t);
	q.tree = true;
	t = table_open(rows, &q);
	expect(t, "src/deep/\nsrc/base.c\nsrc/main.c\n");
	bool exact = true;
	ck_assert_uint_eq(table_position(t, at_path("doc"), &exact), 0);
	ck_assert(!exact);
	uint64_t generation = table_generation(t);
	put("doc/elsewhere", KIND_FILE, 1, ROW_SYNCED);
	ck_assert_uint_eq(table_generation(t), generation);
	put("src/deep/x.c", KIND_FILE, 1, ROW_SYNCED); /* the totals of a row that shows */
	ck_assert_uint_gt(table_generation(t), generation);
	table_close(t);
}
END_TEST

START_TEST(totals_of_folders)
{
	fill();
	struct totals all = rows_totals(rows, NODE_ROOT), src = rows_totals(rows, at_path("src"));
	ck_assert_uint_eq(all.files, 5);
	ck_assert_uint_eq(all.dirs, 3);
	ck_assert_uint_eq(all.bytes, 609);
	ck_assert_uint_eq(all.unsynced, 2);
	ck_assert_uint_eq(all.worst, ROW_CONFLICT);
	ck_assert_uint_eq(src.bytes, 405);
	ck_assert_uint_eq(src.dirs, 1);
	put("src/base.c", KIND_FILE, 100, ROW_SYNCED);
	ck_assert_uint_eq(rows_totals(rows, at_path("src")).worst, ROW_WAITING);
	put("src/deep/x.c", KIND_ABSENT, 0, ROW_SYNCED);
	ck_assert_uint_eq(rows_totals(rows, NODE_ROOT).worst, ROW_SYNCED);
	ck_assert_uint_eq(rows_totals(rows, NODE_ROOT).unsynced, 0);
	ck_assert_uint_eq(rows_totals(rows, at_path("README")).files, 0);
	ck_assert_uint_gt(rows_memory(rows), 0);
}
END_TEST

/* All at once, and told of afterwards: the totals stay those of the rows told of. */
START_TEST(changes_may_be_told_of_later)
{
	fill();
	struct table *flat = table_open(rows, &(struct table_query){.sort = SORT_STATE});
	struct table *folded = table_open(rows, &(struct table_query){
		.sort = SORT_STATE, .reverse = true, .tree = true});
	for (node_t n = 1; n < tree_count(tree); n++)
		truth[n].state = truth[n].state == ROW_SYNCED ? ROW_WAITING : ROW_SYNCED;
	truth[at_path("latest")].kind = KIND_ABSENT;
	ck_assert_uint_eq(rows_totals(rows, NODE_ROOT).unsynced, 2);
	for (node_t n = 1; n < tree_count(tree); n++)
		put_node(n, truth[n]);
	struct totals all = rows_totals(rows, NODE_ROOT);
	ck_assert_uint_eq(all.unsynced, 5);
	ck_assert_uint_eq(all.worst, ROW_WAITING);
	ck_assert_uint_eq(all.files, 4);
	expect(flat, "src/base.c\nsrc/deep/x.c\nREADME\ndoc/\nsrc/main.c\n");
	expect(folded, "src/\ndoc/\nREADME\n");
	table_close(flat);
	table_close(folded);
}
END_TEST

START_TEST(only_rows_that_show_make_a_new_generation)
{
	fill();
	struct table *flat = table_open(rows, &(struct table_query){.sort = SORT_NAME});
	struct table *filtered = table_open(rows, &(struct table_query){.filter = bytes_of("x.c")});
	uint64_t before = table_generation(flat), before_filtered = table_generation(filtered);
	put("README", KIND_FILE, 200, ROW_SYNCED); /* the same; but who holds it may be new */
	ck_assert_uint_gt(table_generation(flat), before);
	ck_assert_uint_eq(table_generation(filtered), before_filtered);
	before = table_generation(flat);
	put("gone", KIND_ABSENT, 0, ROW_SYNCED);
	put("src", KIND_DIR, 0, ROW_BUSY); /* not empty */
	ck_assert_uint_eq(table_generation(flat), before);
	table_close(flat);
	table_close(filtered);
}
END_TEST

START_TEST(counts_of_states_are_used_again)
{
	fill();
	put("doc/a", KIND_FILE, 1, ROW_BUSY);
	size_t memory = rows_memory(rows);
	for (unsigned i = 0; i < 100; i++) {
		put("doc/a", KIND_FILE, 1, ROW_SYNCED);
		put("src/deep/x.c", KIND_FILE, 1, ROW_HELD);
		put("src/deep/x.c", KIND_FILE, 1, ROW_SYNCED);
		put("doc/a", KIND_FILE, 1, ROW_BUSY);
	}
	ck_assert_uint_eq(rows_memory(rows), memory);
	ck_assert_uint_eq(rows_totals(rows, at_path("doc")).worst, ROW_BUSY);
}
END_TEST

static void expect_found(struct table *t, const char *text, const char *from, bool back,
                         const char *want)
{
	node_t found = table_find(t, bytes_of(text), from ? at_path(from) : NODE_NONE, back);
	struct buf path = {0};
	if (found != NODE_NONE)
		tree_path(tree, found, &path);
	buf_add_char(&path, '\0');
	ck_assert_msg(strcmp((const char *)path.data, want) == 0,
	              "'%s' from '%s' %s: '%s', not '%s'", text, from ? from : "-",
	              back ? "back" : "on", (const char *)path.data, want);
	buf_release(&path);
}

START_TEST(finding_goes_into_folded_folders_and_round)
{
	fill();
	struct table *t = table_open(rows, &(struct table_query){.tree = true});
	expect_found(t, ".c", NULL, false, "src/deep/x.c");
	expect_found(t, ".C", NULL, false, "");
	expect_found(t, ".c", "src/deep/x.c", false, "src/base.c");
	expect_found(t, ".c", "src/main.c", false, "src/deep/x.c");
	expect_found(t, ".c", NULL, true, "src/main.c");
	expect_found(t, ".c", "src/base.c", true, "src/deep/x.c");
	expect_found(t, ".c", "src/deep/x.c", true, "src/main.c");
	expect_found(t, "src", "src/main.c", true, "src");
	expect_found(t, "src", "src", false, "src");
	expect_found(t, "nothing", "src", false, "");
	put("src/base.c", KIND_ABSENT, 0, ROW_SYNCED);
	expect_found(t, ".c", "src/base.c", false, "src/main.c");
	expect_found(t, ".c", "src/base.c", true, "src/deep/x.c");
	expect(t, "doc/\nsrc/\nREADME\nlatest\n");
	table_close(t);

	t = table_open(rows, &(struct table_query){.sort = SORT_NAME});
	expect_found(t, "a", NULL, false, "README");
	expect_found(t, "a", "README", false, "latest");
	expect_found(t, "a", "latest", false, "src/main.c");
	expect_found(t, "a", "src/main.c", false, "README");
	expect_found(t, "src", NULL, false, "");
	table_close(t);
}
END_TEST

/* In the order of the table, whether it is folded or not, and in both directions. */
START_TEST(finding_visits_each_of_many)
{
	enum { FOLDERS = 3, FILES = 50, MATCHES = FOLDERS * FILES };
	char path[32];
	for (unsigned i = 0; i < MATCHES; i++) {
		snprintf(path, sizeof(path), "%u", i % FOLDERS);
		put(path, KIND_DIR, 0, ROW_SYNCED);
		snprintf(path, sizeof(path), "%u/f%u", i % FOLDERS, i);
		put(path, KIND_FILE, i * 7 % 40, ROW_SYNCED);
	}
	put("last", KIND_FILE, 0, ROW_SYNCED);
	for (int form = 0; form < 2; form++) {
		struct table_query q = {.sort = SORT_SIZE, .tree = form != 0};
		struct table *t = table_open(rows, &q), *all = table_open(rows, &q);
		node_t n = NODE_NONE, back = NODE_NONE;
		table_fold_all(all, true);
		for (size_t i = 0; i < table_count(all); i++) {
			if (tree_name(tree, table_at(all, i)).p[0] != 'f')
				continue;
			n = table_find(t, bytes_of("f"), n, false);
			ck_assert_uint_eq(n, table_at(all, i));
		}
		for (size_t k = table_count(all); k-- > 0; ) {
			if (tree_name(tree, table_at(all, k)).p[0] != 'f')
				continue;
			back = table_find(t, bytes_of("f"), back, true);
			ck_assert_uint_eq(back, table_at(all, k));
		}
		ck_assert_uint_eq(table_find(t, bytes_of("f"), n, false), back);
		ck_assert_uint_eq(table_find(t, bytes_of("f"), back, true), n);
		ck_assert_uint_eq(table_count(t), form ? FOLDERS + 1 : MATCHES + 1);
		table_close(t);
		table_close(all);
	}
}
END_TEST

START_TEST(empty_tables)
{
	for (int tree_form = 0; tree_form < 2; tree_form++) {
		struct table *t = table_open(rows, &(struct table_query){.tree = tree_form});
		node_t n = tree_add(tree, bytes_of("not/yet"));
		bool exact = true;
		ck_assert_uint_eq(table_count(t), 0);
		ck_assert_uint_eq(table_at(t, 0), NODE_NONE);
		ck_assert_uint_eq(table_at(t, SIZE_MAX), NODE_NONE);
		ck_assert_uint_eq(table_position(t, n, &exact), 0);
		ck_assert(!exact);
		ck_assert_uint_eq(table_find(t, bytes_of("yet"), n, false), NODE_NONE);
		ck_assert_uint_eq(table_find(t, bytes_of("yet"), NODE_NONE, true), NODE_NONE);
		table_fold(t, n, true);
		table_reveal(t, n);
		table_fold_all(t, true);
		ck_assert_uint_eq(table_count(t), 0);
		table_close(t);
	}
}
END_TEST

/* The model. Everything is worked out from `truth`, slowly. */

static const struct {
	const char *text;
	const char *part; /* in the path, in any case; or */
	const char *Part; /* exactly; or */
	int state, kind;  /* these */
} filters[] = {
	{"", NULL, NULL, -1, -1},
	{"b", "b", NULL, -1, -1},
	{"B", NULL, "B", -1, -1},
	{"a/b", "a/b", NULL, -1, -1},
	{"state:conflict", NULL, NULL, ROW_CONFLICT, -1},
	{"state:not-carried a", "a", NULL, ROW_NOT_CARRIED, -1},
	{"kind:dir", NULL, NULL, -1, KIND_DIR},
	{"long kind:file", "long", NULL, -1, KIND_FILE},
	{"kind:door", NULL, NULL, -1, KIND_ABSENT},
};

struct model {
	struct table *table;
	struct table_query query;
	size_t filter;
	bool unfolded[NODES_MAX];
	bool new_unfolded;
	node_t shown[NODES_MAX];
	size_t n_shown;
	uint64_t generation;
};

struct names {
	char text[NODES_MAX][64];
	size_t n;
};

static struct names names; /* the path of each node */

static void learn_names(void)
{
	struct buf path = {0};
	for (; names.n < tree_count(tree); names.n++) {
		ck_assert_uint_lt(names.n, NODES_MAX);
		tree_path(tree, (node_t)names.n, &path);
		snprintf(names.text[names.n], sizeof(names.text[0]), "%.*s", (int)path.len,
		         (const char *)path.data);
	}
	buf_release(&path);
}

static bool path_below(node_t n, node_t dir)
{
	size_t len = strlen(names.text[dir]);
	if (n == dir)
		return false;
	return len == 0 || (strncmp(names.text[n], names.text[dir], len) == 0 &&
	                    names.text[n][len] == '/');
}

static struct totals model_totals(node_t dir)
{
	struct totals sum = {0};
	for (node_t n = 0; n < names.n; n++) {
		if (!path_below(n, dir) || truth[n].kind == KIND_ABSENT)
			continue;
		if (truth[n].kind == KIND_DIR) {
			sum.dirs++;
		} else {
			sum.files++;
			sum.bytes += truth[n].size;
		}
		sum.unsynced += truth[n].state != ROW_SYNCED;
		if (truth[n].state > sum.worst)
			sum.worst = truth[n].state;
	}
	return sum;
}

static bool model_matches(const struct model *m, node_t n)
{
	const struct row *row = &truth[n];
	if (row->kind == KIND_ABSENT || (m->query.only_unsynced && row->state == ROW_SYNCED))
		return false;
	return (!filters[m->filter].part || strcasestr(names.text[n], filters[m->filter].part)) &&
	       (!filters[m->filter].Part || strstr(names.text[n], filters[m->filter].Part)) &&
	       (filters[m->filter].state < 0 || row->state == filters[m->filter].state) &&
	       (filters[m->filter].kind < 0 || row->kind == filters[m->filter].kind);
}

static bool model_filters(const struct model *m)
{
	return m->filter != 0 || m->query.only_unsynced;
}

static bool model_member(const struct model *m, node_t n)
{
	if (n == m->query.under || !path_below(n, m->query.under) || truth[n].kind == KIND_ABSENT)
		return false;
	if (!m->query.tree) {
		struct totals sum = model_totals(n);
		return sum.files + sum.dirs == 0 && model_matches(m, n);
	}
	if (model_matches(m, n))
		return true;
	for (node_t i = 0; model_filters(m) && i < names.n; i++)
		if (path_below(i, n) && model_matches(m, i))
			return true;
	return false;
}

struct model_row {
	node_t node;
	bool file;
	uint64_t size;
	int64_t mtime;
	uint8_t state;
};

static const struct model *sorting;

static int compare_texts(const char *a, const char *b)
{
	for (;; a++, b++) {
		/* '/' before all that may stand in a name, and the end before that */
		int x = *a == '/' ? 1 : *a ? 1 + (uint8_t)*a : 0;
		int y = *b == '/' ? 1 : *b ? 1 + (uint8_t)*b : 0;
		if (x != y || !x)
			return x - y;
	}
}

static int compare_model(const void *va, const void *vb)
{
	const struct model_row *a = va, *b = vb;
	if (sorting->query.tree && a->file != b->file)
		return a->file ? 1 : -1;
	int order = 0;
	if (sorting->query.sort == SORT_SIZE)
		order = (a->size > b->size) - (a->size < b->size);
	else if (sorting->query.sort == SORT_DATE)
		order = (a->mtime > b->mtime) - (a->mtime < b->mtime);
	else if (sorting->query.sort == SORT_STATE)
		order = a->state - b->state;
	if (!order)
		order = compare_texts(names.text[a->node], names.text[b->node]);
	return sorting->query.reverse ? -order : order;
}

static struct model_row model_row(const struct model *m, node_t n)
{
	bool dir = truth[n].kind == KIND_DIR || (truth[n].kind == KIND_ABSENT && was_folder[n]);
	struct model_row row = {
		.node = n, .file = !dir, .size = truth[n].size, .mtime = truth[n].mtime,
		.state = truth[n].state,
	};
	if (dir) {
		struct totals sum = model_totals(n);
		row.size = m->query.tree ? sum.bytes : 0;
		if (m->query.tree && sum.worst > row.state)
			row.state = sum.worst;
	}
	return row;
}

/* Appends the rows in dir, with what is unfolded in them (or everything); `extra` is taken for a
 * row with nothing in it. */
static void model_list(const struct model *m, node_t dir, bool everything, node_t extra,
                       node_t *out, size_t *n_out)
{
	struct model_row *list = xcalloc(names.n, sizeof(*list));
	size_t count = 0;
	for (node_t n = 1; n < names.n; n++)
		if ((!m->query.tree || tree_parent(tree, n) == dir) &&
		    (n == extra || model_member(m, n)))
			list[count++] = model_row(m, n);
	sorting = m;
	qsort(list, count, sizeof(*list), compare_model);
	for (size_t i = 0; i < count; i++) {
		out[(*n_out)++] = list[i].node;
		if (m->query.tree && list[i].node != extra &&
		    (everything || m->unfolded[list[i].node]))
			model_list(m, list[i].node, everything, extra, out, n_out);
	}
	free(list);
}

static size_t index_in(const node_t *list, size_t n, node_t what)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == what)
			return i;
	return SIZE_MAX;
}

#define OK(condition, ...)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "TUTTI_SEED=%llu, edit %u: ", (unsigned long long)suite_seed(), \
			        edits);                                                            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			ck_abort_msg("%s", #condition);                                            \
		}                                                                                  \
	} while (0)

static unsigned edits;

static void check_position(const struct model *m, node_t n)
{
	bool exact = false;
	size_t position = table_position(m->table, n, &exact);
	if (!path_below(n, m->query.under)) {
		OK(position == 0 && !exact, "%s is elsewhere", names.text[n]);
		return;
	}
	size_t at = index_in(m->shown, m->n_shown, n);
	if (at != SIZE_MAX) {
		OK(exact && position == at, "%s at %zu, not %zu", names.text[n], position, at);
		return;
	}
	node_t stands_for = n;
	for (node_t a = n; m->query.tree && a != m->query.under; a = tree_parent(tree, a))
		if (!model_member(m, a) || (a != n && !(was_folder[a] && m->unfolded[a])))
			stands_for = a;
	at = index_in(m->shown, m->n_shown, stands_for);
	if (at == SIZE_MAX) {
		node_t list[NODES_MAX];
		size_t count = 0;
		model_list(m, m->query.under, false, stands_for, list, &count);
		at = index_in(list, count, stands_for);
	}
	OK(!exact && position == at, "%s would be at %zu, not %zu", names.text[n], position, at);
}

static void check_find(const struct model *m, node_t from, bool back)
{
	static const char *const texts[] = {"a", "b", "B", "long", "-", "zz", "10", ""};
	const char *text = texts[pick(ARRAY_LEN(texts))];
	node_t list[NODES_MAX], want = NODE_NONE, extra = NODE_NONE;
	size_t count = 0, at = SIZE_MAX;
	if (from != NODE_NONE && path_below(from, m->query.under)) {
		extra = from;
		for (node_t a = from; m->query.tree && a != m->query.under;
		     a = tree_parent(tree, a))
			if (!model_member(m, a))
				extra = a;
		if (model_member(m, extra))
			extra = NODE_NONE;
	}
	model_list(m, m->query.under, true, extra, list, &count);
	if (from != NODE_NONE)
		at = index_in(list, count, extra != NODE_NONE ? extra : from);
	size_t start = at != SIZE_MAX ? at : back ? 0 : count - 1;
	for (size_t i = 1; count && want == NODE_NONE && i <= count; i++) {
		node_t n = list[back ? (start + count - i) % count : (start + i) % count];
		const char *slash = strrchr(names.text[n], '/');
		const char *name = slash ? slash + 1 : names.text[n];
		bool exact_case = strpbrk(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
		if (n != extra && (exact_case ? strstr(name, text) : strcasestr(name, text)))
			want = n;
	}
	node_t found = table_find(m->table, bytes_of(text), from, back);
	OK(found == want, "'%s' from %s %s: %s, not %s", text,
	   from == NODE_NONE ? "-" : names.text[from], back ? "back" : "on",
	   found == NODE_NONE ? "none" : names.text[found],
	   want == NODE_NONE ? "none" : names.text[want]);
}

static void check_model(struct model *m)
{
	node_t list[NODES_MAX];
	size_t count = 0;
	model_list(m, m->query.under, false, NODE_NONE, list, &count);
	OK(table_count(m->table) == count, "%zu rows, not %zu", table_count(m->table), count);
	for (size_t i = 0; i < count; i++) {
		node_t n = table_at(m->table, i);
		OK(n == list[i], "%zu is %s, not %s", i, n == NODE_NONE ? "none" : names.text[n],
		   names.text[list[i]]);
	}
	OK(table_at(m->table, count) == NODE_NONE, "more than %zu", count);
	bool changed = count != m->n_shown || memcmp(list, m->shown, count * sizeof(*list)) != 0;
	uint64_t generation = table_generation(m->table);
	OK(generation >= m->generation && (!changed || generation > m->generation),
	   "generation %llu", (unsigned long long)generation);
	m->generation = generation;
	memcpy(m->shown, list, count * sizeof(*list));
	m->n_shown = count;
}

static void open_model(struct model *m)
{
	m->filter = pick(2) ? 0 : pick(ARRAY_LEN(filters));
	m->query = (struct table_query){
		.sort = (enum table_sort)pick(SORTS_N),
		.reverse = pick(2),
		.tree = pick(3) != 0,
		.only_unsynced = pick(5) == 0,
		.under = pick(3) ? NODE_ROOT : (node_t)pick((unsigned)names.n),
		.filter = bytes_of(filters[m->filter].text),
	};
	was_folder[m->query.under] = true;
	m->table = table_open(rows, &m->query);
	m->new_unfolded = m->query.tree && model_filters(m);
	for (size_t i = 0; i < NODES_MAX; i++)
		m->unfolded[i] = m->new_unfolded;
	m->generation = 0;
	m->n_shown = SIZE_MAX;
	check_model(m);
}

static void fold_something(struct model *m)
{
	bool unfolded = pick(3) != 0;
	node_t n = (node_t)pick((unsigned)names.n);
	if (pick(20) == 0) {
		table_fold_all(m->table, unfolded);
		for (size_t i = 0; i < NODES_MAX; i++)
			m->unfolded[i] = unfolded;
	} else if (pick(4) == 0) {
		table_reveal(m->table, n);
		for (node_t a = n; path_below(a, m->query.under); ) {
			a = tree_parent(tree, a);
			if (was_folder[a])
				m->unfolded[a] = true;
		}
	} else {
		table_fold(m->table, n, unfolded);
		if (was_folder[n] && path_below(n, m->query.under))
			m->unfolded[n] = unfolded;
	}
	OK(!was_folder[n] || !m->query.tree || !path_below(n, m->query.under) ||
	   table_unfolded(m->table, n) == m->unfolded[n], "%s folded", names.text[n]);
}

static struct row random_row(enum kind kind)
{
	static const uint64_t sizes[] = {0, 1, 2, 129, 4096, 4096, UINT64_C(1) << 40};
	static const int64_t dates[] = {-5, 0, 7, 7, INT64_C(1) << 60};
	return (struct row){
		.size = sizes[pick(ARRAY_LEN(sizes))],
		.mtime = dates[pick(ARRAY_LEN(dates))],
		.kind = (uint8_t)kind,
		.state = (uint8_t)(pick(2) ? ROW_SYNCED : pick(ROW_STATES_N)),
	};
}

static node_t random_path(void)
{
	static const char *const parts[] = {
		"a", "b", "B", "a-b", "ab", "a-long-name-1", "a-long-name-10", "a-long-name-2",
		"\xff",
	};
	char path[64];
	size_t depth = 1 + pick(4), len = 0;
	for (size_t i = 0; i < depth; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s", i ? "/" : "",
		                        parts[pick(i ? 4 : ARRAY_LEN(parts))]);
	return tree_add(tree, bytes_of(path));
}

static void remove_below(node_t dir)
{
	for (node_t n = 0; n < names.n; n++)
		if (path_below(n, dir) && truth[n].kind != KIND_ABSENT)
			put_node(n, (struct row){.kind = KIND_ABSENT});
}

/* As the engine does it: what has something below is a folder. If `loose`, in any order and with
 * gaps, as it may be between two changes that belong together. */
static void edit(bool loose)
{
	node_t n = random_path();
	enum kind kind = (enum kind)pick(4);
	learn_names();
	struct row row = random_row(kind);
	if (pick(3) == 0 && truth[n].kind != KIND_ABSENT) { /* a small change of what is there */
		row = truth[n];
		switch (pick(3)) {
		case 0: row.size++; break;
		case 1: row.mtime++; break;
		default: row.state = (uint8_t)pick(ROW_STATES_N); break;
		}
	} else if (!loose) {
		if (kind != KIND_DIR)
			remove_below(n);
		for (node_t a = n; kind != KIND_ABSENT && (a = tree_parent(tree, a)) != NODE_ROOT; )
			if (truth[a].kind != KIND_DIR)
				put_node(a, random_row(KIND_DIR));
	}
	if (row.kind == KIND_ABSENT)
		row = (struct row){.kind = KIND_ABSENT};
	put_node(n, row);
}

static void run_model(bool loose)
{
	enum { TABLES = 5, EDITS = 1000 };
	struct model *models = xcalloc(TABLES, sizeof(*models));
	pick_from(suite_seed() + loose);
	names.n = 0;
	learn_names();
	for (edits = 0; edits < 60; edits++)
		edit(loose);
	for (size_t i = 0; i < TABLES; i++)
		open_model(&models[i]);
	for (; edits < EDITS; edits++) {
		edit(loose);
		struct model *m = &models[pick(TABLES)];
		if (pick(3) == 0)
			fold_something(m);
		check_model(m);
		check_position(m, (node_t)pick((unsigned)names.n));
		if (pick(3) == 0)
			check_find(m, pick(8) ? (node_t)pick((unsigned)names.n) : NODE_NONE,
			           pick(2));
		node_t dir = (node_t)pick((unsigned)names.n);
		struct totals want = model_totals(dir), have = rows_totals(rows, dir);
		OK(want.bytes == have.bytes && want.files == have.files && want.dirs == have.dirs &&
		   want.unsynced == have.unsynced && want.worst == have.worst, "totals of %s",
		   names.text[dir]);
		uint32_t in_state[ROW_STATES_N] = {0};
		for (node_t n = 0; n < names.n; n++)
			if (path_below(n, dir) && truth[n].kind != KIND_ABSENT)
				in_state[truth[n].state]++;
		for (int state = ROW_SYNCED + 1; state < ROW_STATES_N; state++)
			OK(rows_in_state(rows, dir, (enum row_state)state) == in_state[state], "states below %s",
			   names.text[dir]);
		if (pick(40) == 0) {
			for (node_t n = 0; n < names.n; n++)
				check_position(m, n);
			table_close(m->table);
			open_model(m);
		}
	}
	for (size_t i = 0; i < TABLES; i++) {
		check_model(&models[i]);
		table_close(models[i].table);
	}
	free(models);
}

START_TEST(tables_follow_random_edits)
{
	run_model(false);
}
END_TEST

START_TEST(tables_follow_edits_in_any_order)
{
	run_model(true);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("table");
	TCase *t = suite_case(s, "table", set_up, tear_down);
	tcase_add_test(t, flat_is_all_files_and_empty_folders);
	tcase_add_test(t, flat_in_every_order);
	tcase_add_test(t, dates_before_1970_stand_first);
	tcase_add_test(t, every_bit_of_a_key_counts);
	tcase_add_test(t, tree_folds_and_unfolds);
	tcase_add_test(t, folders_move_with_their_totals);
	tcase_add_test(t, filtered_tree_shows_the_way_to_each_match);
	tcase_add_test(t, only_one_folder);
	tcase_add_test(t, totals_of_folders);
	tcase_add_test(t, changes_may_be_told_of_later);
	tcase_add_test(t, only_rows_that_show_make_a_new_generation);
	tcase_add_test(t, counts_of_states_are_used_again);
	tcase_add_test(t, finding_goes_into_folded_folders_and_round);
	tcase_add_test(t, finding_visits_each_of_many);
	tcase_add_test(t, empty_tables);
	t = suite_case(s, "model", set_up, tear_down);
	tcase_add_test(t, tables_follow_random_edits);
	tcase_add_test(t, tables_follow_edits_in_any_order);
	return suite_run(s);
}
