/* Owns the held root descriptor, the mark and the lock in `.tutti/`, and the walk to a path. */
#include "config.h"
#include "root.h"

#include "write_full.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MARK_NAME "root-id"
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

struct root {
	char *path; /* without symlinks */
	struct stat st;
	struct root_abilities abilities;
	_Atomic uint64_t next;
	int fd;
	int own_fd;  /* .tutti */
	int mark_fd; /* holds the lock */
	int tmp_fd;
	int trash_fd;
	char id[ROOT_ID_TEXT + 1];
};

static int fail(char **error, int err, char *text)
{
	free(*error);
	*error = text;
	return -err;
}

/* What can be wrong with the directory itself. */
static int dir_error(char **error, const char *dir, int err)
{
	static const struct {
		int err;
		const char *what;
	} table[] = {
		{ENOENT, "does not exist: make it first, or check the name"},
		{ENOTDIR, "is not a directory: name the directory that is to be served"},
		{EACCES, "may not be read and entered by this user: change its permissions"},
		{ELOOP, "is a loop of symbolic links: name the directory itself"},
		{ENAMETOOLONG, "is too long a name"},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].err == err)
			return fail(error, err, xasprintf("%s %s", dir, table[i].what));
	}
	return fail(error, err, xasprintf("%s cannot be opened: %s", dir, strerror(err)));
}

