/*
 * What the files of the engine share: its structures, and the one function that changes a path.
 *
 *	engine.c         life, loading, records, slot_update(), actions in their order
 *	engine_disk.c    walks, looks, hints; what somebody here changed
 *	engine_plan.c    what the disk lacks: copies, folders, contents, deletions
 *	engine_held.c    deletions that are too many at once
 *	engine_forget.c  tombstones that all have
 *	engine_found.c   what is found when an index was lost
 *	engine_peer.c    indexes in and out, reports, who is reachable
 *	engine_view.c    rows, cells, notes, status
 *	engine_conflict.c  what lies in conflict, under which names
 *
 * Every path has a slot. `have` is what the disk shows durably and what is announced; `want` is there
 * only while the merged state (the target) is something else that the disk has yet to show.
 */
#ifndef TUTTI_ENGINE_INTERNAL_H
#define TUTTI_ENGINE_INTERNAL_H

#include "engine.h"
#include "mutants.h"
#include "nodemap.h"

#ifdef TUTTI_MUTANTS            /* the simulator's few files are to need several batches as well */
#define LOOK_BATCH_MAX 3
#define APPLY_BATCH_MAX 4
#define STORE_BATCH_MAX 3
#define INDEX_BATCH_MAX 3
#else
#define LOOK_BATCH_MAX 64
#define APPLY_BATCH_MAX 256
#define STORE_BATCH_MAX 4096
#define INDEX_BATCH_MAX 2000
#endif
#define LIST_JOBS_MAX 4
#define LOOK_JOBS_MAX 3         /* batches from walks */
#define LOOK_FRESH_JOBS_MAX 2   /* batches from hints, so that they never wait behind a walk */
#define LOOK_BATCH_BYTES (16u << 20)
#define APPLY_JOBS_MAX 2
#define APPLY_BATCH_BYTES (4u << 20)
#define FETCH_JOBS_MAX 32
#define INDEX_BATCH_BYTES (192u << 10)
#define INDEX_INFLIGHT_MAX 2
#define INLINE_MAX (16u << 10)        /* contents up to here travel with their entry */
#define DATA_HELD_MAX (32u << 20)     /* such contents in memory before peers are not read any more */
#define RACY_NS 2000000000            /* stamps this fresh are looked at again by the next walk */
#define GRANULE_MS 20                 /* and those before something takes their file away: a clock's step is less */
#define GRANULE_NS (GRANULE_MS * INT64_C(1000000))
#define CREATED_WAIT_MS 40            /* a new file whose writer has not closed it */
#define QUIET_MS 2000                 /* an open file that rests this long is looked at */
#define CEILING_MS 30000              /* an open file that never rests is looked at */
#define UNWATCHED_MS 60000            /* folders without a watch are listed again */
#define BURST_MS 1000                 /* how long deletions wait for the rest of a batch */
#define FORGET_MS 60000               /* all must be there so long before a lost content is given up */
#define REPORT_MS 250                 /* between reports of this replica */
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 300000
#define REHASH_BEHIND_MS 86400000     /* so much of the reading again is made up for */
#define REREAD_MIN_MS 1000            /* what could not be read is tried again */
#define PROBLEMS_SENT_MAX 1000
#define PEERS_MAX 64
#define EVENTS_QUEUED_MAX 4096

/* What another replica holds at a path. seq 0: nothing is known. */
struct held {
	uint64_t seq;
	uint64_t stamp;
	uint32_t content;
	uint8_t kind;
};

enum phase {
	PHASE_QUEUED,
	PHASE_DEFERRED,   /* until the burst of announcements is over */
	PHASE_WAITING,    /* for a copy, a folder, children, another path's content */
	PHASE_FETCHING,
	PHASE_APPLYING,
	PHASE_NO_HOLDER,  /* no connected peer has the content */
	PHASE_RETRY,      /* failed; again at retry_ms */
};

