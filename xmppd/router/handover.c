/*
 * A session goes on at another edge (XEP-0198, 5): its client has come back
 * there. Two frames of two edges meet here, and either may be sent again to a
 * later leader:
 *
 *   FRAME_RESUME   from the new connection, under a sid of its own
 *     -> DELIVER_YIELD to the session: its old edge stops taking deliveries
 *   FRAME_YIELD    from there, with all that the session is
 *     -> the session moves: an event of the directory; at a majority (rule 8)
 *     -> DELIVER_RESUMED to the new connection; accepted: the session is there,
 *        and what has waited for it goes there; both frames are done
 *
 * The session keeps its sid: all that is named by it stays what it is. If the
 * new connection is gone before it has the state, the session moves back, and
 * its old edge is told to keep it (DELIVER_KEEP). A session that moves doesn't
 * end, therefore, while its state is in a frame here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/router/core.h"

#define PAST_MAX 10000

enum resume_stage { RESUME_ASK, RESUME_YIELD, RESUME_MOVE, RESUME_GIVE };
enum yield_stage { YIELD_OFFERED, YIELD_KEPT };

/* A session that could have been resumed, and has ended. */
struct past {
	TAILQ_ENTRY(past) next;
	struct sid sid; /* key of router.past_sids */
	char *bare, *handled;
};

/* ---- sessions that have ended ------------------------------------------ */

static void
past_free(struct router *r, struct past *p)
{
	TAILQ_REMOVE(&r->past, p, next);
	map_remove(&r->past_sids, &p->sid, sizeof(p->sid));
	free(p->bare);
	free(p->handled);
	free(p);
}

void
handover_note_end(struct router *r, const struct login *s, struct text handled)
{
	struct past *p;

	if (handled.data == NULL || s->user == NULL ||
	    map_find(&r->past_sids, &s->sid, sizeof(s->sid)) != NULL)
		return;
	if (r->past_sids.count >= PAST_MAX)
		past_free(r, TAILQ_FIRST(&r->past));
	p = xcalloc(1, sizeof(*p));
	p->sid = s->sid;
	p->bare = xstrdup(s->user->bare);
	p->handled = text_dup(handled);
	TAILQ_INSERT_TAIL(&r->past, p, next);
	map_put(&r->past_sids, &p->sid, sizeof(p->sid), p);
}

void
handover_free(struct router *r)
{
	while (!TAILQ_EMPTY(&r->past))
		past_free(r, TAILQ_FIRST(&r->past));
	map_clear(&r->past_sids);
}

/* ---- moving ------------------------------------------------------------ */

static bool
is_at(const struct login *s, const struct origin_state *o)
{
	return s->edge->id.node == o->id.node && s->edge->id.edge == o->id.edge;
}

static void
moving_set(struct router *r, struct login *s, bool moving)
{
	if (s->moving == moving)
		return;
	s->moving = moving;
	if (moving)
		TAILQ_INSERT_TAIL(&r->moving, s, next_moving);
	else
		TAILQ_REMOVE(&r->moving, s, next_moving);
}

/* What is on its way to it follows it. */
static void
login_move(struct router *r, struct login *s, struct edge_state *to,
    const struct sid *heir)
{
	struct delivery *d;

	TAILQ_REMOVE(&s->edge->sessions, s, of_edge);
	TAILQ_FOREACH(d, &s->deliveries, of_target) {
		TAILQ_REMOVE(&s->edge->outbox, d, in_outbox);
		TAILQ_INSERT_TAIL(&to->outbox, d, in_outbox);
	}
	s->edge = to;
	TAILQ_INSERT_TAIL(&to->sessions, s, of_edge);
	directory_move(r->directory, &r->out, &s->sid, &to->origin->id, heir);
}

/* It takes deliveries again, and kicks. */
static void
settle(struct router *r, struct login *s)
{
	struct delivery *d;

	moving_set(r, s, false);
	TAILQ_FOREACH(d, &s->deliveries, of_target)
		delivery_send(r, d);
	login_relinked(r, s);
}

void
handover_adopt(struct router *r, struct login *s)
{
	if (s->entry->moved)
		moving_set(r, s, true);
}

void
handover_shown(struct router *r, struct login *s)
{
	moving_set(r, s, false);
}

/* Whether what an edge shows is the session, and not what it was before it went
 * elsewhere. */
bool
handover_is_its(const struct login *s, const struct edge_state *edge,
    const struct up_session *m)
{
	return s->edge == edge &&
	    (s->entry == NULL || !m->bound ||
		sid_equal(&m->came, &s->entry->heir));
}

void
handover_gone(struct router *r, struct login *s)
{
	moving_set(r, s, false);
	job_wake_all(r, &r->resuming);
}

