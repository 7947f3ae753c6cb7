/* Owns what we ask of OpenSSL: the settings of TLS, the check of keys, and a BIO that is memory. */
#include "config.h"
#include "tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STEP = 64 * 1024,      /* bytes that are taken in at once */
	STEP_STRANGER = 4096,
	IN_KEEP = 64 * 1024,   /* a larger empty buffer is given back */
	RECORD = 16 * 1024,    /* contents that become one record */
};

/* The protocol and its major version: others need not try. */
static const unsigned char alpn[] = "\x07tutti/1";

struct tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *memory;
	size_t used; /* by its connections and its owner */
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	struct buf in, out;
	size_t in_at;         /* of `in`, read so far */
	bool in_end;
	bool starved;         /* what is in `in` brings nothing more by itself */
	bool expects, shown, refused, ready, over;
	size_t stranger_bytes;
	struct key_id expect, peer;
	char problem[160];
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* ---- the BIO ---------------------------------------------------------------------------- */

static int memory_write(BIO *b, const char *p, int len)
{
	struct tls *t = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	if (len <= 0)
		return 0;
	buf_add(&t->out, p, (size_t)len);
	return len;
}

static int memory_read(BIO *b, char *to, int len)
{
	struct tls *t = BIO_get_data(b);
	size_t n = t->in.len - t->in_at;
	BIO_clear_retry_flags(b);
	if (!n && t->in_end)
		return 0;
	if (!n) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(to, t->in.data + t->in_at, n);
	t->in_at += n;
	return (int)n;
}

static long memory_ctrl(BIO *b, int command, long number, void *pointer)
{
	const struct tls *t = BIO_get_data(b);
	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return t->in_end && t->in_at == t->in.len;
	default:
		return 0;
	}
}

static int memory_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* ---- what is agreed on ------------------------------------------------------------------ */

/* Takes the place of chains, names and dates, which say nothing here. That the other side has the
 * key, and not just its certificate, is proven by TLS later. */
