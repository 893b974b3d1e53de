/*
 * An edge, a router and clients in one loop that never sleeps.
 */
#include "tests/lib/edge_pump.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/result.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "tests/lib/certs.h"
#include "xmppd/edge/session.h"
#include "xmppd/edge/logins.h"
#include "xmppd/worker.h"

#define ITERATIONS 64

/* ---- a certificate ----------------------------------------------------- */

static struct ssl_ctx_st *
server_tls(void)
{
	const struct certs_spec spec = { .cn = PUMP_DOMAIN,
		.san = "DNS:" PUMP_DOMAIN };
	const struct certs_who *who = certs_make(&spec);
	struct error e = { 0 };
	struct ssl_ctx_st *ctx =
	    tls_server_new(who->key_pem, who->cert_pem, &e);

	if (ctx == NULL)
		fail_msg("tls_server_new: %s", e.text);
	return ctx;
}

/* ---- the router -------------------------------------------------------- */

static void
down(struct pump *p, struct buf *msg)
{
	if (p->linked)
		edge_down(p->edge, msg->data, msg->len);
	buf_clear(msg);
}

static void
seen_decode(struct seen *s)
{
	struct link_head head;
	struct cursor c;
	int rc = RES_OK;

	cursor_init(&c, s->bytes.data, s->bytes.len);
	assert_int_equal(link_head_decode(&c, &head), RES_OK);
	s->what = head.what;
	s->term = head.term;
	switch (head.what) {
	case UP_ANNOUNCE:
		rc = up_announce_decode(&c, &s->m.announce);
		break;
	case UP_SESSION:
		rc = up_session_decode(&c, &s->m.session);
		break;
	case UP_REPORT:
		rc = up_report_decode(&c, &s->m.report);
		break;
	case UP_FRAME:
		rc = up_frame_decode(&c, &s->m.frame);
		break;
	case UP_ACCEPTED:
	case UP_REFUSED:
	case UP_TAKEN:
		rc = delivery_id_decode(&c, &s->m.id);
		break;
	case UP_AWAY:
		rc = up_away_decode(&c, &s->m.away);
		break;
	case UP_PING:
		rc = up_ping_decode(&c, &s->m.ping);
		break;
	case UP_QUERY:
		rc = up_query_decode(&c, &s->m.query);
		break;
	default:
		break;
	}
	assert_int_equal(rc, RES_OK);
}

static void
up_cb(void *arg, const void *msg, size_t len)
{
	struct pump *p = arg;
	struct seen *s;

	assert_true(p->linked);
	if (p->seen_count == p->seen_size) {
		p->seen_size = p->seen_size == 0 ? 16 : p->seen_size * 2;
		p->seen = xrealloc(p->seen, p->seen_size * sizeof(*p->seen));
	}
	s = &p->seen[p->seen_count++];
	memset(s, 0, sizeof(*s));
	buf_add(&s->bytes, msg, len);
	seen_decode(s);
	if (s->what == UP_ANNOUNCE)
		p->origin = s->m.announce.origin;
}

static void
unlink_cb(void *arg)
{
	struct pump *p = arg;

	p->unlinked++;
	p->linked = false;
}

static uint64_t
now_cb(void *arg)
{
	return ((struct pump *)arg)->now;
}

void
pump_derive(struct pump *p)
{
	struct scram_keys keys = p->keys;

	if (p->derived == NULL)
		return;
	scram_derive_as(p->derive_password, &p->keys, &keys);
	free(p->derive_password);
	p->derive_password = NULL;
	p->derived(p->derived_arg, &keys);
	p->derived = NULL;
}

static void
derive_cb(void *arg, const char *password, const struct scram_keys *params,
    void (*done)(void *done_arg, const struct scram_keys *derived),
    void *done_arg)
{
	struct pump *p = arg;

	(void)params;
	assert_null(p->derived);
	p->derive_password = xstrdup(password);
	p->derived = done;
	p->derived_arg = done_arg;
}

