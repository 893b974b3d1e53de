/*
 * What a file of the pki folder is: each kind in PEM and DER, with the line
 * ends and the surroundings that people's tools give it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "common/pki.h"
#include "common/xmalloc.h"
#include "tests/lib/certs.h"

static struct certs_who *leaf, *other;

static int
setup(void **state)
{
	(void)state;
	leaf = certs_make(&(struct certs_spec){ .cn = "a.example" });
	other = certs_make(&(struct certs_spec){ .cn = "b.example" });
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	certs_free_all();
	return 0;
}

static struct pki_file
file_of(const char *text)
{
	return (struct pki_file){ "f", text, strlen(text) };
}

static enum pki_kind
kind_of(const void *data, size_t len)
{
	struct pki_file file = { "f", data, len };
	struct pki_content c;
	enum pki_kind kind;

	assert_int_equal(pki_read(&file, &c, NULL), 0);
	kind = c.kind;
	pki_content_clear(&c);
	assert_int_equal(ERR_peek_error(), 0);
	return kind;
}

static size_t
certs_in(const char *text)
{
	struct pki_file file = file_of(text);
	struct pki_certs certs;
	size_t count;

	assert_int_equal(pki_read_certs(&file, &certs, NULL), 0);
	count = certs.count;
	pki_certs_clear(&certs);
	return count;
}

/* The memory BIO's bytes are looked at as a kind; frees the BIO. */
static enum pki_kind
kind_in(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	enum pki_kind kind = kind_of(data, (size_t)len);

	BIO_free(bio);
	return kind;
}

static void
recognises_pem(void **state)
{
	BIO *bio;

	(void)state;
	assert_int_equal(
	    kind_of(leaf->cert_pem, strlen(leaf->cert_pem)), PKI_CERT);
	assert_int_equal(
	    kind_of(leaf->key_pem, strlen(leaf->key_pem)), PKI_KEY);

	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey_traditional(
	    bio, leaf->key, NULL, NULL, 0, NULL, NULL);
	assert_int_equal(kind_in(bio), PKI_KEY);

	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(bio, leaf->key);
	assert_int_equal(kind_in(bio), PKI_PUBLIC_KEY);
}

static void
recognises_der(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	i2d_X509_bio(bio, leaf->cert);
	assert_int_equal(kind_in(bio), PKI_CERT);

	bio = BIO_new(BIO_s_mem());
	i2d_PrivateKey_bio(bio, leaf->key);
	assert_int_equal(kind_in(bio), PKI_KEY);

	bio = BIO_new(BIO_s_mem());
	i2d_PKCS8PrivateKey_bio(bio, leaf->key, NULL, NULL, 0, NULL, NULL);
	assert_int_equal(kind_in(bio), PKI_KEY);

	bio = BIO_new(BIO_s_mem());
	i2d_PUBKEY_bio(bio, leaf->key);
	assert_int_equal(kind_in(bio), PKI_PUBLIC_KEY);
}

static void
recognises_der_with_a_line_end_behind(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	i2d_X509_bio(bio, leaf->cert);
	BIO_write(bio, "\r\n", 2);
	assert_int_equal(kind_in(bio), PKI_CERT);
}

static void
recognises_encrypted_keys(void **state)
{
	char pass[] = "secret";
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	PEM_write_bio_PKCS8PrivateKey(
	    bio, leaf->key, EVP_aes_128_cbc(), pass, 6, NULL, NULL);
	assert_int_equal(kind_in(bio), PKI_KEY_ENCRYPTED);

	/* The form with Proc-Type and DEK-Info. */
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey_traditional(bio, leaf->key, EVP_aes_128_cbc(),
	    (unsigned char *)pass, 6, NULL, NULL);
	assert_int_equal(kind_in(bio), PKI_KEY_ENCRYPTED);

	bio = BIO_new(BIO_s_mem());
	i2d_PKCS8PrivateKey_bio(
	    bio, leaf->key, EVP_aes_128_cbc(), pass, 6, NULL, NULL);
	assert_int_equal(kind_in(bio), PKI_KEY_ENCRYPTED);
}

