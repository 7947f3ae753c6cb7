/*
 * What was settled, so that it can be taken back, also after a restart: a file `settled` in the state
 * directory, to which a frame is appended for each resolution and each change of one. It is read with
 * care: a torn or damaged frame ends the reading, and what stands before it counts. Losing it loses
 * nothing but the taking back: every content is in the trash.
 */
#ifndef TUTTI_DEEDS_H
#define TUTTI_DEEDS_H

#include "entry.h"
#include "world.h"

enum { DEEDS_MAX = 1000 }; /* kept; the oldest go */

/* A file as it was before. */
struct deed_file {
	struct bytes path;
	struct bytes now;     /* the path where it is since; empty: in the trash alone */
	struct bytes target;  /* of a symlink */
	struct bytes by;      /* name of the replica that made it */
	char trash[sizeof(((struct op *)0)->trash)]; /* its name there, "" if it is not */
	uint64_t size;
	int64_t mtime_ns;
	uint8_t hash[HASH_SIZE];
	uint16_t mode;
	uint8_t kind;         /* KIND_FILE, KIND_SYMLINK, or KIND_DIR, which stays as it is */
};

enum deed_state {
	DEED_DONE,   /* can be taken back */
	DEED_UNDONE, /* was taken back: its files lie beside each other and wait to be settled again */
	DEED_OVER,   /* nothing of the kind any more */
};

/* One resolution. files[0] is what had the name. All bytes are its own. */
struct deed {
	uint64_t n;          /* grows */
	int64_t time_ns;
	enum deed_state state;
	struct deed_file *files;
	size_t n_files;
};

void deed_release(struct deed *d);
/* Another file, with copies of the bytes of `f`. */
void deed_add(struct deed *d, const struct deed_file *f);

struct deeds {
	char *path, *path_new;
	size_t frames; /* in the file */
	struct deed *items; /* not over, by n; owned */
	size_t n, cap;
	uint64_t next;      /* number of the next one */
};

/* Reads what is in the folder `dir`. */
void deeds_init(struct deeds *d, const char *dir);
void deeds_release(struct deeds *d);

/* Appends what became of one, durably: 0 or a negative errno. Touches nothing of `d` but the file and
 * its length, so that a worker may do it while the loop reads `items`; one call at a time. */
int deeds_write(struct deeds *d, const struct deed *deed);
/* Takes it over among `items`: a new one, or the new state of one that is there. */
void deeds_put(struct deeds *d, struct deed *deed);
/* NULL if there is none of that number. */
struct deed *deeds_find(struct deeds *d, uint64_t n);

#endif
