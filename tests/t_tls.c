/* Tests of tls, in memory, and of secure over socket pairs: who gets through, and what others see. */
#include "config.h"
#include "conn.h"
#include "message.h"
#include "secure.h"
#include "suite.h"

#include <errno.h>
#include <ev.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct identity *alice, *bob, *eve;
static struct tls_context *at_alice, *at_bob, *at_eve;
static struct tls *a, *b; /* a dials b */

static void setup(void)
{
	alice = identity_new();
	bob = identity_new();
	eve = identity_new();
	at_alice = tls_context_new(alice);
	at_bob = tls_context_new(bob);
	at_eve = tls_context_new(eve);
}

static void teardown(void)
{
	tls_free(a);
	tls_free(b);
	a = b = NULL;
	tls_context_free(at_alice);
	tls_context_free(at_bob);
	tls_context_free(at_eve);
	identity_free(alice);
	identity_free(bob);
	identity_free(eve);
}

/* ---- in memory -------------------------------------------------------------------------- */

/* Moves up to `most` bytes that `from` has out; how many. */
static size_t move(struct tls *from, struct tls *to, size_t most)
{
	struct buf *out = tls_out(from);
	size_t done = 0, room;
	while (done < out->len && done < most) {
		uint8_t *p = tls_room(to, &room);
		size_t n = out->len - done < most - done ? out->len - done : most - done;
		if (n > room)
			n = room;
		if (!n)
			break;
		memcpy(p, out->data + done, n);
		tls_put(to, n);
		done += n;
		tls_read(to, NULL, 0);
	}
	buf_drop_front(out, done);
	return done;
}

/* Both talk until nobody has anything to say. `step`: bytes at a time. */
static void talk(size_t step)
{
	tls_read(a, NULL, 0);
	while (move(a, b, step) + move(b, a, step))
		;
}

static void meet(struct tls_context *dialer, struct tls_context *taker,
		 const struct identity *expected, size_t step)
{
	tls_free(a);
	tls_free(b);
	a = tls_new(dialer, true, expected ? identity_id(expected) : NULL);
	b = tls_new(taker, false, NULL);
	talk(step);
}

static void say(struct tls *from, struct tls *to, const char *words)
{
	char got[256];
	ck_assert_int_eq(tls_write(from, words, strlen(words)), (int)strlen(words));
	while (move(from, to, SIZE_MAX))
		;
	ssize_t n = tls_read(to, got, sizeof(got));
	ck_assert_int_eq(n, (int)strlen(words));
	ck_assert(memcmp(got, words, (size_t)n) == 0);
	ck_assert_int_eq(tls_read(to, got, sizeof(got)), -EAGAIN);
}

START_TEST(a_pair_meets_and_knows_each_other)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7, 100};
	meet(at_alice, at_bob, bob, steps[_i]);
	ck_assert(tls_ready(a) && tls_ready(b));
	ck_assert(key_id_eq(tls_peer(a), identity_id(bob)));
	ck_assert(key_id_eq(tls_peer(b), identity_id(alice)));
	say(a, b, "hello");
	say(b, a, "good day");
	say(b, a, "how are you?");
	/* An orderly end, each way. */
	tls_end(a);
	while (move(a, b, SIZE_MAX))
		;
	char c;
	ck_assert_int_eq(tls_read(b, &c, 1), 0);
	say(b, a, "one more thing");
	tls_end(b);
	while (move(b, a, SIZE_MAX))
		;
	ck_assert_int_eq(tls_read(a, &c, 1), 0);
	ck_assert_str_eq(tls_problem(a), "");
}
END_TEST

START_TEST(another_key_than_expected_ends_it)
{
	char id[KEY_ID_TEXT + 1], c;
	meet(at_alice, at_eve, bob, SIZE_MAX);
	key_id_write(id, identity_id(eve));
	ck_assert(!tls_ready(a) && !tls_ready(b));
	ck_assert_int_eq(tls_read(a, &c, 1), -EPROTO);
	ck_assert_ptr_nonnull(strstr(tls_problem(a), id));
	ck_assert_int_eq(tls_write(a, "x", 1), -EPROTO);
	ck_assert_int_eq(tls_read(b, &c, 1), -EPROTO);
	ck_assert_str_eq(tls_problem(b), "the other side expected another key than ours");
}
END_TEST

