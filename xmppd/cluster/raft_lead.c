/*
 * A leader's duties: the barrier before it counts as one, proposals, changes
 * of the configuration, the lease, copies of the state for those who lag, and
 * handing over.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/raft_core_impl.h"

/* Entries that are committed but not yet applied: no more are proposed. */
#define BACKLOG 256

/* Who says nothing for so many election time-outs isn't waited for. */
#define GONE_FACTOR 4

/* wants_copy() is called again after this long. */
#define COPY_AGAIN_MS 30000

static struct raft_follower *
follower_find(struct raft_core *c, uint32_t id)
{
	for (size_t i = 0; i < c->follower_count; i++)
		if (c->followers[i].id == id)
			return &c->followers[i];
	return NULL;
}

static struct raft_follower *
follower_get(struct raft_core *c, uint32_t id)
{
	struct raft_follower *f = follower_find(c, id);

	if (f != NULL)
		return f;
	c->followers =
	    xrealloc(c->followers, (c->follower_count + 1) * sizeof(*f));
	f = &c->followers[c->follower_count++];
	*f = (struct raft_follower){ .id = id };
	return f;
}

static bool
was_heard(const struct raft_core *c, const struct raft_follower *f)
{
	return f != NULL && f->heard != 0 &&
	    raft_core_now(c) - f->heard < c->cfg.election_ms;
}

void
raft_lead_answered(
    struct raft_core *c, uint32_t from, const struct raft_stamp *stamp)
{
	struct raft_follower *f = follower_get(c, from);
	uint64_t index;

	/* It was gone: a copy that was on its way isn't any more. */
	if (!was_heard(c, f))
		f->asked = 0;
	f->heard = raft_core_now(c);
	f->willing = stamp->willing;
	f->synced = stamp->synced;
	if (stamp->echo != 0)
		raft_lease_echo(c->lease, from, stamp->echo);
	if (raft_io_snapshot_waits(c->io, from, &index) && f->synced >= index) {
		f->asked = 0;
		raft_io_snapshot(c->io, from);
	}
}

/* It may have restarted: a copy that was on its way isn't any more. */
void
raft_lead_lost_touch(struct raft_core *c, uint32_t id)
{
	struct raft_follower *f = follower_find(c, id);

	if (f != NULL)
		f->asked = 0;
}

bool
raft_lead_has_state(struct raft_core *c, uint32_t to, uint64_t index)
{
	return follower_get(c, to)->synced >= index;
}

/* Asks for a copy for each server whose marker waits for one. */
static void
ask_for_copies(struct raft_core *c)
{
	uint64_t now = raft_core_now(c), index;

	for (size_t i = 0; i < c->follower_count; i++) {
		struct raft_follower *f = &c->followers[i];

		if (!raft_io_snapshot_waits(c->io, f->id, &index) ||
		    (f->asked != 0 && now - f->asked < COPY_AGAIN_MS))
			continue;
		f->asked = now;
		f->catching_up = true;
		c->hooks.wants_copy(c->hooks.arg, f->id, index);
	}
}

/*
 * Whether the log has to be kept as it is, for somebody who is given a copy of
 * the state and will need what came after it.
 */
bool
raft_lead_keeps_log(struct raft_core *c)
{
	const struct raft *r = &c->raft;
	bool keeps = false;

	if (c->lead_term == 0)
		return false;
	for (unsigned i = 0; i < r->configuration.n; i++) {
		struct raft_follower *f =
		    follower_find(c, (uint32_t)r->configuration.servers[i].id);

		if (f == NULL || !f->catching_up)
			continue;
		if (r->leader_state.progress[i].match_index + c->cfg.trailing >=
			r->last_applied ||
		    raft_core_now(c) - f->heard >
			(uint64_t)c->cfg.election_ms * GONE_FACTOR)
			f->catching_up = false;
		keeps |= f->catching_up;
	}
	return keeps;
}

/* ---- the barrier -------------------------------------------------------- */

static void
barrier_cb(struct raft_barrier *req, int status)
{
	struct raft_core *c = req->data;

	c->barrier_done = status == 0;
}

static void
begin_leading(struct raft_core *c)
{
	c->lead_term = c->raft.current_term;
	c->lead_since = raft_core_now(c);
	c->barrier_begun = false;
	c->barrier_done = false;
	c->follower_count = 0;
	raft_lease_begin(c->lease);
}

/*
 * Trap 5: 0.15.0 commits entries of older terms by counting. With a barrier
 * appended before any answer is looked at, what is counted is the barrier, of
 * this term, and what is before it comes along.
 */
