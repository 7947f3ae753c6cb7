/* Owns the terminal. */
#include "config.h"
#include "terminal.h"

#include "keys.h"
#include "write_full.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* Keys of our own for curses to recognise. */
enum { CODE_PASTE_BEGIN = KEY_MAX + 1, CODE_PASTE_END };

enum {
	ESC_DELAY_MS = 25,
	/* The rest of a key whose Esc came alone over a slow line is dropped within this time. */
	TAIL_MS = 300,
	PASTE_MAX = 64 * 1024,
};

#define MOUSE_OFF "\033[?1006l\033[?1002l\033[?1000l"
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"

static struct {
	SCREEN *screen;
	WINDOW *input;
	bool open, away;   /* away: between leave and return */
	bool color, mouse;
	struct grid shown;  /* what curses was given last */
	bool shown_valid;
	attr_t attrs[LOOKS_N];
	short pairs[LOOKS_N];
	/* input */
	uint8_t bytes[4];
	size_t n_bytes;
	bool pasting;
	struct buf paste;
	int64_t esc_ms;    /* when a lone Esc came */
	bool in_tail;
	/* giving back */
	struct termios saved;
	char restore[512];
	size_t restore_len;
	int old_stderr, held_stderr;
} t = {.old_stderr = -1, .held_stderr = -1};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool terminal_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ---- giving back ------------------------------------------------------------------------- */

/* Only calls that are allowed in a signal handler. */
static void replay_stderr(void)
{
	char chunk[1024];
	ssize_t n;
	if (t.held_stderr < 0)
		return;
	dup2(t.old_stderr, STDERR_FILENO);
	lseek(t.held_stderr, 0, SEEK_SET);
	while ((n = read(t.held_stderr, chunk, sizeof(chunk))) > 0)
		(void)write_full(t.old_stderr, chunk, (size_t)n);
	close(t.held_stderr);
	close(t.old_stderr);
	t.held_stderr = t.old_stderr = -1;
}

static void on_crash(int sig)
{
	if (t.open && !t.away) {
		(void)write_full(STDOUT_FILENO, t.restore, t.restore_len);
		tcsetattr(STDIN_FILENO, TCSANOW, &t.saved);
	}
	replay_stderr();
	raise(sig);
}

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

static void watch_crashes(bool on)
{
	struct sigaction sa = {.sa_handler = on ? on_crash : SIG_DFL};
	sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
		sigaction(crashes[i], &sa, NULL);
}

/* Appends a capability without its padding. */
static void add_restore(const char *s)
{
	if (!s || s == (const char *)-1)
		return;
	for (; *s && t.restore_len + 1 < sizeof(t.restore); s++) {
		if (s[0] == '$' && s[1] == '<') {
			const char *end = strchr(s, '>');
			if (end) {
				s = end;
				continue;
			}
		}
		t.restore[t.restore_len++] = *s;
	}
}

static void build_restore(void)
{
	t.restore_len = 0;
	add_restore(MOUSE_OFF PASTE_OFF);
	add_restore(tigetstr("cnorm"));
	add_restore(tigetstr("sgr0"));
	add_restore(tigetstr("rmkx"));
	add_restore(tigetstr("rmcup"));
	add_restore("\r\n");
}

static void hold_stderr(void)
{
	t.held_stderr = memfd_create("tutti-stderr", MFD_CLOEXEC);
	if (t.held_stderr < 0)
		return;
	t.old_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	if (t.old_stderr < 0 || dup2(t.held_stderr, STDERR_FILENO) < 0) {
		close(t.held_stderr);
		if (t.old_stderr >= 0)
			close(t.old_stderr);
		t.held_stderr = t.old_stderr = -1;
	}
}

/* ---- set-up ------------------------------------------------------------------------------ */

static void set_looks(void)
{
	static const struct {
		enum look look;
		attr_t attr;
		short color; /* -1: none */
	} looks[] = {
		{LOOK_PLAIN, A_NORMAL, -1},          {LOOK_STRONG, A_BOLD, -1},
		{LOOK_HEAD, A_REVERSE, COLOR_CYAN},  {LOOK_GOOD, A_NORMAL, COLOR_GREEN},
		{LOOK_BUSY, A_NORMAL, COLOR_CYAN},   {LOOK_BAD, A_BOLD, COLOR_RED},
		{LOOK_OLD, A_DIM, -1},               {LOOK_SHOUT, A_REVERSE | A_BOLD, COLOR_RED},
	};
	bool color = t.color && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		short pair = (short)(i + 1);
		t.attrs[looks[i].look] = looks[i].attr;
		t.pairs[looks[i].look] = 0;
		if (color && looks[i].color >= 0 && init_pair(pair, looks[i].color, -1) == OK)
			t.pairs[looks[i].look] = pair;
	}
}

