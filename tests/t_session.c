/* Tests of what a server answers and tells its clients: a real tuttid on a scratch directory, and
 * real clients on its socket. */
#include "config.h"
#include "client.h"
#include "scratch.h"
#include "served.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DEADLINE_S = 20 };

static struct ev_loop *loop;
static char *dir, *root, *state, *address;
static pid_t server;
static struct client *client;

/* ---- a server of our own ---------------------------------------------------------------- */

static void start_server(const char *peer)
{
	uint16_t port;
	server = served_start((const char *[]){"-n", "alpha", "-s", state, "--socket", address,
					       "--log-level", "warning", root, peer ? "-p" : NULL,
					       peer, NULL}, &port);
}

static void stop_server(void)
{
	served_stop(server);
}

/* ---- what comes from it ----------------------------------------------------------------- */

/* A copy of something that the client handed out. */
struct kept {
	struct kept *next;
	char method[32];
	msgpack_unpacked all;
	bool is_error;
	char code[32];
};

static struct kept *notes, **last_note = &notes;

static struct kept *keep(const char *method, const msgpack_object *o)
{
	struct kept *k = xcalloc(1, sizeof(*k));
	msgpack_sbuffer b;
	msgpack_packer p;
	msgpack_sbuffer_init(&b);
	msgpack_packer_init(&p, &b, msgpack_sbuffer_write);
	msgpack_pack_object(&p, *o);
	msgpack_unpacked_init(&k->all);
	size_t at = 0;
	ck_assert_int_eq(msgpack_unpack_next(&k->all, b.data, b.size, &at), MSGPACK_UNPACK_SUCCESS);
	/* Strings point into the buffer: it stays with the zone. */
	msgpack_zone_push_finalizer(k->all.zone, free, b.data);
	snprintf(k->method, sizeof(k->method), "%s", method);
	return k;
}

static void drop(struct kept *k)
{
	if (k && !k->is_error)
		msgpack_unpacked_destroy(&k->all);
	free(k);
}

static void drop_notes(void)
{
	while (notes) {
		struct kept *k = notes;
		notes = k->next;
		drop(k);
	}
	last_note = &notes;
}

static void on_note(void *ctx, const char *method, const msgpack_object *params)
{
	(void)ctx;
	*last_note = keep(method, params);
	last_note = &(*last_note)->next;
}

static char down_reason[256];

static void on_down(void *ctx, const char *reason)
{
	(void)ctx;
	snprintf(down_reason, sizeof(down_reason), "%s", reason);
}

static const struct client_callbacks callbacks = {.down = on_down, .notify = on_note};

static void on_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct kept **k = ctx;
	if (result) {
		*k = keep("answer", result);
	} else {
		*k = xcalloc(1, sizeof(**k));
		(*k)->is_error = true;
		snprintf((*k)->code, sizeof((*k)->code), "%s", error->code);
	}
}

static struct kept *call(const char *method, struct buf *params)
{
	struct kept *k = NULL;
	client_run(client, method, params, on_answer, &k);
	buf_release(params);
	ck_assert_ptr_nonnull(k);
	return k;
}

static const msgpack_object *result_of(const struct kept *k)
{
	ck_assert_msg(!k->is_error, "error %s", k->code);
	return &k->all.data;
}

static void must_fail(const char *code, struct kept *k)
{
	ck_assert_msg(k->is_error, "there is a result, not error %s", code);
	ck_assert_str_eq(k->code, code);
	drop(k);
}

static void on_time_up(struct ev_loop *l, ev_timer *w, int events)
{
	(void)events;
	*(bool *)w->data = true;
	ev_break(l, EVBREAK_ALL);
}

/* Runs the loop until a notification fits; it stays the caller's to drop. What came before it goes.
 */
static struct kept *await(const char *what, const char *method,
			  bool (*fits)(const msgpack_object *))
{
	bool late = false;
	ev_timer timer;
	ev_timer_init(&timer, on_time_up, DEADLINE_S, 0.);
	timer.data = &late;
	ev_now_update(loop);
	ev_timer_start(loop, &timer);
	struct kept *found = NULL;
	while (!found) {
		while (notes && !found) {
			struct kept *k = notes;
			notes = k->next;
			if (!notes)
				last_note = &notes;
			if (strcmp(k->method, method) == 0 && (!fits || fits(&k->all.data)))
				found = k;
			else
				drop(k);
		}
		if (found)
			break;
		ck_assert_msg(!late, "waited in vain for %s: %s", method, what);
		ev_run(loop, EVRUN_ONCE);
	}
	ev_timer_stop(loop, &timer);
	return found;
}

static uint64_t number(const msgpack_object *map, const char *key)
{
	uint64_t n;
	ck_assert_msg(wire_get_uint(map, key, UINT64_MAX, &n), "no %s", key);
	return n;
}

static bool truth(const msgpack_object *map, const char *key)
{
	bool b;
	ck_assert_msg(wire_get_bool(map, key, &b), "no %s", key);
	return b;
}

