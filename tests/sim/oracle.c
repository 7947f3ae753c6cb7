/*
 * Owns the judgement. It keeps a log of its own of what people put and took away, and of what was
 * announced, and knows the engine only through what engine.h reports: nothing of the merge is used
 * here. A `claim` is a content that somebody put at a name and nobody has replaced or deleted:
 * it must be on some disk at every moment (S1), and on every disk in the end (S11).
 */
#include "config.h"
#include "sim.h"

#include "path.h"

#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#define KNOWN_CONTENTS 1024 /* numbers below are users', above are torn ones */
#define FACTS 8192          /* a power of two */
#define JOBS_AT_ONCE 64

struct claim {
	content_t content;
	char base[PATH_CAP]; /* the name, without the parts of conflict copies */
	bool live;
	bool taken;          /* by a person, without any doubt */
	unsigned taken_at;   /* by whom */
	unsigned at;         /* who put it there, */
	char path[PATH_CAP]; /* by what name, */
	uint64_t stored;     /* when the index on its disk said this of it */
};

/* What an op has put at a path, until its engine hears of that. */
struct placed {
	unsigned at;
	char path[PATH_CAP];
	content_t content;
};

/* What was announced once, by key; of an older history if `gen` is not ours. */
struct fact {
	uint64_t key, value;
	uint32_t gen;
};

struct oracle {
	struct claim *claims;
	size_t n_claims, claims_cap;
	struct { content_t *at; size_t n, cap; } written;
	struct { char (*at)[PATH_CAP]; size_t n, cap; } removed; /* folders */
	struct { struct placed *at; size_t n, cap; } placed;
	uint8_t puts[KNOWN_CONTENTS]; /* 1: once anywhere; 3: more than once */
	uint64_t durable[REPLICAS][(2 * KNOWN_CONTENTS) / 64];
	struct fact facts[FACTS];
	uint32_t gen;
	size_t n_facts;
	bool evil;         /* somebody lies */
	bool forgets;      /* tombstones */
	bool doubt;        /* somebody refused deletions: what was deleted may be back */
	unsigned lost;     /* bits: who lost an index, and may delete what it does not know to be a peer's as well */
	bool rolled_back;  /* what was announced may have been forgotten, if it was lost on its way */
	struct objects before; /* a power loss */
};

struct oracle *oracle_new(void)
{
	return xcalloc(1, sizeof(struct oracle));
}

void oracle_clear(struct oracle *o)
{
	o->n_claims = o->written.n = o->removed.n = o->placed.n = o->n_facts = o->lost = 0;
	memset(o->durable, 0, sizeof(o->durable));
	o->gen++;
	o->evil = o->rolled_back = o->forgets = o->doubt = false;
	memset(o->puts, 0, sizeof(o->puts));
}

void oracle_free(struct oracle *o)
{
	free(o->claims);
	free(o->written.at);
	free(o->removed.at);
	free(o->placed.at);
	free(o->before.at);
	free(o);
}

static size_t slot_of_content(content_t c)
{
	return c < KNOWN_CONTENTS ? c : KNOWN_CONTENTS + (c - TORN_FIRST) % KNOWN_CONTENTS;
}

void oracle_base(const char *path, char out[PATH_CAP])
{
	size_t n = 0;
	while (*path && n + 1 < PATH_CAP) {
		if (strncmp(path, ".conflict-", 10) == 0) {
			path += 10 + strspn(path + 10, "0123456789abcdef");
			path += *path == '-';
			path += strspn(path, "0123456789");
			continue;
		}
		out[n++] = *path++;
	}
	out[n] = 0;
}

void oracle_written(struct sim *s, content_t c)
{
	struct oracle *o = s->oracle;
	for (size_t i = 0; i < o->written.n; i++)
		if (o->written.at[i] == c)
			return;
	GROW(o->written.at, o->written.cap, o->written.n + 1);
	o->written.at[o->written.n++] = c;
}

