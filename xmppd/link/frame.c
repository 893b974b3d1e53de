/*
 * The link's messages as bytes. Fixed big-endian fields in the order of the
 * structs; a text is a 32-bit length and its bytes, 0xffffffff is absence.
 */
#include "xmppd/link/frame.h"

#include <string.h>

#include "common/result.h"

#define ORIGIN_SIZE 16
#define LIVE_ORIGIN_SIZE (ORIGIN_SIZE + 8)

static void
head_encode(struct buf *b, uint8_t what, uint64_t term)
{
	buf_add_u8(b, what);
	buf_add_u64(b, term);
}

static void
text_encode(struct buf *b, struct text t)
{
	if (t.data == NULL)
		buf_add_text(b, NULL);
	else
		buf_add_block(b, t.data, t.len);
}

static struct text
text_decode(struct cursor *c)
{
	struct text t;

	t.data = cursor_text(c, &t.len);
	return t;
}

/* Bytes, not characters: a session's state holds zeroes. */
static struct text
bytes_decode(struct cursor *c)
{
	struct text t = { NULL, 0 };
	uint32_t len = cursor_u32(c);

	if (len == UINT32_MAX)
		return t;
	t.data = (const char *)cursor_bytes(c, len);
	t.len = t.data == NULL ? 0 : len;
	return t;
}

/* A flag that is neither 0 nor 1 was made by no encoder. */
static bool
bool_decode(struct cursor *c)
{
	uint8_t v = cursor_u8(c);

	if (v > 1)
		c->failed = true;
	return v == 1;
}

static uint8_t
enum_decode(struct cursor *c, unsigned first, unsigned last)
{
	uint8_t v = cursor_u8(c);

	if (v < first || v > last)
		c->failed = true;
	return v;
}

static int
decoded(const struct cursor *c)
{
	return cursor_done(c) ? RES_OK : RES_INVALID;
}

int
link_head_decode(struct cursor *c, struct link_head *head)
{
	head->what = cursor_u8(c);
	head->term = cursor_u64(c);
	return cursor_ok(c) ? RES_OK : RES_INVALID;
}

void
origin_encode(struct buf *b, const struct origin *o)
{
	buf_add_u32(b, o->node);
	buf_add_u32(b, o->edge);
	buf_add_u64(b, o->incarnation);
}

struct origin
origin_decode(struct cursor *c)
{
	struct origin o;

	memset(&o, 0, sizeof(o));
	o.node = cursor_u32(c);
	o.edge = cursor_u32(c);
	o.incarnation = cursor_u64(c);
	return o;
}

void
sid_encode(struct buf *b, const struct sid *s)
{
	buf_add_u32(b, s->node);
	buf_add_u32(b, s->edge);
	buf_add_u64(b, s->id);
}

struct sid
sid_decode(struct cursor *c)
{
	struct sid s;

	memset(&s, 0, sizeof(s));
	s.node = cursor_u32(c);
	s.edge = cursor_u32(c);
	s.id = cursor_u64(c);
	return s;
}

static void
dkey_write(struct buf *b, const struct dkey *k)
{
	buf_add_u8(b, (uint8_t)k->kind);
	origin_encode(b, &k->origin);
	buf_add_u64(b, k->num);
	sid_encode(b, &k->about);
	buf_add_u64(b, k->version);
}

static struct dkey
dkey_read(struct cursor *c)
{
	struct dkey k;

	memset(&k, 0, sizeof(k));
	k.kind = enum_decode(c, DKEY_FRAME, DKEY_TERM);
	k.origin = origin_decode(c);
	k.num = cursor_u64(c);
	k.about = sid_decode(c);
	k.version = cursor_u64(c);
	return k;
}

void
delivery_id_encode(struct buf *b, const struct delivery_id *id)
{
	dkey_write(b, &id->key);
	sid_encode(b, &id->sid);
}

struct delivery_id
delivery_id_read(struct cursor *c)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key = dkey_read(c);
	id.sid = sid_decode(c);
	return id;
}

void
dkey_encode(struct buf *b, const struct dkey *k)
{
	dkey_write(b, k);
}

int
dkey_decode(struct cursor *c, struct dkey *k)
{
	*k = dkey_read(c);
	return decoded(c);
}

int
delivery_id_decode(struct cursor *c, struct delivery_id *id)
{
	*id = delivery_id_read(c);
	return decoded(c);
}

/* ---- up ---------------------------------------------------------------- */

void
up_announce_encode(struct buf *b, uint64_t term, const struct up_announce *m)
{
	head_encode(b, UP_ANNOUNCE, term);
	origin_encode(b, &m->origin);
	buf_add_u64(b, m->low);
	buf_add_u32(b, m->edges);
}

int
up_announce_decode(struct cursor *c, struct up_announce *m)
{
	m->origin = origin_decode(c);
	m->low = cursor_u64(c);
	m->edges = cursor_u32(c);
	return decoded(c);
}

