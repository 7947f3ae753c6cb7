/* A model of the screen tied to a fake server, without terminal, sockets or time: for tests. */
#ifndef TUTTI_SCREEN_RIG_H
#define TUTTI_SCREEN_RIG_H

#include "fake_server.h"
#include "view.h"

struct rig_request {
	struct buf method, params; /* the method with its NUL */
	uint32_t tag;
};

struct rig {
	struct model m;
	struct fake *f;
	struct grid grid;
	struct rig_request *requests; /* not answered yet */
	size_t n, cap;
	bool deaf;      /* the connection refuses requests */
	uint64_t asked; /* requests ever */
};

#define RIG_NOW INT64_C(1795356202) /* 2026-11-22 14:03:22 UTC */

void rig_init(struct rig *r, struct fake *f, int width, int height, bool ascii); /* not connected */
void rig_release(struct rig *r); /* the fake as well */
void rig_connect(struct rig *r); /* and settles */
/* Answers everything that was asked, and tells what changed, until nothing is left to say. */
void rig_settle(struct rig *r);
bool rig_answer_one(struct rig *r); /* the oldest request; false if there is none */
void rig_notify(struct rig *r, const char *method, const struct buf *params);
void rig_type(struct rig *r, const char *keys); /* each byte a key; settles after each */
void rig_key(struct rig *r, uint32_t key);      /* and settles */
void rig_resize(struct rig *r, int width, int height); /* and does not settle */
void rig_status(struct rig *r); /* the fake says how things are; and settles */
void rig_draw(struct rig *r);
/* The text of line y without blanks at its end; valid until the next call. */
const char *rig_line(struct rig *r, int y);
bool rig_shows(struct rig *r, const char *text); /* anywhere, after drawing */
const char *rig_selected(struct rig *r); /* path, or "" */

#endif
