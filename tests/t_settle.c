/* Tests of settling on the screen: dialogs decide only what was shown, by a key that was pressed
 * after it was shown, and what the server refuses is decided by nobody; the pages of what is held,
 * of the trash and of the history go on as far as one moves. */
#include "config.h"
#include "screen_rig.h"

#include "entry.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct rig rig;
static struct fake *fake;

static void begin(size_t servers, int width, int height)
{
	fake = fake_new(servers);
	fake_sample(fake);
	rig_init(&rig, fake, width, height, false);
}

static void set_up(void)
{
	setenv("TZ", "UTC", 1);
}

static void tear_down(void)
{
	rig_release(&rig);
}

static uint64_t files_at(void)
{
	return rig.m.files.at;
}

static bool in_conflict(const char *path)
{
	return fake->of[tree_find(fake->tree, bytes_of(path))].row.state == ROW_CONFLICT;
}

static void add_conflict(const char *path)
{
	fake_put(fake, path, KIND_FILE, 100, 1795355880, ROW_CONFLICT, "!!!", "conflict");
	fake->conflicts++;
}

static void many_conflicts(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char path[64];
		snprintf(path, sizeof(path), "m%02zu/f%06zu.txt", i / 1000, i);
		add_conflict(path);
	}
}

/* ---- one conflict ------------------------------------------------------------------------ */

START_TEST(each_answer_is_what_it_says)
{
	static const struct {
		const char *key, *keep, *said;
	} answers[] = {
		{"a", "0", "Kept alpha's version of design/notes.txt; u undoes it"},
		{"b", "1", "Kept beta's version of design/notes.txt; u undoes it"},
		{"2", "both", "Kept all versions of design/notes.txt; u undoes it"},
	};
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "/notes\r");
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		rig_type(&rig, "c");
		ck_assert_int_eq(rig.m.dialog, DIALOG_CONFLICT);
		ck_assert(rig_shows(&rig, "Conflict: design/notes.txt"));
		ck_assert(rig_shows(&rig, "a  keep alpha's"));
		ck_assert(rig_shows(&rig, "b  keep beta's"));
		rig_type(&rig, answers[i].key);
		ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
		ck_assert_str_eq(fake->past.keep, answers[i].keep);
		ck_assert(rig_shows(&rig, answers[i].said));
		ck_assert(!in_conflict("design/notes.txt"));
		rig_type(&rig, "u");
		ck_assert(rig_shows(&rig, "Undone: the versions of design/notes.txt are there again"));
		ck_assert(in_conflict("design/notes.txt"));
	}
	rig_type(&rig, "u");
	ck_assert(rig_shows(&rig, "1 not undone: there is nothing to undo"));
}
END_TEST

START_TEST(leaving_decides_nothing)
{
	static const uint32_t keys[] = {K_ESC, 'q', K_CTRL('C'), K_CTRL('G')};
	begin(3, 100, 30);
	rig_connect(&rig);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		rig_type(&rig, "3c");
		ck_assert_int_eq(rig.m.dialog, DIALOG_CONFLICT);
		/* Neither does what means yes elsewhere. */
		rig_key(&rig, K_ENTER);
		rig_type(&rig, " yYdx");
		rig_key(&rig, K_DELETE);
		ck_assert_int_eq(rig.m.dialog, DIALOG_CONFLICT);
		rig_key(&rig, keys[i]);
		ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
		ck_assert_int_eq(rig.m.view, VIEW_CONFLICTS);
	}
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert_uint_eq(rig.m.todo & TODO_QUIT, 0);
}
END_TEST

/* Nobody can have meant what was not on the screen. */
START_TEST(keys_typed_ahead_decide_nothing)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "3");
	model_key(&rig.m, 'c');
	model_key(&rig.m, 'a');
	while (rig_answer_one(&rig))
		;
	/* The answer is here, but was not drawn. */
	ck_assert(rig.m.settle.known);
	model_key(&rig.m, 'a');
	ck_assert_uint_eq(rig.n, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(fake->past.resolved, 0);
	rig_type(&rig, "a");
	ck_assert_uint_eq(fake->past.resolved, 1);
}
END_TEST

