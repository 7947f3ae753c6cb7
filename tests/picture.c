/* Makes the picture of the README: the real program at a fake server, its screen as an SVG whose
 * text is text. `make pictures` runs it; the file it writes is its argument. */
#include "config.h"
#include "stage.h"
#include "suite.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 100, HEIGHT = 30, MARGIN = 12 };
static const double cell_width = 8.4, cell_height = 18.0;
static const char *out_name;

struct style {
	uint32_t fg, bg; /* RGB */
	bool bold;
};

/* Colours that are easy on the eyes. */
static void set_palette(struct pty *p)
{
	static const uint8_t colors[][4] = {{1, 0xe0, 0x5f, 0x65}, {2, 0x8c, 0xc2, 0x65},
					    {6, 0x5f, 0xb8, 0xc9}, {9, 0xe0, 0x5f, 0x65},
					    {10, 0x8c, 0xc2, 0x65}, {14, 0x5f, 0xb8, 0xc9}};
	VTermState *state = vterm_obtain_state(p->vterm);
	VTermColor fg, bg, c;
	vterm_color_rgb(&fg, 0xd8, 0xd8, 0xd8);
	vterm_color_rgb(&bg, 0x18, 0x1a, 0x1f);
	vterm_state_set_default_colors(state, &fg, &bg);
	for (size_t i = 0; i < ARRAY_LEN(colors); i++) {
		vterm_color_rgb(&c, colors[i][1], colors[i][2], colors[i][3]);
		vterm_state_set_palette_color(state, colors[i][0], &c);
	}
}

static uint32_t rgb(struct pty *p, VTermColor c)
{
	vterm_screen_convert_color_to_rgb(p->screen, &c);
	return (uint32_t)c.rgb.red << 16 | (uint32_t)c.rgb.green << 8 | c.rgb.blue;
}

static struct style style_of(struct pty *p, const VTermScreenCell *c)
{
	struct style s = {rgb(p, c->fg), rgb(p, c->bg), c->attrs.bold};
	if (c->attrs.reverse) {
		uint32_t fg = s.fg;
		s.fg = s.bg;
		s.bg = fg;
	}
	return s;
}

static VTermScreenCell cell_at(struct pty *p, int y, int x)
{
	VTermScreenCell c;
	vterm_screen_get_cell(p->screen, (VTermPos){.row = y, .col = x}, &c);
	return c;
}

static bool same(struct style a, struct style b)
{
	return a.fg == b.fg && a.bg == b.bg && a.bold == b.bold;
}

static void put_utf8(FILE *f, uint32_t cp)
{
	uint8_t utf8[4];
	if (cp == '<' || cp == '>' || cp == '&')
		fprintf(f, "&#%u;", (unsigned)cp);
	else
		fwrite(utf8, 1, text_encode(utf8, cp), f);
}

/* Text of one style in the columns from..to-1, without the blanks at its ends. */
static void put_text(FILE *f, struct pty *p, int y, int from, int to, struct style s,
		     struct style usual)
{
	double top = MARGIN + y * cell_height;
	int last = from - 1;
	for (int x = from; x < to; x++) {
		VTermScreenCell c = cell_at(p, y, x);
		if (c.chars[0] > ' ' && c.chars[0] != (uint32_t)-1)
			last = x + c.width - 1;
	}
	while (from <= last && cell_at(p, y, from).chars[0] <= ' ')
		from++;
	if (from > last)
		return;
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\"", MARGIN + from * cell_width,
		top + cell_height * 0.75, (last + 1 - from) * cell_width);
	if (s.fg != usual.fg)
		fprintf(f, " fill=\"#%06x\"", s.fg);
	if (s.bold)
		fprintf(f, " font-weight=\"bold\"");
	fputc('>', f);
	for (int x = from; x <= last; x++) {
		VTermScreenCell c = cell_at(p, y, x);
		if (c.chars[0] == (uint32_t)-1)
			continue;
		for (size_t i = 0; i < VTERM_MAX_CHARS_PER_CELL && c.chars[i]; i++)
			put_utf8(f, c.chars[i]);
		if (!c.chars[0])
			fputc(' ', f);
	}
	fputs("</text>\n", f);
}

