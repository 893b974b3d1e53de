/*
 * Users as XEP-0227 has them. A part ends where it has become large; messages
 * that come while a user is written are in it or not.
 *
 *   domain -> user: keys, roster, requests, items -> stored messages -> archive
 *     -> the next user -> the next domain
 */
#include "xmppd/user_export.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/cluster/store_item.h"
#include "xmppd/domains.h"
#include "xmppd/router/pep_node.h"

#define NS_PIE "urn:xmpp:pie:0"
#define NS_PUBSUB "http://jabber.org/protocol/pubsub"
#define PART_BYTES (128 * 1024)
#define AT_ONCE 64

enum { NEXT_USER, MESSAGES, MESSAGES_OPEN, ARCHIVE, ARCHIVE_OPEN };

/* What is written, and of whom. */
struct writing {
	struct user_export *x;
	struct store *store;
	struct buf *out;
};

/* ---- pieces ------------------------------------------------------------ */

static void
add_element(struct buf *b, const char *name, const char *text)
{
	buf_addf(b, "<%s>", name);
	xml_add_text(b, text);
	buf_addf(b, "</%s>", name);
}

/* A stanza as it travels, with its namespace declared. */
static void
add_stanza(struct buf *b, const void *bytes, size_t len)
{
	const char *text = bytes;
	size_t name = 1;

	while (name < len && strchr(" />", text[name]) == NULL)
		name++;
	buf_add(b, text, name);
	xml_add_attr(b, "xmlns", NS_CLIENT);
	buf_add(b, text + name, len - name);
}

static void
add_base64(struct buf *b, const char *name, const uint8_t *data, size_t len)
{
	char *text = crypto_base64(data, len);

	add_element(b, name, text);
	crypto_wipe_free(text);
}

static void
add_key(
    struct buf *b, const char *mechanism, const struct scram_key *k, size_t len)
{
	if (k->iterations == 0)
		return;
	buf_addf(b,
	    "<scram-credentials xmlns='" NS_PIE "#scram'"
	    " mechanism='%s'><iter-count>%u</iter-count>",
	    mechanism, k->iterations);
	add_base64(b, "salt", k->salt, k->salt_len);
	add_base64(b, "server-key", k->server_key, len);
	add_base64(b, "stored-key", k->stored_key, len);
	buf_add_str(b, "</scram-credentials>\n");
}

static void
add_keys(const struct writing *w)
{
	struct scram_keys keys;

	if (store_account_keys(w->store, w->x->account, &keys) != RES_OK)
		return;
	add_key(w->out, "SCRAM-SHA-1", &keys.sha1, 20);
	add_key(w->out, "SCRAM-SHA-256", &keys.sha256, 32);
	crypto_wipe(&keys, sizeof(keys));
}

/* ---- the roster -------------------------------------------------------- */

static void
add_groups(struct buf *b, const char *groups)
{
	size_t len;

	for (; groups != NULL && *groups != '\0';
	     groups += len + (groups[len] == '\n')) {
		len = strcspn(groups, "\n");
		buf_add_str(b, "<group>");
		xml_add_escaped(b, groups, len);
		buf_add_str(b, "</group>");
	}
}

static void
add_contact(struct buf *b, const struct store_roster_item *it)
{
	static const char *const subscriptions[] = { "none", "to", "from",
		"both" };

	buf_add_str(b, "<item");
	xml_add_attr(b, "jid", it->contact);
	xml_add_attr(b, "name", it->name);
	xml_add_attr(b, "subscription",
	    subscriptions[(it->to ? 1 : 0) + (it->from ? 2 : 0)]);
	xml_add_attr(b, "ask", it->ask ? "subscribe" : NULL);
	xml_add_attr(b, "approved", it->approved ? "true" : NULL);
	buf_add_str(b, ">");
	add_groups(b, it->groups);
	buf_add_str(b, "</item>");
}

