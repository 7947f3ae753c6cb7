/* A fake server behind a real socket: what a client program in a test connects to. */
#ifndef TUTTI_FAKE_LINK_H
#define TUTTI_FAKE_LINK_H

#include "fake_server.h"
#include "tiny_server.h"

struct fake_link {
	struct tiny_server tiny;
	struct fake *fake;
	bool silent;       /* takes requests, and answers none */
};

void fake_link_start(struct fake_link *l, struct ev_loop *loop, struct fake *f, const char *folder,
		     const char *name);
void fake_link_stop(struct fake_link *l); /* the fake stays */
/* Tells the client of changed rows. */
void fake_link_push(struct fake_link *l);
void fake_link_event(struct fake_link *l, int64_t time_s, const char *what, const char *path,
		     const char *replica, const char *detail);
void fake_link_status(struct fake_link *l);
void fake_link_progress(struct fake_link *l, bool running);

#endif
