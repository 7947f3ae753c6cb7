/* Tests of the client: finding servers, hello, calls, notifications, hostile servers, and what
 * happens when the server goes away. */
#include "config.h"
#include "client.h"

#include "fake_names.h"
#include "suite.h"
#include "tiny_server.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct ev_loop *loop;
static char *folder;
static struct tiny_server server;
static struct client *client;

/* What the client said, as words in order: "up", "down", "answer", "lost", "notify:METHOD". */
static struct buf story;
static char last_text[256];

static const char *told(void)
{
	buf_add_char(&story, '\0');
	story.len--;
	return (const char *)story.data;
}

static void on_up(void *ctx)
{
	(void)ctx;
	buf_addf(&story, "up ");
}

static void on_down(void *ctx, const char *reason)
{
	(void)ctx;
	buf_addf(&story, "down ");
	snprintf(last_text, sizeof(last_text), "%s", reason);
}

static void on_notify(void *ctx, const char *method, const msgpack_object *params)
{
	(void)ctx, (void)params;
	buf_addf(&story, "%s ", method);
}

static const struct client_callbacks callbacks = {on_up, on_down, on_notify};

static void on_answer(void *ctx, const msgpack_object *result, const struct client_error *error)
{
	ck_assert((result == NULL) != (error == NULL));
	buf_addf(&story, "%s:%s ", (const char *)ctx, error ? error->code : "result");
	if (error)
		snprintf(last_text, sizeof(last_text), "%s", error->text);
}

static void on_limit(struct ev_loop *l, ev_timer *t, int revents)
{
	(void)l, (void)t, (void)revents;
	ck_abort_msg("waited too long; the story so far: \"%s\"", told());
}

/* Runs the loop until the story has these words, in order and nothing after them. */
static void run_until(const char *words)
{
	ev_timer limit;
	ev_timer_init(&limit, on_limit, 20, 0);
	ev_timer_start(loop, &limit);
	while (strcmp(told(), words)) {
		ck_assert_msg(!strncmp(words, told(), story.len), "\"%s\", not \"%s\"", told(),
			      words);
		ev_run(loop, EVRUN_ONCE);
	}
	ev_timer_stop(loop, &limit);
	buf_clear(&story);
}

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	folder = tiny_folder();
	tiny_start(&server, loop, folder, "alpha");
}

static void teardown(void)
{
	client_free(client);
	client = NULL;
	tiny_stop(&server);
	tiny_folder_remove(folder);
	buf_release(&story);
	ev_loop_destroy(loop);
}

static void connect_client(bool reconnect)
{
	client = client_new(loop, server.path ? server.path : server.address, "test", reconnect,
			    &callbacks, NULL);
}

static bool call(const char *method, const char *name)
{
	struct buf none = {0};
	return client_call(client, method, &none, on_answer, (void *)(uintptr_t)name);
}

static void answer_with_nothing(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf result = {0};
	wire_map(&result, 0);
	tiny_answer(t, f, &result);
	buf_release(&result);
}

static void answer_peers(struct tiny_server *t, const struct wire_frame *f)
{
	struct buf result = {0};
	wire_map(&result, 1);
	wire_key(&result, "peers");
	wire_array(&result, 0);
	tiny_answer(t, f, &result);
	buf_release(&result);
}

/* --- the connection */

START_TEST(hello_makes_it_up)
{
	connect_client(false);
	ck_assert(!client_is_up(client));
	ck_assert_str_eq(client_server_name(client), "");
	ck_assert(!call("peers", "a"));
	run_until("up ");
	ck_assert(client_is_up(client));
	ck_assert_str_eq(client_server_name(client), "alpha");
	ck_assert_str_eq(client_reason(client), "");
	ck_assert_str_eq(client_address(client), server.path);
	ck_assert_int_eq(client_retry_ms(client), -1);
}
END_TEST

