/* Fuzzes frames: whatever passes the scan can be decoded and walked, within the limits it promises. */
#include "config.h"
#include "fuzz.h"
#include "wire.h"

static size_t walk(const msgpack_object *o, unsigned depth)
{
	size_t n = 1;
	uint64_t u;
	int64_t i;
	bool b;
	struct bytes s;
	uint8_t fixed[32];
	MUST(depth <= WIRE_DEPTH_MAX);
	wire_as_bool(o, &b);
	wire_as_uint(o, UINT64_MAX, &u);
	wire_as_int(o, &i);
	wire_as_str(o, &s);
	wire_as_bin(o, &s);
	wire_as_fixed(o, fixed, sizeof(fixed));
	for (size_t k = 0; k < wire_count(o); k++)
		n += walk(wire_at(o, k), depth + 1);
	if (o->type == MSGPACK_OBJECT_MAP)
		for (uint32_t k = 0; k < o->via.map.size; k++)
			n += walk(&o->via.map.ptr[k].key, depth + 1) +
			     walk(&o->via.map.ptr[k].val, depth + 1);
	(void)wire_get(o, "key");
	MUST(o->type != MSGPACK_OBJECT_EXT && o->type != MSGPACK_OBJECT_FLOAT64);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes all = {data, size};
	struct wire_frame f;
	msgpack_zone zone;
	msgpack_object o;
	if (size >= WIRE_HEADER_SIZE)
		wire_header_length(data);
	const char *scan = wire_scan(all);
	MUST(msgpack_zone_init(&zone, 1024));
	const char *problem = wire_unpack(all, &zone, &o);
	MUST(!scan == !problem); /* what the scan lets through is one object for msgpack-c too */
	if (!problem)
		MUST(walk(&o, 0) <= WIRE_ELEMENTS_MAX);
	msgpack_zone_destroy(&zone);

	wire_frame_init(&f);
	for (int again = 0; again < 2; again++) {
		if (wire_decode(&f, all))
			continue;
		MUST(!scan);
		if (f.kind != WIRE_RESPONSE)
			MUST(f.method.len && f.method.len <= WIRE_METHOD_MAX &&
			     f.params->type == MSGPACK_OBJECT_MAP);
		else
			MUST(!f.error != !f.result);
	}
	wire_frame_release(&f);
	return 0;
}
