/*
 * The edge's rules of delivery(7), one by one, against a router that is the
 * test, under a clock that stands still.
 */
#include "xmppd/edge/uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "common/xmalloc.h"

#define HOLD 3000
#define START 50000

/* What went up, one word a message, and what came of deliveries. */
struct fixture {
	struct uplink *u;
	char up[4096], events[1024];
	uint64_t term, now;
	struct origin origin;
	uint64_t announced_low, last_query;
	struct uplink_session a, b;
	bool refuse; /* deliveries end their session */
	bool slow;   /* deliveries are to be settled later */
};

static void __attribute__((format(printf, 3, 4)))
add(char *list, size_t size, const char *fmt, ...)
{
	size_t len = strlen(list);
	va_list ap;

	if (len > 0 && len + 1 < size)
		list[len++] = ' ';
	va_start(ap, fmt);
	vsnprintf(list + len, size - len, fmt, ap);
	va_end(ap);
}

#define UP(f, ...) add((f)->up, sizeof((f)->up), __VA_ARGS__)
#define EVENT(f, ...) add((f)->events, sizeof((f)->events), __VA_ARGS__)

static const char *
name_of(const struct fixture *f, const struct sid *sid)
{
	return sid_equal(sid, &f->a.sid) ? "a"
	    : sid_equal(sid, &f->b.sid)  ? "b"
					 : "?";
}

static void
up_frame_seen(struct fixture *f, struct cursor *c)
{
	static const char *const kinds[] = { "", "bind", "unbind", "message",
		"presence", "iq" };
	struct up_frame m;

	assert_int_equal(up_frame_decode(c, &m), RES_OK);
	UP(f, "%s%llu%s%s", kinds[m.kind], (unsigned long long)m.num,
	    name_of(f, &m.sid), m.resent ? "+" : "");
}

static void
up_session_seen(struct fixture *f, struct cursor *c)
{
	struct up_session m;

	assert_int_equal(up_session_decode(c, &m), RES_OK);
	UP(f, "session:%s:%.*s%s%s", name_of(f, &m.sid), (int)m.full.len,
	    m.full.data, m.bound ? ":bound" : "",
	    m.presence.data != NULL ? ":presence" : "");
	if (m.account != 0 || m.roster != 0)
		UP(f, "account%llu:roster%llu", (unsigned long long)m.account,
		    (unsigned long long)m.roster);
}

static void
up_id_seen(struct fixture *f, const char *what, struct cursor *c)
{
	struct delivery_id id;

	assert_int_equal(delivery_id_decode(c, &id), RES_OK);
	UP(f, "%s:%llu", what, (unsigned long long)id.key.num);
}

static void
up_cb(void *arg, const void *msg, size_t len)
{
	struct fixture *f = arg;
	struct up_announce announce;
	struct up_report report;
	struct up_query query;
	struct link_head head;
	struct cursor c;

	cursor_init(&c, msg, len);
	assert_int_equal(link_head_decode(&c, &head), RES_OK);
	f->term = head.term;
	switch (head.what) {
	case UP_ANNOUNCE:
		assert_int_equal(up_announce_decode(&c, &announce), RES_OK);
		f->origin = announce.origin;
		f->announced_low = announce.low;
		assert_int_equal(announce.edges, 2);
		UP(f, "announce");
		break;
	case UP_SESSION:
		up_session_seen(f, &c);
		break;
	case UP_REPORT:
		assert_int_equal(up_report_decode(&c, &report), RES_OK);
		UP(f, "report:%llu", (unsigned long long)report.id.key.num);
		break;
	case UP_ANNOUNCED:
		UP(f, "announced");
		break;
	case UP_FRAME:
		up_frame_seen(f, &c);
		break;
	case UP_ACCEPTED:
		up_id_seen(f, "accepted", &c);
		break;
	case UP_REFUSED:
		up_id_seen(f, "refused", &c);
		break;
	case UP_TAKEN:
		up_id_seen(f, "taken", &c);
		break;
	case UP_PING:
		UP(f, "ping");
		break;
	case UP_QUERY:
		assert_int_equal(up_query_decode(&c, &query), RES_OK);
		f->last_query = query.id;
		UP(f, "query:%.*s", (int)query.name.len, query.name.data);
		break;
	default:
		fail_msg("unknown message %d", head.what);
	}
}