START_TEST(what_has_changed_is_shown_anew)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "3c");
	fake->past.changes++;
	fake->past.versions = 3;
	rig_type(&rig, "b");
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert_int_eq(rig.m.dialog, DIALOG_CONFLICT);
	ck_assert(rig_shows(&rig, "The server says: it has changed since it was shown"));
	ck_assert(rig_shows(&rig, "keep gamma's"));
	rig_type(&rig, "c");
	ck_assert_uint_eq(fake->past.resolved, 1);
	ck_assert_str_eq(fake->past.keep, "2");
	/* Gone meanwhile: the next one is shown, or that there is none. */
	add_conflict("x.txt");
	rig_type(&rig, "c");
	fake_remove(fake, "x.txt");
	rig_type(&rig, "a");
	ck_assert_uint_eq(fake->past.resolved, 1);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "There are no conflicts"));
}
END_TEST

START_TEST(next_goes_round)
{
	begin(3, 100, 30);
	add_conflict("a.txt");
	add_conflict("z/z.txt");
	rig_connect(&rig);
	/* On a row that is in none: the next after it. */
	rig_type(&rig, "/old\rc");
	ck_assert(rig_shows(&rig, "Conflict: z/z.txt"));
	ck_assert(rig_shows(&rig, "n  next conflict (there are 3)"));
	rig_type(&rig, "n");
	ck_assert(rig_shows(&rig, "Conflict: a.txt"));
	rig_type(&rig, "n");
	ck_assert(rig_shows(&rig, "Conflict: design/notes.txt"));
	rig_type(&rig, "n");
	ck_assert(rig_shows(&rig, "Conflict: z/z.txt"));
	rig_key(&rig, K_ESC);
	/* On a folder: the one in it. */
	rig_type(&rig, "gc");
	ck_assert(rig_shows(&rig, "Conflict: design/notes.txt"));
	rig_key(&rig, K_ESC);
	/* On a copy: the one that it belongs to, however many there are. */
	many_conflicts(700);
	fake_put(fake, "m00/f000600.conflict-5f3a9c01-42.txt", KIND_FILE, 1, 1, ROW_SYNCED, NULL, "");
	rig_type(&rig, "/f000600.conf\rc");
	ck_assert(rig_shows(&rig, "Conflict: m00/f000600.txt"));
	rig_key(&rig, K_ESC);
	/* On a file that only looks like one: the next. */
	fake_put(fake, "m00/f9.conflict-5f3a9c01-42.txt", KIND_FILE, 1, 1, ROW_SYNCED, NULL, "");
	rig_type(&rig, "/f9.conf\rc");
	ck_assert(rig_shows(&rig, "Conflict: z/z.txt"));
}
END_TEST

START_TEST(three_and_many_versions)
{
	begin(3, 100, 60);
	fake->past.versions = 65;
	rig_connect(&rig);
	rig_type(&rig, "3c");
	ck_assert_uint_eq(rig.m.settle.n, 65);
	ck_assert(rig_shows(&rig, "a  keep"));
	ck_assert(rig_shows(&rig, "(not on this disk yet)"));
	/* Those without a letter can still be looked at; the keys of the dialog are no versions. */
	for (int i = 0; i < 70; i++)
		rig_type(&rig, "j");
	ck_assert_uint_eq(rig.m.settle.at, 64);
	ck_assert(rig_shows(&rig, ">    keep"));
	for (int i = 0; i < 70; i++)
		rig_type(&rig, "k");
	ck_assert(rig_shows(&rig, "> a  keep"));
	for (int i = 0; i < 70; i++)
		rig_type(&rig, "j");
	rig_type(&rig, "v");
	ck_assert(rig.m.todo & TODO_SHOW);
	rig_type(&rig, "nddxX");
	ck_assert_uint_eq(fake->past.resolved, 0);
	rig_key(&rig, K_ESC);
	fake->past.versions = 4;
	rig_type(&rig, "ce");
	ck_assert_str_eq(fake->past.keep, "3");
}
END_TEST

START_TEST(difference_and_view_name_the_files)
{
	static const char both[] = "design/notes.txt\0design/notes.conflict-5f3a9c01-42.txt";
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "3cd");
	ck_assert_uint_eq(rig.m.todo, TODO_DIFF);
	ck_assert_uint_eq(rig.m.todo_text.len, sizeof(both) - 1);
	ck_assert_mem_eq(rig.m.todo_text.data, both, sizeof(both) - 1);
	rig.m.todo = 0;
	rig_type(&rig, "kv");
	ck_assert_uint_eq(rig.m.todo, TODO_SHOW);
	ck_assert_uint_eq(rig.m.todo_text.len, strlen("design/notes.txt"));
	ck_assert_uint_eq(fake->past.resolved, 0);
}
END_TEST