static void
answer(struct pump *p, const struct up_query *q)
{
	struct down_answer a = { .id = q->id, .code = RES_NOT_FOUND };
	struct buf msg = { 0 }, data = { 0 };

	if (q->kind == QUERY_SCRAM && text_is(q->name, "ann")) {
		a.code = RES_OK;
		scram_keys_encode(&data, &p->keys);
	} else if (q->kind == QUERY_COMPONENT &&
	    text_is(q->name, "cb1." PUMP_DOMAIN)) {
		a.code = RES_OK;
		buf_add_str(&data, PUMP_SECRET);
	}
	if (data.data != NULL)
		a.data = (struct text){ (char *)data.data, data.len };
	down_answer_encode(&msg, p->term, &a);
	down(p, &msg);
	buf_clear(&data);
}

void
pump_deliver(struct pump *p, const struct down_deliver *d)
{
	struct buf msg = { 0 };

	down_deliver_encode(&msg, p->term, d);
	down(p, &msg);
}

void
pump_ack(struct pump *p, uint64_t num)
{
	struct down_ack ack = { p->origin, num };
	struct buf msg = { 0 };

	down_ack_encode(&msg, p->term, &ack);
	down(p, &msg);
}

void
pump_pong(struct pump *p, uint64_t sent, bool settled,
    const struct live_origin *live, uint32_t count)
{
	struct buf msg = { 0 };

	down_pong_encode(&msg, p->term, sent, settled, live, count);
	down(p, &msg);
}

void
pump_stanza(
    struct pump *p, const struct sid *sid, uint64_t num, const char *payload)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin.node = 9;
	d.id.key.num = num;
	d.id.sid = *sid;
	d.kind = DELIVER_STANZA;
	d.payload = text_of(payload);
	pump_deliver(p, &d);
}

static void
bind_answer(struct pump *p, const struct up_frame *frame)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = p->origin;
	d.id.key.num = frame->num;
	d.id.sid = frame->sid;
	d.kind = DELIVER_BOUND;
	d.value = 5; /* the account's id */
	d.payload = frame->to;
	pump_deliver(p, &d);
}

/* No other edge has the session. */
static void
resume_answer(struct pump *p, const struct up_frame *frame)
{
	struct down_deliver d;

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = p->origin;
	d.id.key.num = frame->num;
	d.id.sid = frame->sid;
	d.kind = DELIVER_REFUSED;
	d.payload = text_of("item-not-found 1");
	pump_deliver(p, &d);
}

/* What an obliging router answers to the message at `at`. */
static void
oblige(struct pump *p, size_t at)
{
	struct seen s = p->seen[at]; /* the array may move meanwhile */

	switch (s.what) {
	case UP_PING:
		pump_pong(p, s.m.ping.sent, false, NULL, 0);
		break;
	case UP_QUERY:
		answer(p, &s.m.query);
		break;
	case UP_FRAME:
		if (s.m.frame.kind == FRAME_BIND)
			bind_answer(p, &s.m.frame);
		if (s.m.frame.kind == FRAME_RESUME)
			resume_answer(p, &s.m.frame);
		pump_ack(p, s.m.frame.num);
		break;
	default:
		break;
	}
}

struct seen *
pump_seen(struct pump *p, uint8_t what, size_t nth)
{
	for (size_t i = 0; i < p->seen_count; i++)
		if (p->seen[i].what == what && nth-- == 0)
			return &p->seen[i];
	return NULL;
}

size_t
pump_count(const struct pump *p, uint8_t what)
{
	size_t n = 0;

	for (size_t i = 0; i < p->seen_count; i++)
		n += p->seen[i].what == what;
	return n;
}

void
pump_forget(struct pump *p)
{
	for (size_t i = 0; i < p->seen_count; i++)
		buf_clear(&p->seen[i].bytes);
	p->seen_count = p->answered = 0;
}

struct up_frame *
pump_frame(struct pump *p, enum frame_kind kind)
{
	for (size_t i = p->seen_count; i-- > 0;)
		if (p->seen[i].what == UP_FRAME &&
		    p->seen[i].m.frame.kind == kind)
			return &p->seen[i].m.frame;
	fail_msg("no frame of kind %d went up", (int)kind);
	return NULL;
}

