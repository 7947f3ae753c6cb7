/*
 * Fuzzes messages of every role: the check never reads what is not there, says why in words that can be
 * shown, and what it lets through has the shape that the table promises.
 * Input: a byte for who speaks and when, then the object of a frame.
 */
#include "config.h"
#include "fuzz.h"
#include "message.h"
#include "text.h"

static void must_be_fit(const char *why)
{
	struct buf shown = {0};
	struct bytes b = bytes_of(why);
	MUST(b.len && b.len < MESSAGE_TEXT_MAX && text_is_utf8(b));
	text_show(&shown, b);
	MUST(shown.len == b.len); /* nothing in it had to be escaped */
	buf_release(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = input_byte(&in);
	unsigned from = how & (PARTY_PEER | PARTY_CLIENT | PARTY_SERVER);
	enum message_phase phase = how & 8 ? PHASE_GREETED : PHASE_STRANGER;
	char why[MESSAGE_TEXT_MAX];
	struct wire_frame f;
	wire_frame_init(&f);
	if (!wire_decode(&f, (struct bytes){in.p, in.len})) {
		if (f.kind == WIRE_RESPONSE) {
			for (int m = 0; m < MESSAGES_N; m++) {
				if (message_find(bytes_of(message_name((enum message)m)), WIRE_REQUEST) != m)
					continue;
				bool ok = message_check_response(&f, (enum message)m, why);
				struct bytes code, text;
				if (!ok)
					must_be_fit(why);
				else if (f.error)
					message_error_parts(f.error, &code, &text);
			}
		} else {
			int m = message_check(&f, from ? from : PARTY_PEER, phase, why);
			if (m < 0)
				must_be_fit(why);
			else
				MUST(m < MESSAGES_N && m == message_find(f.method, f.kind));
		}
	}
	wire_frame_release(&f);
	return 0;
}
