#ifndef XMPPD_ROUTER_PEP_NODE_H
#define XMPPD_ROUTER_PEP_NODE_H

#include "common/buf.h"
#include "common/stanza.h"

/*
 * How a node of an account is set up (XEP-0060, 16.4.4): one table of options,
 * by which forms are read, written and compared. Values are kept as text, each
 * option's in one form only.
 */
enum node_option {
	NODE_ACCESS,
	NODE_DELIVER_PAYLOADS,
	NODE_DESCRIPTION,
	NODE_MAX_ITEMS,
	NODE_NOTIFICATION_TYPE,
	NODE_NOTIFY_CONFIG,
	NODE_NOTIFY_DELETE,
	NODE_NOTIFY_RETRACT,
	NODE_PERSIST,
	NODE_PUBLISH_MODEL,
	NODE_ROSTER_GROUPS,
	NODE_SEND_LAST,
	NODE_TITLE,
	NODE_TYPE,
	NODE_OPTIONS
};

#define PEP_ITEMS_MAX 10000 /* of a node */

struct node_config {
	char *value[NODE_OPTIONS];
};

void node_config_init(struct node_config *c); /* the defaults */
void node_config_clear(struct node_config *c);

/* Takes what a form sets; 0, or what is wrong. Fields that aren't known are
 * passed over. */
enum stanza_error node_config_read(
    struct node_config *c, const struct xml *form);
/* Whether all that a form asks for is so; what isn't known is not. */
bool node_config_has(const struct node_config *c, const struct xml *form);
/* As a form; type "form": with labels and choices. */
void node_config_write(struct buf *b, const struct node_config *c,
    const char *type, const char *form_type);

/* As it is kept in the store. */
void node_config_encode(struct buf *b, const struct node_config *c);
void node_config_decode(struct node_config *c, const struct buf *value);

bool node_config_is(
    const struct node_config *c, enum node_option o, const char *value);
bool node_config_on(const struct node_config *c, enum node_option o);
/* How many items are kept. */
uint32_t node_config_keep(const struct node_config *c);

#endif
