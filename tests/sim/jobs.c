/*
 * Owns what engines ask of their disks, carried out in steps between which anybody may act and
 * anything may end; and the intents, which outlive the program as in the real thing.
 */
#include "config.h"
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

enum { PHASE_NEW, PHASE_RUNS, PHASE_SYNCED, PHASE_DONE };

struct job {
	enum action_type type;
	uint64_t id;
	char path[PATH_CAP];
	size_t n, next;
	unsigned peer, phase;
	struct look *looks;
	struct found *before;  /* LOOK: as it was when the look began */
	struct op *ops;
	uint64_t *placed;      /* APPLY: inode at the path after the op, 0: none */
	struct listed *items;
	size_t n_items;
	struct stored batch;   /* STORE */
	uint8_t hash[HASH_SIZE];
	int error;
	uint64_t tmp;
	bool unwatched;
};

/* An op that was carried out, until all that it changed is stored. */
struct intent {
	char path[PATH_CAP], from[PATH_CAP];
	struct buf record;
	struct found found;
	uint64_t placed;
	uint64_t job;          /* not yet answered; else 0 */
	uint64_t changes;      /* how many must be stored */
	enum op_type type;
	bool synced;
};

struct intents {
	struct intent *at;
	size_t n, cap;
};

static void text_of(struct bytes b, char out[PATH_CAP])
{
	size_t n = b.len < PATH_CAP ? b.len : PATH_CAP - 1;
	if (n)
		memcpy(out, b.p, n);
	out[n] = 0;
}

static struct bytes bytes_copy(struct bytes b)
{
	return (struct bytes){b.len ? xmemdup(b.p, b.len) : NULL, b.len};
}

void node_path(const struct engine *e, node_t n, char out[PATH_CAP])
{
	struct buf b = {0};
	tree_path(engine_tree(e), n, &b);
	text_of((struct bytes){b.data, b.len}, out);
	buf_release(&b);
}

static void job_free(struct job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		if (j->looks) {
			free((void *)(uintptr_t)j->looks[i].path.p);
			free(j->looks[i].found.target);
		}
		if (j->ops) {
			free((void *)(uintptr_t)j->ops[i].path.p);
			free((void *)(uintptr_t)j->ops[i].from.p);
			free((void *)(uintptr_t)j->ops[i].data.p);
			free((void *)(uintptr_t)j->ops[i].record.p);
		}
	}
	for (size_t i = 0; i < j->n_items; i++)
		free((void *)(uintptr_t)j->items[i].name.p);
	free(j->items);
	free(j->looks);
	free(j->before);
	free(j->ops);
	free(j->placed);
	stored_release(&j->batch);
	free(j);
}

static void keep_batch(struct replica *r, const struct action *a, struct stored *st)
{
	st->records = xcalloc(a->n + 1, sizeof(*st->records));
	st->n = a->n;
	for (size_t i = 0; i < a->n; i++) {
		if (engine_recorded(r->e, a->nodes[i])) /* else its row goes */
			engine_record(r->e, a->nodes[i], &st->records[i].bytes);
		node_path(r->e, a->nodes[i], st->records[i].path);
	}
	st->counter = engine_counter(r->e);
	st->n_reps = engine_replicas(r->e);
	if (st->n_reps > ARRAY_LEN(st->reps))
		abort();
	for (size_t i = 0; i < st->n_reps; i++) {
		struct replica_info info = engine_replica(r->e, (rep_t)i);
		st->reps[i] = seen_of(&info);
		snprintf(st->names[i], sizeof(st->names[i]), "%s", info.name);
	}
	uint64_t newest;
	engine_lives(r->e, &st->lives, &newest);
	st->id = r->id;
	st->index = engine_index_state(r->e);
}

