/*
 * Everything that the full screen shows, and what keys do to it. No curses, no sockets, no clock:
 * keys, answers and the time go in; requests go out through one function, and what only the
 * program can do (suspend, run a pager, quit ...) is left in `todo` for it.
 */
#ifndef TUTTI_MODEL_H
#define TUTTI_MODEL_H

#include "dialog.h"
#include "holds.h"
#include "keys.h"
#include "layout.h"
#include "lines.h"
#include "listing.h"
#include "news.h"
#include "past.h"
#include "prompt.h"
#include "settle.h"
#include "setup.h"
#include "trusted.h"

enum view {
	VIEW_FILES,
	VIEW_TRANSFERS,
	VIEW_CONFLICTS,
	VIEW_EVENTS,
	VIEW_SERVERS,
	VIEW_TRASH,
	VIEW_HISTORY,
	VIEW_HELD,
	VIEW_DETAILS,
	VIEW_HELP,
	VIEWS_N
};

#define LINE_NONE UINT64_MAX

enum prompt_kind {
	ASKING_NOTHING,
	ASKING_FIND,
	ASKING_FILTER,
	ASKING_GO,
	ASKING_WRITE,
	ASKING_RESTORE,    /* these five take a line of text */
	ASKING_SORT,
	ASKING_RESYNC_ALL, /* these two take one letter */
};

/* Left for the program; it takes them out. */
enum todo {
	TODO_QUIT = 1,
	TODO_SUSPEND = 2,
	TODO_REDRAW = 4,
	TODO_COPY = 8,    /* todo_text: the path */
	TODO_SHOW = 16,   /* todo_text: the path */
	TODO_DIFF = 512,  /* todo_text: two paths, with a NUL between */
	TODO_WRITE = 32,  /* todo_text: the file */
	TODO_MOUSE = 64,
	TODO_RETRY = 128, /* connect now */
	TODO_SHELL = 1024, /* todo_text: a command */
	TODO_REMEMBER = 256, /* sort and form have changed */
};

/* Tags of requests: the high byte says to whom the answer goes. */
enum { TAG_FILES = 1, TAG_CONFLICTS, TAG_MODEL, TAG_EXPORT };

struct model {
	bool ascii, readonly;
	bool viewer;       /* the server lets us look only */
	int64_t now;       /* ns since 1970; the program keeps it */
	int64_t ticks_ms;  /* a clock that only goes forward; the program keeps it */
	unsigned todo;
	struct buf todo_text;

	bool connected, ever_connected;
	bool again;           /* this is not the first connection */
	struct buf address;   /* of the server, or what was tried */
	struct buf reason;    /* why there is no connection; safe to show */
	int64_t lost;         /* ns: when it went */
	int64_t retry_at;     /* ns: the next attempt; 0: none known */

	struct layout layout;
	struct setup setup, kept_setup; /* as it is, and as it is remembered */
	struct listing files, conflicts;
	struct news news;
	uint64_t new_events;  /* since the screen of events was last open */
	int64_t transfers_until; /* ticks: their lines stay until then */

	enum view view;
	enum view back[4];
	unsigned n_back;
	struct lines page;    /* of the views that are no table */
	enum view page_view;  /* what the page shows, ... */
	uint64_t page_generation; /* ... and as of when, if that view has generations */
	uint64_t page_top[VIEWS_N], page_at[VIEWS_N];
	bool tail;            /* Events: stay on the last */
	struct buf event_filter; /* Events shows only lines with this text */
	int64_t held_until;   /* ticks: rows keep their places until then */
	uint64_t found_line;  /* of a page without a selected line; LINE_NONE: none */
	size_t scroll;        /* columns, of flat names */

	struct pathset marks;
	bool ranging;
	struct buf range_from;
	struct buf found;     /* text of the last search */
	bool finding;         /* its answer is awaited; keys wait for it */
	unsigned finds;       /* so far; answers of others than the last are not wanted */

	enum prompt_kind asking;
	struct prompt prompt;
	struct buf message;   /* until the next key; safe to show */
	uint8_t message_look;

