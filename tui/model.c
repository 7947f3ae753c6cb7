/* Owns the state of the full screen, and what the server's words do to it. */
#include "config.h"
#include "model.h"

#include "pages.h"
#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRANSFERS_STAY_MS = 3000 };

static const struct {
	const char *title;
	unsigned place;
} views[VIEWS_N] = {
	[VIEW_FILES] = {"Files", IN_ROWS},
	[VIEW_TRANSFERS] = {"Transfers", IN_TRANSFERS},
	[VIEW_CONFLICTS] = {"Conflicts", IN_ROWS},
	[VIEW_EVENTS] = {"Events", IN_EVENTS},
	[VIEW_SERVERS] = {"Servers", IN_SERVERS},
	[VIEW_TRASH] = {"Trash", IN_TRASH},
	[VIEW_HISTORY] = {"History", IN_HISTORY},
	[VIEW_HELD] = {"Held deletions", IN_HELD},
	[VIEW_DETAILS] = {"Details", IN_DETAILS},
	[VIEW_HELP] = {"Help", IN_HELP},
};

const char *view_name(enum view v)
{
	return views[v].title;
}

unsigned model_place(const struct model *m)
{
	return views[m->view].place;
}

bool model_selects_lines(const struct model *m)
{
	return (model_place(m) & (IN_TRANSFERS | IN_EVENTS | IN_SERVERS | IN_PAST | IN_HELD)) != 0;
}

bool model_shows_rows(const struct model *m)
{
	return m->view == VIEW_FILES || m->view == VIEW_CONFLICTS;
}

const struct listing *model_listing(const struct model *m)
{
	return m->view == VIEW_CONFLICTS ? &m->conflicts : &m->files;
}

struct listing *model_rows(struct model *m)
{
	return m->view == VIEW_CONFLICTS ? &m->conflicts : &m->files;
}

void model_init(struct model *m, listing_ask_fn *ask, void *ctx)
{
	*m = (struct model){.ask = ask, .ctx = ctx, .tail = true, .found_line = LINE_NONE};
	listing_init(&m->files, ask, ctx, (uint32_t)TAG_FILES << 24);
	listing_init(&m->conflicts, ask, ctx, (uint32_t)TAG_CONFLICTS << 24);
	m->conflicts.query.tree = false;
	buf_addf(&m->conflicts.filter, "state:%s", row_state_text(ROW_CONFLICT));
}

void model_release(struct model *m)
{
	struct buf *bufs[] = {&m->todo_text, &m->address,  &m->reason,       &m->range_from,
			      &m->found,     &m->message, &m->details_path, &m->resync_failed,
			      &m->event_filter, &m->menu_path};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_release(bufs[i]);
	listing_release(&m->files);
	listing_release(&m->conflicts);
	news_release(&m->news);
	lines_release(&m->page);
	lines_release(&m->dialog_page);
	settle_release(&m->settle);
	holds_release(&m->holds);
	pasts_release(&m->pasts);
	trusted_release(&m->trusted);
	lines_release(&m->details);
	pathset_release(&m->marks);
	prompt_release(&m->prompt);
	free(m->waiting);
	*m = (struct model){0};
}

void model_say(struct model *m, unsigned look, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_clear(&m->message);
	buf_add(&m->message, text, strlen(text));
	m->message_look = (uint8_t)look;
}

bool model_offers(const struct model *m, enum action a)
{
	static const enum action changing[] = {DO_RESYNC, DO_RESYNC_ALL, DO_UNDO, DO_DECIDE,
					       DO_RESTORE, DO_TRUST, DO_INVITE};
	for (size_t i = 0; (m->readonly || m->viewer) && i < ARRAY_LEN(changing); i++)
		if (changing[i] == a)
			return false;
	return true;
}

bool model_allows(struct model *m, enum action a)
{
	bool allowed = model_offers(m, a);
	if (!allowed)
		model_say(m, LOOK_PLAIN, m->readonly ? "Not with --readonly"
						     : "To this server you are a viewer, "
						       "which may only look");
	return allowed;
}

