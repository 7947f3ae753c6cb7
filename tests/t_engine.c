/* The engine in a simulated world: what must come of each kind of change, then random histories. */
#include "config.h"
#include "world.h"

#include "codec.h"
#include "rows.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct world *pair(void)
{
	struct world *w = world_new(2, 1);
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	return w;
}

static void done(struct world *w)
{
	world_settle(w);
	const char *fault = world_check(w);
	ck_assert_msg(!fault, "%s", fault);
	world_free(w);
}

START_TEST(both_hold_all)
{
	struct world *w = world_new(2, 1);
	world_write(w, 0, "b.txt", "b");
	world_write(w, 0, "d.gif", "d");
	world_write(w, 1, "a.jpg", "a");
	world_write(w, 1, "c.pdf", "c");
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "a.jpg"), "a");
	ck_assert_str_eq(world_read(w, 1, "d.gif"), "d");
	ck_assert_uint_eq(world_count(w, 1), 4);
	done(w);
}
END_TEST

START_TEST(changes_travel)
{
	struct world *w = pair();
	world_mkdir(w, 0, "d");
	world_write(w, 0, "d/x", "one");
	world_symlink(w, 0, "l", "d/x");
	world_write(w, 0, "empty", "");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "d/x"), "one");
	ck_assert_str_eq(world_read(w, 1, "l"), "-> d/x");
	ck_assert_str_eq(world_read(w, 1, "empty"), "");
	world_write_at(w, 1, "d/x", "older", 1000);
	world_chmod(w, 1, "empty", 0600);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "d/x"), "older");
	world_remove(w, 0, "d");
	world_settle(w);
	ck_assert_ptr_null(world_read(w, 1, "d"));
	done(w);
}
END_TEST

START_TEST(renamed_folder_sends_nothing)
{
	struct world *w = pair();
	world_mkdir(w, 0, "d");
	world_mkdir(w, 0, "d/e");
	for (char c = 'a'; c < 'k'; c++) {
		char path[] = {'d', '/', c, 0}, deep[] = {'d', '/', 'e', '/', c, 0}, x[] = {c, c, 0};
		world_write(w, 0, path, x);
		x[0] = '#';
		world_write(w, 0, deep, x);
	}
	world_settle(w);
	engine_time(world_engine(w, 0), 1800000000000000000, 900000);
	engine_walk(world_engine(w, 0), (struct bytes){0}); /* nothing is fresh any more */
	world_settle(w);
	world_rename(w, 0, "d", "moved");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "moved/e/c"), "#c");
	ck_assert_ptr_null(world_read(w, 1, "d"));
	done(w);
}
END_TEST

/* What is done on both sides while they are apart, and what must be there afterwards. */
START_TEST(conflict_keeps_both)
{
	struct world *w = pair();
	world_write(w, 0, "f.txt", "base");
	world_settle(w);
	world_cut(w, 0, 1);
	world_write(w, 0, "f.txt", "left");
	world_write(w, 1, "f.txt", "right");
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "f.txt"), "right");
	ck_assert_uint_eq(world_count(w, 0), 2);
	ck_assert_uint_eq(engine_status(world_engine(w, 0)).conflicts, 1);
	/* Deleting the copy settles it. */
	world_remove(w, 1, "f.conflict-01000000-2.txt");
	world_settle(w);
	ck_assert_uint_eq(engine_status(world_engine(w, 0)).conflicts, 0);
	ck_assert_uint_eq(world_count(w, 0), 1);
	done(w);
}
END_TEST

START_TEST(same_content_is_no_conflict)
{
	struct world *w = world_new(2, 3);
	world_write_at(w, 0, "f", "same", 5000);
	world_write_at(w, 1, "f", "same", 9000);
	world_settle(w);
	world_connect(w, 0, 1);
	done(w);
}
END_TEST

START_TEST(modified_beats_deleted)
{
	struct world *w = pair();
	world_write(w, 0, "f", "base");
	world_settle(w);
	world_cut(w, 0, 1);
	world_remove(w, 0, "f");
	world_write(w, 1, "f", "kept");
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "f"), "kept");
	done(w);
}
END_TEST

START_TEST(folder_beats_file)
{
	struct world *w = pair();
	world_cut(w, 0, 1);
	world_write(w, 0, "n", "file");
	world_mkdir(w, 1, "n");
	world_write(w, 1, "n/child", "child");
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "n"), "/");
	ck_assert_str_eq(world_read(w, 0, "n/child"), "child");
	ck_assert_uint_eq(world_count(w, 0), 3);
	done(w);
}
END_TEST

START_TEST(deleted_folder_keeps_new_child)
{
	struct world *w = pair();
	world_mkdir(w, 0, "d");
	world_write(w, 0, "d/old", "old");
	world_settle(w);
	world_cut(w, 0, 1);
	world_remove(w, 0, "d");
	world_write(w, 1, "d/new", "new");
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_uint_eq(world_decide(w, 0, true), 1); /* all that he had; the folder is needed again */
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "d/new"), "new");
	ck_assert_ptr_null(world_read(w, 0, "d/old"));
	done(w);
}
END_TEST

START_TEST(through_a_third)
{
	struct world *w = world_new(3, 5);
	world_connect(w, 0, 1);
	world_connect(w, 1, 2);
	world_write(w, 0, "f", "far");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 2, "f"), "far");
	struct buf cells = {0};
	node_t n = tree_find(engine_tree(world_engine(w, 0)), bytes_of("f"));
	engine_cells(world_engine(w, 0), n, &cells);
	ck_assert_uint_eq(cells.len, 3);
	ck_assert_mem_eq(cells.data, "===", 3);
	buf_release(&cells);
	done(w);
}
END_TEST

START_TEST(lost_index_brings_nothing_back)
{
	struct world *w = pair();
	world_write(w, 0, "gone", "g");
	world_write(w, 0, "kept", "k");
	world_settle(w);
	world_cut(w, 0, 1);
	world_remove(w, 0, "gone");
	world_settle(w);
	world_crash(w, 1, true);
	world_settle(w);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_ptr_null(world_read(w, 1, "gone"));
	ck_assert_str_eq(world_read(w, 1, "kept"), "k");
	done(w);
}
END_TEST

START_TEST(reconnect_sends_only_what_changed)
{
	struct world *w = pair();
	for (char c = 'a'; c < 'z'; c++) {
		char path[] = {c, 0};
		world_write(w, 0, path, path);
	}
	world_settle(w);
	uint64_t before = world_fetches(w);
	world_crash(w, 0, false);
	world_settle(w);
	world_write(w, 0, "a", "other");
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_uint_eq(world_fetches(w) - before, 1);
	done(w);
}
END_TEST

START_TEST(what_was_applied_is_not_read_again)
{
	struct world *w = pair();
	world_write(w, 0, "f", "one");
	world_settle(w);
	uint64_t reads = world_reads(w);
	world_mkdir(w, 0, "d");
	world_write(w, 0, "d/x", "two");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "d/x"), "two");
	uint64_t by_writer = world_reads(w) - reads;
	ck_assert_uint_le(by_writer, 2); /* a listing may see it before the watch tells */
	world_chmod(w, 1, "d/x", 0600);
	world_settle(w);
	ck_assert_uint_eq(world_reads(w) - reads, by_writer + 1); /* another ctime: it might be anything */
	done(w);
}
END_TEST

/* Lets an engine go on with a disk on which everything succeeds and nothing is, until it has nothing to
 * do; returns how many actions of that type came, and the last of them. */
static unsigned drain(struct engine *e, enum action_type type, struct action *last)
{
	struct action a;
	unsigned n = 0;
	while (engine_next(e, &a)) {
		if (a.type == type) {
			n++;
			*last = a;
		}
		if (a.type == ACT_LIST)
			engine_listed(e, a.job, 0, NULL, 0, false);
		if (a.type == ACT_STORE)
			engine_stored(e, a.job);
	}
	return n;
}

