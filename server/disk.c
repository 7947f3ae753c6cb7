/* Owns the jobs that the engine has under way on the disk. */
#include "config.h"
#include "disk.h"

#include "format.h"
#include "recover.h"
#include "rewrites.h"
#include "scan.h"
#include "text.h"
#include "trash.h"
#include "wire.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

enum {
	SMALL_BATCH = 8,         /* looks or operations that go before bulk work */
	ROOT_CHECK_S = 5,        /* while it is gone */
	TRASH_EVERY_S = 3600,
	PAST_S = 1,              /* what nothing else is stored with waits no longer */
	DISK_SHORT_PERCENT = 5,  /* with less room nothing is spared in the trash */
	TRIM_LINES = 16384,      /* lines of the journal between two looks at their number, at most */
	PAST_MAX = 100000,       /* lines and rows that wait while nothing can be stored */
};

#define WHAT_REPLACED "replaced" /* of rows of the trash */

/* What is to be written about the past with the next commit: rows of the trash, lines of the journal.
 * Their bytes are copies. */
struct past {
	struct store_trash *trash;
	size_t n_trash, cap_trash;
	struct store_event *events;
	size_t n_events, cap_events;
};

/* A batch of intents that is not needed any more when so many changes are stored. */
struct settling {
	uint64_t changes;
	bool earlier; /* those of the life before; else: */
	struct intents_batch batch;
};

struct disk {
	struct daemon *d;
	struct disk_task *first, **last;    /* commits and questions, in order; the first one runs */
	uint64_t stored[REPLICAS_MAX];      /* stamp of what the index says of each replica */
	uint64_t newest_life;               /* of those in the index, or 0 */
	uint8_t index;                      /* enum index_state there */
	struct past past;
	size_t unnamed;                     /* rows of past.trash before this one say who displaced it */
	size_t untrimmed;                   /* lines written since the journal was trimmed */
	struct settling *settling;          /* batches of intents, in the order of `changes` */
	size_t n_settling, cap_settling;
	bool unstored;
	bool tidying;
	bool checking;                      /* the root */
	enum root_state root;
	ev_timer root_timer, trash_timer, past_timer;
	struct log_limit limit_store, limit_list;
};

static void check_root(struct disk *k);

/* ---- copies of paths -------------------------------------------------------------------- */

/* Where the bytes of a job lie; they are put in as offsets, and looked up when all are in. */
static size_t keep(struct buf *b, struct bytes s)
{
	size_t at = b->len;
	if (s.len)
		buf_add(b, s.p, s.len);
	return at;
}

static struct bytes kept(const struct buf *b, size_t at, size_t len)
{
	return (struct bytes){b->data + at, len};
}

/* ---- listing ---------------------------------------------------------------------------- */

struct list_job {
	struct job job;
	struct disk *k;
	uint64_t action;
	struct buf path;
	node_t node;
	struct listing listing;
	enum root_state root;
	int error;
};

static void list_run(struct job *job)
{
	struct list_job *l = (struct list_job *)job;
	struct daemon *d = l->k->d;
	l->error = scan_list(d->root, (struct bytes){l->path.data, l->path.len}, watch_add,
			     d->watch, &l->listing);
	/* Afterwards: what was read while the root was there is true. */
	l->root = root_check(d->root);
	if (l->root != ROOT_OK)
		l->error = -ESTALE;
}

static void root_found(struct disk *k, enum root_state state);

static void list_done(struct job *job, bool cancelled)
{
	struct list_job *l = (struct list_job *)job;
	struct daemon *d = l->k->d;
	if (cancelled) {
		l->error = -ECANCELED;
		l->listing.wd = -ECANCELED;
	} else {
		root_found(l->k, l->root);
	}
	bool watched = l->listing.wd >= 0;
	if (l->error) {
		if (watched)
			watch_drop(d->watch, l->listing.wd);
		engine_listed(daemon_feed(d), l->action, l->error, NULL, 0, false);
	} else {
		/* a watch says nothing of what other machines do on a network file system */
		engine_listed(daemon_feed(d), l->action, 0, l->listing.items, l->listing.n,
			      !watched || !root_abilities(d->root).local);
		if (watched)
			watch_register(d->watch, l->listing.wd, l->node);
	}
	listing_release(&l->listing);
	buf_release(&l->path);
	free(l);
}

static void carry_list(struct disk *k, const struct action *a)
{
	struct list_job *l = xcalloc(1, sizeof(*l));
	l->job = (struct job){.run = list_run, .done = list_done};
	l->k = k;
	l->action = a->job;
	l->node = tree_find(engine_tree(k->d->engine), a->path);
	keep(&l->path, a->path);
	l->listing.wd = -ECANCELED;
	assert(l->node != NODE_NONE);
	daemon_submit(k->d, &l->job, JOB_BULK);
}

/* ---- looking ---------------------------------------------------------------------------- */

struct look_job {
	struct job job;
	struct disk *k;
	uint64_t action;
	struct buf paths;
	struct look *looks;
	size_t n;
	enum root_state root;
};

static void look_run(struct job *job)
{
	struct look_job *l = (struct look_job *)job;
	struct daemon *d = l->k->d;
	scan_look(d->root, l->looks, l->n, workers_cancel(d->workers));
	l->root = root_check(d->root);
	for (size_t i = 0; i < l->n && l->root != ROOT_OK; i++) {
		look_release(&l->looks[i]);
		l->looks[i].error = -ESTALE;
	}
}