/* What the index on the disk says of a path; 0: nothing. */
static uint64_t stored_at(const struct replica *r, const char *path)
{
	for (size_t i = 0; i < r->stored.n; i++)
		if (strcmp(r->stored.records[i].path, path) == 0)
			return hash64(r->stored.records[i].bytes.data, r->stored.records[i].bytes.len, 1);
	return 0;
}

static void claim(struct oracle *o, const struct replica *r, const char *path, content_t c)
{
	GROW(o->claims, o->claims_cap, o->n_claims + 1);
	struct claim *new = &o->claims[o->n_claims++];
	*new = (struct claim){.content = c, .live = true, .at = r->at, .stored = stored_at(r, path)};
	oracle_base(path, new->base);
	snprintf(new->path, sizeof(new->path), "%s", path);
}

static bool was_durable(const struct sim *s, const struct replica *r, content_t c)
{
	size_t i = slot_of_content(c);
	return s->oracle->durable[r->at][i / 64] >> i % 64 & 1;
}

/* Somebody else has put that content at that name, and this disk never had it, or nothing at that name. */
static bool made_elsewhere(const struct sim *s, const struct replica *r, const char *path, content_t c)
{
	const struct oracle *o = s->oracle;
	char base[PATH_CAP];
	struct entry_view v;
	node_t n = tree_find(engine_tree(r->e), bytes_of(path));
	bool had = was_durable(s, r, c) && n != NODE_NONE && engine_entry(r->e, n, &v);
	oracle_base(path, base);
	for (size_t i = 0; i < o->n_claims && !had; i++)
		if (o->claims[i].content == c && strcmp(o->claims[i].base, base) == 0)
			return true;
	return false;
}

static struct placed *placed_at(struct oracle *o, const struct replica *r, const char *path)
{
	for (size_t i = 0; i < o->placed.n; i++)
		if (o->placed.at[i].at == r->at && strcmp(o->placed.at[i].path, path) == 0)
			return &o->placed.at[i];
	return NULL;
}

void oracle_placed(struct sim *s, const struct replica *r, const char *path, content_t c)
{
	struct oracle *o = s->oracle;
	struct placed *at = placed_at(o, r, path);
	if (!at) {
		GROW(o->placed.at, o->placed.cap, o->placed.n + 1);
		at = &o->placed.at[o->placed.n++];
		*at = (struct placed){.at = r->at};
		memcpy(at->path, path, strlen(path) + 1);
	}
	at->content = c;
}

void oracle_told(struct sim *s, const struct replica *r, const char *path)
{
	struct oracle *o = s->oracle;
	for (size_t i = o->placed.n; i-- > 0; )
		if (o->placed.at[i].at == r->at && (!path || strcmp(o->placed.at[i].path, path) == 0))
			o->placed.at[i] = o->placed.at[--o->placed.n];
}

static content_t content_of(const struct oracle *o, const struct head *h);

/*
 * "Event: one user change of one path"; "same content: no event". What differed in between, and was
 * neither announced nor is to be, since nobody looked, or a deletion had not been judged yet, or the
 * program ended first, is no change when the content that the engine knows is there again.
 */
static bool unchanged(const struct sim *s, const struct replica *r, const char *path, content_t c)
{
	const struct placed *placed = placed_at(s->oracle, r, path);
	struct entry_view v;
	if (placed)
		return placed->content == c;
	node_t n = tree_find(engine_tree(r->e), bytes_of(path));
	if (n == NODE_NONE || !engine_entry(r->e, n, &v))
		return false;
	const struct head *h = v.shown;
	for (uint16_t i = 0; !v.shown && i < v.state->n_heads; i++) /* not there, and that is no event yet */
		if (v.state->heads[i].kind != KIND_DIR && (!h || v.state->heads[i].rank > h->rank))
			h = &v.state->heads[i];
	return h && content_of(s->oracle, h) == c;
}

