/* Paths of entries: byte strings relative to the root, components separated by '/', no encoding
 * assumed. The empty string is the root itself; it is a parent and a folder, never an entry.
 * All functions but path_check() expect paths that path_check() let pass, or the root; given any
 * other bytes they still end, read nothing outside them, and give some answer. */
#ifndef TUTTI_PATH_H
#define TUTTI_PATH_H

#include "base.h"

enum {
	PATH_BYTES_MAX = 4096,
	PATH_COMPONENT_MAX = 255,
	PATH_DEPTH_MAX = 128,
	PATH_EXTENSION_MAX = 16, /* longer ones are part of the stem in conflict names */
};

/* The folder in the root that is ours: mark, temporary files, trash. Never an entry. */
#define PATH_RESERVED_NAME ".tutti"

enum path_error {
	PATH_OK,
	PATH_EMPTY,
	PATH_TOO_LONG,
	PATH_HAS_NUL,
	PATH_ABSOLUTE,
	PATH_EMPTY_COMPONENT, /* "a//b", "a/" */
	PATH_DOT_COMPONENT,   /* "." or ".." */
	PATH_COMPONENT_TOO_LONG,
	PATH_TOO_DEEP,
	PATH_RESERVED, /* first component is ours, or looks the same to a file system or a person */
};

/* May these bytes be the path of an entry? PATH_OK (0) or the first reason why not. */
enum path_error path_check(struct bytes path);

/* The reason in words, for "cannot take NAME: ..."; lower case, no full stop. */
const char *path_error_text(enum path_error error);

/* The order of the table: component by component, bytewise, parents before children:
 * "a" < "a/b" < "a-b". Negative, 0 or positive. */
int path_compare(struct bytes a, struct bytes b);

/* The part before the last '/' (the root for "a"), and the part after it. Point into `path`. */
struct bytes path_parent(struct bytes path);
struct bytes path_base(struct bytes path);

/* Number of components; 0 for the root. */
unsigned path_depth(struct bytes path);

/* Is `path` below `dir`? Not if they are equal. Everything but the root is below the root. */
bool path_is_under(struct bytes path, struct bytes dir);

/* Appends the path of the conflict copy of `path` for the dot (replica, counter):
 * `stem.conflict-<replica_text>-<counter>.ext` in the same folder. The extension is what follows
 * the last '.', if that is 1 to PATH_EXTENSION_MAX bytes and something stands before the '.'.
 * Conflict parts that the name already has are dropped first, so they never pile up. The stem is
 * cut so that name and path keep to their limits, between characters where it is UTF-8. Only the
 * path of a folder too deep for any copy can make the result too long: path_check() the result.
 * `replica_text` is 8 lower-case hex digits, the start of the replica id. The counter is written with
 * `zeros` zeros before it, up to CONFLICT_ZEROS_MAX: names for a dot whose first name cannot be had. */
enum { CONFLICT_ZEROS_MAX = 4 };
void path_conflict_name(struct buf *out, struct bytes path, const char *replica_text,
			uint64_t counter, unsigned zeros);

/* Appends the path of a plain name beside `path`, for one more file of that name: `stem.NUMBER.ext`, under
 * the rules above; it is no conflict name. path_check() the result. */
void path_numbered_name(struct buf *out, struct bytes path, unsigned number);

/* Has the last component a part that path_conflict_name() could have made? */
bool path_is_conflict_name(struct bytes path);
/* Is `copy` what path_conflict_name() makes of `path` for some dot? */
bool path_is_copy_of(struct bytes copy, struct bytes path);

#endif
