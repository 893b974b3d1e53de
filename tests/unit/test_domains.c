/*
 * Further domains on one server: ann is at the first, and another ann at a
 * second one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/router_world.h"

#define ANN "ann@example.org"
#define OTHER "ann@example.net"
#define SECOND "domain/example.net"

static void
set_domain(struct world *w, const char *name, const char *value)
{
	struct buf b = { 0 };

	store_cmd_setting(&b, name, value);
	world_command(w, &b);
	world_run(w);
}

static int
setup(void **state)
{
	struct world *w = world_new(1);

	world_account(w, "ann");
	world_account(w, OTHER);
	world_run(w);
	set_domain(w, SECOND, "1");
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	world_wait(w, 3000);
	assert_string_equal(w->problem, "");
	assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
	assert_int_equal(uplink_accepted(w->nodes[0].uplink), 0);
	world_free(w);
	return 0;
}

static void
equal_names_are_two_accounts(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, ANN "/a", "<presence/>");
	struct client *two = world_join(w, 0, OTHER "/a", "<presence/>");

	client_say(one, "<message to='" OTHER "'><body>x</body></message>");
	client_say(two, "<message to='" ANN "'><body>y</body></message>");
	world_run(w);
	expect(one,
	    "<message from='" OTHER "/a' to='" ANN
	    "'><body>y</body></message>");
	expect(two,
	    "<message from='" ANN "/a' to='" OTHER
	    "'><body>x</body></message>");
	expect_nothing(one);
	expect_nothing(two);
}

static void
messages_wait_at_either(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, ANN "/a", "<presence/>"), *two;

	client_say(one, "<message to='" OTHER "'><body>x</body></message>");
	world_run(w);
	expect_nothing(one);
	assert_int_equal(store_user_row_count(w->store, OTHER), 1);
	two = world_join(w, 0, OTHER "/a", NULL);
	client_say(two, "<presence/>");
	world_run(w);
	client_next(two); /* its own presence */
	assert_non_null(strstr(client_next(two), "<body>x</body><delay"));
}

static void
subscriptions_cross(void **state)
{
	struct world *w = *state;
	struct client *one, *two;

	world_item(w, "ann", OTHER, true, true);
	world_item(w, OTHER, ANN, true, true);
	one = world_join(w, 0, ANN "/a", "<presence/>");
	two = world_join(w, 0, OTHER "/a", "<presence/>");
	expect(one, "<presence to='" ANN "' from='" OTHER "/a'/>");
	expect_nothing(one);
	client_leave(two);
	world_run(w);
	assert_non_null(strstr(client_next(one), "type='unavailable'"));
	expect_nothing(one);
}

static void
the_server_answers_at_each(void **state)
{
	struct world *w = *state;
	struct client *two = world_join(w, 0, OTHER "/a", NULL);

	client_say(two,
	    "<iq type='get' id='1' to='example.net'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>");
	world_run(w);
	expect(two,
	    "<iq type='result' id='1' from='example.net' to='" OTHER
	    "/a'></iq>");
}

static void
a_domain_that_is_not_there_is_foreign(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, ANN "/a", NULL);

	client_say(one,
	    "<message to='ann@example.com' id='1'><body>x</body></message>");
	world_run(w);
	assert_non_null(strstr(client_next(one), "<remote-server-not-found"));
}

static void
sessions_end_with_their_domain(void **state)
{
	struct world *w = *state;
	struct client *one, *two;

	world_item(w, "ann", OTHER, true, true);
	world_item(w, OTHER, ANN, true, true);
	one = world_join(w, 0, ANN "/a", "<presence/>");
	two = world_join(w, 0, OTHER "/a", "<presence/>");
	client_skip(one);
	set_domain(w, SECOND, NULL);
	assert_non_null(two->kicked);
	assert_non_null(strstr(two->kicked, "host-gone"));
	assert_non_null(strstr(client_next(one), "type='unavailable'"));
	expect_nothing(one);
	client_say(
	    one, "<message to='" OTHER "' id='1'><body>x</body></message>");
	world_run(w);
	assert_non_null(strstr(client_next(one), "<remote-server-not-found"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    equal_names_are_two_accounts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    messages_wait_at_either, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    subscriptions_cross, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_server_answers_at_each, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_domain_that_is_not_there_is_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    sessions_end_with_their_domain, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
