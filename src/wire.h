/*
 * The form of every message: frames, and the msgpack inside them. Packs onto byte buffers, and
 * checks and reads foreign frames. Knows no method (message.h does) and no connection (conn.h).
 *
 * A frame is a length (4 bytes, big-endian) and one msgpack object of that length:
 *	request       [0, id, method, params]
 *	response      [1, id, error, result]
 *	notification  [2, method, params]
 */
#ifndef TUTTI_WIRE_H
#define TUTTI_WIRE_H

#include "base.h"

#include <msgpack.h>

enum {
	WIRE_HEADER_SIZE = 4,
	WIRE_FRAME_MAX_STRANGER = 4096,  /* bytes of an object, before hello was accepted */
	WIRE_FRAME_MAX = 1024 * 1024,    /* and after */
	WIRE_DEPTH_MAX = 8,              /* arrays and maps inside each other */
	WIRE_ELEMENTS_MAX = 256 * 1024,  /* objects in one frame, keys and containers included */
	WIRE_METHOD_MAX = 64,            /* bytes of a method's name */
};

/* ---- reading foreign bytes ------------------------------------------------------------- */

/* The length that a header claims; at least WIRE_HEADER_SIZE bytes must be there. Nothing may be
 * allocated by it before it was compared with a limit. */
uint32_t wire_header_length(const uint8_t *header);

/* Is this exactly one msgpack object within the limits above, with nothing in it that Tutti does
 * not use (floats, extensions)? Takes no memory and a time linear in the length.
 * NULL, or what is wrong, in words. */
const char *wire_scan(struct bytes object);

/* Scans and decodes one object into the caller's zone; *out points into it and into `object`.
 * NULL, or what is wrong; then *out is nil. */
const char *wire_unpack(struct bytes object, msgpack_zone *zone, msgpack_object *out);

enum wire_kind { WIRE_REQUEST, WIRE_RESPONSE, WIRE_NOTIFICATION };

/* A decoded frame. What it points to lies in the frame's own memory and in the bytes that it was
 * decoded from: valid until the next wire_decode, wire_frame_release, or change of those. */
struct wire_frame {
	enum wire_kind kind;
	uint32_t id;                  /* of requests and responses */
	struct bytes method;          /* of requests and notifications; any bytes, some */
	const msgpack_object *params; /* a map; of requests and notifications */
	const msgpack_object *error;  /* of responses: a map, or NULL if it went well */
	const msgpack_object *result; /* of responses: a map, or NULL after an error */
	msgpack_object root;
	msgpack_zone zone;
};

void wire_frame_init(struct wire_frame *f);
void wire_frame_release(struct wire_frame *f);

/* Scans and decodes the object of a frame (without its header). May be called again and again on
 * one frame. NULL, or what is wrong, in words; then the frame is empty. */
const char *wire_decode(struct wire_frame *f, struct bytes object);

/* ---- reading objects -------------------------------------------------------------------- */

/* The value of a key; NULL if there is none, or if `map` is NULL or no map. */
const msgpack_object *wire_get(const msgpack_object *map, const char *key);
/* The element of an array; NULL if there is none, or if `array` is NULL or no array. */
const msgpack_object *wire_at(const msgpack_object *array, size_t i);
/* Elements of an array; 0 if `array` is NULL or no array. */
size_t wire_count(const msgpack_object *array);
bool wire_is_nil(const msgpack_object *o); /* NULL counts as nil */

/* Each clears *out first and returns false if the object is NULL or of another type or out of
 * range. Bytes point into the frame. */
bool wire_as_bool(const msgpack_object *o, bool *out);
bool wire_as_uint(const msgpack_object *o, uint64_t max, uint64_t *out);
bool wire_as_int(const msgpack_object *o, int64_t *out);
bool wire_as_str(const msgpack_object *o, struct bytes *out);
bool wire_as_bin(const msgpack_object *o, struct bytes *out);
bool wire_as_bytes(const msgpack_object *o, struct bytes *out); /* bin or str: paths */
bool wire_as_fixed(const msgpack_object *o, void *out, size_t size); /* bin of just that size */

/* The same for the value of a key. */
bool wire_get_bool(const msgpack_object *map, const char *key, bool *out);
bool wire_get_uint(const msgpack_object *map, const char *key, uint64_t max, uint64_t *out);
bool wire_get_int(const msgpack_object *map, const char *key, int64_t *out);
bool wire_get_str(const msgpack_object *map, const char *key, struct bytes *out);
bool wire_get_bin(const msgpack_object *map, const char *key, struct bytes *out);
bool wire_get_bytes(const msgpack_object *map, const char *key, struct bytes *out);
bool wire_get_fixed(const msgpack_object *map, const char *key, void *out, size_t size);

/* ---- packing ---------------------------------------------------------------------------- */

/* Begin a frame at the end of `b`; the mark goes to wire_finish. After a request or notification
 * the caller packs one map, the params; after a response one map, the result. */
size_t wire_begin_request(struct buf *b, uint32_t id, const char *method);
size_t wire_begin_response(struct buf *b, uint32_t id);
size_t wire_begin_notification(struct buf *b, const char *method);
/* Bytes that still fit into the frame; lists of foreign length stop in time by it. */
size_t wire_room(const struct buf *b, size_t mark);
/* Fills in the length. A frame that has become too long is taken out of `b` again: false. */
bool wire_finish(struct buf *b, size_t mark);

/* A whole response that says what went wrong: a code of tutti-protocol(7) and words for people
 * (cut at 1024 bytes). */
void wire_error(struct buf *b, uint32_t id, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

void wire_nil(struct buf *b);
void wire_bool(struct buf *b, bool v);
void wire_uint(struct buf *b, uint64_t v);
void wire_int(struct buf *b, int64_t v);
void wire_text(struct buf *b, const char *s);       /* str */
void wire_str(struct buf *b, struct bytes s);       /* str: UTF-8 by the caller's promise */
void wire_bin(struct buf *b, struct bytes s);       /* bin: paths, ids, hashes, content */
void wire_fixed(struct buf *b, const void *p, size_t size); /* bin */
void wire_array(struct buf *b, size_t n);           /* n values follow */
void wire_map(struct buf *b, size_t n);             /* n keys with a value each follow */
void wire_key(struct buf *b, const char *key);      /* one of them */

/* An array whose length is known only at its end. */
size_t wire_array_begin(struct buf *b);
void wire_array_end(struct buf *b, size_t mark, size_t n);

/* A key with its value. */
void wire_put_bool(struct buf *b, const char *key, bool v);
void wire_put_uint(struct buf *b, const char *key, uint64_t v);
void wire_put_int(struct buf *b, const char *key, int64_t v);
void wire_put_text(struct buf *b, const char *key, const char *s);
void wire_put_str(struct buf *b, const char *key, struct bytes s);
void wire_put_bin(struct buf *b, const char *key, struct bytes s);
void wire_put_fixed(struct buf *b, const char *key, const void *p, size_t size);

#endif