START_TEST(hostile_names_stay_text)
{
	begin(3, 100, 30);
	fake->past.maker = "be\033[2J\xe2\x80\xaeta";
	fake_remove(fake, "design/notes.txt");
	fake->conflicts = 0;
	add_conflict("evil\033]0;x\a.txt");
	rig_connect(&rig);
	rig_type(&rig, "3c");
	ck_assert(rig_shows(&rig, "Conflict: evil\\x1b]0;x\\x07.txt"));
	ck_assert(rig_shows(&rig, "keep be\\x1b[2J\\u{202e}ta's"));
	rig_type(&rig, "b");
	ck_assert(rig_shows(&rig, "Kept be\\x1b[2J\\u{202e}ta's version of evil\\x1b]0;x\\x07.txt"));
}
END_TEST

START_TEST(a_lost_connection_closes_it)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "3c");
	model_key(&rig.m, 'a');
	rig.deaf = true;
	model_down(&rig.m, "it was stopped", 1000);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "The connection was lost while the server was at it"));
	rig_type(&rig, "cu");
	ck_assert(rig_shows(&rig, "There is no connection to the server"));
	/* What comes late is of an earlier life. */
	rig_answer_one(&rig);
	ck_assert_uint_eq(rig.m.settle.n_undo, 0);
}
END_TEST

START_TEST(read_only_decides_nothing)
{
	begin(3, 100, 30);
	fake->past.n_held = 1;
	fake->past.held[0] = (struct fake_held){7, 3, "beta", "photos"};
	fake->past.trash = 3;
	rig.m.readonly = true;
	rig_connect(&rig);
	static const char *const tries[] = {"3ca", "3c2", "3 ca", "u", "8\r", "6\r", "6r"};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		rig_type(&rig, tries[i]);
		ck_assert(rig_shows(&rig, "Not with --readonly"));
		rig_key(&rig, K_ESC);
	}
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert_str_eq(fake->past.decided, "");
	ck_assert_str_eq(fake->past.restored, "");
}
END_TEST

/* On a small screen a key whose line is out of sight brings it there first. */
START_TEST(what_is_out_of_sight_is_shown_first)
{
	begin(3, 20, 5);
	rig_connect(&rig);
	rig_type(&rig, "3c");
	ck_assert(rig_shows(&rig, "a  keep alpha's"));
	ck_assert(!rig_shows(&rig, "2  keep both"));
	rig_type(&rig, "2");
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert(rig_shows(&rig, "  2  "));
	rig_type(&rig, "2");
	ck_assert_uint_eq(fake->past.resolved, 1);
	/* Where nothing can be seen nothing can be decided. */
	rig_type(&rig, "uc");
	rig_resize(&rig, 20, 1);
	rig_type(&rig, "aaaa22");
	ck_assert_uint_eq(fake->past.resolved, 1);
}
END_TEST

START_TEST(every_size_has_its_dialog)
{
	static const int sizes[][2] = {{0, 0}, {1, 1}, {5, 2}, {20, 5}, {29, 9}, {40, 12}, {200, 60}};
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "3c");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		rig_resize(&rig, sizes[i][0], sizes[i][1]);
		rig_draw(&rig);
		for (int k = 0; k < 30; k++)
			rig_key(&rig, K_PAGE_DOWN);
		rig_draw(&rig);
		if (sizes[i][1] >= 5)
			ck_assert(rig_shows(&rig, "back."));
	}
}
END_TEST

/* ---- many -------------------------------------------------------------------------------- */

START_TEST(the_marked_are_settled_and_undone)
{
	begin(3, 100, 30);
	many_conflicts(20);
	rig_connect(&rig);
	rig_type(&rig, "3");
	ck_assert(rig_shows(&rig, "21"));
	rig_type(&rig, "          ");
	ck_assert_uint_eq(rig.m.marks.n, 10);
	rig_type(&rig, "c");
	ck_assert_int_eq(rig.m.dialog, DIALOG_MARKED);
	ck_assert(rig_shows(&rig, "10 marked conflicts"));
	ck_assert(rig_shows(&rig, "A  keep alpha's version  (10)"));
	ck_assert(!rig_shows(&rig, "keep gamma's"));
	rig_type(&rig, "C");
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert(rig_shows(&rig, "None of them has such a version"));
	rig_type(&rig, "B");
	ck_assert_uint_eq(fake->past.resolved, 10);
	ck_assert_str_eq(fake->past.keep, "1");
	ck_assert(rig_shows(&rig, "10 conflicts settled; u undoes them"));
	ck_assert_uint_eq(rig.m.marks.n, 0);
	ck_assert_uint_eq(fake->conflicts, 11);
	rig_type(&rig, "u");
	ck_assert(rig_shows(&rig, "10 resolutions undone"));
	ck_assert_uint_eq(fake->conflicts, 21);
}
END_TEST

