#ifndef COMMON_PKI_H
#define COMMON_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/result.h"

/*
 * Keys, certificates and requests, as pure functions on the contents of files:
 * mmp reads them from the pki folder, the daemons get them over their control
 * sockets. PEM and DER; CRLF, missing final newlines and text around the
 * blocks are all fine. Errors are one line that names the file. OpenSSL's
 * error queue is left empty.
 */

struct x509_st; /* OpenSSL's X509, EVP_PKEY and X509_REQ */
struct evp_pkey_st;
struct X509_req_st;

#define PKI_FILE_MAX (1024 * 1024)
#define PKI_CERTS_MAX 100

/* A file's contents, borrowed; `name` is for messages. */
struct pki_file {
	const char *name;
	const void *data;
	size_t len;
};

enum pki_kind {
	PKI_NOTHING, /* nothing that is known here */
	PKI_KEY,
	PKI_KEY_ENCRYPTED,
	PKI_CERT,
	PKI_CSR,
	PKI_PKCS12,
	PKI_PKCS7,
	PKI_PUBLIC_KEY,
	PKI_CRL,
	PKI_SSH_PUBLIC,
	PKI_SSH_PRIVATE
};

/* A list of certificates; all zero is a valid empty one. Owns them. */
struct pki_certs {
	struct x509_st **cert;
	size_t count;
};

/* What is in a file: its last key, its last request, all certificates. */
struct pki_content {
	enum pki_kind kind; /* of the first thing in it */
	bool pem;
	struct evp_pkey_st *key;
	struct X509_req_st *csr;
	struct pki_certs certs;
};

/* Lines of checks, each to be shown behind SUCCESS: or FAILURE:. */
struct pki_line {
	bool ok;
	char *text;
};

struct pki_lines {
	struct pki_line *line;
	size_t count, failures;
};

