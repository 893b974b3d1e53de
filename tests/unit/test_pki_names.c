/*
 * Whom a certificate names: RFC 6120, 13.7.1.2 and RFC 6125.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/pki.h"
#include "tests/lib/certs.h"

#define XMPP "otherName:1.3.6.1.5.5.7.8.5;UTF8:"
#define SRV "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:"

static int
teardown(void **state)
{
	(void)state;
	certs_free_all();
	return 0;
}

static void
covers_domains(void **state)
{
	static const struct {
		const char *cn, *san, *domain;
		bool yes;
	} rows[] = {
		{ NULL, "DNS:tptac9.com,DNS:cb1.tptac9.com", "tptac9.com",
		    true },
		{ NULL, "DNS:tptac9.com,DNS:cb1.tptac9.com", "cb1.tptac9.com",
		    true },
		{ NULL, "DNS:tptac9.com", "TPTAC9.com", true },
		{ NULL, "DNS:TPTAC9.COM", "tptac9.com", true },
		{ NULL, "DNS:tptac9.com.", "tptac9.com", true },
		{ NULL, "DNS:tptac9.com", "tptac9.com.evil.org", false },
		{ NULL, "DNS:tptac9.com", "xtptac9.com", false },
		{ NULL, "DNS:tptac9.com", "cb1.tptac9.com", false },
		/* A wildcard is one whole label, the left-most. */
		{ NULL, "DNS:*.tptac9.com", "cb1.tptac9.com", true },
		{ NULL, "DNS:*.tptac9.com", "tptac9.com", false },
		{ NULL, "DNS:*.tptac9.com", "a.cb1.tptac9.com", false },
		{ NULL, "DNS:cb*.tptac9.com", "cb1.tptac9.com", false },
		{ NULL, "DNS:cb1.*.com", "cb1.tptac9.com", false },
		{ NULL, "DNS:*.com", "tptac9.com", false },
		{ NULL, "DNS:*", "com", false },
		/* The CN counts only where there is no SAN. */
		{ "tptac9.com", NULL, "tptac9.com", true },
		{ "tptac9.com", "DNS:cb1.tptac9.com", "tptac9.com", false },
		{ "tptac9.com", "email:a@tptac9.com", "tptac9.com", false },
		{ "The Company", NULL, "tptac9.com", false },
		/* RFC 6120, 13.7.1.4 and RFC 4985. */
		{ NULL, XMPP "tptac9.com", "tptac9.com", true },
		{ NULL, XMPP "*.tptac9.com", "cb1.tptac9.com", false },
		{ NULL, XMPP "\xe9t\xe9.org", "\xc3\xa9t\xc3\xa9.org", true },
		{ NULL, SRV "_xmpp-client.tptac9.com", "tptac9.com", true },
		{ NULL, SRV "_xmpp-server.tptac9.com", "tptac9.com", true },
		{ NULL, SRV "_ldap.tptac9.com", "tptac9.com", false },
		/* An internationalised name in either form. */
		{ NULL, "DNS:xn--t-9fab.org", "\xc3\xa9t\xc3\xa9.org", true },
		{ NULL, "DNS:xn--t-9fab.org", "xn--t-9fab.org", true },
		{ NULL, "IP:127.0.0.1", "127.0.0.1", false },
		{ NULL, "DNS:tptac9.com", "*.tptac9.com", false },
		{ NULL, "DNS:tptac9.com", "", false },
		{ NULL, NULL, "tptac9.com", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct certs_who *who = certs_make(&(struct certs_spec){
		    .cn = rows[i].cn, .san = rows[i].san });

		if (pki_covers_domain(who->cert, rows[i].domain) != rows[i].yes)
			fail_msg("row %zu: %s", i, rows[i].domain);
	}
}

static void
covers_hosts_and_addresses(void **state)
{
	static const struct {
		const char *san, *host;
		bool yes;
	} rows[] = {
		{ "DNS:cb1.tptac9.com", "cb1.tptac9.com", true },
		{ "DNS:*.tptac9.com", "cb1.tptac9.com", true },
		{ "DNS:cb1.tptac9.com", "cb2.tptac9.com", false },
		{ "IP:10.1.2.3", "10.1.2.3", true },
		{ "IP:10.1.2.3", "10.1.2.4", false },
		{ "IP:2001:db8::1", "2001:0db8:0::1", true },
		{ "IP:2001:db8::1", "2001:db8::2", false },
		/* An address is no domain name, also if it is written as one.
		 */
		{ "DNS:10.1.2.3", "10.1.2.3", false },
		{ XMPP "cb1.tptac9.com", "cb1.tptac9.com", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct certs_who *who =
		    certs_make(&(struct certs_spec){ .san = rows[i].san });

		if (pki_covers_host(who->cert, rows[i].host) != rows[i].yes)
			fail_msg("row %zu: %s", i, rows[i].host);
	}
}

static void
lists_names(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){
	    .cn = "x", .san = "DNS:a.example,IP:10.0.0.1," XMPP "b.example" });
	char *text = pki_names_text(who->cert);

	(void)state;
	assert_string_equal(text, "a.example, 10.0.0.1, b.example");
	free(text);
}

static void
makes_domains_ascii(void **state)
{
	static const struct {
		const char *name, *ascii;
	} rows[] = {
		{ "TPTAC9.com", "tptac9.com" },
		{ "tptac9.com.", "tptac9.com" },
		{ "*.Tptac9.com", "*.tptac9.com" },
		{ "\xc3\xa9t\xc3\xa9.org", "xn--t-9fab.org" },
		{ "a_b.example", "a_b.example" },
		{ "localhost", "localhost" },
		{ "", NULL },
		{ ".", NULL },
		{ "*.", NULL },
		{ "a..b", NULL },
		{ "-a.b", NULL },
		{ "a-.b", NULL },
		{ "a b", NULL },
		{ "a,b", NULL },
		{ "a/b", NULL },
		{ "\xff", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaa.b",
		    NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *ascii = pki_domain(rows[i].name);

		if (rows[i].ascii == NULL)
			assert_null(ascii);
		else
			assert_string_equal(ascii, rows[i].ascii);
		free(ascii);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covers_domains),
		cmocka_unit_test(covers_hosts_and_addresses),
		cmocka_unit_test(lists_names),
		cmocka_unit_test(makes_domains_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
