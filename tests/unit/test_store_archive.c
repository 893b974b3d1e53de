/*
 * Archives in the store: once each, in order, a page without the rest, limits,
 * and what goes; and the limit of stored messages.
 *
 *   ARCHIVE_BENCH=n   prints what archiving n messages costs, and a page
 */
#include "xmppd/cluster/store_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));
	struct scram_keys keys = store_sample_keys(1);
	struct buf b = { 0 };

	store_fixture_init(f);
	store_cmd_account_add(&b, "ann", &keys);
	store_fixture_run(f, &b);
	store_cmd_account_add(&b, "bob", &keys);
	store_fixture_run(f, &b);
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

static void
make_uid(unsigned n, uint8_t uid[ARCHIVE_UID])
{
	uint8_t digest[32];

	crypto_sha256(&n, sizeof(n), digest);
	memcpy(uid, digest, ARCHIVE_UID);
}

/* Message n of account, with peer. */
static void
add(struct buf *b, const char *account, const char *peer, unsigned n,
    int64_t time)
{
	char text[80];
	struct archive_message m = { .time = time, .count = 1 };

	snprintf(text, sizeof(text), "<message><body>%u</body></message>", n);
	m.stanza = text_of(text);
	m.in[0].account = text_of(account);
	m.in[0].peer = text_of(peer);
	make_uid(n, m.in[0].uid);
	store_cmd_archive_add(b, &m);
}

static void
run_one(struct store_fixture *f, const char *account, const char *peer,
    unsigned n, int64_t time)
{
	struct buf b = { 0 };

	store_cmd_archive(&b, n);
	add(&b, account, peer, n, time);
	store_cmd_archive_end(&b);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_int_equal(f->last.id, n);
}

/* Messages first to last of ann, by turns with bob (two resources) and carl, a
 * second apart. */
static void
fill(struct store_fixture *f, unsigned first, unsigned last)
{
	static const char *const peers[] = { "bob@example.org/x", "carl@a.b",
		"bob@example.org/y" };
	struct buf b = { 0 };

	store_cmd_archive(&b, 1);
	for (unsigned n = first; n <= last; n++)
		add(&b, "ann", peers[n % 3], n, T0 + 1000 * (int64_t)n);
	store_cmd_archive_end(&b);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
}

static void
set(struct store_fixture *f, const char *name, const char *value)
{
	struct buf b = { 0 };

	store_cmd_setting(&b, name, value);
	store_fixture_run(f, &b);
}

/* The numbers of a page: "1 2 3", with "..." where there is more. */
static const char *
page_of(struct store_fixture *f, const char *account,
    const struct archive_range *range)
{
	static char out[4096];
	struct archive_page page;
	struct archive a;
	size_t at = 0;

	store_archive(f->store, account, &a);
	store_archive_page(f->store, &a, range, &page);
	out[0] = '\0';
	for (size_t i = 0; i < page.count; i++) {
		const char *text =
		    strstr(buf_str(&page.rows[i].stanza), "<body>") + 6;

		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%.*s",
		    i == 0 ? "" : " ", (int)strcspn(text, "<"), text);
	}
	if (!page.whole)
		snprintf(out + at, sizeof(out) - at, " ...");
	archive_page_clear(&page);
	return out;
}

static struct archive_range
all_of(struct store_fixture *f, const char *account, size_t max)
{
	struct archive a;

	store_archive(f->store, account, &a);
	return (struct archive_range){ .first = a.first,
		.next = a.next,
		.max = max,
		.max_bytes = 1 << 20 };
}

static void
messages_are_archived_once_and_in_order(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range all;
	struct archive a;

	assert_false(store_archive(f->store, "ann", &a));
	fill(f, 1, 3);
	fill(f, 2, 5);
	all = all_of(f, "ann", 10);
	assert_string_equal(page_of(f, "ann", &all), "1 2 3 4 5");
	assert_true(store_archive(f->store, "ann", &a));
	assert_int_equal(a.first, 1);
	assert_int_equal(a.next, 6);
	assert_int_equal(store_archive_total(f->store), 5);
}

