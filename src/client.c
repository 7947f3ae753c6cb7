/*
 * Owns a program's connection to its server:
 *
 *	waiting --timer--> connecting --writable--> greeting --hello--> up
 *	   ^                   |                       |                |
 *	   +--- lost() --------+-----------------------+----------------+
 *
 * "waiting" has a timer only when there is to be another attempt. Whatever ends an attempt or a
 * connection goes through lost(), which answers all open calls and tells the owner. "connecting" begins with
 * looking up the name, if there is one, and goes through its addresses until one answers.
 */
#include "config.h"
#include "client.h"

#include "address.h"
#include "conn.h"
#include "lookup.h"
#include "message.h"
#include "places.h"
#include "secure.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const double connect_s = 10;
static const double retry_first_s = 0.1, retry_last_s = 10;

enum client_state { WAITING, CONNECTING, GREETING, UP };

struct call {
	uint32_t id;
	enum message method;
	client_answer_cb *answer;
	void *ctx;
};

struct client {
	struct ev_loop *loop;
	struct client_callbacks callbacks;
	void *ctx;
	char *address;
	char *program;
	struct endpoint to;   /* what the address says */
	struct identity *identity;
	struct tls_context *tls; /* NULL until it is needed */
	bool reconnect;
	enum client_state state;
	struct conn *conn;    /* GREETING, UP, and until its on_close() */
	struct lookup *lookup; /* CONNECTING */
	struct addresses found;
	size_t next;          /* of them, to be tried */
	int fd;               /* CONNECTING */
	ev_io writable;       /* CONNECTING */
	ev_timer timer;       /* WAITING: the next attempt; CONNECTING: the limit */
	unsigned tries;
	bool only_looks;      /* of the last hello */
	uint64_t failures;    /* ever; for client_run_until_up() */
	struct buf reason;    /* NUL-terminated */
	struct buf farewell;  /* what the server's bye said, to be the reason; NUL-terminated */
	struct buf server;    /* its name; NUL-terminated */
	struct call *calls;   /* in the order of their ids */
	size_t n_calls, cap_calls;
	uint32_t last_id;
};

static void set_text(struct buf *b, const char *s)
{
	buf_clear(b);
	buf_add(b, s, strlen(s) + 1);
}

/* --- the end of an attempt or a connection, and the next one */

static void answer_all_lost(struct client *c)
{
	struct client_error error = {ERROR_LOST, (const char *)c->reason.data};
	struct call *calls = c->calls;
	size_t n = c->n_calls;
	c->calls = NULL;
	c->n_calls = c->cap_calls = 0;
	for (size_t i = 0; i < n; i++) {
		if (calls[i].answer)
			calls[i].answer(calls[i].ctx, NULL, &error);
	}
	free(calls);
}

/* Doubles from the first to the last delay, less up to half of it at random, so that many
 * clients do not come back at one instant. */
static double retry_delay(const struct client *c)
{
	double delay = retry_first_s;
	for (unsigned i = 1; i < c->tries && delay < retry_last_s; i++)
		delay *= 2;
	if (delay > retry_last_s)
		delay = retry_last_s;
	double now = ev_now(c->loop);
	uint64_t chance = hash64(&now, sizeof(now), (uint64_t)getpid()) & 0xffff;
	return delay * (1 - (double)chance / 0x20000);
}

static void wait_for(struct client *c, double delay_s)
{
	ev_timer_stop(c->loop, &c->timer);
	ev_timer_set(&c->timer, delay_s, 0);
	ev_timer_start(c->loop, &c->timer);
}

/* `reason` may be foreign. */
static void lost(struct client *c, const char *reason)
{
	ev_io_stop(c->loop, &c->writable);
	ev_timer_stop(c->loop, &c->timer);
	lookup_cancel(c->lookup);
	c->lookup = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = WAITING;
	c->failures++;
	buf_clear(&c->reason);
	text_show(&c->reason, bytes_of(reason));
	buf_add_char(&c->reason, '\0');
	if (c->reconnect)
		wait_for(c, retry_delay(c));
	answer_all_lost(c);
	if (c->callbacks.down)
		c->callbacks.down(c->ctx, (const char *)c->reason.data);
}

