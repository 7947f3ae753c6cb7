/*
 * Tests of recovery: a process is killed before each system call that changes the disk, for every kind
 * of operation and for combinations of them, and its recovery as well; afterwards each operation is
 * either done and claimed, or undone and not claimed, and nothing is lost or left. And the journal of
 * intents itself: torn, damaged and hostile files.
 */
#include "config.h"
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apply.h"
#include "scratch.h"
#include "suite.h"
#include "trash.h"

#define MTIME (INT64_C(1700000000) * 1000000000 + 123456789)

static char *dir;
static struct root *root;
static bool without_exchange;

/* --- system calls that can be the last: these stand in for those of the C library --- */

static unsigned calls_left; /* 0: all may run */
static bool sync_fails;

static void call(void)
{
	if (calls_left && --calls_left == 0)
		(void)kill(getpid(), SIGKILL);
}

static int result_of(long r)
{
	return (int)r;
}

/* Nothing is lost when a process is killed: the syncs need not be. */
static int sync_call(void)
{
	call();
	errno = EIO;
	return sync_fails ? -1 : 0;
}

int fsync(int fd)
{
	(void)fd;
	return sync_call();
}

int fdatasync(int fd)
{
	(void)fd;
	return sync_call();
}

int syncfs(int fd)
{
	(void)fd;
	return sync_call();
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	call();
	return result_of(syscall(SYS_renameat2, a, from, b, to, flags));
}

int renameat(int a, const char *from, int b, const char *to)
{
	call();
	return result_of(syscall(SYS_renameat2, a, from, b, to, 0));
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	call();
	return result_of(syscall(SYS_linkat, a, from, b, to, flags));
}

int unlinkat(int a, const char *name, int flags)
{
	call();
	return result_of(syscall(SYS_unlinkat, a, name, flags));
}

int mkdirat(int a, const char *name, mode_t mode)
{
	call();
	return result_of(syscall(SYS_mkdirat, a, name, mode));
}

int symlinkat(const char *target, int a, const char *name)
{
	call();
	return result_of(syscall(SYS_symlinkat, target, a, name));
}

