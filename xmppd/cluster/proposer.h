#ifndef XMPPD_CLUSTER_PROPOSER_H
#define XMPPD_CLUSTER_PROPOSER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Puts a replicated command through the log from any node: here on the leader,
 * over the control channel elsewhere. A command is named (proposer, seq) and
 * sent again until it comes back as applied by this node's own store, which
 * acts on it once; so the answer comes when what was changed can be seen here.
 * One command at a time is under way, the rest wait their turn.
 */
struct proposer;
struct event_base;
struct peers;
struct raft_node;
struct store_event;

struct proposer_result {
	int code;    /* of applying it; RES_NO_LEADER: outcome unknown */
	uint64_t id; /* as struct store_event has it */
	uint64_t index;
};

typedef void (*proposer_done)(void *arg, const struct proposer_result *result);

struct proposer *proposer_new(struct event_base *base, struct raft_node *raft,
    struct peers *peers, uint32_t self);
/* What is under way ends with RES_NO_LEADER. */
void proposer_free(struct proposer *p);

/* Copies the command. `done` is called once, never from inside this call. */
void proposer_submit(struct proposer *p, const void *command, size_t len,
    proposer_done done, void *arg);

void proposer_set_leader(struct proposer *p, uint32_t leader); /* 0: none */
void proposer_applied(struct proposer *p, const struct store_event *event);
void proposer_lost(struct proposer *p, uint64_t tag);

/* CONTROL_PROPOSE of another node. */
void proposer_request(
    struct proposer *p, uint64_t token, const void *msg, size_t len);

#endif
