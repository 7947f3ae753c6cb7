/* Owns what keys, pasted text and the mouse do to the model. */
#include "config.h"
#include "model.h"

#include "filter.h"
#include "path.h"
#include "wire.h"

#include <stdlib.h>

enum { WAITING_MAX = 4096, NAME_SCROLL = 8, WHEEL = 3, HOLD_MS = 1500 };

/* Actions that mean the selected row, and so wait until it is known which one that is. */
static bool needs_row(enum action a)
{
	switch (a) {
	case DO_UNFOLD:
	case DO_FOLD:
	case DO_ENTER:
	case DO_DETAILS:
	case DO_MARK:
	case DO_RANGE:
	case DO_INVERT:
	case DO_RESOLVE:
	case DO_RESYNC:
	case DO_SHOW:
	case DO_COPY:
	case DO_FIND:
	case DO_FIND_NEXT:
	case DO_FIND_PREVIOUS:
	case DO_FILTER:
	case DO_SORT:
	case DO_GO:
	case DO_WINDOW_TOP:
	case DO_WINDOW_MIDDLE:
	case DO_WINDOW_BOTTOM:
		return true;
	default:
		return false;
	}
}

/* The path that an action means: of the details, or of the selected row. Empty: none. */
static struct bytes subject(struct model *m)
{
	if (m->view == VIEW_DETAILS)
		return (struct bytes){m->details_path.data, m->details_path.len};
	const struct listing_row *r = listing_selected(model_rows(m));
	return r ? r->path : (struct bytes){0};
}

static void leave_todo(struct model *m, enum todo what, struct bytes text)
{
	m->todo |= (unsigned)what;
	buf_clear(&m->todo_text);
	buf_add(&m->todo_text, text.p, text.len);
}

/* ---- prompts ----------------------------------------------------------------------------- */

void model_ask_text(struct model *m, enum prompt_kind what, struct bytes text)
{
	m->asking = what;
	prompt_set(&m->prompt, text);
}

static void say_not_found(struct model *m)
{
	struct buf text = {0};
	show(&text, (struct bytes){m->found.data, m->found.len}, m->ascii);
	model_say(m, LOOK_PLAIN, "No line with \"%.*s\" here", (int)text.len,
		  (const char *)text.data);
	buf_release(&text);
}

/* On the screens that are lines of text: the next one with the text, wrapping round. */
static void find_line(struct model *m, bool back)
{
	uint64_t n = m->page.n, *at = &m->page_at[m->view], from = *at;
	bool selects = model_selects_lines(m);
	if (!selects && m->found_line != LINE_NONE && m->found_line < n)
		from = m->found_line;
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t line = (from + (back ? n - i : i)) % n;
		if (!filter_contains(lines_text(&m->page, (size_t)line),
				     (struct bytes){m->found.data, m->found.len}))
			continue;
		*at = line;
		m->found_line = line;
		m->tail = false;
		return;
	}
	say_not_found(m);
}

static void find(struct model *m, bool back)
{
	struct listing *l = model_rows(m);
	struct buf p = {0};
	if (m->found.len == 0) {
		model_ask_text(m, ASKING_FIND, (struct bytes){0});
		return;
	}
	if (!model_shows_rows(m)) {
		find_line(m, back);
		return;
	}
	if (!l->open)
		return;
	wire_map(&p, 4);
	wire_put_uint(&p, "table", l->table);
	wire_put_str(&p, "text", (struct bytes){m->found.data, m->found.len});
	wire_put_bin(&p, "from", listing_path(l));
	wire_put_bool(&p, "back", back);
	m->finds++;
	m->finding = model_ask(m, ASK_FIND, "table.find", &p);
}

static void set_sort(struct model *m, enum table_sort sort)
{
	struct listing *l = model_rows(m);
	struct listing_query q = l->query;
	if (q.sort == sort) {
		q.reverse = !q.reverse;
	} else {
		q.sort = sort;
		/* People want to see the largest, the newest and the worst first. */
		q.reverse = sort != SORT_NAME;
	}
	listing_set_query(l, q);
	m->todo |= TODO_REMEMBER;
}

static enum past past_shown(const struct model *m)
{
	return m->view == VIEW_TRASH ? PAST_TRASH : PAST_HISTORY;
}

