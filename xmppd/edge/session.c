/*
 * Sessions: a connection, its stream, and how both end.
 *
 *   session_new -> session_connect | session_adopt
 *     bytes -> xmlstream -> header | element | stanza (by kind and state)
 *     bound: stanzas up (ingress.c), deliveries down (egress.c)
 *   the peer's </stream:stream>: what it sent is finished first, then ours
 *   a stream error, a lost connection, a deadline: at once
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define ENDING_MS 2000

/* Enough for any login. */
#define LOGIN_DEPTH 8
#define LOGIN_ATTRIBUTES 16

const char *
session_name(const struct session *s)
{
	return s->bare != NULL && s->up.full != NULL ? s->up.full : s->peer;
}

/* It doesn't count as a login any more. */
static void
login_done(struct session *s)
{
	if (s->counted)
		logins_done(s->edge->cfg.logins, s->peer);
	s->counted = false;
}

/* ---- the end ----------------------------------------------------------- */

static void
list_remove(struct session *s)
{
	struct edge *e = s->edge;
	bool bound = s->stream.state == STREAM_BOUND;

	TAILQ_REMOVE(s->stream.state == STREAM_ENDING ? &e->ending
		: s->stream.state == STREAM_DETACHED  ? &e->detached
		: bound                               ? &e->sessions
						      : &e->logins,
	    s, next);
}

/* It doesn't count as a connection any more. */
static void
connection_leave(struct session *s)
{
	s->edge->connection_count--;
	logins_leave(s->edge->cfg.logins, s->peer, s->counted);
}

/* What was between the connection and the session. */
static void
transport_free(struct session *s)
{
	rest_end(s);
	xmlstream_free(s->xml);
	ws_free(s->ws);
	s->xml = NULL;
	s->ws = NULL;
	s->conn = NULL;
}

/* It is over: nothing of it is left but its memory. */
static void
session_drop(struct session *s, const char *why)
{
	struct edge *e = s->edge;

	if (s->bare != NULL)
		log_info("edge: %s: closed: %s", session_name(s), why);
	else
		log_debug("edge: %s: closed: %s", s->peer, why);
	if (s->stream.component && s->bare != NULL)
		e->component_count--;
	list_remove(s);
	if (s->stream.state != STREAM_DETACHED)
		connection_leave(s);
	stream_set_state(&s->stream, STREAM_CLOSED, s->peer);
	uplink_cancel(e->uplink, s);
	resume_give_back(s);
	uplink_end(e->uplink, &s->up);
	egress_end(s);
	throttle_end(s);
	resume_end(s);
	csi_end(s);
	s->ops->forget_login(s);
	transport_free(s);
	TAILQ_INSERT_TAIL(&e->gone, s, next);
	event_active(e->reap, EV_TIMEOUT, 0);
}

void
session_free(struct session *s)
{
	if (s->first != NULL) {
		event_free(s->first);
		close(s->fd);
	}
	stream_clear(&s->stream);
	ingress_clear(s);
	free(s->bare);
	free(s->peer);
	free(s);
}

void
session_abort(struct session *s, const char *why)
{
	if (s->stream.state == STREAM_CLOSED)
		return;
	if (s->conn != NULL) {
		s->unsent = conn_pending(s->conn);
		conn_abort(s->conn);
	}
	session_drop(s, why);
}

/* What is written still goes, and then its end. */
static void
connection_close(struct session *s)
{
	ws_close(s);
	s->unsent = conn_pending(s->conn);
	conn_close(s->conn);
}

/* The connection takes what is in edge.out, and its end. */
void
session_close_with_out(struct session *s, const char *why)
{
	session_flush(s);
	connection_close(s);
	session_drop(s, why);
}

void
session_lose(struct session *s, const char *why)
{
	connection_close(s);
	s->conn = NULL;
	if (!resume_detach(s, why))
		session_drop(s, why);
}

void
session_error(struct session *s, enum stream_error error, const char *text)
{
	struct stream_fault fault = { error, text };
	char why[256];

	if (s->stream.state == STREAM_CLOSED)
		return;
	if (s->conn == NULL) {
		session_abort(s, stream_error_name(error));
		return;
	}
	snprintf(why, sizeof(why), "%s%s%s", stream_error_name(error),
	    text == NULL ? "" : ": ", text == NULL ? "" : text);
	buf_reset(&s->edge->out);
	if (!ws_write_error(s, error, &s->edge->out)) {
		managed_write_last(s, &s->edge->out);
		stream_write_error(&s->stream, fault, &s->edge->out);
	}
	session_close_with_out(s, why);
}

void
session_finish(struct session *s, const char *why)
{
	if (s->stream.state == STREAM_CLOSED)
		return;
	if (s->conn == NULL) {
		session_abort(s, why);
		return;
	}
	csi_flush(s);
	buf_reset(&s->edge->out);
	managed_write_last(s, &s->edge->out);
	stream_write_end(&s->stream, &s->edge->out);
	session_close_with_out(s, why);
}

