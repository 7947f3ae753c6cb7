/* Owns the index database: its opening (or moving aside), its tables, its transactions. */
#include "config.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FORMAT 2
#define FILE_NAME "index.db"
#define LOCK_NAME "lock"
#define LOST_FILES_MAX 1000 /* names tried for moving aside */

/* Every statement in one place; prepared when first used. */
enum statement {
	ST_BEGIN, ST_COMMIT, ST_ROLLBACK,
	ST_META_SET, ST_META_GET, ST_META_ALL,
	ST_REPLICA_SET, ST_REPLICA_ALL,
	ST_ENTRY_SET, ST_ENTRY_REMOVE, ST_ENTRY_ALL,
	ST_TRASH_SET, ST_TRASH_REMOVE, ST_TRASH_ALL, ST_TRASH_FIND,
	ST_JOURNAL_ADD, ST_JOURNAL_ALL, ST_JOURNAL_PATH, ST_JOURNAL_TRIM,
	STATEMENTS,
};

#define TRASH_COLUMNS "name, path, time, size, hash, replica, what, kind, mtime"
#define JOURNAL_COLUMNS "id, time, path, replica, what, old_size, new_size, old_hash, new_hash"

static const char *const sql[STATEMENTS] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_META_SET] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
	[ST_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[ST_META_ALL] = "SELECT key, value FROM meta",
	[ST_REPLICA_SET] = "INSERT OR REPLACE INTO replica (num, id, name, merged, known, record)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[ST_REPLICA_ALL] = "SELECT num, id, name, merged, known, record FROM replica ORDER BY num",
	[ST_ENTRY_SET] = "INSERT OR REPLACE INTO entry (path, seq, kind, size, mtime, hash, record)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ST_ENTRY_REMOVE] = "DELETE FROM entry WHERE path = ?1",
	[ST_ENTRY_ALL] = "SELECT path, seq, kind, size, mtime, hash, record FROM entry ORDER BY path",
	[ST_TRASH_SET] = "INSERT OR REPLACE INTO trash"
		" (name, path, time, size, hash, replica, what, kind, mtime)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[ST_TRASH_REMOVE] = "DELETE FROM trash WHERE name = ?1",
	[ST_TRASH_ALL] = "SELECT " TRASH_COLUMNS " FROM trash ORDER BY time, name",
	[ST_TRASH_FIND] = "SELECT " TRASH_COLUMNS " FROM trash WHERE"
		" (?1 IS NULL OR path = ?1 OR (path >= ?2 AND path < ?3))"
		" AND time >= ?4 AND time <= ?5 AND (?6 IS NULL OR hash = ?6)"
		" AND (?7 IS NULL OR name = ?7) AND (?8 IS NULL OR time < ?9 OR (time = ?9 AND name < ?8))"
		" ORDER BY time DESC, name DESC LIMIT ?10",
	[ST_JOURNAL_ADD] = "INSERT INTO journal"
		" (time, path, replica, what, old_size, new_size, old_hash, new_hash)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[ST_JOURNAL_ALL] = "SELECT " JOURNAL_COLUMNS " FROM journal WHERE id < ?2"
		" ORDER BY id DESC LIMIT ?1",
	[ST_JOURNAL_PATH] = "SELECT " JOURNAL_COLUMNS " FROM journal WHERE id < ?2"
		" AND (path = ?3 OR (path >= ?4 AND path < ?5)) ORDER BY id DESC LIMIT ?1",
	[ST_JOURNAL_TRIM] = "DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?1",
};

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE replica (num INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, name BLOB NOT NULL,"
	" merged INTEGER NOT NULL, known INTEGER NOT NULL, record BLOB NOT NULL);"
	"CREATE TABLE entry (path BLOB PRIMARY KEY, seq INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash BLOB, record BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE trash (name BLOB PRIMARY KEY, path BLOB NOT NULL, time INTEGER NOT NULL,"
	" size INTEGER NOT NULL, hash BLOB, replica BLOB NOT NULL DEFAULT x'',"
	" what BLOB NOT NULL DEFAULT x'', kind INTEGER NOT NULL DEFAULT 0,"
	" mtime INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE journal (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, path BLOB NOT NULL,"
	" replica BLOB NOT NULL, what TEXT NOT NULL, old_size INTEGER NOT NULL,"
	" new_size INTEGER NOT NULL, old_hash BLOB, new_hash BLOB);"
	"CREATE INDEX journal_path ON journal (path, id);"
	"PRAGMA application_id = 0x54757474;" /* "Tutt" */
	"PRAGMA user_version = 2;"
	"COMMIT";
_Static_assert(FORMAT == 2, "user_version in the schema");

/* What makes an index of format i + 1 one of the next: one transaction each, so that a crash leaves
 * the one or the other. */
static const char *const migrations[FORMAT - 1] = {
	/* the trash tells what displaced a thing */
	"BEGIN IMMEDIATE;"
	"ALTER TABLE trash ADD COLUMN replica BLOB NOT NULL DEFAULT x'';"
	"ALTER TABLE trash ADD COLUMN what BLOB NOT NULL DEFAULT x'';"
	"ALTER TABLE trash ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE trash ADD COLUMN mtime INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version = 2;"
	"COMMIT",
};
#define APPLICATION_ID 0x54757474

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	char *dir;
	char *file;
	int lock_fd;
	bool unsure; /* a sync failed */
	bool in_use; /* the index says so: it was not closed cleanly since */
	struct replica_id replica;
	uint64_t counter;
};