static enum delivered
deliver_cb(void *arg, struct uplink_session *s, const struct down_deliver *d)
{
	struct fixture *f = arg;

	if (f->refuse) {
		uplink_end(f->u, s);
		return DELIVERED_NOT;
	}
	EVENT(f, "%s:%.*s", name_of(f, &s->sid), (int)d->payload.len,
	    d->payload.data);
	return f->slow ? DELIVERED_SLOWLY : DELIVERED;
}

static void
kick_cb(void *arg, struct uplink_session *s, const struct down_kick *kick)
{
	struct fixture *f = arg;

	EVENT(f, "kick:%s:%.*s", name_of(f, &s->sid), (int)kick->condition.len,
	    kick->condition.data);
	uplink_end(f->u, s);
}

static void
moved_cb(void *arg, struct uplink_session *s, uint64_t seq)
{
	(void)arg, (void)s, (void)seq;
}

static void
answer_cb(void *arg, void *owner, int code, struct text data)
{
	EVENT((struct fixture *)arg, "answer:%s:%s:%.*s", (char *)owner,
	    result_name(code), (int)data.len, data.data);
}

static void
expired_cb(void *arg)
{
	struct fixture *f = arg;

	EVENT(f, "expired");
	uplink_end(f->u, &f->a);
	uplink_end(f->u, &f->b);
}

static void
unlink_cb(void *arg)
{
	EVENT((struct fixture *)arg, "unlink");
}

static uint64_t
random_cb(void *arg)
{
	(void)arg;
	return 4321;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct uplink_config cfg = { .node = 1,
		.edge = 1,
		.edges = 2,
		.hold_ms = HOLD,
		.window = 16,
		.first_id = 100,
		.incarnation = 1234 };
	const struct uplink_ops ops = { f, up_cb, deliver_cb, kick_cb, moved_cb,
		answer_cb, expired_cb, unlink_cb, random_cb };

	f->now = START;
	f->u = uplink_new(&cfg, &ops, f->now);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	uplink_end(f->u, &f->a);
	uplink_end(f->u, &f->b);
	uplink_free(f->u);
	free(f);
	return 0;
}

static void
expect(char *list, const char *text)
{
	assert_string_equal(list, text);
	list[0] = '\0';
}

static int
down(struct fixture *f, struct buf *msg)
{
	int rc = uplink_receive(f->u, msg->data, msg->len, f->now);

	buf_clear(msg);
	return rc;
}

static void
link_up(struct fixture *f, uint64_t term)
{
	f->up[0] = '\0';
	uplink_up(f->u, term, f->now);
}

static void
begin(struct fixture *f, struct uplink_session *s, const char *full)
{
	s->full = xstrdup(full);
	s->account = xstrdup("7");
	uplink_begin(f->u, s, SESSION_CLIENT, 8);
}

static int
deliver(struct fixture *f, uint64_t term, uint64_t num, const struct sid *to,
    uint8_t kind, const char *payload)
{
	struct down_deliver d;
	struct buf msg = { 0 };

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin.node = 2;
	d.id.key.num = num;
	d.id.sid = *to;
	d.sender.node = 2;
	d.kind = kind;
	d.payload = text_of(payload);
	down_deliver_encode(&msg, term, &d);
	return down(f, &msg);
}

static void
message(
    struct fixture *f, uint64_t num, const struct sid *to, const char *payload)
{
	assert_int_equal(
	    deliver(f, 1, num, to, DELIVER_MESSAGE, payload), RES_OK);
}

