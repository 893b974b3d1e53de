#ifndef XMPPD_EDGE_SESSION_H
#define XMPPD_EDGE_SESSION_H

#include <sys/queue.h>

#include "common/conn.h"
#include "common/map.h"
#include "common/xmlstream.h"
#include "xmppd/edge/edge.h"
#include "xmppd/edge/logins.h"
#include "xmppd/edge/rate.h"
#include "xmppd/edge/sasl.h"
#include "xmppd/edge/sm.h"
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
	/* <resume/> comes, and nothing is bound. */
	void (*resume)(struct session *s, const char *previd, uint32_t h);
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
	bool kept;    /* the session will say when it has it (XEP-0198) */
};

/* What a session with stream management (XEP-0198) has besides. */
struct managed {
	struct sm *sm;
	struct session *session;
	char *id;             /* it may be resumed by; NULL: it mayn't */
	uint64_t resume_ms;   /* for so long */
	struct session *heir; /* waits to go on as it; NULL: none */
	char *claimed;        /* by a connection at another edge: its sid;
				 NULL: it isn't */
	bool frozen;          /* its state is on its way there */
	uint64_t frozen_by;   /* the frame that it is in */
	bool left;            /* it is there */
	uint64_t busy_since;  /* the newest stanza to it */
	bool watched;         /* in edge.watched */
	TAILQ_ENTRY(managed) next_watched;
};

TAILQ_HEAD(managed_list, managed);

/* The answer to <resume/>, and whether the session goes on as the other one
 * did: then it is bound after this call, and what its client lacks is sent. */
typedef void (*resume_done_fn)(
    struct session *s, bool resumed, const char *answer);

/* What a new connection waits to go on as. */
struct resumption {
	struct managed *old; /* NULL: it isn't here */
	uint32_t h;
	resume_done_fn done;
};

struct csi;
struct ws;

struct c2s_login;
struct component_login;

struct session {
	struct edge *edge;
	const struct session_kind_ops *ops;
	struct conn *conn;   /* NULL: not yet, or gone */
	struct event *first; /* waits for the first byte; owns `fd` */
	int fd;
	char *peer;    /* address and port */
	struct ws *ws; /* NULL: its stream is on TCP */
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
	uint64_t queued;         /* bytes written to conn in all */
	size_t unsent;           /* of them, when the session was closed */
	struct managed *managed; /* NULL: no stream management */
	struct resumption *resumption; /* that it waits for; NULL: none */
	struct csi *csi;               /* inactive: NULL: it isn't */
	struct slow_row *slow;         /* NULL: it keeps up */
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
	struct xml_parsers *parsers;
	struct edge_config cfg;
	struct stream_domain domains; /* the first, and further ones */
	struct edge_env env;
	struct uplink *uplink;
	struct ssl_ctx_st *client_tls, *component_tls;
	bool serving, plaintext, sha1_only;
	char *secret;                  /* edge_config.secret */
	struct session_list logins;    /* not bound yet, oldest first */
	struct session_list sessions;  /* bound */
	struct session_list ending;    /* the peer has closed, oldest first */
	struct session_list detached;  /* the first to be given up is first */
	struct session_list gone;      /* to be freed at the loop's next turn */
	struct session_list warm;      /* whose parser is alive */
	struct session_list slow;      /* who has slow rows */
	struct session_list throttled; /* who sends more than it may */
	struct managed_list watched;   /* to whom something may be said */
	struct map resumable;          /* struct managed by id */
	size_t connection_count, component_count;
	struct edge_counters counters;
	uint64_t next_sweep, next_tick;
	struct event *tick, *reap;
	struct buf out, payload, child, message; /* scratch */
};

uint64_t edge_now(const struct edge *e);
uint64_t edge_limit(const struct edge *e, enum limit limit);
void edge_tick(struct edge *e);                 /* the timer; for tests too */
void edge_tick_at(struct edge *e, uint64_t at); /* not later than then */

/* ---- session.c --------------------------------------------------------- */

