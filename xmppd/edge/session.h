#ifndef XMPPD_EDGE_SESSION_H
#define XMPPD_EDGE_SESSION_H

#include <sys/queue.h>

#include "common/conn.h"
#include "common/xmlstream.h"
#include "xmppd/edge/edge.h"
#include "xmppd/edge/logins.h"
#include "xmppd/edge/rate.h"
#include "xmppd/edge/sasl.h"
#include "xmppd/edge/stream.h"
#include "xmppd/edge/uplink.h"

/*
 * What the edge's files share: the edge, and a session, which is one connection
 * with its stream, from the first byte to the last. session.c moves bytes and
 * ends sessions, ingress.c takes stanzas and egress.c gives them out; what
 * differs between clients (c2s.c) and components (component.c) is behind struct
 * session_kind_ops.
 */
struct session;
struct event;

struct session_kind_ops {
	const char *name;
	size_t queue_max; /* bytes that wait for a peer that doesn't read */
	/* The peer's header was read. */
	void (*header)(struct session *s, const struct xml_open *open);
	/* An element other than a stanza, that may come now; or a stanza while
	 * there is no bound resource. */
	void (*element)(struct session *s, enum stream_input input,
	    const struct xml_stanza *stanza);
	/* White space between elements; may be NULL. */
	void (*space)(struct session *s);
	/* Whether an iq of type set to `to` was answered here; may be NULL. */
	bool (*answers)(
	    struct session *s, const struct xml_stanza *stanza, const char *to);
	/* What the router says: an answer to a query, of the bind. */
	void (*answer)(struct session *s, int code, struct text data);
	/* `extra`: what else it says, as elements. */
	void (*bound)(struct session *s, struct text extra);
	void (*refused)(struct session *s, struct text condition);
	/* Frees what was for the login alone. */
	void (*forget_login)(struct session *s);
};

/* The address last used, as it came and prepared: most go on to the same. */
struct address {
	char *raw;      /* may be the same memory as prepared */
	char *prepared; /* NULL: none */
};

/* A stored message in the queue of a session that is slow to read. */
struct slow_row {
	struct delivery_id id;
	uint64_t end; /* what must be written until it is out */
};

struct c2s_login;
struct component_login;

struct session {
	struct edge *edge;
	const struct session_kind_ops *ops;
	struct conn *conn;   /* NULL: not yet, or gone */
	struct event *first; /* waits for the first byte; owns `fd` */
	int fd;
	char *peer; /* address and port */
	struct xmlstream *xml;
	struct stream stream;
	struct uplink_session up;
	struct c2s_login *c2s;             /* until bound, */
	struct component_login *component; /* by kind */
	char *bare;                        /* own bare JID once bound */
	struct address to, from;           /* last prepared */
	uint64_t until; /* must be logged in, or gone, by then */
	uint64_t last_read;
	int64_t since; /* bound: unix seconds */
	bool paused, warm, counted;
	bool throttled; /* not read until: */
	uint64_t read_from;
	uint64_t count; /* stanzas in what is being read */
	struct rate bytes, stanzas;
	uint64_t queued;       /* bytes written to conn in all */
	size_t unsent;         /* of them, when the session was closed */
	struct slow_row *slow; /* NULL: it keeps up */
	size_t slow_count;
	uint64_t slow_written, slow_since; /* the last progress */
	TAILQ_ENTRY(session) next;
	TAILQ_ENTRY(session) next_warm;
	TAILQ_ENTRY(session) next_slow;
	TAILQ_ENTRY(session) next_throttled;
};

TAILQ_HEAD(session_list, session);

struct edge {
	struct event_base *base;
	struct conn_loop *loop;
	struct edge_config cfg;
	struct stream_domain domains; /* the first, and further ones */
	struct edge_env env;
	struct uplink *uplink;
	struct ssl_ctx_st *client_tls, *component_tls;
	bool serving, plaintext;
	char *secret;                  /* edge_config.secret */
	struct session_list logins;    /* not bound yet, oldest first */
	struct session_list sessions;  /* bound */
	struct session_list ending;    /* the peer has closed, oldest first */
	struct session_list gone;      /* to be freed at the loop's next turn */
	struct session_list warm;      /* whose parser is alive */
	struct session_list slow;      /* who has slow rows */
	struct session_list throttled; /* who sends more than it may */
	size_t connection_count, component_count;
	uint64_t next_sweep, next_tick;
	struct event *tick, *reap;
	struct buf out, payload, child; /* scratch */
};

uint64_t edge_now(const struct edge *e);
uint64_t edge_limit(const struct edge *e, enum limit limit);
void edge_tick(struct edge *e);                 /* the timer; for tests too */
void edge_tick_at(struct edge *e, uint64_t at); /* not later than then */

/* ---- session.c --------------------------------------------------------- */

/* NULL if the address has too many logins under way. Takes the peer's text. */
struct session *session_new(struct edge *e, bool component, const char *peer);
/* `ssl`: TLS begins at once, or goes on; NULL: it doesn't. Takes both. */
void session_connect(struct session *s, int fd, struct ssl_st *ssl);
void session_free(struct session *s);

/* For the log: the full JID once bound, else the peer. */
const char *session_name(const struct session *s);

void session_write(struct session *s, const void *data, size_t len);
/* Sends what is in edge.out and empties it. */
void session_flush(struct session *s);

/*
 * Ends: with a stream error; in order; or at once, without a word. After any
 * of these `stream.state` is STREAM_CLOSED, and the session is freed at the
 * loop's next turn.
 */
void session_error(
    struct session *s, enum stream_error error, const char *text);
void session_finish(struct session *s, const char *why);
void session_abort(struct session *s, const char *why);

/* The login is over: the session is bound, its limits are those of stanzas. */
void session_is_bound(struct session *s);

/* Reads elements by the limits of its state. */
void session_limit(struct session *s);

/* Reads again, if nothing else stands against it. */
void session_read_on(struct session *s);

/* From the uplink: something that it sent was acknowledged. */
void session_moved(struct session *s);
void session_rest_idle(struct edge *e, uint64_t now);

/* The component port: what the first byte is decides. */
void session_wait_first(struct session *s, int fd);

/* ---- throttle.c -------------------------------------------------------- */

/* So many bytes were read, with session.count stanzas in them. */
void throttle_read(struct session *s, size_t len);
void throttle_end(struct session *s);
/* Lets go who may be read again; when the next one may. */
uint64_t throttle_tick(struct edge *e, uint64_t now);

/* ---- ingress.c --------------------------------------------------------- */

/* A stanza of a bound session: checked, addressed, handed up, or answered. */
void ingress_stanza(struct session *s, const struct xml_stanza *stanza);
/* Answers a stanza with an error; nothing if it mustn't be answered. */
void ingress_reply(struct session *s, const struct xml_stanza *stanza,
    const char *from, enum stanza_error error);
void ingress_clear(struct session *s);

/* ---- egress.c ---------------------------------------------------------- */

/* A delivery from the uplink. */
enum delivered egress_deliver(struct session *s, const struct down_deliver *d);
void egress_drained(struct session *s);
/* The session has ended, with `unsent` bytes in its queue. */
void egress_end(struct session *s);
/* Ends those that have read nothing for long. */
void egress_sweep(struct edge *e, uint64_t now);

extern const struct session_kind_ops c2s_ops, component_ops;

#endif
