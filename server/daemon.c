/* Owns the running server: makes its parts, carries the engine's actions to those who do them, once
 * each turn of the loop, and ends it all in order. */
#include "config.h"
#include "daemon.h"

#include "alarms.h"
#include "rewrites.h"
#include "confine.h"
#include "disk.h"
#include "keyring.h"
#include "net.h"
#include "notify.h"
#include "past.h"
#include "peer.h"
#include "resync.h"
#include "session.h"
#include "settle.h"
#include "transfer.h"
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS = 4,
	JOBS_QUEUED_MAX = 4096,
	STOP_S = 2, /* for byes to be heard and commits to end, before the rest is broken off */
	ID_IS_NEW_MS = 600 * 1000, /* who claims to know it better than we do lies, or has to wait */
};

/* What outlives the inner life, all of struct daemon, when that is begun anew in the same process. */
struct life {
	struct settings settings; /* those that were given, but for the ports */
	struct settings *given;
	int argc;
	char **argv;              /* to be read again */
	struct settings_address listen[SETTINGS_ADDRESSES_MAX];
	bool again;               /* this one ends, and another begins */
	bool abandon;             /* that begins with a new index and a new id */
	bool ready;               /* it was said */
	bool confined;
	uint64_t id_new_until_ms; /* its id was drawn shortly before */
	struct alarms *alarms;
	struct rewrites *rewrites;
	int status;               /* of the process in the end */
};

/* The settings as they are now; but ports that were picked stay. */
static void life_take(struct life *life)
{
	life->settings = *life->given;
	life->settings.listen = life->listen;
}

/* A job that waits for room with the workers. */
struct waiting_job {
	struct job *job;
	enum job_priority priority;
};

struct turn {
	ev_prepare end;     /* never started: fed when there is something to do at the turn's end */
	ev_timer deadline;  /* the engine's next */
	uint64_t deadline_ms;
	ev_timer stop;
	ev_signal term, interrupt, again;
	bool fed;           /* the engine was told something */
	bool dirty;         /* clients may be shown something else */
	struct waiting_job *waiting;
	size_t n_waiting, cap_waiting;
};

