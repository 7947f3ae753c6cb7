/* Owns the reading of pages of the trash. */
#include "config.h"
#include "things.h"

#include "text.h"
#include "when.h"
#include "wire.h"

#include <stdlib.h>
#include <time.h>

enum { PAGE = 500 };

static struct bytes own(struct bytes b)
{
	return (struct bytes){xmemdup(b.len ? (const void *)b.p : "", b.len), b.len};
}

static void disown(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

void things_release(struct things *t)
{
	for (size_t i = 0; i < t->n; i++) {
		disown(t->items[i].id);
		disown(t->items[i].replica);
		disown(t->items[i].path);
		disown(t->items[i].by);
		disown(t->items[i].hash);
	}
	free(t->items);
	buf_release(&t->missing);
	*t = (struct things){0};
}

int64_t things_time(const char *text, bool end)
{
	struct timespec now;
	int64_t ns = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	(void)when_parse(text, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, end, &ns);
	return ns;
}

static void take_page(void *ctx, const msgpack_object *result)
{
	struct things *t = ctx;
	const msgpack_object *items = wire_get(result, "items"), *missing;
	wire_get_bool(result, "more", &t->more);
	missing = wire_get(result, "missing");
	for (size_t i = 0; i < wire_count(missing); i++) {
		struct bytes name;
		wire_as_bytes(wire_at(missing, i), &name);
		buf_addf(&t->missing, "%s", i ? ", " : "");
		text_show(&t->missing, name);
	}
	for (size_t i = 0; i < wire_count(items); i++) {
		const msgpack_object *o = wire_at(items, i);
		struct bytes id, replica, path, by, hash;
		GROW(t->items, t->cap, t->n + 1);
		struct thing *item = &t->items[t->n++];
		wire_get_bytes(o, "id", &id);
		wire_get_str(o, "replica", &replica);
		wire_get_bytes(o, "path", &path);
		wire_get_str(o, "by", &by);
		wire_get_bin(o, "hash", &hash);
		*item = (struct thing){own(id), own(replica), own(path), own(by), own(hash), 0, 0, 0, 0};
		wire_get_int(o, "time", &item->time);
		wire_get_int(o, "mtime", &item->mtime);
		wire_get_uint(o, "kind", UINT64_MAX, &item->kind);
		wire_get_uint(o, "size", UINT64_MAX, &item->size);
	}
}

int things_page(struct console *s, const struct things_wanted *w, struct things *t)
{
	struct buf params = {0};
	const struct thing *last = t->n ? &t->items[t->n - 1] : NULL;
	wire_map(&params, 3u + (w->since ? 1 : 0) + (w->until ? 1 : 0) + (last ? 2 : 0));
	wire_put_bin(&params, "under", w->under);
	wire_put_uint(&params, "max", PAGE);
	wire_key(&params, "replica");
	wire_str(&params, bytes_of(w->on && text_is_utf8(bytes_of(w->on)) ? w->on : "*"));
	if (w->since)
		wire_put_int(&params, "since", things_time(w->since, false));
	if (w->until)
		wire_put_int(&params, "until", things_time(w->until, true));
	if (last) {
		wire_put_bin(&params, "after", last->id);
		wire_key(&params, "after_replica");
		wire_str(&params, last->replica);
	}
	things_release(t);
	int status = console_ask(s, "trash", &params, take_page, t);
	buf_release(&params);
	if (!t->n)
		t->more = false; /* a server that says otherwise would be asked for ever */
	return status;
}
