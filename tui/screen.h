/* The full-screen program: ties the model to the terminal, the server and the clock. */
#ifndef TUTTI_SCREEN_H
#define TUTTI_SCREEN_H

#include "base.h"

struct screen_options {
	const char *address;  /* of the server, as client_find() gives it */
	bool ascii;           /* draw only ASCII; also where the locale has no UTF-8 */
	bool no_color;        /* also if $NO_COLOR is set and not empty */
	bool no_mouse;
	bool readonly;        /* keys that make servers do something are not there */
	int frame_width, frame_height; /* not 0: print one frame as text, and return */
};

/* Runs until the user leaves. Sets the locale. Returns the exit status of the program: 0; 2 if
 * there is no terminal to draw on (which is said on stderr); 3 if no server was ever reached;
 * 128 + N after signal N. Uses a loop of its own. */
int screen_run(const struct screen_options *options);

#endif
