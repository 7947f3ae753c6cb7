/* Owns the held deletions on the screen. */
#include "config.h"
#include "holds.h"

#include "model.h"
#include "wire.h"

#include <stdlib.h>

static void forget_sets(struct holds *h)
{
	for (size_t i = 0; i < h->n; i++) {
		own_release(&h->sets[i].from);
		for (size_t k = 0; k < h->sets[i].n_paths; k++)
			own_release(&h->sets[i].paths[k]);
		free(h->sets[i].paths);
	}
	free(h->sets);
	h->sets = NULL;
	h->n = 0;
}

void holds_release(struct holds *h)
{
	forget_sets(h);
	buf_release(&h->words);
	*h = (struct holds){0};
}

void holds_ask(struct model *m)
{
	struct holds *h = &m->holds;
	struct buf p = {0};
	h->again = h->asked;
	if (h->asked)
		return;
	wire_map(&p, 1);
	wire_put_uint(&p, "max", HOLDS_PATHS);
	h->asked = model_ask(m, ASK_HELD, "held", &p);
}

static const struct hold *find_set(const struct holds *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->sets[i].id == h->id)
			return &h->sets[i];
	return NULL;
}

/* "214 files, 3.2 GiB" */
static void amount(struct buf *out, const struct model *m, const struct hold *s)
{
	char n[32], size[40];
	format_count(n, s->n);
	setup_size(m->setup.units, size, s->bytes, FORMAT_LONG);
	buf_addf(out, "%s deletion%s, %s", n, s->n == 1 ? "" : "s", size);
}

/* Whose word it is, in a sentence. */
static void origin(struct buf *out, const struct model *m, const struct hold *s)
{
	const struct status *st = &m->news.status;
	char time[20];
	bool own = s->from.len == 0 || (st->n_servers > 0 && bytes_eq(own_bytes(&s->from),
							 own_bytes(&st->servers[0].name)));
	if (own) {
		buf_addf(out, "found missing on ");
		show(out, own_bytes(&st->name), m->ascii);
	} else {
		buf_addf(out, "told by ");
		show(out, own_bytes(&s->from), m->ascii);
	}
	show_time(time, s->since, FORMAT_LONG);
	if (time[0])
		buf_addf(out, ", since %s", time);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void read_sets(struct holds *h, const msgpack_object *result)
{
	const msgpack_object *list = wire_get(result, "sets");
	forget_sets(h);
	h->n = wire_count(list);
	h->sets = xcalloc(h->n + 1, sizeof(*h->sets));
	for (size_t i = 0; i < h->n; i++) {
		const msgpack_object *o = wire_at(list, i), *paths = wire_get(o, "paths");
		struct hold *s = &h->sets[i];
		wire_get_uint(o, "id", UINT64_MAX, &s->id);
		own_get(o, "from", &s->from);
		wire_get_int(o, "since", &s->since);
		wire_get_uint(o, "n", UINT64_MAX, &s->n);
		wire_get_uint(o, "bytes", UINT64_MAX, &s->bytes);
		wire_get_bool(o, "more", &s->more);
		s->n_paths = wire_count(paths);
		s->paths = xcalloc(s->n_paths + 1, sizeof(*s->paths));
		for (size_t k = 0; k < s->n_paths; k++) {
			struct bytes path;
			wire_as_bytes(wire_at(paths, k), &path);
			own_set(&s->paths[k], path);
		}
	}
	h->known = true;
}

static void on_sets(struct model *m, const msgpack_object *result)
{
	struct holds *h = &m->holds;
	h->asked = false;
	if (result)
		read_sets(h, result);
	if (h->again)
		holds_ask(m);
	if (result && m->dialog == DIALOG_HELD && !h->deciding && !find_set(h)) {
		dialog_close(m);
		model_say(m, LOOK_PLAIN, "The set has changed; nothing was decided");
	}
}

void holds_answer(struct model *m, unsigned what, const msgpack_object *result)
{
	struct holds *h = &m->holds;
	if (what == ASK_HELD) {
		on_sets(m, result);
		return;
	}
	h->deciding = false;
	if (m->dialog == DIALOG_HELD)
		dialog_close(m);
	if (result)
		model_say(m, LOOK_GOOD, h->deleting ? "%.*s: carried out" : "%.*s: the files stay",
			  (int)h->words.len, (const char *)h->words.data);
	holds_ask(m);
}

void holds_lost(struct model *m)
{
	m->holds.asked = m->holds.again = m->holds.deciding = false;
	if (m->dialog == DIALOG_HELD)
		dialog_close(m);
}

/* ---- the page ---------------------------------------------------------------------------- */

void holds_page(const struct model *m, struct lines *out)
{
	const struct holds *h = &m->holds;
	for (size_t i = 0; i < h->n; i++) {
		const struct hold *s = &h->sets[i];
		char n[32];
		lines_next(out, LOOK_BAD);
		lines_number(out, (uint32_t)i + 1);
		lines_addf(out, "   ");
		amount(&out->text, m, s);
		lines_addf(out, ", ");
		origin(&out->text, m, s);
		for (size_t k = 0; k < s->n_paths; k++) {
			lines_next(out, LOOK_PLAIN);
			lines_number(out, (uint32_t)i + 1);
			lines_addf(out, "     ");
			lines_show(out, own_bytes(&s->paths[k]), m->ascii);
		}
		if (!s->more)
			continue;
		format_count(n, s->n > s->n_paths ? s->n - s->n_paths : 0);
		lines_next(out, LOOK_PLAIN);
		lines_number(out, (uint32_t)i + 1);
		lines_addf(out, "     and %s more: Files with the filter state:held has all", n);
	}
	if (out->n > 0)
		return;
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, !m->connected ? "   There is no connection to the server."
			: h->known    ? "   No deletions are held."
				      : "   Asking the server ...");
}

