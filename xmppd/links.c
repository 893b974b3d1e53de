/*
 * Edges and router, joined.
 *
 *   this node's edges -> mail -> pump -> the router, or the leader's LINK
 * channel other nodes' edges -> LINK channel -> mail -> pump -> the router the
 * router -> mail to an edge, or a LINK channel
 *
 * What a turn of the loop brought is routed together, after the reads. Each
 * opening of a link to an edge of this node has a number of its own: mail that
 * an edge wrote for an earlier one is dropped.
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
#include "xmppd/local_edges.h"
#include "xmppd/mailbox.h"
#include "xmppd/node.h"

#define LEASE_RETRY_MS 5
#define NODES_MAX 64
#define REMOTE_EDGES_MAX 64

enum { MAIL_REMOTE = 100 }; /* beside enum local_mail; `of` is the node */

/* One of this node's edges. */
struct local {
	bool open; /* linked to the router here, or to the leader's */
	uint64_t opening;
};

/* Another node's edges, on the leader. */
struct remote {
	uint32_t node;
	bool opened; /* LINK_OPEN was sent under this router */
	uint64_t up; /* edges that the router has a link to, by bits */
};

struct links {
	struct node *node;
	struct event *retry;
	struct mailbox *inbox;
	struct mail_writer *remote_mail; /* to it */
	uint32_t leader;                 /* whom to link to; 0: nobody */
	bool remote_open;                /* the leader has opened the channel */
	struct local locals[LOCAL_EDGES_MAX];
	uint64_t openings;
	struct remote remotes[NODES_MAX];
	size_t remote_count;
	uint64_t now; /* when the pump began its round */
	struct buf scratch;
};

static void
retry_later(struct links *l)
{
	struct timeval tv = { 0, LEASE_RETRY_MS * 1000 };

	event_add(l->retry, &tv);
}

/* ---- this node's edges ------------------------------------------------- */

static uint32_t
locals(const struct links *l)
{
	return local_edges_count(l->node->edges);
}

static void
local_open(struct links *l, uint32_t edge, uint64_t term)
{
	l->locals[edge].open = true;
	l->locals[edge].opening = ++l->openings;
	local_edges_link_up(l->node->edges, edge, l->openings, term);
}

static void
local_close(struct links *l, uint32_t edge)
{
	if (l->locals[edge].open)
		local_edges_link_down(l->node->edges, edge);
	l->locals[edge].open = false;
}

static void
locals_close(struct links *l)
{
	l->remote_open = false;
	for (uint32_t i = 0; i < LOCAL_EDGES_MAX; i++)
		local_close(l, i);
}

/* ---- the channel's bytes ----------------------------------------------- */

static void
channel_send(struct links *l, uint32_t node, bool dialled, uint32_t edge,
    struct text msg)
{
	buf_reset(&l->scratch);
	buf_add_u8(&l->scratch, (uint8_t)edge);
	buf_add(&l->scratch, msg.data, msg.len);
	peers_send(l->node->peers, node, PEER_LINK, dialled, l->scratch.data,
	    l->scratch.len);
}

static void
send_control(struct links *l, uint32_t node, enum link_control what)
{
	struct buf b = { 0 };

	buf_add_u8(&b, (uint8_t)what);
	buf_add_u64(&b, l->node->term);
	channel_send(
	    l, node, false, 0, (struct text){ (const char *)b.data, b.len });
	buf_clear(&b);
}

/* ---- other nodes' edges ------------------------------------------------ */

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
remote_down(struct links *l, struct remote *remote)
{
	struct router *r = leader_router(l->node->lead);

	for (uint32_t i = 0; r != NULL && i < REMOTE_EDGES_MAX; i++)
		if ((remote->up >> i & 1) != 0)
			router_link_down(r, remote->node, i, clock_ms());
	remote->up = 0;
	remote->opened = false;
}

/* A message to the router of this term; RES_INVALID if it can't be one. What
 * was meant for an earlier one is dropped. */
