/* Owns the journal of intents: its frames, its two files, and the reading of what a crash left. */
#include "config.h"
#include "intents.h"

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FILES = 2,
	FILE_FULL = 4 * 1024 * 1024,   /* then the other file, if it is free */
	FILE_RESERVED = 128 * 1024,    /* there from the start, so that a full disk stops no small batch */
	FILE_READ_MAX = 1 << 30,
	BODY_MAX = WIRE_FRAME_MAX,
	BODY_SPLIT = 256 * 1024,       /* a batch that takes more is written in several frames */
	BOOT_SIZE = 36,
};

static const char *const file_names[FILES] = {"intents", "intents-2"};
static const uint8_t magic[8] = {'T', 'u', 't', 't', 'i', 'I', 'n', '1'};

/* Before each body. In the byte order of the machine: the file never leaves it. */
struct frame {
	uint8_t magic[8];
	uint64_t epoch;   /* of the file: grows each time that it is begun anew */
	uint64_t oldest;  /* epochs below this one are settled */
	uint64_t sum;     /* of all else and the body */
	uint32_t len;     /* of the body */
	uint32_t zero;
};

enum frame_type { FRAME_INTENTS = 1, FRAME_RESULTS };

struct file {
	int fd;
	uint64_t epoch;
	uint64_t end;     /* the next frame goes here */
	size_t open;      /* batches that are not settled, the earlier life as one */
	bool earlier;     /* it is not settled */
	bool failed;      /* a sync did: nothing more is written to it, another takes its place */
	uint8_t *bytes;   /* as they were read */
	size_t n_bytes;
};

struct intents {
	pthread_mutex_t mutex;
	int own_fd;                /* .tutti, the root's */
	struct file files[FILES];
	unsigned current;
	uint64_t next_number;
	struct intent *earlier;
	size_t n_earlier, cap_earlier;
	msgpack_zone zone;         /* of the earlier */
};

static char boot[BOOT_SIZE + 1]; /* which start of the machine this is; "" if that is not known */

static uint64_t sum_of(const struct frame *f, const uint8_t *body)
{
	uint64_t said[] = {f->epoch, f->oldest, f->len};
	return hash64(body, f->len, hash64(said, sizeof(said), 0x7475747469));
}