struct want {
	struct state target;
	uint8_t *data;          /* content that came along */
	size_t data_len;
	uint8_t data_hash[HASH_SIZE];
	uint64_t tmp;           /* finished temporary file of tmp_hash; 0: none */
	uint8_t tmp_hash[HASH_SIZE];
	uint64_t retry_ms;
	uint64_t tried;         /* peers that did not have the content: bit = number of the peer */
	struct dot derived;     /* the head of a conflict copy that so far only this replica asked for */
	node_t taken;           /* the path whose file has this name as well, by another spelling; or NODE_NONE */
	node_t source;          /* the path whose file is to move here, claimed; or NODE_NONE */
	uint16_t tries;
	uint8_t phase;
	bool no_local;          /* a local copy failed: fetch */
	bool again;             /* read_again(): that look ends the doubt, whatever the wall clock does */
	enum { UNSURE, ASKED, SURE } sure; /* that the disk shows what it did when the target was learnt */
	bool meta;              /* the content is there, with another date or other permissions */
	bool has_data;
};

enum {
	F_RACY = 1 << 0,     /* stamped so recently that the next walk must read it again */
	F_BUSY = 1 << 2,     /* being written */
	F_LOOK_QUEUED = 1 << 3,
	F_LOOKING = 1 << 4,
	F_LOOK_AGAIN = 1 << 5,
	F_PLAN_QUEUED = 1 << 6,
	F_JOB = 1 << 7,      /* an op or a fetch runs */
	F_PLAN_AGAIN = 1 << 8,
	F_DIRTY = 1 << 9,    /* to be stored */
	F_STORING = 1 << 10,
	F_CLAIMED = 1 << 11, /* its file is to move elsewhere: do not delete it yet */
	F_UNWATCHED = 1 << 12,
	F_IN_CONTENT = 1 << 13,
	F_MOVED = 1 << 14,   /* here already: the move is told instead of the creation or deletion */
};

/* What waits to be deleted, here or by an op (engine_held.c). */
enum going {
	GOING_STAYS,            /* nobody deletes it; or by our own word */
	GOING_WAVE,             /* not judged yet */
	GOING_HELD,             /* waits for a person */
	GOING_ALLOWED,          /* an op may delete it */
	GOING_N,
};

struct slot {
	struct state *have;
	struct want *want;
	struct held *held;      /* of replica r at [r - 1] */
	uint64_t seq;           /* of have */
	uint64_t stamp;         /* what the disk shows, as last seen */
	int64_t ctime_ns;       /* while nothing is there: when its tombstone was learnt, wall time; 0: just now */
	uint32_t content_next;  /* chain of equal buckets in the content map */
	uint32_t live;          /* children that are live in the target */
	uint16_t mode;
	uint16_t flags;
	uint8_t kind;           /* enum kind or KIND_OTHER */
	uint8_t n_held;
	bool read : 1;          /* the queued look must read the content, whatever the stamps say */
	bool leftover : 1;      /* a deleted folder that stays for what is not carried in it */
	bool below : 1;         /* a folder: what is in it is not known to be what was last seen there */
	bool missing : 1;       /* the disk does not show it any more, and that is no event yet */
	bool replaced : 1;      /* and shows something else there */
	uint8_t going : 2;      /* enum going */
	bool told_again : 1;    /* a tombstone that was announced once more, to no avail so far */
	bool doubt : 1;         /* read so soon after its last change that another one need not show */
	bool unread : 1;        /* the first walk of the index could not read it */
};

struct log_item {
	uint64_t seq;
	node_t node;
};

/* What was announced by a replica, in order; items whose node has moved on are skipped. */
struct index_log {
	struct log_item *items;
	size_t n, cap;
};

struct queue {
	struct queue_item {
		node_t node;
		uint32_t walk; /* 0: of no walk */
	} *items;
	size_t head, n, cap; /* items[head .. head + n) */
};

void queue_push(struct queue *q, node_t node, uint32_t walk);
bool queue_pop(struct queue *q, struct queue_item *out);
struct queue_item queue_take(struct queue *q, size_t i); /* the i-th from the front, i < n */
void queue_release(struct queue *q);

