/*
 * Three Raft threads in one process, over real connections with real stores:
 * what they have applied is equal at the end, whatever was done to them.
 */
#include "xmppd/cluster/raft_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "tests/lib/peer_world.h"
#include "xmppd/cluster/raft_node.h"
#include "xmppd/cluster/store.h"

#define NODES 3
#define LIMIT_MS 15000
#define SNAPSHOT 64

struct server {
	struct cluster *cluster;
	unsigned number;
	struct store *store;
	struct raft_node *rn;
	enum raft_role role;
	uint64_t term;
	uint32_t leader;
	unsigned voters, lost, copies;
	uint64_t seq; /* of what was applied last */
	bool copying;
	char copy_path[160];
};

struct cluster {
	struct peer_world world;
	struct server servers[NODES];
	uint64_t seq;
	int code; /* of the newest wish; 1: not yet */
};

static struct server *
server_of(void *node)
{
	struct peer_world_node *n = node;
	struct cluster *c = (struct cluster *)n->world; /* its first member */

	return &c->servers[n->number];
}

/* ---- what a node does with the callbacks ----------------------------------
 */

static void
on_channel(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	(void)arg, (void)node, (void)channel, (void)dialled;
}

static int
on_message(void *arg, uint32_t node, enum peer_channel channel, bool dialled,
    const void *msg, size_t len)
{
	(void)arg, (void)node, (void)channel, (void)dialled, (void)msg,
	    (void)len;
	return RES_INVALID;
}

static void
on_request(void *arg, uint32_t node, const char *peer, uint64_t token,
    const void *msg, size_t len)
{
	(void)arg, (void)node, (void)peer, (void)token, (void)msg, (void)len;
}

static void
on_raft(void *arg, uint32_t node, bool dialled, int fd, struct ssl_st *ssl)
{
	raft_node_connection(server_of(arg)->rn, node, dialled, fd, ssl);
}

static void
on_refused(void *arg, uint32_t node, bool removed, const char *why)
{
	(void)arg, (void)removed;
	fail_msg("refused by %u: %s", node, why);
}

static void
installed(void *arg, int code, uint64_t index)
{
	struct server *s = arg;

	(void)index;
	assert_int_equal(code, RES_OK);
	s->copies++;
}

static void
on_copy(void *arg, uint32_t node, const char *path, uint64_t index)
{
	(void)node, (void)index;
	store_install(server_of(arg)->store, path, installed, server_of(arg));
}

static const struct peers_callbacks peers_cb = { .up = on_channel,
	.down = on_channel,
	.message = on_message,
	.request = on_request,
	.raft = on_raft,
	.refused_us = on_refused,
	.copy = on_copy };

static void
on_role(void *arg, enum raft_role role, uint64_t term, uint32_t leader)
{
	struct server *s = arg;

	s->role = role;
	s->term = term;
	s->leader = leader;
}

static void
on_members(void *arg, const struct raft_member *members, size_t count)
{
	struct server *s = arg;

	s->voters = 0;
	for (size_t i = 0; i < count; i++)
		s->voters += members[i].voter;
}

static void
on_lost(void *arg, uint64_t tag)
{
	struct server *s = arg;

	(void)tag;
	s->lost++;
}

static void
copy_sent(void *arg, int code)
{
	struct server *s = arg;

	(void)code;
	s->copying = false;
}

static void
copy_made(void *arg, int code, uint64_t index, const uint8_t sha256[32])
{
	struct server *s = arg;
	uint32_t to = (uint32_t)atoi(strrchr(s->copy_path, '-') + 1);

	if (code == RES_OK)
		peers_send_copy(s->cluster->world.nodes[s->number].peers, to,
		    s->copy_path, index, sha256, copy_sent, s);
	else
		s->copying = false;
}

