/* Owns the settling of conflicts: which versions there are, what is done to keep some of them, and how
 * that is taken back. */
#include "config.h"
#include "settle.h"

#include "deeds.h"
#include "disk.h"
#include "past.h"
#include "path.h"
#include "status.h"
#include "text.h"
#include "trash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 400 * 1024,  /* the largest conflict fits into the rest of the frame */
	OPS_MAX = 2 * ENGINE_VERSIONS_MAX,
};

/* What is there to be settled at a path. */
struct versions {
	struct version_view v[ENGINE_VERSIONS_MAX];
	const struct deed_file *was[ENGINE_VERSIONS_MAX]; /* as it was taken back, or NULL */
	size_t n;
	uint64_t stamp;
	uint64_t again; /* number of the deed that was taken back; 0: the engine knows the conflict */
};

/* One resolution, or one that is taken back, under way. Its ops point into `before`. */
struct work {
	struct job job;
	struct settles *all;
	struct work *next;
	struct asker *asker;
	struct deed before;       /* what is there, and stays so here */
	struct deed deed;         /* the same with what became of it */
	struct deed over;         /* was taken back, and is settled now in another way; n 0: none */
	struct op ops[OPS_MAX];
	size_t file[OPS_MAX];     /* of the deed, that the op is about */
	bool from_trash[OPS_MAX]; /* its content is copied from there first */
	size_t n;
	bool undo, both;
	enum root_state root;
	int error;                /* the first one ... */
	size_t failed;            /* ... and the file that it is about */
	bool gone;                /* the trash does not have it any more */
	bool done;                /* something was changed */
};

struct settles {
	struct daemon *d;
	struct deeds deeds;
	struct work *first, **last; /* the first one runs */
};

struct settles *settles_new(struct daemon *d)
{
	struct settles *all = xcalloc(1, sizeof(*all));
	all->d = d;
	all->last = &all->first;
	deeds_init(&all->deeds, d->settings->state);
	return all;
}

void settles_free(struct settles *all)
{
	assert(!all->first);
	deeds_release(&all->deeds);
	free(all);
}

/* ---- what there is ---------------------------------------------------------------------- */

static struct bytes path_of(const struct daemon *d, node_t n, struct buf *out)
{
	tree_path(engine_tree(d->engine), n, out);
	return (struct bytes){out->data, out->len};
}

static void stamp(const struct daemon *d, struct versions *all)
{
	all->stamp = all->again;
	for (size_t i = 0; i < all->n; i++) {
		uint64_t parts[2] = {engine_stamp(d->engine, all->v[i].node), all->v[i].kind};
		all->stamp = hash64(parts, sizeof(parts), all->stamp);
	}
}

static bool shows(const struct entry_view *e, const struct deed_file *f)
{
	return e->shown && e->shown->kind == f->kind &&
	       memcmp(e->shown->hash, f->hash, HASH_SIZE) == 0;
}

/* Of one that was taken back: those of its files that are there, if they still differ. */
static void versions_again(const struct daemon *d, const struct deed *deed, struct versions *out)
{
	bool differ = false;
	*out = (struct versions){.again = deed->n};
	for (size_t i = 0; i < deed->n_files; i++) {
		node_t n = tree_find(engine_tree(d->engine), deed->files[i].path);
		struct entry_view e;
		if (n == NODE_NONE || !engine_entry(d->engine, n, &e) || !e.shown)
			continue;
		if (out->n && !head_same_content(e.shown, out->v[0].head))
			differ = true;
		out->was[out->n] = shows(&e, &deed->files[i]) ? &deed->files[i] : NULL;
		out->v[out->n++] = (struct version_view){
			.head = e.shown, .node = n, .kind = e.shown->kind, .here = true,
		};
	}
	if (!differ)
		out->n = 0;
}

/* The copies in the order of names. */
static void sort_copies(const struct daemon *d, struct versions *all)
{
	for (size_t i = 2; i < all->n; i++) {
		struct version_view v = all->v[i];
		const struct deed_file *was = all->was[i];
		size_t at = i;
		while (at > 1 &&
		       tree_compare(engine_tree(d->engine), all->v[at - 1].node, v.node) > 0) {
			all->v[at] = all->v[at - 1];
			all->was[at] = all->was[at - 1];
			at--;
		}
		all->v[at] = v;
		all->was[at] = was;
	}
}

