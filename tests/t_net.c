/* Tests of what a server does with peers that are hostile, mistaken or twice there: a real tuttid,
 * and a peer made of bytes. */
#include "config.h"
#include "client.h"
#include "digest.h"
#include "message.h"
#include "scratch.h"
#include "served.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 20000 };

static char *dir, *root, *state, *address;
static pid_t server;
static uint16_t port;
static uint8_t server_id[16];

/* ---- a client that looks how things are ------------------------------------------------- */

struct sight {
	char code[32];
	bool in_sync;
	uint64_t files, connected;
	char names[256];
	char id[33];
};

static void on_wait(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct sight *l = ctx;
	if (error)
		snprintf(l->code, sizeof(l->code), "%s", error->code);
	else
		wire_get_bool(result, "in_sync", &l->in_sync);
}

static void on_status(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct sight *l = ctx;
	if (error)
		snprintf(l->code, sizeof(l->code), "%s", error->code);
	struct bytes id = {0};
	if (!error && wire_get_uint(result, "files", UINT64_MAX, &l->files) &&
	    wire_get_str(result, "id", &id))
		snprintf(l->id, sizeof(l->id), "%.*s", (int)id.len, (const char *)id.p);
}

static void on_peers(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct sight *l = ctx;
	const msgpack_object *list = error ? NULL : wire_get(result, "peers");
	for (size_t i = 0; i < wire_count(list); i++) {
		struct bytes state_text, name;
		wire_get_str(wire_at(list, i), "state", &state_text);
		wire_get_str(wire_at(list, i), "name", &name);
		l->connected += bytes_eq(state_text, bytes_of("connected"));
	}
}

static struct sight look_at_it(bool wait)
{
	struct sight l = {.code = ""};
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct client *c =
		client_new(loop, address, "test", false, &(struct client_callbacks){0}, NULL);
	ck_assert_int_eq(client_run_until_up(c), 0);
	struct buf p = {0};
	if (wait) {
		wire_map(&p, 1);
		wire_put_uint(&p, "timeout", DEADLINE_MS);
		client_run(c, "wait", &p, on_wait, &l);
	}
	client_run(c, "status", &p, on_status, &l);
	client_run(c, "peers", &p, on_peers, &l);
	buf_release(&p);
	client_free(c);
	ev_loop_destroy(loop);
	ck_assert_str_eq(l.code, "");
	return l;
}

static void set_up(void)
{
	dir = scratch_new();
	make_dir(dir, "root", 0755);
	put(dir, "root/file", "content of the file");
	root = scratch_path(dir, "root");
	state = scratch_path(dir, "state");
	address = scratch_path(dir, "socket");
	server = served_start((const char *[]){"-n", "alpha", "--plain", "-s", state, "--socket", address,
					       "--log-level", "error", root, NULL}, &port);
	struct sight sight = look_at_it(false);
	for (size_t i = 0; i < 16; i++) {
		unsigned byte;
		ck_assert_int_eq(sscanf(sight.id + 2 * i, "%2x", &byte), 1);
		server_id[i] = (uint8_t)byte;
	}
}

static void tear_down(void)
{
	ck_assert_uint_ge(look_at_it(false).files, 0); /* it still answers */
	served_stop(server);
	free(root);
	free(state);
	free(address);
	scratch_remove(dir);
}

/* ---- a peer made of bytes --------------------------------------------------------------- */

struct wire_peer {
	int fd;
	struct buf in;
	struct wire_frame frame;
	size_t used; /* of `in`, by the frame that is decoded */
};

