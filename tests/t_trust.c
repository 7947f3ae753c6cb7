/* Tests of the list of keys: what its file may be, that nothing else is trusted, that it is written whole or
 * not at all; who asks; and invitations. */
#include "config.h"
#include "trust.h"

#include "invitation.h"
#include "scratch.h"
#include "suite.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct trust *t;
static struct buf said;
static char *dir;

static void setup(void)
{
	t = trust_new();
	dir = scratch_new();
}

static void teardown(void)
{
	trust_free(t);
	buf_release(&said);
	scratch_remove(dir);
}

static struct key_id key(unsigned n)
{
	struct key_id id = {{(uint8_t)n, (uint8_t)(n >> 8), 7}};
	return id;
}

static const char *id_text(unsigned n)
{
	static char texts[4][KEY_ID_TEXT + 1];
	static unsigned next;
	struct key_id id = key(n);
	key_id_write(texts[++next % 4], &id);
	return texts[next % 4];
}

static const char *text_of(struct buf *b)
{
	buf_add_char(b, '\0');
	b->len--;
	return (const char *)b->data;
}

/* Reads `text` into a new list. */
static bool reads(struct bytes text)
{
	trust_free(t);
	t = trust_new();
	buf_clear(&said);
	bool ok = trust_read(t, text, &said);
	ck_assert_int_eq(ok, !said.len);
	struct buf shown = {0};
	text_show(&shown, (struct bytes){said.data, said.len});
	ck_assert_msg(shown.len == said.len, "not safe to show: %s", text_of(&said));
	buf_release(&shown);
	return ok;
}

static bool reads_text(const char *text)
{
	return reads(bytes_of(text));
}

static void write_list(void)
{
	struct buf text = {0};
	trust_text(t, &text);
	ck_assert_int_eq(trust_write(dir, (struct bytes){text.data, text.len}), 0);
	buf_release(&text);
}

/* A list with all there is: roles, names of every kind, addresses, replicas. */
static void fill(void)
{
	static const char *const names[] = {"nas", "", "-", "two words", "100%", "\xc3\xa4\xe2\x9c\x93", "#x"};
	bool changed;
	struct key_id other;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		struct key_id id = key(i);
		ck_assert(trust_put(t, &id, (enum trust_role)(i % TRUST_STRANGER), names[i],
				    i % 2 ? "nas.lan:7075" : NULL, false));
		struct replica_id r = {{(uint8_t)i, 0xff}};
		ck_assert(trust_bind(t, &id, &r, &other, &changed) && changed);
	}
	struct key_id id = key(1);
	ck_assert(trust_put(t, &id, TRUST_READER, NULL, "[::1]:7076", false));
}

START_TEST(what_is_written_is_read_again)
{
	struct buf one = {0}, two = {0};
	fill();
	struct key_id given = key(100), id = key(1);
	ck_assert(trust_put(t, &given, TRUST_PEER, NULL, NULL, true));
	trust_text(t, &one);
	write_list();
	ck_assert_uint_eq(stat_of(dir, "trust").st_mode & 07777, 0600);
	trust_free(t);
	t = trust_new();
	ck_assert_msg(trust_load(t, dir, &said), "%s", text_of(&said));
	trust_text(t, &two);
	ck_assert_str_eq(text_of(&one), text_of(&two));
	ck_assert_str_eq(trust_at(t, 2)->name, "-");
	ck_assert_int_eq(trust_role(t, &id), TRUST_READER);
	ck_assert_uint_eq(trust_find(t, &id)->n_addresses, 2);
	/* The command line's is not written. */
	ck_assert_int_eq(trust_role(t, &given), TRUST_STRANGER);
	buf_release(&one);
	buf_release(&two);
}
END_TEST

/* Whatever byte stands in the place of any other: the list is refused, or it is as well-formed, and no key
 * is in it that the file does not name in whole. */
START_TEST(every_byte_may_be_wrong)
{
	struct buf whole = {0}, again = {0}, twice = {0};
	fill();
	trust_text(t, &whole);
	size_t begin = (size_t)(strstr(text_of(&whole), "\npeer") - (const char *)whole.data);
	for (size_t at = begin; at < whole.len; at++) {
		uint8_t right = whole.data[at];
		for (unsigned wrong = (unsigned)at % 5; wrong < 256; wrong += 5) {
			whole.data[at] = (uint8_t)wrong;
			if (!reads((struct bytes){whole.data, whole.len}))
				continue;
			for (size_t i = 0; trust_at(t, i); i++) {
				unsigned n = trust_at(t, i)->id.b[0];
				struct key_id known = key(n);
				ck_assert_uint_lt(n, 7);
				ck_assert(key_id_eq(&trust_at(t, i)->id, &known));
			}
			buf_clear(&again);
			buf_clear(&twice);
			trust_text(t, &again);
			ck_assert(reads((struct bytes){again.data, again.len}));
			trust_text(t, &twice);
			ck_assert_str_eq(text_of(&again), text_of(&twice));
		}
		whole.data[at] = right;
	}
	buf_release(&whole);
	buf_release(&again);
	buf_release(&twice);
}
END_TEST

