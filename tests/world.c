/* Owns the simulated world: disks, links, users, crashes, and the judgement of what came out. */
#include "config.h"
#include "world.h"
#include "rows.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define R_MAX 5
#define STEPS_MAX 400000

struct object {
	char *path;
	char *content; /* of a file, or target of a symlink */
	uint64_t ino;
	int64_t mtime_ns, ctime_ns;
	uint16_t mode;
	uint8_t kind;
};

struct pending {
	struct action a;       /* with copies of all that it points to */
	char *path;
	struct look *looks;
	struct op *ops;
	node_t *nodes;
	struct buf *records;   /* STORE: of each node */
	char **paths;          /* STORE */
	uint64_t counter;
	struct seen reps[REPLICAS_MAX];
	char *names[REPLICAS_MAX];
	struct buf lives;
	enum index_state index;
	size_t n_reps;
	struct listed *items;
	size_t n_items;
	uint8_t hash[HASH_SIZE];
	int error;
	uint64_t tmp;
	bool done, unwatched;
};

struct message {
	enum action_type type;
	struct replica_id rep;
	uint64_t to, life;
	bool more;
	struct index_entry *entries;
	struct held_entry *held;
	struct seen *seen;
	struct report report;
	size_t n;
};

struct hint_item {
	char *dir, *name, *to_dir, *to_name; /* to_*: a move */
	enum hint what;
};

/* An op that was carried out, kept until all that it changed is stored. */
struct intent {
	char *path, *from;
	struct buf record;
	struct found found;
	uint64_t job;     /* not yet answered; else 0 */
	uint64_t changes; /* how many must be stored */
};

struct replica_w {
	struct engine *e;
	struct intent *intents;
	size_t n_intents, intents_cap;
	struct object *objects;
	size_t n_objects, objects_cap;
	struct pending **jobs;
	size_t n_jobs, jobs_cap;
	struct hint_item *hints;
	size_t n_hints, hints_cap;
	struct { uint64_t id; char *content; } *tmps;
	size_t n_tmps, tmps_cap;
	/* the durable index */
	struct { char *path; struct buf record; } *stored;
	size_t n_stored, stored_cap;
	uint64_t counter;
	struct replica_id id;
	struct seen reps[REPLICAS_MAX];
	char *names[REPLICAS_MAX];
	struct buf record_of_lives;
	enum index_state index;
	size_t n_reps;
	unsigned lives;
	int64_t skew_ns; /* of its clock */
};

struct world {
	struct replica_w r[R_MAX];
	unsigned n;
	struct { struct message *q; size_t n, cap; } link[R_MAX][R_MAX];
	bool up[R_MAX][R_MAX];
	uint64_t seed, rng, next_ino, next_tmp, next_content, fetches, reads, mono_ms;
	int64_t wall_ns;
	bool hostile;          /* calls fail, hints are lost, clocks differ */
	bool loses_index, copies;
	uint64_t forget_ms;    /* UINT64_MAX: tombstones stay */
	bool says_yes;         /* whoever is asked confirms held deletions */
	char **live;           /* contents that must survive */
	size_t n_live, live_cap;
	char fault[4000];
};

