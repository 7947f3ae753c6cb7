/* Owns the names of tests. */
#include "config.h"
#include "fake_names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

static const struct {
	const char *name;
	int error;
	const char *addresses[12];
} names[] = {
	{"one.test", 0, {"127.0.0.1"}},
	{"twice.test", 0, {"127.0.0.1", "127.0.0.1"}},
	{"second.test", 0, {"127.0.0.9", "127.0.0.1"}},
	{"nine.test", 0, {"127.0.0.9"}},
	{"both.test", 0, {"::1", "127.0.0.1"}},
	{"mixed.test", 0, {"127.0.0.1", "192.0.2.1"}},
	{"many.test", 0, {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6",
			  "10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.10"}},
	{"slow.test", 0, {"127.0.0.1"}},
	{"empty.test", 0, {NULL}},
	{"silent.test", EAI_AGAIN, {NULL}},
	{"broken.test", EAI_FAIL, {NULL}},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned asked;

static void hold(bool on)
{
	pthread_mutex_lock(&lock);
	held = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void names_hold(void)
{
	hold(true);
}

void names_go_on(void)
{
	hold(false);
}

unsigned names_asked(void)
{
	pthread_mutex_lock(&lock);
	unsigned n = asked;
	pthread_mutex_unlock(&lock);
	return n;
}

void names_await(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (asked < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void wait_for_it(bool slow)
{
	pthread_mutex_lock(&lock);
	asked++;
	pthread_cond_broadcast(&changed);
	while (slow && held)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static struct addrinfo *entry(const char *address, in_port_t port)
{
	struct addrinfo *a = xcalloc(1, sizeof(*a));
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
	bool six = inet_pton(AF_INET, address, &in.sin_addr) != 1;
	if (six && inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
		abort();
	a->ai_family = six ? AF_INET6 : AF_INET;
	a->ai_addrlen = six ? sizeof(in6) : sizeof(in);
	a->ai_addr = xmemdup(six ? (void *)&in6 : (void *)&in, a->ai_addrlen);
	return a;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **list)
{
	in_port_t port = htons((uint16_t)atoi(service));
	(void)hints;
	*list = NULL;
	wait_for_it(strcmp(name, "slow.test") == 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i].name, name) != 0)
			continue;
		struct addrinfo **end = list;
		for (size_t k = 0; names[i].addresses[k]; k++) {
			*end = entry(names[i].addresses[k], port);
			end = &(*end)->ai_next;
		}
		return names[i].error;
	}
	return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;
		free(list->ai_addr);
		free(list);
		list = next;
	}
}
