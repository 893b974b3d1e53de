/*
 * Lines of standard input, and the answers in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/grammar.h"
#include "mmp/input.h"
#include "mmp/mmp.h"

/* An input that has these bytes; `more` is left to be written, or NULL. */
static struct input *
open_input(const char *text, int *more)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(
	    write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	if (more != NULL)
		*more = fds[1];
	else
		close(fds[1]);
	return input_new(fds[0]);
}

static void
expect_line(struct input *input, size_t max, const char *want, bool want_cut)
{
	bool cut;
	char *line = input_line(input, max, &cut);

	if (want == NULL) {
		assert_null(line);
		return;
	}
	assert_non_null(line);
	assert_string_equal(line, want);
	assert_int_equal(cut, want_cut);
	free(line);
}

static void
lines_come_without_their_ends(void **state)
{
	struct input *input = open_input("a\n\nb\r\n c \r \nlast", NULL);

	(void)state;
	expect_line(input, 100, "a", false);
	expect_line(input, 100, "", false);
	expect_line(input, 100, "b", false);
	expect_line(input, 100, " c \r ", false);
	expect_line(input, 100, "last", false);
	expect_line(input, 100, NULL, false);
	expect_line(input, 100, NULL, false);
	input_free(input);
}

static void
a_long_line_is_cut_and_the_next_is_whole(void **state)
{
	char text[20000];
	struct input *input;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 12000, "\nnext\n", 6);
	memcpy(text + sizeof(text) - 7, "\nlast\n", 7);
	input = open_input(text, NULL);
	expect_line(input, 4, "xxxx", true);
	expect_line(input, 4, "next", false);
	expect_line(input, 4, "xxxx", true);
	expect_line(input, 4, "last", false);
	expect_line(input, 4, NULL, false);
	input_free(input);
}

static void
a_nul_does_not_end_a_line(void **state)
{
	char *text = input_text("\0a\0\0b\0", 6);

	(void)state;
	assert_string_equal(text, "\1a\1\1b\1");
	free(text);
	text = input_text("", 0);
	assert_string_equal(text, "");
	free(text);
}

static void
peeking_takes_nothing_and_does_not_wait(void **state)
{
	int more;
	struct input *input = open_input("a\nb", &more);
	char *line = input_peek(input, 0);

	(void)state;
	assert_string_equal(line, "a");
	free(line);
	expect_line(input, 100, "a", false);
	assert_null(input_peek(input, 0));
	assert_int_equal(write(more, "c\n", 2), 2);
	line = input_peek(input, 1000);
	assert_string_equal(line, "bc");
	free(line);
	close(more);
	expect_line(input, 100, "bc", false);
	assert_null(input_peek(input, 1000));
	input_free(input);
}

static const struct {
	const char *input;
	bool yes;
} confirmations[] = {
	{ "y\n", true },
	{ "Y\n", true },
	{ "yes\r\n", true },
	{ "Yes", true },
	{ "n\n", false },
	{ "\n", false },
	{ "yess\n", false },
	{ "", false },
};

static void
only_yes_is_a_confirmation(void **state)
{
	struct mmp mmp = { .tty = false };

	(void)state;
	for (size_t i = 0; i < sizeof(confirmations) / sizeof(confirmations[0]);
	     i++) {
		mmp.input = open_input(confirmations[i].input, NULL);
		assert_int_equal(mmp_confirm(&mmp, ""), confirmations[i].yes);
		input_free(mmp.input);
	}
}

static const struct {
	const char *input, *password, *next;
} passwords[] = {
	{ "pw\n", "pw", NULL },
	{ "pw", "pw", NULL },
	{ "pw\npw\n", "pw", NULL },
	{ "pw\r\npw\r\n", "pw", NULL },
	{ "pw\npw\nversion\n", "pw", "version" },
	{ "pw\nversion\n", "pw", "version" },
	{ "pw\n\nversion\n", "pw", "" },
	{ "pw\n# comment\n", "pw", "# comment" },
	{ "pw\nwp\nversion\n", NULL, "version" },
	{ "\n", NULL, NULL },
	{ "", NULL, NULL },
};

static void
a_script_may_repeat_a_password(void **state)
{
	struct grammar *g = grammar_new(commands, NULL);
	struct mmp mmp = { .grammar = g };
	struct error e;
	char *got;

	(void)state;
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
		mmp.input = open_input(passwords[i].input, NULL);
		got = mmp_ask_password(&mmp, "", &e);
		assert_int_equal(got != NULL, passwords[i].password != NULL);
		if (got != NULL)
			assert_string_equal(got, passwords[i].password);
		free(got);
		expect_line(mmp.input, 100, passwords[i].next, false);
		input_free(mmp.input);
	}
	grammar_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_without_their_ends),
		cmocka_unit_test(a_long_line_is_cut_and_the_next_is_whole),
		cmocka_unit_test(a_nul_does_not_end_a_line),
		cmocka_unit_test(peeking_takes_nothing_and_does_not_wait),
		cmocka_unit_test(only_yes_is_a_confirmation),
		cmocka_unit_test(a_script_may_repeat_a_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
