/* Tests of format: sizes, counts, rates, durations, dates, percentages, and their borders. */
#include "config.h"
#include "format.h"
#include "suite.h"

#include <stdlib.h>
#include <time.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)
#define TIB (GIB * KIB)
#define PIB (TIB * KIB)
#define EIB (PIB * KIB)

static const struct {
	uint64_t bytes;
	const char *in_full, *in_short;
} sizes[] = {
	{0, "0 B", "0"},
	{1, "1 B", "1"},
	{17, "17 B", "17"},
	{661, "661 B", "661"},
	{999, "999 B", "999"},
	{1000, "1,000 B", "1000"},
	{1024, "1,024 B", "1024"},
	{4302, "4,302 B", "4302"},
	{9999, "9,999 B", "9999"},
	{10000, "9.8 KiB", "9.8K"},
	{46623, "45.5 KiB", "45.5K"},
	{90829, "88.7 KiB", "88.7K"},
	{131992, "128.9 KiB", "128.9K"},
	{8566866, "8.2 MiB", "8.2M"},
	{MIB - 52, "1023.9 KiB", "1023.9K"}, /* 1023.9492 */
	{MIB - 51, "1.0 MiB", "1.0M"},       /* 1023.9502 */
	{MIB - 1, "1.0 MiB", "1.0M"},
	{MIB, "1.0 MiB", "1.0M"},
	{50541363, "48.2 MiB", "48.2M"},
	{GIB - MIB / 20 - 1, "1023.9 MiB", "1023.9M"},
	{GIB - MIB / 20 + 1, "1.0 GiB", "1.0G"},
	{GIB, "1.0 GiB", "1.0G"},
	{611 * GIB, "611.0 GiB", "611.0G"},
	{TIB - 1, "1.0 TiB", "1.0T"},
	{TIB + TIB / 2, "1.5 TiB", "1.5T"},
	{PIB - 1, "1.0 PiB", "1.0P"},
	{EIB - 1, "1.0 EiB", "1.0E"},
	{EIB, "1.0 EiB", "1.0E"},
	{UINT64_MAX, "16.0 EiB", "16.0E"},
};

START_TEST(each_size_reads_well)
{
	char out[16];
	format_size(out, sizes[_i].bytes, FORMAT_LONG);
	ck_assert_str_eq(out, sizes[_i].in_full);
	format_size(out, sizes[_i].bytes, FORMAT_SHORT);
	ck_assert_str_eq(out, sizes[_i].in_short);
}
END_TEST

/* Around every power of two and over random numbers: short enough, never 1024.0, and as near to
 * the truth as one decimal allows. */
static void check_size(uint64_t bytes)
{
	char out[16], brief[16];
	format_size(out, bytes, FORMAT_LONG);
	format_size(brief, bytes, FORMAT_SHORT);
	ck_assert_uint_le(strlen(out), 10);
	ck_assert_uint_le(strlen(brief), 7);
	if (bytes < 10000)
		return;
	char *unit;
	long double shown = strtold(out, &unit);
	ck_assert_ptr_nonnull(strchr(out, '.'));
	ck_assert_str_eq(unit + 2, "iB");
	const char *letter = strchr("KMGTPE", unit[1]);
	ck_assert_ptr_nonnull(letter);
	long double size = 1024;
	for (long i = letter - "KMGTPE"; i > 0; i--)
		size *= 1024;
	ck_assert_msg(shown < 1024, "%llu: %s", (unsigned long long)bytes, out);
	ck_assert_msg(shown >= 1 || unit[1] == 'K', "%llu: %s", (unsigned long long)bytes, out);
	long double off = shown - (long double)bytes / size;
	ck_assert_msg(off < 0.0500001L && off > -0.0500001L, "seed %llu, %llu: %s",
		      (unsigned long long)suite_seed(), (unsigned long long)bytes, out);
}

START_TEST(decimal_sizes)
{
	static const struct {
		uint64_t bytes;
		const char *in_full, *in_short;
	} cases[] = {
		{0, "0 B", "0"},
		{9999, "9,999 B", "9999"},
		{10000, "10.0 kB", "10.0K"},
		{999949, "999.9 kB", "999.9K"},
		{999950, "1.0 MB", "1.0M"},
		{4404019, "4.4 MB", "4.4M"},
		{999949999, "999.9 MB", "999.9M"},
		{999950000, "1.0 GB", "1.0G"},
		{UINT64_C(103293963469), "103.3 GB", "103.3G"},
		{UINT64_MAX, "18.4 EB", "18.4E"},
	};
	char out[16];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		format_size_decimal(out, cases[i].bytes, FORMAT_LONG);
		ck_assert_str_eq(out, cases[i].in_full);
		format_size_decimal(out, cases[i].bytes, FORMAT_SHORT);
		ck_assert_str_eq(out, cases[i].in_short);
	}
}
END_TEST

