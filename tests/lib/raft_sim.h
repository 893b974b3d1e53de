#ifndef TESTS_LIB_RAFT_SIM_H
#define TESTS_LIB_RAFT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "xmppd/cluster/raft_core.h"

/*
 * Several Raft servers in one thread, under a time of their own: messages are
 * delayed by chance, servers crash (and their state goes back to what was
 * synced), connections are cut, clocks run at different speeds. A seed gives
 * the same run again. At each millisecond it's checked that no two servers
 * hold a lease, and that what servers apply is the same; a breach fails the
 * test.
 */
#define RAFT_SIM_MAX 6
#define RAFT_SIM_ELECTION 300

struct raft_sim;

struct raft_sim_entry {
	uint64_t index;
	struct buf bytes;
};

struct raft_sim_node {
	struct raft_sim *sim;
	unsigned number; /* its Raft id is number + 1 */
	char dir[96];
	struct raft_core *core; /* NULL: it's down */
	/* Its state machine. */
	struct raft_sim_entry *entries;
	size_t count;
	uint64_t synced;
	bool sync_asked;
	/* What it has reported. */
	enum raft_role role;
	uint64_t term, seen_term;
	uint32_t leader;
	uint64_t lease_term, lease_until;
	bool led_with_lease; /* had it when it was told that it leads */
	struct raft_member members[RAFT_SIM_MAX];
	size_t member_count;
	size_t lost, copies;
	bool failed;
	/* Its clock: ahead of the simulation's, and 1/1000 faster. */
	uint64_t offset;
	unsigned rate;
};

struct raft_sim *raft_sim_new(uint64_t seed);
void raft_sim_free(struct raft_sim *s);

struct raft_sim_node *raft_sim_node(struct raft_sim *s, unsigned i);

/* Starts node i, with what its disk has. */
void raft_sim_start(struct raft_sim *s, unsigned i, bool bootstrap);
void raft_sim_crash(struct raft_sim *s, unsigned i);
void raft_sim_cut(struct raft_sim *s, unsigned a, unsigned b, bool cut);
/* Messages between the two take up to that much longer, in ms. */
void raft_sim_slow(struct raft_sim *s, unsigned a, unsigned b, unsigned ms);
/* Copies take that long, in ms; 0: none is made. */
void raft_sim_copy_delay(struct raft_sim *s, unsigned ms);
void raft_sim_settings(
    struct raft_sim *s, unsigned threshold, unsigned trailing);

void raft_sim_run(struct raft_sim *s, unsigned ms);
uint64_t raft_sim_now(const struct raft_sim *s);
uint64_t raft_sim_random(struct raft_sim *s, uint64_t below);

/* The server that reports itself as leader and is not older than another; -1
 * if there is none. */
int raft_sim_leader(const struct raft_sim *s);
/* Runs until there is one, at most ms. */
int raft_sim_await_leader(struct raft_sim *s, unsigned ms);

/* A command of this text, at node i. */
void raft_sim_propose(struct raft_sim *s, unsigned i, const char *text);
/* Whether node i has applied a command with this text; how often. */
unsigned raft_sim_has(const struct raft_sim *s, unsigned i, const char *text);
bool raft_sim_equal(const struct raft_sim *s, unsigned a, unsigned b);

/* Brings node i in as a voter through the leader; fails if it takes longer. */
void raft_sim_add(struct raft_sim *s, unsigned i, unsigned ms);

/* A cluster of n voters, all up, with a leader. */
struct raft_sim *raft_sim_cluster(uint64_t seed, unsigned n);

#endif