static void modes_on(void)
{
	/* Only what terminals that know it are told. */
	putp(PASTE_ON);
	terminal_mouse(t.mouse);
	fflush(stdout);
}

const char *terminal_open(const struct terminal_options *options)
{
	static char problem[160];
	const char *name = getenv("TERM");
	int found;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return "the full screen needs a terminal on stdin and stdout";
	if (tcgetattr(STDIN_FILENO, &t.saved) < 0)
		return "the terminal's settings cannot be read";
	/* Asked first, because newterm() does not clean up after a failure. */
	bool known = name && *name && setupterm(NULL, STDOUT_FILENO, &found) == OK;
	if (known) {
		del_curterm(cur_term);
		use_env(FALSE);
		use_tioctl(TRUE);
		t.screen = newterm(NULL, stdout, stdin);
	}
	if (!t.screen) {
		struct buf shown = {0};
		text_show_ascii(&shown, bytes_of(name ? name : ""));
		snprintf(problem, sizeof(problem),
			 name && *name ? "the terminal \"%.*s\" is not known here ($TERM)"
				       : "$TERM does not say which terminal this is%.*s",
			 (int)shown.len, shown.len ? (const char *)shown.data : "");
		buf_release(&shown);
		return problem;
	}
	if (!tigetstr("cup") || !tigetstr("clear")) {
		endwin();
		delscreen(t.screen);
		t.screen = NULL;
		return "this terminal can neither move its cursor nor be cleared ($TERM)";
	}
	t.color = options->color;
	t.mouse = options->mouse;
	build_restore();
	t.open = true;
	t.away = false;
	watch_crashes(true);
	if (!getenv("ESCDELAY"))
		set_escdelay(ESC_DELAY_MS);
	raw();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	typeahead(-1);
	idlok(stdscr, TRUE);
	leaveok(stdscr, FALSE);
	t.input = newpad(1, 1);
	keypad(t.input, TRUE);
	nodelay(t.input, TRUE);
	define_key("\033[200~", CODE_PASTE_BEGIN);
	define_key("\033[201~", CODE_PASTE_END);
	set_looks();
	hold_stderr();
	grid_init(&t.shown, 0, 0, false);
	t.shown_valid = false;
	modes_on();
	return NULL;
}

void terminal_close(void)
{
	if (!t.open)
		return;
	if (!t.away)
		terminal_leave();
	t.open = false;
	watch_crashes(false);
	delwin(t.input);
	delscreen(t.screen);
	t.screen = NULL;
	grid_release(&t.shown);
	buf_release(&t.paste);
	tcsetattr(STDIN_FILENO, TCSANOW, &t.saved);
	replay_stderr();
}

/* ---- leaving for a while ----------------------------------------------------------------- */

void terminal_leave(void)
{
	if (!t.open || t.away)
		return;
	mousemask(0, NULL);
	putp(MOUSE_OFF PASTE_OFF);
	def_prog_mode();
	endwin();
	fflush(stdout);
	t.away = true;
}

void terminal_return(void)
{
	if (!t.open || !t.away)
		return;
	t.away = false;
	reset_prog_mode();
	terminal_redraw();
	modes_on();
}

