/* Owns what is under way with one peer: announcements, what it was asked, and what it asked. */
#include "config.h"
#include "peer.h"

#include "codec.h"
#include "conn.h"
#include "net.h"
#include "past.h"
#include "resync.h"
#include "scan.h"
#include "text.h"
#include "transfer.h"
#include "trash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	READS_AHEAD = 4,                   /* jobs that read contents for announcements */
	SERVE_READS = 4,                   /* jobs that read contents that were asked for */
	SERVE_READY_MAX = 8 * 1024 * 1024, /* bytes of answers that wait for their turn */
	FRAME_BYTES = 256 * 1024,          /* of an announcement, about */
	ANSWER_MAX_S = 300,                /* to answer a fetch, while others are answered or not */
	SERVING_SHOWN = 16,                /* contents on their way there that clients are shown */
	SERVING_OLD_S = 10,                /* ... until nothing of it was asked for so long */
};

/* One announcement that waits for its turn: one frame. */
enum parcel_type { PARCEL_BYTES, PARCEL_INDEX, PARCEL_HAVE };

struct parcel {
	struct job job;           /* reads the contents that go along */
	struct daemon *d;
	struct peer *peer;        /* NULL once the peer is gone */
	struct parcel *next;
	enum parcel_type type;
	bool reading, ready;
	bool last;                /* of its action: engine_index_sent() when it has left */
	bool more;
	rep_t rep;
	uint64_t to;
	struct buf bytes;         /* PARCEL_BYTES: the whole frame */
	struct parcel_item {
		node_t node;
		uint64_t seq;
		uint32_t content;     /* of contents[] + 1, or 0 */
	} *items;
	size_t n, cap;
	struct parcel_content {
		char *path;
		size_t path_len;
		uint64_t stamp;
		size_t size;
		uint8_t *data;        /* NULL if it could not be read as it was */
	} *contents;
	size_t n_contents, cap_contents;
};

/* A content that the peer asked for. */
struct serve {
	struct job job;
	struct daemon *d;
	struct peer *peer;        /* NULL once the peer is gone */
	struct serve *next;
	uint32_t id;
	bool submitted, ready, failed;
	char *path;               /* NULL: not here */
	size_t path_len;
	bool trash;               /* it is a name in the trash */
	uint64_t stamp, off;
	size_t len;
	struct buf answer;
};

struct asked {
	uint32_t id;
	enum message message;
	peer_answer_fn *answer;
	void *ctx;
};

/* A content that goes there in parts, for people to see. */
struct shown {
	struct bytes path; /* copied */
	uint64_t done, size;
	double at;
};

struct peer {
	struct daemon *d;
	struct conn *conn;
	unsigned number;
	struct replica_id id;
	char *name, *address;
	char problem[256];
	struct parcel *first, *last; /* in order */
	size_t reading;
	unsigned sent_last; /* actions to be told of to the engine when the queue is down */
	bool reader;
	bool paused;                 /* the engine has enough for now */
	struct codec_ids ids;
	struct serve *serve_first, *serve_last;
	size_t serving, serve_reading, serve_ready;
	struct asked *asked;         /* in order */
	size_t n_asked, cap_asked, fetches;
	uint32_t next_id;
	ev_timer answer_timer;
	struct shown shown[SERVING_SHOWN];
	size_t n_shown;
};

static void on_answer_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct peer *p = w->data;
	(void)loop, (void)events;
	if (p->fetches)
		peer_offence(p, "it did not answer for %d s", ANSWER_MAX_S);
}

struct peer *peer_new(struct daemon *d, struct conn *c, unsigned number,
		      const struct replica_id *id, const char *name, const char *address,
		      bool reader)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	p->d = d;
	p->conn = c;
	p->number = number;
	p->id = *id;
	p->reader = reader;
	p->name = xstrdup(name);
	p->address = xstrdup(address);
	ev_init(&p->answer_timer, on_answer_timer);
	p->answer_timer.repeat = ANSWER_MAX_S;
	p->answer_timer.data = p;
	return p;
}

static void parcel_free(struct parcel *l)
{
	for (size_t i = 0; i < l->n_contents; i++) {
		free(l->contents[i].path);
		free(l->contents[i].data);
	}
	free(l->contents);
	free(l->items);
	buf_release(&l->bytes);
	free(l);
}

static void serve_free(struct serve *s)
{
	free(s->path);
	buf_release(&s->answer);
	free(s);
}

