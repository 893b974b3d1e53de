/*
 * Nodes of accounts (XEP-0163): reading them, who may, and telling of them.
 *
 * Told are: the owner's sessions and those of contacts who may see the owner's
 * presence, if their clients want nodes of that name (caps.h); and who has
 * subscribed to the node itself. Nobody who may not read it.
 */
#include "xmppd/router/pep.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/blocking.h"
#include "xmppd/router/caps.h"
#include "xmppd/router/tell.h"

/* ---- nodes ------------------------------------------------------------- */

static struct store_node
part_of(const struct pep_node *n, uint8_t space, const char *node)
{
	return (struct store_node){
		.local = n->account, .space = space, .node = node
	};
}

struct store_node
pep_items(const struct pep_node *n)
{
	return part_of(n, SPACE_PEP, n->name);
}

void
pep_node_open(struct pep_node *n, struct router *r, const struct address *owner,
    const char *name)
{
	struct store_node nodes;
	struct store_item item;

	*n = (struct pep_node){ .r = r };
	n->account = text_dup(owner->local);
	n->bare = text_dup(owner->bare);
	n->name = name == NULL ? NULL : xstrdup(name);
	nodes = part_of(n, SPACE_PEP_NODE, "");
	n->exists =
	    name != NULL && store_item(r->env.store, &nodes, name, &item);
	if (!n->exists) {
		node_config_init(&n->config);
		return;
	}
	node_config_decode(&n->config, &item.value);
	store_item_clear(&item);
}

void
pep_node_close(struct pep_node *n)
{
	node_config_clear(&n->config);
	store_items_clear(n->who, n->who_count);
	free(n->account);
	free(n->bare);
	free(n->name);
	*n = (struct pep_node){ 0 };
}

/* ---- who --------------------------------------------------------------- */

static const struct buf *
who_find(struct pep_node *n, struct text jid)
{
	struct store_node who = part_of(n, SPACE_PEP_WHO, n->name);

	if (!n->who_read && n->exists)
		n->who_count = store_items(n->r->env.store, &who, &n->who);
	n->who_read = true;
	for (size_t i = 0; i < n->who_count; i++)
		if (text_is(jid, n->who[i].id))
			return &n->who[i].value;
	return NULL;
}

/* The word of a value that is one of these; "none" if there is none. */
static const char *
word_of(const struct buf *value, const char *const *words)
{
	for (; value != NULL && *words != NULL; words++)
		if (memmem(value->data, value->len, *words, strlen(*words)) !=
		    NULL)
			return *words;
	return "none";
}

const char *
pep_subscription(struct pep_node *n, struct text jid)
{
	static const char *const words[] = { "subscribed", "pending", NULL };

	return word_of(who_find(n, jid), words);
}

const char *
pep_affiliation(struct pep_node *n, struct text bare)
{
	static const char *const words[] = { "member", "outcast", NULL };

	if (text_is(bare, n->bare))
		return "owner";
	return word_of(who_find(n, bare), words);
}

void
pep_who_put(struct router *r, struct change *c, struct pep_node *n,
    const char *jid, const char *subscription, const char *affiliation)
{
	const struct store_node who = part_of(n, SPACE_PEP_WHO, n->name);

	if (str_equal(subscription, "none") && str_equal(affiliation, "none"))
		change_del(c, &who, jid);
	else
		buf_addf(&change_put(r, c, &who, jid)->stanza, "%s %s",
		    subscription, affiliation);
}

/* ---- access ------------------------------------------------------------ */

static const struct store_roster_item *
roster_item_of(struct pep_node *n, struct text bare)
{
	struct address owner;
	struct user *u;

	address_read(n->r, text_of(n->bare), &owner);
	u = user_get(n->r, &owner);
	user_touch(n->r, u);
	return roster_item(n->r, u, bare);
}

/* Whether a text with '\n' between its lines has this one. */
static bool
has_line(const char *lines, const char *line, size_t len)
{
	size_t size;

	for (; *lines != '\0'; lines += size + (lines[size] == '\n')) {
		size = strcspn(lines, "\n");
		if (size == len && memcmp(lines, line, len) == 0)
			return true;
	}
	return false;
}

static bool
in_groups(const struct store_roster_item *item, const char *allowed)
{
	const char *group = item == NULL ? NULL : item->groups;
	size_t len;

	for (; group != NULL && *group != '\0';
	     group += len + (group[len] == '\n')) {
		len = strcspn(group, "\n");
		if (has_line(allowed, group, len))
			return true;
	}
	return false;
}

