/*
 * Membership.
 *
 * Join, on the joining node:
 *   compare (CONTROL_JOIN to any member) -> answer: Raft id, key, members
 *   -> the instance is set aside, an empty one starts -> caught up and a voter
 *   -> the old one is deleted.
 *   Refused, timed out, crashed before that: back to the old one.
 *   (On the member that was asked: admission.c.)
 * Remove: MEMBER_DEL -> the reconciler takes the voter out -> CONTROL_REMOVED
 *   to the removed node, which starts a new life.
 *   A node that goes by its own will first ends its sessions, so that contacts
 *   hear of it at once: afterwards it has no link to say it on.
 */
#include "xmppd/membership.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/admission.h"
#include "xmppd/compare.h"
#include "xmppd/leader.h"
#include "xmppd/links.h"
#include "xmppd/node.h"

#define ASK_MS 5000    /* for the answer to a join */
#define JOIN_MS 30000  /* until a voter */
#define LEAVE_MS 10000 /* until the cluster has let this node go */
#define NO_MAJORITY                                                            \
	"no leader: a majority of the servers has to be reachable to take "    \
	"one out"
#define REFUSED_MS                                                             \
	1000 /* without a leader, and refused: no member any more              \
	      */

enum membership_state {
	MEMBERSHIP_IDLE,
	MEMBERSHIP_ASKING,   /* the join was sent */
	MEMBERSHIP_JOINING,  /* the new instance catches up */
	MEMBERSHIP_DRAINING, /* before LEAVING: sessions are being ended */
	MEMBERSHIP_LEAVING,  /* this node's row is being deleted, or is */
	MEMBERSHIP_WORKING,  /* another command of the store is under way */
};

struct membership {
	struct node *node;
	enum membership_state state;
	uint64_t since; /* ms */
	membership_done done;
	void *arg;
	bool reset; /* DRAINING, LEAVING: for a reset, which always succeeds */
	bool unreached; /* LEAVING: the cluster doesn't know of it */

	/* A life ends in a tick only: never inside a callback of what ends with
	 * it. */
	bool leave_now; /* LEAVING: in the next tick */
	bool admitted;  /* ASKING: answered by `answer` */
	struct join_answer answer;
	struct instance previous; /* JOINING: to go back to */
	char *via;                /* JOINING: the member that was asked */
	bool retried;             /* ASKING: with another identity */

	uint64_t refused; /* ms, since when; 0: not */
	bool removed;     /* because it was taken out */
	char *refusal;
};

static const char *const state_texts[] = {
	[MEMBERSHIP_IDLE] = NULL,
	[MEMBERSHIP_ASKING] = "asking to join",
	[MEMBERSHIP_JOINING] = "joining: catching up with the cluster",
	[MEMBERSHIP_DRAINING] = "leaving the cluster",
	[MEMBERSHIP_LEAVING] = "leaving the cluster",
	[MEMBERSHIP_WORKING] = "changing the list of members",
};

const char *
membership_progress(const struct membership *m)
{
	return state_texts[m->state];
}

static void
set_state(struct membership *m, enum membership_state state)
{
	m->state = state;
	m->since = clock_ms();
}