void oracle_put(struct sim *s, const struct replica *r, const char *path, content_t c)
{
	struct oracle *o = s->oracle;
	oracle_written(s, c);
	if (c == CONTENT_EMPTY || c >= TORN_FIRST)
		return;
	o->puts[c % KNOWN_CONTENTS] |= (uint8_t)(o->puts[c % KNOWN_CONTENTS] + 1);
	if (unchanged(s, r, path, c))
		return;
	if (made_elsewhere(s, r, path, c))
		return; /* the same as what is on its way here: that is no event of its own */
	claim(o, r, path, c);
}

void oracle_begins(struct sim *s, const struct replica *r)
{
	struct oracle *o = s->oracle;
	for (size_t i = 0; i < o->n_claims; i++) {
		struct claim *c = &o->claims[i];
		if (c->live && c->at == r->at && c->stored && c->stored == stored_at(r, c->path) &&
		    unchanged(s, r, c->path, c->content))
			c->live = false;
	}
}

/* The engine there knows that the disk shows it, and is told what happens to it. */
static bool is_known_there(const struct replica *r, const struct object *obj)
{
	node_t n = tree_find(engine_tree(r->e), bytes_of(obj->path));
	struct entry_view v;
	uint8_t hash[HASH_SIZE];
	content_hash(obj->content, hash);
	return n != NODE_NONE && !r->n_jobs && !r->deaf && obj->kind == KIND_FILE &&
	       engine_entry(r->e, n, &v) && v.shown && memcmp(v.shown->hash, hash, HASH_SIZE) == 0;
}

void oracle_take(struct sim *s, const struct replica *r, const struct object *obj)
{
	struct oracle *o = s->oracle;
	char base[PATH_CAP];
	oracle_base(obj->path, base);
	bool known = is_known_there(r, obj) && strcmp(obj->path, base) == 0; /* of a copy others may not know */
	for (size_t i = 0; i < o->n_claims; i++)
		if (o->claims[i].content == obj->content && strcmp(o->claims[i].base, base) == 0) {
			o->claims[i].taken = o->claims[i].live && known && !(o->lost >> r->at & 1);
			o->claims[i].taken_at = r->at;
			o->claims[i].live = false;
		}
}

void oracle_dir_removed(struct sim *s, const char *path)
{
	struct oracle *o = s->oracle;
	GROW(o->removed.at, o->removed.cap, o->removed.n + 1);
	snprintf(o->removed.at[o->removed.n++], PATH_CAP, "%s", path);
}

static bool claimed(const struct oracle *o, content_t c)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (o->claims[i].live && o->claims[i].content == c)
			return true;
	return false;
}

static bool claimed_at(const struct oracle *o, content_t c, const char *base)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (o->claims[i].live && o->claims[i].content == c && strcmp(o->claims[i].base, base) == 0)
			return true;
	return false;
}

static void unclaim(struct oracle *o, content_t c)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (o->claims[i].content == c)
			o->claims[i].live = o->claims[i].taken = false;
}

static bool holds(const struct object *obj, content_t c)
{
	return (obj->kind == KIND_FILE || obj->kind == KIND_SYMLINK) && obj->content == c;
}

static bool on_disk(const struct objects *d, content_t c, const struct object *but)
{
	for (size_t i = 0; i < d->n; i++)
		if (&d->at[i] != but && holds(&d->at[i], c))
			return true;
	return false;
}

static void evil_is_there(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		s->oracle->evil |= s->r[i].evil;
}

/* The value that the key had before, or `value` if it is new. */
static uint64_t *fact(struct oracle *o, uint64_t key, uint64_t value)
{
	size_t i = key & (FACTS - 1);
	while (o->facts[i].gen == o->gen && o->facts[i].key != key)
		i = (i + 1) & (FACTS - 1);
	if (o->facts[i].gen != o->gen) {
		if (o->n_facts >= FACTS / 4 * 3) {
			static uint64_t none;
			none = value;
			return &none; /* a history as long as that is judged by the rest */
		}
		o->n_facts++;
		o->facts[i] = (struct fact){key, value, o->gen};
	}
	return &o->facts[i].value;
}

