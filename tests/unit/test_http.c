/*
 * The one request of a connection to the WebSocket port: whole, and in pieces.
 */
#include "xmppd/edge/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GET "GET /xmpp-websocket HTTP/1.1\r\n"
#define HOST "Host: example.org\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: xmpp\r\n"
#define META "/.well-known/host-meta"
/* RFC 6455, 1.3: the accept value of that key. */
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static bool
serves(void *arg, const char *domain)
{
	(void)arg;
	return strcmp(domain, "example.org") == 0 ||
	    strcmp(domain,
		"b\xc3\xbc"
		"cher.example") == 0;
}

/* Gives the bytes in chunks; what is left over, behind the request. */
static enum http_result
play(const char *text, size_t len, size_t chunk, struct buf *out, size_t *left)
{
	struct http *h = http_new(serves, NULL);
	enum http_result result = HTTP_MORE;
	size_t at = 0, part, used = 0;

	while (result == HTTP_MORE && at < len) {
		part = chunk == 0 || len - at < chunk ? len - at : chunk;
		result =
		    http_read(h, (const uint8_t *)text + at, part, &used, out);
		assert_true(used <= part);
		at += result == HTTP_UPGRADE ? used : part;
	}
	*left = len - at;
	http_free(h);
	return result;
}

static const struct {
	const char *request;
	const char *status; /* NULL: it isn't complete */
	const char *has;    /* in the answer; NULL: nothing particular */
} rows[] = {
	{ GET HOST UPGRADE KEY VERSION PROTOCOL "\r\n", "101", ACCEPT },
	{ GET HOST UPGRADE KEY VERSION PROTOCOL, NULL, NULL },
	{ "", NULL, NULL },
	{ "GET", NULL, NULL },
	{ GET "HOST: example.org\r\n" UPGRADE KEY VERSION
	      "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: xmpp\r\n"
	      "\r\n",
	    "101", "Sec-WebSocket-Protocol: xmpp\r\n" },
	{ GET HOST UPGRADE KEY VERSION "\r\n", "400", "subprotocol" },
	{ GET HOST UPGRADE KEY KEY VERSION PROTOCOL "\r\n", "400", NULL },
	{ GET HOST UPGRADE VERSION PROTOCOL "\r\n", "400", "Key" },
	{ GET HOST UPGRADE KEY PROTOCOL "\r\n", "426",
	    "Sec-WebSocket-Version: 13\r\n" },
	{ GET HOST KEY VERSION PROTOCOL "\r\n", "426",
	    "Upgrade: websocket\r\n" },
	{ GET UPGRADE KEY VERSION PROTOCOL "\r\n", "400", NULL },
	{ GET "Host:\r\n" UPGRADE KEY VERSION PROTOCOL "\r\n", "400", NULL },
	{ "POST /xmpp-websocket HTTP/1.1\r\n" HOST
	  "Content-Length: 3\r\n\r\nabc",
	    "405", "Allow: GET\r\n" },
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", "404", NULL },
	{ "GET http://example.org/xmpp-websocket HTTP/1.1\r\n" HOST UPGRADE KEY
		VERSION PROTOCOL "\r\n",
	    "101", NULL },
	{ "GET " META " HTTP/1.1\r\n" HOST "\r\n", "200",
	    "href='wss://example.org/xmpp-websocket'" },
	{ "GET " META " HTTP/1.0\r\nHost: EXAMPLE.org:444\r\n\r\n", "200",
	    "href='wss://EXAMPLE.org:444/xmpp-websocket'" },
	{ "GET " META ".json HTTP/1.1\r\n" HOST "\r\n", "200",
	    "\"href\":\"wss://example.org/xmpp-websocket\"" },
	{ "GET " META ".json HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n\r\n",
	    "200", "wss://xn--bcher-kva.example/" },
	{ "GET " META " HTTP/1.1\r\nHost: example.net\r\n\r\n", "404",
	    "Access-Control-Allow-Origin: *\r\n" },
	{ "GET " META " HTTP/1.1\r\nHost: [::1]:5443\r\n\r\n", "404", NULL },
	{ "GET " META " HTTP/1.1\r\nHost: example.org:1'x\r\n\r\n", "400",
	    NULL },
	{ "PUT " META " HTTP/1.1\r\n" HOST "\r\n", "405",
	    "Allow: GET, HEAD, OPTIONS\r\n" },
	{ "OPTIONS " META " HTTP/1.1\r\n" HOST "\r\n", "200",
	    "Access-Control-Allow-Methods: GET, HEAD\r\n" },
	{ "<stream:stream", "400", NULL },
	{ "GET / HTTP/9.9\r\n" HOST "\r\n", "505", NULL },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", NULL },
};

static void
answers_as_the_standards_say(void **state)
{
	static const size_t chunks[] = { 0, 1, 3, 16 };
	char wanted[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * COUNT(chunks); i++) {
		const char *request = rows[i / COUNT(chunks)].request;
		const char *status = rows[i / COUNT(chunks)].status;
		const char *has = rows[i / COUNT(chunks)].has;
		struct buf out = { 0 };
		size_t left;
		enum http_result result = play(request, strlen(request),
		    chunks[i % COUNT(chunks)], &out, &left);

		if (status == NULL) {
			assert_int_equal(result, HTTP_MORE);
			assert_int_equal(out.len, 0);
			buf_clear(&out);
			continue;
		}
		snprintf(wanted, sizeof(wanted), "HTTP/1.1 %s ", status);
		assert_memory_equal(buf_str(&out), wanted, strlen(wanted));
		assert_int_equal(result,
		    strcmp(status, "101") == 0 ? HTTP_UPGRADE : HTTP_DONE);
		if (has != NULL)
			assert_non_null(strstr(buf_str(&out), has));
		buf_clear(&out);
	}
}

static void
leaves_what_is_behind_the_handshake(void **state)
{
	static const char text[] =
	    GET HOST UPGRADE KEY VERSION PROTOCOL "\r\n\x81\x80xyz";
	struct buf out = { 0 };
	size_t left;

	(void)state;
	assert_int_equal(
	    play(text, sizeof(text) - 1, 0, &out, &left), HTTP_UPGRADE);
	assert_int_equal(left, 5);
	buf_clear(&out);
}

static void
head_has_no_body(void **state)
{
	static const char text[] = "HEAD " META " HTTP/1.1\r\n" HOST "\r\n";
	struct buf out = { 0 };
	const char *end;
	size_t left;

	(void)state;
	assert_int_equal(
	    play(text, sizeof(text) - 1, 0, &out, &left), HTTP_DONE);
	end = strstr(buf_str(&out), "\r\n\r\n");
	assert_non_null(end);
	assert_string_equal(end, "\r\n\r\n");
	assert_null(strstr(buf_str(&out), "Content-Length: 0"));
	buf_clear(&out);
}

static void
bounds_a_request(void **state)
{
	static const size_t over[] = { 1, 100000 };

	(void)state;
	for (size_t i = 0; i < COUNT(over); i++) {
		struct buf text = { 0 }, out = { 0 };
		size_t left;

		buf_add_str(&text, GET HOST "X: ");
		while (text.len < HTTP_REQUEST_MAX + over[i])
			buf_add_str(&text, "x");
		assert_int_equal(
		    play((const char *)text.data, text.len, 1000, &out, &left),
		    HTTP_DONE);
		assert_non_null(strstr(buf_str(&out), "HTTP/1.1 431 "));
		buf_clear(&text);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_as_the_standards_say),
		cmocka_unit_test(leaves_what_is_behind_the_handshake),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(bounds_a_request),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
