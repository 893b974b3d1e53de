/*
 * Jobs: frames that aren't finished, and the loop that takes their steps.
 *
 * A job runs when it is new or was woken. Its step returns true when all that
 * came of the frame is done; it is then acknowledged, and remembered until the
 * edge's low-water mark has passed it. A step that cannot go on puts the job on
 * a list (job_wait()) before it returns false.
 */
#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/extension.h"

static const job_step steps[] = {
	[FRAME_BIND] = bind_step,
	[FRAME_UNBIND] = unbind_step,
	[FRAME_MESSAGE] = message_step,
	[FRAME_PRESENCE] = presence_step,
	[FRAME_IQ] = iq_step,
	[FRAME_RESUME] = resume_step,
	[FRAME_YIELD] = yield_step,
	[FRAME_RETURN] = return_step,
};

/* ---- waiting and waking ------------------------------------------------ */

static void
job_unwait(struct job *job)
{
	if (job->on == NULL)
		return;
	TAILQ_REMOVE(job->on, job, waiting);
	job->on = NULL;
}

/* Always false, so that a step can return it. */
bool
job_wait(struct job *job, struct job_list *list)
{
	job_unwait(job);
	job->on = list;
	TAILQ_INSERT_TAIL(list, job, waiting);
	return false;
}

/* Whether the event is at a majority; if not, the job is woken when it is. */
bool
job_wait_majority(struct router *r, struct job *job, uint64_t seq)
{
	if (mirror_has(r, seq))
		return true;
	mirror_wait_add(r, &job->mirror, seq);
	return false;
}

void
job_propose(struct router *r, struct job *job, uint64_t note,
    struct store_op *ops, size_t count)
{
	struct store_effect effect = { .note = note, .count = count };
	struct buf b = { 0 };

	effect.origin = job->origin->id;
	effect.num = job->f.num;
	effect.low = job->origin->low;
	effect.ops = ops;
	store_cmd_effect(&b, &effect);
	r->env.propose(r->env.arg, b.data, b.len);
	buf_clear(&b);
}

void
job_wake(struct router *r, struct job *job)
{
	if (job->queued)
		return;
	job_unwait(job);
	job->queued = true;
	TAILQ_INSERT_TAIL(&r->run, job, running);
}

void
job_wake_all(struct router *r, struct job_list *list)
{
	struct job *job;

	while ((job = TAILQ_FIRST(list)) != NULL)
		job_wake(r, job);
}

/* ---- lanes ------------------------------------------------------------- */

/*
 * Rule 6 of delivery(7): a frame waits for every earlier unfinished frame of
 * the same session to the same bare address, and for nothing else; but presence
 * also for earlier presence, since presence to all says something to each.
 * Those of a lane are threaded; the map leads to the newest, whose key it uses.
 */
static void
lane_enter(struct router *r, struct job *job, enum lane lane)
{
	struct lane_place *place = &job->lanes[lane];
	struct job *ahead = map_put(&r->lanes, place->key, place->len, job);

	if (ahead == NULL)
		return;
	place->ahead = ahead;
	ahead->lanes[lane].behind = job;
}

/* The newest of a lane goes. */
static void
lane_shorten(struct router *r, const struct lane_place *place, enum lane lane)
{
	const struct lane_place *newest;

	if (place->ahead == NULL) {
		map_remove(&r->lanes, place->key, place->len);
		return;
	}
	newest = &place->ahead->lanes[lane];
	map_put(&r->lanes, newest->key, newest->len, place->ahead);
}

static bool
is_first(const struct job *job)
{
	return job->lanes[LANE_ADDRESS].ahead == NULL &&
	    job->lanes[LANE_PRESENCE].ahead == NULL;
}

void
job_leave_lane(struct router *r, struct job *job, enum lane lane)
{
	struct lane_place *place = &job->lanes[lane];
	struct job *behind = place->behind;

	if (place->key == NULL)
		return;
	if (behind == NULL)
		lane_shorten(r, place, lane);
	else
		behind->lanes[lane].ahead = place->ahead;
	if (place->ahead != NULL)
		place->ahead->lanes[lane].behind = behind;
	memset(place, 0, sizeof(*place));
	if (behind != NULL && is_first(behind))
		job_wake(r, behind);
}