static void look_done(struct job *job, bool cancelled)
{
	struct look_job *l = (struct look_job *)job;
	for (size_t i = 0; i < l->n && cancelled; i++)
		l->looks[i].error = -ECANCELED;
	if (!cancelled)
		root_found(l->k, l->root);
	struct engine *e = daemon_feed(l->k->d);
	engine_looked(e, l->action, l->looks, l->n);
	/* On a root that folds names the watch may tell of a file by another spelling than it has. */
	for (size_t i = 0; i < l->n && !cancelled; i++) {
		struct bytes path = l->looks[i].path;
		node_t dir = l->looks[i].other[0] ? tree_find(engine_tree(e), path_parent(path)) : NODE_NONE;
		if (dir != NODE_NONE)
			engine_hint(e, dir, bytes_of(l->looks[i].other), HINT_TOUCHED);
	}
	buf_release(&l->paths);
	free(l->looks);
	free(l);
}

static void carry_look(struct disk *k, const struct action *a)
{
	struct look_job *l = xcalloc(1, sizeof(*l));
	l->job = (struct job){.run = look_run, .done = look_done};
	l->k = k;
	l->action = a->job;
	l->n = a->n;
	l->looks = xcalloc(a->n + 1, sizeof(*l->looks));
	for (size_t i = 0; i < a->n; i++)
		keep(&l->paths, a->looks[i].path);
	size_t at = 0;
	for (size_t i = 0; i < a->n; i++) {
		l->looks[i] = a->looks[i];
		l->looks[i].path = kept(&l->paths, at, a->looks[i].path.len);
		at += a->looks[i].path.len;
	}
	daemon_submit(k->d, &l->job, a->n <= SMALL_BATCH && !a->idle ? JOB_URGENT : JOB_BULK);
}

/* ---- the past: rows of the trash, lines of the journal ---------------------------------- */

static struct bytes copied(struct bytes b)
{
	return (struct bytes){xmemdup(b.len ? (const void *)b.p : "", b.len), b.len};
}

