/*
 * Accounts that are deleted or made anew, and roster pushes that are due:
 * whatever leader is there to tell. Ann is on node 1, bob on node 2, each
 * other's contacts; node 0 leads first.
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
#define GW "gw.example.org"
#define FRIEND "friend@gw.example.org"
#define GET "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>"
#define SET(item)                                                              \
	"<iq type='set' id='s'><query xmlns='jabber:iq:roster'>" item          \
	"</query></iq>"
#define GONE "<presence to='" BOB "' from='" ANN "/x' type='unavailable'/>"

struct fixture {
	struct world *w;
	struct client *ann, *bob;
};

static int
setup(void **state)
{
	static struct fixture f;

	f.w = world_new(3);
	world_account(f.w, "ann");
	world_account(f.w, "bob");
	world_component(f.w, "gw");
	world_befriend(f.w, "ann", "bob");
	f.ann = world_join(f.w, 1, ANN "/x", "<presence/>");
	f.bob = world_join(f.w, 2, BOB "/x", "<presence/>");
	client_say(f.bob, GET);
	world_run(f.w);
	client_skip(f.ann);
	client_skip(f.bob);
	*state = &f;
	return 0;
}

/* In the end everything is at rest, and nothing is remembered. */
static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct store_gone gone;

	for (unsigned i = 0; i < 3; i++)
		world_restart(w, i);
	world_heal(w);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 3000);
	assert_string_equal(w->problem, "");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(uplink_unacked(w->nodes[i].uplink), 0);
		assert_int_equal(uplink_accepted(w->nodes[i].uplink), 0);
	}
	assert_int_equal(store_gone(w->store, &gone, 1), 0);
	world_free(w);
	return 0;
}

/* How often the client was sent a stanza with this in it. */
static unsigned
times(const struct client *c, const char *mark)
{
	const struct got *g;
	unsigned count = 0;

	TAILQ_FOREACH(g, &c->got, next)
		count += strstr(g->text, mark) != NULL;
	return count;
}

/* Applied, and the leader dies before it has heard of it. */
static void
delete_unheard(struct world *w, const char *local)
{
	struct buf b = { 0 };

	w->quiet = true;
	store_cmd_account_del(&b, local);
	world_command(w, &b);
	w->quiet = false;
}

static bool
shares_nothing(struct world *w, const char *local, const char *contact)
{
	struct store_roster roster;
	bool nothing = true;

	store_roster(w->store, local, &roster);
	for (size_t i = 0; i < roster.count; i++)
		if (strcmp(roster.items[i].contact, contact) == 0)
			nothing = !roster.items[i].to && !roster.items[i].from;
	store_roster_clear(&roster);
	return nothing;
}

/* ---- deleted ----------------------------------------------------------- */

static void
contacts_are_told_by_the_next_leader(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	delete_unheard(w, "ann");
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_non_null(strstr(f->ann->kicked, "not-authorized"));
	assert_int_equal(times(f->bob, GONE), 1);
	assert_int_equal(
	    times(f->bob, "<item jid='" ANN "' subscription='none'>"), 1);
	assert_true(shares_nothing(w, "bob", ANN));
}

/* Its own node dies with the leader: when hold is over. */
static void
contacts_are_told_of_a_session_on_a_dead_node(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more = world_join(w, 0, ANN "/y", "<presence/>");

	(void)more;
	delete_unheard(w, "ann");
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 300);
	assert_int_equal(times(f->bob, GONE), 1);
	assert_int_equal(
	    times(f->bob, "from='" ANN "/y' type='unavailable'"), 1);
}

/* The first has told bob, but nobody has heard that. */
static void
contacts_are_told_once_by_two_leaders(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct buf b = { 0 };

	store_cmd_account_del(&b, "ann");
	world_command(w, &b);
	while (world_down(w, 1))
		;
	while (world_up(w, 1))
		;
	while (world_down(w, 2))
		;
	assert_int_equal(times(f->bob, GONE), 1);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_int_equal(times(f->bob, GONE), 1);
	assert_int_equal(
	    times(f->bob, "<item jid='" ANN "' subscription='none'>"), 1);
	assert_int_equal(times(f->bob, "type='unsubscribed'"), 1);
}

/* Nobody leads until all streams are closed. */
static void
contacts_are_told_after_a_time_without_a_leader(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *bob;

	delete_unheard(w, "ann");
	world_depose(w, 0);
	world_tick(w, WORLD_HOLD);
	assert_int_not_equal(f->ann->ended, 0);
	bob = world_login(w, 2, BOB "/y");
	world_elect(w, 1, 1U << 2, 0);
	world_flow(w, 1);
	client_say(bob, "<presence/>");
	world_flow(w, 1);
	assert_int_not_equal(bob->bound, 0);
	world_run(w);
	assert_int_equal(times(bob, "from='" ANN "/x' type='unavailable'"), 1);
}

/* ---- made anew --------------------------------------------------------- */

static void
session_of_the_older_account_ends(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *again;

	delete_unheard(w, "ann");
	w->quiet = true;
	world_account(w, "ann");
	w->quiet = false;
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	again = world_login(w, 2, ANN "/x");
	world_wait(w, 1000);
	assert_non_null(strstr(f->ann->kicked, "not-authorized"));
	assert_int_equal(times(f->bob, GONE), 1);
	assert_int_not_equal(again->bound, 0);
	assert_int_equal(again->ended, 0);
	client_skip(f->bob);
	client_say(again, "<presence/>");
	world_run(w);
	expect_nothing(f->bob);
}

