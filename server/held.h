/*
 * Deletions that were too many at once, for those who are to decide on them: what waits, in a form
 * that clients understand, and the word that they give.
 */
#ifndef TUTTI_HELD_H
#define TUTTI_HELD_H

#include "daemon.h"
#include "message.h"

/* The answer to `held`: one map. */
void held_pack(struct daemon *d, const msgpack_object *params, struct buf *out);
/* The answer to `held.decide`: one map and NULL; or the code of the error, and *text says why. */
const char *held_decide(struct daemon *d, const msgpack_object *params, struct buf *out, const char **text);

#endif
