/*
 * The reconciler.
 *
 *   a voter that has no row -> removed (a leader hands over first) -> told
 *   a row without a voter   -> added, caught up, a voter
 *   this node's row isn't as it should be -> proposed
 *   ... and the leader doesn't find it    -> a member is asked to propose
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
#define MOVED_MS 500
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
	bool proposing; /* this node's own row */
	uint64_t asked; /* ms: a member was told of a new address */
	size_t asked_at;
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

static void
moved_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	(void)arg, (void)code, (void)why, (void)msg, (void)len;
}

/*
 * A node whose address has changed is looked for where it was: it hears of no
 * leader, and can't propose. It tells the other members in turn; one that knows
 * the leader proposes its row.
 */
static void
tell_members(struct reconciler *r, uint64_t now)
{
	struct node *n = r->node;
	const struct store_member *row = node_self(n), *to;
	struct store_member self;
	struct buf b = { 0 };

	if (row == NULL || n->leader_id != 0 || now - r->asked < MOVED_MS ||
	    !membership_is_settled(n->membership) ||
	    node_self_row(n, &self, NULL) != RES_OK)
		return;
	r->asked = now;
	to = &n->members[r->asked_at++ % n->member_count];
	if (strcmp(self.address, row->address) != 0 &&
	    to->raft_id != row->raft_id) {
		buf_add_u8(&b, CONTROL_MOVED);
		buf_add_text(&b, self.host);
		buf_add_text(&b, self.address);
		peers_request(n->peers, to->raft_id, NULL, b.data, b.len,
		    TELL_MS, moved_cb, NULL);
		buf_clear(&b);
	}
	store_member_clear(&self);
}

static void
moved_proposed_cb(void *arg, const struct proposer_result *result)
{
	(void)arg, (void)result; /* it tells again until it hears the leader */
}

/* Whether another member has that address: it can't have moved there. */
static bool
is_taken(const struct node *n, const char *address, uint32_t except)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (n->members[i].raft_id != except &&
		    strcmp(n->members[i].address, address) == 0)
			return true;
	return false;
}

void
reconciler_moved(struct reconciler *r, uint32_t from, uint64_t token,
    const void *msg, size_t len)
{
	struct node *n = r->node;
	const struct store_member *row = node_member(n, from);
	struct buf command = { 0 };
	struct store_member now;
	struct cursor c;

	peers_answer(n->peers, token, NULL, 0);
	if (row == NULL || n->leader_id == 0)
		return;
	now = *row;
	cursor_init(&c, msg, len);
	(void)cursor_u8(&c);
	now.host = cursor_dup_text(&c);
	now.address = cursor_dup_text(&c);
	if (cursor_done(&c) && now.host != NULL && now.address != NULL &&
	    strcmp(now.address, row->address) != 0 &&
	    !is_taken(n, now.address, from)) {
		log_info(
		    "membership: %s is at %s now", row->address, now.address);
		store_cmd_member_swap(&command, &now);
		reconciler_submit(r, &command, moved_proposed_cb);
	}
	free(now.host);
	free(now.address);
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
	tell_members(r, now);
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