static void set_filter(struct model *m, struct bytes text)
{
	if (m->view == VIEW_TRASH || m->view == VIEW_HISTORY) {
		past_filter(m, past_shown(m), text);
		m->page_at[m->view] = 0;
		return;
	}
	if (m->view == VIEW_EVENTS) {
		buf_clear(&m->event_filter);
		buf_add(&m->event_filter, text.p, text.len);
		m->tail = true;
		return;
	}
	if (m->view == VIEW_CONFLICTS)
		model_set_view(m, VIEW_FILES);
	listing_set_filter(&m->files, text);
}

static struct bytes present_filter(const struct model *m)
{
	const struct buf *b = m->view == VIEW_EVENTS      ? &m->event_filter
			      : model_place(m) & IN_PAST ? &m->pasts.lists[past_shown(m)].filter
							 : &m->files.filter;
	return (struct bytes){b->data, b->len};
}

static void resync_path(struct model *m, struct bytes path)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_bin(&p, "path", path);
	if (!model_ask(m, ASK_RESYNC, "resync", &p))
		return;
	m->resyncs++;
	m->resync_paths++;
}

static void begin_resync(struct model *m)
{
	if (m->resyncs > 0)
		return;
	m->resync_looked = m->resync_changed = 0;
	m->resync_paths = 0;
	buf_clear(&m->resync_failed);
}

static void resync(struct model *m)
{
	if (m->view != VIEW_DETAILS && m->marks.n > 0) {
		begin_resync(m);
		for (size_t i = 0; i < m->marks.n; i++)
			resync_path(m, m->marks.items[i].path);
	} else if (subject(m).len > 0) {
		begin_resync(m);
		resync_path(m, subject(m));
	}
}

/* A word of `text` up to a blank; what is left without leading blanks. */
static struct bytes next_word(struct bytes *text)
{
	struct bytes word = *text;
	size_t n = 0;
	while (n < text->len && text->p[n] != ' ')
		n++;
	word.len = n;
	while (n < text->len && text->p[n] == ' ')
		n++;
	text->p += n;
	text->len -= n;
	return word;
}

/* N or N%: to that row. */
static bool go_to_row(struct model *m, struct bytes text)
{
	struct listing *l = model_rows(m);
	uint64_t n = 0;
	size_t i = 0;
	for (; i < text.len && text.p[i] >= '0' && text.p[i] <= '9' && i < 15; i++)
		n = n * 10 + (uint64_t)(text.p[i] - '0');
	if (i == 0)
		return false;
	if (i + 1 == text.len && text.p[i] == '%')
		n = l->total * (n < 100 ? n : 100) / 100 + 1;
	else if (i != text.len)
		return false;
	if (model_shows_rows(m))
		listing_go(l, n > 0 ? n - 1 : 0);
	else
		m->page_at[m->view] = n > 0 ? n - 1 : 0;
	m->tail = false;
	return true;
}

static void sort_command(struct model *m, struct bytes rest)
{
	int sort = table_sort_parse(rest);
	if (sort >= 0)
		set_sort(m, (enum table_sort)sort);
	else
		model_say(m, LOOK_BAD, "sort by what? name, size, date or state");
}

static void find_command(struct model *m, struct bytes rest)
{
	buf_clear(&m->found);
	buf_add(&m->found, rest.p, rest.len);
	if (rest.len > 0)
		find(m, false);
}

static void write_command(struct model *m, struct bytes rest)
{
	if (rest.len > 0)
		leave_todo(m, TODO_WRITE, rest);
	else
		model_ask_text(m, ASKING_WRITE, (struct bytes){0});
}

static void quit_command(struct model *m, struct bytes rest)
{
	(void)rest;
	m->todo |= TODO_QUIT;
}

static void shell_command(struct model *m, struct bytes rest)
{
	if (m->readonly)
		model_say(m, LOOK_PLAIN, "Not with --readonly");
	else if (rest.len > 0)
		leave_todo(m, TODO_SHELL, rest);
	else
		model_say(m, LOOK_BAD, "Which command? :!ls runs ls in a shell");
}

