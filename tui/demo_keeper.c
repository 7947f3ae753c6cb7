/* Owns the life of the demo's servers and of its temporary folder. */
#include "config.h"
#include "demo_keeper.h"

#include "demo_files.h"
#include "identity.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_MS = 20000, /* a server must serve by then */
	STOP_MS = 5000,   /* and be gone by then, or it is killed */
	CHANGE_MS = 2500,
	LINE_MAX_BYTES = 1024,
	FOLDER_MAX = 60,  /* bytes; longer ones leave no room for a socket's name */
};

struct server {
	pid_t pid; /* 0: not running */
	int out;   /* its stdout */
	char *address;
	char id[KEY_ID_TEXT + 1];
};

struct keeper {
	int life, words;
	int signals;      /* signalfd */
	sigset_t before;  /* the mask that children get */
	pid_t parent;
	char *program;    /* tuttid; a name without '/' is looked for in $PATH */
	char folder[PATH_MAX];
	int dir;
	struct server servers[DEMO_SIDES];
	bool stopping;    /* the demo is over */
	bool told_to_end; /* and the servers know */
};

/* --- small things */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One line to the demo's process, at most PIPE_BUF long: whole or not at all. */
static void say(struct keeper *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct keeper *k, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	strcat(line, "\n");
	ssize_t n = write(k->words, line, strlen(line));
	(void)n; /* nobody is left to tell */
}

