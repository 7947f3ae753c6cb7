/*
 * The process behind the demo: it makes the temporary folder, starts the two servers, changes
 * files now and then, and removes all of it when the demo's own process is gone, whatever ended
 * that one. It lives in a session of its own, so that a key like ^C does not reach it.
 */
#ifndef TUTTI_DEMO_KEEPER_H
#define TUTTI_DEMO_KEEPER_H

#include "base.h"

#include <sys/types.h>

struct demo_keeper {
	pid_t pid;
	int life;  /* our end of a pipe: closed by keeper_stop(), or by the kernel when we are gone */
	int words; /* what the keeper has to say: lines */
	char *socket; /* of the first server; NULL if the keeper could not start all of it */
};

/* Starts it and waits until both servers serve. With `changes` files change every few seconds.
 * False, and why in `problem` (safe to show), if it could not; then nothing is left of it. */
bool keeper_start(struct demo_keeper *k, bool changes, struct buf *problem);

/* Ends it and waits until everything is removed. Appends to `problem`, one line each, what went
 * wrong meanwhile: a server that ended by itself. */
void keeper_stop(struct demo_keeper *k, struct buf *problem);

#endif
