/* Owns the worker threads and their two queues. */
#include "config.h"
#include "workers.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS_MAX 16

struct queue {
	struct job *first;
	struct job **end;
	size_t n;
};

struct workers {
	struct ev_loop *loop;
	ev_async finished;
	pthread_mutex_t lock; /* for what follows, up to `stopping` */
	pthread_cond_t wake;
	struct queue waiting[JOB_PRIORITIES];
	struct queue ended;
	unsigned bulk_running;
	bool stopping;
	atomic_bool cancel;
	size_t queue_max;
	size_t busy; /* loop's thread only */
	unsigned n;
	pthread_t threads[THREADS_MAX];
};

static void queue_init(struct queue *q)
{
	*q = (struct queue){.end = &q->first};
}

static void queue_add(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
	q->n++;
}

static struct job *queue_take(struct queue *q)
{
	struct job *job = q->first;
	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->end = &q->first;
	q->n--;
	return job;
}

/* The next job for a free worker. Bulk leaves one worker to the urgent ones, unless it is alone. */
static struct job *next_job(struct workers *pool, bool *bulk)
{
	*bulk = false;
	struct job *job = queue_take(&pool->waiting[JOB_URGENT]);
	if (!job && (pool->n == 1 || pool->bulk_running + 1 < pool->n)) {
		job = queue_take(&pool->waiting[JOB_BULK]);
		*bulk = job != NULL;
	}
	return job;
}

static void *work(void *arg)
{
	struct workers *pool = arg;
	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		bool bulk;
		struct job *job = next_job(pool, &bulk);
		if (!job) {
			pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		pool->bulk_running += bulk;
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
		pool->bulk_running -= bulk;
		queue_add(&pool->ended, job);
		if (pool->waiting[JOB_BULK].first)
			pthread_cond_signal(&pool->wake);
		ev_async_send(pool->loop, &pool->finished);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Tells all that have ended; done() may submit more. */
static void tell(struct workers *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct job *job = pool->ended.first;
	queue_init(&pool->ended);
	pthread_mutex_unlock(&pool->lock);
	while (job) {
		struct job *next = job->next;
		pool->busy--;
		job->done(job, false);
		job = next;
	}
}

static void on_finished(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	tell(async->data);
}

struct workers *workers_new(struct ev_loop *loop, unsigned threads, size_t queue_max)
{
	struct workers *pool = xcalloc(1, sizeof(*pool));
	sigset_t all, before;
	assert(threads >= 1 && threads <= THREADS_MAX);
	pool->loop = loop;
	pool->queue_max = queue_max;
	for (size_t i = 0; i < JOB_PRIORITIES; i++)
		queue_init(&pool->waiting[i]);
	queue_init(&pool->ended);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	ev_async_init(&pool->finished, on_finished);
	pool->finished.data = pool;
	ev_async_start(loop, &pool->finished);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&pool->lock);
	while (pool->n < threads && pthread_create(&pool->threads[pool->n], NULL, work, pool) == 0)
		pool->n++;
	pthread_mutex_unlock(&pool->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!pool->n)
		abort(); /* not even one thread: like memory, nothing to go on with */
	return pool;
}

bool workers_submit(struct workers *pool, struct job *job, enum job_priority priority)
{
	pthread_mutex_lock(&pool->lock);
	bool taken = !pool->stopping && pool->waiting[priority].n < pool->queue_max;
	if (taken) {
		queue_add(&pool->waiting[priority], job);
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	pool->busy += taken;
	return taken;
}

size_t workers_busy(const struct workers *pool)
{
	return pool->busy;
}

const atomic_bool *workers_cancel(const struct workers *pool)
{
	return &pool->cancel;
}

void workers_stop(struct workers *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->cancel, true);
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n; i++)
		pthread_join(pool->threads[i], NULL);
	tell(pool);
	for (size_t i = 0; i < JOB_PRIORITIES; i++) {
		for (struct job *job; (job = queue_take(&pool->waiting[i])); ) {
			pool->busy--;
			job->done(job, true);
		}
	}
	assert(pool->busy == 0);
	ev_async_stop(pool->loop, &pool->finished);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
