/* Tests that the manuals name every command, option and key that the programs have, and no other.
 * `t_manuals keys` prints the lines of the keys, to be put into tutti.1. */
#include "config.h"
#include "arguments.h"
#include "keys.h"
#include "settings.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct buf tutti, tuttid, conf;

static void read_manual(struct buf *out, const char *name)
{
	char *path = xasprintf("man/%s", name), *text = source_text(path);
	buf_addf(out, "\n%s", text);
	buf_add_char(out, '\0');
	free(text);
	free(path);
}

static void setup(void)
{
	read_manual(&tutti, "tutti.1");
	read_manual(&tuttid, "tuttid.8");
	read_manual(&conf, "tuttid.conf.5");
}

static const char *text(const struct buf *b)
{
	return (const char *)b->data;
}

static size_t count(const char *where, const char *what)
{
	size_t n = 0;
	for (; (where = strstr(where, what)); where += strlen(what))
		n++;
	return n;
}

static void add_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '\\':
			buf_addf(out, "\\e");
			break;
		case '^':
			buf_addf(out, "\\(ha");
			break;
		case '~':
			buf_addf(out, "\\(ti");
			break;
		case '-':
			buf_addf(out, "\\-");
			break;
		default:
			buf_add_char(out, *s);
		}
	}
}

static void check_options(const struct option_set *set, const struct buf *manual)
{
	size_t shown = 0;
	for (size_t i = 0; i < set->n; i++) {
		const struct option_def *o = &set->options[i];
		struct buf line = {0};
		if (o->hidden || o->only == OPTION_IN_FILE)
			continue;
		shown++;
		buf_addf(&line, "\n.It ");
		if (o->letter)
			buf_addf(&line, "Fl %c , ", o->letter);
		buf_addf(&line, "Fl \\-");
		add_escaped(&line, o->name);
		if (o->argument)
			buf_addf(&line, " Ar %s", o->argument);
		buf_addf(&line, "\n");
		buf_add_char(&line, '\0');
		ck_assert_msg(strstr(text(manual), text(&line)) != NULL, "not in the manual:%s",
			      text(&line));
		for (size_t c = 0; o->choices && o->choices[c]; c++)
			ck_assert_msg(strstr(text(manual), o->choices[c]) != NULL,
				      "not in the manual: --%s=%s", o->name, o->choices[c]);
		buf_release(&line);
	}
	ck_assert_uint_eq(count(text(manual), "\n.It Fl "), shown);
}

START_TEST(every_option_is_in_its_manual)
{
	check_options(settings_options(), &tuttid);
	check_options(arguments_options(), &tutti);
}
END_TEST

START_TEST(every_key_of_the_file_is_in_its_manual)
{
	const struct option_set *set = settings_options();
	size_t shown = 0;
	for (size_t i = 0; i < set->n; i++) {
		char *line = xasprintf("\n.It Cm %s\n", set->options[i].name);
		bool there = strstr(text(&conf), line) != NULL;
		bool belongs = set->options[i].only != OPTION_ON_LINE;
		ck_assert_msg(there == belongs, "%s in the manual:%s", belongs ? "not" : "must not be",
			      line);
		shown += belongs;
		free(line);
	}
	ck_assert_uint_eq(count(text(&conf), "\n.It Cm "), shown);
}
END_TEST

START_TEST(every_command_is_in_the_manual)
{
	const char *section = strstr(text(&tutti), "\n.Ss Commands\n");
	const char *end = strstr(text(&tutti), "\n.Ss Options\n");
	ck_assert(section && end && section < end);
	size_t described = 0;
	for (const char *p = section; (p = strstr(p, "\n.It Cm ")) && p < end; p++)
		described++;
	ck_assert_uint_eq(described, COMMANDS_N - 1);
	for (int c = 1; c < COMMANDS_N; c++) {
		char item[64];
		snprintf(item, sizeof(item), "\n.It Cm %s", command_name((enum command)c));
		const char *p = strstr(section, item);
		ck_assert_msg(p && p < end, "not in the manual:%s", item);
	}
}
END_TEST

/* After this line the manual has the keys, up to the end of the list. */
static const char keys_begin[] = "\n.Bl -tag -width \"PgDn, ^F\"\n";

static void add_keys(struct buf *out)
{
	for (size_t i = 0; i < key_bindings_n; i++) {
		struct buf keys = {0};
		if (!key_bindings[i].help)
			continue;
		key_list(&keys, &key_bindings[i]);
		buf_add_char(&keys, '\0');
		buf_addf(out, ".It Ic \"\\&");
		add_escaped(out, text(&keys));
		buf_addf(out, "\"\n");
		add_escaped(out, key_bindings[i].help);
		buf_add_char(out, '\n');
		buf_release(&keys);
	}
	buf_add_char(out, '\0');
}

START_TEST(every_key_is_in_the_manual)
{
	struct buf keys = {0};
	add_keys(&keys);
	const char *begin = strstr(text(&tutti), keys_begin);
	ck_assert_ptr_nonnull(begin);
	begin += sizeof(keys_begin) - 1;
	const char *end = strstr(begin, "\n.El\n");
	ck_assert_ptr_nonnull(end);
	char *there = xasprintf("%.*s", (int)(end + 1 - begin), begin);
	ck_assert_str_eq(there, text(&keys));
	free(there);
	buf_release(&keys);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "keys")) {
		struct buf keys = {0};
		add_keys(&keys);
		fputs(text(&keys), stdout);
		buf_release(&keys);
		return EXIT_SUCCESS;
	}
	Suite *s = suite_new("manuals");
	TCase *t = suite_case(s, "manuals", NULL, NULL);
	tcase_add_unchecked_fixture(t, setup, NULL);
	tcase_add_test(t, every_option_is_in_its_manual);
	tcase_add_test(t, every_key_of_the_file_is_in_its_manual);
	tcase_add_test(t, every_command_is_in_the_manual);
	tcase_add_test(t, every_key_is_in_the_manual);
	return suite_run(s);
}
