/* Addresses: RFC 7622, section 3.5, and the profiles of RFC 6122. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/jid.h"
#include "common/strutil.h"

static const struct {
	const char *in, *out; /* NULL: refused */
} rows[] = {
	{ "juliet@example.com", "juliet@example.com" },
	{ "Juliet@Example.COM/Balcony", "juliet@example.com/Balcony" },
	{ "juliet@example.com/foo bar", "juliet@example.com/foo bar" },
	{ "juliet@example.com/foo@bar", "juliet@example.com/foo@bar" },
	{ "example.com", "example.com" },
	{ "example.com/a@b/c", "example.com/a@b/c" },
	{ "example.com.", "example.com" },
	{ "foo\\20bar@example.com", "foo\\20bar@example.com" },
	{ "fussball@example.com", "fussball@example.com" },
	{ "fu\xc3\x9f"
	  "ball@example.com",
	    "fussball@example.com" },
	{ "\xcf\x80@example.com", "\xcf\x80@example.com" },
	{ "\xce\xa3@example.com/foo", "\xcf\x83@example.com/foo" },
	{ "king@example.com/\xe2\x99\x9a", "king@example.com/\xe2\x99\x9a" },
	{ "a@b\xc3\xbc"
	  "cher.example",
	    "a@b\xc3\xbc"
	    "cher.example" },
	/* An A-label is its U-label; what isn't one is no label. */
	{ "a@xn--bcher-kva.example",
	    "a@b\xc3\xbc"
	    "cher.example" },
	{ "a@x.XN--BCHER-KVA.example/r",
	    "a@x.b\xc3\xbc"
	    "cher.example/r" },
	{ "a@xn--a.example", NULL },
	{ "a@xn--.example", NULL },
	{ "a@xn--bcher-.example", NULL },
	{ "xn--20pn--20pliiii7liiiiixn--10peccece.", NULL },
	{ "a@axn--bcher-kva.example", "a@axn--bcher-kva.example" },
	/* A symbol in a resource, not in a name. */
	{ "a@b/\xf0\x9f\x98\x80", "a@b/\xf0\x9f\x98\x80" },
	{ "\xf0\x9f\x98\x80@b", NULL },
	{ "user@[2001:db8::1]/x", "user@[2001:db8::1]/x" },
	{ "user@127.0.0.1", "user@127.0.0.1" },
	{ "\"juliet\"@example.com", NULL },
	{ "foo bar@example.com", NULL },
	{ "@example.com/", NULL },
	{ "@example.com", NULL },
	{ "henry\xe2\x85\xa3@", NULL },
	{ "a@b/", NULL },
	{ "a@", NULL },
	{ "a@/r", NULL },
	{ "a@b@c", NULL },
	{ "", NULL },
	{ "a@-b.example", NULL },
	{ "a@b..example", NULL },
	{ "a@[2001:zz]", NULL },
	{ "a@\xc3\xbc..", NULL },
	{ "a@\xc3\xbc\xe3\x80\x82.", NULL },
	{ "a@\xc3\xbc\xef\xbc\x8fx", NULL },
	{ "a@\xc3\xbc\xef\xbc\xa0x", NULL },
	{ "a@\xc3\xbc'<x", NULL },
	{ "a@example.com/\xff", NULL },
	{ "a\x01@example.com", NULL },
	{ "a@example.com/\x7f", NULL },
};

static void
prepares_passwords(void **state)
{
	static const struct {
		const char *in, *typed, *kept;
	} passwords[] = {
		{ "user", "user", "user" },
		{ " ", " ", " " },
		{ "USER", "USER", "USER" },
		/* RFC 4013, 3 */
		{ "I\xc2\xadX", "IX", "IX" },
		{ "\xc2\xaa", "a", "a" },
		{ "\xe2\x85\xa8", "IX", "IX" },
		{ "\x07", NULL, NULL },
		{ "\xd8\xa7\x31", NULL, NULL },
		{ "a\tb", NULL, NULL },
		{ "a\xc2\x80", NULL, NULL },
		{ "", NULL, NULL },
		{ "\xff", NULL, NULL },
		/* U+0221 was assigned after Unicode 3.2. */
		{ "\xc8\xa1", "\xc8\xa1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
		char *typed = jid_prep_password(passwords[i].in, false);
		char *kept = jid_prep_password(passwords[i].in, true);

		if (!str_equal(typed, passwords[i].typed) ||
		    !str_equal(kept, passwords[i].kept))
			fail_msg("%zu: %s, %s", i, typed, kept);
		free(typed);
		free(kept);
	}
}

static void
prepares_each_part_by_its_profile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jid j = { 0 };
		int rc = jid_parse(rows[i].in, strlen(rows[i].in), &j);

		if ((rc == 0) != (rows[i].out != NULL) ||
		    (rc == 0 && strcmp(j.full, rows[i].out) != 0))
			fail_msg("%s: got %s", rows[i].in,
			    rc == 0 ? j.full : "a refusal");
		jid_clear(&j);
	}
}

static void
preparing_twice_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jid j = { 0 };

		if (rows[i].out == NULL)
			continue;
		assert_int_equal(
		    jid_parse(rows[i].out, strlen(rows[i].out), &j), 0);
		assert_string_equal(j.full, rows[i].out);
		jid_clear(&j);
	}
}

static void
gives_the_parts(void **state)
{
	struct jid j;
	char *part;

	(void)state;
	assert_int_equal(jid_parse("A@B.example/c/d", 15, &j), 0);
	part = jid_local(&j);
	assert_string_equal(part, "a");
	free(part);
	part = jid_domain(&j);
	assert_string_equal(part, "b.example");
	free(part);
	part = jid_bare(&j);
	assert_string_equal(part, "a@b.example");
	free(part);
	assert_string_equal(jid_resource(&j), "c/d");
	jid_clear(&j);
	assert_int_equal(jid_parse("b.example", 9, &j), 0);
	assert_null(jid_local(&j));
	assert_null(jid_resource(&j));
	jid_clear(&j);
}

/* RFC 7622, 3.1: each part has 1 to 1023 bytes. */
static void
bounds_each_part(void **state)
{
	static const size_t sizes[] = { 1, 1023, 1024, 5000 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char text[6000];
		struct jid j = { 0 };

		memset(text, 'a', sizeof(text));
		memcpy(text + sizes[i], "@b.example", 11);
		assert_int_equal(
		    jid_parse(text, strlen(text), &j) == 0, sizes[i] <= 1023);
		jid_clear(&j);
		snprintf(text, sizeof(text), "a@b.example/");
		memset(text + 12, 'r', sizes[i]);
		text[12 + sizes[i]] = '\0';
		assert_int_equal(
		    jid_parse(text, strlen(text), &j) == 0, sizes[i] <= 1023);
		jid_clear(&j);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepares_each_part_by_its_profile),
		cmocka_unit_test(prepares_passwords),
		cmocka_unit_test(preparing_twice_changes_nothing),
		cmocka_unit_test(gives_the_parts),
		cmocka_unit_test(bounds_each_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
