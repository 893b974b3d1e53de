#ifndef XMPPD_ROUTER_BOOKMARKS_H
#define XMPPD_ROUTER_BOOKMARKS_H

#include "xmppd/router/pep.h"

/* Bookmarks (XEP-0402) for clients that keep them as private XML (XEP-0048,
 * XEP-0049): the rooms are items of personal eventing either way. */

/* Whether private XML is that. */
bool bookmarks_are(const struct xml *element);
/* Writes what is stored, as private XML; false: there is no such node. */
bool bookmarks_read(
    struct router *r, const struct address *owner, struct buf *b);
/* The rooms of an element that is set become the node's items. */
void bookmarks_put(struct router *r, struct job *job, const struct xml *element,
    struct change *c);
/* That is stored: tells who wants to know. */
void bookmarks_notify(struct router *r, struct job *job);

#endif