static void
names_what_it_does_not_support(void **state)
{
	PKCS12 *p12 = PKCS12_create(
	    "x", "name", leaf->key, leaf->cert, NULL, 0, 0, 0, 0, 0);
	BIO *bio = BIO_new(BIO_s_mem());
	struct pki_certs certs;
	struct error e;
	struct pki_file file;
	char *data;

	(void)state;
	i2d_PKCS12_bio(bio, p12);
	file = (struct pki_file){ "x.p12", NULL, 0 };
	file.len = (size_t)BIO_get_mem_data(bio, &data);
	file.data = data;
	assert_int_equal(kind_of(file.data, file.len), PKI_PKCS12);
	assert_int_equal(pki_read_certs(&file, &certs, &e), RES_INVALID);
	assert_string_equal(e.text,
	    "x.p12 holds no certificate: it is a PKCS#12 file, not supported "
	    "here: export key and certificates as PEM (Base64) files");
	BIO_free(bio);
	PKCS12_free(p12);
}

static void
recognises_ssh_keys(void **state)
{
	static const struct {
		const char *text;
		enum pki_kind kind;
	} rows[] = {
		{ "ssh-rsa AAAAB3Nz admin@host\n", PKI_SSH_PUBLIC },
		{ "ssh-ed25519 AAAAC3Nz", PKI_SSH_PUBLIC },
		{ "ecdsa-sha2-nistp256 AAAAE2Vj", PKI_SSH_PUBLIC },
		{ "sk-ssh-ed25519@openssh.com AAAA", PKI_SSH_PUBLIC },
		{ "---- BEGIN SSH2 PUBLIC KEY ----\n", PKI_SSH_PUBLIC },
		{ "PuTTY-User-Key-File-3: ssh-ed25519\n", PKI_SSH_PRIVATE },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n"
		  "-----END OPENSSH PRIVATE KEY-----\n",
		    PKI_SSH_PRIVATE },
		{ "hello", PKI_NOTHING },
		{ "", PKI_NOTHING },
		{ "0", PKI_NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    kind_of(rows[i].text, strlen(rows[i].text)), rows[i].kind);
}

/* Replaces each "\n" of a PEM text; the caller frees. */
static char *
with_line_ends(const char *pem, const char *end)
{
	struct buf out = { 0 };

	for (const char *p = pem; *p != '\0'; p++) {
		if (*p == '\n')
			buf_add_str(&out, end);
		else
			buf_add(&out, p, 1);
	}
	buf_str(&out);
	return buf_steal_str(&out);
}

static void
takes_every_line_end(void **state)
{
	static const char *const ends[] = { "\n", "\r\n", "\r", " \r\n" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char *text = with_line_ends(leaf->cert_pem, ends[i]);

		assert_int_equal(certs_in(text), 1);
		free(text);
	}
}

static void
takes_what_surrounds_blocks(void **state)
{
	char *text;

	(void)state;
	/* No newline at the end, then a byte order mark, then plain text. */
	text = xstrndup(leaf->cert_pem, strlen(leaf->cert_pem) - 1);
	assert_int_equal(certs_in(text), 1);
	free(text);
	xasprintf(&text, "\xef\xbb\xbf%s", leaf->cert_pem);
	assert_int_equal(certs_in(text), 1);
	free(text);
	xasprintf(&text, "Bag Attributes\r\n  x: y\n%s\n\n# more\n%send",
	    leaf->cert_pem, other->cert_pem);
	assert_int_equal(certs_in(text), 2);
	free(text);
	/* Two files concatenated where the first had no final newline. */
	xasprintf(&text, "%.*s\n%s", (int)strlen(leaf->cert_pem) - 1,
	    leaf->cert_pem, other->cert_pem);
	assert_int_equal(certs_in(text), 2);
	free(text);
}

