/*
 * Chains and what a service is given: put in order, verified, explained.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/pki.h"
#include "common/xmalloc.h"
#include "tests/lib/certs.h"

#define DAY 86400

static struct certs_who *root, *inter, *leaf, *stranger, *direct;

static int
setup(void **state)
{
	(void)state;
	root = certs_make(&(struct certs_spec){ .cn = "Root", .ca = true });
	inter = certs_make(
	    &(struct certs_spec){ .cn = "Inter", .ca = true, .issuer = root });
	leaf = certs_make(&(struct certs_spec){ .cn = "cb1.tptac9.com",
	    .san = "DNS:tptac9.com,DNS:cb1.tptac9.com",
	    .eku = "serverAuth,clientAuth",
	    .issuer = inter });
	direct = certs_make(&(struct certs_spec){
	    .cn = "d", .san = "DNS:tptac9.com", .issuer = root });
	stranger =
	    certs_make(&(struct certs_spec){ .cn = "Stranger", .ca = true });
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	certs_free_all();
	return 0;
}

/* One call of the check, with the lines as text: "+" and "-" before each. */
struct trial {
	const char *key, *cert, *bundle, *domain;
	bool ok;
	char *said;
	struct pki_service out;
};

static struct pki_file
file_of(const char *name, const char *text)
{
	return (struct pki_file){ name, text, text != NULL ? strlen(text) : 0 };
}

static void
try_at(struct trial *t, int64_t now)
{
	struct pki_service_files files = {
		.key = file_of("x.key", t->key),
		.cert = file_of("x.crt", t->cert),
		.bundle = file_of("x.pem", t->bundle),
		.domain = t->domain,
		.now = now,
	};
	struct buf said = { 0 };

	t->ok = pki_check_service(&files, &t->out);
	for (size_t i = 0; i < t->out.lines.count; i++)
		buf_addf(&said, "%c%s\n", t->out.lines.line[i].ok ? '+' : '-',
		    t->out.lines.line[i].text);
	buf_str(&said);
	t->said = buf_steal_str(&said);
}

static void
done(struct trial *t)
{
	free(t->said);
	pki_service_clear(&t->out);
}

static char *
joined(const char *a, const char *b, const char *c)
{
	char *text;

	xasprintf(&text, "%s%s%s", a, b, c);
	return text;
}

#define OK_LINES                                                               \
	"+Key and certificate pair match\n"                                    \
	"+Certificate covers domain tptac9.com\n"                              \
	"+Certificate valid until 2028-01-15\n"