/* The roster, and the requests that wait for the user's approval. */
static void
add_roster(const struct writing *w)
{
	struct store_roster roster;

	store_roster(w->store, w->x->account, &roster);
	buf_add_str(w->out, "<query xmlns='" NS_ROSTER "'>");
	for (size_t i = 0; i < roster.count; i++)
		if (roster.items[i].visible)
			add_contact(w->out, &roster.items[i]);
	buf_add_str(w->out, "</query>\n");
	for (size_t i = 0; i < roster.count; i++) {
		const char *request = roster.items[i].request;

		if (!roster.items[i].pending_in || request == NULL)
			continue;
		add_stanza(w->out, request, strlen(request));
		buf_add_str(w->out, "\n");
	}
	store_roster_clear(&roster);
}

/* ---- items ------------------------------------------------------------- */

/* All that the user keeps here, in the order of spaces: less than the limit of
 * one user. */
struct kept {
	struct store_item *items;
	size_t count;
};

static void
kept_read(const struct writing *w, struct kept *k)
{
	struct store_item *some;
	size_t count;

	memset(k, 0, sizeof(*k));
	do {
		count = store_items_of(w->store, w->x->account,
		    k->count == 0 ? NULL : &k->items[k->count - 1], AT_ONCE,
		    &some);
		if (count > 0) {
			k->items = xrealloc(
			    k->items, (k->count + count) * sizeof(*k->items));
			memcpy(&k->items[k->count], some,
			    count * sizeof(*k->items));
		}
		free(some);
		k->count += count;
	} while (count == AT_ONCE);
}

/* The next item of a space, from *at on; NULL: there is none. */
static const struct store_item *
kept_next(const struct kept *k, uint8_t space, size_t *at)
{
	while (*at < k->count && k->items[*at].space != space)
		++*at;
	return *at < k->count ? &k->items[(*at)++] : NULL;
}

static void
add_private(struct buf *b, const struct kept *k)
{
	const struct store_item *it;
	size_t at = 0;

	buf_add_str(b, "<query xmlns='" NS_PRIVATE "'>");
	while ((it = kept_next(k, SPACE_PRIVATE, &at)) != NULL)
		buf_add(b, it->value.data, it->value.len);
	buf_add_str(b, "</query>\n");
}

static void
add_vcard(struct buf *b, const struct kept *k)
{
	const struct store_item *it;
	size_t at = 0;

	while ((it = kept_next(k, SPACE_VCARD, &at)) != NULL) {
		buf_add(b, it->value.data, it->value.len);
		buf_add_str(b, "\n");
	}
}

/* A list of blocked ones (XEP-0191) is a privacy list that denies them. */
static void
add_blocked(struct buf *b, const struct kept *k)
{
	const struct store_item *it;
	size_t at = 0, order = 0;

	while ((it = kept_next(k, SPACE_BLOCK, &at)) != NULL) {
		if (order == 0)
			buf_add_str(b,
			    "<query xmlns='jabber:iq:privacy'>"
			    "<default name='blocked'/><list name='blocked'>");
		buf_addf(
		    b, "<item type='jid' action='deny' order='%zu'", ++order);
		xml_add_attr(b, "value", it->id);
		buf_add_str(b, "/>");
	}
	if (order > 0)
		buf_addf(b,
		    "<item action='allow' order='%zu'/></list></query>\n",
		    order + 1);
}

static void
add_configured(struct buf *b, const struct store_item *node)
{
	struct node_config config;

	node_config_decode(&config, &node->value);
	buf_add_str(b, "<configure");
	xml_add_attr(b, "node", node->id);
	buf_add_str(b, ">");
	node_config_write(b, &config, "submit", NS_PUBSUB "#node_config");
	buf_add_str(b, "</configure>");
	node_config_clear(&config);
}

