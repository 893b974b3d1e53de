/*
 * The reconciler.
 *
 *   a voter that has no row -> removed (a leader hands over first) -> told
 *   a row without a voter   -> added, caught up, a voter
 *   this node's row isn't as it should be -> proposed
 */
#include "xmppd/reconciler.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/membership.h"
#include "xmppd/node.h"

#define RECONCILE_MS 100
#define TELL_MS 5000
#define DEPARTED_MAX 16

struct departed {
	uint32_t raft_id;
	uint8_t identity[16];
	char *address;
};

struct reconciler {
	struct node *node;
	uint64_t reconciled; /* ms */
	bool changing;       /* a change of Raft's configuration is under way */
	uint32_t changing_id;
	bool proposing;                         /* this node's own row */
	struct departed departed[DEPARTED_MAX]; /* to be told, oldest first */
	size_t departed_count;
};

static void
reconciler_submit(struct reconciler *r, struct buf *command, proposer_done done)
{
	proposer_submit(
	    r->node->proposer, command->data, command->len, done, r);
	buf_clear(command);
}

static void
told_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	(void)arg, (void)msg, (void)len;
	if (code != RES_OK)
		log_info("membership: a removed node was not told: %s", why);
}

/* A voter that has left: told, so that it starts a new life. */
static void
tell_departed(struct reconciler *r, uint32_t raft_id)
{
	struct node *n = r->node;
	struct buf b = { 0 };

	for (size_t i = 0; i < r->departed_count; i++) {
		struct departed *d = &r->departed[i];

		if (d->raft_id != raft_id)
			continue;
		buf_add_u8(&b, CONTROL_REMOVED);
		buf_add(&b, d->identity, sizeof(d->identity));
		peers_request(n->peers, 0, d->address, b.data, b.len, TELL_MS,
		    told_cb, NULL);
		buf_clear(&b);
		free(d->address);
		memmove(d, d + 1, (--r->departed_count - i) * sizeof(*d));
		return;
	}
}

static void
gone_cb(void *arg, const struct proposer_result *result)
{
	(void)arg, (void)result; /* without it the mark is dropped later */
}

static void
changed_cb(void *arg, int code, const char *text)
{
	struct reconciler *r = arg;
	struct buf command = { 0 };

	r->changing = false;
	if (code != RES_OK) {
		log_warn("membership: Raft id %u: %s", r->changing_id, text);
		return;
	}
	if (node_member(r->node, r->changing_id) == NULL) {
		store_cmd_raft_id_gone(&command, r->changing_id);
		reconciler_submit(r, &command, gone_cb);
		tell_departed(r, r->changing_id);
	}
}

/* One step towards the member table. */
static void
reconcile(struct reconciler *r)
{
	struct node *n = r->node;
	uint32_t self = n->instance.raft_id;

	if (r->changing || !node_is_leader(n) || n->member_count == 0)
		return;
	for (size_t i = 0; i < n->voter_count; i++) {
		if (node_member(n, n->voters[i]) != NULL)
			continue;
		r->changing = true;
		r->changing_id = n->voters[i];
		/* A leader that is to go hands over, and is taken out. */
		if (n->voters[i] == self)
			raft_node_transfer(n->raft, 0, changed_cb, r);
		else
			raft_node_remove(n->raft, n->voters[i], changed_cb, r);
		return;
	}
	for (size_t i = 0; i < n->member_count; i++) {
		if (node_is_voter(n, n->members[i].raft_id))
			continue;
		r->changing = true;
		r->changing_id = n->members[i].raft_id;
		raft_node_add(n->raft, r->changing_id, changed_cb, r);
		return;
	}
}

static void
proposed_cb(void *arg, const struct proposer_result *result)
{
	struct reconciler *r = arg;

	r->proposing = false;
	if (result->code == RES_DIFFERS)
		membership_refused(r->node->membership, false,
		    "a newer start of this node is known: "
		    "it is a copy of one");
}

/* Says which start this is, and where this node is to be found now. */
static void
tell_self(struct reconciler *r)
{
	struct node *n = r->node;
	const struct store_member *row = node_self(n);
	struct buf command = { 0 };
	struct store_member now;

	if (row == NULL || r->proposing || n->leader_id == 0 ||
	    !membership_is_settled(n->membership))
		return;
	if (row->boot < n->instance.boot) {
		store_cmd_member_boot(
		    &command, n->instance.identity, n->instance.boot);
	} else if (node_self_row(n, &now, NULL) == RES_OK) {
		if (strcmp(now.address, row->address) != 0 ||
		    !str_equal(now.host, row->host))
			store_cmd_member_swap(&command, &now);
		store_member_clear(&now);
	}
	if (command.len == 0)
		return;
	r->proposing = true;
	reconciler_submit(r, &command, proposed_cb);
}

void
reconciler_departs(struct reconciler *r, const struct store_member *row)
{
	struct departed *d;

	if (row->raft_id == r->node->instance.raft_id)
		return;
	if (r->departed_count == DEPARTED_MAX) {
		free(r->departed[0].address);
		memmove(r->departed, r->departed + 1,
		    --r->departed_count * sizeof(*r->departed));
	}
	d = &r->departed[r->departed_count++];
	d->raft_id = row->raft_id;
	d->address = xstrdup(row->address);
	memcpy(d->identity, row->identity, sizeof(d->identity));
}

void
reconciler_wake(struct reconciler *r)
{
	r->reconciled = 0;
}

void
reconciler_tick(struct reconciler *r, uint64_t now)
{
	if (now - r->reconciled < RECONCILE_MS)
		return;
	r->reconciled = now;
	reconcile(r);
	tell_self(r);
}

void
reconciler_forget(struct reconciler *r)
{
	for (size_t i = 0; i < r->departed_count; i++)
		free(r->departed[i].address);
	r->departed_count = 0;
	r->changing = r->proposing = false;
}

struct reconciler *
reconciler_new(struct node *n)
{
	struct reconciler *r = xcalloc(1, sizeof(*r));

	r->node = n;
	return r;
}

void
reconciler_free(struct reconciler *r)
{
	if (r == NULL)
		return;
	reconciler_forget(r);
	free(r);
}
