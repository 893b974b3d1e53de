/*
 * An edge between its connections and its link: deliveries, back-pressure, the
 * loss of a leader, and the end of service.
 */
#include "tests/lib/edge_pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

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

static struct sid
sid_of(struct pump *p)
{
	return pump_frame(p, FRAME_BIND)->sid;
}

/* ---- deliveries -------------------------------------------------------- */

static void
delivers_once_and_says_so(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);

	pump_forget(p);
	pump_stanza(p, &sid, 5, "<message id='5'/>");
	pump_stanza(p, &sid, 5, "<message id='5'/>");
	client_expect(c, "<message id='5'/>");
	client_expect_nothing(c);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 2);
	client_free(c);
	pump_stanza(p, &sid, 6, "<message id='6'/>");
	assert_int_equal(pump_count(p, UP_REFUSED), 1);
}

static void
a_kick_closes_the_stream(void **state)
{
	static const struct {
		const char *condition, *error;
	} rows[] = {
		{ "conflict", ERROR("conflict") },
		{ "not-authorized", ERROR("not-authorized") },
		{ "nonsense", ERROR("undefined-condition") },
	};
	struct pump *p = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client *c = client_bound(p, "x");
		struct down_kick kick = { .sid = sid_of(p),
			.condition = text_of(rows[i].condition),
			.text = text_of("replaced") };
		struct buf msg = { 0 };

		down_kick_encode(&msg, p->term, &kick);
		assert_int_equal(edge_down(p->edge, msg.data, msg.len), RES_OK);
		buf_clear(&msg);
		pump_frame(p, FRAME_UNBIND);
		expect_error(c, rows[i].error);
		pump_forget(p);
	}
}

/* ---- G5: bounded queues ------------------------------------------------ */

static void
a_full_window_stops_reading(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	size_t sent = 0, before;

	p->obliging = false;
	pump_forget(p);
	/* The window is 8; what the socket holds is beyond the edge. */
	for (int i = 0; i < 40; i++)
		client_send(c, "<message to='b@example.org' id='%d'/>", i);
	before = pump_count(p, UP_FRAME);
	assert_int_equal(before, 8);
	assert_int_equal(edge_stats(p->edge).unacked, 8);
	/* Acknowledgements let the rest through, in order. */
	while (sent < pump_count(p, UP_FRAME)) {
		struct up_frame *f = &pump_seen(p, UP_FRAME, sent)->m.frame;
		char id[24];

		snprintf(id, sizeof(id), "%zu", sent);
		assert_true(text_is(f->id, id));
		pump_ack(p, f->num);
		pump_run(p);
		assert_true(edge_stats(p->edge).unacked <= 8);
		sent++;
	}
	assert_int_equal(sent, 40);
	client_free(c);
}

/* What the edge doesn't read stays in the socket, and then at the client. */
static void
a_client_that_is_not_acknowledged_cannot_go_on(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	char body[1024], *text;
	size_t kilobytes = 0;

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	xasprintf(&text,
	    "<message to='b@example.org'><body>%s</body></message>", body);
	p->obliging = false;
	while (kilobytes < 4000 &&
	    SSL_write(c->ssl, text, (int)strlen(text)) > 0) {
		kilobytes++;
		pump_run(p);
	}
	free(text);
	assert_in_range(kilobytes, 8, 1000);
	client_free(c);
}

static void
one_full_window_costs_nobody_else(void **state)
{
	struct pump *p = *state;
	struct client *busy = client_bound(p, "busy");
	struct client *other = client_bound(p, "other");

	p->obliging = false;
	for (int i = 0; i < 20; i++)
		client_send(busy, "<message to='b@example.org'/>");
	pump_forget(p);
	client_send(other, "<message to='b@example.org' id='other'/>");
	assert_true(text_is(pump_frame(p, FRAME_MESSAGE)->id, "other"));
	client_free(busy);
	client_free(other);
}

static void
a_client_that_does_not_read_is_ended(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);
	char *big = xmalloc(60001);
	uint64_t num = 1;

	memset(big, ' ', 60000);
	memcpy(big, "<message>", 9);
	memcpy(big + 60000 - 10, "</message>", 11);
	pump_forget(p);
	c->stalled = true;
	while (pump_count(p, UP_REFUSED) == 0 && num < 200) {
		pump_stanza(p, &sid, num++, big);
		pump_run(p);
	}
	free(big);
	/* A megabyte in the queue, and what the socket took. */
	assert_in_range(num, 1048576 / 60000, 2 * 1048576 / 60000);
	pump_frame(p, FRAME_UNBIND);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
	c->stalled = false;
	client_expect(c, "<stream:error>");
	client_free(c);
}

