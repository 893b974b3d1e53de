/*
 * Personal eventing (XEP-0163): how an account shows that it has it, and its
 * nodes (XEP-0060, 5).
 */
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "xmppd/router/form.h"
#include "xmppd/router/pep.h"

#define NS_META_DATA NS_PUBSUB "#meta-data"

/* XEP-0060, 5.1, and 12 for the names. */
static const char *const features[] = {
	NS_PUBSUB,
	NS_PUBSUB "#access-authorize",
	NS_PUBSUB "#access-open",
	NS_PUBSUB "#access-presence",
	NS_PUBSUB "#access-roster",
	NS_PUBSUB "#access-whitelist",
	NS_PUBSUB "#auto-create",
	NS_PUBSUB "#auto-subscribe",
	NS_PUBSUB "#config-node",
	NS_PUBSUB "#config-node-max",
	NS_PUBSUB "#create-and-configure",
	NS_PUBSUB "#create-nodes",
	NS_PUBSUB "#delete-items",
	NS_PUBSUB "#delete-nodes",
	NS_PUBSUB "#filtered-notifications",
	NS_PUBSUB "#item-ids",
	NS_PUBSUB "#last-published",
	NS_PUBSUB "#manage-subscriptions",
	NS_PUBSUB "#member-affiliation",
	NS_PUBSUB "#meta-data",
	NS_PUBSUB "#modify-affiliations",
	NS_PUBSUB "#multi-items",
	NS_PUBSUB "#outcast-affiliation",
	NS_PUBSUB "#persistent-items",
	NS_PUBSUB "#presence-notifications",
	NS_PUBSUB "#presence-subscribe",
	NS_PUBSUB "#publish",
	NS_PUBSUB "#publish-options",
	NS_PUBSUB "#purge-nodes",
	NS_PUBSUB "#retract-items",
	NS_PUBSUB "#retrieve-affiliations",
	NS_PUBSUB "#retrieve-default",
	NS_PUBSUB "#retrieve-items",
	NS_PUBSUB "#retrieve-subscriptions",
	NS_PUBSUB "#rsm",
	NS_PUBSUB "#subscribe",
	NS_RSM,
	NULL,
};

static void
describe(struct router *r, const struct job *job, enum iq_at at, struct buf *b)
{
	(void)r, (void)job;
	if (at != AT_SERVER)
		buf_add_str(b, "<identity category='pubsub' type='pep'/>");
}

/* Opens a node that the sender of the job may know of. */
static bool
open_visible(struct pep_node *n, struct router *r, const struct job *job,
    const char *name)
{
	const char *condition;
	struct address from;

	address_read(r, job->f.from, &from);
	pep_node_open(n, r, &job->to, name);
	if (n->exists && pep_access(n, &from, &condition) == 0)
		return true;
	pep_node_close(n);
	return false;
}

/* XEP-0060, 5.3 and 5.4. */
static bool
node_info(
    struct router *r, const struct job *job, const char *name, struct buf *b)
{
	struct pep_node n;

	if (job->to.kind != ADDRESS_USER || !open_visible(&n, r, job, name))
		return false;
	buf_add_str(b,
	    "<identity category='pubsub' type='leaf'/>"
	    "<feature var='" NS_PUBSUB "'/>");
	node_config_write(b, &n.config, "result", NS_META_DATA);
	pep_node_close(&n);
	return true;
}

static void
add_disco_item(
    struct buf *b, const char *jid, const char *node, const char *name)
{
	buf_add_str(b, "<item");
	xml_add_attr(b, "jid", jid);
	xml_add_attr(b, "node", node);
	xml_add_attr(b, "name", name);
	buf_add_str(b, "/>");
}

/* XEP-0060, 5.2: the nodes that the asker may read. */
static void
list_nodes(struct router *r, const struct job *job, struct buf *b)
{
	char *account = text_dup(job->to.local);
	const struct store_node nodes = { .local = account,
		.space = SPACE_PEP_NODE,
		.node = "",
		.no_values = true };
	struct store_item *list;
	size_t count = store_items(r->env.store, &nodes, &list);
	const char *title;
	struct pep_node n;

	for (size_t i = 0; i < count; i++) {
		if (!open_visible(&n, r, job, list[i].id))
			continue;
		title = n.config.value[NODE_TITLE];
		add_disco_item(
		    b, n.bare, n.name, *title == '\0' ? NULL : title);
		pep_node_close(&n);
	}
	store_items_clear(list, count);
	free(account);
}

/* XEP-0060, 5.5. */
static bool
list_items(
    struct router *r, const struct job *job, const char *name, struct buf *b)
{
	struct store_node items;
	struct store_item *list;
	struct pep_node n;
	size_t count;

	if (!open_visible(&n, r, job, name))
		return false;
	items = pep_items(&n);
	items.no_values = true;
	items.max = 1000;
	items.newest = true;
	count = store_items(r->env.store, &items, &list);
	for (size_t i = 0; i < count; i++)
		add_disco_item(b, n.bare, NULL, list[i].id);
	store_items_clear(list, count);
	pep_node_close(&n);
	return true;
}

static bool
node_items(
    struct router *r, const struct job *job, const char *name, struct buf *b)
{
	if (job->to.kind != ADDRESS_USER)
		return false;
	if (name != NULL)
		return list_items(r, job, name, b);
	list_nodes(r, job, b);
	return true;
}

const struct extension xep_0163 = {
	.number = "XEP-0163",
	.account_features = features,
	.describe = describe,
	.node_info = node_info,
	.node_items = node_items,
};
