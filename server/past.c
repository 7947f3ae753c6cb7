/* Owns the questions about the past: pages of the trash from many servers put together, what is being
 * brought back, pages of the history. */
#include "config.h"
#include "past.h"

#include "disk.h"
#include "net.h"
#include "path.h"
#include "peer.h"
#include "status.h"
#include "text.h"
#include "transfer.h"
#include "trash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 900 * 1024,
	PEER_WAIT_S = 5,      /* for the answer of another server */
	PEER_ASKED_TRASH = 4, /* questions to one peer, or of one, without an answer yet */
	NUMBERS_MAX = 10000,  /* tried for a free name */
	BLOCK = 256 * 1024,
};

/* A thing in somebody's trash. All bytes are its own. */
struct thing {
	struct bytes id, path, target, by, replica;
	int64_t time_ns, mtime_ns;
	uint64_t size;
	uint8_t hash[HASH_SIZE];
	uint8_t kind;
	bool hashed;
};

struct things {
	struct thing *items;
	size_t n, cap;
	bool more;   /* there are others behind the last */
	size_t bytes;
};

/* What is asked of a trash. */
struct wanted {
	struct bytes under; /* copied */
	bool exactly;
	int64_t since_ns, until_ns;
	size_t max;
};

struct search;

/* One place that is searched. */
struct part {
	struct disk_task task; /* of our own trash */
	struct search *search; /* NULL once that is over */
	struct part *next;
	struct pasts *all;
	struct wanted wanted;
	bool ours;
	unsigned peer;         /* its number, if it is not ours */
	char *name;            /* of the replica */
	struct things things;
	bool done, missing;
};

typedef void found_fn(struct search *s);

/* Looks for things in some places, and hands them on when all have answered, or long enough. */
struct search {
	struct pasts *all;
	struct search *next;
	struct wanted wanted;
	struct part **parts;
	size_t n_parts, open;
	ev_timer timer;
	found_fn *found;
	/* for a page: who asked, and where it begins */
	struct asker *asker;
	struct peer *peer;
	uint32_t request;
	struct bytes after, after_replica; /* copied */
	/* for what is brought back */
	struct restore *restore;
};

struct restore {
	struct job job;
	struct pasts *all;
	struct restore *next;
	struct asker *asker;
	struct bytes id, to;   /* copied; to: empty for where it was */
	struct thing thing;    /* what was found */
	bool remote;           /* it comes from that peer */
	unsigned peer;
	struct bytes path;     /* where it goes */
	bool beside;           /* a folder has the name */
	struct thing replaced; /* what has the name, without its texts */
	struct op ops[PATH_DEPTH_MAX + 1];
	size_t n;
	uint64_t tmp;
	enum root_state root;
	int error;
};

struct pasts {
	struct daemon *d;
	struct part *parts;      /* that have not answered yet, of any search */
	struct search *searches;
	struct restore *restores;
};

/* ---- bytes ------------------------------------------------------------------------------ */

static struct bytes own(struct bytes b)
{
	return (struct bytes){xmemdup(b.len ? (const void *)b.p : "", b.len), b.len};
}

