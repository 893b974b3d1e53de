/*
 * Edge and router, joined.
 *
 * In this process both directions are byte queues, emptied by one event that is
 * activated with the first message and runs after the reads of the same turn:
 * what a wake-up brought is routed together.
 */
#include "xmppd/links.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/leader.h"
#include "xmppd/link/frame.h"
#include "xmppd/node.h"

#define LEASE_RETRY_MS 5
#define NODES_MAX 64

/* A queue of messages: node, length, bytes. */
struct queue {
	struct buf data;
};

/* Another node's edge, on the leader. */
struct remote {
	uint32_t node;
	bool opened; /* LINK_OPEN was sent under this router */
};

struct links {
	struct node *node;
	struct event *pump, *retry;
	struct queue to_router, to_edge;
	struct buf batch; /* the one that is being emptied */
	uint32_t leader;  /* whom the edge is linked to; 0: nobody */
	bool local_open, remote_open;
	bool pumping;
	struct remote remotes[NODES_MAX];
	size_t remote_count;
};

static void
queue_add(struct queue *q, uint32_t node, const void *msg, size_t len)
{
	buf_add(&q->data, &node, sizeof(node));
	buf_add(&q->data, &len, sizeof(len));
	buf_add(&q->data, msg, len);
}

/* The next message of a batch; false at its end. */
static bool
batch_next(const struct buf *batch, size_t *at, uint32_t *node,
    const uint8_t **msg, size_t *len)
{
	if (*at >= batch->len)
		return false;
	memcpy(node, batch->data + *at, sizeof(*node));
	memcpy(len, batch->data + *at + sizeof(*node), sizeof(*len));
	*msg = batch->data + *at + sizeof(*node) + sizeof(*len);
	*at += sizeof(*node) + sizeof(*len) + *len;
	return true;
}

static void
wake(struct links *l)
{
	if (!l->pumping)
		event_active(l->pump, EV_TIMEOUT, 0);
}

static void
remote_drop(struct links *l, uint32_t node)
{
	for (size_t i = 0; i < l->remote_count; i++)
		if (l->remotes[i].node == node) {
			l->remotes[i] = l->remotes[--l->remote_count];
			return;
		}
}

static struct remote *
remote_find(struct links *l, uint32_t node)
{
	for (size_t i = 0; i < l->remote_count; i++)
		if (l->remotes[i].node == node)
			return &l->remotes[i];
	return NULL;
}

static void
send_control(struct links *l, uint32_t node, enum link_control what)
{
	struct buf b = { 0 };

	buf_add_u8(&b, (uint8_t)what);
	buf_add_u64(&b, l->node->term);
	peers_send(l->node->peers, node, PEER_LINK, false, b.data, b.len);
	buf_clear(&b);
}

/* ---- the pump ---------------------------------------------------------- */

static void
route(struct links *l, uint32_t from, const uint8_t *msg, size_t len,
    uint64_t now)
{
	struct node *n = l->node;
	struct router *r = leader_router(n->lead);
	struct remote *remote;

	if (r == NULL)
		return;
	if (from == n->instance.raft_id) {
		if (l->local_open && router_up(r, from, 0, msg, len, now) != 0)
			fatalx("links: the router refused this node's edge");
		return;
	}
	remote = remote_find(l, from);
	if (remote == NULL || !remote->opened ||
	    router_up(r, from, 0, msg, len, now) == 0)
		return;
	log_warn("links: node %u: malformed message, link closed", from);
	remote->opened = false;
	router_link_down(r, from, 0, now);
	send_control(l, from, LINK_CLOSE);
}

static void
retry_later(struct links *l)
{
	struct timeval tv = { 0, LEASE_RETRY_MS * 1000 };

	event_add(l->retry, &tv);
}