/* Any bytes or text, as a string that stays until it was asked for eight times more. */
static const char *text_of(const msgpack_object *o)
{
	static char all[8][512];
	static unsigned at;
	struct bytes b;
	ck_assert(wire_as_bytes(o, &b) && b.len < sizeof(all[0]));
	char *s = all[at++ % 8];
	memcpy(s, b.p ? b.p : (const uint8_t *)"", b.len);
	s[b.len] = '\0';
	return s;
}

static const char *text(const msgpack_object *map, const char *key)
{
	return text_of(wire_get(map, key));
}

static const msgpack_object *rows_of(const msgpack_object *window)
{
	return wire_get(window, "rows");
}

static const char *path_at(const msgpack_object *window, size_t line)
{
	return text_of(wire_at(wire_at(rows_of(window), line), 0));
}

/* ---- requests --------------------------------------------------------------------------- */

static struct kept *wait_sync(uint64_t timeout_ms)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_uint(&p, "timeout", timeout_ms);
	return call("wait", &p);
}

static void settle(void)
{
	struct kept *k = wait_sync(DEADLINE_S * 1000);
	ck_assert_msg(truth(result_of(k), "in_sync"), "%s", text(result_of(k), "reason"));
	drop(k);
}

static uint64_t open_table(const char *sort, bool reverse, bool tree, const char *under,
			   const char *filter)
{
	struct buf p = {0};
	wire_map(&p, 5);
	wire_put_text(&p, "sort", sort);
	wire_put_bool(&p, "reverse", reverse);
	wire_put_bool(&p, "tree", tree);
	wire_put_bin(&p, "under", bytes_of(under));
	wire_put_text(&p, "filter", filter);
	struct kept *k = call("table.open", &p);
	uint64_t table = number(result_of(k), "table");
	drop(k);
	return table;
}

static struct kept *window(uint64_t table, uint64_t rows, uint64_t first)
{
	struct buf p = {0};
	wire_map(&p, 3);
	wire_put_uint(&p, "table", table);
	wire_put_uint(&p, "rows", rows);
	wire_put_uint(&p, "first", first);
	return call("table.window", &p);
}

static struct kept *window_at(uint64_t table, uint64_t rows, const char *at, uint64_t line)
{
	struct buf p = {0};
	wire_map(&p, 4);
	wire_put_uint(&p, "table", table);
	wire_put_uint(&p, "rows", rows);
	wire_put_bin(&p, "at", bytes_of(at));
	wire_put_uint(&p, "line", line);
	return call("table.window", &p);
}

static struct kept *with_path(const char *method, const char *path)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_bin(&p, "path", bytes_of(path));
	return call(method, &p);
}

static struct kept *plain(const char *method)
{
	struct buf p = {0};
	wire_map(&p, 0);
	return call(method, &p);
}

static struct kept *events_since(bool given, uint64_t since)
{
	struct buf p = {0};
	wire_map(&p, given);
	if (given)
		wire_put_uint(&p, "since", since);
	return call("events", &p);
}

/* ---- fixture ---------------------------------------------------------------------------- */

static void set_up(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	dir = scratch_new();
	make_dir(dir, "root", 0755);
	root = scratch_path(dir, "root");
	state = scratch_path(dir, "state");
	address = scratch_path(dir, "socket");
}

static void connect_client(void)
{
	client = client_new(loop, address, "test", false, &callbacks, NULL);
	ck_assert_int_eq(client_run_until_up(client), 0);
}

static void begin(const char *peer)
{
	start_server(peer);
	connect_client();
}

static void tear_down(void)
{
	client_free(client);
	stop_server();
	drop_notes();
	free(root);
	free(state);
	free(address);
	scratch_remove(dir);
	ev_loop_destroy(loop);
}

static void put_many(size_t n)
{
	char name[64];
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "root/f%03zu", i);
		put(dir, name, name);
	}
}

/* ---- tables ----------------------------------------------------------------------------- */

