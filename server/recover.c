/*
 * Owns the decision, for each intent of an earlier life, whether its operation was done, from the
 * objects that lie under the names it speaks of:
 *	tmp    it lies ready in tmp/: nothing was done
 *	wait   it waits in trash/ for the exchange: nothing was done; it goes
 *	name   it is there: done, if what lies in trash/ is what was to be displaced; if that is something
 *	       else, the crash came before anybody looked at it: exchanged back
 *	none   done, and somebody took it away or replaced it since; known for sure only if the machine
 *	       has been up all the time, since a power failure may have lost the last writes
 * Where that is in doubt, nothing is claimed: the engine then looks, and at worst makes a copy.
 */
#include "config.h"
#include "recover.h"

#include "apply_internal.h"
#include "trash.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A folder that is to have its mode back at the end. */
struct mode_back {
	struct bytes path;
	uint64_t stamp; /* 0: any folder */
	uint16_t now, mode;
};

struct recovering {
	struct root *root;
	struct recovery *r;
	struct walk to, from;
	struct mode_back *modes;
	size_t n_modes, cap_modes;
	/* What waits in trash/ in vain. It goes only when the journal says that nothing was done: its absence
	 * would mean that it had got its name. */
	const struct intent **waiting;
	size_t n_waiting, cap_waiting;
	bool claimed; /* the present one */
	bool changed; /* something on the disk, which is to be synced */
};

/* What lies under the names of one intent. */
struct scene {
	const struct intent *in;
	int parent;            /* of the name, or negative */
	char name[PATH_COMPONENT_MAX + 1];
	struct found at_name, at_tmp, at_wait, at_trash;
	struct stat st_name, st_trash;
	bool one_place;        /* waits where the displaced comes to lie: by exchange */
};

static struct found look_at(const struct root *root, int dir, const char *name, struct stat *st)
{
	if (dir < 0 || !name[0] || name_stat(root, dir, name, st, NULL) < 0) {
		*st = (struct stat){0};
		return (struct found){.kind = KIND_ABSENT};
	}
	return found_from_stat(st);
}

static bool is_placed(const struct intent *in, const struct found *f)
{
	if (f->kind != in->placed_kind || f->kind == KIND_ABSENT)
		return false;
	return f->kind == KIND_DIR || f->stamp == in->placed_stamp || f->stamp == in->final_stamp;
}

static bool was_expected(const struct intent *in, const struct found *f)
{
	return f->kind == in->expect_kind && (f->kind == KIND_DIR || f->stamp == in->expect_stamp);
}