/* What it says before its edge knows has no effect on the new one. */
static void
older_account_changes_nothing_of_the_newer(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct store_roster roster;
	struct buf b = { 0 };

	store_cmd_account_del(&b, "ann");
	world_command(w, &b);
	world_account(w, "ann");
	client_say(f->ann, SET("<item jid='x@example.org'/>"));
	client_say(f->ann, "<presence to='" BOB "' type='subscribe'/>");
	while (world_up(w, 1))
		;
	world_run(w);
	store_roster(w->store, "ann", &roster);
	assert_int_equal(roster.count, 0);
	store_roster_clear(&roster);
	assert_int_equal(times(f->bob, "type='subscribe'"), 0);
}

/* The directory is lost with most nodes; the edge still knows. */
static void
edge_says_which_account_a_session_is_of(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	delete_unheard(w, "ann");
	w->quiet = true;
	world_account(w, "ann");
	w->quiet = false;
	world_crash(w, 0);
	world_crash(w, 2);
	world_restart(w, 0);
	world_restart(w, 2);
	world_elect(w, 0, 1U << 2, 0);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 1000);
	assert_non_null(f->ann->kicked);
	assert_non_null(strstr(f->ann->kicked, "not-authorized"));
}

/* ---- components -------------------------------------------------------- */

/* It isn't there, and leaders come and go. */
static void
component_is_told_when_it_is_there(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *gw;

	world_item(w, "ann", FRIEND, true, true);
	delete_unheard(w, "ann");
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 5000);
	gw = world_join(w, 2, GW, NULL);
	world_wait(w, 1000);
	assert_int_equal(times(gw,
			     "<presence type='unsubscribe' from='" ANN
			     "' to='" FRIEND "'/>"),
	    1);
	assert_int_equal(times(gw,
			     "<presence type='unsubscribed' from='" ANN
			     "' to='" FRIEND "'/>"),
	    1);
	client_leave(gw);
	world_run(w);
	gw = world_join(w, 2, GW, NULL);
	world_wait(w, 1000);
	expect_nothing(gw);
}

static void
component_that_is_there_is_told_at_once(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *gw = world_join(w, 0, GW, NULL);
	struct buf b = { 0 };

	world_item(w, "ann", FRIEND, true, true);
	store_cmd_account_del(&b, "ann");
	world_command(w, &b);
	world_wait(w, 1000);
	assert_int_equal(times(gw, "type='unsubscribed'"), 1);
	assert_int_equal(times(gw, "type='unavailable'"), 1);
	assert_int_equal(store_row_count(w->store), 0);
}

/* ---- pushes ------------------------------------------------------------ */

/* Who changed it is gone with the leader; the change is committed. */
static void
push_is_due_from_the_commit(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *two = world_join(w, 2, ANN "/y", NULL);
	struct client *gone = world_join(w, 0, ANN "/z", NULL);

	client_say(f->ann, GET);
	client_say(two, GET);
	world_run(w);
	client_say(gone, SET("<item jid='dora@example.org' name='D'/>"));
	client_say(gone, SET("<item jid='" BOB "' subscription='remove'/>"));
	while (world_up(w, 0))
		;
	world_commit(w);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 9);
	world_wait(w, 1000);
	assert_int_equal(times(f->ann, "<item jid='dora@example.org'"), 1);
	assert_int_equal(times(two, "<item jid='dora@example.org'"), 1);
	assert_int_equal(
	    times(f->ann, "<item jid='" BOB "' subscription='remove'"), 1);
	assert_int_equal(
	    times(two, "<item jid='" BOB "' subscription='remove'"), 1);
	assert_int_equal(
	    times(f->bob, "<item jid='" ANN "' subscription='none'"), 1);
}

/* What was pushed is known by the session's edge. */
static void
push_comes_once(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	client_say(f->bob, SET("<item jid='dora@example.org' name='D'/>"));
	while (world_up(w, 2))
		;
	world_commit(w);
	while (world_down(w, 2))
		;
	assert_int_equal(times(f->bob, "<item jid='dora@example.org'"), 1);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_int_equal(times(f->bob, "<item jid='dora@example.org'"), 1);
	assert_int_equal(times(f->bob, "<iq type='result' id='s'"), 1);
	world_unlink(w, 2);
	world_wait(w, 1000);
	assert_int_equal(times(f->bob, "<item jid='dora@example.org'"), 1);
}

/* Several changes come in the order of their versions. */
static void
pushes_come_in_the_order_of_versions(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	world_unlink(w, 2);
	w->quiet = true;
	world_item(w, "bob", "z@example.org", false, false);
	world_item(w, "bob", "y@example.org", false, false);
	world_item(w, "bob", "a@example.org", false, false);
	world_item(w, "bob", "z@example.org", false, false);
	w->quiet = false;
	world_elect(w, 1, 1U << 2, 0);
	world_run(w);
	assert_non_null(strstr(client_next(f->bob), "<item jid='y@"));
	assert_non_null(strstr(client_next(f->bob), "<item jid='a@"));
	assert_non_null(strstr(client_next(f->bob), "<item jid='z@"));
	expect_nothing(f->bob);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(contacts_are_told_by_the_next_leader),
		T(contacts_are_told_of_a_session_on_a_dead_node),
		T(contacts_are_told_once_by_two_leaders),
		T(contacts_are_told_after_a_time_without_a_leader),
		T(session_of_the_older_account_ends),
		T(older_account_changes_nothing_of_the_newer),
		T(edge_says_which_account_a_session_is_of),
		T(component_is_told_when_it_is_there),
		T(component_that_is_there_is_told_at_once),
		T(push_is_due_from_the_commit),
		T(push_comes_once),
		T(pushes_come_in_the_order_of_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
