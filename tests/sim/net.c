/*
 * Owns the links: what was sent and has not come yet. A connection keeps its order; it may be slow,
 * be cut (what was under way is lost), or fall silent in one direction without anybody noticing.
 */
#include "config.h"
#include "sim.h"

#include <stdlib.h>

static void message_release(struct message *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->entries) {
			free((void *)(uintptr_t)m->entries[i].path.p);
			free((void *)(uintptr_t)m->entries[i].data.p);
			state_release(&m->entries[i].state);
		}
		if (m->held)
			free((void *)(uintptr_t)m->held[i].path.p);
	}
	if (m->type == ACT_REPORT) {
		for (size_t i = 0; i < m->report.n_listed; i++) {
			free((void *)(uintptr_t)m->report.problems[i].path.p);
			free((void *)(uintptr_t)m->report.problems[i].reason.p);
		}
		free((void *)(uintptr_t)m->report.problems);
		free((void *)(uintptr_t)m->report.links);
		free((void *)(uintptr_t)m->report.name.p);
	}
	free(m->entries);
	free(m->held);
	free(m->seen);
}

static struct bytes bytes_copy(struct bytes b)
{
	return (struct bytes){b.len ? xmemdup(b.p, b.len) : NULL, b.len};
}

/* The numbers of replicas differ between engines: those of a state, as the receiver has them. */
static void translate(const struct engine *from, struct engine *to, struct state *st)
{
	const struct replica_id *ids = engine_ids(from);
	struct state out = {.mode = st->mode};
	memcpy(out.gone, st->gone, HASH_SIZE);
	for (uint16_t i = 0; i < st->n_heads; i++) {
		struct head h = st->heads[i];
		h.dot.rep = (rep_t)engine_intern(to, &ids[h.dot.rep]);
		state_add_head(&out, &h);
	}
	for (uint16_t i = 0; i < st->context.n; i++) {
		struct dot d = st->context.dots[i];
		d.rep = (rep_t)engine_intern(to, &ids[d.rep]);
		version_add(&out.context, d);
	}
	if (out.mode.dot.counter)
		out.mode.dot.rep = (rep_t)engine_intern(to, &ids[st->mode.dot.rep]);
	state_release(st);
	*st = out;
}

/* For who reads the trace: dots of the heads, and what was seen. */
static void note_state(struct sim *s, const struct replica *r, const char *path, const struct state *st)
{
	const struct replica_id *ids = engine_ids(r->e);
	struct buf b = {0};
	if (!s->trace)
		return;
	for (uint16_t i = 0; i < st->n_heads; i++) {
		const struct head *h = &st->heads[i];
		buf_addf(&b, " %c%llu=%02x%02x", '@' + ids[h->dot.rep].b[0], (unsigned long long)h->dot.counter,
		         h->hash[0], h->hash[1]);
	}
	buf_addf(&b, " seen");
	for (uint16_t i = 0; i < st->context.n; i++)
		buf_addf(&b, " %c%llu", '@' + ids[st->context.dots[i].rep].b[0],
		         (unsigned long long)st->context.dots[i].counter);
	buf_add_char(&b, 0);
	note(s, r->at, "tells %s:%s", path, (const char *)b.data);
	buf_release(&b);
}

static void make_index(struct sim *s, struct replica *r, const struct action *a, struct message *m)
{
	struct engine *to = s->r[a->peer].e;
	m->entries = xcalloc(a->n, sizeof(*m->entries));
	for (size_t i = 0; i < a->n; i++) {
		struct entry_view v;
		char path[PATH_CAP];
		if (!engine_entry(r->e, a->index[i].node, &v) || v.seq != a->index[i].seq)
			continue;
		node_path(r->e, a->index[i].node, path);
		note_state(s, r, path, v.state);
		oracle_announced(s, r, path, v.state);
		struct index_entry *out = &m->entries[m->n++];
		out->path = bytes_copy(bytes_of(path));
		out->seq = v.seq;
		out->state = state_copy(v.state);
		const struct object *o = disk_find(&r->disk, path);
		struct found f;
		disk_describe(o, &f);
		if (a->index[i].with_data && o && o->kind == KIND_FILE && f.stamp == v.stamp && !r->halted) {
			struct buf b = {0};
			content_bytes(o->content, &b);
			out->data = (struct bytes){b.data, b.len};
		}
		translate(r->e, to, &out->state);
	}
}

static void make_report(struct replica *r, rep_t rep, struct message *m)
{
	struct report *p = &m->report;
	*p = engine_report(r->e, rep);
	struct problem *problems = xcalloc(p->n_listed, sizeof(*problems));
	for (size_t i = 0; i < p->n_listed; i++)
		problems[i] = (struct problem){bytes_copy(p->problems[i].path),
		                               bytes_copy(p->problems[i].reason),
		                               p->problems[i].held};
	p->problems = problems;
	p->links = p->n_links ? xmemdup(p->links, p->n_links * sizeof(*p->links)) : NULL;
	p->name = bytes_copy(p->name);
	p->address = (struct bytes){0};
}