/* ---- asking ------------------------------------------------------------------------------ */

bool model_ask(struct model *m, enum model_request what, const char *method, struct buf *params)
{
	return model_ask_tagged(m, what, (m->finds & 0xfff) << 4 | (unsigned)m->view, method,
				params);
}

bool model_ask_tagged(struct model *m, enum model_request what, unsigned low, const char *method,
		      struct buf *params)
{
	bool sent = m->ask(m->ctx, method, params,
			   (uint32_t)TAG_MODEL << 24 | (uint32_t)what << 16 | (low & 0xffff));
	buf_release(params);
	return sent;
}

static void ask_plain(struct model *m, enum model_request what, const char *method)
{
	struct buf p = {0};
	wire_map(&p, 0);
	model_ask(m, what, method, &p);
}

void model_ask_row(struct model *m)
{
	struct buf p = {0};
	if (m->details_asked)
		return;
	wire_map(&p, 1);
	wire_put_bin(&p, "path", (struct bytes){m->details_path.data, m->details_path.len});
	m->details_generation = m->files.generation;
	m->details_asked = model_ask(m, ASK_ROW, "row", &p);
}

static struct bytes details_path(const struct model *m)
{
	return (struct bytes){m->details_path.data, m->details_path.len};
}

/* What a view shows that nobody tells by himself. */
static void ask_for_view(struct model *m)
{
	if (!m->connected)
		return;
	if (m->view == VIEW_SERVERS)
		trusted_ask(m);
	if (m->view == VIEW_HELD)
		holds_ask(m);
	if (m->view == VIEW_DETAILS) {
		model_ask_row(m);
		past_open(m, PAST_HISTORY_OF, details_path(m));
		past_open(m, PAST_TRASH_OF, details_path(m));
	}
}

/* ---- the connection ---------------------------------------------------------------------- */

void model_up(struct model *m)
{
	struct buf p = {0};
	m->again = m->ever_connected;
	m->connected = m->ever_connected = true;
	m->details_asked = false;
	ask_plain(m, ASK_STATUS, "status");
	listing_open(&m->files);
	if (m->view == VIEW_CONFLICTS)
		listing_open(&m->conflicts);
	/* At first all that the server remembers. */
	wire_map(&p, 1);
	wire_put_uint(&p, "since", m->news.next_event);
	model_ask(m, ASK_EVENTS, "events", &p);
	trusted_ask(m);
	ask_for_view(m);
}

void model_down(struct model *m, const char *reason, int64_t retry_ms)
{
	if (m->connected) {
		char text[300];
		m->lost = m->now;
		snprintf(text, sizeof(text), "the connection was lost: %s", reason);
		news_note(&m->news, m->now, text);
		news_forget_progress(&m->news);
	}
	m->connected = false;
	m->n_waiting = 0;
	m->finding = false;
	m->resyncs = 0;
	m->details_asked = false;
	m->retry_at = retry_ms < 0 ? 0 : m->now + retry_ms * 1000000;
	buf_clear(&m->reason);
	buf_addf(&m->reason, "%s", reason);
	listing_lost(&m->files);
	listing_lost(&m->conflicts);
	settle_lost(m);
	holds_lost(m);
	past_lost(m);
	trusted_lost(m);
}

static void prepare(struct model *m);

/* ---- what comes in ----------------------------------------------------------------------- */

static void on_events(struct model *m, const msgpack_object *result)
{
	bool gap, first = m->news.next_event == 0;
	size_t added = news_events(&m->news, result, &gap);
	if (gap && !first)
		news_note(&m->news, m->now, "more happened meanwhile than the server remembers");
	if (m->again)
		news_note(&m->news, m->now, "connected again");
	if (m->view != VIEW_EVENTS && !first)
		m->new_events += added;
}

