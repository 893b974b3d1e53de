/*
 * What an edge remembers of deliveries: for how long, and what counts as done.
 */
#include "xmppd/edge/accepted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "common/xmalloc.h"

static const struct sid ann = { 1, 0, 1 }, bob = { 2, 0, 2 }, eve = { 2, 0, 3 };
static const struct origin origin_a = { 1, 0, 11 }, origin_b = { 2, 0, 22 };

static int
setup(void **state)
{
	*state = accepted_new();
	return 0;
}

static int
teardown(void **state)
{
	accepted_free(*state);
	return 0;
}

static struct delivery_id
frame_id(const struct origin *origin, uint64_t num, const struct sid *to)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_FRAME;
	id.key.origin = *origin;
	id.key.num = num;
	id.sid = *to;
	return id;
}

static struct delivery_id
row_id(uint64_t row, const struct sid *to)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_ROW;
	id.key.num = row;
	id.sid = *to;
	return id;
}

static struct delivery_id
gone_id(const struct sid *about, const struct sid *to)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_GONE;
	id.key.about = *about;
	id.sid = *to;
	return id;
}

static void
add(struct accepted *a, struct delivery_id id, uint8_t kind)
{
	const struct down_deliver m = {
		.id = id, .sender = ann, .lane = 7, .kind = kind
	};

	accepted_add(a, &m);
}

static bool
done(struct accepted *a, struct delivery_id id, uint8_t kind)
{
	return accepted_is_done(a, &id, &ann, kind);
}

/* Rule 1 of delivery(7): by (origin, number, target session). */
static void
tells_targets_of_one_frame_apart(void **state)
{
	add(*state, frame_id(&origin_a, 5, &bob), DELIVER_MESSAGE);
	assert_true(
	    done(*state, frame_id(&origin_a, 5, &bob), DELIVER_MESSAGE));
	assert_false(
	    done(*state, frame_id(&origin_a, 5, &eve), DELIVER_MESSAGE));
	assert_false(
	    done(*state, frame_id(&origin_b, 5, &bob), DELIVER_MESSAGE));
}

/* Rule 5 (later_done). */
static void
an_earlier_message_of_the_same_sender_is_done(void **state)
{
	struct delivery_id id = frame_id(&origin_a, 6, &bob);

	add(*state, frame_id(&origin_a, 7, &bob), DELIVER_MESSAGE);
	assert_true(done(*state, id, DELIVER_MESSAGE));
	/* Another target, kind, sender or origin is another matter. */
	assert_false(
	    done(*state, frame_id(&origin_a, 6, &eve), DELIVER_MESSAGE));
	assert_false(done(*state, id, DELIVER_STANZA));
	assert_false(accepted_is_done(*state, &id, &eve, DELIVER_MESSAGE));
	assert_false(
	    done(*state, frame_id(&origin_b, 6, &bob), DELIVER_MESSAGE));
	assert_false(
	    done(*state, frame_id(&origin_a, 8, &bob), DELIVER_MESSAGE));
}

static void
what_is_no_message_says_nothing_of_earlier_ones(void **state)
{
	add(*state, frame_id(&origin_a, 7, &bob), DELIVER_STANZA);
	assert_false(
	    done(*state, frame_id(&origin_a, 6, &bob), DELIVER_MESSAGE));
}

static void
a_low_water_mark_drops_what_is_below(void **state)
{
	for (uint64_t num = 1; num <= 10; num++)
		add(*state, frame_id(&origin_a, num, &bob), DELIVER_MESSAGE);
	add(*state, frame_id(&origin_b, 1, &bob), DELIVER_MESSAGE);
	accepted_low(*state, &origin_a, 8);
	assert_int_equal(accepted_count(*state), 4);
	assert_true(
	    done(*state, frame_id(&origin_a, 8, &bob), DELIVER_MESSAGE));
	accepted_low(*state, &origin_a, 3); /* an old one changes nothing */
	assert_int_equal(accepted_count(*state), 4);
	accepted_low(*state, &origin_a, 11);
	assert_int_equal(accepted_count(*state), 1);
	assert_false(
	    done(*state, frame_id(&origin_a, 10, &bob), DELIVER_MESSAGE));
}

/* Numbers far apart share lists. */
static void
marks_may_leap(void **state)
{
	add(*state, frame_id(&origin_a, 3, &bob), DELIVER_STANZA);
	add(*state, frame_id(&origin_a, 3 + 1024, &bob), DELIVER_STANZA);
	add(*state, frame_id(&origin_a, 3 + 10240, &bob), DELIVER_STANZA);
	accepted_low(*state, &origin_a, 1000);
	assert_int_equal(accepted_count(*state), 2);
	accepted_low(*state, &origin_a, 9000);
	assert_int_equal(accepted_count(*state), 1);
	accepted_low(*state, &origin_a, 3 + 10240);
	assert_int_equal(accepted_count(*state), 1);
	accepted_low(*state, &origin_a, 1000000);
	assert_int_equal(accepted_count(*state), 0);
}

