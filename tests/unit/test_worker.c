/* The worker thread, and the keys it derives (RFC 5802, RFC 7677). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/crypto.h"
#include "xmppd/worker.h"

/* RFC 7677, 3: user "user", password "pencil". */
static void
derives_the_keys_of_rfc_7677(void **state)
{
	static const char stored[] =
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=";
	static const char server[] =
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	struct scram_keys params = { 0 }, keys;
	size_t len;
	uint8_t *salt = crypto_unbase64("W22ZaJ0SNY7soEsUEjb6gQ==", &len);
	char *text;

	(void)state;
	assert_int_equal(len, SCRAM_SALT);
	params.sha256.salt_len = SCRAM_SALT;
	memcpy(params.sha256.salt, salt, len);
	free(salt);
	params.sha256.iterations = params.sha1.iterations = 4096;
	scram_derive_as("pencil", &params, &keys);
	text = crypto_base64(keys.sha256.stored_key, 32);
	assert_string_equal(text, stored);
	free(text);
	text = crypto_base64(keys.sha256.server_key, 32);
	assert_string_equal(text, server);
	free(text);
}

static void
the_same_password_has_other_keys_each_time(void **state)
{
	struct scram_keys a, b, again;

	(void)state;
	scram_derive("secret", &a);
	scram_derive("secret", &b);
	assert_memory_not_equal(a.sha256.stored_key, b.sha256.stored_key, 32);
	assert_int_not_equal(a.version, b.version);
	scram_derive_as("secret", &a, &again);
	assert_memory_equal(&a, &again, sizeof(a));
	scram_derive_as("Secret", &a, &again);
	assert_memory_not_equal(a.sha1.stored_key, again.sha1.stored_key, 20);
}

/* RFC 5802, 2.2: both sides use SASLprep; the examples of RFC 4013, 3. */
static void
a_password_is_prepared(void **state)
{
	static const char *const same[][2] = {
		{ "IX", "I\xc2\xadX" },
		{ "user", "user" },
		{ "a", "\xc2\xaa" },
		{ "IX", "\xe2\x85\xa8" },
		{ "a b",
		    "a\xc2\xa0"
		    "b" },
	};
	struct scram_keys a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		scram_derive(same[i][0], &a);
		scram_derive_as(same[i][1], &a, &b);
		assert_memory_equal(&a, &b, sizeof(a));
		scram_derive(same[i][1], &b);
		scram_derive_as(same[i][0], &b, &a);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	scram_derive("user", &a);
	scram_derive_as("USER", &a, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	scram_derive_as("user\x07", &a, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

struct job {
	int worked, done;
	struct event_base *base;
};

static void
work(void *arg)
{
	((struct job *)arg)->worked++;
}

static void
done(void *arg)
{
	struct job *job = arg;

	job->done++;
	if (job->done == 3)
		event_base_loopbreak(job->base);
}

static void
done_runs_on_the_loop_after_work(void **state)
{
	struct event_base *base = event_base_new();
	struct worker *w = worker_new(base);
	struct job job = { .base = base };

	(void)state;
	for (int i = 0; i < 3; i++)
		worker_run(w, work, done, &job);
	event_base_dispatch(base);
	assert_int_equal(job.worked, 3);
	assert_int_equal(job.done, 3);
	worker_free(w);
	event_base_free(base);
}

static void
each_job_is_done_also_at_the_end(void **state)
{
	struct event_base *base = event_base_new();
	struct worker *w = worker_new(base);
	struct job job = { .base = base };

	(void)state;
	for (int i = 0; i < 100; i++)
		worker_run(w, work, done, &job);
	worker_free(w);
	assert_int_equal(job.done, 100);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derives_the_keys_of_rfc_7677),
		cmocka_unit_test(the_same_password_has_other_keys_each_time),
		cmocka_unit_test(a_password_is_prepared),
		cmocka_unit_test(done_runs_on_the_loop_after_work),
		cmocka_unit_test(each_job_is_done_also_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