static void disown(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

static void thing_release(struct thing *t)
{
	disown(t->id);
	disown(t->path);
	disown(t->target);
	disown(t->by);
	disown(t->replica);
	*t = (struct thing){.kind = KIND_ABSENT};
}

/* Copies the bytes of `t`. */
static void things_add(struct things *all, const struct thing *t)
{
	GROW(all->items, all->cap, all->n + 1);
	struct thing *to = &all->items[all->n++];
	*to = *t;
	to->id = own(t->id);
	to->path = own(t->path);
	to->target = own(t->target);
	to->by = own(t->by);
	to->replica = own(t->replica);
	all->bytes += 256 + t->id.len + t->path.len + t->target.len;
}

static void things_release(struct things *all)
{
	for (size_t i = 0; i < all->n; i++)
		thing_release(&all->items[i]);
	free(all->items);
	*all = (struct things){0};
}

/* ---- contents from the trash ------------------------------------------------------------ */

int past_take(struct root *root, const char *name, const uint8_t hash[HASH_SIZE], uint64_t size,
	      uint64_t *number)
{
	struct tmp *tmp = NULL;
	int fd = trash_open(root, name);
	if (fd < 0)
		return fd;
	int err = tmp_open(root, &tmp);
	uint8_t *block = xmalloc(BLOCK);
	while (!err) {
		ssize_t n = read(fd, block, BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		err = tmp_write(tmp, block, (size_t)n);
	}
	free(block);
	close(fd);
	if (err) {
		tmp_discard(tmp);
		return err;
	}
	*number = tmp_number(tmp);
	return tmp_finish(tmp, hash, size);
}

int past_free_name(struct root *root, struct bytes path, unsigned *number, struct buf *out)
{
	struct walk walk;
	int err = -EEXIST;
	walk_init(&walk, root);
	for (; err == -EEXIST && *number < NUMBERS_MAX; ++*number) {
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		buf_clear(out);
		path_numbered_name(out, path, *number);
		int dir = walk_parent(&walk, (struct bytes){out->data, out->len}, name);
		if (dir < 0)
			err = dir;
		else if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			err = errno == ENOENT ? 0 : -errno;
	}
	walk_release(&walk);
	return err;
}

/* ---- our own trash ---------------------------------------------------------------------- */

static struct bytes link_target(struct root *root, const char *name, char *out, size_t size)
{
	ssize_t n = readlinkat(root_trash_fd(root), name, out, size);
	return (struct bytes){(const uint8_t *)out, n > 0 ? (size_t)n : 0};
}

/* A row counts if the thing is still there. */
static int own_row(void *ctx, const struct store_trash *row)
{
	struct part *p = ctx;
	struct things *all = &p->things;
	struct root *root = p->all->d->root;
	char name[TRASH_NAME_MAX + 1], target[SYMLINK_MAX + 1];
	struct trash_item item;
	if (row->name.len > TRASH_NAME_MAX || path_check(row->path) != PATH_OK)
		return 0;
	memcpy(name, row->name.p, row->name.len);
	name[row->name.len] = '\0';
	if (trash_look(root, name, &item) < 0 ||
	    (item.kind != KIND_FILE && item.kind != KIND_SYMLINK))
		return 0;
	if (all->n == p->wanted.max || all->bytes > PAGE_BYTES) {
		all->more = true;
		return 1;
	}
	struct thing t = {
		.id = row->name, .path = row->path, .by = row->replica, .replica = bytes_of(p->name),
		.time_ns = item.time_ns, .mtime_ns = item.mtime_ns, .size = item.size,
		.kind = item.kind, .hashed = row->hash && !item.changed,
	};
	if (t.hashed)
		memcpy(t.hash, row->hash, HASH_SIZE);
	if (t.kind == KIND_SYMLINK) {
		t.target = link_target(root, name, target, sizeof(target));
		if (!t.target.len || t.target.len > SYMLINK_MAX)
			return 0;
	}
	things_add(all, &t);
	return 0;
}

static void own_run(struct disk_task *task, struct daemon *d)
{
	struct part *p = (struct part *)task;
	const struct wanted *w = &p->wanted;
	struct store_trash_query query = {
		.path = w->under, .exactly = w->exactly, .since_ns = w->since_ns,
		.until_ns = w->until_ns, .max = SIZE_MAX,
	};
	char *error = NULL;
	p->missing = store_trash(d->store, &query, own_row, p, &error) < 0;
	free(error);
}

/* ---- searching -------------------------------------------------------------------------- */

static void part_free(struct part *p)
{
	free(p->name);
	disown(p->wanted.under);
	things_release(&p->things);
	free(p);
}

/* The part is not waited for any more: it goes now, or when its late answer has come. */
static void part_leave(struct part *p)
{
	p->search = NULL;
	if (p->done)
		part_free(p);
}

static void search_free(struct search *s)
{
	struct pasts *all = s->all;
	struct search **at = &all->searches;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	ev_timer_stop(all->d->loop, &s->timer);
	for (size_t i = 0; i < s->n_parts; i++)
		part_leave(s->parts[i]);
	free(s->parts);
	disown(s->wanted.under);
	disown(s->after);
	disown(s->after_replica);
	free(s);
}

static void search_over(struct search *s)
{
	s->found(s);
	search_free(s);
}

static void part_done(struct part *p)
{
	struct part **at = &p->all->parts;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->done = true;
	struct search *s = p->search;
	if (!s)
		part_free(p);
	else if (--s->open == 0)
		search_over(s);
}

static void own_done(struct disk_task *task, struct daemon *d, bool cancelled)
{
	struct part *p = (struct part *)task;
	(void)d;
	p->missing |= cancelled;
	part_done(p);
}

/* What a peer says is checked by the table of messages; its own name for itself does not count. */
static void take_item(struct part *p, const msgpack_object *o)
{
	struct thing t = {.replica = bytes_of(p->name)};
	uint64_t kind;
	wire_get_bytes(o, "id", &t.id);
	wire_get_bytes(o, "path", &t.path);
	wire_get_int(o, "time", &t.time_ns);
	wire_get_int(o, "mtime", &t.mtime_ns);
	wire_get_uint(o, "size", INT64_MAX, &t.size);
	wire_get_uint(o, "kind", KIND_SYMLINK, &kind);
	wire_get_str(o, "by", &t.by);
	wire_get_bin(o, "target", &t.target);
	t.hashed = wire_get_fixed(o, "hash", t.hash, HASH_SIZE);
	t.kind = (uint8_t)kind;
	const struct wanted *w = &p->wanted;
	if ((t.kind != KIND_FILE && t.kind != KIND_SYMLINK) || trash_time(t.id) < 0 ||
	    (t.kind == KIND_SYMLINK && (!t.target.len || memchr(t.target.p, 0, t.target.len))) ||
	    t.time_ns > w->until_ns || t.time_ns < w->since_ns ||
	    (!bytes_eq(t.path, w->under) && (w->exactly || !path_is_under(t.path, w->under))))
		return;
	things_add(&p->things, &t);
}

static void on_answer(void *ctx, const struct wire_frame *f)
{
	struct part *p = ctx;
	p->missing = !f || f->error;
	if (!p->missing && p->search) {
		const msgpack_object *items = wire_get(f->result, "items");
		for (size_t i = 0; i < wire_count(items) && i < p->wanted.max; i++)
			take_item(p, wire_at(items, i));
		wire_get_bool(f->result, "more", &p->things.more);
	}
	part_done(p);
}

static void on_search_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct search *s = w->data;
	(void)loop, (void)events;
	for (size_t i = 0; i < s->n_parts; i++)
		s->parts[i]->missing |= !s->parts[i]->done;
	search_over(s);
}

static struct search *search_new(struct pasts *all, const struct wanted *wanted, found_fn *found)
{
	struct search *s = xcalloc(1, sizeof(*s));
	s->all = all;
	s->next = all->searches;
	all->searches = s;
	s->wanted = *wanted;
	s->wanted.under = own(wanted->under);
	s->found = found;
	ev_timer_init(&s->timer, on_search_timer, PEER_WAIT_S, 0.);
	s->timer.data = s;
	return s;
}

static struct part *part_add(struct search *s, const char *name)
{
	struct part *p = xcalloc(1, sizeof(*p));
	p->search = s;
	p->all = s->all;
	p->wanted = s->wanted;
	p->wanted.under = own(s->wanted.under);
	p->name = xstrdup(name);
	s->parts = xrealloc(s->parts, s->n_parts + 1, sizeof(*s->parts));
	s->parts[s->n_parts++] = p;
	return p;
}

/* How many questions to it have no answer yet. */
static size_t asked_of(const struct pasts *all, unsigned peer)
{
	size_t n = 0;
	for (const struct part *p = all->parts; p; p = p->next)
		n += !p->ours && p->peer == peer;
	return n;
}

static void part_start(struct part *p)
{
	struct search *s = p->search;
	struct daemon *d = s->all->d;
	if (p->done)
		return;
	p->next = s->all->parts;
	s->all->parts = p;
	s->open++;
	if (p->ours) {
		p->task = (struct disk_task){.run = own_run, .done = own_done};
		disk_ask(d->disk, &p->task);
		return;
	}
	struct buf b = {0};
	wire_map(&b, 4);
	wire_put_bin(&b, "under", s->wanted.under);
	wire_put_int(&b, "since", s->wanted.since_ns);
	wire_put_int(&b, "until", s->wanted.until_ns);
	wire_put_uint(&b, "max", s->wanted.max);
	peer_ask(net_peer(d->net, p->peer), MESSAGE_TRASH, &b, on_answer, p);
	buf_release(&b);
}

/* Adds the places that `replica` names: ours (""), all connected ones ("*"), or one. False: there is none
 * of that name. */
static bool search_where(struct search *s, struct bytes replica)
{
	struct daemon *d = s->all->d;
	bool all = bytes_eq(replica, bytes_of("*"));
	if (!replica.len || all || bytes_eq(replica, bytes_of(d->settings->name)))
		part_add(s, d->settings->name)->ours = true;
	for (unsigned i = 0; i < NET_PEERS_MAX; i++) {
		struct peer *peer = net_peer(d->net, i);
		if (!peer || !(all || bytes_eq(replica, bytes_of(peer_name(peer)))))
			continue;
		struct part *p = part_add(s, peer_name(peer));
		p->peer = i;
		p->done = p->missing = asked_of(s->all, i) >= PEER_ASKED_TRASH;
	}
	return s->n_parts > 0;
}

static void search_start(struct search *s)
{
	s->open = 1; /* none of the parts is the last before all have begun */
	for (size_t i = 0; i < s->n_parts; i++)
		part_start(s->parts[i]);
	ev_timer_start(s->all->d->loop, &s->timer);
	if (--s->open == 0)
		search_over(s);
}

/* ---- pages of the trash ----------------------------------------------------------------- */

static int order(const struct thing *a, const struct thing *b)
{
	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? -1 : 1;
	int r = path_compare(a->replica, b->replica);
	return r ? r : path_compare(a->id, b->id);
}

static int by_order(const void *a, const void *b)
{
	return order(*(const struct thing *const *)a, *(const struct thing *const *)b);
}

static void pack_thing(const struct thing *t, struct buf *out)
{
	wire_map(out, 10);
	wire_put_bin(out, "id", t->id);
	wire_key(out, "replica");
	status_put_str(out, t->replica, 255);
	wire_put_bin(out, "path", t->path);
	wire_put_int(out, "time", t->time_ns);
	wire_put_uint(out, "kind", t->kind);
	wire_put_uint(out, "size", t->size);
	wire_put_int(out, "mtime", t->mtime_ns);
	wire_key(out, "hash");
	if (t->hashed)
		wire_fixed(out, t->hash, HASH_SIZE);
	else
		wire_nil(out);
	wire_key(out, "target");
	if (t->kind == KIND_SYMLINK)
		wire_bin(out, t->target);
	else
		wire_nil(out);
	wire_key(out, "by");
	status_put_str(out, t->by, 255);
}

/* All that was found, in order, without what stands before the beginning of the page; *more: there are
 * others behind the last. */
static const struct thing **put_together(const struct search *s, size_t *n, bool *more)
{
	struct thing first = {.id = s->after, .replica = s->after_replica,
			      .time_ns = s->after.len ? trash_time(s->after) : 0};
	const struct thing **list = NULL;
	size_t cap = 0;
	int64_t end = INT64_MIN; /* what is older may not be all */
	*n = 0;
	*more = false;
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct things *t = &s->parts[i]->things;
		if (t->more && t->n) {
			*more = true;
			if (t->items[t->n - 1].time_ns > end)
				end = t->items[t->n - 1].time_ns;
		}
	}
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct things *t = &s->parts[i]->things;
		for (size_t k = 0; k < t->n; k++) {
			const struct thing *it = &t->items[k];
			if (it->time_ns < end || (s->after.len && order(it, &first) <= 0))
				continue;
			GROW(list, cap, *n + 1);
			list[(*n)++] = it;
		}
	}
	if (*n)
		qsort(list, *n, sizeof(*list), by_order);
	return list;
}

