/* Owns the jobs that the engine has under way on the disk. */
#include "config.h"
#include "disk.h"

#include "scan.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

enum {
	SMALL_BATCH = 8,         /* looks or operations that go before bulk work */
	ROOT_CHECK_S = 5,        /* while it is gone */
	TRASH_EVERY_S = 3600,
	TRASH_KEPT_S = 30 * 24 * 3600,
	TRASH_PARTS = 10,        /* the trash may take one of so many parts of the disk */
};

/* A change of the table of the trash that goes with the next commit. */
struct trash_change {
	char *name;
	struct bytes path; /* copied */
	int64_t time_ns;
	bool remove;
};

struct disk {
	struct daemon *d;
	struct store_job *first, **last;    /* commits, in order; the first one runs */
	uint64_t stored[REPLICAS_MAX];      /* stamp of what the index says of each replica */
	struct trash_change *trash;
	size_t n_trash, cap_trash;
	bool unstored;
	bool checking;                      /* the root */
	enum root_state root;
	ev_timer root_timer, trash_timer;
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
		engine_listed(daemon_feed(d), l->action, 0, l->listing.items, l->listing.n,
			      !watched);
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
	engine_looked(daemon_feed(l->k->d), l->action, l->looks, l->n);
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
		l->looks[i].path = kept(&l->paths, at, a->looks[i].path.len);
		at += a->looks[i].path.len;
	}
	daemon_submit(k->d, &l->job, a->n <= SMALL_BATCH ? JOB_URGENT : JOB_BULK);
}

/* ---- applying --------------------------------------------------------------------------- */

struct apply_job {
	struct job job;
	struct disk *k;
	uint64_t action;
	struct buf bytes;
	struct op *ops;
	size_t n;
	enum root_state root;
};

static void apply_run(struct job *job)
{
	struct apply_job *p = (struct apply_job *)job;
	struct daemon *d = p->k->d;
	p->root = root_check(d->root);
	if (p->root == ROOT_OK) {
		struct apply_env env = {.cancel = workers_cancel(d->workers)};
		apply_ops(d->root, p->ops, p->n, &env);
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		p->ops[i].error = -ESTALE;
}

static void trash_change(struct disk *k, const char *name, struct bytes path, bool remove)
{
	GROW(k->trash, k->cap_trash, k->n_trash + 1);
	k->trash[k->n_trash++] = (struct trash_change){
		.name = xstrdup(name),
		.path = {xmemdup(path.len ? (const void *)path.p : "", path.len), path.len},
		.time_ns = daemon_wall_ns(),
		.remove = remove,
	};
}

static void trash_change_free(struct trash_change *t)
{
	free(t->name);
	free((void *)(uintptr_t)t->path.p);
}

static void apply_done(struct job *job, bool cancelled)
{
	struct apply_job *p = (struct apply_job *)job;
	for (size_t i = 0; i < p->n; i++) {
		if (cancelled)
			p->ops[i].error = -ECANCELED;
		else if (p->ops[i].trash[0])
			trash_change(p->k, p->ops[i].trash, p->ops[i].path, false);
	}
	if (!cancelled)
		root_found(p->k, p->root);
	engine_applied(daemon_feed(p->k->d), p->action, p->ops, p->n);
	buf_release(&p->bytes);
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
	for (size_t i = 0; i < a->n; i++) {
		keep(&p->bytes, a->ops[i].path);
		keep(&p->bytes, a->ops[i].data);
		keep(&p->bytes, a->ops[i].from);
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
	struct job job;
	struct disk *k;
	struct store_job *next;
	uint64_t action;
	struct buf bytes;
	struct store_batch batch;
	struct store_entry *entries;
	struct store_replica *replicas;
	struct trash_change *trash_changes; /* kept until they are durable */
	struct store_trash *trash;
	uint64_t replica_stamps[REPLICAS_MAX];
	int result;
	char *error;
};

static uint64_t replica_stamp(const struct replica_info *r)
{
	uint64_t numbers[2] = {r->merged, r->known};
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
			.num = (rep_t)rep,
		};
	}
	s->batch.replicas = s->replicas;
}

static void add_trash(struct store_job *s)
{
	struct disk *k = s->k;
	size_t n = k->n_trash;
	s->trash_changes = k->trash;
	k->trash = NULL;
	k->n_trash = k->cap_trash = 0;
	s->trash = xcalloc(n + 1, sizeof(*s->trash));
	for (size_t i = 0; i < n; i++) {
		const struct trash_change *t = &s->trash_changes[i];
		s->trash[i] = (struct store_trash){
			.name = bytes_of(t->name),
			.path = t->path,
			.time_ns = t->time_ns,
			.remove = t->remove,
		};
	}
	s->batch.trash = s->trash;
	s->batch.n_trash = n;
}

static struct store_job *store_job_new(struct disk *k, const struct action *a)
{
	struct store_job *s = xcalloc(1, sizeof(*s));
	s->k = k;
	s->action = a->job;
	s->batch.counter = engine_counter(k->d->engine);
	add_entries(s, k->d->engine, a);
	add_replicas(s, k->d->engine);
	add_trash(s);
	return s;
}

