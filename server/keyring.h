/*
 * Who this server is and whom it trusts: its key, TLS for all connections, the list of trusted keys
 * and its file, and what a person says to it: trust, untrust, invite.
 */
#ifndef TUTTI_KEYRING_H
#define TUTTI_KEYRING_H

#include "daemon.h"
#include "tls.h"
#include "trust.h"

#include <msgpack.h>

struct keyring;
struct asker;

enum { KEYRING_INVITATION_S = 600, KEYRING_INVITATIONS_MAX = 8, KEYRING_PROOF_SIZE = 32 };

/* Reads the key (or makes it) and the list in the state directory. NULL, and in `problem` one
 * sentence, if they cannot be used. */
struct keyring *keyring_new(struct daemon *d, struct buf *problem);
/* Writes what is not yet written. NULL is fine. After the workers have stopped. */
void keyring_free(struct keyring *k);

/* The settings are others now: peers that are named with an ID are trusted. */
void keyring_again(struct keyring *k);

struct tls_context *keyring_tls(const struct keyring *k); /* NULL: connections are plain */
const struct key_id *keyring_own(const struct keyring *k);
const char *keyring_own_text(const struct keyring *k);
struct trust *keyring_trust(const struct keyring *k);
/* Something in the list changed, that nobody waits for: it is written. */
void keyring_changed(struct keyring *k);

/* Requests of clients; each is answered once, as soon as what was said is durable. */
void keyring_on_trust(struct keyring *k, struct asker *a, const msgpack_object *params);
void keyring_on_untrust(struct keyring *k, struct asker *a, const msgpack_object *params);
void keyring_on_invite(struct keyring *k, struct asker *a, const msgpack_object *params);

/* A stranger with this key came from there: it is shown to people. */
void keyring_asked(struct keyring *k, const struct key_id *id, const char *address);

/* May somebody come with an invitation now? */
bool keyring_inviting(struct keyring *k);
/* A stranger shows that it has one, by a proof made of the secret of this connection. True: it was
 * good and is used up, and the key is a peer from now on. */
bool keyring_take_invitation(struct keyring *k, const struct key_id *id, const struct tls *tls,
			  const uint8_t proof[KEYRING_PROOF_SIZE], const char *name);
/* The proof for that dial of ours, if it has an invitation (settings). */
bool keyring_proof(const struct keyring *k, const struct key_id *peer, const struct tls *tls,
		uint8_t proof[KEYRING_PROOF_SIZE]);
/* That peer has let us in: the invitation is not shown again. */
void keyring_joined(struct keyring *k, const struct key_id *peer);

/* Appends the array of all keys, and those that wait, as clients are told. */
void keyring_pack(const struct keyring *k, struct buf *out);
size_t keyring_asking(const struct keyring *k); /* those that wait */

#endif
