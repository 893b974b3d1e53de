/*
 * Stream management (XEP-0198) on a bound session's stream; what is counted and
 * kept is in sm.c, what becomes of a session without a connection in resume.c.
 *
 *   <enable/>   -> <enabled/>; from then on stanzas are counted both ways
 *   <r/>        -> <a/> with what is handled (G1) now; and another one when the
 *                  rest is
 *   stanzas out -> <r/> with every few of them, or when nothing follows
 *   <a/>        -> what it acknowledges is forgotten; a stored message of it
 *                  may be deleted
 */
#include "xmppd/edge/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define STANZAS_MAX 2000 /* not acknowledged by the peer */
#define IDLE_MS 1000     /* without a stanza, before <r/> is sent */

/* ---- what is said ------------------------------------------------------ */

void
managed_write_failed(
    struct buf *out, enum stanza_error error, const uint32_t *h)
{
	buf_add_str(out, "<failed xmlns='" NS_SM "'");
	if (h != NULL)
		buf_addf(out, " h='%" PRIu32 "'", *h);
	buf_addf(out, "><%s xmlns='" NS_STANZA_ERRORS "'/></failed>",
	    stanza_error_name(error));
}

static void
failed(struct session *s, enum stanza_error error)
{
	managed_write_failed(&s->edge->out, error, NULL);
	session_flush(s);
}

static void
write_ack(struct session *s, struct buf *out)
{
	buf_addf(out, "<a xmlns='" NS_SM "' h='%" PRIu32 "'/>",
	    sm_tell(s->managed->sm));
}

static void
tell(struct session *s)
{
	write_ack(s, &s->edge->out);
	session_flush(s);
}

void
managed_write_last(struct session *s, struct buf *out)
{
	if (s->managed != NULL)
		write_ack(s, out);
}

/* ---- those to whom something may be said later ------------------------- */

void
managed_watch(struct managed *m)
{
	if (m->watched)
		return;
	m->watched = true;
	TAILQ_INSERT_TAIL(&m->session->edge->watched, m, next_watched);
}

void
managed_unwatch(struct managed *m)
{
	if (!m->watched)
		return;
	m->watched = false;
	TAILQ_REMOVE(&m->session->edge->watched, m, next_watched);
}

static void
ask(struct session *s)
{
	static const char request[] = "<r xmlns='" NS_SM "'/>";

	session_write(s, request, sizeof(request) - 1);
}

void
managed_sweep(struct edge *e, uint64_t now)
{
	struct managed *m, *next;

	for (m = TAILQ_FIRST(&e->watched); m != NULL; m = next) {
		next = TAILQ_NEXT(m, next_watched);
		if (now - m->busy_since >= IDLE_MS && sm_asks(m->sm, true))
			ask(m->session);
		if (sm_owes(m->sm, true))
			tell(m->session);
		if (!sm_will_ask(m->sm))
			managed_unwatch(m);
	}
}

/* ---- stanzas ----------------------------------------------------------- */

void
managed_received(struct session *s, uint64_t frames)
{
	sm_received(s->managed->sm, frames);
}

void
managed_count(
    struct session *s, const struct down_deliver *d, struct text bytes)
{
	sm_sent(s->managed->sm, d, bytes, clock_unix());
}

void
managed_ask(struct session *s)
{
	struct managed *m = s->managed;

	if (s->conn == NULL)
		return;
	m->busy_since = edge_now(s->edge);
	if (sm_asks(m->sm, false))
		ask(s);
	managed_watch(m);
}

void
managed_moved(struct session *s, uint64_t seq)
{
	struct managed *m = s->managed;

	if (seq != 0 && yield_is_done(s, seq)) {
		session_leave(s);
		return;
	}
	if (seq != 0)
		sm_frame_done(m->sm, seq);
	if (s->conn != NULL && sm_owes(m->sm, false))
		tell(s);
	else if (s->conn != NULL && sm_owes(m->sm, true))
		managed_watch(m);
	resume_moved(m);
}

static void
acknowledged_cb(void *arg, const struct sm_stanza *stanza)
{
	struct session *s = arg;

	if (stanza->id.key.kind == DKEY_ROW)
		uplink_settle(s->edge->uplink, &stanza->id, true);
}