/* Fails the test, naming the seed, unless. */
#define demand(w, cond, fmt, ...)                                                                  \
	ck_assert_msg(cond, "seed %llu: " fmt, (unsigned long long)(w)->seed, ##__VA_ARGS__)

/* TUTTI_TRACE=1 tells the history of a seed, and the states at its end. */
static bool tracing(void)
{
	static int on = -1;
	if (on < 0)
		on = getenv("TUTTI_TRACE") != NULL;
	return on;
}

static void __attribute__((format(printf, 2, 3))) trace(unsigned at, const char *fmt, ...)
{
	va_list ap;
	if (!tracing())
		return;
	fprintf(stderr, "%c ", 'A' + (int)at);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static uint64_t rnd(struct world *w)
{
	w->rng += 0x9e3779b97f4a7c15u;
	uint64_t z = w->rng;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(struct world *w, unsigned n)
{
	return (unsigned)(rnd(w) % n);
}

/* Does something go wrong here? */
static bool fails(struct world *w, unsigned percent)
{
	return w->hostile && below(w, 100) < percent;
}

static void hash_of(const char *content, uint8_t hash[HASH_SIZE])
{
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t h = hash64(content, strlen(content), i);
		memcpy(hash + 8 * i, &h, 8);
	}
}

/* ---- disks ---- */

static struct object *find(struct replica_w *r, const char *path)
{
	for (size_t i = 0; i < r->n_objects; i++)
		if (strcmp(r->objects[i].path, path) == 0)
			return &r->objects[i];
	return NULL;
}

static bool is_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/');
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *p = xstrdup(path);
	p[slash ? slash - path : 0] = 0;
	return p;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool has_parent(struct replica_w *r, const char *path)
{
	char *p = parent_of(path);
	struct object *o = find(r, p);
	bool yes = !*p || (o && o->kind == KIND_DIR);
	free(p);
	return yes;
}

static void drop_object(struct replica_w *r, struct object *o)
{
	free(o->path);
	free(o->content);
	*o = r->objects[--r->n_objects];
}

static void tell_time(struct world *w, unsigned at)
{
	engine_time(w->r[at].e, w->wall_ns + w->r[at].skew_ns, w->mono_ms);
}

static struct object *put_object(struct world *w, struct replica_w *r, const char *path, uint8_t kind,
                                 const char *content, int64_t mtime, uint16_t mode)
{
	struct object *o = find(r, path);
	if (o)
		drop_object(r, o);
	GROW(r->objects, r->objects_cap, r->n_objects + 1);
	o = &r->objects[r->n_objects++];
	*o = (struct object){xstrdup(path), content ? xstrdup(content) : NULL, ++w->next_ino, mtime,
	                     w->wall_ns, mode, kind};
	return o;
}

static void describe(const struct object *o, struct found *f)
{
	*f = (struct found){.kind = KIND_ABSENT};
	if (!o)
		return;
	f->kind = o->kind;
	f->mode = o->mode;
	f->mtime_ns = o->mtime_ns;
	f->ctime_ns = o->ctime_ns;
	uint64_t s[4] = {o->ino, o->kind, 0, 0};
	if (o->kind != KIND_DIR) {
		f->size = strlen(o->content);
		s[2] = (uint64_t)o->mtime_ns;
		s[3] = f->size;
	}
	f->stamp = hash64(s, sizeof(s), 0);
}

/* ---- users ---- */

static void hint(struct replica_w *r, const char *path, enum hint what)
{
	GROW(r->hints, r->hints_cap, r->n_hints + 1);
	r->hints[r->n_hints++] = (struct hint_item){.dir = parent_of(path),
	                                            .name = xstrdup(base_of(path)), .what = what};
}

static void now_live(struct world *w, const char *content)
{
	GROW(w->live, w->live_cap, w->n_live + 1);
	w->live[w->n_live++] = xstrdup(content);
}

static void consumed(struct world *w, const char *content)
{
	for (size_t i = 0; content && i < w->n_live; ) {
		if (strcmp(w->live[i], content) != 0) {
			i++;
			continue;
		}
		free(w->live[i]);
		w->live[i] = w->live[--w->n_live];
	}
}

void world_write_at(struct world *w, unsigned r, const char *path, const char *content, int64_t mtime)
{
	struct replica_w *d = &w->r[r];
	struct object *o = find(d, path);
	w->wall_ns += 1000000;
	bool was = o != NULL;
	uint16_t mode = o && o->kind == KIND_FILE ? o->mode : 0644;
	if (o && o->kind == KIND_DIR)
		return;
	bool same = o && o->kind == KIND_FILE && strcmp(o->content, content) == 0; /* that is no change */
	if (o && !same)
		consumed(w, o->content);
	trace(r, "writes %s in %s", content, path);
	put_object(w, d, path, KIND_FILE, content, mtime, mode);
	if (*content && !same)
		now_live(w, content);
	if (!was)
		hint(d, path, HINT_CREATED);
	hint(d, path, HINT_CHANGED);
}

void world_write(struct world *w, unsigned r, const char *path, const char *content)
{
	world_write_at(w, r, path, content, w->wall_ns + 1000000);
}

void world_mkdir(struct world *w, unsigned r, const char *path)
{
	w->wall_ns += 1000000;
	if (find(&w->r[r], path))
		return;
	trace(r, "makes %s", path);
	put_object(w, &w->r[r], path, KIND_DIR, NULL, w->wall_ns, 0755);
	hint(&w->r[r], path, HINT_CHANGED);
}

void world_symlink(struct world *w, unsigned r, const char *path, const char *target)
{
	w->wall_ns += 1000000;
	struct object *o = find(&w->r[r], path);
	if (o && o->kind == KIND_DIR)
		return;
	if (o)
		consumed(w, o->content);
	trace(r, "links %s to %s", path, target);
	put_object(w, &w->r[r], path, KIND_SYMLINK, target, w->wall_ns, 0777);
	hint(&w->r[r], path, HINT_CHANGED);
}

void world_chmod(struct world *w, unsigned r, const char *path, uint16_t mode)
{
	w->wall_ns += 1000000;
	struct object *o = find(&w->r[r], path);
	if (!o || o->kind == KIND_SYMLINK)
		return;
	trace(r, "sets %s to %o", path, mode);
	o->mode = mode;
	o->ctime_ns = w->wall_ns;
	hint(&w->r[r], path, HINT_CHANGED);
}

void world_touch(struct world *w, unsigned r, const char *path)
{
	w->wall_ns += 1000000;
	struct object *o = find(&w->r[r], path);
	if (!o)
		return;
	trace(r, "touches %s", path);
	o->mtime_ns = o->ctime_ns = w->wall_ns;
	hint(&w->r[r], path, HINT_TOUCHED);
}

void world_remove(struct world *w, unsigned r, const char *path)
{
	struct replica_w *d = &w->r[r];
	w->wall_ns += 1000000;
	trace(r, "removes %s", path);
	for (size_t i = d->n_objects; i-- > 0; ) {
		struct object *o = &d->objects[i];
		if (strcmp(o->path, path) != 0 && !is_under(o->path, path))
			continue;
		consumed(w, o->content);
		drop_object(d, o);
		i = d->n_objects; /* the order has changed */
	}
	hint(d, path, HINT_GONE);
}

void world_rename(struct world *w, unsigned r, const char *from, const char *to)
{
	struct replica_w *d = &w->r[r];
	w->wall_ns += 1000000;
	struct object *o = find(d, from), *there = find(d, to);
	if (!o || !has_parent(d, to) || is_under(to, from) || strcmp(from, to) == 0)
		return;
	if (there && (there->kind == KIND_DIR || o->kind == KIND_DIR))
		return;
	trace(r, "renames %s to %s", from, to);
	if (there) {
		consumed(w, there->content);
		drop_object(d, there);
	}
	for (size_t i = 0; i < d->n_objects; i++) {
		o = &d->objects[i];
		if (strcmp(o->path, from) == 0)
			o->ctime_ns = w->wall_ns;
		else if (!is_under(o->path, from))
			continue;
		char *path = xasprintf("%s%s", to, o->path + strlen(from));
		free(o->path);
		o->path = path;
	}
	GROW(d->hints, d->hints_cap, d->n_hints + 1);
	d->hints[d->n_hints++] = (struct hint_item){parent_of(from), xstrdup(base_of(from)),
	                                            parent_of(to), xstrdup(base_of(to)), HINT_CHANGED};
}

size_t world_decide(struct world *w, unsigned r, bool carry_out)
{
	struct engine *e = w->r[r].e;
	struct held_set sets[REPLICAS_MAX];
	size_t n = engine_held_sets(e, sets, ARRAY_LEN(sets)), waited = 0, left;
	tell_time(w, r);
	for (size_t i = 0; i < n; i++) {
		trace(r, "%s %zu held deletions", carry_out ? "confirms" : "refuses", sets[i].n);
		waited += sets[i].n;
		/* The one before may have changed this one: a stale set must be refused. */
		int error = engine_held_decide(e, sets[i].id, carry_out, &left);
		ck_assert(error == 0 || (error == -ESTALE && i));
	}
	return waited;
}

const char *world_read(struct world *w, unsigned r, const char *path)
{
	struct object *o = find(&w->r[r], path);
	if (!o)
		return NULL;
	if (o->kind == KIND_DIR)
		return "/";
	if (o->kind == KIND_FILE)
		return o->content;
	snprintf(w->fault, sizeof(w->fault), "-> %s", o->content);
	return w->fault;
}

size_t world_count(struct world *w, unsigned r)
{
	return w->r[r].n_objects;
}

/* ---- jobs ---- */

static char *text_of(struct bytes b)
{
	char *s = xmalloc(b.len + 1);
	if (b.len)
		memcpy(s, b.p, b.len);
	s[b.len] = 0;
	return s;
}

static void pending_free(struct pending *p)
{
	free(p->path);
	buf_release(&p->lives);
	for (size_t i = 0; i < p->a.n; i++) {
		if (p->looks) {
			free((void *)(uintptr_t)p->looks[i].path.p);
			free(p->looks[i].found.target);
		}
		if (p->ops) {
			free((void *)(uintptr_t)p->ops[i].path.p);
			free((void *)(uintptr_t)p->ops[i].from.p);
			free((void *)(uintptr_t)p->ops[i].data.p);
			free((void *)(uintptr_t)p->ops[i].record.p);
		}
		if (p->records)
			buf_release(&p->records[i]);
		if (p->paths)
			free(p->paths[i]);
	}
	for (size_t i = 0; i < p->n_items; i++)
		free((void *)(uintptr_t)p->items[i].name.p);
	for (size_t i = 0; i < p->n_reps; i++)
		free(p->names[i]);
	free(p->items);
	free(p->looks);
	free(p->ops);
	free(p->nodes);
	free(p->records);
	free(p->paths);
	free(p);
}

static struct bytes copy_bytes(struct bytes b)
{
	return (struct bytes){(uint8_t *)text_of(b), b.len};
}

static char *node_path(struct engine *e, node_t n)
{
	struct buf b = {0};
	tree_path(engine_tree(e), n, &b);
	char *s = text_of((struct bytes){b.data, b.len});
	buf_release(&b);
	return s;
}

static void keep_job(struct replica_w *r, const struct action *a)
{
	struct pending *p = xcalloc(1, sizeof(*p));
	p->a = *a;
	p->path = text_of(a->path);
	if (a->type == ACT_LOOK) {
		p->looks = xmemdup(a->looks, a->n * sizeof(*a->looks));
		for (size_t i = 0; i < a->n; i++)
			p->looks[i].path = copy_bytes(a->looks[i].path);
	} else if (a->type == ACT_APPLY) {
		p->ops = xmemdup(a->ops, a->n * sizeof(*a->ops));
		for (size_t i = 0; i < a->n; i++) {
			p->ops[i].path = copy_bytes(a->ops[i].path);
			p->ops[i].from = copy_bytes(a->ops[i].from);
			p->ops[i].data = copy_bytes(a->ops[i].data);
			p->ops[i].record = copy_bytes(a->ops[i].record);
		}
	} else if (a->type == ACT_FETCH) {
		memcpy(p->hash, a->hash, HASH_SIZE);
		p->a.n = 0;
	} else if (a->type == ACT_STORE) {
		p->records = xcalloc(a->n, sizeof(*p->records));
		p->paths = xcalloc(a->n, sizeof(*p->paths));
		p->nodes = xmemdup(a->nodes, a->n * sizeof(*a->nodes));
		for (size_t i = 0; i < a->n; i++) {
			if (engine_recorded(r->e, a->nodes[i])) /* else its row goes */
				engine_record(r->e, a->nodes[i], &p->records[i]);
			p->paths[i] = node_path(r->e, a->nodes[i]);
		}
		p->counter = engine_counter(r->e);
		p->n_reps = engine_replicas(r->e);
		for (size_t i = 0; i < p->n_reps; i++) {
			struct replica_info info = engine_replica(r->e, (rep_t)i);
			p->reps[i] = seen_of(&info);
			p->names[i] = xstrdup(info.name);
		}
		uint64_t newest;
		engine_lives(r->e, &p->lives, &newest);
		p->index = engine_index_state(r->e);
	} else {
		p->a.n = 0;
	}
	GROW(r->jobs, r->jobs_cap, r->n_jobs + 1);
	r->jobs[r->n_jobs++] = p;
}

static void run_look(struct world *w, struct replica_w *r, struct look *l)
{
	char *path = text_of(l->path), *parent = parent_of(path);
	struct object *o = find(r, path), *p = find(r, parent);
	l->error = fails(w, 2) ? -EAGAIN : fails(w, 2) ? -EACCES : 0;
	describe(l->error ? NULL : o, &l->found);
	l->unchanged = l->glance && o && !l->error && o->kind == KIND_FILE &&
	               l->found.stamp == l->known_stamp && l->found.ctime_ns == l->known_ctime_ns;
	if (l->error || l->unchanged)
		goto out;
	if (!o && *parent && (!p || p->kind != KIND_DIR))
		l->error = p ? -ENOTDIR : -ENOENT;
	if (o && o->kind != KIND_DIR)
		hash_of(o->content, l->found.hash);
	w->reads += o && o->kind == KIND_FILE;
	trace((unsigned)(r - w->r), "reads %s", path);
	if (o && o->kind == KIND_SYMLINK)
		l->found.target = (uint8_t *)xstrdup(o->content);
out:
	free(path);
	free(parent);
}

static void run_list(struct world *w, struct replica_w *r, struct pending *p)
{
	p->unwatched = fails(w, 5);
	if (fails(w, 2)) {
		p->error = -EACCES;
		return;
	}
	struct object *dir = find(r, p->path);
	if (*p->path && (!dir || dir->kind != KIND_DIR)) {
		p->error = dir ? -ENOTDIR : -ENOENT;
		return;
	}
	for (size_t i = 0; i < r->n_objects; i++) {
		char *parent = parent_of(r->objects[i].path);
		if (strcmp(parent, p->path) == 0) {
			p->items = xrealloc(p->items, p->n_items + 1, sizeof(*p->items));
			struct listed *it = &p->items[p->n_items++];
			it->name = copy_bytes(bytes_of(base_of(r->objects[i].path)));
			describe(&r->objects[i], &it->found);
		}
		free(parent);
	}
}

static bool expected(struct replica_w *r, const char *path, const struct op *op)
{
	struct object *o = find(r, path);
	struct found f;
	describe(o, &f);
	if (op->expect_kind == KIND_ABSENT || !o)
		return (op->expect_kind == KIND_ABSENT) == !o;
	return o->kind == op->expect_kind && (o->kind == KIND_DIR || f.stamp == op->expect_stamp);
}

static bool empty_dir(struct replica_w *r, const char *path)
{
	for (size_t i = 0; i < r->n_objects; i++)
		if (is_under(r->objects[i].path, path))
			return false;
	return true;
}

static char *take_tmp(struct replica_w *r, uint64_t id)
{
	for (size_t i = 0; i < r->n_tmps; i++) {
		if (r->tmps[i].id != id)
			continue;
		char *content = r->tmps[i].content;
		r->tmps[i] = r->tmps[--r->n_tmps];
		return content;
	}
	ck_abort_msg("temporary file %llu is not there", (unsigned long long)id);
	return NULL;
}

static int run_op(struct world *w, struct replica_w *r, struct op *op, const char *path, char *tmp)
{
	struct object *o = find(r, path), *new = NULL;
	if (!has_parent(r, path))
		return -ENOENT;
	if (!expected(r, path, op))
		return -ESTALE;
	if (o && o->kind == KIND_DIR && op->type != OP_META && !empty_dir(r, path))
		return -ENOTEMPTY;
	if (fails(w, 4))
		return fails(w, 50) ? -ENOSPC : -EACCES;
	w->wall_ns += 1000;
	switch (op->type) {
	case OP_DELETE:
	case OP_RMDIR:
		if ((op->type == OP_RMDIR) != (o->kind == KIND_DIR))
			return -ESTALE;
		drop_object(r, o);
		break;
	case OP_MKDIR:
		new = put_object(w, r, path, KIND_DIR, NULL, w->wall_ns, op->mode);
		break;
	case OP_META:
		o->mode = op->mode;
		o->ctime_ns = w->wall_ns;
		if (o->kind != KIND_DIR)
			o->mtime_ns = op->mtime_ns;
		new = o;
		break;
	case OP_SYMLINK: {
		char *target = text_of(op->data);
		uint8_t hash[HASH_SIZE];
		hash_of(target, hash);
		ck_assert(memcmp(hash, op->hash, HASH_SIZE) == 0);
		new = put_object(w, r, path, KIND_SYMLINK, target, op->mtime_ns, 0777);
		free(target);
		break;
	}
	case OP_WRITE: {
		char *content = NULL, *from = text_of(op->from);
		struct object *src = find(r, from);
		struct found f;
		describe(src, &f);
		if (op->source == SOURCE_DATA) {
			content = text_of(op->data);
		} else if (op->source == SOURCE_TMP) {
			content = xstrdup(tmp);
		} else if (src && src->kind == KIND_FILE && f.stamp == op->from_stamp) {
			content = xstrdup(src->content);
		}
		free(from);
		if (!content)
			return -ESTALE;
		uint8_t hash[HASH_SIZE];
		hash_of(content, hash);
		if (memcmp(hash, op->hash, HASH_SIZE) != 0) {
			free(content);
			return -EBADMSG;
		}
		if (op->source == SOURCE_MOVE)
			drop_object(r, src);
		new = put_object(w, r, path, KIND_FILE, content, op->mtime_ns, op->mode);
		free(content);
		break;
	}
	}
	describe(new, &op->found);
	return 0;
}

static void run_fetch(struct world *w, unsigned at, struct pending *p)
{
	unsigned from = p->a.peer;
	if (!w->up[at][from] || fails(w, 10)) {
		p->error = !w->up[at][from] ? -ENOTCONN : fails(w, 50) ? -EBADMSG : -ENOSPC;
		return;
	}
	struct replica_w *f = &w->r[from];
	node_t n = engine_find_content(f->e, p->hash);
	char *path = n == NODE_NONE ? NULL : node_path(f->e, n);
	struct object *o = path ? find(f, path) : NULL;
	uint8_t hash[HASH_SIZE];
	if (o && o->kind == KIND_FILE)
		hash_of(o->content, hash);
	if (!o || o->kind != KIND_FILE || memcmp(hash, p->hash, HASH_SIZE) != 0) {
		p->error = -ENODATA;
		if (path) {
			tell_time(w, from);
			engine_doubt(f->e, bytes_of(path));
		}
	} else {
		struct replica_w *r = &w->r[at];
		GROW(r->tmps, r->tmps_cap, r->n_tmps + 1);
		p->tmp = ++w->next_tmp;
		r->tmps[r->n_tmps].id = p->tmp;
		r->tmps[r->n_tmps++].content = xstrdup(o->content);
		w->fetches++;
	}
	free(path);
}

static void commit(struct replica_w *r, struct pending *p)
{
	for (size_t i = 0; i < p->a.n; i++) {
		size_t k = 0;
		while (k < r->n_stored && strcmp(r->stored[k].path, p->paths[i]) != 0)
			k++;
		if (!p->records[i].len) {
			if (k < r->n_stored) {
				free(r->stored[k].path);
				buf_release(&r->stored[k].record);
				r->stored[k] = r->stored[--r->n_stored];
			}
			continue;
		}
		if (k == r->n_stored) {
			GROW(r->stored, r->stored_cap, r->n_stored + 1);
			r->stored[k].path = xstrdup(p->paths[i]);
			r->stored[k].record = (struct buf){0};
			r->n_stored++;
		}
		buf_clear(&r->stored[k].record);
		buf_add(&r->stored[k].record, p->records[i].data, p->records[i].len);
	}
	r->counter = p->counter;
	for (size_t i = 0; i < p->n_reps; i++) {
		if (i >= r->n_reps)
			r->names[i] = NULL;
		free(r->names[i]);
		r->reps[i] = p->reps[i];
		r->names[i] = xstrdup(p->names[i]);
	}
	buf_clear(&r->record_of_lives);
	buf_add(&r->record_of_lives, p->lives.data, p->lives.len);
	r->index = p->index;
	if (p->n_reps > r->n_reps)
		r->n_reps = p->n_reps;
}

/* ---- intents ---- */

static void intent_add(struct replica_w *r, const struct op *op, uint64_t job)
{
	GROW(r->intents, r->intents_cap, r->n_intents + 1);
	struct intent *in = &r->intents[r->n_intents++];
	*in = (struct intent){.path = text_of(op->path), .found = op->found, .job = job};
	in->from = text_of(op->source == SOURCE_MOVE ? op->from : (struct bytes){0});
	buf_add(&in->record, op->record.p, op->record.len);
}

static void intents_answered(struct replica_w *r, uint64_t job)
{
	for (size_t i = 0; i < r->n_intents; i++) {
		if (r->intents[i].job != job)
			continue;
		r->intents[i].job = 0;
		r->intents[i].changes = engine_changes(r->e);
	}
}

/* Forgets those that are not needed any more, or all. A stale one is harmless: it may stay. */
static void intents_forget(struct world *w, struct replica_w *r, bool all)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_intents; i++) {
		struct intent *in = &r->intents[i];
		if (!all && (in->job || in->changes > engine_changes_stored(r->e) || below(w, 3) == 0)) {
			r->intents[n++] = *in;
			continue;
		}
		free(in->path);
		free(in->from);
		buf_release(&in->record);
	}
	r->n_intents = n;
}

