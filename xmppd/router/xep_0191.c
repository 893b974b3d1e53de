/*
 * Blocking (XEP-0191): whom a user wants to hear nothing of.
 *
 *   list -> the session is one that is pushed what changes
 *   block, unblock -> stored -> answered; pushed; contacts who may see the
 *     user's presence see it go, or come back
 *   a stanza from or to somebody blocked is stopped where it is routed
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/xmalloc.h"
#include "xmppd/router/blocking.h"
#include "xmppd/router/iq_store.h"
#include "xmppd/router/tell.h"

#define NS_BLOCKING_ERRORS "urn:xmpp:blocking:errors"
#define ITEMS_MAX 1000 /* of one request */
#define LIST_MAX 10000

/* ---- lists ------------------------------------------------------------- */

static void
forget(struct user *u)
{
	char *jid;
	size_t at = 0;

	while ((jid = map_next(&u->blocks, &at)) != NULL)
		free(jid);
	map_clear(&u->blocks);
	u->blocks_read = false;
}

static void
list_read(struct router *r, struct user *u)
{
	const struct store_node n = { .local = u->local,
		.space = SPACE_BLOCK,
		.node = "",
		.no_values = true };
	struct store_item *items;
	size_t count = store_items(r->env.store, &n, &items);

	u->blocks_read = true;
	for (size_t i = 0; i < count; i++) {
		map_put_str(&u->blocks, items[i].id, items[i].id);
		items[i].id = NULL;
	}
	store_items_clear(items, count);
}

/* Whether a JID is on the list of an account. */
struct list {
	struct router *r;
	const struct user *user; /* NULL: it is only in the store */
	struct store_node node;
};

static bool
list_has(const struct list *l, struct text jid)
{
	char *id;
	bool has;

	if (l->user != NULL)
		return map_find(&l->user->blocks, jid.data, jid.len) != NULL;
	id = text_dup(jid);
	has = store_item(l->r->env.store, &l->node, id, NULL);
	free(id);
	return has;
}

/* XEP-0191, 2 (JID matching). */
static bool
list_matches(const struct list *l, const struct address *who)
{
	struct text resource;
	char *jid;
	bool has;

	if (list_has(l, who->bare) || list_has(l, who->domain))
		return true;
	if (who->resource.data == NULL)
		return false;
	if (list_has(l, who->full))
		return true;
	xasprintf(&jid, "%.*s/%.*s", (int)who->domain.len, who->domain.data,
	    (int)who->resource.len, who->resource.data);
	resource = text_of(jid);
	has = list_has(l, resource);
	free(jid);
	return has;
}

/* Of somebody who isn't here. */
static bool
stored_blocks(
    struct router *r, const struct address *owner, const struct address *who)
{
	char *account = text_dup(owner->local);
	struct list l = { r, NULL, { .local = account, .space = SPACE_BLOCK } };
	bool blocks;

	l.node.node = "";
	blocks = store_item_any(r->env.store, account, SPACE_BLOCK) &&
	    list_matches(&l, who);
	free(account);
	return blocks;
}

bool
blocking_blocks(
    struct router *r, const struct address *owner, const struct address *who)
{
	struct user *u;
	struct list l = { .r = r };

	if (owner->kind != ADDRESS_USER || text_equal(owner->bare, who->bare))
		return false;
	u = user_find(r, owner->bare);
	if (u == NULL)
		return stored_blocks(r, owner, who);
	if (!u->blocks_read)
		list_read(r, u);
	l.user = u;
	return u->blocks.count > 0 && list_matches(&l, who);
}

bool
blocking_between(
    struct router *r, const struct address *a, const struct address *b)
{
	return blocking_blocks(r, a, b) || blocking_blocks(r, b, a);
}

bool
blocking_between_online(
    struct router *r, const struct address *a, const struct address *b)
{
	return (user_find(r, a->bare) != NULL && blocking_blocks(r, a, b)) ||
	    (user_find(r, b->bare) != NULL && blocking_blocks(r, b, a));
}

static void
item_changed(struct router *r, const struct store_op *op)
{
	struct user *u;

	if (op->space != SPACE_BLOCK)
		return;
	u = user_find_account(r, op->user);
	if (u != NULL)
		forget(u);
}

