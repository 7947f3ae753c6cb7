/* Owns listeners, dials and links: every connection from its first byte until it is known for a
 * peer or a client, and again at its end. */
#include "config.h"
#include "net.h"

#include "alarms.h"
#include "conn.h"
#include "keyring.h"
#include "lookup.h"
#include "message.h"
#include "peer.h"
#include "secure.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	TEXT_MAX = 256,
	ACCEPT_BURST = 16,       /* connections taken in one turn */
	DIAL_TIMEOUT_S = 10,
	RETRY_MIN_S = 1,
	RETRY_MAX_S = 300,
	REFUSED_RETRY_S = 20,    /* a person can say otherwise at any moment */
	GOOD_SESSION_S = 10,     /* one that lasted so long begins the back-off anew */
	STRANGER_RETRY_S = 3,    /* while a person there is to say yes */
	FROM_USER = 16,          /* of another user at the local socket without a hello */
	FROM_HOST = 4,           /* strangers of one address at once, */
	FROM_GOOD_HOST = 16,     /* or of one where somebody trusted is, or is called; */
	FOR_GOOD_HOSTS = 8,      /* places that are kept for those */
	STRANGER_STAYS_S = 2,    /* at least, when others want its place */
	GOOD_HOSTS = 64,
};

struct net;

struct listener {
	ev_io io;
	struct net *net;
	struct address at; /* as it is bound, unless it is local */
	bool local;
	bool open;
};

enum dial_state {
	DIAL_WAITING,    /* for the next attempt, if one is planned */
	DIAL_CONNECTING, /* until the other side's hello was accepted */
	DIAL_CONNECTED,  /* by its own link, or that replica connected to us */
};

/* One address to connect to: configured, or known of a trusted key. */
struct dial {
	struct net *net;
	char *text;        /* HOST:PORT */
	struct address at; /* or a name */
	struct lookup *lookup;  /* what is its address? */
	struct addresses found_at; /* these are */
	size_t next;       /* of them, to be tried */
	bool has_key;      /* that is expected there: */
	struct key_id key;
	bool has_found;    /* what was there the last time: */
	struct key_id found;
	bool named;        /* in the settings */
	enum dial_state state;
	ev_io io;          /* waits for connect() */
	ev_timer timer;    /* the next attempt, or the end of this one */
	double retry_at;   /* loop time; 0: none planned */
	struct link *link;
	bool known;        /* somebody answered there once: */
	struct replica_id id;
	bool tried;        /* to the end, whatever it was */
	bool refused;      /* will not do until somebody changes something */
	double longest;    /* between two attempts, seconds */
	uint64_t tries;    /* since it was last connected */
	int64_t since_ns;
	char error[TEXT_MAX];
	char said[TEXT_MAX]; /* the last error that was logged */
	struct log_limit limit;
};

/* Whose address it is, as far as limits go: an IPv4 address, or the network part of one of IPv6. */
struct host {
	uint8_t b[9];
};

enum link_state { LINK_STRANGER, LINK_PEER, LINK_CLIENT, LINK_LEAVING };

/* One connection. */
struct link {
	struct net *net;
	struct link *prev, *next;
	struct conn *conn;
	enum link_state state;
	bool local;
	uid_t uid;           /* of who came to the local socket */
	bool held;           /* it is not read until it has taken its answers */
	struct host host;
	const struct tls *tls; /* NULL: plain */
	bool proven;         /* whose key the other side has: */
	struct key_id key;
	enum trust_role role;
	bool guest;          /* a stranger that may show an invitation */
	bool takes_nothing;  /* the other side trusts us as read-only */
	struct dial *dial;   /* that made it, or NULL */
	struct peer *peer;
	struct session *session;
	char address[128];
	char why[TEXT_MAX];  /* what the other side, or we, gave as the reason */
	bool why_refused;    /* and that trying again soon is no use */
	bool why_person;     /* and that a person there said so */
	bool why_duplicate;
	bool why_stranger;   /* it waits for a person there */
	int64_t since_ns;
	double since;
};

struct net {
	struct daemon *d;
	struct listener *listeners;
	size_t n_listeners;
	char *address;        /* of the first, as bound */
	char *socket;         /* path, once it is ours */
	struct dial **dials;
	size_t n_dials, cap_dials;
	struct host good[GOOD_HOSTS]; /* somebody trusted came from there, the last first */
	size_t n_good;
	struct link *links;
	struct link *peers[NET_PEERS_MAX];
	size_t n_links;
	size_t strangers[2];  /* of TCP, local */
	size_t clients;
	bool accepting;
	ev_timer breath;      /* accepting pauses when there are no descriptors */
	struct log_limit limit_accept, limit_stranger;
};

static void dial_plan(struct dial *dial, double seconds);
static double jitter(double seconds);
static void dial_soon(struct dial *dial, bool good);
static void dial_end(struct dial *dial, const char *error, bool refused);
static bool dial_next(struct dial *dial);
static bool dial_busy(const struct dial *dial);

/* ---- listeners ------------------------------------------------------------------------- */

static void listen_update(struct net *net)
{
	for (size_t i = 0; i < net->n_listeners; i++) {
		struct listener *l = &net->listeners[i];
		/* With TLS, each connection is judged when it comes. */
		bool full = net->strangers[l->local] >= NET_STRANGERS_MAX &&
			    (l->local || !keyring_tls(net->d->keyring));
		bool want = net->accepting && !ev_is_active(&net->breath) && !full;
		if (want)
			ev_io_start(net->d->loop, &l->io);
		else
			ev_io_stop(net->d->loop, &l->io);
	}
}

/* Who a new connection is of, as far as is known. */
struct came {
	bool local;
	uid_t uid;
	struct host host;
	enum trust_role role;
};
static void link_new(struct net *net, int fd, const struct came *from, struct dial *dial,
		     const char *address);
