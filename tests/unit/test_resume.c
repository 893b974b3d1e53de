/*
 * XEP-0198 and XEP-0352 on an edge: what a client says and hears, what is kept
 * while it has no connection, and what goes back to the router.
 */
#include "tests/lib/edge_pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/stanza.h"
#include "common/xmalloc.h"

#define SM(name, more) "<" name " xmlns='" NS_SM "'" more "/>"
#define FAILED(condition)                                                      \
	"<failed xmlns='" NS_SM "'><" condition " xmlns='" NS_STANZA_ERRORS    \
	"'/></failed>"
#define ANN "to='ann@example.org'"
#define MESSAGE(id)                                                            \
	"<message id='" id "' from='bob@example.org/b' to='ann@example.org/x'" \
	" type='chat'><body>hi</body></message>"

static int
setup(void **state)
{
	*state = pump_new();
	return 0;
}

static int
teardown(void **state)
{
	pump_free(*state);
	return 0;
}

static void
expect_error(struct client *c, const char *error)
{
	client_expect(c, "<stream:error>");
	client_expect(c, error);
	client_expect(c, "</stream:error></stream:stream>");
	client_expect_closed(c);
	client_free(c);
}

static struct sid
sid_of(struct pump *p)
{
	return pump_frame(p, FRAME_BIND)->sid;
}

/* Bound, and it may be resumed by `id`. */
static struct client *
managed(struct pump *p, char id[80])
{
	struct client *c = client_bound(p, "x");
	const char *enabled;

	client_send(c, SM("enable", " resume='true'"));
	client_expect(c, "<enabled xmlns='" NS_SM "' id='");
	enabled = client_expect(c, "' resume='true' max='300'/>");
	snprintf(id, 80, "%s", enabled);
	return c;
}

/* A live message of the frame `num` of another edge. */
static void
deliver(struct pump *p, const struct sid *sid, uint64_t num, const char *bytes,
    const char *others)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = (struct origin){ 9, 0, 9 };
	d.id.key.num = num;
	d.id.sid = *sid;
	d.kind = DELIVER_MESSAGE;
	d.payload = text_of(bytes);
	d.others = text_of(others);
	pump_deliver(p, &d);
}

static void
deliver_row(struct pump *p, const struct sid *sid, uint64_t row)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_ROW;
	d.id.key.num = row;
	d.id.sid = *sid;
	d.kind = DELIVER_STANZA;
	d.payload = text_of(MESSAGE("row"));
	pump_deliver(p, &d);
}

static struct client *
resume(struct pump *p, const char *id, unsigned h)
{
	struct client *c = client_authenticated(p);

	client_send(c, "<resume xmlns='" NS_SM "' previd='%s' h='%u'/>", id, h);
	return c;
}

/* ---- on a stream ------------------------------------------------------- */

static void
is_offered_after_the_login(void **state)
{
	struct client *c = client_authenticated(*state);

	assert_non_null(strstr(c->before, "<sm xmlns='" NS_SM "'/>"));
	assert_non_null(strstr(c->before, "<csi xmlns='" NS_CSI "'/>"));
	client_free(c);
}

static void
refuses_what_comes_out_of_turn(void **state)
{
	struct client *c = client_authenticated(*state);
	char id[80];

	client_send(c, SM("enable", ""));
	client_expect(c, FAILED("unexpected-request"));
	client_send(c, SM("resume", " h='0'"));
	client_expect(c, FAILED("bad-request"));
	client_send(c, SM("resume", " previd='x' h='-1'"));
	client_expect(c, FAILED("bad-request"));
	client_send(c, SM("resume", " previd='x' h='0'"));
	client_expect(c, FAILED("item-not-found"));
	client_free(c);
	c = client_bound(*state, "x");
	client_send(c, SM("r", ""));
	client_expect(c, FAILED("unexpected-request"));
	client_send(c, SM("resume", " previd='x' h='0'"));
	client_expect(c, FAILED("unexpected-request"));
	client_free(c);
	c = managed(*state, id);
	client_send(c, SM("enable", ""));
	client_expect(c, FAILED("unexpected-request"));
	client_send(c, SM("a", ""));
	expect_error(c, "<invalid-xml");
}

static void
enables_without_resumption(void **state)
{
	struct client *c = client_bound(*state, "x");

	client_send(c, SM("enable", ""));
	client_expect(c, "<enabled xmlns='" NS_SM "'/>");
	client_free(c);
	assert_int_equal(edge_stats(((struct pump *)*state)->edge).sessions, 0);
}

