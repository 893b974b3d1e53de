#ifndef XMPPD_CLUSTER_RAFT_LEASE_H
#define XMPPD_CLUSTER_RAFT_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Until when a leader may act as one (G4). A voter that has taken a leader's
 * message stands by it for an election time-out; so no other leader can exist
 * before one election time-out has passed since the newest send time that a
 * majority has echoed. The lease ends 10 % earlier, for clocks that run at
 * different speeds. Pure; times are the leader's own milliseconds.
 *
 * Two things break that promise, and both have their rule. A voter that is
 * handed the leadership may stand at once: raft_lease_forfeit() ends the lease
 * before the hand-over and for the whole term, since the permission may arrive
 * late. A voter that restarts has forgotten: it doesn't vote for one election
 * time-out.
 */
struct raft_lease;

#define RAFT_LEASE_FOREVER UINT64_MAX

struct raft_lease *raft_lease_new(unsigned election_ms);
void raft_lease_free(struct raft_lease *l);

void raft_lease_begin(struct raft_lease *l); /* leader of a new term */
void raft_lease_forfeit(struct raft_lease *l);
bool raft_lease_is_forfeited(const struct raft_lease *l);

/* A server has echoed this send time, in this term. */
void raft_lease_echo(struct raft_lease *l, uint32_t id, uint64_t sent);

/*
 * When it ends, given the voters and which of them this node is: 0 if there is
 * none, RAFT_LEASE_FOREVER if nobody else has a vote.
 */
uint64_t raft_lease_until(const struct raft_lease *l, const uint32_t *voters,
    size_t count, uint32_t self, uint64_t now);

#endif
