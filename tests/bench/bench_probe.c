/*
 * The parts of tests/bench/bench.sh that a shell is too slow for: making trees, awaiting contents,
 * and statistics. Each command is one row of the table at the end.
 */
#include "config.h"
#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 200000      /* between two looks at what is awaited */
#define DEADLINE_S 600      /* for anything that is awaited */
#define FILES_A_FOLDER 20
#define SMALL_MAX (16 * 1024)
#define PIECE (1 << 20)

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void rest(long ns)
{
	nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

__attribute__((noreturn)) static void fail(const char *what, const char *path)
{
	fprintf(stderr, "bench_probe: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static size_t number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || *end || end == text) {
		errno = EINVAL;
		fail("no number", text);
	}
	return n;
}

/* ---- contents that do not compress and differ from file to file ---- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill(uint8_t *data, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = next_random(&seed);
		memcpy(data + i, &word, len - i < sizeof(word) ? len - i : sizeof(word));
	}
}

static void write_all(int fd, const uint8_t *data, size_t len, const char *path)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0)
			fail("cannot write", path);
		data += n;
		len -= (size_t)n;
	}
}

static void write_file(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("cannot make", path);
	write_all(fd, data, len, path);
	close(fd);
}

/* Is `path` exactly these bytes? */
static bool holds(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool same = false;
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size == len) {
		uint8_t *have = xmalloc(len + 1);
		same = pread(fd, have, len, 0) == (ssize_t)len && memcmp(have, data, len) == 0;
		free(have);
	}
	close(fd);
	return same;
}

static void await_content(const char *path, const uint8_t *data, size_t len)
{
	double end = now_s() + DEADLINE_S;
	while (!holds(path, data, len)) {
		if (now_s() > end) {
			errno = ETIMEDOUT;
			fail("waited in vain for", path);
		}
		rest(POLL_NS);
	}
}

/* ---- trees ---- */

static void file_name(char out[PATH_MAX], const char *root, size_t folders, size_t i)
{
	size_t folder = i % folders;
	snprintf(out, PATH_MAX, "%s/t%03zu/d%05zu/f%06zu.dat", root, folder % 64, folder, i);
}

static size_t folders_of(size_t files)
{
	return files / FILES_A_FOLDER + 1;
}

/* Sizes up to SMALL_MAX, small ones more often: 4 KiB in the mean. */
static size_t small_size(uint64_t *random)
{
	size_t bits = 10 + next_random(random) % 5;
	return next_random(random) % ((size_t)1 << bits);
}

static void make_tree(char **arguments)
{
	size_t files = number(arguments[1]), folders = folders_of(files);
	uint64_t random = files;
	uint8_t *data = xmalloc(SMALL_MAX);
	char path[PATH_MAX];
	for (size_t i = 0; i < folders; i++) {
		snprintf(path, sizeof(path), "%s/t%03zu", arguments[0], i % 64);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			fail("cannot make", path);
		snprintf(path, sizeof(path), "%s/t%03zu/d%05zu", arguments[0], i % 64, i);
		if (mkdir(path, 0755) < 0)
			fail("cannot make", path);
	}
	for (size_t i = 0; i < files; i++) {
		size_t len = small_size(&random);
		fill(data, len, files + i);
		file_name(path, arguments[0], folders, i);
		write_file(path, data, len);
	}
	free(data);
}

