/* What the command line of tutti says: one table of commands, one of options. */
#ifndef TUTTI_ARGUMENTS_H
#define TUTTI_ARGUMENTS_H

#include "options.h"

/* Name, words that it takes, the most of them, help. The first has no name: it is what tutti does
 * without a command. */
#define COMMANDS(X)                                                                                \
	X(SCREEN, "", "", 0, "the full screen; when stdout is no terminal, the same as list")      \
	X(LIST, "list", "", 0, "the merged table: size, date, who holds it, name")                 \
	X(STATUS, "status", "", 0, "is everything in sync, and if not, why")                       \
	X(WATCH, "watch", "", 0, "what happens, as it happens, until interrupted")                 \
	X(RESYNC, "resync", "[PATH]", 1, "all replicas walk and compare; prints the result")       \
	X(WAIT, "wait", "", 0, "return once all connected replicas hold the same")                 \
	X(PEERS, "peers", "", 0, "the servers that this one talks to")                             \
	X(TRUST, "trust", "ID", 1, "let in the server (or client: --role) with that key")          \
	X(UNTRUST, "untrust", "ID", 1, "refuse that key; its connections end at once")             \
	X(INVITE, "invite", "[ADDR:PORT]", 1, "a string with which one new server becomes a peer") \
	X(CONFLICTS, "conflicts", "[PATH]", 1, "the files that have more than one content")        \
	X(RESOLVE, "resolve", "PATH...", WORDS_ANY, "settle conflicts: keep one content, or all")  \
	X(TRASH, "trash", "[PATH]", 1, "what was replaced or deleted")                             \
	X(RESTORE, "restore", "PATH", 1, "bring something back from the trash")                    \
	X(HISTORY, "history", "[PATH]", 1, "who did what, and when")                               \
	X(HELD, "held", "[delete|keep ID]", 2, "deletions that are too many at once: list, decide") \
	X(DEMO, "demo", "", 0, "two servers on two sample directories, and the table on them")

enum { WORDS_ANY = 1000000 };

enum command {
#define X(id, name, words, most, help) COMMAND_##id,
	COMMANDS(X)
#undef X
	COMMANDS_N
};

/* What a key may be trusted as; the first is the default. */
extern const char *const key_roles[];

enum color { COLOR_AUTO, COLOR_NEVER };

struct arguments {
	enum command command;
	const char *path; /* the first word; NULL: everything */
	char **paths;     /* all of them; the array is argv's, which is changed for it */
	size_t n_paths;

	const char *server, *filter, *under, *name, *address; /* NULL: not given */
	const char *keep, *on, *to, *at, *since, *until;
	int role;                            /* index in key_roles */
	int sort;                            /* enum table_sort */
	int color;                           /* enum color */
	int64_t timeout_ms;                  /* -1: none */
	struct option_size frame;            /* width 0: not given */
	bool reverse, json, bytes, ascii, no_mouse, readonly, all, undo;
	bool help, version;
};

enum arguments_result {
	ARGUMENTS_RUN,
	ARGUMENTS_SHOWN, /* --help or --version: the text is in `out`: print it and exit with 0 */
	ARGUMENTS_WRONG, /* a line that says what is wrong is in `out`: print it and exit with 2 */
};

/* The texts in `a` point into argv. `out` is appended to, lines with their newline. */
enum arguments_result arguments_parse(struct arguments *a, int argc, char **argv, struct buf *out);

const char *command_name(enum command c);

/* The table, for tests. */
const struct option_set *arguments_options(void);

#endif