static void dial(struct wire_peer *p)
{
	*p = (struct wire_peer){.fd = socket(AF_INET, SOCK_STREAM, 0)};
	wire_frame_init(&p->frame);
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	ck_assert_int_eq(connect(p->fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void hang_up(struct wire_peer *p)
{
	close(p->fd);
	wire_frame_release(&p->frame);
	buf_release(&p->in);
}

/* The other side may have closed already. */
static void say(struct wire_peer *p, struct buf *b)
{
	size_t at = 0;
	while (at < b->len) {
		ssize_t n = send(p->fd, b->data + at, b->len - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	buf_release(b);
}

/* The next frame, or NULL at the end. */
static const struct wire_frame *hear(struct wire_peer *p)
{
	buf_drop_front(&p->in, p->used);
	p->used = 0;
	while (p->in.len < WIRE_HEADER_SIZE ||
	       p->in.len < WIRE_HEADER_SIZE + (size_t)wire_header_length(p->in.data)) {
		struct pollfd f = {.fd = p->fd, .events = POLLIN};
		ck_assert_msg(poll(&f, 1, DEADLINE_MS) == 1, "waited in vain for a frame");
		uint8_t *to = buf_reserve(&p->in, 65536);
		ssize_t n = recv(p->fd, to, 65536, 0);
		if (n <= 0)
			return NULL;
		p->in.len += (size_t)n;
	}
	uint32_t len = wire_header_length(p->in.data);
	const char *bad =
		wire_decode(&p->frame, (struct bytes){p->in.data + WIRE_HEADER_SIZE, len});
	ck_assert_msg(!bad, "the server says nonsense: %s", bad);
	p->used = WIRE_HEADER_SIZE + len;
	return &p->frame;
}

static bool is(const struct wire_frame *f, const char *method)
{
	return f && f->kind == WIRE_NOTIFICATION && bytes_eq(f->method, bytes_of(method));
}

/* The server ends it, and says why. */
static void must_part(struct wire_peer *p, const char *code)
{
	struct bytes got = {0}, text;
	bool said = false;
	const struct wire_frame *f;
	while ((f = hear(p))) {
		if (!is(f, "bye"))
			continue;
		message_error_parts(f->params, &got, &text);
		said = true;
		ck_assert_msg(bytes_eq(got, bytes_of(code)), "bye %.*s: %.*s", (int)got.len,
			      (const char *)got.p, (int)text.len, (const char *)text.p);
	}
	ck_assert_msg(said, "the server ended it without a word");
	hang_up(p);
}

static const struct wire_frame *await(struct wire_peer *p, const char *method)
{
	const struct wire_frame *f;
	while ((f = hear(p)))
		if (is(f, method))
			return f;
	ck_abort_msg("the connection ended before %s", method);
}

static const struct wire_frame *await_answer(struct wire_peer *p, uint32_t id)
{
	const struct wire_frame *f;
	while ((f = hear(p)))
		if (f->kind == WIRE_RESPONSE) {
			ck_assert_uint_eq(f->id, id);
			return f;
		}
	ck_abort_msg("the connection ended before the answer");
}

static void hello_from(struct wire_peer *p, uint8_t first, uint64_t version)
{
	uint8_t id[16];
	memset(id, first, sizeof(id));
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "hello");
	wire_map(&b, 6);
	wire_put_uint(&b, "proto", version);
	wire_put_text(&b, "role", "peer");
	wire_put_text(&b, "name", "odd");
	wire_put_fixed(&b, "id", first ? id : server_id, 16);
	wire_put_uint(&b, "seq", 0);
	wire_put_text(&b, "unheard of", "is skipped");
	wire_finish(&b, mark);
	say(p, &b);
}

/* Until the server has taken us for a peer: it says what it has. */
static void greet(struct wire_peer *p, uint8_t id)
{
	dial(p);
	hello_from(p, id, 1);
	await(p, "sync");
}

static void notification(struct wire_peer *p, const char *method, const struct buf *map)
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, method);
	buf_add(&b, map->data, map->len);
	wire_finish(&b, mark);
	say(p, &b);
}

static void say_nothing_seen(struct wire_peer *p)
{
	struct buf map = {0};
	wire_map(&map, 1);
	wire_key(&map, "seen");
	wire_array(&map, 0);
	notification(p, "sync", &map);
	buf_release(&map);
}

/* One entry: a file made by the replica `maker` (0: the server itself). */
struct odd_entry {
	const char *path;
	uint8_t maker;
	uint64_t counter, context, seq, size, kind, hash_size, mode;
	const char *data;
	const uint8_t *hash; /* else that of the data */
};

static void index_of(struct wire_peer *p, const struct odd_entry *e)
{
	uint8_t id[16], hash[32] = {0};
	struct buf map = {0};
	memset(id, e->maker, sizeof(id));
	if (e->hash)
		memcpy(hash, e->hash, sizeof(hash));
	else if (e->data)
		digest_once(e->data, strlen(e->data), hash);
	wire_map(&map, 4);
	wire_key(&map, "ids");
	wire_array(&map, 1);
	wire_fixed(&map, e->maker ? id : server_id, 16);
	wire_put_uint(&map, "to", e->seq);
	wire_put_bool(&map, "more", false);
	wire_key(&map, "e");
	wire_array(&map, 1);
	wire_array(&map, 7);
	wire_bin(&map, bytes_of(e->path));
	wire_uint(&map, e->seq);
	wire_array(&map, 1); /* heads */
	wire_array(&map, 8);
	wire_uint(&map, e->kind);
	wire_uint(&map, e->size);
	wire_int(&map, 1000000000);
	wire_fixed(&map, hash, e->hash_size);
	wire_nil(&map);
	wire_uint(&map, 0);
	wire_uint(&map, e->counter);
	wire_uint(&map, 1000000000);
	wire_array(&map, 1); /* context */
	wire_array(&map, 2);
	wire_uint(&map, 0);
	wire_uint(&map, e->context);
	wire_array(&map, 4); /* mode */
	wire_uint(&map, e->mode);
	wire_uint(&map, 1);
	wire_uint(&map, 0);
	wire_uint(&map, e->counter);
	wire_nil(&map); /* gone */
	if (e->data)
		wire_bin(&map, bytes_of(e->data));
	else
		wire_nil(&map);
	notification(p, "index", &map);
	buf_release(&map);
}

static const struct odd_entry good = {
	.path = "sent",
	.maker = 9,
	.counter = 1,
	.context = 1,
	.seq = 1,
	.size = 5,
	.data = "hello",
	.kind = 1,
	.hash_size = 32,
	.mode = 0644,
};

/* ---- greeting --------------------------------------------------------------------------- */

START_TEST(a_good_peer_is_taken)
{
	struct wire_peer p;
	greet(&p, 9);
	say_nothing_seen(&p);
	index_of(&p, &good);
	await(&p, "ack");
	char *content = NULL;
	for (int ms = 0; ms < DEADLINE_MS && !content; ms += 10) {
		content = get(dir, "root/sent");
		if (!content)
			poll(NULL, 0, 10);
	}
	ck_assert_ptr_nonnull(content);
	ck_assert_str_eq(content, "hello");
	free(content);
	ck_assert_uint_eq(look_at_it(false).connected, 1);
	hang_up(&p);
}
END_TEST

START_TEST(hello_may_come_byte_by_byte)
{
	struct wire_peer p;
	struct buf b = {0}, map = {0};
	dial(&p);
	uint8_t id[16] = {7};
	size_t mark = wire_begin_notification(&b, "hello");
	wire_map(&b, 5);
	wire_put_uint(&b, "proto", 1);
	wire_put_text(&b, "role", "peer");
	wire_put_text(&b, "name", "slow");
	wire_put_fixed(&b, "id", id, 16);
	wire_put_uint(&b, "seq", 0);
	wire_finish(&b, mark);
	for (size_t i = 0; i < b.len; i++)
		ck_assert_int_eq(send(p.fd, b.data + i, 1, MSG_NOSIGNAL), 1);
	await(&p, "sync");
	buf_release(&b);
	buf_release(&map);
	hang_up(&p);
}
END_TEST

START_TEST(wrong_greetings_are_told)
{
	struct wire_peer p;
	dial(&p);
	hello_from(&p, 9, 2);
	must_part(&p, "version");
	dial(&p);
	hello_from(&p, 0, 1);
	must_part(&p, "self");
	dial(&p);
	say_nothing_seen(&p);
	must_part(&p, "protocol");
	greet(&p, 9);
	hello_from(&p, 9, 1); /* a second time */
	must_part(&p, "protocol");
}
END_TEST

/* The replica dials twice, e.g. since its first connection died without a word: the later one is
 * taken. */
START_TEST(the_later_of_two_is_taken)
{
	struct wire_peer first, second;
	greet(&first, 9);
	greet(&second, 9);
	must_part(&first, "duplicate");
	say_nothing_seen(&second);
	index_of(&second, &good);
	await(&second, "ack");
	ck_assert_uint_eq(look_at_it(false).connected, 1);
	hang_up(&second);
}
END_TEST

START_TEST(strangers_keep_nobody_out)
{
	enum { N = 80 };
	int fds[N];
	for (int i = 0; i < N; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&at, sizeof(at)), 0);
	}
	look_at_it(false); /* the local socket is open */
	for (int i = 0; i < N; i++)
		close(fds[i]);
	struct wire_peer p;
	greet(&p, 9);
	hang_up(&p);
}
END_TEST

