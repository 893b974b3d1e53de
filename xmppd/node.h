#ifndef XMPPD_NODE_H
#define XMPPD_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/limits.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/cluster/raft_node.h"
#include "xmppd/cluster/store.h"
#include "xmppd/instance.h"
#include "xmppd/router/router.h"
#include "xmppd/settings.h"

/*
 * The context of the process: what ties edge, router, store and cluster
 * together. Each part is owned here; each module of this folder handles its
 * share of the struct and says so beside its fields. All of it belongs to the
 * main loop.
 */
struct conn_loop;
struct domains;
struct leader;
struct links;
struct listener;
struct local_edges;
struct logins;
struct membership;
struct reconciler;
struct proposer;
struct ssl_ctx_st;
struct varlink_server;
struct worker;

/* Default times, in milliseconds (design(7), "Time"). */
#define ELECTION_MS 300
#define HEARTBEAT_MS 50
#define RAFT_TICK_MS 10
#define MARGIN_MS 500
#define NODE_TICK_MS 25

struct node {
	struct daemon *daemon;
	struct event_base *base;
	struct conf *conf;
	struct conn_loop *loop;
	struct worker *worker;
	struct logins *logins; /* under way, of all edges */
	struct listener *listener;
	struct varlink_server *ctl;
	struct ssl_ctx_st
	    *tls; /* clients and components; NULL: no certificate */
	struct event *tick;
	int64_t started;      /* unix */
	uint32_t copying;     /* Raft id that is being sent a copy; 0: nobody */
	bool components_open; /* 5223 is bound */
	bool draining;        /* sessions have been ended, none are taken */
	uint64_t drained; /* ms: `on_drained` is called then at the latest */
	void (*on_drained)(void *arg); /* NULL: nobody waits */
	void *on_drained_arg;
	char *trouble;  /* what could not be applied; NULL: all was */
	uint64_t tried; /* ms: applied again last, because of that */

	/* The instance: these live and die together (node_open, node_close). */
	struct instance instance;
	struct store *store;
	struct raft_node *raft;
	struct peers *peers;
	struct proposer *proposer;
	struct directory *directory;
	struct local_edges *edges;
	char *domain; /* the store's; NULL: not set */
	uint32_t hold_ms;
	bool sha1_only; /* what the edges know of that */
	struct edge_limits limits;

	/* What Raft says. */
	enum raft_role role;
	uint64_t term;
	uint32_t leader_id; /* 0: none is known */
	int64_t role_since; /* unix: leader_id is what it is */
	uint32_t *voters;
	size_t voter_count;

	struct store_member *members; /* the member table */
	size_t member_count;

	struct links *links;           /* links.c */
	struct domains *domains;       /* domains.c: the further ones */
	struct leader *lead;           /* leader.c */
	struct membership *membership; /* membership.c */
	struct reconciler *reconciler; /* reconciler.c */
};

/* Opens settings, instance, listeners and control socket; then the loop may
 * run. On an error nothing is left open. */
int node_start(struct node *n, struct daemon *d, struct error *e);
void node_stop(struct node *n);

/*
 * Ends the sessions, before this node goes: `done` is called from the loop when
 * the router knows that all of them have ended, or after a second. Nobody is
 * served from then on until node_undrain().
 */
void node_drain(struct node *n, void (*done)(void *arg), void *arg);
void node_undrain(struct node *n);

/* Begins and ends the life of an instance (also for joins and resets). */
int node_open(struct node *n, struct error *e);
void node_close(struct node *n, unsigned handover_ms);

/*
 * Brings listeners, TLS contexts, trust and the edge's service in line with the
 * settings and the state. RES_FAILED names what can't be had (a port in use);
 * what could be applied is.
 */
int node_apply(struct node *n, struct error *e);

/* Whether clients may be served: enabled, with domain and certificate, and
 * standalone or a member. */
bool node_wants_service(const struct node *n);

/* Whether clients are taken at this moment (arg is the node): not while the
 * majority has been out of reach for longer than hold (G4). */
bool node_is_serving(void *arg);

/* In cluster mode and a member of a cluster. */
bool node_is_member(const struct node *n);
bool node_is_leader(const struct node *n);

/* "10.1.1.1:5222": the first listening address with the client port; NULL if
 * there is none. The caller frees. */
char *node_address(const struct node *n, struct error *e);
char *node_hostname(const struct node *n); /* ROOT/hostname, or the system's */

/* The row with that Raft id, or identity; NULL if there is none. */
const struct store_member *node_member(const struct node *n, uint32_t raft_id);
const struct store_member *node_self(const struct node *n);
bool node_is_voter(const struct node *n, uint32_t raft_id);

/* This node's row as it should be; the caller clears. RES_STATE without a
 * listening address. */
int node_self_row(
    const struct node *n, struct store_member *row, struct error *e);

/* Reads member table and shared settings again after a change. */
void node_reload(struct node *n);

/* A storage error or a broken invariant: the one way to end the process. */
void node_failed(void *arg, const char *why);

#endif