struct timer {
	uint64_t due_ms;
	node_t node;
	uint8_t what; /* enum timer_what */
};
enum timer_what { TIMER_LOOK, TIMER_RETRY, TIMER_REREAD };

/* Paths that failed on one replica, with reasons. */
struct problems {
	struct problem_item {
		node_t node;
		char *reason; /* owned */
		bool held;    /* nothing failed: a deletion waits for a word there */
	} *items;
	size_t n, cap;
	struct nodemap at; /* node -> index into items */
};

/* The numbers above `after` were given out in the life `id` of this replica, up to where its next begins. */
struct life {
	uint64_t id, after;
};
enum { LIVES_MAX = 4096 }; /* the newest; of older numbers it is not known in which life they were made */

/* Durable only once all that was dirty when it was noted has been stored. */
struct watermark {
	uint64_t now;        /* as it is in memory */
	uint64_t safe;       /* as it may be stored */
	uint64_t pending;    /* becomes safe ... */
	uint64_t pending_at; /* ... when so many changes are stored; 0: none pending */
	/* In which life of the replica each of the three was given out; 0: not known. */
	uint64_t now_life, safe_life, pending_life;
};

struct nodes {
	node_t *items;
	size_t n, cap;
};

/* Deletions that belong together: of replica 0 what is missing on this disk, else what that peer has
 * told us. */
struct wave {
	struct nodes fresh;  /* GOING_WAVE */
	struct nodes held;   /* GOING_HELD */
	uint64_t base;       /* entries that the disk showed when it began */
	uint64_t base_ms;
	uint64_t seq, mark;  /* our counter some time before, and at mark_ms, which comes after that */
	uint64_t mark_ms;
	uint64_t counted;    /* deletions of it that were judged */
	uint64_t begun_ms, last_ms; /* first and last of `fresh` */
	int64_t since_ns;    /* wall time when the first of `held` was held */
	size_t asked;        /* how many were held when that was last judged */
	uint64_t updates;    /* of the engine then */
	uint64_t due_ms;     /* holding it was put off until then; 0: it was not */
};

struct replica {
	struct index_log log;       /* of replica 0: own entries; else what is known of it */
	struct watermark merged, known;
	uint64_t seq, acked, n_held, n_both, n_equal, n_tombs; /* n_tombs: of ours, that it has something of */
	char *name, *address;
	uint64_t report_sum;        /* of others: a sum of the numbers in their report */
	uint64_t report_n, pending, pending_bytes, files, bytes;
	uint64_t n_problems, n_asked; /* n_asked of the n_problems: deletions that wait there for a word */
	struct problems problems;
	struct wave wave;
	rep_t *links;
	size_t n_links;
	int peer;
	rep_t via;
	bool member, reachable;
	enum { NOTED_NOT, NOTED_STORING, NOTED } noted; /* is it in the index that it is a member? */
	bool retired;               /* it lost its index, and has another id now */
	bool guarded;               /* engine_guard() */
	uint64_t made, weight;      /* by what it said: paths that were not known, bytes of states */
};

struct peer {
	bool up, synced, dropped;
	rep_t rep;
	unsigned inflight;          /* ACT_INDEX and ACT_HAVE not yet sent */
	uint64_t sent_to;           /* own index */
	uint64_t *relayed_to;       /* known index of each replica */
	uint64_t *reports_sent;     /* report number of each replica */
	size_t n_reps;              /* of the two above */
	bool reader;                /* what it changes is not taken */
	bool deaf;                  /* it takes nothing that was changed here */
	bool index_complete;        /* its index was read to the end once */
	bool burst;                 /* more entries are on their way from it */
	bool told_more;             /* it was told so by us */
	bool send_sync;
	uint64_t ack_due, ack_sent;
	char *drop_reason;
};

struct job_op {
	node_t node, from;          /* from: SOURCE_MOVE, else NODE_NONE */
	node_t copied;              /* SOURCE_COPY, else NODE_NONE */
	struct state target;        /* what the disk shows when the op has been done */
	enum op_type type;
	enum op_source source;
};

