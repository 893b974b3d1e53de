/*
 * The forms of a Call Bridge's settings, and of the server that is set.
 */
#include "callbridge/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "callbridge/locator.h"
#include "common/result.h"
#include "common/strutil.h"

static void
a_server_is_a_name_or_address_with_or_without_port(void **state)
{
	static const struct {
		const char *server, *host; /* NULL: refused */
		uint16_t port;
	} rows[] = {
		{ "cb1.example.com", "cb1.example.com", 0 },
		{ "cb1:5223", "cb1", 5223 },
		{ "localhost:1", "localhost", 1 },
		{ "10.1.1.1", "10.1.1.1", 0 },
		{ "10.1.1.1:65535", "10.1.1.1", 65535 },
		{ "2001:db8::1", "2001:db8::1", 0 },
		{ "[2001:db8::1]", "2001:db8::1", 0 },
		{ "[2001:db8::1]:5223", "2001:db8::1", 5223 },
		{ "", NULL, 0 },
		{ ":5223", NULL, 0 },
		{ "cb1:", NULL, 0 },
		{ "cb1:0", NULL, 0 },
		{ "cb1:65536", NULL, 0 },
		{ "cb1:x", NULL, 0 },
		{ "cb 1", NULL, 0 },
		{ "a@cb1", NULL, 0 },
		{ "cb1/x", NULL, 0 },
		{ "[::1", NULL, 0 },
		{ "[::1]5223", NULL, 0 },
		{ "[]:5223", NULL, 0 },
		{ "[cb1]:5223", NULL, 0 },
		{ "cb1:x:5223", NULL, 0 },
	};
	char host[RESOLVER_NAME_SIZE], longer[300];
	struct error e;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = locator_parse_server(rows[i].server, host, &port, &e);

		if ((rc == RES_OK) != (rows[i].host != NULL) ||
		    (rc == RES_OK &&
			(strcmp(host, rows[i].host) != 0 ||
			    port != rows[i].port)))
			fail_msg("%s", rows[i].server);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(
	    locator_parse_server(longer, host, &port, &e), RES_INVALID);
}

static void
names_and_domains_are_prepared(void **state)
{
	static const struct {
		const char *typed, *name, *domain;
	} rows[] = {
		{ "CB1", "cb1", "cb1" },
		{ "cb1.Example.com", NULL, "cb1.example.com" },
		{ "", NULL, NULL },
		{ "a b", NULL, NULL },
		{ "a@b", NULL, NULL },
		{ "-a", NULL, NULL },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *name = settings_make_name(rows[i].typed, &e);
		char *domain = settings_make_domain(rows[i].typed, &e);

		if (!str_equal(name, rows[i].name) ||
		    !str_equal(domain, rows[i].domain))
			fail_msg("%s: %s %s", rows[i].typed, name, domain);
		free(name);
		free(domain);
	}
}

static void
a_secret_is_1_to_64_printable_characters(void **state)
{
	struct conf *conf = settings_new("/nonexistent/callbridge.json");
	char secret[131] = "";
	struct error e;

	(void)state;
	/* 64 characters of two bytes each. */
	for (int i = 0; i < 64; i++)
		memcpy(secret + i * 2, "\xc3\xa4", 3);
	assert_int_equal(
	    conf_set_text(conf, SETTING_SECRET, secret, &e), RES_OK);
	memcpy(secret + 128, "x", 2);
	assert_int_equal(
	    conf_set_text(conf, SETTING_SECRET, secret, &e), RES_INVALID);
	assert_null(strstr(e.text, "\xc3\xa4"));
	assert_int_equal(
	    conf_set_text(conf, SETTING_SECRET, "a\tb", &e), RES_INVALID);
	assert_int_equal(
	    conf_set_text(conf, SETTING_SECRET, "", &e), RES_INVALID);
	assert_int_equal(
	    conf_set_text(conf, SETTING_SECRET, "a b", &e), RES_OK);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_server_is_a_name_or_address_with_or_without_port),
		cmocka_unit_test(names_and_domains_are_prepared),
		cmocka_unit_test(a_secret_is_1_to_64_printable_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