/* NULL if the address has too many logins under way. Takes the peer's text. */
struct session *session_new(
    struct edge *e, enum edge_port port, const char *peer);
/* `ssl`: TLS begins at once, or goes on; NULL: it doesn't. Takes both. */
void session_connect(struct session *s, int fd, struct ssl_st *ssl);
void session_free(struct session *s);

/* For the log: the full JID once bound, else the peer. */
const char *session_name(const struct session *s);

/* Whole elements. */
void session_write(struct session *s, const void *data, size_t len);
/* The connection's own bytes. */
void session_send(struct session *s, const void *data, size_t len);
/* Sends what is in edge.out and empties it. */
void session_flush(struct session *s);
/* The same, of one stanza that the edge itself says. */
void session_flush_stanza(struct session *s);
/* What is in edge.out is the last that is sent. */
void session_close_with_out(struct session *s, const char *why);
/* The session goes on without its connection, which is gone. */
void session_let_go(struct session *s);
/* The connection is lost, or as good as that: what was written still goes. */
void session_lose(struct session *s, const char *why);
/* The peer has closed its stream. */
void session_peer_closed(struct session *s);
/* Another connection takes this one's place: it ends, and the session goes on
 * without one. */
void session_replace(struct session *s);

/* The session has gone on elsewhere. */
void session_leave(struct session *s);

/*
 * Ends: with a stream error; in order; or at once, without a word. After any
 * of these `stream.state` is STREAM_CLOSED, and the session is freed at the
 * loop's next turn.
 */
void session_error(
    struct session *s, enum stream_error error, const char *text);
void session_finish(struct session *s, const char *why);
void session_abort(struct session *s, const char *why);

/* How many of its frames may be unacknowledged: a component speaks for many, so
 * it may have half of all that is let out. */
uint32_t session_window(const struct session *s);

/* The login is over: the session is bound, its limits are those of stanzas. */
void session_is_bound(struct session *s);

/* Reads elements by the limits of its state. */
void session_limit(struct session *s);

/* Reads again, if nothing else stands against it. */
void session_read_on(struct session *s);

/* From the uplink: something that it sent was acknowledged. */
void session_moved(struct session *s, uint64_t seq);

/* The component port: what the first byte is decides. */
void session_wait_first(struct session *s, int fd);

/* ---- rest.c ------------------------------------------------------------ */

/* All that has come is read. */
void rest_after_read(struct session *s);
void rest_idle(struct edge *e, uint64_t now);
void rest_end(struct session *s);

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
enum stanza_type ingress_type(enum frame_kind kind, const char *name);

/* ---- egress.c ---------------------------------------------------------- */

/* A stanza goes to the peer. `d` NULL: it is the edge's own. */
void egress_stanza(
    struct session *s, const struct down_deliver *d, struct text bytes);
/* Its client has acknowledged stanzas, or it has no connection any more. */
void egress_settle(struct session *s);
/* What `from` has goes on in `to`. */
void egress_move(struct session *from, struct session *to);
/* A delivery from the uplink. */
enum delivered egress_deliver(struct session *s, const struct down_deliver *d);
void egress_drained(struct session *s);
/* The session has ended, with `unsent` bytes in its queue. */
void egress_end(struct session *s);
/* Ends those that have read nothing for long. */
void egress_sweep(struct edge *e, uint64_t now);

/* ---- managed.c: XEP-0198 on a stream ------------------------------------ */

/*
 * <enable/> of a bound session: begins, and writes <enabled/> into `out`, which
 * has to be sent before any stanza; or writes <failed/>. `max`: the attribute,
 * or NULL. True if it has begun.
 */
bool managed_enable(
    struct session *s, bool resume, const char *max, struct buf *out);
/* Writes <failed/>; `h` NULL: without. */
void managed_write_failed(
    struct buf *out, enum stanza_error error, const uint32_t *h);
void managed_element(struct session *s, const struct xml_stanza *stanza);
struct sm_limits managed_limits(const struct session *s);
/* A stanza of the peer was taken, or answered. */
void managed_received(struct session *s, uint64_t frames);
/* A stanza goes to the peer: before, and after it is written. */
void managed_count(
    struct session *s, const struct down_deliver *d, struct text bytes);
