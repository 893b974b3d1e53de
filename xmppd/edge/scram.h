#ifndef XMPPD_EDGE_SCRAM_H
#define XMPPD_EDGE_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "xmppd/link/frame.h"

/*
 * The server's side of SCRAM (RFC 5802, RFC 7677), from stored keys. Pure: the
 * nonce, the keys and the channel binding's data are given.
 */
enum scram_hash { SCRAM_SHA1, SCRAM_SHA256 };

struct scram {
	enum scram_hash hash;
	char binding;       /* 'n', 'y' or 'p' (RFC 5802, 7: gs2-cbind-flag) */
	char *binding_type; /* of 'p'; else NULL */
	char *authzid;      /* NULL: none given */
	char *username;     /* as sent, unescaped */
	char *gs2_header;
	char *first_bare;   /* client-first-message-bare */
	char *nonce;        /* the client's and ours */
	char *server_first; /* NULL: not yet */
	const struct scram_key *key;
};

void scram_init(struct scram *s, enum scram_hash which);
void scram_clear(struct scram *s);

/* client-first-message; `nonce` is our part. RES_INVALID if malformed. */
int scram_first(
    struct scram *s, const char *msg, size_t len, const char *nonce);

/* server-first-message; borrows the key until the end. `offer` is what was
 * offered to the client, whose hash goes with it (XEP-0474); NULL: none. */
void scram_challenge(struct scram *s, const struct scram_key *key,
    const struct buf *offer, struct buf *out);

/*
 * client-final-message. 0: the proof is right, and server-final-message was
 * written. RES_INVALID: malformed; RES_DENIED: wrong proof, nonce or binding.
 * `binding` is what this connection has of the type named by the client.
 */
int scram_final(struct scram *s, const char *msg, size_t len,
    const struct text *binding, struct buf *out);

#endif
