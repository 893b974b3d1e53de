/* Mail between loops: order, batches, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include <event2/event.h>

#include "common/xmalloc.h"
#include "xmppd/mailbox.h"

#define WRITERS 3
#define EACH 20000

struct world {
	struct event_base *base;
	struct mailbox *box;
	unsigned arrivals; /* calls of arrived_cb */
	uint64_t count, sum;
	uint64_t last[WRITERS];
	unsigned take_max; /* in one call; 0: all */
	bool disorder;
};

static void
arrived_cb(void *arg)
{
	struct world *w = arg;
	struct mail mail;
	unsigned taken = 0;

	w->arrivals++;
	while ((w->take_max == 0 || taken++ < w->take_max) &&
	    mailbox_next(w->box, &mail)) {
		w->count++;
		w->sum += mail.len;
		if (mail.of != w->last[mail.edge] + 1)
			w->disorder = true;
		w->last[mail.edge] = mail.of;
		for (size_t i = 0; i < mail.len; i++)
			if (((const uint8_t *)mail.msg)[i] !=
			    (uint8_t)(mail.of + i))
				w->disorder = true;
	}
}

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->base = event_base_new();
	w->box = mailbox_new(w->base, arrived_cb, w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	mailbox_free(w->box);
	event_base_free(w->base);
	free(w);
	return 0;
}

/* Each is told from the others by its number and its bytes. */
static void
write_one(struct mail_writer *w, uint32_t writer, uint64_t number)
{
	uint8_t msg[300];
	struct mail mail = { .what = 7,
		.edge = writer,
		.of = number,
		.len = number * 31 % sizeof(msg) };

	for (size_t i = 0; i < mail.len; i++)
		msg[i] = (uint8_t)(number + i);
	mail.msg = msg;
	mail_write(w, &mail);
}

static void
turn(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void
a_turn_s_mail_arrives_together(void **state)
{
	struct world *w = *state;
	struct mail_writer *writer = mail_writer_new(w->box, w->base);

	for (uint64_t i = 1; i <= 1000; i++)
		write_one(writer, 0, i);
	assert_int_equal(w->count, 0);
	turn(w);
	assert_int_equal(w->count, 1000);
	assert_int_equal(w->arrivals, 1);
	assert_false(w->disorder);
	turn(w);
	assert_int_equal(w->arrivals, 1);
	mail_writer_free(writer);
}

static void
what_is_not_taken_comes_again(void **state)
{
	struct world *w = *state;
	struct mail_writer *writer = mail_writer_new(w->box, w->base);

	w->take_max = 2;
	for (uint64_t i = 1; i <= 3; i++)
		write_one(writer, 0, i);
	turn(w);
	assert_int_equal(w->count, 2);
	write_one(writer, 0, 4);
	turn(w);
	assert_int_equal(w->count, 4);
	mailbox_wake(w->box);
	turn(w);
	assert_int_equal(w->count, 4);
	assert_false(w->disorder);
	mail_writer_free(writer);
}

static void
what_was_not_handed_over_goes_with_its_writer(void **state)
{
	struct world *w = *state;
	struct mail_writer *writer = mail_writer_new(w->box, w->base);

	write_one(writer, 0, 1);
	mail_flush(writer);
	write_one(writer, 0, 2);
	mail_writer_free(writer);
	mailbox_read(w->box);
	assert_int_equal(w->count, 1);
	turn(w);
	assert_int_equal(w->count, 1);
}

struct thread {
	pthread_t id;
	struct world *world;
	uint32_t number;
};

/* Some a turn, as an edge. */
static void *
thread_main(void *arg)
{
	struct thread *t = arg;
	struct event_base *base = event_base_new();
	struct mail_writer *writer = mail_writer_new(t->world->box, base);

	for (uint64_t i = 1; i <= EACH; i++) {
		write_one(writer, t->number, i);
		if (i % 7 == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	mail_flush(writer);
	mail_writer_free(writer);
	event_base_free(base);
	return NULL;
}

static void
threads_write_at_the_same_time(void **state)
{
	struct world *w = *state;
	struct thread threads[WRITERS];

	for (uint32_t i = 0; i < WRITERS; i++) {
		threads[i].world = w;
		threads[i].number = i;
		assert_int_equal(pthread_create(&threads[i].id, NULL,
				     thread_main, &threads[i]),
		    0);
	}
	while (w->count < (uint64_t)WRITERS * EACH)
		event_base_loop(w->base, EVLOOP_ONCE);
	for (uint32_t i = 0; i < WRITERS; i++) {
		pthread_join(threads[i].id, NULL);
		assert_int_equal(w->last[i], EACH);
	}
	assert_false(w->disorder);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_turn_s_mail_arrives_together),
		TEST(what_is_not_taken_comes_again),
		TEST(what_was_not_handed_over_goes_with_its_writer),
		TEST(threads_write_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
