/*
 * Rosters and subscriptions (RFC 6121, 2, 3 and Appendix A). The tables of the
 * appendix are tried against a component, which shows one side alone.
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
#define CB "cb1.example.org"
#define ROOM "room@cb1.example.org"

#define SET(id, item)                                                          \
	"<iq type='set' id='" id "'><query xmlns='jabber:iq:roster'>" item     \
	"</query></iq>"
#define GET "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>"
#define RESULT(id, to) "<iq type='result' id='" id "' to='" to "'></iq>"

static int
setup(void **state)
{
	struct world *w = world_new(1);

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

	world_wait(w, 3000);
	assert_string_equal(w->problem, "");
	assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
	assert_int_equal(uplink_accepted(w->nodes[0].uplink), 0);
	world_free(w);
	return 0;
}

/* ---- states by name ---------------------------------------------------- */

/* Flags of an item, as the appendix names them. */
static const struct {
	const char *name;
	uint8_t to, from, ask, pending_in;
} states[] = {
	{ "None", 0, 0, 0, 0 },
	{ "None+PO", 0, 0, 1, 0 },
	{ "None+PI", 0, 0, 0, 1 },
	{ "None+PO+PI", 0, 0, 1, 1 },
	{ "To", 1, 0, 0, 0 },
	{ "To+PI", 1, 0, 0, 1 },
	{ "From", 0, 1, 0, 0 },
	{ "From+PO", 0, 1, 1, 0 },
	{ "Both", 1, 1, 0, 0 },
};

#define STATES 9

static void
state_set(struct world *w, const char *local, const char *contact, size_t n)
{
	struct store_roster_item item = { .to = states[n].to,
		.from = states[n].from,
		.ask = states[n].ask,
		.pending_in = states[n].pending_in,
		.visible = 1 };

	item.contact = xstrdup(contact);
	if (item.pending_in)
		xasprintf(&item.request,
		    "<presence from='%s' to='%s@example.org' "
		    "type='subscribe'/>",
		    contact, local);
	world_roster_item(w, local, &item);
	store_roster_item_clear(&item);
}

static const char *
state_name(const struct store_roster_item *item)
{
	for (size_t i = 0; i < STATES; i++)
		if (states[i].to == item->to && states[i].from == item->from &&
		    states[i].ask == item->ask &&
		    states[i].pending_in == item->pending_in)
			return states[i].name;
	return "?";
}

/* The state of an item in the store, "-" if there is none. */
static const char *
state_get(struct world *w, const char *local, const char *contact)
{
	struct store_roster roster;
	const char *name = "-";

	store_roster(w->store, local, &roster);
	for (size_t i = 0; i < roster.count; i++)
		if (strcmp(roster.items[i].contact, contact) == 0)
			name = state_name(&roster.items[i]);
	store_roster_clear(&roster);
	return name;
}

/* ---- Appendix A -------------------------------------------------------- */

/* For each state: whether it is routed (outbound) or delivered (inbound), and
 * the new state. */
struct transition {
	bool passes;
	const char *state;
};

struct table {
	const char *name, *type;
	struct transition rows[STATES];
};

static const struct table outbound[] = {
	{ "A.2.1", "subscribe",
	    { { true, "None+PO" }, { true, "None+PO" }, { true, "None+PO+PI" },
		{ true, "None+PO+PI" }, { true, "To" }, { true, "To+PI" },
		{ true, "From+PO" }, { true, "From+PO" }, { true, "Both" } } },
	{ "A.2.2", "unsubscribe",
	    { { true, "None" }, { true, "None" }, { true, "None+PI" },
		{ true, "None+PI" }, { true, "None" }, { true, "None+PI" },
		{ true, "From" }, { true, "From" }, { true, "From" } } },
	{ "A.2.3", "subscribed",
	    { { false, "None" }, { false, "None+PO" }, { true, "From" },
		{ true, "From+PO" }, { false, "To" }, { true, "Both" },
		{ false, "From" }, { false, "From+PO" }, { false, "Both" } } },
	{ "A.2.4", "unsubscribed",
	    { { false, "None" }, { false, "None+PO" }, { true, "None" },
		{ true, "None+PO" }, { false, "To" }, { true, "To" },
		{ true, "None" }, { true, "None+PO" }, { true, "To" } } },
};