static struct buf lives_of(const struct engine *e)
{
	struct buf out = {0};
	uint64_t newest;
	engine_lives(e, &out, &newest);
	return out;
}

/* Looks at `name`, which nobody knows, and answers that there is a folder: a change, which is then stored. */
static void make_folder(struct engine *e, const char *name)
{
	struct action a;
	bool stored = false;
	engine_hint(e, NODE_ROOT, bytes_of(name), HINT_CHANGED);
	while (!stored && engine_next(e, &a)) {
		if (a.type == ACT_LOOK) {
			a.looks[0].found = (struct found){.kind = KIND_DIR, .mode = 0755};
			engine_looked(e, a.job, a.looks, a.n);
		} else if (a.type == ACT_STORE) {
			stored = engine_counter(e) > 0;
			engine_stored(e, a.job);
		}
	}
	ck_assert(stored);
}

START_TEST(numbers_of_another_life_are_recognised)
{
	struct engine_config first = {{{1}}, "me", 0, 1, 77}, second = {{{1}}, "me", 0, 1, 88};
	struct replica_id other = {{2}};
	struct action a;
	struct engine *e = engine_new(&first);
	engine_start(e, INDEX_WALKED);
	ck_assert_uint_eq(engine_life(e, 0, 1), 0);
	make_folder(e, "d");
	uint64_t lost = engine_counter(e);
	ck_assert_uint_eq(engine_life(e, 0, lost), 77);
	struct buf lives = lives_of(e);
	engine_free(e);
	/* A new start knows in which life its numbers were given out, and goes on in another. */
	second.counter = lost;
	e = engine_new(&second);
	ck_assert_int_eq(engine_load_lives(e, (struct bytes){lives.data, lives.len}), 0);
	engine_start(e, INDEX_WALKED);
	make_folder(e, "f");
	ck_assert_uint_eq(engine_life(e, 0, lost), 77);
	ck_assert_uint_eq(engine_life(e, 0, lost + 1), 88);
	ck_assert_int_eq(engine_peer_up(e, 0, &other, "other", "", 3), 0);
	engine_peer_sync(e, 0, &(struct seen){first.id, lost, lost + 1, 77, 88}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 0);
	engine_peer_sync(e, 0, &(struct seen){first.id, lost, lost + 1, 77, 0}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 0);
	/* It went on from a copy made before the number that is known to the other. */
	engine_peer_sync(e, 0, &(struct seen){first.id, lost, lost + 1, 77, 77}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 1);
	engine_free(e);
	/* Lives that end before they begin are damage. */
	second.counter = 0;
	e = engine_new(&second);
	ck_assert_int_eq(engine_load_lives(e, (struct bytes){lives.data, lives.len}), -EPROTO);
	ck_assert_int_eq(engine_load_lives(e, bytes_of("damaged")), -EPROTO);
	engine_free(e);
	buf_release(&lives);
}
END_TEST

START_TEST(old_index_is_recognised)
{
	struct engine_config config = {{{1}}, "me", 7, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id other = {{2}};
	struct action a = {0};
	engine_start(e, INDEX_WALKED);
	ck_assert_int_eq(engine_peer_up(e, 0, &other, "other", "", 3), 0);
	engine_peer_sync(e, 0, &(struct seen){config.id, 7, 7, 0, 0}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 0);
	engine_peer_sync(e, 0, &(struct seen){config.id, 8, 8, 0, 0}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 1);
	ck_assert_str_eq(a.text, "other");
	engine_hint(e, NODE_ROOT, bytes_of("f"), HINT_CHANGED);
	engine_peer_sync(e, 0, &(struct seen){config.id, 9, 9, 0, 0}, 1);
	ck_assert(!engine_next(e, &a));
	engine_free(e);
}
END_TEST

START_TEST(event_tells_what_changed)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	static const enum engine_event events[] = {EVENT_CREATED, EVENT_CHANGED, EVENT_DELETED};
	static const uint64_t sizes[] = {0, 5, 6, 0};
	unsigned seen = 0;
	struct action a;
	engine_start(e, INDEX_NEW);
	while (engine_next(e, &a)) /* the first walk tells nothing of what it finds */
		if (a.type == ACT_LIST)
			engine_listed(e, a.job, 0, NULL, 0, false);
		else if (a.type == ACT_STORE)
			engine_stored(e, a.job);
	for (unsigned i = 0; i < 4; i++) {
		engine_time(e, 0, 1000 * i);
		engine_tick(e); /* a deletion is told when no other belongs to it */
		if (i < 3)
			engine_hint(e, NODE_ROOT, bytes_of("f"), HINT_CHANGED);
		while (engine_next(e, &a)) {
			if (a.type == ACT_STORE)
				engine_stored(e, a.job);
			if (a.type == ACT_LOOK) {
				struct look l = a.looks[0];
				l.found = (struct found){.kind = i < 2 ? KIND_FILE : KIND_ABSENT,
				                         .stamp = i, .size = sizes[i + 1]};
				memset(l.found.hash, (int)i + 1, HASH_SIZE);
				engine_looked(e, a.job, &l, 1);
			}
			if (a.type != ACT_EVENT)
				continue;
			ck_assert_int_eq(a.event, events[seen]);
			ck_assert_uint_eq(a.old_size, sizes[seen]);
			ck_assert_uint_eq(a.new_size, sizes[seen + 1]);
			ck_assert(seen ? a.old_hash && a.old_hash[0] == seen : !a.old_hash);
			ck_assert(seen < 2 ? a.new_hash && a.new_hash[0] == seen + 1 : !a.new_hash);
			seen++;
		}
	}
	ck_assert_uint_eq(seen, 3);
	engine_free(e);
}
END_TEST

/* What was done while it did not run is told as found, when the first walk finds it; a new index finds
 * everything, and tells of nothing. */
START_TEST(event_of_what_was_found)
{
	static const struct {
		uint64_t was, is; /* sizes; 0: not there */
		int event;
	} lives[] = {{0, 5, -1}, {5, 6, EVENT_FOUND_CHANGED}, {6, 0, EVENT_FOUND_GONE},
	             {0, 7, EVENT_FOUND_NEW}, {7, 7, -1}};
	struct buf record = {0};
	for (unsigned i = 0; i < ARRAY_LEN(lives); i++) {
		struct engine_config config = {{{1}}, "me", 10 * i, 1, i + 1};
		struct engine *e = engine_new(&config);
		uint64_t is = lives[i].is;
		struct listed item = {bytes_of("f"), {.kind = KIND_FILE, .stamp = i + 1, .size = is}};
		struct action a;
		int event = -1;
		if (record.len)
			ck_assert_int_eq(engine_load(e, bytes_of("f"), (struct bytes){record.data, record.len}), 0);
		engine_start(e, i == 0 ? INDEX_NEW : INDEX_WALKED);
		for (uint64_t ms = 0; ms < 20000; ms += 1000) { /* deletions wait for others */
			engine_time(e, 0, ms);
			engine_tick(e);
			while (engine_next(e, &a)) {
				if (a.type == ACT_STORE) {
					buf_clear(&record);
					engine_record(e, a.nodes[0], &record);
					engine_stored(e, a.job);
				} else if (a.type == ACT_LIST) {
					engine_listed(e, a.job, 0, &item, is != 0, false);
				} else if (a.type == ACT_LOOK) {
					struct look l = a.looks[0];
					l.found = is ? item.found : (struct found){.kind = KIND_ABSENT};
					memset(l.found.hash, (int)is, HASH_SIZE);
					engine_looked(e, a.job, &l, 1);
				} else if (a.type == ACT_EVENT && a.path.len) {
					ck_assert_int_eq(event, -1);
					event = (int)a.event;
					ck_assert_uint_eq(a.old_size, lives[i].was);
					ck_assert_uint_eq(a.new_size, is);
				}
			}
		}
		ck_assert_msg(event == lives[i].event, "life %u: event %d", i, event);
		engine_free(e);
	}
	buf_release(&record);
}
END_TEST

