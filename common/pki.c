/*
 * What is in a file of keys and certificates: PEM blocks by their labels, DER
 * by trial, SSH's own forms by their first words.
 */
#include "common/pki.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "common/xmalloc.h"

static const char *const kind_texts[] = {
	[PKI_NOTHING] = "no key or certificate",
	[PKI_KEY] = "private key",
	[PKI_KEY_ENCRYPTED] = "encrypted private key",
	[PKI_CERT] = "certificate",
	[PKI_CSR] = "certificate signing request",
	[PKI_PKCS12] = "PKCS#12 file",
	[PKI_PKCS7] = "PKCS#7 file",
	[PKI_PUBLIC_KEY] = "public key",
	[PKI_CRL] = "certificate revocation list",
	[PKI_SSH_PUBLIC] = "SSH public key",
	[PKI_SSH_PRIVATE] = "SSH private key",
};

/* Labels of PEM blocks, RFC 7468, and those that older tools write. */
static const struct {
	const char *label;
	enum pki_kind kind;
} labels[] = {
	{ "CERTIFICATE", PKI_CERT },
	{ "X509 CERTIFICATE", PKI_CERT },
	{ "TRUSTED CERTIFICATE", PKI_CERT },
	{ "PRIVATE KEY", PKI_KEY },
	{ "RSA PRIVATE KEY", PKI_KEY },
	{ "EC PRIVATE KEY", PKI_KEY },
	{ "ENCRYPTED PRIVATE KEY", PKI_KEY_ENCRYPTED },
	{ "CERTIFICATE REQUEST", PKI_CSR },
	{ "NEW CERTIFICATE REQUEST", PKI_CSR },
	{ "PKCS7", PKI_PKCS7 },
	{ "PUBLIC KEY", PKI_PUBLIC_KEY },
	{ "X509 CRL", PKI_CRL },
	{ "OPENSSH PRIVATE KEY", PKI_SSH_PRIVATE },
};

