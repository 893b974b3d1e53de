/*
 * Certificates for tests, made with OpenSSL alone, so that what is tested
 * isn't used to test itself.
 */
#include "tests/lib/certs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/xmalloc.h"

#define YEAR ((int64_t)365 * 86400)

static struct certs_who *made[256];
static size_t made_count;

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	assert(ext != NULL);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

static char *
steal_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = xstrndup(data, (size_t)len);

	BIO_free(bio);
	return text;
}

static void
write_pem(struct certs_who *who)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, who->cert);
	who->cert_pem = steal_text(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, who->key, NULL, NULL, 0, NULL, NULL);
	who->key_pem = steal_text(bio);
}

struct certs_who *
certs_make(const struct certs_spec *spec)
{
	struct certs_who *who = xcalloc(1, sizeof(*who));
	const struct certs_who *issuer =
	    spec->issuer != NULL ? spec->issuer : who;
	X509_NAME *name;

	who->cert = X509_new();
	who->key = spec->key;
	if (who->key == NULL)
		who->key = EVP_EC_gen("P-256");
	else
		EVP_PKEY_up_ref(who->key);
	X509_set_version(who->cert, X509_VERSION_3);
	ASN1_INTEGER_set(
	    X509_get_serialNumber(who->cert), (long)made_count + 1);
	ASN1_TIME_set(X509_getm_notBefore(who->cert),
	    spec->from != 0 ? spec->from : CERTS_NOW - YEAR);
	ASN1_TIME_set(X509_getm_notAfter(who->cert),
	    spec->to != 0 ? spec->to : CERTS_NOW + YEAR);
	X509_set_pubkey(who->cert, who->key);
	name = X509_get_subject_name(who->cert);
	if (spec->cn != NULL)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		    (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_issuer_name(who->cert, X509_get_subject_name(issuer->cert));
	extend(who->cert, issuer->cert, NID_subject_key_identifier, "hash");
	extend(who->cert, issuer->cert, NID_basic_constraints,
	    spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	extend(who->cert, issuer->cert, NID_ext_key_usage, spec->eku);
	extend(who->cert, issuer->cert, NID_key_usage, spec->usage);
	extend(who->cert, issuer->cert, NID_subject_alt_name, spec->san);
	X509_sign(who->cert, issuer->key,
	    EVP_PKEY_is_a(issuer->key, "ED25519") ? NULL : EVP_sha256());
	write_pem(who);
	assert(made_count < sizeof(made) / sizeof(made[0]));
	made[made_count++] = who;
	return who;
}

void
certs_free_all(void)
{
	while (made_count > 0) {
		struct certs_who *who = made[--made_count];

		X509_free(who->cert);
		EVP_PKEY_free(who->key);
		free(who->cert_pem);
		free(who->key_pem);
		free(who);
	}
}
