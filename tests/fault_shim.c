/*
 * Owns faults of the system for end-to-end tests: preloaded into tuttid, it makes system calls fail
 * or last long, as rules in the file $FAULTS/rules say. They may change at any time (by a rename onto
 * it). One rule a line, the first that fits counts:
 *	CALL WHAT [PATTERN [COUNT]]
 * CALL is one of calls[]; WHAT is one of errors[], or `KILL`: the process ends there and then, or `+MS`:
 * the call waits so long and is then made;
 * PATTERN is a shell pattern for the absolute path (`*` goes over slashes), COUNT how often it happens.
 * Of `send` it is one for `/` and the number of bytes, and KILL is in the middle of them.
 * `watch DEAF`: the watch is set, and tells nothing. `statfs +N`: the file system is one of type N;
 * `disk +N`: it has N bytes, all of them free; `disk -N`: none.
 * `fold +0 PATTERN`: in the folders that fit, names that differ in capitals only, or in how an e with an acute
 * accent is written, are one name, as on a file system that folds them; a new one stays as it is made.
 * Two calls are none: `clock +S` or `clock -S` moves the wall clock by so many seconds, `mono +S` the
 * other clock, as if the machine had slept.
 * FAULT_SPEED=N in the environment lets time pass N times as fast for whoever waits for it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum call {
	C_OPEN, C_READ, C_WRITE, C_FSYNC, C_SYNCFS, C_READDIR, C_STAT, C_RENAME, C_LINK, C_MKDIR, C_UNLINK,
	C_CHMOD, C_ALLOCATE, C_LEASE, C_WATCH, C_INOTIFY, C_ACCEPT, C_SEND, C_STATFS, C_DISK,
	C_CLOCK, C_MONO, C_FOLD,
	CALLS,
};
static const char *const calls[CALLS] = {
	"open", "read", "write", "fsync", "syncfs", "readdir", "stat", "rename", "link", "mkdir", "unlink",
	"chmod", "allocate", "lease", "watch", "inotify", "accept", "send", "statfs", "disk",
	"clock", "mono", "fold",
};

enum { KILL = -1, DEAF = -2 }; /* no errors */

static const struct {
	const char *name;
	int number;
} errors[] = {
	{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG},   {"EIO", EIO},       {"ESTALE", ESTALE},
	{"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EROFS", EROFS},   {"EACCES", EACCES}, {"EPERM", EPERM},
	{"ETXTBSY", ETXTBSY}, {"EINVAL", EINVAL}, {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN},
	{"KILL", KILL}, {"DEAF", DEAF},
};

enum { RULES_MAX = 32, PATTERN_MAX = 256 };

struct rule {
	enum call call;
	int error;     /* or 0, and ... */
	long long add; /* ... ms to wait, s to add, a type or bytes */
	char pattern[PATTERN_MAX];
	long left;     /* how often it still happens; -1: always */
};

static struct rule rules[RULES_MAX];
static size_t n_rules;
static struct stat rules_stat;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	if (!f)
		abort();
	return f;
}

static bool parse(const char *line, struct rule *r)
{
	char call[16], what[32];
	*r = (struct rule){.pattern = "*", .left = -1};
	if (sscanf(line, "%15s %31s %255s %ld", call, what, r->pattern, &r->left) < 2)
		return false;
	for (r->call = 0; r->call < CALLS && strcmp(calls[r->call], call) != 0; r->call++)
		;
	if (r->call == CALLS)
		abort(); /* a mistake of the test */
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (strcmp(errors[i].name, what) == 0)
			r->error = errors[i].number;
	if (!r->error && *what != '+' && *what != '-')
		abort();
	r->add = r->error ? 0 : atoll(what);
	return true;
}

/* Reads the rules if they are not those that are known. Under the lock. */
static void load(void)
{
	char path[4096], text[8192];
	struct stat st;
	const char *folder = getenv("FAULTS");
	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/rules", folder);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		n_rules = 0;
		return;
	}
	/* NULL path and AT_EMPTY_PATH: not the calls that are made to fail here */
	if (syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) == 0 &&
	    (st.st_ino != rules_stat.st_ino || st.st_mtim.tv_sec != rules_stat.st_mtim.tv_sec ||
	     st.st_mtim.tv_nsec != rules_stat.st_mtim.tv_nsec)) {
		rules_stat = st;
		n_rules = 0;
		ssize_t n = (ssize_t)syscall(SYS_read, fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		char *rest = text, *line;
		while ((line = strsep(&rest, "\n")) && n_rules < RULES_MAX)
			n_rules += parse(line, &rules[n_rules]);
	}
	syscall(SYS_close, fd);
}

