/* Owns how one object takes the place of another without a moment or a race in which either is lost. */
#include "config.h"
#include "apply_internal.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct found stat_at(int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return (struct found){.kind = KIND_ABSENT};
	return found_from_stat(&st);
}

bool is_expected(const struct op *op, const struct found *f)
{
	if (f->kind != op->expect_kind)
		return false;
	return f->kind == KIND_ABSENT || f->kind == KIND_DIR || f->stamp == op->expect_stamp;
}

/* Takes a read lease: refused while anybody has the file open for writing, or mapped. Whoever opens it
 * for writing from now on waits until it is given back or the descriptor is closed. */
int lease_take(struct batch *b, int fd)
{
	if (!root_abilities(b->root).lease)
		return 0;
	/* the signal that tells us of somebody who waits must be a harmless one */
	(void)fcntl(fd, F_SETSIG, SIGURG);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN ? -ETXTBSY : 0;
	return 0;
}

void guard_drop(struct batch *b)
{
	if (b->guard >= 0)
		close(b->guard); /* and the lease */
	b->guard = -1;
}

/* Holds the file that is to be displaced under a lease, if that is possible. */
static int guard_take(struct batch *b, int dir, const char *name)
{
	guard_drop(b);
	if (!root_abilities(b->root).lease)
		return 0;
	b->guard = openat(dir, name, READ_FLAGS);
	if (b->guard < 0)
		return 0;
	int err = lease_take(b, b->guard);
	if (err || fcntl(b->guard, F_GETLEASE) != F_RDLCK)
		guard_drop(b);
	return err;
}

/* Has somebody begun to open the guarded file for writing? */
static bool guard_broken(const struct batch *b)
{
	return b->guard >= 0 && fcntl(b->guard, F_GETLEASE) != F_RDLCK;
}

/* What came out from under the name: 0 if it is what was expected, and at rest. */
int check_displaced(const struct batch *b, const struct op *op, const struct found *out)
{
	return !is_expected(op, out) ? -ESTALE : guard_broken(b) ? -ETXTBSY : 0;
}

/* So that a folder that cannot go does not lose its name even for a moment. */
static bool holds_something(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool something = false;
	for (struct dirent *e; d && !something && (e = readdir(d)); )
		something = strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return something;
}

int check_target(struct batch *b, const struct op *op, int parent, const char *name)
{
	struct found now = stat_at(parent, name);
	if (!is_expected(op, &now))
		return -ESTALE;
	if (now.kind == KIND_DIR) {
		/* it can be moved only if it may be written to */
		(void)loosen(b, parent, name, op->path);
		return holds_something(parent, name) ? -ENOTEMPTY : 0;
	}
	return now.kind == KIND_FILE ? guard_take(b, parent, name) : 0;
}

int to_trash(struct batch *b, int dir, const char *name, const char *trash)
{
	int err = rename_new(dir, name, root_trash_fd(b->root), trash);
	return err == -EEXIST ? -ESTALE : err; /* somebody put something there: another name next time */
}

void drop_ready(struct batch *b, struct op *op, const struct ready *r, bool had_name)
{
	if (r->home >= 0) {
		if (rename_new(root_trash_fd(b->root), r->name, r->home, r->home_name) < 0)
			memcpy(op->trash, r->name, strlen(r->name) + 1);
		return;
	}
	GROW(b->drops, b->cap_drops, b->n_drops + 1);
	b->drops[b->n_drops++] = (struct drop){op, *r, had_name};
}

static void drop_one(struct batch *b, const struct drop *d)
{
	int trash = root_trash_fd(b->root);
	const struct ready *r = &d->ready;
	struct found now = stat_at(trash, r->name);
	if (now.kind == KIND_ABSENT)
		return;
	/* Somebody may have found it while it had the name, and write to it even now: then the trash
	 * is where that must be. It goes when it expires, unless it was changed. */
	bool same = now.kind == r->placed.kind && now.stamp == r->placed.stamp;
	bool keep = !same || (d->had_name && now.kind == KIND_FILE);
	if (!keep && unlinkat(trash, r->name, now.kind == KIND_DIR ? AT_REMOVEDIR : 0) == 0)
		return;
	if (!same)
		memcpy(d->op->trash, r->name, strlen(r->name) + 1);
}

void drop_all(struct batch *b)
{
	for (size_t i = 0; i < b->n_drops; i++)
		drop_one(b, &b->drops[i]);
	b->n_drops = 0;
}

