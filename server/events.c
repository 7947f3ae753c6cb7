/* Owns the ring of numbered events. */
#include "config.h"
#include "events.h"

#include <stdlib.h>

void events_init(struct events *e, uint64_t start)
{
	*e = (struct events){.first = start, .next = start};
	e->ring = xcalloc(EVENTS_MAX, sizeof(*e->ring));
}

static size_t cost(const struct event *ev)
{
	return EVENT_COST + ev->path.len + ev->replica.len + ev->detail.len;
}

static void drop_first(struct events *e)
{
	struct event *ev = &e->ring[e->first % EVENTS_MAX];
	assert(ev->n == e->first && e->first < e->next);
	e->bytes -= cost(ev);
	free(ev->texts);
	*ev = (struct event){.n = 0};
	e->first++;
}

void events_release(struct events *e)
{
	while (e->ring && e->first < e->next)
		drop_first(e);
	free(e->ring);
	*e = (struct events){.ring = NULL};
}

static struct bytes put(uint8_t **to, struct bytes s)
{
	if (s.len)
		memcpy(*to, s.p, s.len);
	struct bytes out = {*to, s.len};
	*to += s.len;
	return out;
}

uint64_t events_add(struct events *e, int64_t time_ns, const char *word, struct bytes path,
		    struct bytes replica, struct bytes detail)
{
	if (detail.len > EVENT_DETAIL_MAX)
		detail.len = EVENT_DETAIL_MAX;
	if (e->next - e->first == EVENTS_MAX)
		drop_first(e);
	struct event *ev = &e->ring[e->next % EVENTS_MAX];
	uint8_t *to = xmalloc(path.len + replica.len + detail.len + 1);
	*ev = (struct event){.n = e->next, .time_ns = time_ns, .word = word, .texts = to};
	ev->path = put(&to, path);
	ev->replica = put(&to, replica);
	ev->detail = put(&to, detail);
	e->bytes += cost(ev);
	e->next++;
	while (e->bytes > EVENTS_BYTES_MAX)
		drop_first(e);
	return ev->n;
}

const struct event *events_get(const struct events *e, uint64_t n)
{
	if (n < e->first || n >= e->next)
		return NULL;
	return &e->ring[n % EVENTS_MAX];
}
