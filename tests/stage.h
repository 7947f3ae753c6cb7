/* The program tutti in a pseudo-terminal, at a fake server on the same loop, in a folder of its own. */
#ifndef TUTTI_TESTS_STAGE_H
#define TUTTI_TESTS_STAGE_H

#include "fake_link.h"
#include "pty.h"

struct stage {
	struct ev_loop *loop;
	struct fake *fake; /* of three servers; "alpha" is the one that answers */
	struct fake_link link;
	struct pty *pty;   /* the caller's */
	bool pty_runs;
	char *folder;  /* of the socket; also the home */
	char *program, *address;
};

/* Nobody answers yet, so that the fake can be filled. */
void stage_init(struct stage *s, struct pty *pty);
void stage_open(struct stage *s); /* the server answers */
/* Starts tutti. `option` and `variable` (NAME=VALUE) are further ones, or NULL. */
void stage_start(struct stage *s, const char *term, int width, int height, const char *option,
		 const char *variable);
void stage_release(struct stage *s); /* ends all; the check fails if more is left than tutti may leave */

#endif
