/*
 * Avatars between vCards and personal eventing (XEP-0398).
 *
 *   metadata published -> the picture of its data goes into the vCard
 *   vCard with another picture -> data and metadata are published
 *   presence of the user -> has the picture's hash in it
 *
 * A vCard is everybody's to read: so it is done only where the nodes are open.
 * The hash that presence gets is kept beside the vCard.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/avatar.h"

#define NODE_DATA "urn:xmpp:avatar:data"
#define NODE_METADATA "urn:xmpp:avatar:metadata"
#define NS_UPDATE "vcard-temp:x:update"
#define PHOTO_NODE "photo"

/* A picture: base64 without blanks, and the SHA-1 of what it stands for. */
struct picture {
	char *base64, *type;
	char hash[41];
	size_t bytes;
};

static void
picture_clear(struct picture *p)
{
	free(p->base64);
	free(p->type);
	*p = (struct picture){ 0 };
}

/* Reads one; false if it isn't base64, or there is nothing in it. */
static bool
picture_read(struct picture *p, const char *base64, const char *type)
{
	struct buf b = { 0 };
	uint8_t digest[20], *data;

	*p = (struct picture){ 0 };
	for (; base64 != NULL && *base64 != '\0'; base64++)
		if (strchr(" \t\r\n", *base64) == NULL)
			buf_add(&b, base64, 1);
	p->base64 = buf_steal_str(&b);
	data = crypto_unbase64(p->base64, &p->bytes);
	if (data == NULL || p->bytes == 0) {
		free(data);
		picture_clear(p);
		return false;
	}
	crypto_sha1(data, p->bytes, digest);
	crypto_hex(digest, sizeof(digest), p->hash);
	p->type = xstrdup(type == NULL || *type == '\0' ? "image/png" : type);
	free(data);
	return true;
}

/* ---- the vCard --------------------------------------------------------- */

static struct store_node
vcard_node(const char *account, const char *node)
{
	return (struct store_node){
		.local = account, .space = SPACE_VCARD, .node = node
	};
}

static void
write_vcard(struct buf *b, const struct xml *vcard, const struct picture *p)
{
	buf_add_str(b, "<vCard xmlns='" NS_VCARD "'>");
	for (const struct xml *x = vcard == NULL ? NULL : vcard->children;
	     x != NULL; x = x->next)
		if (strcmp(x->name, "PHOTO") != 0)
			xml_write(b, x);
	if (p != NULL) {
		buf_add_str(b, "<PHOTO><TYPE>");
		xml_add_text(b, p->type);
		buf_addf(b, "</TYPE><BINVAL>%s</BINVAL></PHOTO>", p->base64);
	}
	buf_add_str(b, "</vCard>");
}

/* The vCard that is stored, with this picture, or without any. */
static void
put_vcard(struct router *r, const char *account, const struct picture *p,
    struct change *c)
{
	const struct store_node n = vcard_node(account, "");
	struct xml *vcard = NULL;
	struct store_item old;

	if (store_item(r->env.store, &n, "", &old))
		vcard = xml_parse((char *)old.value.data, old.value.len);
	write_vcard(&change_put(r, c, &n, "")->stanza, vcard, p);
	xml_free(vcard);
	store_item_clear(&old);
}

static void
put_hash(struct router *r, const char *account, const struct picture *p,
    struct change *c)
{
	const struct store_node n = vcard_node(account, PHOTO_NODE);

	if (p != NULL)
		buf_add_str(&change_put(r, c, &n, "")->stanza, p->hash);
	else
		change_del(c, &n, "");
}

/* ---- from metadata to the vCard ---------------------------------------- */

static bool
is_open(struct router *r, const struct address *owner, const char *name)
{
	struct pep_node n;
	bool open;

	pep_node_open(&n, r, owner, name);
	open = n.exists && node_config_is(&n.config, NODE_ACCESS, "open");
	pep_node_close(&n);
	return open;
}

