/*
 * A client's stream, as RFC 6120 has it: each test says which sentence. The
 * client speaks through a socket pair, under real TLS; the router is the test.
 */
#include "tests/lib/edge_pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gsasl.h>

#include "common/crypto.h"
#include "common/result.h"
#include "common/stanza.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define STARTTLS "<starttls xmlns='" NS_TLS "'/>"
#define ERROR(name) "<" name " xmlns='" NS_STREAM_ERRORS "'/>"
#define FAILURE(name) "<failure xmlns='" NS_SASL "'><" name "/></failure>"
#define BIND "<iq type='set' id='b'><bind xmlns='" NS_BIND "'/></iq>"

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

/* A stream error, then the end of the stream, then of the connection. */
static void
expect_error(struct client *c, const char *error)
{
	client_expect(c, "<stream:error>");
	client_expect(c, error);
	client_expect(c, "</stream:error></stream:stream>");
	client_expect_closed(c);
	client_free(c);
}

static char *
base64(const char *data, size_t len)
{
	return crypto_base64(data, len);
}

static void
send_plain(struct client *c, const char *data, size_t len)
{
	char *text = base64(data, len);

	client_send(
	    c, "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>%s</auth>", text);
	free(text);
}

#define WRONG "\0ann\0wrong"
#define RIGHT "\0ann\0secret"

/* ---- from the first byte to a session ---------------------------------- */

static void
logs_in_whatever_pieces_bytes_come_in(void **state)
{
	static const size_t chunks[] = { 0, 1, 2, 7 };

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct pump *p = *state;
		struct client *c = client_new(p, false, "192.0.2.1:1");
		struct up_frame *f;

		c->chunk = chunks[i];
		client_send(c, CLIENT_HEADER);
		client_expect(c, "</stream:features>");
		client_send(c, STARTTLS);
		client_expect(c, "<proceed xmlns='" NS_TLS "'/>");
		client_tls(c, false);
		client_send(c, CLIENT_HEADER);
		client_expect(c, "</stream:features>");
		send_plain(c, RIGHT, sizeof(RIGHT) - 1);
		client_expect(c, "</success>");
		client_send(c, CLIENT_HEADER BIND);
		client_expect(c, "</stream:features>");
		client_expect(c, "<iq type='result' id='b'>");
		client_expect(c, "<jid>ann@example.org/");
		f = pump_frame(p, FRAME_BIND);
		/* 7.6: a resource of our choice. */
		assert_int_equal(f->to.len, strlen("ann@example.org/") + 16);
		assert_true(text_is(f->payload, "77"));
		client_free(c);
		pump_forget(p);
	}
}

/* RFC 6120, 5.3.1 and 6.3.2: STARTTLS alone, before it. */
static void
offers_nothing_but_tls_in_plaintext(void **state)
{
	struct client *c = client_new(*state, false, "192.0.2.1:1");
	const char *features;

	client_send(c, CLIENT_HEADER);
	features = client_expect(c, "</stream:features>");
	assert_non_null(strstr(features,
	    "<stream:features><starttls xmlns='" NS_TLS
	    "'><required/></starttls>"));
	assert_null(strstr(features, "mechanism"));
	client_free(c);
}

/* RFC 6120, 6.5.5. */
static void
refuses_passwords_in_plaintext(void **state)
{
	struct client *c = client_new(*state, false, "192.0.2.1:1");

	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	client_expect(c, FAILURE("encryption-required"));
	assert_int_equal(pump_count(*state, UP_QUERY), 0);
	client_free(c);
}

/* RFC 6120, 5.4.3.3, and what became known as STARTTLS injection: what was
 * slipped in before TLS must not count as said under it. */
static void
drops_what_was_sent_behind_starttls(void **state)
{
	struct pump *p = *state;
	struct client *c = client_new(p, false, "192.0.2.1:1");

	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	client_send(c,
	    STARTTLS CLIENT_HEADER "<auth xmlns='" NS_SASL
				   "' mechanism='PLAIN'>AGV2ZQBwdw==</auth>");
	client_expect(c, "<proceed xmlns='" NS_TLS "'/>");
	client_tls(c, false);
	client_expect_nothing(c);
	assert_int_equal(pump_count(p, UP_QUERY), 0);
	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	client_free(c);
}

/* RFC 6120, 5.4.2.2: a failure, and the stream is closed. */
static void
refuses_starttls_under_tls(void **state)
{
	struct client *c = client_secure(*state);

	client_send(c, STARTTLS);
	client_expect(c, "<failure xmlns='" NS_TLS "'/></stream:stream>");
	client_expect_closed(c);
	client_free(c);
}

