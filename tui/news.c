/* Owns what the server told: status, progress, and the ring of events. */
#include "config.h"
#include "news.h"

#include "wire.h"

#include <stdlib.h>

/* A year; what is beyond is nonsense. */
static const uint64_t retry_ms_max = UINT64_C(366) * 24 * 3600 * 1000;

static uint64_t get_uint(const msgpack_object *map, const char *key)
{
	uint64_t v;
	wire_get_uint(map, key, UINT64_MAX, &v);
	return v;
}

/* A time of others, so that differences of times cannot overflow. */
static int64_t get_time(const msgpack_object *map, const char *key)
{
	int64_t ns;
	wire_get_int(map, key, &ns);
	return ns > 0 ? ns : 0;
}

/* ---- status ------------------------------------------------------------------------------ */

static void server_release(struct server *s)
{
	own_release(&s->name);
	own_release(&s->id);
	own_release(&s->address);
	own_release(&s->state);
	own_release(&s->error);
	own_release(&s->direction);
}

static void status_release(struct status *s)
{
	own_release(&s->name);
	own_release(&s->root);
	for (size_t i = 0; i < s->n_servers; i++)
		server_release(&s->servers[i]);
	free(s->servers);
	for (size_t i = 0; i < s->n_problems; i++) {
		own_release(&s->problems[i].path);
		own_release(&s->problems[i].replica);
		own_release(&s->problems[i].reason);
	}
	free(s->problems);
	for (size_t i = 0; i < s->n_notes; i++)
		own_release(&s->notes[i]);
	*s = (struct status){0};
}

static void read_server(struct server *s, const msgpack_object *o)
{
	own_get(o, "name", &s->name);
	own_get(o, "id", &s->id);
	own_get(o, "address", &s->address);
	own_get(o, "state", &s->state);
	own_get(o, "error", &s->error);
	own_set(&s->direction, (struct bytes){0});
	s->since = get_time(o, "since");
	s->retry_ms = get_uint(o, "retry_ms");
	if (s->retry_ms > retry_ms_max)
		s->retry_ms = retry_ms_max;
	s->tries = get_uint(o, "tries");
	s->pending_files = get_uint(o, "pending_files");
	s->pending_bytes = get_uint(o, "pending_bytes");
	s->lag_ms = get_uint(o, "lag_ms");
	s->files = get_uint(o, "files");
	s->bytes = get_uint(o, "bytes");
	s->problems = get_uint(o, "problems");
	s->held = get_uint(o, "held");
}

/* Takes over what the server map does not say from the same server in the status before. */
static void keep_history(struct server *s, const struct status *old)
{
	for (size_t i = 0; i < old->n_servers; i++) {
		const struct server *o = &old->servers[i];
		if (!bytes_eq(own_bytes(&o->id), own_bytes(&s->id)) ||
		    !bytes_eq(own_bytes(&o->name), own_bytes(&s->name)))
			continue;
		s->in = o->in;
		s->out = o->out;
		own_set(&s->direction, own_bytes(&o->direction));
		s->peak_files = o->peak_files;
		s->peak_bytes = o->peak_bytes;
		break;
	}
	if (s->pending_files == 0)
		s->peak_files = s->peak_bytes = 0;
	if (s->peak_files < s->pending_files)
		s->peak_files = s->pending_files;
	if (s->peak_bytes < s->pending_bytes)
		s->peak_bytes = s->pending_bytes;
}

void news_status(struct news *n, const msgpack_object *m, int64_t now)
{
	const msgpack_object *list = wire_get(m, "replicas");
	struct status s = {.known = true, .received = now};
	own_get(m, "name", &s.name);
	own_get(m, "root", &s.root);
	s.rows = get_uint(m, "rows");
	s.files = get_uint(m, "files");
	s.bytes = get_uint(m, "bytes");
	s.conflicts = get_uint(m, "conflicts");
	s.held = get_uint(m, "held");
	s.asking = get_uint(m, "asking");
	wire_get_bool(m, "in_sync", &s.in_sync);
	wire_get_bool(m, "scanning", &s.scanning);

	s.n_servers = wire_count(list) < SERVERS_MAX ? wire_count(list) : SERVERS_MAX;
	s.servers = xcalloc(s.n_servers + 1, sizeof(*s.servers));
	for (size_t i = 0; i < s.n_servers; i++) {
		read_server(&s.servers[i], wire_at(list, i));
		keep_history(&s.servers[i], &n->status);
	}
	list = wire_get(m, "problems");
	s.n_problems = wire_count(list) < PROBLEMS_MAX ? wire_count(list) : PROBLEMS_MAX;
	s.problems = xcalloc(s.n_problems + 1, sizeof(*s.problems));
	for (size_t i = 0; i < s.n_problems; i++) {
		own_get(wire_at(list, i), "path", &s.problems[i].path);
		own_get(wire_at(list, i), "replica", &s.problems[i].replica);
		own_get(wire_at(list, i), "reason", &s.problems[i].reason);
		wire_get_bool(wire_at(list, i), "held", &s.problems[i].held);
	}
	list = wire_get(m, "notes");
	s.n_notes = wire_count(list) < NOTES_MAX ? wire_count(list) : NOTES_MAX;
	for (size_t i = 0; i < s.n_notes; i++) {
		struct bytes b;
		wire_as_bytes(wire_at(list, i), &b);
		own_set(&s.notes[i], b);
	}
	status_release(&n->status);
	n->status = s;
}

