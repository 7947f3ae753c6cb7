/* Owns the drawing of all that stands round the table: title, servers, status, transfers, the
 * last event, the keys and prompts. */
#include "config.h"
#include "view.h"

#include "pages.h"
#include "path.h"

#include <stdio.h>

struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){b->data, b->len};
}

/* `left` from column 0, `right` at the edge; if there is no room for both, left is cut. */
static void ends(struct grid *s, int y, const struct buf *left, unsigned left_look,
		 const struct buf *right, unsigned right_look)
{
	int width = s->width, need = (int)text_columns(buf_bytes(right));
	if (need > width)
		need = width;
	int room = width - need - (need > 0 ? 1 : 0);
	grid_fill(s, y, 0, width, left_look);
	if (room > 0)
		grid_field(s, y, 0, room, buf_bytes(left), GRID_LEFT, left_look);
	grid_field(s, y, width - need, need, buf_bytes(right), GRID_LEFT, right_look);
}

enum { TITLE_LEFT = 16 /* columns of the title for whose it is */ };

/* ---- title ------------------------------------------------------------------------------- */

/* Nothing is wrong. */
static void good_words(const struct status *st, struct buf *out)
{
	if (st->scanning)
		buf_addf(out, "reading the folder");
	else if (st->in_sync && st->n_servers == 1)
		buf_addf(out, "in sync (no other server)");
	else if (st->in_sync)
		buf_addf(out, st->n_servers == 2 ? "both in sync" : "all %zu in sync",
			 st->n_servers);
	else
		buf_addf(out, "syncing");
}

static void no_connection(const struct model *m, struct buf *out)
{
	char n[32];
	if (!m->ever_connected) {
		buf_addf(out, "not connected");
	} else if (m->lost > 0 && m->now > m->lost) {
		format_duration_words(n, (uint64_t)(m->now - m->lost) / 1000000000);
		buf_addf(out, "SERVER LOST %s ago", n);
	} else {
		buf_addf(out, "SERVER LOST");
	}
	if (m->retry_at > m->now + 1000000000) {
		format_duration_words(n, (uint64_t)(m->retry_at - m->now) / 1000000000);
		buf_addf(out, ", retry in %s", n);
	}
}

/* What is wrong, in words; `brief`: as short as can be. */
static bool trouble(const struct model *m, struct buf *out, bool brief)
{
	const struct status *st = &m->news.status;
	uint64_t away = 0, held_there = 0;
	for (size_t i = 1; i < st->n_servers; i++) {
		bool gone = server_is_away(&st->servers[i]);
		away += gone;
		held_there += gone ? 0 : st->servers[i].held;
	}
	const struct {
		uint64_t n;
		const char *one, *many, *brief; /* NULL: those are */
		char screen;
	} kinds[] = {
		{st->conflicts, "conflict", "conflicts", NULL, 0},
		{st->held, "deletion held", "deletions held", "held", '8'},
		{held_there, "deletion held elsewhere", "deletions held elsewhere", "held elsewhere", '5'},
		{away, "server offline", "servers offline", "offline", 0},
		{status_problems(st), "problem", "problems", NULL, 0},
		{st->asking, "server asks to join", "servers ask to join", "asking", '5'},
	};
	size_t begin = out->len;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char n[32];
		if (kinds[i].n == 0)
			continue;
		/* Whoever comes along the network shall not hide that all else is well. */
		if (out->len == begin && i == ARRAY_LEN(kinds) - 1 && m->layout.width >= 60)
			good_words(st, out);
		format_count(n, kinds[i].n);
		buf_addf(out, "%s%s %s", out->len > begin ? "  " : "", n,
			 brief && kinds[i].brief ? kinds[i].brief
			 : kinds[i].n == 1       ? kinds[i].one
						 : kinds[i].many);
		if (kinds[i].screen && !brief && m->layout.width >= 100)
			buf_addf(out, " (%c)", kinds[i].screen);
		/* A narrow screen has room for the worst only. */
		if (m->layout.width < 60)
			break;
	}
	return out->len > begin;
}

