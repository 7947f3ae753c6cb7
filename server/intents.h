/*
 * The journal of intents, `.tutti/intents`: what operations are about to do to names, written durably
 * before they do it, and what came of them; so that after a crash recover.h can tell what was done.
 *
 * Two files are used in turn, each from its beginning again when all that it tells of is stored in the
 * index; each batch is one frame with a checksum. What is read is hostile until checked: a torn end
 * and damaged parts are passed over. Writing may be done by several threads at once.
 */
#ifndef TUTTI_INTENTS_H
#define TUTTI_INTENTS_H

#include "root.h"

struct intents;

enum intent_result {
	INTENT_UNKNOWN, /* the program ended before it said */
	INTENT_DONE,
	INTENT_UNDONE,  /* it failed; the names are as they were */
};

/* Beside the types of operations: the folder at `path` has `mode_now` for the moment instead of `mode`. */
#define INTENT_MODE 100

#define INTENT_NAME_SIZE sizeof(((struct op *)0)->trash)

/* One operation. Bytes belong to the caller, or, of what was read, to the intents. */
struct intent {
	uint64_t number;      /* set by intents_write(): consecutive in a batch */
	uint8_t type;         /* enum op_type or INTENT_MODE */
	uint8_t source;       /* enum op_source */
	uint8_t expect_kind;
	uint8_t placed_kind;  /* of what takes the name */
	uint16_t mode;        /* that it is to have in the end */
	uint16_t mode_now;    /* that a folder has until then */
	uint64_t expect_stamp;
	uint64_t placed_stamp;
	uint64_t final_stamp; /* when its time is set as well */
	int64_t mtime_ns;
	uint64_t size;
	struct bytes path;
	struct bytes from;    /* SOURCE_MOVE */
	struct bytes record;  /* of the engine */
	char tmp[INTENT_NAME_SIZE];   /* where it lies ready in tmp/, or "" */
	char wait[INTENT_NAME_SIZE];  /* where it waits in trash/ for the exchange, or "" */
	char trash[INTENT_NAME_SIZE]; /* where what is displaced comes to lie in trash/, or "" */
	bool skip;            /* not to be written: the operation has failed already */
	/* of what was read */
	enum intent_result result;
	bool same_boot;       /* the machine has been up since: no write was lost */
	uint8_t file;         /* intents.c's own */
};

/* Finds out which start of the machine this is, once for the program; before it is confined. */
void intents_boot(void);

/* Opens the journal (made if missing) and reads what an earlier life left in it; to be settled as
 * INTENTS_EARLIER when that is stored. 0 or a negative errno (-EROFS: nothing can be applied either). */
int intents_open(struct intents **in, struct root *root);
void intents_close(struct intents *in); /* NULL is fine */

/* What was read, in the order in which it was written; valid until the earlier life is settled. */
const struct intent *intents_earlier(const struct intents *in, size_t *n);

/* Adds, durably, what was found out about those of the earlier life: one enum intent_result for each.
 * 0 or a negative errno. */
int intents_decided(struct intents *in, const uint8_t *results);

/* Where a batch was written. */
struct intents_batch {
	uint64_t first;  /* number of the first */
	size_t n;
	unsigned file;
};
#define INTENTS_EARLIER NULL

/* Writes a batch: 0, or a negative errno and nothing counts as written. It is durable only after
 * intents_sync(), or a sync of the file system. Each batch that was written is settled once. */
int intents_write(struct intents *in, struct intent *list, size_t n, struct intents_batch *batch);
int intents_sync(struct intents *in, const struct intents_batch *batch);
/* Adds what came of a batch: one enum intent_result for each. Not synced. 0 or a negative errno. */
int intents_result(struct intents *in, const struct intents_batch *batch, const uint8_t *results);

/* All that the batch (or the earlier life) changed is durable in the index. */
void intents_settled(struct intents *in, const struct intents_batch *batch);

#endif
