/* Tests that people's words for a time are the right nanoseconds, in every zone. */
#include "config.h"
#include "when.h"
#include "suite.h"

#include <stdlib.h>
#include <time.h>

#define S INT64_C(1000000000)
/* 2026-11-22 14:05:07.5 UTC */
#define NOW (INT64_C(1795356307) * S + S / 2)
#define DAY (INT64_C(1795305600) * S) /* its midnight, UTC */

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void setup(void)
{
	zone("UTC");
}

static const struct {
	const char *text;
	int64_t begin, end;
} good[] = {
	{"now", NOW, NOW},
	{"0s", NOW, NOW},
	{"90s", NOW - 90 * S, NOW - 90 * S},
	{"30min", NOW - 1800 * S, NOW - 1800 * S},
	{"5m", NOW - 300 * S, NOW - 300 * S},
	{"3h", NOW - 3 * 3600 * S, NOW - 3 * 3600 * S},
	{"2d", NOW - 2 * 86400 * S, NOW - 2 * 86400 * S},
	{"1w", NOW - 7 * 86400 * S, NOW - 7 * 86400 * S},
	{"today", DAY, DAY + 86400 * S - 1},
	{"yesterday", DAY - 86400 * S, DAY - 1},
	{"14:05", DAY + 50700 * S, DAY + 50760 * S - 1},
	{"14:05:07", DAY + 50707 * S, DAY + 50708 * S - 1},
	{"00:00", DAY, DAY + 60 * S - 1},
	{"2026-11-22", DAY, DAY + 86400 * S - 1},
	{"2026-11-21 23:59", DAY - 60 * S, DAY - 1},
	{"2026-11-21T23:59:59", DAY - S, DAY - 1},
	{"2024-02-29", INT64_C(1709164800) * S, INT64_C(1709251200) * S - 1},
	{"1970-01-01", 0, 86400 * S - 1},
	{"1969-12-31", -86400 * S, -1},
};

START_TEST(words_are_times)
{
	int64_t ns;
	ck_assert(when_parse(good[_i].text, NOW, false, &ns));
	ck_assert_int_eq(ns, good[_i].begin);
	ck_assert(when_parse(good[_i].text, NOW, true, &ns));
	ck_assert_int_eq(ns, good[_i].end);
}
END_TEST

START_TEST(other_words_are_none)
{
	static const char *const bad[] = {
		"", " ", "soon", "3", "h", "3x", "-3h", "3 h", "3h ", "99999999d", "10000000d", "24:00",
		"14:60", "14:05:60", "1:05", "14:5", "14:05:", "2026-13-01", "2026-00-01",
		"2026-02-29", "2026-11-31", "2026-11-00", "2026-1-2", "26-11-22", "2026-11-22 ",
		"2026-11-22 14", "2026-11-22  14:05", "2026-11-22T", "2026-11-22 14:05 x",
		"2026-11-22x", "99999999999999999999s", "\xff", "NOW",
	};
	int64_t ns;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!when_parse(bad[i], NOW, false, &ns), "'%s'", bad[i]);
}
END_TEST

START_TEST(days_are_those_of_the_zone)
{
	int64_t begin, end;
	/* the clock is put back on the 25th of October: 25 hours; forward on the 29th of March: 23 */
	static const struct {
		const char *day;
		int64_t hours;
	} days[] = {{"2026-10-25", 25}, {"2026-03-29", 23}, {"2026-11-22", 24}};
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t i = 0; i < ARRAY_LEN(days); i++) {
		ck_assert(when_parse(days[i].day, NOW, false, &begin));
		ck_assert(when_parse(days[i].day, NOW, true, &end));
		ck_assert_int_eq(end - begin + 1, days[i].hours * 3600 * S);
	}
	ck_assert(when_parse("today", NOW, false, &begin));
	ck_assert_int_eq(begin, DAY - 3600 * S);
	zone("UTC+11"); /* it is still the 22nd there, but 3 in the morning */
	ck_assert(when_parse("03:05", NOW, false, &begin));
	ck_assert_int_eq(begin, NOW - 7 * S - S / 2);
	/* the day after the clock was put back */
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	ck_assert(when_parse("yesterday", INT64_C(1793048400) * S, false, &begin)); /* 26th, 22:00 */
	ck_assert(when_parse("2026-10-25", NOW, false, &end));
	ck_assert_int_eq(begin, end);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("when");
	TCase *t = suite_case(s, "when", setup, NULL);
	tcase_add_loop_test(t, words_are_times, 0, (int)ARRAY_LEN(good));
	tcase_add_test(t, other_words_are_none);
	tcase_add_test(t, days_are_those_of_the_zone);
	return suite_run(s);
}
