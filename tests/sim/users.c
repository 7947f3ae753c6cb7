/* Owns what people and their programs do to a disk, and what the watch notes of it. */
#include "config.h"
#include "sim.h"

#include "path.h"

#include <stdlib.h>

#define USER_PATH_MAX 48 /* leaves room for the names of conflict copies */
#define YEAR_NS 31536000000000000

void hint_add(struct replica *r, const char *path, enum hint what)
{
	GROW(r->hints, r->hints_cap, r->n_hints + 1);
	struct noted *h = &r->hints[r->n_hints++];
	*h = (struct noted){.what = what};
	path_parent_of(path, h->dir);
	snprintf(h->name, sizeof(h->name), "%s", path_base_of(path));
}

static void hint_moved(struct replica *r, const char *from, const char *to)
{
	hint_add(r, from, HINT_CHANGED);
	struct noted *h = &r->hints[r->n_hints - 1];
	path_parent_of(to, h->to_dir);
	snprintf(h->to_name, sizeof(h->to_name), "%s", path_base_of(to));
}

bool user_path(struct replica *r, const char *path, char out[PATH_CAP])
{
	size_t k = 0, n = 0, nth = (size_t)strtoul(path + (*path != 0), NULL, 10);
	if (*path != '#' && *path != '~') {
		snprintf(out, PATH_CAP, "%s", path);
		return *path;
	}
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->disk.n; i++) {
			const char *p = r->disk.at[i].path;
			if (*path == '~' && !path_is_conflict_name(bytes_of(p)))
				continue;
			if (pass && k++ == nth % n) {
				memcpy(out, p, PATH_CAP);
				return true;
			}
			n += !pass;
		}
		if (!n)
			return false;
	}
	return false;
}

/* A new object at a free name, or in place of what is not a folder. */
static struct object *fresh(struct sim *s, struct replica *r, const char *path, uint8_t kind, content_t c,
                            uint64_t ino)
{
	struct object *was = disk_find(&r->disk, path);
	struct object o = {.ino = ino ? ino : ++s->next_ino, .content = c, .safe = CONTENT_EMPTY,
	                   .kind = kind, .mode = kind == KIND_DIR ? 0755 : 0644, .dirty = kind == KIND_FILE};
	snprintf(o.path, sizeof(o.path), "%s", path);
	o.ctime = o.mtime = o.safe_mtime = now_of(s, r);
	if (was && was->kind == KIND_FILE)
		o.mode = was->mode;
	if (kind == KIND_SYMLINK)
		o.safe = c;
	return disk_put(r, &o);
}

static void now_shows(struct sim *s, struct replica *r, const struct object *was, const char *path,
                      uint8_t kind, content_t c)
{
	if (was && was->kind == kind && was->content == c)
		return; /* the same is no change */
	if (was)
		oracle_take(s, r, was);
	if (kind == KIND_FILE || kind == KIND_SYMLINK)
		oracle_put(s, r, path, c);
}

static void write_in_place(struct sim *s, struct replica *r, const char *path, content_t c)
{
	struct object *o = disk_find(&r->disk, path);
	now_shows(s, r, o, path, KIND_FILE, c);
	if (!o) {
		fresh(s, r, path, KIND_FILE, c, 0);
		hint_add(r, path, HINT_CREATED);
		return;
	}
	o->content = c;
	o->dirty = true;
	o->untold = false;
	o->mtime = o->ctime = now_of(s, r);
}

static void save(struct sim *s, struct replica *r, const char *path, content_t c, uint8_t kind)
{
	struct object *o = disk_find(&r->disk, path);
	now_shows(s, r, o, path, kind, c);
	fresh(s, r, path, kind, c, 0);
	hint_add(r, path, kind == KIND_FILE ? HINT_TOUCHED : HINT_CHANGED);
}

static void remove_one(struct sim *s, struct replica *r, struct object *o)
{
	if (o->kind == KIND_DIR)
		oracle_dir_removed(s, o->path);
	else
		oracle_take(s, r, o);
	disk_del(r, o);
}

