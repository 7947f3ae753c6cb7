/* Owns the start and the end of a server in a test. */
#include "config.h"
#include "served.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

pid_t served_start(const char *const *arguments, uint16_t *port)
{
	enum { ARGUMENTS_MAX = 32 };
	char *program = build_path("tuttid");
	const char *all[ARGUMENTS_MAX] = {program, "-l", "127.0.0.1:0"};
	for (size_t n = 3; *arguments; n++) {
		ck_assert_uint_lt(n + 1, ARGUMENTS_MAX);
		all[n] = *arguments++;
	}
	int out[2];
	ck_assert_int_eq(pipe(out), 0);
	pid_t server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0) {
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execv(program, (char *const *)(uintptr_t)all);
		_exit(127);
	}
	free(program);
	close(out[1]);
	char line[256] = "";
	unsigned number;
	FILE *f = fdopen(out[0], "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	ck_assert_msg(sscanf(line, "ready %*s %*s 127.0.0.1:%u", &number) == 1, "%s", line);
	*port = (uint16_t)number;
	return server;
}

void served_stop(pid_t server)
{
	int status;
	kill(server, SIGTERM);
	ck_assert_int_eq(waitpid(server, &status, 0), server);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ended with %x", status);
}
