/* Owns the words for how things are. */
#include "config.h"
#include "status.h"

#include "alarms.h"
#include "disk.h"
#include "format.h"
#include "keyring.h"
#include "net.h"
#include "peer.h"
#include "rewrites.h"
#include "settle.h"
#include "text.h"
#include "transfer.h"
#include "wire.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PROBLEMS_MAX = 1000,
	NAME_MAX_BYTES = 255,
	TEXT_MAX_BYTES = 1024,
	TRANSFERS_MAX = 20,
	ROOM_LEFT = 32 * 1024, /* of the frame, for what follows a list of foreign length */
	STATUS_BYTES = 960 * 1024,
};

void status_put_str(struct buf *out, struct bytes s, size_t max)
{
	struct buf shown = {0};
	if (!text_is_utf8(s)) {
		text_show(&shown, s);
		s = (struct bytes){shown.data, shown.len};
	}
	while (s.len > max || (s.len == max && !text_is_utf8(s)))
		s.len = s.len > max ? max : s.len - 1;
	wire_str(out, s);
	buf_release(&shown);
}

static void put_str(struct buf *out, const char *key, struct bytes s, size_t max)
{
	wire_key(out, key);
	status_put_str(out, s, max);
}

/* ---- who is there ----------------------------------------------------------------------- */

static bool is_member(const struct columns *c, const struct daemon *d, const struct replica_id *id)
{
	for (size_t i = 0; i < c->n_members; i++)
		if (replica_id_eq(&engine_ids(d->engine)[c->members[i]], id))
			return true;
	return false;
}

static bool unheard(const struct columns *c, const struct daemon *d, const struct net_contact *k)
{
	return k->configured && (!k->id || !is_member(c, d, k->id)) &&
	       strcmp(k->state, "refused") != 0;
}

struct columns status_columns(const struct daemon *d)
{
	struct columns c = {.n = 0};
	struct net_contact k;
	c.n_members = engine_members(d->engine, c.members, ARRAY_LEN(c.members));
	c.n = c.n_members;
	for (size_t i = 0; net_contact(d->net, i, &k) && c.n < REPLICAS_MAX; i++)
		c.n += unheard(&c, d, &k);
	return c;
}

/* Since when each replica holds something else than we do; 0: it does not. */
static uint64_t lag_since[REPLICAS_MAX];

void status_follow(struct daemon *d)
{
	size_t n = engine_replicas(d->engine);
	for (size_t i = 1; i < n && i < REPLICAS_MAX; i++) {
		struct replica_info r = engine_replica(d->engine, (rep_t)i);
		if (!r.member || r.not_taken || r.takes_nothing || (!r.differ && !r.pending))
			lag_since[i] = 0;
		else if (!lag_since[i])
			lag_since[i] = daemon_mono_ms();
	}
}

static uint64_t lag_ms(rep_t rep)
{
	uint64_t now = daemon_mono_ms();
	return lag_since[rep] ? now - lag_since[rep] : 0;
}

/* Does anything come from there just now? */
static bool sends_to_us(const struct daemon *d, const char *name)
{
	struct transfer_info list[TRANSFERS_MAX];
	uint64_t done, size;
	size_t n = transfers_list(d->transfers, list, ARRAY_LEN(list), &done, &size);
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(list[i].from, bytes_of(name)))
			return true;
	return false;
}

static void member_state(struct daemon *d, rep_t rep, const struct replica_info *r,
			 const struct net_contact *k, struct buf *out)
{
	if (rep == 0)
		buf_addf(out, "self");
	else if (r->peer >= 0 && r->pending)
		buf_addf(out, "receiving");
	else if (r->peer >= 0 && sends_to_us(d, r->name))
		buf_addf(out, "sending");
	else if (r->not_taken || r->takes_nothing)
		buf_addf(out, "differs");
	else if (r->peer >= 0 && (r->differ || r->n_problems || r->n_held))
		buf_addf(out, "waiting");
	else if (r->peer >= 0)
		buf_addf(out, "in sync");
	else if (r->reachable && r->via)
		buf_addf(out, "via %s", engine_replica(d->engine, r->via).name);
	else if (k && strcmp(k->state, "connecting") == 0)
		buf_addf(out, "connecting");
	else
		buf_addf(out, "offline");
}

/* Why a replica differs for good; "" if it does not. */
static const char *why_apart(const struct replica_info *r)
{
	if (r->not_taken)
		return "it has changes that are not taken, as it is trusted as read-only; tutti trust, "
		       "with its ID, takes them";
	if (r->takes_nothing)
		return "it takes no changes from here, as it trusts this server as read-only; "
		       "tutti trust, there, lets it take them";
	return "";
}