static void pack_page(const struct search *s, struct buf *out)
{
	size_t n, packed = 0;
	bool more;
	const struct thing **list = put_together(s, &n, &more);
	wire_map(out, 3);
	wire_key(out, "items");
	size_t mark = wire_array_begin(out), start = out->len;
	for (; packed < n && packed < s->wanted.max && out->len - start < PAGE_BYTES; packed++)
		pack_thing(list[packed], out);
	wire_array_end(out, mark, packed);
	wire_put_bool(out, "more", packed && (more || packed < n));
	wire_key(out, "missing");
	size_t missing = wire_array_begin(out), n_missing = 0;
	for (size_t i = 0; i < s->n_parts; i++) {
		if (!s->parts[i]->missing)
			continue;
		status_put_str(out, bytes_of(s->parts[i]->name), 255);
		n_missing++;
	}
	wire_array_end(out, missing, n_missing);
	free(list);
}

static void page_found(struct search *s)
{
	struct buf map = {0};
	pack_page(s, &map);
	if (s->asker)
		asker_answer(s->asker, &map, NULL, NULL);
	else if (s->peer)
		peer_respond(s->peer, s->request, &map);
	buf_release(&map);
	daemon_touch(s->all->d);
}

static struct wanted wanted_of(const msgpack_object *params)
{
	struct wanted w;
	uint64_t max;
	wire_get_bytes(params, "under", &w.under);
	wire_get_uint(params, "max", INT64_MAX, &max);
	if (!wire_get_int(params, "since", &w.since_ns))
		w.since_ns = INT64_MIN;
	if (!wire_get_int(params, "until", &w.until_ns))
		w.until_ns = INT64_MAX;
	w.exactly = false;
	w.max = (size_t)max;
	return w;
}

