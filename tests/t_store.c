/* Tests of store: what is written is read again, what is damaged or foreign is moved aside, errors of
 * the disk come back with words, and two servers cannot share a state directory. */
#include "config.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "suite.h"

#define ROOT_A "0123456789abcdef0123456789abcdef"
#define ROOT_B "fedcba9876543210fedcba9876543210"

static const struct replica_id replica = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static char *dir;
static struct store *store;
static char *text;

static void setup(void)
{
	dir = scratch_new();
	store = NULL;
	text = NULL;
}

static void teardown(void)
{
	store_close(store, true);
	free(text);
	scratch_remove(dir);
}

static enum store_opening open_as(const char *root_id)
{
	free(text);
	return store_open(&store, dir, root_id, &text);
}

/* A new index, begun. */
static void begin(void)
{
	ck_assert_int_eq(open_as(ROOT_A), STORE_NEW);
	ck_assert_int_eq(store_begin(store, ROOT_A, &replica, NULL, &text), 0);
}

static void reopen(bool clean, enum store_opening expected)
{
	store_close(store, clean);
	store = NULL;
	enum store_opening got = open_as(ROOT_A);
	ck_assert_msg(got == expected, "%d, not %d: %s", got, expected, text ? text : "");
}

static void commit(const struct store_batch *batch)
{
	char *error = NULL;
	ck_assert_msg(store_commit(store, batch, &error) == 0, "%s", error);
}

static struct store_entry entry_of(const char *path, const char *record)
{
	return (struct store_entry){.path = bytes_of(path), .record = bytes_of(record),
		.seq = 7, .kind = KIND_FILE, .size = 12, .mtime_ns = -5};
}

/* Everything that a load brings, as text. */
static int dump_meta(void *ctx, const struct store_meta *m)
{
	if (!strcmp(m->key, "mine"))
		buf_addf(ctx, "meta %s=%.*s\n", m->key, (int)m->value.len, (const char *)m->value.p);
	return 0;
}

static int dump_replica(void *ctx, const struct store_replica *r)
{
	buf_addf(ctx, "replica %u %02x%02x %.*s %llu %llu %.*s\n", (unsigned)r->num, r->id.b[0],
		r->id.b[15], (int)r->name.len, (const char *)r->name.p,
		(unsigned long long)r->merged, (unsigned long long)r->known, (int)r->record.len,
		(const char *)r->record.p);
	return 0;
}

static int dump_entry(void *ctx, const struct store_entry *e)
{
	buf_addf(ctx, "entry %.*s %llu %u %llu %lld %d %.*s\n", (int)e->path.len,
		(const char *)e->path.p, (unsigned long long)e->seq, (unsigned)e->kind,
		(unsigned long long)e->size, (long long)e->mtime_ns, e->hash ? e->hash[31] : -1,
		(int)e->record.len, (const char *)e->record.p);
	return 0;
}

static int dump_trash(void *ctx, const struct store_trash *t)
{
	buf_addf(ctx, "trash %.*s %.*s %lld %llu %d kind %u '%.*s' by '%.*s'\n", (int)t->name.len,
		(const char *)t->name.p, (int)t->path.len, (const char *)t->path.p, (long long)t->time_ns,
		(unsigned long long)t->size, t->hash ? t->hash[0] : -1, t->kind, (int)t->what.len,
		(const char *)t->what.p, (int)t->replica.len, (const char *)t->replica.p);
	return 0;
}

static int dump_trash_name(void *ctx, const struct store_trash *t)
{
	buf_addf(ctx, "%.*s ", (int)t->name.len, (const char *)t->name.p);
	return 0;
}

static int load(struct buf *out, char **error)
{
	const struct store_callbacks c = {out, dump_meta, dump_replica, dump_entry, dump_trash};
	return store_load(store, &c, error);
}

static void contents_are(const char *expected)
{
	struct buf out = {0};
	char *error = NULL;
	ck_assert_msg(load(&out, &error) == 0, "%s", error);
	buf_add_char(&out, '\0');
	ck_assert_str_eq((char *)out.data, expected);
	buf_release(&out);
}

