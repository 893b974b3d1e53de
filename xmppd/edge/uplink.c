/*
 * The edge's rules of delivery(7); each is named where it is kept. Here is what
 * the edge does of itself, in uplink_receive.c what the router's messages do.
 *
 *   link up      announce sessions and what was accepted, send again the rest
 *   a session    uplink_begin, DELIVER_BOUND, frames and deliveries, uplink_end
 *   no answered ping for hold: streams closed, a new incarnation
 */
#include "xmppd/edge/uplink_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/link/link.h"

#define PING_MS 100
#define LINK_BYTES (64U << 20)
#define SESSION_BYTES (1U << 20)

static void
link_up_cb(void *arg, const void *msg, size_t len)
{
	struct uplink *u = arg;

	u->ops.up(u->ops.arg, msg, len);
}

static void
link_moved_cb(void *arg, void *owner, uint64_t seq)
{
	struct uplink *u = arg;

	u->ops.moved(u->ops.arg, owner, seq);
}

struct uplink *
uplink_new(
    const struct uplink_config *cfg, const struct uplink_ops *ops, uint64_t now)
{
	const struct link_limits limits = { cfg->window, LINK_BYTES,
		SESSION_BYTES };
	struct uplink *u = xcalloc(1, sizeof(*u));
	const struct link_env env = { u, link_up_cb, link_moved_cb };

	u->cfg = *cfg;
	u->ops = *ops;
	u->origin.node = cfg->node;
	u->origin.edge = cfg->edge;
	u->origin.incarnation = cfg->incarnation;
	u->next_id = cfg->first_id;
	u->last_ok = now;
	u->link = link_new(&limits, &env);
	u->accepted = accepted_new();
	queries_init(&u->queries);
	return u;
}

void
uplink_free(struct uplink *u)
{
	if (u == NULL)
		return;
	queries_clear(&u->queries);
	link_free(u->link);
	accepted_free(u->accepted);
	map_clear(&u->sessions);
	buf_clear(&u->out);
	free(u->caps);
	free(u);
}

void
uplink_flush(struct uplink *u)
{
	u->ops.up(u->ops.arg, u->out.data, u->out.len);
	buf_reset(&u->out);
}

bool
uplink_has_leader(const struct uplink *u)
{
	return !u->expired;
}

const char *
uplink_caps(const struct uplink *u)
{
	return u->caps;
}

size_t
uplink_sessions(const struct uplink *u)
{
	return u->sessions.count;
}

size_t
uplink_unacked(const struct uplink *u)
{
	return link_unacked(u->link);
}

size_t
uplink_accepted(const struct uplink *u)
{
	return accepted_count(u->accepted);
}

/* ---- sessions ---------------------------------------------------------- */

static void
begin(struct uplink *u, struct uplink_session *s, enum session_kind kind,
    uint32_t window)
{
	s->sid.node = u->cfg.node;
	s->sid.edge = u->cfg.edge;
	s->sid.id = u->next_id++;
	s->kind = (uint8_t)kind;
	s->begun = true;
	s->bound = false;
	memset(&s->came, 0, sizeof(s->came));
	s->roster = s->account_id = 0;
	s->queue = link_queue_new(u->link, s, window);
	map_put(&u->sessions, &s->sid, sizeof(s->sid), s);
}

void
uplink_begin(struct uplink *u, struct uplink_session *s, enum session_kind kind,
    uint32_t window)
{
	struct up_frame frame = { .kind = FRAME_BIND, .flags = s->flags };

	begin(u, s, kind, window);
	frame.to = text_of(s->full);
	frame.payload = text_of(s->account);
	uplink_send(u, s, &frame);
}

void
uplink_resume(struct uplink *u, struct uplink_session *s,
    enum session_kind kind, uint32_t window, const char *id, const char *h)
{
	struct up_frame frame = { .kind = FRAME_RESUME };

