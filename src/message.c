/* Owns the table of methods, and the check of foreign messages against it. */
#include "config.h"
#include "message.h"

#include "codec.h"
#include "path.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- what a field may be ---------------------------------------------------------------- */

/* id, how it is called in the manual, what the limit counts */
#define TYPES(X)                                                                                   \
	X(BOOL, "bool", "")                                                                        \
	X(UINT, "uint", "")                                                                        \
	X(INT, "int", "")                                                                          \
	X(STR, "str", " bytes")     /* UTF-8 */                                                    \
	X(BYTES, "bytes", " bytes") /* bin or str, any bytes */                                    \
	X(BIN, "bin", " bytes")                                                                    \
	X(PATH, "path", "")                                                                        \
	X(FOLDER, "folder", "")     /* a path, or empty: the root */                               \
	X(ID, "id", "")             /* bin of 16 bytes */                                          \
	X(HASH, "hash", "")         /* bin of 32 bytes */                                          \
	X(CHOICE, "", "")           /* one of some strings */                                      \
	X(SHAPE, "", "")            /* a tuple or map with fields of its own */

enum type {
#define X(id, text, unit) T_##id,
	TYPES(X)
#undef X
};

static const struct {
	const char *text, *unit;
} types[] = {
#define X(id, text, unit) {text, unit},
	TYPES(X)
#undef X
};

struct field {
	const char *name;
	enum type type;
	uint64_t max;              /* largest value, or bytes; 0: INT64_MAX, or the frame's end */
	uint32_t many;             /* an array of so many at most; 0: just one */
	bool optional;             /* the key may be missing */
	bool or_nil;
	const char *choices;       /* "a|b|c" */
	const struct shape *shape;
};

struct shape {
	const char *name;
	bool tuple;                /* an array of all fields in order, of which the last may be optional; else a map */
	const struct field *fields;
	size_t n;
};

