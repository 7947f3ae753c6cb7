/* Owns tuttid's main(): the command line, and which exit status means what. */
#include "config.h"
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>

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
	if (r == SETTINGS_RUN) {
		log_init(settings.log_level);
		status = daemon_main(&settings);
	}
	settings_release(&settings);
	return status;
}
