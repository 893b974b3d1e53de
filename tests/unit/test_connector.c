/*
 * Which server next, and when: each test is a short life of a Call Bridge,
 * written as what it did.
 */
#include "callbridge/connector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/xmalloc.h"

struct fixture {
	struct connector *c;
	uint64_t now;
	uint32_t draw; /* what the random numbers are, as far as they may */
	struct buf trace;
	struct connector_server servers[3];
};

static uint32_t
drawn(uint32_t below, void *arg)
{
	const struct fixture *f = arg;

	return f->draw < below ? f->draw : below - 1;
}

static void
fill(struct connector_server *s, const char *name, uint16_t priority,
    const char *first, const char *second)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->srv.value, sizeof(s->srv.value), "%s", name);
	s->srv.priority = priority;
	s->srv.port = 5223;
	s->count = second != NULL ? 2 : 1;
	snprintf(s->addresses[0], sizeof(s->addresses[0]), "%s", first);
	snprintf(s->addresses[1], sizeof(s->addresses[1]), "%s",
	    second != NULL ? second : "");
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	log_init("test", LOG_LEVEL_ERR, 0);
	f->now = 1000000;
	f->draw = UINT32_MAX;
	f->c = connector_new(drawn, f);
	fill(&f->servers[0], "c", 20, "10.0.0.3", NULL);
	fill(&f->servers[1], "a", 0, "2001:db8::1", "10.0.0.1");
	fill(&f->servers[2], "b", 10, "10.0.0.2", NULL);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	connector_free(f->c);
	buf_clear(&f->trace);
	free(f);
	return 0;
}

/* Asks what is to be done now, and notes it. */
static void
step(struct fixture *f)
{
	const struct connector_target *t;

	switch (connector_step(f->c, f->now)) {
	case CONNECTOR_LOOK_UP:
		buf_add_str(&f->trace, "look-up ");
		break;
	case CONNECTOR_CONNECT:
		t = connector_target(f->c);
		buf_addf(&f->trace, "%s/%s ", t->name, t->address);
		break;
	case CONNECTOR_NOTHING:
		buf_add_str(&f->trace, "- ");
		break;
	}
}

static void
expect(struct fixture *f, const char *trace)
{
	assert_string_equal(buf_str(&f->trace), trace);
	buf_reset(&f->trace);
}

static struct connector_status
status(struct fixture *f)
{
	struct connector_status s;

	connector_status(f->c, &s);
	return s;
}

static void
found(struct fixture *f)
{
	connector_found(f->c, f->now, f->servers, 3, 60);
	step(f);
}

static void
failed(struct fixture *f, const char *why)
{
	connector_failed(f->c, f->now, CONNECTOR_UNREACHED, why);
	step(f);
}

static void
refused(struct fixture *f)
{
	connector_failed(
	    f->c, f->now, CONNECTOR_UNAUTHORIZED, "not-authorized");
	step(f);
}

static void
start(struct fixture *f)
{
	connector_start(f->c, f->now);
	step(f);
	found(f);
	expect(f, "look-up a/2001:db8::1 ");
}

/* Lets the time pass until something is due. */
static void
wait_due(struct fixture *f)
{
	assert_true(connector_due(f->c) > f->now);
	f->now = connector_due(f->c) - 1;
	step(f);
	f->now++;
	step(f);
}

/* ---- tests ------------------------------------------------------------- */

static void
it_does_nothing_before_it_is_started(void **state)
{
	struct fixture *f = *state;

	step(f);
	expect(f, "- ");
	assert_int_equal(status(f).state, CONNECTOR_OFF);
	assert_int_equal(connector_due(f->c), 0);
}

static void
every_address_of_every_server_is_tried_in_order(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 4; i++)
		failed(f, "connection refused");
	expect(f, "a/10.0.0.1 b/10.0.0.2 c/10.0.0.3 - ");
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
	assert_string_equal(status(f).reason,
	    "a [2001:db8::1]:5223: connection refused; "
	    "a 10.0.0.1:5223: connection refused; "
	    "b 10.0.0.2:5223: connection refused; "
	    "c 10.0.0.3:5223: connection refused");
	assert_true(status(f).next_at > f->now);
}

static void
each_step_is_told_once(void **state)
{
	struct fixture *f = *state;

	connector_start(f->c, f->now);
	step(f);
	step(f);
	found(f);
	step(f);
	expect(f, "look-up - a/2001:db8::1 - ");
}