/* ---- the dialog -------------------------------------------------------------------------- */

void holds_open(struct model *m)
{
	struct holds *h = &m->holds;
	uint64_t at = m->page_at[VIEW_HELD];
	if (at >= m->page.n || m->page.lines[at].number == 0 || m->page.lines[at].number > h->n)
		return;
	h->id = h->sets[m->page.lines[at].number - 1].id;
	dialog_open(m, DIALOG_HELD);
}

void holds_lines(const struct model *m, struct lines *out, int width)
{
	const struct hold *s = find_set(&m->holds);
	struct buf text = {0};
	if (!s)
		return;
	lines_next(out, LOOK_STRONG);
	amount(&out->text, m, s);
	lines_addf(out, " %s held", s->n == 1 ? "is" : "are");
	buf_addf(&text, "So many at once may be a mistake: ");
	origin(&text, m, s);
	buf_addf(&text, ". Until somebody decides, nothing of it is done; all else goes on.");
	if (!dialog_is_brief(m)) {
		lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
		lines_next(out, LOOK_PLAIN);
	}
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'k');
	lines_addf(out, "  k  keep the files: they come back");
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'y');
	lines_addf(out, "  y  yes, delete them; other servers may ask too");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  decide later");
	buf_clear(&text);
	buf_addf(&text, "%s", m->holds.deciding
			? "The server is at it ..."
			: "It is done only for exactly the files of this list. What is deleted goes "
			  "to the trash (6) where it still lies.");
	lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
	buf_release(&text);
}

bool holds_key(struct model *m, uint32_t key)
{
	struct holds *h = &m->holds;
	const struct hold *s = find_set(h);
	struct buf p = {0};
	if (key != 'y' && key != 'k')
		return false;
	if (!s || h->deciding || !m->dialog_shown)
		return true;
	if (!model_allows(m, DO_DECIDE))
		return true;
	h->deleting = key == 'y';
	buf_clear(&h->words);
	amount(&h->words, m, s);
	wire_map(&p, 2);
	wire_put_uint(&p, "id", s->id);
	wire_put_bool(&p, "delete", h->deleting);
	h->deciding = model_ask(m, ASK_DECIDE, "held.decide", &p);
	return true;
}
