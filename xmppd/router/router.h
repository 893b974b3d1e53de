#ifndef XMPPD_ROUTER_ROUTER_H
#define XMPPD_ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/limits.h"
#include "xmppd/cluster/store.h"
#include "xmppd/link/frame.h"

/*
 * The active router of one term: a pure state machine. Link messages, mirror
 * acknowledgements, applied commands and ticks in; link messages, mirror
 * messages and proposals out, through the functions of its environment, which
 * only queue: none of them calls back into the router. Time is passed in, in
 * milliseconds of the monotonic clock. The rules are those of delivery(7).
 */
struct router;
struct directory;

struct router_env {
	void *arg;
	/* Sends a link message (whole, encoded) to an edge. */
	void (*down)(void *arg, uint32_t node, uint32_t edge, const void *msg,
	    size_t len);
	/* Sends a mirror message to the passive router of a node. */
	void (*mirror)(void *arg, uint32_t node, const void *msg, size_t len);
	/* Puts a command through the log under this term. It comes back as
	 * router_applied(), or never if the term ends. */
	void (*propose)(void *arg, const void *command, size_t len);
	int64_t (*unix_time)(void *arg); /* seconds */
	int64_t (*unix_ms)(void *arg);
	/* Keys of a prepared password, with random salts. */
	void (*derive)(void *arg, const char *password, struct scram_keys *out);
	struct store *store; /* for reads */
};

struct router_config {
	uint32_t node; /* this node's Raft id */
	uint64_t term;
	const char *domain;
	const char *version;                   /* for XEP-0092 */
	uint32_t hold_ms, margin_ms, grace_ms; /* rules 9 and 11 */
	const struct edge_limits *limits;      /* NULL: as usual */
	const uint32_t *voters; /* all voters' Raft ids, this node's included */
	size_t voter_count;
};

/*
 * Starts the router of a term from the merged directory, which it goes on to
 * own in place (the directory outlives the router). `complete` is rule 8's:
 * whether a majority's copies were complete.
 */
struct router *router_new(const struct router_config *cfg,
    const struct router_env *env, struct directory *dir, bool complete,
    uint64_t now);
void router_free(struct router *r);

/* Whether its own copy of the directory is at a majority: before that no link
 * may be taken (rule 8). */
bool router_takes_links(const struct router *r);

/* A link of an edge came up (nothing counts until it has announced) or broke.
 */
void router_link_up(
    struct router *r, uint32_t node, uint32_t edge, uint64_t now);
void router_link_down(
    struct router *r, uint32_t node, uint32_t edge, uint64_t now);

/* A message from an edge. RES_INVALID: malformed, the link must be closed. */
int router_up(struct router *r, uint32_t node, uint32_t edge, const void *msg,
    size_t len, uint64_t now);

/* A passive router came (it is sent a copy, then events), went, or has
 * acknowledged up to seq. */
void router_mirror_up(struct router *r, uint32_t node, uint64_t now);
void router_mirror_down(struct router *r, uint32_t node);
void router_mirror_ack(
    struct router *r, uint32_t node, uint64_t seq, uint64_t now);

/* The voters changed (a member was added or removed). */
void router_set_voters(
    struct router *r, const uint32_t *voters, size_t count, uint64_t now);

/* Other limits: for what is asked from now on. */
void router_set_limits(struct router *r, const struct edge_limits *limits);

/* A command was applied (any, not only this router's own). */
void router_applied(
    struct router *r, const struct store_event *event, uint64_t now);

/* The administrator ends sessions: all of a bare address or a component, or the
 * one with a full address. How many there were. */
size_t router_kick(struct router *r, const char *address, const char *condition,
    const char *text, uint64_t now);

/* Every 100 ms or so: holds, grace, prunings, retries. Returns when it next
 * wants to be called at the latest (absolute ms). */
uint64_t router_tick(struct router *r, uint64_t now);

/* Counted for tests and the log. */
struct router_stats {
	size_t sessions, jobs, deliveries, rows, users;
	bool settled; /* every node has announced or is given up */
};
struct router_stats router_stats(const struct router *r);

/* ---- the directory: mirrored session events ---------------------------- */

/* Kept on every node; passive except where a router is active. */
struct directory *directory_new(void);
void directory_free(struct directory *d);

/* Empty and complete: for the first voter of a new cluster, only. */
void directory_set_complete(struct directory *d);

/* How new it is; `complete` says whether it may count for rule 8. */
struct directory_state {
	uint64_t term, seq;
	bool complete;
};

struct directory_state directory_state(const struct directory *d);
size_t directory_count(const struct directory *d);
/* Which node a component is connected to: its Raft id, 0 if it isn't. */
uint32_t directory_component_node(
    const struct directory *d, const char *domain);

/*
 * Takes a mirror message of a leader. RES_DENIED if its term is lower than
 * `promised`, the newest this node has seen in Raft (rule 12); RES_INVALID if
 * malformed or out of sequence (the mirror link must be closed and made anew,
 * which begins with a copy). On 0, *seq is to be acknowledged, if not 0.
 */
int directory_mirror(struct directory *d, uint64_t promised, const void *msg,
    size_t len, uint64_t *seq);

/* A whole copy as one block of bytes, and its replacement: how a new leader
 * fetches the newest of a majority before router_new(). */
void directory_encode(const struct directory *d, struct buf *out);
int directory_decode(struct directory *d, const void *data, size_t len);

#endif
