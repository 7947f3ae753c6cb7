/* The one table of keys: what each key does, on which screens, and the words for it in the help,
 * the key bar and the manual. Knows nothing of terminals: terminal.c translates to these codes. */
#ifndef TUTTI_KEYS_H
#define TUTTI_KEYS_H

#include "base.h"

/* A key is a Unicode character, a control character (K_CTRL('D')), or one of these. */
enum key {
	K_TAB = 9,
	K_ENTER = 13,
	K_ESC = 27,
	K_BACKSPACE = 127,
	K_SPECIAL = 0x200000,
	K_UP = K_SPECIAL,
	K_DOWN,
	K_LEFT,
	K_RIGHT,
	K_HOME,
	K_END,
	K_PAGE_UP,
	K_PAGE_DOWN,
	K_INSERT,
	K_DELETE,
	K_BACKTAB,
	K_F1,
	K_F2,
	K_F3,
	K_F4,
	K_F5,
	K_F6,
	K_F7,
	K_F8,
	K_F9,
	K_F10,
	K_UNKNOWN, /* some other key with a name */
};
#define K_CTRL(c) ((uint32_t)(c)&0x1f)

/* Where a key works. */
enum key_place {
	IN_ROWS = 1,      /* Files, Conflicts */
	IN_TRANSFERS = 2,
	IN_EVENTS = 4,
	IN_SERVERS = 8,
	IN_DETAILS = 16,
	IN_HELP = 32,
	IN_TRASH = 64,
	IN_HISTORY = 128,
	IN_HELD = 256,
	IN_PAST = IN_TRASH | IN_HISTORY,
	IN_LINES = IN_TRANSFERS | IN_EVENTS | IN_SERVERS | IN_DETAILS | IN_HELP | IN_PAST | IN_HELD,
	IN_ALL = IN_ROWS | IN_LINES,
};

enum action {
	DO_NOTHING, /* no such key here */
	DO_UP,
	DO_DOWN,
	DO_PAGE_UP,
	DO_PAGE_DOWN,
	DO_HALF_UP,
	DO_HALF_DOWN,
	DO_FIRST,
	DO_LAST,
	DO_WINDOW_TOP,
	DO_WINDOW_MIDDLE,
	DO_WINDOW_BOTTOM,
	DO_GO,
	DO_UNFOLD,
	DO_FOLD,
	DO_FOLD_ALL,
	DO_UNFOLD_ALL,
	DO_TREE,
	DO_ENTER,
	DO_DETAILS,
	DO_NEXT_SCREEN,
	DO_PREVIOUS_SCREEN,
	DO_FILES,
	DO_TRANSFERS,
	DO_CONFLICTS,
	DO_EVENTS,
	DO_SERVERS,
	DO_TRASH,
	DO_HISTORY,
	DO_HELD,
	DO_FIND,
	DO_FIND_NEXT,
	DO_FIND_PREVIOUS,
	DO_FILTER,
	DO_ONLY,
	DO_SORT,
	DO_REVERSE,
	DO_MARK,
	DO_RANGE,
	DO_INVERT,
	DO_UNMARK,
	DO_RESOLVE,
	DO_UNDO,
	DO_DECIDE,
	DO_RESTORE,
	DO_TRUST,
	DO_INVITE,
	DO_RESYNC,
	DO_RESYNC_ALL,
	DO_FOLLOW,
	DO_FREEZE,
	DO_SHOW,
	DO_COPY,
	DO_WRITE,
	DO_SETUP,
	DO_MOUSE,
	DO_HELP,
	DO_REDRAW,
	DO_SUSPEND,
	DO_BACK,
	DO_QUIT,
	DO_QUIT_AT_ONCE,
	DO_DEFUSE,
	ACTIONS_N
};

enum { KEYS_PER_ACTION = 6 };

struct key_binding {
	enum action action;
	unsigned places;
	uint32_t keys[KEYS_PER_ACTION]; /* 0: no more */
	const char *bar;  /* words for the key bar ("Help"), NULL: not there */
	const char *help; /* one line for help and manual; NULL: not told */
};

extern const struct key_binding key_bindings[];
extern const size_t key_bindings_n;

/* What the key does there, DO_NOTHING if it has no meaning. */
enum action key_action(uint32_t key, unsigned place);

/* The binding of an action; NULL if it has none. */
const struct key_binding *key_of(enum action action);

/* "j", "^D", "PgDn", "Space"; always ASCII. */
void key_text(struct buf *out, uint32_t key);
/* All keys of a binding: "j, Down, ^N". */
void key_list(struct buf *out, const struct key_binding *b);

#endif
