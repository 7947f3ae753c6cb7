/* Owns what foreign bytes look like on a terminal: decoding, escaping, widths, clipping. */
#include "config.h"
#include "text.h"

#include <stdio.h>

/* How a terminal treats a code point; text_tables.h has the runs. */
enum group {
	HIDDEN,       /* never shown as it is */
	NARROW,
	WIDE,
	MARK,         /* drawn over the character before it */
	SPACING_MARK, /* a column of its own, but belongs to the character before it */
};

#include "text_tables.h"

static enum group group_of(uint32_t cp)
{
	if (cp >= 0x20 && cp < 0x7f)
		return NARROW;
	if (cp > 0x10ffff)
		return HIDDEN;
	/* The last run that begins at or before cp; the first one begins at 0. */
	size_t low = 0, high = ARRAY_LEN(runs);
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (runs[middle] >> 3 <= cp)
			low = middle;
		else
			high = middle;
	}
	return (enum group)(runs[low] & 7);
}

/* --- UTF-8 --- */

size_t text_decode(const uint8_t *p, size_t len, uint32_t *cp)
{
	static const struct {
		uint8_t mask, lead; /* (byte & mask) == lead */
		uint32_t least;     /* below it the form is overlong */
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000},
	};
	if (len == 0)
		return 0;
	for (size_t more = 0; more < ARRAY_LEN(forms); more++) {
		if ((p[0] & forms[more].mask) != forms[more].lead)
			continue;
		if (len <= more)
			return 0;
		uint32_t value = p[0] & (uint8_t)~forms[more].mask;
		for (size_t i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (p[i] & 0x3f);
		}
		if (value < forms[more].least || value > 0x10ffff ||
		    (value >= 0xd800 && value <= 0xdfff))
			return 0;
		*cp = value;
		return more + 1;
	}
	return 0;
}

size_t text_encode(uint8_t out[4], uint32_t cp)
{
	static const uint8_t leads[] = {0x00, 0xc0, 0xe0, 0xf0};
	assert(cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff));
	size_t more = cp < 0x80 ? 0 : cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
	for (size_t i = more; i > 0; i--) {
		out[i] = (uint8_t)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (uint8_t)(leads[more] | cp);
	return more + 1;
}

