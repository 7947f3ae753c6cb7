/* Owns reading and writing network addresses. */
#include "config.h"
#include "address.h"

#include "text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

enum { HOST_MAX = 255 };

/* 0 to 65535 in plain decimal, or -1. */
static int parse_port(const char *s)
{
	int port = 0;
	size_t n = strlen(s);
	if (!n || n > 5)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		port = port * 10 + (*s - '0');
	}
	return port <= 65535 ? port : -1;
}

/* Takes HOST:PORT or [HOST]:PORT apart. False: it has no such form. */
static bool split(const char *text, char host[HOST_MAX + 1], const char **port)
{
	const char *begin = text, *end = strrchr(text, ':');
	if (!end)
		return false;
	*port = end + 1;
	if (*text == '[') {
		begin = text + 1;
		if (end < begin + 1 || end[-1] != ']')
			return false;
		end--;
	} else if (memchr(text, ':', (size_t)(end - text))) {
		return false; /* which colon ends the host is anybody's guess */
	}
	size_t len = (size_t)(end - begin);
	if (!len || len > HOST_MAX)
		return false;
	memcpy(host, begin, len);
	host[len] = '\0';
	return true;
}

bool address_is_name(const struct address *a)
{
	return !a->sa_len;
}

bool address_is_loopback(const struct address *a)
{
	if (address_is_name(a))
		return false;
	if (a->sa.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, &a->sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	struct sockaddr_in in;
	memcpy(&in, &a->sa, sizeof(in));
	return ntohl(in.sin_addr.s_addr) >> 24 == 127;
}

/* Labels of 1 to 63 letters, digits, '-' and '_'; not all digits and dots, which somebody may mean for an
 * IP address. One dot at the end is a name from the root. */
static bool is_name(const char *host)
{
	size_t label = 0, n = strlen(host);
	bool letters = false;
	if (n > ADDRESS_NAME_MAX || host[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = host[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (c == '.' ? !label : ++label > 63)
			return false;
		if (c == '.')
			label = 0;
		else if (!letter && c != '-' && c != '_' && (c < '0' || c > '9'))
			return false;
		letters |= letter;
	}
	return letters;
}

static bool set_host(struct address *out, const char *host, int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
		memcpy(&out->sa, &in, sizeof(in));
		out->sa_len = sizeof(in);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		memcpy(&out->sa, &in6, sizeof(in6));
		out->sa_len = sizeof(in6);
		return true;
	}
	if (!is_name(host))
		return false;
	memcpy(out->name, host, strlen(host) + 1);
	out->name_port = (uint16_t)port;
	return true;
}

static bool refuse(struct buf *problem, const char *text, const char *why)
{
	text_show(problem, bytes_of(text));
	buf_addf(problem, ": %s", why);
	return false;
}

bool address_parse(const char *text, enum address_use use, struct address *out,
		   struct buf *problem)
{
	char host[HOST_MAX + 1];
	const char *port_text;
	if (!split(text, host, &port_text))
		return refuse(problem, text, "not an address: expected HOST:PORT or [IPV6]:PORT; "
			      "the standard port is 7075");
	int port = parse_port(port_text);
	if (port < 0 || (port == 0 && use != ADDRESS_LISTEN))
		return refuse(problem, text, use == ADDRESS_LISTEN
			      ? "the port must be a number from 0 to 65535"
			      : "the port must be a number from 1 to 65535");
	if (!set_host(out, host, port))
		return refuse(problem, text, "the host must be a name or an IP address");
	return true;
}

bool endpoint_parse(const char *text, struct endpoint *out, struct buf *problem)
{
	const char *at = strrchr(text, '@');
	*out = (struct endpoint){.has_id = at || !strpbrk(text, ":.[")};
	if (out->has_id) {
		struct buf why = {0};
		size_t len = at ? (size_t)(at - text) : strlen(text);
		bool ok = key_id_read((struct bytes){(const uint8_t *)text, len}, &out->id, &why);
		buf_add_char(&why, '\0');
		if (!ok)
			refuse(problem, text, (const char *)why.data);
		buf_release(&why);
		if (!ok)
			return false;
	}
	if (out->has_id && !at)
		return true;
	out->text = at ? at + 1 : text;
	out->has_address = true;
	return address_parse(out->text, ADDRESS_CONNECT, &out->at, problem);
}

void address_format(struct buf *out, const struct sockaddr *sa)
{
	char host[INET6_ADDRSTRLEN];
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
		buf_addf(out, "%s:%u", host, (unsigned)ntohs(in.sin_port));
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof(in6));
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
		buf_addf(out, "[%s]:%u", host, (unsigned)ntohs(in6.sin6_port));
	} else {
		buf_add_char(out, '?');
	}
}

uint16_t address_port(const struct address *a)
{
	if (address_is_name(a))
		return a->name_port;
	struct sockaddr_in in; /* the port stands at the same place for IPv6 */
	memcpy(&in, &a->sa, sizeof(in));
	return ntohs(in.sin_port);
}

bool address_eq(const struct address *a, const struct address *b)
{
	if (a->sa_len != b->sa_len)
		return false;
	if (address_is_name(a))
		return a->name_port == b->name_port && !strcasecmp(a->name, b->name);
	return !memcmp(&a->sa, &b->sa, a->sa_len);
}
