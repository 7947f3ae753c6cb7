/* Fuzzes the list of trusted keys, as its file may be, and invitations: what is taken is written as it was
 * read, and what is said of the rest is safe to show. */
#include "config.h"
#include "fuzz.h"
#include "invitation.h"
#include "text.h"
#include "trust.h"

static void check_said(bool ok, struct buf *said)
{
	struct buf shown = {0};
	struct bytes text = {said->data, said->len};
	MUST(ok == !said->len);
	if (!ok) {
		text_show(&shown, text);
		MUST(shown.len == said->len);
	}
	buf_release(&shown);
	buf_clear(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf said = {0}, one = {0}, two = {0};
	struct invitation i;
	struct trust *t = trust_new(), *again = trust_new();
	bool ok = trust_read(t, (struct bytes){data, size}, &said);
	check_said(ok, &said);
	if (ok) {
		trust_text(t, &one);
		MUST(trust_read(again, (struct bytes){one.data, one.len}, &said));
		trust_text(again, &two);
		MUST(bytes_eq((struct bytes){one.data, one.len}, (struct bytes){two.data, two.len}));
	}
	ok = invitation_read((struct bytes){data, size}, &i, &said);
	check_said(ok, &said);
	if (ok)
		invitation_release(&i);
	trust_free(t);
	trust_free(again);
	buf_release(&said);
	buf_release(&one);
	buf_release(&two);
	return 0;
}