/* The picture that an <info/> is about, if it is stored and what it says. */
static bool
stored_picture(struct pep_node *n, const struct xml *info, struct picture *p)
{
	const struct store_node data = {
		.local = n->account, .space = SPACE_PEP, .node = NODE_DATA
	};
	const char *id = xml_attr(info, "id");
	struct store_item item;
	struct xml *x = NULL;
	bool there = false;

	if (id != NULL && store_item(n->r->env.store, &data, id, &item)) {
		x = xml_parse((char *)item.value.data, item.value.len);
		store_item_clear(&item);
	}
	if (x != NULL && picture_read(p, x->text, xml_attr(info, "type")))
		there = str_equal_nocase(p->hash, id);
	if (x != NULL && !there)
		picture_clear(p);
	xml_free(x);
	return there;
}

void
avatar_published(
    struct pep_node *n, const struct xml *payload, struct change *c)
{
	const struct xml *info;
	struct picture p = { 0 };
	struct address owner;

	address_read(n->r, text_of(n->bare), &owner);
	if (strcmp(n->name, NODE_METADATA) != 0 ||
	    !node_config_is(&n->config, NODE_ACCESS, "open") ||
	    !is_open(n->r, &owner, NODE_DATA))
		return;
	info = xml_child(payload, "info", NODE_METADATA);
	while (info != NULL && xml_attr(info, "url") != NULL)
		info = xml_next(info, "info", NODE_METADATA);
	if (info != NULL && !stored_picture(n, info, &p))
		return;
	put_vcard(n->r, n->account, info == NULL ? NULL : &p, c);
	put_hash(n->r, n->account, info == NULL ? NULL : &p, c);
	picture_clear(&p);
}

/* ---- from the vCard to the nodes --------------------------------------- */

static void
publish_at(struct pep_node *n, const char *id, const struct buf *payload,
    struct change *c)
{
	const struct store_node nodes = {
		.local = n->account, .space = SPACE_PEP_NODE, .node = ""
	};
	const struct store_node items = pep_items(n);
	struct store_op *op;

	if (!n->exists)
		node_config_encode(
		    &change_put(n->r, c, &nodes, n->name)->stanza, &n->config);
	op = change_put(n->r, c, &items, id);
	op->keep = node_config_keep(&n->config);
	buf_add(&op->stanza, payload->data, payload->len);
}

/* Opens a node that a picture may be published at: a new one is open. */
static bool
open_node(struct pep_node *n, struct router *r, const struct address *owner,
    const char *name)
{
	pep_node_open(n, r, owner, name);
	if (!n->exists) {
		free(n->config.value[NODE_ACCESS]);
		n->config.value[NODE_ACCESS] = xstrdup("open");
	}
	return node_config_is(&n->config, NODE_ACCESS, "open");
}

static void
publish_picture(struct router *r, const struct address *owner,
    const struct picture *p, struct change *c)
{
	struct pep_node data, metadata = { 0 };
	struct buf b = { 0 };

	if (open_node(&data, r, owner, NODE_DATA) &&
	    open_node(&metadata, r, owner, NODE_METADATA)) {
		buf_addf(
		    &b, "<data xmlns='" NODE_DATA "'>%s</data>", p->base64);
		publish_at(&data, p->hash, &b, c);
		buf_reset(&b);
		buf_addf(&b,
		    "<metadata xmlns='" NODE_METADATA
		    "'><info id='%s' bytes='%zu'",
		    p->hash, p->bytes);
		xml_add_attr(&b, "type", p->type);
		buf_add_str(&b, "/></metadata>");
		publish_at(&metadata, p->hash, &b, c);
	}
	pep_node_close(&metadata);
	pep_node_close(&data);
	buf_clear(&b);
}

/* XEP-0084, 4.2.3: an empty element says that there is none any more. */
static void
publish_none(struct router *r, const struct address *owner, struct change *c)
{
	static const char none[] = "<metadata xmlns='" NODE_METADATA "'/>";
	const struct buf payload = { (uint8_t *)(uintptr_t)none,
		sizeof(none) - 1, 0 };
	struct pep_node n;

	pep_node_open(&n, r, owner, NODE_METADATA);
	if (n.exists && node_config_is(&n.config, NODE_ACCESS, "open"))
		publish_at(&n, "none", &payload, c);
	pep_node_close(&n);
}

/* The hash that presence has now; NULL: none. The caller frees. */
static char *
read_hash(struct router *r, const char *account)
{
	const struct store_node n = vcard_node(account, PHOTO_NODE);
	struct store_item item;
	char *hash = NULL;

	if (store_item(r->env.store, &n, "", &item))
		hash = buf_steal_str(&item.value);
	store_item_clear(&item);
	return hash;
}

