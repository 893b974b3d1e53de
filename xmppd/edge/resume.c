/*
 * Sessions that live on without a connection, and go on with another (XEP-0198,
 * 5).
 *
 *   connection lost -> detached: what comes for it is kept
 *   <resume/> from the same account -> the old connection, if there is one, is
 *     ended with <conflict/>
 *     -> all that came from the old one is handled
 *     -> <resumed/>: the session is the new connection's; what its client
 *        lacks is sent again
 *   it isn't here -> yield.c
 *   nobody comes in time, or the session ends otherwise -> what its client has
 *     not acknowledged is given back to the router (FRAME_RETURN), and a stored
 *     message stays stored
 */
#include "xmppd/edge/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define SECRET_LEN 22 /* characters of an id that are random: 128 bits */

/* Tells where the session is, and nobody can guess it. */
char *
resume_new_id(const struct session *s)
{
	char secret[SECRET_LEN + 1];
	struct buf b = { 0 };

	crypto_random_text(secret, SECRET_LEN);
	sids_add(&b, &s->up.sid);
	b.data[b.len - 1] = '-';
	buf_add_str(&b, secret);
	return buf_steal_str(&b);
}

void
resume_clear(struct edge *e)
{
	map_clear(&e->resumable);
}

/* ---- without a connection ---------------------------------------------- */

/* Those that are to be given up first are first; most have the same time. */
static void
detached_insert(struct session *s)
{
	struct session_list *list = &s->edge->detached;
	struct session *at = TAILQ_LAST(list, session_list);

	while (at != NULL && at->until > s->until)
		at = TAILQ_PREV(at, session_list, next);
	if (at == NULL)
		TAILQ_INSERT_HEAD(list, s, next);
	else
		TAILQ_INSERT_AFTER(list, at, s, next);
}

/* Stored messages that were half out before <enable/> can't be sent again. */
static bool
has_a_future(const struct session *s)
{
	if (s->managed == NULL || s->managed->id == NULL ||
	    s->stream.state != STREAM_BOUND)
		return false;
	for (size_t i = 0; i < s->slow_count; i++)
		if (!s->slow[i].kept)
			return false;
	return true;
}

static void
count_message_cb(void *arg, const struct sm_stanza *stanza)
{
	size_t *count = arg;

	*count += stanza->kind == DELIVER_MESSAGE;
}

bool
resume_detach(struct session *s, const char *why)
{
	struct managed *m = s->managed;
	size_t waiting = 0;

	if (!has_a_future(s))
		return false;
	log_info("edge: %s: connection lost: %s; it may be resumed for %" PRIu64
		 " s",
	    session_name(s), why, m->resume_ms / 1000);
	managed_unwatch(m);
	session_let_go(s);
	s->until = edge_now(s->edge) + m->resume_ms;
	detached_insert(s);
	csi_flush(s);
	csi_end(s);
	egress_settle(s);
	sm_each(m->sm, count_message_cb, &waiting);
	uplink_set_away(s->edge->uplink, &s->up, true, waiting);
	return true;
}

void
resume_expire(struct edge *e, uint64_t now)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&e->detached); s != NULL && s->until <= now;
	     s = next) {
		next = TAILQ_NEXT(s, next);
		if (s->managed->heir == NULL && s->managed->claimed == NULL &&
		    !s->managed->frozen)
			session_abort(s, "not resumed in time");
	}
}

/* ---- with another one -------------------------------------------------- */

static void
resumption_end(struct session *heir)
{
	if (heir->resumption == NULL)
		return;
	if (heir->resumption->old != NULL)
		heir->resumption->old->heir = NULL;
	free(heir->resumption);
	heir->resumption = NULL;
}

static void
answer(struct session *s, resume_done_fn done, bool resumed, struct buf *b)
{
	if (!resumed && s->stream.state == STREAM_BINDING)
		stream_set_state(&s->stream, STREAM_UNBOUND, s->peer);
	done(s, resumed, buf_str(b));
	buf_clear(b);
}

static void
refuse(struct session *s, resume_done_fn done, const uint32_t *h)
{
	struct buf b = { 0 };

	managed_write_failed(&b, STANZA_ITEM_NOT_FOUND, h);
	answer(s, done, false, &b);
}

void
resume_refused(struct session *s, const uint32_t *h)
{
	resume_done_fn done;

	if (s->resumption == NULL)
		return;
	done = s->resumption->done;
	resumption_end(s);
	refuse(s, done, h);
}

static void
send_again_cb(void *arg, const struct sm_stanza *stanza)
{
	session_write(arg, stanza->data, stanza->len);
}

/* The session leaves the struct that it was in. */
static void
take_over(struct session *s, struct session *old)
{
	struct managed *m = old->managed;

	uplink_move(s->edge->uplink, &old->up, &s->up);
	s->managed = m;
	m->session = s;
	old->managed = NULL;
	egress_move(old, s);
	session_abort(old, "resumed");
}

/* The session is this connection's now. */
static void
go_on(struct session *s, resume_done_fn done)
{
	struct managed *m = s->managed;
	struct buf b = { 0 };
	int64_t since = s->since;

	buf_addf(&b, "<resumed xmlns='" NS_SM "' h='%" PRIu32 "'",
	    sm_handled(m->sm));
	xml_add_attr(&b, "previd", m->id);
	buf_add_str(&b, "/>");
	log_info("edge: %s: resumed from %s", s->up.full, s->peer);
	answer(s, done, true, &b);
	session_is_bound(s);
	uplink_set_away(s->edge->uplink, &s->up, false, 0);
	s->since = since;
	sm_each(m->sm, send_again_cb, s);
	sm_restart(m->sm);
	managed_ask(s);
}

