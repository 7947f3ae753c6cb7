/* Tests of the screen's model: the selection is a path and keeps its line, windows are few, keys
 * wait for the row they mean, and nothing that a server says in any order breaks it. */
#include "config.h"
#include "screen_rig.h"

#include "entry.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct rig rig;
static struct fake *fake;

static void begin(size_t servers, int width, int height)
{
	fake = fake_new(servers);
	rig_init(&rig, fake, width, height, false);
}

static void tear_down(void)
{
	rig_release(&rig);
}

static struct listing *files(void)
{
	return &rig.m.files;
}

static uint64_t line(void)
{
	return files()->at - files()->top;
}

/* What must be true whenever nothing is under way. */
static void check_settled(void)
{
	const struct listing *l = files();
	uint64_t h = l->height > 0 ? l->height : 1;
	if (l->total == 0) {
		ck_assert_uint_eq(l->n, 0);
		return;
	}
	ck_assert_int_eq(l->where, LISTING_HERE);
	ck_assert_uint_lt(l->at, l->total);
	ck_assert_uint_le(l->top, l->at);
	ck_assert_uint_lt(l->at, l->top + h);
	ck_assert_ptr_nonnull(listing_selected(l));
	ck_assert(bytes_eq(listing_selected(l)->path, listing_path(l)));
	/* Every line of the screen has its row. */
	for (uint64_t p = l->top; p < l->top + h && p < l->total; p++)
		ck_assert_ptr_nonnull(listing_row(l, p));
	if (l->total >= h)
		ck_assert_uint_le(l->top + h, l->total);
	else
		ck_assert_uint_eq(l->top, 0);
}

/* ---- windows ----------------------------------------------------------------------------- */

START_TEST(moving_in_the_window_asks_nobody)
{
	begin(1, 80, 24);
	fake_many(fake, 5000);
	rig_connect(&rig);
	rig_type(&rig, "t");
	rig_type(&rig, "jjjjjjjjjjjjjjjjjjjjjjjjj");
	uint64_t asked = rig.asked;
	rig_type(&rig, "kjkjkjHML");
	ck_assert_uint_eq(rig.asked, asked);
	check_settled();
}
END_TEST

START_TEST(a_long_way_takes_few_windows)
{
	begin(1, 80, 24);
	fake_many(fake, 20000);
	rig_connect(&rig);
	rig_type(&rig, "t");
	uint64_t before = fake->windows;
	for (int i = 0; i < 1000; i++)
		rig_key(&rig, 'j');
	ck_assert_uint_eq(files()->at, 1000);
	ck_assert_str_eq(rig_selected(&rig), "d0001/f0001000.dat");
	/* One for every half page at most: what lies ahead is asked for in good time. */
	ck_assert_uint_le(fake->windows - before, 1000 / 10);
	/* Keys that come faster than answers are one window. */
	before = fake->windows;
	for (int i = 0; i < 1000; i++)
		model_key(&rig.m, 'j');
	rig_settle(&rig);
	ck_assert_uint_eq(files()->at, 2000);
	ck_assert_uint_le(fake->windows - before, 3);
	check_settled();
}
END_TEST

START_TEST(first_last_row_and_percent)
{
	begin(1, 80, 24);
	fake_many(fake, 20000);
	rig_connect(&rig);
	rig_type(&rig, "tG");
	ck_assert_str_eq(rig_selected(&rig), "d0019/f0019999.dat");
	check_settled();
	rig_type(&rig, "g");
	ck_assert_uint_eq(files()->at, 0);
	rig_type(&rig, ":50%\r");
	ck_assert_uint_eq(files()->at, 10000);
	rig_type(&rig, ":777\r");
	ck_assert_str_eq(rig_selected(&rig), "d0000/f0000776.dat");
	rig_type(&rig, ":99999999\r");
	ck_assert_uint_eq(files()->at, 19999);
	rig_key(&rig, K_PAGE_UP);
	ck_assert_uint_eq(files()->at, 19999 - files()->height);
	ck_assert_uint_eq(line(), files()->height - 1);
	check_settled();
}
END_TEST

