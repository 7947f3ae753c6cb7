/*
 * Owns the histories that seeds stand for. Each seed allows a few kinds of changes and faults only
 * (a history of everything finds less), on few names, with few contents.
 */
#include "config.h"
#include "sim.h"

#include <stdlib.h>

struct swarm {
	struct scenario *sc;
	uint64_t seed, rng;
	unsigned allowed[DO_N]; /* weights */
	unsigned weight;
	content_t next;
	bool copies;            /* the same content may be written twice */
	bool apart;             /* most changes are made while nobody is connected */
};

static unsigned any(struct swarm *w, unsigned n)
{
	return (unsigned)(rnd(&w->rng) % n);
}

static const char *any_name(struct swarm *w)
{
	static const char *const names[] = {"a", "b", "d", "d/x", "d/y", "e", "e/x", "c.txt", "d/e", "d/e/z",
	                                    "A", "#1", "#2", "#3", "#5", "#7", "~1", "~2", "n:m", ".TUTTI"};
	return names[any(w, any(w, 10) ? 18 : ARRAY_LEN(names))];
}

static content_t any_content(struct swarm *w)
{
	if (w->copies && w->next > 1 && any(w, 4) == 0)
		return any(w, w->next);
	return any(w, 40) ? ++w->next : CONTENT_EMPTY;
}

static struct step *add(struct swarm *w, enum what what, unsigned at)
{
	scenario_add(w->sc, &(struct step){.what = what, .at = (uint8_t)at, .seed = rnd(&w->rng) >> 40});
	return &w->sc->steps[w->sc->n - 1];
}

static void change(struct swarm *w, enum what what, unsigned at, const char *path, const char *to)
{
	struct step *st = add(w, what, at);
	memcpy(st->path, path, strlen(path) + 1);
	if (what == DO_RENAME || what == DO_SWAP || what == DO_COPY)
		memcpy(st->to, to, strlen(to) + 1);
	st->content = any_content(w);
	st->n = any(w, 2) ? 0600 : 0644;
	if (what == DO_CHMOD && any(w, 3) == 0)
		st->n = 0755;
}

static void run(struct swarm *w, unsigned n)
{
	add(w, DO_RUN, 0)->n = n;
}

static void connect_all(struct swarm *w, bool line)
{
	for (unsigned a = 0; a < w->sc->replicas; a++)
		for (unsigned b = a + 1; b < w->sc->replicas; b++)
			if (!line || b == a + 1)
				add(w, DO_CONNECT, a)->other = (uint8_t)b;
}

static void cut_all(struct swarm *w)
{
	for (unsigned a = 0; a < w->sc->replicas; a++)
		for (unsigned b = a + 1; b < w->sc->replicas; b++)
			add(w, DO_CUT, a)->other = (uint8_t)b;
}

/* ---- what each seed allows ---- */

static void allow(struct swarm *w, enum what what, unsigned one_in, unsigned weight)
{
	if (any(w, one_in))
		return;
	w->allowed[what] = weight;
	w->weight += weight;
}

