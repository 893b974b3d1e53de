#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A TCP connection on an event loop, plain or under TLS. Written on OpenSSL
 * and libevent's events directly: a bufferevent costs 1 KiB and 1 us a message
 * more (measured).
 *
 * What is written during a turn of the loop goes out together at its end. What
 * is read is given to the owner in one piece of the loop's own buffer, so an
 * idle connection holds no buffers.
 *
 * Lifetime: the owner calls conn_close() or conn_abort() once, after which no
 * callback comes; or gets closed(), after which the connection is gone. Both
 * may happen inside any callback.
 */
struct conn;
struct conn_loop;
struct event_base;
struct ssl_st;

struct conn_ops {
	/* Decrypted bytes; valid during the call. */
	void (*read)(void *arg, const uint8_t *data, size_t len);
	/* Connected (dialled, plain), or the TLS handshake is done. */
	void (*ready)(void *arg);
	/* The ClientHello was read, and its callback (tls_hello_new) wants the
	 * owner to decide: it must call conn_detach() or conn_abort(). NULL
	 * where that can't be. */
	void (*hello)(void *arg);
	/* What was queued has fallen to nothing; may be NULL. */
	void (*drained)(void *arg);
	/* The peer closed, or an error; `why` is "closed by peer", "connection
	 * refused", or names the certificate check that failed. */
	void (*closed)(void *arg, const char *why);
};

/* One a loop: buffer, list of what is to be written. */
struct conn_loop *conn_loop_new(struct event_base *base);
/* Closes the connections that are left, without a word to their owners: not
 * from inside a callback of one. */
void conn_loop_free(struct conn_loop *loop);

/* Takes a connected socket (made non-blocking, TCP_NODELAY). Reading begins. */
struct conn *conn_accept(
    struct conn_loop *loop, int fd, const struct conn_ops *ops, void *arg);

/* Dials; ready() or closed() follows, the latter also after timeout_ms. NULL
 * with errno if no socket could be made. `from` (may be NULL) is bound to. */
struct conn *conn_connect(struct conn_loop *loop, const struct sockaddr *to,
    socklen_t len, const struct sockaddr *from, unsigned timeout_ms,
    const struct conn_ops *ops, void *arg);

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg);

/* Begins TLS as server or client, as set on ssl (SSL_set_accept_state or
 * SSL_set_connect_state), or goes on with a handshake that was detached. Takes
 * ssl. Plain bytes still queued are written first. ready() follows, or
 * closed(). */
void conn_start_tls(struct conn *c, struct ssl_st *ssl);
struct ssl_st *conn_ssl(struct conn *c); /* NULL: plain; borrowed */
int conn_fd(const struct conn *c);

void conn_write(struct conn *c, const void *data, size_t len);
size_t conn_pending(const struct conn *c); /* bytes not yet written */

void conn_pause(struct conn *c); /* stops reading: back-pressure */
void conn_resume(struct conn *c);

/* Writes what is queued, says goodbye, closes: in at most two seconds. */
void conn_close(struct conn *c);
void conn_abort(struct conn *c); /* at once, with a reset */

/* Gives socket and SSL away, for another loop. Nothing may be queued. */
void conn_detach(struct conn *c, int *fd, struct ssl_st **ssl);

/* closed("timed out") unless called again within ms; 0 ends it. */
void conn_set_deadline(struct conn *c, unsigned ms);

#endif
