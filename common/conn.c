/*
 * Connections: TCP, and TLS over it, on libevent.
 *
 *   accept ------------> PLAIN --start_tls--> HANDSHAKE --> SECURE
 *   connect -> CONNECTING --^                                 |
 *   any state --conn_close--> CLOSING (writes the rest) --> gone
 *   any state --error, end of stream--> ops.closed --> gone
 *
 * Failures: each ends in closed() with a reason in words. A deadline may be
 * set at any time and ends the same way.
 */
#include "common/conn.h"

#include <sys/queue.h>

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/buf.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define READ_MAX 65536 /* bytes a connection may bring in one turn */
#define READS                                                                  \
	32 /* connections that are read before what they said is acted         \
	      on: what that takes should be in the cache still */
#define CLOSE_MS 2000
#define SPARE_MAX 64 /* buffers that a loop keeps for what is written next */
#define SPARE_SIZE 16384

enum conn_state {
	CONN_CONNECTING,
	CONN_PLAIN,
	CONN_HANDSHAKE,
	CONN_SECURE,
	CONN_CLOSING, /* the owner has gone; the rest is being written */
	CONN_DEAD,    /* freed as soon as no callback of it is running */
};

struct conn {
	struct conn_loop *loop;
	const struct conn_ops *ops;
	void *arg;
	enum conn_state state;
	int fd;
	SSL *ssl;
	SSL *next_ssl; /* begins when what is queued has been written */
	struct event on_read, on_write;
	struct event *deadline;
	struct buf out;
	size_t written; /* of out */
	bool paused, dirty, readable, shut;
	unsigned busy; /* callbacks of this connection that are running */
	TAILQ_ENTRY(conn) next_dirty, next_readable;
	LIST_ENTRY(conn) next;
};

struct conn_loop {
	struct event_base *base;
	struct event *flush, *read;
	TAILQ_HEAD(, conn) dirty, readable;
	LIST_HEAD(, conn) conns;
	struct buf spare[SPARE_MAX];
	size_t spares;
	uint8_t data[READ_MAX];
};

static void conn_flush(struct conn *c);
static void conn_continue(struct conn *c);

/* ---- buffers of what is to be written --------------------------------- */

/* An idle connection has none; a busy one that of the last who wrote. */
static void
out_take(struct conn *c)
{
	if (c->out.data == NULL && c->loop->spares > 0)
		c->out = c->loop->spare[--c->loop->spares];
}

static void
out_give_back(struct conn *c)
{
	c->written = 0;
	if (c->out.data == NULL || c->loop->spares == SPARE_MAX ||
	    c->out.size > SPARE_SIZE) {
		buf_clear(&c->out);
		return;
	}
	buf_reset(&c->out);
	c->loop->spare[c->loop->spares++] = c->out;
	c->out = (struct buf){ 0 };
}

/* ---- the end of a connection ------------------------------------------- */

static void
conn_destroy(struct conn *c)
{
	if (c->fd >= 0) {
		event_del(&c->on_read);
		event_del(&c->on_write);
		close(c->fd);
	}
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (c->dirty)
		TAILQ_REMOVE(&c->loop->dirty, c, next_dirty);
	if (c->readable)
		TAILQ_REMOVE(&c->loop->readable, c, next_readable);
	LIST_REMOVE(c, next);
	SSL_free(c->ssl);
	SSL_free(c->next_ssl);
	buf_clear(&c->out);
	free(c);
}

static void
conn_enter(struct conn *c)
{
	c->busy++;
}

/* Frees it if it died meanwhile; false then. */
static bool
conn_leave(struct conn *c)
{
	if (--c->busy > 0 || c->state != CONN_DEAD)
		return c->state != CONN_DEAD;
	conn_destroy(c);
	return false;
}

