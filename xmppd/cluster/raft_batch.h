#ifndef XMPPD_CLUSTER_RAFT_BATCH_H
#define XMPPD_CLUSTER_RAFT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "xmppd/cluster/store.h"

/*
 * Proposals on their way into the log: one entry is under way at a time, and
 * what arrives meanwhile goes into the next one together. Pure.
 */
struct raft_batch;

/* An entry takes no more, unless its first command alone is longer. */
#define RAFT_BATCH_BYTES (64U << 10)

struct raft_batch *raft_batch_new(void);
void raft_batch_free(struct raft_batch *b);

void raft_batch_add(struct raft_batch *b, const struct store_proposal *p,
    uint64_t tag); /* copies */

/* Appends the next entry's commands; false if there are none, or one is under
 * way. It's under way from then on. */
bool raft_batch_take(struct raft_batch *b, struct buf *entry);
void raft_batch_done(struct raft_batch *b); /* no longer under way */

/* Drops what is under way, and with `all` what waits too, calling fn. */
void raft_batch_lose(struct raft_batch *b, bool all,
    void (*fn)(void *arg, uint64_t tag), void *arg);

#endif