void peer_free(struct peer *p)
{
	struct daemon *d = p->d;
	ev_timer_stop(d->loop, &p->answer_timer);
	while (p->first) {
		struct parcel *l = p->first;
		p->first = l->next;
		l->peer = NULL;
		if (!l->reading)
			parcel_free(l);
	}
	while (p->serve_first) {
		struct serve *s = p->serve_first;
		p->serve_first = s->next;
		s->peer = NULL;
		if (!s->submitted || s->ready)
			serve_free(s);
	}
	size_t n = p->n_asked;
	struct asked *asked = p->asked;
	p->asked = NULL;
	p->n_asked = p->fetches = 0;
	for (size_t i = 0; i < n; i++)
		asked[i].answer(asked[i].ctx, NULL);
	free(asked);
	transfers_peer_down(d->transfers, p);
	resync_forget_peer(d->resyncs, p);
	pasts_forget_peer(d->pasts, p);
	engine_peer_down(daemon_feed(d), p->number);
	for (size_t i = 0; i < p->n_shown; i++)
		free((void *)(uintptr_t)p->shown[i].path.p);
	codec_ids_release(&p->ids);
	free(p->name);
	free(p->address);
	free(p);
}

const struct replica_id *peer_id(const struct peer *p)
{
	return &p->id;
}

const char *peer_name(const struct peer *p)
{
	return p->name;
}

unsigned peer_number(const struct peer *p)
{
	return p->number;
}

const char *peer_problem(const struct peer *p)
{
	return p->problem[0] ? p->problem : NULL;
}

void peer_offence(struct peer *p, const char *fmt, ...)
{
	if (p->problem[0])
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->problem, sizeof(p->problem), fmt, ap);
	va_end(ap);
	conn_bye(p->conn, BYE_PROTOCOL, p->problem);
}

/* ---- announcing ------------------------------------------------------------------------ */

static struct parcel *parcel_add(struct peer *p, enum parcel_type type)
{
	struct parcel *l = xcalloc(1, sizeof(*l));
	l->d = p->d;
	l->peer = p;
	l->type = type;
	l->ready = true;
	if (p->first)
		p->last->next = l;
	else
		p->first = l;
	p->last = l;
	return l;
}

static void parcel_read(struct job *job)
{
	struct parcel *l = (struct parcel *)job;
	for (size_t i = 0; i < l->n_contents; i++) {
		struct parcel_content *c = &l->contents[i];
		uint8_t *data = xmalloc(c->size + 1);
		struct bytes path = {(uint8_t *)c->path, c->path_len};
		int64_t got = content_read(l->d->root, path, c->stamp, 0, c->size, data);
		if (got == (int64_t)c->size)
			c->data = data;
		else
			free(data);
	}
}

static void parcel_was_read(struct job *job, bool cancelled)
{
	struct parcel *l = (struct parcel *)job;
	(void)cancelled; /* then there are no contents, which may always be */
	l->reading = false;
	l->ready = true;
	if (!l->peer) {
		parcel_free(l);
		return;
	}
	l->peer->reading--;
	daemon_touch(l->d);
}

static size_t state_cost(const struct state *s, size_t path_len)
{
	size_t cost = 32 + path_len + 64 * (size_t)s->n_heads + 12 * (size_t)s->context.n;
	for (size_t i = 0; i < s->n_heads; i++)
		if (s->heads[i].kind == KIND_SYMLINK)
			cost += s->heads[i].size;
	return cost;
}

static void parcel_content(struct parcel *l, struct parcel_item *item, const struct entry_view *v,
			   struct bytes path)
{
	GROW(l->contents, l->cap_contents, l->n_contents + 1);
	l->contents[l->n_contents++] = (struct parcel_content){
		.path = xmemdup(path.p, path.len),
		.path_len = path.len,
		.stamp = v->stamp,
		.size = (size_t)v->shown->size,
	};
	item->content = (uint32_t)l->n_contents;
	l->ready = false;
}

static void carry_index(struct peer *p, const struct action *a)
{
	struct engine *e = p->d->engine;
	const struct tree *tree = engine_tree(e);
	struct buf path = {0};
	struct parcel *l = parcel_add(p, PARCEL_INDEX);
	size_t cost = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct entry_view v;
		if (!engine_entry(e, a->index[i].node, &v) || v.seq != a->index[i].seq)
			continue;
		tree_path(tree, a->index[i].node, &path);
		size_t more = state_cost(v.state, path.len);
		bool data = a->index[i].with_data && v.shown && v.shown->kind == KIND_FILE &&
			    v.shown->size <= INDEX_DATA_MAX;
		if (data)
			more += v.shown->size;
		if (l->n == PEER_FRAME_ENTRIES || (l->n && cost + more > FRAME_BYTES)) {
			l->more = true;
			l->to = l->items[l->n - 1].seq;
			l = parcel_add(p, PARCEL_INDEX);
			cost = 0;
		}
		cost += more;
		GROW(l->items, l->cap, l->n + 1);
		struct parcel_item *item = &l->items[l->n++];
		*item = (struct parcel_item){.node = a->index[i].node, .seq = a->index[i].seq};
		if (data)
			parcel_content(l, item, &v, (struct bytes){path.data, path.len});
	}
	l->to = a->to;
	l->more = a->more;
	l->last = true;
	buf_release(&path);
}

