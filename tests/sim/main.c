/* Owns the simulator's command line: seeds, scenarios, wrong rules, and the sums of what came out. */
#include "config.h"
#include "sim.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
	"Usage: sim [OPTION...] [SCENARIO...]\n"
	"Plays histories of many replicas, and judges what comes of them.\n\n"
	"  -s, --seeds A-B     the histories of these seeds\n"
	"  -t, --twice N       plays each Nth of them twice: what happens must be the same\n"
	"  -o, --orders N      of each Nth, what people do is told in several orders (S14)\n"
	"  -c, --cover N       fails unless each row of the tables was met N times; prints the counts\n"
	"  -m, --mutant NAME   with a wrong rule in the engine; one of these histories must fail\n"
	"  -l, --list-mutants  the names of the wrong rules\n"
	"  -p, --print         prints the scenario of each seed instead of playing it\n"
	"  -k, --keep-going    goes on after a failure\n"
	"  -x, --shrink        makes what fails small before it is printed\n"
	"  -v, --verbose       tells each step on stderr\n"
	"      --help\n";

struct settings {
	uint64_t first, last, twice, orders, least;
	const char *mutant;
	bool print, go_on, shrink, verbose;
};

static uint64_t playing; /* for who is told of an abort */

static void aborted(int sig)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "\nseed %llu: crashes\n", (unsigned long long)playing);
	if (playing && write(STDOUT_FILENO, text, (size_t)n) < 0)
		_exit(3);
	signal(sig, SIG_DFL);
	raise(sig);
}

static bool numbers(const char *text, uint64_t *first, uint64_t *last)
{
	char *end;
	*first = *last = strtoull(text, &end, 10);
	if (*end == '-')
		*last = strtoull(end + 1, &end, 10);
	return *text && !*end && *first <= *last;
}

static void tell(struct scenario *sc, const char *what, const char *why, const struct settings *set)
{
	printf("# %s: %s\n", what, why);
	if (set->shrink) {
		char now[1024];
		scenario_shrink(sc);
		if (!play_apart(sc, now))
			printf("# made small: %s\n", now);
	}
	if (set->shrink || set->verbose)
		scenario_print(sc, stdout);
	fflush(stdout);
}

/* S14: whatever the order in which all is told, the same tree comes of it. */
static bool same_in_any_order(struct scenario *sc, const char **why)
{
	uint64_t hash, first = 0;
	for (uint64_t order = 1; order <= 3; order++) {
		scenario_reorder(sc, order);
		if (!sim_play(sc, false, &hash, why))
			return false;
		if (order == 1)
			first = sim_tree();
		*why = "S14: another order of messages gives another tree";
		if (sim_tree() != first)
			return false;
	}
	return true;
}

static bool play_seed(uint64_t seed, const struct settings *set)
{
	struct scenario sc;
	uint64_t hash, again;
	const char *why;
	char what[40];
	scenario_make(&sc, seed);
	playing = seed;
	if (set->print) {
		scenario_print(&sc, stdout);
		scenario_release(&sc);
		return true;
	}
	bool good = sim_play(&sc, set->verbose, &hash, &why);
	if (good && set->twice && seed % set->twice == 0) {
		sim_play(&sc, false, &again, &why);
		good = again == hash;
		if (!good)
			why = "hash: it is not the same when it is played again";
	}
	if (good && set->orders && seed % set->orders == 0)
		good = same_in_any_order(&sc, &why);
	snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
	if (!good && !set->mutant)
		tell(&sc, what, why, set);
	if (good && set->verbose)
		printf("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)hash);
	playing = 0;
	scenario_release(&sc);
	return good;
}

static bool play_file(const char *name, const struct settings *set)
{
	struct scenario sc;
	struct buf text = {0};
	char part[4096], what[1024];
	size_t n;
	FILE *f = fopen(name, "r");
	if (!f) {
		fprintf(stderr, "sim: cannot read %s\n", name);
		return false;
	}
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&text, part, n);
	fclose(f);
	buf_add_char(&text, 0);
	const char *why = scenario_parse(&sc, (const char *)text.data);
	buf_release(&text);
	if (why) {
		printf("# %s: %s\n", name, why);
		return false;
	}
	uint64_t hash;
	bool good = true;
	for (size_t i = 0; good && sc.replicas; i++) {
		good = set->shrink ? play_apart(&sc, what) : sim_play(&sc, set->verbose, &hash, &why);
		if (!good && !set->mutant)
			tell(&sc, name, set->shrink ? what : why, set);
		sc.replicas = i < REPLICAS ? sc.more[i] : 0;
	}
	scenario_release(&sc);
	return good;
}

static int sum(uint64_t played, uint64_t failed)
{
	printf("%u%%: Checks: %llu, Failures: %llu, Errors: 0\n",
	       (unsigned)(played ? 100 * (played - failed) / played : 0), (unsigned long long)played,
	       (unsigned long long)failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 's'}, {"twice", required_argument, NULL, 't'},
		{"orders", required_argument, NULL, 'o'},
		{"cover", required_argument, NULL, 'c'}, {"mutant", required_argument, NULL, 'm'},
		{"list-mutants", no_argument, NULL, 'l'}, {"print", no_argument, NULL, 'p'},
		{"keep-going", no_argument, NULL, 'k'}, {"shrink", no_argument, NULL, 'x'},
		{"verbose", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0},
	};
	struct settings set = {.first = 1};
	uint64_t played = 0, failed = 0;
	bool seeds = false;
	for (int c; (c = getopt_long(argc, argv, "s:t:o:c:m:lpkxvh", options, NULL)) != -1; ) {
		uint64_t unused;
		bool good = true;
		switch (c) {
		case 's': good = seeds = numbers(optarg, &set.first, &set.last); break;
		case 't': good = numbers(optarg, &set.twice, &unused); break;
		case 'o': good = numbers(optarg, &set.orders, &unused); break;
		case 'c': good = numbers(optarg, &set.least, &unused); break;
		case 'm':
			set.mutant = optarg;
			good = mutant_set(optarg);
			break;
		case 'l':
			mutants_print(stdout);
			return EXIT_SUCCESS;
		case 'p': set.print = true; break;
		case 'k': set.go_on = true; break;
		case 'x': set.shrink = true; break;
		case 'v': set.verbose = true; break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default: good = false;
		}
		if (!good) {
			fprintf(stderr, "sim: wrong usage; --help tells more\n");
			return 2;
		}
	}
	signal(SIGABRT, aborted);
	signal(SIGSEGV, aborted);
	for (int i = optind; i < argc && !(set.mutant && failed); i++, played++)
		failed += !play_file(argv[i], &set);
	for (uint64_t seed = set.first; seeds && seed <= set.last && !(set.mutant && failed); seed++) {
		played++;
		failed += !play_seed(seed, &set);
		if (failed && !set.go_on)
			break;
	}
	if (set.mutant) {
		printf("%s: %s after %llu histories\n", set.mutant, failed ? "caught" : "NOT CAUGHT",
		       (unsigned long long)played);
		return failed ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (set.least) {
		cover_print(stdout);
		played++;
		failed += !cover_enough(set.least, stdout);
	}
	return set.print ? EXIT_SUCCESS : sum(played, failed);
}
