#ifndef XMPPD_LINK_FRAME_H
#define XMPPD_LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/stanza.h"

/*
 * The messages of a link, and the names that make a delivery happen once.
 *
 * A link joins one edge to the active router. "Up" goes from edge to router,
 * "down" the other way. A message is one block of bytes; between nodes it
 * travels inside a peer frame, inside a process through a queue, and neither
 * end can tell which. Encoding never fails; decoding checks everything and
 * returns RES_INVALID for bytes that no encoder makes. Decoded messages borrow
 * from the bytes they were read from: texts in them are not NUL-terminated and
 * carry their length (struct text).
 */

/* A borrowed run of characters; data is NULL when it is absent. */
struct text {
	const char *data;
	size_t len;
};

/* An edge and its incarnation: the name of a numbering of frames. */
struct origin {
	uint32_t node;        /* Raft id */
	uint32_t edge;        /* which edge of the node, from 0 */
	uint64_t incarnation; /* random; new at start and when streams closed */
};

/* A session, for all time; chosen by its edge. */
struct sid {
	uint32_t node;
	uint32_t edge;
	uint64_t id; /* random at the edge's start, then counted */
};

/*
 * What a delivery is about: with the target session it names the delivery, so
 * that the edge can tell whether it has had it (rules 1 to 3 of delivery(7)).
 * Unused fields are 0. Compared and hashed as bytes: always zero it first.
 */
enum dkey_kind {
	DKEY_FRAME = 1, /* the stanza of frame (origin, num) itself */
	DKEY_PUSH,      /* a roster push: the roster's version that it makes;
			   an edge has had it if its session has been told of
			   this version or a later one */
	DKEY_TOLD, /* presence of session `about`, told because of the frame
		      (origin, num): answers to probes and the like */
	DKEY_ROW,  /* stored message num */
	DKEY_GONE, /* session `about` is unavailable */
	DKEY_TERM, /* what may be lost with its term: (version, num) */
};

struct dkey {
	uint32_t kind;
	uint32_t zero;
	struct origin origin;
	uint64_t num;
	struct sid about;
	uint64_t version;
};

/* A delivery to one session. */
struct delivery_id {
	struct dkey key;
	struct sid sid;
};

enum link_up {
	UP_ANNOUNCE = 1, /* begins an announcement: struct up_announce */
	UP_SESSION,      /* a session not ended: struct up_session */
	UP_REPORT,       /* a delivery accepted earlier: struct up_report */
	UP_ANNOUNCED,    /* ends it; nothing of it counts before */
	UP_FRAME,        /* struct up_frame */
	UP_ACCEPTED,     /* struct delivery_id: in the session's queue */
	UP_REFUSED,      /* struct delivery_id: the session is not here */
	UP_PING,         /* struct up_ping */
	UP_QUERY,        /* struct up_query */
	UP_TAKEN,        /* struct delivery_id of a row: in the queue of a
			    session that will say itself when it has it (XEP-0198):
			    UP_ACCEPTED or UP_REFUSED follows then */
	UP_AWAY,         /* struct up_away; only once announced */
};

enum link_down {
	DOWN_DELIVER = 64, /* struct down_deliver */
	DOWN_ACK,          /* struct down_ack */
	DOWN_KICK,         /* struct down_kick */
	DOWN_FORGET,       /* struct dkey */
	DOWN_PONG,         /* struct down_pong */
	DOWN_ANSWER,       /* struct down_answer */
	DOWN_CAPS,         /* a text: the hash of what the server can do, for
			      stream features (XEP-0115, 6.3) */
};

struct up_announce {
	struct origin origin;
	uint64_t low;   /* lowest number not yet acknowledged */
	uint32_t edges; /* how many edges this node runs: a node has announced
			   when all of them have */
};

enum session_kind { SESSION_CLIENT = 1, SESSION_COMPONENT };

struct up_session {
	struct sid sid;
	uint8_t kind;         /* enum session_kind */
	bool bound;           /* its bind result has been delivered */
	struct text full;     /* full JID; a component's: its domain */
	bool yielded;         /* FRAME_YIELD was sent and isn't acknowledged */
	struct sid came;      /* of the FRAME_RESUME that brought it; zero: it
				 began here */
	struct text presence; /* newest broadcast presence; absent: none */
	uint64_t roster;      /* version that it was told of; 0: has not asked
				 for its roster (RFC 6121, 2.1.6) */
	uint64_t account;     /* the account's id; a component's: 0 */
	bool carbons;         /* it gets carbons (XEP-0280) */
};