/* Tells a new life of the ops of the one before. */
static void intents_load(struct world *w, struct replica_w *r)
{
	for (size_t i = 0; i < r->n_intents; i++) {
		struct intent *in = &r->intents[i];
		in->job = 0;
		for (unsigned times = 1 + (below(w, 8) == 0); times; times--)
			ck_assert_int_eq(engine_load_applied(r->e, bytes_of(in->path), bytes_of(in->from),
			                                     (struct bytes){in->record.data, in->record.len},
			                                     &in->found), 0);
		in->changes = engine_changes(r->e);
	}
}

static void apply(struct world *w, unsigned at, struct pending *p, size_t i)
{
	struct replica_w *r = &w->r[at];
	struct op *op = &p->ops[i];
	char *path = text_of(op->path);
	char *tmp = op->source == SOURCE_TMP ? take_tmp(r, op->tmp) : NULL;
	op->error = run_op(w, r, op, path, tmp);
	struct object *o = find(r, path);
	if (!op->error && o)
		hint(r, path, HINT_TOUCHED);
	if (!op->error)
		intent_add(r, op, p->a.job);
	trace(at, "op %d source %d on %s: %d, now %s %o", (int)op->type, (int)op->source, path, op->error,
	      !o ? "absent" : o->content ? o->content : "/", o ? o->mode : 0);
	free(tmp);
	free(path);
}

