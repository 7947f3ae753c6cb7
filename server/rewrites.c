/* Owns the waves of files that got new contents from other replicas. */
#include "config.h"
#include "rewrites.h"

#include "format.h"
#include "nodemap.h"
#include "text.h"

#include <stdlib.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

/* Very many: at least so many, and more than such a part of all files. */
static const struct {
	size_t n;
	unsigned percent;
} very_many[] = {
	{20, 50},
	{1000, 10},
	{10000, 0},
};

struct rewrites {
	struct rewrites_wave waves[REWRITES_WAVES_MAX]; /* as they began */
	size_t n;
};

struct rewrites *rewrites_new(void)
{
	return xcalloc(1, sizeof(struct rewrites));
}

/* Nothing more will be counted. */
static void wave_end(struct rewrites_wave *w)
{
	if (w->counted)
		nodemap_release(w->counted);
	free(w->counted);
	w->counted = NULL;
}

static void wave_release(struct rewrites_wave *w)
{
	free(w->replica);
	wave_end(w);
}

void rewrites_free(struct rewrites *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		wave_release(&r->waves[i]);
	free(r);
}

static void drop(struct rewrites *r, size_t i)
{
	wave_release(&r->waves[i]);
	memmove(&r->waves[i], &r->waves[i + 1], (r->n - 1 - i) * sizeof(r->waves[0]));
	r->n--;
}

/* A clock that was set back does not end it. */
static bool goes_on(const struct rewrites_wave *w, int64_t time_ns)
{
	return time_ns - (w->noted ? w->last_ns : w->first_ns) <= REWRITES_WAVE_S * SECOND_NS;
}

static bool is_recent(const struct rewrites_wave *w, int64_t now_ns)
{
	return now_ns - w->last_ns <= REWRITES_NOTED_S * SECOND_NS;
}

/* The one that it belongs to, or a new one. Those that came to nothing go. */
static struct rewrites_wave *wave_of(struct rewrites *r, struct bytes replica, int64_t time_ns)
{
	for (size_t i = r->n; i--; ) {
		struct rewrites_wave *w = &r->waves[i];
		if (goes_on(w, time_ns)) {
			if (bytes_eq(bytes_of(w->replica), replica))
				return w;
		} else if (!w->noted || !is_recent(w, time_ns)) {
			drop(r, i);
		} else {
			wave_end(w);
		}
	}
	size_t oldest = 0;
	while (oldest < r->n && r->waves[oldest].noted)
		oldest++;
	if (r->n == REWRITES_WAVES_MAX)
		drop(r, oldest < r->n ? oldest : 0);
	struct rewrites_wave *w = &r->waves[r->n++];
	*w = (struct rewrites_wave){
		.replica = xasprintf("%.*s", (int)replica.len, (const char *)replica.p),
		.first_ns = time_ns,
		.last_ns = time_ns,
		.counted = xcalloc(1, sizeof(struct nodemap)),
	};
	return w;
}

const struct rewrites_wave *rewrites_add(struct rewrites *r, struct bytes replica, uint64_t path,
					 int64_t time_ns, uint64_t files)
{
	struct rewrites_wave *w = wave_of(r, replica, time_ns);
	node_t key = (node_t)(path >> 33); /* 31 bits: never NODE_NONE; that two fall together is seldom */
	if (time_ns > w->last_ns)
		w->last_ns = time_ns;
	if (time_ns < w->first_ns)
		w->first_ns = time_ns;
	if (w->counted && w->n < REWRITES_COUNTED_MAX && !nodemap_get(w->counted, key)) {
		nodemap_put(w->counted, key, 1);
		w->n++;
	}
	bool before = w->noted;
	for (size_t i = 0; i < ARRAY_LEN(very_many); i++)
		w->noted = w->noted ||
			   (w->n >= very_many[i].n && (uint64_t)w->n * 100 > files * very_many[i].percent);
	return w->noted && !before ? w : NULL;
}

const struct rewrites_wave *rewrites_at(const struct rewrites *r, size_t i, int64_t now_ns)
{
	for (size_t at = 0; at < r->n; at++) {
		const struct rewrites_wave *w = &r->waves[at];
		if (w->noted && is_recent(w, now_ns) && i-- == 0)
			return w;
	}
	return NULL;
}

void rewrites_say(const struct rewrites_wave *w, struct buf *out)
{
	char count[32], date[20];
	struct tm tm = {0};
	time_t s = (time_t)(w->first_ns / SECOND_NS);
	localtime_r(&s, &tm);
	format_date(date, &tm, FORMAT_LONG);
	format_count(count, w->n);
	text_show(out, bytes_of(w->replica));
	buf_addf(out, " has given very many files new contents since %s: %s%s; if nobody meant that, what they held "
		 "before is in the trash, and spared there for a week: tutti trash --since \"%s\", tutti restore",
		 date, w->n < REWRITES_COUNTED_MAX ? "" : "more than ", count, date);
}
