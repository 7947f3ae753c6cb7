/* Owns the list of keys, and the form of its file. */
#include "config.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "settings.h"
#include "text.h"
#include "write_full.h"

static const char file_name[] = "trust", new_name[] = "trust.new";

static const char head[] =
	"# The keys that this server knows, one a line: role, ID, name, addresses.\n"
	"# Roles: peer, read-only, client, viewer, refused. \"-\" is no name.\n"
	"# tutti trust and tutti untrust write this file; edit it only while the server is stopped.\n"
	"# Lines that begin with \"replica\" say under which key a replica was seen.\n";

static const char *const role_words[] = {
#define X(id, word) word,
	TRUST_ROLES(X)
#undef X
};

struct binding {
	struct replica_id replica;
	struct key_id id;
};

struct trust {
	struct trust_key *keys;
	size_t n_keys, cap_keys;
	struct binding *bindings;
	size_t n_bindings, cap_bindings;
	struct trust_pending pending[TRUST_PENDING_MAX];
	size_t n_pending;
};

struct trust *trust_new(void)
{
	return xcalloc(1, sizeof(struct trust));
}

static void key_release(struct trust_key *k)
{
	for (size_t i = 0; i < k->n_addresses; i++)
		free(k->addresses[i]);
	free(k->addresses);
	free(k->name);
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_keys; i++)
		key_release(&t->keys[i]);
	free(t->keys);
	free(t->bindings);
	free(t);
}

/* ---- the list --------------------------------------------------------------------------- */

const char *trust_role_word(enum trust_role role)
{
	return role < ARRAY_LEN(role_words) ? role_words[role] : "pending";
}

bool trust_role_read(struct bytes word, enum trust_role *role)
{
	for (size_t i = 0; i < ARRAY_LEN(role_words); i++) {
		if (bytes_eq(word, bytes_of(role_words[i]))) {
			*role = (enum trust_role)i;
			return true;
		}
	}
	return false;
}

static struct trust_key *find(const struct trust *t, const struct key_id *id)
{
	for (size_t i = 0; i < t->n_keys; i++)
		if (key_id_eq(&t->keys[i].id, id))
			return &t->keys[i];
	return NULL;
}

const struct trust_key *trust_find(const struct trust *t, const struct key_id *id)
{
	return find(t, id);
}

enum trust_role trust_role(const struct trust *t, const struct key_id *id)
{
	const struct trust_key *k = find(t, id);
	return k ? k->role : TRUST_STRANGER;
}

const struct trust_key *trust_at(const struct trust *t, size_t i)
{
	return i < t->n_keys ? &t->keys[i] : NULL;
}

static void add_address(struct trust_key *k, const char *address)
{
	for (size_t i = 0; i < k->n_addresses; i++)
		if (!strcmp(k->addresses[i], address))
			return;
	if (k->n_addresses == TRUST_ADDRESSES_MAX) {
		free(k->addresses[0]);
		k->n_addresses--;
		memmove(k->addresses, k->addresses + 1, k->n_addresses * sizeof(*k->addresses));
	}
	k->addresses = xrealloc(k->addresses, k->n_addresses + 1, sizeof(*k->addresses));
	k->addresses[k->n_addresses++] = xstrdup(address);
}

static void pending_drop(struct trust *t, size_t i)
{
	t->n_pending--;
	memmove(&t->pending[i], &t->pending[i + 1], (t->n_pending - i) * sizeof(t->pending[0]));
}

bool trust_put(struct trust *t, const struct key_id *id, enum trust_role role, const char *name,
	       const char *address, bool given)
{
	struct trust_key *k = find(t, id);
	assert(role < TRUST_STRANGER);
	if (!k && t->n_keys == TRUST_KEYS_MAX)
		return false;
	for (size_t i = 0; i < t->n_pending; i++) {
		if (key_id_eq(&t->pending[i].id, id)) {
			pending_drop(t, i);
			break;
		}
	}
	if (k && given)
		return true;
	if (!k) {
		GROW(t->keys, t->cap_keys, t->n_keys + 1);
		k = &t->keys[t->n_keys++];
		*k = (struct trust_key){.id = *id, .name = xstrdup("")};
	}
	k->role = role;
	k->given = given;
	if (name) {
		free(k->name);
		k->name = xstrdup(name);
	}
	if (address)
		add_address(k, address);
	return true;
}

void trust_unbind(struct trust *t, const struct key_id *id)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n_bindings; i++)
		if (!key_id_eq(&t->bindings[i].id, id))
			t->bindings[n++] = t->bindings[i];
	t->n_bindings = n;
}

bool trust_bind(struct trust *t, const struct key_id *id, const struct replica_id *replica,
		struct key_id *other, bool *changed)
{
	*changed = false;
	for (size_t i = 0; i < t->n_bindings; i++) {
		if (!replica_id_eq(&t->bindings[i].replica, replica))
			continue;
		*other = t->bindings[i].id;
		return key_id_eq(other, id);
	}
	*other = *id;
	if (t->n_bindings == TRUST_REPLICAS_MAX)
		return false;
	GROW(t->bindings, t->cap_bindings, t->n_bindings + 1);
	t->bindings[t->n_bindings++] = (struct binding){*replica, *id};
	*changed = true;
	return true;
}

