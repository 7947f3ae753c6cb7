/*
 * Owns how operations change the disk: contents first (written, verified, synced), then the names
 * in their order, then modes and folders, then what is there now.
 */
#include "config.h"
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "apply_internal.h"

#define COPY_BLOCK (256 * 1024)
#define SYNC_EACH_MAX 8 /* more objects than this are synced by one sync of the file system */
#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* What was made ready in tmp/ for an operation. */
struct prepared {
	struct found placed; /* the object as we made it */
	int fd;              /* open until it is synced, or -1 */
	char name[TMP_NAME_SIZE]; /* in tmp/, "" if it is not there (any more) */
};

/* A folder that gets its mode at the end: it was made, or made writable for the moment. */
struct mode_later {
	struct bytes path;
	ino_t ino;
	mode_t now;
	mode_t final;
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
	struct {
		int fd;
		ino_t ino;
	} touched[SYNC_EACH_MAX];
	size_t n_touched; /* more than SYNC_EACH_MAX: all is synced at once */
	int sync_fd;
	uid_t uid;
	bool exchange;
};

static bool means_absent(int err)
{
	return err == ENOENT || err == ENOTDIR;
}

/* --- what must be synced --- */

/* `fd` stays the caller's. */
static void touch(struct batch *b, int fd)
{
	struct stat st;
	if (b->env->without_sync || b->n_touched > SYNC_EACH_MAX)
		return;
	if (fstat(fd, &st) < 0)
		st.st_ino = 0;
	for (size_t i = 0; i < b->n_touched; i++) {
		if (st.st_ino && b->touched[i].ino == st.st_ino)
			return;
	}
	int copy = b->n_touched < SYNC_EACH_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (copy >= 0) {
		b->touched[b->n_touched].ino = st.st_ino;
		b->touched[b->n_touched++].fd = copy;
		return;
	}
	for (size_t i = 0; i < b->n_touched; i++)
		close(b->touched[i].fd);
	b->n_touched = SYNC_EACH_MAX + 1;
}

static int sync_all(struct batch *b)
{
	return b->sync_fd < 0 || syncfs(b->sync_fd) < 0 ? -EIO : 0;
}

static int sync_touched(struct batch *b)
{
	int err = 0;
	if (b->env->without_sync)
		return 0;
	if (b->n_touched > SYNC_EACH_MAX)
		return sync_all(b);
	for (size_t i = 0; i < b->n_touched; i++) {
		if (fsync(b->touched[i].fd) < 0 && errno != EINVAL)
			err = -errno;
		close(b->touched[i].fd);
	}
	b->n_touched = 0;
	return err;
}

/* --- folders that lack our permission --- */

/* A name of what a descriptor holds, for calls that take no O_PATH descriptor. */
static void held_name(char link[32], int fd)
{
	snprintf(link, 32, "/proc/self/fd/%d", fd);
}

static int chmod_held(int fd, mode_t mode)
{
	char link[32];
	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	held_name(link, fd);
	return chmod(link, mode) < 0 ? -errno : 0;
}

static void set_later(struct batch *b, struct bytes path, ino_t ino, mode_t now, mode_t final)
{
	GROW(b->modes, b->cap_modes, b->n_modes + 1);
	b->modes[b->n_modes++] = (struct mode_later){path, ino, now, final};
}

/* Makes the folder `name` in `parent`, which is ours, enterable and writable until the end of the
 * batch. False: it is that already, or not ours. */
static bool loosen(struct batch *b, int parent, const char *name, struct bytes path)
{
	struct stat st;
	bool done = false;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_dev == root_device(b->root) &&
	    st.st_uid == b->uid && (st.st_mode & S_IRWXU) != S_IRWXU) {
		mode_t now = (st.st_mode & MODE_BITS) | S_IRWXU;
		done = chmod_held(fd, now) == 0;
		if (done)
			set_later(b, path, st.st_ino, now, st.st_mode & MODE_BITS);
	}
	close(fd);
	return done;
}

/* The folder at the first `end` bytes of `path`, by its own parent. */
static bool loosen_at(struct batch *b, struct walk *w, struct bytes path, size_t end)
{
	char name[PATH_COMPONENT_MAX + 1];
	struct bytes folder = {path.p, end};
	int parent = walk_parent(w, folder, name);
	return parent >= 0 && loosen(b, parent, name, folder);
}