static void link_leave(struct link *l);
static void link_why(struct link *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static struct host host_of(const struct sockaddr_storage *sa)
{
	struct host h = {{sa->ss_family == AF_INET6}};
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (sa->ss_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		memcpy(h.b + 1, &in6.sin6_addr, 8);
	} else if (sa->ss_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memcpy(h.b + 1, &in.sin_addr, 4);
	}
	return h;
}

static bool host_eq(const struct host *a, const struct host *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool host_is_good(const struct net *net, const struct host *host)
{
	for (size_t i = 0; i < net->n_good; i++)
		if (host_eq(&net->good[i], host))
			return true;
	for (size_t i = 0; i < net->n_dials; i++) {
		const struct addresses *called = &net->dials[i]->found_at;
		for (size_t k = 0; k < called->n; k++) {
			struct host there = host_of(&called->at[k].sa);
			if (host_eq(&there, host))
				return true;
		}
	}
	return false;
}

static void host_was_good(struct net *net, const struct host *host)
{
	size_t at = 0;
	while (at < net->n_good && !host_eq(&net->good[at], host))
		at++;
	if (at == net->n_good && at < GOOD_HOSTS)
		net->n_good++;
	if (at == GOOD_HOSTS)
		at--;
	memmove(&net->good[1], &net->good[0], at * sizeof(net->good[0]));
	net->good[0] = *host;
}

/* A stranger that dallies makes room for another. */
static bool make_room(struct net *net, struct link *slow)
{
	if (!slow || ev_now(net->d->loop) - slow->since < STRANGER_STAYS_S)
		return false;
	link_why(slow, "it was too slow, and others wait");
	conn_close(slow->conn, slow->why);
	link_leave(slow);
	return true;
}

/* May one more stranger come from there? Strangers never take the places of those who are known, and who is
 * known may share its address with some that are not. */
static bool may_enter(struct net *net, const struct host *host)
{
	size_t same = 0, others = 0;
	struct link *oldest = NULL, *oldest_same = NULL, *oldest_other = NULL;
	bool good = host_is_good(net, host);
	for (struct link *l = net->links; l; l = l->next) {
		if (l->state != LINK_STRANGER || l->local || l->dial)
			continue;
		oldest = l; /* links stand with the newest first */
		if (host_eq(&l->host, host)) {
			same++;
			oldest_same = l;
		}
		if (!host_is_good(net, &l->host)) {
			others++;
			oldest_other = l;
		}
	}
	if (same >= (good ? FROM_GOOD_HOST : FROM_HOST))
		return make_room(net, oldest_same);
	if (good)
		return net->strangers[0] < NET_STRANGERS_MAX || make_room(net, oldest);
	return others < NET_STRANGERS_MAX - FOR_GOOD_HOSTS || make_room(net, oldest_other);
}

static bool is_owner(uid_t uid)
{
	return uid == geteuid() || uid == 0;
}

/* What a user of this machine may do, by the settings. */
static enum trust_role user_role(const struct net *net, uid_t uid)
{
	const struct settings *s = net->d->settings;
	if (is_owner(uid))
		return TRUST_CLIENT;
	for (size_t i = 0; i < s->n_users; i++)
		if (s->users[i].uid == uid)
			return s->users[i].views ? TRUST_VIEWER : TRUST_CLIENT;
	return TRUST_STRANGER;
}

/* Who is at the other end of the local socket? False: the kernel does not say. */
static bool user_at(int fd, uid_t *uid, struct buf *who)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	buf_addf(who, "user %ju, process %jd", (uintmax_t)cred.uid, (intmax_t)cred.pid);
	*uid = cred.uid;
	return true;
}

/* Other users take few of the places that are for the first words. */
static bool user_may_enter(const struct net *net, uid_t uid)
{
	size_t same = 0;
	for (const struct link *l = net->links; l; l = l->next)
		same += l->state == LINK_STRANGER && l->local && l->uid == uid;
	return is_owner(uid) || same < FROM_USER;
}

static void refuse_user(struct net *net, int fd, const char *who, const char *why)
{
	struct buf bye = {0};
	log_limited(&net->limit_stranger, LEVEL_WARNING, "refused on the local socket: %s: %s", who,
		    why);
	size_t mark = wire_begin_notification(&bye, message_name(MESSAGE_BYE));
	wire_map(&bye, 2);
	wire_put_text(&bye, "code", BYE_REFUSED);
	wire_put_text(&bye, "text", why);
	wire_finish(&bye, mark);
	(void)!send(fd, bye.data, bye.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_release(&bye);
	close(fd);
}

static void accept_user(struct net *net, int fd)
{
	struct buf who = {0};
	uid_t uid = 0;
	bool known = user_at(fd, &uid, &who);
	enum trust_role role = known ? user_role(net, uid) : TRUST_STRANGER;
	buf_add_char(&who, '\0');
	if (role == TRUST_STRANGER) {
		refuse_user(net, fd, (const char *)who.data, "this server belongs to another user");
	} else if (!user_may_enter(net, uid)) {
		refuse_user(net, fd, (const char *)who.data, "too many connections of this user");
	} else {
		link_new(net, fd, &(struct came){.local = true, .uid = uid, .role = role}, NULL,
			 (const char *)who.data);
	}
	buf_release(&who);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	struct listener *l = io->data;
	struct net *net = l->net;
	(void)loop, (void)events;
	for (int i = 0; i < ACCEPT_BURST && ev_is_active(&l->io); i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int fd = accept4(io->fd, (struct sockaddr *)&from, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				return;
			log_limited(&net->limit_accept, LEVEL_WARNING,
				    "cannot take a connection: %s; trying again in a second",
				    strerror(errno));
			ev_timer_set(&net->breath, 1., 0.);
			ev_timer_start(net->d->loop, &net->breath);
			listen_update(net);
			return;
		}
		if (l->local) {
			accept_user(net, fd);
			continue;
		}
		struct buf text = {0};
		address_format(&text, (struct sockaddr *)&from);
		buf_add_char(&text, '\0');
		struct came came = {.host = host_of(&from), .role = TRUST_STRANGER};
		if (keyring_tls(net->d->keyring) && !may_enter(net, &came.host)) {
			log_limited(&net->limit_stranger, LEVEL_WARNING,
				    "%s: too many connections of strangers", (const char *)text.data);
			close(fd);
		} else {
			link_new(net, fd, &came, NULL, (const char *)text.data);
		}
		buf_release(&text);
	}
}

static void on_breath(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	listen_update(w->data);
}

static void listener_add(struct net *net, int fd, bool local)
{
	struct listener *l = &net->listeners[net->n_listeners++];
	*l = (struct listener){.net = net, .local = local, .open = true};
	ev_io_init(&l->io, on_accept, fd, EV_READ);
	l->io.data = l;
}

static bool listen_tcp(struct net *net, const struct settings_address *at, struct buf *problem)
{
	int fd = socket(at->at.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;
	if (fd < 0)
		goto failed;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (at->at.sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (bind(fd, (const struct sockaddr *)&at->at.sa, at->at.sa_len) < 0 || listen(fd, 128) < 0)
		goto failed;
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
		goto failed;
	struct buf text = {0};
	address_format(&text, (struct sockaddr *)&bound);
	buf_add_char(&text, '\0');
	log_info("listening on %s", (const char *)text.data);
	if (!net->address)
		net->address = xstrdup((const char *)text.data);
	buf_release(&text);
	listener_add(net, fd, false);
	net->listeners[net->n_listeners - 1].at = (struct address){.sa = bound, .sa_len = len};
	return true;
failed:;
	int e = errno;
	buf_addf(problem, "cannot listen on %s: %s", at->text, strerror(e));
	if (e == EADDRINUSE)
		buf_addf(problem, "; another program uses that port: end it, or choose another "
				  "with --listen (port 0 picks a free one)");
	if (fd >= 0)
		close(fd);
	return false;
}

/* Makes the folders that lead to `path`; those that are new are ours alone. */
static int make_parents(const char *path)
{
	char *copy = xstrdup(path);
	int r = 0;
	for (char *p = strchr(copy + 1, '/'); p && r == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			r = -errno;
		*p = '/';
	}
	free(copy);
	return r;
}

/* Does a server answer there? */
static bool socket_lives(const struct sockaddr_un *at, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	/* EAGAIN: it has a queue of connections, so somebody listens. */
	bool lives = connect(fd, (const struct sockaddr *)at, len) == 0 || errno == EAGAIN;
	close(fd);
	return lives;
}

/* Others than its owner get to the socket if they are to be heard: who they are, the kernel says. */
static mode_t socket_mode(const struct net *net)
{
	return net->d->settings->n_users ? 0666 : 0600;
}

/* Other users cannot be heard where they cannot go. */
static void warn_of_closed_folders(const struct net *net, const char *path)
{
	char *copy = xstrdup(path);
	struct stat st;
	for (char *p = strrchr(copy, '/'); net->d->settings->n_users && p; p = strrchr(copy, '/')) {
		*p = '\0';
		if (lstat(*copy ? copy : "/", &st) < 0 || st.st_mode & S_IXOTH)
			continue;
		struct buf shown = {0};
		text_show(&shown, bytes_of(copy));
		log_warning("other users may be kept from the socket by the permissions of %.*s; "
			    "choose another place with --socket", (int)shown.len,
			    (const char *)shown.data);
		buf_release(&shown);
		break;
	}
	free(copy);
}

static bool listen_local(struct net *net, const char *path, struct buf *problem)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int fd = -1;
	if (n >= sizeof(at.sun_path)) {
		buf_addf(problem,
			 "cannot listen on %s: longer than the %zu bytes that the path of a "
			 "socket may have; choose another with --socket",
			 path, sizeof(at.sun_path) - 1);
		return false;
	}
	memcpy(at.sun_path, path, n);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	int r = make_parents(path);
	if (r < 0)
		goto failed;
	struct stat st;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			buf_addf(problem,
				 "cannot listen on %s: there is something else of that name; "
				 "move it away, or choose another with --socket",
				 path);
			return false;
		}
		if (socket_lives(&at, len)) {
			buf_addf(problem,
				 "cannot listen on %s: another server of that name runs; end "
				 "it, or choose another name with --name or --socket",
				 path);
			return false;
		}
		if (unlink(path) < 0 && errno != ENOENT) {
			r = -errno;
			goto failed;
		}
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0777 & ~socket_mode(net));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 128) < 0)
		r = -errno;
	umask(before);
	if (r < 0)
		goto failed;
	net->socket = xstrdup(path);
	warn_of_closed_folders(net, path);
	listener_add(net, fd, true);
	return true;