/* Where a call is aimed: `name` below `dir`, or `dir` itself. */
static void full_path(char out[4096], int dir, const char *name)
{
	char link[64];
	ssize_t n = 0;
	if (name && *name == '/') {
		snprintf(out, 4096, "%s", name);
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	if (dir == AT_FDCWD)
		n = getcwd(out, 3000) ? (ssize_t)strlen(out) : 0;
	else if ((n = readlink(link, out, 3000)) < 0)
		n = 0;
	out[n] = '\0';
	if (name && *name)
		snprintf(out + n, 4096 - (size_t)n, "/%s", name);
}

/* Does a rule hold for the call now? Then that is *hit. */
static bool is_hit(enum call call, int dir, const char *name, struct rule *hit)
{
	bool found = false, any = false;
	int before = errno;
	pthread_mutex_lock(&lock);
	load();
	for (size_t i = 0; i < n_rules; i++)
		any = any || rules[i].call == call;
	if (any) {
		char path[4096];
		full_path(path, dir, name);
		for (size_t i = 0; i < n_rules && !found; i++) {
			struct rule *r = &rules[i];
			if (r->call != call || !r->left || fnmatch(r->pattern, path, 0) != 0)
				continue;
			r->left -= r->left > 0;
			*hit = *r;
			found = true;
		}
	}
	pthread_mutex_unlock(&lock);
	errno = before;
	return found;
}

/* Does the call fail now? errno is then set. */
static bool fails(enum call call, int dir, const char *name)
{
	struct rule hit;
	if (!is_hit(call, dir, name, &hit))
		return false;
	if (!hit.error) {
		struct timespec t = {hit.add / 1000, hit.add % 1000 * 1000000};
		nanosleep(&t, NULL);
		return false;
	}
	if (hit.error == KILL)
		(void)kill(getpid(), SIGKILL);
	errno = hit.error;
	return true;
}

static long long clock_offset(enum call which)
{
	long long s = 0;
	int before = errno;
	pthread_mutex_lock(&lock);
	load();
	for (size_t i = 0; i < n_rules; i++)
		if (rules[i].call == which)
			s = rules[i].add;
	pthread_mutex_unlock(&lock);
	errno = before;
	return s;
}

static long speed(void)
{
	static long n;
	if (!n) {
		const char *text = getenv("FAULT_SPEED");
		n = text && atol(text) > 0 ? atol(text) : 1;
	}
	return n;
}

/* ---- names that are one ---- */

/* What all spellings of a name have in common. */
static void canonical(char out[256], const char *name)
{
	size_t n = 0;
	for (; *name && n < 254; name++) {
		bool composed = name[0] == '\xc3' && (name[1] == '\xa9' || name[1] == '\x89');
		bool accent = name[0] == '\xcc' && name[1] == '\x81' && n && out[n - 1] == 'e';
		if (composed || accent)
			out[n - accent] = '\1';
		else
			out[n] = (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
		n += !accent;
		name += composed || accent;
	}
	out[n] = '\0';
}

/* The name that `name` finds in the folder `dir`: itself, or one that is the same there, put into `found`. */
static const char *folded(int dir, const char *name, char found[256])
{
	static struct dirent *(*next)(DIR *);
	char wanted[256], have[256];
	struct rule hit;
	struct stat st;
	int before = errno;
	if (!name || !*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strlen(name) > 255 || !is_hit(C_FOLD, dir, NULL, &hit) ||
	    syscall(SYS_newfstatat, dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return name;
	if (!next)
		next = (struct dirent * (*)(DIR *)) real("readdir");
	int fd = (int)syscall(SYS_openat, dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	canonical(wanted, name);
	for (struct dirent *e; d && (e = next(d)); ) {
		canonical(have, e->d_name);
		if (strcmp(wanted, have) == 0) {
			snprintf(found, 256, "%s", e->d_name);
			name = found;
			break;
		}
	}
	if (d)
		closedir(d);
	errno = before;
	return name;
}

/* Defines `name`, which fails as `call` on (dir, path) and else does what it always did. */
#define CALL(call, result, name, params, args, dir, path)                                         \
	result name params;                                                                        \
	result name params                                                                         \
	{                                                                                          \
		static result(*f) params;                                                          \
		if (!f)                                                                            \
			f = (result(*) params)real(#name);                                         \
		if (fails(call, dir, path))                                                        \
			return -1;                                                                 \
		return f args;                                                                     \
	}

/* The same of a call with one name in a folder, `path`. */
#define NAME_CALL(call, name, params, args)                                                        \
	int name params;                                                                           \
	int name params                                                                            \
	{                                                                                          \
		static int(*f) params;                                                             \
		char other[256];                                                                   \
		if (!f)                                                                            \
			f = (int(*) params)real(#name);                                            \
		if (fails(call, dir, path))                                                        \
			return -1;                                                                 \
		path = folded(dir, path, other);                                                   \
		return f args;                                                                     \
	}

/* The same of a call with two. */
#define NAMES_CALL(call, name, params, args)                                                       \
	int name params;                                                                           \
	int name params                                                                            \
	{                                                                                          \
		static int(*f) params;                                                             \
		char other_from[256], other_to[256];                                               \
		if (!f)                                                                            \
			f = (int(*) params)real(#name);                                            \
		if (fails(call, to_dir, to))                                                       \
			return -1;                                                                 \
		from = folded(from_dir, from, other_from);                                         \
		to = folded(to_dir, to, other_to);                                                 \
		return f args;                                                                     \
	}

/* The same with a mode that is only sometimes there. */
#define OPEN(name, params, args, dir, path)                                                       \
	int name params;                                                                           \
	int name params                                                                            \
	{                                                                                          \
		static int(*f)(int, const char *, int, ...);                                       \
		mode_t mode = 0;                                                                   \
		if (!f)                                                                            \
			f = (int (*)(int, const char *, int, ...))real("openat");                  \
		if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {                              \
			va_list ap;                                                                \
			va_start(ap, flags);                                                       \
			mode = (mode_t)va_arg(ap, int);                                            \
			va_end(ap);                                                                \
		}                                                                                  \
		if (fails(C_OPEN, dir, path))                                                      \
			return -1;                                                                 \
		char other[256];                                                                   \
		path = folded(dir, path, other);                                                   \
		return f args;                                                                     \
	}

OPEN(open, (const char *path, int flags, ...), (AT_FDCWD, path, flags, mode), AT_FDCWD, path)
OPEN(open64, (const char *path, int flags, ...), (AT_FDCWD, path, flags, mode), AT_FDCWD, path)
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), dir, path)
OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), dir, path)

CALL(C_READ, ssize_t, pread, (int fd, void *p, size_t len, off_t at), (fd, p, len, at), fd, NULL)
CALL(C_READ, ssize_t, pread64, (int fd, void *p, size_t len, off_t at), (fd, p, len, at), fd, NULL)
CALL(C_WRITE, ssize_t, write, (int fd, const void *p, size_t len), (fd, p, len), fd, NULL)
CALL(C_WRITE, ssize_t, pwrite, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at), fd, NULL)
CALL(C_WRITE, ssize_t, pwrite64, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at), fd,
     NULL)
CALL(C_WRITE, ssize_t, copy_file_range,
     (int from, off_t *at, int fd, off_t *to, size_t len, unsigned flags),
     (from, at, fd, to, len, flags), fd, NULL)
CALL(C_ALLOCATE, int, fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len), fd, NULL)
CALL(C_FSYNC, int, fsync, (int fd), (fd), fd, NULL)
CALL(C_FSYNC, int, fdatasync, (int fd), (fd), fd, NULL)
CALL(C_SYNCFS, int, syncfs, (int fd), (fd), fd, NULL)
NAME_CALL(C_STAT, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
NAME_CALL(C_STAT, fstatat64, (int dir, const char *path, struct stat64 *st, int flags),
	  (dir, path, st, flags))
NAME_CALL(C_FOLD, faccessat, (int dir, const char *path, int mode, int flags), (dir, path, mode, flags))
NAME_CALL(C_MKDIR, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
NAME_CALL(C_UNLINK, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
NAME_CALL(C_FOLD, utimensat, (int dir, const char *path, const struct timespec t[2], int flags),
	  (dir, path, t, flags))
NAMES_CALL(C_RENAME, renameat2,
	   (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
	   (from_dir, from, to_dir, to, flags))
NAMES_CALL(C_FOLD, renameat, (int from_dir, const char *from, int to_dir, const char *to),
	   (from_dir, from, to_dir, to))
NAMES_CALL(C_LINK, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
	   (from_dir, from, to_dir, to, flags))
CALL(C_CHMOD, int, fchmod, (int fd, mode_t mode), (fd, mode), fd, NULL)
CALL(C_INOTIFY, int, inotify_init1, (int flags), (flags), AT_FDCWD, "/")
CALL(C_ACCEPT, int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags),
     (fd, from, len, flags), AT_FDCWD, "/")

ssize_t readlinkat(int dir, const char *restrict path, char *restrict out, size_t len)
{
	static ssize_t (*f)(int, const char *, char *, size_t);
	char other[256];
	if (!f)
		f = (ssize_t(*)(int, const char *, char *, size_t))real("readlinkat");
	return f(dir, folded(dir, path, other), out, len);
}

/* These tell of an error in another way, do something else, or are no system call of their own. */
int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	static int (*f)(int, const char *, uint32_t);
	struct rule hit;
	if (!f)
		f = (int (*)(int, const char *, uint32_t))real("inotify_add_watch");
	if (!is_hit(C_WATCH, (int)strtol(path + strlen("/proc/self/fd/"), NULL, 10), NULL, &hit))
		return f(fd, path, mask);
	if (hit.error == DEAF)
		return f(fd, path, IN_UNMOUNT);
	errno = hit.error;
	return -1;
}

/* In blocks. */
static void set_size(unsigned long *size, unsigned long *available, long long n)
{
	*size = (unsigned long)llabs(n);
	*available = n > 0 ? *size : 0;
}

/* The same function for each of the two structures. */
#define FSTATFS(name, type)                                                                        \
	int name(int fd, struct type *fs)                                                          \
	{                                                                                          \
		static int (*f)(int, struct type *);                                               \
		struct rule hit;                                                                   \
		if (!f)                                                                            \
			f = (int (*)(int, struct type *))real(#name);                              \
		int result = f(fd, fs);                                                            \
		if (result == 0 && is_hit(C_STATFS, fd, NULL, &hit))                               \
			fs->f_type = (__typeof__(fs->f_type))hit.add;                              \
		if (result == 0 && is_hit(C_DISK, fd, NULL, &hit))                                 \
			set_size(&fs->f_blocks, &fs->f_bavail, hit.add / (long long)fs->f_bsize);  \
		return result;                                                                     \
	}
FSTATFS(fstatfs, statfs)
FSTATFS(fstatfs64, statfs64)

struct dirent *readdir(DIR *d)
{
	static struct dirent *(*f)(DIR *);
	if (!f)
		f = (struct dirent * (*)(DIR *)) real("readdir");
	return fails(C_READDIR, dirfd(d), NULL) ? NULL : f(d);
}

struct dirent64 *readdir64(DIR *d)
{
	static struct dirent64 *(*f)(DIR *);
	if (!f)
		f = (struct dirent64 * (*)(DIR *)) real("readdir64");
	return fails(C_READDIR, dirfd(d), NULL) ? NULL : f(d);
}

ssize_t send(int fd, const void *p, size_t len, int flags)
{
	static ssize_t (*f)(int, const void *, size_t, int);
	struct rule hit;
	char number[32];
	if (!f)
		f = (ssize_t(*)(int, const void *, size_t, int))real("send");
	snprintf(number, sizeof(number), "/%zu", len);
	if (!is_hit(C_SEND, AT_FDCWD, number, &hit))
		return f(fd, p, len, flags);
	if (hit.error < 0) {
		(void)f(fd, p, len / 2, flags);
		(void)kill(getpid(), SIGKILL);
	}
	errno = hit.error ? hit.error : EAGAIN;
	return -1;
}

/* Without encryption: all pieces of it together are what is sent. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	static ssize_t (*f)(int, const struct msghdr *, int);
	struct rule hit;
	char number[32];
	size_t len = 0;
	if (!f)
		f = (ssize_t(*)(int, const struct msghdr *, int))real("sendmsg");
	for (size_t i = 0; i < m->msg_iovlen; i++)
		len += m->msg_iov[i].iov_len;
	snprintf(number, sizeof(number), "/%zu", len);
	if (!is_hit(C_SEND, AT_FDCWD, number, &hit))
		return f(fd, m, flags);
	size_t left = hit.error < 0 ? len / 2 : 0;
	for (size_t i = 0; i < m->msg_iovlen && left; i++) {
		size_t some = m->msg_iov[i].iov_len < left ? m->msg_iov[i].iov_len : left;
		left -= some;
		struct iovec part = {m->msg_iov[i].iov_base, some};
		(void)f(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, flags);
	}
	if (hit.error < 0)
		(void)kill(getpid(), SIGKILL);
	errno = hit.error ? hit.error : EAGAIN;
	return -1;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long result = syscall(SYS_clock_gettime, clock, t);
	if (result == 0 && clock == CLOCK_REALTIME)
		t->tv_sec += clock_offset(C_CLOCK);
	if (result == 0 && clock == CLOCK_MONOTONIC && speed() > 1) {
		__int128 ns = ((__int128)t->tv_sec * 1000000000 + t->tv_nsec) * speed();
		t->tv_sec = (time_t)(ns / 1000000000);
		t->tv_nsec = (long)(ns % 1000000000);
	}
	if (result == 0 && clock == CLOCK_MONOTONIC)
		t->tv_sec += clock_offset(C_MONO);
	return (int)result;
}

time_t time(time_t *out)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone)
{
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	out->tv_sec = t.tv_sec;
	out->tv_usec = t.tv_nsec / 1000;
	return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	static int (*f)(int, struct epoll_event *, int, int);
	if (!f)
		f = (int (*)(int, struct epoll_event *, int, int))real("epoll_wait");
	if (timeout > 0 && speed() > 1)
		timeout = (int)(timeout / speed()) + 1;
	return f(fd, events, n, timeout);
}
