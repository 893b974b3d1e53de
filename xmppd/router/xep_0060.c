/*
 * Publish-subscribe (XEP-0060), as far as personal eventing (XEP-0163) wants
 * it: what subscribers, and the owner as publisher, ask of an account's nodes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/avatar.h"
#include "xmppd/router/form.h"
#include "xmppd/router/pep.h"
#include "xmppd/router/rsm.h"

#define NODES_MAX 1000 /* of an account */
#define ITEMS_MAX 100  /* of one publication */
#define ID_MAX 1000
#define PAGE_ITEMS 1000
#define PAGE_BYTES (512U << 10) /* of an answer; one item may be beyond */

/* ---- publish (7.1) ----------------------------------------------------- */

static const struct xml *
first_item(const struct pep_request *q)
{
	return xml_child(q->verb, "item", NS_PUBSUB);
}

static const struct xml *
next_item(const struct xml *item)
{
	return xml_next(item, "item", NS_PUBSUB);
}

/* The item's id; one that has none gets one from its frame's name, so that it
 * is the same when that comes again. The caller frees. */
static char *
item_id(const struct pep_request *q, const struct xml *item)
{
	const struct origin *o = &q->job->origin->id;
	const char *id = xml_attr(item, "id");
	struct buf b = { 0 };
	uint8_t digest[32];
	char hex[33];
	uint32_t place = 0;

	if (id != NULL && *id != '\0')
		return xstrdup(id);
	for (const struct xml *i = first_item(q); i != item; i = next_item(i))
		place++;
	origin_encode(&b, o);
	buf_add_u64(&b, q->job->f.num);
	buf_add_u32(&b, place);
	crypto_sha256(b.data, b.len, digest);
	crypto_hex(digest, 16, hex);
	buf_clear(&b);
	return xstrdup(hex);
}

static enum stanza_error
check_items(struct pep_request *q)
{
	const struct xml *item = first_item(q);
	size_t count = 0;

	if (item == NULL)
		return pep_refuse(q, STANZA_BAD_REQUEST, "item-required");
	for (; item != NULL; item = next_item(item)) {
		const char *id = xml_attr(item, "id");

		if (item->children == NULL)
			return pep_refuse(
			    q, STANZA_BAD_REQUEST, "payload-required");
		if (item->children->next != NULL)
			return pep_refuse(
			    q, STANZA_BAD_REQUEST, "invalid-payload");
		if (++count > ITEMS_MAX || (id != NULL && strlen(id) > ID_MAX))
			return STANZA_NOT_ACCEPTABLE;
	}
	return 0;
}

/* 7.1.5: what the publisher takes for granted of the node; a new one is made
 * so. */
static enum stanza_error
take_options(struct pep_request *q)
{
	const struct xml *options =
	    xml_child(q->top, "publish-options", NS_PUBSUB);
	const struct xml *form = options == NULL
	    ? NULL
	    : form_find(options, NS_PUBSUB "#publish-options");
	struct pep_node *n = &q->node;

	if (form == NULL)
		return 0;
	if (!n->exists && node_config_read(&n->config, form) != 0)
		return pep_refuse(q, STANZA_CONFLICT, "precondition-not-met");
	if (!node_config_has(&n->config, form))
		return pep_refuse(q, STANZA_CONFLICT, "precondition-not-met");
	return 0;
}

/* Makes the node, as it is set up in the request. */
static enum stanza_error
put_node(struct pep_request *q, struct change *c)
{
	const struct store_node nodes = {
		.local = q->node.account, .space = SPACE_PEP_NODE, .node = ""
	};

	if (store_item_count(q->r->env.store, &nodes) >= NODES_MAX)
		return pep_refuse(
		    q, STANZA_RESOURCE_CONSTRAINT, "max-nodes-exceeded");
	node_config_encode(&change_put(q->r, c, &nodes, q->node.name)->stanza,
	    &q->node.config);
	return 0;
}

static void
put_items(struct pep_request *q, struct change *c)
{
	const struct store_node items = pep_items(&q->node);
	struct store_op *op;
	char *id;

	for (const struct xml *i = first_item(q); i != NULL; i = next_item(i)) {
		id = item_id(q, i);
		op = change_put(q->r, c, &items, id);
		op->keep = node_config_keep(&q->node.config);
		xml_write_whole(&op->stanza, i->children);
		free(id);
	}
}

static enum stanza_error
publish_store(struct pep_request *q)
{
	struct change change = { 0 };
	enum stanza_error e = check_items(q);

	if (e == 0)
		e = take_options(q);
	if (e == 0 && !q->node.exists)
		e = put_node(q, &change);
	if (e == 0 && node_config_on(&q->node.config, NODE_PERSIST))
		put_items(q, &change);
	if (e != 0) {
		change_clear(&change);
		return e;
	}
	avatar_published(&q->node, first_item(q)->children, &change);
	return iq_store(q->r, q->job, &change);
}

/* The items as subscribers are shown them, or as the publisher is. */
static void
write_items(
    struct pep_request *q, struct buf *b, const char *name, bool with_payload)
{
	struct buf payload = { 0 };
	char *id;