/* A child is seen before the folder that it is in: the folder is an event all the same. */
START_TEST(folder_seen_after_its_child_is_an_event)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct entry_view v;
	struct action a;
	engine_start(e, INDEX_NEW);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1) { /* the folder is known, and to be looked at later */
			engine_hint(e, NODE_ROOT, bytes_of("d"), HINT_WRITING);
			engine_hint(e, tree_find(engine_tree(e), bytes_of("d")), bytes_of("f"),
			            HINT_CHANGED);
		} else if (i == 2) {
			engine_hint(e, NODE_ROOT, bytes_of("d"), HINT_CHANGED);
		}
		while (engine_next(e, &a)) {
			struct listed item = {bytes_of("f"), {.kind = KIND_FILE, .stamp = 7}};
			if (a.type == ACT_STORE)
				engine_stored(e, a.job);
			if (a.type == ACT_LIST)
				engine_listed(e, a.job, 0, &item, a.path.len != 0, false);
			if (a.type == ACT_APPLY) { /* it would make the folder, which is there */
				struct op op = a.ops[0];
				op.error = -ESTALE;
				engine_applied(e, a.job, &op, 1);
			}
			if (a.type == ACT_LOOK) {
				bool file = a.looks[0].path.len > 1;
				struct look l = {.found = {.kind = file ? KIND_FILE : KIND_DIR,
				                           .stamp = 7, .mode = 0755}};
				engine_looked(e, a.job, &l, 1);
			}
		}
	}
	ck_assert(engine_entry(e, tree_find(engine_tree(e), bytes_of("d/f")), &v));
	ck_assert_uint_eq(v.state->n_heads, 1);
	ck_assert(engine_entry(e, tree_find(engine_tree(e), bytes_of("d")), &v));
	ck_assert_uint_eq(v.state->n_heads, 1);
	engine_free(e);
}
END_TEST

/* ---- tombstones ---- */

#define DAY_MS 86400000u

static void all_know(struct world *w, unsigned n, const char *path, bool known)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(world_knows(w, i, path) == known, "replica %u knows%s of %s", i,
		              known ? " nothing" : "", path);
}

/* Three in a line, which all have `a` and forget what was deleted for two days. */
static struct world *line_of_three(void)
{
	struct world *w = world_new(3, 1);
	world_forget(w, 2 * DAY_MS);
	world_connect(w, 0, 1);
	world_connect(w, 1, 2);
	world_write(w, 0, "a", "first");
	world_write(w, 0, "stays", "s");
	world_settle(w);
	return w;
}

static void remove_and_wait(struct world *w, unsigned r, const char *path)
{
	world_remove(w, r, path);
	world_settle(w);
	world_pass(w, 3 * DAY_MS);
	world_settle(w);
}

START_TEST(tombstone_that_all_have_is_forgotten)
{
	struct world *w = line_of_three();
	remove_and_wait(w, 2, "a");
	all_know(w, 3, "a", false);
	all_know(w, 3, "stays", true);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(engine_status(world_engine(w, i)).in_sync);
		ck_assert_uint_eq(engine_deadline(world_engine(w, i)), UINT64_MAX);
	}
	world_write(w, 0, "a", "again");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 2, "a"), "again");
	world_write(w, 2, "a", "and changed");
	done(w);
}
END_TEST

START_TEST(young_tombstone_is_kept)
{
	struct world *w = line_of_three();
	world_remove(w, 0, "a");
	for (int hours = 0; hours < 47; hours++) {
		for (int i = 0; i < 2000 && world_step(w); i++)
			;
		world_pass(w, DAY_MS / 24);
	}
	all_know(w, 3, "a", true);
	world_crash(w, 1, false); /* the age is in the index */
	world_connect(w, 0, 1);
	world_connect(w, 1, 2);
	world_pass(w, DAY_MS / 6);
	for (int i = 0; i < 2000 && world_step(w); i++)
		;
	world_pass(w, DAY_MS / 12);
	world_settle(w);
	all_know(w, 3, "a", false);
	done(w);
}
END_TEST

START_TEST(tombstone_waits_for_who_is_away)
{
	struct world *w = line_of_three();
	world_cut(w, 1, 2);
	remove_and_wait(w, 0, "a");
	world_pass(w, 100ul * DAY_MS);
	world_settle(w);
	ck_assert(world_knows(w, 0, "a"));
	ck_assert(world_knows(w, 1, "a"));
	ck_assert_uint_eq(engine_deadline(world_engine(w, 0)), UINT64_MAX); /* it wakes nobody */
	ck_assert_str_eq(world_read(w, 2, "a"), "first");
	world_connect(w, 1, 2);
	world_settle(w);
	ck_assert_ptr_null(world_read(w, 2, "a"));
	world_pass(w, 3 * DAY_MS);
	world_settle(w);
	all_know(w, 3, "a", false);
	done(w);
}
END_TEST

START_TEST(tombstone_waits_for_a_new_replica)
{
	struct world *w = world_new(3, 1);
	world_forget(w, 2 * DAY_MS);
	world_connect(w, 0, 1);
	world_write(w, 0, "a", "first");
	world_settle(w);
	world_connect(w, 1, 2);
	world_settle(w);
	world_cut(w, 1, 2); /* seen once: from now on it counts */
	remove_and_wait(w, 0, "a");
	ck_assert(world_knows(w, 1, "a"));
	world_connect(w, 1, 2);
	world_settle(w);
	world_pass(w, 3 * DAY_MS);
	world_settle(w);
	all_know(w, 3, "a", false);
	done(w);
}
END_TEST

START_TEST(tombstone_that_comes_again_is_taken_and_forgotten_again)
{
	struct world *w = line_of_three();
	engine_forget(world_engine(w, 2), UINT64_MAX); /* one that keeps it for ever */
	remove_and_wait(w, 0, "a");
	ck_assert(!world_knows(w, 0, "a"));
	ck_assert(!world_knows(w, 1, "a"));
	ck_assert(world_knows(w, 2, "a"));
	world_crash(w, 1, true); /* whose new life hears of it once more, and tells the others */
	world_connect(w, 0, 1);
	world_connect(w, 1, 2);
	world_settle(w);
	ck_assert_ptr_null(world_read(w, 0, "a"));
	ck_assert(world_knows(w, 1, "a"));
	ck_assert(engine_status(world_engine(w, 0)).in_sync);
	engine_forget(world_engine(w, 2), 2 * DAY_MS);
	world_pass(w, 3 * DAY_MS);
	world_settle(w);
	world_pass(w, 3 * DAY_MS);
	world_settle(w);
	all_know(w, 3, "a", false);
	done(w);
}
END_TEST

START_TEST(tombstone_of_a_copy_waits_for_its_path)
{
	struct world *w = world_new(2, 1);
	world_forget(w, 2 * DAY_MS);
	world_write(w, 0, "a", "one");
	world_write(w, 1, "a", "two");
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 2);
	const char *copy = NULL;
	static char path[64];
	for (unsigned r = 1; r <= 2 && !copy; r++)
		for (unsigned n = 1; n < 9 && !copy; n++) {
			snprintf(path, sizeof(path), "a.conflict-%02x000000-%u", r, n);
			copy = world_read(w, 0, path);
		}
	ck_assert_ptr_nonnull(copy);
	remove_and_wait(w, 0, path);
	all_know(w, 2, path, false);
	world_write(w, 1, "a", "three");
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 1);
	ck_assert_ptr_null(world_read(w, 0, path));
	done(w);
}
END_TEST

START_TEST(damaged_record_is_refused)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct found found = {.kind = KIND_FILE};
	static const char *const bad[] = {"", "x", "\x90", "\x97\x01\x90\x90\xc0\xc0\x90", "\x97\x02\x90\x90\xc0\xc0\x90\x01",
	                                  "\x97\x01\x90\x91\x92\x01\x01\xc0\xc0\x90\x01"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_int_eq(engine_load_applied(e, bytes_of("f"), bytes_of(""), bytes_of(bad[i]),
		                                     &found), -EPROTO);
	ck_assert_int_eq(engine_load_applied(e, bytes_of("../f"), bytes_of(""), bytes_of("x"), &found),
	                 -EPROTO);
	engine_free(e);
}
END_TEST