START_TEST(nothing_is_read_or_written_before_the_keys_are_proven)
{
	char c;
	a = tls_new(at_alice, true, identity_id(bob));
	b = tls_new(at_bob, false, NULL);
	ck_assert_int_eq(tls_write(a, "x", 1), -EAGAIN);
	ck_assert_int_eq(tls_write(b, "x", 1), -EAGAIN);
	ck_assert_int_eq(tls_read(a, &c, 1), -EAGAIN);
	ck_assert_int_eq(tls_read(b, &c, 1), -EAGAIN);
	ck_assert_ptr_null(tls_peer(b));
	ck_assert_uint_eq(tls_out(b)->len, 0);
}
END_TEST

START_TEST(bytes_that_were_changed_are_noticed)
{
	char c;
	size_t whole, noticed = 0;
	meet(at_alice, at_bob, bob, SIZE_MAX);
	ck_assert_int_eq(tls_write(a, "money: 100", 10), 10);
	whole = tls_out(a)->len;
	for (size_t i = 0; i < whole; i += 3) {
		meet(at_alice, at_bob, bob, SIZE_MAX);
		tls_write(a, "money: 100", 10);
		tls_out(a)->data[i] ^= 1;
		move(a, b, SIZE_MAX);
		/* A longer record waits for its end, any other is refused. */
		ssize_t r = tls_read(b, &c, 1);
		ck_assert(r == -EPROTO || (r == -EAGAIN && (i == 3 || i == 4)));
		noticed += r == -EPROTO;
	}
	ck_assert_uint_gt(noticed, 5);
}
END_TEST

START_TEST(what_was_recorded_cannot_be_played_again)
{
	char c;
	struct buf record = {0};
	meet(at_alice, at_bob, bob, SIZE_MAX);
	ck_assert_int_eq(tls_write(a, "delete", 6), 6);
	buf_add(&record, tls_out(a)->data, tls_out(a)->len);
	move(a, b, SIZE_MAX);
	char got[16];
	ck_assert_int_eq(tls_read(b, got, sizeof(got)), 6);
	buf_add(tls_out(a), record.data, record.len);
	move(a, b, SIZE_MAX);
	ck_assert_int_eq(tls_read(b, &c, 1), -EPROTO);
	buf_release(&record);
}
END_TEST

START_TEST(an_end_without_close_notify_is_an_error)
{
	char c;
	meet(at_alice, at_bob, bob, SIZE_MAX);
	say(a, b, "hello");
	tls_put_end(b);
	ck_assert_int_eq(tls_read(b, &c, 1), -EPROTO);
	ck_assert_str_eq(tls_problem(b), "the connection was cut");
	/* In the middle of a record, too; and what was whole before it is delivered. */
	meet(at_alice, at_bob, bob, SIZE_MAX);
	tls_write(a, "whole", 5);
	size_t first = tls_out(a)->len;
	tls_write(a, "half", 4);
	move(a, b, first + 9);
	tls_put_end(b);
	char got[16];
	ck_assert_int_eq(tls_read(b, got, sizeof(got)), 5);
	ck_assert_int_eq(tls_read(b, got, sizeof(got)), -EPROTO);
}
END_TEST

static void put_in(struct tls *t, const void *p, size_t len)
{
	struct buf *out = tls_out(t == a ? b : a);
	buf_clear(out);
	buf_add(out, p, len);
	move(t == a ? b : a, t, SIZE_MAX);
}

