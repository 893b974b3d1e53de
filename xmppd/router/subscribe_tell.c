/*
 * What comes of a change of rosters beside pushes: the stanzas that both sides
 * are told (RFC 6121, 3), and presence that now may or may not be seen.
 */
#include "xmppd/router/subscribe_impl.h"

typedef bool (*login_test)(const struct login *s);

static bool
is_interested(const struct login *s)
{
	return login_is_there(s) && (s->wants & WANTS_ROSTER) != 0;
}

/* A stanza to those of a user's sessions that are to have it. */
static void
say_to_user(struct router *r, struct job *job, const struct user *u,
    const struct dispatch *what, login_test test)
{
	struct dispatch w = *what;

	if (u == NULL)
		return;
	TAILQ_FOREACH(w.target, &u->sessions, of_user)
		if (test(w.target))
			job_deliver(r, job, &w);
}

/* ... or to the component that the address belongs to. */
static void
say(struct router *r, struct job *job, const struct address *to,
    const struct dispatch *what, login_test test)
{
	struct dispatch w = *what;

	if (to->kind != ADDRESS_COMPONENT) {
		say_to_user(r, job, user_find(r, to->bare), what, test);
		return;
	}
	w.target = component_session(r, to->domain);
	if (w.target != NULL)
		job_deliver(r, job, &w);
}

static void
say_type(
    struct router *r, struct job *job, const struct dkey *key, const char *type)
{
	struct dispatch w = { .kind = DELIVER_STANZA, .key = *key };
	const struct plan *p = job->plan;
	struct address contact;
	struct buf b = { 0 };

	address_read(r, text_of(p->contact), &contact);
	presence_write(&b, type, p->from.bare, contact.bare);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	say(r, job, &contact, &w, is_interested);
	bytes_unref(w.hold);
	buf_clear(&b);
}

/* RFC 6121, 3.1.3: a request goes to the available resources; the rest to
 * those that are interested. */
static void
say_relay(struct router *r, struct job *job)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	const struct plan *p = job->plan;

	w.key = dkey_frame(job);
	w.hold = p->relay;
	w.payload.data = p->relay->data;
	w.payload.len = p->relay->len;
	say(r, job, &job->to, &w,
	    job->f.type == TYPE_SUBSCRIBE ? login_is_available : is_interested);
}

static void
say_reply(struct router *r, struct job *job)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	const struct plan *p = job->plan;
	struct buf b = { 0 };

	presence_write(&b, "subscribed", job->to.bare, p->from.bare);
	w.key = dkey_frame(job);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	say(r, job, &p->from, &w, is_interested);
	bytes_unref(w.hold);
	buf_clear(&b);
}

/* Presence of one session to all that are at an address: as it is, or, to be
 * hidden, as unavailable. */
static void
tell_of(struct router *r, struct job *job, const struct login *about,
    const struct address *to, bool hide)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	struct buf b = { 0 };

	if (hide)
		presence_write(
		    &b, "unavailable", text_of(about->full), to->bare);
	else
		presence_stamp(&b,
		    (struct text){
			about->presence->data, about->presence->len },
		    to->bare);
	w.key = dkey_told(job, &about->sid);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	say(r, job, to, &w, login_is_available);
	bytes_unref(w.hold);
	buf_clear(&b);
}

void
plan_show(struct router *r, struct job *job, const struct address *of,
    const struct address *to, bool hide)
{
	const struct user *u = user_find(r, of->bare);
	const struct login *s;

	if (u == NULL || of->kind != ADDRESS_USER)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			tell_of(r, job, s, to, hide);
}

/* The stanzas that a plan says are to be said. */
void
plan_say(struct router *r, struct job *job)
{
	const struct plan *p = job->plan;
	struct dkey key;

	if (p->note & DO_RELAY)
		say_relay(r, job);
	if (p->note & DO_UNSUBSCRIBE) {
		key = dkey_numbered(job, DKEY_TOLD, SAYS_UNSUBSCRIBE);
		say_type(r, job, &key, "unsubscribe");
	}
	if (p->note & DO_UNSUBSCRIBED) {
		key = dkey_numbered(job, DKEY_TOLD, SAYS_UNSUBSCRIBED);
		say_type(r, job, &key, "unsubscribed");
	}
	if (p->note & DO_REPLY)
		say_reply(r, job);
}
