/* Owns the tie between a model and a fake server. */
#include "config.h"
#include "screen_rig.h"

#include <stdlib.h>

static bool rig_ask(void *ctx, const char *method, struct buf *params, uint32_t tag)
{
	struct rig *r = ctx;
	struct rig_request q = {.tag = tag};
	if (r->deaf)
		return false;
	buf_add(&q.method, method, strlen(method) + 1);
	buf_add(&q.params, params->data, params->len);
	GROW(r->requests, r->cap, r->n + 1);
	r->requests[r->n++] = q;
	r->asked++;
	return true;
}

void rig_init(struct rig *r, struct fake *f, int width, int height, bool ascii)
{
	*r = (struct rig){.f = f, .deaf = true};
	model_init(&r->m, rig_ask, r);
	r->m.ascii = ascii;
	r->m.now = RIG_NOW * 1000000000;
	buf_addf(&r->m.address, "/run/tutti/alpha.sock");
	grid_init(&r->grid, width, height, ascii);
	model_resize(&r->m, width, height);
}

void rig_release(struct rig *r)
{
	for (size_t i = 0; i < r->n; i++) {
		buf_release(&r->requests[i].method);
		buf_release(&r->requests[i].params);
	}
	free(r->requests);
	model_release(&r->m);
	grid_release(&r->grid);
	fake_free(r->f);
}

/* Unpacks a map and passes it on. */
static void with_map(const struct buf *packed, void (*use)(void *ctx, const msgpack_object *map),
		     void *ctx)
{
	msgpack_unpacked u;
	msgpack_unpacked_init(&u);
	assert(!wire_scan((struct bytes){packed->data, packed->len}));
	msgpack_unpack_return ok =
		msgpack_unpack_next(&u, (const char *)packed->data, packed->len, NULL);
	assert(ok == MSGPACK_UNPACK_SUCCESS);
	use(ctx, &u.data);
	msgpack_unpacked_destroy(&u);
}

struct answering {
	struct rig *r;
	struct rig_request *q;
};

static void answer_result(void *ctx, const msgpack_object *map)
{
	struct answering *a = ctx;
	model_answer(&a->r->m, a->q->tag, map, NULL);
}

static void answer_params(void *ctx, const msgpack_object *map)
{
	struct answering *a = ctx;
	struct buf result = {0};
	const char *error =
		fake_call(a->r->f, bytes_of((const char *)a->q->method.data), map, &result);
	if (error)
		model_answer(&a->r->m, a->q->tag, NULL, error);
	else
		with_map(&result, answer_result, a);
	buf_release(&result);
}

bool rig_answer_one(struct rig *r)
{
	if (r->n == 0)
		return false;
	struct rig_request q = r->requests[0];
	r->n--;
	memmove(r->requests, r->requests + 1, r->n * sizeof(*r->requests));
	with_map(&q.params, answer_params, &(struct answering){r, &q});
	buf_release(&q.method);
	buf_release(&q.params);
	return true;
}

struct telling {
	struct rig *r;
	const char *method;
};

static void tell(void *ctx, const msgpack_object *map)
{
	struct telling *t = ctx;
	model_notify(&t->r->m, t->method, map);
}

void rig_notify(struct rig *r, const char *method, const struct buf *params)
{
	with_map(params, tell, &(struct telling){r, method});
}

void rig_settle(struct rig *r)
{
	/* Long enough after any key that nothing is held any more. */
	r->m.ticks_ms += 2000;
	for (int turns = 0;; turns++) {
		struct buf params = {0};
		assert(turns < 1000); /* else the model asks for ever */
		model_prepare(&r->m);
		if (rig_answer_one(r))
			continue;
		if (r->deaf || !fake_changed_rows(r->f, &params)) {
			buf_release(&params);
			return;
		}
		rig_notify(r, "table.rows", &params);
		buf_release(&params);
	}
}

void rig_connect(struct rig *r)
{
	r->deaf = false;
	model_up(&r->m);
	rig_settle(r);
}

void rig_key(struct rig *r, uint32_t key)
{
	model_key(&r->m, key);
	rig_settle(r);
}

void rig_type(struct rig *r, const char *keys)
{
	for (; *keys; keys++)
		rig_key(r, (uint8_t)*keys);
}

void rig_resize(struct rig *r, int width, int height)
{
	grid_resize(&r->grid, width, height);
	model_resize(&r->m, width, height);
}

void rig_status(struct rig *r)
{
	struct buf p = {0};
	fake_status(r->f, &p);
	rig_notify(r, "status", &p);
	buf_release(&p);
	rig_settle(r);
}

void rig_draw(struct rig *r)
{
	model_prepare(&r->m);
	view_draw(&r->m, &r->grid);
}

const char *rig_line(struct rig *r, int y)
{
	static struct buf text;
	buf_clear(&text);
	rig_draw(r);
	grid_print(&r->grid, &text, false);
	buf_add_char(&text, '\0');
	char *line = (char *)text.data;
	for (; y > 0; y--)
		line = strchr(line, '\n') + 1;
	*strchr(line, '\n') = '\0';
	return line;
}

bool rig_shows(struct rig *r, const char *text)
{
	struct buf all = {0};
	rig_draw(r);
	grid_print(&r->grid, &all, false);
	buf_add_char(&all, '\0');
	bool found = strstr((const char *)all.data, text) != NULL;
	buf_release(&all);
	return found;
}

const char *rig_selected(struct rig *r)
{
	static struct buf path;
	struct bytes b = listing_path(model_listing(&r->m));
	buf_clear(&path);
	buf_add(&path, b.p, b.len);
	buf_add_char(&path, '\0');
	return (const char *)path.data;
}