/* RFC 6120, 4.7.3: the id is new for each stream of a connection. */
static void
begins_a_new_stream_after_each_step(void **state)
{
	struct pump *p = *state;
	struct client *c = client_new(p, false, "192.0.2.1:1");
	char ids[2][40];
	const char *header;

	client_send(c, CLIENT_HEADER);
	header = client_expect(c, "</stream:features>");
	snprintf(ids[0], sizeof(ids[0]), "%.38s", strstr(header, " id='"));
	client_send(c, STARTTLS);
	client_expect(c, "<proceed xmlns='" NS_TLS "'/>");
	client_tls(c, false);
	client_send(c, CLIENT_HEADER);
	header = client_expect(c, "</stream:features>");
	assert_memory_equal(header, "<?xml version='1.0'?>", 21);
	snprintf(ids[1], sizeof(ids[1]), "%.38s", strstr(header, " id='"));
	assert_string_not_equal(ids[0], ids[1]);
	client_free(c);
}

/* ---- what a stream error is for ---------------------------------------- */

/* RFC 6120, 4.9.3 and 11: what ends a stream at its beginning. */
static void
answers_bad_beginnings(void **state)
{
	static const struct {
		const char *bytes, *error;
	} rows[] = {
		{ "<stream:stream xmlns='jabber:client' xmlns:stream='"
		  "http://etherx.jabber.org/streams' to='example.net' "
		  "version='1.0'>",
		    ERROR("host-unknown") },
		{ "<stream:stream xmlns='jabber:client' xmlns:stream='"
		  "http://etherx.jabber.org/streams' version='1.0'>",
		    ERROR("improper-addressing") },
		{ "<stream:stream xmlns='jabber:server' xmlns:stream='"
		  "http://etherx.jabber.org/streams' to='example.org' "
		  "version='1.0'>",
		    ERROR("invalid-namespace") },
		{ COMPONENT_HEADER, "components connect to" },
		{ "<stream:stream xmlns='jabber:client' xmlns:stream='urn:x' "
		  "to='example.org' version='1.0'>",
		    ERROR("invalid-namespace") },
		{ "<stream:stream xmlns='jabber:client' xmlns:stream='"
		  "http://etherx.jabber.org/streams' to='example.org'>",
		    ERROR("unsupported-version") },
		{ "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
		    ERROR("not-well-formed") },
		{ "<?xml version='1.0'?><!DOCTYPE x><stream>",
		    ERROR("restricted-xml") },
		{ "<?xml version='1.0' encoding='ISO-8859-1'?><stream>",
		    ERROR("unsupported-encoding") },
		{ CLIENT_HEADER "<message to='a@example.org'/>",
		    ERROR("not-authorized") },
		{ CLIENT_HEADER "<x xmlns='urn:x'/>", ERROR("not-authorized") },
		{ CLIENT_HEADER "<message></iq>", ERROR("not-well-formed") },
		{ CLIENT_HEADER "<!-- x -->", ERROR("restricted-xml") },
		{ CLIENT_HEADER "text<x/>", ERROR("bad-format") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = client_new(*state, false, "192.0.2.1:1");

		client_send(c, "%s", rows[i].bytes);
		client_expect(c, "<stream:stream"); /* 4.9.1.2 */
		expect_error(c, rows[i].error);
	}
}

/* A login needs little; whoever sends more is no client. */
static void
limits_what_comes_before_the_login(void **state)
{
	struct client *c = client_secure(*state);
	char *big = xmalloc(20001);

	memset(big, 'x', 20000);
	big[20000] = '\0';
	client_send(
	    c, "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>%s</auth>", big);
	free(big);
	expect_error(c, ERROR("policy-violation"));
}

static void
limits_stanzas(void **state)
{
	struct client *c = client_bound(*state, "x");
	char *big = xmalloc(70001);

	memset(big, 'x', 70000);
	big[30000] = '\0';
	client_send(c,
	    "<message to='ann@example.org'><body>%s</body>"
	    "</message>",
	    big);
	pump_frame(*state, FRAME_MESSAGE);
	memset(big, 'x', 70000);
	big[70000] = '\0';
	client_send(c,
	    "<message to='ann@example.org'><body>%s</body>"
	    "</message>",
	    big);
	free(big);
	expect_error(c, ERROR("policy-violation"));
}

/* Whoever is over the rate is read more slowly, and nobody else is. */
static void
reads_a_session_at_its_rate(void **state)
{
	static const struct {
		enum limit limit;
		uint64_t rate;
	} rows[] = {
		{ LIMIT_STANZAS, 10 },
		{ LIMIT_RATE, 1024 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pump *p = *state;
		struct client *fast = client_bound(p, "fast");
		struct client *other = client_bound(p, "other");
		struct edge_limits limits = p->cfg.limits;

		limits.of[rows[i].limit] = rows[i].rate;
		edge_set_limits(p->edge, &limits);
		for (int n = 0; n < 40; n++)
			client_send(fast,
			    "<message to='ann@example.org'><body>%060d</body>"
			    "</message>",
			    n);
		pump_wait(p, 200);
		pump_forget(p);
		client_send(fast, "<presence id='late'/>");
		client_send(other, "<iq type='get' id='1'><x xmlns='u'/></iq>");
		pump_frame(p, FRAME_IQ);
		pump_wait(p, 500);
		for (size_t at = 0; at < p->seen_count; at++)
			if (p->seen[at].what == UP_FRAME)
				assert_int_not_equal(
				    p->seen[at].m.frame.kind, FRAME_PRESENCE);
		pump_wait(p, 7000);
		pump_frame(p, FRAME_PRESENCE);
		client_free(fast);
		client_free(other);
		edge_set_limits(p->edge, &p->cfg.limits);
	}
}

/* New limits count for those who are there. */
static void
takes_other_limits_at_any_time(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct edge_limits limits = p->cfg.limits;
	char big[12001];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	client_send(c, "<message to='ann@example.org'>%s</message>", big);
	pump_frame(p, FRAME_MESSAGE);
	limits.of[LIMIT_STANZA] = 10000;
	edge_set_limits(p->edge, &limits);
	client_send(c, "<message to='ann@example.org'>%s</message>", big);
	expect_error(c, ERROR("policy-violation"));
}

static void
gives_half_a_minute_for_the_login(void **state)
{
	struct pump *p = *state;
	struct client *plain = client_new(p, false, "192.0.2.1:1");
	struct client *secure = client_secure(p);
	struct client *bound = client_bound(p, "x");

	pump_wait(p, 29000);
	client_expect_nothing(plain);
	client_expect_nothing(secure);
	pump_wait(p, 1500);
	expect_error(plain, ERROR("connection-timeout"));
	expect_error(secure, ERROR("connection-timeout"));
	client_expect_nothing(bound);
	client_free(bound);
}

static void
limits_logins_of_one_address(void **state)
{
	struct pump *p = *state;
	struct client *clients[257];

	for (size_t i = 0; i < 257; i++)
		clients[i] = client_new(p, false, "192.0.2.9:5");
	client_expect_closed(clients[256]);
	client_expect_nothing(clients[255]);
	client_free(clients[0]);
	clients[0] = client_new(p, false, "192.0.2.9:6");
	client_expect_nothing(clients[0]);
	client_free(clients[256]);
	clients[256] = client_new(p, false, "192.0.2.10:5");
	client_expect_nothing(clients[256]);
	for (size_t i = 0; i < 257; i++)
		client_free(clients[i]);
	/* A session that is bound doesn't count. */
	assert_int_equal(edge_stats(p->edge).connections, 0);
}

/* ---- SASL -------------------------------------------------------------- */

/* RFC 6120, 6.5, a row a condition. */
static void
names_what_is_wrong_with_a_login(void **state)
{
	static const struct {
		const char *bytes, *condition;
	} rows[] = {
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>AGFubgB3cm9uZw="
		  "=</auth>",
		    FAILURE("not-authorized") },
		{ "<auth xmlns='" NS_SASL "' mechanism='X-OTHER'>AA==</auth>",
		    FAILURE("invalid-mechanism") },
		{ "<auth xmlns='" NS_SASL "'>AA==</auth>",
		    FAILURE("invalid-mechanism") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>A=B=</auth>",
		    FAILURE("incorrect-encoding") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'> AA==</auth>",
		    FAILURE("incorrect-encoding") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'><x/></auth>",
		    FAILURE("incorrect-encoding") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>=</auth>",
		    FAILURE("malformed-request") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>YW5u</auth>",
		    FAILURE("malformed-request") },
		{ "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>ZXZlQGV4YW1wbGU"
		  "ub3JnAGFubgBzZWNyZXQ=</auth>",
		    FAILURE("invalid-authzid") },
		{ "<response xmlns='" NS_SASL "'>AA==</response>",
		    FAILURE("malformed-request") },
		{ "<abort xmlns='" NS_SASL "'/>", FAILURE("aborted") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = client_secure(*state);

		client_send(c, "%s", rows[i].bytes);
		client_expect(c, rows[i].condition);
		/* 6.4.5: it may try again on the same stream. */
		send_plain(c, RIGHT, sizeof(RIGHT) - 1);
		client_expect(c, "<success");
		client_free(c);
	}
}

/* RFC 6120, 6.4.5: and not for ever. */
static void
ends_after_too_many_failures(void **state)
{
	struct client *c = client_secure(*state);

	for (int i = 0; i < 4; i++) {
		send_plain(c, WRONG, sizeof(WRONG) - 1);
		client_expect(c, FAILURE("not-authorized"));
	}
	client_expect_nothing(c);
	send_plain(c, WRONG, sizeof(WRONG) - 1);
	client_expect(c, FAILURE("not-authorized"));
	expect_error(c, ERROR("policy-violation"));
}

/* RFC 6120, 6.4.2: "the receiving entity MUST discard the ongoing negotiation
 * and MUST process the new <auth/> element". */
static void
a_new_attempt_ends_the_one_under_way(void **state)
{
	struct client *c = client_secure(*state);

	client_send(c,
	    "<auth xmlns='" NS_SASL "' mechanism='SCRAM-SHA-1'>"
	    "biwsbj1ldmUscj1hYmM=</auth>");
	client_expect(c, "</challenge>");
	client_send(c, "<auth xmlns='" NS_SASL "' mechanism='PLAIN'/>");
	client_expect(c, "<challenge xmlns='" NS_SASL "'></challenge>");
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	client_expect(c, "<success");
	client_free(c);
}

static struct client *
wrong_passwords(struct pump *p, const char *plain, size_t len, int times)
{
	struct client *c = client_secure(p);

	for (int i = 0; i < times; i++) {
		if (i % 4 == 3) {
			client_free(c);
			c = client_secure(p);
		}
		send_plain(c, plain, len);
		client_expect(c, FAILURE("not-authorized"));
	}
	return c;
}

#define LOCKED                                                                 \
	"<failure xmlns='" NS_SASL "'><temporary-auth-failure/>"               \
	"<text xml:lang='en'>too many wrong passwords</text></failure>"

/* Whatever the password, whether there is such an account or not. */
static void
locks_out_who_guesses(void **state)
{
	static const char unknown[] = "\0eve\0secret";
	struct pump *p = *state;
	struct client *c;

	client_free(wrong_passwords(p, WRONG, sizeof(WRONG) - 1, 10));
	client_free(wrong_passwords(p, unknown, sizeof(unknown) - 1, 10));
	c = client_secure(p);
	pump_forget(p);
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	client_expect(c, LOCKED);
	send_plain(c, unknown, sizeof(unknown) - 1);
	client_expect(c, LOCKED);
	assert_int_equal(pump_count(p, UP_QUERY), 0);
	client_free(c);
	pump_wait(p, 60000);
	client_free(client_bound(p, "x"));
}

/* RFC 6120, 6.4.2: no initial response; and an abort in the middle, 6.4.4. */
static void
asks_for_a_response_that_was_not_given(void **state)
{
	struct client *c = client_secure(*state);
	char *text = base64(RIGHT, sizeof(RIGHT) - 1);

	client_send(c, "<auth xmlns='" NS_SASL "' mechanism='PLAIN'/>");
	client_expect(c, "<challenge xmlns='" NS_SASL "'></challenge>");
	client_send(c, "<abort xmlns='" NS_SASL "'/>");
	client_expect(c, FAILURE("aborted"));
	client_send(c, "<auth xmlns='" NS_SASL "' mechanism='PLAIN'/>");
	client_expect(c, "<challenge xmlns='" NS_SASL "'></challenge>");
	client_send(c, "<response xmlns='" NS_SASL "'>%s</response>", text);
	client_expect(c, "<success");
	free(text);
	client_free(c);
}

static void
an_account_that_is_not_there_fails_like_a_wrong_password(void **state)
{
	struct client *c = client_secure(*state);
	static const char unknown[] = "\0eve\0secret";
	const char *answer;

	send_plain(c, unknown, sizeof(unknown) - 1);
	answer = client_expect(c, FAILURE("not-authorized"));
	assert_string_equal(answer, "");
	client_free(c);
}

/* A session may go while the worker derives. */
static void
survives_a_client_that_does_not_wait(void **state)
{
	struct pump *p = *state;
	struct client *c = client_secure(p);

	p->derive_later = true;
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	client_expect_nothing(c);
	client_send(c, "<abort xmlns='" NS_SASL "'/>");
	client_expect(c, FAILURE("aborted"));
	pump_derive(p);
	client_expect_nothing(c);
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	pump_run(p);
	client_free(c);
	pump_run(p);
	pump_derive(p);
}

/* A login waits for a leader up to hold. */
static void
a_login_without_a_leader_fails_for_now(void **state)
{
	struct pump *p = *state;
	struct client *c = client_secure(p);

	p->obliging = false;
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	pump_wait(p, 2500);
	client_expect_nothing(c);
	pump_link_up(p, 2); /* the next leader is asked again */
	p->obliging = true;
	pump_run(p);
	client_expect(c, "<success");
	client_free(c);

	c = client_secure(p);
	p->obliging = false;
	edge_link_down(p->edge);
	p->linked = false;
	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	pump_wait(p, 3100);
	client_expect(c, FAILURE("temporary-auth-failure"));
	client_free(c);
}

/* A login by GNU SASL's client over the connection's own binding. */
static void
scram_login(struct pump *p, const char *mechanism, bool old)
{
	struct client *c = client_new(p, false, "192.0.2.1:1");
	uint8_t cb[64];
	size_t cb_len;
	char *text, *out;
	Gsasl *ctx;
	Gsasl_session *client;
	const char *answer;

	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	client_send(c, STARTTLS);
	client_expect(c, "<proceed xmlns='" NS_TLS "'/>");
	client_tls(c, old);
	client_send(c, CLIENT_HEADER);
	client_expect(c, mechanism);
	client_expect(c, "</stream:features>");
	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	assert_int_equal(gsasl_client_start(ctx, mechanism, &client), GSASL_OK);
	gsasl_property_set(client, GSASL_AUTHID, "ann");
	gsasl_property_set(client, GSASL_PASSWORD, "secret");
	cb_len = old ? tls_unique(c->ssl, cb) : tls_exporter(c->ssl, cb);
	text = crypto_base64(cb, cb_len);
	if (strstr(mechanism, "-PLUS") != NULL)
		gsasl_property_set(client,
		    old ? GSASL_CB_TLS_UNIQUE : GSASL_CB_TLS_EXPORTER, text);
	free(text);
	assert_int_equal(gsasl_step64(client, NULL, &out), GSASL_NEEDS_MORE);
	client_send(c, "<auth xmlns='" NS_SASL "' mechanism='%s'>%s</auth>",
	    mechanism, out);
	gsasl_free(out);
	client_expect(c, "<challenge xmlns='" NS_SASL "'>");
	answer = client_expect(c, "</challenge>");
	assert_int_equal(gsasl_step64(client, answer, &out), GSASL_NEEDS_MORE);
	client_send(c, "<response xmlns='" NS_SASL "'>%s</response>", out);
	gsasl_free(out);
	client_expect(c, "<success xmlns='" NS_SASL "'>");
	answer = client_expect(c, "</success>");
	assert_int_equal(gsasl_step64(client, answer, &out), GSASL_OK);
	gsasl_free(out);
	gsasl_finish(client);
	gsasl_done(ctx);
	client_free(c);
}

static void
scram_binds_to_the_channel(void **state)
{
	scram_login(*state, "SCRAM-SHA-256-PLUS", false);
	scram_login(*state, "SCRAM-SHA-1-PLUS", false);
	scram_login(*state, "SCRAM-SHA-256-PLUS", true);
	scram_login(*state, "SCRAM-SHA-1-PLUS", true);
	scram_login(*state, "SCRAM-SHA-256", false);
	scram_login(*state, "SCRAM-SHA-1", true);
}

/* ---- binding a resource ------------------------------------------------ */

/* RFC 6120, 7.1: nothing else before. */
static void
takes_no_stanza_before_the_bind(void **state)
{
	struct client *c = client_authenticated(*state);

	client_send(c, "<message to='ann@example.org'/>");
	expect_error(c, ERROR("not-authorized"));
	c = client_authenticated(*state);
	client_send(
	    c, "<iq type='get' id='1'><bind xmlns='" NS_BIND "'/></iq>");
	expect_error(c, ERROR("not-authorized"));
	c = client_authenticated(*state);
	((struct pump *)*state)->obliging = false;
	client_send(c, BIND "<message to='ann@example.org'/>");
	expect_error(c, ERROR("not-authorized"));
	pump_frame(*state, FRAME_UNBIND);
}

/* RFC 6120, 7.7.2.1. */
static void
refuses_resources_that_cannot_be(void **state)
{
	struct pump *p = *state;
	struct client *c = client_authenticated(p);
	struct up_frame *f;
	struct down_deliver d;
	char big[1100];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	client_send(c,
	    "<iq type='set' id='b'><bind xmlns='" NS_BIND
	    "'><resource>%s</resource></bind></iq>",
	    big);
	client_expect(c, "<bad-request xmlns='" NS_STANZA_ERRORS "'/>");
	client_expect(c, "</iq>");
	/* And what the router refuses: then another may be asked for. */
	p->obliging = false;
	client_send(c, BIND);
	f = pump_frame(p, FRAME_BIND);
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = p->origin;
	d.id.key.num = f->num;
	d.id.sid = f->sid;
	d.kind = DELIVER_REFUSED;
	d.payload = text_of("conflict");
	pump_deliver(p, &d);
	client_expect(c, "<iq type='error' id='b'>");
	client_expect(c, "<conflict xmlns='" NS_STANZA_ERRORS "'/>");
	client_expect(c, "</iq>");
	p->obliging = true;
	pump_run(p);
	client_send(c, BIND);
	client_expect(c, "</bind></iq>");
	client_free(c);
}

/* RFC 6120, 7.7.1: the result comes when the router has the session. */
static void
waits_for_the_router_to_bind(void **state)
{
	struct pump *p = *state;
	struct client *c = client_authenticated(p);

	p->obliging = false;
	client_send(c, BIND);
	pump_frame(p, FRAME_BIND);
	client_expect_nothing(c);
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
}

static void
answers_for_its_own_connection(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	/* RFC 3921, 3 */
	client_send(
	    c, "<iq type='set' id='s'><session xmlns='" NS_SESSION "'/></iq>");
	client_expect(c, "<iq type='result' id='s' to='ann@example.org/x'/>");
	/* RFC 6120, 7.7.2.2: one resource a connection */
	client_send(c, BIND);
	client_expect(c, "<not-allowed xmlns='" NS_STANZA_ERRORS "'/>");
	assert_int_equal(pump_count(p, UP_FRAME), 1);
	client_free(c);
}

/* ---- stanzas ----------------------------------------------------------- */

static void
hands_messages_up(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "phone");
	struct up_frame *f;

	client_send(c,
	    "<message to='Bob@Example.org' id='m1' type='chat'>"
	    "<body>hi &amp; bye</body></message>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->to, "bob@example.org"));
	assert_true(text_is(f->from, "ann@example.org/phone"));
	assert_true(text_is(f->id, "m1"));
	assert_true(text_is(f->child, "{jabber:client}body"));
	assert_int_equal(f->type, TYPE_CHAT);
	assert_int_equal(f->marks, MARK_BODY | MARK_CONTENT);
	assert_true(text_is(f->payload,
	    "<message from='ann@example.org/phone' to='bob@example.org' "
	    "type='chat' id='m1'><body>hi &amp; bye</body></message>"));
	client_free(c);
}

/* XEP-0359, 3: those in the name of either account go, others stay. */
static void
takes_forged_stanza_ids_out(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "phone");
	struct up_frame *f;

	client_send(c,
	    "<message to='bob@example.org/x'>"
	    "<stanza-id xmlns='urn:xmpp:sid:0' by='Bob@example.org' id='1'/>"
	    "<body>hi</body>"
	    "<stanza-id xmlns='urn:xmpp:sid:0' by='room@example.net' id='2'/>"
	    "<stanza-id xmlns='urn:xmpp:sid:0' by='ann@example.org' id='3'>"
	    "<x/></stanza-id>"
	    "<origin-id xmlns='urn:xmpp:sid:0' id='4'/></message>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->payload,
	    "<message from='ann@example.org/phone' to='bob@example.org/x'>"
	    "<body>hi</body>"
	    "<stanza-id xmlns='urn:xmpp:sid:0' by='room@example.net' id='2'/>"
	    "<origin-id xmlns='urn:xmpp:sid:0' id='4'/></message>"));
	client_free(c);
}