static void free_bytes(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

static const uint8_t *copied_hash(const uint8_t *hash)
{
	return hash ? xmemdup(hash, HASH_SIZE) : NULL;
}

static void free_hash(const uint8_t *hash)
{
	free((void *)(uintptr_t)hash);
}

static void past_release(struct past *p)
{
	for (size_t i = 0; i < p->n_trash; i++) {
		free_bytes(p->trash[i].name);
		free_bytes(p->trash[i].path);
		free_bytes(p->trash[i].replica);
		free_hash(p->trash[i].hash);
	}
	for (size_t i = 0; i < p->n_events; i++) {
		free_bytes(p->events[i].path);
		free_bytes(p->events[i].replica);
		free_hash(p->events[i].old_hash);
		free_hash(p->events[i].new_hash);
	}
	free(p->trash);
	free(p->events);
	*p = (struct past){0};
}

static void past_soon(struct disk *k)
{
	if (!ev_is_active(&k->past_timer) && !k->d->stopping) {
		ev_timer_set(&k->past_timer, PAST_S, 0.);
		ev_timer_start(k->d->loop, &k->past_timer);
	}
}

void disk_trash(struct disk *k, const struct store_trash *row)
{
	struct past *p = &k->past;
	if (p->n_trash >= PAST_MAX)
		return;
	GROW(p->trash, p->cap_trash, p->n_trash + 1);
	struct store_trash *t = &p->trash[p->n_trash++];
	*t = *row; /* `what` is a constant */
	t->name = copied(row->name);
	t->path = copied(row->path);
	t->replica = copied(row->replica);
	t->hash = copied_hash(row->hash);
	past_soon(k);
}

static void add_line(struct disk *k, const struct action *a, struct bytes path, const char *what,
		     struct bytes replica)
{
	struct past *p = &k->past;
	if (p->n_events >= PAST_MAX)
		return;
	GROW(p->events, p->cap_events, p->n_events + 1);
	p->events[p->n_events++] = (struct store_event){
		.time_ns = daemon_wall_ns(),
		.path = copied(path),
		.replica = copied(replica),
		.what = bytes_of(what),
		.old_size = a->old_size,
		.new_size = a->new_size,
		.old_hash = copied_hash(a->old_hash),
		.new_hash = copied_hash(a->new_hash),
	};
	past_soon(k);
}

/* A file was given another content by another replica. */
static void rewritten(struct disk *k, const struct store_trash *t)
{
	struct daemon *d = k->d;
	const struct rewrites_wave *w = rewrites_add(d->rewrites, t->replica,
		hash64(t->path.p, t->path.len, 0), t->time_ns, engine_status(d->engine).files);
	if (!w)
		return;
	struct buf text = {0};
	rewrites_say(w, &text);
	log_warning("%.*s", (int)text.len, (const char *)text.data);
	daemon_event(d, "note", (struct bytes){0}, t->replica, (struct bytes){text.data, text.len});
	buf_release(&text);
}

/* The events of a batch come in the order of its operations, so the next row is mostly the one. */
static void name_displacer(struct disk *k, const struct action *a, struct bytes replica)
{
	struct past *p = &k->past;
	for (size_t i = k->unnamed; i < p->n_trash; i++) {
		struct store_trash *t = &p->trash[i];
		if (t->remove || t->what.len || !bytes_eq(t->path, a->path))
			continue;
		free_bytes(t->replica);
		t->replica = copied(replica);
		t->what = bytes_of(a->event == EVENT_REMOVED ? "deleted" : WHAT_REPLACED);
		if (a->event == EVENT_RECEIVED && t->kind == KIND_FILE)
			rewritten(k, t);
		while (k->unnamed < p->n_trash && (p->trash[k->unnamed].what.len || p->trash[k->unnamed].remove))
			k->unnamed++;
		return;
	}
}

void disk_event(struct disk *k, const struct action *a, struct bytes replica)
{
	switch (a->event) {
	case EVENT_RECEIVED:
	case EVENT_REMOVED:
		name_displacer(k, a, replica);
		add_line(k, a, a->path, engine_event_text(a->event), replica);
		break;
	case EVENT_MOVED:
		add_line(k, a, a->from, "moved away", replica);
		add_line(k, a, a->path, engine_event_text(a->event), replica);
		break;
	case EVENT_CREATED:
	case EVENT_CHANGED:
	case EVENT_DELETED:
	case EVENT_FOUND_NEW:
	case EVENT_FOUND_CHANGED:
	case EVENT_FOUND_GONE:
	case EVENT_CONFLICT:
		add_line(k, a, a->path, engine_event_text(a->event), replica);
		break;
	default:
		break; /* nothing happened to a path */
	}
}

/* ---- applying --------------------------------------------------------------------------- */

struct apply_job {
	struct job job;
	struct disk *k;
	uint64_t action;
	struct buf bytes;
	struct op *ops;
	struct trash_item *trash; /* of each op: what it displaced */
	size_t n;
	struct apply_env env;
	enum root_state root;
};

static void apply_run(struct job *job)
{
	struct apply_job *p = (struct apply_job *)job;
	struct daemon *d = p->k->d;
	p->root = root_check(d->root);
	if (p->root == ROOT_OK) {
		p->env = (struct apply_env){.intents = d->intents, .cancel = workers_cancel(d->workers)};
		apply_ops(d->root, p->ops, p->n, &p->env);
		for (size_t i = 0; i < p->n; i++) {
			if (p->ops[i].trash[0])
				(void)trash_look(d->root, p->ops[i].trash, &p->trash[i]);
		}
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		p->ops[i].error = -ESTALE;
}

void disk_apply(struct daemon *d, struct op *ops, size_t n)
{
	struct apply_env env = {.intents = d->intents, .cancel = workers_cancel(d->workers)};
	apply_ops(d->root, ops, n, &env);
	if (env.intended) /* nothing in the index depends on it */
		intents_settled(d->intents, &env.batch);
}

/* ---- intents that are not needed any more ------------------------------------------------ */

static void settle(struct disk *k)
{
	uint64_t stored = engine_changes_stored(k->d->engine);
	size_t n = 0;
	while (n < k->n_settling && k->settling[n].changes <= stored) {
		intents_settled(k->d->intents, k->settling[n].earlier ? INTENTS_EARLIER :
			&k->settling[n].batch);
		n++;
	}
	k->n_settling -= n;
	if (n && k->n_settling)
		memmove(k->settling, k->settling + n, k->n_settling * sizeof(*k->settling));
}

/* When what has happened until now is stored. `batch` NULL: those of the life before. */
static void settle_later(struct disk *k, const struct intents_batch *batch)
{
	GROW(k->settling, k->cap_settling, k->n_settling + 1);
	struct settling *s = &k->settling[k->n_settling++];
	*s = (struct settling){.changes = engine_changes(k->d->engine), .earlier = !batch};
	if (batch)
		s->batch = *batch;
	settle(k);
}

static void recovered_applied(void *ctx, const struct intent *in, const struct found *found)
{
	struct disk *k = ctx;
	if (!in->record.len)
		return; /* a person asked for it (disk_apply) */
	if (engine_load_applied(k->d->engine, in->path, in->from, in->record, found) < 0)
		log_warning("the journal of intents has a record that makes no sense: it is passed over");
}

static void ignore_applied(void *ctx, const struct intent *in, const struct found *found)
{
	(void)ctx, (void)in, (void)found;
}

static void recovered_displaced(void *ctx, const struct intent *in, const char *name)
{
	struct disk *k = ctx;
	struct trash_item item;
	if (trash_look(k->d->root, name, &item) < 0)
		return;
	disk_trash(k, &(struct store_trash){
		.name = bytes_of(name), .path = in->path, .time_ns = item.time_ns,
		.what = bytes_of(in->type == OP_DELETE ? "deleted" : WHAT_REPLACED),
		.mtime_ns = item.mtime_ns, .size = item.size, .kind = item.kind,
	});
}

static void recovered_saved(void *ctx, struct bytes path)
{
	struct disk *k = ctx;
	struct buf text = {0};
	text_show(&text, path);
	log_warning("a change that was made just before the end was kept as %.*s", (int)text.len,
		    (const char *)text.data);
	daemon_event(k->d, "note", path, bytes_of(k->d->settings->name),
		     bytes_of("a change that was made just before the end was kept under this name"));
	buf_release(&text);
}

/* ---- what was replaced in earlier runs --------------------------------------------------- */

/* The oldest comes first. */
static int replaced_row(void *ctx, const struct store_trash *t)
{
	struct daemon *d = ctx;
	if (t->kind == KIND_FILE && bytes_eq(t->what, bytes_of(WHAT_REPLACED)))
		(void)rewrites_add(d->rewrites, t->replica, hash64(t->path.p, t->path.len, 0), t->time_ns,
				   engine_status(d->engine).files);
	return 0;
}

void disk_remember(struct disk *k)
{
	struct store_callbacks callbacks = {.ctx = k->d, .trash = replaced_row};
	char *error = NULL;
	if (store_load(k->d->store, &callbacks, &error) < 0)
		log_warning("the trash cannot be looked up: %s", error ? error : "?");
	free(error);
}

int disk_recover(struct disk *k, bool fresh)
{
	struct daemon *d = k->d;
	struct recovery r = {.applied = fresh ? ignore_applied : recovered_applied,
		.displaced = recovered_displaced, .saved = recovered_saved, .ctx = k};
	size_t n;
	int err = intents_open(&d->intents, d->root);
	if (err == -EROFS || err == -EACCES || err == -EPERM)
		return 0; /* as root_open(): it is served, and nothing can be applied */
	if (!err)
		err = recover(d->root, d->intents, &r);
	if (err)
		return err;
	(void)intents_earlier(d->intents, &n);
	if (n) {
		log_info("%zu operations were under way at the last end: %zu were done, %zu were undone",
			 n, r.done, r.undone);
		settle_later(k, NULL);
	}
	root_clean_tmp(d->root);
	return 0;
}

/* The row of what an operation displaced; before the engine hears of it, and forgets what was there. */
static void displaced(const struct apply_job *p, size_t i)
{
	const struct op *op = &p->ops[i];
	const struct trash_item *item = &p->trash[i];
	struct engine *e = p->k->d->engine;
	struct entry_view v = {0};
	if (!op->trash[0] || item->kind == KIND_ABSENT)
		return;
	node_t n = tree_find(engine_tree(e), op->path);
	bool known = !op->error && n != NODE_NONE && engine_entry(e, n, &v) && v.shown &&
		v.shown->kind == item->kind && v.shown->size == item->size;
	disk_trash(p->k, &(struct store_trash){
		.name = bytes_of(op->trash),
		.path = op->path,
		.what = bytes_of(op->error ? "kept" : ""),
		.time_ns = item->time_ns,
		.mtime_ns = item->mtime_ns,
		.size = item->size,
		.kind = item->kind,
		.hash = known && item->kind != KIND_DIR ? v.shown->hash : NULL,
	});
}

static void apply_done(struct job *job, bool cancelled)
{
	struct apply_job *p = (struct apply_job *)job;
	for (size_t i = 0; i < p->n && cancelled; i++)
		p->ops[i].error = -ECANCELED;
	if (!cancelled) {
		for (size_t i = 0; i < p->n; i++)
			displaced(p, i);
		root_found(p->k, p->root);
	}
	engine_applied(daemon_feed(p->k->d), p->action, p->ops, p->n);
	if (p->env.intended)
		settle_later(p->k, &p->env.batch);
	buf_release(&p->bytes);
	free(p->trash);
	free(p->ops);
	free(p);
}

static void carry_apply(struct disk *k, const struct action *a)
{
	struct apply_job *p = xcalloc(1, sizeof(*p));
	p->job = (struct job){.run = apply_run, .done = apply_done};
	p->k = k;
	p->action = a->job;
	p->n = a->n;
	p->ops = xcalloc(a->n + 1, sizeof(*p->ops));
	p->trash = xcalloc(a->n + 1, sizeof(*p->trash));
	for (size_t i = 0; i < a->n; i++) {
		keep(&p->bytes, a->ops[i].path);
		keep(&p->bytes, a->ops[i].data);
		keep(&p->bytes, a->ops[i].from);
		keep(&p->bytes, a->ops[i].record);
	}
	size_t at = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct op *op = &p->ops[i];
		*op = a->ops[i];
		op->path = kept(&p->bytes, at, op->path.len);
		at += op->path.len;
		op->data = kept(&p->bytes, at, op->data.len);
		at += op->data.len;
		op->from = kept(&p->bytes, at, op->from.len);
		at += op->from.len;
		op->record = kept(&p->bytes, at, op->record.len);
		at += op->record.len;
		op->error = 0;
		op->trash[0] = '\0';
	}
	daemon_submit(k->d, &p->job, JOB_URGENT);
}

/* ---- temporary files that nobody wants -------------------------------------------------- */

struct drop_job {
	struct job job;
	struct disk *k;
	uint64_t tmp;
};

static void drop_run(struct job *job)
{
	struct drop_job *p = (struct drop_job *)job;
	tmp_remove(p->k->d->root, p->tmp);
}

static void drop_done(struct job *job, bool cancelled)
{
	(void)cancelled; /* the next start clears them */
	free(job);
}

static void carry_drop(struct disk *k, const struct action *a)
{
	struct drop_job *p = xcalloc(1, sizeof(*p));
	p->job = (struct job){.run = drop_run, .done = drop_done};
	p->k = k;
	p->tmp = a->tmp;
	daemon_submit(k->d, &p->job, JOB_URGENT);
}

/* ---- storing ---------------------------------------------------------------------------- */

struct store_job {
	struct disk_task task;
	struct disk *k;
	uint64_t action; /* 0: none, it is about the past alone */
	struct buf bytes;
	struct store_batch batch;
	struct store_entry *entries;
	struct store_replica *replicas;
	struct past past; /* kept until it is durable */
	uint64_t replica_stamps[REPLICAS_MAX];
	struct store_meta meta[2]; /* lives, walk */
	uint64_t newest_life;
	uint8_t index;
	int result;
	char *error;
};

static uint64_t replica_stamp(const struct replica_info *r)
{
	uint64_t numbers[4] = {r->merged, r->known, r->merged_life, r->known_life};
	uint64_t h = hash64(numbers, sizeof(numbers), 1);
	h = hash64(r->id->b, REPLICA_ID_SIZE, h);
	return hash64(r->name, strlen(r->name), h) | 1;
}

static void add_entries(struct store_job *s, struct engine *e, const struct action *a)
{
	struct buf path = {0};
	size_t *lengths = xcalloc(3 * a->n + 1, sizeof(*lengths));
	s->entries = xcalloc(a->n + 1, sizeof(*s->entries));
	for (size_t i = 0; i < a->n; i++) {
		struct entry_view v;
		struct store_entry *row = &s->entries[i];
		tree_path(engine_tree(e), a->nodes[i], &path);
		lengths[3 * i] = path.len;
		keep(&s->bytes, (struct bytes){path.data, path.len});
		size_t before = s->bytes.len;
		if (engine_recorded(e, a->nodes[i]))
			engine_record(e, a->nodes[i], &s->bytes);
		lengths[3 * i + 1] = s->bytes.len - before;
		if (!engine_entry(e, a->nodes[i], &v))
			continue;
		row->seq = v.seq;
		row->kind = v.disk_kind;
		if (v.shown) {
			row->size = v.shown->size;
			row->mtime_ns = v.shown->mtime;
		}
		if (v.shown && v.shown->kind != KIND_DIR) {
			keep(&s->bytes, (struct bytes){v.shown->hash, HASH_SIZE});
			lengths[3 * i + 2] = HASH_SIZE;
		}
	}
	size_t at = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct store_entry *row = &s->entries[i];
		row->path = kept(&s->bytes, at, lengths[3 * i]);
		at += lengths[3 * i];
		if (lengths[3 * i + 1]) /* else the row goes */
			row->record = kept(&s->bytes, at, lengths[3 * i + 1]);
		at += lengths[3 * i + 1];
		if (lengths[3 * i + 2])
			row->hash = s->bytes.data + at;
		at += lengths[3 * i + 2];
	}
	s->batch.entries = s->entries;
	s->batch.n_entries = a->n;
	free(lengths);
	buf_release(&path);
}