START_TEST(memory_is_a_window)
{
	begin(1, 200, 60);
	fake_many(fake, 50000);
	rig_connect(&rig);
	rig_type(&rig, "tG");
	ck_assert_uint_le(files()->n, LISTING_WINDOW_MAX);
	ck_assert_uint_le(files()->memory.cap, 100 * 1024);
	/* Even where the screen is higher than a window can be. */
	rig_resize(&rig, 100, 900);
	rig_settle(&rig);
	ck_assert_uint_le(files()->n, LISTING_WINDOW_MAX);
}
END_TEST

/* ---- the selection ----------------------------------------------------------------------- */

START_TEST(the_selection_keeps_its_line)
{
	begin(1, 80, 24);
	fake_many(fake, 3000);
	rig_connect(&rig);
	rig_type(&rig, "t:1500\r");
	struct buf path = {0};
	buf_addf(&path, "%s", rig_selected(&rig));
	buf_add_char(&path, '\0');
	uint64_t at_line = line();
	for (int i = 0; i < 300; i++) {
		char name[64];
		snprintf(name, sizeof(name), "a%03d.txt", i);
		fake_put(fake, name, KIND_FILE, 1, 1700000000, ROW_SYNCED, NULL, NULL);
		rig_settle(&rig);
		ck_assert_str_eq(rig_selected(&rig), (char *)path.data);
		ck_assert_uint_eq(line(), at_line);
	}
	for (int i = 0; i < 1400; i++) {
		char name[64];
		snprintf(name, sizeof(name), "d%04d/f%07d.dat", i / 1000, i);
		fake_remove(fake, name);
		if (i % 50 == 0)
			rig_settle(&rig);
	}
	rig_settle(&rig);
	ck_assert_str_eq(rig_selected(&rig), (char *)path.data);
	ck_assert_uint_eq(line(), at_line);
	check_settled();
	buf_release(&path);
}
END_TEST

START_TEST(a_row_that_moves_takes_the_cursor_along)
{
	begin(1, 80, 24);
	fake_many(fake, 3000);
	rig_connect(&rig);
	rig_type(&rig, "tsd");
	rig_type(&rig, ":2000\r");
	struct buf path = {0};
	buf_addf(&path, "%s", rig_selected(&rig));
	buf_add_char(&path, '\0');
	/* It is the newest now, and so the first. */
	fake_put(fake, (char *)path.data, KIND_FILE, 5, 1900000000, ROW_SYNCED, NULL, NULL);
	rig_settle(&rig);
	ck_assert_str_eq(rig_selected(&rig), (char *)path.data);
	ck_assert_uint_eq(files()->at, 0);
	check_settled();
	buf_release(&path);
}
END_TEST

START_TEST(a_deleted_row_gives_the_cursor_to_its_neighbour)
{
	begin(1, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "/README\r");
	uint64_t at_line = line();
	fake_remove(fake, "README");
	rig_settle(&rig);
	ck_assert_str_eq(rig_selected(&rig), "build.log");
	ck_assert_uint_eq(line(), at_line);
	check_settled();
}
END_TEST

START_TEST(untouched_it_stays_on_the_first)
{
	begin(1, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "tsd");
	fake_put(fake, "newest.txt", KIND_FILE, 5, 1900000000, ROW_SYNCED, NULL, NULL);
	rig_settle(&rig);
	ck_assert_str_eq(rig_selected(&rig), "newest.txt");
	/* The first move pins it. */
	rig_type(&rig, "j");
	struct buf path = {0};
	buf_addf(&path, "%s", rig_selected(&rig));
	buf_add_char(&path, '\0');
	fake_put(fake, "newer.txt", KIND_FILE, 5, 1900000001, ROW_SYNCED, NULL, NULL);
	rig_settle(&rig);
	ck_assert_str_eq(rig_selected(&rig), (char *)path.data);
	rig_type(&rig, "F");
	ck_assert_str_eq(rig_selected(&rig), "newer.txt");
	buf_release(&path);
}
END_TEST