START_TEST(some_of_the_marked_fail)
{
	begin(3, 100, 30);
	many_conflicts(5);
	rig_connect(&rig);
	rig_type(&rig, "3   c");
	fake->past.refuse = true;
	rig_type(&rig, "2");
	ck_assert_uint_eq(fake->past.resolved, 0);
	ck_assert(rig_shows(&rig, "3 not settled: it has changed since it was shown"));
	ck_assert_uint_eq(rig.m.marks.n, 3);
	/* What is marked and in no conflict is none of it. */
	rig_type(&rig, "U1/README\r c");
	ck_assert(rig_shows(&rig, "Nothing that is marked is in conflict"));
}
END_TEST

START_TEST(a_hundred_thousand)
{
	begin(2, 100, 30);
	many_conflicts(100000);
	rig_connect(&rig);
	rig_type(&rig, "3c");
	ck_assert_int_eq(rig.m.dialog, DIALOG_CONFLICT);
	rig_key(&rig, K_ESC);
	/* A marked folder means all that is in it. */
	for (int i = 0; i < 100; i++) {
		char folder[16];
		snprintf(folder, sizeof(folder), "m%02d", i);
		pathset_put(&rig.m.marks, bytes_of(folder), 0);
	}
	model_key(&rig.m, 'c');
	while (rig_answer_one(&rig))
		;
	rig_settle(&rig);
	ck_assert(rig_shows(&rig, "100,000 marked conflicts"));
	model_key(&rig.m, 'b');
	ck_assert_uint_le(rig.n, SETTLE_FLYING);
	while (rig_answer_one(&rig))
		ck_assert_uint_le(rig.n, SETTLE_FLYING);
	ck_assert_uint_eq(fake->past.resolved, 100000);
	ck_assert_uint_eq(fake->conflicts, 1);
}
END_TEST

/* ---- the menu ---------------------------------------------------------------------------- */

START_TEST(the_right_button_opens_the_menu_of_a_row)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "t");
	/* The third row of the table. */
	int y = rig.m.layout.body.y + 2;
	model_mouse(&rig.m, MOUSE_MENU, y, 95);
	rig_settle(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_MENU);
	struct buf path = {0};
	buf_addf(&path, "%s", rig_selected(&rig));
	ck_assert_uint_eq(files_at(), 2);
	/* It stands under the pointer, and all of it on the screen. */
	ck_assert(strstr(rig_line(&rig, y + 1), "+- ") != NULL);
	ck_assert(rig_shows(&rig, "i      details of the row; again: back"));
	for (int line = y + 1; line < y + 9; line++)
		if (strstr(rig_line(&rig, line), " Space  mark"))
			model_mouse(&rig.m, MOUSE_CLICK, line, 80);
	rig_settle(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert_uint_eq(rig.m.marks.n, 1);
	ck_assert(pathset_has(&rig.m.marks, (struct bytes){path.data, path.len}));
	/* Beside it is Esc; a row that has gone is not mistaken for the one after it. */
	model_mouse(&rig.m, MOUSE_MENU, y, 10);
	rig_settle(&rig);
	model_mouse(&rig.m, MOUSE_CLICK, 0, 0);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
	model_mouse(&rig.m, MOUSE_MENU, y, 10);
	buf_add_char(&path, '\0');
	fake_remove(fake, (char *)path.data);
	rig_settle(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_MENU);
	rig_type(&rig, " ");
	ck_assert(rig_shows(&rig, "That row is not there any more"));
	ck_assert_uint_eq(rig.m.marks.n, 1);
	buf_release(&path);
}
END_TEST

/* ---- setup ------------------------------------------------------------------------------- */

/* ---- the past goes on -------------------------------------------------------------------- */

static void happens(const char *path)
{
	struct buf p = {0};
	fake_event(fake, &p, RIG_NOW, "deleted", path, "beta", "");
	rig_notify(&rig, "event", &p);
	buf_release(&p);
}