/* ---- deletions that are too many at once ---- */

static void write_many(struct world *w, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		char path[32], content[32];
		snprintf(path, sizeof(path), "f%u", i);
		snprintf(content, sizeof(content), "content %u", i);
		world_write(w, 0, path, content);
	}
	world_settle(w);
}

static void remove_many(struct world *w, unsigned r, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		char path[32];
		snprintf(path, sizeof(path), "f%u", i);
		world_remove(w, r, path);
	}
	world_settle(w);
}

static struct held_set only_set(struct world *w, unsigned r)
{
	struct held_set sets[4];
	ck_assert_uint_eq(engine_held_sets(world_engine(w, r), sets, 4), 1);
	return sets[0];
}

static void says(struct world *w, unsigned r, const char *path, const char *state, const char *note)
{
	struct engine *e = world_engine(w, r);
	node_t n = tree_find(engine_tree(e), bytes_of(path));
	struct buf b = {0};
	engine_note(e, n, &b);
	buf_add(&b, "", 1);
	ck_assert_str_eq((char *)b.data, note);
	ck_assert_str_eq(row_state_text(rows_row(engine_rows(e), n).state), state);
	buf_release(&b);
}

START_TEST(many_deletions_are_held)
{
	struct world *w = pair();
	write_many(w, 0, 30);
	remove_many(w, 0, 0, 25);
	world_write(w, 0, "other", "goes on");
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 6);
	ck_assert_uint_eq(world_count(w, 1), 31);
	struct held_set set = only_set(w, 0);
	ck_assert_uint_eq(set.n, 25);
	ck_assert_uint_eq(set.from, 0);
	ck_assert_uint_eq(set.bytes, 10 * 9 + 15 * 10);
	node_t *nodes;
	struct buf path = {0};
	ck_assert_uint_eq(engine_held_nodes(world_engine(w, 0), 0, &nodes), 25);
	tree_path(engine_tree(world_engine(w, 0)), nodes[1], &path);
	ck_assert_mem_eq(path.data, "f1", 2);
	free(nodes);
	buf_release(&path);
	struct engine_status s = engine_status(world_engine(w, 0));
	ck_assert_uint_eq(s.held, 25);
	ck_assert(!s.agree && !s.in_sync);
	ck_assert(!engine_status(world_engine(w, 1)).agree);
	for (unsigned r = 0; r < 2; r++) { /* told by A of itself, and by B of A */
		struct replica_info a = engine_replica(world_engine(w, r), (rep_t)r);
		ck_assert_uint_eq(a.n_held, 25);
		ck_assert_uint_eq(a.n_problems, 0);
	}
	says(w, 0, "f3", "held", "deleted here, held: 25 deletions at once wait for a word");
	says(w, 1, "f3", "held", "deleted here, held: 25 deletions at once wait for a word on A");
	/* A person says yes, here and then where they arrive. */
	ck_assert_uint_eq(world_decide(w, 0, true), 25);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 1), 31);
	says(w, 1, "f3", "held", "deleted on A, held: 25 deletions at once wait for a word");
	says(w, 0, "f3", "held", "deleted on A, held: 25 deletions at once wait for a word on B"); /* gone here */
	ck_assert_uint_eq(rows_totals(engine_rows(world_engine(w, 0)), NODE_ROOT).files, 31);
	ck_assert_uint_eq(only_set(w, 1).from, 1);
	ck_assert_uint_eq(world_decide(w, 1, true), 25);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 1), 6);
	done(w);
}
END_TEST

START_TEST(held_deletions_can_be_undone)
{
	struct world *w = pair();
	write_many(w, 0, 30);
	uint64_t counter = engine_counter(world_engine(w, 0));
	remove_many(w, 0, 0, 30);
	ck_assert_uint_eq(world_decide(w, 0, false), 30);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 30);
	ck_assert_str_eq(world_read(w, 0, "f7"), "content 7");
	ck_assert_uint_eq(engine_counter(world_engine(w, 0)), counter); /* nothing has happened */
	/* And on the other side, after the first has said yes. */
	remove_many(w, 0, 0, 30);
	ck_assert_uint_eq(world_decide(w, 0, true), 30);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 0);
	ck_assert_uint_eq(world_decide(w, 1, false), 30);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 30);
	done(w);
}
END_TEST

/* A folder that comes after the one above it was planned for its sake fits in no batch that this has filled. */
START_TEST(undone_folders_fill_batches)
{
	struct world *w = pair();
	world_mkdir(w, 0, "alone");
	for (unsigned i = 0; i < 200; i++) {
		char path[32];
		snprintf(path, sizeof(path), "d%u", i);
		world_mkdir(w, 0, path);
		snprintf(path, sizeof(path), "d%u/in", i);
		world_mkdir(w, 0, path);
	}
	world_settle(w);
	world_remove(w, 0, "alone");
	for (unsigned i = 0; i < 200; i++) {
		char path[32];
		snprintf(path, sizeof(path), "d%u", i);
		world_remove(w, 0, path);
	}
	world_settle(w);
	ck_assert_uint_eq(world_decide(w, 0, false), 401);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 401);
	done(w);
}
END_TEST

START_TEST(undone_before_a_crash_is_undone_after)
{
	struct world *w = pair();
	write_many(w, 0, 30);
	world_cut(w, 0, 1);
	remove_many(w, 0, 0, 30);
	ck_assert_uint_eq(world_decide(w, 0, false), 30);
	world_settle(w);
	ck_assert_uint_eq(engine_status(world_engine(w, 0)).pending, 30);
	world_crash(w, 0, false);
	world_settle(w);
	ck_assert_uint_eq(engine_status(world_engine(w, 0)).pending, 30);
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 0), 30);
	done(w);
}
END_TEST

START_TEST(how_many_are_too_many)
{
	static const struct {
		unsigned there, gone;
		bool held;
	} cases[] = {
		{1, 1, false},  /* the only file */
		{2, 2, true},   /* all */
		{3, 2, false},
		{20, 19, false},
		{40, 20, false}, /* not more than half */
		{40, 21, true},
		{60, 29, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = pair();
		write_many(w, 0, cases[i].there);
		remove_many(w, 0, 0, cases[i].gone);
		size_t held = cases[i].held ? cases[i].gone : 0;
		ck_assert_uint_eq(world_count(w, 1), cases[i].there - cases[i].gone + held);
		ck_assert_uint_eq(world_decide(w, 0, true), held);
		world_settle(w);
		ck_assert_uint_eq(world_decide(w, 1, true), held);
		done(w);
	}
}
END_TEST

START_TEST(renamed_is_not_deleted)
{
	struct world *w = pair();
	world_mkdir(w, 0, "d");
	world_mkdir(w, 0, "d/empty");
	world_mkdir(w, 0, "d/e");
	for (unsigned i = 0; i < 40; i++) {
		char path[32], content[32];
		snprintf(path, sizeof(path), "d/e/%u", i);
		snprintf(content, sizeof(content), "content %u", i);
		world_write(w, 0, path, content);
	}
	world_settle(w);
	world_rename(w, 0, "d", "moved");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "moved/e/7"), "content 7");
	ck_assert_ptr_null(world_read(w, 1, "d"));
	/* Out of the root, by way of another name: that is one. */
	world_rename(w, 0, "moved", "out");
	world_remove(w, 0, "out");
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 1), 43);
	ck_assert_uint_ge(world_decide(w, 0, true), 40);
	world_settle(w);
	ck_assert_uint_ge(world_decide(w, 1, true), 40);
	done(w);
}
END_TEST

