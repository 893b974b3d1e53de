/*
 * IQs: what the server answers itself, and where the others go.
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
#define PING "<ping xmlns='urn:xmpp:ping'/>"
#define UNAVAILABLE "<service-unavailable "

static int
setup(void **state)
{
	struct world *w = world_new(1);

	world_account(w, "ann");
	world_account(w, "bob");
	world_component(w, "cb1");
	world_component(w, "Cb2");
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

/* ---- what the server answers ------------------------------------------- */

static void
ping_is_answered_by_server_and_account(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann, "<iq type='get' id='1' to='example.org'>" PING "</iq>");
	client_say(ann, "<iq type='get' id='2'>" PING "</iq>");
	client_say(ann, "<iq type='get' id='3' to='" ANN "'>" PING "</iq>");
	world_run(w);
	expect(ann,
	    "<iq type='result' id='1' from='example.org' to='" ANN "/a'></iq>");
	expect(ann, "<iq type='result' id='2' to='" ANN "/a'></iq>");
	expect(ann,
	    "<iq type='result' id='3' from='" ANN "' to='" ANN "/a'></iq>");
}

static void
version_is_the_server_s(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann,
	    "<iq type='get' id='1' to='example.org'>"
	    "<query xmlns='jabber:iq:version'/></iq>");
	world_run(w);
	expect(ann,
	    "<iq type='result' id='1' from='example.org' to='" ANN
	    "/a'><query xmlns='jabber:iq:version'><name>xmppd</name>"
	    "<version>1.0</version></query></iq>");
}