/* Cut anywhere but at the end of a line, it is refused. */
START_TEST(a_torn_file_is_refused)
{
	struct buf whole = {0};
	fill();
	trust_text(t, &whole);
	for (size_t n = 1; n <= whole.len; n++)
		ck_assert_int_eq(reads((struct bytes){whole.data, n}), whole.data[n - 1] == '\n');
	buf_release(&whole);
}
END_TEST

START_TEST(lines_that_will_not_do_say_why)
{
	char *const bad[][2] = {
		{xstrdup("nonsense\n"), ", line 1: a line begins with peer, read-only"},
		{xasprintf("\n# x\nPEER %s -\n", id_text(1)), ", line 3: a line begins with"},
		{xstrdup("peer nonsense\n"), "group 1 of the ID"},
		{xasprintf("peer %s\n", id_text(1)), "expected: role, ID, name"},
		{xasprintf("peer %s a%%2\n", id_text(1)), "not followed by two digits"},
		{xasprintf("peer %s a%%\n", id_text(1)), "not followed by two digits"},
		{xasprintf("peer %s a%%zz\n", id_text(1)), "not followed by two digits"},
		{xasprintf("peer %s a%%00b\n", id_text(1)), "cannot be a name"},
		{xasprintf("peer %s a%%1b[2J\n", id_text(1)), "cannot be a name"},
		{xasprintf("peer %s .hidden\n", id_text(1)), "cannot be a name"},
		{xasprintf("peer %s 123456789012345678901234567890123\n", id_text(1)), "cannot be a name"},
		{xasprintf("peer %s nas 10.0.0.1\n", id_text(1)), "not an address"},
		{xasprintf("peer %s nas 10.0.0.1:0\n", id_text(1)), "the port"},
		{xasprintf("peer %s nas 10.0.0.1:1\r\n", id_text(1)), "the port"},
		{xasprintf("peer %s nas a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1\n", id_text(1)), "too many addresses"},
		{xasprintf("peer %s -\nrefused %s -\n", id_text(1), id_text(1)), ", line 2: this ID stands in"},
		{xstrdup("replica 00\n"), "expected: replica, 32 digits"},
		{xasprintf("replica 000102030405060708090a0b0c0d0e0g %s\n", id_text(1)), "32 digits"},
		{xasprintf("replica 000102030405060708090a0b0c0d0e0f %s x\n", id_text(1)), "32 digits"},
		{xasprintf("replica 000102030405060708090a0b0c0d0e0f %s\n"
			   "replica 000102030405060708090a0b0c0d0e0f %s\n", id_text(1), id_text(2)),
		 ", line 2: a replica under two keys"},
		{xasprintf("peer %s nas", id_text(1)), ", line 1: the end of the line is missing"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!reads_text(bad[i][0]), "taken: %s", bad[i][0]);
		ck_assert_msg(strstr(text_of(&said), bad[i][1]), "%s: %s", bad[i][0], text_of(&said));
		free(bad[i][0]);
	}
	ck_assert(!reads((struct bytes){(const uint8_t *)"peer\0 x\n", 8}));
	ck_assert(reads_text(""));
	ck_assert(reads_text("\n\n# nothing\n \t \n"));
}
END_TEST

START_TEST(there_is_a_limit_to_everything)
{
	struct buf text = {0};
	struct key_id id, other;
	bool changed;
	for (unsigned i = 0; i <= TRUST_KEYS_MAX; i++)
		buf_addf(&text, "peer %s -\n", id_text(i));
	ck_assert(!reads((struct bytes){text.data, text.len}));
	ck_assert_ptr_nonnull(strstr(text_of(&said), ", line 257: too many keys"));
	for (unsigned i = 0; i < TRUST_REPLICAS_MAX; i++) {
		struct replica_id r = {{(uint8_t)i, (uint8_t)(i >> 8)}};
		id = key(0);
		ck_assert(trust_bind(t, &id, &r, &other, &changed));
	}
	struct replica_id more = {{1, 2, 3}};
	ck_assert(!trust_bind(t, &id, &more, &other, &changed) && !changed);
	trust_unbind(t, &id);
	ck_assert(trust_bind(t, &id, &more, &other, &changed) && changed);
	/* Of too many addresses the last are kept. */
	for (int i = 0; i < 20; i++) {
		char *address = xasprintf("host%d:1", i);
		ck_assert(trust_put(t, &id, TRUST_PEER, NULL, address, false));
		free(address);
	}
	ck_assert_uint_eq(trust_find(t, &id)->n_addresses, TRUST_ADDRESSES_MAX);
	ck_assert_str_eq(trust_find(t, &id)->addresses[TRUST_ADDRESSES_MAX - 1], "host19:1");
	/* A file that is too long is not read to its end. */
	char *path = scratch_path(dir, "trust");
	put(dir, "trust", "# short\n");
	ck_assert_int_eq(truncate(path, (off_t)TRUST_FILE_MAX * 1000), 0);
	buf_clear(&said);
	ck_assert(!trust_load(t, dir, &said));
	ck_assert_ptr_nonnull(strstr(text_of(&said), strerror(EFBIG)));
	free(path);
	buf_release(&text);
}
END_TEST

