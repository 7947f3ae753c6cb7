/* Numbers as people read them: sizes, counts, rates, durations, dates, percentages.
 * No locale, no clock: the caller converts times to a struct tm. All results are ASCII, end with
 * a NUL and fit for every argument. */
#ifndef TUTTI_FORMAT_H
#define TUTTI_FORMAT_H

#include "base.h"

struct tm;

enum format_style {
	FORMAT_LONG,    /* "48.2 MiB"  "4,302 B"  "2026-11-22 14:02" */
	FORMAT_SHORT,   /* "48.2M"     "4302"     "11-22 14:02" */
	FORMAT_SECONDS, /* dates only: "2026-11-22 14:02:07" */
};

/* A size: exact below 10,000 bytes, then binary units with one decimal, rounded to nearest.
 * At most 10 characters long, 7 short. FORMAT_SECONDS counts as long. */
void format_size(char out[16], uint64_t bytes, enum format_style style);

/* The same in decimal units: "50.5 MB", short "50.5M". */
void format_size_decimal(char out[16], uint64_t bytes, enum format_style style);

/* "6.0 / 12.8 GiB": both in the unit of `total`; "512 / 4,302 B". What is not whole is rounded
 * down, so that it never looks whole. */
void format_progress(char out[40], uint64_t done, uint64_t total);

/* The same in decimal units: "6.0 / 12.8 GB". */
void format_progress_decimal(char out[40], uint64_t done, uint64_t total);

/* "1,204,331" */
void format_count(char out[32], uint64_t n);

/* "0 B/s", "4.2 MB/s", "512 kB/s": decimal units, at most 8 characters. */
void format_rate(char out[16], uint64_t bytes_per_second);

/* "1:52", "27:51", "2:03:10"; from 100 hours in days: "5 d". */
void format_duration(char out[24], uint64_t seconds);

/* "8 s", "26 min", "3 h", "2 d": whole units, rounded down. */
void format_duration_words(char out[24], uint64_t seconds);

/* The date in the zone that `tm` was made for; "?" instead of digits if a field is out of range
 * (years 0 to 9999). */
void format_date(char out[20], const struct tm *tm, enum format_style style);

/* "47%": rounded down, so that 100% means all; nothing to do is 100%. */
void format_percent(char out[8], uint64_t done, uint64_t total);

#endif