/* What is to be said first of all; true if it is trouble. */
static bool first_words(const struct model *m, struct buf *out)
{
	const struct status *st = &m->news.status;
	if (!m->connected) {
		no_connection(m, out);
		return true;
	}
	if (!st->known)
		return false;
	if (!trouble(m, out, false)) {
		good_words(st, out);
		return false;
	}
	size_t letters = m->layout.servers_form == SERVERS_LETTERS ? st->n_servers : 0;
	int taken = TITLE_LEFT + 3 * (int)(letters < 8 ? letters : 8);
	if ((int)text_columns(buf_bytes(out)) + taken > m->layout.width) {
		buf_clear(out);
		trouble(m, out, true);
	}
	return true;
}

static void servers_letters(const struct model *m, struct buf *out)
{
	const struct status *st = &m->news.status;
	for (size_t i = 0; i < st->n_servers && i < 8; i++) {
		const struct server *v = &st->servers[i];
		char cell = server_is_away(v) ? '?' : v->pending_files > 0 ? '<' : '=';
		buf_addf(out, "%s%c%c", out->len > 0 ? " " : "", server_letter(i), cell);
	}
}

/* "   1,204,331 files  812.4 GiB", or as much of it as there is room for up to column `room`. */
static void add_totals(const struct model *m, struct buf *left, int room)
{
	const struct status *st = &m->news.status;
	char text[48], n[32], size[40];
	format_count(n, st->files);
	snprintf(text, sizeof(text), "   %s file%s", n, st->files == 1 ? "" : "s");
	if ((int)(text_columns(buf_bytes(left)) + strlen(text)) > room)
		return;
	buf_addf(left, "%s", text);
	setup_size(m->setup.units, size, st->bytes, FORMAT_LONG);
	if ((int)(text_columns(buf_bytes(left)) + 2 + strlen(size)) <= room)
		buf_addf(left, "  %s", size);
}

void view_title(const struct model *m, struct grid *s)
{
	const struct status *st = &m->news.status;
	const struct progress *p = &m->news.progress;
	struct buf left = {0}, right = {0};
	char a[32];
	if (m->layout.title.h == 0)
		return;
	buf_addf(&left, " tutti ");
	if (st->known) {
		struct bytes name = path_base(own_bytes(&st->root));
		show(&left, name.len > 0 ? name : own_bytes(&st->name), m->ascii);
	}
	bool bad = first_words(m, &right);
	if (p->n > 0 && s->width >= 60) {
		struct buf moving = {0};
		bool wide = s->width >= (bad ? 120 : 100);
		if (wide)
			buf_addf(&moving, "  %llu transfer%s", (unsigned long long)p->active,
				 p->active == 1 ? "" : "s");
		format_rate(a, p->in > p->out ? p->in : p->out);
		buf_addf(&moving, "  %s", a);
		if (progress_seconds(p) > 0) {
			format_duration(a, progress_seconds(p));
			buf_addf(&moving, "  %s%s", a, wide ? " left" : "");
		}
		if ((int)(text_columns(buf_bytes(&right)) + moving.len) + TITLE_LEFT <= s->width)
			buf_add(&right, moving.data, moving.len);
		buf_release(&moving);
	}
	if (m->layout.servers_form == SERVERS_LETTERS && s->width >= 24 && st->n_servers > 1) {
		if (right.len > 0)
			buf_addf(&right, "  ");
		struct buf letters = {0};
		servers_letters(m, &letters);
		buf_add(&right, letters.data, letters.len);
		buf_release(&letters);
	}
	buf_addf(&right, " ");
	if (st->known && s->width >= 60)
		add_totals(m, &left, s->width - 1 - (int)text_columns(buf_bytes(&right)));
	ends(s, m->layout.title.y, &left, LOOK_STRONG, &right,
	     bad ? LOOK_SHOUT : !st->in_sync ? LOOK_BUSY : LOOK_GOOD);
	buf_release(&left);
	buf_release(&right);
}

/* ---- servers ----------------------------------------------------------------------------- */