ssize_t write(int fd, const void *p, size_t n)
{
	call();
	return syscall(SYS_write, fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	call();
	return syscall(SYS_pwrite64, fd, p, n, at);
}

int fchmod(int fd, mode_t mode)
{
	call();
	return result_of(syscall(SYS_fchmod, fd, mode));
}

int futimens(int fd, const struct timespec t[2])
{
	call();
	return result_of(syscall(SYS_utimensat, fd, NULL, t, 0));
}

int utimensat(int a, const char *name, const struct timespec t[2], int flags)
{
	call();
	return result_of(syscall(SYS_utimensat, a, name, t, flags));
}

/* --- one small world: before, an operation, after --- */

/* Every kind of operation, in a folder of its own. */
enum kind_of_op {
	K_CREATE, K_CREATE_LINK, K_CREATE_DIR, K_REPLACE, K_REPLACE_LINK, K_FILE_TO_DIR, K_FILE_TO_LINK,
	K_DIR_TO_FILE, K_DELETE, K_DELETE_LINK, K_RMDIR, K_MOVE, K_MOVE_OVER, K_COPY, K_META, K_META_DIR,
	K_STALE, K_STALE_DELETE,
	KINDS,
};

static const char *const kind_names[KINDS] = {
	"create", "create link", "create folder", "replace", "replace link", "file to folder",
	"file to link", "folder to file", "delete", "delete link", "rmdir", "move", "move over", "copy",
	"meta", "meta of a folder", "replace what has changed", "delete what has changed",
};

static char path_bytes[8][32];

static struct bytes path_of(unsigned i, const char *name, char storage[32])
{
	snprintf(storage, 32, "%u/%s", i, name);
	return bytes_of(storage);
}

static void put_at(unsigned i, const char *name, const char *content)
{
	char path[32];
	path_of(i, name, path);
	put(dir, path, content);
}

static void link_at(unsigned i, const char *name, const char *target)
{
	char path[32];
	path_of(i, name, path);
	char *whole = scratch_path(dir, path);
	ck_assert_int_eq(symlink(target, whole), 0);
	free(whole);
}

static struct found found_at(unsigned i, const char *name)
{
	char path[32];
	path_of(i, name, path);
	return there(dir, path) ? found_of(dir, path) : (struct found){.kind = KIND_ABSENT};
}

static void before(unsigned i, enum kind_of_op kind)
{
	char folder[32];
	snprintf(folder, sizeof(folder), "%u", i);
	make_dir(dir, folder, 0755);
	snprintf(folder, sizeof(folder), "%u/n", i);
	switch (kind) {
	case K_REPLACE: case K_FILE_TO_DIR: case K_FILE_TO_LINK: case K_DELETE: case K_META: case K_STALE:
	case K_STALE_DELETE:
		put_at(i, "n", "old");
		break;
	case K_REPLACE_LINK: case K_DELETE_LINK:
		link_at(i, "n", "old");
		break;
	case K_DIR_TO_FILE: case K_RMDIR: case K_META_DIR:
		make_dir(dir, folder, 0755);
		break;
	case K_MOVE_OVER:
		put_at(i, "n", "old");
		put_at(i, "from", "moved");
		break;
	case K_MOVE: case K_COPY:
		put_at(i, "from", "moved");
		break;
	default:
		break;
	}
}

static struct op op_of(unsigned i, enum kind_of_op kind)
{
	struct op op = {.path = path_of(i, "n", path_bytes[i]), .type = OP_WRITE, .source = SOURCE_DATA,
		.mtime_ns = MTIME, .mode = 0640, .record = bytes_of(kind_names[kind])};
	struct found now = found_at(i, "n");
	const char *content = "new";
	op.expect_kind = now.kind;
	op.expect_stamp = now.stamp;
	if (kind == K_CREATE_LINK || kind == K_REPLACE_LINK || kind == K_FILE_TO_LINK)
		op.type = OP_SYMLINK;
	if (kind == K_CREATE_DIR || kind == K_FILE_TO_DIR)
		op.type = OP_MKDIR;
	if (kind == K_DELETE || kind == K_DELETE_LINK || kind == K_STALE_DELETE)
		op.type = OP_DELETE;
	if (kind == K_RMDIR)
		op.type = OP_RMDIR;
	if (kind == K_META || kind == K_META_DIR)
		op.type = OP_META;
	if (kind == K_MOVE || kind == K_MOVE_OVER || kind == K_COPY) {
		op.source = kind == K_COPY ? SOURCE_COPY : SOURCE_MOVE;
		op.from = path_of(i, "from", path_bytes[4 + i]);
		op.from_stamp = found_at(i, "from").stamp;
		content = "moved";
	}
	if (kind == K_STALE || kind == K_STALE_DELETE)
		op.expect_stamp ^= 1;
	if (op.type != OP_WRITE)
		op.source = SOURCE_NONE;
	op.size = strlen(content);
	digest_once(content, op.size, op.hash);
	if (op.source == SOURCE_DATA || op.type == OP_SYMLINK)
		op.data = bytes_of(content);
	return op;
}

/* What the folder shows: one line. */
static void picture(unsigned i, struct buf *out)
{
	static const char *const names[] = {"n", "from"};
	buf_addf(out, "%u:", i);
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		char path[32], target[64];
		path_of(i, names[k], path);
		struct found f = found_at(i, names[k]);
		char *whole = scratch_path(dir, path);
		if (f.kind == KIND_FILE) {
			char *content = get(dir, path);
			/* its mode and time only where they are ours */
			buf_addf(out, " %s=file %s%s", names[k], content,
				 f.mtime_ns == MTIME && f.mode == 0640 ? " as told" : "");
			free(content);
		} else if (f.kind == KIND_SYMLINK) {
			ssize_t n = readlink(whole, target, sizeof(target));
			buf_addf(out, " %s=link %.*s", names[k], (int)n, target);
		} else if (f.kind == KIND_DIR) {
			buf_addf(out, " %s=folder %o", names[k], (unsigned)f.mode);
		}
		free(whole);
	}
	buf_add_char(out, '\n');
}

static char *picture_of(unsigned i)
{
	struct buf b = {0};
	picture(i, &b);
	buf_add_char(&b, '\0');
	return (char *)b.data;
}

/* --- lives --- */

static void open_world(void)
{
	dir = scratch_new();
	root = marked_root(dir);
}

static void close_world(void)
{
	root_close(root);
	root = NULL;
	scratch_remove(dir);
}

static void apply_all(struct op *ops, size_t n, struct intents *in)
{
	struct apply_env env = {.without_exchange = without_exchange, .intents = in};
	apply_ops(root, ops, n, &env);
	if (env.intended)
		intents_settled(in, &env.batch);
}

/* A child that does `what` and is killed at its call number `k`; true if it was. */
static bool killed(unsigned k, void (*what)(void *ctx), void *ctx)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		calls_left = k;
		what(ctx);
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
	if (WIFEXITED(status))
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	return !WIFEXITED(status);
}

struct claims {
	unsigned claimed[4];
	struct found found[4];
	unsigned displaced;
	unsigned saved;
};