/* Takes it from the loop; it stays in memory while a callback runs. */
static void
conn_die(struct conn *c)
{
	c->state = CONN_DEAD;
	if (c->fd >= 0) {
		event_del(&c->on_read);
		event_del(&c->on_write);
		close(c->fd);
		c->fd = -1;
	}
	if (c->busy == 0)
		conn_destroy(c);
}

static void
conn_lost(struct conn *c, const char *why)
{
	bool told = c->state == CONN_CLOSING || c->state == CONN_DEAD;

	if (c->state == CONN_DEAD)
		return;
	conn_enter(c);
	conn_die(c);
	if (!told)
		c->ops->closed(c->arg, why);
	conn_leave(c);
}

static void
conn_lost_errno(struct conn *c, int error)
{
	char why[128];

	snprintf(why, sizeof(why), "%s", strerror(error));
	why[0] = (char)tolower((unsigned char)why[0]);
	conn_lost(c, why);
}

static void
conn_lost_tls(struct conn *c)
{
	char why[256];

	tls_why(c->ssl, why, sizeof(why));
	conn_lost(c, why);
}

/* ---- what is wanted of the loop ---------------------------------------- */

static void
conn_want(struct conn *c, bool read, bool write)
{
	if (c->fd < 0)
		return;
	if (read && !c->paused)
		event_add(&c->on_read, NULL);
	else
		event_del(&c->on_read);
	if (write)
		event_add(&c->on_write, NULL);
	else
		event_del(&c->on_write);
}

static void
conn_mark_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	if (TAILQ_EMPTY(&c->loop->dirty))
		event_active(c->loop->flush, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&c->loop->dirty, c, next_dirty);
}

static void
loop_flush_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn_loop *loop = arg;
	struct conn *c;

	(void)fd, (void)what;
	while ((c = TAILQ_FIRST(&loop->dirty)) != NULL) {
		TAILQ_REMOVE(&loop->dirty, c, next_dirty);
		c->dirty = false;
		conn_flush(c);
	}
}

/* ---- writing ----------------------------------------------------------- */

/* What SSL said: true to go on waiting, false when the connection is lost. */
static bool
conn_ssl_waits(struct conn *c, int rc)
{
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		/* Past the handshake, writing has its own wish. */
		if (c->state == CONN_HANDSHAKE)
			conn_want(c, true, false);
		return true;
	case SSL_ERROR_WANT_WRITE:
		conn_want(c, true, true);
		return true;
	case SSL_ERROR_WANT_CLIENT_HELLO_CB:
		c->ops->hello(c->arg);
		return false;
	case SSL_ERROR_ZERO_RETURN:
		conn_lost(c, "closed by peer");
		return false;
	case SSL_ERROR_SYSCALL:
		if (errno != 0 && ERR_peek_error() == 0) {
			conn_lost_errno(c, errno);
			return false;
		}
		conn_lost_tls(c);
		return false;
	default:
		conn_lost_tls(c);
		return false;
	}
}

/* What OpenSSL says of a failure must not be of an earlier one. To look is much
 * cheaper than to clear. */
static void
ssl_errors_clear(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	errno = 0;
}