/* Empties one queue; false if it has to wait for the lease. */
static bool
pump_up(struct links *l)
{
	struct node *n = l->node;
	uint64_t now = clock_ms();
	struct buf batch = l->to_router.data;
	const uint8_t *msg;
	size_t at = 0, len;
	uint32_t from;

	if (batch.len == 0)
		return true;
	if (leader_router(n->lead) != NULL &&
	    !raft_node_lease(n->raft, n->term, now)) {
		retry_later(l);
		return false;
	}
	l->to_router.data = l->batch;
	buf_reset(&l->to_router.data);
	while (batch_next(&batch, &at, &from, &msg, &len))
		route(l, from, msg, len, now);
	l->batch = batch;
	return true;
}

static void
pump_down(struct links *l)
{
	struct buf batch = l->to_edge.data;
	const uint8_t *msg;
	size_t at = 0, len;
	uint32_t node;

	l->to_edge.data = (struct buf){ 0 };
	while (batch_next(&batch, &at, &node, &msg, &len))
		if (l->local_open &&
		    edge_down(l->node->edge, msg, len) == RES_INVALID)
			fatalx("links: the edge refused this node's router");
	if (l->to_edge.data.data == NULL) {
		buf_reset(&batch);
		l->to_edge.data = batch;
	} else {
		buf_clear(&batch);
	}
}

static void
pump_cb(evutil_socket_t fd, short what, void *arg)
{
	struct links *l = arg;
	bool more = true;

	(void)fd, (void)what;
	l->pumping = true;
	while (more && (l->to_router.data.len > 0 || l->to_edge.data.len > 0)) {
		more = pump_up(l);
		if (l->to_edge.data.len > 0) {
			pump_down(l);
			more = true;
		} else if (l->to_router.data.len == 0) {
			more = false;
		}
	}
	l->pumping = false;
}

/* ---- the edge's side --------------------------------------------------- */

void
links_up(void *arg, const void *msg, size_t len)
{
	struct links *l = arg;
	struct node *n = l->node;

	if (l->local_open) {
		queue_add(&l->to_router, n->instance.raft_id, msg, len);
		wake(l);
	} else if (l->remote_open) {
		peers_send(n->peers, l->leader, PEER_LINK, true, msg, len);
	}
}

/* The edge has given its router up: a new connection, or a new opening. */
void
links_unlink(void *arg)
{
	struct links *l = arg;
	struct node *n = l->node;

	if (l->local_open) {
		l->local_open = false;
		router_link_down(
		    leader_router(n->lead), n->instance.raft_id, 0, clock_ms());
		retry_later(l);
	} else if (l->remote_open) {
		l->remote_open = false;
		peers_want(n->peers, l->leader, PEER_LINK, false);
		peers_want(n->peers, l->leader, PEER_LINK, true);
	}
}

static void
edge_unlinked(struct links *l)
{
	bool was = l->local_open || l->remote_open;

	l->local_open = l->remote_open = false;
	if (was)
		edge_link_down(l->node->edge);
}

void
links_follow(struct links *l, uint32_t leader, uint64_t term)
{
	struct node *n = l->node;
	uint32_t self = n->instance.raft_id;

	edge_set_term(n->edge, term);
	if (leader == l->leader && leader != self)
		return;
	if (l->leader != 0 && l->leader != self && l->leader != leader) {
		peers_want(n->peers, l->leader, PEER_LINK, false);
		peers_want(n->peers, l->leader, PEER_MIRROR, false);
	}
	if (leader != l->leader)
		edge_unlinked(l);
	l->leader = leader;
	if (leader != 0 && leader != self) {
		peers_want(n->peers, leader, PEER_LINK, true);
		peers_want(n->peers, leader, PEER_MIRROR, true);
	}
}

/* ---- the router's side ------------------------------------------------- */

void
links_down(void *arg, uint32_t node, uint32_t edge, const void *msg, size_t len)
{
	struct links *l = arg;

	(void)edge;
	if (node == l->node->instance.raft_id) {
		queue_add(&l->to_edge, node, msg, len);
		wake(l);
	} else {
		peers_send(l->node->peers, node, PEER_LINK, false, msg, len);
	}
}

static void
open_local(struct links *l)
{
	struct node *n = l->node;

	if (l->local_open)
		return;
	buf_reset(&l->to_router.data);
	buf_reset(&l->to_edge.data);
	l->local_open = true;
	router_link_up(
	    leader_router(n->lead), n->instance.raft_id, 0, clock_ms());
	edge_link_up(n->edge, n->term);
}