/* What else there is to be known of a replica: load_replica() in daemon.c reads it. */
static struct bytes replica_lives(const struct replica_info *r)
{
	struct buf b = {0};
	wire_array(&b, 2);
	wire_uint(&b, r->merged_life);
	wire_uint(&b, r->known_life);
	return (struct bytes){b.data, b.len};
}

static void add_replicas(struct store_job *s, struct engine *e)
{
	size_t n = engine_replicas(e);
	s->replicas = xcalloc(n + 1, sizeof(*s->replicas));
	for (size_t rep = 0; rep < n && rep < REPLICAS_MAX; rep++) {
		struct replica_info r = engine_replica(e, (rep_t)rep);
		uint64_t stamp = replica_stamp(&r);
		if (s->k->stored[rep] == stamp)
			continue;
		s->replica_stamps[rep] = stamp;
		s->replicas[s->batch.n_replicas++] = (struct store_replica){
			.id = *r.id,
			.name = {(uint8_t *)xstrdup(r.name), strlen(r.name)},
			.merged = r.merged,
			.known = r.known,
			.record = replica_lives(&r),
			.num = (rep_t)rep,
		};
	}
	s->batch.replicas = s->replicas;
}

/* What has changed of the index as a whole. */
static void add_meta(struct store_job *s, struct engine *e)
{
	struct buf record = {0};
	engine_lives(e, &record, &s->newest_life);
	if (s->newest_life != s->k->newest_life)
		s->meta[s->batch.n_meta++] = (struct store_meta){STORE_LIVES, {record.data, record.len}};
	else
		buf_release(&record);
	s->index = (uint8_t)engine_index_state(e);
	if (s->index != s->k->index)
		s->meta[s->batch.n_meta++] = (struct store_meta){STORE_WALK, {xmemdup(&s->index, 1), 1}};
	s->batch.meta = s->meta;
}

