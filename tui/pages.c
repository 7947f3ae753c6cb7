/* Owns the text of the screens that are no table. */
#include "config.h"
#include "pages.h"

#include "entry.h"
#include "filter.h"
#include "path.h"
#include "wire.h"

#include <stdlib.h>

void bar_text(struct buf *out, int width, uint64_t done, uint64_t total)
{
	int room = width - 2;
	double part = total == 0 ? 1.0 : (double)done / (double)total;
	int full = done >= total ? room : (int)(part * room);
	if (full == room && done < total)
		full = room - 1;
	buf_add_char(out, '[');
	for (int i = 0; i < room; i++)
		buf_add_char(out, i < full ? '#' : '-');
	buf_add_char(out, ']');
}

/* ---- servers in words -------------------------------------------------------------------- */

void server_words(struct buf *out, const struct server *s, int64_t received, int64_t now,
		  bool brief, bool ascii)
{
	struct bytes state = own_bytes(&s->state);
	char text[40];
	if (!server_is_away(s)) {
		if (s->pending_files > 0) {
			uint64_t peak = s->peak_bytes > 0 ? s->peak_bytes : s->peak_files;
			uint64_t left = s->peak_bytes > 0 ? s->pending_bytes : s->pending_files;
			if (!brief && !bytes_eq(state, bytes_of("self"))) {
				show(out, state, ascii);
				buf_add_char(out, ' ');
				bar_text(out, 17, peak - (left < peak ? left : peak), peak);
				buf_add_char(out, ' ');
			}
			format_percent(text, peak - (left < peak ? left : peak), peak);
			buf_addf(out, "%s ", text);
			format_count(text, s->pending_files);
			buf_addf(out, "%s left", text);
		} else if (!bytes_eq(state, bytes_of("self"))) {
			show(out, state, ascii);
		} else if (s->problems == 0 && s->held == 0) {
			buf_addf(out, "in sync");
		}
		if (s->held > 0) {
			format_count(text, s->held);
			buf_addf(out, "%s%s ", s->pending_files > 0 ? ", " : "", text);
			buf_addf(out, brief ? "held" : s->held == 1 ? "deletion held" : "deletions held");
		}
		if (s->problems > 0) {
			bool self = bytes_eq(state, bytes_of("self"));
			bool first = self && s->pending_files == 0 && s->held == 0;
			format_count(text, s->problems);
			buf_addf(out, "%s%s problem%s", first ? "" : ", ", text,
				 s->problems == 1 ? "" : "s");
		}
		return;
	}
	buf_addf(out, "%s", bytes_eq(state, bytes_of("offline")) ? "OFFLINE" : "CONNECTING");
	if (!brief && s->since > 0 && now > s->since) {
		format_duration_words(text, (uint64_t)(now - s->since) / 1000000000);
		buf_addf(out, " %s", text);
	}
	int64_t retry = received + (int64_t)s->retry_ms * 1000000;
	if (s->retry_ms > 0 && retry > now) {
		format_duration_words(text, (uint64_t)(retry - now) / 1000000000);
		buf_addf(out, brief ? ", retry %s" : ", retry in %s", text);
	}
	if (!brief && s->tries > 1)
		buf_addf(out, " (try %llu)", (unsigned long long)s->tries);
	if (!brief && s->since > 0) {
		char time[20];
		show_time(time, s->since, FORMAT_SHORT);
		buf_addf(out, "; its column is as of %s", time);
	}
}

/* What fails, or what is held. */
static void problem_lines(const struct model *m, struct lines *out, bool held)
{
	const struct status *st = &m->news.status;
	bool any = false;
	for (size_t i = 0; i < st->n_problems; i++) {
		const struct problem *p = &st->problems[i];
		if (p->held != held)
			continue;
		if (!any) {
			lines_next(out, LOOK_PLAIN);
			lines_next(out, LOOK_STRONG);
			lines_addf(out, held ? " Deletions that are held (8 decides on those of this server)"
			                     : " What is not in sync, and why");
		}
		any = true;
		lines_next(out, LOOK_BAD);
		lines_addf(out, "   ");
		if (p->path.len)
			lines_show(out, own_bytes(&p->path), m->ascii);
		else
			lines_addf(out, "the directory itself");
		lines_addf(out, "  on ");
		lines_show(out, own_bytes(&p->replica), m->ascii);
		lines_addf(out, ": ");
		lines_show(out, own_bytes(&p->reason), m->ascii);
	}
}

