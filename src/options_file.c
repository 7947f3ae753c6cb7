/* Owns how the options of a table are read from a file, in the syntax of libconfuse. */
#include "config.h"
#include "options.h"

#include "text.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1024 * 1024 };

/* What the callbacks of the parser need, which have no argument for it; one file is read at a time. */
static struct reading {
	const struct option_set *set;
	void *values;
	struct option_words *words;
	struct buf *problem;
	const char *path;
} *reading;

static void add_place(struct buf *out, const char *path, int line)
{
	text_show(out, bytes_of(path));
	if (line > 0)
		buf_addf(out, ":%d", line);
	buf_addf(out, ": ");
}

/* The first complaint counts; what follows are its consequences. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char *text = NULL;
	if (reading->problem->len)
		return;
	add_place(reading->problem, reading->path, cfg ? cfg->line : 0);
	if (vasprintf(&text, fmt, ap) >= 0)
		text_show(reading->problem, bytes_of(text));
	free(text);
}

static char *keep(struct option_words *words, const char *text)
{
	words->kept = xrealloc(words->kept, words->n_kept + 1, sizeof(*words->kept));
	return words->kept[words->n_kept++] = xstrdup(text);
}

static size_t index_of(const char *name)
{
	size_t i = 0;
	while (strcmp(reading->set->options[i].name, name) != 0)
		i++;
	return i;
}

/* Called after each value, when the parser still knows its line. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t i = index_of(cfg_opt_name(opt));
	const struct option_def *o = &reading->set->options[i];
	struct buf wrong = {0};
	bool ok = true;
	reading->words->line[i] = cfg->line;
	if (o->type == OPTION_FLAG) {
		*(bool *)((char *)reading->values + o->offset) = cfg_opt_getnbool(opt, 0);
	} else {
		/* Of a list it is called again at the end: then all are taken anew. */
		unsigned first = o->type == OPTION_LIST ? 0 : cfg_opt_size(opt) - 1;
		if (o->type == OPTION_LIST)
			((struct option_list *)(void *)((char *)reading->values + o->offset))->n = 0;
		for (unsigned k = first; ok && k < cfg_opt_size(opt); k++) {
			const char *text = cfg_opt_getnstr(opt, k);
			ok = option_set_value(o, "", keep(reading->words, text ? text : ""),
					      reading->values, &wrong);
		}
	}
	if (!ok && !reading->problem->len) {
		add_place(reading->problem, reading->path, cfg->line);
		buf_add(reading->problem, wrong.data, wrong.len);
	}
	buf_release(&wrong);
	return ok ? 0 : -1;
}

static cfg_opt_t make_opt(const struct option_def *o)
{
	if (o->type == OPTION_FLAG)
		return (cfg_opt_t)CFG_BOOL(o->name, cfg_false, CFGF_NODEFAULT);
	if (o->type == OPTION_LIST)
		return (cfg_opt_t)CFG_STR_LIST(o->name, NULL, CFGF_NODEFAULT);
	return (cfg_opt_t)CFG_STR(o->name, NULL, CFGF_NODEFAULT);
}

/* The whole file, with a NUL; the parser's own reading ends the program on an error. */
static bool slurp(const char *path, struct buf *content, struct buf *problem)
{
	FILE *f = fopen(path, "re");
	int error = f ? 0 : errno;
	for (size_t n = 1; f && n && content->len <= FILE_MAX;) {
		n = fread(buf_reserve(content, 4096), 1, 4096, f);
		content->len += n;
		if (ferror(f))
			error = errno;
	}
	if (f)
		fclose(f);
	if (error || content->len > FILE_MAX || memchr(content->data, '\0', content->len)) {
		add_place(problem, path, 0);
		buf_addf(problem, "%s", error ? strerror(error)
				      : content->len > FILE_MAX ? "too large for a file of options"
								: "no text");
		return false;
	}
	buf_add_char(content, '\0');
	return true;
}

/* Comments become blanks: the parser's library counts their lines wrongly. They begin with '#' anywhere,
 * with "//" or "/" "*" where a word could begin, but not in quotes. */
static void blank_comments(char *text)
{
	char quote = '\0', before = '\n';
	for (char *p = text; *p; before = *p++) {
		bool at_word = strchr(" \t\n{},=", before) != NULL;
		if (quote) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == quote)
				quote = '\0';
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '#' || (at_word && p[0] == '/' && p[1] == '/')) {
			for (; p[1] && p[1] != '\n'; p++)
				*p = ' ';
			*p = ' ';
		} else if (at_word && p[0] == '/' && p[1] == '*' && strstr(p + 2, "*/")) {
			for (const char *end = strstr(p + 2, "*/") + 1; p <= end; p++)
				if (*p != '\n')
					*p = ' ';
			p--;
		}
	}
}

bool options_read_file(const struct option_set *set, const char *path, void *values,
		       struct option_words *words, struct buf *problem)
{
	struct reading r = {set, values, words, problem, path};
	cfg_opt_t opts[OPTIONS_MAX + 1];
	struct buf content = {0};
	size_t n = 0;
	reading = &r;
	for (size_t i = 0; i < set->n; i++)
		if (set->options[i].only != OPTION_ON_LINE)
			opts[n++] = make_opt(&set->options[i]);
	opts[n] = (cfg_opt_t)CFG_END();
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg)
		abort(); /* memory */
	cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; i < n; i++)
		cfg_set_validate_func(cfg, opts[i].name, on_value);
	bool read = slurp(path, &content, problem);
	if (read)
		blank_comments((char *)content.data);
	if (read && cfg_parse_buf(cfg, (const char *)content.data) != CFG_SUCCESS && !problem->len) {
		add_place(problem, path, cfg->line);
		buf_addf(problem, "cannot be understood");
	}
	cfg_free(cfg);
	buf_release(&content);
	reading = NULL;
	return !problem->len;
}

void option_place(const struct option_set *set, const struct option_words *words, const char *path,
		  const char *name, struct buf *out)
{
	for (size_t i = 0; i < set->n; i++) {
		if (strcmp(set->options[i].name, name) != 0 || !words->line[i])
			continue;
		add_place(out, path, words->line[i]);
		buf_addf(out, "%s", name);
		return;
	}
	buf_addf(out, "--%s", name);
}
