/*
 * Owns a peer that is none: listens on loopback, prints its port, and says the same to everybody
 * who connects, whatever they say.
 *	odd_peer silent          nothing
 *	odd_peer garbage         what a web server might say
 *	odd_peer long            the length of a frame that is too long
 *	odd_peer version         hello in version 99 of the protocol
 *	odd_peer cut             half a hello, then the end
 */
#include "config.h"
#include "message.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void hello(struct buf *b, uint64_t version)
{
	uint8_t id[16] = {1, 2, 3};
	size_t mark = wire_begin_notification(b, "hello");
	wire_map(b, 5);
	wire_put_uint(b, "proto", version);
	wire_put_text(b, "role", "peer");
	wire_put_text(b, "name", "odd");
	wire_put_fixed(b, "id", id, sizeof(id));
	wire_put_uint(b, "seq", 0);
	wire_finish(b, mark);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	struct buf words = {0};
	if (strcmp(what, "garbage") == 0)
		buf_addf(&words, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
	else if (strcmp(what, "long") == 0)
		buf_add(&words, "\x7f\xff\xff\xff", 4);
	else if (strcmp(what, "version") == 0)
		hello(&words, 99);
	else if (strcmp(what, "cut") == 0)
		hello(&words, PROTOCOL_VERSION);
	else if (strcmp(what, "silent") != 0)
		return 2;
	bool cut = strcmp(what, "cut") == 0;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return 1;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while (true) {
		int c = accept(fd, NULL, NULL);
		if (c < 0)
			return 1;
		if (words.len)
			(void)!write(c, words.data, cut ? words.len / 2 : words.len);
		char ignored[4096];
		while (!cut && read(c, ignored, sizeof(ignored)) > 0)
			;
		close(c);
	}
}