START_TEST(rows_say_everything)
{
	put(dir, "root/b.txt", "four");
	put(dir, "root/a.txt", "sixsix");
	make_dir(dir, "root/sub", 0755);
	put(dir, "root/sub/inner", "x");
	make_dir(dir, "root/hollow", 0755);
	char *script = scratch_path(dir, "root/run");
	put(dir, "root/run", "#!");
	chmod(script, 0755);
	free(script);
	begin(NULL);
	settle();
	uint64_t table = open_table("name", false, false, "", "");
	struct kept *k = window(table, 100, 0);
	const msgpack_object *w = result_of(k);
	ck_assert_uint_eq(number(w, "total"), 5);
	ck_assert_uint_eq(number(w, "files"), 4);
	ck_assert_uint_eq(number(w, "bytes"), 13);
	ck_assert_uint_eq(number(w, "unsynced"), 0);
	ck_assert_uint_eq(wire_count(rows_of(w)), 5);
	static const char *const names[] = {"a.txt", "b.txt", "hollow", "run", "sub/inner"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_str_eq(path_at(w, i), names[i]);
	const msgpack_object *a = wire_at(rows_of(w), 0), *run = wire_at(rows_of(w), 3);
	uint64_t n;
	ck_assert(wire_as_uint(wire_at(a, 2), 9, &n) && n == 1); /* a file */
	ck_assert(wire_as_uint(wire_at(a, 3), 99, &n) && n == 6);
	ck_assert_str_eq(text_of(wire_at(a, 5)), "synced");
	ck_assert_str_eq(text_of(wire_at(a, 6)), "=");
	ck_assert_str_eq(text_of(wire_at(a, 7)), "");
	ck_assert(wire_as_uint(wire_at(a, 8), 99, &n) && n == 0);
	ck_assert(wire_as_uint(wire_at(run, 8), 99, &n) && n == 4); /* executable */
	drop(k);

	table = open_table("size", true, false, "", "");
	k = window(table, 1, 0);
	ck_assert_str_eq(path_at(result_of(k), 0), "a.txt");
	drop(k);
	table = open_table("name", false, true, "", "");
	k = window(table, 9, 0);
	ck_assert_uint_eq(number(result_of(k), "total"), 5); /* folders first, folded */
	ck_assert_str_eq(path_at(result_of(k), 0), "hollow");
	ck_assert_str_eq(path_at(result_of(k), 1), "sub");
	drop(k);
	table = open_table("name", false, false, "sub", "");
	k = window(table, 9, 0);
	ck_assert_uint_eq(number(result_of(k), "total"), 1);
	drop(k);
	table = open_table("name", false, false, "", "TXT");
	k = window(table, 9, 0);
	ck_assert_uint_eq(number(result_of(k), "total"),
			  0); /* capitals count when there are some */
	drop(k);
	table = open_table("name", false, false, "", ".txt");
	k = window(table, 9, 0);
	ck_assert_uint_eq(number(result_of(k), "total"), 2);
	drop(k);
}
END_TEST

static bool has_105(const msgpack_object *w)
{
	return number(w, "total") == 105;
}

static bool has_104(const msgpack_object *w)
{
	return number(w, "total") == 104;
}

START_TEST(windows_stay_with_their_row)
{
	put_many(100);
	begin(NULL);
	settle();
	uint64_t table = open_table("name", false, false, "", "");
	struct kept *k = window_at(table, 21, "f050", 10);
	ck_assert_uint_eq(number(result_of(k), "first"), 40);
	ck_assert_uint_eq(number(result_of(k), "anchor"), 10);
	ck_assert_str_eq(path_at(result_of(k), 10), "f050");
	drop(k);
	/* Five rows come in front of it: it does not move. */
	for (int i = 0; i < 5; i++) {
		char name[32];
		snprintf(name, sizeof(name), "root/a%d", i);
		put(dir, name, "new");
	}
	k = await("five new rows", "table.rows", has_105);
	ck_assert_uint_eq(number(result_of(k), "first"), 45);
	ck_assert_str_eq(path_at(result_of(k), 10), "f050");
	drop(k);
	/* It goes away itself: what takes its place stands there. */
	char *path = scratch_path(dir, "root/f050");
	unlink(path);
	free(path);
	k = await("one row less", "table.rows", has_104);
	ck_assert_str_eq(path_at(result_of(k), number(result_of(k), "anchor")), "f051");
	ck_assert_uint_eq(number(result_of(k), "anchor"), 10);
	drop(k);
	/* At the ends of the table the window stays full. */
	k = window_at(table, 21, "a0", 10);
	ck_assert_uint_eq(number(result_of(k), "first"), 0);
	ck_assert_uint_eq(number(result_of(k), "anchor"), 0);
	drop(k);
	k = window_at(table, 21, "f099", 0);
	ck_assert_uint_eq(number(result_of(k), "first"), 104 - 21);
	ck_assert_uint_eq(number(result_of(k), "anchor"), 20);
	drop(k);
	k = window(table, 21, 1000000);
	ck_assert_uint_eq(number(result_of(k), "first"), 104 - 21);
	drop(k);
	/* A path that was never there: the place where its folder stands. */
	k = window_at(table, 5, "f0/not/there", 2);
	ck_assert_uint_eq(wire_count(rows_of(result_of(k))), 5);
	drop(k);
}
END_TEST

static bool has_400(const msgpack_object *w)
{
	return number(w, "total") == 400 && number(w, "unsynced") == 0;
}

START_TEST(rows_are_told_at_most_so_often)
{
	begin(NULL);
	settle();
	uint64_t table = open_table("name", false, false, "", "");
	drop(window(table, 10, 0));
	double start = ev_time();
	put_many(400);
	size_t told = 0;
	bool done = false;
	while (!done) {
		struct kept *k = await("all rows", "table.rows", NULL);
		done = has_400(result_of(k));
		told++;
		drop(k);
	}
	double took = ev_time() - start;
	ck_assert_msg((double)told <= took * 30 + 2, "%zu times in %.2f s", told, took);
	/* With nothing new, nothing more is told: what comes next is the answer to the next wait.
	 */
	settle();
	drop_notes();
	settle();
	ck_assert_ptr_null(notes);
}
END_TEST

START_TEST(trees_are_unfolded_and_searched)
{
	make_dir(dir, "root/one", 0755);
	make_dir(dir, "root/one/two", 0755);
	put(dir, "root/one/two/needle", "");
	put(dir, "root/zero", "");
	begin(NULL);
	settle();
	uint64_t table = open_table("name", false, true, "", "");
	struct buf p = {0};
	wire_map(&p, 3);
	wire_put_uint(&p, "table", table);
	wire_put_text(&p, "text", "needl");
	wire_put_bin(&p, "from", bytes_of(""));
	struct kept *k = call("table.find", &p);
	ck_assert(truth(result_of(k), "found"));
	ck_assert_str_eq(text(result_of(k), "path"), "one/two/needle");
	ck_assert_uint_eq(number(result_of(k), "position"), 2);
	drop(k);
	k = window(table, 9, 0);
	ck_assert_uint_eq(number(result_of(k), "total"), 4); /* what hid it is unfolded */
	uint64_t n;
	ck_assert(wire_as_uint(wire_at(wire_at(rows_of(result_of(k)), 0), 8), 9, &n) && n == 1);
	ck_assert(wire_as_uint(wire_at(wire_at(rows_of(result_of(k)), 2), 1), 9, &n) && n == 2);
	drop(k);
	p = (struct buf){0};
	wire_map(&p, 3);
	wire_put_uint(&p, "table", table);
	wire_put_bin(&p, "path", bytes_of("one"));
	wire_put_bool(&p, "open", false);
	k = call("table.fold", &p);
	ck_assert_uint_eq(number(result_of(k), "rows"), 2);
	drop(k);
	k = await("the folded table", "table.rows", NULL);
	ck_assert_uint_eq(number(result_of(k), "total"), 2);
	drop(k);
	p = (struct buf){0};
	wire_map(&p, 2);
	wire_put_uint(&p, "table", table);
	wire_put_bin(&p, "path", bytes_of("one/two/needle"));
	k = call("table.locate", &p);
	ck_assert_uint_eq(number(result_of(k), "position"), 0); /* the folder that hides it */
	ck_assert(!truth(result_of(k), "exact"));
	drop(k);
	p = (struct buf){0};
	wire_map(&p, 2);
	wire_put_uint(&p, "table", table);
	wire_put_text(&p, "text", "no such name");
	k = call("table.find", &p);
	ck_assert(!truth(result_of(k), "found"));
	drop(k);
}
END_TEST

START_TEST(what_cannot_be_done_is_refused)
{
	begin(NULL);
	struct buf p = {0};
	must_fail("not-found", window(77, 5, 0));
	wire_map(&p, 2);
	wire_put_text(&p, "sort", "name");
	wire_put_bin(&p, "under", bytes_of("no/such/folder"));
	must_fail("not-found", call("table.open", &p));
	p = (struct buf){0};
	wire_map(&p, 1);
	wire_put_text(&p, "sort", "beauty");
	must_fail("bad-request", call("table.open", &p));
	p = (struct buf){0};
	wire_map(&p, 2);
	wire_put_text(&p, "sort", "name");
	wire_put_bin(&p, "under", bytes_of("../etc"));
	must_fail("bad-request", call("table.open", &p));
	uint64_t table = 0;
	for (int i = 0; i < 8; i++)
		table = open_table("name", false, false, "", "");
	must_fail("bad-request", window(table, 501, 0));
	p = (struct buf){0};
	wire_map(&p, 1);
	wire_put_text(&p, "sort", "name");
	must_fail("busy", call("table.open", &p));
	p = (struct buf){0};
	wire_map(&p, 1);
	wire_put_uint(&p, "table", table);
	drop(call("table.close", &p));
	must_fail("not-found", window(table, 5, 0));
	open_table("name", false, false, "", ""); /* there is room again */
	must_fail("not-found", with_path("row", "nothing"));
	must_fail("bad-request", with_path("row", "/etc/passwd"));
	must_fail("not-found", with_path("resync", "nothing"));
	must_fail("bad-request", plain("fetch"));
	drop(plain("status")); /* and it goes on */
}
END_TEST

/* ---- one row, status, peers ------------------------------------------------------------- */

START_TEST(a_row_in_full)
{
	put(dir, "root/file", "content");
	begin(NULL);
	settle();
	drop(events_since(false, 0));
	put(dir, "root/file", "changed");
	settle();
	struct kept *k = with_path("row", "file");
	const msgpack_object *r = result_of(k);
	ck_assert_str_eq(text(r, "path"), "file");
	ck_assert_str_eq(text(r, "state"), "synced");
	ck_assert_str_eq(text(r, "reason"), "");
	ck_assert_uint_eq(wire_count(wire_get(r, "heads")), 1);
	const msgpack_object *head = wire_at(wire_get(r, "heads"), 0);
	ck_assert_uint_eq(number(head, "size"), 7);
	ck_assert_uint_eq(number(head, "kind"), 1);
	ck_assert_str_eq(text(head, "replica"), "alpha");
	ck_assert_uint_eq(wire_count(wire_get(r, "replicas")), 1);
	ck_assert_str_eq(text(wire_at(wire_get(r, "replicas"), 0), "cell"), "=");
	size_t n = wire_count(wire_get(r, "events"));
	ck_assert_uint_ge(n, 1);
	ck_assert_str_eq(text(wire_at(wire_get(r, "events"), n - 1), "event"), "changed");
	drop(k);
}
END_TEST

static const msgpack_object *replica_named(const msgpack_object *status, const char *name)
{
	const msgpack_object *list = wire_get(status, "replicas");
	for (size_t i = 0; i < wire_count(list); i++)
		if (strcmp(text(wire_at(list, i), "name"), name) == 0)
			return wire_at(list, i);
	ck_abort_msg("no replica %s", name);
}

START_TEST(a_peer_that_is_not_there_is_told)
{
	put(dir, "root/file", "content");
	begin("127.0.0.1:1");
	settle(); /* it was tried once; nobody who is connected lacks anything */
	struct kept *k = plain("status");
	const msgpack_object *s = result_of(k);
	ck_assert_uint_eq(number(s, "files"), 1);
	ck_assert(!truth(s, "in_sync"));
	ck_assert_str_eq(text(replica_named(s, "alpha"), "state"), "self");
	const msgpack_object *other = replica_named(s, "127.0.0.1:1");
	ck_assert_ptr_nonnull(strstr(text(other, "error"), "no server listens"));
	ck_assert_uint_ge(number(other, "tries"), 1);
	ck_assert_uint_ge(wire_count(wire_get(s, "notes")), 1);
	drop(k);
	k = plain("peers");
	const msgpack_object *p = wire_at(wire_get(result_of(k), "peers"), 0);
	ck_assert_str_eq(text(p, "address"), "127.0.0.1:1");
	ck_assert_str_eq(text(p, "direction"), "out");
	ck_assert_uint_eq(number(p, "in"), 0);
	drop(k);
	uint64_t table = open_table("name", false, false, "", "");
	k = window(table, 1, 0);
	/* A column for each of status.replicas. */
	ck_assert_str_eq(text_of(wire_at(wire_at(rows_of(result_of(k)), 0), 6)), "=?");
	drop(k);
}
END_TEST

/* ---- settling and the past -------------------------------------------------------------- */

static struct kept *resolve(const char *path, uint64_t stamp, uint64_t version)
{
	struct buf p = {0};
	wire_map(&p, 4);
	wire_put_bin(&p, "path", bytes_of(path));
	wire_put_uint(&p, "stamp", stamp);
	wire_put_text(&p, "keep", "this");
	wire_put_uint(&p, "version", version);
	return call("resolve", &p);
}

static struct kept *trash(const char *replica)
{
	struct buf p = {0};
	wire_map(&p, 2);
	wire_put_uint(&p, "max", 10);
	wire_put_text(&p, "replica", replica);
	return call("trash", &p);
}

static struct kept *restore(const char *id, const char *path, const char *to, const char *replica)
{
	struct buf p = {0};
	wire_map(&p, 1u + (to ? 1 : 0) + (replica ? 1 : 0));
	wire_put_bin(&p, id ? "id" : "path", bytes_of(id ? id : path));
	if (to)
		wire_put_bin(&p, "to", bytes_of(to));
	if (replica)
		wire_put_text(&p, "replica", replica);
	return call("restore", &p);
}

START_TEST(what_cannot_be_settled_or_restored_is_refused)
{
	put(dir, "root/file", "content");
	begin(NULL);
	settle();
	must_fail("not-found", resolve("file", 1, 0));
	must_fail("not-found", resolve("nothing/at/all", 1, 0));
	must_fail("bad-request", resolve("../file", 1, 0));
	must_fail("not-found", plain("undo"));
	must_fail("not-found", with_path("undo", "file"));
	must_fail("bad-request", plain("conflicts"));
	must_fail("bad-request", plain("trash"));
	must_fail("bad-request", plain("restore"));
	must_fail("not-found", trash("nobody"));
	must_fail("not-found", restore(NULL, "file", NULL, NULL));
	must_fail("not-found", restore(NULL, "file", NULL, "nobody"));
	must_fail("not-found", restore("12.000000003-file", NULL, NULL, NULL));
	must_fail("not-found", restore("../../file", NULL, NULL, NULL));
	must_fail("bad-request", restore(NULL, "file", "../file", NULL));
	must_fail("bad-request", restore(NULL, "file", ".tutti/root-id", NULL));
	struct kept *k = trash("*");
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "items")), 0);
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "missing")), 0);
	ck_assert(!truth(result_of(k), "more"));
	drop(k);
	char *content = get(dir, "root/file");
	ck_assert_str_eq(content, "content");
	free(content);
}
END_TEST

