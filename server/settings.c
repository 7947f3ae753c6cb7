/* Owns the options of tuttid, their defaults, and what they may be. */
#include "config.h"
#include "settings.h"

#include "lookup.h"
#include "places.h"
#include "text.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const level_names[] = {
#define X(id, text, mark) text,
	LOG_LEVELS(X)
#undef X
	NULL,
};

/* The file and the command line as they were written. */
struct given {
	const char *config, *directory, *name, *state, *socket, *join;
	bool check_config;
	struct option_list listen, peers, local_clients, local_viewers;
	int64_t trash_days, trash_percent, history_lines, rehash_days, tombstone_days, peer_entries;
	int log_level;
	bool plain, help, version;
};

#define FIELD(f) .offset = offsetof(struct given, f)

static const struct option_def options[] = {
	{.name = "directory", .type = OPTION_TEXT, .argument = "DIRECTORY", FIELD(directory),
	 .help = "the directory to be served", .only = OPTION_IN_FILE},
	{.name = "config", .letter = 'c', .type = OPTION_TEXT, .argument = "FILE", FIELD(config),
	 .help = "read options from a file; what is given here takes the place of the file's",
	 .only = OPTION_ON_LINE},
	{.name = "check-config", .type = OPTION_FLAG, FIELD(check_config),
	 .help = "say whether all options are in order, and end", .only = OPTION_ON_LINE},
	{.name = "name", .letter = 'n', .type = OPTION_TEXT, .argument = "NAME", FIELD(name),
	 .help = "the name people see", .standard = "the host name"},
	{.name = "listen", .letter = 'l', .type = OPTION_LIST, .argument = "ADDR:PORT",
	 FIELD(listen), .help = "where peers connect, port 0 picks one",
	 .standard = "127.0.0.1:7075"},
	{.name = "peer", .letter = 'p', .type = OPTION_LIST, .argument = "[ID@]HOST:PORT", FIELD(peers),
	 .help = "another server to keep in sync with; an ID alone is waited for"},
	{.name = "state", .letter = 's', .type = OPTION_TEXT, .argument = "DIR", FIELD(state),
	 .help = "index, key and trusted keys", .standard = "$XDG_STATE_HOME/tutti/NAME"},
	{.name = "socket", .type = OPTION_TEXT, .argument = "PATH", FIELD(socket),
	 .help = "local clients", .standard = "$XDG_RUNTIME_DIR/tutti/NAME.sock"},
	{.name = "local-client", .type = OPTION_LIST, .argument = "USER", FIELD(local_clients),
	 .help = "another user of this machine who may decide here"},
	{.name = "local-viewer", .type = OPTION_LIST, .argument = "USER", FIELD(local_viewers),
	 .help = "another user of this machine who may look, and decide nothing"},
	{.name = "trash-days", .type = OPTION_NUMBER, .argument = "DAYS", FIELD(trash_days),
	 .most = 36500, .help = "how long what a peer's change replaced is kept", .standard = "30"},
	{.name = "trash-percent", .type = OPTION_NUMBER, .argument = "PERCENT", FIELD(trash_percent),
	 .most = 90, .help = "how much of the disk that may take", .standard = "10"},
	{.name = "history-lines", .type = OPTION_NUMBER, .argument = "LINES", FIELD(history_lines),
	 .most = 100000000, .help = "how many changes are remembered", .standard = "1000000"},
	{.name = "rehash-days", .type = OPTION_NUMBER, .argument = "DAYS", FIELD(rehash_days),
	 .most = 3650, .help = "in how many every file is read again, 0: never", .standard = "30"},
	{.name = "tombstone-days", .type = OPTION_NUMBER, .argument = "DAYS", FIELD(tombstone_days),
	 .most = 36500, .help = "how long at least it is known what was deleted", .standard = "30"},
	{.name = "peer-entries", .type = OPTION_NUMBER, .argument = "ENTRIES", FIELD(peer_entries),
	 .most = 1000000000, .help = "as many files and folders are taken from one peer",
	 .standard = "5000000"},
	{.name = "join", .type = OPTION_TEXT, .argument = "FILE", FIELD(join),
	 .help = "become a peer by the invitation in FILE, - for standard input",
	 .only = OPTION_ON_LINE},
	{.name = "plain", .type = OPTION_FLAG, FIELD(plain),
	 .help = "no encryption, and everybody is a peer; loopback addresses only"},
	{.name = "log-level", .type = OPTION_CHOICE, .argument = "LEVEL", .choices = level_names,
	 FIELD(log_level), .help = "how much to log", .standard = "info"},
	{.name = "help", .letter = 'h', .type = OPTION_FLAG, FIELD(help), .help = "print this",
	 .only = OPTION_ON_LINE},
	{.name = "version", .letter = 'V', .type = OPTION_FLAG, FIELD(version),
	 .help = "print the version", .only = OPTION_ON_LINE},
};

