/* Owns the table of keys. */
#include "config.h"
#include "keys.h"

#include "text.h"

/* clang-format off */
const struct key_binding key_bindings[] = {
	/* The key bar shows these in this order, as many as fit. */
	{DO_HELP, IN_ALL, {'?', K_F1}, "Help", "this help; again: back"},
	{DO_FIND, IN_ALL, {'/', K_F3}, "Find", "find a name, or words on the other screens"},
	{DO_FILTER, IN_ROWS | IN_EVENTS | IN_PAST, {'\\', '&', K_F4}, "Filter",
		"only what matches: words, state: kind:; in 6 and 7 under: on: since: until:"},
	{DO_SORT, IN_ROWS, {'s', K_F6}, "Sort", "sort by name, size, date or state (then n s d v)"},
	{DO_TREE, IN_ROWS, {'t', K_F5}, "Tree", "tree or flat table"},
	{DO_MARK, IN_ROWS, {' ', K_INSERT}, "Mark", "mark, and move down"},
	{DO_RESYNC, IN_ROWS | IN_DETAILS, {'r'}, "Resync",
		"resync what is marked or selected: all servers look again (safe)"},
	{DO_RESTORE, IN_TRASH, {'r', K_ENTER}, "Restore", "restore what is selected (asks first)"},
	{DO_DECIDE, IN_HELD, {K_ENTER}, "Decide", "delete or keep what is held (asks first)"},
	{DO_TRUST, IN_SERVERS, {K_ENTER, 'y'}, "Trust",
		"let a key in, refuse it, or end its trust (asks first)"},
	{DO_INVITE, IN_SERVERS, {'i'}, "Invite", "invite a server: one string, good once"},
	{DO_RESOLVE, IN_ALL & ~(unsigned)IN_HELP, {'c'}, "Conflict",
		"settle the conflict of the row, what is marked, or the next"},
	{DO_UNDO, IN_ALL & ~(unsigned)IN_HELP, {'u'}, NULL,
		"undo the last resolution of conflicts"},
	{DO_ONLY, IN_ROWS, {'!'}, "Unsynced", "only what is not in sync"},
	{DO_DETAILS, IN_ROWS | IN_DETAILS, {'i'}, "Details", "details of the row; again: back"},
	{DO_FILES, IN_ALL, {'1'}, "Files", "screen 1: Files"},
	{DO_TRANSFERS, IN_ALL, {'2'}, "Transfers", "screen 2: Transfers"},
	{DO_CONFLICTS, IN_ALL, {'3'}, "Conflicts", "screen 3: Conflicts"},
	{DO_EVENTS, IN_ALL, {'4'}, "Events", "screen 4: Events"},
	{DO_SERVERS, IN_ALL, {'5'}, "Servers", "screen 5: Servers"},
	{DO_TRASH, IN_ALL, {'6'}, "Trash", "screen 6: Trash; from the details: of that file"},
	{DO_HISTORY, IN_ALL, {'7'}, "History",
		"screen 7: History; from the details: of that file"},
	{DO_HELD, IN_ALL, {'8'}, "Held", "screen 8: deletions that wait for a word"},
	{DO_QUIT, IN_ALL, {'q', K_F10}, "Quit",
		"back to Files; on Files: leave (the servers go on)"},

	{DO_DOWN, IN_ALL, {'j', K_DOWN, K_CTRL('N'), K_CTRL('J')}, NULL, "down"},
	{DO_UP, IN_ALL, {'k', K_UP, K_CTRL('P')}, NULL, "up"},
	{DO_PAGE_DOWN, IN_ALL, {K_PAGE_DOWN, K_CTRL('F')}, NULL, "one page down"},
	{DO_PAGE_UP, IN_ALL, {K_PAGE_UP, K_CTRL('B')}, NULL, "one page up"},
	{DO_HALF_DOWN, IN_ALL, {K_CTRL('D')}, NULL, "half a page down"},
	{DO_HALF_UP, IN_ALL, {K_CTRL('U')}, NULL, "half a page up"},
	{DO_FIRST, IN_ALL, {'g', K_HOME, '<'}, NULL, "first row"},
	{DO_LAST, IN_ALL, {'G', K_END, '>'}, NULL, "last row"},
	{DO_WINDOW_TOP, IN_ROWS, {'H'}, NULL, "top of the window"},
	{DO_WINDOW_MIDDLE, IN_ROWS, {'M'}, NULL, "middle of the window"},
	{DO_WINDOW_BOTTOM, IN_ROWS, {'L'}, NULL, "bottom of the window"},
	{DO_GO, IN_ALL, {':'}, NULL,
		"go to row N or N%; or a command: sort, filter, find, w FILE, !SHELL, q"},
	{DO_UNFOLD, IN_ROWS, {'l', K_RIGHT, '+'}, NULL,
		"unfold; in the flat table: scroll the name"},
	{DO_FOLD, IN_ROWS, {'h', K_LEFT, '-', K_BACKSPACE}, NULL,
		"fold, or go to the folder above; in the flat table: scroll the name back"},
	{DO_FOLD_ALL, IN_ROWS, {'['}, NULL, "fold all"},
	{DO_UNFOLD_ALL, IN_ROWS, {']'}, NULL, "unfold all"},
	{DO_ENTER, IN_ROWS | IN_EVENTS | IN_TRANSFERS | IN_HISTORY, {K_ENTER}, NULL,
		"fold or unfold a folder, details of a file; in Events, Transfers, History: go to it"},
	{DO_NEXT_SCREEN, IN_ALL, {K_TAB}, NULL, "next screen"},
	{DO_PREVIOUS_SCREEN, IN_ALL, {K_BACKTAB}, NULL, "previous screen"},
	{DO_FIND_NEXT, IN_ALL, {'n'}, NULL, "find the next"},
	{DO_FIND_PREVIOUS, IN_ALL, {'N'}, NULL, "find the previous"},
	{DO_REVERSE, IN_ROWS, {'I'}, NULL, "turn the order round"},
	{DO_RANGE, IN_ROWS, {'v'}, NULL, "begin a range of marks; again: mark it"},
	{DO_INVERT, IN_ROWS, {'*'}, NULL, "invert the marks of the rows in the window"},
	{DO_UNMARK, IN_ROWS, {'U'}, NULL, "take all marks away"},
	{DO_RESYNC_ALL, IN_ALL, {'R'}, NULL, "resync everything (asks first)"},
	{DO_FOLLOW, IN_ROWS | IN_EVENTS, {'F'}, NULL,
		"follow: stay on the first row; in Events the last"},
	{DO_FREEZE, IN_ALL, {'Z'}, NULL, "freeze the table; again: go on"},
	{DO_SHOW, IN_ROWS | IN_DETAILS, {'e'}, NULL,
		"show the file in $PAGER (only at a local server)"},
	{DO_COPY, IN_ROWS | IN_DETAILS, {'y'}, NULL,
		"copy the path to the clipboard of the terminal"},
	{DO_WRITE, IN_ROWS, {'w'}, NULL, "write the table to a file: text, .csv or .json"},
	{DO_SETUP, IN_ALL, {'S', K_F2}, NULL, "setup: columns, and the units of sizes"},
	{DO_MOUSE, IN_ALL, {'m'}, NULL, "mouse on or off (with Shift the terminal selects text)"},
	{DO_REDRAW, IN_ALL, {K_CTRL('L'), K_CTRL('R')}, NULL, "draw everything again"},
	{DO_SUSPEND, IN_ALL, {K_CTRL('Z')}, NULL, "suspend"},
	{DO_BACK, IN_ALL, {K_ESC}, NULL, "one step back: prompt, dialog, range, filter, screen"},
	{DO_QUIT_AT_ONCE, IN_ALL, {'Q', K_CTRL('C')}, NULL, "leave from anywhere"},

	/* Habits that delete elsewhere. */
	{DO_DEFUSE, IN_ALL, {'d', 'D', 'x', 'X', K_DELETE, K_CTRL('K')}, NULL, NULL},
};
/* clang-format on */