static int
remote_up(struct links *l, struct remote *remote, const struct mail *mail)
{
	struct router *r = leader_router(l->node->lead);
	struct link_head head;
	struct cursor c;
	uint32_t edge;

	cursor_init(&c, mail->msg, mail->len);
	edge = cursor_u8(&c);
	if (edge >= REMOTE_EDGES_MAX || link_head_decode(&c, &head) != RES_OK)
		return RES_INVALID;
	if (head.term < l->node->term)
		return RES_OK;
	if ((remote->up >> edge & 1) == 0)
		router_link_up(r, remote->node, edge, l->now);
	remote->up |= (uint64_t)1 << edge;
	return router_up(r, remote->node, edge, (const uint8_t *)mail->msg + 1,
	    mail->len - 1, l->now);
}

static void
from_remote(struct links *l, const struct mail *mail)
{
	struct remote *remote = remote_find(l, (uint32_t)mail->of);

	if (leader_router(l->node->lead) == NULL || remote == NULL ||
	    !remote->opened || remote_up(l, remote, mail) == RES_OK)
		return;
	log_warn(
	    "links: node %u: malformed message, link closed", remote->node);
	remote_down(l, remote);
	send_control(l, remote->node, LINK_CLOSE);
}

/* ---- the pump ---------------------------------------------------------- */

/* The edge has given its router up: a new opening, or a new connection, which
 * the node's other edges have to go over to as well. */
static void
local_unlinked(struct links *l, const struct mail *mail)
{
	struct node *n = l->node;

	l->locals[mail->edge].open = false;
	if (l->remote_open) {
		if (mail->len > 0)
			log_warn(
			    "links: malformed message of node %u", l->leader);
		locals_close(l);
		peers_want(n->peers, l->leader, PEER_LINK, false);
		peers_want(n->peers, l->leader, PEER_LINK, true);
		return;
	}
	if (mail->len > 0)
		fatalx("links: the edge refused this node's router");
	router_link_down(leader_router(n->lead), n->instance.raft_id,
	    mail->edge, clock_ms());
	retry_later(l);
}

static void
from_local(struct links *l, const struct mail *mail)
{
	const struct local *local = &l->locals[mail->edge];
	const struct text msg = { mail->msg, mail->len };
	struct node *n = l->node;

	if (!local->open || local->opening != mail->of)
		return;
	if (mail->what == MAIL_UNLINK)
		local_unlinked(l, mail);
	else if (l->remote_open)
		channel_send(l, l->leader, true, mail->edge, msg);
	else if (router_up(leader_router(n->lead), n->instance.raft_id,
		     mail->edge, mail->msg, mail->len, l->now) != 0)
		fatalx("links: the router refused this node's edge");
}

/* What is for the router waits for the lease. */
static void
pump_cb(void *arg)
{
	struct links *l = arg;
	struct node *n = l->node;
	struct mail mail;

	l->now = clock_ms();
	if (leader_router(n->lead) != NULL &&
	    !raft_node_lease(n->raft, n->term, l->now)) {
		retry_later(l);
		return;
	}
	while (mailbox_next(l->inbox, &mail)) {
		if (mail.what == MAIL_REMOTE)
			from_remote(l, &mail);
		else
			from_local(l, &mail);
	}
}

/* ---- the leader comes and goes ----------------------------------------- */

void
links_follow(struct links *l, uint32_t leader, uint64_t term)
{
	struct node *n = l->node;
	uint32_t self = n->instance.raft_id;

	local_edges_set_term(n->edges, term);
	if (leader == l->leader && leader != self)
		return;
	if (l->leader != 0 && l->leader != self && l->leader != leader) {
		peers_want(n->peers, l->leader, PEER_LINK, false);
		peers_want(n->peers, l->leader, PEER_MIRROR, false);
	}
	if (leader != l->leader)
		locals_close(l);
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

	if (node != l->node->instance.raft_id)
		channel_send(l, node, false, edge, (struct text){ msg, len });
	else if (edge < LOCAL_EDGES_MAX && l->locals[edge].open)
		local_edges_down(
		    l->node->edges, edge, l->locals[edge].opening, msg, len);
}

