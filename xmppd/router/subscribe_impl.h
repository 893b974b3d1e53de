#ifndef XMPPD_ROUTER_SUBSCRIBE_IMPL_H
#define XMPPD_ROUTER_SUBSCRIBE_IMPL_H

#include "xmppd/router/core.h"

/* What subscribe.c and subscribe_tell.c share. */

/* The numbers of deliveries that one frame makes by its own will (rule 2). */
enum { SAYS_UNSUBSCRIBE = 1, SAYS_UNSUBSCRIBED };

/* What is to be told; a plan's note. "Back": from the contact to the sender. */
enum {
	DO_RELAY = 0x01,       /* the stanza to the contact */
	DO_UNSUBSCRIBE = 0x02, /* such a stanza to the contact */
	DO_UNSUBSCRIBED = 0x04,
	DO_REPLY = 0x08, /* "subscribed" to the sender */
	DO_SHOW = 0x10,  /* the sender's presence to the contact */
	DO_HIDE = 0x20,  /* that it is unavailable */
	DO_SHOW_BACK = 0x40,
	DO_HIDE_BACK = 0x80,
};

/* One side: a user and its item of the other. */
struct side {
	struct user *user; /* NULL: none of ours, or no such account */
	struct store_roster_item item;
	bool changed;
};

struct plan {
	struct address from; /* of f.from */
	char *own_bare, *contact;
	struct side own, other;
	uint32_t note; /* DO_* */
	struct bytes *relay;
};

/* The stanzas of the plan's note, but for presence. */
void plan_say(struct router *r, struct job *job);
/* Presence of all sessions at one address to all that are at another: as it
 * is, or, to be hidden, as unavailable. */
void plan_show(struct router *r, struct job *job, const struct address *of,
    const struct address *to, bool hide);

#endif
