/*
 * What the owner of a node asks (XEP-0060, 8): how it is set up, who has to do
 * with it, and its end.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/strutil.h"
#include "xmppd/router/form.h"
#include "xmppd/router/pep.h"

static void
answer(struct pep_request *q, struct buf *inner)
{
	struct buf b = { 0 };

	buf_add_str(&b, "<pubsub xmlns='" NS_PUBSUB_OWNER "'>");
	buf_add(&b, inner->data, inner->len);
	buf_add_str(&b, "</pubsub>");
	reply_iq(q->r, q->job, &b, 0);
	buf_clear(&b);
	buf_clear(inner);
}

/* An event about the node as a whole: "<delete node='..'/>". */
static void
notify_node(struct pep_request *q, const char *what)
{
	struct buf b = { 0 };

	buf_addf(&b, "<%s", what);
	xml_add_attr(&b, "node", q->node.name);
	buf_add_str(&b, "/>");
	pep_notify(&q->node, q->job, &b, 1);
	buf_clear(&b);
}

/* ---- configure (8.2, 8.3) ---------------------------------------------- */

static void
answer_config(struct pep_request *q, const char *name)
{
	struct buf b = { 0 };

	buf_addf(&b, "<%s", name);
	xml_add_attr(&b, "node", q->node.name);
	buf_add_str(&b, ">");
	node_config_write(&b, &q->node.config, "form", NS_NODE_CONFIG);
	buf_addf(&b, "</%s>", name);
	answer(q, &b);
}

static enum stanza_error
configure_get(struct pep_request *q)
{
	answer_config(q, "configure");
	return 0;
}

static enum stanza_error
default_get(struct pep_request *q)
{
	answer_config(q, "default");
	return 0;
}

static enum stanza_error
configure_store(struct pep_request *q, const struct xml *form)
{
	const struct store_node nodes = {
		.local = q->node.account, .space = SPACE_PEP_NODE, .node = ""
	};
	struct change change = { 0 };
	enum stanza_error e = node_config_read(&q->node.config, form);

	if (e != 0)
		return e;
	node_config_encode(
	    &change_put(q->r, &change, &nodes, q->node.name)->stanza,
	    &q->node.config);
	return iq_store(q->r, q->job, &change);
}

static enum stanza_error
configure_set(struct pep_request *q)
{
	const struct xml *form = xml_child(q->verb, "x", NS_DATA);
	bool cancel =
	    form != NULL && str_equal(xml_attr(form, "type"), "cancel");
	enum stanza_error e;

	if (form == NULL)
		return STANZA_BAD_REQUEST;
	if (!cancel && !iq_stored(q->r, q->job, &e))
		return e != 0 ? e : configure_store(q, form);
	reply_iq(q->r, q->job, NULL, 0);
	if (!cancel && node_config_on(&q->node.config, NODE_NOTIFY_CONFIG))
		notify_node(q, "configuration");
	return 0;
}

/* ---- delete, purge (8.4, 8.5) ------------------------------------------ */

static enum stanza_error
purge(struct pep_request *q)
{
	const struct store_node items = pep_items(&q->node);
	struct change change = { 0 };
	enum stanza_error e;

	if (!iq_stored(q->r, q->job, &e)) {
		if (e != 0)
			return e;
		change_del(&change, &items, NULL);
		return iq_store(q->r, q->job, &change);
	}
	reply_iq(q->r, q->job, NULL, 0);
	if (node_config_on(&q->node.config, NODE_NOTIFY_RETRACT))
		notify_node(q, "purge");
	return 0;
}

/* Whether those who see the owner's presence may know of the node. */
static bool
is_shown(const struct pep_request *q)
{
	return node_config_is(&q->node.config, NODE_ACCESS, "presence") ||
	    node_config_is(&q->node.config, NODE_ACCESS, "open");
}

/* Subscribers are told before the node is gone, as then nobody knows who they
 * are. The note says whether contacts may be told again by that name, should
 * this leader be lost. */
static enum stanza_error
delete_store(struct pep_request *q)
{
	struct store_node part = pep_items(&q->node);
	struct change change = { 0 };

	if (node_config_on(&q->node.config, NODE_NOTIFY_DELETE)) {
		notify_node(q, "delete");
		change.note = is_shown(q);
	}
	change_del(&change, &part, NULL);
	part.space = SPACE_PEP_WHO;
	change_del(&change, &part, NULL);
	part.space = SPACE_PEP_NODE;
	part.node = "";
	change_del(&change, &part, q->node.name);
	return iq_store(q->r, q->job, &change);
}

static enum stanza_error delete (struct pep_request *q) {
	enum stanza_error e;

	if (!iq_stored(q->r, q->job, &e)) return e != 0 ? e : delete_store(q);
	reply_iq(q->r, q->job, NULL, 0);
	if (iq_note(q->r, q->job) != 0) notify_node(q, "delete");
	return 0;
}

/* ---- who (8.8, 8.9) ---------------------------------------------------- */

