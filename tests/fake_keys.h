/* The part of a fake server that knows keys: who asks, who is trusted, and what was said of them. */
#ifndef TUTTI_FAKE_KEYS_H
#define TUTTI_FAKE_KEYS_H

#include "wire.h"

enum { FAKE_KEYS_MAX = 8 };

struct fake_key {
	const char *key, *role, *name, *address;
	int64_t since_s;
	uint64_t tries;
};

/* Zero: no keys. */
struct fake_keys {
	struct fake_key list[FAKE_KEYS_MAX];
	size_t n;
	const char *refuse;  /* every word about keys, for this reason; NULL: none */
	uint64_t said;       /* words so far */
	char last[128];      /* "trust KEY ROLE", "untrust KEY", "invite ROLE" */
	const char *invitation; /* that is given; NULL: a usual one */
};

/* Two keys that could be real ones, and one that asks; a test may change them. */
#define FAKE_KEY_ASKING \
	"TVKPJOQ-YD3Q4RM-AAAAAAA-BBBBBBB-CCCCCCC-DDDDDDD-EEEEEEE-FFFFFFF-GGGGGGG"
#define FAKE_KEY_PEER \
	"N4XKQ7A-HHHHHHH-IIIIIII-JJJJJJJ-KKKKKKK-LLLLLLL-MMMMMMM-OOOOOOO-PPPPPPP"
void fake_keys_sample(struct fake_keys *k);

uint64_t fake_keys_asking(const struct fake_keys *k);
void fake_keys_pack(const struct fake_keys *k, struct buf *out);
/* Answers one of these requests; false if it is another. *error: NULL, or what is wrong. */
bool fake_keys_call(struct fake_keys *k, struct bytes method, const msgpack_object *params,
		    struct buf *result, const char **error);

#endif
