/*
 * Schedules made by hand: what a change of leader, a lost directory or a node
 * that is not heard from must not do. Each bears the name of the rule of
 * delivery(7) that it breaks without. Ann is on node 1, bob on node 2, each
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
#define CB "cb1.example.org"
#define CHAT(to, id)                                                           \
	"<message to='" to "' type='chat' id='" id "'><body>b</body></"        \
	"message>"

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
	world_account(f.w, "carl");
	world_account(f.w, "dora");
	world_component(f.w, "cb1");
	world_befriend(f.w, "ann", "bob");
	world_befriend(f.w, "ann", "carl");
	f.ann = world_join(f.w, 1, ANN "/x", "<presence/>");
	f.bob = world_join(f.w, 2, BOB "/x", "<presence/>");
	client_skip(f.ann);
	*state = &f;
	return 0;
}

/* In the end everything is at rest, and nothing is remembered. */
static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	for (unsigned i = 0; i < 3; i++)
		world_restart(w, i);
	world_heal(w);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 3000);
	assert_string_equal(w->problem, "");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(uplink_unacked(w->nodes[i].uplink), 0);
		assert_int_equal(uplink_accepted(w->nodes[i].uplink), 0);
	}
	world_free(w);
	return 0;
}

static void
all_up(struct world *w, unsigned node)
{
	while (world_up(w, node))
		;
}

static void
all_down(struct world *w, unsigned node)
{
	while (world_down(w, node))
		;
}

static void
assert_message(struct client *c, const char *id)
{
	const char *got = client_next(c);
	char mark[32];

	snprintf(mark, sizeof(mark), " id='%s'", id);
	if (strstr(got, mark) == NULL)
		print_error("not %s: %s\n", id, got);
	assert_non_null(strstr(got, mark));
}

/* Whether the client was ever sent a stanza with this in it. */
static bool
had(const struct client *c, const char *mark)
{
	const struct got *g;

	TAILQ_FOREACH(g, &c->got, next)
		if (strstr(g->text, mark) != NULL)
			return true;
	return false;
}

/* ---- once -------------------------------------------------------------- */

/* Rule 8, `counted`. */
static void
session_is_no_target_before_a_majority_has_it(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl;

	world_unmirror(w, 1);
	world_unmirror(w, 2);
	carl = world_login(w, 2, "carl@example.org/x");
	all_up(w, 2);
	client_say(f->ann, CHAT("carl@example.org/x", "m0"));
	all_up(w, 1);
	all_down(w, 2);
	expect_nothing(carl);
	world_run(w);
	assert_int_not_equal(carl->bound, 0);
	client_say(carl, "<presence/>");
	world_run(w);
	assert_true(had(carl, " id='m0'"));
}

/* Rules 1 and 5: what was accepted, and the report of it got lost. */
static void
message_whose_acceptance_was_not_heard_comes_once(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	client_say(f->ann, CHAT(BOB, "m0"));
	all_up(w, 1);
	all_down(w, 2);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_message(f->bob, "m0");
	expect_nothing(f->bob);
}

static void
frame_that_comes_again_is_known(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	client_say(f->ann, CHAT(BOB, "m0"));
	all_up(w, 1);
	all_down(w, 2);
	all_up(w, 2); /* it is done; ann's edge has not heard */
	client_leave(f->bob);
	world_flow(w, 1);
	world_unlink(w, 1);
	world_run(w);
	assert_int_equal(uplink_unacked(w->nodes[1].uplink), 0);
	assert_int_equal(store_row_count(w->store), 0);
}

/* A session is gone, but its window keeps its edge from saying so. */
static void
session_that_refuses_is_no_target(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl, *dora;

	w->window = 2;
	carl = world_join(w, 2, "carl@example.org/x", "<presence/>");
	dora = world_join(w, 0, "dora@example.org/x", NULL);
	world_unlink(w, 1);
	world_cut(w, 0, 1);
	for (int i = 0; i < 3; i++)
		client_say(carl, CHAT(ANN "/x", "m1")); /* held */
	client_leave(carl);
	client_say(dora, CHAT("carl@example.org", "m0"));
	assert_true(world_flow(w, 1));
	assert_int_equal(store_row_count(w->store), 1);
}