static void add_past(struct store_job *s)
{
	struct disk *k = s->k;
	s->past = k->past;
	k->past = (struct past){0};
	k->unnamed = 0;
	ev_timer_stop(k->d->loop, &k->past_timer);
	s->batch.trash = s->past.trash;
	s->batch.n_trash = s->past.n_trash;
	s->batch.events = s->past.events;
	s->batch.n_events = s->past.n_events;
}

static void store_run(struct disk_task *t, struct daemon *d);
static void store_done(struct disk_task *t, struct daemon *d, bool cancelled);

/* `a` is NULL: only the past. */
static struct store_job *store_job_new(struct disk *k, const struct action *a)
{
	struct store_job *s = xcalloc(1, sizeof(*s));
	s->task = (struct disk_task){.run = store_run, .done = store_done};
	s->k = k;
	if (a) {
		s->action = a->job;
		s->batch.counter = engine_counter(k->d->engine);
		add_entries(s, k->d->engine, a);
		add_replicas(s, k->d->engine);
		add_meta(s, k->d->engine);
	}
	add_past(s);
	return s;
}

static void store_job_free(struct store_job *s)
{
	for (size_t i = 0; i < s->batch.n_replicas; i++) {
		free_bytes(s->replicas[i].name);
		free_bytes(s->replicas[i].record);
	}
	for (size_t i = 0; i < s->batch.n_meta; i++)
		free_bytes(s->meta[i].value);
	past_release(&s->past);
	free(s->replicas);
	free(s->entries);
	free(s->error);
	buf_release(&s->bytes);
	free(s);
}

static void store_run(struct disk_task *t, struct daemon *d)
{
	struct store_job *s = (struct store_job *)t;
	s->result = store_commit(d->store, &s->batch, &s->error);
}

/* What could not be stored of the past is offered to the next commit again, before what came since. */
static void past_again(struct disk *k, struct past *old)
{
	struct past since = k->past;
	k->past = *old;
	*old = (struct past){0};
	k->unnamed = 0;
	GROW(k->past.trash, k->past.cap_trash, k->past.n_trash + since.n_trash);
	GROW(k->past.events, k->past.cap_events, k->past.n_events + since.n_events);
	for (size_t i = 0; i < since.n_trash; i++)
		k->past.trash[k->past.n_trash++] = since.trash[i];
	for (size_t i = 0; i < since.n_events; i++)
		k->past.events[k->past.n_events++] = since.events[i];
	free(since.trash);
	free(since.events);
	past_soon(k);
}

static void trim_run(struct disk_task *t, struct daemon *d)
{
	char *error = NULL;
	(void)t;
	if (store_journal_trim(d->store, d->settings->history_lines, &error) < 0)
		log_warning("the history cannot be shortened: %s", error ? error : "?");
	free(error);
}

static void trim_done(struct disk_task *t, struct daemon *d, bool cancelled)
{
	(void)d, (void)cancelled;
	free(t);
}

/* The journal may be too long now. */
static void lines_written(struct disk *k, size_t n)
{
	k->untrimmed += n;
	if (!n || k->d->stopping)
		return;
	if (k->untrimmed < TRIM_LINES && k->untrimmed < k->d->settings->history_lines)
		return;
	k->untrimmed = 0;
	struct disk_task *t = xcalloc(1, sizeof(*t));
	*t = (struct disk_task){.run = trim_run, .done = trim_done};
	disk_ask(k, t);
}

