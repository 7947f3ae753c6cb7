/* Owns how numbers and dates look to people. Integer arithmetic only: exact at every border. */
#include "config.h"
#include "format.h"

#include <stdio.h>
#include <time.h>

enum { EXACT_BELOW = 10000 }; /* sizes under this are shown to the byte */

/* --- text into a buffer of known size --- */

struct field {
	char *at;
	size_t left; /* with the NUL */
};

static struct field field_of(char *out, size_t size)
{
	out[0] = '\0';
	return (struct field){out, size};
}

static void put_char(struct field *f, char c)
{
	assert(f->left > 1);
	*f->at++ = c;
	*f->at = '\0';
	f->left--;
}

static void put(struct field *f, const char *s)
{
	while (*s)
		put_char(f, *s++);
}

/* At least `width` digits; a comma before each three of them if `commas`. */
static void put_number(struct field *f, uint64_t n, unsigned width, bool commas)
{
	char reversed[32];
	unsigned len = 0, digits = 0;
	do {
		if (commas && digits > 0 && digits % 3 == 0)
			reversed[len++] = ',';
		reversed[len++] = (char)('0' + n % 10);
		n /= 10;
		digits++;
	} while (n > 0 || digits < width);
	while (len > 0)
		put_char(f, reversed[--len]);
}

static void put_tenths(struct field *f, uint64_t tenths)
{
	put_number(f, tenths / 10, 1, false);
	put_char(f, '.');
	put_number(f, tenths % 10, 1, false);
}

/* --- sizes --- */

static const char size_letters[] = "KMGTPE";
enum { SIZE_UNITS = sizeof(size_letters) - 1 };

/* Tenths of 1024^(unit + 1) in `bytes`, with `round` added before what remains is dropped. */
static uint64_t tenths_of(uint64_t bytes, unsigned unit, bool nearest)
{
	uint64_t size = (uint64_t)1 << (10 * (unit + 1));
	uint64_t rest = bytes % size * 10; /* < 10 * 2^60: fits */
	return bytes / size * 10 + (rest + (nearest ? size / 2 : 0)) / size;
}

/* The largest unit whose number does not get to 1024.0. */
static unsigned unit_for(uint64_t bytes)
{
	unsigned unit = 0;
	while (unit + 1 < SIZE_UNITS && tenths_of(bytes, unit, true) >= 10240)
		unit++;
	return unit;
}

void format_size(char out[16], uint64_t bytes, enum format_style style)
{
	struct field f = field_of(out, 16);
	bool is_short = style == FORMAT_SHORT;
	if (bytes < EXACT_BELOW) {
		put_number(&f, bytes, 1, !is_short);
		put(&f, is_short ? "" : " B");
		return;
	}
	unsigned unit = unit_for(bytes);
	put_tenths(&f, tenths_of(bytes, unit, true));
	if (!is_short)
		put_char(&f, ' ');
	put_char(&f, size_letters[unit]);
	if (!is_short)
		put(&f, "iB");
}

/* Tenths of `size`, a power of 1000, in `bytes`. */
static uint64_t decimal_tenths(uint64_t bytes, uint64_t size, bool nearest)
{
	/* < 1.1 * 10^19: fits */
	return bytes / size * 10 + (bytes % size * 10 + (nearest ? size / 2 : 0)) / size;
}

/* The largest unit whose number does not get to 1000.0: its size, and in *unit which it is. */
static uint64_t decimal_unit_for(uint64_t bytes, unsigned *unit)
{
	uint64_t size = 1000;
	for (*unit = 0; *unit + 1 < SIZE_UNITS && decimal_tenths(bytes, size, true) >= 10000; ++*unit)
		size *= 1000;
	return size;
}

void format_size_decimal(char out[16], uint64_t bytes, enum format_style style)
{
	struct field f = field_of(out, 16);
	bool is_short = style == FORMAT_SHORT;
	unsigned unit;
	if (bytes < EXACT_BELOW) {
		format_size(out, bytes, style);
		return;
	}
	uint64_t size = decimal_unit_for(bytes, &unit);
	put_tenths(&f, decimal_tenths(bytes, size, true));
	if (!is_short)
		put_char(&f, ' ');
	put_char(&f, unit == 0 && !is_short ? 'k' : size_letters[unit]);
	if (!is_short)
		put_char(&f, 'B');
}