START_TEST(other_languages_are_told_apart)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "does not speak TLS"},
		{"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", 30, "does not speak TLS"},
		{"\0\0\0\x40\x93\x02\xa5hello\x86", 14, "does not encrypt"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, "does not speak TLS"},
	};
	char c;
	a = tls_new(at_alice, true, NULL);
	b = tls_new(at_bob, false, NULL);
	put_in(b, cases[_i].bytes, cases[_i].len);
	ck_assert_int_eq(tls_read(b, &c, 1), -EPROTO);
	ck_assert_msg(strstr(tls_problem(b), cases[_i].says), "%s", tls_problem(b));
	ck_assert_int_eq(tls_read(a, &c, 1), -EAGAIN);
	put_in(a, cases[_i].bytes, cases[_i].len);
	ck_assert_int_eq(tls_read(a, &c, 1), -EPROTO);
	ck_assert(!tls_ready(a) && !tls_ready(b));
}
END_TEST

START_TEST(an_endless_handshake_is_ended)
{
	char c;
	struct buf flood = {0};
	/* Handshake records that begin a message of 16 MiB, piece by piece. */
	for (size_t i = 0; i < 64; i++) {
		static const uint8_t head[] = {0x16, 3, 1, 4, 0};
		static const uint8_t message[] = {1, 0xff, 0xff, 0xff, 3, 3};
		uint8_t rest[1024] = {0};
		buf_add(&flood, head, sizeof(head));
		if (i == 0)
			memcpy(rest, message, sizeof(message));
		buf_add(&flood, rest, sizeof(rest));
	}
	b = tls_new(at_bob, false, NULL);
	size_t room, put = 0;
	ssize_t r = -EAGAIN;
	while (r == -EAGAIN && put < flood.len) {
		uint8_t *p = tls_room(b, &room);
		ck_assert_uint_le(room, 4096);
		if (room > flood.len - put)
			room = flood.len - put;
		memcpy(p, flood.data + put, room);
		tls_put(b, room);
		put += room;
		r = tls_read(b, &c, 1);
	}
	ck_assert_int_eq(r, -EPROTO);
	ck_assert_uint_le(put, TLS_STRANGER_MAX + 4096);
	buf_release(&flood);
}
END_TEST

START_TEST(much_is_not_taken_at_once)
{
	size_t total = 0;
	static uint8_t block[300000], got[300000];
	meet(at_alice, at_bob, bob, SIZE_MAX);
	ssize_t n = tls_write(a, block, sizeof(block));
	ck_assert_int_gt(n, 0);
	ck_assert_uint_le(tls_out(a)->len, TLS_OUT_MAX + 32 * 1024);
	ck_assert_int_eq(tls_write(a, block, 1), -EAGAIN);
	while (total < (size_t)n) {
		move(a, b, 50000);
		ssize_t r = tls_read(b, got, sizeof(got));
		ck_assert(r > 0 || r == -EAGAIN);
		total += r > 0 ? (size_t)r : 0;
	}
	ck_assert_uint_eq(total, (size_t)n);
	ck_assert(!tls_has_more(b));
}
END_TEST

START_TEST(both_sides_export_the_same_secret)
{
	uint8_t one[TLS_EXPORT_SIZE], two[TLS_EXPORT_SIZE];
	meet(at_alice, at_bob, bob, SIZE_MAX);
	tls_export(a, "EXPORTER-test", one);
	tls_export(b, "EXPORTER-test", two);
	ck_assert(memcmp(one, two, sizeof(one)) == 0);
	tls_export(b, "EXPORTER-other", two);
	ck_assert(memcmp(one, two, sizeof(one)) != 0);
	meet(at_alice, at_bob, bob, SIZE_MAX);
	tls_export(a, "EXPORTER-test", two);
	ck_assert(memcmp(one, two, sizeof(one)) != 0);
}
END_TEST

/* ---- others that dial, made of OpenSSL alone -------------------------------------------- */

enum other {
	OTHER_FINE, OTHER_NO_KEY, OTHER_NO_ALPN, OTHER_WRONG_ALPN, OTHER_TLS12, OTHER_P256, OTHERS_N
};

static const char *const other_says[OTHERS_N] = {
	[OTHER_NO_KEY] = "has shown no key",
	[OTHER_NO_ALPN] = "no protocol of tutti",
	[OTHER_WRONG_ALPN] = "no protocol of tutti",
	[OTHER_TLS12] = "does not speak TLS 1.3",
	[OTHER_P256] = "",
};