void
up_session_encode(struct buf *b, uint64_t term, const struct up_session *m)
{
	head_encode(b, UP_SESSION, term);
	sid_encode(b, &m->sid);
	buf_add_u8(b, m->kind);
	buf_add_u8(b, m->bound);
	buf_add_u8(b, m->yielded);
	sid_encode(b, &m->came);
	buf_add_u64(b, m->roster);
	buf_add_u64(b, m->account);
	buf_add_u8(b, m->carbons);
	text_encode(b, m->full);
	text_encode(b, m->presence);
}

int
up_session_decode(struct cursor *c, struct up_session *m)
{
	m->sid = sid_decode(c);
	m->kind = enum_decode(c, SESSION_CLIENT, SESSION_COMPONENT);
	m->bound = bool_decode(c);
	m->yielded = bool_decode(c);
	m->came = sid_decode(c);
	m->roster = cursor_u64(c);
	m->account = cursor_u64(c);
	m->carbons = bool_decode(c);
	m->full = text_decode(c);
	m->presence = text_decode(c);
	if (m->full.data == NULL)
		return RES_INVALID;
	return decoded(c);
}

void
up_report_encode(struct buf *b, uint64_t term, const struct up_report *m)
{
	head_encode(b, UP_REPORT, term);
	delivery_id_encode(b, &m->id);
	sid_encode(b, &m->sender);
	buf_add_u8(b, m->kind);
	buf_add_u64(b, m->lane);
	buf_add_u8(b, m->kept);
}

int
up_report_decode(struct cursor *c, struct up_report *m)
{
	m->id = delivery_id_read(c);
	m->sender = sid_decode(c);
	m->kind = enum_decode(c, DELIVER_STANZA, DELIVER_CARBONS);
	m->lane = cursor_u64(c);
	m->kept = bool_decode(c);
	return decoded(c);
}

void
up_announced_encode(struct buf *b, uint64_t term)
{
	head_encode(b, UP_ANNOUNCED, term);
}

void
up_frame_encode(struct buf *b, uint64_t term, const struct up_frame *m)
{
	head_encode(b, UP_FRAME, term);
	buf_add_u64(b, m->num);
	buf_add_u64(b, m->low);
	buf_add_u8(b, m->resent);
	buf_add_u8(b, m->kind);
	buf_add_u8(b, m->session_kind);
	buf_add_u8(b, m->type);
	buf_add_u8(b, m->flags);
	buf_add_u16(b, m->marks);
	sid_encode(b, &m->sid);
	text_encode(b, m->to);
	text_encode(b, m->from);
	text_encode(b, m->id);
	text_encode(b, m->lang);
	text_encode(b, m->child);
	text_encode(b, m->payload);
}

static void
u64_put(uint8_t *at, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		at[i] = (uint8_t)v;
}

void
up_frame_stamp(
    void *msg, uint64_t term, uint64_t num, uint64_t low, bool resent)
{
	uint8_t *at = (uint8_t *)msg + 1; /* behind the kind */

	u64_put(at, term);
	u64_put(at + 8, num);
	u64_put(at + 16, low);
	at[24] = resent;
}

int
up_frame_decode(struct cursor *c, struct up_frame *m)
{
	m->num = cursor_u64(c);
	m->low = cursor_u64(c);
	m->resent = bool_decode(c);
	m->kind = enum_decode(c, FRAME_BIND, FRAME_RETURN);
	m->session_kind = enum_decode(c, SESSION_CLIENT, SESSION_COMPONENT);
	m->type = enum_decode(c, TYPE_NONE, TYPE_INVALID);
	m->flags = cursor_u8(c);
	m->marks = cursor_u16(c);
	m->sid = sid_decode(c);
	m->to = text_decode(c);
	m->from = text_decode(c);
	m->id = text_decode(c);
	m->lang = text_decode(c);
	m->child = text_decode(c);
	m->payload = bytes_decode(c);
	return decoded(c);
}

void
up_accepted_encode(struct buf *b, uint64_t term, const struct delivery_id *id)
{
	head_encode(b, UP_ACCEPTED, term);
	delivery_id_encode(b, id);
}

void
up_refused_encode(struct buf *b, uint64_t term, const struct delivery_id *id)
{
	head_encode(b, UP_REFUSED, term);
	delivery_id_encode(b, id);
}

void
up_away_encode(struct buf *b, uint64_t term, const struct up_away *m)
{
	head_encode(b, UP_AWAY, term);
	sid_encode(b, &m->sid);
	buf_add_u8(b, m->away);
	buf_add_u32(b, m->waiting);
}

int
up_away_decode(struct cursor *c, struct up_away *m)
{
	m->sid = sid_decode(c);
	m->away = bool_decode(c);
	m->waiting = cursor_u32(c);
	return decoded(c);
}

void
up_taken_encode(struct buf *b, uint64_t term, const struct delivery_id *id)
{
	head_encode(b, UP_TAKEN, term);
	delivery_id_encode(b, id);
}

void
up_ping_encode(struct buf *b, uint64_t term, const struct up_ping *m)
{
	head_encode(b, UP_PING, term);
	buf_add_u64(b, m->sent);
	origin_encode(b, &m->origin);
	buf_add_u64(b, m->low);
}

