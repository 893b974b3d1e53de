/*
 * The other end of a connection between nodes, by hand.
 */
#include "tests/lib/peer_raw.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/tls.h"

#define LIMIT_MS 10000

static void
raw_read(void *arg, const uint8_t *data, size_t len)
{
	struct peer_raw *raw = arg;

	buf_add(&raw->in, data, len);
}

static void
raw_ready(void *arg)
{
	static const unsigned char alpn[] = "\x0d" PEER_ALPN;
	struct peer_raw *raw = arg;
	SSL *ssl = conn_ssl(raw->conn);

	if (ssl != NULL) {
		raw->ready = tls_exporter(ssl, raw->exporter) == 32;
		return;
	}
	ssl = tls_client_ssl(raw->ctx, NULL);
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1);
	conn_start_tls(raw->conn, ssl);
}

static void
raw_closed(void *arg, const char *why)
{
	struct peer_raw *raw = arg;

	(void)why;
	raw->conn = NULL;
}

static const struct conn_ops raw_ops = {
	.read = raw_read, .ready = raw_ready, .closed = raw_closed
};

static void
turn(struct peer_raw *raw, uint64_t end)
{
	if (clock_ms() > end)
		fail_msg("nothing happens");
	event_base_loop(raw->world->base, EVLOOP_ONCE);
}

void
peer_raw_open(struct peer_raw *raw, struct peer_world *w, unsigned to,
    const struct certs_who *who)
{
	const struct sockaddr_storage *sa = &w->nodes[to].address.sa;
	struct sockaddr_in from = { .sin_family = AF_INET };
	uint64_t end = clock_ms() + LIMIT_MS;
	struct error e;

	memset(raw, 0, sizeof(*raw));
	raw->world = w;
	raw->ctx = tls_client_new(who != NULL ? who->key_pem : NULL,
	    who != NULL ? who->cert_pem : NULL, NULL, &e);
	assert_non_null(raw->ctx);
	/* From where no node is. */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + PEER_WORLD_MAX);
	raw->conn =
	    conn_connect(w->loop, (const struct sockaddr *)sa, sizeof(from),
		(const struct sockaddr *)&from, LIMIT_MS, &raw_ops, raw);
	assert_non_null(raw->conn);
	while (raw->conn != NULL && !raw->ready)
		turn(raw, end);
}

void
peer_raw_close(struct peer_raw *raw)
{
	if (raw->conn != NULL)
		conn_abort(raw->conn);
	raw->conn = NULL;
	SSL_CTX_free(raw->ctx);
	buf_clear(&raw->in);
}

void
peer_raw_hello(struct peer_raw *raw, struct peer_hello *h, unsigned from,
    unsigned to, enum peer_channel channel)
{
	const struct peer_world_node *n = &raw->world->nodes[from];

	*h = (struct peer_hello){ .protocol = PEER_PROTOCOL,
		.channel = (uint8_t)channel,
		.from = n->member.raft_id,
		.to = to + 1,
		.boot = n->member.boot };
	memcpy(h->cluster, n->cluster, sizeof(h->cluster));
	snprintf(h->host, sizeof(h->host), "%s", n->member.host);
	snprintf(h->address, sizeof(h->address), "%s", n->member.address);
}

void
peer_raw_say(struct peer_raw *raw, struct peer_hello *h, unsigned from,
    struct buf *frame)
{
	struct buf b = { 0 };

	peer_hello_prove(
	    h, PEER_DIALLER, raw->world->nodes[from].member.key, raw->exporter);
	buf_add_u32(&b, 0);
	peer_hello_encode(&b, h);
	buf_put_u32(&b, 0, (uint32_t)(b.len - 4));
	if (frame != NULL)
		*frame = b;
	else
		peer_raw_write(raw, b.data, b.len);
	if (frame == NULL)
		buf_clear(&b);
}

void
peer_raw_write(struct peer_raw *raw, const void *data, size_t len)
{
	if (raw->conn != NULL)
		conn_write(raw->conn, data, len);
}

int
peer_raw_answer(struct peer_raw *raw, struct peer_hello *h)
{
	uint64_t end = clock_ms() + LIMIT_MS;
	struct cursor c;
	uint32_t len;
	int rc;

	for (;;) {
		cursor_init(&c, raw->in.data, raw->in.len);
		len = cursor_u32(&c);
		if (cursor_ok(&c) && cursor_left(&c) >= len)
			break;
		if (raw->conn == NULL)
			return RES_UNREACHABLE;
		turn(raw, end);
	}
	rc = peer_hello_decode(c.p, len, h);
	buf_drop(&raw->in, 4 + (size_t)len);
	return rc;
}

void
peer_raw_await_closed(struct peer_raw *raw)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	while (raw->conn != NULL)
		turn(raw, end);
}