/* --- frames from the server */

static void on_hello(struct client *c, const msgpack_object *params)
{
	uint64_t proto;
	struct bytes name;
	wire_get_uint(params, "proto", UINT32_MAX, &proto);
	if (proto != PROTOCOL_VERSION) {
		char text[128];
		snprintf(text, sizeof(text), "the server speaks version %" PRIu64 " of the protocol, this program "
			 "version %u; use the same version of tutti on both", proto, PROTOCOL_VERSION);
		conn_close(c->conn, text);
		return;
	}
	wire_get_str(params, "name", &name);
	buf_clear(&c->server);
	buf_add(&c->server, name.p, name.len);
	buf_add_char(&c->server, '\0');
	c->only_looks = message_hello_has(params, "viewer");
	conn_greeted(c->conn);
	c->state = UP;
	c->tries = 0;
	set_text(&c->reason, "");
	if (c->callbacks.up)
		c->callbacks.up(c->ctx);
}

static void on_bye(struct client *c, const msgpack_object *params)
{
	struct bytes code, text;
	message_error_parts(params, &code, &text);
	buf_clear(&c->farewell);
	if (c->tls && bytes_eq(code, bytes_of(BYE_STRANGER))) {
		char id[KEY_ID_TEXT + 1];
		key_id_write(id, identity_id(c->identity));
		buf_addf(&c->farewell, "this client's key is not trusted there yet; who runs that "
				       "server says yes with: tutti trust %s --role client", id);
	} else {
		buf_addf(&c->farewell, "the server ended the connection: ");
		buf_add(&c->farewell, text.len ? text.p : code.p, text.len ? text.len : code.len);
	}
	buf_add_char(&c->farewell, '\0');
	conn_close(c->conn, "bye");
}

static void on_notification(struct client *c, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	bool greeted = c->state == UP;
	int m = message_check(f, greeted ? PARTY_SERVER : PARTY_SERVER | PARTY_PEER,
			      greeted ? PHASE_GREETED : PHASE_STRANGER, why);
	if (m < 0)
		conn_bye(c->conn, BYE_PROTOCOL, why);
	else if (m == MESSAGE_BYE)
		on_bye(c, f->params);
	else if (m == MESSAGE_HELLO)
		on_hello(c, f->params);
	else if (m != MESSAGE_PING && c->callbacks.notify)
		c->callbacks.notify(c->ctx, message_name((enum message)m), f->params);
}

static void give_answer(const struct call *call, const struct wire_frame *f)
{
	if (!call->answer)
		return;
	if (!f->error) {
		call->answer(call->ctx, f->result, NULL);
		return;
	}
	struct bytes code, text;
	struct buf shown_code = {0}, shown_text = {0};
	message_error_parts(f->error, &code, &text);
	text_show(&shown_code, code);
	buf_add_char(&shown_code, '\0');
	text_show(&shown_text, text.len ? text : code);
	buf_add_char(&shown_text, '\0');
	struct client_error error = {(const char *)shown_code.data, (const char *)shown_text.data};
	call->answer(call->ctx, NULL, &error);
	buf_release(&shown_code);
	buf_release(&shown_text);
}

static void on_response(struct client *c, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	size_t i = 0;
	while (i < c->n_calls && c->calls[i].id != f->id)
		i++;
	if (i == c->n_calls) {
		conn_bye(c->conn, BYE_PROTOCOL, "an answer to nothing that was asked");
		return;
	}
	struct call call = c->calls[i];
	if (!message_check_response(f, call.method, why)) {
		conn_bye(c->conn, BYE_PROTOCOL, why);
		return;
	}
	c->n_calls--;
	memmove(&c->calls[i], &c->calls[i + 1], (c->n_calls - i) * sizeof(*c->calls));
	give_answer(&call, f);
}

