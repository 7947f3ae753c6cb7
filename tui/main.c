/* Owns tutti's main(): the command line, and whether it becomes the screen, a command or the demo. */
#include "config.h"
#include "commands.h"
#include "demo.h"
#include "screen.h"

#include <locale.h>
#include <stdio.h>
#include <unistd.h>

static int show_screen(const char *address, const struct arguments *a)
{
	struct screen_options options = {
		.address = address,
		.ascii = a->ascii,
		.no_color = a->color == COLOR_NEVER,
		.no_mouse = a->no_mouse,
		.readonly = a->readonly,
		.frame_width = a->frame.width,
		.frame_height = a->frame.height,
	};
	return screen_run(&options);
}

static int run_screen(const struct arguments *a)
{
	struct buf address = {0};
	int status = console_find(a->server, &address);
	if (status == EXIT_DONE)
		status = show_screen((const char *)address.data, a);
	buf_release(&address);
	return status;
}

static int run(const struct arguments *a)
{
	bool screen = isatty(STDOUT_FILENO) || a->frame.width;
	if (a->command == COMMAND_DEMO)
		return demo_run(a, screen ? show_screen : NULL);
	if (a->command == COMMAND_SCREEN && screen)
		return run_screen(a);
	return command_run(a);
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct buf out = {0};
	setlocale(LC_ALL, "");
	enum arguments_result r = arguments_parse(&a, argc, argv, &out);
	int status = r == ARGUMENTS_WRONG ? EXIT_USAGE : EXIT_DONE;
	if (out.len)
		fwrite(out.data, 1, out.len, r == ARGUMENTS_WRONG ? stderr : stdout);
	buf_release(&out);
	if (fflush(stdout) != 0)
		status = EXIT_NOT_DONE;
	return r == ARGUMENTS_RUN ? run(&a) : status;
}
