/*
 * The sending half of a link: numbers, windows, acknowledgement in any order,
 * and what is sent again to the next router.
 */
#include "xmppd/link/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "common/xmalloc.h"

#define WINDOW 8
#define SESSION_WINDOW 3

struct owner {
	char name;
	unsigned moved;
	uint64_t last; /* frame acknowledged */
	struct link_queue *queue;
	bool close_when_moved;
};

struct fixture {
	struct link *link;
	char sent[1024]; /* "1a 2b+" : number, sender, resent */
	uint64_t term, low;
	struct owner a, b, c;
};

static void
up_cb(void *arg, const void *msg, size_t len)
{
	struct fixture *f = arg;
	size_t have = strlen(f->sent);
	struct link_head head;
	struct up_frame frame;
	struct cursor c;

	cursor_init(&c, msg, len);
	assert_int_equal(link_head_decode(&c, &head), RES_OK);
	assert_int_equal(head.what, UP_FRAME);
	assert_int_equal(up_frame_decode(&c, &frame), RES_OK);
	f->term = head.term;
	f->low = frame.low;
	snprintf(f->sent + have, sizeof(f->sent) - have, "%s%llu%.*s%s",
	    have == 0 ? "" : " ", (unsigned long long)frame.num,
	    (int)frame.payload.len, frame.payload.data,
	    frame.resent ? "+" : "");
}

static void
moved_cb(void *arg, void *owner, uint64_t seq)
{
	struct owner *o = owner;

	(void)arg;
	o->last = seq;
	o->moved++;
	if (o->close_when_moved) {
		o->close_when_moved = false;
		link_queue_close(o->queue);
	}
}

static int
setup(void **state)
{
	const struct link_limits limits = { WINDOW, 1 << 20, 1 << 16 };
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct link_env env = { f, up_cb, moved_cb };

	f->link = link_new(&limits, &env);
	f->a.name = 'a';
	f->b.name = 'b';
	f->c.name = 'c';
	f->a.queue = link_queue_new(f->link, &f->a, SESSION_WINDOW);
	f->b.queue = link_queue_new(f->link, &f->b, SESSION_WINDOW);
	f->c.queue = link_queue_new(f->link, &f->c, SESSION_WINDOW);
	link_start(f->link, 1);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	link_free(f->link);
	free(f);
	return 0;
}

static void
send_n(struct owner *o, unsigned n)
{
	struct up_frame frame = { .kind = FRAME_MESSAGE,
		.session_kind = SESSION_CLIENT,
		.payload = { &o->name, 1 } };

	while (n-- > 0)
		link_send(o->queue, &frame);
}

static void
expect_sent(struct fixture *f, const char *text)
{
	assert_string_equal(f->sent, text);
	f->sent[0] = '\0';
}

static void
numbers_frames_from_one(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 2);
	send_n(&f->b, 1);
	expect_sent(f, "1a 2a 3b");
	assert_int_equal(f->term, 1);
	assert_int_equal(link_low(f->link), 1);
	assert_int_equal(link_unacked(f->link), 3);
}

/* Rule 6 of delivery(7): acknowledgement is selective. */
static void
low_water_mark_is_the_lowest_unacknowledged(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 3);
	assert_int_equal(link_ack(f->link, 2), RES_OK);
	assert_int_equal(link_low(f->link), 1);
	assert_int_equal(link_ack(f->link, 1), RES_OK);
	assert_int_equal(link_low(f->link), 3);
	assert_int_equal(link_ack(f->link, 3), RES_OK);
	assert_int_equal(link_low(f->link), 4);
	f->sent[0] = '\0';
	send_n(&f->b, 1);
	expect_sent(f, "4b");
	assert_int_equal(f->low, 4);
}

static void
acknowledgement_twice_counts_once(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 2);
	assert_int_equal(link_ack(f->link, 1), RES_OK);
	assert_int_equal(link_ack(f->link, 1), RES_OK);
	assert_int_equal(link_unacked(f->link), 1);
}

static void
acknowledgement_of_what_was_never_sent_is_invalid(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 2);
	assert_int_equal(link_ack(f->link, 3), RES_INVALID);
	assert_int_equal(link_ack(f->link, 0), RES_INVALID);
	assert_int_equal(link_ack(f->link, UINT64_MAX), RES_INVALID);
}