static struct search *page_new(struct pasts *all, const msgpack_object *params)
{
	struct wanted w = wanted_of(params);
	struct bytes after, replica;
	wire_get_bytes(params, "after", &after);
	wire_get_str(params, "after_replica", &replica);
	int64_t end = trash_time(after);
	if (after.len && end >= 0 && end < w.until_ns)
		w.until_ns = end;
	struct search *s = search_new(all, &w, page_found);
	s->after = own(after);
	s->after_replica = own(replica.len ? replica : bytes_of(all->d->settings->name));
	return s;
}

void pasts_trash(struct pasts *all, struct asker *asker, const msgpack_object *params)
{
	struct bytes replica;
	wire_get_str(params, "replica", &replica);
	struct search *s = page_new(all, params);
	s->asker = asker;
	if (search_where(s, replica)) {
		search_start(s);
		return;
	}
	asker_answer(asker, NULL, ERROR_NOT_FOUND, "no server of that name is connected");
	search_free(s);
}

void pasts_trash_for_peer(struct pasts *all, struct peer *p, uint32_t id, const msgpack_object *params)
{
	size_t n = 0;
	for (const struct search *s = all->searches; s; s = s->next)
		n += s->peer == p;
	if (n == PEER_ASKED_TRASH) {
		peer_offence(p, "more than %d questions about the trash without waiting for answers",
			     PEER_ASKED_TRASH);
		return;
	}
	struct search *s = page_new(all, params);
	s->peer = p;
	s->request = id;
	part_add(s, all->d->settings->name)->ours = true;
	search_start(s);
}

