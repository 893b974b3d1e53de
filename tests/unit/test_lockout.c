/*
 * Who may try passwords, and for how long not.
 */
#include "xmppd/edge/lockout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"

#define HOME "192.0.2.1"
#define OFFICE "198.51.100.7"
#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

struct fixture {
	struct lockout *l;
	struct edge_limits limits;
	uint64_t now;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->l = lockout_new();
	limits_init(&f->limits);
	f->limits.of[LIMIT_FAILURES] = 5;
	f->limits.of[LIMIT_LOCKOUT] = 60;
	f->now = 12345;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	lockout_free(f->l);
	free(f);
	return 0;
}

static bool
allows(struct fixture *f, const char *address, const char *user)
{
	return lockout_allows(f->l, address, user, f->now);
}

/* So many wrong passwords; whether the last one locked them out. */
static bool
fail_times(
    struct fixture *f, const char *address, const char *user, unsigned times)
{
	bool locked = false;

	while (times-- > 0)
		locked =
		    lockout_failed(f->l, address, user, &f->limits, f->now);
	return locked;
}

static void
locks_out_a_user_at_an_address(void **state)
{
	struct fixture *f = *state;

	assert_false(fail_times(f, HOME, "ann", 4));
	assert_true(allows(f, HOME, "ann"));
	assert_true(fail_times(f, HOME, "ann", 1));
	assert_false(allows(f, HOME, "ann"));
	assert_true(allows(f, HOME, "bob"));
	assert_true(allows(f, OFFICE, "ann"));
}

static void
each_lock_out_lasts_twice_as_long(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ms = MINUTE; ms < 24 * HOUR; ms *= 2) {
		assert_true(fail_times(f, HOME, "ann", 5));
		f->now += ms - 1;
		assert_false(allows(f, HOME, "ann"));
		f->now++;
		assert_true(allows(f, HOME, "ann"));
	}
	for (int i = 0; i < 3; i++) {
		assert_true(fail_times(f, HOME, "ann", 5));
		f->now += 24 * HOUR;
		assert_true(allows(f, HOME, "ann"));
	}
}

static void
forgets_in_the_end(void **state)
{
	struct fixture *f = *state;

	fail_times(f, HOME, "ann", 4);
	f->now += 10 * MINUTE;
	assert_false(fail_times(f, HOME, "ann", 4));
	assert_true(fail_times(f, HOME, "ann", 1));
	f->now += MINUTE + 10 * MINUTE;
	/* The next is a first one. */
	assert_true(fail_times(f, HOME, "ann", 5));
	f->now += MINUTE;
	assert_true(allows(f, HOME, "ann"));
}

static void
a_login_makes_up_for_failures(void **state)
{
	struct fixture *f = *state;

	fail_times(f, HOME, "ann", 4);
	lockout_passed(f->l, HOME, "ann", f->now);
	assert_false(fail_times(f, HOME, "ann", 4));
	assert_true(allows(f, HOME, "ann"));
}

/* One who tries names behind an office's address stops nobody who works
 * there. */
static void
locks_out_an_address_but_for_who_is_known_there(void **state)
{
	struct fixture *f = *state;
	char user[24];

	lockout_passed(f->l, OFFICE, "ann", f->now);
	for (int i = 0; i < 50; i++) {
		assert_true(allows(f, OFFICE, "bob"));
		snprintf(user, sizeof(user), "guess%d", i);
		fail_times(f, OFFICE, user, 1);
	}
	assert_false(allows(f, OFFICE, "bob"));
	assert_true(allows(f, OFFICE, "ann"));
	assert_true(allows(f, HOME, "bob"));
	/* Who is known may still not try for ever. */
	assert_true(fail_times(f, OFFICE, "ann", 5));
	assert_false(allows(f, OFFICE, "ann"));
	f->now += MINUTE;
	assert_true(allows(f, OFFICE, "bob"));
}

/* A login of the attacker's own doesn't clear the address. */
static void
an_own_account_is_no_way_round(void **state)
{
	struct fixture *f = *state;
	char user[24];

	for (int i = 0; i < 50; i++) {
		snprintf(user, sizeof(user), "guess%d", i);
		fail_times(f, OFFICE, user, 1);
		lockout_passed(f->l, OFFICE, "eve", f->now);
	}
	assert_false(allows(f, OFFICE, "ann"));
}

static void
remembers_only_so_much(void **state)
{
	struct fixture *f = *state;
	char address[48];

	fail_times(f, HOME, "ann", 5);
	for (unsigned i = 0; i < 40000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		fail_times(f, address, "ann", 1);
	}
	assert_true(allows(f, HOME, "ann"));
}

static void
an_address_is_who_it_is(void **state)
{
	static const struct {
		const char *peer, *key;
	} rows[] = {
		{ "192.0.2.1:40000", "192.0.2.1" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "[2001:db8:1:2:3:4:5:6]:40000", "2001:db8:1:2::" },
		{ "[2001:db8:1:2::1]:5", "2001:db8:1:2::" },
		{ "[::1]:5", "::" },
		{ "[fe80::1%eth0]:5", "fe80::" },
		{ "[::ffff:192.0.2.1]:5", "::ffff:192.0.2.1" },
		{ "", "" },
		{ "[", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char key[ADDRESS_KEY];

		address_key(rows[i].peer, key);
		assert_string_equal(key, rows[i].key);
	}
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(locks_out_a_user_at_an_address),
		T(each_lock_out_lasts_twice_as_long),
		T(forgets_in_the_end),
		T(a_login_makes_up_for_failures),
		T(locks_out_an_address_but_for_who_is_known_there),
		T(an_own_account_is_no_way_round),
		T(remembers_only_so_much),
		T(an_address_is_who_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