static void versions_of(struct settles *all, node_t n, struct bytes path, struct versions *out)
{
	struct daemon *d = all->d;
	*out = (struct versions){0};
	out->n = engine_versions(d->engine, n, out->v);
	for (size_t i = all->deeds.n; i-- > 0 && !out->n;) {
		const struct deed *deed = &all->deeds.items[i];
		if (deed->state == DEED_UNDONE && bytes_eq(deed->files[0].path, path))
			versions_again(d, deed, out);
	}
	sort_copies(d, out);
	stamp(d, out);
}

/* Is this one taken back, and open again, though the engine sees no conflict? `at`: its name. */
static bool is_open_again(const struct settles *all, const struct deed *deed, node_t at)
{
	struct versions v;
	if (at != NODE_NONE && engine_versions(all->d->engine, at, v.v))
		return false;
	versions_again(all->d, deed, &v);
	return v.n > 0;
}

/* The names of all these, each once: the caller's to free. */
static size_t open_again(const struct settles *all, node_t **out)
{
	size_t n = 0;
	*out = xcalloc(all->deeds.n + 1, sizeof(**out));
	for (size_t i = 0; i < all->deeds.n; i++) {
		const struct deed *deed = &all->deeds.items[i];
		if (deed->state != DEED_UNDONE)
			continue;
		node_t at = tree_find(engine_tree(all->d->engine), deed->files[0].path);
		bool known = at == NODE_NONE;
		for (size_t k = 0; k < n && !known; k++)
			known = (*out)[k] == at;
		if (!known && is_open_again(all, deed, at))
			(*out)[n++] = at;
	}
	return n;
}

size_t settles_open_again(const struct settles *all)
{
	node_t *nodes;
	size_t n = open_again(all, &nodes);
	free(nodes);
	return n;
}

void settles_follow(const struct settles *all)
{
	node_t *nodes;
	size_t n = open_again(all, &nodes);
	engine_reopened(all->d->engine, nodes, n);
	free(nodes);
}

/* Whose it is: of one that was taken back, whose it was before. */
static struct bytes maker(struct daemon *d, const struct versions *all, size_t i)
{
	const struct head *h = all->v[i].head;
	return all->was[i] ? all->was[i]->by : h ? daemon_replica_name(d, h->dot.rep)
						 : (struct bytes){0};
}

static void pack_version(struct daemon *d, const struct versions *all, size_t i, struct buf *out)
{
	const struct version_view *v = &all->v[i];
	struct buf path = {0};
	const struct head *h = v->head;
	wire_map(out, 9);
	wire_put_uint(out, "kind", v->kind);
	wire_put_uint(out, "size", h && v->kind != KIND_DIR ? h->size : 0);
	wire_put_int(out, "mtime", h ? h->mtime : 0);
	wire_key(out, "hash");
	if (h && v->kind != KIND_DIR)
		wire_fixed(out, h->hash, HASH_SIZE);
	else
		wire_nil(out);
	wire_key(out, "target");
	if (h && v->kind == KIND_SYMLINK)
		wire_bin(out, (struct bytes){h->target, (size_t)h->size});
	else
		wire_nil(out);
	wire_key(out, "replica");
	status_put_str(out, maker(d, all, i), 255);
	wire_put_uint(out, "counter", h ? h->dot.counter : 0);
	wire_key(out, "copy");
	if (i)
		wire_bin(out, path_of(d, v->node, &path));
	else
		wire_nil(out);
	wire_put_bool(out, "here", v->here);
	buf_release(&path);
}

static void pack_conflict(struct daemon *d, struct bytes path, const struct versions *v,
			  struct buf *out)
{
	wire_map(out, 3);
	wire_put_bin(out, "path", path);
	wire_put_uint(out, "stamp", v->stamp);
	wire_key(out, "versions");
	wire_array(out, v->n);
	for (size_t i = 0; i < v->n; i++)
		pack_version(d, v, i, out);
}