START_TEST(others_do_not_get_in)
{
	enum other other = (enum other)_i;
	SSL_CTX *x = SSL_CTX_new(TLS_method());
	EVP_PKEY *p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *certificate = X509_dup(identity_certificate(eve));
	if (other == OTHER_P256) {
		X509_set_pubkey(certificate, p256);
		X509_sign(certificate, p256, EVP_sha256());
	}
	if (other != OTHER_NO_KEY) {
		SSL_CTX_use_certificate(x, certificate);
		SSL_CTX_use_PrivateKey(x, other == OTHER_P256 ? p256 : identity_key(eve));
	}
	if (other == OTHER_TLS12)
		SSL_CTX_set_max_proto_version(x, TLS1_2_VERSION);
	const char *name = other == OTHER_WRONG_ALPN ? "\x07tutti/9" : "\x07tutti/1";
	if (other != OTHER_NO_ALPN)
		SSL_CTX_set_alpn_protos(x, (const unsigned char *)name, 8);
	SSL *s = SSL_new(x);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL_set_bio(s, in, out);
	SSL_set_connect_state(s);
	b = tls_new(at_bob, false, NULL);
	a = tls_new(at_alice, true, NULL); /* carries bytes only */
	char c;
	ssize_t r = -EAGAIN;
	for (int i = 0; i < 10 && r == -EAGAIN; i++) {
		SSL_do_handshake(s);
		char *p;
		long n = BIO_get_mem_data(out, &p);
		if (n > 0)
			put_in(b, p, (size_t)n);
		BIO_reset(out);
		r = tls_read(b, &c, 1);
		BIO_write(in, tls_out(b)->data, (int)tls_out(b)->len);
		buf_clear(tls_out(b));
	}
	if (other == OTHER_FINE) { /* so that the others fail for their own reason */
		ck_assert_int_eq(r, -EAGAIN);
		ck_assert(tls_ready(b));
	} else {
		ck_assert_int_eq(r, -EPROTO);
		ck_assert(!tls_ready(b));
		ck_assert_msg(strstr(tls_problem(b), other_says[other]), "%s", tls_problem(b));
	}
	SSL_free(s);
	SSL_CTX_free(x);
	X509_free(certificate);
	EVP_PKEY_free(p256);
}
END_TEST

/* ---- beneath a connection --------------------------------------------------------------- */

static struct ev_loop *loop;
static ev_timer limit;

struct end {
	struct conn *c;
	const struct tls *tls;
	struct key_id peer;
	size_t ready, frames, bytes;
	bool greet, say, quit;
	char reason[256];
};
static struct end near, far;

static void too_late(struct ev_loop *l, ev_timer *w, int events)
{
	(void)l, (void)w, (void)events;
	ck_abort_msg("the condition was not met in time");
}

static void send_data(struct conn *c, size_t size)
{
	struct buf f = {0};
	uint8_t *data = xcalloc(1, size + 1);
	size_t mark = wire_begin_notification(&f, "data");
	wire_map(&f, 1);
	wire_put_bin(&f, "data", (struct bytes){data, size});
	ck_assert(wire_finish(&f, mark));
	conn_send(c, &f);
	buf_release(&f);
	free(data);
}

static void on_ready(struct conn *c, const struct key_id *peer, void *ctx)
{
	struct end *e = ctx;
	ck_assert_ptr_eq(c, e->c);
	ck_assert_uint_eq(e->ready, 0);
	e->ready++;
	e->peer = *peer;
	if (e->greet)
		conn_greeted(c);
	if (e->say)
		send_data(c, 3);
	if (e->quit)
		conn_bye(c, BYE_REFUSED, "not you");
}

static void on_frame(struct conn *c, const struct wire_frame *f, void *ctx)
{
	struct end *e = ctx;
	(void)c;
	struct bytes data;
	ck_assert_uint_eq(e->ready, 1);
	wire_get_bin(f->params, "data", &data);
	e->frames++;
	e->bytes += data.len;
}