/* XEP-0060, 6.5.9 and 4.5, for one who isn't the owner. */
static enum stanza_error
model_access(
    struct pep_node *n, const struct address *who, const char **condition)
{
	const char *model = n->config.value[NODE_ACCESS];
	const struct store_roster_item *item;

	if (strcmp(model, "open") == 0)
		return 0;
	if (strcmp(model, "whitelist") == 0) {
		*condition = "closed-node";
		return STANZA_NOT_ALLOWED;
	}
	if (strcmp(model, "authorize") == 0) {
		*condition = "not-subscribed";
		return STANZA_NOT_AUTHORIZED;
	}
	item = roster_item_of(n, who->bare);
	if (strcmp(model, "presence") == 0) {
		*condition = "presence-subscription-required";
		return item != NULL && item->from ? 0 : STANZA_NOT_AUTHORIZED;
	}
	*condition = "not-in-roster-group";
	return in_groups(item, n->config.value[NODE_ROSTER_GROUPS])
	    ? 0
	    : STANZA_NOT_AUTHORIZED;
}

enum stanza_error
pep_access(
    struct pep_node *n, const struct address *who, const char **condition)
{
	const char *affiliation = pep_affiliation(n, who->bare);

	*condition = NULL;
	if (strcmp(affiliation, "outcast") == 0)
		return STANZA_FORBIDDEN;
	if (strcmp(affiliation, "none") != 0 ||
	    (node_config_is(&n->config, NODE_ACCESS, "authorize") &&
		(str_equal(pep_subscription(n, who->bare), "subscribed") ||
		    str_equal(pep_subscription(n, who->full), "subscribed"))))
		return 0;
	return model_access(n, who, condition);
}

/* ---- what is said ------------------------------------------------------ */

void
pep_add_item(struct buf *b, const char *id, const struct buf *payload)
{
	buf_add_str(b, "<item");
	xml_add_attr(b, "id", id);
	buf_add_str(b, ">");
	if (payload != NULL)
		buf_add(b, payload->data, payload->len);
	buf_add_str(b, "</item>");
}

static void
add_message(struct buf *b, const struct pep_node *n, const char *to,
    const struct buf *inner)
{
	buf_add_str(b, "<message");
	if (node_config_is(&n->config, NODE_NOTIFICATION_TYPE, "headline"))
		xml_add_attr(b, "type", "headline");
	xml_add_attr(b, "from", n->bare);
	xml_add_attr(b, "to", to);
	buf_add_str(b, "><event xmlns='" NS_PUBSUB_EVENT "'>");
	buf_add(b, inner->data, inner->len);
	buf_add_str(b, "</event>");
}

/* Who is told of something. */
struct notice {
	struct pep_node *node;
	struct job *job;
	struct dkey key;
	const struct buf *inner;
	struct address owner;
};

static void
notify_session(const struct notice *w, struct login *s, const char *to)
{
	struct buf b = { 0 };

	add_message(&b, w->node, to, w->inner);
	buf_add_str(&b, "</message>");
	tell(w->node->r, w->job, s, &w->key, &b);
	buf_clear(&b);
}

/* The sessions of somebody who sees the owner's presence. */
static void
notify_interested(const struct notice *w, const struct user *u)
{
	struct router *r = w->node->r;
	const char *condition;
	struct address who;
	struct login *s;

	if (u == NULL || u->local == NULL)
		return;
	address_read(r, text_of(u->bare), &who);
	if (blocking_between_online(r, &w->owner, &who) ||
	    pep_access(w->node, &who, &condition) != 0)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s) && caps_wants(r, s, w->node->name))
			notify_session(w, s, s->full);
}

static void
notify_contacts(const struct notice *w)
{
	struct router *r = w->node->r;
	struct user *u = user_find(r, w->owner.bare);
	const struct contact *c;

	if (u == NULL)
		return;
	notify_interested(w, u);
	TAILQ_FOREACH(c, roster_contacts(r, u), next)
		if (c->item.from)
			notify_interested(
			    w, user_find(r, text_of(c->item.contact)));
}

/* XEP-0163, 4.3.2: to the very JID that was subscribed; for a bare one to
 * those who are available. */
static void
notify_subscriber(const struct notice *w, const char *jid)
{
	struct router *r = w->node->r;
	const char *condition;
	struct address to;
	struct login *s;
	struct user *u;

	address_read(r, text_of(jid), &to);
	if (blocking_between_online(r, &w->owner, &to) ||
	    pep_access(w->node, &to, &condition) != 0)
		return;
	if (to.kind == ADDRESS_COMPONENT) {
		s = component_session(r, to.domain);
		if (s != NULL)
			notify_session(w, s, jid);
		return;
	}
	u = user_find(r, to.bare);
	if (u == NULL)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s) &&
		    (to.resource.data == NULL || text_is(to.full, s->full)))
			notify_session(w, s, s->full);
}

