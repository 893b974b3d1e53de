/*
 * The pattern language, and matching, completing and refusing lines with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/grammar.h"

static const struct command table[] = {
	{ .pattern = "set name <name>", .role = ROLE_ADMIN },
	{ .pattern = "set name none",
	    .role = ROLE_ADMIN,
	    .flags = CMD_REMOVES },
	{ .pattern = "set mode fast|slow", .role = ROLE_ADMIN },
	{ .pattern = "set more <interface>...", .role = ROLE_ADMIN },
	{ .pattern = "copy <key> <certificate> [<bundle>]",
	    .role = ROLE_ADMIN },
	{ .pattern = "list [detail] [<domain:of> [<domain:and>]]",
	    .role = ROLE_AUDIT },
	{ .pattern = "make <basename> [<attribute>...]", .role = ROLE_ADMIN },
	{ .pattern = "delete <file>",
	    .role = ROLE_ADMIN,
	    .flags = CMD_REMOVES },
	{ .pattern = "exit|quit", .role = ROLE_AUDIT },
	{ .pattern = NULL },
};

/* What matched, as "pattern | label=text label=text". */
static char *
match_text(const char *line, bool abbreviate)
{
	struct grammar *g = grammar_new(table, NULL);
	struct buf b = { 0 };
	struct words words;
	struct match m;
	struct error e;
	size_t at;

	assert_non_null(g);
	assert_int_equal(words_split(line, false, false, &words, &e), 0);
	if (grammar_match(g, &words, abbreviate, &m, &at, &e) != 0) {
		assert_null(strchr(e.text, '\n'));
		buf_addf(&b, "%zu %s", at, e.text);
	} else {
		buf_addf(&b, "%s |", m.command->pattern);
		for (size_t i = 0; i < m.count; i++)
			buf_addf(&b, " %s%s=%s", m.args[i].label,
			    m.args[i].repeats ? "*" : "", m.args[i].text);
	}
	words_clear(&words);
	grammar_free(g);
	return buf_steal_str(&b);
}

struct row {
	const char *line, *result;
};

static void
check_rows(const struct row *rows, size_t count, bool abbreviate)
{
	char *text;

	for (size_t i = 0; i < count; i++) {
		text = match_text(rows[i].line, abbreviate);
		assert_string_equal(text, rows[i].result);
		free(text);
	}
}

#define CHECK_ROWS(rows, abbreviate)                                           \
	check_rows(rows, sizeof(rows) / sizeof((rows)[0]), abbreviate)

static const struct row good[] = {
	{ "set name cb1", "set name <name> | name=cb1" },
	{ "SET Name cb1", "set name <name> | name=cb1" },
	{ "set name none", "set name none |" },
	{ "set name NONE", "set name none |" },
	{ "set mode fast", "set mode fast|slow |" },
	{ "set mode slow", "set mode fast|slow |" },
	{ "set more a", "set more <interface>... | interface*=a" },
	{ "set more a b lo",
	    "set more <interface>... | interface*=a interface*=b "
	    "interface*=lo" },
	{ "copy k c",
	    "copy <key> <certificate> [<bundle>] | key=k certificate=c" },
	{ "copy k c b",
	    "copy <key> <certificate> [<bundle>] | key=k certificate=c "
	    "bundle=b" },
	{ "list", "list [detail] [<domain:of> [<domain:and>]] |" },
	{ "list detail",
	    "list [detail] [<domain:of> [<domain:and>]] | detail=detail" },
	{ "list x.org",
	    "list [detail] [<domain:of> [<domain:and>]] | of=x.org" },
	{ "list detail detail",
	    "list [detail] [<domain:of> [<domain:and>]] | detail=detail "
	    "of=detail" },
	{ "list x.org y.org",
	    "list [detail] [<domain:of> [<domain:and>]] | of=x.org "
	    "and=y.org" },
	{ "make x", "make <basename> [<attribute>...] | basename=x" },
	{ "make x CN:a \"O:b c\"",
	    "make <basename> [<attribute>...] | basename=x attribute*=CN:a "
	    "attribute*=O:b c" },
	{ "quit", "exit|quit |" },
};

static void
match_finds_the_row_and_its_arguments(void **state)
{
	(void)state;
	CHECK_ROWS(good, false);
	/* Abbreviations change nothing for what is spelt in full. */
	CHECK_ROWS(good, true);
}

static const struct row bad[] = {
	{ "foo", "0 'foo' isn't a command, see 'help'" },
	{ "se name x", "0 'se' isn't a command, see 'help'" },
	{ "set", "1 set: incomplete, it goes on with: name, mode, more" },
	{ "set foo", "1 set: 'foo' isn't known here, but: name, mode, more" },
	{ "set name", "2 set name: incomplete, it goes on with: <name>, none" },
	{ "set name x.y",
	    "2 set name: 'x.y': give the name alone, without its domain" },
	{ "set name x y",
	    "3 set name x: 'y' is too much; usage: set name <name>" },
	{ "set mode",
	    "2 set mode: incomplete, it goes on with: fast|slow; usage: set "
	    "mode fast|slow" },
	{ "set mode medium",
	    "2 set mode: 'medium' isn't known here, but: fast|slow; usage: "
	    "set mode fast|slow" },
	{ "set more",
	    "2 set more: <interface> is missing; usage: set more "
	    "<interface>..." },
	{ "set more a z",
	    "3 set more a: 'z': not an interface (a, b, c, d or lo); usage: "
	    "set more <interface>..." },
	{ "copy k",
	    "2 copy k: <certificate> is missing; usage: copy <key> "
	    "<certificate> [<bundle>]" },
	{ "copy k c b x",
	    "4 copy k c b: 'x' is too much; usage: copy <key> <certificate> "
	    "[<bundle>]" },
	{ "list x y z",
	    "3 list x y: 'z' is too much; usage: list [detail] [<of> "
	    "[<and>]]" },
	{ "exit now", "1 exit: 'now' is too much; usage: exit|quit" },
};

