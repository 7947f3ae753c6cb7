/* Network addresses as people write them: "127.0.0.1:7075", "[::1]:7075", "nas.lan:7075". A host is an IP
 * address or a name. Nothing is looked up here, so nothing blocks: lookup.h turns names into addresses. */
#ifndef TUTTI_ADDRESS_H
#define TUTTI_ADDRESS_H

#include "key_id.h"

#include <sys/socket.h>

enum { ADDRESS_NAME_MAX = 253 };

struct address {
	struct sockaddr_storage sa;
	socklen_t sa_len; /* 0: a name, which has yet to be looked up: */
	char name[ADDRESS_NAME_MAX + 1];
	uint16_t name_port;
};

enum address_use { ADDRESS_LISTEN, ADDRESS_CONNECT }; /* port 0 only for listening */

/* Reads HOST:PORT. True, or false with the reason in words appended to `problem` (the text given
 * is in it, made safe to show). `localhost` is 127.0.0.1; other names are letters, digits, '-', '_' and
 * dots, and are not looked up. */
bool address_parse(const char *text, enum address_use use, struct address *out,
		   struct buf *problem);

/* "127.0.0.1:7075", "[::1]:7075"; "?" for other families. Of any sockaddr, e.g. of accept(). */
void address_format(struct buf *out, const struct sockaddr *sa);

/* "ID@HOST:PORT", "HOST:PORT", or "ID" alone: whose key is expected there, and where that is. */
struct endpoint {
	bool has_id, has_address;
	struct key_id id;
	const char *text; /* the address, in what was read */
	struct address at;
};
/* As address_parse(), for connecting. */
bool endpoint_parse(const char *text, struct endpoint *out, struct buf *problem);

bool address_is_name(const struct address *a);
/* 127.0.0.0/8 or ::1: nobody outside the machine hears or says anything. False for names. */
bool address_is_loopback(const struct address *a);
uint16_t address_port(const struct address *a);
/* The same address and port, or the same name and port; not whether a name stands for an address. */
bool address_eq(const struct address *a, const struct address *b);

#endif
