#ifndef XMPPD_EDGE_EDGE_H
#define XMPPD_EDGE_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/limits.h"
#include "common/result.h"
#include "xmppd/link/frame.h"

/*
 * An edge: one loop's connections, their streams and sessions, and the edge's
 * end of the link. It owns what clients and components have sent until the
 * router acknowledges it, and remembers what it has accepted for them.
 *
 * The edge's end of the link is sans-I/O: messages for the router go out
 * through `up`, messages from it come in through edge_down().
 */
struct edge;
struct event_base;
struct logins;
struct ssl_ctx_st;
struct ssl_st;

struct edge_config {
	uint32_t node, edge;
	uint32_t edges; /* how many this node runs */
	uint32_t hold_ms;
	const char *domain;
	const char *secret;      /* the same on all nodes and for good: what the
				    keys of accounts that don't exist are made
				    up from */
	uint32_t window;         /* frames not acknowledged, all sessions */
	uint32_t session_window; /* and of one session */
	struct edge_limits limits;
	struct logins *logins; /* the node's, borrowed */
};

/* What a connection is for. */
enum edge_port {
	PORT_CLIENT,
	PORT_COMPONENT,
	PORT_WEBSOCKET, /* clients, by RFC 7395 */
};

struct edge_env {
	void *arg;
	/* Queues an encoded link message for the router of the present link. */
	void (*up)(void *arg, const void *msg, size_t len);
	/* Closes the present link: the edge has given its router up (no answer
	 * for `hold`) and counts it as down already. A new one may be made, to
	 * the same router too. */
	void (*unlink)(void *arg);
	/* A slow job for the worker: derives SCRAM keys of a password to
	 * compare (PLAIN). Copies what it is given; `done` is called on this
	 * loop. */
	void (*derive)(void *arg, const char *password,
	    const struct scram_keys *params,
	    void (*done)(void *done_arg, const struct scram_keys *derived),
	    void *done_arg);
	/* At the end of each tick of its timer; may be NULL. */
	void (*ticked)(void *arg);
	uint64_t (*now)(void *arg); /* NULL: clock_ms() */
};

struct edge *edge_new(struct event_base *base, const struct edge_config *cfg,
    const struct edge_env *env);
/* Closes the streams ("system-shutdown"), as far as their sockets take the
 * words at once. Tells the router nothing. */
void edge_free(struct edge *e);

/* Service on or off (`xmpp enable`, `disable`). Off, as at first: what runs is
 * closed with `condition` ("system-shutdown") and nothing new is taken. */
void edge_set_serving(struct edge *e, bool serving, const char *condition);

/* Whether new connections are taken: serving, with a certificate, and a leader
 * has answered within hold (G4). */
bool edge_is_serving(const struct edge *e);
bool edge_has_leader(const struct edge *e);

/* The further domains that are served, all of them: new streams may be to them
 * as well. The router ends the sessions at one that goes. */
void edge_set_domains(struct edge *e, const char *const *names, size_t count);

/* The TLS contexts for new connections; borrowed, may be replaced at any time
 * (an open connection keeps its own reference). */
void edge_set_tls(
    struct edge *e, struct ssl_ctx_st *client, struct ssl_ctx_st *component);

/* A new connection from the listener: a socket on which nothing has been read,
 * and the port that it came to. `peer`: numeric address and port,
 * "192.0.2.1:40000" or "[2001:db8::1]:40000". */
void edge_accept(struct edge *e, int fd, enum edge_port port, const char *peer);

/* A client's direct TLS, of which the listener has read the ClientHello, to
 * tell clients from cluster peers by ALPN. Takes both. */
void edge_adopt(struct edge *e, int fd, struct ssl_st *ssl, const char *peer);

/* Other limits, for the sessions that there are as well. */
void edge_set_limits(struct edge *e, const struct edge_limits *limits);

/* Plaintext components from loopback allowed (spec: `component plaintext`). */
void edge_set_plaintext(struct edge *e, bool allowed);

/* Some account has a key for SCRAM-SHA-1 only (struct sasl_env). */
void edge_set_sha1_only(struct edge *e, bool sha1_only);

/* The link to the router of `term` is up: announces, then sends again. */
void edge_link_up(struct edge *e, uint64_t term);
void edge_link_down(struct edge *e);

/* The newest term that this node has seen in Raft (rule 12). */
void edge_set_term(struct edge *e, uint64_t term);

/* A message from the router. RES_INVALID: the link must be closed.
 * RES_DENIED: a lower term, dropped. */
int edge_down(struct edge *e, const void *msg, size_t len);

/* Counted for `xmpp`, tests and the log. */
struct edge_stats {
	size_t connections, sessions, components, unacked, accepted;
};
struct edge_stats edge_stats(const struct edge *e);

/* Counted since the edge began. */
struct edge_counters {
	uint64_t stanzas_in, stanzas_out; /* of bound sessions */
	uint64_t bytes_in, bytes_out;     /* without TLS */
	uint64_t logins, failures; /* of clients: with a wrong password */
};
struct edge_counters edge_counters(const struct edge *e);

/* A session that is logged in, for `xmpp sessions` and status; borrowed. */
struct edge_session {
	const char *address; /* a full JID; a component's domain */
	const char *peer;    /* where it is connected from */
	bool component;
	bool detached;    /* has lost its connection, and may be resumed */
	int64_t since;    /* bound: unix seconds */
	uint64_t idle_ms; /* since anything was read from it */
};
void edge_sessions(const struct edge *e,
    void (*fn)(void *arg, const struct edge_session *s), void *arg);

#endif
