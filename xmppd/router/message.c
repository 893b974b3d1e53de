/*
 * Messages, and IQs to a full address: which sessions they go to, or what
 * becomes of them instead (RFC 6121, 8.5).
 *
 *   delivered: to each session it is for, done when all have accepted
 *   stored: nobody is there to take it (offline.c)
 *   bounced: an error to the sender; dropped: what nobody answers
 *   waits: behind stored messages, or for a new leader to know what was
 *     accepted under the old one (rules 7 and 9)
 */
#include <string.h>

#include "xmppd/router/archive.h"
#include "xmppd/router/blocking.h"
#include "xmppd/router/carbons.h"

/* What is done with a message that no session is there for. */
enum fallback { F_DROP, F_BOUNCE, F_STORE };

/* RFC 6121, 8.5.4: silence is avoided where an error is allowed as well. */
static const struct {
	bool deliver_bare; /* to a bare address with somebody there */
	bool like_bare;    /* to a full one that isn't there: as if bare */
	uint8_t no_account, bare, full;
} fates[] = {
	[TYPE_NONE] = { true, false, F_BOUNCE, F_STORE, F_BOUNCE },
	[TYPE_NORMAL] = { true, false, F_BOUNCE, F_STORE, F_BOUNCE },
	[TYPE_CHAT] = { true, true, F_BOUNCE, F_STORE, F_STORE },
	[TYPE_GROUPCHAT] = { false, false, F_BOUNCE, F_BOUNCE, F_BOUNCE },
	[TYPE_HEADLINE] = { true, false, F_BOUNCE, F_DROP, F_DROP },
	[TYPE_ERROR] = { false, false, F_DROP, F_DROP, F_DROP },
};

/* ---- rules ------------------------------------------------------------- */

/*
 * Rule 9: a frame that is sent again waits until every node has announced what
 * it has accepted, or grace is over; even one to a full address whose edge has
 * announced, since the address may have moved there. Without a complete
 * directory all wait, as everybody is perhaps held.
 */
static bool
must_wait(const struct router *r, const struct job *job)
{
	if (!r->complete && !r->settled)
		return true;
	return job->f.resent && !r->grace_over;
}

/* Rule 5: a later frame of the same session to the same bare address has had an
 * effect, which by rule 6 was not begun before this one was done. */
static bool
was_followed(struct router *r, const struct job *job)
{
	return report_later(job) ||
	    store_effect_later(
		r->env.store, &job->origin->id, job->f.num, job->lane_id);
}

/*
 * Rules 1 and 5: done under an earlier leader. It was followed; or the store
 * has applied it; or it is to one session, and some edge has had its effect.
 */
static bool
was_done(struct router *r, struct job *job)
{
	if (!job->f.resent || !TAILQ_EMPTY(&job->deliveries))
		return false;
	if (was_followed(r, job)) {
		job->copied = true; /* then, if at all */
		return true;
	}
	return (job->to.resource.data != NULL && report_any(job)) ||
	    store_effect_done(r->env.store, &job->origin->id, job->f.num);
}

/* The same, but the store could not take it: it is the error's turn. */
static bool
was_refused(struct router *r, struct job *job)
{
	int code;

	if (!job->f.resent || !TAILQ_EMPTY(&job->deliveries) ||
	    was_followed(r, job) ||
	    !store_effect_code(
		r->env.store, &job->origin->id, job->f.num, &code) ||
	    code == RES_OK)
		return false;
	job->fate = FATE_STORING;
	job->applied = true;
	job->code = code;
	return true;
}

/* Rule 5: done already, as far as this session is concerned. */
static bool
was_accepted(const struct job *job, const struct login *s)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = dkey_frame(job);
	id.sid = s->sid;
	return report_has(job, &id);
}

/* A stanza that was returned is not for who returned it. */
static struct login *
unless_returned(const struct job *job, struct login *s)
{
	return s != NULL && returned_by(job, s) ? NULL : s;
}

static bool
is_message(const struct job *job)
{
	return job->f.type != TYPE_GET && job->f.type != TYPE_SET &&
	    (job->f.kind == FRAME_MESSAGE || job->f.kind == FRAME_RETURN);
}

static void
deliver_to(struct router *r, struct job *job, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };

	if (is_message(job))
		w.kind = DELIVER_MESSAGE;
	w.key = dkey_frame(job);
	w.payload = w.kind == DELIVER_MESSAGE ? archive_stamped(r, job)
					      : job->f.payload;
	if (job->f.kind == FRAME_RETURN && w.kind == DELIVER_MESSAGE) {
		w.hold =
		    offline_stamped(r, job->f.payload, returned_time(r, job));
		w.payload = (struct text){ w.hold->data, w.hold->len };
	}
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
}

/* ---- sessions ---------------------------------------------------------- */

