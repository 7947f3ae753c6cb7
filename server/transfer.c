/* Owns the contents that are on their way to this disk. */
#include "config.h"
#include "transfer.h"

#include "net.h"
#include "peer.h"
#include "wire.h"

#include <errno.h>
#include <stdlib.h>

/* A part that has come and is not yet written. */
struct part {
	struct part *next;
	size_t len;
	uint8_t data[];
};

enum step { STEP_WRITE, STEP_DISCARD };

struct transfer {
	struct job job; /* one at a time: writes what has come, ends or drops the file */
	struct transfers *all;
	struct transfer *prev, *next;
	uint64_t number;      /* of the action */
	struct peer *peer;    /* NULL once it is gone */
	char *from;
	struct bytes path;    /* copied */
	struct bytes trash;   /* copied: its name in the trash there; empty: it is in the tree */
	void (*got)(void *ctx, int error, uint64_t tmp); /* who wants it; NULL: the engine */
	void *ctx;
	uint8_t hash[HASH_SIZE];
	uint64_t size;
	uint64_t asked;       /* bytes asked for, from the start on */
	uint64_t done;        /* bytes that have come */
	unsigned out;         /* requests without an answer */
	unsigned kept;        /* parts that have come and are not yet written */
	struct part *first, **last;
	double since;
	int error;            /* the first thing that went wrong */
	bool running;         /* the job */
	bool told;            /* the engine has its answer */
	/* of the job while it runs */
	enum step step;
	struct part *writing;
	bool finish;
	struct tmp *tmp;
	int result;
	uint64_t tmp_name;
	bool finished;
};

struct transfers {
	struct daemon *d;
	struct transfer *oldest, *newest;
	size_t n;
};

struct transfers *transfers_new(struct daemon *d)
{
	struct transfers *all = xcalloc(1, sizeof(*all));
	all->d = d;
	return all;
}

static void parts_free(struct part *p)
{
	while (p) {
		struct part *next = p->next;
		free(p);
		p = next;
	}
}

static void transfer_free(struct transfer *t)
{
	struct transfers *all = t->all;
	assert(!t->running);
	if (t->prev)
		t->prev->next = t->next;
	else
		all->oldest = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		all->newest = t->prev;
	all->n--;
	parts_free(t->first);
	tmp_discard(t->tmp);
	free((void *)(uintptr_t)t->path.p);
	free((void *)(uintptr_t)t->trash.p);
	free(t->from);
	free(t);
}

void transfers_free(struct transfers *all)
{
	while (all->oldest)
		transfer_free(all->oldest);
	free(all);
}

/* ---- in a worker ----------------------------------------------------------------------- */

static void write_parts(struct transfer *t)
{
	if (!t->tmp)
		t->result = tmp_open(t->all->d->root, &t->tmp);
	for (struct part *p = t->writing; p && t->result == 0; p = p->next)
		t->result = tmp_write(t->tmp, p->data, p->len);
	if (t->result < 0 || !t->finish)
		return;
	t->tmp_name = tmp_number(t->tmp);
	t->result = tmp_finish(t->tmp, t->hash, t->size);
	t->tmp = NULL;
	t->finished = t->result == 0;
}

static void transfer_run(struct job *job)
{
	struct transfer *t = (struct transfer *)job;
	if (t->step == STEP_WRITE) {
		write_parts(t);
	} else {
		tmp_discard(t->tmp);
		t->tmp = NULL;
	}
}

/* ---- on the loop ----------------------------------------------------------------------- */

static void transfer_step(struct transfer *t);

static void fail(struct transfer *t, int error)
{
	if (!t->error)
		t->error = error;
}

static void transfer_was_run(struct job *job, bool cancelled)
{
	struct transfer *t = (struct transfer *)job;
	struct daemon *d = t->all->d;
	t->running = false;
	for (struct part *p = t->writing; p; p = p->next)
		t->kept--;
	parts_free(t->writing);
	t->writing = NULL;
	if (cancelled)
		fail(t, -ECANCELED);
	else if (t->result < 0)
		fail(t, t->result);
	transfer_step(t); /* may have been its last */
	daemon_touch(d);
}

static void run(struct transfer *t, enum step step)
{
	t->step = step;
	t->running = true;
	t->result = 0;
	t->job = (struct job){.run = transfer_run, .done = transfer_was_run};
	daemon_submit(t->all->d, &t->job, JOB_URGENT);
}

static void tell(struct transfer *t, int error)
{
	if (t->told)
		return;
	t->told = true;
	if (t->got)
		t->got(t->ctx, error, t->tmp_name);
	else
		engine_fetched(daemon_feed(t->all->d), t->number, error, t->tmp_name);
}

/* What is to be done next, if anything. May free it. */
static void transfer_step(struct transfer *t)
{
	if (t->running)
		return;
	if (t->finished) {
		/* It has come; a cancel that came too late finds it finished. */
		tell(t, 0);
		transfer_free(t);
		return;
	}
	if (t->error) {
		parts_free(t->first);
		t->first = NULL;
		t->last = &t->first;
		t->kept = 0;
		if (t->tmp && !t->all->d->stopping) {
			run(t, STEP_DISCARD);
			return;
		}
		tell(t, t->error);
		if (!t->out)
			transfer_free(t);
		return;
	}
	if (t->first || t->done == t->size) {
		t->writing = t->first;
		t->first = NULL;
		t->last = &t->first;
		t->finish = t->done == t->size;
		run(t, STEP_WRITE);
	}
}