/* A crash amid a batch: each of its ops was carried out, or not. */
static void apply_some(struct world *w, unsigned at)
{
	struct replica_w *r = &w->r[at];
	for (size_t i = 0; i < r->n_jobs; i++)
		for (size_t k = 0; !r->jobs[i]->done && r->jobs[i]->a.type == ACT_APPLY && k < r->jobs[i]->a.n; k++)
			if (below(w, 2))
				apply(w, at, r->jobs[i], k);
}

static void carry_out(struct world *w, unsigned at, struct pending *p)
{
	struct replica_w *r = &w->r[at];
	p->done = true;
	switch (p->a.type) {
	case ACT_LIST:
		run_list(w, r, p);
		break;
	case ACT_LOOK:
		for (size_t i = 0; i < p->a.n; i++)
			run_look(w, r, &p->looks[i]);
		break;
	case ACT_APPLY:
		for (size_t i = 0; i < p->a.n; i++)
			apply(w, at, p, i);
		break;
	case ACT_FETCH:
		run_fetch(w, at, p);
		break;
	case ACT_STORE:
		p->error = fails(w, 5) ? -ENOSPC : 0;
		if (!p->error)
			commit(r, p);
		break;
	default:
		break;
	}
}

static void answer(struct world *w, unsigned at, struct pending *p)
{
	struct engine *e = w->r[at].e;
	tell_time(w, at);
	switch (p->a.type) {
	case ACT_LIST:
		engine_listed(e, p->a.job, p->error, p->items, p->n_items,
		              p->unwatched);
		break;
	case ACT_LOOK:
		engine_looked(e, p->a.job, p->looks, p->a.n);
		break;
	case ACT_APPLY:
		engine_applied(e, p->a.job, p->ops, p->a.n);
		intents_answered(&w->r[at], p->a.job);
		break;
	case ACT_FETCH:
		engine_fetched(e, p->a.job, p->error, p->tmp);
		break;
	case ACT_STORE:
		if (p->error)
			engine_store_failed(e, p->a.job, "disk full");
		else
			engine_stored(e, p->a.job);
		intents_forget(w, &w->r[at], false);
		break;
	default:
		break;
	}
}

/* ---- links ---- */

static void message_release(struct message *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->entries) {
			free((void *)(uintptr_t)m->entries[i].path.p);
			free((void *)(uintptr_t)m->entries[i].data.p);
			state_release(&m->entries[i].state);
		}
		if (m->held)
			free((void *)(uintptr_t)m->held[i].path.p);
	}
	free(m->entries);
	free(m->held);
	free(m->seen);
	for (size_t i = 0; i < m->report.n_listed; i++) {
		free((void *)(uintptr_t)m->report.problems[i].path.p);
		free((void *)(uintptr_t)m->report.problems[i].reason.p);
	}
	free((void *)(uintptr_t)m->report.problems);
	free((void *)(uintptr_t)m->report.links);
}