START_TEST(what_is_written_is_read_again)
{
	uint8_t hash[HASH_SIZE] = {[0] = 8, [31] = 9};
	struct store_entry entries[3] = {entry_of("b/x", "rec"), entry_of("a", ""),
		entry_of("\xff\n", "r2")};
	struct store_replica replicas[2] = {
		{.num = 0, .id = replica, .name = bytes_of("me"), .merged = 1, .known = UINT64_MAX,
			.record = bytes_of("r")},
		{.num = 3, .id = {{7}}, .name = bytes_of("")},
	};
	struct store_trash trash = {.name = bytes_of("1.2-x"), .path = bytes_of("b/x"), .time_ns = 12,
		.size = 34, .hash = hash, .kind = KIND_FILE, .what = bytes_of("deleted"),
		.replica = bytes_of("nas")};
	struct store_meta meta = {"mine", bytes_of("value")};
	struct store_batch batch = {.entries = entries, .n_entries = 3, .replicas = replicas,
		.n_replicas = 2, .trash = &trash, .n_trash = 1, .meta = &meta, .n_meta = 1,
		.counter = UINT64_MAX - 1};
	static const char all[] = "meta mine=value\n"
		"replica 0 0110 me 1 18446744073709551615 r\n"
		"replica 3 0700  0 0 \n"
		"entry a 7 1 12 -5 -1 \n"
		"entry b/x 7 1 18446744073709551615 -5 9 rec\n"
		"entry \xff\n 7 1 12 -5 -1 r2\n"
		"trash 1.2-x b/x 12 34 8 kind 1 'deleted' by 'nas'\n";
	entries[0].hash = hash;
	entries[0].size = UINT64_MAX;
	begin();
	commit(&batch);
	contents_are(all);
	for (int i = 0; i < 2; i++) {
		reopen(i == 0, STORE_OPENED);
		contents_are(all);
		ck_assert_uint_eq(store_counter(store), UINT64_MAX - 1);
		struct replica_id id = store_replica_id(store);
		ck_assert(replica_id_eq(&id, &replica));
	}
}
END_TEST

START_TEST(rows_are_replaced_and_removed)
{
	struct store_entry e[2] = {entry_of("a", "one"), entry_of("b", "two")};
	struct store_trash t = {.name = bytes_of("n"), .path = bytes_of("p")};
	struct store_batch batch = {.entries = e, .n_entries = 2, .trash = &t, .n_trash = 1};
	begin();
	commit(&batch);
	e[0].record = bytes_of("newer");
	e[1].record = (struct bytes){NULL, 0};
	t.remove = true;
	commit(&batch);
	contents_are("entry a 7 1 12 -5 -1 newer\n");
	commit(&(struct store_batch){0}); /* nothing to write is fine */
}
END_TEST

START_TEST(counter_stays_unless_it_is_given)
{
	begin();
	commit(&(struct store_batch){.counter = 500});
	commit(&(struct store_batch){0});
	ck_assert_uint_eq(store_counter(store), 500);
	reopen(false, STORE_OPENED);
	ck_assert_uint_eq(store_counter(store), 500);
}
END_TEST

static int stop_at_second(void *ctx, const struct store_entry *e)
{
	(void)e;
	return ++*(int *)ctx == 2 ? -ECANCELED : 0;
}

START_TEST(load_ends_when_the_callback_says_so)
{
	struct store_entry e[3] = {entry_of("a", "x"), entry_of("b", "x"), entry_of("c", "x")};
	int calls = 0;
	begin();
	commit(&(struct store_batch){.entries = e, .n_entries = 3});
	const struct store_callbacks c = {.ctx = &calls, .entry = stop_at_second};
	char *error = NULL;
	ck_assert_int_eq(store_load(store, &c, &error), -ECANCELED);
	ck_assert_int_eq(calls, 2);
	free(error);
	contents_are("entry a 7 1 12 -5 -1 x\nentry b 7 1 12 -5 -1 x\nentry c 7 1 12 -5 -1 x\n");
}
END_TEST