static void on_frame(struct conn *conn, const struct wire_frame *f, void *ctx)
{
	struct client *c = ctx;
	switch (f->kind) {
	case WIRE_NOTIFICATION:
		on_notification(c, f);
		return;
	case WIRE_RESPONSE:
		on_response(c, f);
		return;
	case WIRE_REQUEST:
		conn_bye(conn, BYE_PROTOCOL, "a client answers no requests");
		return;
	}
}

static void on_close(struct conn *conn, const char *reason, void *ctx)
{
	struct client *c = ctx;
	(void)conn;
	c->conn = NULL;
	if (!c->farewell.len && c->state == GREETING && !c->to.has_id && !strchr(c->address, '/')) {
		buf_addf(&c->farewell, "%s; a server that is not --plain is reached as "
				       "ID@HOST:PORT", reason);
		buf_add_char(&c->farewell, '\0');
	}
	if (c->farewell.len)
		reason = (const char *)c->farewell.data;
	lost(c, reason);
	buf_clear(&c->farewell);
}

/* --- connecting */

static void say_hello(struct client *c)
{
	struct buf frame = {0};
	size_t mark = wire_begin_notification(&frame, message_name(MESSAGE_HELLO));
	wire_map(&frame, 5);
	wire_put_uint(&frame, "proto", PROTOCOL_VERSION);
	wire_put_text(&frame, "role", "client");
	wire_put_text(&frame, "name", c->program);
	wire_put_uint(&frame, "seq", 0);
	wire_key(&frame, "features");
	wire_array(&frame, 0);
	wire_finish(&frame, mark);
	conn_send(c->conn, &frame);
	buf_release(&frame);
}

static void on_ready(struct conn *conn, const struct key_id *peer, void *ctx)
{
	(void)conn, (void)peer; /* the one that was expected */
	say_hello(ctx);
}

static void connected(struct client *c)
{
	static const struct conn_callbacks callbacks = {.on_frame = on_frame, .on_close = on_close};
	ev_io_stop(c->loop, &c->writable);
	ev_timer_stop(c->loop, &c->timer);
	c->conn = conn_new(c->loop, c->fd, &callbacks, c);
	c->fd = -1;
	c->state = GREETING;
	if (c->to.has_id)
		secure_start(c->conn, c->tls, true, &c->to.id, on_ready, c);
	else
		say_hello(c);
}

static const char *connect_problem(int error)
{
	switch (error) {
	case ENOENT:
		return "there is no such socket";
	case ECONNREFUSED:
		return "no server listens there";
	case ETIMEDOUT:
		return "no answer to the attempt to connect";
	case EAGAIN:
		return "the server has too many callers just now";
	default:
		return strerror(error);
	}
}

static void try_next(struct client *c);

/* A connection of a port on loopback to itself: what happens now and then to whoever asks again
 * and again for a port that nobody listens on. */
static bool is_own_echo(int fd)
{
	struct address own = {.sa_len = sizeof(own.sa)}, other = {.sa_len = sizeof(other.sa)};
	if (getsockname(fd, (struct sockaddr *)&own.sa, &own.sa_len) ||
	    getpeername(fd, (struct sockaddr *)&other.sa, &other.sa_len))
		return false;
	return own.sa.ss_family != AF_UNIX && address_eq(&own, &other);
}

/* This address does not answer: the next one, or that was it. */
static void no_way(struct client *c, int error)
{
	ev_io_stop(c->loop, &c->writable);
	ev_timer_stop(c->loop, &c->timer);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->next < c->found.n)
		try_next(c);
	else
		lost(c, connect_problem(error));
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *c = w->data;
	int error = 0;
	socklen_t len = sizeof(error);
	(void)loop, (void)revents;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (!error && is_own_echo(c->fd))
		error = ECONNREFUSED;
	if (error)
		no_way(c, error);
	else
		connected(c);
}

