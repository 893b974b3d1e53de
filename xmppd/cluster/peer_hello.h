#ifndef XMPPD_CLUSTER_PEER_HELLO_H
#define XMPPD_CLUSTER_PEER_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * The first message of each side on a connection between nodes: who dials says
 * what for and who it is, who accepts says the same or why not. Each proves
 * its Raft id by an HMAC with its member key over the TLS session's exporter,
 * so a proof is worth nothing anywhere else. Pure.
 */
#define PEER_PROTOCOL 1U
#define PEER_HOST_MAX 253 /* characters of a host name */
#define PEER_ADDRESS_MAX 63
#define PEER_TEXT_MAX 255
#define PEER_HELLO_MAX 1024

/* What the acceptor says; the names are only for the log. */
enum peer_verdict {
	PEER_WELCOME,
	PEER_REFUSED_VERSION,
	PEER_REFUSED_CERTIFICATE,
	PEER_REFUSED_CLUSTER, /* a member of another */
	PEER_REFUSED_UNKNOWN, /* its table may not be new enough: try again */
	PEER_REFUSED_REMOVED, /* it was a member: join anew */
	PEER_REFUSED_KEY,
	PEER_REFUSED_BOOT, /* a newer start is known: join anew */
	PEER_REFUSED_CHANNEL,
	PEER_REFUSED_BUSY,
	PEER_VERDICTS
};

struct peer_hello {
	uint16_t protocol;
	uint8_t cluster[16];
	uint8_t channel;   /* enum peer_channel */
	uint8_t verdict;   /* the acceptor's */
	uint32_t from, to; /* Raft ids; 0: none, or not known */
	uint64_t boot;
	char host[PEER_HOST_MAX + 1];
	char address[PEER_ADDRESS_MAX + 1]; /* where it listens; or empty */
	char text[PEER_TEXT_MAX + 1];       /* a verdict's reason */
	uint8_t proof[32];
};

/* Which side speaks: a proof of one is none of the other. */
enum peer_side { PEER_DIALLER = 1, PEER_ACCEPTOR };

void peer_hello_encode(struct buf *out, const struct peer_hello *h);
int peer_hello_decode(const void *data, size_t len, struct peer_hello *h);

/* Over all but the proof itself. */
void peer_hello_prove(struct peer_hello *h, enum peer_side side,
    const uint8_t key[32], const uint8_t exporter[32]);
bool peer_hello_is_proven(const struct peer_hello *h, enum peer_side side,
    const uint8_t key[32], const uint8_t exporter[32]);

/*
 * Boot numbers: the high half counts the starts, the low half is random. A node
 * that starts shows one that is not committed yet, so a higher count is fine;
 * with an equal count only the very number is, for a clone would count the
 * same.
 */
bool peer_boot_is_old(uint64_t shown, uint64_t known);

#endif