static void
a_session_has_a_window_of_its_own(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 5);
	send_n(&f->b, 1);
	expect_sent(f, "1a 2a 3a 4b");
	assert_true(link_queue_is_full(f->a.queue));
	assert_false(link_queue_is_full(f->b.queue));
	link_ack(f->link, 2);
	expect_sent(f, "5a");
	link_ack(f->link, 4);
	expect_sent(f, "");
	link_ack(f->link, 1);
	expect_sent(f, "6a");
	assert_true(link_queue_is_full(f->a.queue));
}

/* "No edge numbers beyond that mark plus a window W", whatever else has been
 * acknowledged. */
static void
numbers_never_pass_the_mark_and_the_window(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 1);
	for (unsigned i = 0; i < WINDOW + 2; i++)
		send_n(i % 2 == 0 ? &f->b : &f->c, 1);
	for (uint64_t num = 2; num <= WINDOW; num++)
		link_ack(f->link, num);
	expect_sent(f, "1a 2b 3c 4b 5c 6b 7c 8b");
	send_n(&f->b, 1);
	expect_sent(f, "");
	link_ack(f->link, 1);
	expect_sent(f, "9c 10b 11c 12b");
}

static void
waiting_sessions_take_turns(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 3);
	send_n(&f->b, 3);
	send_n(&f->c, 3); /* the last waits for the total window */
	f->sent[0] = '\0';
	link_ack(f->link, 4);
	link_ack(f->link, 5);
	link_ack(f->link, 6);
	send_n(&f->b, 2);
	expect_sent(f, "");
	link_ack(f->link, 1);
	expect_sent(f, "9c");
	link_ack(f->link, 2);
	expect_sent(f, "10b");
}

static void
is_told_when_something_moves(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 3);
	assert_false(link_queue_has_room(f->a.queue));
	link_ack(f->link, 1);
	assert_int_equal(f->a.moved, 1);
	assert_false(link_queue_is_full(f->a.queue));
	assert_false(link_queue_has_room(f->a.queue)); /* not half of it */
	link_ack(f->link, 2);
	assert_true(link_queue_has_room(f->a.queue));
	assert_false(link_queue_is_empty(f->a.queue));
	link_ack(f->link, 3);
	assert_true(link_queue_is_empty(f->a.queue));
}

/* Rule 4: in order, marked as resent. */
static void
sends_again_in_order_what_is_unacknowledged(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 2);
	send_n(&f->b, 2);
	link_ack(f->link, 2);
	link_stop(f->link);
	f->sent[0] = '\0';
	link_start(f->link, 7);
	expect_sent(f, "1a+ 3b+ 4b+");
	assert_int_equal(f->term, 7);
	assert_int_equal(f->low, 1);
}

/* Nobody can have seen it, so it needs no care at the router. */
static void
what_was_never_sent_is_not_marked(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 1);
	link_stop(f->link);
	send_n(&f->a, 1);
	send_n(&f->b, 1);
	f->sent[0] = '\0';
	link_start(f->link, 2);
	expect_sent(f, "1a+ 2a 3b");
	link_stop(f->link);
	link_start(f->link, 3);
	expect_sent(f, "1a+ 2a+ 3b+");
}

static void
windows_hold_also_without_a_link(void **state)
{
	struct fixture *f = *state;

	link_stop(f->link);
	send_n(&f->a, 9);
	expect_sent(f, "");
	assert_int_equal(link_unacked(f->link), SESSION_WINDOW);
	link_start(f->link, 2);
	expect_sent(f, "1a 2a 3a");
}

static void
frames_of_an_ended_session_go_on(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 5);
	link_queue_close(f->a.queue);
	f->sent[0] = '\0';
	link_ack(f->link, 1);
	link_ack(f->link, 2);
	expect_sent(f, "4a 5a");
	link_stop(f->link);
	link_start(f->link, 2);
	expect_sent(f, "3a+ 4a+ 5a+");
	for (uint64_t num = 3; num <= 5; num++)
		link_ack(f->link, num);
	assert_int_equal(link_unacked(f->link), 0);
	assert_int_equal(f->a.moved, 0);
}

