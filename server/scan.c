/* Owns what is read from the tree: listings of folders, looks at paths, ranges of contents. */
#include "config.h"
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "digest.h"

#define READ_BLOCK (256 * 1024)
#define SYNC_EACH_MAX 8 /* more files than this are made durable by one sync of the file system */
#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* --- listing --- */

static int compare_folders(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino ? 0 : -ESTALE;
}

static int list_names(DIR *d, struct root *root, bool is_root, struct listing *out)
{
	int fd = dirfd(d);
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e)
			return -errno;
		const char *name = e->d_name;
		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    (is_root && !strcmp(name, PATH_RESERVED_NAME)))
			continue;
		struct stat st;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue; /* it went in the meantime; the watch tells */
			return -errno;
		}
		GROW(out->items, out->cap, out->n + 1);
		struct listed *item = &out->items[out->n++];
		item->found = found_from_stat(&st);
		if (S_ISDIR(st.st_mode) && st.st_dev != root_device(root))
			item->found.kind = KIND_MOUNT;
		item->name.len = strlen(name);
		buf_add(&out->names, name, item->name.len);
	}
}

int scan_list(struct root *root, struct bytes path, scan_watch_fn *watch, void *watch_ctx,
	      struct listing *out)
{
	struct walk walk;
	struct stat before, after;
	DIR *d = NULL;
	*out = (struct listing){.wd = -ENOSYS};
	walk_init(&walk, root);
	int err = 0;
	int folder = walk_dir(&walk, path);
	if (folder < 0) {
		err = folder;
		goto out;
	}
	if (fstat(folder, &before) < 0) {
		err = -errno;
		goto out;
	}
	if (watch)
		out->wd = watch(watch_ctx, folder);
	/* an open file description of its own: reading moves the position */
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		goto out;
	}
	err = list_names(d, root, path.len == 0, out);
	/* the folder must still be the one of that name, or its names belong elsewhere */
	if (!err && walk_verify(&walk) < 0)
		err = -ESTALE;
	if (!err && (fstat(fd, &after) < 0 || after.st_nlink == 0))
		err = -ENOENT;
	if (!err)
		err = compare_folders(&before, &after);
	if (!err) {
		out->self = found_from_stat(&after);
		const uint8_t *name = out->names.data;
		for (size_t i = 0; i < out->n; i++) {
			out->items[i].name.p = name;
			name += out->items[i].name.len;
		}
	}
out:
	if (d)
		closedir(d);
	walk_release(&walk);
	if (err) {
		int wd = out->wd;
		listing_release(out);
		out->wd = wd;
	}
	return err;
}

void listing_release(struct listing *l)
{
	free(l->items);
	buf_release(&l->names);
	*l = (struct listing){.wd = -ENOSYS};
}

/* --- looking --- */