START_TEST(found_gone_at_the_start_is_held)
{
	struct world *w = pair();
	write_many(w, 0, 100);
	remove_many(w, 0, 0, 60);
	ck_assert_uint_eq(only_set(w, 0).n, 60);
	world_crash(w, 0, false); /* and what is removed meanwhile counts as well */
	for (unsigned i = 60; i < 80; i++) {
		char path[32];
		snprintf(path, sizeof(path), "f%u", i);
		world_remove(w, 0, path);
	}
	world_connect(w, 0, 1);
	world_settle(w);
	ck_assert_uint_eq(only_set(w, 0).n, 80);
	ck_assert_uint_eq(world_count(w, 1), 100);
	ck_assert_uint_eq(world_decide(w, 0, false), 80);
	done(w);
}
END_TEST

START_TEST(only_what_was_shown_is_carried_out)
{
	struct world *w = pair();
	write_many(w, 0, 30);
	remove_many(w, 0, 0, 25);
	uint64_t shown = only_set(w, 0).id;
	size_t left;
	world_write(w, 1, "f3", "newer"); /* by a peer, which takes it out */
	world_write(w, 0, "f4", "content 4"); /* somebody puts it back */
	world_settle(w);
	ck_assert_str_eq(world_read(w, 0, "f3"), "newer");
	ck_assert_uint_eq(only_set(w, 0).n, 23);
	ck_assert_int_eq(engine_held_decide(world_engine(w, 0), shown, true, &left), -ESTALE);
	ck_assert_uint_eq(only_set(w, 0).n, 23);
	shown = only_set(w, 0).id;
	ck_assert_int_eq(engine_held_decide(world_engine(w, 0), shown, true, &left), 0);
	ck_assert_uint_eq(left, 0);
	ck_assert_int_eq(engine_held_decide(world_engine(w, 0), shown, true, &left), -ESTALE);
	world_settle(w);
	world_decide(w, 1, true);
	world_settle(w);
	ck_assert_uint_eq(world_count(w, 1), 7);
	done(w);
}
END_TEST

START_TEST(what_nobody_has_stays_held)
{
	struct world *w = world_new(2, 1);
	write_many(w, 0, 30); /* no peer has ever seen them */
	remove_many(w, 0, 0, 30);
	size_t left;
	ck_assert_int_eq(engine_held_decide(world_engine(w, 0), only_set(w, 0).id, false, &left), 0);
	ck_assert_uint_eq(left, 30);
	says(w, 0, "f3", "held",
	     "deleted here, and no other replica has it, held: 30 deletions at once wait for a word");
	ck_assert_uint_eq(world_decide(w, 0, true), 30);
	world_connect(w, 0, 1);
	done(w);
}
END_TEST

START_TEST(one_by_one_counts_together)
{
	struct world *w = pair();
	write_many(w, 0, 60);
	/* Each alone is few; but they come within the same minute, from a peer. */
	for (unsigned i = 0; i < 40; i += 5) {
		remove_many(w, 0, i, 5);
		world_decide(w, 0, true);
		world_settle(w);
	}
	ck_assert_uint_eq(world_count(w, 0), 20);
	ck_assert_uint_ge(world_count(w, 1), 30);
	ck_assert_uint_gt(only_set(w, 1).n, 0);
	world_decide(w, 1, true);
	done(w);
}
END_TEST

START_TEST(folder_of_most_turns_into_a_file)
{
	struct world *w = pair();
	world_mkdir(w, 0, "d");
	for (unsigned i = 0; i < 30; i++) {
		char path[32];
		snprintf(path, sizeof(path), "d/%u", i);
		world_write(w, 0, path, path);
	}
	world_settle(w);
	world_remove(w, 0, "d");
	world_write(w, 0, "d", "a file");
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "d/7"), "d/7");
	ck_assert_uint_eq(world_decide(w, 0, true), 31);
	world_settle(w);
	ck_assert_uint_ge(world_decide(w, 1, true), 30);
	world_settle(w);
	ck_assert_str_eq(world_read(w, 1, "d"), "a file");
	done(w);
}
END_TEST

static void histories(unsigned long first, unsigned long last, unsigned replicas_max,
                      void (*history)(struct world *, unsigned))
{
	const char *seeds = getenv("TUTTI_SEEDS");
	if (seeds) {
		char *end;
		first = strtoul(seeds, &end, 10);
		last = *end == '-' ? strtoul(end + 1, NULL, 10) : first;
	}
	const char *replicas = getenv("TUTTI_REPLICAS");
	unsigned fixed = replicas ? (unsigned)strtoul(replicas, NULL, 10) : 0;
	for (unsigned long seed = first; seed <= last; seed++) {
		unsigned n = 2 + (unsigned)(seed % (replicas_max - 1));
		struct world *w = world_new(fixed ? fixed : n, seed);
		history(w, 400);
		const char *fault = world_check(w);
		ck_assert_msg(!fault, "seed %lu: %s", seed, fault);
		world_free(w);
	}
}

/* Random histories; TUTTI_SEEDS=first-last runs others, TUTTI_REPLICAS=n with so many replicas; a failing
 * seed names itself. */
START_TEST(random_histories)
{
	histories(1, 1500, 4, world_random);
}
END_TEST

START_TEST(hostile_histories)
{
	histories(1, 500, 5, world_hostile);
}
END_TEST

/* ---- what a peer may say, whatever it means ---- */

static uint64_t noise;

static uint64_t any(uint64_t n)
{
	noise = noise * 6364136223846793005u + 1442695040888963407u;
	return (noise >> 33) % n;
}

/* Small, or at an end of what the codec lets through. */
static uint64_t any_counter(void)
{
	static const uint64_t ends[] = {1, 2, (uint64_t)1 << 40, COUNTER_MAX - 1, COUNTER_MAX};
	return any(4) ? 1 + any(30) : ends[any(5)];
}

static struct bytes any_path(void)
{
	static const char *const paths[] = {"a", "b", "a/b", "a/b/c", "d", "a.conflict-02000000-1",
	                                    "b.conflict-01000000-1"};
	return bytes_of(paths[any(7)]);
}

static struct state any_state(struct engine *e)
{
	struct state s = {0};
	for (uint64_t n = any(4); n; n--) {
		struct head h = {.dot = {any_counter(), (rep_t)any(engine_replicas(e))},
		                 .rank = any(3) ? (int64_t)any(1000) : INT64_MAX,
		                 .mtime = any(2) ? INT64_MIN : INT64_MAX,
		                 .kind = (uint8_t)(1 + any(3))};
		uint8_t target[] = {'t'};
		if (h.kind != KIND_DIR) {
			memset(h.hash, (int)any(3), HASH_SIZE);
			h.size = h.kind == KIND_SYMLINK ? 1 : any(2) ? any(20) : INT64_MAX;
		}
		if (h.kind == KIND_SYMLINK)
			h.target = target;
		state_add_head(&s, &h);
	}
	for (uint64_t n = any(3) + !s.context.n; n; n--)
		version_add(&s.context, (struct dot){any_counter(), (rep_t)any(engine_replicas(e))});
	if (any(2))
		s.mode = (struct mode_reg){any(3) ? (int64_t)any(99) : INT64_MAX, s.context.dots[0], 0644};
	if (!s.n_heads)
		memset(s.gone, (int)any(3), HASH_SIZE);
	return s;
}

static struct replica_id any_id(void)
{
	struct replica_id id = {{(uint8_t)(1 + any(6))}};
	return id;
}