	begin(u, s, kind, window);
	frame.to = text_of(s->full);
	frame.child = text_of(id);
	frame.lang = text_of(h);
	uplink_send(u, s, &frame);
}

void
uplink_send(struct uplink *u, struct uplink_session *s, struct up_frame *frame)
{
	(void)u;
	frame->sid = s->sid;
	frame->session_kind = s->kind;
	link_send(s->queue, frame);
}

void
uplink_remove(struct uplink *u, struct uplink_session *s)
{
	/* It may have come back already. */
	if (map_find(&u->sessions, &s->sid, sizeof(s->sid)) == s)
		map_remove(&u->sessions, &s->sid, sizeof(s->sid));
	link_queue_close(s->queue);
	s->queue = NULL;
	s->begun = s->bound = s->yielded = false;
	free(s->full);
	free(s->account);
	free(s->presence);
	free(s->handled);
	s->full = s->account = s->presence = s->handled = NULL;
	s->presence_len = 0;
}

void
uplink_end(struct uplink *u, struct uplink_session *s)
{
	struct up_frame frame = { .kind = FRAME_UNBIND };

	if (!s->begun)
		return;
	frame.lang = text_of(s->handled);
	/* A leader that comes after is told of no session. */
	if (!u->expiring)
		uplink_send(u, s, &frame);
	uplink_remove(u, s);
}

uint64_t
uplink_sent(const struct uplink_session *s)
{
	return s->begun ? link_queue_sent(s->queue) : 0;
}

bool
uplink_is_full(const struct uplink_session *s)
{
	return s->begun && link_queue_is_full(s->queue);
}

bool
uplink_has_room(const struct uplink_session *s)
{
	return !s->begun || link_queue_has_room(s->queue);
}

bool
uplink_is_empty(const struct uplink_session *s)
{
	return !s->begun || link_queue_is_empty(s->queue);
}

/* ---- queries ----------------------------------------------------------- */

static void
query_send(struct uplink *u, const struct query *q)
{
	struct up_query m = { q->id, q->kind, text_of(q->name) };

	up_query_encode(&u->out, u->term, &m);
	uplink_flush(u);
}

void
uplink_query(struct uplink *u, enum query_kind kind, const char *name,
    void *owner, uint64_t now)
{
	const struct query *q =
	    queries_add(&u->queries, kind, name, owner, now + u->cfg.hold_ms);

	if (u->linked)
		query_send(u, q);
}

void
uplink_cancel(struct uplink *u, const void *owner)
{
	queries_remove_owner(&u->queries, owner);
}

void
uplink_answer(struct uplink *u, struct query *q, int code, struct text data)
{
	void *owner = q->owner;

	queries_remove(&u->queries, q);
	u->ops.answer(u->ops.arg, owner, code, data);
}

static void
queries_expire(struct uplink *u, uint64_t now)
{
	const struct text none = { NULL, 0 };
	struct query *q;

	while ((q = queries_overdue(&u->queries, now)) != NULL)
		uplink_answer(u, q, RES_NO_LEADER, none);
}

/* ---- the link comes and goes ------------------------------------------- */

static void
announce_session(struct uplink *u, const struct uplink_session *s)
{
	struct up_session m = { 0 };

	m.sid = s->sid;
	m.kind = s->kind;
	m.bound = s->bound;
	m.yielded = s->yielded;
	m.came = s->came;
	m.roster = s->roster;
	m.carbons = (s->flags & FRAME_BIND_CARBONS) != 0;
	m.account = s->account_id;
	m.full = text_of(s->full);
	if (s->presence != NULL)
		m.presence = (struct text){ s->presence, s->presence_len };
	up_session_encode(&u->out, u->term, &m);
	uplink_flush(u);
}

static void
say_away(struct uplink *u, const struct uplink_session *s, size_t waiting)
{
	const struct up_away m = { s->sid, s->away, (uint32_t)waiting };

	up_away_encode(&u->out, u->term, &m);
	uplink_flush(u);
}