void job_keep(struct sim *s, struct replica *r, const struct action *a)
{
	struct job *j = xcalloc(1, sizeof(*j));
	j->type = a->type;
	j->id = a->job;
	j->peer = a->peer;
	text_of(a->path, j->path);
	if (a->type == ACT_LOOK) {
		j->n = a->n;
		j->looks = xmemdup(a->looks, a->n * sizeof(*a->looks));
		j->before = xcalloc(a->n, sizeof(*j->before));
		for (size_t i = 0; i < a->n; i++)
			j->looks[i].path = bytes_copy(a->looks[i].path);
	} else if (a->type == ACT_APPLY) {
		j->n = a->n;
		j->ops = xmemdup(a->ops, a->n * sizeof(*a->ops));
		j->placed = xcalloc(a->n, sizeof(*j->placed));
		for (size_t i = 0; i < a->n; i++) {
			j->ops[i].path = bytes_copy(a->ops[i].path);
			j->ops[i].from = bytes_copy(a->ops[i].from);
			j->ops[i].data = bytes_copy(a->ops[i].data);
			j->ops[i].record = bytes_copy(a->ops[i].record);
		}
	} else if (a->type == ACT_FETCH) {
		memcpy(j->hash, a->hash, HASH_SIZE);
	} else if (a->type == ACT_STORE) {
		keep_batch(r, a, &j->batch);
	}
	note(s, r->at, "begins %d: %zu, %s", (int)a->type, a->n, j->path);
	GROW(r->jobs, r->jobs_cap, r->n_jobs + 1);
	r->jobs[r->n_jobs++] = j;
}

/* ---- lists and looks ---- */

static void run_list(struct sim *s, struct replica *r, struct job *j)
{
	const struct object *dir = disk_find(&r->disk, j->path);
	j->unwatched = fails(s, r);
	if (r->halted)
		j->error = -ENODEV;
	else if (*j->path && (!dir || dir->kind != KIND_DIR))
		j->error = dir ? -ENOTDIR : -ENOENT;
	else if (fails(s, r))
		j->error = -EACCES;
	if (j->error == -EACCES)
		cover(MET_UNREADABLE);
	if (j->error)
		return;
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *o = &r->disk.at[i];
		char parent[PATH_CAP];
		path_parent_of(o->path, parent);
		if (strcmp(parent, j->path) != 0)
			continue;
		j->items = xrealloc(j->items, j->n_items + 1, sizeof(*j->items));
		struct listed *it = &j->items[j->n_items++];
		it->name = bytes_copy(bytes_of(path_base_of(o->path)));
		disk_describe(o, &it->found);
	}
}

static void look_begins(struct replica *r, struct job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		char path[PATH_CAP];
		text_of(j->looks[i].path, path);
		disk_describe(disk_find(&r->disk, path), &j->before[i]);
	}
}

static int look_error(struct sim *s, struct replica *r, const struct look *l, const struct object *o,
                      const char *path, const struct found *before)
{
	char parent[PATH_CAP];
	if (r->halted)
		return -ENODEV;
	if (fails(s, r))
		return -EIO;
	if (l->found.kind == before->kind && l->found.stamp == before->stamp &&
	    l->found.ctime_ns == before->ctime_ns) {
		path_parent_of(path, parent);
		if (o || disk_has_parent(&r->disk, path))
			return 0;
		return disk_find(&r->disk, parent) ? -ENOTDIR : -ENOENT;
	}
	cover(MET_BUSY);
	return -EAGAIN;
}

static void run_look(struct sim *s, struct replica *r, struct look *l, const struct found *before)
{
	char path[PATH_CAP];
	text_of(l->path, path);
	struct object *o = disk_find(&r->disk, path);
	disk_describe(o, &l->found);
	l->error = look_error(s, r, l, o, path, before);
	note(s, r->at, "looks at %s: c%u %d", path, o ? o->content : 0, l->error);
	if (l->error) {
		l->found = (struct found){.kind = KIND_ABSENT};
		return;
	}
	l->unchanged = l->glance && o && o->kind == KIND_FILE && l->found.stamp == l->known_stamp &&
	               l->found.ctime_ns == l->known_ctime_ns;
	if (o && o->kind == KIND_FILE)
		disk_sync_data(r, o);
	disk_sync(r);
	if (!o || l->unchanged || o->kind == KIND_DIR || o->kind == KIND_OTHER)
		return;
	content_hash(o->content, l->found.hash);
	o->untold = false;
	oracle_durable(s, r, o->content);
	if (o->kind == KIND_SYMLINK) {
		char target[32];
		target_text(o->content, target);
		l->found.target = xmemdup(target, strlen(target));
	}
}

/* ---- ops ---- */

static bool is_expected(const struct object *o, const struct op *op)
{
	struct found f;
	disk_describe(o, &f);
	if (op->expect_kind == KIND_ABSENT || !o)
		return (op->expect_kind == KIND_ABSENT) == !o;
	return o->kind == op->expect_kind && (o->kind == KIND_DIR || f.stamp == op->expect_stamp);
}

