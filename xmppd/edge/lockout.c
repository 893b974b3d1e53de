/*
 * Counts of wrong passwords, by address and by address and user, in one map
 * and one list, what was touched last at its end.
 */
#include "xmppd/edge/lockout.h"

#include <sys/queue.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/xmalloc.h"

#define RECORDS_MAX 65536
#define FORGET_MS (10ULL * 60 * 1000)
#define KNOWN_MS (7ULL * 24 * 3600 * 1000)
#define LOCKED_MAX_MS (24ULL * 3600 * 1000)
#define ADDRESS_FACTOR 10

struct record {
	uint64_t failures; /* since the last lock-out */
	unsigned lockouts; /* in a row */
	uint64_t until;    /* locked out; 0: it isn't */
	uint64_t forget;   /* then the two above are nothing */
	uint64_t known;    /* until then, for it has logged in; 0: it hasn't */
	TAILQ_ENTRY(record) next;
	size_t len;
	char key[];
};

struct lockout {
	struct map map;
	TAILQ_HEAD(, record) records;
	size_t count;
};

struct lockout *
lockout_new(void)
{
	struct lockout *l = xcalloc(1, sizeof(*l));

	TAILQ_INIT(&l->records);
	return l;
}

static void
record_drop(struct lockout *l, struct record *r)
{
	map_remove(&l->map, r->key, r->len);
	TAILQ_REMOVE(&l->records, r, next);
	l->count--;
	free(r);
}

void
lockout_free(struct lockout *l)
{
	struct record *r;

	if (l == NULL)
		return;
	while ((r = TAILQ_FIRST(&l->records)) != NULL)
		record_drop(l, r);
	map_clear(&l->map);
	free(l);
}

/* "address user"; an address has no blank. */
static char *
key_of(const char *address, const char *user)
{
	char *key;

	xasprintf(&key, "%s %s", address, user == NULL ? "" : user);
	return key;
}

/* What is known of it at that time; NULL: nothing. */
static struct record *
record_find(
    struct lockout *l, const char *address, const char *user, uint64_t now)
{
	char *key = key_of(address, user);
	struct record *r = map_find(&l->map, key, strlen(key));

	free(key);
	if (r == NULL)
		return NULL;
	if (r->until <= now)
		r->until = 0;
	if (r->forget <= now)
		r->failures = r->lockouts = 0;
	if (r->known <= now)
		r->known = 0;
	return r;
}

/* The same, for a change. */
static struct record *
record_get(
    struct lockout *l, const char *address, const char *user, uint64_t now)
{
	struct record *r = record_find(l, address, user, now);
	char *key;
	size_t len;

	if (r != NULL) {
		TAILQ_REMOVE(&l->records, r, next);
		TAILQ_INSERT_TAIL(&l->records, r, next);
		return r;
	}
	if (l->count == RECORDS_MAX)
		record_drop(l, TAILQ_FIRST(&l->records));
	key = key_of(address, user);
	len = strlen(key);
	r = xcalloc(1, sizeof(*r) + len + 1);
	memcpy(r->key, key, len);
	r->len = len;
	free(key);
	map_put(&l->map, r->key, len, r);
	TAILQ_INSERT_TAIL(&l->records, r, next);
	l->count++;
	return r;
}

bool
lockout_allows(
    struct lockout *l, const char *address, const char *user, uint64_t now)
{
	const struct record *pair = record_find(l, address, user, now);
	const struct record *all = record_find(l, address, NULL, now);

	if (pair != NULL && pair->until != 0)
		return false;
	return all == NULL || all->until == 0 ||
	    (pair != NULL && pair->known != 0);
}

/* One failure more; whether it is locked out by it. */
static bool
count_failure(struct record *r, uint64_t most, uint64_t locked_ms, uint64_t now)
{
	r->forget = now + FORGET_MS;
	if (++r->failures < most || r->until != 0)
		return false;
	for (unsigned i = 0; i < r->lockouts && locked_ms < LOCKED_MAX_MS; i++)
		locked_ms *= 2;
	if (locked_ms > LOCKED_MAX_MS)
		locked_ms = LOCKED_MAX_MS;
	r->failures = 0;
	r->lockouts++;
	r->until = now + locked_ms;
	r->forget = r->until + FORGET_MS;
	return true;
}

bool
lockout_failed(struct lockout *l, const char *address, const char *user,
    const struct edge_limits *limits, uint64_t now)
{
	uint64_t most = limits->of[LIMIT_FAILURES];
	uint64_t locked_ms = limits->of[LIMIT_LOCKOUT] * 1000;
	bool pair, all;

	pair = count_failure(
	    record_get(l, address, user, now), most, locked_ms, now);
	all = count_failure(record_get(l, address, NULL, now),
	    most * ADDRESS_FACTOR, locked_ms, now);
	return pair || all;
}

void
lockout_passed(
    struct lockout *l, const char *address, const char *user, uint64_t now)
{
	struct record *r = record_get(l, address, user, now);

	r->failures = r->lockouts = 0;
	r->known = now + KNOWN_MS;
}

/* ---- addresses --------------------------------------------------------- */

void
address_key(const char *peer, char key[ADDRESS_KEY])
{
	const char *colon = strrchr(peer, ':');
	size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
	struct in6_addr a;

	if (peer[0] == '[') {
		peer++;
		len = strcspn(peer, "]%");
	}
	snprintf(key, ADDRESS_KEY, "%.*s", (int)len, peer);
	if (inet_pton(AF_INET6, key, &a) != 1 || IN6_IS_ADDR_V4MAPPED(&a))
		return;
	memset(a.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a, key, ADDRESS_KEY);
}
