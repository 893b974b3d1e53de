/*
 * Presence (RFC 6121, 4).
 *
 *   to all: into the directory -> at a majority: it counts -> to contacts with
 *     a subscription and to the own sessions -> accepted by all: done
 *     the first: what contacts have to tell, and requests that wait, come back
 *     unavailable: also to those who were sent directed presence; that nobody
 *     is owed it any more is an event of its own
 *   to one, and probes: presence_one.c
 *   the end of a session: as unavailable (presence_farewell)
 *
 * Several stanzas for one component go to it as one delivery, since a delivery
 * is named by what it is about and its target.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/avatar.h"
#include "xmppd/router/blocking.h"
#include "xmppd/router/caps.h"
#include "xmppd/router/extension.h"
#include "xmppd/router/presence_impl.h"

#define PRESENCE "<presence"

/* Stanzas for one component. */
struct parcel {
	struct login *target;
	struct buf stanzas;
	TAILQ_ENTRY(parcel) next;
};

/* One presence stanza for many. */
struct fan {
	struct router *r;
	struct job *job; /* NULL: the end of `about` */
	struct login *about;
	struct address from; /* of about */
	struct dkey key;
	struct text stanza;
	struct bytes *hold; /* keeps it, if the job doesn't */
	bool contacts;      /* those with a subscription have it */
	TAILQ_HEAD(, parcel) parcels;
};

/* RFC 6121, 4.7.2.3: an integer between -128 and 127; 0 if there is none. */
int8_t
presence_priority(const struct bytes *presence)
{
	struct xml *x = xml_parse(presence->data, presence->len);
	const char *text;
	char *end;
	long value = 0;

	text = x == NULL ? NULL : xml_child_text(x, "priority");
	if (text != NULL)
		value = strtol(text, &end, 10);
	if (text != NULL && *end != '\0' &&
	    strspn(end, " \t\r\n") != strlen(end))
		value = 0;
	xml_free(x);
	if (value < -128 || value > 127)
		return 0;
	return (int8_t)value;
}

/* ---- texts ------------------------------------------------------------- */

/* A presence with its `to` put in. */
void
presence_stamp(struct buf *b, struct text stanza, struct text to)
{
	buf_add(b, PRESENCE, sizeof(PRESENCE) - 1);
	xml_add_attr_n(b, "to", to.data, to.len);
	buf_add(b, stanza.data + sizeof(PRESENCE) - 1,
	    stanza.len - (sizeof(PRESENCE) - 1));
}

/* A presence without content. */
void
presence_write(
    struct buf *b, const char *type, struct text from, struct text to)
{
	buf_add_str(b, PRESENCE);
	xml_add_attr(b, "type", type);
	xml_add_attr_n(b, "from", from.data, from.len);
	xml_add_attr_n(b, "to", to.data, to.len);
	buf_add_str(b, "/>");
}

/* ---- to many ----------------------------------------------------------- */

static void
fan_deliver(struct fan *f, const struct dispatch *w)
{
	if (f->job != NULL)
		job_deliver(f->r, f->job, w);
	else
		end_deliver(f->r, f->about, w);
}

static void
fan_session(struct fan *f, struct login *target, struct text to)
{
	struct dispatch w = { .target = target, .kind = DELIVER_STANZA };

	w.key = f->key;
	w.payload = f->stanza;
	w.hold = f->hold;
	w.stamp = to;
	fan_deliver(f, &w);
}

static struct buf *
fan_parcel(struct fan *f, struct login *target)
{
	struct parcel *p;

	TAILQ_FOREACH(p, &f->parcels, next)
		if (p->target == target)
			return &p->stanzas;
	p = xcalloc(1, sizeof(*p));
	p->target = target;
	TAILQ_INSERT_TAIL(&f->parcels, p, next);
	return &p->stanzas;
}

/* To all sessions of a user that are available. */
static void
fan_user(struct fan *f, struct user *u)
{
	struct login *s;

	if (u == NULL)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			fan_session(f, s, text_of(u->bare));
}

static void
fan_component(struct fan *f, const struct address *to)
{
	struct login *s = component_session(f->r, to->domain);

	if (s != NULL)
		presence_stamp(fan_parcel(f, s), f->stanza, to->full);
}