/* A session has no connection now, and may get one again (XEP-0198). */
struct up_away {
	struct sid sid;
	bool away;
	uint32_t waiting; /* messages that it has not acknowledged */
};

struct up_report {
	struct delivery_id id;
	struct sid sender; /* zero if none */
	uint8_t kind;      /* enum deliver_kind */
	uint64_t lane;     /* as it was delivered with */
	bool kept;         /* UP_TAKEN is what was said of it */
};

/* What a frame is. */
enum frame_kind {
	FRAME_BIND = 1, /* session begins: `to` is the full JID it asks for (a
			   component's: its domain), `from` and type absent;
			   payload: scram_keys.version that it logged in
			   with, in decimal, so that an account which was
			   deleted or made anew meanwhile isn't bound; absent
			   for a component; flags: FRAME_BIND_*.
			   DELIVER_REFUSED ends the session:
			   no unbind follows, and the next try is another */
	FRAME_UNBIND,   /* session has ended; payload: an unavailable presence
			   stanza with its status, or absent; `lang`: how many
			   of its stanzas were handled, if it could have been
			   resumed (XEP-0198) */
	FRAME_MESSAGE,
	FRAME_PRESENCE,
	FRAME_IQ,
	FRAME_RESUME, /* what FRAME_BIND is for a connection that wants to go on
			 as a session which is at another edge (XEP-0198): `to`
			 is the bare JID, or domain, that has logged in, `child`
			 the id, which begins with the session's sid
			 (sids_add()), `lang` how many stanzas its client has.
			 DELIVER_RESUMED or DELIVER_REFUSED follows: the frame's
			 own session has ended then, without an unbind */
	FRAME_YIELD,  /* the answer to DELIVER_YIELD; payload: the session's
			 state. It takes no deliveries from now on; it is gone
			 when the frame is acknowledged, unless DELIVER_KEEP
			 comes before. `id`: the sid that DELIVER_YIELD named.
			 `lang`: the FRAME_RESUME that had brought it here, if
			 one did. `child`: instead of the state, why it stays */
	FRAME_RETURN, /* a message or iq that the session, which has ended, had
			 accepted and its client has not (XEP-0198): to be
			 delivered anew, without that session. As the stanza's
			 own frame was, but: `lang` is the time it was accepted
			 at (unix seconds, in decimal), `child` the other
			 sessions that have it (down_deliver.others) */
};

enum stanza_type { /* the type attribute, message, presence and iq together */
	TYPE_NONE = 0, /* absent; for a message: normal, presence: available */
	TYPE_NORMAL,
	TYPE_CHAT,
	TYPE_GROUPCHAT,
	TYPE_HEADLINE,
	TYPE_ERROR,
	TYPE_UNAVAILABLE,
	TYPE_SUBSCRIBE,
	TYPE_SUBSCRIBED,
	TYPE_UNSUBSCRIBE,
	TYPE_UNSUBSCRIBED,
	TYPE_PROBE,
	TYPE_GET,
	TYPE_SET,
	TYPE_RESULT,
	TYPE_INVALID, /* iq or presence with any other value */
};

struct up_frame {
	uint64_t num, low;
	bool resent;
	uint8_t kind;         /* enum frame_kind */
	uint8_t session_kind; /* enum session_kind of sid */
	uint8_t type;         /* enum stanza_type */
	uint8_t flags;        /* FRAME_*; of a bind: FRAME_BIND_* */
	uint16_t marks;       /* of a message: enum stanza_mark */
	struct sid sid;       /* the sending session */
	struct text to;       /* prepared; never absent for a message, presence
				 without `to` has it absent, an iq without `to`
				 has the sender's bare JID and FRAME_NO_TO */
	struct text from;     /* prepared full JID; a component's own choice */
	struct text id;       /* unescaped; absent */
	struct text lang;  /* unescaped; absent; the stream's when none given */
	struct text child; /* "{namespace}name" of the first child element */
	struct text payload; /* the stanza's bytes, ready to be written: from
				and to are stamped, content namespace implied */
};