/* A process that dies in the middle leaves what was committed. */
START_TEST(crash_keeps_what_was_committed)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store_entry e = entry_of("a", "kept");
		begin();
		commit(&(struct store_batch){.entries = &e, .n_entries = 1, .counter = 9});
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(open_as(ROOT_A), STORE_OPENED);
	contents_are("entry a 7 1 12 -5 -1 kept\n");
	ck_assert_uint_eq(store_counter(store), 9);
}
END_TEST

START_TEST(state_directory_is_made_for_this_user_alone)
{
	char *deep = scratch_path(dir, "x/y/z");
	ck_assert_int_eq(store_open(&store, deep, ROOT_A, &text), STORE_NEW);
	ck_assert_uint_eq(stat_of(dir, "x/y/z").st_mode & 07777, 0700);
	ck_assert_uint_eq(stat_of(dir, "x/y").st_mode & 07777, 0700);
	free(deep);
}
END_TEST

START_TEST(symlink_above_the_state_directory_is_fine)
{
	make_dir(dir, "real", 0700);
	char *link = scratch_path(dir, "link"), *state = scratch_path(dir, "link/state");
	ck_assert_int_eq(symlink("real", link), 0);
	ck_assert_msg(store_open(&store, state, ROOT_A, &text) == STORE_NEW, "%s", text);
	ck_assert(there(dir, "real/state/index.db"));
	free(link);
	free(state);
}
END_TEST

START_TEST(second_server_is_refused)
{
	struct store *second;
	begin();
	free(text);
	ck_assert_int_eq(store_open(&second, dir, ROOT_A, &text), STORE_FAILED);
	ck_assert_ptr_null(second);
	ck_assert_ptr_nonnull(strstr(text, "in use by another tuttid"));
}
END_TEST

/* --- lost indexes --- */

/* The index was moved aside, its text says why, and a new one works. */
static void lost(const char *why)
{
	ck_assert_msg(strstr(text, why) != NULL, "'%s' is not in: %s", why, text);
	struct store_entry e = entry_of("new", "x");
	char *error = NULL;
	struct store_meta meta = {"mine", bytes_of("word")};
	ck_assert_int_eq(store_begin(store, ROOT_A, &replica, &meta, &error), 0);
	contents_are("meta mine=word\n");
	commit(&(struct store_batch){.entries = &e, .n_entries = 1});
	reopen(true, STORE_OPENED);
	contents_are("meta mine=word\nentry new 7 1 12 -5 -1 x\n");
	const char *name = strstr(text ? text : "", "moved to ");
	ck_assert_ptr_null(name);
}

static size_t bad_files(void)
{
	size_t n = count_in(dir, ".");
	return n - there(dir, "index.db") - there(dir, "index.db-wal") - there(dir, "index.db-shm") -
		there(dir, "lock");
}

static void fill(void)
{
	enum { N = 2000 };
	struct store_entry *e = xcalloc(N, sizeof(*e));
	char (*names)[16] = xcalloc(N, sizeof(*names));
	begin();
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "n%05u", i);
		e[i] = entry_of(names[i], "a record of some length that fills the pages of the file");
	}
	commit(&(struct store_batch){.entries = e, .n_entries = N});
	free(e);
	free(names);
}

static void overwrite(off_t at, const void *p, size_t len)
{
	char *file = scratch_path(dir, "index.db");
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, p, len, at), (ssize_t)len);
	close(fd);
	free(file);
}

START_TEST(garbage_is_moved_aside)
{
	put(dir, "index.db", "this is no database at all, but it is long enough to look at: "
		"0123456789012345678901234567890123456789012345678901234567890123456789");
	ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
	ck_assert_uint_eq(bad_files(), 1);
	lost("is damaged");
}
END_TEST

START_TEST(empty_file_is_moved_aside)
{
	put(dir, "index.db", "");
	ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
	lost("not an index");
}
END_TEST

START_TEST(truncated_index_is_moved_aside)
{
	fill();
	store_close(store, false);
	char *file = scratch_path(dir, "index.db");
	ck_assert_int_eq(truncate(file, stat_of(dir, "index.db").st_size / 2 / 4096 * 4096), 0);
	free(file);
	ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
	ck_assert_uint_ge(bad_files(), 1);
	lost("is damaged");
}
END_TEST