static const struct option_set set = {options, ARRAY_LEN(options)};

const struct option_set *settings_options(void)
{
	return &set;
}

const char *settings_name_problem(struct bytes name)
{
	if (!name.len)
		return "is empty";
	if (name.len > SETTINGS_NAME_MAX)
		return "is longer than 32 bytes";
	if (name.p[0] == '.')
		return "begins with a dot";
	for (size_t i = 0; i < name.len;) {
		uint32_t cp = 0;
		size_t n = text_decode(name.p + i, name.len - i, &cp);
		if (!n || !text_is_visible(cp))
			return "has characters that cannot be shown";
		if (cp == '/')
			return "has a '/'";
		i += n;
	}
	return "";
}

static bool wrong(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct buf *out, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0) {
		buf_addf(out, "%s", text);
		free(text);
	}
	va_end(ap);
	return false;
}

/* The host name, cut at the first dot. */
static char *host_name(void)
{
	char host[256] = "";
	if (gethostname(host, sizeof(host) - 1) || !*host)
		return xstrdup("tutti");
	host[strcspn(host, ".")] = '\0';
	host[SETTINGS_NAME_MAX] = '\0';
	return xstrdup(*host ? host : "tutti");
}

static bool take_name(struct settings *s, const struct given *g, struct buf *out)
{
	s->name = g->name ? xstrdup(g->name) : host_name();
	const char *problem = settings_name_problem(bytes_of(s->name));
	if (!*problem)
		return true;
	buf_addf(out, "the name ");
	text_show(out, bytes_of(s->name));
	return wrong(out, " %s%s", problem, g->name ? "" : "; choose one with --name");
}

static bool take_places(struct settings *s, const struct given *g, struct buf *out)
{
	char *state = place_state();
	char *sockets[PLACES_MAX];
	size_t n = place_sockets(sockets);
	if (g->state)
		s->state = xstrdup(g->state);
	else if (state)
		s->state = xasprintf("%s/%s", state, s->name);
	if (g->socket)
		s->socket = xstrdup(g->socket);
	else if (n)
		s->socket = xasprintf("%s/%s.sock", sockets[0], s->name);
	while (n)
		free(sockets[--n]);
	free(state);
	if (!s->state)
		return wrong(out, "no home directory: say with --state where to keep the index");
	if (!s->socket)
		return wrong(out, "no home directory: say with --socket where clients connect");
	if (strlen(s->socket) > place_socket_path_max()) {
		text_show(out, bytes_of(s->socket));
		return wrong(out, ": too long for a socket, which has %zu bytes at most; choose a "
				  "shorter one with --socket",
			     place_socket_path_max());
	}
	return true;
}

static bool too_many(const struct option_list *list, const char *option, struct buf *out)
{
	return list->n > SETTINGS_ADDRESSES_MAX &&
	       !wrong(out, "--%s: more than %d addresses", option, SETTINGS_ADDRESSES_MAX);
}

/* Says what is wrong with one argument of an option, which `problem` begins with. */
static bool wrong_argument(struct buf *out, const char *option, struct buf *problem)
{
	wrong(out, "--%s %.*s", option, (int)problem->len, (const char *)problem->data);
	buf_release(problem);
	return false;
}

static bool wrong_address(struct buf *out, const char *option, const char *text, const char *why)
{
	struct buf problem = {0};
	text_show(&problem, bytes_of(text));
	buf_addf(&problem, ": %s", why);
	return wrong_argument(out, option, &problem);
}

const char settings_only_loopback[] =
	"without encryption, Tutti uses loopback only (127.0.0.1, [::1], localhost)";

static bool take_listen(struct settings *s, const struct option_list *list, struct buf *out)
{
	struct buf problem = {0};
	if (too_many(list, "listen", out))
		return false;
	s->listen = xcalloc(list->n, sizeof(*s->listen));
	for (size_t i = 0; i < list->n; i++) {
		struct settings_address *a = &s->listen[i];
		if (!address_parse(list->text[i], ADDRESS_LISTEN, &a->at, &problem))
			return wrong_argument(out, "listen", &problem);
		if (s->plain && !address_is_name(&a->at) && !address_is_loopback(&a->at))
			return wrong_address(out, "listen", list->text[i], settings_only_loopback);
		/* but several listeners may each ask for any port */
		for (size_t k = 0; address_port(&a->at) && k < i; k++)
			if (address_eq(&a->at, &s->listen[k].at))
				return wrong_address(out, "listen", list->text[i], "given twice");
		a->text = xstrdup(list->text[i]);
		s->n_listen++;
	}
	return true;
}

