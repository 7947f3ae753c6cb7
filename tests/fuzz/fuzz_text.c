/* Fuzzes foreign bytes on their way to a terminal: what is shown is one line of valid UTF-8, nothing of it
 * can move a cursor, and it is as wide as is said. Input: a width, then the bytes. */
#include "config.h"
#include "format.h"
#include "fuzz.h"
#include "text.h"

static void must_be_harmless(struct bytes shown, bool ascii)
{
	MUST(text_is_utf8(shown));
	for (size_t i = 0; i < shown.len;) {
		uint32_t cp = 0;
		size_t n = text_decode(shown.p + i, shown.len - i, &cp);
		MUST(n && (cp == ' ' || text_is_visible(cp)) && cp >= 0x20 && cp != 0x7f);
		MUST(!(cp >= 0x80 && cp < 0xa0) && !(ascii && cp > 0x7e));
		i += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	size_t columns = input_byte(&in);
	struct bytes raw = {in.p, in.len};
	struct buf shown = {0}, ascii = {0}, cut = {0};
	text_show(&shown, raw);
	text_show_ascii(&ascii, raw);
	struct bytes s = {shown.data, shown.len}, a = {ascii.data, ascii.len};
	must_be_harmless(s, false);
	must_be_harmless(a, true);
	MUST(text_columns(a) == a.len);
	for (int where = TEXT_CLIP_END; where <= TEXT_CLIP_MIDDLE; where++) {
		for (int plain = 0; plain < 2; plain++) {
			buf_clear(&cut);
			text_clip(&cut, plain ? a : s, columns, (enum text_clip_where)where, plain);
			struct bytes c = {cut.data, cut.len};
			MUST(text_columns(c) <= columns);
			must_be_harmless(c, plain);
		}
	}
	/* To be shown again changes nothing. */
	buf_clear(&cut);
	text_show(&cut, s);
	MUST(cut.len == shown.len && (!cut.len || memcmp(cut.data, shown.data, cut.len) == 0));
	buf_release(&shown);
	buf_release(&ascii);
	buf_release(&cut);
	return 0;
}
