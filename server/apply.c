/*
 * Owns how operations change the disk: contents first (written, verified, synced), then the names
 * in their order, then modes and folders, then what is there now.
 */
#include "config.h"
#include "apply_internal.h"

#include <stdlib.h>
#include <unistd.h>

/* A prepared file or symlink takes the name. */
static int place(struct batch *b, struct op *op, struct prepared *p, int parent, const char *name)
{
	int tmp = root_tmp_fd(b->root);
	if (op->expect_kind == KIND_ABSENT) {
		int err = rename_new(tmp, p->name, parent, name);
		if (!err)
			p->name[0] = '\0';
		return err == -EEXIST ? -ESTALE : err;
	}
	struct ready r = {.name = p->wait, .old = p->trash, .placed = p->placed, .home = -1};
	int err = check_target(b, op, parent, name);
	if (!err)
		err = to_trash(b, tmp, p->name, r.name);
	if (err)
		return err;
	p->name[0] = '\0';
	return replace(b, op, parent, name, &r);
}

/* --- metadata --- */

/* Sets time and mode of what has this stamp; `after` is the object then. A change of the content
 * between the check and the new time would be hidden by it, so writers are kept out by a lease where
 * there are leases. */
static int set_meta(struct batch *b, const struct op *op, int parent, const char *name,
		    uint64_t stamp, uint8_t kind, struct found *after)
{
	struct stat st;
	int err = 0;
	if (kind == KIND_SYMLINK) {
		err = set_times(parent, name, op->mtime_ns);
		*after = stat_at(parent, name);
		touch(b, parent);
		return err;
	}
	mode_t mode = op->mode & MODE_BITS;
	int fd = openat(parent, name, READ_FLAGS);
	bool readable = fd >= 0;
	if (!readable && errno == EACCES)
		fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return means_absent(errno) || errno == ELOOP || errno == ENXIO ? -ESTALE : -errno;
	bool leased = kind == KIND_FILE && readable;
	if (leased)
		err = lease_take(b, fd);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (!err) {
		struct found now = found_from_stat(&st);
		if (now.kind != kind || (kind == KIND_FILE && now.stamp != stamp))
			err = -ESTALE;
	}
	/* a folder that is to get its mode later gets this one then */
	for (size_t i = 0; !err && kind == KIND_DIR && i < b->n_modes; i++) {
		if (b->modes[i].ino == st.st_ino) {
			b->modes[i].final = mode;
			mode = st.st_mode & MODE_BITS;
		}
	}
	if (!err && kind == KIND_FILE)
		err = set_times_held(fd, op->mtime_ns);
	if (!err && (st.st_mode & MODE_BITS) != mode)
		err = chmod_held(fd, mode);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (!err) {
		*after = found_from_stat(&st);
		after->mode = op->mode & MODE_BITS; /* another one is somebody's change */
	}
	if (leased)
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	if (!err)
		touch(b, readable ? fd : parent);
	close(fd);
	return err;
}

/* --- one operation --- */

/* Is the file that is to be moved the very one that has the name already, in another spelling? */
static bool only_respelled(const struct op *op)
{
	return op->type == OP_WRITE && op->source == SOURCE_MOVE && op->expect_kind == KIND_ABSENT &&
		bytes_eq(path_parent(op->from), path_parent(op->path)) &&
		bytes_eq(path_base(op->from), bytes_of(op->taken));
}

/* On a root that folds names: the name must be free, or be of the expected object exactly as it is spelled. */
static int check_spelling(struct batch *b, struct op *op, int parent, const char *name)
{
	struct stat st;
	int err = name_stat(b->root, parent, name, &st, op->taken);
	if (err != -ENOTUNIQ)
		return means_absent(-err) ? 0 : err;
	if (op->expect_kind == KIND_ABSENT)
		return only_respelled(op) ? 0 : err;
	op->taken[0] = '\0';
	return -ESTALE;
}

/* The system takes both spellings for one name, so that a rename would do nothing: by way of the trash. */
static int respell(struct batch *b, struct op *op, const struct prepared *p, int parent, const char *name,
		   const char *from_name)
{
	struct ready r = {.name = p->wait, .placed = p->placed, .home = parent, .home_name = from_name};
	int trash = root_trash_fd(b->root);
	int err = to_trash(b, parent, from_name, r.name);
	if (err)
		return err == -ENOENT ? -EBADMSG : err;
	struct found now = stat_at(trash, r.name);
	err = now.kind != KIND_FILE || now.stamp != op->from_stamp ? -EBADMSG :
		rename_new(trash, r.name, parent, name);
	if (err)
		drop_ready(b, op, &r, false);
	else
		touch(b, trash);
	return err == -EEXIST ? -ESTALE : err;
}

