/* Owns the commands and options of tutti, and which option goes with which command. */
#include "config.h"
#include "arguments.h"

#include "table.h"
#include "text.h"
#include "when.h"

#include <stdlib.h>

static const struct {
	const char *name, *words;
	size_t most;
	const char *help;
} commands[COMMANDS_N] = {
#define X(id, name, words, most, help) [COMMAND_##id] = {name, words, most, help},
	COMMANDS(X)
#undef X
};

#define ON(id) (1u << COMMAND_##id)
#define FIELD(f) .offset = offsetof(struct arguments, f)

static const char *const sorts[] = {
	[SORT_NAME] = "name", [SORT_SIZE] = "size", [SORT_DATE] = "date", [SORT_STATE] = "state",
	[SORTS_N] = NULL,
};

static const char *const colors[] = {[COLOR_AUTO] = "auto", [COLOR_NEVER] = "never", NULL};

const char *const key_roles[] = {"peer", "read-only", "client", "viewer", NULL};

static const struct option_def options[] = {
	{.name = "server", .letter = 's', .type = OPTION_TEXT, .argument = "SERVER", FIELD(server),
	 .help = "a socket's path, ID@HOST:PORT, or a local server's name",
	 .standard = "$TUTTI_SERVER, else the only local one"},
	{.name = "sort", .type = OPTION_CHOICE, .argument = "BY", .choices = sorts, FIELD(sort),
	 .help = "order of the rows", .standard = "name", .scope = ON(LIST)},
	{.name = "reverse", .type = OPTION_FLAG, FIELD(reverse), .help = "the other way round",
	 .scope = ON(LIST)},
	{.name = "filter", .type = OPTION_TEXT, .argument = "TEXT", FIELD(filter),
	 .help = "only rows with these words; state:WORD, kind:WORD", .scope = ON(LIST)},
	{.name = "under", .type = OPTION_TEXT, .argument = "DIR", FIELD(under),
	 .help = "only what is in this folder", .scope = ON(LIST)},
	{.name = "bytes", .type = OPTION_FLAG, FIELD(bytes), .help = "sizes in plain bytes",
	 .scope = ON(LIST)},
	{.name = "json", .type = OPTION_FLAG, FIELD(json), .help = "JSON, one object a line",
	 .scope = ON(LIST) | ON(STATUS) | ON(WATCH) | ON(RESYNC) | ON(PEERS) | ON(CONFLICTS) |
		  ON(RESOLVE) | ON(TRASH) | ON(RESTORE) | ON(HISTORY) | ON(HELD)},
	{.name = "keep", .type = OPTION_TEXT, .argument = "WHICH", FIELD(keep),
	 .help = "this, both, a replica's name or a copy's path", .scope = ON(RESOLVE)},
	{.name = "all", .type = OPTION_FLAG, FIELD(all), .help = "every conflict",
	 .scope = ON(RESOLVE)},
	{.name = "undo", .type = OPTION_FLAG, FIELD(undo),
	 .help = "take the last one back, or the last one of PATH", .scope = ON(RESOLVE)},
	{.name = "since", .type = OPTION_TEXT, .argument = "TIME", FIELD(since),
	 .help = "not before: 2026-11-22, \"2026-11-22 14:05\", 3h, 2d",
	 .scope = ON(TRASH) | ON(HISTORY)},
	{.name = "until", .type = OPTION_TEXT, .argument = "TIME", FIELD(until),
	 .help = "not after", .scope = ON(TRASH) | ON(HISTORY)},
	{.name = "at", .type = OPTION_TEXT, .argument = "TIME", FIELD(at),
	 .help = "the newest that went not after this time", .scope = ON(RESTORE)},
	{.name = "to", .type = OPTION_TEXT, .argument = "PATH", FIELD(to),
	 .help = "put it there, not where it was", .scope = ON(RESTORE)},
	{.name = "on", .type = OPTION_TEXT, .argument = "REPLICA", FIELD(on),
	 .help = "only in the trash of this one", .standard = "all that are connected",
	 .scope = ON(TRASH) | ON(RESTORE)},
	{.name = "timeout", .type = OPTION_SECONDS, .argument = "SECONDS", FIELD(timeout_ms),
	 .help = "wait no longer", .standard = "as long as it takes", .scope = ON(WAIT)},
	{.name = "role", .type = OPTION_CHOICE, .argument = "ROLE", .choices = key_roles, FIELD(role),
	 .help = "what the key may do", .standard = "peer", .scope = ON(TRUST) | ON(INVITE)},
	{.name = "name", .type = OPTION_TEXT, .argument = "NAME", FIELD(name),
	 .help = "what to call it", .scope = ON(TRUST)},
	{.name = "address", .type = OPTION_TEXT, .argument = "HOST:PORT", FIELD(address),
	 .help = "where to call it", .scope = ON(TRUST)},
	{.name = "ascii", .type = OPTION_FLAG, FIELD(ascii), .help = "nothing but ASCII on screen",
	 .scope = ON(SCREEN) | ON(DEMO)},
	{.name = "color", .type = OPTION_CHOICE, .argument = "WHEN", .choices = colors,
	 FIELD(color), .help = "colours on screen", .standard = "auto",
	 .scope = ON(SCREEN) | ON(DEMO)},
	{.name = "no-mouse", .type = OPTION_FLAG, FIELD(no_mouse),
	 .help = "leave the mouse to the terminal", .scope = ON(SCREEN) | ON(DEMO)},
	{.name = "readonly", .type = OPTION_FLAG, FIELD(readonly),
	 .help = "a screen that only shows", .scope = ON(SCREEN) | ON(DEMO)},
	{.name = "frame", .type = OPTION_SIZE, .argument = "WxH", FIELD(frame), .hidden = true,
	 .help = "print one screen as text and end", .scope = ON(SCREEN) | ON(DEMO)},
	{.name = "help", .letter = 'h', .type = OPTION_FLAG, FIELD(help), .help = "print this"},
	{.name = "version", .letter = 'V', .type = OPTION_FLAG, FIELD(version),
	 .help = "print the version"},
};

