/*
 * Incarnations of edges: the numbers of their frames, and what edges report to
 * have accepted of them under an earlier leader.
 *
 * Numbers lie between the low-water mark and a window beyond it, so they are
 * kept in a ring: unfinished ones lead to their job, finished ones are
 * remembered until the mark has passed them. Reports matter to frames that are
 * sent again, and go with the mark too (rules 5 and 13 of delivery(7)).
 */
#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/router/core.h"

#define WINDOW_MAX 65536
#define SLOTS_MIN 64
#define PRUNE_MS 1000

/*
 * What edges have accepted of an incarnation's frames. Three kinds of entry in
 * one map, told apart by what is set in the key: a delivery; a frame by its
 * number; a lane, with its newest number.
 */
struct report {
	struct report_key {
		struct delivery_id id;
		uint64_t lane;
	} key;
	uint64_t num;
	TAILQ_ENTRY(report) next;
};

struct reports {
	struct map by_key;
	TAILQ_HEAD(, report) all;
	uint64_t newest; /* number that anything is known of */
};

/* ---- reports ----------------------------------------------------------- */

static struct reports *
reports_new(void)
{
	struct reports *all = xcalloc(1, sizeof(*all));

	TAILQ_INIT(&all->all);
	return all;
}

static void
reports_free(struct reports *all)
{
	struct report *p;

	if (all == NULL)
		return;
	while ((p = TAILQ_FIRST(&all->all)) != NULL) {
		TAILQ_REMOVE(&all->all, p, next);
		free(p);
	}
	map_clear(&all->by_key);
	free(all);
}

/* They are needed for frames that may come again: at or above the mark. */
static void
reports_drop(struct origin_state *o)
{
	if (o->reports == NULL || o->reports->newest >= o->low)
		return;
	reports_free(o->reports);
	o->reports = NULL;
}

static struct report *
report_get(struct reports *all, const struct report_key *key)
{
	struct report *p = map_find(&all->by_key, key, sizeof(*key));

	if (p != NULL)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->key = *key;
	map_put(&all->by_key, &p->key, sizeof(p->key), p);
	TAILQ_INSERT_TAIL(&all->all, p, next);
	return p;
}

static struct report_key
key_of_frame(uint64_t num)
{
	struct report_key key;

	memset(&key, 0, sizeof(key));
	key.id.key.kind = DKEY_FRAME;
	key.id.key.num = num;
	return key;
}

static struct report_key
key_of_delivery(const struct delivery_id *id)
{
	struct report_key key;

	memset(&key, 0, sizeof(key));
	key.id = *id;
	return key;
}

static struct report_key
key_of_lane(uint64_t lane)
{
	struct report_key key;

	memset(&key, 0, sizeof(key));
	key.lane = lane;
	return key;
}

/* Of a frame whose edge has not seen it acknowledged, as far as is known. */
void
report_add(struct router *r, const struct up_report *m)
{
	struct origin_state *o = origin_find(r, &m->id.key.origin);
	struct report_key key;
	struct report *lane;

	if (o == NULL && !r->settled)
		o = origin_get(r, &m->id.key.origin);
	if (o == NULL || o->ended || m->id.key.num < o->low)
		return;
	if (o->reports == NULL)
		o->reports = reports_new();
	if (m->id.key.num > o->reports->newest)
		o->reports->newest = m->id.key.num;
	key = key_of_delivery(&m->id);
	report_get(o->reports, &key);
	if (m->id.key.kind != DKEY_FRAME)
		return;
	key = key_of_frame(m->id.key.num);
	report_get(o->reports, &key);
	if (m->lane == 0)
		return;
	key = key_of_lane(m->lane);
	lane = report_get(o->reports, &key);
	if (m->id.key.num > lane->num)
		lane->num = m->id.key.num;
}

static const struct report *
report_find(const struct job *job, const struct report_key *key)
{
	if (!job->f.resent || job->origin->reports == NULL)
		return NULL;
	return map_find(&job->origin->reports->by_key, key, sizeof(*key));
}

/* Whether any session has accepted the frame itself, or its bounce. */
bool
report_any(const struct job *job)
{
	const struct report_key key = key_of_frame(job->f.num);

	return report_find(job, &key) != NULL;
}

bool
report_has(const struct job *job, const struct delivery_id *id)
{
	const struct report_key key = key_of_delivery(id);

	return report_find(job, &key) != NULL;
}