/* ---- life -------------------------------------------------------------- */

static bool
is_stanza(const struct up_frame *f)
{
	return f->kind == FRAME_MESSAGE || f->kind == FRAME_PRESENCE ||
	    f->kind == FRAME_IQ || f->kind == FRAME_RETURN;
}

static bool
says_presence(const struct up_frame *f)
{
	return f->kind == FRAME_PRESENCE &&
	    (f->type == TYPE_NONE || f->type == TYPE_UNAVAILABLE);
}

/* Whether a frame holds what its kind needs. */
static bool
frame_is_whole(const struct up_frame *f)
{
	if (f->kind == FRAME_UNBIND)
		return true;
	if (f->to.data == NULL && f->kind != FRAME_PRESENCE)
		return false;
	if (f->to.data != NULL && f->to.len == 0)
		return false;
	if (f->kind == FRAME_BIND || f->kind == FRAME_YIELD)
		return true;
	if (f->kind == FRAME_RESUME)
		return f->child.data != NULL && f->lang.data != NULL;
	return f->payload.data != NULL && f->from.data != NULL;
}

/* A job with a copy of its message, and room for the key of its lane. */
static struct job *
job_new(const void *msg, size_t len, const struct up_frame *f)
{
	struct job *job =
	    xmalloc(sizeof(*job) + len + sizeof(f->sid) + f->to.len);
	struct cursor c;

	memset(job, 0, sizeof(*job));
	memcpy(job->raw, msg, len);
	TAILQ_INIT(&job->deliveries);
	job->mirror.job = job;
	cursor_init(&c, job->raw, len);
	up_frame_decode(&c, &job->f);
	return job;
}

/* FNV-1a: the same on all nodes, and a session harms only itself by finding
 * addresses that collide. Never 0. */
static uint64_t
lane_hash(const char *key, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)key[i]) * 0x100000001b3ULL;
	return hash | 1;
}

/* The keys of its lanes: the session, and the bare address behind it. */
static void
job_enter_lanes(struct router *r, struct job *job, size_t len)
{
	const struct text bare = job->to.bare;
	char *key = job->raw + len;
	size_t size = sizeof(job->f.sid);

	memcpy(key, &job->f.sid, size);
	if (says_presence(&job->f)) {
		job->lanes[LANE_PRESENCE].key = key;
		job->lanes[LANE_PRESENCE].len = size;
		lane_enter(r, job, LANE_PRESENCE);
	}
	if (bare.data != NULL) {
		memcpy(key + size, bare.data, bare.len);
		size += bare.len;
		job->lanes[LANE_ADDRESS].key = key;
		job->lanes[LANE_ADDRESS].len = size;
		lane_enter(r, job, LANE_ADDRESS);
	}
	job->lane_id = lane_hash(key, size);
}

void
job_free(struct router *r, struct job *job)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&job->deliveries)) != NULL)
		delivery_free(r, d);
	if (job->queued)
		TAILQ_REMOVE(&r->run, job, running);
	job_unwait(job);
	mirror_wait_remove(r, &job->mirror);
	plan_free(r, job);
	bytes_unref(job->memo);
	buf_clear(&job->others);
	buf_clear(&job->stamped);
	free(job);
}

static void
job_ack(struct router *r, const struct origin_state *o, uint64_t num)
{
	struct edge_state *edge = edge_get(r, o->id.node, o->id.edge);
	const struct down_ack m = { o->id, num };

	if (!edge->ready || edge->origin != o)
		return;
	down_ack_encode(&r->out, r->cfg.term, &m);
	edge_send(r, edge);
}

