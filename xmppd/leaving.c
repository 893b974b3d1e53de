/*
 * Leaving:
 *   MEMBER_DEL -> the reconciler takes the voter out -> CONTROL_REMOVED to the
 *   removed node, which starts a new life.
 *   A node that is about to leave first ends its sessions, so that contacts
 *   hear of it at once: afterwards it has no link to say it on. Another one is
 *   asked to (CONTROL_DRAIN), and serves again if it is a member after that.
 */
#include "xmppd/membership_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/node.h"

#define LEAVE_MS 10000 /* until the cluster has let this node go */
#define REFUSED_MS                                                             \
	1000            /* without a leader, and refused: no member any more   \
			 */
#define DRAIN_MS 1500   /* until another node has ended its sessions */
#define DRAINED_MS 5000 /* until it is out */
#define TROUBLES_MAX 64
#define NO_MAJORITY                                                            \
	"no leader: a majority of the servers has to be reachable to take "    \
	"one out"

static void
left(struct membership *m)
{
	char *address = node_address(m->node, NULL);
	bool reset = m->reset, unreached = m->unreached;
	struct error e;

	/* What is still under way ends with this life, and has no say. */
	membership_set_state(m, MEMBERSHIP_WORKING);
	if (membership_start_over(m, &e) != RES_OK)
		membership_finish(m, e.code, "%s", e.text);
	else if (unreached)
		membership_finish(m, RES_OK,
		    "XMPP server reset; its cluster could not be reached: run "
		    "'xmpp cluster remove %s' on a remaining server",
		    address != NULL ? address : "<address>");
	else if (reset)
		membership_finish(m, RES_OK, "XMPP server reset");
	else
		membership_finish(m, RES_OK,
		    "Removed from the cluster; this server is standalone and "
		    "disabled");
	free(address);
}

/* The row is gone: wait until the cluster says that the voter is too. */
static void
row_deleted_cb(void *arg, const struct proposer_result *result)
{
	struct membership *m = arg;

	if (m->state != MEMBERSHIP_LEAVING || result->code == RES_OK ||
	    result->code == RES_NOT_FOUND)
		return;
	if (!m->reset) {
		membership_finish(m, result->code, NO_MAJORITY);
		return;
	}
	m->unreached = m->leave_now = true;
}

/* The sessions have ended, as far as the router could be told. */
static void
drained_cb(void *arg)
{
	struct membership *m = arg;
	struct buf command = { 0 };

	if (m->state != MEMBERSHIP_DRAINING)
		return; /* taken out by another meanwhile */
	membership_set_state(m, MEMBERSHIP_LEAVING);
	store_cmd_member_del(&command, m->node->instance.identity);
	membership_submit(m, &command, row_deleted_cb);
}

static void
leave(struct membership *m)
{
	struct node *n = m->node;

	/* Without a leader nobody could be told; and where the process ends,
	 * that drains already. */
	if (n->leader_id == 0 || n->draining)
		drained_cb(m);
	else
		node_drain(n, drained_cb, m);
}

static void
removed_cb(void *arg, const struct proposer_result *result)
{
	struct membership *m = arg;
	bool sole = m->node->member_count == 0;
	struct error e;

	if (result->code != RES_OK) {
		membership_finish(m, result->code,
		    result->code == RES_NOT_FOUND ? "not a member"
						  : NO_MAJORITY);
		return;
	}
	if (!sole) {
		membership_finish(m, RES_OK, "Removed from the cluster");
		return;
	}
	conf_set_bool(m->node->conf, SET_ENABLED, false);
	conf_set_bool(m->node->conf, SET_CLUSTERED, false);
	if (conf_commit(m->node->conf, &e) != RES_OK ||
	    node_apply(m->node, &e) != RES_OK)
		log_err("membership: %s", e.text);
	membership_finish(m, RES_OK,
	    "The cluster of this one server is no more; it is "
	    "standalone and disabled, and keeps its data");
}

/* By its address, with or without the usual port, or its name, with or without
 * the domain. */
static bool
is_called(
    const struct node *n, const struct store_member *row, const char *name)
{
	char *with_port, *with_domain;
	bool is;

	xasprintf(&with_port,
	    strchr(name, ':') != NULL ? "[%s]:5222" : "%s:5222", name);
	xasprintf(&with_domain, "%s.%s", row->host != NULL ? row->host : "",
	    n->domain != NULL ? n->domain : "");
	is = strcasecmp(row->address, name) == 0 ||
	    strcasecmp(row->address, with_port) == 0 ||
	    (row->host != NULL &&
		(strcasecmp(row->host, name) == 0 ||
		    strcasecmp(with_domain, name) == 0));
	free(with_port);
	free(with_domain);
	return is;
}

static const struct store_member *
find_member(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (is_called(n, &n->members[i], name))
			return &n->members[i];
	return NULL;
}

static bool
is_reachable(const struct node *n, uint32_t raft_id)
{
	struct peer_trouble list[TROUBLES_MAX];
	size_t count = peers_troubles(n->peers, list, TROUBLES_MAX);

	for (size_t i = 0; i < count; i++)
		if (list[i].node == raft_id && list[i].since != 0)
			return false;
	return true;
}

