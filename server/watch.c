/* Owns inotify: which watch is which folder, and events put together into what happened. */
#include "config.h"
#include "watch.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MASK (IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |     \
	      IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
#define READ_SIZE (64 * 1024)
#define READS_A_TURN 8     /* then the loop gets its turn */
#define HALF_MOVES_MAX 64
#define HALF_MOVE_WAIT_S 0.005 /* the second half of a move follows at once, if at all */

/* A table from number to number; both below UINT32_MAX. Open addressing, a power of two. */
struct number_map {
	struct slot {
		uint32_t key; /* 0: free; the keys are stored plus one */
		uint32_t value;
	} *slots;
	size_t n;
	size_t size;
};

/* A name that left a folder, until its other half tells where it went. */
struct half_move {
	uint32_t cookie;
	uint32_t dir;
	bool is_dir;
	uint8_t name_len;
	char name[255];
};

enum { WD_EARLY = UINT32_MAX - 2, WD_DEAD = UINT32_MAX - 1 }; /* in place of a folder */

struct watch {
	struct ev_loop *loop;
	watch_fn *fn;
	void *ctx;
	ev_io io;
	ev_timer timer;
	struct number_map folders; /* wd to folder, or WD_EARLY: events came before it was
	                              registered, or WD_DEAD: removed, its last events still come */
	struct number_map wds;     /* folder to wd */
	struct half_move *halves;
	size_t n_halves;
	int fd;
	int problem;
	atomic_int adding; /* watches that were or are being added, and neither registered nor dropped */
	_Alignas(struct inotify_event) uint8_t buffer[READ_SIZE];
};

/* --- the tables --- */

static size_t slot_of(const struct number_map *m, uint32_t key)
{
	return (size_t)hash64(&key, sizeof(key), 0) & (m->size - 1);
}

static struct slot *map_find(const struct number_map *m, uint32_t key)
{
	if (!m->n)
		return NULL;
	for (size_t i = slot_of(m, key); m->slots[i].key; i = (i + 1) & (m->size - 1)) {
		if (m->slots[i].key == key + 1)
			return &m->slots[i];
	}
	return NULL;
}

static void map_set(struct number_map *m, uint32_t key, uint32_t value)
{
	struct slot *found = map_find(m, key);
	if (found) {
		found->value = value;
		return;
	}
	if (4 * (m->n + 1) > 3 * m->size) {
		struct number_map bigger = {.size = m->size ? 2 * m->size : 64};
		bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
		for (size_t i = 0; i < m->size; i++) {
			if (m->slots[i].key)
				map_set(&bigger, m->slots[i].key - 1, m->slots[i].value);
		}
		free(m->slots);
		*m = bigger;
	}
	size_t i = slot_of(m, key);
	while (m->slots[i].key)
		i = (i + 1) & (m->size - 1);
	m->slots[i] = (struct slot){key + 1, value};
	m->n++;
}

