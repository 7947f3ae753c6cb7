/*
 * The glue of tuttid: owns the loop, the engine and all that works for it, and ties them together.
 *
 * A turn of the loop: callbacks unwrap what came in and feed the engine (daemon_feed); then, once,
 * before the loop waits again, the engine's actions are pulled and carried out, peers are sent what
 * they have room for, and clients what has changed. Whatever blocks runs as a job in a worker.
 */
#ifndef TUTTI_DAEMON_H
#define TUTTI_DAEMON_H

#include "apply.h"
#include "engine.h"
#include "events.h"
#include "root.h"
#include "settings.h"
#include "store.h"
#include "watch.h"
#include "workers.h"

#include <ev.h>

#define REPLICA_HEX (2 * REPLICA_ID_SIZE + 1)

struct daemon {
	struct ev_loop *loop;
	const struct settings *settings;
	struct root *root;
	struct store *store;
	struct intents *intents; /* NULL: the root cannot be written to */
	struct workers *workers;
	struct watch *watch;
	struct engine *engine;
	struct keyring *keyring;
	struct net *net;
	struct transfers *transfers;
	struct resyncs *resyncs;
	struct sessions *sessions;
	struct settles *settles;
	struct pasts *pasts;
	struct events events;
	enum index_state index; /* when it was loaded */
	struct replica_id id;
	char id_text[REPLICA_HEX];
	struct life *life; /* daemon.c's own */
	struct alarms *alarms;
	struct rewrites *rewrites;
	bool stopping;
	struct disk *disk;
	struct turn *turn; /* daemon.c's own */
};

/* The engine, told the time: for feeding it one event. Its actions are carried out, and clients
 * told, at the end of this turn of the loop. */
struct engine *daemon_feed(struct daemon *d);
/* Something that clients are shown has changed, though not in the engine. */
void daemon_touch(struct daemon *d);

/* Runs a job now or as soon as the workers' queue has room; done() is always called, later. */
void daemon_submit(struct daemon *d, struct job *job, enum job_priority priority);

/* Numbers an event, keeps it and tells the clients. `word` is a constant. */
void daemon_event(struct daemon *d, const char *word, struct bytes path, struct bytes replica,
		  struct bytes detail);

/* Ends the server: the index cannot be trusted any more (exit status DAEMON_DISK_FAILED). */
void daemon_disk_failed(struct daemon *d, const char *why);

int64_t daemon_wall_ns(void);
uint64_t daemon_mono_ms(void);
void replica_hex(char out[REPLICA_HEX], const struct replica_id *id);
/* The name of a replica for people: its own, or the start of its id. Valid until the next event. */
struct bytes daemon_replica_name(struct daemon *d, rep_t rep);

enum { DAEMON_DISK_FAILED = 3 };

/* Serves until a signal ends it. The exit status: 0 ended cleanly, 1 could not serve (said on
 * stderr, in one line), or DAEMON_DISK_FAILED. */
int daemon_main(struct settings *settings, int argc, char **argv);

#endif
