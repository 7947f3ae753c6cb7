/* Owns the trash and the history on the screen. */
#include "config.h"
#include "past.h"

#include "entry.h"
#include "filter.h"
#include "model.h"
#include "pages.h"
#include "path.h"
#include "when.h"
#include "wire.h"

#include <stdlib.h>

static void line_release(struct past_line *l)
{
	own_release(&l->id);
	own_release(&l->path);
	own_release(&l->replica);
	own_release(&l->what);
	*l = (struct past_line){0};
}

static void forget_lines(struct past_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		line_release(&l->lines[i]);
	line_release(&l->last);
	l->n = 0;
	l->begun = l->stale = false;
}

static void list_clear(struct past_list *l)
{
	forget_lines(l);
	l->known = l->asked = l->more = false;
	buf_clear(&l->missing);
	l->generation++;
	l->serial++;
}

void pasts_release(struct pasts *p)
{
	for (size_t i = 0; i < PASTS_N; i++) {
		struct past_list *l = &p->lists[i];
		list_clear(l);
		free(l->lines);
		buf_release(&l->under);
		buf_release(&l->filter);
		buf_release(&l->missing);
	}
	line_release(&p->chosen);
	*p = (struct pasts){0};
}

static bool is_trash(enum past which)
{
	return which == PAST_TRASH || which == PAST_TRASH_OF;
}

static bool is_brief(enum past which)
{
	return which == PAST_TRASH_OF || which == PAST_HISTORY_OF;
}

/* ---- asking ------------------------------------------------------------------------------ */

static struct bytes next_word(struct bytes *text)
{
	while (text->len > 0 && *text->p == ' ')
		text->p++, text->len--;
	struct bytes part = *text;
	for (part.len = 0; part.len < text->len && part.p[part.len] != ' ';)
		part.len++;
	text->p += part.len;
	text->len -= part.len;
	return part;
}

static bool begins(struct bytes *part, const char *with)
{
	size_t n = strlen(with);
	if (part->len < n || memcmp(part->p, with, n) != 0)
		return false;
	part->p += n;
	part->len -= n;
	return true;
}

static bool take_time(struct bytes text, int64_t now, bool end, int64_t *ns)
{
	char word[32];
	if (text.len >= sizeof(word))
		return false;
	memcpy(word, text.p, text.len);
	word[text.len] = '\0';
	return when_parse(word, now, end, ns);
}

/* Takes a word with a meaning out; false for one that is to be looked for. */
static bool take_word(struct past_wish *w, struct bytes word, int64_t now)
{
	bool fine = true;
	if (begins(&word, "under:"))
		w->under = word;
	else if (begins(&word, "on:"))
		w->on = word;
	else if (begins(&word, "since:"))
		fine = take_time(word, now, false, &w->since);
	else if (begins(&word, "until:"))
		fine = take_time(word, now, true, &w->until);
	else
		return false;
	if (!fine)
		w->wrong = word;
	return true;
}

static void read_filter(struct past_list *l, int64_t now)
{
	struct past_wish w = {.under = {l->under.data, l->under.len}, .until = INT64_MAX};
	struct bytes text = {l->filter.data, l->filter.len}, word;
	while ((word = next_word(&text)).len > 0)
		take_word(&w, word, now);
	l->wish = w;
}

static void ask_trash(const struct past_list *l, bool on, struct buf *p)
{
	const struct past_wish *w = &l->wish;
	wire_map(p, (size_t)(2 + (w->under.len > 0) + (w->since != 0) + (w->until != INT64_MAX) +
			     (on ? 2 : 0)));
	if (w->under.len > 0)
		wire_put_bin(p, "under", w->under);
	if (w->since != 0)
		wire_put_int(p, "since", w->since);
	if (w->until != INT64_MAX)
		wire_put_int(p, "until", w->until);
	if (on) {
		wire_put_bin(p, "after", own_bytes(&l->last.id));
		wire_put_str(p, "after_replica", own_bytes(&l->last.replica));
	}
	wire_put_str(p, "replica", w->on.len > 0 ? w->on : bytes_of("*"));
}

static void ask_history(const struct past_list *l, bool on, struct buf *p)
{
	wire_map(p, (size_t)(1 + (l->wish.under.len > 0) + on));
	if (l->wish.under.len > 0)
		wire_put_bin(p, "path", l->wish.under);
	if (on)
		wire_put_uint(p, "before", l->last.n);
}