static void on_applied(void *ctx, const struct intent *in, const struct found *found)
{
	struct claims *c = ctx;
	unsigned i = (unsigned)(in->path.p[0] - '0');
	ck_assert_uint_lt(i, 4);
	ck_assert_uint_gt(in->record.len, 0);
	c->claimed[i]++;
	c->found[i] = *found;
}

static void on_displaced(void *ctx, const struct intent *in, const char *name)
{
	struct claims *c = ctx;
	struct trash_item item;
	ck_assert_uint_gt(in->path.len, 0);
	ck_assert_int_eq(trash_look(root, name, &item), 0);
	c->displaced++;
}

static void on_saved(void *ctx, struct bytes path)
{
	struct claims *c = ctx;
	ck_assert_uint_gt(path.len, 0);
	c->saved++;
}

static void recover_here(void *ctx)
{
	struct claims *c = ctx;
	struct intents *in;
	struct recovery r = {on_applied, on_displaced, on_saved, c, 0, 0};
	ck_assert_int_eq(intents_open(&in, root), 0);
	ck_assert_int_eq(recover(root, in, &r), 0);
	intents_close(in);
}

struct life {
	struct op ops[4];
	size_t n;
};

static void live(void *ctx)
{
	struct life *l = ctx;
	struct intents *in;
	if (intents_open(&in, root) < 0)
		_exit(1);
	apply_all(l->ops, l->n, in);
	intents_close(in);
}

static void make_life(struct life *l, const enum kind_of_op *kinds, size_t n)
{
	l->n = n;
	for (unsigned i = 0; i < n; i++)
		before(i, kinds[i]);
	for (unsigned i = 0; i < n; i++)
		l->ops[i] = op_of(i, kinds[i]);
}

static void describe(char out[256], const enum kind_of_op *kinds, size_t n, unsigned k, unsigned j)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, 256 - at, "%s, ", kind_names[kinds[i]]);
	snprintf(out + at, 256 - at, "killed at call %u, recovery at %u%s", k, j,
		without_exchange ? ", without exchange" : "");
}

/* What each operation alone makes of its folder, of the first `n`. */
static char *after_of[4][KINDS], *before_of[4][KINDS];

static void learn(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned kind = 0; kind < KINDS; kind++) {
			open_world();
			before(i, kind);
			before_of[i][kind] = picture_of(i);
			struct op op = op_of(i, kind);
			apply_all(&op, 1, NULL);
			bool stale = kind == K_STALE || kind == K_STALE_DELETE;
			ck_assert_int_eq(op.error, stale ? -ESTALE : 0);
			after_of[i][kind] = picture_of(i);
			ck_assert((strcmp(before_of[i][kind], after_of[i][kind]) == 0) == stale);
			close_world();
		}
	}
}

static void forget(void)
{
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned kind = 0; kind < KINDS; kind++) {
			free(before_of[i][kind]);
			free(after_of[i][kind]);
			before_of[i][kind] = after_of[i][kind] = NULL;
		}
	}
}

/* What must hold after recovery, whatever happened. */
static void check_world(const enum kind_of_op *kinds, const struct life *l, const struct claims *c,
			const char *what)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < l->n; i++) {
		char *now = picture_of(i);
		bool done = strcmp(now, after_of[i][kinds[i]]) == 0;
		bool undone = strcmp(now, before_of[i][kinds[i]]) == 0;
		if (!done && !undone && !c->claimed[i] && l->ops[i].type == OP_META)
			undone = true; /* its time, but not yet its mode: nobody's change */
		/* a moved file gets time and mode when it has its name: then the engine sees to that */
		if (!done && c->claimed[i] && kinds[i] >= K_MOVE && kinds[i] <= K_MOVE_OVER)
			done = strstr(now, "n=file moved") && !strstr(now, "from=");
		ck_assert_msg(done || undone, "%s: half done: %s", what, now);
		if (done && !undone)
			ck_assert_msg(c->claimed[i] == 1, "%s: done, claimed %u times: %s", what, c->claimed[i],
				now);
		if (undone && !done)
			ck_assert_msg(c->claimed[i] == 0, "%s: not done, but claimed: %s", what, now);
		if (c->claimed[i] && l->ops[i].type != OP_DELETE && l->ops[i].type != OP_RMDIR)
			ck_assert_msg(c->found[i].stamp == found_at(i, "n").stamp, "%s: another stamp", what);
		/* what was displaced is in the trash; folders only go */
		bool displaces = c->claimed[i] && l->ops[i].expect_kind != KIND_ABSENT &&
			l->ops[i].expect_kind != KIND_DIR && l->ops[i].type != OP_META;
		kept += displaces;
		free(now);
	}
	root_clean_tmp(root);
	ck_assert_msg(count_in(dir, ".tutti/tmp") == 0, "%s: left in tmp", what);
	ck_assert_msg(count_in(dir, ".tutti/trash") == kept, "%s: %zu in the trash, not %u", what,
		count_in(dir, ".tutti/trash"), kept);
	ck_assert_msg(c->displaced == kept && !c->saved, "%s: %u displaced, not %u", what, c->displaced,
		kept);
}