/* Ends the operation. */
static void finish(struct membership *m, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
finish(struct membership *m, int code, const char *fmt, ...)
{
	membership_done done = m->done;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	set_state(m, MEMBERSHIP_IDLE);
	m->done = NULL;
	m->reset = m->retried = m->leave_now = m->unreached = false;
	free(m->via);
	m->via = NULL;
	node_undrain(m->node);
	log_info("membership: %s", text);
	if (done != NULL)
		done(m->arg, code, text);
	free(text);
}

static void
forget_refusal(struct membership *m)
{
	m->refused = 0;
	m->removed = false;
	free(m->refusal);
	m->refusal = NULL;
}

static bool
begin(struct membership *m, enum membership_state state, membership_done done,
    void *arg)
{
	if (m->state != MEMBERSHIP_IDLE) {
		done(arg, RES_STATE,
		    "another change of the cluster is under "
		    "way on this node: try again later");
		return false;
	}
	set_state(m, state);
	m->done = done;
	m->arg = arg;
	return true;
}

static void
submit(struct membership *m, struct buf *command, proposer_done done)
{
	proposer_submit(
	    m->node->proposer, command->data, command->len, done, m);
	buf_clear(command);
}

/* ---- another life ------------------------------------------------------ */

static int
reopen(struct node *n, struct error *e)
{
	int rc = instance_save(n->daemon->root, &n->instance, e);

	if (rc == RES_OK)
		rc = node_open(n, e);
	if (rc == RES_OK && node_apply(n, e) != RES_OK)
		log_err("node: %s", e->text);
	return rc;
}

static void
domain_kept_cb(void *arg, const struct proposer_result *result)
{
	(void)arg;
	if (result->code != RES_OK)
		log_err("membership: the domain could not be kept: set it "
			"again with 'xmpp domain'");
}

/* Standalone, disabled, empty; the domain stays. */
static int
start_over(struct membership *m, struct error *e)
{
	struct node *n = m->node;
	uint64_t old = n->instance.number;
	char *domain = n->domain != NULL ? xstrdup(n->domain) : NULL;
	struct buf command = { 0 };
	int rc;

	conf_set_bool(n->conf, SET_ENABLED, false);
	conf_set_bool(n->conf, SET_CLUSTERED, false);
	rc = conf_commit(n->conf, e);
	if (rc != RES_OK) {
		free(domain);
		return rc;
	}
	node_close(n, 0);
	instance_found(&n->instance);
	if (reopen(n, e) != RES_OK)
		fatalx("membership: %s", e->text);
	instance_delete(n->daemon->root, old);
	if (domain != NULL) {
		store_cmd_setting(&command, SHARED_DOMAIN, domain);
		submit(m, &command, domain_kept_cb);
	}
	free(domain);
	forget_refusal(m);
	return RES_OK;
}

/* ---- initialize -------------------------------------------------------- */

static void
initialized_cb(void *arg, const struct proposer_result *result)
{
	struct membership *m = arg;

	if (result->code != RES_OK)
		finish(m, result->code, "cluster not made: %s",
		    result_text(result->code));
	else
		finish(m, RES_OK,
		    "Cluster initialized, this server is its first member");
}

static void
cluster_set_cb(void *arg, const struct proposer_result *result)
{
	struct membership *m = arg;
	struct store_member row;
	struct buf command = { 0 };
	struct error e;

	if (result->code != RES_OK) {
		initialized_cb(m, result);
		return;
	}
	if (node_self_row(m->node, &row, &e) != RES_OK) {
		finish(m, e.code, "%s", e.text);
		return;
	}
	store_cmd_member_put(&command, &row);
	store_member_clear(&row);
	submit(m, &command, initialized_cb);
}

void
membership_initialize(struct membership *m, membership_done done, void *arg)
{
	struct node *n = m->node;
	struct buf command = { 0 };
	struct store_member row;
	struct error e;
	char hex[33];

	if (node_is_member(n)) {
		done(arg, RES_STATE,
		    "this node is already a member of a cluster");
		return;
	}
	if (node_self_row(n, &row, &e) != RES_OK) {
		done(arg, e.code, e.text);
		return;
	}
	store_member_clear(&row);
	if (!begin(m, MEMBERSHIP_WORKING, done, arg))
		return;
	crypto_hex(n->instance.cluster, sizeof(n->instance.cluster), hex);
	store_cmd_setting(&command, SHARED_CLUSTER, hex);
	submit(m, &command, cluster_set_cb);
}

/* ---- join: the node that wants in -------------------------------------- */

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
	if (reopen(n, &e) != RES_OK)
		fatalx("membership: %s", e.text);
	instance_delete(n->daemon->root, failed);
	finish(m, RES_FAILED, "not joined: %s; this server is as it was", why);
}

