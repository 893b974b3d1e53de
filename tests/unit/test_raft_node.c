/*
 * The Raft thread with a real store: what the main loop sees of it.
 */
#include "xmppd/cluster/raft_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/clock.h"
#include "common/xmalloc.h"
#include "tests/lib/tree.h"
#include "xmppd/cluster/store.h"

#define LIMIT_MS 5000

struct fixture {
	char dir[64];
	struct event_base *base;
	struct store *store;
	struct raft_node *rn;
	enum raft_role role;
	uint64_t term;
	unsigned members, lost, applied;
	int code;
};

static void
on_role(void *arg, enum raft_role role, uint64_t term, uint32_t leader)
{
	struct fixture *f = arg;

	(void)leader;
	f->role = role;
	f->term = term;
}

static void
on_members(void *arg, const struct raft_member *members, size_t count)
{
	struct fixture *f = arg;

	assert_true(count == 0 || members[0].voter);
	f->members = (unsigned)count;
}

static void
on_lost(void *arg, uint64_t tag)
{
	struct fixture *f = arg;

	(void)tag;
	f->lost++;
}

static void
on_wants_copy(void *arg, uint32_t id, uint64_t index)
{
	(void)arg, (void)id, (void)index;
}

static void
on_failed(void *arg, const char *why)
{
	(void)arg;
	fail_msg("%s", why);
}

static void
on_applied(void *arg, const struct store_event *event)
{
	struct fixture *f = arg;

	f->applied++;
	f->code = event->code;
}

static void
start(struct fixture *f)
{
	struct raft_node_config cfg = {
		.dir = f->dir, .id = 7, .bootstrap = true
	};
	struct raft_node_callbacks cb = { .arg = f,
		.role = on_role,
		.members = on_members,
		.lost = on_lost,
		.wants_copy = on_wants_copy,
		.failed = on_failed };
	struct store_callbacks store_cb = {
		.arg = f, .applied = on_applied, .failed = on_failed
	};
	struct error e;

	f->base = event_base_new();
	f->store = store_open(f->dir, f->base, &store_cb, &e);
	assert_non_null(f->store);
	f->rn = raft_node_start(&cfg, f->base, f->store, &cb, &e);
	if (f->rn == NULL)
		fail_msg("%s", e.text);
}

static void
stop(struct fixture *f)
{
	raft_node_stop(f->rn, 100);
	store_close(f->store);
	event_base_free(f->base);
	f->role = RAFT_ROLE_NONE;
}

/* Runs the loop until *what is at least this. */
static void
await(struct fixture *f, const unsigned *what, unsigned least)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	while (*what < least) {
		if (clock_ms() > end)
			fail_msg("nothing happens");
		event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
}

static void
await_leading(struct fixture *f)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	while (f->role != RAFT_ROLE_LEADER && clock_ms() < end)
		event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(f->role, RAFT_ROLE_LEADER);
}

static void
propose(struct fixture *f, uint64_t seq, const char *name, const char *value)
{
	struct buf command = { 0 };

	store_cmd_setting(&command, name, value);
	raft_node_propose(f->rn, 99, seq, command.data, command.len, seq);
	buf_clear(&command);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_raft_node.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	start(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	stop(f);
	tree_remove(f->dir);
	free(f);
	return 0;
}

static void
alone_it_leads_at_once_and_holds_the_lease(void **state)
{
	struct fixture *f = *state;

	await_leading(f);
	assert_int_equal(f->members, 1);
	assert_true(raft_node_lease(f->rn, f->term, clock_ms()));
	assert_false(raft_node_lease(f->rn, f->term + 1, clock_ms()));
	assert_false(raft_node_lease(f->rn, f->term - 1, clock_ms()));
	assert_int_equal(raft_node_term(f->rn), f->term);
}

static void
commands_are_applied_in_order(void **state)
{
	struct fixture *f = *state;
	char *value;

	await_leading(f);
	propose(f, 1, "domain", "a.example");
	propose(f, 2, "domain", "b.example");
	for (unsigned i = 3; i <= 300; i++)
		propose(f, i, "hold", "5");
	await(f, &f->applied, 300);
	assert_int_equal(f->code, RES_OK);
	assert_int_equal(f->lost, 0);
	value = store_setting(f->store, "domain");
	assert_string_equal(value, "b.example");
	free(value);
}

static void
after_a_restart_nothing_is_missing_and_the_term_is_new(void **state)
{
	struct fixture *f = *state;
	uint64_t term;
	char *value;

	await_leading(f);
	term = f->term;
	propose(f, 1, "domain", "a.example");
	await(f, &f->applied, 1);
	stop(f);
	start(f);
	await_leading(f);
	assert_true(f->term > term);
	value = store_setting(f->store, "domain");
	assert_string_equal(value, "a.example");
	free(value);
}

static void
set_done(void *arg, int code, const char *text)
{
	(void)text;
	*(int *)arg = code;
}

static void
alone_it_leads_though_it_should_not(void **state)
{
	struct fixture *f = *state;
	int code = 1;
	uint64_t end = clock_ms() + LIMIT_MS;

	await_leading(f);
	raft_node_set_leading(f->rn, false);
	raft_node_transfer(f->rn, 0, set_done, &code);
	while (code == 1 && clock_ms() < end)
		event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(code, RES_STATE);
	/* Nobody took it, so the lease goes on. */
	while (!raft_node_lease(f->rn, f->term, clock_ms()) && clock_ms() < end)
		event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_true(raft_node_lease(f->rn, f->term, clock_ms()));
	propose(f, 1, "domain", "a.example");
	await(f, &f->applied, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(alone_it_leads_at_once_and_holds_the_lease),
		T(commands_are_applied_in_order),
		T(after_a_restart_nothing_is_missing_and_the_term_is_new),
		T(alone_it_leads_though_it_should_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
