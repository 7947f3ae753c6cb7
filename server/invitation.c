/* Owns the form of invitations, and the proof of having one. */
#include "config.h"
#include "invitation.h"

#include "digest.h"
#include "text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char label[] = "EXPORTER-tutti-pair";
static const char purpose[] = "tutti invitation ";

/* The hash is what both sides keep; it tells nothing about the string. */
static void hash_token(const char token[INVITATION_TOKEN_TEXT],
		       uint8_t secret[INVITATION_SECRET_SIZE])
{
	char all[sizeof(purpose) - 1 + INVITATION_TOKEN_TEXT];
	memcpy(all, purpose, sizeof(purpose) - 1);
	memcpy(all + sizeof(purpose) - 1, token, INVITATION_TOKEN_TEXT);
	digest_once(all, sizeof(all), secret);
	OPENSSL_cleanse(all, sizeof(all));
}

void invitation_new(struct buf *out, const char *address, const struct key_id *id,
		    uint8_t secret[INVITATION_SECRET_SIZE])
{
	uint8_t random[INVITATION_TOKEN_TEXT];
	char token[INVITATION_TOKEN_TEXT + 1], text[KEY_ID_TEXT + 1];
	if (RAND_bytes(random, sizeof(random)) != 1)
		abort(); /* no chance: nothing that we make could be trusted */
	for (size_t i = 0; i < INVITATION_TOKEN_TEXT; i++)
		token[i] = alphabet[random[i] % 32]; /* 5 bits each: 130 */
	token[INVITATION_TOKEN_TEXT] = '\0';
	key_id_write(text, id);
	hash_token(token, secret);
	buf_addf(out, "%s#%s#%s", address, text, token);
	OPENSSL_cleanse(random, sizeof(random));
	OPENSSL_cleanse(token, sizeof(token));
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool invitation_read(struct bytes text, struct invitation *out, struct buf *problem)
{
	*out = (struct invitation){0};
	while (text.len && is_blank(text.p[0]))
		text.p++, text.len--;
	while (text.len && is_blank(text.p[text.len - 1]))
		text.len--;
	const uint8_t *first = text.len ? memchr(text.p, '#', text.len) : NULL, *second = NULL;
	const uint8_t *end = text.p + text.len;
	if (first && !memchr(text.p, '\0', text.len))
		second = memchr(first + 1, '#', (size_t)(end - first - 1));
	if (!second || text.len > INVITATION_TEXT_MAX) {
		buf_addf(problem, "this is no invitation: expected HOST:PORT#ID#TOKEN, as tutti "
				  "invite prints it");
		return false;
	}
	char *address = xasprintf("%.*s", (int)(first - text.p), (const char *)text.p);
	struct bytes id = {first + 1, (size_t)(second - first - 1)};
	struct bytes token = {second + 1, (size_t)(end - second - 1)};
	struct address at;
	bool ok = address_parse(address, ADDRESS_CONNECT, &at, problem) &&
		  key_id_read(id, &out->id, problem);
	if (ok && token.len != INVITATION_TOKEN_TEXT) {
		buf_addf(problem, "the end of the invitation is missing, or too long");
		ok = false;
	}
	for (size_t i = 0; ok && i < token.len; i++)
		ok = memchr(alphabet, token.p[i], sizeof(alphabet) - 1);
	if (!ok && !problem->len)
		buf_addf(problem, "the end of the invitation is mistyped");
	if (ok) {
		out->address = address;
		hash_token((const char *)token.p, out->secret);
	} else {
		free(address);
	}
	return ok;
}

void invitation_release(struct invitation *i)
{
	free(i->address);
	OPENSSL_cleanse(i->secret, sizeof(i->secret));
	*i = (struct invitation){0};
}

void invitation_prove(const uint8_t secret[INVITATION_SECRET_SIZE], const struct tls *tls,
		      uint8_t proof[INVITATION_SECRET_SIZE])
{
	uint8_t connection[TLS_EXPORT_SIZE];
	unsigned len = 0;
	tls_export(tls, label, connection);
	if (!HMAC(EVP_sha256(), secret, INVITATION_SECRET_SIZE, connection, sizeof(connection), proof,
		  &len) || len != INVITATION_SECRET_SIZE)
		abort();
	OPENSSL_cleanse(connection, sizeof(connection));
}

bool invitation_proves(const uint8_t secret[INVITATION_SECRET_SIZE], const struct tls *tls,
		       const uint8_t proof[INVITATION_SECRET_SIZE])
{
	uint8_t right[INVITATION_SECRET_SIZE];
	invitation_prove(secret, tls, right);
	return CRYPTO_memcmp(right, proof, sizeof(right)) == 0;
}
