/*
 * The trash, `.tutti/trash`: what was displaced from a name or deleted by a peer's change, and lies
 * here for a while. What the index knows of it (where it was, what it holds, who displaced it) is a
 * row of store.h, under the same name. All functions may be called in any thread; the root may be one
 * that cannot be written to (-EROFS).
 */
#ifndef TUTTI_TRASH_H
#define TUTTI_TRASH_H

#include "root.h"

/* Names in the trash are `SECONDS.NANOSECONDS-BASENAME`, at most TRASH_NAME_MAX bytes, each used once;
 * the base name is cut to fit, so it may end inside a character. */
#define TRASH_NAME_MAX (sizeof(((struct op *)0)->trash) - 1)

/* When the thing was put there (ns since 1970), from its name; -1: not a name of ours. */
int64_t trash_time(struct bytes name);

struct trash_item {
	const char *name;
	int64_t time_ns;  /* when it was put there */
	uint64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint8_t kind;
	bool changed;     /* by its times it was written to since, through a descriptor that was open */
};

/* Calls for each thing in the trash, in no order; 0 or a negative errno. */
int trash_list(struct root *root, void (*item)(void *ctx, const struct trash_item *item), void *ctx);

/* What is there under a name now: 0, -ENOENT, -EINVAL (not a name of ours). */
int trash_look(struct root *root, const char *name, struct trash_item *item);

/* What the index knows of a thing. */
struct trash_known {
	char *name;
	struct bytes path;       /* where it was */
	bool measured;           /* size and mtime are what it had when it was put there */
	uint64_t size;
	int64_t mtime_ns;
	uint8_t hash[HASH_SIZE]; /* if hashed */
	bool hashed;
};

struct trash_tidying {
	int64_t now_s;       /* by the clock that the names in the trash are of */
	int64_t max_age_s;   /* what is older goes, and */
	uint64_t max_bytes;  /* the oldest until no more than that is left */
	const struct trash_known *known; /* sorted by name, bytewise */
	size_t n_known;
	/* Told of each that is not there any more: removed now or by somebody else; and of each that was
	 * moved to `path`. `ctx` is theirs. */
	void (*gone)(void *ctx, const char *name);
	void (*saved)(void *ctx, const char *name, struct bytes path);
	void *ctx;
	/* Told of each that stays and that the index should know by now, but does not: it was lost, or the
	 * program ended before it was stored. May be NULL. */
	void (*found)(void *ctx, const struct trash_item *item);
	/* What was put there at such times is removed for its age alone, and does not count for max_bytes. */
	const struct trash_span {
		int64_t from_ns, to_ns;
	} *spared;
	size_t n_spared;
	/* Told of each that goes before its time, for its size; then gone(). May be NULL. */
	void (*early)(void *ctx, const struct trash_item *item);
};
enum { TRASH_KNOWN_S = 60 }; /* by then */

/* Empties the trash as far as it must be. What was written to after it was put there is not removed,
 * whatever its age: somebody had it open, and it holds what exists nowhere else. When it is at rest it
 * is moved beside the path where it was (trash_restore_beside). 0 or a negative errno. */
int trash_tidy(struct root *root, const struct trash_tidying *t);

/* Moves a thing from the trash to `path`, durably. -EEXIST: something is there already, and stays;
 * -ENOENT: the folder of the path or the thing is not there; others of walk_parent(). */
int trash_restore(struct root *root, const char *name, struct bytes path);

/* The same beside `path`, under a name that is free: `stem.saved-DATE-TIME.ext`. The path that it got
 * is appended to `got`. If the folder of the path is not there (any more), in the next one above. */
int trash_restore_beside(struct root *root, const char *name, struct bytes path, struct buf *got);

/* The SHA-256 of a file in the trash (of the target of a symlink), or a negative errno. */
int trash_hash(struct root *root, const char *name, uint8_t hash[HASH_SIZE]);

/* Opens a file in the trash for reading; its descriptor or a negative errno. */
int trash_open(struct root *root, const char *name);

#endif
