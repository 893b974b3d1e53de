/*
 * What the reconciler wants of a table and a configuration, and what is told by
 * a node that has moved. What it acts through is stood in for here.
 */
#include "xmppd/reconciler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/cluster/store_command.h"
#include "xmppd/membership.h"
#include "xmppd/node.h"

#define COUNT 3
#define LATER 1000 /* ms: each step is due again */

/* Of the three members this is one; what it did is counted. */
static struct world {
	struct node node;
	struct store_member rows[COUNT];
	char address[64]; /* its own, now */
	bool unsettled;
	uint64_t now;
	struct reconciler *r;

	unsigned proposed, requests, answers, added, removed, transfers;
	unsigned refusals;
	struct store_command_data command; /* the last one */
	proposer_done proposer_done;
	void *proposer_arg;
	uint32_t to, changed;
	char to_address[64];
	struct buf message;
	raft_node_done change_done;
	void *change_arg;
} w;

/* ---- stand-ins ---------------------------------------------------------- */

bool
node_is_leader(const struct node *n)
{
	return n->role == RAFT_ROLE_LEADER;
}

const struct store_member *
node_member(const struct node *n, uint32_t raft_id)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (n->members[i].raft_id == raft_id)
			return &n->members[i];
	return NULL;
}

const struct store_member *
node_self(const struct node *n)
{
	return node_member(n, n->instance.raft_id);
}

bool
node_is_voter(const struct node *n, uint32_t raft_id)
{
	for (size_t i = 0; i < n->voter_count; i++)
		if (n->voters[i] == raft_id)
			return true;
	return false;
}

int
node_self_row(const struct node *n, struct store_member *row, struct error *e)
{
	const struct store_member *known = node_self(n);

	(void)e;
	if (known == NULL)
		return RES_STATE;
	*row = *known;
	row->host = xstrdup(row->host);
	row->address = xstrdup(w.address);
	return RES_OK;
}

bool
membership_is_settled(const struct membership *m)
{
	(void)m;
	return !w.unsettled;
}

void
membership_refused(struct membership *m, bool removed, const char *why)
{
	(void)m, (void)removed, (void)why;
	w.refusals++;
}

void
proposer_submit(struct proposer *p, const void *command, size_t len,
    proposer_done done, void *arg)
{
	(void)p;
	w.proposed++;
	w.proposer_done = done;
	w.proposer_arg = arg;
	store_command_clear(&w.command);
	assert_int_equal(store_command_decode(&w.command, command, len), 0);
}

void
/* NOLINTNEXTLINE(readability-function-size): as it is in peer.h */
peers_request(struct peers *p, uint32_t node, const char *address,
    const void *msg, size_t len, unsigned timeout_ms, peers_answer_fn done,
    void *arg)
{
	(void)p, (void)timeout_ms, (void)done, (void)arg;
	w.requests++;
	w.to = node;
	snprintf(w.to_address, sizeof(w.to_address), "%s",
	    address != NULL ? address : "");
	buf_reset(&w.message);
	buf_add(&w.message, msg, len);
}

void
peers_answer(struct peers *p, uint64_t token, const void *msg, size_t len)
{
	(void)p, (void)token, (void)msg, (void)len;
	w.answers++;
}

static void
change(uint32_t id, raft_node_done done, void *arg)
{
	w.changed = id;
	w.change_done = done;
	w.change_arg = arg;
}

void
raft_node_add(struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	(void)rn;
	w.added++;
	change(id, done, arg);
}

void
raft_node_remove(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	(void)rn;
	w.removed++;
	change(id, done, arg);
}

void
raft_node_transfer(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	(void)rn;
	w.transfers++;
	change(id, done, arg);
}

/* ---- the world ---------------------------------------------------------- */

/* Members 1 to 3, all voters; this is `self`, and `leader` leads (0: nobody).
 */
static void
begin(uint32_t self, uint32_t leader)
{
	memset(&w, 0, sizeof(w));
	for (uint32_t i = 0; i < COUNT; i++) {
		struct store_member *row = &w.rows[i];

		row->raft_id = i + 1;
		memset(row->identity, (int)i + 1, sizeof(row->identity));
		xasprintf(&row->host, "cb%u", i + 1);
		xasprintf(&row->address, "10.0.0.%u:5222", i + 1);
		row->boot = 7;
	}
	w.node.members = w.rows;
	w.node.member_count = COUNT;
	w.node.voters = xcalloc(COUNT, sizeof(uint32_t));
	w.node.voter_count = COUNT;
	for (uint32_t i = 0; i < COUNT; i++)
		w.node.voters[i] = i + 1;
	w.node.instance.raft_id = self;
	w.node.instance.boot = 7;
	memset(w.node.instance.identity, (int)self,
	    sizeof(w.node.instance.identity));
	w.node.leader_id = leader;
	w.node.role = leader == self ? RAFT_ROLE_LEADER : RAFT_ROLE_FOLLOWER;
	snprintf(w.address, sizeof(w.address), "10.0.0.%u:5222", self);
	w.r = reconciler_new(&w.node);
}