/* XEP-0198, 6. */
void
managed_blame(struct session *s, uint32_t h, uint32_t sent)
{
	buf_addf(&s->edge->out,
	    "<stream:error><undefined-condition xmlns='" NS_STREAM_ERRORS "'/>"
	    "<text xmlns='" NS_STREAM_ERRORS "' xml:lang='en'>"
	    "%" PRIu32 " stanzas are acknowledged and %" PRIu32 " were sent"
	    "</text><handled-count-too-high xmlns='" NS_SM "' h='%" PRIu32
	    "' send-count='%" PRIu32 "'/></stream:error>",
	    h, sent, h, sent);
	stream_write_end(&s->stream, &s->edge->out);
	session_close_with_out(s, "it acknowledges more than it was sent");
}

bool
managed_may_acknowledge(const struct session *s, uint32_t h)
{
	return sm_may_ack(s->managed->sm, h);
}

bool
managed_acknowledged(struct session *s, uint32_t h, struct session *blamed)
{
	struct sm *sm = s->managed->sm;

	if (sm_acked(sm, h, acknowledged_cb, s) == SM_ACK_TOO_HIGH) {
		managed_blame(blamed, h, sm_count_sent(sm));
		return false;
	}
	egress_settle(s);
	return true;
}

/* ---- elements ---------------------------------------------------------- */

struct sm_limits
managed_limits(const struct session *s)
{
	return (struct sm_limits){ STANZAS_MAX, s->ops->queue_max };
}

static uint64_t
resume_ms(const struct edge *e, const char *max)
{
	uint64_t seconds = edge_limit(e, LIMIT_RESUME_TIME), wish;

	if (max != NULL && str_to_u64(max, 1, UINT32_MAX, &wish) &&
	    wish < seconds)
		seconds = wish;
	return seconds * 1000;
}

bool
managed_enable(struct session *s, bool resume, const char *max, struct buf *out)
{
	const struct sm_limits limits = managed_limits(s);
	struct managed *m;

	if (s->managed != NULL || s->stream.state != STREAM_BOUND) {
		managed_write_failed(out, STANZA_UNEXPECTED_REQUEST, NULL);
		return false;
	}
	m = xcalloc(1, sizeof(*m));
	m->session = s;
	m->sm = sm_new(&limits, uplink_sent(&s->up));
	s->managed = m;
	buf_add_str(out, "<enabled xmlns='" NS_SM "'");
	if (resume && edge_limit(s->edge, LIMIT_RESUME_TIME) > 0) {
		m->id = resume_new_id(s);
		m->resume_ms = resume_ms(s->edge, max);
		map_put_str(&s->edge->resumable, m->id, m);
		xml_add_attr(out, "id", m->id);
		buf_addf(out, " resume='true' max='%" PRIu64 "'",
		    m->resume_ms / 1000);
	}
	buf_add_str(out, "/>");
	return true;
}

static void
enable(struct session *s, const struct xml *x)
{
	/* What waits belongs to the stream as it was. */
	csi_flush(s);
	managed_enable(s, xml_is_true(xml_attr(x, "resume")),
	    xml_attr(x, "max"), &s->edge->out);
	session_flush(s);
}

static void
resume(struct session *s, const struct xml *x)
{
	const char *previd = xml_attr(x, "previd");
	uint32_t h;

	if (s->stream.state == STREAM_BINDING ||
	    s->stream.state == STREAM_BOUND)
		failed(s, STANZA_UNEXPECTED_REQUEST);
	else if (previd == NULL || !sm_read_count(xml_attr(x, "h"), &h))
		failed(s, STANZA_BAD_REQUEST);
	else
		s->ops->resume(s, previd, h);
}

static void
acknowledgement(struct session *s, const struct xml *x)
{
	uint32_t h;

	if (!sm_read_count(xml_attr(x, "h"), &h))
		session_error(s, STREAM_INVALID_XML, "<a/> without a count");
	else
		managed_acknowledged(s, h, s);
}

static void
understood(struct session *s, const struct xml *x)
{
	if (strcmp(x->name, "enable") == 0)
		enable(s, x);
	else if (strcmp(x->name, "resume") == 0)
		resume(s, x);
	else if (s->managed == NULL)
		failed(s, STANZA_UNEXPECTED_REQUEST);
	else if (strcmp(x->name, "r") == 0)
		tell(s);
	else
		acknowledgement(s, x);
}

void
managed_element(struct session *s, const struct xml_stanza *stanza)
{
	struct buf b = { 0 };
	struct xml *x;

	xml_stanza_write(&b, stanza, NULL, NULL, NULL);
	x = xml_parse((const char *)b.data, b.len);
	if (x == NULL)
		failed(s, STANZA_BAD_REQUEST);
	else
		understood(s, x);
	xml_free(x);
	buf_clear(&b);
}
