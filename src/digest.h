/* SHA-256 of contents, in one piece or incrementally. A digest is made once and used for many
 * contents; it belongs to one thread at a time. */
#ifndef TUTTI_DIGEST_H
#define TUTTI_DIGEST_H

#include "entry.h"

struct digest;

struct digest *digest_new(void);
void digest_free(struct digest *d); /* NULL is fine */

/* begin, any number of adds, end; then begin again. */
void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t len);
void digest_end(struct digest *d, uint8_t hash[HASH_SIZE]);

/* The hash of one piece of memory. Must not interrupt a begun one. */
void digest_of(struct digest *d, const void *p, size_t len, uint8_t hash[HASH_SIZE]);

/* The same without a digest at hand; slower, for the odd call. */
void digest_once(const void *p, size_t len, uint8_t hash[HASH_SIZE]);

#endif
