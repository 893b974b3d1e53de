#ifndef XMPPD_MEMBERSHIP_H
#define XMPPD_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * Who belongs to the cluster: making one, joining, removing, resetting. The
 * member table is replicated data and unique by address and by identity, so
 * that a node is in it once, whatever was done to it; reconciler.h brings
 * Raft's configuration in line with it.
 */
struct membership;
struct node;

/* How an operation ended; `text` says what was done, or what is wrong and what
 * to do. Called once, on the main loop. */
typedef void (*membership_done)(void *arg, int code, const char *text);

struct membership *membership_new(struct node *n);
void membership_free(struct membership *m);

/* This node becomes the first member of a cluster, with its data. */
void membership_initialize(
    struct membership *m, membership_done done, void *arg);

/* Joins the cluster that the node at a numeric address ("10.1.1.1:5222")
 * belongs to; this node's own state is set aside until it is a voter. */
void membership_join(
    struct membership *m, const char *address, membership_done done, void *arg);

/* Takes a member out; NULL: this node, which then is standalone, disabled and
 * empty (the data is on the others). The only member keeps its data. */
void membership_remove(
    struct membership *m, const char *member, membership_done done, void *arg);

/* Always ends standalone; leaves a cluster first if it can. */
void membership_reset(struct membership *m, membership_done done, void *arg);

/* The state of a join or removal under way, for status; NULL: none. */
const char *membership_progress(const struct membership *m);

/* No join or removal of this node is under way. */
bool membership_is_settled(const struct membership *m);

/* A hello was refused: this node is no member any more (removed), or is older
 * than what the cluster knows of it. */
void membership_refused(struct membership *m, bool removed, const char *why);

/* Why the cluster refuses this node, which has to join anew; NULL: it doesn't.
 */
const char *membership_refusal(const struct membership *m);

/* CONTROL_JOIN, CONTROL_REMOVED, CONTROL_DRAIN. */
void membership_request(struct membership *m, uint32_t from, const char *peer,
    uint64_t token, const void *msg, size_t len);

void membership_tick(struct membership *m, uint64_t now);

#endif
