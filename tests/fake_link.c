/* Owns the tie between a fake server and a socket. */
#include "config.h"
#include "fake_link.h"

#include "message.h"

static void on_request(struct tiny_server *t, const struct wire_frame *f)
{
	struct fake_link *l = t->ctx;
	struct buf result = {0};
	if (l->silent)
		return;
	const char *error = fake_call(l->fake, f->method, f->params, &result);
	if (error)
		tiny_refuse(t, f, ERROR_FAILED, error);
	else
		tiny_answer(t, f, &result);
	buf_release(&result);
}

void fake_link_start(struct fake_link *l, struct ev_loop *loop, struct fake *f, const char *folder,
		     const char *name)
{
	*l = (struct fake_link){.fake = f};
	tiny_start(&l->tiny, loop, folder, name);
	l->tiny.on_request = on_request;
	l->tiny.ctx = l;
}

void fake_link_stop(struct fake_link *l)
{
	tiny_stop(&l->tiny);
}

static void notify(struct fake_link *l, const char *method, struct buf *params)
{
	if (l->tiny.conn)
		tiny_notify(&l->tiny, method, params);
	buf_release(params);
}

void fake_link_push(struct fake_link *l)
{
	struct buf params = {0};
	while (fake_changed_rows(l->fake, &params))
		notify(l, "table.rows", &params);
}

void fake_link_event(struct fake_link *l, int64_t time_s, const char *what, const char *path,
		     const char *replica, const char *detail)
{
	struct buf params = {0};
	fake_event(l->fake, &params, time_s, what, path, replica, detail);
	notify(l, "event", &params);
}

void fake_link_status(struct fake_link *l)
{
	struct buf params = {0};
	fake_status(l->fake, &params);
	notify(l, "status", &params);
}

void fake_link_progress(struct fake_link *l, bool running)
{
	struct buf params = {0};
	fake_progress(l->fake, &params, running);
	notify(l, "progress", &params);
}