static const struct table inbound[] = {
	{ "A.3.1", "subscribe",
	    { { true, "None+PI" }, { true, "None+PO+PI" }, { false, "None+PI" },
		{ false, "None+PO+PI" }, { true, "To+PI" }, { false, "To+PI" },
		{ false, "From" }, { false, "From+PO" }, { false, "Both" } } },
	{ "A.3.2", "unsubscribe",
	    { { false, "None" }, { false, "None+PO" }, { true, "None" },
		{ true, "None+PO" }, { false, "To" }, { true, "To" },
		{ true, "None" }, { true, "None+PO" }, { true, "To" } } },
	{ "A.3.3", "subscribed",
	    { { false, "None" }, { true, "To" }, { false, "None+PI" },
		{ true, "To+PI" }, { false, "To" }, { false, "To+PI" },
		{ false, "From" }, { true, "Both" }, { false, "Both" } } },
	{ "A.3.4", "unsubscribed",
	    { { false, "None" }, { true, "None" }, { false, "None+PI" },
		{ true, "None+PI" }, { true, "None" }, { true, "None+PI" },
		{ false, "From" }, { true, "From" }, { true, "From" } } },
};

/* Whether a stanza of that type is among what came. */
static bool
came(struct client *c, const char *type)
{
	char mark[64];
	const char *text;
	bool found = false;

	snprintf(mark, sizeof(mark), " type='%s'", type);
	while (*(text = client_next(c)) != '\0')
		found |=
		    str_starts(text, "<presence") && strstr(text, mark) != NULL;
	return found;
}

static void
check_row(const struct table *t, size_t n, const char *state, bool passed)
{
	if (strcmp(state, t->rows[n].state) != 0 || passed != t->rows[n].passes)
		print_error("%s: %s in %s: %s, %s\n", t->name, t->type,
		    states[n].name, state, passed ? "passes" : "stays");
	assert_string_equal(state, t->rows[n].state);
	assert_int_equal(passed, t->rows[n].passes);
}

static void
outbound_is_as_in_appendix_a(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL);
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char text[128];

	for (size_t t = 0; t < 4; t++)
		for (size_t n = 0; n < STATES; n++) {
			state_set(w, "ann", ROOM, n);
			snprintf(text, sizeof(text),
			    "<presence to='" ROOM "' type='%s'/>",
			    outbound[t].type);
			client_say(ann, text);
			world_run(w);
			check_row(&outbound[t], n, state_get(w, "ann", ROOM),
			    came(cb, outbound[t].type));
		}
}

static void
inbound_is_as_in_appendix_a(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL);
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>");
	char text[128];

	client_say(ann, GET);
	world_run(w);
	for (size_t t = 0; t < 4; t++)
		for (size_t n = 0; n < STATES; n++) {
			state_set(w, "ann", ROOM, n);
			world_run(w);
			client_skip(ann);
			snprintf(text, sizeof(text),
			    "<presence from='" ROOM "' to='" ANN
			    "' type='%s'/>",
			    inbound[t].type);
			client_say(cb, text);
			world_run(w);
			check_row(&inbound[t], n, state_get(w, "ann", ROOM),
			    came(ann, inbound[t].type));
			client_skip(cb);
		}
}

/* ---- both sides (3.1 to 3.3) ------------------------------------------- */

/* Ann and bob with their rosters and presence, everything read. */
static void
both_arrive(struct world *w, struct client **ann, struct client **bob)
{
	*ann = world_join(w, 0, ANN "/a", "<presence/>");
	*bob = world_join(w, 0, BOB "/b", "<presence/>");
	client_say(*ann, GET);
	client_say(*bob, GET);
	world_run(w);
	client_skip(*ann);
	client_skip(*bob);
}

static void
expect_push(struct client *c, const char *item)
{
	const char *got = client_next(c);

	assert_true(str_starts(got, "<iq type='set' id='push-"));
	if (strstr(got, item) == NULL)
		print_error("%s\nlacks %s\n", got, item);
	assert_non_null(strstr(got, item));
}

