/* Owns the form of frames: packs them, and scans and decodes what others send. */
#include "config.h"
#include "wire.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---------------------------------------------------------------------------- */

static uint64_t big_endian(const uint8_t *p, size_t size)
{
	uint64_t v = 0;
	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static void put_big_endian(uint8_t *p, size_t size, uint64_t v)
{
	for (size_t i = size; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

uint32_t wire_header_length(const uint8_t *header)
{
	return (uint32_t)big_endian(header, WIRE_HEADER_SIZE);
}

/* ---- the scan --------------------------------------------------------------------------- */

/* What the first byte of an object says of the rest. A size field may follow it (big-endian);
 * then come `payload` bytes, or bytes or objects as the size says. */
struct form {
	enum { FORM_REFUSED, FORM_PLAIN, FORM_BYTES, FORM_OBJECTS } what;
	uint8_t size_field; /* bytes of the size that follows; 0: the size is below */
	uint8_t objects;    /* of FORM_OBJECTS: objects per element (1 array, 2 map) */
	uint8_t size;       /* plain: payload bytes; else the size, if there is no field for it */
};

static struct form form_of(uint8_t b)
{
	if (b <= 0x7f || b >= 0xe0) /* small integers */
		return (struct form){FORM_PLAIN, 0, 0, 0};
	if (b <= 0x8f)
		return (struct form){FORM_OBJECTS, 0, 2, b & 0x0f};
	if (b <= 0x9f)
		return (struct form){FORM_OBJECTS, 0, 1, b & 0x0f};
	if (b <= 0xbf)
		return (struct form){FORM_BYTES, 0, 0, b & 0x1f};
	switch (b) {
	case 0xc0: /* nil */
	case 0xc2: /* false */
	case 0xc3: /* true */
		return (struct form){FORM_PLAIN, 0, 0, 0};
	case 0xc4: /* bin 8, 16, 32 */
	case 0xc5:
	case 0xc6:
		return (struct form){FORM_BYTES, (uint8_t)(1u << (b - 0xc4)), 0, 0};
	case 0xcc: /* uint 8, 16, 32, 64 */
	case 0xcd:
	case 0xce:
	case 0xcf:
		return (struct form){FORM_PLAIN, 0, 0, (uint8_t)(1u << (b - 0xcc))};
	case 0xd0: /* int 8, 16, 32, 64 */
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return (struct form){FORM_PLAIN, 0, 0, (uint8_t)(1u << (b - 0xd0))};
	case 0xd9: /* str 8, 16, 32 */
	case 0xda:
	case 0xdb:
		return (struct form){FORM_BYTES, (uint8_t)(1u << (b - 0xd9)), 0, 0};
	case 0xdc: /* array 16, 32 */
	case 0xdd:
		return (struct form){FORM_OBJECTS, (uint8_t)(2u << (b - 0xdc)), 1, 0};
	case 0xde: /* map 16, 32 */
	case 0xdf:
		return (struct form){FORM_OBJECTS, (uint8_t)(2u << (b - 0xde)), 2, 0};
	default: /* never used, extensions, floats */
		return (struct form){FORM_REFUSED, 0, 0, 0};
	}
}

const char *wire_scan(struct bytes object)
{
	uint64_t open[WIRE_DEPTH_MAX]; /* objects still to come in each open container */
	size_t depth = 0;
	size_t elements = 0;
	const uint8_t *p = object.p;
	size_t left = object.len;
	do {
		if (!left)
			return "the message is cut short";
		struct form form = form_of(*p);
		p++;
		left--;
		if (form.what == FORM_REFUSED)
			return "a type that is not used here (float, extension or unknown)";
		if (++elements > WIRE_ELEMENTS_MAX)
			return "too many values in one message";
		uint64_t size = form.size;
		if (form.size_field) {
			if (left < form.size_field)
				return "the message is cut short";
			size = big_endian(p, form.size_field);
			p += form.size_field;
			left -= form.size_field;
		}
		if (form.what == FORM_OBJECTS)
			size *= form.objects;
		if (size > left) /* every object takes at least a byte */
			return "more is claimed than there is";
		if (depth)
			open[depth - 1]--;
		if (form.what == FORM_OBJECTS) {
			if (depth == WIRE_DEPTH_MAX)
				return "values are nested too deeply";
			open[depth++] = size;
		} else {
			p += size;
			left -= size;
		}
		while (depth && !open[depth - 1])
			depth--;
	} while (depth);
	return left ? "bytes are left over after the message" : NULL;
}

/* ---- decoding --------------------------------------------------------------------------- */

enum { ZONE_CHUNK_SIZE = 8192 };

static void frame_empty(struct wire_frame *f)
{
	f->kind = WIRE_NOTIFICATION;
	f->id = 0;
	f->method = (struct bytes){0};
	f->params = f->error = f->result = NULL;
	f->root = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
}

void wire_frame_init(struct wire_frame *f)
{
	if (!msgpack_zone_init(&f->zone, ZONE_CHUNK_SIZE))
		abort();
	frame_empty(f);
}

void wire_frame_release(struct wire_frame *f)
{
	msgpack_zone_destroy(&f->zone);
	frame_empty(f);
}

static const char *decode_head(struct wire_frame *f)
{
	static const char shape[] = "not a request, a response or a notification";
	const msgpack_object *root = &f->root;
	size_t n = wire_count(root);
	uint64_t kind;
	uint64_t id = 0;
	if (!wire_as_uint(wire_at(root, 0), WIRE_NOTIFICATION, &kind))
		return shape;
	f->kind = (enum wire_kind)kind;
	if (n != (f->kind == WIRE_NOTIFICATION ? 3 : 4))
		return shape;
	if (f->kind != WIRE_NOTIFICATION && !wire_as_uint(wire_at(root, 1), UINT32_MAX, &id))
		return "the id of a request or response is not a number below 2^32";
	f->id = (uint32_t)id;

	if (f->kind == WIRE_RESPONSE) {
		const msgpack_object *error = wire_at(root, 2);
		const msgpack_object *result = wire_at(root, 3);
		if (wire_is_nil(error) && result->type == MSGPACK_OBJECT_MAP)
			f->result = result;
		else if (error->type == MSGPACK_OBJECT_MAP && wire_is_nil(result))
			f->error = error;
		else
			return "a response is neither an error nor a result";
		return NULL;
	}
	const msgpack_object *method = wire_at(root, n - 2);
	const msgpack_object *params = wire_at(root, n - 1);
	if (!wire_as_str(method, &f->method) || !f->method.len || f->method.len > WIRE_METHOD_MAX)
		return "the method is not a short string";
	if (params->type != MSGPACK_OBJECT_MAP)
		return "the parameters are not a map";
	f->params = params;
	return NULL;
}

const char *wire_unpack(struct bytes object, msgpack_zone *zone, msgpack_object *out)
{
	*out = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
	const char *why = wire_scan(object);
	if (why)
		return why;
	size_t off = 0;
	msgpack_unpack_return r =
		msgpack_unpack((const char *)object.p, object.len, &off, zone, out);
	if (r == MSGPACK_UNPACK_NOMEM_ERROR)
		abort();
	/* The scan has let it pass, so that this is a check of ourselves against the library. */
	if (r == MSGPACK_UNPACK_SUCCESS && off == object.len)
		return NULL;
	*out = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
	return "not one msgpack object";
}

const char *wire_decode(struct wire_frame *f, struct bytes object)
{
	frame_empty(f);
	msgpack_zone_clear(&f->zone);
	const char *why = wire_unpack(object, &f->zone, &f->root);
	if (!why)
		why = decode_head(f);
	if (why)
		frame_empty(f);
	return why;
}

/* ---- reading objects -------------------------------------------------------------------- */

const msgpack_object *wire_get(const msgpack_object *map, const char *key)
{
	if (!map || map->type != MSGPACK_OBJECT_MAP)
		return NULL;
	size_t len = strlen(key);
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		const msgpack_object_kv *kv = &map->via.map.ptr[i];
		if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == len &&
		    memcmp(kv->key.via.str.ptr, key, len) == 0)
			return &kv->val;
	}
	return NULL;
}

size_t wire_count(const msgpack_object *array)
{
	return array && array->type == MSGPACK_OBJECT_ARRAY ? array->via.array.size : 0;
}

const msgpack_object *wire_at(const msgpack_object *array, size_t i)
{
	return i < wire_count(array) ? &array->via.array.ptr[i] : NULL;
}

bool wire_is_nil(const msgpack_object *o)
{
	return !o || o->type == MSGPACK_OBJECT_NIL;
}

bool wire_as_bool(const msgpack_object *o, bool *out)
{
	*out = false;
	if (!o || o->type != MSGPACK_OBJECT_BOOLEAN)
		return false;
	*out = o->via.boolean;
	return true;
}

bool wire_as_uint(const msgpack_object *o, uint64_t max, uint64_t *out)
{
	*out = 0;
	if (!o || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
		return false;
	*out = o->via.u64;
	return true;
}

bool wire_as_int(const msgpack_object *o, int64_t *out)
{
	*out = 0;
	if (o && o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
		*out = o->via.i64;
		return true;
	}
	if (!o || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > INT64_MAX)
		return false;
	*out = (int64_t)o->via.u64;
	return true;
}

bool wire_as_str(const msgpack_object *o, struct bytes *out)
{
	*out = (struct bytes){0};
	if (!o || o->type != MSGPACK_OBJECT_STR)
		return false;
	*out = (struct bytes){(const uint8_t *)o->via.str.ptr, o->via.str.size};
	return true;
}

bool wire_as_bin(const msgpack_object *o, struct bytes *out)
{
	*out = (struct bytes){0};
	if (!o || o->type != MSGPACK_OBJECT_BIN)
		return false;
	*out = (struct bytes){(const uint8_t *)o->via.bin.ptr, o->via.bin.size};
	return true;
}

bool wire_as_bytes(const msgpack_object *o, struct bytes *out)
{
	return wire_as_bin(o, out) || wire_as_str(o, out);
}

bool wire_as_fixed(const msgpack_object *o, void *out, size_t size)
{
	struct bytes b;
	memset(out, 0, size);
	if (!wire_as_bin(o, &b) || b.len != size)
		return false;
	memcpy(out, b.p, size);
	return true;
}

bool wire_get_bool(const msgpack_object *map, const char *key, bool *out)
{
	return wire_as_bool(wire_get(map, key), out);
}

bool wire_get_uint(const msgpack_object *map, const char *key, uint64_t max, uint64_t *out)
{
	return wire_as_uint(wire_get(map, key), max, out);
}

bool wire_get_int(const msgpack_object *map, const char *key, int64_t *out)
{
	return wire_as_int(wire_get(map, key), out);
}

bool wire_get_str(const msgpack_object *map, const char *key, struct bytes *out)
{
	return wire_as_str(wire_get(map, key), out);
}

bool wire_get_bin(const msgpack_object *map, const char *key, struct bytes *out)
{
	return wire_as_bin(wire_get(map, key), out);
}

bool wire_get_bytes(const msgpack_object *map, const char *key, struct bytes *out)
{
	return wire_as_bytes(wire_get(map, key), out);
}

bool wire_get_fixed(const msgpack_object *map, const char *key, void *out, size_t size)
{
	return wire_as_fixed(wire_get(map, key), out, size);
}

/* ---- packing ---------------------------------------------------------------------------- */

static int add_to_buf(void *data, const char *p, size_t len)
{
	buf_add(data, p, len);
	return 0;
}

static msgpack_packer packer(struct buf *b)
{
	return (msgpack_packer){.data = b, .callback = add_to_buf};
}

void wire_nil(struct buf *b)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_nil(&pk);
}

void wire_bool(struct buf *b, bool v)
{
	msgpack_packer pk = packer(b);
	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void wire_uint(struct buf *b, uint64_t v)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_uint64(&pk, v);
}

void wire_int(struct buf *b, int64_t v)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_int64(&pk, v);
}

