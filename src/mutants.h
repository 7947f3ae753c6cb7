/*
 * Wrong rules that the simulator must catch (tests/sim). They exist only in the copy of the core that
 * is built for it, with TUTTI_MUTANTS; in the programs MUTANT() is false and costs nothing.
 */
#ifndef TUTTI_MUTANTS_H
#define TUTTI_MUTANTS_H

#ifdef TUTTI_MUTANTS
#define MUTANT_NAMES(X)                                                                            \
	X(INDEX_COVERS, "index-covers")     /* a change replaces heads known from an index only */ \
	X(LOSER_DROPPED, "loser-dropped")   /* no conflict copies */                               \
	X(MTIME_WINS, "mtime-wins")         /* the winner by date alone */                         \
	X(STALE_COPY, "stale-copy")         /* a copy that was consumed counts as one */           \
	X(COUNTER_REUSED, "counter-reused") /* a rolled back index goes on counting */             \
	X(LIFE_IGNORED, "life-ignored")     /* so does one that counts as far as was lost */        \
	X(WINNER_FIRST, "winner-first")     /* the winner shows before the copies are there */     \
	X(DELETE_WINS, "delete-wins")       /* over a change that it did not see */                \
	X(TOLD_EARLY, "told-early")         /* an entry is announced before it is stored */        \
	X(APPLIED_IGNORED, "applied-ignored") /* ops of the life before are not taken back */      \
	X(ERROR_IS_GONE, "error-is-gone")   /* what cannot be looked at is taken for deleted */    \
	X(EARLY_WATERMARK, "early-watermark") /* more is said to be merged than is stored */        \
	X(FORGETS_EARLY, "forgets-early")   /* tombstones that somebody does not have */          \
	X(FOUND_STAYS, "found-stays")       /* what was found when an index was lost is a change */ \
	X(FOUND_NOWHERE, "found-nowhere")   /* of two who found it each adopts the other's */ \
	X(COPY_NAME_FREE, "copy-name-free") /* a folder has the name of a copy: there is none */ \
	X(STAMPS_SUFFICE, "stamps-suffice") /* what looks as it did is taken away unread */ \
	X(MISSING_COPY, "missing-copy") /* a copy that is not there any more stands for other heads */ \
	X(SHOWN_ONCE, "shown-once")         /* what showed before it was heard of shows still */ \
	X(ANY_FOLDER, "any-folder")         /* another folder is taken for the one that was there */

enum mutant {
	MUTANT_NONE,
#define X(id, name) MUTANT_##id,
	MUTANT_NAMES(X)
#undef X
};
extern enum mutant engine_mutant;
#define MUTANT(id) (engine_mutant == MUTANT_##id)
#else
#define MUTANT(id) false
#endif

#endif