static void on_find(struct model *m, uint32_t tag, const msgpack_object *result)
{
	enum view view = (enum view)(tag & 15);
	if (!m->finding || (tag >> 4 & 0xfff) != (m->finds & 0xfff))
		return;
	m->finding = false;
	if (!result)
		return;
	bool found;
	struct bytes path;
	struct listing *l = view == VIEW_CONFLICTS ? &m->conflicts : &m->files;
	wire_get_bool(result, "found", &found);
	wire_get_bytes(result, "path", &path);
	if (!found) {
		struct buf text = {0};
		show(&text, (struct bytes){m->found.data, m->found.len}, m->ascii);
		model_say(m, LOOK_PLAIN, "No name with \"%.*s\" here", (int)text.len,
			  (const char *)text.data);
		buf_release(&text);
		return;
	}
	listing_revealed(l, path);
	listing_select(l, path);
}

static void on_resync(struct model *m, const msgpack_object *result, const char *error)
{
	const msgpack_object *list = wire_get(result, "replicas");
	struct buf text = {0};
	if (error)
		buf_addf(&m->resync_failed, "%s%s", m->resync_failed.len ? "; " : "", error);
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *o = wire_at(list, i);
		struct bytes name, reason;
		uint64_t looked, changed;
		bool ok;
		wire_get_str(o, "name", &name);
		wire_get_str(o, "reason", &reason);
		wire_get_uint(o, "looked", UINT64_MAX, &looked);
		wire_get_uint(o, "changed", UINT64_MAX, &changed);
		wire_get_bool(o, "ok", &ok);
		m->resync_looked += looked;
		m->resync_changed += changed;
		if (!ok) {
			if (m->resync_failed.len > 0)
				buf_addf(&m->resync_failed, "; ");
			show(&m->resync_failed, name, m->ascii);
			buf_addf(&m->resync_failed, ": ");
			show(&m->resync_failed, reason, m->ascii);
		}
	}
	if (m->resyncs > 0)
		m->resyncs--;
	if (m->resyncs > 0)
		return;
	char looked_text[32], changed_text[32];
	format_count(looked_text, m->resync_looked);
	format_count(changed_text, m->resync_changed);
	buf_addf(&text, "Resync done: %s looked at, %s changed", looked_text, changed_text);
	if (m->resync_failed.len > 0) {
		buf_addf(&text, "; but ");
		buf_add(&text, m->resync_failed.data, m->resync_failed.len);
	}
	model_say(m, m->resync_failed.len ? LOOK_BAD : LOOK_GOOD, "%.*s", (int)text.len,
		  (const char *)text.data);
	buf_release(&text);
}

static void on_row(struct model *m, const msgpack_object *result, const char *error)
{
	m->details_asked = false;
	lines_clear(&m->details);
	m->details_known = true;
	if (result) {
		page_details(&m->details, m, result);
	} else {
		lines_next(&m->details, LOOK_BAD);
		lines_show(&m->details, (struct bytes){m->details_path.data, m->details_path.len},
			   m->ascii);
		lines_next(&m->details, LOOK_PLAIN);
		lines_addf(&m->details, "%s", error);
	}
	lines_end(&m->details);
}

/* Requests whose failure the user need not be told. */
static bool is_quiet(uint32_t tag)
{
	return tag >> 24 == TAG_MODEL && (tag >> 16 & 0xff) == ASK_PEERS;
}

