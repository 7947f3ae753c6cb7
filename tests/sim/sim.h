/*
 * The simulator: what its files share. Replicas with engines, disks, links and clocks in one process,
 * driven by a scenario, judged by an oracle that knows the engine only through engine.h. Everything
 * follows from the scenario alone: no clock, no address, no chance of the machine has a say.
 *
 *	scenario.c   the text form of a history: parse, print, the table of its operations
 *	swarm.c      a seed makes a scenario
 *	sim.c        a scenario is played: steps, settling, the end
 *	disk.c       objects, page cache and durable layer, what a power loss leaves
 *	users.c      what people and their programs do to a disk
 *	jobs.c       lists, looks, ops, fetches and commits, carried out step by step
 *	net.c        links: queues, cuts, silence; messages
 *	life.c       starts, kills, power losses, lost and rolled back indexes
 *	byzantine.c  messages that an evil replica forges
 *	oracle.c     what must be true after every step, and at the end
 *	cover.c      how often each row of the outcome tables and each point of a crash was met
 *	shrink.c     a failing scenario made small
 *	mutants.c    wrong rules, switched on by name
 *	main.c       options, seeds, mutants, sums
 */
#ifndef TUTTI_SIM_H
#define TUTTI_SIM_H

#include "engine.h"

#include <stdio.h>

#define REPLICAS 5
#define PATH_CAP 96        /* of paths in the simulated disks, with the 0 */
#define TORN_FIRST 1000000 /* contents from here on were torn by a power loss */
#define EVENTS_MAX 64      /* of users in one history: one bit each */
#define STORED_REPLICAS 64 /* ids in one index: those of new lives, and of replicas that an evil one invents */

/* Contents are numbers: 0 is the empty file, the others are bytes that only they have. */
typedef uint32_t content_t;
#define CONTENT_EMPTY 0u

/* ---- scenarios ---- */

/*
 * All operations: id, word, arguments. a: a replica; o: another; p, q: paths; c: a content;
 * n: a number; s: a seed for what is random in it.
 */
#define OPERATIONS(X)                                                                              \
	/* people and their programs */                                                            \
	X(WRITE, "write", "apc")      /* in place, keeps the inode; makes the file if need be */   \
	X(SAVE, "save", "apc")        /* a temporary file renamed over it */                       \
	X(BEGIN, "begin", "apc")      /* in place, and stays open */                               \
	X(END, "end", "ap")           /* closed */                                                 \
	X(MMAP, "mmap", "apc")        /* stored through a mapping: nothing tells of it */          \
	X(OLD, "old", "apc")          /* a file put back: its date is long ago */                  \
	X(SAME, "same", "apc")        /* another file, date and size as before */                  \
	X(TOUCH, "touch", "ap")                                                                    \
	X(BACK, "back", "ap")         /* the date goes back, nothing else */                       \
	X(CHMOD, "chmod", "apn")      /* n: octal */                                               \
	X(MKDIR, "mkdir", "ap")                                                                    \
	X(LINK, "link", "apc")        /* a symlink, or a new target */                             \
	X(RENAME, "rename", "apq")    /* replaces a file at q */                                   \
	X(SWAP, "swap", "apq")        /* two names change places */                                \
	X(REMOVE, "remove", "ap")     /* with all below */                                         \
	X(RECREATE, "recreate", "apc")/* deleted and made anew, with the same inode number */      \
	X(COPY, "copy", "apq")                                                                     \
	X(TODIR, "todir", "ap")       /* a file becomes a folder */                                \
	X(PIPE, "pipe", "ap")         /* what is not carried */                                    \
	X(DECIDE, "decide", "an")     /* the held deletions: 1 delete, 0 keep */                   \
	/* links */                                                                                \
	X(CONNECT, "connect", "ao")                                                                \
	X(CUT, "cut", "ao")                                                                        \
	X(JOIN, "join", "")           /* all in a line */                                          \
	X(APART, "apart", "")         /* nobody is connected any more */                           \
	X(STALL, "stall", "ao")       /* nothing from a reaches o any more, nobody notices */      \
	X(FLOW, "flow", "ao")                                                                      \
	/* machines */                                                                             \
	X(KILL, "kill", "a")          /* the program ends and starts again */                      \
	X(POWER, "power", "as")       /* so does the machine: what was not synced may be lost */   \
	X(LOSE, "lose", "a")          /* the index is lost, and the program starts again */        \
	X(SNAPSHOT, "snapshot", "a")  /* remembers the index */                                    \
	X(ROLLBACK, "rollback", "a")  /* brings it back */                                         \
	X(UNMOUNT, "unmount", "a")                                                                 \
	X(MOUNT, "mount", "a")                                                                     \
	X(FAIL, "fail", "an")         /* of a hundred calls n fail */                              \
	X(FULL, "full", "an")         /* 1: the disk is full, 0: it is not */                      \
	X(DEAF, "deaf", "an")         /* of a hundred notes of the watch n are lost */             \
	X(PICKY, "picky", "a")        /* names with ':' cannot be stored there */                  \
	X(COARSE, "coarse", "a")      /* its times have steps of 4 ms */                           \
	X(CLOCK, "clock", "an")       /* its wall clock jumps by n seconds */                      \
	X(EVIL, "evil", "as")         /* forges its messages from now on */                        \
	/* what happens then */                                                                    \
	X(PASS, "pass", "n")          /* n ms */                                                   \
	X(FORGET, "forget", "n")      /* tombstones go from now on when they are n ms old */       \
	X(WALK, "walk", "a")          /* all is compared */                                        \
	X(RUN, "run", "ns")           /* n random steps of programs and links */                   \
	X(QUIET, "quiet", "s")        /* steps until nothing happens any more; faults stay */      \
	X(SETTLE, "settle", "s")      /* faults end, all connect, and all must come true */        \
	/* what must be so */                                                                      \
	X(EXPECT, "expect", "apc")    /* that content at that path */                              \
	X(ABSENT, "absent", "ap")                                                                  \
	X(FOLDER, "folder", "ap")                                                                  \
	X(MODE, "mode", "apn")                                                                     \
	X(COPYOF, "copyof", "apc")    /* a conflict copy of p has the content */                   \
	X(OBJECTS, "objects", "an")   /* so many objects are on the disk */                        \
	X(HELD, "held", "an")         /* so many deletions are held */