static struct kept *history(const char *path, uint64_t before, uint64_t max)
{
	struct buf p = {0};
	wire_map(&p, before ? 3 : 2);
	wire_put_bin(&p, "path", bytes_of(path));
	wire_put_uint(&p, "max", max);
	if (before)
		wire_put_uint(&p, "before", before);
	return call("history", &p);
}

/* The newest first, in pages, of a path and what is below it; what happened just now is there. */
START_TEST(the_history_is_told_in_pages)
{
	begin(NULL);
	settle();
	make_dir(dir, "root/d", 0755);
	settle();
	put(dir, "root/d/file", "content");
	settle();
	put(dir, "root/d/file", "changed!");
	settle();
	char *path = scratch_path(dir, "root/d/file");
	ck_assert_int_eq(unlink(path), 0);
	free(path);
	settle();
	put(dir, "root/dd", "another");
	settle();
	static const char *const events[] = {"deleted", "changed", "created"};
	static const uint64_t sizes[] = {0, 8, 7, 0};
	uint64_t before = 0;
	for (size_t i = 0; i < 3; i++) {
		struct kept *k = history("d/file", before, 1);
		const msgpack_object *r = result_of(k), *line = wire_at(wire_get(r, "lines"), 0);
		ck_assert_uint_eq(wire_count(wire_get(r, "lines")), 1);
		ck_assert(truth(r, "more") == (i < 2));
		ck_assert_str_eq(text(line, "event"), events[i]);
		ck_assert_str_eq(text(line, "path"), "d/file");
		ck_assert_str_eq(text(line, "replica"), "alpha");
		ck_assert_uint_eq(number(line, "new_size"), sizes[i]);
		ck_assert_uint_eq(number(line, "old_size"), sizes[i + 1]);
		ck_assert(wire_is_nil(wire_get(line, "new_hash")) == (i == 0));
		ck_assert(wire_is_nil(wire_get(line, "old_hash")) == (i == 2));
		before = number(line, "n");
		drop(k);
	}
	struct kept *k = history("d", 0, 100);
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "lines")), 4);
	drop(k);
	k = history("", 0, 100);
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "lines")), 5);
	drop(k);
	k = history("dd/nothing", 0, 100);
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "lines")), 0);
	drop(k);
}
END_TEST

