/*
 * What the engine asks of the disk and what it is told: the vocabulary shared by the pure engine
 * and by those who carry its actions out (server/ in tuttid, the simulator in the tests). Types only.
 */
#ifndef TUTTI_WORLD_H
#define TUTTI_WORLD_H

#include "entry.h"
#include "path.h"

/* No kinds that travel, only in `struct found`: a device, socket or fifo; and a folder where another
 * file system is mounted, which hides what is there. */
#define KIND_OTHER 4
#define KIND_MOUNT 5

/*
 * One object as the disk shows it. `stamp` is a hash of inode number, size, mtime and type (of a
 * folder: of inode number and type only), so equal stamps mean the same unmodified object as far as
 * those tell; rename and chmod keep it. `ctime_ns` changes with every change, rename and chmod included.
 */
struct found {
	uint64_t stamp;
	int64_t ctime_ns;
	int64_t mtime_ns;
	uint64_t size;
	uint8_t hash[HASH_SIZE]; /* set by a look, not by a listing */
	uint8_t *target;         /* symlink, by a look: `size` bytes, owned by whoever holds the struct */
	uint16_t mode;           /* bits of MODE_BITS */
	uint8_t kind;            /* enum kind or KIND_OTHER */
};

/* One name in a listed folder. */
struct listed {
	struct bytes name;
	struct found found; /* without hash and target */
};

/* A path to be looked at: read metadata, hash the content, make it durable. */
struct look {
	struct bytes path;
	/* Nothing tells of a write: a file that still has this stamp and this ctime is not read. */
	bool glance;
	uint64_t known_stamp;
	int64_t known_ctime_ns;
	/* results */
	char other[PATH_COMPONENT_MAX + 1]; /* of a file system that folds names: it has this one instead; or "" */
	bool unchanged; /* after a glance: it is as it was known, and `found` has no hash */
	struct found found;
	int error; /* 0; -EAGAIN: it changed while it was read; else a negative errno: could not be read.
	              A name that does not exist is no error but KIND_ABSENT. */
};

enum op_type {
	OP_WRITE,   /* a file takes the name: new or in place of what is expected there */
	OP_SYMLINK,
	OP_MKDIR,   /* a folder takes the name: new or in place of the expected file or symlink */
	OP_DELETE,  /* file or symlink: to the trash */
	OP_RMDIR,   /* only if empty; -ENOTEMPTY leaves it */
	OP_META,    /* set mtime and mode of the expected object */
};

enum op_source {
	SOURCE_NONE,
	SOURCE_DATA,  /* the bytes in `data` */
	SOURCE_TMP,   /* the finished temporary file number `tmp`, already verified; used up in any case */
	SOURCE_COPY,  /* the content of the file at `from`, which must still have `from_stamp` */
	SOURCE_MOVE,  /* the file at `from` itself: it goes away there */
};

/* One change of the disk that the engine wants. Everything is verified: contents against `hash`
 * (except SOURCE_MOVE, whose stamp vouches for it), what is at the name against `expect_*` before and
 * after the exchange. */
struct op {
	struct bytes path;
	enum op_type type;
	enum op_source source;
	uint8_t expect_kind;    /* enum kind; KIND_ABSENT: nothing may be there */
	uint64_t expect_stamp;  /* unless absent or a folder */
	uint64_t size;
	int64_t mtime_ns;
	uint16_t mode;
	uint8_t hash[HASH_SIZE];
	struct bytes data;      /* SOURCE_DATA, or the target of OP_SYMLINK */
	struct bytes from;
	uint64_t from_stamp;
	uint64_t tmp;
	struct bytes record;    /* opaque: for engine_load_applied(), should the program end before the
	                           outcome is stored; to be kept durably before any name changes */
	/* results */
	int error;              /* 0; -ESTALE: something else is there, look again; -EBADMSG: content does not
	                           match its hash; -ENOTUNIQ: `taken` has the name; else a negative errno, and
	                           nothing has changed */
	char taken[PATH_COMPONENT_MAX + 1]; /* by what other spelling, on a file system that folds names; or "" */
	struct found found;     /* what is at `path` now (after success), without hash and target */
	char trash[64];         /* name in the trash of what was displaced, "" if nothing was */
};

#endif
