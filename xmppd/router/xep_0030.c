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

void
disco_describe_server(struct router *r, struct buf *b)
{
	describe(r, NULL, AT_SERVER, b);
}

/* XEP-0030, 8: an account is shown to its owner, and to whom its presence is;
 * to anybody else it may as well not exist. */
static bool
is_shown(struct router *r, const struct job *job)
{
	struct address from;
	struct user *u;

	if (job->to.kind == ADDRESS_SERVER)
		return true;
	address_read(r, job->f.from, &from);
	u = user_get(r, &job->to);
	user_touch(r, u);
	return roster_allows(r, u, from.bare);
}

/* What an extension knows of a node. */
static bool
node_info(
    struct router *r, const struct job *job, const char *node, struct buf *b)
{
	const struct extension *x;

	for (size_t i = 0; (x = extension_next(r, &i)) != NULL;)
		if (x->node_info != NULL && x->node_info(r, job, node, b))
			return true;
	return false;
}

static bool
node_items(
    struct router *r, const struct job *job, const char *node, struct buf *b)
{
	const struct extension *x;
	bool known = false;

	for (size_t i = 0; (x = extension_next(r, &i)) != NULL;)
		if (x->node_items != NULL && x->node_items(r, job, node, b))
			known = true;
	return known;
}

/* A node that isn't shown to somebody isn't there. */
static enum stanza_error
not_there(struct router *r, const struct job *job)
{
	return is_shown(r, job) ? STANZA_ITEM_NOT_FOUND
				: STANZA_SERVICE_UNAVAILABLE;
}

static void
open_query(struct buf *b, const char *ns, const char *node)
{
	buf_add_str(b, "<query");
	xml_add_attr(b, "xmlns", ns);
	xml_add_attr(b, "node", node);
	buf_add_str(b, ">");
}

static enum stanza_error
disco_info(struct router *r, struct job *job, const struct xml *query)
{
	const char *node = xml_attr(query, "node");
	enum stanza_error e = 0;
	struct buf b = { 0 };

	open_query(&b, NS_DISCO_INFO, node);
	if (node != NULL && !node_info(r, job, node, &b))
		e = not_there(r, job);
	else if (node == NULL && !is_shown(r, job))
		e = STANZA_SERVICE_UNAVAILABLE;
	else if (node == NULL)
		describe(r, job,
		    job->to.kind == ADDRESS_SERVER ? AT_SERVER : AT_ACCOUNT,
		    &b);
	buf_add_str(&b, "</query>");
	if (e == 0)
		reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return e;
}

static void
add_components(struct router *r, struct buf *b)
{
	const struct component *c;

	TAILQ_FOREACH(c, &r->component_order, next) {
		buf_add_str(b, "<item");
		xml_add_attr(b, "jid", c->domain);
		xml_add_attr(b, "name", c->name);
		buf_add_str(b, "/>");
	}
}

static enum stanza_error
disco_items(struct router *r, struct job *job, const struct xml *query)
{
	const char *node = xml_attr(query, "node");
	enum stanza_error e = 0;
	struct buf b = { 0 };

	open_query(&b, NS_DISCO_ITEMS, node);
	if (node == NULL && !is_shown(r, job))
		e = STANZA_SERVICE_UNAVAILABLE;
	else if (!node_items(r, job, node, &b) && node != NULL)
		e = not_there(r, job);
	if (node == NULL && job->to.kind == ADDRESS_SERVER)
		add_components(r, &b);
	buf_add_str(&b, "</query>");
	if (e == 0)
		reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return e;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT | AT_OTHER,
	    "{" NS_DISCO_INFO "}query", disco_info },
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT | AT_OTHER,
	    "{" NS_DISCO_ITEMS "}query", disco_items },
	{ 0 },
};
static const char *const features[] = { NS_DISCO_INFO, NS_DISCO_ITEMS, NULL };

const struct extension xep_0030 = {
	.number = "XEP-0030",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
