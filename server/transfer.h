/*
 * Contents on their way to this disk: requests in flight to the peers that have them, parts being
 * written to temporary files, and how far each is.
 */
#ifndef TUTTI_TRANSFER_H
#define TUTTI_TRANSFER_H

#include "daemon.h"

struct peer;
struct transfers;

enum { TRANSFER_AHEAD = 16 }; /* parts of one content that are asked for or not yet written */

struct transfers *transfers_new(struct daemon *d);
void transfers_free(struct transfers *t); /* after the workers have stopped */

/* ACT_FETCH: answered by engine_fetched(), whatever comes. */
void transfers_fetch(struct transfers *t, const struct action *a);
/* What lies in the trash of a peer, for somebody else than the engine. All is copied; `got` comes once:
 * 0 and the number of a finished temporary file, or why not, as for engine_fetched(). Not if
 * transfers_free() comes first. */
struct transfer_wanted {
	unsigned peer;
	struct bytes path, trash;
	const uint8_t *hash;
	uint64_t size;
	void (*got)(void *ctx, int error, uint64_t tmp);
	void *ctx;
};
void transfers_get(struct transfers *t, const struct transfer_wanted *w);
/* ACT_CANCEL */
void transfers_cancel(struct transfers *t, uint64_t job);
/* The peer is going: what it was asked for will not come. */
void transfers_peer_down(struct transfers *t, struct peer *p);
/* Asks for more where there is room. */
void transfers_turn(struct transfers *t);

struct transfer_info {
	struct bytes path;
	struct bytes from; /* name of the peer */
	uint64_t done, size, rate;
	double since;      /* ev_now of its start */
};
size_t transfers_count(const struct transfers *t);
/* The first `cap` under way, oldest first; sums over all go to *done and *size. */
size_t transfers_list(const struct transfers *t, struct transfer_info *out, size_t cap,
		      uint64_t *done, uint64_t *size);
/* Percent of a path under way, or -1. */
int transfers_percent(const struct transfers *t, struct bytes path);

#endif
