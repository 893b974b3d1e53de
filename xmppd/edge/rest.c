/*
 * Parsers of streams that say nothing at the moment.
 */
#include "xmppd/edge/session.h"

#define REST_MS 1000

/*
 * Between two elements a parser is let go: with the usual header by itself, to
 * whoever speaks next. With another, one that speaks all the time keeps its
 * own: 20 KiB, which are made anew in 1.4 us.
 */
void
rest_after_read(struct session *s)
{
	struct edge *e = s->edge;
	uint64_t last = s->last_read;

	s->last_read = edge_now(e);
	if (s->warm || xmlstream_is_resting(s->xml))
		return;
	if (s->stream.state != STREAM_BOUND || s->last_read - last >= REST_MS) {
		xmlstream_rest(s->xml);
		return;
	}
	s->warm = true;
	TAILQ_INSERT_TAIL(&e->warm, s, next_warm);
}

void
rest_idle(struct edge *e, uint64_t now)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&e->warm); s != NULL; s = next) {
		next = TAILQ_NEXT(s, next_warm);
		if (now - s->last_read < REST_MS)
			continue;
		xmlstream_rest(s->xml);
		s->warm = false;
		TAILQ_REMOVE(&e->warm, s, next_warm);
	}
}

void
rest_end(struct session *s)
{
	if (s->warm)
		TAILQ_REMOVE(&s->edge->warm, s, next_warm);
	s->warm = false;
}