static void command(struct model *m, struct bytes text)
{
	static const struct {
		const char *name;
		void (*run)(struct model *m, struct bytes rest);
	} commands[] = {
		{"q", quit_command},    {"quit", quit_command},   {"w", write_command},
		{"write", write_command}, {"sort", sort_command}, {"filter", set_filter},
		{"find", find_command},
	};
	if (text.len == 0 || go_to_row(m, text))
		return;
	if (text.p[0] == '!') {
		shell_command(m, (struct bytes){text.p + 1, text.len - 1});
		return;
	}
	struct bytes rest = text, word = next_word(&rest);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (bytes_eq(word, bytes_of(commands[i].name))) {
			commands[i].run(m, rest);
			return;
		}
	struct buf shown = {0};
	show(&shown, word, m->ascii);
	model_say(m, LOOK_BAD, "No command \"%.*s\": a row, a percentage, sort, filter, find, w, !, q",
		  (int)shown.len, (const char *)shown.data);
	buf_release(&shown);
}

/* Enter: what was typed is done. */
static void prompt_done(struct model *m)
{
	enum prompt_kind what = m->asking;
	struct buf copy = {0};
	buf_add(&copy, m->prompt.text.data, m->prompt.text.len);
	struct bytes text = {copy.data, copy.len};
	m->asking = ASKING_NOTHING;
	switch (what) {
	case ASKING_FIND:
		/* Nothing typed: the text of the last time. */
		if (text.len > 0)
			find_command(m, text);
		else if (m->found.len > 0)
			find(m, false);
		break;
	case ASKING_FILTER:
		set_filter(m, text);
		break;
	case ASKING_GO:
		command(m, text);
		break;
	case ASKING_WRITE:
		if (text.len > 0)
			leave_todo(m, TODO_WRITE, text);
		break;
	case ASKING_RESTORE:
		if (text.len > 0)
			past_restore(m, text);
		break;
	case ASKING_NOTHING:
	case ASKING_SORT:
	case ASKING_RESYNC_ALL:
		break;
	}
	buf_release(&copy);
}

static void sort_letter(struct model *m, uint32_t key)
{
	static const struct {
		uint32_t key;
		enum table_sort sort;
	} letters[] = {{'n', SORT_NAME}, {'s', SORT_SIZE}, {'d', SORT_DATE}, {'v', SORT_STATE}};
	m->asking = ASKING_NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (letters[i].key == key)
			set_sort(m, letters[i].sort);
	if (key == 'r' || key == 'I')
		set_sort(m, model_rows(m)->query.sort);
}

static void asked_key(struct model *m, uint32_t key)
{
	if (key == K_ESC || key == K_CTRL('C') || key == K_CTRL('G')) {
		m->asking = ASKING_NOTHING;
		return;
	}
	if (m->asking == ASKING_SORT) {
		sort_letter(m, key);
	} else if (m->asking == ASKING_RESYNC_ALL) {
		m->asking = ASKING_NOTHING;
		if (key == 'y' || key == 'Y') {
			begin_resync(m);
			resync_path(m, (struct bytes){0});
		} else {
			model_say(m, LOOK_PLAIN, "Nothing was resynced");
		}
	} else if (key == K_ENTER || key == K_CTRL('J')) {
		prompt_done(m);
	} else if (key == K_BACKSPACE && m->prompt.text.len == 0) {
		m->asking = ASKING_NOTHING;
	} else {
		prompt_key(&m->prompt, key);
	}
}

/* ---- moving ------------------------------------------------------------------------------ */

static void move_rows(struct model *m, enum action a)
{
	struct listing *l = model_rows(m);
	int64_t h = l->height > 0 ? l->height : 1, half = h > 1 ? h / 2 : 1;
	uint64_t left = l->total > l->top ? l->total - l->top : 0;
	unsigned shown = left < (uint64_t)h ? (unsigned)left : (unsigned)h;
	switch (a) {
	case DO_UP:
		listing_move(l, -1);
		break;
	case DO_DOWN:
		listing_move(l, 1);
		break;
	case DO_PAGE_UP:
		listing_page(l, -h);
		break;
	case DO_PAGE_DOWN:
		listing_page(l, h);
		break;
	case DO_HALF_UP:
		listing_page(l, -half);
		break;
	case DO_HALF_DOWN:
		listing_page(l, half);
		break;
	case DO_FIRST:
		listing_go(l, 0);
		break;
	case DO_LAST:
		listing_go(l, UINT64_MAX);
		break;
	case DO_WINDOW_TOP:
		listing_line(l, 0);
		break;
	case DO_WINDOW_MIDDLE:
		listing_line(l, shown / 2);
		break;
	case DO_WINDOW_BOTTOM:
		listing_line(l, shown > 0 ? shown - 1 : 0);
		break;
	default:
		break;
	}
}