bool
avatar_from_vcard(struct router *r, const struct address *owner,
    const struct xml *vcard, struct change *c)
{
	const struct xml *photo = xml_child(vcard, "PHOTO", NULL);
	char *account = text_dup(owner->local);
	char *was = read_hash(r, account);
	struct picture p = { 0 };
	bool there = photo != NULL &&
	    picture_read(&p, xml_child_text(photo, "BINVAL"),
		xml_child_text(photo, "TYPE"));
	bool changes = there ? !str_equal(was, p.hash) : was != NULL;

	if (changes && there)
		publish_picture(r, owner, &p, c);
	else if (changes)
		publish_none(r, owner, c);
	if (changes)
		put_hash(r, account, there ? &p : NULL, c);
	picture_clear(&p);
	free(was);
	free(account);
	return changes;
}

void
avatar_notify(struct router *r, struct job *job)
{
	struct store_node items;
	struct store_item *last;
	struct pep_node n;
	struct buf b = { 0 };
	size_t count;

	pep_node_open(&n, r, &job->to, NODE_METADATA);
	items = pep_items(&n);
	items.newest = true;
	items.max = 1;
	count = store_items(r->env.store, &items, &last);
	if (count > 0) {
		buf_add_str(&b, "<items node='" NODE_METADATA "'>");
		pep_add_item(&b, last[0].id, &last[0].value);
		buf_add_str(&b, "</items>");
		pep_notify(&n, job, &b, 1);
	}
	store_items_clear(last, count);
	pep_node_close(&n);
	buf_clear(&b);
}

/* ---- presence ---------------------------------------------------------- */

static void
forget(struct user *u)
{
	free(u->photo);
	u->photo = NULL;
	u->photo_read = false;
}

static void
item_changed(struct router *r, const struct store_op *op)
{
	struct user *u;

	if (op->space != SPACE_VCARD)
		return;
	u = user_find_account(r, op->user);
	if (u != NULL)
		forget(u);
}

/* Takes the update elements out of a presence; false if one says that there
 * is no avatar (XEP-0398, 4), which then stays. */
static bool
take_updates_out(struct xml *presence)
{
	struct xml **at = &presence->children, *x;
	const struct xml *photo;

	while ((x = *at) != NULL) {
		if (strcmp(x->name, "x") != 0 ||
		    strcmp(x->ns, NS_UPDATE) != 0) {
			at = &x->next;
			continue;
		}
		photo = xml_child(x, "photo", NS_UPDATE);
		if (photo != NULL && *photo->text == '\0')
			return false;
		*at = x->next;
	}
	return true;
}

/* The presence with this hash in it; NULL: as it is. */
static struct bytes *
with_hash(struct text presence, const char *hash)
{
	struct xml *x = xml_parse(presence.data, presence.len);
	struct buf b = { 0 }, update = { 0 }, out = { 0 };
	struct bytes *bytes = NULL;

	if (x != NULL && take_updates_out(x)) {
		xml_write(&b, x);
		buf_addf(&update,
		    "<x xmlns='" NS_UPDATE "'><photo>%s</photo></x>", hash);
		stanza_insert(&out, b.data, b.len, buf_str(&update));
		bytes = bytes_new(out.data, out.len);
	}
	buf_clear(&b);
	buf_clear(&update);
	buf_clear(&out);
	xml_free(x);
	return bytes;
}

void
avatar_stamp(struct router *r, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);
	struct user *u = s == NULL ? NULL : s->user;

	if (u == NULL || u->local == NULL || job->memo != NULL)
		return;
	if (!u->photo_read) {
		u->photo = read_hash(r, u->local);
		u->photo_read = true;
	}
	if (u->photo == NULL)
		return;
	job->memo = with_hash(job->f.payload, u->photo);
	if (job->memo == NULL)
		return;
	job->f.payload.data = job->memo->data;
	job->f.payload.len = job->memo->len;
}

static const char *const features[] = { "urn:xmpp:pep-vcard-conversion:0",
	NULL };

const struct extension xep_0398 = {
	.number = "XEP-0398",
	.account_features = features,
	.item_changed = item_changed,
	.forget = forget,
};