void wire_str(struct buf *b, struct bytes s)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_str(&pk, s.len);
	buf_add(b, s.p, s.len);
}

void wire_text(struct buf *b, const char *s)
{
	wire_str(b, bytes_of(s));
}

void wire_bin(struct buf *b, struct bytes s)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_bin(&pk, s.len);
	buf_add(b, s.p, s.len);
}

void wire_fixed(struct buf *b, const void *p, size_t size)
{
	wire_bin(b, (struct bytes){p, size});
}

void wire_array(struct buf *b, size_t n)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_array(&pk, n);
}

void wire_map(struct buf *b, size_t n)
{
	msgpack_packer pk = packer(b);
	msgpack_pack_map(&pk, n);
}

void wire_key(struct buf *b, const char *key)
{
	wire_text(b, key);
}

enum { ARRAY32 = 0xdd, ARRAY32_SIZE = 5 };

size_t wire_array_begin(struct buf *b)
{
	static const uint8_t none[ARRAY32_SIZE] = {ARRAY32};
	size_t mark = b->len;
	buf_add(b, none, sizeof(none));
	return mark;
}

void wire_array_end(struct buf *b, size_t mark, size_t n)
{
	assert(b->len >= mark + ARRAY32_SIZE && b->data[mark] == ARRAY32 && n <= UINT32_MAX);
	put_big_endian(b->data + mark + 1, 4, n);
}

