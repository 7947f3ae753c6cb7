/*
 * After a crash: what the operations of the earlier life had done, finished or undone, before anything
 * looks at the tree. Decided for each intent from which object lies under its name, in tmp/ and in
 * trash/. It may be broken off at any moment and begun again.
 */
#ifndef TUTTI_RECOVER_H
#define TUTTI_RECOVER_H

#include "intents.h"

struct recovery {
	/* The operation was done; `found`: what it left under its name (ctime_ns 0 if it is not there any
	 * more), KIND_ABSENT after a deletion. In the order of the operations. */
	void (*applied)(void *ctx, const struct intent *in, const struct found *found);
	/* A thing in the trash that this life is to know of. */
	void (*displaced)(void *ctx, const struct intent *in, const char *name);
	/* What somebody here had written at that moment was put under this name. May be NULL. */
	void (*saved)(void *ctx, struct bytes path);
	void *ctx;
	/* results */
	size_t done, undone;
};

/* Durable when it returns, and what was decided stands in the journal: 0, or a negative errno of the
 * disk: try again at the next start. Leaves what is in tmp/ to root_clean_tmp(). */
int recover(struct root *root, struct intents *in, struct recovery *r);

#endif