START_TEST(damaged_pages_are_noticed_after_an_unclean_end)
{
	fill();
	store_close(store, false);
	char junk[4096];
	memset(junk, 0xa5, sizeof(junk));
	for (off_t at = 8 * 4096; at < stat_of(dir, "index.db").st_size; at += 4096)
		overwrite(at, junk, sizeof(junk));
	ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
	lost("is damaged");
}
END_TEST

START_TEST(damaged_pages_make_the_load_fail_after_a_clean_end)
{
	struct buf out = {0};
	char *error = NULL;
	fill();
	store_close(store, true);
	char junk[4096];
	memset(junk, 0xa5, sizeof(junk));
	for (off_t at = 20 * 4096; at < stat_of(dir, "index.db").st_size; at += 4096)
		overwrite(at, junk, sizeof(junk));
	if (open_as(ROOT_A) == STORE_OPENED) {
		ck_assert_int_eq(load(&out, &error), -EBADMSG);
		ck_assert_ptr_nonnull(error);
		free(error);
		ck_assert_int_eq(store_abandon(store, false, &error), 0);
		free(text);
		text = xstrdup("abandoned");
		lost("abandoned");
	}
	buf_release(&out);
}
END_TEST

START_TEST(index_of_another_directory_is_moved_aside)
{
	fill();
	store_close(store, true);
	store = NULL;
	ck_assert_int_eq(open_as(ROOT_B), STORE_LOST);
	ck_assert_ptr_nonnull(strstr(text, "another directory"));
	ck_assert_uint_eq(bad_files(), 1);
}
END_TEST

static void change(const char *statement)
{
	sqlite3 *db;
	char *file = scratch_path(dir, "index.db");
	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, statement, NULL, NULL, NULL) == SQLITE_OK, "%s",
		sqlite3_errmsg(db));
	sqlite3_close(db);
	free(file);
}

START_TEST(index_from_the_future_is_moved_aside)
{
	fill();
	store_close(store, true);
	change("PRAGMA user_version = 3");
	ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
	lost("newer tuttid");
}
END_TEST

START_TEST(index_without_its_head_is_moved_aside)
{
	static const char *const without[] = {"replica-id", "counter", "root-id"};
	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		char *statement = xasprintf("DELETE FROM meta WHERE key = '%s'", without[i]);
		if (i)
			reopen(true, STORE_OPENED);
		else
			fill();
		store_close(store, true);
		store = NULL;
		change(statement);
		free(statement);
		ck_assert_int_eq(open_as(ROOT_A), STORE_LOST);
		char *error = NULL;
		ck_assert_int_eq(store_begin(store, ROOT_A, &replica, NULL, &error), 0);
	}
	ck_assert_uint_eq(bad_files(), ARRAY_LEN(without));
}
END_TEST

START_TEST(rows_that_cannot_be_are_refused)
{
	static const char *const bad[] = {
		"UPDATE entry SET kind = 99", "UPDATE entry SET hash = x'0102'",
		"INSERT INTO replica VALUES (70000, x'01', x'', 0, 0, x'')",
		"INSERT INTO entry VALUES (x'', 1, 1, 1, 1, NULL, x'00')",
		"INSERT INTO trash VALUES (x'61', x'62', 1, 1, x'63', x'', x'', 1, 1)",
		"INSERT INTO trash VALUES (x'61', x'62', 1, 1, NULL, x'', x'', 9, 1)",
	};
	fill();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = {0};
		char *error = NULL;
		store_close(store, true);
		change(bad[i]);
		ck_assert_int_eq(open_as(ROOT_A), STORE_OPENED);
		ck_assert_msg(load(&out, &error) == -EBADMSG, "%s", bad[i]);
		ck_assert_ptr_nonnull(error);
		free(error);
		ck_assert_int_eq(store_abandon(store, false, &error), 0);
		ck_assert_int_eq(store_begin(store, ROOT_A, &replica, NULL, &error), 0);
		struct store_entry e = entry_of("x", "x");
		commit(&(struct store_batch){.entries = &e, .n_entries = 1});
		buf_release(&out);
	}
}
END_TEST