void news_peers(struct news *n, const msgpack_object *m)
{
	const msgpack_object *list = wire_get(m, "peers");
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *o = wire_at(list, i);
		struct bytes name;
		wire_get_bytes(o, "name", &name);
		for (size_t k = 1; k < n->status.n_servers; k++) {
			struct server *s = &n->status.servers[k];
			if (!bytes_eq(own_bytes(&s->name), name))
				continue;
			s->in = get_uint(o, "in");
			s->out = get_uint(o, "out");
			own_get(o, "direction", &s->direction);
		}
	}
}

uint64_t status_problems(const struct status *s)
{
	uint64_t n = 0, listed = 0;
	for (size_t i = 0; i < s->n_problems; i++)
		listed += !s->problems[i].held;
	for (size_t i = 0; i < s->n_servers; i++)
		n = s->servers[i].problems > UINT64_MAX - n ? UINT64_MAX : n + s->servers[i].problems;
	return n > listed ? n : listed;
}

bool server_is_away(const struct server *s)
{
	struct bytes state = own_bytes(&s->state);
	return bytes_eq(state, bytes_of("offline")) || bytes_eq(state, bytes_of("connecting"));
}

/* ---- progress ---------------------------------------------------------------------------- */

void news_forget_progress(struct news *n)
{
	struct progress *p = &n->progress;
	for (size_t i = 0; i < p->n; i++) {
		own_release(&p->transfers[i].path);
		own_release(&p->transfers[i].from);
		own_release(&p->transfers[i].to);
	}
	own_release(&p->waiting);
	*p = (struct progress){0};
}

void news_progress(struct news *n, const msgpack_object *m)
{
	struct progress *p = &n->progress;
	const msgpack_object *list = wire_get(m, "transfers"), *resync = wire_get(m, "resync");
	news_forget_progress(n);
	p->in = get_uint(m, "in");
	p->out = get_uint(m, "out");
	p->active = get_uint(m, "active");
	p->done = get_uint(m, "done");
	p->size = get_uint(m, "size");
	p->n = wire_count(list) < TRANSFERS_MAX ? wire_count(list) : TRANSFERS_MAX;
	for (size_t i = 0; i < p->n; i++) {
		const msgpack_object *o = wire_at(list, i);
		struct transfer *t = &p->transfers[i];
		own_get(o, "path", &t->path);
		own_get(o, "from", &t->from);
		own_get(o, "to", &t->to);
		t->done = get_uint(o, "done");
		t->size = get_uint(o, "size");
		t->rate = get_uint(o, "rate");
	}
	if (wire_is_nil(resync))
		return;
	struct buf waiting = {0};
	p->resyncing = true;
	p->looked = get_uint(resync, "looked");
	p->changed = get_uint(resync, "changed");
	list = wire_get(resync, "waiting");
	for (size_t i = 0; i < wire_count(list); i++) {
		struct bytes name;
		wire_as_bytes(wire_at(list, i), &name);
		if (i > 0)
			buf_addf(&waiting, ", ");
		buf_add(&waiting, name.p, name.len);
	}
	own_set(&p->waiting, (struct bytes){waiting.data, waiting.len});
	buf_release(&waiting);
}

uint64_t progress_seconds(const struct progress *p)
{
	uint64_t rate = p->in > p->out ? p->in : p->out;
	if (rate == 0 || p->size <= p->done)
		return 0;
	return (p->size - p->done) / rate + 1;
}

/* ---- events ------------------------------------------------------------------------------ */

static void event_release(struct event *e)
{
	own_release(&e->what);
	own_release(&e->path);
	own_release(&e->replica);
	own_release(&e->detail);
	*e = (struct event){0};
}

/* Room for one more; the oldest goes when the ring is full. */
static struct event *new_event(struct news *n)
{
	if (!n->events)
		n->events = xcalloc(EVENTS_MAX, sizeof(*n->events));
	if (n->n_events == EVENTS_MAX) {
		event_release(&n->events[n->first_event]);
		n->first_event = (n->first_event + 1) % EVENTS_MAX;
		n->n_events--;
	}
	return &n->events[(n->first_event + n->n_events++) % EVENTS_MAX];
}

const struct event *news_event_at(const struct news *n, size_t i)
{
	return i < n->n_events ? &n->events[(n->first_event + i) % EVENTS_MAX] : NULL;
}

bool news_event(struct news *n, const msgpack_object *m)
{
	uint64_t number = get_uint(m, "n");
	if (number < n->next_event)
		return false;
	struct event *e = new_event(n);
	e->n = number;
	e->time = get_time(m, "time");
	own_get(m, "event", &e->what);
	own_get(m, "path", &e->path);
	own_get(m, "replica", &e->replica);
	own_get(m, "detail", &e->detail);
	n->next_event = number + 1;
	return true;
}

size_t news_events(struct news *n, const msgpack_object *m, bool *gap)
{
	const msgpack_object *list = wire_get(m, "events");
	uint64_t next = get_uint(m, "next");
	size_t added = 0;
	wire_get_bool(m, "gap", gap);
	/* A server that lost its history counts from the beginning again. */
	if (next < n->next_event) {
		n->next_event = 0;
		*gap = true;
	}
	for (size_t i = 0; i < wire_count(list); i++)
		added += news_event(n, wire_at(list, i));
	if (n->next_event < next)
		n->next_event = next;
	return added;
}

void news_note(struct news *n, int64_t time, const char *text)
{
	struct event *e = new_event(n);
	e->time = time;
	own_set(&e->what, bytes_of("note"));
	own_set(&e->path, (struct bytes){0});
	own_set(&e->replica, (struct bytes){0});
	own_set(&e->detail, bytes_of(text));
}

void news_release(struct news *n)
{
	status_release(&n->status);
	news_forget_progress(n);
	for (size_t i = 0; i < n->n_events; i++)
		event_release(&n->events[(n->first_event + i) % EVENTS_MAX]);
	free(n->events);
	*n = (struct news){0};
}
