/* Owns the reading of pages of conflicts. */
#include "config.h"
#include "conflicts.h"

#include "wire.h"

#include <stdlib.h>

enum { PAGE = 500 };

static struct bytes own(struct bytes b)
{
	return (struct bytes){xmemdup(b.len ? (const void *)b.p : "", b.len), b.len};
}

static void disown(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

void conflicts_release(struct conflicts *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct conflict *item = &c->items[i];
		for (size_t k = 0; k < item->n; k++) {
			disown(item->versions[k].replica);
			disown(item->versions[k].copy);
			disown(item->versions[k].hash);
		}
		free(item->versions);
		disown(item->path);
	}
	free(c->items);
	*c = (struct conflicts){0};
}

static struct conflict_version version_of(const msgpack_object *o)
{
	struct conflict_version v;
	struct bytes replica, copy, hash;
	wire_get_str(o, "replica", &replica);
	wire_get_bytes(o, "copy", &copy);
	wire_get_bin(o, "hash", &hash);
	wire_get_uint(o, "kind", UINT64_MAX, &v.kind);
	wire_get_uint(o, "size", UINT64_MAX, &v.size);
	wire_get_int(o, "mtime", &v.mtime);
	wire_get_bool(o, "here", &v.here);
	v.replica = own(replica);
	v.copy = own(copy);
	v.hash = own(hash);
	return v;
}

static void take_page(void *ctx, const msgpack_object *result)
{
	struct conflicts *c = ctx;
	const msgpack_object *list = wire_get(result, "conflicts");
	wire_get_bool(result, "more", &c->more);
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *o = wire_at(list, i), *versions = wire_get(o, "versions");
		struct bytes path;
		GROW(c->items, c->cap, c->n + 1);
		struct conflict *item = &c->items[c->n++];
		*item = (struct conflict){.n = wire_count(versions)};
		wire_get_bytes(o, "path", &path);
		wire_get_uint(o, "stamp", UINT64_MAX, &item->stamp);
		item->path = own(path);
		item->versions = xcalloc(item->n + 1, sizeof(*item->versions));
		for (size_t k = 0; k < item->n; k++)
			item->versions[k] = version_of(wire_at(versions, k));
	}
}

int conflicts_page(struct console *s, struct bytes under, struct bytes after, struct conflicts *c)
{
	struct buf params = {0};
	wire_map(&params, after.len ? 3 : 2);
	wire_put_bin(&params, "under", under);
	wire_put_uint(&params, "max", PAGE);
	if (after.len)
		wire_put_bin(&params, "after", after);
	conflicts_release(c); /* `after` may be in it */
	int status = console_ask(s, "conflicts", &params, take_page, c);
	buf_release(&params);
	if (!c->n)
		c->more = false; /* a server that says otherwise would be asked for ever */
	return status;
}
