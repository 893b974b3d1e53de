/*
 * TLS contexts and what is asked of a finished handshake. The policy is in one
 * place: TLS 1.2 and 1.3, ECDHE and AEAD only, no compression, no
 * renegotiation.
 */
#include "common/tls.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/jid.h"
#include "common/log.h"
#include "common/xmalloc.h"

#define CIPHERS_12                                                             \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"           \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"           \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* The cheapest first: none of them is weak. */
#define CIPHERS_13                                                             \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                       \
	"TLS_CHACHA20_POLY1305_SHA256"

static int
openssl_error(struct error *e, const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return error_set(e, RES_INVALID, "%s (%s)", what, text);
}

static SSL_CTX *
context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		fatalx("tls: no context");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS_12) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, CIPHERS_13) != 1)
		fatalx("tls: ciphers are not known");
	/* A peer that closes without close_notify: XMPP has its own end. */
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* One system call for what has arrived, not two a record. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* ---- identities -------------------------------------------------------- */

/* A key, its certificate, and the issuers. */
struct identity {
	char *name; /* what is asked for to be shown it; NULL: anything */
	EVP_PKEY *key;
	X509 *cert;
	STACK_OF(X509) * chain;
	struct identity *next;
};

static void
identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	free(id->name);
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	sk_X509_pop_free(id->chain, X509_free);
	free(id);
}

/* The leaf first, then its issuers, all out of one PEM text. */
static int
read_chain(struct identity *id, BIO *bio, struct error *e)
{
	X509 *issuer;

	id->cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	id->chain = sk_X509_new_null();
	if (id->cert == NULL || id->chain == NULL)
		return openssl_error(e, "certificate can't be used");
	while ((issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(id->chain, issuer) == 0)
			fatalx("tls: no memory for a chain");
	ERR_clear_error(); /* the end of the text is an error to PEM_read */
	return 0;
}

static struct identity *
identity_new(const char *key_pem, const char *chain_pem, struct error *e)
{
	struct identity *id = xcalloc(1, sizeof(*id));
	BIO *bio = BIO_new_mem_buf(key_pem, -1);
	int rc = 0;

	id->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (id->key == NULL)
		rc = openssl_error(e, "private key can't be read");
	bio = BIO_new_mem_buf(chain_pem, -1);
	if (rc == 0)
		rc = read_chain(id, bio, e);
	BIO_free(bio);
	if (rc == 0 && X509_check_private_key(id->cert, id->key) != 1)
		rc = openssl_error(e, "key and certificate do not match");
	if (rc == 0)
		return id;
	identity_free(id);
	return NULL;
}

static int
use_identity(
    SSL_CTX *ctx, const char *key_pem, const char *chain_pem, struct error *e)
{
	struct identity *id = identity_new(key_pem, chain_pem, e);
	int rc = 0;

	if (id == NULL)
		return RES_INVALID;
	if (SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) != 1)
		rc = openssl_error(e, "certificate can't be used");
	identity_free(id);
	return rc;
}

/* ---- further names of a server ----------------------------------------- */

/* The further identities hang on their context and go with it. */
static void
names_free_cb(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
    void *argp)
{
	struct identity *id = ptr, *next;

	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	for (; id != NULL; id = next) {
		next = id->next;
		identity_free(id);
	}
}

static int names_index, protocol_index;

static void
places_init(void)
{
	names_index =
	    SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, names_free_cb);
	protocol_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (names_index < 0 || protocol_index < 0)
		fatalx("tls: no place for names");
}

static int
place(const int *index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, places_init);
	return *index;
}

static int
names_place(void)
{
	return place(&names_index);
}

static int
protocol_place(void)
{
	return place(&protocol_index);
}

/* Shows the identity of that name, if there is one. */
static void
show_name(SSL *ssl, const char *name)
{
	const struct identity *id =
	    SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), names_place());

	for (; id != NULL; id = id->next)
		if (strcmp(id->name, name) == 0 &&
		    SSL_use_cert_and_key(
			ssl, id->cert, id->key, id->chain, 1) != 1)
			log_err("tls: %s: its certificate can't be used", name);
}

static int
asked_cb(SSL *ssl, int *alert, void *arg)
{
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char *name;

	(void)alert;
	(void)arg;
	/* RFC 6066, 3: as A-labels; ours are kept as U-labels. */
	name = asked == NULL ? NULL : jid_prep_domain(asked);
	if (name != NULL)
		show_name(ssl, name);
	free(name);
	return SSL_TLSEXT_ERR_OK;
}

int
tls_server_add_name(SSL_CTX *ctx, const char *name, const char *key_pem,
    const char *chain_pem, struct error *e)
{
	struct identity *id = identity_new(key_pem, chain_pem, e);

	if (id == NULL)
		return RES_INVALID;
	id->name = xstrdup(name);
	id->next = SSL_CTX_get_ex_data(ctx, names_place());
	if (SSL_CTX_set_ex_data(ctx, names_place(), id) != 1)
		fatalx("tls: no memory for a name");
	SSL_CTX_set_tlsext_servername_callback(ctx, asked_cb);
	return 0;
}