/* ---- bringing back ---------------------------------------------------------------------- */

static void restore_free(struct restore *r)
{
	struct restore **at = &r->all->restores;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	for (size_t i = 0; i < r->n; i++)
		if (r->ops[i].type == OP_MKDIR)
			disown(r->ops[i].path);
	thing_release(&r->thing);
	disown(r->id);
	disown(r->to);
	disown(r->path);
	free(r);
}

static void restore_fail(struct restore *r, const char *code, const char *text)
{
	asker_answer(r->asker, NULL, code, text);
	restore_free(r);
}

static void restore_answer(struct restore *r, struct bytes path)
{
	struct buf map = {0};
	wire_map(&map, 4);
	wire_put_bin(&map, "path", path);
	wire_key(&map, "from");
	status_put_str(&map, r->thing.replica, 255);
	wire_put_int(&map, "time", r->thing.time_ns);
	wire_put_uint(&map, "size", r->thing.size);
	asker_answer(r->asker, &map, NULL, NULL);
	buf_release(&map);
	restore_free(r);
}

/* In a worker: the content, if it is in our own trash; the name; and it is there. */
static void put_run(struct job *job)
{
	struct restore *r = (struct restore *)job;
	struct daemon *d = r->all->d;
	struct op *op = &r->ops[r->n - 1];
	char name[TRASH_NAME_MAX + 1];
	r->root = root_check(d->root);
	if (r->root != ROOT_OK) {
		r->error = -ENODEV;
		return;
	}
	if (r->beside) {
		struct buf free_name = {0};
		unsigned number = 2;
		r->error = past_free_name(d->root, r->path, &number, &free_name);
		if (!r->error) {
			disown(r->path);
			r->path = own((struct bytes){free_name.data, free_name.len});
			op->path = r->path;
		}
		buf_release(&free_name);
	}
	if (!r->error && !r->remote && r->thing.kind == KIND_FILE) {
		memcpy(name, r->thing.id.p, r->thing.id.len);
		name[r->thing.id.len] = '\0';
		if (!r->thing.hashed)
			r->error = trash_hash(d->root, name, r->thing.hash);
		if (!r->error)
			r->error = past_take(d->root, name, r->thing.hash, r->thing.size, &r->tmp);
		memcpy(op->hash, r->thing.hash, HASH_SIZE);
	}
	if (r->error)
		return;
	op->tmp = r->tmp;
	disk_apply(d, r->ops, r->n);
	r->error = op->error;
}

static void tell_restored(struct restore *r)
{
	struct daemon *d = r->all->d;
	struct buf from = {0};
	buf_addf(&from, "from ");
	buf_add(&from, r->thing.replica.p, r->thing.replica.len);
	watch_drain(d->watch);
	struct engine *e = daemon_feed(d);
	for (size_t i = 0; i < r->n; i++) {
		node_t dir = tree_find(engine_tree(e), path_parent(r->ops[i].path));
		if (dir != NODE_NONE && !r->ops[i].error)
			engine_hint(e, dir, path_base(r->ops[i].path), HINT_TOUCHED);
	}
	daemon_event(d, "restored", r->path, bytes_of(d->settings->name),
		     (struct bytes){from.data, from.len});
	buf_release(&from);
}