static const char *selected_line(void)
{
	return rig_line(&rig, rig.m.layout.body.y +
			      (int)(rig.m.page_at[rig.m.view] - rig.m.page_top[rig.m.view]));
}

START_TEST(the_past_is_shown_as_it_grows)
{
	char line[256];
	begin(3, 100, 30);
	fake->past.history = 50;
	rig_connect(&rig);
	rig_type(&rig, "7jjj");
	snprintf(line, sizeof(line), "%s", selected_line());
	uint64_t asked = rig.asked;
	fake->past.history = 53;
	happens("x");
	happens("y");
	ck_assert_int_gt(model_tick_ms(&rig.m), 0);
	ck_assert_int_le(model_tick_ms(&rig.m), PAST_AGAIN_MS);
	/* Not at once, and once for both. */
	model_prepare(&rig.m);
	ck_assert_uint_eq(rig.asked, asked);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.asked, asked + 1);
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_HISTORY].n, 53);
	/* The selection is where it was, with what came above it. */
	ck_assert_uint_eq(rig.m.page_at[VIEW_HISTORY], 6);
	ck_assert_str_eq(selected_line(), line);
	/* Who stays on the first line sees the newest. */
	rig_type(&rig, "g");
	fake->past.history = 54;
	happens("x");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.m.page_at[VIEW_HISTORY], 0);
	/* Elsewhere nothing is asked. */
	rig_type(&rig, "1");
	asked = rig.asked;
	happens("x");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.asked, asked);
}
END_TEST

START_TEST(far_down_the_past_stands_still)
{
	begin(3, 100, 30);
	fake->past.trash = 2000;
	rig_connect(&rig);
	rig_type(&rig, "6");
	ck_assert(rig_shows(&rig, "-- Trash -- 1 of 200 and more"));
	for (int i = 0; i < 3; i++)
		rig_type(&rig, "G");
	ck_assert_uint_gt(rig.m.page_at[VIEW_TRASH], PAST_PAGE);
	uint64_t asked = rig.asked, n = rig.m.pasts.lists[PAST_TRASH].n;
	happens("x");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.asked, asked);
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, n);
	ck_assert(rig_shows(&rig, "there is newer: g"));
	ck_assert_int_eq(past_tick_ms(&rig.m), 0);
	rig_type(&rig, "g");
	ck_assert_uint_gt(rig.asked, asked);
	ck_assert(!rig_shows(&rig, "there is newer"));
}
END_TEST

START_TEST(details_follow_their_file)
{
	begin(3, 100, 40);
	fake->past.trash = 1;
	rig_connect(&rig);
	rig_type(&rig, "/notes\ri");
	uint64_t asked = rig.asked;
	happens("elsewhere");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.asked, asked);
	fake->past.trash = 4;
	happens("design/notes.txt");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH_OF].n, 2);
}
END_TEST

/* ---- setup ------------------------------------------------------------------------------- */

START_TEST(units_are_everywhere)
{
	static const char *const screens[] = {"1", "2", "3c", "\033""5", "6", "6\r", "\033""7", "8", "8\r",
					      "\033""1/notes\ri"};
	begin(3, 120, 40);
	fake->past.trash = fake->past.history = 3;
	fake->past.n_held = 1;
	fake->past.held[0] = (struct fake_held){7, 30, "beta", "photos"};
	rig_connect(&rig);
	struct buf p = {0};
	fake_progress(fake, &p, true);
	rig_notify(&rig, "progress", &p);
	buf_release(&p);
	for (size_t i = 0; i < ARRAY_LEN(screens); i++) {
		rig_type(&rig, screens[i]);
		ck_assert(i == 1 || rig_shows(&rig, "iB") || rig_shows(&rig, " B"));
		rig.m.setup.units = UNITS_DECIMAL;
		if (i + 1 == ARRAY_LEN(screens))
			rig_type(&rig, "Sss\033"); /* bytes, binary; from decimal */
		else
			ck_assert_msg(!rig_shows(&rig, "iB"), "%zu", i);
		rig.m.setup.units = UNITS_BINARY;
	}
	rig.m.setup.units = UNITS_BYTES;
	ck_assert(rig_shows(&rig, "6,442,450,944 / 13,743,895,347 B"));
}
END_TEST