static bool parent_gone(const struct keeper *k)
{
	struct pollfd p = {.fd = k->life, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

/* tuttid beside our own program, else wherever $PATH has it. */
static char *find_program(void)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	if (n > 0) {
		own[n] = '\0';
		char *slash = strrchr(own, '/');
		char *beside = xasprintf("%.*s/tuttid", (int)(slash ? slash - own : 0), own);
		if (!access(beside, X_OK))
			return beside;
		free(beside);
	}
	return xstrdup("tuttid");
}

/* --- the folder */

static bool make_folder(struct keeper *k)
{
	const char *tmp = getenv("TMPDIR");
	if (!tmp || *tmp != '/' || strlen(tmp) > FOLDER_MAX)
		tmp = "/tmp";
	snprintf(k->folder, sizeof(k->folder), "%s/tutti-demo-XXXXXX", tmp);
	if (!mkdtemp(k->folder)) {
		say(k, "cannot make a temporary folder in %s: %s", tmp, strerror(errno));
		*k->folder = '\0';
		return false;
	}
	k->dir = open(k->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = k->dir < 0 ? -errno : demo_write(k->dir);
	if (r)
		say(k, "cannot write the sample files into %s: %s", k->folder, strerror(-r));
	return r == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	(void)remove(path);
	return 0;
}

/* A folder without permissions could not be emptied. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_D || type == FTW_DNR)
		(void)chmod(path, st->st_mode | 0700);
	return 0;
}

static void remove_folder(struct keeper *k)
{
	if (k->dir >= 0)
		close(k->dir);
	if (!*k->folder)
		return;
	nftw(k->folder, open_up, 16, FTW_PHYS | FTW_MOUNT);
	nftw(k->folder, remove_one, 16, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
	if (!access(k->folder, F_OK))
		say(k, "could not remove all of %s", k->folder);
}

/* --- the servers */

static _Noreturn void become_server(const struct keeper *k, size_t side, int out)
{
	char *state = xasprintf("%s/state-%s", k->folder, demo_names[side]);
	char *sock = xasprintf("%s/%s.sock", k->folder, demo_names[side]);
	char *root = xasprintf("%s/%s", k->folder, demo_names[side]);
	char *log = xasprintf("%s/%s.log", k->folder, demo_names[side]);
	const char *argv[] = {
		k->program, "--name", demo_names[side], "--listen", "127.0.0.1:0",
		"--state", state, "--socket", sock, "--peer", NULL, NULL, NULL,
	};
	size_t n = 10;
	char *other = NULL;
	/* The first calls the second; each has been told of the other's key. */
	if (side == 0)
		other = xasprintf("%s@%s", k->servers[1].id, k->servers[1].address);
	argv[n++] = other ? other : k->servers[0].id;
	argv[n] = root;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (getppid() == k->parent && null >= 0 && err >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	    dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0) {
		signal(SIGPIPE, SIG_DFL);
		sigprocmask(SIG_SETMASK, &k->before, NULL);
		execvp(k->program, (char *const *)argv);
		dprintf(STDERR_FILENO, "%s: %s\n", k->program, strerror(errno));
	}
	_exit(127);
}

/* The last line that a server logged, for people who wonder why it ended. */
static void last_words(const struct keeper *k, size_t side, char out[LINE_MAX_BYTES])
{
	char *path = xasprintf("%s/%s.log", k->folder, demo_names[side]);
	FILE *f = fopen(path, "re");
	char line[LINE_MAX_BYTES];
	strcpy(out, "it left no message");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			memcpy(out, line, strlen(line) + 1);
	}
	if (f)
		fclose(f);
	free(path);
}

static bool ended_as_told(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL;
	return WEXITSTATUS(status) == 0;
}

/* Collects children that have ended. */
static void reap(struct keeper *k)
{
	char words[LINE_MAX_BYTES];
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (size_t i = 0; i < DEMO_SIDES; i++) {
			if (k->servers[i].pid != pid)
				continue;
			k->servers[i].pid = 0;
			if (k->told_to_end && ended_as_told(status))
				continue;
			last_words(k, i, words);
			say(k, "server %s ended by itself (%s %d): %s", demo_names[i],
			    WIFSIGNALED(status) ? "signal" : "status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), words);
		}
	}
}

/* Waits for a signal, the end of the demo's process, or `fd` (-1: none). True if `fd` is ready. */
static bool wait_for(struct keeper *k, int fd, int64_t until_ms)
{
	struct pollfd p[] = {
		{.fd = k->life, .events = POLLIN},
		{.fd = k->signals, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	int64_t left_ms = until_ms - now_ms();
	if (k->stopping)
		p[0].fd = -1;
	if (left_ms < 0 || poll(p, ARRAY_LEN(p), left_ms > INT_MAX ? INT_MAX : (int)left_ms) < 1)
		return false;
	if (p[0].revents)
		k->stopping = true;
	if (p[1].revents) {
		struct signalfd_siginfo info;
		while (read(k->signals, &info, sizeof(info)) > 0)
			k->stopping |= info.ssi_signo != SIGCHLD;
		reap(k);
	}
	return p[2].revents;
}

/* Reads "ready NAME ID ADDR:PORT". */
static bool read_ready(struct keeper *k, size_t side)
{
	struct server *s = &k->servers[side];
	char line[LINE_MAX_BYTES] = "";
	size_t len = 0;
	int64_t until_ms = now_ms() + START_MS;
	while (!memchr(line, '\n', len) && len < sizeof(line) - 1) {
		if (wait_for(k, s->out, until_ms)) {
			ssize_t n = read(s->out, line + len, sizeof(line) - 1 - len);
			if (n <= 0)
				break;
			len += (size_t)n;
		} else if (k->stopping || !s->pid || now_ms() >= until_ms) {
			break;
		}
	}
	line[len] = '\0';
	char *end = strchr(line, '\n');
	if (!strncmp(line, "ready ", 6) && end) {
		*end = '\0';
		s->address = xstrdup(strrchr(line, ' ') + 1);
		return true;
	}
	/* It has closed its end, so it is about to be reaped, which tells why. */
	while (s->pid && !k->stopping && now_ms() < until_ms)
		wait_for(k, -1, until_ms);
	if (s->pid && !k->stopping)
		say(k, "server %s does not get ready", demo_names[side]);
	return false;
}

/* Makes the key of a server before it starts, so that the other one can be told its ID. */
static bool make_key(struct keeper *k, size_t side)
{
	struct buf problem = {0};
	struct identity *identity;
	char *state = xasprintf("%s/state-%s", k->folder, demo_names[side]);
	int r = identity_open(&identity, state, &problem);
	if (r < 0)
		say(k, "%.*s", (int)problem.len, (const char *)problem.data);
	else
		key_id_write(k->servers[side].id, identity_id(identity));
	identity_free(identity);
	buf_release(&problem);
	free(state);
	return r == 0;
}

static bool start_server(struct keeper *k, size_t side)
{
	int out[2];
	if (pipe2(out, O_CLOEXEC)) {
		say(k, "cannot make a pipe: %s", strerror(errno));
		return false;
	}
	pid_t pid = fork();
	if (pid == 0)
		become_server(k, side, out[1]);
	close(out[1]);
	k->servers[side].out = out[0];
	if (pid < 0) {
		say(k, "cannot start a server: %s", strerror(errno));
		return false;
	}
	k->servers[side].pid = pid;
	return read_ready(k, side);
}

static bool any_runs(const struct keeper *k)
{
	bool any = false;
	for (size_t i = 0; i < DEMO_SIDES; i++)
		any |= k->servers[i].pid > 0;
	return any;
}

static void stop_servers(struct keeper *k)
{
	static const int order[] = {SIGTERM, SIGKILL};
	k->stopping = true;
	reap(k); /* who is dead by now was not told to */
	k->told_to_end = true;
	for (size_t o = 0; o < ARRAY_LEN(order); o++) {
		for (size_t i = 0; i < DEMO_SIDES; i++) {
			if (k->servers[i].pid > 0)
				kill(k->servers[i].pid, order[o]);
		}
		int64_t until_ms = now_ms() + STOP_MS;
		while (any_runs(k) && now_ms() < until_ms)
			wait_for(k, -1, until_ms);
	}
}

/* --- the process */

static void watch_signals(struct keeper *k)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, &k->before);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN); /* what we say may find nobody to hear it */
}

