/* Tests of command lines: options from tables, addresses, the settings of tuttid, the arguments
 * of tutti, default places, and how many lines one cause may log. */
#include "config.h"
#include "options.h"

#include "address.h"
#include "arguments.h"
#include "log.h"
#include "places.h"
#include "settings.h"
#include "suite.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct buf said;

static const char *text(struct buf *b)
{
	buf_add_char(b, '\0');
	b->len--;
	return (const char *)b->data;
}

#define ck_assert_says(words)                                                                      \
	ck_assert_msg(strstr(text(&said), words), "\"%s\" does not say \"%s\"", text(&said), words)

/* --- options */

enum { ON_A = 1, ON_B = 2 };

struct values {
	bool flag, other;
	const char *text;
	int choice;
	int64_t ms;
	struct option_size size;
	struct option_list list;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct option_def defs[] = {
	{.name = "flag", .letter = 'f', .type = OPTION_FLAG, .help = "a flag",
	 .offset = offsetof(struct values, flag)},
	{.name = "flare", .type = OPTION_FLAG, .help = "another", .scope = ON_A,
	 .offset = offsetof(struct values, other)},
	{.name = "text", .letter = 't', .type = OPTION_TEXT, .argument = "TEXT", .help = "a text",
	 .standard = "none", .scope = ON_B, .offset = offsetof(struct values, text)},
	{.name = "choice", .type = OPTION_CHOICE, .argument = "COLOUR", .choices = colours,
	 .help = "a choice", .offset = offsetof(struct values, choice)},
	{.name = "time", .type = OPTION_SECONDS, .argument = "SECONDS", .help = "a time",
	 .offset = offsetof(struct values, ms)},
	{.name = "size", .type = OPTION_SIZE, .argument = "WxH", .help = "hidden", .hidden = true,
	 .offset = offsetof(struct values, size)},
	{.name = "list", .letter = 'l', .type = OPTION_LIST, .argument = "ITEM", .help = "items",
	 .offset = offsetof(struct values, list)},
};
static const struct option_set set = {defs, ARRAY_LEN(defs)};

static struct values got;
static struct option_words words;

static void forget(void)
{
	options_release(&set, &got, &words);
	got = (struct values){0};
	buf_clear(&said);
}

/* Arguments are given as one string, separated by '|'. */
static int split(char *line, char *argv[24])
{
	int argc = 0;
	argv[argc++] = (char *)"program";
	for (char *p = *line ? line : NULL; p; argc++) {
		argv[argc] = p;
		p = strchr(p, '|');
		if (p)
			*p++ = '\0';
	}
	argv[argc] = NULL;
	return argc;
}

static char line[4096];

static bool parse(const char *given)
{
	char *argv[40];
	forget();
	snprintf(line, sizeof(line), "%s", given);
	return options_parse(&set, split(line, argv), argv, &got, &words, &said);
}

START_TEST(every_type_takes_its_argument)
{
	ck_assert(parse("-f|--text=a b|--choice|blue|--time|1.5|--size=80x24|-lx|--list|y"));
	ck_assert(got.flag);
	ck_assert(!got.other);
	ck_assert_str_eq(got.text, "a b");
	ck_assert_int_eq(got.choice, 2);
	ck_assert_int_eq(got.ms, 1500);
	ck_assert_int_eq(got.size.width, 80);
	ck_assert_int_eq(got.size.height, 24);
	ck_assert_uint_eq(got.list.n, 2);
	ck_assert_str_eq(got.list.text[0], "x");
	ck_assert_str_eq(got.list.text[1], "y");
	ck_assert_uint_eq(words.n, 0);
	ck_assert_uint_eq(said.len, 0);
	forget();
}
END_TEST

START_TEST(what_is_not_given_stays)
{
	char *argv[] = {(char *)"program", NULL};
	forget();
	got.ms = -1;
	got.text = "standard";
	ck_assert(options_parse(&set, 1, argv, &got, &words, &said));
	ck_assert_int_eq(got.ms, -1);
	ck_assert_str_eq(got.text, "standard");
	ck_assert_uint_eq(words.given, 0);
	forget();
}
END_TEST

START_TEST(words_stand_anywhere)
{
	ck_assert(parse("one|-f|two|--|--flag|-t"));
	ck_assert_uint_eq(words.n, 4);
	ck_assert_str_eq(words.text[0], "one");
	ck_assert_str_eq(words.text[1], "two");
	ck_assert_str_eq(words.text[2], "--flag");
	ck_assert_str_eq(words.text[3], "-t");
	forget();
	setenv("POSIXLY_CORRECT", "1", 1);
	ck_assert(parse("one|-f"));
	unsetenv("POSIXLY_CORRECT");
	ck_assert(got.flag);
	ck_assert_uint_eq(words.n, 1);
	forget();
}
END_TEST

static const struct {
	const char *given, *says;
} wrong_options[] = {
	{"--nothing", "--nothing: there is no such option"},
	{"-x", "x: there is no such option letter"},
	{"-fx", "x: there is no such option letter"},
	{"--fla", "--fla: which of the options? --flag --flare"},
	{"--flag=1", "--flag takes no argument"},
	{"--text", "--text needs an argument"},
	{"-t", "-t needs an argument"},
	{"--text=", "--text: the TEXT is empty"},
	{"-l|", "--list: the ITEM is empty"},
	{"--choice=pink", "--choice: pink: expected red, green or blue"},
	{"--time=soon", "--time: soon: expected seconds"},
	{"--size=80", "--size: 80: expected WIDTHxHEIGHT"},
	{"--choice=\x1b[31m", "--choice: \\x1b[31m: expected"},
	{"--\x1b[31m", "--\\x1b[31m: there is no such option"},
};

START_TEST(wrong_options_are_explained)
{
	ck_assert(!parse(wrong_options[_i].given));
	ck_assert_says(wrong_options[_i].says);
	ck_assert_ptr_null(strchr(text(&said), '\n'));
	forget();
}
END_TEST

START_TEST(seconds_are_exact)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"2", 2000}, {"0.5", 500}, {".25", 250}, {"1.", 1000},
		    {"1.0001", 1001}, {"1.0000", 1000}, {"0.001", 1},
		    {"1000000000", 1000000000000}};
	static const char *const bad[] = {"", ".", "-1", "+1", "1e3", " 1", "1 ", "0x10", "1,5",
					  "1.2.3", "1000000001", "1000000000.5", "inf", "nan",
					  "99999999999999999999999999"};
	int64_t ms;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(option_seconds(good[i].text, &ms), "%s", good[i].text);
		ck_assert_int_eq(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!option_seconds(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(sizes_have_limits)
{
	static const char *const bad[] = {"0x1", "1x0", "x", "1x", "x1", "10000x1", "1x10000",
					  "80X24", "80x24x", "-1x5", "01x5"};
	struct buf given = {0};
	ck_assert(parse("--size=9999x1"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&given);
		buf_addf(&given, "--size=%s", bad[i]);
		ck_assert_msg(!parse(text(&given)), "%s", bad[i]);
	}
	buf_release(&given);
	forget();
}
END_TEST

START_TEST(options_have_their_scope)
{
	ck_assert(parse("-f|--flare|-t|x"));
	ck_assert_str_eq(options_misplaced(&set, &words, ON_A)->name, "text");
	ck_assert_str_eq(options_misplaced(&set, &words, ON_B)->name, "flare");
	ck_assert_ptr_null(options_misplaced(&set, &words, ON_A | ON_B));
	ck_assert(parse("-f"));
	ck_assert_ptr_null(options_misplaced(&set, &words, ON_A));
	forget();
}
END_TEST

START_TEST(help_names_what_is_not_hidden)
{
	struct buf help = {0};
	options_help(&set, &help);
	const char *t = text(&help);
	ck_assert_ptr_nonnull(strstr(t, "  -f, --flag                a flag\n"));
	ck_assert_ptr_nonnull(strstr(t, "      --flare               another\n"));
	ck_assert_ptr_nonnull(strstr(t, "  -t, --text TEXT           a text (default: none)\n"));
	ck_assert_ptr_nonnull(strstr(t, "--choice COLOUR       a choice: red, green or blue\n"));
	ck_assert_ptr_nonnull(strstr(t, "items; repeatable\n"));
	ck_assert_ptr_null(strstr(t, "--size"));
	buf_release(&help);
}
END_TEST

/* Both programs: no name or letter twice, help fits 80 columns, choices are there. */
START_TEST(the_tables_are_sound)
{
	const struct option_set *sets[] = {settings_options(), arguments_options()};
	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		struct buf help = {0};
		ck_assert_uint_le(sets[s]->n, OPTIONS_MAX);
		options_help(sets[s], &help);
		for (const char *p = text(&help); *p; p += strcspn(p, "\n") + 1)
			ck_assert_msg(strcspn(p, "\n") <= 80, "%.*s", (int)strcspn(p, "\n"), p);
		buf_release(&help);
		for (size_t i = 0; i < sets[s]->n; i++) {
			const struct option_def *o = &sets[s]->options[i];
			ck_assert_ptr_nonnull(o->help);
			ck_assert_int_eq(o->argument == NULL, o->type == OPTION_FLAG);
			ck_assert_int_eq(o->choices != NULL, o->type == OPTION_CHOICE);
			for (size_t k = 0; k < i; k++) {
				ck_assert_str_ne(o->name, sets[s]->options[k].name);
				ck_assert(!o->letter || o->letter != sets[s]->options[k].letter);
			}
		}
	}
}
END_TEST

/* --- files */

static char file[64];

/* Reads a file with that text, then a command line on top of it. */
static bool read_file(const char *content, const char *given)
{
	char *argv[40];
	forget();
	strcpy(file, "tutti-options-XXXXXX");
	int fd = mkstemp(file);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	bool ok = options_read_file(&set, file, &got, &words, &said);
	unlink(file);
	snprintf(line, sizeof(line), "%s", given);
	return ok && options_parse(&set, split(line, argv), argv, &got, &words, &said);
}

START_TEST(a_file_says_what_a_line_would)
{
	setenv("TUTTI_TEST_WHAT", "expanded", 1);
	ck_assert(read_file("# a comment\nflag = true\ntext = \"a b\"\nchoice = blue\ntime = 1.5\n"
			    "size = \"80x24\"\nlist = {\"x\",\n  \"y\"}\n", ""));
	ck_assert(got.flag && !got.other);
	ck_assert_str_eq(got.text, "a b");
	ck_assert_int_eq(got.choice, 2);
	ck_assert_int_eq(got.ms, 1500);
	ck_assert_int_eq(got.size.width, 80);
	ck_assert_uint_eq(got.list.n, 2);
	ck_assert_str_eq(got.list.text[1], "y");
	ck_assert(read_file("list = one\ntext = \"${TUTTI_TEST_WHAT}\"", ""));
	ck_assert_uint_eq(got.list.n, 1);
	ck_assert_str_eq(got.text, "expanded");
	ck_assert(read_file("", "-f"));
	ck_assert(got.flag);
}
END_TEST

START_TEST(the_line_takes_the_place_of_the_file)
{
	struct buf place = {0};
	ck_assert(read_file("text = file\nlist = {a, b, c}\nchoice = red\n", "-tline|-lx|-lz"));
	ck_assert_str_eq(got.text, "line");
	ck_assert_uint_eq(got.list.n, 2);
	ck_assert_str_eq(got.list.text[0], "x");
	ck_assert_int_eq(got.choice, 0);
	option_place(&set, &words, file, "list", &place);
	ck_assert_str_eq(text(&place), "--list");
	buf_clear(&place);
	option_place(&set, &words, file, "choice", &place);
	buf_addf(&said, "%s", text(&place));
	ck_assert_says(":3: choice");
	buf_release(&place);
}
END_TEST

START_TEST(what_is_wrong_in_a_file_is_said_with_its_line)
{
	ck_assert(!read_file("flag = true\nno-such = 1\n", ""));
	ck_assert_says(":2: ");
	ck_assert_says("no-such");
	ck_assert(!read_file("# one\nflag = true # two\n/* three\n four */ text = \"# no // comment\"\n// five\n"
			     "choice = pink\n", ""));
	ck_assert_says(":6: choice: pink");
	ck_assert_str_eq(got.text, "# no // comment");
	ck_assert(!read_file("\n\nchoice = pink\n", ""));
	ck_assert_says(":3: choice: pink: expected red, green or blue");
	ck_assert(!read_file("flag = maybe\n", ""));
	ck_assert_says(":1: ");
	ck_assert(!read_file("text = \"\"\n", ""));
	ck_assert_says(":1: text: the TEXT is empty");
	ck_assert(!read_file("text = \"open\n\n", ""));
	ck_assert_says(file);
	ck_assert(!read_file("list = {a, b\n", ""));
	ck_assert_says(file);
	ck_assert(!read_file("time = \"1\x1b[2J\"\n", ""));
	ck_assert_says("1\\x1b[2J");
	ck_assert(!read_file("text\n", ""));
	ck_assert_says(":");
	forget();
	ck_assert(!options_read_file(&set, "/no/such/file", &got, &words, &said));
	ck_assert_str_eq(text(&said), "/no/such/file: No such file or directory");
	forget();
	ck_assert(!options_read_file(&set, "/", &got, &words, &said));
	ck_assert_says("/: ");
}
END_TEST

/* --- addresses */

START_TEST(addresses_are_read)
{
	static const struct {
		const char *given, *shown;
	} good[] = {
		{"127.0.0.1:7075", "127.0.0.1:7075"}, {"127.255.3.4:1", "127.255.3.4:1"},
		{"[::1]:7075", "[::1]:7075"},         {"localhost:65535", "127.0.0.1:65535"},
		{"[127.0.0.1]:9", "127.0.0.1:9"},     {"127.0.0.1:0", "127.0.0.1:0"},
		{"[0:0:0:0:0:0:0:1]:0", "[::1]:0"},   {"10.0.0.1:7075", "10.0.0.1:7075"},
		{"0.0.0.0:7075", "0.0.0.0:7075"},     {"[2001:DB8::7]:1", "[2001:db8::7]:1"},
	};
	struct address a;
	struct buf shown = {0};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_clear(&said);
		buf_clear(&shown);
		ck_assert_msg(address_parse(good[i].given, ADDRESS_LISTEN, &a, &said), "%s",
			      good[i].given);
		ck_assert_uint_eq(said.len, 0);
		address_format(&shown, (const struct sockaddr *)&a.sa);
		ck_assert_str_eq(text(&shown), good[i].shown);
	}
	buf_release(&shown);
}
END_TEST