void
pump_link_up(struct pump *p, uint64_t term)
{
	p->term = term;
	p->linked = true;
	edge_link_up(p->edge, term);
}

/* Everything moves until nothing does. */
void
pump_run(struct pump *p)
{
	size_t before;

	for (int still = 0; still < 3;) {
		before = p->seen_count;
		for (; p->answered < p->seen_count; p->answered++)
			if (p->obliging)
				oblige(p, p->answered);
		event_base_loop(p->base, EVLOOP_NONBLOCK);
		if (!p->derive_later)
			pump_derive(p);
		still = p->seen_count == before ? still + 1 : 0;
	}
}

void
pump_wait(struct pump *p, uint64_t ms)
{
	for (uint64_t end = p->now + ms; p->now < end;) {
		p->now += end - p->now < 50 ? end - p->now : 50;
		edge_tick(p->edge);
		pump_run(p);
	}
}

/* ---- life -------------------------------------------------------------- */

struct pump *
pump_new(void)
{
	struct pump *p = xcalloc(1, sizeof(*p));
	const struct edge_env env = { .arg = p,
		.up = up_cb,
		.unlink = unlink_cb,
		.derive = derive_cb,
		.now = now_cb };

	signal(SIGPIPE, SIG_IGN); /* as daemon_start() does */
	p->base = event_base_new();
	p->now = 1000000;
	p->cfg = (struct edge_config){ .node = 1,
		.edges = 1,
		.hold_ms = 3000,
		.domain = PUMP_DOMAIN,
		.secret = "secret",
		.logins = logins_new(),
		.window = 64,
		.session_window = 8 };
	limits_init(&p->cfg.limits);
	p->cfg.limits.of[LIMIT_STANZA] = 65536;
	p->tls = server_tls();
	p->client_tls = SSL_CTX_new(TLS_client_method());
	p->keys.sha1.salt_len = p->keys.sha256.salt_len = SCRAM_SALT;
	memset(p->keys.sha1.salt, 1, SCRAM_SALT);
	memset(p->keys.sha256.salt, 2, SCRAM_SALT);
	p->keys.sha1.iterations = p->keys.sha256.iterations = 10;
	p->keys.version = 77;
	scram_derive_as("secret", &p->keys, &p->keys);
	p->edge = edge_new(p->base, &p->cfg, &env);
	edge_set_tls(p->edge, p->tls, p->tls);
	edge_set_serving(p->edge, true, NULL);
	p->obliging = true;
	pump_link_up(p, 1);
	pump_run(p);
	return p;
}

void
pump_free(struct pump *p)
{
	edge_free(p->edge);
	logins_free(p->cfg.logins);
	pump_forget(p);
	free(p->seen);
	free(p->derive_password);
	SSL_CTX_free(p->tls);
	SSL_CTX_free(p->client_tls);
	event_base_free(p->base);
	certs_free_all();
	free(p);
}

/* ---- clients ----------------------------------------------------------- */

struct client *
client_new(struct pump *p, bool component, const char *peer)
{
	struct client *c = xcalloc(1, sizeof(*c));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	c->pump = p;
	c->fd = fds[0];
	edge_accept(p->edge, fds[1], component, peer);
	return c;
}

void
client_free(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	buf_clear(&c->in);
	free(c->before);
	pump_run(c->pump);
	free(c);
}

static void
client_read(struct client *c)
{
	char data[4096];
	ssize_t n;

	while (!c->closed && !c->stalled) {
		if (c->ssl != NULL) {
			n = SSL_read(c->ssl, data, sizeof(data));
			if (n <= 0 &&
			    SSL_get_error(c->ssl, (int)n) ==
				SSL_ERROR_WANT_READ)
				return;
		} else {
			n = read(c->fd, data, sizeof(data));
			if (n < 0 && errno == EAGAIN)
				return;
		}
		if (n <= 0)
			c->closed = true;
		else
			buf_add(&c->in, data, (size_t)n);
	}
}

static void
client_turn(struct client *c)
{
	pump_run(c->pump);
	client_read(c);
}

