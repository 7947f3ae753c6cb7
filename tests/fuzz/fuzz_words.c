/* Fuzzes what people type: addresses, IDs, filters. Input: a byte for which, then the bytes. */
#include "config.h"
#include "address.h"
#include "filter.h"
#include "fuzz.h"
#include "key_id.h"
#include "options.h"
#include "text.h"

#include <stdlib.h>

static void must_say_why(const struct buf *problem)
{
	struct buf shown = {0};
	struct bytes said = {problem->data, problem->len};
	MUST(said.len && text_is_utf8(said));
	text_show(&shown, said);
	MUST(shown.len == said.len);
	buf_release(&shown);
}

static void an_address(const char *text, enum address_use use)
{
	struct address a, again;
	struct buf problem = {0}, shown = {0};
	if (address_parse(text, use, &a, &problem) && address_is_name(&a)) {
		MUST(use == ADDRESS_LISTEN || address_port(&a)); /* whose addresses are yet to be looked up */
	} else if (!problem.len) {
		MUST(use == ADDRESS_LISTEN || address_port(&a));
		address_format(&shown, (struct sockaddr *)&a.sa);
		buf_add_char(&shown, '\0');
		MUST(address_parse((const char *)shown.data, use, &again, &problem));
		MUST(address_eq(&a, &again));
	} else {
		must_say_why(&problem);
	}
	buf_release(&problem);
	buf_release(&shown);
}

static void an_id(struct bytes text)
{
	struct key_id id, again;
	struct buf problem = {0};
	char written[KEY_ID_TEXT + 1];
	if (key_id_read(text, &id, &problem)) {
		key_id_write(written, &id);
		MUST(key_id_read(bytes_of(written), &again, &problem) && key_id_eq(&id, &again));
	} else {
		must_say_why(&problem);
	}
	buf_release(&problem);
}

static void a_filter(struct bytes text, struct bytes path)
{
	struct filter f;
	struct row row = {0};
	filter_init(&f, text, false);
	filter_passes_synced(&f);
	filter_match_row(&f, &row);
	bool all = filter_passes_all(&f);
	MUST(filter_match_path(&f, path) || !all);
	filter_release(&f);
	MUST(filter_contains(text, (struct bytes){text.p, 0}) && filter_contains(text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t which = input_byte(&in);
	struct bytes half = input_bytes(&in, false), rest = {in.p, in.len};
	char *text = xmalloc(rest.len + 1);
	int64_t ms;
	memcpy(text, rest.p ? rest.p : (const uint8_t *)"", rest.len);
	text[rest.len] = '\0';
	switch (which % 4) {
	case 0:
		an_address(text, which & 4 ? ADDRESS_LISTEN : ADDRESS_CONNECT);
		break;
	case 1:
		an_id(rest);
		break;
	case 2:
		a_filter(half, rest);
		break;
	default:
		if (option_seconds(text, &ms))
			MUST(ms >= 0 && ms <= (int64_t)OPTION_SECONDS_MAX * 1000);
	}
	free(text);
	return 0;
}