/* Names in it cannot be made, although the folder is ours: its mode forbids it. */
static bool lacks_permission(const struct batch *b, int fd)
{
	struct stat st;
	return b->uid != 0 && fstat(fd, &st) == 0 && st.st_uid == b->uid &&
		(st.st_mode & (S_IWUSR | S_IXUSR)) != (S_IWUSR | S_IXUSR);
}

/* As walk_parent(), also through folders of ours that lack permission, and verified to be what the
 * names lead to. */
static int reach(struct batch *b, struct walk *w, struct bytes path,
		 char name[PATH_COMPONENT_MAX + 1])
{
	unsigned swapped = 0;
	for (unsigned tries = 0; tries < 2 * PATH_DEPTH_MAX; tries++) {
		int parent = walk_parent(w, path, name);
		if (parent >= 0 && walk_verify(w) < 0) {
			if (++swapped == 3)
				return -ESTALE;
			continue;
		}
		if (parent >= 0 && w->n && lacks_permission(b, parent)) {
			(void)loosen_at(b, w, path, w->steps[w->n - 1].end);
			parent = walk_parent(w, path, name);
		}
		if (parent >= 0)
			return parent;
		if (parent != -EACCES)
			return parent;
		/* either the last folder that opened cannot be searched, or the next not be read */
		size_t opened = w->n ? w->steps[w->n - 1].end : 0;
		size_t next = opened ? opened + 1 : 0;
		const uint8_t *slash = memchr(path.p + next, '/', path.len - next);
		bool changed = opened && loosen_at(b, w, path, opened);
		if (!changed && slash)
			changed = loosen_at(b, w, path, (size_t)(slash - path.p));
		if (!changed)
			return -EACCES;
	}
	return -EACCES;
}

/* Gives the folders the modes that they are to have; the last first, so that the way stays open. */
static void set_modes(struct batch *b)
{
	while (b->n_modes) {
		struct mode_later *m = &b->modes[--b->n_modes];
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		if (m->now == m->final)
			continue;
		int parent = walk_parent(&b->to, m->path, name);
		int path_fd = parent < 0 ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		int fd = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
			O_CLOEXEC);
		if (path_fd >= 0 && fstat(path_fd, &st) == 0 && S_ISDIR(st.st_mode) &&
		    st.st_ino == m->ino && (st.st_mode & MODE_BITS) == m->now &&
		    chmod_held(path_fd, m->final) == 0 && fd >= 0)
			touch(b, fd);
		if (path_fd >= 0)
			close(path_fd);
		if (fd >= 0)
			close(fd);
	}
}

/* --- contents --- */

