/*
 * Times as they are written (XEP-0082).
 */
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
stamps_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: it is none */
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2002-09-10T23:41:07Z", 1031701267000 },
		{ "2002-09-10T23:41:07.123Z", 1031701267123 },
		{ "2002-09-10T23:41:07.5Z", 1031701267500 },
		{ "2002-09-10T23:41:07.1239999Z", 1031701267123 },
		{ "2002-09-11T01:41:07+02:00", 1031701267000 },
		{ "2002-09-10T18:11:07.25-05:30", 1031701267250 },
		{ "2002-09-10T23:41:07", -1 },
		{ "2002-09-10 23:41:07Z", -1 },
		{ "2002-09-10T23:41:07.Z", -1 },
		{ "2002-09-10T23:41:07+2:00", -1 },
		{ "2002-09-10T23:41:07+02:00x", -1 },
		{ "2002-09-10T23:41:07Zx", -1 },
		{ "2002-13-10T23:41:07Z", -1 },
		{ "2002-9-10T23:41:07Z", -1 },
		{ "", -1 },
		{ "yesterday", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;

		if (clock_parse_ms(rows[i].text, &ms) != (rows[i].ms != -1) ||
		    (rows[i].ms != -1 && ms != rows[i].ms))
			fail_msg("%s: %lld", rows[i].text, (long long)ms);
	}
}

static void
stamps_are_written(void **state)
{
	char out[32];

	(void)state;
	clock_stamp(1031701267, out);
	assert_string_equal(out, "2002-09-10T23:41:07Z");
	clock_stamp_ms(1031701267005, out);
	assert_string_equal(out, "2002-09-10T23:41:07.005Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamps_are_read),
		cmocka_unit_test(stamps_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
