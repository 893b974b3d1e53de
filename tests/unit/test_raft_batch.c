/*
 * Proposals into entries: in order, together, one entry at a time.
 */
#include "xmppd/cluster/raft_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"

static void
add(struct raft_batch *b, const char *command, uint64_t tag)
{
	struct store_proposal p = { .proposer = 1,
		.seq = tag,
		.command = command,
		.len = strlen(command) };

	raft_batch_add(b, &p, tag);
}

static bool
has(const struct buf *entry, const char *command)
{
	return memmem(entry->data, entry->len, command, strlen(command)) !=
	    NULL;
}

struct lost {
	uint64_t tags[8];
	size_t count;
};

static void
lose(void *arg, uint64_t tag)
{
	struct lost *l = arg;

	l->tags[l->count++] = tag;
}

static void
what_arrives_meanwhile_goes_together(void **state)
{
	struct raft_batch *b = raft_batch_new();
	struct buf entry = { 0 };

	(void)state;
	assert_false(raft_batch_take(b, &entry));
	add(b, "one", 1);
	assert_true(raft_batch_take(b, &entry));
	assert_true(has(&entry, "one"));
	add(b, "two", 2);
	add(b, "three", 3);
	buf_reset(&entry);
	assert_false(raft_batch_take(b, &entry));
	assert_int_equal(entry.len, 0);
	raft_batch_done(b);
	assert_true(raft_batch_take(b, &entry));
	assert_true(has(&entry, "two") && has(&entry, "three"));
	assert_false(has(&entry, "one"));
	raft_batch_done(b);
	assert_false(raft_batch_take(b, &entry));
	buf_clear(&entry);
	raft_batch_free(b);
}

static void
an_entry_is_bounded_but_for_one_large_command(void **state)
{
	struct raft_batch *b = raft_batch_new();
	struct buf entry = { 0 };
	char *large = xmalloc(RAFT_BATCH_BYTES * 2 + 1);
	char small[4096];
	unsigned entries = 0;

	(void)state;
	memset(large, 'l', RAFT_BATCH_BYTES * 2);
	large[RAFT_BATCH_BYTES * 2] = '\0';
	memset(small, 's', sizeof(small) - 1);
	small[sizeof(small) - 1] = '\0';
	for (unsigned i = 0; i < 40; i++)
		add(b, small, i);
	add(b, large, 40);
	add(b, "last", 41);
	while (raft_batch_take(b, &entry)) {
		entries++;
		if (has(&entry, "lll"))
			assert_true(entry.len > RAFT_BATCH_BYTES * 2 &&
			    !has(&entry, "sss") && !has(&entry, "last"));
		else
			assert_true(entry.len <= RAFT_BATCH_BYTES);
		buf_reset(&entry);
		raft_batch_done(b);
	}
	assert_in_range(entries, 5, 6);
	free(large);
	buf_clear(&entry);
	raft_batch_free(b);
}

static void
what_is_lost_is_told_in_order(void **state)
{
	struct raft_batch *b = raft_batch_new();
	struct buf entry = { 0 };
	struct lost lost = { 0 };

	(void)state;
	add(b, "one", 1);
	raft_batch_take(b, &entry);
	add(b, "two", 2);
	add(b, "three", 3);
	raft_batch_lose(b, false, lose, &lost);
	assert_int_equal(lost.count, 1);
	assert_int_equal(lost.tags[0], 1);
	raft_batch_lose(b, true, lose, &lost);
	assert_int_equal(lost.count, 3);
	assert_int_equal(lost.tags[1], 2);
	assert_int_equal(lost.tags[2], 3);
	add(b, "four", 4);
	buf_clear(&entry);
	raft_batch_free(b);
	raft_batch_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_arrives_meanwhile_goes_together),
		cmocka_unit_test(an_entry_is_bounded_but_for_one_large_command),
		cmocka_unit_test(what_is_lost_is_told_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
