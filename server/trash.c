/* Owns the trash: its names, what is in it, how it is emptied and how things come back. */
#include "config.h"
#include "apply_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BILLION INT64_C(1000000000)
/* The move into the trash is itself a change of the inode, by a coarser clock than that of the name. */
#define CLOCK_SLACK_NS (20 * INT64_C(1000000))

struct trash_stamp trash_stamp_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct trash_stamp){t.tv_sec, t.tv_nsec};
}

void trash_name(char *name, struct trash_stamp *stamp, struct bytes base)
{
	int n = snprintf(name, TRASH_NAME_SIZE, "%lld.%09ld-", (long long)stamp->s, stamp->ns);
	size_t len = n > 0 && (size_t)n < TRASH_NAME_SIZE ? (size_t)n : 0;
	size_t room = TRASH_NAME_SIZE - 1 - len;
	if (base.len < room)
		room = base.len;
	if (room)
		memcpy(name + len, base.p, room);
	name[len + room] = '\0';
	if (++stamp->ns == BILLION) {
		stamp->ns = 0;
		stamp->s++;
	}
}

/* The time in a name of ours; false for any other name. */
static bool parse_name(const char *name, int64_t *time_ns)
{
	int64_t s = 0, ns = 0;
	size_t i = 0, digits = 0;
	for (; name[i] >= '0' && name[i] <= '9' && i < 11; i++)
		s = s * 10 + (name[i] - '0');
	if (i == 0 || name[i] != '.' || s > INT64_MAX / BILLION - 1)
		return false;
	for (i++; name[i] >= '0' && name[i] <= '9' && digits < 9; i++, digits++)
		ns = ns * 10 + (name[i] - '0');
	if (digits != 9 || name[i] != '-' || !name[i + 1] || strchr(name, '/'))
		return false;
	*time_ns = s * BILLION + ns;
	return true;
}

int rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(from_dir, from, to_dir, to, 0) < 0)
		return -errno;
	return unlinkat(from_dir, from, 0) < 0 ? -errno : 0;
}

static bool item_at(int trash, const char *name, struct trash_item *item)
{
	struct stat st;
	*item = (struct trash_item){.name = name};
	if (!parse_name(name, &item->time_ns) || fstatat(trash, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	struct found f = found_from_stat(&st);
	item->size = f.size;
	item->mtime_ns = f.mtime_ns;
	item->kind = f.kind;
	/* a time of last change in the future was that of the file already */
	item->changed = f.kind == KIND_FILE && f.mtime_ns > item->time_ns &&
		f.ctime_ns > item->time_ns + CLOCK_SLACK_NS;
	return true;
}

int trash_list(struct root *root, void (*item)(void *ctx, const struct trash_item *item), void *ctx)
{
	int trash = root_trash_fd(root);
	if (trash < 0)
		return -EROFS;
	int fd = openat(trash, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int err = d ? 0 : -errno;
	while (d) {
		struct trash_item found;
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e) {
			err = -errno;
			break;
		}
		if (item_at(trash, e->d_name, &found))
			item(ctx, &found);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return err;
}

/* --- emptying --- */

struct things {
	struct trash_item *items;
	size_t n;
	size_t cap;
};

static void collect(void *ctx, const struct trash_item *item)
{
	struct things *t = ctx;
	GROW(t->items, t->cap, t->n + 1);
	t->items[t->n] = *item;
	t->items[t->n++].name = xstrdup(item->name);
}

static int oldest_first(const void *a, const void *b)
{
	int64_t x = ((const struct trash_item *)a)->time_ns, y = ((const struct trash_item *)b)->time_ns;
	return x < y ? -1 : x > y;
}

int trash_expire(struct root *root, int64_t now_s, int64_t max_age_s, uint64_t max_bytes,
		 void (*removed)(void *ctx, const char *name), void *ctx)
{
	struct things t = {0};
	uint64_t total = 0;
	int err = trash_list(root, collect, &t);
	for (size_t i = 0; i < t.n; i++)
		total += t.items[i].size;
	if (t.n)
		qsort(t.items, t.n, sizeof(*t.items), oldest_first);
	for (size_t i = 0; i < t.n && !err; i++) {
		struct trash_item *item = &t.items[i], now;
		if (item->time_ns / BILLION > now_s - max_age_s && total <= max_bytes)
			break;
		/* a folder goes if it is empty: what a user put there just before is not ours to remove */
		if (!item_at(root_trash_fd(root), item->name, &now) || now.changed)
			continue;
		if (unlinkat(root_trash_fd(root), item->name,
		    now.kind == KIND_DIR ? AT_REMOVEDIR : 0) == 0) {
			total -= item->size;
			if (removed)
				removed(ctx, item->name);
		} else if (errno == EROFS || errno == EIO || errno == EACCES) {
			err = -errno;
		}
	}
	for (size_t i = 0; i < t.n; i++)
		free((char *)t.items[i].name);
	free(t.items);
	return err;
}

/* --- coming back --- */

int trash_restore(struct root *root, const char *name, struct bytes path)
{
	struct walk walk;
	char to[PATH_COMPONENT_MAX + 1];
	int64_t when;
	if (!parse_name(name, &when))
		return -EINVAL;
	if (root_trash_fd(root) < 0)
		return -EROFS;
	walk_init(&walk, root);
	int parent = walk_parent(&walk, path, to);
	int err = parent < 0 ? parent : walk_verify(&walk);
	if (!err)
		err = rename_new(root_trash_fd(root), name, parent, to);
	if (!err && (fsync(parent) < 0 || fsync(root_trash_fd(root)) < 0))
		err = -errno;
	walk_release(&walk);
	return err;
}

int trash_hash(struct root *root, const char *name, uint8_t hash[HASH_SIZE])
{
	enum { BLOCK = 256 * 1024 };
	struct stat st;
	int64_t when;
	if (!parse_name(name, &when))
		return -EINVAL;
	if (root_trash_fd(root) < 0)
		return -EROFS;
	int fd = openat(root_trash_fd(root), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	struct digest *digest = digest_new();
	uint8_t *block = xmalloc(BLOCK);
	digest_begin(digest);
	while (!err) {
		ssize_t n = read(fd, block, BLOCK);
		if (n == 0)
			break;
		if (n > 0)
			digest_add(digest, block, (size_t)n);
		else if (errno != EINTR)
			err = -errno;
	}
	digest_end(digest, hash);
	digest_free(digest);
	free(block);
	close(fd);
	return err;
}
