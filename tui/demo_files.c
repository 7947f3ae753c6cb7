/* Owns the demo's sample files: names, exact sizes, dates, contents; and the changes made later. */
#include "config.h"
#include "demo_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const demo_names[DEMO_SIDES] = {"A", "B"};

enum { PATH_ROOM = 128 };

struct sample {
	const char *path; /* its first part is the server's name */
	size_t size;
	const char *date; /* local time */
};

static const struct sample samples[] = {
	{"A/b.txt", 661, "2026-03-14 09:26:53"},
	{"A/d.gif", 131992, "2025-11-30 18:04:10"},
	{"A/notes/ideas.md", 2381, "2026-06-02 21:15:00"},
	{"A/notes/reading.txt", 914, "2026-01-19 07:40:31"},
	{"B/a.jpg", 46623, "2026-08-08 16:20:45"},
	{"B/c.pdf", 8566866, "2024-12-01 12:00:00"},
	{"B/music/scales.mid", 5120, "2025-04-22 20:31:08"},
	{"B/music/score.pdf", 388417, "2025-04-23 10:12:59"},
};

enum change_kind { WRITE, BOTH /* two people at once: a conflict */, APPEND, RENAME, DELETE };

struct change {
	enum change_kind kind;
	const char *path;
	size_t size;    /* of what is written or appended */
	const char *to; /* of a rename */
};

/* At first a bit of everything; later only what is small, since what was replaced is kept. */
static const struct change first_changes[] = {
	{WRITE, "A/notes/today.md", 310, NULL},
	{BOTH, "notes/plan.md", 275, NULL},
	{APPEND, "B/notes/ideas.md", 123, NULL},
	{WRITE, "B/photos/harbour.jpg", 3481903, NULL},
	{APPEND, "A/notes/today.md", 87, NULL},
	{WRITE, "A/music/draft.wav", 12582912, NULL},
	{RENAME, "B/photos/harbour.jpg", 0, "B/photos/harbour at dawn.jpg"},
	{APPEND, "B/b.txt", 40, NULL},
	{DELETE, "A/music/draft.wav", 0, NULL},
	{WRITE, "B/photos/pier.jpg", 2217340, NULL},
	{DELETE, "A/photos/harbour at dawn.jpg", 0, NULL},
};

static const struct change later_changes[] = {
	{APPEND, "A/notes/reading.txt", 58, NULL},
	{WRITE, "B/notes/tomorrow.md", 207, NULL},
	{APPEND, "B/notes/tomorrow.md", 64, NULL},
	{WRITE, "A/notes/today.md", 310, NULL},
	{DELETE, "A/notes/tomorrow.md", 0, NULL},
};

/* --- contents */

static bool is_text(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot && (!strcmp(dot, ".txt") || !strcmp(dot, ".md"));
}

/* The n-th piece of a file: lines to read in texts, else bytes without meaning. */
static void add_piece(struct buf *b, const char *path, uint64_t n)
{
	if (is_text(path)) {
		buf_addf(b, "%" PRIu64 ". A line of a sample file, to be changed and deleted.\n",
			 n + 1);
		return;
	}
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t bytes = hash64(&i, sizeof(i), hash64(path, strlen(path), n));
		buf_add(b, &bytes, sizeof(bytes));
	}
}

static int write_content(int fd, const char *path, size_t size, uint64_t seed)
{
	struct buf piece = {0};
	int r = 0;
	while (size && !r) {
		add_piece(&piece, path, seed++);
		size_t len = piece.len < size ? piece.len : size;
		ssize_t n = write(fd, piece.data, len);
		r = n < 0 ? -errno : 0;
		if (n > 0) {
			size -= (size_t)n;
			buf_drop_front(&piece, (size_t)n);
		}
	}
	buf_release(&piece);
	return r;
}

static int make_parents(int dir, const char *path)
{
	char parent[PATH_ROOM];
	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		if (mkdirat(dir, parent, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int put_file(int dir, const char *path, int flags, size_t size, uint64_t seed)
{
	int r = make_parents(dir, path);
	int fd = r ? -1 : openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
	if (fd < 0)
		return r ? r : -errno;
	r = write_content(fd, path, size, seed);
	if (close(fd) && !r)
		r = -errno;
	return r;
}

static int set_date(int dir, const char *path, const char *date)
{
	struct tm tm = {.tm_isdst = -1};
	if (!strptime(date, "%Y-%m-%d %H:%M:%S", &tm))
		return -EINVAL;
	struct timespec t = {.tv_sec = mktime(&tm)};
	struct timespec times[2] = {t, t};
	return utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int demo_write(int dir)
{
	int r = 0;
	for (size_t i = 0; !r && i < ARRAY_LEN(samples); i++) {
		r = put_file(dir, samples[i].path, O_EXCL, samples[i].size, 0);
		if (!r)
			r = set_date(dir, samples[i].path, samples[i].date);
	}
	return r;
}

/* --- changes */

/* Faster than one server could tell the other. */
static void write_both(int dir, const char *path, size_t size)
{
	for (size_t i = 0; i < DEMO_SIDES; i++) {
		char full[PATH_ROOM];
		snprintf(full, sizeof(full), "%s/%s", demo_names[i], path);
		(void)put_file(dir, full, O_TRUNC, size + i * 55, i * 7);
	}
}

void demo_change(int dir, unsigned step)
{
	const struct change *c = step < ARRAY_LEN(first_changes)
					 ? &first_changes[step]
					 : &later_changes[step % ARRAY_LEN(later_changes)];
	switch (c->kind) {
	case WRITE:
		(void)put_file(dir, c->path, O_TRUNC, c->size, step);
		break;
	case BOTH:
		write_both(dir, c->path, c->size);
		break;
	case APPEND:
		(void)put_file(dir, c->path, O_APPEND, c->size, step);
		break;
	case RENAME:
		(void)renameat(dir, c->path, dir, c->to);
		break;
	case DELETE:
		(void)unlinkat(dir, c->path, 0);
		break;
	}
}
