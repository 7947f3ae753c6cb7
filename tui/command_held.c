/* Owns `tutti held`: the deletions that were too many at once, and the word on them. */
#include "config.h"
#include "commands.h"

#include "json.h"
#include "text.h"
#include "wire.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PATHS_SHOWN = 20, PATHS_IN_JSON = 500 };

static uint64_t number(const msgpack_object *map, const char *key)
{
	uint64_t n;
	wire_get_uint(map, key, UINT64_MAX, &n);
	return n;
}

/* --- what waits */

static void print_set(struct buf *out, const msgpack_object *set)
{
	const msgpack_object *paths = wire_get(set, "paths");
	size_t shown = wire_count(paths);
	int64_t since;
	struct bytes path;
	wire_get_int(set, "since", &since);
	buf_addf(out, "%016" PRIx64 "  ", number(set, "id"));
	print_count(out, number(set, "n"), "deletion", "deletions");
	buf_addf(out, " (");
	print_size(out, number(set, "bytes"));
	buf_addf(out, ") on ");
	print_key(out, set, "from");
	buf_addf(out, ", held since ");
	print_date(out, since, false);
	buf_addf(out, "\n");
	for (size_t i = 0; i < shown; i++) {
		wire_as_bytes(wire_at(paths, i), &path);
		buf_addf(out, "  ");
		text_show(out, path);
		buf_add_char(out, '\n');
	}
	if (number(set, "n") > shown) {
		buf_addf(out, "  and ");
		print_count(out, number(set, "n") - shown, "other", "others");
		buf_add_char(out, '\n');
	}
}

static void print_set_json(struct buf *out, const msgpack_object *set)
{
	struct json w;
	struct bytes from, path;
	const msgpack_object *paths = wire_get(set, "paths");
	char id[17];
	int64_t since;
	bool more;
	snprintf(id, sizeof(id), "%016" PRIx64, number(set, "id"));
	wire_get_str(set, "from", &from);
	wire_get_int(set, "since", &since);
	wire_get_bool(set, "more", &more);
	json_init(&w, out);
	json_object(&w, NULL);
	json_string(&w, "id", bytes_of(id));
	json_string(&w, "from", from);
	json_seconds(&w, "since", since);
	json_uint(&w, "n", number(set, "n"));
	json_uint(&w, "bytes", number(set, "bytes"));
	json_array(&w, "paths");
	for (size_t i = 0; i < wire_count(paths); i++) {
		wire_as_bytes(wire_at(paths, i), &path);
		json_object(&w, NULL);
		json_path(&w, "path", path);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_bool(&w, "more", more);
	json_object_end(&w);
	json_line_end(&w);
}

static void take_sets(void *ctx, const msgpack_object *result)
{
	struct console *s = ctx;
	const msgpack_object *sets = wire_get(result, "sets");
	for (size_t i = 0; i < wire_count(sets); i++)
		(s->arguments->json ? print_set_json : print_set)(&s->out, wire_at(sets, i));
	if (s->arguments->json)
		return;
	if (wire_count(sets))
		buf_addf(&s->out, "\"tutti held delete ID\" carries one of them out, "
				  "\"tutti held keep ID\" undoes it.\n");
	else
		buf_addf(&s->out, "No deletions are held.\n");
}

static int list(struct console *s)
{
	struct buf params = {0};
	wire_map(&params, 1);
	wire_put_uint(&params, "max", s->arguments->json ? PATHS_IN_JSON : PATHS_SHOWN);
	int status = console_ask(s, "held", &params, take_sets, s);
	buf_release(&params);
	return status ? status : console_end(s);
}

/* --- the word */

static void take_left(void *ctx, const msgpack_object *result)
{
	*(uint64_t *)ctx = number(result, "left");
}

static int decide(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct buf params = {0};
	uint64_t left = 0;
	wire_map(&params, 2);
	wire_put_uint(&params, "id", strtoull(a->paths[1], NULL, 16));
	wire_put_bool(&params, "delete", strcmp(a->paths[0], "delete") == 0);
	int status = console_ask(s, "held.decide", &params, take_left, &left);
	buf_release(&params);
	if (status == EXIT_DONE && left) {
		struct buf count = {0};
		print_count(&count, left, "deletion stays", "deletions stay");
		complain("%.*s held: no other replica has the content", (int)count.len,
			 (const char *)count.data);
		buf_release(&count);
		return EXIT_NOT_DONE;
	}
	return status;
}

int command_held(struct console *s)
{
	return s->arguments->n_paths ? decide(s) : list(s);
}