/* Rule 1: stored, and the acknowledgement got lost. */
static void
message_that_was_stored_is_not_stored_again(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	client_say(f->ann, CHAT("carl@example.org", "m0"));
	all_up(w, 1);
	world_elect(w, 1, 1U << 2, 1); /* its command survives */
	world_wait(w, 1000);
	assert_int_equal(store_row_count(w->store), 1);
}

/* Rule 5, `later_done`: the report of the first is lost with its node, but the
 * second can't have been stored before the first was done. */
static void
message_before_one_that_was_stored_is_done(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl =
	    world_join(w, 0, "carl@example.org/x", "<presence/>");

	client_say(f->ann, CHAT("carl@example.org", "m0"));
	all_up(w, 1);
	all_down(w, 0);
	all_up(w, 0);
	assert_true(had(carl, " id='m0'"));
	client_leave(carl);
	world_flow(w, 1);
	client_say(f->ann, CHAT("carl@example.org", "m1"));
	all_up(w, 1);
	world_commit(w);
	assert_int_equal(store_row_count(w->store), 1);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 200);
	assert_int_equal(store_row_count(w->store), 1);
	carl = world_join(w, 2, "carl@example.org/x", NULL);
	client_say(carl, "<presence/>");
	world_run(w);
	assert_true(had(carl, " id='m1'"));
	assert_false(had(carl, " id='m0'"));
}

/* Rule 9, `full_waits`. */
static void
address_that_moved_waits_for_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *again, *dora;

	client_leave(f->ann);
	dora = world_join(w, 1, "dora@example.org/x", NULL);
	client_say(dora, CHAT(BOB "/x", "m0"));
	all_up(w, 1);
	all_down(w, 2);
	all_up(w, 2);
	client_leave(f->bob);
	world_flow(w, 1);
	again = world_login(w, 0, BOB "/x");
	world_flow(w, 1);
	assert_int_not_equal(again->bound, 0);
	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	assert_false(had(again, " id='m0'"));
	world_run(w);
	world_wait(w, 1000);
	assert_false(had(again, " id='m0'"));
}

/* Rule 9, `grace`: a resent message to one who seems to be away. */
static void
resent_message_waits_for_all_or_for_grace(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *dora;

	client_leave(f->ann);
	dora = world_join(w, 1, "dora@example.org/x", NULL);
	client_say(dora, CHAT(BOB, "m0"));
	all_up(w, 1);
	all_down(w, 2);
	all_up(w, 2);
	client_leave(f->bob);
	world_flow(w, 1);
	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	world_tick(w, WORLD_GRACE / 2);
	world_flow(w, 2);
	assert_int_equal(store_row_count(w->store), 0);
	world_run(w);
	world_wait(w, 1000);
	assert_int_equal(store_row_count(w->store), 0);
}

/* Rule 9, `at_once`: what is new does not wait for a node not heard from. */
static void
new_things_wait_for_nobody(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl =
			  world_join(w, 0, "carl@example.org/x", "<presence/>"),
		      *more;

	client_skip(f->ann);
	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	client_say(f->ann, CHAT("carl@example.org", "m0"));
	client_say(f->ann,
	    "<iq type='get' id='i0' to='carl@example.org/z'>"
	    "<q xmlns='x'/></iq>");
	more = world_login(w, 0, "carl@example.org/y");
	world_flow(w, 2);
	assert_message(carl, "m0");
	assert_message(f->ann, "i0");
	assert_int_not_equal(more->bound, 0);
}

/* Rule 9: bob's node is not heard from; he is held, not away. */
static void
held_session_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	client_say(f->ann, CHAT(BOB, "m0"));
	world_flow(w, 2);
	assert_int_equal(store_row_count(w->store), 0);
	world_run(w);
	assert_message(f->bob, "m0");
}

static void
session_given_up_leaves_its_messages(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	world_crash(w, 2);
	client_say(f->ann, CHAT(BOB, "m0"));
	world_wait(w, WORLD_HOLD + WORLD_MARGIN - 200);
	assert_int_equal(store_row_count(w->store), 0);
	expect_nothing(f->ann);
	world_wait(w, 400);
	assert_int_equal(store_row_count(w->store), 1);
	expect(f->ann,
	    "<presence to='" ANN "' from='" BOB "/x' "
	    "type='unavailable'/>");
}