static void map_remove(struct number_map *m, uint32_t key)
{
	struct slot *found = map_find(m, key);
	if (!found)
		return;
	size_t hole = (size_t)(found - m->slots), mask = m->size - 1;
	m->n--;
	/* what follows moves up, unless its own place lies behind the hole */
	for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t own = slot_of(m, m->slots[i].key - 1);
		if (((i - own) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct slot){0, 0};
}

/* --- telling --- */

static void tell(struct watch *w, enum watch_what what, uint32_t dir, struct bytes name, bool is_dir)
{
	struct watch_event e = {.what = what, .dir = dir, .name = name, .is_dir = is_dir};
	w->fn(w->ctx, &e);
}

static void tell_folder(struct watch *w, enum watch_what what, uint32_t dir)
{
	tell(w, what, dir, (struct bytes){NULL, 0}, true);
}

/* The half that stands at `i` has no other half: the name left the tree. */
static void half_is_gone(struct watch *w, size_t i)
{
	struct half_move h = w->halves[i];
	w->halves[i] = w->halves[--w->n_halves];
	tell(w, WATCH_GONE, h.dir, (struct bytes){(const uint8_t *)h.name, h.name_len}, h.is_dir);
}

static void all_halves_are_gone(struct watch *w)
{
	while (w->n_halves)
		half_is_gone(w, 0);
}

static void half_add(struct watch *w, uint32_t cookie, uint32_t dir, struct bytes name, bool is_dir)
{
	if (w->n_halves == HALF_MOVES_MAX)
		half_is_gone(w, 0);
	struct half_move *h = &w->halves[w->n_halves++];
	*h = (struct half_move){.cookie = cookie, .dir = dir, .is_dir = is_dir,
		.name_len = (uint8_t)name.len};
	memcpy(h->name, name.p, name.len);
}

static bool half_match(struct watch *w, uint32_t cookie, uint32_t dir, struct bytes name, bool is_dir)
{
	for (size_t i = 0; i < w->n_halves; i++) {
		struct half_move h = w->halves[i];
		if (h.cookie != cookie)
			continue;
		w->halves[i] = w->halves[--w->n_halves];
		struct watch_event e = {
			.what = WATCH_MOVED, .is_dir = is_dir, .dir = h.dir, .to_dir = dir,
			.name = {(const uint8_t *)h.name, h.name_len}, .to_name = name,
		};
		w->fn(w->ctx, &e);
		return true;
	}
	return false;
}

/* Something new happens at a name that just left: the order must be kept. */
static void half_before(struct watch *w, uint32_t dir, struct bytes name)
{
	for (size_t i = 0; i < w->n_halves; i++) {
		struct half_move *h = &w->halves[i];
		if (h->dir == dir && bytes_eq(name, (struct bytes){(uint8_t *)h->name, h->name_len})) {
			half_is_gone(w, i);
			return;
		}
	}
}

static void on_self(struct watch *w, uint32_t dir, uint32_t mask)
{
	if (dir == WATCH_ROOT && (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)))
		tell_folder(w, WATCH_ROOT_GONE, dir);
	else if (mask & IN_UNMOUNT)
		tell_folder(w, WATCH_LOST, dir);
}

static void on_name(struct watch *w, uint32_t dir, const struct inotify_event *e, struct bytes name)
{
	bool is_dir = (e->mask & IN_ISDIR) != 0;
	if (e->mask & IN_MOVED_FROM) {
		half_before(w, dir, name);
		half_add(w, e->cookie, dir, name, is_dir);
		return;
	}
	if ((e->mask & IN_MOVED_TO) && half_match(w, e->cookie, dir, name, is_dir))
		return;
	half_before(w, dir, name);
	if (e->mask & IN_CREATE)
		tell(w, WATCH_CREATED, dir, name, is_dir);
	else if (e->mask & IN_DELETE)
		tell(w, WATCH_GONE, dir, name, is_dir);
	else if (e->mask & IN_MOVED_TO)
		tell(w, is_dir ? WATCH_CREATED : WATCH_TOUCHED, dir, name, is_dir);
	else if (e->mask & IN_CLOSE_WRITE)
		tell(w, WATCH_CHANGED, dir, name, is_dir);
	else if (e->mask & IN_ATTRIB)
		tell(w, WATCH_TOUCHED, dir, name, is_dir);
	else if (e->mask & IN_MODIFY)
		tell(w, WATCH_WRITING, dir, name, is_dir);
}

static void on_event(struct watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		all_halves_are_gone(w);
		tell_folder(w, WATCH_OVERFLOW, WATCH_ROOT);
		return;
	}
	uint32_t wd = (uint32_t)e->wd;
	struct slot *slot = map_find(&w->folders, wd);
	uint32_t dir = slot ? slot->value : WD_EARLY;
	if (e->mask & IN_IGNORED) {
		/* The kernel took the watch away and does not use its number again. Whoever is to
		 * register it must still learn that. */
		if (dir == WD_EARLY || atomic_load(&w->adding))
			map_set(&w->folders, wd, WD_DEAD);
		else
			map_remove(&w->folders, wd);
		if (dir != WD_EARLY && dir != WD_DEAD) {
			map_remove(&w->wds, dir);
			tell_folder(w, WATCH_LOST, dir);
		}
		return;
	}
	if (dir == WD_EARLY) {
		map_set(&w->folders, wd, WD_EARLY);
		return;
	}
	if (dir == WD_DEAD)
		return;
	if (!e->len) {
		on_self(w, dir, e->mask);
		return;
	}
	struct bytes name = {(const uint8_t *)e->name, strnlen(e->name, e->len)};
	if (name.len && name.len <= 255)
		on_name(w, dir, e, name);
}

/* Tells what one read brings; false when there is nothing. */
static bool read_some(struct watch *w)
{
	ssize_t n;
	do {
		n = read(w->fd, w->buffer, sizeof(w->buffer));
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)n; ) {
		const struct inotify_event *e = (const void *)(w->buffer + at);
		at += sizeof(*e) + e->len;
		on_event(w, e);
	}
	return true;
}