START_TEST(other_addresses_are_refused)
{
	static const struct {
		const char *given, *says;
	} bad[] = {
		{"nas_lan!:7075", "a name or an IP"},  {"127.1:7075", "IP address"},
		{"nas..lan:7075", "IP address"},       {".lan:7075", "IP address"},
		{"-nas:7075", "IP address"},           {"n\xc3\xa4s:7075", "IP address"},
		{"999.1.1.1:7075", "IP address"},      {"nas.lan", "not an address"},
		{"127.0.0.1", "not an address"},       {"::1:7075", "not an address"},
		{":7075", "not an address"},           {"[]:7075", "not an address"},
		{"[::1]7075", "not an address"},       {"[::1:7075", "not an address"},
		{"", "not an address"},                {"127.0.0.1:", "the port"},
		{"127.0.0.1:65536", "the port"},       {"127.0.0.1:-1", "the port"},
		{"127.0.0.1:7a", "the port"},          {"127.0.0.1:000001", "the port"},
		{"127.0.0.1: 80", "the port"},         {"127.0.0.1:0", "from 1 to 65535"},
		{"ABCD@127.0.0.1:7075", "IP address"}, {"\x1b[2J:1", "\\x1b[2J"},
	};
	struct address a;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&said);
		ck_assert_msg(!address_parse(bad[i].given, ADDRESS_CONNECT, &a, &said), "%s",
			      bad[i].given);
		ck_assert_says(bad[i].says);
	}
	struct buf longest = {0};
	for (int i = 0; i < 5000; i++)
		buf_add_char(&longest, 'x');
	buf_addf(&longest, ":1");
	ck_assert(!address_parse(text(&longest), ADDRESS_CONNECT, &a, &said));
	buf_release(&longest);
}
END_TEST