/* ---- what a peer says ------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct odd_entry, name)

/* How a good entry is spoilt. */
static const struct {
	const char *what;
	const char *path;
	size_t field; /* of struct odd_entry; 0: the path */
	uint64_t value;
} odd_entries[] = {
	{.what = "a way up", .path = "../outside"},
	{.what = "a way up inside", .path = "a/../../outside"},
	{.what = "an absolute path", .path = "/tmp/outside"},
	{.what = "no path", .path = ""},
	{.what = "an empty component", .path = "a//b"},
	{.what = "a dot", .path = "./a"},
	{.what = "our own folder", .path = ".tutti/root-id"},
	{.what = "our own folder in capitals", .path = ".TUTTI/x"},
	{.what = "our own folder in disguise", .path = ".tu\xe2\x80\x8btti/x"},
	{.what = "a hash of another length", .field = FIELD(hash_size), .value = 31},
	{.what = "no such kind", .field = FIELD(kind), .value = 7},
	{.what = "a head outside of its context", .field = FIELD(counter), .value = 5},
	{.what = "a counter of zero", .field = FIELD(counter), .value = 0},
	{.what = "special bits", .field = FIELD(mode), .value = 04755},
	{.what = "data of another size", .field = FIELD(size), .value = 6},
	{.what = "a number beyond all", .field = FIELD(seq), .value = 1ull << 63},
};