static void
request_and_approval_are_told_to_both(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	both_arrive(w, &ann, &bob);
	client_say(ann,
	    "<presence to='" BOB "/b' type='subscribe' id='1'>"
	    "<status>hi</status></presence>");
	world_run(w);
	expect_push(ann,
	    "<item jid='" BOB "' subscription='none' "
	    "ask='subscribe'>");
	expect_nothing(ann);
	expect(bob,
	    "<presence from='" ANN "' to='" BOB "' type='subscribe' "
	    "id='1'><status>hi</status></presence>");
	expect_nothing(bob); /* it is not in the roster yet */
	client_say(bob, "<presence to='" ANN "' type='subscribed'/>");
	world_run(w);
	expect_push(bob, "<item jid='" ANN "' subscription='from'>");
	expect_nothing(bob);
	expect(ann,
	    "<presence from='" BOB "' to='" ANN "' "
	    "type='subscribed'/>");
	expect_push(ann, "<item jid='" BOB "' subscription='to'>");
	expect(ann, "<presence to='" ANN "' from='" BOB "/b'/>");
	expect_nothing(ann);
}

static void
denial_is_told(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" BOB "' type='subscribe'/>");
	world_run(w);
	client_skip(ann);
	client_skip(bob);
	client_say(bob, "<presence to='" ANN "' type='unsubscribed'/>");
	world_run(w);
	expect_nothing(bob);
	expect(ann,
	    "<presence from='" BOB "' to='" ANN "' "
	    "type='unsubscribed'/>");
	expect_push(ann, "<item jid='" BOB "' subscription='none'>");
	assert_string_equal(state_get(w, "bob", ANN), "-");
}

static void
cancelling_hides_the_presence(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" BOB "' type='unsubscribed'/>");
	world_run(w);
	expect_push(ann, "<item jid='" BOB "' subscription='to'>");
	expect_nothing(ann);
	expect(bob,
	    "<presence type='unavailable' from='" ANN "/a' to='" BOB "'/>");
	expect(bob,
	    "<presence from='" ANN "' to='" BOB "' "
	    "type='unsubscribed'/>");
	expect_push(bob, "<item jid='" ANN "' subscription='from'>");
	client_say(ann, "<presence><show>away</show></presence>");
	world_run(w);
	expect_nothing(bob);
}

static void
unsubscribing_hides_the_contact(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" BOB "' type='unsubscribe'/>");
	world_run(w);
	expect_push(ann, "<item jid='" BOB "' subscription='from'>");
	expect(ann,
	    "<presence type='unavailable' from='" BOB "/b' to='" ANN "'/>");
	expect_nothing(ann);
	expect(bob,
	    "<presence from='" ANN "' to='" BOB "' "
	    "type='unsubscribe'/>");
	expect_push(bob, "<item jid='" ANN "' subscription='to'>");
	expect_nothing(bob);
}

static void
request_waits_for_its_contact(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>"), *bob;

	client_say(ann, "<presence to='" BOB "' type='subscribe'/>");
	world_run(w);
	assert_string_equal(state_get(w, "bob", ANN), "None+PI");
	for (int i = 0; i < 2; i++) {
		bob = world_join(w, 0, BOB "/b", NULL);
		client_say(bob, GET);
		world_run(w);
		assert_null(strstr(client_next(bob), "<item"));
		client_say(bob, "<presence/>");
		world_run(w);
		expect(bob, "<presence to='" BOB "' from='" BOB "/b'/>");
		expect(bob,
		    "<presence from='" ANN "' to='" BOB "' "
		    "type='subscribe'/>");
		expect_nothing(bob);
		client_leave(bob);
		world_run(w);
	}
}

static void
request_to_who_allows_it_already_is_answered(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_item(w, "bob", ANN, false, true);
	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" BOB "' type='subscribe'/>");
	world_run(w);
	expect(
	    ann, "<presence type='subscribed' from='" BOB "' to='" ANN "'/>");
	expect_push(ann, "<item jid='" BOB "' subscription='to'>");
	expect(ann, "<presence to='" ANN "' from='" BOB "/b'/>");
	expect_nothing(ann);
	expect_nothing(bob);
}

/* RFC 6121, 3.4 */
static void
approval_in_advance_answers_the_request(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	both_arrive(w, &ann, &bob);
	client_say(bob, "<presence to='" ANN "' type='subscribed'/>");
	world_run(w);
	expect_push(bob,
	    "<item jid='" ANN "' subscription='none' "
	    "approved='true'>");
	expect_nothing(ann);
	client_say(ann, "<presence to='" BOB "' type='subscribe'/>");
	world_run(w);
	expect_push(bob, "<item jid='" ANN "' subscription='from'>");
	expect_nothing(bob);
	expect(
	    ann, "<presence type='subscribed' from='" BOB "' to='" ANN "'/>");
	expect_push(ann, "<item jid='" BOB "' subscription='to'>");
}

