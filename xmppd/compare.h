#ifndef XMPPD_COMPARE_H
#define XMPPD_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/result.h"
#include "xmppd/cluster/store.h"

/*
 * The messages of a join, and the comparison before it: what differs between a
 * node that wants in and the cluster, in one line that says what would settle
 * it. What the node merely lacks is no difference: it gets it.
 */
struct named_digest {
	char *name;
	uint8_t digest[32]; /* SHA-256 */
};

struct join_request {
	uint8_t identity[16];
	char *host, *address, *domain; /* domain: NULL if not set */
	uint64_t boot;
	struct named_digest *components; /* of the secret */
	struct named_digest *accounts;   /* of the stored keys */
	size_t component_count, account_count;
	uint64_t rows;  /* stored messages */
	uint64_t items; /* that accounts keep here */
	uint64_t archived;
};

struct join_answer {
	int code; /* RES_OK: the rest is there */
	char *text;
	uint32_t raft_id;
	uint8_t key[32], cluster[16];
	char *domain; /* that the cluster serves */
	struct store_member *members;
	size_t member_count;
};

void join_request_encode(struct buf *b, const struct store_member *self,
    struct store *s, const char *domain);
int join_request_decode(const void *msg, size_t len, struct join_request *r);
void join_request_clear(struct join_request *r);

/* RES_DIFFERS with the line. */
int join_compare(const struct join_request *r, struct store *s,
    const char *domain, struct error *e);

/* What the cluster lets a node in with. */
struct join_terms {
	const struct store_member *row; /* the node's own */
	const uint8_t *cluster;         /* its identity, 16 bytes */
	const char *domain;
	const struct store_member *members;
	size_t count;
};

/* `terms` counts only with RES_OK. */
void join_answer_encode(
    struct buf *b, int code, const char *text, const struct join_terms *terms);
int join_answer_decode(const void *msg, size_t len, struct join_answer *a);
void join_answer_clear(struct join_answer *a);

#endif
