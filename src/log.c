/* Owns the form of log lines and how many of them one cause may write. */
#include "config.h"
#include "log.h"

#include "text.h"
#include "write_full.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *text;
	int mark;
} levels[LEVELS_N] = {
#define X(id, text, mark) [LEVEL_##id] = {text, mark},
	LOG_LEVELS(X)
#undef X
};

static enum log_level shown = LEVEL_INFO;
static bool journal;

static bool stderr_is_journal(void)
{
	const char *name = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!name || fstat(STDERR_FILENO, &st))
		return false;
	char *own = xasprintf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	bool same = !strcmp(own, name);
	free(own);
	return same;
}

void log_init(enum log_level level)
{
	assert(level < LEVELS_N);
	shown = level;
	journal = stderr_is_journal();
}

bool log_shows(enum log_level level)
{
	return level <= shown;
}

static void add_head(struct buf *line, enum log_level level)
{
	if (journal) {
		buf_addf(line, "<%d>", levels[level].mark);
		return;
	}
	struct timespec now;
	struct tm tm;
	char date[32] = "";
	clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S%z", &tm);
	buf_addf(line, "%s %s: ", date, levels[level].text);
}

static __attribute__((format(printf, 3, 0))) void log_line(enum log_level level,
							   uint64_t left_out, const char *fmt,
							   va_list ap)
{
	int saved = errno;
	char *text;
	errno = saved; /* for %m */
	if (vasprintf(&text, fmt, ap) >= 0) {
		struct buf line = {0};
		add_head(&line, level);
		text_show(&line, bytes_of(text));
		if (left_out)
			buf_addf(&line, " (%" PRIu64 " more like this were left out)", left_out);
		buf_add_char(&line, '\n');
		(void)write_full(STDERR_FILENO, line.data, line.len);
		buf_release(&line);
		free(text);
	}
	errno = saved;
}

#define LOG_FUNCTION(name, level)                                                                  \
	void name(const char *fmt, ...)                                                            \
	{                                                                                          \
		if (!log_shows(level))                                                             \
			return;                                                                    \
		va_list ap;                                                                        \
		va_start(ap, fmt);                                                                 \
		log_line(level, 0, fmt, ap);                                                       \
		va_end(ap);                                                                        \
	}

LOG_FUNCTION(log_error, LEVEL_ERROR)
LOG_FUNCTION(log_warning, LEVEL_WARNING)
LOG_FUNCTION(log_info, LEVEL_INFO)
LOG_FUNCTION(log_debug, LEVEL_DEBUG)

/* The bucket as one number: each line pushes the time when it is full again further away. */
bool log_limit_pass(struct log_limit *limit, int64_t now_ms)
{
	int64_t full_ms = limit->spent_ms > now_ms ? limit->spent_ms : now_ms;
	if (full_ms + LOG_REFILL_MS > now_ms + (int64_t)LOG_BURST * LOG_REFILL_MS) {
		limit->left_out++;
		return false;
	}
	limit->spent_ms = full_ms + LOG_REFILL_MS;
	return true;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	if (!log_shows(level))
		return;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!log_limit_pass(limit, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000))
		return;
	uint64_t left_out = limit->left_out;
	limit->left_out = 0;
	va_list ap;
	va_start(ap, fmt);
	log_line(level, left_out, fmt, ap);
	va_end(ap);
}