static void
the_wait_doubles_up_to_a_limit_and_jitters(void **state)
{
	static const uint64_t waits[] = { 300, 600, 1200, 2400, 4800, 9600,
		15000, 15000 };
	struct fixture *f = *state;

	/* The largest draw is half as much again. */
	connector_start(f->c, f->now);
	step(f);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		connector_not_found(f->c, f->now, "no reply", false);
		assert_int_equal(connector_due(f->c) - f->now, waits[i]);
		wait_due(f);
	}
	/* The smallest is the half. */
	f->draw = 0;
	connector_not_found(f->c, f->now, "no reply", false);
	assert_int_equal(connector_due(f->c) - f->now, 5000);
}

static void
after_a_wait_the_servers_are_looked_up_again(void **state)
{
	struct fixture *f = *state;

	connector_start(f->c, f->now);
	step(f);
	connector_not_found(f->c, f->now, "SRV x: no reply from y", false);
	step(f);
	assert_string_equal(status(f).reason, "SRV x: no reply from y");
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
	wait_due(f);
	assert_string_equal(
	    connector_state_name(status(f).state), "connecting");
	found(f);
	expect(f, "look-up - - look-up a/2001:db8::1 ");
}

static void
online_is_told_with_its_server(void **state)
{
	struct fixture *f = *state;

	start(f);
	failed(f, "timed out");
	f->now += 10;
	connector_online(f->c, f->now);
	step(f);
	expect(f, "a/10.0.0.1 - ");
	assert_int_equal(status(f).state, CONNECTOR_ONLINE);
	assert_int_equal(status(f).since, f->now);
	assert_string_equal(status(f).target->address, "10.0.0.1");
	assert_string_equal(status(f).reason, "");
	assert_int_equal(status(f).next_at, 0);
}

static void
after_a_loss_the_others_come_at_once_and_the_lost_one_last(void **state)
{
	struct fixture *f = *state;

	start(f);
	connector_online(f->c, f->now);
	f->now += 60000;
	failed(f, "closed by peer");
	assert_int_equal(status(f).since, f->now);
	assert_string_equal(
	    status(f).reason, "a [2001:db8::1]:5223: closed by peer");
	failed(f, "x");
	failed(f, "x");
	failed(f, "x");
	failed(f, "x");
	expect(f, "b/10.0.0.2 c/10.0.0.3 a/2001:db8::1 a/10.0.0.1 - ");
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
}

static void
a_short_stay_counts_as_a_failed_attempt(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 4; i++) {
		connector_online(f->c, f->now);
		f->now += 100;
		failed(f, "conflict");
	}
	expect(f, "a/10.0.0.1 b/10.0.0.2 c/10.0.0.3 - ");
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
}

static void
servers_are_looked_up_again_while_online(void **state)
{
	struct fixture *f = *state;

	start(f);
	connector_online(f->c, f->now);
	assert_int_equal(connector_due(f->c), f->now + 60000);
	wait_due(f);
	expect(f, "- look-up ");
	/* No answer: what is known stays, and is asked for again. */
	connector_not_found(f->c, f->now, "no reply", false);
	assert_int_equal(connector_due(f->c), f->now + 30000);
	wait_due(f);
	expect(f, "- look-up ");
	connector_found(f->c, f->now, f->servers, 1, 5);
	assert_int_equal(connector_due(f->c), f->now + 30000);
	assert_int_equal(status(f).state, CONNECTOR_ONLINE);
	failed(f, "closed by peer");
	expect(f, "c/10.0.0.3 ");
}

static void
silent_dns_leaves_what_was_known(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 4; i++)
		failed(f, "x");
	wait_due(f);
	buf_reset(&f->trace);
	connector_not_found(f->c, f->now, "no reply", false);
	step(f);
	expect(f, "a/2001:db8::1 ");
}

static void
a_certain_no_forgets_what_was_known(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 4; i++)
		failed(f, "x");
	wait_due(f);
	buf_reset(&f->trace);
	connector_not_found(f->c, f->now, "no such name", true);
	step(f);
	expect(f, "- ");
	assert_string_equal(status(f).reason, "no such name");
}

