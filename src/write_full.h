/* Writing all there is to a descriptor. */
#ifndef TUTTI_WRITE_FULL_H
#define TUTTI_WRITE_FULL_H

#include <stddef.h>

/* 0, or a negative errno: then some of it may have been written. May be called in a signal handler. */
int write_full(int fd, const void *p, size_t len);

#endif