/* `tenths` of `done` and `all` of `total`, in the unit of `whole`. */
static void put_progress(char out[40], uint64_t done, uint64_t total, uint64_t tenths, uint64_t all,
			 const char *whole)
{
	struct field f = field_of(out, 40);
	if (total < EXACT_BELOW)
		put_number(&f, done, 1, true);
	else
		put_tenths(&f, done < total && tenths == all ? tenths - 1 : tenths);
	put(&f, " / ");
	put(&f, whole);
}

void format_progress(char out[40], uint64_t done, uint64_t total)
{
	char whole[16];
	unsigned unit = unit_for(total);
	format_size(whole, total, FORMAT_LONG);
	put_progress(out, done, total, tenths_of(done, unit, done >= total),
		     tenths_of(total, unit, true), whole);
}

void format_progress_decimal(char out[40], uint64_t done, uint64_t total)
{
	char whole[16];
	unsigned unit;
	uint64_t size = decimal_unit_for(total, &unit);
	format_size_decimal(whole, total, FORMAT_LONG);
	put_progress(out, done, total, decimal_tenths(done, size, done >= total),
		     decimal_tenths(total, size, true), whole);
}

void format_count(char out[32], uint64_t n)
{
	struct field f = field_of(out, 32);
	put_number(&f, n, 1, true);
}

void format_rate(char out[16], uint64_t bytes_per_second)
{
	static const char *const units[] = {"kB/s", "MB/s", "GB/s", "TB/s", "PB/s", "EB/s"};
	struct field f = field_of(out, 16);
	if (bytes_per_second < 1000) {
		put_number(&f, bytes_per_second, 1, false);
		put(&f, " B/s");
		return;
	}
	size_t unit = 0;
	uint64_t size = 1000;
	while (unit + 1 < ARRAY_LEN(units) && bytes_per_second >= size * 1000 - size / 2) {
		size *= 1000;
		unit++;
	}
	uint64_t rest = bytes_per_second % size;
	uint64_t tenths = bytes_per_second / size * 10 + (rest * 10 + size / 2) / size;
	if (tenths < 100)
		put_tenths(&f, tenths);
	else
		put_number(&f, bytes_per_second / size + (rest + size / 2) / size, 1, false);
	put_char(&f, ' ');
	put(&f, units[unit]);
}

/* --- times --- */

void format_duration(char out[24], uint64_t seconds)
{
	struct field f = field_of(out, 24);
	uint64_t hours = seconds / 3600;
	if (hours >= 100) {
		put_number(&f, hours / 24, 1, false);
		put(&f, " d");
		return;
	}
	if (hours > 0) {
		put_number(&f, hours, 1, false);
		put_char(&f, ':');
	}
	put_number(&f, seconds / 60 % 60, hours > 0 ? 2 : 1, false);
	put_char(&f, ':');
	put_number(&f, seconds % 60, 2, false);
}

void format_duration_words(char out[24], uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} units[] = {{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}};
	struct field f = field_of(out, 24);
	size_t i = 0;
	while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
		i++;
	put_number(&f, seconds / units[i].seconds, 1, false);
	put(&f, units[i].text);
}

/* A number of a date with its separator in front, or as many '?'. */
static void put_part(struct field *f, const char *before, int value, unsigned width, bool known)
{
	put(f, before);
	if (known) {
		put_number(f, (uint64_t)value, width, false);
		return;
	}
	while (width-- > 0)
		put_char(f, '?');
}

void format_date(char out[20], const struct tm *tm, enum format_style style)
{
	struct field f = field_of(out, 20);
	bool known = tm->tm_year >= -1900 && tm->tm_year <= 9999 - 1900 && tm->tm_mon >= 0 &&
		     tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 &&
		     tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 &&
		     tm->tm_sec >= 0 && tm->tm_sec <= 60;
	if (style != FORMAT_SHORT)
		put_part(&f, "", known ? tm->tm_year + 1900 : 0, 4, known);
	put_part(&f, style != FORMAT_SHORT ? "-" : "", known ? tm->tm_mon + 1 : 0, 2, known);
	put_part(&f, "-", tm->tm_mday, 2, known);
	put_part(&f, " ", tm->tm_hour, 2, known);
	put_part(&f, ":", tm->tm_min, 2, known);
	if (style == FORMAT_SECONDS)
		put_part(&f, ":", tm->tm_sec, 2, known);
}

/* --- shares --- */

void format_percent(char out[8], uint64_t done, uint64_t total)
{
	struct field f = field_of(out, 8);
	uint64_t percent = 100;
	if (done < total)
		percent = (uint64_t)((unsigned __int128)done * 100 / total);
	put_number(&f, percent, 1, false);
	put_char(&f, '%');
}