/* ---- held deletions ---------------------------------------------------------------------- */

static bool says_how_many(const msgpack_object *status)
{
	return number(status, "held") == 25;
}

static struct kept *held(uint64_t max)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_uint(&p, "max", max);
	return call("held", &p);
}

static struct kept *held_word(uint64_t id, bool delete)
{
	struct buf p = {0};
	wire_map(&p, 2);
	wire_put_uint(&p, "id", id);
	wire_put_bool(&p, "delete", delete);
	return call("held.decide", &p);
}

/* The only set: of 25, with this id. */
static uint64_t the_set(uint64_t max)
{
	struct kept *k = held(max);
	const msgpack_object *sets = wire_get(result_of(k), "sets"), *set = wire_at(sets, 0);
	size_t shown = max < 25 ? (size_t)max : 25;
	ck_assert_uint_eq(wire_count(sets), 1);
	ck_assert_str_eq(text(set, "from"), "alpha");
	ck_assert_uint_eq(number(set, "n"), 25);
	ck_assert_uint_eq(wire_count(wire_get(set, "paths")), shown);
	ck_assert(truth(set, "more") == (shown < 25));
	struct bytes first;
	ck_assert(!shown || (wire_as_bytes(wire_at(wire_get(set, "paths"), 0), &first) &&
			     bytes_eq(first, bytes_of("f000"))));
	uint64_t id = number(set, "id");
	drop(k);
	return id;
}