void model_answer(struct model *m, uint32_t tag, const msgpack_object *result, const char *error)
{
	uint32_t to = tag >> 24, what = tag >> 16 & 0xff;
	if (error && m->connected && !is_quiet(tag))
		model_say(m, LOOK_BAD, "The server says: %s", error);
	if (to == TAG_FILES) {
		listing_answer(&m->files, tag & 0xffffff, result);
	} else if (to == TAG_CONFLICTS) {
		listing_answer(&m->conflicts, tag & 0xffffff, result);
	} else if (what == ASK_ROW) {
		on_row(m, result, error);
	} else if (what == ASK_RESYNC) {
		on_resync(m, result, error);
	} else if (what == ASK_FIND) {
		on_find(m, tag, result);
	} else if (what >= ASK_CONFLICT && what <= ASK_UNDO) {
		settle_answer(m, what, tag & 0xffff, result, error);
	} else if (what == ASK_HELD || what == ASK_DECIDE) {
		holds_answer(m, what, result);
	} else if (what == ASK_PAST) {
		past_answer(m, tag & 0xffff, result);
	} else if (what == ASK_RESTORE) {
		past_restored(m, result);
	} else if (what == ASK_PEERS || what == ASK_TRUST || what == ASK_INVITE) {
		trusted_answer(m, what, result);
	} else if (result) {
		switch ((enum model_request)what) {
		case ASK_STATUS:
			news_status(&m->news, result, m->now);
			/* The room for rows is known now: the first window is asked for right. */
			prepare(m);
			break;
		case ASK_EVENTS:
			on_events(m, result);
			break;
		default:
			break;
		}
	}
	model_run_waiting(m);
}

void model_notify(struct model *m, const char *method, const msgpack_object *params)
{
	if (strcmp(method, "table.rows") == 0) {
		if (!listing_rows(&m->files, params))
			listing_rows(&m->conflicts, params);
		if (m->view == VIEW_DETAILS && m->details_generation != m->files.generation)
			model_ask_row(m);
	} else if (strcmp(method, "status") == 0) {
		news_status(&m->news, params, m->now);
		if (m->view == VIEW_SERVERS)
			trusted_ask(m);
		if (m->view == VIEW_HELD)
			holds_ask(m);
	} else if (strcmp(method, "progress") == 0) {
		news_progress(&m->news, params);
		if (m->news.progress.n > 0)
			m->transfers_until = m->ticks_ms + TRANSFERS_STAY_MS;
	} else if (strcmp(method, "event") == 0) {
		struct bytes path;
		wire_get_bytes(params, "path", &path);
		if (!news_event(&m->news, params))
			return;
		m->new_events += m->view != VIEW_EVENTS;
		past_happened(m, path);
	}
	model_run_waiting(m);
}

/* ---- views ------------------------------------------------------------------------------- */

void model_set_view(struct model *m, enum view v)
{
	if (m->view == v)
		return;
	/* Nobody is to keep a table for us that is not looked at. */
	bool leaves = v != VIEW_CONFLICTS && v != VIEW_DETAILS && v != VIEW_HELP;
	if (leaves && (m->conflicts.open || m->conflicts.opening))
		listing_close(&m->conflicts);
	m->view = v;
	m->scroll = 0;
	m->ranging = false;
	m->found_line = LINE_NONE;
	if (v == VIEW_CONFLICTS && !m->conflicts.open && m->connected)
		listing_open(&m->conflicts);
	if (v == VIEW_EVENTS)
		m->new_events = 0;
	if (v == VIEW_DETAILS) {
		lines_clear(&m->details);
		m->details_known = m->details_asked = false;
	}
	ask_for_view(m);
	if (v == VIEW_DETAILS || v == VIEW_HELP)
		m->page_top[v] = m->page_at[v] = 0;
}

bool model_is_marked(const struct model *m, uint64_t position, const struct listing_row *r)
{
	const struct listing *l = model_listing(m);
	if (pathset_has(&m->marks, r->path))
		return true;
	if (!m->ranging || l->where != LISTING_HERE)
		return false;
	struct bytes from = {m->range_from.data, m->range_from.len};
	for (uint64_t p = l->first; p < l->first + l->n; p++)
		if (bytes_eq(listing_row(l, p)->path, from))
			return (position >= p && position <= l->at) ||
			       (position >= l->at && position <= p);
	return false;
}

/* ---- before drawing ---------------------------------------------------------------------- */

