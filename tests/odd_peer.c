/*
 * Owns a peer that is none. It listens on loopback, prints its port, and says the same to everybody
 * who connects, whatever they say:
 *	odd_peer silent          nothing
 *	odd_peer garbage         what a web server might say
 *	odd_peer long            the length of a frame that is too long
 *	odd_peer version         hello in version 99 of the protocol
 *	odd_peer cut             half a hello, then the end
 * Or it calls a server on loopback, does one of attacks[], and prints how that ended: "bye CODE: TEXT",
 * "closed" or "cut: PROBLEM"; or "silence", if the server has nothing against it:
 *	odd_peer dial PORT KEYS ATTACK [N]
 * KEYS is a folder with the key of a server (tuttid id -s), or "-" for no TLS. N is for some attacks.
 */
#include "config.h"
#include "digest.h"
#include "message.h"
#include "text.h"
#include "tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUIET_MS = 1500, DEADLINE_MS = 60000 };

static void hello(struct buf *b, uint64_t version, const uint8_t id[16])
{
	size_t mark = wire_begin_notification(b, "hello");
	wire_map(b, 5);
	wire_put_uint(b, "proto", version);
	wire_put_text(b, "role", "peer");
	wire_put_text(b, "name", "odd");
	wire_put_fixed(b, "id", id, 16);
	wire_put_uint(b, "seq", 0);
	wire_finish(b, mark);
}

static const uint8_t own_id[16] = {1, 2, 3};

/* ---- called ----------------------------------------------------------------------------- */