static void
bound(struct fixture *f, struct uplink_session *s, const char *full)
{
	begin(f, s, full);
	deliver(f, 1, 900 + s->sid.id, &s->sid, DELIVER_BOUND, full);
	f->up[0] = f->events[0] = '\0';
}

static int
pong(struct fixture *f, uint64_t sent, bool settled, uint64_t low)
{
	struct live_origin live = { { 2, 0, 0 }, low };
	struct buf msg = { 0 };

	down_pong_encode(&msg, f->term, sent, settled, &live, low == 0 ? 0 : 1);
	return down(f, &msg);
}

static void
send_message(struct fixture *f, struct uplink_session *s)
{
	struct up_frame frame = { .kind = FRAME_MESSAGE };

	uplink_send(f->u, s, &frame);
}

/* ---- the link ---------------------------------------------------------- */

static void
announces_nothing_but_itself_at_first(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	expect(f->up, "announce announced ping");
	assert_int_equal(f->origin.node, 1);
	assert_int_equal(f->origin.edge, 1);
	assert_int_equal(f->origin.incarnation, 1234);
	assert_int_equal(f->announced_low, 1);
}

/* Rule 4, announce_binding; then in order, marked. */
static void
announces_first_then_sends_again(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	send_message(f, &f->a);
	begin(f, &f->b, "bob@x/1");
	message(f, 7, &f->a.sid, "hello");
	uplink_down(f->u);
	send_message(f, &f->a);
	link_up(f, 2);
	assert_int_equal(f->term, 2);
	assert_non_null(strstr(f->up, "session:a:ann@x/1:bound"));
	assert_non_null(strstr(f->up, "session:b:bob@x/1 "));
	assert_non_null(strstr(f->up, "report:7"));
	assert_non_null(strstr(f->up,
	    "announced bind1a+ message2a+ "
	    "bind3b+ message4a ping"));
	assert_memory_equal(f->up, "announce ", 9);
}

/* Rule 4: also for sessions that have ended since. */
static void
announces_what_ended_sessions_accepted(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	message(f, 7, &f->a.sid, "hello");
	uplink_end(f->u, &f->a);
	link_up(f, 2);
	assert_null(strstr(f->up, "session:"));
	assert_non_null(strstr(f->up, "report:7"));
}

static void
announces_presence(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	f->a.presence = xstrdup("<presence/>");
	f->a.presence_len = strlen(f->a.presence);
	link_up(f, 2);
	assert_non_null(strstr(f->up, "session:a:ann@x/1:bound:presence"));
}

static void
deliver_noted(struct fixture *f, uint32_t kind, uint8_t how, uint64_t value)
{
	struct down_deliver d;
	struct buf msg = { 0 };

	memset(&d, 0, sizeof(d));
	d.id.key.kind = kind;
	d.id.key.version = kind == DKEY_PUSH ? value : 0;
	d.id.key.num = kind == DKEY_PUSH ? 0 : value;
	d.id.sid = f->a.sid;
	d.value = kind == DKEY_PUSH ? 0 : value;
	d.kind = how;
	d.payload = text_of("x");
	down_deliver_encode(&msg, f->term, &d);
	assert_int_equal(down(f, &msg), RES_OK);
}

/* Nothing else has to be remembered of pushes. */
static void
announces_what_a_session_knows_of_its_roster(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	begin(f, &f->a, "ann@x/1");
	deliver_noted(f, DKEY_FRAME, DELIVER_BOUND, 5);
	deliver_noted(f, DKEY_FRAME, DELIVER_RESULT, 8);
	link_up(f, 2);
	assert_non_null(strstr(f->up, ":bound account5:roster8"));
	f->up[0] = f->events[0] = '\0';
	deliver_noted(f, DKEY_PUSH, DELIVER_STANZA, 8);
	assert_string_equal(f->events, ""); /* it was in the roster */
	deliver_noted(f, DKEY_PUSH, DELIVER_STANZA, 9);
	assert_string_not_equal(f->events, "");
	f->events[0] = '\0';
	deliver_noted(f, DKEY_PUSH, DELIVER_STANZA, 9);
	assert_string_equal(f->events, "");
	assert_string_equal(f->up, "accepted:0 accepted:0 accepted:0");
	link_up(f, 3);
	assert_non_null(strstr(f->up, ":bound account5:roster9"));
}