/* Puts a path that was taken back among the others of the page. */
static size_t page_put(const struct tree *t, node_t *page, size_t n, size_t max, node_t node)
{
	size_t at = n;
	while (at && tree_compare(t, page[at - 1], node) > 0)
		at--;
	if (at == max || (at && page[at - 1] == node))
		return n;
	if (n == max)
		n--;
	memmove(page + at + 1, page + at, (n - at) * sizeof(*page));
	page[at] = node;
	return n + 1;
}

void settles_pack(struct settles *all, const msgpack_object *params, struct buf *out)
{
	struct daemon *d = all->d;
	const struct tree *t = engine_tree(d->engine);
	struct bytes under, after;
	uint64_t max;
	wire_get_bytes(params, "under", &under);
	wire_get_bytes(params, "after", &after);
	wire_get_uint(params, "max", INT64_MAX, &max);
	size_t want = (size_t)max + 1; /* one more tells whether there are more */
	node_t *page = xcalloc(want + 1, sizeof(*page));
	node_t top = tree_find(t, under);
	size_t n = engine_conflicts(d->engine, top, after, page, want);
	for (size_t i = 0; i < all->deeds.n; i++) {
		const struct deed *deed = &all->deeds.items[i];
		node_t at = tree_find(t, deed->files[0].path);
		if (deed->state == DEED_UNDONE && at != NODE_NONE && top != NODE_NONE &&
		    tree_is_under(t, at, top) &&
		    (!after.len || path_compare(deed->files[0].path, after) > 0))
			n = page_put(t, page, n, want, at);
	}
	struct buf path = {0};
	size_t packed = 0, i = 0;
	wire_map(out, 2);
	wire_key(out, "conflicts");
	size_t mark = wire_array_begin(out), start = out->len;
	for (; i < n && i < max && out->len - start < PAGE_BYTES; i++) {
		struct versions v;
		struct bytes p = path_of(d, page[i], &path);
		versions_of(all, page[i], p, &v);
		if (!v.n)
			continue;
		pack_conflict(d, p, &v, out);
		packed++;
	}
	wire_array_end(out, mark, packed);
	wire_put_bool(out, "more", i < n);
	buf_release(&path);
	free(page);
}

/* ---- in a worker ------------------------------------------------------------------------ */

static void fail(struct work *w, size_t file, int error)
{
	if (!w->error) {
		w->error = error;
		w->failed = file;
	}
}

static void set_now(struct deed_file *f, struct bytes now)
{
	const uint8_t *old = f->now.p;
	f->now = (struct bytes){xmemdup(now.len ? (const void *)now.p : "", now.len), now.len};
	free((void *)(uintptr_t)old);
}

/* Each copy that is to be kept gets its new name. */
static void name_copies(struct work *w)
{
	struct root *root = w->all->d->root;
	struct buf name = {0};
	unsigned number = 2;
	for (size_t i = 0; i < w->n && !w->error; i++) {
		struct deed_file *f = &w->before.files[w->file[i]];
		if (w->ops[i].type == OP_DELETE)
			continue; /* the old name of a symlink */
		int err = past_free_name(root, w->before.files[0].path, &number, &name);
		if (err)
			fail(w, w->file[i], err);
		set_now(f, (struct bytes){name.data, name.len});
		w->ops[i].path = f->now;
	}
	buf_release(&name);
}

static void take_from_trash(struct work *w)
{
	for (size_t i = 0; i < w->n && !w->error; i++) {
		const struct deed_file *f = &w->deed.files[w->file[i]];
		if (!w->from_trash[i])
			continue;
		int err = past_take(w->all->d->root, f->trash, f->hash, f->size, &w->ops[i].tmp);
		w->gone = err == -ENOENT || err == -EBADMSG;
		if (err)
			fail(w, w->file[i], err);
	}
	for (size_t i = 0; i < w->n && w->error; i++)
		if (w->from_trash[i] && w->ops[i].tmp)
			tmp_remove(w->all->d->root, w->ops[i].tmp);
}