/* What looking at the sessions came to. */
struct survey {
	size_t there; /* sessions that it is for */
	bool waiting; /* behind stored messages */
};

/* To one that is held it goes into the outbox of its edge, and from there when
 * that has announced; or back, when its hold is over (rule 9). */
static void
survey_one(struct router *r, struct job *job, struct login *s, struct survey *v)
{
	v->there++;
	if (was_accepted(job, s) || carbons_has(r, job, s))
		return;
	if (is_message(job) && offline_is_waiting(r, s->user))
		v->waiting = true;
	else
		deliver_to(r, job, s);
}

/* Whether it has gone to all that it is for. What comes of it besides doesn't
 * wait for that. */
static bool
survey_settle(
    struct router *r, struct job *job, struct user *u, const struct survey *v)
{
	if (v->waiting)
		return job_wait(job, &u->waiting);
	job->stage = 1; /* the targets are settled */
	if (is_message(job)) {
		carbons_copy(r, job);
		archive_add(r, job, true);
	}
	return job->pending == 0;
}

static bool
is_taker(const struct job *job, const struct login *s)
{
	return login_takes_messages(s) && !returned_by(job, s);
}

/* Whoever gets it is told who else does, or a copy: see FRAME_RETURN. */
static void
note_others(struct router *r, struct job *job, const struct user *u,
    const struct login *exact)
{
	const struct login *s;
	size_t count = 0;

	buf_reset(&job->others);
	s = TAILQ_FIRST(&u->sessions);
	if (!is_message(job) || s == NULL || TAILQ_NEXT(s, of_user) == NULL)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!(exact == NULL ? is_taker(job, s) : s == exact) &&
		    !carbons_are_due(r, job, s))
			continue;
		count++;
		sids_add(&job->others, &s->sid);
	}
	if (count < 2)
		buf_reset(&job->others);
}

/* To one session. */
static bool
to_exact(struct router *r, struct job *job, struct login *s)
{
	struct survey v = { 0 };

	note_others(r, job, s->user, s);
	survey_one(r, job, s, &v);
	return survey_settle(r, job, s->user, &v);
}

static bool
bounce_or_drop(struct router *r, struct job *job, uint8_t fallback)
{
	if (fallback == F_DROP)
		return true;
	return bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
}

/* Rule 9: a session that would not take it now, and isn't heard from, may have
 * had it before. */
static bool
may_have_been_taken(const struct job *job, const struct user *u)
{
	const struct login *s;

	if (!job->f.resent || u == NULL)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_there(s) && !login_is_live(s) &&
		    !returned_by(job, s))
			return true;
	return false;
}

/* XEP-0160, 3: not what only says how somebody types; and the hints of
 * XEP-0334. */
static bool
is_storable(const struct job *job, uint8_t fallback)
{
	const uint16_t marks = job->f.marks;

	return fallback == F_STORE && (marks & MARK_NO_STORE) == 0 &&
	    (marks & (MARK_CONTENT | MARK_STORE)) != 0;
}

/* Nobody is there. */
static bool
to_nobody(struct router *r, struct job *job, uint8_t fallback)
{
	struct user *u = user_find(r, job->to.bare);

	if (may_have_been_taken(job, u))
		return job_wait(job, &u->waiting);
	if (!address_exists(r, &job->to))
		return bounce_or_drop(r, job, fates[job->f.type].no_account);
	if (is_storable(job, fallback)) {
		offline_store(r, job);
		archive_add(r, job, false); /* it may not fit */
		return false;
	}
	return bounce_or_drop(
	    r, job, fallback == F_STORE ? F_BOUNCE : fallback);
}

static bool
to_bare(struct router *r, struct job *job, struct user *u, uint8_t fallback)
{
	struct survey v = { 0 };
	struct login *s;

	if (u != NULL && fates[job->f.type].deliver_bare) {
		note_others(r, job, u, NULL);
		TAILQ_FOREACH(s, &u->sessions, of_user)
			if (is_taker(job, s))
				survey_one(r, job, s, &v);
	}
	if (v.there > 0)
		return survey_settle(r, job, u, &v);
	if (report_any(job))
		return true;
	return to_nobody(r, job, fallback);
}

/* ---- kinds of address -------------------------------------------------- */

static bool
to_user(struct router *r, struct job *job)
{
	struct user *u = user_find(r, job->to.bare);
	struct login *exact = NULL;

	if (job->to.resource.data == NULL)
		return to_bare(r, job, u, fates[job->f.type].bare);
	exact = unless_returned(job, user_session(u, job->to.full));
	if (exact != NULL)
		return to_exact(r, job, exact);
	if (fates[job->f.type].like_bare)
		return to_bare(r, job, u, fates[job->f.type].full);
	return to_nobody(r, job, fates[job->f.type].full);
}

