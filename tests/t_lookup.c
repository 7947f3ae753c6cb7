/* Tests of looking up names: what comes of them, that nothing waits, and that who does not want to know any
 * more is not told. */
#include "config.h"
#include "lookup.h"

#include "fake_names.h"
#include "suite.h"

#include <ev.h>

static struct ev_loop *loop;
static struct buf told; /* what came, in order: an address and a blank, or "(why) " */

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
}

static void teardown(void)
{
	names_go_on();
	buf_release(&told);
	ev_loop_destroy(loop);
}

static struct address named(const char *text)
{
	struct address a;
	struct buf problem = {0};
	ck_assert_msg(address_parse(text, ADDRESS_CONNECT, &a, &problem), "%s", text);
	buf_release(&problem);
	return a;
}

static void say(struct buf *out, const struct addresses *found, const char *problem)
{
	ck_assert((found == NULL) != (problem == NULL));
	for (size_t i = 0; found && i < found->n; i++) {
		address_format(out, (const struct sockaddr *)&found->at[i].sa);
		buf_add_char(out, ' ');
	}
	if (problem)
		buf_addf(out, "(%s) ", problem);
}

static void on_done(void *ctx, const struct addresses *found, const char *problem)
{
	unsigned *open = ctx;
	--*open;
	say(&told, found, problem);
}

static const char *text_of(struct buf *b)
{
	buf_add_char(b, '\0');
	b->len--;
	return (const char *)b->data;
}

static const struct {
	const char *name, *found;
} answers[] = {
	{"one.test:7075", "127.0.0.1:7075 "},
	{"twice.test:1", "127.0.0.1:1 "},
	{"both.test:65535", "[::1]:65535 127.0.0.1:65535 "},
	{"127.0.0.3:5", "127.0.0.3:5 "},
	{"[::1]:5", "[::1]:5 "},
	{"nobody.test:5", "(no such host) "},
	{"empty.test:5", "(no such host) "},
	{"silent.test:5", "(no answer from the name service) "},
	{"broken.test:5", "(the name service has failed) "},
	{"many.test:5", "10.0.0.1:5 10.0.0.2:5 10.0.0.3:5 10.0.0.4:5 10.0.0.5:5 10.0.0.6:5 10.0.0.7:5 "
			"10.0.0.8:5 "},
};

START_TEST(a_name_has_addresses_or_a_reason)
{
	unsigned open = 1;
	struct address a = named(answers[_i].name);
	ck_assert_ptr_nonnull(lookup_start(loop, &a, on_done, &open));
	ck_assert_uint_eq(told.len, 0);
	while (open)
		ev_run(loop, EVRUN_ONCE);
	ck_assert_str_eq(text_of(&told), answers[_i].found);
	struct addresses found;
	struct buf now = {0};
	const char *why = lookup_now(&a, &found);
	say(&now, why ? NULL : &found, why);
	ck_assert_str_eq(text_of(&now), answers[_i].found);
	buf_release(&now);
}
END_TEST

START_TEST(the_loop_goes_on_meanwhile)
{
	unsigned slow = 1, fast = 1;
	struct address a = named("slow.test:7"), b = named("one.test:7");
	names_hold();
	lookup_start(loop, &a, on_done, &slow);
	names_await(1);
	ev_run(loop, EVRUN_NOWAIT);
	lookup_start(loop, &b, on_done, &fast);
	while (fast)
		ev_run(loop, EVRUN_ONCE);
	ck_assert_uint_eq(slow, 1);
	names_go_on();
	while (slow)
		ev_run(loop, EVRUN_ONCE);
	ck_assert_str_eq(text_of(&told), "127.0.0.1:7 127.0.0.1:7 ");
}
END_TEST

/* With a name service that is dead, there are no more threads than that, and all get their turn. */
START_TEST(many_wait_for_a_thread)
{
	enum { MANY = 40, AT_ONCE = 8 };
	unsigned open = MANY;
	struct address a = named("slow.test:7");
	struct lookup *all[MANY];
	names_hold();
	for (size_t i = 0; i < MANY; i++)
		all[i] = lookup_start(loop, &a, on_done, &open);
	names_await(AT_ONCE);
	ev_run(loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(names_asked(), AT_ONCE);
	lookup_cancel(all[0]);
	lookup_cancel(all[MANY / 2]);
	lookup_cancel(all[MANY - 1]);
	open -= 3;
	names_go_on();
	while (open)
		ev_run(loop, EVRUN_ONCE);
	ck_assert_uint_eq(names_asked(), MANY - 2); /* one had begun */
}
END_TEST

/* While it waits, while a thread has it, and when it is finished but not told. */
START_TEST(who_cancels_is_not_told)
{
	unsigned open = 0;
	struct address a = named("slow.test:7");
	names_hold();
	struct lookup *l = lookup_start(loop, &a, on_done, &open);
	names_await(1);
	lookup_cancel(l);
	lookup_cancel(NULL);
	/* The thread that has it may outlive the loop. */
	ev_loop_destroy(loop);
	names_go_on();
	loop = ev_loop_new(EVFLAG_AUTO);
	for (int i = 0; i < 200; i++) {
		unsigned before = names_asked();
		struct address b = named("one.test:7");
		l = lookup_start(loop, &b, on_done, &open);
		if (i % 2)
			names_await(before + 1);
		lookup_cancel(l);
		ev_run(loop, EVRUN_NOWAIT);
	}
	ck_assert_uint_eq(told.len, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("lookup");
	TCase *t = suite_case(s, "lookup", setup, teardown);
	tcase_add_loop_test(t, a_name_has_addresses_or_a_reason, 0, ARRAY_LEN(answers));
	tcase_add_test(t, the_loop_goes_on_meanwhile);
	tcase_add_test(t, many_wait_for_a_thread);
	tcase_add_test(t, who_cancels_is_not_told);
	return suite_run(s);
}
