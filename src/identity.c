/* Owns the file of the key, and the certificate made of it. */
#include "config.h"
#include "identity.h"

#include "write_full.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { FILE_MAX = 4096 };

static const char file_name[] = "key.pem";

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	struct key_id id;
};

/* In memory it fails only where memory runs out or OpenSSL is broken. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

bool identity_of_certificate(X509 *certificate, struct key_id *id)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	unsigned char *der = NULL;
	unsigned size = 0;
	if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519)
		return false;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	bool ok = len > 0 && len <= 64 &&
		  EVP_Digest(der, (size_t)len, id->b, &size, EVP_sha256(), NULL) == 1 &&
		  size == KEY_ID_SIZE;
	OPENSSL_free(der);
	return ok;
}

/* Takes over the key. The same key always gives the same certificate. */
static struct identity *with_key(EVP_PKEY *key)
{
	struct identity *i = xcalloc(1, sizeof(*i));
	X509 *x = X509_new();
	must(x && X509_set_version(x, X509_VERSION_3) == 1 &&
	     ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
	     ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "19700101000000Z") == 1 &&
	     ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "99991231235959Z") == 1);
	X509_NAME *name = X509_NAME_new();
	must(name && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						(const unsigned char *)"tutti", -1, -1, 0) == 1);
	must(X509_set_subject_name(x, name) == 1 && X509_set_issuer_name(x, name) == 1 &&
	     X509_set_pubkey(x, key) == 1 && X509_sign(x, key, NULL) > 0);
	X509_NAME_free(name);
	i->key = key;
	i->certificate = x;
	must(identity_of_certificate(x, &i->id));
	return i;
}

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	must(key != NULL);
	return key;
}

struct identity *identity_new(void)
{
	return with_key(new_key());
}

void identity_free(struct identity *i)
{
	if (!i)
		return;
	EVP_PKEY_free(i->key);
	X509_free(i->certificate);
	free(i);
}

const struct key_id *identity_id(const struct identity *i)
{
	return &i->id;
}

EVP_PKEY *identity_key(const struct identity *i)
{
	return i->key;
}

X509 *identity_certificate(const struct identity *i)
{
	return i->certificate;
}

/* ---- the file --------------------------------------------------------------------------- */

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *ctx)
{
	(void)to, (void)size, (void)writing, (void)ctx;
	return -1;
}

/* Makes a key and puts it under its name, unless somebody else did so meanwhile. The name is there
 * only with the whole key, durable. 0 or a negative errno. */
static int make_key(int dir)
{
	EVP_PKEY *key = new_key();
	BIO *pem = BIO_new(BIO_s_mem());
	must(pem && PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1);
	char *text;
	size_t len = (size_t)BIO_get_mem_data(pem, &text);
	char *new_name = xasprintf("%s.%jd", file_name, (intmax_t)getpid());
	(void)unlinkat(dir, new_name, 0); /* of a process that died */
	int r = 0;
	int fd = openat(dir, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
	} else {
		r = write_full(fd, text, len);
		if (r == 0 && fsync(fd) < 0)
			r = -errno;
		close(fd);
		if (r == 0 && linkat(dir, new_name, dir, file_name, 0) < 0 && errno != EEXIST)
			r = -errno;
		(void)unlinkat(dir, new_name, 0);
		if (r == 0 && fsync(dir) < 0)
			r = -errno;
	}
	OPENSSL_cleanse(text, len);
	BIO_free(pem);
	EVP_PKEY_free(key);
	free(new_name);
	return r;
}

/* The key of an open file, or NULL with the result in *r and why. */
static EVP_PKEY *read_key(int fd, int *r, const char **why)
{
	struct stat st;
	char text[FILE_MAX];
	size_t len = 0;
	*r = -EPERM;
	if (fstat(fd, &st) < 0) {
		*r = -errno;
		*why = strerror(errno);
		return NULL;
	}
	*why = !S_ISREG(st.st_mode) ? "it is no regular file"
	       : st.st_uid != geteuid() ? "it belongs to somebody else"
	       : st.st_mode & 077 ? "others than its owner can read it (chmod 600); if somebody may "
				    "have, remove it, and a new key is made"
				  : NULL;
	if (*why)
		return NULL;
	while (len < sizeof(text)) {
		ssize_t n = read(fd, text + len, sizeof(text) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*r = -errno;
			*why = strerror(errno);
			return NULL;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	EVP_PKEY *key = NULL;
	if (len < sizeof(text)) {
		BIO *pem = BIO_new_mem_buf(text, (int)len);
		must(pem != NULL);
		key = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, NULL);
		BIO_free(pem);
		ERR_clear_error();
	}
	OPENSSL_cleanse(text, sizeof(text));
	if (key && EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	*r = key ? 0 : -EBADMSG;
	*why = "it holds no Ed25519 key; remove it, and a new one is made (with a new ID)";
	return key;
}

/* Makes the folder and those above it; new ones are ours alone. The folder, or a negative errno. */
static int open_folder(const char *path)
{
	char *copy = xasprintf("%s/", path);
	int r = 0;
	for (char *p = strchr(copy + 1, '/'); p && r == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			r = -errno;
		*p = '/';
	}
	free(copy);
	if (r < 0)
		return r;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_file(int dir)
{
	int fd = openat(dir, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int identity_open(struct identity **identity, const char *path, struct buf *problem)
{
	const char *why = NULL;
	EVP_PKEY *key = NULL;
	int r = 0, dir = open_folder(path), fd = dir < 0 ? dir : open_file(dir);
	*identity = NULL;
	if (fd == -ENOENT && dir >= 0) {
		fd = make_key(dir);
		if (fd == 0)
			fd = open_file(dir);
	}
	if (fd >= 0)
		key = read_key(fd, &r, &why);
	else
		r = fd;
	if (key) {
		*identity = with_key(key);
	} else {
		buf_addf(problem, "the key ");
		text_show(problem, bytes_of(path));
		buf_addf(problem, "/%s cannot be used: %s", file_name, why ? why : strerror(-r));
	}
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return r;
}
