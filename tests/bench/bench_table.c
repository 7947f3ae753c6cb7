/* Measures tree, rows and tables at full size: bench_table [ROWS]. Prints one line for each kind
 * of work: the time of one, and for what has a budget (2 ms a key) the slowest too. */
#include "config.h"
#include "table.h"
#include "entry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS_DEFAULT = 1000000, ROWS_MOST = 100000000, WINDOW = 50, ROUNDS = 20000 };

static struct row *truth; /* by node */
static size_t n_truth, cap_truth;
static uint64_t random_state = 1;

static size_t pick(size_t below)
{
	random_state += 0x9e3779b97f4a7c15u;
	return (size_t)(hash64(&random_state, sizeof(random_state), 0) % below);
}

static void get(void *ctx, node_t n, struct row *out)
{
	(void)ctx;
	*out = truth[n];
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void report(const char *what, double us, double worst_us)
{
	if (us >= 1000)
		printf("%-44s %10.1f ms\n", what, us / 1000);
	else if (worst_us > 0)
		printf("%-44s %10.3f us   slowest %9.1f us\n", what, us, worst_us);
	else
		printf("%-44s %10.3f us\n", what, us);
}

/* Times ROUNDS calls of one kind of work on a table. */
typedef void work_fn(struct rows *r, struct table *t, node_t n);

static void measure(const char *what, work_fn *work, struct rows *r, struct table *t,
                    const node_t *nodes, size_t n_nodes)
{
	double start = now_us(), worst = 0, before = start, after = start;
	for (int i = 0; i < ROUNDS; i++, before = after) {
		work(r, t, nodes[pick(n_nodes)]);
		after = now_us();
		if (after - before > worst)
			worst = after - before;
	}
	report(what, (after - start) / ROUNDS, worst);
}

static volatile size_t sink;

static void look_at_window(struct rows *r, struct table *t, node_t n)
{
	(void)r;
	(void)n;
	size_t start = pick(table_count(t));
	for (size_t i = 0; i < WINDOW; i++)
		sink += table_at(t, start + i);
}

static void locate(struct rows *r, struct table *t, node_t n)
{
	(void)r;
	bool exact;
	sink += table_position(t, n, &exact);
}

static void resize_row(struct rows *r, struct table *t, node_t n)
{
	(void)t;
	rows_begin(r, n);
	truth[n].size = pick(UINT64_C(1) << 30);
	rows_end(r, n);
}

static void change_state(struct rows *r, struct table *t, node_t n)
{
	(void)t;
	rows_begin(r, n);
	truth[n].state = (uint8_t)pick(ROW_STATES_N);
	rows_end(r, n);
}

static void find_any(struct rows *r, struct table *t, node_t n)
{
	(void)r;
	sink += table_find(t, bytes_of("7"), n, false);
}

static const struct {
	const char *what;
	struct table_query query;
} opens[] = {
	{"open and close, flat by name", {.sort = SORT_NAME}},
	{"open and close, flat by size", {.sort = SORT_SIZE, .reverse = true}},
	{"open and close, flat by date", {.sort = SORT_DATE}},
	{"open and close, tree by name", {.tree = true}},
	{"open and close, flat, not in sync", {.only_unsynced = true}},
	{"open and close, tree, not in sync", {.tree = true, .only_unsynced = true}},
};

static void open_each(struct rows *r)
{
	for (size_t i = 0; i < ARRAY_LEN(opens); i++) {
		double start = now_us();
		table_close(table_open(r, &opens[i].query));
		report(opens[i].what, now_us() - start, 0);
	}
	struct table_query q = {.filter = bytes_of("file-00001")};
	double start = now_us();
	table_close(table_open(r, &q));
	report("open and close, flat, part of a path", now_us() - start, 0);
	q.tree = true;
	start = now_us();
	table_close(table_open(r, &q));
	report("open and close, tree, part of a path", now_us() - start, 0);
}

static node_t add(struct tree *tree, struct bytes path, enum kind kind)
{
	node_t n = tree_add(tree, path);
	GROW(truth, cap_truth, tree_count(tree));
	while (n_truth < tree_count(tree))
		truth[n_truth++] = (struct row){.kind = KIND_DIR};
	truth[n].kind = (uint8_t)kind;
	truth[n].size = pick(1u << 20);
	truth[n].mtime = (int64_t)pick(UINT64_C(1) << 60);
	truth[n].state = (uint8_t)(pick(1000) ? ROW_SYNCED : ROW_WAITING);
	return n;
}

static void run(size_t n_rows)
{
	node_t *files = xmalloc(n_rows * sizeof(*files));
	struct tree *tree = tree_new(1);
	struct rows *r = rows_new(tree, get, NULL);
	char path[80];

	double start = now_us();
	for (size_t i = 0; i < n_rows; i++) {
		size_t folder = pick(n_rows / 200 + 1);
		snprintf(path, sizeof(path), "top-%zu/folder-%zu/file-%07zu.txt", folder % 97,
		         folder, i);
		files[i] = add(tree, bytes_of(path), KIND_FILE);
	}
	report("add a path to the tree", (now_us() - start) / (double)n_rows, 0);
	start = now_us();
	for (node_t n = 1; n < tree_count(tree); n++) {
		rows_begin(r, n);
		rows_end(r, n);
	}
	report("the first change of a row, no table open", (now_us() - start) / (double)n_rows, 0);
	double memory_tree = (double)tree_memory(tree) / (double)tree_count(tree);
	double memory_rows = (double)rows_memory(r) / (double)tree_count(tree);

	open_each(r);

	struct table *by_size = table_open(r, &(struct table_query){.sort = SORT_SIZE});
	struct table *by_name = table_open(r, &(struct table_query){.sort = SORT_NAME});
	struct table_query tree_by_size = {.tree = true, .sort = SORT_SIZE};
	struct table *in_tree = table_open(r, &tree_by_size);
	start = now_us();
	table_fold_all(in_tree, true);
	report("unfold all", now_us() - start, 0);
	measure("window of 50 rows, flat", look_at_window, r, by_name, files, n_rows);
	measure("window of 50 rows, all unfolded", look_at_window, r, in_tree, files, n_rows);
	measure("position of a row, flat", locate, r, by_name, files, n_rows);
	measure("position of a row, all unfolded", locate, r, in_tree, files, n_rows);
	measure("find the next of many, flat", find_any, r, by_name, files, n_rows);
	measure("new size, three open tables, two by size", resize_row, r, by_size, files, n_rows);
	measure("new state, three open tables", change_state, r, by_size, files, n_rows);
	start = now_us();
	sink += table_find(by_name, bytes_of("no such name"), files[0], false);
	report("find nothing, flat", now_us() - start, 0);
	struct table *folded = table_open(r, &(struct table_query){.tree = true});
	start = now_us();
	sink += table_find(folded, bytes_of("no such name"), files[0], false);
	report("find nothing, tree, all folded", now_us() - start, 0);

	printf("%-44s %10.1f bytes\n", "memory of the tree, a path", memory_tree);
	printf("%-44s %10.1f bytes\n", "memory of the rows, a path", memory_rows);
	printf("%-44s %10.1f bytes\n", "memory of a flat table, a row",
	       (double)table_memory(by_name) / (double)table_count(by_name));
	printf("%-44s %10.1f bytes\n", "memory of an unfolded table, a row",
	       (double)table_memory(in_tree) / (double)table_count(in_tree));

	table_close(folded);
	table_close(in_tree);
	table_close(by_name);
	table_close(by_size);
	rows_free(r);
	tree_free(tree);
	free(truth);
	free(files);
}

int main(int argc, char **argv)
{
	char *end = NULL;
	errno = 0;
	uintmax_t n_rows = argc > 1 ? strtoumax(argv[1], &end, 10) : ROWS_DEFAULT;
	if (argc > 2 || (end && (*end || end == argv[1])) || errno || n_rows < 1 ||
	    n_rows > ROWS_MOST) {
		fprintf(stderr, "usage: bench_table [ROWS], 1 to %d\n", ROWS_MOST);
		return 2;
	}
	printf("%ju files\n", n_rows);
	run((size_t)n_rows);
	return 0;
}
