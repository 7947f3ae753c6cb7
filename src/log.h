/* Log lines of tuttid on stderr: one line a message, with its level, safe to show anywhere.
 * Under the systemd journal (stderr is the stream that $JOURNAL_STREAM names) lines begin with
 * the journal's level mark and carry no time; else they begin with the time in ISO 8601. */
#ifndef TUTTI_LOG_H
#define TUTTI_LOG_H

#include "base.h"

/* One list yields the enum, the names on the command line and in the lines. */
#define LOG_LEVELS(X)                                                                              \
	X(ERROR, "error", 3)                                                                       \
	X(WARNING, "warning", 4)                                                                   \
	X(INFO, "info", 6)                                                                         \
	X(DEBUG, "debug", 7)

enum log_level {
#define X(id, text, mark) LEVEL_##id,
	LOG_LEVELS(X)
#undef X
	LEVELS_N
};

/* Call once at the start; before, messages up to LEVEL_INFO are shown. */
void log_init(enum log_level level);
bool log_shows(enum log_level level);

/* The whole formatted text passes text_show(), so names and texts of others may be arguments.
 * Never blocks longer than one write(2) to stderr; a write that fails is ignored. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A cause that somebody else can repeat at will: LOG_BURST lines, then one every LOG_REFILL_MS.
 * The first line after a pause says how many were left out. Zero-initialised is full. */
struct log_limit {
	int64_t spent_ms; /* the bucket is full again at this monotonic time */
	uint64_t left_out;
};

enum { LOG_BURST = 5, LOG_REFILL_MS = 10000 };

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The decision behind it, for a time given: may one more line pass? */
bool log_limit_pass(struct log_limit *limit, int64_t now_ms);

#endif