static bool tmp_take(struct replica *r, uint64_t id, content_t *c)
{
	for (size_t i = 0; i < r->n_tmps; i++) {
		if (r->tmps[i].id != id)
			continue;
		*c = r->tmps[i].content;
		r->tmps[i] = r->tmps[--r->n_tmps];
		return true;
	}
	return false;
}

void tmp_drop(struct sim *s, struct replica *r, uint64_t id)
{
	content_t c;
	if (!tmp_take(r, id, &c))
		fault(s, "%c drops a temporary file that is not there", 'A' + (int)r->at);
}

/* The content that the op is to place. */
static int op_content(struct sim *s, struct replica *r, const struct op *op, struct object **src, content_t *c)
{
	char from[PATH_CAP];
	struct found f;
	uint8_t hash[HASH_SIZE];
	*c = CONTENT_EMPTY;
	*src = NULL;
	switch (op->source) {
	case SOURCE_DATA:
		if (!content_parse(op->data, c))
			return -EBADMSG;
		break;
	case SOURCE_TMP:
		if (!tmp_take(r, op->tmp, c)) {
			fault(s, "%c uses a temporary file that is not there", 'A' + (int)r->at);
			return -EIO;
		}
		break;
	case SOURCE_COPY:
	case SOURCE_MOVE:
		text_of(op->from, from);
		*src = disk_find(&r->disk, from);
		disk_describe(*src, &f);
		if (!*src || (*src)->kind != KIND_FILE || f.stamp != op->from_stamp)
			return -ESTALE;
		if (op->source == SOURCE_MOVE && (*src)->open)
			return -ETXTBSY;
		*c = (*src)->content;
		if (op->source == SOURCE_MOVE)
			return 0; /* its stamp vouches for it */
		break;
	case SOURCE_NONE:
		break;
	}
	content_hash(*c, hash);
	return memcmp(hash, op->hash, HASH_SIZE) == 0 ? 0 : -EBADMSG;
}

static struct object placed_object(struct sim *s, struct replica *r, const struct op *op, const char *path,
                                   uint8_t kind, content_t c)
{
	struct object o = {.ino = ++s->next_ino, .ctime = now_of(s, r), .mtime = op->mtime_ns,
	                   .safe_mtime = op->mtime_ns, .content = c, .safe = c, .mode = op->mode, .kind = kind};
	if (kind == KIND_DIR)
		o.mtime = o.ctime;
	if (kind == KIND_SYMLINK)
		o.mode = 0777;
	memcpy(o.path, path, strlen(path) + 1);
	return o;
}

static int place(struct sim *s, struct replica *r, struct op *op, const char *path, struct object *o)
{
	struct object new = {0}, *src = NULL;
	content_t c = CONTENT_EMPTY;
	char target[32], data[32] = "";
	if (op->type == OP_MKDIR) {
		new = placed_object(s, r, op, path, KIND_DIR, CONTENT_EMPTY);
	} else if (op->type == OP_SYMLINK) {
		if (op->data.len >= sizeof(data))
			return -EBADMSG;
		memcpy(data, op->data.p, op->data.len);
		c = (content_t)strtoul(data + (op->data.len > 3 ? 3 : 0), NULL, 10);
		target_text(c, target);
		if (strcmp(target, data) != 0)
			return -EBADMSG;
		new = placed_object(s, r, op, path, KIND_SYMLINK, c);
	} else {
		int err = op_content(s, r, op, &src, &c);
		if (err)
			return err;
		new = placed_object(s, r, op, path, KIND_FILE, c);
	}
	if (op->source == SOURCE_MOVE) {
		new.ino = src->ino;
		new.dirty = src->dirty;
		new.safe = src->safe;
		char from[PATH_CAP];
		memcpy(from, src->path, PATH_CAP);
		if (o)
			oracle_displaces(s, r, o);
		disk_move(r, from, path, new.ctime);
		o = disk_find(&r->disk, path);
		*o = new;
		disk_meta(r, o);
		return 0;
	}
	if (o)
		oracle_displaces(s, r, o);
	if (o && o->kind == KIND_DIR)
		disk_del(r, o);
	disk_put(r, &new);
	return 0;
}