#define F(text, kind, ...) {.name = (text), .type = T_##kind, __VA_ARGS__}
#define SHAPE(id, text, is_tuple)                                                                  \
	static const struct shape id = {text, is_tuple, id##_fields, ARRAY_LEN(id##_fields)}
#define OPTIONAL .optional = true
#define OR_NIL .or_nil = true
#define OF(s) .shape = &(s)

enum {
	NAME_MAX_BYTES = 255,
	TEXT_MAX_BYTES = 4096,
	LIST_MAX = 65536,
	PROBLEMS_MAX = 1000,
	ROWS_MAX = 500,
	HELD_MAX = 500,
	TRANSFERS_MAX = 20,
	FETCH_MAX = 256 * 1024,
	PAST_MAX = 500,     /* conflicts, things in the trash, lines of the history in one answer */
	TRASH_ID_MAX = 128,
};

/* ---- shapes between peers --------------------------------------------------------------- */

static const struct field seen_fields[] = {
	F("id", ID),
	F("merged", UINT, .max = COUNTER_MAX),
	F("known", UINT, .max = COUNTER_MAX),
	F("merged_life", UINT, .max = UINT64_MAX, OPTIONAL),
	F("known_life", UINT, .max = UINT64_MAX, OPTIONAL),
};
SHAPE(seen, "seen", true);

static const struct field head_fields[] = {
	F("kind", UINT, .max = KIND_SYMLINK),
	F("size", UINT),
	F("mtime", INT),
	F("hash", HASH, OR_NIL),
	F("target", BIN, .max = SYMLINK_MAX, OR_NIL),
	F("position", UINT, .max = REPLICAS_MAX - 1),
	F("counter", UINT, .max = COUNTER_MAX),
	F("rank", UINT),
	F("found", BOOL, OPTIONAL),
};
SHAPE(head, "head", true);

static const struct field dot_fields[] = {
	F("position", UINT, .max = REPLICAS_MAX - 1),
	F("counter", UINT, .max = COUNTER_MAX),
};
SHAPE(dot, "dot", true);

static const struct field mode_fields[] = {
	F("bits", UINT, .max = MODE_BITS),
	F("rank", UINT),
	F("position", UINT, .max = REPLICAS_MAX - 1),
	F("counter", UINT, .max = COUNTER_MAX),
};
SHAPE(mode, "mode", true);

static const struct field entry_fields[] = {
	F("path", PATH),
	F("seq", UINT, .max = COUNTER_MAX),
	F("heads", SHAPE, OF(head), .many = HEADS_MAX),
	F("context", SHAPE, OF(dot), .many = REPLICAS_MAX),
	F("mode", SHAPE, OF(mode), OR_NIL),
	F("gone", HASH, OR_NIL),
	F("data", BIN, .max = INDEX_DATA_MAX, OR_NIL),
};
SHAPE(entry, "entry", true);

static const struct field held_fields[] = {
	F("path", PATH),
	F("seq", UINT, .max = COUNTER_MAX),
	F("stamp", UINT, .max = UINT64_MAX),
	F("kind", UINT, .max = KIND_SYMLINK),
	F("content", UINT, .max = UINT32_MAX),
};
SHAPE(held, "held", true);

static const struct field trouble_fields[] = {
	F("path", FOLDER),
	F("reason", STR, .max = TEXT_MAX_BYTES),
};
SHAPE(trouble, "trouble", true);

/* ---- shapes for clients ----------------------------------------------------------------- */

static const struct field answer_fields[] = {
	F("name", STR, .max = NAME_MAX_BYTES),
	F("ok", BOOL),
	F("looked", UINT),
	F("changed", UINT),
	F("reason", STR, .max = TEXT_MAX_BYTES, OPTIONAL),
};
SHAPE(answer, "answer", false);

static const struct field line_fields[] = {
	F("path", PATH),
	F("depth", UINT, .max = PATH_DEPTH_MAX),
	F("kind", UINT, .max = KIND_SYMLINK),
	F("size", UINT),
	F("mtime", INT),
	F("state", STR, .max = 64),
	F("cells", STR, .max = REPLICAS_MAX),
	F("note", STR, .max = TEXT_MAX_BYTES),
	F("flags", UINT, .max = UINT32_MAX),
	F("files", UINT),
};
SHAPE(line, "line", true);

static const struct field event_fields[] = {
	F("n", UINT),
	F("time", INT),
	F("event", STR, .max = 64),
	F("path", FOLDER),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("detail", BYTES, .max = 2 * PATH_BYTES_MAX),
};
SHAPE(event, "event", false);

static const struct field content_fields[] = {
	F("kind", UINT, .max = KIND_SYMLINK),
	F("size", UINT),
	F("mtime", INT),
	F("hash", HASH, OR_NIL, OPTIONAL),
	F("target", BIN, .max = SYMLINK_MAX, OR_NIL, OPTIONAL),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("counter", UINT, .max = COUNTER_MAX),
	F("rank", INT),
};
SHAPE(content, "content", false);

static const struct field holder_fields[] = {
	F("name", STR, .max = NAME_MAX_BYTES),
	F("cell", STR, .max = 8),
	F("reason", STR, .max = TEXT_MAX_BYTES),
};
SHAPE(holder, "holder", false);

static const struct field peer_fields[] = {
	F("address", STR, .max = TEXT_MAX_BYTES),
	F("name", STR, .max = NAME_MAX_BYTES),
	F("id", STR, .max = NAME_MAX_BYTES),
	F("state", CHOICE, .choices = "connected|connecting|waiting|refused"),
	F("direction", CHOICE, .choices = "in|out"),
	F("since", INT),
	F("retry_ms", UINT),
	F("tries", UINT),
	F("error", STR, .max = TEXT_MAX_BYTES),
	F("in", UINT),
	F("out", UINT),
	F("key", STR, .max = NAME_MAX_BYTES, OPTIONAL),
};
SHAPE(peer, "peer", false);

static const struct field trusted_fields[] = {
	F("key", STR, .max = NAME_MAX_BYTES),
	F("role", CHOICE, .choices = "peer|read-only|client|viewer|refused|pending"),
	F("name", STR, .max = NAME_MAX_BYTES),
	F("addresses", STR, .max = TEXT_MAX_BYTES, .many = 8),
	F("since", INT),
	F("tries", UINT),
};
SHAPE(trusted, "key", false);

static const struct field transfer_fields[] = {
	F("path", PATH),
	F("from", STR, .max = NAME_MAX_BYTES),
	F("to", STR, .max = NAME_MAX_BYTES),
	F("done", UINT),
	F("size", UINT),
	F("rate", UINT),
};
SHAPE(transfer, "transfer", false);

static const struct field walk_fields[] = {
	F("looked", UINT),
	F("changed", UINT),
	F("waiting", STR, .max = NAME_MAX_BYTES, .many = REPLICAS_MAX),
};
SHAPE(walk, "walk", false);

static const struct field replica_fields[] = {
	F("name", STR, .max = NAME_MAX_BYTES),
	F("id", STR, .max = NAME_MAX_BYTES),
	F("address", STR, .max = TEXT_MAX_BYTES),
	F("state", STR, .max = TEXT_MAX_BYTES),
	F("since", INT),
	F("retry_ms", UINT),
	F("tries", UINT),
	F("error", STR, .max = TEXT_MAX_BYTES),
	F("pending_files", UINT),
	F("pending_bytes", UINT),
	F("lag_ms", UINT),
	F("files", UINT),
	F("bytes", UINT),
	F("problems", UINT),
	F("held", UINT, OPTIONAL),
};
SHAPE(replica, "replica", false);

static const struct field problem_fields[] = {
	F("path", FOLDER),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("reason", STR, .max = TEXT_MAX_BYTES),
	F("held", BOOL, OPTIONAL),
};
SHAPE(problem, "problem", false);

/* One of the contents in conflict, and the name that it lies under. */
static const struct field version_fields[] = {
	F("kind", UINT, .max = KIND_SYMLINK),
	F("size", UINT),
	F("mtime", INT),
	F("hash", HASH, OR_NIL),
	F("target", BIN, .max = SYMLINK_MAX, OR_NIL),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("counter", UINT, .max = COUNTER_MAX),
	F("copy", PATH, OR_NIL),
	F("here", BOOL),
};
SHAPE(version, "version", false);

static const struct field conflict_fields[] = {
	F("path", PATH),
	F("stamp", UINT, .max = UINT64_MAX),
	F("versions", SHAPE, OF(version), .many = HEADS_MAX + 1),
};
SHAPE(conflict, "conflict", false);

static const struct field item_fields[] = {
	F("id", BYTES, .max = TRASH_ID_MAX),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("path", PATH),
	F("time", INT),
	F("kind", UINT, .max = KIND_SYMLINK),
	F("size", UINT),
	F("mtime", INT),
	F("hash", HASH, OR_NIL),
	F("target", BIN, .max = SYMLINK_MAX, OR_NIL),
	F("by", STR, .max = NAME_MAX_BYTES),
};
SHAPE(item, "item", false);

static const struct field past_fields[] = {
	F("n", UINT),
	F("time", INT),
	F("event", STR, .max = 64),
	F("path", FOLDER),
	F("replica", STR, .max = NAME_MAX_BYTES),
	F("old_size", UINT),
	F("new_size", UINT),
	F("old_hash", HASH, OR_NIL),
	F("new_hash", HASH, OR_NIL),
};
SHAPE(past, "past", false);

/* Deletions that wait for a word, and the first of their paths. */
static const struct field wave_fields[] = {
	F("id", UINT),
	F("from", STR, .max = NAME_MAX_BYTES),
	F("since", INT),
	F("n", UINT),
	F("bytes", UINT),
	F("paths", PATH, .many = HELD_MAX),
	F("more", BOOL),
};
SHAPE(wave, "wave", false);

static const struct shape *const shapes[] = {
	&seen, &entry, &head, &dot, &mode, &held, &trouble,
	&answer, &line, &event, &content, &holder, &peer, &trusted, &transfer, &walk, &replica,
	&problem, &version, &conflict, &item, &past, &wave,
};

/* ---- fields of the methods -------------------------------------------------------------- */

static const struct field error_fields[] = {
	F("code", STR, .max = 64),
	F("text", STR, .max = TEXT_MAX_BYTES),
};

static const struct field hello_fields[] = {
	F("proto", UINT, .max = UINT32_MAX),
	F("role", CHOICE, .choices = "peer|client"),
	F("name", STR, .max = NAME_MAX_BYTES),
	F("id", ID, OPTIONAL),
	F("seq", UINT, .max = COUNTER_MAX, OPTIONAL),
	F("features", STR, .max = 64, .many = 32, OPTIONAL),
};

static const struct field sync_fields[] = {
	F("seen", SHAPE, OF(seen), .many = REPLICAS_MAX),
};

static const struct field index_fields[] = {
	F("ids", ID, .many = REPLICAS_MAX),
	F("to", UINT, .max = COUNTER_MAX),
	F("life", UINT, .max = UINT64_MAX, OPTIONAL),
	F("more", BOOL),
	F("e", SHAPE, OF(entry), .many = LIST_MAX),
};

static const struct field have_fields[] = {
	F("ids", ID, .many = REPLICAS_MAX),
	F("r", UINT, .max = REPLICAS_MAX - 1),
	F("to", UINT, .max = COUNTER_MAX),
	F("life", UINT, .max = UINT64_MAX, OPTIONAL),
	F("e", SHAPE, OF(held), .many = LIST_MAX),
};

static const struct field report_fields[] = {
	F("r", ID),
	F("n", UINT),
	F("name", STR, .max = NAME_MAX_BYTES),
	F("addr", STR, .max = TEXT_MAX_BYTES),
	F("pending", UINT),
	F("pending_bytes", UINT),
	F("problems", SHAPE, OF(trouble), .many = PROBLEMS_MAX),
	F("nproblems", UINT),
	F("links", ID, .many = REPLICAS_MAX),
	F("files", UINT),
	F("bytes", UINT),
	F("held", UINT, .max = PROBLEMS_MAX - 1, .many = PROBLEMS_MAX, OPTIONAL),
	F("nheld", UINT, OPTIONAL),
};

static const struct field fetch_fields[] = {
	F("path", PATH),
	F("hash", HASH),
	F("off", UINT),
	F("len", UINT, .max = FETCH_MAX),
	F("trash", BYTES, .max = TRASH_ID_MAX, OPTIONAL),
};
static const struct field fetch_result[] = {
	F("data", BIN, .max = FETCH_MAX),
};

static const struct field ack_fields[] = {
	F("to", UINT, .max = COUNTER_MAX),
};

static const struct field resync_fields[] = {
	F("path", FOLDER),
	F("id", ID, OPTIONAL),
};
static const struct field resync_result[] = {
	F("replicas", SHAPE, OF(answer), .many = REPLICAS_MAX),
};

static const struct field resync_at_fields[] = {
	F("id", ID),
	F("looked", UINT),
	F("changed", UINT),
};

static const struct field open_fields[] = {
	F("sort", CHOICE, .choices = "name|size|date|state"),
	F("reverse", BOOL, OPTIONAL),
	F("tree", BOOL, OPTIONAL),
	F("under", FOLDER, OPTIONAL),
	F("filter", STR, .max = TEXT_MAX_BYTES, OPTIONAL),
	F("only", BOOL, OPTIONAL),
	F("unfold", PATH, .many = LIST_MAX, OPTIONAL),
};
static const struct field open_result[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("rows", UINT),
};

static const struct field window_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("rows", UINT, .max = ROWS_MAX),
	F("first", UINT, OPTIONAL),
	F("at", PATH, OPTIONAL),
	F("line", UINT, .max = ROWS_MAX, OPTIONAL),
};
static const struct field rows_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("gen", UINT),
	F("total", UINT),
	F("first", UINT),
	F("anchor", UINT),
	F("files", UINT),
	F("bytes", UINT),
	F("unsynced", UINT),
	F("rows", SHAPE, OF(line), .many = ROWS_MAX),
};