enum job_type { JOB_LIST, JOB_LOOK, JOB_FETCH, JOB_APPLY, JOB_STORE };

struct job {
	uint64_t id;
	enum job_type type;
	node_t *nodes;
	uint32_t *walks;            /* of each node, for LIST and LOOK */
	struct job_op *ops;
	size_t n;
	unsigned peer;              /* FETCH */
	uint8_t hash[HASH_SIZE];    /* FETCH */
	uint64_t size;
	bool fresh, cancelled;
	int64_t asked_ns;           /* LOOK: wall time when it began */
};

struct walk {
	uint32_t id;
	node_t node;
	uint64_t outstanding, looked, changed;
	char *error;
	bool first;                 /* since the start of the program; or of what that one could not read */
	uint64_t found;             /* changes when all was looked at; 0: not yet */
};

struct move {
	node_t from, to;
	size_t outstanding;         /* folders of the new tree still to be listed */
};

/* What a path shows to people; hash only if it is a file or symlink. */
struct shown {
	uint64_t size;
	uint8_t hash[HASH_SIZE];
	bool any;
};

/* A head that was consumed at another name while an op ran here. */
struct consumed {
	node_t node;
	struct dot dot;
	bool if_gone;               /* only if the op has taken its content from the disk */
};

struct queued_event {
	enum engine_event event;
	node_t node, from;          /* from: MOVED, else NODE_NONE */
	rep_t rep;
	struct shown before, after;
	char *text;                 /* owned, may be NULL */
};

struct engine {
	struct tree *tree;
	struct rows *rows;
	struct slot *slots;         /* by node */
	size_t n_slots, slots_cap;
	uint32_t *content_buckets;
	size_t content_cap, content_n;

	struct replica_id *ids;     /* by rep_t */
	struct replica *reps;
	size_t n_reps;
	uint64_t counter;
	uint64_t counter_storing, counter_stored; /* nothing above is announced: it could be used again */
	struct life *lives;         /* of this replica, the oldest first, each with numbers of its own */
	size_t n_lives, lives_cap;
	struct life life;           /* this one; among them once it has given out a number */
	uint64_t n_have;            /* nodes with a state */
	uint64_t n_tombs;           /* of these: tombstones */
	char *name;

	int64_t wall_ns;
	uint64_t mono_ms;

	struct peer peers[PEERS_MAX];
	struct queue lists, looks, fresh_looks, plans, removals;
	struct queue deferred;      /* plans that wait for the end of a burst */
	struct queue fetches;       /* wait for a free fetch job */
	struct queue same_content;  /* wait for a content that is being fetched for another path */
	struct queue unstored;      /* wait until their own changes are stored */
	struct queue taken;         /* another spelling of their names is taken on this disk */
	struct queue no_holder;     /* nobody connected has their content */
	uint64_t burst_until_ms;
	struct queue dirty;
	/* Changes to be stored, from 1: made, put into a transaction, and durable. */
	uint64_t changes, changes_taken, changes_stored;
	uint64_t store_retry_ms;
	struct timer *timers;       /* a heap by due_ms */
	size_t n_timers, timers_cap;
	struct nodemap busy;        /* node -> first time it was seen being written, ms */
	struct nodemap busy_due;    /* node -> when it is looked at, ms */
	struct nodemap unreadable;  /* node -> ms until it is tried again, the last time */
	struct nodemap walk_later;  /* node -> walk that found it busy: its next look is of that walk as well */
	struct nodemap origin;      /* conflict copy -> the path that it belongs to */
	struct nodemap reopened;    /* engine_reopened(): -> the number of the call that said so last */
	uint64_t reopenings;
	struct nodemap moved_dir;   /* new folder -> index of its move << 32 | old folder */
	struct move *moves;
	size_t n_moves, moves_cap;

	struct consumed *consumed;  /* decided when the op has ended */
	size_t n_consumed, consumed_cap;