void intents_boot(void)
{
	if (boot[0])
		return;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, BOOT_SIZE);
	boot[n == BOOT_SIZE ? BOOT_SIZE : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* ---- reading ---------------------------------------------------------------------------- */

static bool small(const msgpack_object *array, size_t i, uint64_t max, uint64_t *out)
{
	return wire_as_uint(wire_at(array, i), max, out);
}

static bool name_in(const msgpack_object *array, size_t i, char out[INTENT_NAME_SIZE])
{
	struct bytes b;
	if (!wire_as_bin(wire_at(array, i), &b) || b.len >= INTENT_NAME_SIZE ||
	    (b.len && (memchr(b.p, '/', b.len) || memchr(b.p, 0, b.len) || b.p[0] == '.')))
		return false;
	if (b.len)
		memcpy(out, b.p, b.len);
	out[b.len] = '\0';
	return true;
}

static bool path_in(const msgpack_object *array, size_t i, bool needed, struct bytes *out)
{
	return wire_as_bin(wire_at(array, i), out) &&
		(out->len ? path_check(*out) == PATH_OK : !needed);
}

/* The order of the fields is that of pack_intent(). */
static bool read_intent(const msgpack_object *o, struct intent *in)
{
	uint64_t type, source, expect, placed, mode, now;
	bool ok = small(o, 0, UINT64_MAX, &in->number) && small(o, 1, INTENT_MODE, &type) &&
		small(o, 2, SOURCE_MOVE, &source) && small(o, 3, KIND_SYMLINK, &expect) &&
		small(o, 4, KIND_SYMLINK, &placed) && small(o, 5, MODE_BITS, &mode) &&
		small(o, 6, MODE_BITS, &now) && small(o, 7, UINT64_MAX, &in->expect_stamp) &&
		small(o, 8, UINT64_MAX, &in->placed_stamp) && small(o, 9, UINT64_MAX, &in->final_stamp) &&
		wire_as_int(wire_at(o, 10), &in->mtime_ns) && small(o, 11, UINT64_MAX, &in->size) &&
		path_in(o, 12, true, &in->path) && path_in(o, 13, false, &in->from) &&
		wire_as_bin(wire_at(o, 14), &in->record) && name_in(o, 15, in->tmp) &&
		name_in(o, 16, in->wait) && name_in(o, 17, in->trash);
	if (!ok || (type > OP_META && type != INTENT_MODE) || (source == SOURCE_MOVE && !in->from.len))
		return false;
	in->type = (uint8_t)type;
	in->source = (uint8_t)source;
	in->expect_kind = (uint8_t)expect;
	in->placed_kind = (uint8_t)placed;
	in->mode = (uint16_t)mode;
	in->mode_now = (uint16_t)now;
	return true;
}

static void read_intents(struct intents *in, uint8_t file, const msgpack_object *o)
{
	struct bytes then;
	const msgpack_object *list = wire_at(o, 2);
	bool same = wire_as_bin(wire_at(o, 1), &then) && then.len && bytes_eq(then, bytes_of(boot));
	for (size_t i = 0; i < wire_count(list); i++) {
		struct intent one = {.same_boot = same, .file = file};
		if (!read_intent(wire_at(list, i), &one))
			continue;
		if (one.number >= in->next_number && one.number < UINT64_MAX / 2)
			in->next_number = one.number + 1;
		GROW(in->earlier, in->cap_earlier, in->n_earlier + 1);
		in->earlier[in->n_earlier++] = one;
	}
}

static void read_results(struct intents *in, const msgpack_object *o)
{
	uint64_t first;
	struct bytes results;
	if (!small(o, 1, UINT64_MAX / 2, &first) || !wire_as_bin(wire_at(o, 2), &results))
		return;
	for (size_t i = in->n_earlier; i-- > 0; ) {
		struct intent *one = &in->earlier[i];
		if (one->number - first < results.len && results.p[one->number - first] <= INTENT_UNDONE &&
		    results.p[one->number - first] != INTENT_UNKNOWN)
			one->result = results.p[one->number - first];
	}
}

/* The next frame that is whole, at or after *at; NULL: none. Moves *at behind it. */
static const uint8_t *next_frame(const struct file *f, size_t *at, struct frame *frame)
{
	while (*at < f->n_bytes) {
		const uint8_t *p = memmem(f->bytes + *at, f->n_bytes - *at, magic, sizeof(magic));
		if (!p)
			break;
		size_t begin = (size_t)(p - f->bytes), rest = f->n_bytes - begin;
		*at = begin + 1;
		if (rest < sizeof(*frame))
			break;
		memcpy(frame, p, sizeof(*frame));
		if (frame->len > BODY_MAX || frame->len > rest - sizeof(*frame) || frame->zero ||
		    frame->epoch > UINT64_MAX / 2 || frame->oldest > frame->epoch ||
		    frame->sum != sum_of(frame, p + sizeof(*frame)))
			continue;
		*at = begin + sizeof(*frame) + frame->len;
		return p + sizeof(*frame);
	}
	return NULL;
}

static void read_frames(struct intents *in, struct file *f, uint64_t floor)
{
	struct frame frame;
	const uint8_t *body;
	size_t before = in->n_earlier;
	for (size_t at = 0; (body = next_frame(f, &at, &frame)); ) {
		msgpack_object o;
		uint64_t type;
		if (frame.epoch != f->epoch)
			continue;
		f->end = at;
		if (frame.epoch < floor || wire_unpack((struct bytes){body, frame.len}, &in->zone, &o) ||
		    !small(&o, 0, UINT64_MAX, &type))
			continue;
		if (type == FRAME_INTENTS)
			read_intents(in, (uint8_t)(f - in->files), &o);
		else if (type == FRAME_RESULTS)
			read_results(in, &o);
	}
	f->earlier = in->n_earlier > before;
	f->open = f->earlier;
}

/* All of it into memory. */
static int slurp(struct file *f)
{
	struct stat st;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	size_t size = st.st_size > FILE_READ_MAX ? FILE_READ_MAX : (size_t)st.st_size;
	f->bytes = xmalloc(size + 1);
	while (f->n_bytes < size) {
		ssize_t n = pread(f->fd, f->bytes + f->n_bytes, size - f->n_bytes, (off_t)f->n_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			break;
		/* a part that the disk cannot read any more counts as damaged */
		if (n < 0 && errno != EIO)
			return -errno;
		size_t got = n < 0 ? 512 : (size_t)n;
		if (got > size - f->n_bytes)
			got = size - f->n_bytes;
		if (n < 0)
			memset(f->bytes + f->n_bytes, 0, got);
		f->n_bytes += got;
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct intent *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void read_all(struct intents *in)
{
	uint64_t floor = 0;
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &in->files[i];
		struct frame frame;
		for (size_t at = 0; next_frame(f, &at, &frame); ) {
			if (frame.epoch > f->epoch)
				f->epoch = frame.epoch;
			if (frame.oldest > floor)
				floor = frame.oldest;
		}
	}
	for (unsigned i = 0; i < FILES; i++)
		read_frames(in, &in->files[i], floor);
	if (in->n_earlier)
		qsort(in->earlier, in->n_earlier, sizeof(*in->earlier), by_number);
	in->current = in->files[1].epoch > in->files[0].epoch;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* What is behind the last frame is nothing; zeros there keep later writes from moving the end. */
static void reserve(struct file *f)
{
	static const uint8_t zeros[FILE_RESERVED];
	struct stat st;
	if (fstat(f->fd, &st) < 0 || st.st_size >= FILE_RESERVED)
		return;
	/* if the disk is full each batch asks for its own space */
	(void)!pwrite(f->fd, zeros, (size_t)(FILE_RESERVED - st.st_size), st.st_size);
}

int intents_open(struct intents **out, struct root *root)
{
	struct intents *in = xcalloc(1, sizeof(*in));
	int own = root_own_fd(root), err = own < 0 ? -EROFS : 0;
	*out = NULL;
	pthread_mutex_init(&in->mutex, NULL);
	msgpack_zone_init(&in->zone, 4096);
	intents_boot();
	in->next_number = 1;
	in->own_fd = own;
	for (unsigned i = 0; i < FILES; i++)
		in->files[i].fd = -1;
	for (unsigned i = 0; i < FILES && !err; i++) {
		struct file *f = &in->files[i];
		f->fd = openat(own, file_names[i], O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			0600);
		err = f->fd < 0 ? -errno : slurp(f);
	}
	if (!err) {
		read_all(in);
		for (unsigned i = 0; i < FILES && !err; i++) {
			reserve(&in->files[i]);
			if (fsync(in->files[i].fd) < 0)
				err = -errno;
		}
		if (!err && fsync(own) < 0)
			err = -errno;
	}
	if (err) {
		intents_close(in);
		return err;
	}
	*out = in;
	return 0;
}

static void forget_earlier(struct intents *in)
{
	for (unsigned i = 0; i < FILES; i++) {
		free(in->files[i].bytes);
		in->files[i].bytes = NULL;
		in->files[i].n_bytes = 0;
	}
	free(in->earlier);
	in->earlier = NULL;
	in->n_earlier = in->cap_earlier = 0;
	msgpack_zone_clear(&in->zone);
}

void intents_close(struct intents *in)
{
	if (!in)
		return;
	forget_earlier(in);
	for (unsigned i = 0; i < FILES; i++) {
		if (in->files[i].fd >= 0)
			close(in->files[i].fd);
	}
	msgpack_zone_destroy(&in->zone);
	pthread_mutex_destroy(&in->mutex);
	free(in);
}

const struct intent *intents_earlier(const struct intents *in, size_t *n)
{
	*n = in->n_earlier;
	return in->earlier;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void pack_intent(struct buf *b, const struct intent *in)
{
	wire_array(b, 18);
	wire_uint(b, in->number);
	wire_uint(b, in->type);
	wire_uint(b, in->source);
	wire_uint(b, in->expect_kind);
	wire_uint(b, in->placed_kind);
	wire_uint(b, in->mode);
	wire_uint(b, in->mode_now);
	wire_uint(b, in->expect_stamp);
	wire_uint(b, in->placed_stamp);
	wire_uint(b, in->final_stamp);
	wire_int(b, in->mtime_ns);
	wire_uint(b, in->size);
	wire_bin(b, in->path);
	wire_bin(b, in->from);
	wire_bin(b, in->record);
	wire_bin(b, bytes_of(in->tmp));
	wire_bin(b, bytes_of(in->wait));
	wire_bin(b, bytes_of(in->trash));
}

static size_t frame_begin(struct buf *b)
{
	size_t at = b->len;
	static const struct frame empty;
	buf_add(b, &empty, sizeof(empty));
	return at;
}

static uint64_t oldest_epoch(const struct intents *in, unsigned writing)
{
	uint64_t oldest = in->files[writing].epoch;
	for (unsigned i = 0; i < FILES; i++) {
		if (in->files[i].open && in->files[i].epoch < oldest)
			oldest = in->files[i].epoch;
	}
	return oldest;
}

static void frame_end(struct buf *b, size_t at, uint64_t epoch, uint64_t oldest)
{
	struct frame f = {.epoch = epoch, .oldest = oldest,
		.len = (uint32_t)(b->len - at - sizeof(f))};
	memcpy(f.magic, magic, sizeof(magic));
	f.sum = sum_of(&f, b->data + at + sizeof(f));
	memcpy(b->data + at, &f, sizeof(f));
}

static int write_at(struct file *f, const struct buf *b)
{
	size_t done = 0;
	while (done < b->len) {
		ssize_t n = pwrite(f->fd, b->data + done, b->len - done, (off_t)(f->end + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	f->end += b->len;
	return 0;
}

/* A new file of that name: what the failed sync has lost would not be noticed again in the old one. */
static void replace_failed(struct intents *in, struct file *f)
{
	const char *name = file_names[f - in->files];
	if (unlinkat(in->own_fd, name, 0) < 0 && errno != ENOENT)
		return;
	int fd = openat(in->own_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (fsync(fd) < 0 || fsync(in->own_fd) < 0) {
		close(fd);
		return;
	}
	close(f->fd);
	f->fd = fd;
	f->failed = false;
}

/* The file that the next batch goes to, from its beginning when nothing in it is needed; or NULL. */
static struct file *file_for_batch(struct intents *in)
{
	struct file *f = &in->files[in->current], *other = &in->files[!in->current];
	for (unsigned i = 0; i < FILES; i++) {
		if (in->files[i].failed && !in->files[i].open)
			replace_failed(in, &in->files[i]);
	}
	if (!other->failed && (f->failed || (f->open && f->end > FILE_FULL && !other->open))) {
		in->current = !in->current;
		f = other;
	}
	if (f->failed)
		return NULL;
	if (!f->open) {
		uint64_t last = in->files[0].epoch > in->files[1].epoch ? in->files[0].epoch :
			in->files[1].epoch;
		f->epoch = last + 1;
		f->end = 0;
	}
	return f;
}

int intents_write(struct intents *in, struct intent *list, size_t n, struct intents_batch *batch)
{
	struct buf b = {0};
	pthread_mutex_lock(&in->mutex);
	struct file *f = file_for_batch(in);
	if (!f) {
		pthread_mutex_unlock(&in->mutex);
		return -EIO;
	}
	unsigned which = (unsigned)(f - in->files);
	*batch = (struct intents_batch){.first = in->next_number, .n = n, .file = which};
	in->next_number += n;
	for (size_t i = 0; i < n; ) {
		size_t at = frame_begin(&b);
		wire_array(&b, 3);
		wire_uint(&b, FRAME_INTENTS);
		wire_bin(&b, bytes_of(boot));
		size_t mark = wire_array_begin(&b), packed = 0;
		for (; i < n && b.len - at < BODY_SPLIT; i++) {
			list[i].number = batch->first + i;
			if (list[i].skip)
				continue;
			pack_intent(&b, &list[i]);
			packed++;
		}
		wire_array_end(&b, mark, packed);
		frame_end(&b, at, f->epoch, oldest_epoch(in, which));
	}
	int err = write_at(f, &b);
	if (!err)
		f->open++;
	pthread_mutex_unlock(&in->mutex);
	buf_release(&b);
	return err;
}

int intents_sync(struct intents *in, const struct intents_batch *batch)
{
	if (fdatasync(in->files[batch->file].fd) == 0)
		return 0;
	int err = -errno;
	pthread_mutex_lock(&in->mutex);
	in->files[batch->file].failed = true;
	pthread_mutex_unlock(&in->mutex);
	return err;
}

static int add_results(struct intents *in, unsigned file, uint64_t first, struct bytes results)
{
	struct buf b = {0};
	size_t at = frame_begin(&b);
	wire_array(&b, 3);
	wire_uint(&b, FRAME_RESULTS);
	wire_uint(&b, first);
	wire_bin(&b, results);
	pthread_mutex_lock(&in->mutex);
	struct file *f = &in->files[file];
	frame_end(&b, at, f->epoch, oldest_epoch(in, file));
	int err = write_at(f, &b);
	pthread_mutex_unlock(&in->mutex);
	buf_release(&b);
	return err;
}

int intents_result(struct intents *in, const struct intents_batch *batch, const uint8_t *results)
{
	return add_results(in, batch->file, batch->first, (struct bytes){results, batch->n});
}

int intents_decided(struct intents *in, const uint8_t *results)
{
	int err = 0;
	for (size_t i = 0, n; i < in->n_earlier && !err; i += n) {
		const struct intent *first = &in->earlier[i];
		for (n = 1; i + n < in->n_earlier && n < BODY_SPLIT && first[n].file == first->file &&
		     first[n].number == first->number + n; n++)
			;
		err = add_results(in, first->file, first->number, (struct bytes){results + i, n});
	}
	for (unsigned i = 0; i < FILES && !err; i++) {
		if (in->files[i].earlier && fdatasync(in->files[i].fd) < 0)
			err = -errno;
	}
	return err;
}

void intents_settled(struct intents *in, const struct intents_batch *batch)
{
	pthread_mutex_lock(&in->mutex);
	if (batch) {
		assert(in->files[batch->file].open);
		in->files[batch->file].open--;
	} else {
		for (unsigned i = 0; i < FILES; i++) {
			in->files[i].open -= in->files[i].earlier;
			in->files[i].earlier = false;
		}
		forget_earlier(in);
	}
	pthread_mutex_unlock(&in->mutex);
}
