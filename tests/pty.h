/*
 * A program in a pseudo-terminal, watched by libvterm, for tests: a little shell of its own starts
 * it in the foreground, so that stopping and continuing work as they do for people. Everything
 * runs on the test's loop, beside the fake server. Nothing sleeps: each wait has a condition and a
 * deadline, and a test that misses it ends with the screen in its message.
 */
#ifndef TUTTI_PTY_H
#define TUTTI_PTY_H

#include "base.h"

#include <ev.h>
#include <sys/types.h>
#include <termios.h>
#include <vterm.h>

struct pty {
	struct ev_loop *loop;
	int master;          /* -1: hung up */
	int sync;            /* read end: a byte for each settled frame */
	int report, order;   /* from and to the shell */
	pid_t shell;
	VTerm *vterm;
	VTermScreen *screen;
	struct buf raw;      /* all that the program wrote */
	uint64_t frames;     /* bytes that came through sync */
	bool stopped, ended;
	pid_t program;
	int handle;          /* of the program: a number may be given to another after its end */
	int status;          /* of waitpid, once it ended */
	struct termios before;
	ev_io from_terminal, from_sync, from_report;
	ev_timer deadline;
	bool late;
};

struct pty_options {
	const char *const *argv;
	const char *const *env;  /* "NAME=VALUE", NULL at the end; on top of a clean one */
	const char *term;        /* NULL: unset */
	int width, height;
};

void pty_start(struct pty *p, struct ev_loop *loop, const struct pty_options *o);
void pty_release(struct pty *p); /* ends the program if it runs */

void pty_send(struct pty *p, const char *keys);
/* Sends keys and waits until the program has drawn and waits for nothing. */
void pty_type(struct pty *p, const char *keys);
void pty_settle(struct pty *p, uint64_t frames_before); /* until a frame after that many */
void pty_resize(struct pty *p, int width, int height);   /* and settles, if the program runs */
void pty_hang_up(struct pty *p);

bool pty_shows(struct pty *p, const char *text);
void pty_wait_for(struct pty *p, const char *text);
void pty_wait_gone(struct pty *p, const char *text);
const char *pty_line(struct pty *p, int y); /* without blanks at its end; until the next call */
void pty_cursor(struct pty *p, int *y, int *x);

void pty_signal(struct pty *p, int signal);
void pty_wait_stopped(struct pty *p);
void pty_continue(struct pty *p); /* as `fg` */
void pty_wait_end(struct pty *p);

/* Has the program given the terminal back: modes off, settings as they were? */
void pty_check_given_back(struct pty *p);

/* Runs the loop until `done` says so, or fails the test. */
void pty_until(struct pty *p, bool (*done)(struct pty *p, const void *arg), const void *arg,
	       const char *what);

#endif