	struct job *jobs;
	size_t n_jobs, jobs_cap;
	uint64_t next_job;
	unsigned n_type[5];         /* running jobs by type */
	unsigned n_fresh;

	struct walk *walks;
	size_t n_walks, walks_cap;
	uint32_t next_walk;

	struct queued_event *events;
	size_t events_head, n_events, events_cap;
	uint64_t events_lost;

	uint64_t *drop_tmps;
	size_t n_drop_tmps, drop_tmps_cap;
	uint64_t *cancels;
	size_t n_cancels, cancels_cap;

	size_t data_held;
	uint64_t n_wants, want_bytes, n_conflicts;
	uint64_t updates;             /* calls of slot_update() */
	uint64_t n_shown, n_leftover; /* objects of ours on the disk; folders that are there only as leftover */
	uint64_t n_going[GOING_N];
	struct nodemap going;         /* node -> replica << 32 | index in the list of its wave */
	uint64_t unwatched, unwatched_due_ms;
	uint64_t report_due_ms, reported_ms;
	uint64_t reach_changed_ms;  /* somebody came or went */
	uint64_t reported_pending;
	uint64_t report_print;      /* a fingerprint of the last report */
	uint64_t rehash_ms;         /* to read every file once; 0: never */
	uint64_t rehash_due_ms;     /* the next file; 0: not yet begun */
	uint64_t rehash_job;        /* the look that is one of these; 0: none */
	node_t rehash_at;           /* where it goes on */
	uint64_t asked_at;          /* the counter when the last ops were asked for, of which the journal may tell */
	uint64_t forget_ms;         /* how old a tombstone must be; UINT64_MAX: it is kept */
	uint64_t forget_due_ms, forgot_ms; /* the next look at them; when the last began */
	node_t forget_at;           /* where that look goes on */
	bool forget_news;           /* something has changed since that could let one go */
	enum index_state index, index_storing, index_stored; /* as it was loaded; as the database has it */
	uint64_t walked_changes;    /* when the first walk was over; it counts once they are stored */
	size_t n_unread;            /* what it could not read */
	bool report_dirty, started, loading;
	enum { NOT_ROLLED_BACK, ROLLED_BACK, ROLLED_BACK_TOLD } rolled_back;
	rep_t rolled_back_by;
	uint64_t id_new_until_ms;   /* who claims to know more of this replica than it made lies */
	uint64_t entries_max;       /* of one peer; 0: no limit */
	char *halted;
	char *unstorable;           /* why the last transaction could not be stored, or NULL */

	/* What the current action points to. */
	struct action action;
	struct queued_event event;
	struct buf scratch, text;
	struct look *act_looks;
	struct index_node *act_index;
	node_t *act_nodes;
	size_t act_looks_cap, act_index_cap, act_nodes_cap;
	struct batch *batch;        /* of ops, while it is put together */
	struct problem *rep_problems;
	size_t rep_problems_cap;
	struct replica_id *rep_links;
	size_t rep_links_cap;
	struct buf rep_text;
};

/* ---- engine.c ---- */

node_t add_node(struct engine *e, struct bytes path); /* with all its slots */
node_t add_child(struct engine *e, node_t dir, struct bytes name);
static inline struct slot *slot_of(const struct engine *e, node_t n)
{
	assert(n < e->n_slots);
	return &e->slots[n];
}

/* The merged state of a path: what it will be. Never NULL; may be empty. */
const struct state *target_of(const struct engine *e, node_t n);
const struct state *have_of(const struct engine *e, node_t n);
bool node_live(const struct engine *e, node_t n); /* in the target: has heads or a live child */
static inline bool is_tombstone(const struct engine *e, node_t n)
{
	const struct state *have = slot_of(e, n)->have;
	return have && have->context.n && !have->n_heads;
}
/* The head that the disk shows: of a file or symlink, else NULL. */
const struct head *shown_head(const struct engine *e, node_t n);
/* The target has heads that cannot all have the name. */
bool in_conflict(const struct engine *e, node_t n);
/* The first four bytes of a head's hash, as replicas tell each other who holds what; 0: none. */
uint32_t content_mark(const struct head *h);
/* As state_winner() and state_winner_content(), of a state of n; but the name of a conflict copy belongs to the
 * head that it is named after, whatever else somebody puts there who does not know of it: a copy has no copy. */
