/* The one terminal: set up, given back on every way to end, read, drawn on. The only file that
 * knows curses. Install handlers (or watchers) of SIGWINCH, SIGTSTP, SIGINT, SIGTERM ... before
 * terminal_open(), so that curses leaves them alone. */
#ifndef TUTTI_TERMINAL_H
#define TUTTI_TERMINAL_H

#include "grid.h"

struct terminal_options {
	bool color; /* if the terminal can */
	bool mouse;
};

/* NULL, or why this is no terminal to draw on: one sentence without full stop. On success stderr
 * is kept back until terminal_close(). */
const char *terminal_open(const struct terminal_options *options);
/* Gives the terminal back; then what came on stderr. Harmless when it is not open. */
void terminal_close(void);

/* Can it show more than ASCII? After setlocale(). */
bool terminal_is_utf8(void);

/* Asks the system for the size and tells curses. */
void terminal_size(int *width, int *height);

/* Shows the grid; bytes go out only for what differs. */
void terminal_draw(const struct grid *s);
void terminal_redraw(void); /* the next one draws everything */

enum terminal_event_kind {
	TERMINAL_NOTHING,
	TERMINAL_KEY,   /* key */
	TERMINAL_PASTE, /* text, valid until the next read */
	TERMINAL_CLICK, /* y, x; those that follow likewise */
	TERMINAL_MENU,  /* the right button */
	TERMINAL_WHEEL_UP,
	TERMINAL_WHEEL_DOWN,
	TERMINAL_GONE,  /* there is no terminal any more */
};

struct terminal_event {
	enum terminal_event_kind kind;
	uint32_t key; /* as in keys.h */
	struct bytes text;
	int y, x;
};

/* The next event. `readable`: the descriptor was reported readable and this is the first read
 * since; then no input means that the terminal is gone. */
struct terminal_event terminal_read(bool readable);

/* For a stop, or for another program: the terminal as it was before, and back. */
void terminal_leave(void);
void terminal_return(void);
/* Stops the whole process group, as ^Z does; returns when it goes on. */
void terminal_stop(void);

void terminal_mouse(bool on);
/* To the clipboard of the terminal (OSC 52), if it takes it. */
void terminal_copy(struct bytes text);

#endif
