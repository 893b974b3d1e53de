/*
 * The accepted deliveries. One map finds an entry by (key, session). For being
 * dropped, an entry also hangs in one list:
 *
 *   named by a frame   in its origin's ring of lists, by the frame's number
 *   a row, an end      in the group of its key, which "forget" names
 *   of a term          in the group of its key
 *
 * A message hangs on a pair (sender, target session, origin) besides, which
 * knows the highest number: rule 5 asks for it.
 */
#include "xmppd/edge/accepted.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/xmalloc.h"

#define RING 1024 /* lists of an origin; a power of two */

struct pair_key {
	struct sid sender, sid;
	struct origin origin;
};

struct pair {
	struct pair_key key;
	uint64_t highest;
	size_t entries;
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
	struct map entries; /* struct entry by struct delivery_id */
	struct map groups;  /* struct group by struct dkey */
	struct map origins; /* struct known_origin by struct origin */
	struct map pairs;   /* struct pair by struct pair_key */
	/* What was looked for last, and is often looked for again. */
	struct known_origin *recent_origin;
	struct pair *recent_pair;
};

_Static_assert(sizeof(struct delivery_id) == 72, "no padding in a map's key");
_Static_assert(sizeof(struct pair_key) == 48, "no padding in a map's key");

struct accepted *
accepted_new(void)
{
	return xcalloc(1, sizeof(struct accepted));
}

size_t
accepted_count(const struct accepted *a)
{
	return a->entries.count;
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
	return pair != NULL && pair->highest >= id->key.num;
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
	if (e->id.key.num > pair->highest)
		pair->highest = e->id.key.num;
	pair->entries++;
	return pair;
}

/* Its highest number is of an entry that is still here: what low-water marks
 * drop, they drop from below. */
static void
pair_leave(struct accepted *a, struct pair *pair)
{
	if (pair == NULL || --pair->entries > 0)
		return;
	map_remove(&a->pairs, &pair->key, sizeof(pair->key));
	if (a->recent_pair == pair)
		a->recent_pair = NULL;
	free(pair);
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
	map_put(&a->entries, &e->id, sizeof(e->id), e);
}

static void
entry_drop(struct accepted *a, struct entry *e)
{
	map_remove(&a->entries, &e->id, sizeof(e->id));
	LIST_REMOVE(e, next);
	pair_leave(a, e->pair);
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

void
accepted_hold_back(struct accepted *a, const struct delivery_id *id, bool keep)
{
	struct entry *e = map_find(&a->entries, id, sizeof(*id));

	if (e == NULL)
		return;
	e->held_back = true;
	e->kept = keep;
}

bool
accepted_is_kept(const struct accepted *a, const struct delivery_id *id)
{
	const struct entry *e = map_find(&a->entries, id, sizeof(*id));

	return e != NULL && e->kept;
}

bool
accepted_tell(struct accepted *a, const struct delivery_id *id)
{
	struct entry *e = map_find(&a->entries, id, sizeof(*id));
	bool was = e != NULL && e->held_back;

	if (was)
		e->held_back = e->kept = false;
	return was;
}

void
accepted_remove(struct accepted *a, const struct delivery_id *id)
{
	struct entry *e = map_find(&a->entries, id, sizeof(*id));
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

void
accepted_each(struct accepted *a, accepted_fn fn, void *arg)
{
	struct up_report report;
	struct entry *e;
	size_t at = 0;

	while ((e = map_next(&a->entries, &at)) != NULL) {
		report = report_of(e);
		e->held_back = e->kept;
		fn(arg, &report);
	}
}

void
accepted_look(const struct accepted *a, accepted_fn fn, void *arg)
{
	struct up_report report;
	const struct entry *e;
	size_t at = 0;

	while ((e = map_next(&a->entries, &at)) != NULL) {
		report = report_of(e);
		fn(arg, &report);
	}
}

bool
accepted_has(const struct accepted *a, const struct delivery_id *id)
{
	return map_find(&a->entries, id, sizeof(*id)) != NULL;
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
	map_clear(&a->entries);
	map_clear(&a->groups);
	map_clear(&a->origins);
	map_clear(&a->pairs);
	free(a);
}
