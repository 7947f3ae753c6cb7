/* Measures the full screen in a pseudo-terminal, at a made-up server of 1,000,000 rows (or as many
 * as the first argument says): times from a key to its first byte and to a settled screen, bytes
 * for each key, memory. The server is on the same loop, so its time is in the times. Run by hand;
 * $TUTTI_BUILD says where tutti is, else it is in the present folder. */
#include "config.h"
#include "../stage.h"
#include "../suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPEATS = 100 };

static size_t n_rows = 1000000;

static double now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static bool more_bytes(struct pty *p, const void *arg)
{
	return p->raw.len > *(const size_t *)arg;
}

/* One line: what a key costs, `repeats` times. */
static void measure(struct pty *p, const char *what, const char *keys, int repeats)
{
	double first[REPEATS], settled[REPEATS], bytes[REPEATS];
	for (int i = 0; i < repeats; i++) {
		size_t before = p->raw.len;
		uint64_t frames = p->frames;
		double start = now_ms();
		pty_send(p, keys);
		pty_until(p, more_bytes, &before, what);
		first[i] = now_ms() - start;
		pty_settle(p, frames);
		settled[i] = now_ms() - start;
		bytes[i] = (double)(p->raw.len - before);
	}
	size_t n = (size_t)repeats;
	qsort(first, n, sizeof(*first), by_value);
	qsort(settled, n, sizeof(*settled), by_value);
	qsort(bytes, n, sizeof(*bytes), by_value);
	printf("%-28s %8.2f %8.2f %9.2f %9.2f %8.0f %8.0f\n", what, first[n / 2], first[n - 1],
	       settled[n / 2], settled[n - 1], bytes[n / 2], bytes[n - 1]);
}

static void print_memory(pid_t pid)
{
	char name[64], line[200];
	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	FILE *f = fopen(name, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "RssAnon:", 8) == 0)
			printf("%s", line);
	fclose(f);
}

START_TEST(bench)
{
	struct stage stage;
	struct pty pty;
	stage_init(&stage, &pty);
	fake_many(stage.fake, n_rows);
	stage_open(&stage);
	double start = now_ms();
	stage_start(&stage, "xterm-256color", 100, 30, NULL, NULL);
	pty_settle(&pty, 0);
	printf("%zu rows, 100x30; first screen after %.1f ms (the start of the program "
	       "included)\n\n",
	       n_rows, now_ms() - start);
	printf("%-28s %8s %8s %9s %9s %8s %8s\n", "", "1st byte", "worst", "settled", "worst",
	       "bytes", "worst");
	printf("%-28s %8s %8s %9s %9s %8s %8s\n", "key", "ms", "ms", "ms", "ms", "median", "most");
	measure(&pty, "t, flat (server sorts)", "t", 1);
	measure(&pty, "j, down the screen", "j", 18);
	measure(&pty, "j, scrolling", "j", REPEATS);
	measure(&pty, "k", "k", REPEATS);
	measure(&pty, "PgDn", "\033[6~", REPEATS);
	measure(&pty, "g and G in turn", "gG", 20);
	measure(&pty, "?, help and back", "?", 20);
	char many[501] = {0};
	memset(many, 'j', 500);
	measure(&pty, "500 times j at once", many, 10);
	measure(&pty, "s s, by size (server sorts)", "ss", 1);
	measure(&pty, "^L, the whole screen", "\014", 20);
	printf("\n");
	print_memory(pty.program);
	stage_release(&stage);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1)
		n_rows = (size_t)strtoul(argv[1], NULL, 10);
	Suite *s = suite_new("bench_screen");
	TCase *t = suite_case(s, "bench", NULL, NULL);
	tcase_add_test(t, bench);
	return suite_run_here(s);
}
