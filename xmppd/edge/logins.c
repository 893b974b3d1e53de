/*
 * Counters by address. An address is known while it has a connection.
 */
#include "xmppd/edge/logins.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/map.h"
#include "common/xmalloc.h"
#include "xmppd/edge/lockout.h"

#define LOGINS_MAX 4096
#define BURST 64

struct logins {
	pthread_mutex_t lock;
	struct map addresses;
	struct lockout *lockout;
	size_t count; /* under way */
	size_t begun; /* since the end of the last burst */
	bool full;    /* and said so */
};

struct address_count {
	size_t connections, logins;
	bool full; /* and said so */
	char address[ADDRESS_KEY];
};

static struct address_count *
address_get(struct logins *l, const char *peer)
{
	struct address_count *a;
	char key[ADDRESS_KEY];

	address_key(peer, key);
	a = map_find_str(&l->addresses, key);
	if (a != NULL)
		return a;
	a = xcalloc(1, sizeof(*a));
	memcpy(a->address, key, sizeof(key));
	map_put_str(&l->addresses, a->address, a);
	return a;
}

static void
address_put(struct logins *l, struct address_count *a)
{
	if (a->connections > 0)
		return;
	map_remove_str(&l->addresses, a->address);
	free(a);
}

/* Whoever floods the server shall not flood its log. */
static bool
refuse(bool *said, const char *peer, const char *why)
{
	if (!*said)
		log_warn("edge: %s: refused: too many %s", peer, why);
	*said = true;
	return false;
}

static bool
enter(struct logins *l, const char *peer, struct address_count *a,
    const struct edge_limits *limits)
{
	if (l->count >= LOGINS_MAX)
		return refuse(&l->full, peer, "logins under way");
	if (a->logins >= limits->of[LIMIT_LOGINS])
		return refuse(
		    &a->full, peer, "logins under way from its address");
	if (a->connections >= limits->of[LIMIT_CONNECTIONS])
		return refuse(&a->full, peer, "connections from its address");
	a->connections++;
	a->logins++;
	l->count++;
	l->begun++;
	return true;
}

bool
logins_enter(
    struct logins *l, const char *peer, const struct edge_limits *limits)
{
	struct address_count *a;
	bool entered;

	pthread_mutex_lock(&l->lock);
	a = address_get(l, peer);
	entered = enter(l, peer, a, limits);
	address_put(l, a);
	pthread_mutex_unlock(&l->lock);
	return entered;
}

/* What was full and was said to be may be said again when it is half empty. */
static void
login_over(struct logins *l, struct address_count *a)
{
	if (--l->count < LOGINS_MAX / 2)
		l->full = false;
	a->logins--;
	if (a->logins == 0)
		a->full = false;
}

void
logins_done(struct logins *l, const char *peer)
{
	pthread_mutex_lock(&l->lock);
	login_over(l, address_get(l, peer));
	pthread_mutex_unlock(&l->lock);
}

void
logins_leave(struct logins *l, const char *peer, bool under_way)
{
	struct address_count *a;

	pthread_mutex_lock(&l->lock);
	a = address_get(l, peer);
	if (under_way)
		login_over(l, a);
	a->connections--;
	address_put(l, a);
	pthread_mutex_unlock(&l->lock);
}

/* ---- wrong passwords --------------------------------------------------- */

bool
logins_allow(struct logins *l, const char *peer, const char *user, uint64_t now)
{
	char key[ADDRESS_KEY];
	bool allowed;

	address_key(peer, key);
	pthread_mutex_lock(&l->lock);
	allowed = lockout_allows(l->lockout, key, user, now);
	pthread_mutex_unlock(&l->lock);
	return allowed;
}

bool
logins_failed(struct logins *l, const char *peer, const char *user,
    const struct edge_limits *limits, uint64_t now)
{
	char key[ADDRESS_KEY];
	bool locked;

	address_key(peer, key);
	pthread_mutex_lock(&l->lock);
	locked = lockout_failed(l->lockout, key, user, limits, now);
	pthread_mutex_unlock(&l->lock);
	return locked;
}

void
logins_passed(
    struct logins *l, const char *peer, const char *user, uint64_t now)
{
	char key[ADDRESS_KEY];

	address_key(peer, key);
	pthread_mutex_lock(&l->lock);
	lockout_passed(l->lockout, key, user, now);
	pthread_mutex_unlock(&l->lock);
}

/* ---- life -------------------------------------------------------------- */

bool
logins_burst_over(struct logins *l)
{
	bool over;

	pthread_mutex_lock(&l->lock);
	over = l->begun >= BURST && l->count == 0;
	if (over)
		l->begun = 0;
	pthread_mutex_unlock(&l->lock);
	return over;
}

struct logins *
logins_new(void)
{
	struct logins *l = xcalloc(1, sizeof(*l));

	pthread_mutex_init(&l->lock, NULL);
	l->lockout = lockout_new();
	return l;
}

void
logins_free(struct logins *l)
{
	struct address_count *a;
	size_t at = 0;

	if (l == NULL)
		return;
	while ((a = map_next(&l->addresses, &at)) != NULL)
		free(a);
	map_clear(&l->addresses);
	lockout_free(l->lockout);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