START_TEST(odd_entries_end_the_connection)
{
	struct wire_peer p;
	greet(&p, 9);
	say_nothing_seen(&p);
	struct odd_entry e = good;
	if (odd_entries[_i].path)
		e.path = odd_entries[_i].path;
	else
		memcpy((char *)&e + odd_entries[_i].field, &odd_entries[_i].value,
		       sizeof(uint64_t));
	index_of(&p, &e);
	must_part(&p, "protocol");
	ck_assert_msg(count_in(dir, "root") == 2, "%s", odd_entries[_i].what); /* file, .tutti */
	ck_assert(!there(dir, "outside"));
}
END_TEST

/* Content that is not what its hash says is not shown. */
START_TEST(wrong_content_is_not_shown)
{
	struct wire_peer p;
	struct odd_entry e = good;
	uint8_t hash[32] = {1, 2, 3};
	e.path = "new";
	e.hash = hash;
	greet(&p, 9);
	say_nothing_seen(&p);
	index_of(&p, &e);
	/* It asks for the content itself then, and gets the wrong one again, or none. */
	const struct wire_frame *f;
	int asked = 0;
	while (asked < 2 && (f = hear(&p))) {
		if (f->kind != WIRE_REQUEST || !bytes_eq(f->method, bytes_of("fetch")))
			continue;
		struct buf b = {0};
		uint32_t request = f->id;
		size_t mark = wire_begin_response(&b, request);
		wire_map(&b, 1);
		wire_put_bin(&b, "data", bytes_of("wrong"));
		wire_finish(&b, mark);
		say(&p, &b);
		asked++;
	}
	ck_assert(!there(dir, "root/new"));
	hang_up(&p);
}
END_TEST

