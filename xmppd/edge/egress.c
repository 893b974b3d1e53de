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
 *
 * With stream management (XEP-0198) there is a second queue, of what was
 * written and the client has not acknowledged; its limit counts as well. A
 * stored message counts as taken when it acknowledges it.
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"

#define SLOW_BYTES 65536 /* in the queue: what the next turn writes at once */
#define SLOW_MS 10000    /* without reading anything */

static size_t
pending(const struct session *s)
{
	return s->conn == NULL ? 0 : conn_pending(s->conn);
}

/* What is alone in it always fits: the peer may just not have had time. */
static bool
has_room(const struct session *s, size_t len)
{
	if (s->managed != NULL && !sm_has_room(s->managed->sm, len))
		return false;
	return pending(s) == 0 || pending(s) + len <= s->ops->queue_max;
}

static uint64_t
written(const struct session *s)
{
	return s->queued -
	    (s->conn != NULL ? conn_pending(s->conn) : s->unsent);
}

void
egress_stanza(
    struct session *s, const struct down_deliver *d, struct text bytes)
{
	if (s->managed != NULL)
		managed_count(s, d, bytes);
	s->edge->counters.stanzas_out++;
	session_write(s, bytes.data, bytes.len);
	if (s->managed != NULL)
		managed_ask(s);
}

/* ---- stored messages --------------------------------------------------- */

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
	s->slow[s->slow_count++] =
	    (struct slow_row){ *id, s->queued, s->managed != NULL };
}

static bool
is_slow(const struct session *s)
{
	return pending(s) >= SLOW_BYTES ||
	    (s->managed != NULL && !sm_is_roomy(s->managed->sm));
}

static enum delivered
deliver_row(struct session *s, const struct down_deliver *d)
{
	egress_stanza(s, d, d->payload);
	if (!is_slow(s))
		return s->managed == NULL ? DELIVERED : DELIVERED_KEPT;
	add_slow_row(s, &d->id);
	return s->managed == NULL ? DELIVERED_SLOWLY : DELIVERED_BOTH;
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

static void
too_slow(struct session *s)
{
	if (s->managed == NULL || pending(s) > 0)
		log_warn("edge: %s: does not read: %zu bytes wait for it",
		    session_name(s), pending(s));
	else
		log_warn("edge: %s: has not acknowledged %zu stanzas",
		    session_name(s), sm_unacked(s->managed->sm));
	session_error(s, STREAM_POLICY_VIOLATION, "too slow to read");
}

/* ---- deliveries -------------------------------------------------------- */

/* What is said of the session itself; false: it is no such thing. */
static bool
deliver_word(
    struct session *s, const struct down_deliver *d, enum delivered *delivered)
{
	*delivered = DELIVERED;
	if (d->kind == DELIVER_BOUND)
		s->ops->bound(s, behind_nul(d->payload));
	else if (d->kind == DELIVER_REFUSED && s->resumption != NULL)
		yield_refused(s, d->payload);
	else if (d->kind == DELIVER_REFUSED)
		s->ops->refused(s, d->payload);
	else if (d->kind == DELIVER_YIELD)
		yield_request(s, d->payload);
	else if (d->kind == DELIVER_KEEP)
		yield_keep(s, d->payload);
	else if (d->kind == DELIVER_RESUMED)
		*delivered =
		    yield_take(s, d->payload) ? DELIVERED : DELIVERED_NOT;
	else
		return false;
	return true;
}

enum delivered
egress_deliver(struct session *s, const struct down_deliver *d)
{
	enum delivered delivered;

	if (d->kind > DELIVER_MESSAGE && deliver_word(s, d, &delivered))
		return delivered;
	if (s->managed != NULL && s->managed->frozen)
		return DELIVERED_LATER;
	if (s->csi != NULL && csi_holds(s, d))
		return DELIVERED;
	csi_flush(s);
	if (d->id.key.kind == DKEY_ROW)
		return deliver_row(s, d);
	if (!has_room(s, d->payload.len)) {
		too_slow(s);
		return DELIVERED_NOT;
	}
	egress_stanza(s, d, d->payload);
	return DELIVERED;
}

/* ---- slow rows --------------------------------------------------------- */

static void
slow_clear(struct session *s)
{
	if (s->slow == NULL)
		return;
	TAILQ_REMOVE(&s->edge->slow, s, next_slow);
	free(s->slow);
	s->slow = NULL;
	s->slow_count = 0;
}

/* Tells of each row whether it is out; what is kept is taken, and more is told
 * of it by resume.c. */
static void
settle(struct session *s)
{
	uint64_t out = written(s);

	for (size_t i = 0; i < s->slow_count; i++) {
		const struct slow_row *row = &s->slow[i];

		if (row->kept)
			uplink_taken(s->edge->uplink, &row->id);
		else
			uplink_settle(
			    s->edge->uplink, &row->id, row->end <= out);
	}
	slow_clear(s);
}

void
egress_drained(struct session *s)
{
	if (!is_slow(s))
		settle(s);
}

void
egress_settle(struct session *s)
{
	if (s->slow != NULL && !is_slow(s))
		settle(s);
}

void
egress_move(struct session *from, struct session *to)
{
	if (from->slow == NULL)
		return;
	to->slow = xmemdup(from->slow, from->slow_count * sizeof(*to->slow));
	to->slow_count = from->slow_count;
	to->slow_since = edge_now(to->edge);
	TAILQ_INSERT_TAIL(&to->edge->slow, to, next_slow);
	slow_clear(from);
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
		/* What is written is waited for otherwise (XEP-0198). */
		if (written(s) != s->slow_written || pending(s) == 0) {
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
