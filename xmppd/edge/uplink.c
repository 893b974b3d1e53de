/*
 * The edge's rules of delivery(7); each is named where it is kept.
 *
 *   link up: announce (sessions, accepted), then what is unacknowledged
 *   a session: uplink_begin -> DELIVER_BOUND -> frames, deliveries ->
 * uplink_end a delivery: done already, or taken into the session's queue:
 * "accepted"; no such session: "refused" no answered ping for hold: streams
 * closed, a new incarnation
 */
#include "xmppd/edge/uplink.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/map.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/edge/accepted.h"
#include "xmppd/link/link.h"

#define PING_MS 100
#define LINK_BYTES (64U << 20)
#define SESSION_BYTES (1U << 20)

struct query {
	uint64_t id;
	uint8_t kind;
	char *name;
	void *owner;
	uint64_t until;
	TAILQ_ENTRY(query) next;
};

struct uplink {
	struct uplink_config cfg;
	struct uplink_ops ops;
	struct origin origin;
	struct link *link;
	struct accepted *accepted;
	struct map sessions; /* struct uplink_session by sid */
	bool linked;
	uint64_t term; /* newest seen */
	uint64_t next_id, next_query;
	uint64_t last_ok; /* when the newest answered ping was sent */
	uint64_t next_ping;
	bool expired; /* and no answer since */
	TAILQ_HEAD(, query) queries;
	struct buf out;
};

static void
link_up_cb(void *arg, const void *msg, size_t len)
{
	struct uplink *u = arg;

	u->ops.up(u->ops.arg, msg, len);
}

static void
link_moved_cb(void *arg, void *owner)
{
	struct uplink *u = arg;

	u->ops.moved(u->ops.arg, owner);
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
	u->next_query = 1;
	u->last_ok = now;
	u->link = link_new(&limits, &env);
	u->accepted = accepted_new();
	TAILQ_INIT(&u->queries);
	return u;
}

static void
query_free(struct uplink *u, struct query *q)
{
	TAILQ_REMOVE(&u->queries, q, next);
	free(q->name);
	free(q);
}

void
uplink_free(struct uplink *u)
{
	struct query *q;

	if (u == NULL)
		return;
	while ((q = TAILQ_FIRST(&u->queries)) != NULL)
		query_free(u, q);
	link_free(u->link);
	accepted_free(u->accepted);
	map_clear(&u->sessions);
	buf_clear(&u->out);
	free(u);
}

/* Sends what an encoder has just put into `out`. */
static void
send_out(struct uplink *u)
{
	u->ops.up(u->ops.arg, u->out.data, u->out.len);
	buf_reset(&u->out);
}