void
uplink_set_away(
    struct uplink *u, struct uplink_session *s, bool away, size_t waiting)
{
	s->away = away;
	if (u->linked)
		say_away(u, s, waiting);
}

static void
announce_away(struct uplink *u)
{
	const struct uplink_session *s;
	size_t at = 0;

	while ((s = map_next(&u->sessions, &at)) != NULL)
		if (s->away)
			say_away(u, s, 0);
}

static void
announce_report_cb(void *arg, const struct up_report *report)
{
	struct uplink *u = arg;

	up_report_encode(&u->out, u->term, report);
	uplink_flush(u);
}

static void
ping(struct uplink *u, uint64_t now)
{
	struct up_ping m = { now, u->origin, link_low(u->link) };

	u->next_ping = now + PING_MS;
	up_ping_encode(&u->out, u->term, &m);
	uplink_flush(u);
}

/*
 * Rule 4 of delivery(7): first every session not ended, those still waiting
 * for their bind result included (announce_binding), and what was accepted
 * above each origin's low-water mark, also for sessions that have ended; then,
 * in order and marked, what is unacknowledged.
 */
static void
announce(struct uplink *u, uint64_t now)
{
	struct up_announce m = { u->origin, link_low(u->link), u->cfg.edges };
	const struct uplink_session *s;
	const struct query *q;
	size_t at = 0;

	up_announce_encode(&u->out, u->term, &m);
	uplink_flush(u);
	while ((s = map_next(&u->sessions, &at)) != NULL)
		announce_session(u, s);
	accepted_each(u->accepted, announce_report_cb, u);
	up_announced_encode(&u->out, u->term);
	uplink_flush(u);
	announce_away(u);
	link_start(u->link, u->term);
	ping(u, now);
	TAILQ_FOREACH(q, &u->queries.list, next)
		query_send(u, q);
}

void
uplink_up(struct uplink *u, uint64_t term, uint64_t now)
{
	if (u->linked)
		uplink_down(u);
	/* Rule 12 (term_check). */
	if (term < u->term) {
		u->ops.unlink(u->ops.arg);
		return;
	}
	u->term = term;
	u->linked = true;
	announce(u, now);
}

void
uplink_down(struct uplink *u)
{
	u->linked = false;
	link_stop(u->link);
}

/* A link to a router of a lower term is one to a leader that was. */
void
uplink_set_term(struct uplink *u, uint64_t term)
{
	if (term <= u->term)
		return;
	u->term = term;
	if (u->linked) {
		uplink_down(u);
		u->ops.unlink(u->ops.arg);
	}
}

/*
 * Rules 11 (echo_hold) and 13 (new_origin): an edge that has had no answer for
 * hold closes its streams, drops what is unacknowledged and begins a new
 * incarnation. A leader that comes after is told of nothing but that.
 */
bool
uplink_expire(struct uplink *u, uint64_t now)
{
	bool linked = u->linked;

	if (now - u->last_ok < u->cfg.hold_ms)
		return false;
	if (!u->expired)
		log_warn("edge: no leader for %u ms: sessions are closed",
		    u->cfg.hold_ms);
	u->expired = true;
	u->last_ok = now;
	uplink_down(u);
	queries_expire(u, UINT64_MAX);
	link_reset(u->link);
	u->origin.incarnation = u->ops.random(u->ops.arg);
	/* What the sessions give back (FRAME_RETURN) is of the new one. */
	u->expiring = true;
	u->ops.expired(u->ops.arg);
	u->expiring = false;
	if (linked)
		u->ops.unlink(u->ops.arg);
	return true;
}

uint64_t
uplink_tick(struct uplink *u, uint64_t now)
{
	uint64_t next;

	uplink_expire(u, now);
	queries_expire(u, now);
	if (u->linked && now >= u->next_ping)
		ping(u, now);
	next = u->last_ok + u->cfg.hold_ms;
	if (now + PING_MS < next)
		next = now + PING_MS;
	return next;
}