static void move_lines(struct model *m, enum action a)
{
	uint64_t *at = &m->page_at[m->view],
		 h = m->layout.body.h > 0 ? (uint64_t)m->layout.body.h : 1;
	uint64_t half = h > 1 ? h / 2 : 1, up = 0, down = 0;
	switch (a) {
	case DO_UP:
		up = 1;
		break;
	case DO_DOWN:
		down = 1;
		break;
	case DO_PAGE_UP:
		up = h;
		break;
	case DO_PAGE_DOWN:
		down = h;
		break;
	case DO_HALF_UP:
		up = half;
		break;
	case DO_HALF_DOWN:
		down = half;
		break;
	case DO_FIRST:
		*at = 0;
		break;
	case DO_LAST:
		*at = m->page.n > 0 ? m->page.n - 1 : 0;
		break;
	default:
		return;
	}
	*at = *at > up ? *at - up : 0;
	*at += down;
	/* Lines that do not select are clamped by model_prepare(). */
	if (*at >= m->page.n)
		*at = m->page.n > 0 ? m->page.n - 1 : 0;
	m->tail = m->view == VIEW_EVENTS && m->page.n > 0 && *at == m->page.n - 1;
}

/* Somebody is choosing a row: for a while none moves away under the cursor. */
static void hold_rows(struct model *m)
{
	m->held_until = m->ticks_ms + HOLD_MS;
	listing_hold(&m->files, true);
	listing_hold(&m->conflicts, true);
}

static void move(struct model *m, enum action a)
{
	if (model_shows_rows(m)) {
		hold_rows(m);
		move_rows(m, a);
	} else {
		move_lines(m, a);
	}
}

/* ---- views ------------------------------------------------------------------------------- */

static void push_view(struct model *m, enum view v)
{
	if (m->n_back < ARRAY_LEN(m->back))
		m->back[m->n_back++] = m->view;
	model_set_view(m, v);
}

static void pop_view(struct model *m)
{
	model_set_view(m, m->n_back > 0 ? m->back[--m->n_back] : VIEW_FILES);
}

static void open_view(struct model *m, enum view v)
{
	m->n_back = 0;
	model_set_view(m, v);
}

static void cycle_view(struct model *m, unsigned by)
{
	unsigned now = m->view < VIEW_DETAILS ? (unsigned)m->view : VIEW_FILES;
	open_view(m, (enum view)((now + by) % (unsigned)VIEW_DETAILS));
}

static void details(struct model *m)
{
	struct bytes path = subject(m);
	if (m->view == VIEW_DETAILS) {
		pop_view(m);
		return;
	}
	if (path.len == 0)
		return;
	buf_clear(&m->details_path);
	buf_add(&m->details_path, path.p, path.len);
	push_view(m, VIEW_DETAILS);
}

/* Trash and History: of all, or from the details of that file. */
static void open_past(struct model *m, enum view v)
{
	enum past which = v == VIEW_TRASH ? PAST_TRASH : PAST_HISTORY;
	struct bytes under = {0};
	if (m->view == VIEW_DETAILS) {
		under = subject(m);
		push_view(m, v);
	} else {
		open_view(m, v);
	}
	m->page_at[v] = 0;
	past_open(m, which, under);
}

/* Goes to the file that the selected line of Events, Transfers or History speaks of. */
static void go_to_file(struct model *m)
{
	uint64_t at = m->page_at[m->view];
	if (at >= m->page.n || m->page.lines[at].path_len == 0)
		return;
	struct buf path = {0};
	struct bytes b = lines_path_of(&m->page, (size_t)at);
	buf_add(&path, b.p, b.len);
	open_view(m, VIEW_FILES);
	b = (struct bytes){path.data, path.len};
	if (m->files.query.tree && m->files.open)
		for (struct bytes dir = path_parent(b); dir.len > 0; dir = path_parent(dir))
			listing_fold(&m->files, &dir, true);
	listing_select(&m->files, b);
	buf_release(&path);
}