static void carry_have(struct peer *p, const struct action *a)
{
	struct parcel *l = parcel_add(p, PARCEL_HAVE);
	l->rep = a->rep;
	struct buf path = {0};
	size_t cost = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct held_entry h;
		if (!engine_held(p->d->engine, a->rep, a->nodes[i], &h))
			continue;
		tree_path(engine_tree(p->d->engine), a->nodes[i], &path);
		if (l->n == PEER_FRAME_ENTRIES || (l->n && cost + path.len + 40 > FRAME_BYTES)) {
			l->to = l->items[l->n - 1].seq;
			l = parcel_add(p, PARCEL_HAVE);
			l->rep = a->rep;
			cost = 0;
		}
		cost += path.len + 40;
		GROW(l->items, l->cap, l->n + 1);
		l->items[l->n++] = (struct parcel_item){.node = a->nodes[i], .seq = h.seq};
	}
	l->to = a->to;
	l->last = true;
	buf_release(&path);
}

static void pack_index(struct peer *p, struct parcel *l, struct buf *out)
{
	struct engine *e = p->d->engine;
	struct buf path = {0};
	codec_ids_init(&p->ids, engine_ids(e));
	codec_ids_clear(&p->ids);
	size_t mark = wire_begin_notification(out, "index");
	wire_map(out, 5);
	wire_put_uint(out, "to", l->to);
	wire_put_uint(out, "life", engine_life(e, 0, l->to));
	wire_put_bool(out, "more", l->more);
	wire_key(out, "e");
	size_t array = wire_array_begin(out), n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct entry_view v;
		/* What has changed since comes later, under its new number. */
		if (!engine_entry(e, l->items[i].node, &v) || v.seq != l->items[i].seq)
			continue;
		tree_path(engine_tree(e), l->items[i].node, &path);
		struct codec_entry entry = {
			.path = {path.data, path.len}, .seq = v.seq, .state = *v.state,
		};
		const struct parcel_content *c = l->items[i].content
			? &l->contents[l->items[i].content - 1] : NULL;
		if (c && c->data && v.stamp == c->stamp) {
			entry.has_data = true;
			entry.data = (struct bytes){c->data, c->size};
		}
		codec_pack_entry(out, &entry, &p->ids);
		n++;
	}
	wire_array_end(out, array, n);
	wire_key(out, "ids");
	codec_pack_ids(out, &p->ids);
	if (!wire_finish(out, mark))
		peer_offence(p, "an entry is too large to be sent");
	codec_ids_release(&p->ids);
	buf_release(&path);
}

static void pack_have(struct peer *p, struct parcel *l, struct buf *out)
{
	struct engine *e = p->d->engine;
	struct buf path = {0};
	size_t mark = wire_begin_notification(out, "have");
	wire_map(out, 5);
	wire_key(out, "ids");
	wire_array(out, 1);
	wire_fixed(out, engine_ids(e)[l->rep].b, REPLICA_ID_SIZE);
	wire_put_uint(out, "r", 0);
	wire_put_uint(out, "to", l->to);
	wire_put_uint(out, "life", engine_life(e, l->rep, l->to));
	wire_key(out, "e");
	size_t array = wire_array_begin(out), n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct held_entry h;
		/* What has changed since comes later, under its new number. */
		if (!engine_held(e, l->rep, l->items[i].node, &h) || h.seq != l->items[i].seq)
			continue;
		tree_path(engine_tree(e), l->items[i].node, &path);
		wire_array(out, 5);
		wire_bin(out, (struct bytes){path.data, path.len});
		wire_uint(out, h.seq);
		wire_uint(out, h.stamp);
		wire_uint(out, h.kind);
		wire_uint(out, h.content);
		n++;
	}
	wire_array_end(out, array, n);
	bool fits = wire_finish(out, mark);
	assert(fits);
	buf_release(&path);
}

static void send_bytes(struct peer *p, struct buf *frame, size_t mark)
{
	bool fits = wire_finish(frame, mark);
	assert(fits);
	if (p->first) { /* keeps its place */
		struct parcel *l = parcel_add(p, PARCEL_BYTES);
		l->bytes = *frame;
		*frame = (struct buf){0};
	} else {
		conn_send(p->conn, frame);
	}
	buf_release(frame);
}

