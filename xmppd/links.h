#ifndef XMPPD_LINKS_H
#define XMPPD_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Joins this node's edges to the active router, wherever it runs: by mail where
 * it is in this process, over the LINK channel otherwise; and, on the leader,
 * the other nodes' edges to the router. Messages for the router wait while the
 * leader's lease is in doubt (G4).
 *
 * A node's edges share one LINK connection, on which each message follows the
 * number of its edge (one byte). The leader opens it with LINK_OPEN when its
 * router takes links, and again for each new term; LINK_CLOSE ends it. All else
 * are the messages of frame.h.
 */
struct links;
struct mailbox;
struct node;

enum link_control { LINK_OPEN = 100, LINK_CLOSE };

struct links *links_new(struct node *n);
void links_free(struct links *l);

/* Where the node's edges write to (local_edges_config). */
struct mailbox *links_mailbox(struct links *l);

/* Raft has a new leader, or none: link the edges to it. */
void links_follow(struct links *l, uint32_t leader, uint64_t term);

/* The router here has begun to take links, or has gone. */
void links_open(struct links *l);
void links_close(struct links *l);

/* What the router has for an edge (struct router_env). */
void links_down(
    void *arg, uint32_t node, uint32_t edge, const void *msg, size_t len);

/* The LINK channel with another node. */
void links_channel_up(struct links *l, uint32_t node, bool dialled);
void links_channel_down(struct links *l, uint32_t node, bool dialled);
int links_message(
    struct links *l, uint32_t node, bool dialled, const void *msg, size_t len);

#endif
