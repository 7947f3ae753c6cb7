/* Owns `tutti resolve`: settles conflicts that are named, or all of them, and takes that back. */
#include "config.h"
#include "commands.h"

#include "conflicts.h"
#include "json.h"
#include "path.h"
#include "text.h"
#include "wire.h"

enum { BOTH = -1, NONE = -2, SEVERAL = -3 };

struct settled {
	struct bytes path; /* copied into `memory` */
	struct buf memory;
	uint64_t undo;
};

/* Says why one of several was not done; the others go on. */
static void complain_of(struct bytes path, const char *why)
{
	struct buf text = {0};
	text_show(&text, path);
	complain("%.*s: %s", (int)text.len, (const char *)text.data, why);
	buf_release(&text);
}

/* Which of the versions `keep` means, or BOTH, NONE, SEVERAL. */
static int version_of(const struct conflict *c, struct bytes keep)
{
	int found = NONE;
	if (bytes_eq(keep, bytes_of("this")))
		return 0;
	if (bytes_eq(keep, bytes_of("both")))
		return BOTH;
	for (size_t i = 0; i < c->n; i++) {
		const struct conflict_version *v = &c->versions[i];
		if (bytes_eq(v->copy, keep) || (!v->copy.len && bytes_eq(c->path, keep)))
			return (int)i;
	}
	for (size_t i = 0; i < c->n; i++)
		if (bytes_eq(c->versions[i].replica, keep))
			found = found == NONE ? (int)i : SEVERAL;
	return found;
}

static void take_undo(void *ctx, const msgpack_object *result)
{
	struct settled *done = ctx;
	struct bytes path;
	wire_get_uint(result, "undo", UINT64_MAX, &done->undo);
	if (wire_get_bytes(result, "path", &path))
		buf_add(&done->memory, path.p, path.len);
}

static void print_settled(struct console *s, const struct conflict *c, int version, uint64_t undo)
{
	const struct conflict_version *v = version >= 0 ? &c->versions[version] : NULL;
	if (s->arguments->json) {
		struct json w;
		json_init(&w, &s->out);
		json_object(&w, NULL);
		json_path(&w, "path", c->path);
		json_text(&w, "kept", v ? "this" : "both");
		if (v)
			json_string(&w, "replica", v->replica);
		json_uint(&w, "undo", undo);
		json_object_end(&w);
		json_line_end(&w);
		return;
	}
	text_show(&s->out, c->path);
	buf_addf(&s->out, ": kept ");
	if (!v) {
		print_count(&s->out, c->n, "version", "versions");
	} else {
		buf_addf(&s->out, "the version ");
		if (v->replica.len) {
			buf_addf(&s->out, "of ");
			text_show(&s->out, v->replica);
			buf_addf(&s->out, ", ");
		}
		print_date(&s->out, v->mtime, false);
	}
	buf_add_char(&s->out, '\n');
}

static int resolve_one(struct console *s, const struct conflict *c, struct bytes keep)
{
	struct settled done = {0};
	struct buf params = {0}, why = {0};
	char code[CONSOLE_CODE_MAX];
	int version = version_of(c, keep);
	if (version == NONE || version == SEVERAL) {
		complain_of(c->path, version == NONE
			? "none of its versions is meant by --keep; see tutti conflicts"
			: "--keep means more than one of its versions; name the copy");
		return EXIT_NOT_DONE;
	}
	wire_map(&params, version == BOTH ? 3 : 4);
	wire_put_bin(&params, "path", c->path);
	wire_put_uint(&params, "stamp", c->stamp);
	wire_put_text(&params, "keep", version == BOTH ? "both" : "this");
	if (version != BOTH)
		wire_put_uint(&params, "version", (uint64_t)version);
	int status = console_try(s, "resolve", &params, take_undo, &done, code, &why);
	if (status)
		complain_of(c->path, why.len ? (const char *)why.data : "not done");
	else
		print_settled(s, c, version, done.undo);
	buf_release(&params);
	buf_release(&why);
	buf_release(&done.memory);
	return status;
}

