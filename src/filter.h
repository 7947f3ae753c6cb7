/*
 * The filter of a table: words that all must match a row. Owns the language of the words:
 * `state:NAME` and `kind:NAME` (file, directory or dir, symlink or link; a space in a name is
 * written as `-`), anything else is part of the path. A word without ASCII capitals matches both
 * cases. An unknown state or kind matches nothing.
 */
#ifndef TUTTI_FILTER_H
#define TUTTI_FILTER_H

#include "table.h"

struct filter {
	uint8_t *text;       /* owned; `parts` point into it */
	struct bytes *parts; /* owned */
	size_t n_parts, cap_parts;
	uint32_t states;     /* bit s: rows of state s may pass */
	uint32_t kinds;      /* the same of enum kind */
};

void filter_init(struct filter *f, struct bytes text, bool only_unsynced);
void filter_release(struct filter *f);
bool filter_passes_all(const struct filter *f);
bool filter_passes_synced(const struct filter *f); /* may rows pass whose state is SYNCED? */

/* The two halves of a match: what may change, and what never does. */
bool filter_match_row(const struct filter *f, const struct row *row);
bool filter_match_path(const struct filter *f, struct bytes path);

/* Is `part` in `text`; without ASCII capitals in `part`, in any case? */
bool filter_contains(struct bytes text, struct bytes part);

#endif