/* A component that is logging in anew is waited for. */
static bool
to_component(struct router *r, struct job *job)
{
	struct login *s =
	    unless_returned(job, component_session(r, job->to.domain));
	struct user *u = user_find(r, job->to.domain);

	if (s != NULL)
		return to_exact(r, job, s);
	if (u != NULL && user_is_binding(u))
		return job_wait(job, &u->waiting);
	return bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
}

static bool
message_route(struct router *r, struct job *job)
{
	bool done;

	if (blocking_stops(r, job, &done))
		return done;
	switch ((enum address_kind)job->to.kind) {
	case ADDRESS_USER:
		return to_user(r, job);
	case ADDRESS_COMPONENT:
		return to_component(r, job);
	case ADDRESS_SERVER:
		return bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
	case ADDRESS_FOREIGN:
		break;
	}
	return bounce(r, job, STANZA_REMOTE_SERVER_NOT_FOUND, NULL);
}

/* It is in the log: it was stored, or could not be. */
static bool
stored(struct router *r, struct job *job)
{
	if (!job->applied || job->code == RES_OK)
		return job->applied;
	/* XEP-0160, 2: no more than fits. Or the account went meanwhile. */
	return bounce(r, job, STANZA_SERVICE_UNAVAILABLE,
	    job->code == RES_LIMIT ? "too many messages wait for this user"
				   : NULL);
}

/* Whether any session has got it, or is to. */
static bool
is_with_sessions(const struct job *job)
{
	const struct delivery *d;

	TAILQ_FOREACH(d, &job->deliveries, of_owner)
		if (d->id.key.kind == DKEY_FRAME)
			return true;
	return false;
}

/* Whether it has met its fate; `done` says whether that is over. */
static bool
has_fate(struct router *r, struct job *job, bool *done)
{
	if (job->fate == FATE_STORING) {
		*done = stored(r, job);
		return true;
	}
	if (job->fate == FATE_BOUNCING ||
	    (job->stage == 1 && job->pending > 0)) {
		*done = job->pending == 0;
		return true;
	}
	if (job->stage == 1 && is_with_sessions(job)) {
		*done = true;
		return true;
	}
	return false;
}

static bool
route_step(struct router *r, struct job *job)
{
	bool done;

	if (has_fate(r, job, &done))
		return done;
	if (job->f.type > TYPE_ERROR)
		return bounce(r, job, STANZA_BAD_REQUEST, "type");
	if (must_wait(r, job))
		return job_wait(job, &r->unsettled);
	if (was_refused(r, job))
		return stored(r, job);
	return was_done(r, job) || message_route(r, job);
}

/* Whether its sender has been told that it could not be delivered. */
static bool
was_bounced(const struct job *job)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = dkey_frame(job);
	id.sid = job->f.sid;
	return job->fate == FATE_BOUNCING ||
	    (!text_equal(job->to.full, job->f.from) && report_has(job, &id));
}

/*
 * When all have got it that it is for, the next of its lane may go; it is
 * acknowledged once it is archived as well. By rule 5 it was done under an
 * earlier leader if a later one of its lane was begun, and so were its copies;
 * not so its archiving, which is done again.
 */
bool
message_step(struct router *r, struct job *job)
{
	if (!job->routed) {
		if (!route_step(r, job))
			return false;
		job->routed = true;
		carbons_copy(r, job);
		archive_add(r, job, !was_bounced(job));
	}
	if (job->pending > 0)
		return false;
	job_leave_lane(r, job, LANE_ADDRESS);
	return archive_is_done(r, job);
}

/*
 * RFC 6121, 8.5.3.1: whom a session doesn't show its presence to isn't to find
 * out by a request that it is there. Components are this server's own services.
 */
static bool
is_stranger(struct router *r, const struct job *job, const struct login *s)
{
	struct address from;

	if ((job->f.type != TYPE_GET && job->f.type != TYPE_SET) ||
	    job->f.session_kind != SESSION_CLIENT)
		return false;
	address_read(r, job->f.from, &from);
	return !text_equal(from.bare, job->to.bare) &&
	    !roster_allows(r, s->user, from.bare) &&
	    directory_find_directed(s->entry, from.full) == NULL &&
	    directory_find_directed(s->entry, from.bare) == NULL;
}

/* An IQ for a session: to nobody else, and answered if that isn't there. */
bool
iq_to_session(struct router *r, struct job *job)
{
	struct login *exact;
	bool done;

	if (has_fate(r, job, &done))
		return done;
	if (must_wait(r, job))
		return job_wait(job, &r->unsettled);
	if (was_done(r, job))
		return true;
	if (blocking_stops(r, job, &done))
		return done;
	if (job->to.kind == ADDRESS_COMPONENT)
		return to_component(r, job);
	exact = unless_returned(
	    job, user_session(user_find(r, job->to.bare), job->to.full));
	if (exact != NULL && !is_stranger(r, job, exact))
		return to_exact(r, job, exact);
	return bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
}
