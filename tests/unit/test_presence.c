/*
 * Presence (RFC 6121, 4): who is told what, when, and what probes are answered.
 * Ann and bob see each other; carl sees ann, who does not see him; dora is a
 * stranger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/router_world.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define CARL "carl@example.org"
#define DORA "dora@example.org"
#define CB "cb1.example.org"

static int
setup(void **state)
{
	static const char *const users[] = { "ann", "bob", "carl", "dora" };
	struct world *w = world_new(1);

	for (size_t i = 0; i < 4; i++)
		world_account(w, users[i]);
	world_component(w, "cb1");
	world_befriend(w, "ann", "bob");
	world_item(w, "ann", CARL, false, true);
	world_item(w, "carl", ANN, true, false);
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
	assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
	assert_int_equal(uplink_accepted(w->nodes[0].uplink), 0);
	world_free(w);
	return 0;
}

/* ---- to all ------------------------------------------------------------ */

static void
presence_goes_to_those_who_may_see_it(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");
	struct client *carl = world_join(w, 0, CARL "/c", "<presence/>");
	struct client *dora = world_join(w, 0, DORA "/d", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence><show>away</show></presence>");
	world_run(w);
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a'>"
	    "<show>away</show></presence>");
	expect(carl,
	    "<presence to='" CARL "' from='" ANN "/a'>"
	    "<show>away</show></presence>");
	expect_nothing(dora);
	expect(ann,
	    "<presence to='" ANN "' from='" ANN "/a'>"
	    "<show>away</show></presence>");
	expect(ann, "<presence to='" ANN "' from='" BOB "/b'/>");
	expect_nothing(ann); /* nothing of carl */
}

static void
later_presence_asks_nobody(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");

	client_skip(bob);
	client_say(ann, "<presence><show>dnd</show></presence>");
	world_run(w);
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a'>"
	    "<show>dnd</show></presence>");
	expect_nothing(bob);
	expect(ann,
	    "<presence to='" ANN "' from='" ANN "/a'>"
	    "<show>dnd</show></presence>");
	expect_nothing(ann);
}

static void
own_sessions_are_told_of_each_other(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, ANN "/1", "<presence/>");
	struct client *two = world_join(w, 0, ANN "/2", NULL);

	client_say(two, "<presence/>");
	world_run(w);
	expect(one, "<presence to='" ANN "' from='" ANN "/2'/>");
	expect_nothing(one);
	expect(two, "<presence to='" ANN "' from='" ANN "/2'/>");
	expect(two, "<presence to='" ANN "' from='" ANN "/1'/>");
	expect_nothing(two);
}

static void
session_without_presence_is_told_nothing(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", NULL);
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");

	client_leave(ann);
	world_run(w);
	expect_nothing(bob);
}

static void
unavailable_goes_to_the_same(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");

	client_skip(bob);
	client_say(ann,
	    "<presence type='unavailable'><status>bye</status>"
	    "</presence>");
	world_run(w);
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a' "
	    "type='unavailable'><status>bye</status></presence>");
	client_say(ann, "<presence type='unavailable'/>");
	client_leave(ann);
	world_run(w);
	expect_nothing(bob); /* it was told */
}

static void
end_of_a_session_is_an_unavailable_presence(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");

	client_skip(bob);
	client_leave(ann);
	world_run(w);
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a' "
	    "type='unavailable'/>");
	expect_nothing(bob);
}

static void
coming_back_is_initial_again(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");

	client_say(bob, "<presence type='unavailable'/>");
	world_run(w);
	client_skip(bob);
	client_say(ann, "<presence><show>xa</show></presence>");
	world_run(w);
	expect_nothing(bob);
	client_say(bob, "<presence/>");
	world_run(w);
	expect(bob, "<presence to='" BOB "' from='" BOB "/b'/>");
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a'>"
	    "<show>xa</show></presence>");
	expect_nothing(bob);
}

/* ---- priorities -------------------------------------------------------- */

static void
priority_is_a_small_integer(void **state)
{
	static const struct {
		const char *text;
		bool takes;
	} rows[] = {
		{ "0", true },
		{ "127", true },
		{ " 5 ", true },
		{ "-1", false },
		{ "-128", false },
		{ "-129", true }, /* no priority: as if there were none */
		{ "128", true },
		{ "x", true },
		{ "-1x", true },
		{ "", true },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	struct client *bob = world_join(w, 0, BOB "/b", NULL);
	char text[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
		    "<presence><priority>%s</priority></presence>",
		    rows[i].text);
		client_say(bob, text);
		world_run(w);
		client_skip(bob);
		client_say(ann,
		    "<message to='" BOB "' type='headline'>"
		    "<body>b</body></message>");
		world_run(w);
		if (rows[i].takes)
			assert_true(str_starts(client_next(bob), "<message"));
		expect_nothing(bob);
	}
}

