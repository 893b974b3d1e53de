#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

struct ssl_ctx_st;
struct ssl_st;

/*
 * TLS policy (RFC 7590): 1.2 and 1.3, forward secrecy, AEAD. Contexts are made
 * here and nowhere else.
 */
struct ssl_ctx_st *tls_server_new(
    const char *key_pem, const char *chain_pem, struct error *e);
/*
 * A further identity of a server's context, for connections that ask for `name`
 * (SNI; compared without case). Before the context's first connection.
 */
int tls_server_add_name(struct ssl_ctx_st *ctx, const char *name,
    const char *key_pem, const char *chain_pem, struct error *e);
/*
 * A server's context without an identity: `hello` (OpenSSL's callback) looks at
 * each ClientHello, and gives the connection a context that has one.
 */
struct ssl_ctx_st *tls_hello_new(
    int (*hello)(struct ssl_st *ssl, int *alert, void *arg), void *arg);
/* Trust: PEM of anchors; a listed leaf is enough (partial chain). NULL: the
 * system's store. key and chain may be NULL: no client certificate. */
struct ssl_ctx_st *tls_client_new(const char *key_pem, const char *chain_pem,
    const char *trust_pem, struct error *e);
/* Also trusts these; for a second bundle. */
int tls_trust_add(
    struct ssl_ctx_st *ctx, const char *trust_pem, struct error *e);

/* A connection's SSL in client state; `name` is what the certificate must
 * cover (RFC 6125) and the SNI; NULL: the caller checks. */
struct ssl_st *tls_client_ssl(struct ssl_ctx_st *ctx, const char *name);
/* In server state; `name`: the identity to show if the client asks for none,
 * the context's own where there is no such; NULL: the context's own. */
struct ssl_st *tls_server_ssl(struct ssl_ctx_st *ctx, const char *name);

/*
 * The one protocol (ALPN, RFC 7301) that a server's connection takes, where its
 * context asks for it with tls_protocol(); `name` is a constant. NULL: the
 * context's own.
 */
void tls_set_protocol(struct ssl_st *ssl, const char *name);
const char *tls_protocol(const struct ssl_st *ssl);

/* The reason why a handshake failed, for a log line. Empties OpenSSL's error
 * queue. */
void tls_why(struct ssl_st *ssl, char *out, size_t size);

/* Channel bindings; the length, or 0 if this connection has none of the kind.
 * `out` may be NULL: only whether there is one. */
bool tls_is_12(struct ssl_st *ssl);
size_t tls_exporter(struct ssl_st *ssl, uint8_t out[32]); /* RFC 9266 */
/* RFC 5929, 3. It isn't defined for TLS 1.3, where this is what clients on
 * OpenSSL take for it. */
size_t tls_unique(struct ssl_st *ssl, uint8_t out[64]);
size_t tls_end_point(struct ssl_st *ssl, uint8_t out[64]); /* RFC 5929, 4 */

#endif
