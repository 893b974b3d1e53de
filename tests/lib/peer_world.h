#ifndef TESTS_LIB_PEER_WORLD_H
#define TESTS_LIB_PEER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "tests/lib/certs.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/listen.h"

/*
 * Nodes in one process, on one loop, that know each other as members over real
 * connections on loopback, accepted by xmppd's own listener. Node i has Raft id
 * i + 1. What peers.c calls back is counted; a test may set callbacks of its
 * own instead.
 */
#define PEER_WORLD_MAX 4
#define PEER_WORLD_DOMAIN "tptac9.com"

struct event_base;
struct peer_world;

struct peer_world_node {
	struct peer_world *world;
	unsigned number;
	char dir[96];
	struct peers *peers;
	struct listener *listener;
	struct listen_address address;
	struct store_member member;
	uint8_t cluster[16];
	const struct certs_who *who;
	/* What was called back. */
	unsigned ups[PEER_CHANNELS], downs[PEER_CHANNELS];
	unsigned messages, requests, copies, refusals, rafts;
	bool mute;         /* requests are not answered */
	bool reject;       /* messages are malformed */
	uint32_t asked_by; /* of the newest request */
	uint64_t copy_index;
	char copy_path[160];
	struct buf message; /* the newest */
	char why[256];      /* of the newest refusal */
	int fd;             /* of the newest Raft connection */
	struct ssl_st *ssl;
	bool dialled;
};

struct peer_world {
	struct event_base *base;
	struct conn_loop *loop;
	struct event *waker;
	char dir[64];
	struct peer_world_node nodes[PEER_WORLD_MAX];
	unsigned count;
	const struct peers_callbacks *callbacks; /* arg: the node; or NULL */
	/* The newest answer to peer_world_request(). */
	unsigned answers;
	int code;
	char why[256];
	struct buf answer;
};

/* Nodes with their listeners; nobody has certificates or members yet. */
void peer_world_init(struct peer_world *w, unsigned count,
    const struct peers_callbacks *callbacks);
void peer_world_clear(struct peer_world *w);

/* A new `struct peers` for a node, as after a restart. */
void peer_world_start(struct peer_world *w, unsigned i);
void peer_world_stop(struct peer_world *w, unsigned i);
void peer_world_listen(struct peer_world *w, unsigned i, bool on);

/* One shared certificate, and all are members. */
void peer_world_join_all(struct peer_world *w);
/* A node's certificate, and whom it trusts (PEM). */
void peer_world_tls(struct peer_world *w, unsigned i,
    const struct certs_who *who, const char *trust);
/* What node i knows: nodes of `mask` are members. */
void peer_world_members(struct peer_world *w, unsigned i, unsigned mask);

void peer_world_request(struct peer_world *w, unsigned from, uint32_t node,
    const char *address, const char *text, unsigned timeout_ms);

/* Runs the loop until *what is at least this; fails if it takes too long. */
void peer_world_await(
    struct peer_world *w, const unsigned *what, unsigned least);
void peer_world_run(struct peer_world *w, unsigned ms);
/* Until node i has no trouble with any member. */
void peer_world_await_calm(struct peer_world *w, unsigned i);
/* The trouble with a member (0: the first stranger), "" if none. */
const char *peer_world_trouble(struct peer_world *w, unsigned i, uint32_t node);

#endif