static void back(struct model *m)
{
	if (m->ranging)
		m->ranging = false;
	else if (m->view == VIEW_EVENTS && m->event_filter.len > 0)
		set_filter(m, (struct bytes){0});
	else if (model_place(m) & IN_PAST && m->pasts.lists[past_shown(m)].filter.len > 0)
		set_filter(m, (struct bytes){0});
	else if (m->view != VIEW_FILES)
		pop_view(m);
	else if (m->files.filter.len > 0)
		set_filter(m, (struct bytes){0});
}

/* ---- rows -------------------------------------------------------------------------------- */

static bool is_unfolded(const struct listing_row *r)
{
	return r->kind == ROW_FOLDER && (r->flags & ROW_UNFOLDED);
}

static void fold(struct model *m)
{
	struct listing *l = model_rows(m);
	const struct listing_row *r = listing_selected(l);
	if (!l->query.tree) {
		m->scroll = m->scroll > NAME_SCROLL ? m->scroll - NAME_SCROLL : 0;
	} else if (r && is_unfolded(r)) {
		listing_fold(l, &r->path, false);
	} else if (r) {
		struct buf parent = {0};
		struct bytes path = path_parent(r->path);
		buf_add(&parent, path.p, path.len);
		if (parent.len > 0)
			listing_select(l, (struct bytes){parent.data, parent.len});
		buf_release(&parent);
	}
}

static void unfold(struct model *m)
{
	struct listing *l = model_rows(m);
	const struct listing_row *r = listing_selected(l);
	if (!l->query.tree)
		m->scroll += m->scroll < PATH_BYTES_MAX ? NAME_SCROLL : 0;
	else if (r && r->kind == ROW_FOLDER && !is_unfolded(r))
		listing_fold(l, &r->path, true);
}

static void enter(struct model *m)
{
	const struct listing_row *r = listing_selected(model_rows(m));
	if (!r)
		return;
	if (r->kind == ROW_FOLDER && model_rows(m)->query.tree)
		listing_fold(model_rows(m), &r->path, !is_unfolded(r));
	else
		details(m);
}

static void mark_range(struct model *m)
{
	struct listing *l = model_rows(m);
	struct bytes from = {m->range_from.data, m->range_from.len};
	uint64_t a = l->first + l->n, b = l->at;
	m->ranging = false;
	for (uint64_t p = l->first; p < l->first + l->n; p++)
		if (bytes_eq(listing_row(l, p)->path, from))
			a = p;
	if (a == l->first + l->n) {
		model_say(m, LOOK_BAD, "The range is longer than what is loaded; mark it in parts");
		return;
	}
	for (uint64_t p = a < b ? a : b; p <= (a < b ? b : a); p++) {
		const struct listing_row *r = listing_row(l, p);
		if (r)
			pathset_put(&m->marks, r->path, r->size);
	}
}

static void mark(struct model *m)
{
	struct listing *l = model_rows(m);
	const struct listing_row *r = listing_selected(l);
	if (m->ranging) {
		mark_range(m);
		return;
	}
	if (!r)
		return;
	if (!pathset_remove(&m->marks, r->path))
		pathset_put(&m->marks, r->path, r->size);
	hold_rows(m);
	listing_move(l, 1);
}

static void range(struct model *m)
{
	if (m->ranging) {
		mark_range(m);
		return;
	}
	struct bytes path = subject(m);
	if (path.len == 0)
		return;
	m->ranging = true;
	buf_clear(&m->range_from);
	buf_add(&m->range_from, path.p, path.len);
}

static void invert(struct model *m)
{
	struct listing *l = model_rows(m);
	for (uint64_t p = l->top; p < l->top + l->height; p++) {
		const struct listing_row *r = listing_row(l, p);
		if (r && !pathset_remove(&m->marks, r->path))
			pathset_put(&m->marks, r->path, r->size);
	}
}