/* False: it broke the protocol, and has been cut off. */
static bool any_message(struct engine *e, unsigned peer)
{
	const char *why;
	int r = 0;
	uint64_t n = any(4), to = any_counter();
	struct replica_id id = any_id();
	switch (any(6)) {
	case 0:
	case 1: {
		struct index_entry in[4];
		uint64_t seq = 0;
		for (uint64_t i = 0; i < n; i++)
			in[i] = (struct index_entry){any_path(), seq += any(9), any_state(e),
			                             any(2) ? bytes_of("data") : (struct bytes){0}};
		r = engine_peer_index(e, peer, to, any(4), any(2), in, n, &why);
		break;
	}
	case 2: {
		struct held_entry held[4];
		for (uint64_t i = 0; i < n; i++)
			held[i] = (struct held_entry){any_path(), any_counter(), any(3), (uint32_t)any(9),
			                              (uint8_t)any(6)};
		r = engine_peer_have(e, peer, (rep_t)any(engine_replicas(e) + 2), to, any(4), held, n, &why);
		break;
	}
	case 3: {
		struct seen seen[4];
		for (uint64_t i = 0; i < n; i++)
			seen[i] = (struct seen){any_id(), any_counter(), any_counter(), any(4), any(4)};
		engine_peer_sync(e, peer, seen, n);
		break;
	}
	case 4:
		engine_peer_ack(e, peer, to);
		break;
	case 5: {
		struct problem problem = {any(2) ? any_path() : bytes_of("../x"), bytes_of("why"), any(2)};
		struct replica_id links[2] = {any_id(), any_id()};
		struct report report = {.id = id, .n = any(2) ? any(50) : any(2) ? COUNTER_MAX : UINT64_MAX,
		                   .name = bytes_of(any(2) ? "x" : "me"), .pending = any_counter(),
		                   .bytes = UINT64_MAX, .problems = &problem, .n_listed = any(2),
		                   .links = links, .n_links = any(3)};
		r = engine_peer_report(e, peer, &report, &why);
		break;
	}
	}
	if (r)
		engine_peer_down(e, peer);
	return r == 0;
}

/* A disk that does as it likes. */
static void any_answer(struct engine *e, const struct action *a, bool *up)
{
	static const int errors[] = {0, 0, 0, -ENOENT, -ESTALE, -ENOTEMPTY, -ENOSPC, -EBADMSG, -ENODATA};
	switch (a->type) {
	case ACT_LIST:
		engine_listed(e, a->job, any(3) ? 0 : -ENOENT, NULL, 0, any(2));
		break;
	case ACT_LOOK: {
		struct look *looks = xmemdup(a->looks, a->n * sizeof(*looks));
		for (size_t i = 0; i < a->n; i++) {
			looks[i].error = any(4) ? 0 : -ENOENT;
			looks[i].found.kind = (uint8_t)(looks[i].error ? 0 : any(3));
			looks[i].found.stamp = any(4);
			memset(looks[i].found.hash, (int)any(3), HASH_SIZE);
		}
		engine_looked(e, a->job, looks, a->n);
		free(looks);
		break;
	}
	case ACT_APPLY: {
		struct op *ops = xmemdup(a->ops, a->n * sizeof(*ops));
		for (size_t i = 0; i < a->n; i++) {
			ops[i].error = errors[any(9)];
			ops[i].found.kind = ops[i].type == OP_WRITE ? KIND_FILE
			                  : ops[i].type == OP_SYMLINK ? KIND_SYMLINK
			                  : ops[i].type == OP_MKDIR ? KIND_DIR
			                  : ops[i].type == OP_META ? ops[i].expect_kind : KIND_ABSENT;
		}
		engine_applied(e, a->job, ops, a->n);
		free(ops);
		break;
	}
	case ACT_FETCH:
		engine_fetched(e, a->job, errors[any(9)], 1 + any(9));
		break;
	case ACT_STORE:
		engine_stored(e, a->job);
		break;
	case ACT_INDEX:
	case ACT_HAVE:
		engine_index_sent(e, a->peer);
		break;
	case ACT_DROP:
		engine_peer_down(e, a->peer);
		up[a->peer] = false;
		break;
	default:
		break;
	}
}

START_TEST(no_peer_can_break_it)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		noise = seed;
		struct engine_config config = {{{1}}, "me", any(5), seed, 1 + any(3)};
		struct engine *e = engine_new(&config);
		bool up[2] = {false, false};
		engine_start(e, any(2) ? INDEX_LOST : INDEX_WALKED);
		for (uint64_t now = 0; now < 200; now++) {
			struct action a;
			unsigned peer = (unsigned)any(2), n = 0;
			engine_time(e, (int64_t)now * 100000000, now * 100);
			engine_tick(e);
			struct replica_id id = {{(uint8_t)(2 + peer)}};
			if (!up[peer])
				up[peer] = engine_peer_up(e, peer, &id, "x", "", any_counter()) == 0;
			else
				up[peer] = any_message(e, peer);
			bool rolled_back = false;
			while (engine_next(e, &a)) {
				ck_assert_msg(++n < 100000, "seed %u: actions without end", (unsigned)seed);
				ck_assert(!rolled_back); /* nothing comes after it */
				rolled_back = a.type == ACT_ROLLED_BACK;
				any_answer(e, &a, up);
			}
			if (rolled_back) {
				engine_free(e);
				e = engine_new(&config);
				engine_start(e, INDEX_NEW);
				up[0] = up[1] = false;
			}
		}
		engine_free(e);
	}
}
END_TEST

/* One file at `path`, made by the replica `maker`, or what is left of it when it is gone. */
static struct index_entry entry_of(struct engine *e, const char *path, uint64_t seq, uint8_t maker)
{
	struct replica_id id = {{maker}};
	struct head h = {.dot = {seq, (rep_t)engine_intern(e, &id)}, .rank = 1, .kind = KIND_FILE,
	                 .size = 1};
	struct state s = {0};
	state_add_head(&s, &h);
	return (struct index_entry){.path = bytes_of(path), .seq = seq, .state = s};
}

START_TEST(a_peer_may_bring_only_so_much)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id greedy = {{2}}, modest = {{3}};
	const char *why;
	char path[64];
	uint64_t seq = 0, taken = 0;
	int r = 0;
	engine_entries_max(e, 100);
	engine_start(e, INDEX_NEW);
	ck_assert_int_eq(engine_peer_up(e, 0, &greedy, "greedy", "", 0), 0);
	ck_assert_int_eq(engine_peer_up(e, 1, &modest, "modest", "", 0), 0);
	/* Folders on the way count as well; what it says again does not. */
	while (r == 0 && seq < 10000) {
		snprintf(path, sizeof(path), "d/%u/f", (unsigned)(++seq % 5 ? 1 : ++taken));
		struct index_entry in = entry_of(e, path, seq, 2);
		r = engine_peer_index(e, 0, seq, 0, false, &in, 1, &why);
	}
	ck_assert_int_eq(r, -EPROTO);
	ck_assert(strstr(why, "peer-entries"));
	ck_assert_uint_ge(taken, 45);
	ck_assert_uint_le(taken, 60);
	/* So do the names that it puts into the mouths of others, and into its report. */
	struct held_entry held = {bytes_of("of another"), 1, 1, 1, KIND_FILE};
	size_t nodes = tree_count(engine_tree(e));
	ck_assert_int_eq(engine_peer_have(e, 0, 2, 1, 0, &held, 1, &why), -EPROTO);
	struct problem problem = {.path = bytes_of("in a report"), .reason = bytes_of("r")};
	struct report report = {.id = greedy, .n = 1, .problems = &problem, .n_listed = 1};
	ck_assert_int_eq(engine_peer_report(e, 0, &report, &why), 0);
	ck_assert_uint_eq(tree_count(engine_tree(e)), nodes);
	/* The others do not pay for it. */
	for (seq = 1; seq <= 40; seq++) {
		snprintf(path, sizeof(path), "modest/%u", (unsigned)seq);
		struct index_entry in = entry_of(e, path, seq, 3);
		ck_assert_int_eq(engine_peer_index(e, 1, seq, 0, false, &in, 1, &why), 0);
	}
	engine_free(e);
}
END_TEST

