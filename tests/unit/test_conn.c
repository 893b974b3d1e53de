/*
 * Connections over a socketpair and over loopback: order, TLS, back-pressure,
 * and that a connection may be ended inside any of its callbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/buf.h"
#include "common/conn.h"
#include "common/tls.h"
#include "common/xmalloc.h"

struct end {
	struct conn *c;
	struct buf got;
	int ready, drained;
	char why[256];
	enum { KEEP, ABORT_ON_READ, CLOSE_ON_READ, ECHO } manner;
};

struct world {
	struct event_base *base;
	struct conn_loop *loop;
	struct end a, b;
	struct ssl_ctx_st *server, *client;
};

static void
end_read(void *arg, const uint8_t *data, size_t len)
{
	struct end *e = arg;

	buf_add(&e->got, data, len);
	if (e->manner == ABORT_ON_READ)
		conn_abort(e->c);
	else if (e->manner == CLOSE_ON_READ)
		conn_close(e->c);
	else if (e->manner == ECHO)
		conn_write(e->c, data, len);
	if (e->manner == ABORT_ON_READ || e->manner == CLOSE_ON_READ)
		e->c = NULL;
}

static void
end_ready(void *arg)
{
	((struct end *)arg)->ready++;
}

static void
end_drained(void *arg)
{
	((struct end *)arg)->drained++;
}

static void
end_closed(void *arg, const char *why)
{
	struct end *e = arg;

	snprintf(e->why, sizeof(e->why), "%s", why);
	e->c = NULL;
}

static const struct conn_ops ops = { end_read, end_ready, NULL, end_drained,
	end_closed };

static char *
take_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = xstrndup(data, (size_t)len);

	BIO_free(bio);
	return text;
}

/* A self-signed certificate for "DNS:name" and its key, as PEM. */
static void
make_certificate(const char *names, char **key_pem, char **cert_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	X509_EXTENSION *san =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, san, -1);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	*key_pem = take_text(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	*cert_pem = take_text(bio);
	X509_EXTENSION_free(san);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	char *key, *cert;
	int fd[2];

	w->base = event_base_new();
	w->loop = conn_loop_new(w->base);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
		return -1;
	w->a.c = conn_accept(w->loop, fd[0], &ops, &w->a);
	w->b.c = conn_accept(w->loop, fd[1], &ops, &w->b);
	make_certificate("DNS:example.com", &key, &cert);
	w->server = tls_server_new(key, cert, NULL);
	w->client = tls_client_new(NULL, NULL, cert, NULL);
	free(key);
	free(cert);
	*state = w;
	return w->server == NULL || w->client == NULL;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	if (w->a.c != NULL)
		conn_abort(w->a.c);
	if (w->b.c != NULL)
		conn_abort(w->b.c);
	buf_clear(&w->a.got);
	buf_clear(&w->b.got);
	SSL_CTX_free(w->server);
	SSL_CTX_free(w->client);
	conn_loop_free(w->loop);
	event_base_free(w->base);
	free(w);
	return 0;
}

/* Turns the loop until nothing is left to do at once, or the condition holds.
 */
#define TURN_UNTIL(w, condition)                                               \
	for (int turns = 0; turns < 2000 && !(condition); turns++)             \
	event_base_loop((w)->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY)