static const struct option_set set = {options, ARRAY_LEN(options)};

const struct option_set *arguments_options(void)
{
	return &set;
}

const char *command_name(enum command c)
{
	return commands[c].name;
}

static void add_help(struct buf *out)
{
	buf_addf(out, "Usage: tutti [-s SERVER] [COMMAND] [OPTION...]\n"
		      "Shows the directories that tuttid keeps in sync as one live table.\n\n");
	for (size_t i = 0; i < COMMANDS_N; i++) {
		size_t start = out->len;
		buf_addf(out, "  %s %s", *commands[i].name ? commands[i].name : "(none)",
			 commands[i].words);
		while (out->len - start < 18)
			buf_add_char(out, ' ');
		buf_addf(out, "%s\n", commands[i].help);
	}
	buf_add_char(out, '\n');
	options_help(&set, out);
	buf_addf(out, "\nExit status: 0 done, 1 not done (says why), 2 wrong usage, "
		      "3 no server reached.\nSee tutti(1); tuttid(8) is the server.\n");
}

static bool unknown_command(const char *name, struct buf *out)
{
	text_show(out, bytes_of(name));
	buf_addf(out, ": there is no such command; there are");
	for (size_t i = 1; i < COMMANDS_N; i++)
		buf_addf(out, "%s%s", i == 1 ? " " : i + 1 < COMMANDS_N ? ", " : " and ",
			 commands[i].name);
	return false;
}

static bool misplaced(const struct option_def *o, struct buf *out)
{
	buf_addf(out, "--%s goes with", o->name);
	bool first = true;
	for (size_t i = 0; i < COMMANDS_N; i++) {
		if (!(o->scope >> i & 1))
			continue;
		buf_addf(out, "%s%s", first ? " " : ", ", i ? commands[i].name : "the full screen");
		first = false;
	}
	return false;
}

