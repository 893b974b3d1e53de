/*
 * Changes of rosters on both sides: subscriptions (RFC 6121, 3 and Appendix A)
 * and what a client sets or removes.
 *
 *   begin: both rosters are locked; the plan says how the items change and what
 *     is to be told whom
 *   the command, which bears the plan's note -> applied: unlocked
 *   told: the stanza itself, presence that now may or may not be seen; pushes
 *     come of the applied command (roster.c)
 *   sent again after a change of leader: applied already, so the note says
 *     what is to be told (rule 1 of delivery(7))
 *
 * The state of an item is four flags (to, from, ask, pending_in), in which the
 * tables of Appendix A are short.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/blocking.h"
#include "xmppd/router/subscribe_impl.h"
#include "xmppd/router/caps.h"

#define ROSTER_MAX 5000

enum { PLAN_BEGIN, PLAN_APPLY, PLAN_TOLD };

/* ---- locks ------------------------------------------------------------- */

/* Only one job at a time changes a roster; it has all locks or none. */
static bool
lock(struct job *job, struct user *a, struct user *b)
{
	if (a != NULL && a->lock != NULL)
		return job_wait(job, &a->waiting);
	if (b != NULL && b->lock != NULL)
		return job_wait(job, &b->waiting);
	if (a != NULL)
		a->lock = job;
	if (b != NULL)
		b->lock = job;
	return true;
}

static void
unlock(struct router *r, struct side *side)
{
	if (side->user == NULL)
		return;
	side->user->lock = NULL;
	user_touch(r, side->user);
	side->user = NULL; /* may be forgotten now */
}

/* ---- plans ------------------------------------------------------------- */

/* A user of ours, if the account is there. */
static struct user *
side_user(struct router *r, const struct address *a)
{
	return address_exists(r, a) ? user_get(r, a) : NULL;
}

/* Not needed now, so it may be forgotten; unless another job has it, which it
 * would wake this one for. */
static void
side_spare(struct router *r, struct user *u)
{
	if (u != NULL && u->lock == NULL)
		user_touch(r, u);
}

static void
side_load(struct router *r, struct side *side, const char *contact)
{
	const struct store_roster_item *item;

	if (side->user == NULL)
		return;
	item = roster_item(r, side->user, text_of(contact));
	if (item != NULL)
		store_roster_item_copy(&side->item, item);
	else
		side->item.contact = xstrdup(contact);
}

void
plan_free(struct router *r, struct job *job)
{
	struct plan *p = job->plan;

	if (p == NULL)
		return;
	unlock(r, &p->own);
	unlock(r, &p->other);
	store_roster_item_clear(&p->own.item);
	store_roster_item_clear(&p->other.item);
	bytes_unref(p->relay);
	free(p->own_bare);
	free(p->contact);
	free(p);
	job->plan = NULL;
}

/* Whether the roster has room for one more. */
static bool
side_has_room(struct router *r, const struct side *side, const char *contact)
{
	return side->user == NULL ||
	    roster_item(r, side->user, text_of(contact)) != NULL ||
	    roster_count(r, side->user) < ROSTER_MAX;
}

/* Begins a plan for the items of these two; NULL: it waits. */
static struct plan *
plan_new(struct router *r, struct job *job, const struct address *contact)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	address_read(r, job->f.from, &p->from);
	p->own.user = side_user(r, &p->from);
	if (!blocking_blocks(r, contact, &p->from))
		p->other.user = side_user(r, contact);
	if (!lock(job, p->own.user, p->other.user)) {
		side_spare(r, p->own.user);
		side_spare(r, p->other.user);
		free(p);
		return NULL;
	}
	job->plan = p;
	p->own_bare = text_dup(p->from.bare);
	p->contact = text_dup(contact->bare);
	side_load(r, &p->own, p->contact);
	side_load(r, &p->other, p->own_bare);
	return p;
}

/* ---- RFC 6121, Appendix A ---------------------------------------------- */

/* A.2.1 to A.2.4: what the sender's own item becomes; whether it is routed. */
static bool
outbound(struct plan *p, uint8_t type)
{
	struct store_roster_item *i = &p->own.item;
	const struct store_roster_item before = *i;
	bool route = true;

	if (type == TYPE_SUBSCRIBE) {
		i->ask = !i->to;
		i->visible = i->visible || i->ask;
	} else if (type == TYPE_UNSUBSCRIBE) {
		i->to = i->ask = 0;
	} else if (type == TYPE_SUBSCRIBED) {
		route = i->pending_in;
		i->approved = !i->pending_in && !i->from; /* 3.4 */
		i->from = i->from || i->pending_in;
		i->visible = i->visible || i->from || i->approved;
		i->pending_in = 0;
	} else {
		route = i->from || i->pending_in;
		i->from = i->pending_in = i->approved = 0;
	}
	if (i->from && !before.from)
		p->note |= DO_SHOW;
	if (!i->from && before.from)
		p->note |= DO_HIDE;
	p->own.changed |= i->to != before.to || i->from != before.from ||
	    i->ask != before.ask || i->pending_in != before.pending_in ||
	    i->approved != before.approved || i->visible != before.visible;
	return route;
}