enum what {
#define X(id, word, args) DO_##id,
	OPERATIONS(X)
#undef X
	DO_N
};

#define AT_LAST 26 /* "Z": whoever is the last */
#define AT_ALL 27  /* "*": each of them */

struct step {
	enum what what;
	uint8_t at, other; /* a replica, AT_LAST or AT_ALL */
	char path[PATH_CAP], to[PATH_CAP]; /* "#3": the third object on that disk; "~1": the first conflict copy */
	content_t content;
	int64_t n;
	uint64_t seed;
};

struct scenario {
	unsigned replicas;
	unsigned more[REPLICAS]; /* numbers of replicas with which it is to be played as well; 0 ends them */
	struct step *steps;
	size_t n, cap;
};

void scenario_add(struct scenario *sc, const struct step *step);
struct scenario scenario_copy(const struct scenario *sc);
void scenario_release(struct scenario *sc);
/* Text: "replicas N...", then one operation a line; '#' begins a comment (after a space or at the start
 * of a line). NULL, or what is wrong (static). */
const char *scenario_parse(struct scenario *sc, const char *text);
void scenario_print(const struct scenario *sc, FILE *to);
void step_print(const struct step *step, FILE *to);
bool step_by_user(enum what what);
/* What the seed stands for. */
void scenario_make(struct scenario *sc, uint64_t seed);
/* What people do in it, and nothing else, all apart; then all that is told, in an order that follows from
 * `order` (S14). */
void scenario_reorder(struct scenario *sc, uint64_t order);

/* ---- the world ---- */

struct object {
	char path[PATH_CAP];
	uint64_t ino;
	int64_t mtime, ctime;
	int64_t safe_mtime;
	content_t content;  /* of a file; what a symlink points to */
	content_t safe;     /* what of it is durable */
	uint16_t mode;
	uint8_t kind;       /* enum kind or KIND_OTHER */
	bool open;          /* for writing, by somebody */
	bool dirty;         /* content differs from what is safe */
	bool untold;        /* nobody has read its content since that changed, and nothing else tells of it */
};

struct objects {
	struct object *at;
	size_t n, cap;
};

