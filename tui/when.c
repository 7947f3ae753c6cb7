/* Owns how people's words for a time become nanoseconds. */
#include "config.h"
#include "when.h"

#include <time.h>

#define BILLION INT64_C(1000000000)

static const char *digits(const char *p, size_t n, int *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++, p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		*out = *out * 10 + (*p - '0');
	}
	return p;
}

static const char *expect(const char *p, char c)
{
	return p && *p == c ? p + 1 : NULL;
}

/* "14:05" or "14:05:07"; *length is that of what was said, in seconds. */
static const char *clock_of(const char *p, struct tm *tm, int64_t *length)
{
	p = digits(p, 2, &tm->tm_hour);
	p = expect(p, ':');
	p = p ? digits(p, 2, &tm->tm_min) : NULL;
	*length = 60;
	if (p && *p == ':') {
		p = digits(p + 1, 2, &tm->tm_sec);
		*length = 1;
	}
	return p && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60 ? p : NULL;
}

static const char *date_of(const char *p, struct tm *tm)
{
	p = digits(p, 4, &tm->tm_year);
	p = expect(p, '-');
	p = p ? digits(p, 2, &tm->tm_mon) : NULL;
	p = expect(p, '-');
	p = p ? digits(p, 2, &tm->tm_mday) : NULL;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return p;
}

/* Seconds since 1970 of a day and time in the local zone; false if there is no such day. */
static bool seconds_of(struct tm tm, int64_t *s)
{
	struct tm made = tm;
	made.tm_isdst = -1;
	*s = (int64_t)mktime(&made);
	return made.tm_mday == tm.tm_mday && made.tm_mon == tm.tm_mon && made.tm_year == tm.tm_year;
}

static bool is_ago(const char *p, int64_t *s)
{
	static const struct {
		const char *unit;
		int64_t s;
	} units[] = {
		{"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400},
	};
	int64_t n = 0;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > 10000000)
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(p, units[i].unit) == 0) {
			*s = n * units[i].s;
			return *s <= INT64_C(100000) * 86400;
		}
	}
	return false;
}

bool when_parse(const char *text, int64_t now_ns, bool end, int64_t *ns)
{
	time_t now = (time_t)(now_ns / BILLION);
	struct tm today, tm = {0};
	int64_t s, length = 86400;
	if (strcmp(text, "now") == 0) {
		*ns = now_ns;
		return true;
	}
	if (is_ago(text, &s)) {
		*ns = now_ns - s * BILLION;
		return true;
	}
	if (!localtime_r(&now, &today))
		return false;
	tm.tm_year = today.tm_year;
	tm.tm_mon = today.tm_mon;
	tm.tm_mday = today.tm_mday;
	const char *p;
	if (strcmp(text, "yesterday") == 0) {
		/* by way of noon, which every day has once */
		tm.tm_hour = 12;
		tm.tm_mday--;
		tm.tm_isdst = -1;
		(void)mktime(&tm);
		tm.tm_hour = 0;
	} else if (strcmp(text, "today") != 0) {
		p = clock_of(text, &tm, &length);
		if (!p) {
			tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
			length = 86400;
			p = date_of(text, &tm);
			if (p && (*p == ' ' || *p == 'T'))
				p = clock_of(p + 1, &tm, &length);
		}
		if (!p || *p)
			return false;
	}
	if (!seconds_of(tm, &s))
		return false;
	if (length == 86400 && end) {
		/* the next day begins 23, 24 or 25 hours later */
		tm.tm_mday++;
		tm.tm_isdst = -1;
		s = (int64_t)mktime(&tm);
	} else if (end) {
		s += length;
	}
	*ns = s * BILLION - end;
	return true;
}
