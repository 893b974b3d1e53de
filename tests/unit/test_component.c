/*
 * A component's stream (XEP-0114), and its addresses.
 */
#include "tests/lib/edge_pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/result.h"
#include "common/stanza.h"
#include "common/xmalloc.h"

#define ERROR(name) "<" name " xmlns='" NS_STREAM_ERRORS "'/>"

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

/* Opens a stream; the handshake of a secret for its id. */
static struct client *
open_stream(struct pump *p, const char *name, const char *secret, char hex[41])
{
	struct client *c = client_new(p, true, "192.0.2.7:40001");
	const char *header;
	char text[256];
	uint8_t digest[20];

	client_tls(c, false);
	client_send(c,
	    "<?xml version='1.0'?><stream:stream "
	    "xmlns='jabber:component:accept' "
	    "xmlns:stream='http://etherx.jabber.org/streams' to='%s'>",
	    name);
	client_expect(c, "<stream:stream");
	header = strstr(client_expect(c, ">"), " id='");
	assert_non_null(header);
	snprintf(text, sizeof(text), "%.32s%s", header + 5, secret);
	crypto_sha1(text, strlen(text), digest);
	crypto_hex(digest, sizeof(digest), hex);
	return c;
}

static struct client *
try_secret(struct pump *p, const char *name, const char *secret)
{
	char hex[41];
	struct client *c = open_stream(p, name, secret, hex);

	client_send(c, "<handshake>%s</handshake>", hex);
	return c;
}

static void
logs_in_by_its_secret(void **state)
{
	struct pump *p = *state;
	struct client *c = try_secret(p, "CB1.example.org", PUMP_SECRET);
	struct up_frame *f;

	client_expect(c, "<handshake/>");
	f = pump_frame(p, FRAME_BIND);
	assert_true(text_is(f->to, "cb1.example.org"));
	assert_int_equal(f->session_kind, SESSION_COMPONENT);
	assert_null(f->payload.data);
	assert_int_equal(edge_stats(p->edge).components, 1);
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
	assert_int_equal(edge_stats(p->edge).components, 0);
}

/* The answer comes when the router has the session, so that what is sent to
 * the component from then on reaches it. */
static void
waits_for_the_router_to_bind(void **state)
{
	struct pump *p = *state;
	char hex[41];
	struct client *c = open_stream(p, "cb1.example.org", PUMP_SECRET, hex);

	p->obliging = false;
	client_send(c, "<handshake>%s</handshake>", hex);
	pump_frame(p, FRAME_BIND);
	client_expect_nothing(c);
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
}

/* The same answer, so that names can't be found out; the log tells. */
static void
a_wrong_secret_and_an_unknown_name_are_not_authorized(void **state)
{
	struct pump *p = *state;

	expect_error(
	    try_secret(p, "cb1.example.org", "wrong"), ERROR("not-authorized"));
	expect_error(try_secret(p, "cb9.example.org", PUMP_SECRET),
	    ERROR("not-authorized"));
	expect_error(
	    try_secret(p, "cb1.example.org", ""), ERROR("not-authorized"));
	assert_int_equal(pump_count(p, UP_FRAME), 0);
}

static void
a_handshake_may_be_in_capitals(void **state)
{
	char hex[41];
	struct client *c =
	    open_stream(*state, "cb1.example.org", PUMP_SECRET, hex);

	for (char *at = hex; *at != '\0'; at++)
		if (*at >= 'a')
			*at = (char)(*at - 'a' + 'A');
	client_send(c, "<handshake>%s</handshake>", hex);
	client_expect(c, "<handshake/>");
	client_free(c);
}

static void
takes_nothing_before_the_handshake(void **state)
{
	static const char *const rows[] = {
		"<message from='cb1.example.org' to='a@example.org'/>",
		"<iq type='get' id='1'/>",
		"<auth xmlns='" NS_SASL "' mechanism='PLAIN'/>",
	};

	for (size_t i = 0; i < 3; i++) {
		struct client *c = client_new(*state, true, "192.0.2.7:1");

		client_tls(c, false);
		client_send(c, COMPONENT_HEADER "%s", rows[i]);
		expect_error(c, ERROR("not-authorized"));
	}
}

