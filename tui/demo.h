/* `tutti demo`: two servers on two sample directories in a fresh temporary folder, and the table
 * on them. Nothing of it is left when it ends, however it ends. */
#ifndef TUTTI_DEMO_H
#define TUTTI_DEMO_H

#include "arguments.h"

/* Shows the demo with `show`, which gets the socket of the first server and the arguments, and
 * returns the exit status; or, with `show` NULL, prints the table once both are in sync.
 * Returns the exit status. Call it before anything starts threads. */
typedef int demo_show_fn(const char *socket, const struct arguments *a);
int demo_run(const struct arguments *a, demo_show_fn *show);

#endif
