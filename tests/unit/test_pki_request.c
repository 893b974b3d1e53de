/*
 * New keys, requests and certificates: what is asked for is in them, and they
 * hold together as a service and a CA need it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/pki.h"
#include "tests/lib/certs.h"

static char *sans[] = { (char[]){ "tptac9.com" }, (char[]){ "CB1.tptac9.com" },
	(char[]){ "10.0.0.1" } };
static const struct pki_subject subject = { .c = "BE",
	.o = "Organisation with spaces",
	.cn = "cb1.tptac9.com",
	.email = "a@b.c",
	.san = sans,
	.san_count = 3 };

static struct evp_pkey_st *key;

static int
setup(void **state)
{
	(void)state;
	key = pki_key_new(PKI_EC_P256);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_key_free(key);
	certs_free_all();
	return 0;
}

static struct pki_file
file_of(struct buf *b)
{
	buf_str(b);
	return (struct pki_file){ "f", b->data, b->len };
}

static char *
dump(struct buf *pem)
{
	struct pki_file file = file_of(pem);
	struct pki_content c;
	struct buf out = { 0 };

	assert_int_equal(pki_read(&file, &c, NULL), 0);
	pki_dump(&c, &out);
	pki_content_clear(&c);
	buf_str(&out);
	return buf_steal_str(&out);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void
makes_keys_of_each_type(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "p256", "ECDSA P-256" },
		{ "P384", "ECDSA P-384" },
		{ "rsa2048", "RSA 2048" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int type = pki_key_type_find(rows[i].name);
		struct evp_pkey_st *made = pki_key_new((enum pki_key_type)type);
		struct buf pem = { 0 };
		struct pki_file file;
		struct evp_pkey_st *again;
		char text[32];

		pki_key_text(made, text);
		assert_string_equal(text, rows[i].text);
		pki_key_pem(made, &pem);
		file = file_of(&pem);
		again = pki_read_key(&file, NULL);
		assert_int_equal(EVP_PKEY_eq(made, again), 1);
		buf_wipe(&pem);
		pki_key_free(made);
		pki_key_free(again);
	}
	assert_int_equal(pki_key_type_find("rsa1024"), -1);
	assert_int_equal(pki_key_type_find(""), -1);
}

static void
makes_a_request(void **state)
{
	struct buf pem = { 0 };
	char *text;

	(void)state;
	assert_int_equal(pki_csr_new(&subject, key, &pem, NULL), 0);
	text = dump(&pem);
	assert_has(text,
	    "Subject: C=BE, O=Organisation with spaces, "
	    "CN=cb1.tptac9.com/emailAddress=a@b.c");
	assert_has(
	    text, "DNS:tptac9.com, DNS:cb1.tptac9.com, IP Address:10.0.0.1");
	assert_has(text,
	    "TLS Web Server Authentication, TLS Web Client Authentication");
	free(text);
	buf_clear(&pem);
}

static void
makes_a_self_signed_certificate_that_serves(void **state)
{
	struct pki_signer self = { .key = key, .now = CERTS_NOW, .days = 90 };
	struct buf pem = { 0 }, key_pem = { 0 };
	struct pki_service_files files = { .domain = "tptac9.com",
		.now = CERTS_NOW + 1 };
	struct pki_service out;

	(void)state;
	assert_int_equal(pki_selfsigned(&subject, &self, &pem, NULL), 0);
	pki_key_pem(key, &key_pem);
	files.key = file_of(&key_pem);
	files.cert = file_of(&pem);
	assert_true(pki_check_service(&files, &out));
	assert_int_equal(out.not_after, CERTS_NOW + 90 * 86400);
	pki_service_clear(&out);
	buf_wipe(&key_pem);
	buf_clear(&pem);
}

/* Gives the signed certificate, or NULL. */
static struct x509_st *
sign(const struct pki_signer *ca, struct error *e)
{
	struct buf csr = { 0 }, pem = { 0 };
	struct pki_file file;
	struct X509_req_st *request;
	struct pki_certs certs = { 0 };
	struct x509_st *cert = NULL;

	assert_int_equal(pki_csr_new(&subject, key, &csr, NULL), 0);
	file = file_of(&csr);
	request = pki_read_csr(&file, NULL);
	if (pki_sign(ca, request, &pem, e) == 0) {
		file = file_of(&pem);
		assert_int_equal(pki_read_certs(&file, &certs, NULL), 0);
		cert = certs.cert[0];
		X509_up_ref(cert);
	}
	pki_csr_free(request);
	pki_certs_clear(&certs);
	buf_clear(&csr);
	buf_clear(&pem);
	return cert;
}