void
session_leave(struct session *s)
{
	s->managed->left = true;
	uplink_remove(s->edge->uplink, &s->up);
	session_abort(s, "it goes on elsewhere");
}

void
session_let_go(struct session *s)
{
	list_remove(s);
	connection_leave(s);
	stream_set_state(&s->stream, STREAM_DETACHED, session_name(s));
	s->paused = false;
	throttle_end(s);
	transport_free(s);
}

void
session_replace(struct session *s)
{
	struct stream_fault fault = { STREAM_CONFLICT, "it is resumed" };

	buf_reset(&s->edge->out);
	stream_write_error(&s->stream, fault, &s->edge->out);
	session_flush(s);
	connection_close(s);
	s->conn = NULL;
	if (!resume_detach(s, "another one takes its place"))
		session_drop(s, "it can't be resumed");
}

/* ---- writing ----------------------------------------------------------- */

void
session_write(struct session *s, const void *data, size_t len)
{
	if (s->ws == NULL || !ws_write(s, data, len))
		session_send(s, data, len);
}

void
session_send(struct session *s, const void *data, size_t len)
{
	if (s->conn == NULL)
		return;
	s->queued += len;
	s->edge->counters.bytes_out += len;
	conn_write(s->conn, data, len);
}

void
session_flush(struct session *s)
{
	session_write(s, s->edge->out.data, s->edge->out.len);
	buf_reset(&s->edge->out);
}

void
session_flush_stanza(struct session *s)
{
	struct buf *out = &s->edge->out;

	csi_flush(s);
	egress_stanza(
	    s, NULL, (struct text){ (const char *)out->data, out->len });
	buf_reset(out);
}

/* ---- the stream's events ----------------------------------------------- */

static void
open_cb(void *arg, const struct xml_open *open)
{
	struct session *s = arg;

	if (open->content_ns == NULL)
		xmlstream_set_content(
		    s->xml, s->stream.component ? NS_COMPONENT : NS_CLIENT);
	s->ops->header(s, open);
}

static void
stanza_cb(void *arg, const struct xml_stanza *stanza)
{
	struct session *s = arg;
	enum stream_input input = stream_input(&s->stream, stanza);
	struct stream_fault fault = stream_allows(&s->stream, input);

	if (s->ws != NULL && ws_takes(s, stanza))
		return;
	if (fault.error != STREAM_ERROR_NONE)
		session_error(s, fault.error, fault.text);
	else if (input == INPUT_ERROR)
		session_finish(s, "a stream error of the peer");
	else if (input == INPUT_MANAGEMENT)
		managed_element(s, stanza);
	else if (input == INPUT_ACTIVITY)
		csi_element(s, stanza);
	else if (s->stream.state == STREAM_BOUND) {
		s->count++;
		s->edge->counters.stanzas_in++;
		ingress_stanza(s, stanza);
	} else
		s->ops->element(s, input, stanza);
}

/*
 * RFC 6120, 4.4: the peer sends nothing more, and may wait for the answers to
 * what it has sent. They are there when all of that is acknowledged.
 */
void
session_peer_closed(struct session *s)
{
	if (s->stream.state != STREAM_BOUND || uplink_is_empty(&s->up)) {
		session_finish(s, "by the peer");
		return;
	}
	list_remove(s);
	/* It may have closed its side of the connection, too: unseen as yet. */
	conn_pause(s->conn);
	stream_set_state(&s->stream, STREAM_ENDING, session_name(s));
	TAILQ_INSERT_TAIL(&s->edge->ending, s, next);
	s->until = edge_now(s->edge) + ENDING_MS;
}

static void
close_cb(void *arg)
{
	session_peer_closed(arg);
}

static void
space_cb(void *arg)
{
	struct session *s = arg;

	if (s->ops->space != NULL)
		s->ops->space(s);
}

static void
error_cb(void *arg, enum stream_error error, const char *text)
{
	session_error(arg, error, text);
}

static const struct xmlstream_ops xml_ops = {
	.open = open_cb,
	.stanza = stanza_cb,
	.close = close_cb,
	.space = space_cb,
	.error = error_cb,
};

/* ---- the connection's events ------------------------------------------- */

static void
read_cb(void *arg, const uint8_t *data, size_t len)
{
	struct session *s = arg;

	s->edge->counters.bytes_in += len;
	if (s->ws != NULL)
		ws_read(s, data, len);
	else
		xmlstream_feed(s->xml, data, len);
	if (s->stream.state == STREAM_CLOSED || s->conn == NULL)
		return;
	rest_after_read(s);
	throttle_read(s, len);
	/* Rule 6 of delivery(7): the window is full; its socket waits (G5). */
	if (uplink_is_full(&s->up) && !s->paused) {
		s->paused = true;
		conn_pause(s->conn);
	}
}