/* --- errors --- */

static int sqlite_errno(int code)
{
	static const struct {
		int code;
		int err;
	} table[] = {
		{SQLITE_FULL, ENOSPC}, {SQLITE_READONLY, EROFS}, {SQLITE_IOERR, EIO},
		{SQLITE_CORRUPT, EBADMSG}, {SQLITE_NOTADB, EBADMSG}, {SQLITE_CANTOPEN, EACCES},
		{SQLITE_PERM, EACCES}, {SQLITE_BUSY, EBUSY}, {SQLITE_LOCKED, EBUSY},
		{SQLITE_NOMEM, ENOMEM}, {SQLITE_TOOBIG, EFBIG}, {SQLITE_CONSTRAINT, EBADMSG},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].code == (code & 0xff))
			return -table[i].err;
	}
	return -EIO;
}

/* The error of the last call on the database, with its text. */
static int db_error(struct store *s, char **error)
{
	int code = sqlite3_extended_errcode(s->db);
	int os = sqlite3_system_errno(s->db);
	/* SQLite says "disk I/O error" for a full disk when it happens in its log */
	int err = (code & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT || os == EROFS) ?
		-os : sqlite_errno(code);
	if (error) {
		free(*error);
		*error = os && (code & 0xff) != SQLITE_CORRUPT ?
			xasprintf("%s: %s (%s)", s->file, sqlite3_errmsg(s->db), strerror(os)) :
			xasprintf("%s: %s", s->file, sqlite3_errmsg(s->db));
	}
	return err;
}

/* --- statements --- */

static sqlite3_stmt *statement(struct store *s, enum statement which)
{
	if (!s->statements[which] && sqlite3_prepare_v3(s->db, sql[which], -1,
	    SQLITE_PREPARE_PERSISTENT, &s->statements[which], NULL) != SQLITE_OK)
		return NULL;
	return s->statements[which];
}

static void bind_bytes(sqlite3_stmt *st, int at, struct bytes b)
{
	/* never NULL: an empty blob is a blob */
	sqlite3_bind_blob64(st, at, b.p ? (const void *)b.p : "", b.len, SQLITE_STATIC);
}

