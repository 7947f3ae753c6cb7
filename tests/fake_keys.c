/* Owns a made-up server's answers about keys. */
#include "config.h"
#include "fake_keys.h"

#include <stdio.h>

static bool is(struct bytes b, const char *word)
{
	return bytes_eq(b, bytes_of(word));
}

void fake_keys_sample(struct fake_keys *k)
{
	k->list[0] = (struct fake_key){FAKE_KEY_PEER, "peer", "beta", "10.0.0.7:7420", 0, 0};
	k->list[1] = (struct fake_key){FAKE_KEY_ASKING, "pending", "", "10.0.0.9", 1795354620, 4};
	k->n = 2;
}

uint64_t fake_keys_asking(const struct fake_keys *k)
{
	uint64_t n = 0;
	for (size_t i = 0; i < k->n; i++)
		n += is(bytes_of("pending"), k->list[i].role);
	return n;
}

void fake_keys_pack(const struct fake_keys *k, struct buf *out)
{
	wire_array(out, k->n);
	for (size_t i = 0; i < k->n; i++) {
		const struct fake_key *key = &k->list[i];
		wire_map(out, 6);
		wire_put_text(out, "key", key->key);
		wire_put_text(out, "role", key->role);
		wire_put_text(out, "name", key->name);
		wire_key(out, "addresses");
		wire_array(out, 1);
		wire_text(out, key->address);
		wire_put_int(out, "since", key->since_s * 1000000000);
		wire_put_uint(out, "tries", key->tries);
	}
}

static const char *role_of(struct bytes word)
{
	static const char *const roles[] = {"peer", "read-only", "client", "viewer"};
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (is(word, roles[i]))
			return roles[i];
	return "peer";
}

static const char *decide(struct fake_keys *k, struct bytes key, const char *role, struct buf *b)
{
	for (size_t i = 0; i < k->n; i++) {
		if (!is(key, k->list[i].key))
			continue;
		k->list[i].role = role;
		wire_map(b, 3);
		wire_put_str(b, "key", key);
		wire_put_text(b, "role", role);
		wire_put_text(b, "name", k->list[i].name);
		return NULL;
	}
	return "this is no ID";
}

bool fake_keys_call(struct fake_keys *k, struct bytes method, const msgpack_object *params,
		    struct buf *result, const char **error)
{
	struct bytes key, role;
	bool trust = is(method, "trust"), untrust = is(method, "untrust");
	if (!trust && !untrust && !is(method, "invite"))
		return false;
	*error = k->refuse;
	if (k->refuse)
		return true;
	wire_get_str(params, "key", &key);
	wire_get_str(params, "role", &role);
	k->said++;
	if (trust || untrust) {
		snprintf(k->last, sizeof(k->last), "%s %.*s%s%s", trust ? "trust" : "untrust",
			 (int)key.len, (const char *)key.p, trust ? " " : "",
			 trust ? role_of(role) : "");
		*error = decide(k, key, trust ? role_of(role) : "refused", result);
		return true;
	}
	snprintf(k->last, sizeof(k->last), "invite %s", role_of(role));
	wire_map(result, 2);
	wire_put_text(result, "invitation", k->invitation ? k->invitation :
		      "10.0.0.1:7420#" FAKE_KEY_PEER "#ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	wire_put_uint(result, "seconds", 600);
	return true;
}
