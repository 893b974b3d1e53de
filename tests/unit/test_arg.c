/*
 * Argument types: what each takes and refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/arg.h"
#include "common/buf.h"

#define LABEL63                                                                \
	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static const struct {
	const char *type, *text;
	bool ok;
} rows[] = {
	{ "name", "cb1", true },
	{ "name", "CB_1-a", true },
	{ "name", LABEL63, true },
	{ "name", LABEL63 "a", false },
	{ "name", "", false },
	{ "name", "cb1.tptac9.com", false },
	{ "name", "none", false },
	{ "name", "-cb", false },
	{ "name", "cb 1", false },
	{ "name", "c\xc3\xa4", false },
	{ "account", "alice", true },
	{ "account", "alice.b+c", true },
	{ "account",
	    "al\xc3\xa4"
	    "ce",
	    true },
	{ "account", "", false },
	{ "account", "alice@tptac9.com", true },
	{ "account", "alice@", false },
	{ "account", "@tptac9.com", false },
	{ "account", "alice@a@b", false },
	{ "amount", "10", true },
	{ "amount", "10k", true },
	{ "amount", "10kk", false },
	{ "amount", "-1", false },
	{ "setting", "default", true },
	{ "setting", "x", false },
	{ "limit", "stanza", true },
	{ "limit", "stanzas-", false },
	{ "account", "al ice", false },
	{ "account", "a/b", false },
	{ "account", "a\x01", false },
	{ "account", "a\xff", false },
	{ "domain", "tptac9.com", true },
	{ "domain", "tptac9.com.", true },
	{ "domain", "localhost", true },
	{ "domain", "m\xc3\xbcnchen.de", true },
	{ "domain",
	    LABEL63 "." LABEL63 "." LABEL63 "."
		    "a",
	    true },
	{ "domain", LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, false },
	{ "domain", LABEL63 "a.com", false },
	{ "domain", "", false },
	{ "domain", ".", false },
	{ "domain", "a..b", false },
	{ "domain", ".a", false },
	{ "domain", "-a.com", false },
	{ "domain", "a-.com", false },
	{ "domain", "_xmpp.com", false },
	{ "domain", "a b", false },
	{ "domain", "a/b", false },
	{ "domain", "a\xff.com", false },
	{ "domain", "10.1.1.1", false },
	{ "domain", "1", false },
	{ "domain", "1.example", true },
	{ "dnsname", "_xmpp-client._tcp.tptac9.com", true },
	{ "dnsname", "a..b", false },
	{ "zone", ".", true },
	{ "zone", "tptac9.com", true },
	{ "zone", "..", false },
	{ "hostname", "cb1", true },
	{ "hostname", "cb1.tptac9.com", true },
	{ "hostname", "cb1.", false },
	{ "hostname", "cb_1", false },
	{ "hostname", "m\xc3\xbcnchen", false },
	{ "hostname", "1", true },
	{ "hostname", LABEL63 "a", false },
	{ "ip", "10.1.1.1", true },
	{ "ip", "2001:db8::1", true },
	{ "ip", "10.1.1.1:5300", true },
	{ "ip", "[2001:db8::1]:53", true },
	{ "ip", "cb1:53", false },
	{ "ip", "10.1.1.1:0", false },
	{ "ip", "10.1.1", false },
	{ "ip", "10.1.1.256", false },
	{ "ip", "cb1", false },
	{ "ip", "", false },
	{ "address", "10.1.1.1", true },
	{ "address", "10.1.1.1:5222", true },
	{ "address", "::1", true },
	{ "address", "[::1]", true },
	{ "address", "[2001:db8::1]:5222", true },
	{ "address", "cb1.tptac9.com", true },
	{ "address", "cb1.tptac9.com:5222", true },
	{ "address", "", false },
	{ "address", ":5222", false },
	{ "address", "cb1:", false },
	{ "address", "cb1:0", false },
	{ "address", "cb1:65536", false },
	{ "address", "cb1:x", false },
	{ "address", "10.1.1", false },
	{ "address", "10.1.1.1:5222:1", false },
	{ "address", "[::1", false },
	{ "address", "[::1]x", false },
	{ "address", "[cb1]:1", false },
	{ "address", "[", false },
	{ "address", "none", false },
	{ "server", "localhost:5223", true },
	{ "member", "10.1.1.1:5222", true },
	{ "listen", "a", true },
	{ "listen", "b:15222:15223", true },
	{ "listen", "e", false },
	{ "listen", "eth0", false },
	{ "interface", "lo", true },
	{ "interface", "A", true },
	{ "interface", "a:1", false },
	{ "file", "abhiall.key", true },
	{ "file", "my cert (1).cer", true },
	{ "file", "../x", false },
	{ "file", "/etc/passwd", false },
	{ "file", ".hidden", false },
	{ "file", "", false },
	{ "file", "a\nb", false },
	{ "key", "a/b", false },
	{ "bundle", "certallbundle.cer", true },
	{ "basename", "abhi-all_1", true },
	{ "basename", "abhiall.key", false },
	{ "basename", "-x", false },
	{ "basename", "", false },
	{ "attribute", "CN:cb1.tptac9.com", true },
	{ "attribute", "cn:cb1", true },
	{ "attribute", "subjectAltName:a,b", true },
	{ "attribute", "O:My Company", true },
	{ "attribute", "CN:", false },
	{ "attribute", "CN", false },
	{ "attribute", "XX:a", false },
	{ "attribute", "CN:a\tb", false },
	{ "seconds", "1", true },
	{ "seconds", "60", true },
	{ "seconds", "0", false },
	{ "seconds", "61", false },
	{ "seconds", "3s", false },
	{ "seconds", "-1", false },
	{ "seconds", "18446744073709551617", false },
	{ "rrtype", "SRV", true },
	{ "rrtype", "aaaa", true },
	{ "rrtype", "mx", false },
	{ "record", "x. IN A 10.1.1.1", true },
	{ "record", "x\n", false },
	{ "record", "", false },
};

static void
each_type_takes_what_it_should(void **state)
{
	const struct arg_type *type;
	struct error e;
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		type = arg_type_find(rows[i].type);
		assert_non_null(type);
		rc = type->check(rows[i].text, &e);
		if ((rc == 0) != rows[i].ok)
			fail_msg("%s: '%s'", rows[i].type, rows[i].text);
		assert_true(rc <= 0);
	}
}

static void
every_completion_passes_its_own_check(void **state)
{
	const struct arg_type *type;
	struct buf b = { 0 };

	(void)state;
	for (size_t n = 0; (type = arg_type_at(n)) != NULL; n++)
		for (size_t i = 0; type->words && type->words[i]; i++) {
			buf_reset(&b);
			/* "CN:" still needs its value. */
			buf_addf(&b, "%s%s", type->words[i],
			    strchr(type->words[i], ':') ? "x" : "");
			assert_int_equal(type->check(buf_str(&b), NULL), 0);
		}
	buf_clear(&b);
}

static void
types_are_sorted_and_described(void **state)
{
	const struct arg_type *type, *before = NULL;

	(void)state;
	for (size_t n = 0; (type = arg_type_at(n)) != NULL; n++) {
		assert_non_null(type->check);
		assert_true(strlen(type->what) > 0);
		if (before != NULL)
			assert_true(strcmp(before->name, type->name) < 0);
		before = type;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_takes_what_it_should),
		cmocka_unit_test(every_completion_passes_its_own_check),
		cmocka_unit_test(types_are_sorted_and_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