START_TEST(folds_are_kept)
{
	begin(1, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "l");
	ck_assert(rig_shows(&rig, "notes.txt"));
	rig_type(&rig, "ss");
	ck_assert(rig_shows(&rig, "notes.txt"));
	/* Another server, or the same after a restart, knows nothing of them. */
	model_down(&rig.m, "gone", 1000);
	rig_connect(&rig);
	ck_assert(rig_shows(&rig, "notes.txt"));
	rig_type(&rig, "]");
	ck_assert(rig_shows(&rig, "img_8812.raw"));
	rig_type(&rig, "/photos\rh");
	ck_assert(!rig_shows(&rig, "img_8812.raw"));
	rig_type(&rig, "tt");
	ck_assert(!rig_shows(&rig, "img_8812.raw"));
	ck_assert(rig_shows(&rig, "intro-4k.mov"));
	rig_type(&rig, "[");
	ck_assert(!rig_shows(&rig, "notes.txt"));
	check_settled();
}
END_TEST

START_TEST(left_goes_to_the_folder_above)
{
	begin(1, 80, 24);
	fake_many(fake, 1000);
	rig_connect(&rig);
	rig_type(&rig, "lG");
	ck_assert_str_eq(rig_selected(&rig), "d0000/f0000999.dat");
	rig_type(&rig, "h");
	ck_assert_str_eq(rig_selected(&rig), "d0000");
	rig_type(&rig, "h");
	ck_assert_uint_eq(files()->total, 1);
	check_settled();
}
END_TEST

/* ---- keys -------------------------------------------------------------------------------- */

START_TEST(keys_wait_for_the_row_they_mean)
{
	begin(1, 80, 24);
	fake_many(fake, 3000);
	rig_connect(&rig);
	rig_type(&rig, "t");
	/* To the end and marked, before the server has answered. */
	model_key(&rig.m, 'G');
	model_key(&rig.m, ' ');
	model_key(&rig.m, 'i');
	ck_assert_uint_eq(rig.m.marks.n, 0);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.m.marks.n, 1);
	ck_assert(pathset_has(&rig.m.marks, bytes_of("d0002/f0002999.dat")));
	ck_assert_int_eq(rig.m.view, VIEW_DETAILS);
	rig_type(&rig, "i");
	/* What comes after a search means what it finds. */
	const char *keys = "g/f0001234\r j";
	for (const char *k = keys; *k; k++)
		model_key(&rig.m, (uint8_t)*k);
	rig_settle(&rig);
	ck_assert(pathset_has(&rig.m.marks, bytes_of("d0001/f0001234.dat")));
	ck_assert_str_eq(rig_selected(&rig), "d0001/f0001236.dat");
	/* Leaving waits for nothing. */
	model_key(&rig.m, 'g');
	model_key(&rig.m, ' ');
	model_key(&rig.m, 'q');
	ck_assert(rig.m.todo & TODO_QUIT);
}
END_TEST

START_TEST(no_key_deletes_or_confirms_by_accident)
{
	begin(3, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "dDxX");
	rig_key(&rig, K_DELETE);
	rig_key(&rig, K_CTRL('K'));
	ck_assert_uint_eq(fake->resyncs, 0);
	/* Neither Enter nor Space nor the same key again says yes. */
	static const uint32_t no[] = {K_ENTER, ' ', 'R', K_ESC, 'n'};
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		rig_key(&rig, 'R');
		ck_assert_int_eq(rig.m.asking, ASKING_RESYNC_ALL);
		rig_key(&rig, no[i]);
		ck_assert_int_eq(rig.m.asking, ASKING_NOTHING);
		ck_assert_uint_eq(fake->resyncs, 0);
	}
	rig_type(&rig, "Ry");
	ck_assert_uint_eq(fake->resyncs, 1);
	ck_assert(rig_shows(&rig, "Resync done: 1,200 looked at, 2 changed; but gamma: offline"));
}
END_TEST

START_TEST(resync_of_marks)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "   r");
	ck_assert_uint_eq(fake->resyncs, 3);
	ck_assert(rig_shows(&rig, "Resync done: 3,600 looked at, 6 changed"));
	rig_type(&rig, "Ur");
	ck_assert_uint_eq(fake->resyncs, 4);
}
END_TEST

START_TEST(read_only_offers_no_resync)
{
	begin(2, 120, 24);
	fake_sample(fake);
	rig.m.readonly = true;
	rig_connect(&rig);
	ck_assert(!rig_shows(&rig, "Resync"));
	rig_type(&rig, "rRy");
	ck_assert_uint_eq(fake->resyncs, 0);
	rig_type(&rig, "?");
	ck_assert(!rig_shows(&rig, "resync"));
}
END_TEST

