/* Fuzzes what comes from the network before anybody is known, and after: two ends in memory, and between them
 * somebody who changes, adds, drops and cuts what they say. What one end reads is what the other has written,
 * from the beginning on, and it keeps its limits. */
#include "config.h"
#include "fuzz.h"
#include "tls.h"

#include <errno.h>

enum { WRITTEN_MAX = 64 * 1024 };

struct end {
	struct tls *tls;
	uint8_t written[WRITTEN_MAX];
	size_t n_written;
	size_t n_read; /* of what the other has written */
	bool broken;
};

static struct end ends[2];

static void look(struct end *e, const struct end *other)
{
	uint8_t got[4096];
	ssize_t n;
	while ((n = tls_read(e->tls, got, sizeof(got))) > 0) {
		MUST(tls_ready(e->tls) && !e->broken);
		MUST((size_t)n <= other->n_written - e->n_read);
		MUST(memcmp(got, other->written + e->n_read, (size_t)n) == 0);
		e->n_read += (size_t)n;
	}
	if (n == -EPROTO)
		MUST(*tls_problem(e->tls));
	e->broken |= n == -EPROTO;
	MUST(!e->broken || n == -EPROTO);
	MUST(tls_out(e->tls)->len <= TLS_OUT_MAX + 32 * 1024);
}

static void give(struct end *to, const struct end *other, struct bytes b)
{
	while (b.len) {
		size_t room;
		uint8_t *p = tls_room(to->tls, &room);
		size_t n = b.len < room ? b.len : room;
		MUST(room <= TLS_IN_MAX);
		if (n) {
			memcpy(p, b.p, n);
			tls_put(to->tls, n);
		}
		look(to, other);
		if (!n)
			return; /* it takes no more */
		b.p += n;
		b.len -= n;
	}
}

static void deliver(struct end *from, struct end *to, size_t most)
{
	struct buf *out = tls_out(from->tls);
	size_t n = out->len < most ? out->len : most;
	give(to, from, (struct bytes){out->data, n});
	buf_drop_front(out, n);
}

static void write_some(struct end *e, size_t n)
{
	if (n > WRITTEN_MAX - e->n_written)
		n = WRITTEN_MAX - e->n_written;
	for (size_t i = 0; i < n; i++)
		e->written[e->n_written + i] = (uint8_t)((e->n_written + i) * 7);
	ssize_t r = n ? tls_write(e->tls, e->written + e->n_written, n) : 0;
	MUST(r <= (ssize_t)n);
	if (r > 0)
		e->n_written += (size_t)r;
}

static void step(struct input *in)
{
	uint8_t what = input_byte(in);
	struct end *e = &ends[what & 1], *other = &ends[!(what & 1)];
	struct buf *out = tls_out(e->tls);
	size_t n = 1 + input_byte(in);
	switch (what >> 1 & 7) {
	case 0: /* bytes out of nowhere */
		give(other, e, input_bytes(in, true));
		break;
	case 1: /* one byte is another one */
		if (out->len)
			out->data[n * 257 % out->len] ^= (uint8_t)(input_byte(in) | 1);
		break;
	case 2: /* some get lost */
		buf_drop_front(out, n < out->len ? n : out->len);
		break;
	case 3:
		deliver(e, other, n);
		break;
	case 4:
		deliver(e, other, SIZE_MAX);
		break;
	case 5:
		write_some(e, n * 64);
		break;
	case 6:
		tls_put_end(other->tls);
		look(other, e);
		break;
	case 7:
		tls_end(e->tls);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity *who[2];
	static struct tls_context *contexts[2];
	struct input in = {data, size};
	for (int i = 0; i < 2; i++) {
		if (!who[i]) {
			who[i] = identity_new();
			contexts[i] = tls_context_new(who[i]);
		}
	}
	uint8_t begin = input_byte(&in);
	for (int i = 0; i < 2; i++) {
		ends[i].n_written = ends[i].n_read = 0;
		ends[i].broken = false;
		ends[i].tls = tls_new(contexts[i], i == 0, begin & 2 ? identity_id(who[!i]) : NULL);
		look(&ends[i], &ends[!i]);
	}
	if (begin & 1) { /* after the handshake */
		for (int i = 0; i < 4; i++) {
			deliver(&ends[0], &ends[1], SIZE_MAX);
			deliver(&ends[1], &ends[0], SIZE_MAX);
		}
		MUST(tls_ready(ends[0].tls) && tls_ready(ends[1].tls));
	}
	while (in.len)
		step(&in);
	for (int i = 0; i < 2; i++) {
		look(&ends[i], &ends[!i]);
		if (tls_ready(ends[i].tls))
			MUST(key_id_eq(tls_peer(ends[i].tls), identity_id(who[!i])));
		tls_free(ends[i].tls);
	}
	return 0;
}
