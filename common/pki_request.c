/*
 * New keys, signing requests and certificates.
 */
#include "common/pki.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

static const struct {
	const char *name;
	const char *group; /* of an elliptic curve; or NULL: RSA */
	size_t bits;
} key_types[] = {
	[PKI_EC_P256] = { "p256", "P-256", 0 },
	[PKI_EC_P384] = { "p384", "P-384", 0 },
	[PKI_RSA_2048] = { "rsa2048", NULL, 2048 },
	[PKI_RSA_3072] = { "rsa3072", NULL, 3072 },
	[PKI_RSA_4096] = { "rsa4096", NULL, 4096 },
};

int
pki_key_type_find(const char *name)
{
	for (size_t i = 0; i < sizeof(key_types) / sizeof(key_types[0]); i++)
		if (str_equal_nocase(name, key_types[i].name))
			return (int)i;
	return -1;
}

struct evp_pkey_st *
pki_key_new(enum pki_key_type type)
{
	if (key_types[type].group != NULL)
		return EVP_EC_gen(key_types[type].group);
	return EVP_RSA_gen(key_types[type].bits);
}

/* Moves what was written into a buffer; the BIO is wiped and freed. */
static void
drain(BIO *bio, struct buf *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	if (len > 0) {
		buf_add(out, data, (size_t)len);
		crypto_wipe(data, (size_t)len);
	}
	BIO_free(bio);
	buf_str(out);
}

void
pki_key_pem(const struct evp_pkey_st *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	drain(bio, out);
}

/* A part of the subject that OpenSSL refuses is too long or has bad letters. */
static int
subject_name(
    const struct pki_subject *subject, X509_NAME *name, struct error *e)
{
	const struct {
		const char *attribute, *label, *value;
	} parts[] = {
		{ "C", "C", subject->c },
		{ "ST", "ST", subject->st },
		{ "L", "L", subject->l },
		{ "O", "O", subject->o },
		{ "OU", "OU", subject->ou },
		{ "CN", "CN", subject->cn },
		{ "emailAddress", "emailAddress", subject->email },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const unsigned char *value =
		    (const unsigned char *)parts[i].value;

		if (value == NULL)
			continue;
		if (X509_NAME_add_entry_by_txt(name, parts[i].attribute,
			MBSTRING_UTF8, value, -1, -1, 0) != 1) {
			ERR_clear_error();
			return error_set(e, RES_INVALID, "%s:%s is not valid%s",
			    parts[i].label, parts[i].value,
			    i == 0 ? ": two letters" : " or too long");
		}
	}
	return 0;
}

/* "DNS:a,IP:10.0.0.1"; only checked names may be given, since "," separates. */
static char *
san_text(const struct pki_subject *subject, struct error *e)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < subject->san_count; i++) {
		const char *san = subject->san[i];
		unsigned char bytes[16];
		char *name;

		if (i > 0)
			buf_add_str(&text, ",");
		if (inet_pton(AF_INET, san, bytes) == 1 ||
		    inet_pton(AF_INET6, san, bytes) == 1) {
			buf_addf(&text, "IP:%s", san);
			continue;
		}
		if ((name = pki_domain(san)) == NULL) {
			error_set(e, RES_INVALID,
			    "subjectAltName: '%s' is not a domain name or "
			    "address",
			    san);
			buf_clear(&text);
			return NULL;
		}
		buf_addf(&text, "DNS:%s", name);
		free(name);
	}
	buf_str(&text);
	return buf_steal_str(&text);
}

/* Extensions of all that is made here; NULL values are left out. */
static const struct extension {
	int nid;
	const char *csr, *self, *signed_by_ca;
} extensions[] = {
	{ NID_basic_constraints, NULL, "critical,CA:TRUE",
	    "critical,CA:FALSE" },
	{ NID_key_usage, "critical,digitalSignature,keyEncipherment",
	    "critical,digitalSignature,keyEncipherment,keyCertSign,cRLSign",
	    "critical,digitalSignature,keyEncipherment" },
	{ NID_ext_key_usage, "serverAuth,clientAuth", "serverAuth,clientAuth",
	    "serverAuth,clientAuth" },
	{ NID_subject_key_identifier, NULL, "hash", "hash" },
	{ NID_authority_key_identifier, NULL, NULL, "keyid" },
};

#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

/* Adds one to a certificate; an empty value (no names) adds nothing. */
static void
add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext;

	if (value == NULL || value[0] == '\0')
		return;
	ext = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

int
pki_csr_new(const struct pki_subject *subject, struct evp_pkey_st *key,
    struct buf *pem, struct error *e)
{
	X509_REQ *csr = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *exts = sk_X509_EXTENSION_new_null();
	char *san = NULL;
	BIO *bio = NULL;
	int rc = subject_name(subject, X509_REQ_get_subject_name(csr), e);

	if (rc != 0)
		goto out;
	if ((san = san_text(subject, e)) == NULL) {
		rc = RES_INVALID;
		goto out;
	}
	for (size_t i = 0; i < EXTENSIONS; i++)
		if (extensions[i].csr != NULL)
			sk_X509_EXTENSION_push(exts,
			    X509V3_EXT_nconf_nid(NULL, NULL, extensions[i].nid,
				extensions[i].csr));
	if (san[0] != '\0')
		sk_X509_EXTENSION_push(exts,
		    X509V3_EXT_nconf_nid(
			NULL, NULL, NID_subject_alt_name, san));
	X509_REQ_set_version(csr, 0);
	X509_REQ_set_pubkey(csr, key);
	X509_REQ_add_extensions(csr, exts);
	X509_REQ_sign(csr, key, EVP_sha256());
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509_REQ(bio, csr);
	drain(bio, pem);
out:
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	X509_REQ_free(csr);
	free(san);
	ERR_clear_error();
	return rc;
}

