#ifndef XMPPD_ROUTER_CAPS_H
#define XMPPD_ROUTER_CAPS_H

#include "xmppd/router/core.h"

/*
 * What the clients of sessions want to be told of (XEP-0115: "+notify" in what
 * they can do). A client is asked once for what its hash stands for, and what
 * was verified is kept in the store, so that it is known to the next leader.
 */

/* Whether a session wants what is published at nodes of this name. */
bool caps_wants(struct router *r, struct login *s, const char *node);

/* The names that it wants, one by one: starts with *at = NULL; false at the
 * end. */
bool caps_next(
    struct router *r, struct login *s, const char **at, struct text *node);

/* It is unavailable, or gone. */
void caps_forget(struct router *r, struct login *s);

/* A session has come, or it has become known what it wants (pep.c). */
void pep_greet(struct router *r, struct login *s);

/* Somebody may see the presence of an account from now on. */
void pep_shown(
    struct router *r, const struct address *owner, const struct address *to);

#endif