START_TEST(esc_goes_back_one_step)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "\\README\r");
	rig_type(&rig, "i");
	rig_type(&rig, "?");
	ck_assert_int_eq(rig.m.view, VIEW_HELP);
	rig_key(&rig, K_ESC);
	ck_assert_int_eq(rig.m.view, VIEW_DETAILS);
	rig_key(&rig, K_ESC);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
	rig_type(&rig, "v/abc");
	rig_key(&rig, K_ESC);
	ck_assert_int_eq(rig.m.asking, ASKING_NOTHING);
	ck_assert(rig.m.ranging);
	rig_key(&rig, K_ESC);
	ck_assert(!rig.m.ranging);
	ck_assert_uint_gt(files()->filter.len, 0);
	rig_key(&rig, K_ESC);
	ck_assert_uint_eq(files()->filter.len, 0);
	rig_key(&rig, K_ESC);
	ck_assert_uint_eq(rig.m.todo, 0);
}
END_TEST

/* Every key has one meaning in a place, and every action that is told has a key. */
START_TEST(the_table_of_keys_is_sound)
{
	begin(1, 80, 24);
	for (size_t i = 0; i < key_bindings_n; i++) {
		const struct key_binding *b = &key_bindings[i];
		ck_assert_uint_ne(b->keys[0], 0);
		for (size_t k = 0; k < KEYS_PER_ACTION && b->keys[k]; k++)
			for (unsigned place = IN_ROWS; place <= IN_HELD; place <<= 1)
				if (b->places & place)
					ck_assert_int_eq(key_action(b->keys[k], place), b->action);
	}
	for (int a = DO_NOTHING + 1; a < ACTIONS_N; a++)
		ck_assert_ptr_nonnull(key_of((enum action)a));
	/* Every function key's action has a letter as well. */
	for (size_t i = 0; i < key_bindings_n; i++)
		ck_assert_msg(key_bindings[i].keys[0] < K_F1 || key_bindings[i].keys[0] > K_F10,
			      "only a function key");
}
END_TEST

/* ---- what the server says ---------------------------------------------------------------- */

static size_t open_tables(void)
{
	size_t open = 0;
	for (size_t i = 0; i < FAKE_TABLES_MAX; i++)
		open += fake->tables[i].id != 0;
	return open;
}

START_TEST(the_table_of_conflicts_is_open_while_it_is_shown)
{
	begin(3, 100, 30);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "3");
	ck_assert_str_eq(rig_selected(&rig), "design/notes.txt");
	ck_assert_uint_eq(open_tables(), 2);
	rig_type(&rig, "i");
	ck_assert(rig_shows(&rig, "Versions; the first keeps the name"));
	rig_type(&rig, "i");
	ck_assert_int_eq(rig.m.view, VIEW_CONFLICTS);
	ck_assert_str_eq(rig_selected(&rig), "design/notes.txt");
	rig_type(&rig, "i1");
	ck_assert_uint_eq(open_tables(), 1);
}
END_TEST

/* For a while after a key rows stay where they are, with what is new of them; then they go. */
START_TEST(rows_stay_while_one_is_chosen)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "tsd:10\r");
	struct buf before = {0}, p = {0};
	for (int y = 3; y < 20; y++)
		buf_addf(&before, "%.20s\n", rig_line(&rig, y));
	model_key(&rig.m, 'k');
	model_key(&rig.m, 'j');
	uint64_t asked = rig.asked;
	/* The oldest becomes the newest, and another one is deleted. */
	fake_put(fake, "design/api.md", KIND_FILE, 77, 1900000000, ROW_SYNCED, NULL, "here it is");
	fake_remove(fake, "video/intro-4k.srt");
	ck_assert(fake_changed_rows(fake, &p));
	rig_notify(&rig, "table.rows", &p);
	buf_release(&p);
	struct buf after = {0};
	for (int y = 3; y < 20; y++)
		buf_addf(&after, "%.20s\n", rig_line(&rig, y));
	buf_add_char(&before, '\0');
	buf_add_char(&after, '\0');
	ck_assert_str_eq((char *)before.data, (char *)after.data);
	ck_assert(rig_shows(&rig, "here it is"));
	ck_assert(rig_shows(&rig, "order held"));
	ck_assert_uint_eq(rig.asked, asked);
	ck_assert_int_gt(model_tick_ms(&rig.m), 0);
	ck_assert_int_le(model_tick_ms(&rig.m), 1500);
	rig_settle(&rig);
	ck_assert(!rig_shows(&rig, "order held"));
	ck_assert(!rig_shows(&rig, "intro-4k.srt"));
	ck_assert(strstr(rig_line(&rig, 3), "design/api.md") != NULL);
	ck_assert_int_eq(model_tick_ms(&rig.m), 0);
	check_settled();
	buf_release(&before);
	buf_release(&after);
}
END_TEST