static void bind_hash(sqlite3_stmt *st, int at, const uint8_t *hash)
{
	if (hash)
		sqlite3_bind_blob(st, at, hash, HASH_SIZE, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

/* Unsigned numbers are stored by their bits: the whole range comes back as it was. */
static void bind_number(sqlite3_stmt *st, int at, uint64_t n)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

/* Runs a statement that gives no rows. Leaves the error to db_error(). */
static bool run(struct store *s, sqlite3_stmt *st)
{
	if (!st)
		return false;
	int code = sqlite3_step(st);
	if (code == SQLITE_DONE)
		sqlite3_reset(st);
	(void)s;
	return code == SQLITE_DONE;
}

static bool run_plain(struct store *s, enum statement which)
{
	return run(s, statement(s, which));
}

/* A value out of a row, valid until the next step. False: not of that type or size. */
static struct bytes column_bytes(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);
	return (struct bytes){p, (size_t)sqlite3_column_bytes(st, at)};
}

static void bind_bytes_or_null(sqlite3_stmt *st, int at, struct bytes b)
{
	if (b.len)
		bind_bytes(st, at, b);
	else
		sqlite3_bind_null(st, at);
}

/* The paths below `path` are those from `path/` to before `path0`, the next byte. */
static void bind_below(sqlite3_stmt *st, int at, struct bytes path)
{
	struct buf b = {0};
	if (path.len)
		buf_add(&b, path.p, path.len);
	buf_add_char(&b, '/');
	sqlite3_bind_blob64(st, at, b.data, b.len, SQLITE_TRANSIENT);
	b.data[b.len - 1] = '/' + 1;
	sqlite3_bind_blob64(st, at + 1, b.data, b.len, SQLITE_TRANSIENT);
	buf_release(&b);
}

static void bind_limit(sqlite3_stmt *st, int at, size_t max)
{
	sqlite3_bind_int64(st, at, max > INT64_MAX ? INT64_MAX : (sqlite3_int64)max);
}

static bool column_hash(sqlite3_stmt *st, int at, const uint8_t **hash)
{
	*hash = NULL;
	if (sqlite3_column_type(st, at) == SQLITE_NULL)
		return true;
	struct bytes b = column_bytes(st, at);
	*hash = b.p;
	return b.len == HASH_SIZE;
}

static uint64_t column_number(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

/* --- meta --- */

static bool meta_set(struct store *s, const char *key, struct bytes value)
{
	sqlite3_stmt *st = statement(s, ST_META_SET);
	if (!st)
		return false;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	bind_bytes(st, 2, value);
	return run(s, st);
}

/* 1: it is there, copied to `out` (its length in *len); 0: it is not; negative: an error. */
static int meta_get(struct store *s, const char *key, void *out, size_t size, size_t *len)
{
	sqlite3_stmt *st = statement(s, ST_META_GET);
	if (!st)
		return sqlite_errno(sqlite3_errcode(s->db));
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	int code = sqlite3_step(st), result = 0;
	if (code == SQLITE_ROW) {
		struct bytes b = column_bytes(st, 0);
		result = b.len <= size ? 1 : -EBADMSG;
		if (result == 1 && b.len)
			memcpy(out, b.p, b.len);
		*len = b.len;
	} else if (code != SQLITE_DONE) {
		result = sqlite_errno(code);
	}
	sqlite3_reset(st);
	return result;
}

static void put_be64(uint8_t out[8], uint64_t n)
{
	for (int i = 7; i >= 0; i--, n >>= 8)
		out[i] = (uint8_t)n;
}

static uint64_t get_be64(const uint8_t in[8])
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n = n << 8 | in[i];
	return n;
}

/* --- opening and closing --- */

static bool pragma(struct store *s, const char *text)
{
	return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* The single number that a pragma answers; -1 if it does not. */
static int64_t pragma_number(struct store *s, const char *text)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;
	if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static bool pragma_says_ok(struct store *s, const char *text)
{
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_prepare_v2(s->db, text, -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0) &&
		strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	sqlite3_finalize(st);
	return ok;
}

static void db_close(struct store *s)
{
	for (size_t i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
}

/* `alone`: the log's index is kept in memory, which nobody else can read then; without it that is a file,
 * which needs space on the disk. */
static int db_open_as(struct store *s, bool alone, char **error)
{
	if (sqlite3_open_v2(s->file, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK) {
		if (s->db)
			return db_error(s, error);
		*error = xasprintf("%s: cannot be opened", s->file);
		return -ENOMEM;
	}
	sqlite3_extended_result_codes(s->db, 1);
	/* what a damaged file could contain is not to be executed */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if ((alone && !pragma(s, "PRAGMA locking_mode = EXCLUSIVE")) ||
	    !pragma(s, "PRAGMA journal_mode = WAL") || !pragma(s, "PRAGMA synchronous = FULL") ||
	    !pragma(s, "PRAGMA cell_size_check = ON") || !pragma(s, "PRAGMA cache_size = -8192") ||
	    !pragma(s, "PRAGMA temp_store = MEMORY") || /* no other folder may be written to */
	    !pragma(s, "PRAGMA wal_autocheckpoint = 4000") ||
	    !pragma(s, "PRAGMA journal_size_limit = 67108864"))
		return db_error(s, error);
	/* what is there is read: now it shows whether the log can be */
	int code = sqlite3_exec(s->db, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : db_error(s, error);
}

/* A full disk keeps nobody from reading, so a server can start on it. */
static int db_open(struct store *s, char **error)
{
	int err = db_open_as(s, false, error);
	if (err != -ENOSPC && err != -EDQUOT)
		return err;
	db_close(s);
	return db_open_as(s, true, error);
}

/* Judges an index that is there. NULL: it can be used; else why not (malloced). *err is set instead if
 * it cannot be read at all now. */
static char *judge(struct store *s, const char *root_id, bool *unmarked, int *err)
{
	char id[64];
	uint8_t number[8], clean = 0;
	size_t len = 0;
	int64_t version = pragma_number(s, "PRAGMA user_version");
	if (pragma_number(s, "PRAGMA application_id") != APPLICATION_ID)
		return xstrdup("is not an index of tuttid");
	if (version > FORMAT)
		return xasprintf("was written by a newer tuttid (format %lld, this one knows %d)",
			(long long)version, FORMAT);
	if (version < 1)
		return xstrdup("has an unknown format");
	int got = meta_get(s, "clean", &clean, 1, &len);
	if (got < 0 && got != -EBADMSG) {
		*err = got;
		return NULL;
	}
	if (got < 0 || (!(got == 1 && clean == 1) && !pragma_says_ok(s, "PRAGMA quick_check(1)")))
		return xstrdup("is damaged");
	if (meta_get(s, "root-id", id, sizeof(id) - 1, &len) != 1)
		return xstrdup("was never finished");
	id[len] = '\0';
	if (!root_id[0]) {
		*unmarked = true;
		return NULL;
	}
	if (strcmp(id, root_id) != 0)
		return xstrdup("belongs to another directory");
	if (meta_get(s, "replica-id", s->replica.b, REPLICA_ID_SIZE, &len) != 1 ||
	    len != REPLICA_ID_SIZE || meta_get(s, "counter", number, 8, &len) != 1 || len != 8)
		return xstrdup("is damaged");
	s->counter = get_be64(number);
	s->in_use = clean != 1;
	for (; version < FORMAT; version++) {
		if (pragma(s, migrations[version - 1]))
			continue;
		*err = sqlite_errno(sqlite3_extended_errcode(s->db));
		/* a full disk passes, a schema that does not fit is damage */
		bool damaged = (sqlite3_errcode(s->db) & 0xff) == SQLITE_ERROR || *err == -EBADMSG;
		pragma(s, "ROLLBACK");
		if (damaged)
			*err = 0;
		return damaged ? xstrdup("is damaged") : NULL;
	}
	return NULL;
}

/* Moves the database out of the way, with its log, under a name that is free. */
static int move_aside(struct store *s, char **to, char **error)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	struct stat st;
	char *name = NULL;
	for (int i = 0; i < LOST_FILES_MAX; i++) {
		free(name);
		name = i ? xasprintf("%s.bad-%lld-%d", s->file, (long long)time(NULL), i) :
			xasprintf("%s.bad-%lld", s->file, (long long)time(NULL));
		if (lstat(name, &st) < 0 && errno == ENOENT)
			break;
	}
	int err = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts) && !err; i++) {
		char *from = xasprintf("%s%s", s->file, parts[i]);
		char *target = xasprintf("%s%s", name, parts[i]);
		if (rename(from, target) < 0 && errno != ENOENT)
			err = -errno;
		free(from);
		free(target);
	}
	if (err) {
		free(*error);
		*error = xasprintf("%s cannot be moved aside: %s", s->file, strerror(-err));
		free(name);
		return err;
	}
	*to = name;
	return 0;
}

static int create(struct store *s, char **error)
{
	int err = db_open(s, error);
	if (!err && !pragma(s, schema)) {
		err = db_error(s, error);
		pragma(s, "ROLLBACK");
	}
	return err;
}

/* 1: made an empty one; 0: there is one and it is open; -EBADMSG: there is one that is none. */
static int open_or_create(struct store *s, char **error)
{
	struct stat st;
	if (lstat(s->file, &st) < 0) {
		if (errno != ENOENT) {
			*error = xasprintf("%s: %s", s->file, strerror(errno));
			return -errno;
		}
		int err = create(s, error);
		return err ? err : 1;
	}
	if (!S_ISREG(st.st_mode)) {
		*error = xasprintf("%s is not a file: move it away", s->file);
		return -EINVAL;
	}
	return db_open(s, error);
}

static int take_dir(struct store *s, char **error)
{
	struct stat st;
	char *lock = xasprintf("%s/" LOCK_NAME, s->dir);
	int err = 0;
	/* the folders above it as well: $XDG_STATE_HOME/tutti may not be there yet */
	for (char *at = s->dir + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		(void)mkdir(s->dir, 0700);
		*at = '/';
	}
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		err = -errno;
	else if (stat(s->dir, &st) < 0)
		err = -errno;
	else if (!S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	/* SQLite is told to follow no symlink: the folder's own name has none */
	char *real = err ? NULL : realpath(s->dir, NULL);
	if (!err && !real)
		err = -errno;
	s->file = xasprintf("%s/" FILE_NAME, real ? real : s->dir);
	free(real);
	if (!err) {
		s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s->lock_fd < 0)
			err = -errno;
	}
	if (err)
		*error = xasprintf("the state directory %s cannot be used: %s", s->dir, strerror(-err));
	if (!err && flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		err = -errno;
		*error = errno == EWOULDBLOCK ?
			xasprintf("the state directory %s is in use by another tuttid: stop that "
				  "one, or choose another with --state", s->dir) :
			xasprintf("%s cannot be locked: %s", lock, strerror(errno));
	}
	free(lock);
	return err;
}

static void store_free(struct store *s)
{
	db_close(s);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->file);
	free(s->dir);
	free(s);
}

enum store_opening store_open(struct store **out, const char *dir, const char *root_id, char **text)
{
	struct store *s = xcalloc(1, sizeof(*s));
	enum store_opening result = STORE_FAILED;
	char *why = NULL, *aside = NULL;
	bool unmarked = false;
	int err;
	*out = NULL;
	*text = NULL;
	s->lock_fd = -1;
	s->dir = xstrdup(dir);
	if (take_dir(s, text) < 0)
		goto out;
	err = open_or_create(s, text);
	if (err == 1) {
		result = STORE_NEW;
	} else if (err == 0) {
		err = 0;
		why = judge(s, root_id, &unmarked, &err);
		if (err)
			db_error(s, text);
		else if (unmarked)
			result = STORE_UNMARKED;
		else if (!why)
			result = STORE_OPENED;
	} else if (err == -EBADMSG) {
		why = xstrdup("is damaged");
	}
	if (why) {
		db_close(s);
		if (move_aside(s, &aside, text) == 0 && create(s, text) == 0) {
			free(*text);
			*text = xasprintf("the index %s %s: it was moved to %s and a new one is begun",
				s->file, why, aside);
			result = STORE_LOST;
		}
	}
	if (result == STORE_UNMARKED) {
		*text = xasprintf("the directory has no mark, but %s knows one that had: is it mounted? "
			"If it is meant to start anew, remove that file", s->file);
	}
	free(why);
	free(aside);
out:
	if (result == STORE_FAILED || result == STORE_UNMARKED)
		store_free(s);
	else
		*out = s;
	return result;
}

/* Into an empty index: what is in the trash, and what happened. It does without, if need be. */
static void keep_past(struct store *s, const char *from)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(s->db, "ATTACH DATABASE ?1 AS old", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, from, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_DONE) {
			(void)pragma(s, "INSERT OR IGNORE INTO trash SELECT * FROM old.trash");
			(void)pragma(s, "INSERT OR IGNORE INTO journal SELECT * FROM old.journal");
		}
	}
	sqlite3_finalize(st);
	(void)pragma(s, "DETACH DATABASE old");
}