static void
job_finish(struct router *r, struct job *job)
{
	struct origin_state *o = job->origin;
	struct slot *slot = origin_slot(o, job->f.num);

	if (job->f.kind == FRAME_MESSAGE && job->fate != FATE_BOUNCING &&
	    job->to.kind == ADDRESS_USER)
		extensions_message(r, job);
	slot->job = NULL;
	slot->finished = true;
	o->busy--;
	job_ack(r, o, job->f.num);
	job_leave_lane(r, job, LANE_ADDRESS);
	job_leave_lane(r, job, LANE_PRESENCE);
	job_free(r, job);
	if (o->ended && o->busy == 0)
		origin_free(r, o);
}

/* ---- frames come in ---------------------------------------------------- */

/* Notes the frame's number: 1 if it is new, 0 if it is known, or RES_INVALID.
 */
static int
job_register(struct router *r, struct job *job)
{
	struct origin_state *o = job->origin;
	struct slot *slot;
	int rv;

	rv = origin_set_low(o, job->f.low);
	if (rv != RES_OK || job->f.num < o->low)
		return rv;
	rv = origin_reserve(o, job->f.num);
	if (rv != RES_OK)
		return rv;
	slot = origin_slot(o, job->f.num);
	if (slot->finished)
		job_ack(r, o, job->f.num);
	if (slot->finished || slot->job != NULL)
		return 0;
	slot->job = job;
	o->busy++;
	return 1;
}

int
job_receive(struct router *r, struct edge_state *edge, struct cursor *c)
{
	const void *msg = c->p;
	size_t len = cursor_left(c);
	struct up_frame f;
	struct job *job;
	bool begins;
	int rv;

	if (up_frame_decode(c, &f) != RES_OK || !frame_is_whole(&f))
		return RES_INVALID;
	begins = f.kind == FRAME_BIND || f.kind == FRAME_RESUME;
	/* Later it may have gone on elsewhere (handover.c). */
	if (begins &&
	    (f.sid.node != edge->id.node || f.sid.edge != edge->id.edge))
		return RES_INVALID;
	job = job_new(msg, len, &f);
	job->origin = edge->origin;
	rv = job_register(r, job);
	if (rv != 1) {
		if (rv == RES_OK && f.kind == FRAME_BIND)
			bind_repeated(r, &f.sid);
		free(job);
		return rv;
	}
	if (f.to.data != NULL)
		address_read(r, job->f.to, &job->to);
	if (is_stanza(&f))
		job_enter_lanes(r, job, len);
	if (begins)
		bind_received(r, edge, job);
	job_wake(r, job);
	return RES_OK;
}

/* ---- the loop ---------------------------------------------------------- */

/*
 * Without a complete directory a session that its edge announces as bound may
 * have to get to a majority again; what it sends waits for that.
 */
static bool
sender_counts(struct router *r, struct job *job)
{
	struct login *s;

	if (r->complete || !is_stanza(&job->f))
		return true;
	s = login_find(r, &job->f.sid);
	if (s == NULL || s->state >= SESSION_BOUND)
		return true;
	return job_wait(job, &s->waiters);
}

static void
job_run(struct router *r, struct job *job)
{
	if (!is_first(job) || !sender_counts(r, job))
		return;
	job_unwait(job);
	if (steps[job->f.kind](r, job))
		job_finish(r, job);
}

static void
user_run(struct router *r, struct user *u)
{
	job_wake_all(r, &u->waiting);
	offline_hand_out(r, u);
	greeting_run(r, u);
	user_release(r, u);
}

/* Takes steps until nothing is left that was woken. */
void
router_run(struct router *r)
{
	struct job *job;
	struct user *u;

	for (;;) {
		mirror_run(r);
		if ((job = TAILQ_FIRST(&r->run)) != NULL) {
			TAILQ_REMOVE(&r->run, job, running);
			job->queued = false;
			job_run(r, job);
		} else if ((u = TAILQ_FIRST(&r->touched)) != NULL) {
			TAILQ_REMOVE(&r->touched, u, next_touched);
			u->touched = false;
			user_run(r, u);
		} else {
			break;
		}
	}
	archive_flush(r);
}
