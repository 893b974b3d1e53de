#ifndef XMPPD_LISTEN_H
#define XMPPD_LISTEN_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "xmppd/edge/edge.h"

/*
 * The listening sockets, and what a new connection turns out to be by its first
 * bytes: an XMPP stream, direct TLS of a client (XEP-0368), or a peer of the
 * cluster by the ALPN that its ClientHello offers. What comes to the ports of
 * components and of WebSocket is that.
 */
struct listener;
struct conn;
struct conn_loop;
struct event_base;
struct ssl_ctx_st;
struct ssl_st;

struct listen_ops {
	/* What has come to this port; nothing has been read. Takes fd. */
	void (*accepted)(
	    void *arg, int fd, enum edge_port port, const char *from);
	/* Direct TLS on the client port, ClientHello read: the handshake is
	 * still to be done. Takes both. */
	void (*client)(void *arg, int fd, struct ssl_st *ssl, const char *from);
	/* The same with the cluster's ALPN, handshake done. Takes c. */
	void (*peer)(void *arg, struct conn *c, const char *from);
	/* A connection that has not said what it is: whether it may be, and,
	 * once it is given on or gone, that it is not any more. */
	bool (*enter)(void *arg, const char *from);
	void (*leave)(void *arg, const char *from);
	/* How long it may take for that, in seconds. */
	unsigned (*patience)(void *arg);
	/* Whether clients are served at this moment; if not, what is no peer's
	 * is reset unanswered. */
	bool (*serving)(void *arg);
};

/* An address to bind, with its port. */
struct listen_address {
	struct sockaddr_storage sa;
	enum edge_port port;
};

struct listener *listener_new(struct conn_loop *loop, struct event_base *base,
    const struct listen_ops *ops, void *arg);
void listener_free(struct listener *l);

/* Contexts for direct TLS; borrowed until replaced. Either may be NULL. To be
 * called before `client` is used by any other thread. */
void listener_set_tls(
    struct listener *l, struct ssl_ctx_st *client, struct ssl_ctx_st *peer);

/*
 * Listens on exactly these addresses: closes what is not among them, keeps what
 * is, opens the rest. RES_FAILED names the address and who holds the port; then
 * everything is as it was.
 */
int listener_set(struct listener *l, const struct listen_address *want,
    size_t count, struct error *e);

/* "192.0.2.1:5222", "[2001:db8::1]:5222" */
void listen_text(const struct sockaddr_storage *sa, char out[64]);

#endif
