/*
 * A stream's negotiation, row by row: headers, features, and which element may
 * come when.
 */
#include "xmppd/edge/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DOMAIN "example.org"

static char served[] = DOMAIN, second[] = "example.net", gone[] = "example.com";
static struct stream_domain gone_domain = { gone, false, NULL };
static struct stream_domain second_domain = { second, true, &gone_domain };
static const struct stream_domain domains = { served, true, &second_domain };

static struct xml_open
good_open(void)
{
	struct xml_open open = { .name = "stream",
		.ns = NS_STREAM,
		.content_ns = NS_CLIENT,
		.to = DOMAIN,
		.version = "1.0" };

	return open;
}

/* RFC 6120, 4.7 to 4.9, a row a header. */
static const struct {
	const char *name, *ns, *content_ns, *to, *version;
	enum stream_error error;
} headers[] = {
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "1.0", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, "EXAMPLE.org", "1.0", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, "example.org.", "1.0", 0 },
	/* 4.7.5: numbers, compared as such */
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "1.1", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "01.0", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "2.0", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "0.9",
	    STREAM_UNSUPPORTED_VERSION },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, NULL,
	    STREAM_UNSUPPORTED_VERSION },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "1",
	    STREAM_UNSUPPORTED_VERSION },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "1.x",
	    STREAM_UNSUPPORTED_VERSION },
	{ "stream", NS_STREAM, NS_CLIENT, DOMAIN, "",
	    STREAM_UNSUPPORTED_VERSION },
	/* 4.9.3.6 and 4.9.3.7 */
	{ "stream", NS_STREAM, NS_CLIENT, "example.net", "1.0", 0 },
	{ "stream", NS_STREAM, NS_CLIENT, "example.com", "1.0",
	    STREAM_HOST_UNKNOWN },
	{ "stream", NS_STREAM, NS_CLIENT, "x@example.org", "1.0",
	    STREAM_HOST_UNKNOWN },
	{ "stream", NS_STREAM, NS_CLIENT, "", "1.0", STREAM_HOST_UNKNOWN },
	{ "stream", NS_STREAM, NS_CLIENT, NULL, "1.0",
	    STREAM_IMPROPER_ADDRESSING },
	/* 4.8.1, 4.8.2, 4.9.3.10 */
	{ "stream", "urn:other", NS_CLIENT, DOMAIN, "1.0",
	    STREAM_INVALID_NAMESPACE },
	{ "stream", "", NS_CLIENT, DOMAIN, "1.0", STREAM_INVALID_NAMESPACE },
	{ "stream", NS_STREAM, "jabber:server", DOMAIN, "1.0",
	    STREAM_INVALID_NAMESPACE },
	{ "stream", NS_STREAM, "", DOMAIN, "1.0", STREAM_INVALID_NAMESPACE },
	{ "stream", NS_STREAM, NULL, DOMAIN, "1.0", 0 },
	{ "stream", NS_STREAM, NS_COMPONENT, DOMAIN, "1.0",
	    STREAM_INVALID_NAMESPACE },
	{ "streams", NS_STREAM, NS_CLIENT, DOMAIN, "1.0", STREAM_BAD_FORMAT },
};

static void
judges_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct xml_open open = { .name = headers[i].name,
			.ns = headers[i].ns,
			.content_ns = headers[i].content_ns,
			.to = headers[i].to,
			.version = headers[i].version };
		struct buf out = { 0 };
		struct stream_fault fault;
		struct stream s;

		stream_init(&s, &domains, false);
		fault = stream_header(&s, &open, NULL, &out);
		if (fault.error != headers[i].error)
			fail_msg("row %zu: %d", i, (int)fault.error);
		/* 4.9.1.2: an error goes into a stream that we have opened. */
		if (fault.error != STREAM_ERROR_NONE)
			stream_write_error(&s, fault, &out);
		assert_memory_equal(
		    buf_str(&out), "<?xml version='1.0'?><stream:stream", 35);
		assert_null(strstr(buf_str(&out) + 10, "<?xml"));
		buf_clear(&out);
		stream_clear(&s);
	}
}

