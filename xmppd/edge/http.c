/*
 * HTTP/1.1 as far as it leads to WebSocket. Requests are read by http_parser,
 * which gives bytes to callbacks and needs nothing of the connection.
 *
 *   GET /xmpp-websocket, Upgrade: websocket -> 101
 *   GET /.well-known/host-meta[.json]       -> 200, for the domain in Host
 *   anything else                           -> the error that says what is
 * wrong
 */
#include "xmppd/edge/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <http_parser.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

/* RFC 6455, 1.3 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN 16

#define ANY_ORIGIN "Access-Control-Allow-Origin: *\r\n"
#define ALT_WEBSOCKET "urn:xmpp:alt-connections:websocket"

/* What of a request's header is looked at. */
enum field { HOST, UPGRADE, KEY, VERSION, PROTOCOL, FIELDS };

static const struct {
	const char *name;
	bool list; /* may come more than once */
} fields[FIELDS] = {
	[HOST] = { "host", false },
	[UPGRADE] = { "upgrade", true },
	[KEY] = { "sec-websocket-key", false },
	[VERSION] = { "sec-websocket-version", true },
	[PROTOCOL] = { "sec-websocket-protocol", true },
};

struct http {
	http_parser parser;
	bool (*serves)(void *arg, const char *domain);
	void *arg;
	struct buf target, name;
	struct buf value[FIELDS];
	unsigned seen[FIELDS]; /* how often it came */
	enum field at;         /* being read; FIELDS: none of them */
	bool in_value;
	bool complete, wants_upgrade;
	size_t total;
	enum http_result result;
	struct buf *out;
};

/* ---- answers ----------------------------------------------------------- */

struct answer {
	const char *status;
	const char *headers; /* each with its end; NULL: none */
	const char *type;    /* NULL: text/plain */
	const char *body;
};

static void
answer_write(struct buf *out, const struct answer *a, bool head)
{
	time_t now = (time_t)clock_unix();
	char date[64];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_addf(out,
	    "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\n%sConnection: close\r\n\r\n%s",
	    a->status, date, a->type == NULL ? "text/plain" : a->type,
	    strlen(a->body), a->headers == NULL ? "" : a->headers,
	    head ? "" : a->body);
}

static void
answer(struct http *h, const struct answer *a)
{
	h->result = HTTP_DONE;
	answer_write(h->out, a, h->parser.method == HTTP_HEAD);
}

static void
refuse(struct http *h, const char *status, const char *body)
{
	answer(h, &(struct answer){ .status = status, .body = body });
}

void
http_write_timeout(struct buf *out)
{
	answer_write(out,
	    &(struct answer){ .status = "408 Request Timeout",
		.body = "No request has come in time.\n" },
	    false);
}

void
http_write_unavailable(struct buf *out)
{
	answer_write(out,
	    &(struct answer){ .status = "503 Service Unavailable",
		.body = "This server serves nobody now.\n" },
	    false);
}

/* ---- XEP-0156 ---------------------------------------------------------- */

/* The domain that Host names; NULL: none that is served. The caller frees. */
static char *
domain_of(struct http *h)
{
	char *host = xstrdup(buf_str(&h->value[HOST]));
	char *domain;

	host[strcspn(host, ":")] = '\0';
	domain = jid_prep_domain(host);
	free(host);
	if (domain != NULL && !h->serves(h->arg, domain)) {
		free(domain);
		domain = NULL;
	}
	return domain;
}

/*
 * Whoever found this has a name and a port that lead here, be it straight or
 * through a web server in front: WebSocket is at the same.
 */
static void
host_meta(struct http *h, bool json)
{
	const char *host = buf_str(&h->value[HOST]);
	struct answer a = { .status = "200 OK",
		.headers = ANY_ORIGIN,
		.type = json ? "application/json" : "application/xrd+xml" };
	struct buf body = { 0 };

	if (json)
		buf_addf(&body,
		    "{\"links\":[{\"rel\":\"" ALT_WEBSOCKET
		    "\",\"href\":\"wss://%s" HTTP_PATH "\"}]}\n",
		    host);
	else
		buf_addf(&body,
		    "<?xml version='1.0' encoding='utf-8'?>\n"
		    "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n"
		    "  <Link rel='" ALT_WEBSOCKET "' href='wss://%s" HTTP_PATH
		    "'/>\n</XRD>\n",
		    host);
	a.body = buf_str(&body);
	answer(h, &a);
	buf_clear(&body);
}