static const struct field find_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("text", STR, .max = TEXT_MAX_BYTES),
	F("from", FOLDER, OPTIONAL),
	F("back", BOOL, OPTIONAL),
};
static const struct field find_result[] = {
	F("found", BOOL),
	F("path", FOLDER),
	F("position", UINT),
};

static const struct field locate_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("path", PATH),
};
static const struct field locate_result[] = {
	F("position", UINT),
	F("exact", BOOL),
};

static const struct field fold_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
	F("path", FOLDER, OPTIONAL),
	F("open", BOOL),
	F("all", BOOL, OPTIONAL),
};
static const struct field fold_result[] = {
	F("rows", UINT),
};

static const struct field close_fields[] = {
	F("table", UINT, .max = UINT32_MAX),
};

static const struct field status_fields[] = {
	F("name", STR, .max = NAME_MAX_BYTES),
	F("id", STR, .max = NAME_MAX_BYTES),
	F("root", BYTES, .max = PATH_BYTES_MAX),
	F("replicas", SHAPE, OF(replica), .many = REPLICAS_MAX),
	F("rows", UINT),
	F("files", UINT),
	F("bytes", UINT),
	F("in_sync", BOOL),
	F("conflicts", UINT),
	F("held", UINT),
	F("asking", UINT, OPTIONAL),
	F("scanning", BOOL),
	F("problems", SHAPE, OF(problem), .many = PROBLEMS_MAX),
	F("notes", STR, .max = TEXT_MAX_BYTES, .many = PROBLEMS_MAX),
};