/* What the ops made of the files. */
static void note_resolved(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct op *op = &w->ops[i];
		struct deed_file *f = &w->deed.files[w->file[i]];
		if (op->error) {
			fail(w, w->file[i], op->error);
			if (op->type != OP_DELETE)
				set_now(f, f->path);
			continue;
		}
		w->done = true;
		if (op->type != OP_DELETE) {
			set_now(f, op->path);
			if (bytes_eq(op->path, w->deed.files[0].path)) {
				set_now(&w->deed.files[0], (struct bytes){0});
				memcpy(w->deed.files[0].trash, op->trash, sizeof(op->trash));
			}
		} else if (f->kind != KIND_SYMLINK || bytes_eq(f->now, f->path)) {
			set_now(f, (struct bytes){0});
			memcpy(f->trash, op->trash, sizeof(f->trash));
		}
	}
}

static void note_undone(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->ops[i].error)
			fail(w, w->file[i], w->ops[i].error);
	}
	if (w->error)
		return;
	w->done = true;
	w->deed.state = DEED_UNDONE;
	for (size_t i = 0; i < w->deed.n_files; i++)
		set_now(&w->deed.files[i], w->deed.files[i].path);
}

/* What goes, goes only when what is to be kept has its place. */
static void apply(struct work *w)
{
	bool failed = false;
	for (size_t i = 0, end; i < w->n; i = end) {
		bool deletes = w->ops[i].type == OP_DELETE;
		for (end = i; end < w->n && (w->ops[end].type == OP_DELETE) == deletes; end++)
			w->ops[end].error = -ECANCELED;
		if (!failed)
			disk_apply(w->all->d, w->ops + i, end - i);
		for (size_t k = i; k < end; k++)
			failed = failed || w->ops[k].error;
	}
}

static void work_run(struct job *job)
{
	struct work *w = (struct work *)job;
	struct daemon *d = w->all->d;
	w->root = root_check(d->root);
	if (w->root != ROOT_OK) {
		w->error = -ENODEV;
		return;
	}
	if (w->both)
		name_copies(w);
	else if (w->undo)
		take_from_trash(w);
	if (w->error)
		return;
	apply(w);
	(w->undo ? note_undone : note_resolved)(w);
	/* What cannot be recorded is done all the same: it can be restored, though not taken back. */
	if (w->done && w->over.n)
		(void)deeds_write(&w->all->deeds, &w->over);
	if (w->done)
		(void)deeds_write(&w->all->deeds, &w->deed);
}

/* ---- on the loop ------------------------------------------------------------------------ */

static void work_free(struct work *w)
{
	deed_release(&w->before);
	deed_release(&w->deed);
	deed_release(&w->over);
	free(w);
}

static void answer_error(struct work *w, const char *code, const char *words)
{
	struct buf text = {0};
	if (w->failed < w->before.n_files) {
		text_show(&text, w->before.files[w->failed].path);
		buf_addf(&text, " ");
	}
	buf_addf(&text, "%s", words);
	buf_add_char(&text, '\0');
	asker_answer(w->asker, NULL, code, (const char *)text.data);
	buf_release(&text);
}

static void answer(struct work *w)
{
	struct buf map = {0};
	if (w->error == -ENODEV && w->root != ROOT_OK) {
		asker_answer(w->asker, NULL, ERROR_FAILED, root_state_text(w->root));
	} else if (w->gone) {
		answer_error(w, ERROR_NOT_FOUND, "is not in the trash any more");
	} else if (w->error == -ESTALE || w->error == -EBADMSG || w->error == -ENOTEMPTY) {
		answer_error(w, ERROR_CHANGED, "has been changed just now");
	} else if (w->error == -ETXTBSY) {
		answer_error(w, ERROR_BUSY, "is being written");
	} else if (w->error == -ECANCELED) {
		asker_answer(w->asker, NULL, ERROR_FAILED, "the server is ending");
	} else if (w->error == -ENOTUNIQ) {
		answer_error(w, ERROR_FAILED, "has a name that another spelling has taken here");
	} else if (w->error) {
		answer_error(w, ERROR_FAILED, strerror(-w->error));
	} else {
		wire_map(&map, w->undo ? 2 : 1);
		wire_put_uint(&map, "undo", w->deed.n);
		if (w->undo)
			wire_put_bin(&map, "path", w->deed.files[0].path);
		asker_answer(w->asker, &map, NULL, NULL);
	}
	buf_release(&map);
}

/* The engine hears of it at once, also where nothing watches. */
static void hint(struct daemon *d, struct bytes path, enum hint what)
{
	struct engine *e = daemon_feed(d);
	node_t dir = tree_find(engine_tree(e), path_parent(path));
	if (path.len && dir != NODE_NONE)
		engine_hint(e, dir, path_base(path), what);
}