static void ask_more(struct model *m, enum past which)
{
	struct past_list *l = &m->pasts.lists[which];
	struct buf p = {0};
	bool on = l->begun && !l->stale;
	if (is_trash(which))
		ask_trash(l, on, &p);
	else
		ask_history(l, on, &p);
	wire_put_uint(&p, "max",
		      is_brief(which)     ? PAST_DETAILS
		      : l->filter.len > 0 ? PAST_PAGE_MAX
					  : PAST_PAGE);
	l->asked = model_ask_tagged(m, ASK_PAST, (unsigned)which << 12 | (l->serial & 0xfff),
				    is_trash(which) ? "trash" : "history", &p);
}

void past_open(struct model *m, enum past which, struct bytes under)
{
	struct past_list *l = &m->pasts.lists[which];
	struct buf copy = {0};
	buf_add(&copy, under.p, under.len);
	bool same = bytes_eq(under, (struct bytes){l->under.data, l->under.len});
	buf_release(&l->under);
	l->under = copy;
	if (!same)
		list_clear(l);
	l->serial++;
	l->more = false;
	l->stale = true;
	l->again_ms = 0;
	read_filter(l, m->now);
	ask_more(m, which);
}

void past_filter(struct model *m, enum past which, struct bytes text)
{
	struct past_list *l = &m->pasts.lists[which];
	buf_clear(&l->filter);
	buf_add(&l->filter, text.p, text.len);
	list_clear(l);
	read_filter(l, m->now);
	l->known = l->wish.wrong.len > 0;
	if (l->known)
		model_say(m, LOOK_BAD, "That is no time: say 2026-11-22, 14:05, 3h or 2d");
	else
		ask_more(m, which);
}

void past_follow(struct model *m, enum past which, uint64_t at, uint64_t height)
{
	struct past_list *l = &m->pasts.lists[which];
	if (l->more && !l->asked && l->n < PAST_KEPT && at + 2 * height >= l->n)
		ask_more(m, which);
}

/* ---- what happens meanwhile --------------------------------------------------------------- */

static bool is_shown(const struct model *m, enum past which)
{
	return is_brief(which)            ? m->view == VIEW_DETAILS
	       : which == PAST_TRASH ? m->view == VIEW_TRASH
					   : m->view == VIEW_HISTORY;
}

void past_happened(struct model *m, struct bytes path)
{
	for (unsigned i = 0; i < PASTS_N; i++) {
		struct past_list *l = &m->pasts.lists[i];
		struct bytes under = {l->under.data, l->under.len};
		if (is_shown(m, (enum past)i) && l->again_ms == 0 &&
		    (under.len == 0 || bytes_eq(path, under) || path_is_under(path, under)))
			l->again_ms = m->ticks_ms + PAST_AGAIN_MS;
	}
}

/* Is the selected line not among the newest? */
static bool is_deep(const struct model *m, enum past which)
{
	return !is_brief(which) && m->page_at[m->view] >= PAST_PAGE;
}

void past_refresh(struct model *m)
{
	for (unsigned i = 0; i < PASTS_N; i++) {
		struct past_list *l = &m->pasts.lists[i];
		if (l->again_ms == 0 || m->ticks_ms < l->again_ms || l->asked || !m->connected ||
		    !is_shown(m, (enum past)i) || is_deep(m, (enum past)i))
			continue;
		past_open(m, (enum past)i, (struct bytes){l->under.data, l->under.len});
	}
}

int64_t past_tick_ms(const struct model *m)
{
	int64_t least = 0;
	for (unsigned i = 0; m->connected && i < PASTS_N; i++) {
		int64_t at = m->pasts.lists[i].again_ms;
		int64_t left = at > m->ticks_ms ? at - m->ticks_ms : 1;
		if (at != 0 && is_shown(m, (enum past)i) && !m->pasts.lists[i].asked &&
		    !is_deep(m, (enum past)i) && (least == 0 || left < least))
			least = left;
	}
	return least;
}

bool past_waits(const struct model *m)
{
	for (unsigned i = 0; i < PASTS_N; i++)
		if (m->pasts.lists[i].again_ms != 0 && is_shown(m, (enum past)i) &&
		    is_deep(m, (enum past)i))
			return true;
	return false;
}

bool past_has_more(const struct model *m)
{
	return (m->view == VIEW_TRASH && m->pasts.lists[PAST_TRASH].more) ||
	       (m->view == VIEW_HISTORY && m->pasts.lists[PAST_HISTORY].more);
}

