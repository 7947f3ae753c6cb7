/*
 * The keys that the server knows: those that ask to be let in, and those about which a person has
 * said a word. Their part of the screen Servers, the dialogs that let one in, refuse it or end its
 * trust, and the one that invites. What is decided is the key that was shown.
 */
#ifndef TUTTI_TRUSTED_H
#define TUTTI_TRUSTED_H

#include "lines.h"
#include "own.h"

#include <msgpack.h>

struct trusted_key {
	struct own key, role, name;
	struct own addresses; /* with ", " between */
	int64_t since;        /* ns: when it asked first; 0: we call there, and found it */
	uint64_t tries;
};

struct model;

struct trusted {
	struct trusted_key *keys; /* those that ask come first */
	size_t n, n_asking;
	bool asked;
	bool again;             /* ask once more when the answer is there */
	struct own key, role;   /* of the dialog, as they were shown */
	bool deciding;
	bool inviting;          /* an invitation is awaited */
	bool for_reader;        /* it is for a read-only peer */
	struct own invitation;  /* what the dialog shows */
	int64_t good_until;     /* ns */
};

void trusted_release(struct trusted *t);
void trusted_lost(struct model *m);

void trusted_ask(struct model *m); /* the keys, and what passes between the servers */
/* Answers to `peers` (ASK_PEERS), `trust` and `untrust` (ASK_TRUST), `invite` (ASK_INVITE). */
void trusted_answer(struct model *m, unsigned what, const msgpack_object *result);

/* Parts of the page: those that ask, and the others. The number of a line is its key's place + 1, its
 * path the key. */
void trusted_asking_lines(const struct model *m, struct lines *out);
void trusted_known_lines(const struct model *m, struct lines *out);
/* Does a sentence of the server speak of a key that asks? Those have lines of their own. */
bool trusted_tells(const struct model *m, struct bytes note);

/* Opens the dialog on the key of the selected line of the page. */
void trusted_open(struct model *m);
void trusted_key_lines(const struct model *m, struct lines *out, int width);
bool trusted_key_key(struct model *m, uint32_t key);
void trusted_end_lines(const struct model *m, struct lines *out, int width);
bool trusted_end_key(struct model *m, uint32_t key);

void trusted_invite(struct model *m); /* opens the dialog */
void trusted_invite_lines(const struct model *m, struct lines *out, int width);
bool trusted_invite_key(struct model *m, uint32_t key);
void trusted_forget_invitation(struct trusted *t); /* nor wait for one any more */

#endif