static void wait_for_halves(struct watch *w)
{
	if (w->n_halves && !ev_is_active(&w->timer)) {
		ev_timer_set(&w->timer, HALF_MOVE_WAIT_S, 0.);
		ev_timer_start(w->loop, &w->timer);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct watch *w = io->data;
	(void)loop;
	(void)events;
	for (unsigned i = 0; i < READS_A_TURN && read_some(w); i++)
		;
	wait_for_halves(w);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct watch *w = timer->data;
	(void)loop;
	(void)events;
	watch_drain(w);
}

/* --- outside --- */

struct watch *watch_new(struct ev_loop *loop, watch_fn *fn, void *ctx)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	w->loop = loop;
	w->fn = fn;
	w->ctx = ctx;
	w->halves = xcalloc(HALF_MOVES_MAX, sizeof(*w->halves));
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->problem = w->fd < 0 ? -errno : 0;
	ev_timer_init(&w->timer, on_timer, 0., 0.);
	w->timer.data = w;
	ev_io_init(&w->io, on_readable, w->fd, EV_READ);
	w->io.data = w;
	if (w->fd >= 0)
		ev_io_start(loop, &w->io);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	ev_timer_stop(w->loop, &w->timer);
	if (w->fd >= 0) {
		ev_io_stop(w->loop, &w->io);
		close(w->fd);
	}
	free(w->folders.slots);
	free(w->wds.slots);
	free(w->halves);
	free(w);
}

int watch_add(void *watch, int fd)
{
	struct watch *w = watch;
	char link[32];
	if (w->fd < 0)
		return w->problem;
	atomic_fetch_add(&w->adding, 1);
	/* by the descriptor: whatever happens to the path, it is this folder */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	int wd = inotify_add_watch(w->fd, link, MASK);
	if (wd >= 0)
		return wd;
	int err = -errno;
	atomic_fetch_sub(&w->adding, 1);
	return err;
}

static void kernel_remove(struct watch *w, uint32_t wd)
{
	if (inotify_rm_watch(w->fd, (int)wd) == 0)
		map_set(&w->folders, wd, WD_DEAD);
	else
		map_remove(&w->folders, wd);
}

void watch_register(struct watch *w, int wd, uint32_t dir)
{
	assert(wd >= 0 && dir < WD_EARLY);
	struct slot *slot = map_find(&w->folders, (uint32_t)wd);
	uint32_t before = slot ? slot->value : dir;
	struct slot *old = map_find(&w->wds, dir);
	uint32_t old_wd = old ? old->value : (uint32_t)wd;
	atomic_fetch_sub(&w->adding, 1);
	if (old_wd != (uint32_t)wd) {
		map_remove(&w->wds, dir);
		kernel_remove(w, old_wd);
	}
	if (before == WD_DEAD) {
		/* removed while it was on its way here: the next listing brings a new one */
		tell_folder(w, WATCH_AGAIN, dir);
		return;
	}
	/* the same folder under a new number (it was moved) */
	if (before != WD_EARLY && before != dir)
		map_remove(&w->wds, before);
	map_set(&w->folders, (uint32_t)wd, dir);
	map_set(&w->wds, dir, (uint32_t)wd);
	if (before == WD_EARLY)
		tell_folder(w, WATCH_AGAIN, dir);
}

void watch_drop(struct watch *w, int wd)
{
	if (wd < 0)
		return;
	atomic_fetch_sub(&w->adding, 1);
	struct slot *slot = map_find(&w->folders, (uint32_t)wd);
	/* it may be that of a folder that was registered by another name */
	if (slot && slot->value != WD_EARLY)
		return;
	kernel_remove(w, (uint32_t)wd);
}

void watch_forget(struct watch *w, uint32_t dir)
{
	struct slot *slot = map_find(&w->wds, dir);
	if (!slot)
		return;
	uint32_t wd = slot->value;
	map_remove(&w->wds, dir);
	kernel_remove(w, wd);
}

void watch_drain(struct watch *w)
{
	if (w->fd < 0)
		return;
	while (read_some(w))
		;
	ev_timer_stop(w->loop, &w->timer);
	all_halves_are_gone(w);
}

size_t watch_count(const struct watch *w)
{
	return w->wds.n;
}

int watch_problem(const struct watch *w)
{
	return w->problem;
}