static void
on_wants_copy(void *arg, uint32_t id, uint64_t index)
{
	struct server *s = arg;

	(void)index;
	if (s->copying)
		return;
	s->copying = true;
	snprintf(s->copy_path, sizeof(s->copy_path), "%s/copy-%u",
	    s->cluster->world.nodes[s->number].dir, id);
	store_copy(s->store, s->copy_path, copy_made, s);
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
	struct server *s = arg;

	s->seq = event->seq;
}

static void
dial(void *arg, uint32_t id)
{
	struct server *s = arg;

	peers_want(
	    s->cluster->world.nodes[s->number].peers, id, PEER_RAFT, true);
}

/* ---- life -----------------------------------------------------------------
 */

static void
up(struct cluster *c, unsigned i)
{
	struct server *s = &c->servers[i];
	struct raft_node_config cfg = { .dir = c->world.nodes[i].dir,
		.id = i + 1,
		.bootstrap = i == 0,
		.snapshot_entries = SNAPSHOT };
	struct raft_node_callbacks cb = { .arg = s,
		.role = on_role,
		.members = on_members,
		.lost = on_lost,
		.wants_copy = on_wants_copy,
		.failed = on_failed };
	struct store_callbacks store_cb = {
		.arg = s, .applied = on_applied, .failed = on_failed
	};
	struct error e;

	if (c->world.nodes[i].peers == NULL) {
		peer_world_start(&c->world, i);
		peer_world_tls(&c->world, i, c->world.nodes[i].who,
		    c->world.nodes[i].who->cert_pem);
		peer_world_members(&c->world, i, (1U << NODES) - 1);
	}
	s->cluster = c;
	s->number = i;
	s->role = RAFT_ROLE_NONE;
	s->store = store_open(cfg.dir, c->world.base, &store_cb, &e);
	assert_non_null(s->store);
	s->rn = raft_node_start(&cfg, c->world.base, s->store, &cb, &e);
	if (s->rn == NULL)
		fail_msg("%s", e.text);
	raft_node_set_dialler(s->rn, dial, s);
}

/* Without a word: as if it were killed. */
static void
kill_server(struct cluster *c, unsigned i, unsigned ms)
{
	struct server *s = &c->servers[i];

	raft_node_stop(s->rn, ms);
	peer_world_stop(&c->world, i);
	store_close(s->store);
	s->rn = NULL;
	s->store = NULL;
	s->role = RAFT_ROLE_NONE;
	s->copying = false;
}

static unsigned
await_leader(struct cluster *c)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	for (;;) {
		for (unsigned i = 0; i < NODES; i++)
			if (c->servers[i].role == RAFT_ROLE_LEADER)
				return i;
		if (clock_ms() > end)
			fail_msg("no leader");
		event_base_loop(c->world.base, EVLOOP_ONCE);
	}
}

static void
done(void *arg, int code, const char *text)
{
	struct cluster *c = arg;

	c->code = code;
	if (code != RES_OK)
		print_message("%s\n", text);
}

static int
await_done(struct cluster *c)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	while (c->code == 1) {
		if (clock_ms() > end)
			fail_msg("not done");
		event_base_loop(c->world.base, EVLOOP_ONCE);
	}
	return c->code;
}

static void
propose(struct cluster *c, unsigned i, unsigned len)
{
	struct buf b = { 0 };
	char value[600];

	memset(value, 'v', sizeof(value));
	snprintf(value, sizeof(value), "%llu", (unsigned long long)c->seq);
	value[strlen(value)] = '.';
	value[len + 20] = '\0';
	store_cmd_setting(&b, "domain", value);
	raft_node_propose(c->servers[i].rn, 5, c->seq, b.data, b.len, c->seq);
	buf_clear(&b);
}

/* Commands of any length that each are an entry of their own; sent again until
 * the leader has applied them, for a busy machine may change the leader. */
