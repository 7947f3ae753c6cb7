/* Owns how a table of options becomes a parser and a help text. */
#include "config.h"
#include "options.h"

#include "text.h"

#include <getopt.h>
#include <stdlib.h>

enum {
	LONG_BASE = 0x1000,   /* what getopt gives for options[i]: LONG_BASE + i */
	HELP_TEXT_COLUMN = 28,
	HELP_COLUMNS = 80,
};

bool option_seconds(const char *text, int64_t *ms)
{
	int64_t whole = 0, thousandths = 0, unit = 100;
	bool digits = false, rest = false;
	const char *p = text;
	for (; *p >= '0' && *p <= '9'; p++, digits = true) {
		whole = whole * 10 + (*p - '0');
		if (whole > OPTION_SECONDS_MAX)
			return false;
	}
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
			thousandths += (*p - '0') * unit;
			rest |= !unit && *p != '0';
			unit /= 10;
		}
	}
	if (*p || !digits)
		return false;
	*ms = whole * 1000 + thousandths + rest;
	return *ms <= (int64_t)OPTION_SECONDS_MAX * 1000;
}

static bool parse_number(const char *text, const struct option_def *o, int64_t *out)
{
	int64_t n = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9' && n <= o->most; p++)
		n = n > INT64_MAX / 10 - 1 ? INT64_MAX : n * 10 + (*p - '0');
	if (*p || p == text || n < o->least || n > o->most)
		return false;
	*out = n;
	return true;
}

static bool parse_size(const char *text, struct option_size *out)
{
	int *part[2] = {&out->width, &out->height};
	for (int i = 0; i < 2; i++) {
		int n = 0;
		if (*text < '1' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++) {
			n = n * 10 + (*text - '0');
			if (n > 9999)
				return false;
		}
		*part[i] = n;
		if (i == 0 && *text++ != 'x')
			return false;
	}
	return !*text;
}

static void add_choices(const struct option_def *o, struct buf *out)
{
	for (size_t i = 0; o->choices[i]; i++) {
		if (i)
			buf_addf(out, "%s", o->choices[i + 1] ? ", " : " or ");
		buf_addf(out, "%s", o->choices[i]);
	}
}

static void add_wrong(const struct option_def *o, const char *dashes, const char *argument,
		      struct buf *problem)
{
	buf_addf(problem, "%s%s: ", dashes, o->name);
	text_show(problem, bytes_of(argument));
}

bool option_set_value(const struct option_def *o, const char *dashes, const char *argument, void *values,
		      struct buf *problem)
{
	void *field = (char *)values + o->offset;
	if (o->type != OPTION_FLAG && !*argument) {
		buf_addf(problem, "%s%s: the %s is empty", dashes, o->name, o->argument);
		return false;
	}
	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return true;
	case OPTION_TEXT:
		*(const char **)field = argument;
		return true;
	case OPTION_LIST: {
		struct option_list *list = field;
		list->text = xrealloc(list->text, list->n + 1, sizeof(*list->text));
		list->text[list->n++] = argument;
		return true;
	}
	case OPTION_CHOICE:
		for (int i = 0; o->choices[i]; i++) {
			if (!strcmp(o->choices[i], argument)) {
				*(int *)field = i;
				return true;
			}
		}
		add_wrong(o, dashes, argument, problem);
		buf_addf(problem, ": expected ");
		add_choices(o, problem);
		return false;
	case OPTION_NUMBER:
		if (parse_number(argument, o, field))
			return true;
		add_wrong(o, dashes, argument, problem);
		buf_addf(problem, ": expected a whole number, %lld to %lld", (long long)o->least,
			 (long long)o->most);
		return false;
	case OPTION_SECONDS:
		if (option_seconds(argument, field))
			return true;
		add_wrong(o, dashes, argument, problem);
		buf_addf(problem, ": expected seconds, such as 10 or 0.5");
		return false;
	case OPTION_SIZE:
		if (parse_size(argument, field))
			return true;
		add_wrong(o, dashes, argument, problem);
		buf_addf(problem, ": expected WIDTHxHEIGHT, such as 80x24");
		return false;
	}
	assert(!"a type of option that is none");
	return false;
}

/* Why getopt did not know `word`, a long option: no option begins so, or several do. */
static void explain_unknown(const struct option_set *set, const char *word, struct buf *problem)
{
	size_t len = strcspn(word, "=");
	size_t matches = 0;
	for (size_t i = 0; len > 2 && i < set->n; i++)
		matches += set->options[i].only != OPTION_IN_FILE &&
			   !strncmp(set->options[i].name, word + 2, len - 2);
	text_show(problem, (struct bytes){(const uint8_t *)word, len});
	buf_addf(problem, matches > 1 ? ": which of the options?" : ": there is no such option");
	for (size_t i = 0; matches > 1 && i < set->n; i++) {
		if (!strncmp(set->options[i].name, word + 2, len - 2))
			buf_addf(problem, " --%s", set->options[i].name);
	}
}

static bool explain(const struct option_set *set, int c, char **argv, struct buf *problem)
{
	/* optopt: the letter, LONG_BASE + i, or 0 for a long option that getopt does not know */
	char letter[2] = {(char)optopt, '\0'};
	if (optopt >= LONG_BASE)
		buf_addf(problem, "--%s %s", set->options[optopt - LONG_BASE].name,
			 c == ':' ? "needs an argument" : "takes no argument");
	else if (c == ':')
		buf_addf(problem, "-%s needs an argument", letter);
	else if (optopt)
		text_show(problem, bytes_of(letter)),
			buf_addf(problem, ": there is no such option letter");
	else
		explain_unknown(set, argv[optind - 1], problem);
	return false;
}