/* Writes once; bytes written, 0 when it has to wait, -1 when it was lost. */
static ssize_t
conn_write_once(struct conn *c, const uint8_t *data, size_t len)
{
	ssize_t n;
	int rc;

	if (c->ssl != NULL) {
		ssl_errors_clear();
		rc = SSL_write(
		    c->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
		if (rc > 0)
			return rc;
		return conn_ssl_waits(c, rc) ? 0 : -1;
	}
	n = send(c->fd, data, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR) {
		conn_want(c, true, true);
		return 0;
	}
	conn_lost_errno(c, errno);
	return -1;
}

/* All is out: says so, or goes on with what waited for it. */
static void
conn_drained(struct conn *c)
{
	SSL *ssl = c->next_ssl;

	out_give_back(c);
	event_del(&c->on_write);
	if (ssl != NULL) {
		c->next_ssl = NULL;
		conn_start_tls(c, ssl);
	} else if (c->state == CONN_CLOSING) {
		conn_continue(c);
	} else if (c->ops->drained != NULL) {
		c->ops->drained(c->arg);
	}
}

static void
conn_flush(struct conn *c)
{
	ssize_t n;

	if (c->fd < 0 || c->state == CONN_CONNECTING ||
	    c->state == CONN_HANDSHAKE)
		return;
	conn_enter(c);
	while (c->written < c->out.len && c->fd >= 0) {
		n = conn_write_once(
		    c, c->out.data + c->written, c->out.len - c->written);
		if (n <= 0)
			break;
		c->written += (size_t)n;
	}
	if (c->fd >= 0 && c->written == c->out.len)
		conn_drained(c);
	conn_leave(c);
}

void
conn_write(struct conn *c, const void *data, size_t len)
{
	if (c->state == CONN_DEAD || c->state == CONN_CLOSING || len == 0)
		return;
	/* The front that is out already must not make it grow for ever. */
	if (c->written > c->out.len / 2 && c->written > 4096) {
		buf_drop(&c->out, c->written);
		c->written = 0;
	}
	out_take(c);
	buf_add(&c->out, data, len);
	conn_mark_dirty(c);
}

size_t
conn_pending(const struct conn *c)
{
	return c->out.len - c->written;
}

/* ---- reading ----------------------------------------------------------- */

/* Fills the loop's buffer; what was read, with *more if there may be more.
 * -1: lost. */
static ssize_t
conn_read_tls(struct conn *c, bool *more)
{
	size_t have = 0;
	int rc = 0;

	/* As long as there is something inside SSL: to ask the socket once more
	 * would mostly be in vain, and what is there comes with the next turn.
	 */
	do {
		ssl_errors_clear();
		rc = SSL_read(
		    c->ssl, c->loop->data + have, (int)(READ_MAX - have));
		if (rc <= 0)
			break;
		have += (size_t)rc;
	} while (have < READ_MAX && SSL_has_pending(c->ssl));
	*more = rc > 0 && SSL_has_pending(c->ssl);
	/* What came before an end is handed over first; the end comes again. */
	if (rc <= 0 && have > 0 &&
	    SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ) {
		*more = true;
		return (ssize_t)have;
	}
	if (rc <= 0 && !conn_ssl_waits(c, rc))
		return -1;
	return (ssize_t)have;
}

static ssize_t
conn_read_plain(struct conn *c)
{
	ssize_t n = recv(c->fd, c->loop->data, READ_MAX, 0);

	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		conn_lost(c, "closed by peer");
	else
		conn_lost_errno(c, errno);
	return -1;
}

static void
conn_read(struct conn *c)
{
	bool more = false;
	ssize_t n;

	conn_enter(c);
	n = c->ssl != NULL ? conn_read_tls(c, &more) : conn_read_plain(c);
	if (n > 0)
		c->ops->read(c->arg, c->loop->data, (size_t)n);
	/* Bytes inside SSL make no socket readable. */
	if (conn_leave(c) && more && !c->paused && c->state == CONN_SECURE)
		event_active(&c->on_read, EV_READ, 0);
}

/* ---- the events -------------------------------------------------------- */

static void
conn_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		conn_lost_errno(c, error);
		return;
	}
	conn_set_deadline(c, 0);
	c->state = CONN_PLAIN;
	conn_want(c, true, false);
	c->ops->ready(c->arg);
}

static void
conn_handshake(struct conn *c)
{
	int rc;

	ssl_errors_clear();
	rc = SSL_do_handshake(c->ssl);
	if (rc != 1) {
		conn_ssl_waits(c, rc);
		return;
	}
	c->state = CONN_SECURE;
	conn_want(c, true, false);
	if (c->out.len > 0)
		conn_mark_dirty(c);
	c->ops->ready(c->arg);
	/* The handshake may have read more than its own. */
	if (c->state == CONN_SECURE && !c->paused && c->fd >= 0 &&
	    SSL_has_pending(c->ssl))
		event_active(&c->on_read, EV_READ, 0);
}