START_TEST(names_are_kept_as_they_are)
{
	static const char *const good[] = {"nas.lan:7075", "NAS:7075", "my-nas_2.example.org.:7075",
					   "[nas]:7075", "1st:7075"};
	struct address a, b;
	struct buf longest = {0};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(address_parse(good[i], ADDRESS_CONNECT, &a, &said), "%s", good[i]);
		ck_assert(address_is_name(&a) && !address_is_loopback(&a));
		ck_assert_uint_eq(address_port(&a), 7075);
	}
	ck_assert_uint_eq(said.len, 0);
	ck_assert(address_parse("nas:1", ADDRESS_CONNECT, &a, &said));
	ck_assert(address_parse("Nas:1", ADDRESS_CONNECT, &b, &said));
	ck_assert(address_eq(&a, &b));
	ck_assert(address_parse("nas:2", ADDRESS_CONNECT, &b, &said));
	ck_assert(!address_eq(&a, &b));
	ck_assert(address_parse("10.0.0.1:1", ADDRESS_CONNECT, &b, &said));
	ck_assert(!address_eq(&a, &b) && !address_is_name(&b));
	for (int i = 0; i < ADDRESS_NAME_MAX; i++)
		buf_add_char(&longest, i % 64 == 63 ? '.' : 'x');
	buf_addf(&longest, ":1");
	ck_assert(address_parse(text(&longest), ADDRESS_CONNECT, &a, &said));
	longest.data[63] = 'x';
	ck_assert(!address_parse(text(&longest), ADDRESS_CONNECT, &a, &said));
	buf_release(&longest);
}
END_TEST