static void
subscriptions_of_nobody_are_ignored(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" ANN "' type='subscribe'/>");
	client_say(ann, "<presence to='example.org' type='subscribe'/>");
	world_run(w);
	expect_nothing(ann);
	client_say(ann, "<presence to='eve@example.org' type='subscribe'/>");
	world_run(w);
	expect_push(ann,
	    "<item jid='eve@example.org' subscription='none' "
	    "ask='subscribe'>");
	client_say(ann, "<presence to='eve@other.org' type='subscribe'/>");
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<remote-server-not-found "));
	expect_nothing(ann);
}

/* Two who change each other's items at once: one after the other, and no change
 * is lost. */
static void
crossing_requests_both_count(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	both_arrive(w, &ann, &bob);
	client_say(ann, "<presence to='" BOB "' type='subscribe'/>");
	client_say(bob, "<presence to='" ANN "' type='subscribe'/>");
	world_run(w);
	assert_string_equal(state_get(w, "ann", BOB), "None+PO+PI");
	assert_string_equal(state_get(w, "bob", ANN), "None+PO+PI");
	client_say(ann, "<presence to='" BOB "' type='subscribed'/>");
	client_say(bob, "<presence to='" ANN "' type='subscribed'/>");
	world_run(w);
	assert_string_equal(state_get(w, "ann", BOB), "Both");
	assert_string_equal(state_get(w, "bob", ANN), "Both");
}

/* ---- components -------------------------------------------------------- */

static void
component_is_asked_again_at_each_login(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", "<presence/>"), *cb;

	client_say(ann, "<presence to='" ROOM "' type='subscribe'/>");
	world_run(w);
	cb = world_join(w, 0, CB, NULL);
	expect(cb, "<presence type='subscribe' from='" ANN "' to='" ROOM "'/>");
	expect_nothing(cb);
	client_say(ann, "<presence type='unavailable'/>");
	client_say(ann, "<presence/>");
	world_run(w);
	expect(cb, "<presence type='subscribe' from='" ANN "' to='" ROOM "'/>");
	client_say(cb,
	    "<presence from='" ROOM "' to='" ANN "' "
	    "type='subscribed'/>");
	world_run(w);
	assert_string_equal(state_get(w, "ann", ROOM), "To");
}

static void
component_that_subscribes_is_shown_presence(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL), *ann;

	ann = world_join(w, 0, ANN "/a", "<presence/>");
	client_say(cb,
	    "<presence from='" ROOM "/x' to='" ANN "/a' "
	    "type='subscribe'/>");
	world_run(w);
	expect(ann,
	    "<presence from='" ROOM "' to='" ANN "' "
	    "type='subscribe'/>");
	client_say(ann, "<presence to='" ROOM "' type='subscribed'/>");
	world_run(w);
	expect(cb,
	    "<presence from='" ANN "' to='" ROOM "' "
	    "type='subscribed'/>");
	expect(cb, "<presence to='" ROOM "' from='" ANN "/a'/>");
	client_say(cb,
	    "<presence from='" ROOM "' to='" ANN "' "
	    "type='unsubscribe'/>");
	world_run(w);
	expect(cb,
	    "<presence type='unavailable' from='" ANN "/a' to='" ROOM "'/>");
	expect_nothing(cb);
}

/* ---- get, set, remove -------------------------------------------------- */

static void
roster_is_got_as_it_was_set(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, GET);
	world_run(w);
	expect(ann,
	    "<iq type='result' id='g' to='" ANN "/a'>"
	    "<query xmlns='jabber:iq:roster' ver='1'></query></iq>");
	client_say(ann,
	    SET("1",
		"<item jid='" BOB "/x' name='&lt;Bob&gt;' "
		"subscription='both'><group>A &amp; B</group>"
		"<group>C</group></item>"));
	world_run(w);
	expect_push(ann,
	    "<item jid='" BOB "' name='&lt;Bob&gt;' "
	    "subscription='none'><group>A &amp; B</group>"
	    "<group>C</group></item>");
	expect(ann, RESULT("1", ANN "/a"));
	client_say(ann, GET);
	world_run(w);
	assert_non_null(strstr(client_next(ann),
	    "<item jid='" BOB "' name='&lt;Bob&gt;' subscription='none'>"
	    "<group>A &amp; B</group><group>C</group></item></query></iq>"));
}