/* The path is a copy's: looks for the conflict beside it. */
static const struct conflict *conflict_of_copy(struct console *s, struct bytes copy,
					       struct conflicts *page, int *status)
{
	struct buf after = {0};
	const struct conflict *found = NULL;
	do {
		*status = conflicts_page(s, path_parent(copy), (struct bytes){after.data, after.len},
					 page);
		for (size_t i = 0; i < page->n && !*status && !found; i++)
			for (size_t k = 0; k < page->items[i].n; k++)
				if (bytes_eq(page->items[i].versions[k].copy, copy))
					found = &page->items[i];
		if (page->n && !found) {
			struct bytes last = page->items[page->n - 1].path;
			buf_clear(&after);
			buf_add(&after, last.p, last.len);
		}
	} while (!*status && !found && page->more);
	buf_release(&after);
	return found;
}

/* Of a copy's path "this" is the copy. */
static int resolve_path(struct console *s, const char *given, struct bytes keep)
{
	struct buf text = {0};
	struct conflicts page = {0};
	const struct conflict *c = NULL;
	int status = EXIT_NOT_DONE;
	if (!take_path(s, given, &text))
		goto out;
	struct bytes path = {text.data, text.len};
	if (!path.len) {
		complain("everything is meant by --all");
		goto out;
	}
	status = conflicts_page(s, path, (struct bytes){0}, &page);
	if (!status && page.n && bytes_eq(page.items[0].path, path)) {
		c = &page.items[0];
	} else if (!status) {
		c = conflict_of_copy(s, path, &page, &status);
		if (bytes_eq(keep, bytes_of("this")))
			keep = path;
	}
	if (c) {
		status = resolve_one(s, c, keep);
	} else if (!status) {
		complain_of(path, "there is no conflict");
		status = EXIT_NOT_DONE;
	}
out:
	conflicts_release(&page);
	buf_release(&text);
	return status;
}

static int resolve_all(struct console *s, struct bytes keep)
{
	struct conflicts page = {0};
	struct buf after = {0};
	int status, result = EXIT_DONE;
	do {
		status = conflicts_page(s, (struct bytes){0}, (struct bytes){after.data, after.len},
					&page);
		for (size_t i = 0; i < page.n && !status; i++) {
			if (resolve_one(s, &page.items[i], keep))
				result = EXIT_NOT_DONE;
			if (!client_is_up(s->client))
				status = EXIT_NOT_DONE;
		}
		if (page.n) {
			struct bytes last = page.items[page.n - 1].path;
			buf_clear(&after);
			buf_add(&after, last.p, last.len);
		}
		if (!console_print(s))
			status = EXIT_NOT_DONE;
	} while (!status && page.more);
	conflicts_release(&page);
	buf_release(&after);
	return status ? status : result;
}

static int undo_one(struct console *s, const char *given)
{
	struct settled done = {0};
	struct buf params = {0}, path = {0};
	int status = EXIT_NOT_DONE;
	if (given && !take_path(s, given, &path))
		goto out;
	wire_map(&params, path.len ? 1 : 0);
	if (path.len)
		wire_put_bin(&params, "path", (struct bytes){path.data, path.len});
	status = console_ask(s, "undo", &params, take_undo, &done);
	if (status)
		goto out;
	done.path = (struct bytes){done.memory.data, done.memory.len};
	if (s->arguments->json) {
		struct json w;
		json_init(&w, &s->out);
		json_object(&w, NULL);
		json_path(&w, "path", done.path);
		json_uint(&w, "undone", done.undo);
		json_object_end(&w);
		json_line_end(&w);
	} else {
		text_show(&s->out, done.path);
		buf_addf(&s->out, ": taken back; its versions are where they were\n");
	}
out:
	buf_release(&done.memory);
	buf_release(&params);
	buf_release(&path);
	return status;
}

int command_resolve(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct buf keep = {0};
	int result = EXIT_DONE;
	if (a->keep && *a->keep == '/') { /* a copy, as a path of this machine */
		if (!take_path(s, a->keep, &keep))
			return EXIT_NOT_DONE;
	} else if (a->keep) {
		const char *text = strncmp(a->keep, "./", 2) ? a->keep : a->keep + 2;
		buf_add(&keep, text, strlen(text));
	}
	struct bytes k = {keep.data, keep.len};
	if (a->all)
		result = resolve_all(s, k);
	else if (a->undo && !a->n_paths)
		result = undo_one(s, NULL);
	for (size_t i = 0; i < a->n_paths; i++) {
		int status = a->undo ? undo_one(s, a->paths[i]) : resolve_path(s, a->paths[i], k);
		if (status)
			result = status;
		if (!console_print(s))
			result = EXIT_NOT_DONE;
		if (!client_is_up(s->client))
			break;
	}
	buf_release(&keep);
	int status = console_end(s);
	return result ? result : status;
}