static bool
begin_barrier(struct raft_core *c)
{
	int rv;

	if (c->barrier_begun)
		return false;
	c->barrier_begun = true;
	c->barrier.data = c;
	rv = raft_barrier(&c->raft, &c->barrier, barrier_cb);
	if (rv != 0)
		raft_core_fail(c, "raft: no barrier");
	return rv == 0;
}

/* ---- handing over ------------------------------------------------------- */

static void
hand_end(struct raft_core *c, int code, const char *text)
{
	raft_node_done done = c->hand_done;

	c->hand = HAND_NONE;
	c->hand_done = NULL;
	if (done != NULL)
		done(c->hand_arg, code, text);
}

/* Who is near, up to date and wishes to lead; 0: nobody. */
static uint32_t
hand_target(struct raft_core *c)
{
	const struct raft *r = &c->raft;
	uint64_t best = 0, match;
	uint32_t to = 0;

	for (unsigned i = 0; i < r->configuration.n; i++) {
		const struct raft_server *s = &r->configuration.servers[i];
		struct raft_follower *f = follower_find(c, (uint32_t)s->id);

		match = r->leader_state.progress[i].match_index;
		if (s->role != RAFT_VOTER || s->id == r->id ||
		    !was_heard(c, f) || !f->willing || match < best)
			continue;
		best = match;
		to = f->id;
	}
	return to;
}

/* The permission to stand is about to leave: the lease is gone for this term,
 * for the permission may arrive at any time. */
static void
hand_send(struct raft_core *c)
{
	int rv;

	raft_lease_forfeit(c->lease);
	raft_lead_publish(c);
	memset(&c->transfer, 0, sizeof(c->transfer));
	rv = raft_transfer(&c->raft, &c->transfer, c->hand_to, NULL);
	if (rv == 0) {
		c->hand = HAND_SENT;
		log_info("raft: hands over to server %" PRIu32, c->hand_to);
		return;
	}
	hand_end(c, RES_FAILED, raft_strerror(rv));
}

/* Whether it's done, or has failed: then this leader, who has no lease any
 * more in this term, makes room for an election. */
static void
hand_check(struct raft_core *c)
{
	if (c->hand != HAND_SENT || c->raft.transfer != NULL)
		return;
	log_warn("raft: server %" PRIu32 " did not take over", c->hand_to);
	hand_end(c, RES_TIMEOUT, "the other server did not take over");
	raft_io_step_down(c->io);
}

void
raft_core_transfer(
    struct raft_core *c, uint32_t id, raft_node_done done, void *arg)
{
	const char *why = NULL;

	if (c->dead || !c->ready)
		why = "this node does not lead";
	else if (c->hand == HAND_SENT)
		why = "it is being handed over already";
	else if (id == 0 && (id = hand_target(c)) == 0)
		why = "no other server can take over";
	if (why != NULL) {
		if (done != NULL)
			done(arg, RES_STATE, why);
		return;
	}
	c->hand = HAND_WAIT;
	c->hand_to = id;
	c->hand_done = done;
	c->hand_arg = arg;
	hand_send(c);
	raft_core_poll(c);
}

/*
 * A server that doesn't wish to lead, but does, since nobody else could: it
 * passes the leadership on as soon as somebody is there who takes it. The lease
 * is dropped one tick before, for the main loop may be in a batch.
 */
static void
pass_on(struct raft_core *c)
{
	uint32_t to;

	if (c->willing || c->hand != HAND_NONE || !c->barrier_done)
		return;
	to = hand_target(c);
	if (to == 0)
		return;
	c->hand_to = to;
	c->hand = HAND_WAIT;
	raft_lease_forfeit(c->lease);
	if (!c->ready)
		hand_send(c);
}

void
raft_lead_tick(struct raft_core *c)
{
	if (c->lead_term != 0 && c->hand == HAND_WAIT &&
	    c->raft.state == RAFT_LEADER)
		hand_send(c);
}

void
raft_core_set_leading(struct raft_core *c, bool allowed)
{
	c->willing = allowed;
	raft_core_poll(c);
}

/* ---- proposals ---------------------------------------------------------- */

static void
tell_lost(void *arg, uint64_t tag)
{
	struct raft_core *c = arg;

	if (!c->dead)
		c->hooks.lost(c->hooks.arg, tag);
}

static void
apply_cb(struct raft_apply *req, int status, void *result)
{
	struct raft_core *c = req->data;

	(void)result;
	if (status == 0)
		raft_batch_done(c->batch);
	else
		raft_batch_lose(c->batch, false, tell_lost, c);
}

static bool
backlog_is_full(struct raft_core *c)
{
	uint64_t applied = c->hooks.applied(c->hooks.arg);

	return c->last_command > applied + BACKLOG;
}

