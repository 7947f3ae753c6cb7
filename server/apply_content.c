/* Owns the first phase of a batch: contents are written to tmp/, verified and synced. */
#include "config.h"
#include "apply_internal.h"

#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COPY_BLOCK (256 * 1024)

void mtime_only(struct timespec t[2], int64_t mtime_ns)
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
int set_times(int dir, const char *name, int64_t mtime_ns)
{
	struct timespec t[2];
	mtime_only(t, mtime_ns);
	return utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int set_times_held(int fd, int64_t mtime_ns)
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

bool cancelled(const struct apply_env *env)
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

void unprepare(struct batch *b, struct prepared *p)
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

/* The names in the trash that the operation needs. */
static void choose_names(struct batch *b, const struct op *op, struct prepared *p)
{
	bool replaces = op->expect_kind != KIND_ABSENT && (op->type == OP_WRITE || op->type == OP_SYMLINK ||
		(op->type == OP_MKDIR && op->expect_kind != KIND_DIR));
	if (replaces || op->type == OP_DELETE)
		trash_new_name(b->root, p->trash, path_base(op->path));
	if (replaces && b->exchange)
		memcpy(p->wait, p->trash, sizeof(p->wait));
	else if (replaces || (b->folds && op->source == SOURCE_MOVE))
		trash_new_name(b->root, p->wait, path_base(op->path));
}

static int prepare(struct batch *b, struct op *op, struct prepared *p)
{
	if (path_check(op->path) != PATH_OK)
		return -EINVAL;
	if (root_tmp_fd(b->root) < 0 || root_trash_fd(b->root) < 0)
		return -EROFS;
	if (cancelled(b->env))
		return -ECANCELED;
	choose_names(b, op, p);
	if (is_content(op))
		return prepare_file(b, op, p);
	return op->type == OP_SYMLINK ? prepare_symlink(b, op, p) : 0;
}

static void fail_all(struct op *ops, size_t n, int err)
{
	for (size_t i = 0; i < n; i++) {
		if (!ops[i].error)
			ops[i].error = err;
	}
}

/* Contents and intents; both are complete, and no name has changed. */
static void sync_prepared(struct batch *b, struct op *ops, size_t n, bool at_once)
{
	if (b->env->without_sync)
		return;
	if (at_once) { /* which covers the intents as well */
		int err = sync_all(b);
		if (err)
			fail_all(ops, n, err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (ops[i].error || b->prepared[i].fd < 0)
			continue;
		if (cancelled(b->env)) /* a slow disk is not to keep the server from ending */
			ops[i].error = -ECANCELED;
		else if (fsync(b->prepared[i].fd) < 0)
			ops[i].error = -errno;
	}
	int err = intend_sync(b);
	if (err)
		fail_all(ops, n, err);
}

void prepare_all(struct batch *b, struct op *ops, size_t n)
{
	size_t contents = 0;
	for (size_t i = 0; i < n; i++)
		contents += is_content(&ops[i]);
	for (size_t i = 0; i < n; i++) {
		struct op *op = &ops[i];
		struct prepared *p = &b->prepared[i];
		p->fd = -1;
		op->found = (struct found){.kind = KIND_ABSENT};
		op->trash[0] = '\0';
		op->taken[0] = '\0';
		op->error = prepare(b, op, p);
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
	int err = intend(b, ops, n);
	if (err)
		fail_all(ops, n, err);
	else
		sync_prepared(b, ops, n, contents > SYNC_EACH_MAX);
	for (size_t i = 0; i < n; i++) {
		if (b->prepared[i].fd >= 0)
			close(b->prepared[i].fd);
		b->prepared[i].fd = -1;
	}
}
