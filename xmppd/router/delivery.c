/*
 * Deliveries: what goes to a session, kept until its edge has accepted it.
 *
 *   in the outbox of the target's edge, in order; sent if the edge has
 *   announced on its link, and sent again after it has announced anew
 *   accepted: the owner (a job, the end of a session, a stored row) is told
 *   the session ends, or its edge refuses: dropped, and the owner is told
 *
 * A delivery is known by its id alone, which is the same after a change of
 * leader: so the edge can tell whether it has had it (rules 1 to 3 of
 * delivery(7)).
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/core.h"

struct dkey
dkey_frame(const struct job *job)
{
	struct dkey key;

	memset(&key, 0, sizeof(key));
	key.kind = DKEY_FRAME;
	key.origin = job->origin->id;
	key.num = job->f.num;
	return key;
}

struct dkey
dkey_told(const struct job *job, const struct sid *about)
{
	struct dkey key = dkey_frame(job);

	key.kind = DKEY_TOLD;
	key.about = *about;
	return key;
}

struct dkey
dkey_numbered(const struct job *job, uint32_t kind, uint64_t version)
{
	struct dkey key = dkey_frame(job);

	key.kind = kind;
	key.version = version;
	return key;
}

struct dkey
dkey_gone(const struct sid *about, uint64_t num)
{
	struct dkey key;

	memset(&key, 0, sizeof(key));
	key.kind = DKEY_GONE;
	key.about = *about;
	key.num = num;
	return key;
}

/* What a leader does of itself, and may be lost with it. */
struct dkey
dkey_term(struct router *r)
{
	struct dkey key;

	memset(&key, 0, sizeof(key));
	key.kind = DKEY_TERM;
	key.version = r->cfg.term;
	key.num = ++r->named;
	return key;
}

/* ---- sending ----------------------------------------------------------- */

/* Sends what was encoded into r->out. */
void
edge_send(struct router *r, struct edge_state *edge)
{
	r->env.down(
	    r->env.arg, edge->id.node, edge->id.edge, r->out.data, r->out.len);
	buf_reset(&r->out);
}

/* The payload with its `to` put in. */
static struct text
stamped(struct router *r, const struct delivery *d)
{
	struct buf *b = &r->scratch;
	struct text t;

	if (d->stamp == NULL)
		return d->payload;
	buf_reset(b);
	presence_stamp(b, d->payload, text_of(d->stamp));
	t.data = (const char *)b->data;
	t.len = b->len;
	return t;
}

static struct text
others_of(const struct job *job)
{
	return (struct text){ (const char *)job->others.data, job->others.len };
}

void
delivery_send(struct router *r, struct delivery *d)
{
	struct edge_state *edge = d->target->edge;
	struct down_deliver m;

	if (!edge->ready || d->target->moving)
		return;
	memset(&m, 0, sizeof(m));
	m.id = d->id;
	m.kind = d->kind;
	m.value = d->value;
	m.payload = stamped(r, d);
	if (d->owner == OWNER_JOB) {
		m.sender = d->of.job->f.sid;
		m.origin = d->of.job->origin->id;
		m.low = d->of.job->origin->low;
		if (d->id.key.kind == DKEY_FRAME) {
			m.lane = d->of.job->lane_id;
			m.others = others_of(d->of.job);
		}
	}
	down_deliver_encode(&r->out, r->cfg.term, &m);
	edge_send(r, edge);
}

/* Rules 2 and 3: the router says when a name need not be remembered. */
void
forget_everywhere(struct router *r, const struct dkey *key)
{
	struct edge_state *edge;

	TAILQ_FOREACH(edge, &r->edge_order, next) {
		if (!edge->ready)
			continue;
		down_forget_encode(&r->out, r->cfg.term, key);
		edge_send(r, edge);
	}
}

/* ---- life -------------------------------------------------------------- */

static void
delivery_queue(struct router *r, struct delivery *d, const struct dispatch *w)
{
	d->id.key = w->key;
	d->id.sid = w->target->sid;
	d->kind = w->kind;
	d->target = w->target;
	d->value = w->value;
	d->payload = w->payload;
	d->hold = bytes_ref(w->hold);
	d->stamp = text_dup(w->stamp);
	d->accepted = false;
	if (!d->embedded)
		map_put(&r->deliveries, &d->id, sizeof(d->id), d);
	TAILQ_INSERT_TAIL(&w->target->edge->outbox, d, in_outbox);
	TAILQ_INSERT_TAIL(&w->target->deliveries, d, of_target);
	delivery_send(r, d);
}

/* It isn't under way any more. */
static void
delivery_unlink(struct delivery *d)
{
	if (d->target == NULL)
		return;
	TAILQ_REMOVE(&d->target->edge->outbox, d, in_outbox);
	TAILQ_REMOVE(&d->target->deliveries, d, of_target);
	d->target = NULL;
}

void
delivery_free(struct router *r, struct delivery *d)
{
	delivery_unlink(d);
	if (d->owner == OWNER_JOB)
		TAILQ_REMOVE(&d->of.job->deliveries, d, of_owner);
	bytes_unref(d->hold);
	free(d->stamp);
	if (d->embedded) {
		d->embedded = false;
		return;
	}
	map_remove(&r->deliveries, &d->id, sizeof(d->id));
	free(d);
}

