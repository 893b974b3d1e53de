#ifndef XMPPD_ROUTER_DIRECTORY_H
#define XMPPD_ROUTER_DIRECTORY_H

#include <sys/queue.h>

#include "common/map.h"
#include "xmppd/router/router.h"

/*
 * The directory from inside: what the active router reads in place. It changes
 * only by events, and an event is applied here by the same bytes that go to the
 * passive routers.
 */

/* A run of characters that several own. */
struct bytes {
	unsigned refs;
	size_t len;
	char data[];
};

struct bytes *bytes_new(const void *data, size_t len);
struct bytes *bytes_ref(struct bytes *b); /* NULL is fine */
void bytes_unref(struct bytes *b);        /* NULL is fine */

/* An address that was sent directed presence (RFC 6121, 4.6). */
struct directed {
	TAILQ_ENTRY(directed) next;
	char *jid;
};

TAILQ_HEAD(directed_list, directed);

/* What a session has asked to be told. */
enum session_want {
	WANTS_ROSTER = 1,  /* pushes of its roster (RFC 6121, 2.1.6) */
	WANTS_BLOCKS = 2,  /* pushes of its block list (XEP-0191) */
	WANTS_CARBONS = 4, /* XEP-0280 */
	WANTS_NEWS = 8,    /* a component that has been greeted: no more than
			      what is new */
};

/* A session. */
struct entry {
	struct sid sid;
	struct origin origin;   /* the incarnation that it is of */
	bool moved;             /* and wasn't always: */
	struct sid heir;        /* whose FRAME_RESUME moved it */
	uint8_t kind;           /* enum session_kind */
	uint8_t wants;          /* enum session_want */
	uint64_t account;       /* its account's id; a component's: 0 */
	char *full;             /* full JID; a component's: its domain */
	struct bytes *presence; /* newest broadcast; NULL: unavailable */
	uint64_t newest;        /* the frame of the newest broadcast presence */
	uint64_t initial;       /* the frame that made it available */
	uint64_t leaving; /* the frame that made it unavailable, until all who
			     had to know have been told; else 0 */
	struct directed_list directed;
	size_t directed_count;
	TAILQ_ENTRY(entry) next;
};

TAILQ_HEAD(entry_list, entry);

struct directory {
	uint64_t term, seq;
	bool complete;
	struct map by_sid;
	struct entry_list entries;  /* in the order of binding */
	struct directory *incoming; /* a copy that is still arriving */
};

struct entry *directory_find(const struct directory *d, const struct sid *sid);
struct directed *directory_find_directed(
    const struct entry *e, struct text jid);

/* The leader of `term` goes on with what it has merged. */
void directory_lead(struct directory *d, uint64_t term, bool complete);

/*
 * Events. Each has the next sequence number, is applied at once, and is left in
 * `out` as the mirror message for the passive routers.
 */
void directory_bind(
    struct directory *d, struct buf *out, const struct entry *entry);
/* presence absent: unavailable, and `num` is remembered as leaving. `initial`:
 * num is remembered as the frame that made it available. */
void directory_presence(struct directory *d, struct buf *out,
    const struct sid *sid, struct text presence, uint64_t num);
void directory_want(
    struct directory *d, struct buf *out, const struct sid *sid, uint8_t wants);
/* All have been told that it is unavailable: no more leaving, no directed. */
void directory_left(
    struct directory *d, struct buf *out, const struct sid *sid);
void directory_direct(struct directory *d, struct buf *out,
    const struct sid *sid, struct text jid);
void directory_undirect(struct directory *d, struct buf *out,
    const struct sid *sid, struct text jid);
/* It goes on at another edge, in another numbering. */
void directory_move(struct directory *d, struct buf *out, const struct sid *sid,
    const struct origin *origin, const struct sid *heir);
void directory_end(struct directory *d, struct buf *out, const struct sid *sid);
void directory_complete(struct directory *d, struct buf *out);

/* A copy of everything, as mirror messages of limited size. */
void directory_copy(const struct directory *d,
    void (*send)(void *arg, const void *msg, size_t len), void *arg);

#endif