static void
remove_row(struct membership *m)
{
	struct buf command = { 0 };

	store_cmd_member_del(&command, m->removing);
	membership_submit(m, &command, removed_cb);
}

/* Who doesn't answer has no sessions to end, or nobody to tell. */
static void
other_drained_cb(
    void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct membership *m = arg;

	(void)msg, (void)len;
	if (code != RES_OK)
		log_info("membership: before its removal: %s", why);
	if (m->node->proposer == NULL)
		membership_finish(m, RES_FAILED, "this server ends");
	else
		remove_row(m);
}

static void
remove_other(struct membership *m, const struct store_member *row)
{
	struct node *n = m->node;
	uint8_t msg = CONTROL_DRAIN;

	memcpy(m->removing, row->identity, sizeof(m->removing));
	if (row != node_self(n) && n->leader_id != 0 &&
	    is_reachable(n, row->raft_id))
		peers_request(n->peers, row->raft_id, NULL, &msg, 1, DRAIN_MS,
		    other_drained_cb, m);
	else
		remove_row(m);
}

void
membership_remove(
    struct membership *m, const char *member, membership_done done, void *arg)
{
	struct node *n = m->node;
	const struct store_member *row =
	    member == NULL ? node_self(n) : find_member(n, member);
	bool self;

	if (node_self(n) == NULL) {
		done(arg, RES_STATE, "this node is not a member of a cluster");
		return;
	}
	if (row == NULL) {
		struct error e;

		error_set(&e, RES_NOT_FOUND,
		    "%s is not in the list of peers: "
		    "'xmpp cluster status' shows it",
		    member);
		done(arg, e.code, e.text);
		return;
	}
	self = row == node_self(n) && n->member_count > 1;
	if (!membership_begin(
		m, self ? MEMBERSHIP_DRAINING : MEMBERSHIP_WORKING, done, arg))
		return;
	if (self)
		leave(m);
	else
		remove_other(m, row);
}

void
membership_reset(struct membership *m, membership_done done, void *arg)
{
	struct node *n = m->node;
	bool member = node_is_member(n) && n->member_count > 1;

	if (!membership_begin(m,
		member ? MEMBERSHIP_DRAINING : MEMBERSHIP_LEAVING, done, arg))
		return;
	m->reset = true;
	if (member)
		leave(m);
	else
		m->leave_now = true;
}

/* The cluster didn't say in time that this node is out. */
static void
leave_late(struct membership *m)
{
	bool member = node_is_member(m->node);

	if (member && !m->reset) {
		membership_finish(m, RES_TIMEOUT,
		    "not removed: the cluster did not answer in time");
		return;
	}
	m->unreached = member;
	left(m);
}

static void
asked_drained_cb(void *arg)
{
	struct membership *m = arg;
	uint8_t ok = 1;

	/* In another life nobody has asked. */
	if (m->asked != 0)
		peers_answer(m->node->peers, m->asked_token, &ok, 1);
}

static void
request_drain(struct membership *m, uint64_t token)
{
	struct node *n = m->node;
	uint8_t ok = 1;

	if (m->state != MEMBERSHIP_IDLE || n->draining ||
	    n->instance.previous != 0) {
		peers_answer(n->peers, token, &ok, 1);
		return;
	}
	log_info("membership: the cluster is about to remove this server");
	m->asked = clock_ms();
	m->asked_token = token;
	node_drain(n, asked_drained_cb, m);
}

static void
request_removed(
    struct membership *m, uint64_t token, const void *msg, size_t len)
{
	struct node *n = m->node;
	const uint8_t *bytes = msg;
	bool mine = len == 1 + sizeof(n->instance.identity) &&
	    memcmp(bytes + 1, n->instance.identity,
		sizeof(n->instance.identity)) == 0 &&
	    n->instance.previous == 0;
	uint8_t ok = 1;

	peers_answer(n->peers, token, &ok, 1);
	if (!mine ||
	    (m->state != MEMBERSHIP_IDLE && m->state != MEMBERSHIP_DRAINING &&
		m->state != MEMBERSHIP_LEAVING))
		return;
	log_info("membership: the cluster has removed this server");
	membership_set_state(m, MEMBERSHIP_LEAVING);
	m->leave_now = true;
}

void
leaving_request(
    struct membership *m, uint64_t token, const void *msg, size_t len)
{
	if (*(const uint8_t *)msg == CONTROL_DRAIN)
		request_drain(m, token);
	else
		request_removed(m, token, msg, len);
}

void
leaving_tick(struct membership *m, uint64_t now)
{
	const struct node *n = m->node;

	if (m->state == MEMBERSHIP_LEAVING && m->leave_now)
		left(m);
	else if (m->state == MEMBERSHIP_LEAVING && now - m->since > LEAVE_MS)
		leave_late(m);
	else if (m->state == MEMBERSHIP_LEAVING && m->refused != 0 &&
	    !node_is_member(n))
		left(m);
	else if (m->state == MEMBERSHIP_IDLE && m->removed &&
	    n->leader_id == 0 && now - m->refused > REFUSED_MS)
		left(m); /* taken out while it was away */
	else if (m->state == MEMBERSHIP_IDLE && m->asked != 0 &&
	    now - m->asked > DRAINED_MS) {
		log_warn("membership: not removed after all: serves again");
		m->asked = 0;
		node_undrain(m->node);
	}
}