static void
joins_files_without_final_newline(void **state)
{
	char *text;

	(void)state;
	xasprintf(&text, "%.*s%s", (int)strlen(leaf->cert_pem) - 1,
	    leaf->cert_pem, other->cert_pem);
	assert_int_equal(certs_in(text), 2);
	free(text);
}

static void
reads_key_and_certificate_of_one_file(void **state)
{
	struct pki_content c;
	struct pki_file file;
	char *text;

	(void)state;
	xasprintf(&text, "%s%s", leaf->key_pem, leaf->cert_pem);
	file = file_of(text);
	assert_int_equal(pki_read(&file, &c, NULL), 0);
	assert_int_equal(c.kind, PKI_KEY);
	assert_non_null(c.key);
	assert_int_equal(c.certs.count, 1);
	assert_true(pki_match(c.key, c.certs.cert[0]));
	assert_false(pki_match(c.key, other->cert));
	pki_content_clear(&c);
	free(text);
}

static void
says_what_a_file_is_instead(void **state)
{
	struct pki_file file = { "abhiall.key", leaf->key_pem, 0 };
	struct pki_certs certs;
	struct error e;

	(void)state;
	file.len = strlen(leaf->key_pem);
	assert_int_equal(pki_read_certs(&file, &certs, &e), RES_INVALID);
	assert_string_equal(
	    e.text, "abhiall.key holds no certificate: it is a private key");
	file = (struct pki_file){ "x", "hello", 5 };
	assert_null(pki_read_key(&file, &e));
	assert_string_equal(e.text, "x holds no private key");
	file = (struct pki_file){ "x", "", 0 };
	assert_null(pki_read_csr(&file, &e));
	assert_string_equal(e.text, "x is empty");
}

static void
tells_to_unlock_an_encrypted_key(void **state)
{
	static const char text[] =
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
	    "-----END ENCRYPTED PRIVATE KEY-----\n";
	struct pki_file file = file_of(text);
	struct error e;

	(void)state;
	assert_null(pki_read_key(&file, &e));
	assert_string_equal(e.text,
	    "f holds no private key: it is an encrypted private key: run "
	    "'pki unlock' on it first");
}

