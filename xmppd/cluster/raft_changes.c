/*
 * Servers in and out of Raft's configuration.
 */
#include "xmppd/cluster/raft_changes.h"

#include <sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <raft.h>

#include "common/log.h"
#include "common/xmalloc.h"

/* A stand-by whose log is shorter than the leader's by no more is made a
 * voter; libraft sends the rest first. */
#define CATCH_UP_ENTRIES 64

/* A server that makes no progress for so long is given up. */
#define STALL_MS 30000

struct wish {
	STAILQ_ENTRY(wish) entry;
	bool add;
	uint32_t id;
	raft_node_done done;
	void *arg;
};

struct raft_changes {
	STAILQ_HEAD(wishes, wish) wishes;
	struct raft_change req; /* libraft's request */
	bool busy;              /* req is with libraft */
	uint64_t progress;      /* newest index of who is being added */
	uint64_t progressed;    /* when it grew; 0: not looked at yet */
	unsigned finished;      /* wishes that have ended */
};

struct raft_changes *
raft_changes_new(void)
{
	struct raft_changes *c = xcalloc(1, sizeof(*c));

	STAILQ_INIT(&c->wishes);
	return c;
}

void
raft_changes_free(struct raft_changes *c)
{
	struct wish *w;

	if (c == NULL)
		return;
	while ((w = STAILQ_FIRST(&c->wishes)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->wishes, entry);
		free(w);
	}
	free(c);
}

static void
ask(struct raft_changes *c, const struct wish *like)
{
	struct wish *w = xmemdup(like, sizeof(*like));

	STAILQ_INSERT_TAIL(&c->wishes, w, entry);
}

void
raft_changes_add(
    struct raft_changes *c, uint32_t id, raft_node_done done, void *arg)
{
	ask(c,
	    &(struct wish){ .add = true, .id = id, .done = done, .arg = arg });
}

void
raft_changes_remove(
    struct raft_changes *c, uint32_t id, raft_node_done done, void *arg)
{
	ask(c, &(struct wish){ .id = id, .done = done, .arg = arg });
}

/* Ends the first wish. */
static void
finish(struct raft_changes *c, int code, const char *text)
{
	struct wish *w = STAILQ_FIRST(&c->wishes);

	STAILQ_REMOVE_HEAD(&c->wishes, entry);
	c->finished++;
	c->progressed = 0;
	c->progress = 0;
	w->done(w->arg, code, text);
	free(w);
}

void
raft_changes_fail(struct raft_changes *c)
{
	while (!STAILQ_EMPTY(&c->wishes))
		finish(c, RES_NO_LEADER, "this node has lost the leadership");
}

static void
change_cb(struct raft_change *req, int status)
{
	struct raft_changes *c = req->data;

	c->busy = false;
	if (status != 0)
		log_debug("raft: change: %s", raft_strerror(status));
}

static unsigned
find(const struct raft *r, uint32_t id)
{
	unsigned i;

	for (i = 0; i < r->configuration.n; i++)
		if (r->configuration.servers[i].id == id)
			break;
	return i;
}

/* Notes what libraft said to a request; true if it took it. */
static bool
given(struct raft_changes *c, int rv)
{
	if (rv == 0) {
		c->busy = true;
		return true;
	}
	/* Another change is being committed: the next poll tries again. */
	if (rv != RAFT_CANTCHANGE && rv != RAFT_NOTLEADER)
		finish(c, RES_FAILED, raft_strerror(rv));
	return false;
}

/* Whether the stand-by is near enough; ends the wish if it doesn't move. */
static bool
caught_up(struct raft_changes *c, struct raft *r, unsigned i, uint64_t now)
{
	uint64_t match = r->leader_state.progress[i].match_index;

	if (c->progressed == 0 || match > c->progress) {
		c->progress = match;
		c->progressed = now;
	}
	if (match != 0 && match + CATCH_UP_ENTRIES >= raft_last_index(r))
		return true;
	if (now - c->progressed > STALL_MS)
		finish(c, RES_TIMEOUT, "the server does not catch up");
	return false;
}

static bool
step_add(struct raft_changes *c, struct raft *r, uint32_t id, uint64_t now)
{
	unsigned i = find(r, id);
	char address[16];

	if (i == r->configuration.n) {
		snprintf(address, sizeof(address), "%" PRIu32, id);
		return given(c, raft_add(r, &c->req, id, address, change_cb));
	}
	switch (r->configuration.servers[i].role) {
	case RAFT_SPARE:
		return given(
		    c, raft_assign(r, &c->req, id, RAFT_STANDBY, change_cb));
	case RAFT_STANDBY:
		return caught_up(c, r, i, now) &&
		    given(
			c, raft_assign(r, &c->req, id, RAFT_VOTER, change_cb));
	default:
		finish(c, RES_OK, "");
		return false;
	}
}

static bool
step_remove(struct raft_changes *c, struct raft *r, uint32_t id)
{
	if (find(r, id) == r->configuration.n) {
		finish(c, RES_OK, "");
		return false;
	}
	/* It could not see the change committed: another leader does it. */
	if (id == r->id) {
		finish(
		    c, RES_STATE, "the leader hands over before it is removed");
		return false;
	}
	return given(c, raft_remove(r, &c->req, id, change_cb));
}

bool
raft_changes_poll(struct raft_changes *c, struct raft *r, uint64_t now)
{
	struct wish *w;
	unsigned before;

	while ((w = STAILQ_FIRST(&c->wishes)) != NULL && !c->busy &&
	    r->configuration_uncommitted_index == 0) {
		c->req.data = c;
		before = c->finished;
		if (w->add ? step_add(c, r, w->id, now)
			   : step_remove(c, r, w->id))
			return true;
		if (c->finished == before)
			break; /* it has to wait */
	}
	return false;
}