START_TEST(root_without_its_mark_leaves_the_index_alone)
{
	fill();
	store_close(store, true);
	store = NULL;
	ck_assert_int_eq(open_as(""), STORE_UNMARKED);
	ck_assert_ptr_null(store);
	ck_assert_ptr_nonnull(strstr(text, "is it mounted?"));
	ck_assert_uint_eq(bad_files(), 0);
	ck_assert_int_eq(open_as(ROOT_A), STORE_OPENED);
}
END_TEST

/* --- the disk says no --- */

static int fill_a_disk(const char *path)
{
	dir = xstrdup(path);
	begin();
	struct buf big = {0};
	memset(buf_reserve(&big, 300000), 'x', 300000);
	big.len = 300000;
	buf_add_char(&big, '\0');
	char *error = NULL;
	unsigned written = 0;
	int err = 0;
	for (; written < 10 && !err; written++) {
		char name[16];
		snprintf(name, sizeof(name), "%u", written);
		struct store_entry e = entry_of(name, (char *)big.data);
		err = store_commit(store, &(struct store_batch){.entries = &e, .n_entries = 1}, &error);
	}
	if (err != -ENOSPC || !error || written < 2)
		return 1;
	/* what was committed is still there; small things can go on when there is room */
	struct buf out = {0};
	char *why = NULL;
	if (load(&out, &why) < 0)
		return 2;
	reopen(false, STORE_OPENED);
	buf_clear(&out);
	if (load(&out, &why) < 0 || out.len < 300000)
		return 3;
	/* and it can be opened while there is no room at all, and written to when there is again */
	char *filler = scratch_path(dir, "filler");
	for (int clean = 0; clean < 2; clean++) {
		store_close(store, clean);
		store = NULL;
		int fd = open(filler, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		while (write(fd, big.data, 4096) > 0 || write(fd, big.data, 1) > 0)
			;
		close(fd);
		if (open_as(ROOT_A) != STORE_OPENED)
			return 4;
		buf_clear(&out);
		if (load(&out, &why) < 0 || out.len < 300000)
			return 5;
		struct store_entry small = entry_of("small", "fits");
		const struct store_batch batch = {.entries = &small, .n_entries = 1};
		free(error);
		/* the log may have room of its own */
		int full = store_commit(store, &batch, &error);
		if (full && full != -ENOSPC)
			return 6;
		unlink(filler);
		free(error);
		if (store_commit(store, &batch, &error) < 0)
			return 7;
	}
	free(filler);
	store_close(store, true);
	free(error);
	buf_release(&big);
	buf_release(&out);
	return 0;
}

START_TEST(full_disk_comes_back_as_an_error)
{
	char *path = scratch_new();
	on_small_disk("full_disk_comes_back_as_an_error", path, "1m", fill_a_disk);
	scratch_remove(path);
}
END_TEST

static int open_read_only(const char *at)
{
	char *state = scratch_path(at, "state"), *why = NULL;
	struct store *s;
	mkdir(state, 0500);
	int result = store_open(&s, state, ROOT_A, &why) == STORE_FAILED && why &&
		strstr(why, "cannot be used") ? 0 : 1;
	free(state);
	free(why);
	return result;
}

START_TEST(closed_state_directory_is_an_error)
{
	ck_assert_int_eq(as_nobody(open_read_only), 0);
}
END_TEST

/* --- the journal --- */

static int dump_line(void *ctx, const struct store_event *e)
{
	ck_assert_uint_ne(e->id, 0);
	buf_addf(ctx, "%lld %.*s %.*s %.*s %llu %llu\n", (long long)e->time_ns, (int)e->path.len,
		(const char *)e->path.p, (int)e->replica.len, (const char *)e->replica.p,
		(int)e->what.len, (const char *)e->what.p, (unsigned long long)e->old_size,
		(unsigned long long)e->new_size);
	return 0;
}

static void journal_is(const char *path, size_t max, uint64_t before, const char *expected)
{
	struct buf out = {0};
	char *error = NULL;
	const struct store_journal_query q = {bytes_of(path), before, max};
	ck_assert_int_eq(store_journal(store, &q, dump_line, &out, &error), 0);
	buf_add_char(&out, '\0');
	ck_assert_str_eq((char *)out.data, expected);
	buf_release(&out);
}

START_TEST(journal_tells_the_newest_first)
{
	struct store_event e[3];
	for (int i = 0; i < 3; i++)
		e[i] = (struct store_event){.time_ns = i, .path = bytes_of(i == 1 ? "b" : "a"),
			.replica = bytes_of("nas"), .what = bytes_of("deleted"), .old_size = 4};
	char *error = NULL;
	begin();
	commit(&(struct store_batch){.events = e, .n_events = 3});
	journal_is("", 10, 0, "2 a nas deleted 4 0\n1 b nas deleted 4 0\n0 a nas deleted 4 0\n");
	journal_is("", 1, 0, "2 a nas deleted 4 0\n");
	journal_is("", 10, 3, "1 b nas deleted 4 0\n0 a nas deleted 4 0\n");
	journal_is("a", 10, 0, "2 a nas deleted 4 0\n0 a nas deleted 4 0\n");
	journal_is("a", 10, 3, "0 a nas deleted 4 0\n");
	journal_is("none", 10, 0, "");
	journal_is("a", 10, UINT64_MAX, "2 a nas deleted 4 0\n0 a nas deleted 4 0\n");
	ck_assert_int_eq(store_journal_trim(store, 5, &error), 0);
	ck_assert_int_eq(store_journal_trim(store, 2, &error), 0);
	journal_is("", 10, 0, "2 a nas deleted 4 0\n1 b nas deleted 4 0\n");
	ck_assert_int_eq(store_journal_trim(store, 0, &error), 0);
	journal_is("", 10, 0, "");
}
END_TEST

START_TEST(journal_of_a_folder_has_all_below_it)
{
	static const char *const paths[] = {"d", "d/a", "d-e", "d/b/c", "d0", "D/a"};
	struct store_event e[ARRAY_LEN(paths)];
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		e[i] = (struct store_event){.time_ns = (int64_t)i, .path = bytes_of(paths[i]),
			.replica = bytes_of("r"), .what = bytes_of("w")};
	begin();
	commit(&(struct store_batch){.events = e, .n_events = ARRAY_LEN(paths)});
	journal_is("d", 10, 0, "3 d/b/c r w 0 0\n1 d/a r w 0 0\n0 d r w 0 0\n");
	journal_is("d/b", 10, 0, "3 d/b/c r w 0 0\n");
}
END_TEST

/* --- the trash --- */

static void trash_is(const struct store_trash_query *q, const char *expected)
{
	struct buf out = {0};
	char *error = NULL;
	ck_assert_int_eq(store_trash(store, q, dump_trash_name, &out, &error), 0);
	buf_add_char(&out, '\0');
	ck_assert_str_eq((char *)out.data, expected);
	buf_release(&out);
}

START_TEST(trash_is_found_by_path_time_and_content)
{
	static const uint8_t one[HASH_SIZE] = {1}, two[HASH_SIZE] = {2}, none[HASH_SIZE] = {3};
	const struct store_trash t[] = {
		{.name = bytes_of("1-a"), .path = bytes_of("a"), .time_ns = 1, .hash = one, .kind = KIND_FILE},
		{.name = bytes_of("2-a"), .path = bytes_of("a"), .time_ns = 2, .hash = two, .kind = KIND_FILE},
		{.name = bytes_of("2-b"), .path = bytes_of("a/b"), .time_ns = 2, .kind = KIND_SYMLINK},
		{.name = bytes_of("3-b"), .path = bytes_of("a0"), .time_ns = 3, .hash = one},
	};
	begin();
	commit(&(struct store_batch){.trash = t, .n_trash = ARRAY_LEN(t)});
	trash_is(&(struct store_trash_query){.max = 9}, "3-b 2-b 2-a 1-a ");
	trash_is(&(struct store_trash_query){.max = 2}, "3-b 2-b ");
	trash_is(&(struct store_trash_query){.max = 9, .after = bytes_of("2-b"), .after_ns = 2}, "2-a 1-a ");
	trash_is(&(struct store_trash_query){.max = 9, .path = bytes_of("a")}, "2-b 2-a 1-a ");
	trash_is(&(struct store_trash_query){.max = 9, .path = bytes_of("a"), .exactly = true}, "2-a 1-a ");
	trash_is(&(struct store_trash_query){.max = 9, .hash = one}, "3-b 1-a ");
	trash_is(&(struct store_trash_query){.max = 9, .hash = none}, "");
	trash_is(&(struct store_trash_query){.max = 9, .since_ns = 2, .until_ns = 2}, "2-b 2-a ");
	trash_is(&(struct store_trash_query){.max = 9, .name = bytes_of("1-a")}, "1-a ");
}
END_TEST

START_TEST(an_abandoned_index_leaves_its_past)
{
	const struct store_trash t = {.name = bytes_of("1-a"), .path = bytes_of("a"), .time_ns = 1,
		.kind = KIND_FILE};
	const struct store_event e = {.time_ns = 5, .path = bytes_of("a"), .replica = bytes_of("nas"),
		.what = bytes_of("deleted")};
	struct store_entry row = entry_of("a", "rec");
	char *error = NULL;
	begin();
	commit(&(struct store_batch){.trash = &t, .n_trash = 1, .events = &e, .n_events = 1,
		.entries = &row, .n_entries = 1, .counter = 9});
	ck_assert_int_eq(store_abandon(store, true, &error), 0);
	ck_assert_int_eq(store_begin(store, ROOT_A, &replica, NULL, &error), 0);
	trash_is(&(struct store_trash_query){.max = 9}, "1-a ");
	journal_is("", 10, 0, "5 a nas deleted 0 0\n");
	contents_are("trash 1-a a 1 0 -1 kind 1 '' by ''\n"); /* and no entries */
	ck_assert_uint_eq(store_counter(store), 0);
}
END_TEST

/* An index of the first format, as it was made then. */
static void make_first_format(void)
{
	begin();
	struct store_entry e = entry_of("a", "rec");
	commit(&(struct store_batch){.entries = &e, .n_entries = 1, .counter = 41});
	store_close(store, true);
	store = NULL;
	change("BEGIN; DROP TABLE trash;"
		"CREATE TABLE trash (name BLOB PRIMARY KEY, path BLOB NOT NULL, time INTEGER NOT NULL,"
		" size INTEGER NOT NULL, hash BLOB) WITHOUT ROWID;"
		"INSERT INTO trash VALUES (x'6e', x'70', 5, 0, NULL);"
		"PRAGMA user_version = 1; COMMIT");
}

START_TEST(index_of_the_first_format_is_taken_over)
{
	make_first_format();
	reopen(true, STORE_OPENED);
	contents_are("entry a 7 1 12 -5 -1 rec\ntrash n p 5 0 -1 kind 0 '' by ''\n");
	ck_assert_uint_eq(store_counter(store), 41);
	reopen(false, STORE_OPENED); /* and stays */
	contents_are("entry a 7 1 12 -5 -1 rec\ntrash n p 5 0 -1 kind 0 '' by ''\n");
	ck_assert_uint_eq(bad_files(), 0);
}
END_TEST

/* --- killed while an index of the first format is taken over --- */

/* The files of SQLite, of whatever kind, but a process that writes is killed at its call number `calls_left`. */
static unsigned calls_left;
static sqlite3_vfs deadly;
static struct {
	const sqlite3_io_methods *usual;
	sqlite3_io_methods deadly;
} kinds_of_file[4];

static void may_be_the_last(void)
{
	if (calls_left && --calls_left == 0)
		_exit(9);
}

static const sqlite3_io_methods *usual_of(const sqlite3_file *f)
{
	size_t i = 0;
	while (f->pMethods != &kinds_of_file[i].deadly)
		ck_assert_uint_lt(++i, ARRAY_LEN(kinds_of_file));
	return kinds_of_file[i].usual;
}

static int deadly_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	may_be_the_last();
	return usual_of(f)->xWrite(f, p, n, at);
}