static void remove_all(struct sim *s, struct replica *r, const char *path)
{
	for (size_t i = r->disk.n; i-- > 0; ) {
		struct object *o = &r->disk.at[i], *deepest = NULL;
		if (!path_under(o->path, path))
			continue;
		for (size_t k = 0; k < r->disk.n; k++)
			if (path_under(r->disk.at[k].path, path) &&
			    (!deepest || strlen(r->disk.at[k].path) > strlen(deepest->path)))
				deepest = &r->disk.at[k];
		hint_add(r, deepest->path, HINT_GONE);
		remove_one(s, r, deepest);
		i = r->disk.n;
	}
	hint_add(r, path, HINT_GONE);
	remove_one(s, r, disk_find(&r->disk, path));
}

/* All at or below that path has another name now, or is to get one. */
static void leaves(struct sim *s, struct replica *r, const char *path)
{
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *o = &r->disk.at[i];
		if (strcmp(o->path, path) != 0 && !path_under(o->path, path))
			continue;
		if (o->kind == KIND_DIR)
			oracle_dir_removed(s, o->path);
		else
			oracle_take(s, r, o);
	}
}

static void arrives(struct sim *s, struct replica *r, const char *path)
{
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *o = &r->disk.at[i];
		if ((strcmp(o->path, path) == 0 || path_under(o->path, path)) &&
		    (o->kind == KIND_FILE || o->kind == KIND_SYMLINK))
			oracle_put(s, r, o->path, o->content);
	}
}

/* Would a path be too long if `from` were `to`? */
static bool too_long(const struct replica *r, const char *from, const char *to)
{
	for (size_t i = 0; i < r->disk.n; i++) {
		const char *p = r->disk.at[i].path;
		if (path_under(p, from) && strlen(to) + strlen(p) - strlen(from) > USER_PATH_MAX)
			return true;
	}
	return false;
}

static bool rename_to(struct sim *s, struct replica *r, const char *from, const char *to)
{
	struct object *o = disk_find(&r->disk, from), *there = disk_find(&r->disk, to);
	if (!disk_has_parent(&r->disk, to) || path_under(to, from) || strcmp(from, to) == 0 ||
	    (there && (there->kind == KIND_DIR || o->kind == KIND_DIR)))
		return false;
	if (too_long(r, from, to))
		return false;
	if (there)
		oracle_take(s, r, there);
	leaves(s, r, from);
	disk_move(r, from, to, now_of(s, r));
	arrives(s, r, to);
	hint_moved(r, from, to);
	return true;
}

static bool swap(struct sim *s, struct replica *r, const char *a, const char *b)
{
	if (!disk_find(&r->disk, b) || strcmp(a, b) == 0 || path_under(a, b) || path_under(b, a) ||
	    too_long(r, a, b) || too_long(r, b, a))
		return false;
	leaves(s, r, a);
	leaves(s, r, b);
	disk_swap(r, a, b, now_of(s, r));
	arrives(s, r, a);
	arrives(s, r, b);
	hint_moved(r, a, b);
	hint_moved(r, b, a);
	return true;
}

/* Through a mapping: the times change only if the page was clean. */
static void store(struct sim *s, struct replica *r, struct object *o, content_t c)
{
	now_shows(s, r, o, o->path, KIND_FILE, c);
	int64_t now = now_of(s, r);
	bool tells = !o->dirty && (o->ctime != now || o->mtime != now);
	o->untold |= o->content != c && !tells;
	o->content = c;
	if (!o->dirty)
		o->ctime = o->mtime = now;
	o->dirty = true;
}

/* A copy that keeps the date, put in place. */
static void replace_same(struct sim *s, struct replica *r, struct object *o, content_t c)
{
	int64_t mtime = o->mtime;
	char path[PATH_CAP];
	memcpy(path, o->path, PATH_CAP);
	save(s, r, path, c, KIND_FILE);
	disk_find(&r->disk, path)->mtime = mtime;
}

