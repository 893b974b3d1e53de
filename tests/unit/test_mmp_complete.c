/*
 * Completion and help at the cursor, with a pki folder and without daemons.
 */
#include <sys/stat.h>

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
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/complete.h"

static char folder[] = "/tmp/mmp-test-complete.XXXXXX";
static const char *const files[] = { "a.key", "a.csr", "a.cer", "b.crt",
	"with blank.crt", ".hidden.key" };

static struct mmp mmp = {
	.root = folder, .role = ROLE_ADMIN, .interrupt_fd = -1
};

static struct grammar *grammar;

static char *
file_path(const char *name)
{
	char *path;

	xasprintf(&path, "%s/pki/%s", folder, name);
	return path;
}

static const struct {
	const char *line;
	enum role role;
	const char *candidates; /* with '|' between */
	size_t typed;
} rows[] = {
	{ "", ROLE_AUDIT,
	    "callbridge|dns|exit|help|hostname|iface|ipv4|logout|pki|quit|"
	    "uptime|version|xmpp",
	    0 },
	{ "x", ROLE_ADMIN, "xmpp", 1 },
	{ "XM", ROLE_ADMIN, "xmpp", 2 },
	{ "xmpp cl", ROLE_ADMIN, "cluster", 2 },
	{ "xmpp cluster ", ROLE_AUDIT, "status", 0 },
	{ "help xmpp cluster j", ROLE_ADMIN, "join", 1 },
	{ "x cl j", ROLE_ADMIN, "join", 1 },
	{ "nonsense ", ROLE_ADMIN, "", 0 },
	{ "xmpp listen ", ROLE_ADMIN, "a|b|c|d|lo|none", 0 },
	{ "xmpp listen a ", ROLE_ADMIN, "a|b|c|d|lo", 0 },
	{ "xmpp certs ", ROLE_ADMIN, "a.key|none", 0 },
	{ "xmpp certs a.key ", ROLE_ADMIN, "a.cer|b.crt|with blank.crt", 0 },
	{ "xmpp certs a.key a", ROLE_ADMIN, "a.cer", 1 },
	{ "xmpp certs a.key \"wi", ROLE_ADMIN, "with blank.crt", 3 },
	{ "pki inspect ", ROLE_AUDIT, "a.cer|a.csr|a.key|b.crt|with blank.crt",
	    0 },
	{ "pki sign ", ROLE_ADMIN, "a", 0 },
	{ "pki csr x C", ROLE_ADMIN, "C:|CN:", 1 },
	{ "dns lookup ", ROLE_AUDIT, "a|aaaa|srv", 0 },
	{ "xmpp domain ", ROLE_ADMIN, "none", 0 },
	/* Without the daemon there are no names, and no error. */
	{ "xmpp user del ", ROLE_ADMIN, "", 0 },
};

static void
candidates_are_what_may_stand_there(void **state)
{
	struct candidates c;
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mmp.role = rows[i].role;
		complete_line(&mmp, rows[i].line, &c);
		buf_reset(&b);
		for (size_t j = 0; j < c.count; j++)
			buf_addf(&b, "%s%s", j == 0 ? "" : "|", c.at[j]);
		assert_string_equal(buf_str(&b), rows[i].candidates);
		assert_int_equal(c.typed, rows[i].typed);
		candidates_clear(&c);
	}
	mmp.role = ROLE_ADMIN;
	buf_clear(&b);
}

static const struct {
	const char *line, *has;
} helps[] = {
	{ "", "  xmpp                 the XMPP server of this node\n" },
	{ "xmpp ",
	    "  callbridge           who may log in to the XMPP server: Call "
	    "Bridges and\n                       other components\n" },
	{ "xmpp ",
	    "  Enter                show the XMPP server's "
	    "configuration and state\n" },
	{ "callbridge ",
	    "  xmpp                 where this node's Call Bridge "
	    "logs in\n" },
	{ "xmpp cluster join ",
	    "  <member>             address or host name [:port]\n" },
	{ "xmpp cl", "  cluster              the cluster of XMPP servers\n" },
	{ "nonsense ", "  nothing is known that goes on so\n" },
};

static void
help_says_what_may_come_next(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++) {
		buf_reset(&b);
		complete_help(&mmp, helps[i].line, &b);
		if (strstr(buf_str(&b), helps[i].has) == NULL)
			fail_msg("'%s': %s", helps[i].line, buf_str(&b));
	}
	buf_reset(&b);
	complete_help(&mmp, "xmpp cl", &b);
	assert_null(strstr(buf_str(&b), "callbridge"));
	buf_clear(&b);
}

static void
common_beginnings_end_at_whole_characters(void **state)
{
	char secret[] = "add-secret", add[] = "add";
	char a_umlaut[] = "x\xc3\xa4", o_umlaut[] = "x\xc3\xb6";
	char *one[] = { secret }, *two[] = { add, secret };
	char *umlauts[] = { a_umlaut, o_umlaut };

	(void)state;
	assert_int_equal(
	    candidates_common(&(struct candidates){ one, 1, 0 }), 10);
	assert_int_equal(
	    candidates_common(&(struct candidates){ two, 2, 0 }), 3);
	assert_int_equal(
	    candidates_common(&(struct candidates){ umlauts, 2, 0 }), 1);
	assert_int_equal(
	    candidates_common(&(struct candidates){ NULL, 0, 0 }), 0);
}

static const char *const quotes[][2] = {
	{ "plain.crt", "plain.crt" },
	{ "with blank", "\"with blank\"" },
	{ "it's", "\"it's\"" },
	{ "a\"b", "'a\"b'" },
	{ "#x", "\"#x\"" },
};

static void
what_needs_quotes_gets_them(void **state)
{
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++) {
		text = complete_quoted(quotes[i][0]);
		assert_string_equal(text, quotes[i][1]);
		free(text);
	}
}

static int
setup(void **state)
{
	char *path;

	(void)state;
	assert_non_null(mkdtemp(folder));
	path = file_path("");
	mkdir(path, 0700);
	free(path);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path = file_path(files[i]);
		assert_int_equal(file_write(path, "x", 1, 0600), 0);
		free(path);
	}
	mmp.grammar = grammar = grammar_new(commands, NULL);
	return 0;
}

static int
teardown(void **state)
{
	char *path;

	(void)state;
	grammar_free(grammar);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path = file_path(files[i]);
		unlink(path);
		free(path);
	}
	path = file_path("");
	rmdir(path);
	free(path);
	rmdir(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(candidates_are_what_may_stand_there),
		cmocka_unit_test(help_says_what_may_come_next),
		cmocka_unit_test(common_beginnings_end_at_whole_characters),
		cmocka_unit_test(what_needs_quotes_gets_them),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
