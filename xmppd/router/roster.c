/*
 * Rosters (RFC 6121, 2): kept in memory while their user is known, in step with
 * the store; as XML; pushed to the sessions that are interested.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/extension.h"

struct roster {
	struct map by_jid;            /* struct contact */
	struct contact_list contacts; /* in the order of the store, then of
					 being added */
	size_t count;
	uint64_t version;
};

/* ---- in memory --------------------------------------------------------- */

static void
contact_add(struct roster *roster, const struct store_roster_item *item)
{
	struct contact *c = xcalloc(1, sizeof(*c));

	store_roster_item_copy(&c->item, item);
	map_put_str(&roster->by_jid, c->item.contact, c);
	TAILQ_INSERT_TAIL(&roster->contacts, c, next);
	roster->count++;
}

static void
contact_remove(struct roster *roster, struct contact *c)
{
	map_remove_str(&roster->by_jid, c->item.contact);
	TAILQ_REMOVE(&roster->contacts, c, next);
	roster->count--;
	store_roster_item_clear(&c->item);
	free(c);
}

void
roster_free(struct roster *roster)
{
	struct contact *c;

	if (roster == NULL)
		return;
	while ((c = TAILQ_FIRST(&roster->contacts)) != NULL)
		contact_remove(roster, c);
	map_clear(&roster->by_jid);
	free(roster);
}

static struct roster *
roster_of(struct router *r, struct user *u)
{
	struct store_roster stored;
	struct roster *roster = u->roster;

	if (roster != NULL)
		return roster;
	roster = u->roster = xcalloc(1, sizeof(*roster));
	TAILQ_INIT(&roster->contacts);
	if (u->local == NULL)
		return roster;
	store_roster(r->env.store, u->local, &stored);
	for (size_t i = 0; i < stored.count; i++)
		contact_add(roster, &stored.items[i]);
	roster->version = stored.version;
	store_roster_clear(&stored);
	return roster;
}

/* What is cached isn't in step any more. */
void
roster_drop(struct user *u)
{
	roster_free(u->roster);
	u->roster = NULL;
}

uint64_t
roster_version(struct router *r, struct user *u)
{
	return roster_of(r, u)->version;
}

const struct contact_list *
roster_contacts(struct router *r, struct user *u)
{
	return &roster_of(r, u)->contacts;
}

size_t
roster_count(struct router *r, struct user *u)
{
	return roster_of(r, u)->count;
}

const struct store_roster_item *
roster_item(struct router *r, struct user *u, struct text bare)
{
	const struct contact *c =
	    map_find(&roster_of(r, u)->by_jid, bare.data, bare.len);

	return c == NULL ? NULL : &c->item;
}

/* Whether a contact may see the user's presence; the user may. */
bool
roster_allows(struct router *r, struct user *u, struct text bare)
{
	const struct store_roster_item *item = roster_item(r, u, bare);

	return text_is(bare, u->bare) || (item != NULL && item->from);
}

/* ---- in step with the store -------------------------------------------- */

/*
 * The roster was perhaps read after a command was applied and before that was
 * reported: only what is newer changes it.
 */
static void
roster_apply(struct roster *roster, const struct store_op *op)
{
	struct contact *c = map_find_str(&roster->by_jid, op->item.contact);

	if (op->item.version <= roster->version)
		return;
	roster->version = op->item.version;
	if (c != NULL)
		contact_remove(roster, c);
	if (op->op == EFFECT_ROSTER)
		contact_add(roster, &op->item);
}

static void
op_applied(struct router *r, const struct store_op *op, uint64_t row)
{
	struct user *u;

	if (op->op == EFFECT_DONE)
		return;
	if (op->op == EFFECT_ITEM_PUT || op->op == EFFECT_ITEM_DEL) {
		extensions_item(r, op);
		return;
	}
	u = user_find_account(r, op->user);
	if (u == NULL)
		return;
	if (op->op == EFFECT_STORE) {
		if (row != 0)
			offline_stored(r, u);
		return;
	}
	if (u->roster != NULL)
		roster_apply(u->roster, op);
	/* A plan says first what led to it, and then pushes. */
	if (u->lock == NULL)
		roster_push(r, u);
}

void
roster_applied(struct router *r, const struct store_event *event)
{
	for (size_t i = 0; i < event->effect->count; i++)
		op_applied(r, &event->effect->ops[i], event->rows[i]);
}

/* ---- as XML ------------------------------------------------------------ */

static const char *
subscription_name(const struct store_roster_item *item)
{
	static const char *const names[] = { "none", "to", "from", "both" };

	return names[(item->to != 0) + 2 * (item->from != 0)];
}

static void
add_groups(struct buf *b, const char *groups)
{
	size_t len;

	for (; groups != NULL && *groups != '\0'; groups += len) {
		len = strcspn(groups, "\n");
		buf_add_str(b, "<group>");
		xml_add_escaped(b, groups, len);
		buf_add_str(b, "</group>");
		len += groups[len] == '\n';
	}
}

/* RFC 6121, 2.1.2. */
static void
add_item(struct buf *b, const struct store_roster_item *item)
{
	buf_add_str(b, "<item");
	xml_add_attr(b, "jid", item->contact);
	xml_add_attr(b, "name", item->name);
	xml_add_attr(b, "subscription", subscription_name(item));
	if (item->ask)
		xml_add_attr(b, "ask", "subscribe");
	if (item->approved)
		xml_add_attr(b, "approved", "true");
	buf_add_str(b, ">");
	add_groups(b, item->groups);
	buf_add_str(b, "</item>");
}