/* A burst is no sin: what is read in time arrives. */
static void
what_does_not_fit_the_socket_follows(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);
	char *big = xmalloc(60001), end[32];

	memset(big, ' ', 60000);
	memcpy(big, "<message>", 9);
	memcpy(big + 60000 - 10, "</message>", 11);
	for (uint64_t num = 1; num <= 12; num++) {
		pump_stanza(p, &sid, num, big);
		snprintf(end, sizeof(end), "<x n='%d'/>", (int)num);
		pump_stanza(p, &sid, 100 + num, end);
	}
	free(big);
	for (uint64_t num = 1; num <= 12; num++) {
		snprintf(end, sizeof(end), "<x n='%d'/>", (int)num);
		client_expect(c, end);
	}
	assert_int_equal(pump_count(p, UP_REFUSED), 0);
	client_free(c);
}

/* A stored message of 60,000 bytes. */
static void
deliver_row(struct pump *p, const struct sid *sid, uint64_t row)
{
	char *big = xmalloc(60001), end[32];
	struct down_deliver d;
	int len = snprintf(end, sizeof(end), "<x n='%d'/>", (int)row);

	memset(big, ' ', 60000);
	memcpy(big + 60000 - len, end, (size_t)len + 1);
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_ROW;
	d.id.key.num = row;
	d.id.sid = *sid;
	d.kind = DELIVER_MESSAGE;
	d.payload = text_of(big);
	pump_deliver(p, &d);
	free(big);
}

static void
stored_messages_come_as_fast_as_they_are_read(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);
	size_t taken;

	pump_forget(p);
	c->stalled = true;
	for (uint64_t row = 1; row <= 32; row++)
		deliver_row(p, &sid, row);
	pump_run(p);
	taken = pump_count(p, UP_ACCEPTED);
	assert_in_range(taken, 0, 4);
	assert_int_equal(pump_count(p, UP_REFUSED), 0);
	c->stalled = false;
	client_expect(c, "<x n='32'/>");
	pump_run(p);
	assert_int_equal(pump_count(p, UP_ACCEPTED), 32);
	client_free(c);
}

/* They are still stored, and the next session gets them. */
static void
stored_messages_that_were_not_written_are_refused(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);

	pump_forget(p);
	c->stalled = true;
	for (uint64_t row = 1; row <= 32; row++)
		deliver_row(p, &sid, row);
	pump_run(p);
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
	assert_int_equal(
	    pump_count(p, UP_ACCEPTED) + pump_count(p, UP_REFUSED), 32);
	assert_in_range(pump_count(p, UP_REFUSED), 16, 32);
	assert_in_range(pump_count(p, UP_ACCEPTED), 1, 16);
	assert_int_equal(
	    edge_stats(p->edge).accepted, pump_count(p, UP_ACCEPTED) + 1);
}

static void
who_never_reads_its_stored_messages_is_ended(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);

	c->stalled = true;
	for (uint64_t row = 1; row <= 32; row++)
		deliver_row(p, &sid, row);
	pump_wait(p, 9000);
	assert_int_equal(edge_stats(p->edge).sessions, 1);
	pump_wait(p, 2000);
	assert_int_equal(edge_stats(p->edge).sessions, 0);
	pump_frame(p, FRAME_UNBIND);
	client_free(c);
}

/* ---- G4: no leader ----------------------------------------------------- */

static void
stanzas_wait_for_a_leader(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct up_frame *f;

	p->linked = false;
	edge_link_down(p->edge);
	client_send(c, "<message to='b@example.org' id='waits'/>");
	pump_wait(p, 2000);
	pump_forget(p);
	pump_link_up(p, 2);
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->id, "waits"));
	assert_false(f->resent);
	assert_int_equal(pump_seen(p, UP_FRAME, 0)->term, 2);
	client_free(c);
}

static void
announces_what_a_new_leader_must_know(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	struct sid sid = sid_of(p);
	struct up_session *s;

	client_send(c, "<presence><show>away</show></presence>");
	p->obliging = false;
	client_send(c, "<message to='b@example.org' id='unacked'/>");
	pump_stanza(p, &sid, 7, "<message/>");
	pump_forget(p);
	pump_link_up(p, 2);
	s = &pump_seen(p, UP_SESSION, 0)->m.session;
	assert_true(text_is(s->full, "ann@example.org/x"));
	assert_int_equal(s->account, 5);
	assert_true(s->bound);
	assert_true(text_is(s->presence,
	    "<presence from='ann@example.org/x'><show>away</show>"
	    "</presence>"));
	assert_int_equal(pump_count(p, UP_REPORT), 2); /* with the bind's */
	assert_true(pump_frame(p, FRAME_MESSAGE)->resent);
	/* No presence any more: nothing to announce. */
	client_send(c, "<presence type='unavailable'/>");
	pump_forget(p);
	pump_link_up(p, 3);
	s = &pump_seen(p, UP_SESSION, 0)->m.session;
	assert_null(s->presence.data);
	client_free(c);
}