static void
client_write(struct client *c, const char *data, size_t len)
{
	ssize_t n;

	for (int i = 0; len > 0 && i < ITERATIONS && !c->closed; i++) {
		if (c->ssl != NULL)
			n = SSL_write(c->ssl, data, (int)len);
		else
			n = send(c->fd, data, len, MSG_NOSIGNAL);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			i = 0;
		}
		client_turn(c);
	}
}

void
client_send(struct client *c, const char *fmt, ...)
{
	char *text;
	va_list ap;
	size_t len, step;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	len = strlen(text);
	step = c->chunk == 0 ? len : c->chunk;
	for (size_t at = 0; at < len; at += step)
		client_write(c, text + at, len - at < step ? len - at : step);
	free(text);
}

void
client_tls(struct client *c, bool old)
{
	c->ssl = SSL_new(c->pump->client_tls);
	SSL_set_fd(c->ssl, c->fd);
	if (old)
		SSL_set_max_proto_version(c->ssl, TLS1_2_VERSION);
	SSL_set_connect_state(c->ssl);
	for (int i = 0; i < ITERATIONS; i++) {
		if (SSL_do_handshake(c->ssl) == 1)
			break;
		pump_run(c->pump);
	}
	assert_true(SSL_is_init_finished(c->ssl));
	pump_run(c->pump);
}

const char *
client_expect(struct client *c, const char *text)
{
	char *at;

	for (int i = 0; i < ITERATIONS; i++) {
		client_turn(c);
		at = strstr(buf_str(&c->in), text);
		if (at == NULL)
			continue;
		/* What stood before stays readable behind the live bytes. */
		*at = '\0';
		free(c->before);
		c->before = xstrdup((char *)c->in.data);
		buf_drop(
		    &c->in, (size_t)(at - (char *)c->in.data) + strlen(text));
		return c->before;
	}
	fail_msg("expected %s, read: %s", text, buf_str(&c->in));
	return NULL;
}

void
client_expect_closed(struct client *c)
{
	for (int i = 0; i < ITERATIONS && !c->closed; i++)
		client_turn(c);
	if (!c->closed)
		fail_msg("not closed; read: %s", buf_str(&c->in));
}

void
client_expect_nothing(struct client *c)
{
	for (int i = 0; i < 4; i++)
		client_turn(c);
	assert_false(c->closed);
	assert_string_equal(buf_str(&c->in), "");
}

struct client *
client_secure(struct pump *p)
{
	struct client *c = client_new(p, false, "192.0.2.1:40000");

	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	client_send(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	client_expect(c, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	client_tls(c, false);
	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	return c;
}

struct client *
client_authenticated(struct pump *p)
{
	static const char plain[] = "\0ann\0secret";
	struct client *c = client_secure(p);
	char *text = crypto_base64(plain, sizeof(plain) - 1);

	client_send(c,
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
	    "%s</auth>",
	    text);
	free(text);
	client_expect(c, "<success");
	client_expect(c, "</success>");
	client_send(c, CLIENT_HEADER);
	client_expect(c, "</stream:features>");
	return c;
}

struct client *
client_bound(struct pump *p, const char *resource)
{
	struct client *c = client_authenticated(p);

	client_send(c,
	    "<iq type='set' id='b1'><bind "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
	    "<resource>%s</resource></bind></iq>",
	    resource);
	client_expect(c, "</bind></iq>");
	return c;
}

struct client *
component_bound(struct pump *p)
{
	struct client *c = client_new(p, true, "127.0.0.1:40001");
	char id[33], text[128], hex[41];
	const char *header;
	uint8_t digest[20];

	client_tls(c, false);
	client_send(c, COMPONENT_HEADER);
	client_expect(c, "<stream:stream");
	header = strstr(client_expect(c, ">"), " id='");
	assert_non_null(header);
	snprintf(id, sizeof(id), "%.32s", header + 5);
	snprintf(text, sizeof(text), "%s%s", id, PUMP_SECRET);
	crypto_sha1(text, strlen(text), digest);
	crypto_hex(digest, sizeof(digest), hex);
	client_send(c, "<handshake>%s</handshake>", hex);
	client_expect(c, "<handshake/>");
	return c;
}