int
up_ping_decode(struct cursor *c, struct up_ping *m)
{
	m->sent = cursor_u64(c);
	m->origin = origin_decode(c);
	m->low = cursor_u64(c);
	return decoded(c);
}

void
up_query_encode(struct buf *b, uint64_t term, const struct up_query *m)
{
	head_encode(b, UP_QUERY, term);
	buf_add_u64(b, m->id);
	buf_add_u8(b, m->kind);
	text_encode(b, m->name);
}

int
up_query_decode(struct cursor *c, struct up_query *m)
{
	m->id = cursor_u64(c);
	m->kind = enum_decode(c, QUERY_SCRAM, QUERY_ALIVE);
	m->name = text_decode(c);
	return decoded(c);
}

/* ---- down -------------------------------------------------------------- */

void
down_deliver_encode(struct buf *b, uint64_t term, const struct down_deliver *m)
{
	head_encode(b, DOWN_DELIVER, term);
	delivery_id_encode(b, &m->id);
	sid_encode(b, &m->sender);
	origin_encode(b, &m->origin);
	buf_add_u64(b, m->low);
	buf_add_u64(b, m->lane);
	buf_add_u64(b, m->value);
	buf_add_u8(b, m->kind);
	text_encode(b, m->payload);
	text_encode(b, m->others);
}

int
down_deliver_decode(struct cursor *c, struct down_deliver *m)
{
	m->id = delivery_id_read(c);
	m->sender = sid_decode(c);
	m->origin = origin_decode(c);
	m->low = cursor_u64(c);
	m->lane = cursor_u64(c);
	m->value = cursor_u64(c);
	m->kind = enum_decode(c, DELIVER_STANZA, DELIVER_CARBONS);
	m->payload = bytes_decode(c);
	m->others = text_decode(c);
	return decoded(c);
}

void
down_ack_encode(struct buf *b, uint64_t term, const struct down_ack *m)
{
	head_encode(b, DOWN_ACK, term);
	origin_encode(b, &m->origin);
	buf_add_u64(b, m->num);
}

int
down_ack_decode(struct cursor *c, struct down_ack *m)
{
	m->origin = origin_decode(c);
	m->num = cursor_u64(c);
	return decoded(c);
}

void
down_kick_encode(struct buf *b, uint64_t term, const struct down_kick *m)
{
	head_encode(b, DOWN_KICK, term);
	sid_encode(b, &m->sid);
	text_encode(b, m->condition);
	text_encode(b, m->text);
}

int
down_kick_decode(struct cursor *c, struct down_kick *m)
{
	m->sid = sid_decode(c);
	m->condition = text_decode(c);
	m->text = text_decode(c);
	return decoded(c);
}

void
down_forget_encode(struct buf *b, uint64_t term, const struct dkey *k)
{
	head_encode(b, DOWN_FORGET, term);
	dkey_write(b, k);
}

void
down_pong_encode(struct buf *b, uint64_t term, uint64_t sent, bool settled,
    const struct live_origin *origins, uint32_t count)
{
	head_encode(b, DOWN_PONG, term);
	buf_add_u64(b, sent);
	buf_add_u8(b, settled);
	buf_add_u32(b, count);
	for (uint32_t i = 0; i < count; i++) {
		origin_encode(b, &origins[i].origin);
		buf_add_u64(b, origins[i].low);
	}
}

int
down_pong_decode(struct cursor *c, struct down_pong *m)
{
	m->sent = cursor_u64(c);
	m->settled = bool_decode(c);
	m->count = cursor_u32(c);
	if (m->count > cursor_left(c) / LIVE_ORIGIN_SIZE)
		return RES_INVALID;
	m->origins = cursor_bytes(c, (size_t)m->count * LIVE_ORIGIN_SIZE);
	return decoded(c);
}

struct live_origin
pong_origin(const struct down_pong *m, uint32_t index)
{
	struct live_origin live;
	struct cursor c;

	cursor_init(&c, m->origins + (size_t)index * LIVE_ORIGIN_SIZE,
	    LIVE_ORIGIN_SIZE);
	live.origin = origin_decode(&c);
	live.low = cursor_u64(&c);
	return live;
}

void
down_caps_encode(struct buf *b, uint64_t term, struct text ver)
{
	head_encode(b, DOWN_CAPS, term);
	text_encode(b, ver);
}

int
down_caps_decode(struct cursor *c, struct text *ver)
{
	*ver = text_decode(c);
	return ver->data == NULL ? RES_INVALID : decoded(c);
}

void
down_answer_encode(struct buf *b, uint64_t term, const struct down_answer *m)
{
	head_encode(b, DOWN_ANSWER, term);
	buf_add_u64(b, m->id);
	buf_add_u32(b, (uint32_t)m->code);
	if (m->data.data == NULL)
		buf_add_u32(b, 0);
	else
		buf_add_block(b, m->data.data, m->data.len);
}

int
down_answer_decode(struct cursor *c, struct down_answer *m)
{
	m->id = cursor_u64(c);
	m->code = (int32_t)cursor_u32(c);
	m->data = bytes_decode(c);
	if (m->data.data == NULL)
		return RES_INVALID;
	return decoded(c);
}
