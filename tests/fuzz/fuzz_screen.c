/*
 * Fuzzes the client's side: a hostile server's answers and notifications, as client.c lets them through,
 * shown on a screen while somebody presses keys. Whatever it says, the screen ends up with text that is
 * harmless. Input: steps; each a byte: a key, or a frame's object (with a length of two bytes).
 */
#include "config.h"
#include "fuzz.h"
#include "message.h"
#include "model.h"
#include "text.h"
#include "view.h"

enum { ASKED_MAX = 64 };

struct asked {
	enum message method;
	uint32_t tag;
};

struct screen {
	struct model m;
	struct asked asked[ASKED_MAX];
	size_t n;
};

static bool ask(void *ctx, const char *method, struct buf *params, uint32_t tag)
{
	struct screen *s = ctx;
	int m = message_find(bytes_of(method), WIRE_REQUEST);
	(void)params;
	MUST(m >= 0);
	if (s->n == ASKED_MAX)
		return false;
	s->asked[s->n++] = (struct asked){(enum message)m, tag};
	return true;
}

static void frame(struct screen *s, struct bytes object)
{
	char why[MESSAGE_TEXT_MAX];
	struct wire_frame f;
	wire_frame_init(&f);
	if (!wire_decode(&f, object)) {
		if (f.kind == WIRE_NOTIFICATION) {
			int m = message_check(&f, PARTY_SERVER, PHASE_GREETED, why);
			if (m >= 0 && m != MESSAGE_PING && m != MESSAGE_BYE && m != MESSAGE_HELLO)
				model_notify(&s->m, message_name((enum message)m), f.params);
		} else if (f.kind == WIRE_RESPONSE && s->n) {
			struct asked a = s->asked[f.id % s->n];
			if (message_check_response(&f, a.method, why)) {
				struct buf shown = {0};
				struct bytes code, text;
				if (f.error) {
					message_error_parts(f.error, &code, &text);
					text_show(&shown, text);
				}
				buf_add_char(&shown, '\0');
				s->n--;
				s->asked[f.id % (s->n + 1)] = s->asked[s->n];
				model_answer(&s->m, a.tag, f.result,
					     f.error ? (const char *)shown.data : NULL);
				buf_release(&shown);
			}
		}
	}
	wire_frame_release(&f);
}

static void must_be_harmless(const struct grid *g)
{
	struct buf all = {0};
	grid_print(g, &all, false);
	for (size_t i = 0; i < all.len;) {
		uint32_t cp = 0;
		size_t n = text_decode(all.data + i, all.len - i, &cp);
		MUST(n && (cp == '\n' || cp == ' ' || text_is_visible(cp)));
		i += n;
	}
	buf_release(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct screen s = {.n = 0};
	struct grid g;
	int width = 20 + input_byte(&in) % 120, height = 3 + input_byte(&in) % 40;
	model_init(&s.m, ask, &s);
	s.m.now = INT64_C(1795356202) * 1000000000;
	grid_init(&g, width, height, false);
	model_resize(&s.m, width, height);
	model_up(&s.m);
	model_prepare(&s.m);
	while (in.len) {
		uint8_t key = input_byte(&in);
		if (key & 0x80)
			frame(&s, input_bytes(&in, true));
		else
			model_key(&s.m, key);
		model_prepare(&s.m);
	}
	view_draw(&s.m, &g);
	must_be_harmless(&g);
	model_release(&s.m);
	grid_release(&g);
	return 0;
}