static void
open_locals(struct links *l)
{
	struct node *n = l->node;

	for (uint32_t i = 0; i < locals(l); i++) {
		if (l->locals[i].open)
			continue;
		router_link_up(
		    leader_router(n->lead), n->instance.raft_id, i, clock_ms());
		local_open(l, i, n->term);
	}
}

static void
open_remote(struct links *l, struct remote *remote)
{
	if (remote->opened)
		return;
	remote->opened = true;
	send_control(l, remote->node, LINK_OPEN);
}

void
links_open(struct links *l)
{
	open_locals(l);
	for (size_t i = 0; i < l->remote_count; i++)
		open_remote(l, &l->remotes[i]);
}

void
links_close(struct links *l)
{
	if (!l->remote_open)
		locals_close(l);
	for (size_t i = 0; i < l->remote_count; i++) {
		if (l->remotes[i].opened)
			send_control(l, l->remotes[i].node, LINK_CLOSE);
		l->remotes[i].opened = false;
		l->remotes[i].up = 0;
	}
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
	struct remote *remote;

	if (dialled) {
		if (node == l->leader && l->remote_open)
			locals_close(l);
		return;
	}
	remote = remote_find(l, node);
	if (remote != NULL && remote->opened)
		remote_down(l, remote);
	remote_drop(l, node);
}

static void
opened_by_leader(struct links *l, const struct link_head *head)
{
	locals_close(l);
	/* Rule 12 of delivery(7): never under a lower term. */
	if (head->what == LINK_CLOSE ||
	    head->term < raft_node_term(l->node->raft))
		return;
	l->remote_open = true;
	for (uint32_t i = 0; i < locals(l); i++)
		local_open(l, i, head->term);
}

/* From the leader that this node's edges are linked to. */
static int
from_leader(struct links *l, const uint8_t *msg, size_t len)
{
	struct node *n = l->node;
	struct link_head head;
	struct cursor c;
	uint32_t edge;

	cursor_init(&c, msg, len);
	edge = cursor_u8(&c);
	if (link_head_decode(&c, &head) != RES_OK || edge >= locals(l))
		return RES_INVALID;
	if (head.what == LINK_OPEN || head.what == LINK_CLOSE) {
		opened_by_leader(l, &head);
		return RES_OK;
	}
	/* What this node has voted for meanwhile counts (rule 12). */
	local_edges_set_term(n->edges, raft_node_term(n->raft));
	if (l->remote_open && l->locals[edge].open)
		local_edges_down(
		    n->edges, edge, l->locals[edge].opening, msg + 1, len - 1);
	return RES_OK;
}

int
links_message(
    struct links *l, uint32_t node, bool dialled, const void *msg, size_t len)
{
	const struct mail mail = {
		.what = MAIL_REMOTE, .of = node, .msg = msg, .len = len
	};

	if (dialled)
		return node == l->leader ? from_leader(l, msg, len) : RES_OK;
	mail_write(l->remote_mail, &mail);
	return RES_OK;
}

static void
retry_cb(evutil_socket_t fd, short what, void *arg)
{
	struct links *l = arg;
	struct router *r = leader_router(l->node->lead);

	(void)fd, (void)what;
	if (r != NULL && router_takes_links(r))
		open_locals(l);
	mailbox_wake(l->inbox);
}

struct mailbox *
links_mailbox(struct links *l)
{
	return l->inbox;
}

struct links *
links_new(struct node *n)
{
	struct links *l = xcalloc(1, sizeof(*l));

	l->node = n;
	l->inbox = mailbox_new(n->base, pump_cb, l);
	l->remote_mail = mail_writer_new(l->inbox, n->base);
	l->retry = evtimer_new(n->base, retry_cb, l);
	return l;
}

void
links_free(struct links *l)
{
	if (l == NULL)
		return;
	mail_writer_free(l->remote_mail);
	mailbox_free(l->inbox);
	event_free(l->retry);
	buf_clear(&l->scratch);
	free(l);
}