static void
nobody_has_no_archive(void **state)
{
	struct store_fixture *f = *state;
	struct archive a;

	run_one(f, "eve", "bob@example.org", 1, T0);
	assert_false(store_archive(f->store, "eve", &a));
	assert_int_equal(store_archive_total(f->store), 0);
}

static void
a_message_is_in_both_archives_under_ids_of_its_own(void **state)
{
	struct store_fixture *f = *state;
	struct archive_message m = { .time = T0,
		.stanza = text_of("<message><body>7</body></message>"),
		.count = 2 };
	struct archive_range all;
	struct archive ann, bob;
	struct buf b = { 0 };

	m.in[0].account = text_of("ann");
	m.in[0].peer = text_of("bob@example.org");
	make_uid(1, m.in[0].uid);
	m.in[1].account = text_of("bob");
	m.in[1].peer = text_of("ann@example.org/x");
	make_uid(2, m.in[1].uid);
	store_cmd_archive(&b, 1);
	store_cmd_archive_add(&b, &m);
	store_cmd_archive_end(&b);
	store_fixture_run(f, &b);
	all = all_of(f, "ann", 10);
	assert_string_equal(page_of(f, "ann", &all), "7");
	assert_string_equal(page_of(f, "bob", &all), "7");
	store_archive(f->store, "ann", &ann);
	store_archive(f->store, "bob", &bob);
	assert_int_equal(store_archive_find(f->store, &ann, m.in[0].uid), 1);
	assert_int_equal(store_archive_find(f->store, &ann, m.in[1].uid), 0);
	assert_int_equal(store_archive_find(f->store, &bob, m.in[1].uid), 1);
}

static void
pages_are_cut_from_both_ends(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		uint64_t first, next;
		const char *bare, *resource;
		bool newest;
		size_t max;
		const char *page;
	} rows[] = {
		{ 1, 13, NULL, NULL, false, 3, "1 2 3 ..." },
		{ 1, 13, NULL, NULL, true, 3, "10 11 12 ..." },
		{ 1, 13, NULL, NULL, true, 12, "1 2 3 4 5 6 7 8 9 10 11 12" },
		{ 4, 6, NULL, NULL, false, 12, "4 5" },
		{ 6, 6, NULL, NULL, false, 12, "" },
		{ 9, 5, NULL, NULL, true, 12, "" },
		{ 1, 13, NULL, NULL, false, 0, " ..." },
		{ 1, 13, "carl@a.b", NULL, false, 12, "1 4 7 10" },
		{ 1, 13, "carl@a.b", NULL, true, 2, "7 10 ..." },
		{ 1, 13, "carl@a.b", "x", true, 2, "" },
		{ 1, 13, "bob@example.org", NULL, false, 3, "2 3 5 ..." },
		{ 1, 13, "bob@example.org", "x", false, 9, "3 6 9 12" },
		{ 1, 13, "bob@example.org", "y", true, 2, "8 11 ..." },
		{ 1, 13, "bob@example.org", "z", true, 2, "" },
		{ 1, 13, "bob", NULL, true, 2, "" },
	};

	fill(f, 1, 12);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct archive_range range = { rows[i].first, rows[i].next,
			rows[i].bare, rows[i].resource, rows[i].newest,
			rows[i].max, 1 << 20 };

		assert_string_equal(page_of(f, "ann", &range), rows[i].page);
	}
}

static void
a_page_ends_before_it_has_too_many_bytes(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range range;

	fill(f, 1, 5);
	range = all_of(f, "ann", 10);
	range.max_bytes = 1;
	assert_string_equal(page_of(f, "ann", &range), "1 ...");
	range.max_bytes = 2 * strlen("<message><body>1</body></message>");
	assert_string_equal(page_of(f, "ann", &range), "1 2 ...");
	range.newest = true;
	assert_string_equal(page_of(f, "ann", &range), "4 5 ...");
}