/* Once: killed at call k; its recovery at call j (0: not). False: it was not killed any more. */
static bool once(const enum kind_of_op *kinds, size_t n, unsigned k, unsigned j, bool *recovery_killed)
{
	struct life l = {0};
	struct claims c = {0};
	char what[256];
	describe(what, kinds, n, k, j);
	open_world();
	make_life(&l, kinds, n);
	bool was_killed = killed(k, live, &l);
	*recovery_killed = j && killed(j, recover_here, &c);
	recover_here(&c);
	check_world(kinds, &l, &c, what);
	/* and once more: nothing changes, the same is claimed */
	struct claims again = {0};
	recover_here(&again);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(again.claimed[i] == c.claimed[i], "%s: claimed otherwise", what);
	check_world(kinds, &l, &again, what);
	close_world();
	return was_killed;
}

/* Processes that are watched by a sanitizer begin slowly: of the pairs every sixth, each kind among them,
 * and of the points at which a recovery is killed every fourth, others for each point before. */
#ifdef __SANITIZE_ADDRESS__
enum { PAIR_STEP = 6, TRIPLES = 3, RECOVERY_STEP = 4 };
#else
enum { PAIR_STEP = 1, TRIPLES = 12, RECOVERY_STEP = 1 };
#endif

static void every_point(const enum kind_of_op *kinds, size_t n, bool twice)
{
	bool more = true, ignored;
	for (unsigned k = 1; more; k++) {
		more = once(kinds, n, k, 0, &ignored);
		bool recovery = twice;
		for (unsigned j = 1 + k % RECOVERY_STEP; recovery; j += RECOVERY_STEP)
			(void)once(kinds, n, k, j, &recovery);
	}
}

START_TEST(every_operation_at_every_point)
{
	without_exchange = _i & 1;
	enum kind_of_op kind = (enum kind_of_op)(_i >> 1);
	learn(1);
	every_point(&kind, 1, true);
	forget();
}
END_TEST

START_TEST(every_pair_at_every_point)
{
	without_exchange = false;
	learn(2);
	for (unsigned b = (unsigned)_i % PAIR_STEP; b < KINDS; b += PAIR_STEP)
		every_point((enum kind_of_op[]){(enum kind_of_op)_i, b}, 2, false);
	forget();
}
END_TEST

START_TEST(some_triples_at_every_point)
{
	without_exchange = _i & 1;
	learn(3);
	srandom((unsigned)_i);
	for (unsigned i = 0; i < TRIPLES; i++) {
		enum kind_of_op kinds[3];
		for (unsigned k = 0; k < 3; k++)
			kinds[k] = (enum kind_of_op)((unsigned long)random() % KINDS);
		every_point(kinds, 3, i == 0);
	}
	forget();
}
END_TEST

/* More than are synced one by one. */
START_TEST(a_large_batch_at_some_points)
{
	enum { N = 24 };
	for (unsigned k = 1; k < 400; k += 7) {
		struct op ops[N];
		char paths[N][32];
		open_world();
		make_dir(dir, "d", 0755);
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct intents *in;
			ck_assert_int_eq(intents_open(&in, root), 0);
			for (unsigned i = 0; i < N; i++) {
				snprintf(paths[i], sizeof(paths[i]), "d/%u", i);
				ops[i] = (struct op){.path = bytes_of(paths[i]), .type = OP_WRITE,
					.source = SOURCE_DATA, .data = bytes_of(paths[i]),
					.size = strlen(paths[i]), .mode = 0600, .record = bytes_of("r")};
				digest_once(paths[i], strlen(paths[i]), ops[i].hash);
			}
			calls_left = k;
			apply_all(ops, N, in);
			_exit(0);
		}
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		struct intents *in;
		size_t n, done = 0;
		ck_assert_int_eq(intents_open(&in, root), 0);
		const struct intent *list = intents_earlier(in, &n);
		ck_assert(n == 0 || n == N);
		for (size_t i = 0; i < n; i++)
			done += list[i].result == INTENT_DONE;
		ck_assert(done == 0 || done == N);
		ck_assert_uint_le(count_in(dir, "d"), n);
		intents_close(in);
		close_world();
		if (WIFEXITED(status))
			break;
	}
}
END_TEST

/* --- folders that lack our permission --- */