static void
gives_no_longer_than_is_asked_for(void **state)
{
	static const struct {
		const char *max, *want;
	} rows[] = {
		{ "max='60'", "max='60'" },
		{ "max='3000'", "max='300'" },
		{ "max='0'", "max='300'" },
		{ "max='x'", "max='300'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = client_bound(*state, "x");

		client_send(c, "<enable xmlns='" NS_SM "' resume='1' %s/>",
		    rows[i].max);
		client_expect(c, "resume='true'");
		client_expect(c, rows[i].want);
		client_send(c, "</stream:stream>");
		client_expect(c, "</stream:stream>");
		client_free(c);
	}
}

/* G1: what is told is what the router has done, without gaps. */
static void
tells_what_is_handled(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	uint64_t first;

	p->obliging = false;
	client_send(c, "<message " ANN "/><message " ANN "/>" SM("r", ""));
	client_expect(c, SM("a", " h='0'"));
	first = pump_frame(p, FRAME_MESSAGE)->num - 1;
	pump_ack(p, first + 1);
	client_expect_nothing(c);
	pump_ack(p, first);
	client_expect(c, SM("a", " h='2'")); /* unasked */
	client_send(c,
	    "<iq type='set' id='s'><session xmlns='" NS_SESSION
	    "'/></iq>" SM("r", ""));
	client_expect(c, "<iq type='result' id='s'");
	client_expect(c, SM("a", " h='3'"));
	client_free(c);
}

static void
tells_part_of_it_in_time(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);

	p->obliging = false;
	client_send(c, "<message " ANN "/><message " ANN "/>" SM("r", ""));
	client_expect(c, SM("a", " h='0'"));
	pump_ack(p, pump_frame(p, FRAME_MESSAGE)->num - 1);
	client_expect_nothing(c);
	p->obliging = true;
	pump_wait(p, 1000);
	client_expect(c, SM("a", " h='1'"));
	client_free(c);
}

/* XEP-0198, 6. */
static void
ends_who_acknowledges_too_much(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	deliver(p, &sid, 1, MESSAGE("1"), NULL);
	client_expect(c, MESSAGE("1"));
	client_send(c, SM("a", " h='1'"));
	client_send(c, SM("a", " h='0'"));
	client_expect_nothing(c);
	client_send(c, SM("a", " h='2'"));
	expect_error(c, SM("handled-count-too-high", " h='2' send-count='1'"));
}

static void
asks_when_nothing_follows(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	for (uint64_t i = 1; i <= 9; i++)
		deliver(p, &sid, i, MESSAGE("1"), NULL);
	for (int i = 0; i < 9; i++)
		client_expect(c, MESSAGE("1"));
	client_expect_nothing(c);
	pump_wait(p, 2000);
	client_expect(c, SM("r", ""));
	pump_wait(p, 2000);
	client_expect_nothing(c);
	client_send(c, SM("a", " h='9'"));
	pump_wait(p, 2000);
	client_expect_nothing(c);
	for (uint64_t i = 11; i <= 20; i++)
		deliver(p, &sid, i, MESSAGE("1"), NULL);
	client_expect(c, MESSAGE("1") SM("r", ""));
	client_free(c);
}

static void
says_how_much_is_handled_at_the_end(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);

	client_send(c, "<message " ANN "/></stream:stream>");
	client_expect(c, SM("a", " h='1'") "</stream:stream>");
	client_free(c);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
}

/* G5. */
static void
ends_who_never_acknowledges(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);
	uint64_t num = 1;

	pump_forget(p);
	while (pump_count(p, UP_REFUSED) == 0 && num < 5000) {
		deliver(p, &sid, num++, MESSAGE("1"), NULL);
		if (num % 100 == 0)
			pump_run(p);
	}
	assert_int_equal(num, 2002);
	client_expect(c, "<policy-violation");
	client_free(c);
	pump_run(p);
	pump_frame(p, FRAME_RETURN);
}