/* The numbers of replicas differ between engines: translates those of a state. */
static void translate(struct engine *from, struct engine *to, struct state *s)
{
	struct state out = {.mode = s->mode};
	memcpy(out.gone, s->gone, HASH_SIZE);
	for (uint16_t i = 0; i < s->n_heads; i++) {
		struct head h = head_copy(&s->heads[i]);
		h.dot.rep = (rep_t)engine_intern(to, &engine_ids(from)[h.dot.rep]);
		state_add_head(&out, &h);
		head_release(&h);
	}
	for (uint16_t i = 0; i < s->context.n; i++) {
		struct dot d = s->context.dots[i];
		d.rep = (rep_t)engine_intern(to, &engine_ids(from)[d.rep]);
		version_add(&out.context, d);
	}
	if (out.mode.dot.counter)
		out.mode.dot.rep = (rep_t)engine_intern(to, &engine_ids(from)[s->mode.dot.rep]);
	state_release(s);
	*s = out;
}

/* "A1-7": the seventh change of A's first life. */
static void add_dot(struct buf *out, const struct engine *e, struct dot d)
{
	const uint8_t *id = engine_ids(e)[d.rep].b;
	buf_addf(out, " %c%u-%llu", 'A' + id[0] - 1, id[1] + 1, (unsigned long long)d.counter);
}

static void add_content(struct buf *out, const struct world *w, const struct head *h)
{
	char content[32];
	uint8_t hash[HASH_SIZE];
	for (uint64_t i = 0; h->kind != KIND_DIR && i <= w->next_content; i++) {
		snprintf(content, sizeof(content), "c%llu", (unsigned long long)i);
		hash_of(content, hash);
		if (memcmp(hash, h->hash, HASH_SIZE) == 0)
			buf_addf(out, "%s%s", h->kind == KIND_SYMLINK ? "->" : "=", content);
	}
	if (h->kind == KIND_DIR)
		buf_addf(out, "/");
}

static void trace_state(const struct world *w, unsigned at, node_t n, const char *what, const struct state *s)
{
	struct buf out = {0};
	char *path = node_path(w->r[at].e, n);
	buf_addf(&out, "%s %s:", what, path);
	for (uint16_t i = 0; i < s->n_heads; i++) {
		add_dot(&out, w->r[at].e, s->heads[i].dot);
		add_content(&out, w, &s->heads[i]);
	}
	buf_addf(&out, " seen");
	for (uint16_t i = 0; i < s->context.n; i++)
		add_dot(&out, w->r[at].e, s->context.dots[i]);
	trace(at, "%.*s, mode %o since %lld", (int)out.len, (const char *)out.data, s->mode.bits,
	      (long long)s->mode.rank);
	buf_release(&out);
	free(path);
}

static void send(struct world *w, unsigned at, const struct action *a)
{
	struct replica_w *r = &w->r[at];
	unsigned to = a->peer;
	ck_assert(w->up[at][to]);
	struct message m = {.type = a->type, .to = a->to, .more = a->more, .n = a->n};
	trace(at, "sends %d to %c, up to %llu", (int)a->type, 'A' + (int)to, (unsigned long long)a->to);
	if (a->type == ACT_INDEX) {
		m.life = engine_life(r->e, 0, a->to);
		m.entries = xcalloc(a->n, sizeof(*m.entries));
		m.n = 0;
		for (size_t i = 0; i < a->n; i++) {
			struct entry_view v;
			if (!engine_entry(r->e, a->index[i].node, &v) || v.seq != a->index[i].seq)
				continue;
			struct index_entry *out = &m.entries[m.n++];
			char *path = node_path(r->e, a->index[i].node);
			struct object *o = find(r, path);
			struct found f;
			describe(o, &f);
			out->path = (struct bytes){(uint8_t *)path, strlen(path)};
			out->seq = v.seq;
			out->state = state_copy(v.state);
			if (tracing())
				trace_state(w, at, a->index[i].node, "tells of", v.state);
			if (a->index[i].with_data && o && f.stamp == v.stamp) {
				out->data = copy_bytes(bytes_of(o->content));
				w->fetches++;
			}
			translate(r->e, w->r[to].e, &out->state);
		}
		engine_index_sent(r->e, to);
	} else if (a->type == ACT_HAVE) {
		m.rep = engine_ids(r->e)[a->rep];
		m.life = engine_life(r->e, a->rep, a->to);
		m.held = xcalloc(a->n, sizeof(*m.held));
		m.n = 0;
		for (size_t i = 0; i < a->n; i++) {
			if (!engine_held(r->e, a->rep, a->nodes[i], &m.held[m.n]))
				continue;
			char *path = node_path(r->e, a->nodes[i]);
			trace(at, "tells that %s has %s", engine_replica(r->e, a->rep).name, path);
			m.held[m.n++].path = (struct bytes){(uint8_t *)path, strlen(path)};
		}
		engine_index_sent(r->e, to);
	} else if (a->type == ACT_SYNC) {
		m.n = engine_replicas(r->e);
		m.seen = xcalloc(m.n, sizeof(*m.seen));
		for (size_t i = 0; i < m.n; i++) {
			struct replica_info info = engine_replica(r->e, (rep_t)i);
			m.seen[i] = engine_seen(r->e, (rep_t)i);
			trace(at, "has seen %s up to %llu, %llu", info.name,
			      (unsigned long long)info.merged, (unsigned long long)info.known);
		}
	} else if (a->type == ACT_REPORT) {
		m.n = 0;
		m.report = engine_report(r->e, a->rep);
		trace(at, "reports %s: number %llu, %llu pending, %llu problems", engine_replica(r->e, a->rep).name,
		      (unsigned long long)m.report.n, (unsigned long long)m.report.pending,
		      (unsigned long long)m.report.n_problems);
		m.report.name = bytes_of("r");
		m.report.address = (struct bytes){0};
		struct problem *problems = xmemdup(m.report.problems, m.report.n_listed * sizeof(*problems));
		for (size_t i = 0; i < m.report.n_listed; i++) {
			problems[i].path = copy_bytes(problems[i].path);
			problems[i].reason = copy_bytes(problems[i].reason);
		}
		m.report.problems = problems;
		m.report.links = xmemdup(m.report.links, m.report.n_links * sizeof(struct replica_id));
		m.report.name = bytes_of(engine_replica(r->e, a->rep).name);
		m.report.name = copy_bytes(m.report.name);
	}
	GROW(w->link[at][to].q, w->link[at][to].cap, w->link[at][to].n + 1);
	w->link[at][to].q[w->link[at][to].n++] = m;
}

static void deliver(struct world *w, unsigned from, unsigned to)
{
	struct engine *e = w->r[to].e;
	struct message m = w->link[from][to].q[0];
	memmove(w->link[from][to].q, w->link[from][to].q + 1,
	        --w->link[from][to].n * sizeof(struct message));
	const char *why = NULL;
	tell_time(w, to);
	switch (m.type) {
	case ACT_INDEX:
		engine_peer_index(e, from, m.to, m.life, m.more, m.entries, m.n, &why);
		break;
	case ACT_HAVE:
		engine_peer_have(e, from, (rep_t)engine_intern(e, &m.rep), m.to, m.life, m.held, m.n, &why);
		break;
	case ACT_SYNC:
		engine_peer_sync(e, from, m.seen, m.n);
		break;
	case ACT_ACK:
		engine_peer_ack(e, from, m.to);
		break;
	case ACT_REPORT:
		engine_peer_report(e, from, &m.report, &why);
		free((void *)(uintptr_t)m.report.name.p);
		break;
	default:
		ck_abort_msg("unexpected message");
	}
	demand(w, !why, "protocol: %s", why);
	message_release(&m);
}