static void keep(struct keeper *k, bool changes)
{
	unsigned step = 0;
	while (!k->stopping) {
		int64_t until_ms = changes ? now_ms() + CHANGE_MS : INT64_MAX;
		while (!k->stopping && now_ms() < until_ms)
			wait_for(k, -1, until_ms);
		if (!k->stopping)
			demo_change(k->dir, step++);
	}
}

static _Noreturn void keeper_main(int life, int words, bool changes)
{
	struct keeper k = {.life = life, .words = words, .dir = -1, .signals = -1};
	setsid();
	k.parent = getpid();
	k.program = find_program();
	watch_signals(&k);
	umask(077);
	/* The second listens on a port of its choice first, so that the first can be told it. */
	bool ready = make_folder(&k) && make_key(&k, 0) && make_key(&k, 1) &&
		     start_server(&k, 1) && start_server(&k, 0);
	if (ready && !parent_gone(&k)) {
		say(&k, "ready %s/%s.sock", k.folder, demo_names[0]);
		keep(&k, changes);
	}
	stop_servers(&k);
	remove_folder(&k);
	_exit(0);
}

/* --- for the demo's process */

/* The next line of the keeper, without its end; false: it says no more. */
static bool read_line(int fd, struct buf *line)
{
	char c;
	buf_clear(line);
	for (;;) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == '\n')
			return n > 0;
		buf_add_char(line, c);
	}
}

bool keeper_start(struct demo_keeper *k, bool changes, struct buf *problem)
{
	static const char ready[] = "ready ";
	int life[2], words[2];
	struct buf line = {0};
	*k = (struct demo_keeper){.life = -1, .words = -1};
	if (pipe2(life, O_CLOEXEC) || pipe2(words, O_CLOEXEC)) {
		buf_addf(problem, "cannot make a pipe: %s\n", strerror(errno));
		return false;
	}
	k->pid = fork();
	if (k->pid == 0) {
		close(life[1]);
		close(words[0]);
		keeper_main(life[0], words[1], changes);
	}
	k->life = life[1];
	k->words = words[0];
	close(life[0]);
	close(words[1]);
	if (k->pid > 0 && read_line(k->words, &line)) {
		struct bytes said = {line.data, line.len};
		if (said.len > sizeof(ready) - 1 && !memcmp(said.p, ready, sizeof(ready) - 1)) {
			buf_add_char(&line, '\0');
			k->socket = xstrdup((const char *)line.data + sizeof(ready) - 1);
		} else {
			text_show(problem, said);
			buf_add_char(problem, '\n');
		}
	} else if (k->pid < 0) {
		buf_addf(problem, "cannot start a process: %s\n", strerror(errno));
	}
	buf_release(&line);
	if (!k->socket)
		keeper_stop(k, problem);
	return k->socket != NULL;
}

void keeper_stop(struct demo_keeper *k, struct buf *problem)
{
	struct buf line = {0};
	close(k->life);
	while (read_line(k->words, &line)) {
		text_show(problem, (struct bytes){line.data, line.len});
		buf_add_char(problem, '\n');
	}
	buf_release(&line);
	close(k->words);
	while (k->pid > 0 && waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(k->socket);
	k->socket = NULL;
	k->pid = 0;
}
