/* Owns the editing of one line. */
#include "config.h"
#include "prompt.h"

#include "keys.h"
#include "text.h"

void prompt_set(struct prompt *p, struct bytes text)
{
	buf_clear(&p->text);
	p->cursor = 0;
	prompt_paste(p, text);
}

void prompt_release(struct prompt *p)
{
	buf_release(&p->text);
	p->cursor = 0;
}

static size_t before(const struct prompt *p)
{
	size_t at = p->cursor;
	while (at > 0 && (p->text.data[--at] & 0xc0) == 0x80)
		;
	return at;
}

static size_t after(const struct prompt *p)
{
	size_t at = p->cursor;
	if (at < p->text.len)
		at++;
	while (at < p->text.len && (p->text.data[at] & 0xc0) == 0x80)
		at++;
	return at;
}

static void cut(struct prompt *p, size_t from, size_t to)
{
	if (to > from) {
		memmove(p->text.data + from, p->text.data + to, p->text.len - to);
		p->text.len -= to - from;
	}
	p->cursor = from;
}

static void insert(struct prompt *p, uint32_t cp)
{
	uint8_t utf8[4];
	size_t len = text_encode(utf8, cp);
	if (p->text.len + len > PROMPT_TEXT_MAX)
		return;
	buf_add(&p->text, utf8, len);
	memmove(p->text.data + p->cursor + len, p->text.data + p->cursor,
		p->text.len - len - p->cursor);
	memcpy(p->text.data + p->cursor, utf8, len);
	p->cursor += len;
}

bool prompt_key(struct prompt *p, uint32_t key)
{
	size_t at = p->cursor;
	switch (key) {
	case K_LEFT:
	case K_CTRL('B'):
		p->cursor = before(p);
		return true;
	case K_RIGHT:
	case K_CTRL('F'):
		p->cursor = after(p);
		return true;
	case K_HOME:
	case K_CTRL('A'):
		p->cursor = 0;
		return true;
	case K_END:
	case K_CTRL('E'):
		p->cursor = p->text.len;
		return true;
	case K_BACKSPACE:
	case K_CTRL('H'):
		cut(p, before(p), at);
		return true;
	case K_DELETE:
	case K_CTRL('D'):
		cut(p, at, after(p));
		return true;
	case K_CTRL('U'):
		cut(p, 0, at);
		return true;
	case K_CTRL('K'):
		p->text.len = at;
		return true;
	case K_CTRL('W'):
		while (at > 0 && p->text.data[at - 1] == ' ')
			at--;
		while (at > 0 && p->text.data[at - 1] != ' ')
			at--;
		cut(p, at, p->cursor);
		return true;
	}
	if (key < K_SPECIAL && (key == ' ' || text_is_visible(key))) {
		insert(p, key);
		return true;
	}
	return false;
}

void prompt_paste(struct prompt *p, struct bytes text)
{
	for (size_t i = 0; i < text.len;) {
		uint32_t cp;
		size_t len = text_decode(text.p + i, text.len - i, &cp);
		if (len > 0 && (cp == ' ' || text_is_visible(cp)))
			insert(p, cp);
		i += len > 0 ? len : 1;
	}
}