void
pep_notify(struct pep_node *n, struct job *job, const struct buf *inner,
    uint64_t number)
{
	struct notice w = { .node = n, .job = job, .inner = inner };

	w.key = dkey_numbered(job, DKEY_TOLD, number);
	address_read(n->r, text_of(n->bare), &w.owner);
	notify_contacts(&w);
	pep_subscription(n, text_of(n->bare)); /* so that they are read */
	for (size_t i = 0; i < n->who_count; i++)
		if (str_equal(pep_subscription(n, text_of(n->who[i].id)),
			"subscribed"))
			notify_subscriber(&w, n->who[i].id);
}

/* ---- the last item ----------------------------------------------------- */

static void
add_last(struct buf *b, const struct pep_node *n, const struct login *s,
    const struct store_item *item)
{
	struct buf inner = { 0 };
	char stamp[32];

	clock_stamp(item->time, stamp);
	buf_add_str(&inner, "<items");
	xml_add_attr(&inner, "node", n->name);
	buf_add_str(&inner, ">");
	pep_add_item(&inner, item->id,
	    node_config_on(&n->config, NODE_DELIVER_PAYLOADS) ? &item->value
							      : NULL);
	buf_add_str(&inner, "</items>");
	add_message(b, n, s->full, &inner);
	buf_addf(
	    b, "<delay xmlns='" NS_DELAY "' stamp='%s'/></message>", stamp);
	buf_clear(&inner);
}

void
pep_send_last(struct pep_node *n, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };
	struct store_node items = pep_items(n);
	struct store_item *last;
	struct buf b = { 0 };
	size_t count;

	items.max = 1;
	items.newest = true;
	count = store_items(n->r->env.store, &items, &last);
	if (count > 0) {
		add_last(&b, n, s, &last[0]);
		w.key = dkey_term(n->r);
		w.hold = bytes_new(b.data, b.len);
		w.payload.data = w.hold->data;
		w.payload.len = w.hold->len;
		session_deliver(n->r, &w);
		bytes_unref(w.hold);
	}
	store_items_clear(last, count);
	buf_clear(&b);
}

/* Whether a contact lets the user see its presence. */
static bool
shows_presence(struct router *r, const struct address *owner, struct text bare)
{
	struct user *u = user_get(r, owner);

	user_touch(r, u);
	return roster_allows(r, u, bare);
}

/* What a session wants of an account, if it may see that one's presence. Most
 * have no nodes, so that is asked first. */
static void
greet_from(struct router *r, struct login *s, const struct address *owner)
{
	const char *at = NULL, *condition;
	struct pep_node n;
	struct address who;
	struct text name;
	char *account = text_dup(owner->local);
	bool any = store_item_any(r->env.store, account, SPACE_PEP_NODE);

	free(account);
	address_read(r, text_of(s->full), &who);
	if (!any || !shows_presence(r, owner, who.bare) ||
	    blocking_between(r, owner, &who))
		return;
	while (caps_next(r, s, &at, &name)) {
		char *node = text_dup(name);

		pep_node_open(&n, r, owner, node);
		free(node);
		if (n.exists &&
		    node_config_is(
			&n.config, NODE_SEND_LAST, "on_sub_and_presence") &&
		    pep_access(&n, &who, &condition) == 0)
			pep_send_last(&n, s);
		pep_node_close(&n);
	}
}

/* XEP-0163, 4.3.4. */
void
pep_greet(struct router *r, struct login *s)
{
	const struct contact *c;
	struct address owner;
	const char *at = NULL;
	struct text name;

	if (!caps_next(r, s, &at, &name))
		return;
	address_read(r, text_of(s->user->bare), &owner);
	greet_from(r, s, &owner);
	TAILQ_FOREACH(c, roster_contacts(r, s->user), next) {
		address_read(r, text_of(c->item.contact), &owner);
		if (c->item.to && owner.kind == ADDRESS_USER)
			greet_from(r, s, &owner);
	}
}

void
pep_shown(
    struct router *r, const struct address *owner, const struct address *to)
{
	const struct user *u = user_find(r, to->bare);
	struct login *s;

	if (u == NULL || u->local == NULL || owner->kind != ADDRESS_USER)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			greet_from(r, s, owner);
}
