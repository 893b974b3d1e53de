#ifndef XMPPD_ROUTER_PRESENCE_IMPL_H
#define XMPPD_ROUTER_PRESENCE_IMPL_H

#include "xmppd/router/core.h"

/* What presence.c and presence_one.c share. */

enum { P_BEGIN, P_MIRROR, P_TOLD, P_OVER };

/* The session that sent a presence; NULL if that is to have no effect, as the
 * end of the session says all. */
struct login *presence_sender(struct router *r, const struct job *job);
/* Tells a session the newest presence of each available one of a user. */
void presence_show_all(struct router *r, struct job *job, struct showing *show,
    const struct user *u);

bool presence_direct_step(struct router *r, struct job *job);
bool presence_probe_step(struct router *r, struct job *job);

#endif
