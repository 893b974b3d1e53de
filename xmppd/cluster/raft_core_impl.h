#ifndef XMPPD_CLUSTER_RAFT_CORE_IMPL_H
#define XMPPD_CLUSTER_RAFT_CORE_IMPL_H

#include <raft.h>

#include "xmppd/cluster/raft_batch.h"
#include "xmppd/cluster/raft_changes.h"
#include "xmppd/cluster/raft_core.h"
#include "xmppd/cluster/raft_io.h"
#include "xmppd/cluster/raft_lease.h"

/*
 * What raft_core.c (any server), raft_fsm.c, raft_conf.c and raft_lead.c (a
 * leader's duties) share, and nobody else knows.
 */

/* What a leader knows of another server, in its term. */
struct raft_follower {
	uint32_t id;
	bool willing;
	uint64_t heard;   /* when it answered last; 0: never */
	uint64_t synced;  /* what its state is durable up to */
	uint64_t asked;   /* when wants_copy() was called last; 0: never */
	bool catching_up; /* was given a copy, needs the log after it */
};

enum hand_over {
	HAND_NONE,
	HAND_WAIT, /* the lease is dropped; begins with the next tick */
	HAND_SENT  /* libraft is at it */
};

struct raft_core {
	struct raft_core_config cfg;
	struct raft_core_hooks hooks;
	struct raft raft;
	struct raft_fsm fsm;
	struct raft_backend *io;
	bool started, dead;
	struct error *error; /* while starting */

	/* Any server. */
	bool willing;
	uint64_t last_command; /* index of the newest applied, or covered */
	bool truncated;        /* the log was cut during this call */
	uint64_t change_saved; /* see raft_core_receive() */
	uint64_t members_index;
	uint64_t candidate_since; /* 0: it's none */
	bool hurried;             /* see raft_core_lost_touch() */
	uint64_t round;           /* of an election: when it began */
	unsigned votings;         /* rounds past the pre-vote */
	enum raft_role role;      /* as reported */
	uint64_t role_term;
	uint32_t role_leader;

	/* A leader. */
	uint64_t lead_term; /* 0: it doesn't lead */
	uint64_t lead_since;
	bool ready;
	struct raft_barrier barrier;
	bool barrier_begun;
	bool barrier_done; /* committed */
	struct raft_batch *batch;
	struct raft_apply apply;
	struct raft_changes *changes;
	struct raft_lease *lease;
	uint64_t lease_until; /* as reported */
	struct raft_follower *followers;
	size_t follower_count;

	enum hand_over hand;
	uint32_t hand_to;
	struct raft_transfer transfer;
	raft_node_done hand_done; /* may be NULL */
	void *hand_arg;
};

/* raft_core.c */
uint64_t raft_core_now(const struct raft_core *c);
void raft_core_fail(struct raft_core *c, const char *why);
unsigned raft_core_voters(
    const struct raft_core *c, uint32_t *out, unsigned max);

/* raft_fsm.c */
void raft_fsm_set(struct raft_core *c);

/* raft_conf.c: sets libraft's configuration to what the disk says; whether, by
 * that, nobody else has a vote. */
void raft_conf_reload(struct raft_core *c);
bool raft_conf_is_sole_voter(struct raft_core *c);

/* raft_lead.c: takes up, does, or lays down a leader's duties; true if libraft
 * has been given something. */
bool raft_lead(struct raft_core *c);
void raft_lead_answered(
    struct raft_core *c, uint32_t from, const struct raft_stamp *stamp);
void raft_lead_lost_touch(struct raft_core *c, uint32_t id);
bool raft_lead_has_state(struct raft_core *c, uint32_t to, uint64_t index);
bool raft_lead_keeps_log(struct raft_core *c);
void raft_lead_tick(struct raft_core *c);
void raft_lead_abandon(struct raft_core *c); /* whoever waits is told */
void raft_lead_publish(struct raft_core *c); /* the lease */

#endif
