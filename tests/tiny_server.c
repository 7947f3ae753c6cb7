/* Owns the server that tests of clients talk to. */
#include "config.h"
#include "tiny_server.h"

#include "address.h"

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

char *tiny_folder(void)
{
	char *folder = xstrdup("/tmp/tutti-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	return folder;
}

void tiny_folder_remove(char *folder)
{
	ck_assert_int_eq(rmdir(folder), 0);
	free(folder);
}

static void send_frame(struct tiny_server *t, struct buf *frame)
{
	if (t->conn)
		conn_send(t->conn, frame);
	buf_release(frame);
}

static void say_hello(struct tiny_server *t)
{
	static const uint8_t id[16] = {1};
	struct buf b = {0};
	if (!t->proto)
		return;
	size_t mark = wire_begin_notification(&b, "hello");
	wire_map(&b, 6);
	wire_put_uint(&b, "proto", t->proto);
	wire_put_text(&b, "role", "peer");
	wire_put_text(&b, "name", t->name);
	wire_put_fixed(&b, "id", id, sizeof(id));
	wire_put_uint(&b, "seq", 0);
	wire_key(&b, "features");
	wire_array(&b, t->feature != NULL);
	if (t->feature)
		wire_text(&b, t->feature);
	ck_assert(wire_finish(&b, mark));
	send_frame(t, &b);
}

bool tiny_is(const struct wire_frame *f, const char *method)
{
	return bytes_eq(f->method, bytes_of(method));
}

static void on_frame(struct conn *c, const struct wire_frame *f, void *ctx)
{
	struct tiny_server *t = ctx;
	if (f->kind == WIRE_NOTIFICATION && tiny_is(f, "hello")) {
		t->hellos++;
		conn_greeted(c);
	} else if (f->kind == WIRE_REQUEST) {
		t->requests++;
		if (t->on_request)
			t->on_request(t, f);
	}
}

static void on_close(struct conn *c, const char *reason, void *ctx)
{
	struct tiny_server *t = ctx;
	(void)reason;
	if (t->conn == c)
		t->conn = NULL;
}

static void on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
	static const struct conn_callbacks callbacks = {.on_frame = on_frame, .on_close = on_close};
	struct tiny_server *t = w->data;
	(void)revents;
	int fd = accept(w->fd, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	t->conn = conn_new(loop, fd, &callbacks, t);
	say_hello(t);
}

static int listen_local(struct tiny_server *t, const char *folder, const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	t->path = xasprintf("%s/%s.sock", folder, name);
	ck_assert_uint_lt(strlen(t->path), sizeof(un.sun_path));
	strcpy(un.sun_path, t->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static int listen_port(struct tiny_server *t)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	struct buf shown = {0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	address_format(&shown, (struct sockaddr *)&in);
	snprintf(t->address, sizeof(t->address), "%.*s", (int)shown.len, (char *)shown.data);
	buf_release(&shown);
	return fd;
}

void tiny_start(struct tiny_server *t, struct ev_loop *loop, const char *folder, const char *name)
{
	*t = (struct tiny_server){.loop = loop, .name = name, .proto = 1};
	int fd = folder ? listen_local(t, folder, name) : listen_port(t);
	ck_assert_int_eq(listen(fd, 16), 0);
	ev_io_init(&t->listener, on_connection, fd, EV_READ);
	t->listener.data = t;
	ev_io_start(loop, &t->listener);
}

void tiny_cut(struct tiny_server *t)
{
	if (t->conn)
		conn_forget(t->conn);
	t->conn = NULL;
}

void tiny_stop(struct tiny_server *t)
{
	ev_io_stop(t->loop, &t->listener);
	close(t->listener.fd);
	tiny_cut(t);
	ev_run(t->loop, EVRUN_NOWAIT); /* the connection is closed at the end of a turn */
	if (t->path)
		unlink(t->path);
	free(t->path);
	t->path = NULL;
}

void tiny_answer(struct tiny_server *t, const struct wire_frame *f, const struct buf *result)
{
	struct buf b = {0};
	size_t mark = wire_begin_response(&b, f->id);
	buf_add(&b, result->data, result->len);
	ck_assert(wire_finish(&b, mark));
	send_frame(t, &b);
}

void tiny_refuse(struct tiny_server *t, const struct wire_frame *f, const char *code,
		 const char *text)
{
	struct buf b = {0};
	wire_error(&b, f->id, code, "%s", text);
	send_frame(t, &b);
}

void tiny_notify(struct tiny_server *t, const char *method, const struct buf *params)
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, method);
	buf_add(&b, params->data, params->len);
	ck_assert(wire_finish(&b, mark));
	send_frame(t, &b);
}

void tiny_send_raw(struct tiny_server *t, const void *p, size_t len)
{
	struct buf b = {0};
	buf_add(&b, p, len);
	send_frame(t, &b);
}