START_TEST(what_could_not_be_stored_is_tried_again)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id other = {{2}};
	struct action a;
	unsigned stores = 0;
	engine_start(e, true);
	ck_assert_int_eq(engine_peer_up(e, 0, &other, "other", "", 0), 0);
	drain(e, ACT_SYNC, &a);
	/* A number that was heard of, and nothing else. */
	const char *why;
	ck_assert_int_eq(engine_peer_index(e, 0, 5, 0, false, NULL, 0, &why), 0);
	for (uint64_t now = 1000; now < 30000; now += 1000) {
		engine_time(e, (int64_t)now * 1000000, now);
		engine_tick(e);
		while (engine_next(e, &a)) {
			if (a.type == ACT_STORE && stores++ == 0)
				engine_store_failed(e, a.job, "disk full");
			else if (a.type == ACT_STORE)
				engine_stored(e, a.job);
		}
	}
	ck_assert_uint_eq(stores, 2);
	ck_assert_uint_eq(engine_status(e).problems, 0);
	engine_free(e);
}
END_TEST

START_TEST(a_number_given_twice_is_told_once)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id bad = {{2}}, good = {{3}};
	const char *paths[] = {"a", "b", "c"}, *why;
	bool up[2] = {true, true};
	struct action a;
	unsigned told = 0;
	engine_start(e, INDEX_NEW);
	ck_assert_int_eq(engine_peer_up(e, 0, &bad, "bad", "", 0), 0);
	ck_assert_int_eq(engine_peer_up(e, 1, &good, "good", "", 0), 0);
	for (size_t i = 0; i < 3; i++) {
		struct index_entry in = entry_of(e, paths[i], i == 2 ? 2 : 1, 2);
		ck_assert_int_eq(engine_peer_index(e, 0, 2, 0, false, &in, 1, &why), 0);
	}
	engine_peer_sync(e, 1, NULL, 0);
	while (engine_next(e, &a)) {
		if (a.type == ACT_FETCH || a.type == ACT_APPLY)
			break;
		uint64_t last = 0;
		for (size_t i = 0; a.type == ACT_HAVE && a.peer == 1 && i < a.n; i++, told++) {
			struct held_entry held;
			ck_assert(engine_held(e, a.rep, a.nodes[i], &held));
			ck_assert_uint_gt(held.seq, last); /* else an honest peer would be taken for a bad one */
			last = held.seq;
		}
		any_answer(e, &a, up);
	}
	ck_assert_uint_eq(told, 2);
	engine_free(e);
}
END_TEST

/* What `e` says of itself next, to the peer 0; its number. */
static uint64_t own_report(struct engine *e)
{
	struct action a;
	static uint64_t mono_ms;
	uint64_t n = 0;
	engine_time(e, INT64_MAX, mono_ms += 100000);
	while (engine_next(e, &a))
		if (a.type == ACT_REPORT && a.rep == 0)
			n = engine_report(e, 0).n;
	return n;
}

/* Numbers of reports have an end. A peer that says one in the name of another, or a clock that is far ahead,
 * leaves room to go on: else the next report would end the connection of an honest server. */
START_TEST(a_report_never_comes_to_the_last_number)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id liar = {{2}}, other = {{3}};
	const char *why;
	engine_start(e, INDEX_NEW);
	ck_assert_int_eq(engine_peer_up(e, 0, &liar, "liar", "", 0), 0);
	uint64_t n = own_report(e);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, COUNTER_MAX - 1000000);
	struct report of_me = {.id = {{1}}, .n = COUNTER_MAX, .files = 1};
	ck_assert_int_eq(engine_peer_report(e, 0, &of_me, &why), 0);
	engine_halt(e, "something else to tell");
	uint64_t next = own_report(e);
	ck_assert_uint_gt(next, n);
	ck_assert_uint_lt(next, COUNTER_MAX - 1000000);
	/* Nor is such a word about somebody else kept and handed on. */
	struct report of_other = {.id = other, .n = COUNTER_MAX, .name = bytes_of("other"), .files = 7};
	ck_assert_int_eq(engine_peer_report(e, 0, &of_other, &why), 0);
	of_other.n = next;
	of_other.files = 8;
	ck_assert_int_eq(engine_peer_report(e, 0, &of_other, &why), 0);
	ck_assert_uint_eq(engine_replica(e, (rep_t)engine_intern(e, &other)).files, 8);
	/* What it says of itself ends with the numbers. */
	struct report of_liar = {.id = liar, .n = COUNTER_MAX};
	ck_assert_int_eq(engine_peer_report(e, 0, &of_liar, &why), 0);
	of_liar.n++;
	ck_assert_int_eq(engine_peer_report(e, 0, &of_liar, &why), -EPROTO);
	engine_free(e);
}
END_TEST

/* Whoever takes the name of another replica does not push it out, if that one belongs to a key that is
 * trusted: its deletions would be forgotten too early, and its column gone. */
START_TEST(a_name_is_not_taken_from_who_is_known)
{
	for (int guarded = 0; guarded < 2; guarded++) {
		struct engine_config config = {{{1}}, "me", 0, 1, 1};
		struct engine *e = engine_new(&config);
		struct replica_id nas = {{2}}, thief = {{3}}, told = {{4}};
		const char *why;
		engine_start(e, INDEX_NEW);
		ck_assert_int_eq(engine_peer_up(e, 0, &nas, "nas", "", 0), 0);
		rep_t rep = (rep_t)engine_intern(e, &nas);
		engine_guard(e, rep, guarded);
		engine_peer_down(e, 0);
		ck_assert_int_eq(engine_peer_up(e, 1, &thief, "thief", "", 0), 0);
		struct report report = {.id = told, .n = 2, .name = bytes_of("nas")};
		ck_assert_int_eq(engine_peer_report(e, 1, &report, &why), 0);
		ck_assert_int_eq(engine_replica(e, rep).member, guarded);
		engine_peer_down(e, 1);
		ck_assert_int_eq(engine_peer_up(e, 1, &thief, "nas", "", 0), 0);
		ck_assert_int_eq(engine_replica(e, rep).member, guarded);
		/* It has a new key, say: then the old one goes. */
		engine_guard(e, rep, false);
		engine_peer_down(e, 1);
		ck_assert_int_eq(engine_peer_up(e, 1, &thief, "nas", "", 0), 0);
		ck_assert(!engine_replica(e, rep).member);
		engine_free(e);
	}
}
END_TEST

START_TEST(a_peer_may_bring_only_so_many_bytes)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id greedy = {{2}};
	uint8_t target[SYMLINK_MAX];
	const char *why;
	uint64_t seq = 0;
	int r = 0;
	memset(target, 'x', sizeof(target));
	engine_entries_max(e, 100);
	engine_start(e, INDEX_NEW);
	ck_assert_int_eq(engine_peer_up(e, 0, &greedy, "greedy", "", 0), 0);
	/* Ever more heads at one path, each with the longest target. */
	while (r == 0 && seq < 150) {
		struct replica_id maker = {{9, (uint8_t)++seq}};
		struct head h = {.dot = {1, (rep_t)engine_intern(e, &maker)}, .rank = 1,
		                 .kind = KIND_SYMLINK, .target = target, .size = sizeof(target)};
		memcpy(h.hash, &seq, sizeof(seq));
		struct state s = {0};
		state_add_head(&s, &h);
		char path[16];
		snprintf(path, sizeof(path), "f%u", (unsigned)seq / 50);
		struct index_entry in = {.path = bytes_of(path), .seq = seq, .state = s};
		r = engine_peer_index(e, 0, seq, 0, false, &in, 1, &why);
	}
	ck_assert_int_eq(r, -EPROTO);
	ck_assert_uint_lt(seq, 60);
	engine_free(e);
}
END_TEST

START_TEST(ids_of_strangers_leave_places_for_peers)
{
	struct engine_config config = {{{1}}, "me", 0, 1, 1};
	struct engine *e = engine_new(&config);
	unsigned taken = 0;
	engine_start(e, INDEX_NEW);
	for (unsigned i = 0; i < 1000; i++) {
		struct replica_id id = {{7, (uint8_t)i, (uint8_t)(i >> 8)}};
		taken += engine_intern(e, &id) >= 0;
	}
	ck_assert_uint_lt(taken, REPLICAS_MAX);
	for (unsigned peer = 0; peer < 64; peer++) {
		struct replica_id id = {{8, (uint8_t)peer}};
		ck_assert_int_eq(engine_peer_up(e, peer, &id, "good", "", 0), 0);
	}
	engine_free(e);
}
END_TEST

