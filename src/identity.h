/*
 * Who a program is: its Ed25519 key, kept in a file that only its owner can read (PKCS#8 PEM), and
 * the self-signed certificate that carries the public key in TLS. The certificate is made anew each
 * time; only the key counts (key_id.h). A key is made once and never replaced.
 */
#ifndef TUTTI_IDENTITY_H
#define TUTTI_IDENTITY_H

#include "key_id.h"

struct identity;
struct evp_pkey_st;
struct x509_st;

/* Reads the key `key.pem` in the folder `dir`; makes both if they are not there, durably. 0, or a
 * negative errno and in `problem` a sentence that says what is wrong with which file: it cannot be
 * read or made (-errno), others can read it (-EPERM), it holds no such key (-EBADMSG). */
int identity_open(struct identity **identity, const char *dir, struct buf *problem);
/* One that lives in memory only: for tests. */
struct identity *identity_new(void);
void identity_free(struct identity *identity); /* NULL is fine */

const struct key_id *identity_id(const struct identity *identity);

/* For tls.c; they stay the identity's. */
struct evp_pkey_st *identity_key(const struct identity *identity);
struct x509_st *identity_certificate(const struct identity *identity);

/* The ID of the key in a certificate. False if it is no Ed25519 key. */
bool identity_of_certificate(struct x509_st *certificate, struct key_id *id);

#endif