void wire_put_bool(struct buf *b, const char *key, bool v)
{
	wire_key(b, key);
	wire_bool(b, v);
}

void wire_put_uint(struct buf *b, const char *key, uint64_t v)
{
	wire_key(b, key);
	wire_uint(b, v);
}

void wire_put_int(struct buf *b, const char *key, int64_t v)
{
	wire_key(b, key);
	wire_int(b, v);
}

void wire_put_text(struct buf *b, const char *key, const char *s)
{
	wire_key(b, key);
	wire_text(b, s);
}

void wire_put_str(struct buf *b, const char *key, struct bytes s)
{
	wire_key(b, key);
	wire_str(b, s);
}

void wire_put_bin(struct buf *b, const char *key, struct bytes s)
{
	wire_key(b, key);
	wire_bin(b, s);
}

void wire_put_fixed(struct buf *b, const char *key, const void *p, size_t size)
{
	wire_key(b, key);
	wire_fixed(b, p, size);
}

/* ---- frames ----------------------------------------------------------------------------- */

static size_t begin(struct buf *b, enum wire_kind kind)
{
	static const uint8_t no_length[WIRE_HEADER_SIZE];
	size_t mark = b->len;
	buf_add(b, no_length, sizeof(no_length));
	wire_array(b, kind == WIRE_NOTIFICATION ? 3 : 4);
	wire_uint(b, kind);
	return mark;
}