#define AN_ID "4QXKUWH-AUIRBAC-OLF52MX-QBHPMBL-ECZ5FFD-5IELE7S-AN5YI4Z-H3IOZWC-C42FT57"

START_TEST(endpoints_are_read)
{
	static const struct {
		const char *given;
		bool id, address;
	} good[] = {
		{AN_ID "@10.0.0.1:7075", true, true},
		{AN_ID "@[::1]:1", true, true},
		{AN_ID, true, false},
		{"4qxkuwhauirbacolf52mxqbhpmblecz5ffd5iele7san5yi4zh3iozwcc42ft57", true, false},
		{"localhost:1", false, true},
		{AN_ID "@nas:7075", true, true},
	};
	static const struct {
		const char *given, *says;
	} bad[] = {
		{"4QXKUWH@10.0.0.1:7075", "these are 7"},
		{"5" AN_ID "@10.0.0.1:7075", "mistyped"},
		{AN_ID "@na s:7075", "a name or an IP"},
		{AN_ID "@", "not an address"},
		{"@10.0.0.1:1", "these are 0"},
	};
	struct endpoint e;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_clear(&said);
		ck_assert_msg(endpoint_parse(good[i].given, &e, &said), "%s", good[i].given);
		ck_assert_uint_eq(said.len, 0);
		ck_assert_int_eq(e.has_id, good[i].id);
		ck_assert_int_eq(e.has_address, good[i].address);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&said);
		ck_assert_msg(!endpoint_parse(bad[i].given, &e, &said), "%s", bad[i].given);
		ck_assert_says(bad[i].says);
	}
}
END_TEST