/* What a replica announced last at a path; 0: that nothing is there. */
enum { TOLD_HEADS = 1, TOLD_FOLDER };

/* ---- S1, S6: what the engine takes off a disk ---- */

void oracle_displaces(struct sim *s, struct replica *r, const struct object *obj)
{
	struct oracle *o = s->oracle;
	evil_is_there(s);
	if (o->evil)
		return;
	if (obj->kind == KIND_DIR) {
		for (size_t i = 0; i < o->removed.n; i++)
			if (strcmp(o->removed.at[i], obj->path) == 0)
				return;
		/* One that it made for a child, and has not announced as a folder, is its own. */
		uint64_t name = hash64(obj->path, strlen(obj->path), 7);
		if (*fact(o, hash64(&r->id, sizeof(r->id), name + 3), 0) == TOLD_FOLDER)
			fault(s, "S6: %c removes the folder %s, which nobody deleted", 'A' + (int)r->at, obj->path);
		return;
	}
	if (obj->untold) {
		/* "Files stamped less than 2 s before a scan are hashed again by the next; a slow full re-hash covers
		 * the rest": before that nothing can know of it, and it is in the trash. */
		unclaim(o, obj->content);
		return;
	}
	if (!claimed(o, obj->content))
		return;
	char base[PATH_CAP];
	oracle_base(obj->path, base);
	for (unsigned i = 0; i < s->n; i++)
		if (on_disk(&s->r[i].disk, obj->content, obj))
			return;
	fault(s, "S1: %c takes the last c%u off the disks, at %s%s", 'A' + (int)r->at, obj->content,
	      obj->path, claimed_at(o, obj->content, base) ? "" : " (claimed at another name)");
}

/* ---- durability: power losses, and what is announced (S4) ---- */

void oracle_durable(struct sim *s, const struct replica *r, content_t c)
{
	size_t i = slot_of_content(c);
	s->oracle->durable[r->at][i / 64] |= (uint64_t)1 << i % 64;
}

void oracle_before_power(struct sim *s, struct replica *r)
{
	struct objects *b = &s->oracle->before;
	GROW(b->at, b->cap, r->disk.n + 1);
	if (r->disk.n)
		memcpy(b->at, r->disk.at, r->disk.n * sizeof(*b->at));
	b->n = r->disk.n;
}

/* The name under which a disk has a content; NULL: none, or several. */
static const char *only_name(const struct objects *d, content_t c)
{
	const char *name = NULL;
	for (size_t i = 0; i < d->n; i++) {
		if (!holds(&d->at[i], c))
			continue;
		if (name)
			return NULL;
		name = d->at[i].path;
	}
	return name;
}

/*
 * What a person did just before may be undone by the loss: then neither what they wrote nor what they
 * took away is theirs to claim, unless it never moved.
 */
void oracle_after_power(struct sim *s, struct replica *r)
{
	struct oracle *o = s->oracle;
	for (size_t i = 0; i < o->written.n; i++) {
		content_t c = o->written.at[i];
		const char *was = only_name(&o->before, c), *is = only_name(&r->disk, c);
		if ((!was && !is && !on_disk(&o->before, c, NULL) && !on_disk(&r->disk, c, NULL)) ||
		    (was && is && strcmp(was, is) == 0))
			continue;
		unclaim(o, c);
	}
}

void oracle_forgets(struct sim *s)
{
	s->oracle->forgets = true;
}

void oracle_kept(struct sim *s)
{
	s->oracle->doubt = true;
}

void oracle_rolled_back(struct sim *s)
{
	s->oracle->rolled_back = true;
}

/* What equals something that was deleted once may be taken for an old file; and what was deleted there may be back,
 * since the index alone knew. */
void oracle_index_lost(struct sim *s, const struct replica *r)
{
	struct oracle *o = s->oracle;
	for (size_t k = 0; k < o->n_claims; k++)
		o->claims[k].taken &= o->claims[k].taken_at != r->at;
	o->lost |= 1u << r->at;
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *obj = &r->disk.at[i];
		if (obj->kind != KIND_FILE && obj->kind != KIND_SYMLINK)
			continue;
		for (size_t k = 0; k < o->n_claims; k++)
			if (!o->claims[k].live && o->claims[k].content == obj->content) {
				unclaim(o, obj->content);
				break;
			}
	}
}

