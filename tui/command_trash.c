/* Owns `tutti trash`: what was replaced or deleted, where it lies, and since when. */
#include "config.h"
#include "commands.h"

#include "entry.h"
#include "json.h"
#include "text.h"
#include "things.h"

static void print_thing(struct buf *out, const struct thing *t)
{
	struct buf size = {0};
	if (t->kind == KIND_FILE)
		print_size(&size, t->size);
	else
		buf_addf(&size, "%s", kind_text((enum kind)t->kind));
	print_date(out, t->time, true);
	buf_addf(out, "  %10.*s  ", (int)size.len, (const char *)size.data);
	print_padded(out, t->replica, 12);
	buf_addf(out, "  ");
	text_show(out, t->path);
	if (t->by.len) {
		buf_addf(out, "  (by ");
		text_show(out, t->by);
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
	buf_release(&size);
}

static void print_thing_json(struct buf *out, const struct thing *t)
{
	struct json w;
	json_init(&w, out);
	json_object(&w, NULL);
	json_seconds(&w, "time", t->time);
	json_path(&w, "path", t->path);
	json_text(&w, "kind", kind_text((enum kind)t->kind));
	json_uint(&w, "size", t->size);
	json_seconds(&w, "mtime", t->mtime);
	json_string(&w, "replica", t->replica);
	json_string(&w, "by", t->by);
	json_path(&w, "id", t->id);
	if (t->hash.len)
		json_hex(&w, "hash", t->hash);
	else
		json_null(&w, "hash");
	json_object_end(&w);
	json_line_end(&w);
}

int command_trash(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct things page = {0};
	struct buf under = {0};
	int status = EXIT_NOT_DONE;
	bool any = false;
	if (!take_path(s, a->path ? a->path : "", &under))
		goto out;
	struct things_wanted wanted = {
		.under = {under.data, under.len}, .since = a->since, .until = a->until, .on = a->on,
	};
	bool missing = false;
	do {
		status = things_page(s, &wanted, &page);
		if (!any && page.n && !a->json)
			buf_addf(&s->out, "When                       Size  On            Path\n");
		any = any || page.n;
		for (size_t i = 0; i < page.n && !status; i++)
			(a->json ? print_thing_json : print_thing)(&s->out, &page.items[i]);
		if (page.missing.len && !missing)
			complain("no answer from %.*s", (int)page.missing.len,
				 (const char *)page.missing.data);
		missing = missing || page.missing.len;
		if (!console_print(s))
			status = EXIT_NOT_DONE;
	} while (!status && page.more);
	if (!status && !any && !a->json)
		buf_addf(&s->out, "Nothing of that is in the trash.\n");
	if (!status)
		status = console_end(s);
	if (missing)
		status = EXIT_NOT_DONE;
out:
	things_release(&page);
	buf_release(&under);
	return status;
}