START_TEST(loopback_is_told_from_the_rest)
{
	static const char *const inside[] = {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1"};
	static const char *const outside[] = {"10.0.0.1:1", "0.0.0.0:1", "128.0.0.1:1", "[::]:1",
					      "[::2]:1", "[::ffff:127.0.0.1]:1"};
	struct address a;
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		ck_assert(address_parse(inside[i], ADDRESS_CONNECT, &a, &said));
		ck_assert_msg(address_is_loopback(&a), "%s", inside[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		ck_assert(address_parse(outside[i], ADDRESS_CONNECT, &a, &said));
		ck_assert_msg(!address_is_loopback(&a), "%s", outside[i]);
	}
}
END_TEST

/* --- tuttid */

static struct settings settings;

static enum settings_result serve(const char *given)
{
	char *argv[40];
	settings_release(&settings);
	buf_clear(&said);
	snprintf(line, sizeof(line), "%s", given);
	return settings_parse(&settings, split(line, argv), argv, &said);
}

START_TEST(settings_have_defaults)
{
	char host[256] = "";
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	setenv("XDG_STATE_HOME", "/nowhere/state", 1);
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert_int_eq(serve("-n|alpha|some dir"), SETTINGS_RUN);
	ck_assert_str_eq(settings.directory, "some dir");
	ck_assert_str_eq(settings.state, "/nowhere/state/tutti/alpha");
	ck_assert_str_eq(strrchr(settings.socket, '/'), "/alpha.sock");
	ck_assert_uint_eq(settings.n_listen, 1);
	ck_assert_str_eq(settings.listen[0].text, "127.0.0.1:7075");
	ck_assert_uint_eq(address_port(&settings.listen[0].at), SETTINGS_PORT);
	ck_assert_uint_eq(settings.n_peers, 0);
	ck_assert_int_eq(settings.log_level, LEVEL_INFO);
	ck_assert(!settings.plain);
	ck_assert_uint_eq(settings.trash_days, 30);
	ck_assert_uint_eq(settings.rehash_days, 30);
	ck_assert_uint_eq(settings.tombstone_days, 30);
	ck_assert_uint_eq(settings.peer_entries, 5000000);
	ck_assert_uint_eq(settings.trash_percent, 10);
	ck_assert_uint_eq(settings.history_lines, 1000000);
	if (*host && !*settings_name_problem(bytes_of(host))) {
		ck_assert_int_eq(serve("dir"), SETTINGS_RUN);
		ck_assert_str_eq(settings.name, host);
	}
}
END_TEST

START_TEST(settings_take_what_is_given)
{
	ck_assert_int_eq(serve("-nx|-l127.0.0.1:0|-l|[::1]:0|-p|localhost:1|--peer=127.0.0.1:2|"
			       "--state=/s|--socket|/k|--plain|--trash-days=0|--trash-percent|90|"
			       "--history-lines=7|--rehash-days=0|--tombstone-days=1|--peer-entries=9|--local-client=root|--local-viewer=65534|--local-viewer|7|"
			       "--log-level=debug|--|-d"),
			 SETTINGS_RUN);
	ck_assert_str_eq(settings.directory, "-d");
	ck_assert_str_eq(settings.state, "/s");
	ck_assert_str_eq(settings.socket, "/k");
	ck_assert_uint_eq(settings.n_listen, 2);
	ck_assert_uint_eq(settings.n_peers, 2);
	ck_assert_str_eq(settings.peers[1].text, "127.0.0.1:2");
	ck_assert_int_eq(settings.log_level, LEVEL_DEBUG);
	ck_assert(settings.plain);
	ck_assert_uint_eq(settings.trash_days, 0);
	ck_assert_uint_eq(settings.rehash_days, 0);
	ck_assert_uint_eq(settings.tombstone_days, 1);
	ck_assert_uint_eq(settings.peer_entries, 9);
	ck_assert_uint_eq(settings.n_users, 3);
	ck_assert(settings.users[0].uid == 0 && !settings.users[0].views);
	ck_assert(settings.users[1].uid == 65534 && settings.users[1].views);
	ck_assert(settings.users[2].uid == 7 && settings.users[2].views);
	ck_assert_uint_eq(settings.trash_percent, 90);
	ck_assert_uint_eq(settings.history_lines, 7);
	ck_assert_int_eq(serve("-nx|-l127.0.0.1:0|-l127.0.0.1:0|d"), SETTINGS_RUN);
	ck_assert_int_eq(serve("-nx|-l0.0.0.0:0|-p" AN_ID "@10.0.0.7:7075|-p" AN_ID "|d"), SETTINGS_RUN);
	ck_assert(!settings.plain);
	ck_assert_uint_eq(settings.n_peers, 2);
	ck_assert_str_eq(settings.peers[0].to.text, "10.0.0.7:7075");
	ck_assert(!settings.peers[1].to.has_address);
	/* Names, which are no addresses yet; whether they are loopback is known later. */
	ck_assert_int_eq(serve("-nx|--plain|-lnas.lan:7075|-pb.lan:7075|d"), SETTINGS_RUN);
	ck_assert(address_is_name(&settings.peers[0].to.at));
}
END_TEST

START_TEST(names_to_listen_on_become_addresses)
{
	buf_clear(&said);
	ck_assert_int_eq(serve("-nx|--plain|-lboth.test:7075|-l127.0.0.9:0|-l127.0.0.9:0|d"),
			 SETTINGS_RUN);
	ck_assert(settings_look_up(&settings, &said));
	ck_assert_uint_eq(said.len, 0);
	ck_assert_uint_eq(settings.n_listen, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert(address_is_loopback(&settings.listen[i].at));
		ck_assert_int_eq(settings.listen[i].more, i == 1);
		ck_assert_uint_eq(address_port(&settings.listen[i].at), i < 2 ? 7075 : 0);
		ck_assert_str_eq(settings.listen[i].text, i < 2 ? "both.test:7075" : "127.0.0.9:0");
	}
	/* Read again, that is the same. */
	static char *again[] = {"tuttid", "-nx", "--plain", "-lboth.test:7075", "-l127.0.0.9:0",
				"-l127.0.0.9:0", "d"};
	struct settings old;
	ck_assert_int_eq(settings_again(&settings, ARRAY_LEN(again), again, &old, &said), 0);
	ck_assert_uint_eq(said.len, 0);
	settings_release(&old);
	ck_assert_int_eq(settings_again(&settings, ARRAY_LEN(again) - 2, again, &old, &said), -EINVAL);
	again[5] = "d";
	buf_clear(&said);
	ck_assert_int_eq(settings_again(&settings, ARRAY_LEN(again) - 1, again, &old, &said), 0);
	ck_assert_says("listen is another now");
	settings_release(&old);
}
END_TEST

START_TEST(names_that_will_not_do_end_the_start)
{
	static const char *const bad[][2] = {
		{"-nx|-lnobody.test:1|d", "cannot listen on nobody.test:1: no such host"},
		{"-nx|-l127.0.0.1:1|-lsilent.test:1|d", "silent.test:1: no answer from the name service"},
		{"-nx|--plain|-lmixed.test:1|d", "mixed.test:1: without encryption, Tutti uses loopback"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&said);
		ck_assert_int_eq(serve(bad[i][0]), SETTINGS_RUN);
		ck_assert(!settings_look_up(&settings, &said));
		ck_assert_says(bad[i][1]);
	}
	ck_assert_int_eq(serve("-nx|-lmixed.test:1|d"), SETTINGS_RUN);
	buf_clear(&said);
	ck_assert(settings_look_up(&settings, &said));
	ck_assert_uint_eq(settings.n_listen, 2);
}
END_TEST

static const struct {
	const char *given, *says;
} wrong_settings[] = {
	{"", "which DIRECTORY?"},
	{"-n|x", "which DIRECTORY?"},
	{"-n|x|a|b", "b: one DIRECTORY"},
	{"-n|a/b|d", "has a '/'"},
	{"-n|.|d", "begins with a dot"},
	{"-n|a\nb|d", "cannot be shown"},
	{"-n|\xff|d", "the name \\xff has"},
	{"-n|123456789012345678901234567890123|d", "longer than 32 bytes"},
	{"-n|x|--plain|-l|0.0.0.0:7075|d", "--listen 0.0.0.0:7075: without encryption"},
	{"-n|x|--plain|-p|10.0.0.7:7075|d", "--peer 10.0.0.7:7075: without encryption"},
	{"-n|x|--plain|-p|" AN_ID "@127.0.0.1:7075|d", "with --plain, no ID is checked"},
	{"-n|x|--plain|-p|" AN_ID "|d", "with --plain, no ID is checked"},
	{"-n|x|--plain|--join|-|d", "invitations need encryption"},
	{"-n|x|--join|/nowhere/at/all|d", "--join /nowhere/at/all: No such file"},
	{"-n|x|--join|/dev/null|d", "--join: this is no invitation"},
	{"-n|x|-p|ID@127.0.0.1:7075|d", "--peer ID@127.0.0.1:7075: an ID has 9 groups"},
	{"-n|x|-p|127.0.0.1:1|-p|localhost:1|d", "given twice"},
	{"-n|x|-l|127.0.0.1:1|-l|127.0.0.1:1|d", "given twice"},
	{"-n|x|--config=/no/such|d", "/no/such: No such file"},
	{"-n|x|--directory=d", "--directory: there is no such option"},
	{"-n|x|--rehash-days=3651|d", "expected a whole number, 0 to 3650"},
	{"-n|x|--peer-entries=0|d", "peer-entries: at least 1"},
	{"-n|x|--peer-entries=1000000001|d", "expected a whole number, 0 to 1000000000"},
	{"-n|x|--local-viewer=no such user|d", "--local-viewer no such user: there is no such user here"},
	{"-n|x|--local-client=4294967295|d", "--local-client 4294967295: there is no such user here"},
	{"-n|x|--local-client=4294967296|d", "there is no such user here"},
	{"-n|x|--local-client=-1|d", "there is no such user here"},
	{"-n|x|--local-client=root|--local-viewer=0|d", "--local-viewer 0: given twice"},
	{"-n|x|--tombstone-days=36501|d", "expected a whole number, 0 to 36500"},
	{"-n|x|--trash-days=36501|d", "expected a whole number, 0 to 36500"},
	{"-n|x|--trash-percent=-1|d", "expected a whole number, 0 to 90"},
	{"-n|x|--trash-percent=9.5|d", "expected a whole number"},
	{"-n|x|--history-lines=99999999999999999999|d", "expected a whole number"},
	{"-n|x|--log-level=loud|d", "expected error, warning, info or debug"},
	{"-n|x|--socket=/123456789/123456789/123456789/123456789/123456789/123456789/123456789/"
	 "123456789/123456789/123456789/123456789|d", "too long for a socket"},
};

/* Serves with a file of that text, and more of the command line. */
static enum settings_result serve_file(const char *content, const char *given)
{
	strcpy(file, "tutti-options-XXXXXX");
	int fd = mkstemp(file);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	char *all = xasprintf("-c|%s%s", file, given);
	enum settings_result r = serve(all);
	free(all);
	unlink(file);
	return r;
}

START_TEST(settings_come_from_a_file)
{
	ck_assert_int_eq(serve_file("directory = \"/srv/d\"\nname = x\nstate = \"/s\"\n"
				    "listen = {\"127.0.0.1:1\", \"127.0.0.1:2\"}\n"
				    "trash-days = 7\nlog-level = debug\n", ""), SETTINGS_RUN);
	ck_assert_str_eq(settings.directory, "/srv/d");
	ck_assert_str_eq(settings.name, "x");
	ck_assert_uint_eq(settings.n_listen, 2);
	ck_assert_uint_eq(settings.trash_days, 7);
	ck_assert_uint_eq(settings.trash_percent, 10);
	ck_assert_int_eq(settings.log_level, LEVEL_DEBUG);
	settings_release(&settings);

	ck_assert_int_eq(serve_file("directory = a\nname = x\nlisten = \"127.0.0.1:1\"\n",
				    "|-l|127.0.0.1:9|b"), SETTINGS_RUN);
	ck_assert_str_eq(settings.directory, "b");
	ck_assert_uint_eq(settings.n_listen, 1);
	ck_assert_str_eq(settings.listen[0].text, "127.0.0.1:9");
	settings_release(&settings);

	ck_assert_int_eq(serve_file("directory = a\nname = x\n", "|--check-config"), SETTINGS_SHOWN);
	ck_assert_str_eq(text(&said), "all options are in order\n");
	settings_release(&settings);
}
END_TEST

START_TEST(wrong_settings_of_a_file_have_their_line)
{
	ck_assert_int_eq(serve_file("directory = a\nname = x\npeer = {\"127.0.0.1:99999\"}\n", ""),
			 SETTINGS_WRONG);
	ck_assert_says(":3: peer 127.0.0.1:99999: the port must be");
	ck_assert_int_eq(serve_file("name = x\ntrash-days = -1\n", "|d"), SETTINGS_WRONG);
	ck_assert_says(":2: trash-days: -1: expected a whole number");
	ck_assert_int_eq(serve_file("name = x\nhelp = true\n", "|d"), SETTINGS_WRONG);
	ck_assert_says(":2: ");
	ck_assert_int_eq(serve_file("name = x\nconfig = f\n", "|d"), SETTINGS_WRONG);
	ck_assert_says(":2: ");
	ck_assert_int_eq(serve_file("name = x\n", ""), SETTINGS_WRONG);
	ck_assert_says("which DIRECTORY?");
}
END_TEST

START_TEST(id_is_no_directory)
{
	ck_assert_int_eq(serve("id|-s|/s"), SETTINGS_ID);
	ck_assert_str_eq(settings.state, "/s");
	settings_release(&settings);
	ck_assert_int_eq(serve("-n|x|./id"), SETTINGS_RUN);
	ck_assert_str_eq(settings.directory, "./id");
	settings_release(&settings);
}
END_TEST

START_TEST(wrong_settings_are_one_line)
{
	ck_assert_int_eq(serve(wrong_settings[_i].given), SETTINGS_WRONG);
	ck_assert_says(wrong_settings[_i].says);
	ck_assert_ptr_eq(strchr(text(&said), '\n'), text(&said) + said.len - 1);
}
END_TEST

START_TEST(help_and_version_need_nothing_else)
{
	ck_assert_int_eq(serve("--help"), SETTINGS_SHOWN);
	ck_assert_says("Usage: tuttid [OPTION...] DIRECTORY\n"
		       "       tuttid id [OPTION...]\n");
	ck_assert_int_eq(serve("-V"), SETTINGS_SHOWN);
	ck_assert_says("tuttid " PACKAGE_VERSION "\n");
	settings_release(&settings);
}
END_TEST

/* --- tutti */

static struct arguments arguments;

static enum arguments_result ask(const char *given)
{
	static char *argv[24]; /* paths point into it */
	buf_clear(&said);
	snprintf(line, sizeof(line), "%s", given);
	return arguments_parse(&arguments, split(line, argv), argv, &said);
}

START_TEST(commands_take_their_options)
{
	ck_assert_int_eq(ask(""), ARGUMENTS_RUN);
	ck_assert_int_eq(arguments.command, COMMAND_SCREEN);
	ck_assert_int_eq(arguments.timeout_ms, -1);
	ck_assert_int_eq(ask("-s|alpha|list|--sort=date|--reverse|--under|a/b|--filter=x|--json"),
			 ARGUMENTS_RUN);
	ck_assert_int_eq(arguments.command, COMMAND_LIST);
	ck_assert_int_eq(arguments.sort, SORT_DATE);
	ck_assert(arguments.reverse && arguments.json && !arguments.bytes);
	ck_assert_str_eq(arguments.server, "alpha");
	ck_assert_str_eq(arguments.under, "a/b");
	ck_assert_int_eq(ask("--timeout=0|wait"), ARGUMENTS_RUN);
	ck_assert_int_eq(arguments.timeout_ms, 0);
	ck_assert_int_eq(ask("resync|a b"), ARGUMENTS_RUN);
	ck_assert_str_eq(arguments.path, "a b");
	ck_assert_int_eq(ask("resync"), ARGUMENTS_RUN);
	ck_assert_ptr_null(arguments.path);
	ck_assert_int_eq(ask("resolve|a|--keep|beta|b c|-s|x|--|--d"), ARGUMENTS_RUN);
	ck_assert_uint_eq(arguments.n_paths, 3);
	ck_assert_str_eq(arguments.paths[0], "a");
	ck_assert_str_eq(arguments.paths[1], "b c");
	ck_assert_str_eq(arguments.paths[2], "--d");
	ck_assert_str_eq(arguments.keep, "beta");
	ck_assert_str_eq(arguments.server, "x");
	ck_assert_int_eq(ask("resolve|--all|--keep|both"), ARGUMENTS_RUN);
	ck_assert(arguments.all && !arguments.n_paths);
	ck_assert_int_eq(ask("resolve|--undo"), ARGUMENTS_RUN);
	ck_assert_int_eq(ask("restore|a|--at|2026-11-22 14:05|--to|b|--on|beta"), ARGUMENTS_RUN);
	ck_assert_str_eq(arguments.to, "b");
	ck_assert_int_eq(ask("--frame=80x24|--ascii"), ARGUMENTS_RUN);
	ck_assert_int_eq(arguments.frame.width, 80);
}
END_TEST

START_TEST(sort_names_are_those_of_the_table)
{
	const struct option_set *all = arguments_options();
	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->options[i].name, "sort"))
			continue;
		for (int s = 0; s < SORTS_N; s++)
			ck_assert_str_eq(all->options[i].choices[s],
					 table_sort_text((enum table_sort)s));
		ck_assert_ptr_null(all->options[i].choices[SORTS_N]);
		return;
	}
	ck_abort_msg("no option --sort");
}
END_TEST