/* Rule 7: rows wait while one who may have had them is held. */
static void
row_waits_for_a_held_session(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more;

	client_say(f->bob, "<presence type='unavailable'/>");
	world_run(w);
	client_say(f->ann, CHAT(BOB, "m0"));
	world_run(w);
	client_say(f->bob, "<presence/>");
	all_up(w, 2);
	while (world_mirror(w, 1) || world_ack(w, 1))
		;
	all_down(w, 2);
	assert_true(had(f->bob, " id='m0'"));
	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	more = world_login(w, 0, BOB "/y");
	world_flow(w, 2);
	client_say(more, "<presence/>");
	world_flow(w, 2);
	world_tick(w, WORLD_GRACE);
	world_flow(w, 2);
	assert_false(had(more, " id='m0'"));
	world_run(w);
	assert_false(had(more, " id='m0'"));
	assert_int_equal(store_row_count(w->store), 0);
}

/* Rule 9, `grace`: and for one that had some and has ended. */
static void
row_waits_for_grace(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more;

	client_leave(f->ann);
	client_say(f->bob, "<presence type='unavailable'/>");
	world_run(w);
	more = world_join(w, 1, "dora@example.org/x", NULL);
	client_say(more, CHAT(BOB, "m0"));
	world_run(w);
	client_say(f->bob, "<presence/>");
	all_up(w, 2);
	while (world_mirror(w, 1) || world_ack(w, 1))
		;
	all_down(w, 2); /* bob has the row; its link breaks */
	assert_true(had(f->bob, " id='m0'"));
	world_unlink(w, 2);
	client_leave(f->bob);
	/* The leader is told of the end by a link that breaks again. */
	world_link(w, 2, 0);
	world_elect(w, 1, 1U << 0, 0);
	world_flow(w, 2);
	more = world_login(w, 0, BOB "/y");
	world_flow(w, 2);
	client_say(more, "<presence/>");
	world_flow(w, 2);
	assert_false(had(more, " id='m0'"));
	world_run(w);
	world_wait(w, 1000);
	assert_false(had(more, " id='m0'"));
	assert_int_equal(store_row_count(w->store), 0);
}

/* ---- presence ---------------------------------------------------------- */

/* Rule 2, `probe_ids`: ann has heard of bob, not of carl yet; bob goes. */
static void
what_one_was_told_is_named_by_whom_it_tells_of(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more;

	world_join(w, 0, "carl@example.org/x", "<presence/>");
	client_leave(f->ann);
	world_run(w);
	more = world_join(w, 1, ANN "/y", NULL);
	client_say(more, "<presence/>");
	all_up(w, 1);
	while (world_mirror(w, 2) || world_ack(w, 2))
		;
	while (!had(more, " from='" BOB "/x'"))
		assert_true(world_down(w, 1));
	assert_false(had(more, " from='carl@example.org/x'"));
	client_leave(f->bob);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_true(had(more, " from='carl@example.org/x'"));
	assert_true(had(more, " from='" BOB "/x' type='unavailable'"));
}

/* Rule 3, `gone_once`: bob was told that ann is gone, and the leader with it.
 */
static void
end_that_was_told_is_the_end(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more;

	client_leave(f->ann);
	all_up(w, 1);
	all_down(w, 2);
	assert_true(had(f->bob, " type='unavailable'"));
	world_elect(w, 2, 1U << 1, 0);
	world_cut(w, 1, 0);
	world_cut(w, 1, 2);
	world_run(w);
	more = world_join(w, 0, BOB "/y", NULL);
	client_say(more, "<presence/>");
	world_run(w);
	assert_true(had(more, " from='" BOB "/x'"));
	assert_false(had(more, " from='" ANN "/x'"));
}

/* An unavailable presence is being told when its session ends, and then the
 * leader: the new one owes bob a word. */
static void
end_goes_on_with_what_unavailable_has_begun(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	world_unlink(w, 2);
	client_say(f->ann, "<presence type='unavailable'/>");
	while (world_up(w, 1) || world_mirror(w, 1) || world_ack(w, 1))
		;
	client_leave(f->ann);
	while (world_up(w, 1) || world_down(w, 1) || world_mirror(w, 1) ||
	    world_ack(w, 1))
		;
	world_elect(w, 1, 1U << 0, 0);
	world_run(w);
	assert_true(had(f->bob, " from='" ANN "/x' type='unavailable'"));
}