failed:
	if (fd >= 0)
		close(fd);
	buf_addf(problem, "cannot listen on %s: %s; choose another with --socket", path,
		 strerror(-r));
	return false;
}

/* ---- links ----------------------------------------------------------------------------- */

static void link_why(struct link *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
}

/* The other side is told when its key has a role that may not do all. */
static void hello_send(struct net *net, struct conn *c, enum trust_role to)
{
	const char *limit = to == TRUST_READER ? "read-only" : to == TRUST_VIEWER ? "viewer" : NULL;
	struct daemon *d = net->d;
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, "hello");
	wire_map(&b, 6);
	wire_put_uint(&b, "proto", PROTOCOL_VERSION);
	wire_put_text(&b, "role", "peer");
	wire_put_text(&b, "name", d->settings->name);
	wire_put_fixed(&b, "id", d->id.b, sizeof(d->id.b));
	wire_put_uint(&b, "seq", engine_seq(d->engine));
	wire_key(&b, "features");
	wire_array(&b, limit != NULL);
	if (limit)
		wire_text(&b, limit);
	bool fits = wire_finish(&b, mark);
	assert(fits);
	conn_send(c, &b);
	buf_release(&b);
}

struct host_text {
	char text[64];
};

/* The address without its port. */
static struct host_text host_text(const struct link *l)
{
	struct host_text h;
	snprintf(h.text, sizeof(h.text), "%.*s", (int)sizeof(h.text) - 1, l->address);
	char *colon = strrchr(h.text, ':');
	if (colon)
		*colon = '\0';
	return h;
}

static bool is_peer_role(enum trust_role role)
{
	return role == TRUST_PEER || role == TRUST_READER;
}

/* Its key is trusted: words are exchanged from now on. */
static void let_in(struct link *l)
{
	l->role = trust_role(keyring_trust(l->net->d->keyring), &l->key);
	if (!l->dial)
		host_was_good(l->net, &l->host);
	hello_send(l->net, l->conn, l->role);
}

/* We found a key at an address that we were given without an ID: a person is to say whether it is the
 * right one. Nothing is said, and nothing that it says is heard. */
static void found_stranger(struct link *l)
{
	struct net *net = l->net;
	char id[KEY_ID_TEXT + 1];
	key_id_write(id, &l->key);
	bool refused = l->role == TRUST_REFUSED;
	if (refused)
		link_why(l, "the key there was refused with tutti untrust: %s", id);
	else if (l->role == TRUST_STRANGER)
		link_why(l, "the key there is not trusted yet; if it is the right one: tutti trust %s",
			 id);
	else
		link_why(l, "the key there is trusted as %s, not as peer: %s",
			 trust_role_word(l->role), id);
	l->why_refused = true;
	conn_close(l->conn, l->why);
	link_leave(l);
	daemon_touch(net->d);
}

static void join_send(struct link *l, const uint8_t proof[KEYRING_PROOF_SIZE])
{
	struct buf b = {0};
	size_t mark = wire_begin_notification(&b, message_name(MESSAGE_JOIN));
	wire_map(&b, 2);
	wire_put_fixed(&b, "proof", proof, KEYRING_PROOF_SIZE);
	wire_put_text(&b, "name", l->net->d->settings->name);
	wire_finish(&b, mark);
	conn_send(l->conn, &b);
	buf_release(&b);
}

static void show_out(struct link *l);
static void link_bye(struct link *l, const char *code, const char *text);

static void on_link_ready(struct conn *c, const struct key_id *peer, void *ctx)
{
	struct link *l = ctx;
	struct keyring *keys = l->net->d->keyring;
	uint8_t proof[KEYRING_PROOF_SIZE];
	(void)c;
	if (l->state != LINK_STRANGER)
		return;
	l->proven = true;
	l->key = *peer;
	l->role = trust_role(keyring_trust(keys), peer);
	if (key_id_eq(peer, keyring_own(keys))) {
		l->why_refused = true;
		link_bye(l, BYE_SELF, "this is this server itself");
	} else if (l->dial) {
		l->dial->found = *peer;
		l->dial->has_found = true;
		if (!is_peer_role(l->role)) {
			found_stranger(l);
			return;
		}
		if (keyring_proof(keys, peer, l->tls, proof))
			join_send(l, proof);
		let_in(l);
	} else if (l->role == TRUST_REFUSED) {
		link_bye(l, BYE_REFUSED, "this key was refused");
	} else if (l->role != TRUST_STRANGER) {
		let_in(l);
	} else if (keyring_inviting(keys)) {
		l->guest = true;
	} else {
		show_out(l);
	}
}

/* Leaves what it was: nobody but net.c knows the connection any more. */
static void link_leave(struct link *l)
{
	struct net *net = l->net;
	enum link_state was = l->state;
	l->state = LINK_LEAVING;
	switch (was) {
	case LINK_STRANGER:
		net->strangers[l->local]--;
		listen_update(net);
		break;
	case LINK_CLIENT:
		net->clients--;
		session_free(l->session);
		l->session = NULL;
		break;
	case LINK_PEER: {
		struct peer *p = l->peer;
		struct replica_id id = *peer_id(p);
		if (peer_problem(p))
			link_why(l, "%s", peer_problem(p));
		if (peer_problem(p) || conn_bad(l->conn))
			alarms_raise(net->d->alarms, &id, true, "%s (%s) was left: %s", peer_name(p),
				     host_text(l).text, l->why);
		l->peer = NULL;
		net->peers[peer_number(p)] = NULL;
		log_info("%s (%s) is gone: %s", peer_name(p), l->address,
			 l->why[0] ? l->why : "the connection ended");
		daemon_event(net->d, "peer-down", (struct bytes){0}, bytes_of(peer_name(p)),
			     bytes_of(l->why[0] ? l->why : "the connection ended"));
		peer_free(p);
		/* Addresses at which that replica answered have something to do again. */
		for (size_t i = 0; i < net->n_dials; i++) {
			struct dial *dial = net->dials[i];
			if (dial != l->dial && !dial->link && dial->known &&
			    dial->state == DIAL_CONNECTED && replica_id_eq(&dial->id, &id))
				dial_soon(dial, true);
		}
		break;
	}
	case LINK_LEAVING:
		return;
	}
	if (l->dial) {
		struct dial *dial = l->dial;
		l->dial = NULL;
		dial->link = NULL;
		dial->longest = l->why_person ? REFUSED_RETRY_S : RETRY_MAX_S;
		bool good = was == LINK_PEER && ev_now(net->d->loop) - l->since >= GOOD_SESSION_S;
		if (l->why_duplicate || (was == LINK_PEER && !l->why_refused)) {
			snprintf(dial->error, sizeof(dial->error), "%s",
				 l->why_duplicate ? "" : l->why);
			dial_soon(dial, good || l->why_duplicate);
		} else if (l->proven || l->why_refused || !dial_next(dial)) {
			dial_end(dial, l->why[0] ? l->why : "the connection ended", l->why_refused);
			if (l->why_stranger)
				dial_plan(dial, jitter(STRANGER_RETRY_S));
		}
	}
}

static void link_bye(struct link *l, const char *code, const char *text)
{
	link_why(l, "%s", text);
	conn_bye(l->conn, code, text);
	link_leave(l);
}