static int do_move(struct batch *b, struct op *op, struct prepared *p, int parent, const char *name)
{
	char from_name[PATH_COMPONENT_MAX + 1];
	struct stat st;
	int from = reach(b, &b->from, op->from, from_name);
	if (from < 0)
		return means_absent(-from) ? -EBADMSG : from;
	if (b->folds && name_stat(b->root, from, from_name, &st, NULL) < 0)
		return -EBADMSG;
	p->placed = stat_at(from, from_name);
	if (p->placed.kind != KIND_FILE || p->placed.stamp != op->from_stamp)
		return -EBADMSG;
	int err;
	if (op->taken[0]) {
		err = respell(b, op, p, parent, name, from_name);
		if (err)
			return err;
		op->taken[0] = '\0';
	} else if (op->expect_kind == KIND_ABSENT) {
		err = rename_new(from, from_name, parent, name);
		if (err)
			return err == -EEXIST ? -ESTALE : err == -ENOENT ? -EBADMSG : err;
		struct found now = stat_at(parent, name);
		if (now.kind != KIND_FILE || now.stamp != op->from_stamp) {
			/* not the one: both names as they were, or, if that is no more possible, the user's
			 * file stays under the new name, where the next look finds it */
			(void)rename_new(parent, name, from, from_name);
			return -EBADMSG;
		}
	} else {
		struct ready r = {.name = p->wait, .old = p->trash, .placed = p->placed, .home = from,
			.home_name = from_name};
		err = check_target(b, op, parent, name);
		if (!err)
			err = to_trash(b, from, from_name, r.name);
		if (err)
			return err == -ENOENT ? -EBADMSG : err;
		struct found now = stat_at(root_trash_fd(b->root), r.name);
		if (now.kind != KIND_FILE || now.stamp != op->from_stamp) {
			drop_ready(b, op, &r, false);
			return -EBADMSG;
		}
		err = replace(b, op, parent, name, &r);
		if (err)
			return err;
	}
	touch(b, from);
	struct found after;
	/* as good as possible; what came of it is in the result */
	if ((p->placed.mtime_ns != op->mtime_ns || p->placed.mode != (op->mode & MODE_BITS)) &&
	    set_meta(b, op, parent, name, op->from_stamp, KIND_FILE, &after) == 0)
		p->placed = after;
	return 0;
}

