#ifndef XMPPD_CLUSTER_PEER_IMPL_H
#define XMPPD_CLUSTER_PEER_IMPL_H

#include <sys/queue.h>

#include "common/buf.h"
#include "common/pki.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/cluster/peer_hello.h"

/*
 * What the files of peer share, and nobody else knows.
 *
 *   peer.c          members, what is wanted, dialling, troubles
 *   peer_line.c     one connection: handshake, hello, whole messages
 *   peer_tls.c      contexts and trust
 *   peer_request.c  the control channel: requests, answers, keep-alive
 *   peer_copy.c     the copy channel
 */
struct conn_loop;
struct event;
struct ssl_st;

#define PEER_TIMEOUT_MS 3000 /* of a handshake, and of silence */
#define PEER_IP_SIZE 64

enum line_state {
	LINE_CONNECTING, /* dialled: TCP */
	LINE_SECURING,   /* dialled: TLS */
	LINE_HELLO,      /* the other side's hello is awaited */
	LINE_LEAVING,    /* Raft's: goes when its hello is written */
	LINE_UP,
	LINE_DEAD /* freed with the loop's next turn */
};

struct peer_line {
	TAILQ_ENTRY(peer_line) entry;
	struct peers *peers;
	struct conn *conn; /* NULL: dead */
	enum line_state state;
	enum peer_channel channel;
	bool dialled;
	uint32_t node;             /* 0: a stranger, or dialled by address */
	uint64_t boot;             /* which its hello showed */
	uint64_t serial;           /* names it for ever */
	char address[64];          /* the other end */
	struct buf part;           /* the beginning of a message */
	uint64_t heard;            /* ms */
	enum peer_verdict verdict; /* why it ended, if so refused */
	const char *why;           /* it is to end, by this side's own doing */
};
TAILQ_HEAD(peer_lines, peer_line);

/* A member, not this node; or one that the table doesn't have yet: somebody
 * wants to reach it, or it was here (brings_the_log() in peer_line.c), and then
 * its address is known. */
struct peer {
	TAILQ_ENTRY(peer) entry;
	struct store_member member;
	bool listed; /* in the table */
	bool want[PEER_CHANNELS];
	uint64_t due[PEER_CHANNELS]; /* when it may be dialled again, ms */
	unsigned failures[PEER_CHANNELS];
	int64_t since;               /* unreachable, unix seconds; 0: no */
	char why[PEER_TEXT_MAX + 1]; /* of the newest failure; "": none */
	struct peer_copy *copy;      /* what is sent to it; NULL: nothing */
};
TAILQ_HEAD(peer_list, peer);

/* Who was refused and is no member: the newest few, for ten minutes. */
#define PEER_STRANGERS 16
#define PEER_STRANGER_S 600

struct peer_stranger {
	struct peer_trouble trouble;
	int64_t last; /* unix seconds */
	unsigned count;
};

/* A certificate whose dates were complained of. */
struct peer_warned {
	char fingerprint[65];
	int64_t day;
};
#define PEER_WARNED 32

struct peer_tls {
	struct ssl_ctx_st *server, *client;
	struct pki_certs trust;
	uint8_t digest[32];                     /* of what was set */
	struct peer_warned warned[PEER_WARNED]; /* a ring */
	size_t warned_next;
};

struct peers {
	struct peers_callbacks cb;
	struct event_base *base;
	struct conn_loop *loop;
	struct peer_tls tls;
	bool known; /* peers_set() was called */
	struct peers_self self;
	char *domain, *dir; /* self's */
	uint32_t newest_id; /* the highest Raft id ever seen in the table */
	struct peer_list peers;
	struct peer_lines lines, dead;
	struct peer_stranger strangers[PEER_STRANGERS];
	size_t stranger_count;
	struct event *timer; /* the next dial */
	struct event *beat;  /* keep-alive */
	uint64_t beaten;     /* when, ms */
	struct event *sweep; /* frees the dead */
	uint64_t serial;
	TAILQ_HEAD(, peer_request) requests;
	struct peer_asked *asked; /* what awaits our answer */
	size_t asked_count;
	TAILQ_HEAD(, peer_copy) copies;    /* outgoing */
	TAILQ_HEAD(, peer_coming) comings; /* incoming */
};