static void
propose_entries(struct cluster *c, unsigned count)
{
	uint64_t end, again;
	unsigned leader;

	for (unsigned k = 0; k < count; k++) {
		c->seq++;
		end = clock_ms() + LIMIT_MS;
		again = 0;
		do {
			leader = await_leader(c);
			if (clock_ms() >= again) {
				propose(c, leader, k % 300);
				again = clock_ms() + 600;
			}
			if (clock_ms() > end)
				fail_msg("a command is not applied");
			event_base_loop(c->world.base, EVLOOP_ONCE);
		} while (c->servers[leader].seq != c->seq);
	}
}

/* A wish to whoever leads, again if that one doesn't any more. */
static void
change(struct cluster *c, bool add, uint32_t id)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	do {
		c->code = 1;
		(add ? raft_node_add : raft_node_remove)(
		    c->servers[await_leader(c)].rn, id, done, c);
		if (clock_ms() > end)
			fail_msg("not changed");
	} while (await_done(c) != RES_OK);
}

/* All that run have applied the same, and what was proposed last. */
static void
await_equal(struct cluster *c)
{
	uint64_t end = clock_ms() + LIMIT_MS;
	uint8_t digests[NODES][32];
	bool equal = false;
	char *value, want[32];

	snprintf(want, sizeof(want), "%llu.", (unsigned long long)c->seq);
	while (!equal) {
		if (clock_ms() > end)
			fail_msg("they differ");
		peer_world_run(&c->world, 5);
		equal = true;
		for (unsigned i = 0; i < NODES; i++) {
			store_digest(c->servers[i].store, digests[i]);
			equal =
			    equal && memcmp(digests[i], digests[0], 32) == 0;
		}
		value = store_setting(c->servers[0].store, "domain");
		equal = equal && value != NULL &&
		    strncmp(value, want, strlen(want)) == 0;
		free(value);
	}
}

static int
setup(void **state)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	peer_world_init(&c->world, NODES, &peers_cb);
	peer_world_join_all(&c->world);
	up(c, 0);
	assert_int_equal(await_leader(c), 0);
	for (unsigned i = 1; i < NODES; i++) {
		up(c, i);
		change(c, true, i + 1);
	}
	/* Who has just started doesn't vote yet. */
	peer_world_run(&c->world, 350);
	*state = c;
	return 0;
}

static int
teardown(void **state)
{
	struct cluster *c = *state;

	for (unsigned i = 0; i < NODES; i++)
		if (c->servers[i].rn != NULL)
			kill_server(c, i, 0);
	peer_world_clear(&c->world);
	free(c);
	return 0;
}

static int
forget_certs(void **state)
{
	(void)state;
	certs_free_all();
	return 0;
}

/* ---- the tests ----------------------------------------------------------- */

static void
what_is_committed_is_everywhere(void **state)
{
	struct cluster *c = *state;
	struct raft_peer_state peers[8];
	struct server *leader;
	size_t n;

	for (unsigned i = 0; i < 500; i++) {
		c->seq++;
		propose(c, await_leader(c), i % 257);
	}
	propose_entries(c, 20);
	await_equal(c);
	leader = &c->servers[await_leader(c)];
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(c->servers[i].voters, 3);
	n = raft_node_peers(leader->rn, peers, 8);
	assert_int_equal(n, 2);
	assert_true(peers[0].heard_ms < 5000 && peers[1].heard_ms < 5000);
}

static void
one_holds_the_lease(void **state)
{
	struct cluster *c = *state;
	unsigned holders = 0, leader = await_leader(c);
	struct server *s;

	for (unsigned i = 0; i < NODES; i++) {
		s = &c->servers[i];
		holders += raft_node_lease(s->rn, s->term, clock_ms());
		assert_false(raft_node_lease(s->rn, s->term + 1, clock_ms()));
	}
	assert_true(holders <= 1);
	/* It is gone as soon as a hand-over is asked for. */
	s = &c->servers[leader];
	raft_node_transfer(s->rn, (leader + 1) % NODES + 1, done, c);
	assert_false(raft_node_lease(s->rn, s->term, clock_ms()));
}