	enum dialog dialog;
	struct lines dialog_page;
	bool dialog_shown;    /* with all that it decides on */
	size_t dialog_top;    /* lines that are scrolled away */
	bool dialog_follows;  /* the selected line was moved last */
	int menu_y, menu_x;   /* where the menu was asked for, ... */
	struct buf menu_path; /* ... and for what */
	struct settle settle;
	struct holds holds;
	struct pasts pasts;
	struct trusted trusted;

	struct buf details_path;
	struct lines details;
	bool details_asked, details_known;
	uint64_t details_generation;

	unsigned resyncs;     /* running */
	uint64_t resync_looked, resync_changed;
	struct buf resync_failed; /* "gamma: offline; " ... */
	unsigned resync_paths;

	uint32_t *waiting;    /* keys that wait for the selection to stand still */
	size_t n_waiting, cap_waiting;
	bool running_keys;

	listing_ask_fn *ask;
	void *ctx;
};

void model_init(struct model *m, listing_ask_fn *ask, void *ctx);
void model_release(struct model *m);

/* The size of the screen, 0 x 0 and up. */
void model_resize(struct model *m, int width, int height);

/* The connection. `reason` is safe to show; retry_ms < 0: no further attempt. */
void model_up(struct model *m);
void model_down(struct model *m, const char *reason, int64_t retry_ms);
/* An answer to a request with this tag, and a notification. One of result and error is NULL;
 * the error is in words and safe to show. */
void model_answer(struct model *m, uint32_t tag, const msgpack_object *result, const char *error);
void model_notify(struct model *m, const char *method, const msgpack_object *params);

void model_key(struct model *m, uint32_t key);
void model_paste(struct model *m, struct bytes text);
enum mouse { MOUSE_CLICK, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN, MOUSE_MENU /* right button */ };
void model_mouse(struct model *m, enum mouse what, int y, int x);

/* Says something in the event line until the next key. */
void model_say(struct model *m, unsigned look, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Brings layout, scroll positions and pages up to date; before drawing. */
void model_prepare(struct model *m);

/* Milliseconds until something shown changes by itself; 0: never. */
int64_t model_tick_ms(const struct model *m);

/* Between the parts of the model. */
enum model_request {
	ASK_STATUS,
	ASK_EVENTS,
	ASK_PEERS,
	ASK_ROW,
	ASK_FIND,
	ASK_RESYNC,
	ASK_CONFLICT,
	ASK_MARKED,
	ASK_RESOLVE,
	ASK_RESOLVE_MANY,
	ASK_UNDO, /* these five: settle.c */
	ASK_HELD,
	ASK_DECIDE, /* holds.c */
	ASK_PAST,
	ASK_RESTORE, /* past.c */
	ASK_TRUST,
	ASK_INVITE, /* trusted.c; and ASK_PEERS */
};
bool model_ask(struct model *m, enum model_request what, const char *method, struct buf *params);
/* `low`, 16 bits, comes back with the answer. Both empty the params; false: no connection. */
bool model_ask_tagged(struct model *m, enum model_request what, unsigned low, const char *method,
		      struct buf *params);
void model_ask_text(struct model *m, enum prompt_kind what, struct bytes text); /* a prompt */
void model_ask_row(struct model *m);   /* of details_path */
void model_set_view(struct model *m, enum view v);
struct listing *model_rows(struct model *m); /* the listing of the view, or that of Files */
void model_run_waiting(struct model *m); /* keys that can go on now */
void model_act(struct model *m, enum action a);

/* For drawing. */
bool model_shows_rows(const struct model *m);            /* Files or Conflicts */
const struct listing *model_listing(const struct model *m); /* the one that is shown */
bool model_is_marked(const struct model *m, uint64_t position, const struct listing_row *r);
unsigned model_place(const struct model *m);             /* enum key_place of the view */
bool model_selects_lines(const struct model *m);         /* Transfers, Events ... */
bool model_offers(const struct model *m, enum action a); /* who only looks is offered less */
bool model_allows(struct model *m, enum action a);       /* likewise; if not, says why */
const char *view_name(enum view v);

/* The items of the key bar that fit: x and width of each, and what it does. */
struct bar_item {
	int x, width;
	const struct key_binding *key;
};
enum { BAR_ITEMS_MAX = 32 };
size_t model_key_bar(const struct model *m, int width, struct bar_item items[BAR_ITEMS_MAX]);

#endif
