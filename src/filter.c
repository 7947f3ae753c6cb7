/* Owns what the words of a table's filter mean, and how they match. */
#include "config.h"
#include "filter.h"
#include "entry.h"

#include <stdlib.h>

static const struct {
	const char *text;
	enum kind kind;
} kinds[] = {
	{"file", KIND_FILE},   {"directory", KIND_DIR}, {"dir", KIND_DIR},
	{"symlink", KIND_SYMLINK}, {"link", KIND_SYMLINK},
};

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool has_capital(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.p[i] >= 'A' && b.p[i] <= 'Z')
			return true;
	return false;
}

bool filter_contains(struct bytes text, struct bytes part)
{
	if (part.len > text.len)
		return false;
	if (!part.len || has_capital(part))
		return !part.len || memmem(text.p, text.len, part.p, part.len) != NULL;
	for (size_t i = 0; i <= text.len - part.len; i++) {
		size_t k = 0;
		while (k < part.len && lower(text.p[i + k]) == part.p[k])
			k++;
		if (k == part.len)
			return true;
	}
	return false;
}

/* The rest of `word` after `prefix`, if it starts so. */
static bool after_prefix(struct bytes word, const char *prefix, struct bytes *rest)
{
	size_t len = strlen(prefix);
	if (word.len < len || memcmp(word.p, prefix, len) != 0)
		return false;
	*rest = (struct bytes){word.p + len, word.len - len};
	return true;
}

static uint32_t states_named(struct bytes name)
{
	char spaced[32];
	if (name.len > sizeof(spaced))
		return 0;
	for (size_t i = 0; i < name.len; i++)
		spaced[i] = name.p[i] == '-' ? ' ' : (char)name.p[i];
	int state = row_state_parse((struct bytes){(const uint8_t *)spaced, name.len});
	return state < 0 ? 0 : UINT32_C(1) << state;
}

static uint32_t kinds_named(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (bytes_eq(name, bytes_of(kinds[i].text)))
			return UINT32_C(1) << kinds[i].kind;
	return 0;
}

static void take_word(struct filter *f, struct bytes word)
{
	struct bytes name;
	if (after_prefix(word, "state:", &name)) {
		f->states &= states_named(name);
	} else if (after_prefix(word, "kind:", &name)) {
		f->kinds &= kinds_named(name);
	} else {
		GROW(f->parts, f->cap_parts, f->n_parts + 1);
		f->parts[f->n_parts++] = word;
	}
}

void filter_init(struct filter *f, struct bytes text, bool only_unsynced)
{
	*f = (struct filter){.states = UINT32_MAX, .kinds = UINT32_MAX};
	if (only_unsynced)
		f->states &= ~(UINT32_C(1) << ROW_SYNCED);
	f->text = xmemdup(text.p, text.len);
	size_t start = 0;
	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && !is_space(f->text[i]))
			continue;
		if (i > start)
			take_word(f, (struct bytes){f->text + start, i - start});
		start = i + 1;
	}
}

void filter_release(struct filter *f)
{
	free(f->text);
	free(f->parts);
	*f = (struct filter){0};
}

bool filter_passes_all(const struct filter *f)
{
	return !f->n_parts && f->states == UINT32_MAX && f->kinds == UINT32_MAX;
}

bool filter_passes_synced(const struct filter *f)
{
	return f->states >> ROW_SYNCED & 1;
}

bool filter_match_row(const struct filter *f, const struct row *row)
{
	return f->states >> row->state & f->kinds >> row->kind & 1;
}

bool filter_match_path(const struct filter *f, struct bytes path)
{
	for (size_t i = 0; i < f->n_parts; i++)
		if (!filter_contains(path, f->parts[i]))
			return false;
	return true;
}
