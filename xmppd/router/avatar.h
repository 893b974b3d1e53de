#ifndef XMPPD_ROUTER_AVATAR_H
#define XMPPD_ROUTER_AVATAR_H

#include "xmppd/router/pep.h"

/* Avatars between vCards (XEP-0153) and personal eventing (XEP-0084), as
 * XEP-0398 has it. */

/* An item is being published: at the node of avatars' metadata the vCard gets
 * the picture in the same change. */
void avatar_published(
    struct pep_node *n, const struct xml *payload, struct change *c);

/* A vCard is being set: with another picture than before that is published as
 * well. Whether it is: then avatar_notify() is due when it is stored. */
bool avatar_from_vcard(struct router *r, const struct address *owner,
    const struct xml *vcard, struct change *c);
void avatar_notify(struct router *r, struct job *job);

/* Puts the hash of the sender's avatar into a presence. */
void avatar_stamp(struct router *r, struct job *job);

#endif