START_TEST(a_file_that_others_can_write_is_not_believed)
{
	char *path = scratch_path(dir, "trust"), *elsewhere = scratch_path(dir, "elsewhere");
	put(dir, "trust", "# nothing\n");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert(trust_load(t, dir, &said));
	static const mode_t modes[] = {0620, 0602, 0666};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		buf_clear(&said);
		ck_assert(!trust_load(t, dir, &said));
		ck_assert_ptr_nonnull(strstr(text_of(&said), "only its owner can write"));
	}
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(rename(path, elsewhere), 0);
	ck_assert_int_eq(symlink(elsewhere, path), 0);
	ck_assert(!trust_load(t, dir, &said));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert(!trust_load(t, dir, &said));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert(!trust_load(t, dir, &said));
	free(path);
	free(elsewhere);
}
END_TEST

/* Old or new, whole, whatever goes wrong. */
START_TEST(a_write_that_fails_changes_nothing)
{
	put(dir, "trust", "# old\n");
	put(dir, "trust.new", "left by a crash");
	struct buf large = {0};
	while (large.len < 100000)
		buf_addf(&large, "# line\n");
	struct rlimit before, small = {4096, 4096};
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = trust_write(dir, (struct bytes){large.data, large.len});
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(r, -EFBIG);
	char *text = get(dir, "trust");
	ck_assert_str_eq(text, "# old\n");
	free(text);
	ck_assert(!there(dir, "trust.new"));
	ck_assert_int_eq(trust_write(dir, (struct bytes){large.data, large.len}), 0);
	ck_assert_int_eq(stat_of(dir, "trust").st_size, (off_t)large.len);
	ck_assert_uint_eq(count_in(dir, "."), 1);
	ck_assert_int_eq(trust_write("/nowhere/at/all", bytes_of("")), -ENOENT);
	/* What lies in its way is not followed. */
	char *trap = scratch_path(dir, "trust.new"), *canary = scratch_path(dir, "canary");
	put(dir, "canary", "safe");
	ck_assert_int_eq(symlink(canary, trap), 0);
	ck_assert_int_eq(trust_write(dir, bytes_of("# new\n")), 0);
	text = get(dir, "canary");
	ck_assert_str_eq(text, "safe");
	free(text);
	free(trap);
	free(canary);
	buf_release(&large);
}
END_TEST

START_TEST(the_command_line_does_not_overrule_people)
{
	struct key_id id = key(1);
	ck_assert(trust_put(t, &id, TRUST_REFUSED, NULL, NULL, false));
	ck_assert(trust_put(t, &id, TRUST_PEER, NULL, NULL, true));
	ck_assert_int_eq(trust_role(t, &id), TRUST_REFUSED);
}
END_TEST

/* Who asks from one address a thousand times takes one place; and all places that are taken are given up
 * only by those not seen for a minute. */
START_TEST(strangers_have_few_places)
{
	const int64_t s = 1000000000, minute = (TRUST_PENDING_KEEP_S + 1) * s;
	int64_t now = 1000 * s;
	unsigned told = 0;
	for (unsigned i = 0; i < 1000; i++) {
		struct key_id id = key(1000 + i);
		told += trust_asked(t, &id, "10.0.0.1", now++);
	}
	ck_assert_uint_le(told, 1000);
	ck_assert_ptr_null(trust_pending_at(t, 1));
	for (unsigned i = 0; i < 100; i++) {
		struct key_id id = key(i);
		char *address = xasprintf("10.0.1.%u", i);
		trust_asked(t, &id, address, now++);
		free(address);
	}
	ck_assert_ptr_nonnull(trust_pending_at(t, TRUST_PENDING_MAX - 1));
	ck_assert_ptr_null(trust_pending_at(t, TRUST_PENDING_MAX));
	struct key_id first = key(0), late = key(500);
	ck_assert(key_id_eq(&trust_pending_at(t, 1)->id, &first));
	ck_assert(!trust_asked(t, &late, "10.0.2.1", now));
	ck_assert(trust_asked(t, &late, "10.0.2.1", now + minute));
	ck_assert(!trust_asked(t, &late, "10.0.2.2", now + minute + 1));
	ck_assert(trust_asked(t, &late, "10.0.2.2", now + 3 * minute));
	ck_assert(trust_put(t, &late, TRUST_PEER, NULL, NULL, false));
	for (size_t i = 0; trust_pending_at(t, i); i++)
		ck_assert(!key_id_eq(&trust_pending_at(t, i)->id, &late));
}
END_TEST

