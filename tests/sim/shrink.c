/* Owns how a failing history is made small: parts are left out for as long as it still fails alike. */
#include "config.h"
#include "sim.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAY_SECONDS 20

bool play_apart(const struct scenario *sc, char why[1024])
{
	int ends[2], status = 0;
	uint64_t hash;
	const char *text;
	*why = 0;
	fflush(NULL);
	if (pipe(ends))
		return true;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		alarm(PLAY_SECONDS);
		bool good = sim_play(sc, false, &hash, &text);
		if (!good && write(ends[1], text, strlen(text)) < 0)
			_exit(2);
		_exit(good ? 0 : 1);
	}
	close(ends[1]);
	size_t n = 0;
	ssize_t got;
	while (n < 1023 && (got = read(ends[0], why + n, 1023 - n)) > 0)
		n += (size_t)got;
	why[n] = 0;
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return true;
	if (WIFSIGNALED(status))
		snprintf(why, 1024, "%s", WTERMSIG(status) == SIGALRM ? "hangs" : "crashes");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Up to the colon: S1, S10, ... */
static bool alike(const char *a, const char *b)
{
	size_t n = strcspn(a, ":");
	return strncmp(a, b, n) == 0 && (b[n] == ':' || b[n] == 0);
}

static bool still_fails(const struct scenario *sc, const char *why)
{
	char now[1024];
	return !play_apart(sc, now) && alike(why, now);
}

static bool without(struct scenario *sc, size_t from, size_t n, const char *why)
{
	struct scenario less = scenario_copy(sc);
	memmove(less.steps + from, less.steps + from + n, (sc->n - from - n) * sizeof(*sc->steps));
	less.n -= n;
	if (!still_fails(&less, why)) {
		scenario_release(&less);
		return false;
	}
	scenario_release(sc);
	*sc = less;
	return true;
}

static bool fewer_replicas(struct scenario *sc, const char *why)
{
	struct scenario less = scenario_copy(sc);
	less.replicas--;
	for (size_t i = 0; i < sc->n; i++)
		if (sc->steps[i].at >= less.replicas || sc->steps[i].other >= less.replicas)
			less.replicas = 0;
	if (less.replicas < 2 || !still_fails(&less, why)) {
		scenario_release(&less);
		return false;
	}
	scenario_release(sc);
	*sc = less;
	return true;
}

/* Shorter runs. */
static bool shorter(struct scenario *sc, const char *why)
{
	bool any = false;
	for (size_t i = 0; i < sc->n; i++) {
		struct step *st = &sc->steps[i];
		if (st->what != DO_RUN)
			continue;
		for (int64_t n = st->n; n > 1; ) {
			int64_t was = st->n;
			n /= 2;
			st->n = was - n;
			if (still_fails(sc, why))
				any = true;
			else
				st->n = was;
		}
	}
	return any;
}

void scenario_shrink(struct scenario *sc)
{
	char why[1024];
	if (play_apart(sc, why))
		return;
	for (bool any = true; any; ) {
		any = false;
		for (size_t n = sc->n / 2; n; n /= 2)
			for (size_t i = 0; i + n <= sc->n; )
				if (without(sc, i, n, why))
					any = true;
				else
					i += n;
		any |= fewer_replicas(sc, why);
		any |= shorter(sc, why);
	}
}