static void on_close(struct conn *c, const char *reason, void *ctx)
{
	struct end *e = ctx;
	(void)c;
	snprintf(e->reason, sizeof(e->reason), "%s", reason);
	e->c = NULL;
}

static const struct conn_callbacks callbacks = {.on_frame = on_frame, .on_close = on_close};

static void connect_both(const struct identity *expected)
{
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	near.c = conn_new(loop, pair[0], &callbacks, &near);
	far.c = conn_new(loop, pair[1], &callbacks, &far);
	near.tls = secure_start(near.c, at_alice, true, identity_id(expected), on_ready, &near);
	far.tls = secure_start(far.c, at_bob, false, NULL, on_ready, &far);
}

static void setup_pair(void)
{
	setup();
	near = far = (struct end){.greet = true};
	loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&limit, too_late, 20, 0);
	ev_timer_start(loop, &limit);
}

static void teardown_pair(void)
{
	if (near.c)
		conn_forget(near.c);
	if (far.c)
		conn_forget(far.c);
	ev_timer_stop(loop, &limit);
	ev_loop_destroy(loop);
	teardown();
}

#define RUN_UNTIL(condition)                                                                       \
	while (!(condition))                                                                       \
		ev_run(loop, EVRUN_ONCE)

START_TEST(frames_pass_when_both_know_who_it_is)
{
	near.say = far.say = true;
	connect_both(bob);
	RUN_UNTIL(near.frames && far.frames);
	ck_assert(key_id_eq(&near.peer, identity_id(bob)));
	ck_assert(key_id_eq(&far.peer, identity_id(alice)));
	conn_bye(near.c, BYE_STOPPING, "the end");
	RUN_UNTIL(far.frames == 2); /* the bye */
	RUN_UNTIL(!far.c && !near.c);
	ck_assert_str_eq(near.reason, "the end");
	ck_assert_str_eq(far.reason, "the other side closed the connection");
}
END_TEST

START_TEST(what_was_sent_early_waits_for_the_handshake)
{
	connect_both(bob);
	send_data(near.c, 5);
	send_data(far.c, 6);
	RUN_UNTIL(near.bytes == 6 && far.bytes == 5);
}
END_TEST

static void on_tick(struct ev_loop *l, ev_timer *w, int events)
{
	(void)w, (void)events;
	ev_break(l, EVBREAK_ALL);
}

START_TEST(waiting_for_the_handshake_costs_nothing)
{
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	near.c = conn_new(loop, pair[0], &callbacks, &near);
	secure_start(near.c, at_alice, true, identity_id(bob), on_ready, &near);
	send_data(near.c, 5);
	/* The loop has nothing to do until the deadline: it wakes up for the timer alone. */
	ev_timer tick;
	unsigned before = 0, turns;
	ev_timer_init(&tick, on_tick, .2, 0);
	for (int i = 0; i < 5; i++)
		ev_run(loop, EVRUN_NOWAIT);
	before = ev_iteration(loop);
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
	turns = ev_iteration(loop) - before;
	ck_assert_uint_le(turns, 3);
	ck_assert_uint_eq(near.ready, 0);
	close(pair[1]);
	RUN_UNTIL(!near.c);
	ck_assert(!strcmp(near.reason, "the connection was cut") ||
		  !strcmp(near.reason, strerror(ECONNRESET)));
}
END_TEST

START_TEST(much_passes_both_ways)
{
	enum { N = 40, SIZE = 250000 };
	connect_both(bob);
	RUN_UNTIL(near.ready && far.ready);
	for (int i = 0; i < N; i++) {
		send_data(near.c, SIZE);
		send_data(far.c, SIZE);
	}
	RUN_UNTIL(near.bytes == (size_t)N * SIZE && far.bytes == (size_t)N * SIZE);
}
END_TEST

