/* XEP-0198's counters and queue: what is handled, asked, kept and refused. */
#include "xmppd/edge/sm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sm_limits limits = { 20, 1000 };

struct fixture {
	struct sm *m;
	char freed[256]; /* the payloads that were acknowledged */
};

static int
setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.m = sm_new(&limits, 3); /* a bind, and what came before <enable/> */
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	sm_free(((struct fixture *)*state)->m);
	return 0;
}

static void
note_cb(void *arg, const struct sm_stanza *stanza)
{
	struct fixture *f = arg;
	size_t len = strlen(f->freed);

	snprintf(f->freed + len, sizeof(f->freed) - len, "%.*s",
	    (int)stanza->len, stanza->data);
}

static void
send(struct fixture *f, const char *bytes)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.num = 7;
	d.kind = DELIVER_MESSAGE;
	sm_sent(f->m, &d, text_of(bytes), 1000);
}

/* ---- what the peer sent ------------------------------------------------ */

/*
 * A letter is an event: s a stanza that became a frame, e one that the edge
 * answered, x a frame of the edge's own, a digit the acknowledgement of that
 * frame (the first is 4).
 */
static void
counts_the_leading_stanzas(void **state)
{
	static const struct {
		const char *events;
		uint32_t received, handled;
	} rows[] = {
		{ "", 0, 0 },
		{ "s", 1, 0 },
		{ "s4", 1, 1 },
		{ "e", 1, 1 },
		{ "se", 2, 0 },
		{ "se4", 2, 2 },
		{ "sese4", 4, 2 },
		{ "ss5", 2, 0 },
		{ "ss54", 2, 2 },
		{ "sss64", 3, 1 },
		{ "sss645", 3, 3 },
		{ "s1", 1, 0 }, /* of before <enable/> */
		{ "s9", 1, 0 }, /* never sent */
		{ "s44", 1, 1 },
		{ "xs5", 1, 0 },
		{ "xs54", 1, 1 },
		{ "xe", 1, 0 },
		{ "xe4", 1, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sm *m = sm_new(&limits, 3);

		for (const char *at = rows[i].events; *at != '\0'; at++) {
			if (*at == 's')
				sm_received(m, 1);
			else if (*at == 'e')
				sm_received(m, 0);
			else if (*at == 'x')
				sm_skipped(m);
			else
				sm_frame_done(m, (uint64_t)(*at - '0'));
		}
		if (sm_count_received(m) != rows[i].received ||
		    sm_handled(m) != rows[i].handled)
			fail_msg("%s: %u of %u", rows[i].events,
			    (unsigned)sm_handled(m),
			    (unsigned)sm_count_received(m));
		sm_free(m);
	}
	(void)state;
}

static void
remembers_as_many_frames_as_come(void **state)
{
	struct fixture *f = *state;

	for (uint64_t seq = 4; seq < 1004; seq++)
		sm_received(f->m, 1);
	for (uint64_t seq = 1003; seq > 4; seq--)
		sm_frame_done(f->m, seq);
	assert_int_equal(sm_handled(f->m), 0);
	sm_frame_done(f->m, 4);
	assert_int_equal(sm_handled(f->m), 1000);
}

/* What was answered with less than had come is told when it is handled. */
static void
tells_the_rest_when_it_is_handled(void **state)
{
	struct fixture *f = *state;

	assert_false(sm_owes(f->m, true));
	sm_received(f->m, 1);
	sm_received(f->m, 1);
	assert_int_equal(sm_tell(f->m), 0);
	assert_false(sm_owes(f->m, true));
	sm_frame_done(f->m, 4);
	assert_false(sm_owes(f->m, false));
	assert_true(sm_owes(f->m, true)); /* some of it, but late */
	sm_frame_done(f->m, 5);
	assert_true(sm_owes(f->m, false));
	assert_int_equal(sm_tell(f->m), 2);
	assert_false(sm_owes(f->m, true));
	/* Nobody has asked for this one. */
	sm_received(f->m, 1);
	sm_frame_done(f->m, 6);
	assert_false(sm_owes(f->m, true));
}

/* ---- what is sent to it ------------------------------------------------ */

static void
forgets_what_is_acknowledged(void **state)
{
	struct fixture *f = *state;

	send(f, "a");
	send(f, "b");
	send(f, "c");
	assert_int_equal(sm_acked(f->m, 2, note_cb, f), SM_ACKED);
	assert_string_equal(f->freed, "ab");
	assert_int_equal(sm_acked(f->m, 2, note_cb, f), SM_ACKED);
	assert_int_equal(sm_acked(f->m, 1, note_cb, f), SM_ACK_OLD);
	assert_int_equal(sm_acked(f->m, 4, note_cb, f), SM_ACK_TOO_HIGH);
	assert_string_equal(f->freed, "ab");
	assert_int_equal(sm_unacked(f->m), 1);
	assert_int_equal(sm_count_sent(f->m), 3);
	f->freed[0] = '\0';
	sm_each(f->m, note_cb, f);
	assert_string_equal(f->freed, "c");
}

/* XEP-0198, 4: after 2^32 - 1 comes 0. */
static void
counters_wrap(void **state)
{
	static const struct {
		uint32_t acked;
		unsigned sent;
		uint32_t h;
		enum sm_ack want;
	} rows[] = {
		{ 0xffffffffU, 1, 0, SM_ACKED },
		{ 0xfffffffeU, 3, 1, SM_ACKED },
		{ 0xfffffffeU, 3, 0xffffffffU, SM_ACKED },
		{ 0xfffffffeU, 3, 2, SM_ACK_TOO_HIGH },
		{ 0xfffffffeU, 0, 0xffffffffU, SM_ACK_TOO_HIGH },
		{ 1, 3, 0xffffffffU, SM_ACK_OLD },
		{ 0x7fffffffU, 2, 0x80000001U, SM_ACKED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture g = { 0 };
		struct buf b = { 0 };
		struct cursor c;

		buf_add_u32(&b, 0xffffffffU); /* received */
		buf_add_u32(&b, rows[i].acked);
		buf_add_u32(&b, 0);
		cursor_init(&c, b.data, b.len);
		g.m = sm_decode(&c, &limits, 0);
		assert_non_null(g.m);
		for (unsigned n = 0; n < rows[i].sent; n++)
			send(&g, "x");
		if (sm_acked(g.m, rows[i].h, note_cb, f) != rows[i].want)
			fail_msg("row %zu", i);
		sm_received(g.m, 1);
		sm_frame_done(g.m, 1);
		assert_int_equal(sm_handled(g.m), 0);
		sm_free(g.m);
		buf_clear(&b);
	}
}

static void
asks_with_every_tenth_stanza(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 20; i++) {
		send(f, "x");
		assert_int_equal(sm_asks(f->m, false), i % 10 == 0);
	}
}

static void
asks_once_when_nothing_follows(void **state)
{
	struct fixture *f = *state;

	assert_false(sm_asks(f->m, true));
	send(f, "x");
	assert_true(sm_will_ask(f->m));
	assert_true(sm_asks(f->m, true));
	assert_false(sm_asks(f->m, true));
	/* It has seen nothing of it yet, as it says. */
	sm_acked(f->m, 0, note_cb, f);
	assert_true(sm_asks(f->m, true));
	sm_acked(f->m, 1, note_cb, f);
	assert_false(sm_will_ask(f->m));
	assert_false(sm_asks(f->m, true));
}

static void
has_limits(void **state)
{
	struct fixture *f = *state;
	char big[900];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_true(sm_has_room(f->m, 5000)); /* alone */
	assert_true(sm_is_roomy(f->m));
	send(f, big);
	assert_false(sm_is_roomy(f->m));
	assert_true(sm_has_room(f->m, 101));
	assert_false(sm_has_room(f->m, 102));
	sm_acked(f->m, 1, note_cb, f);
	for (unsigned i = 0; i < limits.stanzas; i++) {
		assert_true(sm_has_room(f->m, 1));
		assert_int_equal(sm_is_roomy(f->m), i <= limits.stanzas / 2);
		send(f, "x");
	}
	assert_false(sm_has_room(f->m, 1));
}

/* ---- as bytes ---------------------------------------------------------- */

static void
comes_back_from_bytes(void **state)
{
	struct fixture *f = *state;
	struct buf b = { 0 }, again = { 0 };
	struct sm *m;
	struct cursor c;

	sm_received(f->m, 0);
	send(f, "acked");
	send(f, "kept");
	sm_sent(f->m, NULL, text_of("own"), 5);
	sm_acked(f->m, 1, note_cb, f);
	sm_encode(f->m, &b);
	cursor_init(&c, b.data, b.len);
	m = sm_decode(&c, &limits, 17);
	assert_non_null(m);
	assert_true(cursor_done(&c));
	assert_int_equal(sm_handled(m), 1);
	assert_int_equal(sm_count_sent(m), 3);
	sm_encode(m, &again);
	assert_int_equal(b.len, again.len);
	assert_memory_equal(b.data, again.data, b.len);
	sm_free(m);
	for (size_t len = 0; len < b.len; len++) {
		cursor_init(&c, b.data, len);
		assert_null(sm_decode(&c, &limits, 0));
	}
	buf_clear(&b);
	buf_clear(&again);
}

static void
reads_counts(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		uint32_t h;
	} rows[] = {
		{ "0", true, 0 },
		{ "4294967295", true, 4294967295U },
		{ "4294967296", false, 0 },
		{ "-1", false, 0 },
		{ "", false, 0 },
		{ " 1", false, 0 },
		{ "1x", false, 0 },
		{ NULL, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t h = 0;

		assert_int_equal(
		    sm_read_count(rows[i].text, &h), rows[i].valid);
		assert_int_equal(h, rows[i].h);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(counts_the_leading_stanzas),
		T(remembers_as_many_frames_as_come),
		T(tells_the_rest_when_it_is_handled),
		T(forgets_what_is_acknowledged),
		T(counters_wrap),
		T(asks_with_every_tenth_stanza),
		T(asks_once_when_nothing_follows),
		T(has_limits),
		T(comes_back_from_bytes),
		T(reads_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
