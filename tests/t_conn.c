/* Tests of conn: socket pairs and loopback with a real loop, and another side that misbehaves. */
#include "config.h"
#include "conn.h"

#include "message.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- one end under test, and what it was told ------------------------------------------- */

struct end {
	struct conn *c; /* NULL after on_close */
	struct buf frames;     /* methods and sizes, one word each */
	size_t n_frames;
	size_t n_closed;
	size_t n_drained;
	char reason[256];
	/* what the callbacks do */
	enum { NOTHING, CLOSE, BYE, FORGET, PAUSE, GREET, SEND_MORE } on_frame, on_drained;
	struct conn *other;    /* is closed by on_frame, too */
};

static struct ev_loop *loop;
static ev_timer limit;
static int far; /* the other end of the pair, a plain descriptor */
static struct end near;

static void too_late(struct ev_loop *l, ev_timer *w, int events)
{
	(void)l;
	(void)w;
	(void)events;
	ck_abort_msg("the condition was not met in time");
}

static void act(struct end *e, int what)
{
	struct buf b = {0};
	switch (what) {
	case CLOSE:
		conn_close(e->c, "closed in a callback");
		conn_close(e->c, "closed twice");
		break;
	case BYE:
		conn_bye(e->c, BYE_REFUSED, "not you");
		break;
	case FORGET:
		conn_forget(e->c);
		e->c = NULL;
		break;
	case PAUSE:
		conn_pause(e->c);
		break;
	case GREET:
		conn_greeted(e->c);
		break;
	case SEND_MORE:
		buf_add(&b, "more", 4);
		conn_send(e->c, &b);
		buf_release(&b);
		break;
	}
	if (e->other) {
		conn_close(e->other, "closed by a neighbour");
		e->other = NULL;
	}
}

static void on_frame(struct conn *c, const struct wire_frame *f, void *ctx)
{
	struct end *e = ctx;
	ck_assert_ptr_eq(c, e->c);
	ck_assert_uint_eq(e->n_closed, 0);
	struct bytes data = {0};
	wire_get_bin(f->params, "data", &data);
	buf_addf(&e->frames, "%.*s:%zu ", (int)f->method.len, (const char *)f->method.p, data.len);
	e->n_frames++;
	act(e, e->on_frame);
}

static void on_close(struct conn *c, const char *reason, void *ctx)
{
	struct end *e = ctx;
	ck_assert_ptr_eq(c, e->c);
	ck_assert(conn_ending(c));
	snprintf(e->reason, sizeof(e->reason), "%s", reason);
	e->n_closed++;
	e->c = NULL;
}

static void on_drained(struct conn *c, void *ctx)
{
	struct end *e = ctx;
	ck_assert_ptr_eq(c, e->c);
	e->n_drained++;
	act(e, e->on_drained);
}

static const struct conn_callbacks callbacks = {on_frame, on_close, on_drained};

static void setup(void)
{
	int pair[2];
	signal(SIGPIPE, SIG_DFL); /* so that a missing MSG_NOSIGNAL is found */
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	far = pair[1];
	ck_assert_int_eq(fcntl(far, F_SETFL, O_NONBLOCK), 0);
	near = (struct end){0};
	near.c = conn_new(loop, pair[0], &callbacks, &near);
	ev_timer_init(&limit, too_late, 20, 0);
	ev_timer_start(loop, &limit);
}

static void teardown(void)
{
	if (near.c)
		conn_forget(near.c);
	if (far >= 0)
		close(far);
	buf_release(&near.frames);
	ev_timer_stop(loop, &limit);
	ev_loop_destroy(loop);
}

/* Runs the loop until something holds. (EVRUN_ONCE alone would wait for a second event when the
 * first was pending already.) */
#define AWAIT(condition)                                                                           \
	while (!(condition)) {                                                                     \
		ev_run(loop, EVRUN_NOWAIT);                                                        \
		if (condition)                                                                     \
			break;                                                                     \
		ev_run(loop, EVRUN_ONCE);                                                          \
	}

