/*
 * Invitations: one string that lets a new machine become a peer, once. HOST:PORT#ID#TOKEN has the
 * address and ID of the server that invites, and a token of 128 random bits. Who has it proves that
 * with an HMAC over a secret of the TLS connection, so that it is good for that connection only.
 */
#ifndef TUTTI_INVITATION_H
#define TUTTI_INVITATION_H

#include "address.h"
#include "tls.h"

enum { INVITATION_SECRET_SIZE = 32, INVITATION_TOKEN_TEXT = 26, INVITATION_TEXT_MAX = 512 };

struct invitation {
	char *address; /* HOST:PORT */
	struct key_id id;
	uint8_t secret[INVITATION_SECRET_SIZE]; /* a hash of the token */
};

/* Draws a token, appends the string, and gives the secret to be kept. */
void invitation_new(struct buf *out, const char *address, const struct key_id *id,
		    uint8_t secret[INVITATION_SECRET_SIZE]);
/* Reads the string, blanks and newlines around it ignored. False, and why not in `problem` (without the
 * token). */
bool invitation_read(struct bytes text, struct invitation *out, struct buf *problem);
void invitation_release(struct invitation *i);

void invitation_prove(const uint8_t secret[INVITATION_SECRET_SIZE], const struct tls *tls,
		      uint8_t proof[INVITATION_SECRET_SIZE]);
bool invitation_proves(const uint8_t secret[INVITATION_SECRET_SIZE], const struct tls *tls,
		       const uint8_t proof[INVITATION_SECRET_SIZE]);

#endif