static void
fan_address(struct fan *f, const char *jid)
{
	struct address to;
	struct login *s;

	address_read(f->r, text_of(jid), &to);
	if (blocking_between_online(f->r, &f->from, &to))
		return;
	if (to.kind == ADDRESS_COMPONENT) {
		fan_component(f, &to);
	} else if (to.kind == ADDRESS_USER && to.resource.data == NULL) {
		fan_user(f, user_find(f->r, to.bare));
	} else if (to.kind == ADDRESS_USER) {
		s = user_session(user_find(f->r, to.bare), to.full);
		if (s != NULL)
			fan_session(f, s, to.full);
	}
}

/* Whether a contact wants it: one of ours has to have asked. An account that
 * was made anew has not, though its contacts may remember the older one. */
static bool
wants_presence(struct fan *f, const char *contact)
{
	const struct store_roster_item *item;
	struct user *u = user_find(f->r, text_of(contact));

	if (u == NULL || u->local == NULL)
		return true;
	item = roster_item(f->r, u, text_of(f->about->user->bare));
	return item != NULL && item->to;
}

/* RFC 6121, 4.2.2: to the contacts that may see it, and to all of the user's
 * own available resources. */
static void
fan_contacts(struct fan *f)
{
	struct user *u = f->about->user;
	const struct contact *c;

	f->contacts = true;
	fan_user(f, u);
	TAILQ_FOREACH(c, roster_contacts(f->r, u), next)
		if (c->item.from && wants_presence(f, c->item.contact))
			fan_address(f, c->item.contact);
}

/* The account isn't there any more: those whom it shared presence with. */
static void
fan_former(struct fan *f)
{
	struct store_roster former;

	store_former(
	    f->r->env.store, f->about->user->local, f->about->account, &former);
	for (size_t i = 0; i < former.count; i++)
		if (former.items[i].from)
			fan_address(f, former.items[i].contact);
	store_roster_clear(&former);
}

/* RFC 6121, 4.6.3. A contact that has been told is not told again: a session
 * by the name of the delivery; a component by this. */
static void
fan_directed(struct fan *f)
{
	const struct directed *d;
	struct address to;

	TAILQ_FOREACH(d, &f->about->entry->directed, next) {
		address_read(f->r, text_of(d->jid), &to);
		if (!f->contacts || to.kind != ADDRESS_COMPONENT ||
		    !roster_allows(f->r, f->about->user, to.bare))
			fan_address(f, d->jid);
	}
}

static void
fan_end(struct fan *f)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	struct parcel *p;

	w.key = f->key;
	while ((p = TAILQ_FIRST(&f->parcels)) != NULL) {
		TAILQ_REMOVE(&f->parcels, p, next);
		w.target = p->target;
		w.hold = bytes_new(p->stanzas.data, p->stanzas.len);
		w.payload.data = w.hold->data;
		w.payload.len = w.hold->len;
		fan_deliver(f, &w);
		bytes_unref(w.hold);
		buf_clear(&p->stanzas);
		free(p);
	}
}

static void
fan_begin(struct fan *f, struct router *r, struct job *job, struct login *about)
{
	memset(f, 0, sizeof(*f));
	TAILQ_INIT(&f->parcels);
	f->r = r;
	f->job = job;
	f->about = about;
	address_read(r, text_of(about->full), &f->from);
	if (job != NULL) {
		f->key = dkey_frame(job);
		f->stanza = job->f.payload;
	}
}

/* ---- the end of a session ---------------------------------------------- */

/* An unavailable presence whose session ends under it: the end goes on with
 * what isn't accepted yet, by the same name. */
static void
take_back(struct router *r, struct login *s)
{
	struct job *job = s->leaving;
	struct delivery *d;

	s->leaving = NULL;
	if (job == NULL)
		return;
	while ((d = TAILQ_FIRST(&job->deliveries)) != NULL)
		delivery_free(r, d);
	job->pending = 0;
	job_wake(r, job);
}

/* Tells those who think that it is available. */
void
presence_farewell(struct router *r, struct login *s)
{
	const struct entry *e = s->entry;
	struct fan f;

	take_back(r, s);
	if (s->presence == NULL && e->leaving == 0 && e->directed_count == 0)
		return;
	fan_begin(&f, r, NULL, s);
	f.key = s->gone;
	f.hold = s->farewell;
	f.stanza.data = s->farewell->data;
	f.stanza.len = s->farewell->len;
	if (s->presence != NULL || e->leaving != 0) {
		if (s->former)
			fan_former(&f);
		else
			fan_contacts(&f);
	}
	fan_directed(&f);
	fan_end(&f);
}

