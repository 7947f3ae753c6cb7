/* Owns the order in which the screen is drawn, and the screens that are lines of text. */
#include "config.h"
#include "view.h"

void view_lines(const struct model *m, struct grid *s)
{
	const struct layout *l = &m->layout;
	uint64_t top = m->page_top[m->view], at = m->page_at[m->view];
	bool selects = model_selects_lines(m);

	if (l->heads.h > 0) {
		grid_fill(s, l->heads.y, 0, s->width, LOOK_HEAD);
		grid_put(s, l->heads.y, 1, view_name(m->view), LOOK_HEAD);
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
			grid_put(s, y, 0, ">", line->look);
			grid_select(s, y);
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
	view_keys(m, s);
}
