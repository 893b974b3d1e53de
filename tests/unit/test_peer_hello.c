/*
 * The hello between nodes: what is read, what proves what.
 */
#include "xmppd/cluster/peer_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "xmppd/cluster/peer.h"

static const uint8_t key[32] = "a member key", other_key[32] = "another";
static const uint8_t session[32] = "one TLS session", other[32] = "another";

static struct peer_hello
sample(void)
{
	struct peer_hello h = { .protocol = PEER_PROTOCOL,
		.cluster = "cluster",
		.channel = PEER_LINK,
		.verdict = PEER_WELCOME,
		.from = 2,
		.to = 3,
		.boot = 5ULL << 32 | 77,
		.host = "cb2.example.com",
		.address = "10.1.1.2:5222",
		.text = "" };

	peer_hello_prove(&h, PEER_DIALLER, key, session);
	return h;
}

static void
what_is_written_is_read(void **state)
{
	struct peer_hello h = sample(), out;
	struct buf b = { 0 };

	(void)state;
	peer_hello_encode(&b, &h);
	assert_true(b.len <= PEER_HELLO_MAX);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_OK);
	assert_memory_equal(&h, &out, sizeof(h));
	assert_true(peer_hello_is_proven(&out, PEER_DIALLER, key, session));
	buf_clear(&b);
}

static void
a_proof_is_worth_nothing_elsewhere(void **state)
{
	struct peer_hello h = sample();

	(void)state;
	assert_false(peer_hello_is_proven(&h, PEER_ACCEPTOR, key, session));
	assert_false(
	    peer_hello_is_proven(&h, PEER_DIALLER, other_key, session));
	assert_false(peer_hello_is_proven(&h, PEER_DIALLER, key, other));
}

/* Cut anywhere it's malformed; changed anywhere it's no proof. */
static void
a_changed_hello_is_refused(void **state)
{
	struct peer_hello h = sample(), out;
	struct buf b = { 0 };

	(void)state;
	peer_hello_encode(&b, &h);
	for (size_t i = 2; i < b.len; i++)
		assert_int_equal(
		    peer_hello_decode(b.data, i, &out), RES_INVALID);
	buf_add_u8(&b, 0);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_INVALID);
	b.len--;
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		if (peer_hello_decode(b.data, b.len, &out) == RES_OK &&
		    out.protocol == PEER_PROTOCOL &&
		    peer_hello_is_proven(&out, PEER_DIALLER, key, session))
			fail_msg("byte %zu is not protected", i);
		b.data[i] ^= 1;
	}
	buf_clear(&b);
}

static void
another_version_is_seen_as_such(void **state)
{
	static const uint8_t bytes[] = { 0, 9, 'w', 'h', 'o', ' ', 'k', 'n' };
	struct peer_hello out;

	(void)state;
	assert_int_equal(peer_hello_decode(bytes, sizeof(bytes), &out), RES_OK);
	assert_int_equal(out.protocol, 9);
}

static void
limits_are_kept(void **state)
{
	struct peer_hello h = sample(), out;
	struct buf b = { 0 };

	(void)state;
	memset(h.host, 'h', PEER_HOST_MAX);
	memset(h.text, 't', PEER_TEXT_MAX);
	peer_hello_encode(&b, &h);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_OK);
	assert_int_equal(strlen(out.host), PEER_HOST_MAX);
	assert_true(b.len <= PEER_HELLO_MAX);
	/* The host's length is behind the fixed fields; then the address's. */
	buf_put_u32(&b, 40 + PEER_HOST_MAX, PEER_ADDRESS_MAX + 1);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_INVALID);
	buf_put_u32(&b, 36, PEER_HOST_MAX + 1);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_INVALID);
	buf_reset(&b);
	h.channel = PEER_CHANNELS;
	peer_hello_encode(&b, &h);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_INVALID);
	buf_reset(&b);
	h = sample();
	h.verdict = PEER_VERDICTS;
	peer_hello_encode(&b, &h);
	assert_int_equal(peer_hello_decode(b.data, b.len, &out), RES_INVALID);
	buf_clear(&b);
}

static void
a_boot_number_is_old(void **state)
{
	static const struct {
		uint64_t shown, known;
		bool old;
	} rows[] = {
		{ 0, 0, false },
		{ 3ULL << 32 | 5, 3ULL << 32 | 5, false }, /* the same start */
		{ 4ULL << 32 | 1, 3ULL << 32 | 5, false }, /* a restart */
		{ 9ULL << 32 | 1, 3ULL << 32 | 5, false },
		{ 2ULL << 32 | 9, 3ULL << 32 | 5, true }, /* from a backup */
		{ 3ULL << 32 | 4, 3ULL << 32 | 5, true }, /* a clone */
		{ 3ULL << 32 | 6, 3ULL << 32 | 5, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (peer_boot_is_old(rows[i].shown, rows[i].known) !=
		    rows[i].old)
			fail_msg("row %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_proof_is_worth_nothing_elsewhere),
		cmocka_unit_test(a_changed_hello_is_refused),
		cmocka_unit_test(another_version_is_seen_as_such),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_boot_number_is_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
