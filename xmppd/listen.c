/*
 * Listening: bind, accept, look at the first bytes.
 *
 *   accept -> component or WebSocket port ---------> ops.accepted
 *          -> client port, first byte '<' or blank -> ops.accepted
 *          -> client port, first byte 0x16: ClientHello, then by its ALPN
 *               the cluster's -> handshake -> ops.peer
 *               else -> ops.client
 *
 * Failures: out of descriptors: accepting stops for a second instead of
 * spinning; a connection that says nothing is closed after a while.
 */
#include "xmppd/listen.h"

#include <sys/queue.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "common/conn.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/holder.h"

#define HANDSHAKE_MS 10000
#define PENDING_MAX 4096 /* connections that have not said what they are */
#define BACKLOG 512
/* A connection that vanished is noticed in about two minutes when idle, and in
 * half a minute when something is to be delivered. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT 4
#define UNANSWERED_MS 30000

#define ALPN_CLIENT "xmpp-client"

struct port {
	struct listener *owner;
	struct listen_address address;
	struct evconnlistener *socket;
	char text[64];
	TAILQ_ENTRY(port) next;
};

/* A connection to the client port of which nothing is known yet. */
struct pending {
	struct listener *owner;
	int fd;
	struct event *first; /* waits for the first byte */
	struct conn *c;      /* then: in a TLS handshake */
	bool peer;           /* its ClientHello has the cluster's ALPN */
	char from[64];
	TAILQ_ENTRY(pending) next;
};

TAILQ_HEAD(port_list, port);

struct listener {
	struct conn_loop *loop;
	struct event_base *base;
	const struct listen_ops *ops;
	void *arg;
	struct ssl_ctx_st *client_tls, *peer_tls;
	struct ssl_ctx_st *hello; /* what handshakes begin with */
	struct port_list ports;
	TAILQ_HEAD(, pending) pending;
	size_t pending_count;
	struct event *again; /* accepting goes on after a pause */
};

