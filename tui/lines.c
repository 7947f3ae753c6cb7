/* Owns lists of lines. */
#include "config.h"
#include "lines.h"

#include "columns.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void lines_clear(struct lines *l)
{
	l->n = 0;
	buf_clear(&l->text);
}

void lines_release(struct lines *l)
{
	free(l->lines);
	buf_release(&l->text);
	*l = (struct lines){0};
}

void lines_end(struct lines *l)
{
	if (l->n > 0 && l->lines[l->n - 1].path_len == 0)
		l->lines[l->n - 1].len = l->text.len - l->lines[l->n - 1].from;
}

void lines_next(struct lines *l, unsigned look)
{
	lines_end(l);
	GROW(l->lines, l->cap, l->n + 1);
	l->lines[l->n++] = (struct line){.from = l->text.len, .look = (uint8_t)look};
}

void lines_addf(struct lines *l, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_add(&l->text, text, strlen(text));
}

void lines_show(struct lines *l, struct bytes raw, bool ascii)
{
	show(&l->text, raw, ascii);
}

/* How many bytes of the text fit into a line; the rest begins without blanks. */
static size_t fitting(struct bytes text, size_t width)
{
	size_t n = 0, columns = 0, blank = 0;
	while (n < text.len) {
		uint32_t cp;
		size_t len = text_decode(text.p + n, text.len - n, &cp);
		if (len == 0)
			len = 1, cp = '?';
		columns += text_width(cp);
		if (columns > width && n > 0)
			return blank > 0 ? blank : n;
		if (cp == ' ')
			blank = n;
		n += len;
	}
	return n;
}

void lines_wrap(struct lines *l, unsigned look, struct bytes shown, size_t width)
{
	while (shown.len > 0) {
		size_t n = fitting(shown, width > 0 ? width : 1);
		lines_next(l, look);
		buf_add(&l->text, shown.p, n);
		while (n < shown.len && shown.p[n] == ' ')
			n++;
		shown.p += n;
		shown.len -= n;
	}
}

void lines_number(struct lines *l, uint32_t number)
{
	l->lines[l->n - 1].number = number;
}

struct bytes lines_last(const struct lines *l)
{
	size_t from = l->lines[l->n - 1].from;
	return (struct bytes){l->text.data + from, l->text.len - from};
}

void lines_drop(struct lines *l)
{
	l->text.len = l->lines[--l->n].from;
}

void lines_pad(struct lines *l, size_t column)
{
	for (size_t at = text_columns(lines_last(l)); at < column; at++)
		buf_add_char(&l->text, ' ');
}

void lines_path(struct lines *l, struct bytes path)
{
	struct line *last = &l->lines[l->n - 1];
	lines_end(l);
	last->path_from = l->text.len;
	last->path_len = path.len;
	buf_add(&l->text, path.p, path.len);
}

struct bytes lines_text(const struct lines *l, size_t i)
{
	return (struct bytes){l->text.data + l->lines[i].from, l->lines[i].len};
}

struct bytes lines_path_of(const struct lines *l, size_t i)
{
	return (struct bytes){l->text.data + l->lines[i].path_from, l->lines[i].path_len};
}
