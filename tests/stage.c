/* Owns what is about a program in a pseudo-terminal: its server, its folder, its call. */
#include "config.h"
#include "stage.h"

#include <stdlib.h>
#include <unistd.h>

#include "suite.h"

void stage_init(struct stage *s, struct pty *pty)
{
	*s = (struct stage){.loop = ev_loop_new(EVFLAG_AUTO), .fake = fake_new(3), .pty = pty,
			    .folder = tiny_folder(), .program = build_path("tutti")};
	s->address = xasprintf("%s/alpha.sock", s->folder);
}

void stage_open(struct stage *s)
{
	fake_link_start(&s->link, s->loop, s->fake, s->folder, "alpha");
}

void stage_start(struct stage *s, const char *term, int width, int height, const char *option,
		 const char *variable)
{
	char *home = xasprintf("HOME=%s", s->folder);
	const char *argv[] = {s->program, "-s", s->address, option, NULL};
	const char *env[] = {home, "TUTTI_NOW=1795356202", variable, NULL};
	struct pty_options o = {
		.argv = argv, .env = env, .term = term, .width = width, .height = height};
	pty_start(s->pty, s->loop, &o);
	s->pty_runs = true;
	free(home);
}

void stage_release(struct stage *s)
{
	char *remembered = xasprintf("%s/.local/state/tutti/screen", s->folder);
	if (s->pty_runs)
		pty_release(s->pty);
	fake_link_stop(&s->link);
	fake_free(s->fake);
	ev_loop_destroy(s->loop);
	unlink(remembered);
	for (int i = 0; i < 3; i++) {
		*strrchr(remembered, '/') = '\0';
		rmdir(remembered);
	}
	free(remembered);
	tiny_folder_remove(s->folder);
	free(s->program);
	free(s->address);
}
