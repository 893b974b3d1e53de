/*
 * Stored messages: kept while nobody is there, handed out once, in order, with
 * the time they came in (XEP-0160, XEP-0203).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/strutil.h"
#include "tests/lib/router_world.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"

static int
setup(void **state)
{
	struct world *w = world_new(3);

	world_account(w, "ann");
	world_account(w, "bob");
	world_run(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	world_wait(w, 3000);
	assert_string_equal(w->problem, "");
	for (unsigned i = 0; i < 3; i++) {
		if (!w->nodes[i].alive)
			continue;
		assert_int_equal(uplink_unacked(w->nodes[i].uplink), 0);
		assert_int_equal(uplink_accepted(w->nodes[i].uplink), 0);
	}
	world_free(w);
	return 0;
}

static void
say_many(struct client *c, int first, int count)
{
	char text[128];

	for (int i = first; i < first + count; i++) {
		snprintf(text, sizeof(text),
		    "<message to='" BOB "' type='chat' id='m%d'>"
		    "<body>b</body></message>",
		    i);
		client_say(c, text);
	}
}

/* Reads messages m`first` to m`last`, stored or not. */
static void
expect_many(struct client *c, int first, int count, bool stored)
{
	char mark[32];

	for (int i = first; i < first + count; i++) {
		const char *got = client_next(c);

		if (str_starts(got, "<presence"))
			got = client_next(c);
		snprintf(mark, sizeof(mark), " id='m%d'", i);
		assert_non_null(strstr(got, mark));
		assert_int_equal(strstr(got, "<delay ") != NULL, stored);
	}
}

static void
stored_message_has_its_time(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL), *bob;

	client_say(ann,
	    "<message to='" BOB "' id='m0'><body>b</body>"
	    "</message>");
	world_run(w);
	bob = world_join(w, 1, BOB "/b", NULL);
	expect_nothing(bob); /* no presence yet */
	client_say(bob, "<presence/>");
	world_run(w);
	expect(bob, "<presence to='" BOB "' from='" BOB "/b'/>");
	expect(bob,
	    "<message from='" ANN "/a' to='" BOB "' id='m0'>"
	    "<body>b</body><delay xmlns='urn:xmpp:delay' "
	    "from='example.org' stamp='2023-11-14T22:30:00Z'/>"
	    "</message>");
	expect_nothing(bob);
	assert_int_equal(store_row_count(w->store), 0);
}

static void
many_are_handed_out_in_order(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL), *bob;

	say_many(ann, 0, 300);
	world_run(w);
	assert_int_equal(store_row_count(w->store), 300);
	bob = world_join(w, 1, BOB "/b", NULL);
	client_say(bob, "<presence/>");
	say_many(ann, 300, 50);
	world_run(w);
	expect(bob, "<presence to='" BOB "' from='" BOB "/b'/>");
	expect_many(bob, 0, 300, true);
	/* Those that were sent meanwhile: stored, then live. */
	for (int i = 300; i < 350; i++) {
		char mark[32];

		snprintf(mark, sizeof(mark), " id='m%d'", i);
		assert_non_null(strstr(client_next(bob), mark));
	}
	expect_nothing(bob);
	assert_int_equal(store_row_count(w->store), 0);
}

static void
one_session_gets_them(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL), *low, *high;

	low = world_join(
	    w, 1, BOB "/low", "<presence><priority>-1</priority></presence>");
	say_many(ann, 0, 3);
	world_run(w);
	expect_nothing(low);
	high = world_join(w, 2, BOB "/high", NULL);
	client_say(high, "<presence/>");
	world_run(w);
	expect(high, "<presence to='" BOB "' from='" BOB "/high'/>");
	client_next(high); /* the other session */
	expect_many(high, 0, 3, true);
	client_skip(low);
	client_say(low, "<presence/>");
	world_run(w);
	assert_true(str_starts(client_next(low), "<presence"));
	expect_nothing(low);
}

static void
session_that_ends_leaves_them_to_the_next(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL), *bob;

	say_many(ann, 0, 40);
	world_run(w);
	bob = world_join(w, 1, BOB "/b", NULL);
	client_say(bob, "<presence/>");
	/* Its presence counts, and rows are on their way, when it goes. */
	while (world_up(w, 1) || world_mirror(w, 1) || world_mirror(w, 2) ||
	    world_ack(w, 1) || world_ack(w, 2))
		;
	for (int i = 0; i < 11; i++)
		world_down(w, 1);
	client_leave(bob);
	world_run(w);
	client_next(bob);
	expect_many(bob, 0, 10, true);
	expect_nothing(bob);
	assert_int_equal(store_row_count(w->store), 30);
	bob = world_join(w, 2, BOB "/c", NULL);
	client_say(bob, "<presence/>");
	world_run(w);
	client_next(bob);
	expect_many(bob, 10, 30, true);
	expect_nothing(bob);
}

static void
row_that_an_edge_has_is_not_handed_out_again(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/a", NULL), *bob;

	say_many(ann, 0, 3);
	world_run(w);
	bob = world_join(w, 2, BOB "/b", NULL);
	client_say(bob, "<presence/>");
	while (world_up(w, 2) || world_mirror(w, 1) || world_ack(w, 1))
		;
	while (world_down(w, 2)) /* accepted; nobody hears of it */
		;
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	client_next(bob);
	expect_many(bob, 0, 3, true);
	expect_nothing(bob);
	assert_int_equal(store_row_count(w->store), 0);
}

static void
there_is_a_limit_with_an_error(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	world_set(w, SHARED_OFFLINE_LIMIT, "20000");
	say_many(ann, 0, 100);
	world_run(w);
	expect_nothing(ann);
	say_many(ann, 100, 100);
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<service-unavailable "));
	assert_in_range(store_row_count(w->store), 101, 150);
}

/* Those who were there before it led. */
static void
new_leader_hands_out_what_is_stored(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/a", NULL);
	struct client *bob = world_join(w, 2, BOB "/b", NULL);

	say_many(ann, 0, 3);
	world_run(w);
	assert_int_equal(store_row_count(w->store), 3);
	client_say(bob, "<presence/>");
	while (world_up(w, 2) || world_mirror(w, 1) || world_ack(w, 1))
		;
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	client_next(bob);
	expect_many(bob, 0, 3, true);
	assert_int_equal(store_row_count(w->store), 0);
}

static void
account_that_goes_takes_them_along(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	struct buf b = { 0 };

	say_many(ann, 0, 2);
	/* One is in the log when the account goes. */
	while (world_up(w, 0))
		;
	world_commit(w);
	store_cmd_account_del(&b, "bob");
	world_command(w, &b);
	world_run(w);
	assert_non_null(strstr(client_next(ann), "id='m1'"));
	expect_nothing(ann);
	assert_int_equal(store_row_count(w->store), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(stored_message_has_its_time),
		T(many_are_handed_out_in_order),
		T(one_session_gets_them),
		T(session_that_ends_leaves_them_to_the_next),
		T(row_that_an_edge_has_is_not_handed_out_again),
		T(there_is_a_limit_with_an_error),
		T(new_leader_hands_out_what_is_stored),
		T(account_that_goes_takes_them_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