static void
a_line_that_fits_nothing_is_explained(void **state)
{
	(void)state;
	CHECK_ROWS(bad, false);
}

static const struct row short_words[] = {
	{ "s n cb1", "set name <name> | name=cb1" },
	{ "se mod f", "set mode fast|slow |" },
	{ "set m", "1 set: 'm' could be: mode, more" },
	{ "set mo a", "1 set: 'mo' could be: mode, more" },
	{ "ex", "exit|quit |" },
	{ "q", "exit|quit |" },
	{ "li det", "list [detail] [<domain:of> [<domain:and>]] | of=det" },
	/* An argument is taken before an abbreviation is. */
	{ "set name no", "set name <name> | name=no" },
	{ "del x",
	    "0 'delete <file>' removes something: its words aren't "
	    "abbreviated" },
	{ "se name none",
	    "0 'set name none' removes something: its words aren't "
	    "abbreviated" },
	{ "x", "0 'x' isn't a command, see 'help'" },
};

static void
abbreviations_are_unique_and_remove_nothing(void **state)
{
	(void)state;
	CHECK_ROWS(short_words, true);
}

static const char *const malformed[] = { "", " ", "<name>", "[a]", "a [", "a ]",
	"a [b", "a b]", "a []", "a <", "a <name", "a <nosuch>", "a <name:>",
	"a <>", "a >", "a ...", "a b...", "a .", "a <name>..", "a |b", "a b|",
	"a <name>... <name>", "a [<name>] <domain>" };

static void
malformed_patterns_are_refused(void **state)
{
	struct command one[2] = { { 0 }, { 0 } };
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		one[0].pattern = malformed[i];
		assert_null(grammar_new(one, &e));
		assert_int_equal(e.code, RES_INVALID);
	}
}

static const char *const pairs[][2] = {
	{ "a b", "a b" },
	{ "a b", "A B" },
	{ "a b|c", "a c|d" },
	{ "a [b]", "a" },
	{ "a [b]", "a b" },
	{ "a <name>", "a <domain>" },
	{ "a <name>...", "a <name> b" }, /* the word is never reached */
	{ "a [b] c", "a c" },
};

static void
rows_that_could_mean_the_same_are_refused(void **state)
{
	struct command two[3] = { { 0 }, { 0 }, { 0 } };
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		two[0].pattern = pairs[i][0];
		two[1].pattern = pairs[i][1];
		assert_null(grammar_new(two, &e));
	}
}

/* What may come next, as "word word <label> ." */
static char *
next_text(const char *line, bool abbreviate, enum role role)
{
	struct grammar *g = grammar_new(table, NULL);
	struct grammar_next *next;
	struct buf b = { 0 };
	struct words words;
	size_t count;

	assert_int_equal(words_split(line, false, false, &words, NULL), 0);
	count = grammar_next(g, words.at, words.count, abbreviate, role, &next);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(next[i].command);
		if (next[i].word != NULL)
			buf_addf(&b, "%s ", next[i].word);
		else if (next[i].type != NULL)
			buf_addf(&b, "<%s> ", next[i].label);
		else
			buf_add_str(&b, ". ");
	}
	free(next);
	words_clear(&words);
	grammar_free(g);
	return buf_steal_str(&b);
}

static const struct {
	const char *line;
	enum role role;
	const char *next;
} nexts[] = {
	{ "", ROLE_ADMIN, "set copy list make delete exit|quit " },
	{ "", ROLE_AUDIT, "list exit|quit " },
	{ "", ROLE_NONE, "" },
	{ "set", ROLE_ADMIN, "name mode more " },
	{ "s", ROLE_ADMIN, "name mode more " },
	{ "set", ROLE_AUDIT, "" },
	{ "set name", ROLE_ADMIN, "<name> none " },
	{ "set more", ROLE_ADMIN, "<interface> " },
	{ "set more a", ROLE_ADMIN, "<interface> . " },
	{ "copy k c", ROLE_ADMIN, "<bundle> . " },
	{ "list", ROLE_AUDIT, "detail <of> . " },
	{ "list detail", ROLE_AUDIT, "<of> . " },
	{ "list x y", ROLE_AUDIT, ". " },
	{ "list x y z", ROLE_AUDIT, "" },
	{ "foo", ROLE_ADMIN, "" },
};

static void
next_says_what_may_follow(void **state)
{
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
		text = next_text(nexts[i].line, true, nexts[i].role);
		assert_string_equal(text, nexts[i].next);
		free(text);
	}
}

static void
usage_shows_labels_only(void **state)
{
	const struct command c = { .pattern =
				       "a b|c <name:who> [<domain>...]" };
	char *text = grammar_usage(&c);

	(void)state;
	assert_string_equal(text, "a b|c <who> [<domain>...]");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match_finds_the_row_and_its_arguments),
		cmocka_unit_test(a_line_that_fits_nothing_is_explained),
		cmocka_unit_test(abbreviations_are_unique_and_remove_nothing),
		cmocka_unit_test(malformed_patterns_are_refused),
		cmocka_unit_test(rows_that_could_mean_the_same_are_refused),
		cmocka_unit_test(next_says_what_may_follow),
		cmocka_unit_test(usage_shows_labels_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