static void
add_published(const struct writing *w, const char *node)
{
	const struct store_node n = {
		.local = w->x->account, .space = SPACE_PEP, .node = node
	};
	struct store_item *items;
	size_t count = store_items(w->store, &n, &items);

	buf_add_str(w->out, "<items");
	xml_add_attr(w->out, "node", node);
	buf_add_str(w->out, ">");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(w->out, "<item");
		xml_add_attr(w->out, "id", items[i].id);
		buf_add_str(w->out, ">");
		buf_add(w->out, items[i].value.data, items[i].value.len);
		buf_add_str(w->out, "</item>");
	}
	buf_add_str(w->out, "</items>");
	store_items_clear(items, count);
}

static void
add_pep(const struct writing *w, const struct kept *k)
{
	const struct store_item *node;
	size_t at = 0;

	if (kept_next(k, SPACE_PEP_NODE, &at) == NULL)
		return;
	buf_add_str(w->out, "<pubsub xmlns='" NS_PUBSUB "#owner'>");
	for (at = 0; (node = kept_next(k, SPACE_PEP_NODE, &at)) != NULL;)
		add_configured(w->out, node);
	buf_add_str(w->out, "</pubsub>\n<pubsub xmlns='" NS_PUBSUB "'>");
	for (at = 0; (node = kept_next(k, SPACE_PEP_NODE, &at)) != NULL;)
		add_published(w, node->id);
	buf_add_str(w->out, "</pubsub>\n");
}

/* ---- messages ---------------------------------------------------------- */

static void
add_delay(struct buf *b, int64_t time, const char *from)
{
	char stamp[32];

	clock_stamp(time, stamp);
	buf_add_str(b, "<delay xmlns='" NS_DELAY "'");
	xml_add_attr(b, "from", from);
	xml_add_attr(b, "stamp", stamp);
	buf_add_str(b, "/>");
}

static void
add_stored(const struct writing *w, const struct store_row *row)
{
	struct buf delay = { 0 }, stamped = { 0 };

	add_delay(&delay, row->time, w->x->domain);
	stanza_insert(
	    &stamped, row->stanza.data, row->stanza.len, buf_str(&delay));
	add_stanza(w->out, stamped.data, stamped.len);
	buf_add_str(w->out, "\n");
	buf_clear(&delay);
	buf_clear(&stamped);
}

static void
messages_part(const struct writing *w)
{
	struct user_export *x = w->x;
	struct store_row rows[AT_ONCE];
	size_t count =
	    store_rows(w->store, x->account, x->after, rows, AT_ONCE);

	if (count > 0 && x->stage == MESSAGES) {
		buf_add_str(w->out, "<offline-messages>\n");
		x->stage = MESSAGES_OPEN;
	}
	for (size_t i = 0; i < count; i++) {
		add_stored(w, &rows[i]);
		x->after = rows[i].id;
		buf_clear(&rows[i].stanza);
	}
	if (count == AT_ONCE)
		return;
	if (x->stage == MESSAGES_OPEN)
		buf_add_str(w->out, "</offline-messages>\n");
	x->stage = ARCHIVE;
	x->after = 0;
}

static void
add_archived(const struct writing *w, const struct archive_row *row)
{
	char id[2 * ARCHIVE_UID + 1];

	crypto_hex(row->uid, ARCHIVE_UID, id);
	buf_addf(w->out,
	    "<result xmlns='urn:xmpp:mam:2' id='%s'>"
	    "<forwarded xmlns='urn:xmpp:forward:0'>",
	    id);
	add_delay(w->out, row->time / 1000, NULL);
	add_stanza(w->out, row->stanza.data, row->stanza.len);
	buf_add_str(w->out, "</forwarded></result>\n");
}

