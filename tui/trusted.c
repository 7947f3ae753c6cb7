/* Owns the keys of others on the screen: who asks to be let in, who is trusted, and invitations. */
#include "config.h"
#include "trusted.h"

#include "filter.h"
#include "model.h"
#include "text.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUP = 8 /* columns of one group of a key, with its dash */ };

/* What a key may become. */
static const struct {
	uint32_t key;
	const char *role, *words;
	bool invited; /* may be invited as that */
} roles[] = {
	{'p', "peer", "a peer: gets all files, and its changes are taken", true},
	{'r', "read-only", "a read-only peer: gets all files; its changes are not taken", true},
	{'c', "client", "a client: whoever has the key sees and decides all here", false},
	{'v', "viewer", "a viewer: whoever has the key sees all here", false},
};

static bool is(const struct own *o, const char *word)
{
	return bytes_eq(own_bytes(o), bytes_of(word));
}

static void forget_keys(struct trusted *t)
{
	for (size_t i = 0; i < t->n; i++) {
		own_release(&t->keys[i].key);
		own_release(&t->keys[i].role);
		own_release(&t->keys[i].name);
		own_release(&t->keys[i].addresses);
	}
	free(t->keys);
	t->keys = NULL;
	t->n = t->n_asking = 0;
}

void trusted_forget_invitation(struct trusted *t)
{
	if (t->invitation.p)
		explicit_bzero(t->invitation.p, t->invitation.len);
	own_release(&t->invitation);
	t->invitation = (struct own){0};
	t->inviting = false;
}

void trusted_release(struct trusted *t)
{
	forget_keys(t);
	trusted_forget_invitation(t);
	own_release(&t->key);
	own_release(&t->role);
	*t = (struct trusted){0};
}

void trusted_ask(struct model *m)
{
	struct trusted *t = &m->trusted;
	struct buf p = {0};
	t->again = t->asked;
	if (t->asked)
		return;
	wire_map(&p, 0);
	t->asked = model_ask(m, ASK_PEERS, "peers", &p);
}

static bool is_ours(const struct model *m)
{
	return m->dialog == DIALOG_TRUST || m->dialog == DIALOG_UNTRUST || m->dialog == DIALOG_INVITE;
}

void trusted_lost(struct model *m)
{
	struct trusted *t = &m->trusted;
	t->asked = t->again = t->deciding = t->inviting = false;
	if (is_ours(m))
		dialog_close(m);
}

static const struct trusted_key *find_key(const struct trusted *t, struct bytes key)
{
	for (size_t i = 0; i < t->n; i++)
		if (bytes_eq(own_bytes(&t->keys[i].key), key))
			return &t->keys[i];
	return NULL;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void read_addresses(struct own *out, const msgpack_object *list)
{
	struct buf all = {0};
	for (size_t i = 0; i < wire_count(list); i++) {
		struct bytes one;
		wire_as_bytes(wire_at(list, i), &one);
		buf_addf(&all, "%s", i > 0 ? ", " : "");
		buf_add(&all, one.p, one.len);
	}
	own_set(out, (struct bytes){all.data, all.len});
	buf_release(&all);
}

static void read_keys(struct trusted *t, const msgpack_object *list, bool asking)
{
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *o = wire_at(list, i);
		struct trusted_key *k = &t->keys[t->n];
		struct bytes role;
		wire_get_bytes(o, "role", &role);
		if (bytes_eq(role, bytes_of("pending")) != asking)
			continue;
		own_get(o, "key", &k->key);
		own_get(o, "role", &k->role);
		own_get(o, "name", &k->name);
		read_addresses(&k->addresses, wire_get(o, "addresses"));
		wire_get_int(o, "since", &k->since);
		wire_get_uint(o, "tries", UINT64_MAX, &k->tries);
		t->n++;
		t->n_asking += asking;
	}
}

static void on_keys(struct model *m, const msgpack_object *result)
{
	struct trusted *t = &m->trusted;
	const msgpack_object *list = wire_get(result, "keys");
	t->asked = false;
	if (result) {
		news_peers(&m->news, result);
		forget_keys(t);
		t->keys = xcalloc(wire_count(list) + 1, sizeof(*t->keys));
		read_keys(t, list, true);
		read_keys(t, list, false);
	}
	if (t->again)
		trusted_ask(m);
	if (!result || t->deciding || (m->dialog != DIALOG_TRUST && m->dialog != DIALOG_UNTRUST))
		return;
	const struct trusted_key *k = find_key(t, own_bytes(&t->key));
	if (k && bytes_eq(own_bytes(&k->role), own_bytes(&t->role)))
		return;
	dialog_close(m);
	model_say(m, LOOK_PLAIN, "That key is not as it was shown any more; nothing was decided");
}