static unsigned server_look(const struct model *m, const struct server *v)
{
	if (!m->connected)
		return LOOK_OLD;
	return server_is_away(v) || v->problems > 0 ? LOOK_BAD
	       : v->pending_files > 0                ? LOOK_BUSY
						      : LOOK_PLAIN;
}

static void server_lines(const struct model *m, struct grid *s)
{
	const struct status *st = &m->news.status;
	const struct progress *p = &m->news.progress;
	size_t name_width = 0, address_width = 0;
	struct buf left = {0}, right = {0}, one = {0};

	for (size_t i = 0; i < st->n_servers; i++) {
		buf_clear(&one);
		show(&one, own_bytes(&st->servers[i].name), m->ascii);
		size_t w = text_columns(buf_bytes(&one));
		name_width = w > name_width ? w : name_width;
		buf_clear(&one);
		show(&one, own_bytes(&st->servers[i].address), m->ascii);
		w = text_columns(buf_bytes(&one));
		address_width = w > address_width ? w : address_width;
	}
	name_width = name_width < 16 ? name_width : 16;
	address_width = address_width < 24 ? address_width : 24;
	for (size_t i = 0; i < st->n_servers && i < (size_t)m->layout.servers.h; i++) {
		const struct server *v = &st->servers[i];
		int y = m->layout.servers.y + (int)i, x = 3;
		unsigned look = server_look(m, v);
		buf_clear(&left);
		buf_clear(&right);
		if (i == 0 && (p->n > 0 || p->in > 0 || p->out > 0)) {
			char in[16], out[16];
			format_rate(in, p->in);
			format_rate(out, p->out);
			buf_addf(&right, "in %8s  out %8s ", in, out);
		}
		ends(s, y, &left, look, &right, LOOK_PLAIN);
		int room = s->width - (int)right.len - 1;
		grid_printf(s, y, 1, LOOK_STRONG, "%c", server_letter(i));
		buf_clear(&one);
		show(&one, own_bytes(&v->name), m->ascii);
		grid_field(s, y, x, (int)name_width, buf_bytes(&one), GRID_MIDDLE, look);
		x += (int)name_width + 2;
		buf_clear(&one);
		show(&one, own_bytes(&v->address), m->ascii);
		grid_field(s, y, x, (int)address_width, buf_bytes(&one), GRID_MIDDLE, look);
		x += (int)address_width + (address_width > 0 ? 2 : 0);
		buf_clear(&one);
		server_words(&one, v, st->received, m->now, false, m->ascii);
		grid_field(s, y, x, room - x, buf_bytes(&one), GRID_LEFT, look);
	}
	buf_release(&left);
	buf_release(&right);
	buf_release(&one);
}

static void server_chips(const struct model *m, struct grid *s)
{
	const struct status *st = &m->news.status;
	int x = 1, y = m->layout.servers.y;
	struct buf one = {0};
	for (size_t i = 0; i < st->n_servers && x < s->width; i++) {
		buf_clear(&one);
		if (server_letter(i) != ' ')
			buf_addf(&one, "%c ", server_letter(i));
		show(&one, own_bytes(&st->servers[i].name), m->ascii);
		buf_add_char(&one, ' ');
		server_words(&one, &st->servers[i], st->received, m->now, true, m->ascii);
		struct buf cut = {0};
		text_clip(&cut, buf_bytes(&one), (size_t)(s->width - x), TEXT_CLIP_END, m->ascii);
		x += grid_text(s, y, x, s->width - x, buf_bytes(&cut),
			      server_look(m, &st->servers[i])) + 3;
		buf_release(&cut);
	}
	buf_release(&one);
}

void view_servers(const struct model *m, struct grid *s)
{
	if (m->layout.servers.h == 0)
		return;
	if (m->layout.servers_form == SERVERS_LINES)
		server_lines(m, s);
	else
		server_chips(m, s);
}

/* ---- status ------------------------------------------------------------------------------ */

