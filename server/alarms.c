/* Owns what people should know of others. */
#include "config.h"
#include "alarms.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct alarms {
	struct alarm list[ALARMS_MAX]; /* the newest last */
	size_t n;
	struct log_limit limit;
};

struct alarms *alarms_new(void)
{
	return xcalloc(1, sizeof(struct alarms));
}

void alarms_free(struct alarms *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		free(a->list[i].text);
	free(a);
}

/* Of what passes the last word counts. */
static bool same(const struct alarm *a, const struct replica_id *who, bool passing, const char *text)
{
	if (a->passing != passing)
		return false;
	return passing ? replica_id_eq(&a->who, who) : strcmp(a->text, text) == 0;
}

void alarms_raise(struct alarms *a, const struct replica_id *who, bool passing, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	size_t at = 0, oldest = 0;
	while (at < a->n && !same(&a->list[at], who, passing, text))
		at++;
	if (passing)
		log_limited(&a->limit, LEVEL_ERROR, "%s", text);
	else if (at == a->n)
		log_error("%s", text);
	while (oldest < a->n && !a->list[oldest].passing)
		oldest++;
	if (at == a->n && a->n == ALARMS_MAX)
		at = oldest < a->n ? oldest : 0;
	if (at == a->n)
		a->n++;
	else
		free(a->list[at].text);
	memmove(&a->list[at], &a->list[at + 1], (a->n - 1 - at) * sizeof(a->list[0]));
	a->list[a->n - 1] = (struct alarm){text, *who, passing};
}

const struct alarm *alarms_at(const struct alarms *a, size_t i)
{
	return i < a->n ? &a->list[i] : NULL;
}