void past_lost(struct model *m)
{
	for (size_t i = 0; i < PASTS_N; i++) {
		m->pasts.lists[i].asked = false;
		m->pasts.lists[i].serial++;
	}
	m->pasts.restoring = false;
	if (m->dialog == DIALOG_RESTORE)
		dialog_close(m);
}

/* ---- answers ----------------------------------------------------------------------------- */

static int64_t get_time(const msgpack_object *o, const char *key)
{
	int64_t ns;
	wire_get_int(o, key, &ns);
	return ns > 0 ? ns : 0;
}

static void read_line(struct past_line *l, const msgpack_object *o, bool trash)
{
	uint64_t kind;
	*l = (struct past_line){.time = get_time(o, "time"), .mtime = get_time(o, "mtime")};
	own_get(o, "id", &l->id);
	own_get(o, "path", &l->path);
	own_get(o, "replica", &l->replica);
	own_get(o, trash ? "by" : "event", &l->what);
	wire_get_uint(o, "n", UINT64_MAX, &l->n);
	wire_get_uint(o, "old_size", UINT64_MAX, &l->old_size);
	wire_get_uint(o, trash ? "size" : "new_size", UINT64_MAX, &l->new_size);
	wire_get_uint(o, "kind", KIND_SYMLINK, &kind);
	l->kind = (uint8_t)kind;
	struct bytes old_hash, new_hash;
	l->had = wire_get_bin(o, "old_hash", &old_hash);
	l->has = wire_get_bin(o, "new_hash", &new_hash);
	if (l->has && l->had)
		l->had = l->old_size != l->new_size || !bytes_eq(old_hash, new_hash);
}

/* Is it what was wished for? Of some of it the server knows as well. */
static bool passes(const struct past_list *l, const struct past_line *line)
{
	const struct own *parts[] = {&line->path, &line->replica, &line->what};
	struct bytes text = {l->filter.data, l->filter.len}, word;
	const struct past_wish *w = &l->wish;
	struct past_wish ignored;
	if (line->time < w->since || line->time > w->until ||
	    (w->on.len > 0 && !bytes_eq(w->on, own_bytes(&line->replica))))
		return false;
	while ((word = next_word(&text)).len > 0) {
		bool found = take_word(&ignored, word, 0);
		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			found = found || filter_contains(own_bytes(parts[i]), word);
		if (!found)
			return false;
	}
	return true;
}

/* Keeps it if it passes. False if the list does not get on with it: a server that repeats itself is
 * not asked again. */
static bool take_line(struct past_list *l, const msgpack_object *o, bool trash)
{
	struct past_line line;
	read_line(&line, o, trash);
	bool same = bytes_eq(own_bytes(&line.id), own_bytes(&l->last.id)) &&
		    bytes_eq(own_bytes(&line.replica), own_bytes(&l->last.replica));
	bool on = !l->begun || (trash ? !same : line.n < l->last.n);
	own_set(&l->last.id, own_bytes(&line.id));
	own_set(&l->last.replica, own_bytes(&line.replica));
	l->last.n = line.n;
	l->begun = true;
	if (passes(l, &line)) {
		GROW(l->lines, l->cap, l->n + 1);
		l->lines[l->n++] = line;
	} else {
		line_release(&line);
	}
	return on;
}

void past_answer(struct model *m, unsigned low, const msgpack_object *result)
{
	enum past which = (enum past)(low >> 12 & 3);
	struct past_list *l = &m->pasts.lists[which];
	bool trash = is_trash(which);
	const msgpack_object *list = wire_get(result, trash ? "items" : "lines");
	const msgpack_object *missing = wire_get(result, "missing");
	size_t n = wire_count(list);
	bool more = false, on = n > 0;
	if ((low & 0xfff) != (l->serial & 0xfff))
		return;
	l->asked = false;
	l->known = true;
	l->generation++;
	l->failed = result == NULL;
	if (l->failed) {
		l->more = false;
		return;
	}
	if (l->stale)
		forget_lines(l);
	for (size_t i = 0; i < n && l->n < PAST_KEPT; i++)
		on = take_line(l, wire_at(list, i), trash) && on;
	wire_get_bool(result, "more", &more);
	l->more = more && on;
	buf_clear(&l->missing);
	for (size_t i = 0; i < wire_count(missing); i++) {
		struct bytes name;
		wire_as_bytes(wire_at(missing, i), &name);
		if (i > 0)
			buf_addf(&l->missing, ", ");
		show(&l->missing, name, m->ascii);
	}
}