/* ---- invitations ------------------------------------------------------------------------- */

START_TEST(an_invitation_is_read_as_it_was_made)
{
	uint8_t secret[INVITATION_SECRET_SIZE], other[INVITATION_SECRET_SIZE];
	struct buf text = {0}, padded = {0}, second = {0};
	struct key_id id = key(3);
	struct invitation i;
	invitation_new(&text, "nas.lan:7075", &id, secret);
	invitation_new(&second, "nas.lan:7075", &id, other);
	ck_assert_int_ne(memcmp(secret, other, sizeof(secret)), 0);
	ck_assert_uint_le(text.len, INVITATION_TEXT_MAX);
	buf_addf(&padded, " \r\n%s\n\t", text_of(&text));
	ck_assert(invitation_read((struct bytes){padded.data, padded.len}, &i, &said));
	ck_assert_str_eq(i.address, "nas.lan:7075");
	ck_assert(key_id_eq(&i.id, &id));
	ck_assert_int_eq(memcmp(i.secret, secret, sizeof(secret)), 0);
	invitation_release(&i);
	buf_release(&text);
	buf_release(&second);
	buf_release(&padded);
}
END_TEST

/* Any byte in the place of any other makes it none, or another one; and what is said does not hold the
 * token. */
START_TEST(a_damaged_invitation_is_none)
{
	uint8_t secret[INVITATION_SECRET_SIZE];
	struct buf text = {0};
	struct key_id id = key(3);
	struct invitation i;
	invitation_new(&text, "10.0.0.1:7075", &id, secret);
	char *token = xstrdup(strrchr(text_of(&text), '#') + 1);
	for (size_t n = 0; n < text.len; n++) {
		buf_clear(&said);
		ck_assert(!invitation_read((struct bytes){text.data, n}, &i, &said));
		ck_assert_uint_gt(said.len, 0);
	}
	for (size_t at = 0; at < text.len; at++) {
		uint8_t right = text.data[at];
		for (unsigned wrong = 0; wrong < 256; wrong++) {
			text.data[at] = (uint8_t)wrong;
			buf_clear(&said);
			bool ok = invitation_read((struct bytes){text.data, text.len}, &i, &said);
			ck_assert_int_eq(ok, !said.len);
			if (ok && at >= text.len - INVITATION_TOKEN_TEXT)
				ck_assert(wrong == right ||
					  memcmp(i.secret, secret, sizeof(secret)) != 0);
			ck_assert(!ok || key_id_eq(&i.id, &id));
			ck_assert(at >= text.len - INVITATION_TOKEN_TEXT ||
				  !strstr(text_of(&said), token));
			if (ok)
				invitation_release(&i);
		}
		text.data[at] = right;
	}
	ck_assert(!invitation_read((struct bytes){NULL, 0}, &i, &said));
	while (text.len <= INVITATION_TEXT_MAX)
		buf_addf(&text, "A");
	ck_assert(!invitation_read((struct bytes){text.data, text.len}, &i, &said));
	free(token);
	buf_release(&text);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("trust");
	TCase *list = suite_case(s, "list", setup, teardown);
	TCase *invitations = suite_case(s, "invitations", setup, teardown);
	tcase_add_test(list, what_is_written_is_read_again);
	tcase_add_test(list, every_byte_may_be_wrong);
	tcase_add_test(list, a_torn_file_is_refused);
	tcase_add_test(list, lines_that_will_not_do_say_why);
	tcase_add_test(list, there_is_a_limit_to_everything);
	tcase_add_test(list, a_file_that_others_can_write_is_not_believed);
	tcase_add_test(list, a_write_that_fails_changes_nothing);
	tcase_add_test(list, the_command_line_does_not_overrule_people);
	tcase_add_test(list, strangers_have_few_places);
	tcase_add_test(invitations, an_invitation_is_read_as_it_was_made);
	tcase_add_test(invitations, a_damaged_invitation_is_none);
	return suite_run(s);
}
