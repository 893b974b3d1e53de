/*
 * Counters by address. An address is known while it has a login under way.
 */
#include "xmppd/edge/logins.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/map.h"
#include "common/xmalloc.h"

#define LOGINS_MAX 4096
#define ADDRESS_MAX 256 /* a company may sit behind one address */
#define BURST 64

struct logins {
	pthread_mutex_t lock;
	struct map addresses;
	size_t count; /* under way */
	size_t begun; /* since the end of the last burst */
	bool full;    /* and said so */
};

struct address_count {
	size_t count;
	bool full; /* and said so */
	char address[];
};

/* "192.0.2.1:40000" without the port. */
static size_t
address_len(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return colon == NULL ? strlen(peer) : (size_t)(colon - peer);
}

static struct address_count *
address_get(struct logins *l, const char *peer)
{
	size_t len = address_len(peer);
	struct address_count *a = map_find(&l->addresses, peer, len);

	if (a != NULL)
		return a;
	a = xcalloc(1, sizeof(*a) + len + 1);
	memcpy(a->address, peer, len);
	map_put(&l->addresses, a->address, len, a);
	return a;
}

/* Whoever floods the server shall not flood its log. */
static bool
refuse(bool *said, const char *peer, const char *why)
{
	if (!*said)
		log_warn("edge: %s: refused: too many logins under way%s", peer,
		    why);
	*said = true;
	return false;
}

static bool
enter(struct logins *l, const char *peer)
{
	struct address_count *a;

	if (l->count >= LOGINS_MAX)
		return refuse(&l->full, peer, "");
	a = address_get(l, peer);
	if (a->count >= ADDRESS_MAX)
		return refuse(&a->full, peer, " from its address");
	a->count++;
	l->count++;
	l->begun++;
	return true;
}

bool
logins_enter(struct logins *l, const char *peer)
{
	bool entered;

	pthread_mutex_lock(&l->lock);
	entered = enter(l, peer);
	pthread_mutex_unlock(&l->lock);
	return entered;
}

static void
leave(struct logins *l, const char *peer)
{
	struct address_count *a = address_get(l, peer);

	if (--l->count < LOGINS_MAX / 2)
		l->full = false;
	if (--a->count < ADDRESS_MAX / 2)
		a->full = false;
	if (a->count > 0)
		return;
	map_remove(&l->addresses, a->address, strlen(a->address));
	free(a);
}

void
logins_leave(struct logins *l, const char *peer)
{
	pthread_mutex_lock(&l->lock);
	leave(l, peer);
	pthread_mutex_unlock(&l->lock);
}

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
	pthread_mutex_destroy(&l->lock);
	free(l);
}