static void carry_sync(struct peer *p)
{
	struct engine *e = p->d->engine;
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "sync");
	wire_map(&b, 1);
	wire_key(&b, "seen");
	size_t array = wire_array_begin(&b), n = 0;
	for (size_t rep = 0; rep < engine_replicas(e) && n < REPLICAS_MAX; rep++) {
		struct seen r = engine_seen(e, (rep_t)rep);
		if (!r.merged && !r.known)
			continue;
		wire_array(&b, 5);
		wire_fixed(&b, r.id.b, REPLICA_ID_SIZE);
		wire_uint(&b, r.merged);
		wire_uint(&b, r.known);
		wire_uint(&b, r.merged_life);
		wire_uint(&b, r.known_life);
		n++;
	}
	wire_array_end(&b, array, n);
	send_bytes(p, &b, mark);
}

static void carry_ack(struct peer *p, const struct action *a)
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "ack");
	wire_map(&b, 1);
	wire_put_uint(&b, "to", a->to);
	send_bytes(p, &b, mark);
}

/* A str from bytes that may be anything. */
static void put_shown(struct buf *b, struct bytes s)
{
	if (text_is_utf8(s)) {
		wire_str(b, s);
		return;
	}
	struct buf shown = {0};
	text_show(&shown, s);
	wire_str(b, (struct bytes){shown.data, shown.len});
	buf_release(&shown);
}

static void carry_report(struct peer *p, const struct action *a)
{
	enum { PROBLEMS_MAX = 1000, ROOM = 64 * 1024 };
	struct report r = engine_report(p->d->engine, a->rep);
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "report");
	wire_map(&b, 13);
	wire_put_fixed(&b, "r", r.id.b, sizeof(r.id.b));
	wire_put_uint(&b, "n", r.n);
	wire_key(&b, "name");
	put_shown(&b, r.name);
	wire_key(&b, "addr");
	put_shown(&b, r.address);
	wire_put_uint(&b, "pending", r.pending);
	wire_put_uint(&b, "pending_bytes", r.pending_bytes);
	wire_put_uint(&b, "nproblems", r.n_problems);
	wire_put_uint(&b, "nheld", r.n_held);
	wire_put_uint(&b, "files", r.files);
	wire_put_uint(&b, "bytes", r.bytes);
	wire_key(&b, "links");
	size_t links = r.n_links < REPLICAS_MAX ? r.n_links : REPLICAS_MAX;
	wire_array(&b, links);
	for (size_t i = 0; i < links; i++)
		wire_fixed(&b, r.links[i].b, REPLICA_ID_SIZE);
	wire_key(&b, "problems");
	size_t array = wire_array_begin(&b), n = 0;
	for (size_t i = 0; i < r.n_listed && n < PROBLEMS_MAX && wire_room(&b, mark) > ROOM; i++) {
		wire_array(&b, 2);
		wire_bin(&b, r.problems[i].path);
		struct bytes reason = r.problems[i].reason;
		if (reason.len > 1024)
			reason.len = 1024;
		put_shown(&b, reason);
		n++;
	}
	wire_array_end(&b, array, n);
	wire_key(&b, "held");
	size_t held = wire_array_begin(&b), n_held = 0;
	for (size_t i = 0; i < n; i++) {
		if (!r.problems[i].held)
			continue;
		wire_uint(&b, i);
		n_held++;
	}
	wire_array_end(&b, held, n_held);
	send_bytes(p, &b, mark);
}

void peer_carry_out(struct peer *p, const struct action *a)
{
	switch (a->type) {
	case ACT_INDEX:
		carry_index(p, a);
		break;
	case ACT_HAVE:
		carry_have(p, a);
		break;
	case ACT_SYNC:
		carry_sync(p);
		break;
	case ACT_ACK:
		carry_ack(p, a);
		break;
	case ACT_REPORT:
		carry_report(p, a);
		break;
	default:
		assert(!"no action towards a peer");
	}
}

static void start_reads(struct peer *p)
{
	for (struct parcel *l = p->first; l && p->reading < READS_AHEAD; l = l->next) {
		if (l->ready || l->reading)
			continue;
		l->reading = true;
		p->reading++;
		l->job = (struct job){.run = parcel_read, .done = parcel_was_read};
		daemon_submit(p->d, &l->job, JOB_URGENT);
	}
}

static void send_parcels(struct peer *p)
{
	while (p->first && p->first->ready && !conn_full(p->conn) && !p->problem[0]) {
		struct parcel *l = p->first;
		struct buf frame = {0};
		if (l->type == PARCEL_INDEX)
			pack_index(p, l, &frame);
		else if (l->type == PARCEL_HAVE)
			pack_have(p, l, &frame);
		conn_send(p->conn, l->type == PARCEL_BYTES ? &l->bytes : &frame);
		buf_release(&frame);
		if (l->last)
			p->sent_last++;
		p->first = l->next;
		parcel_free(l);
	}
}