static void on_link_close(struct conn *c, const char *reason, void *ctx)
{
	struct link *l = ctx;
	struct net *net = l->net;
	(void)c;
	if (!l->why[0])
		link_why(l, "%s", reason);
	if (l->state == LINK_STRANGER && !l->dial)
		log_limited(&net->limit_stranger, l->local ? LEVEL_DEBUG : LEVEL_WARNING, "%s: %s",
			    l->address, l->why); /* there, it was a look who is at home */
	link_leave(l);
	if (l->prev)
		l->prev->next = l->next;
	else
		net->links = l->next;
	if (l->next)
		l->next->prev = l->prev;
	net->n_links--;
	free(l);
	daemon_touch(net->d);
}

/* The other side says why it goes. */
static void on_bye(struct link *l, const struct wire_frame *f)
{
	struct bytes code, text;
	message_error_parts(f->params, &code, &text);
	struct buf shown = {0};
	text_show(&shown, text.len ? text : code);
	if (l->state == LINK_PEER || l->dial)
		link_why(l, "it says: %.*s", (int)(shown.len < 200 ? shown.len : 200),
			 (const char *)shown.data);
	buf_release(&shown);
	l->why_duplicate = bytes_eq(code, bytes_of(BYE_DUPLICATE));
	l->why_refused =
		bytes_eq(code, bytes_of(BYE_SELF)) || bytes_eq(code, bytes_of(BYE_VERSION));
	l->why_stranger = bytes_eq(code, bytes_of(BYE_STRANGER));
	l->why_person = bytes_eq(code, bytes_of(BYE_REFUSED));
	conn_close(l->conn, l->why[0] ? l->why : "it said bye");
	link_leave(l);
}

static struct link *peer_by_id(const struct net *net, const struct replica_id *id)
{
	for (size_t i = 0; i < NET_PEERS_MAX; i++)
		if (net->peers[i] && replica_id_eq(peer_id(net->peers[i]->peer), id))
			return net->peers[i];
	return NULL;
}

/* Of two connections with one replica both ends keep the same: the one that the replica with the
 * smaller id dialed. If one side dialed both, it keeps its first, and the other side the last (the
 * first may be dead without anybody knowing). */
static bool new_one_wins(const struct net *net, const struct link *old, const struct link *new,
			 const struct replica_id *id)
{
	bool old_ours = old->dial != NULL, new_ours = new->dial != NULL;
	if (old_ours != new_ours)
		return new_ours == (replica_id_compare(&net->d->id, id) < 0);
	return !new_ours;
}

static void dial_connected(struct dial *dial, const struct replica_id *id)
{
	dial->known = true;
	dial->id = *id;
	dial->state = DIAL_CONNECTED;
	dial->tried = true;
	dial->refused = false;
	dial->error[0] = dial->said[0] = '\0';
	dial->retry_at = 0;
	dial->since_ns = daemon_wall_ns();
	ev_timer_stop(dial->net->d->loop, &dial->timer);
}

/* Is there a place for one more client? Others than the owner never take all of them. */
static bool client_has_place(const struct link *l)
{
	const struct net *net = l->net;
	size_t same = 0, others = 0;
	if (l->local && is_owner(l->uid))
		return net->clients < NET_CLIENTS_MAX;
	for (const struct link *k = net->links; k; k = k->next) {
		if (k->state != LINK_CLIENT || (k->local && is_owner(k->uid)))
			continue;
		others++;
		same += k->local == l->local && k->proven == l->proven && k->uid == l->uid &&
			(!l->proven || key_id_eq(&k->key, &l->key));
	}
	return others < NET_CLIENTS_MAX / 2 && same < NET_CLIENTS_EACH &&
	       net->clients < NET_CLIENTS_MAX;
}

static void hello_of_client(struct link *l)
{
	struct net *net = l->net;
	if (!client_has_place(l)) {
		link_bye(l, BYE_REFUSED, "too many clients are connected to this server");
		return;
	}
	net->strangers[l->local]--;
	net->clients++;
	l->state = LINK_CLIENT;
	conn_greeted(l->conn);
	l->session = session_new(net->d->sessions, l->conn,
				 l->role == TRUST_VIEWER ? PARTY_VIEWER : PARTY_CLIENT);
	listen_update(net);
}

/* A replica belongs to the key under which it was seen first. */
static bool replica_is_its_own(struct link *l, const struct replica_id *id)
{
	struct keyring *keys = l->net->d->keyring;
	struct key_id other;
	bool changed;
	char text[KEY_ID_TEXT + 1];
	if (!l->proven)
		return true;
	bool ok = trust_bind(keyring_trust(keys), &l->key, id, &other, &changed);
	if (changed)
		keyring_changed(keys);
	if (ok)
		return true;
	key_id_write(text, &other);
	alarms_raise(l->net->d->alarms, id, false,
		     "%s says that it is a replica that belongs to another key, %s; if that machine has "
		     "a new key now, untrust the old one", host_text(l).text, text);
	daemon_event(l->net->d, "stranger", (struct bytes){0}, bytes_of(l->address),
		     bytes_of("it says that it is a replica of another key"));
	l->why_refused = true;
	link_bye(l, BYE_REFUSED, "this replica is known under another key");
	return false;
}

/* Who has a key that is trusted as a peer's keeps its name, whoever else comes under it. The key that is
 * coming may come with another index. */
static void guard_names(struct net *net, const struct key_id *coming)
{
	const struct trust *trust = keyring_trust(net->d->keyring);
	struct engine *e = net->d->engine;
	for (size_t i = 1; i < engine_replicas(e); i++) {
		const struct key_id *of = trust_key_of(trust, &engine_ids(e)[i]);
		engine_guard(e, (rep_t)i, of && is_peer_role(trust_role(trust, of)) &&
					  !(coming && key_id_eq(of, coming)));
	}
}

static void hello_of_peer(struct link *l, const struct wire_frame *f)
{
	struct net *net = l->net;
	struct daemon *d = net->d;
	struct replica_id id;
	struct bytes name;
	uint64_t seq;
	wire_get_fixed(f->params, "id", id.b, sizeof(id.b));
	wire_get_str(f->params, "name", &name);
	wire_get_uint(f->params, "seq", UINT64_MAX, &seq);
	if (replica_id_eq(&id, &d->id)) {
		if (l->proven) { /* it has another key, or it would not have come so far */
			char key[KEY_ID_TEXT + 1];
			key_id_write(key, &l->key);
			alarms_raise(d->alarms, &id, false,
				     "%s says that it is this replica, but has another key, %s: its "
				     "state directory is a copy of this server's, or it lies",
				     host_text(l).text, key);
		}
		l->why_refused = true;
		link_bye(l, BYE_SELF, "this is this server itself");
		return;
	}
	const char *problem = settings_name_problem(name);
	if (problem[0]) {
		l->why_refused = true;
		link_bye(l, BYE_REFUSED, "the name of the other server cannot be taken");
		return;
	}
	if (!replica_is_its_own(l, &id))
		return;
	if (l->dial) { /* it answered, whatever comes of it */
		l->dial->known = true;
		l->dial->id = id;
	}
	struct link *old = peer_by_id(net, &id);
	if (old && !new_one_wins(net, old, l, &id)) {
		l->why_duplicate = true;
		link_bye(l, BYE_DUPLICATE, "connected already");
		return;
	}
	if (old) {
		old->why_duplicate = true;
		link_bye(old, BYE_DUPLICATE, "another connection takes over");
	}
	unsigned number = 0;
	while (number < NET_PEERS_MAX && net->peers[number])
		number++;
	char *named = xmalloc(name.len + 1);
	memcpy(named, name.p, name.len);
	named[name.len] = '\0';
	const char *address = l->dial ? l->dial->text : l->address;
	guard_names(net, l->proven ? &l->key : NULL);
	int r = number == NET_PEERS_MAX ? -EMFILE
		: engine_peer_up(daemon_feed(d), number, &id, named, address, seq);
	guard_names(net, NULL);
	if (r < 0) {
		link_bye(l, BYE_REFUSED, r == -EMFILE ? "too many servers are connected"
						       : "connected already");
		free(named);
		return;
	}
	net->strangers[l->local]--;
	l->state = LINK_PEER;
	l->since = ev_now(d->loop);
	l->since_ns = daemon_wall_ns();
	net->peers[number] = l;
	conn_greeted(l->conn);
	bool reader = l->proven && l->role == TRUST_READER;
	if (reader)
		engine_peer_reader(d->engine, number);
	l->peer = peer_new(d, l->conn, number, &id, named, address, reader);
	l->takes_nothing = message_hello_has(f->params, "read-only");
	if (l->takes_nothing)
		engine_peer_deaf(d->engine, number);
	if (l->dial && l->proven)
		keyring_joined(d->keyring, &l->key);
	if (l->dial)
		dial_connected(l->dial, &id);
	for (size_t i = 0; i < net->n_dials; i++) {
		struct dial *dial = net->dials[i];
		if (!dial_busy(dial) && dial->known &&
		    replica_id_eq(&dial->id, &id))
			dial_connected(dial, &id);
	}
	log_info("connected with %s (%s)", named, address);
	daemon_event(d, "peer-up", (struct bytes){0}, bytes_of(named), bytes_of(address));
	free(named);
	listen_update(net);
}

