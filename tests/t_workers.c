/* Tests of workers: jobs run elsewhere and end here, in order, within bounds, and stop in order. */
#include "config.h"
#include "workers.h"
#include "suite.h"

#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

static struct ev_loop *loop;
static struct workers *pool;
static pthread_t loop_thread;

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	pool = NULL;
	loop_thread = pthread_self();
}

static void teardown(void)
{
	workers_stop(pool);
	ev_loop_destroy(loop);
}

/* Runs the loop until no job is left; the test's own timeout ends it if that never comes. */
static void until_idle(void)
{
	while (workers_busy(pool))
		ev_run(loop, EVRUN_ONCE);
}

/* A gate that jobs wait at: closed until it is opened. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	unsigned waiting;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};

static void gate_pass(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.waiting++;
	pthread_cond_broadcast(&gate.changed);
	while (!gate.open)
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.waiting--;
	pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Waits until so many jobs stand at the gate. */
static void gate_await(unsigned n)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.waiting < n)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

struct task {
	struct job job;
	unsigned number;
	bool ran;
	bool done;
	bool cancelled;
	bool elsewhere; /* ran in another thread, ended in the loop's */
	bool again;     /* submits itself once more from done() */
};

static atomic_uint order[64];
static atomic_uint n_order;

static void run(struct job *job)
{
	struct task *t = (struct task *)job;
	t->ran = true;
	t->elsewhere = !pthread_equal(pthread_self(), loop_thread);
	atomic_store(&order[atomic_fetch_add(&n_order, 1) % ARRAY_LEN(order)], t->number);
}

static void run_at_gate(struct job *job)
{
	gate_pass();
	run(job);
}

static void done(struct job *job, bool cancelled)
{
	struct task *t = (struct task *)job;
	t->done = true;
	t->cancelled = cancelled;
	t->elsewhere = t->elsewhere && pthread_equal(pthread_self(), loop_thread);
	if (t->again) {
		t->again = false;
		t->done = t->ran = false;
		bool taken = workers_submit(pool, job, JOB_URGENT);
		ck_assert(taken != cancelled);
	}
}

static struct task task_of(unsigned number, void (*fn)(struct job *))
{
	return (struct task){.job = {.run = fn, .done = done}, .number = number};
}

START_TEST(jobs_run_elsewhere_and_end_here)
{
	enum { N = 1000 };
	struct task *tasks = xcalloc(N, sizeof(*tasks));
	pool = workers_new(loop, 3, N);
	for (unsigned i = 0; i < N; i++) {
		tasks[i] = task_of(i, run);
		ck_assert(workers_submit(pool, &tasks[i].job, i % 2 ? JOB_URGENT : JOB_BULK));
	}
	ck_assert_uint_eq(workers_busy(pool), N);
	until_idle();
	for (unsigned i = 0; i < N; i++)
		ck_assert(tasks[i].ran && tasks[i].done && !tasks[i].cancelled && tasks[i].elsewhere);
	free(tasks);
}
END_TEST

START_TEST(order_is_first_in_first_out_and_urgent_first)
{
	struct task first = task_of(0, run_at_gate), bulk[3], urgent[3];
	pool = workers_new(loop, 1, 10);
	ck_assert(workers_submit(pool, &first.job, JOB_URGENT));
	gate_await(1);
	for (unsigned i = 0; i < 3; i++) {
		bulk[i] = task_of(10 + i, run);
		urgent[i] = task_of(20 + i, run);
		ck_assert(workers_submit(pool, &bulk[i].job, JOB_BULK));
		ck_assert(workers_submit(pool, &urgent[i].job, JOB_URGENT));
	}
	gate_open();
	until_idle();
	static const unsigned expected[] = {0, 20, 21, 22, 10, 11, 12};
	for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
		ck_assert_uint_eq(atomic_load(&order[i]), expected[i]);
}
END_TEST

START_TEST(bulk_leaves_a_worker_to_the_urgent)
{
	struct task bulk[4], urgent = task_of(9, run);
	pool = workers_new(loop, 3, 10);
	for (unsigned i = 0; i < 4; i++) {
		bulk[i] = task_of(i, run_at_gate);
		ck_assert(workers_submit(pool, &bulk[i].job, JOB_BULK));
	}
	gate_await(2);
	ck_assert(workers_submit(pool, &urgent.job, JOB_URGENT));
	while (!urgent.done)
		ev_run(loop, EVRUN_ONCE);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(!bulk[i].done);
	gate_open();
	until_idle();
	ck_assert(bulk[3].done);
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct task first = task_of(0, run_at_gate), more[4];
	pool = workers_new(loop, 1, 3);
	ck_assert(workers_submit(pool, &first.job, JOB_URGENT));
	gate_await(1);
	for (unsigned i = 0; i < 4; i++) {
		more[i] = task_of(i, run);
		ck_assert(workers_submit(pool, &more[i].job, JOB_URGENT) == (i < 3));
	}
	ck_assert_uint_eq(workers_busy(pool), 4);
	gate_open();
	until_idle();
	ck_assert(!more[3].ran && !more[3].done);
	ck_assert(workers_submit(pool, &more[3].job, JOB_URGENT));
	until_idle();
	ck_assert(more[3].done);
}
END_TEST

START_TEST(end_of_a_job_may_submit_another)
{
	struct task t = task_of(1, run);
	t.again = true;
	pool = workers_new(loop, 2, 4);
	ck_assert(workers_submit(pool, &t.job, JOB_BULK));
	until_idle();
	ck_assert(t.ran && t.done && !t.again);
}
END_TEST

static void run_until_cancelled(struct job *job)
{
	pthread_mutex_lock(&gate.lock);
	gate.waiting++;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
	while (!atomic_load(workers_cancel(pool)))
		sched_yield();
	run(job);
}

START_TEST(stop_lets_running_jobs_end_and_drops_the_others)
{
	struct task running = task_of(0, run_until_cancelled), waiting[3];
	pool = workers_new(loop, 1, 10);
	ck_assert(!atomic_load(workers_cancel(pool)));
	ck_assert(workers_submit(pool, &running.job, JOB_URGENT));
	gate_await(1);
	for (unsigned i = 0; i < 3; i++) {
		waiting[i] = task_of(i, run);
		waiting[i].again = i == 2; /* submitting is refused by then */
		ck_assert(workers_submit(pool, &waiting[i].job, i ? JOB_URGENT : JOB_BULK));
	}
	workers_stop(pool);
	pool = NULL;
	ck_assert(running.ran && running.done && !running.cancelled);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!waiting[i].ran && waiting[i].cancelled);
}
END_TEST

static void run_mask(struct job *job)
{
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	((struct task *)job)->ran = sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGHUP) == 1;
}

START_TEST(signals_stay_with_the_loop)
{
	struct task t = task_of(1, run_mask);
	sigset_t now;
	pool = workers_new(loop, 2, 4);
	ck_assert(workers_submit(pool, &t.job, JOB_URGENT));
	until_idle();
	ck_assert(t.ran);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("workers");
	TCase *t = suite_case(s, "workers", setup, teardown);
	tcase_add_test(t, jobs_run_elsewhere_and_end_here);
	tcase_add_test(t, order_is_first_in_first_out_and_urgent_first);
	tcase_add_test(t, bulk_leaves_a_worker_to_the_urgent);
	tcase_add_test(t, queue_is_bounded);
	tcase_add_test(t, end_of_a_job_may_submit_another);
	tcase_add_test(t, stop_lets_running_jobs_end_and_drops_the_others);
	tcase_add_test(t, signals_stay_with_the_loop);
	return suite_run(s);
}
