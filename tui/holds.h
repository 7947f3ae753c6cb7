/*
 * Deletions that wait for a person's word: the sets that the server holds back, their page, and
 * the dialog that decides one. What is decided is the set with the number that was shown; if it
 * has changed since, the server refuses, and the page shows what it is now.
 */
#ifndef TUTTI_HOLDS_H
#define TUTTI_HOLDS_H

#include "lines.h"
#include "own.h"

#include <msgpack.h>

enum { HOLDS_PATHS = 500 }; /* of a set, that are listed */

struct hold {
	uint64_t id;
	struct own from;
	int64_t since; /* ns */
	uint64_t n, bytes;
	struct own *paths;
	size_t n_paths;
	bool more; /* paths than are listed */
};

struct model;

struct holds {
	struct hold *sets;
	size_t n;
	bool known, asked;
	bool again;         /* ask once more when the answer is there */
	uint64_t id;        /* of the set that the dialog shows */
	bool deciding;
	bool deleting;      /* what was decided */
	struct buf words;   /* the set that was decided, in words, safe to show */
};

void holds_release(struct holds *h);
void holds_lost(struct model *m);

void holds_ask(struct model *m); /* what is held now */
/* Opens the dialog on the set that the selected line of the page belongs to. */
void holds_open(struct model *m);
void holds_answer(struct model *m, unsigned what, const msgpack_object *result);

/* The page: each set with its paths. The number of a line is its set's place + 1. */
void holds_page(const struct model *m, struct lines *out);
void holds_lines(const struct model *m, struct lines *out, int width);
bool holds_key(struct model *m, uint32_t key);

#endif