static void
a_second_handshake_is_one_too_many(void **state)
{
	struct client *c = component_bound(*state);

	client_send(c, "<handshake>00</handshake>");
	expect_error(c, ERROR("policy-violation"));
}

static void
answers_bad_beginnings(void **state)
{
	static const struct {
		const char *bytes, *error;
	} rows[] = {
		/* A client that found the wrong port. */
		{ CLIENT_HEADER, "clients connect to the client port" },
		{ "<stream:stream xmlns='jabber:component:accept' "
		  "xmlns:stream='http://etherx.jabber.org/streams'>",
		    ERROR("improper-addressing") },
		{ "<stream:stream xmlns='jabber:component:accept' "
		  "xmlns:stream='http://etherx.jabber.org/streams' to='@'>",
		    ERROR("host-unknown") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = client_new(*state, true, "192.0.2.7:1");

		client_tls(c, false);
		client_send(c, "%s", rows[i].bytes);
		expect_error(c, rows[i].error);
	}
}

/* Spec: components connect with direct TLS; without it only from loopback,
 * and only where that is allowed. */
static void
plaintext_is_for_loopback_where_allowed(void **state)
{
	static const struct {
		bool allowed;
		const char *peer;
		bool ok;
	} rows[] = {
		{ false, "127.0.0.1:5", false },
		{ true, "192.0.2.1:5", false },
		{ true, "127.0.0.1:5", true },
		{ true, "127.8.9.10:5", true },
		{ true, "[::1]:5", true },
		{ true, "[2001:db8::1]:5", false },
	};
	struct pump *p = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c;

		edge_set_plaintext(p->edge, rows[i].allowed);
		c = client_new(p, true, rows[i].peer);
		client_send(c, COMPONENT_HEADER);
		client_expect(c, "<stream:stream");
		if (rows[i].ok) {
			client_expect(c, ">");
			client_expect_nothing(c);
			client_free(c);
		} else {
			expect_error(c, "components connect with direct TLS");
		}
	}
}

static void
a_silent_connection_is_closed(void **state)
{
	struct pump *p = *state;
	struct client *c = client_new(p, true, "192.0.2.7:1");

	pump_wait(p, 29000);
	client_expect_nothing(c);
	pump_wait(p, 1500);
	client_expect_closed(c);
	client_free(c);
	c = client_new(p, true, "192.0.2.7:1");
	client_free(c); /* closed before its first byte */
	pump_run(p);
	assert_int_equal(edge_stats(p->edge).connections, 0);
}

static void
without_a_leader_it_is_told_so(void **state)
{
	struct pump *p = *state;
	struct client *c;

	p->obliging = false;
	p->linked = false;
	edge_link_down(p->edge);
	c = try_secret(p, "cb1.example.org", PUMP_SECRET);
	client_expect_nothing(c);
	pump_wait(p, 3100);
	expect_error(c, ERROR("remote-connection-failed"));
}

/* XEP-0114, 3: what a component sends has both addresses, its own in its
 * domain. */
