/* Owns tuttid's main(): the command line, and which exit status means what. */
#include "config.h"
#include "daemon.h"
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>

static int print_id(const struct settings *settings)
{
	struct identity *identity;
	struct buf problem = {0};
	char text[KEY_ID_TEXT + 1];
	int r = identity_open(&identity, settings->state, &problem);
	if (r < 0) {
		fprintf(stderr, "tuttid: %.*s\n", (int)problem.len, (const char *)problem.data);
	} else {
		key_id_write(text, identity_id(identity));
		printf("%s\n", text);
		identity_free(identity);
	}
	buf_release(&problem);
	return r < 0 || fflush(stdout) != 0;
}

static int run(struct settings *settings, int argc, char **argv)
{
	struct buf problem = {0};
	bool found = settings_look_up(settings, &problem);
	if (!found)
		log_error("%.*s", (int)problem.len, (const char *)problem.data);
	buf_release(&problem);
	return found ? daemon_main(settings, argc, argv) : 1;
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct buf out = {0};
	enum settings_result r = settings_parse(&settings, argc, argv, &out);
	int status = r == SETTINGS_WRONG ? 2 : 0;
	if (out.len)
		fwrite(out.data, 1, out.len, r == SETTINGS_WRONG ? stderr : stdout);
	buf_release(&out);
	if (fflush(stdout) != 0)
		status = 1;
	if (r == SETTINGS_ID)
		status = print_id(&settings);
	if (r == SETTINGS_RUN) {
		log_init(settings.log_level);
		status = run(&settings, argc, argv);
	}
	settings_release(&settings);
	return status;
}
