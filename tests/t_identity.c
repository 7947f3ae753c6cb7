/* Tests of the key file: made once, for its owner only, and never replaced or guessed at. */
#include "config.h"
#include "identity.h"
#include "scratch.h"
#include "suite.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir;

static void setup(void)
{
	dir = scratch_new();
}

static void teardown(void)
{
	scratch_remove(dir);
}

/* Opens it; the result, and the ID or the reason. */
static int opened(const char *name, struct key_id *id, char why[256])
{
	struct identity *i;
	struct buf problem = {0};
	char *path = scratch_path(dir, name);
	int r = identity_open(&i, path, &problem);
	snprintf(why, 256, "%.*s", (int)problem.len, (const char *)problem.data);
	ck_assert_int_eq(r < 0, i == NULL);
	ck_assert_int_eq(r < 0, problem.len > 0);
	if (i)
		*id = *identity_id(i);
	identity_free(i);
	buf_release(&problem);
	free(path);
	return r;
}

static void is_refused(int error, const char *words)
{
	struct key_id id;
	char why[256];
	ck_assert_int_eq(opened("state", &id, why), -error);
	ck_assert_msg(strstr(why, words) && strstr(why, "state/key.pem"), "%s", why);
}

START_TEST(a_key_is_made_once)
{
	struct key_id first, again, other;
	char why[256];
	ck_assert_int_eq(opened("a/b/state", &first, why), 0);
	char *made = get(dir, "a/b/state/key.pem");
	ck_assert_ptr_nonnull(strstr(made, "BEGIN PRIVATE KEY"));
	ck_assert_uint_eq(stat_of(dir, "a/b/state/key.pem").st_mode & 07777, 0600);
	ck_assert_uint_eq(stat_of(dir, "a/b/state").st_mode & 07777, 0700);
	ck_assert_uint_eq(count_in(dir, "a/b/state"), 1);
	ck_assert_int_eq(opened("a/b/state", &again, why), 0);
	ck_assert(key_id_eq(&first, &again));
	char *still = get(dir, "a/b/state/key.pem");
	ck_assert_str_eq(made, still);
	ck_assert_int_eq(opened("other", &other, why), 0);
	ck_assert(!key_id_eq(&first, &other));
	free(made);
	free(still);
}
END_TEST

START_TEST(many_at_once_agree_on_one_key)
{
	enum { N = 8 };
	int out[2];
	pid_t child[N];
	ck_assert_int_eq(pipe(out), 0);
	for (size_t i = 0; i < N; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			struct key_id id;
			char why[256];
			bool ok = opened("state", &id, why) == 0 &&
				  write(out[1], id.b, sizeof(id.b)) == sizeof(id.b);
			_exit(!ok);
		}
	}
	struct key_id first, id;
	for (size_t i = 0; i < N; i++) {
		int status;
		ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(read(out[0], id.b, sizeof(id.b)), sizeof(id.b));
		if (i == 0)
			first = id;
		ck_assert(key_id_eq(&first, &id));
	}
	close(out[0]);
	close(out[1]);
	ck_assert_uint_eq(count_in(dir, "state"), 1);
}
END_TEST

START_TEST(a_key_that_others_can_read_is_refused)
{
	struct key_id id;
	char why[256];
	ck_assert_int_eq(opened("state", &id, why), 0);
	char *path = scratch_path(dir, "state/key.pem");
	ck_assert_int_eq(chmod(path, 0640), 0);
	is_refused(EPERM, "others than its owner");
	ck_assert_int_eq(chmod(path, 0604), 0);
	is_refused(EPERM, "others than its owner");
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(opened("state", &id, why), 0);
	free(path);
}
END_TEST

static void put_key(const char *content)
{
	char *path = scratch_path(dir, "state/key.pem");
	put(dir, "state/key.pem", content);
	ck_assert_int_eq(chmod(path, 0600), 0);
	free(path);
}

START_TEST(what_is_no_key_is_refused_and_kept)
{
	static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		"MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
		"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEQAAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
	static const char x25519[] = "-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VuBCIEIHAHbQptPGoY3x0X8mPqYHrMTcmBW6hVwy1cdUGPZ8xd\n"
		"-----END PRIVATE KEY-----\n";
	make_dir(dir, "state", 0700);
	const char *const contents[] = {"", "nonsense", encrypted, x25519};
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		put_key(contents[i]);
		is_refused(EBADMSG, "no Ed25519 key");
		char *still = get(dir, "state/key.pem");
		ck_assert_str_eq(still, contents[i]);
		free(still);
	}
	char *large = xmalloc(100001);
	memset(large, 'x', 100000);
	large[100000] = '\0';
	put_key(large);
	is_refused(EBADMSG, "no Ed25519 key");
	free(large);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	make_dir(dir, "state", 0700);
	make_dir(dir, "state/key.pem", 0700);
	is_refused(EPERM, "no regular file");
	char *path = scratch_path(dir, "state/key.pem");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	is_refused(EPERM, "no regular file"); /* and nobody waits for a writer */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	is_refused(ELOOP, "symbolic links");
	free(path);
	char *state = scratch_path(dir, "file");
	put(dir, "file", "");
	struct key_id id;
	char why[256];
	ck_assert_int_eq(opened("file", &id, why), -ENOTDIR);
	free(state);
}
END_TEST

START_TEST(the_certificate_carries_the_key)
{
	struct identity *a = identity_new(), *b = identity_new();
	struct key_id id;
	ck_assert(identity_of_certificate(identity_certificate(a), &id));
	ck_assert(key_id_eq(&id, identity_id(a)));
	ck_assert(!key_id_eq(&id, identity_id(b)));
	ck_assert_int_eq(X509_verify(identity_certificate(a), identity_key(a)), 1);
	ck_assert_int_eq(X509_verify(identity_certificate(a), identity_key(b)), 0);
	identity_free(a);
	identity_free(b);
}
END_TEST

START_TEST(a_certificate_with_another_kind_of_key_has_no_id)
{
	struct key_id id;
	X509 *x = X509_new();
	ck_assert(!identity_of_certificate(x, &id));
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ck_assert_int_eq(X509_set_pubkey(x, key), 1);
	ck_assert(!identity_of_certificate(x, &id));
	EVP_PKEY_free(key);
	X509_free(x);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("identity");
	TCase *t = suite_case(s, "identity", setup, teardown);
	tcase_add_test(t, a_key_is_made_once);
	tcase_add_test(t, many_at_once_agree_on_one_key);
	tcase_add_test(t, a_key_that_others_can_read_is_refused);
	tcase_add_test(t, what_is_no_key_is_refused_and_kept);
	tcase_add_test(t, what_is_no_file_is_refused);
	tcase_add_test(t, the_certificate_carries_the_key);
	tcase_add_test(t, a_certificate_with_another_kind_of_key_has_no_id);
	return suite_run(s);
}
