/*
 * The facts of one certificate or key: who, until when, of what strength, what
 * for, and the text that shows it all.
 */
#include "common/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/xmalloc.h"

/* The bytes of a memory BIO as text; frees the BIO. */
static char *
bio_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = xstrndup(len > 0 ? data : "", len > 0 ? (size_t)len : 0);

	BIO_free(bio);
	return text;
}

static char *
name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());

	/* On one line, control characters escaped, other letters as they are.
	 */
	X509_NAME_print_ex(bio, name, 0,
	    XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB & ~XN_FLAG_SPC_EQ);
	return bio_text(bio);
}

char *
pki_subject(const struct x509_st *cert)
{
	return name_text(X509_get_subject_name(cert));
}

char *
pki_issuer(const struct x509_st *cert)
{
	return name_text(X509_get_issuer_name(cert));
}

static int64_t
unix_time(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t
pki_not_before(const struct x509_st *cert)
{
	return unix_time(X509_get0_notBefore(cert));
}

int64_t
pki_not_after(const struct x509_st *cert)
{
	return unix_time(X509_get0_notAfter(cert));
}

void
pki_day(int64_t when, char out[32])
{
	clock_stamp(when, out);
	out[strcspn(out, "T")] = '\0';
}

bool
pki_self_signed(const struct x509_st *cert)
{
	X509 *copy = X509_dup(cert); /* OpenSSL caches in what it looks at */
	bool yes = copy != NULL && X509_self_signed(copy, 1) == 1;

	X509_free(copy);
	ERR_clear_error();
	return yes;
}

bool
pki_is_ca(struct x509_st *cert)
{
	bool yes = X509_check_ca(cert) > 0;

	ERR_clear_error();
	return yes;
}

bool
pki_for_servers(struct x509_st *cert)
{
	bool yes = X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0) == 1;

	ERR_clear_error();
	return yes;
}

bool
pki_equal(const struct x509_st *a, const struct x509_st *b)
{
	return X509_cmp(a, b) == 0;
}

bool
pki_match(const struct evp_pkey_st *key, const struct x509_st *cert)
{
	const EVP_PKEY *public = X509_get0_pubkey(cert);
	bool yes = public != NULL && EVP_PKEY_eq(public, key) == 1;

	ERR_clear_error();
	return yes;
}

bool
pki_same_key(const struct x509_st *a, const struct x509_st *b)
{
	const EVP_PKEY *key = X509_get0_pubkey(a);

	return key != NULL && pki_match(key, b);
}

void
pki_fingerprint(const struct x509_st *cert, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
		len = 0;
	crypto_hex(digest, len, out);
}

void
pki_key_text(const struct evp_pkey_st *key, char out[32])
{
	char group[24] = "";

	if (EVP_PKEY_is_a(key, "EC")) {
		EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
		snprintf(out, 32, "ECDSA %s",
		    strcmp(group, "prime256v1") == 0      ? "P-256"
			: strcmp(group, "secp384r1") == 0 ? "P-384"
			: strcmp(group, "secp521r1") == 0 ? "P-521"
							  : group);
	} else {
		const char *type = EVP_PKEY_get0_type_name(key);

		snprintf(out, 32, "%.16s %d", type != NULL ? type : "unknown",
		    EVP_PKEY_get_bits(key));
	}
	ERR_clear_error();
}

void
pki_cert_key_text(const struct x509_st *cert, char out[32])
{
	const EVP_PKEY *key = X509_get0_pubkey(cert);

	if (key != NULL)
		pki_key_text(key, out);
	else
		snprintf(out, 32, "unknown");
	ERR_clear_error();
}

void
pki_dump(const struct pki_content *c, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	/* Of a key the public part only: what is shown is logged somewhere. */
	if (c->key != NULL)
		EVP_PKEY_print_public(bio, c->key, 0, NULL);
	if (c->csr != NULL)
		X509_REQ_print(bio, c->csr);
	for (size_t i = 0; i < c->certs.count; i++)
		X509_print(bio, c->certs.cert[i]);
	text = bio_text(bio);
	buf_add_str(out, text);
	free(text);
	ERR_clear_error();
}