bool text_is_utf8(struct bytes s)
{
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		size_t n = text_decode(s.p + i, s.len - i, &cp);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

bool text_is_visible(uint32_t cp)
{
	return group_of(cp) != HIDDEN;
}

unsigned text_width(uint32_t cp)
{
	static const unsigned widths[] = {
		[HIDDEN] = 0, [NARROW] = 1, [WIDE] = 2, [MARK] = 0, [SPACING_MARK] = 1,
	};
	return widths[group_of(cp)];
}

/* --- showing --- */

static const char digits[] = "0123456789abcdef";

static void add_byte_escape(struct buf *out, uint8_t byte)
{
	const char escape[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
	buf_add(out, escape, sizeof(escape));
}

static void add_character_escape(struct buf *out, uint32_t cp)
{
	buf_addf(out, "\\u{%x}", (unsigned)cp);
}

static void show(struct buf *out, struct bytes raw, bool ascii)
{
	static const uint8_t dotted_circle[] = {0xe2, 0x97, 0x8c};
	bool has_base = false; /* something that a mark may stand on */
	unsigned marks = 0;    /* how many stand on it */

	buf_reserve(out, raw.len);
	for (size_t i = 0; i < raw.len;) {
		uint8_t byte = raw.p[i];
		uint32_t cp;
		size_t n = text_decode(raw.p + i, raw.len - i, &cp);
		if (n == 0 || byte < 0x20 || byte == 0x7f) {
			add_byte_escape(out, byte);
			has_base = false;
			marks = 0;
			i++;
			continue;
		}
		i += n;
		enum group group = group_of(cp);
		if (group == HIDDEN || (ascii && cp >= 0x80)) {
			add_character_escape(out, cp);
			has_base = false;
			marks = 0;
		} else if (group == MARK && marks == TEXT_MARKS_MAX) {
			add_character_escape(out, cp);
		} else if (group == MARK) {
			if (!has_base)
				buf_add(out, dotted_circle, sizeof(dotted_circle));
			buf_add(out, raw.p + i - n, n);
			has_base = true;
			marks++;
		} else {
			buf_add(out, raw.p + i - n, n);
			has_base = cp != '/';
			marks = 0;
		}
	}
}

void text_show(struct buf *out, struct bytes raw)
{
	show(out, raw, false);
}

void text_show_ascii(struct buf *out, struct bytes raw)
{
	show(out, raw, true);
}

/* --- measuring and clipping --- */

/* The length of the escape that `s` starts with, 0 if none: \xNN or \u{N...}. */
static size_t escape_len(struct bytes s)
{
	enum { HEX_MAX = 6 };
	if (s.len < 4 || s.p[0] != '\\')
		return 0;
	bool braces = s.p[1] == 'u' && s.p[2] == '{';
	if (!braces && s.p[1] != 'x')
		return 0;
	size_t from = braces ? 3 : 2;
	size_t max = braces ? HEX_MAX : 2;
	size_t n = 0;
	while (n < max && from + n < s.len && s.p[from + n] && strchr(digits, s.p[from + n]))
		n++;
	if (!braces)
		return n == 2 ? from + n : 0;
	return n > 0 && from + n < s.len && s.p[from + n] == '}' ? from + n + 1 : 0;
}

static bool is_flag_half(uint32_t cp)
{
	return cp >= 0x1f1e6 && cp <= 0x1f1ff;
}

static bool is_skin_tone(uint32_t cp)
{
	return cp >= 0x1f3fb && cp <= 0x1f3ff;
}

/* The first piece of shown text that must not be cut: a character with what belongs to it, or
 * an escape. Returns its length, not 0 unless `s` is empty. */
static size_t next_piece(struct bytes s, size_t *columns)
{
	uint32_t cp;
	*columns = 0;
	if (s.len == 0)
		return 0;
	size_t len = escape_len(s);
	if (len) {
		*columns = len;
		return len;
	}
	len = text_decode(s.p, s.len, &cp);
	if (len == 0) {
		*columns = 1;
		return 1;
	}
	*columns = text_width(cp);
	bool flag = is_flag_half(cp);
	while (len < s.len) {
		size_t n = text_decode(s.p + len, s.len - len, &cp);
		if (n == 0)
			break;
		enum group group = group_of(cp);
		bool pair = flag && is_flag_half(cp);
		if (!pair && group != MARK && group != SPACING_MARK && !is_skin_tone(cp))
			break;
		flag = false;
		*columns += text_width(cp);
		len += n;
	}
	return len;
}

static struct bytes from_byte(struct bytes s, size_t at)
{
	return (struct bytes){s.p + at, s.len - at};
}

size_t text_columns(struct bytes shown)
{
	size_t total = 0, columns;
	for (size_t at = 0; at < shown.len; total += columns)
		at += next_piece(from_byte(shown, at), &columns);
	return total;
}

/* The longest start of `s`, in whole pieces, of at most `columns`. */
static size_t head_len(struct bytes s, size_t columns, size_t *used)
{
	size_t at = 0, width;
	*used = 0;
	while (at < s.len) {
		size_t n = next_piece(from_byte(s, at), &width);
		if (*used + width > columns)
			break;
		*used += width;
		at += n;
	}
	return at;
}

/* Where the longest end of `s`, in whole pieces, of at most `columns` begins. `*used` is the
 * width of all of `s`, then that of the end. */
static size_t tail_at(struct bytes s, size_t columns, size_t *used)
{
	size_t at = 0, width;
	while (at < s.len && *used > columns) {
		at += next_piece(from_byte(s, at), &width);
		*used -= width;
	}
	return at;
}

void text_clip(struct buf *out, struct bytes shown, size_t columns, enum text_clip_where where,
	       bool ascii)
{
	/* No character takes more columns than bytes: what is short needs no measuring. */
	size_t total = shown.len <= columns ? 0 : text_columns(shown);
	if (total <= columns) {
		buf_add(out, shown.p, shown.len);
		return;
	}
	if (columns == 0)
		return;
	const char *mark = ascii ? "~" : "\xe2\x80\xa6";
	size_t left = columns - 1;
	size_t head_used = 0, tail_used = total;
	size_t tail = shown.len;
	if (where == TEXT_CLIP_MIDDLE) {
		/* Half each; columns that one side cannot fill are the other's. */
		head_len(shown, left - left / 2, &head_used);
		tail = tail_at(shown, left - head_used, &tail_used);
		left -= tail_used;
	}
	buf_add(out, shown.p, head_len(shown, left, &head_used));
	buf_add(out, mark, strlen(mark));
	buf_add(out, shown.p + tail, shown.len - tail);
}
