/* Tests of the full screen as people meet it: the real program in a pseudo-terminal, a fake server
 * in this process. Keys, sizes, hostile names, lost servers, and the terminal given back after
 * every way to end. */
#include "config.h"
#include "stage.h"

#include "entry.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stage stage;
static struct fake *fake; /* its */
static struct pty pty;

static void set_up(void)
{
	stage_init(&stage, &pty);
	fake = stage.fake;
	fake_sample(fake);
	stage_open(&stage);
}

static void tear_down(void)
{
	stage_release(&stage);
}

static void start(int width, int height)
{
	stage_start(&stage, "xterm-256color", width, height, NULL, NULL);
	pty_wait_for(&pty, "Makefile");
	pty_settle(&pty, 0);
}

static int cursor_line(void)
{
	int y, x;
	pty_cursor(&pty, &y, &x);
	return y;
}

static bool cursor_is_at(struct pty *p, const void *y)
{
	(void)p;
	return cursor_line() == *(const int *)y;
}

static bool cursor_is_on(struct pty *p, const void *text)
{
	return strstr(pty_line(p, cursor_line()), text) != NULL;
}

static void wait_cursor_at(int y)
{
	pty_until(&pty, cursor_is_at, &y, "the cursor on its line");
}

static void wait_cursor_on(const char *text)
{
	pty_until(&pty, cursor_is_on, text, text);
}

static void ends_with_status(int status)
{
	pty_wait_end(&pty);
	ck_assert_msg(WIFEXITED(pty.status), "ended by signal %d", WTERMSIG(pty.status));
	ck_assert_int_eq(WEXITSTATUS(pty.status), status);
	pty_check_given_back(&pty);
}

/* ---- what is shown ----------------------------------------------------------------------- */