const struct head *winner_of(const struct engine *e, node_t n, const struct state *s);
const struct head *winner_content_of(const struct engine *e, node_t n, const struct state *s);
bool named_after(const struct engine *e, node_t n, struct dot d); /* is n the name of a copy of d? */
/* If it is, which one, from 1: the copy of d has another name where a folder has the one before. 0: it is not. */
unsigned names_of(const struct engine *e, node_t n, struct dot d);
/* Is h what n showed until it was missing? Its deletion, once that is an event, takes it away. */
bool is_missing_head(const struct engine *e, node_t n, const struct head *h);
/* What the target shows; *dir: a folder takes the name (the head may then be NULL). */
const struct head *target_head(const struct engine *e, node_t n, bool *dir);

struct disk_facts {
	uint64_t stamp;
	int64_t ctime_ns;
	uint16_t mode;
	uint8_t kind;
};

/*
 * The only way to change what a path has, wants or shows. Keeps rows, totals, content map, counts of
 * agreement, liveness of parents, logs and the dirty queue in step.
 * have: taken over, the new durable state; its sequence number is `seq` (0: the next counter).
 * want: taken over, the new target; to drop it pass UPDATE_NO_WANT. facts: copied.
 */
enum { UPDATE_HAVE = 1, UPDATE_WANT = 2, UPDATE_NO_WANT = 4, UPDATE_FACTS = 8 };
struct update {
	unsigned what;
	struct state have;
	uint64_t seq;
	struct state want;
	struct disk_facts facts;
};
void slot_update(struct engine *e, node_t n, struct update *u);
void held_update(struct engine *e, rep_t rep, node_t n, const struct held *h);
void slot_forget(struct engine *e, node_t n); /* a tombstone, and what is known of others there, goes */
void slot_phase(struct engine *e, node_t n, enum phase phase); /* of a slot with a want */
void want_force(struct engine *e, node_t n); /* a want for what is had already: only the disk differs */
/* A replica becomes, or is no more, a column of the table: every row is told. */
/* The number of an id, if need be a new one below `places`; or -EMFILE. */
int replica_number(struct engine *e, const struct replica_id *id, size_t places);
void member_set(struct engine *e, rep_t rep, bool member);
void slot_busy(struct engine *e, node_t n, bool busy);
void slot_going(struct engine *e, node_t n, enum going going);
/* A deleted folder that stays for what is not carried in it; until it is empty, or live again. */
void slot_leftover(struct engine *e, node_t n, bool leftover);

