/*
 * Link messages: what is taken is what the encoder makes of it, byte for byte.
 */
#include "xmppd/link/frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"
#include "tests/lib/fuzz.h"

static const struct origin origin = { 1, 0, 0x1122334455667788 };
static const struct sid sid = { 2, 1, 99 };

static struct delivery_id
seed_delivery(void)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_FRAME;
	id.key.origin = origin;
	id.key.num = 7;
	id.sid = sid;
	return id;
}

static void
seed_session(struct buf *b)
{
	const struct up_session session = { .sid = sid,
		.kind = SESSION_CLIENT,
		.bound = true,
		.full = text_of("alice@example.com/phone"),
		.presence = text_of("<presence/>"),
		.roster = 12,
		.account = 5 };

	up_session_encode(b, 4, &session);
}

static bool
seed_up(size_t what, struct buf *b)
{
	struct delivery_id id = seed_delivery();
	struct up_announce announce = { origin, 3, 1 };
	struct up_report report = { id, sid, DELIVER_MESSAGE, 7, true };
	struct up_frame frame = { .num = 9,
		.low = 3,
		.kind = FRAME_MESSAGE,
		.session_kind = SESSION_CLIENT,
		.type = TYPE_CHAT,
		.flags = FRAME_NO_TO,
		.marks = MARK_BODY | MARK_INVITE,
		.sid = sid,
		.to = text_of("bob@example.com"),
		.from = text_of("alice@example.com/phone"),
		.id = text_of("m1"),
		.payload = text_of("<message><body>x</body></message>") };
	struct up_ping ping = { 1234, origin, 3 };
	struct up_query query = { 5, QUERY_SCRAM, text_of("alice") };

	switch (what) {
	case UP_ANNOUNCE:
		up_announce_encode(b, 4, &announce);
		break;
	case UP_SESSION:
		seed_session(b);
		break;
	case UP_REPORT:
		up_report_encode(b, 4, &report);
		break;
	case UP_ANNOUNCED:
		up_announced_encode(b, 4);
		break;
	case UP_FRAME:
		up_frame_encode(b, 4, &frame);
		break;
	case UP_ACCEPTED:
		up_accepted_encode(b, 4, &id);
		break;
	case UP_REFUSED:
		up_refused_encode(b, 4, &id);
		break;
	case UP_TAKEN:
		up_taken_encode(b, 4, &id);
		break;
	case UP_AWAY:
		up_away_encode(b, 4, &(struct up_away){ sid, true, 2 });
		break;
	case UP_PING:
		up_ping_encode(b, 4, &ping);
		break;
	case UP_QUERY:
		up_query_encode(b, 4, &query);
		break;
	default:
		return false;
	}
	return true;
}

static bool
seed_down(size_t what, struct buf *b)
{
	struct delivery_id id = seed_delivery();
	struct down_deliver deliver = { .id = id,
		.sender = sid,
		.origin = origin,
		.low = 3,
		.kind = DELIVER_STANZA,
		.payload = text_of("<presence/>") };
	struct down_ack ack = { origin, 9 };
	struct down_kick kick = { sid, text_of("conflict"), text_of("x") };
	struct live_origin live[2] = { { origin, 3 }, { origin, 4 } };
	struct down_answer answer = { 5, RES_NOT_FOUND, text_of("") };

	switch (what) {
	case DOWN_DELIVER:
		down_deliver_encode(b, 4, &deliver);
		break;
	case DOWN_ACK:
		down_ack_encode(b, 4, &ack);
		break;
	case DOWN_KICK:
		down_kick_encode(b, 4, &kick);
		break;
	case DOWN_FORGET:
		down_forget_encode(b, 4, &id.key);
		break;
	case DOWN_PONG:
		down_pong_encode(b, 4, 1234, true, live, 2);
		break;
	case DOWN_ANSWER:
		down_answer_encode(b, 4, &answer);
		break;
	case DOWN_CAPS:
		down_caps_encode(b, 4, text_of("hash"));
		break;
	default:
		return false;
	}
	return true;
}

bool
fuzz_seed(size_t i, struct buf *b)
{
	return i < UP_AWAY ? seed_up(UP_ANNOUNCE + i, b)
			   : seed_down(DOWN_DELIVER + i - UP_AWAY, b);
}

