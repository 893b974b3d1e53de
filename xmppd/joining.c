/*
 * Joining, on the node that wants in:
 *   compare (CONTROL_JOIN to any member) -> answer: Raft id, key, members
 *   -> the instance is set aside, an empty one starts -> caught up and a voter
 *   -> the old one is deleted.
 *   Refused, timed out, crashed before that: back to the old one.
 */
#include "xmppd/membership_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/node.h"

#define ASK_MS 5000   /* for the answer to a join */
#define JOIN_MS 30000 /* until a voter */

static void ask(struct membership *m);

/* Ends the new instance and goes back to the old. */
static void
join_failed(struct membership *m, const char *why)
{
	struct node *n = m->node;
	uint64_t failed = n->instance.number;
	struct error e;

	node_close(n, 0);
	n->instance = m->previous;
	if (membership_reopen(n, &e) != RES_OK)
		fatalx("membership: %s", e.text);
	instance_delete(n->daemon->root, failed);
	membership_finish(
	    m, RES_FAILED, "not joined: %s; this server is as it was", why);
}

static void
join_done(struct membership *m)
{
	struct node *n = m->node;
	uint64_t old = m->previous.number;
	struct error e;
	char *via = xstrdup(m->via);

	membership_forget_refusal(m);
	n->instance.previous = 0;
	if (instance_save(n->daemon->root, &n->instance, &e) != RES_OK) {
		n->instance.previous = old;
		join_failed(m, e.text);
		free(via);
		return;
	}
	instance_delete(n->daemon->root, old);
	node_reload(n);
	membership_finish(m, RES_OK, "Joined the cluster through %s", via);
	free(via);
}

/* Let in: a new instance under the name that the cluster gave. */
static void
join_start(struct membership *m, struct join_answer *a)
{
	struct node *n = m->node;
	struct error e;

	m->previous = n->instance;
	node_close(n, 0);
	n->instance.previous = m->previous.number;
	n->instance.number++;
	n->instance.raft_id = a->raft_id;
	n->instance.founder = false;
	n->instance.born = false;
	memcpy(n->instance.key, a->key, sizeof(a->key));
	memcpy(n->instance.cluster, a->cluster, sizeof(a->cluster));
	n->members = a->members;
	n->member_count = a->member_count;
	n->domain = a->domain;
	a->members = NULL;
	a->domain = NULL;
	a->member_count = 0;
	membership_set_state(m, MEMBERSHIP_JOINING);
	if (membership_reopen(n, &e) != RES_OK) {
		if (n->store == NULL && node_open(n, &e) != RES_OK)
			fatalx("membership: %s", e.text);
		join_failed(m, e.text);
	}
}

static void
join_answered_cb(
    void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct membership *m = arg;
	struct join_answer a;

	if (m->state != MEMBERSHIP_ASKING)
		return;
	if (code != RES_OK) {
		membership_finish(m, code, "%s unreachable (%s)", m->via, why);
		return;
	}
	if (join_answer_decode(msg, len, &a) != RES_OK) {
		membership_finish(m, RES_FAILED,
		    "%s gave no answer that makes sense: is "
		    "it of the same version?",
		    m->via);
		return;
	}
	if (a.code == RES_EXISTS && !m->retried) {
		/* A member with this identity is alive: this is its clone. */
		m->retried = true;
		crypto_random(m->node->instance.identity,
		    sizeof(m->node->instance.identity));
		log_warn("membership: %s: a new identity is taken", a.text);
		ask(m);
	} else if (a.code != RES_OK) {
		membership_finish(m, a.code, "%s", a.text);
	} else {
		m->answer = a;
		m->admitted = true;
		return;
	}
	join_answer_clear(&a);
}

static void
ask(struct membership *m)
{
	struct node *n = m->node;
	struct store_member row;
	struct buf b = { 0 };
	struct error e;

	if (node_self_row(n, &row, &e) != RES_OK) {
		membership_finish(m, e.code, "%s", e.text);
		return;
	}
	join_request_encode(&b, &row, n->store, n->domain);
	store_member_clear(&row);
	peers_request(
	    n->peers, 0, m->via, b.data, b.len, ASK_MS, join_answered_cb, m);
	buf_clear(&b);
}

static bool
is_own_address(const struct node *n, const char *address)
{
	char *own = node_address(n, NULL);
	bool same = str_equal(own, address);

	free(own);
	return same;
}

void
membership_join(
    struct membership *m, const char *address, membership_done done, void *arg)
{
	struct node *n = m->node;

	if (node_is_member(n) && m->refusal == NULL &&
	    (n->member_count > 1 || store_account_count(n->store) > 0 ||
		store_row_count(n->store) > 0)) {
		done(arg, RES_STATE,
		    "this node is already a member of a "
		    "cluster: 'xmpp cluster remove' takes it "
		    "out first");
		return;
	}
	if (is_own_address(n, address)) {
		done(arg, RES_INVALID,
		    "that is this node: give the address of one that is in "
		    "the cluster");
		return;
	}
	if (!membership_begin(m, MEMBERSHIP_ASKING, done, arg))
		return;
	m->via = xstrdup(address);
	ask(m);
}

static void
join_admitted(struct membership *m)
{
	struct join_answer a = m->answer;

	m->admitted = false;
	m->answer = (struct join_answer){ 0 };
	join_start(m, &a);
	join_answer_clear(&a);
}

static void
tick_joining(struct membership *m, uint64_t now)
{
	struct node *n = m->node;

	if (node_is_voter(n, n->instance.raft_id) && node_is_member(n))
		join_done(m);
	else if (now - m->since > JOIN_MS)
		join_failed(m,
		    "this server was not brought in in time: are "
		    "all members reachable on their client port?");
}

void
joining_tick(struct membership *m, uint64_t now)
{
	if (m->state == MEMBERSHIP_JOINING)
		tick_joining(m, now);
	else if (m->state == MEMBERSHIP_ASKING && m->admitted)
		join_admitted(m);
}
