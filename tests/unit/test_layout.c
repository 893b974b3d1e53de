/* Two columns of text in a terminal of 80. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "mmp/layout.h"

#define TEN "123456789 "
#define BLANK "          "

static const struct {
	size_t column;
	const char *what, *text, *lines;
} rows[] = {
	{ 8, "a", "text", "  a     text\n" },
	{ 8, "abcde", "text", "  abcde text\n" },
	{ 8, "abcdef", "text", "  abcdef\n        text\n" },
	{ 8, "a", "", "  a     \n" },
	/* 79 columns are used, not one more. */
	{ 10, "a", TEN TEN TEN TEN TEN TEN "123456789",
	    "  a       " TEN TEN TEN TEN TEN TEN "123456789\n" },
	{ 10, "a", TEN TEN TEN TEN TEN TEN "1234567890",
	    "  a       " TEN TEN TEN TEN TEN "123456789\n" BLANK
	    "1234567890\n" },
	/* A word that is too long is not broken. */
	{ 70, "a", "one 12345678901234567890 two",
	    "  a" BLANK BLANK BLANK BLANK BLANK BLANK
	    "       one\n" BLANK BLANK BLANK BLANK BLANK BLANK BLANK
	    "12345678901234567890\n" BLANK BLANK BLANK BLANK BLANK BLANK BLANK
	    "two\n" },
};

static void
breaks_between_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = { 0 };

		layout_entry(&b, rows[i].column, rows[i].what, rows[i].text);
		assert_string_equal(buf_str(&b), rows[i].lines);
		buf_clear(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(breaks_between_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
