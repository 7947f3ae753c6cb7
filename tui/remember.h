/* What the screen remembers from the last time: the order, form and setup of the table. */
#ifndef TUTTI_REMEMBER_H
#define TUTTI_REMEMBER_H

#include "listing.h"
#include "setup.h"

/* Reads the file of lines `key=value`. What is not there, not readable or not understood leaves
 * its part of *q and *s as it is. */
void remember_read(const char *file, struct listing_query *q, struct setup *s);
/* Writes it, replacing the old one at once; makes its folder. 0 or a negative errno. */
int remember_write(const char *file, const struct listing_query *q, const struct setup *s);
/* Where the file is; NULL if there is no place for it. The caller frees it. */
char *remember_place(void);

#endif