START_TEST(frozen_means_still)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	rig_type(&rig, "Z");
	fake_put(fake, "AAA.txt", KIND_FILE, 1, 1, ROW_SYNCED, NULL, NULL);
	rig_settle(&rig);
	ck_assert(!rig_shows(&rig, "AAA.txt"));
	ck_assert(rig_shows(&rig, "FROZEN, 1 change waiting"));
	rig_type(&rig, "Z");
	ck_assert(rig_shows(&rig, "AAA.txt"));
}
END_TEST

START_TEST(events_after_a_gap)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	fake_event(fake, NULL, RIG_NOW, "changed", "one", "beta", "");
	model_down(&rig.m, "gone", 1000);
	fake_event(fake, NULL, RIG_NOW, "changed", "two", "beta", "");
	rig_connect(&rig);
	rig_type(&rig, "4");
	ck_assert(rig_shows(&rig, "one changed on beta"));
	ck_assert(rig_shows(&rig, "two changed on beta"));
	ck_assert(!rig_shows(&rig, "more happened meanwhile"));
	model_down(&rig.m, "gone", 1000);
	for (int i = 0; i < 10; i++)
		fake_event(fake, NULL, RIG_NOW, "changed", "three", "beta", "");
	fake->first_event = fake->next_event - 2;
	rig_connect(&rig);
	ck_assert(rig_shows(&rig, "more happened meanwhile than the server remembers"));
	/* A server that has lost its history begins to count anew. */
	model_down(&rig.m, "gone", 1000);
	fake->first_event = fake->next_event = 1;
	rig_connect(&rig);
	struct buf p = {0};
	fake_event(fake, &p, RIG_NOW, "created", "four", "beta", "");
	rig_notify(&rig, "event", &p);
	buf_release(&p);
	ck_assert(rig_shows(&rig, "four is new on beta"));
}
END_TEST

START_TEST(events_of_before_are_there_and_can_be_filtered)
{
	begin(2, 100, 24);
	fake_sample(fake);
	for (int i = 0; i < 40; i++)
		fake_event(fake, NULL, RIG_NOW - 40 + i, "changed", i % 10 ? "one" : "README",
			   "beta", "");
	rig_connect(&rig);
	ck_assert_uint_eq(rig.m.new_events, 0);
	rig_type(&rig, "4");
	ck_assert_uint_eq(rig.m.page.n, 40);
	ck_assert_uint_eq(rig.m.page_at[VIEW_EVENTS], 39);
	rig_type(&rig, "/readme\r");
	ck_assert_uint_eq(rig.m.page_at[VIEW_EVENTS], 0);
	rig_type(&rig, "n");
	ck_assert_uint_eq(rig.m.page_at[VIEW_EVENTS], 10);
	rig_type(&rig, "N");
	ck_assert_uint_eq(rig.m.page_at[VIEW_EVENTS], 0);
	rig_type(&rig, "\\readme\r");
	ck_assert_uint_eq(rig.m.page.n, 4);
	ck_assert(rig_shows(&rig, "filter: readme"));
	/* Enter goes to the file. */
	rig_key(&rig, K_ENTER);
	ck_assert_int_eq(rig.m.view, VIEW_FILES);
	ck_assert_str_eq(rig_selected(&rig), "README");
	rig_type(&rig, "4");
	rig_key(&rig, K_ESC);
	ck_assert_uint_eq(rig.m.page.n, 40);
	rig_type(&rig, "?/freeze\r");
	ck_assert(rig_shows(&rig, "freeze the table"));
	rig_type(&rig, "/no such thing\r");
	ck_assert(rig_shows(&rig, "No line with"));
}
END_TEST

