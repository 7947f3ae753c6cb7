/* A real tuttid, for tests of what it says. */
#ifndef TUTTI_TESTS_SERVED_H
#define TUTTI_TESTS_SERVED_H

#include <stdint.h>
#include <sys/types.h>

/* Starts it with these arguments, NULL at their end, beside a port of its own on loopback, which comes back
 * once it is ready. The caller stops it. */
pid_t served_start(const char *const *arguments, uint16_t *port);
void served_stop(pid_t server); /* the test fails if it does not end in order */

#endif
