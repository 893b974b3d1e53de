/* What a new connection turns out to be, and what is said of a port in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/buf.h"
#include "common/conn.h"
#include "common/pki.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/listen.h"

struct world {
	struct event_base *base;
	struct conn_loop *loop, *other;
	struct listener *l;
	struct ssl_ctx_st *server, *peer, *client;
	struct listen_address address[2]; /* client and component port */
	bool serving, full;
	size_t entered; /* connections that have said nothing */
	char what[16];  /* the last: "client", "peer", "plain", "component",
			   "websocket" */
	char why[256];  /* how the test's own end was closed */
	bool ready;
};

static void
on_accepted(void *arg, int fd, enum edge_port port, const char *from)
{
	struct world *w = arg;

	(void)from;
	snprintf(w->what, sizeof(w->what), "%s",
	    port == PORT_COMPONENT       ? "component"
		: port == PORT_WEBSOCKET ? "websocket"
					 : "plain");
	close(fd);
}

static void
server_read(void *arg, const uint8_t *data, size_t len)
{
	(void)arg, (void)data, (void)len;
}

/* The client has been given on, and its handshake went on to the end. */
static void
server_ready(void *arg)
{
	struct world *w = arg;

	snprintf(w->what, sizeof(w->what), "client");
}

static void
server_closed(void *arg, const char *why)
{
	struct world *w = arg;

	snprintf(w->what, sizeof(w->what), "lost");
	(void)why;
}

static const struct conn_ops server_ops = {
	.read = server_read,
	.ready = server_ready,
	.closed = server_closed,
};

/* As an edge would take it, on a loop of its own. */
static void
on_client(void *arg, int fd, struct ssl_st *ssl, const char *from)
{
	struct world *w = arg;

	(void)from;
	conn_start_tls(conn_accept(w->other, fd, &server_ops, w), ssl);
}

static void
on_peer(void *arg, struct conn *c, const char *from)
{
	struct world *w = arg;

	(void)from;
	snprintf(w->what, sizeof(w->what), "peer");
	conn_abort(c);
}

static bool
is_serving(void *arg)
{
	return ((struct world *)arg)->serving;
}

static bool
on_enter(void *arg, const char *from)
{
	struct world *w = arg;

	(void)from;
	if (w->full)
		return false;
	w->entered++;
	return true;
}

static void
on_leave(void *arg, const char *from)
{
	(void)from;
	((struct world *)arg)->entered--;
}

static unsigned
patience(void *arg)
{
	(void)arg;
	return 30;
}

static const struct listen_ops listen_ops = {
	.accepted = on_accepted,
	.client = on_client,
	.peer = on_peer,
	.enter = on_enter,
	.leave = on_leave,
	.patience = patience,
	.serving = is_serving,
};

/* A free port: bound, read, closed. */
static struct sockaddr_storage
free_address(void)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (void *)&ss;
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (void *)sin, len), 0);
	assert_int_equal(getsockname(fd, (void *)sin, &len), 0);
	close(fd);
	return ss;
}

static void
make_contexts(struct world *w)
{
	char *names[] = { xstrdup("example.com") };
	struct pki_subject subject = {
		.cn = "example.com", .san = names, .san_count = 1
	};
	struct evp_pkey_st *key = pki_key_new(PKI_EC_P256);
	struct pki_signer self = { .key = key, .now = time(NULL), .days = 1 };
	struct buf key_pem = { 0 }, pem = { 0 };

	pki_key_pem(key, &key_pem);
	assert_int_equal(pki_selfsigned(&subject, &self, &pem, NULL), 0);
	w->server = tls_server_new(buf_str(&key_pem), buf_str(&pem), NULL);
	w->peer = tls_server_new(buf_str(&key_pem), buf_str(&pem), NULL);
	w->client = tls_client_new(NULL, NULL, buf_str(&pem), NULL);
	pki_key_free(key);
	buf_clear(&key_pem);
	buf_clear(&pem);
	free(names[0]);
}

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct error e;

	w->base = event_base_new();
	w->loop = conn_loop_new(w->base);
	w->other = conn_loop_new(w->base);
	w->l = listener_new(w->loop, w->base, &listen_ops, w);
	w->serving = true;
	make_contexts(w);
	listener_set_tls(w->l, w->server, w->peer);
	w->address[0].sa = free_address();
	w->address[1].sa = free_address();
	w->address[1].port = PORT_COMPONENT;
	*state = w;
	return listener_set(w->l, w->address, 2, &e);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	listener_free(w->l);
	conn_loop_free(w->loop);
	conn_loop_free(w->other);
	SSL_CTX_free(w->server);
	SSL_CTX_free(w->peer);
	SSL_CTX_free(w->client);
	event_base_free(w->base);
	free(w);
	return 0;
}

#define TURN_UNTIL(w, condition)                                               \
	for (int turns = 0; turns < 2000 && !(condition); turns++)             \
	event_base_loop((w)->base, EVLOOP_ONCE)

static void
own_read(void *arg, const uint8_t *data, size_t len)
{
	(void)arg, (void)data, (void)len;
}

static void
own_ready(void *arg)
{
	((struct world *)arg)->ready = true;
}

static void
own_closed(void *arg, const char *why)
{
	struct world *w = arg;

	snprintf(w->why, sizeof(w->why), "%s", why);
}

static const struct conn_ops own_ops = {
	.read = own_read,
	.ready = own_ready,
	.closed = own_closed,
};

static struct conn *
dial(struct world *w, int port)
{
	struct conn *c =
	    conn_connect(w->loop, (struct sockaddr *)&w->address[port].sa,
		sizeof(struct sockaddr_in), NULL, 5000, &own_ops, w);

	w->ready = false;
	TURN_UNTIL(w, w->ready || w->why[0] != '\0');
	return c;
}

