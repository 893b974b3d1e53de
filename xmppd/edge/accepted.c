/*
 * The accepted deliveries. For being dropped, an entry hangs in one list:
 *
 *   named by a frame   in its origin's ring of lists, by the frame's number
 *   a row, an end      in the group of its key, which "forget" names
 *   of a term          in the group of its key
 *
 * A message hangs on a pair (sender, target session, origin) besides, which
 * knows the highest number: rule 5 asks for it, and what is done is known by it
 * as well. So nothing but its number leads to a message; to all else a map
 * does. Pairs without entries say nothing, and stay for a while: most are used
 * again.
 */
#include "xmppd/edge/accepted.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/xmalloc.h"

#define RING 1024 /* lists of an origin; a power of two */
#define IDLE_PAIRS 4096

struct pair_key {
	struct sid sender, sid;
	struct origin origin;
};

struct pair {
	struct pair_key key;
	uint64_t highest;
	size_t entries;
	bool idle;
	TAILQ_ENTRY(pair) next;
};

struct entry {
	struct delivery_id id; /* the map's key */
	struct sid sender;
	uint64_t lane;
	uint8_t kind;
	bool held_back;    /* the router isn't told yet, */
	bool kept;         /* nor by an announcement */
	struct pair *pair; /* NULL: no message */
	LIST_ENTRY(entry) next;
};

LIST_HEAD(entries, entry);

struct group {
	struct dkey key;
	struct entries entries;
};

struct known_origin {
	struct origin origin;
	uint64_t low;
	size_t count;
	struct entries ring[RING];
};

struct accepted {
	size_t count;
	struct map
	    entries;       /* struct entry by struct delivery_id: no messages */
	struct map groups; /* struct group by struct dkey */
	struct map origins;      /* struct known_origin by struct origin */
	struct map pairs;        /* struct pair by struct pair_key */
	TAILQ_HEAD(, pair) idle; /* pairs, the oldest first */
	size_t idle_count;
	/* What was looked for last, and is often looked for again. */
	struct known_origin *recent_origin;
	struct pair *recent_pair;
};

_Static_assert(sizeof(struct delivery_id) == 72, "no padding in a map's key");
_Static_assert(sizeof(struct pair_key) == 48, "no padding in a map's key");

struct accepted *
accepted_new(void)
{
	struct accepted *a = xcalloc(1, sizeof(*a));

	TAILQ_INIT(&a->idle);
	return a;
}

size_t
accepted_count(const struct accepted *a)
{
	return a->count;
}

static bool
is_of_frame(const struct dkey *key)
{
	return key->kind == DKEY_FRAME || key->kind == DKEY_TOLD;
}

static bool
is_paired(const struct dkey *key, uint8_t kind)
{
	return key->kind == DKEY_FRAME && kind == DELIVER_MESSAGE;
}

static struct pair_key
pair_key_of(const struct delivery_id *id, const struct sid *sender)
{
	struct pair_key k;

	memset(&k, 0, sizeof(k));
	k.sender = *sender;
	k.sid = id->sid;
	k.origin = id->key.origin;
	return k;
}

static struct pair *
pair_find(
    struct accepted *a, const struct delivery_id *id, const struct sid *sender)
{
	struct pair_key k = pair_key_of(id, sender);

	if (a->recent_pair == NULL ||
	    memcmp(&a->recent_pair->key, &k, sizeof(k)) != 0)
		a->recent_pair = map_find(&a->pairs, &k, sizeof(k));
	return a->recent_pair;
}

bool
accepted_is_done(struct accepted *a, const struct delivery_id *id,
    const struct sid *sender, uint8_t kind)
{
	const struct pair *pair;

	if (!is_paired(&id->key, kind))
		return map_find(&a->entries, id, sizeof(*id)) != NULL;
	/* What an entry of it would say, its pair says as well. */
	pair = pair_find(a, id, sender);
	return pair != NULL && pair->entries > 0 &&
	    pair->highest >= id->key.num;
}

static struct pair *
pair_join(struct accepted *a, const struct entry *e)
{
	struct pair *pair = pair_find(a, &e->id, &e->sender);

	if (pair == NULL) {
		pair = xcalloc(1, sizeof(*pair));
		pair->key = pair_key_of(&e->id, &e->sender);
		map_put(&a->pairs, &pair->key, sizeof(pair->key), pair);
	}
	if (pair->entries++ == 0 && pair->idle) {
		TAILQ_REMOVE(&a->idle, pair, next);
		a->idle_count--;
		pair->idle = false;
		pair->highest = 0;
	}
	if (e->id.key.num > pair->highest)
		pair->highest = e->id.key.num;
	return pair;
}