	buf_addf(b, "<%s", name);
	xml_add_attr(b, "node", q->node.name);
	buf_add_str(b, ">");
	for (const struct xml *i = first_item(q); i != NULL; i = next_item(i)) {
		buf_reset(&payload);
		if (with_payload)
			xml_write_whole(&payload, i->children);
		id = item_id(q, i);
		pep_add_item(b, id, &payload);
		free(id);
	}
	buf_addf(b, "</%s>", name);
	buf_clear(&payload);
}

static enum stanza_error
publish(struct pep_request *q)
{
	struct buf b = { 0 };
	enum stanza_error e;

	if (!iq_stored(q->r, q->job, &e))
		return e != 0 ? e : publish_store(q);
	write_items(q, &b, "publish", false);
	pep_answer(q, &b);
	write_items(q, &b, "items",
	    node_config_on(&q->node.config, NODE_DELIVER_PAYLOADS));
	pep_notify(&q->node, q->job, &b, 1);
	buf_clear(&b);
	return 0;
}

/* ---- retract (7.2) ----------------------------------------------------- */

static enum stanza_error
retract_store(struct pep_request *q)
{
	const struct store_node items = pep_items(&q->node);
	struct change change = { 0 };
	const struct xml *i = first_item(q);
	enum stanza_error e = 0;

	if (i == NULL)
		e = pep_refuse(q, STANZA_BAD_REQUEST, "item-required");
	for (; i != NULL && e == 0; i = next_item(i)) {
		const char *id = xml_attr(i, "id");

		if (id == NULL || *id == '\0')
			e = pep_refuse(q, STANZA_BAD_REQUEST, "item-required");
		else if (!store_item(q->r->env.store, &items, id, NULL))
			e = STANZA_ITEM_NOT_FOUND;
		else
			change_del(&change, &items, id);
	}
	if (e == 0)
		return iq_store(q->r, q->job, &change);
	change_clear(&change);
	return e;
}

static enum stanza_error
retract(struct pep_request *q)
{
	const char *notify = xml_attr(q->verb, "notify");
	struct buf b = { 0 };
	enum stanza_error e;

	if (!iq_stored(q->r, q->job, &e))
		return e != 0 ? e : retract_store(q);
	reply_iq(q->r, q->job, NULL, 0);
	if (!str_equal(notify, "1") && !str_equal(notify, "true") &&
	    (notify != NULL ||
		!node_config_on(&q->node.config, NODE_NOTIFY_RETRACT)))
		return 0;
	buf_add_str(&b, "<items");
	xml_add_attr(&b, "node", q->node.name);
	buf_add_str(&b, ">");
	for (const struct xml *i = first_item(q); i != NULL; i = next_item(i)) {
		buf_add_str(&b, "<retract");
		xml_add_attr(&b, "id", xml_attr(i, "id"));
		buf_add_str(&b, "/>");
	}
	buf_add_str(&b, "</items>");
	pep_notify(&q->node, q->job, &b, 1);
	buf_clear(&b);
	return 0;
}

/* ---- create (8.1) ------------------------------------------------------ */

static enum stanza_error
create_store(struct pep_request *q)
{
	const struct xml *configure = xml_child(q->top, "configure", NS_PUBSUB);
	const struct xml *form =
	    configure == NULL ? NULL : form_find(configure, NS_NODE_CONFIG);
	struct change change = { 0 };
	enum stanza_error e = 0;

	if (q->node.name == NULL || *q->node.name == '\0')
		return pep_refuse(q, STANZA_NOT_ACCEPTABLE, "nodeid-required");
	if (q->node.exists)
		return STANZA_CONFLICT;
	if (form != NULL)
		e = node_config_read(&q->node.config, form);
	if (e == 0)
		e = put_node(q, &change);
	return e == 0 ? iq_store(q->r, q->job, &change) : e;
}

static enum stanza_error
create(struct pep_request *q)
{
	enum stanza_error e;

	if (!iq_stored(q->r, q->job, &e))
		return e != 0 ? e : create_store(q);
	reply_iq(q->r, q->job, NULL, 0);
	return 0;
}

/* ---- items (6.5) ------------------------------------------------------- */

static void
write_item(struct buf *b, const struct store_item *item)
{
	pep_add_item(b, item->id, &item->value);
}

/* 6.5.8: those that are named; the ones that aren't there are left out. */
static void
write_named(struct pep_request *q, struct buf *b)
{
	const struct store_node items = pep_items(&q->node);
	struct store_item item;

	for (const struct xml *i = first_item(q); i != NULL; i = next_item(i)) {
		const char *id = xml_attr(i, "id");

		if (id != NULL &&
		    store_item(q->r->env.store, &items, id, &item)) {
			write_item(b, &item);
			store_item_clear(&item);
		}
	}
}

/* The place of an item that a page is next to; false: there is none. */
static bool
seq_of(struct pep_request *q, const char *id, uint64_t *seq)
{
	const struct store_node items = pep_items(&q->node);
	struct store_item item;
	bool there = store_item(q->r->env.store, &items, id, &item);

	*seq = item.seq;
	store_item_clear(&item);
	return there;
}

