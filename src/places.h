/* Where things are by default: the sockets of servers that run here, and the state of a server.
 * Follows $XDG_RUNTIME_DIR, $XDG_STATE_HOME and $HOME; a relative one counts as unset. */
#ifndef TUTTI_PLACES_H
#define TUTTI_PLACES_H

#include "base.h"

/* The folder for Tutti's state: $XDG_STATE_HOME/tutti, else ~/.local/state/tutti.
 * NULL if there is no home at all. The caller frees it. Nothing is created. */
char *place_state(void);

/* The folder for the key of this user's clients. NULL if there is no home at all. The caller frees
 * it. No server has it for its state: their names do not begin with a dot. */
char *place_client(void);

/* Folders in which a server's socket may be, best first: $XDG_RUNTIME_DIR/tutti,
 * /run/user/UID/tutti, and place_state(); only those whose parent exists, save the last.
 * A server takes the first, a client looks in all. Returns their number (0 to PLACES_MAX);
 * the caller frees each. */
enum { PLACES_MAX = 3 };
size_t place_sockets(char *out[PLACES_MAX]);

/* Longest path that a local socket can have, in bytes. */
size_t place_socket_path_max(void);

#endif
