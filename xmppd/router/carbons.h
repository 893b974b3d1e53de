#ifndef XMPPD_ROUTER_CARBONS_H
#define XMPPD_ROUTER_CARBONS_H

#include "xmppd/router/core.h"

/* Copies of messages for a user's other sessions (XEP-0280), for those who
 * route. */

/* Whether a session of the recipient is to get a copy, if it doesn't get the
 * message itself. */
bool carbons_are_due(
    struct router *r, const struct job *job, const struct login *s);

/* Whether it has one already, of a message that has to look for another
 * session: it is where the user sees it. */
bool carbons_has(
    struct router *r, const struct job *job, const struct login *s);

/* Sends the copies, once, each under a name of its own (rule 2 of
 * delivery(7)). True when all have been accepted. */
bool carbons_copy(struct router *r, struct job *job);

#endif
