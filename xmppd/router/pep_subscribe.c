/*
 * Who has subscribed to a node (XEP-0060, 6.1 and 6.2), and what somebody is to
 * the nodes of an account (5.6, 5.7).
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/pep.h"

#define WHO_MAX 1000 /* of a node */

/* ---- subscribe, unsubscribe (6.1, 6.2) --------------------------------- */

/* 6.1.3.1: one subscribes oneself. The prepared JID; NULL if it isn't. */
static char *
own_jid(const struct pep_request *q)
{
	const char *text = xml_attr(q->verb, "jid");
	struct jid jid;
	char *full = NULL;
	struct text bare;

	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return NULL;
	bare.data = jid.full;
	bare.len = jid.bare;
	if (text_equal(bare, q->from.bare) &&
	    (!jid_has_resource(&jid) || text_is(q->from.full, jid.full) ||
		q->job->f.session_kind == SESSION_COMPONENT))
		full = xstrdup(jid.full);
	jid_clear(&jid);
	return full;
}

static enum stanza_error
store_subscription(
    struct pep_request *q, const char *jid, const char *subscription)
{
	struct change change = { 0 };

	pep_who_put(q->r, &change, &q->node, jid, subscription,
	    pep_affiliation(&q->node, text_of(jid)));
	return iq_store(q->r, q->job, &change);
}

/* What a subscription is to be: "pending" where the owner has to agree. */
static enum stanza_error
subscribe_store(struct pep_request *q, const char *jid)
{
	const char *condition;
	enum stanza_error e = pep_access(&q->node, &q->from, &condition);

	if (e != 0 && str_equal(condition, "not-subscribed"))
		return store_subscription(q, jid, "pending");
	if (e != 0)
		return pep_refuse(q, e, condition);
	if (q->node.who_count >= WHO_MAX)
		return pep_refuse(
		    q, STANZA_POLICY_VIOLATION, "too-many-subscriptions");
	return store_subscription(q, jid, "subscribed");
}

static void
answer_subscribed(struct pep_request *q, const char *jid)
{
	struct login *s = login_find(q->r, &q->job->f.sid);
	const char *state = pep_subscription(&q->node, text_of(jid));
	struct buf b = { 0 };

	buf_add_str(&b, "<subscription");
	xml_add_attr(&b, "node", q->node.name);
	xml_add_attr(&b, "jid", jid);
	xml_add_attr(&b, "subscription", state);
	buf_add_str(&b, "/>");
	pep_answer(q, &b);
	if (login_is_there(s) && s->kind == SESSION_CLIENT &&
	    str_equal(state, "subscribed") &&
	    !node_config_is(&q->node.config, NODE_SEND_LAST, "never"))
		pep_send_last(&q->node, s);
}

enum stanza_error
pep_subscribe(struct pep_request *q)
{
	char *jid = own_jid(q);
	enum stanza_error e;

	if (jid == NULL)
		return pep_refuse(q, STANZA_BAD_REQUEST, "invalid-jid");
	if (iq_stored(q->r, q->job, &e))
		answer_subscribed(q, jid);
	else if (e == 0)
		e = subscribe_store(q, jid);
	free(jid);
	return e;
}

enum stanza_error
pep_unsubscribe(struct pep_request *q)
{
	char *jid = own_jid(q);
	enum stanza_error e;

	if (jid == NULL)
		return pep_refuse(q, STANZA_BAD_REQUEST, "invalid-jid");
	if (iq_stored(q->r, q->job, &e))
		reply_iq(q->r, q->job, NULL, 0);
	else if (e == 0 &&
	    str_equal(pep_subscription(&q->node, text_of(jid)), "none"))
		e = pep_refuse(q, STANZA_UNEXPECTED_REQUEST, "not-subscribed");
	else if (e == 0)
		e = store_subscription(q, jid, "none");
	free(jid);
	return e;
}

/* ---- what one is to the nodes (5.6, 5.7) ------------------------------- */

typedef void (*write_fn)(
    struct pep_request *q, struct pep_node *n, struct buf *b);

static void
each_node(struct pep_request *q, struct buf *b, write_fn write)
{
	const struct store_node nodes = { .local = q->node.account,
		.space = SPACE_PEP_NODE,
		.node = "",
		.no_values = true };
	struct store_item *list;
	struct pep_node n;
	size_t count;

	if (q->node.name != NULL) {
		if (q->node.exists)
			write(q, &q->node, b);
		return;
	}
	count = store_items(q->r->env.store, &nodes, &list);
	for (size_t i = 0; i < count; i++) {
		pep_node_open(&n, q->r, &q->job->to, list[i].id);
		write(q, &n, b);
		pep_node_close(&n);
	}
	store_items_clear(list, count);
}

static void
write_subscriptions(struct pep_request *q, struct pep_node *n, struct buf *b)
{
	pep_subscription(n, q->from.bare); /* so that they are read */
	for (size_t i = 0; i < n->who_count; i++) {
		struct text jid = text_of(n->who[i].id);
		const char *state = pep_subscription(n, jid);
		struct address a;

		address_read(q->r, jid, &a);
		if (!text_equal(a.bare, q->from.bare) ||
		    str_equal(state, "none"))
			continue;
		buf_add_str(b, "<subscription");
		xml_add_attr(b, "node", n->name);
		xml_add_attr(b, "jid", n->who[i].id);
		xml_add_attr(b, "subscription", state);
		buf_add_str(b, "/>");
	}
}

enum stanza_error
pep_subscriptions(struct pep_request *q)
{
	struct buf b = { 0 };

	buf_add_str(&b, "<subscriptions>");
	each_node(q, &b, write_subscriptions);
	buf_add_str(&b, "</subscriptions>");
	pep_answer(q, &b);
	return 0;
}

static void
write_affiliation(struct pep_request *q, struct pep_node *n, struct buf *b)
{
	const char *affiliation = pep_affiliation(n, q->from.bare);

	if (str_equal(affiliation, "none"))
		return;
	buf_add_str(b, "<affiliation");
	xml_add_attr(b, "node", n->name);
	xml_add_attr(b, "affiliation", affiliation);
	buf_add_str(b, "/>");
}

enum stanza_error
pep_affiliations(struct pep_request *q)
{
	struct buf b = { 0 };

	buf_add_str(&b, "<affiliations>");
	each_node(q, &b, write_affiliation);
	buf_add_str(&b, "</affiliations>");
	pep_answer(q, &b);
	return 0;
}