static void
join_done(struct membership *m)
{
	struct node *n = m->node;
	uint64_t old = m->previous.number;
	struct error e;
	char *via = xstrdup(m->via);

	forget_refusal(m);
	n->instance.previous = 0;
	if (instance_save(n->daemon->root, &n->instance, &e) != RES_OK) {
		n->instance.previous = old;
		join_failed(m, e.text);
		free(via);
		return;
	}
	instance_delete(n->daemon->root, old);
	node_reload(n);
	finish(m, RES_OK, "Joined the cluster through %s", via);
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
	set_state(m, MEMBERSHIP_JOINING);
	if (reopen(n, &e) != RES_OK) {
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
		finish(m, code, "%s unreachable (%s)", m->via, why);
		return;
	}
	if (join_answer_decode(msg, len, &a) != RES_OK) {
		finish(m, RES_FAILED,
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
		finish(m, a.code, "%s", a.text);
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
		finish(m, e.code, "%s", e.text);
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
	if (!begin(m, MEMBERSHIP_ASKING, done, arg))
		return;
	m->via = xstrdup(address);
	ask(m);
}

/* ---- remove and reset -------------------------------------------------- */

static void
left(struct membership *m)
{
	char *address = node_address(m->node, NULL);
	bool reset = m->reset, unreached = m->unreached;
	struct error e;

	/* What is still under way ends with this life, and has no say. */
	set_state(m, MEMBERSHIP_WORKING);
	if (start_over(m, &e) != RES_OK)
		finish(m, e.code, "%s", e.text);
	else if (unreached)
		finish(m, RES_OK,
		    "XMPP server reset; its cluster could not be reached: run "
		    "'xmpp cluster remove %s' on a remaining server",
		    address != NULL ? address : "<address>");
	else if (reset)
		finish(m, RES_OK, "XMPP server reset");
	else
		finish(m, RES_OK,
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
		finish(m, result->code, NO_MAJORITY);
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
	set_state(m, MEMBERSHIP_LEAVING);
	store_cmd_member_del(&command, m->node->instance.identity);
	submit(m, &command, row_deleted_cb);
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
		finish(m, result->code,
		    result->code == RES_NOT_FOUND ? "not a member"
						  : NO_MAJORITY);
		return;
	}
	if (!sole) {
		finish(m, RES_OK, "Removed from the cluster");
		return;
	}
	conf_set_bool(m->node->conf, SET_ENABLED, false);
	conf_set_bool(m->node->conf, SET_CLUSTERED, false);
	if (conf_commit(m->node->conf, &e) != RES_OK ||
	    node_apply(m->node, &e) != RES_OK)
		log_err("membership: %s", e.text);
	finish(m, RES_OK,
	    "The cluster of this one server is no more; it is "
	    "standalone and disabled, and keeps its data");
}

static const struct store_member *
find_member(const struct node *n, const char *name)
{
	char *with_port;
	const struct store_member *found = NULL;

	xasprintf(&with_port, "%s:5222", name);
	for (size_t i = 0; i < n->member_count && found == NULL; i++) {
		const struct store_member *row = &n->members[i];

		if (strcasecmp(row->address, name) == 0 ||
		    strcasecmp(row->address, with_port) == 0 ||
		    (row->host != NULL && strcasecmp(row->host, name) == 0))
			found = row;
	}
	free(with_port);
	return found;
}

static void
remove_self(struct membership *m, membership_done done, void *arg)
{
	if (m->node->leader_id == 0)
		done(arg, RES_NO_LEADER, NO_MAJORITY);
	else if (begin(m, MEMBERSHIP_DRAINING, done, arg))
		leave(m);
}

void
membership_remove(
    struct membership *m, const char *member, membership_done done, void *arg)
{
	struct node *n = m->node;
	const struct store_member *row =
	    member == NULL ? node_self(n) : find_member(n, member);
	struct buf command = { 0 };

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
	if (row == node_self(n) && n->member_count > 1) {
		remove_self(m, done, arg);
		return;
	}
	if (!begin(m, MEMBERSHIP_WORKING, done, arg))
		return;
	store_cmd_member_del(&command, row->identity);
	submit(m, &command, removed_cb);
}

void
membership_reset(struct membership *m, membership_done done, void *arg)
{
	struct node *n = m->node;
	bool member = node_is_member(n) && n->member_count > 1;

	if (!begin(m, member ? MEMBERSHIP_DRAINING : MEMBERSHIP_LEAVING, done,
		arg))
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
		finish(m, RES_TIMEOUT,
		    "not removed: the cluster did not answer in time");
		return;
	}
	m->unreached = member;
	left(m);
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
	set_state(m, MEMBERSHIP_LEAVING);
	m->leave_now = true;
}

void
membership_request(struct membership *m, uint32_t from, const char *peer,
    uint64_t token, const void *msg, size_t len)
{
	(void)from;
	if (*(const uint8_t *)msg == CONTROL_JOIN)
		admission_request(m->node, peer, token, msg, len);
	else
		request_removed(m, token, msg, len);
}

void
membership_refused(struct membership *m, bool removed, const char *why)
{
	m->removed |= removed;
	if (m->refused != 0)
		return;
	m->refused = clock_ms();
	m->refusal = xstrdup(why);
	log_warn("membership: refused by the cluster: %s", why);
}

const char *
membership_refusal(const struct membership *m)
{
	return m->refusal;
}

bool
membership_is_settled(const struct membership *m)
{
	return m->state != MEMBERSHIP_JOINING &&
	    m->state != MEMBERSHIP_DRAINING && m->state != MEMBERSHIP_LEAVING &&
	    m->node->instance.previous == 0;
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
membership_tick(struct membership *m, uint64_t now)
{
	struct node *n = m->node;

	if (m->state == MEMBERSHIP_JOINING)
		tick_joining(m, now);
	else if (m->state == MEMBERSHIP_ASKING && m->admitted)
		join_admitted(m);
	else if (m->state == MEMBERSHIP_LEAVING && m->leave_now)
		left(m);
	else if (m->state == MEMBERSHIP_LEAVING && now - m->since > LEAVE_MS)
		leave_late(m);
	else if (m->state == MEMBERSHIP_LEAVING && m->refused != 0 &&
	    !node_is_member(n))
		left(m);
	else if (m->state == MEMBERSHIP_IDLE && m->removed &&
	    n->leader_id == 0 && now - m->refused > REFUSED_MS)
		left(m); /* taken out while it was away */
	if (n->leader_id != 0)
		forget_refusal(m);
}

struct membership *
membership_new(struct node *n)
{
	struct membership *m = xcalloc(1, sizeof(*m));

	m->node = n;
	return m;
}

void
membership_free(struct membership *m)
{
	if (m == NULL)
		return;
	if (m->admitted)
		join_answer_clear(&m->answer);
	free(m->via);
	free(m->refusal);
	free(m);
}