/* Tells the engine. */
static void store_end(struct store_job *s)
{
	struct disk *k = s->k;
	k->unstored = s->result < 0;
	if (s->result == 0) {
		for (size_t i = 0; i < REPLICAS_MAX; i++)
			if (s->replica_stamps[i])
				k->stored[i] = s->replica_stamps[i];
		if (s->action) {
			k->newest_life = s->newest_life;
			k->index = s->index;
		}
		lines_written(k, s->batch.n_events);
		if (s->action)
			engine_stored(daemon_feed(k->d), s->action);
		settle(k);
		return;
	}
	past_again(k, &s->past);
	const char *why = s->error ? s->error : strerror(-s->result);
	if (store_is_unsure(k->d->store))
		daemon_disk_failed(k->d, why);
	log_limited(&k->limit_store, LEVEL_ERROR, "the index cannot be written: %s", why);
	if (s->action)
		engine_store_failed(daemon_feed(k->d), s->action, why);
}

static void store_done(struct disk_task *t, struct daemon *d, bool cancelled)
{
	struct store_job *s = (struct store_job *)t;
	if (cancelled) /* the program ends: this is still worth its time */
		store_run(t, d);
	store_end(s);
	store_job_free(s);
}

static void task_run(struct job *job)
{
	struct disk_task *t = (struct disk_task *)((char *)job - offsetof(struct disk_task, job));
	t->run(t, t->d);
}

static void task_done(struct job *job, bool cancelled);

static void task_next(struct disk *k)
{
	if (!k->first)
		return;
	k->first->job = (struct job){.run = task_run, .done = task_done};
	daemon_submit(k->d, &k->first->job, JOB_URGENT);
}

static void task_done(struct job *job, bool cancelled)
{
	struct disk_task *t = (struct disk_task *)((char *)job - offsetof(struct disk_task, job));
	struct disk *k = t->d->disk;
	assert(k->first == t);
	bool more = t->next; /* else what this one asks for, now that it is done, begins at once */
	k->first = t->next;
	if (!more)
		k->last = &k->first;
	t->done(t, t->d, cancelled);
	if (more)
		task_next(k);
}

static void task_queue(struct disk *k, struct disk_task *t)
{
	bool idle = !k->first;
	t->d = k->d;
	t->next = NULL;
	*k->last = t;
	k->last = &t->next;
	if (idle)
		task_next(k);
}

static void carry_store(struct disk *k, const struct action *a)
{
	task_queue(k, &store_job_new(k, a)->task);
}

void disk_ask(struct disk *k, struct disk_task *t)
{
	/* who asks has seen it happen: what waits to be remembered comes first */
	if ((k->past.n_trash || k->past.n_events) && !k->d->stopping)
		carry_store(k, NULL);
	task_queue(k, t);
}

void disk_store_now(struct disk *k, const struct action *a)
{
	assert(!k->first);
	if (!a && !k->past.n_trash && !k->past.n_events)
		return;
	struct store_job *s = store_job_new(k, a);
	store_run(&s->task, k->d);
	store_end(s);
	store_job_free(s);
}

static void on_past_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct disk *k = w->data;
	(void)loop, (void)events;
	if (k->past.n_trash || k->past.n_events)
		carry_store(k, NULL);
}

bool disk_storing(const struct disk *k)
{
	return k->first;
}

bool disk_unstored(const struct disk *k)
{
	return k->unstored;
}

void disk_carry_out(struct disk *k, const struct action *a)
{
	switch (a->type) {
	case ACT_LIST:
		carry_list(k, a);
		break;
	case ACT_LOOK:
		carry_look(k, a);
		break;
	case ACT_APPLY:
		carry_apply(k, a);
		break;
	case ACT_DROP_TMP:
		carry_drop(k, a);
		break;
	case ACT_STORE:
		carry_store(k, a);
		break;
	default:
		assert(!"no action on the disk");
	}
}

/* ---- the root --------------------------------------------------------------------------- */

struct root_job {
	struct job job;
	struct disk *k;
	enum root_state state;
};

static void root_run(struct job *job)
{
	struct root_job *r = (struct root_job *)job;
	r->state = root_check(r->k->d->root);
}

static void root_done(struct job *job, bool cancelled)
{
	struct root_job *r = (struct root_job *)job;
	r->k->checking = false;
	if (!cancelled)
		root_found(r->k, r->state);
	free(r);
}

static void check_root(struct disk *k)
{
	if (k->checking || k->d->stopping)
		return;
	k->checking = true;
	struct root_job *r = xcalloc(1, sizeof(*r));
	r->job = (struct job){.run = root_run, .done = root_done};
	r->k = k;
	daemon_submit(k->d, &r->job, JOB_URGENT);
}

static void root_found(struct disk *k, enum root_state state)
{
	struct daemon *d = k->d;
	if (state == k->root)
		return;
	k->root = state;
	const char *text = state == ROOT_OK ? NULL : root_state_text(state);
	engine_halt(daemon_feed(d), text);
	if (text) {
		log_error("%s: %s; nothing is synchronised until it is back", root_path(d->root),
			  text);
		daemon_event(d, "failed", (struct bytes){0}, bytes_of(d->settings->name),
			     bytes_of(text));
		k->root_timer.repeat = ROOT_CHECK_S;
		if (!d->stopping)
			ev_timer_again(d->loop, &k->root_timer);
	} else {
		log_info("%s is back", root_path(d->root));
		daemon_event(d, "note", (struct bytes){0}, bytes_of(d->settings->name),
			     bytes_of("the directory is back"));
		ev_timer_stop(d->loop, &k->root_timer);
	}
}

static void on_root_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	check_root(w->data);
}

/* ---- the watch -------------------------------------------------------------------------- */