static void servers_page(const struct model *m, struct lines *out)
{
	const struct status *st = &m->news.status;
	char a[40], b[40];
	if (!st->known) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, " Nothing is known of any server yet.");
		return;
	}
	trusted_asking_lines(m, out);
	for (size_t i = 0; i < st->n_servers; i++) {
		const struct server *s = &st->servers[i];
		lines_next(out, server_is_away(s) ? LOOK_BAD : LOOK_STRONG);
		lines_addf(out, " %c ", server_letter(i));
		lines_show(out, own_bytes(&s->name), m->ascii);
		if (i == 0) {
			lines_addf(out, "  ");
			lines_show(out, own_bytes(&st->root), m->ascii);
		}
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "     state      ");
		server_words(&out->text, s, st->received, m->now, false, m->ascii);
		if (s->address.len > 0) {
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     address    ");
			lines_show(out, own_bytes(&s->address), m->ascii);
			if (s->direction.len > 0)
				lines_addf(out, " (%s)",
					   bytes_eq(own_bytes(&s->direction), bytes_of("in"))
						   ? "it connects"
						   : "we connect");
		}
		if (s->since > 0) {
			show_time(a, s->since, FORMAT_SECONDS);
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     since      %s", a);
		}
		lines_next(out, LOOK_PLAIN);
		format_count(a, s->files);
		setup_size(m->setup.units, b, s->bytes, FORMAT_LONG);
		lines_addf(out, "     holds      %s file%s, %s", a, s->files == 1 ? "" : "s", b);
		if (s->pending_files > 0) {
			format_count(a, s->pending_files);
			setup_size(m->setup.units, b, s->pending_bytes, FORMAT_LONG);
			lines_next(out, LOOK_BUSY);
			lines_addf(out, "     lacks      %s file%s, %s", a,
				   s->pending_files == 1 ? "" : "s", b);
		}
		if (s->lag_ms > 0) {
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     behind     %llu ms", (unsigned long long)s->lag_ms);
		}
		if (s->in > 0 || s->out > 0) {
			setup_size(m->setup.units, a, s->in, FORMAT_LONG);
			setup_size(m->setup.units, b, s->out, FORMAT_LONG);
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     traffic    %s in, %s out", a, b);
		}
		if (s->error.len > 0) {
			lines_next(out, LOOK_BAD);
			lines_addf(out, "     last error ");
			lines_show(out, own_bytes(&s->error), m->ascii);
		}
	}
	for (size_t i = 0; i < st->n_notes; i++) {
		if (trusted_tells(m, own_bytes(&st->notes[i])))
			continue;
		lines_next(out, LOOK_BUSY);
		lines_addf(out, " note: ");
		lines_show(out, own_bytes(&st->notes[i]), m->ascii);
	}
	trusted_known_lines(m, out);
	problem_lines(m, out, false);
	problem_lines(m, out, true);
}

/* ---- events ------------------------------------------------------------------------------ */

/* How each kind of event is told: P, R and D stand for its path, replica and detail; a detail that
 * has no place comes last. What is not in the list is told as it comes. */
static const struct {
	const char *what;
	const char *words;
} event_kinds[] = {
	{"changed", "P changed on R"},
	{"created", "P is new on R"},
	{"deleted", "P was deleted on R"},
	{"moved", "P was moved on R from D"},
	{"found new", "P was found new on R"},
	{"found changed", "P was found changed on R"},
	{"found gone", "P was found deleted on R"},
	{"received", "P was received from R"},
	{"removed", "P was removed, as R deleted it"},
	{"conflict", "P has a conflict"},
	{"failed", "P failed on R"},
	{"peer-up", "R is connected"},
	{"peer-down", "R is gone"},
	{"resync", "resync of P by R"},
	{"scan", "R looked through its folder"},
	{"resolved", "the conflict of P was settled on R"},
	{"undone", "a resolution of P was undone on R"},
	{"restored", "P was restored on R"},
	{"held", "deletions are held on R"},
	{"stranger", "a stranger came from R"},
	{"note", ""},
};

