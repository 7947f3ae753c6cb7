/* Owns allocation that cannot fail, byte buffers, and the hash for tables. */
#include "config.h"
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void out_of_memory(void)
{
	fputs("out of memory\n", stderr);
	abort();
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

void *xmemdup(const void *p, size_t len)
{
	void *copy = xmalloc(len);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory();
	va_end(ap);
	return s;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
	if (len > SIZE_MAX - b->len)
		out_of_memory();
	GROW(b->data, b->cap, b->len + len);
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
	if (!len)
		return;
	memcpy(buf_reserve(b, len), p, len);
	b->len += len;
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	uint8_t *at = buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf((char *)at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_drop_front(struct buf *b, size_t len)
{
	assert(len <= b->len);
	b->len -= len;
	if (b->len)
		memmove(b->data, b->data + len, b->len);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* wyhash's folding multiply over 8-byte words (Wang Yi, public domain description). */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t hash64(const void *p, size_t len, uint64_t seed)
{
	const uint8_t *s = p;
	uint64_t h = seed ^ 0x9e3779b97f4a7c15u;
	uint64_t w;
	for (size_t left = len; left; ) {
		size_t n = left < 8 ? left : 8;
		w = 0;
		memcpy(&w, s, n);
		h = fold(h ^ 0xa0761d6478bd642fu, w ^ 0xe7037ed1a0b428dbu);
		s += n;
		left -= n;
	}
	return fold(h ^ len, 0x8ebc6af09c88c6e3u);
}