/* Directed presence is not what is announced. */
static void
directed_presence_is_not_broadcast(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	client_send(c, "<presence id='1'/>");
	client_send(c, "<presence to='b@example.org' type='unavailable'/>");
	client_send(c, "<presence to='b@example.org' id='2'/>");
	pump_forget(p);
	pump_link_up(p, 2);
	assert_true(text_is(pump_seen(p, UP_SESSION, 0)->m.session.presence,
	    "<presence from='ann@example.org/x' id='1'/>"));
	client_free(c);
}

static void
after_hold_without_a_leader_streams_are_closed(void **state)
{
	struct pump *p = *state;
	struct client *bound = client_bound(p, "x");
	struct client *login = client_secure(p);
	struct client *component = component_bound(p);
	struct client *refused;

	p->obliging = false;
	p->linked = false;
	edge_link_down(p->edge);
	pump_wait(p, 2900);
	client_expect_nothing(bound);
	pump_wait(p, 200);
	expect_error(bound, ERROR("system-shutdown"));
	expect_error(login, ERROR("system-shutdown"));
	expect_error(component, ERROR("system-shutdown"));
	/* New ones are refused at once ... */
	refused = client_new(p, false, "192.0.2.1:1");
	client_expect_closed(refused);
	assert_int_equal(refused->in.len, 0);
	client_free(refused);
	/* ... until a leader answers. */
	pump_forget(p);
	p->obliging = true;
	pump_link_up(p, 2);
	assert_int_equal(pump_count(p, UP_SESSION), 0);
	assert_int_equal(pump_count(p, UP_FRAME), 0);
	pump_run(p);
	client_free(client_bound(p, "x"));
}

static void
a_link_without_answers_is_given_up(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	p->obliging = false;
	pump_wait(p, 3100);
	assert_int_equal(p->unlinked, 1);
	expect_error(c, ERROR("system-shutdown"));
}

static void
pings_keep_it_going(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");

	pump_forget(p);
	pump_wait(p, 10000);
	assert_in_range(pump_count(p, UP_PING), 90, 110);
	client_expect_nothing(c);
	client_free(c);
}

/* ---- service ----------------------------------------------------------- */

static void
serves_only_when_told(void **state)
{
	struct pump *p = *state;
	struct client *bound = client_bound(p, "x");
	struct client *login = client_secure(p);
	struct client *refused;

	edge_set_serving(p->edge, false, "system-shutdown");
	expect_error(bound, ERROR("system-shutdown"));
	expect_error(login, ERROR("system-shutdown"));
	pump_frame(p, FRAME_UNBIND);
	refused = client_new(p, false, "192.0.2.1:1");
	client_expect_closed(refused);
	client_free(refused);
	edge_set_serving(p->edge, true, NULL);
	client_free(client_bound(p, "x"));
}

static void
refuses_connections_without_a_certificate(void **state)
{
	struct pump *p = *state;
	struct client *c;

	edge_set_tls(p->edge, NULL, NULL);
	c = client_new(p, false, "192.0.2.1:1");
	client_expect_closed(c);
	client_free(c);
	edge_set_tls(p->edge, p->tls, p->tls);
	client_free(client_bound(p, "x"));
}

/* What must be said once, is said once: random bytes down the link end at most
 * the link. */
static void
survives_noise_on_the_link(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "x");
	uint8_t noise[64];
	uint64_t seed = 42;

	for (int i = 0; i < 20000; i++) {
		for (size_t at = 0; at < sizeof(noise); at++) {
			seed = seed * 6364136223846793005ULL + 1;
			noise[at] = (uint8_t)(seed >> 56);
		}
		noise[0] = (uint8_t)(64 + noise[0] % 7);
		memset(noise + 1, 0, 8);
		noise[8] = 1; /* the right term */
		edge_down(p->edge, noise, 9 + (seed >> 40) % 56);
	}
	client_expect_nothing(c);
	client_free(c);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(delivers_once_and_says_so),
		T(a_kick_closes_the_stream),
		T(a_full_window_stops_reading),
		T(a_client_that_is_not_acknowledged_cannot_go_on),
		T(one_full_window_costs_nobody_else),
		T(a_client_that_does_not_read_is_ended),
		T(what_does_not_fit_the_socket_follows),
		T(stored_messages_come_as_fast_as_they_are_read),
		T(stored_messages_that_were_not_written_are_refused),
		T(who_never_reads_its_stored_messages_is_ended),
		T(stanzas_wait_for_a_leader),
		T(announces_what_a_new_leader_must_know),
		T(directed_presence_is_not_broadcast),
		T(after_hold_without_a_leader_streams_are_closed),
		T(a_link_without_answers_is_given_up),
		T(pings_keep_it_going),
		T(serves_only_when_told),
		T(refuses_connections_without_a_certificate),
		T(survives_noise_on_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
