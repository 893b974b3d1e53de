#ifndef TESTS_LIB_PEER_RAW_H
#define TESTS_LIB_PEER_RAW_H

#include "tests/lib/peer_world.h"
#include "xmppd/cluster/peer_hello.h"

/*
 * The other end of a connection between nodes, by hand: TLS to a node of a
 * world, and then whatever bytes a test likes.
 */
struct peer_raw {
	struct peer_world *world;
	struct conn *conn; /* NULL: closed */
	struct ssl_ctx_st *ctx;
	bool ready;
	struct buf in;
	uint8_t exporter[32];
};

/* Connects to node `to` with a certificate; returns when TLS is there, or
 * refused. `who` may be NULL: none. */
void peer_raw_open(struct peer_raw *raw, struct peer_world *w, unsigned to,
    const struct certs_who *who);
void peer_raw_close(struct peer_raw *raw);

/* A right hello, of node `from` to node `to`, for a test to change. */
void peer_raw_hello(struct peer_raw *raw, struct peer_hello *h, unsigned from,
    unsigned to, enum peer_channel channel);
/* Proves it by node from's key and sends it; the frame is in *frame, if that
 * isn't NULL, instead of sent. */
void peer_raw_say(struct peer_raw *raw, struct peer_hello *h, unsigned from,
    struct buf *frame);
void peer_raw_write(struct peer_raw *raw, const void *data, size_t len);

/* Waits for the node's hello. RES_UNREACHABLE: it has closed instead. */
int peer_raw_answer(struct peer_raw *raw, struct peer_hello *h);
void peer_raw_await_closed(struct peer_raw *raw);

#endif