/* Something unexpected came out, `theirs`: it takes its name again. If meanwhile somebody put yet another
 * thing there, that is the newest, and keeps the name; what it replaced stays in the trash. */
static void exchange_back(struct batch *b, struct op *op, int parent, const char *name,
			  const struct ready *r, struct found theirs)
{
	enum { TRIES = 16 };
	int trash = root_trash_fd(b->root);
	struct found outside = r->placed, inside = theirs;
	for (unsigned i = 0; i < TRIES; i++) {
		if (renameat2(trash, r->name, parent, name, RENAME_EXCHANGE) < 0) {
			/* nothing has the name any more, so it is free; if not, the trash keeps it */
			if (rename_new(trash, r->name, parent, name) < 0)
				memcpy(op->trash, r->name, strlen(r->name) + 1);
			return;
		}
		struct found out = stat_at(trash, r->name);
		bool undisturbed = out.kind == outside.kind && out.stamp == outside.stamp;
		outside = inside;
		inside = out;
		if (undisturbed)
			break;
	}
	if (inside.kind == r->placed.kind && inside.stamp == r->placed.stamp)
		drop_ready(b, op, r, true);
	else
		memcpy(op->trash, r->name, strlen(r->name) + 1);
}

static int exchange(struct batch *b, struct op *op, int parent, const char *name,
		    const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	if (renameat2(trash, r->name, parent, name, RENAME_EXCHANGE) < 0) {
		int err = errno;
		drop_ready(b, op, r, false);
		return err == ENOENT ? -ESTALE : -err;
	}
	struct found out = stat_at(trash, r->name);
	int err = check_displaced(b, op, &out);
	if (err) {
		exchange_back(b, op, parent, name, r, out);
		return err;
	}
	if (out.kind == KIND_DIR) {
		if (unlinkat(trash, r->name, AT_REMOVEDIR) == 0)
			return 0;
		err = errno;
		exchange_back(b, op, parent, name, r, out);
		return err == EEXIST ? -ENOTEMPTY : -err;
	}
	memcpy(op->trash, r->name, strlen(r->name) + 1);
	touch(b, trash);
	return 0;
}

/* For file systems that cannot exchange: what is there is linked into the trash, then replaced, which
 * leaves a small window between. */
static int replace_in_steps(struct batch *b, struct op *op, int parent, const char *name,
			    const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	const char *old = r->old;
	int err;
	if (op->expect_kind == KIND_DIR) {
		if (unlinkat(parent, name, AT_REMOVEDIR) < 0) {
			err = errno == EEXIST ? -ENOTEMPTY : -errno;
			drop_ready(b, op, r, false);
			return err;
		}
		err = rename_new(trash, r->name, parent, name);
		if (err)
			drop_ready(b, op, r, false);
		return err == -EEXIST ? -ESTALE : err;
	}
	err = linkat(parent, name, trash, old, 0) < 0 ? -errno : 0;
	bool linked = !err;
	if (err == -EPERM || err == -EOPNOTSUPP || r->placed.kind == KIND_DIR) {
		/* no links here, or a folder comes: the name is free for a moment */
		if (linked)
			(void)unlinkat(trash, old, 0);
		err = renameat(parent, name, trash, old) < 0 ? -errno : 0;
		linked = false;
	}
	if (err) {
		drop_ready(b, op, r, false);
		return err == -ENOENT ? -ESTALE : err;
	}
	struct found out = stat_at(trash, old);
	err = check_displaced(b, op, &out);
	if (err) {
		/* it goes back below */
	} else if (linked) {
		/* the name as late as possible: it must still be the object that was linked */
		struct found now = stat_at(parent, name);
		err = !is_expected(op, &now) ? -ESTALE :
			renameat(trash, r->name, parent, name) < 0 ? -errno : 0;
	} else {
		err = rename_new(trash, r->name, parent, name);
		err = err == -EEXIST ? -ESTALE : err;
	}
	if (!err) {
		memcpy(op->trash, old, strlen(old) + 1);
		touch(b, trash);
		return 0;
	}
	if (linked)
		(void)unlinkat(trash, old, 0);
	else if (rename_new(trash, old, parent, name) < 0)
		memcpy(op->trash, old, strlen(old) + 1);
	drop_ready(b, op, r, false);
	return err;
}

int replace(struct batch *b, struct op *op, int parent, const char *name,
		   const struct ready *r)
{
	return b->exchange ? exchange(b, op, parent, name, r) :
		replace_in_steps(b, op, parent, name, r);
}