static const struct field wait_fields[] = {
	F("timeout", UINT, .max = UINT32_MAX, OPTIONAL),
};
static const struct field wait_result[] = {
	F("in_sync", BOOL),
	F("reason", STR, .max = TEXT_MAX_BYTES),
};

static const struct field events_fields[] = {
	F("since", UINT, OPTIONAL),
};
static const struct field events_result[] = {
	F("first", UINT),
	F("next", UINT),
	F("gap", BOOL),
	F("events", SHAPE, OF(event), .many = LIST_MAX),
};

static const struct field row_fields[] = {
	F("path", PATH),
};
static const struct field row_result[] = {
	F("path", PATH),
	F("heads", SHAPE, OF(content), .many = HEADS_MAX),
	F("mode", UINT, .max = MODE_BITS),
	F("replicas", SHAPE, OF(holder), .many = REPLICAS_MAX),
	F("state", STR, .max = 64),
	F("reason", STR, .max = TEXT_MAX_BYTES),
	F("events", SHAPE, OF(event), .many = LIST_MAX),
};

static const struct field peers_result[] = {
	F("peers", SHAPE, OF(peer), .many = LIST_MAX),
	F("keys", SHAPE, OF(trusted), .many = LIST_MAX, OPTIONAL),
};

static const struct field join_fields[] = {
	F("proof", HASH),
	F("name", STR, .max = NAME_MAX_BYTES),
};

static const struct field trust_fields[] = {
	F("key", STR, .max = NAME_MAX_BYTES),
	F("role", CHOICE, .choices = "peer|read-only|client|viewer", OPTIONAL),
	F("name", STR, .max = NAME_MAX_BYTES, OPTIONAL),
	F("address", STR, .max = NAME_MAX_BYTES, OPTIONAL),
};
static const struct field untrust_fields[] = {
	F("key", STR, .max = NAME_MAX_BYTES),
};
static const struct field trust_result[] = {
	F("key", STR, .max = NAME_MAX_BYTES),
	F("role", STR, .max = 64),
	F("name", STR, .max = NAME_MAX_BYTES),
};

static const struct field invite_fields[] = {
	F("role", CHOICE, .choices = "peer|read-only", OPTIONAL),
	F("address", STR, .max = NAME_MAX_BYTES, OPTIONAL),
};
static const struct field invite_result[] = {
	F("invitation", STR, .max = 512),
	F("seconds", UINT),
};

static const struct field conflicts_fields[] = {
	F("under", FOLDER, OPTIONAL),
	F("after", PATH, OPTIONAL),
	F("max", UINT, .max = PAST_MAX),
};
static const struct field conflicts_result[] = {
	F("conflicts", SHAPE, OF(conflict), .many = PAST_MAX),
	F("more", BOOL),
};

static const struct field resolve_fields[] = {
	F("path", PATH),
	F("stamp", UINT, .max = UINT64_MAX),
	F("keep", CHOICE, .choices = "this|both"),
	F("version", UINT, .max = HEADS_MAX, OPTIONAL),
};
static const struct field resolve_result[] = {
	F("undo", UINT),
};

static const struct field undo_fields[] = {
	F("undo", UINT, OPTIONAL),
	F("path", PATH, OPTIONAL),
};
static const struct field undo_result[] = {
	F("undo", UINT),
	F("path", PATH),
};

static const struct field trash_fields[] = {
	F("under", FOLDER, OPTIONAL),
	F("since", INT, OPTIONAL),
	F("until", INT, OPTIONAL),
	F("after", BYTES, .max = TRASH_ID_MAX, OPTIONAL),
	F("after_replica", STR, .max = NAME_MAX_BYTES, OPTIONAL),
	F("max", UINT, .max = PAST_MAX),
	F("replica", STR, .max = NAME_MAX_BYTES, OPTIONAL),
};
static const struct field trash_result[] = {
	F("items", SHAPE, OF(item), .many = PAST_MAX),
	F("more", BOOL),
	F("missing", STR, .max = NAME_MAX_BYTES, .many = REPLICAS_MAX),
};

