/*
 * What one replica holds at one path (doc/ARCHITECTURE.md has the words): heads, context, and the
 * register of the permission bits; and the merge of two such states. Knows nothing of paths or of disks.
 */
#ifndef TUTTI_ENTRY_H
#define TUTTI_ENTRY_H

#include "version.h"

#define HASH_SIZE 32
#define HEADS_MAX 64         /* concurrent heads at one path; more are refused from a peer */
#define SYMLINK_MAX 4095     /* bytes of a symlink's target */
#define MODE_BITS 0777u      /* only these travel */

enum kind { KIND_ABSENT, KIND_FILE, KIND_DIR, KIND_SYMLINK };

const char *kind_text(enum kind k); /* "absent", "file", "directory", "symlink" */

/* One content not yet replaced. For a symlink `hash` is the SHA-256 of the target and `target` its
 * bytes (size bytes, owned by the head); directories have a zero hash and size. */
struct head {
	struct dot dot;
	int64_t rank;    /* ns; the larger wins among concurrent heads */
	int64_t mtime;   /* ns since 1970; data, never a reason */
	uint64_t size;
	uint8_t hash[HASH_SIZE];
	uint8_t *target;
	uint8_t kind;    /* enum kind, never KIND_ABSENT */
	bool found;      /* by the first walk after an index was lost: it may be old or new, nobody can tell */
};

/* The permission bits: the highest rank wins, then the narrower bits; no copies. No dot: unknown. Rank 0
 * is of a copy that took them from what it is a copy of; what somebody set has more. */
struct mode_reg {
	int64_t rank;
	struct dot dot;
	uint16_t bits;
};

/* Heads are sorted by dot. No heads and a context: a tombstone. Neither: nothing was ever here. */
struct state {
	struct head *heads;
	struct version context;
	struct mode_reg mode;
	/* Of a tombstone: the content that was deleted. Zero: a folder's; 1 (in the last byte): of what was no folder, and
	 * went because its content had gone elsewhere. Else zero. */
	uint8_t gone[HASH_SIZE];
	uint16_t n_heads;
};

void head_release(struct head *h);
struct head head_copy(const struct head *h);
/* Same kind and same content; dots, times and ranks do not matter. */
bool head_same_content(const struct head *a, const struct head *b);
/* Total order of heads: rank, then content hash, then kind, then dot by `ids` (see state_winner). */

void state_release(struct state *s);
struct state state_copy(const struct state *s);
bool state_empty(const struct state *s); /* never seen: no context */
bool state_eq(const struct state *a, const struct state *b);

/* a := merge(a, b): keeps a head if both list it or if the other's context lacks its dot; unites
 * contexts; the higher mode register wins. Commutative, associative, idempotent. */
void state_merge(struct state *a, const struct state *b);

/* The head that keeps the name among `heads`: a directory before all, else the highest rank;
 * ties by content hash, then by dot, in the order of the replica ids in `ids` (indexed by rep_t),
 * so that all replicas agree. NULL if there are none. Valid until the state changes. */
const struct head *state_winner(const struct state *s, const struct replica_id *ids);
/* As above, but of the files and symlinks only (for a name that a live child needs). */
const struct head *state_winner_content(const struct state *s, const struct replica_id *ids);

const struct head *state_find(const struct state *s, struct dot d);
void state_remove_head(struct state *s, struct dot d); /* the context stays */
void state_add_head(struct state *s, const struct head *h); /* copies; context gets the dot */

/* A number that is equal for equal states on all replicas (of context and mode register, with ids
 * in place of numbers). 0 for the empty state. */
uint64_t state_stamp(const struct state *s, const struct replica_id *ids);

#endif
