/* What the command line of tuttid and its configuration file say, with defaults filled in and checked. */
#ifndef TUTTI_SETTINGS_H
#define TUTTI_SETTINGS_H

#include "address.h"
#include "invitation.h"
#include "log.h"
#include "options.h"

#include <sys/types.h>

enum {
	SETTINGS_NAME_MAX = 32, SETTINGS_ADDRESSES_MAX = 64, SETTINGS_PORT = 7075,
	SETTINGS_USERS_MAX = 64,
};

struct settings_address {
	char *text; /* as it was written */
	struct address at;
	bool more;  /* another address of the name that stands before it */
};

struct settings_peer {
	char *text;         /* as it was written */
	struct endpoint to; /* with an ID, an address, or both */
};

/* Another user of this machine who may use the local socket. */
struct settings_user {
	uid_t uid;
	bool views; /* may only look */
};

struct settings {
	char *directory; /* the root, as it was written */
	char *name;      /* 1 to SETTINGS_NAME_MAX bytes of UTF-8, all visible, no '/' */
	char *state;     /* folder; not created */
	char *socket;    /* path; its folder not created */
	char *config;    /* the file that was read, or NULL */
	struct settings_address *listen; /* at least one; port 0: any */
	size_t n_listen;
	struct settings_peer *peers;
	size_t n_peers;
	struct settings_user *users; /* each once */
	size_t n_users;
	unsigned trash_days;     /* things stay in the trash so long */
	unsigned trash_percent;  /* of the disk: as long as they take no more */
	size_t history_lines;    /* of the journal */
	unsigned rehash_days;    /* every file is read again in this time; 0: never */
	uint64_t peer_entries;   /* as many are taken from one peer */
	unsigned tombstone_days; /* what was deleted is known so long, and until all have deleted it */
	enum log_level log_level;
	struct invitation invitation; /* address NULL: none */
	bool plain; /* no TLS; all addresses are loopback then, and names must turn out to be */
};

enum settings_result {
	SETTINGS_RUN,   /* all is filled in */
	SETTINGS_ID,    /* `tuttid id`: only `name` and `state` are */
	SETTINGS_SHOWN, /* --help and the like: the text is in `out`: print it and exit with 0 */
	SETTINGS_WRONG, /* a line that says what is wrong is in `out`: print it and exit with 2 */
};

/* `out` is appended to, lines with their newline. Release the settings in every case. */
enum settings_result settings_parse(struct settings *s, int argc, char **argv, struct buf *out);
void settings_release(struct settings *s);

/* Puts addresses in the place of names in `listen`: waits for the name service, so before all else. False, and
 * in `problem` one sentence, if one has none, or (with plain) one that is not on loopback. */
bool settings_look_up(struct settings *s, struct buf *problem);

/* Reads everything again, as on SIGHUP. What can be changed while a server runs (peers, users, log level,
 * trash, history, rehash, tombstones) moves into `s`; the old peers, if they are others, to `old`, which is released
 * by the caller. 0, or -EINVAL and nothing has changed. `out`: one line for each thing that was wrong or
 * takes effect at the next start only. */
int settings_again(struct settings *s, int argc, char **argv, struct settings *old, struct buf *out);

extern const char settings_only_loopback[]; /* why other addresses do not go with plain */

/* The table, for tests. */
const struct option_set *settings_options(void);

/* "" if it can be the name of a server, else what is wrong with it. */
const char *settings_name_problem(struct bytes name);

#endif