void terminal_stop(void)
{
	struct sigaction stop = {.sa_handler = SIG_DFL}, before;
	sigset_t set, old;
	sigemptyset(&stop.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaction(SIGTSTP, &stop, &before);
	sigprocmask(SIG_UNBLOCK, &set, &old);
	kill(0, SIGTSTP);
	sigprocmask(SIG_SETMASK, &old, NULL);
	sigaction(SIGTSTP, &before, NULL);
}

void terminal_mouse(bool on)
{
	t.mouse = on;
	if (on) {
		mousemask(BUTTON1_PRESSED | BUTTON3_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
		mouseinterval(0);
	} else {
		mousemask(0, NULL);
		putp(MOUSE_OFF);
	}
	fflush(stdout);
}

void terminal_copy(struct bytes text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf out = {0};
	buf_addf(&out, "\033]52;c;");
	for (size_t i = 0; i < text.len; i += 3) {
		size_t n = text.len - i < 3 ? text.len - i : 3;
		uint32_t v = (uint32_t)text.p[i] << 16;
		if (n > 1)
			v |= (uint32_t)text.p[i + 1] << 8;
		if (n > 2)
			v |= text.p[i + 2];
		for (size_t k = 0; k < 4; k++)
			buf_add_char(&out, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
	}
	buf_addf(&out, "\a");
	fflush(stdout);
	(void)write_full(STDOUT_FILENO, (const char *)out.data, out.len);
	buf_release(&out);
}

/* ---- size and drawing -------------------------------------------------------------------- */

void terminal_size(int *width, int *height)
{
	struct winsize w = {0};
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0) {
		w.ws_row = (unsigned short)(LINES > 0 ? LINES : 24);
		w.ws_col = (unsigned short)(COLS > 0 ? COLS : 80);
	}
	if (w.ws_row != LINES || w.ws_col != COLS) {
		resizeterm(w.ws_row, w.ws_col);
		terminal_redraw();
	}
	*width = w.ws_col;
	*height = w.ws_row;
}

void terminal_redraw(void)
{
	t.shown_valid = false;
}

/* The character as curses counts it: where the C library knows another width for it, a '?'. */
static void to_cchar(const struct cell *c, cchar_t *out)
{
	wchar_t text[2 + TEXT_MARKS_MAX] = {0};
	attr_t attr = t.attrs[(c->look & 0x7f) % LOOKS_N];
	short pair = t.pairs[(c->look & 0x7f) % LOOKS_N];
	size_t n = 0;
	/* One bar in one colour: reversed colours would be spots in it. */
	if (c->look & LOOK_SELECTED) {
		attr = A_REVERSE;
		pair = 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(c->cp) && c->cp[i]; i++)
		if (c->cp[i] < 0x7f || wcwidth((wchar_t)c->cp[i]) == (i == 0 ? c->width : 0))
			text[n++] = (wchar_t)c->cp[i];
		else if (i == 0)
			text[n++] = L'?';
	setcchar(out, text, attr, pair, NULL);
}

static void draw_line(const struct grid *s, int y)
{
	cchar_t line[GRID_WIDTH_MAX];
	int n = 0;
	for (int x = 0; x < s->width; x++) {
		const struct cell *c = grid_cell(s, y, x);
		if (c->width == 0)
			continue;
		to_cchar(c, &line[n++]);
		/* A '?' for a wide character leaves one column. */
		if (c->width == 2 && wcwidth((wchar_t)c->cp[0]) != 2) {
			struct cell space = {.cp = {' '}, .width = 1, .look = c->look};
			to_cchar(&space, &line[n++]);
		}
	}
	mvadd_wchnstr(y, 0, line, n);
}

void terminal_draw(const struct grid *s)
{
	if (!t.open || t.away)
		return;
	if (!t.shown_valid || t.shown.width != s->width || t.shown.height != s->height) {
		grid_resize(&t.shown, s->width, s->height);
		werase(stdscr);
		clearok(curscr, TRUE);
		t.shown_valid = false;
	}
	size_t row = (size_t)s->width * sizeof(*s->cells);
	for (int y = 0; y < s->height && row > 0; y++) {
		struct cell *old = grid_cell(&t.shown, y, 0);
		const struct cell *new = grid_cell(s, y, 0);
		if (t.shown_valid && memcmp(old, new, row) == 0)
			continue;
		draw_line(s, y);
		memcpy(old, new, row);
	}
	t.shown_valid = true;
	move(s->cursor_y, s->cursor_x);
	wnoutrefresh(stdscr);
	doupdate();
}

/* ---- input ------------------------------------------------------------------------------- */

static uint32_t special_key(int code)
{
	static const struct {
		int code;
		uint32_t key;
	} keys[] = {
		{KEY_UP, K_UP},        {KEY_DOWN, K_DOWN},       {KEY_LEFT, K_LEFT},
		{KEY_RIGHT, K_RIGHT},  {KEY_HOME, K_HOME},       {KEY_END, K_END},
		{KEY_PPAGE, K_PAGE_UP}, {KEY_NPAGE, K_PAGE_DOWN}, {KEY_IC, K_INSERT},
		{KEY_DC, K_DELETE},    {KEY_BTAB, K_BACKTAB},    {KEY_ENTER, K_ENTER},
		{KEY_BACKSPACE, K_BACKSPACE}, {KEY_FIND, K_HOME}, {KEY_SELECT, K_END},
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].code == code)
			return keys[i].key;
	if (code >= KEY_F(1) && code <= KEY_F(10))
		return K_F1 + (uint32_t)(code - KEY_F(1));
	return K_UNKNOWN;
}

/* Is the input at its end? Called when nothing was read from a readable descriptor. */
static bool is_gone(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	int waiting = 0;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return true;
	return ioctl(STDIN_FILENO, FIONREAD, &waiting) < 0 ||
	       (waiting == 0 && p.revents & POLLIN);
}

static struct terminal_event key_event(uint32_t key)
{
	return (struct terminal_event){.kind = TERMINAL_KEY, .key = key};
}

/* A byte of text; false if more must come, or it is dropped. */
static bool take_byte(uint8_t byte, uint32_t *key)
{
	if (t.in_tail || (t.esc_ms > 0 && (byte == '[' || byte == 'O'))) {
		if (now_ms() - t.esc_ms < TAIL_MS) {
			bool first = !t.in_tail;
			t.in_tail = first || byte < 0x40 || byte > 0x7e;
			if (!t.in_tail)
				t.esc_ms = 0;
			return false;
		}
	}
	t.in_tail = false;
	t.esc_ms = byte == K_ESC ? now_ms() : 0;
	t.bytes[t.n_bytes++] = byte;
	while (t.n_bytes > 0) {
		uint8_t lead = t.bytes[0];
		size_t need = lead < 0xc2   ? 1
			      : lead < 0xe0 ? 2
			      : lead < 0xf0 ? 3
			      : lead < 0xf5 ? 4
					    : 1;
		size_t len = text_decode(t.bytes, t.n_bytes, key);
		if (len > 0) {
			t.n_bytes = 0;
			if (*key == K_CTRL('H'))
				*key = K_BACKSPACE;
			return true;
		}
		if (t.n_bytes < need)
			return false;
		memmove(t.bytes, t.bytes + 1, --t.n_bytes);
	}
	return false;
}

static struct terminal_event mouse_event(void)
{
	struct terminal_event e = {0};
	MEVENT m;
	if (getmouse(&m) != OK)
		return e;
	e.y = m.y;
	e.x = m.x;
	if (m.bstate & BUTTON1_PRESSED)
		e.kind = TERMINAL_CLICK;
	else if (m.bstate & BUTTON3_PRESSED)
		e.kind = TERMINAL_MENU;
	else if (m.bstate & BUTTON4_PRESSED)
		e.kind = TERMINAL_WHEEL_UP;
	else if (m.bstate & BUTTON5_PRESSED)
		e.kind = TERMINAL_WHEEL_DOWN;
	return e;
}

struct terminal_event terminal_read(bool readable)
{
	bool first = readable;
	for (;; first = false) {
		int code = wgetch(t.input);
		uint32_t key;
		if (code == ERR) {
			bool gone = first && is_gone();
			return (struct terminal_event){.kind = gone ? TERMINAL_GONE
								    : TERMINAL_NOTHING};
		}
		if (code == CODE_PASTE_BEGIN) {
			t.pasting = true;
			buf_clear(&t.paste);
		} else if (code == CODE_PASTE_END) {
			t.pasting = false;
			return (struct terminal_event){.kind = TERMINAL_PASTE,
						       .text = {t.paste.data, t.paste.len}};
		} else if (t.pasting) {
			if (code < 256 && t.paste.len < PASTE_MAX)
				buf_add_char(&t.paste, (char)code);
		} else if (code == KEY_MOUSE) {
			struct terminal_event e = mouse_event();
			if (e.kind != TERMINAL_NOTHING)
				return e;
		} else if (code == KEY_RESIZE) {
			continue; /* we read the size ourselves */
		} else if (code >= KEY_MIN) {
			t.n_bytes = 0;
			return key_event(special_key(code));
		} else if (take_byte((uint8_t)code, &key)) {
			return key_event(key);
		}
	}
}