static void
refuses_malformed_blocks(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n"
		  "-----END CERTIFICATE-----\n",
		    "f: block 1 (CERTIFICATE) is malformed" },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n"
		  "-----END PRIVATE KEY-----\n",
		    "f: block 1 (PRIVATE KEY) is malformed" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n",
		    "f: block 1 is malformed or cut off" },
		{ "-----BEGIN CERTIFICATE-----\n????\n"
		  "-----END CERTIFICATE-----\n",
		    "f: block 1 is malformed or cut off" },
		{ "-----BEGIN X-----\n-----END Y-----\n",
		    "f: block 1 is malformed or cut off" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pki_file file = file_of(rows[i].text);
		struct pki_content c;
		struct error e;

		assert_int_equal(pki_read(&file, &c, &e), RES_INVALID);
		assert_string_equal(e.text, rows[i].error);
		assert_int_equal(c.certs.count, 0);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static void
never_takes_a_part_for_the_whole(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *der;
	size_t len;

	(void)state;
	i2d_X509_bio(bio, leaf->cert);
	len = (size_t)BIO_get_mem_data(bio, &der);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(kind_of(der, n), PKI_NOTHING);
	BIO_free(bio);
	/* The text's last characters are "-----END CERTIFICATE-----\n". */
	for (size_t n = 0; n < strlen(leaf->cert_pem) - 1; n++) {
		struct pki_file file = { "f", leaf->cert_pem, n };
		struct pki_certs certs;

		assert_int_not_equal(pki_read_certs(&file, &certs, NULL), 0);
	}
}

static void
gives_der_as_pem(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf out = { 0 };
	struct pki_file file = { "f", NULL, 0 };
	struct error e;
	char *data;

	(void)state;
	i2d_X509_bio(bio, leaf->cert);
	file.len = (size_t)BIO_get_mem_data(bio, &data);
	file.data = data;
	assert_int_equal(pki_as_pem(&file, &out, NULL), 0);
	assert_string_equal(buf_str(&out), leaf->cert_pem);
	BIO_free(bio);
	buf_reset(&out);

	bio = BIO_new(BIO_s_mem());
	i2d_PrivateKey_bio(bio, leaf->key);
	file.len = (size_t)BIO_get_mem_data(bio, &data);
	file.data = data;
	assert_int_equal(pki_as_pem(&file, &out, NULL), 0);
	assert_string_equal(buf_str(&out), leaf->key_pem);
	BIO_free(bio);
	buf_clear(&out);

	file = file_of("ssh-rsa AAAA");
	assert_int_equal(pki_as_pem(&file, &out, &e), RES_INVALID);
	assert_string_equal(
	    e.text, "f holds no certificate: it is an SSH public key");
	file = file_of("neither");
	assert_int_equal(pki_as_pem(&file, &out, &e), RES_INVALID);
	assert_string_equal(e.text, "f holds no key or certificate");
}

static void
has_limits(void **state)
{
	struct buf many = { 0 };
	struct pki_content c;
	struct error e;
	struct pki_file file;
	char *large = xcalloc(1, PKI_FILE_MAX + 1);

	(void)state;
	file = (struct pki_file){ "f", large, PKI_FILE_MAX + 1 };
	assert_int_equal(pki_read(&file, &c, &e), RES_LIMIT);
	assert_string_equal(e.text, "f is larger than 1024 KiB");
	free(large);
	for (int i = 0; i < PKI_CERTS_MAX; i++)
		buf_add_str(&many, leaf->cert_pem);
	assert_int_equal(certs_in(buf_str(&many)), PKI_CERTS_MAX);
	buf_add_str(&many, leaf->cert_pem);
	file = file_of(buf_str(&many));
	assert_int_equal(pki_read(&file, &c, &e), RES_LIMIT);
	assert_string_equal(e.text, "f: more than 100 certificates");
	buf_clear(&many);
}

static void
tells_the_facts(void **state)
{
	char text[65], day[32], *subject;

	(void)state;
	subject = pki_subject(leaf->cert);
	assert_string_equal(subject, "CN=a.example");
	free(subject);
	pki_cert_key_text(leaf->cert, text);
	assert_string_equal(text, "ECDSA P-256");
	pki_day(pki_not_after(leaf->cert), day);
	assert_string_equal(day, "2028-01-15");
	pki_fingerprint(leaf->cert, text);
	assert_int_equal(strlen(text), 64);
	assert_true(pki_self_signed(leaf->cert));
	assert_true(pki_equal(leaf->cert, leaf->cert));
	assert_false(pki_equal(leaf->cert, other->cert));
}

static void
never_shows_a_private_key(void **state)
{
	struct pki_file file = file_of(leaf->key_pem);
	struct pki_content c;
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(pki_read(&file, &c, NULL), 0);
	pki_dump(&c, &out);
	assert_non_null(strstr(buf_str(&out), "Public-Key: (256 bit)"));
	assert_null(strstr(buf_str(&out), "priv"));
	buf_clear(&out);
	pki_content_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recognises_pem),
		cmocka_unit_test(recognises_der),
		cmocka_unit_test(recognises_der_with_a_line_end_behind),
		cmocka_unit_test(recognises_encrypted_keys),
		cmocka_unit_test(names_what_it_does_not_support),
		cmocka_unit_test(recognises_ssh_keys),
		cmocka_unit_test(takes_every_line_end),
		cmocka_unit_test(takes_what_surrounds_blocks),
		cmocka_unit_test(joins_files_without_final_newline),
		cmocka_unit_test(reads_key_and_certificate_of_one_file),
		cmocka_unit_test(says_what_a_file_is_instead),
		cmocka_unit_test(tells_to_unlock_an_encrypted_key),
		cmocka_unit_test(refuses_malformed_blocks),
		cmocka_unit_test(never_takes_a_part_for_the_whole),
		cmocka_unit_test(gives_der_as_pem),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(tells_the_facts),
		cmocka_unit_test(never_shows_a_private_key),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
