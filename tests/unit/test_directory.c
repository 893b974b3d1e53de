/*
 * The directory: what events leave, how a copy replaces it, and what a passive
 * router refuses (rules 8 and 12 of delivery(7)).
 */
#include "xmppd/router/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "common/xmalloc.h"

#define TERM 7

/* A leader's directory, a passive one, and the newest message between them. */
struct fixture {
	struct directory *leader, *passive;
	struct buf msg;
	uint64_t seq; /* acknowledged */
};

static int
mirror(struct fixture *f)
{
	return directory_mirror(
	    f->passive, TERM, f->msg.data, f->msg.len, &f->seq);
}

static void
copy_cb(void *arg, const void *msg, size_t len)
{
	struct fixture *f = arg;

	assert_int_equal(
	    directory_mirror(f->passive, TERM, msg, len, &f->seq), 0);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->leader = directory_new();
	f->passive = directory_new();
	directory_lead(f->leader, TERM, true);
	directory_copy(f->leader, copy_cb, f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	directory_free(f->leader);
	directory_free(f->passive);
	buf_clear(&f->msg);
	free(f);
	return 0;
}

static struct sid
sid_of(uint64_t id)
{
	return (struct sid){ 1, 0, id };
}

static void
add(struct fixture *f, uint64_t id)
{
	struct entry e;
	char full[32];

	memset(&e, 0, sizeof(e));
	TAILQ_INIT(&e.directed);
	snprintf(full, sizeof(full), "u@d/%d", (int)id);
	e.sid = sid_of(id);
	e.origin.node = 1;
	e.origin.incarnation = 9;
	e.kind = SESSION_CLIENT;
	e.full = full;
	directory_bind(f->leader, &f->msg, &e);
}

/* Everything that either says of its sessions. */
static char *
dump(const struct directory *d)
{
	const struct directed *t;
	const struct entry *e;
	struct buf b = { 0 };

	TAILQ_FOREACH(e, &d->entries, next) {
		buf_addf(&b, "%s %llu %s %llu %llu %llu", e->full,
		    (unsigned long long)e->origin.incarnation,
		    e->presence == NULL ? "-" : e->presence->data,
		    (unsigned long long)e->newest,
		    (unsigned long long)e->initial,
		    (unsigned long long)e->leaving);
		TAILQ_FOREACH(t, &e->directed, next)
			buf_addf(&b, " %s", t->jid);
		buf_add_str(&b, "\n");
	}
	buf_add(&b, "", 1);
	return (char *)b.data;
}

static void
assert_same(struct fixture *f, const char *text)
{
	char *a = dump(f->leader), *b = dump(f->passive);

	assert_string_equal(a, text);
	assert_string_equal(b, text);
	free(a);
	free(b);
}

/* ---- events ------------------------------------------------------------ */

static void
events_are_mirrored_in_order(void **state)
{
	struct fixture *f = *state;
	const struct sid one = sid_of(1), two = sid_of(2);

	add(f, 1);
	assert_int_equal(mirror(f), 0);
	assert_int_equal(f->seq, directory_state(f->leader).seq);
	add(f, 2);
	assert_int_equal(mirror(f), 0);
	directory_presence(f->leader, &f->msg, &one, text_of("<p/>"), 5);
	assert_int_equal(mirror(f), 0);
	directory_presence(f->leader, &f->msg, &one, text_of("<q/>"), 6);
	assert_int_equal(mirror(f), 0);
	directory_direct(f->leader, &f->msg, &two, text_of("x@d"));
	assert_int_equal(mirror(f), 0);
	assert_same(f, "u@d/1 9 <q/> 6 5 0\nu@d/2 9 - 0 0 0 x@d\n");
	directory_presence(f->leader, &f->msg, &one, text_of(NULL), 8);
	assert_int_equal(mirror(f), 0);
	directory_undirect(f->leader, &f->msg, &two, text_of("x@d"));
	assert_int_equal(mirror(f), 0);
	assert_same(f, "u@d/1 9 - 8 5 8\nu@d/2 9 - 0 0 0\n");
	directory_left(f->leader, &f->msg, &one);
	assert_int_equal(mirror(f), 0);
	directory_end(f->leader, &f->msg, &two);
	assert_int_equal(mirror(f), 0);
	assert_same(f, "u@d/1 9 - 8 5 0\n");
	assert_int_equal(directory_count(f->passive), 1);
}

static void
a_component_is_found_on_its_node(void **state)
{
	struct fixture *f = *state;
	struct entry e;

	add(f, 1);
	assert_int_equal(mirror(f), 0);
	memset(&e, 0, sizeof(e));
	TAILQ_INIT(&e.directed);
	e.sid = sid_of(2);
	e.origin.node = 3;
	e.kind = SESSION_COMPONENT;
	e.full = (char[]){ "cb1.d" };
	directory_bind(f->leader, &f->msg, &e);
	assert_int_equal(mirror(f), 0);
	assert_int_equal(directory_component_node(f->leader, "cb1.d"), 3);
	assert_int_equal(directory_component_node(f->passive, "cb1.d"), 3);
	assert_int_equal(directory_component_node(f->passive, "cb2.d"), 0);
	/* A client's full JID is no component's. */
	assert_int_equal(directory_component_node(f->passive, "u@d/1"), 0);
	directory_end(f->leader, &f->msg, &e.sid);
	assert_int_equal(mirror(f), 0);
	assert_int_equal(directory_component_node(f->passive, "cb1.d"), 0);
}

static void
event_out_of_order_is_refused(void **state)
{
	struct fixture *f = *state;

	add(f, 1); /* lost */
	add(f, 2);
	assert_int_equal(mirror(f), RES_INVALID);
	assert_int_equal(directory_count(f->passive), 0);
	directory_copy(f->leader, copy_cb, f);
	assert_same(f, "u@d/1 9 - 0 0 0\nu@d/2 9 - 0 0 0\n");
	assert_int_equal(mirror(f), RES_INVALID); /* a second time */
}

static void
lower_term_is_refused(void **state)
{
	struct fixture *f = *state;

	add(f, 1);
	assert_int_equal(directory_mirror(f->passive, TERM + 1, f->msg.data,
			     f->msg.len, &f->seq),
	    RES_DENIED);
	assert_int_equal(directory_count(f->passive), 0);
}

static void
malformed_message_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct sid nobody = sid_of(3);

	add(f, 1);
	for (size_t len = 0; len < f->msg.len; len++) {
		uint8_t *part = xmalloc(len + 1);

		memcpy(part, f->msg.data, len);
		assert_int_equal(
		    directory_mirror(f->passive, TERM, part, len, &f->seq),
		    RES_INVALID);
		free(part);
	}
	f->msg.data[0] = 99;
	assert_int_equal(mirror(f), RES_INVALID);
	directory_left(f->leader, &f->msg, &nobody);
	f->msg.data[16]--; /* as if it were the next */
	assert_int_equal(mirror(f), RES_INVALID);
	assert_int_equal(directory_count(f->passive), 0);
}