static void
discovery(struct http *h, bool json)
{
	char *domain;

	switch (h->parser.method) {
	case HTTP_GET:
	case HTTP_HEAD:
		break;
	case HTTP_OPTIONS:
		answer(h,
		    &(struct answer){ .status = "200 OK",
			.headers = ANY_ORIGIN
			"Access-Control-Allow-Methods: GET, HEAD\r\n",
			.body = "" });
		return;
	default:
		answer(h,
		    &(struct answer){ .status = "405 Method Not Allowed",
			.headers = ANY_ORIGIN "Allow: GET, HEAD, OPTIONS\r\n",
			.body = "It can only be read.\n" });
		return;
	}
	domain = domain_of(h);
	if (domain == NULL)
		answer(h,
		    &(struct answer){ .status = "404 Not Found",
			.headers = ANY_ORIGIN,
			.body = "This domain is not served here.\n" });
	else
		host_meta(h, json);
	free(domain);
}

/* ---- the opening handshake --------------------------------------------- */

/* Whether a list of tokens (RFC 9110, 5.6.1) has this one. */
static bool
list_has(const char *list, const char *token, bool nocase)
{
	size_t want = strlen(token), len;

	while (*list != '\0') {
		list += strspn(list, ", \t");
		len = strcspn(list, ", \t");
		if (len == want &&
		    (nocase ? strncasecmp(list, token, len)
			    : strncmp(list, token, len)) == 0)
			return true;
		list += len;
	}
	return false;
}

/* RFC 6455, 4.2.1: "decoding to a value of 16 bytes". */
static bool
key_is_right(const char *key)
{
	size_t len = 0;
	uint8_t *bytes = crypto_unbase64(key, &len);

	free(bytes);
	return bytes != NULL && len == KEY_LEN;
}

static void
accept_write(struct http *h)
{
	uint8_t digest[20];
	char *text;

	xasprintf(&text, "%s" ACCEPT_GUID, buf_str(&h->value[KEY]));
	crypto_sha1(text, strlen(text), digest);
	free(text);
	text = crypto_base64(digest, sizeof(digest));
	buf_addf(h->out,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	    "Sec-WebSocket-Protocol: xmpp\r\n\r\n",
	    text);
	free(text);
	h->result = HTTP_UPGRADE;
}

static void
handshake(struct http *h)
{
	if (h->parser.method != HTTP_GET)
		answer(h,
		    &(struct answer){ .status = "405 Method Not Allowed",
			.headers = "Allow: GET\r\n",
			.body = "WebSocket begins with GET.\n" });
	else if (!h->wants_upgrade || h->parser.http_minor < 1 ||
	    !list_has(buf_str(&h->value[UPGRADE]), "websocket", true))
		answer(h,
		    &(struct answer){ .status = "426 Upgrade Required",
			.headers = "Upgrade: websocket\r\n",
			.body = "Here is XMPP over WebSocket (RFC 7395).\n" });
	else if (!list_has(buf_str(&h->value[VERSION]), "13", false))
		/* RFC 6455, 4.2.2 and 4.4 */
		answer(h,
		    &(struct answer){ .status = "426 Upgrade Required",
			.headers = "Sec-WebSocket-Version: 13\r\n",
			.body = "The version of WebSocket is 13.\n" });
	else if (!key_is_right(buf_str(&h->value[KEY])))
		refuse(h, "400 Bad Request", "Sec-WebSocket-Key is wrong.\n");
	else if (!list_has(buf_str(&h->value[PROTOCOL]), "xmpp", false))
		/* RFC 7395, 3.1 */
		refuse(h, "400 Bad Request",
		    "The subprotocol \"xmpp\" isn't asked for.\n");
	else
		accept_write(h);
}

