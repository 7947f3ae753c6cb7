/* Lines of text for the screens that are no table: each with a look, and perhaps the path that it
 * speaks of. Pure. */
#ifndef TUTTI_LINES_H
#define TUTTI_LINES_H

#include "base.h"

struct line {
	size_t from, len;           /* of the text, safe to show, in lines.text */
	size_t path_from, path_len; /* raw; len 0: none */
	uint32_t number;            /* what it stands for on its page; 0 if nothing was said */
	uint8_t look;
};

/* Zero-initialised is empty. */
struct lines {
	struct line *lines;
	size_t n, cap;
	struct buf text;
};

void lines_clear(struct lines *l);
void lines_release(struct lines *l);
/* Adds a line; its text is what is appended to l->text until the next one. */
void lines_next(struct lines *l, unsigned look);
void lines_addf(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends foreign bytes, made safe. */
void lines_show(struct lines *l, struct bytes raw, bool ascii);
/* Adds a paragraph of text that is safe to show, as lines of at most `width` columns each, broken
 * at blanks where it can be; the first one begins the paragraph. */
void lines_wrap(struct lines *l, unsigned look, struct bytes shown, size_t width);
/* Blanks up to a column of the present line. */
void lines_pad(struct lines *l, size_t column);
/* The path that the present line speaks of. Nothing can be appended to the line after it. */
void lines_path(struct lines *l, struct bytes path);
void lines_number(struct lines *l, uint32_t number); /* of the present line */
struct bytes lines_last(const struct lines *l); /* the present line so far; before lines_path */
void lines_drop(struct lines *l);               /* takes it out again; likewise */
void lines_end(struct lines *l); /* before reading */

struct bytes lines_text(const struct lines *l, size_t i);
struct bytes lines_path_of(const struct lines *l, size_t i);

#endif
