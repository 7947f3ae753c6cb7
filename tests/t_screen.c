/* Tests of what the screens look like: each is drawn on a grid and compared with the file in
 * tests/golden; `make update-golden` writes them anew, and then they are to be read. */
#include "config.h"
#include "screen_rig.h"

#include "entry.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct rig rig;
static struct buf drawn;

static void set_up(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	buf_clear(&drawn);
}

static void tear_down(void)
{
	buf_release(&drawn);
}

static char *golden_file(const char *name)
{
	return xasprintf("tests/golden/%s.txt", name);
}

static void compare(const char *name)
{
	char *file = golden_file(name);
	if (getenv("TUTTI_UPDATE_GOLDEN")) {
		char *path = source_path(file);
		FILE *f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fwrite(drawn.data, 1, drawn.len, f);
		ck_assert_int_eq(fclose(f), 0);
		free(path);
	}
	char *wanted = source_text(file); /* make update-golden draws it */
	buf_add_char(&drawn, '\0');
	/* The first line that differs says more than two whole files. */
	char *a = wanted, *b = (char *)drawn.data;
	for (int line = 1; *a || *b; line++) {
		size_t n = strcspn(a, "\n"), k = strcspn(b, "\n");
		ck_assert_msg(n == k && memcmp(a, b, n) == 0,
			      "%s:%d\n  wanted |%.*s|\n  drawn  |%.*s|", file, line, (int)n, a,
			      (int)k, b);
		a += n + (a[n] == '\n');
		b += k + (b[k] == '\n');
	}
	free(wanted);
	free(file);
}

static void draw(const char *title, bool looks)
{
	rig_draw(&rig);
	buf_addf(&drawn, "== %s\n", title);
	grid_print(&rig.grid, &drawn, looks);
}

static void resize(int width, int height)
{
	rig_resize(&rig, width, height);
	rig_settle(&rig);
}

static void say_progress(void)
{
	struct buf p = {0};
	fake_progress(rig.f, &p, true);
	rig_notify(&rig, "progress", &p);
	buf_clear(&p);
	fake_event(rig.f, &p, RIG_NOW, "changed", "build.log", "beta", "copied to alpha");
	rig_notify(&rig, "event", &p);
	buf_release(&p);
}

static void draw_sizes(bool looks)
{
	static const int sizes[][2] = {{1, 1},   {5, 2},   {20, 5},   {40, 12},
				       {60, 15}, {80, 24}, {100, 30}, {200, 60}};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char title[32];
		snprintf(title, sizeof(title), "%dx%d", sizes[i][0], sizes[i][1]);
		resize(sizes[i][0], sizes[i][1]);
		draw(title, looks);
	}
}

/* Each scenario in Unicode and in ASCII. */
static void begin(struct fake *f, int number)
{
	rig_init(&rig, f, 80, 24, number % 2 == 1);
}

static void finish(const char *name, int number)
{
	char full[64];
	snprintf(full, sizeof(full), "%s%s", name, number % 2 == 1 ? "-ascii" : "");
	compare(full);
	rig_release(&rig);
}

START_TEST(sample)
{
	struct fake *f = fake_new(3);
	fake_sample(f);
	begin(f, _i);
	rig_connect(&rig);
	say_progress();
	rig_type(&rig, "ljjj");
	draw_sizes(false);
	finish("sample", _i);
}
END_TEST

START_TEST(sample_looks)
{
	struct fake *f = fake_new(3);
	fake_sample(f);
	begin(f, 0);
	rig_connect(&rig);
	say_progress();
	rig_type(&rig, "]jjj j");
	draw_sizes(true);
	finish("looks", 0);
}
END_TEST

START_TEST(empty)
{
	begin(fake_new(1), _i);
	rig_connect(&rig);
	draw_sizes(false);
	finish("empty", _i);
}
END_TEST

START_TEST(many_rows)
{
	struct fake *f = fake_new(2);
	fake_many(f, 100000);
	begin(f, _i);
	rig_connect(&rig);
	rig_type(&rig, "tG");
	draw_sizes(false);
	finish("many", _i);
}
END_TEST

START_TEST(many_servers)
{
	struct fake *f = fake_new(12);
	fake_sample(f);
	f->conflicts = 0;
	begin(f, _i);
	rig_connect(&rig);
	draw_sizes(false);
	finish("servers", _i);
}
END_TEST

