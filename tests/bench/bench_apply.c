/*
 * Measures apply: small files in batches to a new root, with and without syncs, then replaced.
 * bench_apply [DIRECTORY [FILES [BATCH]]]; prints one line for each kind of work.
 */
#include "config.h"
#include "apply.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FILE_SIZE = 4096, FILES_A_FOLDER = 100 };

struct work {
	const char *what;
	bool without_sync;
	bool replace;
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void content_of(uint8_t *data, size_t file, unsigned round)
{
	for (size_t i = 0; i < FILE_SIZE; i += 8) {
		uint64_t word = hash64(&i, sizeof(i), file * 31 + round);
		memcpy(data + i, &word, 8);
	}
}

/* One pass over all files; seconds spent in apply_ops(). */
static double pass(struct root *root, const struct work *w, unsigned round, size_t files, size_t batch,
		   uint64_t *stamps)
{
	struct op *ops = xcalloc(batch + batch / FILES_A_FOLDER + 2, sizeof(*ops));
	char (*names)[48] = xcalloc(batch + batch / FILES_A_FOLDER + 2, sizeof(*names));
	uint8_t *data = xmalloc(batch * FILE_SIZE);
	struct digest *digest = digest_new();
	double spent = 0;
	for (size_t done = 0; done < files; ) {
		size_t n = 0, first = done;
		for (size_t k = 0; k < batch && done < files; k++, done++) {
			if (done % FILES_A_FOLDER == 0 && !w->replace) {
				snprintf(names[n], sizeof(names[n]), "d%u-%zu", round,
					done / FILES_A_FOLDER);
				ops[n] = (struct op){.path = bytes_of(names[n]), .type = OP_MKDIR,
					.mode = 0755};
				n++;
			}
			snprintf(names[n], sizeof(names[n]), "d%u-%zu/file-%zu", w->replace ? round - 1 :
				round, done / FILES_A_FOLDER, done);
			uint8_t *at = data + k * FILE_SIZE;
			content_of(at, done, round);
			ops[n] = (struct op){
				.path = bytes_of(names[n]), .type = OP_WRITE, .source = SOURCE_DATA,
				.size = FILE_SIZE, .data = {at, FILE_SIZE}, .mode = 0644,
				.mtime_ns = INT64_C(1700000000123456789),
				.expect_kind = w->replace ? KIND_FILE : KIND_ABSENT,
				.expect_stamp = stamps[done],
			};
			digest_of(digest, at, FILE_SIZE, ops[n].hash);
			n++;
		}
		struct apply_env env = {.without_sync = w->without_sync};
		double begin = now_s();
		apply_ops(root, ops, n, &env);
		spent += now_s() - begin;
		for (size_t i = 0; i < n; i++) {
			if (ops[i].error) {
				fprintf(stderr, "%s: %s\n", names[i], strerror(-ops[i].error));
				exit(1);
			}
			if (ops[i].type == OP_WRITE)
				stamps[first++] = ops[i].found.stamp;
		}
	}
	digest_free(digest);
	free(ops);
	free(names);
	free(data);
	return spent;
}

int main(int argc, char **argv)
{
	static const struct work works[] = {
		{"create, no sync", true, false},
		{"replace, no sync", true, true},
		{"create, durable", false, false},
		{"replace, durable", false, true},
	};
	const char *tmp = getenv("TMPDIR");
	const char *base = argc > 1 ? argv[1] : tmp ? tmp : "/tmp";
	size_t files = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
	size_t batch = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
	if (!files || !batch) {
		fputs("usage: bench_apply [DIRECTORY [FILES [BATCH]]]\n", stderr);
		return 2;
	}
	char *dir = xasprintf("%s/bench-apply-XXXXXX", base);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	uint64_t *stamps = xcalloc(files, sizeof(*stamps));
	struct root *root = NULL;
	char *error = NULL;
	if (root_open(&root, dir, &error) < 0 || root_mark(root, &error) < 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (unsigned i = 0; i < ARRAY_LEN(works); i++) {
		double s = pass(root, &works[i], i, files, batch, stamps);
		printf("%-18s %zu files of %d bytes, batches of %zu: %.3f s, %.0f files/s\n",
			works[i].what, files, FILE_SIZE, batch, s, (double)files / s);
		fflush(stdout);
	}
	root_close(root);
	nftw(dir, remove_one, 32, FTW_PHYS | FTW_DEPTH);
	free(stamps);
	free(dir);
	return 0;
}