/* Which items are asked for (6.5.4, 6.5.7, XEP-0059). */
static enum stanza_error
page_of(struct pep_request *q, const struct rsm *rsm, struct store_node *page)
{
	const char *max_items = xml_attr(q->verb, "max_items");
	uint64_t max;

	*page = pep_items(&q->node);
	page->max = PAGE_ITEMS;
	if (max_items != NULL) {
		if (!str_to_u64(max_items, 1, UINT32_MAX, &max))
			return STANZA_BAD_REQUEST;
		page->max = max < PAGE_ITEMS ? (size_t)max : PAGE_ITEMS;
		page->newest = true;
	}
	if (!rsm->there)
		return 0;
	if (rsm->max < page->max)
		page->max = rsm->max;
	page->newest = rsm->before != NULL;
	if ((rsm->after != NULL && !seq_of(q, rsm->after, &page->after)) ||
	    (rsm->before != NULL && *rsm->before != '\0' &&
		!seq_of(q, rsm->before, &page->before)))
		return STANZA_ITEM_NOT_FOUND;
	return 0;
}

/* How many of a page go into one answer: from the end that it is next to. */
static size_t
page_fit(const struct store_item *items, size_t count, bool newest)
{
	size_t bytes = 0, fit = 0;

	for (; fit < count; fit++) {
		bytes +=
		    items[newest ? count - 1 - fit : fit].value.len + ID_MAX;
		if (fit > 0 && bytes > PAGE_BYTES)
			break;
	}
	return fit;
}

/* Writes a page, and what XEP-0059 says of it. */
static void
write_page(struct pep_request *q, const struct store_node *page, struct buf *b,
    struct buf *set)
{
	struct store_node all = pep_items(&q->node);
	struct store_item *items, *first;
	size_t count =
	    page->max == 0 ? 0 : store_items(q->r->env.store, page, &items);
	size_t fit = count == 0 ? 0 : page_fit(items, count, page->newest);
	struct rsm_page said = { 0 };

	said.count = store_item_count(q->r->env.store, &all);
	if (fit > 0) {
		first = page->newest ? items + count - fit : items;
		for (size_t i = 0; i < fit; i++)
			write_item(b, &first[i]);
		all.before = first->seq;
		said.index = store_item_count(q->r->env.store, &all);
		said.first = first->id;
		said.last = first[fit - 1].id;
		rsm_write(set, &said);
	} else {
		rsm_write(set, &said);
	}
	if (page->max != 0)
		store_items_clear(items, count);
}

static enum stanza_error
items(struct pep_request *q)
{
	struct rsm rsm = rsm_read(q->top);
	struct buf b = { 0 }, set = { 0 };
	const char *condition;
	struct store_node page;
	enum stanza_error e = pep_access(&q->node, &q->from, &condition);

	if (e != 0)
		return pep_refuse(q, e, condition);
	if (rsm.bad)
		return STANZA_BAD_REQUEST;
	e = page_of(q, &rsm, &page);
	if (e != 0)
		return e;
	buf_add_str(&b, "<items");
	xml_add_attr(&b, "node", q->node.name);
	buf_add_str(&b, ">");
	if (first_item(q) != NULL)
		write_named(q, &b);
	else
		write_page(q, &page, &b, &set);
	buf_add_str(&b, "</items>");
	if (rsm.there || store_item_count(q->r->env.store, &page) > PAGE_ITEMS)
		buf_add(&b, set.data, set.len);
	buf_clear(&set);
	pep_answer(q, &b);
	return 0;
}

/* ---- the table --------------------------------------------------------- */

static const struct pep_verb verbs[] = {
	{ TYPE_SET, "publish", PEP_ABSENT | PEP_STORES, publish },
	{ TYPE_SET, "retract", PEP_STORES, retract },
	{ TYPE_SET, "create", PEP_ANY_NODE | PEP_ABSENT | PEP_STORES, create },
	{ TYPE_SET, "subscribe", PEP_OTHERS | PEP_STORES, pep_subscribe },
	{ TYPE_SET, "unsubscribe", PEP_OTHERS | PEP_STORES, pep_unsubscribe },
	{ TYPE_GET, "items", PEP_OTHERS, items },
	{ TYPE_GET, "subscriptions", PEP_OTHERS | PEP_ANY_NODE | PEP_ABSENT,
	    pep_subscriptions },
	{ TYPE_GET, "affiliations", PEP_OTHERS | PEP_ANY_NODE | PEP_ABSENT,
	    pep_affiliations },
	{ 0 },
};

static enum stanza_error
pubsub(struct router *r, struct job *job, const struct xml *top)
{
	return pep_handle(r, job, top, verbs);
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT | AT_OTHER | AT_NOBODY, "{" NS_PUBSUB "}pubsub",
	    pubsub },
	{ TYPE_SET, AT_ACCOUNT | AT_OTHER | AT_NOBODY, "{" NS_PUBSUB "}pubsub",
	    pubsub },
	{ 0 },
};

const struct extension xep_0060 = { .number = "XEP-0060", .iqs = iqs };