void managed_ask(struct session *s);
void managed_moved(struct session *s, uint64_t seq);
/* The stream closes in order: the last <a/>. */
void managed_write_last(struct session *s, struct buf *out);
/* The peer has handled h stanzas; false after a stream error, on `blamed`. */
bool managed_acknowledged(
    struct session *s, uint32_t h, struct session *blamed);
bool managed_may_acknowledge(const struct session *s, uint32_t h);
/* The stream error for more than was sent. */
void managed_blame(struct session *s, uint32_t h, uint32_t sent);
void managed_watch(struct managed *m);
void managed_unwatch(struct managed *m);
void managed_sweep(struct edge *e, uint64_t now);

/* ---- resume.c: XEP-0198, 5 ---------------------------------------------- */

/* An id that nobody can guess. The caller frees. */
char *resume_new_id(const struct session *s);
/*
 * <resume/>, of `s`, who has logged in as `bare` and isn't bound. `done` is
 * called once, perhaps from inside; unless the session ends before. Until then
 * its state is STREAM_BINDING.
 */
void resume_begin(struct session *s, const char *bare, const char *previd,
    uint32_t h, resume_done_fn done);
/* The connection of a session is lost: whether the session lives on. */
bool resume_detach(struct session *s, const char *why);
/* All that it sent is acknowledged, perhaps. */
void resume_moved(struct managed *m);
/* The session ends: before uplink_end(), what its client hasn't acknowledged
 * is given back; and after it. */
void resume_give_back(struct session *s);
void resume_end(struct session *s);
/* Ends those that nobody has resumed in time. */
void resume_expire(struct edge *e, uint64_t now);
void resume_clear(struct edge *e);
/* The other edge's word: the session is here now; or it doesn't come. `h`: how
 * many stanzas were handled, or NULL. */
void resume_taken(struct session *s);
void resume_refused(struct session *s, const uint32_t *h);
bool resume_is_possible(const struct session *s);
/* No connection is the session's any more. */
void resume_detach_all(struct session *s);

/* ---- yield.c: from edge to edge ----------------------------------------- */

/* Asks for a session that isn't here. */
void yield_ask(
    struct session *s, const char *bare, const char *previd, uint32_t h);
void yield_refused(struct session *s, struct text why);
/* False if the session has ended over it. */
bool yield_take(struct session *s, struct text state);
void yield_request(struct session *s, struct text request);
void yield_now(struct session *s);
void yield_keep(struct session *s, struct text heir);
/* Whether the frame `seq` of the session was the one with its state. */
bool yield_is_done(const struct session *s, uint64_t seq);

/* ---- csi.c: XEP-0352 ---------------------------------------------------- */

void csi_element(struct session *s, const struct xml_stanza *stanza);
void csi_set(struct session *s, bool active);
/* Whether the delivery is kept until there is more to say. */
bool csi_holds(struct session *s, const struct down_deliver *d);
/* Sends what is kept. */
void csi_flush(struct session *s);
void csi_end(struct session *s);

/* ---- ws.c: RFC 7395 ----------------------------------------------------- */

struct ws *ws_new(struct session *s);
void ws_free(struct ws *ws); /* also while it reads */
struct ssl_st *ws_tls(const struct edge *e);
void ws_read(struct session *s, const uint8_t *data, size_t len);
/* Elements, each as a message. False: there is only HTTP as yet. */
bool ws_write(struct session *s, const void *data, size_t len);
/* Writes WebSocket's own end. */
void ws_close(struct session *s);
/* An element that is of the framing, or that comes before it begins. */
bool ws_takes(struct session *s, const struct xml_stanza *stanza);
/* Writes the end, where there is only HTTP as yet; else false. */
bool ws_write_error(
    const struct session *s, enum stream_error error, struct buf *out);

extern const struct session_kind_ops c2s_ops, component_ops;

#endif