int store_abandon(struct store *s, bool past, char **error)
{
	char *aside = NULL;
	*error = NULL;
	db_close(s);
	int err = move_aside(s, &aside, error);
	if (!err)
		err = create(s, error);
	if (!err && past)
		keep_past(s, aside);
	s->replica = (struct replica_id){{0}};
	s->counter = 0;
	free(aside);
	return err;
}

int store_begin(struct store *s, const char *root_id, const struct replica_id *replica,
		const struct store_meta *meta, char **error)
{
	static const uint8_t no = 0;
	uint8_t number[8];
	*error = NULL;
	put_be64(number, 0);
	if (!run_plain(s, ST_BEGIN) || !meta_set(s, "root-id", bytes_of(root_id)) ||
	    !meta_set(s, "replica-id", (struct bytes){replica->b, REPLICA_ID_SIZE}) ||
	    !meta_set(s, "counter", (struct bytes){number, 8}) ||
	    (meta && !meta_set(s, meta->key, meta->value)) ||
	    !meta_set(s, "clean", (struct bytes){&no, 1}) || !run_plain(s, ST_COMMIT)) {
		int err = db_error(s, error);
		run_plain(s, ST_ROLLBACK);
		return err;
	}
	s->replica = *replica;
	s->counter = 0;
	s->in_use = true;
	return 0;
}

