/* The link's messages: what is encoded is decoded, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "xmppd/link/frame.h"

static const struct origin origin = { 7, 1, 0x1122334455667788 };
static const struct sid sid = { 7, 1, 42 };

static struct delivery_id
some_id(void)
{
	struct delivery_id id;

	memset(&id, 0, sizeof(id));
	id.key.kind = DKEY_TOLD;
	id.key.origin = origin;
	id.key.num = 9;
	id.key.about = sid;
	id.key.version = 3;
	id.sid = (struct sid){ 8, 0, 43 };
	return id;
}

static void
encode_frame(struct buf *b)
{
	struct up_frame f = { .num = 5,
		.low = 3,
		.resent = true,
		.kind = FRAME_MESSAGE,
		.session_kind = SESSION_CLIENT,
		.type = TYPE_CHAT,
		.flags = FRAME_NO_TO,
		.marks = MARK_BODY | MARK_INVITE,
		.sid = sid,
		.to = text_of("a@b"),
		.from = text_of("c@d/e"),
		.id = text_of(""),
		.payload = text_of("<message/>") };

	up_frame_encode(b, 11, &f);
}

static void
a_frame_comes_back(void **state)
{
	struct buf b = { 0 };
	struct up_frame f;
	struct link_head head;
	struct cursor c;

	(void)state;
	encode_frame(&b);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(link_head_decode(&c, &head), 0);
	assert_int_equal(head.what, UP_FRAME);
	assert_int_equal(head.term, 11);
	assert_int_equal(up_frame_decode(&c, &f), 0);
	assert_int_equal(f.num, 5);
	assert_int_equal(f.low, 3);
	assert_true(f.resent);
	assert_true(sid_equal(&f.sid, &sid));
	assert_true(text_is(f.to, "a@b"));
	assert_true(text_is(f.id, ""));
	assert_null(f.lang.data);
	assert_true(text_is(f.payload, "<message/>"));
	buf_clear(&b);
}

static void
encode_deliver(struct buf *b)
{
	struct down_deliver d = { .id = some_id(),
		.sender = sid,
		.origin = origin,
		.low = 4,
		.kind = DELIVER_MESSAGE,
		.payload = text_of("<message/>") };

	down_deliver_encode(b, 11, &d);
}

static void
a_delivery_comes_back(void **state)
{
	struct buf b = { 0 };
	struct delivery_id want = some_id();
	struct down_deliver d;
	struct link_head head;
	struct cursor c;

	(void)state;
	encode_deliver(&b);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(link_head_decode(&c, &head), 0);
	assert_int_equal(down_deliver_decode(&c, &d), 0);
	assert_memory_equal(&d.id, &want, sizeof(want));
	assert_true(origin_equal(&d.origin, &origin));
	assert_true(text_is(d.payload, "<message/>"));
	buf_clear(&b);
}

static void
a_pong_lists_its_origins(void **state)
{
	struct live_origin live[] = { { origin, 1 },
		{ { 9, 0, 1 }, UINT64_MAX } };
	struct buf b = { 0 };
	struct down_pong m;
	struct link_head head;
	struct cursor c;

	(void)state;
	down_pong_encode(&b, 3, 77, true, live, 2);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(link_head_decode(&c, &head), 0);
	assert_int_equal(down_pong_decode(&c, &m), 0);
	assert_int_equal(m.sent, 77);
	assert_true(m.settled);
	assert_int_equal(m.count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct live_origin got = pong_origin(&m, i);

		assert_true(origin_equal(&got.origin, &live[i].origin));
		assert_int_equal(got.low, live[i].low);
	}
	buf_clear(&b);
}

static void
keys_come_back(void **state)
{
	struct scram_keys keys, got;
	struct buf b = { 0 };
	struct cursor c;

	(void)state;
	memset(&keys, 0, sizeof(keys));
	keys.sha1.salt_len = SCRAM_SALT_MAX;
	memset(keys.sha1.salt, 1, SCRAM_SALT_MAX);
	keys.sha1.iterations = 4096;
	memset(keys.sha256.server_key, 0, 32);
	keys.sha256.iterations = 10000;
	keys.version = 5;
	scram_keys_encode(&b, &keys);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(scram_keys_decode(&c, &got), 0);
	assert_true(cursor_done(&c));
	assert_memory_equal(&got, &keys, sizeof(keys));
	buf_clear(&b);
}

static int
decode_frame(struct cursor *c)
{
	struct up_frame f;

	return up_frame_decode(c, &f);
}

static int
decode_deliver(struct cursor *c)
{
	struct down_deliver d;

	return down_deliver_decode(c, &d);
}

static void
a_cut_or_longer_message_is_refused(void **state)
{
	static const struct {
		void (*encode)(struct buf *);
		int (*decode)(struct cursor *);
	} kinds[] = { { encode_frame, decode_frame },
		{ encode_deliver, decode_deliver } };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct buf b = { 0 };
		struct link_head head;
		struct cursor c;

		kinds[k].encode(&b);
		buf_add_u8(&b, 0);
		for (size_t len = 9; len <= b.len; len++) {
			cursor_init(&c, b.data, len);
			assert_int_equal(link_head_decode(&c, &head), 0);
			assert_int_equal(kinds[k].decode(&c),
			    len == b.len - 1 ? RES_OK : RES_INVALID);
		}
		buf_clear(&b);
	}
}

static void
a_pong_that_lies_about_its_count_is_refused(void **state)
{
	struct buf b = { 0 };
	struct down_pong m;
	struct link_head head;
	struct cursor c;

	(void)state;
	down_pong_encode(&b, 3, 77, true, NULL, 0);
	buf_put_u32(&b, b.len - 4, 0x20000000);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(link_head_decode(&c, &head), 0);
	assert_int_equal(down_pong_decode(&c, &m), RES_INVALID);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_back),
		cmocka_unit_test(a_delivery_comes_back),
		cmocka_unit_test(a_pong_lists_its_origins),
		cmocka_unit_test(keys_come_back),
		cmocka_unit_test(a_cut_or_longer_message_is_refused),
		cmocka_unit_test(a_pong_that_lies_about_its_count_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
