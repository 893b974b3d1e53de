/*
 * Who issued whom: chains put in order, verified, and taken from a peer.
 */
#include "common/pki.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/xmalloc.h"

/* Whether `issuer` signed `cert`, by names, key identifiers and signature. */
static bool
issued(struct x509_st *issuer, struct x509_st *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	return X509_check_issued(issuer, cert) == X509_V_OK && key != NULL &&
	    X509_verify(cert, key) == 1;
}

/*
 * Of several that fit (a renewed CA keeps name and key) the one that is valid
 * longest.
 */
static struct x509_st *
find_issuer(const struct pki_certs *pool, struct x509_st *cert)
{
	struct x509_st *best = NULL;

	for (size_t i = 0; i < pool->count; i++) {
		struct x509_st *one = pool->cert[i];

		if (issued(one, cert) &&
		    (best == NULL || pki_not_after(one) > pki_not_after(best)))
			best = one;
	}
	return best;
}

bool
pki_chain(
    struct x509_st *leaf, const struct pki_certs *pool, struct pki_certs *chain)
{
	struct x509_st *top = leaf;
	bool complete = pki_self_signed(leaf);

	pki_certs_add(chain, leaf);
	while (!complete) {
		top = find_issuer(pool, top);
		/* Two CAs that signed each other make a circle. */
		if (top == NULL || pki_certs_have(chain, top))
			break;
		pki_certs_add(chain, top);
		complete = pki_self_signed(top);
	}
	ERR_clear_error();
	return complete;
}

static int
verify_failed(X509_STORE_CTX *ctx, struct error *e)
{
	int code = X509_STORE_CTX_get_error(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	char *subject = cert != NULL ? pki_subject(cert) : xstrdup("?");
	char *issuer = cert != NULL ? pki_issuer(cert) : xstrdup("?");
	int rc;

	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		rc = error_set(e, RES_FAILED, "issuer \"%s\" missing", issuer);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		rc = error_set(e, RES_FAILED,
		    "self-signed certificate \"%s\" is not trusted", subject);
		break;
	default:
		rc = error_set(e, RES_FAILED, "certificate \"%s\": %s", subject,
		    X509_verify_cert_error_string(code));
		break;
	}
	free(subject);
	free(issuer);
	return rc;
}

static STACK_OF(X509) * stack_of(const struct pki_certs *certs)
{
	STACK_OF(X509) *stack = sk_X509_new_null();

	for (size_t i = 0; certs != NULL && i < certs->count; i++)
		sk_X509_push(stack, certs->cert[i]);
	return stack;
}

static void
set_policy(X509_STORE_CTX *ctx, const struct pki_verify *how)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

	if (how->any_time)
		flags |= X509_V_FLAG_NO_CHECK_TIME;
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	/* A time that is set would outweigh the flag. */
	if (!how->any_time)
		X509_VERIFY_PARAM_set_time(param, (time_t)how->now);
	/* What Debian's TLS demands: no SHA-1, no RSA below 2048 bits. */
	X509_VERIFY_PARAM_set_auth_level(param, 2);
}

int
pki_verify(const struct pki_verify *how, struct x509_st *leaf, struct error *e)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = stack_of(how->untrusted);
	int rc = 0;

	for (size_t i = 0; how->trusted != NULL && i < how->trusted->count; i++)
		X509_STORE_add_cert(store, how->trusted->cert[i]);
	if (how->system)
		X509_STORE_set_default_paths(store);
	X509_STORE_CTX_init(ctx, store, leaf, untrusted);
	set_policy(ctx, how);
	if (X509_verify_cert(ctx) != 1)
		rc = verify_failed(ctx, e);
	X509_STORE_CTX_free(ctx);
	sk_X509_free(untrusted);
	X509_STORE_free(store);
	ERR_clear_error();
	return rc;
}

static bool
names_peer(const struct pki_peer *peer)
{
	char *full;
	bool yes = peer->unknown;

	if (!yes && peer->host != NULL)
		yes = pki_covers_host(peer->cert, peer->host);
	if (!yes && peer->address != NULL)
		yes = pki_covers_host(peer->cert, peer->address);
	if (yes || peer->host == NULL || strchr(peer->host, '.') != NULL)
		return yes;
	xasprintf(&full, "%s.%s", peer->host, peer->domain);
	yes = pki_covers_host(peer->cert, full);
	free(full);
	return yes;
}

int
pki_trust_peer(
    const struct pki_certs *trust, const struct pki_peer *peer, struct error *e)
{
	const struct pki_verify how = {
		.trusted = trust, .untrusted = peer->sent, .any_time = true
	};
	struct error why;

	if (pki_certs_have(trust, peer->cert))
		return 0;
	if (pki_verify(&how, peer->cert, &why) != 0) {
		char *subject = pki_subject(peer->cert);

		error_set(e, RES_DENIED,
		    "certificate \"%s\" is not in the cluster trust bundle, "
		    "nor issued by one that is: %s",
		    subject, why.text);
		free(subject);
		return RES_DENIED;
	}
	if (peer->domain == NULL)
		return error_set(e, RES_DENIED,
		    "certificate is not in the cluster trust bundle itself, "
		    "and no domain is set that it could name");
	if (!pki_covers_domain(peer->cert, peer->domain))
		return error_set(e, RES_DENIED,
		    "certificate does not name the domain %s", peer->domain);
	if (names_peer(peer))
		return 0;
	return error_set(e, RES_DENIED, "certificate does not name the peer %s",
	    peer->host != NULL          ? peer->host
		: peer->address != NULL ? peer->address
					: "(unknown)");
}
