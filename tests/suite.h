/* What every Check suite shares: its cases and their limits, the run, where programs and sources
 * are, and chance that can be repeated. */
#ifndef TUTTI_TESTS_SUITE_H
#define TUTTI_TESTS_SUITE_H

#include <check.h>

#include "base.h"

/* A suite whose checks may take 60 s each, unless CK_DEFAULT_TIMEOUT says otherwise. */
Suite *suite_new(const char *name);
/* A case of it; `setup` and `teardown` surround each check, and may be NULL. The suite owns it. */
TCase *suite_case(Suite *s, const char *name, SFun setup, SFun teardown);
/* Runs all, prints the count, and frees the suite: the status for main() to end with. */
int suite_run(Suite *s);
int suite_run_here(Suite *s); /* in this process, without limits: for what is no test */

/* A file of the build, or of the sources (malloced): TUTTI_BUILD and TUTTI_SOURCE say where, else here. */
char *build_path(const char *name);
char *source_path(const char *name);
char *source_text(const char *name); /* what is in it (malloced); the test fails if it cannot be read */

/* Where chance begins: TUTTI_SEED, else always the same. A check that fails names it. */
uint64_t suite_seed(void);
uint64_t next_random(uint64_t *state);
/* The same from one state for all: where it begins, and a number below `n`. */
void pick_from(uint64_t state);
unsigned pick(unsigned n);

#endif