/* For a change of n by this replica. */
struct dot next_dot(struct engine *e, node_t n);
/* The next rank above; a peer may have sent the highest there is. */
static inline int64_t rank_above(int64_t rank)
{
	return rank < INT64_MAX ? rank + 1 : rank;
}
void set_dirty(struct engine *e, node_t n);
void watermark_set(struct engine *e, struct watermark *w, uint64_t value, uint64_t life);
void emit(struct engine *e, enum engine_event ev, node_t n, rep_t rep, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* What n shows on the disk; of a head. */
struct shown shown_now(const struct engine *e, node_t n);
struct shown shown_of(const struct head *h); /* NULL: nothing */
/* Somebody, `rep`, changed what n shows from `before` to `after`. */
void emit_change(struct engine *e, enum engine_event ev, node_t n, rep_t rep, struct shown before,
                 struct shown after);
void emit_moved(struct engine *e, node_t from, node_t to);
void timer_add(struct engine *e, uint64_t due_ms, node_t n, enum timer_what what);
void problem_set(struct engine *e, rep_t rep, node_t n, const char *reason); /* NULL: solved */
const char *problem_get(const struct engine *e, rep_t rep, node_t n);
void problem_set_held(struct engine *e, rep_t rep, node_t n); /* of one that was set */
bool problem_is_held(const struct engine *e, rep_t rep, node_t n);
void problems_clear(struct engine *e, rep_t rep);
/* What keeps this replica as a whole from taking part, NULL after the last: they are problems of its root. */
const char *root_problem(const struct engine *e, size_t i);

/* Appends what engine_load_applied() reads. */
void applied_record(const struct engine *e, const struct state *target, uint64_t from_stamp,
                    struct buf *out);

struct job *job_new(struct engine *e, enum job_type type, size_t n);
struct job *job_find(struct engine *e, uint64_t id, enum job_type type);
void job_end(struct engine *e, struct job *j);

void replica_text(const struct engine *e, rep_t rep, char out[9]); /* for names of copies */

/* Appends the path to e->scratch; fixed up by scratch_path() once all are in. */
size_t scratch_add_path(struct engine *e, node_t n);

/* ---- engine_disk.c ---- */

const char *error_text(int error); /* of a negative errno, for people */

void queue_look(struct engine *e, node_t n, uint32_t walk, bool fresh);
void queue_glance(struct engine *e, node_t n); /* a look that believes the stamps */
void read_again(struct engine *e, node_t n); /* a look at what is in doubt: it is not, then */
#define WALK_TRUSTS UINT32_MAX /* a list that believes the stamps of what was applied just now */
void queue_list(struct engine *e, node_t n, uint32_t walk);
bool next_list(struct engine *e);
bool next_look(struct engine *e);
bool next_walked(struct engine *e);
const struct walk *first_walk(const struct engine *e); /* of this start, while one runs; or NULL */
void disk_timer(struct engine *e, node_t n);
void reread_timer(struct engine *e, node_t n);

/* The head `d` was consumed at another name: it goes here as well, which is an event of its own. */
void consume_at(struct engine *e, node_t n, struct dot d);
void consume_rest(struct engine *e, node_t n); /* an op at n has ended */

/* Somebody here has deleted n: makes the event. */
void local_delete(struct engine *e, node_t n);

/* ---- engine_held.c ---- */

/* A look did not find n, which was shown here, nor what is below it; `replaced`: but something else,
 * which is looked at again when the deletion is done. Returns whether that is news. */
bool held_missing(struct engine *e, node_t n, bool replaced);
void held_found(struct engine *e, node_t n);  /* it is there after all */
void held_return(struct engine *e, node_t n); /* a folder is needed again: that it is missing is no change */
/* A peer's word has just changed what n shall be: perhaps it is to go. */
void held_told(struct engine *e, node_t n, rep_t rep);
void held_loaded(struct engine *e, node_t n); /* likewise, of an earlier life */
void held_follow(struct engine *e, node_t n); /* after each slot_update() */
void held_look(struct engine *e);             /* a look or list is about to be queued */
void held_begin(struct engine *e, rep_t rep); /* a peer begins to announce something */
void held_halt(struct engine *e);             /* what was not found just now is not believed */
bool held_pending(const struct engine *e);    /* something missing here has not been judged yet */
bool held_judge_peers(struct engine *e);      /* all that they said has been planned; whether it changed anything */
bool held_failed(struct engine *e, node_t n); /* who was to bring n back does not have it: held again */
uint64_t held_deadline(const struct engine *e);
void held_tick(struct engine *e);
bool held_reason(const struct engine *e, node_t n, struct buf *out); /* false: it is not held */
void held_release(struct engine *e); /* memory */

/* ---- engine_plan.c ---- */

void plan(struct engine *e, node_t n);          /* look at it soon */
bool op_runs(const struct engine *e, node_t n); /* which may be changing what the disk shows there */
void plan_around(struct engine *e, node_t n); /* what may have waited for n: it shows something else now */
bool next_plan(struct engine *e);               /* fills ACT_APPLY or ACT_FETCH */
void release_deferred(struct engine *e);
void release_taken(struct engine *e);
bool is_taken(const struct engine *e, node_t n); /* another spelling has the name on this disk, as far as is known */
void release_stored(struct engine *e);          /* a transaction is durable */
void retry_holders(struct engine *e);           /* contents without a holder may have one now */
/* Are all heads that do not get the name on the disk elsewhere? Asks for those that are not. */
bool copies_ready(struct engine *e, node_t n);
void plan_release(struct engine *e);            /* memory */
void want_discard(struct engine *e, struct want *w); /* what hangs on it: data, temporary file, claim */
/* Where the copy of a loser is, or would be (if `add`); NODE_NONE: nowhere, or no name is possible. */
node_t copy_node(struct engine *e, node_t n, struct dot d, bool add);
/* This replica is about to make a change of n, which then covers all its earlier ones there: a head of its
 * own whose copy n is to be, and that n does not have yet, gets another dot, and with it another copy. */
void copy_evade(struct engine *e, node_t n);
/* The head may have gone, or may have won: then a copy that nobody has made yet is not needed. */
void copy_unneeded(struct engine *e, node_t n, struct dot d);
void origins_load(struct engine *e); /* which copies belong to what, after loading */

/* ---- engine_peer.c ---- */

bool next_peer(struct engine *e);
void peer_reps_grow(struct engine *e, struct peer *p);
void reach_update(struct engine *e);
void report_changed(struct engine *e);
bool has_link(const struct replica *r, rep_t to); /* `to` is connected to it, as it says */
uint64_t own_problems(const struct engine *e); /* what fails here; held deletions are not among them */
bool peers_told(const struct engine *e); /* nothing that is stored is left to be announced */

/* ---- engine_forget.c ---- */

/* Something has changed on which it depends whether a tombstone may go. */
void forget_news(struct engine *e);
uint64_t forget_deadline(const struct engine *e);
void forget_tick(struct engine *e);
/* What `rep` holds at n is what this replica has there; a tombstone and nothing at all are the same. */
bool holds_same(const struct engine *e, node_t n, rep_t rep);
bool shown_elsewhere(const struct engine *e, node_t n); /* any other member says that it shows something at n */
/* A peer that had our tombstone of n has something older now, since it has forgotten: it is told again. */
void forget_tell_again(struct engine *e, node_t n);
/* What was done when the counter was below this is in the index, or was forgotten since. */
uint64_t forgotten_at(const struct engine *e);

/* ---- engine_found.c ---- */

/* The first walk could not read it; or it was read now. */
void found_unread(struct engine *e, node_t n, bool unread);
/* Is what n shows, and was never known, found by the first walk of an index that was lost? */
bool is_found(const struct engine *e, node_t n);
/* Was this here before there was an index, as peers have it? That is no change then. */
bool is_known_elsewhere(const struct engine *e, node_t n, const struct found *f);
/* Was this deleted elsewhere, before an index was lost here? Then it is an old file, not a new one. */
bool is_deleted_elsewhere(const struct engine *e, node_t n, const struct found *f);
/* Heads that were found, there or here, and are what the other side knows to be deleted; before n takes over
 * what a peer has. Returns how many. */
size_t found_deleted(const struct engine *e, node_t n, const struct state *theirs, struct dot out[HEADS_MAX]);
/* After that: these are deleted, and what was found here gives way to what a peer has. */
void found_meets(struct engine *e, node_t n, const struct dot *deleted, size_t n_deleted);
void found_rests(struct engine *e, node_t n); /* the same, of what n has and wants */
/* Somebody is about to change or delete what n shows, and that was found: the heads of peers that it is, since
 * they have the same content. *rank is raised above theirs. Returns how many. */
size_t found_same(struct engine *e, node_t n, struct dot out[HEADS_MAX], int64_t *rank);
void found_gone(struct engine *e, node_t n, const struct dot *same, size_t n_same); /* now it is done */

/* ---- engine_rehash.c ---- */

bool next_rehash(struct engine *e);
uint64_t rehash_due(const struct engine *e); /* mono ms; UINT64_MAX: other work comes first */

/* ---- engine_view.c ---- */

void row_of(void *ctx, node_t n, struct row *out);

#endif