void world_connect(struct world *w, unsigned a, unsigned b)
{
	if (w->up[a][b] || a == b)
		return;
	trace(a, "connects to %c", 'A' + (int)b);
	w->up[a][b] = w->up[b][a] = true;
	const unsigned ends[2] = {a, b};
	for (unsigned i = 0; i < 2; i++) {
		unsigned at = ends[i], other = ends[1 - i];
		char name[16];
		snprintf(name, sizeof(name), "%c", 'A' + (int)other);
		tell_time(w, at);
		ck_assert_int_eq(engine_peer_up(w->r[at].e, other, &w->r[other].id, name, "sim",
		                                engine_seq(w->r[other].e)), 0);
	}
}

static void link_drop(struct world *w, unsigned a, unsigned b)
{
	for (size_t i = 0; i < w->link[a][b].n; i++) {
		if (w->link[a][b].q[i].type == ACT_REPORT)
			free((void *)(uintptr_t)w->link[a][b].q[i].report.name.p);
		message_release(&w->link[a][b].q[i]);
	}
	w->link[a][b].n = 0;
}

void world_cut(struct world *w, unsigned a, unsigned b)
{
	if (!w->up[a][b])
		return;
	trace(a, "is cut from %c", 'A' + (int)b);
	w->up[a][b] = w->up[b][a] = false;
	link_drop(w, a, b);
	link_drop(w, b, a);
	tell_time(w, a);
	engine_peer_down(w->r[a].e, b);
	tell_time(w, b);
	engine_peer_down(w->r[b].e, a);
}

/* ---- life and death ---- */

static void begin_life(struct world *w, unsigned at, bool fresh)
{
	struct replica_w *r = &w->r[at];
	char name[2] = {(char)('A' + (int)at), 0};
	if (fresh) {
		memset(&r->id, 0, sizeof(r->id));
		r->id.b[0] = (uint8_t)(at + 1);
		r->id.b[1] = (uint8_t)r->lives;
		r->counter = 0;
		r->index = r->lives ? INDEX_LOST : INDEX_NEW;
	}
	r->lives++;
	struct engine_config config = {.id = r->id, .name = name, .counter = r->counter, .hash_seed = rnd(w),
	                               .life = (uint64_t)(at + 1) << 32 | r->lives};
	r->e = engine_new(&config);
	tell_time(w, at);
	for (size_t i = 0; !fresh && i < r->n_reps; i++)
		ck_assert_int_eq(engine_load_replica(r->e, (rep_t)i, &r->reps[i], r->names[i]), 0);
	if (!fresh && r->record_of_lives.len)
		ck_assert_int_eq(engine_load_lives(r->e, (struct bytes){r->record_of_lives.data,
		                                                        r->record_of_lives.len}), 0);
	for (size_t i = 0; !fresh && i < r->n_stored; i++)
		ck_assert_int_eq(engine_load(r->e, bytes_of(r->stored[i].path),
		                             (struct bytes){r->stored[i].record.data,
		                                            r->stored[i].record.len}), 0);
	if (!fresh)
		intents_load(w, r);
	engine_forget(r->e, w->forget_ms);
	engine_start(r->e, r->index);
}

static void end_life(struct replica_w *r)
{
	for (size_t i = 0; i < r->n_jobs; i++)
		pending_free(r->jobs[i]);
	for (size_t i = 0; i < r->n_hints; i++) {
		free(r->hints[i].dir);
		free(r->hints[i].name);
		free(r->hints[i].to_dir);
		free(r->hints[i].to_name);
	}
	for (size_t i = 0; i < r->n_tmps; i++)
		free(r->tmps[i].content);
	r->n_jobs = r->n_hints = r->n_tmps = 0;
	engine_free(r->e);
}

static void forget_index(struct replica_w *r)
{
	for (size_t i = 0; i < r->n_stored; i++) {
		free(r->stored[i].path);
		buf_release(&r->stored[i].record);
	}
	for (size_t i = 0; i < r->n_reps; i++)
		free(r->names[i]);
	r->n_stored = r->n_reps = 0;
	buf_release(&r->record_of_lives);
}

void world_crash(struct world *w, unsigned at, bool lose_index)
{
	struct replica_w *r = &w->r[at];
	trace(at, "crashes");
	apply_some(w, at);
	for (unsigned i = 0; i < w->n; i++)
		world_cut(w, at, i);
	end_life(r);
	bool fresh = lose_index || !r->n_reps;
	if (fresh) {
		forget_index(r);
		intents_forget(w, r, true);
	}
	begin_life(w, at, fresh);
}

struct world *world_new(unsigned replicas, uint64_t seed)
{
	struct world *w = xcalloc(1, sizeof(*w));
	ck_assert(replicas <= R_MAX);
	w->n = replicas;
	w->rng = w->seed = seed;
	w->wall_ns = 1700000000000000000;
	w->mono_ms = 5000;
	w->forget_ms = UINT64_MAX;
	for (unsigned i = 0; i < replicas; i++)
		begin_life(w, i, true);
	return w;
}

void world_forget(struct world *w, uint64_t ms)
{
	w->forget_ms = ms;
	for (unsigned i = 0; i < w->n; i++)
		engine_forget(w->r[i].e, ms);
}

void world_pass(struct world *w, uint64_t ms)
{
	w->mono_ms += ms;
	w->wall_ns += (int64_t)ms * 1000000;
}

bool world_knows(struct world *w, unsigned at, const char *path)
{
	const struct replica_w *r = &w->r[at];
	node_t n = tree_find(engine_tree(r->e), bytes_of(path));
	bool known = n != NODE_NONE && engine_recorded(r->e, n), stored = false;
	for (size_t i = 0; i < r->n_stored; i++)
		stored |= strcmp(r->stored[i].path, path) == 0;
	demand(w, known == stored, "%s is %sknown on %u and %sstored", path, known ? "" : "not ", at,
	       stored ? "" : "not ");
	return known;
}

void world_free(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct replica_w *r = &w->r[i];
		end_life(r);
		forget_index(r);
		intents_forget(w, r, true);
		while (r->n_objects)
			drop_object(r, &r->objects[0]);
		free(r->objects);
		free(r->jobs);
		free(r->hints);
		free(r->intents);
		free(r->tmps);
		free(r->stored);
		for (unsigned k = 0; k < w->n; k++) {
			link_drop(w, i, k);
			free(w->link[i][k].q);
		}
	}
	for (size_t i = 0; i < w->n_live; i++)
		free(w->live[i]);
	free(w->live);
	free(w);
}

struct engine *world_engine(struct world *w, unsigned r)
{
	return w->r[r].e;
}

uint64_t world_reads(const struct world *w)
{
	return w->reads;
}

uint64_t world_fetches(const struct world *w)
{
	return w->fetches;
}

/* ---- steps ---- */