static const struct {
	const char *given, *says;
} wrong_arguments[] = {
	{"lst", "lst: there is no such command; there are list, status, watch, resync, wait, "
		"peers, trust, untrust, invite, conflicts, resolve, trash, restore, history, held "
		"and demo"},
	{"\x1b[1m", "\\x1b[1m: there is no such command"},
	{"pause", "there is no such command"},
	{"wait|--json", "--json goes with list, status, watch, resync, peers, conflicts, resolve, "
			"trash, restore, history, held"},
	{"resolve|--keep|this", "resolve needs the PATHs of conflicts, or --all"},
	{"resolve|a", "resolve needs --keep: this, both, a replica's name or a copy's path"},
	{"resolve|a|--all|--keep|both", "either --all or PATHs"},
	{"resolve|--undo|--keep|both", "--undo goes with no other choice"},
	{"resolve|--undo|--all", "--undo goes with no other choice"},
	{"resolve|a|--keep=", "--keep: the WHICH is empty"},
	{"restore", "restore needs the PATH that is to come back"},
	{"restore|a|b", "b: restore takes one PATH"},
	{"restore|a|--at|soon", "--at: soon: expected a time such as 2026-11-22"},
	{"trash|--since|2026-02-30", "--since: 2026-02-30: expected a time"},
	{"history|--until|25:00", "--until: 25:00: expected a time"},
	{"history|--on|beta", "--on goes with trash, restore"},
	{"held|eat", "held takes delete or keep, not eat"},
	{"held|keep", "held keep needs an ID"},
	{"held|delete|all", "all is no ID"},
	{"held|delete|0123456789abcdef0", "is no ID"},
	{"held|delete|1|2", "2: held takes delete|keep ID"},
	{"--sort=size", "--sort goes with list"},
	{"list|--ascii", "--ascii goes with the full screen, demo"},
	{"list|x", "x: list takes nothing but options"},
	{"resync|a|b", "b: resync takes one PATH"},
	{"wait|--timeout", "--timeout needs an argument"},
};

