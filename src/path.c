/* Owns what a path is: which ones are taken, their order, their parts, and conflict names. */
#include "config.h"
#include "path.h"

#include "text.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const error_texts[] = {
	[PATH_OK] = "fine",
	[PATH_EMPTY] = "the path is empty",
	[PATH_TOO_LONG] = "the path is longer than 4096 bytes",
	[PATH_HAS_NUL] = "the path contains a NUL byte",
	[PATH_ABSOLUTE] = "the path is absolute",
	[PATH_EMPTY_COMPONENT] = "a component of the path is empty",
	[PATH_DOT_COMPONENT] = "a component of the path is \".\" or \"..\"",
	[PATH_COMPONENT_TOO_LONG] = "a component of the path is longer than 255 bytes",
	[PATH_TOO_DEEP] = "the path is more than 128 components deep",
	[PATH_RESERVED] = "the name \"" PATH_RESERVED_NAME "\" is reserved",
};

const char *path_error_text(enum path_error error)
{
	if ((size_t)error >= ARRAY_LEN(error_texts))
		return "the path is not valid";
	return error_texts[error];
}

/* Characters that some file systems leave out when they compare names, and nobody sees. */
static bool is_ignorable(uint32_t cp)
{
	return (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff;
}

static bool is_reserved(struct bytes name)
{
	static const char reserved[] = PATH_RESERVED_NAME;
	size_t matched = 0;
	for (size_t i = 0; i < name.len;) {
		uint32_t cp;
		size_t n = text_decode(name.p + i, name.len - i, &cp);
		if (n == 0)
			return false;
		i += n;
		if (is_ignorable(cp))
			continue;
		if (cp >= 'A' && cp <= 'Z')
			cp += 'a' - 'A';
		if (matched == sizeof(reserved) - 1 || cp != (uint8_t)reserved[matched])
			return false;
		matched++;
	}
	return matched == sizeof(reserved) - 1;
}

static enum path_error check_component(struct bytes name)
{
	if (name.len == 0)
		return PATH_EMPTY_COMPONENT;
	if (name.len > PATH_COMPONENT_MAX)
		return PATH_COMPONENT_TOO_LONG;
	if (name.p[0] == '.' && (name.len == 1 || (name.len == 2 && name.p[1] == '.')))
		return PATH_DOT_COMPONENT;
	return PATH_OK;
}

/* The component that starts at `from`: up to the next '/' or the end. */
static struct bytes component_at(struct bytes path, size_t from)
{
	const uint8_t *slash = memchr(path.p + from, '/', path.len - from);
	size_t end = slash ? (size_t)(slash - path.p) : path.len;
	return (struct bytes){path.p + from, end - from};
}

enum path_error path_check(struct bytes path)
{
	if (path.len == 0)
		return PATH_EMPTY;
	if (path.len > PATH_BYTES_MAX)
		return PATH_TOO_LONG;
	if (memchr(path.p, 0, path.len))
		return PATH_HAS_NUL;
	if (path.p[0] == '/')
		return PATH_ABSOLUTE;

	unsigned depth = 0;
	for (size_t from = 0; from <= path.len;) {
		struct bytes name = component_at(path, from);
		enum path_error error = check_component(name);
		if (error)
			return error;
		if (depth == 0 && is_reserved(name))
			return PATH_RESERVED;
		if (++depth > PATH_DEPTH_MAX)
			return PATH_TOO_DEEP;
		from += name.len + 1;
	}
	return PATH_OK;
}

/* '/' sorts before every byte of a name, so that a folder's children follow it at once. */
static int order_of(uint8_t byte)
{
	return byte == '/' ? -1 : byte;
}

int path_compare(struct bytes a, struct bytes b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	size_t i = 0;
	/* Neighbours in a table share long prefixes: skip them by words. */
	for (uint64_t x, y; common - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, a.p + i, sizeof(x));
		memcpy(&y, b.p + i, sizeof(y));
		if (x != y)
			break;
	}
	for (; i < common; i++) {
		if (a.p[i] != b.p[i])
			return order_of(a.p[i]) < order_of(b.p[i]) ? -1 : 1;
	}
	return (a.len > b.len) - (a.len < b.len);
}

/* The start of the last component. */
static size_t base_at(struct bytes path)
{
	size_t at = path.len;
	while (at > 0 && path.p[at - 1] != '/')
		at--;
	return at;
}

struct bytes path_parent(struct bytes path)
{
	size_t at = base_at(path);
	return (struct bytes){path.p, at > 0 ? at - 1 : 0};
}

struct bytes path_base(struct bytes path)
{
	size_t at = base_at(path);
	if (at == 0)
		return path;
	return (struct bytes){path.p + at, path.len - at};
}

unsigned path_depth(struct bytes path)
{
	if (path.len == 0)
		return 0;
	unsigned depth = 1;
	for (size_t i = 0; i < path.len; i++)
		depth += path.p[i] == '/';
	return depth;
}

bool path_is_under(struct bytes path, struct bytes dir)
{
	if (dir.len == 0)
		return path.len > 0;
	return path.len > dir.len && path.p[dir.len] == '/' &&
	       memcmp(path.p, dir.p, dir.len) == 0;
}

/* --- conflict names --- */

