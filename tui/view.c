/* Owns the order in which the screen is drawn, and the screens that are lines of text. */
#include "config.h"
#include "view.h"

/* Whose past it is, if not that of all files. */
static void past_head(const struct model *m, struct grid *s, int x)
{
	const struct buf *under =
		&m->pasts.lists[m->view == VIEW_TRASH ? PAST_TRASH : PAST_HISTORY].under;
	struct buf shown = {0};
	if (under->len == 0)
		return;
	show(&shown, buf_bytes(under), m->ascii);
	x += grid_put(s, m->layout.heads.y, x, " of ", LOOK_HEAD);
	grid_field(s, m->layout.heads.y, x, s->width - x, buf_bytes(&shown), GRID_MIDDLE, LOOK_HEAD);
	buf_release(&shown);
}

void view_lines(const struct model *m, struct grid *s)
{
	const struct layout *l = &m->layout;
	uint64_t top = m->page_top[m->view], at = m->page_at[m->view];
	bool selects = model_selects_lines(m);

	if (l->heads.h > 0) {
		grid_fill(s, l->heads.y, 0, s->width, LOOK_HEAD);
		int x = 1 + grid_put(s, l->heads.y, 1, view_name(m->view), LOOK_HEAD);
		if (model_place(m) & IN_PAST)
			past_head(m, s, x);
	}
	grid_cursor(s, l->body.y, 0);
	for (int i = 0; i < l->body.h && top + (uint64_t)i < m->page.n; i++) {
		const struct line *line = &m->page.lines[top + (uint64_t)i];
		int y = l->body.y + i;
		grid_field(s, y, 0, s->width, lines_text(&m->page, (size_t)top + (size_t)i),
			   GRID_LEFT, line->look);
		if (!selects && top + (uint64_t)i == m->found_line) {
			grid_select(s, y);
			grid_cursor(s, y, 0);
		}
		if (selects && top + (uint64_t)i == at) {
			/* Words about an empty list are nothing to select. */
			if (line->number > 0 || !(model_place(m) & (IN_PAST | IN_HELD))) {
				grid_put(s, y, 0, ">", line->look);
				grid_select(s, y);
			}
			grid_cursor(s, y, 0);
		}
	}
}

void view_draw(const struct model *m, struct grid *s)
{
	grid_clear(s);
	if (model_shows_rows(m))
		view_rows(m, s);
	else
		view_lines(m, s);
	view_detail(m, s);
	view_title(m, s);
	view_servers(m, s);
	view_status(m, s);
	view_transfers(m, s);
	view_event(m, s);
	view_dialog(m, s);
	view_keys(m, s);
}