static void on_decided(struct model *m, const msgpack_object *result)
{
	struct trusted *t = &m->trusted;
	struct bytes key, role;
	struct buf text = {0};
	if (!t->deciding) /* an answer of an earlier connection */
		return;
	t->deciding = false;
	if (is_ours(m))
		dialog_close(m);
	trusted_ask(m);
	if (!result)
		return;
	wire_get_str(result, "key", &key);
	wire_get_str(result, "role", &role);
	if (bytes_eq(role, bytes_of("refused"))) {
		buf_addf(&text, "Refused from now on");
	} else {
		buf_addf(&text, "Trusted from now on as ");
		show(&text, role, m->ascii);
	}
	buf_addf(&text, ": ");
	text_show_ascii(&text, key);
	model_say(m, LOOK_GOOD, "%.*s", (int)text.len, (const char *)text.data);
	buf_release(&text);
}

static void on_invitation(struct model *m, const msgpack_object *result)
{
	struct trusted *t = &m->trusted;
	uint64_t seconds;
	bool awaited = t->inviting && m->dialog == DIALOG_INVITE;
	t->inviting = false;
	if (!awaited)
		return;
	if (!result) {
		dialog_close(m);
		return;
	}
	wire_get_uint(result, "seconds", UINT32_MAX, &seconds);
	own_get(result, "invitation", &t->invitation);
	t->good_until = m->now + (int64_t)seconds * 1000000000;
	m->dialog_top = 0;
}

void trusted_answer(struct model *m, unsigned what, const msgpack_object *result)
{
	if (what == ASK_PEERS)
		on_keys(m, result);
	else if (what == ASK_TRUST)
		on_decided(m, result);
	else
		on_invitation(m, result);
}

/* ---- the page ---------------------------------------------------------------------------- */

static void mark_line(struct lines *out, const struct trusted_key *k, size_t i)
{
	lines_number(out, (uint32_t)i + 1);
	lines_path(out, own_bytes(&k->key));
}

/* As many groups in a line as there is room for; what is no key is cut like one. */
static void key_lines(struct lines *out, unsigned look, struct bytes key, size_t indent, int width)
{
	struct buf text = {0};
	size_t room = width > (int)indent ? (size_t)width - indent : 0;
	size_t most = (room + 1) / GROUP * GROUP;
	text_show_ascii(&text, key);
	if (most == 0)
		most = GROUP;
	for (size_t at = 0; at < text.len; at += most) {
		lines_next(out, look);
		lines_pad(out, indent);
		buf_add(&out->text, text.data + at, text.len - at < most ? text.len - at : most);
	}
	buf_release(&text);
}

static void page_key(const struct model *m, struct lines *out, unsigned look, size_t i)
{
	const struct trusted_key *k = &m->trusted.keys[i];
	size_t first = out->n;
	key_lines(out, look, own_bytes(&k->key), 5, m->layout.width);
	/* The page may be as narrow as it likes: each line stands for the key. */
	for (size_t line = first; line < out->n; line++)
		out->lines[line].number = (uint32_t)i + 1;
	if (out->n > first)
		mark_line(out, k, i);
}

static void since_words(struct buf *out, const struct model *m, const struct trusted_key *k)
{
	char time[20], n[32];
	if (k->addresses.len > 0) {
		buf_addf(out, k->since > 0 ? "calls from " : "was found at ");
		show(out, own_bytes(&k->addresses), m->ascii);
	}
	if (k->since > 0) {
		show_time(time, k->since, FORMAT_LONG);
		format_count(n, k->tries);
		buf_addf(out, "%s %s", k->addresses.len > 0 ? ", since" : "calls since", time);
		if (k->tries > 1)
			buf_addf(out, ", %s times", n);
	}
}

void trusted_asking_lines(const struct model *m, struct lines *out)
{
	const struct trusted *t = &m->trusted;
	char n[32];
	if (t->n_asking == 0)
		return;
	format_count(n, t->n_asking);
	lines_next(out, LOOK_BAD);
	lines_addf(out, " %s key%s to be let in%s", n, t->n_asking == 1 ? " asks" : "s ask",
		   model_offers(m, DO_TRUST) ? "; Enter decides" : "");
	for (size_t i = 0; i < t->n_asking; i++) {
		struct buf words = {0};
		page_key(m, out, LOOK_STRONG, i);
		since_words(&words, m, &t->keys[i]);
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "     ");
		buf_add(&out->text, words.data, words.len);
		mark_line(out, &t->keys[i], i);
		buf_release(&words);
	}
	lines_next(out, LOOK_PLAIN);
}

