#ifndef CALLBRIDGE_BRIDGE_H
#define CALLBRIDGE_BRIDGE_H

#include <stdint.h>

#include "callbridge/connector.h"
#include "common/result.h"

struct component;
struct conf;
struct conn_loop;
struct daemon;
struct event;
struct locator;
struct resolver;
struct ssl_ctx_st;
struct varlink_server;

/*
 * The context of a Call Bridge: it ties settings, resolver, connector and the
 * connection to the XMPP server together.
 */
struct bridge {
	struct daemon *daemon;
	struct conf *conf;
	struct resolver *resolver;
	struct connector *connector;
	struct locator *locator;
	struct conn_loop *loop;
	struct component *component; /* NULL: there is no connection */
	struct event *timer;         /* when the connector is due */
	char *jid;                   /* "cb1.example.com"; NULL: not set */
	struct ssl_ctx_st *tls;
	char *tls_trust;   /* what tls was made with, NULL: the system's */
	char *local_trust; /* what this node's XMPP server trusts */
	const char *no_local_trust; /* why that isn't known */
	struct varlink_server *ctl;
	uint64_t started;
	uint64_t since;     /* of the connector's status ... */
	int64_t since_unix; /* ... and what the wall clock showed then */
};

/* Loads the settings; a malformed file is an error with its line. */
struct bridge *bridge_new(struct daemon *daemon, struct error *e);
void bridge_free(struct bridge *b);

/* Logs in with the settings as they are now, from the start. */
void bridge_configure(struct bridge *b);
/* Tries again at once, unless it is logged in. */
void bridge_retry(struct bridge *b);
/* Logs out. */
void bridge_stop(struct bridge *b);

/* ctl.c: listens at ROOT/callbridge.sock. */
int ctl_start(struct bridge *b, struct error *e);

#endif