/* Cells of one style: their ground, if it is not the usual one, and their words. What two blanks
 * part is placed by itself, so that columns stay in their place with any font. */
static void put_run(FILE *f, struct pty *p, int y, int from, int to, struct style s,
		    struct style usual)
{
	if (s.bg != usual.bg)
		fprintf(f,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
			"fill=\"#%06x\"/>\n",
			MARGIN + from * cell_width, MARGIN + y * cell_height,
			(to - from) * cell_width, cell_height, s.bg);
	for (int x = from; x < to; x++)
		if (x + 1 == to || (cell_at(p, y, x).chars[0] <= ' ' &&
				    cell_at(p, y, x + 1).chars[0] <= ' ')) {
			put_text(f, p, y, from, x + 1, s, usual);
			from = x + 1;
		}
}

static void write_svg(struct pty *p)
{
	VTermScreenCell empty = {0};
	FILE *f = fopen(out_name, "w");
	ck_assert_ptr_nonnull(f);
	vterm_state_get_default_colors(vterm_obtain_state(p->vterm), &empty.fg, &empty.bg);
	struct style usual = {rgb(p, empty.fg), rgb(p, empty.bg), false};
	double width = 2 * MARGIN + WIDTH * cell_width, height = 2 * MARGIN + HEIGHT * cell_height;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
		"xml:space=\"preserve\" "
		"font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" "
		"fill=\"#%06x\">\n<rect width=\"%.0f\" height=\"%.0f\" rx=\"6\" fill=\"#%06x\"/>\n",
		width, height, usual.fg, width, height, usual.bg);
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH;) {
			VTermScreenCell first = cell_at(p, y, x);
			struct style s = style_of(p, &first);
			int from = x;
			for (; x < WIDTH; x++) {
				VTermScreenCell c = cell_at(p, y, x);
				if (!same(s, style_of(p, &c)))
					break;
			}
			put_run(f, p, y, from, x, s, usual);
		}
	fputs("</svg>\n", f);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(picture)
{
	struct stage stage;
	struct pty pty;
	stage_init(&stage, &pty);
	struct fake *fake = stage.fake;
	fake_sample(fake);
	/* other machines are behind tunnels */
	fake->servers[1].address = "127.0.0.1:7076";
	fake->servers[2].address = "127.0.0.1:7077";
	uint64_t left = fake->servers[1].pending_bytes;
	fake->servers[1].pending_bytes = 13200000000;
	stage_open(&stage);
	stage_start(&stage, "xterm-256color", WIDTH, HEIGHT, NULL, NULL);
	set_palette(&pty);
	pty_settle(&pty, 0);
	fake->servers[1].pending_bytes = left;
	fake_link_status(&stage.link);
	fake_link_progress(&stage.link, true);
	fake_link_event(&stage.link, 1795356202, "changed", "build.log", "beta", "copied to alpha");
	pty_wait_for(&pty, "copied to alpha");
	pty_type(&pty, "l/video\rl");
	pty_wait_for(&pty, "intro-4k.srt");
	pty_type(&pty, "/old-plan\r");
	pty_wait_for(&pty, ">   old-plan");
	pty_type(&pty, " ");
	pty_type(&pty, "/intro-4k.mov\r");
	pty_wait_for(&pty, ">     intro-4k.mov");
	write_svg(&pty);
	stage_release(&stage);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: picture FILE.svg\n");
		return 2;
	}
	out_name = argv[1];
	Suite *s = suite_new("picture");
	TCase *t = suite_case(s, "picture", NULL, NULL);
	tcase_add_test(t, picture);
	return suite_run_here(s);
}
