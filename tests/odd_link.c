/*
 * Owns a bad connection, for the end-to-end tests: odd_link CONTROL PORT prints the port that it
 * listens on, and passes what comes there on to PORT, and back, both of loopback. Files in the folder
 * CONTROL say what is wrong, at any time:
 *	hold-there, hold-back   nothing passes in that direction, and nobody is told
 *	slow-there, slow-back   one byte a second
 *	cut                     all connections end, and no new one is taken
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINKS_MAX = 32, CHUNK = 65536, LOOK_MS = 5 };

/* One direction of one connection. */
struct way {
	int from, to;
	const char *name;
	double last; /* when a byte passed slowly */
};

static struct way ways[2 * LINKS_MAX];
static size_t n_ways;
static const char *control;

static bool is_on(const char *what, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s%s", control, what, name);
	return access(path, F_OK) == 0;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void take(int listener, int port)
{
	struct sockaddr_in at = loopback(port);
	int from = accept(listener, NULL, NULL);
	int to = socket(AF_INET, SOCK_STREAM, 0);
	if (from < 0 || to < 0 || n_ways + 2 > 2 * LINKS_MAX || is_on("cut", "") ||
	    connect(to, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(from);
		close(to);
		return;
	}
	ways[n_ways++] = (struct way){from, to, "there", 0};
	ways[n_ways++] = (struct way){to, from, "back", 0};
}

/* Both directions of the connection that way `i` belongs to. */
static void end(size_t i)
{
	i &= ~(size_t)1;
	close(ways[i].from);
	close(ways[i].to);
	n_ways -= 2;
	ways[i] = ways[n_ways];
	ways[i + 1] = ways[n_ways + 1];
}

/* False: the connection is over. */
static bool pass(struct way *w)
{
	static char bytes[CHUNK];
	bool slow = is_on("slow-", w->name);
	if (is_on("hold-", w->name) || (slow && now() - w->last < 1))
		return true;
	ssize_t n = recv(w->from, bytes, slow ? 1 : sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	w->last = now();
	for (ssize_t at = 0; at < n;) {
		ssize_t sent = send(w->to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += sent;
	}
	return true;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	control = argv[1];
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof(at);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, 16) < 0 || getsockname(listener, (struct sockaddr *)&at, &len) < 0) {
		perror("odd_link");
		return 1;
	}
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		struct pollfd p[2 * LINKS_MAX + 1] = {{listener, POLLIN, 0}};
		bool any_wrong = false;
		for (size_t i = 0; i < n_ways; i++) {
			bool held = is_on("hold-", ways[i].name) || is_on("slow-", ways[i].name);
			any_wrong = any_wrong || held;
			p[i + 1] = (struct pollfd){held ? -1 : ways[i].from, POLLIN, 0};
		}
		poll(p, (nfds_t)n_ways + 1, any_wrong ? LOOK_MS : 50);
		for (size_t i = n_ways; i-- > 0;)
			if (i < n_ways && (is_on("cut", "") || !pass(&ways[i])))
				end(i);
		if (p[0].revents)
			take(listener, atoi(argv[2]));
	}
}