START_TEST(an_error_is_said)
{
	begin(2, 80, 24);
	rig_connect(&rig);
	listing_close(files());
	rig_settle(&rig);
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_text(&p, "path", "not-there");
	model_ask(&rig.m, ASK_ROW, "row", &p);
	rig_settle(&rig);
	ck_assert(rig_shows(&rig, "The server says: no such row"));
}
END_TEST

/* Answers may come late, or never because the connection went: nothing of an old table is taken
 * for the new one's, and all tables but the last are closed. */
START_TEST(answers_of_old_tables_do_no_harm)
{
	begin(2, 80, 24);
	fake_sample(fake);
	rig_connect(&rig);
	for (int i = 0; i < 20; i++) {
		model_key(&rig.m, (uint8_t)"tI!t"[i % 4]);
		if (i % 3 == 0)
			rig_answer_one(&rig);
	}
	rig_settle(&rig);
	check_settled();
	ck_assert_uint_eq(open_tables(), 1);
}
END_TEST

/* Numbers of a server gone mad are shown somehow, and overflow nothing. */
START_TEST(extreme_numbers_are_harmless)
{
	static const int64_t times[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
	static const char *const views[] = {"1", "2", "3", "4", "5", "?", "1i"};
	begin(3, 100, 30);
	fake_sample(fake);
	fake_put(fake, "huge", KIND_FILE, UINT64_MAX, 0, ROW_WAITING, NULL, NULL);
	node_t n = tree_find(fake->tree, bytes_of("huge"));
	rig_connect(&rig);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct buf p = {0};
		fake->of[n].row.mtime = times[i];
		for (size_t k = 0; k < 3; k++) {
			struct fake_server_state *s = &fake->servers[k];
			s->since = times[i];
			s->state = k == 1 ? "offline" : "receiving";
			s->retry_ms = s->tries = s->pending_files = s->pending_bytes = s->problems =
				i % 2 ? UINT64_MAX : (uint64_t)INT64_MAX;
		}
		fake->conflicts = UINT64_MAX;
		fake_status(fake, &p);
		rig_notify(&rig, "status", &p);
		buf_clear(&p);
		fake_event(fake, &p, times[i] / 1000000000, "received", "huge", "beta", "");
		rig_notify(&rig, "event", &p);
		buf_clear(&p);
		wire_map(&p, 6);
		wire_put_uint(&p, "in", UINT64_MAX);
		wire_put_uint(&p, "out", 1);
		wire_put_uint(&p, "active", UINT64_MAX);
		wire_put_uint(&p, "done", i % 2 ? UINT64_MAX : 0);
		wire_put_uint(&p, "size", UINT64_MAX - i);
		wire_key(&p, "transfers");
		wire_array(&p, 1);
		wire_map(&p, 6);
		wire_put_bin(&p, "path", bytes_of("huge"));
		wire_put_text(&p, "from", "beta");
		wire_put_text(&p, "to", "nobody");
		wire_put_uint(&p, "done", i);
		wire_put_uint(&p, "size", UINT64_MAX);
		wire_put_uint(&p, "rate", 1);
		rig_notify(&rig, "progress", &p);
		buf_release(&p);
		for (size_t k = 0; k < ARRAY_LEN(views); k++) {
			rig_type(&rig, views[k]);
			rig_draw(&rig);
			ck_assert_int_ge(model_tick_ms(&rig.m), 0);
		}
	}
	rig_type(&rig, "1");
	/* Rows that are not where the server says, and more than can be. */
	for (int i = 0; i < 4; i++) {
		struct buf p = {0};
		wire_map(&p, 9);
		wire_put_uint(&p, "table", files()->table);
		wire_put_uint(&p, "gen", 1);
		wire_put_uint(&p, "total", i & 1 ? UINT64_MAX : 3);
		wire_put_uint(&p, "first", i & 2 ? UINT64_MAX / 2 : 2);
		wire_put_uint(&p, "anchor", UINT64_MAX);
		wire_put_uint(&p, "files", UINT64_MAX);
		wire_put_uint(&p, "bytes", UINT64_MAX);
		wire_put_uint(&p, "unsynced", UINT64_MAX);
		wire_key(&p, "rows");
		wire_array(&p, 0);
		rig_notify(&rig, "table.rows", &p);
		buf_release(&p);
		rig_type(&rig, "jkGg");
		rig_draw(&rig);
	}
}
END_TEST