/* ---- peer.c ------------------------------------------------------------- */

/* One that is in the table. */
struct peer *peers_find(const struct peers *p, uint32_t node);
void peers_schedule(struct peers *p);
/* What became of a line; they may call back and end other lines. */
void peers_line_up(struct peer_line *l);
void peers_line_gone(struct peer_line *l, bool was_up, const char *why);
int peers_line_message(struct peer_line *l, const uint8_t *msg, size_t len);
/* A member that is not in the table yet, and where it says it listens. */
void peers_guest(struct peers *p, const struct peer_hello *h);
/* It does not answer. */
void peers_silent(struct peer_line *l);
/* Somebody was refused, who isn't a member or hasn't shown which. */
void peers_refused(struct peers *p, const char *address,
    enum peer_verdict verdict, const char *why);
/* A numeric "address:port" without the port and brackets. */
void peer_ip(const char *address, char out[PEER_IP_SIZE]);

/* ---- peer_line.c -------------------------------------------------------- */

struct peer_line *line_dial(struct peers *p, uint32_t node, const char *address,
    enum peer_channel channel, struct error *e);
void line_adopt(struct peers *p, struct conn *c, const char *from);
struct peer_line *line_find(const struct peers *p, uint32_t node,
    enum peer_channel channel, bool dialled);
/* Ends it later if it is too long, or if too much is queued. */
void line_send(struct peer_line *l, const void *msg, size_t len);
/* Ends it without a word to anybody; it's freed later. */
void line_drop(struct peer_line *l);
/* Ends it, and peers_line_gone() is called. */
void line_fail(struct peer_line *l, const char *why);

/* ---- peer_tls.c --------------------------------------------------------- */

int peer_tls_set(struct peer_tls *t, const char *key, const char *chain,
    const char *trust, struct error *e);
void peer_tls_clear(struct peer_tls *t);
struct ssl_st *peer_tls_client(struct peer_tls *t);

/* Who a certificate should name: host or address. Without either who it is
 * comes later, and only the domain counts. */
struct peer_names {
	const char *domain, *host, *ip;
};

/* Whether the other side of a finished handshake is to be trusted. */
int peer_tls_check(const struct peer_tls *t, struct ssl_st *ssl,
    const struct peer_names *names, struct error *e);
/* A date is no reason to fall apart, but one to say something once a day. */
void peer_tls_warn(struct peer_tls *t, struct ssl_st *ssl, const char *who);
/* TLS 1.3, the cluster's ALPN, and this; false else. */
bool peer_tls_exporter(struct ssl_st *ssl, uint8_t out[32]);

/* ---- peer_request.c ----------------------------------------------------- */

void peer_request_init(struct peers *p);
void peer_request_clear(struct peers *p);
void peer_request_up(struct peer_line *l);
void peer_request_gone(struct peer_line *l, const char *why);
int peer_request_message(struct peer_line *l, const uint8_t *msg, size_t len);
void peer_request_beat(struct peers *p);

/* ---- peer_copy.c -------------------------------------------------------- */

/* The folder for incoming files is another: what a crash left there goes. */
void peer_copy_set_dir(struct peers *p);
void peer_copy_clear(struct peers *p);
uint64_t peer_coming_offset(const struct peer_coming *in);
void peer_copy_up(struct peer_line *l);
void peer_copy_gone(struct peer_line *l, const char *why);
void peer_copy_drained(struct peer_line *l);
int peer_copy_message(struct peer_line *l, const uint8_t *msg, size_t len);
void peer_copy_forget(struct peer *peer); /* no member any more */

#endif