static void
pings_ten_times_a_second(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	f->up[0] = '\0';
	uplink_tick(f->u, f->now + 50);
	expect(f->up, "");
	assert_int_equal(uplink_tick(f->u, f->now + 100), f->now + 200);
	expect(f->up, "ping");
}

/* ---- deliveries -------------------------------------------------------- */

static void
takes_a_delivery_once(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	message(f, 7, &f->a.sid, "hello");
	message(f, 7, &f->a.sid, "hello");
	expect(f->events, "a:hello");
	expect(f->up, "accepted:7 accepted:7");
}

static void
refuses_what_is_for_no_session_here(void **state)
{
	struct fixture *f = *state;
	const struct sid stranger = { 1, 1, 5 };

	link_up(f, 1);
	f->up[0] = '\0';
	message(f, 7, &stranger, "hello");
	expect(f->up, "refused:7");
	expect(f->events, "");
	assert_int_equal(uplink_accepted(f->u), 0);
}

/* Its edge has taken it into the session's queue: that counts even if the
 * session has ended since. */
static void
says_accepted_again_after_the_session_ended(void **state)
{
	struct fixture *f = *state;
	struct sid sid;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	sid = f->a.sid;
	message(f, 7, &sid, "hello");
	uplink_end(f->u, &f->a);
	f->up[0] = '\0';
	message(f, 7, &sid, "hello");
	message(f, 8, &sid, "again");
	expect(f->up, "accepted:7 refused:8");
	expect(f->events, "a:hello");
}

/* Rule 5 (later_done). */
static void
an_earlier_message_of_the_sender_counts_as_done(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	message(f, 8, &f->a.sid, "second");
	message(f, 7, &f->a.sid, "first");
	expect(f->events, "a:second");
	expect(f->up, "accepted:8 accepted:7");
}

/* G5: a session that does not read is ended, and the delivery refused. */
static void
a_delivery_that_ends_its_session_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sid sid;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	sid = f->a.sid;
	f->refuse = true;
	message(f, 7, &sid, "hello");
	expect(f->up, "unbind2a refused:7");
	assert_int_equal(uplink_sessions(f->u), 0);
	message(f, 7, &sid, "hello");
	expect(f->up, "refused:7");
}

static void
low_water_marks_prune_what_is_accepted(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	message(f, 7, &f->a.sid, "one");
	message(f, 8, &f->a.sid, "two");
	assert_int_equal(uplink_accepted(f->u), 3); /* and the bind's result */
	pong(f, f->now, false, 8);
	assert_int_equal(uplink_accepted(f->u), 2);
	pong(f, f->now, false, 1000000);
	assert_int_equal(uplink_accepted(f->u), 0);
}

/* Rule 13 (end_origin): only once every node has announced or is given up. */
static void
ended_origins_are_forgotten_when_all_is_settled(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	message(f, 7, &f->a.sid, "one");
	pong(f, f->now, false, 0);
	assert_int_equal(uplink_accepted(f->u), 2);
	pong(f, f->now, true, 0);
	assert_int_equal(uplink_accepted(f->u), 0);
}