static void try_next(struct client *c)
{
	const struct address *to = &c->found.at[c->next++];
	c->fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd >= 0 && !connect(c->fd, (const struct sockaddr *)&to->sa, to->sa_len)) {
		connected(c);
	} else if (c->fd >= 0 && errno == EINPROGRESS) {
		ev_io_set(&c->writable, c->fd, EV_WRITE);
		ev_io_start(c->loop, &c->writable);
		wait_for(c, connect_s);
	} else {
		no_way(c, errno);
	}
}

static void on_looked_up(void *ctx, const struct addresses *found, const char *problem)
{
	struct client *c = ctx;
	c->lookup = NULL;
	ev_timer_stop(c->loop, &c->timer);
	for (size_t i = 0; !problem && !c->to.has_id && i < found->n; i++)
		if (!address_is_loopback(&found->at[i]))
			problem = "another machine is reached only as ID@HOST:PORT";
	if (problem) {
		lost(c, problem);
		return;
	}
	c->found = *found;
	try_next(c);
}

/* The address was checked by client_find(), but callers may bring their own. */
static bool socket_address(const char *text, struct endpoint *out)
{
	struct buf problem = {0};
	if (strchr(text, '/')) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		if (strlen(text) >= sizeof(un.sun_path))
			return false;
		memcpy(un.sun_path, text, strlen(text) + 1);
		*out = (struct endpoint){.has_address = true};
		memcpy(&out->at.sa, &un, sizeof(un));
		out->at.sa_len = sizeof(un);
		return true;
	}
	bool ok = endpoint_parse(text, out, &problem) && out->has_address &&
		  (out->has_id || address_is_name(&out->at) || address_is_loopback(&out->at));
	buf_release(&problem);
	return ok;
}

/* Our key, read or made when it is first needed. False with the reason. */
static bool have_key(struct client *c, struct buf *problem)
{
	if (c->tls)
		return true;
	char *dir = place_client();
	if (!dir)
		buf_addf(problem, "no home directory for the key of this client");
	if (dir && identity_open(&c->identity, dir, problem) == 0)
		c->tls = tls_context_new(c->identity);
	free(dir);
	return c->tls;
}