/* A change of names since all of them were durable. */
struct change {
	enum { CHANGE_PUT, CHANGE_DEL, CHANGE_MOVE, CHANGE_SWAP, CHANGE_META } type;
	struct object object; /* as it was put; of the others what it is about */
	char to[PATH_CAP];
};

struct noted {
	char dir[PATH_CAP], name[PATH_CAP];
	char to_dir[PATH_CAP], to_name[PATH_CAP]; /* "": no move */
	enum hint what;
};

struct record {
	char path[PATH_CAP];
	struct buf bytes;
};

/* The index as the last commit left it. */
struct stored {
	struct record *records;
	size_t n, cap;
	uint64_t counter;
	struct seen reps[STORED_REPLICAS];
	char names[STORED_REPLICAS][8];
	size_t n_reps;
	struct buf lives;
	struct replica_id id;
	enum index_state index;
	bool there;
};

struct job;

struct tmp {
	uint64_t id;
	content_t content;
};

struct message {
	enum action_type type;
	struct replica_id rep;
	uint64_t to, life;
	bool more;
	struct index_entry *entries;
	struct held_entry *held;
	struct seen *seen;
	struct report report;
	size_t n;
	uint64_t events; /* of users that the sender knew */
};

struct link {
	struct message *q;
	size_t n, cap;
	bool up;      /* kept the same both ways */
	bool stalled; /* this way */
};

struct replica {
	unsigned at;
	struct engine *e;
	struct objects disk;   /* as programs see it */
	struct objects base;   /* names as they are durable */
	struct change *journal;
	size_t n_journal, journal_cap;
	struct job **jobs;
	size_t n_jobs, jobs_cap;
	struct noted *hints;
	size_t n_hints, hints_cap;
	struct tmp *tmps;
	size_t n_tmps, tmps_cap;
	struct stored stored, snapshot;
	struct intents *intents;
	struct replica_id id;
	unsigned lives;
	int64_t skew_ns;
	unsigned fail, deaf;
	bool full, picky, coarse, evil, halted, awake;
	bool rolled_back;
	bool went_back;        /* its index is an old copy, or was once */
	uint64_t evil_seed;
	uint64_t seen;         /* events of users that it knows of */
};

struct oracle;

struct sim {
	struct replica r[REPLICAS];
	unsigned n;
	struct link link[REPLICAS][REPLICAS];
	uint64_t rng, next_ino, next_tmp, hash, steps;
	content_t next_torn;
	int64_t wall_ns;
	uint64_t mono_ms;
	bool quiet_faults;   /* while it settles nothing fails */
	uint64_t forget_ms;  /* of all engines; UINT64_MAX: tombstones stay */
	bool trace;
	char fault[1024];    /* what came out wrong; "" while all is well */
	struct oracle *oracle;
};

/* Plays it. True if all went well; else *fault says what not (static). *hash: of all that happened. */
bool sim_play(const struct scenario *sc, bool trace, uint64_t *hash, const char **fault);

/* The tree in which the last play ended, as a number. */
uint64_t sim_tree(void);