/* ---- what is announced: S2, S3, S4, S7, S8 ---- */

static uint64_t dot_key(const struct replica_id *ids, struct dot d)
{
	return hash64(ids[d.rep].b, REPLICA_ID_SIZE, d.counter);
}

static content_t content_of(const struct oracle *o, const struct head *h)
{
	uint8_t hash[HASH_SIZE];
	content_hash(CONTENT_EMPTY, hash);
	if (memcmp(hash, h->hash, HASH_SIZE) == 0)
		return CONTENT_EMPTY;
	for (size_t i = 0; i < o->written.n; i++) {
		content_hash(o->written.at[i], hash);
		if (memcmp(hash, h->hash, HASH_SIZE) == 0)
			return o->written.at[i];
	}
	return UINT32_MAX;
}

void oracle_announced(struct sim *s, const struct replica *r, const char *path, const struct state *st)
{
	struct oracle *o = s->oracle;
	const struct replica_id *ids = engine_ids(r->e);
	char who = (char)('A' + (int)r->at);
	uint64_t name = hash64(path, strlen(path), 7), context = 0, heads = 0, sum = 0;
	evil_is_there(s);
	if (r->evil)
		return;
	bool judged = !o->evil && !o->rolled_back;
	bool was_gone = o->forgets && !*fact(o, hash64(&r->id, sizeof(r->id), name + 3), 0);
	if (strncasecmp(path, ".tutti", 6) == 0)
		fault(s, "S8: %c announces %s", who, path);
	if (!oracle_storable(r, path) && st->n_heads && engine_tree(r->e))
		for (uint16_t i = 0; i < st->n_heads; i++)
			if (st->heads[i].dot.rep == 0)
				fault(s, "S8: %c announces %s, which it cannot store", who, path);
	for (uint16_t i = 0; i < st->context.n; i++) {
		context += dot_key(ids, st->context.dots[i]);
		sum += st->context.dots[i].counter;
	}
	int64_t top = INT64_MIN;
	uint64_t told = st->n_heads ? TOLD_HEADS : 0;
	for (uint16_t i = 0; i < st->n_heads; i++) {
		const struct head *h = &st->heads[i];
		if (h->kind == KIND_DIR)
			told = TOLD_FOLDER;
		uint64_t key = dot_key(ids, h->dot);
		uint64_t what = hash64(h->hash, HASH_SIZE, (uint64_t)h->rank ^ h->kind);
		heads += hash64(&key, sizeof(key), 1);
		top = h->rank > top ? h->rank : top;
		if (*fact(o, key, what) != what && judged)
			fault(s, "S2: %c announces %s with a dot that was used already", who, path);
		if (h->kind == KIND_DIR || o->evil)
			continue;
		content_t c = h->kind == KIND_FILE ? content_of(o, h) : CONTENT_EMPTY;
		if (c == UINT32_MAX)
			fault(s, "S5: %c announces %s with bytes that nobody wrote", who, path);
		else if (c != CONTENT_EMPTY && !was_durable(s, r, c))
			fault(s, "S4: %c announces c%u at %s, which was never durable there", who, c, path);
	}
	uint64_t key = hash64(&context, sizeof(context), name);
	if (*fact(o, key, heads) != heads && judged)
		fault(s, "S2: %c announces %s with other heads than others with that context", who, path);
	*fact(o, hash64(&r->id, sizeof(r->id), name + 3), 0) = told;
	/* Contexts only grow; and an event of one's own outranks all that it replaces. */
	key = hash64(&r->id, sizeof(r->id), name + 1);
	uint64_t *before = fact(o, key, sum);
	if (sum < *before && judged && !was_gone) /* else it may have forgotten that meanwhile */
		fault(s, "S3: what %c has seen at %s has become less", who, path);
	bool step = judged && sum == *before + 1;
	*before = sum;
	key = hash64(&r->id, sizeof(r->id), name + 2);
	before = fact(o, key, (uint64_t)top);
	if (step && st->n_heads == 1 && st->heads[0].dot.rep == 0 && top < (int64_t)*before &&
	    st->context.n == 1)
		fault(s, "S7: %c replaces something at %s by what ranks lower", who, path);
	*before = (uint64_t)top;
}