static void
archive_part(const struct writing *w)
{
	struct user_export *x = w->x;
	struct archive_page page = { .whole = true };
	struct archive_range range = { .max = AT_ONCE,
		.max_bytes = PART_BYTES };
	struct archive a;

	if (store_archive(w->store, x->account, &a)) {
		range.first = x->after > a.first ? x->after : a.first;
		range.next = a.next;
		store_archive_page(w->store, &a, &range, &page);
	}
	if (page.count > 0 && x->stage == ARCHIVE) {
		buf_add_str(w->out, "<archive xmlns='" NS_PIE "#mam'>\n");
		x->stage = ARCHIVE_OPEN;
	}
	for (size_t i = 0; i < page.count; i++) {
		add_archived(w, &page.rows[i]);
		x->after = page.rows[i].place + 1;
	}
	if (page.whole || page.count == 0) {
		if (x->stage == ARCHIVE_OPEN)
			buf_add_str(w->out, "</archive>\n");
		buf_add_str(w->out, "</user>\n");
		x->stage = NEXT_USER;
	}
	archive_page_clear(&page);
}

/* ---- users and domains ------------------------------------------------- */

static void
user_begin(const struct writing *w)
{
	struct user_export *x = w->x;
	size_t len = strcspn(x->account, "@");
	struct kept kept;

	buf_add_str(w->out, "<user");
	xml_add_attr_n(w->out, "name", x->account, len);
	buf_add_str(w->out, ">\n");
	add_keys(w);
	add_roster(w);
	kept_read(w, &kept);
	add_private(w->out, &kept);
	add_vcard(w->out, &kept);
	add_blocked(w->out, &kept);
	add_pep(w, &kept);
	store_items_clear(kept.items, kept.count);
	x->stage = MESSAGES;
	x->after = 0;
	x->users++;
}

static void
domain_begin(const struct writing *w, const char *domain)
{
	struct user_export *x = w->x;

	free(x->domain);
	x->domain = xstrdup(domain);
	free(x->account);
	x->account = NULL;
	buf_add_str(w->out, "<host");
	xml_add_attr(w->out, "jid", domain);
	buf_add_str(w->out, ">\n");
}

/* The domain after this one; NULL: it was the last. */
static const char *
domain_after(const char *at, const char *first, const struct domains *further)
{
	size_t i = 0;

	if (strcmp(at, first) != 0)
		while (i < domains_count(further) &&
		    strcmp(domains_at(further, i).name, at) <= 0)
			i++;
	return i < domains_count(further) ? domains_at(further, i).name : NULL;
}

/* The next user, or the next domain; false: there is nothing more. */
static bool
next_user(
    const struct writing *w, const char *first, const struct domains *further)
{
	struct user_export *x = w->x;
	const char *domain;
	char *account = store_account_after(w->store,
	    strcmp(x->domain, first) == 0 ? NULL : x->domain, x->account);

	if (account != NULL) {
		free(x->account);
		x->account = account;
		user_begin(w);
		return true;
	}
	buf_add_str(w->out, "</host>\n");
	domain = domain_after(x->domain, first, further);
	if (domain == NULL) {
		buf_add_str(w->out, "</server-data>\n");
		return false;
	}
	domain_begin(w, domain);
	return true;
}

bool
user_export_part(struct user_export *x, struct store *s, const char *domain,
    const struct domains *further, struct buf *out)
{
	const struct writing w = { x, s, out };

	if (x->domain == NULL) {
		buf_add_str(out,
		    "<?xml version='1.0' encoding='UTF-8'?>\n"
		    "<server-data xmlns='" NS_PIE "'>\n");
		domain_begin(&w, domain);
	}
	while (out->len < PART_BYTES) {
		if (x->stage == NEXT_USER) {
			if (!next_user(&w, domain, further))
				return false;
		} else if (x->stage == MESSAGES || x->stage == MESSAGES_OPEN) {
			messages_part(&w);
		} else {
			archive_part(&w);
		}
	}
	return true;
}

void
user_export_clear(struct user_export *x)
{
	free(x->domain);
	free(x->account);
	memset(x, 0, sizeof(*x));
}
