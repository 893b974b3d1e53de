#ifndef XMPPD_ADMISSION_H
#define XMPPD_ADMISSION_H

#include <stddef.h>
#include <stdint.h>

/*
 * A node asks this member to be taken into the cluster (CONTROL_JOIN): compared
 * first, then given a Raft id and a row of the member table, and told all that
 * it needs to begin. The reconciler on the leader brings the voter in.
 */
struct node;

/* Answers the request `token`, at once or later. */
void admission_request(struct node *n, const char *peer, uint64_t token,
    const void *msg, size_t len);

#endif
