/* Owns copies of bytes. */
#include "config.h"
#include "own.h"

#include "wire.h"

#include <stdlib.h>

void own_set(struct own *o, struct bytes b)
{
	uint8_t *p = xmalloc(b.len + 1);
	if (b.len > 0)
		memcpy(p, b.p, b.len);
	p[b.len] = 0;
	free(o->p);
	*o = (struct own){p, b.len};
}

void own_release(struct own *o)
{
	free(o->p);
	*o = (struct own){0};
}

void own_get(const msgpack_object *map, const char *key, struct own *out)
{
	struct bytes b;
	wire_get_bytes(map, key, &b);
	own_set(out, b);
}
