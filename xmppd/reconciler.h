#ifndef XMPPD_RECONCILER_H
#define XMPPD_RECONCILER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Brings Raft's configuration in line with the member table, on the leader: one
 * change at a time, going on after a crash or a change of leader, since all it
 * works from is the table and the configuration. And keeps this node's own row
 * true: its start, its address, its name.
 */
struct node;
struct reconciler;
struct store_member;

struct reconciler *reconciler_new(struct node *n);
void reconciler_free(struct reconciler *r);

/* Member table or voters may have changed: looks again at the next tick. */
void reconciler_wake(struct reconciler *r);
void reconciler_tick(struct reconciler *r, uint64_t now);

/* CONTROL_MOVED of a member, which the leader can't reach where it was. */
void reconciler_moved(struct reconciler *r, uint32_t from, uint64_t token,
    const void *msg, size_t len);

/* A row that is in the member table no longer: that node is to be told. */
void reconciler_departs(struct reconciler *r, const struct store_member *row);
/* This node begins another life. */
void reconciler_forget(struct reconciler *r);

#endif