static void on_part(void *ctx, const struct wire_frame *f)
{
	struct transfer *t = ctx;
	struct bytes data;
	t->out--;
	if (!f) {
		fail(t, -ENOTCONN);
		t->peer = NULL;
	} else if (t->error) {
		/* what was asked for before it went wrong */
	} else if (f->error) {
		fail(t, -ENODATA);
	} else {
		uint64_t want = t->size - t->done < PEER_CHUNK ? t->size - t->done : PEER_CHUNK;
		wire_get_bin(f->result, "data", &data);
		if (data.len > want) {
			peer_offence(t->peer, "more content than it was asked for");
			fail(t, -ENODATA);
		} else if (data.len < want) {
			fail(t, -ENODATA); /* the file has become shorter */
		} else {
			struct part *p = xmalloc(sizeof(*p) + data.len);
			p->next = NULL;
			p->len = data.len;
			memcpy(p->data, data.p, data.len);
			*t->last = p;
			t->last = &p->next;
			t->kept++;
			t->done += data.len;
		}
	}
	daemon_touch(t->all->d);
	transfer_step(t);
}

static void ask(struct transfer *t)
{
	uint64_t left = t->size - t->asked;
	uint64_t len = left < PEER_CHUNK ? left : PEER_CHUNK;
	struct buf b = {0};
	wire_map(&b, t->trash.len ? 5 : 4);
	if (t->trash.len)
		wire_put_bin(&b, "trash", t->trash);
	wire_put_bin(&b, "path", t->path);
	wire_put_fixed(&b, "hash", t->hash, HASH_SIZE);
	wire_put_uint(&b, "off", t->asked);
	wire_put_uint(&b, "len", len);
	t->asked += len;
	t->out++;
	peer_ask(t->peer, MESSAGE_FETCH, &b, on_part, t);
	buf_release(&b);
}

/* One part for each in turn, so that no small content waits behind a large one. */
void transfers_turn(struct transfers *all)
{
	bool more = true;
	while (more) {
		more = false;
		for (struct transfer *t = all->oldest; t; t = t->next) {
			if (t->error || !t->peer || t->asked == t->size ||
			    t->out + t->kept >= TRANSFER_AHEAD || !peer_can_fetch(t->peer))
				continue;
			ask(t);
			more = true;
		}
	}
}

static void begin(struct transfers *all, uint64_t number, const struct transfer_wanted *w)
{
	struct daemon *d = all->d;
	struct transfer *t = xcalloc(1, sizeof(*t));
	t->all = all;
	t->number = number;
	t->peer = net_peer(d->net, w->peer);
	t->from = xstrdup(t->peer ? peer_name(t->peer) : "");
	t->path = (struct bytes){xmemdup(w->path.p, w->path.len), w->path.len};
	if (w->trash.len)
		t->trash = (struct bytes){xmemdup(w->trash.p, w->trash.len), w->trash.len};
	memcpy(t->hash, w->hash, HASH_SIZE);
	t->size = w->size;
	t->got = w->got;
	t->ctx = w->ctx;
	t->last = &t->first;
	t->since = ev_now(d->loop);
	t->prev = all->newest;
	if (all->newest)
		all->newest->next = t;
	else
		all->oldest = t;
	all->newest = t;
	all->n++;
	if (!t->peer)
		fail(t, -ENOTCONN);
	if (t->error || !t->size)
		transfer_step(t);
	daemon_touch(d);
}

void transfers_fetch(struct transfers *all, const struct action *a)
{
	begin(all, a->job, &(struct transfer_wanted){
		.peer = a->peer, .path = a->path, .hash = a->hash, .size = a->size,
	});
}

void transfers_get(struct transfers *all, const struct transfer_wanted *w)
{
	begin(all, 0, w);
}

void transfers_cancel(struct transfers *all, uint64_t job)
{
	for (struct transfer *t = all->oldest; t; t = t->next) {
		if (t->got || t->number != job || t->told)
			continue;
		fail(t, -ECANCELED);
		transfer_step(t);
		return;
	}
}

void transfers_peer_down(struct transfers *all, struct peer *p)
{
	for (struct transfer *t = all->oldest, *next; t; t = next) {
		next = t->next;
		if (t->peer != p)
			continue;
		t->peer = NULL;
		if (t->done == t->size)
			continue; /* all is here */
		fail(t, -ENOTCONN);
		transfer_step(t);
	}
}

/* ---- for people ------------------------------------------------------------------------ */

size_t transfers_count(const struct transfers *all)
{
	size_t n = 0;
	for (const struct transfer *t = all->oldest; t; t = t->next)
		n += !t->told;
	return n;
}

size_t transfers_list(const struct transfers *all, struct transfer_info *out, size_t cap,
		      uint64_t *done, uint64_t *size)
{
	size_t n = 0;
	*done = *size = 0;
	for (const struct transfer *t = all->oldest; t; t = t->next) {
		if (t->told)
			continue;
		*done += t->done;
		*size += t->size;
		double s = ev_now(all->d->loop) - t->since;
		if (n < cap)
			out[n++] = (struct transfer_info){
				.path = t->path, .from = bytes_of(t->from), .done = t->done,
				.size = t->size, .since = t->since,
				.rate = s > .1 ? (uint64_t)((double)t->done / s) : 0,
			};
	}
	return n;
}

int transfers_percent(const struct transfers *all, struct bytes path)
{
	for (const struct transfer *t = all->oldest; t; t = t->next)
		if (!t->told && bytes_eq(t->path, path))
			return t->size ? (int)(t->done * 100 / t->size) : 100;
	return -1;
}
