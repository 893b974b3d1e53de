/*
 * The lease: one election time-out less 10 % after what a majority echoed.
 */
#include "xmppd/cluster/raft_lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ELECTION 300
#define LEASE 270
#define SELF 1
#define NOW 10000

static void
it_ends_after_what_a_majority_has_echoed(void **state)
{
	static const struct {
		uint32_t voters[5];
		size_t count;
		uint64_t echoes[6]; /* of servers 2 to 5; 0: none */
		uint64_t until;
	} rows[] = {
		/* Alone. */
		{ { 1 }, 1, { 0 }, RAFT_LEASE_FOREVER },
		/* Two: the other one counts. */
		{ { 1, 2 }, 2, { 0 }, 0 },
		{ { 1, 2 }, 2, { 9900 }, 9900 + LEASE },
		/* Three: the better of the others. */
		{ { 1, 2, 3 }, 3, { 0 }, 0 },
		{ { 1, 2, 3 }, 3, { 9900, 0 }, 9900 + LEASE },
		{ { 1, 2, 3 }, 3, { 9900, 9950 }, 9950 + LEASE },
		/* Four: two of the others. */
		{ { 1, 2, 3, 4 }, 4, { 9900, 0, 0 }, 0 },
		{ { 1, 2, 3, 4 }, 4, { 9900, 9950, 0 }, 9900 + LEASE },
		{ { 1, 2, 3, 4 }, 4, { 9900, 9950, 9960 }, 9950 + LEASE },
		/* Five. */
		{ { 1, 2, 3, 4, 5 }, 5, { 9990, 0, 0, 0 }, 0 },
		{ { 1, 2, 3, 4, 5 }, 5, { 1, 9990, 9980, 2 }, 9980 + LEASE },
		/* Not a voter: its echo is worth nothing. */
		{ { 1, 2, 3 }, 3, { 0, 0, 9990 }, 0 },
		/* A leader on its way out: a majority without it. */
		{ { 2, 3 }, 2, { 9900, 9950 }, 9900 + LEASE },
		{ { 2 }, 1, { 9900 }, 9900 + LEASE },
		{ { 0 }, 0, { 9900 }, 0 },
		/* Nobody echoes what hasn't been sent yet. */
		{ { 1, 2, 3 }, 3, { 20000 }, NOW + LEASE },
	};
	struct raft_lease *l = raft_lease_new(ELECTION);
	uint64_t until;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		raft_lease_begin(l);
		for (uint32_t k = 0; k < 4; k++)
			if (rows[i].echoes[k] != 0)
				raft_lease_echo(l, k + 2, rows[i].echoes[k]);
		until = raft_lease_until(
		    l, rows[i].voters, rows[i].count, SELF, NOW);
		if (until != rows[i].until)
			fail_msg("row %zu: %llu", i, (unsigned long long)until);
	}
	raft_lease_free(l);
}

static void
an_older_echo_does_not_shorten_it(void **state)
{
	static const uint32_t voters[] = { 1, 2, 3 };
	struct raft_lease *l = raft_lease_new(ELECTION);

	(void)state;
	raft_lease_begin(l);
	raft_lease_echo(l, 2, 9900);
	raft_lease_echo(l, 2, 9800);
	assert_int_equal(
	    raft_lease_until(l, voters, 3, SELF, NOW), 9900 + LEASE);
	raft_lease_free(l);
}

static void
a_forfeited_lease_is_gone_for_its_term(void **state)
{
	static const uint32_t voters[] = { 1, 2, 3 };
	struct raft_lease *l = raft_lease_new(ELECTION);

	(void)state;
	raft_lease_begin(l);
	raft_lease_echo(l, 2, 9900);
	raft_lease_forfeit(l);
	assert_int_equal(raft_lease_until(l, voters, 3, SELF, NOW), 0);
	raft_lease_echo(l, 2, 9990);
	assert_int_equal(raft_lease_until(l, voters, 3, SELF, NOW), 0);
	/* A new term begins without anything that was echoed before. */
	raft_lease_begin(l);
	assert_int_equal(raft_lease_until(l, voters, 3, SELF, NOW), 0);
	raft_lease_echo(l, 2, 9990);
	assert_int_equal(
	    raft_lease_until(l, voters, 3, SELF, NOW), 9990 + LEASE);
	raft_lease_free(l);
	raft_lease_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_after_what_a_majority_has_echoed),
		cmocka_unit_test(an_older_echo_does_not_shorten_it),
		cmocka_unit_test(a_forfeited_lease_is_gone_for_its_term),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
