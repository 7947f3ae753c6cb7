/*
 * The heart: one replica as a state machine without I/O. Events go in (something was listed, looked
 * at, applied, stored; a peer said this; the time is now), actions come out of engine_next() in
 * order. It never opens, sends, waits or asks the time, so the same code runs in tuttid and in a
 * simulator.
 *
 * Contract
 * - One thread. Inputs are borrowed for the call, unless said otherwise. What an action points to is
 *   valid until the next engine_next() or event.
 * - After every event call engine_next() until it returns false, and carry the actions out in that
 *   order. Every action with a `job` is answered once, in any order, by the matching event.
 * - Before each event tell the time with engine_time(). engine_deadline() says when engine_tick() is
 *   due at the latest.
 * - An entry is announced only after the ACT_STORE that holds it was answered.
 */
#ifndef TUTTI_ENGINE_H
#define TUTTI_ENGINE_H

#include "table.h"
#include "tree.h"
#include "world.h"

struct engine;

struct engine_config {
	struct replica_id id;     /* this replica's */
	const char *name;         /* shown to people; copied */
	uint64_t counter;         /* the highest ever used: the next change gets counter + 1 */
	uint64_t hash_seed;       /* random, against hostile names */
	uint64_t life;            /* random, drawn anew at each start, never 0: a copy of an old index that
	                             goes on counting gives out the same numbers in another life */
};


struct engine *engine_new(const struct engine_config *config);
void engine_free(struct engine *e);
/* Every file is read again in this time, one by one while there is nothing else to do; 0: never, as
 * long as nothing else is said. */
void engine_rehash(struct engine *e, uint64_t ms);
/* As many paths are taken from one peer, and as many KiB of what it says of them; who sends more is
 * dropped. 0: no limit, as long as nothing else is said. */
void engine_entries_max(struct engine *e, uint64_t n);
/* Until then, in mono ms, this replica's id is known to be as new as it seems: who claims to have seen
 * changes of it that it never made is dropped, and is no reason to begin anew. */
void engine_id_is_new(struct engine *e, uint64_t until_ms);

/* Tombstones go when this replica has had them for so long, and every member is known to have them as
 * well; UINT64_MAX: never, as long as nothing else is said. */
void engine_forget(struct engine *e, uint64_t ms);

/* wall: ns since 1970, for ranks and events. mono: ms, only grows. */
void engine_time(struct engine *e, int64_t wall_ns, uint64_t mono_ms);
uint64_t engine_deadline(const struct engine *e); /* mono ms; UINT64_MAX: nothing is due */
void engine_tick(struct engine *e);

/* ---- loading what was stored; before engine_start() ---- */

/* How far the index of a replica was merged (directly) and known (relayed), and in which lives of it
 * those two numbers were given out; 0: not known. */
struct seen {
	struct replica_id id;
	uint64_t merged, known;
	uint64_t merged_life, known_life;
};
/* A replica that was known: its number in the records, its name, what was seen of it. Number 0 is this
 * replica; `known` is then what engine_replica() said, too. 0 or -EPROTO. */
int engine_load_replica(struct engine *e, rep_t num, const struct seen *seen, const char *name);
/* The lives of this replica as engine_lives() made them. 0 or -EPROTO: they make no sense. */
int engine_load_lives(struct engine *e, struct bytes record);
/* One stored record as engine_record() made it. 0 or -EPROTO (a damaged database: start anew). */
int engine_load(struct engine *e, struct bytes path, struct bytes record);
/* An op of an earlier life was carried out, and perhaps not stored. `record`: of the op; `from`: where a
 * SOURCE_MOVE took it from, else empty; `found`: the object as the op left it (ctime_ns 0 if not known),
 * KIND_ABSENT after a deletion. What the index knows already, or something newer, stays: calling it
 * again, or in another order, changes nothing. 0 or -EPROTO (a damaged record). */
int engine_load_applied(struct engine *e, struct bytes path, struct bytes from, struct bytes record,
                        const struct found *found);
/* How far the first walk of an index has come, ever since the database was made. */
enum index_state {
	INDEX_WALKED, /* all that the root shows was looked at once */
	INDEX_NEW,    /* not yet; the root was never served before */
	INDEX_LOST,   /* not yet; it was, so what is found there may be old: peers know, perhaps */
};
/* All is loaded: begins the first walk of this life. */
void engine_start(struct engine *e, enum index_state index);
/* What the next engine_start() is to be told once the ACT_STORE that was handed out last is durable. */
enum index_state engine_index_state(const struct engine *e);