/* A stranger is told why it does not get in, and that is all. */
static void show_out(struct link *l)
{
	char id[KEY_ID_TEXT + 1], text[TEXT_MAX];
	key_id_write(id, &l->key);
	keyring_asked(l->net->d->keyring, &l->key, host_text(l).text);
	snprintf(text, sizeof(text), "this key is not trusted here yet; who runs this server says "
				     "yes with: tutti trust %s", id);
	link_bye(l, BYE_STRANGER, text);
}

/* The first words of somebody whose key is not known, while an invitation is open. */
static void on_guest(struct link *l, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	uint8_t proof[KEYRING_PROOF_SIZE];
	struct bytes name;
	if (f->kind == WIRE_RESPONSE ||
	    message_check(f, PARTY_GUEST, PHASE_STRANGER, why) != MESSAGE_JOIN) {
		show_out(l);
		return;
	}
	wire_get_fixed(f->params, "proof", proof, sizeof(proof));
	wire_get_str(f->params, "name", &name);
	char *text = xasprintf("%.*s", (int)name.len, (const char *)name.p);
	bool good = !settings_name_problem(name)[0] &&
		    keyring_take_invitation(l->net->d->keyring, &l->key, l->tls, proof, text);
	free(text);
	l->guest = false;
	if (good)
		let_in(l);
	else
		link_bye(l, BYE_REFUSED, "this invitation is not good (any more); each is good once, "
					 "for ten minutes");
}

/* Who may speak there, as far as is known. */
static unsigned parties_of(const struct link *l)
{
	if (!l->proven && !l->local)
		return l->dial ? PARTY_PEER : PARTY_PEER | PARTY_CLIENT;
	switch (l->role) {
	case TRUST_PEER:
	case TRUST_READER:
		return PARTY_PEER;
	case TRUST_CLIENT:
		return PARTY_CLIENT;
	case TRUST_VIEWER:
		return PARTY_VIEWER;
	case TRUST_REFUSED:
	case TRUST_STRANGER:
		break;
	}
	return 0;
}

/* Who calls learns it from the end of the call; who is called tells its people as well. */
static void other_version_calls(struct link *l, const struct wire_frame *f, const char *text)
{
	struct net *net = l->net;
	struct engine *e = net->d->engine;
	struct replica_id id;
	struct bytes role = {0};
	wire_get_str(f->params, "role", &role);
	if (l->local || !(parties_of(l) & PARTY_PEER) || bytes_eq(role, bytes_of("client")))
		return;
	bool says = wire_get_fixed(f->params, "id", id.b, sizeof(id.b));
	const struct key_id *of = says ? trust_key_of(keyring_trust(net->d->keyring), &id) : NULL;
	bool its_own = says && (!l->proven || (of && key_id_eq(of, &l->key)));
	for (size_t i = 1; i < engine_replicas(e) && its_own; i++) {
		if (!replica_id_eq(&engine_ids(e)[i], &id))
			continue;
		alarms_raise(net->d->alarms, &id, true, "%s (%s): %s", engine_replica(e, (rep_t)i).name,
			     host_text(l).text, text);
		return;
	}
	log_limited(&net->limit_stranger, LEVEL_WARNING, "%s: %s", l->address, text);
}

static void on_other_version(struct link *l, const struct wire_frame *f, uint64_t proto)
{
	char text[TEXT_MAX];
	snprintf(text, sizeof(text),
		 "this server speaks version %u of the protocol, the other "
		 "side version %" PRIu64 "; use the same version of tutti on both",
		 PROTOCOL_VERSION, proto);
	if (!l->dial)
		other_version_calls(l, f, text);
	l->why_refused = true;
	link_bye(l, BYE_VERSION, text);
}

static void on_stranger(struct link *l, const struct wire_frame *f)
{
	char why[MESSAGE_TEXT_MAX];
	unsigned from = parties_of(l);
	if (l->guest) {
		on_guest(l, f);
		return;
	}
	int m = f->kind == WIRE_RESPONSE ? -1 : message_check(f, from, PHASE_STRANGER, why);
	uint64_t proto;
	/* The version comes first: another one may have another hello. */
	if (f->kind == WIRE_NOTIFICATION && bytes_eq(f->method, bytes_of("hello")) &&
	    wire_get_uint(f->params, "proto", UINT32_MAX, &proto) && proto != PROTOCOL_VERSION) {
		on_other_version(l, f, proto);
	} else if (m == MESSAGE_BYE) {
		on_bye(l, f);
	} else if (m == MESSAGE_JOIN) {
		; /* it was let in already, and did not hear of it */
	} else if (m == MESSAGE_HELLO) {
		struct bytes role;
		wire_get_str(f->params, "role", &role);
		if (bytes_eq(role, bytes_of("client")))
			hello_of_client(l);
		else
			hello_of_peer(l, f);
	} else {
		if (f->kind == WIRE_RESPONSE)
			snprintf(why, sizeof(why), "a response before hello");
		log_limited(&l->net->limit_stranger, LEVEL_WARNING, "%s: %s", l->address, why);
		link_bye(l, BYE_PROTOCOL, why);
	}
}

static void on_link_frame(struct conn *c, const struct wire_frame *f, void *ctx)
{
	struct link *l = ctx;
	char why[MESSAGE_TEXT_MAX];
	unsigned from = l->peer ? PARTY_PEER : PARTY_CLIENT;
	(void)c;
	if (l->state == LINK_STRANGER) {
		on_stranger(l, f);
		return;
	}
	if (l->state == LINK_LEAVING)
		return;
	if (f->kind == WIRE_NOTIFICATION && bytes_eq(f->method, bytes_of("bye")) &&
	    message_check(f, from, PHASE_GREETED, why) == MESSAGE_BYE)
		on_bye(l, f);
	else if (l->peer)
		peer_frame(l->peer, f);
	else
		session_frame(l->session, f);
	/* A client that asks and asks takes its answers first. Peers wait for each other in their own
	 * ways: were neither read, nothing would move. */
	if (l->state == LINK_CLIENT && conn_full(c) && !l->held) {
		l->held = true;
		conn_pause(c);
	}
}

static void on_link_drained(struct conn *c, void *ctx)
{
	struct link *l = ctx;
	if (l->held) {
		l->held = false;
		conn_resume(c);
	}
	daemon_touch(l->net->d); /* this turn's end sends on */
}

