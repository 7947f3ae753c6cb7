/* Owns the drawing of the dialog. */
#include "config.h"
#include "view.h"

static void frame_line(struct grid *s, int y, const struct dialog_box *b, char corner)
{
	for (int x = 0; x < b->width; x++)
		grid_put(s, y, b->x + x, x == 0 || x == b->width - 1 ? (char[2]){corner} : "-",
			 LOOK_PLAIN);
}

/* The title stands in the frame's first line, or is a line of its own. */
static void title(const struct model *m, struct grid *s, const struct dialog_box *b)
{
	struct bytes text = lines_text(&m->dialog_page, 0);
	if (!b->frame) {
		grid_field(s, b->y, b->x, b->width, text, GRID_MIDDLE, LOOK_HEAD);
		return;
	}
	struct buf cut = {0};
	frame_line(s, b->y, b, '+');
	buf_add_char(&cut, ' ');
	text_clip(&cut, text, (size_t)(b->width - 6), TEXT_CLIP_MIDDLE, m->ascii);
	buf_add_char(&cut, ' ');
	grid_text(s, b->y, b->x + 2, b->width - 4, buf_bytes(&cut), LOOK_STRONG);
	buf_release(&cut);
}

void view_dialog(const struct model *m, struct grid *s)
{
	const struct lines *page = &m->dialog_page;
	if (m->dialog == DIALOG_NONE || page->n == 0)
		return;
	struct dialog_box b = dialog_place(m, page);
	int rows = b.height - 1 - (b.frame ? 1 : 0), x = b.x + (b.frame ? 2 : 0);
	int width = b.width - (b.frame ? 4 : 0);
	if (b.height < 1)
		return;
	title(m, s, &b);
	grid_cursor(s, b.y, b.x);
	for (int i = 0; i < rows; i++) {
		size_t at = m->dialog_top + 1 + (size_t)i;
		int y = b.y + 1 + i;
		if (b.frame)
			grid_put(s, y, b.x, "| ", LOOK_PLAIN);
		grid_fill(s, y, x, width, LOOK_PLAIN);
		if (b.frame)
			grid_put(s, y, x + width, " |", LOOK_PLAIN);
		if (at >= page->n)
			continue;
		const struct line *line = &page->lines[at];
		grid_field(s, y, x, width, lines_text(page, at), GRID_MIDDLE, line->look);
		/* The letter of a choice stands out; the cursor rests on the first of them. */
		uint32_t key = line->number & DIALOG_KEY;
		if (key > ' ' && key < 127 && 2 < width) {
			grid_cell(s, y, x + 2)->look = LOOK_STRONG;
			if (s->cursor_y == b.y)
				grid_cursor(s, y, x + 2);
		}
	}
	if (b.frame)
		frame_line(s, b.y + b.height - 1, &b, '+');
}
