/*
 * A component's connection to one XMPP server.
 *
 *   CONNECTING --ready--> TLS --ready, certificate fits--> OPENING
 *     --<stream>--> PROVING --<handshake/>--> ONLINE
 *
 * Failures: refused, timed out, a certificate that doesn't fit, a stream error,
 * a stream that isn't a component's, an end: each ends in failed() with the
 * reason. A secret or a name that the server doesn't know is told apart from
 * the rest, since trying again soon won't help.
 */
#include "callbridge/component.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/conn.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/pki.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "common/xmlstream.h"

#define STREAM_MS 2500 /* from dialling to the server's stream header */
/* A cluster that has just lost a member lets a log-in wait until it knows what
 * became of the old one; that is longer than 3 s, its usual hold. */
#define PROOF_MS 5000
#define PING_MS 1000
#define SILENCE_MS 2000
#define PENDING_MAX 262144 /* unsent bytes: more, and nothing is read */
#define PING_ID "keepalive"

enum component_state {
	COMPONENT_CONNECTING,
	COMPONENT_TLS,
	COMPONENT_OPENING,
	COMPONENT_PROVING,
	COMPONENT_ONLINE
};

/* How long each may last, and what is said when it lasted longer. */
static const struct {
	const char *text;
	unsigned ms;
} component_limits[] = {
	[COMPONENT_CONNECTING] = { "no connection", STREAM_MS },
	[COMPONENT_TLS] = { "no answer to the TLS handshake", STREAM_MS },
	[COMPONENT_OPENING] = { "no answer to the stream", STREAM_MS },
	[COMPONENT_PROVING] = { "no answer to the log-in", PROOF_MS },
	[COMPONENT_ONLINE] = { "no answer to a ping", SILENCE_MS },
};

struct component {
	struct conn *conn;
	struct xmlstream *xml;
	struct event *timer;
	enum component_state state;
	const struct component_ops *ops;
	void *arg;
	SSL_CTX *tls;
	char *jid, *domain, *secret;
	uint16_t port;
	int error;   /* of a connection that could not be begun */
	bool pinged; /* and nothing came since */
};

static const struct xml_limits component_stanza_limits = {
	.element = 262144,
	.depth = 32,
	.attributes = 64,
};

static void
component_free(struct component *c)
{
	xmlstream_free(c->xml);
	event_free(c->timer);
	SSL_CTX_free(c->tls);
	free(c->jid);
	free(c->domain);
	crypto_wipe_free(c->secret);
	free(c);
}

/* Ends it and tells the owner. Nothing of c may be touched afterwards. */
static void __attribute__((format(printf, 3, 4))) component_fail(
    struct component *c, enum connector_failure failure, const char *fmt, ...)
{
	const struct component_ops *ops = c->ops;
	void *arg = c->arg;
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (c->conn != NULL)
		conn_close(c->conn);
	component_free(c);
	ops->failed(arg, failure, why);
}

static void
component_set_timer(struct component *c, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(c->timer, &tv);
}

static void
component_write(struct component *c, const char *text)
{
	conn_write(c->conn, text, strlen(text));
}

/* ---- the stream -------------------------------------------------------- */

static void
component_open_cb(void *arg, const struct xml_open *open)
{
	struct component *c = arg;
	uint8_t digest[20];
	char hex[41], *proof;
	int len;

	if (!str_equal(open->name, "stream") ||
	    !str_equal(open->ns, NS_STREAM)) {
		component_fail(
		    c, CONNECTOR_UNREACHED, "what answers is no XMPP server");
		return;
	}
	/* The stream error that explains another namespace comes next. */
	if (!str_equal(open->content_ns, NS_COMPONENT) || open->id == NULL)
		return;
	/* XEP-0114, 3: SHA-1 of stream id and secret, in lower case. */
	len = xasprintf(&proof, "%s%s", open->id, c->secret);
	crypto_sha1(proof, (size_t)len, digest);
	crypto_wipe_free(proof);
	crypto_hex(digest, sizeof(digest), hex);
	c->state = COMPONENT_PROVING;
	component_set_timer(c, PROOF_MS);
	component_write(c, "<handshake>");
	component_write(c, hex);
	component_write(c, "</handshake>");
}

