/* Owns the walks that somebody asked for, and collects what all replicas found. */
#include "config.h"
#include "resync.h"

#include "net.h"
#include "peer.h"
#include "session.h"
#include "text.h"
#include "wire.h"

#include <stdlib.h>
#include <sys/random.h>

enum {
	IDS_KEPT = 256,    /* requests that are known to have been here already */
	RUNNING_MAX = 64,
	REASON_MAX = 256,
	WALK_ID = REPLICA_ID_SIZE,
	TOLD_PER_S = 4,    /* how far it is, to the peer that asked */
};

struct walk_id {
	uint8_t b[WALK_ID];
};

/* What one replica found. */
struct found_there {
	char *name;
	bool ok;
	uint64_t looked, changed;
	char *reason;
};

/* A peer that has not answered yet. */
struct waited {
	struct resync *r; /* NULL once that is over */
	struct peer *peer;
	char *name;
	uint64_t looked, changed; /* so far, as it says */
	bool done;
};

struct resync {
	struct resyncs *all;
	struct resync *next;
	struct walk_id id;
	struct session *session; /* who asked; both NULL once it is gone */
	struct peer *peer;
	uint32_t request;
	uint64_t walk;           /* the engine's number */
	bool walking;
	struct waited **waited;
	size_t n_waited, open;
	struct found_there *found;
	size_t n_found, cap_found;
	uint64_t told_looked, told_changed;
};

struct resyncs {
	struct daemon *d;
	struct resync *first;
	ev_timer telling; /* runs while a peer waits for an answer */
	struct walk_id seen[IDS_KEPT];
	size_t n_seen;
};

/* Numbers of peers may be anything, but what is told of them shall be a good message. */
static void sum(uint64_t *to, uint64_t n)
{
	*to = n > (uint64_t)INT64_MAX - *to ? (uint64_t)INT64_MAX : *to + n;
}

/* All that was looked at here, and by those that were asked. */
static void progress_of(const struct resync *r, uint64_t *looked, uint64_t *changed)
{
	*looked = *changed = 0;
	if (r->walking)
		engine_walking(r->all->d->engine, r->walk, looked, changed);
	for (size_t i = 0; i < r->n_found; i++) {
		sum(looked, r->found[i].looked);
		sum(changed, r->found[i].changed);
	}
	for (size_t i = 0; i < r->n_waited; i++) {
		if (r->waited[i]->done)
			continue;
		sum(looked, r->waited[i]->looked);
		sum(changed, r->waited[i]->changed);
	}
}

static void on_telling(struct ev_loop *loop, ev_timer *w, int events)
{
	struct resyncs *all = w->data;
	bool any = false;
	(void)events;
	for (struct resync *r = all->first; r; r = r->next) {
		uint64_t looked, changed;
		if (!r->peer)
			continue;
		any = true;
		progress_of(r, &looked, &changed);
		if (looked == r->told_looked && changed == r->told_changed)
			continue;
		struct buf b = {0};
		wire_map(&b, 3);
		wire_put_fixed(&b, "id", r->id.b, WALK_ID);
		wire_put_uint(&b, "looked", looked);
		wire_put_uint(&b, "changed", changed);
		peer_note(r->peer, MESSAGE_RESYNC_AT, &b);
		buf_release(&b);
		r->told_looked = looked;
		r->told_changed = changed;
	}
	if (!any)
		ev_timer_stop(loop, w);
}

struct resyncs *resyncs_new(struct daemon *d)
{
	struct resyncs *all = xcalloc(1, sizeof(*all));
	all->d = d;
	ev_init(&all->telling, on_telling);
	all->telling.repeat = 1. / TOLD_PER_S;
	all->telling.data = all;
	return all;
}

static void resync_free(struct resync *r)
{
	struct resync **at = &r->all->first;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	for (size_t i = 0; i < r->n_waited; i++) {
		if (r->waited[i]->done) {
			free(r->waited[i]->name);
			free(r->waited[i]);
		} else {
			r->waited[i]->r = NULL;
		}
	}
	for (size_t i = 0; i < r->n_found; i++) {
		free(r->found[i].name);
		free(r->found[i].reason);
	}
	free(r->waited);
	free(r->found);
	free(r);
}

void resyncs_free(struct resyncs *all)
{
	while (all->first)
		resync_free(all->first);
	ev_timer_stop(all->d->loop, &all->telling);
	free(all);
}

static bool seen_before(struct resyncs *all, const struct walk_id *id)
{
	for (size_t i = 0; i < all->n_seen && i < IDS_KEPT; i++)
		if (memcmp(&all->seen[i], id, sizeof(*id)) == 0)
			return true;
	all->seen[all->n_seen++ % IDS_KEPT] = *id;
	return false;
}

