/* Tests of keys on the screen: who asks is said in words, what is decided is the key that was shown,
 * by a key that was pressed after it was shown, and who may only look decides nothing. */
#include "config.h"
#include "screen_rig.h"

#include "entry.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct rig rig;
static struct fake *fake;

static void begin(int width, int height)
{
	fake = fake_new(3);
	fake_put(fake, "a.txt", KIND_FILE, 1, 1795355880, ROW_SYNCED, NULL, "");
	fake_keys_sample(&fake->keys);
	rig_init(&rig, fake, width, height, false);
	rig_connect(&rig);
}

static void set_up(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}

static void tear_down(void)
{
	rig_release(&rig);
}

static const char *role(size_t i)
{
	return fake->keys.list[i].role;
}

/* ---- what is shown ----------------------------------------------------------------------- */

START_TEST(the_header_says_who_asks)
{
	begin(100, 30);
	/* All else stays to be said. */
	ck_assert(rig_shows(&rig, "all 3 in sync  1 server asks to join (5)"));
	fake->keys.list[0].role = "pending";
	rig_status(&rig);
	ck_assert(rig_shows(&rig, "2 servers ask to join (5)"));
	fake->keys.n = 0;
	rig_status(&rig);
	ck_assert(!rig_shows(&rig, "to join"));
}
END_TEST

/* What fits, in words that fit; whose it is stays to be seen. */
START_TEST(much_trouble_is_said_briefly)
{
	begin(80, 24);
	fake->conflicts = 1;
	fake->past.n_held = 1;
	fake->past.held[0] = (struct fake_held){7, 1618, "", "photos"};
	fake->servers[0].problems = 2;
	fake->servers[2].state = "offline";
	fake->servers[2].held = 5; /* it said so while it was there */
	rig_status(&rig);
	ck_assert(strstr(rig_line(&rig, 0), " tutti projects"));
	ck_assert(rig_shows(&rig, "1 conflict  1,618 held  1 offline  2 problems  1 asking"));
	ck_assert(rig_shows(&rig, "A alpha 1,618 held, 2 problems"));
	rig_resize(&rig, 140, 24);
	ck_assert(rig_shows(&rig, "1 conflict  1,618 deletions held (8)  1 server offline  2 problems  "
				  "1 server asks to join (5)"));
	fake->conflicts = 0;
	fake->past.n_held = 0;
	fake->servers[1].held = 20;
	rig_status(&rig);
	ck_assert(rig_shows(&rig, "20 deletions held elsewhere (5)  1 server offline"));
}
END_TEST

START_TEST(the_servers_page_has_a_line_for_each)
{
	begin(80, 40);
	rig_type(&rig, "5");
	ck_assert(rig_shows(&rig, "1 key asks to be let in; Enter decides"));
	ck_assert(rig_shows(&rig, "     " FAKE_KEY_ASKING));
	ck_assert(rig_shows(&rig, "calls from 10.0.0.9, since 2026-11-22 13:37, 4 times"));
	ck_assert(rig_shows(&rig, "   peer  beta  10.0.0.7:7420"));
	ck_assert(rig_shows(&rig, "     " FAKE_KEY_PEER));
}
END_TEST

START_TEST(what_comes_above_does_not_move_the_selection)
{
	begin(100, 40);
	rig_type(&rig, "5G");
	ck_assert(strstr(rig_line(&rig, rig.m.layout.body.y + (int)rig.m.page_at[VIEW_SERVERS]),
			 FAKE_KEY_PEER));
	uint64_t at = rig.m.page_at[VIEW_SERVERS];
	fake->keys.list[2] = (struct fake_key){"X", "pending", "", "10.0.0.3", 1795354620, 1};
	fake->keys.n = 3;
	rig_status(&rig);
	ck_assert_uint_eq(rig.m.page_at[VIEW_SERVERS], at + 2);
	ck_assert(strstr(rig_line(&rig, rig.m.layout.body.y + (int)rig.m.page_at[VIEW_SERVERS]),
			 FAKE_KEY_PEER));
}
END_TEST

/* ---- deciding ---------------------------------------------------------------------------- */