/* ---- what is stopped --------------------------------------------------- */

static bool
bounce_blocked(struct router *r, struct job *job)
{
	struct buf error = { 0 };
	bool done;

	buf_add_str(&error,
	    "<error type='cancel'>"
	    "<not-acceptable xmlns='" NS_STANZA_ERRORS "'/>"
	    "<blocked xmlns='" NS_BLOCKING_ERRORS "'/></error>");
	done = bounce_error(r, job, &error);
	buf_clear(&error);
	return done;
}

/* XEP-0191, 3.3: what becomes of a stanza to somebody that one has blocked
 * oneself, and of one from somebody who is blocked. */
bool
blocking_stops(struct router *r, struct job *job, bool *done)
{
	struct address from;

	address_read(r, job->f.from, &from);
	if (job->f.session_kind == SESSION_CLIENT &&
	    blocking_blocks(r, &from, &job->to)) {
		*done = bounce_blocked(r, job);
		return true;
	}
	/* What the sender asks for is in its own roster nevertheless. */
	if (job->f.kind == FRAME_PRESENCE && job->f.type >= TYPE_SUBSCRIBE &&
	    job->f.type <= TYPE_UNSUBSCRIBED)
		return false;
	if (!blocking_blocks(r, &job->to, &from))
		return false;
	*done = job->f.kind == FRAME_PRESENCE ||
	    bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
	return true;
}

/* ---- requests ---------------------------------------------------------- */

static enum stanza_error
list_get(struct router *r, struct job *job, const struct xml *blocklist)
{
	struct login *s = login_find(r, &job->f.sid);
	struct buf b = { 0 };
	const char *jid;
	size_t at = 0;

	(void)blocklist;
	if (!login_is_there(s))
		return 0;
	if (!login_want(r, job, WANTS_BLOCKS, 0))
		return IQ_WAITS;
	if (!s->user->blocks_read)
		list_read(r, s->user);
	buf_add_str(&b, "<blocklist xmlns='" NS_BLOCKING "'>");
	while ((jid = map_next(&s->user->blocks, &at)) != NULL) {
		buf_add_str(&b, "<item");
		xml_add_attr(&b, "jid", jid);
		buf_add_str(&b, "/>");
	}
	buf_add_str(&b, "</blocklist>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

/* The addresses of a request, prepared; freed by jids_clear(). */
struct jids {
	struct jid *list;
	size_t count;
};

static void
jids_clear(struct jids *jids)
{
	for (size_t i = 0; i < jids->count; i++)
		jid_clear(&jids->list[i]);
	free(jids->list);
	*jids = (struct jids){ 0 };
}

static enum stanza_error
jids_read(const struct xml *request, struct jids *jids)
{
	const struct xml *item = xml_child(request, "item", NS_BLOCKING);

	jids->list = xcalloc(ITEMS_MAX, sizeof(*jids->list));
	for (; item != NULL; item = xml_next(item, "item", NS_BLOCKING)) {
		const char *jid = xml_attr(item, "jid");

		if (jid == NULL)
			return STANZA_BAD_REQUEST;
		if (jids->count == ITEMS_MAX)
			return STANZA_NOT_ACCEPTABLE;
		if (jid_parse(jid, strlen(jid), &jids->list[jids->count]) != 0)
			return STANZA_JID_MALFORMED;
		jids->count++;
	}
	return 0;
}

/* Pushes the request itself to all sessions that have asked for the list. */
static void
push(struct router *r, struct job *job, const struct user *u, bool block,
    const struct jids *jids)
{
	const struct dkey key = dkey_numbered(job, DKEY_TOLD, 1);
	const char *name = block ? "block" : "unblock";
	struct buf b = { 0 };
	struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!login_is_there(s) || !(s->wants & WANTS_BLOCKS))
			continue;
		buf_reset(&b);
		buf_addf(&b, "<iq type='set' id='push-%llu'",
		    (unsigned long long)job->f.num);
		xml_add_attr(&b, "to", s->full);
		buf_addf(&b, "><%s xmlns='" NS_BLOCKING "'>", name);
		for (size_t i = 0; i < jids->count; i++) {
			buf_add_str(&b, "<item");
			xml_add_attr(&b, "jid", jids->list[i].full);
			buf_add_str(&b, "/>");
		}
		buf_addf(&b, "</%s></iq>", name);
		tell(r, job, s, &key, &b);
	}
	buf_clear(&b);
}