static void put_done(struct job *job, bool cancelled)
{
	struct restore *r = (struct restore *)job;
	struct daemon *d = r->all->d;
	const struct op *op = &r->ops[r->n - 1];
	if (op->trash[0])
		disk_trash(d->disk, &(struct store_trash){
			.name = bytes_of(op->trash), .path = op->path,
			.replica = bytes_of(d->settings->name), .what = bytes_of("replaced"),
			.time_ns = trash_time(bytes_of(op->trash)), .mtime_ns = r->replaced.mtime_ns,
			.size = r->replaced.size, .kind = r->replaced.kind,
			.hash = r->replaced.hashed && !op->error ? r->replaced.hash : NULL,
		});
	if (cancelled) {
		restore_fail(r, ERROR_FAILED, "the server is ending");
	} else if (r->root != ROOT_OK) {
		restore_fail(r, ERROR_FAILED, root_state_text(r->root));
	} else if (r->error == -ENOENT || r->error == -EBADMSG) {
		restore_fail(r, ERROR_NOT_FOUND, "it is not in the trash any more as it was");
	} else if (r->error == -ESTALE || r->error == -ENOTEMPTY) {
		restore_fail(r, ERROR_CHANGED, "what has the name was changed just now");
	} else if (r->error == -ETXTBSY) {
		restore_fail(r, ERROR_BUSY, "what has the name is being written");
	} else if (r->error == -ENOTUNIQ) {
		restore_fail(r, ERROR_FAILED, "another spelling of the name is taken here");
	} else if (r->error) {
		restore_fail(r, ERROR_FAILED, strerror(-r->error));
	} else {
		tell_restored(r);
		restore_answer(r, r->path);
	}
	daemon_touch(d);
}

static void view_at(const struct daemon *d, struct bytes path, struct entry_view *out)
{
	node_t n = tree_find(engine_tree(d->engine), path);
	*out = (struct entry_view){.disk_kind = KIND_ABSENT};
	if (n != NODE_NONE)
		engine_entry(d->engine, n, out);
}

/* The folders that the path lacks come first. False: something else has the name of one. */
static bool add_folders(struct restore *r)
{
	struct daemon *d = r->all->d;
	for (size_t i = 0; i < r->path.len; i++) {
		struct bytes folder = {r->path.p, i};
		struct entry_view there;
		if (r->path.p[i] != '/')
			continue;
		view_at(d, folder, &there);
		if (there.disk_kind == KIND_DIR)
			continue;
		if (there.disk_kind != KIND_ABSENT)
			return false;
		r->ops[r->n++] = (struct op){.path = own(folder), .type = OP_MKDIR, .mode = 0755};
	}
	return true;
}

/* What was fetched is not needed. */
static void drop_tmp(struct restore *r)
{
	if (r->tmp)
		disk_carry_out(r->all->d->disk,
			       &(struct action){.type = ACT_DROP_TMP, .tmp = r->tmp});
}

/* The content is in our own trash, or in `tmp`: puts it in place. */
static void put(struct restore *r)
{
	struct daemon *d = r->all->d;
	struct entry_view there;
	const struct thing *t = &r->thing;
	view_at(d, r->path, &there);
	if (there.shown && t->hashed && there.shown->kind == t->kind &&
	    memcmp(there.shown->hash, t->hash, HASH_SIZE) == 0) {
		drop_tmp(r);
		restore_answer(r, r->path); /* that is what is there */
		return;
	}
	if (!add_folders(r)) {
		drop_tmp(r);
		restore_fail(r, ERROR_REFUSED, "a folder on its way is a file now; choose another place");
		return;
	}
	r->beside = there.disk_kind == KIND_DIR;
	struct op *op = &r->ops[r->n++];
	*op = (struct op){
		.path = r->path, .type = t->kind == KIND_SYMLINK ? OP_SYMLINK : OP_WRITE,
		.source = t->kind == KIND_SYMLINK ? SOURCE_NONE : SOURCE_TMP, .size = t->size,
		.mtime_ns = t->mtime_ns, .mode = 0644, .data = t->target,
	};
	if (there.state && there.state->mode.dot.counter && there.disk_kind != KIND_DIR)
		op->mode = there.state->mode.bits & MODE_BITS;
	if (!r->beside) {
		op->expect_kind = there.disk_kind;
		op->expect_stamp = there.stamp;
	}
	memcpy(op->hash, t->hash, HASH_SIZE);
	if (there.shown) {
		r->replaced = (struct thing){.kind = there.shown->kind, .size = there.shown->size,
					     .mtime_ns = there.shown->mtime, .hashed = true};
		memcpy(r->replaced.hash, there.shown->hash, HASH_SIZE);
	}
	r->job = (struct job){.run = put_run, .done = put_done};
	daemon_submit(d, &r->job, JOB_URGENT);
}

