#ifndef CALLBRIDGE_COMPONENT_H
#define CALLBRIDGE_COMPONENT_H

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

#include "callbridge/connector.h"

struct buf;
struct conn_loop;
struct event_base;
struct ssl_ctx_st;
struct xml_stanza;

/*
 * A component's connection to one XMPP server (XEP-0114) over direct TLS, from
 * dialling to its end. The server's certificate has to be proved by the trust
 * that `tls` holds and to name the XMPP domain before anything is sent
 * (RFC 6120, 13.7.2); then the secret is proved. After that a ping goes out
 * each second, and a server that is silent for two seconds is lost.
 *
 * Lifetime: failed() comes once, and the component is gone then; or the owner
 * calls component_close(), after which nothing comes. That may happen inside
 * online() and stanza().
 */
struct component;

struct component_ops {
	void (*online)(void *arg);
	/* Borrowed during the call; pings' answers are not shown. */
	void (*stanza)(void *arg, const struct xml_stanza *stanza);
	void (*failed)(
	    void *arg, enum connector_failure failure, const char *why);
};

struct component_login {
	struct event_base *base;
	struct conn_loop *loop;
	struct ssl_ctx_st *tls; /* borrowed until the next turn of the loop */
	struct sockaddr_storage to;
	socklen_t to_len;
	const char *jid;    /* "cb1.example.com" */
	const char *domain; /* "example.com" */
	const char *secret;
};

struct component *component_open(const struct component_login *login,
    const struct component_ops *ops, void *arg);
void component_send(struct component *c, const struct buf *stanza);
/* Says goodbye. NULL is fine. */
void component_close(struct component *c);

#endif
