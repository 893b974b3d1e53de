/*
 * Commands from a log: what isn't whole has no effect, and the same on every
 * node.
 */
#include "xmppd/cluster/store_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));

	store_fixture_init(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_clear(f);
	free(f);
	return 0;
}

static int
decode(const void *bytes, size_t len)
{
	struct store_command_data d;
	int rc = store_command_decode(&d, bytes, len);

	store_command_clear(&d);
	return rc;
}

static void
every_command_is_read_as_written(void **state)
{
	struct store_command_data d;
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; store_sample(i, &b); i++) {
		assert_int_equal(
		    store_command_decode(&d, b.data, b.len), RES_OK);
		assert_int_equal(d.what, i + 1);
		store_command_clear(&d);
		buf_clear(&b);
	}
}

static void
command_cut_at_any_byte_is_invalid(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; store_sample(i, &b); i++) {
		for (size_t len = 0; len < b.len; len++) {
			/* Exactly as large, so that a sanitizer sees more. */
			void *cut = len == 0 ? NULL : xmemdup(b.data, len);

			assert_int_equal(decode(cut, len), RES_INVALID);
			free(cut);
		}
		buf_add_u8(&b, 0);
		assert_int_equal(decode(b.data, b.len), RES_INVALID);
		buf_clear(&b);
	}
}

static void
unknown_command_is_invalid(void **state)
{
	static const uint8_t bytes[][2] = { { 0, 0 }, { STORE_LAST + 1, 0 },
		{ 255, 0 } };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(decode(bytes[i], 1), RES_INVALID);
}

static void
values_that_no_encoder_makes_are_invalid(void **state)
{
	struct scram_keys keys = store_sample_keys(1);
	struct store_member m;
	struct store_op ops[] = { { .op = EFFECT_DONE }, { .op = 99 },
		{ .op = EFFECT_STORE } };
	struct store_effect effect = { { 1, 0, 1 }, 1, 1, 0, &ops[0], 1 };
	struct store_effect no_op = { { 1, 0, 1 }, 1, 1, 0, &ops[1], 1 };
	struct store_effect no_user = { { 1, 0, 1 }, 1, 1, 0, &ops[2], 1 };
	struct buf b[12] = { { 0 } };
	const uint64_t huge = UINT64_MAX;
	size_t n = 0;

	(void)state;
	store_cmd_setting(&b[n++], "", "x");
	store_cmd_setting(&b[n++], NULL, "x");
	store_cmd_setting(&b[n++], "\xff\xfe", "x");
	store_cmd_account_add(&b[n++], "", &keys);
	store_cmd_component_add(&b[n++], "cb1", "", true);
	store_cmd_rows_del(&b[n++], &huge, 1);
	store_sample_member(&m, 1);
	m.raft_id = 0;
	store_cmd_member_put(&b[n++], &m);
	store_member_clear(&m);
	store_cmd_effect(&b[n++], &no_op);
	store_cmd_effect(&b[n++], &no_user);
	effect.num = huge;
	store_cmd_effect(&b[n++], &effect);
	/* A count that there are no bytes for must not be believed. */
	buf_add_u8(&b[n], STORE_ROWS_DEL);
	buf_add_u32(&b[n++], UINT32_MAX);
	store_cmd_component_add(&b[n], "cb1", "s", true);
	b[n].data[b[n].len - 1] = 2;
	n++;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(decode(b[i].data, b[i].len), RES_INVALID);
		buf_clear(&b[i]);
	}
}

static void
address_is_only_what_it_is_normalised(void **state)
{
	static const struct {
		const char *address;
		bool valid;
	} rows[] = {
		{ "10.1.1.1:5222", true },
		{ "0.0.0.0:1", true },
		{ "[2001:db8::1]:5222", true },
		{ "[::ffff:10.0.0.1]:65535", true },
		{ "10.1.1.1", false },
		{ "10.1.1.1:", false },
		{ "10.1.1.1:0", false },
		{ "10.1.1.1:65536", false },
		{ "10.1.1.1:05222", false },
		{ "10.1.1.01:5222", false },
		{ "10.1.1:5222", false },
		{ "cb1:5222", false },
		{ "[10.1.1.1]:5222", false },
		{ "2001:db8::1:5222", false },
		{ "[2001:DB8::1]:5222", false },
		{ "[2001:db8:0::1]:5222", false },
		{ "[fe80::1%lo]:5222", false },
		{ "[:5222", false },
		{ "[]:5222", false },
		{ ":5222", false },
		{ ":", false },
		{ "", false },
	};
	uint8_t key[STORE_ADDRESS_KEY];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    store_address_key(rows[i].address, key), rows[i].valid);
}