/* A slow session's deliveries are told when they are out. */
static void
a_slow_delivery_is_told_later(void **state)
{
	struct fixture *f = *state;
	struct delivery_id id;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	f->slow = true;
	message(f, 7, &f->a.sid, "one");
	message(f, 8, &f->a.sid, "two");
	expect(f->up, "");
	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_FRAME;
	id.key.origin.node = 2;
	id.key.num = 7;
	id.sid = f->a.sid;
	uplink_settle(f->u, &id, true);
	uplink_settle(f->u, &id, true);
	expect(f->up, "accepted:7");
	id.key.num = 8;
	uplink_settle(f->u, &id, false);
	expect(f->up, "refused:8");
	assert_int_equal(uplink_accepted(f->u), 2);
}

static void
an_announcement_tells_of_slow_deliveries(void **state)
{
	struct fixture *f = *state;
	struct delivery_id id;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	f->slow = true;
	message(f, 7, &f->a.sid, "one");
	link_up(f, 2);
	assert_non_null(strstr(f->up, "report:7"));
	f->up[0] = '\0';
	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_FRAME;
	id.key.origin.node = 2;
	id.key.num = 7;
	id.sid = f->a.sid;
	uplink_settle(f->u, &id, false);
	expect(f->up, "");
}

static void
forgets_a_row_when_told(void **state)
{
	struct fixture *f = *state;
	struct down_deliver d;
	struct buf msg = { 0 };

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	pong(f, f->now, true, 0);
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_ROW;
	d.id.key.num = 3;
	d.id.sid = f->a.sid;
	d.kind = DELIVER_MESSAGE;
	d.payload = text_of("stored");
	down_deliver_encode(&msg, 1, &d);
	assert_int_equal(down(f, &msg), RES_OK);
	expect(f->events, "a:stored");
	pong(f, f->now, true, 0);
	assert_int_equal(uplink_accepted(f->u), 1);
	down_forget_encode(&msg, 1, &d.id.key);
	assert_int_equal(down(f, &msg), RES_OK);
	assert_int_equal(uplink_accepted(f->u), 0);
}

/* ---- sessions ---------------------------------------------------------- */

static void
a_bind_names_account_and_address(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	f->up[0] = '\0';
	begin(f, &f->a, "ann@x/1");
	expect(f->up, "bind1a");
	assert_false(f->a.bound);
	deliver(f, 1, 1, &f->a.sid, DELIVER_BOUND, "ann@x/other");
	assert_true(f->a.bound);
	assert_string_equal(f->a.full, "ann@x/other");
}

/* No unbind follows, and the next try is a session of its own. */
static void
a_refused_bind_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct sid first;

	link_up(f, 1);
	begin(f, &f->a, "ann@x/1");
	first = f->a.sid;
	f->up[0] = '\0';
	deliver(f, 1, 1, &first, DELIVER_REFUSED, "conflict");
	expect(f->up, "accepted:1");
	assert_int_equal(uplink_sessions(f->u), 0);
	begin(f, &f->a, "ann@x/2");
	assert_false(sid_equal(&first, &f->a.sid));
	expect(f->up, "bind2a");
}

static void
a_kick_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct down_kick kick = { 0 };
	struct buf msg = { 0 };

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	kick.sid = f->a.sid;
	kick.condition = text_of("conflict");
	down_kick_encode(&msg, 1, &kick);
	assert_int_equal(down(f, &msg), RES_OK);
	expect(f->events, "kick:a:conflict");
	expect(f->up, "unbind2a");
	down_kick_encode(&msg, 1, &kick); /* repeated after a relink */
	assert_int_equal(down(f, &msg), RES_OK);
	expect(f->events, "");
}

/* ---- queries ----------------------------------------------------------- */

static int
answer(struct fixture *f, uint64_t id)
{
	struct down_answer a = {
		.id = id, .code = RES_OK, .data = { "keys", 4 }
	};
	struct buf msg = { 0 };

	down_answer_encode(&msg, f->term, &a);
	return down(f, &msg);
}