static void
end(void)
{
	reconciler_free(w.r);
	for (size_t i = 0; i < COUNT; i++)
		store_member_clear(&w.rows[i]);
	store_command_clear(&w.command);
	buf_clear(&w.message);
	free(w.node.voters);
}

static void
tick(void)
{
	w.now += LATER;
	reconciler_tick(w.r, w.now);
}

static void
moved(uint32_t from, const char *host, const char *address)
{
	struct buf b = { 0 };

	buf_add_u8(&b, CONTROL_MOVED);
	buf_add_text(&b, host);
	buf_add_text(&b, address);
	reconciler_moved(w.r, from, 1, b.data, b.len);
	buf_clear(&b);
}

/* ---- a node that has moved ---------------------------------------------- */

static void
without_a_leader_it_tells_the_others_in_turn(void **state)
{
	unsigned told[COUNT + 1] = { 0 };

	(void)state;
	begin(3, 0);
	snprintf(w.address, sizeof(w.address), "10.0.0.33:5222");
	for (unsigned i = 0; i < 6; i++) {
		unsigned before = w.requests;

		tick();
		if (w.requests > before)
			told[w.to]++;
	}
	assert_int_equal(told[1], 2);
	assert_int_equal(told[2], 2);
	assert_int_equal(told[3], 0);
	assert_int_equal(w.proposed, 0);
	assert_string_equal(w.to_address, "");
	end();
}

static void
it_tells_nobody_where_it_has_not_moved(void **state)
{
	(void)state;
	begin(3, 0);
	for (unsigned i = 0; i < 6; i++)
		tick();
	assert_int_equal(w.requests, 0);
	snprintf(w.address, sizeof(w.address), "10.0.0.33:5222");
	w.unsettled = true; /* a join has its own ways */
	for (unsigned i = 0; i < 6; i++)
		tick();
	assert_int_equal(w.requests, 0);
	end();
}

static void
what_it_tells_is_proposed_by_who_knows_a_leader(void **state)
{
	struct buf told = { 0 };

	(void)state;
	begin(3, 0);
	snprintf(w.address, sizeof(w.address), "10.0.0.33:5222");
	tick();
	if (w.requests == 0)
		tick();
	assert_true(w.requests > 0);
	buf_add(&told, w.message.data, w.message.len);
	end();

	begin(1, 2);
	reconciler_moved(w.r, 3, 1, told.data, told.len);
	assert_int_equal(w.answers, 1);
	assert_int_equal(w.proposed, 1);
	assert_int_equal(w.command.what, STORE_MEMBER_SWAP);
	assert_int_equal(w.command.member.raft_id, 3);
	assert_string_equal(w.command.member.address, "10.0.0.33:5222");
	assert_string_equal(w.command.member.host, "cb3");
	assert_memory_equal(w.command.member.identity, w.rows[2].identity, 16);
	assert_memory_equal(w.command.member.key, w.rows[2].key, 32);
	assert_int_equal(w.command.member.boot, 7);
	end();
	buf_clear(&told);
}

static void
a_move_that_makes_no_sense_is_answered_and_nothing_else(void **state)
{
	static const struct {
		uint32_t leader, from;
		const char *address;
	} rows[] = {
		{ 0, 3, "10.0.0.33:5222" }, /* it knows no leader either */
		{ 1, 4, "10.0.0.33:5222" }, /* no member */
		{ 1, 3, "10.0.0.3:5222" },  /* where it is already */
		{ 1, 3, "10.0.0.2:5222" },  /* another one's */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(1, rows[i].leader);
		moved(rows[i].from, "cb3", rows[i].address);
		assert_int_equal(w.answers, 1);
		assert_int_equal(w.proposed, 0);
		end();
	}
}

static void
a_malformed_move_changes_nothing(void **state)
{
	struct buf b = { 0 };

	(void)state;
	begin(1, 1);
	buf_add_u8(&b, CONTROL_MOVED);
	buf_add_text(&b, "cb3");
	buf_add_text(&b, "10.0.0.33:5222");
	for (size_t len = 1; len < b.len; len++)
		reconciler_moved(w.r, 3, 1, b.data, len);
	buf_add_u8(&b, 0);
	reconciler_moved(w.r, 3, 1, b.data, b.len);
	assert_int_equal(w.answers, b.len - 1);
	assert_int_equal(w.proposed, 0);
	buf_clear(&b);
	end();
}

