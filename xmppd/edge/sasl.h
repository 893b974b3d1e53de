#ifndef XMPPD_EDGE_SASL_H
#define XMPPD_EDGE_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "xmppd/link/frame.h"

/*
 * The server's side of one SASL exchange (RFC 4422, RFC 6120, 6): SCRAM and
 * PLAIN. Pure: it says when it needs an account's keys or a derived password,
 * and is told later. Messages are decoded bytes; base64 is the caller's.
 */
struct sasl;

enum sasl_binding {
	SASL_EXPORTER,  /* RFC 9266 */
	SASL_UNIQUE,    /* RFC 5929, 3 */
	SASL_END_POINT, /* RFC 5929, 4 */
	SASL_BINDINGS
};

struct sasl_env {
	void *arg;
	const char *domain;
	/* Whom the stream's header named (a bare JID), where an authorization
	 * identity has to be the same (XEP-0388, 2.3); else NULL. */
	const char *from;
	/* What keys of accounts that don't exist are made up from. */
	const char *secret;
	/* The channel binding's data of this connection, or 0 if it has none
	 * of that type; `out` may be NULL: only whether it has. */
	size_t (*binding)(
	    void *arg, enum sasl_binding binding, uint8_t out[64]);
	bool tls_12;       /* where tls-unique is defined */
	unsigned bindings; /* which there are, by sasl_env_ready() */
	bool sha1_only;    /* some account has no other key: SCRAM-SHA-256
			      isn't offered, as its client would choose it */
};

/* What stays the same for the connection is found out. */
void sasl_env_ready(struct sasl_env *env);

enum sasl_result {
	SASL_CHALLENGE, /* send what was written to `out` */
	SASL_SUCCESS,   /* the same, as <success/> */
	SASL_FAILED,    /* sasl_condition() says why */
	SASL_KEYS,      /* fetch the keys of sasl_user(), then sasl_keys() */
	SASL_DERIVE,    /* derive from sasl_password(), then sasl_derived() */
};

/* The <mechanism/> elements, strongest first; -PLUS where there is a binding.
 */
void sasl_mechanisms(const struct sasl_env *env, struct buf *out);
/* Which bindings there are (XEP-0440); nothing if there are none. */
void sasl_bindings(const struct sasl_env *env, struct buf *out);

/* NULL: no such mechanism. Borrows env, which must outlive it. */
struct sasl *sasl_new(const char *mechanism, const struct sasl_env *env);
void sasl_free(struct sasl *s);

/* A message of the client; the first is its initial response, NULL if it gave
 * none (RFC 6120, 6.4.2). */
enum sasl_result sasl_input(
    struct sasl *s, const void *msg, size_t len, struct buf *out);
/* RES_NOT_FOUND: there is no such account; the exchange goes on with made-up
 * keys, and fails as one with a wrong password. */
enum sasl_result sasl_keys(
    struct sasl *s, int code, const struct scram_keys *keys, struct buf *out);
enum sasl_result sasl_derived(
    struct sasl *s, const struct scram_keys *derived, struct buf *out);

const char *sasl_mechanism(const struct sasl *s);
const char *sasl_condition(const struct sasl *s); /* RFC 6120, 6.5 */
const char *sasl_user(const struct sasl *s); /* prepared; "" if it can't be */
const char *sasl_password(const struct sasl *s);
const struct scram_keys *sasl_params(const struct sasl *s);

#endif