/* ---- large contents --------------------------------------------------------------------- */

enum { PART = 256 * 1024, LARGE = 41 * PART + 1234 };

struct progress {
	uint64_t n, active, done, size;
};

static void on_progress(void *ctx, const char *method, const msgpack_object *params)
{
	struct progress *g = ctx;
	if (strcmp(method, "progress") != 0)
		return;
	g->n++;
	wire_get_uint(params, "active", UINT64_MAX, &g->active);
	wire_get_uint(params, "done", UINT64_MAX, &g->done);
	wire_get_uint(params, "size", UINT64_MAX, &g->size);
}

static void ignore_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	(void)ctx, (void)result;
	ck_assert_ptr_null(error);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)w, (void)events;
	ck_abort_msg("waited in vain for progress");
}

/* Parts are asked for in order, some ahead, until all is there; people see how far it is. */
START_TEST(a_large_content_comes_in_parts)
{
	struct wire_peer p;
	struct odd_entry e = good;
	uint8_t hash[32], *content = xmalloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		content[i] = (uint8_t)(i * 7 + i / 1000);
	digest_once(content, LARGE, hash);
	e.path = "large";
	e.hash = hash;
	e.data = NULL;
	e.size = LARGE;

	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct progress progress = {0};
	struct client *c = client_new(loop, address, "test", false,
				      &(struct client_callbacks){.notify = on_progress}, &progress);
	struct buf b = {0};
	ck_assert_int_eq(client_run_until_up(c), 0);
	ck_assert_int_eq(client_run(c, "events", &b, ignore_answer, NULL), 0);

	greet(&p, 9);
	say_nothing_seen(&p);
	index_of(&p, &e);
	uint64_t at = 0, ahead = 0;
	uint32_t first_id = 0;
	ev_timer late;
	ev_timer_init(&late, on_late, DEADLINE_MS / 1000., 0.);
	while (at < LARGE) {
		/* Nothing is answered until it has asked as far ahead as it does. */
		uint64_t left = (LARGE - at + PART - 1) / PART;
		while (ahead < 16 && ahead < left) {
			const struct wire_frame *f = hear(&p);
			ck_assert_ptr_nonnull(f);
			if (f->kind != WIRE_REQUEST)
				continue;
			uint64_t off, len;
			wire_get_uint(f->params, "off", UINT64_MAX, &off);
			wire_get_uint(f->params, "len", UINT64_MAX, &len);
			ck_assert_uint_eq(off, at + ahead * PART);
			ck_assert_uint_eq(len, LARGE - off < PART ? LARGE - off : PART);
			if (at == 0 && ahead == 0)
				first_id = f->id;
			ahead++;
		}
		uint64_t len = LARGE - at < PART ? LARGE - at : PART;
		size_t mark = wire_begin_response(&b, first_id + (uint32_t)(at / PART));
		wire_map(&b, 1);
		wire_put_bin(&b, "data", (struct bytes){content + at, len});
		wire_finish(&b, mark);
		say(&p, &b);
		at += len;
		ahead--;
		if (at == 20 * PART) { /* half of it: seen by people */
			ev_timer_start(loop, &late);
			while (progress.done != at || progress.active != 1)
				ev_run(loop, EVRUN_ONCE);
			ck_assert_uint_eq(progress.size, LARGE);
			ev_timer_stop(loop, &late);
		}
	}
	ev_timer_init(&late, on_late, DEADLINE_MS / 1000., 0.);
	ev_timer_start(loop, &late);
	while (progress.active)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &late);
	client_free(c);
	buf_release(&b);
	ev_loop_destroy(loop);
	for (int ms = 0; ms < DEADLINE_MS && !there(dir, "root/large"); ms += 10)
		poll(NULL, 0, 10);
	ck_assert_int_eq(stat_of(dir, "root/large").st_size, LARGE);
	char *path = scratch_path(dir, "root/large");
	FILE *file = fopen(path, "rb");
	uint8_t *got = xmalloc(LARGE);
	ck_assert_uint_eq(fread(got, 1, LARGE, file), LARGE);
	ck_assert(memcmp(got, content, LARGE) == 0);
	fclose(file);
	free(path);
	free(got);
	free(content);
	hang_up(&p);
}
END_TEST