static void
a_search_that_finds_nothing_goes_so_far_at_once(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range range;
	struct archive_page page;
	struct archive a;
	uint8_t uid[ARCHIVE_UID];

	fill(f, 1, 9000);
	store_archive(f->store, "ann", &a);
	range = all_of(f, "ann", 10);
	range.bare = "bob@example.org";
	range.resource = "nobody";
	store_archive_page(f->store, &a, &range, &page);
	assert_false(page.whole);
	assert_int_equal(page.count, 0);
	assert_in_range(page.reached, 2, 8999);
	make_uid((unsigned)page.reached, uid);
	assert_memory_equal(uid, page.reached_uid, sizeof(uid));
	range.first = page.reached + 1;
	archive_page_clear(&page);
	store_archive_page(f->store, &a, &range, &page);
	assert_true(page.whole);
	archive_page_clear(&page);
}

static void
a_time_is_found(void **state)
{
	struct store_fixture *f = *state;
	struct archive a;

	store_archive(f->store, "ann", &a);
	assert_int_equal(store_archive_at(f->store, &a, T0), 1);
	fill(f, 1, 100);
	store_archive(f->store, "ann", &a);
	assert_int_equal(store_archive_at(f->store, &a, 0), 1);
	for (int64_t n = 1; n <= 100; n++) {
		assert_int_equal(
		    store_archive_at(f->store, &a, T0 + 1000 * n), n);
		assert_int_equal(
		    store_archive_at(f->store, &a, T0 + 1000 * n + 1), n + 1);
	}
}

static void
times_never_go_back(void **state)
{
	struct store_fixture *f = *state;
	struct archive_page page;
	struct archive_range all;
	struct archive a;

	run_one(f, "ann", "bob@example.org", 1, T0);
	run_one(f, "ann", "bob@example.org", 2, T0 - DAY);
	store_archive(f->store, "ann", &a);
	all = all_of(f, "ann", 10);
	store_archive_page(f->store, &a, &all, &page);
	assert_int_equal(page.rows[1].time, T0);
	archive_page_clear(&page);
}

static void
what_is_cheap_to_count_is_counted(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range range;
	struct archive a;
	uint64_t n;

	fill(f, 1, 13000);
	store_archive(f->store, "ann", &a);
	range = all_of(f, "ann", 10);
	assert_true(store_archive_count(f->store, &a, &range, &n));
	assert_int_equal(n, 13000);
	assert_true(store_archive_skip(f->store, &a, &range, 7, &n));
	assert_int_equal(n, 8);
	assert_true(store_archive_skip(f->store, &a, &range, 13000, &n));
	assert_int_equal(n, 0);
	range.bare = "carl@a.b";
	assert_false(store_archive_count(f->store, &a, &range, &n));
	range.next = 3001;
	assert_true(store_archive_count(f->store, &a, &range, &n));
	assert_int_equal(n, 1000);
	assert_true(store_archive_skip(f->store, &a, &range, 2, &n));
	assert_int_equal(n, 7);
	assert_true(store_archive_skip(f->store, &a, &range, 1000, &n));
	assert_int_equal(n, 0);
	assert_false(store_archive_skip(f->store, &a, &range, 100000, &n));
	range.resource = "x";
	assert_false(store_archive_count(f->store, &a, &range, &n));
}

/* ---- what goes --------------------------------------------------------- */

