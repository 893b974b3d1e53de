/*
 * XMPP over WebSocket (RFC 7395): what lies between the connection and the
 * session of a client that came to that port.
 *
 *   bytes -> http.c, until the connection is upgraded
 *         -> wslay: frames -> each message, a document -> xmlstream -> session
 *   elements -> framing.c: documents -> wslay: frames -> bytes
 *
 * A message isn't gathered: its bytes go to the parser as they come, so that
 * the stream's limits are those of a stream on TCP. wslay answers pings, and
 * refuses what breaks RFC 6455: no mask, reserved bits, no UTF-8.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "common/log.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "xmppd/edge/auth.h"
#include "xmppd/edge/framing.h"
#include "xmppd/edge/http.h"

#define ALPN_HTTP "http/1.1"

struct ws {
	struct session *session;
	struct http *http;              /* NULL: upgraded */
	wslay_event_context_ptr frames; /* NULL: not yet */
	const uint8_t *in;              /* being read */
	size_t in_len;
	bool begun; /* the message has had its first byte */
	bool data;  /* the frame is part of a message */
	bool busy, gone;
};

/* ---- frames in --------------------------------------------------------- */

static ssize_t
recv_cb(
    wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;

	(void)flags;
	if (ws->in_len == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (len > ws->in_len)
		len = ws->in_len;
	memcpy(buf, ws->in, len);
	ws->in += len;
	ws->in_len -= len;
	return (ssize_t)len;
}

static void
frame_cb(wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct ws *ws = arg;

	ws->data = !wslay_is_ctrl_frame(frame->opcode);
	if (frame->opcode == WSLAY_TEXT_FRAME)
		ws->begun = false;
	if (frame->opcode != WSLAY_BINARY_FRAME)
		return;
	/* RFC 7395, 3.2 */
	wslay_event_queue_close(ctx, WSLAY_CODE_UNSUPPORTED_DATA, NULL, 0);
	wslay_event_shutdown_read(ctx);
}

static void
chunk_cb(wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct ws *ws = arg;

	(void)ctx;
	if (ws->gone || !ws->data || chunk->data_length == 0)
		return;
	/* RFC 7395, 3.8: no white space before it, nor alone. */
	if (!ws->begun && chunk->data[0] != '<') {
		session_error(ws->session, STREAM_BAD_FORMAT,
		    "a message begins with '<'");
		return;
	}
	ws->begun = true;
	xmlstream_feed(ws->session->xml, chunk->data, chunk->data_length);
}

static void
message_cb(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
	struct ws *ws = arg;

	(void)ctx;
	if (!ws->gone && message->opcode == WSLAY_TEXT_FRAME)
		xmlstream_end_frame(ws->session->xml);
}

static ssize_t
send_cb(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
    void *arg)
{
	struct ws *ws = arg;

	(void)ctx, (void)flags;
	session_send(ws->session, data, len);
	return (ssize_t)len;
}

static const struct wslay_event_callbacks callbacks = {
	.recv_callback = recv_cb,
	.send_callback = send_cb,
	.on_frame_recv_start_callback = frame_cb,
	.on_frame_recv_chunk_callback = chunk_cb,
	.on_msg_recv_callback = message_cb,
};

/* What was read is answered; the connection ends if that is what it was. */
static void
frames_settle(struct ws *ws)
{
	struct session *s = ws->session;
	char why[64];

	wslay_event_send(ws->frames);
	if (wslay_event_get_close_sent(ws->frames) != 0) {
		snprintf(why, sizeof(why), "WebSocket closed (%u)",
		    wslay_event_get_status_code_sent(ws->frames));
		session_lose(s, why);
	} else if (conn_pending(s->conn) > 2 * s->ops->queue_max) {
		/* Pongs, and answers to what is wrong. */
		session_abort(s, "it reads no answers");
	}
}

static void
frames_read(struct ws *ws, const uint8_t *data, size_t len)
{
	ws->in = data;
	ws->in_len = len;
	ws->busy = true;
	wslay_event_recv(ws->frames); /* what fails ends with a Close */
	ws->busy = false;
	ws->in = NULL;
	ws->in_len = 0;
	if (ws->gone)
		ws_free(ws);
	else
		frames_settle(ws);
}

/* ---- before: HTTP ------------------------------------------------------ */

static bool
serves(void *arg, const char *domain)
{
	const struct stream_domain *d = arg;

	for (; d != NULL; d = d->next)
		if (d->on && strcmp(d->name, domain) == 0)
			return true;
	return false;
}

static void
upgrade(struct ws *ws)
{
	http_free(ws->http);
	ws->http = NULL;
	if (wslay_event_context_server_init(&ws->frames, &callbacks, ws) != 0)
		fatalx("ws: out of memory");
	wslay_event_config_set_no_buffering(ws->frames, 1);
}

/* How many bytes are left, of what came behind the request. */
static size_t
http_take(struct ws *ws, const uint8_t *data, size_t len)
{
	struct session *s = ws->session;
	struct buf *out = &s->edge->out;
	size_t used;

	buf_reset(out);
	switch (http_read(ws->http, data, len, &used, out)) {
	case HTTP_MORE:
		return 0;
	case HTTP_DONE:
		session_close_with_out(s, "HTTP, no WebSocket");
		return 0;
	case HTTP_UPGRADE:
		break;
	}
	session_flush(s);
	upgrade(ws);
	return len - used;
}

void
ws_read(struct session *s, const uint8_t *data, size_t len)
{
	struct ws *ws = s->ws;
	size_t left = len;

	if (ws->http != NULL)
		left = http_take(ws, data, len);
	if (left > 0)
		frames_read(ws, data + len - left, left);
}

bool
ws_write_error(
    const struct session *s, enum stream_error error, struct buf *out)
{
	if (s->ws == NULL || s->ws->http == NULL)
		return false;
	if (error == STREAM_CONNECTION_TIMEOUT)
		http_write_timeout(out);
	else
		http_write_unavailable(out);
	return true;
}

/* ---- elements ---------------------------------------------------------- */

bool
ws_write(struct session *s, const void *data, size_t len)
{
	struct buf *message = &s->edge->message;
	struct text run = { data, len };

	if (s->ws->frames == NULL)
		return false;
	while (framing_next(&run, message)) {
		const struct wslay_event_msg text = { .opcode =
							  WSLAY_TEXT_FRAME,
			.msg = message->data,
			.msg_length = message->len };

		wslay_event_queue_msg(s->ws->frames, &text);
	}
	wslay_event_send(s->ws->frames);
	return true;
}

void
ws_close(struct session *s)
{
	if (s->ws == NULL || s->ws->frames == NULL)
		return;
	wslay_event_queue_close(
	    s->ws->frames, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
	wslay_event_send(s->ws->frames);
}

/* RFC 7395, 3.3.3: <open/> has what a stream's header has. */
static void
open_take(struct session *s, const struct xml_stanza *stanza)
{
	bool ours = strcmp(stanza->ns, NS_FRAMING) == 0 &&
	    strcmp(stanza->name, "open") == 0;
	struct xml *x = auth_tree(stanza);
	struct xml_open open = { .name = ours ? "stream" : stanza->name,
		.ns = ours ? NS_STREAM : stanza->ns,
		.content_ns = NS_CLIENT,
		.to = stanza->to,
		.from = stanza->from,
		.id = stanza->id,
		.lang = stanza->lang,
		.version = x == NULL ? NULL : xml_attr(x, "version") };

	s->ops->header(s, &open);
	xml_free(x);
}

bool
ws_takes(struct session *s, const struct xml_stanza *stanza)
{
	bool framing = strcmp(stanza->ns, NS_FRAMING) == 0;

	if (framing && strcmp(stanza->name, "close") == 0)
		session_peer_closed(s);
	else if (s->stream.state == STREAM_OPENING)
		open_take(s, stanza);
	else if (framing)
		session_error(
		    s, STREAM_BAD_FORMAT, "the stream is open already");
	else
		return false;
	return true;
}

/* ---- life -------------------------------------------------------------- */

struct ssl_st *
ws_tls(const struct edge *e)
{
	struct ssl_st *ssl = tls_server_ssl(e->client_tls, NULL);

	tls_set_protocol(ssl, ALPN_HTTP);
	return ssl;
}

struct ws *
ws_new(struct session *s)
{
	struct ws *ws = xcalloc(1, sizeof(*ws));

	ws->session = s;
	ws->http = http_new(serves, &s->edge->domains);
	s->stream.framed = true;
	xmlstream_set_framed(s->xml, NS_CLIENT);
	return ws;
}

void
ws_free(struct ws *ws)
{
	if (ws == NULL)
		return;
	if (ws->busy) {
		ws->gone = true;
		wslay_event_shutdown_read(ws->frames);
		return;
	}
	http_free(ws->http);
	if (ws->frames != NULL)
		wslay_event_context_free(ws->frames);
	free(ws);
}