static int check_key(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	(void)arg;
	t->shown = certificate && identity_of_certificate(certificate, &t->peer);
	t->refused = !t->shown || (t->expects && !key_id_eq(&t->peer, &t->expect));
	X509_STORE_CTX_set_error(store,
				 t->refused ? X509_V_ERR_APPLICATION_VERIFICATION : X509_V_OK);
	return !t->refused;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl, (void)arg;
	for (unsigned i = 0; i < in_len && in[i] < in_len - i; i += 1u + in[i]) {
		if (in[i] == alpn[0] && memcmp(in + i + 1, alpn + 1, alpn[0]) == 0) {
			*out = in + i + 1;
			*out_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct tls_context *tls_context_new(const struct identity *own)
{
	struct tls_context *c = xcalloc(1, sizeof(*c));
	SSL_CTX *s = c->ssl = SSL_CTX_new(TLS_method());
	must(s && SSL_CTX_set_min_proto_version(s, TLS1_3_VERSION) == 1 &&
	     SSL_CTX_set_max_proto_version(s, TLS1_3_VERSION) == 1 &&
	     SSL_CTX_set1_groups_list(s, "X25519") == 1 &&
	     SSL_CTX_set1_sigalgs_list(s, "ed25519") == 1 &&
	     SSL_CTX_set1_client_sigalgs_list(s, "ed25519") == 1 &&
	     SSL_CTX_set_num_tickets(s, 0) == 1 && SSL_CTX_set_max_early_data(s, 0) == 1 &&
	     SSL_CTX_set_alpn_protos(s, alpn, sizeof(alpn) - 1) == 0 &&
	     SSL_CTX_use_certificate(s, identity_certificate(own)) == 1 &&
	     SSL_CTX_use_PrivateKey(s, identity_key(own)) == 1);
	SSL_CTX_set_options(s, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(s, 4096);
	SSL_CTX_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(s, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(s, check_key, NULL);
	SSL_CTX_set_alpn_select_cb(s, choose_alpn, NULL);
	c->used = 1;
	c->memory = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory");
	must(c->memory && BIO_meth_set_write(c->memory, memory_write) == 1 &&
	     BIO_meth_set_read(c->memory, memory_read) == 1 &&
	     BIO_meth_set_ctrl(c->memory, memory_ctrl) == 1 &&
	     BIO_meth_set_create(c->memory, memory_create) == 1);
	return c;
}

void tls_context_free(struct tls_context *c)
{
	if (!c || --c->used)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->memory);
	free(c);
}

struct tls *tls_new(struct tls_context *c, bool dialed, const struct key_id *expect)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *b = BIO_new(c->memory);
	t->ssl = SSL_new(c->ssl);
	must(b && t->ssl && SSL_set_app_data(t->ssl, t) == 1);
	BIO_set_data(b, t);
	SSL_set_bio(t->ssl, b, b);
	if (dialed)
		SSL_set_connect_state(t->ssl);
	else
		SSL_set_accept_state(t->ssl);
	t->context = c;
	c->used++;
	t->expects = expect != NULL;
	if (expect)
		t->expect = *expect;
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_context_free(t->context);
	buf_release(&t->in);
	buf_release(&t->out);
	free(t);
}

/* ---- what goes wrong -------------------------------------------------------------------- */

/* Is it the beginning of what a server says to everybody without encryption: a length below 64 KiB,
 * and an array of three? */
static bool looks_plain(const struct buf *in)
{
	return in->len >= 5 && !in->data[0] && !in->data[1] && in->data[4] == 0x93;
}

static ssize_t went_wrong(struct tls *t)
{
	unsigned long e = ERR_peek_last_error();
	const char *words = e ? ERR_reason_error_string(e) : NULL;
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	t->over = true;
	if (t->problem[0])
		return -EPROTO;
	if (t->refused && t->shown) {
		char id[KEY_ID_TEXT + 1];
		key_id_write(id, &t->peer);
		snprintf(t->problem, sizeof(t->problem), "another server answers there: its ID is %s",
			 id);
		return -EPROTO;
	}
	if (!t->ready && looks_plain(&t->in))
		words = "the other side does not encrypt (--plain)";
	else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		words = "the connection was cut";
	else if (reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
		 reason == SSL_R_TLSV1_ALERT_ACCESS_DENIED ||
		 reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN ||
		 reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		words = "the other side expected another key than ours";
	else if (reason == SSL_R_NO_APPLICATION_PROTOCOL ||
		 reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
		words = "the other side speaks no protocol of tutti that is known here";
	else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
		 reason == SSL_R_PACKET_LENGTH_TOO_LONG)
		words = "the other side does not speak TLS";
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL ||
		 reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
		words = "the other side does not speak TLS 1.3";
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		words = "the other side has shown no key";
	snprintf(t->problem, sizeof(t->problem), "%s", words ? words : "TLS failed");
	return -EPROTO;
}

static ssize_t result_of(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return went_wrong(t);
	}
}

/* ---- in and out ------------------------------------------------------------------------- */

static void drop_read(struct tls *t)
{
	if (!t->in_at)
		return;
	if (t->in_at == t->in.len && t->in.cap > IN_KEEP)
		buf_release(&t->in);
	else
		buf_drop_front(&t->in, t->in_at);
	t->in_at = 0;
}

uint8_t *tls_room(struct tls *t, size_t *room)
{
	size_t step = t->ready ? STEP : STEP_STRANGER;
	drop_read(t);
	*room = TLS_IN_MAX - t->in.len < step ? TLS_IN_MAX - t->in.len : step;
	return buf_reserve(&t->in, *room);
}

void tls_put(struct tls *t, size_t len)
{
	t->in.len += len;
	t->starved = false;
	if (!t->ready)
		t->stranger_bytes += len;
}

void tls_put_end(struct tls *t)
{
	t->in_end = true;
	t->starved = false;
}

static int handshake(struct tls *t)
{
	if (t->ready)
		return 1;
	int r = SSL_do_handshake(t->ssl);
	if (r != 1)
		return r;
	const unsigned char *name;
	unsigned len;
	SSL_get0_alpn_selected(t->ssl, &name, &len);
	if (len != alpn[0] || memcmp(name, alpn + 1, len) != 0) {
		snprintf(t->problem, sizeof(t->problem),
			 "the other side speaks no protocol of tutti that is known here");
		return -1;
	}
	assert(t->shown && !t->refused);
	t->ready = true;
	return 1;
}

ssize_t tls_read(struct tls *t, void *to, size_t len)
{
	size_t done = 0;
	if (t->over)
		return -EPROTO;
	ERR_clear_error();
	int r = handshake(t);
	if (r != 1) {
		ssize_t result = t->problem[0] ? went_wrong(t) : result_of(t, r);
		if (result == -EAGAIN && t->stranger_bytes > TLS_STRANGER_MAX) {
			snprintf(t->problem, sizeof(t->problem), "the handshake is too long");
			result = went_wrong(t);
		}
		t->starved = result == -EAGAIN;
		return result == 0 ? went_wrong(t) : result;
	}
	while (done < len) {
		size_t n = 0;
		r = SSL_read_ex(t->ssl, (uint8_t *)to + done, len - done, &n);
		if (r != 1)
			break;
		done += n;
	}
	if (done)
		return (ssize_t)done;
	if (!len)
		return -EAGAIN;
	ssize_t result = result_of(t, r);
	t->starved = result == -EAGAIN;
	return result;
}

bool tls_has_more(const struct tls *t)
{
	return !t->over && !t->starved && (t->in_end || t->in_at < t->in.len || SSL_pending(t->ssl));
}

ssize_t tls_write(struct tls *t, const void *from, size_t len)
{
	size_t done = 0;
	if (t->over)
		return -EPROTO;
	if (!t->ready)
		return -EAGAIN;
	ERR_clear_error();
	while (done < len && t->out.len < TLS_OUT_MAX) {
		size_t n = 0, some = len - done < RECORD ? len - done : RECORD;
		int r = SSL_write_ex(t->ssl, (const uint8_t *)from + done, some, &n);
		if (r != 1) {
			ssize_t result = result_of(t, r);
			return done ? (ssize_t)done : result ? result : -EPROTO;
		}
		done += n;
	}
	return done || !len ? (ssize_t)done : -EAGAIN;
}

void tls_end(struct tls *t)
{
	if (t->over || !t->ready)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

struct buf *tls_out(struct tls *t)
{
	return &t->out;
}

bool tls_ready(const struct tls *t)
{
	return t->ready;
}

const struct key_id *tls_peer(const struct tls *t)
{
	return t->shown ? &t->peer : NULL;
}

const char *tls_problem(const struct tls *t)
{
	return t->problem;
}

void tls_export(const struct tls *t, const char *label, uint8_t out[TLS_EXPORT_SIZE])
{
	assert(t->ready);
	must(SSL_export_keying_material(t->ssl, out, TLS_EXPORT_SIZE, label, strlen(label), NULL, 0,
					0) == 1);
}
