/* Owns which dialog is open, and the way of its keys. */
#include "config.h"
#include "dialog.h"

#include "model.h"
#include "path.h"

enum {
	WIDTH_MAX = 76,
	FRAME_WIDTH_MIN = 30,
	FRAME_HEIGHT_MIN = 9,
	WORDS_WIDTH_MIN = 70,
	WORDS_HEIGHT_MIN = 15,
};

/* ---- the menu ---------------------------------------------------------------------------- */

static const enum action menu_actions[] = {
	DO_DETAILS, DO_MARK, DO_RESOLVE, DO_RESYNC, DO_SHOW, DO_COPY,
};

static void menu_lines(const struct model *m, struct lines *out, int width)
{
	struct bytes path = {m->menu_path.data, m->menu_path.len};
	(void)width;
	lines_next(out, LOOK_STRONG);
	lines_show(out, path_base(path), m->ascii);
	for (size_t i = 0; i < ARRAY_LEN(menu_actions); i++) {
		const struct key_binding *b = key_of(menu_actions[i]);
		if (!model_offers(m, b->action))
			continue;
		lines_next(out, LOOK_PLAIN);
		lines_number(out, b->keys[0]);
		lines_addf(out, "  ");
		key_text(&out->text, b->keys[0]);
		lines_pad(out, 8);
		lines_addf(out, " %s", b->help);
	}
}

/* The row was selected when the menu opened, so that its keys mean it; unless it went away since. */
static bool menu_key(struct model *m, uint32_t key)
{
	for (size_t i = 0; i < ARRAY_LEN(menu_actions); i++) {
		if (key_of(menu_actions[i])->keys[0] != key)
			continue;
		dialog_close(m);
		if (bytes_eq(listing_path(model_listing(m)),
			     (struct bytes){m->menu_path.data, m->menu_path.len}))
			model_key(m, key);
		else
			model_say(m, LOOK_PLAIN, "That row is not there any more");
		return true;
	}
	return false;
}

/* ---- all of them ------------------------------------------------------------------------- */

static const struct {
	void (*lines)(const struct model *m, struct lines *out, int width);
	bool (*key)(struct model *m, uint32_t key);
} dialogs[DIALOGS_N] = {
	[DIALOG_CONFLICT] = {settle_one_lines, settle_one_key},
	[DIALOG_MARKED] = {settle_many_lines, settle_many_key},
	[DIALOG_HELD] = {holds_lines, holds_key},
	[DIALOG_RESTORE] = {past_lines, past_key},
	[DIALOG_TRUST] = {trusted_key_lines, trusted_key_key},
	[DIALOG_UNTRUST] = {trusted_end_lines, trusted_end_key},
	[DIALOG_INVITE] = {trusted_invite_lines, trusted_invite_key},
	[DIALOG_SETUP] = {setup_lines, setup_key},
	[DIALOG_MENU] = {menu_lines, menu_key},
};

void dialog_open(struct model *m, enum dialog d)
{
	m->dialog = d;
	m->dialog_shown = false;
	m->dialog_top = 0;
	m->dialog_follows = false;
}

void dialog_close(struct model *m)
{
	m->dialog = DIALOG_NONE;
	m->dialog_shown = false;
	trusted_forget_invitation(&m->trusted);
}

void dialog_build(const struct model *m, struct lines *out, int width)
{
	lines_clear(out);
	if (dialogs[m->dialog].lines)
		dialogs[m->dialog].lines(m, out, width);
	lines_end(out);
}

static bool has_frame(const struct model *m)
{
	return m->layout.width >= FRAME_WIDTH_MIN && m->layout.height >= FRAME_HEIGHT_MIN;
}

bool dialog_is_brief(const struct model *m)
{
	return m->layout.width < WORDS_WIDTH_MIN || m->layout.height < WORDS_HEIGHT_MIN;
}

int dialog_width(const struct model *m)
{
	int room = m->layout.width - (has_frame(m) ? 4 : 0);
	return room < WIDTH_MAX ? room : WIDTH_MAX;
}