static void mtime_only(struct timespec t[2], int64_t mtime_ns)
{
	int64_t s = mtime_ns / 1000000000, ns = mtime_ns % 1000000000;
	if (ns < 0) {
		ns += 1000000000;
		s--;
	}
	t[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	t[1] = (struct timespec){.tv_sec = s, .tv_nsec = (long)ns};
}

/* Of a name, itself if it is a symlink. */
static int set_times(int dir, const char *name, int64_t mtime_ns)
{
	struct timespec t[2];
	mtime_only(t, mtime_ns);
	return utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_times_held(int fd, int64_t mtime_ns)
{
	struct timespec t[2];
	char link[32];
	mtime_only(t, mtime_ns);
	if (futimens(fd, t) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	held_name(link, fd);
	return utimensat(AT_FDCWD, link, t, 0) < 0 ? -errno : 0;
}

static bool cancelled(const struct apply_env *env)
{
	return env->cancel && atomic_load_explicit(env->cancel, memory_order_relaxed);
}

/* Reads all of `in` from its beginning into the digest, and into `out` unless that is -1. */
static int digest_file(struct batch *b, int in, int out, uint8_t hash[HASH_SIZE])
{
	uint64_t at = 0;
	if (!b->block)
		b->block = xmalloc(COPY_BLOCK);
	digest_begin(b->digest);
	for (;;) {
		if (cancelled(b->env))
			return -ECANCELED;
		ssize_t n = pread(in, b->block, COPY_BLOCK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		digest_add(b->digest, b->block, (size_t)n);
		int err = out < 0 ? 0 : write_full(out, b->block, (size_t)n);
		if (err)
			return err;
		at += (uint64_t)n;
	}
	digest_end(b->digest, hash);
	return 0;
}

static int open_stamped(struct batch *b, struct bytes path, uint64_t stamp)
{
	char name[PATH_COMPONENT_MAX + 1];
	struct stat st;
	int parent = walk_parent(&b->from, path, name);
	if (parent < 0)
		return means_absent(-parent) ? -EBADMSG : parent;
	int fd = openat(parent, name, READ_FLAGS);
	if (fd < 0)
		return means_absent(errno) || errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
	struct found found = {.kind = KIND_ABSENT};
	if (fstat(fd, &st) == 0)
		found = found_from_stat(&st);
	if (found.kind != KIND_FILE || found.stamp != stamp) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

static int copy_content(struct batch *b, const struct op *op, int out)
{
	uint8_t hash[HASH_SIZE];
	struct stat st;
	int in = open_stamped(b, op->from, op->from_stamp);
	if (in < 0)
		return in;
	/* blocks that are shared are read back, so that the hash is of what is there */
	int err = ioctl(out, FICLONE, in) == 0 ? digest_file(b, out, -1, hash) :
		digest_file(b, in, out, hash);
	if (!err && (fstat(in, &st) < 0 || found_from_stat(&st).stamp != op->from_stamp ||
	    memcmp(hash, op->hash, HASH_SIZE) != 0))
		err = -EBADMSG;
	close(in);
	return err;
}

static int write_data(struct batch *b, const struct op *op, int out)
{
	uint8_t hash[HASH_SIZE];
	if (op->data.len != op->size)
		return -EBADMSG;
	digest_of(b->digest, op->data.p, op->data.len, hash);
	if (memcmp(hash, op->hash, HASH_SIZE) != 0)
		return -EBADMSG;
	return write_full(out, op->data.p, op->data.len);
}

/* A complete file in tmp/, open in p->fd. */
static int prepare_file(struct batch *b, const struct op *op, struct prepared *p)
{
	struct stat st;
	int err = 0;
	int tmp = root_tmp_fd(b->root);
	if (op->source == SOURCE_TMP) {
		tmp_name(p->name, 't', op->tmp);
		p->fd = openat(tmp, p->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	} else {
		char name[TMP_NAME_SIZE];
		tmp_name(name, 'w', root_next(b->root));
		/* with its mode from the start, which spares a change where the umask lets it pass */
		p->fd = openat(tmp, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			op->mode & MODE_BITS);
		if (p->fd >= 0)
			memcpy(p->name, name, sizeof(name));
	}
	if (p->fd < 0)
		return -errno;
	if (op->source == SOURCE_DATA)
		err = write_data(b, op, p->fd);
	else if (op->source == SOURCE_COPY)
		err = copy_content(b, op, p->fd);
	else if (op->source != SOURCE_TMP)
		err = -EINVAL;
	if (!err)
		err = set_times_held(p->fd, op->mtime_ns);
	if (!err && fstat(p->fd, &st) < 0)
		err = -errno;
	if (!err && (st.st_mode & 07777) != (op->mode & MODE_BITS) &&
	    fchmod(p->fd, op->mode & MODE_BITS) < 0)
		err = -errno;
	if (!err && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != op->size))
		err = -EBADMSG;
	if (!err) {
		p->placed = found_from_stat(&st);
		p->placed.mode = op->mode & MODE_BITS;
	}
	return err;
}

static int prepare_symlink(struct batch *b, const struct op *op, struct prepared *p)
{
	uint8_t hash[HASH_SIZE];
	char target[SYMLINK_MAX + 1], name[TMP_NAME_SIZE];
	struct stat st;
	if (!op->data.len || op->data.len > SYMLINK_MAX || memchr(op->data.p, 0, op->data.len))
		return -EINVAL;
	digest_of(b->digest, op->data.p, op->data.len, hash);
	if (memcmp(hash, op->hash, HASH_SIZE) != 0)
		return -EBADMSG;
	memcpy(target, op->data.p, op->data.len);
	target[op->data.len] = '\0';
	tmp_name(name, 's', root_next(b->root));
	if (symlinkat(target, root_tmp_fd(b->root), name) < 0)
		return -errno;
	memcpy(p->name, name, sizeof(name));
	int err = set_times(root_tmp_fd(b->root), name, op->mtime_ns);
	if (!err && fstatat(root_tmp_fd(b->root), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		err = -errno;
	if (!err)
		p->placed = found_from_stat(&st);
	return err;
}

static void unprepare(struct batch *b, struct prepared *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (p->name[0])
		(void)unlinkat(root_tmp_fd(b->root), p->name, 0);
	p->name[0] = '\0';
}

static bool is_content(const struct op *op)
{
	return op->type == OP_WRITE && op->source != SOURCE_MOVE;
}

static void prepare_all(struct batch *b, struct op *ops, size_t n)
{
	size_t contents = 0;
	int err = 0;
	for (size_t i = 0; i < n; i++)
		contents += is_content(&ops[i]);
	for (size_t i = 0; i < n; i++) {
		struct op *op = &ops[i];
		struct prepared *p = &b->prepared[i];
		p->fd = -1;
		op->error = 0;
		op->found = (struct found){.kind = KIND_ABSENT};
		op->trash[0] = '\0';
		if (path_check(op->path) != PATH_OK)
			op->error = -EINVAL;
		else if (root_tmp_fd(b->root) < 0 || root_trash_fd(b->root) < 0)
			op->error = -EROFS;
		else if (cancelled(b->env))
			op->error = -ECANCELED;
		else if (is_content(op))
			op->error = prepare_file(b, op, p);
		else if (op->type == OP_SYMLINK)
			op->error = prepare_symlink(b, op, p);
		if (!op->error && p->fd >= 0 && contents > SYNC_EACH_MAX) {
			if (close(p->fd) < 0)
				op->error = -errno;
			p->fd = -1;
		}
		if (op->error) {
			if (is_content(op) && op->source == SOURCE_TMP)
				tmp_name(p->name, 't', op->tmp);
			unprepare(b, p);
		}
	}
	if (b->env->without_sync)
		contents = 0;
	if (contents > SYNC_EACH_MAX)
		err = sync_all(b);
	for (size_t i = 0; i < n && contents; i++) {
		struct op *op = &ops[i];
		struct prepared *p = &b->prepared[i];
		if (op->error || !is_content(op))
			continue;
		if (contents > SYNC_EACH_MAX)
			op->error = err;
		else if (fsync(p->fd) < 0)
			op->error = -errno;
		if (op->error)
			unprepare(b, p);
	}
	for (size_t i = 0; i < n; i++) {
		if (b->prepared[i].fd >= 0)
			close(b->prepared[i].fd);
		b->prepared[i].fd = -1;
	}
}

/* --- names --- */

static struct found stat_at(int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return (struct found){.kind = KIND_ABSENT};
	return found_from_stat(&st);
}

static bool is_expected(const struct op *op, const struct found *f)
{
	if (f->kind != op->expect_kind)
		return false;
	return f->kind == KIND_ABSENT || f->kind == KIND_DIR || f->stamp == op->expect_stamp;
}

/* Takes a read lease for a moment: refused while anybody has the file open for writing, or mapped. */
static int lease_take(struct batch *b, int fd)
{
	if (!root_abilities(b->root).lease)
		return 0;
	/* whoever opens it meanwhile waits; the signal that tells us of it must be a harmless one */
	(void)fcntl(fd, F_SETSIG, SIGURG);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN ? -ETXTBSY : 0;
	return 0;
}

static int check_busy(struct batch *b, int dir, const char *name)
{
	int fd = openat(dir, name, READ_FLAGS);
	if (fd < 0)
		return 0;
	int err = lease_take(b, fd);
	close(fd); /* and the lease */
	return err;
}

/* Is what is at the name what the engine expects, and at rest? */
static int check_target(struct batch *b, const struct op *op, int parent, const char *name)
{
	struct found now = stat_at(parent, name);
	if (!is_expected(op, &now))
		return -ESTALE;
	/* a folder can be moved only if it may be written to */
	if (now.kind == KIND_DIR)
		(void)loosen(b, parent, name, op->path);
	return now.kind == KIND_FILE ? check_busy(b, parent, name) : 0;
}

/* Moves a name into the trash under a new name. */
static int to_trash(struct batch *b, int dir, const char *name, struct bytes path,
		    char trash[TRASH_NAME_SIZE])
{
	int err;
	struct trash_stamp stamp = trash_stamp_now();
	do {
		trash_name(trash, &stamp, path_base(path));
		err = rename_new(dir, name, root_trash_fd(b->root), trash);
	} while (err == -EEXIST);
	return err;
}

/* An object of ours that is ready under a name in the trash, to be exchanged with the name. */
struct ready {
	char name[TRASH_NAME_SIZE];
	struct found placed;
	/* if the exchange does not come about, it goes back here; else it is removed */
	int home;
	const char *home_name;
};

static void drop_ready(struct batch *b, struct op *op, const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	if (r->home >= 0) {
		if (rename_new(trash, r->name, r->home, r->home_name) < 0)
			memcpy(op->trash, r->name, sizeof(op->trash));
		return;
	}
	struct found now = stat_at(trash, r->name);
	if (now.kind == KIND_ABSENT)
		return;
	/* edited while it had the name for a moment: that is somebody's content */
	if (now.stamp != r->placed.stamp || now.kind != r->placed.kind ||
	    unlinkat(trash, r->name, now.kind == KIND_DIR ? AT_REMOVEDIR : 0) < 0)
		memcpy(op->trash, r->name, sizeof(op->trash));
}

/* Something unexpected came out: it takes its name again. */
static void exchange_back(struct batch *b, struct op *op, int parent, const char *name,
			  const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	if (renameat2(trash, r->name, parent, name, RENAME_EXCHANGE) == 0) {
		drop_ready(b, op, r);
		return;
	}
	/* ours is gone from the name already, so the name is free again; if not, the trash keeps it */
	if (rename_new(trash, r->name, parent, name) < 0)
		memcpy(op->trash, r->name, sizeof(op->trash));
}

static int exchange(struct batch *b, struct op *op, int parent, const char *name,
		    const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	if (renameat2(trash, r->name, parent, name, RENAME_EXCHANGE) < 0) {
		int err = errno;
		drop_ready(b, op, r);
		return err == ENOENT ? -ESTALE : -err;
	}
	struct found out = stat_at(trash, r->name);
	if (!is_expected(op, &out)) {
		exchange_back(b, op, parent, name, r);
		return -ESTALE;
	}
	if (out.kind == KIND_DIR) {
		if (unlinkat(trash, r->name, AT_REMOVEDIR) == 0)
			return 0;
		int err = errno;
		exchange_back(b, op, parent, name, r);
		return err == EEXIST ? -ENOTEMPTY : -err;
	}
	memcpy(op->trash, r->name, sizeof(op->trash));
	touch(b, trash);
	return 0;
}

/* For file systems that cannot exchange: what is there is linked into the trash, then replaced, which
 * leaves a small window between. */
static int replace_in_steps(struct batch *b, struct op *op, int parent, const char *name,
			    const struct ready *r)
{
	int trash = root_trash_fd(b->root);
	char old[TRASH_NAME_SIZE];
	struct trash_stamp stamp = trash_stamp_now();
	int err;
	b->env->window = true;
	if (op->expect_kind == KIND_DIR) {
		if (unlinkat(parent, name, AT_REMOVEDIR) < 0) {
			err = errno == EEXIST ? -ENOTEMPTY : -errno;
			drop_ready(b, op, r);
			return err;
		}
		err = rename_new(trash, r->name, parent, name);
		if (err)
			drop_ready(b, op, r);
		return err == -EEXIST ? -ESTALE : err;
	}
	do {
		trash_name(old, &stamp, path_base(op->path));
		err = linkat(parent, name, trash, old, 0) < 0 ? -errno : 0;
	} while (err == -EEXIST);
	bool linked = !err;
	if (err == -EPERM || err == -EOPNOTSUPP || r->placed.kind == KIND_DIR) {
		/* no links here, or a folder comes: the name is free for a moment */
		if (linked)
			(void)unlinkat(trash, old, 0);
		err = renameat(parent, name, trash, old) < 0 ? -errno : 0;
		linked = false;
	}
	if (err) {
		drop_ready(b, op, r);
		return err == -ENOENT ? -ESTALE : err;
	}
	struct found out = stat_at(trash, old);
	if (!is_expected(op, &out)) {
		err = -ESTALE;
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
		memcpy(op->trash, old, sizeof(op->trash));
		touch(b, trash);
		return 0;
	}
	if (linked)
		(void)unlinkat(trash, old, 0);
	else if (rename_new(trash, old, parent, name) < 0)
		memcpy(op->trash, old, sizeof(op->trash));
	drop_ready(b, op, r);
	return err;
}

static int replace(struct batch *b, struct op *op, int parent, const char *name,
		   const struct ready *r)
{
	return b->exchange ? exchange(b, op, parent, name, r) :
		replace_in_steps(b, op, parent, name, r);
}

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
	struct ready r = {.placed = p->placed, .home = -1};
	int err = check_target(b, op, parent, name);
	if (!err)
		err = to_trash(b, tmp, p->name, op->path, r.name);
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
	if (!err)
		*after = found_from_stat(&st);
	if (leased)
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	if (!err)
		touch(b, readable ? fd : parent);
	close(fd);
	return err;
}

/* --- one operation --- */

static int do_move(struct batch *b, struct op *op, struct prepared *p, int parent, const char *name)
{
	char from_name[PATH_COMPONENT_MAX + 1];
	int from = reach(b, &b->from, op->from, from_name);
	if (from < 0)
		return means_absent(-from) ? -EBADMSG : from;
	p->placed = stat_at(from, from_name);
	if (p->placed.kind != KIND_FILE || p->placed.stamp != op->from_stamp)
		return -EBADMSG;
	int err;
	if (op->expect_kind == KIND_ABSENT) {
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
		struct ready r = {.placed = p->placed, .home = from, .home_name = from_name};
		err = check_target(b, op, parent, name);
		if (!err) {
			err = to_trash(b, from, from_name, op->from, r.name);
		}
		if (err)
			return err == -ENOENT ? -EBADMSG : err;
		struct found now = stat_at(root_trash_fd(b->root), r.name);
		if (now.kind != KIND_FILE || now.stamp != op->from_stamp) {
			drop_ready(b, op, &r);
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

static int do_mkdir(struct batch *b, struct op *op, int parent, const char *name)
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
		struct ready r = {.home = -1};
		struct trash_stamp stamp = trash_stamp_now();
		err = check_target(b, op, parent, name);
		if (err)
			return err;
		do {
			trash_name(r.name, &stamp, path_base(op->path));
			err = mkdirat(trash, r.name, 0700) < 0 ? -errno : 0;
		} while (err == -EEXIST);
		if (err)
			return err;
		r.placed = stat_at(trash, r.name);
		err = replace(b, op, parent, name, &r);
		if (err)
			return err;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		set_later(b, op->path, st.st_ino, st.st_mode & MODE_BITS, op->mode & MODE_BITS);
	return 0;
}

static int do_delete(struct batch *b, struct op *op, int parent, const char *name)
{
	int trash = root_trash_fd(b->root);
	int err = op->expect_kind == KIND_FILE || op->expect_kind == KIND_SYMLINK ?
		check_target(b, op, parent, name) : -ESTALE;
	if (!err) {
		err = to_trash(b, parent, name, op->path, op->trash);
		if (err)
			op->trash[0] = '\0';
	}
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	struct found out = stat_at(trash, op->trash);
	if (!is_expected(op, &out)) {
		if (rename_new(trash, op->trash, parent, name) == 0)
			op->trash[0] = '\0';
		return -ESTALE;
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
	switch (op->type) {
	case OP_WRITE:
		err = op->source == SOURCE_MOVE ? do_move(b, op, p, parent, name) :
			place(b, op, p, parent, name);
		break;
	case OP_SYMLINK:
		err = place(b, op, p, parent, name);
		break;
	case OP_MKDIR:
		err = do_mkdir(b, op, parent, name);
		break;
	case OP_DELETE:
		err = do_delete(b, op, parent, name);
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
		.uid = geteuid()};
	b.prepared = xcalloc(n, sizeof(*b.prepared));
	b.exchange = root_abilities(root).exchange && !env->without_exchange;
	env->window = false;
	walk_init(&b.to, root);
	walk_init(&b.from, root);
	/* opened before anything is written: a sync through it reports what fails from here on */
	if (!env->without_sync)
		b.sync_fd = openat(root_fd(root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	prepare_all(&b, ops, n);
	for (size_t i = 0; i < n; i++) {
		struct op *op = &ops[i];
		if (!op->error)
			op->error = cancelled(env) ? -ECANCELED : do_op(&b, op, &b.prepared[i]);
		unprepare(&b, &b.prepared[i]);
	}
	set_modes(&b);
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
}
