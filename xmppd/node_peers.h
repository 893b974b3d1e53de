#ifndef XMPPD_NODE_PEERS_H
#define XMPPD_NODE_PEERS_H

#include <stdint.h>

/*
 * The node's side of its connections to other nodes (struct peers_callbacks).
 */
struct node;
struct peers;

struct peers *node_peers_new(struct node *n);

/* Raft: the server lags behind the log that is kept (struct
 * raft_node_callbacks). */
void node_wants_copy(void *arg, uint32_t id, uint64_t index);

#endif