/* Writes the rest, then waits for the peer's end, so that what was written
 * last is not lost to a reset. */
static void
conn_closing(struct conn *c)
{
	ssize_t n;

	if (!c->shut) {
		if (c->written < c->out.len)
			return;
		if (c->ssl != NULL && SSL_is_init_finished(c->ssl))
			SSL_shutdown(c->ssl);
		ERR_clear_error();
		shutdown(c->fd, SHUT_WR);
		c->shut = true;
		c->paused = false;
		conn_want(c, true, false);
		return;
	}
	n = recv(c->fd, c->loop->data, READ_MAX, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_die(c);
}

static void
conn_continue(struct conn *c)
{
	conn_enter(c);
	switch (c->state) {
	case CONN_CONNECTING:
		conn_connected(c);
		break;
	case CONN_HANDSHAKE:
		conn_handshake(c);
		break;
	case CONN_CLOSING:
		conn_closing(c);
		break;
	case CONN_PLAIN:
	case CONN_SECURE:
	case CONN_DEAD:
		break;
	}
	conn_leave(c);
}

static void
conn_read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (c->next_ssl != NULL) {
		event_del(&c->on_read); /* conn_start_tls() adds it again */
		return;
	}
	if (c->state != CONN_PLAIN && c->state != CONN_SECURE) {
		conn_continue(c);
		return;
	}
	if (c->readable)
		return;
	c->readable = true;
	if (TAILQ_EMPTY(&c->loop->readable))
		event_active(c->loop->read, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&c->loop->readable, c, next_readable);
}

/* Some of those that are readable; the others after what came of these. */
static void
loop_read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn_loop *loop = arg;
	struct conn *c;

	(void)fd, (void)what;
	for (unsigned i = 0;
	     i < READS && (c = TAILQ_FIRST(&loop->readable)) != NULL; i++) {
		TAILQ_REMOVE(&loop->readable, c, next_readable);
		c->readable = false;
		if (!c->paused && c->next_ssl == NULL &&
		    (c->state == CONN_PLAIN || c->state == CONN_SECURE))
			conn_read(c);
	}
	if (!TAILQ_EMPTY(&loop->readable))
		event_active(loop->read, EV_TIMEOUT, 0);
}

static void
conn_write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	event_del(&c->on_write);
	if (c->state == CONN_CONNECTING || c->state == CONN_HANDSHAKE)
		conn_continue(c);
	else
		conn_flush(c);
}

static void
conn_deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	conn_lost(arg, "timed out");
}

/* ---- life -------------------------------------------------------------- */

struct conn_loop *
conn_loop_new(struct event_base *base)
{
	struct conn_loop *loop = xmalloc(sizeof(*loop));

	loop->base = base;
	loop->flush = event_new(base, -1, 0, loop_flush_cb, loop);
	loop->read = event_new(base, -1, 0, loop_read_cb, loop);
	TAILQ_INIT(&loop->dirty);
	TAILQ_INIT(&loop->readable);
	LIST_INIT(&loop->conns);
	loop->spares = 0;
	return loop;
}

void
conn_loop_free(struct conn_loop *loop)
{
	struct conn *c;

	if (loop == NULL)
		return;
	while ((c = LIST_FIRST(&loop->conns)) != NULL)
		conn_destroy(c);
	while (loop->spares > 0)
		buf_clear(&loop->spare[--loop->spares]);
	event_free(loop->flush);
	event_free(loop->read);
	free(loop);
}

