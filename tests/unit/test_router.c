/*
 * The router as a whole: sessions begin and end, stanzas find their way, and a
 * change of leader is not noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/router_world.h"

#define CHAT(to, id, body)                                                     \
	"<message to='" to "' type='chat' id='" id "'><body>" body             \
	"</body></message>"
#define CHAT_FROM(from, to, id, body)                                          \
	"<message from='" from "' to='" to "' type='chat' id='" id             \
	"'><body>" body "</body></message>"

static int
setup(void **state)
{
	struct world *w = world_new(3);

	world_account(w, "ann");
	world_account(w, "bob");
	world_component(w, "cb1");
	world_run(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	assert_string_equal(w->problem, "");
	world_free(w);
	return 0;
}

/* ---- binding ----------------------------------------------------------- */

static void
bind_waits_for_a_majority(void **state)
{
	struct world *w = *state;
	struct client *ann;

	world_unmirror(w, 1);
	world_unmirror(w, 2);
	ann = world_login(w, 0, "ann@example.org/x");
	while (world_up(w, 0) || world_down(w, 0) || world_commit(w))
		;
	assert_int_equal(ann->bound, 0);
	world_run(w);
	assert_int_not_equal(ann->bound, 0);
}

static void
bind_is_refused_without_the_account(void **state)
{
	static const struct {
		const char *full, *version, *condition;
	} rows[] = {
		{ "eve@example.org/x", "1", "not-authorized" },
		{ "ann@example.org/x", "2", "not-authorized" },
		{ "cb2.example.org", NULL, "not-authorized" },
		{ "example.org", NULL, "not-authorized" },
		{ "ann@other.org/x", "1", "jid-malformed" },
		{ "ann@example.org", "1", "jid-malformed" },
	};
	struct world *w = *state;
	struct client *c;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		w->version = rows[i].version;
		c = world_login(w, 0, rows[i].full);
		world_run(w);
		assert_int_equal(c->bound, 0);
		assert_string_equal(c->refused, rows[i].condition);
	}
}

static void
newest_login_wins_an_address(void **state)
{
	struct world *w = *state;
	struct client *old = world_join(w, 0, "ann@example.org/x", NULL);
	struct client *new = world_login(w, 1, "ann@example.org/x");

	world_run(w);
	assert_string_equal(old->kicked, "conflict");
	assert_int_not_equal(new->bound, 0);
	assert_true(new->bound > old->ended);
}

/* ---- routing ----------------------------------------------------------- */

static void
message_goes_from_edge_to_edge(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, "ann@example.org/x", NULL);
	struct client *bob = world_join(w, 2, "bob@example.org/y", NULL);

	client_say(ann, CHAT("bob@example.org/y", "m1", "hello"));
	world_run(w);
	expect(bob,
	    CHAT_FROM("ann@example.org/x", "bob@example.org/y", "m1", "hello"));
	expect_nothing(bob);
	expect_nothing(ann);
	assert_int_equal(uplink_unacked(w->nodes[1].uplink), 0);
}

static void
leader_dies_and_nothing_is_lost_or_doubled(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, "ann@example.org/x", NULL);
	struct client *bob = world_join(w, 2, "bob@example.org/y", NULL);

	client_say(ann, CHAT("bob@example.org/y", "m1", "one"));
	client_say(ann, CHAT("bob@example.org/y", "m2", "two"));
	while (world_up(w, 1) || world_down(w, 2) || world_up(w, 2))
		;
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	expect(bob,
	    CHAT_FROM("ann@example.org/x", "bob@example.org/y", "m1", "one"));
	expect(bob,
	    CHAT_FROM("ann@example.org/x", "bob@example.org/y", "m2", "two"));
	expect_nothing(bob);
	assert_int_equal(ann->ended, 0);
	assert_int_equal(uplink_unacked(w->nodes[1].uplink), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(bind_waits_for_a_majority),
		T(bind_is_refused_without_the_account),
		T(newest_login_wins_an_address),
		T(message_goes_from_edge_to_edge),
		T(leader_dies_and_nothing_is_lost_or_doubled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
