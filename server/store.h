/*
 * The index on disk: an SQLite database in the state directory, and the lock on that directory.
 * One thread at a time, whichever. The engine's records are bytes here, nothing more.
 */
#ifndef TUTTI_STORE_H
#define TUTTI_STORE_H

#include "version.h"
#include "entry.h"

struct store;

enum store_opening {
	STORE_FAILED,   /* *text says why: cannot be used now (locked, disk full, permission) */
	STORE_NEW,      /* there was none: call store_begin() */
	STORE_OPENED,
	STORE_LOST,     /* *text says why (damaged, of another directory, from a newer version); it
	                   was moved aside and an empty one stands in its place: call store_begin() */
	STORE_UNMARKED, /* the index is of a directory with a mark, this one has none: not mounted?
	                   The index is untouched; the store is not open. *text says what to do */
};

/* Opens the index in the folder `dir` (made, 0700, if missing) of the root whose mark is `root_id` ("" if
 * it has none). *text is malloced or NULL. *store is set for NEW, OPENED and LOST. */
enum store_opening store_open(struct store **store, const char *dir, const char *root_id, char **text);

/* Forgets the index on purpose: moved aside as if it were damaged, e.g. because the replica was rolled
 * back. `past`: what it tells of the trash and of what happened is kept (only of an index that could be
 * loaded). 0 or a negative errno; then store_begin(). */
int store_abandon(struct store *store, bool past, char **error);

struct store_meta {
	const char *key;
	struct bytes value;
};
#define STORE_LIVES "lives" /* engine_lives() */
#define STORE_WALK "walk"   /* one byte: engine_index_state(); an index without it is of an earlier version, and walked */

/* The first words in a new index: whose it is, and `meta`, if that is not NULL. 0 or a negative errno with
 * *error. */
int store_begin(struct store *store, const char *root_id, const struct replica_id *replica,
		const struct store_meta *meta, char **error);

/* Closes; `clean` says that nothing was left to be written, so that the next opening need not check
 * all pages. NULL is fine. */
void store_close(struct store *store, bool clean);

struct store_entry {
	struct bytes path;
	uint64_t seq;
	uint64_t size;
	int64_t mtime_ns;
	const uint8_t *hash;  /* HASH_SIZE bytes, or NULL */
	struct bytes record;  /* p is NULL in a batch: the row goes */
	uint8_t kind;
};

struct store_replica {
	struct replica_id id;
	struct bytes name;
	uint64_t merged; /* its sequence numbers up to here are in our index */
	uint64_t known;  /* the highest counter seen of it, from anybody */
	struct bytes record;
	rep_t num;
};

/* A thing in the trash: where it was, what it is, and why it is there. */
struct store_trash {
	struct bytes name;    /* in the trash */
	struct bytes path;    /* where it was */
	struct bytes replica; /* whose change displaced it: a name for people, "" if not known */
	struct bytes what;    /* a word: what that change was, "" if not known */
	int64_t time_ns;      /* when it was put there, as its name says */
	int64_t mtime_ns;
	uint64_t size;
	const uint8_t *hash;  /* or NULL */
	uint8_t kind;         /* enum kind; KIND_ABSENT: kind, size and mtime are not known */
	bool remove;          /* in a batch: the row goes */
};

/* A line of the journal: who did what to which path. */
struct store_event {
	uint64_t id;          /* grows; set by the journal */
	int64_t time_ns;
	struct bytes path;
	struct bytes replica; /* name or id, for people */
	struct bytes what;    /* a word */
	uint64_t old_size;
	uint64_t new_size;
	const uint8_t *old_hash; /* or NULL */
	const uint8_t *new_hash;
};

/* What is loaded. Bytes are valid during the call only. A callback that returns nonzero ends the load
 * (with that number); NULL callbacks are not called. */
struct store_callbacks {
	void *ctx;
	int (*meta)(void *ctx, const struct store_meta *m);
	int (*replica)(void *ctx, const struct store_replica *r);
	int (*entry)(void *ctx, const struct store_entry *e); /* in bytewise order of paths */
	int (*trash)(void *ctx, const struct store_trash *t);
};
/* 0, or a negative errno with *error (also -EBADMSG: damaged rows), or what a callback returned. */
int store_load(struct store *store, const struct store_callbacks *callbacks, char **error);

struct store_batch {
	const struct store_entry *entries;
	size_t n_entries;
	const struct store_replica *replicas;
	size_t n_replicas;
	const struct store_trash *trash;
	size_t n_trash;
	const struct store_event *events;
	size_t n_events;
	const struct store_meta *meta;
	size_t n_meta;
	uint64_t counter; /* counters up to here may have been given out; 0: unchanged */
};

/* Writes all of it or nothing, durably. 0 or a negative errno with *error: -ENOSPC, -EROFS, -EIO... */
int store_commit(struct store *store, const struct store_batch *batch, char **error);

/* A sync of the index has failed: what of it is on the disk nobody knows, and trying again would not
 * tell. It refuses everything from then on (-EIO). */
bool store_is_unsure(const struct store *store);

/* The replica id and the counter reserve of the index, after OPENED or store_begin(). */
struct replica_id store_replica_id(const struct store *store);
uint64_t store_counter(const struct store *store);

/* What is asked of the trash: all conditions hold. */
struct store_trash_query {
	struct bytes path;    /* it and all below it; "": everything */
	bool exactly;         /* that path alone */
	int64_t since_ns, until_ns; /* put there then; until 0: no end */
	const uint8_t *hash;  /* of that content, or NULL: any */
	struct bytes name;    /* this one alone, or "" */
	struct bytes after;   /* the last name of the page before, with its time, or "" */
	int64_t after_ns;
	size_t max;
};

/* The newest first. Rows as in store_load(), and what it returns. */
int store_trash(struct store *store, const struct store_trash_query *query,
		int (*row)(void *ctx, const struct store_trash *t), void *ctx, char **error);

struct store_journal_query {
	struct bytes path; /* it and all below it; "": everything */
	uint64_t before;   /* lines with a smaller id; 0: from the newest on */
	size_t max;
};

/* The newest lines first. As store_trash(). */
int store_journal(struct store *store, const struct store_journal_query *query,
		  int (*line)(void *ctx, const struct store_event *e), void *ctx, char **error);
/* Drops all but the newest `keep` lines. 0 or a negative errno with *error. */
int store_journal_trim(struct store *store, size_t keep, char **error);

#endif