START_TEST(deletions_are_held_until_a_word)
{
	put_many(30);
	begin(NULL);
	settle();
	drop(events_since(false, 0));
	for (unsigned i = 0; i < 25; i++) {
		char name[32];
		snprintf(name, sizeof(name), "root/f%03u", i);
		char *path = scratch_path(dir, name);
		ck_assert_int_eq(unlink(path), 0);
		free(path);
	}
	drop(await("the count of what is held", "status", says_how_many));
	struct kept *k = wait_sync(1);
	ck_assert(!truth(result_of(k), "in_sync"));
	ck_assert_ptr_nonnull(strstr(text(result_of(k), "reason"), "held: 25 deletions at once"));
	drop(k);
	uint64_t id = the_set(10);
	ck_assert(the_set(500) == id && the_set(0) == id);
	k = with_path("row", "f007");
	ck_assert_str_eq(text(result_of(k), "state"), "held");
	ck_assert_ptr_nonnull(strstr(text(result_of(k), "reason"), "deleted here, and no other replica has it, held"));
	drop(k);
	k = plain("status");
	const msgpack_object *self = wire_at(wire_get(result_of(k), "replicas"), 0);
	ck_assert_uint_eq(number(self, "held"), 25);
	ck_assert_uint_eq(number(self, "problems"), 0);
	drop(k);
	/* Only exactly what was shown; nobody has them any more, so they cannot come back. */
	must_fail("changed", held_word(id + 1, true));
	k = held_word(id, false);
	ck_assert_uint_eq(number(result_of(k), "left"), 25);
	drop(k);
	k = held_word(the_set(0), true);
	ck_assert_uint_eq(number(result_of(k), "left"), 0);
	drop(k);
	settle();
	must_fail("changed", held_word(id, true));
	k = held(10);
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "sets")), 0);
	drop(k);
	k = plain("status");
	ck_assert_uint_eq(number(result_of(k), "held"), 0);
	ck_assert_uint_eq(number(result_of(k), "rows"), 5);
	drop(k);
}
END_TEST