/* ---- serving contents ------------------------------------------------------------------ */

/* From the trash: whether it is still the same, the hash tells who asked. */
static int64_t trash_read(const struct serve *s, uint8_t *data)
{
	int fd = trash_open(s->d->root, s->path);
	if (fd < 0)
		return fd;
	int64_t got = 0;
	while ((size_t)got < s->len) {
		ssize_t n = pread(fd, data + got, s->len - (size_t)got, (off_t)s->off + got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			got = -errno;
		if (n <= 0)
			break;
		got += n;
	}
	close(fd);
	return got;
}

static void serve_run(struct job *job)
{
	struct serve *s = (struct serve *)job;
	uint8_t *data = xmalloc(s->len + 1);
	struct bytes path = {(uint8_t *)s->path, s->path_len};
	int64_t got = s->trash ? trash_read(s, data)
			       : content_read(s->d->root, path, s->stamp, s->off, s->len, data);
	if (got < 0) {
		s->failed = true;
		bool gone = got == -ENOENT || got == -ENOTDIR;
		wire_error(&s->answer, s->id, gone ? ERROR_NOT_FOUND : ERROR_CHANGED,
			   "the content cannot be read any more: %s",
			   got == -ESTALE ? "it was changed" : strerror((int)-got));
	} else {
		size_t mark = wire_begin_response(&s->answer, s->id);
		wire_map(&s->answer, 1);
		wire_put_bin(&s->answer, "data", (struct bytes){data, (size_t)got});
		wire_finish(&s->answer, mark);
	}
	free(data);
}

static void serve_done(struct job *job, bool cancelled)
{
	struct serve *s = (struct serve *)job;
	if (s->failed && !cancelled && !s->trash)
		engine_doubt(daemon_feed(s->d), (struct bytes){(uint8_t *)s->path, s->path_len});
	if (!s->peer) {
		serve_free(s);
		return;
	}
	if (cancelled)
		wire_error(&s->answer, s->id, ERROR_BUSY, "the server is being stopped");
	s->ready = true;
	s->peer->serve_reading--;
	s->peer->serve_ready += s->answer.len;
	daemon_touch(s->d);
}

/* People see what is on its way there. */
static void show_serving(struct peer *p, struct bytes path, uint64_t done, uint64_t size)
{
	double now = ev_now(p->d->loop);
	size_t at = p->n_shown;
	for (size_t i = 0; i < p->n_shown; i++)
		if (bytes_eq(p->shown[i].path, path))
			at = i;
	if (at == p->n_shown && done >= size)
		return;
	if (at == p->n_shown && p->n_shown == SERVING_SHOWN) {
		at = 0;
		for (size_t i = 1; i < p->n_shown; i++)
			if (p->shown[i].at < p->shown[at].at)
				at = i;
		if (now - p->shown[at].at < SERVING_OLD_S)
			return;
		free((void *)(uintptr_t)p->shown[at].path.p);
		p->shown[at].path.p = xmemdup(path.p, path.len);
		p->shown[at].path.len = path.len;
	} else if (at == p->n_shown) {
		p->shown[p->n_shown++].path = (struct bytes){xmemdup(path.p, path.len), path.len};
	}
	p->shown[at].done = done;
	p->shown[at].size = size;
	p->shown[at].at = now;
	if (done >= size) {
		free((void *)(uintptr_t)p->shown[at].path.p);
		p->shown[at] = p->shown[--p->n_shown];
	}
}

size_t peer_serving(const struct peer *p, struct peer_serving *out, size_t cap)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n_shown && n < cap; i++) {
		if (ev_now(p->d->loop) - p->shown[i].at >= SERVING_OLD_S)
			continue;
		out[n++] = (struct peer_serving){
			.path = p->shown[i].path,
			.done = p->shown[i].done,
			.size = p->shown[i].size,
		};
	}
	return n;
}