static int64_t stat_time_ns(const struct timespec *t)
{
	int64_t ns;
	if (__builtin_mul_overflow((int64_t)t->tv_sec, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

struct found found_from_stat(const struct stat *st)
{
	struct found f = {
		.ctime_ns = stat_time_ns(&st->st_ctim),
		.mtime_ns = stat_time_ns(&st->st_mtim),
		.mode = (uint16_t)(st->st_mode & MODE_BITS),
		.kind = S_ISREG(st->st_mode) ? KIND_FILE : S_ISDIR(st->st_mode) ? KIND_DIR :
			S_ISLNK(st->st_mode) ? KIND_SYMLINK : KIND_OTHER,
	};
	uint64_t said[] = {
		(uint64_t)st->st_ino, st->st_mode & S_IFMT,
		(uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
	};
	bool dir = f.kind == KIND_DIR;
	f.size = dir ? 0 : (uint64_t)st->st_size;
	f.stamp = hash64(said, dir ? 2 * sizeof(said[0]) : sizeof(said), 0);
	return f;
}

/* --- the mark --- */

/* Reads `.tutti/root-id`: 0, -ENOENT, -EBADMSG (not a mark), or another errno. The open file goes to
 * *fd if it is wanted. */
static int mark_read(int own_fd, char id[ROOT_ID_TEXT + 1], int *fd)
{
	char text[ROOT_ID_TEXT + 2];
	struct stat st;
	int err = 0;
	int f = openat(own_fd, MARK_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (f < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(f, &st) < 0) {
		err = -errno;
	} else if (!S_ISREG(st.st_mode) || st.st_size != ROOT_ID_TEXT + 1) {
		err = -EBADMSG;
	} else {
		ssize_t n = pread(f, text, sizeof(text), 0);
		if (n < 0)
			err = -errno;
		else if (n != ROOT_ID_TEXT + 1 || text[ROOT_ID_TEXT] != '\n')
			err = -EBADMSG;
	}
	for (size_t i = 0; !err && i < ROOT_ID_TEXT; i++) {
		if (!strchr("0123456789abcdef", text[i]) || !text[i])
			err = -EBADMSG;
	}
	if (!err) {
		memcpy(id, text, ROOT_ID_TEXT);
		id[ROOT_ID_TEXT] = '\0';
	}
	if (!err && fd)
		*fd = f;
	else
		close(f);
	return err;
}

static int mark_write(const struct root *root)
{
	static const char temporary[] = MARK_NAME ".new";
	uint8_t raw[ROOT_ID_TEXT / 2];
	char text[ROOT_ID_TEXT + 2];
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -EIO;
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(text + 2 * i, 3, "%02x", raw[i]);
	text[ROOT_ID_TEXT] = '\n';
	if (unlinkat(root->own_fd, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(root->own_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = write_full(fd, text, ROOT_ID_TEXT + 1);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	/* link() does not replace: of two daemons that mark at once, one makes the mark */
	if (!err && linkat(root->own_fd, temporary, root->own_fd, MARK_NAME, 0) < 0)
		err = errno == EPERM || errno == EOPNOTSUPP ?
			(renameat(root->own_fd, temporary, root->own_fd, MARK_NAME) < 0 ? -errno : 0) :
			errno == EEXIST ? 0 : -errno;
	(void)unlinkat(root->own_fd, temporary, 0);
	if (!err && (fsync(root->own_fd) < 0 || fsync(root->fd) < 0))
		err = -errno;
	return err;
}

/* A folder of ours in `parent`, made if missing; never through a symlink or onto another disk. */
static int own_folder(const struct root *root, int parent, const char *name, bool make)
{
	struct stat st;
	if (make && mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(parent, name, DIR_FLAGS);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != root->st.st_dev) {
		close(fd);
		return -EXDEV;
	}
	return fd;
}

/* What a crash left in tmp/ belongs to nobody: whatever was displaced from a name is in trash/. */
void root_clean_tmp(struct root *root)
{
	int tmp_fd = root->tmp_fd;
	int fd = tmp_fd < 0 ? -1 : openat(tmp_fd, ".", DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d)); ) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(tmp_fd, e->d_name, 0) < 0 && errno == EISDIR)
			(void)unlinkat(tmp_fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

/* Does the name that was made as `made` answer to `asked`, without being called so as well? */
static bool answers_to(int dir, const char *made, const char *asked)
{
	struct stat a, b;
	return fstatat(dir, made, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
		fstatat(dir, asked, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
		a.st_ino == b.st_ino;
}

/* Capitals show at our own folder, for which nothing need be written; composed letters at a name that is
 * made with a letter and its accent. One that may not be made so tells nothing. */
static bool probe_folds(const struct root *root)
{
	static const char decomposed[] = "probe-e\xcc\x81", composed[] = "probe-\xc3\xa9";
	if (answers_to(root->fd, PATH_RESERVED_NAME, ".TUTTI"))
		return true;
	if (root->tmp_fd < 0)
		return false;
	(void)unlinkat(root->tmp_fd, composed, 0);
	(void)unlinkat(root->tmp_fd, decomposed, 0);
	int fd = openat(root->tmp_fd, decomposed, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	bool folds = answers_to(root->tmp_fd, decomposed, composed);
	(void)unlinkat(root->tmp_fd, decomposed, 0);
	return folds;
}

static void probe(struct root *root)
{
	static const uint32_t network[] = {
		0x6969 /* nfs */, 0xff534d42 /* cifs */, 0xfe534d42 /* smb2 */, 0x517b /* smb */,
		0x01021997 /* 9p */, 0x65735546 /* fuse */, 0x00c36400 /* ceph */, 0x5346414f /* afs */,
		0x6b414653 /* afs of the kernel */, 0x73757245 /* coda */, 0x47504653 /* gpfs */,
		0x0bd00bd0 /* lustre */, 0x7461636f /* ocfs2 */, 0x01161970 /* gfs2 */,
		0x786f4256 /* folders of a host: VirtualBox */, 0xbacbacbc /* VMware */,
	};
	struct statfs fs;
	root->abilities = (struct root_abilities){.local = true};
	if (fstatfs(root->fd, &fs) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(network); i++) {
			if ((uint32_t)fs.f_type == network[i])
				root->abilities.local = false;
		}
	}
	root->abilities.folds = probe_folds(root);
	if (root->tmp_fd < 0)
		return;
	(void)unlinkat(root->tmp_fd, "probe-a", 0);
	(void)unlinkat(root->tmp_fd, "probe-b", 0);
	int a = openat(root->tmp_fd, "probe-a", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int b = openat(root->tmp_fd, "probe-b", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (a >= 0 && b >= 0) {
		root->abilities.exchange = renameat2(root->tmp_fd, "probe-a", root->tmp_fd,
			"probe-b", RENAME_EXCHANGE) == 0;
		root->abilities.lease = root->abilities.local &&
			fcntl(a, F_SETLEASE, F_RDLCK) == 0 && fcntl(a, F_SETLEASE, F_UNLCK) == 0;
	}
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	(void)unlinkat(root->tmp_fd, "probe-a", 0);
	(void)unlinkat(root->tmp_fd, "probe-b", 0);
}

/* With the mark in own_fd: takes the lock and opens the folders. */
static int take(struct root *root, char **error)
{
	int err = mark_read(root->own_fd, root->id, &root->mark_fd);
	if (err == -EBADMSG)
		return fail(error, EBADMSG, xasprintf("%s/" PATH_RESERVED_NAME "/" MARK_NAME
			" is damaged: restore it, or move " PATH_RESERVED_NAME
			" away to serve this directory as a new one", root->path));
	if (err)
		return fail(error, -err, xasprintf("%s/" PATH_RESERVED_NAME "/" MARK_NAME
			" cannot be read: %s", root->path, strerror(-err)));
	if (flock(root->mark_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return fail(error, EBUSY, xasprintf(
				"%s is already served by another tuttid: stop that one first", root->path));
		return fail(error, errno, xasprintf("%s cannot be locked: %s", root->path,
			strerror(errno)));
	}
	root->tmp_fd = own_folder(root, root->own_fd, "tmp", true);
	root->trash_fd = own_folder(root, root->own_fd, "trash", true);
	int worst = root->tmp_fd < 0 ? root->tmp_fd : root->trash_fd < 0 ? root->trash_fd : 0;
	/* a root that cannot be written to is served nevertheless: others get its files */
	if (worst && worst != -EROFS && worst != -EACCES && worst != -EPERM)
		return fail(error, -worst, xasprintf("%s/" PATH_RESERVED_NAME
			" cannot be prepared: %s", root->path, strerror(-worst)));
	probe(root);
	return 0;
}

/* --- opening --- */

/* A directory inside another root would be synced twice; inside a `.tutti` it is not data at all. */
static int check_ancestors(const struct root *root, char **error)
{
	static const char own[] = "/" PATH_RESERVED_NAME;
	struct stat st = root->st, up;
	int fd = dup(root->fd);
	int err = fd < 0 ? -errno : 0;
	for (const char *at = root->path; !err && (at = strstr(at, own)); at++) {
		if (at[strlen(own)] == '/' || !at[strlen(own)])
			err = fail(error, EINVAL, xasprintf("%s is inside a " PATH_RESERVED_NAME
				" folder, which is not data: serve another directory", root->path));
	}
	for (unsigned i = 0; !err && i < PATH_BYTES_MAX; i++) {
		int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* what cannot be read further up cannot be served either */
		if (parent < 0)
			break;
		close(fd);
		fd = parent;
		if (fstat(fd, &up) < 0 || (up.st_dev == st.st_dev && up.st_ino == st.st_ino))
			break;
		st = up;
		/* a mark that may not be looked at is the mark of somebody else */
		if (faccessat(fd, PATH_RESERVED_NAME "/" MARK_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
		    errno == EACCES)
			err = fail(error, EINVAL, xasprintf("%s is inside a directory that is served "
				"as a whole (%u up, it has a " PATH_RESERVED_NAME
				" folder): serve only one of the two", root->path, i + 1));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int root_open(struct root **out, const char *dir, char **error)
{
	*out = NULL;
	*error = NULL;
	struct root *root = xcalloc(1, sizeof(*root));
	root->fd = root->own_fd = root->mark_fd = root->tmp_fd = root->trash_fd = -1;
	int err = 0;
	root->path = realpath(dir, NULL);
	if (!root->path) {
		err = dir_error(error, dir, errno);
		goto out;
	}
	root->fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (root->fd < 0 || fstat(root->fd, &root->st) < 0 ||
	    faccessat(root->fd, ".", R_OK | X_OK, AT_EACCESS) < 0) {
		err = dir_error(error, dir, errno);
		goto out;
	}
	err = check_ancestors(root, error);
	if (err)
		goto out;
	root->own_fd = own_folder(root, root->fd, PATH_RESERVED_NAME, false);
	if (root->own_fd == -ENOENT)
		goto out;
	if (root->own_fd < 0) {
		err = fail(error, -root->own_fd, xasprintf("%s/" PATH_RESERVED_NAME
			" cannot be used (%s): it must be a folder on the same disk, of this user",
			root->path, strerror(-root->own_fd)));
		goto out;
	}
	if (faccessat(root->own_fd, MARK_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		goto out;
	err = take(root, error);
out:
	if (err) {
		root_close(root);
		return err;
	}
	*out = root;
	return 0;
}

int root_mark(struct root *root, char **error)
{
	*error = NULL;
	assert(!root->id[0]);
	if (root->own_fd < 0)
		root->own_fd = own_folder(root, root->fd, PATH_RESERVED_NAME, true);
	int err = root->own_fd < 0 ? root->own_fd : mark_write(root);
	if (err)
		return fail(error, -err, xasprintf("%s cannot be marked as served (%s): "
			"tuttid must be able to write there", root->path, strerror(-err)));
	return take(root, error);
}

void root_close(struct root *root)
{
	if (!root)
		return;
	int fds[] = {root->fd, root->own_fd, root->mark_fd, root->tmp_fd, root->trash_fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(root->path);
	free(root);
}

enum root_state root_check(const struct root *root)
{
	struct stat st;
	char id[ROOT_ID_TEXT + 1];
	if (stat(root->path, &st) < 0 || !S_ISDIR(st.st_mode))
		return ROOT_GONE;
	if (st.st_dev != root->st.st_dev || st.st_ino != root->st.st_ino)
		return ROOT_REPLACED;
	int own = openat(root->fd, PATH_RESERVED_NAME, DIR_FLAGS);
	if (own < 0)
		return errno == EACCES || errno == EIO || errno == ESTALE ? ROOT_GONE : ROOT_NO_MARK;
	int err = mark_read(own, id, NULL);
	close(own);
	if (err)
		return err == -ENOENT || err == -EBADMSG ? ROOT_NO_MARK : ROOT_GONE;
	return strcmp(id, root->id) == 0 ? ROOT_OK : ROOT_REPLACED;
}

const char *root_state_text(enum root_state state)
{
	static const char *const text[] = {
		[ROOT_OK] = "present",
		[ROOT_GONE] = "the directory is gone or cannot be read",
		[ROOT_REPLACED] = "another directory is in its place (is it mounted?)",
		[ROOT_NO_MARK] = "the mark in " PATH_RESERVED_NAME " is missing",
	};
	return text[state];
}

const char *root_id(const struct root *root)
{
	return root->id;
}

struct root_abilities root_abilities(const struct root *root)
{
	return root->abilities;
}

const char *root_path(const struct root *root)
{
	return root->path;
}

int root_fd(const struct root *root)
{
	return root->fd;
}

int root_own_fd(const struct root *root)
{
	return root->own_fd;
}

int root_tmp_fd(const struct root *root)
{
	return root->tmp_fd;
}

int root_trash_fd(const struct root *root)
{
	return root->trash_fd;
}

dev_t root_device(const struct root *root)
{
	return root->st.st_dev;
}

int root_space(const struct root *root, uint64_t *size, uint64_t *available)
{
	struct statfs fs;
	if (fstatfs(root->fd, &fs) < 0)
		return -errno;
	*size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	*available = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return 0;
}

uint64_t root_next(struct root *root)
{
	return atomic_fetch_add(&root->next, 1) + 1;
}

/* --- exact names --- */

/* Is one of the names in `dir` spelled exactly so? Else how the one is that `st` is of. */
static int spelled(int dir, const char *name, const struct stat *st, char other[PATH_COMPONENT_MAX + 1])
{
	struct stat now;
	struct dirent *e;
	bool folded = false;
	int err = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	other[0] = '\0';
	while (errno = 0, (e = readdir(d)) && strcmp(e->d_name, name) != 0) {
		/* of two names of one file the one that differs in capitals only */
		bool same = strcasecmp(e->d_name, name) == 0;
		if (strlen(e->d_name) > PATH_COMPONENT_MAX || (!same && (folded || e->d_ino != st->st_ino)))
			continue;
		folded = folded || same;
		memcpy(other, e->d_name, strlen(e->d_name) + 1);
	}
	if (e)
		other[0] = '\0';
	else if (errno)
		err = -errno;
	else if (other[0] || fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0)
		err = -ENOTUNIQ;
	else
		err = -errno;
	if (err == -ENOTUNIQ && !other[0])
		memcpy(other, "?", 2);
	closedir(d);
	return err;
}

int name_stat(const struct root *root, int dir, const char *name, struct stat *st,
	      char other[PATH_COMPONENT_MAX + 1])
{
	char unasked[PATH_COMPONENT_MAX + 1];
	if (other)
		other[0] = '\0';
	if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return root->abilities.folds ? spelled(dir, name, st, other ? other : unasked) : 0;
}

/* --- the walk --- */

void walk_init(struct walk *w, struct root *root)
{
	w->root = root;
	w->steps = NULL;
	w->n = w->cap = 0;
	w->path[0] = '\0';
}

static void drop_steps(struct walk *w, size_t keep)
{
	while (w->n > keep)
		close(w->steps[--w->n].fd);
}

void walk_reset(struct walk *w)
{
	drop_steps(w, 0);
}

void walk_release(struct walk *w)
{
	drop_steps(w, 0);
	free(w->steps);
	w->steps = NULL;
	w->cap = 0;
}

static size_t step_begin(const struct walk *w, size_t i)
{
	return i ? w->steps[i - 1].end + 1 : 0;
}

static int step_parent(const struct walk *w, size_t i)
{
	return i ? w->steps[i - 1].fd : w->root->fd;
}

static void step_name(const struct walk *w, size_t i, char name[PATH_COMPONENT_MAX + 1])
{
	size_t begin = step_begin(w, i), len = w->steps[i].end - begin;
	memcpy(name, w->path + begin, len);
	name[len] = '\0';
}

static int walk_to(struct walk *w, struct bytes path)
{
	size_t keep = 0;
	while (keep < w->n) {
		size_t end = w->steps[keep].end;
		if (end > path.len || (end < path.len && path.p[end] != '/') ||
		    memcmp(path.p, w->path, end) != 0)
			break;
		keep++;
	}
	drop_steps(w, keep);
	if (path.len)
		memcpy(w->path, path.p, path.len);
	w->path[path.len] = '\0';
	for (;;) {
		size_t begin = step_begin(w, w->n);
		if (begin >= path.len)
			break;
		const uint8_t *slash = memchr(path.p + begin, '/', path.len - begin);
		struct walk_step step = {.end = slash ? (size_t)(slash - path.p) : path.len};
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		memcpy(name, path.p + begin, step.end - begin);
		name[step.end - begin] = '\0';
		step.fd = openat(step_parent(w, w->n), name, DIR_FLAGS);
		if (step.fd < 0)
			return errno == ELOOP ? -ENOTDIR : -errno;
		if (fstat(step.fd, &st) < 0 || st.st_dev != w->root->st.st_dev) {
			close(step.fd);
			return -EXDEV;
		}
		int err = w->root->abilities.folds ?
			name_stat(w->root, step_parent(w, w->n), name, &st, NULL) : 0;
		if (err) {
			close(step.fd);
			return err == -ENOTUNIQ ? -ENOENT : err;
		}
		step.dev = st.st_dev;
		step.ino = st.st_ino;
		GROW(w->steps, w->cap, w->n + 1);
		w->steps[w->n++] = step;
	}
	return w->n ? w->steps[w->n - 1].fd : w->root->fd;
}

int walk_dir(struct walk *w, struct bytes path)
{
	if (path.len && path_check(path) != PATH_OK)
		return -EINVAL;
	return walk_to(w, path);
}

int walk_parent(struct walk *w, struct bytes path, char name[PATH_COMPONENT_MAX + 1])
{
	if (path_check(path) != PATH_OK)
		return -EINVAL;
	struct bytes base = path_base(path);
	memcpy(name, base.p, base.len);
	name[base.len] = '\0';
	return walk_to(w, path_parent(path));
}

int walk_verify(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		step_name(w, i, name);
		if (fstatat(step_parent(w, i), name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode) || st.st_dev != w->steps[i].dev ||
		    st.st_ino != w->steps[i].ino) {
			drop_steps(w, i);
			return -ESTALE;
		}
	}
	return 0;
}