/* RFC 6120, 8.1.2.1: the full JID is stamped, whatever of its own it says. */
static void
stamps_from(void **state)
{
	static const char *const own[] = { "ann@example.org",
		"ann@example.org/x", "ANN@example.org/x" };
	static const char *const others[] = { "bob@example.org",
		"ann@example.org/y", "example.org", "@", "" };
	struct pump *p = *state;

	for (size_t i = 0; i < 3; i++) {
		struct client *c = client_bound(p, "x");

		client_send(
		    c, "<message to='b@example.org' from='%s'/>", own[i]);
		assert_true(text_is(
		    pump_frame(p, FRAME_MESSAGE)->from, "ann@example.org/x"));
		client_free(c);
		pump_forget(p);
	}
	for (size_t i = 0; i < 5; i++) {
		struct client *c = client_bound(p, "x");

		client_send(
		    c, "<message to='b@example.org' from='%s'/>", others[i]);
		expect_error(c, ERROR("invalid-from"));
	}
}

static void
answers_stanzas_that_cannot_be(void **state)
{
	static const struct {
		const char *bytes, *error;
	} rows[] = {
		/* RFC 6120, 8.3.3.8 */
		{ "<message id='1' to='@example.org'/>", "jid-malformed" },
		{ "<iq id='1' type='get' to='a@@b'><x xmlns='u'/></iq>",
		    "jid-malformed" },
		{ "<presence id='1' to=''/>", "jid-malformed" },
		/* 8.2.3 */
		{ "<iq id='1' type='other'><x xmlns='u'/></iq>",
		    "bad-request" },
		{ "<iq id='1'><x xmlns='u'/></iq>", "bad-request" },
		{ "<iq id='1' type='get'/>", "bad-request" },
		{ "<iq id='1' type='set'><x xmlns='u'/><y xmlns='u'/></iq>",
		    "bad-request" },
		{ "<iq type='get'><x xmlns='u'/></iq>", "bad-request" },
		/* RFC 6121, 4.7.1, 3.1.1 */
		{ "<presence id='1' type='available'/>", "bad-request" },
		{ "<presence id='1' type='subscribe'/>", "bad-request" },
	};
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	pump_forget(p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[128];

		snprintf(error, sizeof(error),
		    "<%s xmlns='" NS_STANZA_ERRORS "'/></error></",
		    rows[i].error);
		client_send(c, "%s", rows[i].bytes);
		client_expect(c, " type='error'");
		client_expect(c, error);
		client_expect(c, ">");
	}
	/* 8.3.1: no error is answered by an error, nor a result. */
	client_send(c,
	    "<message type='error' to='@'/>"
	    "<iq type='result'><x/><y/></iq>"
	    "<iq type='error' to='@' id='1'/>"
	    "<presence type='error' to='@'/>");
	client_expect_nothing(c);
	assert_int_equal(pump_count(p, UP_FRAME), 0);
	client_free(c);
}

