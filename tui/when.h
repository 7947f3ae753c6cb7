/* Times as people write them, in the local zone. */
#ifndef TUTTI_WHEN_H
#define TUTTI_WHEN_H

#include "base.h"

/*
 * "2026-11-22", "2026-11-22 14:05", "2026-11-22 14:05:07" (or with a T between), "14:05" (of today),
 * "now", "today", "yesterday", and how long ago: "90s", "30min", "3h", "2d", "1w". A day or a minute is
 * its first nanosecond or, with `end`, its last. `now_ns`: since 1970. False if it is none of these.
 */
bool when_parse(const char *text, int64_t now_ns, bool end, int64_t *ns);

#endif
