/*
 * The layouts of results, and that no result, however wrong, does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/commands.h"
#include "mmp/mmp.h"
#include "mmp/print.h"

/* What a method's printer makes of a result. The caller frees. */
static char *
print(const char *method, const char *result)
{
	const struct mmp_method *m = mmp_method_find(method);
	json_t *value = json_loads(result, 0, NULL);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(m);
	assert_non_null(value);
	m->printer(out, value);
	fclose(out);
	json_decref(value);
	return text;
}

static const struct {
	const char *method, *result, *text;
} layouts[] = {
	{ "Cluster.Status",
	    "{\"state\":\"FOLLOWER\",\"peers\":["
	    "{\"address\":\"10.0.0.1:5222\",\"leader\":true},"
	    "{\"address\":\"10.0.0.2:5222\",\"me\":true}]}",
	    "State: FOLLOWER\nList of peers\n10.0.0.1:5222 (Leader)\n"
	    "10.0.0.2:5222\n" },
	{ "Cluster.Status", "{\"state\":\"NOT CLUSTERED\",\"peers\":[]}",
	    "State: NOT CLUSTERED\n" },
	{ "Cluster.Status",
	    "{\"state\":\"DISABLED\",\"peers\":[],\"reason\":\"why\","
	    "\"advice\":[\"one\",\"two\"]}",
	    "State: DISABLED\nReason: why\none\ntwo\n" },
	{ "Cluster.Status",
	    "{\"state\":\"LEADER\",\"since\":0,\"detail\":true,\"peers\":["
	    "{\"address\":\"10.0.0.1:5222\",\"leader\":true,\"me\":true,"
	    "\"host\":\"cb1\"},"
	    "{\"address\":\"10.0.0.2:5222\",\"reachable\":true},"
	    "{\"address\":\"10.0.0.3:5222\",\"reachable\":false,"
	    "\"host\":\"cb3\",\"since\":60}],\"trust_file\":\"t.crt\","
	    "\"hold\":3,\"term\":7,\"applied\":120,\"stored\":4096,"
	    "\"last_command\":\"xmpp cluster join 10.0.0.1 (Success)\"}",
	    "State: LEADER\nSince: 1970-01-01T00:00:00Z\nList of peers\n"
	    "10.0.0.1:5222 (Leader) (me) cb1\n"
	    "10.0.0.2:5222 Connected\n"
	    "10.0.0.3:5222 cb3 Not reachable since 1970-01-01T00:01:00Z\n"
	    "Trust bundle    : t.crt\nHold in seconds : 3\nTerm            : "
	    "7\nApplied         : 120\nStored in bytes : 4096\n"
	    "Last command    : xmpp cluster join 10.0.0.1 (Success)\n" },
	{ "Callbridge.List", "{\"callbridges\":[]}", "no Call Bridges\n" },
	{ "Callbridge.List",
	    "{\"callbridges\":[{\"name\":\"cb1\",\"domain\":\"x\","
	    "\"secret\":null,\"digest\":\"0123\"}]}",
	    "***\nCallbridge  : cb1\nDomain      : x\nDigest      : 0123\n" },
	{ "User.List", "{\"users\":[]}", "no accounts\n" },
	{ "Bridge.Status",
	    "{\"state\":\"authentication failure\",\"name\":\"cb1\","
	    "\"domain\":\"x\",\"server\":\"cb2.x\",\"since\":0,"
	    "\"reason\":\"wrong secret\",\"next\":\"cb3.x\",\"next_at\":60}",
	    "XMPP connection : authentication failure at cb2.x since "
	    "1970-01-01T00:00:00Z: wrong secret; next: cb3.x at "
	    "1970-01-01T00:01:00Z\n" },
	{ "Bridge.Status", "{\"state\":\"not configured\"}",
	    "XMPP connection : not configured\n" },
	{ "Dns.Lookup", "{\"records\":[\"a\",\"b\"],\"server\":null}",
	    "a\nb\n" },
	{ "Node.Uptime", "{\"system\":90061,\"xmppd\":5,\"callbridge\":null}",
	    "system    : 1 days, 01:01:01\nxmppd     : 0 days, 00:00:05\n"
	    "callbridge: not running\n" },
};

static void
results_are_laid_out(void **state)
{
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		text = print(layouts[i].method, layouts[i].result);
		assert_string_equal(text, layouts[i].text);
		free(text);
	}
}

static const char *const odd[] = { "{}", "{\"peers\":[{}]}",
	"{\"callbridges\":[{}]}", "{\"users\":[{}]}", "{\"users\":{}}",
	"{\"zones\":[{}],\"records\":[1,null]}", "{\"interfaces\":[{}]}",
	"{\"state\":1,\"since\":\"x\",\"listen\":3}",
	"{\"interfaces\":[{\"addresses\":[1]}]}" };

static void
a_result_that_lacks_something_does_no_harm(void **state)
{
	const struct command *c;
	const struct mmp_method *m;

	(void)state;
	for (c = commands; c->pattern != NULL; c++) {
		m = mmp_method_find(c->method);
		if (m == NULL || m->printer == NULL || m->handler != NULL)
			continue;
		for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
			free(print(c->method, odd[i]));
	}
}

static void
every_local_command_has_a_handler(void **state)
{
	const struct mmp_method *m;

	(void)state;
	for (const struct command *c = commands; c->pattern != NULL; c++) {
		m = mmp_method_find(c->method);
		if (c->at == AT_LOCAL)
			assert_true(m != NULL && m->handler != NULL);
		else if (m != NULL)
			assert_null(m->handler);
	}
}

static void
what_only_looks_has_a_layout(void **state)
{
	const struct mmp_method *m;

	(void)state;
	for (const struct command *c = commands; c->pattern != NULL; c++) {
		m = mmp_method_find(c->method);
		if (c->role == ROLE_AUDIT && c->at != AT_LOCAL)
			assert_true(m != NULL && m->printer != NULL);
	}
}

static void
checks_are_lines_in_order(void **state)
{
	json_t *checks = json_loads("[{\"ok\":true,\"text\":\"one\"},"
				    "{\"ok\":false,\"text\":\"t\\u001bwo\"}]",
	    0, NULL);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_false(print_checks(out, checks));
	assert_true(print_checks(out, NULL));
	fclose(out);
	assert_string_equal(text, "SUCCESS: one\nFAILURE: t?wo\n");
	assert_false(print_checks(NULL, checks));
	free(text);
	json_decref(checks);
}

static void
json_is_one_line(void **state)
{
	json_t *value = json_loads("{\"a\":[1,\"b\\n\"]}", 0, NULL);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	print_json(out, value);
	print_json(out, NULL);
	fclose(out);
	assert_string_equal(text, "{\"a\":[1,\"b\\n\"]}\n{}\n");
	free(text);
	json_decref(value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_laid_out),
		cmocka_unit_test(a_result_that_lacks_something_does_no_harm),
		cmocka_unit_test(every_local_command_has_a_handler),
		cmocka_unit_test(what_only_looks_has_a_layout),
		cmocka_unit_test(checks_are_lines_in_order),
		cmocka_unit_test(json_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
