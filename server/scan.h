/*
 * Looking at the disk: lists folders, and looks at single paths (metadata, content hash, durable).
 * All functions may be called in any thread.
 */
#ifndef TUTTI_SCAN_H
#define TUTTI_SCAN_H

#include <stdatomic.h>

#include "root.h"

/* The names in one folder. Zero-initialised is empty. */
struct listing {
	struct found self;    /* the folder itself */
	struct listed *items; /* in no order; names point into `names` */
	size_t n;
	size_t cap;
	struct buf names;
	int wd;               /* the watch on the folder; negative errno: it has none */
};

/* Adds a watch to an open folder: its number or a negative errno (watch_add() fits). */
typedef int scan_watch_fn(void *ctx, int fd);

/* Lists the folder `path` ("" is the root, where `.tutti` is left out), after `watch` (or NULL)
 * has been put on it, so that no change falls between. Folders on another file system are listed as
 * KIND_MOUNT. 0 or a negative errno; then the listing is empty, nothing may be concluded from it, and
 * `wd` tells of the watch that is there nevertheless. Names that cannot travel (longer
 * path than an entry may have) are listed as they are: the caller checks. */
int scan_list(struct root *root, struct bytes path, scan_watch_fn *watch, void *watch_ctx,
	      struct listing *out);
void listing_release(struct listing *l);

/* Looks at `n` paths. Contents and names are durable when it returns, which costs one sync for all if
 * they are many. A true *cancel ends it soon; what was not looked at has -ECANCELED. */
void scan_look(struct root *root, struct look *looks, size_t n, const atomic_bool *cancel);
void look_release(struct look *l); /* the target of a symlink */

/* Reads up to `len` bytes at `offset` of the file `path`, which must have the stamp `stamp` before and
 * after. The number of bytes (fewer only at the end of the file) or a negative errno: -ESTALE if it
 * is not that file any more. */
int64_t content_read(struct root *root, struct bytes path, uint64_t stamp, uint64_t offset,
		     size_t len, uint8_t *out);

#endif