static void short_transfers(const struct model *m, struct buf *out)
{
	const struct progress *p = &m->news.progress;
	char text[24];
	if (p->n == 0)
		return;
	format_percent(text, p->done, p->size);
	buf_addf(out, " -- %llu transfer%s %s", (unsigned long long)p->active,
		 p->active == 1 ? "" : "s", text);
	if (progress_seconds(p) > 0) {
		format_duration(text, progress_seconds(p));
		buf_addf(out, " %s", text);
	}
}

static void position_words(const struct model *m, struct buf *left)
{
	const struct listing *t = model_listing(m);
	char at[32], total[32];
	if (!model_shows_rows(m)) {
		uint64_t n = m->page.n, first = m->page_at[m->view] + 1;
		format_count(at, first < n ? first : n);
		format_count(total, n);
		buf_addf(left, "-- %s -- %s of %s%s", view_name(m->view), at, total,
			 past_has_more(m) ? " and more" : "");
		return;
	}
	format_count(at, t->total > 0 ? t->at + 1 : 0);
	format_count(total, t->total);
	if (m->layout.width < 60) {
		buf_addf(left, "-- %s/%s", at, total);
		return;
	}
	buf_addf(left, "-- %s of %s -- ", at, total);
	if (m->view == VIEW_CONFLICTS)
		buf_addf(left, "conflicts ");
	buf_addf(left, "%s by %s", t->query.tree ? "tree" : "flat", table_sort_text(t->query.sort));
	if (m->marks.n > 0) {
		char size[40];
		format_count(at, m->marks.n);
		setup_size(m->setup.units, size, pathset_sum(&m->marks), FORMAT_LONG);
		buf_addf(left, " -- %s marked, %s", at, size);
	}
	if (m->ranging)
		buf_addf(left, " -- range");
}

void view_status(const struct model *m, struct grid *s)
{
	const struct listing *t = model_listing(m);
	struct buf left = {0}, right = {0};
	char text[32];
	if (m->layout.status.h == 0)
		return;
	position_words(m, &left);
	if (m->layout.transfers_in_status)
		short_transfers(m, &left);
	const struct buf *filter = m->view == VIEW_EVENTS    ? &m->event_filter
				   : m->view == VIEW_TRASH   ? &m->pasts.lists[PAST_TRASH].filter
				   : m->view == VIEW_HISTORY ? &m->pasts.lists[PAST_HISTORY].filter
							     : &t->filter;
	bool filters = model_place(m) & (IN_EVENTS | IN_PAST);
	if (s->width >= 60 && (m->view == VIEW_FILES || filters)) {
		if (filter->len > 0) {
			struct buf shown = {0}, cut = {0};
			show(&shown, buf_bytes(filter), m->ascii);
			text_clip(&cut, buf_bytes(&shown), 24, TEXT_CLIP_END, m->ascii);
			buf_addf(&right, "filter: ");
			buf_add(&right, cut.data, cut.len);
			buf_release(&shown);
			buf_release(&cut);
		} else if (filters || !t->query.only) {
			buf_addf(&right, "no filter");
		}
		if (m->view == VIEW_FILES && t->query.only)
			buf_addf(&right, "%sonly what is not in sync", right.len > 0 ? ", " : "");
		buf_addf(&right, " -- ");
	}
	if (!m->connected) {
		show_time(text, m->lost, FORMAT_SECONDS);
		if (m->ever_connected)
			buf_addf(&right, "as of %s",
				 s->width >= 60 ? text : text + (text[0] ? 11 : 0));
		else
			buf_addf(&right, "not connected");
	} else if (past_waits(m)) {
		buf_addf(&right, "there is newer: g");
	} else if (t->frozen) {
		format_count(text, t->withheld);
		buf_addf(&right, "FROZEN, %s change%s waiting", text, t->withheld == 1 ? "" : "s");
	} else if (t->withholds && model_shows_rows(m)) {
		buf_addf(&right, "order held");
	} else if (t->follow && model_shows_rows(m) && t->at == 0 && t->query.sort != SORT_NAME) {
		buf_addf(&right, "following");
	} else if (s->width >= 60) {
		buf_addf(&right, "live");
	}
	if (s->width >= 60)
		buf_addf(&right, " --");
	ends(s, m->layout.status.y, &left, LOOK_HEAD, &right, LOOK_HEAD);
	buf_release(&left);
	buf_release(&right);
}

