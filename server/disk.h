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

/* What the watch says (a watch_fn; ctx is the daemon). */
void disk_watched(void *ctx, const struct watch_event *ev);

/* Begins to look after the trash, now and then. */
void disk_start(struct disk *k);
void disk_stop(struct disk *k);        /* no new work of its own */
bool disk_storing(const struct disk *k);
/* After the workers have stopped: an ACT_STORE that came late is done on the spot. */
void disk_store_now(struct disk *k, const struct action *a);
bool disk_unstored(const struct disk *k); /* a commit has failed and was not made good */

#endif
