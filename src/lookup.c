/* Owns looking up the addresses of names, without anybody's waiting. */
#include "config.h"
#include "lookup.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 8 };

/* A look-up waits in the queue, then a thread has it, then it is finished: told in the loop and freed there.
 * One that is cancelled while a thread has it belongs to that thread. */
enum stage { QUEUED, ASKED, FINISHED };

struct lookup {
	struct lookup *next;
	enum stage stage;
	struct ev_loop *loop; /* NULL: nobody wants to know any more */
	ev_async wake;
	struct address name;
	lookup_done_cb *done;
	void *ctx;
	struct addresses found;
	const char *problem;
};

/* `lock` guards the queue, and stage and loop of each look-up. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lookup *queue;
static unsigned threads;

static const char *why(int error)
{
	switch (error) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return "no such host";
	case EAI_AGAIN:
		return "no answer from the name service";
	case EAI_FAIL:
		return "the name service has failed";
	default:
		return "the name cannot be looked up";
	}
}

static void add(struct addresses *found, const struct addrinfo *i)
{
	struct address a = {.sa_len = i->ai_addrlen};
	if (found->n == LOOKUP_ADDRESSES_MAX ||
	    !((i->ai_family == AF_INET && i->ai_addrlen == sizeof(struct sockaddr_in)) ||
	      (i->ai_family == AF_INET6 && i->ai_addrlen == sizeof(struct sockaddr_in6))))
		return;
	memcpy(&a.sa, i->ai_addr, i->ai_addrlen);
	for (size_t k = 0; k < found->n; k++)
		if (address_eq(&found->at[k], &a))
			return;
	found->at[found->n++] = a;
}

const char *lookup_now(const struct address *name, struct addresses *found)
{
	const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char port[8];
	found->n = 0;
	if (!address_is_name(name)) {
		found->at[found->n++] = *name;
		return NULL;
	}
	snprintf(port, sizeof(port), "%u", (unsigned)address_port(name));
	int error = getaddrinfo(name->name, port, &wanted, &list);
	if (error)
		return why(error);
	for (const struct addrinfo *i = list; i; i = i->ai_next)
		add(found, i);
	freeaddrinfo(list);
	return found->n ? NULL : why(EAI_NONAME);
}

static void *ask_all(void *ignored)
{
	struct lookup *l;
	pthread_mutex_lock(&lock);
	while ((l = queue)) {
		queue = l->next;
		l->stage = ASKED;
		pthread_mutex_unlock(&lock);
		l->problem = lookup_now(&l->name, &l->found);
		pthread_mutex_lock(&lock);
		l->stage = FINISHED;
		if (l->loop)
			ev_async_send(l->loop, &l->wake);
		else
			free(l);
	}
	threads--;
	pthread_mutex_unlock(&lock);
	return ignored;
}

static void on_finished(struct ev_loop *loop, ev_async *w, int events)
{
	struct lookup *l = w->data;
	(void)events;
	pthread_mutex_lock(&lock);
	bool finished = l->stage == FINISHED;
	pthread_mutex_unlock(&lock);
	if (!finished)
		return;
	ev_async_stop(loop, &l->wake);
	struct lookup told = *l;
	free(l);
	told.done(told.ctx, told.problem ? NULL : &told.found, told.problem);
}

/* One more thread, unless there are enough. Signals stay with the loop's thread. */
static int more_threads(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	if (threads == THREADS_MAX)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int r = pthread_create(&thread, &attr, ask_all, NULL);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	threads += r == 0;
	return r;
}

struct lookup *lookup_start(struct ev_loop *loop, const struct address *name, lookup_done_cb *done,
			    void *ctx)
{
	struct lookup *l = xcalloc(1, sizeof(*l));
	*l = (struct lookup){.loop = loop, .name = *name, .done = done, .ctx = ctx};
	ev_async_init(&l->wake, on_finished);
	l->wake.data = l;
	ev_async_start(loop, &l->wake);
	pthread_mutex_lock(&lock);
	struct lookup **end = &queue;
	while (*end)
		end = &(*end)->next;
	*end = l;
	if (more_threads() != 0 && !threads) {
		*end = NULL; /* and nobody will come for it */
		l->stage = FINISHED;
		l->problem = "no thread can be had to look up the name";
		ev_async_send(loop, &l->wake);
	}
	pthread_mutex_unlock(&lock);
	return l;
}

void lookup_cancel(struct lookup *l)
{
	if (!l)
		return;
	ev_async_stop(l->loop, &l->wake);
	pthread_mutex_lock(&lock);
	l->loop = NULL;
	struct lookup **at = &queue;
	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
	if (l->stage != ASKED)
		free(l);
	pthread_mutex_unlock(&lock);
}
