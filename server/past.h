/*
 * What was: the trash of this server and of the connected ones, bringing things back from them, and
 * the history. What is asked of the index goes through disk_ask(), contents of others through
 * transfer.h, and what comes back is put in place by apply.h like anything else.
 */
#ifndef TUTTI_PAST_H
#define TUTTI_PAST_H

#include "session.h"

struct pasts;
struct peer;

struct pasts *pasts_new(struct daemon *d);
void pasts_free(struct pasts *all); /* after the workers have stopped, and the transfers */

/* `trash`, `restore` and `history` of a client: each answers the asker, now or later. */
void pasts_trash(struct pasts *all, struct asker *asker, const msgpack_object *params);
void pasts_restore(struct pasts *all, struct asker *asker, const msgpack_object *params);
void pasts_history(struct pasts *all, struct asker *asker, const msgpack_object *params);

/* `trash` of a peer, and its end. */
void pasts_trash_for_peer(struct pasts *all, struct peer *p, uint32_t id, const msgpack_object *params);
void pasts_forget_peer(struct pasts *all, const struct peer *p);

/* Copies a file from the trash into a temporary one, checked against hash and size: 0 and its number for
 * an operation with SOURCE_TMP; -ENOENT: it is not there; -EBADMSG: it is not the same any more. For
 * workers. */
int past_take(struct root *root, const char *name, const uint8_t hash[HASH_SIZE], uint64_t size,
	      uint64_t *tmp);

/* A plain name beside `path` (path_numbered_name()) that nothing has on the disk, from *number on,
 * which is moved behind it. 0, or a negative errno. For workers. */
int past_free_name(struct root *root, struct bytes path, unsigned *number, struct buf *out);

#endif
