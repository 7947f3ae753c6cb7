/* A writer of JSON, one value a line, always valid JSON and safe on a terminal.
 *
 *	struct json w;
 *	json_init(&w, &buf);
 *	json_object(&w, NULL);
 *	json_path(&w, "path", path);
 *	json_array(&w, "replicas");
 *	json_text(&w, NULL, "alpha");
 *	json_array_end(&w);
 *	json_object_end(&w);
 *	json_line_end(&w);
 *
 * Every value takes a key: a name of ours in an object, NULL in an array or at the top. Commas
 * come by themselves. Using it in a way that would not give JSON is a bug, and asserted. */
#ifndef TUTTI_JSON_H
#define TUTTI_JSON_H

#include "base.h"

enum { JSON_DEPTH_MAX = 32 };

struct json {
	struct buf *out;    /* the caller's; appended to */
	unsigned depth;     /* open objects and arrays */
	uint32_t arrays;    /* bit n: level n is an array */
	bool begun;         /* the current level, or the line, has a value */
};

void json_init(struct json *w, struct buf *out);

void json_object(struct json *w, const char *key);
void json_object_end(struct json *w);
void json_array(struct json *w, const char *key);
void json_array_end(struct json *w);

/* Any bytes: each that is not UTF-8 becomes U+FFFD; what text_is_visible() rejects (controls,
 * bidirectional, zero-width, line separators ...) is escaped as \uXXXX. */
void json_string(struct json *w, const char *key, struct bytes value);
void json_text(struct json *w, const char *key, const char *value);

/* A path or name: a string as above and, if it is not UTF-8, a second one with all bytes in
 * base64, its key with "_bytes" appended. In objects only. */
void json_path(struct json *w, const char *key, struct bytes path);

/* Lower-case hexadecimal, two digits a byte. */
void json_hex(struct json *w, const char *key, struct bytes value);
/* Base64 (RFC 4648, padded). */
void json_base64(struct json *w, const char *key, struct bytes value);

void json_int(struct json *w, const char *key, int64_t value);
void json_uint(struct json *w, const char *key, uint64_t value);
/* Nanoseconds as seconds, exactly: "1763820127.5", "-0.000000001", "0". */
void json_seconds(struct json *w, const char *key, int64_t ns);
void json_bool(struct json *w, const char *key, bool value);
void json_null(struct json *w, const char *key);

/* Ends the line, after one whole value; the next may follow. */
void json_line_end(struct json *w);

#endif
