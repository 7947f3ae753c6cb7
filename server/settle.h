/*
 * Conflicts, and settling them: on this server's disk, with the moves and deletions that a person
 * would make, so that the rules of the engine do the rest. What goes is in the trash, and what was
 * done can be taken back. One at a time, in the order in which they were asked for.
 */
#ifndef TUTTI_SETTLE_H
#define TUTTI_SETTLE_H

#include "session.h"

struct settles;

struct settles *settles_new(struct daemon *d);
void settles_free(struct settles *all); /* after the workers have stopped */

/* The answer to `conflicts`: one map. */
void settles_pack(struct settles *all, const msgpack_object *params, struct buf *out);
/* Conflicts that were settled and taken back, which the engine does not count. */
size_t settles_open_again(const struct settles *all);
/* Tells the engine of these, so that their rows show it: to be called when it may have changed. */
void settles_follow(const struct settles *all);

/* `resolve` and `undo`: each answers the asker, now or when it is done. */
void settles_resolve(struct settles *all, struct asker *asker, const msgpack_object *params);
void settles_undo(struct settles *all, struct asker *asker, const msgpack_object *params);

#endif