/* Rule 7 of delivery(7): a stored message stays until the client has it. */
static void
keeps_stored_messages_until_they_are_acknowledged(void **state)
{
	struct pump *p = *state;
	struct seen *report;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	pump_forget(p);
	deliver_row(p, &sid, 5);
	deliver_row(p, &sid, 6);
	assert_int_equal(pump_count(p, UP_TAKEN), 2);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 0);
	pump_link_up(p, 2);
	for (size_t i = 0; (report = pump_seen(p, UP_REPORT, i)) != NULL; i++)
		assert_int_equal(report->m.report.kept,
		    report->m.report.id.key.kind == DKEY_ROW);
	/* Its next router hands it out again: it has it. */
	deliver_row(p, &sid, 5);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 0);
	client_expect(c, MESSAGE("row"));
	client_expect(c, MESSAGE("row"));
	client_expect_nothing(c);
	client_send(c, SM("a", " h='1'"));
	assert_int_equal(pump_count(p, UP_ACCEPTED), 1);
	assert_int_equal(pump_seen(p, UP_ACCEPTED, 0)->m.id.key.num, 5);
	client_send(c, "</stream:stream>");
	client_free(c);
	assert_int_equal(pump_count(p, UP_REFUSED), 1);
	assert_int_equal(pump_seen(p, UP_REFUSED, 0)->m.id.key.num, 6);
}

/* ---- without a connection ---------------------------------------------- */

static void
lives_on_and_is_resumed(void **state)
{
	struct pump *p = *state;
	char id[80], want[256];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	client_send(c, "<presence/>");
	deliver(p, &sid, 1, MESSAGE("1"), NULL);
	deliver(p, &sid, 2, MESSAGE("2"), NULL);
	client_free(c);
	assert_int_equal(edge_stats(p->edge).sessions, 1);
	assert_int_equal(edge_stats(p->edge).connections, 0);
	pump_forget(p);
	deliver(p, &sid, 3, MESSAGE("3"), NULL);
	deliver(p, &sid, 3, MESSAGE("3"), NULL);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 2);
	pump_wait(p, 299000);
	c = resume(p, id, 1);
	snprintf(want, sizeof(want),
	    "<resumed xmlns='" NS_SM "' h='1' previd='%s'/>", id);
	client_expect(c, want);
	client_expect(c, MESSAGE("2") MESSAGE("3"));
	client_send(c, SM("a", " h='3'") SM("r", ""));
	client_expect(c, SM("a", " h='1'"));
	assert_int_equal(pump_count(p, UP_FRAME), 0); /* no bind, no unbind */
	deliver(p, &sid, 4, MESSAGE("4"), NULL);
	client_expect(c, MESSAGE("4"));
	client_send(c, "<message " ANN " id='after'/>");
	assert_true(sid_equal(&pump_frame(p, FRAME_MESSAGE)->sid, &sid));
	/* And again. */
	client_free(c);
	c = resume(p, id, 3);
	client_expect(c, "<resumed xmlns='" NS_SM "' h='2'");
	client_expect(c, MESSAGE("4"));
	client_free(c);
}

static void
ends_the_old_connection(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *old = managed(p, id), *c;

	c = resume(p, id, 0);
	client_expect(c, "<resumed");
	expect_error(old, "<conflict");
	client_send(c, "<message " ANN "/>" SM("r", ""));
	client_expect(c, SM("a", " h='1'"));
	client_free(c);
}

/* What came over the old connection must not be sent again. */
static void
waits_for_what_is_not_handled(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	uint64_t num;

	p->obliging = false;
	client_send(c, "<message " ANN "/>");
	num = pump_frame(p, FRAME_MESSAGE)->num;
	client_free(c);
	p->obliging = true;
	c = resume(p, id, 0);
	client_expect_nothing(c);
	pump_ack(p, num);
	client_expect(c, "<resumed xmlns='" NS_SM "' h='1'");
	client_free(c);
}

static void
the_newest_of_several_resumes(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id), *second;
	uint64_t num;

	p->obliging = false;
	client_send(c, "<message " ANN "/>");
	num = pump_frame(p, FRAME_MESSAGE)->num;
	client_free(c);
	p->obliging = true;
	c = resume(p, id, 0);
	second = resume(p, id, 0);
	expect_error(c, "<conflict");
	pump_ack(p, num);
	client_expect(second, "<resumed");
	assert_int_equal(edge_stats(p->edge).sessions, 1);
	client_free(second);
}

static void
nothing_is_resumed_by_another_id(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);

	client_free(c);
	id[strlen(id) - 1] ^= 1;
	c = resume(p, id, 0);
	client_expect(c, "<failed xmlns='" NS_SM "' h='1'><item-not-found");
	client_free(c);
}