void pki_lines_add(struct pki_lines *lines, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void pki_lines_clear(struct pki_lines *lines);

/* pki.c: what a file is. */

/*
 * Reads all of a file. 0 also where nothing was recognised; an error if it is
 * too large or one of its blocks is malformed, and then *c is empty.
 */
int pki_read(
    const struct pki_file *file, struct pki_content *c, struct error *e);
void pki_content_clear(struct pki_content *c);
const char *pki_kind_text(enum pki_kind kind); /* "private key" */

/* At least one certificate, or an error that says what the file is instead. */
int pki_read_certs(
    const struct pki_file *file, struct pki_certs *certs, struct error *e);
/* An unencrypted private key; the caller frees by pki_key_free(). */
struct evp_pkey_st *pki_read_key(const struct pki_file *file, struct error *e);
struct X509_req_st *pki_read_csr(const struct pki_file *file, struct error *e);

/*
 * Appends the file's keys and certificates as PEM, whatever form they have in
 * the file: what is sent to a daemon. An error where there is neither.
 */
int pki_as_pem(const struct pki_file *file, struct buf *out, struct error *e);

void pki_key_free(struct evp_pkey_st *key);
void pki_csr_free(struct X509_req_st *csr);
void pki_certs_clear(struct pki_certs *certs);
void pki_certs_add(struct pki_certs *certs, struct x509_st *cert); /* a copy */
bool pki_certs_have(const struct pki_certs *certs, const struct x509_st *cert);
/* Appends PEM blocks, from index `from` on. */
void pki_certs_pem(const struct pki_certs *certs, size_t from, struct buf *out);

/* pki_cert.c: the facts of a certificate or key. */

char *pki_subject(const struct x509_st *cert); /* "O=x, CN=y"; caller frees */
char *pki_issuer(const struct x509_st *cert);
int64_t pki_not_before(const struct x509_st *cert);
int64_t pki_not_after(const struct x509_st *cert);
void pki_day(int64_t when, char out[32]); /* "2027-01-31" */
bool pki_self_signed(const struct x509_st *cert);
bool pki_is_ca(struct x509_st *cert);
bool pki_for_servers(struct x509_st *cert); /* key usages allow TLS servers */
bool pki_equal(const struct x509_st *a, const struct x509_st *b);
bool pki_match(const struct evp_pkey_st *key, const struct x509_st *cert);
bool pki_same_key(const struct x509_st *a, const struct x509_st *b);
/* SHA-256, lower-case hexadecimal without colons. */
void pki_fingerprint(const struct x509_st *cert, char out[65]);
void pki_key_text(const struct evp_pkey_st *key, char out[32]); /* "RSA 2048" */
void pki_cert_key_text(const struct x509_st *cert, char out[32]);
/* The usual text form of all that a file holds, never a private part. */
void pki_dump(const struct pki_content *c, struct buf *out);

/* pki_names.c: whom a certificate names. */

enum pki_name_type {
	PKI_NAME_DNS,  /* SAN dNSName, or CN where there is no SAN at all */
	PKI_NAME_XMPP, /* SAN id-on-xmppAddr, RFC 6120, 13.7.1.4 */
	PKI_NAME_SRV,  /* SAN SRVName, RFC 4985: "_xmpp-client.example.com" */
	PKI_NAME_IP    /* SAN iPAddress, as text */
};

struct pki_name {
	enum pki_name_type type;
	char *text;
};

struct pki_names {
	struct pki_name *name;
	size_t count;
};

void pki_names(const struct x509_st *cert, struct pki_names *names);
void pki_names_clear(struct pki_names *names);
char *pki_names_text(const struct x509_st *cert); /* "a, b"; caller frees */

/* RFC 6120, 13.7.1.2: whether it names an XMPP domain. */
bool pki_covers_domain(const struct x509_st *cert, const char *domain);
/* Whether it names a host, or a numeric address. */
bool pki_covers_host(const struct x509_st *cert, const char *host);

/*
 * The A-label form in lower case (idn2), or NULL if it can't be a domain name.
 * A leading "*." is kept. The caller frees.
 */
char *pki_domain(const char *name);

/* pki_chain.c: who issued whom. */

/*
 * Puts into *chain (empty) the leaf, then from `pool` its issuer, and so on up
 * to a self-signed one or as far as it goes. Whether the end is self-signed.
 */
bool pki_chain(struct x509_st *leaf, const struct pki_certs *pool,
    struct pki_certs *chain);

struct pki_verify {
	const struct pki_certs *trusted; /* anchors; a listed leaf is enough */
	const struct pki_certs
	    *untrusted; /* what the other side sent; or NULL */
	bool system;    /* the system's store counts too */
	bool any_time;  /* dates don't matter */
	int64_t now;
};

/* Verifies for a TLS server; the error names certificate or missing issuer. */
int pki_verify(
    const struct pki_verify *how, struct x509_st *leaf, struct error *e);

/*
 * Whether a cluster takes the certificate of a peer: it is listed in the trust
 * bundle, or chains to it and names domain and host. The dates don't count: a
 * cluster never falls apart over one; who calls this looks at them and warns.
 */
struct pki_peer {
	struct x509_st *cert;
	const struct pki_certs *sent; /* the rest of what it sent; or NULL */
	const char *domain;           /* NULL: only what is listed counts */
	/* Either is enough, NULL is none. A host without a dot counts as one
	 * within the domain, too. */
	const char *host, *address;
	bool unknown; /* who it is comes later: any host will do */
};

int pki_trust_peer(const struct pki_certs *trust, const struct pki_peer *peer,
    struct error *e);

/* pki_service.c: is this fit for a service? */

struct pki_service_files {
	struct pki_file key, cert, bundle; /* bundle.data NULL: none given */
	const char *domain;                /* NULL: not configured yet */
	bool system; /* a root that the system's store has may be left out */
	int64_t now;
};

struct pki_service {
	struct pki_lines lines;
	/* Set when there is no failure: PEM of the key, of the certificate,
	   and of its issuers in order, root last; never NULL then. */
	char *key, *cert, *bundle;
	int64_t not_after;
	char fingerprint[65];
};

/* Whether there was no failure. The caller clears *out in any case. */
bool pki_check_service(
    const struct pki_service_files *files, struct pki_service *out);
void pki_service_clear(struct pki_service *s);

/* The same for a trust bundle: its lines, and its PEM in *pem when true. */
bool pki_check_trust(const struct pki_file *file, int64_t now,
    struct pki_lines *lines, char **pem);

/* pki_request.c: new keys, requests and certificates. */

struct pki_subject {
	/* In the order of the name; NULL where not given. */
	const char *c, *st, *l, *o, *ou, *cn, *email;
	char **san; /* DNS names and addresses */
	size_t san_count;
};

enum pki_key_type {
	PKI_EC_P256,
	PKI_EC_P384,
	PKI_RSA_2048,
	PKI_RSA_3072,
	PKI_RSA_4096
};

int pki_key_type_find(const char *name); /* "p256", "rsa2048"; -1 if unknown */
struct evp_pkey_st *pki_key_new(enum pki_key_type type);
void pki_key_pem(const struct evp_pkey_st *key, struct buf *out); /* PKCS#8 */

/* For servers and clients (EKU), with the names of the subject. */
int pki_csr_new(const struct pki_subject *subject, struct evp_pkey_st *key,
    struct buf *pem, struct error *e);

struct pki_signer {
	struct x509_st *cert; /* NULL: self-signed */
	struct evp_pkey_st *key;
	int64_t now;
	unsigned days; /* ends with the signer's own at the latest */
};

/* The same as a certificate of its own, which may sign others. */
int pki_selfsigned(const struct pki_subject *subject,
    const struct pki_signer *self, struct buf *pem, struct error *e);

/* A certificate with subject and names of the request, for servers. */
int pki_sign(const struct pki_signer *ca, struct X509_req_st *csr,
    struct buf *pem, struct error *e);

/* An encrypted key without its pass-phrase, PKCS#8. */
int pki_unlock(const struct pki_file *file, const char *passphrase,
    struct buf *pem, struct error *e);

#endif