/* Turns of the loop that do not wait, so that what could happen at once has. */
static void few_turns(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

/* No deadline comes near. */
static struct conn_times slow(void)
{
	return (struct conn_times){.hello = 100, .ping = 100, .dead = 100, .stall = 100,
				   .linger = 100, .frame = 100, .frame_bytes_per_second = 1024};
}

/* ---- frames ----------------------------------------------------------------------------- */

static void pack(struct buf *b, const char *method, size_t size)
{
	uint8_t *data = xcalloc(1, size);
	size_t mark = wire_begin_notification(b, method);
	wire_map(b, 1);
	wire_put_bin(b, "data", (struct bytes){data, size});
	ck_assert(wire_finish(b, mark));
	free(data);
}

static void send_far(const void *p, size_t len)
{
	ck_assert_int_eq(send(far, p, len, 0), (ssize_t)len);
}

static void send_frame(const char *method, size_t size)
{
	struct buf b = {0};
	pack(&b, method, size);
	send_far(b.data, b.len);
	buf_release(&b);
}

static void expect_frames(const char *list)
{
	ck_assert_uint_eq(near.frames.len, strlen(list));
	ck_assert_mem_eq(near.frames.data, list, near.frames.len);
}

/* Takes what the other end has sent, all of it that is there. */
static size_t receive_far(struct buf *b)
{
	size_t before = b->len;
	ssize_t r;
	while ((r = recv(far, buf_reserve(b, 65536), 65536, 0)) > 0)
		b->len += (size_t)r;
	return b->len - before;
}

static void expect_closed(const char *reason)
{
	ck_assert_uint_eq(near.n_closed, 1);
	ck_assert_str_eq(near.reason, reason);
}

/* ---- reading ---------------------------------------------------------------------------- */

START_TEST(frames_come_in_one_piece_or_many)
{
	struct buf b = {0};
	pack(&b, "a", 0);
	pack(&b, "b", 300);
	pack(&b, "c", 4000);
	send_far(b.data, b.len);
	AWAIT(near.n_frames == 3);
	expect_frames("a:0 b:300 c:4000 ");

	buf_clear(&near.frames);
	for (size_t i = 0; i < b.len; i++) { /* byte by byte */
		send_far(b.data + i, 1);
		ev_run(loop, EVRUN_ONCE);
	}
	AWAIT(near.n_frames == 6);
	expect_frames("a:0 b:300 c:4000 ");

	buf_clear(&near.frames);
	for (size_t cut = 0; cut <= b.len; cut += 97) { /* cut at many places */
		size_t before = near.n_frames;
		send_far(b.data, cut);
		few_turns();
		send_far(b.data + cut, b.len - cut);
		AWAIT(near.n_frames == before + 3);
	}
	ck_assert_uint_eq(near.n_closed, 0);
	ck_assert_uint_eq(conn_bytes_in(near.c), b.len * (2 + b.len / 97 + 1));
	buf_release(&b);
}
END_TEST

START_TEST(a_stranger_may_say_little_and_a_friend_more)
{
	struct buf b = {0};
	near.on_frame = GREET;
	pack(&b, "hello", 0);
	pack(&b, "big", WIRE_FRAME_MAX - 100); /* in one go: the limit changes between the two */
	size_t at = 0;
	while (at < b.len) {
		ssize_t r = send(far, b.data + at, b.len - at, 0);
		if (r > 0)
			at += (size_t)r;
		ev_run(loop, EVRUN_NOWAIT);
	}
	AWAIT(near.n_frames == 2);
	expect_frames("hello:0 big:1048476 ");
	buf_release(&b);
}
END_TEST

static void header_is_refused(uint32_t length)
{
	uint8_t h[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
			(uint8_t)length};
	send_far(h, 4);
	AWAIT(conn_ending(near.c));
	struct buf b = {0};
	few_turns();
	receive_far(&b); /* it says why: a bye, then the end */
	struct wire_frame f;
	wire_frame_init(&f);
	ck_assert_uint_gt(b.len, 4);
	ck_assert_ptr_null(wire_decode(&f, (struct bytes){b.data + 4, b.len - 4}));
	char why[MESSAGE_TEXT_MAX];
	ck_assert_int_eq(message_check(&f, PARTY_SERVER, PHASE_STRANGER, why), MESSAGE_BYE);
	struct bytes code;
	struct bytes text;
	message_error_parts(f.params, &code, &text);
	ck_assert(bytes_eq(code, bytes_of(BYE_PROTOCOL)));
	wire_frame_release(&f);
	buf_release(&b);
	ck_assert_uint_eq(near.n_closed, 0); /* until we have had a chance to read it */
	close(far);
	far = -1;
	AWAIT(near.n_closed);
}

START_TEST(lengths_beyond_the_limit_are_refused_at_once)
{
	static const uint32_t bad[] = {WIRE_FRAME_MAX_STRANGER + 1, WIRE_FRAME_MAX, 0x7fffffff,
				       0xffffffff};
	header_is_refused(bad[_i]);
	expect_closed("bad message: it is too long");
}
END_TEST

START_TEST(lengths_beyond_the_limit_are_refused_after_hello)
{
	static const uint32_t bad[] = {WIRE_FRAME_MAX + 1, 0x7fffffff, 0xffffffff};
	conn_greeted(near.c);
	header_is_refused(bad[_i]);
	expect_closed("bad message: it is too long");
}
END_TEST

START_TEST(an_empty_frame_is_refused)
{
	header_is_refused(0);
	expect_closed("bad message: the message is cut short");
}
END_TEST

START_TEST(other_protocols_are_refused)
{
	static const char *const talk[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\n\n\n\n\n\n\n\n",
	};
	send_far(talk[_i], strlen(talk[_i]));
	AWAIT(conn_ending(near.c));
	close(far);
	far = -1;
	AWAIT(near.n_closed);
	ck_assert_uint_eq(near.n_frames, 0);
	ck_assert_int_eq(strncmp(near.reason, "bad message: ", 13), 0);
}
END_TEST

START_TEST(the_end_between_frames_and_inside_one)
{
	struct buf b = {0};
	pack(&b, "a", 10);
	size_t one = b.len;
	pack(&b, "b", 10);
	size_t len = _i == 0 ? one : _i == 1 ? one + 2 : _i == 2 ? one + 8 : b.len - 1;
	send_far(b.data, len);
	shutdown(far, SHUT_WR);
	AWAIT(near.n_closed);
	expect_frames("a:10 ");
	expect_closed(_i ? "the connection was cut in the middle of a message"
			 : "the other side closed the connection");
	buf_release(&b);
}
END_TEST

START_TEST(a_flood_leaves_time_for_others)
{
	/* more waits than one turn may take; a timer that is due meanwhile gets its turn */
	enum { SIZE = 3000 };
	struct buf b = {0};
	int size = 4 * 1024 * 1024;
	setsockopt(far, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (true) {
		buf_clear(&b);
		pack(&b, "x", SIZE);
		if (send(far, b.data, b.len, 0) != (ssize_t)b.len)
			break;
	}
	ev_run(loop, EVRUN_ONCE);
	size_t first = near.n_frames * SIZE;
	ck_assert_uint_gt(first, 0);
	ck_assert_uint_le(first, CONN_READ_QUOTA);
	buf_release(&b);
}
END_TEST

START_TEST(paused_means_no_more_frames)
{
	struct buf b = {0};
	near.on_frame = PAUSE; /* each frame pauses */
	pack(&b, "a", 1);
	pack(&b, "b", 2);
	pack(&b, "c", 3);
	send_far(b.data, b.len - 1);
	AWAIT(near.n_frames == 1);
	few_turns();
	expect_frames("a:1 ");
	conn_resume(near.c);
	ck_assert_uint_eq(near.n_frames, 1); /* not from inside the call */
	few_turns();
	expect_frames("a:1 b:2 ");
	conn_resume(near.c);
	few_turns();
	expect_frames("a:1 b:2 ");
	send_far(b.data + b.len - 1, 1);
	close(far);
	far = -1;
	AWAIT(near.n_frames == 3);
	few_turns();
	ck_assert_uint_eq(near.n_closed, 0); /* the end is news, too */
	conn_resume(near.c);
	AWAIT(near.n_closed);
	buf_release(&b);
}
END_TEST

START_TEST(pauses_count)
{
	conn_pause(near.c);
	conn_pause(near.c);
	send_frame("a", 0);
	conn_resume(near.c);
	few_turns();
	ck_assert_uint_eq(near.n_frames, 0);
	conn_resume(near.c);
	AWAIT(near.n_frames == 1);
}
END_TEST

/* ---- writing ---------------------------------------------------------------------------- */

START_TEST(what_is_sent_arrives_in_order)
{
	struct buf all = {0};
	struct buf got = {0};
	struct buf b = {0};
	for (size_t i = 0; i < 3000; i++) {
		size_t size = i % 7 ? i % 500 : i * 40; /* small ones and large ones */
		size_t before = all.len;
		pack(&all, "x", size);
		buf_add(&b, all.data + before, all.len - before);
		conn_send(near.c, &b);
		ck_assert_uint_eq(b.len, 0);
		if (i % 100 == 0) {
			ev_run(loop, EVRUN_NOWAIT);
			receive_far(&got);
		}
		if (conn_queued(near.c) > CONN_QUEUE_MAX / 2)
			AWAIT((receive_far(&got), conn_queued(near.c) < 1000));
	}
	AWAIT((receive_far(&got), got.len == all.len));
	ck_assert_mem_eq(got.data, all.data, all.len);
	ck_assert_uint_eq(conn_queued(near.c), 0);
	ck_assert_uint_eq(conn_bytes_out(near.c), all.len);
	buf_release(&all);
	buf_release(&got);
	buf_release(&b);
}
END_TEST

static unsigned writes;

static ssize_t counting_write(void *ctx, int fd, const struct iovec *from, int n)
{
	(void)ctx;
	writes++;
	ssize_t r = writev(fd, from, n);
	return r < 0 ? -errno : r;
}

static ssize_t counting_read(void *ctx, int fd, void *to, size_t len)
{
	(void)ctx;
	ssize_t r = read(fd, to, len);
	return r < 0 ? -errno : r;
}

static void counting_release(void *ctx)
{
	*(bool *)ctx = true;
}

START_TEST(one_turn_makes_one_write)
{
	bool released = false;
	struct conn_transport t = {.read = counting_read, .write = counting_write,
				   .release = counting_release, .ctx = &released};
	conn_set_transport(near.c, &t);
	struct buf b = {0};
	writes = 0;
	for (int i = 0; i < 20; i++) {
		pack(&b, "x", (size_t)i * 1000);
		conn_send(near.c, &b);
	}
	ck_assert_uint_eq(writes, 0);
	few_turns();
	ck_assert_uint_eq(conn_queued(near.c), 0);
	ck_assert_uint_eq(writes, 1);
	conn_close(near.c, "done");
	AWAIT(near.n_closed);
	ck_assert(released);
	buf_release(&b);
}
END_TEST

static void send_in_timer(struct ev_loop *l, ev_timer *w, int events)
{
	struct buf b = {0};
	(void)l;
	(void)w;
	(void)events;
	pack(&b, "x", 10);
	conn_send(near.c, &b);
	buf_release(&b);
}

START_TEST(several_callbacks_in_a_turn_make_one_write)
{
	bool released = false;
	struct conn_transport t = {.read = counting_read, .write = counting_write,
				   .release = counting_release, .ctx = &released};
	ev_timer timers[5];
	conn_set_transport(near.c, &t);
	writes = 0;
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		ev_timer_init(&timers[i], send_in_timer, 0, 0);
		ev_timer_start(loop, &timers[i]);
	}
	few_turns();
	ck_assert_uint_eq(writes, 1);
	ck_assert_uint_gt(conn_bytes_out(near.c), 5 * 10);
}
END_TEST

static void send_in_prepare(struct ev_loop *l, ev_prepare *w, int events)
{
	struct buf b = {0};
	(void)events;
	pack(&b, "late", 0);
	conn_send(near.c, &b);
	buf_release(&b);
	ev_prepare_stop(l, w);
}

START_TEST(what_is_queued_just_before_the_loop_waits_goes_out)
{
	struct buf got = {0};
	ev_prepare p;
	ev_prepare_init(&p, send_in_prepare);
	ev_prepare_start(loop, &p);
	ev_run(loop, EVRUN_NOWAIT);
	receive_far(&got);
	ck_assert_uint_gt(got.len, 0);
	buf_release(&got);
}
END_TEST

START_TEST(water_marks)
{
	struct buf b = {0};
	struct buf got = {0};
	conn_set_water(near.c, 100000, 4000000);
	for (size_t i = 0; i < 39; i++) {
		pack(&b, "x", 100000);
		conn_send(near.c, &b);
	}
	ck_assert(!conn_full(near.c));
	few_turns();
	ck_assert_uint_gt(conn_queued(near.c), 1000000);
	AWAIT((receive_far(&got), conn_queued(near.c) == 0));
	ck_assert_uint_eq(near.n_drained, 0); /* it was never full */
	for (size_t i = 0; i < 41; i++) {
		pack(&b, "x", 100000);
		conn_send(near.c, &b);
	}
	ck_assert(conn_full(near.c));
	few_turns();
	ck_assert(conn_full(near.c)); /* what the socket takes is not enough */
	AWAIT((receive_far(&got), conn_queued(near.c) < 4000000 - 500000));
	ck_assert(conn_full(near.c));
	ck_assert_uint_eq(near.n_drained, 0);
	near.on_drained = CLOSE; /* the worst that it may do */
	AWAIT((receive_far(&got), near.n_closed));
	ck_assert_uint_eq(near.n_drained, 1);
	buf_release(&b);
	buf_release(&got);
}
END_TEST

START_TEST(sending_when_drained_does_not_starve_the_loop)
{
	struct buf got = {0};
	struct buf b = {0};
	near.on_drained = SEND_MORE;
	conn_set_water(near.c, 0, 4);
	buf_add(&b, "more", 4);
	conn_send(near.c, &b);
	AWAIT((receive_far(&got), near.n_drained > 20));
	near.on_drained = NOTHING;
	few_turns();
	receive_far(&got);
	ck_assert_uint_eq(got.len, 4 * near.n_drained);
	buf_release(&got);
	buf_release(&b);
}
END_TEST

START_TEST(a_queue_without_end_is_an_end)
{
	struct buf b = {0};
	for (size_t i = 0; i < 40 && !conn_ending(near.c); i++) {
		pack(&b, "x", 1000000);
		conn_send(near.c, &b);
	}
	ck_assert(conn_ending(near.c));
	ck_assert_uint_eq(near.n_closed, 0);
	AWAIT(near.n_closed);
	expect_closed("the other side does not take what is sent");
	buf_release(&b);
}
END_TEST

START_TEST(a_reader_that_has_gone_kills_nobody)
{
	struct buf b = {0};
	close(far);
	far = -1;
	pack(&b, "x", 100000);
	conn_send(near.c, &b);
	AWAIT(near.n_closed);
	buf_release(&b);
}
END_TEST

START_TEST(last_words_are_heard_though_writing_fails)
{
	struct buf b = {0};
	send_frame("bye", 0);
	shutdown(far, SHUT_RD);
	pack(&b, "x", 10);
	conn_send(near.c, &b); /* the turn writes before it reads */
	AWAIT(near.n_closed);
	expect_frames("bye:0 ");
	buf_release(&b);
}
END_TEST

/* ---- the end ---------------------------------------------------------------------------- */

START_TEST(close_is_told_once_and_later)
{
	struct buf b = {0};
	send_frame("a", 0);
	conn_close(near.c, "first");
	conn_close(near.c, "second");
	conn_bye(near.c, BYE_STOPPING, "third");
	ck_assert(conn_ending(near.c));
	ck_assert_int_eq(conn_fd(near.c), -1);
	ck_assert_uint_eq(near.n_closed, 0);
	pack(&b, "x", 10);
	conn_send(near.c, &b);
	ck_assert_uint_eq(b.len, 0);
	conn_pause(near.c);
	conn_resume(near.c);
	few_turns();
	expect_closed("first");
	ck_assert_uint_eq(near.n_frames, 0);
	buf_release(&b);
}
END_TEST

START_TEST(callbacks_may_end_it)
{
	static const int ways[] = {CLOSE, BYE, FORGET};
	struct buf b = {0};
	near.on_frame = ways[_i];
	pack(&b, "a", 1);
	pack(&b, "b", 1);
	send_far(b.data, b.len);
	AWAIT(near.n_frames);
	if (ways[_i] == BYE) {
		few_turns();
		close(far);
		far = -1;
	}
	few_turns();
	expect_frames("a:1 "); /* never the second */
	if (ways[_i] == CLOSE)
		expect_closed("closed in a callback");
	else if (ways[_i] == BYE)
		expect_closed("not you");
	else
		ck_assert_uint_eq(near.n_closed, 0);
	buf_release(&b);
}
END_TEST

START_TEST(a_neighbour_may_end_it_when_both_are_ready)
{
	int pair[2];
	struct end second = {0};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	second.c = conn_new(loop, pair[0], &callbacks, &second);
	near.other = second.c;
	second.other = near.c; /* whichever comes first ends the other */
	struct buf b = {0};
	pack(&b, "a", 0);
	send_far(b.data, b.len);
	ck_assert_int_eq(send(pair[1], b.data, b.len, 0), (ssize_t)b.len);
	few_turns();
	ck_assert_uint_eq(near.n_frames + second.n_frames, 1);
	ck_assert_uint_eq(near.n_closed + second.n_closed, 1);
	ck_assert_str_eq(near.n_closed ? near.reason : second.reason, "closed by a neighbour");
	if (second.c)
		conn_forget(second.c);
	close(pair[1]);
	buf_release(&second.frames);
	buf_release(&b);
}
END_TEST

START_TEST(bye_delivers_all_that_was_queued)
{
	struct conn_times t = slow(); /* what ends here ends by itself */
	struct buf b = {0};
	struct buf got = {0};
	conn_set_times(near.c, &t);
	pack(&b, "x", 2000000 / 2);
	size_t len = b.len;
	conn_send(near.c, &b);
	conn_bye(near.c, BYE_STOPPING, "stopping");
	send_frame("ignored", 10);
	char c;
	ssize_t r = -1;
	AWAIT((receive_far(&got), (r = recv(far, &c, 1, 0)) == 0));
	ck_assert_uint_gt(got.len, len);
	struct wire_frame f;
	wire_frame_init(&f);
	ck_assert_ptr_null(wire_decode(&f, (struct bytes){got.data + len + 4, got.len - len - 4}));
	struct bytes code;
	struct bytes text;
	message_error_parts(f.params, &code, &text);
	ck_assert(bytes_eq(f.method, bytes_of("bye")));
	ck_assert(bytes_eq(code, bytes_of("stopping")) && bytes_eq(text, bytes_of("stopping")));
	wire_frame_release(&f);
	close(far);
	far = -1;
	AWAIT(near.n_closed);
	expect_closed("stopping");
	ck_assert_uint_eq(near.n_frames, 0);
	buf_release(&b);
	buf_release(&got);
}
END_TEST

START_TEST(forgotten_after_bye_it_leaves_alone)
{
	struct conn_times t = slow();
	struct buf got = {0};
	conn_set_times(near.c, &t);
	conn_bye(near.c, BYE_STOPPING, "stopping");
	conn_forget(near.c);
	near.c = NULL;
	char c;
	AWAIT((receive_far(&got), recv(far, &c, 1, 0) == 0));
	ck_assert_uint_gt(got.len, 0);
	close(far);
	far = -1;
	few_turns();
	ck_assert_uint_eq(near.n_closed, 0);
	buf_release(&got);
}
END_TEST

/* ---- deadlines -------------------------------------------------------------------------- */

START_TEST(silence_before_hello_ends_it)
{
	struct conn_times t = slow();
	t.hello = 0.05;
	conn_set_times(near.c, &t);
	send_frame("a", 0); /* frames alone do not help */
	AWAIT(near.n_closed);
	expect_closed("no hello came in time");
	expect_frames("a:0 ");
}
END_TEST

START_TEST(a_dripping_frame_ends_it)
{
	struct conn_times t = slow();
	struct buf b = {0};
	t.frame = 0.1;
	t.frame_bytes_per_second = 10000;
	conn_set_times(near.c, &t);
	conn_greeted(near.c);
	pack(&b, "x", 900); /* 0.19 s in all */
	double start = ev_time();
	size_t at = 0;
	while (!near.n_closed) {
		ck_assert_uint_lt(at, b.len);
		if (ev_time() - start > (double)at * 0.001)
			send_far(b.data + at++, 1);
		ev_run(loop, EVRUN_NOWAIT);
	}
	expect_closed("a message took too long to arrive");
	ck_assert(ev_time() - start > 0.18);
	buf_release(&b);
}
END_TEST

START_TEST(a_dead_peer_ends_it)
{
	struct conn_times t = slow();
	t.dead = 0.05;
	conn_set_times(near.c, &t);
	conn_greeted(near.c);
	AWAIT(near.n_closed);
	expect_closed("nothing was heard for too long");
}
END_TEST

START_TEST(paused_it_does_not_count_as_dead)
{
	struct conn_times t = slow();
	t.dead = 0.05;
	t.ping = 0.03;
	conn_set_times(near.c, &t);
	conn_greeted(near.c);
	conn_pause(near.c);
	struct buf got = {0};
	double start = ev_time();
	unsigned turns = ev_iteration(loop);
	AWAIT((receive_far(&got), ev_time() - start > 0.2));
	ck_assert_uint_eq(near.n_closed, 0);
	ck_assert_uint_lt(ev_iteration(loop) - turns, 50); /* a few pings, and no idle waking */
	conn_resume(near.c);
	ck_assert_double_lt(conn_silence(near.c), 0.05); /* it starts anew */
	AWAIT(near.n_closed);
	expect_closed("nothing was heard for too long");
	buf_release(&got);
}
END_TEST

START_TEST(a_reader_that_stalls_ends_it)
{
	struct conn_times t = slow();
	struct buf b = {0};
	t.stall = 0.05;
	conn_set_times(near.c, &t);
	pack(&b, "x", 1000000);
	conn_send(near.c, &b);
	AWAIT(near.n_closed);
	expect_closed("the other side does not take what is sent");
	buf_release(&b);
}
END_TEST

static ssize_t full_write(void *ctx, int fd, const struct iovec *from, int n)
{
	(void)ctx;
	(void)fd;
	(void)from;
	(void)n;
	return -EAGAIN;
}

START_TEST(the_time_to_take_something_begins_when_it_is_sent)
{
	struct conn_times t = slow();
	struct conn_transport full = {.read = counting_read, .write = full_write};
	struct buf b = {0};
	t.stall = 0.1;
	conn_set_times(near.c, &t);
	conn_set_transport(near.c, &full);
	double start = ev_time();
	while (ev_time() - start < 0.15) /* longer than that, with nothing to send */
		ev_run(loop, EVRUN_NOWAIT);
	pack(&b, "x", 10);
	conn_send(near.c, &b);
	start = ev_time();
	AWAIT(near.n_closed);
	ck_assert(ev_time() - start > 0.08);
	expect_closed("the other side does not take what is sent");
	buf_release(&b);
}
END_TEST

START_TEST(pings_fill_the_silence)
{
	struct conn_times t = slow();
	struct buf got = {0};
	t.ping = 0.02;
	conn_set_times(near.c, &t);
	conn_greeted(near.c);
	AWAIT((receive_far(&got), got.len >= 5 * 11));
	/* 4 bytes of length, an array of 3, the kind, "ping", an empty map: 12 bytes */
	static const char ping[] = "\0\0\0\x08\x93\x02\xa4ping\x80";
	for (size_t at = 0; at + 12 <= got.len; at += 12)
		ck_assert_mem_eq(got.data + at, ping, 12);
	ck_assert_uint_eq(got.len % 12, 0);
	buf_release(&got);
}
END_TEST

START_TEST(without_an_answer_the_linger_ends)
{
	struct conn_times t = slow();
	t.linger = 0.05;
	conn_set_times(near.c, &t);
	conn_bye(near.c, BYE_SELF, "this is me");
	AWAIT(near.n_closed);
	expect_closed("this is me");
}
END_TEST

START_TEST(pings_keep_two_of_them_alive)
{
	struct conn_times t = slow();
	struct end second = {0};
	int pair[2];
	t.ping = 0.02;
	t.dead = 0.3;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	conn_forget(near.c);
	near.c = conn_new(loop, pair[0], &callbacks, &near);
	second.c = conn_new(loop, pair[1], &callbacks, &second);
	conn_set_times(near.c, &t);
	conn_set_times(second.c, &t);
	conn_greeted(near.c);
	conn_greeted(second.c);
	AWAIT(near.n_frames > 30 && second.n_frames > 30); /* twice as long as `dead` */
	ck_assert_uint_eq(near.n_closed + second.n_closed, 0);
	conn_close(near.c, "enough");
	AWAIT(near.n_closed && second.n_closed);
	ck_assert_str_eq(second.reason, "the other side closed the connection");
	buf_release(&second.frames);
}
END_TEST

/* ---- TCP -------------------------------------------------------------------------------- */

START_TEST(tcp_gets_its_options)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	close(far);
	far = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(far, (struct sockaddr *)&a, sizeof(a)), 0);
	int fd = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	close(listener);
	conn_forget(near.c);
	near.c = conn_new(loop, fd, &callbacks, &near);
	static const struct {
		int level, name, want;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		int got = 0;
		len = sizeof(got);
		ck_assert_int_eq(getsockopt(fd, options[i].level, options[i].name, &got, &len), 0);
		ck_assert_int_eq(got, options[i].want);
	}
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	send_frame("a", 5);
	AWAIT(near.n_frames);

	/* a reset instead of an end */
	struct linger hard = {.l_onoff = 1};
	setsockopt(far, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(far);
	far = -1;
	AWAIT(near.n_closed);
	expect_frames("a:5 ");
	expect_closed(strerror(ECONNRESET));
}
END_TEST