static void
accepts_an_ordered_bundle(void **state)
{
	char *bundle = joined(inter->cert_pem, root->cert_pem, "");
	struct trial t = { .key = leaf->key_pem,
		.cert = leaf->cert_pem,
		.bundle = bundle,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_string_equal(
	    t.said, OK_LINES "+Certificate chain complete up to \"CN=Root\"\n");
	assert_true(t.ok);
	assert_string_equal(t.out.key, leaf->key_pem);
	assert_string_equal(t.out.cert, leaf->cert_pem);
	assert_string_equal(t.out.bundle, bundle);
	done(&t);
	free(bundle);
}

static void
puts_a_bundle_in_order(void **state)
{
	char *bundle =
	    joined(root->cert_pem, stranger->cert_pem, inter->cert_pem);
	char *wanted = joined(inter->cert_pem, root->cert_pem, "");
	struct trial t = { .key = leaf->key_pem,
		.cert = leaf->cert_pem,
		.bundle = bundle,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_string_equal(t.said,
	    OK_LINES "+Bundle put in order: \"CN=Inter\", \"CN=Root\"\n"
		     "+Certificate chain complete up to \"CN=Root\"\n");
	assert_string_equal(t.out.bundle, wanted);
	done(&t);
	free(bundle);
	free(wanted);
}

static void
finds_the_leaf_in_a_full_chain_file(void **state)
{
	char *chain = joined(root->cert_pem, inter->cert_pem, leaf->cert_pem);
	struct trial t = { .key = leaf->key_pem,
		.cert = chain,
		.bundle = NULL,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_true(t.ok);
	assert_string_equal(t.out.cert, leaf->cert_pem);
	done(&t);
	free(chain);
}

static void
names_the_missing_issuer(void **state)
{
	struct trial t = { .key = leaf->key_pem,
		.cert = leaf->cert_pem,
		.bundle = root->cert_pem,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_false(t.ok);
	assert_non_null(strstr(
	    t.said, "-bundle incomplete, issuer \"CN=Inter\" missing\n"));
	assert_null(t.out.key);
	done(&t);

	t.bundle = inter->cert_pem;
	try_at(&t, CERTS_NOW);
	assert_non_null(
	    strstr(t.said, "-bundle incomplete, issuer \"CN=Root\" missing\n"));
	done(&t);
}

static void
says_what_peers_must_know_without_a_bundle(void **state)
{
	struct trial t = { .key = direct->key_pem,
		.cert = direct->cert_pem,
		.bundle = NULL,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_true(t.ok);
	assert_string_equal(t.said,
	    OK_LINES "+No bundle given: whoever connects must know the issuer "
		     "\"CN=Root\"\n");
	assert_string_equal(t.out.bundle, "");
	done(&t);
}

static void
accepts_a_self_signed_certificate(void **state)
{
	struct certs_who *self = certs_make(
	    &(struct certs_spec){ .cn = "x", .san = "DNS:tptac9.com" });
	struct trial t = { .key = self->key_pem,
		.cert = self->cert_pem,
		.bundle = NULL,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_true(t.ok);
	assert_string_equal(t.said, OK_LINES "+Certificate is self-signed\n");
	done(&t);
}

static void
checks_names_only_once_there_is_a_domain(void **state)
{
	struct trial t = { .key = direct->key_pem,
		.cert = direct->cert_pem,
		.bundle = root->cert_pem,
		.domain = NULL };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_true(t.ok);
	assert_non_null(strstr(t.said, "+No domain set yet"));
	done(&t);

	t.domain = "example.org";
	try_at(&t, CERTS_NOW);
	assert_false(t.ok);
	assert_non_null(strstr(t.said,
	    "-x.crt does not cover domain example.org (it names tptac9.com): "
	    "make one with subjectAltName:example.org,...\n"));
	done(&t);
}

static void
refuses_the_key_of_another(void **state)
{
	struct trial t = { .key = root->key_pem,
		.cert = leaf->cert_pem,
		.bundle = NULL,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_string_equal(t.said,
	    "-Key and certificate do not match: x.key is not the key of "
	    "x.crt\n");
	done(&t);
}

static void
refuses_files_that_are_something_else(void **state)
{
	struct trial t = { .key = leaf->cert_pem,
		.cert = leaf->key_pem,
		.bundle = "hello",
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_string_equal(t.said,
	    "-x.key holds no private key: it is a certificate\n"
	    "-x.crt holds no certificate: it is a private key\n"
	    "-x.pem holds no certificate\n");
	done(&t);
}

static void
minds_the_dates(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){ .cn = "x",
	    .san = "DNS:tptac9.com",
	    .from = CERTS_NOW,
	    .to = CERTS_NOW + 40 * DAY,
	    .issuer = root });
	struct trial t = { .key = who->key_pem,
		.cert = who->cert_pem,
		.bundle = root->cert_pem,
		.domain = "tptac9.com" };
	static const struct {
		int64_t at;
		bool ok;
		const char *said;
	} rows[] = {
		{ CERTS_NOW - 1, false,
		    "-x.crt is not valid before "
		    "2027-01-15: check this node's clock" },
		{ CERTS_NOW, true, "+Certificate valid until 2027-02-24\n" },
		{ CERTS_NOW + 11 * DAY, true,
		    "+Certificate valid until 2027-02-24: renew it, 29 days "
		    "remain\n" },
		{ CERTS_NOW + 40 * DAY - 1, true, "0 days remain" },
		{ CERTS_NOW + 40 * DAY, false,
		    "-x.crt expired on 2027-02-24\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		try_at(&t, rows[i].at);
		assert_int_equal(t.ok, rows[i].ok);
		if (strstr(t.said, rows[i].said) == NULL)
			fail_msg("%s", t.said);
		done(&t);
	}
}

static void
refuses_an_expired_issuer(void **state)
{
	struct certs_who *old = certs_make(&(struct certs_spec){
	    .cn = "Old", .ca = true, .to = CERTS_NOW - DAY });
	struct certs_who *who = certs_make(&(struct certs_spec){
	    .cn = "x", .san = "DNS:tptac9.com", .issuer = old });
	struct trial t = { .key = who->key_pem,
		.cert = who->cert_pem,
		.bundle = old->cert_pem,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_non_null(strstr(
	    t.said, "-certificate \"CN=Old\": certificate has expired\n"));
	done(&t);
}

static void
refuses_what_is_not_for_servers(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){ .cn = "x",
	    .san = "DNS:tptac9.com",
	    .eku = "clientAuth",
	    .issuer = root });
	struct trial t = { .key = who->key_pem,
		.cert = who->cert_pem,
		.bundle = root->cert_pem,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_false(t.ok);
	assert_non_null(strstr(t.said, "-x.crt is not for servers"));
	done(&t);
}

static void
refuses_an_issuer_that_is_no_ca(void **state)
{
	struct certs_who *fake =
	    certs_make(&(struct certs_spec){ .cn = "No CA", .issuer = root });
	struct certs_who *who = certs_make(&(struct certs_spec){
	    .cn = "x", .san = "DNS:tptac9.com", .issuer = fake });
	char *bundle = joined(fake->cert_pem, root->cert_pem, "");
	struct trial t = { .key = who->key_pem,
		.cert = who->cert_pem,
		.bundle = bundle,
		.domain = "tptac9.com" };

	(void)state;
	try_at(&t, CERTS_NOW);
	assert_false(t.ok);
	done(&t);
	free(bundle);
}

static void
refuses_weak_and_unusual_keys(void **state)
{
	static const struct {
		const char *type;
		const char *said;
	} rows[] = {
		{ "rsa", "-x.key: RSA 1024 is too weak" },
		{ "ed25519",
		    "-x.key: a key of type ED25519 256 is not "
		    "supported: use ECDSA or RSA" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY *key = i == 0
		    ? EVP_RSA_gen(1024)
		    : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type);
		struct certs_who *who =
		    certs_make(&(struct certs_spec){ .cn = "x", .key = key });
		struct trial t = { .key = who->key_pem, .cert = who->cert_pem };

		try_at(&t, CERTS_NOW);
		assert_false(t.ok);
		assert_non_null(strstr(t.said, rows[i].said));
		done(&t);
		EVP_PKEY_free(key);
	}
}

/* Two CAs that certified each other: a search must end. */
static void
ends_in_a_circle_of_issuers(void **state)
{
	struct certs_who *a, *b, *a_by_b, *who;
	struct pki_certs pool = { 0 }, chain = { 0 };

	(void)state;
	a = certs_make(&(struct certs_spec){ .cn = "A", .ca = true });
	b = certs_make(
	    &(struct certs_spec){ .cn = "B", .ca = true, .issuer = a });
	a_by_b = certs_make(&(struct certs_spec){
	    .cn = "A", .ca = true, .issuer = b, .key = a->key });
	who = certs_make(&(struct certs_spec){ .cn = "x", .issuer = a });
	pki_certs_add(&pool, b->cert);
	pki_certs_add(&pool, a_by_b->cert);
	assert_false(pki_chain(who->cert, &pool, &chain));
	assert_int_equal(chain.count, 3);
	pki_certs_clear(&chain);
	pki_certs_clear(&pool);
}

static void
prefers_the_renewed_issuer(void **state)
{
	struct certs_who *renewed =
	    certs_make(&(struct certs_spec){ .cn = "Root",
		.ca = true,
		.key = root->key,
		.to = CERTS_NOW + 4000 * (int64_t)DAY });
	struct pki_certs pool = { 0 }, chain = { 0 };

	(void)state;
	pki_certs_add(&pool, root->cert);
	pki_certs_add(&pool, renewed->cert);
	assert_true(pki_chain(direct->cert, &pool, &chain));
	assert_int_equal(chain.count, 2);
	assert_true(pki_equal(chain.cert[1], renewed->cert));
	pki_certs_clear(&chain);
	pki_certs_clear(&pool);
}

static int
trust(const struct certs_who *in, const struct certs_who *who,
    const struct certs_who *sent, const char *host, struct error *e)
{
	struct pki_certs bundle = { 0 }, rest = { 0 };
	struct pki_peer peer = { .cert = who->cert,
		.sent = &rest,
		.domain = "tptac9.com",
		.host = host,
		.address = "10.0.0.1" };
	int rc;

	pki_certs_add(&bundle, in->cert);
	if (sent != NULL)
		pki_certs_add(&rest, sent->cert);
	rc = pki_trust_peer(&bundle, &peer, e);
	pki_certs_clear(&bundle);
	pki_certs_clear(&rest);
	return rc;
}

static void
trusts_a_listed_certificate_whatever_its_names(void **state)
{
	struct certs_who *old = certs_make(&(struct certs_spec){
	    .cn = "old", .to = CERTS_NOW - DAY, .issuer = inter });

	(void)state;
	assert_int_equal(trust(old, old, NULL, "cb9.tptac9.com", NULL), 0);
}

static void
trusts_a_chain_that_names_domain_and_host(void **state)
{
	struct certs_who *by_address = certs_make(&(struct certs_spec){
	    .san = "DNS:tptac9.com,IP:10.0.0.1", .issuer = inter });
	struct error e;

	(void)state;
	if (trust(root, leaf, inter, "cb1.tptac9.com", &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(trust(inter, leaf, NULL, "cb1.tptac9.com", &e), 0);
	if (trust(inter, by_address, NULL, NULL, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(
	    trust(root, leaf, inter, "cb2.tptac9.com", &e), RES_DENIED);
	assert_string_equal(
	    e.text, "certificate does not name the peer cb2.tptac9.com");
	assert_int_equal(
	    trust(root, inter, NULL, "cb1.tptac9.com", &e), RES_DENIED);
	assert_string_equal(
	    e.text, "certificate does not name the domain tptac9.com");
	assert_int_equal(
	    trust(stranger, leaf, inter, "cb1.tptac9.com", &e), RES_DENIED);
	assert_string_equal(e.text,
	    "certificate \"CN=cb1.tptac9.com\" is not in the cluster trust "
	    "bundle, nor issued by one that is: issuer \"CN=Root\" missing");
	assert_int_equal(
	    trust(root, leaf, NULL, "cb1.tptac9.com", &e), RES_DENIED);
	/* The host name alone, as systems often have it. */
	assert_int_equal(trust(root, leaf, inter, "cb1", &e), 0);
	assert_int_equal(trust(root, leaf, inter, "cb2", &e), RES_DENIED);
	assert_int_equal(trust(root, leaf, inter, "cb1.", &e), RES_DENIED);
}

static void
trusts_a_chain_of_whom_is_not_known_yet(void **state)
{
	struct pki_certs bundle = { 0 }, rest = { 0 };
	struct pki_peer peer = { .cert = leaf->cert,
		.sent = &rest,
		.domain = "tptac9.com",
		.unknown = true };
	struct error e;

	(void)state;
	pki_certs_add(&bundle, root->cert);
	pki_certs_add(&rest, inter->cert);
	assert_int_equal(pki_trust_peer(&bundle, &peer, &e), 0);
	peer.domain = "example.com";
	assert_int_equal(pki_trust_peer(&bundle, &peer, &e), RES_DENIED);
	peer.domain = NULL;
	assert_int_equal(pki_trust_peer(&bundle, &peer, &e), RES_DENIED);
	assert_non_null(strstr(e.text, "no domain is set"));
	/* A listed one needs no domain. */
	pki_certs_add(&bundle, leaf->cert);
	assert_int_equal(pki_trust_peer(&bundle, &peer, &e), 0);
	pki_certs_clear(&bundle);
	pki_certs_clear(&rest);
}

static void
checks_a_trust_bundle(void **state)
{
	char *text = joined(leaf->cert_pem, root->cert_pem, "text");
	struct pki_file file = file_of("t.crt", text);
	struct pki_lines lines = { 0 };
	char *pem, *wanted = joined(leaf->cert_pem, root->cert_pem, "");

	(void)state;
	assert_true(pki_check_trust(
	    &file, CERTS_NOW + 4000 * (int64_t)DAY, &lines, &pem));
	assert_string_equal(pem, wanted);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.line[0].text,
	    "Trusted: \"CN=cb1.tptac9.com\", EXPIRED on 2028-01-15");
	free(pem);
	pki_lines_clear(&lines);

	file = file_of("t.crt", leaf->key_pem);
	assert_false(pki_check_trust(&file, CERTS_NOW, &lines, &pem));
	assert_null(pem);
	assert_string_equal(lines.line[0].text,
	    "t.crt holds no certificate: it is a private key");
	pki_lines_clear(&lines);
	free(text);
	free(wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_an_ordered_bundle),
		cmocka_unit_test(puts_a_bundle_in_order),
		cmocka_unit_test(finds_the_leaf_in_a_full_chain_file),
		cmocka_unit_test(names_the_missing_issuer),
		cmocka_unit_test(says_what_peers_must_know_without_a_bundle),
		cmocka_unit_test(accepts_a_self_signed_certificate),
		cmocka_unit_test(checks_names_only_once_there_is_a_domain),
		cmocka_unit_test(refuses_the_key_of_another),
		cmocka_unit_test(refuses_files_that_are_something_else),
		cmocka_unit_test(minds_the_dates),
		cmocka_unit_test(refuses_an_expired_issuer),
		cmocka_unit_test(refuses_what_is_not_for_servers),
		cmocka_unit_test(refuses_an_issuer_that_is_no_ca),
		cmocka_unit_test(refuses_weak_and_unusual_keys),
		cmocka_unit_test(ends_in_a_circle_of_issuers),
		cmocka_unit_test(prefers_the_renewed_issuer),
		cmocka_unit_test(
		    trusts_a_listed_certificate_whatever_its_names),
		cmocka_unit_test(trusts_a_chain_that_names_domain_and_host),
		cmocka_unit_test(trusts_a_chain_of_whom_is_not_known_yet),
		cmocka_unit_test(checks_a_trust_bundle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