static bool
propose(struct raft_core *c)
{
	struct raft_buffer out;
	struct buf entry = { 0 };
	int rv;

	if (!c->ready || c->hand != HAND_NONE || backlog_is_full(c))
		return false;
	raft_codec_put_index(&entry, raft_last_index(&c->raft) + 1);
	if (!raft_batch_take(c->batch, &entry)) {
		buf_clear(&entry);
		return false;
	}
	out.len = entry.len;
	out.base = raft_malloc(entry.len);
	if (out.base == NULL)
		fatalx("out of memory");
	memcpy(out.base, entry.data, entry.len);
	buf_clear(&entry);
	c->apply.data = c;
	rv = raft_apply(&c->raft, &c->apply, &out, 1, apply_cb);
	if (rv == 0)
		return true;
	raft_free(out.base);
	raft_batch_lose(c->batch, false, tell_lost, c);
	raft_core_fail(c, raft_errmsg(&c->raft));
	return false;
}

void
raft_core_propose(
    struct raft_core *c, const struct store_proposal *p, uint64_t tag)
{
	if (c->dead || c->lead_term == 0 || p->len > RAFT_ENTRY_MAX / 2) {
		tell_lost(c, tag);
		return;
	}
	raft_batch_add(c->batch, p, tag);
}

void
raft_core_add(struct raft_core *c, uint32_t id, raft_node_done done, void *arg)
{
	if (!c->ready) {
		done(arg, RES_NO_LEADER, "this node does not lead");
		return;
	}
	raft_changes_add(c->changes, id, done, arg);
	raft_core_poll(c);
}

void
raft_core_remove(
    struct raft_core *c, uint32_t id, raft_node_done done, void *arg)
{
	if (!c->ready) {
		done(arg, RES_NO_LEADER, "this node does not lead");
		return;
	}
	raft_changes_remove(c->changes, id, done, arg);
	raft_core_poll(c);
}

/* ---- all of it ---------------------------------------------------------- */

static void
stop_leading(struct raft_core *c)
{
	c->lead_term = 0;
	c->ready = false;
	/* 0.15.0 would still favour the target of a hand-over in a later term,
	 * even with a second vote. */
	c->raft.transfer = NULL;
	if (c->hand == HAND_SENT)
		hand_end(c, RES_OK, "");
	else if (c->hand == HAND_WAIT)
		hand_end(c, RES_NO_LEADER, "this node has lost the leadership");
	raft_lead_publish(c);
	raft_io_snapshot_cancel(c->io);
	raft_batch_lose(c->batch, true, tell_lost, c);
	raft_changes_fail(c->changes);
}

void
raft_lead_abandon(struct raft_core *c)
{
	if (c->hand != HAND_NONE)
		hand_end(c, RES_STATE, "this node stops");
	raft_changes_fail(c->changes);
}

/* Whether it counts as leader: see raft_node.h. */
static void
check_ready(struct raft_core *c)
{
	uint32_t voters[2];

	if (c->ready || !c->barrier_done ||
	    c->hooks.applied(c->hooks.arg) < c->last_command)
		return;
	if (!c->willing && raft_core_voters(c, voters, 2) > 1 &&
	    (c->hand != HAND_NONE ||
		raft_core_now(c) - c->lead_since < c->cfg.election_ms))
		return;
	c->ready = true;
}

bool
raft_lead(struct raft_core *c)
{
	if (c->lead_term != 0 &&
	    (c->raft.state != RAFT_LEADER ||
		c->raft.current_term != c->lead_term))
		stop_leading(c);
	if (c->raft.state != RAFT_LEADER)
		return false;
	if (c->lead_term == 0)
		begin_leading(c);
	if (begin_barrier(c))
		return true;
	hand_check(c);
	if (c->raft.state != RAFT_LEADER)
		return true;
	pass_on(c);
	check_ready(c);
	ask_for_copies(c);
	if (!c->ready || c->hand != HAND_NONE)
		return false;
	return propose(c) ||
	    raft_changes_poll(c->changes, &c->raft, raft_core_now(c));
}

void
raft_lead_publish(struct raft_core *c)
{
	uint32_t voters[RAFT_SERVERS_MAX];
	uint64_t until = 0;
	unsigned n;

	if (c->ready && !c->dead) {
		n = raft_core_voters(c, voters, RAFT_SERVERS_MAX);
		until = raft_lease_until(
		    c->lease, voters, n, c->cfg.id, raft_core_now(c));
	}
	if (until == c->lease_until)
		return;
	c->lease_until = until;
	c->hooks.lease(c->hooks.arg, c->lead_term, until);
}

bool
raft_core_waits(const struct raft_core *c)
{
	return c->lead_term != 0 && !c->ready && c->barrier_done;
}

bool
raft_core_leads(const struct raft_core *c)
{
	return c->lead_term != 0;
}