/* ---- to one (4.6) ------------------------------------------------------ */

static void
directed_presence_is_taken_back_at_the_end(void **state)
{
	struct world *w = *state;
	struct client *dora = world_join(w, 0, DORA "/d", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence to='" DORA "/d'/>");
	client_say(ann, "<presence to='" DORA "'><show>chat</show></presence>");
	world_run(w);
	expect(dora, "<presence from='" ANN "/a' to='" DORA "/d'/>");
	expect(dora,
	    "<presence from='" ANN "/a' to='" DORA "'>"
	    "<show>chat</show></presence>");
	client_leave(ann);
	world_run(w);
	assert_true(str_starts(client_next(dora), "<presence to='" DORA));
	expect_nothing(dora); /* one session, one word */
}

static void
directed_presence_is_taken_back_by_unavailable(void **state)
{
	struct world *w = *state;
	struct client *dora = world_join(w, 0, DORA "/d", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");

	client_say(ann, "<presence to='" DORA "'/>");
	client_say(ann, "<presence type='unavailable'/>");
	world_run(w);
	expect(dora, "<presence from='" ANN "/a' to='" DORA "'/>");
	expect(dora,
	    "<presence to='" DORA "' from='" ANN "/a' "
	    "type='unavailable'/>");
	client_leave(ann);
	world_run(w);
	expect_nothing(dora);
}

static void
directed_unavailable_settles_it(void **state)
{
	struct world *w = *state;
	struct client *dora = world_join(w, 0, DORA "/d", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence to='" DORA "'/>");
	client_say(ann, "<presence to='" DORA "' type='unavailable'/>");
	world_run(w);
	expect(dora, "<presence from='" ANN "/a' to='" DORA "'/>");
	expect(dora,
	    "<presence from='" ANN "/a' to='" DORA "' "
	    "type='unavailable'/>");
	client_leave(ann);
	world_run(w);
	expect_nothing(dora);
}

static void
directed_presence_to_who_is_not_there_is_dropped(void **state)
{
	struct world *w = *state;
	struct client *dora = world_join(w, 0, DORA "/d", NULL);
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence to='" DORA "'/>"); /* has sent none */
	client_say(ann, "<presence to='" DORA "/e'/>");
	client_say(ann, "<presence to='eve@example.org'/>");
	world_run(w);
	expect_nothing(dora);
	expect_nothing(ann);
	client_say(ann, "<presence to='eve@other.org'/>");
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<remote-server-not-found "));
}

static void
too_many_directed_presences_are_refused(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char text[128];

	for (int i = 0; i <= 1000; i++) {
		snprintf(text, sizeof(text),
		    "<presence to='u%d@cb1.example.org'/>", i);
		client_say(ann, text);
		if (i % 100 == 0)
			world_run(w);
	}
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<resource-constraint "));
	expect_nothing(ann);
}

/* ---- probes (4.3) ------------------------------------------------------ */

static void
probe_is_answered_to_those_who_may_see(void **state)
{
	static const struct {
		const char *who, *answer;
	} rows[] = {
		{ BOB "/b", "<presence to='" BOB "/b' from='" ANN "/a'/>" },
		{ CARL "/c", "<presence to='" CARL "/c' from='" ANN "/a'/>" },
		{ DORA "/d",
		    "<presence type='unsubscribed' from='" ANN "' to='" DORA
		    "/d'/>" },
	};
	struct world *w = *state;
	struct client *c;

	world_join(w, 0, ANN "/a", "<presence/>");
	for (size_t i = 0; i < 3; i++) {
		c = world_join(w, 0, rows[i].who, NULL);
		client_say(c, "<presence to='" ANN "' type='probe'/>");
		world_run(w);
		expect(c, rows[i].answer);
		expect_nothing(c);
	}
}

static void
probe_of_who_is_away_says_so(void **state)
{
	struct world *w = *state;
	struct client *bob = world_join(w, 0, BOB "/b", NULL);

	client_say(bob, "<presence to='" ANN "' type='probe'/>");
	client_say(bob, "<presence to='eve@example.org' type='probe'/>");
	world_run(w);
	expect(bob,
	    "<presence type='unavailable' from='" ANN "' to='" BOB "/b'/>");
	expect(bob,
	    "<presence type='unsubscribed' from='eve@example.org' "
	    "to='" BOB "/b'/>");
}

/* ---- components -------------------------------------------------------- */

static void
component_is_told_of_its_subscribers(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL), *ann;

	world_item(w, "ann", "one@" CB, true, true);
	world_item(w, "ann", "two@" CB, false, true);
	ann = world_join(w, 0, ANN "/a", NULL);
	client_say(ann, "<presence/>");
	world_run(w);
	/* All in one delivery. */
	expect(cb,
	    "<presence to='one@" CB "' from='" ANN "/a'/>"
	    "<presence to='two@" CB "' from='" ANN "/a'/>"
	    "<presence type='probe' from='" ANN "/a' to='one@" CB "'/>");
	client_say(cb, "<presence from='one@" CB "/r' to='" ANN "/a'/>");
	client_say(cb, "<presence from='one@" CB "' to='" ANN "'/>");
	world_run(w);
	client_next(ann); /* its own */
	expect(ann, "<presence from='one@" CB "/r' to='" ANN "/a'/>");
	expect(ann, "<presence from='one@" CB "' to='" ANN "'/>");
	client_leave(ann);
	world_run(w);
	expect(cb,
	    "<presence to='one@" CB "' from='" ANN "/a' "
	    "type='unavailable'/><presence to='two@" CB "' from='" ANN
	    "/a' type='unavailable'/>");
	expect_nothing(cb);
}

static void
component_with_directed_presence_is_told_of_the_end(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL);
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence to='room@" CB "/ann'/>");
	world_run(w);
	expect(cb, "<presence from='" ANN "/a' to='room@" CB "/ann'/>");
	client_leave(ann);
	world_run(w);
	expect(cb,
	    "<presence to='room@" CB "/ann' from='" ANN "/a' "
	    "type='unavailable'/>");
}

static void
component_may_probe_who_lets_it_see(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL);

	world_item(w, "ann", "one@" CB, false, true);
	world_join(w, 0, ANN "/a", "<presence/>");
	client_skip(cb);
	client_say(cb,
	    "<presence from='one@" CB "' to='" ANN "' "
	    "type='probe'/>");
	client_say(cb,
	    "<presence from='two@" CB "' to='" ANN "' "
	    "type='probe'/>");
	world_run(w);
	expect(cb, "<presence to='one@" CB "' from='" ANN "/a'/>");
	expect(cb,
	    "<presence type='unsubscribed' from='" ANN "' to='two@" CB "'/>");
}

