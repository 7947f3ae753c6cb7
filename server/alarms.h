/*
 * What people should know of others who did what no honest server does, or who cannot be talked with:
 * said in the log, and kept for `status` as long as this process runs, through all its lives.
 */
#ifndef TUTTI_ALARMS_H
#define TUTTI_ALARMS_H

#include "version.h"

enum { ALARMS_MAX = 16 };

struct alarms;

struct alarms *alarms_new(void);
void alarms_free(struct alarms *a); /* NULL is fine */

/* One sentence, safe to show. `who` is the replica that it is about. `passing`: it is over when that
 * replica is a good peer again; only the last of each replica is kept, and those go first. */
void alarms_raise(struct alarms *a, const struct replica_id *who, bool passing, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

struct alarm {
	char *text;
	struct replica_id who;
	bool passing;
};
/* The i-th, or NULL after the last. Valid until the next is raised. */
const struct alarm *alarms_at(const struct alarms *a, size_t i);

#endif
