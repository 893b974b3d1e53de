/*
 * What the router's messages do to an edge.
 *
 *   deliver  done already, or taken into the session's queue: "accepted"
 *            a row for a session with XEP-0198: "taken", until its client has
 *            acknowledged it: "accepted"
 *            no such session: "refused"
 *   ack      the frame is the router's now
 *   kick     the session is ended
 *   forget   nobody will ask for this delivery again
 *   pong     there is a leader; what every origin has behind it
 *   answer   to a query
 */
#include "xmppd/edge/uplink_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/link/link.h"

/* What a delivery tells the edge itself of the session. */
static void
session_note(struct uplink_session *s, const struct down_deliver *m)
{
	if (m->kind == DELIVER_RESULT)
		s->roster = m->value;
	if (m->kind == DELIVER_CARBONS) {
		s->flags &= (uint8_t)~FRAME_BIND_CARBONS;
		s->flags |= m->value != 0 ? FRAME_BIND_CARBONS : 0;
	}
	if (m->id.key.kind == DKEY_PUSH)
		s->roster = m->id.key.version;
	if (m->kind != DELIVER_BOUND)
		return;
	s->bound = true;
	s->account_id = m->value;
	free(s->full);
	s->full =
	    xstrndup(m->payload.data, strnlen(m->payload.data, m->payload.len));
}

static void
tell_accepted(struct uplink *u, const struct delivery_id *id)
{
	up_accepted_encode(&u->out, u->term, id);
	uplink_flush(u);
}

static void
tell_taken(struct uplink *u, const struct delivery_id *id)
{
	up_taken_encode(&u->out, u->term, id);
	uplink_flush(u);
}

static void
tell_refused(struct uplink *u, const struct delivery_id *id)
{
	up_refused_encode(&u->out, u->term, id);
	uplink_flush(u);
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
			uplink_remove(u, s); /* no unbind: see FRAME_BIND */
		delivered = u->ops.deliver(u->ops.arg, s, m);
	}
	if (delivered == DELIVERED_LATER)
		return;
	if (delivered == DELIVERED_NOT) {
		tell_refused(u, &m->id);
		return;
	}
	/* What the session has been told of its roster says the same. */
	if (m->id.key.kind != DKEY_PUSH)
		accepted_add(u->accepted, m);
	if (delivered == DELIVERED) {
		tell_accepted(u, &m->id);
		return;
	}
	accepted_hold_back(u->accepted, &m->id, delivered != DELIVERED_SLOWLY);
	if (delivered == DELIVERED_KEPT)
		tell_taken(u, &m->id);
}

void
uplink_taken(struct uplink *u, const struct delivery_id *id)
{
	if (u->linked && accepted_is_kept(u->accepted, id))
		tell_taken(u, id);
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

/* Whether it is a push of what the session has been told of. */
static bool
is_known_push(const struct uplink *u, const struct down_deliver *m)
{
	const struct uplink_session *s;

	if (m->id.key.kind != DKEY_PUSH)
		return false;
	s = map_find(&u->sessions, &m->id.sid, sizeof(m->id.sid));
	return s != NULL && s->roster >= m->id.key.version;
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
	/* Said in the announcement, and again when the session has it. */
	if (m.id.key.kind == DKEY_ROW && accepted_is_kept(u->accepted, &m.id))
		return RES_OK;
	if (is_known_push(u, &m) ||
	    accepted_is_done(u->accepted, &m.id, &m.sender, m.kind))
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

static int
receive_answer(struct uplink *u, struct cursor *c)
{
	struct down_answer m;
	struct query *q;

	if (down_answer_decode(c, &m) != RES_OK)
		return RES_INVALID;
	q = queries_find(&u->queries, m.id);
	if (q != NULL)
		uplink_answer(u, q, m.code, m.data);
	return RES_OK;
}

static int
receive_caps(struct uplink *u, struct cursor *c)
{
	struct text ver;

	if (down_caps_decode(c, &ver) != RES_OK)
		return RES_INVALID;
	free(u->caps);
	u->caps = text_dup(ver);
	return RES_OK;
}

int
uplink_receive(struct uplink *u, const void *msg, size_t len, uint64_t now)
{
	struct link_head head;
	struct cursor c;

	/* What lay in a socket while this process stood still comes too late:
	 * the router may count these sessions as ended. */
	if (uplink_expire(u, now) || !u->linked)
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
	case DOWN_CAPS:
		return receive_caps(u, &c);
	default:
		return RES_INVALID;
	}
}