static void make_big(char **arguments)
{
	uint8_t *data = xmalloc(PIECE);
	int fd = open(arguments[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("cannot make", arguments[0]);
	for (size_t i = number(arguments[1]), seed = number(arguments[2]) << 32; i--; seed++) {
		fill(data, PIECE, seed);
		write_all(fd, data, PIECE, arguments[0]);
	}
	close(fd);
	free(data);
}

/* ---- awaiting ---- */

static const char *await_from, *await_to;

static int await_one(const char *path, const struct stat *want, int type, struct FTW *at)
{
	if (type == FTW_D && at->level == 1 && strcmp(path + at->base, ".tutti") == 0)
		return FTW_SKIP_SUBTREE;
	if (type != FTW_F)
		return FTW_CONTINUE;
	char there[PATH_MAX];
	struct stat st;
	double end = now_s() + DEADLINE_S;
	snprintf(there, sizeof(there), "%s%s", await_to, path + strlen(await_from));
	while (stat(there, &st) < 0 || st.st_size != want->st_size) {
		if (now_s() > end) {
			errno = ETIMEDOUT;
			fail("waited in vain for", there);
		}
		rest(10 * POLL_NS);
	}
	return FTW_CONTINUE;
}

/* Until each file below the first folder has its size below the second. */
static void await_tree(char **arguments)
{
	await_from = arguments[0];
	await_to = arguments[1];
	if (nftw(await_from, await_one, 64, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
		fail("cannot walk", await_from);
}

/* ---- what is measured as it happens ---- */

/* Files written on one side, one after the other, until they are complete on the other: ms each. */
static void latency(char **arguments)
{
	enum { LEN = 4096 };
	uint8_t data[LEN];
	char here[PATH_MAX], there[PATH_MAX];
	uint64_t random = (uint64_t)getpid();
	for (size_t i = 0, n = number(arguments[2]); i < n; i++) {
		fill(data, LEN, next_random(&random));
		snprintf(here, sizeof(here), "%s/new-%d-%zu", arguments[0], (int)getpid(), i);
		snprintf(there, sizeof(there), "%s/new-%d-%zu", arguments[1], (int)getpid(), i);
		double begin = now_s();
		write_file(here, data, LEN);
		await_content(there, data, LEN);
		printf("%.3f\n", (now_s() - begin) * 1e3);
		fflush(stdout);
		/* a gap of random length, so that nothing runs in step with a timer */
		rest((long)(20000000 + next_random(&random) % 60000000));
	}
}

/* Rewrites some of the files of make_tree; seconds from the last write until all are there. */
static void burst(char **arguments)
{
	size_t files = number(arguments[2]), n = number(arguments[3]), folders = folders_of(files);
	uint64_t random = (uint64_t)number(arguments[4]) * files;
	struct {
		size_t file, len;
		uint64_t seed;
	} *picked = xcalloc(n, sizeof(*picked));
	uint8_t *data = xmalloc(SMALL_MAX);
	char path[PATH_MAX];
	size_t step = files / n; /* each at most once */
	for (size_t i = 0; i < n; i++) {
		picked[i].file = i * step + next_random(&random) % step;
		picked[i].len = 1 + next_random(&random) % (SMALL_MAX / 2);
		picked[i].seed = next_random(&random);
		fill(data, picked[i].len, picked[i].seed);
		file_name(path, arguments[0], folders, picked[i].file);
		write_file(path, data, picked[i].len);
	}
	double written = now_s();
	if (strcmp(arguments[5], "-") != 0 && system(arguments[5]) != 0)
		fail("failed:", arguments[5]);
	for (size_t i = 0; i < n; i++) {
		fill(data, picked[i].len, picked[i].seed);
		file_name(path, arguments[1], folders, picked[i].file);
		await_content(path, data, picked[i].len);
	}
	printf("%.3f\n", now_s() - written);
	free(data);
	free(picked);
}

/* ---- statistics ---- */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static double quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
	return sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
}

/* Numbers from stdin: "N MEDIAN P95 P99 MAX". */
static void statistics(char **arguments)
{
	(void)arguments;
	double *values = NULL, value;
	size_t n = 0, cap = 0;
	while (scanf("%lf", &value) == 1) {
		GROW(values, cap, n + 1);
		values[n++] = value;
	}
	if (!n) {
		errno = ENODATA;
		fail("nothing was", "measured");
	}
	qsort(values, n, sizeof(*values), by_value);
	printf("%zu %.4g %.4g %.4g %.4g\n", n, quantile(values, n, .5), quantile(values, n, .95),
	       quantile(values, n, .99), values[n - 1]);
	free(values);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *usage;
		int n_arguments;
		void (*run)(char **arguments);
	} commands[] = {
		{"tree", "FOLDER FILES", 2, make_tree},
		{"big", "FILE MIB SEED", 3, make_big},
		{"await", "FROM TO", 2, await_tree},
		{"latency", "FROM TO TIMES", 3, latency},
		{"burst", "FROM TO FILES REWRITTEN SEED COMMAND|-", 6, burst},
		{"statistics", "<NUMBERS", 0, statistics},
	};
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].n_arguments) {
			commands[i].run(argv + 2);
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(stderr, "usage: bench_probe %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