static const struct option_def *find(const struct option_set *set, int c)
{
	if (c >= LONG_BASE)
		return &set->options[c - LONG_BASE];
	for (size_t i = 0; i < set->n; i++) {
		if (set->options[i].letter == c)
			return &set->options[i];
	}
	return NULL;
}

static void make_getopt(const struct option_set *set, struct option lng[OPTIONS_MAX + 1],
			struct buf *letters)
{
	buf_addf(letters, "-:"); /* other words in order, too; and silence */
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++) {
		const struct option_def *o = &set->options[i];
		if (o->only == OPTION_IN_FILE)
			continue;
		lng[n++] = (struct option){
			.name = o->name,
			.has_arg = o->type == OPTION_FLAG ? no_argument : required_argument,
			.val = LONG_BASE + (int)i,
		};
		if (o->letter)
			buf_addf(letters, "%c%s", o->letter, o->type == OPTION_FLAG ? "" : ":");
	}
	lng[n] = (struct option){0};
	buf_add_char(letters, '\0');
}

bool options_parse(const struct option_set *set, int argc, char **argv, void *values,
		   struct option_words *words, struct buf *problem)
{
	struct option lng[OPTIONS_MAX + 1];
	struct buf letters = {0};
	bool ok = true;
	assert(set->n <= OPTIONS_MAX);
	make_getopt(set, lng, &letters);
	words->text = xcalloc((size_t)argc + 1, sizeof(char *));
	opterr = 0;
	optind = 0; /* begin anew: tests parse many times */
	while (ok) {
		int c = getopt_long(argc, argv, (const char *)letters.data, lng, NULL);
		const struct option_def *o = c > 1 ? find(set, c) : NULL;
		if (c == -1)
			break;
		if (c == 1) {
			words->text[words->n++] = optarg;
		} else if (!o) {
			ok = explain(set, c, argv, problem);
		} else {
			size_t i = (size_t)(o - set->options);
			if (words->line[i] && o->type == OPTION_LIST)
				((struct option_list *)(void *)((char *)values + o->offset))->n = 0;
			words->given |= (uint32_t)1 << i;
			words->line[i] = 0;
			ok = option_set_value(o, "--", optarg ? optarg : "", values, problem);
		}
	}
	while (ok && optind < argc)
		words->text[words->n++] = argv[optind++];
	buf_release(&letters);
	return ok;
}

void options_release(const struct option_set *set, void *values, struct option_words *words)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->options[i].type != OPTION_LIST)
			continue;
		struct option_list *list = (void *)((char *)values + set->options[i].offset);
		free(list->text);
		*list = (struct option_list){0};
	}
	for (size_t i = 0; i < words->n_kept; i++)
		free(words->kept[i]);
	free(words->kept);
	free(words->text);
	*words = OPTION_WORDS_NONE;
}

const struct option_def *options_misplaced(const struct option_set *set,
					   const struct option_words *words, unsigned scope)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct option_def *o = &set->options[i];
		if ((words->given >> i & 1) && o->scope && !(o->scope & scope))
			return o;
	}
	return NULL;
}

/* Appends words at HELP_TEXT_COLUMN, on as many lines as they need; `column` is where we stand. */
static void add_wrapped(struct buf *out, const char *text, size_t column)
{
	while (*text) {
		size_t len = strcspn(text, " ");
		bool first = column < HELP_TEXT_COLUMN;
		if (column > HELP_TEXT_COLUMN && column + 1 + len > HELP_COLUMNS) {
			buf_add_char(out, '\n');
			column = 0;
			first = true;
		}
		for (; first && column < HELP_TEXT_COLUMN; column++)
			buf_add_char(out, ' ');
		buf_addf(out, "%s%.*s", first ? "" : " ", (int)len, text);
		column += len + !first;
		text += len;
		text += strspn(text, " ");
	}
	buf_add_char(out, '\n');
}

static void add_explanation(struct buf *text, const struct option_def *o)
{
	buf_addf(text, "%s", o->help);
	if (o->type == OPTION_CHOICE) {
		buf_addf(text, ": ");
		add_choices(o, text);
	}
	if (o->type == OPTION_LIST)
		buf_addf(text, "; repeatable");
	if (o->standard)
		buf_addf(text, " (default: %s)", o->standard);
	buf_add_char(text, '\0');
}

void options_help(const struct option_set *set, struct buf *out)
{
	struct buf text = {0};
	for (size_t i = 0; i < set->n; i++) {
		const struct option_def *o = &set->options[i];
		size_t start = out->len;
		if (o->hidden || o->only == OPTION_IN_FILE)
			continue;
		if (o->letter)
			buf_addf(out, "  -%c, ", o->letter);
		else
			buf_addf(out, "      ");
		buf_addf(out, "--%s", o->name);
		if (o->argument)
			buf_addf(out, " %s", o->argument);
		size_t column = out->len - start;
		if (column > HELP_TEXT_COLUMN - 2) {
			buf_add_char(out, '\n');
			column = 0;
		}
		buf_clear(&text);
		add_explanation(&text, o);
		add_wrapped(out, (const char *)text.data, column);
	}
	buf_release(&text);
}