START_TEST(first_screen)
{
	start(100, 30);
	pty_wait_for(&pty, "tutti projects");
	pty_wait_for(&pty, "18 files  110.2 GiB");
	pty_wait_for(&pty, "1 conflict");
	pty_wait_for(&pty, "C gamma");
	pty_wait_for(&pty, "OFFLINE 26 min");
	pty_wait_for(&pty, "> + design/");
	pty_wait_for(&pty, "?Help");
	wait_cursor_at(5);
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

START_TEST(hostile_names_stay_text)
{
	static const char *const raw[] = {"\033[31mred", "\xe2\x80\xae", "\xc2\x9b", "\033]0;"};
	fake_put_bytes(fake, bytes_of("bidi\xe2\x80\xaegpj.exe"), KIND_FILE, 1, 1);
	fake_put_bytes(fake, bytes_of("c1\xc2\x9b""31m"), KIND_FILE, 1, 1);
	fake_put_bytes(fake, bytes_of("title\033]0;owned\a"), KIND_FILE, 1, 1);
	fake_put_bytes(fake, bytes_of("bad\xff\xfe"), KIND_FILE, 1, 1);
	fake_put_bytes(fake, bytes_of("line\nbreak"), KIND_FILE, 1, 1);
	fake->servers[1].name = "be\033[2Jta";
	start(100, 40);
	pty_wait_for(&pty, "esc\\x1b[31mred.txt");
	pty_wait_for(&pty, "bidi\\u{202e}gpj.exe");
	ck_assert(pty_shows(&pty, "c1\\u{9b}31m") || pty_shows(&pty, "c1\\x9b31m"));
	pty_wait_for(&pty, "title\\x1b]0;owned\\x07");
	pty_wait_for(&pty, "bad\\xff\\xfe");
	pty_wait_for(&pty, "line\\x0abreak");
	pty_wait_for(&pty, "be\\x1b[2Jta");
	for (size_t i = 0; i < ARRAY_LEN(raw); i++)
		ck_assert_ptr_null(memmem(pty.raw.data, pty.raw.len, raw[i], strlen(raw[i])));
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

START_TEST(every_size_works_and_enlarging_restores)
{
	static const int sizes[][2] = {{1, 1},   {2, 1},   {1, 2},   {5, 2},    {20, 5},  {7, 30},
				       {40, 12}, {60, 15}, {80, 24}, {200, 60}, {400, 3}, {80, 6}};
	start(100, 30);
	struct buf before = {0};
	for (int y = 0; y < 30; y++)
		buf_addf(&before, "%s\n", pty_line(&pty, y));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		pty_resize(&pty, sizes[i][0], sizes[i][1]);
		pty_type(&pty, "j");
		ck_assert(!pty.ended);
		ck_assert_int_lt(cursor_line(), sizes[i][1]);
	}
	pty_type(&pty, "g");
	pty_resize(&pty, 100, 30);
	struct buf after = {0};
	for (int y = 0; y < 30; y++)
		buf_addf(&after, "%s\n", pty_line(&pty, y));
	buf_add_char(&before, '\0');
	buf_add_char(&after, '\0');
	ck_assert_str_eq((char *)before.data, (char *)after.data);
	buf_release(&before);
	buf_release(&after);
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

/* ---- keys -------------------------------------------------------------------------------- */

START_TEST(a_key_costs_few_bytes)
{
	static const int sizes[][2] = {{80, 24}, {100, 30}, {200, 60}};
	size_t most = 0;
	fake_many(fake, 3000);
	start(100, 30);
	pty_type(&pty, "]");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		pty_resize(&pty, sizes[i][0], sizes[i][1]);
		pty_type(&pty, "g");
		/* Down the screen, and on, so that it scrolls. */
		for (int k = 0; k < sizes[i][1] + 5; k++) {
			size_t before = pty.raw.len;
			pty_type(&pty, "j");
			if (pty.raw.len - before > most)
				most = pty.raw.len - before;
		}
	}
	ck_assert_uint_le(most, 400);
}
END_TEST

START_TEST(many_keys_are_few_frames)
{
	char keys[501];
	fake_many(fake, 5000);
	start(80, 24);
	pty_type(&pty, "]");
	pty_type(&pty, "g");
	memset(keys, 'j', 500);
	keys[500] = '\0';
	uint64_t frames = pty.frames, windows = fake->windows;
	pty_send(&pty, keys);
	pty_wait_for(&pty, "-- 501 of ");
	ck_assert_uint_le(pty.frames - frames, 3);
	ck_assert_uint_le(fake->windows - windows, 3);
}
END_TEST

START_TEST(keys_of_all_habits)
{
	start(100, 30);
	pty_type(&pty, "j");
	wait_cursor_at(6);
	pty_type(&pty, "\033OB");
	wait_cursor_at(7);
	pty_type(&pty, "\033OA\033OA");
	wait_cursor_at(5);
	pty_type(&pty, "G");
	pty_wait_for(&pty, "-- 12 of 12");
	pty_type(&pty, "\033[1~");
	pty_type(&pty, "g");
	pty_wait_for(&pty, "-- 1 of 12");
	pty_type(&pty, "\r");
	pty_wait_for(&pty, "notes.txt");
	pty_type(&pty, "d");
	pty_wait_for(&pty, "Files are deleted in the file system, not here");
	pty_type(&pty, "a");
	pty_wait_for(&pty, "No action on 'a' here; ? shows the keys");
	pty_type(&pty, "?");
	pty_wait_for(&pty, "Keys");
	pty_type(&pty, "?");
	pty_wait_for(&pty, "notes.txt");
	pty_type(&pty, "/old\r");
	pty_wait_for(&pty, ">   old-plan.txt");
}
END_TEST

START_TEST(find_and_filter)
{
	start(100, 30);
	pty_type(&pty, "/8813\r");
	pty_wait_for(&pty, "img_8813.raw  ");
	wait_cursor_on("img_8813.raw");
	pty_type(&pty, "\\\xc3\xa9\r");
	pty_wait_for(&pty, "filter: \xc3\xa9");
	pty_wait_gone(&pty, "Makefile");
	pty_wait_for(&pty, "caf\xc3\xa9");
	/* A lone Esc takes the filter away, at once. */
	pty_send(&pty, "\033");
	pty_wait_for(&pty, "Makefile");
	pty_type(&pty, "!");
	pty_wait_gone(&pty, "Makefile");
	pty_wait_for(&pty, "only what is not in sync");
}
END_TEST

START_TEST(pasted_text_runs_nothing)
{
	start(80, 24);
	pty_type(&pty, "\033[200~qQ\033[201~");
	pty_wait_for(&pty, "Pasted text does nothing here");
	pty_type(&pty, "/");
	pty_type(&pty, "\033[200~READ\nME\033[201~");
	pty_wait_for(&pty, "Find: README");
	pty_type(&pty, "\r");
	wait_cursor_on("README");
	ck_assert(!pty.ended);
}
END_TEST

/* The rest of a key whose Esc came alone is no key of its own. */
START_TEST(a_split_escape_sequence_is_harmless)
{
	start(80, 24);
	pty_type(&pty, "]");
	int before = cursor_line();
	pty_type(&pty, "\033");
	pty_send(&pty, "[A");
	pty_type(&pty, "j");
	wait_cursor_at(before + 1);
	pty_wait_for(&pty, "notes.txt");
}
END_TEST

START_TEST(mouse)
{
	start(80, 24);
	pty_type(&pty, "\033[<0;8;7M\033[<0;8;7m");
	wait_cursor_at(6);
	/* The head of the column Size sorts. */
	pty_type(&pty, "\033[<0;42;3M\033[<0;42;3m");
	pty_wait_for(&pty, "Size v");
	pty_type(&pty, "m");
	pty_wait_for(&pty, "The mouse is the terminal's");
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

START_TEST(copy_goes_to_the_terminal)
{
	static const char osc[] = "\033]52;c;TWFrZWZpbGU=\a";
	start(80, 24);
	pty_type(&pty, "jjj");
	wait_cursor_on("Makefile");
	pty_type(&pty, "y");
	ck_assert_ptr_nonnull(memmem(pty.raw.data, pty.raw.len, osc, strlen(osc)));
}
END_TEST

static struct buf read_all(const char *file)
{
	struct buf text = {0};
	FILE *f = fopen(file, "r");
	ck_assert_ptr_nonnull(f);
	for (int c; (c = getc(f)) != EOF;)
		buf_add_char(&text, (char)c);
	buf_add_char(&text, '\0');
	fclose(f);
	unlink(file);
	return text;
}

START_TEST(table_is_written)
{
	static const char *const ends[] = {"txt", "csv", "json"};
	fake_many(fake, 1700);
	start(80, 24);
	pty_type(&pty, "t");
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char *file = xasprintf("%s/table.%s", stage.folder, ends[i]);
		char *keys = xasprintf("w%s\r", file);
		pty_type(&pty, keys);
		pty_wait_for(&pty, "1,718 rows written to");
		pty_type(&pty, "k");
		struct buf text = read_all(file);
		size_t lines = 0;
		for (size_t k = 0; k < text.len; k++)
			lines += text.data[k] == '\n';
		ck_assert_uint_eq(lines, 1718 + (i == 1));
		ck_assert_ptr_null(memchr(text.data, '\033', i == 1 ? 0 : text.len));
		if (i == 2)
			ck_assert_ptr_nonnull(strstr((char *)text.data, "\"path\":\"Makefile\""));
		buf_release(&text);
		free(file);
		free(keys);
	}
	/* A file that is there is kept. */
	char *file = xasprintf("%s/kept", stage.folder);
	fclose(fopen(file, "w"));
	char *keys = xasprintf("w%s\r", file);
	pty_type(&pty, keys);
	pty_wait_for(&pty, "was not written: there is a file of that name");
	unlink(file);
	free(file);
	free(keys);
}
END_TEST

/* The pager gets the file as its argument, and the terminal; the server is served meanwhile. */
START_TEST(pager_shows_the_file)
{
	char *file = xasprintf("%s/Makefile", stage.folder);
	char *script = xasprintf("%s/pager", stage.folder);
	char *variable = xasprintf("PAGER=%s", script);
	FILE *f = fopen(file, "w");
	ck_assert_ptr_nonnull(f);
	fputs("hello from the file\n", f);
	fclose(f);
	f = fopen(script, "w");
	ck_assert_ptr_nonnull(f);
	fputs("#!/bin/sh\ncat \"$2\"\nread line\necho \"got $line\"\n", f);
	fclose(f);
	ck_assert_int_eq(chmod(script, 0700), 0);
	fake->root = stage.folder;
	stage_start(&stage, "xterm-256color", 80, 24, NULL, variable);
	pty_wait_for(&pty, "Makefile");
	pty_settle(&pty, 0);
	pty_type(&pty, "jjj");
	pty_send(&pty, "e");
	pty_wait_for(&pty, "hello from the file");
	fake_link_event(&stage.link, 1795356200, "changed", "while.txt", "beta", "");
	pty_send(&pty, "enough\n");
	pty_wait_for(&pty, "while.txt changed on beta");
	ck_assert(pty_shows(&pty, "> * Makefile") || pty_shows(&pty, ">   Makefile"));
	pty_send(&pty, "q");
	ends_with_status(0);
	unlink(file);
	unlink(script);
	free(file);
	free(script);
	free(variable);
}
END_TEST

static void write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", stage.folder, name);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	free(path);
}