/* ---- requests ---------------------------------------------------------- */

/* A name and perhaps a port: also what may be put into an address. */
static bool
host_is_right(const char *host)
{
	static const char v6[] = "[]:.abcdefABCDEF0123456789";
	static const char name[] = ".-_abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strspn(host, host[0] == '[' ? v6 : name);
	const char *rest = host + len;

	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	return len > 0 && *rest == '\0';
}

/* The path of the request's target; the caller frees. */
static char *
path_of(struct http *h)
{
	struct http_parser_url url;
	const char *target = buf_str(&h->target);

	http_parser_url_init(&url);
	if (http_parser_parse_url(target, h->target.len, 0, &url) != 0 ||
	    (url.field_set & (1 << UF_PATH)) == 0)
		return xstrdup("");
	return xstrndup(
	    target + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len);
}

static void
request(struct http *h)
{
	bool repeated = false;
	char *path;

	for (size_t i = 0; i < FIELDS; i++)
		repeated |= h->seen[i] > 1 && !fields[i].list;
	if (h->parser.http_major != 1) {
		refuse(h, "505 HTTP Version Not Supported", "HTTP/1.1 only.\n");
		return;
	}
	/* RFC 9112, 3.2 */
	if (repeated || !host_is_right(buf_str(&h->value[HOST]))) {
		refuse(h, "400 Bad Request", "The header is wrong.\n");
		return;
	}
	path = path_of(h);
	if (strcmp(path, HTTP_PATH) == 0)
		handshake(h);
	else if (strcmp(path, "/.well-known/host-meta") == 0)
		discovery(h, false);
	else if (strcmp(path, "/.well-known/host-meta.json") == 0)
		discovery(h, true);
	else
		refuse(h, "404 Not Found", "Nothing is here.\n");
	free(path);
}

/* ---- the parser's events ----------------------------------------------- */

static int
on_url(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	buf_add(&h->target, at, len);
	return 0;
}

static int
on_name(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	if (h->in_value)
		buf_reset(&h->name);
	h->in_value = false;
	buf_add(&h->name, at, len);
	return 0;
}

static void
value_begin(struct http *h)
{
	const char *name = buf_str(&h->name);

	h->in_value = true;
	for (h->at = 0; h->at < FIELDS; h->at++)
		if (strcasecmp(name, fields[h->at].name) == 0)
			break;
	if (h->at < FIELDS && h->seen[h->at]++ > 0)
		buf_add_str(&h->value[h->at], ",");
}

static int
on_value(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	if (!h->in_value)
		value_begin(h);
	if (h->at < FIELDS)
		buf_add(&h->value[h->at], at, len);
	return 0;
}

/* 2: neither a body nor another request is read. */
static int
on_complete(http_parser *p)
{
	struct http *h = p->data;

	h->complete = true;
	h->wants_upgrade = p->upgrade;
	return 2;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_complete,
};

enum http_result
http_read(struct http *h, const uint8_t *data, size_t len, size_t *used,
    struct buf *out)
{
	h->out = out;
	*used =
	    http_parser_execute(&h->parser, &settings, (const char *)data, len);
	h->total += *used;
	if (!h->complete && HTTP_PARSER_ERRNO(&h->parser) != HPE_OK)
		refuse(h, "400 Bad Request", "This is no HTTP request.\n");
	else if (h->total > HTTP_REQUEST_MAX)
		refuse(h, "431 Request Header Fields Too Large",
		    "The request is too long.\n");
	else if (h->complete)
		request(h);
	return h->result;
}

struct http *
http_new(bool (*serves)(void *arg, const char *domain), void *arg)
{
	struct http *h = xcalloc(1, sizeof(*h));

	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
	h->serves = serves;
	h->arg = arg;
	h->at = FIELDS;
	return h;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	buf_clear(&h->target);
	buf_clear(&h->name);
	for (size_t i = 0; i < FIELDS; i++)
		buf_clear(&h->value[i]);
	free(h);
}