static bool is_there(const struct found *f)
{
	return f->kind != KIND_ABSENT;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_ino && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* --- what is done about it --- */

static void claim(struct recovering *v, const struct scene *s, bool has_name)
{
	const struct intent *in = s->in;
	struct found found = {.kind = KIND_ABSENT};
	v->r->done++;
	v->claimed = true;
	if (in->type != OP_DELETE && in->type != OP_RMDIR && has_name) {
		found = s->at_name;
		/* As the op left it: other permissions are somebody's, and the first walk tells of them. */
		if (found.kind != KIND_SYMLINK)
			found.mode = in->mode;
	} else if (in->type != OP_DELETE && in->type != OP_RMDIR) {
		found = (struct found){.kind = in->placed_kind, .stamp = in->final_stamp,
			.mtime_ns = in->mtime_ns, .size = in->size, .mode = in->mode};
	}
	v->r->applied(v->r->ctx, in, &found);
}

static void tell_displaced(struct recovering *v, const struct scene *s)
{
	if (s->in->trash[0] && is_there(&s->at_trash))
		v->r->displaced(v->r->ctx, s->in, s->in->trash);
}

/* Somebody's own content came into the trash: beside its path with it. */
static void save_beside(struct recovering *v, const struct scene *s)
{
	struct buf got = {0};
	v->changed = true;
	if (trash_restore_beside(v->root, s->in->trash, s->in->path, &got) < 0)
		tell_displaced(v, s);
	else if (v->r->saved)
		v->r->saved(v->r->ctx, (struct bytes){got.data, got.len});
	buf_release(&got);
}

static void remove_waiting(struct recovering *v)
{
	for (size_t i = 0; i < v->n_waiting; i++) {
		const struct intent *in = v->waiting[i];
		(void)unlinkat(root_trash_fd(v->root), in->wait,
			       in->placed_kind == KIND_DIR ? AT_REMOVEDIR : 0);
	}
}

/* What waited has its name again; a file that was to be moved goes back to where it was. */
static void undo_waiting(struct recovering *v, const struct scene *s)
{
	const struct intent *in = s->in;
	char from_name[PATH_COMPONENT_MAX + 1];
	int trash = root_trash_fd(v->root);
	v->r->undone++;
	v->changed = true;
	/* a file system without exchange: the name may be free just now, or the old have both names */
	if (!s->one_place && is_there(&s->at_trash) && s->parent >= 0) {
		if (!is_there(&s->at_name))
			(void)rename_new(trash, in->trash, s->parent, s->name);
		else if (same_inode(&s->st_name, &s->st_trash))
			(void)unlinkat(trash, in->trash, 0);
		else
			tell_displaced(v, s);
	}
	if (in->source != SOURCE_MOVE) {
		GROW(v->waiting, v->cap_waiting, v->n_waiting + 1);
		v->waiting[v->n_waiting++] = in;
		return;
	}
	int from = walk_parent(&v->from, in->from, from_name);
	if (from < 0 || rename_new(trash, in->wait, from, from_name) < 0)
		v->r->displaced(v->r->ctx, in, in->wait);
}

/* It has the name, and in the trash lies what nobody has looked at yet: as apply would have done. */
static bool undo_exchange(struct recovering *v, const struct scene *s)
{
	int trash = root_trash_fd(v->root);
	if (s->parent < 0 || renameat2(trash, s->in->wait, s->parent, s->name, RENAME_EXCHANGE) < 0)
		return false;
	struct scene after = *s;
	struct stat st;
	after.at_wait = look_at(v->root, trash, s->in->wait, &st);
	/* somebody was quick: what came out now is theirs as well */
	if (!is_placed(s->in, &after.at_wait)) {
		(void)renameat2(trash, s->in->wait, s->parent, s->name, RENAME_EXCHANGE);
		return false;
	}
	undo_waiting(v, &after);
	return true;
}

/* --- one intent --- */

/* It has the name. */
static void has_the_name(struct recovering *v, const struct scene *s)
{
	const struct intent *in = s->in;
	bool strange = in->trash[0] && is_there(&s->at_trash) && !was_expected(in, &s->at_trash);
	if (in->trash[0] && s->at_trash.kind == KIND_DIR && !strange && in->expect_kind == KIND_DIR) {
		v->changed = true;
		strange = unlinkat(root_trash_fd(v->root), in->trash, AT_REMOVEDIR) < 0;
		claim(v, s, true);
		if (strange)
			save_beside(v, s);
		return;
	}
	if (strange && in->same_boot && s->one_place && undo_exchange(v, s))
		return;
	claim(v, s, true);
	if (strange)
		save_beside(v, s);
	else
		tell_displaced(v, s);
}

/* Where names cannot be exchanged an empty folder goes before the file comes: it comes now. */
static bool took_the_place_of_a_folder(struct recovering *v, const struct scene *s)
{
	const struct intent *in = s->in;
	if (s->one_place || in->expect_kind != KIND_DIR || !in->wait[0] || !is_placed(in, &s->at_wait) ||
	    is_there(&s->at_name) || s->parent < 0 ||
	    rename_new(root_trash_fd(v->root), in->wait, s->parent, s->name) < 0)
		return false;
	v->changed = true;
	return true;
}

static void recover_placing(struct recovering *v, const struct scene *s)
{
	const struct intent *in = s->in;
	bool said = in->result == INTENT_DONE, named = is_placed(in, &s->at_name);
	char from_name[PATH_COMPONENT_MAX + 1];
	struct stat st;
	if (in->result == INTENT_UNDONE || (!said && is_there(&s->at_tmp) && !named)) {
		if (in->wait[0] && is_placed(in, &s->at_wait))
			undo_waiting(v, s);
		return;
	}
	if (said) {
		claim(v, s, named);
		tell_displaced(v, s); /* what changed since is for trash_tidy(), when it is at rest */
		return;
	}
	if (in->source == SOURCE_MOVE && !named) {
		int from = walk_parent(&v->from, in->from, from_name);
		struct found f = look_at(v->root, from, from_name, &st);
		if (is_placed(in, &f))
			return;
	}
	if (named) {
		has_the_name(v, s);
	} else if (took_the_place_of_a_folder(v, s)) {
		struct scene after = *s;
		after.at_name = s->at_wait;
		claim(v, &after, true);
	} else if (in->wait[0] && is_placed(in, &s->at_wait)) {
		undo_waiting(v, s);
	} else if (in->same_boot && in->tmp[0] && !(in->trash[0] && !is_there(&s->at_trash) &&
		   in->expect_kind != KIND_DIR)) {
		claim(v, s, false);
		if (in->trash[0] && is_there(&s->at_trash) && !was_expected(in, &s->at_trash))
			save_beside(v, s);
		else
			tell_displaced(v, s);
	} else {
		tell_displaced(v, s);
	}
}

static void recover_delete(struct recovering *v, const struct scene *s)
{
	const struct intent *in = s->in;
	int trash = root_trash_fd(v->root);
	if (in->result == INTENT_UNDONE || (!is_there(&s->at_trash) && in->result != INTENT_DONE))
		return;
	if (is_there(&s->at_name) && same_inode(&s->st_name, &s->st_trash)) {
		v->changed = true;
		(void)unlinkat(trash, in->trash, 0);
		v->r->undone++;
		return;
	}
	if (in->result == INTENT_DONE || was_expected(in, &s->at_trash)) {
		claim(v, s, false);
		tell_displaced(v, s);
		return;
	}
	v->changed = true;
	v->r->undone++;
	if (is_there(&s->at_name) || s->parent < 0 ||
	    rename_new(trash, in->trash, s->parent, s->name) < 0)
		save_beside(v, s);
}

static void mode_later(struct recovering *v, const struct intent *in, uint64_t stamp)
{
	if (in->mode_now == in->mode)
		return;
	GROW(v->modes, v->cap_modes, v->n_modes + 1);
	v->modes[v->n_modes++] = (struct mode_back){in->path, stamp, in->mode_now, in->mode};
}

static enum intent_result recover_one(struct recovering *v, const struct intent *in)
{
	struct scene s = {.in = in};
	struct stat st;
	int trash = root_trash_fd(v->root);
	v->claimed = false;
	s.parent = walk_parent(&v->to, in->path, s.name);
	if (s.parent >= 0 && walk_verify(&v->to) < 0)
		s.parent = walk_parent(&v->to, in->path, s.name);
	if (s.parent < 0 && !means_absent(-s.parent) && in->result != INTENT_DONE)
		return INTENT_UNKNOWN; /* nothing can be said of what cannot be entered */
	s.at_name = look_at(v->root, s.parent, s.name, &s.st_name);
	s.at_tmp = look_at(v->root, root_tmp_fd(v->root), in->tmp, &st);
	s.at_wait = look_at(v->root, trash, in->wait, &st);
	s.at_trash = look_at(v->root, trash, in->trash, &s.st_trash);
	s.one_place = strcmp(in->wait, in->trash) == 0;
	switch (in->type) {
	case OP_MKDIR:
		if (in->expect_kind == KIND_ABSENT || in->expect_kind == KIND_DIR) {
			bool there = s.at_name.kind == KIND_DIR;
			if (in->result != INTENT_DONE && there)
				mode_later(v, in, 0);
			if (in->result == INTENT_DONE || (there && in->result != INTENT_UNDONE))
				claim(v, &s, there);
			break;
		}
		if (in->result != INTENT_DONE && s.at_name.kind == KIND_DIR)
			mode_later(v, in, 0);
		recover_placing(v, &s);
		break;
	case OP_WRITE:
	case OP_SYMLINK:
		recover_placing(v, &s);
		break;
	case OP_DELETE:
		recover_delete(v, &s);
		break;
	case OP_RMDIR:
		if (in->result != INTENT_UNDONE && (in->result == INTENT_DONE || s.at_name.kind != KIND_DIR))
			claim(v, &s, false);
		break;
	case OP_META:
		if (in->result != INTENT_UNDONE && s.at_name.kind == in->placed_kind &&
		    (s.at_name.kind == KIND_DIR || s.at_name.stamp == in->final_stamp) &&
		    (s.at_name.kind == KIND_SYMLINK || s.at_name.mode == in->mode))
			claim(v, &s, true);
		else if (in->result == INTENT_DONE)
			claim(v, &s, false);
		break;
	case INTENT_MODE:
		if (in->result == INTENT_UNKNOWN)
			mode_later(v, in, in->placed_stamp);
		return INTENT_DONE;
	}
	return v->claimed ? INTENT_DONE : INTENT_UNDONE;
}

/* The last first, so that the way stays open. */
static void modes_back(struct recovering *v)
{
	while (v->n_modes) {
		const struct mode_back *m = &v->modes[--v->n_modes];
		char name[PATH_COMPONENT_MAX + 1];
		struct stat st;
		int parent = walk_parent(&v->to, m->path, name);
		int fd = parent < 0 ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
		    (!m->stamp || found_from_stat(&st).stamp == m->stamp) &&
		    (st.st_mode & MODE_BITS) == m->now && chmod_held(fd, m->mode) == 0)
			v->changed = true;
		close(fd);
	}
}

int recover(struct root *root, struct intents *in, struct recovery *r)
{
	struct recovering v = {.root = root, .r = r};
	size_t n;
	const struct intent *list = intents_earlier(in, &n);
	int err = 0;
	r->done = r->undone = 0;
	if (root_trash_fd(root) < 0 || root_tmp_fd(root) < 0)
		return 0;
	walk_init(&v.to, root);
	walk_init(&v.from, root);
	/* opened before anything is changed: a sync through it reports what fails from here on */
	int fd = openat(root_fd(root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint8_t *results = xcalloc(n, 1);
	bool news = false;
	for (size_t i = 0; i < n; i++) {
		results[i] = (uint8_t)recover_one(&v, &list[i]);
		news = news || results[i] != list[i].result;
	}
	modes_back(&v);
	if (v.changed && (fd < 0 || syncfs(fd) < 0))
		err = -EIO;
	/* before what lies ready in vain goes: its absence would mean that it had got its name */
	if (!err && news)
		err = intents_decided(in, results);
	free(results);
	if (!err)
		remove_waiting(&v);
	free(v.waiting);
	if (fd >= 0)
		close(fd);
	walk_release(&v.to);
	walk_release(&v.from);
	free(v.modes);
	return err;
}