static void
takes_stanzas_without_an_address(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct up_frame *f;

	/* RFC 6120, 10.3: to the account itself. */
	client_send(c, "<message id='1'/>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->to, "ann@example.org"));
	assert_int_equal(f->flags, FRAME_NO_TO);
	client_send(
	    c, "<iq type='get' id='r'><query xmlns='" NS_ROSTER "'/></iq>");
	f = pump_frame(p, FRAME_IQ);
	assert_true(text_is(f->to, "ann@example.org"));
	assert_true(text_is(f->child, "{jabber:iq:roster}query"));
	assert_int_equal(f->flags, FRAME_NO_TO);
	client_send(c, "<presence><show>away</show></presence>");
	f = pump_frame(p, FRAME_PRESENCE);
	assert_null(f->to.data);
	client_free(c);
}

/* RFC 6120, 4.7.4 and 8.1.5. */
static void
gives_stanzas_the_language_of_their_stream(void **state)
{
	struct pump *p = *state;
	struct client *c = client_secure(p);
	struct up_frame *f;

	send_plain(c, RIGHT, sizeof(RIGHT) - 1);
	client_expect(c, "</success>");
	client_send(c,
	    "<stream:stream xmlns='jabber:client' xmlns:stream='"
	    "http://etherx.jabber.org/streams' to='example.org' "
	    "version='1.0' xml:lang='de'>" BIND);
	client_expect(c, "</bind></iq>");
	client_send(c, "<message to='b@example.org'/>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->lang, "de"));
	assert_non_null(
	    memmem(f->payload.data, f->payload.len, "xml:lang='de'", 13));
	client_send(c, "<message to='b@example.org' xml:lang='fr'/>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->lang, "fr"));
	client_free(c);
}

/* RFC 6120, 4.9.3.24; 8: what is no stanza. */
static void
knows_three_kinds_of_stanza(void **state)
{
	static const char *const rows[] = { "<other/>",
		"<message xmlns='urn:x'/>", "<q xmlns='urn:xmpp:sm:3'/>" };

	for (size_t i = 0; i < 3; i++) {
		struct client *c = client_bound(*state, "x");

		client_send(c, "%s", rows[i]);
		expect_error(c, ERROR("unsupported-stanza-type"));
	}
}

/* RFC 6120, 4.6.1. */
static void
tolerates_keepalives(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	for (int i = 0; i < 5; i++) {
		client_send(c, " \n");
		pump_wait(p, 2000); /* its parser rests */
	}
	client_send(c, "<message to='b@example.org'/> ");
	pump_frame(p, FRAME_MESSAGE);
	client_free(c);
}

/* ---- the end ----------------------------------------------------------- */

/* RFC 6120, 4.4: answers that are under way come before our closing tag. */
static void
finishes_before_it_closes(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct up_frame *f;

	p->obliging = false;
	client_send(c,
	    "<iq type='get' id='1' to='example.org'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq></stream:stream>");
	client_expect_nothing(c);
	f = pump_frame(p, FRAME_IQ);
	pump_stanza(p, &f->sid, 1, "<iq type='result' id='1'/>");
	pump_ack(p, pump_frame(p, FRAME_IQ)->num);
	client_expect(c, "<iq type='result' id='1'/></stream:stream>");
	client_expect_closed(c);
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
}

static void
waits_two_seconds_at_most_to_close(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	p->obliging = false;
	client_send(c, "<message to='b@example.org'/></stream:stream>");
	pump_wait(p, 1900);
	client_expect_nothing(c);
	pump_wait(p, 200);
	client_expect(c, "</stream:stream>");
	client_expect_closed(c);
	client_free(c);
}

static void
closes_whenever_the_peer_does(void **state)
{
	struct client *c = client_new(*state, false, "192.0.2.1:1");

	client_send(c, CLIENT_HEADER "</stream:stream>");
	client_expect(c, "</stream:features></stream:stream>");
	client_expect_closed(c);
	client_free(c);
	c = client_secure(*state);
	client_send(c, "</stream:stream>");
	client_expect(c, "</stream:stream>");
	client_expect_closed(c);
	client_free(c);
	/* 4.9.1.1: a peer's stream error comes before its end. */
	c = client_bound(*state, "x");
	client_send(c,
	    "<stream:error>" ERROR("reset") "</stream:error>"
					    "</stream:stream>");
	client_expect(c, "</stream:stream>");
	client_expect_closed(c);
	client_free(c);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(logs_in_whatever_pieces_bytes_come_in),
		T(offers_nothing_but_tls_in_plaintext),
		T(refuses_passwords_in_plaintext),
		T(drops_what_was_sent_behind_starttls),
		T(refuses_starttls_under_tls),
		T(begins_a_new_stream_after_each_step),
		T(answers_bad_beginnings),
		T(limits_what_comes_before_the_login),
		T(limits_stanzas),
		T(reads_a_session_at_its_rate),
		T(takes_other_limits_at_any_time),
		T(gives_half_a_minute_for_the_login),
		T(limits_logins_of_one_address),
		T(names_what_is_wrong_with_a_login),
		T(ends_after_too_many_failures),
		T(a_new_attempt_ends_the_one_under_way),
		T(locks_out_who_guesses),
		T(asks_for_a_response_that_was_not_given),
		T(an_account_that_is_not_there_fails_like_a_wrong_password),
		T(survives_a_client_that_does_not_wait),
		T(a_login_without_a_leader_fails_for_now),
		T(scram_binds_to_the_channel),
		T(takes_no_stanza_before_the_bind),
		T(refuses_resources_that_cannot_be),
		T(waits_for_the_router_to_bind),
		T(answers_for_its_own_connection),
		T(hands_messages_up),
		T(takes_forged_stanza_ids_out),
		T(stamps_from),
		T(answers_stanzas_that_cannot_be),
		T(takes_stanzas_without_an_address),
		T(gives_stanzas_the_language_of_their_stream),
		T(knows_three_kinds_of_stanza),
		T(tolerates_keepalives),
		T(finishes_before_it_closes),
		T(waits_two_seconds_at_most_to_close),
		T(closes_whenever_the_peer_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