/* What an op displaced: the file that it deleted, or the one that had the name. */
static void tell_trash(struct work *w, size_t i)
{
	struct daemon *d = w->all->d;
	const struct op *op = &w->ops[i];
	const struct deed_file *f = &w->before.files[op->type == OP_DELETE ? w->file[i] : 0];
	bool known = !op->error && !w->undo;
	disk_trash(d->disk, &(struct store_trash){
		.name = bytes_of(op->trash), .path = op->path,
		.replica = bytes_of(d->settings->name), .what = bytes_of("resolved"),
		.time_ns = trash_time(bytes_of(op->trash)),
		.mtime_ns = known ? f->mtime_ns : 0, .size = known ? f->size : 0,
		.kind = known ? f->kind : KIND_ABSENT, .hash = known ? f->hash : NULL,
	});
}

static void tell_engine(struct work *w)
{
	struct daemon *d = w->all->d;
	watch_drain(d->watch);
	for (size_t i = 0; i < w->n; i++) {
		const struct op *op = &w->ops[i];
		if (op->trash[0])
			tell_trash(w, i);
		if (op->error)
			continue;
		hint(d, op->path, op->type == OP_DELETE ? HINT_GONE : HINT_TOUCHED);
		if (op->source == SOURCE_MOVE)
			hint(d, op->from, HINT_GONE);
	}
}

static void tell_people(struct work *w)
{
	struct buf detail = {0};
	const struct deed *deed = &w->deed;
	size_t kept = 0;
	for (size_t i = 1; i < deed->n_files && !w->undo && !w->both; i++)
		if (bytes_eq(deed->files[i].now, deed->files[0].path))
			kept = i;
	if (w->both)
		buf_addf(&detail, "all versions kept");
	else if (kept)
		buf_add(&detail, deed->files[kept].path.p, deed->files[kept].path.len);
	daemon_event(w->all->d, w->undo ? "undone" : "resolved", deed->files[0].path,
		     bytes_of(w->all->d->settings->name), (struct bytes){detail.data, detail.len});
	buf_release(&detail);
}

static void work_start(struct settles *all);

static void work_done(struct job *job, bool cancelled)
{
	struct work *w = (struct work *)job;
	struct settles *all = w->all;
	assert(all->first == w);
	if (cancelled)
		w->error = -ECANCELED;
	tell_engine(w);
	if (w->done && !w->error)
		tell_people(w);
	answer(w);
	if (w->done) {
		if (w->over.n)
			deeds_put(&all->deeds, &w->over);
		deeds_put(&all->deeds, &w->deed);
	}
	all->first = w->next;
	if (!all->first)
		all->last = &all->first;
	work_free(w);
	work_start(all);
	daemon_touch(all->d);
}

static void work_start(struct settles *all)
{
	if (!all->first)
		return;
	all->first->job = (struct job){.run = work_run, .done = work_done};
	daemon_submit(all->d, &all->first->job, JOB_URGENT);
}

static struct work *work_new(struct settles *all, struct asker *asker)
{
	struct work *w = xcalloc(1, sizeof(*w));
	w->all = all;
	w->asker = asker;
	w->failed = SIZE_MAX;
	return w;
}

static void copy_deed(struct deed *to, const struct deed *from)
{
	*to = (struct deed){.n = from->n, .time_ns = from->time_ns, .state = from->state};
	for (size_t i = 0; i < from->n_files; i++)
		deed_add(to, &from->files[i]);
}

static void work_queue(struct work *w)
{
	struct settles *all = w->all;
	copy_deed(&w->deed, &w->before);
	bool idle = !all->first;
	*all->last = w;
	all->last = &w->next;
	if (idle)
		work_start(all);
}

static void work_refuse(struct work *w, const char *code, const char *text)
{
	asker_answer(w->asker, NULL, code, text);
	work_free(w);
}

/* ---- resolving -------------------------------------------------------------------------- */

