/*
 * The table of commands: it compiles, agrees with the interface files, and
 * takes the published procedures.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/commands.h"
#include "common/elsewhere.h"
#include "common/grammar.h"
#include "common/pattern.h"
#include "common/strutil.h"
#include "common/varlink_text.h"
#include "common/xmalloc.h"

static void
the_table_compiles(void **state)
{
	struct error e = { 0 };
	struct grammar *g = grammar_new(commands, &e);

	(void)state;
	assert_string_equal(e.text, "");
	assert_non_null(g);
	grammar_free(g);
}

static void
every_row_is_whole(void **state)
{
	const struct command *c;

	(void)state;
	for (c = commands; c->pattern != NULL; c++) {
		assert_non_null(c->help);
		assert_true(strlen(c->help) <= 63);
		assert_true(islower((unsigned char)c->help[0]) ||
		    isupper((unsigned char)c->help[1]));
		assert_null(strchr(".", c->help[strlen(c->help) - 1]));
		assert_true(c->role != ROLE_NONE);
		assert_non_null(strchr(c->method, '.'));
		assert_int_equal(c->ask != ASK_NOTHING, c->prompt != NULL);
		assert_int_equal(c->ask != ASK_NOTHING, c->asks != NULL);
		/* Who looks only removes nothing. */
		assert_false(c->role == ROLE_AUDIT && (c->flags & CMD_REMOVES));
	}
}

/* The parameters "(...)" of a method, as text; NULL if there is no method. */
static char *
method_parameters(const struct command *c)
{
	const char *text =
	    c->at == AT_XMPPD ? varlink_text_xmppd : varlink_text_callbridge;
	const char *dot = strchr(c->method, '.'), *section, *method, *next;
	char head[96], line[96];

	snprintf(head, sizeof(head), "\ninterface %s.%.*s\n",
	    command_interface(c->at), (int)(dot - c->method), c->method);
	snprintf(line, sizeof(line), "\nmethod %s(", dot + 1);
	section = strstr(text, head);
	if (section == NULL)
		return NULL;
	method = strstr(section, line);
	next = strstr(section + 1, "\ninterface ");
	if (method == NULL || (next != NULL && method > next))
		return NULL;
	method += strlen(line);
	return xstrndup(method, strcspn(method, ")"));
}

/* Checks that a method has the parameter, of that type; removes it. */
static void
take_parameter(char *params, const char *name, const char *type, bool optional,
    const struct command *c)
{
	char want[64];
	char *at;

	snprintf(
	    want, sizeof(want), "%s: %s%s", name, optional ? "?" : "", type);
	at = strstr(params, want);
	if (at == NULL) {
		/* What may be left out elsewhere may be given here. */
		snprintf(want, sizeof(want), "%s: ?%s", name, type);
		at = strstr(params, want);
	}
	if (at == NULL)
		fail_msg("'%s': %s has no '%s'", c->pattern, c->method, want);
	else
		memset(at, ' ', strlen(want));
}

static void
take_pattern(char *params, const struct command *c)
{
	const char *type;
	struct pattern p;

	assert_true(pattern_compile(&p, c->pattern));
	for (size_t i = 0; i < p.count; i++) {
		if (p.items[i].kind != ITEM_ARG)
			continue;
		type = p.items[i].type->kind == ARG_FILE  ? "File"
		    : p.items[i].type->kind == ARG_NUMBER ? "int"
							  : "string";
		if (p.items[i].repeat && !p.items[i].type->joined)
			type = "[]string";
		take_parameter(
		    params, p.items[i].text, type, p.items[i].depth > 0, c);
	}
	pattern_clear(&p);
	if (c->asks != NULL)
		take_parameter(params, c->asks, "string", false, c);
}

static void
every_row_has_its_method_with_its_parameters(void **state)
{
	const struct command *c;
	char *params;

	(void)state;
	for (c = commands; c->pattern != NULL; c++) {
		if (c->at == AT_LOCAL)
			continue;
		params = method_parameters(c);
		if (params == NULL)
			fail_msg("no method %s", c->method);
		take_pattern(params, c);
		/* What is left may be left out. */
		for (char *p = params; (p = strstr(p, ": ")) != NULL; p += 2)
			assert_int_equal(p[2], '?');
		free(params);
	}
}

