#ifndef XMPPD_EDGE_HTTP_H
#define XMPPD_EDGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * The first and only request on a connection to the WebSocket port: the opening
 * handshake (RFC 6455, 4.2; RFC 7395, 3.1), or where that is to be found
 * (XEP-0156). Pure: bytes in, bytes out.
 */
struct http;

#define HTTP_PATH "/xmpp-websocket"
#define HTTP_REQUEST_MAX 8192 /* request line and header */

enum http_result {
	HTTP_MORE,    /* the request isn't complete */
	HTTP_UPGRADE, /* WebSocket begins behind what was used */
	HTTP_DONE,    /* it is answered: the connection is to be closed */
};

/* `serves`: whether a domain is served, as jid_prep_domain() has it. */
struct http *http_new(bool (*serves)(void *arg, const char *domain), void *arg);
void http_free(struct http *h);

/* Reads; *used is how many of the bytes are the request's. */
enum http_result http_read(struct http *h, const uint8_t *data, size_t len,
    size_t *used, struct buf *out);

/* An answer to a request that isn't waited for any longer. */
void http_write_timeout(struct buf *out);
void http_write_unavailable(struct buf *out);

#endif