static int deadly_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	may_be_the_last();
	return usual_of(f)->xTruncate(f, size);
}

static int deadly_sync(sqlite3_file *f, int flags)
{
	may_be_the_last();
	return usual_of(f)->xSync(f, flags);
}

static int deadly_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *usual = vfs->pAppData;
	size_t i = 0;
	int code = usual->xOpen(usual, name, f, flags, out);
	if (code != SQLITE_OK || !f->pMethods)
		return code;
	while (kinds_of_file[i].usual && kinds_of_file[i].usual != f->pMethods)
		ck_assert_uint_lt(++i, ARRAY_LEN(kinds_of_file));
	kinds_of_file[i].usual = f->pMethods;
	kinds_of_file[i].deadly = *f->pMethods;
	kinds_of_file[i].deadly.xWrite = deadly_write;
	kinds_of_file[i].deadly.xTruncate = deadly_truncate;
	kinds_of_file[i].deadly.xSync = deadly_sync;
	f->pMethods = &kinds_of_file[i].deadly;
	return code;
}

static void be_deadly(unsigned calls)
{
	sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
	deadly = *usual;
	deadly.zName = "deadly";
	deadly.pAppData = usual;
	deadly.xOpen = deadly_open;
	calls_left = calls;
	ck_assert_int_eq(sqlite3_vfs_register(&deadly, 1), SQLITE_OK);
}

