/*
 * Elements of XEP-0227 as commands of the store.
 *
 * An element is read as a stream would read it (xmlstream.h), so that what is
 * kept has the form of what came from a client, and the same limits hold.
 */
#include "xmppd/user_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/jid.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "common/xmlstream.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/cluster/store_item.h"
#include "xmppd/router/pep_node.h"

#define NS_PIE "urn:xmpp:pie:0"
#define NS_PUBSUB "http://jabber.org/protocol/pubsub"
#define NS_MAM "urn:xmpp:mam:2"
#define NS_FORWARD "urn:xmpp:forward:0"
#define ELEMENT_MAX (16 * 1024 * 1024)
#define ITERATIONS_MAX 10000000
#define OPS_MAX 64 /* of one effect */

/* ---- reading ----------------------------------------------------------- */

struct reading {
	struct buf bytes; /* of the element, as it travels */
	bool whole;
	char why[128];
};

static void
open_cb(void *arg, const struct xml_open *open)
{
	(void)arg;
	(void)open;
}

static void
stanza_cb(void *arg, const struct xml_stanza *s)
{
	struct reading *r = arg;

	buf_reset(&r->bytes);
	xml_stanza_write(&r->bytes, s, s->from, s->to, NULL);
	r->whole = true;
}

static void
close_cb(void *arg)
{
	(void)arg;
}

static void
error_cb(void *arg, enum stream_error error, const char *text)
{
	struct reading *r = arg;

	r->whole = false;
	snprintf(r->why, sizeof(r->why), "%s",
	    text != NULL ? text : stream_error_name(error));
}

/* The element as a tree, and its bytes; NULL: it is malformed. */
static struct xml *
element_read(struct reading *r, const char *text, size_t len)
{
	static const char head[] = "<stream:stream xmlns='" NS_CLIENT
				   "' xmlns:stream='" NS_STREAM "'>";
	static const struct xml_limits limits = { ELEMENT_MAX, 200, 200 };
	static const struct xmlstream_ops ops = { .open = open_cb,
		.stanza = stanza_cb,
		.close = close_cb,
		.error = error_cb };
	struct xmlstream *x = xmlstream_new(&limits, &ops, r);

	xmlstream_feed(x, (const uint8_t *)head, sizeof(head) - 1);
	xmlstream_feed(x, (const uint8_t *)text, len);
	xmlstream_free(x);
	return r->whole ? xml_parse((char *)r->bytes.data, r->bytes.len) : NULL;
}

/* ---- effects ----------------------------------------------------------- */

/* Operations that are to become commands. */
struct making {
	struct user_import *u;
	struct buf *commands;
	struct store_op ops[OPS_MAX];
	size_t count;
	struct error *e;
};

static void
command_add(struct buf *commands, struct buf *command)
{
	buf_add_u32(commands, (uint32_t)command->len);
	buf_add(commands, command->data, command->len);
	buf_wipe(command);
}

static void
op_clear(struct store_op *op)
{
	free(op->user);
	free(op->node);
	free(op->id);
	buf_clear(&op->stanza);
	store_roster_item_clear(&op->item);
}

static void
making_flush(struct making *m)
{
	struct store_effect effect = { .origin = m->u->origin };
	struct buf command = { 0 };

	if (m->count == 0)
		return;
	effect.num = effect.low = ++m->u->num;
	effect.ops = m->ops;
	effect.count = m->count;
	store_cmd_effect(&command, &effect);
	command_add(m->commands, &command);
	for (size_t i = 0; i < m->count; i++)
		op_clear(&m->ops[i]);
	m->count = 0;
}

static struct store_op *
op_new(struct making *m, uint8_t what)
{
	struct store_op *op;

	if (m->count == OPS_MAX)
		making_flush(m);
	op = &m->ops[m->count++];
	memset(op, 0, sizeof(*op));
	op->op = what;
	op->user = xstrdup(m->u->account);
	return op;
}

static struct store_op *
item_put(struct making *m, uint8_t space, const char *node, const char *id)
{
	struct store_op *op = op_new(m, EFFECT_ITEM_PUT);

	op->space = space;
	op->node = xstrdup(node);
	op->id = xstrdup(id);
	op->time = clock_unix();
	return op;
}

/* The prepared bare address in an attribute; NULL: there is none. */
static char *
bare_of(const char *text)
{
	struct jid jid;
	char *bare;

	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return NULL;
	bare = jid_bare(&jid);
	jid_clear(&jid);
	return bare;
}