START_TEST(prompts_take_characters_whole)
{
	struct prompt p = {0};
	static const uint32_t keys[] = {'a',	0xe9,	     0x65e5, 'b',
					K_LEFT, K_BACKSPACE, K_HOME, K_DELETE};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ck_assert(prompt_key(&p, keys[i]));
	ck_assert_uint_eq(p.text.len, 3);
	ck_assert_mem_eq(p.text.data, "\xc3\xa9""b", 3);
	prompt_paste(&p, (struct bytes){(const uint8_t *)"x\033\xff\ny", 5});
	ck_assert_mem_eq(p.text.data, "xy\xc3\xa9""b", 5);
	prompt_key(&p, K_END);
	prompt_key(&p, K_CTRL('W'));
	ck_assert_uint_eq(p.text.len, 0);
	ck_assert(!prompt_key(&p, K_F1));
	for (int i = 0; i < 2000; i++)
		prompt_key(&p, 0x1f600);
	ck_assert_uint_le(p.text.len, PROMPT_TEXT_MAX);
	prompt_release(&p);
	begin(1, 80, 24);
}
END_TEST

/* ---- anything at all --------------------------------------------------------------------- */

static void random_edit(void)
{
	char path[64];
	unsigned n = pick(400);
	snprintf(path, sizeof(path), "d%u/e%u/f%u", n % 7, n % 3, n);
	if (pick(3) == 0)
		fake_remove(fake, path);
	else
		fake_put(fake, path, KIND_FILE, pick(100000), 1700000000 + pick(1000),
			 pick(4) == 0 ? (enum row_state)pick(ROW_STATES_N) : ROW_SYNCED, NULL,
			 pick(2) ? "note" : "");
}

static void random_key(void)
{
	static const uint32_t keys[] = {
		K_UP,	     K_DOWN,	  K_LEFT,      K_RIGHT, K_HOME, K_END,
		K_PAGE_UP,   K_PAGE_DOWN, K_ENTER,     K_ESC,	K_TAB,	K_BACKTAB,
		K_BACKSPACE, K_CTRL('D'), K_CTRL('U'), ' ',	0xe9,
	};
	uint32_t key = pick(3) ? keys[pick(ARRAY_LEN(keys))] : ' ' + pick('~' - ' ');
	model_key(&rig.m, key);
	rig.m.todo = 0;
}

static void random_step(void)
{
	struct buf p = {0};
	switch (pick(20)) {
	case 0:
		rig_resize(&rig, (int)pick(130), (int)pick(45));
		break;
	case 1:
	case 2:
		random_edit();
		break;
	case 3:
		if (!rig.deaf && fake_changed_rows(fake, &p))
			rig_notify(&rig, "table.rows", &p);
		break;
	case 4:
		fake_progress(fake, &p, pick(2));
		rig_notify(&rig, "progress", &p);
		break;
	case 5:
		fake_event(fake, &p, RIG_NOW, "changed", "d1/e1/f1", "beta", "why");
		rig_notify(&rig, "event", &p);
		break;
	case 6:
		model_mouse(&rig.m, (enum mouse)pick(4), (int)pick(45), (int)pick(130));
		break;
	case 7:
		model_paste(&rig.m, bytes_of("f1\n"));
		break;
	case 8:
		if (pick(10))
			break;
		/* Lost, with all that was asked. */
		while (rig.n > 0) {
			rig.n--;
			buf_release(&rig.requests[rig.n].method);
			buf_release(&rig.requests[rig.n].params);
		}
		for (size_t i = 0; i < FAKE_TABLES_MAX; i++)
			if (fake->tables[i].id) {
				table_close(fake->tables[i].table);
				fake->tables[i].id = 0;
			}
		rig.deaf = true;
		model_down(&rig.m, "gone", 500);
		break;
	case 9:
		if (rig.deaf) {
			rig.deaf = false;
			model_up(&rig.m);
		}
		break;
	case 10:
	case 11:
	case 12:
		rig_answer_one(&rig);
		break;
	default:
		random_key();
		break;
	}
	rig_draw(&rig);
	buf_release(&p);
}