static void remove_file(const char *name)
{
	char *path = xasprintf("%s/%s", stage.folder, name);
	unlink(path);
	free(path);
}

/* A conflict from the key to its end: the difference in the pager, hostile names and all, what was
 * chosen, and taken back. */
START_TEST(a_conflict_is_settled)
{
	static const char name[] = "-n $(x).txt", copy[] = "-n $(x).conflict-5f3a9c01-42.txt";
	char *script = xasprintf("%s/pager", stage.folder), *variable = xasprintf("PAGER=%s", script);
	write_file(name, "one\nof alpha\n");
	write_file(copy, "one\nof beta\n");
	write_file("pager", "#!/bin/sh\ncat\nread line </dev/tty\n");
	ck_assert_int_eq(chmod(script, 0700), 0);
	fake->root = stage.folder;
	fake_remove(fake, "design/notes.txt");
	fake_put(fake, name, KIND_FILE, 13, 1795355880, ROW_CONFLICT, "!!=", "conflict");
	stage_start(&stage, "xterm-256color", 100, 30, NULL, variable);
	pty_wait_for(&pty, "Makefile");
	pty_settle(&pty, 0);
	pty_type(&pty, "c");
	pty_wait_for(&pty, "Conflict: -n $(x).txt");
	pty_wait_for(&pty, "b  keep beta's");
	pty_send(&pty, "d");
	pty_wait_for(&pty, "-of alpha");
	pty_wait_for(&pty, "+of beta");
	pty_send(&pty, "\n");
	pty_wait_for(&pty, "Conflict: -n $(x).txt");
	ck_assert_uint_eq(fake->past.resolved, 0);
	pty_type(&pty, "b");
	pty_wait_for(&pty, "Kept beta's version of -n $(x).txt; u undoes it");
	pty_wait_gone(&pty, "Conflict: ");
	ck_assert_str_eq(fake->past.keep, "1");
	pty_type(&pty, "u");
	pty_wait_for(&pty, "Undone: the versions of -n $(x).txt are there again");
	pty_send(&pty, "q");
	ends_with_status(0);
	remove_file(name);
	remove_file(copy);
	remove_file("pager");
	free(script);
	free(variable);
}
END_TEST