/* RFC 6121, 4.6.3: whoever leads then. */
static void
directed_presence_is_taken_back_by_the_next_leader(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl = world_join(w, 0, "carl@example.org/x", NULL);

	client_say(f->bob, "<presence to='carl@example.org/x'/>");
	world_run(w);
	assert_true(had(carl, " from='" BOB "/x'"));
	world_crash(w, 2);
	world_elect(w, 1, 1U << 0, 0);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 200);
	assert_true(had(carl, " from='" BOB "/x' type='unavailable'"));
}

/* Presence to dora waits behind a message that she can't take yet; what is said
 * to all after it must not overtake it. */
static void
presence_to_one_and_to_all_keeps_its_order(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *dora =
	    world_join(w, 2, "dora@example.org/x", "<presence/>");

	world_unlink(w, 2);
	client_say(f->ann, CHAT("dora@example.org/x", "m0"));
	client_say(f->ann, "<presence to='dora@example.org/x'/>");
	client_say(f->ann, "<presence type='unavailable'/>");
	world_flow(w, 2);
	world_run(w);
	assert_message(dora, "m0");
	expect(dora, "<presence from='" ANN "/x' to='dora@example.org/x'/>");
	expect(dora,
	    "<presence to='dora@example.org/x' from='" ANN "/x' "
	    "type='unavailable'/>");
}

/* One of two had it, and neither is there when the other is given up. */
static void
message_that_one_has_taken_is_done(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *dora = world_join(w, 0, "dora@example.org/x", NULL);

	world_join(w, 1, BOB "/y", "<presence/>");
	world_crash(w, 1);
	client_say(dora, CHAT(BOB, "m0"));
	world_run(w);
	assert_true(had(f->bob, " id='m0'"));
	client_leave(f->bob);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 200);
	assert_int_equal(store_row_count(w->store), 0);
	expect_nothing(dora);
}

/* ---- rosters ----------------------------------------------------------- */

/* Rule 1: the change was applied, and nobody told; the new leader does. */
static void
change_of_a_subscription_is_told_by_the_next_leader(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	const char *roster =
	    "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>";

	client_say(f->ann, roster);
	client_say(f->bob, roster);
	world_run(w);
	client_say(f->ann, "<presence to='" BOB "' type='unsubscribed'/>");
	all_up(w, 1);
	world_elect(w, 1, 1U << 2, 1); /* its command survives */
	world_wait(w, 1000);
	assert_true(had(f->ann, "<item jid='" BOB "' subscription='to'>"));
	assert_true(had(f->bob, "<item jid='" ANN "' subscription='from'>"));
	assert_true(had(f->bob, " type='unsubscribed'"));
	assert_true(had(f->bob, "<presence type='unavailable' from='" ANN));
}

/* A change is pushed also to a session that is held; what follows it need not
 * wait for that. */
static void
request_does_not_wait_for_pushes(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *more = world_join(w, 2, ANN "/y", NULL);
	const char *roster =
	    "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>";

	client_say(more, roster);
	world_run(w);
	world_unlink(w, 2);
	client_say(f->ann,
	    "<iq type='set' id='s'>"
	    "<query xmlns='jabber:iq:roster'>"
	    "<item jid='dora@example.org'/></query></iq>");
	client_say(f->ann, roster);
	world_flow(w, 2);
	assert_true(had(f->ann, "<iq type='result' id='s'"));
	assert_true(had(f->ann, "<iq type='result' id='g'"));
	world_run(w);
	assert_true(had(more, "<iq type='set' id='push-"));
}

/* ---- a lost directory -------------------------------------------------- */

/* Bob's node doesn't know of his session, and those who did forget it. */
static void
lose_directory(struct world *w)
{
	world_crash(w, 0);
	world_crash(w, 1);
	world_restart(w, 0);
	world_restart(w, 1);
	world_elect(w, 0, 1U << 1, 0);
}

static struct client *
join_unknown(struct world *w, const char *full)
{
	struct client *c;

	world_unmirror(w, 2);
	c = world_login(w, 2, full);
	while (world_up(w, 2) || world_mirror(w, 1) || world_ack(w, 1) ||
	    world_down(w, 2))
		;
	assert_int_not_equal(c->bound, 0);
	return c;
}