static bool act(struct sim *s, struct replica *r, const struct step *st, const char *path, const char *to)
{
	struct object *o = disk_find(&r->disk, path);
	bool file = o && o->kind == KIND_FILE, dir = o && o->kind == KIND_DIR;
	switch (st->what) {
	case DO_WRITE:
	case DO_BEGIN:
		if (o && !file)
			return false;
		write_in_place(s, r, path, st->content);
		disk_find(&r->disk, path)->open = st->what == DO_BEGIN;
		hint_add(r, path, st->what == DO_BEGIN ? HINT_WRITING : HINT_CHANGED);
		if (st->what == DO_BEGIN)
			cover(MET_BUSY);
		return true;
	case DO_END:
		if (!file || !o->open)
			return false;
		o->open = false;
		hint_add(r, path, HINT_CHANGED);
		return true;
	case DO_SAVE:
		if (dir)
			return false;
		save(s, r, path, st->content, KIND_FILE);
		return true;
	case DO_LINK:
		if (dir)
			return false;
		save(s, r, path, st->content, KIND_SYMLINK);
		return true;
	case DO_OLD:
		if (dir)
			return false;
		save(s, r, path, st->content, KIND_FILE);
		disk_find(&r->disk, path)->mtime -= YEAR_NS;
		return true;
	case DO_MMAP:
	case DO_SAME:
		if (!file || o->content == st->content || content_size(o->content) != content_size(st->content))
			return false;
		(st->what == DO_MMAP ? store : replace_same)(s, r, o, st->content);
		cover(MET_DATE_BACK);
		return true;
	case DO_TOUCH:
	case DO_BACK:
		if (!file)
			return false;
		o->mtime = o->ctime = now_of(s, r);
		if (st->what == DO_BACK) {
			o->mtime -= YEAR_NS;
			cover(MET_DATE_BACK);
		}
		disk_meta(r, o);
		hint_add(r, path, HINT_TOUCHED);
		return true;
	case DO_CHMOD:
		if (!file && !dir)
			return false;
		o->mode = (uint16_t)(st->n & 0777);
		o->ctime = now_of(s, r);
		disk_meta(r, o);
		hint_add(r, path, HINT_TOUCHED);
		return true;
	case DO_MKDIR:
	case DO_PIPE:
		if (o)
			return false;
		fresh(s, r, path, st->what == DO_MKDIR ? KIND_DIR : KIND_OTHER, CONTENT_EMPTY, 0);
		hint_add(r, path, HINT_CHANGED);
		return true;
	case DO_TODIR:
		if (!o || dir)
			return false;
		oracle_take(s, r, o);
		disk_del(r, o);
		fresh(s, r, path, KIND_DIR, CONTENT_EMPTY, 0);
		hint_add(r, path, HINT_GONE);
		hint_add(r, path, HINT_CHANGED);
		return true;
	case DO_REMOVE:
		if (!o)
			return false;
		if (dir)
			remove_all(s, r, path);
		else {
			remove_one(s, r, o);
			hint_add(r, path, HINT_GONE);
		}
		return true;
	case DO_RECREATE: {
		if (!file)
			return false;
		uint64_t ino = o->ino;
		now_shows(s, r, o, path, KIND_FILE, st->content);
		disk_del(r, o);
		fresh(s, r, path, KIND_FILE, st->content, ino);
		hint_add(r, path, HINT_GONE);
		hint_add(r, path, HINT_CREATED);
		hint_add(r, path, HINT_CHANGED);
		return true;
	}
	case DO_COPY: {
		struct object *there = disk_find(&r->disk, to);
		if (!file || strcmp(path, to) == 0 || (there && there->kind == KIND_DIR) ||
		    !disk_has_parent(&r->disk, to))
			return false;
		save(s, r, to, o->content, KIND_FILE);
		return true;
	}
	case DO_RENAME:
		return o && rename_to(s, r, path, to);
	case DO_SWAP:
		return o && swap(s, r, path, to);
	default:
		return false;
	}
}

void user_acts(struct sim *s, const struct step *st)
{
	struct replica *r = &s->r[st->at];
	char path[PATH_CAP], to[PATH_CAP] = "";
	if (r->halted || !user_path(r, st->path, path) || !disk_has_parent(&r->disk, path))
		return;
	if (*st->to && (!user_path(r, st->to, to) || strlen(to) > USER_PATH_MAX))
		return;
	if (r->picky && (strchr(path, ':') || strchr(to, ':')))
		return;
	const struct object *o = disk_find(&r->disk, path);
	bool created = !o, dir = o && o->kind == KIND_DIR;
	content_t before = o ? o->content : CONTENT_EMPTY;
	s->wall_ns += 1000000;
	if (!act(s, r, st, path, to))
		return;
	note(s, r->at, "user %u: %s %s c%u (was c%u)", (unsigned)st->what, path, to, st->content, before);
	mix(s, hash64(path, strlen(path), (uint64_t)st->what << 32 | st->content));
	r->seen |= cover_event(r->seen, st->at, st->what, path, to, st->content, created, dir);
}
