/* Owns the trash: its names, what is in it, how it is emptied and how things come back. */
#include "config.h"
#include "trash.h"

#include "apply_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BILLION INT64_C(1000000000)
#define REST_S 60 /* so long after its last change a file counts as at rest */
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

void trash_new_name(struct root *root, char name[TRASH_NAME_SIZE], struct bytes base)
{
	static _Atomic int64_t last_ns; /* a clock that stands still or goes back gives no name twice */
	struct stat st;
	do {
		struct trash_stamp stamp = trash_stamp_now();
		int64_t now = stamp.s * BILLION + stamp.ns, last = atomic_load(&last_ns);
		do {
			if (now <= last && last - now < BILLION)
				now = last + 1;
		} while (!atomic_compare_exchange_weak(&last_ns, &last, now));
		stamp = (struct trash_stamp){now / BILLION, (long)(now % BILLION)};
		trash_name(name, &stamp, base);
	} while (fstatat(root_trash_fd(root), name, &st, AT_SYMLINK_NOFOLLOW) == 0);
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

int64_t trash_time(struct bytes name)
{
	char text[TRASH_NAME_SIZE];
	int64_t time_ns;
	if (!name.len || name.len >= sizeof(text) || memchr(name.p, 0, name.len))
		return -1;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	return parse_name(text, &time_ns) ? time_ns : -1;
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
	item->ctime_ns = f.ctime_ns;
	item->kind = f.kind;
	/* a time of last change in the future was that of the file already */
	item->changed = f.kind == KIND_FILE && f.mtime_ns > item->time_ns &&
		f.ctime_ns > item->time_ns + CLOCK_SLACK_NS;
	return true;
}

int trash_look(struct root *root, const char *name, struct trash_item *item)
{
	if (root_trash_fd(root) < 0)
		return -EROFS;
	if (trash_time(bytes_of(name)) < 0)
		return -EINVAL;
	return item_at(root_trash_fd(root), name, item) ? 0 : errno == ENOENT ? -ENOENT : -EIO;
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

static int known_by_name(const void *a, const void *b)
{
	return strcmp(a, ((const struct trash_known *)b)->name);
}

static const struct trash_known *known_of(const struct trash_tidying *t, const char *name)
{
	return t->n_known ? bsearch(name, t->known, t->n_known, sizeof(*t->known), known_by_name) : NULL;
}

/* Was it written to after it was put there? The index tells even if a clock was set meanwhile. */
static bool was_changed(struct root *root, const struct trash_item *item, const struct trash_known *k)
{
	uint8_t hash[HASH_SIZE];
	if (item->kind != KIND_FILE)
		return false;
	bool differs = k && k->measured && (item->size != k->size || item->mtime_ns != k->mtime_ns);
	if (!differs && !item->changed)
		return false;
	/* only touched, or written with the same bytes */
	return !k || !k->hashed || trash_hash(root, item->name, hash) < 0 ||
		memcmp(hash, k->hash, HASH_SIZE) != 0;
}

/* Nobody has it open for writing, and nobody had just now. */
static bool is_at_rest(struct root *root, const struct trash_item *item, int64_t now_s)
{
	int64_t age_s = now_s - item->ctime_ns / BILLION;
	if (age_s >= 0 && age_s < REST_S)
		return false;
	int fd = trash_open(root, item->name);
	bool rest = fd >= 0;
	if (rest && root_abilities(root).lease && fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		rest = errno != EAGAIN;
	if (fd >= 0)
		close(fd); /* and the lease */
	return rest;
}

static void save_changed(struct root *root, const struct trash_tidying *t, const struct trash_item *item,
			 const struct trash_known *k)
{
	struct buf got = {0};
	struct bytes base = bytes_of(strchr(item->name, '-') + 1);
	struct bytes path = k && k->path.len ? k->path : base;
	if (is_at_rest(root, item, t->now_s) &&
	    trash_restore_beside(root, item->name, path, &got) == 0 && t->saved)
		t->saved(t->ctx, item->name, (struct bytes){got.data, got.len});
	buf_release(&got);
}

/* Something that may go. A folder goes if it is empty: what a user put there is not ours to remove. */
static int remove_item(struct root *root, const struct trash_item *item)
{
	if (unlinkat(root_trash_fd(root), item->name, item->kind == KIND_DIR ? AT_REMOVEDIR : 0) == 0)
		return 0;
	return -errno;
}

static bool is_spared(const struct trash_tidying *t, const struct trash_item *item)
{
	for (size_t i = 0; i < t->n_spared; i++)
		if (item->time_ns >= t->spared[i].from_ns && item->time_ns <= t->spared[i].to_ns)
			return true;
	return false;
}

int trash_tidy(struct root *root, const struct trash_tidying *t)
{
	struct things all = {0};
	uint64_t total = 0;
	int err = trash_list(root, collect, &all);
	/* what the index knows and somebody else took away */
	for (size_t i = 0; i < t->n_known && !err && t->gone; i++) {
		struct trash_item item;
		if (trash_look(root, t->known[i].name, &item) == -ENOENT)
			t->gone(t->ctx, t->known[i].name);
	}
	for (size_t i = 0; i < all.n; i++)
		total += is_spared(t, &all.items[i]) ? 0 : all.items[i].size;
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), oldest_first);
	for (size_t i = 0; i < all.n && !err; i++) {
		struct trash_item *item = &all.items[i];
		const struct trash_known *k = known_of(t, item->name);
		if (was_changed(root, item, k)) {
			save_changed(root, t, item, k);
			continue;
		}
		bool old = item->time_ns / BILLION <= t->now_s - t->max_age_s;
		bool spared = is_spared(t, item);
		if (!old && (spared || total <= t->max_bytes)) {
			if (!k && t->found && item->time_ns / BILLION <= t->now_s - TRASH_KNOWN_S)
				t->found(t->ctx, item);
			continue;
		}
		int failed = remove_item(root, item);
		if (!failed && !spared)
			total -= item->size;
		if (!failed && !old && t->early)
			t->early(t->ctx, item);
		if (!failed && t->gone)
			t->gone(t->ctx, item->name);
		if (failed == -EROFS || failed == -EIO || failed == -EACCES)
			err = failed;
	}
	for (size_t i = 0; i < all.n; i++)
		free((char *)all.items[i].name);
	free(all.items);
	return err;
}

/* --- coming back --- */

/* From the trash to a name that must be free, in a folder that is held; durably. */
static int come_back(struct root *root, const char *name, int parent, const char *to)
{
	int err = rename_new(root_trash_fd(root), name, parent, to);
	if (!err && (fsync(parent) < 0 || fsync(root_trash_fd(root)) < 0))
		err = -errno;
	return err;
}

static int can_come_back(struct root *root, const char *name)
{
	return trash_time(bytes_of(name)) < 0 ? -EINVAL : root_trash_fd(root) < 0 ? -EROFS : 0;
}

int trash_restore(struct root *root, const char *name, struct bytes path)
{
	struct walk walk;
	char to[PATH_COMPONENT_MAX + 1];
	int err = can_come_back(root, name);
	if (err)
		return err;
	walk_init(&walk, root);
	int parent = walk_parent(&walk, path, to);
	err = parent < 0 ? parent : walk_verify(&walk);
	if (!err)
		err = come_back(root, name, parent, to);
	walk_release(&walk);
	return err;
}

/* `stem.saved-DATE-TIME.ext`, in UTC; from the second try on `stem.saved-DATE-TIME-TRY.ext`. */
static void saved_name(char out[PATH_COMPONENT_MAX + 1], struct bytes base, int64_t time_ns, unsigned try)
{
	char middle[64], number[16] = "";
	struct tm tm = {0};
	time_t s = (time_t)(time_ns / BILLION);
	gmtime_r(&s, &tm);
	if (try)
		snprintf(number, sizeof(number), "-%u", try + 1);
	size_t n = strftime(middle, 40, ".saved-%Y%m%d-%H%M%S", &tm);
	n += (size_t)snprintf(middle + n, sizeof(middle) - n, "%s", number);
	size_t ext = 0;
	while (ext < base.len && ext <= PATH_EXTENSION_MAX && base.p[base.len - 1 - ext] != '.')
		ext++;
	ext = ext && ext <= PATH_EXTENSION_MAX && ext + 1 < base.len ? ext + 1 : 0;
	size_t stem = base.len - ext, room = PATH_COMPONENT_MAX - n - ext;
	if (stem > room) {
		stem = room;
		while (stem && (base.p[stem] & 0xc0) == 0x80) /* not inside a character */
			stem--;
	}
	memcpy(out, base.p, stem);
	memcpy(out + stem, middle, n);
	memcpy(out + stem + n, base.p + base.len - ext, ext);
	out[stem + n + ext] = '\0';
}

int trash_restore_beside(struct root *root, const char *name, struct bytes path, struct buf *got)
{
	enum { TRIES = 1000 };
	struct walk walk;
	struct bytes folder = path_parent(path);
	int64_t time_ns = trash_time(bytes_of(name));
	int err = can_come_back(root, name);
	if (!err && path_check(path) != PATH_OK)
		err = -EINVAL;
	if (err)
		return err;
	walk_init(&walk, root);
	int parent = walk_dir(&walk, folder);
	while (parent < 0 && folder.len) {
		folder = path_parent(folder);
		parent = walk_dir(&walk, folder);
	}
	err = parent < 0 ? parent : walk_verify(&walk);
	for (unsigned try = 0; !err && try < TRIES; try++) {
		char to[PATH_COMPONENT_MAX + 1];
		saved_name(to, path_base(path), time_ns, try);
		err = come_back(root, name, parent, to);
		if (!err) {
			if (folder.len) {
				buf_add(got, folder.p, folder.len);
				buf_add_char(got, '/');
			}
			buf_add(got, to, strlen(to));
			break;
		}
		if (err == -EEXIST && try + 1 < TRIES)
			err = 0;
	}
	walk_release(&walk);
	return err;
}

int trash_open(struct root *root, const char *name)
{
	struct stat st;
	int err = can_come_back(root, name);
	if (err)
		return err;
	int fd = openat(root_trash_fd(root), name, READ_FLAGS);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int trash_hash(struct root *root, const char *name, uint8_t hash[HASH_SIZE])
{
	enum { BLOCK = 256 * 1024 };
	int fd = trash_open(root, name), err = 0;
	if (fd == -ELOOP) {
		char target[SYMLINK_MAX + 1];
		ssize_t n = readlinkat(root_trash_fd(root), name, target, sizeof(target));
		if (n < 0 || (size_t)n > SYMLINK_MAX)
			return n < 0 ? -errno : -ENAMETOOLONG;
		digest_once(target, (size_t)n, hash);
		return 0;
	}
	if (fd < 0)
		return fd;
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