/* The peer goes in the middle: nothing of it is shown, nothing is left of it. */
START_TEST(a_content_cut_short_leaves_nothing)
{
	struct wire_peer p;
	struct odd_entry e = good;
	uint8_t hash[32] = {5}, part[1000] = {0};
	e.path = "large";
	e.hash = hash;
	e.data = NULL;
	e.size = LARGE;
	greet(&p, 9);
	say_nothing_seen(&p);
	index_of(&p, &e);
	const struct wire_frame *f;
	do
		f = hear(&p);
	while (f && f->kind != WIRE_REQUEST);
	ck_assert_ptr_nonnull(f);
	struct buf b = {0};
	size_t mark = wire_begin_response(&b, f->id); /* less than was asked for */
	wire_map(&b, 1);
	wire_put_bin(&b, "data", (struct bytes){part, sizeof(part)});
	wire_finish(&b, mark);
	say(&p, &b);
	hang_up(&p);
	for (int ms = 0; ms < DEADLINE_MS && count_in(dir, "root/.tutti/tmp"); ms += 10)
		poll(NULL, 0, 10);
	ck_assert_uint_eq(count_in(dir, "root/.tutti/tmp"), 0);
	ck_assert(!there(dir, "root/large"));
}
END_TEST

static void fetch(struct buf *b, uint32_t id, const char *path, const uint8_t *hash, uint64_t off,
		  uint64_t len)
{
	size_t mark = wire_begin_request(b, id, "fetch");
	wire_map(b, 4);
	wire_put_bin(b, "path", bytes_of(path));
	wire_put_fixed(b, "hash", hash, 32);
	wire_put_uint(b, "off", off);
	wire_put_uint(b, "len", len);
	wire_finish(b, mark);
}

START_TEST(only_announced_contents_are_served)
{
	struct wire_peer p;
	struct buf b = {0};
	struct bytes data, code, text;
	uint8_t hash[32], secret[32];
	ck_assert(look_at_it(true).in_sync); /* the file is known */
	digest_once("content of the file", 19, hash);
	put(dir, "secret", "outside");
	digest_once("outside", 7, secret);
	greet(&p, 9);
	/* By its hash, wherever it is; whole, and a part; in the order of the requests. */
	fetch(&b, 1, "another/name", hash, 0, 19);
	fetch(&b, 2, "file", hash, 11, 3);
	fetch(&b, 3, "file", secret, 0, 7);
	fetch(&b, 4, "file", hash, 100, 5);
	say(&p, &b);
	const struct wire_frame *f = await_answer(&p, 1);
	ck_assert(wire_get_bin(f->result, "data", &data));
	ck_assert(bytes_eq(data, bytes_of("content of the file")));
	f = await_answer(&p, 2);
	ck_assert(wire_get_bin(f->result, "data", &data) && bytes_eq(data, bytes_of("the")));
	f = await_answer(&p, 3);
	message_error_parts(f->error, &code, &text);
	ck_assert(bytes_eq(code, bytes_of("not-found")));
	f = await_answer(&p, 4);
	ck_assert(wire_get_bin(f->result, "data", &data) && data.len == 0);
	/* Changed since it was announced: never other bytes. */
	fetch(&b, 5, "file", hash, 0, 1024 * 1024);
	say(&p, &b);
	f = await_answer(&p, 5);
	message_error_parts(f->error, &code, &text);
	ck_assert(bytes_eq(code, bytes_of("bad-request"))); /* more than a request may ask for */
	hang_up(&p);
}
END_TEST