/* ---- transfers --------------------------------------------------------------------------- */

static char letter_of(const struct model *m, const struct own *name)
{
	const struct status *st = &m->news.status;
	for (size_t i = 0; i < st->n_servers; i++)
		if (bytes_eq(own_bytes(&st->servers[i].name), own_bytes(name)))
			return server_letter(i);
	return '?';
}

static void transfer_line(const struct model *m, struct grid *s, int y, struct bytes what,
			  uint64_t done, uint64_t size, uint64_t rate, uint64_t seconds)
{
	struct buf right = {0};
	char a[40], b[72], c[40], d[24] = "";
	int bar = s->width >= 100 ? 26 : 20;
	format_percent(a, done, size);
	setup_progress(m->setup.units, b, done, size);
	format_rate(c, rate);
	if (seconds > 0)
		format_duration(d, seconds);
	bar_text(&right, bar, done, size);
	buf_addf(&right, " %4s %17s  %8s %7s ", a, b, c, d);
	struct bytes r = buf_bytes(&right);
	int room = s->width - (int)r.len - 2;
	if (room < 12) {
		/* The bar goes first. */
		r.p += bar;
		r.len -= (size_t)bar;
		room = s->width - (int)r.len - 2;
	}
	struct buf cut = {0};
	text_clip(&cut, what, room > 0 ? (size_t)room : 0, TEXT_CLIP_MIDDLE, m->ascii);
	grid_text(s, y, 1, room, buf_bytes(&cut), LOOK_PLAIN);
	grid_text(s, y, s->width - (int)r.len, (int)r.len, r, LOOK_BUSY);
	buf_release(&cut);
	buf_release(&right);
}

void view_transfers(const struct model *m, struct grid *s)
{
	const struct progress *p = &m->news.progress;
	struct band b = m->layout.transfers;
	struct buf what = {0};
	if (b.h == 0)
		return;
	if (p->n == 0) {
		grid_put(s, b.y, 1, "No transfer is running any more", LOOK_OLD);
		return;
	}
	if (b.h == 1 && p->active > 1) {
		buf_addf(&what, "%llu transfers", (unsigned long long)p->active);
		transfer_line(m, s, b.y, buf_bytes(&what), p->done, p->size,
			      p->in > p->out ? p->in : p->out, progress_seconds(p));
	}
	for (int i = 0; (b.h > 1 || p->active <= 1) && i < b.h && (size_t)i < p->n; i++) {
		const struct transfer *t = &p->transfers[i];
		buf_clear(&what);
		buf_addf(&what, "%c>%c ", letter_of(m, &t->from), letter_of(m, &t->to));
		show(&what, own_bytes(&t->path), m->ascii);
		transfer_line(m, s, b.y + i, buf_bytes(&what), t->done, t->size, t->rate,
			      t->rate > 0 && t->size > t->done ? (t->size - t->done) / t->rate + 1
							       : 0);
	}
	buf_release(&what);
}

/* ---- the last event ---------------------------------------------------------------------- */

