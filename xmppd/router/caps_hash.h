#ifndef XMPPD_ROUTER_CAPS_HASH_H
#define XMPPD_ROUTER_CAPS_HASH_H

#include "common/stanza.h"

/* The text that is hashed, of a <query/> of disco#info; false if that is
 * ill-formed (XEP-0115, 5.4). */
bool caps_text(const struct xml *query, struct buf *b);

#endif
