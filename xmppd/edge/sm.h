#ifndef XMPPD_EDGE_SM_H
#define XMPPD_EDGE_SM_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/link/frame.h"

/*
 * What XEP-0198 counts and keeps for a session: how many of the peer's stanzas
 * are handled, and the stanzas to it that it has not acknowledged. Pure. All
 * counters are those of the protocol: from 0, modulo 2^32.
 *
 * A stanza of the peer is handled (G1) when the router has acknowledged the
 * frame that it became, or when it was answered by the edge. Frames are
 * acknowledged in any order; what is told is the number of leading ones.
 */
struct sm;

/* A stanza to the peer. */
struct sm_stanza {
	STAILQ_ENTRY(sm_stanza) next;
	struct delivery_id id; /* key.kind 0: of the edge itself */
	uint8_t kind;          /* enum deliver_kind; 0: likewise */
	int64_t time;          /* unix seconds: accepted */
	char *others;          /* down_deliver.others; NULL: none */
	size_t len;
	char data[];
};

struct sm_limits {
	size_t stanzas, bytes; /* not acknowledged */
};

/* `seq`: how many frames the session has sent before (uplink_sent()). */
struct sm *sm_new(const struct sm_limits *limits, uint64_t seq);
void sm_free(struct sm *m); /* NULL is fine */

/* ---- from the peer ----------------------------------------------------- */

/* A stanza came: it became `frames` frames, 0 or 1. */
void sm_received(struct sm *m, uint64_t frames);
/* A frame that is no stanza of the peer's went up in its name. */
void sm_skipped(struct sm *m);
/* The session's frame `seq` was acknowledged. */
void sm_frame_done(struct sm *m, uint64_t seq);
uint32_t sm_handled(const struct sm *m);
uint32_t sm_count_received(const struct sm *m);

/* <r/> came: what is true now is told. */
uint32_t sm_tell(struct sm *m);
/* Whether more is to be told unasked, after an answer with less than had been
 * sent: when all of that is handled, or (`late`) any more of it. */
bool sm_owes(const struct sm *m, bool late);

/* ---- to the peer ------------------------------------------------------- */

bool sm_has_room(const struct sm *m, size_t len);
/* Half of that: no need to hold anything back. */
bool sm_is_roomy(const struct sm *m);
/* A stanza goes out. `d` NULL: it is the edge's own. Copies all. */
void sm_sent(struct sm *m, const struct down_deliver *d, struct text bytes,
    int64_t time);

/* Whether <r/> is to be sent now: behind a stanza; or because nothing has
 * followed for a while (`idle`). If so, it counts as sent. */
bool sm_asks(struct sm *m, bool idle);
/* Whether sm_asks() would come true with time. */
bool sm_will_ask(const struct sm *m);

enum sm_ack {
	SM_ACKED,
	SM_ACK_OLD,      /* less than before */
	SM_ACK_TOO_HIGH, /* more than was sent */
};

/* The peer has handled h stanzas. Each that is newly so is given to `fn`, and
 * then freed. */
typedef void (*sm_stanza_fn)(void *arg, const struct sm_stanza *stanza);
enum sm_ack sm_acked(struct sm *m, uint32_t h, sm_stanza_fn fn, void *arg);
/* Whether it wouldn't be too high. */
bool sm_may_ack(const struct sm *m, uint32_t h);
uint32_t sm_count_sent(const struct sm *m);
size_t sm_unacked(const struct sm *m);
/* All that are not acknowledged, in order. */
void sm_each(const struct sm *m, sm_stanza_fn fn, void *arg);
/* The stream begins anew: what was asked on the old one isn't answered. */
void sm_restart(struct sm *m);

/*
 * All of it as bytes, for another edge; whatever came from the peer has to be
 * handled. NULL if they are none.
 */
void sm_encode(const struct sm *m, struct buf *b);
struct sm *sm_decode(
    struct cursor *c, const struct sm_limits *limits, uint64_t seq);

/* A counter as the protocol writes it; false if it is none. */
bool sm_read_count(const char *text, uint32_t *h);

#endif