static void choose_kinds(struct swarm *w)
{
	static const struct { enum what what; unsigned one_in, weight; } kinds[] = {
		{DO_WRITE, 1, 12}, {DO_SAVE, 2, 12}, {DO_BEGIN, 4, 4}, {DO_END, 4, 4}, {DO_MMAP, 6, 4},
		{DO_OLD, 4, 4}, {DO_SAME, 4, 4}, {DO_TOUCH, 4, 4}, {DO_BACK, 4, 3}, {DO_CHMOD, 3, 4},
		{DO_MKDIR, 2, 6}, {DO_LINK, 4, 5}, {DO_RENAME, 2, 14}, {DO_REMOVE, 2, 12},
		{DO_RECREATE, 4, 5}, {DO_TODIR, 4, 4}, {DO_PIPE, 12, 2},
		{DO_CONNECT, 1, 10}, {DO_CUT, 2, 5}, {DO_STALL, 8, 2}, {DO_FLOW, 8, 2},
		{DO_KILL, 3, 5}, {DO_POWER, 4, 4}, {DO_UNMOUNT, 12, 3}, {DO_MOUNT, 12, 3},
		{DO_FAIL, 4, 3}, {DO_FULL, 10, 3}, {DO_DEAF, 8, 2}, {DO_CLOCK, 6, 3}, {DO_PASS, 2, 4},
		{DO_WALK, 4, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		allow(w, kinds[i].what, kinds[i].one_in, kinds[i].weight);
	if (any(w, 24) == 0) {
		allow(w, DO_LOSE, 1, 3);
	} else if (w->sc->replicas == 2 && w->seed % 8 == 0) {
		/* Of more, two may have heard of both lives before the third hears of the one that went on. */
		allow(w, DO_SNAPSHOT, 1, 6);
		allow(w, DO_ROLLBACK, 1, 3);
	} else if (any(w, 4) == 0) {
		w->copies = true;
		allow(w, DO_COPY, 2, 5);
	}
}

static enum what any_kind(struct swarm *w)
{
	unsigned k = any(w, w->weight);
	for (unsigned what = 0; what < DO_N; what++) {
		if (k < w->allowed[what])
			return (enum what)what;
		k -= w->allowed[what];
	}
	return DO_WRITE;
}

static void something(struct swarm *w)
{
	unsigned n = w->sc->replicas, at = any(w, n);
	enum what what = any_kind(w);
	if (step_by_user(what)) {
		change(w, what, at, any_name(w), any_name(w));
		return;
	}
	struct step *st = add(w, what, at);
	switch (what) {
	case DO_CONNECT:
	case DO_CUT:
	case DO_STALL:
	case DO_FLOW:
		st->other = (uint8_t)((at + 1 + any(w, n - 1)) % n);
		break;
	case DO_FAIL:
	case DO_DEAF:
		st->n = any(w, 2) ? 0 : 2 + any(w, 20);
		break;
	case DO_FULL:
		st->n = any(w, 2);
		break;
	case DO_CLOCK:
		st->n = any(w, 2) ? (int64_t)any(w, 20) - 10 : ((int64_t)any(w, 20) - 10) * 31536000;
		break;
	case DO_PASS:
		st->n = any(w, 5000);
		break;
	default:
		break;
	}
}

/* Two or three changes made at once, as the rows of the outcome tables have them. */
static void collision(struct swarm *w)
{
	static const struct { const char *before; enum what a; const char *a1, *a2; enum what b; const char *b1, *b2; } rows[] = {
		{"", DO_WRITE, "a", "", DO_WRITE, "a", ""},
		{"a", DO_WRITE, "a", "", DO_SAVE, "a", ""},
		{"a", DO_WRITE, "a", "", DO_REMOVE, "a", ""},
		{"a", DO_REMOVE, "a", "", DO_REMOVE, "a", ""},
		{"a", DO_WRITE, "a", "", DO_RENAME, "a", "b"},
		{"a", DO_RENAME, "a", "b", DO_RENAME, "a", "c.txt"},
		{"ab", DO_RENAME, "a", "c.txt", DO_RENAME, "b", "c.txt"},
		{"", DO_WRITE, "a", "", DO_MKDIR, "a", ""},
		{"", DO_LINK, "a", "", DO_WRITE, "a", ""},
		{"", DO_LINK, "a", "", DO_LINK, "a", ""},
		{"d", DO_REMOVE, "d", "", DO_WRITE, "d/y", ""},
		{"d", DO_RENAME, "d", "e", DO_WRITE, "d/x", ""},
		{"de", DO_RENAME, "d", "e/d", DO_RENAME, "e", "d/e"},
		{"a", DO_CHMOD, "a", "", DO_WRITE, "a", ""},
		{"a", DO_CHMOD, "a", "", DO_REMOVE, "a", ""},
		{"a", DO_TOUCH, "a", "", DO_REMOVE, "a", ""},
		{"a", DO_RENAME, "a", "A", DO_WRITE, "b", ""},
		{"d", DO_PIPE, "d/p", "", DO_REMOVE, "d", ""},
	};
	size_t i = any(w, ARRAY_LEN(rows));
	unsigned n = w->sc->replicas, a = any(w, n), b = (a + 1 + any(w, n - 1)) % n;
	connect_all(w, any(w, 2));
	for (const char *p = rows[i].before; *p; p++) {
		char name[2] = {*p, 0}, child[4] = {*p, '/', 'x', 0};
		bool dir = *p == 'd' || *p == 'e';
		change(w, dir ? DO_MKDIR : DO_WRITE, a, name, "");
		if (dir)
			change(w, DO_WRITE, a, child, "");
	}
	add(w, DO_QUIET, 0);
	cut_all(w);
	change(w, rows[i].a, a, rows[i].a1, rows[i].a2);
	change(w, rows[i].b, b, rows[i].b1, rows[i].b2);
	if (!w->allowed[DO_LOSE] && rows[i].a == DO_WRITE && rows[i].b == DO_WRITE && any(w, 3) == 0)
		w->sc->steps[w->sc->n - 1].content = w->sc->steps[w->sc->n - 2].content;
	if (n > 2 && any(w, 2))
		change(w, rows[i].a, 3 - a - b < n ? 3 - a - b : 0, rows[i].a1, rows[i].a2);
	if (any(w, 2))
		add(w, DO_QUIET, 0);
}

/* Much at once: batches that take many steps, and machines that end in the middle. */
static void flood(struct swarm *w)
{
	static const char *const names[] = {"a", "b", "c.txt", "d", "d/x", "d/y", "e", "e/x"};
	unsigned n = w->sc->replicas, at = any(w, n);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		change(w, strcmp(names[i], "d") == 0 || strcmp(names[i], "e") == 0 ? DO_MKDIR : DO_WRITE, at,
		       names[i], "");
	add(w, DO_QUIET, 0);
	connect_all(w, any(w, 2));
	for (unsigned i = 0; i < 3; i++) {
		run(w, 10 + any(w, 40));
		add(w, any(w, 2) ? DO_KILL : DO_POWER, any(w, n));
		connect_all(w, any(w, 2));
	}
}

/* Puts what was added from step `from` on before step `at`. */
static void move_to(struct scenario *sc, size_t from, size_t at)
{
	size_t n = sc->n - from;
	struct step *added = xmemdup(&sc->steps[from], n * sizeof(*added));
	memmove(&sc->steps[at + n], &sc->steps[at], (from - at) * sizeof(*added));
	memcpy(&sc->steps[at], added, n * sizeof(*added));
	free(added);
}

/* Indexes are lost, of one or of several, and the first walks after that are broken off. */
static void losses(struct swarm *w)
{
	unsigned n = 1 + any(w, 3);
	for (unsigned i = 0; i < n; i++) {
		size_t from = w->sc->n, at = any(w, (unsigned)from);
		unsigned who = any(w, w->sc->replicas);
		add(w, DO_LOSE, who);
		for (unsigned k = any(w, 3); k; k--) {
			run(w, any(w, 12) + 1);
			add(w, any(w, 3) ? DO_KILL : DO_POWER, who);
		}
		if (any(w, 2))
			connect_all(w, any(w, 2));
		move_to(w->sc, from, at);
	}
}

void scenario_make(struct scenario *sc, uint64_t seed)
{
	struct swarm w = {.sc = sc, .seed = seed, .rng = seed * 0x2545f4914f6cdd1du + 1};
	*sc = (struct scenario){0};
	unsigned k = any(&w, 20);
	sc->replicas = k < 9 ? 2 : k < 16 ? 3 : k < 19 ? 4 : 5;
	choose_kinds(&w);
	w.apart = any(&w, 3) == 0;
	if (any(&w, 16) == 0)
		add(&w, DO_PICKY, any(&w, sc->replicas));
	else if (any(&w, 16) == 0 && !w.allowed[DO_CLOCK])
		add(&w, DO_COARSE, any(&w, sc->replicas));
	if (any(&w, 32) == 0)
		add(&w, DO_EVIL, any(&w, sc->replicas));
	if (any(&w, 3) == 0)
		collision(&w);
	else if (any(&w, 10) == 0)
		flood(&w);
	else if (!w.apart)
		connect_all(&w, any(&w, 2));
	/* Of its own chance, so that the other histories stay what they were. */
	uint64_t forget = hash64(&seed, sizeof(seed), 1);
	static const int64_t ages_ms[] = {0, 0, 50, 3000};
	if (forget % 4 == 0)
		scenario_add(sc, &(struct step){.what = DO_FORGET, .n = ages_ms[forget / 4 % ARRAY_LEN(ages_ms)]});
	unsigned changes = 5 + any(&w, 30), pace = 1 + any(&w, 40);
	for (unsigned i = 0; i < changes; i++) {
		something(&w);
		if (any(&w, 3))
			run(&w, any(&w, pace) + 1);
		if (w.apart && any(&w, 6) == 0)
			connect_all(&w, any(&w, 2));
		else if (w.apart && any(&w, 6) == 0)
			cut_all(&w);
	}
	if (hash64(&seed, sizeof(seed), 2) % 8 == 0 && !w.copies)
		losses(&w);
	add(&w, DO_SETTLE, 0);
}

void scenario_reorder(struct scenario *sc, uint64_t order)
{
	struct scenario out = {.replicas = sc->replicas};
	for (size_t i = 0; i < sc->n; i++) {
		if (!step_by_user(sc->steps[i].what))
			continue;
		scenario_add(&out, &sc->steps[i]);
		scenario_add(&out, &(struct step){.what = DO_QUIET, .seed = i});
	}
	scenario_add(&out, &(struct step){.what = DO_SETTLE, .seed = order});
	scenario_release(sc);
	*sc = out;
}