START_TEST(the_trash_is_shown_and_restores)
{
	fake->past.trash = 100000;
	start(80, 24);
	pty_type(&pty, "6");
	pty_wait_for(&pty, "by gamma");
	/* A key costs what it costs in the table, however long the list is. */
	for (int i = 0; i < 6; i++)
		pty_type(&pty, "G");
	size_t most = 0;
	pty_type(&pty, "g");
	for (int i = 0; i < 40; i++) {
		size_t before = pty.raw.len;
		pty_type(&pty, "j");
		if (pty.raw.len - before > most)
			most = pty.raw.len - before;
	}
	ck_assert_uint_le(most, 400);
	pty_type(&pty, "r");
	pty_wait_for(&pty, "Restore ");
	pty_type(&pty, "y");
	pty_wait_for(&pty, "Restored: ");
	ck_assert_str_ne(fake->past.restored, "");
	/* The right button: a menu, and Esc from it. */
	pty_type(&pty, "1");
	pty_type(&pty, "\033[<2;8;7M\033[<2;8;7m");
	pty_wait_for(&pty, "mark, and move down");
	pty_send(&pty, "\033");
	pty_wait_gone(&pty, "mark, and move down");
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

/* Somebody comes, is let in from the screen, and an invitation goes to the clipboard. */
START_TEST(a_key_is_let_in)
{
	start(80, 24);
	ck_assert(!pty_shows(&pty, "to join"));
	fake_keys_sample(&fake->keys);
	fake_link_status(&stage.link);
	pty_wait_for(&pty, "1 server asks to join");
	pty_type(&pty, "5");
	pty_wait_for(&pty, FAKE_KEY_ASKING);
	pty_type(&pty, "j\r");
	pty_wait_for(&pty, "Let this key in?");
	pty_type(&pty, "r");
	pty_wait_for(&pty, "Trusted from now on as read-only: TVKPJOQ-");
	ck_assert_str_eq(fake->keys.list[1].role, "read-only");
	pty_type(&pty, "i");
	pty_wait_for(&pty, "Invite a server");
	pty_type(&pty, "p");
	pty_wait_for(&pty, "tuttid --join - DIRECTORY");
	pty_type(&pty, "y");
	pty_wait_for(&pty, "It was given to the terminal's clipboard");
	pty_send(&pty, "\033");
	pty_wait_gone(&pty, "tuttid --join");
	pty_send(&pty, "Q");
	ends_with_status(0);
}
END_TEST

START_TEST(a_command_of_the_shell_has_the_terminal)
{
	start(80, 24);
	pty_type(&pty, ":");
	pty_send(&pty, "!echo 1 2 | tr ' 12' '+ab'; exit 3\r");
	pty_wait_for(&pty, "a+b");
	pty_wait_for(&pty, "It ended with status 3.");
	pty_wait_for(&pty, "Enter goes back to tutti.");
	pty_send(&pty, "\n");
	pty_wait_for(&pty, "Makefile");
	pty_wait_gone(&pty, "It ended");
	pty_type(&pty, ":!\r");
	pty_wait_for(&pty, "Which command?");
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

START_TEST(order_is_remembered)
{
	start(80, 24);
	pty_type(&pty, "ss");
	pty_wait_for(&pty, "Size v");
	pty_send(&pty, "q");
	ends_with_status(0);
	pty_release(&pty);
	start(80, 24);
	pty_wait_for(&pty, "Size v");
	pty_wait_for(&pty, "tree by size");
}
END_TEST

/* ---- the server -------------------------------------------------------------------------- */

START_TEST(rows_change_under_a_still_cursor)
{
	start(80, 24);
	pty_type(&pty, "/README\r");
	wait_cursor_on("README");
	int y = cursor_line();
	fake_put(fake, "AAA-new.txt", KIND_FILE, 5, 1795356200, ROW_SYNCED, NULL, NULL);
	fake_remove(fake, "Makefile");
	fake_link_push(&stage.link);
	fake_link_event(&stage.link, 1795356200, "created", "AAA-new.txt", "alpha", "");
	pty_wait_for(&pty, "AAA-new.txt is new on alpha");
	pty_wait_gone(&pty, "Makefile");
	wait_cursor_at(y);
	ck_assert_ptr_nonnull(strstr(pty_line(&pty, y), "README"));
}
END_TEST

START_TEST(a_lost_server_ends_nothing)
{
	start(100, 30);
	pty_type(&pty, "/README\r");
	fake_link_stop(&stage.link);
	pty_wait_for(&pty, "SERVER LOST");
	pty_wait_for(&pty, "as of 2026-11-22 14:03:22");
	pty_wait_for(&pty, "README");
	uint64_t before = pty.frames;
	pty_send(&pty, "k");
	pty_settle(&pty, before);
	pty_send(&pty, "j");
	fake_event(fake, NULL, 1795356201, "deleted", "gone.txt", "beta", "");
	stage_open(&stage);
	pty_wait_for(&pty, " -- live --");
	pty_wait_gone(&pty, "SERVER LOST");
	pty_wait_for(&pty, ">   README");
	/* What happened meanwhile is told. */
	pty_type(&pty, "4");
	pty_wait_for(&pty, "gone.txt was deleted on beta");
	pty_wait_for(&pty, "connected again");
}
END_TEST

START_TEST(no_server_is_said_in_words)
{
	fake_link_stop(&stage.link);
	stage_start(&stage, "xterm-256color", 80, 24, NULL, NULL);
	pty_wait_for(&pty, "There is no connection. Tried");
	pty_wait_for(&pty, "r tries again, q quits");
	pty_send(&pty, "q");
	ends_with_status(3);
	stage_open(&stage);
}
END_TEST

START_TEST(keys_work_while_the_server_is_silent)
{
	start(80, 24);
	stage.link.silent = true;
	pty_send(&pty, "/zzz\r");
	pty_wait_for(&pty, "Searching ...");
	pty_send(&pty, "\003");
	pty_wait_for(&pty, "The search was cancelled");
	pty_send(&pty, "jj");
	pty_wait_for(&pty, "-- 3 of 12");
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

static long switches(pid_t pid)
{
	char name[64], line[200];
	long n = -1;
	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	FILE *f = fopen(name, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			break;
	fclose(f);
	return n;
}

static void no_more(struct ev_loop *l, ev_timer *w, int events)
{
	(void)events;
	*(bool *)w->data = true;
	ev_break(l, EVBREAK_ONE);
}

/* That nothing happens can only be seen by looking for a while. */
START_TEST(idle_means_asleep)
{
	bool over = false;
	ev_timer t;
	for (size_t i = 0; i < 3; i++) {
		fake->servers[i].state = i == 0 ? "self" : "in sync";
		fake->servers[i].retry_ms = fake->servers[i].pending_files = 0;
	}
	start(80, 24);
	t.data = &over;
	long before = 0;
	/* The first while is for it to fall asleep after its last frame. */
	for (int i = 0; i < 2; i++) {
		before = switches(pty.program);
		over = false;
		ev_timer_init(&t, no_more, i == 0 ? 0.3 : 1.5, 0);
		ev_timer_start(stage.loop, &t);
		while (!over)
			ev_run(stage.loop, 0);
	}
	ck_assert_int_eq(switches(pty.program), before);
}
END_TEST

/* Random keys, sizes and changes, with a fixed seed: it lives, and leaves in order. No key that
 * leaves, stops, or names a file. */
START_TEST(monkey)
{
	static const char *const words[] = {
		"j", "k", "G", "g", "l", "h", "\r", "\033", "\033OA", "\033OB", "\033[5~",
		"\033[6~", "t", "]", "[", "s", "d", "v", "n", " ", "*", "U", "v", "?", "i", "1",
		"2", "3", "4", "5", "\t", "!", "F", "Z", "/", "f1\r", "\\", "caf\xc3\xa9\r",
		"\xff\xc3", "\033[<0;9;9M", "\033[<64;9;9M", "\033[200~x\033[201~",
		"R", "y", "r", "I",
	};
	uint64_t state = 20261122;
	fake_many(fake, 2000);
	start(80, 24);
	for (int i = 0; i < 400; i++) {
		uint64_t random = next_random(&state);
		pty_type(&pty, words[random % ARRAY_LEN(words)]);
		ck_assert(!pty.ended);
		if (i % 20 == 0)
			pty_resize(&pty, 1 + (int)((random >> 20) % 120),
				   1 + (int)((random >> 40) % 40));
		if (i % 7 == 0) {
			char name[40];
			snprintf(name, sizeof(name), "d%04u/f%u", (unsigned)(random >> 30) % 3,
				 (unsigned)(random >> 50));
			fake_put(fake, name, KIND_FILE, random % 1000000, 1795356000, ROW_WAITING,
				 "=<?", "soon");
			fake_link_push(&stage.link);
			fake_link_progress(&stage.link, i % 2);
		}
	}
	pty_signal(&pty, SIGTERM);
	ends_with_status(128 + SIGTERM);
}
END_TEST

/* ---- ways to end ------------------------------------------------------------------------- */

START_TEST(quits)
{
	static const char *const keys[] = {"q", "Q", "\003", "2q" "q", "/x\003\003", ":q\r"};
	start(80, 24);
	pty_send(&pty, keys[_i]);
	ends_with_status(0);
}
END_TEST

static const int ending_signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

START_TEST(signals_end_it_cleanly)
{
	start(80, 24);
	pty_signal(&pty, ending_signals[_i]);
	ends_with_status(128 + ending_signals[_i]);
}
END_TEST

static const int crash_signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS};

START_TEST(crashes_give_the_terminal_back)
{
	start(80, 24);
	pty_signal(&pty, crash_signals[_i]);
	pty_wait_end(&pty);
	ck_assert(WIFSIGNALED(pty.status));
	ck_assert_int_eq(WTERMSIG(pty.status), crash_signals[_i]);
	pty_check_given_back(&pty);
}
END_TEST

START_TEST(a_terminal_that_goes_away_ends_it)
{
	start(80, 24);
	pty_hang_up(&pty);
	pty_wait_end(&pty);
	ck_assert(WIFEXITED(pty.status));
	ck_assert_int_eq(WEXITSTATUS(pty.status), 128 + SIGHUP);
}
END_TEST

START_TEST(suspend_and_resume)
{
	start(100, 30);
	pty_send(&pty, "\032");
	pty_wait_stopped(&pty);
	pty_check_given_back(&pty);
	/* A size that changes meanwhile is right afterwards: nobody tells a stopped program. */
	pty_resize(&pty, 60, 15);
	uint64_t before = pty.frames;
	pty_continue(&pty);
	pty_settle(&pty, before);
	pty_wait_for(&pty, "?Help");
	pty_wait_for(&pty, "Makefile");
	ck_assert_ptr_nonnull(strstr(pty_line(&pty, 14), "?Help"));
	pty_signal(&pty, SIGTSTP);
	pty_wait_stopped(&pty);
	pty_check_given_back(&pty);
	before = pty.frames;
	pty_continue(&pty);
	pty_settle(&pty, before);
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

/* ---- terminals --------------------------------------------------------------------------- */

START_TEST(terminals)
{
	static const char *const terms[] = {"screen", "linux", "vt100", "xterm-mono",
					    "tmux-256color"};
	/* Without the mouse: for the console curses would load a library for it that leaks. */
	stage_start(&stage, terms[_i], 80, 24, "--no-mouse", NULL);
	pty_wait_for(&pty, "Makefile");
	pty_settle(&pty, 0);
	pty_type(&pty, "j");
	wait_cursor_at(4);
	pty_send(&pty, "q");
	ends_with_status(0);
}
END_TEST

START_TEST(no_terminals)
{
	static const char *const terms[] = {"dumb", "no-such-term", NULL};
	static const char *const words[] = {"can neither move its cursor", "is not known here",
					    "does not say which"};
	stage_start(&stage, terms[_i], 80, 24, NULL, NULL);
	ends_with_status(2);
	pty_wait_for(&pty, words[_i]);
	ck_assert_ptr_null(memchr(pty.raw.data, '\033', pty.raw.len));
}
END_TEST

/* By option, and where the locale has no more. */
START_TEST(ascii_only)
{
	stage_start(&stage, "xterm-256color", 80, 24, _i == 0 ? "--ascii" : NULL,
		   _i == 0 ? NULL : "LC_ALL=C");
	pty_wait_for(&pty, "caf\\u{e9}");
	pty_settle(&pty, 0);
	for (size_t i = 0; i < pty.raw.len; i++)
		ck_assert_uint_lt(pty.raw.data[i], 0x80);
}
END_TEST

/* No colour is sent where none is wanted, and the screen says the same. */
START_TEST(no_colors)
{
	static const char *const options[] = {NULL, "--color=never", NULL};
	static const char *const variables[] = {NULL, NULL, "NO_COLOR=1"};
	stage_start(&stage, "xterm-256color", 80, 24, options[_i], variables[_i]);
	pty_wait_for(&pty, "Makefile");
	pty_settle(&pty, 0);
	bool colored = memmem(pty.raw.data, pty.raw.len, "\033[36m", 5) != NULL ||
		       memmem(pty.raw.data, pty.raw.len, "\033[31m", 5) != NULL;
	ck_assert(colored == (_i == 0));
	pty_wait_for(&pty, "1 conflict  1 server offline");
}
END_TEST

START_TEST(one_frame_as_text)
{
	stage_start(&stage, "dumb", 80, 24, "--frame=60x15", NULL);
	ends_with_status(0);
	pty_wait_for(&pty, "tutti projects");
	pty_wait_for(&pty, "?Help");
	ck_assert_ptr_null(memchr(pty.raw.data, '\033', pty.raw.len));
}
END_TEST

int main(void)
{
	Suite *s = suite_new("term");
	TCase *t = suite_case(s, "term", set_up, tear_down);
	tcase_add_test(t, first_screen);
	tcase_add_test(t, hostile_names_stay_text);
	tcase_add_test(t, every_size_works_and_enlarging_restores);
	tcase_add_test(t, a_key_costs_few_bytes);
	tcase_add_test(t, many_keys_are_few_frames);
	tcase_add_test(t, keys_of_all_habits);
	tcase_add_test(t, find_and_filter);
	tcase_add_test(t, pasted_text_runs_nothing);
	tcase_add_test(t, a_split_escape_sequence_is_harmless);
	tcase_add_test(t, mouse);
	tcase_add_test(t, copy_goes_to_the_terminal);
	tcase_add_test(t, table_is_written);
	tcase_add_test(t, pager_shows_the_file);
	tcase_add_test(t, order_is_remembered);
	tcase_add_test(t, a_conflict_is_settled);
	tcase_add_test(t, the_trash_is_shown_and_restores);
	tcase_add_test(t, a_key_is_let_in);
	tcase_add_test(t, a_command_of_the_shell_has_the_terminal);
	tcase_add_test(t, rows_change_under_a_still_cursor);
	tcase_add_test(t, a_lost_server_ends_nothing);
	tcase_add_test(t, no_server_is_said_in_words);
	tcase_add_test(t, keys_work_while_the_server_is_silent);
	tcase_add_test(t, idle_means_asleep);
	tcase_add_test(t, monkey);
	tcase_add_loop_test(t, quits, 0, 6);
	tcase_add_loop_test(t, signals_end_it_cleanly, 0, (int)ARRAY_LEN(ending_signals));
	tcase_add_loop_test(t, crashes_give_the_terminal_back, 0, (int)ARRAY_LEN(crash_signals));
	tcase_add_test(t, a_terminal_that_goes_away_ends_it);
	tcase_add_test(t, suspend_and_resume);
	tcase_add_loop_test(t, terminals, 0, 5);
	tcase_add_loop_test(t, no_terminals, 0, 3);
	tcase_add_loop_test(t, ascii_only, 0, 2);
	tcase_add_loop_test(t, no_colors, 0, 3);
	tcase_add_test(t, one_frame_as_text);
	return suite_run(s);
}
