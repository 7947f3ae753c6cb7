/*
 * Owns main() of the fuzzers in `make check`: feeds each what was found to be worth keeping. A corpus is one
 * file: inputs after each other, each after its length (4 bytes, big-endian).
 *	fuzz_NAME CORPUS            runs all, prints how many
 *	fuzz_NAME --pack FOLDER     writes the files of a folder as a corpus to stdout
 *	fuzz_NAME --unpack CORPUS FOLDER
 */
#include "config.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct buf read_file(const char *path)
{
	struct buf b = {0};
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	for (size_t n = 1; n;) {
		n = fread(buf_reserve(&b, 65536), 1, 65536, f);
		b.len += n;
	}
	if (ferror(f)) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return b;
}

static int is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void pack(const char *folder)
{
	struct dirent **list;
	int n = scandir(folder, &list, is_input, alphasort);
	if (n < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", folder, list[i]->d_name);
		struct buf b = read_file(path);
		uint8_t head[4] = {(uint8_t)(b.len >> 24), (uint8_t)(b.len >> 16),
				   (uint8_t)(b.len >> 8), (uint8_t)b.len};
		fwrite(head, 1, sizeof(head), stdout);
		fwrite(b.data, 1, b.len, stdout);
		buf_release(&b);
		free(path);
		free(list[i]);
	}
	free(list);
}

static void unpack_one(const char *folder, size_t number, struct bytes b)
{
	char *path = xasprintf("%s/%06zu", folder, number);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(b.p, 1, b.len, f) != b.len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
	free(path);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--pack") == 0) {
		pack(argv[2]);
		return fflush(stdout) != 0 || ferror(stdout);
	}
	bool unpack = argc == 4 && strcmp(argv[1], "--unpack") == 0;
	if (argc != 2 && !unpack) {
		fprintf(stderr, "usage: %s CORPUS | --pack FOLDER | --unpack CORPUS FOLDER\n", argv[0]);
		return 2;
	}
	struct buf all = read_file(argv[unpack ? 2 : 1]);
	size_t n = 0;
	for (size_t at = 0; at < all.len; n++) {
		struct input in = {all.data + at, all.len - at};
		size_t len = (size_t)input_number(&in, 4);
		if (all.len - at < 4 || len > in.len) {
			fprintf(stderr, "%s: cut short\n", argv[unpack ? 2 : 1]);
			return 1;
		}
		if (unpack) {
			unpack_one(argv[3], n, (struct bytes){in.p, len});
		} else {
			/* In memory of its own, so that a read beyond its end is seen. */
			uint8_t *copy = xmemdup(in.p, len);
			LLVMFuzzerTestOneInput(copy, len);
			free(copy);
		}
		at += 4 + len;
	}
	printf("%zu inputs\n", n);
	buf_release(&all);
	return n ? 0 : 1;
}