/* ---- actions ---- */

enum action_type {
	ACT_LIST,    /* list folder `path`, watch it -> engine_listed */
	ACT_LOOK,    /* looks[n] -> engine_looked */
	ACT_FETCH,   /* fetch content (path, hash, size) from `peer` into a temporary file -> engine_fetched */
	ACT_CANCEL,  /* the fetch `job` is not wanted any more; it is still answered */
	ACT_APPLY,   /* ops[n] -> engine_applied */
	ACT_DROP_TMP,/* the finished temporary file `tmp` is not needed */
	ACT_STORE,   /* make nodes[n] (engine_record), replicas (engine_replica), engine_counter(), engine_lives()
	                and engine_index_state() durable in one transaction -> engine_stored */
	ACT_INDEX,   /* send own entries nodes[n] (engine_entry), `to`, `more` to `peer` -> engine_index_sent */
	ACT_HAVE,    /* send what replica `rep` holds of nodes[n] (engine_held), `to` to `peer` -> engine_index_sent */
	ACT_SYNC,    /* send the sync message to `peer`: for each replica engine_seen() */
	ACT_ACK,     /* send ack `to` to `peer` */
	ACT_REPORT,  /* send the report of replica `rep` (engine_report) to `peer` */
	ACT_DROP,    /* end the connection with `peer`; `text` says why; answered by engine_peer_down */
	ACT_EVENT,   /* tell the clients: event, path, rep, text; what the path showed before and after */
	ACT_ROLLED_BACK, /* `text`, a peer, has seen numbers of this replica that it does not know itself, or that
	                it gave out in another life: this index is an old copy. Comes once, and nothing after
	                it: begin anew with a new id */
	ACT_WALKED,  /* the walk with number `job` (engine_walk) is done: looked, changed, text = error or NULL */
};

/* What people are told. */
#define ENGINE_EVENTS(X)                                                                           \
	X(CREATED, "created")   /* by somebody here */                                             \
	X(CHANGED, "changed")                                                                      \
	X(DELETED, "deleted")                                                                      \
	X(MOVED, "moved")       /* from: the old path */                                            \
	X(FOUND_NEW, "found new") /* by the first walk since the start: done before that, perhaps */ \
	X(FOUND_CHANGED, "found changed")                                                          \
	X(FOUND_GONE, "found gone")                                                                \
	X(RECEIVED, "received") /* a peer's change is on this disk; rep made it */                 \
	X(REMOVED, "removed")   /* a peer's deletion was carried out here */                       \
	X(CONFLICT, "conflict") /* text: the copy's name */                                        \
	X(FAILED, "failed")     /* text: why */                                                    \
	X(HELD, "held")         /* so many deletions at once, from rep, that a person is asked */         \
	X(SCANNED, "scan")      /* text: what the walk found */                                    \
	X(NOTE, "note")

enum engine_event {
#define X(id, text) EVENT_##id,
	ENGINE_EVENTS(X)
#undef X
	ENGINE_EVENTS_N
};
const char *engine_event_text(enum engine_event ev);

struct index_node {
	node_t node;
	uint64_t seq;    /* as it is announced; skip the node if engine_entry says otherwise */
	bool with_data;  /* small, and the peer surely lacks it: send the content along */
};

struct action {
	enum action_type type;
	uint64_t job;
	unsigned peer;
	rep_t rep;
	struct bytes path;
	struct bytes from;           /* ACT_LIST: unused; ACT_EVENT MOVED: the old path */
	struct look *looks;          /* the world copies what it needs */
	struct op *ops;
	const node_t *nodes;
	const struct index_node *index;
	size_t n;
	uint64_t to;
	bool more;
	bool idle;                   /* ACT_LOOK: nobody waits for it */
	const uint8_t *hash;
	uint64_t size;
	uint64_t tmp;
	enum engine_event event;
	uint64_t old_size, new_size;             /* ACT_EVENT: of a file or symlink before and after */
	const uint8_t *old_hash, *new_hash;      /* NULL: none, or a folder */
	const char *text;
	uint64_t looked, changed;
};

bool engine_next(struct engine *e, struct action *out);

/* ---- answers and what the disk says ---- */