static int do_mkdir(struct batch *b, struct op *op, const struct prepared *p, int parent,
		    const char *name)
{
	int trash = root_trash_fd(b->root);
	struct stat st;
	int err = 0;
	if (op->expect_kind == KIND_DIR) {
		struct found now = stat_at(parent, name);
		return now.kind != KIND_DIR ? -ESTALE :
			set_meta(b, op, parent, name, 0, KIND_DIR, &now);
	}
	if (op->expect_kind == KIND_ABSENT) {
		err = mkdirat(parent, name, 0700) < 0 ? -errno : 0;
		if (err)
			return err == -EEXIST ? -ESTALE : err;
	} else {
		struct ready r = {.name = p->wait, .old = p->trash, .home = -1};
		err = check_target(b, op, parent, name);
		if (err)
			return err;
		if (mkdirat(trash, r.name, 0700) < 0)
			return errno == EEXIST ? -ESTALE : -errno;
		r.placed = stat_at(trash, r.name);
		err = replace(b, op, parent, name, &r);
		if (err)
			return err;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		set_later(b, &(struct mode_later){.path = op->path, .ino = st.st_ino,
			.now = st.st_mode & MODE_BITS, .final = op->mode & MODE_BITS});
	return 0;
}

static int do_delete(struct batch *b, struct op *op, const struct prepared *p, int parent,
		     const char *name)
{
	int trash = root_trash_fd(b->root);
	int err = op->expect_kind == KIND_FILE || op->expect_kind == KIND_SYMLINK ?
		check_target(b, op, parent, name) : -ESTALE;
	if (!err) {
		err = to_trash(b, parent, name, p->trash);
		if (!err)
			memcpy(op->trash, p->trash, sizeof(op->trash));
	}
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	struct found out = stat_at(trash, op->trash);
	err = check_displaced(b, op, &out);
	if (err) {
		if (rename_new(trash, op->trash, parent, name) == 0)
			op->trash[0] = '\0';
		return err;
	}
	touch(b, trash);
	return 0;
}

static int do_rmdir(int parent, const char *name)
{
	if (stat_at(parent, name).kind != KIND_DIR)
		return -ESTALE;
	int err = unlinkat(parent, name, AT_REMOVEDIR) < 0 ? errno : 0;
	return err == EEXIST ? -ENOTEMPTY : means_absent(err) ? -ESTALE : -err;
}

static int do_op(struct batch *b, struct op *op, struct prepared *p)
{
	char name[PATH_COMPONENT_MAX + 1];
	int err = -EINVAL;
	int parent = reach(b, &b->to, op->path, name);
	if (parent < 0)
		return parent;
	int spelling = b->folds ? check_spelling(b, op, parent, name) : 0;
	if (spelling)
		return spelling;
	switch (op->type) {
	case OP_WRITE:
		err = op->source == SOURCE_MOVE ? do_move(b, op, p, parent, name) :
			place(b, op, p, parent, name);
		break;
	case OP_SYMLINK:
		err = place(b, op, p, parent, name);
		break;
	case OP_MKDIR:
		err = do_mkdir(b, op, p, parent, name);
		break;
	case OP_DELETE:
		err = do_delete(b, op, p, parent, name);
		break;
	case OP_RMDIR:
		err = do_rmdir(parent, name);
		break;
	case OP_META:
		p->placed = stat_at(parent, name);
		err = !is_expected(op, &p->placed) || p->placed.kind == KIND_ABSENT ? -ESTALE :
			set_meta(b, op, parent, name, op->expect_stamp, op->expect_kind, &p->placed);
		break;
	}
	if (!err && op->type != OP_META)
		touch(b, parent);
	guard_drop(b);
	return err;
}

/* What is at the name at last. If that is not what we put there, somebody was quick: then the result
 * is our object as it was, with a change time that no later look will agree with. */
static void set_result(struct batch *b, struct op *op, const struct prepared *p)
{
	char name[PATH_COMPONENT_MAX + 1];
	if (op->type == OP_DELETE || op->type == OP_RMDIR)
		return;
	int parent = walk_parent(&b->to, op->path, name);
	struct found now = parent < 0 ? (struct found){.kind = KIND_ABSENT} : stat_at(parent, name);
	if (op->type == OP_MKDIR && now.kind == KIND_DIR) {
		op->found = now;
		op->found.mode = op->mode & MODE_BITS; /* what we made: another is somebody's change */
		return;
	}
	if (op->type == OP_MKDIR) {
		op->found = (struct found){.kind = KIND_DIR, .mode = op->mode & MODE_BITS};
		return;
	}
	if (now.kind == p->placed.kind && now.stamp == p->placed.stamp) {
		op->found = now;
		return;
	}
	op->found = p->placed;
	op->found.ctime_ns = 0;
}

void apply_ops(struct root *root, struct op *ops, size_t n, struct apply_env *env)
{
	struct batch b = {.root = root, .env = env, .digest = digest_new(), .sync_fd = -1,
		.guard = -1, .uid = geteuid()};
	b.prepared = xcalloc(n, sizeof(*b.prepared));
	b.exchange = root_abilities(root).exchange && !env->without_exchange;
	b.folds = root_abilities(root).folds;
	env->intended = false;
	walk_init(&b.to, root);
	walk_init(&b.from, root);
	/* opened before anything is written: a sync through it reports what fails from here on */
	if (!env->without_sync)
		b.sync_fd = openat(root_fd(root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	prepare_all(&b, ops, n);
	bool left = false;
	for (size_t i = 0; i < n; i++) {
		struct op *op = &ops[i];
		if (!op->error)
			op->error = cancelled(env) ? -ECANCELED : do_op(&b, op, &b.prepared[i]);
		left = left || b.prepared[i].name[0];
	}
	set_modes(&b);
	/* if the journal cannot say it, what lies there in vain is left to the next start */
	if (intend_result(&b, ops, n, left || b.n_drops)) {
		for (size_t i = 0; i < n; i++)
			unprepare(&b, &b.prepared[i]);
		drop_all(&b);
	}
	int err = sync_touched(&b);
	for (size_t i = 0; i < n; i++) {
		if (!ops[i].error)
			set_result(&b, &ops[i], &b.prepared[i]);
		if (!ops[i].error && err)
			ops[i].error = err;
	}
	if (b.sync_fd >= 0)
		close(b.sync_fd);
	walk_release(&b.to);
	walk_release(&b.from);
	digest_free(b.digest);
	free(b.block);
	free(b.prepared);
	free(b.modes);
	free(b.drops);
}