/* A certificate with serial number, dates, key; without names yet. */
static X509 *
bare_certificate(struct evp_pkey_st *key, int64_t from, int64_t to)
{
	X509 *cert = X509_new();
	unsigned char serial[16];
	BIGNUM *number;

	/* RFC 5280, 4.1.2.2: positive, unpredictable, at most 20 bytes. */
	crypto_random(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from);
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to);
	X509_set_pubkey(cert, key);
	return cert;
}

static void
write_certificate(X509 *cert, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, cert);
	drain(bio, pem);
}

int
pki_selfsigned(const struct pki_subject *subject, const struct pki_signer *self,
    struct buf *pem, struct error *e)
{
	X509 *cert = bare_certificate(
	    self->key, self->now, self->now + (int64_t)self->days * 86400);
	X509V3_CTX ctx;
	char *san = NULL;
	int rc = subject_name(subject, X509_get_subject_name(cert), e);

	if (rc != 0)
		goto out;
	if ((san = san_text(subject, e)) == NULL) {
		rc = RES_INVALID;
		goto out;
	}
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < EXTENSIONS; i++)
		add_extension(
		    cert, &ctx, extensions[i].nid, extensions[i].self);
	add_extension(cert, &ctx, NID_subject_alt_name, san);
	X509_sign(cert, self->key, EVP_sha256());
	write_certificate(cert, pem);
out:
	X509_free(cert);
	free(san);
	ERR_clear_error();
	return rc;
}

static int
check_signer(
    const struct pki_signer *ca, struct X509_req_st *csr, struct error *e)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(csr);

	if (key == NULL || X509_REQ_verify(csr, key) != 1)
		return error_set(e, RES_INVALID,
		    "the request's signature does not fit its key");
	if (!pki_match(ca->key, ca->cert))
		return error_set(e, RES_INVALID,
		    "key and certificate of the CA do not match");
	if (!pki_is_ca(ca->cert))
		return error_set(e, RES_INVALID,
		    "the signing certificate is not one of a CA");
	if (pki_not_after(ca->cert) <= ca->now)
		return error_set(
		    e, RES_INVALID, "the CA's certificate has expired");
	return 0;
}

/* Only the names are taken from the request: the rest is ours to say. */
static void
copy_names(X509 *cert, X509_REQ *csr)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(csr);
	int at = X509v3_get_ext_by_NID(exts, NID_subject_alt_name, -1);

	if (at >= 0)
		X509_add_ext(cert, X509v3_get_ext(exts, at), -1);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
}

int
pki_sign(const struct pki_signer *ca, struct X509_req_st *csr, struct buf *pem,
    struct error *e)
{
	int64_t end = ca->now + (int64_t)ca->days * 86400;
	X509V3_CTX ctx;
	X509 *cert;
	int rc = check_signer(ca, csr, e);

	ERR_clear_error();
	if (rc != 0)
		return rc;
	if (end > pki_not_after(ca->cert))
		end = pki_not_after(ca->cert);
	cert = bare_certificate(X509_REQ_get0_pubkey(csr), ca->now, end);
	X509_set_subject_name(cert, X509_REQ_get_subject_name(csr));
	X509_set_issuer_name(cert, X509_get_subject_name(ca->cert));
	X509V3_set_ctx(&ctx, ca->cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < EXTENSIONS; i++)
		add_extension(
		    cert, &ctx, extensions[i].nid, extensions[i].signed_by_ca);
	copy_names(cert, csr);
	X509_sign(cert, ca->key, EVP_sha256());
	write_certificate(cert, pem);
	X509_free(cert);
	ERR_clear_error();
	return 0;
}

static int
passphrase_cb(char *out, int size, int writing, void *arg)
{
	const char *passphrase = arg;
	size_t len = strlen(passphrase);

	(void)writing;
	if (len > (size_t)size)
		return -1;
	memcpy(out, passphrase, len);
	return (int)len;
}

int
pki_unlock(const struct pki_file *file, const char *passphrase, struct buf *pem,
    struct error *e)
{
	struct pki_content c;
	char *secret;
	enum pki_kind kind;
	EVP_PKEY *key;
	bool text;
	BIO *bio;
	int rc = pki_read(file, &c, e);

	if (rc != 0)
		return rc;
	kind = c.kind;
	text = c.pem;
	pki_content_clear(&c);
	if (kind == PKI_KEY)
		return error_set(
		    e, RES_STATE, "%s has no pass-phrase", file->name);
	if (kind != PKI_KEY_ENCRYPTED)
		return error_set(e, RES_INVALID, "%s is no encrypted key: %s",
		    file->name, pki_kind_text(kind));
	secret = xstrdup(passphrase);
	bio = BIO_new_mem_buf(file->data, (int)file->len);
	key = text ? PEM_read_bio_PrivateKey(bio, NULL, passphrase_cb, secret)
		   : d2i_PKCS8PrivateKey_bio(bio, NULL, passphrase_cb, secret);
	BIO_free(bio);
	crypto_wipe_free(secret);
	ERR_clear_error();
	if (key == NULL)
		return error_set(
		    e, RES_DENIED, "wrong pass-phrase for %s", file->name);
	pki_key_pem(key, pem);
	EVP_PKEY_free(key);
	return 0;
}