/* error: a negative errno (nothing below is then taken as deleted; -ENOENT and -ENOTDIR mean that the
 * folder itself has gone), or 0 and all names of the folder. `unwatched`: no watch could be set, or none that
 * tells all. */
void engine_listed(struct engine *e, uint64_t job, int error, const struct listed *items, size_t n,
                   bool unwatched);
/* The same n looks in the same order, with results. Takes ownership of each found.target. */
void engine_looked(struct engine *e, uint64_t job, struct look *looks, size_t n);
/* The same n ops in the same order, with results. */
void engine_applied(struct engine *e, uint64_t job, const struct op *ops, size_t n);
/* 0 and the number of the temporary file; else an error: the peer has gone, -ENODATA: it does not
 * have that, -EBADMSG: wrong content, or of the disk. */
void engine_fetched(struct engine *e, uint64_t job, int error, uint64_t tmp);
void engine_stored(struct engine *e, uint64_t job);
/* Changes that must be stored, counted since the start; and how many of them, in order, are durable. What
 * had happened when engine_changes() said n is durable once engine_changes_stored() says n or more. */
uint64_t engine_changes(const struct engine *e);
uint64_t engine_changes_stored(const struct engine *e);
void engine_store_failed(struct engine *e, uint64_t job, const char *why); /* tries again later */

/* The watch: `name` in folder `dir` (both known to the tree by number or name). */
enum hint {
	HINT_CHANGED, /* closed after writing */
	HINT_TOUCHED, /* moved in, or its attributes changed: what has the same stamps is the same */
	HINT_CREATED, /* a writer may still have it open */
	HINT_WRITING, /* written to, and still open */
	HINT_GONE,    /* deleted or moved away; something else may have the name */
	HINT_LIST,    /* of the folder itself: events may have been missed */
};
void engine_hint(struct engine *e, node_t dir, struct bytes name, enum hint what);
/* from_dir/from became to_dir/to: contents whose stamps agree are not read again. */
void engine_moved(struct engine *e, node_t from_dir, struct bytes from, node_t to_dir, struct bytes to);
/* What is announced of `path` could not be read from the disk: it is looked at again. */
void engine_doubt(struct engine *e, struct bytes path);
/* Walks `path` ("" = all) and compares every object; ACT_WALKED carries the number that it returns. */
uint64_t engine_walk(struct engine *e, struct bytes path);
/* How far it has come; false (and nothing said) if it is over. */
bool engine_walking(const struct engine *e, uint64_t walk, uint64_t *looked, uint64_t *changed);
/* Lists the folders that have no watch now, not when their time comes. */
void engine_list_unwatched(struct engine *e);
/* The root is gone (text says how), or is back (NULL): no list or look is believed meanwhile. */
void engine_halt(struct engine *e, const char *why);

/* ---- peers; `peer` is the caller's number for a connection, small, unique while it is up ---- */

/* -EEXIST: that replica is connected already; -EPERM: it is this replica itself; -EMFILE: too many. */
int engine_peer_up(struct engine *e, unsigned peer, const struct replica_id *id, const char *name,
                   const char *address, uint64_t seq);
/* Right after engine_peer_up(): what this peer announces is known of it, as far as to say what it
 * holds and to fetch contents from it, but changes nothing here. */
void engine_peer_reader(struct engine *e, unsigned peer);
/* The same the other way round: this peer says that it takes no changes from here. */
void engine_peer_deaf(struct engine *e, unsigned peer);
void engine_peer_down(struct engine *e, unsigned peer);
/* A replica of which the caller knows whose it is: it is not given up for gone because another one comes under
 * its name. Else that is what a replica looks like that has lost its index. */
void engine_guard(struct engine *e, rep_t rep, bool guarded);

void engine_peer_sync(struct engine *e, unsigned peer, const struct seen *seen, size_t n);

struct index_entry {
	struct bytes path;
	uint64_t seq;
	struct state state; /* with interned reps (engine_intern); the engine takes it over */
	struct bytes data;  /* content of the winner, if it came along */
};
/* `life`: in which it gave out number `to`; 0: it does not say. Non-zero: the peer broke the protocol
 * (text in *why); end the connection. States are taken over (and left empty) in any case. */
int engine_peer_index(struct engine *e, unsigned peer, uint64_t to, uint64_t life, bool more,
                      struct index_entry *entries, size_t n, const char **why);

