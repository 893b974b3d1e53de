/*
 * XEP-0198's counters and queue.
 *
 *   in    a ring of the frames that went up and are not acknowledged, each
 *         with how many stanzas it stands for: itself, and those after it that
 *         the edge answered; whatever leads the ring and is done is handled
 *   out   stanzas in order, dropped from the front as the peer acknowledges
 */
#include "xmppd/edge/sm.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

/* <r/> goes with every so many stanzas or bytes, else when nothing follows: so
 * a chat doesn't double its packets. */
#define ASK_STANZAS 10
#define ASK_BYTES 32768

struct frame {
	uint32_t stanzas;
	bool done;
};

struct sm {
	struct sm_limits limits;
	/* in */
	struct frame *ring; /* by seq & (ring_size - 1) */
	size_t ring_size;
	uint64_t first, next; /* seqs: first <= those in the ring < next */
	uint32_t received, handled;
	uint32_t told, wanted; /* by and at the newest <r/> */
	/* out */
	STAILQ_HEAD(, sm_stanza) queue;
	size_t count, bytes;
	uint32_t sent, acked;
	bool asking;        /* <r/> isn't answered */
	uint32_t asked;     /* `sent` at the newest one */
	size_t asked_bytes; /* that came after it */
};

struct sm *
sm_new(const struct sm_limits *limits, uint64_t seq)
{
	struct sm *m = xcalloc(1, sizeof(*m));

	m->limits = *limits;
	m->first = m->next = seq + 1;
	STAILQ_INIT(&m->queue);
	return m;
}

static void
drop_first(struct sm *m)
{
	struct sm_stanza *s = STAILQ_FIRST(&m->queue);

	STAILQ_REMOVE_HEAD(&m->queue, next);
	m->count--;
	m->bytes -= s->len;
	free(s->others);
	free(s);
}

void
sm_free(struct sm *m)
{
	if (m == NULL)
		return;
	while (!STAILQ_EMPTY(&m->queue))
		drop_first(m);
	free(m->ring);
	free(m);
}

/* Whether `a` is behind `b`, where 2^32 - 1 is behind 0. */
static bool
is_behind(uint32_t a, uint32_t b)
{
	return a != b && (uint32_t)(b - a) < 0x80000000U;
}

/* ---- from the peer ----------------------------------------------------- */

static struct frame *
frame_at(const struct sm *m, uint64_t seq)
{
	return &m->ring[seq & (m->ring_size - 1)];
}

static void
ring_grow(struct sm *m)
{
	struct frame *old = m->ring;
	size_t old_size = m->ring_size;

	m->ring_size = old_size == 0 ? 8 : old_size * 2;
	m->ring = xcalloc(m->ring_size, sizeof(*m->ring));
	for (uint64_t seq = m->first; seq < m->next; seq++)
		*frame_at(m, seq) = old[seq & (old_size - 1)];
	free(old);
}

static void
ring_add(struct sm *m, uint32_t stanzas)
{
	if (m->next - m->first == m->ring_size)
		ring_grow(m);
	*frame_at(m, m->next++) = (struct frame){ stanzas, false };
}

void
sm_received(struct sm *m, uint64_t frames)
{
	m->received++;
	if (frames > 0)
		ring_add(m, 1);
	else if (m->first == m->next)
		m->handled++;
	else
		frame_at(m, m->next - 1)->stanzas++;
}

void
sm_skipped(struct sm *m)
{
	ring_add(m, 0);
}

void
sm_frame_done(struct sm *m, uint64_t seq)
{
	if (seq < m->first || seq >= m->next)
		return;
	frame_at(m, seq)->done = true;
	for (; m->first < m->next && frame_at(m, m->first)->done; m->first++)
		m->handled += frame_at(m, m->first)->stanzas;
}

uint32_t
sm_handled(const struct sm *m)
{
	return m->handled;
}

uint32_t
sm_count_received(const struct sm *m)
{
	return m->received;
}

uint32_t
sm_tell(struct sm *m)
{
	m->told = m->handled;
	m->wanted = m->received;
	return m->told;
}

bool
sm_owes(const struct sm *m, bool late)
{
	if (m->told == m->wanted || m->told == m->handled)
		return false;
	return late || !is_behind(m->handled, m->wanted);
}

/* ---- to the peer ------------------------------------------------------- */

bool
sm_has_room(const struct sm *m, size_t len)
{
	return m->count == 0 ||
	    (m->count < m->limits.stanzas && m->bytes + len <= m->limits.bytes);
}

