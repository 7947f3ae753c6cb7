/* A name service for tests, in the place of the system's getaddrinfo(): names that end in ".test", as
 * fake_names.c lists them, and no others. "slow.test" has no answer until it is told. */
#ifndef TUTTI_FAKE_NAMES_H
#define TUTTI_FAKE_NAMES_H

#include "base.h"

void names_hold(void);      /* from now on "slow.test" waits */
void names_go_on(void);
unsigned names_asked(void); /* how many look-ups began */
void names_await(unsigned asked); /* until so many have begun; the test's time is the limit */

#endif
