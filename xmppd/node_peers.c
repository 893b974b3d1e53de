/*
 * What the connections to other nodes bring, given to whom it concerns; and
 * copies of the state for peers that lag behind.
 */
#include "xmppd/node_peers.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/leader.h"
#include "xmppd/links.h"
#include "xmppd/membership.h"
#include "xmppd/node.h"
#include "xmppd/reconciler.h"

/* ---- a lagging peer gets a copy of the state --------------------------- */

struct copying {
	struct node *node;
	uint32_t to;
	uint64_t instance;
	char *path;
};

static void
copying_free(struct copying *c)
{
	if (c->node->copying == c->to)
		c->node->copying = 0;
	unlink(c->path);
	free(c->path);
	free(c);
}

static void
copy_sent_cb(void *arg, int code)
{
	struct copying *c = arg;

	if (code != RES_OK)
		log_warn(
		    "copy: node %u: not sent: %s", c->to, result_text(code));
	copying_free(c);
}

static void
copy_made_cb(void *arg, int code, uint64_t index, const uint8_t sha256[32])
{
	struct copying *c = arg;
	struct node *n = c->node;

	if (code != RES_OK || n->instance.number != c->instance) {
		copying_free(c);
		return;
	}
	log_info("copy: sending state at index %llu to node %u",
	    (unsigned long long)index, c->to);
	peers_send_copy(
	    n->peers, c->to, c->path, index, sha256, copy_sent_cb, c);
}

void
node_wants_copy(void *arg, uint32_t id, uint64_t index)
{
	struct node *n = arg;
	struct copying *c;
	char *dir;

	(void)index; /* what is copied now is newer than any marker */
	if (n->copying != 0)
		return; /* asked again while one is on its way */
	n->copying = id;
	dir = instance_dir(n->daemon->root, n->instance.number);
	c = xcalloc(1, sizeof(*c));
	c->node = n;
	c->to = id;
	c->instance = n->instance.number;
	xasprintf(&c->path, "%s/copy-%u.db", dir, id);
	free(dir);
	store_copy(n->store, c->path, copy_made_cb, c);
}

static void
installed_cb(void *arg, int code, uint64_t index)
{
	(void)arg;
	if (code != RES_OK)
		log_err("copy: not installed: %s", result_text(code));
	else
		log_info("copy: installed state at index %llu",
		    (unsigned long long)index);
}

/* ---- the peers' news --------------------------------------------------- */

static void
peer_up_cb(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		links_channel_up(n->links, node, dialled);
	else if (channel == PEER_MIRROR)
		leader_mirror_up(n->lead, node, dialled);
}

static void
peer_down_cb(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		links_channel_down(n->links, node, dialled);
	else if (channel == PEER_MIRROR)
		leader_mirror_down(n->lead, node, dialled);
}

static int
peer_message_cb(void *arg, uint32_t node, enum peer_channel channel,
    bool dialled, const void *msg, size_t len)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		return links_message(n->links, node, dialled, msg, len);
	if (channel == PEER_MIRROR)
		return leader_mirror(n->lead, node, dialled, msg, len);
	return RES_INVALID;
}

static void
peer_request_cb(void *arg, uint32_t node, const char *peer, uint64_t token,
    const void *msg, size_t len)
{
	struct node *n = arg;
	uint8_t kind = len > 0 ? *(const uint8_t *)msg : 0;

	if (kind == CONTROL_JOIN ||
	    ((kind == CONTROL_REMOVED || kind == CONTROL_DRAIN) && node != 0))
		membership_request(n->membership, node, peer, token, msg, len);
	else if (node == 0)
		peers_answer(n->peers, token, NULL, 0);
	else if (kind == CONTROL_MOVED)
		reconciler_moved(n->reconciler, node, token, msg, len);
	else if (kind == CONTROL_PROPOSE)
		proposer_request(n->proposer, token, msg, len);
	else if (kind == CONTROL_DIR_STATE || kind == CONTROL_DIR_COPY)
		leader_request(n->lead, token, msg, len);
	else if (kind == CONTROL_TRUST_CHECK)
		ctl_trust_request(n, token, msg, len);
	else if (kind == CONTROL_SESSIONS)
		ctl_sessions_request(n, token, msg, len);
	else if (kind == CONTROL_KICK)
		ctl_kick_request(n, token, msg, len);
	else
		peers_answer(n->peers, token, NULL, 0);
}

static void
peer_raft_cb(void *arg, uint32_t node, bool dialled, int fd, struct ssl_st *ssl)
{
	struct node *n = arg;

	raft_node_connection(n->raft, node, dialled, fd, ssl);
}

static void
peer_refused_cb(void *arg, uint32_t node, bool removed, const char *why)
{
	(void)node;
	membership_refused(((struct node *)arg)->membership, removed, why);
}

static void
peer_copy_cb(void *arg, uint32_t node, const char *path, uint64_t index)
{
	struct node *n = arg;

	(void)node, (void)index;
	store_install(n->store, path, installed_cb, n);
}

struct peers *
node_peers_new(struct node *n)
{
	struct peers_callbacks cb = { n, peer_up_cb, peer_down_cb,
		peer_message_cb, peer_request_cb, peer_raft_cb, peer_refused_cb,
		peer_copy_cb };

	return peers_new(n->base, &cb);
}