static void link_new(struct net *net, int fd, const struct came *from, struct dial *dial,
		     const char *address)
{
	static const struct conn_callbacks callbacks = {
		.on_frame = on_link_frame, .on_close = on_link_close, .on_drained = on_link_drained,
	};
	struct link *l = xcalloc(1, sizeof(*l));
	*l = (struct link){.net = net, .local = from->local, .uid = from->uid, .host = from->host,
			   .role = from->role, .dial = dial, .next = net->links};
	snprintf(l->address, sizeof(l->address), "%s", address);
	if (l->next)
		l->next->prev = l;
	net->links = l;
	net->n_links++;
	net->strangers[l->local]++;
	l->since = ev_now(net->d->loop);
	l->conn = conn_new(net->d->loop, fd, &callbacks, l);
	if (dial)
		dial->link = l;
	struct tls_context *tls = l->local ? NULL : keyring_tls(net->d->keyring);
	if (tls)
		l->tls = secure_start(l->conn, tls, dial != NULL,
				      dial && dial->has_key ? &dial->key : NULL, on_link_ready, l);
	else
		hello_send(net, l->conn, l->role);
	listen_update(net);
}

/* ---- dialing --------------------------------------------------------------------------- */

static void on_dial_timer(struct ev_loop *loop, ev_timer *w, int events);

static void dial_plan(struct dial *dial, double seconds)
{
	struct ev_loop *loop = dial->net->d->loop;
	ev_timer_stop(loop, &dial->timer);
	dial->state = DIAL_WAITING;
	dial->retry_at = ev_now(loop) + seconds;
	ev_timer_init(&dial->timer, on_dial_timer, seconds, 0.);
	dial->timer.data = dial;
	if (dial->net->accepting)
		ev_timer_start(loop, &dial->timer);
	daemon_touch(dial->net->d);
}

/* Between half of it and all. */
static double jitter(double seconds)
{
	return seconds * (.5 + .5 * (double)(random() % 1000) / 1000.);
}

/* The connection that was there is lost; `good`: it was one. */
static void dial_soon(struct dial *dial, bool good)
{
	dial->since_ns = daemon_wall_ns();
	dial->tried = true;
	if (good)
		dial->tries = 0;
	double delay = RETRY_MIN_S;
	for (uint64_t i = 0; i < dial->tries && delay < dial->longest; i++)
		delay *= 2;
	dial->tries++;
	dial_plan(dial, jitter(delay < dial->longest ? delay : dial->longest));
}

/* An attempt came to nothing. */
static void dial_end(struct dial *dial, const char *error, bool refused)
{
	snprintf(dial->error, sizeof(dial->error), "%s", error);
	dial->refused = refused;
	dial_soon(dial, false);
	if (refused)
		dial_plan(dial, jitter(REFUSED_RETRY_S));
	if (strcmp(dial->said, dial->error) != 0) {
		snprintf(dial->said, sizeof(dial->said), "%s", dial->error);
		log_limited(&dial->limit, LEVEL_WARNING, "%s %s: %s; trying again",
			    refused ? "refused:" : "no connection with", dial->text, error);
	} else {
		log_debug("no connection with %s: %s", dial->text, error);
	}
}

static void dial_connect_failed(struct dial *dial, int error)
{
	struct buf text = {0};
	buf_addf(&text, "%s", error == ECONNREFUSED ? "no server listens there" : strerror(error));
	if (address_is_name(&dial->at)) {
		buf_addf(&text, " (");
		address_format(&text, (const struct sockaddr *)&dial->found_at.at[dial->next - 1].sa);
		buf_addf(&text, ")");
	}
	buf_add_char(&text, '\0');
	if (!dial_next(dial))
		dial_end(dial, (const char *)text.data, false);
	buf_release(&text);
}

/* The kernel may connect a socket to itself when nobody listens on a port of its own choice. */
static bool is_own_echo(int fd)
{
	struct sockaddr_storage here = {0}, there = {0};
	socklen_t a = sizeof(here), b = sizeof(there);
	return getsockname(fd, (struct sockaddr *)&here, &a) == 0 &&
	       getpeername(fd, (struct sockaddr *)&there, &b) == 0 && a == b &&
	       memcmp(&here, &there, a) == 0;
}

static void on_dial_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct dial *dial = w->data;
	int fd = w->fd, error = 0;
	socklen_t len = sizeof(error);
	(void)events;
	ev_io_stop(loop, w);
	ev_timer_stop(loop, &dial->timer);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (!error && is_own_echo(fd))
		error = ECONNREFUSED;
	if (error) {
		close(fd);
		dial_connect_failed(dial, error);
		return;
	}
	link_new(dial->net, fd, &(struct came){.role = TRUST_STRANGER}, dial, dial->text);
}

/* Is the replica behind that address connected, or being dialed, by another way? */
static bool dial_needless(struct dial *dial)
{
	struct net *net = dial->net;
	if (!dial->known)
		return false;
	if (peer_by_id(net, &dial->id)) {
		dial_connected(dial, &dial->id);
		return true;
	}
	for (size_t i = 0; i < net->n_dials; i++) {
		struct dial *other = net->dials[i];
		if (other != dial && other->known && replica_id_eq(&other->id, &dial->id) &&
		    other->state == DIAL_CONNECTING) {
			dial_plan(dial, jitter(RETRY_MIN_S));
			return true;
		}
	}
	return false;
}

/* This attempt, or this part of it, may take so long. */
static void dial_limit(struct dial *dial)
{
	ev_timer_stop(dial->net->d->loop, &dial->timer);
	ev_timer_init(&dial->timer, on_dial_timer, DIAL_TIMEOUT_S, 0.);
	dial->timer.data = dial;
	ev_timer_start(dial->net->d->loop, &dial->timer);
}

/* Tries the next address of those that were found. False: there is none. */
static bool dial_next(struct dial *dial)
{
	if (dial->next >= dial->found_at.n || !dial->net->accepting)
		return false;
	const struct address *at = &dial->found_at.at[dial->next++];
	int fd = socket(at->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	dial->state = DIAL_CONNECTING;
	if (fd < 0 || (connect(fd, (const struct sockaddr *)&at->sa, at->sa_len) < 0 &&
		       errno != EINPROGRESS)) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		dial_connect_failed(dial, e);
		return true;
	}
	ev_io_init(&dial->io, on_dial_io, fd, EV_WRITE);
	dial->io.data = dial;
	ev_io_start(dial->net->d->loop, &dial->io);
	dial_limit(dial);
	return true;
}

static void on_looked_up(void *ctx, const struct addresses *found, const char *problem)
{
	struct dial *dial = ctx;
	dial->lookup = NULL;
	ev_timer_stop(dial->net->d->loop, &dial->timer);
	if (found)
		dial->found_at = *found;
	for (size_t i = 0; found && !keyring_tls(dial->net->d->keyring) && i < found->n; i++)
		if (!address_is_loopback(&found->at[i]))
			problem = settings_only_loopback;
	if (problem)
		dial_end(dial, problem, problem == settings_only_loopback);
	else if (!dial_needless(dial))
		dial_next(dial);
}

static void dial_start(struct dial *dial)
{
	struct ev_loop *loop = dial->net->d->loop;
	const struct keyring *keys = dial->net->d->keyring;
	bool self = dial->has_key && key_id_eq(&dial->key, keyring_own(keys));
	if (dial->has_key && !is_peer_role(trust_role(keyring_trust(keys), &dial->key))) {
		/* Until somebody says something else: net_key_changed(). */
		dial->state = DIAL_WAITING;
		dial->tried = dial->refused = true;
		dial->retry_at = 0;
		snprintf(dial->error, sizeof(dial->error), "%s",
			 self ? "this is this server itself" : "its key is not trusted as peer");
		return;
	}
	if (dial_needless(dial))
		return;
	dial->state = DIAL_CONNECTING;
	dial->retry_at = 0;
	dial->longest = RETRY_MAX_S;
	dial->since_ns = daemon_wall_ns();
	daemon_touch(dial->net->d);
	dial->next = 0;
	if (address_is_name(&dial->at)) {
		dial->lookup = lookup_start(loop, &dial->at, on_looked_up, dial);
		dial_limit(dial);
	} else {
		dial_next(dial);
	}
}

