/*
 * What the files of apply share: the batch that is being carried out, and the steps of it.
 * apply.c has the order of things, apply_content.c what is written, apply_replace.c how a name is
 * taken, apply_folders.c what folders need before and after, apply_intents.c what is said of it all
 * in the journal; tmp.c and trash.c are beside them.
 */
#ifndef TUTTI_APPLY_INTERNAL_H
#define TUTTI_APPLY_INTERNAL_H

#include <errno.h>
#include <fcntl.h>

#include "apply.h"
#include "write_full.h"

#define SYNC_EACH_MAX 8 /* more objects than this are synced by one sync of the file system */
#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* --- names in tmp/ and trash/ --- */

/* A letter and a number. */
#define TMP_NAME_SIZE 24
void tmp_name(char name[TMP_NAME_SIZE], char letter, uint64_t number);

/* `SECONDS.NANOSECONDS-BASENAME`, the base name cut to fit; as large as op.trash. */
#define TRASH_NAME_SIZE sizeof(((struct op *)0)->trash)

struct trash_stamp {
	int64_t s;
	long ns;
};
struct trash_stamp trash_stamp_now(void);
/* The name for the stamp; moves the stamp on, so that the next try is another name. */
void trash_name(char *name, struct trash_stamp *stamp, struct bytes base);
/* A name that nothing has, and that no other call gives out. */
void trash_new_name(struct root *root, char name[TRASH_NAME_SIZE], struct bytes base);

/* Renames to a name that must be free: -EEXIST. */
int rename_new(int from_dir, const char *from, int to_dir, const char *to);

/* --- the batch --- */

/* What was made ready in tmp/ for an operation. */
struct prepared {
	struct found placed; /* the object as we made it */
	int fd;              /* open until it is synced, or -1 */
	char name[TMP_NAME_SIZE]; /* in tmp/, "" if it is not there (any more) */
	char wait[TRASH_NAME_SIZE];  /* where it is to wait in trash/, "" if it does not */
	char trash[TRASH_NAME_SIZE]; /* where what it displaces is to lie */
};

/* A folder that gets its mode at the end: it was made, or made writable for the moment. */
struct mode_later {
	struct bytes path;
	ino_t ino;
	mode_t now;
	mode_t final;
	bool intended; /* it is to be settled */
	struct intents_batch batch;
};

/* An object of ours that is ready under a name in the trash, to be exchanged with the name. */
struct ready {
	const char *name;
	const char *old; /* where the displaced comes to lie, if the names cannot be exchanged */
	struct found placed;
	/* if the exchange does not come about, it goes back here; else it is removed */
	int home;
	const char *home_name;
};

/* What waited in vain. It goes only when the journal says so: until then its absence means that it
 * has its name. */
struct drop {
	struct op *op;
	struct ready ready;
	bool had_name; /* it was under the name that it was made for, for a moment */
};

struct batch {
	struct root *root;
	struct apply_env *env;
	struct digest *digest;
	uint8_t *block; /* COPY_BLOCK, made when needed */
	struct prepared *prepared;
	struct walk to;
	struct walk from;
	struct mode_later *modes;
	size_t n_modes, cap_modes;
	struct drop *drops;
	size_t n_drops, cap_drops;
	struct {
		int fd;
		ino_t ino;
	} touched[SYNC_EACH_MAX];
	size_t n_touched; /* more than SYNC_EACH_MAX: all is synced at once */
	int sync_fd;
	int guard; /* the file that is being displaced, under a lease; or -1 */
	uid_t uid;
	bool exchange;
	bool folds;
};

static inline bool means_absent(int err)
{
	return err == ENOENT || err == ENOTDIR;
}

/* --- apply_content.c --- */

bool cancelled(const struct apply_env *env);
/* Makes everything ready in tmp/ that is to be placed, writes the intents, and makes both durable;
 * clears all results. */
void prepare_all(struct batch *b, struct op *ops, size_t n);
void unprepare(struct batch *b, struct prepared *p);
/* The time of last change of a name (itself if it is a symlink), or of what is held. */
int set_times(int dir, const char *name, int64_t mtime_ns);
int set_times_held(int fd, int64_t mtime_ns);
void mtime_only(struct timespec t[2], int64_t mtime_ns);

/* --- apply_intents.c --- */

/* Writes what the operations without an error are about to do; an error of it is that of all. */
int intend(struct batch *b, struct op *ops, size_t n);
int intend_sync(struct batch *b);
/* Writes what came of them. `left`: something lies ready in vain, and goes only if that is durable:
 * false if it is not. */
bool intend_result(struct batch *b, const struct op *ops, size_t n, bool left);
/* The folder has another mode until the end of the batch. False: that could not be written. */
bool intend_mode(struct batch *b, struct mode_later *m);
void intend_mode_done(struct batch *b, struct mode_later *m);
/* The stamp of a file when its time is set. */
uint64_t stamp_with_time(struct stat st, int64_t mtime_ns);

/* --- apply_folders.c --- */

/* What `fd` holds is to be synced at the end. It stays the caller's. */
void touch(struct batch *b, int fd);
int sync_touched(struct batch *b);
int sync_all(struct batch *b);
/* As walk_parent(), also through folders of ours that lack permission, and verified to be what the
 * names lead to. */
int reach(struct batch *b, struct walk *w, struct bytes path, char name[PATH_COMPONENT_MAX + 1]);
/* Makes the folder `name` in `parent`, if it is ours, enterable and writable until the end of the
 * batch. False: it is that already, or not ours. */
bool loosen(struct batch *b, int parent, const char *name, struct bytes path);
/* The folder gets `final` at the end, unless somebody has changed it from `now` by then. */
void set_later(struct batch *b, const struct mode_later *m);
void set_modes(struct batch *b);
/* A name of what a descriptor holds, for calls that take no O_PATH descriptor. */
void held_name(char link[32], int fd);
int chmod_held(int fd, mode_t mode);

/* --- apply_replace.c --- */

/* It is not wanted any more: it goes home now, or is removed at the end of the batch. */
void drop_ready(struct batch *b, struct op *op, const struct ready *r, bool had_name);
void drop_all(struct batch *b);
/* Takes the name, and what had it is in the trash (op->trash), if that is what was expected. */
int replace(struct batch *b, struct op *op, int parent, const char *name, const struct ready *r);
/* Moves a name into the trash, under one that was chosen before. */
int to_trash(struct batch *b, int dir, const char *name, const char *trash);
struct found stat_at(int dir, const char *name);
bool is_expected(const struct op *op, const struct found *f);
/* Is what is at the name what the engine expects, and at rest? A file is guarded from here on. */
int check_target(struct batch *b, const struct op *op, int parent, const char *name);
/* The same of what came out from under the name. */
int check_displaced(const struct batch *b, const struct op *op, const struct found *out);
/* Takes a read lease: -ETXTBSY while anybody has the file open for writing. */
int lease_take(struct batch *b, int fd);
void guard_drop(struct batch *b);

#endif