START_TEST(columns_and_units_are_chosen)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "t");
	ck_assert(rig_shows(&rig, "96.2 GiB"));
	rig_type(&rig, "S");
	ck_assert(rig_shows(&rig, "sizes            in steps of 1024"));
	rig_type(&rig, "s");
	ck_assert(rig_shows(&rig, "sizes            in steps of 1000"));
	rig_key(&rig, K_ESC);
	ck_assert(rig_shows(&rig, "103.3 GB"));
	rig_type(&rig, "Ss");
	rig_key(&rig, K_ESC);
	ck_assert(rig_shows(&rig, "103,293,963,469  2026-11-20"));
	/* Only for now: nothing of it is kept. */
	ck_assert_uint_eq(rig.m.todo & TODO_REMEMBER, TODO_REMEMBER); /* of t */
	ck_assert_int_eq(rig.m.kept_setup.units, UNITS_BINARY);
	rig.m.todo = 0;
	rig_type(&rig, "Szd");
	rig_key(&rig, K_ESC);
	ck_assert(!rig_shows(&rig, "103,293"));
	ck_assert(!rig_shows(&rig, "2026-11-20"));
	ck_assert(!rig_shows(&rig, "Modified"));
	ck_assert_uint_eq(rig.m.todo, 0);
	rig_type(&rig, "Szvw");
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert_uint_eq(rig.m.todo, TODO_REMEMBER);
	ck_assert_int_eq(rig.m.kept_setup.units, UNITS_BYTES);
	/* What is written is what is read. */
	struct buf file = {0};
	struct setup read = {0};
	setup_write(&rig.m.kept_setup, &file);
	buf_add_char(&file, '\0');
	ck_assert_str_eq((char *)file.data, "units=bytes\nhide=date\nhide=state\n");
	setup_take(&read, bytes_of("units"), bytes_of("bytes"));
	setup_take(&read, bytes_of("units"), bytes_of("nonsense"));
	setup_take(&read, bytes_of("hide"), bytes_of("date"));
	setup_take(&read, bytes_of("hide"), bytes_of("name"));
	setup_take(&read, bytes_of("hide"), bytes_of("state"));
	ck_assert_int_eq(read.units, rig.m.kept_setup.units);
	ck_assert_uint_eq(read.hidden, rig.m.kept_setup.hidden);
	buf_release(&file);
}
END_TEST

/* ---- held -------------------------------------------------------------------------------- */

static void hold(void)
{
	fake->past.n_held = 2;
	fake->past.held[0] = (struct fake_held){INT64_MAX - 3, 214, "alpha", "photos"};
	fake->past.held[1] = (struct fake_held){17, 700, "beta", "video"};
	rig_status(&rig);
}

START_TEST(held_sets_are_listed_and_decided)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "8");
	ck_assert(rig_shows(&rig, "No deletions are held."));
	hold();
	ck_assert(rig_shows(&rig, "914 deletions held"));
	ck_assert(rig_shows(&rig, "214 deletions, 306.1 MiB, found missing on alpha, since 2026-11"));
	ck_assert(rig_shows(&rig, "photos/img_0000.raw"));
	/* All that is in a set stands there, up to a limit that is said. */
	ck_assert_uint_eq(rig.m.page.n, 1 + 214 + 1 + HOLDS_PATHS + 1);
	rig_key(&rig, K_ENTER);
	ck_assert_int_eq(rig.m.dialog, DIALOG_HELD);
	rig_key(&rig, K_ENTER);
	rig_type(&rig, " dDxY");
	ck_assert_str_eq(fake->past.decided, "");
	rig_type(&rig, "y");
	ck_assert_str_eq(fake->past.decided, "delete 214");
	ck_assert(rig_shows(&rig, "214 deletions, 306.1 MiB: carried out"));
	ck_assert(!rig_shows(&rig, "photos/"));
	rig_type(&rig, "G");
	ck_assert(rig_shows(&rig, "and 200 more"));
	rig_key(&rig, K_ENTER);
	ck_assert(rig_shows(&rig, "told by beta"));
	rig_type(&rig, "k");
	ck_assert_str_eq(fake->past.decided, "keep 700");
	ck_assert(rig_shows(&rig, "No deletions are held."));
}
END_TEST