static const struct field restore_fields[] = {
	F("id", BYTES, .max = TRASH_ID_MAX, OPTIONAL),
	F("replica", STR, .max = NAME_MAX_BYTES, OPTIONAL),
	F("path", PATH, OPTIONAL),
	F("time", INT, OPTIONAL),
	F("to", PATH, OPTIONAL),
};
static const struct field restore_result[] = {
	F("path", PATH),
	F("from", STR, .max = NAME_MAX_BYTES),
	F("time", INT),
	F("size", UINT),
};

static const struct field history_fields[] = {
	F("path", FOLDER, OPTIONAL),
	F("before", UINT, OPTIONAL),
	F("max", UINT, .max = PAST_MAX),
};
static const struct field history_result[] = {
	F("lines", SHAPE, OF(past), .many = PAST_MAX),
	F("more", BOOL),
};

static const struct field held_request[] = {
	F("max", UINT, .max = HELD_MAX),
};
static const struct field held_result[] = {
	F("sets", SHAPE, OF(wave), .many = REPLICAS_MAX),
};
static const struct field decide_fields[] = {
	F("id", UINT),
	F("delete", BOOL),
};
static const struct field decide_result[] = {
	F("left", UINT),
};

static const struct field progress_fields[] = {
	F("in", UINT),
	F("out", UINT),
	F("transfers", SHAPE, OF(transfer), .many = TRANSFERS_MAX),
	F("active", UINT),
	F("done", UINT),
	F("size", UINT),
	F("resync", SHAPE, OF(walk), OR_NIL, OPTIONAL),
};

/* ---- rules that no single field can say ------------------------------------------------- */

static bool key_is(const msgpack_object *params, const char *key, const char *value)
{
	struct bytes b;
	return wire_get_str(params, key, &b) && bytes_eq(b, bytes_of(value));
}

static const char *hello_rule(const msgpack_object *params, unsigned from)
{
	if (key_is(params, "role", "client"))
		return from & (PARTY_CLIENT | PARTY_VIEWER) ? NULL : "clients are not served here";
	if (!(from & (PARTY_PEER | PARTY_SERVER)))
		return "peers are not served here";
	if (!wire_get(params, "id") || !wire_get(params, "seq"))
		return "a peer says its id and seq";
	return NULL;
}

static const char *have_rule(const msgpack_object *params, unsigned from)
{
	uint64_t r;
	(void)from;
	wire_get_uint(params, "r", UINT16_MAX, &r);
	return r < wire_count(wire_get(params, "ids")) ? NULL : "r is no position in ids";
}

static const char *resync_rule(const msgpack_object *params, unsigned from)
{
	if (from == PARTY_PEER && !wire_get(params, "id"))
		return "a peer gives the walk an id";
	return NULL;
}

static const char *window_rule(const msgpack_object *params, unsigned from)
{
	(void)from;
	bool by_position = wire_get(params, "first");
	bool by_path = wire_get(params, "at");
	bool by_line = wire_get(params, "line");
	return by_position != by_path && by_path == by_line ? NULL : "either first, or at and line";
}

static const char *resolve_rule(const msgpack_object *params, unsigned from)
{
	(void)from;
	bool one = key_is(params, "keep", "this");
	return one == (wire_get(params, "version") != NULL) ? NULL : "version goes with \"this\"";
}

static const char *restore_rule(const msgpack_object *params, unsigned from)
{
	(void)from;
	bool by_id = wire_get(params, "id");
	bool by_path = wire_get(params, "path");
	if (by_id == by_path)
		return "either id or path";
	return by_id && wire_get(params, "time") ? "time goes with path" : NULL;
}

/* ---- the table -------------------------------------------------------------------------- */

struct method {
	enum wire_kind kind;
	unsigned from;  /* set of enum message_party */
	unsigned phase; /* set of enum message_phase */
	const struct field *params;
	size_t n_params;
	const struct field *result; /* of requests */
	size_t n_result;
	/* NULL, or what is wrong */
	const char *(*rule)(const msgpack_object *params, unsigned from);
};

enum {
	FROM_ALL = PARTY_PEER | PARTY_CLIENT | PARTY_VIEWER | PARTY_SERVER,
	FROM_CLIENTS = PARTY_CLIENT | PARTY_VIEWER, /* what decides nothing */
	PHASE_ALL = PHASE_STRANGER | PHASE_GREETED,
};

#define WITH(fields) .params = (fields), .n_params = ARRAY_LEN(fields)
#define GIVES(fields) .result = (fields), .n_result = ARRAY_LEN(fields)
#define NOTE(who, when) .kind = WIRE_NOTIFICATION, .from = (who), .phase = (when)
#define CALL(who) .kind = WIRE_REQUEST, .from = (who), .phase = PHASE_GREETED

