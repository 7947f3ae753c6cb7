/* Fuzzes the configuration file: the parser's library and our table on top of it. */
#include "config.h"
#include "fuzz.h"
#include "settings.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[32];
	uint64_t values[128] = {0}; /* more than the struct that the table fills */
	struct option_words words = OPTION_WORDS_NONE;
	struct buf problem = {0}, shown = {0};
	if (fd < 0)
		fd = memfd_create("conf", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bool ok = options_read_file(settings_options(), path, values, &words, &problem);
	MUST(ok == !problem.len);
	struct bytes said = {problem.data, problem.len};
	if (!ok) {
		text_show(&shown, said);
		MUST(shown.len == said.len && text_is_utf8(said));
	}
	options_release(settings_options(), values, &words);
	buf_release(&problem);
	buf_release(&shown);
	return 0;
}