/* Rules 8 and 9. */
static void
session_that_no_directory_has_goes_on(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl = join_unknown(w, "carl@example.org/x");

	lose_directory(w);
	client_say(f->bob, CHAT("carl@example.org/x", "m1"));
	client_say(carl, CHAT(BOB, "m0"));
	client_say(carl,
	    "<iq type='get' id='i0' to='example.org'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>");
	world_wait(w, 1000);
	assert_int_equal(carl->ended, 0);
	assert_true(had(carl, "<iq type='result' id='i0'"));
	assert_true(had(f->bob, " id='m0'"));
	assert_true(had(carl, " id='m1'"));
}

/* Rule 9, `hold_unknown`: nothing is bound anew, or stored, before all voters
 * have announced. */
static void
address_is_perhaps_held_without_a_directory(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *carl = join_unknown(w, "carl@example.org/x");
	struct client *again, *ann;

	(void)f;
	client_say(carl, "<presence/>");
	while (world_up(w, 2) || world_mirror(w, 1) || world_ack(w, 1) ||
	    world_down(w, 2))
		;
	lose_directory(w);
	world_copy(w, 2);
	again = world_login(w, 0, "carl@example.org/x");
	ann = world_login(w, 1, ANN "/y");
	world_flow(w, 2);
	assert_int_equal(again->bound, 0);
	assert_int_equal(ann->bound, 0);
	world_run(w);
	assert_int_not_equal(again->bound, 0);
	assert_int_not_equal(ann->bound, 0);
	assert_string_equal(carl->kicked, "conflict");
}

/* ---- sessions ---------------------------------------------------------- */

/* Rule 10: also when the kick got lost with its link. */
static void
kick_is_repeated_after_a_relink(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *again = world_login(w, 1, BOB "/x");

	all_up(w, 1);
	world_unlink(w, 2);
	world_run(w);
	assert_string_equal(f->bob->kicked, "conflict");
	assert_int_not_equal(again->bound, 0);
	assert_true(again->bound > f->bob->ended);
}

/* Rule 10: the old one's node is gone, and with it its word. */
static void
address_of_a_dead_node_is_free_after_hold(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *again;

	world_crash(w, 2);
	again = world_login(w, 1, BOB "/x");
	world_wait(w, WORLD_HOLD + WORLD_MARGIN - 200);
	assert_int_equal(again->bound, 0);
	world_wait(w, 400);
	assert_int_not_equal(again->bound, 0);
}

/* Rule 5, `stale_bind`: it would have another kicked. */
static void
bind_that_was_left_has_no_effect(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *left = world_login(w, 0, "carl@example.org/x"), *carl;

	all_up(w, 0);
	client_leave(left);
	world_elect(w, 1, 1U << 2, 0);
	world_flow(w, 0);
	carl = world_login(w, 2, "carl@example.org/x");
	world_flow(w, 0);
	assert_int_not_equal(carl->bound, 0);
	world_run(w);
	assert_int_equal(carl->ended, 0);
	assert_int_equal(router_stats(w->nodes[1].router).sessions, 3);
	(void)f;
}

/* ---- components -------------------------------------------------------- */

/* The newest login is let in at once, though its old node isn't heard from. */
static void
component_supersedes_a_session_that_is_held(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_join(w, 2, CB, NULL), *new;

	client_say(f->ann, CHAT("room@" CB, "m0"));
	world_run(w);
	assert_message(old, "m0");
	world_crash(w, 2);
	client_say(f->ann, CHAT("room@" CB, "m1"));
	world_run(w);
	expect_nothing(f->ann); /* it waits */
	new = world_login(w, 1, CB);
	world_run(w);
	assert_int_not_equal(new->bound, 0);
	assert_message(new, "m1");
	expect_nothing(new);
}

/* The old one is on a node that stands still: its link is up. */
static void
component_supersedes_a_session_that_is_silent(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_join(w, 2, CB, NULL), *new;

	client_say(f->ann, CHAT("room@" CB, "m0"));
	world_flow(w, 2);
	new = world_login(w, 1, CB);
	world_flow(w, 2);
	assert_int_equal(new->bound, 0); /* its word is waited for, */
	world_tick(w, WORLD_GRACE);
	world_flow(w, 2); /* but not long */
	assert_int_not_equal(new->bound, 0);
	assert_message(new, "m0");
	world_run(w);
	assert_string_equal(old->kicked, "conflict");
	expect_nothing(new);
	expect_nothing(f->ann);
}