/* A folder has left this place: what its watches say is not about these paths any more. */
static void forget_below(struct daemon *d, node_t n)
{
	const struct tree *t = engine_tree(d->engine);
	node_t at = n;
	while (true) {
		watch_forget(d->watch, at);
		node_t next = tree_first_child(t, at);
		while (next == NODE_NONE && at != n) {
			next = tree_next_sibling(t, at);
			if (next == NODE_NONE)
				at = tree_parent(t, at);
		}
		if (next == NODE_NONE)
			return;
		at = next;
	}
}

void disk_watched(void *ctx, const struct watch_event *ev)
{
	struct daemon *d = ctx;
	struct engine *e = daemon_feed(d);
	node_t left;
	switch (ev->what) {
	case WATCH_CHANGED:
		engine_hint(e, ev->dir, ev->name, HINT_CHANGED);
		break;
	case WATCH_TOUCHED:
		engine_hint(e, ev->dir, ev->name, HINT_TOUCHED);
		break;
	case WATCH_CREATED:
		engine_hint(e, ev->dir, ev->name, HINT_CREATED);
		break;
	case WATCH_WRITING:
		engine_hint(e, ev->dir, ev->name, HINT_WRITING);
		break;
	case WATCH_GONE:
	case WATCH_MOVED:
		left = tree_child(engine_tree(e), ev->dir, ev->name);
		if (ev->is_dir && left != NODE_NONE)
			forget_below(d, left);
		if (ev->what == WATCH_GONE && root_abilities(d->root).folds)
			engine_hint(e, ev->dir, (struct bytes){0}, HINT_LIST); /* by whatever spelling */
		if (ev->what == WATCH_GONE)
			engine_hint(e, ev->dir, ev->name, HINT_GONE);
		else
			engine_moved(e, ev->dir, ev->name, ev->to_dir, ev->to_name);
		break;
	case WATCH_AGAIN:
	case WATCH_LOST:
		engine_hint(e, ev->dir, (struct bytes){0}, HINT_LIST);
		break;
	case WATCH_OVERFLOW:
		log_warning("the kernel dropped events of the watch: everything is walked again");
		engine_walk(e, (struct bytes){0});
		break;
	case WATCH_ROOT_GONE:
		check_root(d->disk);
		break;
	}
}

/* ---- the trash -------------------------------------------------------------------------- */

/* First what the index knows of the trash, then the work on the disk. */
struct tidy {
	struct disk_task task;
	struct job job;
	struct disk *k;
	struct trash_known *known;
	size_t n, cap;
	struct {
		char *name;
		struct bytes path; /* where it is now, or empty */
	} *gone;
	size_t n_gone, cap_gone;
	struct trash_item *found; /* names are copies */
	size_t n_found, cap_found;
	struct trash_span spared[REWRITES_WAVES_MAX];
	size_t n_spared;
	size_t n_early; /* removed before their time */
	uint64_t early_bytes;
	int result;
};

static int tidy_row(void *ctx, const struct store_trash *t)
{
	struct tidy *x = ctx;
	GROW(x->known, x->cap, x->n + 1);
	struct trash_known *k = &x->known[x->n++];
	*k = (struct trash_known){
		.name = xmalloc(t->name.len + 1),
		.path = copied(t->path),
		.measured = t->kind != KIND_ABSENT,
		.size = t->size,
		.mtime_ns = t->mtime_ns,
		.hashed = t->hash,
	};
	memcpy(k->name, t->name.len ? (const void *)t->name.p : "", t->name.len);
	k->name[t->name.len] = '\0';
	if (t->hash)
		memcpy(k->hash, t->hash, HASH_SIZE);
	return 0;
}

static int known_order(const void *a, const void *b)
{
	return strcmp(((const struct trash_known *)a)->name, ((const struct trash_known *)b)->name);
}

static void tidy_ask(struct disk_task *t, struct daemon *d)
{
	struct tidy *x = (struct tidy *)t;
	struct store_callbacks callbacks = {.ctx = x, .trash = tidy_row};
	char *error = NULL;
	x->result = store_load(d->store, &callbacks, &error);
	if (x->result < 0)
		log_warning("the trash cannot be looked up: %s", error ? error : "?");
	free(error);
	if (x->n)
		qsort(x->known, x->n, sizeof(*x->known), known_order);
}

static void tidy_gone(void *ctx, const char *name)
{
	struct tidy *x = ctx;
	GROW(x->gone, x->cap_gone, x->n_gone + 1);
	x->gone[x->n_gone].name = xstrdup(name);
	x->gone[x->n_gone++].path = (struct bytes){0};
}

static void tidy_saved(void *ctx, const char *name, struct bytes path)
{
	struct tidy *x = ctx;
	tidy_gone(x, name);
	x->gone[x->n_gone - 1].path = copied(path);
}

static void tidy_early(void *ctx, const struct trash_item *item)
{
	struct tidy *x = ctx;
	x->n_early++;
	x->early_bytes += item->size;
}

static void tidy_found(void *ctx, const struct trash_item *item)
{
	struct tidy *x = ctx;
	GROW(x->found, x->cap_found, x->n_found + 1);
	x->found[x->n_found] = *item;
	x->found[x->n_found++].name = xstrdup(item->name);
}

