/* The commands for scripts and people: each asks a server, prints, and gives an exit status. */
#ifndef TUTTI_COMMANDS_H
#define TUTTI_COMMANDS_H

#include "console.h"

/* Runs the command of `a`, which is not COMMAND_DEMO; without one, list. The exit status. */
int command_run(const struct arguments *a);

/* The commands, with a console that is connected. */
int command_list(struct console *s);
int command_held(struct console *s);
int command_status(struct console *s);
int command_resync(struct console *s);
int command_wait(struct console *s);
int command_peers(struct console *s);
int command_trust(struct console *s);
int command_untrust(struct console *s);
int command_invite(struct console *s);
int command_conflicts(struct console *s);
int command_resolve(struct console *s);
int command_trash(struct console *s);
int command_restore(struct console *s);
int command_history(struct console *s);
/* Opens one of its own, which comes back after a loss. */
int command_watch(const struct arguments *a);

/* A path as people give it, as servers call it: relative to the root, no "./" before it and no
 * '/' behind; an absolute one must lie in the server's own directory. Appended to `path` ("" is
 * everything). False after saying why it cannot be. */
bool take_path(struct console *s, const char *given, struct buf *path);

/* --- what several of them print */

/* The keys that `peers` answers with. */
void print_keys(struct buf *out, const msgpack_object *keys, bool json);

/* Appends "2026-11-22 14:02" or, with `seconds`, "2026-11-22 14:02:07", in the local zone; for 0, which is no
 * date, as many spaces. */
void print_date(struct buf *out, int64_t ns, bool seconds);
/* Appends shown text and blanks up to `columns`. */
void print_padded(struct buf *out, struct bytes raw, size_t columns);
/* Appends "1 file" or "1,204 files". */
void print_count(struct buf *out, uint64_t n, const char *one, const char *many);
void print_size(struct buf *out, uint64_t bytes);
/* The text or bytes of a key, as text fit to show; nothing if there is none. */
void print_key(struct buf *out, const msgpack_object *map, const char *key);

#endif
