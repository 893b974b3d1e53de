#ifndef COMMON_RESOLVER_H
#define COMMON_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

struct event_base;

/*
 * DNS look-ups: a cache, forward zones, local records. Which servers are asked
 * for a name: those of the forward zone nearest to it, else the system's
 * (resolv.conf), else none.
 */
enum resolver_type { RESOLVER_A = 1, RESOLVER_AAAA = 28, RESOLVER_SRV = 33 };

enum resolver_outcome {
	RESOLVER_FOUND,
	RESOLVER_NO_RECORD, /* the name exists, without such a record */
	RESOLVER_NO_NAME,   /* NXDOMAIN */
	RESOLVER_FAILED,    /* answers came, but no useful one */
	RESOLVER_NO_REPLY,  /* within the deadline */
	RESOLVER_NO_SERVER, /* nobody to ask */
	RESOLVER_BAD_NAME   /* not a name that DNS can hold */
};

#define RESOLVER_DEADLINE_MS 3000
#define RESOLVER_ANSWERS_MAX 64
#define RESOLVER_NAME_SIZE 256

struct resolver_answer {
	uint16_t priority, weight, port; /* SRV */
	/* A numeric address; the target of an SRV without its last dot, except
	   for ".": the service is not offered (RFC 2782). */
	char value[RESOLVER_NAME_SIZE];
};

struct resolver_result {
	const char *name;
	enum resolver_type type;
	enum resolver_outcome outcome;
	const struct resolver_answer *answers; /* when FOUND, as they came */
	size_t count;
	uint32_t ttl; /* seconds, the least of the answers' */
	/* Who answered: "10.1.1.1:53", "local records", "the cache", or where
	   nobody did, who was asked: "10.1.1.1, 10.1.1.2:5353". */
	const char *server;
};

/* "SRV" */
const char *resolver_type_name(enum resolver_type type);
/* "no such name (NXDOMAIN)" */
const char *resolver_outcome_text(enum resolver_outcome outcome);

/*
 * One line of what was asked, of whom, and what came: "SRV _x._tcp.example.com:
 * 2 answers from 10.1.1.1:53".
 */
void resolver_describe(const struct resolver_result *r, char *out, size_t size);

struct resolver;
struct resolver_query;

/*
 * `system` is the resolv.conf(5) to take servers from; NULL: none. A look-up
 * takes `deadline_ms` at most (RESOLVER_DEADLINE_MS but in tests).
 */
struct resolver *resolver_new(
    struct event_base *base, const char *system, unsigned deadline_ms);
void resolver_free(struct resolver *r); /* no callback comes any more */

/*
 * The normal form of a zone, "domain address[:port]", or of a record as in a
 * zone file (A, AAAA or SRV); the caller frees. NULL and RES_INVALID where it
 * is malformed. Equal ones have equal normal forms.
 */
char *resolver_make_zone(
    const char *domain, const char *address, struct error *e);
char *resolver_make_record(
    struct resolver *r, const char *record, struct error *e);

/*
 * Zones and records in normal form. They come into force with
 * resolver_flush(), which empties the cache; look-ups under way begin again.
 */
void resolver_clear(struct resolver *r);
void resolver_add_zone(struct resolver *r, const char *zone);
void resolver_add_record(struct resolver *r, const char *record);
void resolver_flush(struct resolver *r);

/* The system's servers, from 0 on; NULL: no more. */
const char *resolver_system_server(struct resolver *r, size_t at);

/*
 * Called once, never from within resolver_ask(); the query is gone then. Names
 * that aren't ASCII are asked for in their ASCII form.
 */
typedef void (*resolver_cb)(const struct resolver_result *result, void *arg);
struct resolver_query *resolver_ask(struct resolver *r, const char *name,
    enum resolver_type type, resolver_cb cb, void *arg);
void resolver_cancel(struct resolver_query *q); /* NULL is fine */

/* A number below `below` (which is not 0), uniformly. */
typedef uint32_t (*resolver_random_fn)(uint32_t below, void *arg);
uint32_t resolver_random(uint32_t below, void *arg); /* of the CSPRNG */

/*
 * Puts SRV answers into the order in which RFC 2782 has them tried: by
 * priority, within it drawn by weight.
 */
void resolver_order(struct resolver_answer *answers, size_t count,
    resolver_random_fn random, void *arg);

/* What a reply packet says. */
struct resolver_reply {
	struct resolver_answer answers[RESOLVER_ANSWERS_MAX];
	size_t count;
	uint32_t ttl; /* the least of the answers' */
	int rcode;
};

/*
 * Reads a packet; RES_INVALID if it is malformed. Pure, for bytes from the
 * network pass through it.
 */
int resolver_parse(const uint8_t *packet, size_t len, enum resolver_type type,
    struct resolver_reply *reply);

#endif