static void
malformed_command_is_a_result_without_effect(void **state)
{
	struct store_fixture *f = *state;
	uint8_t before[32], after[32];
	struct buf b = { 0 };

	store_digest(f->store, before);
	for (size_t i = 0; store_sample(i, &b); i++) {
		b.len--;
		/* CLEAR and the like: what is left of one is none at all. */
		assert_int_equal(store_fixture_run(f, &b), RES_INVALID);
	}
	store_digest(f->store, after);
	assert_memory_equal(before, after, 32);
	assert_string_equal(f->failed, "");
}

static void
entry_cut_at_any_byte_applies_what_is_whole(void **state)
{
	struct store_fixture *f = *state;
	struct buf entry = { 0 }, b = { 0 };
	size_t first;

	store_cmd_setting(&b, "x", "1");
	store_entry_add(
	    &entry, &(struct store_proposal){ 0, 0, b.data, b.len });
	first = entry.len;
	store_entry_add(
	    &entry, &(struct store_proposal){ 0, 0, b.data, b.len });
	for (size_t len = 1; len < entry.len; len++) {
		f->applied = 0;
		store_apply(f->store, ++f->index, entry.data, len);
		assert_int_equal(f->applied, len > first ? 2 : 1);
		assert_int_equal(
		    f->last.code, len == first ? RES_OK : RES_INVALID);
		assert_int_equal(f->last.index, f->index);
	}
	assert_int_equal(store_applied_index(f->store), f->index);
	buf_clear(&entry);
	buf_clear(&b);
}

/* A small generator of its own, so that a seed always gives the same. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* An entry of some random commands, a few of them damaged. */
static void
random_entry(uint32_t *seed, struct buf *entry)
{
	size_t count = 1 + next_random(seed) % 4;
	struct buf b = { 0 };

	for (size_t i = 0; i < count; i++) {
		store_sample(next_random(seed) % STORE_LAST, &b);
		if (next_random(seed) % 8 == 0)
			b.data[next_random(seed) % b.len] ^= 1;
		store_entry_add(entry,
		    &(struct store_proposal){ next_random(seed) % 3,
			next_random(seed) % 500, b.data, b.len });
		buf_clear(&b);
	}
}

static void
same_entries_give_the_same_digest(void **state)
{
	struct store_fixture *f = *state, other;
	uint8_t mine[32], theirs[32], last[32] = { 0 };
	struct buf entry = { 0 };
	uint32_t seed = 7;
	size_t changes = 0;

	store_fixture_init(&other);
	for (uint64_t index = 1; index <= 400; index++) {
		random_entry(&seed, &entry);
		store_apply(f->store, index, entry.data, entry.len);
		/* The other one is at times opened anew. */
		if (index % 50 == 0)
			store_fixture_reopen(&other);
		store_apply(other.store, index, entry.data, entry.len);
		buf_clear(&entry);
		assert_int_equal(f->last.code, other.last.code);
		assert_int_equal(f->last.id, other.last.id);
		store_digest(f->store, mine);
		store_digest(other.store, theirs);
		assert_memory_equal(mine, theirs, 32);
		changes += memcmp(mine, last, 32) != 0;
		memcpy(last, mine, 32);
	}
	assert_true(changes > 100);
	assert_string_equal(f->failed, "");
	store_fixture_clear(&other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_command_is_read_as_written),
		T(command_cut_at_any_byte_is_invalid),
		T(unknown_command_is_invalid),
		T(values_that_no_encoder_makes_are_invalid),
		T(address_is_only_what_it_is_normalised),
		T(malformed_command_is_a_result_without_effect),
		T(entry_cut_at_any_byte_applies_what_is_whole),
		T(same_entries_give_the_same_digest),
	};

	return cmocka_run_group_tests_name("store_command", tests, NULL, NULL);
}