static void live_in_closed_folder(void *ctx)
{
	(void)ctx;
	struct intents *in;
	struct op op = {.path = bytes_of("d/f"), .type = OP_WRITE, .source = SOURCE_DATA,
		.data = bytes_of("x"), .size = 1, .mode = 0600, .record = bytes_of("r")};
	digest_once("x", 1, op.hash);
	if (intents_open(&in, root) < 0)
		_exit(1);
	apply_all(&op, 1, in);
	_exit(op.error ? 1 : 0);
}

static void ignore_applied(void *ctx, const struct intent *in, const struct found *f)
{
	(void)ctx, (void)in, (void)f;
}

static void ignore_displaced(void *ctx, const struct intent *in, const char *name)
{
	(void)ctx, (void)in, (void)name;
}

/* Nobody's chmod is invented: whatever happens, the folder has its mode again. */
static int closed_folder(const char *where)
{
	bool more = true;
	int result = 0;
	dir = xstrdup(where);
	root = marked_root(dir);
	char *folder = scratch_path(dir, "d"), *file = scratch_path(dir, "d/f");
	make_dir(dir, "d", 0700);
	for (unsigned k = 1; more && !result; k++) {
		struct intents *in;
		struct recovery r = {.applied = ignore_applied, .displaced = ignore_displaced};
		(void)chmod(folder, 0700);
		(void)unlink(file);
		(void)chmod(folder, 0500);
		more = killed(k, live_in_closed_folder, NULL);
		if (intents_open(&in, root) < 0 || recover(root, in, &r) < 0)
			result = 1;
		intents_close(in);
		root_clean_tmp(root);
		if ((stat_of(dir, "d").st_mode & 07777) != 0500)
			result = 2;
	}
	free(folder);
	free(file);
	root_close(root);
	free(dir);
	return result;
}

START_TEST(closed_folders_are_closed_again)
{
	ck_assert_int_eq(as_nobody(closed_folder), 0);
}
END_TEST

/* --- somebody changes things before we are back --- */

/* Lives up to call k, then somebody does something to the name, then recovery. */
static struct claims with_somebody(enum kind_of_op kind, unsigned k, void (*somebody)(void))
{
	struct life l = {0};
	struct claims c = {0};
	make_life(&l, &kind, 1);
	(void)killed(k, live, &l);
	somebody();
	recover_here(&c);
	root_clean_tmp(root);
	return c;
}

static void edits(void)
{
	char *n = scratch_path(dir, "0/n");
	(void)unlink(n);
	free(n);
	put(dir, "0/n", "by somebody");
}

static void deletes(void)
{
	char *n = scratch_path(dir, "0/n");
	(void)unlink(n);
	(void)rmdir(n);
	free(n);
}

/* The number of the call after which the operation has its name. */
static unsigned calls_until_named(enum kind_of_op kind)
{
	for (unsigned k = 1;; k++) {
		struct life l = {0};
		open_world();
		make_life(&l, &kind, 1);
		bool more = killed(k, live, &l);
		char *now = picture_of(0);
		bool named = strcmp(now, after_of[0][kind]) == 0;
		free(now);
		close_world();
		if (named)
			return k;
		ck_assert(more);
	}
}

static bool anywhere(const char *content)
{
	return content_in(dir, "0", content) || content_in(dir, ".tutti/trash", content);
}

START_TEST(what_somebody_does_after_a_kill_is_told_from_what_we_did)
{
	static const enum kind_of_op kinds[] = {K_CREATE, K_REPLACE};
	learn(1);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		unsigned named = calls_until_named(kinds[i]);
		for (unsigned k = 1; k < named + 6; k++) {
			for (int deleted = 0; deleted < 2; deleted++) {
				open_world();
				struct claims c = with_somebody(kinds[i], k, deleted ? deletes : edits);
				ck_assert_msg(c.claimed[0] == (k >= named), "%s, call %u of %u, claimed %u",
					kind_names[kinds[i]], k, named, c.claimed[0]);
				if (c.claimed[0])
					ck_assert_int_eq(c.found[0].ctime_ns, 0);
				ck_assert(there(dir, "0/n") == !deleted);
				if (!deleted)
					ck_assert(anywhere("by somebody"));
				/* what was displaced by our own hand is kept */
				if (kinds[i] == K_REPLACE && c.claimed[0])
					ck_assert(anywhere("old"));
				close_world();
			}
		}
	}
	forget();
}
END_TEST

static void closes(void)
{
	char *n = scratch_path(dir, "0/n");
	ck_assert_int_eq(chmod(n, 0700), 0);
	free(n);
}