/* RFC 6120, 4.7.1 to 4.7.5, of the response. */
static void
answers_with_a_header(void **state)
{
	struct xml_open open = good_open();
	struct buf out = { 0 };
	struct stream s;
	char first[33];

	(void)state;
	open.from = "Ann@example.org/x";
	open.lang = "de";
	stream_init(&s, &domains, false);
	stream_header(&s, &open, NULL, &out);
	assert_non_null(strstr(buf_str(&out), " from='example.org'"));
	assert_non_null(strstr(buf_str(&out), " to='ann@example.org'"));
	assert_non_null(strstr(buf_str(&out), " version='1.0'"));
	assert_non_null(strstr(buf_str(&out), " xml:lang='en'"));
	assert_non_null(strstr(buf_str(&out), " xmlns='jabber:client'"));
	assert_non_null(strstr(buf_str(&out), s.id));
	assert_int_equal(strlen(s.id), 32);
	assert_string_equal(s.lang, "de");
	memcpy(first, s.id, sizeof(first));
	open.from = "no jid at all@@";
	buf_reset(&out);
	stream_header(&s, &open, NULL, &out);
	assert_null(strstr(buf_str(&out), " to="));
	assert_string_not_equal(first, s.id); /* 4.7.3: never used twice */
	buf_clear(&out);
	stream_clear(&s);
}

/* A further domain is answered in its name, and kept to after the login. */
static void
a_login_stays_at_its_domain(void **state)
{
	struct xml_open open = good_open();
	struct buf out = { 0 };
	struct stream s;

	(void)state;
	open.to = "Example.NET";
	stream_init(&s, &domains, false);
	assert_int_equal(stream_header(&s, &open, NULL, &out).error, 0);
	assert_non_null(strstr(buf_str(&out), " from='example.net'"));
	assert_string_equal(s.domain, second);
	s.authenticated = true;
	open.to = DOMAIN;
	assert_int_equal(
	    stream_header(&s, &open, NULL, &out).error, STREAM_HOST_UNKNOWN);
	open.to = "example.net";
	assert_int_equal(stream_header(&s, &open, NULL, &out).error, 0);
	buf_clear(&out);
	stream_clear(&s);
}