void store_close(struct store *s, bool clean)
{
	static const uint8_t yes = 1;
	if (!s)
		return;
	if (clean && s->in_use && s->db && !s->unsure)
		(void)meta_set(s, "clean", (struct bytes){&yes, 1});
	store_free(s);
}

struct replica_id store_replica_id(const struct store *s)
{
	return s->replica;
}

uint64_t store_counter(const struct store *s)
{
	return s->counter;
}

/* --- loading --- */

/* Steps through a statement; `row` answers as the callbacks do, or -EBADMSG. */
static int each_row(struct store *s, sqlite3_stmt *st, int (*row)(sqlite3_stmt *st, const void *arg),
		    const void *arg, char **error)
{
	int result = 0, code = SQLITE_ROW;
	if (!st)
		return db_error(s, error);
	while (!result && (code = sqlite3_step(st)) == SQLITE_ROW)
		result = row(st, arg);
	if (result == -EBADMSG && !*error)
		*error = xasprintf("%s: a row is damaged", s->file);
	else if (!result && code != SQLITE_DONE)
		result = db_error(s, error);
	sqlite3_reset(st);
	return result;
}

static int meta_row(sqlite3_stmt *st, const void *arg)
{
	const struct store_callbacks *c = arg;
	const char *key = (const char *)sqlite3_column_text(st, 0);
	struct store_meta m = {.key = key, .value = column_bytes(st, 1)};
	return key ? c->meta(c->ctx, &m) : -EBADMSG;
}