START_TEST(who_may_only_look_is_told)
{
	static const char *const features[] = {NULL, "read-only", "viewer"};
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		server.feature = features[i];
		connect_client(false);
		run_until("up ");
		ck_assert_int_eq(client_only_looks(client), i == 2);
		client_free(client);
		client = NULL;
	}
}
END_TEST

START_TEST(a_port_works_like_a_socket)
{
	tiny_stop(&server);
	tiny_start(&server, loop, NULL, "alpha");
	connect_client(false);
	run_until("up ");
	ck_assert_str_eq(client_server_name(client), "alpha");
}
END_TEST

/* The tiny server has a port of 127.0.0.1; no ID, so all addresses of the name must be loopback. */
static void connect_by_name(const char *name, bool reconnect)
{
	tiny_stop(&server);
	tiny_start(&server, loop, NULL, "alpha");
	char *address = xasprintf("%s%s", name, strchr(server.address, ':'));
	client = client_new(loop, address, "test", reconnect, &callbacks, NULL);
	ck_assert_str_eq(client_address(client), address);
	free(address);
}

START_TEST(a_name_works_like_its_addresses)
{
	static const char *const names[] = {"one.test", "second.test", "both.test"};
	connect_by_name(names[_i], false);
	run_until("up ");
	ck_assert_str_eq(client_server_name(client), "alpha");
}
END_TEST

START_TEST(a_name_that_will_not_do_says_why)
{
	static const char *const says[][2] = {
		{"nobody.test", "no such host"},
		{"silent.test", "no answer from the name service"},
		{"mixed.test", "another machine is reached only as ID@HOST:PORT"},
		{"nine.test", "no server listens there"},
	};
	connect_by_name(says[_i][0], false);
	run_until("down ");
	ck_assert_str_eq(last_text, says[_i][1]);
	ck_assert_uint_eq(server.hellos, 0);
}
END_TEST

START_TEST(a_name_is_looked_up_at_each_attempt)
{
	connect_by_name("silent.test", true);
	run_until("down down down ");
	ck_assert_uint_ge(names_asked(), 3);
}
END_TEST

START_TEST(a_client_may_go_while_its_name_is_looked_up)
{
	names_hold();
	connect_by_name("slow.test", false);
	while (!names_asked())
		ev_run(loop, EVRUN_NOWAIT);
	client_free(client);
	client = NULL;
	names_go_on();
}
END_TEST

START_TEST(calls_are_answered_in_order)
{
	server.on_request = answer_peers;
	connect_client(false);
	run_until("up ");
	ck_assert(call("peers", "a"));
	ck_assert(call("peers", "b"));
	ck_assert(client_call(client, "peers", &(struct buf){0}, NULL, NULL));
	ck_assert(call("peers", "c"));
	run_until("a:result b:result c:result ");
	ck_assert_uint_eq(server.requests, 4);
}
END_TEST

static void refuse(struct tiny_server *t, const struct wire_frame *f)
{
	tiny_refuse(t, f, "not-found", "there is no \x1b[31mtable");
}

START_TEST(a_refusal_has_code_and_safe_text)
{
	server.on_request = refuse;
	connect_client(false);
	run_until("up ");
	ck_assert(call("peers", "a"));
	run_until("a:not-found ");
	ck_assert_str_eq(last_text, "there is no \\x1b[31mtable");
	ck_assert(client_is_up(client));
}
END_TEST

START_TEST(running_waits_for_the_answer)
{
	struct buf none = {0};
	server.on_request = answer_peers;
	connect_client(false);
	ck_assert_int_eq(client_run(client, "peers", &none, on_answer, (void *)"early"), -ENOTCONN);
	run_until("early:lost ");
	ck_assert_int_eq(client_run_until_up(client), 0);
	buf_clear(&story);
	ck_assert_int_eq(client_run(client, "peers", &none, on_answer, (void *)"a"), 0);
	ck_assert_str_eq(told(), "a:result ");
	server.on_request = refuse;
	ck_assert_int_eq(client_run(client, "peers", &none, NULL, NULL), -EREMOTEIO);
	buf_clear(&story);
}
END_TEST

