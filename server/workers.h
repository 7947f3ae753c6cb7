/*
 * Threads for what blocks. A job runs in a worker, then its end is told on the loop's thread.
 */
#ifndef TUTTI_WORKERS_H
#define TUTTI_WORKERS_H

#include <stdatomic.h>

#include "base.h"

struct ev_loop;
struct workers;

enum job_priority {
	JOB_URGENT, /* somebody waits: single changes, commits, reads for a peer */
	JOB_BULK,   /* walks, large hashes, expiry; never occupy the last free worker */
	JOB_PRIORITIES,
};

/* Part of a larger struct of the submitter, who owns it again from done() on. */
struct job {
	void (*run)(struct job *job);                  /* in a worker */
	void (*done)(struct job *job, bool cancelled); /* on the loop's thread; cancelled: never ran */
	/* ours */
	struct job *next;
};

/* 1 to 16 threads; at most queue_max jobs wait in each priority. Signals stay with the loop's thread. */
struct workers *workers_new(struct ev_loop *loop, unsigned threads, size_t queue_max);

/* First in, first out in each priority, urgent before bulk. False: the queue is full, or the pool stops;
 * the job is still the caller's. Loop's thread only. */
bool workers_submit(struct workers *pool, struct job *job, enum job_priority priority);

/* Jobs whose done() is still to come. */
size_t workers_busy(const struct workers *pool);

/* True once the pool stops: for jobs that take long, to end early. */
const atomic_bool *workers_cancel(const struct workers *pool);

/* Running jobs end, waiting ones are dropped, done() is called for each, then all is freed.
 * Loop's thread only; blocks for as long as the running jobs take. NULL is fine. */
void workers_stop(struct workers *pool);

#endif
