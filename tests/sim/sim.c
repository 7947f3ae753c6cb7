/* Owns the play of a scenario: whose turn it is, how time passes, how everything comes to rest. */
#include "config.h"
#include "sim.h"

#include "path.h"

#include <stdarg.h>
#include <stdlib.h>

#define SETTLE_STEPS_MAX 20000 /* S15: no history of a few dozen changes may need more */
#define BLOCKED_STEPS_MAX 3000
#define QUIET_STEPS_MAX 600
#define ACTIONS_MAX 20000

void fault(struct sim *s, const char *fmt, ...)
{
	va_list ap;
	if (*s->fault)
		return; /* the first one counts */
	va_start(ap, fmt);
	vsnprintf(s->fault, sizeof(s->fault), fmt, ap);
	va_end(ap);
	note(s, 0, "FAULT %s", s->fault);
}

void note(struct sim *s, unsigned at, const char *fmt, ...)
{
	va_list ap;
	if (!s->trace)
		return;
	fprintf(stderr, "%6llu %c ", (unsigned long long)s->steps, 'A' + (int)at);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

uint64_t rnd(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned below(struct sim *s, unsigned n)
{
	return (unsigned)(rnd(&s->rng) % n);
}

bool fails(struct sim *s, const struct replica *r)
{
	return r->fail && !s->quiet_faults && below(s, 100) < r->fail;
}

void mix(struct sim *s, uint64_t value)
{
	s->hash = (s->hash ^ value) * 0x100000001b3u;
	s->hash ^= s->hash >> 29;
}

void tell_time(struct sim *s, struct replica *r)
{
	engine_time(r->e, s->wall_ns + r->skew_ns, s->mono_ms);
}

int64_t now_of(struct sim *s, const struct replica *r)
{
	int64_t now = ++s->wall_ns + r->skew_ns;
	return r->coarse ? now - (now + r->at) % 4000000 : now; /* no two machines step at the same moment */
}

void wake(struct replica *r)
{
	r->awake = true;
}

/* ---- steps ---- */

static void action(struct sim *s, struct replica *r, const struct action *a)
{
	switch (a->type) {
	case ACT_LIST:
	case ACT_LOOK:
	case ACT_APPLY:
	case ACT_FETCH:
	case ACT_STORE:
		job_keep(s, r, a);
		break;
	case ACT_INDEX:
	case ACT_HAVE:
	case ACT_SYNC:
	case ACT_ACK:
	case ACT_REPORT:
		net_send(s, r, a);
		break;
	case ACT_DROP:
		if (!s->r[a->peer].evil)
			fault(s, "%c drops %c: %s", 'A' + (int)r->at, 'A' + (int)a->peer, a->text);
		net_cut(s, r->at, a->peer);
		break;
	case ACT_DROP_TMP:
		tmp_drop(s, r, a->tmp);
		break;
	case ACT_ROLLED_BACK:
		r->rolled_back = true;
		break;
	default:
		note(s, r->at, "tells %d %s of %.*s: %s", (int)a->type,
		     a->type == ACT_EVENT ? engine_event_text(a->event) : "", (int)a->path.len,
		     a->path.len ? (const char *)a->path.p : "", a->text ? a->text : "");
		break;
	}
}

static void pull(struct sim *s, struct replica *r)
{
	struct action a;
	unsigned n = 0;
	r->awake = false;
	tell_time(s, r);
	while (!*s->fault && engine_next(r->e, &a)) {
		action(s, r, &a);
		if (++n > ACTIONS_MAX)
			fault(s, "S9: %c has actions without end, the last of type %d", 'A' + (int)r->at,
			      (int)a.type);
	}
	if (r->rolled_back && !*s->fault) {
		cover(MET_ROLLED_BACK);
		life_restart(s, r, END_LOSE);
	}
}

static void pull_all(struct sim *s)
{
	for (bool any = true; any && !*s->fault; ) {
		any = false;
		for (unsigned i = 0; i < s->n; i++) {
			struct replica *r = &s->r[i];
			if (engine_deadline(r->e) <= s->mono_ms) {
				tell_time(s, r);
				engine_tick(r->e);
				r->awake = true;
			}
			if (r->awake) {
				pull(s, r);
				any = true;
			}
		}
		any = false;
		for (unsigned i = 0; i < s->n; i++)
			any |= s->r[i].awake;
	}
}

static bool give_hint(struct sim *s, struct replica *r)
{
	if (!r->n_hints)
		return false;
	struct noted h = r->hints[0];
	memmove(r->hints, r->hints + 1, --r->n_hints * sizeof(h));
	if (r->deaf && !s->quiet_faults && below(s, 100) < r->deaf)
		return true;
	tell_time(s, r);
	wake(r);
	node_t dir = tree_find(engine_tree(r->e), bytes_of(h.dir));
	if (*h.to_name) {
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
	return true;
}

static bool step_one(struct sim *s, unsigned kind, unsigned at, unsigned other)
{
	struct replica *r = &s->r[at];
	if (kind == 0)
		return job_step(s, r);
	if (kind == 1)
		return !r->halted && give_hint(s, r);
	return net_step(s, other, at);
}

/* One step of somebody; false if nobody has anything to do just now. */
static bool step(struct sim *s)
{
	bool did = false;
	pull_all(s);
	if (*s->fault)
		return false;
	for (unsigned tries = 0; tries < 6 && !did; tries++) {
		unsigned kind = below(s, 4);
		did = step_one(s, kind == 3 ? 0 : kind, below(s, s->n), below(s, s->n));
	}
	for (unsigned i = 0, from = did ? 0 : below(s, s->n); i < s->n && !did; i++)
		for (unsigned k = 0; k < 3 && !did; k++)
			for (unsigned o = 0; o < (k == 2 ? s->n : 1) && !did; o++)
				did = step_one(s, k, (from + i) % s->n, o);
	if (did) {
		s->steps++;
		s->mono_ms += below(s, 3);
		oracle_step(s);
	}
	pull_all(s);
	return did && !*s->fault;
}

/* A person decides on all that is held there. Returns how many deletions waited. */
static size_t decide(struct sim *s, struct replica *r, bool carry_out)
{
	struct held_set sets[REPLICAS_MAX];
	size_t n = engine_held_sets(r->e, sets, ARRAY_LEN(sets)), waited = 0, left;
	tell_time(s, r);
	for (size_t i = 0; i < n; i++) {
		note(s, r->at, "%s %zu held deletions", carry_out ? "confirms" : "refuses", sets[i].n);
		engine_held_decide(r->e, sets[i].id, carry_out, &left);
		waited += sets[i].n;
		if (!carry_out)
			oracle_kept(s);
	}
	wake(r);
	return waited;
}

/* While it settles, whoever is asked says yes. False: nobody is. */
static bool confirm(struct sim *s)
{
	size_t waited = 0;
	for (unsigned i = 0; s->quiet_faults && i < s->n; i++)
		waited += decide(s, &s->r[i], true);
	return waited != 0;
}

/* Time passes until something is due. False: nothing ever is. */
static bool pass_time(struct sim *s)
{
	uint64_t due = UINT64_MAX;
	for (unsigned i = 0; i < s->n; i++)
		if (engine_deadline(s->r[i].e) < due)
			due = engine_deadline(s->r[i].e);
	if (due == UINT64_MAX)
		return false;
	if (due > s->mono_ms) {
		s->wall_ns += (int64_t)(due - s->mono_ms) * 1000000;
		s->mono_ms = due;
	}
	return true;
}

/* True if it came to rest within that many steps and waits. */
static bool rest(struct sim *s, unsigned max, unsigned waits_max)
{
	unsigned n = 0, waits = 0;
	bool quiet = false;
	while (!*s->fault && n < max && waits < waits_max) {
		if (step(s)) {
			n++;
			waits = 0;
			quiet = false;
			continue;
		}
		if (confirm(s)) {
			pull_all(s);
			quiet = false;
			n++;
		} else if (!pass_time(s)) {
			if (quiet)
				return true;
			quiet = true; /* but the last tick may have begun something */
		}
		waits++;
	}
	return n < max;
}

static void run(struct sim *s, int64_t n)
{
	for (int64_t i = 0; i < n && !*s->fault; i++)
		if (!step(s) && !pass_time(s))
			break;
}

/* ---- the end ---- */

static void faults_end(struct sim *s)
{
	s->quiet_faults = true;
	for (unsigned i = 0; i < s->n; i++) {
		struct replica *r = &s->r[i];
		for (size_t k = 0; k < r->disk.n; k++) {
			if (!r->disk.at[k].open)
				continue;
			r->disk.at[k].open = false;
			hint_add(r, r->disk.at[k].path, HINT_CHANGED);
		}
		if (r->halted) {
			r->halted = false;
			tell_time(s, r);
			engine_halt(r->e, NULL);
			wake(r);
		}
		for (unsigned k = 0; k < s->n; k++)
			s->link[i][k].stalled = false;
	}
}

/* In a line at least; true if that was so already. */
static bool connect_line(struct sim *s)
{
	bool was = true;
	for (unsigned i = 1; i < s->n; i++) {
		was &= s->link[i - 1][i].up;
		net_connect(s, i - 1, i);
	}
	return was;
}

static void walk_all(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		tell_time(s, &s->r[i]);
		engine_walk(s->r[i].e, (struct bytes){0});
		wake(&s->r[i]);
	}
}

static void must_rest(struct sim *s, const char *what)
{
	/* What is blocked is tried again for ever, at longer and longer intervals. */
	bool rests;
	do { /* who finds that its index is an old copy starts again, and is connected again */
		connect_line(s);
		rests = rest(s, oracle_blocked(s) ? BLOCKED_STEPS_MAX : SETTLE_STEPS_MAX, 40);
	} while (rests && !*s->fault && !connect_line(s));
	if (!rests && !*s->fault && !oracle_blocked(s))
		fault(s, "S15: %s does not come to rest", what);
}

/* `what` changed nothing: there is no event, and no new number. */
static void must_be_same(struct sim *s, const uint64_t *counters, const char *what)
{
	must_rest(s, what);
	for (unsigned i = 0; i < s->n && !*s->fault; i++)
		if (engine_counter(s->r[i].e) != counters[i])
			fault(s, "%s of %c makes a change", what, 'A' + (int)i);
	if (!*s->fault)
		oracle_end(s);
}

static void settle(struct sim *s, bool thorough)
{
	uint64_t counters[REPLICAS];
	bool evil = false;
	for (unsigned i = 0; i < s->n; i++)
		evil |= s->r[i].evil;
	faults_end(s);
	connect_line(s);
	if (evil) { /* it goes on as it likes: there is no end */
		rest(s, QUIET_STEPS_MAX, 20);
		s->quiet_faults = false;
		return;
	}
	must_rest(s, "the history");
	walk_all(s); /* the watch may have missed something */
	must_rest(s, "the walk");
	if (!*s->fault)
		oracle_end(s);
	for (unsigned i = 0; i < s->n; i++)
		counters[i] = engine_counter(s->r[i].e);
	if (thorough && !*s->fault) {
		walk_all(s);
		must_be_same(s, counters, "S12: another walk");
	}
	if (thorough && !*s->fault) {
		bool up[REPLICAS][REPLICAS];
		for (unsigned a = 0; a < s->n; a++)
			for (unsigned b = 0; b < s->n; b++)
				up[a][b] = s->link[a][b].up;
		for (unsigned i = 0; i < s->n; i++) {
			life_end(s, &s->r[i]);
			life_begin(s, &s->r[i], false);
		}
		for (unsigned a = 0; a < s->n; a++)
			for (unsigned b = a + 1; b < s->n; b++)
				if (up[a][b])
					net_connect(s, a, b);
		must_be_same(s, counters, "S13: a new start");
	}
	s->quiet_faults = false;
}

/* ---- what must be so ---- */

static void expect(struct sim *s, const struct step *st)
{
	struct replica *r = &s->r[st->at];
	const struct object *o = disk_find(&r->disk, st->path);
	char who = (char)('A' + (int)st->at);
	unsigned n = 0;
	switch (st->what) {
	case DO_EXPECT:
		if (!o || o->kind == KIND_DIR || o->content != st->content)
			fault(s, "%s on %c is kind %d c%u, not c%u", st->path, who, o ? o->kind : 0,
			      o ? o->content : 0, st->content);
		break;
	case DO_ABSENT:
		if (o)
			fault(s, "%s on %c should not be there", st->path, who);
		break;
	case DO_FOLDER:
		if (!o || o->kind != KIND_DIR)
			fault(s, "%s on %c should be a folder", st->path, who);
		break;
	case DO_MODE:
		if (!o || o->mode != st->n)
			fault(s, "%s on %c has mode %o", st->path, who, o ? o->mode : 0u);
		break;
	case DO_COPYOF: {
		char stem[PATH_CAP];
		size_t len = strcspn(st->path, ".");
		memcpy(stem, st->path, len);
		snprintf(stem + len, sizeof(stem) - len, ".conflict-");
		for (size_t i = 0; i < r->disk.n; i++)
			n += strncmp(r->disk.at[i].path, stem, strlen(stem)) == 0 &&
			     r->disk.at[i].content == st->content;
		if (n != 1)
			fault(s, "%c has %u copies of %s with c%u", who, n, st->path, st->content);
		break;
	}
	case DO_OBJECTS:
		if ((int64_t)r->disk.n != st->n)
			fault(s, "%c has %zu objects", who, r->disk.n);
		break;
	case DO_HELD:
		if ((int64_t)engine_status(r->e).held != st->n)
			fault(s, "%c holds %llu deletions", who, (unsigned long long)engine_status(r->e).held);
		break;
	default:
		break;
	}
}

/* "A peer has seen a higher counter": of two that go back at once nobody can tell. */
static bool others_remember(const struct sim *s, const struct replica *r)
{
	for (unsigned i = 0; i < s->n; i++)
		if (i != r->at && s->r[i].went_back)
			return false;
	return true;
}

static void machine(struct sim *s, const struct step *st)
{
	struct replica *r = &s->r[st->at];
	switch (st->what) {
	case DO_KILL:
		life_restart(s, r, END_KILL);
		break;
	case DO_POWER:
		s->rng = st->seed;
		life_restart(s, r, END_POWER);
		break;
	case DO_LOSE:
		life_restart(s, r, END_LOSE);
		break;
	case DO_SNAPSHOT:
		life_snapshot(r);
		break;
	case DO_ROLLBACK:
		if (r->snapshot.there && r->snapshot.id.b[1] == r->id.b[1] && others_remember(s, r))
			life_restart(s, r, END_ROLLBACK);
		break;
	case DO_UNMOUNT:
	case DO_MOUNT:
		if (r->halted == (st->what == DO_UNMOUNT))
			break;
		r->halted = !r->halted;
		tell_time(s, r);
		engine_halt(r->e, r->halted ? "unmounted" : NULL);
		wake(r);
		cover(MET_ROOT_GONE);
		break;
	case DO_FAIL:
		r->fail = (unsigned)st->n;
		break;
	case DO_FULL:
		r->full = st->n != 0;
		break;
	case DO_DEAF:
		r->deaf = (unsigned)st->n;
		break;
	case DO_PICKY:
		r->picky = true;
		break;
	case DO_COARSE:
		r->coarse = true;
		cover(MET_GRANULE);
		break;
	case DO_CLOCK:
		r->skew_ns += st->n * 1000000000;
		cover(MET_CLOCK);
		break;
	case DO_EVIL:
		r->evil = true;
		r->evil_seed = st->seed;
		break;
	default:
		break;
	}
}

static void play(struct sim *s, const struct step *step)
{
	struct step one = *step, *st = &one;
	if (one.at == AT_ALL) {
		for (one.at = 0; one.at < s->n && !*s->fault; one.at++) {
			struct step each = one;
			play(s, &each);
		}
		return;
	}
	if (one.at == AT_LAST)
		one.at = (uint8_t)(s->n - 1);
	if (one.other == AT_LAST)
		one.other = (uint8_t)(s->n - 1);
	if (one.at >= s->n || one.other >= s->n)
		return; /* of a scenario that was made small */
	if (st->what <= DO_PIPE) {
		user_acts(s, st);
		return;
	}
	switch (st->what) {
	case DO_DECIDE:
		decide(s, &s->r[st->at], st->n != 0);
		break;
	case DO_CONNECT:
		net_connect(s, st->at, st->other);
		break;
	case DO_CUT:
		net_cut(s, st->at, st->other);
		break;
	case DO_JOIN:
		connect_line(s);
		break;
	case DO_APART:
		for (unsigned a = 0; a < s->n; a++)
			for (unsigned b = 0; b < s->n; b++)
				net_cut(s, a, b);
		break;
	case DO_STALL:
	case DO_FLOW:
		s->link[st->at][st->other].stalled = st->what == DO_STALL && s->link[st->at][st->other].up;
		break;
	case DO_PASS:
		s->mono_ms += (uint64_t)st->n;
		s->wall_ns += st->n * 1000000;
		break;
	case DO_FORGET:
		s->forget_ms = (uint64_t)st->n;
		oracle_forgets(s);
		for (unsigned i = 0; i < s->n; i++) {
			tell_time(s, &s->r[i]);
			engine_forget(s->r[i].e, s->forget_ms);
			wake(&s->r[i]);
		}
		break;
	case DO_WALK:
		tell_time(s, &s->r[st->at]);
		engine_walk(s->r[st->at].e, (struct bytes){0});
		wake(&s->r[st->at]);
		break;
	case DO_RUN:
		s->rng = st->seed;
		run(s, st->n);
		break;
	case DO_QUIET:
		s->rng = st->seed;
		rest(s, QUIET_STEPS_MAX, 20);
		break;
	case DO_SETTLE:
		s->rng = st->seed;
		settle(s, true);
		break;
	default:
		if (st->what >= DO_EXPECT)
			expect(s, st);
		else
			machine(s, st);
		break;
	}
}

static uint64_t tree;

uint64_t sim_tree(void)
{
	return tree;
}

/*
 * What each name shows, and what its copies show; neither how often nor for which of equal contents a
 * copy was made, nor its permissions (those that its path has just then): that follows from the order.
 */
static uint64_t tree_of(const struct objects *d)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct object *o = &d->at[i];
		char base[PATH_CAP];
		bool again = false, copy = path_is_conflict_name(bytes_of(o->path));
		oracle_base(o->path, base);
		for (size_t k = 0; k < i && copy && !again; k++) {
			char other[PATH_CAP];
			oracle_base(d->at[k].path, other);
			again = strcmp(base, other) == 0 && path_is_conflict_name(bytes_of(d->at[k].path)) &&
			        d->at[k].content == o->content;
		}
		if (!again && (!copy || o->content != CONTENT_EMPTY))
			sum += hash64(base, strlen(base), (uint64_t)o->kind << 40 ^ (uint64_t)copy << 39 ^ o->content);
	}
	return sum;
}

