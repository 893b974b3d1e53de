/*
 * TLS between nodes: 1.3 only, both sides with a certificate, no resumption.
 * OpenSSL's own verification is switched off: it would demand clientAuth of
 * who dials, and refuse a listed certificate that has expired. Instead each
 * side checks the other's certificate, by pki_trust_peer(), as the first thing
 * after the handshake, and can then say in words what is wrong with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/tls.h"
#include "xmppd/cluster/peer_impl.h"

#define DAY 86400

static int
accept_any(X509_STORE_CTX *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return 1;
}

static void
set_policy(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
}

void
peer_tls_clear(struct peer_tls *t)
{
	SSL_CTX_free(t->server);
	SSL_CTX_free(t->client);
	pki_certs_clear(&t->trust);
	*t = (struct peer_tls){ 0 };
}

static void
digest_of(
    const char *key, const char *chain, const char *trust, uint8_t out[32])
{
	struct crypto_digest *d = crypto_digest_new();

	crypto_digest_add(d, key, strlen(key) + 1);
	crypto_digest_add(d, chain, strlen(chain) + 1);
	crypto_digest_add(d, trust, strlen(trust) + 1);
	crypto_digest_end(d, out);
}

int
peer_tls_set(struct peer_tls *t, const char *key, const char *chain,
    const char *trust, struct error *e)
{
	static const unsigned char alpn[] = "\x0d" PEER_ALPN;
	struct pki_file file = { "the cluster trust bundle", trust,
		strlen(trust) };
	struct peer_tls made = { 0 };
	int rc;

	digest_of(key, chain, trust, made.digest);
	if (t->server != NULL &&
	    crypto_equal(made.digest, t->digest, sizeof(t->digest)))
		return RES_OK;
	rc = pki_read_certs(&file, &made.trust, e);
	if (rc == RES_OK) {
		made.server = tls_server_new(key, chain, e);
		made.client = tls_client_new(key, chain, trust, e);
	}
	if (made.server == NULL || made.client == NULL) {
		peer_tls_clear(&made);
		return rc == RES_OK ? RES_INVALID : rc;
	}
	set_policy(made.server);
	set_policy(made.client);
	SSL_CTX_set_alpn_protos(made.client, alpn, sizeof(alpn) - 1);
	peer_tls_clear(t);
	*t = made;
	return RES_OK;
}

struct ssl_st *
peer_tls_client(struct peer_tls *t)
{
	return tls_client_ssl(t->client, NULL);
}

int
peer_tls_check(const struct peer_tls *t, struct ssl_st *ssl,
    const struct peer_names *names, struct error *e)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *stack = SSL_get_peer_cert_chain(ssl);
	struct pki_certs sent = { 0 };
	struct pki_peer peer = { .cert = cert,
		.sent = &sent,
		.domain = names->domain,
		.host = names->host,
		.address = names->ip,
		.unknown = names->host == NULL && names->ip == NULL };
	int rc;

	if (cert == NULL)
		return error_set(e, RES_DENIED, "no certificate");
	for (int i = 0; i < sk_X509_num(stack); i++)
		pki_certs_add(&sent, sk_X509_value(stack, i));
	rc = pki_trust_peer(&t->trust, &peer, e);
	pki_certs_clear(&sent);
	return rc;
}

/* Whether it was complained of today; it is now. */
static bool
was_warned(struct peer_tls *t, const X509 *cert, int64_t now)
{
	struct peer_warned *w = NULL;
	char fingerprint[65];

	pki_fingerprint(cert, fingerprint);
	for (size_t i = 0; i < PEER_WARNED && w == NULL; i++)
		if (strcmp(t->warned[i].fingerprint, fingerprint) == 0)
			w = &t->warned[i];
	if (w != NULL && w->day == now / DAY)
		return true;
	if (w == NULL)
		w = &t->warned[t->warned_next++ % PEER_WARNED];
	snprintf(w->fingerprint, sizeof(w->fingerprint), "%s", fingerprint);
	w->day = now / DAY;
	return false;
}

void
peer_tls_warn(struct peer_tls *t, struct ssl_st *ssl, const char *who)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	int64_t now = clock_unix();
	bool late = now > pki_not_after(cert);
	char *subject, day[32];

	if ((!late && now >= pki_not_before(cert)) || was_warned(t, cert, now))
		return;
	subject = pki_subject(cert);
	pki_day(late ? pki_not_after(cert) : pki_not_before(cert), day);
	log_warn("cluster: %s: certificate \"%s\" %s %s: still accepted "
		 "between members, renew it",
	    who, subject, late ? "expired on" : "is valid only from", day);
	free(subject);
}

bool
peer_tls_exporter(struct ssl_st *ssl, uint8_t out[32])
{
	const unsigned char *alpn;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	return len == strlen(PEER_ALPN) && memcmp(alpn, PEER_ALPN, len) == 0 &&
	    SSL_version(ssl) == TLS1_3_VERSION && tls_exporter(ssl, out) == 32;
}