/* The menu is as wide as its lines, and stands where it was asked for. */
static void place_menu(const struct model *m, const struct lines *page, int room,
		       struct dialog_box *b)
{
	int width = 0;
	for (size_t i = 0; i < page->n; i++) {
		int w = (int)text_columns(lines_text(page, i)) + (b->frame ? 4 : 0);
		width = w > width ? w : width;
	}
	b->width = width < b->width ? width : b->width;
	b->x = m->menu_x + b->width <= m->layout.width ? m->menu_x : m->layout.width - b->width;
	b->y = m->menu_y + 1 + b->height <= room ? m->menu_y + 1 : room - b->height;
	if (b->y < 0)
		b->y = 0;
}

struct dialog_box dialog_place(const struct model *m, const struct lines *page)
{
	const struct layout *l = &m->layout;
	struct dialog_box b = {.frame = has_frame(m)};
	/* The event line and the prompt stay to be seen. */
	int room = l->height - l->event.h - l->keys.h;
	int wanted = (int)(page->n < 1000 ? page->n : 1000) + (b.frame ? 1 : 0);
	b.width = dialog_width(m) + (b.frame ? 4 : 0);
	b.height = wanted < room ? wanted : room;
	b.x = (l->width - b.width) / 2;
	b.y = (room - b.height) / 2;
	if (m->dialog == DIALOG_MENU)
		place_menu(m, page, room, &b);
	return b;
}

void dialog_click(struct model *m, int y, int x)
{
	struct dialog_box b = dialog_place(m, &m->dialog_page);
	size_t at = m->dialog_top + (size_t)(y > b.y ? y - b.y : 0);
	bool inside = y >= b.y && y < b.y + b.height && x >= b.x && x < b.x + b.width;
	if (!inside)
		dialog_close(m);
	else if (m->dialog == DIALOG_MENU && y > b.y && at < m->dialog_page.n &&
		 m->dialog_page.lines[at].number > 0)
		menu_key(m, m->dialog_page.lines[at].number & DIALOG_KEY);
}

size_t dialog_rows(const struct model *m)
{
	struct dialog_box b = dialog_place(m, &m->dialog_page);
	return b.height > 1 + b.frame ? (size_t)(b.height - 1 - b.frame) : 0;
}

/* What a key would do is on the screen; if not, its line is brought there instead. */
static bool is_seen(struct model *m, uint32_t key)
{
	size_t rows = dialog_rows(m);
	for (size_t i = 1; i < m->dialog_page.n; i++) {
		uint32_t number = m->dialog_page.lines[i].number;
		if ((number & DIALOG_KEY) != key || key == 0)
			continue;
		if (number & DIALOG_HARMLESS || (i > m->dialog_top && i <= m->dialog_top + rows))
			return true;
		m->dialog_top = i - 1;
		m->dialog_follows = false;
		model_say(m, LOOK_PLAIN, "This was not to be seen; press it again");
		return false;
	}
	return true;
}

void dialog_key(struct model *m, uint32_t key)
{
	enum action a = key_action(key, IN_HELP);
	uint64_t n = m->dialog_page.n;
	if (key == 'q' || a == DO_BACK || key == K_CTRL('C') || key == K_CTRL('G')) {
		dialog_close(m);
	} else if (!is_seen(m, key) || dialogs[m->dialog].key(m, key)) {
		return;
	} else if (a == DO_QUIT_AT_ONCE || a == DO_SUSPEND || a == DO_REDRAW) {
		model_act(m, a);
	} else if (a == DO_DOWN || a == DO_PAGE_DOWN) {
		m->dialog_top += m->dialog_top + 1 < n;
		m->dialog_follows = false;
	} else if (a == DO_UP || a == DO_PAGE_UP) {
		m->dialog_top -= m->dialog_top > 0;
		m->dialog_follows = false;
	} else {
		struct buf name = {0};
		key_text(&name, key);
		model_say(m, LOOK_PLAIN, "No action on '%.*s' here; Esc leaves the dialog",
			  (int)name.len, (const char *)name.data);
		buf_release(&name);
	}
}