static const struct method methods[MESSAGES_N] = {
	[MESSAGE_JOIN] = {NOTE(PARTY_GUEST | PARTY_PEER, PHASE_STRANGER), WITH(join_fields)},
	[MESSAGE_HELLO] = {NOTE(FROM_ALL, PHASE_STRANGER), WITH(hello_fields), .rule = hello_rule},
	[MESSAGE_BYE] = {NOTE(FROM_ALL, PHASE_ALL), WITH(error_fields)},
	[MESSAGE_PING] = {NOTE(FROM_ALL, PHASE_GREETED)},

	[MESSAGE_SYNC] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(sync_fields)},
	[MESSAGE_INDEX] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(index_fields)},
	[MESSAGE_HAVE] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(have_fields), .rule = have_rule},
	[MESSAGE_REPORT] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(report_fields)},
	[MESSAGE_FETCH] = {CALL(PARTY_PEER), WITH(fetch_fields), GIVES(fetch_result)},
	[MESSAGE_ACK] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(ack_fields)},
	[MESSAGE_RESYNC] = {CALL(PARTY_PEER | PARTY_CLIENT), WITH(resync_fields),
			    GIVES(resync_result), .rule = resync_rule},
	[MESSAGE_RESYNC_AT] = {NOTE(PARTY_PEER, PHASE_GREETED), WITH(resync_at_fields)},

	[MESSAGE_TABLE_OPEN] = {CALL(FROM_CLIENTS), WITH(open_fields), GIVES(open_result)},
	[MESSAGE_TABLE_WINDOW] = {CALL(FROM_CLIENTS), WITH(window_fields), GIVES(rows_fields),
				  .rule = window_rule},
	[MESSAGE_TABLE_FIND] = {CALL(FROM_CLIENTS), WITH(find_fields), GIVES(find_result)},
	[MESSAGE_TABLE_LOCATE] = {CALL(FROM_CLIENTS), WITH(locate_fields), GIVES(locate_result)},
	[MESSAGE_TABLE_FOLD] = {CALL(FROM_CLIENTS), WITH(fold_fields), GIVES(fold_result)},
	[MESSAGE_TABLE_CLOSE] = {CALL(FROM_CLIENTS), WITH(close_fields)},
	[MESSAGE_STATUS] = {CALL(FROM_CLIENTS), GIVES(status_fields)},
	[MESSAGE_WAIT] = {CALL(FROM_CLIENTS), WITH(wait_fields), GIVES(wait_result)},
	[MESSAGE_EVENTS] = {CALL(FROM_CLIENTS), WITH(events_fields), GIVES(events_result)},
	[MESSAGE_ROW] = {CALL(FROM_CLIENTS), WITH(row_fields), GIVES(row_result)},
	[MESSAGE_PEERS] = {CALL(FROM_CLIENTS), GIVES(peers_result)},
	[MESSAGE_TRUST] = {CALL(PARTY_CLIENT), WITH(trust_fields), GIVES(trust_result)},
	[MESSAGE_UNTRUST] = {CALL(PARTY_CLIENT), WITH(untrust_fields), GIVES(trust_result)},
	[MESSAGE_INVITE] = {CALL(PARTY_CLIENT), WITH(invite_fields), GIVES(invite_result)},

	[MESSAGE_CONFLICTS] = {CALL(FROM_CLIENTS), WITH(conflicts_fields), GIVES(conflicts_result)},
	[MESSAGE_RESOLVE] = {CALL(PARTY_CLIENT), WITH(resolve_fields), GIVES(resolve_result),
			     .rule = resolve_rule},
	[MESSAGE_UNDO] = {CALL(PARTY_CLIENT), WITH(undo_fields), GIVES(undo_result)},
	[MESSAGE_TRASH] = {CALL(PARTY_PEER | FROM_CLIENTS), WITH(trash_fields),
			   GIVES(trash_result)},
	[MESSAGE_RESTORE] = {CALL(PARTY_CLIENT), WITH(restore_fields), GIVES(restore_result),
			     .rule = restore_rule},
	[MESSAGE_HISTORY] = {CALL(FROM_CLIENTS), WITH(history_fields), GIVES(history_result)},
	[MESSAGE_HELD] = {CALL(FROM_CLIENTS), WITH(held_request), GIVES(held_result)},
	[MESSAGE_HELD_DECIDE] = {CALL(PARTY_CLIENT), WITH(decide_fields), GIVES(decide_result)},

	[MESSAGE_TABLE_ROWS] = {NOTE(PARTY_SERVER, PHASE_GREETED), WITH(rows_fields)},
	[MESSAGE_EVENT] = {NOTE(PARTY_SERVER, PHASE_GREETED), WITH(event_fields)},
	[MESSAGE_PROGRESS] = {NOTE(PARTY_SERVER, PHASE_GREETED), WITH(progress_fields)},
	[MESSAGE_STATUS_NOW] = {NOTE(PARTY_SERVER, PHASE_GREETED), WITH(status_fields)},
};

static const char *const names[MESSAGES_N] = {
#define X(id, name) [MESSAGE_##id] = name,
	MESSAGES(X)
#undef X
};

const char *message_name(enum message m)
{
	assert(m < MESSAGES_N);
	return names[m];
}

int message_find(struct bytes name, enum wire_kind kind)
{
	for (int m = 0; m < MESSAGES_N; m++)
		if (methods[m].kind == kind && bytes_eq(name, bytes_of(names[m])))
			return m;
	return -1;
}

/* ---- the text of the table -------------------------------------------------------------- */

/* Large limits are powers of two, or one less. */
static void write_limit(struct buf *out, uint64_t max)
{
	for (unsigned n = 31; n <= 64; n++) {
		uint64_t less = UINT64_MAX >> (64 - n);
		if (max == less)
			buf_addf(out, "2^%u-1", n);
		if (max == less + 1 && n < 64)
			buf_addf(out, "2^%u", n);
	}
	if (max && max < UINT32_MAX >> 1)
		buf_addf(out, "%" PRIu64, max);
}