static void on_dial_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct dial *dial = w->data;
	(void)events;
	if (dial->lookup) {
		lookup_cancel(dial->lookup);
		dial->lookup = NULL;
		dial_end(dial, "no answer from the name service", false);
	} else if (ev_is_active(&dial->io)) {
		ev_io_stop(loop, &dial->io);
		close(dial->io.fd);
		dial_connect_failed(dial, ETIMEDOUT);
	} else {
		dial_start(dial);
	}
}

static struct dial *dial_add(struct net *net, const char *text, const struct address *at,
			     const struct key_id *key)
{
	struct dial *dial = xcalloc(1, sizeof(*dial));
	GROW(net->dials, net->cap_dials, net->n_dials + 1);
	net->dials[net->n_dials++] = dial;
	dial->net = net;
	dial->text = xstrdup(text);
	dial->at = *at;
	if (!address_is_name(at))
		dial->found_at = (struct addresses){{*at}, 1};
	dial->longest = RETRY_MAX_S;
	dial->has_key = key != NULL;
	if (key)
		dial->key = *key;
	dial->since_ns = daemon_wall_ns();
	return dial;
}

static void dial_named(struct net *net, const struct endpoint *to)
{
	if (to->has_address)
		dial_add(net, to->text, &to->at, to->has_id ? &to->id : NULL)->named = true;
}

/* A trusted server is called at all addresses that are known of it. */
static void dial_known(struct net *net, const struct trust_key *key)
{
	struct buf ignored = {0};
	struct address at;
	for (size_t i = 0; is_peer_role(key->role) && i < key->n_addresses; i++) {
		bool there = !address_parse(key->addresses[i], ADDRESS_CONNECT, &at, &ignored);
		for (size_t k = 0; !there && k < net->n_dials; k++)
			there = address_eq(&net->dials[k]->at, &at);
		if (there)
			continue;
		struct dial *dial = dial_add(net, key->addresses[i], &at, &key->id);
		if (net->accepting)
			dial_start(dial);
	}
	buf_release(&ignored);
}

static bool is_named(const struct net *net, const struct dial *dial)
{
	const struct settings *s = net->d->settings;
	bool named = false;
	for (size_t i = 0; !named && i < s->n_peers; i++) {
		const struct endpoint *to = &s->peers[i].to;
		named = to->has_address && address_eq(&to->at, &dial->at) &&
			to->has_id == dial->has_key &&
			(!to->has_id || key_id_eq(&to->id, &dial->key));
	}
	return named;
}

static bool dial_busy(const struct dial *dial)
{
	return dial->link || dial->lookup || ev_is_active(&dial->io);
}

static void dial_halt(struct dial *dial)
{
	struct ev_loop *loop = dial->net->d->loop;
	ev_timer_stop(loop, &dial->timer);
	lookup_cancel(dial->lookup);
	dial->lookup = NULL;
	if (ev_is_active(&dial->io)) {
		ev_io_stop(loop, &dial->io);
		close(dial->io.fd);
	}
}

static void dial_free(struct dial *dial)
{
	dial_halt(dial);
	free(dial->text);
	free(dial);
}

/* Who may do something else at the local socket now is heard anew, or no more. */
static void users_again(struct net *net)
{
	if (net->socket && chmod(net->socket, socket_mode(net)) < 0)
		log_warning("the permissions of the socket cannot be changed: %s", strerror(errno));
	if (net->socket)
		warn_of_closed_folders(net, net->socket);
	for (struct link *l = net->links; l; l = l->next)
		if (l->local && l->state != LINK_LEAVING && user_role(net, l->uid) != l->role)
			link_bye(l, BYE_REFUSED, "you may do something else here now than before");
}

void net_again(struct net *net)
{
	const struct settings *s = net->d->settings;
	users_again(net);
	for (size_t i = net->n_dials; i-- > 0;) {
		struct dial *dial = net->dials[i];
		if (!dial->named || is_named(net, dial))
			continue;
		if (dial->link) {
			struct link *l = dial->link;
			l->dial = NULL; /* it is not called again */
			link_why(l, "it is no peer of ours any more");
			link_bye(l, BYE_REFUSED, "this server does not name the other as its peer any more");
		}
		dial_free(dial);
		net->dials[i] = net->dials[--net->n_dials];
	}
	for (size_t i = 0; i < s->n_peers; i++) {
		const struct endpoint *to = &s->peers[i].to;
		bool there = false;
		for (size_t k = 0; to->has_address && !there && k < net->n_dials; k++)
			there = net->dials[k]->named && address_eq(&net->dials[k]->at, &to->at);
		if (there || !to->has_address)
			continue;
		dial_named(net, to);
		dial_start(net->dials[net->n_dials - 1]);
	}
	daemon_touch(net->d);
}

void net_key_changed(struct net *net, const struct key_id *id)
{
	const struct trust_key *key = trust_find(keyring_trust(net->d->keyring), id);
	guard_names(net, NULL);
	enum trust_role role = trust_role(keyring_trust(net->d->keyring), id);
	for (struct link *l = net->links; l; l = l->next) {
		if (l->state == LINK_LEAVING || !l->proven || !key_id_eq(&l->key, id) ||
		    l->role == role)
			continue;
		l->why_refused = !is_peer_role(role);
		link_bye(l, BYE_REFUSED, role == TRUST_REFUSED ? "this key is not trusted any more"
							       : "this key has another role now");
	}
	for (size_t i = 0; i < net->n_dials; i++) {
		struct dial *dial = net->dials[i];
		bool meant = dial->has_key ? key_id_eq(&dial->key, id)
					   : dial->has_found && key_id_eq(&dial->found, id);
		if (!meant || dial_busy(dial) || !net->accepting ||
		    dial->state == DIAL_CONNECTED)
			continue;
		dial->tries = 0;
		dial_plan(dial, 0.);
	}
	if (key)
		dial_known(net, key);
}

bool net_found(const struct net *net, size_t i, const struct key_id **found, const char **address)
{
	if (i >= net->n_dials)
		return false;
	*found = net->dials[i]->has_found ? &net->dials[i]->found : NULL;
	*address = net->dials[i]->text;
	return true;
}

/* The first addresses of this machine that others may reach: what listeners that take all are known
 * by. Asked once in a process: later it may not ask the kernel any more. */
static struct address outside[2]; /* IPv4 and IPv6; sa_len 0: none known */

static void look_outside(void)
{
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr && i->ifa_flags & IFF_UP ? i->ifa_addr->sa_family : 0;
		struct address a = {.sa_len = family == AF_INET ? sizeof(struct sockaddr_in)
								: sizeof(struct sockaddr_in6)};
		struct address *to = &outside[family == AF_INET6];
		if ((family != AF_INET && family != AF_INET6) || to->sa_len)
			continue;
		struct sockaddr_in6 in6;
		memcpy(&a.sa, i->ifa_addr, a.sa_len);
		memcpy(&in6, &a.sa, sizeof(in6));
		if (!address_is_loopback(&a) &&
		    !(family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr)))
			*to = a;
	}
	freeifaddrs(all);
}