/* ---- what one is told -------------------------------------------------- */

/* Tells a session the newest presence of another; named by that (rule 2). */
static void
presence_show(struct router *r, struct job *job, const struct showing *show)
{
	const struct login *about = show->about;
	struct dispatch w = { .target = show->target, .kind = DELIVER_STANZA };

	w.key = dkey_told(job, &about->sid);
	w.hold = about->presence;
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	w.stamp = show->to;
	job_deliver(r, job, &w);
}

void
presence_show_all(struct router *r, struct job *job, struct showing *show,
    const struct user *u)
{
	const struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (s == show->target || !login_is_available(s))
			continue;
		/* It is of a former account of that name, and about to end. */
		if (s->user == show->target->user &&
		    s->account != show->target->account)
			continue;
		show->about = s;
		presence_show(r, job, show);
	}
}

/* RFC 6121, 4.3.2: a contact who is here answers the probe of one that may
 * see it; a component is asked itself, and also again for what it has not
 * answered (3.1.2). */
static void
probe_contact(struct fan *f, const struct contact *c)
{
	struct login *s = f->about;
	struct showing show = { s, NULL, text_of(s->user->bare) };
	struct address to;
	struct user *u;

	address_read(f->r, text_of(c->item.contact), &to);
	if (blocking_between_online(f->r, &f->from, &to))
		return;
	if (to.kind == ADDRESS_USER && c->item.to) {
		u = user_find(f->r, to.bare);
		if (u != NULL && roster_allows(f->r, u, text_of(s->user->bare)))
			presence_show_all(f->r, f->job, &show, u);
		return;
	}
	s = to.kind == ADDRESS_COMPONENT ? component_session(f->r, to.domain)
					 : NULL;
	if (s != NULL && c->item.to)
		presence_write(fan_parcel(f, s), "probe",
		    text_of(f->about->full), to.full);
	if (s != NULL && c->item.ask)
		presence_write(fan_parcel(f, s), "subscribe",
		    text_of(f->about->user->bare), to.full);
}

/* RFC 6121, 3.1.3: a request is delivered until it is answered. */
static void
tell_request(struct fan *f, const struct contact *c)
{
	struct dispatch w = { .target = f->about, .kind = DELIVER_STANZA };

	w.key = dkey_numbered(f->job, DKEY_TOLD, c->item.version);
	w.hold = bytes_new(c->item.request, strlen(c->item.request));
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(f->r, f->job, &w);
	bytes_unref(w.hold);
}

/* RFC 6121, 4.2.2 and 4.3: what comes of the first presence of a session. */
static void
fan_initial(struct fan *f)
{
	struct user *u = f->about->user;
	struct showing show = { f->about, NULL, text_of(u->bare) };
	const struct contact *c;

	presence_show_all(f->r, f->job, &show, u);
	TAILQ_FOREACH(c, roster_contacts(f->r, u), next) {
		if (c->item.to || c->item.ask)
			probe_contact(f, c);
		if (c->item.pending_in && c->item.request != NULL)
			tell_request(f, c);
	}
	extensions_arrived(f->r, f->job, f->about);
}

/* ---- to all ------------------------------------------------------------ */

/* The session that sent a presence; NULL if that is to have no effect, as the
 * end of the session says all. */
struct login *
presence_sender(struct router *r, const struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);

	return s == NULL || s->state != SESSION_BOUND || s->former ? NULL : s;
}

/* Whether there is nothing to be done: under an earlier leader a later one was
 * begun (rule 6), or all were told that it is unavailable; or it is. */
static bool
broadcast_was_done(const struct job *job, const struct entry *e)
{
	if (job->f.num != e->newest)
		return job->f.num < e->newest ||
		    (job->f.type == TYPE_UNAVAILABLE && e->presence == NULL &&
			e->directed_count == 0);
	return job->f.type == TYPE_UNAVAILABLE && e->leaving == 0;
}

/* Returns true if that is all. */
static bool
broadcast_begin(struct router *r, struct job *job, struct login *s)
{
	struct text presence = job->f.payload;

	if (broadcast_was_done(job, s->entry))
		return true;
	if (job->f.type == TYPE_UNAVAILABLE)
		presence.data = NULL;
	directory_presence(
	    r->directory, &r->out, &s->sid, presence, job->f.num);
	job->seq = mirror_event(r);
	job->stage = P_MIRROR;
	return false;
}