static void
a_refused_secret_is_tried_slowly(void **state)
{
	struct fixture *f = *state;
	uint64_t since;

	start(f);
	refused(f);
	failed(f, "x");
	failed(f, "x");
	since = f->now;
	failed(f, "x");
	assert_int_equal(status(f).state, CONNECTOR_REFUSED);
	assert_in_range(connector_due(f->c) - f->now, 15000, 45000);
	assert_non_null(
	    strstr(status(f).reason, "a [2001:db8::1]:5223: not-auth"));
	/* While it is tried again it stays what it is, since it began. */
	wait_due(f);
	assert_int_equal(status(f).state, CONNECTOR_REFUSED);
	found(f);
	assert_int_equal(status(f).state, CONNECTOR_REFUSED);
	for (int i = 0; i < 4; i++)
		refused(f);
	assert_int_equal(status(f).state, CONNECTOR_REFUSED);
	assert_int_equal(status(f).since, since);
	/* Once nobody refuses it any more, it is something else. */
	wait_due(f);
	found(f);
	for (int i = 0; i < 4; i++)
		failed(f, "x");
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
}

static void
another_server_may_accept_the_secret(void **state)
{
	struct fixture *f = *state;

	start(f);
	refused(f);
	connector_online(f->c, f->now);
	assert_int_equal(status(f).state, CONNECTOR_ONLINE);
	f->now += 10000;
	failed(f, "x");
	assert_string_equal(
	    connector_state_name(status(f).state), "connecting");
}

static void
a_change_begins_at_once_from_the_start(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 4; i++)
		refused(f);
	expect(f, "a/10.0.0.1 b/10.0.0.2 c/10.0.0.3 - ");
	connector_start(f->c, f->now);
	step(f);
	expect(f, "look-up ");
	assert_int_equal(status(f).state, CONNECTOR_LOOKING);
	assert_string_equal(status(f).reason, "");
	/* What was known belonged to other settings. */
	connector_not_found(f->c, f->now, "no", false);
	assert_int_equal(connector_due(f->c) - f->now, 300);
}

static void
stopped_it_waits_for_nothing(void **state)
{
	struct fixture *f = *state;

	start(f);
	connector_online(f->c, f->now);
	connector_stop(f->c, f->now, CONNECTOR_OFF, "no name is set");
	step(f);
	expect(f, "- ");
	assert_int_equal(connector_due(f->c), 0);
	assert_string_equal(status(f).reason, "no name is set");
	assert_string_equal(
	    connector_state_name(status(f).state), "not configured");
	connector_stop(f->c, f->now, CONNECTOR_REFUSED, "no secret is set");
	assert_int_equal(connector_due(f->c), 0);
	assert_string_equal(
	    connector_state_name(status(f).state), "authentication failure");
	/* The same again is no news. */
	connector_stop(f->c, f->now + 5, CONNECTOR_REFUSED, "no secret is set");
	assert_int_equal(status(f).since, f->now);
}

static void
late_answers_do_nothing(void **state)
{
	struct fixture *f = *state;

	start(f);
	connector_stop(f->c, f->now, CONNECTOR_OFF, "stopped");
	found(f);
	failed(f, "x");
	connector_not_found(f->c, f->now, "x", true);
	step(f);
	expect(f, "- - - ");
	assert_int_equal(status(f).state, CONNECTOR_OFF);
}

static void
a_long_reason_stays_one_of_bounded_length(void **state)
{
	struct fixture *f = *state;
	char why[600];

	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	start(f);
	for (int i = 0; i < 4; i++)
		failed(f, why);
	assert_true(strlen(status(f).reason) < 600);
	assert_int_equal(status(f).state, CONNECTOR_WAITING);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_does_nothing_before_it_is_started),
		T(every_address_of_every_server_is_tried_in_order),
		T(each_step_is_told_once),
		T(the_wait_doubles_up_to_a_limit_and_jitters),
		T(after_a_wait_the_servers_are_looked_up_again),
		T(online_is_told_with_its_server),
		T(after_a_loss_the_others_come_at_once_and_the_lost_one_last),
		T(a_short_stay_counts_as_a_failed_attempt),
		T(servers_are_looked_up_again_while_online),
		T(silent_dns_leaves_what_was_known),
		T(a_certain_no_forgets_what_was_known),
		T(a_refused_secret_is_tried_slowly),
		T(another_server_may_accept_the_secret),
		T(a_change_begins_at_once_from_the_start),
		T(stopped_it_waits_for_nothing),
		T(late_answers_do_nothing),
		T(a_long_reason_stays_one_of_bounded_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
