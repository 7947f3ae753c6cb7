/*
 * Names of keys: an ID is the SHA-256 of a public key (its SubjectPublicKeyInfo, as TLS sends it),
 * written so that people can read it out and type it:
 *
 *	TVKPJOQ-YD3Q4RM-... nine groups of seven characters, A to Z and 2 to 7
 *
 * The last character of each group checks the other six: one wrong character, or two that are
 * exchanged, anywhere in the group, are always noticed. 14 bits at the end check the whole, so
 * exchanged groups are noticed too (all but 1 in 16384).
 */
#ifndef TUTTI_KEY_ID_H
#define TUTTI_KEY_ID_H

#include "base.h"

enum {
	KEY_ID_SIZE = 32,
	KEY_ID_GROUPS = 9,
	KEY_ID_GROUP = 7,
	KEY_ID_TEXT = KEY_ID_GROUPS * KEY_ID_GROUP + KEY_ID_GROUPS - 1, /* without a NUL */
};

struct key_id {
	uint8_t b[KEY_ID_SIZE];
};

bool key_id_eq(const struct key_id *a, const struct key_id *b);

/* In groups, with dashes and a NUL. */
void key_id_write(char out[KEY_ID_TEXT + 1], const struct key_id *id);

/* Reads it, in upper or lower case, with or without dashes or blanks between the groups; the
 * digits 0, 1 and 8, which are not used, count as O, I and B. True, or false with the reason in
 * words appended to `problem` (safe to show): which group is mistyped, or what is missing. Only
 * whole IDs are taken. */
bool key_id_read(struct bytes text, struct key_id *id, struct buf *problem);

#endif
