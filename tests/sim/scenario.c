/* Owns the text form of a history: one operation a line, the same words in both directions. */
#include "config.h"
#include "sim.h"

#include <stdlib.h>

static const struct {
	const char *word, *args;
} operations[] = {
#define X(id, word, args) {word, args},
	OPERATIONS(X)
#undef X
};

bool step_by_user(enum what what)
{
	return what <= DO_PIPE;
}

void scenario_add(struct scenario *sc, const struct step *step)
{
	GROW(sc->steps, sc->cap, sc->n + 1);
	sc->steps[sc->n++] = *step;
}

struct scenario scenario_copy(const struct scenario *sc)
{
	struct scenario copy = *sc;
	copy.steps = sc->n ? xmemdup(sc->steps, sc->n * sizeof(*sc->steps)) : NULL;
	copy.cap = sc->n;
	return copy;
}

void scenario_release(struct scenario *sc)
{
	free(sc->steps);
	*sc = (struct scenario){0};
}

/* ---- printing ---- */

static bool octal(enum what what)
{
	return what == DO_CHMOD || what == DO_MODE;
}

static void print_replica(uint8_t at, FILE *to)
{
	fprintf(to, " %c", at == AT_LAST ? 'Z' : at == AT_ALL ? '*' : 'A' + at);
}

void step_print(const struct step *st, FILE *to)
{
	const char *args = operations[st->what].args;
	fputs(operations[st->what].word, to);
	for (const char *a = args; *a; a++) {
		switch (*a) {
		case 'a': print_replica(st->at, to); break;
		case 'o': print_replica(st->other, to); break;
		case 'p': fprintf(to, " %s", st->path); break;
		case 'q': fprintf(to, " %s", st->to); break;
		case 'c': fprintf(to, " c%u", st->content); break;
		case 's': fprintf(to, " %llu", (unsigned long long)st->seed); break;
		default:
			if (octal(st->what))
				fprintf(to, " %llo", (unsigned long long)st->n);
			else
				fprintf(to, " %lld", (long long)st->n);
		}
	}
	fputc('\n', to);
}

void scenario_print(const struct scenario *sc, FILE *to)
{
	fprintf(to, "replicas %u\n", sc->replicas);
	for (size_t i = 0; i < sc->n; i++)
		step_print(&sc->steps[i], to);
}

/* ---- parsing ---- */

static bool number(const char *word, int base, unsigned long long max, unsigned long long *out)
{
	char *end;
	bool minus = *word == '-';
	*out = strtoull(word, &end, base);
	return *word && !*end && (minus || *out <= max);
}

static const char *argument(char kind, const char *word, unsigned replicas, struct step *st)
{
	unsigned long long n = 0;
	switch (kind) {
	case 'a':
	case 'o':
		if (strcmp(word, "Z") != 0 && strcmp(word, "*") != 0 &&
		    (strlen(word) != 1 || *word < 'A' || *word >= 'A' + (char)replicas))
			return "no such replica";
		*(kind == 'a' ? &st->at : &st->other) =
			*word == 'Z' ? AT_LAST : *word == '*' ? AT_ALL : (uint8_t)(*word - 'A');
		return NULL;
	case 'p':
	case 'q':
		if (strlen(word) >= PATH_CAP / 2)
			return "a path that long is not possible here";
		memcpy(kind == 'p' ? st->path : st->to, word, strlen(word) + 1);
		return NULL;
	case 'c':
		if (*word != 'c' || !number(word + 1, 10, 999, &n))
			return "a content is c0 to c999";
		st->content = (content_t)n;
		return NULL;
	case 's':
		if (!number(word, 10, UINT64_MAX, &n))
			return "a seed is a number";
		st->seed = n;
		return NULL;
	default:
		if (!number(word, octal(st->what) ? 8 : 10, INT64_MAX, &n))
			return "not a number";
		st->n = (int64_t)n;
		return NULL;
	}
}

static const char *parse_line(struct scenario *sc, char *line)
{
	char *rest = line, *word = strtok_r(rest, " \t", &rest);
	if (!word)
		return NULL;
	if (strcmp(word, "replicas") == 0) {
		unsigned long long n = 0;
		size_t given = 0;
		while ((word = strtok_r(NULL, " \t", &rest))) {
			if (!number(word, 10, REPLICAS, &n) || n < 1 || given == REPLICAS)
				return "replicas is followed by numbers from 1 to 5";
			*(given ? &sc->more[given - 1] : &sc->replicas) = (unsigned)n;
			given++;
		}
		return given ? NULL : "replicas is followed by numbers from 1 to 5";
	}
	struct step st = {.what = 0};
	while (st.what < DO_N && strcmp(operations[st.what].word, word) != 0)
		st.what++;
	if (st.what == DO_N)
		return "no such operation";
	for (const char *a = operations[st.what].args; *a; a++) {
		word = strtok_r(NULL, " \t", &rest);
		const char *wrong = word ? argument(*a, word, sc->replicas, &st) : "something is missing";
		if (wrong)
			return wrong;
	}
	if (strtok_r(NULL, " \t", &rest))
		return "too much in this line";
	scenario_add(sc, &st);
	return NULL;
}

const char *scenario_parse(struct scenario *sc, const char *text)
{
	static char wrong[200];
	char *copy = xstrdup(text), *rest = copy;
	unsigned n = 0;
	*sc = (struct scenario){.replicas = 2};
	*wrong = 0;
	while (rest && !*wrong) {
		char *line = rest;
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = 0;
		n++;
		char *comment = *line == '#' ? line : strstr(line, " # ");
		if (comment)
			*comment = 0;
		const char *why = parse_line(sc, line);
		if (why)
			snprintf(wrong, sizeof(wrong), "line %u: %s", n, why);
	}
	free(copy);
	if (*wrong)
		scenario_release(sc);
	return *wrong ? wrong : NULL;
}