static void pull_actions(struct world *w, unsigned at)
{
	struct replica_w *r = &w->r[at];
	struct action a;
	unsigned n = 0;
	tell_time(w, at);
	while (engine_next(r->e, &a)) {
		demand(w, ++n < 100000, "actions without end, the last of type %d", (int)a.type);
		switch (a.type) {
		case ACT_LIST:
		case ACT_LOOK:
		case ACT_APPLY:
		case ACT_FETCH:
		case ACT_STORE:
			trace(at, "starts %d, %zu of %.*s", (int)a.type, a.n, (int)a.path.len,
			      a.path.len ? (const char *)a.path.p : "");
			keep_job(r, &a);
			break;
		case ACT_INDEX:
		case ACT_HAVE:
		case ACT_SYNC:
		case ACT_ACK:
		case ACT_REPORT:
			send(w, at, &a);
			break;
		case ACT_DROP:
			demand(w, false, "connection dropped: %s", a.text);
			break;
		case ACT_DROP_TMP:
			free(take_tmp(r, a.tmp));
			break;
		case ACT_ROLLED_BACK:
			demand(w, false, "rolled back, as %s has seen", a.text);
			break;
		case ACT_EVENT:
			trace(at, "says %s %.*s %s", engine_event_text(a.event), (int)a.path.len,
			      a.path.len ? (const char *)a.path.p : "", a.text ? a.text : "");
			break;
		case ACT_CANCEL:
		case ACT_WALKED:
			break;
		}
	}
}

static void give_hint(struct world *w, unsigned at)
{
	struct replica_w *r = &w->r[at];
	struct hint_item h = r->hints[0];
	memmove(r->hints, r->hints + 1, --r->n_hints * sizeof(h));
	tell_time(w, at);
	node_t dir = tree_find(engine_tree(r->e), bytes_of(h.dir));
	if (fails(w, 15)) {
		trace(at, "misses %s in %s", h.name, h.dir);
	} else if (h.to_name) {
		node_t to = tree_find(engine_tree(r->e), bytes_of(h.to_dir));
		if (dir != NODE_NONE && to != NODE_NONE)
			engine_moved(r->e, dir, bytes_of(h.name), to, bytes_of(h.to_name));
		else if (to != NODE_NONE)
			engine_hint(r->e, to, bytes_of(h.to_name), HINT_CHANGED);
		else if (dir != NODE_NONE)
			engine_hint(r->e, dir, bytes_of(h.name), HINT_GONE);
	} else if (dir != NODE_NONE) {
		engine_hint(r->e, dir, bytes_of(h.name), h.what);
	}
	free(h.dir);
	free(h.name);
	free(h.to_dir);
	free(h.to_name);
}

static bool step_one(struct world *w, unsigned kind, unsigned at, unsigned other)
{
	struct replica_w *r = &w->r[at];
	if (kind == 0 && r->n_jobs) {
		size_t i = below(w, (unsigned)r->n_jobs);
		struct pending *p = r->jobs[i];
		if (!p->done) {
			carry_out(w, at, p);
			return true;
		}
		r->jobs[i] = r->jobs[--r->n_jobs];
		answer(w, at, p);
		pending_free(p);
		return true;
	}
	if (kind == 1 && r->n_hints) {
		give_hint(w, at);
		return true;
	}
	if (kind == 2 && w->link[at][other].n) {
		deliver(w, at, other);
		return true;
	}
	return false;
}

bool world_step(struct world *w)
{
	bool did = false;
	for (unsigned i = 0; i < w->n; i++)
		pull_actions(w, i);
	for (unsigned tries = 0; tries < 20 && !did; tries++)
		did = step_one(w, below(w, 3), below(w, w->n), below(w, w->n));
	for (unsigned i = 0; i < w->n && !did; i++)
		for (unsigned k = 0; k < 3 && !did; k++)
			for (unsigned o = 0; o < w->n && !did; o++)
				did = step_one(w, k, i, o);
	if (did)
		w->mono_ms += below(w, 3);
	for (unsigned i = 0; i < w->n; i++) {
		tell_time(w, i);
		if (engine_deadline(w->r[i].e) <= w->mono_ms)
			engine_tick(w->r[i].e);
		pull_actions(w, i);
	}
	return did;
}

static const char *check_state(struct world *w);

void world_settle(struct world *w)
{
	unsigned n = 0, idle = 0;
	bool quiet = false;
	while (idle < 60) {
		demand(w, ++n < STEPS_MAX, "does not settle");
		if (world_step(w)) {
			idle = 0;
			quiet = false;
			continue;
		}
		size_t waited = 0;
		for (unsigned i = 0; w->says_yes && i < w->n; i++)
			waited += world_decide(w, i, true);
		if (waited) {
			idle = 0;
			continue;
		}
		uint64_t due = UINT64_MAX;
		for (unsigned i = 0; i < w->n; i++)
			if (engine_deadline(w->r[i].e) < due)
				due = engine_deadline(w->r[i].e);
		if (due == UINT64_MAX && quiet)
			break;
		quiet = due == UINT64_MAX; /* but the last tick may have begun something */
		if (!quiet && due > w->mono_ms) {
			w->wall_ns += (int64_t)(due - w->mono_ms) * 1000000;
			w->mono_ms = due;
		}
		idle++;
	}
}

static const char *check_state(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct replica_w *r = &w->r[i];
		for (size_t k = 0; k < r->n_objects; k++) {
			struct object *o = &r->objects[k], *p = find(&w->r[0], o->path);
			if (!p || p->kind != o->kind || (o->content && strcmp(o->content, p->content) != 0) ||
			    (o->kind != KIND_SYMLINK && o->mode != p->mode)) {
				snprintf(w->fault, sizeof(w->fault),
				         "%s: %c has kind %d content %s mode %o; A has kind %d content %s mode %o",
				         o->path, 'A' + (int)i, o->kind, o->content ? o->content : "", o->mode,
				         p ? p->kind : 0, p && p->content ? p->content : "", p ? p->mode : 0);
				return w->fault;
			}
		}
		if (r->n_objects != w->r[0].n_objects) {
			snprintf(w->fault, sizeof(w->fault), "%c has %zu objects, A %zu", 'A' + (int)i,
			         r->n_objects, w->r[0].n_objects);
			return w->fault;
		}
		for (size_t k = 0; k < w->n_live; k++) {
			bool there = false;
			for (size_t o = 0; o < r->n_objects && !there; o++)
				there = r->objects[o].content && strcmp(r->objects[o].content, w->live[k]) == 0;
			if (!there) {
				snprintf(w->fault, sizeof(w->fault), "content %s is lost on %c", w->live[k],
				         'A' + (int)i);
				return w->fault;
			}
		}
	}
	for (unsigned i = 0; i < w->n; i++) {
		struct engine_status s = engine_status(w->r[i].e);
		if (!s.settled || !s.agree) {
			snprintf(w->fault, sizeof(w->fault),
			         "%c is %ssettled, does%s agree: %llu pending %llu looking %llu unstored, "
			         "%llu problems", 'A' + (int)i, s.settled ? "" : "not ",
			         s.agree ? "" : " not", (unsigned long long)s.pending,
			         (unsigned long long)s.looking, (unsigned long long)s.unstored,
			         (unsigned long long)s.problems);
			size_t at = strlen(w->fault);
			for (node_t n = 1; n < tree_count(engine_tree(w->r[i].e)); n++) {
				struct row row = {0};
				struct buf note = {0};
				row = rows_row(engine_rows(w->r[i].e), n);
				if (row.kind == KIND_ABSENT || row.state == ROW_SYNCED)
					continue;
				engine_note(w->r[i].e, n, &note);
				char *path = node_path(w->r[i].e, n);
				at += (size_t)snprintf(w->fault + at, sizeof(w->fault) - at, "; %s %s: %.*s",
				                       path, row_state_text(row.state), (int)note.len,
				                       note.data ? (char *)note.data : "");
				free(path);
				buf_release(&note);
			}
			for (size_t k = 1; k < engine_replicas(w->r[i].e); k++) {
				struct replica_info r = engine_replica(w->r[i].e, (rep_t)k);
				at += (size_t)snprintf(w->fault + at, sizeof(w->fault) - at,
				        "; %s: differs %llu, pending %llu, problems %llu, known %llu of %llu%s", r.name,
				        (unsigned long long)r.differ, (unsigned long long)r.pending, (unsigned long long)r.n_problems,
				        (unsigned long long)r.known, (unsigned long long)r.seq,
				        r.reachable ? "" : ", away");
			}
			return w->fault;
		}
	}
	return NULL;
}