static int answer(const char *what)
{
	struct buf words = {0};
	if (strcmp(what, "garbage") == 0)
		buf_addf(&words, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
	else if (strcmp(what, "long") == 0)
		buf_add(&words, "\x7f\xff\xff\xff", 4);
	else if (strcmp(what, "version") == 0)
		hello(&words, 99, own_id);
	else if (strcmp(what, "cut") == 0)
		hello(&words, PROTOCOL_VERSION, own_id);
	else if (strcmp(what, "silent") != 0)
		return 2;
	bool cut = strcmp(what, "cut") == 0;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return 1;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while (true) {
		int c = accept(fd, NULL, NULL);
		if (c < 0)
			return 1;
		if (words.len)
			(void)!write(c, words.data, cut ? words.len / 2 : words.len);
		char ignored[4096];
		while (!cut && read(c, ignored, sizeof(ignored)) > 0)
			;
		close(c);
	}
}

/* ---- calling ---------------------------------------------------------------------------- */

static struct {
	int fd;
	struct tls *tls; /* NULL: plain */
	struct buf in;
	size_t used;     /* of it, by `frame` */
	struct wire_frame frame;
	bool over;       /* it takes no more */
	const char *how, *why; /* it ended, once what came before is read */
	uint8_t server_id[16];
	unsigned long n;
} it;

static void end(const char *how, const char *text)
{
	printf("%s%s%s\n", how, *text ? ": " : "", text);
	exit(0);
}

static void write_out(const void *p, size_t len)
{
	const uint8_t *at = p;
	while (len && !it.over) {
		ssize_t n = send(it.fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			it.over = true; /* what it said before is read first */
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

static void flush_tls(void)
{
	struct buf *out = tls_out(it.tls);
	write_out(out->data, out->len);
	buf_clear(out);
}

static void say_bytes(const void *p, size_t len)
{
	const uint8_t *at = p;
	if (!it.tls) {
		write_out(p, len);
		return;
	}
	while (len && !it.over) {
		ssize_t n = tls_write(it.tls, at, len);
		flush_tls();
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			end("cut", tls_problem(it.tls));
		at += n;
		len -= (size_t)n;
	}
}

static void say(struct buf *b)
{
	say_bytes(b->data, b->len);
	buf_clear(b);
}

static void ended(const char *how, const char *why)
{
	it.how = how;
	it.why = why;
}

/* Takes what the socket has within so many milliseconds; false: nothing came. */
static bool take(int ms)
{
	struct pollfd f = {.fd = it.fd, .events = POLLIN};
	if (it.how)
		end(it.how, it.why);
	if (poll(&f, 1, ms) <= 0)
		return false;
	if (!it.tls) {
		ssize_t n = recv(it.fd, buf_reserve(&it.in, 65536), 65536, 0);
		if (n > 0)
			it.in.len += (size_t)n;
		else
			ended("closed", "");
		return true;
	}
	size_t room;
	uint8_t *to = tls_room(it.tls, &room);
	ssize_t got = recv(it.fd, to, room, 0);
	if (got <= 0)
		tls_put_end(it.tls);
	else
		tls_put(it.tls, (size_t)got);
	do {
		ssize_t n = tls_ready(it.tls)
				    ? tls_read(it.tls, buf_reserve(&it.in, 65536), 65536)
				    : tls_read(it.tls, NULL, 0);
		flush_tls();
		if (n == 0)
			ended("closed", "");
		else if (n == -EPROTO)
			ended("cut", tls_problem(it.tls));
		else if (n > 0)
			it.in.len += (size_t)n;
		else if (!tls_has_more(it.tls))
			return true;
	} while (!it.how);
	return true;
}

/* The next frame, or NULL if none comes within so many milliseconds. A bye ends it. */
static const struct wire_frame *hear(int ms)
{
	buf_drop_front(&it.in, it.used);
	it.used = 0;
	while (it.in.len < WIRE_HEADER_SIZE ||
	       it.in.len - WIRE_HEADER_SIZE < wire_header_length(it.in.data))
		if (!take(ms))
			return NULL;
	it.used = WIRE_HEADER_SIZE + wire_header_length(it.in.data);
	struct bytes object = {it.in.data + WIRE_HEADER_SIZE, it.used - WIRE_HEADER_SIZE};
	if (wire_decode(&it.frame, object))
		end("nonsense", "");
	if (it.frame.kind == WIRE_NOTIFICATION && bytes_eq(it.frame.method, bytes_of("bye"))) {
		struct bytes code, text;
		struct buf shown = {0};
		message_error_parts(it.frame.params, &code, &text);
		buf_addf(&shown, "bye ");
		text_show(&shown, code);
		buf_addf(&shown, ": ");
		text_show(&shown, text);
		buf_add_char(&shown, '\0');
		end((const char *)shown.data, "");
	}
	return &it.frame;
}

static void listen_to_the_end(int ms)
{
	while (hear(ms))
		;
	if (it.over)
		end("closed", "");
	end("silence", "");
}

static void meet(void)
{
	const struct wire_frame *f;
	while ((f = hear(DEADLINE_MS)))
		if (f->kind == WIRE_NOTIFICATION && bytes_eq(f->method, bytes_of("hello")))
			break;
	if (!f)
		end("silence", "");
	wire_get_fixed(f->params, "id", it.server_id, sizeof(it.server_id));
}

static void greet(void)
{
	struct buf b = {0};
	meet();
	hello(&b, PROTOCOL_VERSION, own_id);
	say(&b);
	const struct wire_frame *f;
	while ((f = hear(DEADLINE_MS)))
		if (f->kind == WIRE_NOTIFICATION && bytes_eq(f->method, bytes_of("sync")))
			break;
	size_t mark = wire_begin_notification(&b, "sync");
	wire_map(&b, 1);
	wire_key(&b, "seen");
	wire_array(&b, 0);
	wire_finish(&b, mark);
	say(&b);
	buf_release(&b);
}

/* ---- attacks ---------------------------------------------------------------------------- */

/* An index: empty files of this name and number, `n` of them, with `ids` replicas in each context. */
static void announce(uint64_t first, unsigned n, const char *name, unsigned ids, bool absent)
{
	struct buf b = {0};
	uint8_t hash[32];
	digest_once("", 0, hash);
	size_t mark = wire_begin_notification(&b, "index");
	wire_map(&b, 4);
	wire_key(&b, "ids");
	wire_array(&b, ids);
	for (unsigned i = 0; i < ids; i++) {
		uint8_t id[16] = {1, 2, 3, (uint8_t)i, (uint8_t)(i >> 8)};
		wire_fixed(&b, id, sizeof(id));
	}
	wire_put_uint(&b, "to", first + n - 1);
	wire_put_bool(&b, "more", false);
	wire_key(&b, "e");
	wire_array(&b, n);
	for (uint64_t seq = first; seq < first + n; seq++) {
		char *path = n == 1 ? xstrdup(name) : xasprintf("%s%llu", name, (unsigned long long)seq);
		wire_array(&b, 7);
		wire_bin(&b, bytes_of(path));
		free(path);
		wire_uint(&b, seq);
		wire_array(&b, !absent);
		if (!absent) {
			wire_array(&b, 8);
			wire_uint(&b, KIND_FILE);
			wire_uint(&b, 0);
			wire_int(&b, 1000000000);
			wire_fixed(&b, hash, sizeof(hash));
			wire_nil(&b);
			wire_uint(&b, 0);
			wire_uint(&b, seq);
			wire_uint(&b, 1000000000);
		}
		wire_array(&b, ids);
		for (unsigned i = 0; i < ids; i++) {
			wire_array(&b, 2);
			wire_uint(&b, i);
			wire_uint(&b, seq);
		}
		wire_nil(&b);
		if (absent)
			wire_fixed(&b, hash, sizeof(hash));
		else
			wire_nil(&b);
		wire_nil(&b);
	}
	if (!wire_finish(&b, mark))
		exit(1);
	say(&b);
	buf_release(&b);
}

static void do_header(void)
{
	uint32_t length = htonl((uint32_t)it.n);
	say_bytes(&length, sizeof(length));
	listen_to_the_end(DEADLINE_MS);
}

static void do_greeted_header(void)
{
	greet();
	do_header();
}

static void do_silent(void)
{
	listen_to_the_end(DEADLINE_MS);
}

static void do_garbage(void)
{
	say_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
	listen_to_the_end(DEADLINE_MS);
}

static void do_version(void)
{
	struct buf b = {0};
	hello(&b, 99, own_id);
	say(&b);
	listen_to_the_end(DEADLINE_MS);
}

static void do_cut(void)
{
	struct buf b = {0};
	greet();
	size_t mark = wire_begin_notification(&b, "ping");
	wire_map(&b, 0);
	wire_finish(&b, mark);
	say_bytes(b.data, b.len / 2);
	close(it.fd); /* no close-notify either */
	end("gone", "");
}

static void do_names(void)
{
	static const char *const names[] = {"..", "../x", ".", "", "/etc/x", "a//b", "a/", "a/./b", "a/../b",
		".tutti", ".tutti/x", ".TuTtI/x", ".tu\xe2\x80\x8btti/x", "\xef\xbb\xbf.tutti"};
	if (it.n >= sizeof(names) / sizeof(names[0]))
		exit(77);
	greet();
	announce(1, 1, names[it.n], 1, false);
	listen_to_the_end(DEADLINE_MS);
}

static void do_long_name(void)
{
	char *name = xmalloc(it.n + 1);
	for (unsigned long i = 0; i < it.n; i++)
		name[i] = i % 200 == 199 ? '/' : 'x';
	name[it.n] = '\0';
	greet();
	announce(1, 1, name, 1, false);
	listen_to_the_end(DEADLINE_MS);
}

static void do_vector(void)
{
	greet();
	announce(1, 1, "x", (unsigned)it.n, true);
	listen_to_the_end(QUIET_MS);
}

static void do_flood(void)
{
	greet();
	for (uint64_t seq = 1; seq < it.n && !it.over; seq += 1000) {
		announce(seq, 1000, "flood/", 1, true);
		while (hear(0))
			;
	}
	listen_to_the_end(QUIET_MS);
}

static void do_index(void)
{
	greet();
	announce(1, 1, "odd", 1, false);
	announce(1, 1, "odd", 1, false); /* what was said already */
	listen_to_the_end(QUIET_MS);
}

static void do_self(void)
{
	struct buf b = {0};
	meet();
	hello(&b, PROTOCOL_VERSION, it.server_id);
	say(&b);
	listen_to_the_end(DEADLINE_MS);
}

static void do_counters(void)
{
	struct buf b = {0};
	greet();
	size_t mark = wire_begin_notification(&b, "sync");
	wire_map(&b, 1);
	wire_key(&b, "seen");
	wire_array(&b, 1);
	wire_array(&b, 3);
	wire_fixed(&b, it.server_id, sizeof(it.server_id));
	wire_uint(&b, 1000000);
	wire_uint(&b, 1000000);
	wire_finish(&b, mark);
	say(&b);
	listen_to_the_end(DEADLINE_MS);
}

static void do_fetch_trash(void)
{
	struct buf b = {0};
	uint8_t hash[32] = {0};
	greet();
	size_t mark = wire_begin_request(&b, 1, "fetch");
	wire_map(&b, 5);
	wire_put_bin(&b, "path", bytes_of("x"));
	wire_put_fixed(&b, "hash", hash, sizeof(hash));
	wire_put_uint(&b, "off", 0);
	wire_put_uint(&b, "len", 100);
	wire_put_bin(&b, "trash", bytes_of("1.000000001-/../../../secret"));
	wire_finish(&b, mark);
	say(&b);
	const struct wire_frame *f;
	while ((f = hear(QUIET_MS)))
		if (f->kind == WIRE_RESPONSE)
			end(f->error ? "refused" : "served", "");
	end("silence", "");
}

/* Asks for all that is there, for ever, and reads none of it. */
static void do_deaf(void)
{
	struct buf b = {0};
	greet();
	for (uint32_t id = 1; !it.over; id++) {
		size_t mark = wire_begin_request(&b, id, "trash");
		wire_map(&b, 1);
		wire_put_uint(&b, "max", 500);
		wire_finish(&b, mark);
		struct pollfd f = {.fd = it.fd, .events = POLLOUT};
		if (poll(&f, 1, DEADLINE_MS) <= 0 || f.revents & (POLLERR | POLLHUP))
			break;
		say(&b);
	}
	end("closed", "");
}

static const struct attack {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{"silent", do_silent},
	{"garbage", do_garbage},
	{"header", do_header},                 /* N: the length of a frame of which nothing comes */
	{"greeted-header", do_greeted_header}, /* the same after hello */
	{"version", do_version},
	{"cut", do_cut},                       /* in the middle of a frame */
	{"name", do_names},                    /* N: which */
	{"long-name", do_long_name},           /* N: bytes */
	{"vector", do_vector},                 /* N: replicas in a context */
	{"flood", do_flood},                   /* N: entries */
	{"index", do_index},                   /* the same twice */
	{"self", do_self},                     /* the server's own replica id */
	{"counters", do_counters},             /* changes of the server that it never made */
	{"trash", do_fetch_trash},             /* a way out of the trash */
	{"deaf", do_deaf},
};

static int dial(const char *port, const char *keys, const char *what)
{
	const struct attack *a = attacks, *last = attacks + sizeof(attacks) / sizeof(attacks[0]);
	while (a < last && strcmp(a->name, what) != 0)
		a++;
	if (a == last)
		return 2;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)atoi(port))};
	it.fd = socket(AF_INET, SOCK_STREAM, 0);
	wire_frame_init(&it.frame);
	if (it.fd < 0 || connect(it.fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 1;
	if (strcmp(keys, "-") != 0) {
		struct identity *own;
		struct buf problem = {0};
		if (identity_open(&own, keys, &problem) < 0) {
			fprintf(stderr, "%.*s\n", (int)problem.len, (const char *)problem.data);
			return 1;
		}
		it.tls = tls_new(tls_context_new(own), true, NULL);
		(void)tls_read(it.tls, NULL, 0);
		flush_tls();
		while (!tls_ready(it.tls))
			if (!take(DEADLINE_MS))
				end("silence", "");
	}
	a->run();
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2)
		return answer(argv[1]);
	if (argc < 5 || argc > 6 || strcmp(argv[1], "dial") != 0)
		return 2;
	it.n = argc == 6 ? strtoul(argv[5], NULL, 0) : 0;
	return dial(argv[2], argv[3], argv[4]);
}
