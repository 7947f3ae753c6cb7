/*
 * Owns the form of states and entries as bytes: on the wire, and in the index on disk.
 *
 * Replicas are named by their position in a list of ids, which goes along with the entries, so
 * that a dot takes a few bytes. The four values of a state:
 *	heads    [[kind, size, mtime, hash, target, position, counter, rank, found]...]
 *	         kind 1 file, 2 directory, 3 symlink; hash: 32 bytes, nil of a directory;
 *	         target: bytes of a symlink, else nil; found: may be missing, which is false
 *	context  [[position, counter]...]
 *	mode     nil, or [bits, rank, position, counter]
 *	gone     nil, or the 32 bytes of the hash that was deleted; of tombstones only
 */
#ifndef TUTTI_CODEC_H
#define TUTTI_CODEC_H

#include "entry.h"
#include "wire.h"

#define COUNTER_MAX ((uint64_t)1 << 62)
#define INDEX_DATA_MAX (16 * 1024) /* content that travels inside an entry, bytes */

/* The ids that the entries packed so far name. */
struct codec_ids {
	const struct replica_id *known; /* id of each rep_t; borrowed */
	rep_t *reps;                    /* position -> replica */
	size_t n, cap;
	uint16_t *positions;            /* replica -> position + 1, or 0 */
	size_t n_positions;
};

/* `known` must stay until release, and cover every replica that is packed; after it was moved,
 * call init or set it again. */
void codec_ids_init(struct codec_ids *ids, const struct replica_id *known);
void codec_ids_clear(struct codec_ids *ids);
void codec_ids_release(struct codec_ids *ids);
/* The position of a replica, added at the end if it is new. */
size_t codec_ids_put(struct codec_ids *ids, rep_t rep);
/* The array of ids; packed after the entries, since they make it. */
void codec_pack_ids(struct buf *out, const struct codec_ids *ids);
/* Reads such an array into out[0..REPLICAS_MAX-1]. The number of ids, or -EPROTO: not an array of
 * different ids, or too many. */
int codec_unpack_ids(const msgpack_object *array, struct replica_id out[REPLICAS_MAX]);

/* Packs four values. Without `ids`, positions are the numbers of the replicas as they are (for an
 * index that numbers replicas like its engine). */
void codec_pack_state(struct buf *out, const struct state *s, struct codec_ids *ids);

/* Reads four values one after another. reps[position] is the replica; NULL: the position itself,
 * as packed without ids. Positions from n_ids on are refused. 0 and a state that the caller
 * releases, or -EPROTO and an empty one. What comes back keeps all that entry.h promises, and its
 * heads are inside its context. */
int codec_unpack_state(const msgpack_object *four, const rep_t *reps, size_t n_ids,
		       struct state *out);

/* One element of the list in `index`. `path` and `data` are borrowed. */
struct codec_entry {
	struct bytes path;
	uint64_t seq;
	struct state state; /* owned when unpacked: state_release() */
	struct bytes data;
	bool has_data;      /* empty content is content too */
};

void codec_pack_entry(struct buf *out, const struct codec_entry *e, struct codec_ids *ids);
/* Bytes that codec_pack_entry would add, or a little more. */
size_t codec_entry_size(const struct codec_entry *e);
/* 0 or -EPROTO; the path has passed path_check, the state is not empty, data comes only with a
 * file among the heads that has its size. */
int codec_unpack_entry(const msgpack_object *o, const rep_t *reps, size_t n_ids,
		       struct codec_entry *out);

#endif
