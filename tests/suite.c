/* Owns what Check suites share. */
#include "config.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

Suite *suite_new(const char *name)
{
	setenv("CK_DEFAULT_TIMEOUT", "60", 0); /* Check reads it for each new case */
	return suite_create(name);
}

TCase *suite_case(Suite *s, const char *name, SFun setup, SFun teardown)
{
	TCase *t = tcase_create(name);
	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(s, t);
	return t;
}

static int run(Suite *s, enum fork_status fork_status, enum print_output print)
{
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, fork_status);
	srunner_run_all(r, print);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int suite_run(Suite *s)
{
	return run(s, CK_FORK_GETENV, CK_ENV);
}

int suite_run_here(Suite *s)
{
	return run(s, CK_NOFORK, CK_MINIMAL);
}

static char *path_in(const char *variable, const char *name)
{
	const char *folder = getenv(variable);
	return xasprintf("%s/%s", folder ? folder : ".", name);
}

char *build_path(const char *name)
{
	return path_in("TUTTI_BUILD", name);
}

char *source_path(const char *name)
{
	return path_in("TUTTI_SOURCE", name);
}

char *source_text(const char *name)
{
	char *path = source_path(name);
	struct buf text = {0};
	FILE *f = fopen(path, "re");
	ck_assert_msg(f != NULL, "cannot read %s", path);
	for (int c; (c = getc(f)) != EOF;)
		buf_add_char(&text, (char)c);
	buf_add_char(&text, '\0');
	ck_assert_msg(!ferror(f), "cannot read %s to its end", path);
	fclose(f);
	free(path);
	return (char *)text.data;
}

uint64_t suite_seed(void)
{
	const char *given = getenv("TUTTI_SEED");
	return given ? strtoull(given, NULL, 0) : 20261122;
}

uint64_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return hash64(state, sizeof(*state), 0);
}

static uint64_t common;

void pick_from(uint64_t state)
{
	common = state;
}

unsigned pick(unsigned n)
{
	return (unsigned)(next_random(&common) % n);
}
