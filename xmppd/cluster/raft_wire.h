#ifndef XMPPD_CLUSTER_RAFT_WIRE_H
#define XMPPD_CLUSTER_RAFT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/cluster/raft_node.h"

/*
 * Raft's connections, on the Raft thread: frames out on those that this node
 * has dialled, frames in on the others, so two for a pair. Who dials is told by
 * dial(), at most every 50 ms for a server.
 */
struct raft_wire;
struct conn_loop;

struct raft_wire_hooks {
	void *arg;
	/* A frame's body; RES_INVALID closes the connection. */
	int (*receive)(void *arg, uint32_t from, const void *data, size_t len);
	void (*dial)(void *arg, uint32_t id);
	/* The connection on which a server sends is lost. */
	void (*lost)(void *arg, uint32_t id);
};

struct raft_wire *raft_wire_new(
    struct conn_loop *loop, const struct raft_wire_hooks *hooks);
void raft_wire_free(struct raft_wire *w);

/* Takes fd and ssl; the handshake is done. Replaces one of the same kind. */
void raft_wire_connection(
    struct raft_wire *w, uint32_t id, bool dialled, int fd, struct ssl_st *ssl);

/* Asks for a connection if there is none: one that is made only when a vote is
 * to be asked for comes too late for it. */
void raft_wire_keep(struct raft_wire *w, uint32_t to);

/* Queues frames; false if there is no connection, or too much is queued. */
bool raft_wire_send(
    struct raft_wire *w, uint32_t to, const void *frames, size_t len);

/* From any thread: when something came last. */
size_t raft_wire_peers(
    struct raft_wire *w, struct raft_peer_state *out, size_t max);

#endif
