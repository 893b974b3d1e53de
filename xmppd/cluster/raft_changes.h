#ifndef XMPPD_CLUSTER_RAFT_CHANGES_H
#define XMPPD_CLUSTER_RAFT_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "xmppd/cluster/raft_node.h"

/*
 * Changes of Raft's configuration on the leader, one after another (trap 11).
 * A server that comes in goes three steps: added as a spare, made a stand-by,
 * which gets the log but has no vote, and a voter once it has caught up; so a
 * copy of the state may take as long as it likes, and a change that was cut
 * short by a crash goes on where it stopped when it's asked for again.
 */
struct raft_changes;
struct raft;

struct raft_changes *raft_changes_new(void);
void raft_changes_free(struct raft_changes *c);

/* Asks for one; `done` is called once, from raft_changes_poll() or _fail(). */
void raft_changes_add(
    struct raft_changes *c, uint32_t id, raft_node_done done, void *arg);
void raft_changes_remove(
    struct raft_changes *c, uint32_t id, raft_node_done done, void *arg);

/* Does what can be done now; true if libraft has been given something. Only
 * while this node leads and its barrier has committed. */
bool raft_changes_poll(struct raft_changes *c, struct raft *r, uint64_t now);

/* Leadership is lost: all end with RES_NO_LEADER. */
void raft_changes_fail(struct raft_changes *c);

#endif
