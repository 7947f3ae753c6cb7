/* Owns what people decide about keys: takes effect at once, is written, and then answered. */
#include "config.h"
#include "keyring.h"

#include "identity.h"
#include "invitation.h"
#include "net.h"
#include "session.h"
#include "status.h"
#include "text.h"
#include "wire.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES_MAX = 255 };

/* A client that waits for its answer until the file is written. */
struct waiter {
	struct asker *asker;
	struct buf map; /* the result */
};

struct waiters {
	struct waiter *list;
	size_t n, cap;
};

struct open_invitation {
	uint8_t secret[INVITATION_SECRET_SIZE];
	enum trust_role role;
	uint64_t until_ms; /* monotonic */
};

struct keyring {
	struct job job;          /* writes the file */
	struct daemon *d;
	struct identity *identity;
	struct tls_context *tls;
	struct trust *trust;
	char own[KEY_ID_TEXT + 1];
	bool writing, dirty;
	struct buf text;         /* what is being written */
	int result;
	struct waiters now, later;
	struct open_invitation open[KEYRING_INVITATIONS_MAX];
	size_t n_open;
	struct log_limit limit_asked;
	bool joining;            /* settings->invitation was not yet used */
};

static bool trust_given(struct keyring *k, struct buf *problem)
{
	const struct settings *s = k->d->settings;
	for (size_t i = 0; i < s->n_peers; i++) {
		const struct settings_peer *p = &s->peers[i];
		if (!p->to.has_id || key_id_eq(&p->to.id, keyring_own(k)))
			continue; /* of itself it says so when it is called (net.c) */
		if (trust_role(k->trust, &p->to.id) == TRUST_REFUSED)
			log_warning("--peer %s: this key was refused with tutti untrust, and stays so "
				    "until tutti trust", p->text);
		if (!trust_put(k->trust, &p->to.id, TRUST_PEER, NULL, NULL, true)) {
			buf_addf(problem, "too many trusted keys");
			return false;
		}
	}
	return true;
}

struct keyring *keyring_new(struct daemon *d, struct buf *problem)
{
	const struct settings *s = d->settings;
	struct keyring *k = xcalloc(1, sizeof(*k));
	k->d = d;
	k->trust = trust_new();
	if (identity_open(&k->identity, s->state, problem) < 0)
		goto failed;
	key_id_write(k->own, identity_id(k->identity));
	if (!s->plain) {
		k->tls = tls_context_new(k->identity);
		if (!trust_load(k->trust, s->state, problem) || !trust_given(k, problem))
			goto failed;
	}
	if (s->invitation.address) {
		const struct invitation *i = &s->invitation;
		if (key_id_eq(&i->id, keyring_own(k))) {
			buf_addf(problem, "this invitation is of this server itself");
			goto failed;
		}
		if (!trust_put(k->trust, &i->id, TRUST_PEER, NULL, i->address, false)) {
			buf_addf(problem, "too many trusted keys");
			goto failed;
		}
		k->joining = true;
		k->dirty = true;
	}
	return k;
failed:
	k->dirty = false;
	keyring_free(k);
	return NULL;
}

void keyring_again(struct keyring *k)
{
	struct buf problem = {0};
	if (!k->d->settings->plain && !trust_given(k, &problem))
		log_warning("%.*s", (int)problem.len, (const char *)problem.data);
	buf_release(&problem);
}

static void waiters_release(struct waiters *w)
{
	for (size_t i = 0; i < w->n; i++) {
		asker_answer(w->list[i].asker, NULL, ERROR_FAILED, "the server is being stopped");
		buf_release(&w->list[i].map);
	}
	free(w->list);
	*w = (struct waiters){0};
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	assert(!k->writing);
	if (k->dirty) {
		struct buf text = {0};
		trust_text(k->trust, &text);
		int r = trust_write(k->d->settings->state, (struct bytes){text.data, text.len});
		if (r < 0)
			log_error("the list of trusted keys cannot be written: %s", strerror(-r));
		buf_release(&text);
	}
	waiters_release(&k->now);
	waiters_release(&k->later);
	buf_release(&k->text);
	tls_context_free(k->tls);
	identity_free(k->identity);
	trust_free(k->trust);
	OPENSSL_cleanse(k->open, sizeof(k->open));
	free(k);
}

struct tls_context *keyring_tls(const struct keyring *k)
{
	return k->tls;
}