static int replica_row(sqlite3_stmt *st, const void *arg)
{
	const struct store_callbacks *c = arg;
	struct bytes id = column_bytes(st, 1);
	int64_t num = sqlite3_column_int64(st, 0);
	if (id.len != REPLICA_ID_SIZE || num < 0 || num > UINT16_MAX)
		return -EBADMSG;
	struct store_replica r = {
		.num = (rep_t)num, .name = column_bytes(st, 2), .merged = column_number(st, 3),
		.known = column_number(st, 4), .record = column_bytes(st, 5),
	};
	memcpy(r.id.b, id.p, REPLICA_ID_SIZE);
	return c->replica(c->ctx, &r);
}

static int entry_row(sqlite3_stmt *st, const void *arg)
{
	const struct store_callbacks *c = arg;
	int64_t kind = sqlite3_column_int64(st, 2);
	struct store_entry e = {
		.path = column_bytes(st, 0), .seq = column_number(st, 1), .kind = (uint8_t)kind,
		.size = column_number(st, 3), .mtime_ns = sqlite3_column_int64(st, 4),
		.record = column_bytes(st, 6),
	};
	if (kind < 0 || kind > KIND_SYMLINK || !e.path.len || !column_hash(st, 5, &e.hash))
		return -EBADMSG;
	return c->entry(c->ctx, &e);
}

struct trash_reader {
	int (*row)(void *ctx, const struct store_trash *t);
	void *ctx;
};

