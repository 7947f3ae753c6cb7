/* Owns what a batch does for its folders: the way to them, their modes, and what must be synced. */
#include "config.h"
#include "apply_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- what must be synced --- */

/* `fd` stays the caller's. */
void touch(struct batch *b, int fd)
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

int sync_all(struct batch *b)
{
	return b->sync_fd < 0 || syncfs(b->sync_fd) < 0 ? -EIO : 0;
}

int sync_touched(struct batch *b)
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
void held_name(char link[32], int fd)
{
	snprintf(link, 32, "/proc/self/fd/%d", fd);
}

int chmod_held(int fd, mode_t mode)
{
	char link[32];
	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	held_name(link, fd);
	return chmod(link, mode) < 0 ? -errno : 0;
}

void set_later(struct batch *b, const struct mode_later *m)
{
	GROW(b->modes, b->cap_modes, b->n_modes + 1);
	b->modes[b->n_modes++] = *m;
}

/* Makes the folder `name` in `parent`, which is ours, enterable and writable until the end of the
 * batch. False: it is that already, or not ours. */
bool loosen(struct batch *b, int parent, const char *name, struct bytes path)
{
	struct stat st;
	bool done = false;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_dev == root_device(b->root) &&
	    st.st_uid == b->uid && (st.st_mode & S_IRWXU) != S_IRWXU) {
		struct mode_later m = {.path = path, .ino = st.st_ino,
			.now = (st.st_mode & MODE_BITS) | S_IRWXU, .final = st.st_mode & MODE_BITS};
		done = intend_mode(b, &m) && chmod_held(fd, m.now) == 0;
		if (done)
			set_later(b, &m);
		else
			intend_mode_done(b, &m);
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
int reach(struct batch *b, struct walk *w, struct bytes path,
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
void set_modes(struct batch *b)
{
	while (b->n_modes) {
		struct mode_later *m = &b->modes[--b->n_modes];
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		if (m->now == m->final) {
			intend_mode_done(b, m);
			continue;
		}
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
		intend_mode_done(b, m);
	}
}