/* ---- the pages --------------------------------------------------------------------------- */

/* The time at the start of a line; short where there is little room. */
static void begin_line(const struct model *m, struct lines *out, unsigned look, int64_t ns)
{
	bool wide = m->layout.width >= PAST_WIDE;
	char time[20];
	show_time(time, ns, wide ? FORMAT_SECONDS : FORMAT_SHORT);
	lines_next(out, look);
	lines_addf(out, "   %*s  ", wide ? 19 : 11, time);
}

static void trash_line(const struct model *m, struct lines *out, const struct past_line *l)
{
	bool wide = m->layout.width >= PAST_WIDE;
	char size[40];
	setup_size(m->setup.units, size, l->new_size, wide ? FORMAT_LONG : FORMAT_SHORT);
	begin_line(m, out, LOOK_PLAIN, l->time);
	lines_addf(out, "%*s  ", wide ? 10 : 7,
		   l->kind == KIND_SYMLINK ? "link" : l->kind == KIND_DIR ? "folder" : size);
	lines_show(out, own_bytes(&l->replica), m->ascii);
	lines_pad(out, wide ? 46 : 33);
	buf_add_char(&out->text, ' ');
	lines_show(out, own_bytes(&l->path), m->ascii);
	if (l->what.len > 0) {
		lines_addf(out, "  by ");
		lines_show(out, own_bytes(&l->what), m->ascii);
	}
}

static void history_line(const struct model *m, struct lines *out, const struct past_line *l)
{
	char was[40], is[40];
	struct event e = {.what = l->what, .path = l->path, .replica = l->replica};
	setup_size(m->setup.units, was, l->old_size, FORMAT_LONG);
	setup_size(m->setup.units, is, l->new_size, FORMAT_LONG);
	begin_line(m, out, event_look(&e), l->time);
	event_words(&out->text, &e, m->ascii);
	if (l->had && l->has)
		lines_addf(out, ": %s, was %s", is, was);
	else if (l->has)
		lines_addf(out, ": %s", is);
	else if (l->had)
		lines_addf(out, ": was %s", was);
}

static void last_words(const struct model *m, enum past which, struct lines *out)
{
	const struct past_list *l = &m->pasts.lists[which];
	const char *words = NULL;
	if (!m->connected && !l->known)
		words = "   There is no connection to the server.";
	else if (!l->known || l->asked)
		words = "   Asking the server ...";
	else if (l->more && l->n >= PAST_KEPT)
		words = "   There is more; \\ narrows the list";
	else if (l->failed)
		words = "   The server could not say.";
	else if (out->n == 0 && l->filter.len > 0)
		words = "   Nothing matches; Esc shows all again.";
	else if (out->n == 0)
		words = is_trash(which) ? "   Nothing is in the trash."
					: "   Nothing is recorded.";
	if (words) {
		lines_next(out, LOOK_OLD);
		lines_addf(out, "%s", words);
	}
	if (l->missing.len > 0) {
		lines_next(out, LOOK_BAD);
		lines_addf(out, "   No answer came from ");
		buf_add(&out->text, l->missing.data, l->missing.len);
	}
}

void past_page(const struct model *m, enum past which, struct lines *out)
{
	const struct past_list *l = &m->pasts.lists[which];
	for (size_t i = 0; i < l->n; i++) {
		if (is_trash(which))
			trash_line(m, out, &l->lines[i]);
		else
			history_line(m, out, &l->lines[i]);
		lines_number(out, (uint32_t)i + 1);
		if (l->lines[i].path.len > 0)
			lines_path(out, own_bytes(&l->lines[i].path));
	}
	last_words(m, which, out);
}

void past_details(const struct model *m, struct lines *out)
{
	static const struct {
		enum past which;
		const char *title, *none, *more;
	} parts[] = {
		{PAST_HISTORY_OF, " History", " Nothing is recorded of it", "   7 shows all"},
		{PAST_TRASH_OF, " In the trash", " Nothing of it is in the trash",
		 "   6 shows all, and restores"},
	};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct past_list *l = &m->pasts.lists[parts[i].which];
		if (!l->known || l->failed)
			continue;
		lines_next(out, LOOK_PLAIN);
		lines_next(out, LOOK_STRONG);
		lines_addf(out, "%s", l->n > 0 ? parts[i].title : parts[i].none);
		for (size_t k = 0; k < l->n; k++) {
			if (is_trash(parts[i].which))
				trash_line(m, out, &l->lines[k]);
			else
				history_line(m, out, &l->lines[k]);
		}
		if (l->more || (l->n > 0 && is_trash(parts[i].which))) {
			lines_next(out, LOOK_OLD);
			lines_addf(out, "%s", parts[i].more);
		}
	}
}

