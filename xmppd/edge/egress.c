/*
 * Deliveries on their way out, into a session's queue, which has a limit (G5):
 *
 *   a live stanza  that doesn't fit ends the session, and is refused, so that
 *                  the router can do what is due without it
 *   a stored one   always fits, for the router hands out only so many at a
 *                  time; but while the session is slow it isn't told that they
 *                  were taken, so that no more come than the session reads
 *
 * A stored message that was not written when its session ends is refused, too:
 * it is still stored, and the next session gets it.
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"

#define SLOW_BYTES 65536 /* in the queue: what the next turn writes at once */
#define SLOW_MS 10000    /* without reading anything */

/* What is alone in it always fits: the peer may just not have had time. */
static bool
has_room(const struct session *s, size_t len)
{
	size_t pending = conn_pending(s->conn);

	return pending == 0 || pending + len <= s->ops->queue_max;
}

static uint64_t
written(const struct session *s)
{
	return s->queued -
	    (s->conn != NULL ? conn_pending(s->conn) : s->unsent);
}

static void
add_slow_row(struct session *s, const struct delivery_id *id)
{
	struct edge *e = s->edge;

	if (s->slow == NULL) {
		TAILQ_INSERT_TAIL(&e->slow, s, next_slow);
		s->slow_written = written(s);
		s->slow_since = edge_now(e);
	}
	s->slow = xrealloc(s->slow, (s->slow_count + 1) * sizeof(*s->slow));
	s->slow[s->slow_count++] = (struct slow_row){ *id, s->queued };
}

static enum delivered
deliver_row(struct session *s, const struct down_deliver *d)
{
	session_write(s, d->payload.data, d->payload.len);
	if (conn_pending(s->conn) < SLOW_BYTES)
		return DELIVERED;
	add_slow_row(s, &d->id);
	return DELIVERED_SLOWLY;
}

/* DELIVER_BOUND: the JID ends with a NUL where there is more. */
static struct text
behind_nul(struct text payload)
{
	size_t len = strnlen(payload.data, payload.len);

	if (len == payload.len)
		return (struct text){ "", 0 };
	return (struct text){ payload.data + len + 1, payload.len - len - 1 };
}

enum delivered
egress_deliver(struct session *s, const struct down_deliver *d)
{
	switch (d->kind) {
	case DELIVER_BOUND:
		s->ops->bound(s, behind_nul(d->payload));
		return DELIVERED;
	case DELIVER_REFUSED:
		s->ops->refused(s, d->payload);
		return DELIVERED;
	default:
		break;
	}
	if (d->id.key.kind == DKEY_ROW)
		return deliver_row(s, d);
	if (!has_room(s, d->payload.len)) {
		log_warn("edge: %s: does not read: %zu bytes wait for it",
		    session_name(s), conn_pending(s->conn));
		session_error(s, STREAM_POLICY_VIOLATION, "too slow to read");
		return DELIVERED_NOT;
	}
	session_write(s, d->payload.data, d->payload.len);
	return DELIVERED;
}

/* Tells of each row whether it is out. */
static void
settle(struct session *s)
{
	uint64_t out = written(s);
	struct slow_row *slow = s->slow;
	size_t count = s->slow_count;

	if (slow == NULL)
		return;
	TAILQ_REMOVE(&s->edge->slow, s, next_slow);
	s->slow = NULL;
	s->slow_count = 0;
	for (size_t i = 0; i < count; i++)
		uplink_settle(s->edge->uplink, &slow[i].id, slow[i].end <= out);
	free(slow);
}

void
egress_drained(struct session *s)
{
	settle(s);
}

void
egress_end(struct session *s)
{
	s->conn = NULL;
	settle(s);
}

void
egress_sweep(struct edge *e, uint64_t now)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&e->slow); s != NULL; s = next) {
		next = TAILQ_NEXT(s, next_slow);
		if (written(s) != s->slow_written) {
			s->slow_written = written(s);
			s->slow_since = now;
		} else if (now - s->slow_since >= SLOW_MS) {
			log_warn("edge: %s: does not read its stored messages",
			    session_name(s));
			session_error(
			    s, STREAM_POLICY_VIOLATION, "too slow to read");
		}
	}
}