static void
the_oldest_go_beyond_the_limit(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range all;
	struct archive a;

	set(f, SHARED_ARCHIVE_LIMIT, "65536");
	for (unsigned n = 0; n < 10; n++)
		fill(f, n * 100 + 1, n * 100 + 100);
	store_archive(f->store, "ann", &a);
	assert_int_equal(a.next, 1001);
	assert_in_range(a.first, 500, 900);
	assert_in_range(a.bytes, 60000, 65536);
	all = all_of(f, "ann", 1);
	all.newest = true;
	assert_string_equal(page_of(f, "ann", &all), "1000 ...");
	/* A lower one is reached step by step, and the newest stays. */
	set(f, SHARED_ARCHIVE_LIMIT, "1");
	for (unsigned n = 1001; n <= 1020; n++)
		fill(f, n, n);
	store_archive(f->store, "ann", &a);
	assert_int_equal(a.first, 1020);
	assert_int_equal(a.next, 1021);
}

static int64_t
sweep(struct store_fixture *f, int64_t now)
{
	struct buf b = { 0 };

	store_cmd_sweep(&b, now);
	store_fixture_run(f, &b);
	return (int64_t)f->last.id;
}

static void
what_is_too_old_is_swept(void **state)
{
	struct store_fixture *f = *state;
	struct archive_range all;
	struct archive a;

	fill(f, 1, 100);
	run_one(f, "bob", "ann@example.org", 1, T0);
	assert_false(store_archive_is_due(f->store, T0 + 1000 * DAY));
	assert_int_equal(sweep(f, T0 + 1000 * DAY), 0);
	set(f, SHARED_ARCHIVE_KEEP, "2");
	assert_false(store_archive_is_due(f->store, T0 + 2 * DAY));
	assert_true(store_archive_is_due(f->store, T0 + 2 * DAY + 50000));
	while (store_archive_is_due(f->store, T0 + 2 * DAY + 50000))
		assert_true(sweep(f, T0 + 2 * DAY + 50000) > 0);
	store_archive(f->store, "ann", &a);
	assert_int_equal(a.first, 50);
	assert_int_equal(a.next, 101);
	store_archive(f->store, "bob", &a);
	assert_int_equal(a.first, a.next);
	assert_int_equal(a.bytes, 0);
	/* Places are not given again. */
	run_one(f, "bob", "ann@example.org", 2, T0 + 3 * DAY);
	store_archive(f->store, "bob", &a);
	assert_int_equal(a.first, 2);
	all = all_of(f, "bob", 9);
	assert_string_equal(page_of(f, "bob", &all), "2");
}

static void
an_archive_goes_with_its_account(void **state)
{
	struct store_fixture *f = *state;
	struct scram_keys keys = store_sample_keys(1);
	struct archive_range all;
	struct archive a;
	struct buf b = { 0 };
	int sweeps = 0;

	fill(f, 1, 2000);
	store_cmd_account_del(&b, "ann");
	store_fixture_run(f, &b);
	assert_false(store_archive(f->store, "ann", &a));
	assert_int_equal(store_archive_total(f->store), 0);
	store_cmd_account_add(&b, "ann", &keys);
	store_fixture_run(f, &b);
	run_one(f, "ann", "bob@example.org", 5, T0);
	all = all_of(f, "ann", 9);
	assert_string_equal(page_of(f, "ann", &all), "5");
	for (; store_archive_is_due(f->store, T0); sweeps++)
		assert_in_range(sweep(f, T0), 1, 513);
	assert_in_range(sweeps, 4, 6);
	assert_string_equal(page_of(f, "ann", &all), "5");
}

/* ---- stored messages --------------------------------------------------- */

static int
run_store(struct store_fixture *f, uint64_t num, size_t len)
{
	char bob[] = "bob";
	struct store_op op = { .op = EFFECT_STORE, .user = bob, .time = 1 };
	struct store_effect effect = { { 1, 0, 42 }, num, 1, 0, &op, 1 };
	struct buf b = { 0 };

	memset(buf_reserve(&op.stanza, len), 'x', len);
	op.stanza.len = len;
	store_cmd_effect(&b, &effect);
	store_fixture_run(f, &b);
	buf_clear(&op.stanza);
	return f->last.code;
}