static void pack_result(struct buf *out, const struct resync *r)
{
	wire_map(out, 1);
	wire_key(out, "replicas");
	wire_array(out, r ? r->n_found : 0);
	for (size_t i = 0; r && i < r->n_found; i++) {
		const struct found_there *f = &r->found[i];
		wire_map(out, 5);
		wire_put_text(out, "name", f->name);
		wire_put_bool(out, "ok", f->ok);
		wire_put_uint(out, "looked", f->looked);
		wire_put_uint(out, "changed", f->changed);
		wire_put_text(out, "reason", f->reason);
	}
}

static char *copy(struct bytes s, size_t max)
{
	if (s.len > max)
		s.len = 0; /* nobody of ours says so much; half a character would not be a str */
	char *out = xmalloc(s.len + 1);
	if (s.len)
		memcpy(out, s.p, s.len);
	out[s.len] = '\0';
	return out;
}

static void add_found(struct resync *r, struct bytes name, bool ok, uint64_t looked,
		      uint64_t changed, struct bytes reason)
{
	if (r->n_found == REPLICAS_MAX)
		return;
	GROW(r->found, r->cap_found, r->n_found + 1);
	r->found[r->n_found++] = (struct found_there){
		.name = copy(name, 255), .ok = ok, .looked = looked, .changed = changed,
		.reason = copy(reason, REASON_MAX),
	};
}

/* Everybody has answered: so does this one. */
static void answer_if_done(struct resync *r)
{
	if (r->walking || r->open)
		return;
	struct buf map = {0};
	pack_result(&map, r);
	if (r->session)
		session_respond(r->session, r->request, &map, NULL, NULL);
	else if (r->peer)
		peer_respond(r->peer, r->request, &map);
	buf_release(&map);
	daemon_touch(r->all->d);
	resync_free(r);
}

static void on_peer_answer(void *ctx, const struct wire_frame *f)
{
	struct waited *w = ctx;
	struct resync *r = w->r;
	w->done = true;
	if (!r) {
		free(w->name);
		free(w);
		return;
	}
	r->open--;
	struct bytes code, text = bytes_of("the connection was lost");
	if (f && f->error)
		message_error_parts(f->error, &code, &text);
	const msgpack_object *list = f && !f->error ? wire_get(f->result, "replicas") : NULL;
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *o = wire_at(list, i);
		struct bytes name, reason;
		bool ok;
		uint64_t looked, changed;
		wire_get_str(o, "name", &name);
		wire_get_bool(o, "ok", &ok);
		wire_get_uint(o, "looked", UINT64_MAX, &looked);
		wire_get_uint(o, "changed", UINT64_MAX, &changed);
		wire_get_str(o, "reason", &reason);
		add_found(r, name, ok, looked, changed, reason);
	}
	if (!list)
		add_found(r, bytes_of(w->name), false, 0, 0, text);
	daemon_touch(r->all->d);
	answer_if_done(r);
}

static void ask_peers(struct resync *r, struct bytes path)
{
	struct daemon *d = r->all->d;
	struct buf b = {0};
	wire_map(&b, 2);
	wire_put_bin(&b, "path", path);
	wire_put_fixed(&b, "id", r->id.b, WALK_ID);
	r->waited = xcalloc(NET_PEERS_MAX, sizeof(struct waited *));
	for (unsigned i = 0; i < NET_PEERS_MAX; i++) {
		struct peer *p = net_peer(d->net, i);
		if (!p || p == r->peer)
			continue;
		struct waited *w = xcalloc(1, sizeof(*w));
		*w = (struct waited){.r = r, .peer = p, .name = xstrdup(peer_name(p))};
		r->waited[r->n_waited++] = w;
		r->open++;
		peer_ask(p, MESSAGE_RESYNC, &b, on_peer_answer, w);
	}
	buf_release(&b);
}

static struct resync *begin(struct resyncs *all, const struct walk_id *id, struct bytes path,
			    struct session *s, struct peer *p, uint32_t request)
{
	struct daemon *d = all->d;
	struct resync *r = xcalloc(1, sizeof(*r));
	*r = (struct resync){
		.all = all,
		.next = all->first,
		.id = *id,
		.session = s,
		.peer = p,
		.request = request,
	};
	all->first = r;
	if (tree_find(engine_tree(d->engine), path) != NODE_NONE) {
		r->walking = true;
		r->walk = engine_walk(daemon_feed(d), path);
	} else {
		add_found(r, bytes_of(d->settings->name), true, 0, 0, (struct bytes){0});
	}
	ask_peers(r, path);
	return r;
}