/* Methods that no row is for: the shell or a daemon calls them. */
static const char *const unlisted[] = { "Xmpp.Export", "Xmpp.Trust",
	"Transfer.Export", "Transfer.User", "Transfer.Data" };

static bool
has_row(const char *name)
{
	for (size_t i = 0; i < sizeof(unlisted) / sizeof(unlisted[0]); i++)
		if (str_equal(unlisted[i], name))
			return true;
	for (const struct command *c = commands; c->pattern != NULL; c++)
		if (str_equal(c->method, name))
			return true;
	return false;
}

static void
every_method_has_its_row(void **state)
{
	const char *const texts[] = { varlink_text_xmppd,
		varlink_text_callbridge };
	char name[96], group[41] = "";
	const char *line;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (line = texts[i]; line != NULL; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (sscanf(line, "interface %*[^.].%*[^.].%40[A-Za-z]",
				group) == 1)
				continue;
			if (!str_starts(line, "method "))
				continue;
			snprintf(name, sizeof(name), "%s.%.*s", group,
			    (int)strcspn(line + 7, "("), line + 7);
			if (!has_row(name))
				fail_msg("no command for %s", name);
		}
}

/* spec.md and the published procedures, both forms and orders. */
static const struct {
	const char *line, *pattern;
} procedure[] = {
	{ "pki csr abhiall CN:cb1.tptac9.com subjectAltName:tptac9.com,"
	  "cb1.tptac9.com,cb2.tptac9.com,cb3.tptac9.com",
	    "pki csr <basename> <attribute>..." },
	{ "pki csr x CN:a OU:\"My Unit\" O:\"My Company\" L:Here ST:There "
	  "C:US emailAddress:a@b.c",
	    "pki csr <basename> <attribute>..." },
	{ "pki list", "pki list [detail]" },
	{ "pki match xmpp.key xmpp.crt", "pki match <key> <certificate>" },
	{ "pki verify xmpp.crt bundle.crt",
	    "pki verify <certificate> <bundle> [<file:root>]" },
	{ "pki inspect xmpp.crt", "pki inspect <file>" },
	{ "pki selfsigned dbca CN:Company",
	    "pki selfsigned <basename> [<attribute>...]" },
	{ "pki sign dbserver dbca", "pki sign <csr> <ca>" },
	{ "xmpp", "xmpp [detail]" },
	{ "xmpp domain tptac9.com", "xmpp domain <domain>" },
	{ "xmpp domain none", "xmpp domain none" },
	{ "xmpp listen a", "xmpp listen <listen:interface>..." },
	{ "xmpp listen a b", "xmpp listen <listen:interface>..." },
	{ "xmpp listen a:5222:5224", "xmpp listen <listen:interface>..." },
	{ "xmpp certs abhiall.key abhiall.cer certall.cer",
	    "xmpp certs <key> <certificate> [<bundle>]" },
	{ "xmpp certs none", "xmpp certs none" },
	{ "xmpp cluster trust xmpp-cluster-bundle.crt",
	    "xmpp cluster trust <bundle>" },
	{ "xmpp callbridge add cb1", "xmpp callbridge add <name>" },
	{ "xmpp callBridge add cb1", "xmpp callbridge add <name>" },
	{ "xmpp callbridge add-secret cb1",
	    "xmpp callbridge add-secret <name>" },
	{ "xmpp callbridge list", "xmpp callbridge list [detail]" },
	{ "xmpp callbridge del cb9", "xmpp callbridge del <callbridge:name>" },
	{ "xmpp enable", "xmpp enable" },
	{ "xmpp disable", "xmpp disable" },
	{ "xmpp reset", "xmpp reset" },
	{ "xmpp cluster enable", "xmpp cluster enable" },
	{ "xmpp cluster initialize", "xmpp cluster initialize" },
	{ "xmpp cluster join cb1.tptac9.com",
	    "xmpp cluster join <address:member>" },
	{ "xmpp cluster join 10.1.1.1", "xmpp cluster join <address:member>" },
	{ "xmpp cluster remove", "xmpp cluster remove [<member>]" },
	{ "xmpp cluster remove 10.1.1.1:5222",
	    "xmpp cluster remove [<member>]" },
	{ "xmpp cluster status", "xmpp cluster status [detail]" },
	{ "xmpp cluster disable", "xmpp cluster disable" },
	{ "dns lookup srv _xmpp-component._tcp.tptac9.com",
	    "dns lookup <rrtype:type> <dnsname:name>" },
	{ "dns lookup SRV _xmpp-component._tcp.tptac9.com",
	    "dns lookup <rrtype:type> <dnsname:name>" },
	{ "dns lookup a cb1.tptac9.com",
	    "dns lookup <rrtype:type> <dnsname:name>" },
	{ "dns add forwardzone . 10.1.1.53",
	    "dns add forwardzone <zone> <ip:server>" },
	{ "dns add rr \"a.example.com. IN A 10.1.1.1\"",
	    "dns add rr <record>..." },
	{ "dns add rr _x._tcp.example.com. 86400 IN SRV 0 0 5223 cb1.",
	    "dns add rr <record>..." },
	{ "dns flush", "dns flush" },
	{ "ipv4 a", "ipv4 [<interface>]" },
};