void
listen_text(const struct sockaddr_storage *sa, char out[64])
{
	char host[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in6 *sin6 = (const void *)sa;
	const struct sockaddr_in *sin = (const void *)sa;

	if (sa->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		snprintf(out, 64, "[%s]:%u", host, ntohs(sin6->sin6_port));
	} else {
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		snprintf(out, 64, "%s:%u", host, ntohs(sin->sin_port));
	}
}

/* ---- a new connection -------------------------------------------------- */

static void
pending_free(struct pending *p)
{
	TAILQ_REMOVE(&p->owner->pending, p, next);
	p->owner->pending_count--;
	p->owner->ops->leave(p->owner->arg, p->from);
	if (p->first != NULL)
		event_free(p->first);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static void
reset_fd(int fd)
{
	struct linger reset = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void
pending_read(void *arg, const uint8_t *data, size_t len)
{
	(void)arg, (void)data, (void)len;
}

static void
pending_closed(void *arg, const char *why)
{
	struct pending *p = arg;

	log_debug("listen: %s: handshake: %s", p->from, why);
	pending_free(p);
}

/* The ClientHello of what is no peer that could be taken. */
static void
pending_hello(void *arg)
{
	struct pending *p = arg;
	struct listener *l = p->owner;
	SSL *ssl = conn_ssl(p->c);

	if (p->peer || l->client_tls == NULL || !l->ops->serving(l->arg)) {
		/* Reset, without so much as an alert (G4). */
		conn_abort(p->c);
	} else {
		SSL_set_app_data(ssl, NULL);
		SSL_set_SSL_CTX(ssl, l->client_tls);
		conn_detach(p->c, &p->fd, &ssl);
		l->ops->client(l->arg, p->fd, ssl, p->from);
		p->fd = -1;
	}
	pending_free(p);
}

/* A peer's handshake is done. */
static void
pending_ready(void *arg)
{
	struct pending *p = arg;

	conn_set_deadline(p->c, 0);
	SSL_set_app_data(conn_ssl(p->c), NULL);
	p->owner->ops->peer(p->owner->arg, p->c, p->from);
	pending_free(p);
}

static const struct conn_ops pending_ops = {
	.read = pending_read,
	.ready = pending_ready,
	.hello = pending_hello,
	.closed = pending_closed,
};

static bool
alpn_offers(const unsigned char *in, size_t len, const char *name)
{
	size_t want = strlen(name);

	for (size_t i = 0; i < len; i += (size_t)in[i] + 1)
		if (in[i] == want && i + 1 + want <= len &&
		    memcmp(in + i + 1, name, want) == 0)
			return true;
	return false;
}

/*
 * While the ClientHello is read: the cluster's ALPN gets the context that asks
 * for a certificate, and goes on here. All else is taken from this loop.
 */
static int
client_hello_cb(SSL *ssl, int *alert, void *arg)
{
	struct listener *l = arg;
	struct pending *p = SSL_get_app_data(ssl);
	const unsigned char *ext;
	size_t len;

	(void)alert;
	p->peer = SSL_client_hello_get0_ext(ssl,
		      TLSEXT_TYPE_application_layer_protocol_negotiation, &ext,
		      &len) == 1 &&
	    len > 2 && alpn_offers(ext + 2, len - 2, PEER_ALPN);
	if (!p->peer || l->peer_tls == NULL)
		return SSL_CLIENT_HELLO_RETRY;
	SSL_set_SSL_CTX(ssl, l->peer_tls);
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(l->peer_tls),
	    SSL_CTX_get_verify_callback(l->peer_tls));
	SSL_set_num_tickets(ssl, 0);
	return SSL_CLIENT_HELLO_SUCCESS;
}

static int
alpn_select_cb(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	/* Where it came to another port; else by who it may be. */
	const char *names[] = { tls_protocol(ssl), NULL };

	(void)arg;
	if (names[0] == NULL) {
		names[0] = PEER_ALPN;
		names[1] = ALPN_CLIENT;
	}
	for (size_t i = 0; i < 2; i++)
		if (names[i] != NULL && alpn_offers(in, in_len, names[i])) {
			*out = (const unsigned char *)names[i];
			*out_len = (unsigned char)strlen(names[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	/* RFC 7301, 3.2: and so nobody is led here who means another. */
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void
pending_start_tls(struct pending *p)
{
	struct listener *l = p->owner;
	SSL *ssl;

	if (l->client_tls == NULL && l->peer_tls == NULL) {
		reset_fd(p->fd);
		p->fd = -1;
		pending_free(p);
		return;
	}
	p->c = conn_accept(l->loop, p->fd, &pending_ops, p);
	p->fd = -1;
	conn_set_deadline(p->c, HANDSHAKE_MS);
	ssl = tls_server_ssl(l->hello, NULL);
	SSL_set_app_data(ssl, p);
	conn_start_tls(p->c, ssl);
}

static void
first_byte_cb(evutil_socket_t fd, short what, void *arg)
{
	struct pending *p = arg;
	struct listener *l = p->owner;
	uint8_t first;
	ssize_t n = (what & EV_TIMEOUT) != 0
	    ? 0
	    : recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	event_free(p->first);
	p->first = NULL;
	if (n == 1 && first == 0x16) { /* RFC 8446, 5.1: handshake */
		pending_start_tls(p);
		return;
	}
	if (n == 1 && l->ops->serving(l->arg)) {
		l->ops->accepted(l->arg, p->fd, PORT_CLIENT, p->from);
		p->fd = -1;
	} else if (n == 1) {
		reset_fd(p->fd);
		p->fd = -1;
	}
	pending_free(p);
}

static void
accepted_cb(struct evconnlistener *socket, evutil_socket_t fd,
    struct sockaddr *from, int len, void *arg)
{
	struct port *port = arg;
	struct listener *l = port->owner;
	struct timeval tv = { l->ops->patience(l->arg), 0 };
	struct sockaddr_storage ss = { 0 };
	struct pending *p;

	(void)socket;
	if (l->pending_count >= PENDING_MAX) {
		reset_fd(fd);
		return;
	}
	memcpy(&ss, from, (size_t)len < sizeof(ss) ? (size_t)len : sizeof(ss));
	p = xcalloc(1, sizeof(*p));
	listen_text(&ss, p->from);
	if (port->address.port != PORT_CLIENT) {
		l->ops->accepted(l->arg, fd, port->address.port, p->from);
		free(p);
		return;
	}
	if (!l->ops->enter(l->arg, p->from)) {
		reset_fd(fd);
		free(p);
		return;
	}
	p->owner = l;
	p->fd = fd;
	TAILQ_INSERT_TAIL(&l->pending, p, next);
	l->pending_count++;
	p->first =
	    event_new(l->base, fd, EV_READ | EV_PERSIST, first_byte_cb, p);
	event_add(p->first, &tv);
}

/* ---- sockets ----------------------------------------------------------- */

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct port *port;

	(void)fd, (void)what;
	TAILQ_FOREACH(port, &l->ports, next)
		evconnlistener_enable(port->socket);
}

static void
accept_error_cb(struct evconnlistener *socket, void *arg)
{
	struct port *port = arg;
	struct timeval second = { 1, 0 };
	int error = EVUTIL_SOCKET_ERROR();

	(void)socket;
	log_warn("listen: %s: %s, no new connection for a second", port->text,
	    evutil_socket_error_to_string(error));
	TAILQ_FOREACH(port, &port->owner->ports, next)
		evconnlistener_disable(port->socket);
	port = arg;
	evconnlistener_disable(port->socket);
	event_add(port->owner->again, &second);
}

static void
port_free(struct port *port)
{
	if (port->socket != NULL)
		evconnlistener_free(port->socket);
	free(port);
}

/* Who is accepted has what the listening socket had. */
static void
keepalive(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name,
		    &options[i].value, sizeof(options[i].value));
}

static struct port *
port_open(
    struct listener *l, const struct listen_address *address, struct error *e)
{
	struct port *port = xcalloc(1, sizeof(*port));
	bool v6 = address->sa.ss_family == AF_INET6;
	int on = 1, error, fd;
	socklen_t len =
	    v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	char holder[128];

	port->owner = l;
	port->address = *address;
	listen_text(&address->sa, port->text);
	fd = socket(address->sa.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		keepalive(fd);
		if (v6)
			setsockopt(
			    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (fd >= 0 && bind(fd, (const void *)&address->sa, len) == 0)
		port->socket = evconnlistener_new(l->base, accepted_cb, port,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	error = errno;
	if (port->socket != NULL) {
		evconnlistener_set_error_cb(port->socket, accept_error_cb);
		return port;
	}
	if (fd >= 0)
		close(fd);
	if (error == EADDRINUSE) {
		holder_find(&address->sa, holder, sizeof(holder));
		error_set(
		    e, RES_FAILED, "%s is in use by %s", port->text, holder);
	} else {
		error_set(e, RES_FAILED, "%s can't be listened on: %s",
		    port->text, strerror(error));
	}
	port_free(port);
	return NULL;
}

static bool
address_equal(const struct listen_address *a, const struct listen_address *b)
{
	char ta[64], tb[64];

	listen_text(&a->sa, ta);
	listen_text(&b->sa, tb);
	return a->port == b->port && strcmp(ta, tb) == 0;
}

static struct port *
port_find(struct port_list *ports, const struct listen_address *address)
{
	struct port *port;

	TAILQ_FOREACH(port, ports, next)
		if (address_equal(&port->address, address))
			return port;
	return NULL;
}

static void
ports_free(struct port_list *ports)
{
	struct port *port;

	while ((port = TAILQ_FIRST(ports)) != NULL) {
		TAILQ_REMOVE(ports, port, next);
		port_free(port);
	}
}

int
listener_set(struct listener *l, const struct listen_address *want,
    size_t count, struct error *e)
{
	struct port_list opened = TAILQ_HEAD_INITIALIZER(opened);
	struct port *port, *next;
	bool wanted;

	for (size_t i = 0; i < count; i++) {
		if (port_find(&l->ports, &want[i]) != NULL ||
		    port_find(&opened, &want[i]) != NULL)
			continue;
		port = port_open(l, &want[i], e);
		if (port == NULL) {
			ports_free(&opened);
			return RES_FAILED;
		}
		TAILQ_INSERT_TAIL(&opened, port, next);
	}
	for (port = TAILQ_FIRST(&l->ports); port != NULL; port = next) {
		next = TAILQ_NEXT(port, next);
		wanted = false;
		for (size_t i = 0; i < count; i++)
			wanted |= address_equal(&port->address, &want[i]);
		if (wanted)
			continue;
		TAILQ_REMOVE(&l->ports, port, next);
		port_free(port);
	}
	TAILQ_CONCAT(&l->ports, &opened, next);
	return RES_OK;
}

void
listener_set_tls(
    struct listener *l, struct ssl_ctx_st *client, struct ssl_ctx_st *peer)
{
	/* The ALPN is chosen by the context that the connection has got. */
	for (size_t i = 0; i < 2; i++) {
		struct ssl_ctx_st *ctx = i == 0 ? client : peer;

		if (ctx != NULL)
			SSL_CTX_set_alpn_select_cb(ctx, alpn_select_cb, NULL);
	}
	l->client_tls = client;
	l->peer_tls = peer;
}

struct listener *
listener_new(struct conn_loop *loop, struct event_base *base,
    const struct listen_ops *ops, void *arg)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->base = base;
	l->ops = ops;
	l->arg = arg;
	TAILQ_INIT(&l->ports);
	TAILQ_INIT(&l->pending);
	l->hello = tls_hello_new(client_hello_cb, l);
	l->again = evtimer_new(base, again_cb, l);
	return l;
}

void
listener_free(struct listener *l)
{
	struct pending *p;

	if (l == NULL)
		return;
	ports_free(&l->ports);
	while ((p = TAILQ_FIRST(&l->pending)) != NULL) {
		if (p->c != NULL)
			conn_abort(p->c);
		pending_free(p);
	}
	event_free(l->again);
	SSL_CTX_free(l->hello);
	free(l);
}