static void write_type(struct buf *out, const struct field *f)
{
	const char *open = f->many ? "[" : "";
	const char *close = f->many ? "]" : "";
	const char *text = f->type == T_SHAPE ? f->shape->name
			   : f->type == T_CHOICE ? f->choices : types[f->type].text;
	buf_addf(out, "%s%s%s", open, text, close);
	if (f->or_nil)
		buf_addf(out, " or nil");
	if (f->many)
		buf_addf(out, ", at most %" PRIu32, f->many);
	if (f->max)
		buf_addf(out, ", %sat most ", f->many ? "each " : "");
	write_limit(out, f->max);
	if (f->max)
		buf_addf(out, "%s", types[f->type].unit);
}

static void write_fields(struct buf *out, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "    %s%s: ", fields[i].name,
			 fields[i].optional ? " (optional)" : "");
		write_type(out, &fields[i]);
		buf_add_char(out, '\n');
	}
	if (!n)
		buf_addf(out, "    nothing\n");
}

void message_write(struct buf *out, enum message m)
{
	static const char *const parties[] = {"peer", "client", "viewer", "server", "guest"};
	const struct method *t = &methods[m];
	const char *comma = " from ";
	buf_addf(out, "%s %s", t->kind == WIRE_REQUEST ? "request" : "notification", names[m]);
	for (size_t i = 0; i < ARRAY_LEN(parties); i++) {
		if (!(t->from & 1u << i))
			continue;
		buf_addf(out, "%s%s", comma, parties[i]);
		comma = ", ";
	}
	if (t->phase == PHASE_STRANGER)
		buf_addf(out, ", first");
	else if (t->phase == PHASE_ALL)
		buf_addf(out, ", at any time");
	buf_add_char(out, '\n');
	write_fields(out, t->params, t->n_params);
	if (t->kind == WIRE_REQUEST) {
		buf_addf(out, "  result\n");
		write_fields(out, t->result, t->n_result);
	}
}

bool message_write_shape(struct buf *out, size_t number)
{
	if (number >= ARRAY_LEN(shapes))
		return false;
	const struct shape *s = shapes[number];
	buf_addf(out, "%s %s\n", s->tuple ? "array" : "map", s->name);
	write_fields(out, s->fields, s->n);
	return true;
}

void message_table_write(struct buf *out)
{
	for (int m = 0; m < MESSAGES_N; m++)
		message_write(out, (enum message)m);
	for (size_t i = 0; message_write_shape(out, i); i++)
		;
}

/* ---- the check -------------------------------------------------------------------------- */

/* Where in a message we are: a chain on the stack, as deep as the table is. */
struct place {
	const struct place *up;
	const char *name;
	size_t index; /* in the array of that name, or SIZE_MAX */
};

static void write_place(struct buf *out, const struct place *p)
{
	if (p->up) {
		write_place(out, p->up);
		if (p->up->up || p->up->name[0])
			buf_add_char(out, '.');
	}
	buf_addf(out, "%s", p->name);
	if (p->index != SIZE_MAX)
		buf_addf(out, "[%zu]", p->index);
}

static bool is_choice(struct bytes s, const char *choices)
{
	while (true) {
		size_t len = strcspn(choices, "|");
		if (s.len == len && memcmp(s.p, choices, len) == 0)
			return true;
		if (!choices[len])
			return false;
		choices += len + 1;
	}
}

static bool check_fields(const msgpack_object *o, const struct field *fields, size_t n, bool tuple,
			 const struct place *up, struct buf *why);

static bool is_scalar(const msgpack_object *o, const struct field *f)
{
	struct bytes b;
	uint64_t u;
	int64_t i;
	bool v;
	uint64_t max = f->max ? f->max : INT64_MAX;
	switch (f->type) {
	case T_BOOL:
		return wire_as_bool(o, &v);
	case T_UINT:
		return wire_as_uint(o, max, &u);
	case T_INT:
		return wire_as_int(o, &i);
	case T_STR:
		return wire_as_str(o, &b) && b.len <= max && text_is_utf8(b);
	case T_BYTES:
		return wire_as_bytes(o, &b) && b.len <= max;
	case T_BIN:
		return wire_as_bin(o, &b) && b.len <= max;
	case T_PATH:
		return wire_as_bytes(o, &b) && path_check(b) == PATH_OK;
	case T_FOLDER:
		return wire_as_bytes(o, &b) && (!b.len || path_check(b) == PATH_OK);
	case T_ID:
		return wire_as_bin(o, &b) && b.len == REPLICA_ID_SIZE;
	case T_HASH:
		return wire_as_bin(o, &b) && b.len == HASH_SIZE;
	case T_CHOICE:
		return wire_as_str(o, &b) && is_choice(b, f->choices);
	case T_SHAPE:
		break;
	}
	return false;
}

static bool check_one(const msgpack_object *o, const struct field *f, const struct place *at,
		      struct buf *why)
{
	if (f->type == T_SHAPE)
		return check_fields(o, f->shape->fields, f->shape->n, f->shape->tuple, at, why);
	if (is_scalar(o, f))
		return true;
	struct bytes b;
	write_place(why, at);
	if ((f->type == T_PATH || f->type == T_FOLDER) && wire_as_bytes(o, &b)) {
		buf_addf(why, ": %s", path_error_text(path_check(b)));
		return false;
	}
	struct field one = *f;
	one.many = 0;
	buf_addf(why, " is not ");
	write_type(why, &one);
	return false;
}