static void
say(struct world *w, const char *text)
{
	struct conn *c = dial(w, 0);

	conn_write(c, text, strlen(text));
	TURN_UNTIL(w, w->what[0] != '\0' || w->why[0] != '\0');
}

static void
start_tls(struct world *w, const char *alpn)
{
	struct conn *c = dial(w, 0);
	struct ssl_st *ssl = tls_client_ssl(w->client, "example.com");
	unsigned char wire[64];
	size_t len = alpn == NULL ? 0 : strlen(alpn);

	if (alpn != NULL) {
		wire[0] = (unsigned char)len;
		memcpy(wire + 1, alpn, len);
		SSL_set_alpn_protos(ssl, wire, (unsigned)len + 1);
	}
	conn_start_tls(c, ssl);
	TURN_UNTIL(w, w->what[0] != '\0' || w->why[0] != '\0');
}

static void
a_stream_is_given_on_unread(void **state)
{
	struct world *w = *state;

	say(w, "<?xml version='1.0'?>");
	assert_string_equal(w->what, "plain");
}

static void
other_ports_wait_for_nothing(void **state)
{
	struct world *w = *state;
	struct listen_address web = { w->address[0].sa, PORT_WEBSOCKET };
	struct error e;

	dial(w, 1);
	TURN_UNTIL(w, w->what[0] != '\0');
	assert_string_equal(w->what, "component");
	/* One port after the other, for something else. */
	assert_int_equal(listener_set(w->l, NULL, 0, &e), RES_OK);
	assert_int_equal(listener_set(w->l, &web, 1, &e), RES_OK);
	w->what[0] = '\0';
	dial(w, 0);
	TURN_UNTIL(w, w->what[0] != '\0');
	assert_string_equal(w->what, "websocket");
}

static void
direct_tls_is_a_client(void **state)
{
	struct world *w = *state;

	start_tls(w, "xmpp-client");
	assert_string_equal(w->what, "client");
}

static void
direct_tls_without_alpn_is_a_client(void **state)
{
	struct world *w = *state;

	start_tls(w, NULL);
	assert_string_equal(w->what, "client");
}

/* RFC 7301, 3.2: no_application_protocol. */
static void
another_alpn_is_refused(void **state)
{
	struct world *w = *state;

	start_tls(w, "h2");
	TURN_UNTIL(w, w->why[0] != '\0');
	assert_string_equal(w->what, "lost");
	if (strstr(w->why, "no application protocol") == NULL)
		fail_msg("%s %s", w->what, w->why);
}

static void
counts_who_has_said_nothing(void **state)
{
	struct world *w = *state;

	dial(w, 0);
	TURN_UNTIL(w, w->entered == 1);
	say(w, "<?xml version='1.0'?>");
	assert_int_equal(w->entered, 1);
	w->full = true;
	dial(w, 0);
	TURN_UNTIL(w, w->why[0] != '\0');
	assert_int_equal(w->entered, 1);
}

static void
the_cluster_s_alpn_is_a_peer(void **state)
{
	struct world *w = *state;

	start_tls(w, PEER_ALPN);
	assert_string_equal(w->what, "peer");
}

/* G4: on a member the port is bound for the cluster's protocol alone. */
static void
without_service_a_peer_is_answered(void **state)
{
	struct world *w = *state;

	w->serving = false;
	start_tls(w, PEER_ALPN);
	assert_string_equal(w->what, "peer");
}

static void
without_service_a_client_s_tls_is_reset(void **state)
{
	struct world *w = *state;

	w->serving = false;
	start_tls(w, "xmpp-client");
	assert_string_equal(w->what, "");
	assert_string_equal(w->why, "connection reset by peer");
}

static void
without_service_a_stream_is_reset(void **state)
{
	struct world *w = *state;

	w->serving = false;
	say(w, "<");
	assert_string_equal(w->what, "");
	assert_string_equal(w->why, "connection reset by peer");
}

static void
a_port_in_use_is_named_with_its_holder(void **state)
{
	struct world *w = *state;
	struct listen_address more[3] = { w->address[0], w->address[1] };
	struct sockaddr_in *sin = (void *)&more[2].sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char want[64];
	struct error e;

	more[2].sa = free_address();
	assert_int_equal(bind(fd, (void *)sin, sizeof(*sin)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(listener_set(w->l, more, 3, &e), RES_FAILED);
	snprintf(want, sizeof(want), ":%u is in use by test_listen (pid %d)",
	    ntohs(sin->sin_port), (int)getpid());
	assert_non_null(strstr(e.text, want));
	/* and what was open stays open */
	say(w, "<");
	assert_string_equal(w->what, "plain");
	close(fd);
}

static void
what_is_not_wanted_any_more_is_closed(void **state)
{
	struct world *w = *state;
	struct error e;

	assert_int_equal(listener_set(w->l, &w->address[1], 1, &e), 0);
	dial(w, 0);
	assert_string_equal(w->why, "connection refused");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stream_is_given_on_unread),
		TEST(other_ports_wait_for_nothing),
		TEST(direct_tls_is_a_client),
		TEST(direct_tls_without_alpn_is_a_client),
		TEST(another_alpn_is_refused),
		TEST(counts_who_has_said_nothing),
		TEST(the_cluster_s_alpn_is_a_peer),
		TEST(without_service_a_peer_is_answered),
		TEST(without_service_a_client_s_tls_is_reset),
		TEST(without_service_a_stream_is_reset),
		TEST(a_port_in_use_is_named_with_its_holder),
		TEST(what_is_not_wanted_any_more_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
