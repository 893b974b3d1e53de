/*
 * A relay: what moving the bytes costs, and nothing else.
 *
 *   relay ADDRESS PORT KEY CERTIFICATE
 *
 * Each connection says its number (4 bytes, big-endian) when TLS is there; what
 * number 2n sends goes to 2n + 1 as it came, and the other way round. One loop,
 * libevent and OpenSSL, no XML: read, decrypt, encrypt, write. TLS is as
 * xmppd has it (common/tls.c).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define READ_MAX 65536
#define NUMBERS 65536
#define FILE_MAX 65536

struct end {
	struct relay *relay;
	SSL *ssl;
	int fd;
	bool numbered;
	uint32_t number;
	struct event on_read, on_write;
	struct buf out; /* what the socket didn't take */
};

struct relay {
	struct event_base *base;
	SSL_CTX *tls;
	struct end *ends[NUMBERS];
	uint8_t data[READ_MAX];
};

/* To look is much cheaper than to clear. */
static void
errors_clear(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static void
end_free(struct end *e)
{
	if (e->numbered)
		e->relay->ends[e->number] = NULL;
	event_del(&e->on_read);
	event_del(&e->on_write);
	SSL_free(e->ssl);
	close(e->fd);
	buf_clear(&e->out);
	free(e);
}

/* Writes; what the socket doesn't take waits. */
static void
end_write(struct end *e, const uint8_t *data, size_t len)
{
	int n = 0;

	errors_clear();
	if (e->out.len == 0)
		n = SSL_write(e->ssl, data, (int)len);
	if (n > 0 && (size_t)n == len)
		return;
	if (n < 0)
		n = 0;
	buf_add(&e->out, data + n, len - (size_t)n);
	event_add(&e->on_write, NULL);
}

static void
write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct end *e = arg;
	struct buf out = e->out;

	(void)fd, (void)what;
	e->out = (struct buf){ 0 };
	end_write(e, out.data, out.len);
	buf_clear(&out);
}

/* The number, first of all. */
static size_t
take_number(struct end *e, const uint8_t *data, size_t len)
{
	struct cursor c;
	uint32_t number;

	cursor_init(&c, data, len);
	number = cursor_u32(&c);
	if (!cursor_ok(&c) || number >= NUMBERS)
		return len;
	e->number = number;
	e->numbered = true;
	e->relay->ends[number] = e;
	return sizeof(number);
}

static void
relay_bytes(struct end *e, const uint8_t *data, size_t len)
{
	size_t at = e->numbered ? 0 : take_number(e, data, len);
	struct end *to = e->numbered ? e->relay->ends[e->number ^ 1] : NULL;

	if (to != NULL && at < len)
		end_write(to, data + at, len - at);
}

static void
read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct end *e = arg;
	struct relay *r = e->relay;
	size_t have = 0;
	int n;

	(void)fd, (void)what;
	do {
		errors_clear();
		n = SSL_read(e->ssl, r->data + have, (int)(READ_MAX - have));
		have += n > 0 ? (size_t)n : 0;
	} while (n > 0 && have < READ_MAX && SSL_has_pending(e->ssl));
	if (have > 0)
		relay_bytes(e, r->data, have);
	if (n <= 0 && SSL_get_error(e->ssl, n) != SSL_ERROR_WANT_READ)
		end_free(e);
	else if (SSL_has_pending(e->ssl)) /* which makes no socket readable */
		event_active(&e->on_read, EV_READ, 0);
}

static void
accepted_cb(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
    int len, void *arg)
{
	struct relay *r = arg;
	struct end *e = xcalloc(1, sizeof(*e));
	int on = 1;

	(void)l, (void)from, (void)len;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	e->relay = r;
	e->fd = fd;
	e->ssl = tls_server_ssl(r->tls, NULL);
	SSL_set_fd(e->ssl, fd);
	event_assign(
	    &e->on_read, r->base, fd, EV_READ | EV_PERSIST, read_cb, e);
	event_assign(&e->on_write, r->base, fd, EV_WRITE, write_cb, e);
	event_add(&e->on_read, NULL);
}

static void
make_tls(struct relay *r, const char *key_path, const char *cert_path)
{
	size_t len;
	char *key = file_read(key_path, FILE_MAX, &len);
	char *cert = file_read(cert_path, FILE_MAX, &len);
	struct error e;

	if (key == NULL || cert == NULL)
		fatal("relay: %s, %s", key_path, cert_path);
	r->tls = tls_server_new(key, cert, &e);
	if (r->tls == NULL)
		fatalx("relay: %s", e.text);
	free(key);
	free(cert);
}

static void
serve(struct relay *r, const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	uint64_t number;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1 ||
	    !str_to_u64(port, 1, 65535, &number))
		fatalx("relay: %s port %s", address, port);
	in.sin_port = htons((uint16_t)number);
	if (evconnlistener_new_bind(r->base, accepted_cb, r,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 512,
		(const struct sockaddr *)&in, sizeof(in)) == NULL)
		fatal("relay: %s port %s", address, port);
	event_base_dispatch(r->base);
}

int
main(int argc, char **argv)
{
	static struct relay relay;

	log_init("relay", LOG_LEVEL_ERR, 1);
	if (argc != 5) {
		fprintf(stderr, "usage: relay ADDRESS PORT KEY CERTIFICATE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	relay.base = event_base_new();
	make_tls(&relay, argv[3], argv[4]);
	serve(&relay, argv[1], argv[2]);
	return 0;
}
