/* Telling systemd how the service is, through the socket that $NOTIFY_SOCKET names. */
#ifndef TUTTI_NOTIFY_H
#define TUTTI_NOTIFY_H

#include "base.h"

/* Sends assignments, one a line ("READY=1\nSTATUS=..."). Without $NOTIFY_SOCKET nothing happens;
 * what goes wrong is returned as a negative errno and may be ignored. Never blocks. */
int notify(const char *assignments);

#endif