struct held_entry {
	struct bytes path;
	uint64_t seq;
	uint64_t stamp;   /* state_stamp() of what it holds */
	uint32_t content; /* first four bytes (big endian) of the winner's hash; 0: none */
	uint8_t kind;
};
int engine_peer_have(struct engine *e, unsigned peer, rep_t rep, uint64_t to, uint64_t life,
                     const struct held_entry *entries, size_t n, const char **why);
void engine_peer_ack(struct engine *e, unsigned peer, uint64_t to);

struct problem {
	struct bytes path;
	struct bytes reason;
	bool held; /* nothing failed: a deletion waits for a word */
};
/* A replica's word about itself. */
struct report {
	struct replica_id id;
	uint64_t n;             /* version; a newer one replaces an older one */
	struct bytes name, address;
	uint64_t pending, pending_bytes, files, bytes;
	uint64_t n_problems, n_held; /* n_held of the n_problems are no failures: see struct problem */
	const struct problem *problems;
	size_t n_listed;        /* of problems[] */
	const struct replica_id *links; /* who is connected to it */
	size_t n_links;
};
int engine_peer_report(struct engine *e, unsigned peer, const struct report *r, const char **why);
void engine_index_sent(struct engine *e, unsigned peer); /* the last ACT_INDEX/ACT_HAVE left the queue */

/* The number of a replica id, made if it is new; -EMFILE when there are REPLICAS_MAX. */
int engine_intern(struct engine *e, const struct replica_id *id);
/* So much came in that peers should not be read for a while. */
bool engine_congested(const struct engine *e);

/* ---- what can be asked ---- */

const struct tree *engine_tree(const struct engine *e);
struct rows *engine_rows(struct engine *e);
uint64_t engine_counter(const struct engine *e);
/* How far its index is durable: what a peer is told in `hello`. Numbers above may be used anew after a crash. */
uint64_t engine_seq(const struct engine *e);
const struct replica_id *engine_ids(const struct engine *e); /* indexed by rep_t */
size_t engine_replicas(const struct engine *e);              /* interned ids, 0 .. n-1 */
/* The lives in which this replica gave out numbers, for the database, appended to *out. The last of them
 * is *newest, 0 if there are none: as long as that is the same, so are all. */
void engine_lives(const struct engine *e, struct buf *out, uint64_t *newest);
/* In which life a replica gave out that number; 0: not known. */
uint64_t engine_life(const struct engine *e, rep_t rep, uint64_t number);

struct replica_info {
	const struct replica_id *id;
	const char *name;         /* "" if it was never heard of by name */
	const char *address;
	uint64_t merged, known;   /* how far its index was merged directly, and is known at all */
	uint64_t merged_life, known_life; /* in which lives of it these were given out; 0: not known */
	uint64_t seq;             /* its highest sequence number that we heard of */
	uint64_t acked;           /* our index up to here is durable there (direct peers) */
	uint64_t differ;          /* paths whose state there is not ours */
	uint64_t pending, pending_bytes, files, bytes;
	uint64_t n_problems, n_held; /* what fails there; the deletions that wait there for a word */
	int peer;                 /* connection number, or -1 */
	rep_t via;                /* reached through this replica, if not directly; 0: not */
	bool member;              /* has (or had) a tree of its own: a column of the table */
	bool reachable;
	/* All that goes between us is there, and what differs stays so, as changes are not taken: */
	bool not_taken;           /* those that were made there, by us: engine_peer_reader() */
	bool takes_nothing;       /* ours, by it: engine_peer_deaf() */
};
struct replica_info engine_replica(const struct engine *e, rep_t rep);
/* What is to be stored of it. */
static inline struct seen seen_of(const struct replica_info *r)
{
	return (struct seen){*r->id, r->merged, r->known, r->merged_life, r->known_life};
}
/* What a peer is told was seen of it: `known` as well as it is not stored yet, since with this program the
 * connection ends, too. */
struct seen engine_seen(const struct engine *e, rep_t rep);

/* The columns of the table: numbers of the members, this replica first, then by name. Returns n. */
size_t engine_members(const struct engine *e, rep_t *out, size_t cap);

/* Is there anything to be stored of a node? Else its row goes. */
bool engine_recorded(const struct engine *e, node_t n);
/* The record for the database, appended to *out. */
void engine_record(const struct engine *e, node_t n, struct buf *out);
/* What is announced of a node: its state, sequence number, and for its content the disk's stamp.
 * NULL if it has none. Valid until the next event. */