START_TEST(wrong_arguments_are_one_line)
{
	ck_assert_int_eq(ask(wrong_arguments[_i].given), ARGUMENTS_WRONG);
	ck_assert_says(wrong_arguments[_i].says);
	ck_assert_ptr_eq(strchr(text(&said), '\n'), text(&said) + said.len - 1);
}
END_TEST

START_TEST(help_names_every_command)
{
	ck_assert_int_eq(ask("list|--help"), ARGUMENTS_SHOWN);
	for (int c = 1; c < COMMANDS_N; c++) {
		char entry[64];
		snprintf(entry, sizeof(entry), "\n  %s ", command_name((enum command)c));
		ck_assert_says(entry);
	}
	ck_assert_int_eq(ask("--version"), ARGUMENTS_SHOWN);
	ck_assert_says("tutti " PACKAGE_VERSION "\n");
}
END_TEST

/* --- places */

START_TEST(places_follow_the_environment)
{
	char dir[] = "/tmp/tutti-t_options-XXXXXX";
	char *sockets[PLACES_MAX];
	struct buf want = {0};
	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("HOME", "/home/somebody", 1);
	char *state = place_state();
	ck_assert_str_eq(state, "/home/somebody/.local/state/tutti");
	free(state);
	setenv("XDG_STATE_HOME", "/var/x", 1);
	setenv("XDG_RUNTIME_DIR", dir, 1);
	size_t n = place_sockets(sockets);
	ck_assert_uint_ge(n, 2);
	buf_addf(&want, "%s/tutti", dir);
	ck_assert_str_eq(sockets[0], text(&want));
	ck_assert_str_eq(sockets[n - 1], "/var/x/tutti");
	while (n)
		free(sockets[--n]);
	rmdir(dir);
	n = place_sockets(sockets);
	ck_assert_str_ne(sockets[0], text(&want));
	while (n)
		free(sockets[--n]);
	buf_release(&want);
}
END_TEST

