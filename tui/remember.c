/* Owns the file of remembered choices. */
#include "config.h"
#include "remember.h"

#include "places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4096 };

char *remember_place(void)
{
	char *state = place_state(), *file = NULL;
	if (state)
		file = xasprintf("%s/screen", state);
	free(state);
	return file;
}

static void take(struct listing_query *q, struct bytes key, struct bytes value)
{
	bool yes = bytes_eq(value, bytes_of("yes")), no = bytes_eq(value, bytes_of("no"));
	int sort = table_sort_parse(value);
	if (bytes_eq(key, bytes_of("sort")) && sort >= 0)
		q->sort = (enum table_sort)sort;
	else if (bytes_eq(key, bytes_of("reverse")) && (yes || no))
		q->reverse = yes;
	else if (bytes_eq(key, bytes_of("tree")) && (yes || no))
		q->tree = yes;
}

void remember_read(const char *file, struct listing_query *q, struct setup *s)
{
	char text[FILE_MAX];
	FILE *f = fopen(file, "re");
	if (!f)
		return;
	size_t len = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t at = 0; at < len;) {
		const char *line = text + at, *end = memchr(line, '\n', len - at);
		size_t n = end ? (size_t)(end - line) : len - at;
		const char *eq = memchr(line, '=', n);
		if (eq) {
			struct bytes key = {(const uint8_t *)line, (size_t)(eq - line)};
			struct bytes value = {(const uint8_t *)eq + 1, n - key.len - 1};
			take(q, key, value);
			setup_take(s, key, value);
		}
		at += n + 1;
	}
}

/* mkdir -p of the folder of `file`. */
static int make_folder(const char *file)
{
	char *path = xstrdup(file);
	int r = 0;
	for (char *p = strchr(path + 1, '/'); p && r == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			r = -errno;
		*p = '/';
	}
	free(path);
	return r;
}

int remember_write(const char *file, const struct listing_query *q, const struct setup *s)
{
	char *temporary = xasprintf("%s.%ld", file, (long)getpid());
	int r = make_folder(file);
	struct buf setup = {0};
	FILE *f = NULL;
	if (r < 0)
		goto out;
	f = fopen(temporary, "wxe");
	if (!f) {
		r = -errno;
		goto out;
	}
	fprintf(f, "sort=%s\nreverse=%s\ntree=%s\n", table_sort_text(q->sort),
		q->reverse ? "yes" : "no", q->tree ? "yes" : "no");
	setup_write(s, &setup);
	fwrite(setup.data, 1, setup.len, f);
	if (ferror(f) | fclose(f))
		r = -EIO;
	else if (rename(temporary, file) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
out:
	buf_release(&setup);
	free(temporary);
	return r;
}