/* Lists what JIDs are to the node: by `of`, in elements of this name. */
static enum stanza_error
list_who(struct pep_request *q, const char *name,
    const char *(*of)(struct pep_node *n, struct text jid))
{
	struct buf b = { 0 };
	struct pep_node *n = &q->node;

	buf_addf(&b, "<%ss", name);
	xml_add_attr(&b, "node", n->name);
	buf_add_str(&b, ">");
	pep_subscription(n, text_of(n->bare)); /* so that they are read */
	for (size_t i = 0; i < n->who_count; i++) {
		const char *jid = n->who[i].id;
		const char *is = of(n, text_of(jid));

		if (str_equal(is, "none"))
			continue;
		buf_addf(&b, "<%s", name);
		xml_add_attr(&b, "jid", jid);
		xml_add_attr(&b, name, is);
		buf_add_str(&b, "/>");
	}
	if (of == pep_affiliation) {
		buf_addf(&b, "<%s", name);
		xml_add_attr(&b, "jid", n->bare);
		xml_add_attr(&b, name, "owner");
		buf_add_str(&b, "/>");
	}
	buf_addf(&b, "</%ss>", name);
	answer(q, &b);
	return 0;
}

static enum stanza_error
subscriptions_get(struct pep_request *q)
{
	return list_who(q, "subscription", pep_subscription);
}

static enum stanza_error
affiliations_get(struct pep_request *q)
{
	return list_who(q, "affiliation", pep_affiliation);
}

/* Whether a word is one of these. */
static bool
is_word(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (str_equal(word, *words))
			return true;
	return false;
}

/* One line of what the owner sets. */
static enum stanza_error
put_one(struct pep_request *q, struct change *c, const struct xml *x)
{
	static const char *const states[] = { "none", "pending", "subscribed",
		NULL };
	static const char *const roles[] = { "none", "member", "outcast",
		NULL };
	bool subscription = strcmp(x->name, "subscription") == 0;
	const char *text = xml_attr(x, "jid"), *word = xml_attr(x, x->name);
	struct pep_node *n = &q->node;
	struct jid jid;

	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return STANZA_BAD_REQUEST;
	if (!is_word(word, subscription ? states : roles) ||
	    text_is(text_of(n->bare), jid.full)) {
		jid_clear(&jid);
		return STANZA_NOT_ACCEPTABLE;
	}
	if (subscription)
		pep_who_put(q->r, c, n, jid.full, word,
		    pep_affiliation(n, text_of(jid.full)));
	else
		pep_who_put(q->r, c, n, jid.full,
		    pep_subscription(n, text_of(jid.full)), word);
	jid_clear(&jid);
	return 0;
}

/* The verb's children are <subscription/> or <affiliation/>. */
static enum stanza_error
who_set(struct pep_request *q, const char *name)
{
	const struct xml *x;
	struct change change = { 0 };
	enum stanza_error e;

	if (iq_stored(q->r, q->job, &e)) {
		reply_iq(q->r, q->job, NULL, 0);
		return 0;
	}
	for (x = xml_child(q->verb, name, NS_PUBSUB_OWNER); x != NULL && e == 0;
	     x = xml_next(x, name, NS_PUBSUB_OWNER))
		e = put_one(q, &change, x);
	if (e == 0)
		return iq_store(q->r, q->job, &change);
	change_clear(&change);
	return e;
}

static enum stanza_error
subscriptions_set(struct pep_request *q)
{
	return who_set(q, "subscription");
}

static enum stanza_error
affiliations_set(struct pep_request *q)
{
	return who_set(q, "affiliation");
}

/* ---- the table --------------------------------------------------------- */

static const struct pep_verb verbs[] = {
	{ TYPE_GET, "configure", 0, configure_get },
	{ TYPE_SET, "configure", PEP_STORES, configure_set },
	{ TYPE_GET, "default", PEP_ANY_NODE | PEP_ABSENT, default_get },
	{ TYPE_SET, "delete", PEP_STORES, delete },
	{ TYPE_SET, "purge", PEP_STORES, purge },
	{ TYPE_GET, "subscriptions", 0, subscriptions_get },
	{ TYPE_SET, "subscriptions", PEP_STORES, subscriptions_set },
	{ TYPE_GET, "affiliations", 0, affiliations_get },
	{ TYPE_SET, "affiliations", PEP_STORES, affiliations_set },
	{ 0 },
};

static enum stanza_error
pubsub(struct router *r, struct job *job, const struct xml *top)
{
	return pep_handle(r, job, top, verbs);
}

#define CHILD "{" NS_PUBSUB_OWNER "}pubsub"

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT | AT_OTHER | AT_NOBODY, CHILD, pubsub },
	{ TYPE_SET, AT_ACCOUNT | AT_OTHER | AT_NOBODY, CHILD, pubsub },
	{ 0 },
};

const struct extension xep_0060_owner = {
	.number = "XEP-0060, 8",
	.iqs = iqs,
};