static void change_query(struct model *m, enum action a)
{
	struct listing *l = model_rows(m);
	struct listing_query q = l->query;
	if (a == DO_TREE)
		q.tree = !q.tree;
	else if (a == DO_ONLY)
		q.only = !q.only;
	else
		q.reverse = !q.reverse;
	m->scroll = 0;
	listing_set_query(l, q);
	m->todo |= TODO_REMEMBER;
}

static void freeze(struct model *m)
{
	bool frozen = !m->files.frozen;
	listing_freeze(&m->files, frozen);
	listing_freeze(&m->conflicts, frozen);
}

static void follow(struct model *m)
{
	if (m->view == VIEW_EVENTS)
		m->tail = !m->tail;
	else
		listing_follow(model_rows(m), !model_rows(m)->follow);
}

static void copy_or_show(struct model *m, enum todo what)
{
	if (subject(m).len > 0)
		leave_todo(m, what, subject(m));
}

static void quit(struct model *m)
{
	if (m->view != VIEW_FILES)
		open_view(m, VIEW_FILES);
	else
		m->todo |= TODO_QUIT;
}

/* ---- the table of what actions do -------------------------------------------------------- */

void model_act(struct model *m, enum action a)
{
	if (a == DO_RESYNC && !m->connected) {
		m->todo |= TODO_RETRY;
		return;
	}
	if (!model_allows(m, a))
		return;
	switch (a) {
	case DO_UP:
	case DO_DOWN:
	case DO_PAGE_UP:
	case DO_PAGE_DOWN:
	case DO_HALF_UP:
	case DO_HALF_DOWN:
	case DO_FIRST:
	case DO_LAST:
	case DO_WINDOW_TOP:
	case DO_WINDOW_MIDDLE:
	case DO_WINDOW_BOTTOM:
		move(m, a);
		break;
	case DO_GO:
		model_ask_text(m, ASKING_GO, (struct bytes){0});
		break;
	case DO_UNFOLD:
		unfold(m);
		break;
	case DO_FOLD:
		fold(m);
		break;
	case DO_FOLD_ALL:
	case DO_UNFOLD_ALL:
		if (model_rows(m)->query.tree)
			listing_fold(model_rows(m), NULL, a == DO_UNFOLD_ALL);
		break;
	case DO_TREE:
	case DO_ONLY:
	case DO_REVERSE:
		change_query(m, a);
		break;
	case DO_ENTER:
		if (model_shows_rows(m))
			enter(m);
		else
			go_to_file(m);
		break;
	case DO_DETAILS:
		details(m);
		break;
	case DO_NEXT_SCREEN:
		cycle_view(m, 1);
		break;
	case DO_PREVIOUS_SCREEN:
		cycle_view(m, VIEW_DETAILS - 1);
		break;
	case DO_FILES:
		open_view(m, VIEW_FILES);
		break;
	case DO_TRANSFERS:
		open_view(m, VIEW_TRANSFERS);
		break;
	case DO_CONFLICTS:
		open_view(m, VIEW_CONFLICTS);
		break;
	case DO_EVENTS:
		open_view(m, VIEW_EVENTS);
		break;
	case DO_SERVERS:
		open_view(m, VIEW_SERVERS);
		break;
	case DO_TRASH:
		open_past(m, VIEW_TRASH);
		break;
	case DO_HISTORY:
		open_past(m, VIEW_HISTORY);
		break;
	case DO_HELD:
		open_view(m, VIEW_HELD);
		break;
	case DO_RESOLVE:
		settle_open(m, model_shows_rows(m) || m->view == VIEW_DETAILS
					? subject(m) : (struct bytes){0});
		break;
	case DO_UNDO:
		settle_undo(m);
		break;
	case DO_DECIDE:
		holds_open(m);
		break;
	case DO_RESTORE:
		past_choose(m);
		break;
	case DO_TRUST:
		trusted_open(m);
		break;
	case DO_INVITE:
		trusted_invite(m);
		break;
	case DO_FIND:
		model_ask_text(m, ASKING_FIND, (struct bytes){0});
		break;
	case DO_FIND_NEXT:
	case DO_FIND_PREVIOUS:
		find(m, a == DO_FIND_PREVIOUS);
		break;
	case DO_FILTER:
		model_ask_text(m, ASKING_FILTER, present_filter(m));
		break;
	case DO_SORT:
		model_ask_text(m, ASKING_SORT, (struct bytes){0});
		break;
	case DO_MARK:
		mark(m);
		break;
	case DO_RANGE:
		range(m);
		break;
	case DO_INVERT:
		invert(m);
		break;
	case DO_UNMARK:
		pathset_release(&m->marks);
		break;
	case DO_RESYNC:
		resync(m);
		break;
	case DO_RESYNC_ALL:
		if (m->connected)
			model_ask_text(m, ASKING_RESYNC_ALL, (struct bytes){0});
		break;
	case DO_FOLLOW:
		follow(m);
		break;
	case DO_FREEZE:
		freeze(m);
		break;
	case DO_SHOW:
		copy_or_show(m, TODO_SHOW);
		break;
	case DO_COPY:
		copy_or_show(m, TODO_COPY);
		break;
	case DO_WRITE:
		model_ask_text(m, ASKING_WRITE, (struct bytes){0});
		break;
	case DO_SETUP:
		dialog_open(m, DIALOG_SETUP);
		break;
	case DO_MOUSE:
		m->todo |= TODO_MOUSE;
		break;
	case DO_HELP:
		if (m->view == VIEW_HELP)
			pop_view(m);
		else
			push_view(m, VIEW_HELP);
		break;
	case DO_REDRAW:
		m->todo |= TODO_REDRAW;
		break;
	case DO_SUSPEND:
		m->todo |= TODO_SUSPEND;
		break;
	case DO_BACK:
		back(m);
		break;
	case DO_QUIT:
		quit(m);
		break;
	case DO_QUIT_AT_ONCE:
		m->todo |= TODO_QUIT;
		break;
	case DO_DEFUSE:
		model_say(m, LOOK_PLAIN, "Files are deleted in the file system, not here");
		break;
	case DO_NOTHING:
	case ACTIONS_N:
		break;
	}
}

