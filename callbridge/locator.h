#ifndef CALLBRIDGE_LOCATOR_H
#define CALLBRIDGE_LOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "callbridge/connector.h"
#include "common/result.h"

struct event_base;
struct resolver;
struct locator;

/*
 * Finds what a log-in needs: the servers with their addresses (by DNS SRV, or
 * the one that is set, or this node's own), and what they are trusted by.
 */
struct locator_result {
	const struct connector_server *servers;
	size_t count;    /* 0: none found */
	uint32_t ttl;    /* seconds */
	const char *why; /* what was not found, one line; "" if all was */
	bool certain;    /* none found, and asking again would not help */
	/* PEM of what this node's XMPP server trusts; NULL: nothing, or it
	   didn't answer, and `no_trust` tells why. */
	const char *trust, *no_trust;
};

typedef void (*locator_cb)(const struct locator_result *result, void *arg);

struct locator *locator_new(struct event_base *base, struct resolver *resolver,
    const char *root, locator_cb cb, void *arg);
void locator_free(struct locator *l);

/*
 * Looks up; the callback comes once, never from in here. What was under way is
 * given up. `server` NULL: by DNS SRV. `patience_ms`: for this node's own
 * server, where it doesn't listen yet.
 */
void locator_start(struct locator *l, const char *domain, const char *server,
    unsigned patience_ms);
void locator_cancel(struct locator *l);

/* "name", "address", "name:port", "[address]:port"; *port 0: not said. */
int locator_parse_server(const char *server, char host[RESOLVER_NAME_SIZE],
    uint16_t *port, struct error *e);

#endif
