/* What every file may use: allocation that cannot fail, growing arrays, small arithmetic. */
#ifndef TUTTI_BASE_H
#define TUTTI_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Like malloc and friends, but end the program with a message when memory runs out.
 * Sizes of arrays are checked for overflow. The caller owns what comes back (free()). */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
void *xmemdup(const void *p, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for `need` elements in an array of *cap; grows by half at least. */
#define GROW(array, cap, need)                                                                     \
	do {                                                                                       \
		if ((size_t)(need) > (size_t)(cap)) {                                              \
			size_t grow_to = (size_t)(cap) + (size_t)(cap) / 2 + 8;                    \
			if (grow_to < (size_t)(need))                                              \
				grow_to = (size_t)(need);                                          \
			(array) = xrealloc((array), grow_to, sizeof(*(array)));                    \
			(cap) = grow_to;                                                           \
		}                                                                                  \
	} while (0)

/* A growing byte buffer. Zero-initialised is empty. `data` is valid until the next change. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

void buf_add(struct buf *b, const void *p, size_t len);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_add_char(struct buf *b, char c);
uint8_t *buf_reserve(struct buf *b, size_t len); /* room for len bytes after data+len */
void buf_drop_front(struct buf *b, size_t len);
void buf_clear(struct buf *b);   /* empty, memory kept */
void buf_release(struct buf *b); /* memory freed, usable again */

/* A byte string that belongs to somebody else. */
struct bytes {
	const uint8_t *p;
	size_t len;
};

static inline struct bytes bytes_of(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

bool bytes_eq(struct bytes a, struct bytes b);

/* A 64-bit hash for tables and stamps; not for content, not against an adversary. */
uint64_t hash64(const void *p, size_t len, uint64_t seed);

#endif