/* ---- errors ------------------------------------------------------------ */

static void
malformed_presence_is_refused(void **state)
{
	static const char *const rows[] = {
		"<presence type='subscribe' id='1'/>",
		"<presence type='probe' id='1'/>",
		"<presence type='nonsense' id='1'/>",
		"<presence type='nonsense' to='" BOB "' id='1'/>",
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_say(ann, rows[i]);
		world_run(w);
		assert_non_null(strstr(client_next(ann), "<bad-request "));
	}
	client_say(ann, "<presence type='error'/>");
	world_run(w);
	expect_nothing(ann); /* never an error for an error */
}

static void
presence_error_goes_to_the_very_session(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, BOB "/1", "<presence/>");
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<presence type='error' to='" BOB "/1'/>");
	client_say(ann, "<presence type='error' to='" BOB "'/>");
	client_say(ann, "<presence type='error' to='" BOB "/2'/>");
	world_run(w);
	expect(one, "<presence from='" ANN "/a' to='" BOB "/1' type='error'/>");
	expect_nothing(one);
	expect_nothing(ann);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(presence_goes_to_those_who_may_see_it),
		T(later_presence_asks_nobody),
		T(own_sessions_are_told_of_each_other),
		T(session_without_presence_is_told_nothing),
		T(unavailable_goes_to_the_same),
		T(end_of_a_session_is_an_unavailable_presence),
		T(coming_back_is_initial_again),
		T(priority_is_a_small_integer),
		T(directed_presence_is_taken_back_at_the_end),
		T(directed_presence_is_taken_back_by_unavailable),
		T(directed_unavailable_settles_it),
		T(directed_presence_to_who_is_not_there_is_dropped),
		T(too_many_directed_presences_are_refused),
		T(probe_is_answered_to_those_who_may_see),
		T(probe_of_who_is_away_says_so),
		T(component_is_told_of_its_subscribers),
		T(component_with_directed_presence_is_told_of_the_end),
		T(component_may_probe_who_lets_it_see),
		T(malformed_presence_is_refused),
		T(presence_error_goes_to_the_very_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
