/*
 * Sessions that send more than they may: they aren't ended, but read more
 * slowly. What has been read is handled; then the socket is left unread until
 * the rate allows for more, and the peer's TCP notices. Others' sessions are
 * read meanwhile as ever.
 */
#include "xmppd/edge/session.h"

#define STEP_MS 10 /* how finely the waiting ends */

void
throttle_read(struct session *s, size_t len)
{
	struct edge *e = s->edge;
	uint64_t now = edge_now(e), from, other;

	from = rate_take(&s->bytes, len, edge_limit(e, LIMIT_RATE), now);
	other =
	    rate_take(&s->stanzas, s->count, edge_limit(e, LIMIT_STANZAS), now);
	s->count = 0;
	if (other > from)
		from = other;
	if (from <= now || s->throttled || s->stream.component)
		return;
	s->read_from = (from / STEP_MS + 1) * STEP_MS;
	s->throttled = true;
	TAILQ_INSERT_TAIL(&e->throttled, s, next_throttled);
	conn_pause(s->conn);
	edge_tick_at(e, s->read_from);
}

void
throttle_end(struct session *s)
{
	if (s->throttled)
		TAILQ_REMOVE(&s->edge->throttled, s, next_throttled);
	s->throttled = false;
}

uint64_t
throttle_tick(struct edge *e, uint64_t now)
{
	struct session *s, *next;
	uint64_t first = UINT64_MAX;

	for (s = TAILQ_FIRST(&e->throttled); s != NULL; s = next) {
		next = TAILQ_NEXT(s, next_throttled);
		if (s->read_from > now) {
			if (s->read_from < first)
				first = s->read_from;
			continue;
		}
		throttle_end(s);
		session_read_on(s);
	}
	return first;
}
