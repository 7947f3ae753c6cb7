/*
 * Walks on demand, here and over the whole graph of peers: each server that is asked walks, asks
 * its other peers, and answers with what all of them found. An id keeps a request from going round.
 */
#ifndef TUTTI_RESYNC_H
#define TUTTI_RESYNC_H

#include "daemon.h"
#include "message.h"

struct peer;
struct session;
struct resyncs;

struct resyncs *resyncs_new(struct daemon *d);
void resyncs_free(struct resyncs *r);

/* A client's or a peer's request (a message that was checked). */
void resync_asked_by_client(struct resyncs *r, struct session *s, uint32_t id,
			    const msgpack_object *params);
void resync_asked_by_peer(struct resyncs *r, struct peer *p, uint32_t id,
			  const msgpack_object *params);
/* A peer that was asked says how far it is. */
void resync_peer_is_at(struct resyncs *r, const struct peer *p, const msgpack_object *params);
/* They are going; answers that they wait for are dropped. */
void resync_forget_client(struct resyncs *r, struct session *s);
void resync_forget_peer(struct resyncs *r, struct peer *p);

/* ACT_WALKED */
void resync_walked(struct resyncs *r, const struct action *a);

/* Packs the map `walk` of `progress` for what this client waits for; nil if it waits for none.
 * Returns whether it does. */
bool resync_pack_progress(const struct resyncs *r, const struct session *s, struct buf *out);

#endif