/* ---- keys -------------------------------------------------------------------------------- */

/* Must this key wait until it is known which row is selected? After a search that is every key:
 * the next ones mean what will have been found. */
static bool must_wait(struct model *m, uint32_t key)
{
	if (m->asking != ASKING_NOTHING || m->dialog != DIALOG_NONE || !m->connected ||
	    !model_shows_rows(m))
		return false;
	const struct listing *l = model_listing(m);
	if (m->finding)
		return true;
	return !listing_settled(l) && needs_row(key_action(key, model_place(m)));
}

static void do_key(struct model *m, uint32_t key)
{
	if (m->asking != ASKING_NOTHING) {
		asked_key(m, key);
		return;
	}
	if (m->dialog != DIALOG_NONE) {
		dialog_key(m, key);
		return;
	}
	enum action a = key_action(key, model_place(m));
	if (a == DO_NOTHING) {
		struct buf name = {0};
		key_text(&name, key);
		model_say(m, LOOK_PLAIN, "No action on '%.*s' here; ? shows the keys",
			  (int)name.len, (const char *)name.data);
		buf_release(&name);
		return;
	}
	model_act(m, a);
}

void model_run_waiting(struct model *m)
{
	size_t done = 0;
	if (m->running_keys)
		return;
	m->running_keys = true;
	while (done < m->n_waiting && !must_wait(m, m->waiting[done]))
		do_key(m, m->waiting[done++]);
	if (done > 0) {
		m->n_waiting -= done;
		memmove(m->waiting, m->waiting + done, m->n_waiting * sizeof(*m->waiting));
	}
	m->running_keys = false;
}

void model_key(struct model *m, uint32_t key)
{
	enum action a = key_action(key, model_place(m));
	buf_clear(&m->message);
	/* Leaving works always, and forgets what was typed ahead; first a search is left. */
	if (m->asking == ASKING_NOTHING && m->dialog == DIALOG_NONE &&
	    (a == DO_QUIT_AT_ONCE || a == DO_QUIT || a == DO_BACK)) {
		m->n_waiting = 0;
		if (m->finding) {
			m->finding = false;
			if (a == DO_BACK || key == K_CTRL('C')) {
				model_say(m, LOOK_PLAIN, "The search was cancelled");
				return;
			}
		}
	}
	if (m->n_waiting > 0 || must_wait(m, key)) {
		if (m->n_waiting < WAITING_MAX) {
			GROW(m->waiting, m->cap_waiting, m->n_waiting + 1);
			m->waiting[m->n_waiting++] = key;
		}
		return;
	}
	do_key(m, key);
}

