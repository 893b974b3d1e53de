/*
 * Errors: one line of UTF-8, whatever was put into it.
 */
#include "common/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/strutil.h"

static void
error_is_one_line_of_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "a\nb\r\x7f\tc", "a?b???c" },
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "\xc3\xa4 \xff.....", "?? ?....." },
		{ "cut\xe2\x82", "cut" },
		{ "\xe2\x82", "" },
		{ "", "" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    error_set(&e, RES_STATE, "%s", rows[i].in), RES_STATE);
		assert_string_equal(e.text, rows[i].out);
	}
}

static void
long_error_is_cut_between_characters(void **state)
{
	char text[1024] = "";
	struct error e;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		text[shift] = '\0';
		while (strlen(text) < 1000)
			strcat(text, "\xf0\x9f\x99\x82");
		error_set(&e, RES_STATE, "%s", text);
		assert_true(str_is_utf8(e.text, strlen(e.text)));
		assert_in_range(strlen(e.text), 507, 511);
	}
}

static void
codes_have_names_that_lead_back(void **state)
{
	(void)state;
	for (int code = RES_DIFFERS; code <= RES_OK; code++)
		assert_int_equal(result_from_name(result_name(code)), code);
	assert_int_equal(result_from_name("nonsense"), RES_FAILED);
	assert_string_equal(result_name(-99), "failed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_is_one_line_of_utf8),
		cmocka_unit_test(long_error_is_cut_between_characters),
		cmocka_unit_test(codes_have_names_that_lead_back),
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
