/*
 * A session that goes on at another edge, of this node or another (XEP-0198,
 * 5); the router is between them (FRAME_RESUME and FRAME_YIELD in frame.h).
 *
 *   here is the new connection: yield_ask -> yield_take, or yield_refused
 *   here is the session:        yield_request -> what came from its client is
 *     handled -> its state goes up; it is frozen -> the frame is acknowledged:
 *     gone, without a word; or kept
 */
#include "xmppd/edge/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define STATE_VERSION 1

/* ---- the new connection ------------------------------------------------ */

void
yield_ask(struct session *s, const char *bare, const char *previd, uint32_t h)
{
	char count[16];

	snprintf(count, sizeof(count), "%" PRIu32, h);
	s->up.full = xstrdup(bare);
	uplink_resume(s->edge->uplink, &s->up,
	    s->stream.component ? SESSION_COMPONENT : SESSION_CLIENT,
	    session_window(s), previd, count);
}

/* "item-not-found", or with how much was handled; or "too-high", and how many
 * were sent. */
void
yield_refused(struct session *s, struct text why)
{
	char *reason = text_dup(why), *count;
	uint32_t number = 0;
	bool counted;

	if (reason == NULL)
		reason = xstrdup("");
	count = strchr(reason, ' ');
	if (count != NULL)
		*count++ = '\0';
	counted = sm_read_count(count, &number);
	if (strcmp(reason, "too-high") == 0 && counted)
		managed_blame(s, s->resumption->h, number);
	else
		resume_refused(s, counted ? &number : NULL);
	free(reason);
}

/* ---- the state --------------------------------------------------------- */

static void
report_cb(void *arg, const struct up_report *report)
{
	struct buf *b = arg;

	buf_add_u8(b, 1);
	delivery_id_encode(b, &report->id);
	sid_encode(b, &report->sender);
	buf_add_u8(b, report->kind);
	buf_add_u64(b, report->lane);
	buf_add_u8(b, report->kept);
}

static void
state_encode(struct session *s, struct buf *b)
{
	const struct managed *m = s->managed;

	buf_add_u8(b, STATE_VERSION);
	uplink_encode(&s->up, b);
	buf_add_text(b, m->id);
	buf_add_u64(b, m->resume_ms);
	buf_add_u64(b, (uint64_t)s->since);
	sm_encode(m->sm, b);
	uplink_accepted_of(s->edge->uplink, &s->up.sid, report_cb, b);
	buf_add_u8(b, 0);
}

static void
reports_decode(struct session *s, struct cursor *c)
{
	struct up_report report;

	while (cursor_u8(c) == 1 && cursor_ok(c)) {
		memset(&report, 0, sizeof(report));
		report.id = delivery_id_read(c);
		report.sender = sid_decode(c);
		report.kind = cursor_u8(c);
		report.lane = cursor_u64(c);
		report.kept = cursor_u8(c) == 1;
		if (cursor_ok(c))
			uplink_has_accepted(s->edge->uplink, &report);
	}
}

/* The session as it was, in `s`; false if it can't be read. */
static bool
state_decode(struct session *s, struct text state)
{
	const struct sm_limits limits = managed_limits(s);
	struct managed *m = xcalloc(1, sizeof(*m));
	struct cursor c;

	cursor_init(&c, state.data, state.len);
	m->session = s;
	if (cursor_u8(&c) != STATE_VERSION ||
	    !uplink_become(s->edge->uplink, &s->up, &c))
		c.failed = true;
	m->id = cursor_dup_text(&c);
	m->resume_ms = cursor_u64(&c);
	s->since = (int64_t)cursor_u64(&c);
	if (cursor_ok(&c) && m->id != NULL)
		m->sm = sm_decode(&c, &limits, uplink_sent(&s->up));
	if (m->sm == NULL) {
		free(m->id);
		free(m);
		return false;
	}
	reports_decode(s, &c);
	s->managed = m;
	map_put_str(&s->edge->resumable, m->id, m);
	return true;
}

bool
yield_take(struct session *s, struct text state)
{
	if (s->resumption == NULL || !state_decode(s, state)) {
		session_error(s, STREAM_INTERNAL_SERVER_ERROR, NULL);
		return false;
	}
	resume_taken(s);
	return true;
}

/* ---- the session ------------------------------------------------------- */

static void
answer(
    struct session *s, const char *heir, const char *refusal, struct text state)
{
	struct up_frame frame = { 0 };

	frame.id = text_of(heir);
	frame.child = text_of(refusal);
	frame.payload = state;
	uplink_yield(s->edge->uplink, &s->up, &frame);
	if (s->managed != NULL)
		sm_skipped(s->managed->sm);
}

static void
decline(struct session *s, const char *heir, const char *why)
{
	answer(s, heir, why, (struct text){ NULL, 0 });
}

/* All that came from its client is handled: its state is all there is. */
void
yield_now(struct session *s)
{
	struct managed *m = s->managed;
	struct buf b = { 0 };

	state_encode(s, &b);
	m->frozen = true;
	s->up.yielded = true;
	answer(
	    s, m->claimed, NULL, (struct text){ (const char *)b.data, b.len });
	m->frozen_by = uplink_sent(&s->up);
	buf_clear(&b);
	log_info("edge: %s: goes on at another edge", session_name(s));
}

/* Ends the word; what follows the blank, NULL if nothing does. */
static char *
next_word(char *word)
{
	char *next = word == NULL ? NULL : strchr(word, ' ');

	if (next != NULL)
		*next++ = '\0';
	return next;
}

/* "h heir id" */
void
yield_request(struct session *s, struct text request)
{
	struct managed *m = s->managed;
	char *h = text_dup(request), *heir = next_word(h);
	char *id = next_word(heir);
	char why[32];
	uint32_t count;

	if (id == NULL || m == NULL || m->frozen || !str_equal(id, m->id) ||
	    !sm_read_count(h, &count) || !resume_is_possible(s)) {
		decline(s, heir, "item-not-found");
	} else if (!managed_may_acknowledge(s, count)) {
		snprintf(why, sizeof(why), "too-high %" PRIu32,
		    sm_count_sent(m->sm));
		decline(s, heir, why);
	} else {
		managed_acknowledged(s, count, s);
		resume_detach_all(s);
		free(m->claimed);
		m->claimed = xstrdup(heir);
		resume_moved(m);
	}
	free(h);
}

void
yield_keep(struct session *s, struct text heir)
{
	struct managed *m = s->managed;

	if (m == NULL || !m->frozen || !text_is(heir, m->claimed))
		return;
	free(m->claimed);
	m->claimed = NULL;
	m->frozen = false;
	s->up.yielded = false;
	log_info("edge: %s: goes on here after all", session_name(s));
}

bool
yield_is_done(const struct session *s, uint64_t seq)
{
	const struct managed *m = s->managed;

	return m->frozen && seq == m->frozen_by;
}