static void
signs_what_a_chain_accepts(void **state)
{
	struct certs_who *ca =
	    certs_make(&(struct certs_spec){ .cn = "CA", .ca = true });
	struct pki_signer signer = { ca->cert, ca->key, CERTS_NOW, 90 };
	struct pki_certs trusted = { &ca->cert, 1 };
	struct pki_verify how = { .trusted = &trusted, .now = CERTS_NOW };
	struct x509_st *cert = sign(&signer, NULL);
	struct error e;

	(void)state;
	assert_int_equal(pki_verify(&how, cert, &e), 0);
	assert_true(pki_covers_domain(cert, "tptac9.com"));
	assert_true(pki_covers_host(cert, "10.0.0.1"));
	assert_false(pki_is_ca(cert));
	assert_true(pki_match(key, cert));
	assert_int_equal(pki_not_after(cert), CERTS_NOW + 90 * 86400);
	X509_free(cert);

	/* Never longer than the CA itself. */
	signer.days = 4000;
	cert = sign(&signer, NULL);
	assert_int_equal(pki_not_after(cert), pki_not_after(ca->cert));
	X509_free(cert);
}

static void
refuses_to_sign_with_what_is_no_ca(void **state)
{
	struct certs_who *ca =
	    certs_make(&(struct certs_spec){ .cn = "CA", .ca = true });
	struct certs_who *plain = certs_make(&(struct certs_spec){ .cn = "x" });
	struct pki_signer rows[] = {
		{ plain->cert, plain->key, CERTS_NOW, 90 },
		{ ca->cert, plain->key, CERTS_NOW, 90 },
		{ ca->cert, ca->key, pki_not_after(ca->cert), 90 },
	};
	static const char *const said[] = {
		"the signing certificate is not one of a CA",
		"key and certificate of the CA do not match",
		"the CA's certificate has expired",
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_null(sign(&rows[i], &e));
		assert_string_equal(e.text, said[i]);
	}
}

static void
refuses_bad_subjects(void **state)
{
	char bad_san[] = "a b", injected[] = "a,IP:1.2.3.4", empty[] = "";
	char *const list[] = { bad_san, injected, empty };
	char long_cn[80];
	struct pki_subject s = { .cn = long_cn };
	struct buf pem = { 0 };
	struct error e;

	(void)state;
	memset(long_cn, 'a', sizeof(long_cn));
	long_cn[65] = '\0';
	assert_int_equal(pki_csr_new(&s, key, &pem, &e), RES_INVALID);
	s = (struct pki_subject){ .cn = "x", .c = "BEL" };
	assert_int_equal(pki_csr_new(&s, key, &pem, &e), RES_INVALID);
	assert_string_equal(e.text, "C:BEL is not valid: two letters");
	for (size_t i = 0; i < 3; i++) {
		char *one = list[i];

		s = (struct pki_subject){
			.cn = "x", .san = &one, .san_count = 1
		};
		assert_int_equal(pki_csr_new(&s, key, &pem, &e), RES_INVALID);
	}
	assert_int_equal(pem.len, 0);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
unlocks_keys_of_every_form(void **state)
{
	char pass[] = "p\xc3\xa9ss phrase";

	(void)state;
	for (int form = 0; form < 3; form++) {
		BIO *bio = BIO_new(BIO_s_mem());
		struct buf pem = { 0 };
		struct pki_file file = { "k", NULL, 0 }, opened;
		struct evp_pkey_st *again;
		struct error e;
		char *data;

		if (form == 0)
			PEM_write_bio_PKCS8PrivateKey(bio, key,
			    EVP_aes_128_cbc(), pass, (int)strlen(pass), NULL,
			    NULL);
		else if (form == 1)
			PEM_write_bio_PrivateKey_traditional(bio, key,
			    EVP_aes_128_cbc(), (unsigned char *)pass,
			    (int)strlen(pass), NULL, NULL);
		else
			i2d_PKCS8PrivateKey_bio(bio, key, EVP_aes_128_cbc(),
			    pass, (int)strlen(pass), NULL, NULL);
		file.len = (size_t)BIO_get_mem_data(bio, &data);
		file.data = data;
		assert_int_equal(
		    pki_unlock(&file, "wrong", &pem, &e), RES_DENIED);
		assert_string_equal(e.text, "wrong pass-phrase for k");
		assert_int_equal(pki_unlock(&file, "", &pem, &e), RES_DENIED);
		assert_int_equal(pki_unlock(&file, pass, &pem, NULL), 0);
		opened = file_of(&pem);
		again = pki_read_key(&opened, NULL);
		assert_int_equal(EVP_PKEY_eq(key, again), 1);
		assert_int_equal(pki_unlock(&opened, "x", &pem, &e), RES_STATE);
		pki_key_free(again);
		buf_wipe(&pem);
		BIO_free(bio);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_keys_of_each_type),
		cmocka_unit_test(makes_a_request),
		cmocka_unit_test(makes_a_self_signed_certificate_that_serves),
		cmocka_unit_test(signs_what_a_chain_accepts),
		cmocka_unit_test(refuses_to_sign_with_what_is_no_ca),
		cmocka_unit_test(refuses_bad_subjects),
		cmocka_unit_test(unlocks_keys_of_every_form),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
