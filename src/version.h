/*
 * Dots and version vectors: who made which change, and which changes a state has seen.
 *
 * A replica id is 16 random bytes. Inside one process ids are interned to small numbers
 * (`rep_t`), so that a dot is 10 bytes and comparing is cheap; only the codec and the engine
 * translate. Number 0 is always the own replica.
 */
#ifndef TUTTI_VERSION_H
#define TUTTI_VERSION_H

#include "base.h"

#define REPLICA_ID_SIZE 16
#define REPLICAS_MAX 256 /* version vectors longer than this are refused */

typedef uint16_t rep_t;

struct replica_id {
	uint8_t b[REPLICA_ID_SIZE];
};

/* counter starts at 1; {0, 0} is no dot. */
struct dot {
	uint64_t counter;
	rep_t rep;
};

/* A version vector, sorted by rep, each rep once, no zero counters. */
struct version {
	struct dot *dots;
	uint16_t n;
};

bool replica_id_eq(const struct replica_id *a, const struct replica_id *b);
int replica_id_compare(const struct replica_id *a, const struct replica_id *b);

int dot_compare(struct dot a, struct dot b); /* by rep, then counter */
static inline bool dot_eq(struct dot a, struct dot b)
{
	return a.counter == b.counter && a.rep == b.rep;
}

void version_release(struct version *v);
struct version version_copy(const struct version *v);
bool version_has(const struct version *v, struct dot d);
void version_add(struct version *v, struct dot d);                       /* v := v + {d} */
void version_unite(struct version *v, const struct version *other);      /* v := v + other */
bool version_covers(const struct version *v, const struct version *other); /* other <= v */
bool version_eq(const struct version *a, const struct version *b);

#endif