static void
ready_cb(void *arg)
{
	struct session *s = arg;

	s->stream.secure = true;
}

static void
drained_cb(void *arg)
{
	egress_drained(arg);
}

static void
closed_cb(void *arg, const char *why)
{
	struct session *s = arg;

	s->unsent = conn_pending(s->conn);
	if (s->bare == NULL)
		log_info("edge: %s: lost before login: %s", s->peer, why);
	if (!resume_detach(s, why))
		session_drop(s, why);
}

static const struct conn_ops conn_ops = {
	.read = read_cb,
	.ready = ready_cb,
	.drained = drained_cb,
	.closed = closed_cb,
};

/* ---- the beginning ----------------------------------------------------- */

/* Until it has shown who it is, a peer needs to say little. */
static struct xml_limits
limits_of(const struct session *s)
{
	const struct edge *e = s->edge;

	if (!s->stream.authenticated && s->bare == NULL)
		return (struct xml_limits){ .element = edge_limit(
						e, LIMIT_LOGIN_STANZA),
			.depth = LOGIN_DEPTH,
			.attributes = LOGIN_ATTRIBUTES };
	return (struct xml_limits){ .element = edge_limit(e, LIMIT_STANZA),
		.depth = (unsigned)edge_limit(e, LIMIT_DEPTH),
		.attributes = (unsigned)edge_limit(e, LIMIT_ATTRIBUTES) };
}

void
session_limit(struct session *s)
{
	struct xml_limits limits = limits_of(s);

	xmlstream_set_limits(s->xml, &limits);
}

struct session *
session_new(struct edge *e, enum edge_port port, const char *peer)
{
	struct session *s = xcalloc(1, sizeof(*s));
	bool component = port == PORT_COMPONENT;
	struct xml_limits limits;

	s->edge = e;
	s->ops = component ? &component_ops : &c2s_ops;
	s->peer = xstrdup(peer);
	s->fd = -1;
	stream_init(&s->stream, &e->domains, component);
	s->counted = logins_enter(e->cfg.logins, peer, &e->cfg.limits);
	if (!s->counted) {
		session_free(s);
		return NULL;
	}
	limits = limits_of(s);
	s->xml = xmlstream_new(&limits, &xml_ops, s);
	if (port == PORT_WEBSOCKET)
		s->ws = ws_new(s);
	else
		xmlstream_share(s->xml, e->parsers);
	s->until = edge_now(e) + edge_limit(e, LIMIT_LOGIN_TIME) * 1000;
	TAILQ_INSERT_TAIL(&e->logins, s, next);
	e->connection_count++;
	return s;
}

void
session_connect(struct session *s, int fd, struct ssl_st *ssl)
{
	s->conn = conn_accept(s->edge->loop, fd, &conn_ops, s);
	if (ssl != NULL)
		conn_start_tls(s->conn, ssl);
}

static void
first_cb(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct ssl_ctx_st *tls = s->edge->component_tls;
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)what;
	if (n <= 0) {
		session_abort(s, "closed before its first byte");
		return;
	}
	event_free(s->first);
	s->first = NULL;
	/* 22: a TLS handshake record. Else it is answered as it spoke. */
	session_connect(s, s->fd,
	    byte == 22 && tls != NULL ? tls_server_ssl(tls, NULL) : NULL);
}

void
session_wait_first(struct session *s, int fd)
{
	s->fd = fd;
	s->first = event_new(s->edge->base, fd, EV_READ, first_cb, s);
	event_add(s->first, NULL);
}

/* ---- bound ------------------------------------------------------------- */

uint32_t
session_window(const struct session *s)
{
	return s->stream.component ? s->edge->cfg.window / 2
				   : s->edge->cfg.session_window;
}

void
session_is_bound(struct session *s)
{
	struct edge *e = s->edge;
	const char *slash = strchr(s->up.full, '/');

	list_remove(s);
	login_done(s);
	stream_set_state(&s->stream, STREAM_BOUND, s->peer);
	TAILQ_INSERT_TAIL(&e->sessions, s, next);
	e->counters.logins += !s->stream.component;
	s->bare = slash == NULL
	    ? xstrdup(s->up.full)
	    : xstrndup(s->up.full, (size_t)(slash - s->up.full));
	s->since = clock_unix();
	if (s->stream.component)
		e->component_count++;
	session_limit(s);
	s->ops->forget_login(s);
}

void
session_read_on(struct session *s)
{
	if (!s->paused && !s->throttled && s->conn != NULL)
		conn_resume(s->conn);
}

/* Something that it sent was acknowledged. */
void
session_moved(struct session *s, uint64_t seq)
{
	if (s->managed != NULL)
		managed_moved(s, seq);
	if (s->stream.state == STREAM_ENDING) {
		if (uplink_is_empty(&s->up))
			session_finish(s, "by the peer");
		return;
	}
	if (s->paused && uplink_has_room(&s->up)) {
		s->paused = false;
		session_read_on(s);
	}
}