/* Whether it has moved back instead of ending. */
bool
handover_saves(struct router *r, struct login *s)
{
	struct edge_state *edge;
	struct text came;
	struct sid heir;

	if (!s->moving || s->yield == NULL)
		return false;
	came = s->yield->f.lang;
	if (!sids_next(&came, &heir))
		return false;
	edge =
	    edge_get(r, s->yield->origin->id.node, s->yield->origin->id.edge);
	if (edge->dead || edge->origin != s->yield->origin)
		return false;
	s->heir = NULL;
	login_move(r, s, edge, &heir);
	s->back = mirror_event(r);
	moving_set(r, s, false);
	job_wake_all(r, &r->resuming);
	return true;
}

/* Nobody is left who might finish what an earlier leader has begun. */
void
handover_tick(struct router *r)
{
	const struct text none = { NULL, 0 };
	const uint64_t limit =
	    (uint64_t)r->cfg.hold_ms + (uint64_t)r->cfg.margin_ms;
	struct login *s, *next;

	job_wake_all(r, &r->resuming);
	if (!r->settled)
		return;
	for (s = TAILQ_FIRST(&r->moving); s != NULL; s = next) {
		next = TAILQ_NEXT(s, next_moving);
		if (s->heir == NULL && s->edge->ready &&
		    (s->yield != NULL || r->now - r->began >= limit))
			login_end(r, s, none);
	}
}

/* ---- FRAME_RESUME ------------------------------------------------------ */

/* The session that is wanted, if it may be had. */
static struct login *
wanted(struct router *r, const struct job *job)
{
	struct text id = job->f.child;
	struct login *s;
	struct sid sid;

	if (!sids_next(&id, &sid))
		return NULL;
	s = login_find(r, &sid);
	return s != NULL && s->state == SESSION_BOUND && !s->refused &&
		text_is(job->to.bare, s->user->bare)
	    ? s
	    : NULL;
}

/* The job has nothing to do with the other session any more. */
static void
let_go(struct router *r, const struct job *job)
{
	struct text id = job->f.child;
	struct login *old;
	struct sid sid;

	if (!sids_next(&id, &sid))
		return;
	old = login_find(r, &sid);
	if (old != NULL && old->heir == job && !handover_saves(r, old))
		old->heir = NULL;
	job_wake_all(r, &r->resuming);
}

static bool
refuse(struct router *r, struct job *job, struct login *s, struct text why)
{
	struct dispatch w = { .target = s, .kind = DELIVER_REFUSED };

	let_go(r, job);
	job->fate = FATE_BOUNCING;
	w.key = dkey_frame(job);
	w.hold = bytes_new(why.data, why.len);
	w.payload = (struct text){ w.hold->data, w.hold->len };
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	return job->pending == 0;
}

/* There is no such session; perhaps there was. */
static bool
refuse_unknown(struct router *r, struct job *job, struct login *s)
{
	const struct past *p = NULL;
	struct text id = job->f.child;
	struct buf b = { 0 };
	struct sid sid;
	bool done;

	if (sids_next(&id, &sid))
		p = map_find(&r->past_sids, &sid, sizeof(sid));
	buf_add_str(&b, "item-not-found");
	if (p != NULL && text_is(job->to.bare, p->bare))
		buf_addf(&b, " %s", p->handled);
	done = refuse(r, job, s, (struct text){ (const char *)b.data, b.len });
	buf_clear(&b);
	return done;
}

/* Asks its edge for it. */
static bool
resume_ask(struct router *r, struct job *job, struct login *old)
{
	struct dispatch w = { .target = old, .kind = DELIVER_YIELD };
	struct buf b = { 0 };

	if (old->heir == NULL && old->moving &&
	    sid_equal(&old->entry->heir, &job->f.sid)) {
		old->heir = job; /* under an earlier leader */
		job->stage = RESUME_MOVE;
		return true;
	}
	if (old->heir != NULL || old->moving || !login_is_live(old) ||
	    (job->f.resent && !r->grace_over))
		return job_wait(job, &r->resuming);
	old->heir = job;
	job->stage = RESUME_YIELD;
	buf_addf(&b, "%.*s ", (int)job->f.lang.len, job->f.lang.data);
	sids_add(&b, &job->f.sid);
	buf_add(&b, job->f.child.data, job->f.child.len);
	w.key = dkey_frame(job);
	w.hold = bytes_new(b.data, b.len);
	w.payload = (struct text){ w.hold->data, w.hold->len };
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
	return true;
}

/* What an earlier leader has asked for comes again at once, or never: the
 * session was kept. Its client may ask again. */
static bool
was_kept(const struct router *r, const struct job *job)
{
	return job->f.resent && r->settled &&
	    r->now - r->began >= (uint64_t)r->cfg.hold_ms;
}