const struct key_id *trust_key_of(const struct trust *t, const struct replica_id *replica)
{
	for (size_t i = 0; i < t->n_bindings; i++)
		if (replica_id_eq(&t->bindings[i].replica, replica))
			return &t->bindings[i].id;
	return NULL;
}

/* ---- who asks --------------------------------------------------------------------------- */

/* Each address has one place, and each key: who has many of one takes no place from others. When all
 * are taken, the one not seen for longest goes, if that was long ago. */
bool trust_asked(struct trust *t, const struct key_id *id, const char *address, int64_t now_ns)
{
	const int64_t keep_ns = (int64_t)TRUST_PENDING_KEEP_S * 1000000000;
	size_t at = t->n_pending;
	for (size_t i = 0; i < t->n_pending; i++)
		if (!strcmp(t->pending[i].address, address))
			at = i;
	for (size_t i = 0; i < t->n_pending; i++)
		if (key_id_eq(&t->pending[i].id, id))
			at = i;
	if (at < t->n_pending && key_id_eq(&t->pending[at].id, id)) {
		struct trust_pending *p = &t->pending[at];
		bool tell = now_ns - p->last_ns > keep_ns;
		p->last_ns = now_ns;
		p->tries++;
		snprintf(p->address, sizeof(p->address), "%s", address);
		return tell;
	}
	if (at == TRUST_PENDING_MAX) {
		at = 0;
		for (size_t i = 1; i < t->n_pending; i++)
			if (t->pending[i].last_ns < t->pending[at].last_ns)
				at = i;
		if (now_ns - t->pending[at].last_ns < keep_ns)
			return false;
	}
	if (at == t->n_pending)
		t->n_pending++;
	t->pending[at] = (struct trust_pending){
		.id = *id, .first_ns = now_ns, .last_ns = now_ns, .tries = 1,
	};
	snprintf(t->pending[at].address, sizeof(t->pending[at].address), "%s", address);
	return true;
}

const struct trust_pending *trust_pending_at(const struct trust *t, size_t i)
{
	return i < t->n_pending ? &t->pending[i] : NULL;
}

/* ---- the file --------------------------------------------------------------------------- */

/* One word: blanks and '%' as %XX. */
static void add_name(struct buf *out, const char *name)
{
	bool dash = strcmp(name, "-") == 0; /* which stands for no name */
	for (const uint8_t *p = (const uint8_t *)name; *p; p++)
		if (dash || *p <= ' ' || *p == '%' || *p == 0x7f)
			buf_addf(out, "%%%02X", *p);
		else
			buf_add_char(out, (char)*p);
	if (!*name)
		buf_add_char(out, '-');
}