START_TEST(a_set_that_changes_is_not_decided)
{
	begin(3, 100, 30);
	rig_connect(&rig);
	rig_type(&rig, "8");
	hold();
	rig_key(&rig, K_ENTER);
	/* The server knows it and we do not yet. */
	fake->past.held[0].id++;
	rig_type(&rig, "y");
	ck_assert_str_eq(fake->past.decided, "");
	ck_assert(rig_shows(&rig, "The server says: the set has changed since it was shown"));
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	/* We are told of it while the dialog is open. */
	rig_key(&rig, K_ENTER);
	ck_assert_int_eq(rig.m.dialog, DIALOG_HELD);
	fake->past.held[0].id++;
	rig_status(&rig);
	ck_assert_int_eq(rig.m.dialog, DIALOG_NONE);
	ck_assert(rig_shows(&rig, "The set has changed; nothing was decided"));
	rig_type(&rig, "y");
	ck_assert_str_eq(fake->past.decided, "");
}
END_TEST

/* ---- the past ---------------------------------------------------------------------------- */

START_TEST(trash_is_fetched_as_one_moves)
{
	begin(3, 100, 30);
	fake->past.trash = 1000;
	rig_connect(&rig);
	rig_type(&rig, "6");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, PAST_PAGE);
	ck_assert(rig_shows(&rig, "alpha      design/notes.txt  by beta"));
	for (int i = 0; i < 5; i++)
		rig_type(&rig, "G");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, 1000);
	ck_assert(rig_shows(&rig, "gamma      old/plan-998.txt  by alpha"));
	uint64_t asked = rig.asked;
	rig_type(&rig, "gG");
	ck_assert_uint_eq(rig.asked, asked);
	fake->past.missing = "be\033ta";
	rig_type(&rig, "\\on:beta plan-10\r");
	ck_assert(rig_shows(&rig, "No answer came from be\\x1bta"));
	ck_assert(rig_shows(&rig, "beta       old/plan-10.txt"));
	ck_assert(!rig_shows(&rig, "alpha      "));
	/* What is far down is found as well, and only what passes is kept. */
	fake->past.trash = 20000;
	rig_key(&rig, K_ESC);
	rig_type(&rig, "\\plan-1999\r");
	ck_assert(rig_shows(&rig, "old/plan-19999.txt"));
	ck_assert(rig_shows(&rig, "old/plan-1999.txt"));
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, 8);
	rig_key(&rig, K_ESC);
	for (int i = 0; i < 60; i++)
		rig_type(&rig, "G");
	ck_assert_uint_le(rig.m.pasts.lists[PAST_TRASH].n, PAST_KEPT);
	ck_assert(rig_shows(&rig, "There is more; \\ narrows the list"));
	ck_assert_int_eq(rig.m.view, VIEW_TRASH);
	rig_key(&rig, K_ESC);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
}
END_TEST

START_TEST(the_past_is_narrowed_by_time_and_server)
{
	begin(3, 100, 40);
	fake->past.trash = 1000;
	fake->past.history = 400;
	rig_connect(&rig);
	/* One each hour before 14:00:00 of the 22nd. */
	rig_type(&rig, "6\\since:2026-11-22 until:2026-11-22T12:59\r");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, 13);
	ck_assert(rig_shows(&rig, "2026-11-22 12:59:59"));
	ck_assert(!rig_shows(&rig, "2026-11-21"));
	rig_key(&rig, K_ESC);
	rig_type(&rig, "\\since:2h\r");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_TRASH].n, 2);
	uint64_t asked = rig.asked;
	rig_type(&rig, "\\since:soon\r");
	ck_assert(rig_shows(&rig, "That is no time"));
	ck_assert_uint_eq(rig.asked, asked);
	/* One each 61 s from 12:20:00 on, by the servers in turn. */
	rig_type(&rig, "7\\on:beta since:19:00 deleted\r");
	ck_assert(rig_shows(&rig, "is recorded") || rig_shows(&rig, "was deleted on beta"));
	ck_assert(!rig_shows(&rig, "on alpha"));
	rig_key(&rig, K_ESC);
	rig_type(&rig, "\\on:beta until:12:30\r");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_HISTORY].n, 4);
}
END_TEST