static bool take_peers(struct settings *s, const struct option_list *list, struct buf *out)
{
	struct buf problem = {0};
	if (too_many(list, "peer", out))
		return false;
	s->peers = xcalloc(list->n, sizeof(*s->peers));
	for (size_t i = 0; i < list->n; i++) {
		struct settings_peer *p = &s->peers[i];
		p->text = xstrdup(list->text[i]);
		s->n_peers++;
		if (!endpoint_parse(p->text, &p->to, &problem))
			return wrong_argument(out, "peer", &problem);
		if (s->plain && p->to.has_id)
			return wrong_address(out, "peer", p->text, "with --plain, no ID is checked");
		if (s->plain && !address_is_name(&p->to.at) && !address_is_loopback(&p->to.at))
			return wrong_address(out, "peer", p->text, settings_only_loopback);
		for (size_t k = 0; p->to.has_address && k < i; k++)
			if (s->peers[k].to.has_address && address_eq(&p->to.at, &s->peers[k].to.at))
				return wrong_address(out, "peer", p->text, "given twice");
	}
	return true;
}

/* A name, or a number where nobody has it as a name. */
static bool user_of(const char *text, uid_t *uid, const char **why)
{
	char room[16384];
	struct passwd entry, *found = NULL;
	int error = getpwnam_r(text, &entry, room, sizeof(room), &found);
	*why = "there is no such user here";
	if (found) {
		*uid = found->pw_uid;
		return true;
	}
	size_t digits = strspn(text, "0123456789");
	uint64_t number = digits && !text[digits] && digits <= 10 ? strtoull(text, NULL, 10) : UINT32_MAX;
	if (number < UINT32_MAX) { /* the last one means nobody, to the kernel */
		*uid = (uid_t)number;
		return true;
	}
	if (error && error != ENOENT && error != ESRCH)
		*why = strerror(error);
	return false;
}

static bool take_users(struct settings *s, const struct option_list *list, const char *option, bool view,
		       struct buf *out)
{
	s->users = xrealloc(s->users, s->n_users + list->n + 1, sizeof(*s->users));
	for (size_t i = 0; i < list->n; i++) {
		struct settings_user u = {.views = view};
		const char *why;
		if (!user_of(list->text[i], &u.uid, &why))
			return wrong_address(out, option, list->text[i], why);
		for (size_t k = 0; k < s->n_users; k++)
			if (s->users[k].uid == u.uid)
				return wrong_address(out, option, list->text[i], "given twice");
		if (s->n_users == SETTINGS_USERS_MAX)
			return wrong(out, "--%s: more than %d users", option, SETTINGS_USERS_MAX);
		s->users[s->n_users++] = u;
	}
	return true;
}

/* The string is a secret: never on the command line, which everybody can see. */
static bool take_invitation(struct settings *s, const char *from, struct buf *out)
{
	char text[INVITATION_TEXT_MAX + 2];
	struct buf problem = {0};
	if (!from)
		return true;
	if (s->plain)
		return wrong(out, "--join: invitations need encryption, without --plain");
	FILE *f = strcmp(from, "-") ? fopen(from, "re") : stdin;
	if (!f) {
		buf_addf(out, "--join ");
		text_show(out, bytes_of(from));
		return wrong(out, ": %s", strerror(errno));
	}
	/* On a terminal, one line is enough; who sits there should know what is waited for. */
	if (isatty(fileno(f)))
		fprintf(stderr, "tuttid: the invitation, as tutti invite has printed it there: ");
	size_t n = 0;
	for (int c; n < sizeof(text) && (c = getc(f)) != EOF && (c != '\n' || !n);)
		text[n++] = (char)c;
	if (f != stdin)
		fclose(f);
	bool ok = invitation_read((struct bytes){(uint8_t *)text, n}, &s->invitation, &problem);
	explicit_bzero(text, sizeof(text));
	if (!ok)
		wrong(out, "--join: %.*s", (int)problem.len, (const char *)problem.data);
	buf_release(&problem);
	return ok;
}

static bool is_id(const struct option_words *words)
{
	return words->n == 1 && !strcmp(words->text[0], "id");
}