static struct op *add_op(struct work *w, size_t file, enum op_type type, struct bytes path)
{
	const struct deed_file *f = &w->before.files[file];
	assert(w->n < OPS_MAX);
	w->file[w->n] = file;
	struct op *op = &w->ops[w->n++];
	*op = (struct op){.path = path, .type = type, .size = f->size, .mtime_ns = f->mtime_ns,
			  .mode = f->mode};
	memcpy(op->hash, f->hash, HASH_SIZE);
	if (type == OP_SYMLINK)
		op->data = f->target;
	return op;
}

static void expect(struct op *op, const struct entry_view *there)
{
	op->expect_kind = there->disk_kind;
	op->expect_stamp = there->stamp;
}

/* The file, now at `from`, goes to `to`, where `there` is (NULL: nothing). */
static void add_move(struct work *w, size_t file, struct bytes to, const struct entry_view *there,
		     struct bytes from, const struct entry_view *what)
{
	bool link = w->before.files[file].kind == KIND_SYMLINK;
	struct op *op = add_op(w, file, link ? OP_SYMLINK : OP_WRITE, to);
	if (there)
		expect(op, there);
	if (link) {
		expect(add_op(w, file, OP_DELETE, from), what);
	} else {
		op->source = SOURCE_MOVE;
		op->from = from;
		op->from_stamp = what->stamp;
	}
}

static void add_file(struct daemon *d, struct deed *deed, const struct versions *all, size_t i,
		     const struct entry_view *there)
{
	const struct version_view *v = &all->v[i];
	struct buf path = {0};
	struct deed_file f = {
		.path = path_of(d, v->node, &path), .kind = v->kind,
		.mode = there->state->mode.bits & MODE_BITS,
	};
	f.now = f.path;
	f.by = maker(d, all, i);
	if (v->head && v->kind != KIND_DIR) {
		f.size = v->head->size;
		f.mtime_ns = v->head->mtime;
		memcpy(f.hash, v->head->hash, HASH_SIZE);
		if (v->kind == KIND_SYMLINK)
			f.target = (struct bytes){v->head->target, (size_t)v->head->size};
	}
	deed_add(deed, &f);
	buf_release(&path);
}

void settles_resolve(struct settles *all, struct asker *asker, const msgpack_object *params)
{
	struct daemon *d = all->d;
	struct bytes path, keep;
	uint64_t stamp, version;
	struct versions v;
	struct entry_view there[ENGINE_VERSIONS_MAX];
	struct work *w = work_new(all, asker);
	wire_get_bytes(params, "path", &path);
	wire_get_str(params, "keep", &keep);
	wire_get_uint(params, "stamp", UINT64_MAX, &stamp);
	wire_get_uint(params, "version", INT64_MAX, &version);
	w->both = bytes_eq(keep, bytes_of("both"));
	versions_of(all, tree_find(engine_tree(d->engine), path), path, &v);
	if (!v.n) {
		work_refuse(w, ERROR_NOT_FOUND, "there is no conflict at this path");
		return;
	}
	if (v.stamp != stamp) {
		work_refuse(w, ERROR_CHANGED, "the versions have changed; look at them again");
		return;
	}
	if (v.n < 2) {
		work_refuse(w, ERROR_BUSY, "its versions are not all here yet");
		return;
	}
	if (version >= v.n) {
		work_refuse(w, ERROR_NOT_FOUND, "there is no version of that number");
		return;
	}
	if (version && v.v[0].kind == KIND_DIR) {
		work_refuse(w, ERROR_REFUSED, "a folder has the name: keep the folder, or both");
		return;
	}
	for (size_t i = 0; i < v.n; i++) {
		if (!v.v[i].here || !engine_entry(d->engine, v.v[i].node, &there[i])) {
			work_refuse(w, ERROR_BUSY, "its versions are not all here yet");
			return;
		}
		add_file(d, &w->before, &v, i, &there[i]);
	}
	const struct deed_file *f = w->before.files;
	w->before.n = all->deeds.next++;
	w->before.time_ns = daemon_wall_ns();
	w->over.n = v.again;
	w->over.state = DEED_OVER;
	if (version)
		add_move(w, version, f[0].path, &there[0], f[version].path, &there[version]);
	for (size_t i = 1; i < v.n; i++) {
		if (w->both)
			add_move(w, i, f[0].path, NULL, f[i].path, &there[i]);
		else if (i != version)
			expect(add_op(w, i, OP_DELETE, f[i].path), &there[i]);
	}
	/* what has the name keeps its permissions */
	if (version && w->ops[0].type == OP_WRITE && v.v[0].kind == KIND_FILE)
		w->ops[0].mode = f[0].mode;
	if (w->over.n)
		deed_add(&w->over, &f[0]);
	work_queue(w);
}