void trusted_known_lines(const struct model *m, struct lines *out)
{
	const struct trusted *t = &m->trusted;
	if (t->n == t->n_asking)
		return;
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " Keys");
	for (size_t i = t->n_asking; i < t->n; i++) {
		const struct trusted_key *k = &t->keys[i];
		lines_next(out, is(&k->role, "refused") ? LOOK_OLD : LOOK_PLAIN);
		lines_addf(out, "   ");
		lines_show(out, own_bytes(&k->role), m->ascii);
		if (k->name.len > 0) {
			lines_addf(out, "  ");
			lines_show(out, own_bytes(&k->name), m->ascii);
		}
		if (k->addresses.len > 0) {
			lines_addf(out, "  ");
			lines_show(out, own_bytes(&k->addresses), m->ascii);
		}
		mark_line(out, k, i);
		page_key(m, out, LOOK_PLAIN, i);
	}
}

bool trusted_tells(const struct model *m, struct bytes note)
{
	const struct trusted *t = &m->trusted;
	for (size_t i = 0; i < t->n_asking; i++)
		if (t->keys[i].key.len > 0 && filter_contains(note, own_bytes(&t->keys[i].key)))
			return true;
	return false;
}

static bool is_connected(struct model *m)
{
	if (!m->connected)
		model_say(m, LOOK_BAD, "There is no connection to the server");
	return m->connected;
}

/* ---- one key ----------------------------------------------------------------------------- */

void trusted_open(struct model *m)
{
	struct trusted *t = &m->trusted;
	uint64_t at = m->page_at[VIEW_SERVERS];
	uint32_t number = at < m->page.n ? m->page.lines[at].number : 0;
	if (!is_connected(m))
		return;
	if (number == 0 || number > t->n) {
		model_say(m, LOOK_PLAIN, "Only lines of keys are decided on; i invites a server");
		return;
	}
	own_set(&t->key, own_bytes(&t->keys[number - 1].key));
	own_set(&t->role, own_bytes(&t->keys[number - 1].role));
	dialog_open(m, DIALOG_TRUST);
}

static void add_words(struct lines *out, int width, const char *words)
{
	lines_wrap(out, LOOK_PLAIN, bytes_of(words), (size_t)width);
}

static void add_choice(struct lines *out, uint32_t key, const char *before, const char *words)
{
	lines_next(out, LOOK_PLAIN);
	lines_number(out, key);
	lines_addf(out, "  %c  %s%s", (char)key, before, words);
}

/* What it may do then is said where there is room. */
static void add_role(const struct model *m, struct lines *out, size_t i, const char *before)
{
	const char *words = roles[i].words;
	char name[32];
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(words, ":"), words);
	add_choice(out, roles[i].key, before, dialog_is_brief(m) ? name : words);
}

void trusted_key_lines(const struct model *m, struct lines *out, int width)
{
	const struct trusted *t = &m->trusted;
	const struct trusted_key *k = find_key(t, own_bytes(&t->key));
	bool asks = is(&t->role, "pending"), refused = is(&t->role, "refused");
	struct buf words = {0};
	lines_next(out, LOOK_STRONG);
	lines_addf(out, asks ? "Let this key in?" : refused ? "A refused key" : "A trusted key");
	key_lines(out, LOOK_STRONG, own_bytes(&t->key), 2, width);
	if (k && k->name.len > 0)
		show(&words, own_bytes(&k->name), m->ascii);
	if (!asks) {
		buf_addf(&words, "%s%s", words.len > 0 ? ": " : "", refused ? "" : "trusted as ");
		show(&words, own_bytes(&t->role), m->ascii);
	} else if (k) {
		buf_addf(&words, "It ");
		since_words(&words, m, k);
	}
	if (!dialog_is_brief(m)) {
		buf_addf(&words, asks ? ". Compare the key: on that machine, tuttid id says it. For a "
					"client, its message says it."
				      : ".");
		lines_next(out, LOOK_PLAIN);
		lines_wrap(out, LOOK_PLAIN, (struct bytes){words.data, words.len}, (size_t)width);
	}
	lines_next(out, LOOK_PLAIN);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (!is(&t->role, roles[i].role))
			add_role(m, out, i, asks ? "yes, as " : "trust it as ");
	if (asks)
		add_choice(out, 'n', "", "no: refused from now on");
	else if (!refused)
		add_choice(out, 'n', "", "end its trust (asks first)");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, asks ? "  Esc  decide later" : "  Esc  leave it so");
	if (t->deciding)
		add_words(out, width, "The server is at it ...");
	buf_release(&words);
}