/* The text of a stream error, "" if there is none; the caller frees. */
static char *
component_error_text(const struct xml_stanza *s)
{
	struct buf bytes = { 0 };
	struct xml *tree;
	const char *text;
	char *copy;

	xml_stanza_write(&bytes, s, NULL, NULL, NULL);
	tree = xml_parse(buf_str(&bytes), bytes.len);
	text = tree != NULL ? xml_child_text(tree, "text") : NULL;
	copy = xstrdup(text != NULL ? text : "");
	xml_free(tree);
	buf_clear(&bytes);
	return copy;
}

static void
component_stream_error(struct component *c, const struct xml_stanza *s)
{
	char *text = component_error_text(s);
	const char *name = s->child != NULL ? s->child : "no condition";
	bool refused = c->state != COMPONENT_ONLINE &&
	    (str_equal(name, "not-authorized") ||
		str_equal(name, "host-unknown"));
	char said[300];

	snprintf(said, sizeof(said), "%s%s%s%s", name,
	    text[0] != '\0' ? " (" : "", text, text[0] != '\0' ? ")" : "");
	free(text);
	if (refused)
		component_fail(c, CONNECTOR_UNAUTHORIZED,
		    "name %s or secret refused: %s", c->jid, said);
	else
		component_fail(
		    c, CONNECTOR_UNREACHED, "the server says %s", said);
}

static void
component_stanza_cb(void *arg, const struct xml_stanza *s)
{
	struct component *c = arg;

	if (str_equal(s->ns, NS_STREAM) && str_equal(s->name, "error")) {
		component_stream_error(c, s);
	} else if (c->state == COMPONENT_PROVING) {
		if (!str_equal(s->name, "handshake") || !s->content_ns) {
			component_fail(c, CONNECTOR_UNREACHED,
			    "the server answered the log-in with <%s/>",
			    s->name);
			return;
		}
		c->state = COMPONENT_ONLINE;
		component_set_timer(c, PING_MS);
		c->ops->online(c->arg);
	} else if (c->state == COMPONENT_ONLINE && s->content_ns) {
		if (str_equal(s->id, PING_ID) &&
		    (str_equal(s->type, "result") ||
			str_equal(s->type, "error")))
			return;
		c->ops->stanza(c->arg, s);
	} else if (c->state == COMPONENT_OPENING) {
		component_fail(c, CONNECTOR_UNREACHED,
		    "what answers does not speak to components, is port %u "
		    "right?",
		    (unsigned)c->port);
	}
}

static void
component_close_cb(void *arg)
{
	component_fail(
	    arg, CONNECTOR_UNREACHED, "the server closed the stream");
}

static void
component_error_cb(void *arg, enum stream_error error, const char *text)
{
	component_fail(arg, CONNECTOR_UNREACHED,
	    "the server sent what is no XMPP: %s (%s)",
	    stream_error_name(error), text);
}

static const struct xmlstream_ops component_stream_ops = {
	.open = component_open_cb,
	.stanza = component_stanza_cb,
	.close = component_close_cb,
	.error = component_error_cb,
};

/* ---- the connection ---------------------------------------------------- */

static void
component_read_cb(void *arg, const uint8_t *data, size_t len)
{
	struct component *c = arg;

	/* Any byte shows that the server lives. */
	if (c->state == COMPONENT_ONLINE && c->pinged) {
		c->pinged = false;
		component_set_timer(c, PING_MS);
	}
	xmlstream_feed(c->xml, data, len);
}

static void
component_start_tls(struct component *c)
{
	SSL *ssl = tls_client_ssl(c->tls, NULL);
	char *name = pki_domain(c->domain);

	/* The name is checked when all that the certificate says is there. */
	if (name != NULL)
		SSL_set_tlsext_host_name(ssl, name);
	free(name);
	c->state = COMPONENT_TLS;
	conn_start_tls(c->conn, ssl);
}