/* ---- taking back ------------------------------------------------------------------------ */

static struct deed *to_be_undone(struct settles *all, const msgpack_object *params)
{
	struct bytes path;
	uint64_t n;
	wire_get_uint(params, "undo", INT64_MAX, &n);
	wire_get_bytes(params, "path", &path);
	for (size_t i = all->deeds.n; i-- > 0;) {
		struct deed *deed = &all->deeds.items[i];
		if (deed->state == DEED_DONE && (!n || deed->n == n) &&
		    (!path.len || bytes_eq(path, deed->files[0].path)))
			return deed;
	}
	return NULL;
}

static void view_at(const struct daemon *d, struct bytes path, struct entry_view *out)
{
	node_t n = tree_find(engine_tree(d->engine), path);
	*out = (struct entry_view){.disk_kind = KIND_ABSENT};
	if (n != NODE_NONE)
		engine_entry(d->engine, n, out);
}

/* The file of the deed that is at that path since. */
static const struct deed_file *moved_to(const struct deed *deed, struct bytes path)
{
	for (size_t i = 0; i < deed->n_files; i++)
		if (bytes_eq(deed->files[i].now, path) && !bytes_eq(deed->files[i].path, path))
			return &deed->files[i];
	return NULL;
}

static const struct deed_file *was_at(const struct deed *deed, struct bytes path)
{
	for (size_t i = 0; i < deed->n_files; i++)
		if (bytes_eq(deed->files[i].path, path))
			return &deed->files[i];
	return NULL;
}

/* Plans how one file gets its name again. False: something else is there now. */
static bool add_back(struct work *w, size_t file)
{
	const struct daemon *d = w->all->d;
	const struct deed_file *f = &w->before.files[file];
	struct entry_view there, from;
	if (f->kind == KIND_DIR || bytes_eq(f->now, f->path))
		return true;
	view_at(d, f->path, &there);
	if (shows(&there, f))
		return true; /* somebody did it already */
	const struct deed_file *other = moved_to(&w->before, f->path);
	if (there.disk_kind != KIND_ABSENT && !(other && shows(&there, other)))
		return false;
	const struct entry_view *taken = there.disk_kind == KIND_ABSENT ? NULL : &there;
	if (f->now.len) {
		view_at(d, f->now, &from);
		if (!shows(&from, f))
			return false;
		if (!was_at(&w->before, f->now)) {
			add_move(w, file, f->path, taken, f->now, &from);
			return true;
		}
	}
	struct op *op = add_op(w, file, f->kind == KIND_SYMLINK ? OP_SYMLINK : OP_WRITE, f->path);
	if (taken)
		expect(op, taken);
	if (op->type == OP_SYMLINK)
		return true;
	if (f->now.len) { /* what is there now is replaced next */
		op->source = SOURCE_COPY;
		op->from = f->now;
		op->from_stamp = from.stamp;
	} else {
		op->source = SOURCE_TMP;
		w->from_trash[w->n - 1] = true;
	}
	return true;
}

void settles_undo(struct settles *all, struct asker *asker, const msgpack_object *params)
{
	struct work *w = work_new(all, asker);
	const struct deed *deed = all->first ? NULL : to_be_undone(all, params);
	if (all->first) {
		work_refuse(w, ERROR_BUSY, "a conflict is just being settled");
		return;
	}
	if (!deed) {
		work_refuse(w, ERROR_NOT_FOUND, "there is nothing that could be taken back");
		return;
	}
	copy_deed(&w->before, deed);
	w->undo = true;
	/* first what is at another name, which may be one that gets its old content back then */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < w->before.n_files; i++) {
			if ((w->before.files[i].now.len == 0) != pass || add_back(w, i))
				continue;
			w->failed = i;
			answer_error(w, ERROR_CHANGED,
				     "has been changed since: what was there is in the trash");
			work_free(w);
			return;
		}
	}
	work_queue(w);
}