/* Selects the key's line and opens its dialog. */
static void open_key(const char *key)
{
	rig_type(&rig, "5/");
	rig_type(&rig, key);
	rig_type(&rig, "\r\r");
	ck_assert_int_eq(rig.m.dialog, DIALOG_TRUST);
}

START_TEST(each_answer_is_what_it_says)
{
	static const struct {
		const char *key, *role, *said;
	} answers[] = {
		{"p", "peer", "Trusted from now on as peer: TVKPJOQ-"},
		{"r", "read-only", "Trusted from now on as read-only: TVKPJOQ-"},
		{"c", "client", "Trusted from now on as client: TVKPJOQ-"},
		{"v", "viewer", "Trusted from now on as viewer: TVKPJOQ-"},
		{"n", "refused", "Refused from now on: TVKPJOQ-"},
	};
	begin(100, 30);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		fake->keys.list[1].role = "pending";
		rig_status(&rig);
		open_key("TVKP");
		ck_assert(rig_shows(&rig, "Let this key in?"));
		ck_assert(rig_shows(&rig, "| " "  " FAKE_KEY_ASKING));
		rig_type(&rig, answers[i].key);
		ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
		ck_assert_str_eq(role(1), answers[i].role);
		ck_assert(rig_shows(&rig, answers[i].said));
		ck_assert(strstr(fake->keys.last, FAKE_KEY_ASKING));
	}
	ck_assert_uint_eq(fake->keys.said, ARRAY_LEN(answers));
}
END_TEST

START_TEST(leaving_decides_nothing)
{
	static const uint32_t keys[] = {K_ESC, 'q', K_CTRL('C'), K_CTRL('G')};
	begin(100, 30);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		open_key("TVKP");
		rig_key(&rig, K_ENTER);
		rig_type(&rig, " yYdx");
		rig_key(&rig, K_DELETE);
		ck_assert_int_eq(rig.m.dialog, DIALOG_TRUST);
		rig_key(&rig, keys[i]);
		ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	}
	ck_assert_uint_eq(fake->keys.said, 0);
}
END_TEST

START_TEST(keys_typed_ahead_decide_nothing)
{
	begin(100, 30);
	rig_type(&rig, "5/TVKP\r");
	model_key(&rig.m, K_ENTER);
	model_key(&rig.m, 'p');
	rig_settle(&rig);
	ck_assert_uint_eq(fake->keys.said, 0);
	rig_type(&rig, "p");
	ck_assert_uint_eq(fake->keys.said, 1);
	/* The second word waits for the answer to the first one. */
	fake->keys.list[1].role = "pending";
	rig_status(&rig);
	open_key("TVKP");
	rig_draw(&rig);
	model_key(&rig.m, 'p');
	model_key(&rig.m, 'n');
	rig_settle(&rig);
	ck_assert_uint_eq(fake->keys.said, 2);
	ck_assert_str_eq(role(1), "peer");
}
END_TEST

START_TEST(what_has_changed_is_not_decided)
{
	begin(100, 30);
	open_key("TVKP");
	fake->keys.list[1].role = "viewer"; /* somebody else's word */
	rig_status(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "That key is not as it was shown any more; nothing was decided"));
	fake->keys.list[1].role = "pending";
	rig_status(&rig);
	open_key("TVKP");
	fake->keys.n = 1;
	rig_status(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert_uint_eq(fake->keys.said, 0);
}
END_TEST

START_TEST(the_end_of_trust_is_asked_for_twice)
{
	begin(100, 30);
	open_key("N4XK");
	ck_assert(rig_shows(&rig, "A trusted key"));
	ck_assert(!rig_shows(&rig, "  p  trust it as"));
	rig_type(&rig, "n");
	ck_assert_int_eq(rig.m.dialog, DIALOG_UNTRUST);
	ck_assert(rig_shows(&rig, "End the trust in beta?"));
	ck_assert_uint_eq(fake->keys.said, 0);
	rig_key(&rig, K_ENTER);
	rig_type(&rig, "n");
	ck_assert_uint_eq(fake->keys.said, 0);
	rig_type(&rig, "y");
	ck_assert_str_eq(fake->keys.last, "untrust " FAKE_KEY_PEER);
	ck_assert(rig_shows(&rig, "refused  beta"));
	/* And it can be trusted again. */
	open_key("N4XK");
	ck_assert(rig_shows(&rig, "A refused key"));
	rig_type(&rig, "r");
	ck_assert_str_eq(role(0), "read-only");
}
END_TEST