static void
the_published_procedures_are_understood(void **state)
{
	struct grammar *g = grammar_new(commands, NULL);
	struct words words;
	struct match m;
	struct error e = { 0 };
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(procedure) / sizeof(procedure[0]); i++) {
		assert_int_equal(
		    words_split(procedure[i].line, true, false, &words, &e), 0);
		if (grammar_match(g, &words, false, &m, &at, &e) != 0)
			fail_msg("%s", e.text);
		assert_string_equal(m.command->pattern, procedure[i].pattern);
		words_clear(&words);
	}
	grammar_free(g);
}

static void
what_has_no_place_here_names_another_way(void **state)
{
	struct grammar *g = grammar_new(commands, NULL);
	const struct command_elsewhere *e;
	struct words words;
	struct match m;
	struct error error;
	char line[64];
	size_t at;

	(void)state;
	for (e = commands_elsewhere; e->words != NULL; e++) {
		snprintf(line, sizeof(line), "%s", e->words);
		for (char *p = line; *p != '\0'; p++)
			if (*p == '*')
				*p = 'a';
		assert_int_equal(
		    words_split(line, false, false, &words, NULL), 0);
		if (grammar_match(g, &words, false, &m, &at, &error) == 0)
			fail_msg("'%s' is a command", line);
		if (!str_equal(elsewhere_find(&words, at), e->instead))
			fail_msg("'%s' isn't explained", line);
		words_clear(&words);
	}
	/* A wrong word in a command that exists is its own fault. */
	words_split("ipv4 zz", false, false, &words, NULL);
	assert_int_not_equal(
	    grammar_match(g, &words, false, &m, &at, &error), 0);
	assert_null(elsewhere_find(&words, at));
	words_clear(&words);
	grammar_free(g);
}

static void
every_group_has_commands(void **state)
{
	struct grammar *g = grammar_new(commands, NULL);
	const struct command_group *group;
	struct grammar_next *next;
	struct words words;

	(void)state;
	for (group = command_groups; group->words != NULL; group++) {
		assert_true(strlen(group->help) > 0);
		words_split(group->words, false, false, &words, NULL);
		assert_true(grammar_next(g, words.at, words.count, false,
				ROLE_ADMIN, &next) > 0);
		free(next);
		words_clear(&words);
	}
	grammar_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_compiles),
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(every_row_has_its_method_with_its_parameters),
		cmocka_unit_test(every_method_has_its_row),
		cmocka_unit_test(the_published_procedures_are_understood),
		cmocka_unit_test(what_has_no_place_here_names_another_way),
		cmocka_unit_test(every_group_has_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
