/*
 * A session leaves the struct, or the edge, that it was in (XEP-0198, 5). It
 * keeps its sid, and what was accepted for it is known where it goes.
 */
#include "xmppd/edge/uplink_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmppd/link/link.h"

void
uplink_move(
    struct uplink *u, struct uplink_session *from, struct uplink_session *to)
{
	/* Its key is in the struct that it leaves. */
	map_remove(&u->sessions, &from->sid, sizeof(from->sid));
	*to = *from;
	memset(from, 0, sizeof(*from));
	link_queue_set_owner(to->queue, to);
	map_put(&u->sessions, &to->sid, sizeof(to->sid), to);
}

void
uplink_encode(const struct uplink_session *s, struct buf *b)
{
	sid_encode(b, &s->sid);
	buf_add_u8(b, s->kind);
	buf_add_u8(b, s->flags);
	buf_add_u64(b, s->roster);
	buf_add_u64(b, s->account_id);
	buf_add_text(b, s->full);
	buf_add_text(b, s->account);
	if (s->presence == NULL)
		buf_add_text(b, NULL);
	else
		buf_add_block(b, s->presence, s->presence_len);
}

bool
uplink_become(struct uplink *u, struct uplink_session *s, struct cursor *c)
{
	struct text presence;

	map_remove(&u->sessions, &s->sid, sizeof(s->sid));
	s->came = s->sid;
	s->sid = sid_decode(c);
	map_put(&u->sessions, &s->sid, sizeof(s->sid), s);
	s->kind = cursor_u8(c);
	s->flags = cursor_u8(c);
	s->roster = cursor_u64(c);
	s->account_id = cursor_u64(c);
	free(s->full);
	s->full = cursor_dup_text(c);
	free(s->account);
	s->account = cursor_dup_text(c);
	presence.data = cursor_text(c, &presence.len);
	s->presence = text_dup(presence);
	s->presence_len = presence.len;
	s->bound = true;
	return cursor_ok(c) && s->full != NULL;
}

void
uplink_yield(struct uplink *u, struct uplink_session *s, struct up_frame *frame)
{
	struct buf came = { 0 };

	frame->kind = FRAME_YIELD;
	frame->to = text_of(s->full);
	sids_add(&came, &s->came);
	frame->lang = (struct text){ (const char *)came.data, came.len };
	uplink_send(u, s, frame);
	buf_clear(&came);
}

struct selection {
	const struct sid *sid;
	void (*fn)(void *arg, const struct up_report *report);
	void *arg;
};

static void
select_cb(void *arg, const struct up_report *report)
{
	const struct selection *w = arg;

	if (sid_equal(&report->id.sid, w->sid))
		w->fn(w->arg, report);
}

void
uplink_accepted_of(struct uplink *u, const struct sid *sid,
    void (*fn)(void *arg, const struct up_report *report), void *arg)
{
	struct selection w = { sid, fn, arg };

	accepted_look(u->accepted, select_cb, &w);
}

void
uplink_has_accepted(struct uplink *u, const struct up_report *report)
{
	struct down_deliver m;

	memset(&m, 0, sizeof(m));
	m.id = report->id;
	m.sender = report->sender;
	m.kind = report->kind;
	m.lane = report->lane;
	if (!accepted_has(u->accepted, &m.id))
		accepted_add(u->accepted, &m);
	if (report->kept)
		accepted_hold_back(u->accepted, &m.id, true);
}