/* The address that presence goes to or not because of an entry, if that is
 * about a contact; false if it isn't. */
static bool
concerns(struct router *r, const struct jid *jid, const char *contact,
    struct address *to)
{
	struct address blocked;

	address_read(r, text_of(contact), to);
	address_read(r, text_of(jid->full), &blocked);
	if (text_equal(blocked.bare, to->bare)) {
		*to = blocked;
		return true;
	}
	return blocked.resource.data == NULL &&
	    text_equal(blocked.full, to->domain);
}

static void
show_contact(struct router *r, struct job *job, const struct user *u,
    const struct address *to, bool hide)
{
	const struct login *s;
	struct address own;

	address_read(r, text_of(u->bare), &own);
	if (blocking_blocks(r, to, &own) ||
	    (!hide && blocking_blocks(r, &own, to)))
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			tell_presence(r, job, s, to, hide);
}

/* XEP-0191, 3.3 and 3.4: the contacts who may see the user's presence see it
 * go or come. Without addresses: all that were blocked may have come back. */
static void
show(struct router *r, struct job *job, struct user *u, bool hide,
    const struct jids *jids)
{
	const struct contact *c;
	struct address to;

	TAILQ_FOREACH(c, roster_contacts(r, u), next) {
		if (!c->item.from)
			continue;
		address_read(r, text_of(c->item.contact), &to);
		if (jids->count == 0)
			show_contact(r, job, u, &to, hide);
		for (size_t i = 0; i < jids->count; i++)
			if (concerns(r, &jids->list[i], c->item.contact, &to))
				show_contact(r, job, u, &to, hide);
	}
}

static void
changed(struct router *r, struct job *job, bool block, const struct jids *jids)
{
	struct user *u = user_find(r, job->to.bare);

	reply_iq(r, job, NULL, 0);
	if (u == NULL)
		return;
	push(r, job, u, block, jids);
	show(r, job, u, block, jids);
}

static enum stanza_error
propose(struct router *r, struct job *job, bool block, const struct jids *jids)
{
	struct store_node n = { .space = SPACE_BLOCK, .node = "" };
	struct change change = { 0 };
	char *account = text_dup(job->to.local);

	n.local = account;
	if (block &&
	    store_item_count(r->env.store, &n) + jids->count > LIST_MAX) {
		free(account);
		return STANZA_RESOURCE_CONSTRAINT;
	}
	for (size_t i = 0; i < jids->count; i++)
		if (block)
			change_put(r, &change, &n, jids->list[i].full);
		else
			change_del(&change, &n, jids->list[i].full);
	if (jids->count == 0)
		change_del(&change, &n, NULL);
	free(account);
	return iq_store(r, job, &change);
}

static enum stanza_error
change_list(
    struct router *r, struct job *job, const struct xml *request, bool block)
{
	struct jids jids = { 0 };
	enum stanza_error e = jids_read(request, &jids);

	if (e == 0 && block && jids.count == 0)
		e = STANZA_BAD_REQUEST;
	if (e == 0 && iq_stored(r, job, &e))
		changed(r, job, block, &jids);
	else if (e == 0)
		e = propose(r, job, block, &jids);
	jids_clear(&jids);
	return e;
}

static enum stanza_error
block_set(struct router *r, struct job *job, const struct xml *block)
{
	return change_list(r, job, block, true);
}

static enum stanza_error
unblock_set(struct router *r, struct job *job, const struct xml *unblock)
{
	return change_list(r, job, unblock, false);
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, "{" NS_BLOCKING "}blocklist", list_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_BLOCKING "}block", block_set },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_BLOCKING "}unblock", unblock_set },
	{ 0 },
};
static const char *const features[] = { NS_BLOCKING, NULL };

const struct extension xep_0191 = {
	.number = "XEP-0191",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
	.item_changed = item_changed,
	.forget = forget,
};
