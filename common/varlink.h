#ifndef COMMON_VARLINK_H
#define COMMON_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/result.h"

/*
 * Varlink messages: JSON objects, each ended by a NUL (varlink.org, "Protocol
 * Specification"). Pure: bytes in, values out.
 */
#define VARLINK_MESSAGE_MAX (1024 * 1024) /* bytes, the NUL counted */
#define VARLINK_DEPTH_MAX 32
#define VARLINK_SERVICE "org.varlink.service"

/* What a client asks. All is borrowed from the message it was read from. */
struct varlink_request {
	const char *method; /* "im.xmppd.Cluster.Join" */
	json_t *parameters; /* an object; NULL if there are none */
	bool more;          /* takes several replies */
	bool oneway;        /* takes none */
};

/* Appends a message with its NUL. RES_LIMIT if it is too long: out is kept. */
int varlink_encode(const json_t *message, struct buf *out, struct error *error);

/*
 * Reads one message (without its NUL): an object, no key twice, not too deep.
 * The caller releases it; NULL and an error otherwise.
 */
json_t *varlink_decode(const char *data, size_t len, struct error *error);

/* Takes a decoded message apart; RES_INVALID where it is no request. */
int varlink_request_read(
    const json_t *message, struct varlink_request *req, struct error *error);

/* Zeroes all texts in a value that holds a secret, before it is released. */
void varlink_wipe(json_t *value);

#endif
