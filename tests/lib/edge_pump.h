#ifndef TESTS_LIB_EDGE_PUMP_H
#define TESTS_LIB_EDGE_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "xmppd/edge/edge.h"
#include "xmppd/link/frame.h"

/*
 * An edge between test clients, which speak through socket pairs, and a router
 * that is the test itself: what the edge sends up is kept as decoded messages,
 * and what a router would answer without thinking (pings, queries, binds) is
 * answered while `obliging`. Time stands still unless the test moves it.
 */
struct event_base;
struct ssl_ctx_st;
struct ssl_st;

/* A message that went up. Texts in it point into `bytes`. */
struct seen {
	uint8_t what; /* enum link_up */
	uint64_t term;
	struct buf bytes;
	union {
		struct up_announce announce;
		struct up_session session;
		struct up_report report;
		struct up_frame frame;
		struct delivery_id id;
		struct up_ping ping;
		struct up_query query;
		struct up_away away;
	} m;
};

struct pump {
	struct event_base *base;
	struct edge *edge;
	struct edge_config cfg;
	struct ssl_ctx_st *tls, *client_tls;
	uint64_t now;
	uint64_t term;
	bool obliging; /* answers pings, queries and binds; acknowledges */
	bool linked;
	unsigned unlinked;      /* how often the edge gave the link up */
	struct origin origin;   /* as announced last */
	struct scram_keys keys; /* of account "ann", password "secret" */
	struct seen *seen;
	size_t seen_count, seen_size, answered;
	/* Derivations that wait, while `derive_later`. */
	bool derive_later;
	void (*derived)(void *arg, const struct scram_keys *keys);
	void *derived_arg;
	char *derive_password;
};

#define PUMP_DOMAIN "example.org"
#define PUMP_SECRET "component-secret" /* of cb1.example.org */

struct pump *pump_new(void);
void pump_free(struct pump *p);
void pump_link_up(struct pump *p, uint64_t term);
void pump_run(struct pump *p); /* until nothing moves */
void pump_derive(struct pump *p);
/* Time passes in steps of the edge's timer. */
void pump_wait(struct pump *p, uint64_t ms);

/* Messages seen, newest last; NULL when there are fewer. */
struct seen *pump_seen(struct pump *p, uint8_t what, size_t nth);
size_t pump_count(const struct pump *p, uint8_t what);
void pump_forget(struct pump *p);
/* The newest frame of that kind; fails the test without one. */
struct up_frame *pump_frame(struct pump *p, enum frame_kind kind);

/* Router's messages. */
void pump_deliver(struct pump *p, const struct down_deliver *d);
void pump_ack(struct pump *p, uint64_t num);
void pump_pong(struct pump *p, uint64_t sent, bool settled,
    const struct live_origin *live, uint32_t count);
/* Delivers a stanza of a frame (num) of another edge to a session. */
void pump_stanza(
    struct pump *p, const struct sid *sid, uint64_t num, const char *payload);

/* ---- clients ----------------------------------------------------------- */

struct client {
	struct pump *pump;
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	struct buf in;      /* read and not yet expected */
	char *before;       /* see client_expect() */
	bool closed;        /* by the edge */
	bool stalled;       /* reads nothing */
	size_t chunk;       /* bytes written at once; 0: all */
};

struct client *client_new(struct pump *p, bool component, const char *peer);
void client_free(struct client *c);
void client_send(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void client_tls(struct client *c, bool old); /* old: TLS 1.2 */
/* Takes what was read up to the end of the text; fails the test if it does not
 * come. Returns what stood before it, until the next call. */
const char *client_expect(struct client *c, const char *text);
void client_expect_closed(struct client *c);
void client_expect_nothing(struct client *c);

#define CLIENT_HEADER                                                          \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "           \
	"xmlns:stream='http://etherx.jabber.org/streams' to='" PUMP_DOMAIN     \
	"' version='1.0'>"
#define COMPONENT_HEADER                                                       \
	"<stream:stream xmlns='jabber:component:accept' "                      \
	"xmlns:stream='http://etherx.jabber.org/streams' "                     \
	"to='cb1." PUMP_DOMAIN "'>"

/* A client on the way: under TLS, features read; authenticated; bound. */
struct client *client_secure(struct pump *p);
struct client *client_authenticated(struct pump *p);
struct client *client_bound(struct pump *p, const char *resource);
struct client *component_bound(struct pump *p);

#endif