static void scroll_page(struct model *m)
{
	uint64_t h = m->layout.body.h > 0 ? (uint64_t)m->layout.body.h : 1, n = m->page.n;
	uint64_t *top = &m->page_top[m->view], *at = &m->page_at[m->view];
	if (m->view == VIEW_EVENTS && m->tail && n > 0)
		*at = n - 1;
	if (*at >= n)
		*at = n > 0 ? n - 1 : 0;
	if (!model_selects_lines(m)) {
		/* No line is selected here: `at` is the first one on the screen. */
		if (*at + h > n)
			*at = n > h ? n - h : 0;
		*top = *at;
		return;
	}
	if (*at < *top)
		*top = *at;
	if (*at >= *top + h)
		*top = *at - h + 1;
	if (*top + h > n)
		*top = n > h ? n - h : 0;
}

/* The list that a view shows; -1: none. */
static int past_of(enum view v)
{
	return v == VIEW_TRASH ? PAST_TRASH : v == VIEW_HISTORY ? PAST_HISTORY : -1;
}

/* The line that was selected is so still when others come and go before it: the next one with the
 * same text, else with the same path. */
static void follow_line(struct model *m, struct bytes text, struct bytes path)
{
	uint64_t *at = &m->page_at[m->view], *top = &m->page_top[m->view], found = LINE_NONE;
	const struct lines *page = &m->page;
	uint64_t best = LINE_NONE;
	if (text.len == 0 || (*at < page->n && bytes_eq(lines_text(page, (size_t)*at), text)))
		return;
	for (size_t i = 0; i < page->n; i++) {
		uint64_t away = i < *at ? *at - i : i - *at;
		bool same = bytes_eq(lines_text(page, i), text);
		if (!same && (path.len == 0 || !bytes_eq(lines_path_of(page, i), path)))
			continue;
		if (!same)
			away += page->n;
		if (away < best) {
			best = away;
			found = i;
		}
	}
	if (found == LINE_NONE)
		return;
	*top = *top + found > *at ? *top + found - *at : 0;
	*at = found;
}

/* Long lists of the past are built only when something in them has changed. */
static void build_page(struct model *m)
{
	int past = past_of(m->view);
	uint64_t generation = past < 0 ? 0 : m->pasts.lists[past].generation * 16 +
						 m->setup.units * 4u + (m->layout.width >= PAST_WIDE ? 2u : 0u) +
						 (m->connected ? 1u : 0u);
	if (past >= 0 && m->page_view == m->view && m->page_generation == generation)
		return;
	/* One that was not moved to stays the first. */
	uint64_t at = m->page_at[m->view];
	bool follows = m->page_view == m->view && model_selects_lines(m) && at > 0 &&
		       at < m->page.n && !(m->view == VIEW_EVENTS && m->tail);
	struct buf text = {0}, path = {0};
	if (follows) {
		struct bytes t = lines_text(&m->page, (size_t)at), p = lines_path_of(&m->page, (size_t)at);
		buf_add(&text, t.p, t.len);
		buf_add(&path, p.p, p.len);
	}
	page_build(m, m->view, &m->page);
	if (follows)
		follow_line(m, (struct bytes){text.data, text.len},
			    (struct bytes){path.data, path.len});
	buf_release(&text);
	buf_release(&path);
	m->page_view = m->view;
	m->page_generation = generation;
}

static void build_dialog(struct model *m)
{
	if (m->dialog == DIALOG_NONE)
		return;
	dialog_build(m, &m->dialog_page, dialog_width(m));
	size_t n = m->dialog_page.n;
	size_t rows = dialog_rows(m);
	for (size_t i = 1; m->dialog_follows && i < n; i++) {
		if (!(m->dialog_page.lines[i].number & DIALOG_AT))
			continue;
		if (i < m->dialog_top + 1)
			m->dialog_top = i - 1;
		if (i > m->dialog_top + rows)
			m->dialog_top = i - rows;
	}
	if (m->dialog_top + rows + 1 > n)
		m->dialog_top = n > rows + 1 ? n - rows - 1 : 0;
}

