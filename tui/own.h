/* An own copy of bytes. */
#ifndef TUTTI_OWN_H
#define TUTTI_OWN_H

#include "base.h"

#include <msgpack.h>

/* Zero-initialised is empty; p is never NULL after own_set(). */
struct own {
	uint8_t *p;
	size_t len;
};
void own_set(struct own *o, struct bytes b);
void own_release(struct own *o);
/* The bytes at a key of a map (bin or str); empty if there are none. */
void own_get(const msgpack_object *map, const char *key, struct own *out);
static inline struct bytes own_bytes(const struct own *o)
{
	return (struct bytes){o->p, o->len};
}

#endif