START_TEST(too_large_a_request_is_not_sent)
{
	struct buf huge = {0};
	connect_client(false);
	run_until("up ");
	wire_map(&huge, 1);
	wire_key(&huge, "x");
	uint8_t *p = xcalloc(1, WIRE_FRAME_MAX);
	wire_bin(&huge, (struct bytes){p, WIRE_FRAME_MAX});
	ck_assert(!client_call(client, "peers", &huge, on_answer, (void *)"a"));
	ck_assert_uint_eq(huge.len, 0);
	ck_assert(client_is_up(client));
	free(p);
	buf_release(&huge);
}
END_TEST

START_TEST(notifications_are_passed_on)
{
	struct buf params = {0};
	connect_client(false);
	run_until("up ");
	wire_map(&params, 6);
	wire_put_uint(&params, "n", 1);
	wire_put_int(&params, "time", 1);
	wire_put_text(&params, "event", "changed");
	wire_put_bin(&params, "path", bytes_of("a"));
	wire_put_text(&params, "replica", "alpha");
	wire_put_text(&params, "detail", "");
	tiny_notify(&server, "event", &params);
	tiny_notify(&server, "event", &params);
	run_until("event event ");
	buf_clear(&params);
	wire_map(&params, 0);
	tiny_notify(&server, "ping", &params); /* is the connection's own affair */
	server.on_request = answer_peers;
	ck_assert(call("peers", "a"));
	run_until("a:result ");
	buf_release(&params);
}
END_TEST

/* --- the server goes away */

START_TEST(open_calls_are_answered_before_the_loss_is_told)
{
	connect_client(false);
	run_until("up ");
	ck_assert(call("peers", "a"));
	ck_assert(call("status", "b"));
	while (server.requests < 2)
		ev_run(loop, EVRUN_ONCE);
	tiny_cut(&server);
	run_until("a:lost b:lost down ");
	ck_assert(!client_is_up(client));
	ck_assert_uint_gt(strlen(client_reason(client)), 0);
	ck_assert_int_eq(client_retry_ms(client), -1);
	ck_assert(!call("peers", "c"));
	ck_assert_int_eq(client_run_until_up(client), -ENOTCONN);
}
END_TEST

START_TEST(it_comes_back_when_asked_to)
{
	connect_client(true);
	run_until("up ");
	tiny_cut(&server);
	run_until("down ");
	ck_assert_int_ge(client_retry_ms(client), 0);
	ck_assert_int_le(client_retry_ms(client), 200);
	run_until("up ");
	ck_assert_uint_eq(server.hellos, 2);
	ck_assert_uint_eq(client_tries(client), 0);
}
END_TEST

START_TEST(it_waits_longer_and_longer_for_a_server_that_is_gone)
{
	connect_client(true);
	run_until("up ");
	tiny_stop(&server);
	run_until("down ");
	int64_t longest = 0;
	for (unsigned i = 1; i <= 12; i++) {
		client_retry_now(client);
		run_until("down ");
		ck_assert_str_eq(last_text, "there is no such socket");
		ck_assert_uint_eq(client_tries(client), i);
		ck_assert_int_le(client_retry_ms(client), 10000);
		longest = client_retry_ms(client) > longest ? client_retry_ms(client) : longest;
	}
	ck_assert_int_ge(longest, 4000);
	tiny_start(&server, loop, folder, "alpha");
	client_retry_now(client);
	run_until("up ");
}
END_TEST

START_TEST(nobody_there_is_said)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char *path = xasprintf("%s/dead.sock", folder);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd); /* the file stays */
	client = client_new(loop, path, "test", false, &callbacks, NULL);
	ck_assert_int_eq(client_run_until_up(client), -ENOTCONN);
	ck_assert_str_eq(client_reason(client), "no server listens there");
	unlink(path);
	free(path);
	buf_clear(&story);
}
END_TEST