/* ---- restoring --------------------------------------------------------------------------- */

void past_choose(struct model *m)
{
	const struct past_list *l = &m->pasts.lists[PAST_TRASH];
	struct past_line *c = &m->pasts.chosen;
	uint64_t at = m->page_at[VIEW_TRASH];
	if (at >= m->page.n || m->page.lines[at].number == 0 || m->page.lines[at].number > l->n)
		return;
	const struct past_line *from = &l->lines[m->page.lines[at].number - 1];
	own_set(&c->id, own_bytes(&from->id));
	own_set(&c->path, own_bytes(&from->path));
	own_set(&c->replica, own_bytes(&from->replica));
	c->time = from->time;
	c->mtime = from->mtime;
	c->new_size = from->new_size;
	c->kind = from->kind;
	dialog_open(m, DIALOG_RESTORE);
}

void past_lines(const struct model *m, struct lines *out, int width)
{
	const struct past_line *c = &m->pasts.chosen;
	struct buf text = {0};
	char time[20], size[40];
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "Restore ");
	lines_show(out, own_bytes(&c->path), m->ascii);
	show_time(time, c->mtime, FORMAT_SECONDS);
	setup_size(m->setup.units, size, c->new_size, FORMAT_LONG);
	buf_addf(&text, "%s of %s, ", c->kind == KIND_FILE ? size : kind_text((enum kind)c->kind),
		 time[0] ? time : "an unknown time");
	show_time(time, c->time, FORMAT_SECONDS);
	buf_addf(&text, "in the trash of ");
	show(&text, own_bytes(&c->replica), m->ascii);
	buf_addf(&text, " since %s.", time);
	if (!dialog_is_brief(m)) {
		lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
		lines_next(out, LOOK_PLAIN);
	}
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'y');
	lines_addf(out, "  y  put it back where it was");
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 't');
	lines_addf(out, "  t  to another path");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  leave it there");
	buf_clear(&text);
	buf_addf(&text, "%s", m->pasts.restoring
			? "The server is at it ..."
			: "Nothing is lost: what has the name now goes to the trash.");
	lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
	buf_release(&text);
}

void past_restore(struct model *m, struct bytes to)
{
	struct past_line *c = &m->pasts.chosen;
	struct buf p = {0};
	if (m->pasts.restoring || c->id.len == 0)
		return;
	wire_map(&p, to.len > 0 ? 3 : 2);
	wire_put_bin(&p, "id", own_bytes(&c->id));
	wire_put_str(&p, "replica", own_bytes(&c->replica));
	if (to.len > 0)
		wire_put_bin(&p, "to", to);
	m->pasts.restoring = model_ask(m, ASK_RESTORE, "restore", &p);
}

bool past_key(struct model *m, uint32_t key)
{
	const struct past_line *c = &m->pasts.chosen;
	if (key != 'y' && key != 't')
		return false;
	if (m->pasts.restoring || !m->dialog_shown)
		return true;
	if (!model_allows(m, DO_RESTORE))
		return true;
	if (key == 'y')
		past_restore(m, (struct bytes){0});
	else
		model_ask_text(m, ASKING_RESTORE, own_bytes(&c->path));
	return true;
}

void past_restored(struct model *m, const msgpack_object *result)
{
	struct buf shown = {0};
	struct bytes path;
	m->pasts.restoring = false;
	if (m->dialog == DIALOG_RESTORE)
		dialog_close(m);
	if (!result)
		return;
	wire_get_bytes(result, "path", &path);
	show(&shown, path, m->ascii);
	model_say(m, LOOK_GOOD, "Restored: %.*s", (int)shown.len, (const char *)shown.data);
	buf_release(&shown);
	struct bytes under = {m->pasts.lists[PAST_TRASH].under.data,
			      m->pasts.lists[PAST_TRASH].under.len};
	if (m->view == VIEW_TRASH)
		past_open(m, PAST_TRASH, under);
}
