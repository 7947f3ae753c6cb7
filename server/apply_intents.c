/* Owns what a batch says in the journal of intents, before and after. */
#include "config.h"
#include "apply_internal.h"

#include <stdlib.h>
#include <time.h>

uint64_t stamp_with_time(struct stat st, int64_t mtime_ns)
{
	struct timespec t[2];
	mtime_only(t, mtime_ns);
	st.st_mtim = t[1];
	return found_from_stat(&st).stamp;
}

static bool stat_of(struct walk *w, struct bytes path, struct stat *st)
{
	char name[PATH_COMPONENT_MAX + 1];
	int parent = walk_parent(w, path, name);
	return parent >= 0 && fstatat(parent, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What takes the name. */
static void say_placed(struct batch *b, const struct op *op, const struct prepared *p, struct intent *in)
{
	struct stat st;
	in->placed_stamp = in->final_stamp = p->placed.stamp;
	switch (op->type) {
	case OP_WRITE:
		in->placed_kind = KIND_FILE;
		if (op->source != SOURCE_MOVE)
			break;
		in->placed_stamp = in->final_stamp = op->from_stamp;
		if (stat_of(&b->from, op->from, &st))
			in->final_stamp = stamp_with_time(st, op->mtime_ns);
		break;
	case OP_SYMLINK:
		in->placed_kind = KIND_SYMLINK;
		break;
	case OP_MKDIR:
		in->placed_kind = KIND_DIR;
		in->mode_now = 0700;
		break;
	case OP_META:
		in->placed_kind = op->expect_kind;
		in->placed_stamp = in->final_stamp = op->expect_stamp;
		if (op->expect_kind != KIND_DIR && stat_of(&b->to, op->path, &st))
			in->final_stamp = stamp_with_time(st, op->mtime_ns);
		break;
	case OP_DELETE:
	case OP_RMDIR:
		break;
	}
}

int intend(struct batch *b, struct op *ops, size_t n)
{
	struct intents *intents = b->env->intents;
	size_t some = 0;
	if (!intents)
		return 0;
	struct intent *list = xcalloc(n, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		const struct op *op = &ops[i];
		const struct prepared *p = &b->prepared[i];
		list[i] = (struct intent){
			.type = (uint8_t)op->type,
			.source = op->type == OP_WRITE ? (uint8_t)op->source : SOURCE_NONE,
			.expect_kind = op->expect_kind,
			.expect_stamp = op->expect_stamp,
			.mode = op->mode & MODE_BITS,
			.mtime_ns = op->mtime_ns,
			.size = op->size,
			.path = op->path,
			.from = op->from,
			.record = op->record,
			.skip = op->error,
		};
		if (op->error)
			continue;
		some++;
		say_placed(b, op, p, &list[i]);
		memcpy(list[i].tmp, p->name, sizeof(p->name));
		memcpy(list[i].wait, p->wait, sizeof(p->wait));
		memcpy(list[i].trash, p->trash, sizeof(p->trash));
	}
	int err = some ? intents_write(intents, list, n, &b->env->batch) : 0;
	b->env->intended = some && !err;
	free(list);
	return err;
}

int intend_sync(struct batch *b)
{
	return b->env->intended && !b->env->without_sync ?
		intents_sync(b->env->intents, &b->env->batch) : 0;
}

bool intend_result(struct batch *b, const struct op *ops, size_t n, bool left)
{
	if (!b->env->intended)
		return true;
	uint8_t *results = xcalloc(n, 1);
	for (size_t i = 0; i < n; i++)
		results[i] = ops[i].error ? INTENT_UNDONE : INTENT_DONE;
	int err = intents_result(b->env->intents, &b->env->batch, results);
	free(results);
	if (!err && left)
		err = intend_sync(b);
	return !err;
}

bool intend_mode(struct batch *b, struct mode_later *m)
{
	struct intents *intents = b->env->intents;
	struct stat st = {.st_ino = m->ino, .st_mode = S_IFDIR};
	if (!intents)
		return true;
	struct intent in = {.type = INTENT_MODE, .placed_kind = KIND_DIR, .path = m->path,
		.placed_stamp = found_from_stat(&st).stamp, .mode = (uint16_t)m->final,
		.mode_now = (uint16_t)m->now};
	if (intents_write(intents, &in, 1, &m->batch) < 0)
		return false;
	if (b->env->without_sync || intents_sync(intents, &m->batch) == 0) {
		m->intended = true;
		return true;
	}
	intents_settled(intents, &m->batch);
	return false;
}

void intend_mode_done(struct batch *b, struct mode_later *m)
{
	static const uint8_t done = INTENT_DONE;
	if (!m->intended)
		return;
	(void)intents_result(b->env->intents, &m->batch, &done);
	intents_settled(b->env->intents, &m->batch);
	m->intended = false;
}