static void decide(struct model *m, const char *role)
{
	struct trusted *t = &m->trusted;
	struct buf p = {0};
	if (!model_allows(m, DO_TRUST))
		return;
	wire_map(&p, role ? 2 : 1);
	wire_put_str(&p, "key", own_bytes(&t->key));
	if (role)
		wire_put_text(&p, "role", role);
	t->deciding = model_ask(m, ASK_TRUST, role ? "trust" : "untrust", &p);
}

bool trusted_key_key(struct model *m, uint32_t key)
{
	struct trusted *t = &m->trusted;
	bool asks = is(&t->role, "pending"), refused = is(&t->role, "refused");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (roles[i].key != key || is(&t->role, roles[i].role))
			continue;
		if (m->dialog_shown && !t->deciding)
			decide(m, roles[i].role);
		return true;
	}
	if (key != 'n' || refused)
		return false;
	if (!m->dialog_shown || t->deciding)
		return true;
	if (asks)
		decide(m, NULL);
	else if (model_allows(m, DO_TRUST))
		dialog_open(m, DIALOG_UNTRUST);
	return true;
}

void trusted_end_lines(const struct model *m, struct lines *out, int width)
{
	const struct trusted *t = &m->trusted;
	const struct trusted_key *k = find_key(t, own_bytes(&t->key));
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "End the trust in ");
	if (k && k->name.len > 0)
		lines_show(out, own_bytes(&k->name), m->ascii);
	else
		lines_addf(out, "this key");
	lines_addf(out, "?");
	key_lines(out, LOOK_STRONG, own_bytes(&t->key), 2, width);
	lines_next(out, LOOK_PLAIN);
	if (!dialog_is_brief(m)) {
		add_words(out, width, "Its connections end at once, and it is refused until somebody "
				      "trusts it again. What it has of the files it keeps.");
		lines_next(out, LOOK_PLAIN);
	}
	add_choice(out, 'y', "", "yes, end it");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  leave it so");
	if (t->deciding)
		add_words(out, width, "The server is at it ...");
}

bool trusted_end_key(struct model *m, uint32_t key)
{
	if (key != 'y')
		return false;
	if (m->dialog_shown && !m->trusted.deciding)
		decide(m, NULL);
	return true;
}

/* ---- invitations ------------------------------------------------------------------------- */

void trusted_invite(struct model *m)
{
	if (!is_connected(m))
		return;
	trusted_forget_invitation(&m->trusted);
	dialog_open(m, DIALOG_INVITE);
}

static void invite_whom(const struct model *m, struct lines *out, int width)
{
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "Invite a server");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i].invited)
			add_role(m, out, i, "as ");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  invite nobody");
	add_words(out, width, m->trusted.inviting ? "The server is at it ..."
						  : "One string is made, good once and for some "
						    "minutes. Whoever has it gets in.");
}

void trusted_invite_lines(const struct model *m, struct lines *out, int width)
{
	const struct trusted *t = &m->trusted;
	char time[20];
	if (t->invitation.len == 0) {
		invite_whom(m, out, width);
		return;
	}
	show_time(time, t->good_until, FORMAT_SECONDS);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "An invitation as %s", t->for_reader ? "read-only peer" : "peer");
	key_lines(out, LOOK_STRONG, own_bytes(&t->invitation), 0, width);
	lines_next(out, LOOK_PLAIN);
	if (m->now >= t->good_until)
		lines_addf(out, "It was good until %s.", time);
	else
		lines_addf(out, "Good once, until %s. On the other machine:", time);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  tuttid --join - DIRECTORY");
	add_words(out, width, "then that string, in one line, and Enter.");
	lines_next(out, LOOK_PLAIN);
	add_choice(out, 'y', "", "copy it to the clipboard of the terminal");
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  done: it is not shown again");
}

bool trusted_invite_key(struct model *m, uint32_t key)
{
	struct trusted *t = &m->trusted;
	struct buf p = {0};
	if (t->invitation.len > 0) {
		if (key != 'y')
			return false;
		m->todo |= TODO_COPY;
		buf_clear(&m->todo_text);
		buf_add(&m->todo_text, t->invitation.p, t->invitation.len);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (roles[i].key != key || !roles[i].invited)
			continue;
		if (!m->dialog_shown || t->inviting || !model_allows(m, DO_INVITE))
			return true;
		t->for_reader = key == 'r';
		wire_map(&p, 1);
		wire_put_text(&p, "role", roles[i].role);
		t->inviting = model_ask(m, ASK_INVITE, "invite", &p);
		return true;
	}
	return false;
}
