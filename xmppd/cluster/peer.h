#ifndef XMPPD_CLUSTER_PEER_H
#define XMPPD_CLUSTER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "xmppd/cluster/store.h"

/*
 * Connections between nodes, on the main loop: mutual TLS on the client port
 * with the cluster's ALPN, trust by the bundle, a hello that proves which
 * member speaks, then whole messages on one of the channels. Each channel of a
 * pair is a connection of its own, so that nothing delays a heartbeat.
 *
 * The hello: protocol version, cluster identity, channel, Raft id of the
 * sender, its boot number, host and address, and an HMAC of its member key over
 * the TLS exporter. Who isn't a member has CONTROL alone, as node 0, and only
 * where it dials by address. A member that is newer than the table is let in
 * with RAFT and COPY: it may be the leader that the table lags behind.
 *
 * Each up() is followed by one down(), but at peers_free(); where a connection
 * ends by a call of peers_want() or peers_set(), inside that call. No other
 * call calls back.
 */
struct peers;
struct conn;
struct event_base;
struct ssl_ctx_st;
struct ssl_st;

#define PEER_ALPN "mmp-cluster/1"

enum peer_channel {
	PEER_RAFT,    /* handed to the Raft thread after the hello */
	PEER_LINK,    /* a follower's edge dials the leader */
	PEER_MIRROR,  /* a follower's directory dials the leader */
	PEER_CONTROL, /* requests and answers, any node to any */
	PEER_COPY,    /* a snapshot file */
	PEER_CHANNELS
};

/* Why a peer can't be reached or was refused, for status and log. */
struct peer_trouble {
	uint32_t node;    /* Raft id; 0: not a member */
	char address[64]; /* numeric */
	int64_t since;    /* unix seconds; 0: all is well */
	char text[256];   /* "connection refused", "certificate not in ..." */
};

struct peers_callbacks {
	void *arg;
	/* A channel's connection is up (hello checked) or has gone. `dialled`
	 * says whether this side made it. */
	void (*up)(void *arg, uint32_t node, enum peer_channel, bool dialled);
	void (*down)(void *arg, uint32_t node, enum peer_channel, bool dialled);
	/* A message on LINK, MIRROR (either direction). RES_INVALID closes it.
	 */
	int (*message)(void *arg, uint32_t node, enum peer_channel,
	    bool dialled, const void *msg, size_t len);
	/* A request on CONTROL; answer with peers_answer(), now or later, once.
	 * node 0: a node that isn't a member (join). `peer` is its address. */
	void (*request)(void *arg, uint32_t node, const char *peer,
	    uint64_t token, const void *msg, size_t len);
	/* A Raft connection is ready: takes fd and ssl. */
	void (*raft)(
	    void *arg, uint32_t node, bool dialled, int fd, struct ssl_st *ssl);
	/* That member says that this node can't be one as it is: it was
	 * `removed`, or is an older start of itself, from a backup or a clone.
	 * Again and again, while it does. */
	void (*refused_us)(
	    void *arg, uint32_t node, bool removed, const char *why);
	/* A whole copy file has arrived at `path`, its digest is right; who
	 * gets it removes it. */
	void (*copy)(
	    void *arg, uint32_t node, const char *path, uint64_t index);
};

struct peers_self {
	uint8_t cluster[16]; /* identity of the cluster */
	struct store_member me;
	const char *domain; /* for the check of names in certificates */
	const char *dir;    /* for incoming copy files */
};

struct peers *peers_new(
    struct event_base *base, const struct peers_callbacks *cb);
void peers_free(struct peers *p);

/* Who this node is and who the members are (borrowed during the call). Called
 * again at each change; connections to nodes that are gone are closed. */
void peers_set(struct peers *p, const struct peers_self *self,
    const struct store_member *members, size_t count);

/* Key, own chain and trust for new handshakes; PEM texts. The same ones again
 * change nothing. */
int peers_set_tls(struct peers *p, const char *key, const char *chain,
    const char *trust, struct error *e);

/* The context that the listener uses for the cluster's ALPN; borrowed, until
 * other PEM texts are set or the peers are freed. */
struct ssl_ctx_st *peers_tls(struct peers *p);

/* An incoming connection on which the cluster's ALPN was chosen and the
 * handshake is done. Takes it. */
void peers_adopt(struct peers *p, struct conn *c, const char *from);

/* Keeps a connection of this channel to the node up (redialled at most every
 * 50 ms) until told otherwise, as soon as the table has it. RAFT: until one is
 * made and given away; the Raft thread asks again when it has lost it. CONTROL
 * is kept to every member anyway. */
void peers_want(
    struct peers *p, uint32_t node, enum peer_channel channel, bool wanted);

/* Queues a message; dropped if the channel isn't up (the caller has its own
 * means to know, see `up`). `dialled` picks the connection. One that is too
 * long (LINK 1 MiB, MIRROR 64 MiB), or with 64 MiB waiting, ends the connection
 * a moment later. */
void peers_send(struct peers *p, uint32_t node, enum peer_channel channel,
    bool dialled, const void *msg, size_t len);

/* Bytes queued and not yet written on that connection. */
size_t peers_pending(
    struct peers *p, uint32_t node, enum peer_channel channel, bool dialled);

/* A request to a member, or (node 0) to a numeric address with its port. `done`
 * is called once, from the loop or by peers_free(): RES_OK with the answer, or
 * RES_UNREACHABLE, RES_TIMEOUT, RES_DENIED, RES_INVALID with a text of why. It
 * may call anything here, peers_free() too; other callbacks may not free. */
typedef void (*peers_answer_fn)(
    void *arg, int code, const char *why, const void *msg, size_t len);
void peers_request(struct peers *p, uint32_t node, const char *address,
    const void *msg, size_t len, unsigned timeout_ms, peers_answer_fn done,
    void *arg);
void peers_answer(struct peers *p, uint64_t token, const void *msg, size_t len);

/* Sends a file over the copy channel, resumable; done(code) as above, RES_OK
 * when it is there whole: until then it must stay. RES_EXISTS: one is on its
 * way to that node. */
void peers_send_copy(struct peers *p, uint32_t node, const char *path,
    uint64_t index, const uint8_t sha256[32], void (*done)(void *arg, int code),
    void *arg);

/* What is wrong with whom: all other members first, then who was refused
 * lately. Returns how many were written. */
size_t peers_troubles(
    const struct peers *p, struct peer_trouble *out, size_t max);

#endif