void net_send(struct sim *s, struct replica *r, const struct action *a)
{
	struct link *l = &s->link[r->at][a->peer];
	struct message m = {.type = a->type, .to = a->to, .more = a->more, .events = r->seen};
	if (a->type == ACT_INDEX) {
		m.life = engine_life(r->e, 0, a->to);
		make_index(s, r, a, &m);
	} else if (a->type == ACT_HAVE) {
		m.rep = engine_ids(r->e)[a->rep];
		m.life = engine_life(r->e, a->rep, a->to);
		m.held = xcalloc(a->n, sizeof(*m.held));
		for (size_t i = 0; i < a->n; i++) {
			char path[PATH_CAP];
			if (!engine_held(r->e, a->rep, a->nodes[i], &m.held[m.n]))
				continue;
			node_path(r->e, a->nodes[i], path);
			m.held[m.n++].path = bytes_copy(bytes_of(path));
		}
	} else if (a->type == ACT_SYNC) {
		m.n = engine_replicas(r->e);
		m.seen = xcalloc(m.n, sizeof(*m.seen));
		for (size_t i = 0; i < m.n; i++)
			m.seen[i] = engine_seen(r->e, (rep_t)i);
	} else if (a->type == ACT_REPORT) {
		make_report(r, a->rep, &m);
	}
	if (r->evil)
		message_forge(s, r, &m);
	mix(s, (uint64_t)a->type << 56 ^ a->to ^ m.n << 40);
	note(s, r->at, "sends %d with %zu to %c, up to %llu", (int)a->type, m.n, 'A' + (int)a->peer,
	     (unsigned long long)a->to);
	GROW(l->q, l->cap, l->n + 1);
	l->q[l->n++] = m;
}

bool net_step(struct sim *s, unsigned from, unsigned to)
{
	struct link *l = &s->link[from][to];
	struct replica *r = &s->r[to];
	if (!l->n || l->stalled)
		return false;
	struct message m = l->q[0];
	memmove(l->q, l->q + 1, --l->n * sizeof(m));
	const char *why = NULL;
	mix(s, (uint64_t)m.type << 8 | from << 4 | to);
	note(s, to, "hears %d from %c", (int)m.type, 'A' + (int)from);
	tell_time(s, r);
	tell_time(s, &s->r[from]);
	r->seen |= m.events;
	switch (m.type) {
	case ACT_INDEX:
		engine_peer_index(r->e, from, m.to, m.life, m.more, m.entries, m.n, &why);
		break;
	case ACT_HAVE: {
		int rep = engine_intern(r->e, &m.rep);
		if (rep >= 0)
			engine_peer_have(r->e, from, (rep_t)rep, m.to, m.life, m.held, m.n, &why);
		break;
	}
	case ACT_SYNC:
		engine_peer_sync(r->e, from, m.seen, m.n);
		break;
	case ACT_ACK:
		engine_peer_ack(r->e, from, m.to);
		break;
	case ACT_REPORT:
		engine_peer_report(r->e, from, &m.report, &why);
		break;
	default:
		break;
	}
	if (m.type == ACT_INDEX || m.type == ACT_HAVE) {
		engine_index_sent(s->r[from].e, to);
		wake(&s->r[from]);
	}
	wake(r);
	message_release(&m);
	if (why && !s->r[from].evil)
		fault(s, "%c finds a message of %c wrong: %s", 'A' + (int)to, 'A' + (int)from, why);
	if (why)
		net_cut(s, from, to);
	return true;
}

static void link_drop(struct link *l)
{
	while (l->n)
		message_release(&l->q[--l->n]);
	l->stalled = false;
}

void net_connect(struct sim *s, unsigned a, unsigned b)
{
	if (a == b || s->link[a][b].up)
		return;
	note(s, a, "connects to %c", 'A' + (int)b);
	s->link[a][b].up = s->link[b][a].up = true;
	const unsigned ends[2] = {a, b};
	for (unsigned i = 0; i < 2; i++) {
		struct replica *at = &s->r[ends[i]], *other = &s->r[ends[1 - i]];
		char name[2] = {(char)('A' + (int)other->at), 0};
		tell_time(s, at);
		if (engine_peer_up(at->e, other->at, &other->id, name, "sim", engine_seq(other->e)))
			fault(s, "%c does not take %c as a peer", 'A' + (int)at->at, *name);
		wake(at);
	}
}

void net_cut(struct sim *s, unsigned a, unsigned b)
{
	if (!s->link[a][b].up)
		return;
	note(s, a, "is cut from %c", 'A' + (int)b);
	s->link[a][b].up = s->link[b][a].up = false;
	link_drop(&s->link[a][b]);
	link_drop(&s->link[b][a]);
	tell_time(s, &s->r[a]);
	engine_peer_down(s->r[a].e, b);
	wake(&s->r[a]);
	tell_time(s, &s->r[b]);
	engine_peer_down(s->r[b].e, a);
	wake(&s->r[b]);
}

size_t net_waiting(const struct sim *s)
{
	size_t n = 0;
	for (unsigned a = 0; a < s->n; a++)
		for (unsigned b = 0; b < s->n; b++)
			n += s->link[a][b].n;
	return n;
}

void net_release(struct sim *s)
{
	for (unsigned a = 0; a < REPLICAS; a++)
		for (unsigned b = 0; b < REPLICAS; b++) {
			link_drop(&s->link[a][b]);
			free(s->link[a][b].q);
		}
}
