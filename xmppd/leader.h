#ifndef XMPPD_LEADER_H
#define XMPPD_LEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a node does as the leader: gathers the newest directory of a majority
 * (rule 8 of delivery(7)), runs the active router, mirrors its events. As a
 * follower: keeps the mirrored directory and answers how new it is.
 */
struct leader;
struct node;
struct router;
struct store_event;

struct leader *leader_new(struct node *n);
void leader_free(struct leader *ld);

/* NULL: no active router here. */
struct router *leader_router(struct leader *ld);

void leader_begin(struct leader *ld); /* this node leads n->term */
void leader_end(struct leader *ld);   /* it no longer does; idempotent */
void leader_set_voters(struct leader *ld);
void leader_set_limits(struct leader *ld);
void leader_applied(struct leader *ld, const struct store_event *event);
void leader_tick(struct leader *ld, uint64_t now);

/* The MIRROR channel: a follower's, on the leader; or the leader's. */
void leader_mirror_up(struct leader *ld, uint32_t node, bool dialled);
void leader_mirror_down(struct leader *ld, uint32_t node, bool dialled);
int leader_mirror(struct leader *ld, uint32_t node, bool dialled,
    const void *msg, size_t len);

/* CONTROL_DIR_STATE and CONTROL_DIR_COPY of another node. */
void leader_request(
    struct leader *ld, uint64_t token, const void *msg, size_t len);

#endif
