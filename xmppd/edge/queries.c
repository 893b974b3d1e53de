/*
 * The list of questions. All wait equally long, so the oldest is the first to
 * be given up; and the router answers in about their order, so that the one
 * that is answered stands near the front.
 */
#include "xmppd/edge/queries.h"

#include <stdlib.h>

#include "common/xmalloc.h"

void
queries_init(struct queries *qs)
{
	qs->next_id = 1;
	TAILQ_INIT(&qs->list);
}

void
queries_remove(struct queries *qs, struct query *q)
{
	TAILQ_REMOVE(&qs->list, q, next);
	free(q->name);
	free(q);
}

void
queries_clear(struct queries *qs)
{
	struct query *q;

	while ((q = TAILQ_FIRST(&qs->list)) != NULL)
		queries_remove(qs, q);
}

const struct query *
queries_add(struct queries *qs, enum query_kind kind, const char *name,
    void *owner, uint64_t until)
{
	struct query *q = xcalloc(1, sizeof(*q));

	q->id = qs->next_id++;
	q->kind = (uint8_t)kind;
	q->name = xstrdup(name);
	q->owner = owner;
	q->until = until;
	TAILQ_INSERT_TAIL(&qs->list, q, next);
	return q;
}

struct query *
queries_find(struct queries *qs, uint64_t id)
{
	struct query *q;

	TAILQ_FOREACH(q, &qs->list, next)
		if (q->id == id)
			return q;
	return NULL;
}

struct query *
queries_overdue(struct queries *qs, uint64_t now)
{
	struct query *q = TAILQ_FIRST(&qs->list);

	return q != NULL && q->until <= now ? q : NULL;
}

void
queries_remove_owner(struct queries *qs, const void *owner)
{
	struct query *q, *next;

	for (q = TAILQ_FIRST(&qs->list); q != NULL; q = next) {
		next = TAILQ_NEXT(q, next);
		if (q->owner == owner)
			queries_remove(qs, q);
	}
}
