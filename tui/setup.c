/* Owns the choices about the table. */
#include "config.h"
#include "setup.h"

#include "model.h"

#include <stdio.h>

static const struct {
	const char *name, *words;
} units[] = {
#define X(id, name, words) {name, words},
	SIZE_UNITS(X)
#undef X
};

/* The columns that can be hidden. */
static const struct {
	enum column column;
	char key;
	const char *name, *words;
} columns[] = {
	{COLUMN_SIZE, 'z', "size", "column Size"},
	{COLUMN_DATE, 'd', "date", "column Modified"},
	{COLUMN_STATE, 'v', "state", "column State"},
};

/* ---- sizes ------------------------------------------------------------------------------- */

void setup_size(enum size_units u, char out[40], uint64_t bytes, enum format_style style)
{
	char count[32];
	if (u == UNITS_BYTES) {
		format_count(count, bytes);
		snprintf(out, 40, "%s%s", count, style == FORMAT_SHORT ? "" : " B");
	} else if (u == UNITS_DECIMAL) {
		format_size_decimal(out, bytes, style);
	} else {
		format_size(out, bytes, style);
	}
}

void setup_progress(enum size_units u, char out[72], uint64_t done, uint64_t total)
{
	char a[32], b[32];
	if (u == UNITS_BYTES) {
		format_count(a, done);
		format_count(b, total);
		snprintf(out, 72, "%s / %s B", a, b);
	} else if (u == UNITS_DECIMAL) {
		format_progress_decimal(out, done, total);
	} else {
		format_progress(out, done, total);
	}
}

/* ---- the remembered file ----------------------------------------------------------------- */

void setup_take(struct setup *s, struct bytes key, struct bytes value)
{
	if (bytes_eq(key, bytes_of("units")))
		for (size_t i = 0; i < SIZE_UNITS_N; i++)
			if (bytes_eq(value, bytes_of(units[i].name)))
				s->units = (enum size_units)i;
	if (bytes_eq(key, bytes_of("hide")))
		for (size_t i = 0; i < ARRAY_LEN(columns); i++)
			if (bytes_eq(value, bytes_of(columns[i].name)))
				s->hidden |= 1u << columns[i].column;
}

void setup_write(const struct setup *s, struct buf *out)
{
	buf_addf(out, "units=%s\n", units[s->units].name);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (s->hidden & 1u << columns[i].column)
			buf_addf(out, "hide=%s\n", columns[i].name);
}

/* ---- the dialog -------------------------------------------------------------------------- */

static void add_line(struct lines *out, char key, const char *words, const char *now)
{
	lines_next(out, LOOK_PLAIN);
	lines_number(out, (uint8_t)key);
	lines_addf(out, "  %c  %s", key, words);
	if (now) {
		lines_pad(out, 21);
		lines_addf(out, " %s", now);
	}
}

void setup_lines(const struct model *m, struct lines *out, int width)
{
	(void)width;
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "Setup of the table");
	add_line(out, 's', "sizes", units[m->setup.units].words);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		add_line(out, columns[i].key, columns[i].words,
			 m->setup.hidden & 1u << columns[i].column ? "hidden" : "shown");
	lines_next(out, LOOK_PLAIN);
	add_line(out, 'w', "keep it for the next time", NULL);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  only for now");
}

bool setup_key(struct model *m, uint32_t key)
{
	struct setup *s = &m->setup;
	if (key == 's') {
		s->units = (s->units + 1) % SIZE_UNITS_N;
		if (m->view == VIEW_DETAILS)
			model_ask_row(m); /* its text has sizes */
	}
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (key == (uint8_t)columns[i].key)
			s->hidden ^= 1u << columns[i].column;
	if (key == 'w') {
		m->kept_setup = *s;
		m->todo |= TODO_REMEMBER;
		dialog_close(m);
		model_say(m, LOOK_GOOD, "It is so the next time as well");
	}
	return key > 0 && key < 128 && strchr("szdvw", (int)key) != NULL;
}