/* A.3.1: a request. It is answered at once where the answer is known. */
static bool
inbound_subscribe(struct plan *p)
{
	struct store_roster_item *i = &p->other.item;

	if (!i->from && !i->approved) {
		if (i->pending_in)
			return false;
		i->pending_in = 1;
		i->request = xstrndup(p->relay->data, p->relay->len);
		p->other.changed = true;
		return true;
	}
	if (!i->from) {
		i->from = 1;
		i->approved = 0;
		p->other.changed = true;
	}
	p->note |= DO_SHOW_BACK;
	if (p->own.user == NULL || p->own.item.ask)
		p->note |= DO_REPLY;
	if (p->own.item.ask) { /* A.3.3, for the sender */
		p->own.item.ask = 0;
		p->own.item.to = 1;
		p->own.changed = true;
	}
	return false;
}

/* A.3.2 to A.3.4. */
static bool
inbound_other(struct plan *p, uint8_t type)
{
	struct store_roster_item *i = &p->other.item;
	bool deliver;

	if (type == TYPE_SUBSCRIBED) {
		deliver = i->ask;
		i->to = i->to || i->ask;
		i->ask = 0;
	} else if (type == TYPE_UNSUBSCRIBED) {
		deliver = i->to || i->ask;
		i->to = i->ask = 0;
	} else {
		deliver = i->from || i->pending_in;
		if (i->from)
			p->note |= DO_HIDE_BACK;
		i->from = i->pending_in = 0;
	}
	p->other.changed |= deliver;
	return deliver;
}

/* What the contact's side makes of it; whether the contact is told. */
static bool
inbound(struct plan *p, const struct address *contact, uint8_t type)
{
	if (contact->kind == ADDRESS_COMPONENT)
		return true;
	if (p->other.user == NULL)
		return false; /* RFC 6121, 8.5.1: silently ignored */
	if (type == TYPE_SUBSCRIBE)
		return inbound_subscribe(p);
	return inbound_other(p, type);
}

/* ---- the command ------------------------------------------------------- */

static void
side_forget_request(struct store_roster_item *i)
{
	if (i->pending_in)
		return;
	free(i->request);
	i->request = NULL;
}

/* An item that says nothing is none. */
static void
side_op(struct store_op *op, struct side *side)
{
	struct store_roster_item *i = &side->item;

	side_forget_request(i);
	op->op =
	    i->visible || i->pending_in ? EFFECT_ROSTER : EFFECT_ROSTER_DEL;
	op->user = side->user->local;
	op->item = *i;
}

/* False if nothing changes for good. */
static bool
plan_propose(struct router *r, struct job *job, struct plan *p)
{
	struct store_op ops[2];
	size_t count = 0;

	memset(ops, 0, sizeof(ops));
	if (p->own.user != NULL && p->own.changed)
		side_op(&ops[count++], &p->own);
	if (p->other.user != NULL && p->other.changed)
		side_op(&ops[count++], &p->other);
	if (count == 0)
		return false;
	job_propose(r, job, p->note, ops, count);
	job->stage = PLAN_APPLY;
	return true;
}

/* ---- telling ----------------------------------------------------------- */

/* What was applied meanwhile is pushed only now (roster_applied()). */
static void
plan_unlock(struct router *r, struct plan *p)
{
	if (p->own.user != NULL)
		roster_push(r, p->own.user);
	if (p->other.user != NULL)
		roster_push(r, p->other.user);
	unlock(r, &p->own);
	unlock(r, &p->other);
}

/*
 * RFC 6121, 3.2.2: that one is unavailable goes before that one may not be seen
 * any more. 3.1.6, 3.2.3, 3.3.3: the stanza goes before the push that it leads
 * to, and what the contact has to show after that.
 */
static void
plan_tell(struct router *r, struct job *job)
{
	struct plan *p = job->plan;
	struct address contact;

	job->stage = PLAN_TOLD;
	address_read(r, text_of(p->contact), &contact);
	if (p->note & DO_HIDE)
		plan_show(r, job, &p->from, &contact, true);
	plan_say(r, job);
	plan_unlock(r, p);
	if (p->note & DO_SHOW)
		plan_show(r, job, &p->from, &contact, false);
	if (p->note & DO_SHOW)
		pep_shown(r, &p->from, &contact);
	if (p->note & DO_SHOW_BACK)
		pep_shown(r, &contact, &p->from);
	if (p->note & (DO_SHOW_BACK | DO_HIDE_BACK))
		plan_show(r, job, &contact, &p->from, p->note & DO_HIDE_BACK);
	if (job->f.kind != FRAME_IQ)
		return;
	reply_iq(r, job, NULL, 0);
	job_leave_lane(r, job, LANE_ADDRESS);
}

