/*
 * What a component is told when it logs in: who is here, and what it was asked.
 * Ann and bob have a gateway's contacts in their rosters; carl hasn't.
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
#define GW "gw.example.org"
#define FRIEND "friend@gw.example.org"

static int
setup(void **state)
{
	struct world *w = world_new(3);

	world_account(w, "ann");
	world_account(w, "bob");
	world_account(w, "carl");
	world_component(w, "gw");
	world_component(w, "other");
	world_run(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++)
		world_restart(w, i);
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
ask(struct world *w, const char *local, const char *contact)
{
	struct store_roster_item item = { .ask = 1, .visible = 1 };

	item.contact = xstrdup(contact);
	world_roster_item(w, local, &item);
	store_roster_item_clear(&item);
}

/* What a component was sent since it was last read, in one text. */
static const char *
all_of(struct client *c)
{
	static char text[1 << 18];
	const char *got;
	size_t len = 0;

	text[0] = '\0';
	while (*(got = client_next(c)) != '\0')
		len +=
		    (size_t)snprintf(text + len, sizeof(text) - len, "%s", got);
	return text;
}

static unsigned
count_of(const char *text, const char *mark)
{
	unsigned count = 0;

	while ((text = strstr(text, mark)) != NULL) {
		text += strlen(mark);
		count++;
	}
	return count;
}

/* RFC 6121, 4.3: so that it shows the contacts' presence again, and knows whose
 * presence it may show. */
static void
component_learns_who_is_here(void **state)
{
	struct world *w = *state;
	struct client *gw;

	world_item(w, "ann", FRIEND, true, true);
	world_item(w, "ann", GW, false, true);
	world_item(w, "bob", FRIEND, true, false);
	world_item(w, "carl", FRIEND, true, true); /* isn't here */
	world_item(w, "bob", "x@other.example.org", true, true);
	world_item(w, "bob", ANN, true, true);
	world_join(w, 0, ANN "/1", "<presence/>");
	world_join(w, 1, ANN "/2", "<presence><show>away</show></presence>");
	world_join(w, 2, ANN "/3", NULL);
	world_join(w, 2, BOB "/1", "<presence/>");
	gw = world_join(w, 1, GW, NULL);
	assert_string_equal(all_of(gw),
	    "<presence to='" FRIEND "' from='" ANN "/1'/>"
	    "<presence to='" FRIEND "' from='" ANN "/2'>"
	    "<show>away</show></presence>"
	    "<presence type='probe' from='" ANN "' to='" FRIEND "'/>"
	    "<presence to='" GW "' from='" ANN "/1'/>"
	    "<presence to='" GW "' from='" ANN "/2'>"
	    "<show>away</show></presence>"
	    "<presence type='probe' from='" BOB "' to='" FRIEND "'/>");
}

/* After its restart: what it answers is shown to those who are here. */
static void
contacts_of_a_restarted_component_are_back(void **state)
{
	struct world *w = *state;
	struct client *gw = world_join(w, 0, GW, NULL), *ann;

	world_item(w, "ann", FRIEND, true, true);
	ann = world_join(w, 1, ANN "/1", "<presence/>");
	client_leave(gw);
	world_run(w);
	gw = world_join(w, 2, GW, NULL);
	assert_non_null(strstr(all_of(gw),
	    "<presence type='probe' from='" ANN "' to='" FRIEND "'/>"));
	client_say(gw, "<presence from='" FRIEND "' to='" ANN "'/>");
	world_run(w);
	expect(ann, "<presence from='" FRIEND "' to='" ANN "'/>");
}

/* RFC 6121, 3.1.2: also for one who isn't here. */
static void
component_is_asked_what_it_missed(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/1", "<presence/>"), *gw;

	client_say(ann, "<presence to='" FRIEND "' type='subscribe'/>");
	world_run(w);
	expect_nothing(ann); /* it is kept, not refused */
	client_leave(ann);
	ask(w, "bob", FRIEND);
	world_run(w);
	gw = world_join(w, 2, GW, NULL);
	assert_string_equal(all_of(gw),
	    "<presence type='subscribe' from='" ANN "' to='" FRIEND "'/>"
	    "<presence type='subscribe' from='" BOB "' to='" FRIEND "'/>");
	client_say(
	    gw, "<presence from='" FRIEND "' to='" ANN "' type='subscribed'/>");
	client_leave(gw);
	world_run(w);
	gw = world_join(w, 2, GW, NULL);
	assert_string_equal(all_of(gw),
	    "<presence type='subscribe' from='" BOB "' to='" FRIEND "'/>");
}

static void
add_contacts(struct world *w, const char *local, unsigned count)
{
	char contact[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(contact, sizeof(contact), "c%04u@" GW, i);
		world_item(w, local, contact, true, false);
	}
}

/* One page after the other, whether there is something to be said or not. */
static void
many_contacts_come_page_by_page(void **state)
{
	struct world *w = *state;
	struct client *gw;
	const struct got *g;

	add_contacts(w, "ann", 1100); /* isn't here */
	add_contacts(w, "bob", 1200);
	world_join(w, 0, BOB "/1", "<presence/>");
	gw = world_login(w, 1, GW);
	world_run(w);
	expect_nothing(gw);
	world_wait(w, 1000);
	assert_int_equal(count_of(all_of(gw), "type='probe'"), 1200);
	TAILQ_FOREACH(g, &gw->got, next)
		assert_true(strlen(g->text) < 66000);
}

/* ---- leaders ----------------------------------------------------------- */

static void
greeting_is_not_said_again_by_the_next_leader(void **state)
{
	struct world *w = *state;
	struct client *gw;

	world_item(w, "ann", FRIEND, true, true);
	world_join(w, 1, ANN "/1", "<presence/>");
	gw = world_join(w, 2, GW, NULL);
	assert_string_not_equal(all_of(gw), "");
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	expect_nothing(gw);
}

static void
greeting_is_begun_anew_by_the_next_leader(void **state)
{
	struct world *w = *state;
	struct client *gw;

	add_contacts(w, "ann", 1100);
	world_join(w, 1, ANN "/1", "<presence/>");
	gw = world_login(w, 2, GW);
	while (gw->bound == 0)
		world_flow(w, 2), world_up(w, 2), world_mirror(w, 2),
		    world_ack(w, 2), world_down(w, 2);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 0);
	world_wait(w, 1000);
	assert_int_equal(count_of(all_of(gw), "type='probe'"), 1100);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(component_learns_who_is_here),
		T(contacts_of_a_restarted_component_are_back),
		T(component_is_asked_what_it_missed),
		T(many_contacts_come_page_by_page),
		T(greeting_is_not_said_again_by_the_next_leader),
		T(greeting_is_begun_anew_by_the_next_leader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