#define FRAME_NO_TO 0x01 /* the stanza had no `to` */

/* What a session begins with (XEP-0386). */
#define FRAME_BIND_INLINE                                                      \
	0x01                    /* bound so: it reads the archive for what it  \
				   has missed, and wants its metadata */
#define FRAME_BIND_CARBONS 0x02 /* XEP-0280 */

struct up_ping {
	uint64_t sent; /* the edge's clock, echoed */
	struct origin origin;
	uint64_t low;
};

/*
 * Questions before a session exists; answered by DOWN_ANSWER with the same id,
 * in any order. Asked again after a change of leader.
 */
enum query_kind {
	QUERY_SCRAM = 1, /* name: prepared local part; answer: struct
			    scram_keys by scram_keys_encode(), or
			    RES_NOT_FOUND */
	QUERY_COMPONENT, /* name: prepared domain; answer: the shared secret,
			    or RES_NOT_FOUND */
	QUERY_ALIVE,     /* answered RES_OK: this edge has a leader */
};

struct up_query {
	uint64_t id;
	uint8_t kind;
	struct text name;
};

enum deliver_kind {
	DELIVER_STANZA = 1, /* payload: bytes for the client */
	DELIVER_MESSAGE,    /* the same, and it counts for rule 5 */
	DELIVER_BOUND,      /* bind succeeded; payload: the full JID given, and
			       behind a NUL elements for the answer to a bind
			       with FRAME_BIND_INLINE */
	DELIVER_REFUSED,    /* bind refused; payload: stanza error condition */
	DELIVER_RESULT,     /* the same as STANZA: a roster, from which on the
			       session is interested */
	DELIVER_YIELD,      /* the connection of a FRAME_RESUME wants to go on
			       as this session; payload: that frame's `lang`, a
			       blank, its sid (sids_add()), and its `child` */
	DELIVER_KEEP,       /* the session goes on here after all; payload: the
			       FRAME_YIELD's `id` */
	DELIVER_RESUMED,    /* payload: as FRAME_YIELD has it */
	DELIVER_CARBONS,    /* the same as STANZA; value: whether the session
			       gets carbons from now on */
};

struct down_deliver {
	struct delivery_id id;
	struct sid sender;    /* zero if none: rule 5 */
	struct origin origin; /* whose low-water mark `low` is; zero if none */
	uint64_t low;
	uint64_t lane;  /* a hash of the sending session and the bare address
			   that its frame went to, 0 if none: rule 5 asks for
			   later frames of the same */
	uint64_t value; /* RESULT: the roster's version; BOUND: the account's
			   id; CARBONS; else 0. The edge notes it */
	uint8_t kind;   /* enum deliver_kind */
	struct text payload;
	struct text others; /* sids_add(): the sessions that get this frame's
			       message, if they are several; absent: one */
};

struct down_ack {
	struct origin origin;
	uint64_t num;
};

struct down_kick {
	struct sid sid;
	struct text condition; /* stream error: "conflict", "not-authorized" */
	struct text text;      /* absent: none */
};

struct live_origin {
	struct origin origin;
	uint64_t low;
};

struct down_pong {
	uint64_t sent;
	bool settled; /* every node announced or was given up: rule 13 */
	uint32_t count;
	const uint8_t *origins; /* count * live_origin, pong_origin() */
};

struct down_answer {
	uint64_t id;
	int32_t code; /* RES_* */
	struct text data;
};

/*
 * The common head of each message: its kind and the router's term (down: the
 * term it speaks for; up: the term of the router it is meant for).
 */
struct link_head {
	uint8_t what; /* enum link_up or link_down */
	uint64_t term;
};

int link_head_decode(struct cursor *c, struct link_head *head);

void up_announce_encode(
    struct buf *, uint64_t term, const struct up_announce *);
void up_session_encode(struct buf *, uint64_t term, const struct up_session *);
void up_report_encode(struct buf *, uint64_t term, const struct up_report *);
void up_announced_encode(struct buf *, uint64_t term);
void up_frame_encode(struct buf *, uint64_t term, const struct up_frame *);
/* Overwrites these in an encoded frame: it is encoded before it is numbered,
 * and sent again as it was. */
