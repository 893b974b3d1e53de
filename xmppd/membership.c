/*
 * Membership: what is under way, another life, and making a cluster. Joining
 * is in joining.c, leaving in leaving.c; on the member that was asked to let
 * somebody in: admission.c.
 */
#include "xmppd/membership_impl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/admission.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/node.h"

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

void
membership_set_state(struct membership *m, enum membership_state state)
{
	m->state = state;
	m->since = clock_ms();
}

void
membership_finish(struct membership *m, int code, const char *fmt, ...)
{
	membership_done done = m->done;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	membership_set_state(m, MEMBERSHIP_IDLE);
	m->done = NULL;
	m->reset = m->retried = m->leave_now = m->unreached = false;
	free(m->via);
	m->via = NULL;
	m->asked = 0;
	node_undrain(m->node);
	log_info("membership: %s", text);
	if (done != NULL)
		done(m->arg, code, text);
	free(text);
}

void
membership_forget_refusal(struct membership *m)
{
	m->refused = 0;
	m->removed = false;
	free(m->refusal);
	m->refusal = NULL;
}

bool
membership_begin(struct membership *m, enum membership_state state,
    membership_done done, void *arg)
{
	if (m->state != MEMBERSHIP_IDLE) {
		done(arg, RES_STATE,
		    "another change of the cluster is under "
		    "way on this node: try again later");
		return false;
	}
	membership_set_state(m, state);
	m->done = done;
	m->arg = arg;
	return true;
}

void
membership_submit(struct membership *m, struct buf *command, proposer_done done)
{
	proposer_submit(
	    m->node->proposer, command->data, command->len, done, m);
	buf_clear(command);
}

/* ---- another life ------------------------------------------------------ */

int
membership_reopen(struct node *n, struct error *e)
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
int
membership_start_over(struct membership *m, struct error *e)
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
	if (membership_reopen(n, e) != RES_OK)
		fatalx("membership: %s", e->text);
	instance_delete(n->daemon->root, old);
	if (domain != NULL) {
		store_cmd_setting(&command, SHARED_DOMAIN, domain);
		membership_submit(m, &command, domain_kept_cb);
	}
	free(domain);
	membership_forget_refusal(m);
	return RES_OK;
}

/* ---- initialize -------------------------------------------------------- */

static void
initialized_cb(void *arg, const struct proposer_result *result)
{
	struct membership *m = arg;

	if (result->code != RES_OK)
		membership_finish(m, result->code, "cluster not made: %s",
		    result_text(result->code));
	else
		membership_finish(m, RES_OK,
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
		membership_finish(m, e.code, "%s", e.text);
		return;
	}
	store_cmd_member_put(&command, &row);
	store_member_clear(&row);
	membership_submit(m, &command, initialized_cb);
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
	if (!membership_begin(m, MEMBERSHIP_WORKING, done, arg))
		return;
	crypto_hex(n->instance.cluster, sizeof(n->instance.cluster), hex);
	store_cmd_setting(&command, SHARED_CLUSTER, hex);
	membership_submit(m, &command, cluster_set_cb);
}

void
membership_request(struct membership *m, uint32_t from, const char *peer,
    uint64_t token, const void *msg, size_t len)
{
	(void)from;
	if (*(const uint8_t *)msg == CONTROL_JOIN)
		admission_request(m->node, peer, token, msg, len);
	else
		leaving_request(m, token, msg, len);
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

void
membership_tick(struct membership *m, uint64_t now)
{
	joining_tick(m, now);
	leaving_tick(m, now);
	if (m->node->leader_id != 0)
		membership_forget_refusal(m);
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
