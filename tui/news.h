/* What a server tells besides the rows of tables: its status, what it is transferring, and what
 * happened. Copies out of checked messages; the strings are raw bytes of others. Pure. */
#ifndef TUTTI_NEWS_H
#define TUTTI_NEWS_H

#include "own.h"

#include <msgpack.h>

enum {
	SERVERS_MAX = 256,
	TRANSFERS_MAX = 20,
	EVENTS_MAX = 1000,  /* kept for the screen of events */
	PROBLEMS_MAX = 1000,
	NOTES_MAX = 32,
};

struct server {
	struct own name, id, address, state, error;
	int64_t since; /* ns */
	uint64_t retry_ms, tries, pending_files, pending_bytes, lag_ms, files, bytes;
	uint64_t problems, held; /* what fails there; the deletions that wait there for a word */
	uint64_t peak_files, peak_bytes; /* the most that was pending since it was nothing */
	/* Of `peers`; 0 and empty for the server itself. */
	uint64_t in, out;
	struct own direction;
};

struct problem {
	struct own path, replica, reason;
	bool held; /* nothing failed: a deletion waits for a word */
};

struct status {
	bool known;
	int64_t received; /* ns: when it came */
	struct own name, root;
	struct server *servers;
	size_t n_servers;
	uint64_t rows, files, bytes, conflicts, held, asking;
	bool in_sync, scanning;
	struct problem *problems;
	size_t n_problems;
	struct own notes[NOTES_MAX];
	size_t n_notes;
};

struct transfer {
	struct own path, from, to;
	uint64_t done, size, rate;
};

struct progress {
	uint64_t in, out; /* bytes per second */
	struct transfer transfers[TRANSFERS_MAX];
	size_t n;
	uint64_t active, done, size;
	bool resyncing;
	uint64_t looked, changed;
	struct own waiting; /* names, with ", " between */
};

struct event {
	uint64_t n;
	int64_t time; /* ns */
	struct own what, path, replica, detail;
};

struct news {
	struct status status;
	struct progress progress;
	struct event *events; /* a ring: event_at() */
	size_t n_events, first_event;
	uint64_t next_event; /* number of the next one to come; 0: none known yet */
};

void news_release(struct news *n);
void news_status(struct news *n, const msgpack_object *status, int64_t now);
void news_peers(struct news *n, const msgpack_object *peers);
void news_progress(struct news *n, const msgpack_object *progress);
void news_forget_progress(struct news *n); /* nothing runs, as far as we know */
/* Returns false for an event that was known already. */
bool news_event(struct news *n, const msgpack_object *event);
/* The answer to `events`: adds what it lists and returns how many; *gap: some are lost. */
size_t news_events(struct news *n, const msgpack_object *result, bool *gap);
void news_note(struct news *n, int64_t time, const char *text); /* an event of our own */
const struct event *news_event_at(const struct news *n, size_t i); /* 0: the oldest kept */

/* Problems of all servers but held deletions, which are counted by themselves. */
uint64_t status_problems(const struct status *s);
/* Is the server's state a trouble (offline, connecting, waiting)? */
bool server_is_away(const struct server *s);
/* The best number of seconds left, 0 if unknown. */
uint64_t progress_seconds(const struct progress *p);

#endif