static void on_fetch(struct peer *p, const struct wire_frame *f)
{
	struct engine *e = p->d->engine;
	if (p->serving == PEER_ASKED_MAX) {
		peer_offence(p, "more than %d fetches without waiting for answers", PEER_ASKED_MAX);
		return;
	}
	uint8_t hash[HASH_SIZE];
	uint64_t off, len;
	wire_get_fixed(f->params, "hash", hash, sizeof(hash));
	wire_get_uint(f->params, "off", INT64_MAX, &off);
	wire_get_uint(f->params, "len", PEER_CHUNK, &len);
	struct serve *s = xcalloc(1, sizeof(*s));
	*s = (struct serve){.d = p->d, .peer = p, .id = f->id, .off = off, .len = (size_t)len};
	struct bytes trash;
	/* What is served is a content that we announced, wherever it is, or one in the trash; never just
	 * a path. */
	node_t n = engine_find_content(e, hash);
	struct entry_view v;
	if (wire_get_bytes(f->params, "trash", &trash) && trash_time(trash) >= 0) {
		s->trash = true;
		s->path = xcalloc(1, trash.len + 1);
		memcpy(s->path, trash.p, trash.len);
	} else if (n != NODE_NONE && engine_entry(e, n, &v) && v.shown && v.shown->kind == KIND_FILE &&
	    memcmp(v.shown->hash, hash, HASH_SIZE) == 0) {
		struct buf path = {0};
		tree_path(engine_tree(e), n, &path);
		s->stamp = v.stamp;
		s->path_len = path.len;
		s->path = (char *)path.data;
		if (v.shown->size > PEER_CHUNK)
			show_serving(p, (struct bytes){path.data, path.len}, off + len,
				     v.shown->size);
	} else {
		wire_error(&s->answer, s->id, ERROR_NOT_FOUND, "no such content here now");
		s->ready = true;
		p->serve_ready += s->answer.len;
	}
	if (p->serve_first)
		p->serve_last->next = s;
	else
		p->serve_first = s;
	p->serve_last = s;
	p->serving++;
	daemon_touch(p->d);
}

static void start_serving(struct peer *p)
{
	for (struct serve *s = p->serve_first; s; s = s->next) {
		if (p->serve_reading == SERVE_READS || p->serve_ready >= SERVE_READY_MAX)
			return;
		if (s->ready || s->submitted)
			continue;
		s->submitted = true;
		p->serve_reading++;
		s->job = (struct job){.run = serve_run, .done = serve_done};
		daemon_submit(p->d, &s->job, JOB_URGENT);
	}
}

static void send_answers(struct peer *p)
{
	while (p->serve_first && p->serve_first->ready && !conn_full(p->conn)) {
		struct serve *s = p->serve_first;
		p->serve_first = s->next;
		p->serving--;
		p->serve_ready -= s->answer.len;
		conn_send(p->conn, &s->answer);
		serve_free(s);
	}
}

void peer_turn(struct peer *p)
{
	if (conn_ending(p->conn))
		return;
	start_reads(p);
	send_parcels(p);
	start_serving(p);
	send_answers(p);
	for (; p->sent_last && !conn_full(p->conn); p->sent_last--)
		engine_index_sent(daemon_feed(p->d), p->number);
	bool enough = engine_congested(p->d->engine);
	if (enough != p->paused) {
		p->paused = enough;
		if (enough)
			conn_pause(p->conn);
		else
			conn_resume(p->conn);
	}
}

/* ---- asking ---------------------------------------------------------------------------- */

bool peer_can_fetch(const struct peer *p)
{
	return p->fetches < PEER_ASKED_MAX && !conn_ending(p->conn);
}

void peer_ask(struct peer *p, enum message m, const struct buf *params, peer_answer_fn *answer,
	      void *ctx)
{
	GROW(p->asked, p->cap_asked, p->n_asked + 1);
	uint32_t id = p->next_id++;
	p->asked[p->n_asked++] = (struct asked){id, m, answer, ctx};
	if (m == MESSAGE_FETCH && p->fetches++ == 0)
		ev_timer_again(p->d->loop, &p->answer_timer);
	struct buf b = {0};
	size_t mark = wire_begin_request(&b, id, message_name(m));
	buf_add(&b, params->data, params->len);
	bool fits = wire_finish(&b, mark);
	assert(fits);
	conn_send(p->conn, &b);
	buf_release(&b);
}

void peer_note(struct peer *p, enum message m, const struct buf *params)
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, message_name(m));
	buf_add(&b, params->data, params->len);
	bool fits = wire_finish(&b, mark);
	assert(fits);
	conn_send(p->conn, &b);
	buf_release(&b);
}

void peer_respond(struct peer *p, uint32_t id, const struct buf *map)
{
	struct buf b = {0};
	size_t mark = wire_begin_response(&b, id);
	buf_add(&b, map->data, map->len);
	if (!wire_finish(&b, mark))
		wire_error(&b, id, ERROR_FAILED, "the answer is too long");
	conn_send(p->conn, &b);
	buf_release(&b);
}

