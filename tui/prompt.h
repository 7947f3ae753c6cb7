/* One line that is being typed: find, filter, go to, a file name. Pure. */
#ifndef TUTTI_PROMPT_H
#define TUTTI_PROMPT_H

#include "base.h"

enum { PROMPT_TEXT_MAX = 1000 }; /* bytes */

struct prompt {
	struct buf text; /* UTF-8 */
	size_t cursor;   /* byte offset, at a character */
};

void prompt_set(struct prompt *p, struct bytes text); /* cursor at the end */
void prompt_release(struct prompt *p);

/* True if the key was meant for the line. */
bool prompt_key(struct prompt *p, uint32_t key);
/* Pasted text: controls are left out, and so are bytes that are not UTF-8. */
void prompt_paste(struct prompt *p, struct bytes text);

#endif