static void tidy_run(struct job *job)
{
	struct tidy *x = (struct tidy *)((char *)job - offsetof(struct tidy, job));
	const struct settings *settings = x->k->d->settings;
	struct root *root = x->k->d->root;
	uint64_t size, available;
	/* The first time this comes after the busy start, which leaves much memory behind it. */
	malloc_trim(0);
	if (root_check(root) != ROOT_OK)
		return;
	if (root_space(root, &size, &available) < 0)
		size = available = UINT64_MAX;
	/* who keeps nothing wants nothing spared */
	bool spares = settings->trash_percent && available >= size / 100 * DISK_SHORT_PERCENT;
	x->result = trash_tidy(root, &(struct trash_tidying){
		.now_s = (int64_t)time(NULL),
		.max_age_s = (int64_t)settings->trash_days * 24 * 3600,
		.max_bytes = size / 100 * settings->trash_percent,
		.known = x->known,
		.n_known = x->n,
		.gone = tidy_gone,
		.saved = tidy_saved,
		.ctx = x,
		.found = tidy_found,
		.spared = x->spared,
		.n_spared = spares ? x->n_spared : 0,
		.early = tidy_early,
	});
	if (x->result < 0)
		log_warning("the trash cannot be cleared: %s", strerror(-x->result));
}

/* What was written after it had been replaced lies beside its path now. */
static void told_saved(struct daemon *d, struct bytes path)
{
	struct engine *e = daemon_feed(d);
	node_t parent = tree_find(engine_tree(e), path_parent(path));
	daemon_event(d, "note", path, bytes_of(d->settings->name),
		     bytes_of("was written to after it had been replaced: kept under this name"));
	if (parent != NODE_NONE)
		engine_hint(e, parent, path_base(path), HINT_CHANGED);
}

static void told_early(const struct tidy *x)
{
	struct daemon *d = x->k->d;
	char count[32], size[16];
	if (!x->n_early || !d->settings->trash_percent)
		return;
	format_count(count, x->n_early);
	format_size(size, x->early_bytes, FORMAT_LONG);
	char *text = xasprintf("the trash took more than %u%% of the disk: the oldest there, %s of %s, went before "
			       "%s time", (unsigned)d->settings->trash_percent, count, size,
			       x->n_early == 1 ? "its" : "their");
	log_warning("%s", text);
	daemon_event(d, "note", (struct bytes){0}, bytes_of(d->settings->name), bytes_of(text));
	free(text);
}

/* Of what the index has forgotten only the last part of the path is known, from its name. */
static void told_found(struct disk *k, const struct trash_item *item)
{
	struct bytes path = bytes_of(strchr(item->name, '-') + 1);
	for (size_t i = 0; i < k->past.n_trash; i++)
		if (bytes_eq(k->past.trash[i].name, bytes_of(item->name)))
			return; /* its row is only not stored yet */
	if (path_check(path) != PATH_OK)
		return;
	disk_trash(k, &(struct store_trash){
		.name = bytes_of(item->name), .path = path, .time_ns = item->time_ns,
		.mtime_ns = item->mtime_ns, .size = item->size, .kind = item->kind,
	});
}

static void tidy_free(struct tidy *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->known[i].name);
		free_bytes(x->known[i].path);
	}
	for (size_t i = 0; i < x->n_gone; i++) {
		free(x->gone[i].name);
		free_bytes(x->gone[i].path);
	}
	for (size_t i = 0; i < x->n_found; i++)
		free((char *)(uintptr_t)x->found[i].name);
	free(x->known);
	free(x->gone);
	free(x->found);
	free(x);
}

static void tidy_done(struct job *job, bool cancelled)
{
	struct tidy *x = (struct tidy *)((char *)job - offsetof(struct tidy, job));
	(void)cancelled;
	x->k->tidying = false;
	for (size_t i = 0; i < x->n_gone; i++) {
		disk_trash(x->k, &(struct store_trash){.name = bytes_of(x->gone[i].name), .remove = true});
		if (x->gone[i].path.len)
			told_saved(x->k->d, x->gone[i].path);
	}
	for (size_t i = 0; i < x->n_found; i++)
		told_found(x->k, &x->found[i]);
	told_early(x);
	tidy_free(x);
}

static void tidy_asked(struct disk_task *t, struct daemon *d, bool cancelled)
{
	struct tidy *x = (struct tidy *)t;
	if (cancelled || x->result < 0) {
		x->k->tidying = false;
		tidy_free(x);
		return;
	}
	x->job = (struct job){.run = tidy_run, .done = tidy_done};
	daemon_submit(d, &x->job, JOB_BULK);
}

static void on_trash_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct disk *k = w->data;
	(void)loop, (void)events;
	if (k->tidying)
		return;
	k->tidying = true;
	struct tidy *x = xcalloc(1, sizeof(*x));
	x->task = (struct disk_task){.run = tidy_ask, .done = tidy_asked};
	x->k = k;
	const struct rewrites_wave *wave;
	while (x->n_spared < ARRAY_LEN(x->spared) &&
	       (wave = rewrites_at(k->d->rewrites, x->n_spared, daemon_wall_ns())))
		x->spared[x->n_spared++] = (struct trash_span){wave->first_ns, wave->last_ns};
	disk_ask(k, &x->task);
}

/* ---- life ------------------------------------------------------------------------------- */

struct disk *disk_new(struct daemon *d)
{
	struct disk *k = xcalloc(1, sizeof(*k));
	k->d = d;
	k->index = (uint8_t)d->index;
	k->last = &k->first;
	ev_init(&k->root_timer, on_root_timer);
	k->root_timer.data = k;
	ev_timer_init(&k->trash_timer, on_trash_timer, 60., TRASH_EVERY_S);
	k->trash_timer.data = k;
	ev_init(&k->past_timer, on_past_timer);
	k->past_timer.data = k;
	return k;
}

void disk_start(struct disk *k)
{
	ev_timer_start(k->d->loop, &k->trash_timer);
}

void disk_stop(struct disk *k)
{
	ev_timer_stop(k->d->loop, &k->trash_timer);
	ev_timer_stop(k->d->loop, &k->root_timer);
	ev_timer_stop(k->d->loop, &k->past_timer);
}

void disk_free(struct disk *k)
{
	if (!k)
		return;
	assert(!k->first);
	disk_stop(k);
	past_release(&k->past);
	free(k->settling);
	free(k);
}