static bool held_words_fit(const struct arguments *a, struct buf *out)
{
	if (!a->n_paths)
		return true;
	if (strcmp(a->path, "delete") != 0 && strcmp(a->path, "keep") != 0) {
		buf_addf(out, "held takes delete or keep, not ");
		text_show(out, bytes_of(a->path));
		return false;
	}
	if (a->n_paths < 2) {
		buf_addf(out, "held %s needs an ID, as tutti held prints it", a->path);
		return false;
	}
	size_t len = strlen(a->paths[1]);
	if (len > 16 || !len || strspn(a->paths[1], "0123456789abcdefABCDEF") != len) {
		text_show(out, bytes_of(a->paths[1]));
		buf_addf(out, " is no ID, as tutti held prints it");
		return false;
	}
	return true;
}

/* What goes together, and is said in full. */
static bool fits(const struct arguments *a, struct buf *out)
{
	const char *const times[] = {a->since, a->until, a->at};
	static const char *const names[] = {"since", "until", "at"};
	int64_t ns;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		if (!times[i] || when_parse(times[i], 0, false, &ns))
			continue;
		buf_addf(out, "--%s: ", names[i]);
		text_show(out, bytes_of(times[i]));
		buf_addf(out, ": expected a time such as 2026-11-22, \"2026-11-22 14:05\", 3h or 2d");
		return false;
	}
	if (a->command == COMMAND_HELD)
		return held_words_fit(a, out);
	if (a->command == COMMAND_RESTORE && !a->path)
		buf_addf(out, "restore needs the PATH that is to come back");
	else if (a->command != COMMAND_RESOLVE)
		return true;
	else if (a->undo && (a->keep || a->all))
		buf_addf(out, "--undo goes with no other choice");
	else if (a->all && a->path)
		buf_addf(out, "either --all or PATHs");
	else if (!a->undo && !a->all && !a->path)
		buf_addf(out, "resolve needs the PATHs of conflicts, or --all");
	else if (!a->undo && !a->keep)
		buf_addf(out, "resolve needs --keep: this, both, a replica's name or a copy's path");
	else
		return true;
	return false;
}

static bool take_words(struct arguments *a, const struct option_words *words, char **argv,
		       struct buf *out)
{
	size_t c = COMMAND_SCREEN;
	if (words->n) {
		for (c = 1; c < COMMANDS_N && strcmp(commands[c].name, words->text[0]);)
			c++;
		if (c == COMMANDS_N)
			return unknown_command(words->text[0], out);
	}
	a->command = (enum command)c;
	const struct option_def *o = options_misplaced(&set, words, 1u << c);
	if (o)
		return misplaced(o, out);
	if (words->n > 1 + commands[c].most) {
		text_show(out, bytes_of(words->text[1 + commands[c].most]));
		const char *one = commands[c].words + strspn(commands[c].words, "[");
		buf_addf(out, ": %s takes %s%.*s", commands[c].name,
			 commands[c].most == 1 ? "one " : commands[c].most ? "" : "nothing but options", (int)strcspn(one, "]"), one);
		return false;
	}
	a->path = words->n > 1 ? words->text[1] : NULL;
	/* argv, whose texts are all taken, has room for them */
	a->paths = argv + 1;
	for (size_t i = 1; i < words->n; i++)
		a->paths[a->n_paths++] = words->text[i];
	return fits(a, out);
}

enum arguments_result arguments_parse(struct arguments *a, int argc, char **argv, struct buf *out)
{
	struct option_words words = OPTION_WORDS_NONE;
	struct buf problem = {0};
	enum arguments_result result = ARGUMENTS_WRONG;
	*a = (struct arguments){.timeout_ms = -1};
	if (options_parse(&set, argc, argv, a, &words, &problem)) {
		result = a->help || a->version ? ARGUMENTS_SHOWN : ARGUMENTS_RUN;
		if (a->help)
			add_help(out);
		else if (a->version)
			buf_addf(out, "tutti %s\n", PACKAGE_VERSION);
		else if (!take_words(a, &words, argv, &problem))
			result = ARGUMENTS_WRONG;
	}
	if (result == ARGUMENTS_WRONG)
		buf_addf(out, "tutti: %.*s; see tutti --help\n", (int)problem.len,
			 (const char *)problem.data);
	buf_release(&problem);
	options_release(&set, a, &words);
	return result;
}
