/* Owns writing JSON: commas, escapes, exact numbers. */
#include "config.h"
#include "json.h"

#include "text.h"

#include <inttypes.h>

void json_init(struct json *w, struct buf *out)
{
	*w = (struct json){.out = out};
}

static bool in_array(const struct json *w)
{
	return w->depth > 0 && (w->arrays >> (w->depth - 1) & 1);
}

static void add_literal(struct json *w, const char *s)
{
	buf_add(w->out, s, strlen(s));
}

static void add_escape(struct json *w, uint32_t unit)
{
	buf_addf(w->out, "\\u%04x", (unsigned)unit);
}

static void add_character(struct json *w, const uint8_t *p, size_t n, uint32_t cp)
{
	static const char short_escapes[][2] = {
		{'"', '"'}, {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'},
	};
	for (size_t i = 0; i < ARRAY_LEN(short_escapes); i++) {
		if (cp == (uint32_t)short_escapes[i][0]) {
			buf_add_char(w->out, '\\');
			buf_add_char(w->out, short_escapes[i][1]);
			return;
		}
	}
	if (text_is_visible(cp)) {
		buf_add(w->out, p, n);
	} else if (cp < 0x10000) {
		add_escape(w, cp);
	} else {
		add_escape(w, 0xd800 + ((cp - 0x10000) >> 10));
		add_escape(w, 0xdc00 + ((cp - 0x10000) & 0x3ff));
	}
}

static void add_quoted(struct json *w, struct bytes s)
{
	static const char replacement[] = "\xef\xbf\xbd";
	buf_reserve(w->out, s.len + 2);
	buf_add_char(w->out, '"');
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		size_t n = text_decode(s.p + i, s.len - i, &cp);
		if (n)
			add_character(w, s.p + i, n, cp);
		else
			add_literal(w, replacement);
		i += n ? n : 1;
	}
	buf_add_char(w->out, '"');
}

/* What goes before every value: a comma if it is not the first, and its key in an object. */
static void begin_value(struct json *w, const char *key, const char *key_end)
{
	bool in_object = w->depth > 0 && !in_array(w);
	assert(in_object == (key != NULL));
	assert(w->depth > 0 || !w->begun); /* one value a line */
	if (w->begun)
		buf_add_char(w->out, ',');
	w->begun = true;
	if (!key)
		return;
	struct buf name = {0};
	buf_add(&name, key, strlen(key));
	buf_add(&name, key_end, strlen(key_end));
	add_quoted(w, (struct bytes){name.data, name.len});
	buf_release(&name);
	buf_add_char(w->out, ':');
}

static void open_level(struct json *w, const char *key, bool array)
{
	begin_value(w, key, "");
	assert(w->depth < JSON_DEPTH_MAX);
	uint32_t bit = (uint32_t)1 << w->depth;
	w->arrays = array ? w->arrays | bit : w->arrays & ~bit;
	w->depth++;
	w->begun = false;
	buf_add_char(w->out, array ? '[' : '{');
}

static void close_level(struct json *w, bool array)
{
	assert(w->depth > 0 && in_array(w) == array);
	w->depth--;
	w->begun = true;
	buf_add_char(w->out, array ? ']' : '}');
}

void json_object(struct json *w, const char *key)
{
	open_level(w, key, false);
}

void json_object_end(struct json *w)
{
	close_level(w, false);
}

void json_array(struct json *w, const char *key)
{
	open_level(w, key, true);
}

void json_array_end(struct json *w)
{
	close_level(w, true);
}

void json_string(struct json *w, const char *key, struct bytes value)
{
	begin_value(w, key, "");
	add_quoted(w, value);
}

void json_text(struct json *w, const char *key, const char *value)
{
	json_string(w, key, bytes_of(value));
}

static void add_base64(struct json *w, struct bytes s)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	buf_add_char(w->out, '"');
	for (size_t i = 0; i < s.len; i += 3) {
		size_t left = s.len - i;
		uint32_t three = (uint32_t)s.p[i] << 16;
		if (left > 1)
			three |= (uint32_t)s.p[i + 1] << 8;
		if (left > 2)
			three |= s.p[i + 2];
		const char four[] = {
			letters[three >> 18],
			letters[three >> 12 & 63],
			left > 1 ? letters[three >> 6 & 63] : '=',
			left > 2 ? letters[three & 63] : '=',
		};
		buf_add(w->out, four, sizeof(four));
	}
	buf_add_char(w->out, '"');
}

void json_hex(struct json *w, const char *key, struct bytes value)
{
	begin_value(w, key, "");
	buf_add_char(w->out, '"');
	for (size_t i = 0; i < value.len; i++)
		buf_addf(w->out, "%02x", value.p[i]);
	buf_add_char(w->out, '"');
}

void json_base64(struct json *w, const char *key, struct bytes value)
{
	begin_value(w, key, "");
	add_base64(w, value);
}

void json_path(struct json *w, const char *key, struct bytes path)
{
	assert(key);
	json_string(w, key, path);
	if (text_is_utf8(path))
		return;
	begin_value(w, key, "_bytes");
	add_base64(w, path);
}

void json_int(struct json *w, const char *key, int64_t value)
{
	begin_value(w, key, "");
	buf_addf(w->out, "%" PRId64, value);
}

void json_uint(struct json *w, const char *key, uint64_t value)
{
	begin_value(w, key, "");
	buf_addf(w->out, "%" PRIu64, value);
}

void json_seconds(struct json *w, const char *key, int64_t ns)
{
	enum { NS_PER_S = 1000000000 };
	uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	begin_value(w, key, "");
	buf_addf(w->out, "%s%" PRIu64, ns < 0 ? "-" : "", size / NS_PER_S);
	uint64_t fraction = size % NS_PER_S;
	if (fraction == 0)
		return;
	buf_addf(w->out, ".%09" PRIu64, fraction);
	while (w->out->data[w->out->len - 1] == '0')
		w->out->len--;
}

void json_bool(struct json *w, const char *key, bool value)
{
	begin_value(w, key, "");
	add_literal(w, value ? "true" : "false");
}

void json_null(struct json *w, const char *key)
{
	begin_value(w, key, "");
	add_literal(w, "null");
}

void json_line_end(struct json *w)
{
	assert(w->depth == 0 && w->begun);
	buf_add_char(w->out, '\n');
	w->begun = false;
}