struct entry_view {
	const struct state *state;
	uint64_t seq;
	const struct head *shown; /* the head on the disk, NULL if none or a folder by its children */
	uint64_t stamp;
	uint8_t disk_kind;
};
bool engine_entry(const struct engine *e, node_t n, struct entry_view *out);
bool engine_held(const struct engine *e, rep_t rep, node_t n, struct held_entry *out); /* path not set */
/* A path whose content on this disk has that hash and may be served: its node, or NODE_NONE. */
node_t engine_find_content(const struct engine *e, const uint8_t hash[HASH_SIZE]);
struct report engine_report(struct engine *e, rep_t rep); /* valid until the next event */

/* For clients: one character a member (in the order of engine_members), and the exception in words. */
void engine_cells(const struct engine *e, node_t n, struct buf *out);
void engine_note(const struct engine *e, node_t n, struct buf *out);
/* All heads at a path, as they will be (merged) rather than as they are. NULL if none. */
const struct state *engine_target(const struct engine *e, node_t n);
/* ---- conflicts ---- */

/* One of the contents at a path in conflict. */
struct version_view {
	const struct head *head; /* NULL: a folder that is there by what it holds */
	node_t node;             /* under which it lies, or will: the path itself, or its copy */
	uint8_t kind;
	bool here;               /* the disk shows it, and nothing is under way there */
};
enum { ENGINE_VERSIONS_MAX = HEADS_MAX + 1 };
/* First what has the name, then every other content that has a copy, in no order; 0: there is no
 * conflict. Heads are valid until the next event. */
size_t engine_versions(struct engine *e, node_t n, struct version_view out[ENGINE_VERSIONS_MAX]);
/* A number for what is known of a path: another one when that changes. 0: nothing is. */
uint64_t engine_stamp(const struct engine *e, node_t n);
/* The first paths in conflict in the order of names, at `under` or below it, that come after `after` (if
 * that is not empty). How many, at most `max`. */
size_t engine_conflicts(const struct engine *e, node_t under, struct bytes after, node_t *out,
                        size_t max);

/* These and no others (by number, each once) are shown as conflicts although their heads are none: people
 * settled them, and took that back. The caller knows which, and tells it whenever it may be others. */
void engine_reopened(struct engine *e, const node_t *nodes, size_t n);

/* Reasons: calls back for each problem of each replica, until it returns false. What keeps a whole replica
 * from taking part is a problem of its root, "". */
void engine_problems(const struct engine *e, bool (*cb)(void *ctx, rep_t rep, const struct problem *p),
                     void *ctx);

/* Deletions that wait for a person's word: too many at once. */
struct held_set {
	uint64_t id;      /* of exactly these paths as they are now; another set has another id */
	rep_t from;       /* 0: they were found missing on this disk; else the peer that told us */
	int64_t since_ns; /* wall time */
	size_t n;
	uint64_t bytes;
};
/* The sets there are, at most one of each replica; returns how many. */
size_t engine_held_sets(const struct engine *e, struct held_set *out, size_t cap);
/* The nodes of the set that is `from` there, in order of their paths. Returns how many; *out is the
 * caller's to free. */
size_t engine_held_nodes(const struct engine *e, rep_t from, node_t **out);
/* A person has decided: they are carried out, or undone. What is missing here and held by nobody any
 * more cannot be undone; so many are *left. -ESTALE: there is no such set, or it has changed. */
int engine_held_decide(struct engine *e, uint64_t id, bool carry_out, size_t *left);

struct engine_status {
	uint64_t files, bytes, rows, conflicts, problems;
	uint64_t held;                   /* deletions that wait here for a word; counted in problems too */
	uint64_t pending, pending_bytes; /* wanted here */
	uint64_t looking;                /* lists and looks queued or running, files that rest not yet */
	uint64_t writing;                /* the latter: they are looked at when they rest, or now and then */
	uint64_t unstored;
	uint64_t unwatched;              /* folders that are walked because no watch could be set */
	bool scanning;                   /* a walk runs */
	bool settled;                    /* nothing is queued, running or unsaid here */
	bool agree;                      /* settled, and every connected or reachable replica holds the same */
	bool in_sync;                    /* agree, nothing is blocked, and every member is reachable */
	const char *halted;              /* why the root is not believed, or NULL */
};
struct engine_status engine_status(const struct engine *e);

#endif