/* Rule 5: whether a later frame of the same lane has had any effect. */
bool
report_later(const struct job *job)
{
	const struct report_key key = key_of_lane(job->lane_id);
	const struct report *lane = report_find(job, &key);

	return lane != NULL && lane->num > job->f.num;
}

/* ---- incarnations ------------------------------------------------------ */

struct origin_state *
origin_find(struct router *r, const struct origin *id)
{
	struct origin_state *o = r->recent;

	if (o != NULL && origin_equal(&o->id, id))
		return o;
	o = map_find(&r->origins, id, sizeof(*id));
	if (o != NULL)
		r->recent = o;
	return o;
}

struct origin_state *
origin_get(struct router *r, const struct origin *id)
{
	struct origin_state *o = origin_find(r, id);

	if (o != NULL)
		return o;
	o = xcalloc(1, sizeof(*o));
	o->id = *id;
	map_put(&r->origins, &o->id, sizeof(o->id), o);
	TAILQ_INSERT_TAIL(&r->origin_order, o, next);
	return o;
}

void
origin_free(struct router *r, struct origin_state *o)
{
	if (r->recent == o)
		r->recent = NULL;
	map_remove(&r->origins, &o->id, sizeof(o->id));
	TAILQ_REMOVE(&r->origin_order, o, next);
	reports_free(o->reports);
	free(o->slots);
	free(o);
}

/* Rule 13: its node has announced another, or its hold is over. What it sent
 * before goes on. */
void
origin_end(struct router *r, struct origin_state *o)
{
	o->live = false;
	o->ended = true;
	if (o->busy == 0)
		origin_free(r, o);
}

/* Every node has announced or is given up: incarnations that nobody has
 * announced have ended. */
void
origins_settle(struct router *r)
{
	struct origin_state *o, *next;

	for (o = TAILQ_FIRST(&r->origin_order); o != NULL; o = next) {
		next = TAILQ_NEXT(o, next);
		if (!o->live && !o->ended)
			origin_end(r, o);
	}
}

/* ---- numbers ----------------------------------------------------------- */

struct slot *
origin_slot(struct origin_state *o, uint64_t num)
{
	if (num < o->low || num - o->low >= o->size)
		return NULL;
	return &o->slots[num & (o->size - 1)];
}

/* Makes room for a number that isn't below the mark. */
int
origin_reserve(struct origin_state *o, uint64_t num)
{
	struct slot *slots;
	size_t size = o->size == 0 ? SLOTS_MIN : o->size;

	if (num - o->low >= WINDOW_MAX)
		return RES_INVALID;
	while (num - o->low >= size)
		size *= 2;
	if (size == o->size)
		return RES_OK;
	slots = xcalloc(size, sizeof(*slots));
	for (uint64_t n = o->low; n < o->low + o->size; n++)
		slots[n & (size - 1)] = o->slots[n & (o->size - 1)];
	free(o->slots);
	o->slots = slots;
	o->size = size;
	return RES_OK;
}

/* The edge has seen everything below acknowledged. RES_INVALID: it can't. */
int
origin_set_low(struct origin_state *o, uint64_t low)
{
	uint64_t end = o->low + o->size;
	struct slot *slot;

	if (low <= o->low)
		return RES_OK;
	for (uint64_t n = o->low; n < low && n < end; n++) {
		slot = &o->slots[n & (o->size - 1)];
		if (slot->job != NULL)
			return RES_INVALID;
		slot->finished = false;
	}
	o->low = low;
	reports_drop(o);
	return RES_OK;
}

/* ---- what the store remembers ------------------------------------------ */

static void
origin_prune(struct router *r, const struct origin *id)
{
	struct origin_state *o = origin_find(r, id);
	struct buf b = { 0 };

	if (o != NULL && o->pruned >= o->low)
		return;
	if (o == NULL) {
		store_cmd_origin_end(&b, id);
	} else {
		o->pruned = o->low;
		store_cmd_prune(&b, id, o->low);
	}
	r->env.propose(r->env.arg, b.data, b.len);
	buf_clear(&b);
}

/* Rule 13: the store drops what no frame can need any more. */
void
origins_prune(struct router *r)
{
	struct origin *ids;
	size_t count;

	if (!r->settled || r->now < r->next_prune)
		return;
	r->next_prune = r->now + PRUNE_MS;
	count = store_origins(r->env.store, &ids);
	for (size_t i = 0; i < count; i++)
		origin_prune(r, &ids[i]);
	free(ids);
}
