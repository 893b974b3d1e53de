/*
 * Presence to one address (RFC 6121, 4.6), and probes (4.3).
 *
 *   to one: its target is remembered in the directory first, so that it is told
 *     of the end whoever leads then (4.6.3)
 *   a probe: answered here for a user of ours, passed on to a component
 */
#include "xmppd/router/presence_impl.h"

#define DIRECTED_MAX 1000

/* ---- to one ------------------------------------------------------------ */

/* Whether the directory has to know whom it goes to: one who isn't told of
 * the session's end anyway, as a subscriber to one that is available is
 * (RFC 6121, 4.6.2 and 4.6.3). */
static bool
must_remember(struct router *r, const struct job *job, const struct login *s)
{
	return s->kind == SESSION_CLIENT && job->to.kind != ADDRESS_SERVER &&
	    !text_is(job->to.bare, s->user->bare) &&
	    (s->presence == NULL || !roster_allows(r, s->user, job->to.bare)) &&
	    directory_find_directed(s->entry, job->to.full) == NULL;
}

static void
direct_to(struct router *r, struct job *job, struct login *target)
{
	struct dispatch w = { .target = target, .kind = DELIVER_STANZA };

	w.key = dkey_frame(job);
	w.payload = job->f.payload;
	if (target != NULL)
		job_deliver(r, job, &w);
}

/* RFC 6121, 8.5.2.1.2 and 8.5.3: to all that are available, or to the very
 * one; to nobody if that isn't there. */
static void
direct_deliver(struct router *r, struct job *job)
{
	struct user *u = user_find(r, job->to.bare);
	struct login *s;

	if (job->to.kind == ADDRESS_COMPONENT)
		direct_to(r, job, component_session(r, job->to.domain));
	else if (job->to.resource.data != NULL)
		direct_to(r, job, user_session(u, job->to.full));
	else if (u != NULL && job->f.type != TYPE_ERROR)
		TAILQ_FOREACH(s, &u->sessions, of_user)
			if (login_is_available(s))
				direct_to(r, job, s);
	job->stage = P_TOLD;
	/* What follows goes through the same outboxes. */
	job_leave_lane(r, job, LANE_PRESENCE);
}

/* Returns true if there is nothing to be done before it is delivered. */
static bool
direct_begin(struct router *r, struct job *job, struct login *s)
{
	if (job->f.type != TYPE_NONE || !must_remember(r, job, s))
		return true;
	directory_direct(r->directory, &r->out, &s->sid, job->to.full);
	job->seq = mirror_event(r);
	job->stage = P_MIRROR;
	return false;
}

static bool
direct_over(struct router *r, struct job *job, struct login *s)
{
	if (job->f.type != TYPE_UNAVAILABLE)
		return true;
	if (job->stage == P_TOLD) {
		if (directory_find_directed(s->entry, job->to.full) == NULL)
			return true;
		directory_undirect(
		    r->directory, &r->out, &s->sid, job->to.full);
		job->seq = mirror_event(r);
		job->stage = P_OVER;
	}
	return job_wait_majority(r, job, job->seq);
}

/* RFC 6121, 4.6. A component remembers for itself whom it has told what. */
bool
presence_direct_step(struct router *r, struct job *job)
{
	struct login *s = presence_sender(r, job);

	if (s == NULL)
		return job->pending == 0;
	if (job->stage == P_BEGIN && s->entry->directed_count >= DIRECTED_MAX)
		return bounce(r, job, STANZA_RESOURCE_CONSTRAINT,
		    "too many addresses have directed presence");
	if (job->stage == P_BEGIN && direct_begin(r, job, s))
		direct_deliver(r, job);
	if (job->stage == P_MIRROR) {
		if (!job_wait_majority(r, job, job->seq))
			return false;
		direct_deliver(r, job);
	}
	return job->pending == 0 && direct_over(r, job, s);
}

/* ---- probes ------------------------------------------------------------ */

/* Whether the user at that address lets this one see its presence. */
static bool
may_see(struct router *r, const struct address *a, struct text bare)
{
	struct user *u;

	if (!address_exists(r, a))
		return false;
	u = user_get(r, a);
	user_touch(r, u);
	return roster_allows(r, u, bare);
}

static bool
user_is_available(const struct user *u)
{
	const struct login *s;

	if (u == NULL)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			return true;
	return false;
}

/* A presence that the router itself makes up, for the sender of the frame. */
static void
probe_answer(
    struct router *r, struct job *job, struct login *to, const char *type)
{
	struct buf b = { 0 };

	presence_write(&b, type, job->to.bare, job->f.from);
	job_deliver_bytes(r, job, to, &b);
	buf_clear(&b);
}

/*
 * RFC 6121, 4.3.2: who may see the user is told of each available session, or
 * that there is none; anybody else, that there is no subscription.
 */
bool
presence_probe_step(struct router *r, struct job *job)
{
	struct login *sender = login_find(r, &job->f.sid);
	struct showing show = { sender, NULL, job->f.from };
	struct address from;

	if (job->stage == P_TOLD || !login_is_there(sender))
		return job->pending == 0;
	job->stage = P_TOLD;
	address_read(r, job->f.from, &from);
	if (job->to.kind == ADDRESS_COMPONENT) {
		direct_deliver(r, job);
	} else if (!may_see(r, &job->to, from.bare)) {
		probe_answer(r, job, sender, "unsubscribed");
	} else if (user_is_available(user_find(r, job->to.bare))) {
		presence_show_all(r, job, &show, user_find(r, job->to.bare));
	} else {
		probe_answer(r, job, sender, "unavailable");
	}
	return job->pending == 0;
}