/* --- logs */

START_TEST(one_cause_logs_a_burst_and_then_a_trickle)
{
	struct log_limit limit = {0};
	int64_t now_ms = 1000000;
	for (int i = 0; i < LOG_BURST; i++)
		ck_assert(log_limit_pass(&limit, now_ms));
	for (int i = 0; i < 1000; i++)
		ck_assert(!log_limit_pass(&limit, now_ms + i));
	ck_assert_uint_eq(limit.left_out, 1000);
	ck_assert(log_limit_pass(&limit, now_ms + LOG_REFILL_MS));
	ck_assert(!log_limit_pass(&limit, now_ms + LOG_REFILL_MS));
	now_ms += (int64_t)LOG_REFILL_MS * 100;
	for (int i = 0; i < LOG_BURST; i++)
		ck_assert(log_limit_pass(&limit, now_ms));
	ck_assert(!log_limit_pass(&limit, now_ms));
}
END_TEST

/* What a process of its own writes to stderr. */
static void logged(struct buf *out, bool journal, void (*write_log)(void))
{
	char name[] = "/tmp/tutti-t_options-XXXXXX";
	int fd = mkstemp(name), saved = dup(STDERR_FILENO);
	struct stat st;
	char bytes[4096];
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	char *stream = xasprintf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", journal ? stream : "1:1", 1);
	dup2(fd, STDERR_FILENO);
	write_log();
	dup2(saved, STDERR_FILENO);
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	ck_assert_int_ge(n, 0);
	buf_add(out, bytes, (size_t)n);
	unlink(name);
	close(fd);
	close(saved);
	free(stream);
}

static void write_some(void)
{
	log_init(LEVEL_INFO);
	log_debug("not shown");
	log_info("a name: %s", "x\n<0>y\x1b[31m");
	log_error("bad");
}

START_TEST(log_lines_are_safe_and_have_their_level)
{
	struct buf out = {0};
	logged(&out, true, write_some);
	ck_assert_str_eq(text(&out), "<6>a name: x\\x0a<0>y\\x1b[31m\n<3>bad\n");
	buf_clear(&out);
	logged(&out, false, write_some);
	const char *info = strstr(text(&out), " info: a name: x\\x0a<0>y\\x1b[31m\n");
	ck_assert_ptr_nonnull(info);
	ck_assert_int_eq(info - text(&out), (int)strlen("2026-11-22T14:02:07+0100"));
	ck_assert_ptr_nonnull(strstr(info, " error: bad\n"));
	buf_release(&out);
}
END_TEST

static void write_many(void)
{
	struct log_limit limit = {0};
	log_init(LEVEL_WARNING);
	for (int i = 0; i < 20; i++)
		log_limited(&limit, LEVEL_WARNING, "line %d", i);
	limit.spent_ms = 0; /* as after a long time */
	log_limited(&limit, LEVEL_WARNING, "the last");
}

START_TEST(what_was_left_out_is_counted)
{
	struct buf out = {0};
	logged(&out, true, write_many);
	ck_assert_ptr_nonnull(strstr(text(&out), "<4>line 4\n<4>the last (15 more like this were "
						 "left out)\n"));
	buf_release(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("options");
	TCase *t = suite_case(s, "options", NULL, NULL);
	tcase_add_test(t, a_file_says_what_a_line_would);
	tcase_add_test(t, the_line_takes_the_place_of_the_file);
	tcase_add_test(t, what_is_wrong_in_a_file_is_said_with_its_line);
	tcase_add_test(t, every_type_takes_its_argument);
	tcase_add_test(t, what_is_not_given_stays);
	tcase_add_test(t, words_stand_anywhere);
	tcase_add_loop_test(t, wrong_options_are_explained, 0, ARRAY_LEN(wrong_options));
	tcase_add_test(t, seconds_are_exact);
	tcase_add_test(t, sizes_have_limits);
	tcase_add_test(t, options_have_their_scope);
	tcase_add_test(t, help_names_what_is_not_hidden);
	tcase_add_test(t, the_tables_are_sound);
	tcase_add_test(t, addresses_are_read);
	tcase_add_test(t, endpoints_are_read);
	tcase_add_test(t, loopback_is_told_from_the_rest);
	tcase_add_test(t, other_addresses_are_refused);
	tcase_add_test(t, names_are_kept_as_they_are);
	tcase_add_test(t, settings_have_defaults);
	tcase_add_test(t, settings_take_what_is_given);
	tcase_add_test(t, names_to_listen_on_become_addresses);
	tcase_add_test(t, names_that_will_not_do_end_the_start);
	tcase_add_loop_test(t, wrong_settings_are_one_line, 0, ARRAY_LEN(wrong_settings));
	tcase_add_test(t, settings_come_from_a_file);
	tcase_add_test(t, wrong_settings_of_a_file_have_their_line);
	tcase_add_test(t, id_is_no_directory);
	tcase_add_test(t, help_and_version_need_nothing_else);
	tcase_add_test(t, commands_take_their_options);
	tcase_add_test(t, sort_names_are_those_of_the_table);
	tcase_add_loop_test(t, wrong_arguments_are_one_line, 0, ARRAY_LEN(wrong_arguments));
	tcase_add_test(t, help_names_every_command);
	tcase_add_test(t, places_follow_the_environment);
	tcase_add_test(t, one_cause_logs_a_burst_and_then_a_trickle);
	tcase_add_test(t, log_lines_are_safe_and_have_their_level);
	tcase_add_test(t, what_was_left_out_is_counted);
	return suite_run(s);
}