START_TEST(too_many_fetches_end_the_connection)
{
	struct wire_peer p;
	struct buf b = {0};
	uint8_t hash[32];
	ck_assert(look_at_it(true).in_sync);
	digest_once("content of the file", 19, hash);
	greet(&p, 9);
	for (uint32_t i = 0; i < 2000; i++)
		fetch(&b, i, "file", hash, 0, 19);
	say(&p, &b);
	must_part(&p, "protocol");
}
END_TEST

START_TEST(answers_to_nothing_end_the_connection)
{
	struct wire_peer p;
	struct buf b = {0};
	greet(&p, 9);
	size_t mark = wire_begin_response(&b, 4711);
	wire_map(&b, 1);
	wire_put_bin(&b, "data", bytes_of("x"));
	wire_finish(&b, mark);
	say(&p, &b);
	must_part(&p, "protocol");
}
END_TEST

START_TEST(what_only_clients_may_is_refused)
{
	struct wire_peer p;
	struct buf b = {0};
	struct bytes code, text;
	greet(&p, 9);
	size_t mark = wire_begin_request(&b, 1, "status");
	wire_map(&b, 0);
	wire_finish(&b, mark);
	say(&p, &b);
	const struct wire_frame *f = await_answer(&p, 1);
	message_error_parts(f->error, &code, &text);
	ck_assert(bytes_eq(code, bytes_of("bad-request")));
	hang_up(&p);
}
END_TEST

/* Frames of a good session, with a few bits turned: whatever comes of it, the server stays. */
START_TEST(turned_bits_do_no_harm)
{
	srandom((unsigned)_i + 1);
	for (int round = 0; round < 40; round++) {
		struct wire_peer p;
		greet(&p, 9);
		say_nothing_seen(&p);
		int pair[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		struct wire_peer to = {.fd = pair[0]};
		struct odd_entry e = good;
		e.seq = e.counter = e.context = (uint64_t)round + 1;
		index_of(&to, &e); /* the bytes of a good frame */
		uint8_t bytes[4096];
		ssize_t n = recv(pair[1], bytes, sizeof(bytes), 0);
		ck_assert_int_gt(n, 8);
		close(pair[0]);
		close(pair[1]);
		for (int turned = 0; turned < 3; turned++)
			bytes[4 + random() % (n - 4)] ^= (uint8_t)(1u << random() % 8);
		struct buf b = {0};
		buf_add(&b, bytes, (size_t)n);
		say(&p, &b);
		shutdown(p.fd, SHUT_WR);
		while (hear(&p))
			;
		hang_up(&p);
	}
}
END_TEST

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	Suite *s = suite_new("net");
	TCase *t = suite_case(s, "net", set_up, tear_down);
	tcase_add_test(t, a_good_peer_is_taken);
	tcase_add_test(t, hello_may_come_byte_by_byte);
	tcase_add_test(t, wrong_greetings_are_told);
	tcase_add_test(t, the_later_of_two_is_taken);
	tcase_add_test(t, strangers_keep_nobody_out);
	tcase_add_loop_test(t, odd_entries_end_the_connection, 0, (int)ARRAY_LEN(odd_entries));
	tcase_add_test(t, wrong_content_is_not_shown);
	tcase_add_test(t, a_large_content_comes_in_parts);
	tcase_add_test(t, a_content_cut_short_leaves_nothing);
	tcase_add_test(t, only_announced_contents_are_served);
	tcase_add_test(t, too_many_fetches_end_the_connection);
	tcase_add_test(t, answers_to_nothing_end_the_connection);
	tcase_add_test(t, what_only_clients_may_is_refused);
	tcase_add_loop_test(t, turned_bits_do_no_harm, 0, 4);
	return suite_run(s);
}
