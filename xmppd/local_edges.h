#ifndef XMPPD_LOCAL_EDGES_H
#define XMPPD_LOCAL_EDGES_H

#include "xmppd/edge/edge.h"

/*
 * This node's edges, as many as the machine has use for: each on a thread of
 * its own; on a machine with one core a single one, on the main loop. Nothing
 * joins them to the rest but mail (mailbox.h), and the counters of logins
 * (edge/logins.h), which are the node's.
 *
 * All functions are the main loop's. Those that only tell something return at
 * once; the edges do it when they get to it, in order with what else they are
 * sent.
 */
struct event_base;
struct local_edges;
struct mailbox;
struct ssl_ctx_st;
struct ssl_st;
struct worker;

#define LOCAL_EDGES_MAX 4

/* Mail from an edge; `of` is the opening of its link that it belongs to, as
 * given to local_edges_link_up(). */
enum local_mail {
	MAIL_UP = 1, /* a message for the router of this opening */
	MAIL_UNLINK, /* it has given the router of this opening up (msg empty),
			or can't make sense of it (one byte) */
};

struct local_edges_config {
	struct edge_config edge; /* all of it is copied; edge and edges are set
				    here */
	uint32_t count;          /* 0: by the machine */
	struct event_base *base; /* the main loop's */
	struct mailbox *up;      /* takes enum local_mail */
	struct worker *worker;
};

struct local_edges *local_edges_new(const struct local_edges_config *cfg);
/* Closes all streams, as edge_free(); waits for the threads to end. */
void local_edges_free(struct local_edges *le);

uint32_t local_edges_count(const struct local_edges *le);

/* ---- service ----------------------------------------------------------- */

/* Each edge's edge_set_...(). The context is kept as long as it is needed. */
void local_edges_set_serving(
    struct local_edges *le, bool serving, const char *condition);
void local_edges_set_tls(struct local_edges *le, struct ssl_ctx_st *tls);
void local_edges_set_plaintext(struct local_edges *le, bool allowed);
void local_edges_set_sha1_only(struct local_edges *le, bool sha1_only);
void local_edges_set_limits(
    struct local_edges *le, const struct edge_limits *limits);
void local_edges_set_domains(
    struct local_edges *le, const char *const *names, size_t count);
/* The same as set_serving(false), and waits until it is done. */
void local_edges_close(struct local_edges *le, const char *condition);

/* All of them would take a connection now (edge_is_serving). */
bool local_edges_are_serving(const struct local_edges *le);

/* To the edge with the fewest connections; as edge_accept(), edge_adopt(). */
void local_edges_accept(
    struct local_edges *le, int fd, enum edge_port port, const char *peer);
void local_edges_adopt(
    struct local_edges *le, int fd, struct ssl_st *ssl, const char *peer);

/* ---- links ------------------------------------------------------------- */

void local_edges_set_term(struct local_edges *le, uint64_t term);
/* `opening` names what follows until link_down or the next link_up; never 0,
 * never used before. */
void local_edges_link_up(
    struct local_edges *le, uint32_t edge, uint64_t opening, uint64_t term);
void local_edges_link_down(struct local_edges *le, uint32_t edge);
void local_edges_down(struct local_edges *le, uint32_t edge, uint64_t opening,
    const void *msg, size_t len);

/* ---- what is shown ----------------------------------------------------- */

/* The sum of them; as of each one's last turn. */
struct edge_stats local_edges_stats(const struct local_edges *le);
/* Calls fn for each edge, on its own thread, one after the other, and waits
 * for it: for commands, not for what happens often. */
void local_edges_each(struct local_edges *le,
    void (*fn)(struct edge *edge, void *arg), void *arg);

#endif