static void on_response(struct peer *p, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	size_t i = 0;
	while (i < p->n_asked && p->asked[i].id != f->id)
		i++;
	if (i == p->n_asked) {
		peer_offence(p, "an answer that was not asked for");
		return;
	}
	struct asked a = p->asked[i];
	if (!message_check_response(f, a.message, why)) {
		peer_offence(p, "answer to %s", why);
		return;
	}
	memmove(p->asked + i, p->asked + i + 1, (p->n_asked - i - 1) * sizeof(*p->asked));
	p->n_asked--;
	if (a.message == MESSAGE_FETCH) {
		p->fetches--;
		if (p->fetches)
			ev_timer_again(p->d->loop, &p->answer_timer);
		else
			ev_timer_stop(p->d->loop, &p->answer_timer);
	}
	a.answer(a.ctx, f);
}

/* ---- listening ------------------------------------------------------------------------- */

/* The engine's numbers for the ids of a frame. */
static int intern_ids(struct peer *p, const msgpack_object *array, rep_t reps[REPLICAS_MAX])
{
	struct replica_id ids[REPLICAS_MAX];
	int n = codec_unpack_ids(array, ids);
	if (n < 0) {
		peer_offence(p, "the list of ids is wrong");
		return -1;
	}
	for (int i = 0; i < n; i++) {
		int r = engine_intern(daemon_feed(p->d), &ids[i]);
		if (r < 0) {
			peer_offence(p, "more than %d replicas", REPLICAS_MAX);
			return -1;
		}
		reps[i] = (rep_t)r;
	}
	return n;
}

static void on_sync(struct peer *p, const msgpack_object *params)
{
	struct seen seen[REPLICAS_MAX];
	const msgpack_object *list = wire_get(params, "seen");
	size_t n = wire_count(list);
	for (size_t i = 0; i < n; i++) {
		const msgpack_object *o = wire_at(list, i);
		wire_as_fixed(wire_at(o, 0), seen[i].id.b, REPLICA_ID_SIZE);
		wire_as_uint(wire_at(o, 1), UINT64_MAX, &seen[i].merged);
		wire_as_uint(wire_at(o, 2), UINT64_MAX, &seen[i].known);
		seen[i].merged_life = seen[i].known_life = 0;
		wire_as_uint(wire_at(o, 3), UINT64_MAX, &seen[i].merged_life);
		wire_as_uint(wire_at(o, 4), UINT64_MAX, &seen[i].known_life);
	}
	engine_peer_sync(daemon_feed(p->d), p->number, seen, n);
}

static void on_index(struct peer *p, const msgpack_object *params)
{
	rep_t reps[REPLICAS_MAX];
	int n_ids = intern_ids(p, wire_get(params, "ids"), reps);
	if (n_ids < 0)
		return;
	const msgpack_object *list = wire_get(params, "e");
	size_t n = wire_count(list), got = 0;
	struct index_entry *entries = xcalloc(n + 1, sizeof(*entries));
	while (got < n) {
		struct codec_entry c;
		if (codec_unpack_entry(wire_at(list, got), reps, (size_t)n_ids, &c) < 0) {
			peer_offence(p, "an entry of its index is wrong");
			break;
		}
		entries[got++] = (struct index_entry){
			.path = c.path, .seq = c.seq, .state = c.state, .data = c.data,
		};
		if (!c.has_data)
			entries[got - 1].data = (struct bytes){NULL, 0};
	}
	if (got == n) {
		uint64_t to, life = 0;
		bool more;
		const char *why = "";
		wire_get_uint(params, "to", UINT64_MAX, &to);
		wire_get_uint(params, "life", UINT64_MAX, &life);
		wire_get_bool(params, "more", &more);
		struct engine *e = daemon_feed(p->d);
		if (engine_peer_index(e, p->number, to, life, more, entries, n, &why) != 0)
			peer_offence(p, "%s", why);
	} else {
		for (size_t i = 0; i < got; i++)
			state_release(&entries[i].state);
	}
	free(entries);
}

static void on_have(struct peer *p, const msgpack_object *params)
{
	rep_t reps[REPLICAS_MAX];
	if (intern_ids(p, wire_get(params, "ids"), reps) < 0)
		return;
	uint64_t r, to, life = 0;
	wire_get_uint(params, "r", REPLICAS_MAX - 1, &r);
	wire_get_uint(params, "to", UINT64_MAX, &to);
	wire_get_uint(params, "life", UINT64_MAX, &life);
	const msgpack_object *list = wire_get(params, "e");
	size_t n = wire_count(list);
	struct held_entry *entries = xcalloc(n + 1, sizeof(*entries));
	for (size_t i = 0; i < n; i++) {
		const msgpack_object *o = wire_at(list, i);
		uint64_t kind, content;
		wire_as_bytes(wire_at(o, 0), &entries[i].path);
		wire_as_uint(wire_at(o, 1), UINT64_MAX, &entries[i].seq);
		wire_as_uint(wire_at(o, 2), UINT64_MAX, &entries[i].stamp);
		wire_as_uint(wire_at(o, 3), KIND_SYMLINK, &kind);
		wire_as_uint(wire_at(o, 4), UINT32_MAX, &content);
		entries[i].kind = (uint8_t)kind;
		entries[i].content = (uint32_t)content;
	}
	const char *why = "";
	if (!p->reader &&
	    engine_peer_have(daemon_feed(p->d), p->number, reps[r], to, life, entries, n, &why) != 0)
		peer_offence(p, "%s", why);
	free(entries);
}