static bool take_all(struct settings *s, const struct given *g, const struct option_words *words,
		     struct buf *out)
{
	static const char *standard_text[] = {"127.0.0.1:7075"};
	static const struct option_list standard = {standard_text, 1};
	if (!take_name(s, g, out) || !take_places(s, g, out))
		return false;
	if (is_id(words))
		return true;
	const char *directory = words->n ? words->text[0] : g->directory;
	if (!directory)
		return wrong(out, "which DIRECTORY?");
	if (words->n > 1) {
		text_show(out, bytes_of(words->text[1]));
		return wrong(out, ": one DIRECTORY at a time; start a tuttid for each");
	}
	if (!*directory)
		return wrong(out, "the DIRECTORY is empty");
	s->directory = xstrdup(directory);
	s->log_level = (enum log_level)g->log_level;
	s->plain = g->plain;
	s->trash_days = (unsigned)g->trash_days;
	s->rehash_days = (unsigned)g->rehash_days;
	s->tombstone_days = (unsigned)g->tombstone_days;
	if (!g->peer_entries)
		return wrong(out, "peer-entries: at least 1");
	s->peer_entries = (uint64_t)g->peer_entries;
	s->trash_percent = (unsigned)g->trash_percent;
	s->history_lines = (size_t)g->history_lines;
	return take_listen(s, g->listen.n ? &g->listen : &standard, out) &&
	       take_peers(s, &g->peers, out) &&
	       take_users(s, &g->local_clients, "local-client", false, out) &&
	       take_users(s, &g->local_viewers, "local-viewer", true, out) &&
	       take_invitation(s, g->join, out);
}

static void add_help(struct buf *out)
{
	buf_addf(out, "Usage: tuttid [OPTION...] DIRECTORY\n"
		      "       tuttid id [OPTION...]\n"
		      "Keeps DIRECTORY the same on several machines. Stays in the foreground.\n"
		      "id: prints the ID of the server with that state, and makes its key if needed.\n\n");
	options_help(&set, out);
	buf_addf(out, "\nSee tuttid(8); tutti(1) shows what it does.\n");
}

static const struct given defaults = {
	.log_level = LEVEL_INFO, .trash_days = 30, .trash_percent = 10, .history_lines = 1000000,
	.rehash_days = 30, .tombstone_days = 30, .peer_entries = 5000000,
};

/* The command line; and if it names a file, that first, and the command line on top of it. */
static bool read_options(int argc, char **argv, struct given *g, struct option_words *words,
			 struct buf *problem)
{
	if (!options_parse(&set, argc, argv, g, words, problem))
		return false;
	if (!g->config || g->help || g->version)
		return true;
	const char *config = g->config;
	options_release(&set, g, words);
	*g = defaults;
	return options_read_file(&set, config, g, words, problem) &&
	       options_parse(&set, argc, argv, g, words, problem);
}

/* A complaint that begins with "--name" begins with file and line, if the value is from there. */
static void name_the_place(const struct option_words *words, const char *config, struct buf *problem)
{
	struct buf text = {0};
	for (size_t i = 0; i < set.n; i++) {
		size_t len = strlen(set.options[i].name);
		if (!words->line[i] || problem->len < len + 3 || memcmp(problem->data, "--", 2) != 0 ||
		    memcmp(problem->data + 2, set.options[i].name, len) != 0 ||
		    !strchr(" :", problem->data[len + 2]))
			continue;
		option_place(&set, words, config, set.options[i].name, &text);
		buf_add(&text, problem->data + len + 2, problem->len - len - 2);
		buf_release(problem);
		*problem = text;
		return;
	}
}

static enum settings_result parse(struct settings *s, int argc, char **argv, bool again,
				  struct buf *out)
{
	struct given given = defaults;
	struct option_words words = OPTION_WORDS_NONE;
	struct buf problem = {0};
	enum settings_result result = SETTINGS_WRONG;
	*s = (struct settings){0};
	if (read_options(argc, argv, &given, &words, &problem)) {
		if (again)
			given.join = NULL; /* an invitation is for the start */
		result = given.help || given.version || given.check_config ? SETTINGS_SHOWN
			 : is_id(&words) ? SETTINGS_ID : SETTINGS_RUN;
		if (given.help)
			add_help(out);
		else if (given.version)
			buf_addf(out, "tuttid %s\n", PACKAGE_VERSION);
		else if (!take_all(s, &given, &words, &problem))
			result = SETTINGS_WRONG;
		else if (given.check_config)
			buf_addf(out, "all options are in order\n");
	}
	if (result == SETTINGS_WRONG) {
		name_the_place(&words, given.config, &problem);
		buf_addf(out, "%s%.*s%s\n", again ? "" : "tuttid: ", (int)problem.len,
			 (const char *)problem.data, again ? "" : "; see tuttid --help");
	}
	if (given.config)
		s->config = xstrdup(given.config);
	buf_release(&problem);
	options_release(&set, &given, &words);
	return result;
}