/* RFC 6120, 4.7.5: the lower of the two, compared as numbers; none to none. */
static void
answers_the_lower_version(void **state)
{
	static const struct {
		const char *version, *answer;
	} rows[] = {
		{ "1.0", " version='1.0'" },
		{ "1.10", " version='1.0'" },
		{ "02.0", " version='1.0'" },
		{ "0.9", " version='0.9'" },
		{ "00.010", " version='0.10'" },
		{ "0.99999999999999999999", " version='1.0'" },
		{ "x", " version='1.0'" },
		{ NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xml_open open = good_open();
		struct buf out = { 0 };
		struct stream s;

		open.version = rows[i].version;
		stream_init(&s, &domains, false);
		stream_header(&s, &open, NULL, &out);
		if (rows[i].answer == NULL)
			assert_null(strstr(buf_str(&out) + 21, "version="));
		else if (strstr(buf_str(&out), rows[i].answer) == NULL)
			fail_msg("row %zu: %s", i, buf_str(&out));
		buf_clear(&out);
		stream_clear(&s);
	}
}

/* RFC 6120, 4.7.2 and 4.7.4: also where the header's fault is answered; and a
 * language that can't be one is not put on stanzas. */
static void
remembers_the_peer_of_a_faulty_header(void **state)
{
	struct xml_open open = good_open();
	struct stream_fault fault;
	struct buf out = { 0 };
	struct stream s;

	(void)state;
	open.from = "ann@example.org/x";
	open.to = "example.info";
	open.lang = "' onload='";
	stream_init(&s, &domains, false);
	fault = stream_header(&s, &open, NULL, &out);
	stream_write_error(&s, fault, &out);
	assert_non_null(strstr(buf_str(&out), " to='ann@example.org'"));
	assert_non_null(strstr(buf_str(&out), " from='" DOMAIN "'"));
	assert_non_null(strstr(buf_str(&out), "<host-unknown "));
	assert_null(s.lang);
	buf_clear(&out);
	stream_clear(&s);
}

static void
a_component_is_answered_by_its_name(void **state)
{
	struct xml_open open = good_open();
	struct buf out = { 0 };
	struct stream_fault fault;
	struct stream s;

	(void)state;
	open.content_ns = NS_COMPONENT;
	open.to = "cb1.example.org";
	open.version = NULL;
	stream_init(&s, &domains, true);
	fault = stream_header(&s, &open, "cb1.example.org", &out);
	assert_int_equal(fault.error, STREAM_ERROR_NONE);
	assert_non_null(strstr(buf_str(&out), " from='cb1.example.org'"));
	assert_non_null(
	    strstr(buf_str(&out), " xmlns='jabber:component:accept'"));
	open.content_ns = NS_CLIENT;
	fault = stream_header(&s, &open, "cb1.example.org", &out);
	assert_int_equal(fault.error, STREAM_INVALID_NAMESPACE);
	assert_non_null(strstr(fault.text, "5222"));
	buf_clear(&out);
	stream_clear(&s);
}

static void
offers_what_fits_the_state(void **state)
{
	static const struct {
		bool secure, authenticated;
		const char *has, *has_not;
		enum stream_state next;
	} rows[] = {
		/* 5.3.1: STARTTLS alone, where it is required */
		{ false, false, "<required/>", "MECHS", STREAM_PLAIN },
		{ true, false, "MECHS", "starttls", STREAM_LOGIN },
		{ true, true, "urn:ietf:params:xml:ns:xmpp-bind", "starttls",
		    STREAM_UNBOUND },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { 0 };
		struct stream s;

		stream_init(&s, &domains, false);
		s.secure = rows[i].secure;
		s.authenticated = rows[i].authenticated;
		stream_features(&s, "MECHS", &out);
		assert_non_null(strstr(buf_str(&out), rows[i].has));
		assert_null(strstr(buf_str(&out), rows[i].has_not));
		assert_int_equal(stream_after_header(&s), rows[i].next);
		buf_clear(&out);
	}
}

static void
knows_the_elements(void **state)
{
	static const struct {
		const char *ns, *name;
		bool content, component;
		enum stream_input input;
	} rows[] = {
		{ NS_TLS, "starttls", false, false, INPUT_STARTTLS },
		{ NS_SASL, "starttls", false, false, INPUT_UNKNOWN },
		{ NS_SASL, "auth", false, false, INPUT_AUTH },
		{ NS_SASL, "response", false, false, INPUT_RESPONSE },
		{ NS_SASL, "abort", false, false, INPUT_ABORT },
		{ NS_SASL, "auth", false, true, INPUT_UNKNOWN },
		{ NS_SASL, "authenticate", false, false, INPUT_UNKNOWN },
		{ NS_SASL2, "authenticate", false, false, INPUT_AUTH },
		{ NS_SASL2, "response", false, false, INPUT_RESPONSE },
		{ NS_SASL2, "abort", false, false, INPUT_ABORT },
		{ NS_SASL2, "next", false, false, INPUT_UNKNOWN },
		{ NS_SASL2, "authenticate", false, true, INPUT_UNKNOWN },
		{ NS_STREAM, "error", false, false, INPUT_ERROR },
		{ NS_STREAM, "error", false, true, INPUT_ERROR },
		{ NS_CLIENT, "message", true, false, INPUT_STANZA },
		{ NS_CLIENT, "presence", true, false, INPUT_STANZA },
		{ NS_CLIENT, "iq", true, false, INPUT_STANZA },
		{ NS_CLIENT, "auth", true, false, INPUT_UNKNOWN },
		{ NS_CLIENT, "handshake", true, false, INPUT_UNKNOWN },
		{ NS_COMPONENT, "handshake", true, true, INPUT_HANDSHAKE },
		{ NS_COMPONENT, "iq", true, true, INPUT_STANZA },
		{ NS_SM, "r", false, false, INPUT_MANAGEMENT },
		{ NS_SM, "enable", false, true, INPUT_MANAGEMENT },
		{ NS_SM, "enabled", false, false, INPUT_UNKNOWN },
		{ NS_CSI, "active", false, false, INPUT_ACTIVITY },
		{ NS_CSI, "active", false, true, INPUT_UNKNOWN },
		{ "jabber:server", "message", false, false, INPUT_UNKNOWN },
	};
	struct stream s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xml_stanza stanza = { .name = rows[i].name,
			.ns = rows[i].ns,
			.content_ns = rows[i].content };

		stream_init(&s, &domains, rows[i].component);
		if (stream_input(&s, &stanza) != rows[i].input)
			fail_msg("row %zu", i);
	}
}

