/* The sample directories of the demo, and what happens in them over time. */
#ifndef TUTTI_DEMO_FILES_H
#define TUTTI_DEMO_FILES_H

#include "base.h"

enum { DEMO_SIDES = 2 };
extern const char *const demo_names[DEMO_SIDES]; /* of the servers, and of their directories */

/* Writes the sample directories into the folder `dir`. 0 or a negative errno. */
int demo_write(int dir);

/* Does the next of an endless row of changes, which one of two people could have made. What
 * cannot be done is left out. */
void demo_change(int dir, unsigned step);

#endif