static void
answers_to_probes_go_with_their_frame(void **state)
{
	struct delivery_id id = frame_id(&origin_a, 4, &bob);

	id.key.kind = DKEY_TOLD;
	id.key.about = eve;
	add(*state, id, DELIVER_STANZA);
	assert_true(done(*state, id, DELIVER_STANZA));
	accepted_low(*state, &origin_a, 5);
	assert_int_equal(accepted_count(*state), 0);
}

/* Rules 2 and 3: until "forget", which names the key for all its targets. */
static void
rows_and_ends_are_kept_until_told_to_forget(void **state)
{
	struct delivery_id gone = gone_id(&ann, &bob);

	add(*state, row_id(1, &bob), DELIVER_MESSAGE);
	add(*state, row_id(2, &bob), DELIVER_MESSAGE);
	add(*state, gone, DELIVER_STANZA);
	add(*state, gone_id(&ann, &eve), DELIVER_STANZA);
	accepted_low(*state, &origin_a, 1000);
	accepted_end_terms(*state, 1000);
	assert_int_equal(accepted_count(*state), 4);
	accepted_forget(*state, &gone.key);
	assert_int_equal(accepted_count(*state), 2);
	gone = row_id(1, &bob);
	accepted_forget(*state, &gone.key);
	accepted_forget(*state, &gone.key);
	assert_false(done(*state, row_id(1, &bob), DELIVER_MESSAGE));
	assert_true(done(*state, row_id(2, &bob), DELIVER_MESSAGE));
}

static void
what_is_lost_with_a_term_is_forgotten_at_the_next(void **state)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_TERM;
	id.key.version = 4;
	id.key.num = 1;
	id.sid = bob;
	add(*state, id, DELIVER_STANZA);
	accepted_end_terms(*state, 4);
	assert_int_equal(accepted_count(*state), 1);
	accepted_end_terms(*state, 5);
	assert_int_equal(accepted_count(*state), 0);
}

/* Rule 13 (end_origin). */
static void
an_origin_that_has_ended_is_forgotten(void **state)
{
	struct live_origin live = { origin_b, 1 };
	struct down_pong pong;
	struct link_head head;
	struct buf b = { 0 };
	struct cursor c;

	add(*state, frame_id(&origin_a, 1, &bob), DELIVER_MESSAGE);
	add(*state, frame_id(&origin_b, 1, &bob), DELIVER_MESSAGE);
	add(*state, row_id(1, &bob), DELIVER_MESSAGE);
	down_pong_encode(&b, 1, 0, true, &live, 1);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(link_head_decode(&c, &head), RES_OK);
	assert_int_equal(down_pong_decode(&c, &pong), RES_OK);
	accepted_end_origins(*state, &pong);
	buf_clear(&b);
	assert_int_equal(accepted_count(*state), 2);
	assert_false(
	    done(*state, frame_id(&origin_a, 1, &bob), DELIVER_MESSAGE));
}

static void
count_cb(void *arg, const struct up_report *report)
{
	unsigned *counts = arg;

	counts[report->id.key.kind]++;
	if (report->id.key.kind == DKEY_FRAME) {
		assert_true(sid_equal(&report->sender, &ann));
		assert_int_equal(report->kind, DELIVER_MESSAGE);
	}
}

static void
reports_everything(void **state)
{
	unsigned counts[DKEY_TERM + 1] = { 0 };

	add(*state, frame_id(&origin_a, 1, &bob), DELIVER_MESSAGE);
	add(*state, frame_id(&origin_a, 1, &eve), DELIVER_MESSAGE);
	add(*state, gone_id(&eve, &bob), DELIVER_STANZA);
	accepted_each(*state, count_cb, counts);
	assert_int_equal(counts[DKEY_FRAME], 2);
	assert_int_equal(counts[DKEY_GONE], 1);
	accepted_low(*state, &origin_a, UINT64_MAX);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(tells_targets_of_one_frame_apart),
		T(an_earlier_message_of_the_same_sender_is_done),
		T(what_is_no_message_says_nothing_of_earlier_ones),
		T(a_low_water_mark_drops_what_is_below),
		T(marks_may_leap),
		T(answers_to_probes_go_with_their_frame),
		T(rows_and_ends_are_kept_until_told_to_forget),
		T(what_is_lost_with_a_term_is_forgotten_at_the_next),
		T(an_origin_that_has_ended_is_forgotten),
		T(reports_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