static void
a_killed_leader_is_replaced_and_comes_back(void **state)
{
	struct cluster *c = *state;
	uint64_t start;
	unsigned leader;

	propose_entries(c, 5);
	await_equal(c);
	leader = await_leader(c);
	kill_server(c, leader, 0);
	start = clock_ms();
	assert_int_not_equal(await_leader(c), leader);
	print_message("a new leader after %llu ms\n",
	    (unsigned long long)(clock_ms() - start));
	assert_in_range(clock_ms() - start, 0, 3000);
	propose_entries(c, 5);
	up(c, leader);
	await_equal(c);
}

static void
leadership_is_handed_over(void **state)
{
	struct cluster *c = *state;
	unsigned leader = await_leader(c), other;
	uint64_t start = clock_ms();

	raft_node_set_leading(c->servers[leader].rn, false);
	while (c->servers[leader].role == RAFT_ROLE_LEADER)
		event_base_loop(c->world.base, EVLOOP_ONCE);
	other = await_leader(c);
	assert_int_not_equal(other, leader);
	print_message("handed over after %llu ms\n",
	    (unsigned long long)(clock_ms() - start));
	assert_in_range(clock_ms() - start, 0, 3000);
	/* A planned stop hands over, too. */
	start = clock_ms();
	kill_server(c, other, 2000);
	assert_int_not_equal(await_leader(c), leader);
	print_message("after a stop, %llu ms\n",
	    (unsigned long long)(clock_ms() - start));
	assert_in_range(clock_ms() - start, 0, 5000);
}

static void
who_lags_gets_a_copy(void **state)
{
	struct cluster *c = *state;
	unsigned lags = (await_leader(c) + 1) % NODES;

	kill_server(c, lags, 0);
	/* Whom the log was kept for is gone. */
	peer_world_run(&c->world, 1500);
	propose_entries(c, SNAPSHOT * 3);
	up(c, lags);
	propose_entries(c, 10);
	await_equal(c);
	peer_world_await(&c->world, &c->servers[lags].copies, 1);
	/* Its log goes on from there. */
	kill_server(c, lags, 0);
	up(c, lags);
	propose_entries(c, 3);
	await_equal(c);
}

static void
all_are_killed_and_nothing_is_missing(void **state)
{
	struct cluster *c = *state;

	propose_entries(c, SNAPSHOT + 31);
	for (unsigned i = 0; i < NODES; i++)
		kill_server(c, i, 0);
	for (unsigned i = 0; i < NODES; i++)
		up(c, i);
	await_leader(c);
	await_equal(c);
	propose_entries(c, 3);
	await_equal(c);
}

static void
servers_are_removed_and_added(void **state)
{
	struct cluster *c = *state;
	struct server *leader = &c->servers[await_leader(c)];
	uint32_t a = (leader->number + 1) % NODES, b = (a + 1) % NODES;

	kill_server(c, a, 0);
	change(c, false, a + 1);
	propose_entries(c, 3);
	change(c, false, b + 1);
	propose_entries(c, 3);
	/* Nobody else has a vote any more. */
	leader = &c->servers[await_leader(c)];
	assert_int_equal(leader->voters, 1);
	assert_true(
	    raft_node_lease(leader->rn, leader->term, clock_ms() + 1000000));
	change(c, true, b + 1);
	up(c, a);
	change(c, true, a + 1);
	await_equal(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_committed_is_everywhere),
		T(one_holds_the_lease),
		T(a_killed_leader_is_replaced_and_comes_back),
		T(leadership_is_handed_over),
		T(who_lags_gets_a_copy),
		T(all_are_killed_and_nothing_is_missing),
		T(servers_are_removed_and_added),
	};

	log_set_level(
	    getenv("DEBUG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, forget_certs);
}