const size_t key_bindings_n = ARRAY_LEN(key_bindings);

enum action key_action(uint32_t key, unsigned place)
{
	for (size_t i = 0; i < ARRAY_LEN(key_bindings); i++) {
		const struct key_binding *b = &key_bindings[i];
		if (!(b->places & place))
			continue;
		for (size_t k = 0; k < KEYS_PER_ACTION && b->keys[k]; k++)
			if (b->keys[k] == key)
				return b->action;
	}
	return DO_NOTHING;
}

const struct key_binding *key_of(enum action action)
{
	for (size_t i = 0; i < ARRAY_LEN(key_bindings); i++)
		if (key_bindings[i].action == action)
			return &key_bindings[i];
	return NULL;
}

void key_text(struct buf *out, uint32_t key)
{
	static const struct {
		uint32_t key;
		const char *name;
	} names[] = {
		{' ', "Space"},          {K_TAB, "Tab"},        {K_ENTER, "Enter"},
		{K_ESC, "Esc"},          {K_BACKSPACE, "Backspace"}, {K_UP, "Up"},
		{K_DOWN, "Down"},        {K_LEFT, "Left"},      {K_RIGHT, "Right"},
		{K_HOME, "Home"},        {K_END, "End"},        {K_PAGE_UP, "PgUp"},
		{K_PAGE_DOWN, "PgDn"},   {K_INSERT, "Ins"},     {K_DELETE, "Del"},
		{K_BACKTAB, "S-Tab"},    {K_UNKNOWN, "that key"},
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].key == key) {
			buf_addf(out, "%s", names[i].name);
			return;
		}
	if (key >= K_F1 && key <= K_F10) {
		buf_addf(out, "F%u", (unsigned)(key - K_F1 + 1));
	} else if (key < ' ') {
		buf_addf(out, "^%c", (char)(key + '@'));
	} else {
		uint8_t utf8[4];
		size_t len = key < K_SPECIAL ? text_encode(utf8, key) : 0;
		text_show_ascii(out, (struct bytes){utf8, len});
	}
}

void key_list(struct buf *out, const struct key_binding *b)
{
	for (size_t k = 0; k < KEYS_PER_ACTION && b->keys[k]; k++) {
		if (k > 0)
			buf_addf(out, ", ");
		key_text(out, b->keys[k]);
	}
}