/* Nothing is left to do, and nothing is left over. */
static const char *check_quiet(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct replica_w *r = &w->r[i];
		struct action a;
		tell_time(w, i);
		const char *what = r->n_jobs ? "jobs" : r->n_tmps ? "temporary files"
		                 : engine_deadline(r->e) != UINT64_MAX ? "a deadline"
		                 : engine_next(r->e, &a) ? "actions" : NULL;
		if (!what)
			continue;
		snprintf(w->fault, sizeof(w->fault), "%c has %s left", 'A' + (int)i, what);
		return w->fault;
	}
	return NULL;
}

/* After `what` everything is as it was: no event, no new number. */
static const char *check_same(struct world *w, const uint64_t *counters, const char *what)
{
	world_settle(w);
	for (unsigned i = 0; i < w->n; i++) {
		if (engine_counter(w->r[i].e) == counters[i])
			continue;
		snprintf(w->fault, sizeof(w->fault), "%s made %c go on from %llu to %llu", what,
		         'A' + (int)i, (unsigned long long)counters[i],
		         (unsigned long long)engine_counter(w->r[i].e));
		return w->fault;
	}
	const char *fault = check_state(w);
	return fault ? fault : check_quiet(w);
}

const char *world_check(struct world *w)
{
	uint64_t counters[R_MAX];
	bool up[R_MAX][R_MAX];
	const char *fault = check_state(w);
	if (!fault)
		fault = check_quiet(w);
	if (fault)
		return fault;
	memcpy(up, w->up, sizeof(up));
	for (unsigned i = 0; i < w->n; i++) {
		counters[i] = engine_counter(w->r[i].e);
		tell_time(w, i);
		engine_walk(w->r[i].e, (struct bytes){0});
	}
	fault = check_same(w, counters, "another walk");
	if (fault)
		return fault;
	for (unsigned i = 0; i < w->n; i++)
		world_crash(w, i, false);
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = i + 1; k < w->n; k++)
			if (up[i][k])
				world_connect(w, i, k);
	return check_same(w, counters, "a new start");
}

static const char *some_path(struct world *w, unsigned at)
{
	static const char *const names[] = {"a", "b", "d/x", "d/y", "e/x", "d/e/z", "c.txt", "d", "e",
	                                    "d/e"};
	struct replica_w *r = &w->r[at];
	if (r->n_objects && below(w, 2))
		return r->objects[below(w, (unsigned)r->n_objects)].path;
	return names[below(w, ARRAY_LEN(names))];
}

static void user_acts(struct world *w)
{
	unsigned at = below(w, w->n), k = below(w, 100);
	char *path = xstrdup(some_path(w, at)), *to = xstrdup(some_path(w, at));
	char content[32];
	struct replica_w *r = &w->r[at];
	if (has_parent(r, path)) {
		struct object *o = w->copies && below(w, 4) == 0 ? find(r, to) : NULL;
		snprintf(content, sizeof(content), "c%llu", (unsigned long long)++w->next_content);
		if (o && o->kind == KIND_FILE)
			snprintf(content, sizeof(content), "%s", o->content);
		if (w->hostile && k < 5)
			world_touch(w, at, path);
		else if (k < 45)
			world_write(w, at, path, content);
		else if (k < 55)
			world_mkdir(w, at, path);
		else if (k < 75)
			world_remove(w, at, path);
		else if (k < 92)
			world_rename(w, at, path, to);
		else if (k < 96)
			world_chmod(w, at, path, (uint16_t)(0600 + below(w, 2) * 044));
		else
			world_symlink(w, at, path, content);
	}
	free(path);
	free(to);
}

static void trace_states(const struct world *w)
{
	for (unsigned i = 0; tracing() && i < w->n; i++) {
		struct engine *e = w->r[i].e;
		for (node_t n = 1; n < tree_count(engine_tree(e)); n++) {
			struct entry_view v;
			const struct state *t = engine_target(e, n);
			bool has = engine_entry(e, n, &v);
			if (has)
				trace_state(w, i, n, "has", v.state);
			if (t && !(has && state_eq(t, v.state)))
				trace_state(w, i, n, "wants", t);
		}
	}
}

/* Is each content that no user replaced or deleted on some disk, at this very moment? */
static void check_nothing_lost(struct world *w)
{
	for (size_t k = 0; k < w->n_live; k++) {
		bool there = false;
		for (unsigned i = 0; i < w->n && !there; i++)
			for (size_t o = 0; o < w->r[i].n_objects && !there; o++)
				there = w->r[i].objects[o].content &&
				        strcmp(w->r[i].objects[o].content, w->live[k]) == 0;
		demand(w, there, "content %s is on no disk any more", w->live[k]);
	}
}

static void something_happens(struct world *w, bool crashes, bool cuts, bool line)
{
	unsigned k = below(w, 100);
	if (k < 6) {
		user_acts(w);
	} else if (cuts && k < 7) {
		world_cut(w, below(w, w->n), below(w, w->n));
	} else if (k < 9) {
		unsigned a = below(w, w->n), b = below(w, w->n);
		if (!line || a + 1 == b || b + 1 == a)
			world_connect(w, a, b);
	} else if (crashes && k < 10 && !below(w, 4)) {
		unsigned at = below(w, w->n);
		bool lose = w->loses_index && below(w, 2);
		if (w->hostile)
			w->r[at].skew_ns = (int64_t)below(w, 20) * 1000000000 - 10000000000;
		world_crash(w, at, lose);
	} else if (k < 12) {
		w->mono_ms += below(w, 2000);
		w->wall_ns += 1000000000;
	} else if (k == 12 && below(w, 2)) {
		world_decide(w, below(w, w->n), below(w, 2));
	} else if (w->hostile && k < 13 && below(w, 2)) {
		unsigned at = below(w, w->n);
		tell_time(w, at);
		engine_halt(w->r[at].e, engine_status(w->r[at].e).halted ? NULL : "unmounted");
	} else {
		world_step(w);
	}
}

static void history(struct world *w, unsigned steps)
{
	bool crashes = below(w, 2), cuts = below(w, 4) != 0, line = below(w, 3) == 0;
	for (unsigned i = 0; i + 1 < w->n; i++)
		world_connect(w, i, i + 1);
	for (unsigned i = 0; i < steps; i++) {
		something_happens(w, crashes, cuts, line);
		if (i % 16 == 0)
			check_nothing_lost(w);
	}
	w->hostile = false;
	for (unsigned i = 0; i < w->n; i++) {
		tell_time(w, i);
		engine_halt(w->r[i].e, NULL);
		if (i)
			world_connect(w, i - 1, i);
	}
	w->says_yes = true;
	world_settle(w);
	for (unsigned i = 0; i < w->n; i++)
		engine_walk(w->r[i].e, (struct bytes){0});
	world_settle(w);
	w->says_yes = false;
	trace_states(w);
}

void world_random(struct world *w, unsigned steps)
{
	history(w, steps);
}

void world_hostile(struct world *w, unsigned steps)
{
	w->hostile = true;
	w->loses_index = below(w, 4) == 0;
	w->copies = !w->loses_index && below(w, 2);
	history(w, steps);
}
