/* Owns SHA-256 by OpenSSL: one fetched algorithm and one context in each digest. */
#include "config.h"
#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
	EVP_MD *algorithm;
	EVP_MD_CTX *ctx;
};

/* SHA-256 in memory fails only where memory runs out or OpenSSL is broken: nothing to go on with. */
static void must(int ok)
{
	if (ok != 1)
		abort();
}

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));
	d->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	d->ctx = EVP_MD_CTX_new();
	must(d->algorithm && d->ctx && EVP_MD_get_size(d->algorithm) == HASH_SIZE);
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_free(d->algorithm);
	free(d);
}

void digest_begin(struct digest *d)
{
	must(EVP_DigestInit_ex2(d->ctx, d->algorithm, NULL));
}

void digest_add(struct digest *d, const void *p, size_t len)
{
	if (len)
		must(EVP_DigestUpdate(d->ctx, p, len));
}

void digest_end(struct digest *d, uint8_t hash[HASH_SIZE])
{
	unsigned len = 0;
	must(EVP_DigestFinal_ex(d->ctx, hash, &len));
	assert(len == HASH_SIZE);
}

void digest_of(struct digest *d, const void *p, size_t len, uint8_t hash[HASH_SIZE])
{
	digest_begin(d);
	digest_add(d, p, len);
	digest_end(d, hash);
}

void digest_once(const void *p, size_t len, uint8_t hash[HASH_SIZE])
{
	struct digest *d = digest_new();
	digest_of(d, p, len, hash);
	digest_free(d);
}