static void
open_remote(struct links *l, struct remote *remote)
{
	if (remote->opened)
		return;
	remote->opened = true;
	router_link_up(
	    leader_router(l->node->lead), remote->node, 0, clock_ms());
	send_control(l, remote->node, LINK_OPEN);
}

void
links_open(struct links *l)
{
	open_local(l);
	for (size_t i = 0; i < l->remote_count; i++)
		open_remote(l, &l->remotes[i]);
}

void
links_close(struct links *l)
{
	if (l->local_open)
		edge_unlinked(l);
	for (size_t i = 0; i < l->remote_count; i++) {
		if (l->remotes[i].opened)
			send_control(l, l->remotes[i].node, LINK_CLOSE);
		l->remotes[i].opened = false;
	}
	buf_reset(&l->to_router.data);
	buf_reset(&l->to_edge.data);
}

/* ---- the channel ------------------------------------------------------- */

void
links_channel_up(struct links *l, uint32_t node, bool dialled)
{
	struct router *r = leader_router(l->node->lead);

	if (dialled || l->remote_count == NODES_MAX)
		return;
	remote_drop(l, node);
	l->remotes[l->remote_count++] = (struct remote){ .node = node };
	if (r != NULL && router_takes_links(r))
		open_remote(l, &l->remotes[l->remote_count - 1]);
}

void
links_channel_down(struct links *l, uint32_t node, bool dialled)
{
	struct router *r = leader_router(l->node->lead);
	struct remote *remote;

	if (dialled) {
		if (node == l->leader && l->remote_open)
			edge_unlinked(l);
		return;
	}
	remote = remote_find(l, node);
	if (remote != NULL && remote->opened && r != NULL)
		router_link_down(r, node, 0, clock_ms());
	remote_drop(l, node);
}

/* From the leader that this node's edge is linked to. */
static int
from_leader(struct links *l, const uint8_t *msg, size_t len)
{
	struct node *n = l->node;
	struct link_head head;
	struct cursor c;

	cursor_init(&c, msg, len);
	if (link_head_decode(&c, &head) != RES_OK)
		return RES_INVALID;
	if (head.what == LINK_OPEN || head.what == LINK_CLOSE) {
		edge_unlinked(l);
		/* Rule 12 of delivery(7): never under a lower term. */
		if (head.what == LINK_CLOSE ||
		    head.term < raft_node_term(n->raft))
			return RES_OK;
		l->remote_open = true;
		edge_link_up(n->edge, head.term);
		return RES_OK;
	}
	/* What this node has voted for meanwhile counts (rule 12). */
	edge_set_term(n->edge, raft_node_term(n->raft));
	if (!l->remote_open)
		return RES_OK;
	return edge_down(n->edge, msg, len) == RES_INVALID ? RES_INVALID
							   : RES_OK;
}

int
links_message(
    struct links *l, uint32_t node, bool dialled, const void *msg, size_t len)
{
	if (dialled)
		return node == l->leader ? from_leader(l, msg, len) : RES_OK;
	queue_add(&l->to_router, node, msg, len);
	wake(l);
	return RES_OK;
}

static void
retry_cb(evutil_socket_t fd, short what, void *arg)
{
	struct links *l = arg;
	struct router *r = leader_router(l->node->lead);

	(void)fd, (void)what;
	if (r != NULL && router_takes_links(r))
		open_local(l);
	wake(l);
}

struct links *
links_new(struct node *n)
{
	struct links *l = xcalloc(1, sizeof(*l));

	l->node = n;
	l->pump = event_new(n->base, -1, 0, pump_cb, l);
	l->retry = evtimer_new(n->base, retry_cb, l);
	return l;
}

void
links_free(struct links *l)
{
	if (l == NULL)
		return;
	event_free(l->pump);
	event_free(l->retry);
	buf_clear(&l->to_router.data);
	buf_clear(&l->to_edge.data);
	buf_clear(&l->batch);
	free(l);
}