int64_t daemon_wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t daemon_mono_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void replica_hex(char out[REPLICA_HEX], const struct replica_id *id)
{
	for (size_t i = 0; i < REPLICA_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", id->b[i]);
}

struct bytes daemon_replica_name(struct daemon *d, rep_t rep)
{
	static char text[REPLICA_HEX];
	struct replica_info r = engine_replica(d->engine, rep);
	if (r.name[0])
		return bytes_of(r.name);
	replica_hex(text, r.id);
	return (struct bytes){(const uint8_t *)text, 8};
}

/* ---- the turn --------------------------------------------------------------------------- */

static void call_turn(struct daemon *d)
{
	if (!ev_is_pending(&d->turn->end))
		ev_feed_event(d->loop, &d->turn->end, EV_CUSTOM);
}

struct engine *daemon_feed(struct daemon *d)
{
	d->turn->fed = true;
	call_turn(d);
	engine_time(d->engine, daemon_wall_ns(), daemon_mono_ms());
	return d->engine;
}

void daemon_touch(struct daemon *d)
{
	d->turn->dirty = true;
	call_turn(d);
}

void daemon_submit(struct daemon *d, struct job *job, enum job_priority priority)
{
	struct turn *t = d->turn;
	if (!t->n_waiting && d->workers && workers_submit(d->workers, job, priority))
		return;
	GROW(t->waiting, t->cap_waiting, t->n_waiting + 1);
	t->waiting[t->n_waiting++] = (struct waiting_job){job, priority};
}

static void submit_waiting(struct daemon *d)
{
	struct turn *t = d->turn;
	size_t n = 0;
	while (n < t->n_waiting &&
	       workers_submit(d->workers, t->waiting[n].job, t->waiting[n].priority))
		n++;
	t->n_waiting -= n;
	if (n)
		memmove(t->waiting, t->waiting + n, t->n_waiting * sizeof(*t->waiting));
}

void daemon_event(struct daemon *d, const char *word, struct bytes path, struct bytes replica,
		  struct bytes detail)
{
	events_add(&d->events, daemon_wall_ns(), word, path, replica, detail);
	daemon_touch(d);
}

static void carry_event(struct daemon *d, const struct action *a)
{
	struct bytes detail = a->event == EVENT_MOVED ? a->from : bytes_of(a->text ? a->text : "");
	struct bytes replica = daemon_replica_name(d, a->rep);
	daemon_event(d, engine_event_text(a->event), a->path, replica, detail);
	disk_event(d->disk, a, replica);
	log_debug("%s %.*s %.*s", engine_event_text(a->event), (int)a->path.len,
		  (const char *)a->path.p, (int)detail.len, (const char *)detail.p);
}

static void begin_ending(struct daemon *d, const char *status);

/* Peers have seen more of this replica than its index knows: that is an old copy, and its numbers must
 * not be given out again. The inner life ends, and another begins with a new id, as after a lost index. */
static void rolled_back(struct daemon *d, const char *peer)
{
	alarms_raise(d->alarms, &d->id, false,
		     "%s has seen later changes of this replica than the index knows, so the index is an "
		     "old copy, unless %s lies: it is moved aside, and begun anew under a new id", peer, peer);
	d->life->again = d->life->abandon = true;
	d->life->id_new_until_ms = daemon_mono_ms() + ID_IS_NEW_MS;
	begin_ending(d, "STATUS=beginning anew");
}

void daemon_disk_failed(struct daemon *d, const char *why)
{
	if (d->life->status == DAEMON_DISK_FAILED)
		return;
	log_error("%s: what of it is on the disk is not certain any more, so this server ends; look after "
		  "the disk, then start it again", why);
	d->life->status = DAEMON_DISK_FAILED;
	d->life->again = false;
	if (!d->stopping)
		begin_ending(d, "STOPPING=1\nSTATUS=the disk fails");
}

static void carry_out(struct daemon *d, const struct action *a)
{
	struct peer *p;
	switch (a->type) {
	case ACT_LIST:
	case ACT_LOOK:
	case ACT_APPLY:
	case ACT_STORE:
	case ACT_DROP_TMP:
		disk_carry_out(d->disk, a);
		break;
	case ACT_FETCH:
		transfers_fetch(d->transfers, a);
		break;
	case ACT_CANCEL:
		transfers_cancel(d->transfers, a->job);
		break;
	case ACT_INDEX:
	case ACT_HAVE:
	case ACT_SYNC:
	case ACT_ACK:
	case ACT_REPORT:
		p = net_peer(d->net, a->peer);
		if (p)
			peer_carry_out(p, a);
		break;
	case ACT_DROP:
		p = net_peer(d->net, a->peer);
		if (p)
			peer_offence(p, "%s", a->text);
		break;
	case ACT_EVENT:
		carry_event(d, a);
		break;
	case ACT_ROLLED_BACK:
		rolled_back(d, a->text);
		break;
	case ACT_WALKED:
		resync_walked(d->resyncs, a);
		break;
	}
}

static void arm_deadline(struct daemon *d)
{
	struct turn *t = d->turn;
	uint64_t due = engine_deadline(d->engine);
	if (due == t->deadline_ms && (due == UINT64_MAX || ev_is_active(&t->deadline)))
		return;
	t->deadline_ms = due;
	ev_timer_stop(d->loop, &t->deadline);
	if (due == UINT64_MAX)
		return;
	uint64_t now = daemon_mono_ms();
	ev_now_update(d->loop);
	ev_timer_set(&t->deadline, due > now ? (double)(due - now) / 1000. : .001, 0.);
	ev_timer_start(d->loop, &t->deadline);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct daemon *d = w->data;
	(void)loop, (void)events;
	engine_tick(daemon_feed(d));
}

/* The server is being stopped: of what the engine wants only what is already true is kept. */
static void stopping_turn(struct daemon *d)
{
	struct action a;
	while (engine_next(d->engine, &a))
		if (a.type == ACT_STORE)
			disk_carry_out(d->disk, &a);
	if (net_quiet(d->net) && !disk_storing(d->disk))
		ev_break(d->loop, EVBREAK_ALL);
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct daemon *d = w->data;
	struct turn *t = d->turn;
	(void)loop, (void)events;
	submit_waiting(d);
	if (d->stopping) {
		stopping_turn(d);
		return;
	}
	bool dirty = t->dirty || t->fed;
	t->dirty = false;
	do {
		struct action a;
		t->fed = false;
		while (engine_next(d->engine, &a))
			carry_out(d, &a);
		transfers_turn(d->transfers);
		net_peers_turn(d->net);
	} while (t->fed);
	dirty = dirty || t->dirty;
	t->dirty = false;
	sessions_turn(d->sessions, dirty);
	if (dirty) /* somebody may have come, or be trusted, or the settings be others */
		engine_forget(d->engine, net_all_met(d->net)
		                             ? (uint64_t)d->settings->tombstone_days * 24 * 3600 * 1000
		                             : UINT64_MAX);
	arm_deadline(d);
}

/* ---- starting --------------------------------------------------------------------------- */

/* The one line that says why it cannot serve. */
static bool cannot(const char *why)
{
	log_error("%s", why);
	return false;
}

static bool cannot_error(char *error)
{
	cannot(error ? error : "unknown error");
	free(error);
	return false;
}

/* Our own state must not be part of what is synchronised. */
static bool state_is_outside(struct daemon *d)
{
	char *state = xstrdup(d->settings->state), real[PATH_MAX];
	while (!realpath(state, real)) {
		char *slash = strrchr(state, '/');
		if (!slash) {
			if (!realpath(".", real))
				real[0] = '\0';
			break;
		}
		if (slash == state) {
			strcpy(real, "/");
			break;
		}
		*slash = '\0';
	}
	free(state);
	const char *root = root_path(d->root);
	size_t n = strlen(root);
	if (strncmp(real, root, n) != 0 || (real[n] && real[n] != '/' && n > 1))
		return true;
	struct buf why = {0};
	buf_addf(&why,
		 "the state folder %s lies in the directory that is to be served; choose another "
		 "with --state",
		 d->settings->state);
	buf_add_char(&why, '\0');
	cannot((const char *)why.data);
	buf_release(&why);
	return false;
}

static bool begin_store(struct daemon *d)
{
	char *error = NULL;
	struct replica_id id;
	bool served = root_id(d->root)[0];
	if (getrandom(id.b, sizeof(id.b), 0) != (ssize_t)sizeof(id.b))
		return cannot("no random numbers can be had");
	if (!served && root_mark(d->root, &error) < 0)
		return cannot_error(error);
	d->index = served ? INDEX_LOST : INDEX_NEW;
	uint8_t walk = (uint8_t)d->index;
	struct store_meta meta = {STORE_WALK, {&walk, 1}};
	if (store_begin(d->store, root_id(d->root), &id, &meta, &error) < 0)
		return cannot_error(error);
	return true;
}

static bool open_disk(struct daemon *d, bool *fresh)
{
	char *error = NULL, *text = NULL;
	if (root_open(&d->root, d->settings->directory, &error) < 0)
		return cannot_error(error);
	if (!state_is_outside(d))
		return false;
	switch (store_open(&d->store, d->settings->state, root_id(d->root), &text)) {
	case STORE_FAILED:
	case STORE_UNMARKED:
		return cannot_error(text);
	case STORE_LOST:
		log_warning("%s", text ? text : "the index is lost, and a new one is begun");
		free(text);
		*fresh = true;
		return begin_store(d);
	case STORE_NEW:
		free(text);
		*fresh = true;
		return begin_store(d);
	case STORE_OPENED:
		break;
	}
	free(text);
	if (!d->life->abandon)
		return true;
	if (store_abandon(d->store, true, &error) < 0)
		return cannot_error(error);
	*fresh = true;
	return begin_store(d);
}

static int load_replica(void *ctx, const struct store_replica *r)
{
	struct daemon *d = ctx;
	struct seen seen = {.id = r->id, .merged = r->merged, .known = r->known};
	msgpack_zone zone;
	msgpack_object lives;
	msgpack_zone_init(&zone, 256);
	/* An index of an earlier version has nothing there. */
	if (r->record.len && (wire_unpack(r->record, &zone, &lives) ||
			      !wire_as_uint(wire_at(&lives, 0), UINT64_MAX, &seen.merged_life) ||
			      !wire_as_uint(wire_at(&lives, 1), UINT64_MAX, &seen.known_life))) {
		msgpack_zone_destroy(&zone);
		return -EPROTO;
	}
	msgpack_zone_destroy(&zone);
	char *name = xmalloc(r->name.len + 1);
	memcpy(name, r->name.p ? r->name.p : (const uint8_t *)"", r->name.len);
	name[r->name.len] = '\0';
	int result = engine_load_replica(d->engine, r->num, &seen, name);
	free(name);
	return result;
}

static int load_meta(void *ctx, const struct store_meta *m)
{
	struct daemon *d = ctx;
	if (strcmp(m->key, STORE_LIVES) == 0)
		return engine_load_lives(d->engine, m->value);
	if (strcmp(m->key, STORE_WALK) != 0)
		return 0;
	if (m->value.len != 1 || m->value.p[0] > INDEX_LOST)
		return -EPROTO;
	d->index = (enum index_state)m->value.p[0];
	return 0;
}

static int load_entry(void *ctx, const struct store_entry *e)
{
	struct daemon *d = ctx;
	return engine_load(d->engine, e->path, e->record);
}

static void new_engine(struct daemon *d)
{
	uint64_t random[2];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random[0] = random[1] = (uint64_t)daemon_wall_ns();
	d->id = store_replica_id(d->store);
	replica_hex(d->id_text, &d->id);
	d->engine = engine_new(&(struct engine_config){
		.id = d->id,
		.name = d->settings->name,
		.counter = store_counter(d->store),
		.hash_seed = random[0],
		.life = random[1] ? random[1] : 1,
	});
	engine_rehash(d->engine, (uint64_t)d->settings->rehash_days * 24 * 3600 * 1000);
	engine_entries_max(d->engine, d->settings->peer_entries);
	engine_id_is_new(d->engine, d->life->id_new_until_ms);
	engine_time(d->engine, daemon_wall_ns(), daemon_mono_ms());
}

/* What is in the index goes into the engine; an index that makes no sense is begun anew. */
static bool load(struct daemon *d, bool *fresh)
{
	struct store_callbacks callbacks = {.ctx = d, .meta = load_meta, .replica = load_replica, .entry = load_entry};
	char *error = NULL;
	new_engine(d);
	int r = store_load(d->store, &callbacks, &error);
	if (r == 0)
		return true;
	if (r != -EPROTO && r != -EBADMSG)
		return cannot_error(error);
	log_warning("the index is damaged (%s); it was moved aside, and a new one is begun",
		    error ? error : "a row makes no sense");
	free(error);
	error = NULL;
	engine_free(d->engine);
	d->engine = NULL;
	if (store_abandon(d->store, false, &error) < 0)
		return cannot_error(error);
	if (!begin_store(d))
		return false;
	*fresh = true;
	new_engine(d);
	return true;
}

static void raise_limits(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events);
static void on_again(struct ev_loop *loop, ev_signal *w, int events);
static void on_stop_timer(struct ev_loop *loop, ev_timer *w, int events);

static void start_turns(struct daemon *d)
{
	struct turn *t = d->turn;
	ev_prepare_init(&t->end, on_turn_end);
	t->end.data = d;
	/* After everything else that is pending, but before connections write (conn.c). */
	ev_set_priority(&t->end, EV_MINPRI + 1);
	ev_init(&t->deadline, on_deadline);
	t->deadline.data = d;
	t->deadline_ms = UINT64_MAX;
	ev_timer_init(&t->stop, on_stop_timer, STOP_S, 0.);
	t->stop.data = d;
	ev_signal_init(&t->term, on_signal, SIGTERM);
	ev_signal_init(&t->interrupt, on_signal, SIGINT);
	ev_signal_init(&t->again, on_again, SIGHUP);
	t->term.data = t->interrupt.data = t->again.data = d;
	ev_signal_start(d->loop, &t->term);
	ev_signal_start(d->loop, &t->interrupt);
	ev_signal_start(d->loop, &t->again);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* All is open that needs more than this, and no other thread runs yet. */
static bool confine_server(struct daemon *d)
{
	struct buf said = {0};
	char *sockets = xstrdup(d->settings->socket), *slash = strrchr(sockets, '/');
	if (slash)
		slash[slash == sockets] = '\0';
	const char *writable[] = {root_path(d->root), d->settings->state, slash ? sockets : "."};
	/* The file of options is read again on SIGHUP, when another may have its name. */
	char *options = xstrdup(d->settings->config ? d->settings->config : "");
	char *end = strrchr(options, '/');
	if (end)
		end[end == options] = '\0';
	const char *readable[CONFINE_SYSTEM + 1];
	memcpy(readable, confine_system, sizeof(confine_system));
	readable[CONFINE_SYSTEM] = !d->settings->config ? "/dev/null" : end ? options : ".";
	struct confinement c = {writable, ARRAY_LEN(writable), readable, ARRAY_LEN(readable)};
	int r = confine(&c, &said);
	free(options);
	free(sockets);
	buf_add_char(&said, '\0');
	if (r < 0)
		cannot((const char *)said.data);
	else
		log_info("confined: %s", (const char *)said.data);
	buf_release(&said);
	return r == 0;
}

static bool start(struct daemon *d)
{
	struct buf problem = {0};
	bool fresh = false;
	uint64_t seed = (uint64_t)daemon_wall_ns() ^ ((uint64_t)getpid() << 32);
	(void)!getrandom(&seed, sizeof(seed), 0);
	srandom((unsigned)seed);
	raise_limits();
	d->loop = ev_loop_new(EVFLAG_AUTO);
	if (!d->loop)
		return cannot("no event loop can be had");
	start_turns(d);
	if (!open_disk(d, &fresh) || !load(d, &fresh))
		return false;
	d->keyring = keyring_new(d, &problem);
	if (!d->keyring) {
		buf_add_char(&problem, '\0');
		cannot((const char *)problem.data);
		buf_release(&problem);
		return false;
	}
	d->net = net_new(d, &problem);
	if (!d->net) {
		buf_add_char(&problem, '\0');
		cannot((const char *)problem.data);
		buf_release(&problem);
		return false;
	}
	intents_boot();
	if (!d->life->confined && !confine_server(d))
		return false;
	d->life->confined = true;
	d->workers = workers_new(d->loop, WORKERS, JOBS_QUEUED_MAX);
	d->watch = watch_new(d->loop, disk_watched, d);
	d->disk = disk_new(d);
	if (!d->life->ready)
		disk_remember(d->disk);
	int err = disk_recover(d->disk, fresh);
	if (err < 0)
		return cannot_error(xasprintf("what was under way at the last end cannot be recovered: %s",
			strerror(-err)));
	d->transfers = transfers_new(d);
	d->resyncs = resyncs_new(d);
	d->settles = settles_new(d);
	d->pasts = pasts_new(d);
	d->sessions = sessions_new(d);
	engine_start(daemon_feed(d), d->index);
	return true;
}

static void ready(struct daemon *d)
{
	struct buf text = {0};
	if (!d->life->ready)
		printf("ready %s %s %s\n", d->settings->name, keyring_own_text(d->keyring),
		       net_address(d->net));
	fflush(stdout);
	d->life->ready = true;
	buf_addf(&text, "READY=1\nSTATUS=serving %s on %s", root_path(d->root),
		 net_address(d->net));
	buf_add_char(&text, '\0');
	notify((const char *)text.data);
	buf_release(&text);
	log_info("%s serves %s on %s", d->settings->name, root_path(d->root), net_address(d->net));
}

/* ---- ending ----------------------------------------------------------------------------- */

static void begin_ending(struct daemon *d, const char *status)
{
	d->stopping = true;
	notify(status);
	disk_stop(d->disk);
	ev_timer_stop(d->loop, &d->turn->deadline);
	ev_timer_start(d->loop, &d->turn->stop);
	net_stop(d->net);
	daemon_touch(d);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	struct daemon *d = w->data;
	(void)loop, (void)events;
	d->life->again = false; /* should another life have been about to begin */
	if (d->stopping || !d->net)
		return;
	log_info("%s: ending", w->signum == SIGTERM ? "terminated" : "interrupted");
	begin_ending(d, "STOPPING=1\nSTATUS=ending");
}

static void log_lines(const struct buf *lines)
{
	for (size_t at = 0; at < lines->len;) {
		const uint8_t *end = memchr(lines->data + at, '\n', lines->len - at);
		size_t n = (size_t)(end - (lines->data + at));
		log_warning("%.*s", (int)n, (const char *)lines->data + at);
		at += n + 1;
	}
}

/* What may change while it runs has its new values at once; the rest is named. */
static void on_again(struct ev_loop *loop, ev_signal *w, int events)
{
	struct daemon *d = w->data;
	struct life *life = d->life;
	struct settings old;
	struct buf said = {0};
	(void)loop, (void)events;
	if (d->stopping || !d->net)
		return;
	int r = settings_again(life->given, life->argc, life->argv, &old, &said);
	log_lines(&said);
	buf_release(&said);
	if (r < 0) {
		log_warning("the options are not in order: everything stays as it was");
		return;
	}
	life_take(life);
	log_init(d->settings->log_level);
	engine_rehash(daemon_feed(d), (uint64_t)d->settings->rehash_days * 24 * 3600 * 1000);
	engine_entries_max(d->engine, d->settings->peer_entries);
	keyring_again(d->keyring);
	net_again(d->net);
	settings_release(&old);
	log_info("the options were read again");
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Jobs that run end, those that wait are dropped; what came out of them is stored. */
static bool finish_work(struct daemon *d)
{
	if (!d->workers)
		return true;
	d->stopping = true;
	workers_stop(d->workers);
	d->workers = NULL;
	for (size_t i = 0; i < d->turn->n_waiting; i++)
		d->turn->waiting[i].job->done(d->turn->waiting[i].job, true);
	d->turn->n_waiting = 0; /* more may have come while they ended: the loop saw them */
	struct action a;
	while (engine_next(d->engine, &a))
		if (a.type == ACT_STORE)
			disk_store_now(d->disk, &a);
	disk_store_now(d->disk, NULL);
	return !disk_unstored(d->disk);
}

static void finish(struct daemon *d)
{
	bool clean = finish_work(d);
	if (d->net)
		net_free(d->net);
	d->net = NULL;
	if (d->sessions)
		sessions_free(d->sessions);
	keyring_free(d->keyring);
	if (d->resyncs)
		resyncs_free(d->resyncs);
	if (d->transfers)
		transfers_free(d->transfers);
	if (d->settles)
		settles_free(d->settles);
	if (d->pasts)
		pasts_free(d->pasts);
	disk_free(d->disk);
	intents_close(d->intents);
	watch_free(d->watch);
	store_close(d->store, clean);
	if (d->engine)
		engine_free(d->engine);
	root_close(d->root);
	events_release(&d->events);
	if (d->loop) {
		ev_clear_pending(d->loop, &d->turn->end);
		ev_timer_stop(d->loop, &d->turn->deadline);
		ev_timer_stop(d->loop, &d->turn->stop);
		ev_signal_stop(d->loop, &d->turn->term);
		ev_signal_stop(d->loop, &d->turn->interrupt);
		ev_signal_stop(d->loop, &d->turn->again);
		ev_loop_destroy(d->loop);
	}
	free(d->turn->waiting);
}

/* Ports that were picked stay the same in the next life. */
static void keep_ports(struct daemon *d)
{
	struct life *life = d->life;
	for (size_t i = 0; i < life->settings.n_listen; i++)
		life->listen[i].at = *net_bound(d->net, i);
}

static void live(struct life *life)
{
	struct turn turn = {.fed = false};
	struct daemon d = {.settings = &life->settings, .turn = &turn, .life = life,
			   .alarms = life->alarms, .rewrites = life->rewrites};
	events_init(&d.events, (uint64_t)daemon_wall_ns() / 1000000);
	life->again = false;
	life->status = 1;
	if (start(&d)) {
		life->abandon = false;
		life->status = 0;
		keep_ports(&d);
		net_start(d.net);
		disk_start(d.disk);
		ready(&d);
		ev_run(d.loop, 0);
	}
	finish(&d);
}

int daemon_main(struct settings *settings, int argc, char **argv)
{
	struct life life = {.given = settings, .argc = argc, .argv = argv, .alarms = alarms_new(),
			    .rewrites = rewrites_new()};
	for (size_t i = 0; i < settings->n_listen; i++)
		life.listen[i] = settings->listen[i];
	life_take(&life);
	do {
		live(&life);
	} while (life.again);
	alarms_free(life.alarms);
	rewrites_free(life.rewrites);
	return life.status;
}
