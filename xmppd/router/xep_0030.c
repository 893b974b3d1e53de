/*
 * Service discovery (XEP-0030): what the server and an account are and can do,
 * and which components there are.
 */
#include "xmppd/router/extension.h"

static void
add_identity(struct buf *b, const char *category, const char *type)
{
	buf_add_str(b, "<identity");
	xml_add_attr(b, "category", category);
	xml_add_attr(b, "type", type);
	buf_add_str(b, "/>");
}

static void
add_features(struct buf *b, const char *const *features)
{
	for (; features != NULL && *features != NULL; features++) {
		buf_add_str(b, "<feature");
		xml_add_attr(b, "var", *features);
		buf_add_str(b, "/>");
	}
}

static void
describe(struct router *r, const struct job *job, enum iq_at at, struct buf *b)
{
	const struct extension *x;

	if (at == AT_SERVER)
		add_identity(b, "server", "im");
	else
		add_identity(b, "account", "registered");
	for (size_t i = 0; (x = extension_next(r, &i)) != NULL;)
		add_features(b,
		    at == AT_SERVER ? x->server_features : x->account_features);
	for (size_t i = 0; (x = extension_next(r, &i)) != NULL;)
		if (x->describe != NULL)
			x->describe(r, job, at, b);
}

static enum stanza_error
disco_info(struct router *r, struct job *job, const struct xml *query)
{
	struct buf b = { 0 };

	if (xml_attr(query, "node") != NULL)
		return STANZA_ITEM_NOT_FOUND;
	buf_add_str(&b, "<query xmlns='" NS_DISCO_INFO "'>");
	describe(r, job,
	    job->to.kind == ADDRESS_SERVER ? AT_SERVER : AT_ACCOUNT, &b);
	buf_add_str(&b, "</query>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static enum stanza_error
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
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_DISCO_INFO "}query",
	    disco_info },
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_DISCO_ITEMS "}query",
	    disco_items },
	{ 0 },
};
static const char *const features[] = { NS_DISCO_INFO, NS_DISCO_ITEMS, NULL };

const struct extension xep_0030 = {
	.number = "XEP-0030",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
