/* Tests of the ring of events, and of the words for systemd. */
#include "config.h"
#include "events.h"
#include "notify.h"
#include "scratch.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static uint64_t add(struct events *e, const char *path, const char *detail)
{
	return events_add(e, 5, "changed", bytes_of(path), bytes_of("alpha"), bytes_of(detail));
}

START_TEST(events_are_numbered_and_kept)
{
	struct events e;
	events_init(&e, 1000);
	ck_assert_ptr_null(events_get(&e, 1000));
	char path[16] = "a/path";
	ck_assert_uint_eq(add(&e, path, "why"), 1000);
	path[0] = 'X'; /* it was copied */
	ck_assert_uint_eq(events_add(&e, -1, "note", (struct bytes){0}, (struct bytes){0},
				     (struct bytes){0}), 1001);
	const struct event *ev = events_get(&e, 1000);
	ck_assert(bytes_eq(ev->path, bytes_of("a/path")));
	ck_assert(bytes_eq(ev->replica, bytes_of("alpha")));
	ck_assert(bytes_eq(ev->detail, bytes_of("why")));
	ck_assert_str_eq(ev->word, "changed");
	ck_assert_int_eq(ev->time_ns, 5);
	ck_assert_uint_eq(events_get(&e, 1001)->path.len, 0);
	ck_assert_ptr_null(events_get(&e, 999));
	ck_assert_ptr_null(events_get(&e, 1002));
	events_release(&e);
	events_release(&e);
}
END_TEST

START_TEST(old_ones_make_room)
{
	struct events e;
	char path[32];
	events_init(&e, 7);
	for (uint64_t i = 0; i < 3 * EVENTS_MAX; i++) {
		snprintf(path, sizeof(path), "%llu", (unsigned long long)i);
		ck_assert_uint_eq(add(&e, path, ""), 7 + i);
		ck_assert_uint_le(e.next - e.first, EVENTS_MAX);
		ck_assert(bytes_eq(events_get(&e, e.next - 1)->path, bytes_of(path)));
		ck_assert_ptr_nonnull(events_get(&e, e.first));
		ck_assert_ptr_null(events_get(&e, e.first - 1));
	}
	ck_assert_uint_eq(e.next - e.first, EVENTS_MAX);
	events_release(&e);
}
END_TEST

START_TEST(large_ones_make_more_room)
{
	struct events e;
	char path[4001], detail[3001];
	memset(path, 'p', sizeof(path) - 1);
	memset(detail, 'd', sizeof(detail) - 1);
	path[sizeof(path) - 1] = detail[sizeof(detail) - 1] = '\0';
	events_init(&e, 1);
	for (int i = 0; i < 1000; i++) {
		add(&e, path, detail);
		ck_assert_uint_le(e.bytes, EVENTS_BYTES_MAX);
	}
	ck_assert_uint_eq(events_get(&e, e.first)->detail.len, EVENT_DETAIL_MAX);
	ck_assert_uint_gt(e.next - e.first, 90);
	ck_assert_uint_lt(e.next - e.first, 110);
	events_release(&e);
}
END_TEST

static int listen_as(const struct sockaddr_un *at, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_ge(fd, 0);
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)at, n), 0);
	return fd;
}

START_TEST(systemd_is_told)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char text[64] = "", name[64];
	char *dir = scratch_new(), *path = scratch_path(dir, "notify");
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(notify("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(notify("READY=1"), -ENOENT);

	ck_assert_uint_lt(strlen(path), sizeof(at.sun_path));
	memcpy(at.sun_path, path, strlen(path));
	int fd = listen_as(&at, strlen(path));
	ck_assert_int_eq(notify("READY=1\nSTATUS=fine"), 0);
	ck_assert_int_eq(recv(fd, text, sizeof(text) - 1, 0), 19);
	ck_assert_str_eq(text, "READY=1\nSTATUS=fine");
	close(fd);

	/* An abstract name begins with a NUL byte, written '@'. */
	int n = snprintf(name, sizeof(name), "@tutti-test-%ld", (long)getpid());
	memset(at.sun_path, 0, sizeof(at.sun_path));
	memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
	fd = listen_as(&at, (size_t)n);
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(notify("STOPPING=1"), 0);
	memset(text, 0, sizeof(text));
	ck_assert_int_eq(recv(fd, text, sizeof(text) - 1, 0), 10);
	ck_assert_str_eq(text, "STOPPING=1");
	close(fd);
	free(path);
	scratch_remove(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("events");
	TCase *t = suite_case(s, "events", NULL, NULL);
	tcase_add_test(t, events_are_numbered_and_kept);
	tcase_add_test(t, old_ones_make_room);
	tcase_add_test(t, large_ones_make_more_room);
	tcase_add_test(t, systemd_is_told);
	return suite_run(s);
}