static void
session_is_established_for_old_clients(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	client_say(ann,
	    "<iq type='set' id='1' to='example.org'>"
	    "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
	world_run(w);
	expect(ann,
	    "<iq type='result' id='1' from='example.org' to='" ANN "/a'></iq>");
}

static void
server_tells_what_it_can_do(void **state)
{
	static const char *const parts[] = {
		"<identity category='server' type='im'/>",
		"<feature var='http://jabber.org/protocol/disco#info'/>",
		"<feature var='http://jabber.org/protocol/disco#items'/>",
		"<feature var='jabber:iq:roster'/>",
		"<feature var='jabber:iq:version'/>",
		"<feature var='urn:xmpp:ping'/>",
		"<feature var='msgoffline'/>",
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	const char *got;

	client_say(ann,
	    "<iq type='get' id='1' to='example.org'><query "
	    "xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	world_run(w);
	got = client_next(ann);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_non_null(strstr(got, parts[i]));
	client_say(ann,
	    "<iq type='get' id='2'><query "
	    "xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	world_run(w);
	assert_non_null(strstr(client_next(ann),
	    "<identity category='account' type='registered'/>"));
	client_say(ann,
	    "<iq type='get' id='3' to='example.org'><query node='x' "
	    "xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	world_run(w);
	assert_non_null(strstr(client_next(ann), "<item-not-found "));
}

static void
server_lists_its_components(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	struct buf b = { 0 };

	client_say(ann,
	    "<iq type='get' id='1' to='example.org'><query "
	    "xmlns='http://jabber.org/protocol/disco#items'/></iq>");
	world_run(w);
	expect(ann,
	    "<iq type='result' id='1' from='example.org' to='" ANN
	    "/a'><query xmlns='http://jabber.org/protocol/disco#items'>"
	    "<item jid='cb1.example.org' name='cb1'/>"
	    "<item jid='cb2.example.org' name='Cb2'/></query></iq>");
	store_cmd_component_del(&b, "cb1");
	world_command(w, &b);
	client_say(ann,
	    "<iq type='get' id='2' to='example.org'><query "
	    "xmlns='http://jabber.org/protocol/disco#items'/></iq>");
	world_run(w);
	assert_null(strstr(client_next(ann), "cb1.example.org"));
	client_say(ann,
	    "<iq type='get' id='3'><query "
	    "xmlns='http://jabber.org/protocol/disco#items'/></iq>");
	world_run(w);
	assert_null(strstr(client_next(ann), "<item "));
}

static void
component_asks_the_server_too(void **state)
{
	struct world *w = *state;
	struct client *cb = world_join(w, 0, CB, NULL);

	client_say(cb,
	    "<iq type='get' id='1' from='" CB "' "
	    "to='example.org'>" PING "</iq>");
	client_say(cb,
	    "<iq type='get' id='2' from='x@" CB "/y' "
	    "to='" ANN "'>" PING "</iq>");
	world_run(w);
	expect(cb,
	    "<iq type='result' id='1' from='example.org' to='" CB "'></iq>");
	assert_non_null(strstr(client_next(cb), UNAVAILABLE));
}

/* ---- errors ------------------------------------------------------------ */

static void
what_is_not_understood_is_refused(void **state)
{
	static const struct {
		const char *iq, *condition;
	} rows[] = {
		{ "<iq type='get' id='1'><q xmlns='x'/></iq>", UNAVAILABLE },
		{ "<iq type='set' id='1'>" PING "</iq>", UNAVAILABLE },
		{ "<iq type='get' id='1' to='example.org'><q xmlns='x'/></iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='" BOB "'>" PING "</iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='eve@example.org'>" PING "</iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='" BOB "/x'>" PING "</iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='eve@example.org/x'>" PING "</iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='" CB "'>" PING "</iq>",
		    UNAVAILABLE },
		{ "<iq type='get' id='1' to='eve@other.org/x'>" PING "</iq>",
		    "<remote-server-not-found " },
		{ "<iq type='get' id='1' to='example.org'/>", "<bad-request " },
		{ "<iq type='odd' id='1' to='example.org'>" PING "</iq>",
		    "<bad-request " },
		{ "<iq type='get' to='example.org'>" PING "</iq>",
		    "<bad-request " },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_say(ann, rows[i].iq);
		world_run(w);
		assert_non_null(strstr(client_next(ann), rows[i].condition));
		expect_nothing(ann);
	}
}

static void
answers_are_never_answered(void **state)
{
	static const char *const to[] = { "example.org", ANN, BOB, BOB "/x", CB,
		"eve@other.org" };
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	char text[128];

	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		snprintf(text, sizeof(text),
		    "<iq type='result' id='1' to='%s'/>", to[i]);
		client_say(ann, text);
		snprintf(text, sizeof(text),
		    "<iq type='error' id='1' to='%s'/>", to[i]);
		client_say(ann, text);
	}
	world_run(w);
	expect_nothing(ann);
}

/* ---- between sessions -------------------------------------------------- */

static void
request_and_answer_go_between_sessions(void **state)
{
	struct world *w = *state;
	struct client *ann, *bob;

	world_item(w, "bob", ANN, false, true);
	ann = world_join(w, 0, ANN "/a", NULL);
	bob = world_join(w, 0, BOB "/b", NULL);
	client_say(ann, "<iq type='get' id='1' to='" BOB "/b'>" PING "</iq>");
	world_run(w);
	expect(bob,
	    "<iq from='" ANN "/a' to='" BOB "/b' type='get' id='1'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>");
	client_say(bob, "<iq type='result' id='1' to='" ANN "/a'/>");
	world_run(w);
	expect(ann,
	    "<iq from='" BOB "/b' to='" ANN "/a' type='result' "
	    "id='1'/>");
}

/* RFC 6121, 8.5.3.1 */
static void
request_of_a_stranger_is_refused(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	struct client *bob = world_join(w, 0, BOB "/b", "<presence/>");

	client_skip(bob);
	for (int i = 0; i < 2; i++) {
		client_say(ann,
		    i == 0
			? "<iq type='get' id='1' to='" BOB "/b'>" PING "</iq>"
			: "<iq type='get' id='1' to='" BOB "/x'>" PING "</iq>");
		world_run(w);
		assert_non_null(
		    strstr(client_next(ann), "<service-unavailable "));
	}
	expect_nothing(bob);
	client_say(bob, "<presence to='" ANN "/a'/>");
	client_say(ann, "<iq type='get' id='2' to='" BOB "/b'>" PING "</iq>");
	world_run(w);
	assert_non_null(strstr(client_next(bob), " id='2'"));
	client_say(bob, "<iq type='result' id='2' to='" ANN "/a'/>");
	world_run(w);
	client_next(ann);
	assert_non_null(strstr(client_next(ann), " id='2'"));
}

static void
request_and_answer_go_to_a_component(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/a", NULL);
	struct client *cb = world_join(w, 0, CB, NULL);

	client_say(ann, "<iq type='get' id='1' to='" CB "'>" PING "</iq>");
	world_run(w);
	expect(cb,
	    "<iq from='" ANN "/a' to='" CB "' type='get' id='1'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>");
	client_say(
	    cb, "<iq type='result' id='1' from='" CB "' to='" ANN "/a'/>");
	world_run(w);
	expect(ann, "<iq from='" CB "' to='" ANN "/a' type='result' id='1'/>");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ping_is_answered_by_server_and_account),
		T(version_is_the_server_s),
		T(session_is_established_for_old_clients),
		T(server_tells_what_it_can_do),
		T(server_lists_its_components),
		T(component_asks_the_server_too),
		T(what_is_not_understood_is_refused),
		T(answers_are_never_answered),
		T(request_and_answer_go_between_sessions),
		T(request_of_a_stranger_is_refused),
		T(request_and_answer_go_to_a_component),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