static void attempt(struct client *c)
{
	struct buf problem = {0};
	c->tries++;
	if (!socket_address(c->address, &c->to)) {
		lost(c, "not an address to connect to");
		return;
	}
	if (c->to.has_id && !have_key(c, &problem)) {
		buf_add_char(&problem, '\0');
		lost(c, (const char *)problem.data);
		buf_release(&problem);
		return;
	}
	c->state = CONNECTING;
	c->next = 0;
	if (address_is_name(&c->to.at)) {
		c->lookup = lookup_start(c->loop, &c->to.at, on_looked_up, c);
		wait_for(c, connect_s);
	} else {
		c->found = (struct addresses){{c->to.at}, 1};
		try_next(c);
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *c = w->data;
	(void)loop, (void)revents;
	if (c->lookup)
		lost(c, "no answer from the name service");
	else if (c->state == CONNECTING)
		no_way(c, ETIMEDOUT);
	else
		attempt(c);
}

/* --- for the owner */

struct client *client_new(struct ev_loop *loop, const char *address, const char *program,
			  bool reconnect, const struct client_callbacks *callbacks, void *ctx)
{
	struct client *c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->callbacks = *callbacks;
	c->ctx = ctx;
	c->address = xstrdup(address);
	c->program = xstrdup(program);
	c->reconnect = reconnect;
	c->fd = -1;
	set_text(&c->reason, "");
	set_text(&c->server, "");
	ev_init(&c->writable, on_writable);
	ev_init(&c->timer, on_timer);
	c->writable.data = c->timer.data = c;
	wait_for(c, 0);
	return c;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	ev_io_stop(c->loop, &c->writable);
	ev_timer_stop(c->loop, &c->timer);
	if (c->conn)
		conn_forget(c->conn);
	if (c->fd >= 0)
		close(c->fd);
	lookup_cancel(c->lookup);
	buf_release(&c->reason);
	buf_release(&c->farewell);
	buf_release(&c->server);
	tls_context_free(c->tls);
	identity_free(c->identity);
	free(c->calls);
	free(c->address);
	free(c->program);
	free(c);
}

bool client_is_up(const struct client *c)
{
	return c->state == UP && !conn_ending(c->conn);
}

const char *client_address(const struct client *c)
{
	return c->address;
}

const char *client_server_name(const struct client *c)
{
	return (const char *)c->server.data;
}

bool client_only_looks(const struct client *c)
{
	return c->only_looks;
}

const char *client_reason(const struct client *c)
{
	return (const char *)c->reason.data;
}

int64_t client_retry_ms(const struct client *c)
{
	if (c->state != WAITING || !ev_is_active(&c->timer))
		return -1;
	double left_s = ev_timer_remaining(c->loop, (ev_timer *)&c->timer);
	return left_s > 0 ? (int64_t)(left_s * 1000) : 0;
}

unsigned client_tries(const struct client *c)
{
	return c->tries;
}

void client_retry_now(struct client *c)
{
	if (c->state == WAITING)
		wait_for(c, 0);
}

bool client_call(struct client *c, const char *method, struct buf *params,
		 client_answer_cb *answer, void *ctx)
{
	struct buf frame = {0};
	int m = message_find(bytes_of(method), WIRE_REQUEST);
	assert(m >= 0);
	struct call call = {
		.id = c->last_id + 1,
		.method = (enum message)m,
		.answer = answer,
		.ctx = ctx,
	};
	bool sent = false;
	if (client_is_up(c)) {
		size_t mark = wire_begin_request(&frame, call.id, method);
		if (params->len)
			buf_add(&frame, params->data, params->len);
		else
			wire_map(&frame, 0);
		sent = wire_finish(&frame, mark);
	}
	buf_clear(params);
	if (sent) {
		c->last_id = call.id;
		GROW(c->calls, c->cap_calls, c->n_calls + 1);
		c->calls[c->n_calls++] = call;
		conn_send(c->conn, &frame);
	}
	buf_release(&frame);
	return sent;
}

int client_run_until_up(struct client *c)
{
	uint64_t before = c->failures;
	if (c->state == WAITING && c->failures && !ev_is_active(&c->timer))
		return -ENOTCONN;
	while (!client_is_up(c)) {
		ev_run(c->loop, EVRUN_ONCE);
		if (c->failures != before)
			return -ENOTCONN;
	}
	return 0;
}

struct run {
	client_answer_cb *answer;
	void *ctx;
	bool done;
	int result;
};

static void on_run_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	struct run *run = ctx;
	run->done = true;
	if (error)
		run->result = strcmp(error->code, ERROR_LOST) ? -EREMOTEIO : -ENOTCONN;
	if (run->answer)
		run->answer(run->ctx, result, error);
}

int client_run(struct client *c, const char *method, struct buf *params, client_answer_cb *answer,
	       void *ctx)
{
	struct run run = {answer, ctx, false, 0};
	if (!client_call(c, method, params, on_run_answer, &run)) {
		bool down = !client_is_up(c);
		struct client_error error = {
			down ? ERROR_LOST : ERROR_BAD_REQUEST,
			down ? (*c->reason.data ? client_reason(c) : "not connected")
			     : "the request is too large",
		};
		on_run_answer(&run, NULL, &error);
	}
	while (!run.done)
		ev_run(c->loop, EVRUN_ONCE);
	return run.result;
}