static void
component_start_stream(struct component *c)
{
	X509 *cert = SSL_get0_peer_certificate(conn_ssl(c->conn));
	struct buf out = { 0 };
	char *names;

	if (!pki_covers_domain(cert, c->domain)) {
		names = pki_names_text(cert);
		component_fail(c, CONNECTOR_UNREACHED,
		    "certificate not accepted: it is for %s, not for %s", names,
		    c->domain);
		free(names);
		return;
	}
	c->state = COMPONENT_OPENING;
	buf_add_str(&out,
	    "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT
	    "' xmlns:stream='" NS_STREAM "'");
	xml_add_attr(&out, "to", c->jid);
	buf_add_str(&out, ">");
	conn_write(c->conn, out.data, out.len);
	buf_clear(&out);
}

static void
component_ready_cb(void *arg)
{
	struct component *c = arg;

	if (c->state == COMPONENT_CONNECTING)
		component_start_tls(c);
	else
		component_start_stream(c);
}

static void
component_drained_cb(void *arg)
{
	struct component *c = arg;

	conn_resume(c->conn);
}

static void
component_closed_cb(void *arg, const char *why)
{
	struct component *c = arg;

	c->conn = NULL;
	if (c->state == COMPONENT_TLS && c->port == 5222)
		component_fail(c, CONNECTOR_UNREACHED,
		    "%s; 5222 is the port of clients, components use 5223",
		    why);
	else
		component_fail(c, CONNECTOR_UNREACHED, "%s", why);
}

static const struct conn_ops component_conn_ops = {
	.read = component_read_cb,
	.ready = component_ready_cb,
	.drained = component_drained_cb,
	.closed = component_closed_cb,
};

/* ---- life -------------------------------------------------------------- */

static void
component_ping(struct component *c)
{
	struct buf out = { 0 };

	buf_add_str(&out, "<iq type='get' id='" PING_ID "'");
	xml_add_attr(&out, "from", c->jid);
	xml_add_attr(&out, "to", c->domain);
	buf_add_str(&out, "><ping xmlns='" NS_PING "'/></iq>");
	conn_write(c->conn, out.data, out.len);
	buf_clear(&out);
	c->pinged = true;
	component_set_timer(c, SILENCE_MS);
}

static void
component_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct component *c = arg;

	(void)fd;
	(void)what;
	if (c->conn == NULL)
		component_fail(
		    c, CONNECTOR_UNREACHED, "%s", strerror(c->error));
	else if (c->state == COMPONENT_ONLINE && !c->pinged)
		component_ping(c);
	else
		component_fail(c, CONNECTOR_UNREACHED, "%s within %.1f s",
		    component_limits[c->state].text,
		    component_limits[c->state].ms / 1000.0);
}

static uint16_t
component_port(const struct component_login *login)
{
	const struct sockaddr_storage *to = &login->to;

	return ntohs(to->ss_family == AF_INET6
		? ((const struct sockaddr_in6 *)to)->sin6_port
		: ((const struct sockaddr_in *)to)->sin_port);
}

struct component *
component_open(const struct component_login *login,
    const struct component_ops *ops, void *arg)
{
	struct component *c = xcalloc(1, sizeof(*c));

	c->ops = ops;
	c->arg = arg;
	c->jid = xstrdup(login->jid);
	c->domain = xstrdup(login->domain);
	c->secret = xstrdup(login->secret);
	c->port = component_port(login);
	c->tls = login->tls;
	SSL_CTX_up_ref(c->tls);
	c->xml =
	    xmlstream_new(&component_stanza_limits, &component_stream_ops, c);
	c->timer = evtimer_new(login->base, component_timer_cb, c);
	if (c->timer == NULL)
		fatalx("component: no timer");
	c->conn = conn_connect(login->loop, (const struct sockaddr *)&login->to,
	    login->to_len, NULL, 0, &component_conn_ops, c);
	c->error = errno;
	component_set_timer(c, c->conn != NULL ? STREAM_MS : 0);
	return c;
}

void
component_send(struct component *c, const struct buf *stanza)
{
	conn_write(c->conn, stanza->data, stanza->len);
	if (conn_pending(c->conn) > PENDING_MAX)
		conn_pause(c->conn);
}

void
component_close(struct component *c)
{
	if (c == NULL)
		return;
	if (c->conn != NULL) {
		if (c->state >= COMPONENT_OPENING)
			component_write(c, "</stream:stream>");
		conn_close(c->conn);
	}
	component_free(c);
}