void event_words(struct buf *out, const struct event *e, bool ascii)
{
	const char *words = NULL;
	size_t begin = out->len;
	for (size_t i = 0; i < ARRAY_LEN(event_kinds); i++)
		if (bytes_eq(own_bytes(&e->what), bytes_of(event_kinds[i].what)))
			words = event_kinds[i].words;
	if (!words) {
		show(out, own_bytes(&e->what), ascii);
		words = e->path.len > 0 ? " P" : "";
	}
	for (const char *c = words; *c; c++) {
		if (*c == 'P' && e->path.len == 0)
			buf_addf(out, "everything");
		else if (*c == 'P')
			show(out, own_bytes(&e->path), ascii);
		else if (*c == 'R' && e->replica.len == 0)
			buf_addf(out, "a server");
		else if (*c == 'R')
			show(out, own_bytes(&e->replica), ascii);
		else if (*c == 'D')
			show(out, own_bytes(&e->detail), ascii);
		else
			buf_add_char(out, *c);
	}
	if (e->detail.len > 0 && !strchr(words, 'D')) {
		if (out->len > begin)
			buf_addf(out, ": ");
		show(out, own_bytes(&e->detail), ascii);
	}
}

unsigned event_look(const struct event *e)
{
	struct bytes what = own_bytes(&e->what);
	if (bytes_eq(what, bytes_of("failed")) || bytes_eq(what, bytes_of("conflict")) ||
	    bytes_eq(what, bytes_of("peer-down")) || bytes_eq(what, bytes_of("held")) ||
	    bytes_eq(what, bytes_of("stranger")))
		return LOOK_BAD;
	return LOOK_PLAIN;
}

static void events_page(const struct model *m, struct lines *out)
{
	struct bytes filter = {m->event_filter.data, m->event_filter.len};
	for (size_t i = 0; i < m->news.n_events; i++) {
		const struct event *e = news_event_at(&m->news, i);
		char time[20];
		show_time(time, e->time, FORMAT_SECONDS);
		lines_next(out, event_look(e));
		lines_addf(out, "   %s  ", time);
		event_words(&out->text, e, m->ascii);
		if (!filter_contains(lines_last(out), filter))
			lines_drop(out);
		else if (e->path.len > 0)
			lines_path(out, own_bytes(&e->path));
	}
	if (out->n == 0) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, filter.len > 0 ? "   Nothing matches; Esc shows all again."
					       : "   Nothing is known to have happened.");
	}
}

/* ---- transfers --------------------------------------------------------------------------- */