/* ---- the steps --------------------------------------------------------- */

/* The plan is made: what it changes is proposed, or else told at once. */
static void
plan_go(struct router *r, struct job *job)
{
	struct plan *p = job->plan;

	if (plan_propose(r, job, p))
		return;
	plan_tell(r, job);
}

/* Goes on with a plan; true when all have been told. */
bool
plan_step(struct router *r, struct job *job)
{
	if (job->stage == PLAN_APPLY) {
		if (!job->applied)
			return false;
		plan_tell(r, job);
	}
	return job->pending == 0;
}

/* Rule 1: it was applied under an earlier leader; only the telling is left. */
static bool
plan_again(struct router *r, struct job *job)
{
	uint64_t note;

	if (!job->f.resent ||
	    !store_effect_note(
		r->env.store, &job->origin->id, job->f.num, &note))
		return false;
	job->plan->note = (uint32_t)note;
	plan_tell(r, job);
	return true;
}

/* The stanza with bare addresses (RFC 6121, 3.1.2). */
static struct bytes *
relay_new(const struct job *job, const struct plan *p)
{
	struct xml *x = xml_parse(job->f.payload.data, job->f.payload.len);
	struct bytes *bytes;
	struct buf b = { 0 };

	if (x == NULL)
		return NULL;
	for (struct xml_attr *a = x->attrs; a != NULL; a = a->next) {
		if (strcmp(a->name, "from") == 0)
			a->value = p->own_bare;
		else if (strcmp(a->name, "to") == 0)
			a->value = p->contact;
	}
	xml_write(&b, x);
	bytes = bytes_new(b.data, b.len);
	buf_clear(&b);
	xml_free(x);
	return bytes;
}

bool
subscribe_step(struct router *r, struct job *job)
{
	const struct login *sender = login_find(r, &job->f.sid);
	struct plan *p = job->plan;

	if (p != NULL)
		return plan_step(r, job);
	if (sender != NULL && sender->former)
		return true;
	p = plan_new(r, job, &job->to);
	if (p == NULL)
		return false;
	p->relay = relay_new(job, p);
	if (p->relay == NULL || text_equal(p->from.bare, job->to.bare) ||
	    (p->own.user == NULL && p->from.kind == ADDRESS_USER))
		return true;
	if (plan_again(r, job))
		return job->pending == 0;
	if (!side_has_room(r, &p->own, p->contact) ||
	    !side_has_room(r, &p->other, p->own_bare))
		return bounce(
		    r, job, STANZA_RESOURCE_CONSTRAINT, "the roster is full");
	if ((p->own.user == NULL || outbound(p, job->f.type)) &&
	    inbound(p, &job->to, job->f.type))
		p->note |= DO_RELAY;
	plan_go(r, job);
	return job->stage == PLAN_TOLD && job->pending == 0;
}

/* ---- the client's own changes (RFC 6121, 2.3 to 2.5) ------------------- */

/* Takes away an item, and with it the subscriptions. */
static void
plan_remove(struct plan *p, const struct address *contact)
{
	struct store_roster_item *i = &p->own.item;

	if ((i->to || i->ask) && inbound(p, contact, TYPE_UNSUBSCRIBE))
		p->note |= DO_UNSUBSCRIBE;
	if (i->from) {
		p->note |= DO_HIDE;
		if (inbound(p, contact, TYPE_UNSUBSCRIBED))
			p->note |= DO_UNSUBSCRIBED;
	}
	i->to = i->from = i->ask = i->approved = i->visible = 0;
	free(i->name);
	free(i->groups);
	i->name = i->groups = NULL;
}

static void
plan_set(struct plan *p, const struct roster_change *change)
{
	struct store_roster_item *i = &p->own.item;

	i->visible = 1;
	free(i->name);
	free(i->groups);
	i->name = change->name == NULL ? NULL : xstrdup(change->name);
	i->groups = change->groups == NULL ? NULL : xstrdup(change->groups);
}

/* Begins the change of an item. Returns what is wrong with it, or IQ_WAITS: it
 * is to be tried again; or 0. */
enum stanza_error
plan_roster(
    struct router *r, struct job *job, const struct roster_change *change)
{
	struct plan *p = plan_new(r, job, &change->contact);

	if (p == NULL)
		return IQ_WAITS;
	if (plan_again(r, job))
		return 0;
	if (p->own.user == NULL)
		return STANZA_FORBIDDEN;
	if (change->remove && !p->own.item.visible)
		return STANZA_ITEM_NOT_FOUND;
	if (!change->remove && !side_has_room(r, &p->own, p->contact))
		return STANZA_RESOURCE_CONSTRAINT;
	if (change->remove)
		plan_remove(p, &change->contact);
	else
		plan_set(p, change);
	p->own.changed = true;
	plan_go(r, job);
	return 0;
}