#define CONFLICT_WORD ".conflict-"
enum {
	CONFLICT_WORD_LEN = sizeof(CONFLICT_WORD) - 1,
	REPLICA_DIGITS = 8,
	COUNTER_DIGITS_MAX = 20,
	PART_MAX = CONFLICT_WORD_LEN + REPLICA_DIGITS + 1 + CONFLICT_ZEROS_MAX + COUNTER_DIGITS_MAX,
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* The length of the conflict part that starts at `at`, 0 if there is none. It must follow
 * something, and must be followed by '.' or the end. */
static size_t conflict_part(struct bytes name, size_t at)
{
	size_t left = name.len - at;
	const uint8_t *p = name.p + at;
	size_t n = CONFLICT_WORD_LEN + REPLICA_DIGITS + 1;
	if (at == 0 || left < n + 1 || memcmp(p, CONFLICT_WORD, CONFLICT_WORD_LEN) != 0)
		return 0;
	for (size_t i = 0; i < REPLICA_DIGITS; i++) {
		if (!is_lower_hex(p[CONFLICT_WORD_LEN + i]))
			return 0;
	}
	if (p[n - 1] != '-')
		return 0;
	size_t digits = 0, zeros = 0;
	while (n + zeros < left && zeros < CONFLICT_ZEROS_MAX && p[n + zeros] == '0')
		zeros++;
	while (n + digits < left && digits <= zeros + COUNTER_DIGITS_MAX && is_digit(p[n + digits]))
		digits++;
	if (digits == 0 || digits > zeros + COUNTER_DIGITS_MAX)
		return 0;
	n += digits;
	return n == left || p[n] == '.' ? n : 0;
}

/* Copies `name` without its conflict parts; returns the new length. `out` may be `name.p`.
 * One pass is enough: a part begins with its only '.', so none can form across a gap. */
static size_t strip_conflict_parts(uint8_t *out, struct bytes name)
{
	size_t len = 0;
	for (size_t i = 0; i < name.len;) {
		size_t part = conflict_part(name, i);
		if (part)
			i += part;
		else
			out[len++] = name.p[i++];
	}
	return len;
}

/* The length of ".ext" at the end of a name, 0 if it has none that counts. */
static size_t extension_len(struct bytes name)
{
	for (size_t n = 1; n < name.len && n <= PATH_EXTENSION_MAX + 1; n++) {
		if (name.p[name.len - n] == '.')
			return n > 1 ? n : 0;
	}
	return 0;
}

/* The longest start of `s` of at most `max` bytes; does not cut a character of valid
 * UTF-8 unless nothing would be left. */
static size_t cut_len(struct bytes s, size_t max)
{
	if (s.len <= max)
		return s.len;
	size_t n = max;
	if (text_is_utf8(s)) {
		while (n > 0 && (s.p[n] & 0xc0) == 0x80)
			n--;
	}
	return n > 0 ? n : max;
}

/* Appends `stem PART ext` of a path whose conflict parts are dropped, the stem cut so that name and
 * path keep to their limits. */
static void name_with_part(struct buf *out, struct bytes path, const char *part)
{
	size_t part_len = strlen(part);
	size_t folder_len = base_at(path); /* with its '/' */
	struct buf name = {0};
	buf_reserve(&name, path.len - folder_len + 1);
	name.len = strip_conflict_parts(
		name.data, (struct bytes){path.p + folder_len, path.len - folder_len});

	size_t ext_len = extension_len((struct bytes){name.data, name.len});
	struct bytes stem = {name.data, name.len - ext_len};
	struct bytes ext = {name.data + stem.len, ext_len};

	size_t fixed = part_len + ext.len;
	size_t room = PATH_COMPONENT_MAX - fixed;
	if (folder_len + fixed + room > PATH_BYTES_MAX)
		room = folder_len + fixed < PATH_BYTES_MAX
			       ? PATH_BYTES_MAX - folder_len - fixed
			       : 1;
	size_t cut = cut_len(stem, room);
	/* A cut can end a longer word so that it reads as a conflict part. */
	if (cut < stem.len)
		cut = strip_conflict_parts(name.data, (struct bytes){stem.p, cut});

	buf_add(out, path.p, folder_len);
	buf_add(out, name.data, cut);
	buf_add(out, part, part_len);
	buf_add(out, ext.p, ext.len);
	buf_release(&name);
}

void path_conflict_name(struct buf *out, struct bytes path, const char *replica_text,
			uint64_t counter, unsigned zeros)
{
	static const char zero[] = "0000";
	static_assert(sizeof(zero) - 1 == CONFLICT_ZEROS_MAX, "one for each");
	assert(strlen(replica_text) == REPLICA_DIGITS && zeros <= CONFLICT_ZEROS_MAX);
	char part[PART_MAX + 1];
	int len = snprintf(part, sizeof(part), CONFLICT_WORD "%s-%.*s%" PRIu64, replica_text,
	                   (int)zeros, zero, counter);
	assert(len > 0 && (size_t)len < sizeof(part));
	name_with_part(out, path, part);
}

void path_numbered_name(struct buf *out, struct bytes path, unsigned number)
{
	char part[16];
	snprintf(part, sizeof(part), ".%u", number);
	name_with_part(out, path, part);
}

bool path_is_conflict_name(struct bytes path)
{
	struct bytes name = path_base(path);
	for (size_t i = 1; i < name.len; i++) {
		if (conflict_part(name, i))
			return true;
	}
	return false;
}

bool path_is_copy_of(struct bytes copy, struct bytes path)
{
	struct bytes name = path_base(copy);
	struct buf made = {0};
	bool is = false;
	for (size_t i = 1; i < name.len && !is; i++) {
		char part[PART_MAX + 1];
		size_t len = conflict_part(name, i);
		if (!len)
			continue;
		memcpy(part, name.p + i, len);
		part[len] = 0;
		buf_clear(&made);
		name_with_part(&made, path, part);
		is = bytes_eq((struct bytes){made.data, made.len}, copy);
	}
	buf_release(&made);
	return is;
}