static void
asks_again_after_a_change_of_leader(void **state)
{
	struct fixture *f = *state;
	char owner[] = "one";

	uplink_query(f->u, QUERY_SCRAM, "ann", owner, f->now);
	expect(f->up, "");
	link_up(f, 1);
	expect(f->up, "announce announced ping query:ann");
	uplink_down(f->u);
	link_up(f, 2);
	expect(f->up, "announce announced ping query:ann");
	answer(f, f->last_query);
	expect(f->events, "answer:one:ok:keys");
	answer(f, f->last_query); /* a late second one */
	expect(f->events, "");
}

static void
a_query_waits_for_a_leader_up_to_hold(void **state)
{
	struct fixture *f = *state;
	char owner[] = "one";

	link_up(f, 1);
	f->now += 1000;
	uplink_query(f->u, QUERY_SCRAM, "ann", owner, f->now);
	pong(f, f->now, false, 0);
	f->now += HOLD - 1;
	uplink_tick(f->u, f->now);
	expect(f->events, "");
	f->now += 1;
	uplink_tick(f->u, f->now);
	assert_memory_equal(f->events, "answer:one:no-leader:", 21);
}

static void
a_cancelled_query_has_no_answer(void **state)
{
	struct fixture *f = *state;
	char owner[] = "one";

	link_up(f, 1);
	uplink_query(f->u, QUERY_SCRAM, "ann", owner, f->now);
	uplink_cancel(f->u, owner);
	answer(f, f->last_query);
	f->now += HOLD;
	uplink_tick(f->u, f->now);
	assert_null(strstr(f->events, "answer"));
}

/* ---- time and terms ---------------------------------------------------- */

/* Rule 11 (echo_hold): from the sending of the newest ping that was answered,
 * not from the answer's arrival. */
static void
hold_counts_from_the_sending_of_an_answered_ping(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	f->now += 2000;
	assert_int_equal(pong(f, START + 500, false, 0), RES_OK);
	f->now = START + 500 + HOLD - 1;
	uplink_tick(f->u, f->now);
	expect(f->events, "");
	assert_true(uplink_has_leader(f->u));
	f->now++;
	uplink_tick(f->u, f->now);
	expect(f->events, "expired unlink");
	assert_false(uplink_has_leader(f->u));
}

/* Rule 13 (new_origin). */
static void
expiry_begins_a_new_incarnation(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	send_message(f, &f->a);
	f->now += HOLD;
	uplink_tick(f->u, f->now);
	assert_int_equal(uplink_unacked(f->u), 0);
	link_up(f, 2);
	assert_int_equal(f->origin.incarnation, 4321);
	assert_int_equal(f->announced_low, 1);
	assert_null(strstr(f->up, "session"));
	assert_null(strstr(f->up, "message"));
	assert_false(uplink_has_leader(f->u));
	pong(f, f->now, false, 0);
	assert_true(uplink_has_leader(f->u));
}

/* A process that stood still finds old deliveries in its socket; the router may
 * have given its sessions up meanwhile. */
static void
expires_before_it_takes_what_comes_too_late(void **state)
{
	struct fixture *f = *state;

	link_up(f, 1);
	bound(f, &f->a, "ann@x/1");
	f->now += 10 * HOLD;
	assert_int_equal(
	    deliver(f, 1, 7, &f->a.sid, DELIVER_MESSAGE, "late"), RES_DENIED);
	expect(f->events, "expired unlink");
}

static void
expires_without_ever_having_had_a_leader(void **state)
{
	struct fixture *f = *state;

	assert_true(uplink_has_leader(f->u));
	f->now += HOLD;
	uplink_tick(f->u, f->now);
	assert_false(uplink_has_leader(f->u));
	expect(f->events, "expired");
}

