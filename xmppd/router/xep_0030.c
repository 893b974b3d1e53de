/*
 * Service discovery (XEP-0030): what the server and an account are and can do,
 * and which components there are.
 */
#include "xmppd/router/core.h"

static void
add_identity(struct buf *b, const char *category, const char *type)
{
	buf_add_str(b, "<identity");
	xml_add_attr(b, "category", category);
	xml_add_attr(b, "type", type);
	buf_add_str(b, "/>");
}

enum stanza_error
disco_info(struct router *r, struct job *job, const struct xml *query)
{
	struct buf b = { 0 };
	const char *feature;

	if (xml_attr(query, "node") != NULL)
		return STANZA_ITEM_NOT_FOUND;
	buf_add_str(&b, "<query xmlns='" NS_DISCO_INFO "'>");
	if (job->to.kind == ADDRESS_SERVER)
		add_identity(&b, "server", "im");
	else
		add_identity(&b, "account", "registered");
	for (size_t i = 0; (feature = iq_feature(i)) != NULL; i++) {
		buf_add_str(&b, "<feature");
		xml_add_attr(&b, "var", feature);
		buf_add_str(&b, "/>");
	}
	buf_add_str(&b, "</query>");
	reply_iq(r, job, &b, DELIVER_STANZA);
	buf_clear(&b);
	return 0;
}

enum stanza_error
disco_items(struct router *r, struct job *job, const struct xml *query)
{
	const struct component *c;
	struct buf b = { 0 };

	if (xml_attr(query, "node") != NULL)
		return STANZA_ITEM_NOT_FOUND;
	buf_add_str(&b, "<query xmlns='" NS_DISCO_ITEMS "'>");
	TAILQ_FOREACH(c, &r->component_order, next) {
		if (job->to.kind != ADDRESS_SERVER)
			break;
		buf_add_str(&b, "<item");
		xml_add_attr(&b, "jid", c->domain);
		xml_add_attr(&b, "name", c->name);
		buf_add_str(&b, "/>");
	}
	buf_add_str(&b, "</query>");
	reply_iq(r, job, &b, DELIVER_STANZA);
	buf_clear(&b);
	return 0;
}
