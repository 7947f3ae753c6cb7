/* Owns which dialog is open, and the way of its keys. */
#include "config.h"
#include "dialog.h"

#include "model.h"

enum {
	WIDTH_MAX = 76,
	FRAME_WIDTH_MIN = 30,
	FRAME_HEIGHT_MIN = 9,
	WORDS_WIDTH_MIN = 70,
	WORDS_HEIGHT_MIN = 15,
};

static const struct {
	void (*lines)(const struct model *m, struct lines *out, int width);
	bool (*key)(struct model *m, uint32_t key);
} dialogs[DIALOGS_N] = {
	[DIALOG_CONFLICT] = {settle_one_lines, settle_one_key},
	[DIALOG_MARKED] = {settle_many_lines, settle_many_key},
	[DIALOG_HELD] = {holds_lines, holds_key},
	[DIALOG_RESTORE] = {past_lines, past_key},
};

void dialog_open(struct model *m, enum dialog d)
{
	m->dialog = d;
	m->dialog_shown = false;
	m->dialog_top = 0;
}

void dialog_close(struct model *m)
{
	m->dialog = DIALOG_NONE;
	m->dialog_shown = false;
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

struct dialog_box dialog_place(const struct model *m, size_t n_lines)
{
	const struct layout *l = &m->layout;
	struct dialog_box b = {.frame = has_frame(m)};
	/* The event line and the prompt stay to be seen. */
	int room = l->height - l->event.h - l->keys.h;
	int wanted = (int)(n_lines < 1000 ? n_lines : 1000) + (b.frame ? 1 : 0);
	b.width = dialog_width(m) + (b.frame ? 4 : 0);
	b.height = wanted < room ? wanted : room;
	b.x = (l->width - b.width) / 2;
	b.y = (room - b.height) / 2;
	return b;
}

void dialog_key(struct model *m, uint32_t key)
{
	enum action a = key_action(key, IN_HELP);
	uint64_t n = m->dialog_page.n;
	if (key == 'q' || a == DO_BACK || key == K_CTRL('C') || key == K_CTRL('G')) {
		dialog_close(m);
	} else if (dialogs[m->dialog].key(m, key)) {
		return;
	} else if (a == DO_QUIT_AT_ONCE || a == DO_SUSPEND || a == DO_REDRAW) {
		model_act(m, a);
	} else if (a == DO_DOWN || a == DO_PAGE_DOWN) {
		m->dialog_top += m->dialog_top + 1 < n;
	} else if (a == DO_UP || a == DO_PAGE_UP) {
		m->dialog_top -= m->dialog_top > 0;
	} else {
		struct buf name = {0};
		key_text(&name, key);
		model_say(m, LOOK_PLAIN, "No action on '%.*s' here; Esc leaves the dialog",
			  (int)name.len, (const char *)name.data);
		buf_release(&name);
	}
}