enum settings_result settings_parse(struct settings *s, int argc, char **argv, struct buf *out)
{
	return parse(s, argc, argv, false, out);
}

bool settings_look_up(struct settings *s, struct buf *problem)
{
	struct addresses found;
	size_t n = 0;
	struct settings_address *all = xcalloc(s->n_listen * LOOKUP_ADDRESSES_MAX, sizeof(*all));
	for (size_t i = 0; i < s->n_listen; i++) {
		const char *text = s->listen[i].text, *why = lookup_now(&s->listen[i].at, &found);
		for (size_t k = 0; !why && s->plain && k < found.n; k++)
			why = address_is_loopback(&found.at[k]) ? NULL : settings_only_loopback;
		if (why) {
			buf_addf(problem, "cannot listen on %s: %s", text, why);
			break;
		}
		for (size_t k = 0; k < found.n; k++)
			all[n++] = (struct settings_address){xstrdup(text), found.at[k], k > 0};
	}
	if (!problem->len && n > SETTINGS_ADDRESSES_MAX)
		wrong(problem, "cannot listen on more than %d addresses", SETTINGS_ADDRESSES_MAX);
	if (!problem->len) {
		struct settings_address *names = s->listen;
		size_t n_names = s->n_listen;
		s->listen = all;
		s->n_listen = n;
		all = names;
		n = n_names;
	}
	while (n)
		free(all[--n].text);
	free(all);
	return !problem->len;
}

/* The next address that was written, from the i-th on. */
static size_t written(const struct settings *s, size_t i)
{
	while (i < s->n_listen && s->listen[i].more)
		i++;
	return i;
}

static bool same_listen(const struct settings *a, const struct settings *b)
{
	size_t i = 0, k = 0;
	while (i < a->n_listen && k < b->n_listen &&
	       strcmp(a->listen[i].text, b->listen[k].text) == 0) {
		i = written(a, i + 1);
		k = written(b, k + 1);
	}
	return i == a->n_listen && k == b->n_listen;
}

static void differs(const char *name, bool same, struct buf *out)
{
	if (!same)
		buf_addf(out, "%s is another now: that takes effect at the next start\n", name);
}

int settings_again(struct settings *s, int argc, char **argv, struct settings *old, struct buf *out)
{
	struct settings fresh;
	*old = (struct settings){0};
	if (parse(&fresh, argc, argv, true, out) != SETTINGS_RUN) {
		settings_release(&fresh);
		return -EINVAL;
	}
	differs("directory", strcmp(s->directory, fresh.directory) == 0, out);
	differs("name", strcmp(s->name, fresh.name) == 0, out);
	differs("state", strcmp(s->state, fresh.state) == 0, out);
	differs("socket", strcmp(s->socket, fresh.socket) == 0, out);
	differs("listen", same_listen(s, &fresh), out);
	differs("plain", s->plain == fresh.plain, out);
	s->trash_days = fresh.trash_days;
	s->trash_percent = fresh.trash_percent;
	s->history_lines = fresh.history_lines;
	s->rehash_days = fresh.rehash_days;
	s->tombstone_days = fresh.tombstone_days;
	s->peer_entries = fresh.peer_entries;
	s->log_level = fresh.log_level;
	old->peers = s->peers;
	old->n_peers = s->n_peers;
	s->peers = fresh.peers;
	s->n_peers = fresh.n_peers;
	fresh.peers = NULL;
	fresh.n_peers = 0;
	struct settings_user *users = s->users;
	s->users = fresh.users;
	s->n_users = fresh.n_users;
	fresh.users = users;
	settings_release(&fresh);
	return 0;
}

void settings_release(struct settings *s)
{
	free(s->directory);
	free(s->name);
	free(s->state);
	free(s->socket);
	free(s->config);
	for (size_t i = 0; i < s->n_listen; i++)
		free(s->listen[i].text);
	for (size_t i = 0; i < s->n_peers; i++)
		free(s->peers[i].text);
	free(s->listen);
	free(s->peers);
	free(s->users);
	invitation_release(&s->invitation);
	*s = (struct settings){0};
}