/* XEP-0198, 5: how much of it was handled; then it may bind. */
static void
ends_in_time(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	client_send(c, "<message " ANN "/>");
	deliver(p, &sid, 1, MESSAGE("1"), "a b");
	deliver(p, &sid, 2,
	    "<iq type='get' id='q' from='bob@example.org/b' "
	    "to='ann@example.org/x'><x xmlns='urn:x'/></iq>",
	    NULL);
	deliver(p, &sid, 3,
	    "<iq type='result' id='q' from='bob@example.org/b' "
	    "to='ann@example.org/x'/>",
	    NULL);
	client_free(c);
	pump_forget(p);
	pump_wait(p, 299000);
	assert_int_equal(pump_count(p, UP_FRAME), 0);
	pump_wait(p, 1500);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
	assert_int_equal(pump_count(p, UP_FRAME), 3);
	{
		const struct up_frame *m = &pump_seen(p, UP_FRAME, 0)->m.frame;
		const struct up_frame *q = &pump_seen(p, UP_FRAME, 1)->m.frame;

		assert_int_equal(m->kind, FRAME_RETURN);
		assert_int_equal(m->type, TYPE_CHAT);
		assert_int_equal(m->marks, MARK_BODY | MARK_CONTENT);
		assert_true(text_is(m->from, "bob@example.org/b"));
		assert_true(text_is(m->to, "ann@example.org/x"));
		assert_true(text_is(m->child, "a b"));
		assert_true(text_is(m->payload, MESSAGE("1")));
		assert_int_equal(q->kind, FRAME_RETURN);
		assert_int_equal(q->type, TYPE_GET);
		assert_int_equal(
		    pump_seen(p, UP_FRAME, 2)->m.frame.kind, FRAME_UNBIND);
	}
	c = resume(p, id, 0);
	client_expect(c,
	    "<failed xmlns='" NS_SM "' h='1'><item-not-found "
	    "xmlns='" NS_STANZA_ERRORS "'/></failed>");
	client_send(
	    c, "<iq type='set' id='b'><bind xmlns='" NS_BIND "'/></iq>");
	client_expect(c, "<iq type='result' id='b'>");
	client_free(c);
}

static void
a_kick_ends_it_without_a_connection_too(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);
	struct buf msg = { 0 };
	const struct down_kick kick = { sid, text_of("conflict"), { 0 } };

	client_free(c);
	down_kick_encode(&msg, p->term, &kick);
	edge_down(p->edge, msg.data, msg.len);
	buf_clear(&msg);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
}

/* What its client hasn't acknowledged is given back when there is a leader. */
static void
nothing_is_lost_with_the_leader(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	deliver(p, &sid, 1, MESSAGE("1"), NULL);
	p->obliging = false;
	pump_wait(p, 3500);
	client_expect(c, "</stream:stream>");
	client_free(c);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
	pump_forget(p);
	pump_link_up(p, 2);
	assert_int_equal(pump_count(p, UP_SESSION), 0);
	assert_int_equal(pump_count(p, UP_FRAME), 1);
	assert_int_equal(pump_seen(p, UP_FRAME, 0)->m.frame.kind, FRAME_RETURN);
	p->obliging = true;
}

static void
what_comes_for_it_has_a_limit(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);
	uint64_t num = 1;

	client_free(c);
	pump_forget(p);
	while (pump_count(p, UP_REFUSED) == 0 && num < 5000)
		deliver(p, &sid, num++, MESSAGE("1"), NULL);
	assert_int_equal(num, 2002);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
}

static void
components_manage_theirs(void **state)
{
	struct pump *p = *state;
	struct client *c = component_bound(p);

	client_send(c, SM("enable", ""));
	client_expect(c, "<enabled xmlns='" NS_SM "'/>");
	client_send(c,
	    "<message from='cb1.example.org' to='ann@example.org'/>" SM(
		"r", ""));
	client_expect(c, SM("a", " h='1'"));
	client_free(c);
}

/* ---- XEP-0352 ---------------------------------------------------------- */

#define PRESENCE(from, show)                                                   \
	"<presence from='" from "'><show>" show "</show></presence>"
#define COMPOSING(from)                                                        \
	"<message from='" from "' type='chat'><composing "                     \
	"xmlns='" NS_CHAT_STATES "'/></message>"
#define CSI(name) "<" name " xmlns='" NS_CSI "'/>"