START_TEST(what_tls_has_read_is_delivered_after_a_pause)
{
	connect_both(bob);
	RUN_UNTIL(near.ready && far.ready);
	conn_pause(far.c);
	for (int i = 0; i < 20; i++)
		send_data(near.c, 100000);
	for (int i = 0; i < 20; i++)
		ev_run(loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(far.frames, 0);
	conn_resume(far.c);
	RUN_UNTIL(far.frames == 20);
}
END_TEST

START_TEST(a_stranger_is_told_and_left)
{
	far.quit = true;
	far.greet = false;
	near.say = true;
	connect_both(bob);
	RUN_UNTIL(!far.c);
	ck_assert_str_eq(far.reason, "not you");
	ck_assert_uint_eq(far.frames, 0); /* what it said was never looked at */
	RUN_UNTIL(near.frames == 1);
}
END_TEST

START_TEST(a_wrong_key_gets_no_frame)
{
	near.say = far.say = true;
	connect_both(eve);
	RUN_UNTIL(!near.c && !far.c);
	ck_assert_uint_eq(near.ready + far.ready + near.frames + far.frames, 0);
	ck_assert_ptr_nonnull(strstr(near.reason, "another server answers there: its ID is"));
	ck_assert_str_eq(far.reason, "the other side expected another key than ours");
}
END_TEST

START_TEST(an_orderly_end_is_told_from_a_cut)
{
	connect_both(bob);
	RUN_UNTIL(near.ready && far.ready);
	conn_close(near.c, "enough");
	RUN_UNTIL(!far.c);
	ck_assert_str_eq(far.reason, "the other side closed the connection");
	connect_both(bob);
	near.ready = far.ready = 0;
	RUN_UNTIL(near.ready && far.ready);
	shutdown(conn_fd(near.c), SHUT_WR);
	RUN_UNTIL(!far.c);
	ck_assert_str_eq(far.reason, "the connection was cut");
}
END_TEST

START_TEST(silence_in_the_handshake_has_a_deadline)
{
	int pair[2];
	struct conn_times times = conn_times_default;
	times.hello = .1;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	far.c = conn_new(loop, pair[1], &callbacks, &far);
	secure_start(far.c, at_bob, false, NULL, on_ready, &far);
	conn_set_times(far.c, &times);
	/* The first bytes of a record keep nobody busy. */
	ck_assert_int_eq(write(pair[0], "\x16\x03\x01", 3), 3);
	RUN_UNTIL(!far.c);
	ck_assert_str_eq(far.reason, "no hello came in time");
	close(pair[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("tls");
	TCase *t = suite_case(s, "memory", setup, teardown);
	tcase_add_loop_test(t, a_pair_meets_and_knows_each_other, 0, 4);
	tcase_add_test(t, another_key_than_expected_ends_it);
	tcase_add_test(t, nothing_is_read_or_written_before_the_keys_are_proven);
	tcase_add_test(t, bytes_that_were_changed_are_noticed);
	tcase_add_test(t, what_was_recorded_cannot_be_played_again);
	tcase_add_test(t, an_end_without_close_notify_is_an_error);
	tcase_add_loop_test(t, other_languages_are_told_apart, 0, 4);
	tcase_add_test(t, an_endless_handshake_is_ended);
	tcase_add_test(t, much_is_not_taken_at_once);
	tcase_add_test(t, both_sides_export_the_same_secret);
	tcase_add_loop_test(t, others_do_not_get_in, 0, OTHERS_N);
	t = suite_case(s, "connection", setup_pair, teardown_pair);
	tcase_add_test(t, frames_pass_when_both_know_who_it_is);
	tcase_add_test(t, what_was_sent_early_waits_for_the_handshake);
	tcase_add_test(t, waiting_for_the_handshake_costs_nothing);
	tcase_add_test(t, much_passes_both_ways);
	tcase_add_test(t, what_tls_has_read_is_delivered_after_a_pause);
	tcase_add_test(t, a_stranger_is_told_and_left);
	tcase_add_test(t, a_wrong_key_gets_no_frame);
	tcase_add_test(t, an_orderly_end_is_told_from_a_cut);
	tcase_add_test(t, silence_in_the_handshake_has_a_deadline);
	return suite_run(s);
}