static void
stored_messages_have_a_limit(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 };
	uint64_t row;

	set(f, SHARED_OFFLINE_LIMIT, "1000");
	assert_int_equal(run_store(f, 1, 400), RES_OK);
	row = f->rows[0];
	assert_int_equal(run_store(f, 2, 400), RES_OK);
	assert_int_equal(run_store(f, 3, 400), RES_LIMIT);
	assert_int_equal(f->rows[0], 0);
	assert_int_equal(run_store(f, 3, 400), RES_LIMIT);
	assert_int_equal(store_user_row_count(f->store, "bob"), 2);
	store_cmd_rows_del(&b, &row, 1);
	store_fixture_run(f, &b);
	store_cmd_rows_del(&b, &row, 1);
	store_fixture_run(f, &b);
	assert_int_equal(store_user_row_count(f->store, "bob"), 1);
	assert_int_equal(run_store(f, 4, 400), RES_OK);
	assert_int_equal(run_store(f, 5, 400), RES_LIMIT);
	store_cmd_account_del(&b, "bob");
	store_fixture_run(f, &b);
	assert_int_equal(store_user_row_count(f->store, "bob"), 0);
}

/* ---- how fast ---------------------------------------------------------- */

static void
bench_page(struct store_fixture *f, const char *what,
    const struct archive_range *range)
{
	struct archive_page page;
	struct archive a;
	uint64_t start = clock_us();
	size_t count = 0;

	for (int i = 0; i < 10; i++) {
		store_archive(f->store, "ann", &a);
		store_archive_page(f->store, &a, range, &page);
		count = page.count;
		archive_page_clear(&page);
	}
	printf("  %s of %llu messages: %zu in %.2f ms\n", what,
	    (unsigned long long)(a.next - a.first), count,
	    (double)(clock_us() - start) / 10000);
}

static void
the_last_page_costs_the_same_however_many_there_are(void **state)
{
	struct store_fixture *f = *state;
	const char *wanted = getenv("ARCHIVE_BENCH");
	unsigned count =
	    wanted == NULL ? 2000 : (unsigned)strtoul(wanted, NULL, 10);
	struct archive_range range;
	struct archive a;
	uint64_t start = clock_us();

	set(f, SHARED_ARCHIVE_LIMIT, "1099511627776");
	for (unsigned n = 1; n < count; n += 50)
		fill(f, n, n + 49);
	store_archive(f->store, "ann", &a);
	assert_true(a.next - a.first >= count);
	if (wanted == NULL)
		return;
	printf("  archiving: %.1f us a message, 50 a command\n",
	    (double)(clock_us() - start) / count);
	range = all_of(f, "ann", 50);
	range.newest = true;
	bench_page(f, "last page", &range);
	range.bare = "carl@a.b";
	bench_page(f, "last page with a contact", &range);
	range.bare = "bob@example.org";
	range.resource = "nobody";
	bench_page(f, "vain search", &range);
	start = clock_us();
	for (int i = 0; i < 100; i++)
		store_archive_at(f->store, &a, T0 + i * 7919);
	printf("  a time: %.3f ms\n", (double)(clock_us() - start) / 100000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_are_archived_once_and_in_order),
		T(nobody_has_no_archive),
		T(a_message_is_in_both_archives_under_ids_of_its_own),
		T(pages_are_cut_from_both_ends),
		T(a_page_ends_before_it_has_too_many_bytes),
		T(a_search_that_finds_nothing_goes_so_far_at_once),
		T(a_time_is_found),
		T(times_never_go_back),
		T(what_is_cheap_to_count_is_counted),
		T(the_oldest_go_beyond_the_limit),
		T(what_is_too_old_is_swept),
		T(an_archive_goes_with_its_account),
		T(stored_messages_have_a_limit),
		T(the_last_page_costs_the_same_however_many_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