/* It counts from now on. */
static void
broadcast_tell(struct router *r, struct job *job, struct login *s)
{
	struct fan f;

	login_set_presence(s, s->entry->presence);
	user_touch(r, s->user);
	fan_begin(&f, r, job, s);
	if (job->f.type == TYPE_UNAVAILABLE) {
		f.key = dkey_gone(&s->sid, job->f.num);
		s->leaving = job;
	}
	fan_contacts(&f);
	if (job->f.type == TYPE_UNAVAILABLE) {
		fan_session(&f, s, text_of(s->user->bare)); /* 4.5.2 */
		fan_directed(&f);
	} else if (s->entry->initial == job->f.num) {
		fan_initial(&f);
	}
	fan_end(&f);
	job->stage = P_TOLD;
	if (job->f.type != TYPE_UNAVAILABLE)
		extensions_available(r, s);
	else
		caps_forget(r, s);
}

/*
 * All have been told. What is named by the end of the session's availability
 * is to be forgotten like the end of the session itself (rule 3); if that has
 * come meanwhile, it is what tells them (presence_take_back()).
 */
static bool
broadcast_over(struct router *r, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);
	struct dkey gone;

	if (job->f.type != TYPE_UNAVAILABLE)
		return true;
	if (s != NULL && s->state == SESSION_ENDING)
		return job_wait(job, &s->waiters);
	if (s != NULL && job->stage == P_TOLD) {
		s->leaving = NULL;
		directory_left(r->directory, &r->out, &s->sid);
		job->seq = mirror_event(r);
		job->stage = P_OVER;
	}
	if (s != NULL && !job_wait_majority(r, job, job->seq))
		return false;
	gone = dkey_gone(&job->f.sid, job->f.num);
	forget_everywhere(r, &gone);
	return true;
}

static bool
broadcast_step(struct router *r, struct job *job)
{
	struct login *s = presence_sender(r, job);

	if (s == NULL)
		return job->stage < P_TOLD ||
		    (job->pending == 0 && broadcast_over(r, job));
	if (job->stage == P_BEGIN && broadcast_begin(r, job, s))
		return true;
	if (job->stage == P_MIRROR) {
		if (!job_wait_majority(r, job, job->seq))
			return false;
		broadcast_tell(r, job, s);
	}
	return job->pending == 0 && broadcast_over(r, job);
}

/* ---- kinds ------------------------------------------------------------- */

static bool
is_subscription(const struct job *job)
{
	return job->f.type >= TYPE_SUBSCRIBE &&
	    job->f.type <= TYPE_UNSUBSCRIBED;
}

static bool
presence_to_one(struct router *r, struct job *job)
{
	bool done;

	if (job->to.kind == ADDRESS_FOREIGN) {
		if (job->f.type == TYPE_NONE || job->f.type == TYPE_SUBSCRIBE)
			return bounce(
			    r, job, STANZA_REMOTE_SERVER_NOT_FOUND, NULL);
		/* The domain may have been served, or a component's. */
		return is_subscription(job) ? subscribe_step(r, job) : true;
	}
	if (job->to.kind == ADDRESS_SERVER)
		return true;
	if (job->stage == P_BEGIN && job->plan == NULL &&
	    blocking_stops(r, job, &done))
		return done;
	if (job->f.type == TYPE_PROBE)
		return presence_probe_step(r, job);
	if (is_subscription(job))
		return subscribe_step(r, job);
	return presence_direct_step(r, job);
}

static bool
is_presence_type(uint8_t type)
{
	return type == TYPE_NONE || type == TYPE_ERROR ||
	    (type >= TYPE_UNAVAILABLE && type <= TYPE_PROBE);
}

bool
presence_step(struct router *r, struct job *job)
{
	if (job->fate == FATE_BOUNCING)
		return job->pending == 0;
	if (!is_presence_type(job->f.type))
		return bounce(r, job, STANZA_BAD_REQUEST, "type");
	if (job->f.type == TYPE_NONE && job->stage == P_BEGIN &&
	    job->f.session_kind == SESSION_CLIENT)
		avatar_stamp(r, job);
	if (job->to.full.data != NULL)
		return presence_to_one(r, job);
	if (job->f.session_kind == SESSION_CLIENT &&
	    (job->f.type == TYPE_NONE || job->f.type == TYPE_UNAVAILABLE))
		return broadcast_step(r, job);
	return bounce(r, job, STANZA_BAD_REQUEST, "to");
}
