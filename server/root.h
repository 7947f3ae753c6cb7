/*
 * The served directory: its held descriptor, its mark in `.tutti/`, the lock against a second
 * daemon, and the only way to reach a path in it (component by component, no symlink followed,
 * never onto another file system).
 *
 * A root may be used by several threads at once: nothing in it changes after root_mark(), but
 * counters. Walks belong to one thread.
 */
#ifndef TUTTI_ROOT_H
#define TUTTI_ROOT_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "path.h"
#include "world.h"

#define ROOT_ID_TEXT 32 /* hex digits of the mark */

struct root;

enum root_state {
	ROOT_OK,
	ROOT_GONE,     /* nothing at the path of the root, or no folder, or it cannot be entered */
	ROOT_REPLACED, /* another folder is there (unmounted, mounted over, moved), or another mark */
	ROOT_NO_MARK,  /* the folder that is held, without its mark */
};

/* What the file system of the root can do, found out by trying (after a mark is there). */
struct root_abilities {
	bool exchange; /* two names can be swapped; without, replacing leaves a small window */
	bool lease;    /* who has a file open for writing can be told */
	bool local;    /* not a network file system: inotify sees all changes */
	bool folds;    /* a name is found by another spelling: capitals, or composed letters */
};

/* Opens the directory and, if it has a mark, locks it and prepares `.tutti/` (missing folders in it
 * are made). 0, or a negative errno and in *error one sentence (malloced)
 * that says what is wrong and what to do. */
int root_open(struct root **root, const char *dir, char **error);
void root_close(struct root *root); /* NULL is fine; the lock goes with it */

/* The mark as 32 hex digits; "" if the directory has none yet. */
const char *root_id(const struct root *root);

/* Makes the mark, for a directory that no index knows. Errors as root_open(). */
int root_mark(struct root *root, char **error);

/* Removes what an earlier life has left in tmp/; after recover(). */
void root_clean_tmp(struct root *root);

/* Is the directory still the one that was opened, with its mark? Cheap: a few system calls. */
enum root_state root_check(const struct root *root);
const char *root_state_text(enum root_state state); /* a reason for people */

struct root_abilities root_abilities(const struct root *root);
const char *root_path(const struct root *root); /* absolute, as opened, for messages */
int root_fd(const struct root *root);
int root_own_fd(const struct root *root);   /* .tutti, -1 without a mark */
int root_tmp_fd(const struct root *root);   /* .tutti/tmp, -1 without a mark */
int root_trash_fd(const struct root *root); /* .tutti/trash, -1 without a mark */
dev_t root_device(const struct root *root);
/* Space of the file system in bytes. */
int root_space(const struct root *root, uint64_t *size, uint64_t *available);
uint64_t root_next(struct root *root); /* 1, 2, 3...: for names in tmp/ */

/* What has the name `name` in the folder `dir` of the root, spelled exactly so; a symlink is not followed.
 * 0, or a negative errno. -ENOTUNIQ: the root folds names, and what is found is called otherwise;
 * `st` is of that, and `other` (may be NULL; "" unless) how it is spelled, or "?" if the system does
 * not tell. Reads the folder only on a root that folds, and only if something is found. */
int name_stat(const struct root *root, int dir, const char *name, struct stat *st,
	      char other[PATH_COMPONENT_MAX + 1]);

/*
 * A walk keeps the folders open that lead to the last path, so that many names in one folder cost
 * one walk. What it hands out is valid until its next call.
 */
struct walk {
	struct root *root;
	struct walk_step {
		int fd;
		dev_t dev;
		ino_t ino;
		size_t end; /* of this component in `path` */
	} *steps;
	size_t n;
	size_t cap;
	char path[PATH_BYTES_MAX + 1];
};

void walk_init(struct walk *w, struct root *root);
void walk_release(struct walk *w);

/* The descriptor of the folder `path` ("" is the root) or a negative errno: -EINVAL (no path for an
 * entry), -ENOENT (also if a folder is there by another spelling only), -ENOTDIR (a file or symlink is in the way), -EXDEV (another file system is
 * mounted there), -EACCES... The descriptor belongs to the walk. */
int walk_dir(struct walk *w, struct bytes path);

/* As walk_dir() for the parent of `path`, and the last component as a string. */
int walk_parent(struct walk *w, struct bytes path, char name[PATH_COMPONENT_MAX + 1]);

/* Are the folders of the last walk still reached by their names? 0 or -ESTALE. To be asked right
 * before a name is made or replaced through a descriptor that may have been open for a while. */
int walk_verify(struct walk *w);

/* Forgets what is open; the next call walks anew. */
void walk_reset(struct walk *w);

/* What a stat says, as the engine wants it (without hash and target). */
struct found found_from_stat(const struct stat *st);

#endif