void fault(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void note(struct sim *s, unsigned at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
uint64_t rnd(uint64_t *state);
unsigned below(struct sim *s, unsigned n);
bool fails(struct sim *s, const struct replica *r); /* does this call fail? */
void mix(struct sim *s, uint64_t value);            /* into the hash of all that happened */
void tell_time(struct sim *s, struct replica *r);
int64_t now_of(struct sim *s, const struct replica *r); /* a new moment on its wall clock */
void wake(struct replica *r);                       /* its engine was given an event */

/* ---- disk.c ---- */

struct object *disk_find(struct objects *d, const char *path);
bool path_under(const char *path, const char *dir);
void path_parent_of(const char *path, char out[PATH_CAP]);
const char *path_base_of(const char *path);
bool disk_has_parent(struct objects *d, const char *path);
bool disk_empty(const struct objects *d, const char *dir);
/* These change names (and note it in the journal): the object replaces whatever file has its path. */
struct object *disk_put(struct replica *r, const struct object *o);
void disk_del(struct replica *r, struct object *o);
void disk_move(struct replica *r, const char *from, const char *to, int64_t ctime);
void disk_swap(struct replica *r, const char *a, const char *b, int64_t ctime);
void disk_meta(struct replica *r, struct object *o);
void disk_sync(struct replica *r);                          /* all names */
void disk_sync_data(struct replica *r, struct object *o);   /* one file's content */
void disk_power_loss(struct sim *s, struct replica *r);     /* what is left of it */
void disk_release(struct replica *r);
void disk_describe(const struct object *o, struct found *f);
void content_hash(content_t c, uint8_t hash[HASH_SIZE]);
uint64_t content_size(content_t c);
/* Its bytes, for contents that are small enough to travel with their entry. */
void content_bytes(content_t c, struct buf *out);
bool content_parse(struct bytes b, content_t *out);
void target_text(content_t c, char out[32]);

/* ---- users.c ---- */

/* What `path` stands for on that disk: itself, or "#3", "~1". False: nothing. */
bool user_path(struct replica *r, const char *path, char out[PATH_CAP]);
void user_acts(struct sim *s, const struct step *step);
void hint_add(struct replica *r, const char *path, enum hint what);

/* ---- jobs.c ---- */

void job_keep(struct sim *s, struct replica *r, const struct action *a);
bool job_step(struct sim *s, struct replica *r); /* one step of one of them; false: there are none */
void jobs_drop(struct replica *r);               /* the program has ended */
void tmp_drop(struct sim *s, struct replica *r, uint64_t id);
/* Where in its work was the program, for cover.c. */
void jobs_cover(struct replica *r, bool power);
/* What recovery finds of ops of the life before; tells the engine. */
void intents_tell(struct sim *s, struct replica *r);
void intents_release(struct replica *r);
void stored_release(struct stored *st);
void node_path(const struct engine *e, node_t n, char out[PATH_CAP]);

/* ---- net.c ---- */

void net_send(struct sim *s, struct replica *r, const struct action *a);
bool net_step(struct sim *s, unsigned from, unsigned to);
void net_connect(struct sim *s, unsigned a, unsigned b);
void net_cut(struct sim *s, unsigned a, unsigned b);
void net_release(struct sim *s);
size_t net_waiting(const struct sim *s);

/* ---- byzantine.c ---- */

void message_forge(struct sim *s, struct replica *r, struct message *m);

/* ---- life.c ---- */

enum end_of_life { END_KILL, END_POWER, END_LOSE, END_ROLLBACK };
void life_begin(struct sim *s, struct replica *r, bool fresh);
void life_end(struct sim *s, struct replica *r);
void life_restart(struct sim *s, struct replica *r, enum end_of_life how);
void life_snapshot(struct replica *r);

/* ---- oracle.c ---- */

/* a.conflict-01020304-5.txt belongs to a.txt. */
void oracle_base(const char *path, char out[PATH_CAP]);
struct oracle *oracle_new(void);
void oracle_clear(struct oracle *o);
void oracle_free(struct oracle *o);
/* From now on: what a tombstone has seen may be forgotten. */
void oracle_forgets(struct sim *s);
/* A person put that content at that path, or took away what is shown there. */
void oracle_put(struct sim *s, const struct replica *r, const char *path, content_t c);
void oracle_take(struct sim *s, const struct replica *r, const struct object *o);
void oracle_written(struct sim *s, content_t c); /* bytes that exist from now on, but need not stay */
/* An op has put this there (CONTENT_EMPTY: nothing, or a folder); its engine hears of it (path NULL: of all,
 * or never). */
void oracle_placed(struct sim *s, const struct replica *r, const char *path, content_t c);
void oracle_told(struct sim *s, const struct replica *r, const char *path);
/* The engine has loaded its index. What was put back there since its last commit, where that says that it is, is
 * no change, whatever the life before had seen in between. */
void oracle_begins(struct sim *s, const struct replica *r);
void oracle_dir_removed(struct sim *s, const char *path);
/* The engine takes an object off this disk (or replaces it): may it? Before it is done. */
void oracle_displaces(struct sim *s, struct replica *r, const struct object *o);
void oracle_durable(struct sim *s, const struct replica *r, content_t c);
void oracle_before_power(struct sim *s, struct replica *r);
void oracle_after_power(struct sim *s, struct replica *r);
void oracle_index_lost(struct sim *s, const struct replica *r);
void oracle_rolled_back(struct sim *s);
void oracle_kept(struct sim *s); /* a person refused deletions */
/* An entry is announced. */
void oracle_announced(struct sim *s, const struct replica *r, const char *path, const struct state *st);
void oracle_step(struct sim *s);  /* S1, S5, S9: after every step */
void oracle_end(struct sim *s);   /* S10 - S12, S15: nothing is left to do */
bool oracle_storable(const struct replica *r, const char *path);
bool oracle_blocked(struct sim *s); /* something cannot be stored or carried somewhere */

/* ---- cover.c ---- */

#define ROWS(X)                                                                                    \
	X(SAME_CONTENT, "create/create, same content")                                             \
	X(CREATE_CREATE, "create/create, different")                                               \
	X(MODIFY_MODIFY, "modify/modify, different")                                               \
	X(THREE_WAY, "three-way")                                                                  \
	X(MODIFY_DELETE, "modify/delete")                                                          \
	X(DELETE_DELETE, "delete/delete")                                                          \
	X(MODIFY_RENAME, "modify a/rename a to b")                                                 \
	X(RENAME_RENAME, "rename a to b/rename a to c")                                            \
	X(RENAME_MEET, "rename a to c/rename b to c")                                              \
	X(FILE_DIR, "file/directory at one name")                                                  \
	X(LINK_FILE, "symlink/file")                                                               \
	X(LINK_LINK, "symlink/symlink")                                                            \
	X(DIR_DELETE_CHILD, "directory deleted/child created or modified")                         \
	X(DIR_RENAME_CHILD, "directory renamed/child modified")                                    \
	X(DIRS_CROSSED, "directories moved into each other")                                       \
	X(CHMOD_MODIFY, "chmod/modify")                                                            \
	X(CHMOD_DELETE, "chmod or touch/delete")                                                   \
	X(TOUCH, "touch, same content")                                                            \
	X(CASE_RENAME, "case-only rename")                                                         \
	X(DATE_BACK, "mtime goes back, same size and mtime")                                       \
	X(GRANULE, "change within the clock's granularity")                                        \
	X(BUSY, "file changes while it is read or is open")                                        \
	X(CLOCK, "clocks skewed or jumping")                                                       \
	X(NOT_CARRIED, "not carried in a deleted directory")                                       \
	X(ROOT_GONE, "root missing")                                                               \
	X(UNREADABLE, "directory unreadable")                                                      \
	X(LOST, "database lost")                                                                   \
	X(ROLLED_BACK, "rolled back to a snapshot")                                                \
	X(NOT_STORABLE, "name not storable")                                                       \
	X(K_LIST, "crash while listing")                                                           \
	X(K_LOOK, "crash while looking")                                                           \
	X(K_FETCH, "crash while fetching")                                                         \
	X(K_OP_BEFORE, "crash before an op")                                                       \
	X(K_OP_BETWEEN, "crash between two ops")                                                   \
	X(K_OP_UNSYNCED, "crash after ops, before they are synced")                                \
	X(K_OP_UNTOLD, "crash after ops, before the engine hears")                                 \
	X(K_STORE_BEFORE, "crash before a commit")                                                 \
	X(K_STORE_UNTOLD, "crash after a commit, before the engine hears")                         \
	X(K_ANNOUNCE, "crash while messages are under way")                                        \
	X(K_POWER, "power loss with changes not synced")                                           \
	X(K_RECOVERY, "crash right after a start")

enum row_of_tables {
#define X(id, text) MET_##id,
	ROWS(X)
#undef X
	ROWS_N
};

void cover(enum row_of_tables row);
/* A person acts: `seen` are the events known there before. Returns the event's bit. */
uint64_t cover_event(uint64_t seen, unsigned at, enum what what, const char *path, const char *to,
                     content_t c, bool created, bool dir);
void cover_begin(void); /* a new history */
void cover_end(void);   /* it is over: its pairs are counted */
void cover_print(FILE *to);
bool cover_enough(uint64_t least, FILE *to); /* else says what is missing */

/* ---- mutants.c ---- */

bool mutant_set(const char *name); /* false: there is none of that name */
void mutants_print(FILE *to);

/* ---- shrink.c ---- */

/* Plays it in a process of its own, so that it may do anything. True if all went well. */
bool play_apart(const struct scenario *sc, char why[1024]);
void scenario_shrink(struct scenario *sc);

#endif