void model_paste(struct model *m, struct bytes text)
{
	buf_clear(&m->message);
	if (m->asking >= ASKING_FIND && m->asking <= ASKING_RESTORE)
		prompt_paste(&m->prompt, text);
	else
		model_say(m, LOOK_PLAIN, "Pasted text does nothing here");
}

/* ---- the mouse --------------------------------------------------------------------------- */

static bool in_band(struct band b, int y)
{
	return y >= b.y && y < b.y + b.h;
}

static void click_body(struct model *m, int line)
{
	if (!model_shows_rows(m)) {
		uint64_t at = m->page_top[m->view] + (uint64_t)line;
		if (at >= m->page.n || !model_selects_lines(m))
			return;
		if (m->page_at[m->view] == at)
			model_key(m, K_ENTER);
		else
			m->page_at[m->view] = at;
		m->tail = false;
		return;
	}
	struct listing *l = model_rows(m);
	uint64_t at = l->top + (uint64_t)line;
	if (at >= l->total || !listing_settled(l))
		return;
	if (at == l->at)
		enter(m);
	else
		listing_go(l, at);
}

static void click_heads(struct model *m, int x)
{
	for (size_t i = 0; i < COLUMNS_N; i++)
		if (x >= m->layout.columns[i].x &&
		    x < m->layout.columns[i].x + m->layout.columns[i].width &&
		    column_defs[i].sort >= 0 && model_shows_rows(m))
			set_sort(m, (enum table_sort)column_defs[i].sort);
}

static void click_keys(struct model *m, int x)
{
	struct bar_item items[BAR_ITEMS_MAX];
	size_t n = model_key_bar(m, m->layout.width, items);
	for (size_t i = 0; i < n; i++)
		if (x >= items[i].x && x < items[i].x + items[i].width)
			model_key(m, items[i].key->keys[0]);
}

/* The menu of the row that was clicked, where the pointer is. */
static void open_menu(struct model *m, int y, int x)
{
	struct listing *l = model_rows(m);
	uint64_t at = l->top + (uint64_t)(y - m->layout.body.y);
	if (!model_shows_rows(m) || at >= l->total || !listing_settled(l))
		return;
	hold_rows(m);
	listing_go(l, at);
	buf_clear(&m->menu_path);
	buf_add(&m->menu_path, l->sel.data, l->sel.len);
	m->menu_y = y;
	m->menu_x = x;
	dialog_open(m, DIALOG_MENU);
}

void model_mouse(struct model *m, enum mouse what, int y, int x)
{
	if (m->asking != ASKING_NOTHING)
		return;
	if (m->dialog != DIALOG_NONE) {
		if (what != MOUSE_WHEEL_UP && what != MOUSE_WHEEL_DOWN)
			dialog_click(m, y, x);
		return;
	}
	buf_clear(&m->message);
	if (what == MOUSE_MENU) {
		if (in_band(m->layout.body, y))
			open_menu(m, y, x);
	} else if (what != MOUSE_CLICK) {
		int by = what == MOUSE_WHEEL_UP ? -WHEEL : WHEEL;
		if (model_shows_rows(m)) {
			hold_rows(m);
			listing_scroll(model_rows(m), by);
		}
		for (int i = 0; i < WHEEL && !model_shows_rows(m); i++)
			move_lines(m, by < 0 ? DO_UP : DO_DOWN);
	} else if (in_band(m->layout.body, y)) {
		click_body(m, y - m->layout.body.y);
	} else if (in_band(m->layout.heads, y)) {
		click_heads(m, x);
	} else if (in_band(m->layout.servers, y)) {
		open_view(m, VIEW_SERVERS);
	} else if (in_band(m->layout.keys, y)) {
		click_keys(m, x);
	}
}