static void on_report(struct peer *p, const msgpack_object *params)
{
	struct report r = {0};
	wire_get_fixed(params, "r", r.id.b, sizeof(r.id.b));
	wire_get_uint(params, "n", UINT64_MAX, &r.n);
	wire_get_str(params, "name", &r.name);
	wire_get_str(params, "addr", &r.address);
	wire_get_uint(params, "pending", UINT64_MAX, &r.pending);
	wire_get_uint(params, "pending_bytes", UINT64_MAX, &r.pending_bytes);
	wire_get_uint(params, "nproblems", UINT64_MAX, &r.n_problems);
	wire_get_uint(params, "nheld", UINT64_MAX, &r.n_held);
	wire_get_uint(params, "files", UINT64_MAX, &r.files);
	wire_get_uint(params, "bytes", UINT64_MAX, &r.bytes);
	if (r.name.len && settings_name_problem(r.name)[0]) {
		peer_offence(p, "a replica whose name cannot be taken");
		return;
	}
	const msgpack_object *list = wire_get(params, "problems");
	struct problem *problems = xcalloc(wire_count(list) + 1, sizeof(*problems));
	for (size_t i = 0; i < wire_count(list); i++) {
		wire_as_bytes(wire_at(wire_at(list, i), 0), &problems[i].path);
		wire_as_str(wire_at(wire_at(list, i), 1), &problems[i].reason);
	}
	r.problems = problems;
	r.n_listed = wire_count(list);
	list = wire_get(params, "held");
	for (size_t i = 0; i < wire_count(list); i++) {
		uint64_t at;
		if (wire_as_uint(wire_at(list, i), UINT64_MAX, &at) && at < r.n_listed)
			problems[at].held = true;
	}
	struct replica_id links[REPLICAS_MAX];
	list = wire_get(params, "links");
	r.links = links;
	r.n_links = wire_count(list);
	for (size_t i = 0; i < r.n_links; i++)
		wire_as_fixed(wire_at(list, i), links[i].b, REPLICA_ID_SIZE);
	const char *why = "";
	if (p->reader && !replica_id_eq(&r.id, &p->id)) {
		free(problems);
		return;
	}
	if (engine_peer_report(daemon_feed(p->d), p->number, &r, &why) != 0)
		peer_offence(p, "%s", why);
	free(problems);
}

void peer_frame(struct peer *p, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	if (p->problem[0])
		return;
	if (f->kind == WIRE_RESPONSE) {
		on_response(p, f);
		return;
	}
	int m = message_check(f, PARTY_PEER, PHASE_GREETED, why);
	if (m < 0 && f->kind == WIRE_REQUEST) {
		struct buf b = {0};
		wire_error(&b, f->id, ERROR_BAD_REQUEST, "%s", why);
		conn_send(p->conn, &b);
		buf_release(&b);
		return;
	}
	uint64_t to;
	switch (m) {
	case MESSAGE_PING:
		break;
	case MESSAGE_SYNC:
		on_sync(p, f->params);
		break;
	case MESSAGE_INDEX:
		on_index(p, f->params);
		break;
	case MESSAGE_HAVE:
		on_have(p, f->params);
		break;
	case MESSAGE_REPORT:
		on_report(p, f->params);
		break;
	case MESSAGE_ACK:
		wire_get_uint(f->params, "to", UINT64_MAX, &to);
		engine_peer_ack(daemon_feed(p->d), p->number, to);
		break;
	case MESSAGE_FETCH:
		on_fetch(p, f);
		break;
	case MESSAGE_TRASH:
		pasts_trash_for_peer(p->d->pasts, p, f->id, f->params);
		break;
	case MESSAGE_RESYNC_AT:
		resync_peer_is_at(p->d->resyncs, p, f->params);
		break;
	case MESSAGE_RESYNC:
		resync_asked_by_peer(p->d->resyncs, p, f->id, f->params);
		break;
	default:
		peer_offence(p, "%s", why);
	}
}