/* Or it would pass for ours, and nobody would ever compare it. */
START_TEST(what_somebody_permits_after_a_kill_is_not_ours)
{
	static const enum kind_of_op kinds[] = {K_CREATE_DIR, K_CREATE, K_REPLACE, K_META, K_META_DIR};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		open_world();
		struct claims c = with_somebody(kinds[i], 1000, closes);
		ck_assert_uint_eq(c.claimed[0], 1);
		ck_assert_uint_eq(c.found[0].mode, 0640);
		ck_assert_uint_eq(stat_of(dir, "0/n").st_mode & 0777, 0700);
		close_world();
	}
}
END_TEST

/* An edit in the moment of the exchange: it came out, and nobody has looked at it yet. */
START_TEST(an_edit_that_came_out_goes_back)
{
	learn(1);
	unsigned named = calls_until_named(K_REPLACE);
	for (int later = 0; later < 2; later++) {
		struct life l = {0};
		struct claims c = {0};
		enum kind_of_op kind = K_REPLACE;
		open_world();
		make_life(&l, &kind, 1);
		ck_assert(killed(named, live, &l));
		/* as if an editor had replaced the file just before */
		struct intents *in;
		size_t n;
		ck_assert_int_eq(intents_open(&in, root), 0);
		const struct intent *one = intents_earlier(in, &n);
		ck_assert_uint_eq(n, 1);
		char *in_trash = xasprintf(".tutti/trash/%s", one->trash);
		intents_close(in);
		char *content = get(dir, in_trash), *whole = scratch_path(dir, in_trash);
		ck_assert_str_eq(content, "old");
		ck_assert_int_eq(unlink(whole), 0);
		put(dir, in_trash, "edited");
		if (later) /* and once more after the crash: both are kept */
			edits();
		recover_here(&c);
		root_clean_tmp(root);
		ck_assert_uint_eq(c.claimed[0], (unsigned)later);
		ck_assert_uint_eq(c.saved, (unsigned)later);
		char *now = get(dir, "0/n");
		ck_assert_str_eq(now, later ? "by somebody" : "edited");
		ck_assert(content_in(dir, "0", "edited"));
		ck_assert_uint_eq(count_in(dir, ".tutti/trash"), 0);
		free(now);
		free(content);
		free(whole);
		free(in_trash);
		close_world();
	}
	forget();
}
END_TEST

/* --- power failures: the last writes may be lost --- */

#define FRAME_SIZE 40

static char *journal_read(size_t *len)
{
	char *path = scratch_path(dir, ".tutti/intents");
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	char *bytes = xmalloc(1 << 20);
	*len = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	free(path);
	return bytes;
}

static void journal_write(const char *bytes, size_t len)
{
	char *path = scratch_path(dir, ".tutti/intents");
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	free(path);
}

/* As if the machine had been started again since. */
static void start_machine_again(void)
{
	char id[37];
	size_t len;
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(id, 1, 36, f), 36);
	fclose(f);
	char *bytes = journal_read(&len);
	for (char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), "TuttiIn1", 8)); at++) {
		uint64_t said[3];
		uint32_t body;
		memcpy(said, at + 8, 16);
		memcpy(&body, at + 32, 4);
		said[2] = body;
		char *boot = memmem(at + FRAME_SIZE, body, id, 36);
		if (boot)
			boot[0] ^= 1;
		uint64_t sum = hash64(at + FRAME_SIZE, body, hash64(said, sizeof(said), 0x7475747469));
		memcpy(at + 24, &sum, 8);
	}
	journal_write(bytes, len);
	free(bytes);
}

static void lose_what_was_ready(void)
{
	char *tmp = scratch_path(dir, ".tutti/tmp");
	char *command = xasprintf("rm -f '%s'/*", tmp);
	ck_assert_int_eq(system(command), 0);
	free(command);
	free(tmp);
}

START_TEST(after_a_power_failure_doubt_claims_nothing)
{
	learn(1);
	unsigned named = calls_until_named(K_CREATE);
	for (unsigned k = 1; k < named + 3; k++) {
		open_world();
		struct life l = {0};
		struct claims c = {0};
		enum kind_of_op kind = K_CREATE;
		make_life(&l, &kind, 1);
		(void)killed(k, live, &l);
		size_t len;
		char *bytes = journal_read(&len);
		bool marked = memmem(bytes, len, "\x93\x02", 2); /* a frame of results */
		free(bytes);
		start_machine_again();
		lose_what_was_ready();
		deletes();
		recover_here(&c);
		ck_assert_msg(c.claimed[0] == (k >= named && marked), "call %u of %u", k, named);
		close_world();
	}
	forget();
}
END_TEST

/* --- the journal --- */

static struct intents *journal;

static void journal_open(size_t expected)
{
	size_t n;
	ck_assert_int_eq(intents_open(&journal, root), 0);
	(void)intents_earlier(journal, &n);
	ck_assert_uint_eq(n, expected);
}