START_TEST(resync_walks_and_answers)
{
	put_many(10);
	begin(NULL);
	settle();
	struct kept *k = with_path("resync", "");
	const msgpack_object *list = wire_get(result_of(k), "replicas");
	ck_assert_uint_eq(wire_count(list), 1);
	ck_assert(truth(wire_at(list, 0), "ok"));
	ck_assert_str_eq(text(wire_at(list, 0), "name"), "alpha");
	ck_assert_uint_eq(number(wire_at(list, 0), "looked"), 10);
	ck_assert_uint_eq(number(wire_at(list, 0), "changed"), 0);
	drop(k);
	k = with_path("resync", "f003");
	drop(k);
}
END_TEST

/* ---- events ----------------------------------------------------------------------------- */

static bool about_new(const msgpack_object *ev)
{
	return strcmp(text(ev, "path"), "new") == 0;
}

START_TEST(events_are_told_and_kept)
{
	begin(NULL);
	settle();
	struct kept *k = events_since(false, 0);
	uint64_t next = number(result_of(k), "next");
	ck_assert(!truth(result_of(k), "gap"));
	ck_assert_uint_eq(wire_count(wire_get(result_of(k), "events")), 0);
	drop(k);
	put(dir, "root/new", "1");
	k = await("the new file", "event", about_new);
	ck_assert_str_eq(text(result_of(k), "event"), "created");
	ck_assert_str_eq(text(result_of(k), "replica"), "alpha");
	uint64_t n = number(result_of(k), "n");
	ck_assert_uint_ge(n, next);
	drop(k);
	drop(await("status", "status", NULL));

	/* Another client that was away gets what it missed. */
	client_free(client);
	put(dir, "root/later", "2");
	connect_client();
	settle();
	k = events_since(true, n + 1);
	ck_assert(!truth(result_of(k), "gap"));
	const msgpack_object *list = wire_get(result_of(k), "events");
	ck_assert_uint_ge(wire_count(list), 1);
	for (size_t i = 0; i < wire_count(list); i++)
		ck_assert_uint_eq(number(wire_at(list, i), "n"), n + 1 + i);
	ck_assert_str_eq(text(wire_at(list, wire_count(list) - 1), "path"), "later");
	drop(k);
	/* What is too old, or of another run, is told as a gap. */
	k = events_since(true, 1);
	ck_assert(truth(result_of(k), "gap"));
	drop(k);
	k = events_since(true, (uint64_t)1 << 60);
	ck_assert(truth(result_of(k), "gap"));
	drop(k);
}
END_TEST

START_TEST(events_of_another_run_are_a_gap)
{
	begin(NULL);
	settle();
	struct kept *k = events_since(false, 0);
	uint64_t next = number(result_of(k), "next");
	drop(k);
	client_free(client);
	stop_server();
	begin(NULL);
	k = events_since(true, next);
	ck_assert(truth(result_of(k), "gap"));
	drop(k);
}
END_TEST

/* ---- limits ----------------------------------------------------------------------------- */

