/*
 * The one dialog that may be open over a screen: which one, its text, and its keys. Opened only by
 * a key, never by the network; left by Esc without anything done. A key that decides works once
 * the dialog was drawn with what it decides on, so that nothing typed ahead decides unseen.
 */
#ifndef TUTTI_DIALOG_H
#define TUTTI_DIALOG_H

#include "lines.h"

enum dialog {
	DIALOG_NONE,
	DIALOG_CONFLICT, /* one: settle.h */
	DIALOG_MARKED,   /* many: settle.h */
	DIALOG_HELD,     /* holds.h */
	DIALOG_RESTORE,  /* past.h */
	DIALOG_TRUST,    /* of another program: trusted.h */
	DIALOG_UNTRUST,  /* likewise */
	DIALOG_INVITE,   /* likewise */
	DIALOG_SETUP,    /* setup.h */
	DIALOG_MENU,     /* what can be done with a row */
	DIALOGS_N
};

struct model;

void dialog_open(struct model *m, enum dialog d);
void dialog_close(struct model *m);

/* Its lines, at most `width` columns wide where text can be broken; the first one is the title.
 * The number of a line is the key that it tells of, 0 if none; with DIALOG_AT it is the selected
 * one, which stays on the screen while it is moved; with DIALOG_HARMLESS the key works even where its
 * line is scrolled away, since it decides nothing. */
enum { DIALOG_KEY = 0xffff, DIALOG_AT = 1 << 16, DIALOG_HARMLESS = 1 << 17 };
void dialog_build(const struct model *m, struct lines *out, int width);
void dialog_key(struct model *m, uint32_t key);
/* In the menu a click is the key of its line; outside of any dialog's box it is Esc. */
void dialog_click(struct model *m, int y, int x);

/* Where it stands on the screen: outer sizes; frame: is there room for one? */
struct dialog_box {
	int y, x, width, height;
	bool frame;
};
struct dialog_box dialog_place(const struct model *m, const struct lines *page);
/* Has the screen room for the choices only, and not for words about them? */
bool dialog_is_brief(const struct model *m);
/* Lines that are shown below the title. */
size_t dialog_rows(const struct model *m);
/* Columns that its text may take. */
int dialog_width(const struct model *m);

#endif