START_TEST(other_lines_decide_nothing)
{
	begin(100, 30);
	rig_type(&rig, "5g\r");
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "Only lines of keys are decided on"));
}
END_TEST

/* ---- inviting ---------------------------------------------------------------------------- */

START_TEST(an_invitation_is_shown_once)
{
	begin(100, 30);
	rig_type(&rig, "5i");
	ck_assert_int_eq(rig.m.dialog, DIALOG_INVITE);
	ck_assert_uint_eq(fake->keys.said, 0);
	rig_type(&rig, "p");
	ck_assert_str_eq(fake->keys.last, "invite peer");
	ck_assert(rig_shows(&rig, "An invitation as peer"));
	ck_assert(rig_shows(&rig, "10.0.0.1:7420#N4XKQ7A-"));
	ck_assert(rig_shows(&rig, "Good once, until 2026-11-22 14:13:22."));
	ck_assert(rig_shows(&rig, "tuttid --join - DIRECTORY"));
	rig_type(&rig, "pr");
	ck_assert_uint_eq(fake->keys.said, 1);
	rig_type(&rig, "y");
	ck_assert_uint_eq(rig.m.todo, TODO_COPY);
	ck_assert_uint_eq(rig.m.todo_text.len,
			  strlen("10.0.0.1:7420#" FAKE_KEY_PEER "#ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
	rig.m.now += INT64_C(601) * 1000000000;
	ck_assert(rig_shows(&rig, "It was good until 2026-11-22 14:13:22."));
	rig_key(&rig, K_ESC);
	ck_assert_uint_eq(rig.m.trusted.invitation.len, 0);
	rig_type(&rig, "ir");
	ck_assert_str_eq(fake->keys.last, "invite read-only");
	ck_assert(rig_shows(&rig, "An invitation as read-only peer"));
}
END_TEST

START_TEST(an_invitation_that_nobody_waits_for_is_not_shown)
{
	begin(100, 30);
	rig_type(&rig, "5i");
	rig_draw(&rig);
	model_key(&rig.m, 'p');
	model_key(&rig.m, K_ESC);
	rig_type(&rig, "i");
	ck_assert_uint_eq(fake->keys.said, 1);
	ck_assert(rig_shows(&rig, "Invite a server"));
	ck_assert_uint_eq(rig.m.trusted.invitation.len, 0);
}
END_TEST

/* ---- what goes wrong --------------------------------------------------------------------- */

START_TEST(a_refusal_says_why)
{
	begin(100, 30);
	fake->keys.refuse = "this server was started with --plain and asks nobody for a key";
	rig_type(&rig, "5ip");
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "The server says: this server was started with --plain"));
	open_key("TVKP");
	rig_type(&rig, "p");
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "The server says: this server was started with --plain"));
	ck_assert_str_eq(role(1), "pending");
}
END_TEST

START_TEST(who_may_only_look_decides_nothing)
{
	static const char *const tries[] = {"5i", "5\r", "5y", "5/N4XK\r\r"};
	for (int viewer = 0; viewer < 2; viewer++) {
		begin(100, 30);
		rig.m.readonly = !viewer;
		rig.m.viewer = viewer;
		for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
			rig_type(&rig, tries[i]);
			ck_assert(rig_shows(&rig, viewer ? "viewer, which may only look"
							 : "Not with --readonly"));
			ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
		}
		/* It is shown, but not offered. */
		ck_assert(rig_shows(&rig, FAKE_KEY_ASKING));
		ck_assert(!rig_shows(&rig, "Enter decides"));
		ck_assert(!rig_shows(&rig, "iInvite"));
		ck_assert(!rig_shows(&rig, "Trust"));
		/* Nor what the other screens have. */
		rig_type(&rig, "1r");
		ck_assert_uint_eq(fake->resyncs, 0);
		if (!viewer)
			rig_release(&rig);
	}
	ck_assert_uint_eq(fake->keys.said, 0);
}
END_TEST