char *net_outside_address(const struct net *net, struct buf *problem)
{
	for (size_t i = 0; i < net->n_listeners; i++) {
		const struct listener *l = &net->listeners[i];
		struct address a = {.sa_len = sizeof(a.sa)};
		if (l->local || getsockname(l->io.fd, (struct sockaddr *)&a.sa, &a.sa_len) < 0 ||
		    address_is_loopback(&a))
			continue;
		/* A name may stay good when the address changes. */
		const char *written = net->d->settings->listen[i].text;
		struct buf ignored = {0};
		struct address named;
		bool is_name = address_parse(written, ADDRESS_CONNECT, &named, &ignored) &&
			       address_is_name(&named);
		buf_release(&ignored);
		if (is_name)
			return xstrdup(written);
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		memcpy(&in, &a.sa, sizeof(in));
		memcpy(&in6, &a.sa, sizeof(in6));
		bool any = a.sa.ss_family == AF_INET ? in.sin_addr.s_addr == INADDR_ANY
						     : IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
		in_port_t port = in.sin_port; /* at the same place for IPv6 */
		if (any)
			a = outside[a.sa.ss_family == AF_INET6];
		if (!a.sa_len)
			continue;
		memcpy((uint8_t *)&a.sa + offsetof(struct sockaddr_in, sin_port), &port,
		       sizeof(port));
		struct buf text = {0};
		address_format(&text, (const struct sockaddr *)&a.sa);
		buf_add_char(&text, '\0');
		return (char *)text.data;
	}
	buf_addf(problem, "this server listens on loopback only, where no other machine can come: "
			  "start it with --listen 0.0.0.0:%d, or say the address at which it is "
			  "reached", SETTINGS_PORT);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------ */

struct net *net_new(struct daemon *d, struct buf *problem)
{
	const struct settings *s = d->settings;
	struct net *net = xcalloc(1, sizeof(*net));
	net->d = d;
	net->listeners = xcalloc(s->n_listen + 1, sizeof(*net->listeners));
	ev_timer_init(&net->breath, on_breath, 1., 0.);
	net->breath.data = net;
	for (size_t i = 0; i < s->n_listen; i++)
		if (!listen_tcp(net, &s->listen[i], problem))
			goto failed;
	if (!listen_local(net, s->socket, problem))
		goto failed;
	look_outside();
	for (size_t i = 0; i < s->n_peers; i++)
		dial_named(net, &s->peers[i].to);
	const struct trust_key *key;
	for (size_t i = 0; (key = trust_at(keyring_trust(d->keyring), i)); i++)
		dial_known(net, key);
	return net;
failed:
	net_free(net);
	return NULL;
}

void net_start(struct net *net)
{
	net->accepting = true;
	guard_names(net, NULL);
	listen_update(net);
	for (size_t i = 0; i < net->n_dials; i++)
		dial_start(net->dials[i]);
}

static void close_listeners(struct net *net)
{
	net->accepting = false;
	listen_update(net);
	ev_timer_stop(net->d->loop, &net->breath);
	for (size_t i = 0; i < net->n_listeners; i++) {
		if (net->listeners[i].open)
			close(net->listeners[i].io.fd);
		net->listeners[i].open = false;
	}
	net->n_listeners = 0;
	if (net->socket)
		unlink(net->socket);
	free(net->socket);
	net->socket = NULL;
}

void net_stop(struct net *net)
{
	close_listeners(net);
	for (size_t i = 0; i < net->n_dials; i++)
		dial_halt(net->dials[i]);
	for (struct link *l = net->links; l; l = l->next)
		if (l->state != LINK_LEAVING)
			link_bye(l, BYE_STOPPING, "the server is being stopped");
}

bool net_quiet(const struct net *net)
{
	return !net->n_links;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	close_listeners(net);
	while (net->links) {
		struct link *l = net->links;
		conn_forget(l->conn);
		l->dial = NULL;
		link_leave(l);
		net->links = l->next;
		free(l);
	}
	for (size_t i = 0; i < net->n_dials; i++)
		dial_free(net->dials[i]);
	free(net->dials);
	free(net->listeners);
	free(net->address);
	free(net);
}

const char *net_address(const struct net *net)
{
	return net->address;
}

const struct address *net_bound(const struct net *net, size_t i)
{
	assert(i < net->n_listeners && !net->listeners[i].local);
	return &net->listeners[i].at;
}

struct peer *net_peer(const struct net *net, unsigned number)
{
	return number < NET_PEERS_MAX && net->peers[number] ? net->peers[number]->peer : NULL;
}

void net_peers_turn(struct net *net)
{
	for (size_t i = 0; i < NET_PEERS_MAX; i++)
		if (net->peers[i])
			peer_turn(net->peers[i]->peer);
}

static bool key_met(const struct net *net, const struct key_id *key)
{
	const struct trust *trust = keyring_trust(net->d->keyring);
	for (size_t i = 1; i < engine_replicas(net->d->engine); i++) {
		struct replica_info r = engine_replica(net->d->engine, (rep_t)i);
		const struct key_id *of = r.member ? trust_key_of(trust, r.id) : NULL;
		if (of && key_id_eq(of, key))
			return true;
	}
	return false;
}

bool net_all_met(const struct net *net)
{
	const struct keyring *keys = net->d->keyring;
	const struct key_id *own = keyring_tls(keys) ? keyring_own(keys) : NULL;
	const struct trust_key *key;
	for (size_t i = 0; own && (key = trust_at(keyring_trust(keys), i)); i++)
		if (is_peer_role(key->role) && !key_id_eq(&key->id, own) && !key_met(net, &key->id))
			return false;
	for (size_t i = 0; i < net->n_dials; i++) {
		const struct dial *dial = net->dials[i];
		bool self = own && dial->has_found && key_id_eq(&dial->found, own);
		if (!(own && dial->has_key) && !dial->known && !self)
			return false;
	}
	return true;
}

const char *net_untried(const struct net *net)
{
	for (size_t i = 0; i < net->n_dials; i++)
		if (!net->dials[i]->tried)
			return net->dials[i]->text;
	return NULL;
}

/* ---- who is there ---------------------------------------------------------------------- */

static void contact_link(const struct link *l, struct net_contact *out)
{
	*out = (struct net_contact){
		.address = l->dial ? l->dial->text : l->address,
		.name = peer_name(l->peer),
		.id = peer_id(l->peer),
		.state = "connected",
		.error = "",
		.since_ns = l->since_ns,
		.in = conn_bytes_in(l->conn),
		.out = conn_bytes_out(l->conn),
		.dialed = l->dial != NULL,
		.key = l->proven ? &l->key : NULL,
		.takes_nothing = l->takes_nothing,
	};
}

static void contact_dial(const struct dial *dial, struct net_contact *out)
{
	const struct link *l =
		dial->state == DIAL_CONNECTED ? peer_by_id(dial->net, &dial->id) : NULL;
	*out = (struct net_contact){.error = ""};
	if (l) {
		contact_link(l, out);
	} else {
		double left = dial->retry_at - ev_now(dial->net->d->loop);
		out->name = "";
		out->id = dial->known ? &dial->id : NULL;
		out->state = dial->state == DIAL_CONNECTING ? "connecting"
			     : dial->refused ? "refused" : "waiting";
		out->error = dial->error;
		out->since_ns = dial->since_ns;
		out->retry_ms = dial->retry_at && left > 0 ? (uint64_t)(left * 1000) + 1 : 0;
		out->tries = dial->tries;
		out->dialed = true;
		out->key = dial->has_key ? &dial->key : dial->has_found ? &dial->found : NULL;
	}
	out->address = dial->text;
	out->configured = true;
}

/* Peers that came by themselves and answer at none of our addresses. */
static bool only_came(const struct net *net, const struct link *l)
{
	if (l->state != LINK_PEER || l->dial)
		return false;
	for (size_t i = 0; i < net->n_dials; i++)
		if (net->dials[i]->known && replica_id_eq(&net->dials[i]->id, peer_id(l->peer)))
			return false;
	return true;
}

bool net_contact(const struct net *net, size_t i, struct net_contact *out)
{
	if (i < net->n_dials) {
		contact_dial(net->dials[i], out);
		return true;
	}
	i -= net->n_dials;
	for (size_t n = 0; n < NET_PEERS_MAX; n++) {
		if (!net->peers[n] || !only_came(net, net->peers[n]))
			continue;
		if (i-- == 0) {
			contact_link(net->peers[n], out);
			return true;
		}
	}
	return false;
}

bool net_contact_of(const struct net *net, const struct replica_id *id, struct net_contact *out)
{
	for (size_t i = 0; net_contact(net, i, out); i++)
		if (out->id && replica_id_eq(out->id, id))
			return true;
	return false;
}