START_TEST(clients_are_counted)
{
	enum { MAX = 64 };
	struct client *others[MAX];
	begin(NULL);
	for (size_t i = 0; i < MAX - 1; i++) {
		others[i] = client_new(loop, address, "test", false, &callbacks, NULL);
		ck_assert_int_eq(client_run_until_up(others[i]), 0);
	}
	struct client *more = client_new(loop, address, "test", false, &callbacks, NULL);
	/* hello comes first, then the refusal */
	bool late = false;
	ev_timer timer;
	ev_timer_init(&timer, on_time_up, DEADLINE_S, 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	while (!down_reason[0] && !late)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
	ck_assert_msg(strstr(down_reason, "too many clients"), "%s", down_reason);
	client_free(more);
	drop(plain("status"));
	for (size_t i = 0; i < MAX - 1; i++)
		client_free(others[i]);
	drop(plain("status"));
}
END_TEST

START_TEST(the_socket_is_ours_alone)
{
	begin(NULL);
	ck_assert_uint_eq(stat_of(dir, "socket").st_mode & 0777, 0600);
	ck_assert_uint_eq(stat_of(dir, "state").st_mode & 0777, 0700);
}
END_TEST

/* Answers that nobody takes cost the server little: it reads no more requests until they are taken. */
START_TEST(who_asks_without_end_waits_for_the_answers)
{
	enum { BATCH = 64, ENOUGH = 4000, STALLED_MS = 1000 };
	put_many(300);
	begin(NULL);
	settle();
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", address);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "hello");
	wire_map(&b, 3);
	wire_put_uint(&b, "proto", 1);
	wire_put_text(&b, "role", "client");
	wire_put_text(&b, "name", "greedy");
	wire_finish(&b, mark);
	mark = wire_begin_request(&b, 0, "table.open");
	wire_map(&b, 1);
	wire_put_text(&b, "sort", "name");
	wire_finish(&b, mark);
	size_t asked = 1, n = 0;
	bool stalled = false;
	while (asked < ENOUGH && !stalled) {
		for (size_t i = 0; i < BATCH; i++, asked++) {
			mark = wire_begin_request(&b, (uint32_t)asked, "table.window");
			wire_map(&b, 3);
			wire_put_uint(&b, "table", 1);
			wire_put_uint(&b, "first", 0);
			wire_put_uint(&b, "rows", 300);
			wire_finish(&b, mark);
		}
		for (size_t done = 0; done < b.len && !stalled;) {
			struct pollfd f = {.fd = fd, .events = POLLOUT};
			stalled = poll(&f, 1, STALLED_MS) == 0;
			ck_assert_int_eq(f.revents & (POLLERR | POLLHUP), 0);
			ssize_t w = stalled ? 0 : write(fd, b.data + done, b.len - done);
			ck_assert(w >= 0 || errno == EAGAIN);
			done += w > 0 ? (size_t)w : 0;
			n += w > 0 ? (size_t)w : 0;
		}
		buf_clear(&b);
	}
	buf_release(&b);
	/* Requests wait in the socket, not in the server, which goes on with others. */
	ck_assert(stalled);
	drop(plain("status"));
	/* And whoever takes the answers gets all that were asked for in time. */
	static uint8_t bytes[1 << 16];
	size_t got = 0;
	struct pollfd f = {.fd = fd, .events = POLLIN};
	while (poll(&f, 1, STALLED_MS) > 0) {
		ssize_t r = read(fd, bytes, sizeof(bytes));
		ck_assert_int_gt(r, 0);
		got += (size_t)r;
	}
	size_t answers = (asked - BATCH) * 300 * 30; /* at least so long */
	ck_assert_msg(got > answers, "%zu bytes of answers to %zu requests (%zu bytes)", got, asked, n);
	close(fd);
}
END_TEST

START_TEST(a_wait_that_is_left_does_no_harm)
{
	put_many(50);
	begin(NULL);
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_uint(&p, "timeout", 0);
	ck_assert(client_call(client, "wait", &p, NULL, NULL));
	buf_release(&p);
	wire_map(&p, 1);
	wire_put_bin(&p, "path", bytes_of(""));
	ck_assert(client_call(client, "resync", &p, NULL, NULL));
	buf_release(&p);
	client_free(client);
	connect_client();
	settle();
}
END_TEST

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	Suite *s = suite_new("session");
	TCase *t = suite_case(s, "session", set_up, tear_down);
	tcase_add_test(t, rows_say_everything);
	tcase_add_test(t, windows_stay_with_their_row);
	tcase_add_test(t, rows_are_told_at_most_so_often);
	tcase_add_test(t, trees_are_unfolded_and_searched);
	tcase_add_test(t, what_cannot_be_done_is_refused);
	tcase_add_test(t, a_row_in_full);
	tcase_add_test(t, a_peer_that_is_not_there_is_told);
	tcase_add_test(t, what_cannot_be_settled_or_restored_is_refused);
	tcase_add_test(t, the_history_is_told_in_pages);
	tcase_add_test(t, deletions_are_held_until_a_word);
	tcase_add_test(t, resync_walks_and_answers);
	tcase_add_test(t, events_are_told_and_kept);
	tcase_add_test(t, events_of_another_run_are_a_gap);
	tcase_add_test(t, clients_are_counted);
	tcase_add_test(t, the_socket_is_ours_alone);
	tcase_add_test(t, who_asks_without_end_waits_for_the_answers);
	tcase_add_test(t, a_wait_that_is_left_does_no_harm);
	return suite_run(s);
}