static void
turn(struct world *w)
{
	for (int i = 0; i < 50; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void
start_tls(struct world *w, const char *name)
{
	conn_start_tls(w->a.c, tls_server_ssl(w->server, NULL));
	conn_start_tls(w->b.c, tls_client_ssl(w->client, name));
	TURN_UNTIL(w, (w->a.ready && w->b.ready) || w->b.why[0] != 0);
}

static void
writes_of_a_turn_arrive_in_order(void **state)
{
	struct world *w = *state;

	conn_write(w->a.c, "one ", 4);
	conn_write(w->a.c, "two", 3);
	assert_int_equal(conn_pending(w->a.c), 7);
	turn(w);
	assert_string_equal(buf_str(&w->b.got), "one two");
	assert_int_equal(w->a.drained, 1);
}

static void
tls_carries_much_in_both_directions(void **state)
{
	struct world *w = *state;
	size_t len = 3 << 20;
	char *data = xmalloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 >> 3);
	start_tls(w, "example.com");
	w->a.manner = ECHO;
	conn_write(w->b.c, data, len);
	TURN_UNTIL(w, w->b.got.len == len);
	assert_int_equal(w->b.got.len, len);
	assert_memory_equal(w->b.got.data, data, len);
	free(data);
}

static void
starttls_happens_after_what_was_written_before_it(void **state)
{
	struct world *w = *state;

	conn_write(w->a.c, "<proceed/>", 10);
	conn_start_tls(w->a.c, tls_server_ssl(w->server, NULL));
	TURN_UNTIL(w, w->b.got.len == 10);
	conn_start_tls(w->b.c, tls_client_ssl(w->client, "example.com"));
	TURN_UNTIL(w, w->a.ready && w->b.ready);
	conn_write(w->b.c, "hello", 5);
	TURN_UNTIL(w, w->a.got.len == 5);
	assert_string_equal(buf_str(&w->a.got), "hello");
}

static void
a_certificate_for_another_name_is_refused_by_name(void **state)
{
	struct world *w = *state;

	start_tls(w, "example.org");
	assert_non_null(strstr(w->b.why, "hostname mismatch"));
	assert_int_equal(w->b.ready, 0);
}

/* A second name, and a client that trusts its certificate only. */
static void
add_second_name(struct world *w)
{
	char *key, *cert;

	make_certificate("DNS:example.net", &key, &cert);
	assert_int_equal(
	    tls_server_add_name(w->server, "example.net", key, cert, NULL), 0);
	SSL_CTX_free(w->client);
	w->client = tls_client_new(NULL, NULL, cert, NULL);
	free(key);
	free(cert);
}

static void
who_asks_for_a_name_is_shown_its_certificate(void **state)
{
	struct world *w = *state;

	add_second_name(w);
	start_tls(w, "Example.NET");
	assert_int_equal(w->a.ready, 1);
	assert_int_equal(w->b.ready, 1);
}

static void
who_asks_for_none_is_shown_what_the_caller_says(void **state)
{
	struct world *w = *state;

	add_second_name(w);
	conn_start_tls(w->a.c, tls_server_ssl(w->server, "example.net"));
	conn_start_tls(w->b.c, tls_client_ssl(w->client, NULL));
	TURN_UNTIL(w, (w->a.ready && w->b.ready) || w->b.why[0] != 0);
	assert_int_equal(w->b.ready, 1);
}

static void
other_names_are_shown_the_first_certificate(void **state)
{
	struct world *w = *state;

	add_second_name(w);
	start_tls(w, "example.com");
	assert_int_equal(w->b.ready, 0); /* which this client doesn't trust */
}

static void
may_be_ended_inside_its_read(void **state)
{
	struct world *w = *state;

	start_tls(w, "example.com");
	w->a.manner = ABORT_ON_READ;
	conn_write(w->b.c, "x", 1);
	TURN_UNTIL(w, w->b.c == NULL);
	assert_true(w->b.why[0] != '\0');
}

static void
close_writes_what_is_queued(void **state)
{
	struct world *w = *state;

	start_tls(w, "example.com");
	conn_write(w->a.c, "</stream:stream>", 16);
	conn_close(w->a.c);
	w->a.c = NULL;
	TURN_UNTIL(w, w->b.c == NULL);
	assert_string_equal(buf_str(&w->b.got), "</stream:stream>");
	assert_string_equal(w->b.why, "closed by peer");
}

static void
a_paused_connection_pushes_back(void **state)
{
	struct world *w = *state;
	size_t len = 4 << 20;
	char *data = xcalloc(1, len);

	start_tls(w, "example.com");
	conn_pause(w->a.c);
	conn_write(w->b.c, data, len);
	turn(w);
	assert_int_equal(w->a.got.len, 0);
	assert_true(conn_pending(w->b.c) > 0);
	conn_resume(w->a.c);
	TURN_UNTIL(w, w->a.got.len == len);
	assert_int_equal(w->a.got.len, len);
	free(data);
}

static void
a_deadline_ends_it(void **state)
{
	struct world *w = *state;

	conn_set_deadline(w->a.c, 1);
	TURN_UNTIL(w, w->a.c == NULL);
	assert_string_equal(w->a.why, "timed out");
}

static void
a_refused_connection_says_so(void **state)
{
	struct world *w = *state;
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct end e = { 0 };

	/* A port that was just free and has no listener. */
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	e.c = conn_connect(
	    w->loop, (struct sockaddr *)&sin, len, NULL, 1000, &ops, &e);
	assert_non_null(e.c);
	TURN_UNTIL(w, e.c == NULL);
	assert_string_equal(e.why, "connection refused");
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_of_a_turn_arrive_in_order),
		TEST(tls_carries_much_in_both_directions),
		TEST(starttls_happens_after_what_was_written_before_it),
		TEST(a_certificate_for_another_name_is_refused_by_name),
		TEST(who_asks_for_a_name_is_shown_its_certificate),
		TEST(who_asks_for_none_is_shown_what_the_caller_says),
		TEST(other_names_are_shown_the_first_certificate),
		TEST(may_be_ended_inside_its_read),
		TEST(close_writes_what_is_queued),
		TEST(a_paused_connection_pushes_back),
		TEST(a_deadline_ends_it),
		TEST(a_refused_connection_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
