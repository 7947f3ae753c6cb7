/*
 * Tests of the commands against a server in a process of its own: what they print, in words and as
 * JSON, their exit status, hostile answers, a long table that changes while it is listed, and
 * watching through a loss.
 */
#include "config.h"
#include "commands.h"

#include "path.h"
#include "suite.h"
#include "table.h"
#include "tiny_server.h"

#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *folder;
static char *address;
static pid_t server_pid;
static struct buf out, err;

/* --- the server's process */

static void serve(tiny_request_fn *on_request)
{
	int ready[2];
	char c;
	ck_assert_int_eq(pipe(ready), 0);
	server_pid = fork();
	ck_assert_int_ge(server_pid, 0);
	if (server_pid == 0) {
		struct tiny_server t;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
		tiny_start(&t, loop, folder, "alpha");
		t.on_request = on_request;
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		ev_run(loop, 0);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void stop_serving(void)
{
	if (server_pid <= 0)
		return;
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	unlink(address);
	server_pid = 0;
}

static void setup(void)
{
	folder = tiny_folder();
	address = xasprintf("%s/alpha.sock", folder);
	setenv("TZ", "UTC", 1);
	tzset();
}

static void teardown(void)
{
	stop_serving();
	tiny_folder_remove(folder);
	free(address);
	buf_release(&out);
	buf_release(&err);
}

/* --- running a command */

static void slurp(struct buf *to, int fd)
{
	char bytes[65536];
	ssize_t n;
	buf_clear(to);
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(to, bytes, (size_t)n);
	buf_add_char(to, '\0');
	to->len--;
}

static const char *printed(void)
{
	return (const char *)out.data;
}

static const char *complained(void)
{
	return (const char *)err.data;
}

/* The exit status; what went to stdout and stderr is in `out` and `err`. */
static int run(const char *words)
{
	struct arguments a;
	char *line = xstrdup(words), *argv[16] = {(char *)"tutti", (char *)"-s", address};
	int argc = 3;
	struct buf wrong = {0};
	for (char *p = strtok(line, "|"); p; p = strtok(NULL, "|"))
		argv[argc++] = p;
	argv[argc] = NULL;
	ck_assert_int_eq(arguments_parse(&a, argc, argv, &wrong), ARGUMENTS_RUN);
	FILE *files[2] = {tmpfile(), tmpfile()};
	int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
	fflush(NULL);
	dup2(fileno(files[0]), STDOUT_FILENO);
	dup2(fileno(files[1]), STDERR_FILENO);
	int status = command_run(&a);
	fflush(NULL);
	dup2(saved[0], STDOUT_FILENO);
	dup2(saved[1], STDERR_FILENO);
	slurp(&out, fileno(files[0]));
	slurp(&err, fileno(files[1]));
	for (int i = 0; i < 2; i++) {
		fclose(files[i]);
		close(saved[i]);
	}
	free(line);
	return status;
}

/* --- answers */

struct said_replica {
	const char *name, *state, *error;
	unsigned pending, problems, held;
};

static void put_replica(struct buf *b, const struct said_replica *r)
{
	wire_map(b, 15);
	wire_put_text(b, "name", r->name);
	wire_put_text(b, "id", "00ff");
	wire_put_text(b, "address", "127.0.0.1:7075");
	wire_put_text(b, "state", r->state);
	wire_put_int(b, "since", 1000000000);
	wire_put_uint(b, "retry_ms", 8500);
	wire_put_uint(b, "tries", *r->error ? 4 : 0);
	wire_put_text(b, "error", r->error);
	wire_put_uint(b, "pending_files", r->pending);
	wire_put_uint(b, "pending_bytes", r->pending * 1000);
	wire_put_uint(b, "lag_ms", 12);
	wire_put_uint(b, "files", 4);
	wire_put_uint(b, "bytes", 4000);
	wire_put_uint(b, "problems", r->problems);
	wire_put_uint(b, "held", r->held);
}

static void put_status(struct buf *b, const struct said_replica *replicas, size_t n, bool in_sync,
		       unsigned conflicts, bool problem, const char *note)
{
	wire_map(b, 13);
	wire_put_text(b, "name", "alpha");
	wire_put_text(b, "id", "00ff");
	wire_put_bin(b, "root", bytes_of("/srv/x"));
	wire_key(b, "replicas");
	wire_array(b, n);
	for (size_t i = 0; i < n; i++)
		put_replica(b, &replicas[i]);
	wire_put_uint(b, "rows", 1204);
	wire_put_uint(b, "files", 1204);
	wire_put_uint(b, "bytes", 8746142);
	wire_put_bool(b, "in_sync", in_sync);
	wire_put_uint(b, "conflicts", conflicts);
	wire_put_uint(b, "held", 0);
	wire_put_bool(b, "scanning", false);
	wire_key(b, "problems");
	wire_array(b, problem ? 2 : 0);
	if (problem) {
		wire_map(b, 4);
		wire_put_bin(b, "path", bytes_of("photos"));
		wire_put_text(b, "replica", "beta");
		wire_put_text(b, "reason", "deleted here");
		wire_put_bool(b, "held", true);
		wire_map(b, 3);
		wire_put_bin(b, "path", bytes_of("private\xff.key"));
		wire_put_text(b, "replica", "beta");
		wire_put_text(b, "reason", "permission denied");
	}
	wire_key(b, "notes");
	wire_array(b, *note != '\0');
	if (*note)
		wire_text(b, note);
}

static void answer_status(struct tiny_server *t, const struct wire_frame *f,
			  const struct said_replica *replicas, size_t n, bool in_sync,
			  unsigned conflicts, bool problem, const char *note)
{
	struct buf b = {0};
	put_status(&b, replicas, n, in_sync, conflicts, problem, note);
	tiny_answer(t, f, &b);
	buf_release(&b);
}

static const struct said_replica both[] = {{"A", "self", "", 0, 0, 0}, {"B", "in sync", "", 0, 0, 0}};

/* --- list: small */

struct said_row {
	const char *path;
	unsigned kind;
	uint64_t size;
	int64_t mtime;
	const char *state, *cells, *note;
};

static void put_row(struct buf *b, const struct said_row *r)
{
	wire_array(b, 10);
	wire_bin(b, bytes_of(r->path));
	wire_uint(b, 0);
	wire_uint(b, r->kind);
	wire_uint(b, r->size);
	wire_int(b, r->mtime);
	wire_text(b, r->state);
	wire_text(b, r->cells);
	wire_text(b, r->note);
	wire_uint(b, 0);
	wire_uint(b, 0);
}

static size_t begin_rows(struct buf *b, uint64_t first, uint64_t total)
{
	wire_map(b, 9);
	wire_put_uint(b, "table", 7);
	wire_put_uint(b, "gen", 1);
	wire_put_uint(b, "total", total);
	wire_put_uint(b, "first", first);
	wire_put_uint(b, "anchor", 0);
	wire_put_uint(b, "files", total);
	wire_put_uint(b, "bytes", 0);
	wire_put_uint(b, "unsynced", 0);
	wire_key(b, "rows");
	return wire_array_begin(b);
}

static void answer_open(struct tiny_server *t, const struct wire_frame *f, uint64_t rows)
{
	struct buf b = {0};
	wire_map(&b, 2);
	wire_put_uint(&b, "table", 7);
	wire_put_uint(&b, "rows", rows);
	tiny_answer(t, f, &b);
	buf_release(&b);
}

static const struct said_row exercise[] = {
	{"a.jpg", 1, 46623, 1786378845000000000, "synced", "==", ""},
	{"b.txt", 1, 661, -1, "conflict", "!!", "conflict"},
	{"c.pdf", 1, 8566866, 1733054400500000000, "waiting", "=~", ""},
	{"d\n\xff.gif", 1, 131992, 0, "synced", "==", ""},
	{"empty", 2, 0, 0, "synced", "==", ""},
	{"link", 3, 5, 0, "blocked", "=E", "name not possible there"},
};

static void serve_exercise(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	if (tiny_is(f, "status")) {
		answer_status(t, f, both, 2, true, 0, false, "");
	} else if (tiny_is(f, "table.open")) {
		answer_open(t, f, ARRAY_LEN(exercise));
	} else {
		size_t mark = begin_rows(&b, 0, ARRAY_LEN(exercise));
		for (size_t i = 0; i < ARRAY_LEN(exercise); i++)
			put_row(&b, &exercise[i]);
		wire_array_end(&b, mark, ARRAY_LEN(exercise));
		tiny_answer(t, f, &b);
	}
	buf_release(&b);
}

START_TEST(list_is_a_table_for_people)
{
	serve(serve_exercise);
	ck_assert_int_eq(run("list"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "      Size  Modified          AB  Name\n"
			 "  45.5 KiB  2026-08-10 16:20  ==  a.jpg\n"
			 "     661 B  1969-12-31 23:59  !!  b.txt  (conflict)\n"
			 "   8.2 MiB  2024-12-01 12:00  =~  c.pdf  (waiting)\n"
			 " 128.9 KiB                    ==  d\\x0a\\xff.gif\n"
			 "         -                    ==  empty/\n"
			 "       5 B                    =E  link  (name not possible there)\n");
	ck_assert_str_eq(complained(), "");
	ck_assert_int_eq(run("list|--bytes"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "\n        8566866  2024-12-01 12:00  =~  c.pdf"));
}
END_TEST

START_TEST(list_is_json_for_scripts)
{
	serve(serve_exercise);
	ck_assert_int_eq(run("list|--json"), EXIT_DONE);
	ck_assert_str_eq(
		printed(),
		"{\"path\":\"a.jpg\",\"kind\":\"file\",\"size\":46623,\"mtime\":1786378845,"
		"\"state\":\"synced\",\"replicas\":[\"A\",\"B\"]}\n"
		"{\"path\":\"b.txt\",\"kind\":\"file\",\"size\":661,\"mtime\":-0.000000001,"
		"\"state\":\"conflict\",\"replicas\":[],\"reason\":\"conflict\"}\n"
		"{\"path\":\"c.pdf\",\"kind\":\"file\",\"size\":8566866,\"mtime\":1733054400.5,"
		"\"state\":\"waiting\",\"replicas\":[\"A\"],\"reason\":\"waiting\"}\n"
		"{\"path\":\"d\\n\xef\xbf\xbd.gif\",\"path_bytes\":\"ZAr/LmdpZg==\","
		"\"kind\":\"file\",\"size\":131992,\"mtime\":0,\"state\":\"synced\","
		"\"replicas\":[\"A\",\"B\"]}\n"
		"{\"path\":\"empty\",\"kind\":\"directory\",\"size\":0,\"mtime\":0,"
		"\"state\":\"synced\",\"replicas\":[\"A\",\"B\"]}\n"
		"{\"path\":\"link\",\"kind\":\"symlink\",\"size\":5,\"mtime\":0,"
		"\"state\":\"blocked\",\"replicas\":[\"A\"],"
		"\"reason\":\"name not possible there\"}\n");
}
END_TEST

/* --- list: long, and changing */

enum { LONG_ROWS = 2600, CHANGES = 300 };

struct long_row {
	char path[16];
	unsigned size;
	bool gone;
};

static struct long_row long_rows[LONG_ROWS * 2];
static size_t n_long;
static bool long_by_size, long_reverse;

static int compare_long(const void *a, const void *b)
{
	const struct long_row *x = a, *y = b;
	int r = 0;
	if (x->gone != y->gone)
		return x->gone - y->gone;
	if (long_by_size)
		r = (x->size > y->size) - (x->size < y->size);
	if (!r)
		r = path_compare(bytes_of(x->path), bytes_of(y->path));
	return long_reverse ? -r : r;
}

static void sort_long(void)
{
	qsort(long_rows, n_long, sizeof(*long_rows), compare_long);
	while (n_long && long_rows[n_long - 1].gone)
		n_long--;
}

/* Rows with an even number never change: they must be listed, and once. */
static void make_long(unsigned rows)
{
	n_long = 0;
	for (unsigned i = 0; i < rows; i++) {
		struct long_row *r = &long_rows[n_long++];
		*r = (struct long_row){.size = pick(5000)};
		snprintf(r->path, sizeof(r->path), "f%06u", i);
	}
	sort_long();
}

static void change_long(void)
{
	for (unsigned i = 0; i < CHANGES; i++) {
		unsigned at = pick((unsigned)n_long);
		unsigned number = (unsigned)strtoul(long_rows[at].path + 1, NULL, 10);
		if (number % 2 == 0)
			continue;
		long_rows[at].size = pick(5000);
		long_rows[at].gone = pick(3) == 0;
	}
	for (unsigned i = 0; i < CHANGES / 6 && n_long < ARRAY_LEN(long_rows); i++) {
		struct long_row *r = &long_rows[n_long++];
		*r = (struct long_row){.size = pick(5000)};
		snprintf(r->path, sizeof(r->path), "f%06ux%u", pick(LONG_ROWS) | 1u,
			 pick(1000000));
	}
	sort_long();
}

static size_t find_long(struct bytes path)
{
	for (size_t i = 0; i < n_long; i++) {
		if (bytes_eq(path, bytes_of(long_rows[i].path)))
			return i;
	}
	struct long_row want = {.size = 0};
	memcpy(want.path, path.p, path.len < 15 ? path.len : 15);
	for (size_t i = 0; i < n_long; i++) { /* the one that took its place, by name */
		if (!long_by_size && compare_long(&want, &long_rows[i]) < 0)
			return i;
	}
	return n_long ? pick((unsigned)n_long) : 0;
}

static void answer_window(struct tiny_server *t, const struct wire_frame *f)
{
	struct bytes at;
	uint64_t first, rows, line;
	struct buf b = {0};
	ck_assert(wire_get_uint(f->params, "rows", 500, &rows));
	if (wire_get_bytes(f->params, "at", &at)) {
		size_t found = find_long(at);
		wire_get_uint(f->params, "line", 500, &line);
		first = found > line ? found - line : 0;
		if (n_long > rows && first > n_long - rows)
			first = n_long - rows; /* windows are full */
	} else {
		wire_get_uint(f->params, "first", UINT64_MAX, &first);
	}
	size_t mark = begin_rows(&b, first, n_long), n = 0;
	for (size_t i = first; i < n_long && n < rows; i++, n++) {
		struct said_row r = {long_rows[i].path, 1, long_rows[i].size, 0, "synced", "==", ""};
		put_row(&b, &r);
	}
	wire_array_end(&b, mark, n);
	tiny_answer(t, f, &b);
	buf_release(&b);
}

static void serve_long(struct tiny_server *t, const struct wire_frame *f)
{
	struct bytes sort;
	if (tiny_is(f, "status")) {
		answer_status(t, f, both, 2, true, 0, false, "");
	} else if (tiny_is(f, "table.open")) {
		wire_get_str(f->params, "sort", &sort);
		wire_get_bool(f->params, "reverse", &long_reverse);
		long_by_size = bytes_eq(sort, bytes_of("size"));
		make_long(LONG_ROWS);
		answer_open(t, f, n_long);
	} else {
		answer_window(t, f);
		change_long();
	}
}

static const char *const long_lists[] = {
	"list|--json", "list|--json|--reverse", "list|--json|--sort=size",
	"list|--json|--sort=size|--reverse",
};

START_TEST(a_long_list_that_changes_has_every_row_once)
{
	static uint8_t seen[LONG_ROWS];
	char last[16] = "";
	bool by_name = !strstr(long_lists[_i], "size"), reverse = strstr(long_lists[_i], "reverse");
	size_t rows = 0;
	pick_from((uint64_t)_i);
	serve(serve_long);
	ck_assert_int_eq(run(long_lists[_i]), EXIT_DONE);
	for (char *p = strtok((char *)out.data, "\n"); p; p = strtok(NULL, "\n"), rows++) {
		char path[16];
		ck_assert_int_eq(sscanf(p, "{\"path\":\"%15[^\"]\"", path), 1);
		unsigned number = (unsigned)strtoul(path + 1, NULL, 10);
		ck_assert_uint_lt(number, LONG_ROWS);
		if (strlen(path) == 7 && number % 2 == 0)
			ck_assert_msg(!seen[number]++, "%s is listed twice", path);
		if (by_name && *last)
			ck_assert_msg(reverse ? strcmp(path, last) < 0 : strcmp(path, last) > 0,
				      "%s after %s", path, last);
		strcpy(last, path);
	}
	for (unsigned i = 0; i < LONG_ROWS; i += 2)
		ck_assert_msg(seen[i], "f%06u is not listed", i);
	ck_assert_uint_ge(rows, LONG_ROWS / 2);
}
END_TEST

static void serve_stuck(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	if (tiny_is(f, "status")) {
		answer_status(t, f, both, 2, true, 0, false, "");
	} else if (tiny_is(f, "table.open")) {
		answer_open(t, f, 1000);
	} else {
		size_t mark = begin_rows(&b, 0, 1000);
		put_row(&b, &exercise[0]);
		wire_array_end(&b, mark, 1);
		tiny_answer(t, f, &b);
	}
	buf_release(&b);
}

START_TEST(a_server_that_repeats_itself_is_not_believed)
{
	serve(serve_stuck);
	ck_assert_int_eq(run("list"), EXIT_NOT_DONE);
	ck_assert_uint_gt(err.len, 0);
}
END_TEST

static void refuse_all(struct tiny_server *t, const struct wire_frame *f)
{
	tiny_refuse(t, f, "not-found", "there is no such folder");
}

START_TEST(what_the_server_refuses_is_said)
{
	static const char *const words[] = {"list", "status", "peers", "wait", "resync", "conflicts",
		"resolve|--undo", "resolve|--all|--keep|this", "trash", "restore|x", "history"};
	serve(refuse_all);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		ck_assert_int_eq(run(words[i]), EXIT_NOT_DONE);
		ck_assert_str_eq(complained(), "tutti: there is no such folder\n");
		ck_assert_str_eq(printed(), "");
	}
}
END_TEST

START_TEST(no_server_is_status_3)
{
	ck_assert_int_eq(run("list"), EXIT_NO_SERVER);
	ck_assert_ptr_nonnull(strstr(complained(), "there is no such socket"));
	ck_assert_int_eq(run("watch"), EXIT_NO_SERVER);
}
END_TEST

/* --- status */

static void serve_synced(struct tiny_server *t, const struct wire_frame *f)
{
	answer_status(t, f, both, 2, true, 0, false, "");
}

static void serve_troubled(struct tiny_server *t, const struct wire_frame *f)
{
	static const struct said_replica three[] = {
		{"alpha", "self", "", 0, 0, 0},
		{"b\x1b[1m", "receiving", "", 3, 1, 20},
		{"gamma", "offline", "connection refused", 0, 0, 0},
	};
	answer_status(t, f, three, 3, false, 2, true, "no more inotify watches");
}

static void serve_conflicts(struct tiny_server *t, const struct wire_frame *f)
{
	static const struct said_replica three[] = {
		{"alpha", "self", "", 0, 0, 0},
		{"beta", "in sync", "", 0, 0, 0},
		{"gamma", "in sync", "", 0, 0, 0},
	};
	answer_status(t, f, three, 3, true, 1, false, "");
}

static void serve_alone(struct tiny_server *t, const struct wire_frame *f)
{
	answer_status(t, f, both, 1, true, 0, false, "");
}

START_TEST(status_begins_with_the_answer)
{
	serve(serve_synced);
	ck_assert_int_eq(run("status"), EXIT_DONE);
	ck_assert_str_eq(printed(), "Both replicas are in sync.\n"
				    "alpha serves /srv/x: 1,204 files, 8.3 MiB\n"
				    "\n"
				    "  A  A  127.0.0.1:7075         self\n"
				    "  B  B  127.0.0.1:7075         in sync\n");
	stop_serving();
	serve(serve_conflicts);
	ck_assert_int_eq(run("status"), EXIT_DONE);
	ck_assert_ptr_eq(strstr(printed(), "All 3 replicas are in sync, with 1 conflict.\n"), printed());
	stop_serving();
	serve(serve_alone);
	ck_assert_int_eq(run("status"), EXIT_DONE);
	ck_assert_ptr_eq(strstr(printed(), "There is one replica; "), printed());
}
END_TEST

START_TEST(status_says_why_not)
{
	serve(serve_troubled);
	ck_assert_int_eq(run("status"), EXIT_DONE);
	ck_assert_ptr_eq(strstr(printed(), "Not in sync: 2 conflicts, 20 deletions held on b\\x1b[1m, "
					   "3 files (3,000 B) on the way to b\\x1b[1m, 1 problem, gamma is not connected.\n"),
			 printed());
	ck_assert_ptr_nonnull(strstr(printed(), "  B  b\\x1b[1m  127.0.0.1:7075         receiving, "
						"3 files left, 20 deletions held, 1 problem\n"));
	ck_assert_ptr_nonnull(strstr(printed(), " d, retry in 8 s (try 4): connection refused\n"));
	ck_assert_ptr_nonnull(strstr(printed(), "\nProblems:\n  private\\xff.key on beta: "
						"permission denied\n\n"));
	ck_assert_ptr_nonnull(strstr(printed(), "\nHeld deletions (tutti held decides, on the server that "
						"holds them):\n  photos on beta: deleted here\n\n"));
	ck_assert_ptr_nonnull(strstr(printed(), "\nNotes:\n  no more inotify watches\n"));
	ck_assert_ptr_null(strchr(printed(), '\x1b'));
}
END_TEST

START_TEST(status_is_one_json_object)
{
	serve(serve_troubled);
	ck_assert_int_eq(run("status|--json"), EXIT_DONE);
	ck_assert_str_eq(
		printed(),
		"{\"name\":\"alpha\",\"id\":\"00ff\",\"replicas\":["
		"{\"name\":\"alpha\",\"id\":\"00ff\",\"address\":\"127.0.0.1:7075\","
		"\"state\":\"self\",\"pending_files\":0,\"pending_bytes\":0,\"lag_ms\":12,"
		"\"problems\":0,\"held\":0},"
		"{\"name\":\"b\\u001b[1m\",\"id\":\"00ff\",\"address\":\"127.0.0.1:7075\","
		"\"state\":\"receiving\",\"pending_files\":3,\"pending_bytes\":3000,\"lag_ms\":12,"
		"\"problems\":1,\"held\":20},"
		"{\"name\":\"gamma\",\"id\":\"00ff\",\"address\":\"127.0.0.1:7075\","
		"\"state\":\"offline\",\"pending_files\":0,\"pending_bytes\":0,\"lag_ms\":12,"
		"\"problems\":0,\"held\":0}],"
		"\"rows\":1204,\"bytes\":8746142,\"in_sync\":false,\"conflicts\":2,\"held\":0,"
		"\"problems\":[{\"path\":\"photos\",\"replica\":\"beta\",\"reason\":\"deleted here\","
		"\"held\":true},{\"path\":\"private\xef\xbf\xbd.key\","
		"\"path_bytes\":\"cHJpdmF0Zf8ua2V5\",\"replica\":\"beta\","
		"\"reason\":\"permission denied\",\"held\":false}],\"notes\":[\"no more inotify watches\"]}\n");
}
END_TEST

/* --- wait */

static void serve_wait(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	uint64_t timeout;
	wire_get_uint(f->params, "timeout", UINT32_MAX, &timeout);
	wire_map(&b, 2);
	wire_put_bool(&b, "in_sync", timeout == 0);
	wire_put_text(&b, "reason", timeout == 1 ? "it is now" : timeout == 2500 ? "2.5 s" : "?");
	tiny_answer(t, f, &b);
	buf_release(&b);
}

START_TEST(wait_tells_by_its_status)
{
	serve(serve_wait);
	ck_assert_int_eq(run("wait"), EXIT_DONE);
	ck_assert_str_eq(printed(), "");
	ck_assert_str_eq(complained(), "");
	ck_assert_int_eq(run("wait|--timeout=2.5"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: not in sync: 2.5 s\n");
	ck_assert_int_eq(run("wait|--timeout=0"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: not in sync: it is now\n");
	ck_assert_str_eq(printed(), "");
}
END_TEST

/* --- resync */

static void serve_resync(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	struct bytes path;
	if (tiny_is(f, "status")) {
		answer_status(t, f, both, 2, true, 0, false, "");
		return;
	}
	if (tiny_is(f, "events")) {
		wire_map(&b, 4);
		wire_put_uint(&b, "first", 0);
		wire_put_uint(&b, "next", 0);
		wire_put_bool(&b, "gap", false);
		wire_key(&b, "events");
		wire_array(&b, 0);
		tiny_answer(t, f, &b);
		buf_release(&b);
		return;
	}
	wire_get_bytes(f->params, "path", &path);
	bool all = path.len == 0;
	wire_map(&b, 1);
	wire_key(&b, "replicas");
	wire_array(&b, 2);
	wire_map(&b, 4);
	wire_put_str(&b, "name", all ? bytes_of("alpha") : path);
	wire_put_bool(&b, "ok", true);
	wire_put_uint(&b, "looked", 1204);
	wire_put_uint(&b, "changed", 1);
	wire_map(&b, 5);
	wire_put_text(&b, "name", "beta");
	wire_put_bool(&b, "ok", !all);
	wire_put_uint(&b, "looked", 1);
	wire_put_uint(&b, "changed", 0);
	wire_put_text(&b, "reason", all ? "connection lost" : "");
	tiny_answer(t, f, &b);
	buf_release(&b);
}

START_TEST(resync_tells_of_each_replica)
{
	serve(serve_resync);
	ck_assert_int_eq(run("resync"), EXIT_NOT_DONE);
	ck_assert_str_eq(printed(), "alpha: looked at 1,204 entries, 1 differed\n"
				    "beta: not done: connection lost\n");
	ck_assert_int_eq(run("resync|--json"), EXIT_NOT_DONE);
	ck_assert_str_eq(printed(),
			 "{\"name\":\"alpha\",\"ok\":true,\"looked\":1204,\"changed\":1}\n"
			 "{\"name\":\"beta\",\"ok\":false,\"looked\":1,\"changed\":0,"
			 "\"reason\":\"connection lost\"}\n");
}
END_TEST

START_TEST(resync_takes_paths_as_people_write_them)
{
	static const char *const same[] = {"photos/2026", "./photos/2026/", "././photos/2026",
					   "/srv/x/photos/2026", "/srv/x//photos/2026//"};
	static const char *const bad[] = {"../etc", "a/../b", "/srv/xy/a", "/etc", ".tutti/trash"};
	serve(serve_resync);
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		char words[64];
		snprintf(words, sizeof(words), "resync|%s", same[i]);
		ck_assert_int_eq(run(words), EXIT_DONE);
		ck_assert_str_eq(printed(), "photos/2026: looked at 1,204 entries, 1 differed\n"
					    "beta: looked at 1 entry, 0 differed\n");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char words[64];
		snprintf(words, sizeof(words), "resync|%s", bad[i]);
		ck_assert_int_eq(run(words), EXIT_NOT_DONE);
		ck_assert_uint_gt(err.len, 0);
		ck_assert_str_eq(printed(), "");
	}
	ck_assert_int_eq(run("resync|/srv/x"), EXIT_NOT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "alpha: looked at"));
	ck_assert_int_eq(run("resync|."), EXIT_NOT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "alpha: looked at"));
}
END_TEST

/* --- settling and the past */

static void put_version(struct buf *b, const char *replica, const char *copy, uint64_t size, bool here)
{
	static const uint8_t hash[32] = {0xab};
	wire_map(b, 9);
	wire_put_uint(b, "kind", 1);
	wire_put_uint(b, "size", size);
	wire_put_int(b, "mtime", 1786378845000000000);
	wire_put_fixed(b, "hash", hash, 32);
	wire_key(b, "target");
	wire_nil(b);
	wire_put_text(b, "replica", replica);
	wire_put_uint(b, "counter", 7);
	wire_key(b, "copy");
	if (copy)
		wire_bin(b, bytes_of(copy));
	else
		wire_nil(b);
	wire_put_bool(b, "here", here);
}

static void put_conflict(struct buf *b, const char *path, const char *copy)
{
	wire_map(b, 3);
	wire_put_bin(b, "path", bytes_of(path));
	wire_put_uint(b, "stamp", UINT64_MAX);
	wire_key(b, "versions");
	wire_array(b, 2);
	put_version(b, "alpha", NULL, 4302, true);
	put_version(b, "be\x1b[1mta", copy, 4310, false);
}

/* Two conflicts on two pages, each with a copy. What is asked of it goes back in the words of errors. */
static void serve_two_conflicts(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	struct bytes under, after, keep, path;
	uint64_t version, stamp;
	if (tiny_is(f, "conflicts")) {
		bool second = wire_get_bytes(f->params, "after", &after);
		wire_get_bytes(f->params, "under", &under);
		bool of_path = bytes_eq(under, bytes_of("d/b\n.txt"));
		wire_map(&b, 2);
		wire_key(&b, "conflicts");
		if (under.len && !of_path && !bytes_eq(under, bytes_of("d"))) {
			wire_array(&b, 0);
		} else {
			wire_array(&b, 1);
			if (second || of_path || under.len)
				put_conflict(&b, "d/b\n.txt", "d/b\n.conflict-0123abcd-7.txt");
			else
				put_conflict(&b, "a.txt", "a.conflict-0123abcd-7.txt");
		}
		wire_put_bool(&b, "more", !second && !under.len);
		tiny_answer(t, f, &b);
	} else if (tiny_is(f, "resolve")) {
		char why[100];
		wire_get_bytes(f->params, "path", &path);
		wire_get_str(f->params, "keep", &keep);
		ck_assert(wire_get_uint(f->params, "stamp", UINT64_MAX, &stamp));
		bool all = !wire_get_uint(f->params, "version", INT64_MAX, &version);
		if (!bytes_eq(path, bytes_of("a.txt")) || stamp != UINT64_MAX) {
			snprintf(why, sizeof(why), "asked for %s %ju", all ? "both" : "this",
				 (uintmax_t)version);
			tiny_refuse(t, f, "changed", why);
			return;
		}
		wire_map(&b, 1);
		wire_put_uint(&b, "undo", all ? 9 : 10 + version);
		tiny_answer(t, f, &b);
	} else {
		wire_map(&b, 2);
		wire_put_uint(&b, "undo", 3);
		wire_put_bin(&b, "path", wire_get_bytes(f->params, "path", &path)
			? path : bytes_of("last\x1b"));
		tiny_answer(t, f, &b);
	}
	buf_release(&b);
}

START_TEST(conflicts_are_printed)
{
	serve(serve_two_conflicts);
	ck_assert_int_eq(run("conflicts"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "a.txt\n"
			 "  alpha            4,302 B  2026-08-10 16:20  has the name\n"
			 "  be\\x1b[1mta      4,310 B  2026-08-10 16:20  a.conflict-0123abcd-7.txt"
			 "  (not here yet)\n"
			 "d/b\\x0a.txt\n"
			 "  alpha            4,302 B  2026-08-10 16:20  has the name\n"
			 "  be\\x1b[1mta      4,310 B  2026-08-10 16:20  "
			 "d/b\\x0a.conflict-0123abcd-7.txt  (not here yet)\n");
	ck_assert_int_eq(run("conflicts|--json|d"), EXIT_DONE);
	ck_assert_str_eq(
		printed(),
		"{\"path\":\"d/b\\n.txt\",\"versions\":[{\"replica\":\"alpha\",\"kind\":\"file\","
		"\"size\":4302,\"mtime\":1786378845,\"hash\":\"ab00000000000000000000000000000000000000"
		"000000000000000000000000\",\"copy\":null,\"here\":true},"
		"{\"replica\":\"be\\u001b[1mta\",\"kind\":\"file\",\"size\":4310,\"mtime\":1786378845,"
		"\"hash\":\"ab00000000000000000000000000000000000000000000000000000000000000\","
		"\"copy\":\"d/b\\n.conflict-0123abcd-7.txt\",\"here\":false}]}\n");
	ck_assert_int_eq(run("conflicts|nothing"), EXIT_DONE);
	ck_assert_str_eq(printed(), "No conflicts.\n");
	ck_assert_int_eq(run("conflicts|--json|nothing"), EXIT_DONE);
	ck_assert_str_eq(printed(), "");
}
END_TEST

START_TEST(conflicts_are_settled)
{
	serve(serve_two_conflicts);
	ck_assert_int_eq(run("resolve|--all|--keep|this"), EXIT_NOT_DONE);
	ck_assert_str_eq(printed(), "a.txt: kept the version of alpha, 2026-08-10 16:20\n");
	ck_assert_str_eq(complained(), "tutti: d/b\\x0a.txt: asked for this 0\n");
	ck_assert_int_eq(run("resolve|--all|--json|--keep|both"), EXIT_NOT_DONE);
	ck_assert_str_eq(printed(), "{\"path\":\"a.txt\",\"kept\":\"both\",\"undo\":9}\n");
	ck_assert_str_eq(complained(), "tutti: d/b\\x0a.txt: asked for both 0\n");
	/* by the copy's own path; by a copy's name; by a replica's name */
	ck_assert_int_eq(run("resolve|--keep|this|d/b\n.conflict-0123abcd-7.txt"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: d/b\\x0a.txt: asked for this 1\n");
	ck_assert_int_eq(run("resolve|d/b\n.txt|--keep|./d/b\n.conflict-0123abcd-7.txt"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: d/b\\x0a.txt: asked for this 1\n");
	ck_assert_int_eq(run("resolve|d/b\n.txt|--keep|alpha"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: d/b\\x0a.txt: asked for this 0\n");
	ck_assert_int_eq(run("resolve|d/b\n.txt|--keep|gamma"), EXIT_NOT_DONE);
	ck_assert_ptr_nonnull(strstr(complained(), "none of its versions is meant by --keep"));
	ck_assert_int_eq(run("resolve|d/x|d/b\n.txt|--keep|this"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: d/x: there is no conflict\n"
				       "tutti: d/b\\x0a.txt: asked for this 0\n");
	ck_assert_int_eq(run("resolve|../x|--keep|this"), EXIT_NOT_DONE);
	ck_assert_int_eq(run("resolve|--undo"), EXIT_DONE);
	ck_assert_str_eq(printed(), "last\\x1b: taken back; its versions are where they were\n");
	ck_assert_int_eq(run("resolve|--undo|--json|x/y|z"), EXIT_DONE);
	ck_assert_str_eq(printed(), "{\"path\":\"x/y\",\"undone\":3}\n{\"path\":\"z\",\"undone\":3}\n");
}
END_TEST

static void put_thing(struct buf *b, const char *id, const char *path, int64_t time)
{
	wire_map(b, 10);
	wire_put_bin(b, "id", bytes_of(id));
	wire_put_text(b, "replica", "beta");
	wire_put_bin(b, "path", bytes_of(path));
	wire_put_int(b, "time", time);
	wire_put_uint(b, "kind", 1);
	wire_put_uint(b, "size", 4302);
	wire_put_int(b, "mtime", 5);
	wire_key(b, "hash");
	wire_nil(b);
	wire_key(b, "target");
	wire_nil(b);
	wire_put_text(b, "by", "al\x1bpha");
}

/* Two pages of things; of restored paths only "f" and those by id. */
static void serve_trash(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	struct bytes id, path, replica, to;
	if (tiny_is(f, "trash")) {
		bool second = wire_get_bytes(f->params, "after", &id);
		wire_get_str(f->params, "replica", &replica);
		if (second) {
			struct bytes from;
			ck_assert(bytes_eq(id, bytes_of("2.000000000-x")));
			ck_assert(wire_get_str(f->params, "after_replica", &from));
			ck_assert(bytes_eq(from, bytes_of("beta")));
		}
		wire_map(&b, 3);
		wire_key(&b, "items");
		wire_array(&b, second ? 1 : 2);
		if (!second)
			put_thing(&b, "3.000000000-y", "d/y\n", 3000000000);
		put_thing(&b, second ? "1.000000000-y" : "2.000000000-x", second ? "d/y\n" : "d/x",
			  second ? 1000000000 : 2000000000);
		wire_put_bool(&b, "more", !second);
		wire_key(&b, "missing");
		wire_array(&b, bytes_eq(replica, bytes_of("*")) ? 0 : 1);
		if (!bytes_eq(replica, bytes_of("*")))
			wire_str(&b, replica);
		tiny_answer(t, f, &b);
	} else if (tiny_is(f, "row")) {
		wire_get_bytes(f->params, "path", &path);
		ck_assert_msg(path_is_under(path, bytes_of("d")), "%.*s", (int)path.len, path.p);
		tiny_refuse(t, f, "not-found", "no such path");
	} else {
		bool by_id = wire_get_bytes(f->params, "id", &id);
		wire_get_bytes(f->params, "path", &path);
		if (!by_id && !bytes_eq(path, bytes_of("f"))) {
			tiny_refuse(t, f, bytes_eq(path, bytes_of("busy")) ? "busy" : "not-found",
				    "the \x1b[1mtext");
			buf_release(&b);
			return;
		}
		if (!wire_get_bytes(f->params, "to", &to))
			to = by_id ? id : path;
		wire_map(&b, 4);
		wire_put_bin(&b, "path", to);
		wire_put_text(&b, "from", "beta");
		wire_put_int(&b, "time", 1786378845000000000);
		wire_put_uint(&b, "size", 5);
		tiny_answer(t, f, &b);
	}
	buf_release(&b);
}

START_TEST(the_trash_is_printed)
{
	serve(serve_trash);
	ck_assert_int_eq(run("trash|d"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "When                       Size  On            Path\n"
			 "1970-01-01 00:00:03     4,302 B  beta          d/y\\x0a  (by al\\x1bpha)\n"
			 "1970-01-01 00:00:02     4,302 B  beta          d/x  (by al\\x1bpha)\n"
			 "1970-01-01 00:00:01     4,302 B  beta          d/y\\x0a  (by al\\x1bpha)\n");
	ck_assert_int_eq(run("trash|--json|--since|2d|--until|now"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(),
				     "{\"time\":2,\"path\":\"d/x\",\"kind\":\"file\",\"size\":4302,"
				     "\"mtime\":0.000000005,\"replica\":\"beta\",\"by\":\"al\\u001bpha\","
				     "\"id\":\"2.000000000-x\",\"hash\":null}\n"));
	ck_assert_int_eq(run("trash|--on|gamma"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: no answer from gamma\n");
}
END_TEST

START_TEST(things_are_restored)
{
	serve(serve_trash);
	ck_assert_int_eq(run("restore|f"), EXIT_DONE);
	ck_assert_str_eq(printed(), "f is back, as it was until 2026-08-10 16:20:45, from beta\n");
	ck_assert_int_eq(run("restore|./f|--to|e/g\x1b|--at|2026-08-10|--json"), EXIT_DONE);
	ck_assert_str_eq(printed(), "{\"path\":\"e/g\\u001b\",\"from\":\"beta\",\"time\":1786378845,"
				    "\"size\":5}\n");
	ck_assert_int_eq(run("restore|busy"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: the \\x1b[1mtext\n");
	/* a folder: the newest of each path below it, at its new place */
	ck_assert_int_eq(run("restore|d|--to|e"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "e/y\\x0a is back, as it was until 2026-08-10 16:20:45, from beta\n"
			 "e/x is back, as it was until 2026-08-10 16:20:45, from beta\n");
	ck_assert_int_eq(run("restore|d"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "3.000000000-y is back"));
	ck_assert_ptr_null(strstr(printed(), "1.000000000-y is back"));
	ck_assert_int_eq(run("restore|never"), EXIT_NOT_DONE);
	ck_assert_str_eq(complained(), "tutti: the \\x1b[1mtext\n");
}
END_TEST

static void serve_history(struct tiny_server *t, const struct wire_frame *f)
{
	static const uint8_t hash[32];
	struct buf b = {0};
	struct bytes path;
	uint64_t before;
	wire_get_uint(f->params, "before", INT64_MAX, &before);
	wire_get_bytes(f->params, "path", &path);
	bool stuck = bytes_eq(path, bytes_of("stuck"));
	uint64_t n = stuck || before > 8 ? 8 : before - 1;
	wire_map(&b, 2);
	wire_key(&b, "lines");
	wire_array(&b, n ? 1 : 0);
	if (n) {
		wire_map(&b, 9);
		wire_put_uint(&b, "n", n);
		wire_put_int(&b, "time", (int64_t)n * 1000000000);
		wire_put_text(&b, "event", n == 8 ? "deleted" : "chan\x1bged");
		wire_put_bin(&b, "path", bytes_of("d/\x1b[2J"));
		wire_put_text(&b, "replica", "be\nta");
		wire_put_uint(&b, "old_size", 4302);
		wire_put_uint(&b, "new_size", n == 8 ? 0 : 7);
		wire_put_fixed(&b, "old_hash", hash, 32);
		wire_key(&b, "new_hash");
		if (n == 8)
			wire_nil(&b);
		else
			wire_fixed(&b, hash, 32);
	}
	wire_put_bool(&b, "more", stuck || n > 6);
	tiny_answer(t, f, &b);
	buf_release(&b);
}

START_TEST(the_history_is_printed)
{
	serve(serve_history);
	ck_assert_int_eq(run("history"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "1970-01-01 00:00:08  be\\x0ata      deleted        d/\\x1b[2J  (4,302 B gone)\n"
			 "1970-01-01 00:00:07  be\\x0ata      chan\\x1bged    d/\\x1b[2J  (4,302 B to 7 B)\n"
			 "1970-01-01 00:00:06  be\\x0ata      chan\\x1bged    d/\\x1b[2J  (4,302 B to 7 B)\n");
	ck_assert_int_eq(run("history|d|--json|--since|1970-01-01 00:00:08"), EXIT_DONE);
	ck_assert_str_eq(printed(),
			 "{\"time\":8,\"event\":\"deleted\",\"path\":\"d/\\u001b[2J\","
			 "\"replica\":\"be\\nta\",\"old_size\":4302,\"old_hash\":\"00000000000000000000"
			 "00000000000000000000000000000000000000000000\",\"new_size\":null,"
			 "\"new_hash\":null}\n");
	ck_assert_int_eq(run("history|--until|1969-12-31"), EXIT_DONE);
	ck_assert_str_eq(printed(), "Nothing is remembered of that.\n");
	/* a server that gets no further is not asked for ever */
	ck_assert_int_eq(run("history|stuck"), EXIT_DONE);
}
END_TEST

/* --- peers */

static void serve_peers(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	wire_map(&b, 1);
	wire_key(&b, "peers");
	wire_array(&b, 2);
	for (int i = 0; i < 2; i++) {
		wire_map(&b, 11);
		wire_put_text(&b, "address", "127.0.0.1:7076");
		wire_put_text(&b, "name", i ? "" : "beta");
		wire_put_text(&b, "id", i ? "" : "00ff");
		wire_put_text(&b, "state", i ? "waiting" : "connected");
		wire_put_text(&b, "direction", i ? "out" : "in");
		wire_put_int(&b, "since", i ? 0 : 500000000);
		wire_put_uint(&b, "retry_ms", 8000);
		wire_put_uint(&b, "tries", i ? 3 : 0);
		wire_put_text(&b, "error", i ? "connection refused" : "");
		wire_put_uint(&b, "in", 1000);
		wire_put_uint(&b, "out", 20480);
	}
	tiny_answer(t, f, &b);
	buf_release(&b);
}

START_TEST(peers_are_lines)
{
	serve(serve_peers);
	ck_assert_int_eq(run("peers"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "beta          127.0.0.1:7076         in   connected"));
	ck_assert_ptr_nonnull(strstr(printed(), ", in 1,000 B, out 20.0 KiB\n"));
	ck_assert_ptr_nonnull(strstr(printed(), "?             127.0.0.1:7076         out  waiting, "
						"retry in 8 s (try 3): connection refused\n"));
	ck_assert_int_eq(run("peers|--json"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(),
				     "{\"name\":\"beta\",\"address\":\"127.0.0.1:7076\","
				     "\"id\":\"00ff\",\"state\":\"connected\",\"direction\":\"in\","
				     "\"error\":\"\",\"since\":0.5,\"retry_ms\":8000,\"tries\":0,"
				     "\"in\":1000,\"out\":20480}\n"));
}
END_TEST

/* --- held */

static void serve_held(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	bool word = bytes_eq(f->method, bytes_of("held.decide"));
	uint64_t id = 0;
	bool carry_out = false;
	wire_map(&b, 1);
	if (word) {
		wire_get_uint(f->params, "id", UINT64_MAX, &id);
		wire_get_bool(f->params, "delete", &carry_out);
		wire_put_uint(&b, "left", id == 0xabc && carry_out ? 0 : 2);
	} else {
		wire_key(&b, "sets");
		wire_array(&b, 1);
		wire_map(&b, 7);
		wire_put_uint(&b, "id", 0xabc);
		wire_put_text(&b, "from", "be\x1bta");
		wire_put_int(&b, "since", 500000000);
		wire_put_uint(&b, "n", 25);
		wire_put_uint(&b, "bytes", 20480);
		wire_key(&b, "paths");
		wire_array(&b, 1);
		wire_bin(&b, bytes_of("a\x1b[31m"));
		wire_put_bool(&b, "more", true);
	}
	tiny_answer(t, f, &b);
	buf_release(&b);
}

START_TEST(held_deletions_are_listed_and_decided)
{
	serve(serve_held);
	ck_assert_int_eq(run("held"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "0000000000000abc  25 deletions (20.0 KiB) on be"));
	ck_assert_ptr_nonnull(strstr(printed(), "and 24 others\n"));
	ck_assert_ptr_null(strchr(printed(), '\x1b'));
	ck_assert_int_eq(run("held|--json"), EXIT_DONE);
	ck_assert_ptr_nonnull(strstr(printed(), "{\"id\":\"0000000000000abc\",\"from\":"));
	ck_assert_ptr_nonnull(strstr(printed(), "\"n\":25,\"bytes\":20480,\"paths\":[{\"path\":"));
	ck_assert_int_eq(run("held|delete|abc"), EXIT_DONE);
	ck_assert_int_eq(run("held|keep|ABC"), EXIT_NOT_DONE); /* two stay held */
}
END_TEST

/* --- watch */

static void put_event(struct buf *b, uint64_t n, const char *event, const char *path)
{
	wire_map(b, 6);
	wire_put_uint(b, "n", n);
	wire_put_int(b, "time", (int64_t)n * 1000000000);
	wire_put_text(b, "event", event);
	wire_put_bin(b, "path", bytes_of(path));
	wire_put_text(b, "replica", "beta");
	wire_put_bin(b, "detail", bytes_of(""));
}

static void notify_event(struct tiny_server *t, uint64_t n, const char *event, const char *path)
{
	struct buf b = {0};
	put_event(&b, n, event, path);
	tiny_notify(t, "event", &b);
	buf_release(&b);
}

/* First connection: events 5 and 6, then the connection is cut. Second: must name 6; gets 7, which
 * it missed, and 8. Third: everything is gone. Then the server refuses, which ends the watching. */
static void serve_watch(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf b = {0};
	uint64_t since = 0;
	bool named = wire_get_uint(f->params, "since", UINT64_MAX, &since);
	unsigned round = t->hellos;
	if ((round == 1) == named || (round == 2 && since != 6) || (round == 3 && since != 8) ||
	    round == 4) {
		tiny_refuse(t, f, "failed", round == 4 ? "the end" : "wrong number");
		return;
	}
	wire_map(&b, 4);
	wire_put_uint(&b, "first", 1);
	wire_put_uint(&b, "next", round == 1 ? 5 : round == 2 ? 8 : 101);
	wire_put_bool(&b, "gap", round == 3);
	wire_key(&b, "events");
	wire_array(&b, round == 2 ? 2 : 0);
	if (round == 2) {
		put_event(&b, 6, "created", "seen before");
		put_event(&b, 7, "deleted", "missed");
	}
	tiny_answer(t, f, &b);
	buf_release(&b);
	if (round == 1) {
		notify_event(t, 5, "changed", "a\x1b");
		notify_event(t, 6, "peer-up", "");
	} else if (round == 2) {
		notify_event(t, 8, "unheard-of", "b");
	} else {
		notify_event(t, 101, "received", "c");
	}
	conn_bye(t->conn, "stopping", "enough");
}

START_TEST(watch_goes_on_after_a_loss)
{
	serve(serve_watch);
	ck_assert_int_eq(run("watch"), EXIT_NOT_DONE);
	char *gap = strstr((char *)out.data, "events are missing");
	ck_assert_msg(gap != NULL, "%s", printed());
	char *line = gap;
	while (line[-1] != '\n')
		line--;
	char *rest = strchr(gap, '\n') + 1;
	memmove(line, rest, strlen(rest) + 1); /* its time is now */
	ck_assert_str_eq(printed(), "1970-01-01 00:00:05  a\\x1b changed on beta\n"
				    "1970-01-01 00:00:06  beta is connected\n"
				    "1970-01-01 00:00:07  missed deleted on beta\n"
				    "1970-01-01 00:00:08  unheard-of b on beta\n"
				    "1970-01-01 00:01:41  c received from beta\n");
	ck_assert_ptr_nonnull(strstr(complained(), "lost the server: the server ended the "
						   "connection: enough; trying to come back\n"));
	ck_assert_ptr_nonnull(strstr(complained(), "tutti: the end\n"));
}
END_TEST

START_TEST(watch_is_json_for_scripts)
{
	serve(serve_watch);
	ck_assert_int_eq(run("watch|--json"), EXIT_NOT_DONE);
	ck_assert_ptr_eq(strstr(printed(),
				"{\"time\":5,\"event\":\"changed\",\"path\":\"a\\u001b\","
				"\"replica\":\"beta\",\"detail\":\"\"}\n"),
			 printed());
	ck_assert_ptr_nonnull(strstr(printed(), "\"event\":\"gap\""));
}
END_TEST

/* --- readers */

START_TEST(a_reader_that_stops_is_no_error_message)
{
	int ends[2];
	serve(serve_long);
	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		char *argv[] = {(char *)"tutti", (char *)"-s", address, (char *)"list", NULL};
		struct arguments a;
		FILE *errors = tmpfile();
		dup2(fileno(errors), STDERR_FILENO);
		arguments_parse(&a, 4, argv, &err);
		int status = command_run(&a);
		slurp(&err, fileno(errors));
		_exit(status == EXIT_NOT_DONE && err.len == 0 ? 0 : 1);
	}
	char first[8];
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], first, sizeof(first)), sizeof(first));
	close(ends[0]);
	int status;
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("commands");
	TCase *t = suite_case(s, "commands", setup, teardown);
	tcase_add_test(t, list_is_a_table_for_people);
	tcase_add_test(t, list_is_json_for_scripts);
	tcase_add_loop_test(t, a_long_list_that_changes_has_every_row_once, 0,
			    ARRAY_LEN(long_lists));
	tcase_add_test(t, a_server_that_repeats_itself_is_not_believed);
	tcase_add_test(t, what_the_server_refuses_is_said);
	tcase_add_test(t, no_server_is_status_3);
	tcase_add_test(t, status_begins_with_the_answer);
	tcase_add_test(t, status_says_why_not);
	tcase_add_test(t, status_is_one_json_object);
	tcase_add_test(t, wait_tells_by_its_status);
	tcase_add_test(t, resync_tells_of_each_replica);
	tcase_add_test(t, resync_takes_paths_as_people_write_them);
	tcase_add_test(t, peers_are_lines);
	tcase_add_test(t, held_deletions_are_listed_and_decided);
	tcase_add_test(t, conflicts_are_printed);
	tcase_add_test(t, conflicts_are_settled);
	tcase_add_test(t, the_trash_is_printed);
	tcase_add_test(t, things_are_restored);
	tcase_add_test(t, the_history_is_printed);
	tcase_add_test(t, watch_goes_on_after_a_loss);
	tcase_add_test(t, watch_is_json_for_scripts);
	tcase_add_test(t, a_reader_that_stops_is_no_error_message);
	return suite_run(s);
}