/* All that is shown, but for the promise that it will be. */
static void prepare(struct model *m)
{
	int width = m->layout.width, height = m->layout.height;
	struct layout_facts facts = {
		.servers = m->news.status.n_servers, .hidden = m->setup.hidden,
		.units = m->setup.units,
	};

	if (m->news.progress.n > 0)
		facts.transfers = m->news.progress.n;
	else if (m->ticks_ms < m->transfers_until)
		facts.transfers = (size_t)m->layout.transfers.h;
	layout_compute(&m->layout, width, height, &facts);
	m->layout.style.ascii = m->ascii;
	m->layout.style.tree = model_listing(m)->query.tree;
	m->layout.style.scroll = m->scroll;

	bool hold = m->ticks_ms < m->held_until;
	listing_hold(&m->files, hold);
	listing_hold(&m->conflicts, hold);
	unsigned rows = (unsigned)m->layout.body.h;
	listing_set_height(&m->files, rows);
	listing_set_height(&m->conflicts, rows);
	past_refresh(m);
	if (!model_shows_rows(m)) {
		build_page(m);
		scroll_page(m);
		if (past_of(m->view) >= 0 && m->connected)
			past_follow(m, (enum past)past_of(m->view), m->page_at[m->view], rows);
	}
	build_dialog(m);
}

void model_prepare(struct model *m)
{
	prepare(m);
	m->dialog_shown = m->dialog != DIALOG_NONE;
}

void model_resize(struct model *m, int width, int height)
{
	m->layout.width = width;
	m->layout.height = height;
	model_prepare(m);
}

int64_t model_tick_ms(const struct model *m)
{
	bool old = m->ever_connected && !m->connected;
	if (m->dialog == DIALOG_INVITE && m->trusted.good_until > m->now)
		return (m->trusted.good_until - m->now) / 1000000 + 1;
	if (model_listing(m)->withholds && m->held_until > m->ticks_ms)
		return m->held_until - m->ticks_ms;
	if (!m->connected && m->retry_at > m->now)
		return 1000;
	if (past_tick_ms(m) > 0)
		return past_tick_ms(m);
	if (m->news.progress.n == 0 && m->transfers_until > m->ticks_ms)
		return m->transfers_until - m->ticks_ms;
	for (size_t i = 1; m->connected && i < m->news.status.n_servers; i++) {
		const struct server *s = &m->news.status.servers[i];
		if (!server_is_away(s))
			continue;
		if (m->news.status.received + (int64_t)s->retry_ms * 1000000 > m->now)
			return 1000;
		old = true;
	}
	return old ? 60000 : 0;
}

/* ---- the key bar ------------------------------------------------------------------------- */

size_t model_key_bar(const struct model *m, int width, struct bar_item items[BAR_ITEMS_MAX])
{
	const struct key_binding *quit = key_of(DO_QUIT);
	int quit_width = 1 + (int)strlen(quit->bar), x = 1;
	size_t n = 0;
	for (size_t i = 0; i < key_bindings_n && n + 1 < BAR_ITEMS_MAX; i++) {
		const struct key_binding *b = &key_bindings[i];
		struct buf name = {0};
		if (!b->bar || b == quit || !(b->places & model_place(m)) ||
		    !model_offers(m, b->action))
			continue;
		key_text(&name, b->keys[0]);
		int w = (int)name.len + (int)strlen(b->bar);
		if (b->keys[0] == ' ')
			w = 3 + (int)strlen(b->bar);
		buf_release(&name);
		if (x + w + 2 + quit_width > width)
			break;
		items[n++] = (struct bar_item){x, w, b};
		x += w + (width < 60 ? 1 : 2);
	}
	if (x + quit_width <= width)
		items[n++] = (struct bar_item){x, quit_width, quit};
	return n;
}