/* ---- idleness --------------------------------------------------------------------------- */

static bool rang;

static void ring(struct ev_loop *l, ev_timer *w, int events)
{
	(void)l;
	(void)w;
	(void)events;
	rang = true;
}

START_TEST(idle_it_wakes_nobody)
{
	ev_timer bell;
	conn_greeted(near.c);
	send_frame("a", 0);
	AWAIT(near.n_frames);
	few_turns();
	rang = false;
	ev_now_update(loop);
	ev_timer_init(&bell, ring, 0.3, 0);
	ev_timer_start(loop, &bell);
	unsigned turns = 0;
	while (!rang) {
		ev_run(loop, EVRUN_ONCE);
		turns++;
	}
	ck_assert_uint_le(turns, 2); /* the bell, and perhaps a moment too early for it */
}
END_TEST

int main(void)
{
	Suite *s = suite_new("conn");
	TCase *t = suite_case(s, "conn", setup, teardown);
	tcase_add_test(t, frames_come_in_one_piece_or_many);
	tcase_add_test(t, a_stranger_may_say_little_and_a_friend_more);
	tcase_add_loop_test(t, lengths_beyond_the_limit_are_refused_at_once, 0, 4);
	tcase_add_loop_test(t, lengths_beyond_the_limit_are_refused_after_hello, 0, 3);
	tcase_add_test(t, an_empty_frame_is_refused);
	tcase_add_loop_test(t, other_protocols_are_refused, 0, 4);
	tcase_add_loop_test(t, the_end_between_frames_and_inside_one, 0, 4);
	tcase_add_test(t, a_flood_leaves_time_for_others);
	tcase_add_test(t, paused_means_no_more_frames);
	tcase_add_test(t, pauses_count);
	tcase_add_test(t, what_is_sent_arrives_in_order);
	tcase_add_test(t, one_turn_makes_one_write);
	tcase_add_test(t, several_callbacks_in_a_turn_make_one_write);
	tcase_add_test(t, what_is_queued_just_before_the_loop_waits_goes_out);
	tcase_add_test(t, water_marks);
	tcase_add_test(t, sending_when_drained_does_not_starve_the_loop);
	tcase_add_test(t, a_queue_without_end_is_an_end);
	tcase_add_test(t, a_reader_that_has_gone_kills_nobody);
	tcase_add_test(t, last_words_are_heard_though_writing_fails);
	tcase_add_test(t, close_is_told_once_and_later);
	tcase_add_loop_test(t, callbacks_may_end_it, 0, 3);
	tcase_add_test(t, a_neighbour_may_end_it_when_both_are_ready);
	tcase_add_test(t, bye_delivers_all_that_was_queued);
	tcase_add_test(t, forgotten_after_bye_it_leaves_alone);
	tcase_add_test(t, silence_before_hello_ends_it);
	tcase_add_test(t, a_dripping_frame_ends_it);
	tcase_add_test(t, a_dead_peer_ends_it);
	tcase_add_test(t, paused_it_does_not_count_as_dead);
	tcase_add_test(t, a_reader_that_stalls_ends_it);
	tcase_add_test(t, the_time_to_take_something_begins_when_it_is_sent);
	tcase_add_test(t, pings_fill_the_silence);
	tcase_add_test(t, without_an_answer_the_linger_ends);
	tcase_add_test(t, pings_keep_two_of_them_alive);
	tcase_add_test(t, tcp_gets_its_options);
	tcase_add_test(t, idle_it_wakes_nobody);
	return suite_run(s);
}
