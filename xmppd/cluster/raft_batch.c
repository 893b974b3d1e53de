/*
 * Group commit: many commands, one entry. (libraft calls back for the first
 * entry of a call only, trap 14, and tests for a majority at the newest one
 * only, trap 7; so there is one at a time.)
 */
#include "xmppd/cluster/raft_batch.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"

struct item {
	STAILQ_ENTRY(item) entry;
	struct store_proposal proposal;
	uint64_t tag;
	uint8_t command[];
};

STAILQ_HEAD(items, item);

struct raft_batch {
	struct items waiting, under_way;
};

struct raft_batch *
raft_batch_new(void)
{
	struct raft_batch *b = xcalloc(1, sizeof(*b));

	STAILQ_INIT(&b->waiting);
	STAILQ_INIT(&b->under_way);
	return b;
}

static void
drop(struct items *list, void (*fn)(void *arg, uint64_t tag), void *arg)
{
	struct item *item;

	while ((item = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		if (fn != NULL)
			fn(arg, item->tag);
		free(item);
	}
}

void
raft_batch_free(struct raft_batch *b)
{
	if (b == NULL)
		return;
	drop(&b->under_way, NULL, NULL);
	drop(&b->waiting, NULL, NULL);
	free(b);
}

void
raft_batch_add(
    struct raft_batch *b, const struct store_proposal *p, uint64_t tag)
{
	struct item *item = xmalloc(sizeof(*item) + p->len);

	item->proposal = *p;
	item->tag = tag;
	if (p->len != 0)
		memcpy(item->command, p->command, p->len);
	item->proposal.command = item->command;
	STAILQ_INSERT_TAIL(&b->waiting, item, entry);
}

bool
raft_batch_take(struct raft_batch *b, struct buf *entry)
{
	struct item *item;
	size_t bytes = 0;

	if (!STAILQ_EMPTY(&b->under_way))
		return false;
	while ((item = STAILQ_FIRST(&b->waiting)) != NULL) {
		bytes += item->proposal.len + sizeof(item->proposal);
		if (bytes > RAFT_BATCH_BYTES && !STAILQ_EMPTY(&b->under_way))
			break;
		STAILQ_REMOVE_HEAD(&b->waiting, entry);
		STAILQ_INSERT_TAIL(&b->under_way, item, entry);
		store_entry_add(entry, &item->proposal);
	}
	return !STAILQ_EMPTY(&b->under_way);
}

void
raft_batch_done(struct raft_batch *b)
{
	drop(&b->under_way, NULL, NULL);
}

void
raft_batch_lose(struct raft_batch *b, bool all,
    void (*fn)(void *arg, uint64_t tag), void *arg)
{
	drop(&b->under_way, fn, arg);
	if (all)
		drop(&b->waiting, fn, arg);
}