/* The only delivery of most jobs is part of the job, and found through it. */
static struct delivery *
embedded_find(struct router *r, const struct delivery_id *id)
{
	struct origin_state *o = origin_find(r, &id->key.origin);
	struct slot *slot = o == NULL ? NULL : origin_slot(o, id->key.num);
	struct job *job = slot == NULL ? NULL : slot->job;

	if (job == NULL || !job->first.embedded ||
	    !sid_equal(&job->first.id.sid, &id->sid))
		return NULL;
	return &job->first;
}

struct delivery *
delivery_find(struct router *r, const struct delivery_id *id)
{
	struct delivery *d = NULL;

	if (id->key.kind == DKEY_FRAME)
		d = embedded_find(r, id);
	return d != NULL ? d : map_find(&r->deliveries, id, sizeof(*id));
}

/* Whether this delivery has been made, or is under way (rules 1 and 5). */
static bool
is_known(struct router *r, const struct job *job, const struct dispatch *w)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = w->key;
	id.sid = w->target->sid;
	return (job != NULL && report_has(job, &id)) ||
	    delivery_find(r, &id) != NULL;
}

static struct delivery *
delivery_new(uint8_t owner)
{
	struct delivery *d = xcalloc(1, sizeof(*d));

	d->owner = owner;
	return d;
}

void
job_deliver(struct router *r, struct job *job, const struct dispatch *w)
{
	struct delivery *d;

	if (is_known(r, job, w))
		return;
	if (w->key.kind == DKEY_FRAME && !job->first.embedded) {
		d = &job->first;
		d->embedded = true;
		d->owner = OWNER_JOB;
	} else {
		d = delivery_new(OWNER_JOB);
	}
	d->of.job = job;
	TAILQ_INSERT_TAIL(&job->deliveries, d, of_owner);
	job->pending++;
	delivery_queue(r, d, w);
}

void
end_deliver(struct router *r, struct login *ending, const struct dispatch *w)
{
	struct delivery *d;

	if (is_known(r, NULL, w))
		return;
	d = delivery_new(OWNER_END);
	d->of.ending = ending;
	ending->ending++;
	delivery_queue(r, d, w);
}

/* Of nobody who would wait for it. */
void
session_deliver(struct router *r, const struct dispatch *w)
{
	delivery_queue(r, delivery_new(OWNER_NONE), w);
}

struct delivery *
row_deliver(struct router *r, struct handed *row, const struct dispatch *w)
{
	struct delivery *d = delivery_new(OWNER_ROW);

	d->of.row = row;
	delivery_queue(r, d, w);
	return d;
}

/* ---- what became of it ------------------------------------------------- */

/* A message or IQ looks at its deliveries again; the rest only counts them. */
static bool
is_looked_at(const struct job *job)
{
	return job->f.kind == FRAME_MESSAGE || job->f.kind == FRAME_IQ ||
	    job->f.kind >= FRAME_RESUME;
}

static void
job_accepted(struct router *r, struct delivery *d)
{
	struct job *job = d->of.job;

	job->pending--;
	if (!d->embedded && !is_looked_at(job))
		delivery_free(r, d);
	if (job->pending == 0)
		job_wake(r, job);
}

/* Nobody asks for its name again. */
static void
nobodys_accepted(struct router *r, struct delivery *d, struct login *target)
{
	const struct dkey key = d->id.key;

	delivery_free(r, d);
	if (key.kind != DKEY_TERM)
		return;
	if (target->edge->ready) {
		down_forget_encode(&r->out, r->cfg.term, &key);
		edge_send(r, target->edge);
	}
	greeting_accepted(r, target);
}

void
delivery_accepted(struct router *r, struct delivery *d)
{
	struct login *target = d->target;

	if (d->accepted)
		return;
	delivery_unlink(d);
	d->accepted = true;
	if (d->kind == DELIVER_BOUND) {
		target->told = true;
		user_touch(r, target->user);
	}
	if (d->owner == OWNER_JOB) {
		job_accepted(r, d);
	} else if (d->owner == OWNER_END) {
		struct login *ending = d->of.ending;

		delivery_free(r, d);
		login_told_end(r, ending);
	} else if (d->owner == OWNER_ROW) {
		struct handed *row = d->of.row;

		delivery_free(r, d);
		offline_accepted(r, row);
	} else {
		nobodys_accepted(r, d, target);
	}
}

void
delivery_drop(struct router *r, struct delivery *d)
{
	if (d->owner == OWNER_JOB) {
		struct job *job = d->of.job;

		job->pending--;
		delivery_free(r, d);
		job_wake(r, job);
	} else if (d->owner == OWNER_END) {
		struct login *ending = d->of.ending;

		delivery_free(r, d);
		login_told_end(r, ending);
	} else if (d->owner == OWNER_ROW) {
		struct handed *row = d->of.row;

		delivery_free(r, d);
		offline_dropped(r, row);
	} else {
		delivery_free(r, d);
	}
}
