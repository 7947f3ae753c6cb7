/* Command lines from one table of options: parsing, checks, the text of --help, and whatever
 * else wants to know them (tests compare the manuals). */
#ifndef TUTTI_OPTIONS_H
#define TUTTI_OPTIONS_H

#include "base.h"

/* What the field of an option in the caller's struct of values is. */
enum option_type {
	OPTION_FLAG,    /* bool: set to true */
	OPTION_TEXT,    /* const char *: the argument; never empty */
	OPTION_CHOICE,  /* int: index of the argument in `choices` */
	OPTION_NUMBER,  /* int64_t: a whole number, `least` to `most` */
	OPTION_SECONDS, /* int64_t: milliseconds, from decimal seconds; 0 to OPTION_SECONDS_MAX */
	OPTION_SIZE,    /* struct option_size: "WxH", each 1 to 9999 */
	OPTION_LIST,    /* struct option_list: every argument in order; never empty */
};

struct option_size {
	int width, height; /* 0: not given */
};

struct option_list {
	const char **text; /* the list is the values' owner's: options_release() */
	size_t n;
};

enum { OPTION_SECONDS_MAX = 1000000000 };

enum option_where { OPTION_ON_LINE = 1, OPTION_IN_FILE = 2 };

struct option_def {
	const char *name;        /* long name, without dashes */
	char letter;             /* 0: none */
	enum option_type type;
	const char *argument;    /* its name in help; NULL for flags only */
	const char *help;        /* one line, lower case, no full stop */
	const char *standard;    /* the default in words, for help; NULL: none to mention */
	const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
	int64_t least, most;     /* OPTION_NUMBER */
	unsigned scope;          /* bits of the caller's; 0: everywhere */
	bool hidden;             /* for tests: not in help or manual */
	enum option_where only;  /* on the command line, or in files; 0: in both */
	size_t offset;           /* of the field in the struct of values */
};

struct option_set {
	const struct option_def *options; /* up to OPTIONS_MAX */
	size_t n;
};

enum { OPTIONS_MAX = 32 };

struct option_words {
	char **text; /* arguments that are no options, in order; point into argv */
	size_t n;
	uint32_t given; /* bit i: options[i] was given on the command line */
	int line[OPTIONS_MAX]; /* of options[i] in the file that was read; 0: not from there */
	char **kept;    /* values from the file */
	size_t n_kept;
};

/* An empty one, for options_read_file() or options_parse(). */
#define OPTION_WORDS_NONE ((struct option_words){0})

/* Reads argv[1..] on top of what a file said: an option that is given on the command line takes the
 * place of the file's, lists as a whole. `words` is empty or from options_read_file(); options and
 * other words may be mixed, "--" ends the options. Values of options
 * that are not given stay as they are. True, or false with one line in `problem` (no newline,
 * safe to show). `words->text` and lists in `values` are to be released either way. */
bool options_parse(const struct option_set *set, int argc, char **argv, void *values,
		   struct option_words *words, struct buf *problem);
void options_release(const struct option_set *set, void *values, struct option_words *words);

/* Reads a file of lines `name = value`, lists as {"a", "b"} (the syntax of libconfuse, which knows
 * comments and ${VARIABLES}), into `values` and `words`, which are empty. True, or false with one line in
 * `problem`, which begins with the file and the line number. Not reentrant. */
bool options_read_file(const struct option_set *set, const char *path, void *values,
		       struct option_words *words, struct buf *problem);
/* How an option is called in complaints about its value: "--listen", or "FILE:3: listen". */
void option_place(const struct option_set *set, const struct option_words *words, const char *path,
		  const char *name, struct buf *out);
/* One value, by its type; `dashes` ("--" or "") go before the name in `problem`. `argument` is borrowed. */
bool option_set_value(const struct option_def *o, const char *dashes, const char *argument, void *values,
		      struct buf *problem);

/* The first given option that has a scope without any bit of `scope`; NULL if all fit. */
const struct option_def *options_misplaced(const struct option_set *set,
					   const struct option_words *words, unsigned scope);

/* Appends the lines of --help: "  -n, --name NAME       text (default: ...)". */
void options_help(const struct option_set *set, struct buf *out);

/* Decimal seconds ("2", "0.5", ".25") as milliseconds, rounded up; false if it is none or too large. */
bool option_seconds(const char *text, int64_t *ms);

#endif