static void
pair_free(struct accepted *a, struct pair *pair)
{
	TAILQ_REMOVE(&a->idle, pair, next);
	a->idle_count--;
	map_remove(&a->pairs, &pair->key, sizeof(pair->key));
	if (a->recent_pair == pair)
		a->recent_pair = NULL;
	free(pair);
}

static void
pair_leave(struct accepted *a, struct pair *pair)
{
	if (pair == NULL || --pair->entries > 0)
		return;
	pair->idle = true;
	TAILQ_INSERT_TAIL(&a->idle, pair, next);
	if (++a->idle_count > IDLE_PAIRS)
		pair_free(a, TAILQ_FIRST(&a->idle));
}

static struct known_origin *
origin_find(struct accepted *a, const struct origin *origin)
{
	if (a->recent_origin == NULL ||
	    !origin_equal(&a->recent_origin->origin, origin))
		a->recent_origin =
		    map_find(&a->origins, origin, sizeof(*origin));
	return a->recent_origin;
}

static struct known_origin *
origin_get(struct accepted *a, const struct origin *origin)
{
	struct known_origin *o = origin_find(a, origin);

	if (o != NULL)
		return o;
	o = xcalloc(1, sizeof(*o));
	o->origin = *origin;
	map_put(&a->origins, &o->origin, sizeof(o->origin), o);
	return o;
}

static struct group *
group_get(struct accepted *a, const struct dkey *key)
{
	struct group *g = map_find(&a->groups, key, sizeof(*key));

	if (g != NULL)
		return g;
	g = xcalloc(1, sizeof(*g));
	g->key = *key;
	map_put(&a->groups, &g->key, sizeof(g->key), g);
	return g;
}

void
accepted_add(struct accepted *a, const struct down_deliver *m)
{
	const struct delivery_id *id = &m->id;
	struct entry *e = xcalloc(1, sizeof(*e));
	struct known_origin *o;

	e->id = *id;
	e->sender = m->sender;
	e->kind = m->kind;
	e->lane = m->lane;
	if (is_paired(&id->key, m->kind))
		e->pair = pair_join(a, e);
	if (is_of_frame(&id->key)) {
		o = origin_get(a, &id->key.origin);
		o->count++;
		LIST_INSERT_HEAD(&o->ring[id->key.num % RING], e, next);
	} else {
		LIST_INSERT_HEAD(&group_get(a, &id->key)->entries, e, next);
	}
	if (e->pair == NULL)
		map_put(&a->entries, &e->id, sizeof(e->id), e);
	a->count++;
}

static void
entry_drop(struct accepted *a, struct entry *e)
{
	if (e->pair == NULL)
		map_remove(&a->entries, &e->id, sizeof(e->id));
	LIST_REMOVE(e, next);
	pair_leave(a, e->pair);
	a->count--;
	free(e);
}

static void
group_drop(struct accepted *a, struct group *g)
{
	struct entry *e;

	while ((e = LIST_FIRST(&g->entries)) != NULL)
		entry_drop(a, e);
	map_remove(&a->groups, &g->key, sizeof(g->key));
	free(g);
}

static struct entry *
entry_find(const struct accepted *a, const struct delivery_id *id)
{
	struct entry *e = map_find(&a->entries, id, sizeof(*id));
	struct known_origin *o = NULL;

	if (e == NULL && id->key.kind == DKEY_FRAME)
		o = map_find(
		    &a->origins, &id->key.origin, sizeof(id->key.origin));
	if (o == NULL)
		return e;
	LIST_FOREACH(e, &o->ring[id->key.num % RING], next)
		if (e->pair != NULL && memcmp(&e->id, id, sizeof(*id)) == 0)
			return e;
	return NULL;
}

void
accepted_hold_back(struct accepted *a, const struct delivery_id *id, bool keep)
{
	struct entry *e = entry_find(a, id);

	if (e == NULL)
		return;
	e->held_back = true;
	e->kept = keep;
}

bool
accepted_is_kept(const struct accepted *a, const struct delivery_id *id)
{
	const struct entry *e = entry_find(a, id);

	return e != NULL && e->kept;
}

bool
accepted_tell(struct accepted *a, const struct delivery_id *id)
{
	struct entry *e = entry_find(a, id);
	bool was = e != NULL && e->held_back;

	if (was)
		e->held_back = e->kept = false;
	return was;
}

void
accepted_remove(struct accepted *a, const struct delivery_id *id)
{
	struct entry *e = entry_find(a, id);
	struct group *g = map_find(&a->groups, &id->key, sizeof(id->key));

	if (e == NULL)
		return;
	if (is_of_frame(&id->key))
		origin_get(a, &id->key.origin)->count--;
	entry_drop(a, e);
	if (g != NULL && LIST_EMPTY(&g->entries))
		group_drop(a, g);
}

