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
	if (op->op == EFFECT_STORE && row != 0)
		offline_stored(r, u);
	if (op->op != EFFECT_STORE && u->roster != NULL)
		roster_apply(u->roster, op);
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

/* The whole roster; nothing if the client's copy is as new (2.6). */
void
roster_write(struct router *r, struct user *u, const char *known, struct buf *b)
{
	const struct roster *roster = roster_of(r, u);
	const struct contact *c;
	char version[24];

	snprintf(version, sizeof(version), "%llu",
	    (unsigned long long)roster->version);
	if (str_equal(known, version))
		return;
	add_query(b, roster->version);
	TAILQ_FOREACH(c, &roster->contacts, next)
		if (c->item.visible)
			add_item(b, &c->item);
	buf_add_str(b, "</query>");
}

/* ---- pushes ------------------------------------------------------------ */

static void
push_write(struct buf *b, const struct roster *roster, const char *to,
    const char *contact)
{
	const struct contact *c = map_find_str(&roster->by_jid, contact);

	buf_add_str(b, "<iq type='set'");
	buf_addf(b, " id='push-%llu'", (unsigned long long)roster->version);
	xml_add_attr(b, "to", to);
	buf_add_str(b, ">");
	add_query(b, roster->version);
	if (c != NULL && c->item.visible) {
		add_item(b, &c->item);
	} else {
		buf_add_str(b, "<item");
		xml_add_attr(b, "jid", contact);
		buf_add_str(b, " subscription='remove'/>");
	}
	buf_add_str(b, "</query></iq>");
}

/*
 * Tells the user's interested sessions how an item is now (RFC 6121, 2.1.6).
 * `side` tells apart what one frame changes on both sides (rule 2).
 */
void
roster_push(struct router *r, struct job *job, struct user *u,
    const char *contact, uint64_t side)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	const struct roster *roster = roster_of(r, u);
	struct buf b = { 0 };

	w.key = dkey_numbered(job, DKEY_PUSH, side);
	TAILQ_FOREACH(w.target, &u->sessions, of_user) {
		if (!login_is_there(w.target) ||
		    !(w.target->wants & WANTS_ROSTER))
			continue;
		buf_reset(&b);
		push_write(&b, roster, w.target->full, contact);
		w.hold = bytes_new(b.data, b.len);
		w.payload.data = w.hold->data;
		w.payload.len = w.hold->len;
		job_deliver(r, job, &w);
		bytes_unref(w.hold);
	}
	buf_clear(&b);
}
