/*
 * The keys that this server knows, and what each may do. Kept in the file `trust` of the state
 * directory, which people can read. What the command line adds (--peer ID@...) is not written.
 * Beside it: under which key each replica was seen, and the keys that asked and wait for a person.
 */
#ifndef TUTTI_TRUST_H
#define TUTTI_TRUST_H

#include "key_id.h"
#include "version.h"

/* id, word in the file and on the wire */
#define TRUST_ROLES(X)                                                                             \
	X(PEER, "peer")           /* a server that is kept in sync */                              \
	X(READER, "read-only")    /* a server that gets all, and whose own changes are not taken */ \
	X(CLIENT, "client")       /* sees and decides all */                                       \
	X(VIEWER, "viewer")       /* sees all */                                                   \
	X(REFUSED, "refused")     /* a person said no */

enum trust_role {
#define X(id, word) TRUST_##id,
	TRUST_ROLES(X)
#undef X
	TRUST_STRANGER /* not in the list */
};

enum {
	TRUST_KEYS_MAX = 256,
	TRUST_ADDRESSES_MAX = 8,      /* of one key */
	TRUST_REPLICAS_MAX = 1024,    /* seen ever */
	TRUST_PENDING_MAX = 16,
	TRUST_PENDING_KEEP_S = 60,    /* at least, when others want their place */
	TRUST_FILE_MAX = 1024 * 1024,
};

struct trust;

struct trust_key {
	struct key_id id;
	enum trust_role role;
	char *name;       /* "" if nobody gave one */
	char **addresses; /* HOST:PORT at which it is called; of too many, the last ones */
	size_t n_addresses;
	bool given;       /* by the command line */
};

/* A key that asked and is not in the list. */
struct trust_pending {
	struct key_id id;
	char address[64]; /* where it came from, without the port */
	int64_t first_ns, last_ns; /* wall clock */
	uint64_t tries;
};

struct trust *trust_new(void);
void trust_free(struct trust *t); /* NULL is fine */

/* Reads the file in `dir` into an empty list; no file is an empty list. False, and in `problem` what is wrong
 * in which line: then nothing may be trusted. */
bool trust_load(struct trust *t, const char *dir, struct buf *problem);
/* The same of the text of such a file; `problem` then begins with ", line N: ". */
bool trust_read(struct trust *t, struct bytes text, struct buf *problem);
/* The text of the file; trust_write() puts it there, atomically and durably, from any thread: 0 or a
 * negative errno. */
void trust_text(const struct trust *t, struct buf *out);
int trust_write(const char *dir, struct bytes text);

enum trust_role trust_role(const struct trust *t, const struct key_id *id);
const char *trust_role_word(enum trust_role role);
bool trust_role_read(struct bytes word, enum trust_role *role); /* any but the stranger's */

const struct trust_key *trust_find(const struct trust *t, const struct key_id *id);
const struct trust_key *trust_at(const struct trust *t, size_t i); /* NULL after the last */

/* Adds or changes a key; it is not pending any more. `name` and `address` may be NULL: what is known
 * stays. False if the list is full. With `given` it is of the command line, and never changes what
 * the file says. */
bool trust_put(struct trust *t, const struct key_id *id, enum trust_role role, const char *name,
	       const char *address, bool given);
/* Forgets under this key any replica, so that it may have another key from now on. */
void trust_unbind(struct trust *t, const struct key_id *id);

/* This replica is seen under this key. False if it was seen under another one, in *other; or if
 * there are too many. *changed: it is new, and to be written. */
bool trust_bind(struct trust *t, const struct key_id *id, const struct replica_id *replica,
		struct key_id *other, bool *changed);

/* Under which key this replica was seen; NULL: it never was. */
const struct key_id *trust_key_of(const struct trust *t, const struct replica_id *replica);

/* A stranger from this address. True if it is to be told of: new, or long not seen. */
bool trust_asked(struct trust *t, const struct key_id *id, const char *address, int64_t now_ns);
const struct trust_pending *trust_pending_at(const struct trust *t, size_t i);

#endif
