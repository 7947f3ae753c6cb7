/* Owns writing all there is: what a system call left is written by the next. */
#include "config.h"
#include "write_full.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

int write_full(int fd, const void *p, size_t len)
{
	const uint8_t *at = p;
	while (len) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