START_TEST(a_new_id_is_not_talked_away)
{
	struct engine_config config = {{{1}}, "me", 7, 1, 1};
	struct engine *e = engine_new(&config);
	struct replica_id other = {{2}};
	struct action a = {0};
	engine_id_is_new(e, 1000);
	engine_start(e, INDEX_WALKED);
	ck_assert_int_eq(engine_peer_up(e, 0, &other, "other", "", 3), 0);
	engine_peer_sync(e, 0, &(struct seen){config.id, 8, 8, 0, 0}, 1);
	ck_assert_uint_eq(drain(e, ACT_DROP, &a), 1);
	ck_assert(strstr(a.text, "never made"));
	engine_peer_down(e, 0);
	engine_time(e, 0, 1000); /* later it may be an image of this machine that was set back */
	ck_assert_int_eq(engine_peer_up(e, 0, &other, "other", "", 3), 0);
	engine_peer_sync(e, 0, &(struct seen){config.id, 8, 8, 0, 0}, 1);
	ck_assert_uint_eq(drain(e, ACT_ROLLED_BACK, &a), 1);
	engine_free(e);
}
END_TEST

/* Histories that found something once, and what. */
START_TEST(remembered_histories)
{
	static const struct {
		unsigned replicas;
		unsigned long seed;
		const char *what;
		bool hostile;
	} seeds[] = {
		{3, 3616, "a report changed after it got its number", false},
		{4, 5939, "likewise", false},
		{4, 4295, "a folder was removed while a child was being made in it", false},
		{3, 13231, "a number was announced that was not stored, and used again after a crash", false},
		{2, 21795, "an op's bytes were freed before it was carried out", false},
		{3, 8242, "a file whose folder went while an op on it ran", false},
		{3, 11092, "likewise, a folder", false},
		{3, 24148, "a copy that was consumed before it was made lost its context", false},
		{3, 36190, "a copy was still wanted of what had got the name after all", false},
		{4, 102200, "a deleted folder that stayed for a file stayed when the file had gone", false},
		{2, 95205, "likewise, but became live again before it was known to stay", false},
		{3, 286, "a file moved over the path of its copy went with the copy", true},
		{4, 446, "a folder without a watch was listed for ever", true},
		{4, 755, "a problem did not end when the same was listed again", true},
		{2, 972, "a problem did not end with its folder", true},
		{3, 4672, "who has a new id, and a clock that went back, was taken for the older", true},
		{4, 4811, "what the watch missed kept others waiting", true},
		{2, 5883, "a head was wanted that nobody has any more", true},
		{4, 28397, "what an op put in place before a crash was moved away, and took the copy along", false},
		{2, 17025, "nobody came back to a path whose look was not believed", true},
		{3, 5899, "a deleted folder stayed after a crash", true},
		{5, 22092, "a look was believed though an op ended since it was made", false},
		{5, 13743, "a path that waited for the end of the first walk went with its folder", false},
		{4, 75251, "a copy was consumed while a job replaced what the path showed", false},
		{3, 33424, "a file moved over what it was a copy of went with the copy", false},
		{3, 36205, "a copy was withdrawn while an op made it", false},
		{2, 5136, "a copy was withdrawn before a crash, and wanted after it", false},
		{4, 642, "what could not be read was busy for ever", true},
		{2, 3420, "two lives of a replica gave one number to two reports", true},
		{3, 20693, "nobody told a child that somebody had made its folder", true},
		{3, 21493, "a copy that was withdrawn took permissions along that a peer had set", true},
		{3, 29761, "a replica that has gone, and that nobody here has met, kept others waiting", true},
		{2, 31312, "a folder that was to be made for its children hid that somebody had made it", true},
		{3, 31301, "the root went while a moved folder was looked at", true},
	};
	for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
		struct world *w = world_new(seeds[i].replicas, seeds[i].seed);
		(seeds[i].hostile ? world_hostile : world_random)(w, 400);
		const char *fault = world_check(w);
		ck_assert_msg(!fault, "seed %lu (%s): %s", seeds[i].seed, seeds[i].what, fault);
		world_free(w);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_new("engine");
	TCase *rules = suite_case(s, "rules", NULL, NULL);
	TCase *remembered = suite_case(s, "remembered", NULL, NULL);
	TCase *random = suite_case(s, "random", NULL, NULL);
	TCase *hostile = suite_case(s, "hostile", NULL, NULL);
	tcase_add_test(rules, both_hold_all);
	tcase_add_test(rules, changes_travel);
	tcase_add_test(rules, renamed_folder_sends_nothing);
	tcase_add_test(rules, conflict_keeps_both);
	tcase_add_test(rules, same_content_is_no_conflict);
	tcase_add_test(rules, modified_beats_deleted);
	tcase_add_test(rules, folder_beats_file);
	tcase_add_test(rules, deleted_folder_keeps_new_child);
	tcase_add_test(rules, through_a_third);
	tcase_add_test(rules, lost_index_brings_nothing_back);
	tcase_add_test(rules, reconnect_sends_only_what_changed);
	tcase_add_test(rules, what_was_applied_is_not_read_again);
	tcase_add_test(rules, many_deletions_are_held);
	tcase_add_test(rules, held_deletions_can_be_undone);
	tcase_add_test(rules, undone_folders_fill_batches);
	tcase_add_test(rules, undone_before_a_crash_is_undone_after);
	tcase_add_test(rules, how_many_are_too_many);
	tcase_add_test(rules, renamed_is_not_deleted);
	tcase_add_test(rules, found_gone_at_the_start_is_held);
	tcase_add_test(rules, only_what_was_shown_is_carried_out);
	tcase_add_test(rules, what_nobody_has_stays_held);
	tcase_add_test(rules, one_by_one_counts_together);
	tcase_add_test(rules, folder_of_most_turns_into_a_file);
	tcase_add_test(rules, no_peer_can_break_it);
	tcase_add_test(rules, a_peer_may_bring_only_so_much);
	tcase_add_test(rules, what_could_not_be_stored_is_tried_again);
	tcase_add_test(rules, a_number_given_twice_is_told_once);
	tcase_add_test(rules, a_peer_may_bring_only_so_many_bytes);
	tcase_add_test(rules, a_report_never_comes_to_the_last_number);
	tcase_add_test(rules, a_name_is_not_taken_from_who_is_known);
	tcase_add_test(rules, ids_of_strangers_leave_places_for_peers);
	tcase_add_test(rules, a_new_id_is_not_talked_away);
	tcase_add_test(rules, old_index_is_recognised);
	tcase_add_test(rules, numbers_of_another_life_are_recognised);
	tcase_add_test(rules, event_tells_what_changed);
	tcase_add_test(rules, event_of_what_was_found);
	tcase_add_test(rules, folder_seen_after_its_child_is_an_event);
	tcase_add_test(rules, damaged_record_is_refused);
	tcase_add_test(rules, tombstone_that_all_have_is_forgotten);
	tcase_add_test(rules, young_tombstone_is_kept);
	tcase_add_test(rules, tombstone_waits_for_who_is_away);
	tcase_add_test(rules, tombstone_waits_for_a_new_replica);
	tcase_add_test(rules, tombstone_that_comes_again_is_taken_and_forgotten_again);
	tcase_add_test(rules, tombstone_of_a_copy_waits_for_its_path);
	tcase_add_test(remembered, remembered_histories);
	tcase_add_test(random, random_histories);
	tcase_add_test(hostile, hostile_histories);
	TCase *const long_ones[] = {remembered, random, hostile};
	for (size_t i = 0; i < 3; i++)
		tcase_set_timeout(long_ones[i], 300);
	return suite_run(s);
}