bool
uplink_has_leader(const struct uplink *u)
{
	return !u->expired;
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

void
uplink_begin(struct uplink *u, struct uplink_session *s, enum session_kind kind,
    uint32_t window)
{
	struct up_frame frame = { .kind = FRAME_BIND };

	s->sid.node = u->cfg.node;
	s->sid.edge = u->cfg.edge;
	s->sid.id = u->next_id++;
	s->kind = (uint8_t)kind;
	s->begun = true;
	s->bound = s->interested = false;
	s->queue = link_queue_new(u->link, s, window);
	map_put(&u->sessions, &s->sid, sizeof(s->sid), s);
	frame.to = text_of(s->full);
	frame.payload = text_of(s->account);
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

/* It is no session any more: neither announced nor a target. */
static void
session_remove(struct uplink *u, struct uplink_session *s)
{
	map_remove(&u->sessions, &s->sid, sizeof(s->sid));
	link_queue_close(s->queue);
	s->queue = NULL;
	s->begun = s->bound = false;
	free(s->full);
	free(s->account);
	free(s->presence);
	s->full = s->account = s->presence = NULL;
	s->presence_len = 0;
}

void
uplink_end(struct uplink *u, struct uplink_session *s)
{
	struct up_frame frame = { .kind = FRAME_UNBIND };

	if (!s->begun)
		return;
	uplink_send(u, s, &frame);
	session_remove(u, s);
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
	send_out(u);
}

void
uplink_query(struct uplink *u, enum query_kind kind, const char *name,
    void *owner, uint64_t now)
{
	struct query *q = xcalloc(1, sizeof(*q));

	q->id = u->next_query++;
	q->kind = (uint8_t)kind;
	q->name = xstrdup(name);
	q->owner = owner;
	q->until = now + u->cfg.hold_ms;
	TAILQ_INSERT_TAIL(&u->queries, q, next);
	if (u->linked)
		query_send(u, q);
}

void
uplink_cancel(struct uplink *u, const void *owner)
{
	struct query *q, *next;

	for (q = TAILQ_FIRST(&u->queries); q != NULL; q = next) {
		next = TAILQ_NEXT(q, next);
		if (q->owner == owner)
			query_free(u, q);
	}
}

static void
query_done(struct uplink *u, struct query *q, int code, struct text data)
{
	void *owner = q->owner;

	query_free(u, q);
	u->ops.answer(u->ops.arg, owner, code, data);
}

/* Those that were asked before `until`; they are in that order. */
static void
queries_expire(struct uplink *u, uint64_t until)
{
	const struct text none = { NULL, 0 };
	struct query *q;

	while ((q = TAILQ_FIRST(&u->queries)) != NULL && q->until <= until)
		query_done(u, q, RES_NO_LEADER, none);
}

static int
receive_answer(struct uplink *u, struct cursor *c)
{
	struct down_answer m;
	struct query *q;

	if (down_answer_decode(c, &m) != RES_OK)
		return RES_INVALID;
	TAILQ_FOREACH(q, &u->queries, next)
		if (q->id == m.id)
			break;
	if (q != NULL)
		query_done(u, q, m.code, m.data);
	return RES_OK;
}

/* ---- the link comes and goes ------------------------------------------- */

static void
announce_session(struct uplink *u, const struct uplink_session *s)
{
	struct up_session m = { 0 };

	m.sid = s->sid;
	m.kind = s->kind;
	m.bound = s->bound;
	m.interested = s->interested;
	m.full = text_of(s->full);
	m.account = text_of(s->account);
	if (s->presence != NULL)
		m.presence = (struct text){ s->presence, s->presence_len };
	up_session_encode(&u->out, u->term, &m);
	send_out(u);
}

static void
announce_report_cb(void *arg, const struct up_report *report)
{
	struct uplink *u = arg;

	up_report_encode(&u->out, u->term, report);
	send_out(u);
}

static void
ping(struct uplink *u, uint64_t now)
{
	struct up_ping m = { now, u->origin, link_low(u->link) };

	u->next_ping = now + PING_MS;
	up_ping_encode(&u->out, u->term, &m);
	send_out(u);
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
	struct query *q;
	size_t at = 0;

	up_announce_encode(&u->out, u->term, &m);
	send_out(u);
	while ((s = map_next(&u->sessions, &at)) != NULL)
		announce_session(u, s);
	accepted_each(u->accepted, announce_report_cb, u);
	up_announced_encode(&u->out, u->term);
	send_out(u);
	link_start(u->link, u->term);
	ping(u, now);
	TAILQ_FOREACH(q, &u->queries, next)
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
static bool
expire(struct uplink *u, uint64_t now)
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
	u->ops.expired(u->ops.arg);
	link_reset(u->link);
	u->origin.incarnation = u->ops.random(u->ops.arg);
	if (linked)
		u->ops.unlink(u->ops.arg);
	return true;
}

uint64_t
uplink_tick(struct uplink *u, uint64_t now)
{
	uint64_t next;

	expire(u, now);
	queries_expire(u, now);
	if (u->linked && now >= u->next_ping)
		ping(u, now);
	next = u->last_ok + u->cfg.hold_ms;
	if (now + PING_MS < next)
		next = now + PING_MS;
	return next;
}

/* ---- messages from the router ------------------------------------------ */

/* What a delivery tells the edge itself of the session. */
static void
session_note(struct uplink_session *s, const struct down_deliver *m)
{
	if (m->kind == DELIVER_RESULT)
		s->interested = true;
	if (m->kind != DELIVER_BOUND)
		return;
	s->bound = true;
	free(s->full);
	s->full = text_dup(m->payload);
}

static void
tell_accepted(struct uplink *u, const struct delivery_id *id)
{
	up_accepted_encode(&u->out, u->term, id);
	send_out(u);
}

static void
tell_refused(struct uplink *u, const struct delivery_id *id)
{
	up_refused_encode(&u->out, u->term, id);
	send_out(u);
}

/* A delivery that was not done yet. */
static void
take(struct uplink *u, const struct down_deliver *m)
{
	struct uplink_session *s =
	    map_find(&u->sessions, &m->id.sid, sizeof(m->id.sid));
	enum delivered delivered = DELIVERED_NOT;

	if (s != NULL) {
		session_note(s, m);
		if (m->kind == DELIVER_REFUSED)
			session_remove(u, s); /* no unbind: see FRAME_BIND */
		delivered = u->ops.deliver(u->ops.arg, s, m);
	}
	if (delivered == DELIVERED_NOT) {
		tell_refused(u, &m->id);
		return;
	}
	accepted_add(u->accepted, m);
	if (delivered == DELIVERED_SLOWLY)
		accepted_hold_back(u->accepted, &m->id);
	else
		tell_accepted(u, &m->id);
}

void
uplink_settle(struct uplink *u, const struct delivery_id *id, bool taken)
{
	if (!accepted_tell(u->accepted, id))
		return;
	if (!taken)
		accepted_remove(u->accepted, id);
	/* Without a link the next announcement tells. */
	if (!u->linked)
		return;
	if (taken)
		tell_accepted(u, id);
	else
		tell_refused(u, id);
}

/* Rules 1 to 3 and 5 of delivery(7). */
static int
receive_deliver(struct uplink *u, struct cursor *c)
{
	struct down_deliver m;

	if (down_deliver_decode(c, &m) != RES_OK)
		return RES_INVALID;
	if (m.kind == DELIVER_BOUND && m.payload.data == NULL)
		return RES_INVALID;
	accepted_low(u->accepted, &m.origin, m.low);
	if (accepted_is_done(u->accepted, &m.id, &m.sender, m.kind))
		tell_accepted(u, &m.id);
	else
		take(u, &m);
	return RES_OK;
}

static int
receive_ack(struct uplink *u, struct cursor *c)
{
	struct down_ack m;

	if (down_ack_decode(c, &m) != RES_OK)
		return RES_INVALID;
	/* Of an incarnation that has ended: nothing is kept of it. */
	if (!origin_equal(&m.origin, &u->origin))
		return RES_OK;
	return link_ack(u->link, m.num);
}

static int
receive_kick(struct uplink *u, struct cursor *c)
{
	struct uplink_session *s;
	struct down_kick m;

	if (down_kick_decode(c, &m) != RES_OK)
		return RES_INVALID;
	s = map_find(&u->sessions, &m.sid, sizeof(m.sid));
	if (s != NULL)
		u->ops.kick(u->ops.arg, s, &m);
	return RES_OK;
}

static int
receive_forget(struct uplink *u, struct cursor *c)
{
	struct dkey key;

	if (dkey_decode(c, &key) != RES_OK)
		return RES_INVALID;
	accepted_forget(u->accepted, &key);
	return RES_OK;
}

/*
 * Rule 11: what counts is when the answered ping was sent. Rule 13: a pong says
 * how far each live incarnation is, and, once every node has announced or is
 * given up, that there are no others.
 */
static int
receive_pong(struct uplink *u, struct cursor *c, uint64_t now)
{
	struct down_pong m;

	if (down_pong_decode(c, &m) != RES_OK || m.sent > now)
		return RES_INVALID;
	if (m.sent >= u->last_ok) {
		if (u->expired)
			log_info("edge: there is a leader again");
		u->last_ok = m.sent;
		u->expired = false;
	}
	for (uint32_t i = 0; i < m.count; i++) {
		struct live_origin o = pong_origin(&m, i);

		accepted_low(u->accepted, &o.origin, o.low);
	}
	if (m.settled)
		accepted_end_origins(u->accepted, &m);
	accepted_end_terms(u->accepted, u->term);
	return RES_OK;
}

int
uplink_receive(struct uplink *u, const void *msg, size_t len, uint64_t now)
{
	struct link_head head;
	struct cursor c;

	/* What lay in a socket while this process stood still comes too late:
	 * the router may count these sessions as ended. */
	if (expire(u, now) || !u->linked)
		return RES_DENIED;
	cursor_init(&c, msg, len);
	if (link_head_decode(&c, &head) != RES_OK)
		return RES_INVALID;
	if (head.term < u->term)
		return RES_DENIED; /* rule 12 (term_check) */
	if (head.term > u->term)
		return RES_INVALID; /* this link is to the router of u->term */
	switch (head.what) {
	case DOWN_DELIVER:
		return receive_deliver(u, &c);
	case DOWN_ACK:
		return receive_ack(u, &c);
	case DOWN_KICK:
		return receive_kick(u, &c);
	case DOWN_FORGET:
		return receive_forget(u, &c);
	case DOWN_PONG:
		return receive_pong(u, &c, now);
	case DOWN_ANSWER:
		return receive_answer(u, &c);
	default:
		return RES_INVALID;
	}
}