bool sim_play(const struct scenario *sc, bool trace, uint64_t *hash, const char **why)
{
	static struct oracle *oracle;
	static struct sim *s;
	static char text[1024];
	if (!oracle)
		oracle = oracle_new();
	if (!s)
		s = xcalloc(1, sizeof(*s));
	oracle_clear(oracle);
	cover_begin();
	*s = (struct sim){.n = sc->replicas, .next_torn = TORN_FIRST, .wall_ns = 1700000000000000000,
	                  .mono_ms = 5000, .trace = trace, .oracle = oracle, .hash = 0xcbf29ce484222325u, .forget_ms = UINT64_MAX};
	for (unsigned i = 0; i < s->n; i++) {
		s->r[i].at = i;
		life_begin(s, &s->r[i], true);
	}
	for (size_t i = 0; i < sc->n && !*s->fault; i++)
		play(s, &sc->steps[i]);
	cover_end();
	for (unsigned i = 0; i < s->n; i++)
		mix(s, tree_of(&s->r[i].disk));
	tree = tree_of(&s->r[0].disk);
	net_release(s);
	for (unsigned i = 0; i < s->n; i++) {
		struct replica *r = &s->r[i];
		jobs_drop(r);
		engine_free(r->e);
		intents_release(r);
		stored_release(&r->stored);
		stored_release(&r->snapshot);
		disk_release(r);
		free(r->jobs);
		free(r->hints);
		free(r->tmps);
	}
	memcpy(text, s->fault, sizeof(text));
	*hash = s->hash;
	*why = text;
	return !*text;
}