static bool
is_true(const char *text)
{
	return text != NULL &&
	    (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

/* ---- rosters ----------------------------------------------------------- */

static char *
groups_of(const struct xml *item)
{
	const struct xml *g = xml_child(item, "group", NULL);
	struct buf b = { 0 };
	char *groups;

	for (; g != NULL; g = xml_next(g, "group", NULL)) {
		if (*g->text == '\0' || strchr(g->text, '\n') != NULL)
			continue;
		buf_add_str(&b, b.len > 0 ? "\n" : "");
		buf_add_str(&b, g->text);
	}
	groups = b.len > 0 ? xstrdup(buf_str(&b)) : NULL;
	buf_clear(&b);
	return groups;
}

static int
contact_take(struct making *m, const struct xml *item)
{
	const char *subscription = xml_attr(item, "subscription");
	const char *name = xml_attr(item, "name");
	char *contact = bare_of(xml_attr(item, "jid"));
	struct store_roster_item *it;

	if (contact == NULL)
		return error_set(m->e, RES_INVALID,
		    "a contact without an address: '%s'",
		    xml_attr(item, "jid") != NULL ? xml_attr(item, "jid") : "");
	it = &op_new(m, EFFECT_ROSTER)->item;
	it->contact = contact;
	it->name = name != NULL && *name != '\0' ? xstrdup(name) : NULL;
	it->groups = groups_of(item);
	it->visible = 1;
	if (subscription == NULL)
		subscription = "none";
	it->to = strcmp(subscription, "to") == 0 ||
	    strcmp(subscription, "both") == 0;
	it->from = strcmp(subscription, "from") == 0 ||
	    strcmp(subscription, "both") == 0;
	it->ask = xml_attr(item, "ask") != NULL && !it->to;
	it->approved = is_true(xml_attr(item, "approved"));
	return RES_OK;
}

static int
roster_take(struct making *m, const struct xml *query, const struct buf *bytes)
{
	const struct xml *item = xml_child(query, "item", NULL);
	int rc = RES_OK;

	(void)bytes;
	for (; rc == RES_OK && item != NULL;
	     item = xml_next(item, "item", NULL))
		rc = contact_take(m, item);
	return rc;
}

/* What the store has of a contact already. */
static void
contact_copy(
    struct making *m, const char *contact, struct store_roster_item *out)
{
	struct store_roster roster;

	store_roster(m->u->store, m->u->account, &roster);
	for (size_t i = 0; i < roster.count; i++)
		if (strcmp(roster.items[i].contact, contact) == 0)
			store_roster_item_copy(out, &roster.items[i]);
	store_roster_clear(&roster);
}

/* A request that waits for the user's approval. */
static int
request_take(
    struct making *m, const struct xml *presence, const struct buf *bytes)
{
	const char *type = xml_attr(presence, "type");
	char *from = bare_of(xml_attr(presence, "from"));
	struct store_roster_item *it;

	if (from == NULL || type == NULL || strcmp(type, "subscribe") != 0) {
		free(from);
		return error_set(m->e, RES_INVALID,
		    "a presence that is no request of somebody");
	}
	it = &op_new(m, EFFECT_ROSTER)->item;
	contact_copy(m, from, it);
	if (it->contact == NULL)
		it->contact = xstrdup(from);
	it->pending_in = 1;
	free(it->request);
	it->request = xstrndup((const char *)bytes->data, bytes->len);
	free(from);
	return RES_OK;
}

/* ---- items ------------------------------------------------------------- */

static int
private_take(struct making *m, const struct xml *query, const struct buf *bytes)
{
	const struct xml *x;
	struct store_op *op;
	char *node;

	(void)bytes;
	for (x = query->children; x != NULL; x = x->next) {
		xasprintf(&node, "{%s}%s", x->ns, x->name);
		op = item_put(m, SPACE_PRIVATE, node, "");
		xml_write_whole(&op->stanza, x);
		free(node);
	}
	return RES_OK;
}

static int
vcard_take(struct making *m, const struct xml *vcard, const struct buf *bytes)
{
	struct store_op *op = item_put(m, SPACE_VCARD, "", "");

	(void)bytes;
	xml_write_whole(&op->stanza, vcard);
	return RES_OK;
}

/* Of the default list, whom it denies altogether: that is what blocking has. */
static int
privacy_take(struct making *m, const struct xml *query, const struct buf *bytes)
{
	const struct xml *def = xml_child(query, "default", NULL), *list, *item;
	const char *name = def != NULL ? xml_attr(def, "name") : NULL;
	const char *type, *action;
	struct jid jid;

	(void)bytes;
	list = xml_child(query, "list", NULL);
	while (list != NULL && !str_equal(xml_attr(list, "name"), name))
		list = xml_next(list, "list", NULL);
	item =
	    list != NULL && name != NULL ? xml_child(list, "item", NULL) : NULL;
	for (; item != NULL; item = xml_next(item, "item", NULL)) {
		type = xml_attr(item, "type");
		action = xml_attr(item, "action");
		if (!str_equal(type, "jid") || !str_equal(action, "deny") ||
		    item->children != NULL || xml_attr(item, "value") == NULL ||
		    jid_parse(xml_attr(item, "value"),
			strlen(xml_attr(item, "value")), &jid) != 0)
			continue;
		item_put(m, SPACE_BLOCK, "", jid.full);
		jid_clear(&jid);
	}
	return RES_OK;
}

static int
nodes_take(struct making *m, const struct xml *pubsub, const struct buf *bytes)
{
	const struct xml *c = xml_child(pubsub, "configure", NULL), *form;
	struct node_config config;
	const char *node;

	(void)bytes;
	for (; c != NULL; c = xml_next(c, "configure", NULL)) {
		node = xml_attr(c, "node");
		form = xml_child(c, "x", "jabber:x:data");
		if (node == NULL)
			continue;
		node_config_init(&config);
		if (form != NULL)
			node_config_read(&config, form);
		node_config_encode(
		    &item_put(m, SPACE_PEP_NODE, "", node)->stanza, &config);
		node_config_clear(&config);
	}
	return RES_OK;
}

static int
published_take(
    struct making *m, const struct xml *pubsub, const struct buf *bytes)
{
	const struct xml *items = xml_child(pubsub, "items", NULL), *item;
	struct store_op *op;
	const char *node, *id;

	(void)bytes;
	for (; items != NULL; items = xml_next(items, "items", NULL)) {
		node = xml_attr(items, "node");
		item = node != NULL ? xml_child(items, "item", NULL) : NULL;
		for (; item != NULL; item = xml_next(item, "item", NULL)) {
			id = xml_attr(item, "id");
			if (id == NULL || item->children == NULL)
				continue;
			op = item_put(m, SPACE_PEP, node, id);
			op->keep = PEP_ITEMS_MAX;
			xml_write_whole(&op->stanza, item->children);
		}
	}
	return RES_OK;
}

/* ---- messages ---------------------------------------------------------- */

/* When it came in, in unix milliseconds: by the oldest <delay/>. */
static int64_t
delayed_since(const struct xml *x)
{
	const struct xml *delay = xml_child(x, "delay", NS_DELAY);
	int64_t since = clock_unix_ms(), time;

	for (; delay != NULL; delay = xml_next(delay, "delay", NS_DELAY))
		if (xml_attr(delay, "stamp") != NULL &&
		    clock_parse_ms(xml_attr(delay, "stamp"), &time) &&
		    time < since)
			since = time;
	return since;
}

/* The <delay/> of the other server goes: it is added when handing out. */
static void
undelayed(struct buf *b, struct xml *message)
{
	struct xml **at = &message->children;

	while (*at != NULL)
		if (strcmp((*at)->name, "delay") == 0 &&
		    strcmp((*at)->ns, NS_DELAY) == 0)
			*at = (*at)->next;
		else
			at = &(*at)->next;
	xml_write(b, message);
}

static int
message_take(
    struct making *m, const struct xml *message, const struct buf *bytes)
{
	struct xml *copy = xml_parse((const char *)bytes->data, bytes->len);
	struct store_op *op = op_new(m, EFFECT_STORE);

	op->time = delayed_since(message) / 1000;
	undelayed(&op->stanza, copy);
	xml_free(copy);
	return RES_OK;
}

/* The same id for the same message, if the document is imported again. */
static void
archive_uid(const struct making *m, const char *id, uint8_t uid[ARCHIVE_UID])
{
	uint8_t digest[32];
	char *name;

	xasprintf(&name, "%s\n%s", m->u->bare, id);
	crypto_sha256(name, strlen(name), digest);
	memcpy(uid, digest, ARCHIVE_UID);
	free(name);
}

/* The other side: whoever isn't the user. */
static struct text
archive_peer(const struct making *m, const struct xml *message)
{
	const char *from = xml_attr(message, "from");
	char *bare = bare_of(from);
	bool own = str_equal(bare, m->u->bare);

	free(bare);
	return text_of(own || from == NULL ? xml_attr(message, "to") : from);
}

static int
result_take(struct making *m, const struct xml *result, const struct buf *bytes)
{
	const struct xml *forwarded =
	    xml_child(result, "forwarded", NS_FORWARD);
	const struct xml *message =
	    forwarded != NULL ? xml_child(forwarded, "message", NULL) : NULL;
	const char *id = xml_attr(result, "id");
	struct archive_message a = { .count = 1 };
	struct buf command = { 0 }, stanza = { 0 };

	(void)bytes;
	if (message == NULL || id == NULL)
		return error_set(
		    m->e, RES_INVALID, "an archived message without an id");
	xml_write(&stanza, message);
	a.time = delayed_since(forwarded);
	a.stanza.data = (const char *)stanza.data;
	a.stanza.len = stanza.len;
	a.in[0].account = text_of(m->u->account);
	a.in[0].peer = archive_peer(m, message);
	archive_uid(m, id, a.in[0].uid);
	if (a.in[0].peer.data != NULL) {
		store_cmd_archive(&command, 0);
		store_cmd_archive_add(&command, &a);
		store_cmd_archive_end(&command);
		command_add(m->commands, &command);
	}
	buf_clear(&stanza);
	return RES_OK;
}

/* ---- keys -------------------------------------------------------------- */

/* Takes base64 of at least `min` and at most `max` bytes; how many, or 0. */
static size_t
bytes_of(
    const struct xml *x, const char *name, uint8_t *out, size_t min, size_t max)
{
	const char *text = xml_child_text(x, name);
	size_t len = 0;
	uint8_t *bytes = text == NULL ? NULL : crypto_unbase64(text, &len);

	if (bytes == NULL || len < min || len > max)
		len = 0;
	else
		memcpy(out, bytes, len);
	free(bytes);
	return len;
}

static int
keys_take(struct making *m, const struct xml *x, const struct buf *bytes)
{
	const char *mechanism = xml_attr(x, "mechanism");
	const char *count = xml_child_text(x, "iter-count");
	bool sha1 = str_equal(mechanism, "SCRAM-SHA-1");
	size_t len = sha1 ? 20 : 32;
	struct scram_key key = { 0 };
	struct scram_keys keys;
	struct buf command = { 0 };
	uint64_t iterations;

	(void)bytes;
	if (!sha1 && !str_equal(mechanism, "SCRAM-SHA-256"))
		return RES_NOT_FOUND;
	key.salt_len =
	    (uint8_t)bytes_of(x, "salt", key.salt, 1, sizeof(key.salt));
	if (key.salt_len == 0 || count == NULL ||
	    !str_to_u64(count, 1, ITERATIONS_MAX, &iterations) ||
	    bytes_of(x, "stored-key", key.stored_key, len, len) == 0 ||
	    bytes_of(x, "server-key", key.server_key, len, len) == 0 ||
	    store_account_keys(m->u->store, m->u->account, &keys) != RES_OK)
		return error_set(
		    m->e, RES_INVALID, "%s: keys that are none", mechanism);
	key.iterations = (uint32_t)iterations;
	*(sha1 ? &keys.sha1 : &keys.sha256) = key;
	store_cmd_account_passwd(&command, m->u->account, &keys);
	command_add(m->commands, &command);
	crypto_wipe(&keys, sizeof(keys));
	return RES_OK;
}

/* ---- all --------------------------------------------------------------- */

static const struct {
	const char *ns, *name;
	int (*take)(
	    struct making *m, const struct xml *x, const struct buf *bytes);
} elements[] = {
	{ NS_PIE "#scram", "scram-credentials", keys_take },
	{ NS_ROSTER, "query", roster_take },
	{ NS_CLIENT, "presence", request_take },
	{ NS_PRIVATE, "query", private_take },
	{ NS_VCARD, "vCard", vcard_take },
	{ "jabber:iq:privacy", "query", privacy_take },
	{ NS_PUBSUB "#owner", "pubsub", nodes_take },
	{ NS_PUBSUB, "pubsub", published_take },
	{ NS_CLIENT, "message", message_take },
	{ NS_MAM, "result", result_take },
};

static int
element_take(struct making *m, const struct xml *x, const struct buf *bytes)
{
	const char *ns = x->ns != NULL && *x->ns != '\0' ? x->ns : NS_CLIENT;

	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(elements[i].ns, ns) == 0 &&
		    strcmp(elements[i].name, x->name) == 0)
			return elements[i].take(m, x, bytes);
	return RES_NOT_FOUND;
}

int
user_import_element(struct user_import *u, const char *text, size_t len,
    struct buf *commands, char **name, struct error *e)
{
	struct making m = { .u = u, .commands = commands, .e = e };
	struct reading r = { 0 };
	struct xml *x = element_read(&r, text, len);
	int rc;

	*name = NULL;
	if (x == NULL)
		rc = error_set(e, RES_INVALID, "not XML as streams have it: %s",
		    r.why[0] != '\0' ? r.why : "not a whole element");
	else
		rc = element_take(&m, x, &r.bytes);
	if (rc == RES_OK)
		making_flush(&m);
	else if (x != NULL)
		xasprintf(name, "<%s xmlns='%s'/>", x->name, x->ns);
	for (size_t i = 0; i < m.count; i++)
		op_clear(&m.ops[i]);
	xml_free(x);
	buf_clear(&r.bytes);
	return rc;
}