/* What another replica lacks: as many as it says, and at least those that differ and are not lacking here. */
static uint64_t lacks(const struct daemon *d, const struct replica_info *r)
{
	uint64_t ours = engine_status(d->engine).pending, theirs = r->differ > ours ? r->differ - ours : 0;
	return r->pending > theirs ? r->pending : theirs;
}

static void pack_member(struct daemon *d, rep_t rep, struct buf *out)
{
	struct replica_info r = engine_replica(d->engine, rep);
	struct net_contact k;
	char id[REPLICA_HEX];
	struct buf state = {0};
	bool known = rep != 0 && net_contact_of(d->net, r.id, &k);
	replica_hex(id, r.id);
	member_state(d, rep, &r, known ? &k : NULL, &state);
	wire_map(out, 15);
	put_str(out, "name", daemon_replica_name(d, rep), NAME_MAX_BYTES);
	wire_put_text(out, "id", id);
	put_str(out, "address", bytes_of(rep == 0 ? net_address(d->net)
					 : known ? k.address : r.address), NAME_MAX_BYTES);
	put_str(out, "state", (struct bytes){state.data, state.len}, NAME_MAX_BYTES);
	wire_put_int(out, "since", known ? k.since_ns : 0);
	wire_put_uint(out, "retry_ms", known ? k.retry_ms : 0);
	wire_put_uint(out, "tries", known ? k.tries : 0);
	put_str(out, "error", bytes_of(known && k.error[0] ? k.error : why_apart(&r)), TEXT_MAX_BYTES);
	bool apart = r.not_taken || r.takes_nothing;
	if (rep == 0) {
		struct engine_status s = engine_status(d->engine);
		wire_put_uint(out, "pending_files", s.pending);
		wire_put_uint(out, "pending_bytes", s.pending_bytes);
		wire_put_uint(out, "lag_ms", 0);
		wire_put_uint(out, "files", s.files);
		wire_put_uint(out, "bytes", s.bytes);
	} else {
		/* What it says itself, and at least what we know that it lacks. */
		wire_put_uint(out, "pending_files", apart ? 0 : lacks(d, &r));
		wire_put_uint(out, "pending_bytes", r.pending_bytes);
		wire_put_uint(out, "lag_ms", apart ? 0 : lag_ms(rep));
		wire_put_uint(out, "files", r.files);
		wire_put_uint(out, "bytes", r.bytes);
	}
	wire_put_uint(out, "problems", r.n_problems);
	wire_put_uint(out, "held", r.n_held);
	buf_release(&state);
}

static void pack_unheard(const struct net_contact *k, struct buf *out)
{
	wire_map(out, 15);
	put_str(out, "name", bytes_of(k->name[0] ? k->name : k->address), NAME_MAX_BYTES);
	wire_put_text(out, "id", "");
	wire_put_text(out, "address", k->address);
	wire_put_text(out, "state", strcmp(k->state, "connecting") == 0 ? "connecting" : "offline");
	wire_put_int(out, "since", k->since_ns);
	wire_put_uint(out, "retry_ms", k->retry_ms);
	wire_put_uint(out, "tries", k->tries);
	put_str(out, "error", bytes_of(k->error), TEXT_MAX_BYTES);
	wire_put_uint(out, "pending_files", 0);
	wire_put_uint(out, "pending_bytes", 0);
	wire_put_uint(out, "lag_ms", 0);
	wire_put_uint(out, "files", 0);
	wire_put_uint(out, "bytes", 0);
	wire_put_uint(out, "problems", 0);
	wire_put_uint(out, "held", 0);
}

/* ---- status ----------------------------------------------------------------------------- */

struct problem_list {
	struct daemon *d;
	struct buf *out;
	size_t start, n;
};

static bool pack_problem(void *ctx, rep_t rep, const struct problem *p)
{
	struct problem_list *l = ctx;
	if (l->n == PROBLEMS_MAX || l->out->len - l->start > STATUS_BYTES)
		return false;
	wire_map(l->out, 4);
	wire_put_bin(l->out, "path", p->path);
	put_str(l->out, "replica", daemon_replica_name(l->d, rep), NAME_MAX_BYTES);
	put_str(l->out, "reason", p->reason, TEXT_MAX_BYTES);
	wire_put_bool(l->out, "held", p->held);
	l->n++;
	return true;
}

