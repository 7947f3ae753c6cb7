/* Making foreign bytes safe and measurable on a terminal: names, messages, addresses of others.
 * Knows UTF-8 and the properties of characters by itself; the locale of the process has no say. */
#ifndef TUTTI_TEXT_H
#define TUTTI_TEXT_H

#include "base.h"

/* Decodes the first character. Returns its length in bytes (1-4), or 0 when there is none: no
 * bytes left, or bytes that are not UTF-8 (overlong, surrogate, above U+10FFFF, cut short).
 * *cp is set only when the result is not 0. */
size_t text_decode(const uint8_t *p, size_t len, uint32_t *cp);

/* Writes a Unicode scalar value as UTF-8; returns its length (1-4). */
size_t text_encode(uint8_t out[4], uint32_t cp);

bool text_is_utf8(struct bytes s);

/* May a character stand on a terminal as it is? Not control characters, format and bidirectional
 * controls, zero-width and other invisible characters, blanks that pass for a space, private use
 * and code points without a character. */
bool text_is_visible(uint32_t cp);

/* Columns that a visible character takes: 0 (combining), 1 or 2. 0 for those not visible. */
unsigned text_width(uint32_t cp);

/* Appends `raw` made fit to be shown, always valid UTF-8 and one line:
 *   - visible characters stay, the backslash too;
 *   - bytes that are not UTF-8, and ASCII control characters, become \xNN ("\x1b", "\x0a");
 *   - other characters that are not visible become \u{N} ("\u{202e}");
 *   - a combining mark with nothing to stand on (at the start, after '/' or an escape) gets a
 *     dotted circle, U+25CC; more than TEXT_MARKS_MAX marks on one character become \u{N}. */
void text_show(struct buf *out, struct bytes raw);

/* The same in ASCII only: every other character becomes \u{N}. */
void text_show_ascii(struct buf *out, struct bytes raw);

enum { TEXT_MARKS_MAX = 3 };

/* Columns that shown text takes. (A byte that is not UTF-8 would count as one.) */
size_t text_columns(struct bytes shown);

enum text_clip_where { TEXT_CLIP_END, TEXT_CLIP_MIDDLE };

/* Appends shown text, cut to at most `columns`. What is left out, at the end or in the middle, is
 * marked by one '…' ('~' with `ascii`). Characters stay whole with their marks, and so do wide
 * ones, flags and escapes, so that the result may be narrower than `columns`; it is not padded. */
void text_clip(struct buf *out, struct bytes shown, size_t columns, enum text_clip_where where,
	       bool ascii);

#endif