void
accepted_forget(struct accepted *a, const struct dkey *key)
{
	struct group *g = map_find(&a->groups, key, sizeof(*key));

	if (g != NULL)
		group_drop(a, g);
}

static void
origin_drop_below(struct accepted *a, struct known_origin *o,
    struct entries *list, uint64_t low)
{
	struct entry *e, *next;

	for (e = LIST_FIRST(list); e != NULL; e = next) {
		next = LIST_NEXT(e, next);
		if (e->id.key.num >= low)
			continue;
		o->count--;
		entry_drop(a, e);
	}
}

void
accepted_low(struct accepted *a, const struct origin *origin, uint64_t low)
{
	struct known_origin *o = origin_find(a, origin);
	uint64_t steps;

	if (o == NULL || low <= o->low)
		return;
	steps = o->count == 0 ? 0 : low - o->low;
	if (steps > RING)
		steps = RING;
	for (uint64_t i = 0; i < steps; i++)
		origin_drop_below(a, o, &o->ring[(o->low + i) % RING], low);
	o->low = low;
}

static void
origin_drop(struct accepted *a, struct known_origin *o)
{
	struct entry *e;

	for (size_t i = 0; i < RING; i++)
		while ((e = LIST_FIRST(&o->ring[i])) != NULL)
			entry_drop(a, e);
	map_remove(&a->origins, &o->origin, sizeof(o->origin));
	if (a->recent_origin == o)
		a->recent_origin = NULL;
	free(o);
}

static bool
is_live(const struct origin *origin, const struct down_pong *live)
{
	for (uint32_t i = 0; i < live->count; i++) {
		struct live_origin l = pong_origin(live, i);

		if (origin_equal(origin, &l.origin))
			return true;
	}
	return false;
}

void
accepted_end_origins(struct accepted *a, const struct down_pong *live)
{
	struct known_origin *o;
	size_t at = 0;

	while ((o = map_next(&a->origins, &at)) != NULL)
		if (!is_live(&o->origin, live))
			origin_drop(a, o);
}

void
accepted_end_terms(struct accepted *a, uint64_t term)
{
	struct group *g;
	size_t at = 0;

	while ((g = map_next(&a->groups, &at)) != NULL)
		if (g->key.kind == DKEY_TERM && g->key.version < term)
			group_drop(a, g);
}

static struct up_report
report_of(const struct entry *e)
{
	struct up_report report;

	memset(&report, 0, sizeof(report));
	report.id = e->id;
	report.sender = e->sender;
	report.kind = e->kind;
	report.lane = e->lane;
	report.kept = e->kept;
	return report;
}

/* Calls fn for each, messages last. */
static void
entries_each(
    const struct accepted *a, void (*fn)(struct entry *e, void *arg), void *arg)
{
	struct known_origin *o;
	struct entry *e;
	size_t at = 0;

	while ((e = map_next(&a->entries, &at)) != NULL)
		fn(e, arg);
	at = 0;
	while ((o = map_next(&a->origins, &at)) != NULL)
		for (size_t i = 0; o->count > 0 && i < RING; i++)
			LIST_FOREACH(e, &o->ring[i], next)
				if (e->pair != NULL)
					fn(e, arg);
}

struct look {
	accepted_fn fn;
	void *arg;
};

static void
tell_cb(struct entry *e, void *arg)
{
	const struct look *look = arg;
	const struct up_report report = report_of(e);

	e->held_back = e->kept;
	look->fn(look->arg, &report);
}

void
accepted_each(struct accepted *a, accepted_fn fn, void *arg)
{
	struct look look = { fn, arg };

	entries_each(a, tell_cb, &look);
}

static void
look_cb(struct entry *e, void *arg)
{
	const struct look *look = arg;
	const struct up_report report = report_of(e);

	look->fn(look->arg, &report);
}

void
accepted_look(const struct accepted *a, accepted_fn fn, void *arg)
{
	struct look look = { fn, arg };

	entries_each(a, look_cb, &look);
}

bool
accepted_has(const struct accepted *a, const struct delivery_id *id)
{
	return entry_find(a, id) != NULL;
}

void
accepted_free(struct accepted *a)
{
	struct known_origin *o;
	struct group *g;
	size_t at = 0;

	if (a == NULL)
		return;
	while ((o = map_next(&a->origins, &at)) != NULL)
		origin_drop(a, o);
	at = 0;
	while ((g = map_next(&a->groups, &at)) != NULL)
		group_drop(a, g);
	while (!TAILQ_EMPTY(&a->idle))
		pair_free(a, TAILQ_FIRST(&a->idle));
	map_clear(&a->entries);
	map_clear(&a->groups);
	map_clear(&a->origins);
	map_clear(&a->pairs);
	free(a);
}