static void
stanzas_need_both_addresses(void **state)
{
	static const struct {
		const char *bytes, *error;
	} rows[] = {
		{ "<message from='cb1.example.org'/>",
		    ERROR("improper-addressing") },
		{ "<message to='ann@example.org'/>",
		    ERROR("improper-addressing") },
		{ "<message from='cb2.example.org' to='ann@example.org'/>",
		    ERROR("invalid-from") },
		{ "<message from='example.org' to='ann@example.org'/>",
		    ERROR("invalid-from") },
		{ "<message from='x.cb1.example.org' to='a@example.org'/>",
		    ERROR("invalid-from") },
		{ "<message from='@' to='a@example.org'/>",
		    ERROR("invalid-from") },
		{ "<other/>", ERROR("unsupported-stanza-type") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = component_bound(*state);

		client_send(c, "%s", rows[i].bytes);
		expect_error(c, rows[i].error);
	}
}

static void
speaks_for_anybody_in_its_domain(void **state)
{
	static const struct {
		const char *from, *prepared;
	} rows[] = {
		{ "cb1.example.org", "cb1.example.org" },
		{ "Room@CB1.example.org/Ann", "room@cb1.example.org/Ann" },
		{ "room@cb1.example.org", "room@cb1.example.org" },
		{ "room@cb1.example.org", "room@cb1.example.org" },
	};
	struct pump *p = *state;
	struct client *c = component_bound(p);
	struct up_frame *f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_send(c,
		    "<message from='%s' to='ann@example.org/x'>"
		    "<body>hi</body></message>",
		    rows[i].from);
		f = pump_frame(p, FRAME_MESSAGE);
		assert_true(text_is(f->from, rows[i].prepared));
		assert_true(text_is(f->to, "ann@example.org/x"));
		assert_true(
		    text_is(f->child, "{jabber:component:accept}body") ||
		    text_is(f->child, "{jabber:client}body"));
		assert_int_equal(f->marks, MARK_BODY | MARK_CONTENT);
		assert_int_equal(f->session_kind, SESSION_COMPONENT);
	}
	pump_stanza(p, &f->sid, 1, "<message from='a@example.org/x'/>");
	client_expect(c, "<message from='a@example.org/x'/>");
	client_free(c);
}

static void
its_bad_stanzas_are_answered_to_the_sender(void **state)
{
	struct pump *p = *state;
	struct client *c = component_bound(p);

	client_send(c,
	    "<iq from='room@cb1.example.org' to='ann@example.org' "
	    "type='get' id='7'/>");
	client_expect(c,
	    "<iq type='error' id='7' from='ann@example.org' "
	    "to='room@cb1.example.org'>");
	client_expect(c, "<bad-request");
	client_expect(c, "</iq>");
	client_send(c,
	    "<iq from='room@cb1.example.org' to='@' "
	    "type='get' id='8'><x xmlns='u'/></iq>");
	client_expect(c, "<jid-malformed");
	client_expect(c, "</iq>");
	client_free(c);
}

/* The name is taken, says the router. */
static void
a_refused_bind_is_a_stream_error(void **state)
{
	struct pump *p = *state;
	char hex[41];
	struct client *c = open_stream(p, "cb1.example.org", PUMP_SECRET, hex);
	struct down_deliver d;
	struct up_frame *f;

	p->obliging = false;
	client_send(c, "<handshake>%s</handshake>", hex);
	f = pump_frame(p, FRAME_BIND);
	client_expect_nothing(c);
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = p->origin;
	d.id.key.num = f->num;
	d.id.sid = f->sid;
	d.kind = DELIVER_REFUSED;
	d.payload = text_of("conflict");
	pump_deliver(p, &d);
	expect_error(c, ERROR("conflict"));
	assert_int_equal(pump_count(p, UP_FRAME), 1); /* and no unbind */
}

static void
count_cb(void *arg, const struct edge_session *s)
{
	if (!s->component)
		return;
	assert_string_equal(s->address, "cb1.example.org");
	assert_string_equal(s->peer, "127.0.0.1:40001");
	assert_true(s->since > 0);
	assert_int_equal(s->idle_ms, 0);
	(*(unsigned *)arg)++;
}

static void
is_listed_for_status(void **state)
{
	struct pump *p = *state;
	struct client *c = component_bound(p);
	struct client *other = client_bound(p, "x");
	unsigned count = 0;

	edge_sessions(p->edge, count_cb, &count);
	assert_int_equal(count, 1);
	client_free(other);
	client_free(c);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(logs_in_by_its_secret),
		T(waits_for_the_router_to_bind),
		T(a_wrong_secret_and_an_unknown_name_are_not_authorized),
		T(a_handshake_may_be_in_capitals),
		T(takes_nothing_before_the_handshake),
		T(a_second_handshake_is_one_too_many),
		T(answers_bad_beginnings),
		T(plaintext_is_for_loopback_where_allowed),
		T(a_silent_connection_is_closed),
		T(without_a_leader_it_is_told_so),
		T(stanzas_need_both_addresses),
		T(speaks_for_anybody_in_its_domain),
		T(its_bad_stanzas_are_answered_to_the_sender),
		T(a_refused_bind_is_a_stream_error),
		T(is_listed_for_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
