/*
 * What a program that runs wild, or one that encrypts all it finds, does on another machine: very many files get
 * new contents in a short time. That is told, and what they held before is spared when the trash is full.
 */
#ifndef TUTTI_REWRITES_H
#define TUTTI_REWRITES_H

#include "base.h"

enum {
	REWRITES_WAVE_S = 3600,        /* what belongs together */
	REWRITES_NOTED_S = 7 * 86400,  /* so long it is shown, and spared */
	REWRITES_WAVES_MAX = 64,
	REWRITES_COUNTED_MAX = 65536,  /* files of one wave */
};

/* Files that got new contents from one replica. A wave ends an hour after its first; one that is noted, when
 * nothing has been added to it for an hour. */
struct rewrites_wave {
	char *replica;               /* a name for people */
	int64_t first_ns, last_ns;   /* since 1970 */
	size_t n;                    /* files, each counted once, up to REWRITES_COUNTED_MAX */
	bool noted;                  /* they are very many */
	struct nodemap *counted;     /* ours */
};

struct rewrites;
struct rewrites *rewrites_new(void);
void rewrites_free(struct rewrites *r); /* NULL is fine */

/* The content of a file went to the trash at `time_ns`, as that replica had given it another. `path` is a hash
 * of its path (hash64), `files` the number of all files. Returns the wave if this made it one that is to be
 * told, else NULL. It is valid until the next call. */
const struct rewrites_wave *rewrites_add(struct rewrites *r, struct bytes replica, uint64_t path,
					 int64_t time_ns, uint64_t files);

/* The i-th that is noted and not too long ago, or NULL after the last. */
const struct rewrites_wave *rewrites_at(const struct rewrites *r, size_t i, int64_t now_ns);

/* One sentence about it, appended; safe to show. */
void rewrites_say(const struct rewrites_wave *w, struct buf *out);

#endif