static void
an_owner_may_close_its_queue_when_told(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 4);
	f->a.close_when_moved = true;
	link_ack(f->link, 1);
	expect_sent(f, "1a 2a 3a 4a");
	for (uint64_t num = 2; num <= 4; num++)
		link_ack(f->link, num);
	assert_int_equal(f->a.moved, 1);
}

/* Rule 13 (new_origin). */
static void
a_reset_drops_everything_and_numbers_anew(void **state)
{
	struct fixture *f = *state;

	send_n(&f->a, 5);
	send_n(&f->b, 3);
	send_n(&f->c, 3);
	link_queue_close(f->a.queue);
	link_reset(f->link);
	assert_int_equal(link_unacked(f->link), 0);
	f->sent[0] = '\0';
	link_stop(f->link);
	link_start(f->link, 2);
	expect_sent(f, "");
	send_n(&f->b, 1);
	expect_sent(f, "1b");
	assert_true(link_queue_is_empty(f->c.queue));
}

/* G5: bytes are limited too, but one frame always gets through. */
static void
bytes_are_limited(void **state)
{
	const struct link_limits limits = { WINDOW, 100, 200 };
	struct fixture *f = *state;
	const struct link_env env = { f, up_cb, moved_cb };
	struct link *l = link_new(&limits, &env);
	struct link_queue *q = link_queue_new(l, &f->a, 100);
	char big[300];
	struct up_frame frame = { .kind = FRAME_MESSAGE,
		.session_kind = SESSION_CLIENT,
		.payload = { big, 2 } };

	memset(big, 'x', sizeof(big));
	link_start(l, 1);
	link_send(q, &frame);
	expect_sent(f, "1xx");
	link_send(q, &frame);
	expect_sent(f, "");
	assert_true(link_queue_is_full(q));
	link_ack(l, 1);
	expect_sent(f, "2xx");
	link_ack(l, 2);
	frame.payload.len = sizeof(big);
	link_send(q, &frame);
	assert_int_equal(strncmp(f->sent, "3xxx", 4), 0);
	assert_true(link_queue_is_full(q));
	link_free(l);
}

/* Thousands, acknowledged in an order of their own, with links that break. */
static void
long_runs_lose_and_repeat_nothing(void **state)
{
	struct fixture *f = *state;
	struct owner *owners[] = { &f->a, &f->b, &f->c };
	uint64_t seed = 1, acked = 0;

	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		f->sent[0] = '\0';
		if ((seed >> 33) % 3 != 0)
			send_n(owners[(seed >> 40) % 3], 1);
		else
			link_ack(
			    f->link, link_low(f->link) + (seed >> 50) % WINDOW);
		if ((seed >> 20) % 100 == 0) {
			link_stop(f->link);
			link_start(f->link, i);
		}
		assert_true(link_unacked(f->link) <= WINDOW);
	}
	while (link_unacked(f->link) > 0) {
		f->sent[0] = '\0';
		assert_int_equal(link_ack(f->link, link_low(f->link)), RES_OK);
		acked++;
	}
	assert_true(acked > WINDOW); /* what waited has gone out too */
	for (size_t i = 0; i < 3; i++)
		assert_true(link_queue_is_empty(owners[i]->queue));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(numbers_frames_from_one),
		T(low_water_mark_is_the_lowest_unacknowledged),
		T(acknowledgement_twice_counts_once),
		T(acknowledgement_of_what_was_never_sent_is_invalid),
		T(a_session_has_a_window_of_its_own),
		T(numbers_never_pass_the_mark_and_the_window),
		T(waiting_sessions_take_turns),
		T(is_told_when_something_moves),
		T(sends_again_in_order_what_is_unacknowledged),
		T(what_was_never_sent_is_not_marked),
		T(windows_hold_also_without_a_link),
		T(frames_of_an_ended_session_go_on),
		T(an_owner_may_close_its_queue_when_told),
		T(a_reset_drops_everything_and_numbers_anew),
		T(bytes_are_limited),
		T(long_runs_lose_and_repeat_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
