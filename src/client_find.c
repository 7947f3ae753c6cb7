/* Owns finding the server that is meant: by address, by name, or because it is the only one. */
#include "config.h"
#include "client.h"

#include "address.h"
#include "places.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FOUND_MAX = 256 };

/* Sockets of local servers that take connections. */
struct found {
	char *path[FOUND_MAX];
	dev_t dev[FOUND_MAX];
	ino_t ino[FOUND_MAX];
	size_t n;
};

static bool answers(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(un.sun_path))
		return false;
	memcpy(un.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	/* EAGAIN: somebody listens, and has many callers just now */
	bool yes = !connect(fd, (struct sockaddr *)&un, sizeof(un)) || errno == EAGAIN;
	close(fd);
	return yes;
}

static void try_socket(struct found *f, const char *folder, const char *name)
{
	struct stat st;
	char *path = xasprintf("%s/%s", folder, name);
	bool new = f->n < FOUND_MAX && !stat(path, &st) && S_ISSOCK(st.st_mode);
	for (size_t i = 0; new && i < f->n; i++)
		new = f->dev[i] != st.st_dev || f->ino[i] != st.st_ino;
	if (new && answers(path)) {
		f->path[f->n] = path;
		f->dev[f->n] = st.st_dev;
		f->ino[f->n] = st.st_ino;
		f->n++;
	} else {
		free(path);
	}
}

/* `name`: only the server of that name; NULL: all. */
static void look_in(struct found *f, const char *folder, const char *name)
{
	static const char end[] = ".sock";
	DIR *dir = opendir(folder);
	if (!dir)
		return;
	for (const struct dirent *e; (e = readdir(dir));) {
		size_t len = strlen(e->d_name);
		if (len < sizeof(end) || strcmp(e->d_name + len - (sizeof(end) - 1), end))
			continue;
		len -= sizeof(end) - 1;
		if (!name || (strlen(name) == len && !memcmp(name, e->d_name, len)))
			try_socket(f, folder, e->d_name);
	}
	closedir(dir);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int say_none(const char *name, char *const folders[], size_t n, struct buf *problem)
{
	if (name) {
		text_show(problem, bytes_of(name));
		buf_addf(problem, ": no server of that name runs here");
	} else {
		buf_addf(problem, "no server runs here");
	}
	for (size_t i = 0; i < n; i++) {
		buf_addf(problem, "%s", i ? ", " : " (looked in ");
		text_show(problem, bytes_of(folders[i]));
	}
	buf_addf(problem, "%s; tuttid(8) starts one, -s says which is meant", n ? ")" : "");
	return -ENOENT;
}

static int say_several(struct found *f, struct buf *problem)
{
	qsort(f->path, f->n, sizeof(f->path[0]), compare_paths);
	buf_addf(problem, "%zu servers run here; say with -s which is meant:", f->n);
	for (size_t i = 0; i < f->n; i++) {
		buf_addf(problem, "\n  ");
		text_show(problem, bytes_of(f->path[i]));
	}
	return -ENOTUNIQ;
}

static int find_local(const char *name, struct buf *address, struct buf *problem)
{
	char *folders[PLACES_MAX];
	size_t n = place_sockets(folders);
	struct found *f = xcalloc(1, sizeof(*f));
	int result = 0;
	for (size_t i = 0; i < n; i++)
		look_in(f, folders[i], name);
	if (f->n == 0)
		result = say_none(name, folders, n, problem);
	else if (f->n > 1)
		result = say_several(f, problem);
	else
		buf_addf(address, "%s", f->path[0]);
	while (f->n)
		free(f->path[--f->n]);
	free(f);
	while (n)
		free(folders[--n]);
	return result;
}

int client_find(const char *wanted, struct buf *address, struct buf *problem)
{
	struct endpoint to;
	const char *variable = getenv("TUTTI_SERVER");
	if (!wanted && variable && *variable)
		wanted = variable;
	if (!wanted || !strpbrk(wanted, "/:@"))
		return find_local(wanted, address, problem);
	if (strchr(wanted, '/')) {
		if (strlen(wanted) > place_socket_path_max()) {
			text_show(problem, bytes_of(wanted));
			buf_addf(problem, ": too long for a socket");
			return -EINVAL;
		}
	} else if (!endpoint_parse(wanted, &to, problem)) {
		return -EINVAL;
	} else if (!to.has_address || (!to.has_id && !address_is_name(&to.at) && !address_is_loopback(&to.at))) {
		text_show(problem, bytes_of(wanted));
		buf_addf(problem, to.has_id ? ": the address is missing, expected ID@HOST:PORT"
					    : ": another machine is reached only as ID@HOST:PORT, "
					      "with the ID that its server says when it starts");
		return -EINVAL;
	}
	buf_addf(address, "%s", wanted);
	return 0;
}