static void transfers_page(const struct model *m, struct lines *out)
{
	const struct progress *p = &m->news.progress;
	char a[40], b[72], c[40];
	if (p->n == 0) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   No transfer is running.");
	} else {
		lines_next(out, LOOK_STRONG);
		format_count(a, p->active);
		lines_addf(out, "   %s active ", a);
		bar_text(&out->text, 26, p->done, p->size);
		format_percent(a, p->done, p->size);
		setup_progress(m->setup.units, b, p->done, p->size);
		format_rate(c, p->in > p->out ? p->in : p->out);
		lines_addf(out, " %s  %s  %s", a, b, c);
		if (progress_seconds(p) > 0) {
			format_duration(a, progress_seconds(p));
			lines_addf(out, "  %s left", a);
		}
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct transfer *t = &p->transfers[i];
		lines_next(out, LOOK_BUSY);
		lines_addf(out, "   ");
		bar_text(&out->text, 22, t->done, t->size);
		format_percent(a, t->done, t->size);
		setup_progress(m->setup.units, b, t->done, t->size);
		format_rate(c, t->rate);
		lines_addf(out, " %4s  %18s  %8s  ", a, b, c);
		if (t->rate > 0 && t->size > t->done) {
			format_duration(a, (t->size - t->done) / t->rate + 1);
			lines_addf(out, "%7s  ", a);
		} else {
			lines_addf(out, "%7s  ", "");
		}
		lines_show(out, own_bytes(&t->from), m->ascii);
		lines_addf(out, " > ");
		lines_show(out, own_bytes(&t->to), m->ascii);
		lines_addf(out, "  ");
		lines_show(out, own_bytes(&t->path), m->ascii);
		lines_path(out, own_bytes(&t->path));
	}
	bool first = true;
	for (size_t i = m->news.n_events; i-- > 0;) {
		const struct event *e = news_event_at(&m->news, i);
		char time[20];
		if (!bytes_eq(own_bytes(&e->what), bytes_of("received")))
			continue;
		if (m->now - e->time > INT64_C(3600) * 1000000000)
			break;
		if (first) {
			lines_next(out, LOOK_PLAIN);
			lines_next(out, LOOK_STRONG);
			lines_addf(out, "   Done in the last hour");
			first = false;
		}
		show_time(time, e->time, FORMAT_SECONDS);
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   %s  ", time);
		event_words(&out->text, e, m->ascii);
		lines_path(out, own_bytes(&e->path));
	}
}

/* ---- details ----------------------------------------------------------------------------- */

void page_details(struct lines *out, const struct model *m, const msgpack_object *row)
{
	const msgpack_object *list;
	struct bytes path, state, reason, text;
	uint64_t mode, size;
	int64_t mtime;
	char a[40], b[40];

	wire_get_bytes(row, "path", &path);
	wire_get_str(row, "state", &state);
	wire_get_str(row, "reason", &reason);
	wire_get_uint(row, "mode", UINT32_MAX, &mode);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " ");
	lines_show(out, path, m->ascii);
	lines_next(out,
		   bytes_eq(state, bytes_of(row_state_text(ROW_SYNCED))) ? LOOK_GOOD : LOOK_BAD);
	lines_addf(out, "   ");
	lines_show(out, state, m->ascii);
	if (reason.len > 0 && !bytes_eq(reason, state)) {
		lines_addf(out, ": ");
		lines_show(out, reason, m->ascii);
	}
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "   permissions %03llo", (unsigned long long)mode & 0777);

	list = wire_get(row, "heads");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, wire_count(list) == 0   ? " No version: it was deleted"
			: wire_count(list) == 1 ? " Version"
						: " Versions; the first keeps the name");
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *h = wire_at(list, i);
		uint8_t hash[32];
		uint64_t counter, kind;
		bool by_number = wire_get_uint(h, "kind", KIND_SYMLINK, &kind);
		wire_get_uint(h, "size", UINT64_MAX, &size);
		wire_get_int(h, "mtime", &mtime);
		wire_get_uint(h, "counter", UINT64_MAX, &counter);
		wire_get_str(h, "replica", &text);
		setup_size(m->setup.units, a, size, FORMAT_LONG);
		show_time(b, mtime, FORMAT_SECONDS);
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   %s  %s  %s  from ",
			   by_number ? kind_text((enum kind)kind) : "file", a, b);
		lines_show(out, text, m->ascii);
		lines_addf(out, " (change %llu)", (unsigned long long)counter);
		if (wire_get_bytes(h, "target", &text) && text.len > 0) {
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     points to ");
			lines_show(out, text, m->ascii);
		}
		if (wire_get_fixed(h, "hash", hash, sizeof(hash))) {
			lines_next(out, LOOK_PLAIN);
			lines_addf(out, "     SHA-256 ");
			for (size_t k = 0; k < sizeof(hash); k++)
				lines_addf(out, "%02x", hash[k]);
		}
	}

	list = wire_get(row, "replicas");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " Servers");
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *r = wire_at(list, i);
		wire_get_str(r, "cell", &text);
		char cell = text.len > 0 ? (char)text.p[0] : '?';
		lines_next(out, cell_look(cell));
		lines_addf(out, "   %c ", server_letter(i));
		wire_get_str(r, "name", &text);
		lines_show(out, text, m->ascii);
		lines_pad(out, 22);
		lines_addf(out, " %s", cell_words(cell));
		wire_get_str(r, "reason", &text);
		if (text.len > 0 && !bytes_eq(text, bytes_of(cell_words(cell)))) {
			lines_addf(out, ": ");
			lines_show(out, text, m->ascii);
		}
	}

	list = wire_get(row, "events");
	/* If there is none of late, the history below says more. */
	if (wire_count(list) > 0) {
		lines_next(out, LOOK_PLAIN);
		lines_next(out, LOOK_STRONG);
		lines_addf(out, " What happened to it of late");
	}
	for (size_t i = 0; i < wire_count(list); i++) {
		struct news one = {0};
		if (news_event(&one, wire_at(list, i))) {
			const struct event *e = news_event_at(&one, 0);
			show_time(b, e->time, FORMAT_SECONDS);
			lines_next(out, event_look(e));
			lines_addf(out, "   %s  ", b);
			event_words(&out->text, e, m->ascii);
		}
		news_release(&one);
	}
}