static int trash_row(sqlite3_stmt *st, const void *arg)
{
	const struct trash_reader *reader = arg;
	int64_t kind = sqlite3_column_int64(st, 7);
	struct store_trash t = {
		.name = column_bytes(st, 0), .path = column_bytes(st, 1),
		.time_ns = sqlite3_column_int64(st, 2), .size = column_number(st, 3),
		.replica = column_bytes(st, 5), .what = column_bytes(st, 6), .kind = (uint8_t)kind,
		.mtime_ns = sqlite3_column_int64(st, 8),
	};
	if (kind < 0 || kind > KIND_SYMLINK || !column_hash(st, 4, &t.hash))
		return -EBADMSG;
	return reader->row(reader->ctx, &t);
}

int store_load(struct store *s, const struct store_callbacks *c, char **error)
{
	int result = 0;
	*error = NULL;
	if (c->meta)
		result = each_row(s, statement(s, ST_META_ALL), meta_row, c, error);
	if (!result && c->replica)
		result = each_row(s, statement(s, ST_REPLICA_ALL), replica_row, c, error);
	if (!result && c->entry)
		result = each_row(s, statement(s, ST_ENTRY_ALL), entry_row, c, error);
	if (!result && c->trash)
		result = each_row(s, statement(s, ST_TRASH_ALL), trash_row,
				  &(struct trash_reader){c->trash, c->ctx}, error);
	return result;
}

int store_trash(struct store *s, const struct store_trash_query *q,
		int (*row)(void *ctx, const struct store_trash *t), void *ctx, char **error)
{
	sqlite3_stmt *st = statement(s, ST_TRASH_FIND);
	*error = NULL;
	if (st) {
		bind_bytes_or_null(st, 1, q->path);
		if (q->path.len && !q->exactly)
			bind_below(st, 2, q->path);
		else
			sqlite3_bind_null(st, 2);
		sqlite3_bind_int64(st, 4, q->since_ns);
		sqlite3_bind_int64(st, 5, q->until_ns ? q->until_ns : INT64_MAX);
		bind_hash(st, 6, q->hash);
		bind_bytes_or_null(st, 7, q->name);
		bind_bytes_or_null(st, 8, q->after);
		sqlite3_bind_int64(st, 9, q->after_ns);
		bind_limit(st, 10, q->max);
	}
	return each_row(s, st, trash_row, &(struct trash_reader){row, ctx}, error);
}

/* --- writing --- */

static bool entry_write(struct store *s, const struct store_entry *e)
{
	sqlite3_stmt *st = statement(s, e->record.p ? ST_ENTRY_SET : ST_ENTRY_REMOVE);
	if (!st)
		return false;
	bind_bytes(st, 1, e->path);
	if (e->record.p) {
		bind_number(st, 2, e->seq);
		sqlite3_bind_int(st, 3, e->kind);
		bind_number(st, 4, e->size);
		sqlite3_bind_int64(st, 5, e->mtime_ns);
		bind_hash(st, 6, e->hash);
		bind_bytes(st, 7, e->record);
	}
	return run(s, st);
}

static bool replica_write(struct store *s, const struct store_replica *r)
{
	sqlite3_stmt *st = statement(s, ST_REPLICA_SET);
	if (!st)
		return false;
	sqlite3_bind_int(st, 1, r->num);
	sqlite3_bind_blob(st, 2, r->id.b, REPLICA_ID_SIZE, SQLITE_STATIC);
	bind_bytes(st, 3, r->name);
	bind_number(st, 4, r->merged);
	bind_number(st, 5, r->known);
	bind_bytes(st, 6, r->record);
	return run(s, st);
}

static bool trash_write(struct store *s, const struct store_trash *t)
{
	sqlite3_stmt *st = statement(s, t->remove ? ST_TRASH_REMOVE : ST_TRASH_SET);
	if (!st)
		return false;
	bind_bytes(st, 1, t->name);
	if (!t->remove) {
		bind_bytes(st, 2, t->path);
		sqlite3_bind_int64(st, 3, t->time_ns);
		bind_number(st, 4, t->size);
		bind_hash(st, 5, t->hash);
		bind_bytes(st, 6, t->replica);
		bind_bytes(st, 7, t->what);
		sqlite3_bind_int(st, 8, t->kind);
		sqlite3_bind_int64(st, 9, t->mtime_ns);
	}
	return run(s, st);
}