static void
takes_elements_in_their_turn(void **state)
{
	static const struct {
		enum stream_state state;
		enum stream_input input;
		enum stream_error error;
	} rows[] = {
		/* 4.9.3.12: nothing before the login */
		{ STREAM_PLAIN, INPUT_STANZA, STREAM_NOT_AUTHORIZED },
		{ STREAM_LOGIN, INPUT_STANZA, STREAM_NOT_AUTHORIZED },
		{ STREAM_PLAIN, INPUT_UNKNOWN, STREAM_NOT_AUTHORIZED },
		{ STREAM_LOGIN, INPUT_UNKNOWN, STREAM_NOT_AUTHORIZED },
		/* 7.1: nothing before the bind's result */
		{ STREAM_BINDING, INPUT_STANZA, STREAM_NOT_AUTHORIZED },
		{ STREAM_UNBOUND, INPUT_STANZA, STREAM_ERROR_NONE },
		{ STREAM_BOUND, INPUT_STANZA, STREAM_ERROR_NONE },
		/* 4.9.3.24 */
		{ STREAM_BOUND, INPUT_UNKNOWN, STREAM_UNSUPPORTED_STANZA_TYPE },
		{ STREAM_PLAIN, INPUT_STARTTLS, STREAM_ERROR_NONE },
		{ STREAM_BOUND, INPUT_STARTTLS, STREAM_POLICY_VIOLATION },
		{ STREAM_PLAIN, INPUT_AUTH, STREAM_ERROR_NONE },
		{ STREAM_LOGIN, INPUT_AUTH, STREAM_ERROR_NONE },
		{ STREAM_UNBOUND, INPUT_AUTH, STREAM_POLICY_VIOLATION },
		{ STREAM_BOUND, INPUT_ABORT, STREAM_POLICY_VIOLATION },
		{ STREAM_LOGIN, INPUT_HANDSHAKE, STREAM_ERROR_NONE },
		{ STREAM_BINDING, INPUT_HANDSHAKE, STREAM_POLICY_VIOLATION },
		{ STREAM_BOUND, INPUT_ERROR, STREAM_ERROR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stream s;

		stream_init(&s, &domains, false);
		s.state = rows[i].state;
		s.authenticated = s.state >= STREAM_UNBOUND;
		if (stream_allows(&s, rows[i].input).error != rows[i].error)
			fail_msg("row %zu", i);
	}
}

static void
writes_errors_and_ends(void **state)
{
	struct stream_fault fault = { STREAM_HOST_UNKNOWN, "a < b" };
	struct buf out = { 0 };
	struct stream s;

	(void)state;
	stream_init(&s, &domains, false);
	s.header_sent = true;
	stream_write_error(&s, fault, &out);
	assert_string_equal(buf_str(&out),
	    "<stream:error><host-unknown "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
	    "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' "
	    "xml:lang='en'>a &lt; b</text></stream:error></stream:stream>");
	buf_reset(&out);
	stream_write_end(&s, &out);
	assert_string_equal(buf_str(&out), "</stream:stream>");
	/* A stream of its own begins: it has to be opened again. */
	buf_reset(&out);
	stream_set_state(&s, STREAM_PLAIN, "test");
	stream_set_state(&s, STREAM_OPENING, "test");
	stream_write_end(&s, &out);
	assert_memory_equal(buf_str(&out), "<?xml", 5);
	buf_clear(&out);
	stream_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_headers),
		cmocka_unit_test(answers_with_a_header),
		cmocka_unit_test(a_login_stays_at_its_domain),
		cmocka_unit_test(answers_the_lower_version),
		cmocka_unit_test(remembers_the_peer_of_a_faulty_header),
		cmocka_unit_test(a_component_is_answered_by_its_name),
		cmocka_unit_test(offers_what_fits_the_state),
		cmocka_unit_test(knows_the_elements),
		cmocka_unit_test(takes_elements_in_their_turn),
		cmocka_unit_test(writes_errors_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