static void add_note(struct buf *out, size_t *n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void add_note(struct buf *out, size_t *n, const char *fmt, ...)
{
	char text[TEXT_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	status_put_str(out, bytes_of(text), TEXT_MAX_BYTES);
	++*n;
}

/* Connected, and for some time now. */
static bool is_good_again(const struct daemon *d, const struct replica_id *who)
{
	enum { GOOD_S = 10 };
	struct net_contact k;
	return net_contact_of(d->net, who, &k) && strcmp(k.state, "connected") == 0 &&
	       daemon_wall_ns() - k.since_ns >= GOOD_S * INT64_C(1000000000);
}

static void pack_notes(struct daemon *d, const struct engine_status *s, struct buf *out)
{
	size_t mark = wire_array_begin(out), n = 0;
	struct root_abilities can = root_abilities(d->root);
	struct net_contact k;
	if (s->halted)
		add_note(out, &n, "%s: %s; nothing is synchronised until it is back",
			 root_path(d->root), s->halted);
	if (disk_unstored(d->disk))
		add_note(out, &n,
			 "the index cannot be written; changes are not announced until it can");
	if (!can.local)
		add_note(out, &n,
			 "the directory is on a network file system: changes made by other "
			 "machines are found by walking, every 60 s");
	else if (s->unwatched && watch_problem(d->watch))
		add_note(out, &n,
			 "no changes are told by the kernel (%s): %" PRIu64 " folders are walked "
			 "every 60 s; raise fs.inotify.max_user_instances",
			 strerror(-watch_problem(d->watch)), s->unwatched);
	else if (s->unwatched)
		add_note(out, &n,
			 "no more inotify watches: %" PRIu64
			 " folders are walked every 60 s; raise "
			 "fs.inotify.max_user_watches",
			 s->unwatched);
	if (!can.exchange)
		add_note(out, &n,
			 "the file system cannot swap two names: replacing a file leaves a small "
			 "window");
	uint32_t uncarried = rows_in_state(engine_rows(d->engine), NODE_ROOT, ROW_NOT_CARRIED);
	if (uncarried)
		add_note(out, &n, "%" PRIu32 " %s not carried: no files, folders or symlinks, or folders "
			 "that hold such; the filter state:not-carried shows them", uncarried,
			 uncarried == 1 ? "entry is" : "entries are");
	if (s->writing)
		add_note(out, &n, "%" PRIu64 " %s still being written; it travels when that rests", s->writing,
			 s->writing == 1 ? "file is" : "files are");
	const struct alarm *alarm;
	for (size_t i = 0; (alarm = alarms_at(d->alarms, i)); i++)
		if (!alarm->passing || !is_good_again(d, &alarm->who))
			add_note(out, &n, "%s", alarm->text);
	const struct rewrites_wave *wave;
	for (size_t i = 0; (wave = rewrites_at(d->rewrites, i, daemon_wall_ns())); i++) {
		struct buf text = {0};
		rewrites_say(wave, &text);
		add_note(out, &n, "%.*s", (int)text.len, (const char *)text.data);
		buf_release(&text);
	}
	for (size_t i = 0; net_contact(d->net, i, &k); i++)
		if (k.error[0])
			add_note(out, &n, "%s: %s", k.address, k.error);
	for (size_t i = 0; net_contact(d->net, i, &k); i++)
		if (k.takes_nothing)
			add_note(out, &n, "%s takes no changes from here: it trusts this server as "
					  "read-only", k.name);
	const struct trust_pending *p;
	for (size_t i = 0; (p = trust_pending_at(keyring_trust(d->keyring), i)); i++) {
		char id[KEY_ID_TEXT + 1];
		key_id_write(id, &p->id);
		add_note(out, &n, "%s asks to be let in; yes: tutti trust %s, no: tutti untrust",
			 p->address, id);
	}
	wire_array_end(out, mark, n);
}

void status_pack(struct daemon *d, struct buf *out)
{
	struct engine_status s = engine_status(d->engine);
	struct columns c = status_columns(d);
	struct net_contact k;
	size_t start = out->len;
	wire_map(out, 14);
	wire_put_text(out, "name", d->settings->name);
	wire_put_text(out, "id", d->id_text);
	wire_put_bin(out, "root", bytes_of(root_path(d->root)));
	wire_key(out, "replicas");
	wire_array(out, c.n);
	for (size_t i = 0; i < c.n_members; i++)
		pack_member(d, c.members[i], out);
	size_t left = c.n - c.n_members;
	for (size_t i = 0; left && net_contact(d->net, i, &k); i++) {
		if (!unheard(&c, d, &k))
			continue;
		pack_unheard(&k, out);
		left--;
	}
	assert(!left);
	wire_put_uint(out, "rows", s.rows);
	wire_put_uint(out, "files", s.files);
	wire_put_uint(out, "bytes", s.bytes);
	wire_put_bool(out, "in_sync", s.in_sync && c.n == c.n_members);
	wire_put_uint(out, "conflicts", s.conflicts + settles_open_again(d->settles));
	wire_put_uint(out, "held", s.held);
	wire_put_uint(out, "asking", keyring_asking(d->keyring));
	wire_put_bool(out, "scanning", s.scanning);
	wire_key(out, "notes");
	pack_notes(d, &s, out);
	wire_key(out, "problems");
	size_t mark = wire_array_begin(out);
	struct problem_list list = {.d = d, .out = out, .start = start};
	engine_problems(d->engine, pack_problem, &list);
	wire_array_end(out, mark, list.n);
}

void status_pack_peers(struct daemon *d, struct buf *out)
{
	struct net_contact k;
	wire_map(out, 2);
	wire_key(out, "peers");
	size_t mark = wire_array_begin(out), n = 0;
	for (; net_contact(d->net, n, &k); n++) {
		char id[REPLICA_HEX] = "";
		struct bytes name = bytes_of(k.name);
		if (k.id)
			replica_hex(id, k.id);
		for (size_t rep = 0; k.id && !name.len && rep < engine_replicas(d->engine); rep++)
			if (replica_id_eq(&engine_ids(d->engine)[rep], k.id))
				name = bytes_of(engine_replica(d->engine, (rep_t)rep).name);
		wire_map(out, k.key ? 12 : 11);
		put_str(out, "address", bytes_of(k.address), NAME_MAX_BYTES);
		put_str(out, "name", name, NAME_MAX_BYTES);
		wire_put_text(out, "id", id);
		wire_put_text(out, "state", k.state);
		wire_put_text(out, "direction", k.dialed ? "out" : "in");
		wire_put_int(out, "since", k.since_ns);
		wire_put_uint(out, "retry_ms", k.retry_ms);
		wire_put_uint(out, "tries", k.tries);
		put_str(out, "error", bytes_of(k.error), TEXT_MAX_BYTES);
		wire_put_uint(out, "in", k.in);
		wire_put_uint(out, "out", k.out);
		if (k.key) {
			char key[KEY_ID_TEXT + 1];
			key_id_write(key, k.key);
			wire_put_text(out, "key", key);
		}
	}
	wire_array_end(out, mark, n);
	wire_key(out, "keys");
	keyring_pack(d->keyring, out);
}

/* ---- progress --------------------------------------------------------------------------- */

void status_rates(struct daemon *d, struct rates *r)
{
	struct net_contact k;
	uint64_t in = 0, out = 0;
	double now = ev_now(d->loop), s = now - r->at;
	for (size_t i = 0; net_contact(d->net, i, &k); i++) {
		in += k.in;
		out += k.out;
	}
	/* A connection that has gone takes its bytes along: then this once nothing was moved. */
	r->in_rate = r->at > 0 && s > 0 && in >= r->in ? (uint64_t)((double)(in - r->in) / s) : 0;
	r->out_rate =
		r->at > 0 && s > 0 && out >= r->out ? (uint64_t)((double)(out - r->out) / s) : 0;
	r->at = now;
	r->in = in;
	r->out = out;
}

static size_t servings(const struct daemon *d, struct peer_serving *out, const char **to,
		       size_t cap)
{
	size_t n = 0;
	for (unsigned i = 0; i < NET_PEERS_MAX && n < cap; i++) {
		struct peer *p = net_peer(d->net, i);
		size_t more = p ? peer_serving(p, out + n, cap - n) : 0;
		for (; more; more--)
			to[n++] = peer_name(p);
	}
	return n;
}

bool status_moving(const struct daemon *d)
{
	struct peer_serving one;
	const char *to;
	return transfers_count(d->transfers) || servings(d, &one, &to, 1);
}

static void pack_transfer(struct buf *out, struct bytes path, struct bytes from, struct bytes to,
			  uint64_t done, uint64_t size, uint64_t rate)
{
	wire_map(out, 6);
	wire_put_bin(out, "path", path);
	put_str(out, "from", from, NAME_MAX_BYTES);
	put_str(out, "to", to, NAME_MAX_BYTES);
	wire_put_uint(out, "done", done);
	wire_put_uint(out, "size", size);
	wire_put_uint(out, "rate", rate);
}

void status_pack_progress(struct daemon *d, const struct rates *r, struct buf *out)
{
	struct transfer_info in[TRANSFERS_MAX];
	struct peer_serving served[TRANSFERS_MAX];
	const char *to[TRANSFERS_MAX];
	uint64_t done, size;
	struct bytes self = bytes_of(d->settings->name);
	size_t n_in = transfers_list(d->transfers, in, ARRAY_LEN(in), &done, &size);
	size_t n_out = servings(d, served, to, ARRAY_LEN(served));
	size_t all = transfers_count(d->transfers) + n_out;
	wire_put_uint(out, "in", r->in_rate);
	wire_put_uint(out, "out", r->out_rate);
	wire_key(out, "transfers");
	wire_array(out, n_in + n_out < TRANSFERS_MAX ? n_in + n_out : TRANSFERS_MAX);
	for (size_t i = 0; i < n_in; i++)
		pack_transfer(out, in[i].path, in[i].from, self, in[i].done, in[i].size,
			      in[i].rate);
	for (size_t i = 0; i < n_out; i++) {
		done += served[i].done;
		size += served[i].size;
		if (n_in + i < TRANSFERS_MAX)
			pack_transfer(out, served[i].path, self, bytes_of(to[i]), served[i].done,
				      served[i].size, r->out_rate / n_out);
	}
	wire_put_uint(out, "active", all);
	wire_put_uint(out, "done", done);
	wire_put_uint(out, "size", size);
}

/* ---- in sync, or why not ---------------------------------------------------------------- */

static void say(struct buf *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct buf *why, const char *fmt, ...)
{
	char text[TEXT_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (why->len)
		buf_addf(why, "; ");
	buf_addf(why, "%s", text);
}

static const char *files_text(char out[64], uint64_t files, uint64_t bytes)
{
	char count[32], size[16];
	format_count(count, files);
	format_size(size, bytes, FORMAT_LONG);
	if (bytes)
		snprintf(out, 64, "%s %s (%s)", count, files == 1 ? "entry" : "entries", size);
	else
		snprintf(out, 64, "%s %s", count, files == 1 ? "entry" : "entries");
	return out;
}

struct first_problems {
	struct daemon *d;
	struct buf *why;
	size_t n;
};

static bool say_problem(void *ctx, rep_t rep, const struct problem *p)
{
	struct first_problems *f = ctx;
	struct buf shown = {0};
	struct bytes name = daemon_replica_name(f->d, rep);
	text_show(&shown, p->path);
	buf_addf(&shown, p->path.len ? ": " : "");
	text_show(&shown, p->reason);
	say(f->why, "on %.*s, %.*s", (int)name.len, (const char *)name.p, (int)shown.len,
	    (const char *)shown.data);
	buf_release(&shown);
	return ++f->n < 3;
}

static void why_not(struct daemon *d, const struct engine_status *s, struct buf *why)
{
	char text[64];
	if (s->halted)
		say(why, "%s: %s", root_path(d->root), s->halted);
	if (net_untried(d->net))
		say(why, "%s has not answered yet", net_untried(d->net));
	if (s->scanning)
		say(why, "the directory is still being walked");
	if (s->writing)
		say(why, "%" PRIu64 " %s still being written", s->writing,
		    s->writing == 1 ? "file is" : "files are");
	if (s->pending)
		say(why, "%s lacks %s", d->settings->name,
		    files_text(text, s->pending, s->pending_bytes));
	for (size_t i = 1; i < engine_replicas(d->engine); i++) {
		struct replica_info r = engine_replica(d->engine, (rep_t)i);
		if (!r.member || !r.reachable)
			continue;
		if (*why_apart(&r))
			say(why, "%s: %s", r.name, why_apart(&r));
		else if (lacks(d, &r))
			say(why, "%s lacks %s", r.name,
			    files_text(text, lacks(d, &r), r.pending_bytes));
	}
	struct first_problems f = {.d = d, .why = why};
	engine_problems(d->engine, say_problem, &f);
	if (!why->len)
		say(why, "changes are still being looked at");
}

bool status_agree(struct daemon *d, struct buf *why)
{
	struct engine_status s = engine_status(d->engine);
	if (s.agree && !net_untried(d->net)) {
		watch_drain(d->watch);
		s = engine_status(d->engine);
		if (s.agree)
			return true;
	}
	why_not(d, &s, why);
	return false;
}
