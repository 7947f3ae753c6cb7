/* Owns what clients are told of held deletions. */
#include "config.h"
#include "held.h"

#include "status.h"

#include <stdlib.h>

enum { PATHS_BYTES = 400 * 1024 }; /* of all paths in one answer */

static void pack_set(struct daemon *d, const struct held_set *set, uint64_t max, size_t end, struct buf *out)
{
	node_t *nodes;
	struct buf path = {0};
	size_t n = engine_held_nodes(d->engine, set->from, &nodes), i = 0;
	wire_map(out, 7);
	wire_put_uint(out, "id", set->id);
	wire_key(out, "from");
	status_put_str(out, daemon_replica_name(d, set->from), 255);
	wire_put_int(out, "since", set->since_ns);
	wire_put_uint(out, "n", set->n);
	wire_put_uint(out, "bytes", set->bytes);
	wire_key(out, "paths");
	size_t mark = wire_array_begin(out);
	for (; i < n && i < max && out->len < end; i++) {
		tree_path(engine_tree(d->engine), nodes[i], &path);
		wire_bin(out, (struct bytes){path.data, path.len});
	}
	wire_array_end(out, mark, i);
	wire_put_bool(out, "more", i < n);
	buf_release(&path);
	free(nodes);
}

void held_pack(struct daemon *d, const msgpack_object *params, struct buf *out)
{
	struct held_set sets[REPLICAS_MAX];
	size_t n = engine_held_sets(d->engine, sets, ARRAY_LEN(sets)), end = out->len + PATHS_BYTES;
	uint64_t max;
	wire_get_uint(params, "max", UINT64_MAX, &max);
	wire_map(out, 1);
	wire_key(out, "sets");
	wire_array(out, n);
	for (size_t i = 0; i < n; i++)
		pack_set(d, &sets[i], max, end, out);
}

const char *held_decide(struct daemon *d, const msgpack_object *params, struct buf *out, const char **text)
{
	uint64_t id;
	bool carry_out;
	size_t left;
	wire_get_uint(params, "id", UINT64_MAX, &id);
	wire_get_bool(params, "delete", &carry_out);
	if (engine_held_decide(daemon_feed(d), id, carry_out, &left)) {
		*text = "these deletions are not held, or not exactly these any more";
		return ERROR_CHANGED;
	}
	wire_map(out, 1);
	wire_put_uint(out, "left", left);
	return NULL;
}