static void
holds_back_what_nobody_looks_at(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);

	pump_forget(p);
	client_send(c, CSI("inactive"));
	pump_stanza(p, &sid, 1, PRESENCE("bob@example.org/b", "away"));
	pump_stanza(p, &sid, 2, PRESENCE("eve@example.org/e", "away"));
	pump_stanza(p, &sid, 3, PRESENCE("bob@example.org/b", "xa"));
	deliver(p, &sid, 4, COMPOSING("bob@example.org/b"), NULL);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 4);
	client_expect_nothing(c);
	deliver(p, &sid, 5, MESSAGE("1"), NULL);
	client_expect(c,
	    PRESENCE("eve@example.org/e", "away") PRESENCE("bob@example.org/b",
		"xa") COMPOSING("bob@example.org/b") MESSAGE("1"));
	pump_stanza(p, &sid, 6, PRESENCE("bob@example.org/b", "dnd"));
	client_expect_nothing(c);
	client_send(c, CSI("active"));
	client_expect(c, PRESENCE("bob@example.org/b", "dnd"));
	pump_stanza(p, &sid, 7, PRESENCE("bob@example.org/b", "away"));
	client_expect(c, PRESENCE("bob@example.org/b", "away"));
	client_free(c);
}

static void
holds_back_nothing_of_importance(void **state)
{
	static const char *const rows[] = {
		MESSAGE("1"),
		"<presence from='bob@example.org' type='subscribe'/>",
		"<presence from='bob@example.org/b' type='error'/>",
		"<presence from='ann@example.org/x'/>",
		"<message from='bob@example.org/b'><x "
		"xmlns='urn:x'/></message>",
		"<message from='bob@example.org/b'/>",
		"<message from='bob@example.org/b'><body>x</body><active "
		"xmlns='" NS_CHAT_STATES "'/></message>",
		"<iq type='get' id='1' from='bob@example.org/b'>"
		"<x xmlns='urn:x'/></iq>",
	};
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);

	client_send(c, CSI("inactive"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pump_stanza(p, &sid, i + 1, rows[i]);
		client_expect(c, rows[i]);
	}
	client_free(c);
}

static void
holds_back_so_much_and_no_more(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);
	char presence[128];

	client_send(c, CSI("inactive"));
	for (uint64_t i = 0; i <= 200; i++) {
		snprintf(presence, sizeof(presence),
		    "<presence from='u%d@example.org/x'/>", (int)i);
		pump_stanza(p, &sid, i + 1, presence);
	}
	client_expect(c, "<presence from='u0@example.org/x'/>");
	client_expect(c, "<presence from='u199@example.org/x'/>");
	client_expect_nothing(c);
	client_send(c, "</stream:stream>");
	client_expect(c, "<presence from='u200@example.org/x'/>");
	client_free(c);
}

/* XEP-0352, 5.2: a resumed stream is active. */
static void
what_is_held_back_survives_the_connection(void **state)
{
	struct pump *p = *state;
	char id[80];
	struct client *c = managed(p, id);
	struct sid sid = sid_of(p);

	client_send(c, CSI("inactive"));
	pump_stanza(p, &sid, 1, PRESENCE("bob@example.org/b", "away"));
	client_expect_nothing(c);
	client_free(c);
	c = resume(p, id, 0);
	client_expect(c, "<resumed");
	client_expect(c, PRESENCE("bob@example.org/b", "away"));
	pump_stanza(p, &sid, 2, PRESENCE("bob@example.org/b", "xa"));
	client_expect(c, PRESENCE("bob@example.org/b", "xa"));
	client_free(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(is_offered_after_the_login),
		T(refuses_what_comes_out_of_turn),
		T(enables_without_resumption),
		T(gives_no_longer_than_is_asked_for),
		T(tells_what_is_handled),
		T(tells_part_of_it_in_time),
		T(ends_who_acknowledges_too_much),
		T(asks_when_nothing_follows),
		T(says_how_much_is_handled_at_the_end),
		T(ends_who_never_acknowledges),
		T(keeps_stored_messages_until_they_are_acknowledged),
		T(lives_on_and_is_resumed),
		T(ends_the_old_connection),
		T(waits_for_what_is_not_handled),
		T(the_newest_of_several_resumes),
		T(nothing_is_resumed_by_another_id),
		T(ends_in_time),
		T(a_kick_ends_it_without_a_connection_too),
		T(nothing_is_lost_with_the_leader),
		T(what_comes_for_it_has_a_limit),
		T(components_manage_theirs),
		T(holds_back_what_nobody_looks_at),
		T(holds_back_nothing_of_importance),
		T(holds_back_so_much_and_no_more),
		T(what_is_held_back_survives_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