bool
sm_is_roomy(const struct sm *m)
{
	return m->count <= m->limits.stanzas / 2 &&
	    m->bytes <= m->limits.bytes / 2;
}

void
sm_sent(
    struct sm *m, const struct down_deliver *d, struct text bytes, int64_t time)
{
	struct sm_stanza *s = xcalloc(1, sizeof(*s) + bytes.len);

	if (d != NULL) {
		s->id = d->id;
		s->kind = d->kind;
		s->others = text_dup(d->others);
	}
	s->time = time;
	s->len = bytes.len;
	memcpy(s->data, bytes.data, bytes.len);
	STAILQ_INSERT_TAIL(&m->queue, s, next);
	m->count++;
	m->bytes += s->len;
	m->asked_bytes += s->len;
	m->sent++;
}

bool
sm_will_ask(const struct sm *m)
{
	return !m->asking && m->count > 0;
}

bool
sm_asks(struct sm *m, bool idle)
{
	bool ask = m->sent - m->asked >= ASK_STANZAS ||
	    m->asked_bytes >= ASK_BYTES || (idle && sm_will_ask(m));

	if (ask) {
		m->asking = true;
		m->asked = m->sent;
		m->asked_bytes = 0;
	}
	return ask;
}

bool
sm_may_ack(const struct sm *m, uint32_t h)
{
	return is_behind(h, m->acked) || h - m->acked <= m->count;
}

enum sm_ack
sm_acked(struct sm *m, uint32_t h, sm_stanza_fn fn, void *arg)
{
	m->asking = false;
	if (is_behind(h, m->acked))
		return SM_ACK_OLD;
	if (!sm_may_ack(m, h))
		return SM_ACK_TOO_HIGH;
	for (; m->acked != h; m->acked++) {
		fn(arg, STAILQ_FIRST(&m->queue));
		drop_first(m);
	}
	if (is_behind(m->asked, m->acked)) {
		m->asked = m->acked;
		m->asked_bytes = 0;
	}
	return SM_ACKED;
}

uint32_t
sm_count_sent(const struct sm *m)
{
	return m->sent;
}

size_t
sm_unacked(const struct sm *m)
{
	return m->count;
}

void
sm_each(const struct sm *m, sm_stanza_fn fn, void *arg)
{
	const struct sm_stanza *s;

	STAILQ_FOREACH(s, &m->queue, next)
		fn(arg, s);
}

void
sm_restart(struct sm *m)
{
	m->asking = false;
	m->asked = m->sent;
	m->asked_bytes = 0;
	m->told = m->wanted = m->handled;
}

/* ---- as bytes ---------------------------------------------------------- */

void
sm_encode(const struct sm *m, struct buf *b)
{
	const struct sm_stanza *s;

	buf_add_u32(b, m->received);
	buf_add_u32(b, m->acked);
	buf_add_u32(b, (uint32_t)m->count);
	STAILQ_FOREACH(s, &m->queue, next) {
		buf_add_u8(b, s->kind);
		if (s->kind != 0)
			delivery_id_encode(b, &s->id);
		buf_add_u64(b, (uint64_t)s->time);
		buf_add_text(b, s->others);
		buf_add_block(b, s->data, s->len);
	}
}

static bool
stanza_decode(struct sm *m, struct cursor *c)
{
	struct down_deliver d = { 0 };
	struct text bytes;
	int64_t time;

	d.kind = cursor_u8(c);
	if (d.kind != 0)
		d.id = delivery_id_read(c);
	time = (int64_t)cursor_u64(c);
	d.others.data = cursor_text(c, &d.others.len);
	bytes.data = cursor_text(c, &bytes.len);
	if (!cursor_ok(c) || bytes.data == NULL)
		return false;
	sm_sent(m, d.kind == 0 ? NULL : &d, bytes, time);
	return true;
}

struct sm *
sm_decode(struct cursor *c, const struct sm_limits *limits, uint64_t seq)
{
	struct sm *m = sm_new(limits, seq);
	uint32_t count;

	m->received = m->handled = cursor_u32(c);
	m->sent = m->acked = cursor_u32(c);
	count = cursor_u32(c);
	for (uint32_t i = 0; i < count && cursor_ok(c); i++)
		if (!stanza_decode(m, c))
			c->failed = true;
	if (!cursor_ok(c)) {
		sm_free(m);
		return NULL;
	}
	sm_restart(m);
	return m;
}

bool
sm_read_count(const char *text, uint32_t *h)
{
	uint64_t v;

	if (text == NULL || !str_to_u64(text, 0, UINT32_MAX, &v))
		return false;
	*h = (uint32_t)v;
	return true;
}
