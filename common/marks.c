/*
 * What the children of a message are, for those who route it.
 */
#include <string.h>

#include "common/stanza.h"

#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

/* What children are; the first row that fits counts. Those that only accompany
 * others are no content. */
static const struct {
	const char *ns, *name; /* name NULL: any */
	uint16_t marks;
} marks[] = {
	{ NS_CHAT_STATES, NULL, MARK_IM },
	{ "urn:xmpp:receipts", "received", MARK_IM | MARK_ACK | MARK_CONTENT },
	{ "urn:xmpp:receipts", NULL, MARK_IM },
	{ "urn:xmpp:chat-markers:0", "markable", MARK_IM },
	{ "urn:xmpp:chat-markers:0", NULL, MARK_IM | MARK_ACK | MARK_CONTENT },
	{ NS_SID, NULL, 0 },
	{ NS_HINTS, "store", MARK_STORE },
	{ NS_HINTS, "no-store", MARK_NO_STORE },
	{ NS_HINTS, "no-permanent-store", MARK_NO_ARCHIVE },
	{ NS_HINTS, "no-copy", MARK_NO_COPY },
	{ NS_HINTS, NULL, 0 },
	{ NS_CARBONS, "private", MARK_NO_COPY },
	{ NS_MUC_USER, "x", MARK_MUC },
	{ "jabber:x:conference", "x", MARK_INVITE | MARK_CONTENT },
};

uint16_t
mark_child(const char *ns, const char *name)
{
	if (ns == NULL && strcmp(name, "body") == 0)
		return MARK_BODY | MARK_CONTENT;
	if (ns == NULL)
		return strcmp(name, "thread") == 0 ? 0 : MARK_CONTENT;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strcmp(marks[i].ns, ns) == 0 &&
		    (marks[i].name == NULL || strcmp(marks[i].name, name) == 0))
			return marks[i].marks;
	return MARK_CONTENT;
}

/* XEP-0045, 7.8.2: an invitation by a room. */
uint16_t
mark_grandchild(uint16_t of_children, const char *ns, const char *name)
{
	if ((of_children & MARK_MUC) == 0 || ns == NULL ||
	    strcmp(name, "invite") != 0 || strcmp(ns, NS_MUC_USER) != 0)
		return 0;
	return MARK_INVITE | MARK_CONTENT;
}

uint16_t
stanza_marks(const struct xml *x)
{
	const struct xml *c, *g;
	uint16_t all = 0;

	for (c = x->children; c != NULL; c = c->next) {
		all |= mark_child(
		    strcmp(c->ns, x->ns) == 0 ? NULL : c->ns, c->name);
		for (g = c->children; g != NULL; g = g->next)
			all |= mark_grandchild(all, g->ns, g->name);
	}
	return all;
}