/* ---- after every step ---- */

void oracle_step(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct replica *r = &s->r[i];
		if (r->n_jobs > JOBS_AT_ONCE)
			fault(s, "S9: %c has %zu jobs at once", 'A' + (int)i, r->n_jobs);
		for (unsigned k = 0; k < s->n; k++) {
			size_t n = 0;
			for (size_t m = 0; m < s->link[i][k].n; m++)
				n += s->link[i][k].q[m].type == ACT_INDEX || s->link[i][k].q[m].type == ACT_HAVE;
			if (n > 2)
				fault(s, "S9: %zu announcements wait between %c and %c", n, 'A' + (int)i,
				      'A' + (int)k);
		}
	}
}

/* ---- at the end ---- */

bool oracle_storable(const struct replica *r, const char *path)
{
	size_t own = strlen(PATH_RESERVED_NAME);
	if (strncasecmp(path, PATH_RESERVED_NAME, own) == 0 && (path[own] == 0 || path[own] == '/'))
		return false;
	return !r->picky || !strchr(path, ':');
}

/* Something that is not carried has the name, or that of a folder above, or keeps a folder there. */
static bool taken_by_other(const struct replica *r, const char *path)
{
	for (size_t i = 0; i < r->disk.n; i++)
		if (r->disk.at[i].kind == KIND_OTHER &&
		    (strcmp(path, r->disk.at[i].path) == 0 || path_under(path, r->disk.at[i].path) ||
		     path_under(r->disk.at[i].path, path)))
			return true;
	return false;
}

/* Do all have it, as far as they can? */
static bool comparable(struct sim *s, const char *path)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!oracle_storable(&s->r[i], path) || taken_by_other(&s->r[i], path))
			return false;
	return true;
}

static void differs(struct sim *s, const struct replica *ra, const struct object *a,
                    const struct replica *rb, const struct object *b)
{
	fault(s, "S10: %s: %c has kind %d c%u mode %o, %c has kind %d c%u mode %o", a->path,
	      'A' + (int)ra->at, a->kind, a->content, a->mode, 'A' + (int)rb->at, b ? b->kind : 0,
	      b ? b->content : 0, b ? b->mode : 0);
}

/* It is to move to a name that is blocked here, and stays until it can; so does its folder. */
static bool waits_for_blocked(struct sim *s, const struct object *a, const struct replica *with)
{
	bool blocked = false, there = false;
	for (size_t i = 0; i < with->disk.n; i++) {
		bool cannot = !comparable(s, with->disk.at[i].path);
		blocked |= cannot;
		there |= cannot && holds(&with->disk.at[i], a->content);
	}
	return a->kind == KIND_DIR ? blocked : there;
}

static void compare(struct sim *s, struct replica *r, struct replica *with)
{
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *a = &r->disk.at[i], *b = disk_find(&with->disk, a->path);
		if (!comparable(s, a->path)) {
			if (a->kind == KIND_DIR && !b && taken_by_other(r, a->path))
				cover(MET_NOT_CARRIED);
			continue;
		}
		if (!b && waits_for_blocked(s, a, with))
			continue;
		if (!b || a->kind != b->kind || (a->kind != KIND_DIR && a->content != b->content) ||
		    (a->kind != KIND_SYMLINK && a->mode != b->mode))
			differs(s, r, a, with, b);
	}
}

