/*
 * What tuttid may still do once it has opened what it needs: it takes away from itself all that a
 * hostile byte could make it do otherwise. By Landlock, files outside the served directory, the state
 * and the socket's folder; by a filter of system calls, running programs, tracing, mounting, loading
 * and the kinds of sockets that it has no use for.
 */
#ifndef TUTTI_CONFINE_H
#define TUTTI_CONFINE_H

#include "base.h"

struct confinement {
	const char *const *writable; /* folders that may be read and changed, all below included */
	size_t n_writable;
	const char *const *readable; /* folders and files that may be read; those missing are none */
	size_t n_readable;
};

/* What getaddrinfo(), time zones and the libraries behind them read. */
enum { CONFINE_SYSTEM = 10 };
extern const char *const confine_system[CONFINE_SYSTEM];

/*
 * Confines this thread, and all that are started after it, for good. Must be called while there is only
 * one. What the kernel cannot do is left out and said: one line for the log is appended to `said`. 0, or
 * a negative errno with a sentence there: something that the kernel can do has failed.
 */
int confine(const struct confinement *c, struct buf *said);

#endif