START_TEST(monkey)
{
	pick_from(suite_seed() + (unsigned)_i);
	begin(1 + pick(4), 80, 24);
	for (int i = 0; i < 200; i++)
		random_edit();
	fake->past.trash = 700;
	fake->past.history = 900;
	fake->past.n_held = 1;
	fake->past.held[0] = (struct fake_held){7, 900, "alpha", "photos"};
	rig_connect(&rig);
	for (int i = 0; i < 3000; i++)
		random_step();
	if (rig.deaf)
		rig_connect(&rig);
	rig_settle(&rig);
	while (rig.m.dialog != DIALOG_NONE || rig.m.asking != ASKING_NOTHING)
		rig_key(&rig, K_ESC);
	rig_key(&rig, K_ESC);
	check_settled();
}
END_TEST

/* Random changes under a resting cursor: it stays on its file and on its line, unless the file
 * goes, or the edge of the table forces the line. */
START_TEST(random_changes_leave_the_cursor_alone)
{
	pick_from(suite_seed() + (unsigned)_i);
	begin(2, 80, 24);
	for (int i = 0; i < 300; i++)
		random_edit();
	rig_connect(&rig);
	rig_type(&rig, pick(2) ? "]" : "t");
	rig_type(&rig, ":40\r");
	for (int i = 0; i < 300; i++) {
		struct buf path = {0};
		uint64_t at_line = line();
		buf_addf(&path, "%s", rig_selected(&rig));
		buf_add_char(&path, '\0');
		for (unsigned k = pick(5); k > 0; k--)
			random_edit();
		rig_settle(&rig);
		check_settled();
		node_t n = tree_find(fake->tree, bytes_of((char *)path.data));
		const struct listing *l = files();
		bool there =
			fake->of[n].row.kind != KIND_ABSENT &&
			(fake->of[n].row.kind != KIND_DIR || rows_totals(fake->rows, n).files > 0);
		if (there) {
			ck_assert_str_eq(rig_selected(&rig), (char *)path.data);
			bool at_edge = l->top == 0 || l->top + l->height >= l->total;
			if (!at_edge)
				ck_assert_uint_eq(line(), at_line);
		}
		buf_release(&path);
		if (pick(4) == 0)
			rig_type(&rig, pick(2) ? "jj" : "k");
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_new("model");
	TCase *t = suite_case(s, "model", NULL, tear_down);
	tcase_add_test(t, moving_in_the_window_asks_nobody);
	tcase_add_test(t, a_long_way_takes_few_windows);
	tcase_add_test(t, first_last_row_and_percent);
	tcase_add_test(t, memory_is_a_window);
	tcase_add_test(t, the_selection_keeps_its_line);
	tcase_add_test(t, a_row_that_moves_takes_the_cursor_along);
	tcase_add_test(t, a_deleted_row_gives_the_cursor_to_its_neighbour);
	tcase_add_test(t, untouched_it_stays_on_the_first);
	tcase_add_test(t, folds_are_kept);
	tcase_add_test(t, left_goes_to_the_folder_above);
	tcase_add_test(t, keys_wait_for_the_row_they_mean);
	tcase_add_test(t, no_key_deletes_or_confirms_by_accident);
	tcase_add_test(t, resync_of_marks);
	tcase_add_test(t, read_only_offers_no_resync);
	tcase_add_test(t, esc_goes_back_one_step);
	tcase_add_test(t, the_table_of_keys_is_sound);
	tcase_add_test(t, the_table_of_conflicts_is_open_while_it_is_shown);
	tcase_add_test(t, rows_stay_while_one_is_chosen);
	tcase_add_test(t, frozen_means_still);
	tcase_add_test(t, events_after_a_gap);
	tcase_add_test(t, events_of_before_are_there_and_can_be_filtered);
	tcase_add_test(t, an_error_is_said);
	tcase_add_test(t, answers_of_old_tables_do_no_harm);
	tcase_add_test(t, extreme_numbers_are_harmless);
	tcase_add_test(t, prompts_take_characters_whole);
	tcase_add_loop_test(t, monkey, 0, 6);
	tcase_add_loop_test(t, random_changes_leave_the_cursor_alone, 0, 4);
	return suite_run(s);
}