/* Put once, by the only person who ever put something there, seen and taken away: it is gone for good. */
static bool is_back(const struct sim *s, const struct object *obj)
{
	const struct oracle *o = s->oracle;
	const struct claim *c = NULL;
	for (size_t i = 0; i < o->n_claims; i++) {
		if (strcmp(o->claims[i].base, obj->path) != 0)
			continue;
		if (c)
			return false;
		c = &o->claims[i];
	}
	for (size_t i = 0; i < o->removed.n && o->lost; i++) /* then what was deleted last was no file */
		if (strcmp(o->removed.at[i], obj->path) == 0)
			return false;
	return c && c->taken && !c->live && holds(obj, c->content) && o->puts[c->content % KNOWN_CONTENTS] == 1;
}

/* "Blocked here, visible, kept elsewhere": under a name that not all can have, a copy's for example. */
static bool kept_elsewhere(struct sim *s, content_t c)
{
	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->r[i].disk.n; k++)
			if (holds(&s->r[i].disk.at[k], c) && !comparable(s, s->r[i].disk.at[k].path))
				return true;
	return false;
}

static void check_disk(struct sim *s, const struct replica *r)
{
	const struct oracle *o = s->oracle;
	for (size_t i = 0; i < o->n_claims; i++) {
		const struct claim *c = &o->claims[i];
		if (c->live && comparable(s, c->base) && !on_disk(&r->disk, c->content, NULL) &&
		    !kept_elsewhere(s, c->content))
			fault(s, "S11: c%u, put at %s, is not on %c", c->content, c->base, 'A' + (int)r->at);
	}
	for (size_t i = 0; i < r->disk.n && !o->doubt && !o->rolled_back; i++)
		if (comparable(s, r->disk.at[i].path) && is_back(s, &r->disk.at[i]))
			fault(s, "S6: c%u, deleted at %s, is back on %c", r->disk.at[i].content,
			      r->disk.at[i].path, 'A' + (int)r->at);
	for (size_t i = 0; i < r->disk.n; i++) {
		const struct object *obj = &r->disk.at[i];
		bool known = obj->kind != KIND_FILE || obj->content == CONTENT_EMPTY;
		for (size_t k = 0; k < o->written.n && !known; k++)
			known = o->written.at[k] == obj->content;
		if (!known)
			fault(s, "S5: %s on %c has bytes that nobody wrote", obj->path, 'A' + (int)r->at);
	}
}

bool oracle_blocked(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->r[i].disk.n; k++)
			if (!comparable(s, s->r[i].disk.at[k].path))
				return true;
	return false;
}

static void check_engine(struct sim *s, struct replica *r)
{
	struct engine_status st = engine_status(r->e);
	struct action a;
	tell_time(s, r);
	const char *left = r->n_jobs ? "jobs" : r->n_tmps ? "temporary files"
	                 : engine_deadline(r->e) != UINT64_MAX ? "a deadline"
	                 : engine_next(r->e, &a) ? "actions" : NULL;
	if (oracle_blocked(s))
		return; /* it is tried again for ever */
	if (left)
		fault(s, "S12: %c has %s left", 'A' + (int)r->at, left);
	if (!st.settled || !st.agree)
		fault(s, "S15: %c is %ssettled and does%s agree: %llu pending, %llu looking, %llu unstored, "
		      "%llu problems", 'A' + (int)r->at, st.settled ? "" : "not ", st.agree ? "" : " not",
		      (unsigned long long)st.pending, (unsigned long long)st.looking,
		      (unsigned long long)st.unstored, (unsigned long long)st.problems);
}

void oracle_end(struct sim *s)
{
	evil_is_there(s);
	if (s->oracle->evil)
		return; /* it may delete and change what it likes, and never say that it agrees */
	for (unsigned i = 1; i < s->n; i++) {
		compare(s, &s->r[i], &s->r[0]);
		compare(s, &s->r[0], &s->r[i]);
	}
	for (unsigned i = 0; i < s->n; i++)
		check_disk(s, &s->r[i]);
	for (unsigned i = 0; i < s->n && !*s->fault; i++)
		check_engine(s, &s->r[i]);
}
