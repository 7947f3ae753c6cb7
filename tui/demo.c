/* Owns what is shown of the demo: the screen, or the table once both servers have met. */
#include "config.h"
#include "demo.h"

#include "commands.h"
#include "demo_files.h"
#include "demo_keeper.h"
#include "wire.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>

enum { SYNC_MS = 60000 };

/* --- until both servers have met */

struct meeting {
	struct console console;
	bool met, late;
};

static void look(struct meeting *m, const msgpack_object *status)
{
	const msgpack_object *replicas = wire_get(status, "replicas");
	bool away = false;
	for (size_t i = 0; i < wire_count(replicas); i++) {
		struct bytes state;
		wire_get_str(wire_at(replicas, i), "state", &state);
		away |= bytes_eq(state, bytes_of("offline")) ||
			bytes_eq(state, bytes_of("connecting"));
	}
	m->met = wire_count(replicas) == DEMO_SIDES && !away;
}

static void take_status(void *ctx, const msgpack_object *result)
{
	look(ctx, result);
}

static void on_notify(void *ctx, const char *method, const msgpack_object *params)
{
	if (!strcmp(method, "status"))
		look(ctx, params);
}

static void on_late(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct meeting *m = t->data;
	(void)loop, (void)revents;
	m->late = true;
}

/* Until the second server has been met and both hold the same. An exit status. */
static int wait_for_sync(const struct arguments *a)
{
	static const struct client_callbacks callbacks = {.notify = on_notify};
	struct meeting m = {0};
	ev_timer limit;
	int status = console_open(&m.console, a, false, &callbacks, &m);
	if (!status)
		status = console_ask(&m.console, "events", NULL, NULL, NULL);
	if (!status)
		status = console_ask(&m.console, "status", NULL, take_status, &m);
	if (!status) {
		ev_timer_init(&limit, on_late, SYNC_MS / 1000.0, 0);
		limit.data = &m;
		ev_timer_start(m.console.loop, &limit);
		while (!m.met && !m.late && client_is_up(m.console.client))
			ev_run(m.console.loop, EVRUN_ONCE);
		ev_timer_stop(m.console.loop, &limit);
		if (!m.met) {
			complain("the two servers of the demo do not meet");
			status = EXIT_NOT_DONE;
		}
	}
	if (!status)
		status = command_wait(&m.console);
	console_close(&m.console);
	return status;
}

/* --- the demo */

/* One frame, of a demo that has come to rest. */
static int show_frame(const char *socket, const struct arguments *a, demo_show_fn *show)
{
	int status = wait_for_sync(a);
	return status ? status : show(socket, a);
}

static int print_table(const struct arguments *demo)
{
	struct arguments a = *demo;
	a.command = COMMAND_LIST;
	int status = wait_for_sync(&a);
	return status ? status : command_run(&a);
}

int demo_run(const struct arguments *a, demo_show_fn *show)
{
	struct demo_keeper keeper;
	struct arguments local = *a;
	struct buf problem = {0};
	int status = EXIT_NOT_DONE;
	signal(SIGPIPE, SIG_IGN); /* whoever reads the table may stop; we still clean up in order */
	bool live = show && !a->frame.width;
	if (keeper_start(&keeper, live, &problem)) {
		local.server = keeper.socket;
		local.timeout_ms = SYNC_MS;
		status = live	? show(keeper.socket, &local)
			 : show ? show_frame(keeper.socket, &local, show)
				: print_table(&local);
		keeper_stop(&keeper, &problem);
	}
	if (problem.len) {
		fprintf(stderr, "tutti: demo: %.*s", (int)problem.len, (const char *)problem.data);
		status = EXIT_NOT_DONE;
	}
	buf_release(&problem);
	return status;
}