static int run_op(struct sim *s, struct replica *r, struct op *op, const char *path)
{
	struct object *o = disk_find(&r->disk, path);
	bool takes = op->type == OP_DELETE || op->type == OP_RMDIR;
	if (r->halted)
		return -ENODEV;
	if (!disk_has_parent(&r->disk, path))
		return -ENOENT;
	if (!is_expected(o, op))
		return -ESTALE;
	if (o && o->open)
		return -ETXTBSY;
	if (o && o->kind == KIND_DIR && op->type != OP_META && !disk_empty(&r->disk, path))
		return -ENOTEMPTY;
	if (!o && !oracle_storable(r, path)) {
		cover(MET_NOT_STORABLE);
		return -EINVAL;
	}
	if (!takes && r->full && op->type != OP_META && !s->quiet_faults)
		return -ENOSPC;
	if (fails(s, r))
		return below(s, 2) ? -EACCES : -EIO;
	s->wall_ns += 1000;
	if (takes) {
		if ((op->type == OP_RMDIR) != (o->kind == KIND_DIR))
			return -ESTALE;
		oracle_displaces(s, r, o);
		disk_del(r, o);
		return 0;
	}
	if (op->type != OP_META)
		return place(s, r, op, path, o);
	if (!o)
		return -ESTALE;
	o->mode = op->mode;
	o->ctime = now_of(s, r);
	if (o->kind != KIND_DIR)
		o->mtime = o->safe_mtime = op->mtime_ns;
	disk_meta(r, o);
	return 0;
}

static void intent_add(struct replica *r, const struct op *op, uint64_t job, uint64_t placed)
{
	if (!r->intents)
		r->intents = xcalloc(1, sizeof(*r->intents));
	struct intents *in = r->intents;
	GROW(in->at, in->cap, in->n + 1);
	struct intent *i = &in->at[in->n++];
	*i = (struct intent){.found = op->found, .job = job, .placed = placed, .type = op->type};
	text_of(op->path, i->path);
	if (op->source == SOURCE_MOVE)
		text_of(op->from, i->from);
	buf_add(&i->record, op->record.p, op->record.len);
}

static void apply_one(struct sim *s, struct replica *r, struct job *j)
{
	struct op *op = &j->ops[j->next];
	char path[PATH_CAP];
	text_of(op->path, path);
	if (op->path.len >= PATH_CAP) {
		op->error = -ENAMETOOLONG;
		return;
	}
	bool tmp_used = op->source == SOURCE_TMP && r->n_tmps;
	op->error = run_op(s, r, op, path);
	content_t unused;
	if (op->error && tmp_used)
		tmp_take(r, op->tmp, &unused); /* used up in any case */
	const struct object *o = disk_find(&r->disk, path);
	mix(s, hash64(path, strlen(path), (uint64_t)op->type << 32 | (uint32_t)op->error));
	note(s, r->at, "op %d source %d on %s: %d, now kind %d c%u", (int)op->type, (int)op->source, path,
	     op->error, o ? o->kind : 0, o ? o->content : 0);
	if (op->error)
		return;
	disk_describe(o, &op->found);
	j->placed[j->next] = o ? o->ino : 0;
	oracle_placed(s, r, path, o && o->kind != KIND_DIR ? o->content : CONTENT_EMPTY);
	if (o && (o->kind == KIND_FILE || o->kind == KIND_SYMLINK))
		oracle_durable(s, r, o->safe); /* contents are synced before they get a name */
	hint_add(r, path, o ? HINT_TOUCHED : HINT_GONE);
	intent_add(r, op, j->id, j->placed[j->next]);
}

static void apply_sync(struct replica *r, struct job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		char path[PATH_CAP];
		text_of(j->ops[i].path, path);
		struct object *o = j->ops[i].error ? NULL : disk_find(&r->disk, path);
		if (!o || o->ino != j->placed[i])
			continue;
		if (j->ops[i].source == SOURCE_MOVE)
			disk_sync_data(r, o);
	}
	disk_sync(r);
	for (size_t i = 0; r->intents && i < r->intents->n; i++)
		r->intents->at[i].synced |= r->intents->at[i].job == j->id;
}

/* ---- intents ---- */

static void intent_release(struct intents *in, size_t i)
{
	buf_release(&in->at[i].record);
	memmove(&in->at[i], &in->at[i + 1], (--in->n - i) * sizeof(*in->at));
}

static void intents_answered(struct replica *r, uint64_t job)
{
	for (size_t i = 0; r->intents && i < r->intents->n; i++) {
		if (r->intents->at[i].job != job)
			continue;
		r->intents->at[i].job = 0;
		r->intents->at[i].changes = engine_changes(r->e);
	}
}