static SSL_CTX *
server_context_new(void)
{
	SSL_CTX *ctx = context_new(TLS_server_method());

	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"mmp", 3);
	/* Tickets carry the state: nothing is kept here for a resumption. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	return ctx;
}

SSL_CTX *
tls_server_new(const char *key_pem, const char *chain_pem, struct error *e)
{
	SSL_CTX *ctx = server_context_new();

	if (use_identity(ctx, key_pem, chain_pem, e) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL_CTX *
tls_hello_new(int (*hello)(SSL *ssl, int *alert, void *arg), void *arg)
{
	SSL_CTX *ctx = server_context_new();

	SSL_CTX_set_client_hello_cb(ctx, hello, arg);
	return ctx;
}

int
tls_trust_add(SSL_CTX *ctx, const char *trust_pem, struct error *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = BIO_new_mem_buf(trust_pem, -1);
	X509 *cert;
	int count = 0;

	while ((cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		X509_STORE_add_cert(store, cert);
		X509_free(cert);
		count++;
	}
	BIO_free(bio);
	ERR_clear_error();
	if (count == 0)
		return error_set(e, RES_INVALID, "no certificate inside");
	/* What is listed is trusted, an issuer or not. */
	X509_VERIFY_PARAM_set_flags(
	    SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

SSL_CTX *
tls_client_new(const char *key_pem, const char *chain_pem,
    const char *trust_pem, struct error *e)
{
	SSL_CTX *ctx = context_new(TLS_client_method());
	int rc = 0;

	if (key_pem != NULL)
		rc = use_identity(ctx, key_pem, chain_pem, e);
	if (rc == 0 && trust_pem != NULL)
		rc = tls_trust_add(ctx, trust_pem, e);
	else if (rc == 0 && SSL_CTX_set_default_verify_paths(ctx) != 1)
		rc = openssl_error(e, "the system's certificates");
	if (rc != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

SSL *
tls_client_ssl(SSL_CTX *ctx, const char *name)
{
	SSL *ssl = SSL_new(ctx);
	char *sni;

	if (ssl == NULL)
		fatalx("tls: no connection");
	SSL_set_connect_state(ssl);
	if (name != NULL) {
		/* OpenSSL's macro takes what it only reads as not const. */
		sni = xstrdup(name);
		SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (SSL_set1_host(ssl, name) != 1 ||
		    SSL_set_tlsext_host_name(ssl, sni) != 1)
			fatalx("tls: name %s", name);
		free(sni);
	}
	return ssl;
}

SSL *
tls_server_ssl(SSL_CTX *ctx, const char *name)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL)
		fatalx("tls: no connection");
	SSL_set_accept_state(ssl);
	if (name != NULL)
		show_name(ssl, name);
	return ssl;
}

void
tls_set_protocol(SSL *ssl, const char *name)
{
	if (SSL_set_ex_data(ssl, protocol_place(), (void *)(uintptr_t)name) !=
	    1)
		fatalx("tls: no place for a protocol");
}

const char *
tls_protocol(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, protocol_place());
}

void
tls_why(SSL *ssl, char *out, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	long verify = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(code);

	if (verify != X509_V_OK &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		snprintf(out, size, "certificate not accepted: %s",
		    X509_verify_cert_error_string(verify));
	else
		snprintf(out, size, "TLS: %s",
		    reason != NULL ? reason : "closed during handshake");
	ERR_clear_error();
}

bool
tls_is_12(SSL *ssl)
{
	return SSL_version(ssl) == TLS1_2_VERSION;
}

size_t
tls_exporter(SSL *ssl, uint8_t out[32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	/* RFC 9266, 4.2: TLS 1.2 only with extended master secret. */
	if (tls_is_12(ssl) && SSL_get_extms_support(ssl) != 1)
		return 0;
	if (out != NULL &&
	    SSL_export_keying_material(
		ssl, out, 32, label, sizeof(label) - 1, NULL, 0, 0) != 1)
		return 0;
	return 32;
}

size_t
tls_unique(SSL *ssl, uint8_t out[64])
{
	/* The first Finished message: the client's in a full handshake, the
	 * server's in a resumed one (RFC 5929, 3.1). */
	bool client_first = !SSL_session_reused(ssl);
	bool own = client_first != (SSL_is_server(ssl) == 1);

	if (out == NULL)
		return own ? SSL_get_finished(ssl, NULL, 0)
			   : SSL_get_peer_finished(ssl, NULL, 0);
	return own ? SSL_get_finished(ssl, out, 64)
		   : SSL_get_peer_finished(ssl, out, 64);
}

size_t
tls_end_point(SSL *ssl, uint8_t out[64])
{
	X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl)
					: SSL_get0_peer_certificate(ssl);
	const EVP_MD *md = EVP_sha256();
	int digest = NID_undef;
	unsigned len = 0;

	if (cert == NULL)
		return 0;
	/* The certificate's own hash, but MD5 and SHA-1 count as SHA-256. */
	if (OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL) &&
	    digest != NID_undef && digest != NID_md5 && digest != NID_sha1)
		md = EVP_get_digestbynid(digest);
	if (md != NULL && out == NULL)
		return (size_t)EVP_MD_get_size(md);
	if (md == NULL || X509_digest(cert, md, out, &len) != 1)
		return 0;
	return len;
}
