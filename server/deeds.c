/* Owns the record of what was settled: its frames, and the file that they are in. */
#include "config.h"
#include "deeds.h"

#include "path.h"
#include "wire.h"
#include "write_full.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "settled"

enum {
	HEAD = 12,                      /* length and checksum before each frame */
	FRAME_MAX = 2 * 1024 * 1024,
	FILE_MAX = 256 * 1024 * 1024,
	FRAMES_MAX = 4 * DEEDS_MAX,     /* then the file is written anew */
	FILES_MAX = HEADS_MAX + 1,
};

static struct bytes own(struct bytes b)
{
	return (struct bytes){xmemdup(b.len ? (const void *)b.p : "", b.len), b.len};
}

static void disown(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

void deed_add(struct deed *d, const struct deed_file *f)
{
	d->files = xrealloc(d->files, d->n_files + 1, sizeof(*d->files));
	struct deed_file *to = &d->files[d->n_files++];
	*to = *f;
	to->path = own(f->path);
	to->now = own(f->now);
	to->target = own(f->target);
	to->by = own(f->by);
}

void deed_release(struct deed *d)
{
	for (size_t i = 0; i < d->n_files; i++) {
		disown(d->files[i].path);
		disown(d->files[i].now);
		disown(d->files[i].target);
		disown(d->files[i].by);
	}
	free(d->files);
	*d = (struct deed){0};
}

/* ---- frames ----------------------------------------------------------------------------- */

static void put_be(uint8_t *out, size_t n, uint64_t v)
{
	while (n--) {
		out[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t get_be(const uint8_t *in, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | in[i];
	return v;
}

static void pack(struct buf *out, const struct deed *d)
{
	size_t head = out->len;
	buf_reserve(out, HEAD);
	out->len += HEAD;
	wire_map(out, 4);
	wire_put_uint(out, "n", d->n);
	wire_put_int(out, "time", d->time_ns);
	wire_put_uint(out, "state", d->state);
	wire_key(out, "files");
	wire_array(out, d->n_files);
	for (size_t i = 0; i < d->n_files; i++) {
		const struct deed_file *f = &d->files[i];
		wire_map(out, 10);
		wire_put_bin(out, "path", f->path);
		wire_put_bin(out, "now", f->now);
		wire_put_bin(out, "target", f->target);
		wire_put_bin(out, "by", f->by);
		wire_put_bin(out, "trash", bytes_of(f->trash));
		wire_put_uint(out, "size", f->size);
		wire_put_int(out, "mtime", f->mtime_ns);
		wire_put_fixed(out, "hash", f->hash, HASH_SIZE);
		wire_put_uint(out, "mode", f->mode);
		wire_put_uint(out, "kind", f->kind);
	}
	size_t len = out->len - head - HEAD;
	put_be(out->data + head, 4, len);
	put_be(out->data + head + 4, 8, hash64(out->data + head + HEAD, len, len));
}

static bool unpack_file(const msgpack_object *o, struct deed_file *f)
{
	struct bytes trash;
	uint64_t mode, kind;
	bool fine = wire_get_bin(o, "path", &f->path) && wire_get_bin(o, "now", &f->now) &&
		wire_get_bin(o, "target", &f->target) && wire_get_bin(o, "trash", &trash) &&
		wire_get_bin(o, "by", &f->by) && f->by.len <= UINT8_MAX &&
		wire_get_uint(o, "size", INT64_MAX, &f->size) &&
		wire_get_int(o, "mtime", &f->mtime_ns) &&
		wire_get_fixed(o, "hash", f->hash, HASH_SIZE) &&
		wire_get_uint(o, "mode", MODE_BITS, &mode) &&
		wire_get_uint(o, "kind", KIND_SYMLINK, &kind) && kind != KIND_ABSENT &&
		path_check(f->path) == PATH_OK && (!f->now.len || path_check(f->now) == PATH_OK) &&
		trash.len < sizeof(f->trash) && !memchr(trash.p, '/', trash.len) &&
		!memchr(trash.p, 0, trash.len) && f->target.len <= SYMLINK_MAX;
	if (!fine)
		return false;
	memcpy(f->trash, trash.p, trash.len);
	f->trash[trash.len] = '\0';
	f->mode = (uint16_t)mode;
	f->kind = (uint8_t)kind;
	return true;
}

static bool unpack(struct bytes frame, struct deed *d)
{
	msgpack_zone zone;
	msgpack_object o;
	uint64_t state;
	*d = (struct deed){0};
	msgpack_zone_init(&zone, 4096);
	bool fine = !wire_unpack(frame, &zone, &o) && wire_get_uint(&o, "n", INT64_MAX, &d->n) &&
		wire_get_int(&o, "time", &d->time_ns) &&
		wire_get_uint(&o, "state", DEED_OVER, &state);
	const msgpack_object *files = fine ? wire_get(&o, "files") : NULL;
	size_t n = wire_count(files);
	fine = fine && n && n <= FILES_MAX;
	if (fine)
		d->state = (enum deed_state)state;
	for (size_t i = 0; i < n && fine; i++) {
		struct deed_file f = {.size = 0};
		fine = unpack_file(wire_at(files, i), &f);
		if (fine)
			deed_add(d, &f);
	}
	msgpack_zone_destroy(&zone);
	if (!fine)
		deed_release(d);
	return fine;
}

/* ---- those that count ------------------------------------------------------------------- */

struct deed *deeds_find(struct deeds *d, uint64_t n)
{
	for (size_t i = d->n; i-- > 0; )
		if (d->items[i].n == n)
			return &d->items[i];
	return NULL;
}

static void drop(struct deeds *d, size_t i)
{
	deed_release(&d->items[i]);
	memmove(d->items + i, d->items + i + 1, (--d->n - i) * sizeof(*d->items));
}

void deeds_put(struct deeds *d, struct deed *deed)
{
	assert(deed->n_files);
	struct deed *there = deeds_find(d, deed->n);
	if (deed->n >= d->next)
		d->next = deed->n + 1;
	if (there && deed->state == DEED_OVER) {
		drop(d, (size_t)(there - d->items));
	} else if (there) {
		deed_release(there);
		*there = *deed;
		*deed = (struct deed){0};
	} else if (deed->state != DEED_OVER) {
		if (d->n == DEEDS_MAX)
			drop(d, 0);
		GROW(d->items, d->cap, d->n + 1);
		d->items[d->n++] = *deed;
		*deed = (struct deed){0};
	}
	deed_release(deed);
}

/* ---- the file --------------------------------------------------------------------------- */

static bool read_file(const char *path, struct buf *out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool fine = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX;
	while (fine) {
		ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return fine;
}

/* Takes in all sound frames from the start on; `good` is how many bytes they have. */
static void take_in(struct deeds *d, struct bytes file, size_t *good)
{
	size_t at = 0;
	while (file.len - at >= HEAD) {
		uint64_t len = get_be(file.p + at, 4);
		struct deed deed;
		if (len > FRAME_MAX || len > file.len - at - HEAD)
			break;
		struct bytes frame = {file.p + at + HEAD, (size_t)len};
		if (get_be(file.p + at + 4, 8) != hash64(frame.p, frame.len, frame.len) ||
		    !unpack(frame, &deed))
			break;
		deeds_put(d, &deed);
		d->frames++;
		at += HEAD + frame.len;
	}
	*good = at;
}

void deeds_init(struct deeds *d, const char *dir)
{
	struct buf file = {0};
	size_t good = 0;
	*d = (struct deeds){.next = 1};
	d->path = xasprintf("%s/" FILE_NAME, dir);
	d->path_new = xasprintf("%s.new", d->path);
	if (read_file(d->path, &file))
		take_in(d, (struct bytes){file.data, file.len}, &good);
	if (good < file.len)
		d->frames = FRAMES_MAX; /* what is written next does not go behind rubbish */
	buf_release(&file);
}

void deeds_release(struct deeds *d)
{
	while (d->n)
		drop(d, d->n - 1);
	free(d->items);
	free(d->path);
	free(d->path_new);
	*d = (struct deeds){0};
}

/* Writes the file anew, with what counts in it. */
static int write_anew(struct deeds *d, const struct deed *last)
{
	struct deeds now = {.next = 1};
	struct buf file = {0}, out = {0};
	size_t good, n = 0;
	if (read_file(d->path, &file))
		take_in(&now, (struct bytes){file.data, file.len}, &good);
	buf_release(&file);
	for (; n < now.n; n++)
		pack(&out, &now.items[n]);
	pack(&out, last);
	int fd = open(d->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = fd < 0 ? -errno : write_full(fd, out.data, out.len);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (!err && rename(d->path_new, d->path) < 0)
		err = -errno;
	if (!err)
		d->frames = n + 1;
	while (now.n)
		drop(&now, now.n - 1);
	free(now.items);
	buf_release(&out);
	return err;
}

int deeds_write(struct deeds *d, const struct deed *deed)
{
	struct buf frame = {0};
	struct stat st = {.st_size = 0};
	if (d->frames >= FRAMES_MAX)
		return write_anew(d, deed);
	pack(&frame, deed);
	int fd = open(d->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	if (!err) {
		err = write_full(fd, frame.data, frame.len);
		if (err)
			(void)!ftruncate(fd, st.st_size); /* half a frame would hide what follows */
	}
	if (!err && fdatasync(fd) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (!err)
		d->frames++;
	buf_release(&frame);
	return err;
}
