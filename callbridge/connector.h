#ifndef CALLBRIDGE_CONNECTOR_H
#define CALLBRIDGE_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/resolver.h"

/*
 * Which server the Call Bridge logs in to next, and when. Pure: what happened
 * goes in with the time, what is to be done is asked for, random numbers are
 * given.
 *
 *   OFF --start--> LOOKING --found--> TRYING --online--> ONLINE
 *                     ^                 |  ^               |
 *                     |     all failed  |  '----lost-------'
 *                     '--- WAITING <----'   (the other servers first)
 *                     '--- REFUSED <----'   (a secret was refused: slowly)
 *
 * A round tries every address of every server once, in RFC 2782's order. After
 * a loss the next round begins at once with what is known, for DNS may be as
 * dead as the server; while online the servers are looked up again when their
 * time to live is over, so what is known is as good as DNS has it.
 */
enum connector_state {
	CONNECTOR_OFF,
	CONNECTOR_LOOKING,
	CONNECTOR_TRYING,
	CONNECTOR_ONLINE,
	CONNECTOR_WAITING,
	CONNECTOR_REFUSED
};

/* What the owner has to do now. */
enum connector_step {
	CONNECTOR_NOTHING,
	CONNECTOR_LOOK_UP, /* then connector_found() or _not_found() */
	CONNECTOR_CONNECT  /* to connector_target(); then _online() or _failed()
			    */
};

enum connector_failure {
	CONNECTOR_UNREACHED, /* or a connection that ended */
	CONNECTOR_UNAUTHORIZED
};

#define CONNECTOR_ADDRESS_SIZE 64
#define CONNECTOR_ADDRESSES_MAX 8 /* a server */

struct connector_server {
	struct resolver_answer srv; /* priority, weight, port, name */
	char addresses[CONNECTOR_ADDRESSES_MAX][CONNECTOR_ADDRESS_SIZE];
	size_t count;
};

struct connector_target {
	char name[RESOLVER_NAME_SIZE];
	char address[CONNECTOR_ADDRESS_SIZE]; /* numeric */
	uint16_t port;
};

/* For people; texts are borrowed until the next event, "" is none. */
struct connector_status {
	enum connector_state state;
	uint64_t since; /* ms: when it logged in, or ceased to be logged in */
	const struct connector_target *target; /* NULL: none */
	const char *reason, *next;
	uint64_t next_at; /* 0: none */
};

struct connector;

struct connector *connector_new(resolver_random_fn random, void *arg);
void connector_free(struct connector *c);

/* Begins from the start: configured, or configured anew. */
void connector_start(struct connector *c, uint64_t now);
/* Ends; `state` is OFF, or REFUSED where a secret is missing. */
void connector_stop(struct connector *c, uint64_t now,
    enum connector_state state, const char *why);

/* At least one server, with at least one address; copies. */
void connector_found(struct connector *c, uint64_t now,
    const struct connector_server *servers, size_t count, uint32_t ttl);
/*
 * Goes on with what was found before, if anything was; unless it is certain
 * that there are no servers any more.
 */
void connector_not_found(
    struct connector *c, uint64_t now, const char *why, bool certain);

void connector_online(struct connector *c, uint64_t now);
/* An attempt failed, or the connection was lost. */
void connector_failed(struct connector *c, uint64_t now,
    enum connector_failure failure, const char *why);

/* What to do now; each step is told once. */
enum connector_step connector_step(struct connector *c, uint64_t now);
uint64_t connector_due(const struct connector *c); /* ask again then; 0: no */

const struct connector_target *connector_target(const struct connector *c);
void connector_status(
    const struct connector *c, struct connector_status *status);
const char *connector_state_name(enum connector_state state);

#endif
