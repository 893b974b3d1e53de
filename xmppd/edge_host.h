#ifndef XMPPD_EDGE_HOST_H
#define XMPPD_EDGE_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "xmppd/local_edges.h"

/*
 * An edge, its loop, and its mail: what local_edges.c has several of.
 */
struct host;
struct mail_writer;

enum host_mail {
	MAIL_DOWN = 1, /* from the router */
	MAIL_LINK_UP,  /* msg: the term, 8 bytes */
	MAIL_LINK_DOWN,
	MAIL_CALL, /* msg: host_call_fn, then its data */
};

#define CALL_MAX 256 /* bytes of a call's data */

/* Runs on the edge's thread; the data is its own copy. */
typedef void (*host_call_fn)(struct host *h, const void *data);

struct host {
	struct local_edges *all;
	uint32_t number;

	/* The main loop's. */
	pthread_t thread;
	struct mail_writer *post;
	size_t given; /* connections, in all */

	/* The edge's. */
	struct event_base *base;
	struct edge *edge;
	struct mailbox *inbox;
	struct mail_writer *up;
	uint64_t opening; /* of the present link; 0: none */
	struct ssl_ctx_st *tls;
	size_t had; /* connections, in all */

	/* Written by the edge at the end of each turn, for the main loop. */
	atomic_bool has_leader;
	atomic_size_t connections, sessions, components, unacked, accepted;
	atomic_size_t taken; /* had */
};

struct local_edges {
	struct event_base *base;
	struct worker *worker;
	bool threaded, closed;
	bool serving, has_tls;
	_Atomic uint64_t term; /* newest that this node has seen */
	/* Of this struct: its owner, and passwords that are derived from. */
	atomic_uint references;
	uint32_t count;
	struct host hosts[LOCAL_EDGES_MAX];
};

void host_start(struct host *h, const struct local_edges_config *cfg);
void host_stop(struct host *h);
void host_call(struct host *h, host_call_fn fn, const void *data, size_t len);
/* Where the edge is on the main loop: does what it has been sent so far. */
void host_read_now(struct host *h);
/* Writes down what the main loop may want to know. */
void host_publish(struct host *h);
void local_edges_unref(struct local_edges *le);

#endif