static const struct {
	const char *start;
	enum pki_kind kind;
} ssh_starts[] = {
	{ "ssh-", PKI_SSH_PUBLIC },
	{ "ecdsa-sha2-", PKI_SSH_PUBLIC },
	{ "sk-", PKI_SSH_PUBLIC },
	{ "---- BEGIN SSH2 PUBLIC KEY", PKI_SSH_PUBLIC },
	{ "PuTTY-User-Key-File-", PKI_SSH_PRIVATE },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *
pki_kind_text(enum pki_kind kind)
{
	return kind_texts[kind];
}

void
pki_key_free(struct evp_pkey_st *key)
{
	EVP_PKEY_free(key);
}

void
pki_csr_free(struct X509_req_st *csr)
{
	X509_REQ_free(csr);
}

void
pki_certs_clear(struct pki_certs *certs)
{
	for (size_t i = 0; i < certs->count; i++)
		X509_free(certs->cert[i]);
	free(certs->cert);
	certs->cert = NULL;
	certs->count = 0;
}

/* Takes the certificate. */
static void
certs_take(struct pki_certs *certs, X509 *cert)
{
	certs->cert =
	    xrealloc(certs->cert, (certs->count + 1) * sizeof(certs->cert[0]));
	certs->cert[certs->count++] = cert;
}

void
pki_certs_add(struct pki_certs *certs, struct x509_st *cert)
{
	X509_up_ref(cert);
	certs_take(certs, cert);
}

bool
pki_certs_have(const struct pki_certs *certs, const struct x509_st *cert)
{
	for (size_t i = 0; i < certs->count; i++)
		if (pki_equal(certs->cert[i], cert))
			return true;
	return false;
}

void
pki_certs_pem(const struct pki_certs *certs, size_t from, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	for (size_t i = from; i < certs->count; i++)
		PEM_write_bio_X509(bio, certs->cert[i]);
	len = BIO_get_mem_data(bio, &data);
	if (len > 0)
		buf_add(out, data, (size_t)len);
	BIO_free(bio);
}

void
pki_content_clear(struct pki_content *c)
{
	EVP_PKEY_free(c->key);
	X509_REQ_free(c->csr);
	pki_certs_clear(&c->certs);
	memset(c, 0, sizeof(*c));
}

static void
note_kind(struct pki_content *c, enum pki_kind kind)
{
	if (c->kind == PKI_NOTHING)
		c->kind = kind;
}

/* Reads one PEM block's bytes; false if they aren't what the label says. */
static bool
read_block(
    struct pki_content *c, enum pki_kind kind, const uint8_t *der, long len)
{
	const unsigned char *p = der;
	X509 *cert;
	EVP_PKEY *key;
	X509_REQ *csr;

	if (kind == PKI_CERT) {
		if ((cert = d2i_X509_AUX(NULL, &p, len)) == NULL)
			return false;
		certs_take(&c->certs, cert);
	} else if (kind == PKI_KEY) {
		if ((key = d2i_AutoPrivateKey(NULL, &p, len)) == NULL)
			return false;
		EVP_PKEY_free(c->key);
		c->key = key;
	} else if (kind == PKI_CSR) {
		if ((csr = d2i_X509_REQ(NULL, &p, len)) == NULL)
			return false;
		X509_REQ_free(c->csr);
		c->csr = csr;
	}
	note_kind(c, kind);
	return true;
}

static enum pki_kind
label_kind(const char *label, const char *header)
{
	for (size_t i = 0; i < COUNT(labels); i++) {
		if (strcmp(label, labels[i].label) != 0)
			continue;
		/* The older form of encryption is said in the header. */
		if (labels[i].kind == PKI_KEY &&
		    strstr(header, "ENCRYPTED") != NULL)
			return PKI_KEY_ENCRYPTED;
		return labels[i].kind;
	}
	return PKI_NOTHING; /* such as EC PARAMETERS, before an EC key */
}

/*
 * The text as OpenSSL sees its lines: CR LF and CR made LF, without a byte
 * order mark, and with a line end between files that were concatenated where
 * the first had none at its end.
 */
static void
normalise(const struct pki_file *file, struct buf *out)
{
	static const char seam[] = "----------BEGIN ";
	const char *data = file->data, *end = data + file->len;

	if (file->len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		data += 3;
	for (; data < end; data++) {
		size_t left = (size_t)(end - data);

		if (*data == '\r' && left > 1 && data[1] == '\n')
			continue;
		if (left >= sizeof(seam) &&
		    memcmp(data, seam, sizeof(seam) - 1) == 0) {
			buf_add_str(out, "-----\n");
			data += 4;
			continue;
		}
		buf_add_u8(out, *data == '\r' ? '\n' : (uint8_t)*data);
	}
	buf_add_u8(out, '\n');
}

/* Reads the PEM blocks in turn until there is none left. */
static int
read_pem(const struct pki_file *file, struct pki_content *c, struct error *e)
{
	char *label = NULL, *header = NULL;
	unsigned char *der = NULL;
	struct buf text = { 0 };
	int rc = 0, number = 0;
	long len;
	BIO *bio;

	normalise(file, &text);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	while (rc == 0 && PEM_read_bio(bio, &label, &header, &der, &len) == 1) {
		number++;
		if (!read_block(c, label_kind(label, header), der, len))
			rc = error_set(e, RES_INVALID,
			    "%s: block %d (%s) is malformed", file->name,
			    number, label);
		else if (c->certs.count > PKI_CERTS_MAX)
			rc = error_set(e, RES_LIMIT,
			    "%s: more than %d certificates", file->name,
			    PKI_CERTS_MAX);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	if (rc == 0 &&
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = error_set(e, RES_INVALID,
		    "%s: block %d is malformed or cut off", file->name,
		    number + 1);
	c->pem = true;
	BIO_free(bio);
	buf_wipe(&text);
	return rc;
}

/* DER has no labels; these forms exclude each other by their structure. */
static const struct {
	ASN1_ITEM_EXP *form;
	enum pki_kind kind;
} ders[] = {
	{ ASN1_ITEM_ref(X509), PKI_CERT },
	{ ASN1_ITEM_ref(X509_REQ), PKI_CSR },
	{ ASN1_ITEM_ref(X509_CRL), PKI_CRL },
	{ ASN1_ITEM_ref(PKCS12), PKI_PKCS12 },
	{ ASN1_ITEM_ref(PKCS7), PKI_PKCS7 },
	{ ASN1_ITEM_ref(X509_SIG), PKI_KEY_ENCRYPTED },
	{ ASN1_ITEM_ref(X509_PUBKEY), PKI_PUBLIC_KEY },
};

/* Which form the bytes have, to the last one; line ends behind are ignored. */
static enum pki_kind
der_kind(const uint8_t *data, size_t len)
{
	const unsigned char *p = data;
	EVP_PKEY *key;

	for (size_t i = 0; i < COUNT(ders); i++) {
		const ASN1_ITEM *form = ders[i].form();
		ASN1_VALUE *value = ASN1_item_d2i(NULL, &p, (long)len, form);

		ASN1_item_free(value, form);
		if (value != NULL && p == data + len)
			return ders[i].kind;
		p = data;
	}
	key = d2i_AutoPrivateKey(NULL, &p, (long)len);
	EVP_PKEY_free(key);
	return key != NULL && p == data + len ? PKI_KEY : PKI_NOTHING;
}

static void
read_der(const struct pki_file *file, struct pki_content *c)
{
	const uint8_t *data = file->data;
	size_t len = file->len;
	enum pki_kind kind;

	if (len == 0 || data[0] != 0x30)
		return;
	kind = der_kind(data, len);
	while (kind == PKI_NOTHING && len > 1 &&
	    (data[len - 1] == '\n' || data[len - 1] == '\r'))
		kind = der_kind(data, --len);
	if (kind != PKI_NOTHING)
		read_block(c, kind, data, (long)len);
}

static enum pki_kind
ssh_kind(const struct pki_file *file)
{
	for (size_t i = 0; i < COUNT(ssh_starts); i++) {
		size_t len = strlen(ssh_starts[i].start);

		if (file->len > len &&
		    memcmp(file->data, ssh_starts[i].start, len) == 0)
			return ssh_starts[i].kind;
	}
	return PKI_NOTHING;
}

int
pki_read(const struct pki_file *file, struct pki_content *c, struct error *e)
{
	int rc = 0;

	memset(c, 0, sizeof(*c));
	if (file->len > PKI_FILE_MAX)
		return error_set(e, RES_LIMIT, "%s is larger than %d KiB",
		    file->name, PKI_FILE_MAX / 1024);
	if (file->len == 0)
		return 0;
	ERR_clear_error();
	if (memmem(file->data, file->len, "-----BEGIN ", 11) != NULL)
		rc = read_pem(file, c, e);
	else if ((c->kind = ssh_kind(file)) == PKI_NOTHING)
		read_der(file, c);
	ERR_clear_error();
	if (rc != 0)
		pki_content_clear(c);
	return rc;
}

/* What to do with a file that is of no use here. */
static const char *
advice(enum pki_kind kind)
{
	switch (kind) {
	case PKI_KEY_ENCRYPTED:
		return ": run 'pki unlock' on it first";
	case PKI_PKCS12:
	case PKI_PKCS7:
		return ", not supported here: export key and certificates as "
		       "PEM (Base64) files";
	case PKI_SSH_PRIVATE:
		return ": convert it to PEM first";
	case PKI_NOTHING:
	case PKI_KEY:
	case PKI_CERT:
	case PKI_CSR:
	case PKI_PUBLIC_KEY:
	case PKI_CRL:
	case PKI_SSH_PUBLIC:
		break;
	}
	return "";
}

static int
not_what_is_wanted(const struct pki_file *file, enum pki_kind want,
    enum pki_kind kind, struct error *e)
{
	if (file->len == 0)
		return error_set(e, RES_INVALID, "%s is empty", file->name);
	if (kind == PKI_NOTHING)
		return error_set(e, RES_INVALID, "%s holds %s%s", file->name,
		    want == PKI_NOTHING ? "" : "no ", pki_kind_text(want));
	return error_set(e, RES_INVALID, "%s holds no %s: it is %s %s%s",
	    file->name, pki_kind_text(want),
	    strchr("aeS", pki_kind_text(kind)[0]) != NULL ? "an" : "a",
	    pki_kind_text(kind), advice(kind));
}

int
pki_read_certs(
    const struct pki_file *file, struct pki_certs *certs, struct error *e)
{
	struct pki_content c;
	int rc = pki_read(file, &c, e);

	memset(certs, 0, sizeof(*certs));
	if (rc != 0)
		return rc;
	if (c.certs.count == 0)
		rc = not_what_is_wanted(file, PKI_CERT, c.kind, e);
	*certs = c.certs;
	memset(&c.certs, 0, sizeof(c.certs));
	pki_content_clear(&c);
	return rc;
}

struct evp_pkey_st *
pki_read_key(const struct pki_file *file, struct error *e)
{
	struct pki_content c;
	EVP_PKEY *key;

	if (pki_read(file, &c, e) != 0)
		return NULL;
	if (c.key == NULL)
		not_what_is_wanted(file, PKI_KEY, c.kind, e);
	key = c.key;
	c.key = NULL;
	pki_content_clear(&c);
	return key;
}

struct X509_req_st *
pki_read_csr(const struct pki_file *file, struct error *e)
{
	struct pki_content c;
	X509_REQ *csr;

	if (pki_read(file, &c, e) != 0)
		return NULL;
	if (c.csr == NULL)
		not_what_is_wanted(file, PKI_CSR, c.kind, e);
	csr = c.csr;
	c.csr = NULL;
	pki_content_clear(&c);
	return csr;
}

int
pki_as_pem(const struct pki_file *file, struct buf *out, struct error *e)
{
	struct pki_content c;
	int rc = pki_read(file, &c, e);

	if (rc != 0)
		return rc;
	if (c.kind == PKI_NOTHING)
		rc = not_what_is_wanted(file, PKI_NOTHING, c.kind, e);
	else if (c.key == NULL && c.certs.count == 0)
		rc = not_what_is_wanted(file,
		    c.kind == PKI_KEY_ENCRYPTED ? PKI_KEY : PKI_CERT, c.kind,
		    e);
	if (c.key != NULL)
		pki_key_pem(c.key, out);
	if (c.certs.count > 0)
		pki_certs_pem(&c.certs, 0, out);
	pki_content_clear(&c);
	return rc;
}

void
pki_lines_add(struct pki_lines *lines, bool ok, const char *fmt, ...)
{
	struct pki_line *line;
	va_list ap;

	lines->line =
	    xrealloc(lines->line, (lines->count + 1) * sizeof(lines->line[0]));
	line = &lines->line[lines->count++];
	line->ok = ok;
	va_start(ap, fmt);
	xvasprintf(&line->text, fmt, ap);
	va_end(ap);
	if (!ok)
		lines->failures++;
}

void
pki_lines_clear(struct pki_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->line[i].text);
	free(lines->line);
	memset(lines, 0, sizeof(*lines));
}
