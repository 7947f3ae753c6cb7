/*
 * The past on the screen: what lies in the trash of the servers and the history of what was done,
 * as lists that are fetched page by page while one moves down them; for all files, for one folder
 * or path, and a few lines of each for the screen of details. And the dialog that restores.
 */
#ifndef TUTTI_PAST_H
#define TUTTI_PAST_H

#include "lines.h"
#include "own.h"

#include <msgpack.h>

enum {
	PAST_PAGE = 200,    /* asked for at a time */
	PAST_PAGE_MAX = 500, /* likewise, where a filter passes only some */
	PAST_WIDE = 100,    /* columns of a screen that has room for whole dates */
	PAST_DETAILS = 6,   /* on the screen of details */
	PAST_AGAIN_MS = 1000, /* after an event, so that it is written, and others are waited for */
	PAST_KEPT = 5000,   /* lines of one list; who wants more narrows it by a filter */
};

enum past { PAST_TRASH, PAST_HISTORY, PAST_TRASH_OF, PAST_HISTORY_OF, PASTS_N };

struct past_line {
	struct own id;       /* trash */
	struct own path, replica;
	struct own what;     /* history: the event; trash: who put it there */
	int64_t time, mtime; /* ns */
	uint64_t n;          /* history: its number */
	uint64_t old_size, new_size; /* trash: new_size */
	bool had, has;       /* history: another content before, and one after */
	uint8_t kind;        /* trash */
};

/* A filter, read: words with a meaning. The others are looked for in path, replica and event. */
struct past_wish {
	struct bytes under, on; /* of the list's own text; empty: all */
	int64_t since, until;   /* ns */
	struct bytes wrong;     /* a time that is none */
};

struct past_list {
	struct past_line *lines; /* those that pass the filter */
	size_t n, cap;
	struct past_line last;   /* that came, to go on from: id, replica, n */
	bool begun;              /* there is a last one */
	bool known, asked, more;
	bool failed;         /* the last answer was an error */
	bool stale;          /* the next answer replaces what is here */
	unsigned serial;     /* answers of earlier questions are not wanted */
	struct buf under;    /* empty: all */
	struct buf filter;   /* as typed: words, under:DIR on:SERVER since:TIME until:TIME */
	struct past_wish wish;
	struct buf missing;  /* names of servers that did not answer */
	uint64_t generation; /* grows with every change */
	int64_t again_ms;    /* ticks: something has happened, and then it is asked for; 0: nothing */
};

struct model;

struct pasts {
	struct past_list lists[PASTS_N];
	struct past_line chosen; /* of the restore dialog: own copies */
	bool restoring;
};

void pasts_release(struct pasts *p);
void past_lost(struct model *m);

/* Begins the list anew. `under`: empty for all; what is shown stays until the answer comes. */
void past_open(struct model *m, enum past which, struct bytes under);
void past_filter(struct model *m, enum past which, struct bytes text);
/* Asks for more if the selected line is near the end of what is here; before drawing. */
void past_follow(struct model *m, enum past which, uint64_t at, uint64_t height);

/* Something happened at this path: what is shown of the past is asked for again, a little later; and
 * only when the selected line is among the newest, so that it stays in the list. */
void past_happened(struct model *m, struct bytes path);
void past_refresh(struct model *m);                 /* before drawing */
int64_t past_tick_ms(const struct model *m);        /* until past_refresh() has to do; 0: never */
bool past_waits(const struct model *m);             /* there is newer than what is shown */
bool past_has_more(const struct model *m);          /* the view's list goes on */

/* `low`: what was passed to model_ask_tagged(). */
void past_answer(struct model *m, unsigned low, const msgpack_object *result);
void past_restored(struct model *m, const msgpack_object *result);

/* The page. The number of a line is its place in the list + 1. */
void past_page(const struct model *m, enum past which, struct lines *out);
/* The few lines for the screen of details. */
void past_details(const struct model *m, struct lines *out);

/* Opens the dialog on the selected line of the trash. */
void past_choose(struct model *m);
void past_lines(const struct model *m, struct lines *out, int width);
bool past_key(struct model *m, uint32_t key);
void past_restore(struct model *m, struct bytes to); /* what was chosen; empty: where it was */

#endif
