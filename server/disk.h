/*
 * The engine's work on the disk, as jobs in the workers: listing, looking, applying, storing; and
 * the proof, beside each of them, that the root is still there.
 */
#ifndef TUTTI_DISK_H
#define TUTTI_DISK_H

#include "daemon.h"

struct disk *disk_new(struct daemon *d);
void disk_free(struct disk *k); /* after the workers have stopped; NULL is fine */

/* ACT_LIST, ACT_LOOK, ACT_APPLY, ACT_STORE, ACT_DROP_TMP. */
void disk_carry_out(struct disk *k, const struct action *a);

/* A question to the index or the trash, asked in turn with the commits: run() in a worker, done() then
 * on the loop's thread; cancelled: it never ran. Part of a larger struct of the asker, who owns it again
 * from done() on. */
struct disk_task {
	void (*run)(struct disk_task *t, struct daemon *d);
	void (*done)(struct disk_task *t, struct daemon *d, bool cancelled);
	/* ours */
	struct job job;
	struct daemon *d;
	struct disk_task *next;
};
void disk_ask(struct disk *k, struct disk_task *t);

/* Carries out what a person asked for: as apply_ops(), and what a crash leaves half done is finished or
 * undone at the next start. The engine is not told: it finds what was done as it finds what anybody does
 * here. For workers. */
struct op;
void disk_apply(struct daemon *d, struct op *ops, size_t n);

/* ACT_EVENT: what is to be remembered of it is stored with the next commit, or soon. */
void disk_event(struct disk *k, const struct action *a, struct bytes replica);

/* A row of the trash that goes or comes with the next commit, or soon; copied. */
struct store_trash;
void disk_trash(struct disk *k, const struct store_trash *row);

/* What the watch says (a watch_fn; ctx is the daemon). */
void disk_watched(void *ctx, const struct watch_event *ev);

/* What the operations of an earlier life had done is told to the engine, unless its index is new;
 * what they had left is removed. After loading, before engine_start(). 0 or a negative errno. */
int disk_recover(struct disk *k, bool fresh);

/* What the index says of files that others gave new contents goes to rewrites.h: once, after loading. */
void disk_remember(struct disk *k);

/* Begins to look after the trash, now and then. */
void disk_start(struct disk *k);
void disk_stop(struct disk *k);        /* no new work of its own */
bool disk_storing(const struct disk *k);
/* After the workers have stopped: an ACT_STORE that came late is done on the spot; NULL: only what
 * disk_event() and disk_trash() have kept. */
void disk_store_now(struct disk *k, const struct action *a);
bool disk_unstored(const struct disk *k); /* a commit has failed and was not made good */

#endif