static struct conn *
conn_new(struct conn_loop *loop, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	int on = 1;

	LIST_INSERT_HEAD(&loop->conns, c, next);
	c->loop = loop;
	c->ops = ops;
	c->arg = arg;
	c->fd = fd;
	c->state = CONN_PLAIN;
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event_assign(
	    &c->on_read, loop->base, fd, EV_READ | EV_PERSIST, conn_read_cb, c);
	event_assign(&c->on_write, loop->base, fd, EV_WRITE | EV_PERSIST,
	    conn_write_cb, c);
	return c;
}

struct conn *
conn_accept(
    struct conn_loop *loop, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = conn_new(loop, fd, ops, arg);

	conn_want(c, true, false);
	return c;
}

struct conn *
/* NOLINTNEXTLINE(readability-function-size): a callback and its argument */
conn_connect(struct conn_loop *loop, const struct sockaddr *to, socklen_t len,
    const struct sockaddr *from, unsigned timeout_ms,
    const struct conn_ops *ops, void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct conn *c;
	int error;

	if (fd < 0)
		return NULL;
	c = conn_new(loop, fd, ops, arg);
	c->state = CONN_CONNECTING;
	if ((from != NULL && bind(fd, from, len) != 0) ||
	    (connect(fd, to, len) != 0 && errno != EINPROGRESS)) {
		error = errno;
		conn_destroy(c);
		errno = error;
		return NULL;
	}
	event_add(&c->on_write, NULL);
	conn_set_deadline(c, timeout_ms);
	return c;
}

void
conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg)
{
	c->ops = ops;
	c->arg = arg;
}

void
conn_start_tls(struct conn *c, SSL *ssl)
{
	if (c->state != CONN_PLAIN) {
		SSL_free(ssl);
		return;
	}
	if (conn_pending(c) > 0) {
		/* Until then nothing is read: it belongs to the handshake. */
		c->next_ssl = ssl;
		conn_mark_dirty(c);
		return;
	}
	c->ssl = ssl;
	if (SSL_get_fd(ssl) != c->fd)
		SSL_set_fd(ssl, c->fd);
	c->state = CONN_HANDSHAKE;
	/* One that was begun elsewhere has read what there was. */
	conn_want(c, true, !SSL_is_server(ssl) || !SSL_in_before(ssl));
}

SSL *
conn_ssl(struct conn *c)
{
	return c->ssl;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	if (c->fd >= 0)
		event_del(&c->on_read);
}

void
conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	if (c->fd < 0 || c->next_ssl != NULL)
		return;
	event_add(&c->on_read, NULL);
	if (c->state == CONN_SECURE && SSL_has_pending(c->ssl))
		event_active(&c->on_read, EV_READ, 0);
}

void
conn_close(struct conn *c)
{
	int on = 1;

	if (c->state == CONN_DEAD || c->state == CONN_CLOSING)
		return;
	conn_enter(c);
	if (c->state == CONN_CONNECTING || c->state == CONN_HANDSHAKE) {
		conn_die(c);
	} else {
		c->state = CONN_CLOSING;
		/* The last words, TLS's end and TCP's go out together. */
		setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
		SSL_free(c->next_ssl);
		c->next_ssl = NULL;
		conn_set_deadline(c, CLOSE_MS);
		conn_pause(c);
		conn_flush(c);
	}
	conn_leave(c);
}

void
conn_abort(struct conn *c)
{
	struct linger reset = { 1, 0 };

	if (c->state == CONN_DEAD)
		return;
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	conn_die(c);
}

void
conn_detach(struct conn *c, int *fd, SSL **ssl)
{
	event_del(&c->on_read);
	event_del(&c->on_write);
	*fd = c->fd;
	*ssl = c->ssl;
	c->fd = -1;
	c->ssl = NULL;
	conn_die(c);
}

void
conn_set_deadline(struct conn *c, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (ms == 0) {
		if (c->deadline != NULL)
			event_free(c->deadline);
		c->deadline = NULL;
		return;
	}
	if (c->deadline == NULL)
		c->deadline = evtimer_new(c->loop->base, conn_deadline_cb, c);
	evtimer_add(c->deadline, &tv);
}