START_TEST(hostile_words_stay_text)
{
	begin(100, 40);
	fake->keys.list[1] = (struct fake_key){"\033]0;x\a\xe2\x80\xae" "key", "pending", "", "\033[2J", 1, 1};
	fake->keys.list[0].name = "be\033[2Jta";
	fake->keys.list[2] = (struct fake_key){"", "pending", "", "", INT64_MAX / 1000000000, UINT64_MAX};
	fake->keys.n = 3;
	fake->keys.invitation = "\033[31m";
	rig_status(&rig);
	rig_type(&rig, "5");
	ck_assert(rig_shows(&rig, "\\x1b]0;x\\x07"));
	ck_assert(rig_shows(&rig, "calls from \\x1b[2J"));
	ck_assert(rig_shows(&rig, "be\\x1b[2Jta"));
	rig_type(&rig, "j\r");
	ck_assert_int_eq(rig.m.dialog, DIALOG_TRUST);
	ck_assert(rig_shows(&rig, "Let this key in?"));
	rig_key(&rig, K_ESC);
	rig_type(&rig, "ip");
	ck_assert(rig_shows(&rig, "\\x1b[31m"));
}
END_TEST

START_TEST(a_lost_connection_closes_it)
{
	begin(100, 30);
	open_key("TVKP");
	rig_draw(&rig);
	model_key(&rig.m, 'p');
	rig.deaf = true;
	model_down(&rig.m, "it was stopped", 1000);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(!rig.m.trusted.deciding);
	rig_type(&rig, "i");
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "There is no connection to the server"));
}
END_TEST

START_TEST(every_size_has_its_dialogs)
{
	static const int sizes[][2] = {{0, 0}, {1, 1}, {5, 2}, {20, 5}, {29, 9}, {40, 12}, {200, 60}};
	static const char *const opens[] = {"/TVKP\r\r", "/N4XK\r\rn", "i", "ip"};
	begin(100, 30);
	for (size_t k = 0; k < ARRAY_LEN(opens); k++) {
		rig_resize(&rig, 100, 30);
		rig_type(&rig, "5");
		rig_type(&rig, opens[k]);
		ck_assert_int_ne(rig.m.dialog, DIALOG_NONE);
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			rig_resize(&rig, sizes[i][0], sizes[i][1]);
			rig_draw(&rig);
			for (int n = 0; n < 30; n++)
				rig_key(&rig, K_PAGE_DOWN);
			rig_draw(&rig);
		}
		rig_key(&rig, K_ESC);
	}
	/* On a small screen nothing is decided unseen. */
	rig_resize(&rig, 20, 5);
	fake->keys.said = 0;
	rig_type(&rig, "5/TVKP\r\rn");
	ck_assert_uint_eq(fake->keys.said, 0);
	rig_type(&rig, "n");
	ck_assert_uint_eq(fake->keys.said, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("trusted");
	TCase *t = suite_case(s, "trusted", set_up, tear_down);
	tcase_add_test(t, the_header_says_who_asks);
	tcase_add_test(t, much_trouble_is_said_briefly);
	tcase_add_test(t, the_servers_page_has_a_line_for_each);
	tcase_add_test(t, what_comes_above_does_not_move_the_selection);
	tcase_add_test(t, each_answer_is_what_it_says);
	tcase_add_test(t, leaving_decides_nothing);
	tcase_add_test(t, keys_typed_ahead_decide_nothing);
	tcase_add_test(t, what_has_changed_is_not_decided);
	tcase_add_test(t, the_end_of_trust_is_asked_for_twice);
	tcase_add_test(t, other_lines_decide_nothing);
	tcase_add_test(t, an_invitation_is_shown_once);
	tcase_add_test(t, an_invitation_that_nobody_waits_for_is_not_shown);
	tcase_add_test(t, a_refusal_says_why);
	tcase_add_test(t, who_may_only_look_decides_nothing);
	tcase_add_test(t, hostile_words_stay_text);
	tcase_add_test(t, a_lost_connection_closes_it);
	tcase_add_test(t, every_size_has_its_dialogs);
	return suite_run(s);
}