START_TEST(nothing_is_called_after_it_was_freed)
{
	connect_client(true);
	run_until("up ");
	ck_assert(call("peers", "a"));
	client_free(client);
	client = NULL;
	for (int i = 0; i < 10; i++)
		ev_run(loop, EVRUN_NOWAIT);
	ck_assert_str_eq(told(), "");
}
END_TEST

/* --- servers that do what they should not */

START_TEST(another_version_is_refused)
{
	server.proto = 2;
	connect_client(false);
	run_until("down ");
	ck_assert_ptr_nonnull(strstr(last_text, "version"));
}
END_TEST

START_TEST(a_bye_gives_the_reason)
{
	struct buf params = {0};
	server.proto = 0;
	connect_client(false);
	while (!server.hellos)
		ev_run(loop, EVRUN_ONCE);
	wire_map(&params, 2);
	wire_put_text(&params, "code", "refused");
	wire_put_text(&params, "text", "go \x07""away");
	tiny_notify(&server, "bye", &params);
	run_until("down ");
	ck_assert_str_eq(last_text, "the server ended the connection: go \\x07away");
	buf_release(&params);
}
END_TEST

static void send_offence(struct tiny_server *t, int which)
{
	struct buf b = {0};
	size_t mark;
	switch (which) {
	case 0: /* an answer to nothing */
		mark = wire_begin_response(&b, 4711);
		wire_map(&b, 0);
		break;
	case 1: /* a request */
		mark = wire_begin_request(&b, 1, "peers");
		wire_map(&b, 0);
		break;
	case 2: /* an unknown notification */
		mark = wire_begin_notification(&b, "surprise");
		wire_map(&b, 0);
		break;
	case 3: /* a known one without its fields */
		mark = wire_begin_notification(&b, "event");
		wire_map(&b, 0);
		break;
	case 4: /* a second hello */
		mark = wire_begin_notification(&b, "hello");
		wire_map(&b, 2);
		wire_put_uint(&b, "proto", 1);
		wire_put_text(&b, "role", "peer");
		break;
	default: /* no msgpack */
		tiny_send_raw(t, "\0\0\0\1\xc1", 5);
		return;
	}
	ck_assert(wire_finish(&b, mark));
	tiny_send_raw(t, b.data, b.len);
	buf_release(&b);
}

START_TEST(offences_end_the_connection)
{
	connect_client(false);
	run_until("up ");
	send_offence(&server, _i);
	run_until("down ");
	ck_assert_uint_gt(strlen(last_text), 0);
}
END_TEST

START_TEST(a_result_that_is_none_ends_the_connection)
{
	server.on_request = answer_with_nothing;
	connect_client(false);
	run_until("up ");
	ck_assert(call("peers", "a"));
	run_until("a:lost down ");
}
END_TEST

/* --- finding */

static struct buf address, problem;

static int find(const char *wanted)
{
	buf_clear(&address);
	buf_clear(&problem);
	int r = client_find(wanted, &address, &problem);
	buf_add_char(&address, '\0');
	buf_add_char(&problem, '\0');
	return r;
}

