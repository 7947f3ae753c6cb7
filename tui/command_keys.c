/* Owns the commands about keys: trust, untrust, invite, and the keys that peers lists. */
#include "config.h"
#include "commands.h"

#include "json.h"
#include "text.h"
#include "wire.h"

#include <stdio.h>
#include <unistd.h>

/* --- peers */

static void print_trusted(struct buf *out, const msgpack_object *key)
{
	struct bytes role, name, text;
	const msgpack_object *addresses = wire_get(key, "addresses");
	wire_get_str(key, "role", &role);
	wire_get_str(key, "name", &name);
	bool pending = bytes_eq(role, bytes_of("pending"));
	print_padded(out, role, 10);
	buf_addf(out, "  ");
	print_padded(out, name.len ? name : bytes_of("-"), 12);
	buf_addf(out, "  ");
	print_key(out, key, "key");
	for (size_t i = 0; i < wire_count(addresses); i++) {
		wire_as_str(wire_at(addresses, i), &text);
		buf_addf(out, "%s", i ? ", " : pending ? "  at " : "  ");
		text_show(out, text);
	}
	buf_add_char(out, '\n');
}

static void print_trusted_json(struct buf *out, const msgpack_object *key)
{
	struct json w;
	struct bytes text;
	int64_t since;
	uint64_t tries;
	const msgpack_object *addresses = wire_get(key, "addresses");
	json_init(&w, out);
	json_object(&w, NULL);
	static const char *const texts[] = {"key", "role"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		wire_get_str(key, texts[i], &text);
		json_string(&w, texts[i], text);
	}
	wire_get_str(key, "name", &text);
	json_path(&w, "name", text);
	json_array(&w, "addresses");
	for (size_t i = 0; i < wire_count(addresses); i++) {
		wire_as_str(wire_at(addresses, i), &text);
		json_string(&w, NULL, text);
	}
	json_array_end(&w);
	wire_get_int(key, "since", &since);
	json_seconds(&w, "since", since);
	wire_get_uint(key, "tries", UINT64_MAX, &tries);
	json_uint(&w, "tries", tries);
	json_object_end(&w);
	json_line_end(&w);
}

void print_keys(struct buf *out, const msgpack_object *keys, bool json)
{
	size_t pending = 0;
	if (!json && wire_count(keys))
		buf_addf(out, "\nRole        Name          Key\n");
	for (size_t i = 0; i < wire_count(keys); i++) {
		struct bytes role;
		(json ? print_trusted_json : print_trusted)(out, wire_at(keys, i));
		wire_get_str(wire_at(keys, i), "role", &role);
		pending += bytes_eq(role, bytes_of("pending"));
	}
	if (!json && pending)
		buf_addf(out, "Pending keys wait for you: compare the key with what its server says, "
			      "then tutti trust KEY, or tutti untrust KEY.\n");
}

/* --- trust, untrust */

static void take_decision(void *ctx, const msgpack_object *result)
{
	struct console *s = ctx;
	struct bytes role, name;
	wire_get_str(result, "role", &role);
	wire_get_str(result, "name", &name);
	if (bytes_eq(role, bytes_of("refused"))) {
		buf_addf(&s->out, "Refused from now on: ");
	} else {
		buf_addf(&s->out, "Trusted as ");
		text_show(&s->out, role);
		buf_addf(&s->out, ": ");
	}
	print_key(&s->out, result, "key");
	if (name.len) {
		buf_addf(&s->out, " (");
		text_show(&s->out, name);
		buf_add_char(&s->out, ')');
	}
	buf_add_char(&s->out, '\n');
}

static int decide(struct console *s, const char *method)
{
	const struct arguments *a = s->arguments;
	struct buf params = {0};
	bool trust = !strcmp(method, "trust");
	if (!a->path) {
		complain("which ID? tutti peers lists those that wait");
		return EXIT_USAGE;
	}
	wire_map(&params, 1u + (trust && a->role) + (trust && a->name != NULL) +
				 (trust && a->address != NULL));
	wire_put_text(&params, "key", a->path);
	if (trust && a->role)
		wire_put_text(&params, "role", key_roles[a->role]);
	if (trust && a->name)
		wire_put_text(&params, "name", a->name);
	if (trust && a->address)
		wire_put_text(&params, "address", a->address);
	int status = console_ask(s, method, &params, take_decision, s);
	buf_release(&params);
	return status ? status : console_end(s);
}

int command_trust(struct console *s)
{
	return decide(s, "trust");
}

int command_untrust(struct console *s)
{
	return decide(s, "untrust");
}

/* --- invite */

static void take_invitation(void *ctx, const msgpack_object *result)
{
	struct console *s = ctx;
	uint64_t seconds;
	wire_get_uint(result, "seconds", UINT64_MAX, &seconds);
	print_key(&s->out, result, "invitation");
	buf_add_char(&s->out, '\n');
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "Good once, for %ju minutes. On the other machine, give it to:\n"
				"  tuttid --join - DIRECTORY\n", (uintmax_t)seconds / 60);
}

int command_invite(struct console *s)
{
	const struct arguments *a = s->arguments;
	struct buf params = {0};
	wire_map(&params, 0u + (a->role != 0) + (a->path != NULL));
	if (a->role)
		wire_put_text(&params, "role", key_roles[a->role]);
	if (a->path)
		wire_put_text(&params, "address", a->path);
	int status = console_ask(s, "invite", &params, take_invitation, s);
	buf_release(&params);
	return status ? status : console_end(s);
}
