/*
 * The leader's lease. Pure.
 */
#include "xmppd/cluster/raft_lease.h"

#include <stdlib.h>

#include "common/xmalloc.h"

struct lease_echo {
	uint32_t id;
	uint64_t sent;
};

struct raft_lease {
	unsigned election_ms;
	bool forfeited;
	struct lease_echo *echoes;
	size_t count;
};

struct raft_lease *
raft_lease_new(unsigned election_ms)
{
	struct raft_lease *l = xcalloc(1, sizeof(*l));

	l->election_ms = election_ms;
	return l;
}

void
raft_lease_free(struct raft_lease *l)
{
	if (l == NULL)
		return;
	free(l->echoes);
	free(l);
}

void
raft_lease_begin(struct raft_lease *l)
{
	l->count = 0;
	l->forfeited = false;
}

void
raft_lease_forfeit(struct raft_lease *l)
{
	l->forfeited = true;
}

bool
raft_lease_is_forfeited(const struct raft_lease *l)
{
	return l->forfeited;
}

void
raft_lease_echo(struct raft_lease *l, uint32_t id, uint64_t sent)
{
	struct lease_echo *e = l->echoes;

	for (size_t i = 0; i < l->count; i++, e++)
		if (e->id == id) {
			if (e->sent < sent)
				e->sent = sent;
			return;
		}
	l->echoes = xrealloc(l->echoes, (l->count + 1) * sizeof(*e));
	l->echoes[l->count++] = (struct lease_echo){ id, sent };
}

/* What counts for one voter: now for this node, 0 if nothing was echoed. */
static uint64_t
newest(const struct raft_lease *l, uint32_t id, uint32_t self, uint64_t now)
{
	if (id == self)
		return now;
	for (size_t i = 0; i < l->count; i++)
		if (l->echoes[i].id == id)
			return l->echoes[i].sent < now ? l->echoes[i].sent
						       : now;
	return 0;
}

uint64_t
raft_lease_until(const struct raft_lease *l, const uint32_t *voters,
    size_t count, uint32_t self, uint64_t now)
{
	uint64_t best = 0, mine;
	size_t having;

	if (l->forfeited || count == 0)
		return 0;
	if (count == 1 && voters[0] == self)
		return RAFT_LEASE_FOREVER;
	/* The newest time that more than half have reached. */
	for (size_t i = 0; i < count; i++) {
		mine = newest(l, voters[i], self, now);
		having = 0;
		for (size_t j = 0; j < count; j++)
			having += newest(l, voters[j], self, now) >= mine;
		if (having > count / 2 && mine > best)
			best = mine;
	}
	return best == 0 ? 0 : best + l->election_ms - l->election_ms / 10;
}