static void on_fetched(void *ctx, int error, uint64_t tmp)
{
	struct restore *r = ctx;
	r->tmp = tmp;
	if (error == -ENOTCONN || error == -ECANCELED)
		restore_fail(r, ERROR_FAILED, "the connection was lost before it was here");
	else if (error == -ENODATA || error == -EBADMSG)
		restore_fail(r, ERROR_NOT_FOUND, "it is not in that trash any more as it was");
	else if (error)
		restore_fail(r, ERROR_FAILED, strerror(-error));
	else
		put(r);
}

/* Which of the things is meant; *part: where it is. Of equal contents one that is here. */
static const struct thing *choose(const struct search *s, const struct part **part)
{
	const struct restore *r = s->restore;
	const struct thing *best = NULL;
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct things *things = &s->parts[i]->things;
		for (size_t k = 0; k < things->n; k++) {
			const struct thing *t = &things->items[k];
			if (r->id.len ? !bytes_eq(t->id, r->id) : best && order(best, t) <= 0)
				continue;
			best = t;
			*part = s->parts[i];
		}
	}
	if (!best || (*part)->ours)
		return best;
	for (size_t i = 0; i < s->n_parts && best->hashed; i++) {
		const struct things *things = &s->parts[i]->things;
		for (size_t k = 0; k < things->n && s->parts[i]->ours; k++) {
			const struct thing *t = &things->items[k];
			if (!t->hashed || t->kind != best->kind || !bytes_eq(t->path, best->path) ||
			    memcmp(t->hash, best->hash, HASH_SIZE) != 0)
				continue;
			*part = s->parts[i];
			return t;
		}
	}
	return best;
}

static void thing_found(struct search *s)
{
	struct restore *r = s->restore;
	struct daemon *d = r->all->d;
	const struct part *part = NULL;
	const struct thing *t = choose(s, &part);
	if (!t) {
		bool missing = false;
		for (size_t i = 0; i < s->n_parts; i++)
			missing |= s->parts[i]->missing;
		restore_fail(r, ERROR_NOT_FOUND,
			     missing ? "nothing of that is in the trash of those that have answered"
				     : "nothing of that is in the trash");
		return;
	}
	struct things one = {0};
	things_add(&one, t);
	r->thing = one.items[0];
	free(one.items);
	r->remote = !part->ours;
	r->peer = part->peer;
	r->path = own(r->to.len ? r->to : r->thing.path);
	if (!r->remote || r->thing.kind == KIND_SYMLINK) {
		put(r);
	} else if (!r->thing.hashed) {
		restore_fail(r, ERROR_REFUSED,
			     "it was changed while it lay in that trash: restore it on that server");
	} else {
		transfers_get(d->transfers, &(struct transfer_wanted){
			.peer = r->peer, .path = r->thing.path, .trash = r->thing.id,
			.hash = r->thing.hash, .size = r->thing.size, .got = on_fetched, .ctx = r,
		});
	}
}

void pasts_restore(struct pasts *all, struct asker *asker, const msgpack_object *params)
{
	struct restore *r = xcalloc(1, sizeof(*r));
	struct bytes id, path, to, replica;
	struct wanted w = {.since_ns = INT64_MIN, .until_ns = INT64_MAX, .max = 1};
	bool anywhere = !wire_get_str(params, "replica", &replica);
	r->all = all;
	r->asker = asker;
	r->next = all->restores;
	all->restores = r;
	wire_get_bytes(params, "id", &id);
	wire_get_bytes(params, "path", &path);
	wire_get_bytes(params, "to", &to);
	r->id = own(id);
	r->to = own(to);
	if (id.len) {
		/* the name says when; there may be others of that very time */
		w.since_ns = w.until_ns = trash_time(id);
		w.max = 100;
	} else if (wire_get_bytes(params, "path", &path)) {
		w.under = path;
		w.exactly = true;
		if (!wire_get_int(params, "time", &w.until_ns))
			w.until_ns = INT64_MAX;
		w.max = 100; /* others of them may be below it, where it was a folder */
		if (anywhere)
			replica = bytes_of("*");
	}
	struct search *s = search_new(all, &w, thing_found);
	s->restore = r;
	if ((id.len && w.until_ns < 0) || !search_where(s, replica)) {
		restore_fail(r, ERROR_NOT_FOUND, id.len && w.until_ns < 0
			? "that is no id of something in the trash"
			: "no server of that name is connected");
		search_free(s);
		return;
	}
	search_start(s);
}