static void setup_find(void)
{
	setup();
	setenv("XDG_STATE_HOME", "/nonexistent", 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	unsetenv("TUTTI_SERVER");
}

static char *sockets_folder(void)
{
	char *sub = xasprintf("%s/tutti", folder);
	ck_assert_int_eq(mkdir(sub, 0700), 0);
	return sub;
}

static void remove_sockets_folder(char *sub)
{
	rmdir(sub);
	free(sub);
	buf_release(&address);
	buf_release(&problem);
}

START_TEST(the_only_server_that_answers_is_found)
{
	struct tiny_server one, two;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char *sub = sockets_folder();
	ck_assert_int_eq(find(NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr((char *)problem.data, sub));

	snprintf(un.sun_path, sizeof(un.sun_path), "%.80s/dead.sock", sub);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&un, sizeof(un)), 0);
	close(dead);
	ck_assert_int_eq(find(NULL), -ENOENT);

	tiny_start(&one, loop, sub, "one");
	ck_assert_int_eq(find(NULL), 0);
	ck_assert_str_eq((char *)address.data, one.path);

	tiny_start(&two, loop, sub, "two");
	ck_assert_int_eq(find(NULL), -ENOTUNIQ);
	ck_assert_ptr_nonnull(strstr((char *)problem.data, one.path));
	ck_assert_ptr_nonnull(strstr((char *)problem.data, two.path));
	ck_assert_int_eq(find("two"), 0);
	ck_assert_str_eq((char *)address.data, two.path);
	ck_assert_int_eq(find("three"), -ENOENT);
	ck_assert_int_eq(find("tw"), -ENOENT);

	tiny_stop(&one);
	tiny_stop(&two);
	unlink(un.sun_path);
	remove_sockets_folder(sub);
}
END_TEST

START_TEST(the_environment_says_which)
{
	char *sub = sockets_folder();
	setenv("TUTTI_SERVER", "127.0.0.1:4711", 1);
	ck_assert_int_eq(find(NULL), 0);
	ck_assert_str_eq((char *)address.data, "127.0.0.1:4711");
	ck_assert_int_eq(find("./here"), 0);
	ck_assert_str_eq((char *)address.data, "./here");
	setenv("TUTTI_SERVER", "", 1);
	ck_assert_int_eq(find(NULL), -ENOENT);
	remove_sockets_folder(sub);
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	char *sub = sockets_folder();
	static const char *const bad[] = {"nas lan:7075", "n@nas.lan:7075", "10.0.0.7:7075", "127.0.0.1:0",
					  "ID@127.0.0.1:7075", ":", "x:"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(find(bad[i]), -EINVAL);
		ck_assert_uint_gt(problem.len, 1);
	}
	struct buf longest = {0};
	for (int i = 0; i < 200; i++)
		buf_add_char(&longest, '/');
	buf_add_char(&longest, '\0');
	ck_assert_int_eq(find((char *)longest.data), -EINVAL);
	buf_release(&longest);
	remove_sockets_folder(sub);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("client");
	TCase *t = suite_case(s, "connection", setup, teardown);
	tcase_add_test(t, hello_makes_it_up);
	tcase_add_test(t, who_may_only_look_is_told);
	tcase_add_test(t, a_port_works_like_a_socket);
	tcase_add_loop_test(t, a_name_works_like_its_addresses, 0, 3);
	tcase_add_loop_test(t, a_name_that_will_not_do_says_why, 0, 4);
	tcase_add_test(t, a_name_is_looked_up_at_each_attempt);
	tcase_add_test(t, a_client_may_go_while_its_name_is_looked_up);
	tcase_add_test(t, calls_are_answered_in_order);
	tcase_add_test(t, a_refusal_has_code_and_safe_text);
	tcase_add_test(t, running_waits_for_the_answer);
	tcase_add_test(t, too_large_a_request_is_not_sent);
	tcase_add_test(t, notifications_are_passed_on);
	tcase_add_test(t, open_calls_are_answered_before_the_loss_is_told);
	tcase_add_test(t, it_comes_back_when_asked_to);
	tcase_add_test(t, it_waits_longer_and_longer_for_a_server_that_is_gone);
	tcase_add_test(t, nobody_there_is_said);
	tcase_add_test(t, nothing_is_called_after_it_was_freed);
	tcase_add_test(t, another_version_is_refused);
	tcase_add_test(t, a_bye_gives_the_reason);
	tcase_add_loop_test(t, offences_end_the_connection, 0, 6);
	tcase_add_test(t, a_result_that_is_none_ends_the_connection);
	t = suite_case(s, "finding", setup_find, teardown);
	tcase_add_test(t, the_only_server_that_answers_is_found);
	tcase_add_test(t, the_environment_says_which);
	tcase_add_test(t, what_is_no_address_is_refused);
	return suite_run(s);
}