START_TEST(killed_at_each_point_of_taking_over)
{
	bool killed = true;
	unsigned n = 0;
	for (; killed; n++) {
		make_first_format();
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			be_deadly(n + 1);
			_exit(open_as(ROOT_A) == STORE_OPENED ? 0 : 1);
		}
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
		killed = WEXITSTATUS(status) == 9;
		ck_assert_msg(open_as(ROOT_A) == STORE_OPENED, "killed at call %u: %s", n + 1, text);
		contents_are("entry a 7 1 12 -5 -1 rec\ntrash n p 5 0 -1 kind 0 '' by ''\n");
		ck_assert_uint_eq(store_counter(store), 41);
		ck_assert_uint_eq(bad_files(), 0);
		store_close(store, true);
		store = NULL;
		scratch_remove(dir);
		dir = scratch_new();
	}
	ck_assert_uint_gt(n, 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("store");
	TCase *t = suite_case(s, "store", setup, teardown);
	tcase_add_test(t, what_is_written_is_read_again);
	tcase_add_test(t, rows_are_replaced_and_removed);
	tcase_add_test(t, counter_stays_unless_it_is_given);
	tcase_add_test(t, load_ends_when_the_callback_says_so);
	tcase_add_test(t, crash_keeps_what_was_committed);
	tcase_add_test(t, state_directory_is_made_for_this_user_alone);
	tcase_add_test(t, symlink_above_the_state_directory_is_fine);
	tcase_add_test(t, second_server_is_refused);
	tcase_add_test(t, garbage_is_moved_aside);
	tcase_add_test(t, empty_file_is_moved_aside);
	tcase_add_test(t, truncated_index_is_moved_aside);
	tcase_add_test(t, damaged_pages_are_noticed_after_an_unclean_end);
	tcase_add_test(t, damaged_pages_make_the_load_fail_after_a_clean_end);
	tcase_add_test(t, index_of_another_directory_is_moved_aside);
	tcase_add_test(t, index_from_the_future_is_moved_aside);
	tcase_add_test(t, index_without_its_head_is_moved_aside);
	tcase_add_test(t, rows_that_cannot_be_are_refused);
	tcase_add_test(t, root_without_its_mark_leaves_the_index_alone);
	tcase_add_test(t, full_disk_comes_back_as_an_error);
	tcase_add_test(t, closed_state_directory_is_an_error);
	tcase_add_test(t, journal_tells_the_newest_first);
	tcase_add_test(t, journal_of_a_folder_has_all_below_it);
	tcase_add_test(t, trash_is_found_by_path_time_and_content);
	tcase_add_test(t, an_abandoned_index_leaves_its_past);
	tcase_add_test(t, index_of_the_first_format_is_taken_over);
	tcase_add_test(t, killed_at_each_point_of_taking_over);
	return suite_run(s);
}