/* ---- copies ------------------------------------------------------------ */

struct partial {
	struct fixture *f;
	size_t left; /* messages that arrive */
};

static void
partial_cb(void *arg, const void *msg, size_t len)
{
	struct partial *p = arg;

	if (p->left == 0)
		return;
	p->left--;
	assert_int_equal(
	    directory_mirror(p->f->passive, TERM, msg, len, &p->f->seq), 0);
}

static void
copy_counts_only_when_whole(void **state)
{
	struct fixture *f = *state;
	struct partial p = { f, 2 };
	char *before, *after;

	add(f, 1);
	assert_int_equal(mirror(f), 0);
	before = dump(f->passive);
	for (uint64_t id = 2; id < 3000; id++)
		add(f, id);
	directory_copy(f->leader, partial_cb, &p);
	after = dump(f->passive);
	assert_string_equal(before, after);
	assert_true(directory_state(f->passive).complete);
	assert_int_equal(mirror(f), RES_INVALID); /* no events in a copy */
	p.left = SIZE_MAX;
	directory_copy(f->leader, partial_cb, &p);
	assert_int_equal(directory_count(f->passive), 2999);
	assert_int_equal(f->seq, directory_state(f->leader).seq);
	free(before);
	free(after);
}

static void
copy_is_as_complete_as_its_leader(void **state)
{
	struct fixture *f = *state;
	struct directory *fresh = directory_new();

	assert_false(directory_state(fresh).complete);
	directory_free(fresh);
	assert_true(directory_state(f->passive).complete);
	directory_lead(f->leader, TERM, false);
	directory_copy(f->leader, copy_cb, f);
	assert_false(directory_state(f->passive).complete);
	directory_complete(f->leader, &f->msg);
	assert_int_equal(mirror(f), 0);
	assert_true(directory_state(f->passive).complete);
}

static void
block_holds_everything(void **state)
{
	struct fixture *f = *state;
	const struct sid one = sid_of(1);
	struct directory *other = directory_new();
	struct directory_state a, b;
	struct buf block = { 0 };
	char *x, *y;

	add(f, 1);
	add(f, 2);
	directory_presence(f->leader, &f->msg, &one, text_of("<p/>"), 5);
	directory_direct(f->leader, &f->msg, &one, text_of("x@d"));
	directory_encode(f->leader, &block);
	for (size_t len = 0; len < block.len; len += 7) {
		uint8_t *part = xmalloc(len + 1);

		memcpy(part, block.data, len);
		if (directory_decode(other, part, len) == 0)
			assert_true(directory_count(other) < 2);
		free(part);
	}
	assert_int_equal(directory_decode(other, block.data, block.len), 0);
	x = dump(f->leader);
	y = dump(other);
	assert_string_equal(x, y);
	a = directory_state(f->leader);
	b = directory_state(other);
	assert_true(
	    a.term == b.term && a.seq == b.seq && a.complete == b.complete);
	free(x);
	free(y);
	buf_clear(&block);
	directory_free(other);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(events_are_mirrored_in_order),
		T(a_component_is_found_on_its_node),
		T(event_out_of_order_is_refused),
		T(lower_term_is_refused),
		T(malformed_message_is_refused),
		T(copy_counts_only_when_whole),
		T(copy_is_as_complete_as_its_leader),
		T(block_holds_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