/* In the ordinary case nothing comes to both. */
static void
component_hands_over_what_it_has_not_taken(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_join(w, 2, CB, NULL), *new;
	unsigned taken = 0;
	char text[128];

	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text),
		    "<message to='r%d@" CB "' id='m%d'><body>b</body>"
		    "</message>",
		    i, i);
		client_say(f->ann, text);
	}
	all_up(w, 1);
	for (int i = 0; i < 7; i++)
		world_down(w, 2);
	new = world_login(w, 0, CB);
	world_run(w);
	assert_string_equal(old->kicked, "conflict");
	assert_int_not_equal(new->bound, 0);
	while (*client_next(old) != '\0')
		taken++;
	while (*client_next(new) != '\0')
		taken++;
	assert_int_equal(taken, 20);
	expect_nothing(f->ann);
}

/* Its old session was superseded, and its server comes back with it. */
static void
component_that_was_superseded_is_told(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_join(w, 2, CB, NULL), *new;

	world_unlink(w, 2);
	new = world_login(w, 1, CB);
	world_flow(w, 2);
	assert_int_not_equal(new->bound, 0);
	assert_int_equal(old->ended, 0);
	world_run(w);
	assert_string_equal(old->kicked, "conflict");
	assert_int_equal(new->ended, 0);
	(void)f;
}

/* Even before it was told that it had logged in. */
static void
component_that_was_superseded_at_its_login_is_told(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_login(w, 2, CB), *new;

	all_up(w, 2);
	world_unlink(w, 2);
	new = world_login(w, 1, CB);
	world_flow(w, 2);
	assert_int_not_equal(new->bound, 0);
	world_run(w);
	assert_int_equal(old->bound, 0);
	assert_non_null(old->kicked);
	assert_string_equal(old->kicked, "conflict");
	assert_int_equal(new->ended, 0);
}

/* Also when the newer one has gone: it was ended. */
static void
component_that_was_superseded_is_not_revived(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;
	struct client *old = world_join(w, 2, CB, NULL), *new;

	world_unlink(w, 2);
	new = world_login(w, 1, CB);
	world_flow(w, 2);
	client_leave(new);
	world_flow(w, 2);
	world_run(w);
	assert_string_equal(old->kicked, "conflict");
	assert_int_equal(router_stats(w->nodes[0].router).sessions, 2);
	(void)f;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(session_is_no_target_before_a_majority_has_it),
		T(message_whose_acceptance_was_not_heard_comes_once),
		T(frame_that_comes_again_is_known),
		T(session_that_refuses_is_no_target),
		T(message_that_was_stored_is_not_stored_again),
		T(message_before_one_that_was_stored_is_done),
		T(address_that_moved_waits_for_where_it_was),
		T(resent_message_waits_for_all_or_for_grace),
		T(new_things_wait_for_nobody),
		T(held_session_is_waited_for),
		T(session_given_up_leaves_its_messages),
		T(row_waits_for_a_held_session),
		T(row_waits_for_grace),
		T(what_one_was_told_is_named_by_whom_it_tells_of),
		T(end_that_was_told_is_the_end),
		T(end_goes_on_with_what_unavailable_has_begun),
		T(directed_presence_is_taken_back_by_the_next_leader),
		T(presence_to_one_and_to_all_keeps_its_order),
		T(message_that_one_has_taken_is_done),
		T(change_of_a_subscription_is_told_by_the_next_leader),
		T(request_does_not_wait_for_pushes),
		T(session_that_no_directory_has_goes_on),
		T(address_is_perhaps_held_without_a_directory),
		T(kick_is_repeated_after_a_relink),
		T(address_of_a_dead_node_is_free_after_hold),
		T(bind_that_was_left_has_no_effect),
		T(component_supersedes_a_session_that_is_held),
		T(component_supersedes_a_session_that_is_silent),
		T(component_hands_over_what_it_has_not_taken),
		T(component_that_was_superseded_is_told),
		T(component_that_was_superseded_at_its_login_is_told),
		T(component_that_was_superseded_is_not_revived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