START_TEST(server_lost)
{
	struct fake *f = fake_new(3);
	fake_sample(f);
	begin(f, _i);
	rig_connect(&rig);
	rig.deaf = true;
	model_down(&rig.m, "it was stopped", 3000);
	rig.m.now += INT64_C(120) * 1000000000;
	draw_sizes(false);
	finish("lost", _i);
}
END_TEST

START_TEST(no_server)
{
	begin(fake_new(1), _i);
	draw("connecting", false);
	model_down(&rig.m, "connection refused", 3000);
	draw_sizes(false);
	finish("none", _i);
}
END_TEST

START_TEST(other_views)
{
	static const struct {
		const char *title, *keys;
	} views[] = {
		{"transfers", "2"},
		{"conflicts", "3"},
		{"events", "4"},
		{"servers", "5"},
		{"help", "1?"},
		{"help, end", "G"},
		{"details", "?/notes\ri"},
		{"find", "i/noth"},
		{"filter", "\033\\state:conflict"},
		{"filtered", "\r"},
		{"sort", "\033s"},
		{"by size", "s"},
		{"marks", "   "},
		{"resync all", "R"},
		{"not", "n"},
		{"only", "U!"},
		{"go", "!:50%"},
		{"gone", "\r"},
		{"frozen", "Z"},
		{"no action", "a"},
		{"no deleting", "x"},
		{"flat, scrolled", "Ztl"},
		{"range", "1tvjj"},
		{"ranged", "v"},
		{"conflict", "U3c"},
		{"conflict, the other selected", "k"},
		{"settled", "b"},
		{"undone", "u"},
		{"marked conflicts", " c"},
		{"trash", "\0336"},
		{"restore", "\r"},
		{"restore to", "t"},
		{"trash, filtered", "\033\033\\on:beta notes\r"},
		{"history", "\0337"},
		{"held", "8"},
		{"held set", "\r"},
		{"held, kept", "k"},
	};
	struct fake *f = fake_new(3);
	fake_sample(f);
	f->past.trash = f->past.history = 12;
	f->past.n_held = 1;
	f->past.held[0] = (struct fake_held){7, 30, "alpha", "photos/2025"};
	begin(f, 0);
	resize(100, 30);
	rig_connect(&rig);
	say_progress();
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		rig_type(&rig, views[i].keys);
		draw(views[i].title, false);
	}
	finish("views", 0);
}
END_TEST

/* The dialogs on every size. */
START_TEST(dialogs)
{
	static const char *const keys[] = {"3c", "\0333 c", "\0338\r"};
	struct fake *f = fake_new(3);
	fake_sample(f);
	f->past.n_held = 1;
	f->past.held[0] = (struct fake_held){7, 30, "beta", "photos/2025"};
	begin(f, _i);
	rig_connect(&rig);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		resize(80, 24);
		rig_type(&rig, keys[i]);
		draw_sizes(false);
	}
	finish("dialogs", _i);
}
END_TEST

/* Keys that ask, and what is said to them, on every size. */
START_TEST(keys)
{
	static const struct {
		const char *title, *keys;
	} steps[] = {
		{"header", "1"},
		{"servers", "5"},
		{"one that asks", "/TVKP\r\r"},
		{"one that is trusted", "\033/N4XK\r\r"},
		{"the end of its trust", "n"},
		{"inviting", "\033i"},
		{"an invitation", "p"},
	};
	struct fake *f = fake_new(3);
	fake_put(f, "a.txt", KIND_FILE, 4302, 1795355880, ROW_SYNCED, NULL, "");
	fake_keys_sample(&f->keys);
	begin(f, _i);
	rig_connect(&rig);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		resize(80, 24);
		rig_type(&rig, steps[i].keys);
		buf_addf(&drawn, "==== %s\n", steps[i].title);
		draw_sizes(false);
	}
	finish("keys", _i);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("screen");
	TCase *t = suite_case(s, "screen", set_up, tear_down);
	tcase_add_loop_test(t, sample, 0, 2);
	tcase_add_test(t, sample_looks);
	tcase_add_loop_test(t, empty, 0, 2);
	tcase_add_loop_test(t, many_rows, 0, 2);
	tcase_add_loop_test(t, many_servers, 0, 2);
	tcase_add_loop_test(t, server_lost, 0, 2);
	tcase_add_loop_test(t, no_server, 0, 2);
	tcase_add_test(t, other_views);
	tcase_add_loop_test(t, dialogs, 0, 2);
	tcase_add_loop_test(t, keys, 0, 2);
	return suite_run(s);
}