size_t wire_begin_request(struct buf *b, uint32_t id, const char *method)
{
	size_t mark = begin(b, WIRE_REQUEST);
	wire_uint(b, id);
	wire_text(b, method);
	return mark;
}

size_t wire_begin_response(struct buf *b, uint32_t id)
{
	size_t mark = begin(b, WIRE_RESPONSE);
	wire_uint(b, id);
	wire_nil(b);
	return mark;
}

size_t wire_begin_notification(struct buf *b, const char *method)
{
	size_t mark = begin(b, WIRE_NOTIFICATION);
	wire_text(b, method);
	return mark;
}

size_t wire_room(const struct buf *b, size_t mark)
{
	size_t used = b->len - mark - WIRE_HEADER_SIZE;
	return used < WIRE_FRAME_MAX ? WIRE_FRAME_MAX - used : 0;
}

bool wire_finish(struct buf *b, size_t mark)
{
	assert(b->len > mark + WIRE_HEADER_SIZE);
	size_t len = b->len - mark - WIRE_HEADER_SIZE;
	if (len > WIRE_FRAME_MAX) {
		b->len = mark;
		return false;
	}
	put_big_endian(b->data + mark, WIRE_HEADER_SIZE, len);
	return true;
}

void wire_error(struct buf *b, uint32_t id, const char *code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct buf shown = {0}; /* always UTF-8: a cut or foreign name must not spoil the frame */
	text_show(&shown, bytes_of(text));

	size_t mark = begin(b, WIRE_RESPONSE);
	wire_uint(b, id);
	wire_map(b, 2);
	wire_put_text(b, "code", code);
	wire_put_str(b, "text", (struct bytes){shown.data, shown.len});
	wire_nil(b);
	bool fits = wire_finish(b, mark);
	assert(fits);
	buf_release(&shown);
}