void
resume_moved(struct managed *m)
{
	struct session *heir = m->heir;
	resume_done_fn done;

	if (sm_handled(m->sm) != sm_count_received(m->sm))
		return;
	if (m->claimed != NULL && !m->frozen)
		yield_now(m->session);
	if (heir == NULL)
		return;
	done = heir->resumption->done;
	resumption_end(heir);
	heir->since = m->session->since;
	take_over(heir, m->session);
	go_on(heir, done);
}

void
resume_taken(struct session *s)
{
	resume_done_fn done = s->resumption->done;

	resumption_end(s);
	go_on(s, done);
}

/*
 * What came over the old connection and isn't handled yet would be sent again
 * by the client, and come twice: the answer waits for it.
 */
static void
wait_for(struct session *s, struct managed *m, uint32_t h, resume_done_fn done)
{
	s->resumption = xcalloc(1, sizeof(*s->resumption));
	s->resumption->old = m;
	s->resumption->h = h;
	s->resumption->done = done;
	if (s->stream.state == STREAM_UNBOUND)
		stream_set_state(&s->stream, STREAM_BINDING, s->peer);
}

/* The newest connection is the one that its client has. */
void
resume_detach_all(struct session *s)
{
	if (s->managed->heir != NULL)
		session_error(s->managed->heir, STREAM_CONFLICT, NULL);
	if (s->conn != NULL)
		session_replace(s);
}

bool
resume_is_possible(const struct session *s)
{
	return s->stream.state == STREAM_DETACHED || has_a_future(s);
}

static bool
is_an_id(const char *previd)
{
	struct text list = text_of(previd);
	struct sid sid;

	return sids_next(&list, &sid);
}

void
resume_begin(struct session *s, const char *bare, const char *previd,
    uint32_t h, resume_done_fn done)
{
	struct managed *m = map_find_str(&s->edge->resumable, previd);

	/* It isn't here, or on its way elsewhere. */
	if ((m == NULL || m->claimed != NULL || m->frozen) &&
	    is_an_id(previd)) {
		wait_for(s, NULL, h, done);
		yield_ask(s, bare, previd, h);
		return;
	}
	if (m == NULL || strcmp(m->session->bare, bare) != 0 ||
	    !resume_is_possible(m->session)) {
		refuse(s, done, NULL);
		return;
	}
	if (!managed_acknowledged(m->session, h, s))
		return;
	resume_detach_all(m->session);
	wait_for(s, m, h, done);
	m->heir = s;
	resume_moved(m);
}

/* ---- the end ----------------------------------------------------------- */

static bool
is_returned(
    const struct sm_stanza *stanza, const struct xml *x, struct up_frame *frame)
{
	bool iq = strcmp(x->name, "iq") == 0;

	if (stanza->id.key.kind != DKEY_FRAME)
		return false;
	frame->type = (uint8_t)ingress_type(
	    iq ? FRAME_IQ : FRAME_MESSAGE, xml_attr(x, "type"));
	if (iq)
		return frame->type == TYPE_GET || frame->type == TYPE_SET;
	return stanza->kind == DELIVER_MESSAGE;
}

/* Answers, presence and what the server itself said are for this session
 * alone, and stored messages are still stored. */
static void
give_back_cb(void *arg, const struct sm_stanza *stanza)
{
	struct session *s = arg;
	struct up_frame frame = { .kind = FRAME_RETURN };
	struct xml *x = xml_parse(stanza->data, stanza->len);
	char time[24];

	if (x != NULL && is_returned(stanza, x, &frame)) {
		snprintf(time, sizeof(time), "%" PRId64, stanza->time);
		frame.to = text_of(xml_attr(x, "to"));
		if (frame.to.data == NULL)
			frame.to = text_of(s->bare);
		frame.from = text_of(xml_attr(x, "from"));
		frame.id = text_of(xml_attr(x, "id"));
		frame.lang = text_of(time);
		frame.child = text_of(stanza->others);
		frame.marks = stanza_marks(x);
		frame.payload = (struct text){ stanza->data, stanza->len };
		uplink_send(s->edge->uplink, &s->up, &frame);
	}
	xml_free(x);
}

void
resume_give_back(struct session *s)
{
	struct managed *m = s->managed;
	uint32_t h;

	resumption_end(s);
	if (m == NULL || !s->up.begun)
		return;
	sm_each(m->sm, give_back_cb, s);
	if (m->id == NULL)
		return;
	/* What has come from it goes on, but for want of a leader. */
	h = uplink_has_leader(s->edge->uplink) ? sm_count_received(m->sm)
					       : sm_handled(m->sm);
	xasprintf(&s->up.handled, "%" PRIu32, h);
}

static void
still_stored_cb(void *arg, const struct sm_stanza *stanza)
{
	struct edge *e = arg;

	if (stanza->id.key.kind == DKEY_ROW)
		uplink_settle(e->uplink, &stanza->id, false);
}

/* Who waited for this session hears that it has ended. */
static void
disappoint(struct session *heir, uint32_t h)
{
	if (heir != NULL)
		resume_refused(heir, &h);
}

void
resume_end(struct session *s)
{
	struct managed *m = s->managed;

	if (m == NULL)
		return;
	managed_unwatch(m);
	if (!m->left)
		sm_each(m->sm, still_stored_cb, s->edge);
	if (m->id != NULL && map_find_str(&s->edge->resumable, m->id) == m)
		map_remove_str(&s->edge->resumable, m->id);
	disappoint(m->heir, sm_count_received(m->sm));
	free(m->id);
	free(m->claimed);
	sm_free(m->sm);
	free(m);
	s->managed = NULL;
}
