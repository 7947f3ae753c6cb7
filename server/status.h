/* What the server says of itself and of the others, as the maps of the protocol: `status`, `peers`,
 * `progress`, one row in full; and in words, why not everything is in sync. */
#ifndef TUTTI_STATUS_H
#define TUTTI_STATUS_H

#include "daemon.h"

/* The columns of rows and the list `replicas`: the engine's members, then configured peers that
 * were never heard of. */
struct columns {
	rep_t members[REPLICAS_MAX];
	size_t n_members;
	size_t n; /* with the unheard */
};
struct columns status_columns(const struct daemon *d);

/* Each appends one map. */
void status_pack(struct daemon *d, struct buf *out);
void status_pack_peers(struct daemon *d, struct buf *out);

/* Rates since the last call of status_rates(), bytes a second. */
struct rates {
	double at;
	uint64_t in, out;           /* totals of all connections, as far as they are still known */
	uint64_t in_rate, out_rate;
};
void status_rates(struct daemon *d, struct rates *r);
/* Is any content on its way, in or out? */
bool status_moving(const struct daemon *d);
/* The six keys of `progress` beside `resync`: the caller packs the map around them. */
void status_pack_progress(struct daemon *d, const struct rates *r, struct buf *out);
enum { STATUS_PROGRESS_KEYS = 6 };

/* Do all connected replicas hold the same? If not, the reason in words is appended. Appends nothing
 * else. What the kernel's watch holds back is asked for first. */
bool status_agree(struct daemon *d, struct buf *why);

/* Looks at who is in sync, for `lag_ms`: to be called when the engine may have changed. */
void status_follow(struct daemon *d);

/* A str: bytes that are not UTF-8 are escaped; cut at `max` bytes. */
void status_put_str(struct buf *out, struct bytes s, size_t max);

#endif
