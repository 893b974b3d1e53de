/*
 * The token bucket.
 */
#include "xmppd/edge/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 5000ULL

static void
lets_a_seconds_worth_through_at_once(void **state)
{
	struct rate r = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(rate_take(&r, 10, 1000, NOW), NOW);
	assert_int_equal(rate_take(&r, 10, 1000, NOW), NOW + 10);
}

static void
holds_to_the_rate_in_the_long_run(void **state)
{
	struct rate r = { 0 };
	uint64_t now = NOW, next;
	unsigned taken = 0;

	(void)state;
	while (now < NOW + 60 * 1000) {
		next = rate_take(&r, 7, 100, now);
		taken += 7;
		now = next > now ? next : now + 1;
	}
	assert_in_range(taken, 60 * 100, 61 * 100 + 7);
}

static void
what_is_too_much_is_waited_for(void **state)
{
	struct rate r = { 0 };

	(void)state;
	assert_int_equal(rate_take(&r, 5000, 1000, NOW), NOW + 4000);
}

static void
who_was_silent_begins_anew(void **state)
{
	struct rate r = { 0 };

	(void)state;
	rate_take(&r, 2000, 1000, NOW);
	assert_int_equal(rate_take(&r, 1000, 1000, NOW + 60000), NOW + 60000);
	assert_int_equal(rate_take(&r, 1, 1000, NOW + 60000), NOW + 60001);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_a_seconds_worth_through_at_once),
		cmocka_unit_test(holds_to_the_rate_in_the_long_run),
		cmocka_unit_test(what_is_too_much_is_waited_for),
		cmocka_unit_test(who_was_silent_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