static struct intents_batch journal_add(const char *path, size_t n)
{
	struct intents_batch batch;
	struct intent *list = xcalloc(n, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = (struct intent){.type = OP_RMDIR, .path = bytes_of(path), .record = bytes_of("rec"),
			.expect_stamp = UINT64_MAX, .mtime_ns = INT64_MIN, .skip = i == 1};
	ck_assert_int_eq(intents_write(journal, list, n, &batch), 0);
	ck_assert_int_eq(intents_sync(journal, &batch), 0);
	free(list);
	return batch;
}

START_TEST(what_is_written_is_read)
{
	static const uint8_t results[3] = {INTENT_DONE, INTENT_UNKNOWN, INTENT_UNDONE};
	size_t n;
	journal_open(0);
	struct intents_batch a = journal_add("a/b", 3);
	(void)journal_add("c", 1);
	ck_assert_int_eq(intents_result(journal, &a, results), 0);
	intents_close(journal);
	for (int i = 0; i < 2; i++) {
		journal_open(3);
		const struct intent *list = intents_earlier(journal, &n);
		ck_assert(bytes_eq(list[0].path, bytes_of("a/b")) && bytes_eq(list[2].path, bytes_of("c")));
		ck_assert(bytes_eq(list[0].record, bytes_of("rec")));
		ck_assert_int_eq(list[0].type, OP_RMDIR);
		ck_assert_int_eq(list[0].result, INTENT_DONE);
		ck_assert_int_eq(list[1].result, INTENT_UNDONE);
		ck_assert_int_eq(list[2].result, INTENT_UNKNOWN);
		ck_assert(list[0].same_boot && list[0].expect_stamp == UINT64_MAX &&
			list[0].mtime_ns == INT64_MIN);
		intents_close(journal);
	}
}
END_TEST

START_TEST(what_is_settled_is_not_read_again)
{
	journal_open(0);
	struct intents_batch a = journal_add("a", 1);
	struct intents_batch b = journal_add("b", 1);
	intents_settled(journal, &a);
	intents_close(journal);
	journal_open(2); /* they share a file */
	struct intents_batch c = journal_add("c", 1);
	intents_settled(journal, INTENTS_EARLIER);
	intents_close(journal);
	journal_open(3);
	intents_settled(journal, INTENTS_EARLIER);
	(void)b, (void)c;
	(void)journal_add("d", 1);
	intents_close(journal);
	journal_open(1);
	intents_close(journal);
}
END_TEST

START_TEST(the_journal_stays_small)
{
	struct intents_batch last = {0};
	size_t size = 0;
	journal_open(0);
	for (unsigned i = 0; i < 2000; i++) {
		struct intents_batch next = journal_add("a/path/of/some/length", 500);
		if (i)
			intents_settled(journal, &last); /* never all at once */
		last = next;
		size = (size_t)(stat_of(dir, ".tutti/intents").st_size +
			stat_of(dir, ".tutti/intents-2").st_size);
		ck_assert_uint_lt(size, 10u << 20);
	}
	ck_assert_uint_gt(size, 4u << 20); /* both were used */
	intents_close(journal);
	ck_assert_int_eq(intents_open(&journal, root), 0);
	size_t n;
	const struct intent *list = intents_earlier(journal, &n);
	ck_assert_uint_ge(n, 499);
	for (size_t i = 1; i < n; i++)
		ck_assert_uint_lt(list[i - 1].number, list[i].number);
	intents_close(journal);
}
END_TEST

START_TEST(torn_and_damaged_parts_are_passed_over)
{
	size_t len;
	journal_open(0);
	for (unsigned i = 0; i < 5; i++)
		(void)journal_add("some/path", 1);
	intents_close(journal);
	char *whole = journal_read(&len), *bytes = xmalloc(len);
	/* where the frames end */
	size_t used = len;
	while (used && !whole[used - 1])
		used--;
	used += 3 - (used + 2) % 3; /* the last fields may be empty */
	for (size_t cut = 0; cut < used; cut++) { /* torn there */
		size_t n;
		memcpy(bytes, whole, len);
		memset(bytes + cut, 0, len - cut);
		journal_write(bytes, cut & 1 ? len : cut);
		ck_assert_int_eq(intents_open(&journal, root), 0);
		(void)intents_earlier(journal, &n);
		ck_assert_uint_le(n, 5);
		ck_assert(n >= cut * 5 / used - (cut * 5 / used > 0));
		intents_close(journal);
	}
	for (size_t at = 0; at < used; at++) { /* one byte is another */
		size_t n;
		memcpy(bytes, whole, len);
		bytes[at] = (char)(bytes[at] ^ (1 << (at % 8)));
		journal_write(bytes, len);
		ck_assert_int_eq(intents_open(&journal, root), 0);
		(void)intents_earlier(journal, &n);
		ck_assert_uint_ge(n, 4);
		intents_close(journal);
	}
	free(whole);
	free(bytes);
}
END_TEST

START_TEST(garbage_is_no_journal)
{
	srandom(7);
	for (unsigned round = 0; round < 200; round++) {
		char bytes[4096];
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)random();
		for (size_t i = 0; i + 60 < sizeof(bytes); i += 64 + (size_t)random() % 64)
			memcpy(bytes + i, "TuttiIn1", 8);
		journal_write(bytes, sizeof(bytes));
		journal_open(0);
		intents_close(journal);
	}
}
END_TEST

