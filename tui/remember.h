/* What the screen remembers from the last time: the order and form of the table. */
#ifndef TUTTI_REMEMBER_H
#define TUTTI_REMEMBER_H

#include "listing.h"

/* Reads the file of lines `key=value`. What is not there, not readable or not understood leaves
 * its part of *q as it is. */
void remember_read(const char *file, struct listing_query *q);
/* Writes it, replacing the old one at once; makes its folder. 0 or a negative errno. */
int remember_write(const char *file, const struct listing_query *q);
/* Where the file is; NULL if there is no place for it. The caller frees it. */
char *remember_place(void);

#endif