START_TEST(sizes_hold_at_every_border)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (uint64_t near = 0; near < 200; near++) {
			check_size((UINT64_C(1) << bit) + near);
			check_size((UINT64_C(1) << bit) - near);
		}
	}
	for (uint64_t n = 1; n; n = n > UINT64_MAX / 10 ? 0 : n * 10) {
		check_size(n - 1);
		check_size(n);
	}
	uint64_t state = suite_seed();
	for (int i = 0; i < 100000; i++) {
		state++;
		check_size(hash64(&state, sizeof(state), 0) >> i % 64);
	}
}
END_TEST

START_TEST(progress_is_in_one_unit)
{
	static const struct {
		uint64_t done, total;
		const char *text;
	} cases[] = {
		{0, 0, "0 / 0 B"},
		{512, 4302, "512 / 4,302 B"},
		{4302, 4302, "4,302 / 4,302 B"},
		{6 * GIB, 12 * GIB + GIB * 8 / 10, "6.0 / 12.8 GiB"},
		{31 * MIB, 42 * MIB + MIB / 2, "31.0 / 42.5 MiB"},
		{0, GIB, "0.0 / 1.0 GiB"},
		{GIB - 1, GIB, "0.9 / 1.0 GiB"},
		{10240 - 1, 10240, "9.9 / 10.0 KiB"},
		{10240, 10240, "10.0 / 10.0 KiB"},
		{10190, 10191, "9.9 / 10.0 KiB"},
		{10191, 10191, "10.0 / 10.0 KiB"},
		{20480, 10240, "20.0 / 10.0 KiB"},
		{UINT64_MAX, UINT64_MAX, "16.0 / 16.0 EiB"},
		{UINT64_MAX, 9999, "18,446,744,073,709,551,615 / 9,999 B"},
		{UINT64_MAX, 10000, "18014398509481984.0 / 9.8 KiB"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[40];
		format_progress(out, cases[i].done, cases[i].total);
		ck_assert_str_eq(out, cases[i].text);
	}
}
END_TEST

START_TEST(progress_in_decimal_units)
{
	static const struct {
		uint64_t done, total;
		const char *text;
	} cases[] = {
		{0, 0, "0 / 0 B"},
		{512, 4302, "512 / 4,302 B"},
		{6000000000, 12800000000, "6.0 / 12.8 GB"},
		{799999999, 800000000, "799.9 / 800.0 MB"},
		{800000000, 800000000, "800.0 / 800.0 MB"},
		{UINT64_MAX, UINT64_MAX, "18.4 / 18.4 EB"},
		{UINT64_MAX, 10000, "18446744073709551.6 / 10.0 kB"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[40];
		format_progress_decimal(out, cases[i].done, cases[i].total);
		ck_assert_str_eq(out, cases[i].text);
	}
}
END_TEST

START_TEST(counts_have_commas)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1,000"},
		{100000, "100,000"},
		{1000001, "1,000,001"},
		{1204331, "1,204,331"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[32];
		format_count(out, cases[i].n);
		ck_assert_str_eq(out, cases[i].text);
	}
}
END_TEST

START_TEST(rates_are_decimal_and_narrow)
{
	static const struct {
		uint64_t rate;
		const char *text;
	} cases[] = {
		{0, "0 B/s"},
		{999, "999 B/s"},
		{1000, "1.0 kB/s"},
		{1049, "1.0 kB/s"},
		{1050, "1.1 kB/s"},
		{9949, "9.9 kB/s"},
		{9950, "10 kB/s"},
		{512000, "512 kB/s"},
		{999499, "999 kB/s"},
		{999500, "1.0 MB/s"},
		{4200000, "4.2 MB/s"},
		{42400000, "42 MB/s"},
		{999500000, "1.0 GB/s"},
		{1250000000, "1.3 GB/s"},
		{UINT64_C(999499999999999999), "999 PB/s"},
		{UINT64_C(999500000000000000), "1.0 EB/s"},
		{UINT64_MAX, "18 EB/s"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[16];
		format_rate(out, cases[i].rate);
		ck_assert_str_eq(out, cases[i].text);
	}
	uint64_t state = suite_seed();
	for (int i = 0; i < 100000; i++) {
		char out[16];
		state++;
		format_rate(out, hash64(&state, sizeof(state), 0) >> i % 64);
		ck_assert_msg(strlen(out) <= 8, "seed %llu: %s", (unsigned long long)suite_seed(), out);
	}
}
END_TEST

START_TEST(durations_read_well)
{
	static const struct {
		uint64_t seconds;
		const char *clock, *words;
	} cases[] = {
		{0, "0:00", "0 s"},
		{5, "0:05", "5 s"},
		{59, "0:59", "59 s"},
		{60, "1:00", "1 min"},
		{112, "1:52", "1 min"},
		{1599, "26:39", "26 min"},
		{1671, "27:51", "27 min"},
		{3599, "59:59", "59 min"},
		{3600, "1:00:00", "1 h"},
		{7390, "2:03:10", "2 h"},
		{86399, "23:59:59", "23 h"},
		{86400, "24:00:00", "1 d"},
		{359999, "99:59:59", "4 d"},
		{360000, "4 d", "4 d"},
		{UINT64_MAX, "213503982334601 d", "213503982334601 d"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[24];
		format_duration(out, cases[i].seconds);
		ck_assert_str_eq(out, cases[i].clock);
		format_duration_words(out, cases[i].seconds);
		ck_assert_str_eq(out, cases[i].words);
	}
}
END_TEST

START_TEST(dates_have_three_lengths)
{
	static const struct {
		int year, month, day, hour, minute, second;
		const char *in_full, *in_short, *with_seconds;
	} cases[] = {
		{2026, 11, 22, 14, 2, 7, "2026-11-22 14:02", "11-22 14:02", "2026-11-22 14:02:07"},
		{1970, 1, 1, 0, 0, 0, "1970-01-01 00:00", "01-01 00:00", "1970-01-01 00:00:00"},
		{0, 1, 1, 0, 0, 0, "0000-01-01 00:00", "01-01 00:00", "0000-01-01 00:00:00"},
		{9999, 12, 31, 23, 59, 60, "9999-12-31 23:59", "12-31 23:59",
		 "9999-12-31 23:59:60"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tm tm = {
			.tm_year = cases[i].year - 1900, .tm_mon = cases[i].month - 1,
			.tm_mday = cases[i].day, .tm_hour = cases[i].hour,
			.tm_min = cases[i].minute, .tm_sec = cases[i].second,
		};
		char out[20];
		format_date(out, &tm, FORMAT_LONG);
		ck_assert_str_eq(out, cases[i].in_full);
		format_date(out, &tm, FORMAT_SHORT);
		ck_assert_str_eq(out, cases[i].in_short);
		format_date(out, &tm, FORMAT_SECONDS);
		ck_assert_str_eq(out, cases[i].with_seconds);
	}
}
END_TEST

START_TEST(impossible_dates_are_unknown)
{
	/* Of each field, the values on both sides of what is possible. */
	static const int outside[][2] = {{-1901, 8100}, {-1, 12}, {0, 32}, {-1, 24}, {-1, 60},
					 {-1, 61}};
	static const int extremes[] = {-2147483647 - 1, 2147483647};
	for (size_t at = 0; at < ARRAY_LEN(outside); at++) {
		for (size_t i = 0; i < 4; i++) {
			struct tm tm = {.tm_mday = 1};
			int *const fields[] = {&tm.tm_year, &tm.tm_mon, &tm.tm_mday,
					       &tm.tm_hour, &tm.tm_min, &tm.tm_sec};
			*fields[at] = i < 2 ? outside[at][i] : extremes[i - 2];
			char out[20];
			format_date(out, &tm, FORMAT_LONG);
			ck_assert_str_eq(out, "???\?-?\?-?? ??:??");
			format_date(out, &tm, FORMAT_SHORT);
			ck_assert_str_eq(out, "?\?-?? ??:??");
			format_date(out, &tm, FORMAT_SECONDS);
			ck_assert_str_eq(out, "???\?-?\?-?? ??:??:??");
		}
	}
}
END_TEST

START_TEST(hundred_percent_means_all)
{
	static const struct {
		uint64_t done, total;
		const char *text;
	} cases[] = {
		{0, 0, "100%"},
		{0, 1, "0%"},
		{1, 1, "100%"},
		{2, 1, "100%"},
		{47, 100, "47%"},
		{999, 1000, "99%"},
		{1, 1000, "0%"},
		{UINT64_MAX - 1, UINT64_MAX, "99%"},
		{UINT64_MAX / 2, UINT64_MAX, "49%"},
		{UINT64_MAX / 2 + 1, UINT64_MAX, "50%"},
		{UINT64_MAX, UINT64_MAX, "100%"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[8];
		format_percent(out, cases[i].done, cases[i].total);
		ck_assert_str_eq(out, cases[i].text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_new("format");
	TCase *t = suite_case(s, "format", NULL, NULL);
	tcase_add_loop_test(t, each_size_reads_well, 0, (int)ARRAY_LEN(sizes));
	tcase_add_test(t, decimal_sizes);
	tcase_add_test(t, sizes_hold_at_every_border);
	tcase_add_test(t, progress_is_in_one_unit);
	tcase_add_test(t, progress_in_decimal_units);
	tcase_add_test(t, counts_have_commas);
	tcase_add_test(t, rates_are_decimal_and_narrow);
	tcase_add_test(t, durations_read_well);
	tcase_add_test(t, dates_have_three_lengths);
	tcase_add_test(t, impossible_dates_are_unknown);
	tcase_add_test(t, hundred_percent_means_all);
	return suite_run(s);
}