/* Decodes the rest and encodes it again; false if it is refused. */
#define AGAIN(kind, decode, encode)                                            \
	static bool again_##kind(                                              \
	    struct cursor *c, struct buf *b, uint64_t term)                    \
	{                                                                      \
		struct kind m;                                                 \
                                                                               \
		if (decode(c, &m) != RES_OK)                                   \
			return false;                                          \
		encode(b, term, &m);                                           \
		return true;                                                   \
	}

AGAIN(up_announce, up_announce_decode, up_announce_encode)
AGAIN(up_session, up_session_decode, up_session_encode)
AGAIN(up_report, up_report_decode, up_report_encode)
AGAIN(up_frame, up_frame_decode, up_frame_encode)
AGAIN(up_ping, up_ping_decode, up_ping_encode)
AGAIN(up_away, up_away_decode, up_away_encode)
AGAIN(up_query, up_query_decode, up_query_encode)
AGAIN(delivery_id, delivery_id_decode, up_accepted_encode)
AGAIN(down_deliver, down_deliver_decode, down_deliver_encode)
AGAIN(down_ack, down_ack_decode, down_ack_encode)
AGAIN(down_kick, down_kick_decode, down_kick_encode)
AGAIN(dkey, dkey_decode, down_forget_encode)
AGAIN(down_answer, down_answer_decode, down_answer_encode)

static bool
again_refused(struct cursor *c, struct buf *b, uint64_t term)
{
	struct delivery_id id;

	if (delivery_id_decode(c, &id) != RES_OK)
		return false;
	up_refused_encode(b, term, &id);
	return true;
}

static bool
again_announced(struct cursor *c, struct buf *b, uint64_t term)
{
	if (!cursor_done(c))
		return false;
	up_announced_encode(b, term);
	return true;
}

static bool
again_pong(struct cursor *c, struct buf *b, uint64_t term)
{
	struct live_origin *live;
	struct down_pong m;

	if (down_pong_decode(c, &m) != RES_OK)
		return false;
	live = xcalloc((size_t)m.count + 1, sizeof(*live));
	for (uint32_t i = 0; i < m.count; i++)
		live[i] = pong_origin(&m, i);
	down_pong_encode(b, term, m.sent, m.settled, live, m.count);
	free(live);
	return true;
}

static bool
again_taken(struct cursor *c, struct buf *b, uint64_t term)
{
	struct delivery_id id;

	if (delivery_id_decode(c, &id) != RES_OK)
		return false;
	up_taken_encode(b, term, &id);
	return true;
}

static bool
again_caps(struct cursor *c, struct buf *b, uint64_t term)
{
	struct text ver;

	if (down_caps_decode(c, &ver) != RES_OK)
		return false;
	down_caps_encode(b, term, ver);
	return true;
}

static bool (*const again[])(struct cursor *, struct buf *, uint64_t) = {
	[UP_ANNOUNCE] = again_up_announce,
	[UP_SESSION] = again_up_session,
	[UP_REPORT] = again_up_report,
	[UP_ANNOUNCED] = again_announced,
	[UP_FRAME] = again_up_frame,
	[UP_ACCEPTED] = again_delivery_id,
	[UP_REFUSED] = again_refused,
	[UP_PING] = again_up_ping,
	[UP_QUERY] = again_up_query,
	[UP_TAKEN] = again_taken,
	[UP_AWAY] = again_up_away,
	[DOWN_DELIVER] = again_down_deliver,
	[DOWN_ACK] = again_down_ack,
	[DOWN_KICK] = again_down_kick,
	[DOWN_FORGET] = again_dkey,
	[DOWN_PONG] = again_pong,
	[DOWN_ANSWER] = again_down_answer,
	[DOWN_CAPS] = again_caps,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_head head;
	struct buf b = { 0 };
	struct cursor c;

	cursor_init(&c, data, size);
	if (link_head_decode(&c, &head) == RES_OK &&
	    head.what < sizeof(again) / sizeof(again[0]) &&
	    again[head.what] != NULL && again[head.what](&c, &b, head.term))
		fuzz_check(b.len == size && memcmp(b.data, data, size) == 0,
		    "what is taken is what the encoder makes");
	buf_clear(&b);
	return 0;
}