static void
set_keeps_the_subscription(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	client_say(ann, SET("1", "<item jid='" BOB "' name='B'/>"));
	world_run(w);
	expect_push(ann, "<item jid='" BOB "' name='B' subscription='both'>");
	assert_string_equal(state_get(w, "ann", BOB), "Both");
	expect_nothing(bob);
}

static void
push_goes_to_the_interested(void **state)
{
	struct world *w = *state;
	struct client *one = world_join(w, 0, ANN "/1", NULL);
	struct client *two = world_join(w, 0, ANN "/2", NULL);
	struct client *three = world_join(w, 0, ANN "/3", "<presence/>");

	client_say(two, GET);
	world_run(w);
	client_next(two);
	client_say(one, SET("1", "<item jid='" BOB "'/>"));
	world_run(w);
	expect(one, RESULT("1", ANN "/1"));
	expect_nothing(one);
	expect_push(two, "<item jid='" BOB "'");
	expect_nothing(two);
	expect_nothing(three);
}

static void
version_spares_a_roster_that_is_known(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char text[256], version[32];
	const char *at;

	client_say(ann, SET("1", "<item jid='" BOB "'/>"));
	client_say(ann, GET);
	world_run(w);
	client_next(ann);
	at = strstr(client_next(ann), " ver='");
	assert_non_null(at);
	snprintf(version, sizeof(version), "%.*s", (int)strcspn(at + 6, "'"),
	    at + 6);
	snprintf(text, sizeof(text),
	    "<iq type='get' id='v'><query xmlns='jabber:iq:roster' "
	    "ver='%s'/></iq>",
	    version);
	client_say(ann, text);
	world_run(w);
	expect(ann, RESULT("v", ANN "/a"));
	client_say(ann,
	    "<iq type='get' id='w'><query "
	    "xmlns='jabber:iq:roster' ver=''/></iq>");
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<item jid='" BOB "'"));
}

static void
removing_ends_the_subscriptions(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	client_say(
	    ann, SET("1", "<item jid='" BOB "' subscription='remove'/>"));
	world_run(w);
	expect_push(ann, "<item jid='" BOB "' subscription='remove'/>");
	expect(ann,
	    "<presence type='unavailable' from='" BOB "/b' to='" ANN "'/>");
	expect(ann, RESULT("1", ANN "/a"));
	expect_nothing(ann);
	expect(bob,
	    "<presence type='unavailable' from='" ANN "/a' to='" BOB "'/>");
	expect(
	    bob, "<presence type='unsubscribe' from='" ANN "' to='" BOB "'/>");
	expect(
	    bob, "<presence type='unsubscribed' from='" ANN "' to='" BOB "'/>");
	expect_push(bob, "<item jid='" ANN "' subscription='none'>");
	expect_nothing(bob);
	assert_string_equal(state_get(w, "ann", BOB), "-");
	assert_string_equal(state_get(w, "bob", ANN), "None");
}

static void
removing_keeps_the_request_of_the_other(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	state_set(w, "ann", BOB, 2);
	client_say(
	    ann, SET("1", "<item jid='" BOB "' subscription='remove'/>"));
	world_run(w);
	expect(ann, RESULT("1", ANN "/a"));
	assert_string_equal(state_get(w, "ann", BOB), "None+PI");
	client_say(ann, GET);
	world_run(w);
	assert_null(strstr(client_next(ann), "<item"));
}

static void
wrong_sets_change_nothing(void **state)
{
	static const struct {
		const char *item, *condition;
	} rows[] = {
		{ "", "<bad-request " },
		{ "<item/>", "<bad-request " },
		{ "<item jid='" BOB "'/><item jid='x@example.org'/>",
		    "<bad-request " },
		{ "<item jid='@example.org'/>", "<jid-malformed " },
		{ "<item jid='" ANN "'/>", "<not-allowed " },
		{ "<item jid='" BOB "' subscription='remove'/>",
		    "<item-not-found " },
		{ "<item jid='" BOB "'><group/></item>", "<not-acceptable " },
		{ "<item jid='" BOB "'><group>a</group><group>a</group></item>",
		    "<bad-request " },
		{ "<item jid='" BOB "'><group>a\nb</group></item>",
		    "<bad-request " },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char text[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), SET("1", "%s"), rows[i].item);
		client_say(ann, text);
		world_run(w);
		assert_non_null(strstr(client_next(ann), rows[i].condition));
		assert_string_equal(state_get(w, "ann", BOB), "-");
	}
}

