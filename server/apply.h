/*
 * Changing the disk so that no instant and no race loses anything: carries out the engine's
 * operations, keeps what they displace in the trash, and takes in contents that arrive in parts.
 * All functions may be called in any thread.
 *
 * How a name is replaced: the new object is complete and synced under a name in the trash, then the
 * two names are exchanged. So the displaced object lands in the trash in the same instant, and a
 * crash at any moment leaves each of the two under one of the two names. Which of them, and for what,
 * stands in the journal of intents before, and recover() reads it.
 */
#ifndef TUTTI_APPLY_H
#define TUTTI_APPLY_H

#include <stdatomic.h>

#include "digest.h"
#include "intents.h"

struct apply_env {
	struct intents *intents;   /* each operation stands there before a name changes; or NULL: a crash
	                              is then not to be recovered from */
	const atomic_bool *cancel; /* or NULL: true ends it between two operations (-ECANCELED) */
	bool without_sync;         /* for measuring only */
	bool without_exchange;     /* as on a file system that cannot exchange names, for tests */
	bool intended;             /* result: `batch` is to be settled when what the operations changed
	                              is stored (intents_settled) */
	struct intents_batch batch;
};

/* Carries out the operations in their order; results are in each. Those that succeeded are durable
 * when it returns. An operation may rely on folders that earlier ones make. Errors beside those that
 * world.h names: -ETXTBSY: somebody has the file open for writing, try later.
 * -ESTALE with a name in `trash`: while we put things back somebody edited what we had put in
 * place or made the name anew; that content is kept there. Nothing is ever lost. */
void apply_ops(struct root *root, struct op *ops, size_t n, struct apply_env *env);

/* A content that arrives in order, in parts, into a numbered temporary file. One thread at a time. */
struct tmp;

int tmp_open(struct root *root, struct tmp **tmp); /* 0 or a negative errno */
uint64_t tmp_number(const struct tmp *tmp);        /* for op.tmp */
uint64_t tmp_size(const struct tmp *tmp);          /* bytes so far */
int tmp_write(struct tmp *tmp, const void *p, size_t len);
/* Copies from a file that is here already, which must have that stamp before and after (-ESTALE). */
int tmp_write_from(struct tmp *tmp, struct bytes path, uint64_t stamp, uint64_t offset, uint64_t len);
/* Checks size and hash: 0 and the file stays under its number, for an operation with SOURCE_TMP
 * (which uses it up, whatever comes of it); or -EBADMSG or another errno, and it is gone. Frees. */
int tmp_finish(struct tmp *tmp, const uint8_t hash[HASH_SIZE], uint64_t size);
void tmp_discard(struct tmp *tmp);                 /* gone; frees; NULL is fine */
int tmp_remove(struct root *root, uint64_t number); /* of a finished one that nobody wants now */

#endif