void trust_text(const struct trust *t, struct buf *out)
{
	char id[KEY_ID_TEXT + 1];
	buf_addf(out, "%s", head);
	for (size_t i = 0; i < t->n_keys; i++) {
		const struct trust_key *k = &t->keys[i];
		if (k->given)
			continue;
		key_id_write(id, &k->id);
		buf_addf(out, "%s %s ", trust_role_word(k->role), id);
		add_name(out, k->name);
		for (size_t a = 0; a < k->n_addresses; a++)
			buf_addf(out, " %s", k->addresses[a]);
		buf_add_char(out, '\n');
	}
	for (size_t i = 0; i < t->n_bindings; i++) {
		key_id_write(id, &t->bindings[i].id);
		buf_addf(out, "replica ");
		for (size_t b = 0; b < REPLICA_ID_SIZE; b++)
			buf_addf(out, "%02x", t->bindings[i].replica.b[b]);
		buf_addf(out, " %s\n", id);
	}
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next word of a line; empty at its end. */
static struct bytes word(struct bytes *line)
{
	while (line->len && (*line->p == ' ' || *line->p == '\t'))
		line->p++, line->len--;
	struct bytes w = {line->p, 0};
	while (line->len && *line->p != ' ' && *line->p != '\t')
		line->p++, line->len--, w.len++;
	return w;
}

static const char *read_name(struct bytes w, struct buf *name)
{
	buf_clear(name);
	if (!bytes_eq(w, bytes_of("-"))) {
		for (size_t i = 0; i < w.len; i++) {
			int high = -1, low = -1;
			if (w.p[i] == '%' && w.len - i > 2) {
				high = hex(w.p[i + 1]);
				low = hex(w.p[i + 2]);
			}
			if (w.p[i] == '%' && (high < 0 || low < 0))
				return "a '%' in the name is not followed by two digits";
			if (w.p[i] == '%')
				i += 2;
			buf_add_char(name, (char)(high < 0 ? w.p[i] : high * 16 + low));
		}
		if (settings_name_problem((struct bytes){name->data, name->len})[0])
			return "this cannot be a name";
	}
	buf_add_char(name, '\0');
	return NULL;
}

static const char *read_replica(struct trust *t, struct bytes line, struct buf *why)
{
	struct binding b;
	bool changed;
	struct key_id other;
	struct bytes digits = word(&line), id = word(&line);
	if (digits.len != 2 * REPLICA_ID_SIZE || line.len)
		return "expected: replica, 32 digits, ID";
	for (size_t i = 0; i < REPLICA_ID_SIZE; i++) {
		int high = hex(digits.p[2 * i]), low = hex(digits.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return "expected: replica, 32 digits, ID";
		b.replica.b[i] = (uint8_t)(high * 16 + low);
	}
	if (!key_id_read(id, &b.id, why))
		return "";
	if (!trust_bind(t, &b.id, &b.replica, &other, &changed))
		return "a replica under two keys, or too many";
	return NULL;
}

static const char *read_key(struct trust *t, enum trust_role role, struct bytes line,
			    struct buf *name, struct buf *why)
{
	struct key_id id;
	if (!key_id_read(word(&line), &id, why))
		return "";
	if (find(t, &id))
		return "this ID stands in an earlier line, too";
	struct bytes w = word(&line);
	if (!w.len)
		return "expected: role, ID, name (or -), addresses";
	const char *wrong = read_name(w, name);
	if (wrong)
		return wrong;
	if (!trust_put(t, &id, role, (const char *)name->data, NULL, false))
		return "too many keys";
	while ((w = word(&line)).len) {
		struct address ignored;
		char *text = xasprintf("%.*s", (int)w.len, (const char *)w.p);
		bool ok = address_parse(text, ADDRESS_CONNECT, &ignored, why);
		bool full = find(t, &id)->n_addresses == TRUST_ADDRESSES_MAX;
		if (ok && !full)
			add_address(find(t, &id), text);
		free(text);
		if (!ok)
			return "";
		if (full)
			return "too many addresses";
	}
	return NULL;
}

static const char *read_line(struct trust *t, struct bytes line, struct buf *why)
{
	struct buf name = {0};
	enum trust_role role;
	const char *wrong = NULL;
	struct bytes w = word(&line);
	if (!w.len || w.p[0] == '#')
		return NULL;
	if (memchr(line.p, '\0', line.len))
		wrong = "a zero byte";
	else if (bytes_eq(w, bytes_of("replica")))
		wrong = read_replica(t, line, why);
	else if (trust_role_read(w, &role))
		wrong = read_key(t, role, line, &name, why);
	else
		wrong = "a line begins with peer, read-only, client, viewer, refused or replica";
	buf_release(&name);
	return wrong;
}

static int read_file(const char *path, struct buf *out)
{
	int r = 0, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		r = -EPERM; /* somebody else may have written it */
	while (r == 0) {
		ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n == 0)
			break;
		if (n > 0)
			out->len += (size_t)n;
		if (out->len > TRUST_FILE_MAX)
			r = -EFBIG;
	}
	close(fd);
	return r;
}

bool trust_read(struct trust *t, struct bytes text, struct buf *problem)
{
	struct buf why = {0};
	const char *wrong = NULL;
	size_t number = 0;
	for (size_t at = 0; !wrong && at < text.len;) {
		const uint8_t *end = memchr(text.p + at, '\n', text.len - at);
		size_t len = end ? (size_t)(end - text.p) - at : text.len - at;
		number++;
		wrong = read_line(t, (struct bytes){text.p + at, len}, &why);
		if (!wrong && !end)
			wrong = "the end of the line is missing";
		at += len + 1;
	}
	if (wrong)
		buf_addf(problem, ", line %zu: %s%.*s", number, wrong, (int)why.len,
			 why.len ? (const char *)why.data : "");
	buf_release(&why);
	return !wrong;
}

bool trust_load(struct trust *t, const char *dir, struct buf *problem)
{
	struct buf text = {0}, why = {0};
	char *path = xasprintf("%s/%s", dir, file_name);
	int r = read_file(path, &text);
	bool ok = r == -ENOENT || (r == 0 && trust_read(t, (struct bytes){text.data, text.len}, &why));
	if (r < 0 && !ok)
		buf_addf(&why, ": %s", r == -EPERM ? "it must be a file that only its owner can write"
						   : strerror(-r));
	if (!ok) {
		text_show(problem, bytes_of(path));
		buf_add(problem, why.data, why.len);
	}
	free(path);
	buf_release(&text);
	buf_release(&why);
	return ok;
}

int trust_write(const char *dir, struct bytes text)
{
	int r = 0, fd = -1, folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	(void)unlinkat(folder, new_name, 0);
	fd = openat(folder, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		r = -errno;
	if (r == 0)
		r = write_full(fd, text.p, text.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r == 0 && renameat(folder, new_name, folder, file_name) < 0)
		r = -errno;
	if (r == 0 && fsync(folder) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(folder, new_name, 0);
	close(folder);
	return r;
}
