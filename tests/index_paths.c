/* Prints the paths of which an index has something, in order, one a line: index_paths FILE. */
#include "config.h"

#include <sqlite3.h>
#include <stdio.h>

static int line(void *ctx, int n, char **values, char **names)
{
	(void)ctx, (void)n, (void)names;
	puts(values[0]);
	return 0;
}

int main(int argc, char **argv)
{
	sqlite3 *db = NULL;
	char *why = NULL;
	if (argc != 2)
		return 2;
	int r = sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READONLY, NULL);
	if (r == SQLITE_OK) {
		sqlite3_busy_timeout(db, 5000);
		r = sqlite3_exec(db, "SELECT CAST(path AS TEXT) FROM entry ORDER BY path", line, NULL, &why);
	}
	if (r != SQLITE_OK)
		fprintf(stderr, "index_paths: %s: %s\n", argv[1], why ? why : sqlite3_errstr(r));
	sqlite3_free(why);
	sqlite3_close(db);
	return r != SQLITE_OK;
}
