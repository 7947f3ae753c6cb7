/*
 * Who is connected: listens on TCP and on the local socket, dials the configured peers, and keeps
 * every connection until its hello has told what it is: a peer (peer.h) or a client (session.h).
 */
#ifndef TUTTI_NET_H
#define TUTTI_NET_H

#include "daemon.h"
#include "key_id.h"

struct conn;
struct peer;

enum {
	NET_PEERS_MAX = 64,     /* connected at once; also the bound of their numbers */
	NET_CLIENTS_MAX = 64,   /* half of them are for the owner of the server, ... */
	NET_CLIENTS_EACH = 16,  /* ... and so many for any other user or key */
	NET_STRANGERS_MAX = 32, /* without a hello yet, of TCP and of the local socket each */
};

/* Opens all listeners. NULL, and in `problem` one sentence, if one cannot be had. */
struct net *net_new(struct daemon *d, struct buf *problem);
/* Begins to accept and to dial. */
void net_start(struct net *net);
/* The settings are others now: calls who is newly named, and leaves who is not named any more. */
void net_again(struct net *net);
/* Stops accepting and dialing, says bye to everybody and removes the local socket. */
void net_stop(struct net *net);
bool net_quiet(const struct net *net); /* no connection is left */
void net_free(struct net *net);        /* those that are left are cut; NULL is fine */

const char *net_address(const struct net *net); /* of the first listener, as it is bound */
/* The listener of settings->listen[i], as it is bound: port 0 has become the one that was picked. */
const struct address *net_bound(const struct net *net, size_t i);
struct peer *net_peer(const struct net *net, unsigned number); /* NULL if there is none */
void net_peers_turn(struct net *net); /* lets every peer send what it has room for */

/* What people say of a key has changed: connections under another role end at once, and who is
 * trusted now is called. */
void net_key_changed(struct net *net, const struct key_id *id);
/* What the i-th address that we call has shown (NULL: nothing yet); false after the last. */
bool net_found(const struct net *net, size_t i, const struct key_id **found, const char **address);
/* HOST:PORT at which other machines may reach this server (malloced), or NULL and why not. */
char *net_outside_address(const struct net *net, struct buf *problem);

/* Whoever is trusted as a peer, or called, is a replica that the engine knows: nobody is left that could
 * hold what it has never heard of. */
bool net_all_met(const struct net *net);

/* A configured peer that was not yet tried to the end even once: its address, or NULL. */
const char *net_untried(const struct net *net);

/* One peer that is connected, or should be. */
struct net_contact {
	const char *address;
	const char *name;          /* "" if it was never heard */
	const struct replica_id *id; /* NULL if it was never heard */
	const char *state;         /* connected, connecting, waiting, refused */
	const char *error;         /* why not, "" if connected */
	int64_t since_ns;
	uint64_t retry_ms;         /* until the next attempt, 0: none planned */
	uint64_t tries;
	uint64_t in, out;          /* bytes, over all connections */
	const struct key_id *key;    /* that it has shown, or shall; NULL: none */
	bool takes_nothing;        /* it trusts this server as read-only */
	bool dialed;               /* connected by us (or to be) */
	bool configured;
};
/* The i-th, or false after the last. Valid until the loop runs again. */
bool net_contact(const struct net *net, size_t i, struct net_contact *out);
/* That of a replica. */
bool net_contact_of(const struct net *net, const struct replica_id *id, struct net_contact *out);

#endif
