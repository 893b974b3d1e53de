/*
 * Bookmarks (XEP-0402), compatible with XEP-0048 (XEP-0402, 5): a room that one
 * client bookmarks in one way is seen by the others in the other.
 *
 *   private XML is got: made of the items, and of what else was stored with it
 *   private XML is set: rooms that are new or differ are published, those that
 *     are missing are retracted, in the same change
 *
 * What a newer client has put into an item (<extensions/>) stays there.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/bookmarks.h"

#define NODE_ROOMS "urn:xmpp:bookmarks:1"
#define NS_STORAGE "storage:bookmarks"
#define STORAGE "{" NS_STORAGE "}storage"

/* A room as both ways have it; borrowed from the element that it is read of. */
struct room {
	const char *name, *nick, *password;
	bool autojoin;
};

static struct room
room_read(const struct xml *conference)
{
	const char *autojoin = xml_attr(conference, "autojoin");

	return (struct room){ .name = xml_attr(conference, "name"),
		.nick = xml_child_text(conference, "nick"),
		.password = xml_child_text(conference, "password"),
		.autojoin =
		    str_equal(autojoin, "true") || str_equal(autojoin, "1") };
}

static bool
room_equal(const struct room *a, const struct room *b)
{
	return str_equal(a->name, b->name) && str_equal(a->nick, b->nick) &&
	    str_equal(a->password, b->password) && a->autojoin == b->autojoin;
}

static void
add_child(struct buf *b, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_addf(b, "<%s>", name);
	xml_add_text(b, text);
	buf_addf(b, "</%s>", name);
}

static void
room_write(struct buf *b, const struct room *room, const char *ns,
    const char *jid, const struct xml *extensions)
{
	buf_add_str(b, "<conference");
	xml_add_attr(b, "xmlns", ns);
	xml_add_attr(b, "jid", jid);
	xml_add_attr(b, "name", room->name);
	xml_add_attr(b, "autojoin", room->autojoin ? "true" : "false");
	buf_add_str(b, ">");
	add_child(b, "nick", room->nick);
	add_child(b, "password", room->password);
	if (extensions != NULL)
		xml_write_whole(b, extensions);
	buf_add_str(b, "</conference>");
}

/* ---- got --------------------------------------------------------------- */

bool
bookmarks_are(const struct xml *element)
{
	return strcmp(element->name, "storage") == 0 &&
	    strcmp(element->ns, NS_STORAGE) == 0;
}

/* What else was stored: bookmarks of web pages. */
static void
write_others(struct router *r, const char *account, struct buf *b)
{
	const struct store_node n = {
		.local = account, .space = SPACE_PRIVATE, .node = STORAGE
	};
	struct store_item item;
	struct xml *x = NULL;

	if (store_item(r->env.store, &n, "", &item))
		x = xml_parse((char *)item.value.data, item.value.len);
	store_item_clear(&item);
	for (struct xml *c = x == NULL ? NULL : x->children; c != NULL;
	     c = c->next)
		if (strcmp(c->name, "conference") != 0)
			xml_write_whole(b, c);
	xml_free(x);
}

bool
bookmarks_read(struct router *r, const struct address *owner, struct buf *b)
{
	struct store_node items;
	struct store_item *list;
	struct pep_node n;
	size_t count;

	pep_node_open(&n, r, owner, NODE_ROOMS);
	if (!n.exists) {
		pep_node_close(&n);
		return false;
	}
	items = pep_items(&n);
	count = store_items(r->env.store, &items, &list);
	buf_add_str(b, "<storage xmlns='" NS_STORAGE "'>");
	for (size_t i = 0; i < count; i++) {
		struct xml *x =
		    xml_parse((char *)list[i].value.data, list[i].value.len);
		struct room room;

		if (x != NULL) {
			room = room_read(x);
			room_write(b, &room, NULL, list[i].id, NULL);
		}
		xml_free(x);
	}
	write_others(r, n.account, b);
	buf_add_str(b, "</storage>");
	store_items_clear(list, count);
	pep_node_close(&n);
	return true;
}

/* ---- set --------------------------------------------------------------- */

/* The rooms' prepared address; NULL: it has none. The caller frees. */
static char *
room_jid(const struct xml *conference)
{
	const char *text = xml_attr(conference, "jid");
	char *bare = NULL;
	struct jid jid;

	if (text != NULL && jid_parse(text, strlen(text), &jid) == 0) {
		bare = jid_bare(&jid);
		jid_clear(&jid);
	}
	return bare;
}

