/*
 * Owns the disks: objects by path, the page cache (what programs see) and the durable layer (what a
 * power loss leaves). Names are journaled: what was not synced is lost from some point on, or here
 * and there; contents that were not synced are old, empty, torn or there. Ending a program loses nothing.
 */
#include "config.h"
#include "sim.h"

#include <stdlib.h>

struct object *disk_find(struct objects *d, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->at[i].path, path) == 0)
			return &d->at[i];
	return NULL;
}

bool path_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/');
}

void path_parent_of(const char *path, char out[PATH_CAP])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	memcpy(out, path, n);
	out[n] = 0;
}

const char *path_base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool disk_has_parent(struct objects *d, const char *path)
{
	char parent[PATH_CAP];
	path_parent_of(path, parent);
	const struct object *o = *parent ? disk_find(d, parent) : NULL;
	return !*parent || (o && o->kind == KIND_DIR);
}

bool disk_empty(const struct objects *d, const char *dir)
{
	for (size_t i = 0; i < d->n; i++)
		if (path_under(d->at[i].path, dir))
			return false;
	return true;
}

/* ---- names ---- */

static struct object *put(struct objects *d, const struct object *o)
{
	struct object *at = disk_find(d, o->path);
	if (!at) {
		GROW(d->at, d->cap, d->n + 1);
		at = &d->at[d->n++];
	}
	*at = *o;
	return at;
}

static void del(struct objects *d, struct object *o)
{
	size_t i = (size_t)(o - d->at);
	memmove(o, o + 1, (--d->n - i) * sizeof(*o));
}

static void move(struct objects *d, const char *from, const char *to, int64_t ctime)
{
	size_t n = strlen(from);
	for (size_t i = 0; i < d->n; i++) {
		struct object *o = &d->at[i];
		char rest[PATH_CAP];
		if (strcmp(o->path, from) == 0)
			o->ctime = ctime;
		else if (!path_under(o->path, from))
			continue;
		memcpy(rest, o->path + n, strlen(o->path + n) + 1);
		if (strlen(to) + strlen(rest) >= PATH_CAP)
			abort(); /* users do not nest so deep */
		memcpy(o->path, to, strlen(to));
		memcpy(o->path + strlen(to), rest, strlen(rest) + 1);
	}
}

static struct change *journal(struct replica *r, int type, const struct object *o)
{
	GROW(r->journal, r->journal_cap, r->n_journal + 1);
	struct change *c = &r->journal[r->n_journal++];
	*c = (struct change){.object = *o};
	c->type = type;
	return c;
}

struct object *disk_put(struct replica *r, const struct object *o)
{
	struct object *at = put(&r->disk, o);
	journal(r, CHANGE_PUT, at);
	return at;
}

void disk_del(struct replica *r, struct object *o)
{
	journal(r, CHANGE_DEL, o);
	del(&r->disk, o);
}

void disk_move(struct replica *r, const char *from, const char *to, int64_t ctime)
{
	struct object *o = disk_find(&r->disk, from), *there = disk_find(&r->disk, to);
	struct change *c = journal(r, CHANGE_MOVE, o);
	memcpy(c->to, to, strlen(to) + 1);
	c->object.ctime = ctime;
	if (there)
		del(&r->disk, there);
	move(&r->disk, from, to, ctime);
}

static void swap(struct objects *d, const char *a, const char *b, int64_t ctime)
{
	static const char aside[] = "/"; /* no user's path */
	move(d, a, aside, ctime);
	move(d, b, a, ctime);
	move(d, aside, b, ctime);
}

void disk_swap(struct replica *r, const char *a, const char *b, int64_t ctime)
{
	struct change *c = journal(r, CHANGE_SWAP, disk_find(&r->disk, a));
	memcpy(c->to, b, strlen(b) + 1);
	c->object.ctime = ctime;
	swap(&r->disk, a, b, ctime);
}

void disk_meta(struct replica *r, struct object *o)
{
	journal(r, CHANGE_META, o);
}

/* ---- what is durable ---- */

static void base_data(struct replica *r, const struct object *o)
{
	for (size_t i = 0; i < r->base.n; i++)
		if (r->base.at[i].ino == o->ino) {
			r->base.at[i].safe = o->safe;
			r->base.at[i].safe_mtime = o->safe_mtime;
		}
	for (size_t i = 0; i < r->n_journal; i++)
		if (r->journal[i].object.ino == o->ino) {
			r->journal[i].object.safe = o->safe;
			r->journal[i].object.safe_mtime = o->safe_mtime;
		}
}

void disk_sync_data(struct replica *r, struct object *o)
{
	if (!o->dirty)
		return;
	o->dirty = false;
	o->safe = o->content;
	o->safe_mtime = o->mtime;
	base_data(r, o);
}

void disk_sync(struct replica *r)
{
	if (!r->n_journal)
		return;
	GROW(r->base.at, r->base.cap, r->disk.n + 1);
	if (r->disk.n)
		memcpy(r->base.at, r->disk.at, r->disk.n * sizeof(*r->base.at));
	r->base.n = r->disk.n;
	r->n_journal = 0;
}