/* Drops those that are not needed any more; a stale one is harmless, so some stay. */
static void intents_stored(struct sim *s, struct replica *r)
{
	for (size_t i = r->intents ? r->intents->n : 0; i-- > 0; ) {
		const struct intent *in = &r->intents->at[i];
		if (!in->job && in->changes <= engine_changes_stored(r->e) && below(s, 3))
			intent_release(r->intents, i);
	}
}

/* What recovery sees: is what the op placed under the name? What was synced is done in any case. */
static bool was_done(struct replica *r, const struct intent *in)
{
	const struct object *o = disk_find(&r->disk, in->path);
	if (in->synced)
		return true;
	if (in->type == OP_DELETE || in->type == OP_RMDIR)
		return !o;
	struct found f;
	disk_describe(o, &f);
	return o && o->ino == in->placed && f.stamp == in->found.stamp &&
	       (in->type != OP_META || f.mode == in->found.mode); /* else somebody has changed that since */
}

void intents_tell(struct sim *s, struct replica *r)
{
	if (r->intents && r->intents->n)
		disk_sync(r); /* what is found is to stay: the program may have ended before it was synced */
	for (size_t i = 0; r->intents && i < r->intents->n; i++) {
		struct intent *in = &r->intents->at[i];
		if (!was_done(r, in)) {
			intent_release(r->intents, i--);
			continue;
		}
		for (unsigned times = 1 + (below(s, 8) == 0); times; times--)
			if (engine_load_applied(r->e, bytes_of(in->path), bytes_of(in->from),
			                        (struct bytes){in->record.data, in->record.len}, &in->found))
				fault(s, "%c refuses its own record of an op on %s", 'A' + (int)r->at, in->path);
		note(s, r->at, "recovers %s", in->path);
		in->job = 0;
		in->synced = true;
		in->changes = engine_changes(r->e);
	}
}

void intents_release(struct replica *r)
{
	while (r->intents && r->intents->n)
		intent_release(r->intents, r->intents->n - 1);
	if (r->intents)
		free(r->intents->at);
	free(r->intents);
	r->intents = NULL;
}

/* ---- fetches and commits ---- */

static bool run_fetch(struct sim *s, struct replica *r, struct job *j)
{
	struct replica *f = &s->r[j->peer];
	char path[PATH_CAP];
	uint8_t hash[HASH_SIZE];
	if (!s->link[r->at][f->at].up) {
		j->error = -ENOTCONN;
		return true;
	}
	if (s->link[r->at][f->at].stalled || s->link[f->at][r->at].stalled)
		return false;
	if (r->full && !s->quiet_faults) {
		j->error = -ENOSPC;
		return true;
	}
	if (fails(s, r) || (f->evil && below(s, 2))) {
		j->error = below(s, 2) ? -EBADMSG : -EIO;
		return true;
	}
	node_t n = engine_find_content(f->e, j->hash);
	if (n != NODE_NONE)
		node_path(f->e, n, path);
	const struct object *o = n == NODE_NONE || f->halted ? NULL : disk_find(&f->disk, path);
	if (o && o->kind == KIND_FILE)
		content_hash(o->content, hash);
	if (o && o->kind == KIND_FILE && memcmp(hash, j->hash, HASH_SIZE) == 0) {
		j->tmp = ++s->next_tmp;
		GROW(r->tmps, r->tmps_cap, r->n_tmps + 1);
		r->tmps[r->n_tmps++] = (struct tmp){j->tmp, o->content};
		return true;
	}
	j->error = -ENODATA;
	if (n != NODE_NONE) {
		tell_time(s, f);
		engine_doubt(f->e, bytes_of(path));
		wake(f);
	}
	return true;
}