/* A new node is as XEP-0402, 3.2, has it: for its owner only. */
static void
put_node(struct pep_node *n, struct change *c)
{
	static const struct {
		enum node_option option;
		const char *value;
	} rows[] = {
		{ NODE_ACCESS, "whitelist" },
		{ NODE_MAX_ITEMS, "max" },
		{ NODE_SEND_LAST, "never" },
	};
	const struct store_node nodes = {
		.local = n->account, .space = SPACE_PEP_NODE, .node = ""
	};

	if (n->exists)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		free(n->config.value[rows[i].option]);
		n->config.value[rows[i].option] = xstrdup(rows[i].value);
	}
	node_config_encode(
	    &change_put(n->r, c, &nodes, n->name)->stanza, &n->config);
}

/* Publishes a room if it isn't so already; the event is noted. */
static void
put_room(struct pep_node *n, const struct xml *conference, const char *jid,
    struct change *c, struct buf *event)
{
	const struct store_node items = pep_items(n);
	struct room room = room_read(conference), was;
	struct buf payload = { 0 };
	struct store_item item;
	struct xml *old = NULL;
	struct store_op *op;

	if (store_item(n->r->env.store, &items, jid, &item))
		old = xml_parse((char *)item.value.data, item.value.len);
	store_item_clear(&item);
	if (old != NULL)
		was = room_read(old);
	if (old == NULL || !room_equal(&room, &was)) {
		room_write(&payload, &room, NODE_ROOMS, NULL,
		    old == NULL ? NULL : xml_child(old, "extensions", NULL));
		op = change_put(n->r, c, &items, jid);
		op->keep = node_config_keep(&n->config);
		buf_add(&op->stanza, payload.data, payload.len);
		pep_add_item(event, jid, &payload);
	}
	buf_clear(&payload);
	xml_free(old);
}

static bool
has_room(const struct xml *element, const char *id)
{
	const struct xml *x = xml_child(element, "conference", NS_STORAGE);
	bool has = false;
	char *jid;

	for (; x != NULL && !has; x = xml_next(x, "conference", NS_STORAGE)) {
		jid = room_jid(x);
		has = str_equal(jid, id);
		free(jid);
	}
	return has;
}

static void
retract_missing(struct pep_node *n, const struct xml *element, struct change *c,
    struct buf *event)
{
	struct store_node items = pep_items(n);
	struct store_item *list;
	size_t count;

	items.no_values = true;
	count = store_items(n->r->env.store, &items, &list);
	for (size_t i = 0; i < count; i++) {
		if (has_room(element, list[i].id))
			continue;
		change_del(c, &items, list[i].id);
		buf_add_str(event, "<retract");
		xml_add_attr(event, "id", list[i].id);
		buf_add_str(event, "/>");
	}
	store_items_clear(list, count);
}

void
bookmarks_put(struct router *r, struct job *job, const struct xml *element,
    struct change *c)
{
	const struct xml *x = xml_child(element, "conference", NS_STORAGE);
	struct buf event = { 0 };
	struct pep_node n;
	char *jid;

	pep_node_open(&n, r, &job->to, NODE_ROOMS);
	put_node(&n, c);
	for (; x != NULL; x = xml_next(x, "conference", NS_STORAGE)) {
		jid = room_jid(x);
		if (jid != NULL)
			put_room(&n, x, jid, c, &event);
		free(jid);
	}
	retract_missing(&n, element, c, &event);
	if (event.len > 0 && job->memo == NULL)
		job->memo = bytes_new(event.data, event.len);
	pep_node_close(&n);
	buf_clear(&event);
}

/* Only the leader that proposed it knows what has changed; under another one
 * other clients see it when they ask. */
void
bookmarks_notify(struct router *r, struct job *job)
{
	struct buf inner = { 0 };
	struct pep_node n;

	if (job->memo == NULL)
		return;
	pep_node_open(&n, r, &job->to, NODE_ROOMS);
	buf_add_str(&inner, "<items node='" NODE_ROOMS "'>");
	buf_add(&inner, job->memo->data, job->memo->len);
	buf_add_str(&inner, "</items>");
	pep_notify(&n, job, &inner, 1);
	pep_node_close(&n);
	buf_clear(&inner);
}

static const char *const features[] = { NODE_ROOMS "#compat", NULL };

const struct extension xep_0402 = {
	.number = "XEP-0402",
	.account_features = features,
};
