/*
 * The table of limits.
 */
#include "common/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
every_row_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIMITS; i++) {
		const struct limit_row *row = &limit_rows[i];

		assert_non_null(row->name);
		assert_non_null(row->unit);
		assert_true(strlen(row->help) > 5);
		assert_true(row->min <= row->usual && row->usual <= row->max);
		assert_int_equal(limit_find(row->name), i);
	}
	assert_int_equal(limit_find("nothing"), LIMITS);
}

/* RFC 6120, 13.12: no smaller than 10000 bytes; 6.4.5: 2 to 5 retries. */
static void
no_value_bends_the_standard(void **state)
{
	(void)state;
	assert_true(limit_rows[LIMIT_STANZA].min >= 10000);
	assert_true(limit_rows[LIMIT_LOGIN_STANZA].min >= 10000);
	assert_int_equal(limit_rows[LIMIT_ATTEMPTS].min, 3);
	assert_int_equal(limit_rows[LIMIT_ATTEMPTS].max, 6);
}

static void
begins_with_the_usual_values(void **state)
{
	struct edge_limits l;

	(void)state;
	limits_init(&l);
	for (size_t i = 0; i < LIMITS; i++)
		assert_int_equal(l.of[i], limit_rows[i].usual);
}

static void
reads_values(void **state)
{
	static const struct {
		enum limit limit;
		const char *text;
		uint64_t value; /* 0: refused */
	} rows[] = {
		{ LIMIT_STANZA, "10000", 10000 },
		{ LIMIT_STANZA, "9999", 0 },
		{ LIMIT_STANZA, "64k", 65536 },
		{ LIMIT_STANZA, "64K", 65536 },
		{ LIMIT_STANZA, "16M", 16777216 },
		{ LIMIT_STANZA, "17M", 0 },
		{ LIMIT_RATE, "1G", 1073741824 },
		{ LIMIT_RATE, "2G", 0 },
		{ LIMIT_ATTEMPTS, "6", 6 },
		{ LIMIT_ATTEMPTS, "7", 0 },
		{ LIMIT_ATTEMPTS, "", 0 },
		{ LIMIT_ATTEMPTS, "k", 0 },
		{ LIMIT_ATTEMPTS, "-3", 0 },
		{ LIMIT_ATTEMPTS, "5 ", 0 },
		{ LIMIT_ATTEMPTS, "5kk", 0 },
		{ LIMIT_RATE, "18446744073709551617", 0 },
		{ LIMIT_RATE, "9999999999999999999G", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error e = { 0 };
		uint64_t value = 0;
		int rc = limit_parse(rows[i].limit, rows[i].text, &value, &e);

		if (value != rows[i].value)
			fail_msg("row %zu", i);
		assert_int_equal(rc, rows[i].value == 0 ? RES_INVALID : RES_OK);
	}
}

static void
says_what_is_possible(void **state)
{
	struct error e = { 0 };
	uint64_t value;

	(void)state;
	limit_parse(LIMIT_ATTEMPTS, "9", &value, &e);
	assert_string_equal(e.text, "attempts is 3 to 6");
	limit_parse(LIMIT_LOCKOUT, "x", &value, &e);
	assert_string_equal(e.text, "lockout is 1 to 86400 s");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(no_value_bends_the_standard),
		cmocka_unit_test(begins_with_the_usual_values),
		cmocka_unit_test(reads_values),
		cmocka_unit_test(says_what_is_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
