/*
 * Settling of conflicts: the versions of the one that a dialog shows, the many that were marked,
 * and what was settled last, for `u`. Works on the model; asks through it. The server decides
 * nothing by the number of a version alone: each answer carries the stamp of the versions that were
 * shown, and a conflict that has changed since is refused and shown anew.
 */
#ifndef TUTTI_SETTLE_H
#define TUTTI_SETTLE_H

#include "lines.h"
#include "own.h"
#include "pathset.h"

#include <msgpack.h>

enum {
	SETTLE_PAGE = 500,    /* conflicts in one answer */
	SETTLE_MANY = 100000, /* marked conflicts that are settled in one go */
	SETTLE_FLYING = 8,    /* requests under way at a time */
	SETTLE_SERVERS = 26,  /* servers whose versions can be kept of all */
};

struct contender {
	struct own replica, copy, target; /* copy: empty if it has the name */
	uint64_t size;
	int64_t mtime;
	uint8_t kind;
	bool here; /* this server's disk shows it */
};

/* One of the marked. */
struct marked {
	size_t path_from, path_len; /* in settle.paths */
	size_t by_from;             /* in settle.by: for each version a replica's number + 1, or 0 */
	uint64_t stamp;
	uint32_t n;                 /* versions */
};

enum settle_choice { CHOOSE_FIRST, CHOOSE_SECOND, CHOOSE_BOTH, CHOOSE_REPLICA };

/* Where the conflict to be shown is looked for: the one with this copy (among those of its folder),
 * the one at the path or below it, the next after it, the first of all. */
enum settle_seek { SEEK_COPY, SEEK_AT, SEEK_AFTER, SEEK_ANY };

struct model;

struct settle {
	/* the dialog of one */
	enum settle_seek seek;
	struct buf near;       /* the path that was meant when it was asked for */
	unsigned serial;       /* answers of earlier questions are not wanted */
	bool known;            /* there are versions to show */
	bool deciding;         /* the answer to `resolve` is awaited */
	struct own path;
	uint64_t stamp;
	struct contender *versions;
	size_t n, at;          /* at: the selected version */
	struct buf choice;     /* what was chosen, in words, safe to show */

	/* the dialog of many */
	bool gathering;
	struct buf paths, by, last;
	struct marked *marked;
	size_t n_marked, cap_marked;

	/* many requests: resolutions of the marked, or undos */
	bool undoing;
	enum settle_choice choose;
	size_t replica;        /* of CHOOSE_REPLICA */
	size_t next, flying, done, failed, passed; /* passed: had no such version */
	bool running;
	struct buf error;      /* of the first that failed */
	struct buf undone;     /* the path of the last undo */

	/* what `u` takes back, in order */
	uint64_t *undo;
	size_t n_undo, cap_undo;
};

void settle_release(struct settle *s);
void settle_lost(struct model *m); /* the connection is gone, and all answers with it */

/* Key c: the marked conflicts, or the one at `path` (or in that folder), or the next after it. */
void settle_open(struct model *m, struct bytes path);
void settle_undo(struct model *m); /* key u */

/* `what` is enum model_request, `low` what was passed to model_ask_tagged(). */
void settle_answer(struct model *m, unsigned what, unsigned low, const msgpack_object *result,
		   const char *error);

/* The two dialogs: lines of text, `width` columns wide; the first line is the title. */
void settle_one_lines(const struct model *m, struct lines *out, int width);
void settle_many_lines(const struct model *m, struct lines *out, int width);
/* False if the key has no meaning there. Keys that decide work only once what they decide on has
 * been drawn. */
bool settle_one_key(struct model *m, uint32_t key);
bool settle_many_key(struct model *m, uint32_t key);

#endif