static void
add_query(struct buf *b, uint64_t version)
{
	buf_addf(b, "<query xmlns='" NS_ROSTER "' ver='%llu'>",
	    (unsigned long long)version);
}

void
roster_write(struct router *r, struct user *u, struct buf *b)
{
	const struct roster *roster = roster_of(r, u);
	const struct contact *c;

	add_query(b, roster->version);
	TAILQ_FOREACH(c, &roster->contacts, next)
		if (c->item.visible)
			add_item(b, &c->item);
	buf_add_str(b, "</query>");
}

/* ---- pushes ------------------------------------------------------------ */

/* What a session has to be told of a contact. */
struct change {
	const char *contact;
	const struct store_roster_item *item; /* NULL: it was removed */
	uint64_t version;
};

struct changes {
	struct change *all;
	size_t count, size;
	struct store_roster removed; /* owns contacts that are not there */
};

static void
change_add(struct changes *c, const char *contact,
    const struct store_roster_item *item, uint64_t version)
{
	if (c->count == c->size) {
		c->size = c->size == 0 ? 4 : c->size * 2;
		c->all = xrealloc(c->all, c->size * sizeof(*c->all));
	}
	c->all[c->count++] = (struct change){ contact, item, version };
}

static int
change_compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return (x->version > y->version) - (x->version < y->version);
}

/*
 * What changed since a version, in the order of the versions; false if that is
 * not known to be all. The store may be ahead of what was reported: such a
 * removal has its turn with the rest.
 */
static bool
changes_read(
    struct router *r, struct user *u, uint64_t after, struct changes *out)
{
	const struct roster *roster = roster_of(r, u);
	const struct contact *c;
	bool all;

	*out = (struct changes){ 0 };
	all = store_removed(r->env.store, u->local, after, &out->removed);
	for (size_t i = 0; i < out->removed.count; i++) {
		const struct store_roster_item *item = &out->removed.items[i];

		if (item->version <= roster->version)
			change_add(out, item->contact, NULL, item->version);
	}
	TAILQ_FOREACH(c, &roster->contacts, next)
		if (c->item.visible && c->item.version > after)
			change_add(
			    out, c->item.contact, &c->item, c->item.version);
	if (out->count > 1)
		qsort(out->all, out->count, sizeof(*out->all), change_compare);
	return all;
}

static void
changes_clear(struct changes *c)
{
	store_roster_clear(&c->removed);
	free(c->all);
}

static void
push_write(struct buf *b, const struct change *c, const char *to)
{
	buf_add_str(b, "<iq type='set'");
	buf_addf(b, " id='push-%llu'", (unsigned long long)c->version);
	xml_add_attr(b, "to", to);
	buf_add_str(b, ">");
	add_query(b, c->version);
	if (c->item != NULL) {
		add_item(b, c->item);
	} else {
		buf_add_str(b, "<item");
		xml_add_attr(b, "jid", c->contact);
		buf_add_str(b, " subscription='remove'/>");
	}
	buf_add_str(b, "</query></iq>");
}

static void
push(struct router *r, struct login *s, const struct change *c)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };
	struct buf b = { 0 };

	push_write(&b, c, s->full);
	memset(&w.key, 0, sizeof(w.key));
	w.key.kind = DKEY_PUSH;
	w.key.version = c->version;
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	session_deliver(r, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
}

/*
 * RFC 6121, 2.6.2: whether a client that has the roster of this version is
 * better told what changed since. Versions are of all rosters together, and an
 * account's begin with its id.
 */
bool
roster_can_follow(struct router *r, const struct login *s, uint64_t version)
{
	struct roster *roster = roster_of(r, s->user);
	struct changes changes;
	bool can;

	if (version == 0 || version < s->account || version > roster->version)
		return false;
	can = changes_read(r, s->user, version, &changes) &&
	    changes.count * 2 <= roster->count;
	changes_clear(&changes);
	return can;
}

static bool
is_behind(const struct login *s, uint64_t version)
{
	return login_is_there(s) && s->roster != 0 && s->roster < version;
}

/* The oldest version that a session of the user is told of; 0: all are told of
 * the newest. */
static uint64_t
oldest_told(struct router *r, struct user *u)
{
	const struct login *s;
	uint64_t oldest = 0;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (is_behind(s, UINT64_MAX) &&
		    (oldest == 0 || s->roster < oldest))
			oldest = s->roster;
	return oldest != 0 && oldest < roster_of(r, u)->version ? oldest : 0;
}

/*
 * Tells the user's interested sessions how items are now (RFC 6121, 2.1.6). It
 * comes of the state alone, the version that each has been told of: so it
 * doesn't matter who changed it, and which leader applied that.
 */
void
roster_push(struct router *r, struct user *u)
{
	const uint64_t oldest = oldest_told(r, u);
	struct changes changes;
	struct login *s;

	if (oldest == 0)
		return;
	changes_read(r, u, oldest, &changes);
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!is_behind(s, u->roster->version))
			continue;
		for (size_t i = 0; i < changes.count; i++)
			if (changes.all[i].version > s->roster)
				push(r, s, &changes.all[i]);
		s->roster = u->roster->version;
	}
	changes_clear(&changes);
}
