#ifndef XMPPD_ROUTER_BLOCKING_H
#define XMPPD_ROUTER_BLOCKING_H

#include "xmppd/router/core.h"

/* Block lists (XEP-0191), for those who route. They are kept with a user that
 * is known, so that nobody who has none pays for more than a look at a flag. */

/* Whether an account has blocked an address: that itself, its bare one, its
 * domain with the resource, or its domain. */
bool blocking_blocks(
    struct router *r, const struct address *owner, const struct address *who);

/* Whether either has blocked the other. */
bool blocking_between(
    struct router *r, const struct address *a, const struct address *b);

/* The same, as far as it matters: with somebody of whom nothing is known there
 * is no session to be told of anything, and the store isn't asked. */
bool blocking_between_online(
    struct router *r, const struct address *a, const struct address *b);

/* Whether the stanza of a job goes no further: the sender has blocked whom it
 * is for, or is blocked there. *done is what the job's step is to return. */
bool blocking_stops(struct router *r, struct job *job, bool *done);

#endif
