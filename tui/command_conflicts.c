/* Owns `tutti conflicts`: each file that has more than one content, and its versions. */
#include "config.h"
#include "commands.h"

#include "conflicts.h"
#include "entry.h"
#include "json.h"
#include "text.h"

static void print_version(struct buf *out, const struct conflict_version *v)
{
	struct buf size = {0};
	if (v->kind == KIND_FILE)
		print_size(&size, v->size);
	else
		buf_addf(&size, "%s", kind_text((enum kind)v->kind));
	buf_addf(out, "  ");
	print_padded(out, v->replica.len ? v->replica : bytes_of("-"), 12);
	buf_addf(out, "  %10.*s  ", (int)size.len, (const char *)size.data);
	print_date(out, v->mtime, false);
	buf_addf(out, "  ");
	if (v->copy.len)
		text_show(out, v->copy);
	else
		buf_addf(out, "has the name");
	if (!v->here)
		buf_addf(out, "  (not here yet)");
	buf_add_char(out, '\n');
	buf_release(&size);
}

static void print_conflict(struct buf *out, const struct conflict *c)
{
	text_show(out, c->path);
	buf_add_char(out, '\n');
	for (size_t i = 0; i < c->n; i++)
		print_version(out, &c->versions[i]);
}

static void print_conflict_json(struct buf *out, const struct conflict *c)
{
	struct json w;
	json_init(&w, out);
	json_object(&w, NULL);
	json_path(&w, "path", c->path);
	json_array(&w, "versions");
	for (size_t i = 0; i < c->n; i++) {
		const struct conflict_version *v = &c->versions[i];
		json_object(&w, NULL);
		json_string(&w, "replica", v->replica);
		json_text(&w, "kind", kind_text((enum kind)v->kind));
		json_uint(&w, "size", v->size);
		json_seconds(&w, "mtime", v->mtime);
		if (v->hash.len)
			json_hex(&w, "hash", v->hash);
		else
			json_null(&w, "hash");
		if (v->copy.len)
			json_path(&w, "copy", v->copy);
		else
			json_null(&w, "copy");
		json_bool(&w, "here", v->here);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
	json_line_end(&w);
}

int command_conflicts(struct console *s)
{
	struct conflicts page = {0};
	struct buf under = {0}, after = {0};
	int status = EXIT_NOT_DONE;
	bool any = false, json = s->arguments->json;
	if (!take_path(s, s->arguments->path ? s->arguments->path : "", &under))
		goto out;
	do {
		status = conflicts_page(s, (struct bytes){under.data, under.len},
					(struct bytes){after.data, after.len}, &page);
		for (size_t i = 0; i < page.n && !status; i++)
			(json ? print_conflict_json : print_conflict)(&s->out, &page.items[i]);
		any = any || page.n;
		if (page.n) {
			struct bytes last = page.items[page.n - 1].path;
			buf_clear(&after);
			buf_add(&after, last.p, last.len);
		}
		if (!console_print(s))
			status = EXIT_NOT_DONE;
	} while (!status && page.more);
	if (!status && !any && !json)
		buf_addf(&s->out, "No conflicts.\n");
	if (!status)
		status = console_end(s);
out:
	conflicts_release(&page);
	buf_release(&under);
	buf_release(&after);
	return status;
}
