#ifndef XMPPD_EDGE_UPLINK_H
#define XMPPD_EDGE_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/link/frame.h"

/*
 * The edge's end of the link: sessions as the router knows them, frames up,
 * deliveries down, announcements, pings and hold: the edge's rules of
 * delivery(7). Pure: time is passed in (milliseconds, monotonic), messages and
 * what becomes of sessions go out through its ops.
 */
struct uplink;
struct link_queue;

struct uplink_config {
	uint32_t node, edge;
	uint32_t edges; /* how many this node runs */
	uint32_t hold_ms;
	uint32_t window;      /* frames not acknowledged, all sessions */
	uint64_t first_id;    /* random: sessions are numbered from it */
	uint64_t incarnation; /* random */
};

/* One session, embedded in its owner's struct. Zero it first. */
struct uplink_session {
	struct sid sid;
	uint8_t kind;        /* enum session_kind */
	uint8_t flags;       /* FRAME_BIND_*; set it before uplink_begin() */
	bool begun;          /* between uplink_begin() and its end */
	bool bound;          /* the bind result has been delivered */
	bool yielded;        /* FRAME_YIELD was sent, and may still go on */
	struct sid came;     /* as uplink_resume(); zero: it began here */
	uint64_t roster;     /* version that it was told of; 0: has not asked */
	uint64_t account_id; /* once bound; 0 for a component */
	char *full;          /* full JID; a component's: its domain */
	char *account;       /* as in FRAME_BIND; NULL for a component */
	char *handled;       /* FRAME_UNBIND's lang; NULL: absent */
	bool away;           /* see uplink_set_away() */
	char *presence;      /* newest broadcast presence; NULL: none */
	size_t presence_len;
	struct link_queue *queue;
};

enum delivered {
	DELIVERED,        /* in the session's queue */
	DELIVERED_SLOWLY, /* the same, but uplink_settle() is to tell the
			    router: until then it sends no more rows than it has
			  */
	DELIVERED_KEPT,   /* the same, but the session has to say that it has
			    it; uplink_settle() follows, and the router waits
			    for nothing but that before it deletes the row */
	DELIVERED_BOTH,   /* slowly, and kept: uplink_taken() comes before */
	DELIVERED_LATER,  /* not, but say nothing: it will be sent again */
	DELIVERED_NOT,    /* the session was ended, by uplink_end() */
};

struct uplink_ops {
	void *arg;
	void (*up)(void *arg, const void *msg, size_t len);
	enum delivered (*deliver)(
	    void *arg, struct uplink_session *s, const struct down_deliver *d);
	/* The router ends the session: closes it, by uplink_end(). */
	void (*kick)(
	    void *arg, struct uplink_session *s, const struct down_kick *kick);
	/* Something that it sent was acknowledged: its frame `seq`
	 * (uplink_sent()), if that isn't 0. May end it. */
	void (*moved)(void *arg, struct uplink_session *s, uint64_t seq);
	/* Of uplink_query(); RES_NO_LEADER if there was no answer in time. */
	void (*answer)(void *arg, void *owner, int code, struct text data);
	/* No leader for `hold`: all streams must be closed now (rule 11). */
	void (*expired)(void *arg);
	/* The link must be closed. */
	void (*unlink)(void *arg);
	uint64_t (*random)(void *arg);
};

struct uplink *uplink_new(const struct uplink_config *cfg,
    const struct uplink_ops *ops, uint64_t now);
/* All sessions must have ended. */
void uplink_free(struct uplink *u);

/* ---- sessions ---------------------------------------------------------- */

/* Asks for the bind of `full`. `window`: its frames not acknowledged. */
void uplink_begin(struct uplink *u, struct uplink_session *s,
    enum session_kind kind, uint32_t window);
/* Asks to go on as a session that is elsewhere, which `id` names; `full` is who
 * asks. It ends with DELIVER_REFUSED, or uplink_become(). */
void uplink_resume(struct uplink *u, struct uplink_session *s,
    enum session_kind kind, uint32_t window, const char *id, const char *h);
/* What a session is, for another edge, and there. False: it can't be read. */
void uplink_encode(const struct uplink_session *s, struct buf *b);
bool uplink_become(
    struct uplink *u, struct uplink_session *s, struct cursor *c);
/* The session has ended; its unbind is sent. Clears what it owns. */
void uplink_end(struct uplink *u, struct uplink_session *s);
/* Sends a FRAME_YIELD; id, child and payload are given. */
void uplink_yield(
    struct uplink *u, struct uplink_session *s, struct up_frame *frame);
/* It has gone on elsewhere: nothing is sent. */
void uplink_remove(struct uplink *u, struct uplink_session *s);
/* What was accepted for a session, here or elsewhere. */
void uplink_accepted_of(struct uplink *u, const struct sid *sid,
    void (*fn)(void *arg, const struct up_report *report), void *arg);
void uplink_has_accepted(struct uplink *u, const struct up_report *report);
/* sid, session_kind, num, low and resent are filled in. */
void uplink_send(
    struct uplink *u, struct uplink_session *s, struct up_frame *frame);
/* Back-pressure: stop reading from the session; go on. */
bool uplink_is_full(const struct uplink_session *s);
bool uplink_has_room(const struct uplink_session *s);
bool uplink_is_empty(const struct uplink_session *s);

/* It has no connection now, with so many messages that its client has not
 * acknowledged; or it has one again. */
void uplink_set_away(
    struct uplink *u, struct uplink_session *s, bool away, size_t waiting);

/* How many frames the session has sent. */
uint64_t uplink_sent(const struct uplink_session *s);

/* The session goes on as another struct, which is not begun. */
void uplink_move(
    struct uplink *u, struct uplink_session *from, struct uplink_session *to);

/* The end of DELIVERED_SLOWLY and _KEPT: `taken`, or it is refused after all
 * (then after uplink_end()). Nothing happens if an announcement came first. */
void uplink_settle(struct uplink *u, const struct delivery_id *id, bool taken);
/* DELIVERED_BOTH isn't slow any more. */
void uplink_taken(struct uplink *u, const struct delivery_id *id);

/* ---- before a session -------------------------------------------------- */

/* Asks; ops.answer() follows once, never from inside. The owner is its name for
 * uplink_cancel(). */
void uplink_query(struct uplink *u, enum query_kind kind, const char *name,
    void *owner, uint64_t now);
void uplink_cancel(struct uplink *u, const void *owner);

/* ---- the link ---------------------------------------------------------- */

void uplink_up(struct uplink *u, uint64_t term, uint64_t now);
void uplink_down(struct uplink *u);
/* The newest term that this node has seen in Raft (rule 12). */
void uplink_set_term(struct uplink *u, uint64_t term);
/* A message from the router; RES_INVALID, RES_DENIED as edge_down(). */
int uplink_receive(struct uplink *u, const void *msg, size_t len, uint64_t now);
/* Pings, and expires. Returns when it wants to be called next. */
uint64_t uplink_tick(struct uplink *u, uint64_t now);
/* Whether there is, as far as is known, a leader: false from the end of hold
 * until one answers a ping. */
bool uplink_has_leader(const struct uplink *u);

/* The hash of what the server can do (XEP-0115); NULL: isn't known yet. */
const char *uplink_caps(const struct uplink *u);

size_t uplink_sessions(const struct uplink *u);
size_t uplink_unacked(const struct uplink *u);
size_t uplink_accepted(const struct uplink *u);

#endif