/* What has a right sum may still be hostile: nothing of it leaves the root or our folder. */
START_TEST(hostile_intents_are_refused)
{
	static const struct {
		const char *path, *tmp, *trash;
	} bad[] = {
		{"../x", "t1", "1.000000001-a"}, {"/etc/x", "t1", "1.000000001-a"}, {"", "t1", "1.000000001-a"},
		{".tutti/root-id", "t1", "1.000000001-a"}, {"a//b", "t1", "1.000000001-a"},
		{"a", "../root-id", "1.000000001-a"}, {"a", "t1", "../root-id"}, {"a", "t1", ".."},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct intents_batch batch;
		struct intent in = {.type = OP_DELETE, .path = bytes_of(bad[i].path)};
		snprintf(in.tmp, sizeof(in.tmp), "%s", bad[i].tmp);
		snprintf(in.trash, sizeof(in.trash), "%s", bad[i].trash);
		journal_open(0);
		ck_assert_int_eq(intents_write(journal, &in, 1, &batch), 0);
		intents_close(journal);
	}
	journal_open(0);
	intents_close(journal);
}
END_TEST

START_TEST(a_failed_sync_is_not_trusted_again)
{
	journal_open(0);
	struct intents_batch a = journal_add("a", 1), b;
	struct intent in = {.type = OP_RMDIR, .path = bytes_of("b")};
	ck_assert_int_eq(intents_write(journal, &in, 1, &b), 0);
	ino_t before_it = stat_of(dir, ".tutti/intents").st_ino;
	sync_fails = true;
	ck_assert_int_eq(intents_sync(journal, &b), -EIO);
	sync_fails = false;
	intents_settled(journal, &b);
	struct intents_batch c = journal_add("c", 1); /* the other file */
	ck_assert_uint_ne(c.file, b.file);
	intents_settled(journal, &a);
	intents_settled(journal, &c);
	(void)journal_add("d", 1);
	ck_assert_uint_ne(stat_of(dir, ".tutti/intents").st_ino, before_it);
	intents_close(journal);
	journal_open(1);
	intents_close(journal);
}
END_TEST

START_TEST(without_a_durable_intent_no_name_changes)
{
	struct life l = {0};
	enum kind_of_op kinds[3] = {K_CREATE, K_DELETE, K_REPLACE};
	make_life(&l, kinds, 3);
	journal_open(0);
	sync_fails = true;
	apply_all(l.ops, 3, journal);
	sync_fails = false;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(l.ops[i].error, -EIO);
	ck_assert(!there(dir, "0/n"));
	ck_assert_uint_eq(count_in(dir, ".tutti/trash"), 0);
	intents_close(journal);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("recover");
	TCase *t = suite_case(s, "points", NULL, NULL);
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, every_operation_at_every_point, 0, 2 * KINDS);
	tcase_add_loop_test(t, every_pair_at_every_point, 0, KINDS);
	tcase_add_loop_test(t, some_triples_at_every_point, 0, 4);
	tcase_add_test(t, a_large_batch_at_some_points);
	tcase_add_test(t, closed_folders_are_closed_again);
	tcase_add_test(t, what_somebody_does_after_a_kill_is_told_from_what_we_did);
	tcase_add_test(t, what_somebody_permits_after_a_kill_is_not_ours);
	tcase_add_test(t, an_edit_that_came_out_goes_back);
	tcase_add_test(t, after_a_power_failure_doubt_claims_nothing);
	t = suite_case(s, "journal", open_world, close_world);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, what_is_written_is_read);
	tcase_add_test(t, what_is_settled_is_not_read_again);
	tcase_add_test(t, the_journal_stays_small);
	tcase_add_test(t, torn_and_damaged_parts_are_passed_over);
	tcase_add_test(t, garbage_is_no_journal);
	tcase_add_test(t, hostile_intents_are_refused);
	tcase_add_test(t, a_failed_sync_is_not_trusted_again);
	tcase_add_test(t, without_a_durable_intent_no_name_changes);
	return suite_run(s);
}