static bool same_object(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
		a->st_mode == b->st_mode &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Nothing there, whatever the reason: also if a file or a symlink stands where a folder would be. */
static bool means_absent(int err)
{
	return err == -ENOENT || err == -ENOTDIR;
}

/* Hashes `size` bytes and demands the end there. */
static int hash_file(int fd, uint64_t size, struct digest *digest, uint8_t *block,
		     uint8_t hash[HASH_SIZE], const atomic_bool *cancel)
{
	uint64_t at = 0;
	digest_begin(digest);
	for (;;) {
		if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
			return -ECANCELED;
		ssize_t n = pread(fd, block, READ_BLOCK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -EIO : -errno;
		if (n == 0)
			break;
		digest_add(digest, block, (size_t)n);
		at += (uint64_t)n;
		if (at > size)
			return -EAGAIN; /* it grows */
	}
	digest_end(digest, hash);
	return at == size ? 0 : -EAGAIN;
}

struct looking {
	struct walk walk;
	struct digest *digest;
	uint8_t *block;
	const atomic_bool *cancel;
};

/* What is at the name now, by the path layer: 0, or an errno; absent is -ENOENT. */
static int look_stat(struct looking *l, struct look *look, struct stat *st,
		     char name[PATH_COMPONENT_MAX + 1], int *parent)
{
	*parent = walk_parent(&l->walk, look->path, name);
	if (*parent < 0)
		return means_absent(*parent) ? -ENOENT : *parent;
	int err = name_stat(l->walk.root, *parent, name, st, look->other);
	return means_absent(err) || err == -ENOTUNIQ ? -ENOENT : err;
}

static int look_symlink(struct looking *l, struct look *look, const struct stat *st, int parent,
			const char *name)
{
	char target[SYMLINK_MAX + 2];
	ssize_t n = readlinkat(parent, name, target, sizeof(target));
	if (n < 0)
		return errno == EINVAL || errno == ENOENT ? -EAGAIN : -errno;
	if (n > SYMLINK_MAX)
		return -ENAMETOOLONG;
	if (n != st->st_size && st->st_size != 0)
		return -EAGAIN;
	look->found.size = (uint64_t)n;
	look->found.target = xmemdup(target, (size_t)n);
	digest_of(l->digest, target, (size_t)n, look->found.hash);
	return 0;
}

static int look_file(struct looking *l, struct look *look, const struct stat *st, int parent,
		     const char *name)
{
	struct stat now;
	int fd = openat(parent, name, READ_FLAGS);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? -EAGAIN : -errno;
	int err = fstat(fd, &now) < 0 ? -errno : same_object(st, &now) ? 0 : -EAGAIN;
	if (!err)
		err = hash_file(fd, (uint64_t)st->st_size, l->digest, l->block, look->found.hash,
			l->cancel);
	if (!err && fstat(fd, &now) < 0)
		err = -errno;
	if (!err && !same_object(st, &now))
		err = -EAGAIN;
	close(fd);
	return err;
}

/* The content of `look`, which was synced when `st` was taken. What is clean then and has the same
 * times afterwards is what is on the disk: a store through a mapping to a clean page changes them. */
static int look_content(struct looking *l, struct look *look, const struct stat *before)
{
	char name[PATH_COMPONENT_MAX + 1];
	struct stat st, again;
	int parent;
	int err = look_stat(l, look, &st, name, &parent);
	if (err)
		return err == -ENOENT ? -EAGAIN : err;
	if (!same_object(before, &st))
		return -EAGAIN;
	look->found = found_from_stat(&st);
	if (look->found.kind == KIND_FILE)
		err = look_file(l, look, &st, parent, name);
	else if (look->found.kind == KIND_SYMLINK)
		err = look_symlink(l, look, &st, parent, name);
	else if (S_ISDIR(st.st_mode) && st.st_dev != root_device(l->walk.root))
		look->found.kind = KIND_MOUNT;
	if (!err && (walk_verify(&l->walk) < 0 ||
	    fstatat(parent, name, &again, AT_SYMLINK_NOFOLLOW) < 0 || !same_object(&st, &again)))
		err = -EAGAIN;
	return err;
}

/* Makes one file or symlink durable, with its name. */
static int sync_one(struct looking *l, const struct look *look, const struct stat *st)
{
	char name[PATH_COMPONENT_MAX + 1];
	int err = 0;
	int parent = walk_parent(&l->walk, look->path, name);
	if (parent < 0)
		return -EAGAIN;
	if (!S_ISREG(st->st_mode))
		return fsync(parent) < 0 ? -errno : 0;
	int fd = openat(parent, name, READ_FLAGS);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? -EAGAIN : -errno;
	/* fsync, not fdatasync: the name of a file that was just moved goes with its inode */
	if (fsync(fd) < 0 && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

static bool has_content(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISLNK(st->st_mode);
}

/* For a glance: `found` is filled in if nothing has changed. */
static bool is_as_known(struct look *look, const struct stat *st)
{
	struct found f = found_from_stat(st);
	if (!look->glance || f.kind != KIND_FILE || f.stamp != look->known_stamp ||
	    f.ctime_ns != look->known_ctime_ns)
		return false;
	look->found = f;
	return true;
}

void scan_look(struct root *root, struct look *looks, size_t n, const atomic_bool *cancel)
{
	struct looking l = {.digest = digest_new(), .block = xmalloc(READ_BLOCK), .cancel = cancel};
	struct stat *before = xcalloc(n, sizeof(*before));
	size_t contents = 0;
	int sync_fd = -1, sync_error = 0;
	walk_init(&l.walk, root);
	for (size_t i = 0; i < n; i++) {
		struct look *look = &looks[i];
		char name[PATH_COMPONENT_MAX + 1];
		int parent;
		look->found = (struct found){.kind = KIND_ABSENT};
		look->error = look_stat(&l, look, &before[i], name, &parent);
		look->unchanged = !look->error && is_as_known(look, &before[i]);
		if (!look->error && !look->unchanged && has_content(&before[i]))
			contents++;
		/* opened before the sync: it reports what fails since */
		if (contents == SYNC_EACH_MAX + 1 && sync_fd < 0)
			sync_fd = openat(root_fd(root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (contents > SYNC_EACH_MAX && sync_fd < 0)
		sync_error = -EMFILE;
	else if (contents > SYNC_EACH_MAX && syncfs(sync_fd) < 0)
		sync_error = -errno;
	for (size_t i = 0; i < n; i++) {
		struct look *look = &looks[i];
		if (look->unchanged)
			continue;
		if (!look->error && cancel && atomic_load(cancel))
			look->error = -ECANCELED;
		if (!look->error && has_content(&before[i]))
			look->error = contents > SYNC_EACH_MAX ? sync_error :
				sync_one(&l, look, &before[i]);
		if (!look->error)
			look->error = look_content(&l, look, &before[i]);
		if (look->error) {
			look_release(look);
			look->found = (struct found){.kind = KIND_ABSENT};
			if (look->error == -ENOENT)
				look->error = 0;
		}
	}
	if (sync_fd >= 0)
		close(sync_fd);
	walk_release(&l.walk);
	digest_free(l.digest);
	free(l.block);
	free(before);
}

void look_release(struct look *l)
{
	free(l->found.target);
	l->found.target = NULL;
}

/* --- serving contents --- */

int64_t content_read(struct root *root, struct bytes path, uint64_t stamp, uint64_t offset,
		     size_t len, uint8_t *out)
{
	struct walk walk;
	char name[PATH_COMPONENT_MAX + 1];
	struct stat st;
	struct found found;
	int64_t result = 0;
	int fd = -1;
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EINVAL;
	walk_init(&walk, root);
	int parent = walk_parent(&walk, path, name);
	if (parent < 0)
		result = means_absent(parent) ? -ESTALE : parent;
	else if ((fd = openat(parent, name, READ_FLAGS)) < 0)
		result = errno == ENOENT || errno == ELOOP || errno == ENXIO ? -ESTALE : -errno;
	else if (fstat(fd, &st) < 0)
		result = -errno;
	else if (found = found_from_stat(&st), found.kind != KIND_FILE || found.stamp != stamp)
		result = -ESTALE;
	while (result >= 0 && (size_t)result < len) {
		ssize_t n = pread(fd, out + result, len - (size_t)result,
			(off_t)(offset + (uint64_t)result));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = -errno;
		if (n <= 0)
			break;
		result += n;
	}
	if (result >= 0 && (fstat(fd, &st) < 0 || found_from_stat(&st).stamp != stamp))
		result = -ESTALE;
	if (fd >= 0)
		close(fd);
	walk_release(&walk);
	return result;
}