static void store_job_free(struct store_job *s)
{
	for (size_t i = 0; i < s->batch.n_replicas; i++)
		free((void *)(uintptr_t)s->replicas[i].name.p);
	for (size_t i = 0; i < s->batch.n_trash; i++)
		trash_change_free(&s->trash_changes[i]);
	free(s->trash_changes);
	free(s->trash);
	free(s->replicas);
	free(s->entries);
	free(s->error);
	buf_release(&s->bytes);
	free(s);
}

static void store_run(struct job *job)
{
	struct store_job *s = (struct store_job *)job;
	s->result = store_commit(s->k->d->store, &s->batch, &s->error);
}

/* Tells the engine. What could not be stored is offered to the next commit again. */
static void store_end(struct store_job *s)
{
	struct disk *k = s->k;
	k->unstored = s->result < 0;
	if (s->result == 0) {
		for (size_t i = 0; i < REPLICAS_MAX; i++)
			if (s->replica_stamps[i])
				k->stored[i] = s->replica_stamps[i];
		engine_stored(daemon_feed(k->d), s->action);
		return;
	}
	GROW(k->trash, k->cap_trash, k->n_trash + s->batch.n_trash);
	for (size_t i = 0; i < s->batch.n_trash; i++)
		k->trash[k->n_trash++] = s->trash_changes[i];
	s->batch.n_trash = 0;
	const char *why = s->error ? s->error : strerror(-s->result);
	log_limited(&k->limit_store, LEVEL_ERROR, "the index cannot be written: %s", why);
	engine_store_failed(daemon_feed(k->d), s->action, why);
}

static void store_done(struct job *job, bool cancelled);

static void store_next(struct disk *k)
{
	if (!k->first)
		return;
	k->first->job = (struct job){.run = store_run, .done = store_done};
	daemon_submit(k->d, &k->first->job, JOB_URGENT);
}

static void store_done(struct job *job, bool cancelled)
{
	struct store_job *s = (struct store_job *)job;
	struct disk *k = s->k;
	assert(k->first == s);
	if (cancelled) /* the program ends: this is still worth its time */
		store_run(job);
	k->first = s->next;
	if (!k->first)
		k->last = &k->first;
	store_end(s);
	store_job_free(s);
	store_next(k);
}

static void carry_store(struct disk *k, const struct action *a)
{
	struct store_job *s = store_job_new(k, a);
	bool idle = !k->first;
	*k->last = s;
	k->last = &s->next;
	if (idle)
		store_next(k);
}

void disk_store_now(struct disk *k, const struct action *a)
{
	assert(!k->first);
	struct store_job *s = store_job_new(k, a);
	store_run(&s->job);
	store_end(s);
	store_job_free(s);
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

struct expire_job {
	struct job job;
	struct disk *k;
	char **removed;
	size_t n, cap;
	int result;
};

static void expired(void *ctx, const char *name)
{
	struct expire_job *x = ctx;
	GROW(x->removed, x->cap, x->n + 1);
	x->removed[x->n++] = xstrdup(name);
}

static void expire_run(struct job *job)
{
	struct expire_job *x = (struct expire_job *)job;
	struct root *root = x->k->d->root;
	uint64_t size, available;
	/* The first time this comes after the busy start, which leaves much memory behind it. */
	malloc_trim(0);
	if (root_check(root) != ROOT_OK)
		return;
	if (root_space(root, &size, &available) < 0)
		size = UINT64_MAX;
	x->result = trash_expire(root, (int64_t)time(NULL), TRASH_KEPT_S, size / TRASH_PARTS,
				 expired, x);
}

static void expire_done(struct job *job, bool cancelled)
{
	struct expire_job *x = (struct expire_job *)job;
	if (!cancelled && x->result < 0)
		log_warning("the trash cannot be cleared: %s", strerror(-x->result));
	for (size_t i = 0; i < x->n; i++) {
		trash_change(x->k, x->removed[i], (struct bytes){0}, true);
		free(x->removed[i]);
	}
	free(x->removed);
	free(x);
}

static void on_trash_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct disk *k = w->data;
	(void)loop, (void)events;
	struct expire_job *x = xcalloc(1, sizeof(*x));
	x->job = (struct job){.run = expire_run, .done = expire_done};
	x->k = k;
	daemon_submit(k->d, &x->job, JOB_BULK);
}

/* ---- life ------------------------------------------------------------------------------- */

struct disk *disk_new(struct daemon *d)
{
	struct disk *k = xcalloc(1, sizeof(*k));
	k->d = d;
	k->last = &k->first;
	ev_init(&k->root_timer, on_root_timer);
	k->root_timer.data = k;
	ev_timer_init(&k->trash_timer, on_trash_timer, 60., TRASH_EVERY_S);
	k->trash_timer.data = k;
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
}

void disk_free(struct disk *k)
{
	if (!k)
		return;
	assert(!k->first);
	disk_stop(k);
	for (size_t i = 0; i < k->n_trash; i++)
		trash_change_free(&k->trash[i]);
	free(k->trash);
	free(k);
}