static void trash_page(const struct model *m, struct lines *out)
{
	past_page(m, PAST_TRASH, out);
}

static void history_page(const struct model *m, struct lines *out)
{
	past_page(m, PAST_HISTORY, out);
}

static void details_page(const struct model *m, struct lines *out)
{
	for (size_t i = 0; i < m->details.n; i++) {
		struct bytes text = lines_text(&m->details, i);
		lines_next(out, m->details.lines[i].look);
		buf_add(&out->text, text.p, text.len);
	}
	if (!m->details_known) {
		lines_next(out, LOOK_OLD);
		lines_addf(out, m->connected ? " Asking the server ..."
					     : " There is no connection to the server.");
	}
	past_details(m, out);
}

/* ---- help -------------------------------------------------------------------------------- */

static void help_page(const struct model *m, struct lines *out)
{
	static const char cells[] = "=<~!x-Ei?";
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " Keys");
	for (size_t i = 0; i < key_bindings_n; i++) {
		const struct key_binding *b = &key_bindings[i];
		if (!b->help || !model_offers(m, b->action))
			continue;
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   ");
		key_list(&out->text, b);
		lines_pad(out, 22);
		lines_addf(out, " %s", b->help);
	}
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " Mouse");
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "   click a row, again for its details; right button: its menu; wheel;");
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "   column heads sort; the key bar works");
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, " The columns A B C: what each server has of a file");
	for (size_t i = 0; cells[i]; i++) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   %c  %s", cells[i], cell_words(cells[i]));
		if (cells[i] == '?')
			lines_addf(out, " since the server went away");
		else if (cells[i] == 'x')
			lines_addf(out, " there, the others will follow");
		else if (cells[i] == 'E')
			lines_addf(out, "; State says why");
		else if (cells[i] == '=')
			lines_addf(out, ", as all should");
	}
	for (size_t i = 0; i < m->news.status.n_servers; i++) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "   %c is ", server_letter(i));
		lines_show(out, own_bytes(&m->news.status.servers[i].name), m->ascii);
	}
}

void page_build(const struct model *m, enum view view, struct lines *out)
{
	static void (*const pages[VIEWS_N])(const struct model *m, struct lines *out) = {
		[VIEW_TRANSFERS] = transfers_page, [VIEW_EVENTS] = events_page,
		[VIEW_SERVERS] = servers_page,     [VIEW_DETAILS] = details_page,
		[VIEW_HELP] = help_page,           [VIEW_TRASH] = trash_page,
		[VIEW_HISTORY] = history_page,     [VIEW_HELD] = holds_page,
	};
	lines_clear(out);
	if (pages[view])
		pages[view](m, out);
	lines_end(out);
}
