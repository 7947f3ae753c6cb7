/* Owns the grid of cells that all views draw on. */
#include "config.h"
#include "grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a selected line, the most blanks in a row that show it. */
enum { SELECT_BLANKS = 44 };

static const char look_letters[LOOKS_N] = {
#define X(id, letter) letter,
	LOOKS(X)
#undef X
};

static int clamp(int n, int max)
{
	return n < 0 ? 0 : n > max ? max : n;
}

void grid_init(struct grid *s, int width, int height, bool ascii)
{
	*s = (struct grid){.ascii = ascii};
	grid_resize(s, width, height);
}

void grid_release(struct grid *s)
{
	free(s->cells);
	*s = (struct grid){0};
}

void grid_resize(struct grid *s, int width, int height)
{
	s->width = clamp(width, GRID_WIDTH_MAX);
	s->height = clamp(height, GRID_HEIGHT_MAX);
	s->cells = xrealloc(s->cells, (size_t)s->width * (size_t)s->height + 1, sizeof(*s->cells));
	grid_clear(s);
}

static const struct cell blank = {.cp = {' '}, .width = 1};

void grid_clear(struct grid *s)
{
	size_t n = (size_t)s->width * (size_t)s->height;
	for (size_t i = 0; i < n; i++)
		s->cells[i] = blank;
	s->cursor_y = s->cursor_x = 0;
}

/* Puts a cell of one column; a wide character that loses one of its halves becomes blank. */
static void set_cell(struct grid *s, int y, int x, struct cell c)
{
	struct cell *old = grid_cell(s, y, x);
	if (old->width == 0 && x > 0) {
		struct cell *left = old - 1;
		left->cp[0] = ' ';
		memset(left->cp + 1, 0, sizeof(left->cp) - sizeof(left->cp[0]));
		left->width = 1;
	}
	if (old->width == 2 && x + 1 < s->width) {
		uint8_t look = old[1].look;
		old[1] = blank;
		old[1].look = look;
	}
	*old = c;
}

static bool inside(const struct grid *s, int y, int x)
{
	return y >= 0 && y < s->height && x >= 0 && x < s->width;
}

void grid_fill(struct grid *s, int y, int x, int width, unsigned look)
{
	struct cell c = blank;
	c.look = (uint8_t)look;
	for (int i = 0; i < width; i++)
		if (inside(s, y, x + i))
			set_cell(s, y, x + i, c);
}

int grid_text(struct grid *s, int y, int x, int width, struct bytes shown, unsigned look)
{
	int end = x + width < s->width ? x + width : s->width;
	int at = x;
	struct cell *last = NULL;

	if (y < 0 || y >= s->height || x < 0)
		return 0;
	for (size_t i = 0; i < shown.len;) {
		uint32_t cp;
		size_t len = text_decode(shown.p + i, shown.len - i, &cp);
		if (len == 0) {
			cp = '?';
			len = 1;
		}
		i += len;
		if (s->ascii && (cp < ' ' || cp > '~'))
			cp = '?';
		if (!text_is_visible(cp) && cp != ' ')
			cp = '?';
		int w = (int)text_width(cp);
		if (w == 0) {
			if (last)
				for (size_t m = 1; m <= TEXT_MARKS_MAX; m++)
					if (last->cp[m] == 0) {
						last->cp[m] = cp;
						break;
					}
			continue;
		}
		if (at + w > end)
			break;
		if (w == 2)
			set_cell(s, y, at + 1, (struct cell){.look = (uint8_t)look});
		set_cell(s, y, at,
			 (struct cell){.cp = {cp}, .width = (uint8_t)w, .look = (uint8_t)look});
		last = grid_cell(s, y, at);
		at += w;
	}
	return at - x;
}

int grid_field(struct grid *s, int y, int x, int width, struct bytes shown, enum grid_align align,
	      unsigned look)
{
	struct buf cut = {0};
	int columns, from = x;

	if (width <= 0)
		return 0;
	grid_fill(s, y, x, width, look);
	text_clip(&cut, shown, (size_t)width,
		  align == GRID_MIDDLE ? TEXT_CLIP_MIDDLE : TEXT_CLIP_END, s->ascii);
	struct bytes b = {cut.data, cut.len};
	if (align == GRID_RIGHT)
		from += width - (int)text_columns(b);
	columns = grid_text(s, y, from, width - (from - x), b, look);
	buf_release(&cut);
	return columns;
}

int grid_put(struct grid *s, int y, int x, const char *ascii, unsigned look)
{
	return grid_text(s, y, x, GRID_WIDTH_MAX, bytes_of(ascii), look);
}

int grid_printf(struct grid *s, int y, int x, unsigned look, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return grid_put(s, y, x, text, look);
}

/* Long blanks stay as they are: they would cost more bytes than all the rest of the line. */
void grid_select(struct grid *s, int y)
{
	int from = 0;
	if (y < 0 || y >= s->height)
		return;
	while (from < s->width) {
		int to = from;
		while (to < s->width && grid_cell(s, y, to)->cp[0] == ' ')
			to++;
		if (to - from <= SELECT_BLANKS && (to < s->width || to - from <= 1))
			for (int x = from; x < to; x++)
				grid_cell(s, y, x)->look |= LOOK_SELECTED;
		for (; to < s->width && grid_cell(s, y, to)->cp[0] != ' '; to++)
			grid_cell(s, y, to)->look |= LOOK_SELECTED;
		from = to;
	}
}

void grid_cursor(struct grid *s, int y, int x)
{
	s->cursor_y = clamp(y, s->height > 0 ? s->height - 1 : 0);
	s->cursor_x = clamp(x, s->width > 0 ? s->width - 1 : 0);
}

void grid_print(const struct grid *s, struct buf *out, bool looks)
{
	for (int y = 0; y < s->height; y++) {
		size_t end = out->len;
		for (int x = 0; x < s->width; x++) {
			const struct cell *c = grid_cell(s, y, x);
			if (looks) {
				unsigned look = c->look & 0x7f;
				char letter = look < LOOKS_N ? look_letters[look] : '?';
				if (c->look & LOOK_SELECTED)
					letter = letter == '.' ? '#' : (char)(letter & ~0x20);
				buf_add_char(out, letter);
				if (c->look != LOOK_PLAIN)
					end = out->len;
				continue;
			}
			if (c->width == 0)
				continue;
			for (size_t i = 0; i < ARRAY_LEN(c->cp) && c->cp[i]; i++) {
				uint8_t utf8[4];
				buf_add(out, utf8, text_encode(utf8, c->cp[i]));
			}
			if (c->cp[0] != ' ')
				end = out->len;
		}
		out->len = end;
		buf_add_char(out, '\n');
	}
}