static bool check_field(const msgpack_object *o, const struct field *f, const struct place *up,
			struct buf *why)
{
	struct place at = {up, f->name, SIZE_MAX};
	if (f->or_nil && wire_is_nil(o))
		return true;
	if (!f->many)
		return check_one(o, f, &at, why);
	size_t n = wire_count(o);
	if (o->type != MSGPACK_OBJECT_ARRAY || n > f->many) {
		write_place(why, &at);
		buf_addf(why, " is not ");
		write_type(why, f);
		return false;
	}
	for (at.index = 0; at.index < n; at.index++)
		if (!check_one(wire_at(o, at.index), f, &at, why))
			return false;
	return true;
}

static bool check_tuple(const msgpack_object *o, const struct field *fields, size_t n,
			const struct place *up, struct buf *why)
{
	size_t least = n, there = wire_count(o);
	while (least && fields[least - 1].optional)
		least--;
	if (there < least || there > n || o->type != MSGPACK_OBJECT_ARRAY) {
		write_place(why, up);
		buf_addf(why, " is not an array of %zu", n);
		return false;
	}
	for (size_t i = 0; i < there; i++)
		if (!check_field(wire_at(o, i), &fields[i], up, why))
			return false;
	return true;
}

/* Each known key once, and the required ones there; others are for versions to come. */
static bool check_map(const msgpack_object *o, const struct field *fields, size_t n,
		      const struct place *up, struct buf *why)
{
	enum { FIELDS_MAX = 32 };
	bool seen_it[FIELDS_MAX] = {false};
	assert(n <= FIELDS_MAX);
	if (o->type != MSGPACK_OBJECT_MAP) {
		write_place(why, up);
		buf_addf(why, " is not a map");
		return false;
	}
	for (uint32_t k = 0; k < o->via.map.size; k++) {
		const msgpack_object_kv *kv = &o->via.map.ptr[k];
		struct bytes key;
		if (!wire_as_str(&kv->key, &key)) {
			write_place(why, up);
			buf_addf(why, "%sa key is not a str", up->name[0] ? ": " : "");
			return false;
		}
		size_t i = 0;
		while (i < n && !bytes_eq(key, bytes_of(fields[i].name)))
			i++;
		if (i == n)
			continue;
		struct place at = {up, fields[i].name, SIZE_MAX};
		if (seen_it[i]) {
			write_place(why, &at);
			buf_addf(why, " comes twice");
			return false;
		}
		seen_it[i] = true;
		if (!check_field(&kv->val, &fields[i], up, why))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		struct place at = {up, fields[i].name, SIZE_MAX};
		if (seen_it[i] || fields[i].optional)
			continue;
		write_place(why, &at);
		buf_addf(why, " is missing");
		return false;
	}
	return true;
}

static bool check_fields(const msgpack_object *o, const struct field *fields, size_t n, bool tuple,
			 const struct place *up, struct buf *why)
{
	return tuple ? check_tuple(o, fields, n, up, why) : check_map(o, fields, n, up, why);
}

/* The reason is made of our own words; only the name of an unknown method is foreign. */
static void say(char why[MESSAGE_TEXT_MAX], const char *method, struct buf *reason)
{
	buf_add_char(reason, '\0');
	snprintf(why, MESSAGE_TEXT_MAX, "%s: %s", method, (const char *)reason->data);
	buf_release(reason);
}

static const struct place top = {NULL, "", SIZE_MAX};

int message_check(const struct wire_frame *f, unsigned from, enum message_phase phase,
		  char why[MESSAGE_TEXT_MAX])
{
	struct buf reason = {0};
	why[0] = '\0';
	assert(f->kind != WIRE_RESPONSE);
	int m = message_find(f->method, f->kind);
	if (m < 0) {
		struct buf shown = {0};
		text_show_ascii(&shown, f->method);
		buf_addf(&reason, "no such %s",
			 f->kind == WIRE_REQUEST ? "request" : "notification");
		buf_add_char(&shown, '\0');
		say(why, (const char *)shown.data, &reason);
		buf_release(&shown);
		return -1;
	}
	const struct method *t = &methods[m];
	const char *broken = NULL;
	if (!(t->phase & phase))
		broken = phase == PHASE_STRANGER ? "hello must come first" : "not a second time";
	else if (!(t->from & from))
		broken = "not for the other side to say";
	else if (check_map(f->params, t->params, t->n_params, &top, &reason) && t->rule)
		broken = t->rule(f->params, from);
	if (broken)
		buf_addf(&reason, "%s", broken);
	if (!reason.len)
		return m;
	say(why, names[m], &reason);
	return -1;
}

bool message_check_response(const struct wire_frame *f, enum message request,
			    char why[MESSAGE_TEXT_MAX])
{
	struct buf reason = {0};
	why[0] = '\0';
	assert(f->kind == WIRE_RESPONSE && request < MESSAGES_N);
	const struct method *t = &methods[request];
	assert(t->kind == WIRE_REQUEST);
	bool fine =
		f->error ? check_map(f->error, error_fields, ARRAY_LEN(error_fields), &top, &reason)
			 : check_map(f->result, t->result, t->n_result, &top, &reason);
	if (!fine)
		say(why, names[request], &reason);
	return fine;
}

bool message_hello_has(const msgpack_object *hello, const char *word)
{
	const msgpack_object *features = wire_get(hello, "features");
	struct bytes b;
	for (size_t i = 0; i < wire_count(features); i++)
		if (wire_as_str(wire_at(features, i), &b) && bytes_eq(b, bytes_of(word)))
			return true;
	return false;
}

void message_error_parts(const msgpack_object *error, struct bytes *code, struct bytes *text)
{
	wire_get_str(error, "code", code);
	wire_get_str(error, "text", text);
}