const struct key_id *keyring_own(const struct keyring *k)
{
	return identity_id(k->identity);
}

const char *keyring_own_text(const struct keyring *k)
{
	return k->own;
}

struct trust *keyring_trust(const struct keyring *k)
{
	return k->trust;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void write_run(struct job *job)
{
	struct keyring *k = (struct keyring *)job;
	k->result = trust_write(k->d->settings->state, (struct bytes){k->text.data, k->text.len});
}

static void write_done(struct job *job, bool cancelled);

static void write_start(struct keyring *k)
{
	if (k->writing || !k->dirty || k->d->stopping)
		return;
	k->writing = true;
	k->dirty = false;
	struct waiters none = k->now;
	k->now = k->later;
	k->later = none;
	buf_clear(&k->text);
	trust_text(k->trust, &k->text);
	k->job = (struct job){.run = write_run, .done = write_done};
	daemon_submit(k->d, &k->job, JOB_URGENT);
}

static void write_done(struct job *job, bool cancelled)
{
	struct keyring *k = (struct keyring *)job;
	k->writing = false;
	if (cancelled || k->result < 0)
		k->dirty = true; /* tried again with the next change, and at the end */
	if (!cancelled && k->result < 0)
		log_error("the list of trusted keys cannot be written: %s", strerror(-k->result));
	for (size_t i = 0; i < k->now.n; i++) {
		struct waiter *w = &k->now.list[i];
		char text[256];
		snprintf(text, sizeof(text), "it holds until the server ends, but cannot be written: "
					     "%s", strerror(-k->result));
		if (!cancelled && k->result == 0)
			asker_answer(w->asker, &w->map, NULL, NULL);
		else
			asker_answer(w->asker, NULL, ERROR_FAILED,
				     cancelled ? "the server is being stopped" : text);
		buf_release(&w->map);
	}
	k->now.n = 0;
	if (!cancelled && k->result == 0)
		write_start(k);
}

void keyring_changed(struct keyring *k)
{
	k->dirty = true;
	write_start(k);
	daemon_touch(k->d);
}

static void answer_when_written(struct keyring *k, struct asker *a, struct buf *map)
{
	GROW(k->later.list, k->later.cap, k->later.n + 1);
	k->later.list[k->later.n++] = (struct waiter){a, *map};
	*map = (struct buf){0};
	keyring_changed(k);
}

/* ---- what people say -------------------------------------------------------------------- */

static char *string_of(struct bytes b)
{
	char *s = xmalloc(b.len + 1);
	memcpy(s, b.len ? b.p : (const uint8_t *)"", b.len);
	s[b.len] = '\0';
	return s;
}

/* The key that a request names. False after saying why there is none. */
static bool take_key(struct keyring *k, struct asker *a, const msgpack_object *params,
		     struct key_id *key)
{
	struct buf problem = {0};
	struct bytes text;
	const char *code = ERROR_BAD_REQUEST;
	bool ok = false;
	wire_get_str(params, "key", &text);
	if (!k->tls) {
		code = ERROR_REFUSED;
		buf_addf(&problem, "this server was started with --plain and asks nobody for a key");
	} else if (key_id_read(text, key, &problem)) {
		ok = !key_id_eq(key, keyring_own(k));
		if (!ok)
			buf_addf(&problem, "this is the ID of this server itself");
	}
	buf_add_char(&problem, '\0');
	if (!ok)
		asker_answer(a, NULL, code, (const char *)problem.data);
	buf_release(&problem);
	return ok;
}

static void pack_decision(const struct trust_key *key, struct buf *map)
{
	char text[KEY_ID_TEXT + 1];
	key_id_write(text, &key->id);
	wire_map(map, 3);
	wire_put_text(map, "key", text);
	wire_put_text(map, "role", trust_role_word(key->role));
	wire_put_text(map, "name", key->name);
}

void keyring_on_trust(struct keyring *k, struct asker *a, const msgpack_object *params)
{
	struct key_id key;
	struct bytes name, word, address;
	struct buf problem = {0}, map = {0};
	enum trust_role role = TRUST_PEER;
	if (!take_key(k, a, params, &key))
		return;
	if (wire_get_str(params, "role", &word))
		(void)trust_role_read(word, &role); /* the table has checked it */
	bool named = wire_get_str(params, "name", &name);
	bool called = wire_get_str(params, "address", &address);
	char *name_text = string_of(name), *address_text = string_of(address);
	struct address ignored;
	if (named && settings_name_problem(name)[0])
		buf_addf(&problem, "the name %s", settings_name_problem(name));
	else if (called)
		(void)address_parse(address_text, ADDRESS_CONNECT, &ignored, &problem);
	if (!problem.len && !trust_put(k->trust, &key, role, named ? name_text : NULL,
				       called ? address_text : NULL, false))
		buf_addf(&problem, "the list has %d keys already", TRUST_KEYS_MAX);
	if (problem.len) {
		buf_add_char(&problem, '\0');
		asker_answer(a, NULL, ERROR_BAD_REQUEST, (const char *)problem.data);
	} else {
		const struct trust_key *now = trust_find(k->trust, &key);
		pack_decision(now, &map);
		char text[KEY_ID_TEXT + 1];
		key_id_write(text, &key);
		log_info("trusted as %s: %s %s", trust_role_word(role), text, now->name);
		net_key_changed(k->d->net, &key);
		answer_when_written(k, a, &map);
	}
	free(name_text);
	free(address_text);
	buf_release(&problem);
}

void keyring_on_untrust(struct keyring *k, struct asker *a, const msgpack_object *params)
{
	struct key_id key;
	struct buf map = {0};
	char text[KEY_ID_TEXT + 1];
	if (!take_key(k, a, params, &key))
		return;
	if (!trust_put(k->trust, &key, TRUST_REFUSED, NULL, NULL, false)) {
		asker_answer(a, NULL, ERROR_FAILED, "the list of keys is full");
		return;
	}
	trust_unbind(k->trust, &key);
	pack_decision(trust_find(k->trust, &key), &map);
	key_id_write(text, &key);
	log_info("refused from now on: %s", text);
	net_key_changed(k->d->net, &key);
	answer_when_written(k, a, &map);
}

/* ---- strangers -------------------------------------------------------------------------- */

void keyring_asked(struct keyring *k, const struct key_id *id, const char *address)
{
	char text[KEY_ID_TEXT + 1];
	if (!trust_asked(k->trust, id, address, daemon_wall_ns()))
		return;
	key_id_write(text, id);
	log_limited(&k->limit_asked, LEVEL_WARNING,
		    "%s asks to be let in, with a key that is not trusted: tutti trust %s", address,
		    text);
	daemon_event(k->d, "stranger", (struct bytes){0}, bytes_of(address), bytes_of(text));
	daemon_touch(k->d);
}

static void close_invitation(struct keyring *k, size_t i)
{
	k->open[i] = k->open[--k->n_open];
	OPENSSL_cleanse(&k->open[k->n_open], sizeof(k->open[0]));
}

bool keyring_inviting(struct keyring *k)
{
	for (size_t i = 0; i < k->n_open;)
		if (k->open[i].until_ms <= daemon_mono_ms())
			close_invitation(k, i);
		else
			i++;
	return k->n_open;
}

void keyring_on_invite(struct keyring *k, struct asker *a, const msgpack_object *params)
{
	struct bytes word, address;
	struct buf map = {0}, text = {0}, problem = {0};
	enum trust_role role = TRUST_PEER;
	struct address at;
	if (wire_get_str(params, "role", &word))
		(void)trust_role_read(word, &role);
	char *where = NULL;
	if (wire_get_str(params, "address", &address))
		where = string_of(address);
	else
		where = net_outside_address(k->d->net, &problem);
	(void)keyring_inviting(k);
	const char *code = ERROR_REFUSED;
	if (!k->tls) {
		buf_clear(&problem);
		buf_addf(&problem, "this server was started with --plain and asks nobody for a key");
	} else if (k->n_open == KEYRING_INVITATIONS_MAX) {
		code = ERROR_BUSY;
		buf_addf(&problem, "%d invitations are open already; each ends by itself after %d "
				   "minutes", KEYRING_INVITATIONS_MAX, KEYRING_INVITATION_S / 60);
	} else if (where && !address_parse(where, ADDRESS_CONNECT, &at, &problem)) {
		code = ERROR_BAD_REQUEST;
	}
	if (problem.len) {
		buf_add_char(&problem, '\0');
		asker_answer(a, NULL, code, (const char *)problem.data);
	} else {
		struct open_invitation *i = &k->open[k->n_open++];
		i->role = role;
		i->until_ms = daemon_mono_ms() + (uint64_t)KEYRING_INVITATION_S * 1000;
		invitation_new(&text, where, keyring_own(k), i->secret);
		wire_map(&map, 2);
		wire_put_str(&map, "invitation", (struct bytes){text.data, text.len});
		wire_put_uint(&map, "seconds", KEYRING_INVITATION_S);
		log_info("an invitation is open for %d minutes", KEYRING_INVITATION_S / 60);
		asker_answer(a, &map, NULL, NULL);
		OPENSSL_cleanse(text.data, text.len);
		OPENSSL_cleanse(map.data, map.len);
	}
	buf_release(&problem);
	buf_release(&text);
	buf_release(&map);
	free(where);
}

bool keyring_take_invitation(struct keyring *k, const struct key_id *id, const struct tls *tls,
			  const uint8_t proof[KEYRING_PROOF_SIZE], const char *name)
{
	(void)keyring_inviting(k);
	for (size_t i = 0; i < k->n_open; i++) {
		if (!invitation_proves(k->open[i].secret, tls, proof))
			continue;
		enum trust_role role = k->open[i].role;
		char text[KEY_ID_TEXT + 1];
		close_invitation(k, i);
		if (!trust_put(k->trust, id, role, name, NULL, false))
			return false;
		key_id_write(text, id);
		log_info("invited, and trusted as %s: %s %s", trust_role_word(role), text, name);
		keyring_changed(k);
		return true;
	}
	return false;
}

bool keyring_proof(const struct keyring *k, const struct key_id *peer, const struct tls *tls,
		uint8_t proof[KEYRING_PROOF_SIZE])
{
	const struct invitation *i = &k->d->settings->invitation;
	if (!k->joining || !key_id_eq(&i->id, peer))
		return false;
	invitation_prove(i->secret, tls, proof);
	return true;
}

void keyring_joined(struct keyring *k, const struct key_id *peer)
{
	if (k->joining && key_id_eq(&k->d->settings->invitation.id, peer))
		k->joining = false;
}

/* ---- telling ---------------------------------------------------------------------------- */

static void pack_key(struct buf *out, const struct key_id *id, const char *role, const char *name,
		     char *const *addresses, size_t n, int64_t since_ns, uint64_t tries)
{
	char text[KEY_ID_TEXT + 1];
	key_id_write(text, id);
	wire_map(out, 6);
	wire_put_text(out, "key", text);
	wire_put_text(out, "role", role);
	wire_key(out, "name");
	status_put_str(out, bytes_of(name), NAME_BYTES_MAX);
	wire_key(out, "addresses");
	wire_array(out, n);
	for (size_t i = 0; i < n; i++)
		status_put_str(out, bytes_of(addresses[i]), NAME_BYTES_MAX);
	wire_put_int(out, "since", since_ns);
	wire_put_uint(out, "tries", tries);
}

/* A key without a word about it, at an address that we call. */
static bool is_found(const struct keyring *k, const struct key_id *id)
{
	const struct key_id *found;
	const char *address;
	for (size_t i = 0; net_found(k->d->net, i, &found, &address); i++)
		if (found && key_id_eq(found, id))
			return true;
	return false;
}

/* `out` NULL: only counts. */
static size_t pack_pending(const struct keyring *k, struct buf *out)
{
	const struct trust_pending *p;
	const struct key_id *found;
	const char *address;
	size_t n = 0;
	for (size_t i = 0; net_found(k->d->net, i, &found, &address); i++) {
		if (!found || trust_role(k->trust, found) != TRUST_STRANGER)
			continue;
		if (out)
			pack_key(out, found, "pending", "", (char *const *)&address, 1, 0, 0);
		n++;
	}
	for (size_t i = 0; (p = trust_pending_at(k->trust, i)); i++) {
		char *from = (char *)p->address;
		if (is_found(k, &p->id))
			continue;
		if (out)
			pack_key(out, &p->id, "pending", "", &from, 1, p->first_ns, p->tries);
		n++;
	}
	return n;
}

size_t keyring_asking(const struct keyring *k)
{
	return pack_pending(k, NULL);
}

void keyring_pack(const struct keyring *k, struct buf *out)
{
	size_t mark = wire_array_begin(out), n = 0;
	const struct trust_key *key;
	for (size_t i = 0; (key = trust_at(k->trust, i)); i++, n++)
		pack_key(out, &key->id, trust_role_word(key->role), key->name, key->addresses,
			 key->n_addresses, 0, 0);
	n += pack_pending(k, out);
	wire_array_end(out, mark, n);
}
