/*
 * inotify on the loop's thread: watches folders, which have numbers of the caller, and tells what
 * happens in them. A folder that gets no watch is the caller's to poll.
 */
#ifndef TUTTI_WATCH_H
#define TUTTI_WATCH_H

#include "base.h"

struct ev_loop;
struct watch;

/* The number of the root's folder. */
#define WATCH_ROOT 0u

enum watch_what {
	WATCH_CHANGED,  /* name: closed after writing */
	WATCH_TOUCHED,  /* name: its attributes changed, or it was moved in; nothing was written */
	WATCH_WRITING,  /* name: written to, still open */
	WATCH_CREATED,  /* name: new; a file may still be open, a folder is to be listed */
	WATCH_GONE,     /* name: deleted or moved out of the tree */
	WATCH_MOVED,    /* dir/name is now to_dir/to_name; what was there before is gone */
	WATCH_AGAIN,    /* no name: list this folder again, events may have been missed */
	WATCH_LOST,     /* no name: this folder has no watch any more (deleted, unmounted) */
	WATCH_OVERFLOW, /* no folder: events were lost, walk everything */
	WATCH_ROOT_GONE, /* the root itself was deleted, moved or unmounted: root_check() */
};

struct watch_event {
	enum watch_what what;
	bool is_dir;         /* the name is of a folder (CREATED, GONE, MOVED, CHANGED) */
	uint32_t dir;
	uint32_t to_dir;
	struct bytes name;   /* valid during the call */
	struct bytes to_name;
};

typedef void watch_fn(void *ctx, const struct watch_event *e);

/* Never fails: without inotify (limit of instances) watch_add() returns the reason each time. */
struct watch *watch_new(struct ev_loop *loop, watch_fn *fn, void *ctx);
void watch_free(struct watch *w); /* NULL is fine */

/* Puts a watch on an open folder: its number wd, or -ENOSPC, -EMFILE... Any thread may call it;
 * the first argument is a struct watch (it fits scan_list()). Each wd goes to watch_register() or to
 * watch_drop(), also if it is one that the folder had before. */
int watch_add(void *watch, int fd);

/* From here on events of `wd` are told as of folder `dir`. If some came before, or the watch is no more,
 * WATCH_AGAIN is told at once. A folder has one watch: an older one of `dir` is removed. */
void watch_register(struct watch *w, int wd, uint32_t dir);
/* A watch that will not be registered (the listing failed). That of a registered folder stays. */
void watch_drop(struct watch *w, int wd);
void watch_forget(struct watch *w, uint32_t dir);

/* Reads and tells all that the kernel has now, half moves included. */
void watch_drain(struct watch *w);

size_t watch_count(const struct watch *w);   /* registered folders */
int watch_problem(const struct watch *w);    /* 0, or why there is no inotify (negative errno) */

#endif