/* Rule 12 (term_check). */
static void
refuses_a_lower_term(void **state)
{
	struct fixture *f = *state;

	link_up(f, 5);
	uplink_set_term(f->u, 5);
	expect(f->events, "");
	assert_int_equal(
	    deliver(f, 4, 7, &f->a.sid, DELIVER_MESSAGE, "old"), RES_DENIED);
	uplink_set_term(f->u, 6);
	expect(f->events, "unlink");
	assert_int_equal(
	    deliver(f, 5, 7, &f->a.sid, DELIVER_MESSAGE, "old"), RES_DENIED);
	f->up[0] = '\0';
	uplink_up(f->u, 5, f->now);
	expect(f->events, "unlink");
	expect(f->up, "");
	uplink_up(f->u, 6, f->now);
	expect(f->up, "announce announced ping");
}

/* ---- bad messages ------------------------------------------------------ */

static void
malformed_messages_are_invalid(void **state)
{
	struct fixture *f = *state;
	struct live_origin live = { { 2, 0, 0 }, 3 };
	struct buf msgs[3] = { { 0 } };
	struct down_deliver d;
	struct down_ack ack = { { 1, 1, 1234 }, 99 };

	link_up(f, 1);
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.kind = DELIVER_BOUND; /* without the address */
	down_deliver_encode(&msgs[0], 1, &d);
	down_ack_encode(&msgs[1], 1, &ack); /* never numbered */
	down_pong_encode(&msgs[2], 1, f->now + 1, false, &live, 1);
	for (size_t i = 0; i < 3; i++) {
		for (size_t len = 0; len <= msgs[i].len; len++)
			assert_int_equal(
			    uplink_receive(f->u, msgs[i].data, len, f->now),
			    RES_INVALID);
		buf_clear(&msgs[i]);
	}
}

static void
a_higher_term_on_a_link_is_invalid(void **state)
{
	struct fixture *f = *state;

	link_up(f, 5);
	assert_int_equal(
	    deliver(f, 6, 7, &f->a.sid, DELIVER_MESSAGE, "new"), RES_INVALID);
}

static void
an_ack_of_another_incarnation_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct down_ack ack = { { 1, 1, 999 }, 1 };
	struct buf msg = { 0 };

	link_up(f, 1);
	begin(f, &f->a, "ann@x/1");
	down_ack_encode(&msg, 1, &ack);
	assert_int_equal(down(f, &msg), RES_OK);
	assert_int_equal(uplink_unacked(f->u), 1);
	ack.origin.incarnation = 1234;
	down_ack_encode(&msg, 1, &ack);
	assert_int_equal(down(f, &msg), RES_OK);
	assert_int_equal(uplink_unacked(f->u), 0);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(announces_nothing_but_itself_at_first),
		T(announces_first_then_sends_again),
		T(announces_what_ended_sessions_accepted),
		T(announces_presence),
		T(announces_what_a_session_knows_of_its_roster),
		T(pings_ten_times_a_second),
		T(takes_a_delivery_once),
		T(refuses_what_is_for_no_session_here),
		T(says_accepted_again_after_the_session_ended),
		T(an_earlier_message_of_the_sender_counts_as_done),
		T(a_delivery_that_ends_its_session_is_refused),
		T(low_water_marks_prune_what_is_accepted),
		T(ended_origins_are_forgotten_when_all_is_settled),
		T(a_slow_delivery_is_told_later),
		T(an_announcement_tells_of_slow_deliveries),
		T(forgets_a_row_when_told),
		T(a_bind_names_account_and_address),
		T(a_refused_bind_ends_the_session),
		T(a_kick_ends_the_session),
		T(asks_again_after_a_change_of_leader),
		T(a_query_waits_for_a_leader_up_to_hold),
		T(a_cancelled_query_has_no_answer),
		T(hold_counts_from_the_sending_of_an_answered_ping),
		T(expiry_begins_a_new_incarnation),
		T(expires_before_it_takes_what_comes_too_late),
		T(expires_without_ever_having_had_a_leader),
		T(refuses_a_lower_term),
		T(malformed_messages_are_invalid),
		T(a_higher_term_on_a_link_is_invalid),
		T(an_ack_of_another_incarnation_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