static bool journal_write(struct store *s, const struct store_event *e)
{
	sqlite3_stmt *st = statement(s, ST_JOURNAL_ADD);
	if (!st)
		return false;
	sqlite3_bind_int64(st, 1, e->time_ns);
	bind_bytes(st, 2, e->path);
	bind_bytes(st, 3, e->replica);
	sqlite3_bind_text64(st, 4, e->what.p ? (const char *)e->what.p : "", e->what.len,
		SQLITE_STATIC, SQLITE_UTF8);
	bind_number(st, 5, e->old_size);
	bind_number(st, 6, e->new_size);
	bind_hash(st, 7, e->old_hash);
	bind_hash(st, 8, e->new_hash);
	return run(s, st);
}

static bool batch_write(struct store *s, const struct store_batch *b)
{
	static const uint8_t no = 0;
	uint8_t number[8];
	bool ok = run_plain(s, ST_BEGIN);
	/* from now on only a clean end counts */
	if (ok && !s->in_use)
		ok = meta_set(s, "clean", (struct bytes){&no, 1});
	for (size_t i = 0; i < b->n_entries && ok; i++)
		ok = entry_write(s, &b->entries[i]);
	for (size_t i = 0; i < b->n_replicas && ok; i++)
		ok = replica_write(s, &b->replicas[i]);
	for (size_t i = 0; i < b->n_trash && ok; i++)
		ok = trash_write(s, &b->trash[i]);
	for (size_t i = 0; i < b->n_events && ok; i++)
		ok = journal_write(s, &b->events[i]);
	for (size_t i = 0; i < b->n_meta && ok; i++)
		ok = meta_set(s, b->meta[i].key, b->meta[i].value);
	if (ok && b->counter) {
		put_be64(number, b->counter);
		ok = meta_set(s, "counter", (struct bytes){number, 8});
	}
	return ok && run_plain(s, ST_COMMIT);
}

bool store_is_unsure(const struct store *s)
{
	return s->unsure;
}

int store_commit(struct store *s, const struct store_batch *b, char **error)
{
	*error = NULL;
	if (s->unsure) {
		*error = xasprintf("%s: a sync has failed", s->file);
		return -EIO;
	}
	if (batch_write(s, b)) {
		s->in_use = true;
		if (b->counter)
			s->counter = b->counter;
		return 0;
	}
	int err = db_error(s, error), code = sqlite3_extended_errcode(s->db);
	s->unsure = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_reset(s->statements[i]);
	if (!sqlite3_get_autocommit(s->db))
		run_plain(s, ST_ROLLBACK);
	return err;
}

/* --- the journal --- */

struct journal_reader {
	int (*line)(void *ctx, const struct store_event *e);
	void *ctx;
};

static int journal_row(sqlite3_stmt *st, const void *arg)
{
	const struct journal_reader *reader = arg;
	struct store_event e = {
		.id = column_number(st, 0),
		.time_ns = sqlite3_column_int64(st, 1), .path = column_bytes(st, 2),
		.replica = column_bytes(st, 3), .what = column_bytes(st, 4),
		.old_size = column_number(st, 5), .new_size = column_number(st, 6),
	};
	if (!column_hash(st, 7, &e.old_hash) || !column_hash(st, 8, &e.new_hash))
		return -EBADMSG;
	return reader->line(reader->ctx, &e);
}

int store_journal(struct store *s, const struct store_journal_query *q,
		  int (*line)(void *ctx, const struct store_event *e), void *ctx, char **error)
{
	struct journal_reader reader = {line, ctx};
	sqlite3_stmt *st = statement(s, q->path.len ? ST_JOURNAL_PATH : ST_JOURNAL_ALL);
	*error = NULL;
	if (st) {
		bind_limit(st, 1, q->max);
		sqlite3_bind_int64(st, 2, q->before && q->before < INT64_MAX ?
			(sqlite3_int64)q->before : INT64_MAX);
		if (q->path.len) {
			bind_bytes(st, 3, q->path);
			bind_below(st, 4, q->path);
		}
	}
	return each_row(s, st, journal_row, &reader, error);
}

int store_journal_trim(struct store *s, size_t keep, char **error)
{
	sqlite3_stmt *st = statement(s, ST_JOURNAL_TRIM);
	*error = NULL;
	if (st)
		bind_limit(st, 1, keep);
	if (run(s, st))
		return 0;
	int err = db_error(s, error);
	sqlite3_reset(st);
	return err;
}