/* ---- the history ------------------------------------------------------------------------ */

struct history {
	struct disk_task task;
	struct asker *asker;
	struct bytes path; /* copied */
	uint64_t before;
	size_t max, n;
	struct buf lines;
	bool more;
	int result;
};

static void put_hash(struct buf *out, const char *key, const uint8_t *hash)
{
	wire_key(out, key);
	if (hash)
		wire_fixed(out, hash, HASH_SIZE);
	else
		wire_nil(out);
}

static int history_line(void *ctx, const struct store_event *e)
{
	struct history *h = ctx;
	if (h->n == h->max || h->lines.len > PAGE_BYTES) {
		h->more = true;
		return 1;
	}
	if (e->path.len && path_check(e->path) != PATH_OK)
		return 0;
	h->n++;
	wire_map(&h->lines, 9);
	wire_put_uint(&h->lines, "n", e->id);
	wire_put_int(&h->lines, "time", e->time_ns);
	wire_key(&h->lines, "event");
	status_put_str(&h->lines, e->what, 64);
	wire_put_bin(&h->lines, "path", e->path);
	wire_key(&h->lines, "replica");
	status_put_str(&h->lines, e->replica, 255);
	wire_put_uint(&h->lines, "old_size", e->old_size <= INT64_MAX ? e->old_size : 0);
	wire_put_uint(&h->lines, "new_size", e->new_size <= INT64_MAX ? e->new_size : 0);
	put_hash(&h->lines, "old_hash", e->old_hash);
	put_hash(&h->lines, "new_hash", e->new_hash);
	return 0;
}

static void history_run(struct disk_task *task, struct daemon *d)
{
	struct history *h = (struct history *)task;
	struct store_journal_query query = {.path = h->path, .before = h->before, .max = h->max + 1};
	char *error = NULL;
	h->result = store_journal(d->store, &query, history_line, h, &error);
	free(error);
}

static void history_done(struct disk_task *task, struct daemon *d, bool cancelled)
{
	struct history *h = (struct history *)task;
	if (cancelled || h->result < 0) {
		asker_answer(h->asker, NULL, ERROR_FAILED,
			     cancelled ? "the server is ending" : "the index cannot be read");
	} else {
		struct buf map = {0};
		wire_map(&map, 2);
		wire_key(&map, "lines");
		wire_array(&map, h->n);
		buf_add(&map, h->lines.data, h->lines.len);
		wire_put_bool(&map, "more", h->more);
		asker_answer(h->asker, &map, NULL, NULL);
		buf_release(&map);
	}
	disown(h->path);
	buf_release(&h->lines);
	free(h);
	daemon_touch(d);
}

void pasts_history(struct pasts *all, struct asker *asker, const msgpack_object *params)
{
	struct history *h = xcalloc(1, sizeof(*h));
	struct bytes path;
	uint64_t max;
	wire_get_bytes(params, "path", &path);
	wire_get_uint(params, "before", INT64_MAX, &h->before);
	wire_get_uint(params, "max", INT64_MAX, &max);
	h->task = (struct disk_task){.run = history_run, .done = history_done};
	h->asker = asker;
	h->path = own(path);
	h->max = (size_t)max;
	disk_ask(all->d->disk, &h->task);
}

/* ---- life ------------------------------------------------------------------------------- */

struct pasts *pasts_new(struct daemon *d)
{
	struct pasts *all = xcalloc(1, sizeof(*all));
	all->d = d;
	return all;
}

void pasts_forget_peer(struct pasts *all, const struct peer *p)
{
	for (struct search *s = all->searches; s; s = s->next)
		if (s->peer == p)
			s->peer = NULL;
}

void pasts_free(struct pasts *all)
{
	while (all->searches)
		search_free(all->searches);
	while (all->restores)
		restore_fail(all->restores, ERROR_FAILED, "the server is ending");
	assert(!all->parts);
	free(all);
}