START_TEST(restoring_asks_and_says_where)
{
	begin(3, 100, 30);
	fake->past.trash = 10;
	rig_connect(&rig);
	rig_type(&rig, "6j");
	rig_key(&rig, K_ENTER);
	ck_assert_int_eq(rig.m.dialog, DIALOG_RESTORE);
	ck_assert(rig_shows(&rig, "Restore old/plan-1.txt"));
	ck_assert(rig_shows(&rig, "in the trash of beta"));
	rig_key(&rig, K_ENTER);
	rig_type(&rig, " r");
	ck_assert_str_eq(fake->past.restored, "");
	rig_type(&rig, "y");
	ck_assert_str_eq(fake->past.restored, "old/plan-1.txt");
	ck_assert(rig_shows(&rig, "Restored: old/plan-1.txt"));
	rig_type(&rig, "rt");
	ck_assert(rig_shows(&rig, "Restore to: old/plan-1.txt"));
	rig_key(&rig, K_CTRL('U'));
	rig_type(&rig, "new/place.txt\r");
	ck_assert_str_eq(fake->past.restored, "new/place.txt");
	/* What is gone there meanwhile. */
	rig_type(&rig, "r");
	fake->past.trash = 0;
	rig_type(&rig, "y");
	ck_assert(rig_shows(&rig, "The server says: that is not in the trash any more"));
}
END_TEST

START_TEST(history_of_all_and_of_one)
{
	begin(3, 100, 40);
	fake->past.history = 500;
	fake->past.trash = 30;
	rig_connect(&rig);
	rig_type(&rig, "7");
	ck_assert(rig_shows(&rig, "old/plan-500.txt changed on gamma: 4,802 B, was 4,302 B"));
	for (int i = 0; i < 4; i++)
		rig_type(&rig, "G");
	ck_assert_uint_eq(rig.m.pasts.lists[PAST_HISTORY].n, 500);
	/* Enter goes to the file. */
	rig_type(&rig, "g/notes\r");
	rig_key(&rig, K_ENTER);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
	ck_assert_str_eq(rig_selected(&rig), "design/notes.txt");
	/* And its details have the last lines, and lead to the rest. */
	rig_type(&rig, "i");
	ck_assert(rig_shows(&rig, "History"));
	ck_assert(rig_shows(&rig, "7 shows all"));
	ck_assert(rig_shows(&rig, "In the trash"));
	rig_type(&rig, "7");
	ck_assert(rig_shows(&rig, "History of design/notes.txt"));
	ck_assert(!rig_shows(&rig, "plan"));
	rig_key(&rig, K_ESC);
	ck_assert_int_eq(rig.m.view, VIEW_DETAILS);
	rig_type(&rig, "6");
	ck_assert(rig_shows(&rig, "Trash of design/notes.txt"));
	ck_assert(!rig_shows(&rig, "plan"));
	rig_type(&rig, "r");
	ck_assert_int_eq(rig.m.dialog, DIALOG_RESTORE);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("settle");
	TCase *t = suite_case(s, "settle", set_up, tear_down);
	tcase_add_test(t, each_answer_is_what_it_says);
	tcase_add_test(t, leaving_decides_nothing);
	tcase_add_test(t, keys_typed_ahead_decide_nothing);
	tcase_add_test(t, what_has_changed_is_shown_anew);
	tcase_add_test(t, next_goes_round);
	tcase_add_test(t, three_and_many_versions);
	tcase_add_test(t, difference_and_view_name_the_files);
	tcase_add_test(t, hostile_names_stay_text);
	tcase_add_test(t, a_lost_connection_closes_it);
	tcase_add_test(t, read_only_decides_nothing);
	tcase_add_test(t, what_is_out_of_sight_is_shown_first);
	tcase_add_test(t, every_size_has_its_dialog);
	tcase_add_test(t, the_marked_are_settled_and_undone);
	tcase_add_test(t, some_of_the_marked_fail);
	tcase_add_test(t, a_hundred_thousand);
	tcase_add_test(t, the_right_button_opens_the_menu_of_a_row);
	tcase_add_test(t, the_past_is_shown_as_it_grows);
	tcase_add_test(t, far_down_the_past_stands_still);
	tcase_add_test(t, details_follow_their_file);
	tcase_add_test(t, units_are_everywhere);
	tcase_add_test(t, columns_and_units_are_chosen);
	tcase_add_test(t, held_sets_are_listed_and_decided);
	tcase_add_test(t, a_set_that_changes_is_not_decided);
	tcase_add_test(t, trash_is_fetched_as_one_moves);
	tcase_add_test(t, the_past_is_narrowed_by_time_and_server);
	tcase_add_test(t, restoring_asks_and_says_where);
	tcase_add_test(t, history_of_all_and_of_one);
	return suite_run(s);
}
