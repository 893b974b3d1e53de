#ifndef XMPPD_ROUTER_TELL_H
#define XMPPD_ROUTER_TELL_H

#include "xmppd/router/core.h"

/* What an extension says to sessions by the router's own will. */

/* Delivers a stanza under a name of its own (rule 2 of delivery(7)). */
void tell(struct router *r, struct job *job, struct login *target,
    const struct dkey *key, const struct buf *stanza);

/* Tells a session, or all that are available at an address, the presence of
 * another: as it is, or that it is unavailable. */
void tell_presence(struct router *r, struct job *job, const struct login *about,
    const struct address *to, bool hide);

/* A JID without its resource. */
struct text text_bare(struct text jid);

#endif
