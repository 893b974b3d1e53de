/*
 * Splitting lines into words: quotes, comments, limits, unfinished lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/words.h"
#include "common/xmalloc.h"

static const struct {
	const char *line;
	bool comments;
	const char *words; /* joined by '|'; NULL: refused */
} rows[] = {
	{ "", false, "" },
	{ " \t\r\n", false, "" },
	{ "a", false, "a" },
	{ "  a  b\tc \r", false, "a|b|c" },
	{ "a \"b c\" d", false, "a|b c|d" },
	{ "O:\"My Company\"", false, "O:My Company" },
	{ "\"O:My 'own'\"", false, "O:My 'own'" },
	{ "'a \"b\"'", false, "a \"b\"" },
	{ "\"a \\\"b\\\" \\\\ \\c\"", false, "a \"b\" \\ \\c" },
	{ "'a\\'", false, "a\\" },
	{ "a\\ b", false, "a\\|b" },
	{ "\"\" ''", false, "|" },
	{ "a#b", true, "a#b" },
	{ "# a", true, "" },
	{ "a # b", true, "a" },
	{ "a #b", true, "a" },
	{ "a '# b' c", true, "a|# b|c" },
	{ "a # 'b", true, "a" },
	{ "a # b", false, "a|#|b" },
	{ "a \"b", false, NULL },
	{ "a 'b", false, NULL },
	{ "a'", false, NULL },
};

static void
lines_become_words(void **state)
{
	struct words words;
	struct buf b = { 0 };
	struct error e;
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rc = words_split(
		    rows[i].line, rows[i].comments, false, &words, &e);
		assert_int_equal(rc == 0, rows[i].words != NULL);
		if (rc != 0) {
			assert_int_equal(words.count, 0);
			continue;
		}
		buf_reset(&b);
		for (size_t j = 0; j < words.count; j++)
			buf_addf(&b, "%s%s", j == 0 ? "" : "|", words.at[j]);
		assert_string_equal(buf_str(&b), rows[i].words);
		words_clear(&words);
	}
	buf_clear(&b);
}

static const struct {
	const char *line;
	size_t count;
	bool inside;
	char quote;
} partials[] = {
	{ "", 0, false, 0 },
	{ "a", 1, true, 0 },
	{ "a ", 1, false, 0 },
	{ "a b", 2, true, 0 },
	{ "a \"b ", 2, true, '"' },
	{ "a 'b", 2, true, '\'' },
	{ "a 'b'", 2, true, 0 },
	{ "a 'b' ", 2, false, 0 },
	{ "a '", 2, true, '\'' },
};

static void
an_unfinished_line_knows_where_it_stands(void **state)
{
	struct words words;

	(void)state;
	for (size_t i = 0; i < sizeof(partials) / sizeof(partials[0]); i++) {
		assert_int_equal(
		    words_split(partials[i].line, false, true, &words, NULL),
		    0);
		assert_int_equal(words.count, partials[i].count);
		assert_int_equal(words.inside, partials[i].inside);
		assert_int_equal(words.quote, partials[i].quote);
		words_clear(&words);
	}
}

static void
columns_are_where_words_begin(void **state)
{
	struct words words;

	(void)state;
	assert_int_equal(
	    words_split("ab  'c d' e", false, false, &words, NULL), 0);
	assert_int_equal(words.columns[0], 0);
	assert_int_equal(words.columns[1], 4);
	assert_int_equal(words.columns[2], 10);
	assert_int_equal(words.end, 11);
	words_clear(&words);
}

static void
limits_are_kept(void **state)
{
	char *line = xcalloc(1, WORDS_LINE_MAX + 2);
	struct words words;
	struct error e;

	(void)state;
	memset(line, 'x', WORDS_LINE_MAX);
	assert_int_equal(words_split(line, false, false, &words, &e), 0);
	words_clear(&words);
	line[WORDS_LINE_MAX] = 'x';
	assert_int_equal(
	    words_split(line, false, false, &words, &e), RES_LIMIT);
	memset(line, 0, WORDS_LINE_MAX + 2);
	for (size_t i = 0; i < WORDS_MAX; i++)
		memcpy(line + 2 * i, "x ", 2);
	assert_int_equal(words_split(line, false, false, &words, &e), 0);
	assert_int_equal(words.count, WORDS_MAX);
	words_clear(&words);
	strcpy(line + strlen(line), "x");
	assert_int_equal(
	    words_split(line, false, false, &words, &e), RES_LIMIT);
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_words),
		cmocka_unit_test(an_unfinished_line_knows_where_it_stands),
		cmocka_unit_test(columns_are_where_words_begin),
		cmocka_unit_test(limits_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