static bool
resume_take(
    struct router *r, struct job *job, struct login *s, struct login *old)
{
	if (old->yield == NULL && was_kept(r, job))
		return refuse_unknown(r, job, s);
	if (old->yield == NULL)
		return job_wait(job, &r->resuming);
	if (old->yield->f.child.data != NULL)
		return refuse(r, job, s, old->yield->f.child);
	moving_set(r, old, true);
	login_move(r, old, s->edge, &job->f.sid);
	job->seq = mirror_event(r);
	job->stage = RESUME_MOVE;
	return true;
}

static bool
resume_give(
    struct router *r, struct job *job, struct login *s, const struct login *old)
{
	struct dispatch w = { .target = s, .kind = DELIVER_RESUMED };

	if (!job_wait_majority(r, job, job->seq))
		return false;
	if (old->yield == NULL)
		return job_wait(job, &r->resuming);
	job->stage = RESUME_GIVE;
	w.key = dkey_frame(job);
	w.payload = old->yield->f.payload;
	w.hold = bytes_new(w.payload.data, w.payload.len);
	w.payload.data = w.hold->data;
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	return true;
}

static bool
was_taken(const struct job *job, const struct login *s)
{
	const struct delivery *d;
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = dkey_frame(job);
	id.sid = s->sid;
	if (report_has(job, &id))
		return true;
	TAILQ_FOREACH(d, &job->deliveries, of_owner)
		if (d->accepted && sid_equal(&d->id.sid, &s->sid))
			return true;
	return false;
}

static bool
resume_finish(
    struct router *r, struct job *job, struct login *s, struct login *old)
{
	if (!was_taken(job, s)) {
		/* It goes; its unbind follows. */
		s->bind = NULL;
		let_go(r, job);
		return true;
	}
	old->heir = NULL;
	old->yield = NULL;
	old->told = true;
	settle(r, old);
	job_wake_all(r, &r->resuming);
	login_free(r, s);
	return true;
}

bool
resume_step(struct router *r, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid), *old;
	bool go = true;

	if (s == NULL || s->bind != job) {
		let_go(r, job); /* the connection that asked is gone */
		return true;
	}
	if (!r->complete && !r->settled)
		return job_wait(job, &r->unsettled);
	while (go && job->pending == 0 && job->fate == FATE_OPEN) {
		old = wanted(r, job);
		if (old == NULL)
			go = refuse_unknown(r, job, s);
		else if (job->stage == RESUME_ASK)
			go = resume_ask(r, job, old);
		else if (job->stage == RESUME_YIELD)
			go = resume_take(r, job, s, old);
		else if (job->stage == RESUME_MOVE)
			go = resume_give(r, job, s, old);
		else
			return resume_finish(r, job, s, old);
	}
	if (job->fate != FATE_BOUNCING || job->pending > 0)
		return false;
	login_free(r, s);
	return true;
}

/* ---- FRAME_YIELD ------------------------------------------------------- */

/* Its edge goes on with it. */
static bool
yield_keep(struct router *r, struct job *job, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_KEEP };

	if (job->stage == YIELD_KEPT) {
		if (job->pending == 0)
			settle(r, s);
		return job->pending == 0;
	}
	if (!job_wait_majority(r, job, s->back))
		return false;
	job->stage = YIELD_KEPT;
	w.key = dkey_frame(job);
	w.payload = job->f.id;
	job_deliver(r, job, &w);
	return false;
}

/* Whether it is what the session's heir waits for; or, under a later leader,
 * what it moved with. Else it is of an heir before. */
static bool
is_of_heir(const struct job *job, const struct login *s)
{
	struct text id = job->f.id;
	struct sid sid;

	if (!sids_next(&id, &sid))
		return false;
	if (s->heir != NULL)
		return sid_equal(&sid, &s->heir->f.sid);
	return s->moving && sid_equal(&sid, &s->entry->heir);
}

/* Whether its edge has been told to keep it, under this leader or before. */
static bool
was_decided(const struct job *job, const struct login *s)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = dkey_frame(job);
	id.sid = s->sid;
	return job->stage == YIELD_KEPT || report_has(job, &id);
}

bool
yield_step(struct router *r, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);

	/* The new connection's frame may come again, too. */
	if (job->f.resent && !r->grace_over)
		return job_wait(job, &r->unsettled);
	if (s == NULL || s->state != SESSION_BOUND)
		return true;
	if (is_of_heir(job, s) && !was_decided(job, s)) {
		if (s->yield != job)
			job_wake_all(r, &r->resuming);
		s->yield = job;
		return job_wait(job, &r->resuming);
	}
	if (s->yield == job)
		s->yield = NULL;
	/* It has got there, or doesn't go; or wasn't to go. */
	if (!is_at(s, job->origin) || job->f.child.data != NULL)
		return true;
	return yield_keep(r, job, s);
}