static void run_commit(struct sim *s, struct replica *r, struct job *j)
{
	struct stored *st = &r->stored;
	j->error = (r->full && !s->quiet_faults) || fails(s, r) ? -ENOSPC : 0;
	if (j->error)
		return;
	for (size_t i = 0; i < j->batch.n; i++) {
		struct record *in = &j->batch.records[i];
		size_t k = 0;
		while (k < st->n && strcmp(st->records[k].path, in->path) != 0)
			k++;
		if (!in->bytes.len) {
			if (k < st->n) {
				buf_release(&st->records[k].bytes);
				st->records[k] = st->records[--st->n];
			}
			continue;
		}
		if (k == st->n) {
			GROW(st->records, st->cap, st->n + 1);
			st->records[st->n++] = (struct record){0};
		}
		buf_release(&st->records[k].bytes);
		st->records[k] = *in;
		*in = (struct record){0};
	}
	st->counter = j->batch.counter;
	st->n_reps = j->batch.n_reps;
	memcpy(st->reps, j->batch.reps, sizeof(st->reps));
	memcpy(st->names, j->batch.names, sizeof(st->names));
	buf_release(&st->lives);
	st->lives = j->batch.lives;
	j->batch.lives = (struct buf){0};
	st->id = j->batch.id;
	st->index = j->batch.index;
	st->there = true;
}

/* ---- steps ---- */

/* False: it cannot go on now. */
static bool carry_out(struct sim *s, struct replica *r, struct job *j)
{
	switch (j->type) {
	case ACT_LIST:
		run_list(s, r, j);
		break;
	case ACT_LOOK:
		if (j->phase == PHASE_NEW) {
			look_begins(r, j);
			j->phase = PHASE_RUNS;
			return true;
		}
		run_look(s, r, &j->looks[j->next], &j->before[j->next]);
		if (++j->next < j->n)
			return true;
		break;
	case ACT_APPLY:
		j->phase = PHASE_RUNS;
		if (j->next < j->n) {
			apply_one(s, r, j);
			j->next++;
			return true;
		}
		apply_sync(r, j);
		break;
	case ACT_FETCH:
		if (!run_fetch(s, r, j))
			return false;
		break;
	default:
		run_commit(s, r, j);
		break;
	}
	j->phase = PHASE_DONE;
	return true;
}

static void answer(struct sim *s, struct replica *r, struct job *j)
{
	struct engine *e = r->e;
	tell_time(s, r);
	wake(r);
	mix(s, (uint64_t)j->type << 40 ^ (uint32_t)j->error ^ j->id << 8);
	switch (j->type) {
	case ACT_LIST:
		engine_listed(e, j->id, j->error, j->items, j->n_items, j->unwatched);
		break;
	case ACT_LOOK:
		engine_looked(e, j->id, j->looks, j->n);
		break;
	case ACT_APPLY:
		engine_applied(e, j->id, j->ops, j->n);
		for (size_t i = 0; i < j->n; i++) {
			char path[PATH_CAP];
			text_of(j->ops[i].path, path);
			oracle_told(s, r, path);
		}
		intents_answered(r, j->id);
		break;
	case ACT_FETCH:
		engine_fetched(e, j->id, j->error, j->tmp);
		break;
	default:
		if (j->error)
			engine_store_failed(e, j->id, "disk full");
		else
			engine_stored(e, j->id);
		intents_stored(s, r);
		break;
	}
}

bool job_step(struct sim *s, struct replica *r)
{
	for (size_t tries = 0, at = r->n_jobs ? below(s, (unsigned)r->n_jobs) : 0; tries < r->n_jobs; tries++) {
		size_t i = (at + tries) % r->n_jobs;
		struct job *j = r->jobs[i];
		if (j->phase != PHASE_DONE) {
			if (!carry_out(s, r, j))
				continue;
			return true;
		}
		r->jobs[i] = r->jobs[--r->n_jobs];
		answer(s, r, j);
		job_free(j);
		return true;
	}
	return false;
}

void jobs_drop(struct replica *r)
{
	while (r->n_jobs)
		job_free(r->jobs[--r->n_jobs]);
}

void jobs_cover(struct replica *r, bool power)
{
	for (size_t i = 0; i < r->n_jobs; i++) {
		const struct job *j = r->jobs[i];
		bool done = j->phase == PHASE_DONE;
		if (j->type == ACT_LIST)
			cover(MET_K_LIST);
		else if (j->type == ACT_LOOK)
			cover(MET_K_LOOK);
		else if (j->type == ACT_FETCH)
			cover(MET_K_FETCH);
		else if (j->type == ACT_STORE)
			cover(done ? MET_K_STORE_UNTOLD : MET_K_STORE_BEFORE);
		else if (done)
			cover(MET_K_OP_UNTOLD);
		else if (j->next == j->n && power)
			cover(MET_K_OP_UNSYNCED);
		else if (j->next && j->next < j->n)
			cover(MET_K_OP_BETWEEN);
		else if (!j->next)
			cover(MET_K_OP_BEFORE);
	}
}
