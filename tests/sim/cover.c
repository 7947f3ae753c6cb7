/* Owns the counts of what was met: rows of both outcome tables, and points of a crash. */
#include "config.h"
#include "sim.h"

#include <strings.h>

struct event {
	uint64_t seen;
	enum what what;
	unsigned at;
	char path[PATH_CAP], to[PATH_CAP];
	content_t content;
	bool created, dir;
};

static uint64_t met[ROWS_N];
static struct event events[EVENTS_MAX];
static unsigned n_events;

static const char *const row_text[] = {
#define X(id, text) text,
	ROWS(X)
#undef X
};

void cover(enum row_of_tables row)
{
	met[row]++;
}

void cover_begin(void)
{
	n_events = 0;
}

uint64_t cover_event(uint64_t seen, unsigned at, enum what what, const char *path, const char *to,
                     content_t c, bool created, bool dir)
{
	if (n_events == EVENTS_MAX)
		return 0;
	struct event *ev = &events[n_events];
	*ev = (struct event){.seen = seen, .what = what, .at = at, .content = c, .created = created, .dir = dir};
	memcpy(ev->path, path, strlen(path) + 1);
	memcpy(ev->to, to, strlen(to) + 1);
	if (what == DO_TOUCH || what == DO_BACK)
		cover(MET_TOUCH);
	if (what == DO_RENAME && strcmp(path, to) != 0 && strcasecmp(path, to) == 0)
		cover(MET_CASE_RENAME);
	return (uint64_t)1 << n_events++;
}

static bool writes(const struct event *ev)
{
	return ev->what == DO_WRITE || ev->what == DO_SAVE || ev->what == DO_BEGIN || ev->what == DO_OLD ||
	       ev->what == DO_SAME || ev->what == DO_MMAP || ev->what == DO_RECREATE;
}

static bool removes(const struct event *ev)
{
	return ev->what == DO_REMOVE;
}

static bool concurrent(const struct event *a, const struct event *b)
{
	size_t i = (size_t)(a - events), k = (size_t)(b - events);
	return a->at != b->at && !(b->seen >> i & 1) && !(a->seen >> k & 1);
}

static bool third(const struct event *a, const struct event *b)
{
	for (unsigned i = 0; i < n_events; i++) {
		const struct event *c = &events[i];
		if (writes(c) && strcmp(c->path, a->path) == 0 && concurrent(a, c) && concurrent(b, c))
			return true;
	}
	return false;
}

/* Rows that do not look the same from both sides are asked for both ways round. */
static void pair(const struct event *a, const struct event *b)
{
	bool same = strcmp(a->path, b->path) == 0, under = path_under(b->path, a->path);
	if (same && a < b && writes(a) && writes(b)) {
		if (third(a, b))
			cover(MET_THREE_WAY);
		cover(a->created && b->created ? a->content == b->content ? MET_SAME_CONTENT : MET_CREATE_CREATE
		                               : MET_MODIFY_MODIFY);
	}
	if (same && writes(a) && removes(b) && !b->dir)
		cover(MET_MODIFY_DELETE);
	if (same && a < b && removes(a) && removes(b))
		cover(MET_DELETE_DELETE);
	if (same && writes(a) && b->what == DO_RENAME && !b->dir)
		cover(MET_MODIFY_RENAME);
	if (a < b && a->what == DO_RENAME && b->what == DO_RENAME) {
		if (same && strcmp(a->to, b->to) != 0)
			cover(MET_RENAME_RENAME);
		if (!same && strcmp(a->to, b->to) == 0)
			cover(MET_RENAME_MEET);
		if (a->dir && b->dir && path_under(a->to, b->path) && path_under(b->to, a->path))
			cover(MET_DIRS_CROSSED);
	}
	if (same && (writes(a) || a->what == DO_LINK) && (b->what == DO_MKDIR || b->what == DO_TODIR))
		cover(MET_FILE_DIR);
	if (same && a->what == DO_LINK && writes(b))
		cover(MET_LINK_FILE);
	if (same && a < b && a->what == DO_LINK && b->what == DO_LINK)
		cover(MET_LINK_LINK);
	if (under && removes(a) && a->dir && writes(b))
		cover(MET_DIR_DELETE_CHILD);
	if (under && a->what == DO_RENAME && a->dir && writes(b))
		cover(MET_DIR_RENAME_CHILD);
	if (same && a->what == DO_CHMOD && writes(b))
		cover(MET_CHMOD_MODIFY);
	if (same && (a->what == DO_CHMOD || a->what == DO_TOUCH || a->what == DO_BACK) && removes(b))
		cover(MET_CHMOD_DELETE);
}

void cover_end(void)
{
	for (unsigned i = 0; i < n_events; i++)
		for (unsigned k = 0; k < n_events; k++)
			if (concurrent(&events[i], &events[k]))
				pair(&events[i], &events[k]);
}

void cover_print(FILE *to)
{
	for (size_t i = 0; i < ROWS_N; i++)
		fprintf(to, "%8llu  %s\n", (unsigned long long)met[i], row_text[i]);
}

bool cover_enough(uint64_t least, FILE *to)
{
	bool enough = true;
	for (size_t i = 0; i < ROWS_N; i++) {
		if (met[i] >= least)
			continue;
		enough = false;
		fprintf(to, "met %llu times only: %s\n", (unsigned long long)met[i], row_text[i]);
	}
	return enough;
}