static void replay(struct objects *d, const struct change *c)
{
	struct object *o = disk_find(d, c->object.path);
	bool same = o && o->ino == c->object.ino;
	switch (c->type) {
	case CHANGE_PUT:
		if (disk_has_parent(d, c->object.path) && !(o && o->kind == KIND_DIR))
			put(d, &c->object);
		break;
	case CHANGE_DEL:
		if (same && (o->kind != KIND_DIR || disk_empty(d, o->path)))
			del(d, o);
		break;
	case CHANGE_MOVE: {
		struct object *there = disk_find(d, c->to);
		if (!same || !disk_has_parent(d, c->to) || (there && there->kind == KIND_DIR))
			break;
		if (there)
			del(d, there);
		move(d, c->object.path, c->to, c->object.ctime);
		break;
	}
	case CHANGE_SWAP:
		if (same && disk_find(d, c->to))
			swap(d, c->object.path, c->to, c->object.ctime);
		break;
	case CHANGE_META:
		if (same) {
			o->mode = c->object.mode;
			o->ctime = c->object.ctime;
		}
		break;
	}
}

/* What the cache had for that inode. */
static const struct object *by_ino(const struct objects *d, uint64_t ino)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->at[i].ino == ino)
			return &d->at[i];
	return NULL;
}

static void lose_data(struct sim *s, const struct objects *was, struct object *o)
{
	const struct object *cached = by_ino(was, o->ino);
	o->open = o->dirty = false;
	if (o->kind != KIND_FILE)
		return;
	unsigned k = below(s, 4);
	if (cached && cached->dirty && k == 0) {
		o->content = o->safe = cached->content; /* it was written back just in time */
		o->mtime = o->safe_mtime = cached->mtime;
	} else if (cached && cached->dirty && k == 1) {
		o->content = o->safe = s->next_torn++;
		o->mtime = o->safe_mtime = cached->mtime;
		oracle_written(s, o->content);
	} else {
		o->content = o->safe;
		o->mtime = o->safe_mtime;
	}
}

void disk_power_loss(struct sim *s, struct replica *r)
{
	struct objects was = r->disk;
	bool in_order = below(s, 4) != 0;
	size_t keep = r->n_journal ? below(s, (unsigned)r->n_journal + 1) : 0;
	r->disk = r->base;
	for (size_t i = 0; i < r->n_journal; i++)
		if (in_order ? i < keep : below(s, 2))
			replay(&r->disk, &r->journal[i]);
	r->n_journal = 0;
	for (size_t i = 0; i < r->disk.n; i++)
		lose_data(s, &was, &r->disk.at[i]);
	r->base = was;
	r->base.n = 0;
	GROW(r->base.at, r->base.cap, r->disk.n + 1);
	if (r->disk.n)
		memcpy(r->base.at, r->disk.at, r->disk.n * sizeof(*r->base.at));
	r->base.n = r->disk.n;
}

void disk_release(struct replica *r)
{
	free(r->disk.at);
	free(r->base.at);
	free(r->journal);
}

/* ---- contents ---- */

void content_hash(content_t c, uint8_t hash[HASH_SIZE])
{
	uint64_t z = (c + 1) * 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < HASH_SIZE / 8; i++) {
		z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u + i;
		memcpy(hash + 8 * i, &z, 8);
	}
}

/* One block or two; now and then more than travels with its entry. */
uint64_t content_size(content_t c)
{
	return c == CONTENT_EMPTY ? 0 : c % 5 == 4 ? 20000 : c % 5 == 3 ? 16 : 8;
}

void content_bytes(content_t c, struct buf *out)
{
	for (uint64_t n = content_size(c); n; n -= 8)
		buf_addf(out, "%07u\n", c);
}

bool content_parse(struct bytes b, content_t *out)
{
	struct buf again = {0};
	content_t c = 0;
	for (size_t i = 0; i < 7 && i < b.len; i++)
		c = c * 10 + (content_t)(b.p[i] - '0');
	content_bytes(c, &again);
	bool same = again.len == b.len && (!b.len || memcmp(again.data, b.p, b.len) == 0);
	buf_release(&again);
	*out = c;
	return same;
}

void target_text(content_t c, char out[32])
{
	snprintf(out, 32, "to-%u", c);
}

void disk_describe(const struct object *o, struct found *f)
{
	*f = (struct found){.kind = KIND_ABSENT};
	if (!o)
		return;
	f->kind = o->kind;
	f->mode = o->mode;
	f->mtime_ns = o->mtime;
	f->ctime_ns = o->ctime;
	uint64_t id[4] = {o->ino, o->kind, 0, 0};
	if (o->kind == KIND_FILE)
		f->size = content_size(o->content);
	if (o->kind == KIND_SYMLINK) {
		char target[32];
		target_text(o->content, target);
		f->size = strlen(target);
	}
	if (o->kind != KIND_DIR) {
		id[2] = (uint64_t)o->mtime;
		id[3] = f->size;
	}
	f->stamp = hash64(id, sizeof(id), 0);
}