static void
names_have_a_limit(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char name[1100], text[1400];

	memset(name, 'x', sizeof(name));
	name[1024] = '\0';
	snprintf(text, sizeof(text),
	    SET("1", "<item jid='" BOB "' name='%s'/>"), name);
	client_say(ann, text);
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<not-acceptable "));
	name[1023] = '\0';
	snprintf(text, sizeof(text),
	    SET("1", "<item jid='" BOB "' name='%s'/>"), name);
	client_say(ann, text);
	world_run(w);
	expect(ann, RESULT("1", ANN "/a"));
}

static void
roster_of_another_is_not_to_be_had(void **state)
{
	static const struct {
		const char *iq, *condition;
	} rows[] = {
		{ "<iq type='get' id='1' to='" BOB
		  "'><query xmlns='jabber:iq:roster'/></iq>",
		    "<service-unavailable " },
		{ "<iq type='set' id='1' to='" BOB
		  "'><query xmlns='jabber:iq:roster'>"
		  "<item jid='x@example.org'/></query></iq>",
		    "<forbidden " },
		{ "<iq type='get' id='1' to='example.org'>"
		  "<query xmlns='jabber:iq:roster'/></iq>",
		    "<service-unavailable " },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	for (size_t i = 0; i < 3; i++) {
		client_say(ann, rows[i].iq);
		world_run(w);
		assert_non_null(strstr(client_next(ann), rows[i].condition));
	}
}

/* ---- accounts ---------------------------------------------------------- */

static void
deleted_account_ends_its_sessions(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;
	struct buf b = { 0 };

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	store_cmd_account_del(&b, "ann");
	world_command(w, &b);
	world_run(w);
	assert_string_equal(
	    ann->kicked, "not-authorized: the account was deleted");
	expect(
	    bob, "<presence type='unsubscribe' from='" ANN "' to='" BOB "'/>");
	expect(
	    bob, "<presence type='unsubscribed' from='" ANN "' to='" BOB "'/>");
	expect_push(bob, "<item jid='" ANN "' subscription='none'>");
	expect(bob,
	    "<presence to='" BOB "' from='" ANN "/a' "
	    "type='unavailable'/>");
	expect_nothing(bob);
	assert_string_equal(state_get(w, "bob", ANN), "None");
}

static void
account_made_anew_inherits_nothing(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;
	struct buf b = { 0 };

	world_befriend(w, "ann", "bob");
	both_arrive(w, &ann, &bob);
	store_cmd_account_del(&b, "ann");
	world_command(w, &b);
	world_account(w, "ann");
	world_run(w);
	ann = world_join(w, 0, ANN "/a", "<presence/>");
	client_skip(bob);
	client_say(bob, "<presence><show>away</show></presence>");
	client_say(ann, "<presence/>");
	client_say(ann, GET);
	world_run(w);
	expect(ann, "<presence to='" ANN "' from='" ANN "/a'/>");
	assert_null(strstr(client_next(ann), "<item"));
	expect_nothing(ann);
	client_skip(bob);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(outbound_is_as_in_appendix_a),
		T(inbound_is_as_in_appendix_a),
		T(request_and_approval_are_told_to_both),
		T(denial_is_told),
		T(cancelling_hides_the_presence),
		T(unsubscribing_hides_the_contact),
		T(request_waits_for_its_contact),
		T(request_to_who_allows_it_already_is_answered),
		T(approval_in_advance_answers_the_request),
		T(subscriptions_of_nobody_are_ignored),
		T(crossing_requests_both_count),
		T(component_is_asked_again_at_each_login),
		T(component_that_subscribes_is_shown_presence),
		T(roster_is_got_as_it_was_set),
		T(set_keeps_the_subscription),
		T(push_goes_to_the_interested),
		T(version_spares_a_roster_that_is_known),
		T(removing_ends_the_subscriptions),
		T(removing_keeps_the_request_of_the_other),
		T(wrong_sets_change_nothing),
		T(names_have_a_limit),
		T(roster_of_another_is_not_to_be_had),
		T(deleted_account_ends_its_sessions),
		T(account_made_anew_inherits_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