static size_t running(const struct resyncs *all)
{
	size_t n = 0;
	for (const struct resync *r = all->first; r; r = r->next)
		n++;
	return n;
}

void resync_asked_by_client(struct resyncs *all, struct session *s, uint32_t id,
			    const msgpack_object *params)
{
	struct bytes path;
	struct walk_id walk;
	wire_get_bytes(params, "path", &path);
	if (tree_find(engine_tree(all->d->engine), path) == NODE_NONE) {
		session_respond(s, id, NULL, ERROR_NOT_FOUND, "no such path is known here");
		return;
	}
	if (running(all) >= RUNNING_MAX) {
		session_respond(s, id, NULL, ERROR_BUSY, "too many walks are under way");
		return;
	}
	if (getrandom(walk.b, sizeof(walk.b), 0) != (ssize_t)sizeof(walk.b)) {
		session_respond(s, id, NULL, ERROR_FAILED, "no random numbers can be had");
		return;
	}
	seen_before(all, &walk);
	struct buf shown = {0};
	text_show(&shown, path);
	daemon_event(all->d, "resync", path, bytes_of(all->d->settings->name), (struct bytes){0});
	log_info("resync of %.*s", shown.len ? (int)shown.len : 10,
		 shown.len ? (const char *)shown.data : "everything");
	buf_release(&shown);
	answer_if_done(begin(all, &walk, path, s, NULL, id));
}

void resync_asked_by_peer(struct resyncs *all, struct peer *p, uint32_t id,
			  const msgpack_object *params)
{
	struct bytes path;
	struct walk_id walk;
	wire_get_bytes(params, "path", &path);
	wire_get_fixed(params, "id", walk.b, sizeof(walk.b));
	if (seen_before(all, &walk) || running(all) >= RUNNING_MAX) {
		/* It came here by another way already, and is answered there. */
		struct buf map = {0};
		pack_result(&map, NULL);
		peer_respond(p, id, &map);
		buf_release(&map);
		return;
	}
	daemon_event(all->d, "resync", path, bytes_of(peer_name(p)), (struct bytes){0});
	if (!ev_is_active(&all->telling))
		ev_timer_again(all->d->loop, &all->telling);
	answer_if_done(begin(all, &walk, path, NULL, p, id));
}

void resync_peer_is_at(struct resyncs *all, const struct peer *p, const msgpack_object *params)
{
	uint8_t id[WALK_ID];
	wire_get_fixed(params, "id", id, sizeof(id));
	for (struct resync *r = all->first; r; r = r->next)
		for (size_t i = 0; memcmp(r->id.b, id, WALK_ID) == 0 && i < r->n_waited; i++)
			if (r->waited[i]->peer == p && !r->waited[i]->done) {
				wire_get_uint(params, "looked", UINT64_MAX, &r->waited[i]->looked);
				wire_get_uint(params, "changed", UINT64_MAX, &r->waited[i]->changed);
			}
}

void resync_forget_client(struct resyncs *all, struct session *s)
{
	for (struct resync *r = all->first; r; r = r->next)
		if (r->session == s)
			r->session = NULL;
}

void resync_forget_peer(struct resyncs *all, struct peer *p)
{
	for (struct resync *r = all->first; r; r = r->next)
		if (r->peer == p)
			r->peer = NULL;
}

void resync_walked(struct resyncs *all, const struct action *a)
{
	for (struct resync *r = all->first; r; r = r->next) {
		if (!r->walking || r->walk != a->job)
			continue;
		r->walking = false;
		add_found(r, bytes_of(all->d->settings->name), !a->text, a->looked, a->changed,
			  bytes_of(a->text ? a->text : ""));
		answer_if_done(r);
		return;
	}
}

bool resync_pack_progress(const struct resyncs *all, const struct session *s, struct buf *out)
{
	const struct resync *r = all->first;
	while (r && r->session != s)
		r = r->next;
	if (!r) {
		wire_nil(out);
		return false;
	}
	uint64_t looked, changed;
	progress_of(r, &looked, &changed);
	wire_map(out, 3);
	wire_put_uint(out, "looked", looked);
	wire_put_uint(out, "changed", changed);
	wire_key(out, "waiting");
	wire_array(out, r->open + r->walking);
	if (r->walking)
		wire_text(out, all->d->settings->name);
	for (size_t i = 0; i < r->n_waited; i++)
		if (!r->waited[i]->done)
			wire_text(out, r->waited[i]->name);
	return true;
}
