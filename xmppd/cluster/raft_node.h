#ifndef XMPPD_CLUSTER_RAFT_NODE_H
#define XMPPD_CLUSTER_RAFT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * One Raft server: libraft's core behind our raft_io, in a thread of its own
 * with its own event base. All functions here are called from the main loop;
 * nothing of libraft is touched outside that thread. Committed entries go to
 * the store from there.
 */
struct raft_node;
struct store;
struct event_base;
struct ssl_st;

enum raft_role {
	RAFT_ROLE_NONE,
	RAFT_ROLE_FOLLOWER,
	RAFT_ROLE_CANDIDATE,
	RAFT_ROLE_LEADER
};

struct raft_node_config {
	const char *dir; /* holds raft.db */
	uint32_t id;     /* Raft id, never reused */
	bool bootstrap;  /* fresh: make this the one voter */
	uint32_t election_ms, heartbeat_ms, tick_ms; /* 0: 300, 50, 15 */
	uint32_t snapshot_entries; /* between markers; 0: 1024 */
};

/* A server of Raft's configuration. */
struct raft_member {
	uint32_t id;
	bool voter; /* else stand-by or spare: being brought in */
};

/* Called on the main loop, in order. */
struct raft_node_callbacks {
	void *arg;
	/* Role, term or known leader (0: none) has changed. Leader only after
	 * its barrier has committed and everything before it is applied by the
	 * store. */
	void (*role)(
	    void *arg, enum raft_role role, uint64_t term, uint32_t leader);
	/* The configuration has changed (committed). */
	void (*members)(
	    void *arg, const struct raft_member *members, size_t count);
	/* A proposal got lost: leadership was lost before it committed; it may
	 * or may not come back as applied. */
	void (*lost)(void *arg, uint64_t tag);
	/* A server lags behind the log that is kept: it needs a copy of the
	 * state with at least this index (peer's copy channel). That it has it
	 * is seen here by itself. Called again after a while if it hasn't. */
	void (*wants_copy)(void *arg, uint32_t id, uint64_t index);
	/* A storage error or a broken invariant: ends the process. */
	void (*failed)(void *arg, const char *why);
};

struct raft_node *raft_node_start(const struct raft_node_config *cfg,
    struct event_base *main_base, struct store *store,
    const struct raft_node_callbacks *cb, struct error *e);

/* Hands leadership over if it has it (waits at most `ms`), stops, joins. May be
 * called in one of its callbacks; none comes after it. */
void raft_node_stop(struct raft_node *rn, unsigned ms);

/* Puts a command into the log; the leader's role only. What arrives while an
 * entry is under way goes into the next one together. `tag` comes back in
 * lost(). Copies. */
void raft_node_propose(struct raft_node *rn, uint64_t proposer, uint64_t seq,
    const void *command, size_t len, uint64_t tag);

/* Whether this node may act as the leader of `term` at this moment (G4). Cheap:
 * one atomic read. `now` is clock_ms(). */
bool raft_node_lease(const struct raft_node *rn, uint64_t term, uint64_t now);

/* The newest term this node has seen (atomic read). */
uint64_t raft_node_term(const struct raft_node *rn);

/*
 * Whether this server wishes to lead: a disabled member doesn't. Hands over if
 * it leads, and stands for election only after the others have had their
 * chance; without that, an entry that only it and a dead leader have would stop
 * the cluster. If it's elected so, it isn't reported as leader while another
 * who wishes to lead is there, and passes the leadership on. It does lead as
 * long as there is nobody else: the only voter, or all of them disabled.
 */
void raft_node_set_leading(struct raft_node *rn, bool allowed);

/*
 * Configuration changes, one at a time, on the leader; `done` on the main loop,
 * but not after raft_node_stop(). add: in, caught up, voter: may take long,
 * RES_TIMEOUT after 30 s without progress, and asked again goes on from there.
 * remove: a leader doesn't remove itself (RES_STATE). transfer: RES_OK when the
 * leadership is given up, RES_STATE if there is nobody to take it now,
 * RES_TIMEOUT if the other didn't; the lease is gone from the call on.
 */
typedef void (*raft_node_done)(void *arg, int code, const char *text);
void raft_node_add(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg);
void raft_node_remove(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg);
void raft_node_transfer(struct raft_node *rn, uint32_t id /* 0: any */,
    raft_node_done done, void *arg);

/*
 * A Raft connection with the server `id`: made or accepted on the main loop by
 * peer.c (handshake and hello done), then owned by the Raft thread. `dialled`:
 * this side made it; a server sends on the connection that it dialled and
 * receives on the other. Takes fd and ssl.
 */
void raft_node_connection(struct raft_node *rn, uint32_t id, bool dialled,
    int fd, struct ssl_st *ssl);

/* Which servers the Raft thread wants a connection to is asked on the main
 * loop through this callback, set once: peer.c dials. */
void raft_node_set_dialler(
    struct raft_node *rn, void (*dial)(void *arg, uint32_t id), void *arg);

/* What the status shows. */
struct raft_peer_state {
	uint32_t id;
	uint64_t heard_ms; /* ms since anything came; UINT64_MAX never */
};
size_t raft_node_peers(
    struct raft_node *rn, struct raft_peer_state *out, size_t max);

#endif