void up_frame_stamp(
    void *msg, uint64_t term, uint64_t num, uint64_t low, bool resent);
void up_accepted_encode(
    struct buf *, uint64_t term, const struct delivery_id *);
void up_refused_encode(struct buf *, uint64_t term, const struct delivery_id *);
void up_away_encode(struct buf *, uint64_t term, const struct up_away *);
void up_taken_encode(struct buf *, uint64_t term, const struct delivery_id *);
void up_ping_encode(struct buf *, uint64_t term, const struct up_ping *);
void up_query_encode(struct buf *, uint64_t term, const struct up_query *);

void down_deliver_encode(
    struct buf *, uint64_t term, const struct down_deliver *);
void down_ack_encode(struct buf *, uint64_t term, const struct down_ack *);
void down_kick_encode(struct buf *, uint64_t term, const struct down_kick *);
void down_forget_encode(struct buf *, uint64_t term, const struct dkey *);
void down_pong_encode(struct buf *, uint64_t term, uint64_t sent, bool settled,
    const struct live_origin *, uint32_t count);
void down_caps_encode(struct buf *, uint64_t term, struct text ver);
void down_answer_encode(
    struct buf *, uint64_t term, const struct down_answer *);

/* Decode what follows the head; 0 or RES_INVALID. */
int up_announce_decode(struct cursor *, struct up_announce *);
int up_session_decode(struct cursor *, struct up_session *);
int up_away_decode(struct cursor *, struct up_away *);
int up_report_decode(struct cursor *, struct up_report *);
int up_frame_decode(struct cursor *, struct up_frame *);
int delivery_id_decode(struct cursor *, struct delivery_id *);
int up_ping_decode(struct cursor *, struct up_ping *);
int up_query_decode(struct cursor *, struct up_query *);
int down_deliver_decode(struct cursor *, struct down_deliver *);
int down_ack_decode(struct cursor *, struct down_ack *);
int down_kick_decode(struct cursor *, struct down_kick *);
int dkey_decode(struct cursor *, struct dkey *);
int down_pong_decode(struct cursor *, struct down_pong *);
int down_caps_decode(struct cursor *, struct text *ver);
int down_answer_decode(struct cursor *, struct down_answer *);
struct live_origin pong_origin(const struct down_pong *, uint32_t index);

void origin_encode(struct buf *, const struct origin *);
void sid_encode(struct buf *, const struct sid *);
void dkey_encode(struct buf *, const struct dkey *);
void delivery_id_encode(struct buf *, const struct delivery_id *);
struct delivery_id delivery_id_read(struct cursor *);
struct origin origin_decode(struct cursor *);
struct sid sid_decode(struct cursor *);

bool origin_equal(const struct origin *a, const struct origin *b);
bool sid_equal(const struct sid *a, const struct sid *b);
bool sid_is_zero(const struct sid *);
bool dkey_equal(const struct dkey *a, const struct dkey *b);

/* Sessions as a text: adds one; takes the first (false: there is none). */
void sids_add(struct buf *list, const struct sid *s);
bool sids_next(struct text *list, struct sid *s);

struct text text_of(const char *str); /* NULL is absent */
bool text_is(struct text t, const char *str);
bool text_equal(struct text a, struct text b);
char *text_dup(struct text t); /* the caller frees; NULL if absent */

/* What is stored of a password (RFC 5802, 3): for SHA-1 and SHA-256. New ones
 * are made with SCRAM_ITERATIONS (RFC 7677, 4: at least 4096). */
#define SCRAM_ITERATIONS 4096
#define SCRAM_SALT 16     /* bytes of a new one */
#define SCRAM_SALT_MAX 64 /* of one that came with an import */
struct scram_key {
	uint8_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint32_t iterations; /* 0: there is no key for this hash */
	uint8_t stored_key[32], server_key[32]; /* SHA-1: the first 20 */
};

struct scram_keys {
	struct scram_key sha1, sha256;
	uint64_t version; /* of the password: changes with it */
};

void scram_keys_encode(struct buf *, const struct scram_keys *);
int scram_keys_decode(struct cursor *, struct scram_keys *);

#endif