/* ---- its own row -------------------------------------------------------- */

static void
with_a_leader_it_proposes_its_row_itself(void **state)
{
	struct proposer_result result = { .code = RES_OK };

	(void)state;
	begin(3, 1);
	tick();
	assert_int_equal(w.proposed, 0);
	snprintf(w.address, sizeof(w.address), "10.0.0.33:5222");
	tick();
	tick(); /* the first is still under way */
	assert_int_equal(w.proposed, 1);
	assert_int_equal(w.command.what, STORE_MEMBER_SWAP);
	assert_string_equal(w.command.member.address, "10.0.0.33:5222");
	assert_int_equal(w.requests, 0);
	result.code = RES_NO_LEADER;
	w.proposer_done(w.proposer_arg, &result);
	tick();
	assert_int_equal(w.proposed, 2);
	assert_int_equal(w.refusals, 0);
	end();
}

static void
a_newer_start_is_told_first(void **state)
{
	struct proposer_result result = { .code = RES_DIFFERS };

	(void)state;
	begin(3, 1);
	snprintf(w.address, sizeof(w.address), "10.0.0.33:5222");
	w.node.instance.boot = 8;
	tick();
	assert_int_equal(w.command.what, STORE_MEMBER_BOOT);
	assert_int_equal(w.command.member.boot, 8);
	/* A newer one is known: this is a copy of that node. */
	w.proposer_done(w.proposer_arg, &result);
	assert_int_equal(w.refusals, 1);
	end();
}

/* ---- table and configuration -------------------------------------------- */

static void
a_leader_brings_in_who_has_a_row(void **state)
{
	(void)state;
	begin(1, 1);
	w.node.voter_count = 2;
	tick();
	tick(); /* one change at a time */
	assert_int_equal(w.added, 1);
	assert_int_equal(w.changed, 3);
	w.change_done(w.change_arg, RES_TIMEOUT, "not caught up");
	tick();
	assert_int_equal(w.added, 2);
	w.node.voter_count = 3;
	w.change_done(w.change_arg, RES_OK, "");
	tick();
	assert_int_equal(w.added, 2);
	assert_int_equal(w.removed + w.transfers, 0);
	end();
}

static void
a_leader_takes_out_who_has_none_and_tells_it(void **state)
{
	(void)state;
	begin(1, 1);
	w.node.member_count = 2;
	reconciler_departs(w.r, &w.rows[2]);
	tick();
	assert_int_equal(w.removed, 1);
	assert_int_equal(w.changed, 3);
	assert_int_equal(w.requests, 0);
	w.node.voter_count = 2;
	w.change_done(w.change_arg, RES_OK, "");
	assert_int_equal(w.command.what, STORE_RAFT_ID_GONE);
	assert_int_equal(w.command.raft_id, 3);
	assert_int_equal(w.requests, 1);
	assert_int_equal(w.to, 0);
	assert_string_equal(w.to_address, "10.0.0.3:5222");
	assert_int_equal(w.message.len, 17);
	assert_int_equal(w.message.data[0], CONTROL_REMOVED);
	assert_memory_equal(w.message.data + 1, w.rows[2].identity, 16);
	end();
}

static void
a_leader_without_a_row_hands_over(void **state)
{
	(void)state;
	begin(3, 3);
	w.node.member_count = 2;
	tick();
	assert_int_equal(w.transfers, 1);
	assert_int_equal(w.removed, 0);
	end();
}

static void
a_follower_changes_nothing(void **state)
{
	(void)state;
	begin(2, 1);
	w.node.voter_count = 2;
	tick();
	w.node.voter_count = 3;
	w.node.member_count = 2;
	tick();
	assert_int_equal(w.added + w.removed + w.transfers, 0);
	end();
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(without_a_leader_it_tells_the_others_in_turn),
		T(it_tells_nobody_where_it_has_not_moved),
		T(what_it_tells_is_proposed_by_who_knows_a_leader),
		T(a_move_that_makes_no_sense_is_answered_and_nothing_else),
		T(a_malformed_move_changes_nothing),
		T(with_a_leader_it_proposes_its_row_itself),
		T(a_newer_start_is_told_first),
		T(a_leader_brings_in_who_has_a_row),
		T(a_leader_takes_out_who_has_none_and_tells_it),
		T(a_leader_without_a_row_hands_over),
		T(a_follower_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
