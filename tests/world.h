/*
 * A small world for engines: replicas with disks in memory, links that lose their connection, users
 * who act between any two steps, crashes. One seed decides everything. It knows the engine only
 * through engine.h, and judges what the users see, not what the engine thinks.
 */
#ifndef TUTTI_TESTS_WORLD_H
#define TUTTI_TESTS_WORLD_H

#include "engine.h"

struct world;

struct world *world_new(unsigned replicas, uint64_t seed);
void world_free(struct world *w);

struct engine *world_engine(struct world *w, unsigned r);

/* What a user does on replica r; the watch is told unless `unwatched`. Paths have a parent. */
void world_write(struct world *w, unsigned r, const char *path, const char *content);
void world_write_at(struct world *w, unsigned r, const char *path, const char *content, int64_t mtime_ns);
void world_mkdir(struct world *w, unsigned r, const char *path);
void world_symlink(struct world *w, unsigned r, const char *path, const char *target);
void world_chmod(struct world *w, unsigned r, const char *path, uint16_t mode);
void world_touch(struct world *w, unsigned r, const char *path); /* new times, nothing else */
void world_remove(struct world *w, unsigned r, const char *path); /* with all below */
void world_rename(struct world *w, unsigned r, const char *from, const char *to);

/* Decides all that is held on r: to be deleted, or kept. Returns how many deletions waited. */
size_t world_decide(struct world *w, unsigned r, bool carry_out);

/* From now on all engines forget tombstones that are so old. */
void world_forget(struct world *w, uint64_t ms);
/* So much time passes, and nothing happens in it. */
void world_pass(struct world *w, uint64_t ms);
/* Has r anything in its engine, and in its index, of that path? */
bool world_knows(struct world *w, unsigned r, const char *path);

void world_connect(struct world *w, unsigned a, unsigned b);
void world_cut(struct world *w, unsigned a, unsigned b);
void world_crash(struct world *w, unsigned r, bool lose_index);

/* One random step of one of the replicas or links; false if nothing is left to do just now. */
bool world_step(struct world *w);
/* Steps and lets time pass until nothing happens any more. Fails the test after too many. */
void world_settle(struct world *w);

/* The content of a file, "-> TARGET" of a symlink, "/" of a folder; NULL if nothing is there. */
const char *world_read(struct world *w, unsigned r, const char *path);
size_t world_count(struct world *w, unsigned r); /* objects on the disk */
/* All disks equal (names, kinds, contents, modes), every content that no user replaced or deleted is
 * there, nothing is left to do; and neither another walk nor a new start of all changes anything. NULL,
 * or what is wrong (valid until the next call). */
const char *world_check(struct world *w);

/* A random history of users, cuts and crashes, settled at the end. */
void world_random(struct world *w, unsigned steps);
/* The same, but calls fail, hints are lost, clocks differ, roots go and come back; in some histories an
 * index is lost, or users copy files. */
void world_hostile(struct world *w, unsigned steps);

uint64_t world_reads(const struct world *w);   /* contents that a look has read */
uint64_t world_fetches(const struct world *w); /* contents that crossed a link, inline ones included */

#endif