void view_event(const struct model *m, struct grid *s)
{
	const struct progress *p = &m->news.progress;
	const struct event *e = m->news.n_events > 0
					? news_event_at(&m->news, m->news.n_events - 1)
					: NULL;
	struct buf left = {0}, right = {0};
	unsigned look = LOOK_PLAIN;
	char n[32], k[32];
	if (m->layout.event.h == 0)
		return;
	buf_add_char(&left, ' ');
	if (m->message.len > 0) {
		buf_add(&left, m->message.data, m->message.len);
		look = m->message_look;
	} else if (m->finding) {
		buf_addf(&left, "Searching ... (Esc: no more)");
	} else if (p->resyncing || m->resyncs > 0) {
		format_count(n, p->looked);
		format_count(k, p->changed);
		buf_addf(&left, "Resync: %s looked at, %s changed", n, k);
		if (p->waiting.len > 0) {
			buf_addf(&left, "; waiting for ");
			show(&left, own_bytes(&p->waiting), m->ascii);
		}
		look = LOOK_BUSY;
	} else if (e) {
		/* With its date when it is long ago. */
		bool today = m->now - e->time < INT64_C(12) * 3600 * 1000000000;
		char time[20];
		show_time(time, e->time, today ? FORMAT_SECONDS : FORMAT_SHORT);
		buf_addf(&left, "%s ", time + (today && strlen(time) > 11 ? 11 : 0));
		event_words(&left, e, m->ascii);
	}
	if (m->new_events > 0 && s->width >= 60) {
		format_count(n, m->new_events);
		buf_addf(&right, "%s new event%s (4) ", n, m->new_events == 1 ? "" : "s");
	}
	ends(s, m->layout.event.y, &left, look, &right, LOOK_PLAIN);
	buf_release(&left);
	buf_release(&right);
}

/* ---- keys and prompts -------------------------------------------------------------------- */

static void prompt_line(const struct model *m, struct grid *s, int y)
{
	static const char *const words[] = {
		[ASKING_FIND] = "Find: ",
		[ASKING_FILTER] = "Filter: ",
		[ASKING_GO] = ":",
		[ASKING_WRITE] = "Write the table to: ",
		[ASKING_RESTORE] = "Restore to: ",
		[ASKING_SORT] =
			"Sort by: n name  s size  d date  v state  r reverse  (Esc: as it is)",
		[ASKING_RESYNC_ALL] = "Resync everything on all servers? y: yes, any other key: no",
		[ASKING_NOTHING] = "",
	};
	struct buf before = {0}, after = {0};
	grid_fill(s, y, 0, s->width, LOOK_PLAIN);
	int x = grid_put(s, y, 1, words[m->asking], LOOK_STRONG) + 1;
	if (m->asking == ASKING_SORT || m->asking == ASKING_RESYNC_ALL) {
		grid_cursor(s, y, x);
		return;
	}
	const struct prompt *p = &m->prompt;
	show(&before, (struct bytes){p->text.data, p->cursor}, m->ascii);
	show(&after, (struct bytes){p->text.data + p->cursor, p->text.len - p->cursor}, m->ascii);
	/* What is before the cursor loses its beginning when it does not fit. */
	struct bytes b = buf_bytes(&before);
	int room = s->width - x - 1;
	while (b.len > 0 && (int)text_columns(b) > room) {
		uint32_t cp;
		size_t len = text_decode(b.p, b.len, &cp);
		b.p += len > 0 ? len : 1;
		b.len -= len > 0 ? len : 1;
	}
	int at = x + grid_text(s, y, x, room, b, LOOK_PLAIN);
	grid_text(s, y, at, s->width - at, buf_bytes(&after), LOOK_PLAIN);
	grid_cursor(s, y, at);
	buf_release(&before);
	buf_release(&after);
}

void view_keys(const struct model *m, struct grid *s)
{
	int y = m->layout.keys.y;
	if (m->asking != ASKING_NOTHING) {
		prompt_line(m, s, m->layout.keys.h > 0 ? y : s->height - 1);
		return;
	}
	if (m->layout.keys.h == 0)
		return;
	if (m->dialog != DIALOG_NONE) {
		grid_put(s, y, 1 + grid_put(s, y, 1, "Esc", LOOK_STRONG), " Leave the question",
			 LOOK_PLAIN);
		return;
	}
	struct bar_item items[BAR_ITEMS_MAX];
	size_t n = model_key_bar(m, s->width, items);
	for (size_t i = 0; i < n; i++) {
		struct buf name = {0};
		key_text(&name, items[i].key->keys[0]);
		if (items[i].key->keys[0] == ' ') {
			buf_clear(&name);
			buf_addf(&name, "Spc");
		}
		int w = grid_text(s, y, items[i].x, s->width, buf_bytes(&name), LOOK_STRONG);
		grid_put(s, y, items[i].x + w, items[i].key->bar, LOOK_PLAIN);
		buf_release(&name);
	}
}
