/* Scratch directories for tests: made in TMPDIR, filled, read, and removed with all that is in them. */
#ifndef TUTTI_TESTS_SCRATCH_H
#define TUTTI_TESTS_SCRATCH_H

#include <sys/stat.h>

#include "root.h"

/* A new empty directory (malloced absolute path). */
char *scratch_new(void);
void scratch_remove(char *dir); /* and frees */

/* Paths below are formatted and relative to `dir`. The test fails if something cannot be done. */
char *scratch_path(const char *dir, const char *name); /* malloced */
void put(const char *dir, const char *name, const char *content);
char *get(const char *dir, const char *name); /* malloced, NULL if there is no such file */
void make_dir(const char *dir, const char *name, mode_t mode);
bool there(const char *dir, const char *name); /* a symlink is there itself */
struct stat stat_of(const char *dir, const char *name);
struct found found_of(const char *dir, const char *name);
size_t count_in(const char *dir, const char *name); /* names in a folder */
/* Is there a file with that content in the folder? */
bool content_in(const char *dir, const char *name, const char *content);

/* A root that is open and marked. */
struct root *marked_root(const char *dir);

/* Runs `fn` in a child process as an unprivileged user (where we are privileged) on a scratch directory
 * of its own, with its status as result. */
int as_nobody(int (*fn)(const char *dir));

/* Runs `fn` in a child process, where a small disk ("1m") is mounted at `at` for it alone; the test fails
 * if it does not return 0. Where mounting is not permitted, `what` is said to be skipped. */
void on_small_disk(const char *what, const char *at, const char *size, int (*fn)(const char *at));

#endif
